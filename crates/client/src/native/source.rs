//! Sources that a program collects by itself: what it knows becomes series of the collector's own.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tidegate_api::{Command, Reply};
use tidegate_core::{
    Admission, Breaker, BreakerConfig, Family, LastScrape, Now, Record, Sample, UnixMillis,
};
use tidegate_series::{Labels, LabelsError, METRIC_NAME, Metadata, MetricKind, stale_marker};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

use super::client::Tidegate;
use super::clock::TokioClock;
use crate::{Clock, Closed, Declined, Handle};

/// The shortest interval of a source, as of a target that is scraped.
pub const COLLECT_EVERY_MIN: Duration = Duration::from_millis(100);

/// Why a source has nothing to say this time; in words that an operator understands.
pub type SourceError = Box<dyn Error + Send + Sync>;

/// Something that is asked for its metrics again and again: a device, a status page, a program of
/// one's own. [`Tidegate::run_source`] runs it.
///
/// ```
/// use tidegate_client::native::{Batch, Source, SourceError};
///
/// struct Thermometer;
///
/// impl Source for Thermometer {
///     async fn collect(&self) -> Result<Batch, SourceError> {
///         let celsius: f64 = "21.5".parse()?;
///         let mut batch = Batch::default();
///         batch.gauge("temperature_celsius", "Of the room.", [("room", "a")], celsius)?;
///         Ok(batch)
///     }
/// }
/// ```
pub trait Source: Send + Sync + 'static {
    /// Says what there is now. It is never called again before it has ended. Where it takes longer
    /// than it may it is dropped, so nothing may be lost by that; and it must not block.
    ///
    /// # Errors
    /// Why nothing can be said: what it said before ends, and `up` is 0.
    fn collect(&self) -> impl Future<Output = Result<Batch, SourceError>> + Send;
}

/// What a source says at once. Samples without a time are of the moment when it was asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    families: Vec<Family>,
    samples: Vec<(Labels, f64, Option<UnixMillis>)>,
}

impl Batch {
    /// Adds a total that only grows, or begins again from 0.
    ///
    /// # Errors
    /// A name or labels that no series can have.
    pub fn counter(
        &mut self,
        name: &str,
        help: &str,
        labels: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<str>)>,
        value: f64,
    ) -> Result<&mut Self, LabelsError> {
        self.metric(MetricKind::Counter, name, help, labels, value)
    }

    /// Adds a value that goes up and down.
    ///
    /// # Errors
    /// A name or labels that no series can have.
    pub fn gauge(
        &mut self,
        name: &str,
        help: &str,
        labels: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<str>)>,
        value: f64,
    ) -> Result<&mut Self, LabelsError> {
        self.metric(MetricKind::Gauge, name, help, labels, value)
    }

    /// Adds a description; a metric of a batch is described once.
    pub fn describe(&mut self, family: Family) -> &mut Self {
        if !self.families.iter().any(|known| known.name == family.name) {
            self.families.push(family);
        }
        self
    }

    /// Adds a sample, of its own time if it has one.
    pub fn sample(&mut self, labels: Labels, value: f64, at: Option<UnixMillis>) -> &mut Self {
        self.samples.push((labels, value, at));
        self
    }

    fn metric(
        &mut self,
        kind: MetricKind,
        name: &str,
        help: &str,
        labels: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<str>)>,
        value: f64,
    ) -> Result<&mut Self, LabelsError> {
        let own = labels.into_iter().map(|(name, value)| {
            let (name, value) = (name.as_ref(), value.as_ref());
            (name.to_owned(), value.to_owned())
        });
        let labels = Labels::from_pairs(
            [(METRIC_NAME.to_owned(), name.to_owned())]
                .into_iter()
                .chain(own),
        )?;
        let metadata = Metadata {
            kind,
            help: help.into(),
            unit: "".into(),
        };
        let name = name.into();
        Ok(self
            .describe(Family { name, metadata })
            .sample(labels, value, None))
    }
}

