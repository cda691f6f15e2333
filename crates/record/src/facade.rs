//! The facade: programs that record through the macros of the `metrics` crate record into a registry
//! without a change.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::hint::cold_path;
use std::sync::{PoisonError, RwLock};

use metrics::{
    CounterFn, GaugeFn, HistogramFn, Key, KeyName, Metadata, Recorder, SetRecorderError,
    SharedString, Unit,
};

use crate::EventKind;
use crate::cell::{CounterCell, GaugeCell, HistogramCell};
use crate::registry::{Hashed, Registry, Shared};
use crate::series::Series;
use crate::tags::Tags;

/// How many locks the handles of a kind are spread over: programs look one up each time a macro runs.
const SHARDS: usize = 16;

/// Handles that the facade was given, by the keys that its macros make.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    counters: Sharded<metrics::Counter>,
    gauges: Sharded<metrics::Gauge>,
    histograms: Sharded<metrics::Histogram>,
}

type Map<H> = HashMap<Key, H, BuildHasherDefault<Hashed>>;

#[derive(Debug)]
struct Sharded<H>([RwLock<Map<H>>; SHARDS]);

impl<H> Default for Sharded<H> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| RwLock::default()))
    }
}

impl<H: Clone> Sharded<H> {
    /// The handle of a key; one that is made is kept, so there are no more of them than of series.
    fn get_or(&self, key: &Key, make: impl FnOnce() -> Option<H>) -> Option<H> {
        // The map looks at other bits first.
        let shard = &self.0[(key.get_hash() >> 32) as usize % SHARDS];
        let known = shard
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .cloned();
        known.or_else(|| {
            let handle = make()?;
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            Some(shard.entry(key.clone()).or_insert(handle).clone())
        })
    }
}

impl Registry {
    /// Has all threads of this program record here through the macros of `metrics`, from now on and for good.
    ///
    /// Names and labels are changed as [`Context`](crate::Context) says; a unit becomes Prometheus' word for it, and
    /// values are not converted. The facade's histograms have the buckets of [`set_bounds`](Self::set_bounds).
    ///
    /// ```
    /// use tidegate_record::{ExpositionFormat, Registry};
    ///
    /// let registry = Registry::new();
    /// registry.install()?;
    /// metrics::describe_counter!("http.requests", metrics::Unit::Count, "Requests served.");
    /// metrics::counter!("http.requests", "route" => "/").increment(3);
    /// let expected = "\
    /// ## HELP http_requests_total Requests served.
    /// ## TYPE http_requests_total counter
    /// http_requests_total{route=\"/\"} 3
    /// ";
    /// assert_eq!(registry.render(ExpositionFormat::Text), expected);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The program has a recorder already.
    pub fn install(&self) -> Result<(), SetRecorderError<Self>> {
        metrics::set_global_recorder(self.clone())
    }

    /// Has this thread record here through the macros of `metrics` while `block` runs; other threads do not
    /// notice, nor does what the block spawns.
    pub fn within<T>(&self, block: impl FnOnce() -> T) -> T {
        metrics::with_local_recorder(self, block)
    }

    fn describe_key(&self, key: &KeyName, kind: EventKind, unit: Option<Unit>, help: &str) {
        let unit = unit.map_or("", unit_word);
        if let Err(refusal) = self.describe(key.as_str(), kind, unit, help) {
            self.shared().refuse(key.as_str(), &refusal);
        }
    }
}

/// Prometheus' word for a unit; a plain count has none.
fn unit_word(unit: Unit) -> &'static str {
    if unit == Unit::Count {
        ""
    } else if unit == Unit::CountPerSecond {
        "per_second"
    } else {
        unit.as_str()
    }
}

fn tags(key: &Key) -> Tags {
    Tags::default().with(key.labels().map(|label| (label.key(), label.value())))
}

impl Shared {
    // Apart from the question whether anything is recorded, which is all there is to do while nothing is;
    // what asks it takes this for the rarer case, so that not even a jump is left.

    #[inline(never)]
    fn counter_of(&self, key: &Key) -> metrics::Counter {
        let handle = self.keys.counters.get_or(key, || {
            let series = self.series::<CounterCell>(key.name(), &tags(key), EventKind::Counter)?;
            Some(metrics::Counter::from_arc(series))
        });
        handle.unwrap_or_else(metrics::Counter::noop)
    }

    #[inline(never)]
    fn gauge_of(&self, key: &Key) -> metrics::Gauge {
        let handle = self.keys.gauges.get_or(key, || {
            let series = self.series::<GaugeCell>(key.name(), &tags(key), EventKind::Gauge)?;
            Some(metrics::Gauge::from_arc(series))
        });
        handle.unwrap_or_else(metrics::Gauge::noop)
    }

    #[inline(never)]
    fn histogram_of(&self, key: &Key) -> metrics::Histogram {
        let handle = self.keys.histograms.get_or(key, || {
            let kind = EventKind::Histogram;
            let series = self.series::<HistogramCell>(key.name(), &tags(key), kind)?;
            Some(metrics::Histogram::from_arc(series))
        });
        handle.unwrap_or_else(metrics::Histogram::noop)
    }
}

