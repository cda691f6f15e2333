//! Push: what a registry records, handed to sinks by interval.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use tidegate_series::{Family, Labels, METRIC_NAME, Metadata, Sample};

use crate::inbox::{Inbox, Woken};
use crate::pump::{Pump, SHUTDOWN_WAIT, SinkStats, WhenFull};
use crate::registry::{BUCKET_LABEL, Registry, Said};
use crate::render::cumulative;
use crate::series::{AnySeries, now_ms};
use crate::{Batch, EventKind, MetricEvent};

/// How a registry is pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushOptions {
    /// How often the state of series is pushed; events go with it, or as soon as half of those that may
    /// wait do. The default is 10 s.
    pub interval: Duration,
    /// After how long a series that did not change is pushed again. The default of 60 s keeps it alive in a
    /// Prometheus, which forgets what it has not heard of for 5 minutes.
    pub resend_after: Duration,
    /// How many events may wait. The default of 65,536 is some megabytes.
    pub events_max: usize,
    /// What gives way beyond; it is counted in [`RegistryStats`](crate::RegistryStats).
    pub when_full: WhenFull,
}

impl Default for PushOptions {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            resend_after: Duration::from_secs(60),
            events_max: 65_536,
            when_full: WhenFull::default(),
        }
    }
}

/// Pushes a registry to the sinks of a [`Pump`], on a thread of its own, until it is shut down or dropped.
///
/// A batch has the samples of all series that changed since the last one, and of those that did not for a
/// while; if some sink takes events, it has each event, too. Custom metrics are not states: each one recorded
/// is a sample with its own time, and an event.
///
/// ```
/// use std::time::Duration;
/// use tidegate_record::{Batch, Pump, Push, PushOptions, Registry, Sink, SinkError, SinkOptions};
///
/// struct Print;
///
/// impl Sink for Print {
///     fn write(&mut self, batch: &Batch) -> Result<(), SinkError> {
///         for sample in &batch.samples {
///             println!("{} {}", sample.labels, sample.value);
///         }
///         Ok(())
///     }
/// }
///
/// let registry = Registry::new();
/// let mut pump = Pump::new();
/// pump.add("print", Print, SinkOptions::default())?;
/// let push = Push::start(&registry, pump, PushOptions::default())?;
/// registry.increment("hits", 1);
/// let stats = push.shutdown(Duration::from_secs(5));
/// assert_eq!(stats[0].written, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Push {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    registry: Registry,
    inbox: Arc<Inbox>,
    options: PushOptions,
    /// `None` after the end.
    state: Mutex<Option<State>>,
}

#[derive(Debug)]
struct State {
    pump: Pump,
    takes_samples: bool,
    takes_events: bool,
    /// By the numbers of series.
    pushed: Vec<Pushed>,
}

/// What was pushed of a series.
#[derive(Debug, Default)]
struct Pushed {
    /// The value's bits, or the count of a histogram; `None` before the first time.
    last: Option<u64>,
    at: Option<Instant>,
    /// The labels of its samples.
    labels: Vec<Labels>,
}

impl Push {
    /// Starts to push.
    ///
    /// # Errors
    ///
    /// The thread cannot be started.
    pub fn start(registry: &Registry, pump: Pump, options: PushOptions) -> io::Result<Self> {
        let takes = pump.takes();
        let takes_events = takes.is_some_and(|takes| takes.events());
        let inbox = Arc::new(Inbox::new(
            takes_events,
            options.events_max,
            options.when_full,
        ));
        let state = State {
            pump,
            takes_samples: takes.is_some_and(|takes| takes.samples()),
            takes_events,
            pushed: Vec::new(),
        };
        let shared = Arc::new(Shared {
            registry: registry.clone(),
            inbox: Arc::clone(&inbox),
            options,
            state: Mutex::new(Some(state)),
        });
        let own = Arc::clone(&shared);
        let thread = Builder::new()
            .name("metrics push".into())
            .spawn(move || own.run())?;
        registry.shared().subscribe(inbox);
        let thread = Some(thread);
        Ok(Self { shared, thread })
    }

    /// Pushes now and waits until all sinks have made it safe, at most `within`; says whether they have.
    #[must_use]
    pub fn flush(&self, within: Duration) -> bool {
        let mut state = self.shared.lock();
        let Some(state) = state.as_mut() else {
            return false;
        };
        self.shared.push(state, true);
        state.pump.flush(within)
    }

    /// What became of everything, sink by sink.
    #[must_use]
    pub fn stats(&self) -> Vec<SinkStats> {
        let state = self.shared.lock();
        state
            .as_ref()
            .map(|state| state.pump.stats())
            .unwrap_or_default()
    }

    /// Pushes a last time and shuts the pump down; see [`Pump::shutdown`].
    pub fn shutdown(mut self, within: Duration) -> Vec<SinkStats> {
        self.end(within)
    }

