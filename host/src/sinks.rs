//! The sinks of a host: what is added to the collector's own series, written elsewhere.
//!
//! Each sink has a pump of its own, so that a new configuration touches only those that it is
//! about.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::thread;
use std::time::{Duration, Instant};

use tidegate_api::{Input, Output};
use tidegate_client::{Machine, MachineError};
use tidegate_core::{Appended, Now};
use tidegate_record::{
    Batch, Notice, Pump, RemoteCounts, SinkConfig, SinkConfigError, SinkState, SinkStats,
};
use tidegate_wire::text::{MetricType, TextWriter};

/// How many batches wait while a sink that was changed is opened again: half a minute of a host
/// that is pushed to twice a second and collects as often.
const WAITING_MAX: usize = 128;

/// Where what is added to the collectors' own series goes.
#[derive(Debug, Default)]
pub(crate) struct Sinks {
    running: RwLock<Vec<Arc<Running>>>,
}

/// One sink.
#[derive(Debug)]
struct Running {
    config: SinkConfig,
    pump: Mutex<State>,
}

#[derive(Debug)]
enum State {
    /// It takes the place of one that still writes; this is for it.
    Opening(VecDeque<Arc<Batch>>),
    Open(Pump, Option<RemoteCounts>),
    /// It was closed, or could not be opened.
    Closed,
}

impl Sinks {
    /// Opens them all.
    ///
    /// # Errors
    /// The first that cannot be opened; then none is.
    pub(crate) fn open(configs: &[SinkConfig]) -> Result<Self, SinkConfigError> {
        let running = configs.iter().map(|config| {
            let running = Running::new(config);
            running.open()?;
            Ok(Arc::new(running))
        });
        let running = running.collect::<Result<_, _>>()?;
        Ok(Self {
            running: RwLock::new(running),
        })
    }

    /// Hands a batch to all. Waits for none of them.
    pub(crate) fn offer(&self, appended: Appended) {
        let Appended { families, samples } = appended;
        let batch = Arc::new(Batch {
            families,
            samples,
            events: Vec::new(),
        });
        for running in self.running().iter() {
            running.offer(&batch);
        }
    }

    /// Applies a new configuration: sinks that it has unchanged run on, the others are closed, for
    /// at most `within`, and opened as it says. Blocks meanwhile. What cannot be opened is logged,
    /// and does not run.
    pub(crate) fn apply(&self, configs: &[SinkConfig], within: Duration) {
        let former = self.running().clone();
        let unchanged =
            |config: &SinkConfig| former.iter().find(|running| running.config == *config);
        let next: Vec<Arc<Running>> = configs
            .iter()
            .map(|config| {
                unchanged(config).map_or_else(|| Arc::new(Running::new(config)), Arc::clone)
            })
            .collect();
        self.replace(next.clone());
        let stays = |running: &&Arc<Running>| next.iter().any(|next| Arc::ptr_eq(next, running));
        let gone: Vec<_> = former
            .iter()
            .filter(|running| !stays(running))
            .cloned()
            .collect();
        close(&gone, within);
        for running in next {
            if let Err(error) = running.open() {
                tracing::error!(error = %error, "a sink does not run; mend it and reload");
            }
        }
    }

    /// Lets all write what waits, for at most `within`, and closes them.
    pub(crate) fn close(&self, within: Duration) {
        close(&self.replace(Vec::new()), within);
    }

    /// Their families, to follow the collector's in `/metrics`; nothing without sinks.
    pub(crate) fn write(&self, body: &mut Vec<u8>) {
        let running = self.running().clone();
        let stats: Vec<_> = running.iter().map(|running| running.stats()).collect();
        if stats.is_empty() {
            return;
        }
        let mut text = TextWriter::new(body);
        for (name, kind, help, value) in FAMILIES {
            text.family(name, *kind, help);
            for (config, stats) in &stats {
                let labels = [("sink", &*config.name), ("kind", config.kind.as_str())];
                text.sample(name, labels, stats.as_ref().map_or(0.0, value));
            }
        }
        let name = "tidegate_sink_retries_total";
        let help = "Requests of remote-write that failed and were to be sent again.";
        text.family(name, MetricType::Counter, help);
        for running in &running {
            if let State::Open(_, Some(remote)) = &*running.pump() {
                let labels = [("sink", &*running.config.name), ("kind", "remote")];
                text.sample(name, labels, remote.retries() as f64);
            }
        }
        let name = "tidegate_sink_dropped_samples_total";
        let help = "Samples that a sink should have written and did not, by reason.";
        text.family(name, MetricType::Counter, help);
        for (config, stats) in &stats {
            for (reason, count) in dropped(stats.as_ref()) {
                let labels = [("sink", &*config.name), ("reason", reason)];
                text.sample(name, labels, count as f64);
            }
        }
    }

    fn replace(&self, next: Vec<Arc<Running>>) -> Vec<Arc<Running>> {
        let mut running = self.running.write().unwrap_or_else(PoisonError::into_inner);
        mem::replace(&mut running, next)
    }

