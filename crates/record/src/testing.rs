//! Assertions about what a program recorded, for its tests.
//!
//! [`MetricsAssert`] has a registry of its own, so tests run side by side. Code under test records into it
//! either because it is given the registry, or through the macros of `metrics` inside
//! [`within`](MetricsAssert::within).
//!
//! ```
//! use tidegate_record::testing::MetricsAssert;
//!
//! fn serve(route: &'static str) {
//!     metrics::counter!("requests", "route" => route, "code" => "200").increment(1);
//!     metrics::histogram!("request_seconds", "route" => route).record(0.02);
//! }
//!
//! let recorded = MetricsAssert::new();
//! recorded.within(|| {
//!     serve("/");
//!     serve("/items");
//! });
//! recorded.counter("requests").is(2);
//! recorded.counter("requests").with("route", "/items").is(1);
//! recorded.timer("request_seconds").called(2);
//! recorded.counter("errors").not_recorded();
//! ```
//!
//! An assertion looks at **all series of that name that have the tags it names**, whatever others they
//! have, and at their sum where they are counted. What was only looked up, and never incremented,
//! set or observed, is not recorded. An assertion that fails says what was recorded instead:
//!
//! ```should_panic
//! # use tidegate_record::testing::MetricsAssert;
//! let recorded = MetricsAssert::new();
//! recorded.registry().increment("requests", 1);
//! // counter reqests is not recorded, expected 1
//! //   did you mean requests? recorded:
//! //   counter requests = 1
//! recorded.counter("reqests").is(1);
//! ```

use std::fmt::Write;
use std::time::Duration;

use crate::names::{metric_name, tag_name};
use crate::{EventKind, Reading, ReadingValue, Registry};

/// How many series a failure lists. A screen.
const LISTED_MAX: usize = 20;

/// Records apart from everything else, and asserts what was recorded.
#[derive(Clone, Debug, Default)]
pub struct MetricsAssert {
    registry: Registry,
}

impl MetricsAssert {
    /// With a registry of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// About a registry that is there already.
    #[must_use]
    pub fn of(registry: &Registry) -> Self {
        let registry = registry.clone();
        Self { registry }
    }

    /// The registry, for code that is given one.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Has this thread record here through the macros of `metrics` while `block` runs.
    pub fn within<T>(&self, block: impl FnOnce() -> T) -> T {
        self.registry.within(block)
    }

    /// About the counter of this name.
    #[must_use]
    pub fn counter(&self, name: &str) -> CounterAssert<'_> {
        CounterAssert(Selection::new(self, "counter", name, &[EventKind::Counter]))
    }

    /// About the gauge of this name, or a custom metric's last value.
    #[must_use]
    pub fn gauge(&self, name: &str) -> GaugeAssert<'_> {
        GaugeAssert(Selection::new(
            self,
            "gauge",
            name,
            &[EventKind::Gauge, EventKind::Custom],
        ))
    }

    /// About the timer of this name. A histogram, which is what the facade has for timers, will do.
    #[must_use]
    pub fn timer(&self, name: &str) -> TimerAssert<'_> {
        TimerAssert(Selection::new(self, "timer", name, OBSERVED))
    }

    /// About the histogram of this name; a timer is one.
    #[must_use]
    pub fn histogram(&self, name: &str) -> HistogramAssert<'_> {
        HistogramAssert(Selection::new(self, "histogram", name, OBSERVED))
    }

    /// Asserts that nothing was recorded at all.
    ///
    /// # Panics
    ///
    /// If something was.
    #[track_caller]
    pub fn nothing_recorded(&self) {
        let all = self.recorded();
        assert!(
            all.is_empty(),
            "nothing was to be recorded, but there is:{}",
            list(&all)
        );
    }

    /// Everything that was recorded, not merely looked up.
    fn recorded(&self) -> Vec<Reading> {
        let mut readings = self.registry.readings();
        readings.retain(|reading| match reading.value {
            ReadingValue::Number(value) => reading.kind != EventKind::Counter || value != 0.0,
            ReadingValue::Distribution { count, .. } => count > 0,
        });
        readings
    }
}

const OBSERVED: &[EventKind] = &[EventKind::Histogram, EventKind::Timer];

/// The series that an assertion is about.
#[derive(Clone, Debug)]
struct Selection<'a> {
    of: &'a MetricsAssert,
    /// What the assertion calls it.
    word: &'static str,
    name: String,
    kinds: &'static [EventKind],
    tags: Vec<(String, String)>,
}

impl<'a> Selection<'a> {
    fn new(
        of: &'a MetricsAssert,
        word: &'static str,
        name: &str,
        kinds: &'static [EventKind],
    ) -> Self {
        Self {
            of,
            word,
            name: metric_name(name).into(),
            kinds,
            tags: Vec::new(),
        }
    }

