//! The embedded source `node`: this very machine, under node_exporter's names.
//!
//! Two threads look at the machine: a quick one every interval, and a slow one at the file
//! systems, which may hang (a network share that is gone) and then hold up nobody else.

mod batch;
#[cfg(target_os = "linux")]
mod filesystem;
#[cfg(target_os = "linux")]
mod linux;
mod metrics;
#[cfg(not(target_os = "linux"))]
mod other;
mod part;

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(not(target_os = "linux"))]
use other as system;

use crate::guest::{GuestCommand, GuestReply};
use crate::shards::SharedShards;
use part::Roster;

/// How often the slow thread looks: file systems fill in minutes.
const SLOW_INTERVAL_MIN: Duration = Duration::from_secs(5);

/// The running node source. It ends when this is dropped.
#[derive(Debug)]
pub struct NodeSource {
    /// Dropped, these end the threads.
    _stops: Vec<Sender<()>>,
}

impl NodeSource {
    /// Feeds `collector` every `interval`. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub fn start(collector: &SharedShards, interval: Duration) -> io::Result<Self> {
        let quick = feed("tidegate-node", collector, interval, system::quick)?;
        let slow = feed(
            "tidegate-disk",
            collector,
            interval.max(SLOW_INTERVAL_MIN),
            system::slow,
        )?;
        Ok(Self {
            _stops: vec![quick, slow],
        })
    }
}

fn feed(
    name: &str,
    collector: &SharedShards,
    interval: Duration,
    parts: fn() -> Vec<Box<dyn part::Part>>,
) -> io::Result<Sender<()>> {
    let (stop, stopped) = channel();
    let runtime = Handle::current();
    let collector = SharedShards::clone(collector);
    thread::Builder::new().name(name.into()).spawn(move || {
        let mut roster = Roster::new(crate::config::NODE, parts());
        each_tick(interval, &stopped, || {
            let record = roster.collect();
            if record.samples.is_empty() {
                return;
            }
            report(runtime.block_on(collector.call(GuestCommand::Record(record))));
        });
    })?;
    Ok(stop)
}

fn report(reply: Result<GuestReply, crate::collector::Unavailable>) {
    match reply {
        Ok(GuestReply::Recorded(Ok(recorded))) => {
            if let Some(why) = recorded.first_refusal {
                tracing::debug!(
                    refused = recorded.refused,
                    why,
                    "the collector refused samples of the node source"
                );
            }
        }
        Ok(GuestReply::Recorded(Err(error))) => {
            tracing::debug!(error, "the collector refused the node source")
        }
        // While there is no collector, there is nothing to feed.
        Ok(GuestReply::Http(_) | GuestReply::Changed(_)) | Err(_) => {}
    }
}

/// Calls `work` at once and then every `interval`, until `stopped` is closed. Ticks that fall into
/// a long call are skipped, and the next comes in step with the first.
fn each_tick(interval: Duration, stopped: &Receiver<()>, mut work: impl FnMut()) {
    let mut next = Instant::now();
    loop {
        work();
        let behind = next.elapsed().as_nanos() / interval.as_nanos().max(1);
        next += interval * u32::try_from(behind + 1).unwrap_or(u32::MAX);
        match stopped.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_that_fall_into_a_long_call_are_skipped() {
        let interval = Duration::from_millis(40);
        let (stop, stopped) = channel();
        let mut stop = Some(stop);
        let started = Instant::now();
        let mut ticks = Vec::new();
        each_tick(interval, &stopped, || {
            ticks.push(started.elapsed());
            match ticks.len() {
                1 => thread::sleep(interval * 5 / 2),
                3 => drop(stop.take()),
                _ => {}
            }
        });
        // The first call spans ticks 1 and 2, so the second comes at tick 3.
        assert_eq!(ticks.len(), 3);
        assert!(ticks[1] >= interval * 3, "{ticks:?}");
        assert!(ticks[2] >= interval * 4, "{ticks:?}");
    }

    #[test]
    fn this_machine_can_be_looked_at() {
        let mut roster = Roster::new("node", system::quick());
        let record = roster.collect();
        let has = |name: &str| {
            record
                .samples
                .iter()
                .any(|sample| sample.labels.metric_name() == Some(name))
        };
        for name in [
            "node_memory_MemTotal_bytes",
            "node_load1",
            "node_boot_time_seconds",
            "node_time_seconds",
            "node_uname_info",
        ] {
            assert!(has(name), "{name}");
        }
        let described = |name: &str| record.families.iter().any(|family| family.name == name);
        assert!(
            record
                .samples
                .iter()
                .all(|sample| described(sample.labels.metric_name().unwrap()))
        );
        let named: Vec<_> = record.families.iter().map(|family| &family.name).collect();
        assert_eq!(
            named.len(),
            named
                .iter()
                .collect::<std::collections::BTreeSet<_>>()
                .len(),
            "described once each"
        );
    }
}
