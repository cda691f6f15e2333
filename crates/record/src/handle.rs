//! Handles: what a program records through, looked up once and kept.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cell::{CounterCell, GaugeCell, HistogramCell};
use crate::series::Series;

/// A counter of a registry: it only grows.
///
/// Cloning shares it. Adding takes a few nanoseconds and never waits, however many threads add.
#[derive(Clone, Debug, Default)]
pub struct Counter(pub(crate) Option<Arc<Series<CounterCell>>>);

impl Counter {
    /// Adds `by`.
    #[inline]
    pub fn increment(&self, by: u64) {
        if let Some(series) = &self.0 {
            series.gated(|cell| cell.add(by), |series| series.increment_carefully(by));
        }
    }

    /// Adds an amount that is no whole number. This is slower than [`increment`](Self::increment), since all
    /// threads write in one place. Anything but a positive, finite number is ignored.
    pub fn add(&self, by: f64) {
        let positive = by > 0.0 && by.is_finite();
        let Some(series) = self.0.as_ref().filter(|_| positive) else {
            return;
        };
        let Some(weight) = series.weight() else {
            return;
        };
        let by = by * f64::from(weight.get());
        series.cell.add_float(by);
        series.tell(by);
    }

    /// What it came to; 0 for a counter that was refused.
    ///
    /// What other threads record meanwhile is in it or not; two readings by one thread never fall.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.0.as_ref().map_or(0.0, |series| series.cell.value())
    }
}

impl Series<CounterCell> {
    #[cold]
    pub(crate) fn increment_carefully(&self, by: u64) {
        let Some(weight) = self.weight() else { return };
        let by = by.saturating_mul(weight.get().into());
        self.cell.add(by);
        self.tell(by as f64);
    }
}

/// A gauge of a registry: it is what it was set to last.
///
/// Cloning shares it. Until it is set it has no value and is not exposed.
#[derive(Clone, Debug, Default)]
pub struct Gauge(pub(crate) Option<Arc<Series<GaugeCell>>>);

impl Gauge {
    /// Sets it; NaN and infinities are values.
    #[inline]
    pub fn set(&self, value: f64) {
        if let Some(series) = &self.0 {
            series.gated(|cell| cell.set(value), |series| series.set_carefully(value));
        }
    }

    /// Adds to what it is, or to 0 if it was never set.
    pub fn add(&self, by: f64) {
        if let Some(series) = &self.0 {
            series.add(by);
        }
    }

    /// Takes away from what it is, or from 0 if it was never set.
    pub fn subtract(&self, by: f64) {
        self.add(-by);
    }

    /// What it was set to; `None` if it was never set or was refused.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        self.0.as_ref().and_then(|series| series.cell.value())
    }
}

impl Series<GaugeCell> {
    #[cold]
    pub(crate) fn set_carefully(&self, value: f64) {
        if self.weight().is_some() {
            self.cell.set(value);
            self.tell(value);
        }
    }

    pub(crate) fn add(&self, by: f64) {
        if self.weight().is_some() {
            let value = self.cell.add(by);
            if !self.is_plain() {
                self.tell(value);
            }
        }
    }
}

/// A histogram of a registry: observations by bucket.
///
/// Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Histogram(pub(crate) Option<Arc<Series<HistogramCell>>>);

impl Histogram {
    /// Records an observation. NaN is in the bucket above all bounds and makes the sum NaN, as in
    /// Prometheus.
    #[inline]
    pub fn observe(&self, value: f64) {
        if let Some(series) = &self.0 {
            series.gated(
                |cell| cell.record(value),
                |series| series.observe_carefully(value, 1),
            );
        }
    }

    /// Records the same observation so many times.
    pub fn observe_many(&self, value: f64, times: u64) {
        if let Some(series) = &self.0 {
            series.observe_carefully(value, times);
        }
    }

    /// How many observations there were; 0 for a histogram that was refused.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.read().0
    }

    /// What the observations add up to.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.read().1
    }

    fn read(&self) -> (u64, f64) {
        let Some(series) = &self.0 else {
            return (0, 0.0);
        };
        let mut counts = vec![0; series.cell.buckets()];
        let sum = series.cell.read(&mut counts);
        (counts.iter().sum(), sum)
    }
}

impl Series<HistogramCell> {
    #[cold]
    pub(crate) fn observe_carefully(&self, value: f64, times: u64) {
        let Some(weight) = self.weight() else { return };
        self.cell
            .record_many(value, times.saturating_mul(weight.get().into()));
        if !self.is_plain() {
            // Each is an event of its own, within reason.
            (0..times.min(EVENTS_AT_ONCE_MAX)).for_each(|_| self.tell(value));
        }
    }
}

/// How many events the same observation, recorded many times at once, makes at most.
const EVENTS_AT_ONCE_MAX: u64 = 1_024;

/// A timer of a registry: a histogram of seconds.
///
/// Cloning shares it.
///
/// ```
/// use tidegate_record::Registry;
///
/// let registry = Registry::new();
/// let timer = registry.timer("load_seconds");
/// {
///     let _timing = timer.start();
///     // … what takes time, in a scope that may be left early.
/// }
/// assert_eq!(timer.count(), 1);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Timer(pub(crate) Histogram);

impl Timer {
    /// Records that something took so long.
    #[inline]
    pub fn record(&self, took: Duration) {
        self.0.observe(took.as_secs_f64());
    }

    /// Begins to time; what it took is recorded when the guard goes out of scope, by whichever way.
    pub fn start(&self) -> Timing {
        Timing {
            timer: Some(self.clone()),
            begun: Instant::now(),
        }
    }

    /// Times an async block, from its first poll until it is ready. One that is dropped before is not
    /// recorded.
    pub async fn time<F: Future>(&self, block: F) -> F::Output {
        let begun = Instant::now();
        let output = block.await;
        self.record(begun.elapsed());
        output
    }

    /// How often it was recorded; 0 for a timer that was refused.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.count()
    }

    /// How many seconds all of it took.
    #[must_use]
    pub fn sum_seconds(&self) -> f64 {
        self.0.sum()
    }
}

/// Something that is being timed; see [`Timer::start`].
#[derive(Debug)]
#[must_use = "what is dropped at once took no time"]
pub struct Timing {
    timer: Option<Timer>,
    begun: Instant,
}

impl Timing {
    /// Records what it took, now; gives it back.
    pub fn stop(mut self) -> Duration {
        let took = self.begun.elapsed();
        if let Some(timer) = self.timer.take() {
            timer.record(took);
        }
        took
    }

    /// Records nothing.
    pub fn discard(mut self) {
        self.timer = None;
    }
}

impl Drop for Timing {
    fn drop(&mut self) {
        if let Some(timer) = self.timer.take() {
            timer.record(self.begun.elapsed());
        }
    }
}