/// How a source is run.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceSettings {
    /// The source of kind push that its samples are recorded for.
    pub push: String,
    /// The label `job` of its series.
    pub job: String,
    /// The label `instance` of its series.
    pub instance: String,
    /// How often it is asked: 15 s, and [`COLLECT_EVERY_MIN`] at the least.
    pub interval: Duration,
    /// How long it may take: 10 s, and no longer than the interval.
    pub timeout: Duration,
    /// When it is left alone for its failures.
    pub breaker: BreakerConfig,
}

impl SourceSettings {
    /// With the defaults.
    pub fn new(
        push: impl Into<String>,
        job: impl Into<String>,
        instance: impl Into<String>,
    ) -> Self {
        Self {
            push: push.into(),
            job: job.into(),
            instance: instance.into(),
            interval: Duration::from_secs(15),
            timeout: Duration::from_secs(10),
            breaker: BreakerConfig::default(),
        }
    }
}

/// A source that runs, until this is dropped or the client closed.
#[derive(Debug)]
#[must_use = "the source stops when this is dropped"]
pub struct RunningSource {
    last: Last,
    task: AbortHandle,
}

type Last = Arc<Mutex<Option<LastScrape>>>;

impl RunningSource {
    /// What became of the last time it was asked; `None` before the first.
    pub fn last(&self) -> Option<LastScrape> {
        let last = self.last.lock();
        last.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for RunningSource {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Tidegate {
    /// Asks a source of the program's own every interval, from now on, beside all others. What it
    /// says is recorded with the labels `job` and `instance`, where it does not say them itself,
    /// and with it `up` (1, or 0 where it failed) and `scrape_duration_seconds`, as Prometheus has
    /// them for a target. A series that it says no more ends at once, and so do all when it fails.
    ///
    /// While it takes its time nobody else waits, and it is not asked a second time. What it missed
    /// is skipped. One that fails again and again, takes too long or panics is left alone for a
    /// while, as [`Breaker`] tells; `up` is 0 meanwhile.
    ///
    /// # Errors
    /// Labels `job` and `instance` that no series can have.
    pub fn run_source(
        &self,
        settings: SourceSettings,
        source: impl Source,
    ) -> Result<RunningSource, LabelsError> {
        let report = |name: &str| {
            Labels::from_pairs([
                (METRIC_NAME, name),
                (JOB, &settings.job),
                (INSTANCE, &settings.instance),
            ])
        };
        let last = Last::default();
        let mut runner = Runner {
            up: report("up")?,
            duration: report("scrape_duration_seconds")?,
            breaker: Breaker::new(settings.breaker),
            handle: self.handle.clone(),
            clock: TokioClock::new(),
            seen: BTreeSet::new(),
            last: last.clone(),
            settings,
        };
        let source = Arc::new(source);
        let task = self.shared.runtime.spawn(async move {
            let interval = runner.settings.interval.max(COLLECT_EVERY_MIN);
            let mut due = Instant::now();
            while runner.once(&source).await.is_ok() {
                // Its moments stay where they are, however late it is.
                let missed = due.elapsed().as_nanos() / interval.as_nanos();
                let skipped = u32::try_from(missed + 1).unwrap_or(u32::MAX);
                due += interval.saturating_mul(skipped);
                sleep_until(due).await;
            }
        });
        let task = task.abort_handle();
        Ok(RunningSource { last, task })
    }
}

const JOB: &str = "job";
const INSTANCE: &str = "instance";

/// What runs one source.
struct Runner {
    settings: SourceSettings,
    up: Labels,
    duration: Labels,
    breaker: Breaker,
    handle: Handle<Command, Reply>,
    clock: TokioClock,
    /// What it said last, except for samples with times of their own.
    seen: BTreeSet<Labels>,
    last: Last,
}

impl Runner {
    /// Asks the source once, and records what it says.
    async fn once<S: Source>(&mut self, source: &Arc<S>) -> Result<(), Closed> {
        let began = self.clock.now();
        let said = match self.breaker.admit(began.mono) {
            Admission::No { .. } => Err("left alone for a while after its failures".to_owned()),
            Admission::Yes | Admission::Probe => {
                let said = self
                    .ask(source)
                    .await
                    .and_then(|batch| self.labelled(batch, began));
                let now = self.clock.now().mono;
                match &said {
                    Ok(_) => self.breaker.succeeded(began.mono, now),
                    Err(_) => drop(self.breaker.failed(began.mono, now)),
                }
                said
            }
        };
        self.record(said, began).await
    }

    /// On a task of its own, so that a panic ends nothing else; it has ended when this has.
    async fn ask<S: Source>(&self, source: &Arc<S>) -> Result<Batch, String> {
        let source = source.clone();
        let mut task = JoinSet::new();
        task.spawn(async move { source.collect().await });
        let after = self.settings.timeout.min(self.settings.interval);
        let Ok(ended) = timeout(after, task.join_next()).await else {
            task.shutdown().await;
            return Err(format!("nothing was said within {after:?}"));
        };
        match ended {
            Some(Ok(said)) => said.map_err(|error| error.to_string()),
            Some(Err(_)) | None => Err("it panicked".into()),
        }
    }

    /// The batch as it is recorded.
    fn labelled(&self, batch: Batch, began: Now) -> Result<Record, String> {
        let mut record = Record {
            source: self.settings.push.clone(),
            families: batch.families,
            samples: Vec::with_capacity(batch.samples.len()),
        };
        for (labels, value, at) in batch.samples {
            let own = [
                (JOB, &*self.settings.job),
                (INSTANCE, &*self.settings.instance),
            ];
            let own = own
                .into_iter()
                .filter(|(name, _)| labels.value(name).is_none());
            let labels = Labels::from_pairs(labels.iter().chain(own));
            record.samples.push(Sample {
                labels: labels.map_err(|error| error.to_string())?,
                timestamp_ms: at.unwrap_or(began.wall).0,
                value,
            });
        }
        Ok(record)
    }

    async fn record(&mut self, said: Result<Record, String>, began: Now) -> Result<(), Closed> {
        let took = self.clock.now().mono.since(began.mono);
        let at_ms = began.wall.0;
        let (mut record, mut error) = match said {
            Ok(record) => (record, None),
            Err(error) => (Record::default(), Some(error)),
        };
        record.source.clone_from(&self.settings.push);
        let samples = record.samples.len();
        let seen = record.samples.iter();
        let seen = seen.filter(|sample| sample.timestamp_ms == at_ms);
        let seen: BTreeSet<Labels> = seen.map(|sample| sample.labels.clone()).collect();
        let series_added = seen.difference(&self.seen).count();
        let sample = |labels: &Labels, value| Sample {
            labels: labels.clone(),
            timestamp_ms: at_ms,
            value,
        };
        let ended = self.seen.difference(&seen);
        record
            .samples
            .extend(ended.map(|labels| sample(labels, stale_marker())));
        let up = f64::from(u8::from(error.is_none()));
        record.samples.push(sample(&self.up, up));
        record
            .samples
            .push(sample(&self.duration, took.as_secs_f64()));
        self.seen = seen;
        let mut refused = 0;
        match self.handle.record(record).await {
            Ok(recorded) => {
                refused = recorded.refused.len();
                let first = recorded.refused.first();
                error = error.or_else(|| first.map(|(_, refusal)| refusal.to_string()));
            }
            Err(Declined::Closed) => return Err(Closed),
            Err(Declined::Refused(refusal)) => error = error.or_else(|| Some(refusal.to_string())),
        }
        let last = LastScrape {
            at: began.wall,
            took,
            samples,
            refused,
            series_added,
            error,
            succeeded: up > 0.0,
        };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
        Ok(())
    }
}
