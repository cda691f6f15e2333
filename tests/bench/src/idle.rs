//! What a recorder costs while nothing is recorded.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tidegate_record::{
    FileOptions, FileSink, Memory, Pump, Push, PushOptions, Registry, SinkOptions,
};
use tidegate_series::StoreLimits;

use crate::clock::used;
use crate::table::{Table, Target};

/// Counters, gauges and histograms of each; a histogram is 19 series for whoever scrapes.
const EACH: usize = 200;

/// How long the program is watched.
const WATCHED: Duration = Duration::from_secs(3);

/// How often series are looked at, and sinks make safe what they have.
const INTERVAL: Duration = Duration::from_secs(1);

pub(crate) fn measure(table: &mut Table) -> Result<()> {
    let resend_after = PushOptions::default().resend_after;
    let resting = share_used(resend_after)?;
    // Each time all are pushed again, which is done once in that time: so that it need not be waited for.
    let resending = share_used(Duration::ZERO)?;
    let times = resend_after.div_duration_f64(INTERVAL);
    let share = resting + (resending - resting).max(0.0) / times;
    table.heading(
        "600 series of which none changes, with a memory and a file, looked at each second",
    );
    for (what, share) in [
        ("looking for what changed", resting),
        ("pushing and flushing all of them each second", resending),
    ] {
        table.row(what, &format!("{:.3} %", 100.0 * share), None, Target::None);
    }
    let judged = Some((100.0 * share, "% of a core"));
    table.row(
        "looking, and pushing all each minute",
        &format!("{:.3} %", 100.0 * share),
        judged,
        Target::AtMost(0.1),
    );
    Ok(())
}

/// The share of a processor that a program uses while it records nothing.
fn share_used(resend_after: Duration) -> Result<f64> {
    let directory = TempDir::new()?;
    let registry = recorded();
    let memory = Memory::new(StoreLimits::default());
    let file = FileSink::open(directory.path().join("recorded"), FileOptions::default())?;
    let options = SinkOptions {
        flush_interval: INTERVAL,
        ..SinkOptions::default()
    };
    let mut pump = Pump::new();
    pump.add("memory", memory.sink(), options.clone())?;
    pump.add("file", file, options)?;
    let options = PushOptions {
        interval: INTERVAL,
        resend_after,
        ..PushOptions::default()
    };
    let push = Push::start(&registry, pump, options).context("no thread to push on")?;
    // The first push, and its flush, are not idle.
    sleep(5 * INTERVAL / 2);
    let (begun, before) = (Instant::now(), used());
    sleep(WATCHED);
    let share = (used() - before).div_duration_f64(begun.elapsed());
    let stats = push.shutdown(Duration::from_secs(5));
    let samples = EACH as u64 * 21;
    let all = stats
        .iter()
        .all(|sink| sink.written >= samples && sink.dropped() == 0);
    ensure!(all, "sinks did not take what was recorded: {stats:?}");
    Ok(share)
}

/// A registry in which something was recorded once.
fn recorded() -> Registry {
    let registry = Registry::new();
    for number in 0..EACH {
        let context = registry.with([("node_id", number.to_string())]);
        context.increment("requests", number as u64);
        context.set("queue_length", number as f64 / 4.0);
        context.observe("request_seconds", 0.02);
    }
    registry
}
