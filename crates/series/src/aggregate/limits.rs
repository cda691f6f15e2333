//! The bounds of one aggregation.

use crate::limits::SERIES_MAX;

/// How many statistics one query may ask for: more than there are without their numbers.
pub const STATISTICS_MAX: usize = 32;

/// How many windows one query may ask for: as many as points of a range query.
pub const AGGREGATE_STEPS_MAX: u64 = 11_000;

/// How many samples one aggregation may look at unless told otherwise, each as often as windows are added up that it
/// lies in: the number of Prometheus' `query.max-samples`. It takes well below a second.
pub const AGGREGATE_SAMPLES_MAX: u64 = 50_000_000;

/// How many numbers one aggregation may tell unless told otherwise: 16 MiB of them, and some 30 MB of text.
pub const AGGREGATE_RESULTS_MAX: u64 = 1 << 20;

/// Up to how many samples of a group and window quantiles are exact unless told otherwise: eleven series of a day,
/// in half a MiB.
pub const EXACT_SAMPLES_MAX: usize = 1 << 16;

/// The bounds of one aggregation. Zeros are allowed and refuse everything they count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AggregateLimits {
    /// How many series may match; one more is an error.
    pub series_max: usize,
    /// How many groups there may be; one more is an error.
    pub groups_max: usize,
    /// How many windows; one more is an error.
    pub steps_max: u64,
    /// How many samples may be looked at; a query that needs more is an error, told before it is done.
    pub samples_max: u64,
    /// How many numbers: groups × windows × statistics; more are an error.
    pub results_max: u64,
    /// Up to how many samples of a group and window quantiles are exact; with more, a [`Sketch`](crate::Sketch) tells
    /// them.
    pub exact_samples_max: usize,
}

impl Default for AggregateLimits {
    fn default() -> Self {
        Self {
            series_max: SERIES_MAX,
            groups_max: SERIES_MAX,
            steps_max: AGGREGATE_STEPS_MAX,
            samples_max: AGGREGATE_SAMPLES_MAX,
            results_max: AGGREGATE_RESULTS_MAX,
            exact_samples_max: EXACT_SAMPLES_MAX,
        }
    }
}
