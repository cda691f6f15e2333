//! Contexts: where a program records, with the tags that hold there.

use std::sync::Arc;

use crate::EventKind;
use crate::handle::{Counter, Gauge, Histogram, Timer};
use crate::registry::Shared;
use crate::tags::Tags;

/// A registry together with tags that everything recorded through it has.
///
/// Cloning is cheap; [`with`](Self::with) costs one small allocation and one for each new tag, and the tags of outer
/// contexts are shared, so a context for each session or request is fine. A tag that an outer context has is
/// replaced; a tag without a value is taken away.
///
/// The methods that take a name look the series up each time, some fifty nanoseconds, unless the registry is
/// off; where that counts, a handle is taken once and kept. A series that is refused (see [`RegistryLimits`](crate::RegistryLimits)) has a
/// handle that does nothing; it is counted and told.
///
/// Names and tags may have any characters: those that Prometheus does not allow become `_`. A counter is exposed with
/// `_total` at its end, whether its name has it or not.
///
/// ```
/// use tidegate_record::Registry;
///
/// let registry = Registry::new();
/// let session = registry.with([("session", "7"), ("model", "llama-8b")]);
/// let iteration = session.with([("step", "plan")]);
/// iteration.increment("tokens", 512);
/// let seconds = iteration.time("iteration_seconds", async { 42 });
/// # futures_executor::block_on(async {
/// assert_eq!(seconds.await, 42);
/// # });
/// assert_eq!(iteration.timer("iteration_seconds").count(), 1);
/// ```
#[derive(Clone, Debug)]
pub struct Context {
    shared: Arc<Shared>,
    tags: Tags,
}

impl Context {
    pub(crate) fn new(shared: Arc<Shared>, tags: Tags) -> Self {
        Self { shared, tags }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// A context with these tags, too.
    #[must_use]
    pub fn with<N: AsRef<str>, V: AsRef<str>>(
        &self,
        tags: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            tags: self.tags.with(tags),
        }
    }

    /// Its tags, sorted by name, with the names they are exposed under.
    pub fn tags(&self) -> impl Iterator<Item = (&str, &str)> {
        self.tags.iter()
    }

    /// The counter of this name.
    #[must_use]
    pub fn counter(&self, name: &str) -> Counter {
        Counter(self.shared.series(name, &self.tags, EventKind::Counter))
    }

    /// The gauge of this name.
    #[must_use]
    pub fn gauge(&self, name: &str) -> Gauge {
        Gauge(self.shared.series(name, &self.tags, EventKind::Gauge))
    }

    /// The histogram of this name; see [`Registry::set_bounds`](crate::Registry::set_bounds) for its buckets.
    #[must_use]
    pub fn histogram(&self, name: &str) -> Histogram {
        Histogram(self.shared.series(name, &self.tags, EventKind::Histogram))
    }

    /// The timer of this name: a histogram of seconds.
    #[must_use]
    pub fn timer(&self, name: &str) -> Timer {
        let series = self.shared.series(name, &self.tags, EventKind::Timer);
        Timer(Histogram(series))
    }

    /// Adds to a counter.
    #[inline]
    pub fn increment(&self, name: &str, by: u64) {
        if self.shared.is_on() {
            apart(|| self.counter(name).increment(by));
        }
    }

    /// Sets a gauge.
    #[inline]
    pub fn set(&self, name: &str, value: f64) {
        if self.shared.is_on() {
            apart(|| self.gauge(name).set(value));
        }
    }

    /// Records an observation in a histogram.
    #[inline]
    pub fn observe(&self, name: &str, value: f64) {
        if self.shared.is_on() {
            apart(|| self.histogram(name).observe(value));
        }
    }

    /// Times an async block; see [`Timer::time`].
    pub async fn time<F: Future>(&self, name: &str, block: F) -> F::Output {
        self.timer(name).time(block).await
    }

    /// Records a value that is neither summed nor counted: each is an event and a sample of its own where
    /// it is pushed to, and the last one is exposed, of unknown type.
    #[inline]
    pub fn custom(&self, name: &str, value: f64) {
        if self.shared.is_on() {
            apart(|| self.custom_of(name).set(value));
        }
    }

    fn custom_of(&self, name: &str) -> Gauge {
        Gauge(self.shared.series(name, &self.tags, EventKind::Custom))
    }
}

/// Records, out of the way of whoever asks while nothing is recorded.
#[inline(never)]
fn apart(record: impl FnOnce()) {
    record();
}