    fn running(&self) -> RwLockReadGuard<'_, Vec<Arc<Running>>> {
        // It is replaced whole.
        self.running.read().unwrap_or_else(PoisonError::into_inner)
    }
}

type Value = fn(&SinkStats) -> f64;

/// What is said of each sink.
const FAMILIES: &[(&str, MetricType, &str, Value)] = &[
    (
        "tidegate_sink_up",
        MetricType::Gauge,
        "Whether the sink is open and is not left alone for its panics.",
        |stats| {
            f64::from(u8::from(!matches!(
                stats.state,
                SinkState::Retired | SinkState::Ended
            )))
        },
    ),
    (
        "tidegate_sink_written_samples_total",
        MetricType::Counter,
        "Samples that the sink took.",
        |stats| stats.written as f64,
    ),
    (
        "tidegate_sink_failures_total",
        MetricType::Counter,
        "Batches or flushes that ended in an error.",
        |stats| stats.failures as f64,
    ),
    (
        "tidegate_sink_queued_samples",
        MetricType::Gauge,
        "Samples that wait for the sink.",
        |stats| stats.queued as f64,
    ),
    (
        "tidegate_sink_busy_seconds",
        MetricType::Gauge,
        "For how long the sink has been at its batch; 0 while it waits for one.",
        |stats| match stats.state {
            SinkState::Busy(time) => time.as_secs_f64(),
            SinkState::Waiting | SinkState::Retired | SinkState::Ended => 0.0,
        },
    ),
];