    fn with(mut self, tag: &str, value: &str) -> Self {
        self.tags.push((tag_name(tag).into(), value.into()));
        self
    }

    fn selected(&self) -> Vec<Reading> {
        let mut readings = self.of.recorded();
        readings.retain(|reading| {
            let tag_is = |(tag, value): &(String, String)| {
                reading.labels.value(tag).unwrap_or_default() == value
            };
            self.kinds.contains(&reading.kind)
                && reading.labels.metric_name() == Some(&self.name)
                && self.tags.iter().all(tag_is)
        });
        readings
    }

    /// Their sum, `None` if there are none.
    fn sum(&self, of: impl Fn(&ReadingValue) -> f64) -> Option<f64> {
        let selected = self.selected();
        let sum = selected.iter().map(|reading| of(&reading.value)).sum();
        (!selected.is_empty()).then_some(sum)
    }

    /// Fails if `is` is false of what there is.
    #[track_caller]
    fn check(&self, found: Option<f64>, what: &str, expected: &str, is: bool) {
        if is {
            return;
        }
        let mut message = format!("{} {}", self.word, self.name);
        for (at, (tag, value)) in self.tags.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            let _ = write!(message, "{before}{tag}={value:?}");
        }
        message.push_str(if self.tags.is_empty() { "" } else { "}" });
        let _ = match found {
            Some(found) => write!(message, " {what} {found}, expected {expected}"),
            None => write!(message, " is not recorded, expected {expected}"),
        };
        self.explain(&mut message);
        panic!("{message}");
    }

    /// Says what was recorded instead.
    fn explain(&self, message: &mut String) {
        let all = self.of.recorded();
        if all.is_empty() {
            message.push_str("\n  nothing is recorded at all");
            return;
        }
        let named = |reading: &&Reading| reading.labels.metric_name() == Some(&self.name);
        let same: Vec<_> = all.iter().filter(named).cloned().collect();
        if !same.is_empty() {
            let _ = write!(message, "\n  recorded under this name:{}", list(&same));
            return;
        }
        let names = all
            .iter()
            .filter_map(|reading| reading.labels.metric_name());
        let likeness = |name: &str| strsim::jaro_winkler(name, &self.name);
        let nearest = names.max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
        // Below this, names have nothing in common that a reader would see.
        let alike = nearest.filter(|name| likeness(name) > 0.7);
        match alike {
            Some(name) => {
                let _ = write!(message, "\n  did you mean {name}? recorded:{}", list(&all));
            }
            None => {
                let _ = write!(message, "\n  recorded:{}", list(&all));
            }
        }
    }
}

fn list(readings: &[Reading]) -> String {
    let mut text = String::new();
    for reading in readings.iter().take(LISTED_MAX) {
        let _ = write!(text, "\n  {} {} = ", reading.kind, reading.labels);
        let _ = match &reading.value {
            ReadingValue::Number(value) => write!(text, "{value}"),
            ReadingValue::Distribution { count, sum, .. } => {
                write!(text, "{count} observations of {sum} in all")
            }
        };
    }
    if readings.len() > LISTED_MAX {
        let _ = write!(text, "\n  and {} more", readings.len() - LISTED_MAX);
    }
    text
}

fn number(value: &ReadingValue) -> f64 {
    match value {
        ReadingValue::Number(value) => *value,
        ReadingValue::Distribution { sum, .. } => *sum,
    }
}

fn count(value: &ReadingValue) -> f64 {
    match value {
        ReadingValue::Number(value) => *value,
        ReadingValue::Distribution { count, .. } => *count as f64,
    }
}

/// The methods that all assertions have.
macro_rules! common {
    ($assert:ident) => {
        impl $assert<'_> {
            /// Looks only at series that have this tag; an empty value: that do not.
            #[must_use]
            pub fn with(self, tag: &str, value: &str) -> Self {
                Self(self.0.with(tag, value))
            }

            /// Asserts that there is none.
            ///
            /// # Panics
            ///
            /// If there is one.
            #[track_caller]
            pub fn not_recorded(&self) -> &Self {
                let found = self.0.sum(count);
                self.0.check(found, "is", "none", found.is_none());
                self
            }
        }
    };
}
common!(CounterAssert);
common!(GaugeAssert);
common!(TimerAssert);
common!(HistogramAssert);

/// Asserts what a counter came to.
#[derive(Clone, Debug)]
pub struct CounterAssert<'a>(Selection<'a>);

