//! What can be asked of Tidegate's own series over windows: statistics of groups of them.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use tidegate_series::{AggregateError, Grouping, Statistic, Steps};

use crate::{QueryError, Range, RangeError, UnixMillis};

/// A question about windows.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregation {
    /// Which series: those that any of these selectors wants, each once; none is all.
    pub selectors: Vec<String>,
    /// How long each window is, 1 ms or more. It is open at its start and closed at its end.
    pub window: Duration,
    /// Where the window ends; `None` is now.
    pub time: Option<UnixMillis>,
    /// In place of `time`, the ends of several windows.
    pub range: Option<Range>,
    /// Which series are taken together. The metric's name is a label as any: whoever groups by
    /// labels and wants metrics apart groups by `__name__`, too.
    pub grouping: Grouping,
    /// What is told of each group and window, in this order.
    pub statistics: Vec<Statistic>,
}

impl Aggregation {
    /// The windows it is about.
    ///
    /// # Errors
    /// A range that is none.
    pub fn steps(&self, now: UnixMillis) -> Result<Steps, RangeError> {
        let Some(range) = self.range else {
            return Ok(Steps::once(self.time.unwrap_or(now).0));
        };
        range.check()?;
        // Samples lie on milliseconds.
        let step_ms = u64::try_from(range.step.as_millis()).unwrap_or(u64::MAX);
        Ok(Steps {
            start_ms: range.start.0,
            end_ms: range.end.0,
            step_ms: step_ms.max(1),
        })
    }
}

/// Why there is no aggregation; whoever asked is to blame.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum AggregationError {
    /// What selects the series is wrong.
    Selector(QueryError),
    /// The range is none.
    Range(RangeError),
    /// It cannot be told, or it would be too much.
    Aggregate(AggregateError),
}

impl fmt::Display for AggregationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Selector(error) => error.fmt(f),
            Self::Range(error) => error.fmt(f),
            Self::Aggregate(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for AggregationError {}