fn dropped(stats: Option<&SinkStats>) -> [(&'static str, u64); 3] {
    let count = |count: fn(&SinkStats) -> u64| stats.map_or(0, count);
    [
        ("full", count(|stats| stats.dropped_full)),
        ("failed", count(|stats| stats.dropped_failed)),
        ("end", count(|stats| stats.dropped_at_end)),
    ]
}

impl Running {
    /// One that is not open yet.
    fn new(config: &SinkConfig) -> Self {
        Self {
            config: config.clone(),
            pump: Mutex::new(State::Opening(VecDeque::new())),
        }
    }

    /// Opens it, unless it is open.
    fn open(&self) -> Result<(), SinkConfigError> {
        if !matches!(*self.pump(), State::Opening(_)) {
            return Ok(());
        }
        let mut pump = Pump::new().on_notice(log);
        let added = self.config.add_to(&mut pump);
        let mut state = self.pump();
        let waiting = mem::replace(&mut *state, State::Closed);
        let added = added?;
        if let State::Opening(waiting) = waiting {
            waiting.into_iter().for_each(|batch| pump.offer(batch));
        }
        *state = State::Open(pump, added.remote);
        drop(state);
        let (name, kind) = (&self.config.name, self.config.kind.as_str());
        tracing::info!(sink = name, kind, "sink");
        if let Some(recovered) = added.recovered {
            tracing::warn!(
                sink = name,
                "its file did not end with a whole line: {recovered}"
            );
        }
        Ok(())
    }

    fn offer(&self, batch: &Arc<Batch>) {
        match &mut *self.pump() {
            State::Open(pump, _) => pump.offer(Arc::clone(batch)),
            State::Opening(waiting) => {
                if waiting.len() == WAITING_MAX {
                    waiting.pop_front();
                    tracing::warn!(
                        sink = self.config.name,
                        "a batch was dropped before the sink was open"
                    );
                }
                waiting.push_back(Arc::clone(batch));
            }
            State::Closed => {}
        }
    }

    fn close(&self, within: Duration) {
        let state = mem::replace(&mut *self.pump(), State::Closed);
        let State::Open(pump, _) = state else { return };
        for stats in pump.shutdown(within) {
            // What it had no time for, the pump has told.
            let (written, dropped) = (stats.written, stats.dropped());
            tracing::info!(sink = stats.name, written, dropped, "sink closed");
        }
    }

    fn stats(&self) -> (&SinkConfig, Option<SinkStats>) {
        let stats = match &*self.pump() {
            State::Open(pump, _) => pump.stats().pop(),
            State::Opening(_) | State::Closed => None,
        };
        (&self.config, stats)
    }

    fn pump(&self) -> MutexGuard<'_, State> {
        // Nothing is half changed when one of these panics.
        self.pump.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All at once, for at most `within` together.
fn close(running: &[Arc<Running>], within: Duration) {
    let deadline = Instant::now() + within;
    thread::scope(|scope| {
        for running in running {
            scope.spawn(|| running.close(deadline.saturating_duration_since(Instant::now())));
        }
    });
}

fn log(notice: &Notice) {
    let Notice {
        about,
        message,
        dropped,
        ..
    } = notice;
    tracing::warn!(sink = about, lost = dropped, "{message}");
}

/// A machine whose host has sinks: they are handed what it adds to its series.
#[derive(Debug)]
pub(crate) struct Feeder<M> {
    machine: M,
    sinks: Arc<Sinks>,
}

impl<M> Feeder<M> {
    pub(crate) const fn new(machine: M, sinks: Arc<Sinks>) -> Self {
        Self { machine, sinks }
    }
}

impl<M: Machine> Machine for Feeder<M> {
    type Command = M::Command;
    type Reply = M::Reply;

    fn step(
        &mut self,
        inputs: Vec<Input<M::Command>>,
        now: Now,
    ) -> Result<Vec<Output<M::Reply>>, MachineError> {
        let mut outputs = self.machine.step(inputs, now)?;
        let mut appended = outputs.extract_if(.., |output| matches!(output, Output::Append(_)));
        while let Some(Output::Append(appended)) = appended.next() {
            self.sinks.offer(appended);
        }
        drop(appended);
        Ok(outputs)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tidegate_record::{FileOptions, FileRecords, ReadRecord, SinkKind};
    use tidegate_series::{Labels, Sample};

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn file(name: &str, path: &Path) -> SinkConfig {
        let options = FileOptions::default();
        let path = path.to_owned();
        SinkConfig::new(name, SinkKind::File { path, options })
    }

    fn appended(value: f64) -> Appended {
        let sample = Sample {
            labels: Labels::from_pairs([("__name__", "load")]).unwrap(),
            timestamp_ms: value as i64,
            value,
        };
        Appended {
            families: vec![],
            samples: vec![sample],
        }
    }

    fn values(path: &Path) -> Vec<f64> {
        let records = FileRecords::open(path).unwrap();
        let values = records.filter_map(|record| match record.unwrap() {
            ReadRecord::Sample(sample) => Some(sample.value),
            ReadRecord::Family(_) | ReadRecord::Event(_) => None,
        });
        values.collect()
    }

    fn metrics(sinks: &Sinks) -> String {
        let mut body = Vec::new();
        sinks.write(&mut body);
        String::from_utf8(body).unwrap()
    }

    #[test]
    fn a_sink_that_is_not_changed_runs_on_and_the_others_are_closed_and_opened() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b, c] = ["a", "b", "c"].map(|name| folder.path().join(name));
        let sinks = Sinks::open(&[file("a", &a), file("b", &b)]).unwrap();
        sinks.offer(appended(1.0));
        // The same file under another name: the first lets go of it before the second opens it.
        sinks.apply(&[file("a", &a), file("again", &b), file("c", &c)], SOON);
        sinks.offer(appended(2.0));
        let said = metrics(&sinks);
        for sink in ["a", "again", "c"] {
            let up = format!("tidegate_sink_up{{sink=\"{sink}\",kind=\"file\"}} 1\n");
            assert!(said.contains(&up), "{said}");
        }
        assert!(!said.contains("sink=\"b\""), "{said}");
        sinks.apply(&[file("c", &c)], SOON);
        sinks.offer(appended(3.0));
        sinks.close(SOON);
        sinks.offer(appended(4.0));
        assert_eq!([values(&a), values(&b)], [[1.0, 2.0], [1.0, 2.0]]);
        assert_eq!(values(&c), [2.0, 3.0]);
        assert_eq!(metrics(&sinks), "");
    }

    #[test]
    fn what_comes_while_a_sink_is_opened_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let running = Running::new(&file("a", &path));
        let batch = |value: f64| {
            let samples = appended(value).samples;
            Arc::new(Batch {
                samples,
                ..Batch::default()
            })
        };
        for value in 0..=WAITING_MAX {
            running.offer(&batch(value as f64));
        }
        running.open().unwrap();
        running.close(SOON);
        let written = values(&path);
        assert_eq!((written[0], written.len()), (1.0, WAITING_MAX));
    }

    #[test]
    fn one_that_cannot_be_opened_is_an_error_at_the_start_and_harms_nobody_later() {
        let folder = tempfile::tempdir().unwrap();
        let (good, bad) = (
            folder.path().join("a"),
            folder.path().join("none").join("b"),
        );
        let configs = [file("a", &good), file("b", &bad)];
        let error = Sinks::open(&configs).unwrap_err();
        assert_eq!((&*error.sink, error.field), ("b", "path"));
        let sinks = Sinks::default();
        sinks.apply(&configs, SOON);
        sinks.offer(appended(1.0));
        let said = metrics(&sinks);
        assert!(
            said.contains("tidegate_sink_up{sink=\"b\",kind=\"file\"} 0\n"),
            "{said}"
        );
        sinks.close(SOON);
        assert_eq!(values(&good), [1.0]);
    }

    #[test]
    fn a_feeder_hands_on_what_is_added_and_lets_the_rest_pass() {
        struct Puppet;
        impl Machine for Puppet {
            type Command = ();
            type Reply = ();

            fn step(&mut self, _: Vec<Input<()>>, _: Now) -> Result<Vec<Output<()>>, MachineError> {
                Ok(vec![Output::Append(appended(7.0)), Output::Wait(None)])
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let sinks = Arc::new(Sinks::open(&[file("a", &path)]).unwrap());
        let mut feeder = Feeder::new(Puppet, Arc::clone(&sinks));
        let outputs = feeder.step(Vec::new(), Now::ZERO).unwrap();
        assert!(matches!(outputs[..], [Output::Wait(None)]));
        sinks.close(SOON);
        assert_eq!(values(&path), [7.0]);
    }
}