impl CounterAssert<'_> {
    /// Asserts that it came to exactly this; 0 is also what was never recorded.
    ///
    /// # Panics
    ///
    /// If it did not.
    #[track_caller]
    pub fn is(&self, total: impl Into<Total>) -> &Self {
        let (found, total) = (self.0.sum(number), total.into().0);
        let is = found.unwrap_or(0.0) == total;
        self.0.check(found, "is", &total.to_string(), is);
        self
    }

    /// Asserts that it came to this or more.
    ///
    /// # Panics
    ///
    /// If it did not.
    #[track_caller]
    pub fn at_least(&self, total: impl Into<Total>) -> &Self {
        let (found, total) = (self.0.sum(number), total.into().0);
        let is = found.unwrap_or(0.0) >= total;
        self.0.check(found, "is", &format!("at least {total}"), is);
        self
    }
}

/// What a counter may come to: a whole number or a float.
#[derive(Clone, Copy, Debug)]
pub struct Total(f64);

impl From<f64> for Total {
    fn from(total: f64) -> Self {
        Self(total)
    }
}

impl From<i32> for Total {
    fn from(total: i32) -> Self {
        Self(total.into())
    }
}

impl From<u64> for Total {
    fn from(total: u64) -> Self {
        Self(total as f64)
    }
}

/// Asserts what a gauge is.
#[derive(Clone, Debug)]
pub struct GaugeAssert<'a>(Selection<'a>);

impl GaugeAssert<'_> {
    /// Asserts that it is exactly this; NaN is NaN. Of several series it is the sum.
    ///
    /// # Panics
    ///
    /// If it is not.
    #[track_caller]
    pub fn is(&self, value: f64) -> &Self {
        let found = self.0.sum(number);
        let is = found.is_some_and(|found| found == value || found.is_nan() && value.is_nan());
        self.0.check(found, "is", &value.to_string(), is);
        self
    }

    /// Asserts that it is this, or off by no more than `tolerance`.
    ///
    /// # Panics
    ///
    /// If it is not.
    #[track_caller]
    pub fn is_about(&self, value: f64, tolerance: f64) -> &Self {
        let found = self.0.sum(number);
        let is = found.is_some_and(|found| (found - value).abs() <= tolerance);
        self.0
            .check(found, "is", &format!("{value} ± {tolerance}"), is);
        self
    }
}

/// Asserts what a timer timed.
#[derive(Clone, Debug)]
pub struct TimerAssert<'a>(Selection<'a>);

impl TimerAssert<'_> {
    /// Asserts that exactly so many calls were timed.
    ///
    /// # Panics
    ///
    /// If it were others.
    #[track_caller]
    pub fn called(&self, times: u64) -> &Self {
        let found = self.0.sum(count);
        let is = found.unwrap_or(0.0) == times as f64;
        self.0
            .check(found, "was called this often:", &times.to_string(), is);
        self
    }

    /// Asserts that so many calls or more were timed.
    ///
    /// # Panics
    ///
    /// If it were fewer.
    #[track_caller]
    pub fn called_at_least(&self, times: u64) -> &Self {
        let found = self.0.sum(count);
        let is = found.unwrap_or(0.0) >= times as f64;
        self.0.check(
            found,
            "was called this often:",
            &format!("at least {times}"),
            is,
        );
        self
    }

    /// Asserts that all calls together took so long or longer.
    ///
    /// # Panics
    ///
    /// If they took less.
    #[track_caller]
    pub fn took_at_least(&self, time: Duration) -> &Self {
        let found = self.0.sum(number);
        let seconds = time.as_secs_f64();
        let is = found.unwrap_or(0.0) >= seconds;
        self.0
            .check(found, "took seconds:", &format!("at least {seconds}"), is);
        self
    }
}

/// Asserts what a histogram observed.
#[derive(Clone, Debug)]
pub struct HistogramAssert<'a>(Selection<'a>);

