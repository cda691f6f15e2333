//! Aggregation: one number per statistic, group of series and window, over all a store holds.
//!
//! A series belongs to the group of its labels, or of some of them. The samples that the series of a group have in a
//! window are taken together for `count`, `sum`, `avg`, `min`, `max`, `stddev`, `stdvar` and the quantiles, so that
//! each sample weighs the same. `first` and `last` are the oldest and the newest of them; of several at one time, that
//! of the series first in the order of labels. `rate`, `increase` and `delta` are told for each series and added up,
//! without the series of a single sample; `ema` and `sma` are told for each series too, and the group has their mean.
//!
//! What the statistics are, and what NaNs and infinities do to them, is told by [`Statistic`] and its module. Every NaN
//! in a result is the same one, so that results are equal bit for bit on every target.

mod error;
mod grouping;
mod limits;
mod pool;
mod run;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use crate::labels::Labels;
use crate::matcher::Matcher;
use crate::window::Statistic;

pub use error::AggregateError;
pub use grouping::Grouping;
pub use limits::{
    AGGREGATE_RESULTS_MAX, AGGREGATE_SAMPLES_MAX, AGGREGATE_STEPS_MAX, AggregateLimits,
    EXACT_SAMPLES_MAX, STATISTICS_MAX,
};
pub use run::aggregate;

/// What is asked of a store.
///
/// ```
/// use tidegate_series::{
///     AggregateLimits, AggregateQuery, Grouping, Labels, MatchOp, Matcher, Statistic, Steps, Store, aggregate,
/// };
///
/// let mut store = Store::default();
/// for (node, values) in [("a", [1.0, 2.0]), ("b", [3.0, 6.0])] {
///     let labels = Labels::from_pairs([("__name__", "load"), ("node", node)])?;
///     for (second, value) in values.into_iter().enumerate() {
///         store.append(&labels, second as i64 * 1_000, value)?;
///     }
/// }
/// let query = AggregateQuery {
///     selectors: vec![vec![Matcher::new("__name__", MatchOp::Equal, "load")?]],
///     window_ms: 300_000,
///     steps: Steps::once(60_000),
///     grouping: Grouping::By(vec!["__name__".into()]),
///     statistics: vec![Statistic::Avg, Statistic::Max],
/// };
/// let groups = aggregate(&store, &query, &AggregateLimits::default())?;
/// assert_eq!(groups[0].labels.to_string(), "load");
/// assert_eq!(groups[0].points[0].values, [Some(3.0), Some(6.0)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct AggregateQuery {
    /// Which series: those that pass every matcher of one of these, each series once. One without matchers selects
    /// all, no selector none.
    pub selectors: Vec<Vec<Matcher>>,
    /// How long each window is, in milliseconds, at least 1. It is open at its start and closed at its end.
    pub window_ms: u64,
    /// Where the windows end.
    pub steps: Steps,
    /// Which series are taken together.
    pub grouping: Grouping,
    /// What is told of each group and window, in this order.
    pub statistics: Vec<Statistic>,
}

/// The ends of windows: at the start, and each step after it that is not past the end. In milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    /// The first end, in Unix milliseconds.
    pub start_ms: i64,
    /// No end is later, in Unix milliseconds; not before the start.
    pub end_ms: i64,
    /// From one end to the next; at least 1, unless start and end are the same.
    pub step_ms: u64,
}

impl Steps {
    /// One window, which ends here.
    #[must_use]
    pub const fn once(at_ms: i64) -> Self {
        Self {
            start_ms: at_ms,
            end_ms: at_ms,
            step_ms: 0,
        }
    }

    /// How many windows; `None` for an end before the start or steps of nothing.
    #[must_use]
    pub const fn count(&self) -> Option<u64> {
        if self.end_ms < self.start_ms {
            return None;
        }
        match self.end_ms.abs_diff(self.start_ms) {
            0 => Some(1),
            span_ms => match span_ms.checked_div(self.step_ms) {
                Some(steps) => Some(steps.saturating_add(1)),
                None => None,
            },
        }
    }

    /// Where the nth window ends, for an `nth` below the count.
    fn end_of(&self, nth: u64) -> i64 {
        self.start_ms
            .saturating_add_unsigned(nth.saturating_mul(self.step_ms))
    }
}

/// What is told of one group.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The labels that the series of the group have in common by the grouping.
    pub labels: Labels,
    /// Its windows in the order of time, without those that no sample lies in; at least one.
    pub points: Vec<GroupPoint>,
}

/// What is told of one group and window.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupPoint {
    /// Where the window ends, in Unix milliseconds.
    pub end_ms: i64,
    /// One for each statistic asked for, in that order. `None` where a statistic needs more samples than there are, as
    /// a rate does; never for want of memory or time.
    pub values: Vec<Option<f64>>,
    /// Whether quantiles are estimates: the window has more than
    /// [`AggregateLimits::exact_samples_max`] samples. The other statistics are exact always.
    pub approximate: bool,
}
