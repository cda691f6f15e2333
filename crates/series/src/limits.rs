//! The bounds of a store, and the count of what they and the rule for times refused.

use crate::error::AppendError;
use crate::ring::POINTS_PER_SERIES_MAX;

/// How many series a store holds unless told otherwise. A node of 128 cores has some 3,000.
pub const SERIES_MAX: usize = 20_000;

/// How many bytes the samples of a store take unless told otherwise: what the answer cache may take too.
pub const SAMPLE_BYTES_MAX: usize = 64 * 1_024 * 1_024;

/// How many samples a store holds unless told otherwise: as many as take that much at two bytes each. Steady ones take
/// less, and would let the time of a query over all of them grow with no bound.
pub const SAMPLES_MAX: usize = SAMPLE_BYTES_MAX / 2;

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
    /// How many bytes the rings of all series may take. At the limit a series makes room by its oldest chunk, or by its
    /// oldest point if it has none; and a new series is refused. What one sample adds may go past it.
    pub bytes_max: usize,
    /// How much older than the newest point of its series a point may be, in milliseconds. What is older goes at the
    /// next sample of the series, by whole chunks; `u64::MAX` keeps points of any age.
    pub age_max_ms: u64,
    /// How many metrics may be described; one more is refused.
    pub metadata_max: usize,
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            series_max: SERIES_MAX,
            points_per_series_max: POINTS_PER_SERIES_MAX,
            samples_max: SAMPLES_MAX,
            bytes_max: SAMPLE_BYTES_MAX,
            age_max_ms: u64::MAX,
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
    /// Of a new series when the store was full of bytes.
    pub byte_limit: u64,
}

impl Refused {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.out_of_order
            .saturating_add(self.duplicate)
            .saturating_add(self.series_limit)
            .saturating_add(self.sample_limit)
            .saturating_add(self.byte_limit)
    }

    pub(crate) fn count(&mut self, error: AppendError) {
        let counter = match error {
            AppendError::OutOfOrder { .. } => &mut self.out_of_order,
            AppendError::Duplicate { .. } => &mut self.duplicate,
            AppendError::SeriesLimit { .. } => &mut self.series_limit,
            AppendError::SampleLimit { .. } => &mut self.sample_limit,
            AppendError::ByteLimit { .. } => &mut self.byte_limit,
        };
        *counter = counter.saturating_add(1);
    }
}