impl HistogramAssert<'_> {
    /// Asserts that there were exactly so many observations.
    ///
    /// # Panics
    ///
    /// If there were others.
    #[track_caller]
    pub fn count_is(&self, observations: u64) -> &Self {
        let found = self.0.sum(count);
        let is = found.unwrap_or(0.0) == observations as f64;
        self.0.check(
            found,
            "has this many observations:",
            &observations.to_string(),
            is,
        );
        self
    }

    /// Asserts that the observations add up to exactly this.
    ///
    /// # Panics
    ///
    /// If they do not.
    #[track_caller]
    pub fn sum_is(&self, sum: f64) -> &Self {
        let found = self.0.sum(number);
        let is = found == Some(sum);
        self.0.check(found, "adds up to", &sum.to_string(), is);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn sample() -> MetricsAssert {
        let recorded = MetricsAssert::new();
        let registry = recorded.registry();
        registry
            .with([("route", "/"), ("code", "200")])
            .increment("requests", 3);
        registry
            .with([("route", "/items")])
            .increment("requests", 4);
        registry.set("queue.depth", 2.5);
        registry.observe("size_bytes", 100.0);
        registry
            .timer("load_seconds")
            .record(Duration::from_millis(250));
        let _ = registry.counter("never_incremented");
        recorded
    }

    /// What a failing assertion says.
    fn failure(assertion: impl FnOnce(&MetricsAssert)) -> String {
        let recorded = sample();
        let panic = catch_unwind(AssertUnwindSafe(|| assertion(&recorded)));
        *panic.expect_err("it fails").downcast::<String>().unwrap()
    }

    #[test]
    fn what_is_true_passes() {
        let recorded = sample();
        recorded.counter("requests").is(7).at_least(7).at_least(6.5);
        recorded.counter("requests").with("route", "/").is(3);
        recorded.counter("requests").with("code", "").is(4);
        recorded
            .counter("requests")
            .with("route", "/none")
            .not_recorded()
            .is(0);
        recorded.counter("never_incremented").not_recorded();
        recorded.gauge("queue.depth").is(2.5).is_about(2.4, 0.11);
        recorded.timer("load_seconds").called(1).called_at_least(1);
        recorded
            .timer("load_seconds")
            .took_at_least(Duration::from_millis(250));
        recorded.timer("never").called(0);
        recorded.histogram("size_bytes").count_is(1).sum_is(100.0);
        MetricsAssert::new().nothing_recorded();
        let registry = Registry::new();
        registry.set("x", f64::NAN);
        MetricsAssert::of(&registry).gauge("x").is(f64::NAN);
    }

    #[test]
    fn a_failure_says_what_is_recorded_under_the_name() {
        let said = failure(|recorded| {
            recorded.counter("requests").with("route", "/").is(4);
        });
        let expected = "counter requests{route=\"/\"} is 3, expected 4\n  recorded under this name:\
            \n  counter requests{code=\"200\",route=\"/\"} = 3\n  counter requests{route=\"/items\"} = 4";
        assert_eq!(said, expected);
        let said = failure(|recorded| {
            recorded.timer("load_seconds").called(2);
        });
        let expected = "timer load_seconds was called this often: 1, expected 2\
            \n  recorded under this name:\n  timer load_seconds = 1 observations of 0.25 in all";
        assert_eq!(said, expected);
    }

    #[test]
    fn a_failure_knows_the_nearest_name() {
        let said = failure(|recorded| {
            recorded.counter("reqests").is(7);
        });
        let first: Vec<_> = said.lines().take(3).collect();
        let expected = [
            "counter reqests is not recorded, expected 7",
            "  did you mean requests? recorded:",
            "  timer load_seconds = 1 observations of 0.25 in all",
        ];
        assert_eq!(first, expected);
        let said = failure(|recorded| {
            recorded.gauge("zzz").is(0.0);
        });
        assert!(!said.contains("did you mean"), "{said}");
    }

    #[test]
    fn every_assertion_can_fail() {
        let failures: [fn(&MetricsAssert); 11] = [
            |recorded| {
                recorded.counter("requests").at_least(8);
            },
            |recorded| {
                recorded.counter("requests").not_recorded();
            },
            |recorded| {
                recorded.gauge("queue.depth").is(2.0);
            },
            |recorded| {
                recorded.gauge("queue.depth").is_about(2.0, 0.1);
            },
            |recorded| {
                recorded.gauge("requests").is(7.0);
            },
            |recorded| {
                recorded.timer("load_seconds").called_at_least(2);
            },
            |recorded| {
                recorded
                    .timer("load_seconds")
                    .took_at_least(Duration::from_secs(1));
            },
            |recorded| {
                recorded.histogram("size_bytes").count_is(2);
            },
            |recorded| {
                recorded.histogram("size_bytes").sum_is(99.0);
            },
            |recorded| {
                recorded
                    .histogram("size_bytes")
                    .with("a", "b")
                    .sum_is(100.0);
            },
            MetricsAssert::nothing_recorded,
        ];
        for assertion in failures {
            assert!(!failure(assertion).is_empty());
        }
    }

    #[test]
    fn a_failure_before_anything_is_recorded_says_so() {
        let recorded = MetricsAssert::new();
        let panic = catch_unwind(AssertUnwindSafe(|| {
            recorded.counter("x").is(1);
        }));
        let said = *panic.unwrap_err().downcast::<String>().unwrap();
        assert_eq!(
            said,
            "counter x is not recorded, expected 1\n  nothing is recorded at all"
        );
    }
}
