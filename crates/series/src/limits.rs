//! The bounds of a store, and the count of what they and the rule for times refused.

use crate::error::AppendError;
use crate::ring::POINTS_PER_SERIES_MAX;

/// How many series a store holds unless told otherwise. A node of 128 cores has some 3,000.
pub const SERIES_MAX: usize = 20_000;

/// How many samples a store holds unless told otherwise: 64 MiB of them, what the answer cache may take too.
pub const SAMPLES_MAX: usize = 64 * 1_024 * 1_024 / size_of::<(i64, f64)>();

/// How many metrics may be described unless told otherwise. Described ones outlive their series.
pub const METADATA_MAX: usize = 5_000;

/// The bounds of a store. Zeros are allowed and refuse everything they count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreLimits {
    /// How many series; one more is refused.
    pub series_max: usize,
    /// How many points per series; one more drives out the oldest. 0 is taken as 1.
    pub points_per_series_max: usize,
    /// How many samples in all. At the limit a series makes room from its own oldest points, and a new series is
    /// refused.
    pub samples_max: usize,
    /// How many metrics may be described; one more is refused.
    pub metadata_max: usize,
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            series_max: SERIES_MAX,
            points_per_series_max: POINTS_PER_SERIES_MAX,
            samples_max: SAMPLES_MAX,
            metadata_max: METADATA_MAX,
        }
    }
}

/// How many samples were refused, by reason, since the store was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Refused {
    /// Older than the newest of their series.
    pub out_of_order: u64,
    /// At a time that has another value.
    pub duplicate: u64,
    /// Of a series too many.
    pub series_limit: u64,
    /// Of a new series when the store was full of samples.
    pub sample_limit: u64,
}

impl Refused {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.out_of_order
            .saturating_add(self.duplicate)
            .saturating_add(self.series_limit)
            .saturating_add(self.sample_limit)
    }

    pub(crate) fn count(&mut self, error: AppendError) {
        let counter = match error {
            AppendError::OutOfOrder { .. } => &mut self.out_of_order,
            AppendError::Duplicate { .. } => &mut self.duplicate,
            AppendError::SeriesLimit { .. } => &mut self.series_limit,
            AppendError::SampleLimit { .. } => &mut self.sample_limit,
        };
        *counter = counter.saturating_add(1);
    }
}