    fn end(&mut self, within: Duration) -> Vec<SinkStats> {
        let Some(thread) = self.thread.take() else {
            return Vec::new();
        };
        self.shared.inbox.end();
        // It does nothing that takes long; what it may have panicked with is told already.
        let _ = thread.join();
        let state = self.shared.lock().take();
        let Some(mut state) = state else {
            return Vec::new();
        };
        self.shared
            .registry
            .shared()
            .unsubscribe(&self.shared.inbox);
        self.shared.push(&mut state, true);
        state.pump.shutdown(within)
    }
}

impl Drop for Push {
    /// Shuts down within [`SHUTDOWN_WAIT`], unless it is done.
    fn drop(&mut self) {
        self.end(SHUTDOWN_WAIT);
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut next = Instant::now() + self.options.interval;
        loop {
            let woken = self.inbox.wait(next);
            if woken == Woken::End {
                return;
            }
            let with_samples = woken == Woken::Time;
            if with_samples {
                // After a pause of the machine it does not catch up.
                next = (next + self.options.interval).max(Instant::now());
            }
            if let Some(state) = self.lock().as_mut() {
                self.push(state, with_samples);
            }
        }
    }

    fn push(&self, state: &mut State, with_samples: bool) {
        let (events, dropped) = self.inbox.take();
        self.registry.shared().count_dropped(dropped);
        let mut batch = Batch::default();
        if state.takes_samples {
            batch
                .samples
                .extend(events.iter().filter_map(custom_sample));
            if with_samples {
                self.add_states(&mut state.pushed, &mut batch);
            }
        }
        if state.takes_events {
            batch.events = events;
        }
        if !batch.is_empty() {
            state.pump.offer(batch);
        }
    }

    fn add_states(&self, pushed: &mut Vec<Pushed>, batch: &mut Batch) {
        let (now, now_ms) = (Instant::now(), now_ms());
        for (_, family) in self.registry.shared().families() {
            let before = batch.samples.len();
            for series in &*family.series {
                let number = series.number();
                if pushed.len() <= number {
                    pushed.resize_with(number + 1, Pushed::default);
                }
                let pushed = &mut pushed[number];
                let rested = pushed
                    .at
                    .is_none_or(|at| now - at >= self.options.resend_after);
                if pushed.add(series, &family.said, rested, now_ms, &mut batch.samples) {
                    pushed.at = Some(now);
                }
            }
            if batch.samples.len() > before || family.said.kind == EventKind::Custom {
                batch.families.push(described(&family.said));
            }
        }
    }
}

impl Pushed {
    /// Adds the samples of a series if it changed, or if it is time; says whether it did.
    fn add(
        &mut self,
        series: &AnySeries,
        said: &Said,
        rested: bool,
        now_ms: i64,
        samples: &mut Vec<Sample>,
    ) -> bool {
        let (last, values) = match series {
            AnySeries::Counter(series) => {
                let value = series.cell.value();
                (value.to_bits(), vec![value])
            }
            AnySeries::Gauge(series) => match series.cell.value() {
                Some(value) if series.kind == EventKind::Gauge => (value.to_bits(), vec![value]),
                Some(_) | None => return false,
            },
            AnySeries::Histogram(series) => {
                let mut counts = vec![0; series.cell.buckets()];
                let sum = series.cell.read(&mut counts);
                let mut values: Vec<_> = cumulative(&counts).map(|count| count as f64).collect();
                let count = counts.iter().sum::<u64>();
                values.extend([sum, count as f64]);
                (count, values)
            }
        };
        if self.last == Some(last) && !rested {
            return false;
        }
        self.last = Some(last);
        if self.labels.is_empty() {
            self.labels = labels_of(series, said);
        }
        let labelled = self.labels.iter().zip(values);
        samples.extend(labelled.map(|(labels, value)| Sample {
            labels: labels.clone(),
            timestamp_ms: now_ms,
            value,
        }));
        true
    }
}

/// The labels of a series' samples, in the order of its values; none if they would be too many.
fn labels_of(series: &AnySeries, said: &Said) -> Vec<Labels> {
    let own = series.labels();
    let renamed = |suffix: &str, le: Option<&str>| {
        let name = format!("{}{suffix}", said.exposed);
        let tags = own.iter().filter(|(tag, _)| *tag != METRIC_NAME);
        let all = tags
            .chain([(METRIC_NAME, &*name)])
            .chain(le.map(|le| (BUCKET_LABEL, le)));
        Labels::from_pairs(all).unwrap_or_default()
    };
    match &said.buckets {
        None => vec![renamed("", None)],
        Some(buckets) => {
            let le = buckets.le.iter().map(|le| renamed("_bucket", Some(le)));
            le.chain([renamed("_sum", None), renamed("_count", None)])
                .collect()
        }
    }
}

fn custom_sample(event: &MetricEvent) -> Option<Sample> {
    (event.kind == EventKind::Custom).then(|| Sample {
        labels: event.labels.clone(),
        timestamp_ms: event.timestamp_ms,
        value: event.value,
    })
}

fn described(said: &Said) -> Family {
    Family {
        name: said.exposed.to_string(),
        metadata: Metadata {
            kind: said.metric_kind(),
            unit: said.unit.clone(),
            help: said.help.clone(),
        },
    }
}

#[cfg(test)]
mod tests;
