//! Why an aggregation was refused.

use alloc::boxed::Box;
use core::error::Error;
use core::fmt::{self, Display, Formatter};

use super::limits::STATISTICS_MAX;

/// Why an aggregation was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AggregateError {
    /// A window of no length.
    EmptyWindow,
    /// The last window would end before the first.
    EndBeforeStart {
        /// Where the first ends, in Unix milliseconds.
        start_ms: i64,
        /// Where the last may end.
        end_ms: i64,
    },
    /// Several windows, and no time from one to the next.
    NoStep,
    /// A grouping by what is no label name.
    InvalidLabel {
        /// The name as given, up to 64 characters of it.
        name: Box<str>,
    },
    /// No statistic is asked for.
    NoStatistic,
    /// More statistics than [`STATISTICS_MAX`].
    StatisticLimit {
        /// How many.
        statistics: usize,
    },
    /// More windows than [`AggregateLimits::steps_max`](super::AggregateLimits::steps_max).
    StepLimit {
        /// How many.
        steps: u64,
        /// The limit.
        limit: u64,
    },
    /// More series than [`AggregateLimits::series_max`](super::AggregateLimits::series_max).
    SeriesLimit {
        /// The limit.
        limit: usize,
    },
    /// More groups than [`AggregateLimits::groups_max`](super::AggregateLimits::groups_max).
    GroupLimit {
        /// The limit.
        limit: usize,
    },
    /// More numbers than [`AggregateLimits::results_max`](super::AggregateLimits::results_max).
    ResultLimit {
        /// How many.
        results: u64,
        /// The limit.
        limit: u64,
    },
    /// More samples to look at than [`AggregateLimits::samples_max`](super::AggregateLimits::samples_max).
    SampleLimit {
        /// The limit.
        limit: u64,
    },
}

impl Display for AggregateError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyWindow => f.write_str("the window has no length"),
            Self::EndBeforeStart { start_ms, end_ms } => {
                write!(f, "the end {end_ms} ms is before the start {start_ms} ms")
            }
            Self::NoStep => f.write_str("the step is 0, and start and end are not the same"),
            Self::InvalidLabel { name } => write!(f, "cannot group by {name:?}: no label name"),
            Self::NoStatistic => f.write_str("no statistic is asked for"),
            Self::StatisticLimit { statistics } => {
                write!(f, "{statistics} statistics, the limit is {STATISTICS_MAX}")
            }
            Self::StepLimit { steps, limit } => {
                write!(f, "{steps} steps, the limit is {limit}: take longer ones")
            }
            Self::SeriesLimit { limit } => write!(f, "more than {limit} series match"),
            Self::GroupLimit { limit } => write!(f, "more than {limit} groups"),
            Self::ResultLimit { results, limit } => {
                write!(
                    f,
                    "{results} results of groups, steps and statistics, the limit is {limit}"
                )
            }
            Self::SampleLimit { limit } => {
                write!(f, "more than {limit} samples would have to be looked at")
            }
        }
    }
}

impl Error for AggregateError {}