impl Recorder for Registry {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe_key(&key, EventKind::Counter, unit, &description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe_key(&key, EventKind::Gauge, unit, &description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe_key(&key, EventKind::Histogram, unit, &description);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> metrics::Counter {
        let shared = self.shared();
        if !shared.is_on() {
            return metrics::Counter::noop();
        }
        cold_path();
        shared.counter_of(key)
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> metrics::Gauge {
        let shared = self.shared();
        if !shared.is_on() {
            return metrics::Gauge::noop();
        }
        cold_path();
        shared.gauge_of(key)
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> metrics::Histogram {
        let shared = self.shared();
        if !shared.is_on() {
            return metrics::Histogram::noop();
        }
        cold_path();
        shared.histogram_of(key)
    }
}

impl CounterFn for Series<CounterCell> {
    fn increment(&self, value: u64) {
        self.gated(
            |cell| cell.add(value),
            |series| series.increment_carefully(value),
        );
    }

    fn absolute(&self, value: u64) {
        if self.is_on() {
            let added = self.cell.raise_to(value);
            if added > 0 && !self.is_plain() {
                self.tell(added as f64);
            }
        }
    }
}

impl GaugeFn for Series<GaugeCell> {
    fn increment(&self, value: f64) {
        self.add(value);
    }

    fn decrement(&self, value: f64) {
        self.add(-value);
    }

    fn set(&self, value: f64) {
        self.gated(|cell| cell.set(value), |series| series.set_carefully(value));
    }
}

impl HistogramFn for Series<HistogramCell> {
    fn record(&self, value: f64) {
        self.gated(
            |cell| cell.record(value),
            |series| series.observe_carefully(value, 1),
        );
    }

    fn record_many(&self, value: f64, count: usize) {
        self.observe_carefully(value, count as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::MetricsAssert;
    use crate::{ExpositionFormat, Recording, Rule};
    use metrics::{counter, describe_gauge, describe_histogram, gauge, histogram};

    #[test]
    fn macros_record_under_names_that_prometheus_allows() {
        let recorded = MetricsAssert::new();
        recorded.within(|| {
            counter!("http.requests", "http.route" => "/", "5" => "x").increment(2);
            counter!("bytes").absolute(10);
            counter!("bytes").absolute(7);
            gauge!("depth").set(3);
            gauge!("depth").decrement(1.5);
            histogram!("took").record(0.25);
            histogram!("took").record_many(4.0, 3);
        });
        recorded
            .counter("http_requests")
            .with("http_route", "/")
            .with("_5", "x")
            .is(2);
        recorded.counter("bytes").is(10);
        recorded.gauge("depth").is(1.5);
        recorded.histogram("took").count_is(4).sum_is(12.25);
    }

    #[test]
    fn what_is_described_is_exposed() {
        let registry = Registry::new();
        registry.within(|| {
            describe_histogram!("size.bytes", Unit::Bytes, "How large.");
            describe_gauge!("load", Unit::Percent, "");
            histogram!("size.bytes").record(100.0);
            gauge!("load").set(5.0);
        });
        let text = registry.render(ExpositionFormat::OpenMetrics);
        assert!(
            text.contains("# TYPE size_bytes histogram\n# UNIT size_bytes bytes\n"),
            "{text}"
        );
        assert!(
            text.contains("size_bytes_bucket{le=\"256.0\"} 1\n"),
            "{text}"
        );
        assert!(!text.contains("UNIT load"), "{text}");
    }

    #[test]
    fn a_name_is_of_one_kind_and_the_other_is_told() {
        let registry = Registry::new();
        let (sender, receiver) = std::sync::mpsc::channel();
        registry.on_notice(move |notice| {
            let _ = sender.send(notice.to_string());
        });
        registry.within(|| {
            gauge!("x").set(1.0);
            counter!("x").increment(1);
            describe_histogram!("x", "");
            counter!("x").increment(1);
        });
        let said: Vec<_> = receiver.try_iter().collect();
        assert_eq!(
            said,
            ["x: it is a gauge and cannot be recorded as a counter (1 lost)"]
        );
        assert_eq!(registry.stats().refused, 3);
    }

    #[test]
    fn while_it_is_off_macros_record_nothing_and_afterwards_again() {
        let recorded = MetricsAssert::new();
        recorded.within(|| {
            recorded.registry().set_on(false);
            counter!("x").increment(1);
            gauge!("y").set(1.0);
            recorded.nothing_recorded();
            recorded.registry().set_on(true);
            let held = counter!("x");
            recorded.registry().set_on(false);
            held.increment(10);
            recorded.registry().set_on(true);
            held.increment(100);
        });
        recorded.counter("x").is(100);
        let rules = vec![Rule::new("x", Recording::Off).unwrap()];
        recorded.registry().set_rules(rules).unwrap();
        recorded.within(|| counter!("x").absolute(1_000));
        recorded.counter("x").is(100);
    }
}
