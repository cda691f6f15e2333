//! What this crate refuses, and the words for it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::error::Error;
use core::fmt::{self, Display, Formatter};

/// Why a label set was refused. Positions count from 0 over the pairs as given.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LabelsError {
    /// A label has no name.
    EmptyName {
        /// Which pair.
        position: usize,
    },
    /// A name outside `[a-zA-Z_][a-zA-Z0-9_]*`.
    InvalidName {
        /// The name as given.
        name: Box<str>,
        /// Which pair.
        position: usize,
    },
    /// A metric name outside `[a-zA-Z_:][a-zA-Z0-9_:]*`.
    InvalidMetricName {
        /// The metric name as given.
        name: Box<str>,
        /// Which pair.
        position: usize,
    },
    /// One name twice.
    DuplicateName {
        /// The name.
        name: Box<str>,
    },
    /// A name above [`LABEL_NAME_BYTES_MAX`](crate::LABEL_NAME_BYTES_MAX).
    NameTooLong {
        /// Its length.
        bytes: usize,
        /// Which pair.
        position: usize,
    },
    /// A value above [`LABEL_VALUE_BYTES_MAX`](crate::LABEL_VALUE_BYTES_MAX).
    ValueTooLong {
        /// The label's name.
        name: Box<str>,
        /// The value's length.
        bytes: usize,
    },
    /// More pairs than [`LABELS_PER_SERIES_MAX`](crate::LABELS_PER_SERIES_MAX).
    TooMany,
}

impl Display for LabelsError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyName { position } => write!(f, "label {position} has no name"),
            Self::InvalidName { name, position } => {
                write!(f, "label {position} has an invalid name {name:?}")
            }
            Self::InvalidMetricName { name, position } => {
                write!(f, "label {position} holds an invalid metric name {name:?}")
            }
            Self::DuplicateName { name } => write!(f, "label {name:?} appears twice"),
            Self::NameTooLong { bytes, position } => {
                let limit = crate::LABEL_NAME_BYTES_MAX;
                write!(
                    f,
                    "the name of label {position} has {bytes} bytes, the limit is {limit}"
                )
            }
            Self::ValueTooLong { name, bytes } => {
                let limit = crate::LABEL_VALUE_BYTES_MAX;
                write!(
                    f,
                    "the value of label {name:?} has {bytes} bytes, the limit is {limit}"
                )
            }
            Self::TooMany => {
                write!(
                    f,
                    "more than {} labels on one series",
                    crate::LABELS_PER_SERIES_MAX
                )
            }
        }
    }
}

impl Error for LabelsError {}

/// Why a matcher was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MatcherError {
    /// A label name outside `[a-zA-Z_][a-zA-Z0-9_]*`.
    InvalidName {
        /// The name as given.
        name: Box<str>,
    },
    /// A pattern above [`PATTERN_BYTES_MAX`](crate::PATTERN_BYTES_MAX).
    PatternTooLong {
        /// The label the matcher is about.
        name: Box<str>,
        /// The pattern's length.
        bytes: usize,
    },
    /// A pattern whose program would exceed [`COMPILED_BYTES_MAX`](crate::COMPILED_BYTES_MAX).
    PatternTooBig {
        /// The label the matcher is about.
        name: Box<str>,
        /// The pattern.
        pattern: Box<str>,
    },
    /// A pattern that is no regular expression.
    InvalidPattern {
        /// The label the matcher is about.
        name: Box<str>,
        /// The pattern.
        pattern: Box<str>,
        /// What is wrong with it, in the words of the regex engine.
        reason: Box<str>,
    },
}

impl Display for MatcherError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidName { name } => write!(f, "matcher on an invalid label name {name:?}"),
            Self::PatternTooLong { name, bytes } => {
                let limit = crate::PATTERN_BYTES_MAX;
                write!(
                    f,
                    "the pattern for {name:?} has {bytes} bytes, the limit is {limit}"
                )
            }
            Self::PatternTooBig { name, pattern } => {
                let limit = crate::COMPILED_BYTES_MAX;
                write!(
                    f,
                    "the pattern {pattern:?} for {name:?} needs more than {limit} bytes"
                )
            }
            Self::InvalidPattern {
                name,
                pattern,
                reason,
            } => {
                write!(
                    f,
                    "the pattern {pattern:?} for {name:?} is no regular expression: {reason}"
                )
            }
        }
    }
}

impl Error for MatcherError {}

/// Why a sample was refused. What was held before stays as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AppendError {
    /// The sample is older than the newest one of its series.
    OutOfOrder {
        /// The time refused, in Unix milliseconds.
        t_ms: i64,
        /// The time of the newest sample held, in Unix milliseconds.
        newest_ms: i64,
    },
    /// The series has another value at this very time.
    Duplicate {
        /// The time refused, in Unix milliseconds.
        t_ms: i64,
    },
    /// A new series would exceed [`StoreLimits::series_max`](crate::StoreLimits::series_max).
    SeriesLimit {
        /// The limit.
        limit: usize,
    },
    /// A new series would exceed [`StoreLimits::series_per_metric_max`](crate::StoreLimits::series_per_metric_max), or
    /// what a rule says of its metric.
    SeriesPerMetricLimit {
        /// The metric, empty for series without a name.
        metric: Arc<str>,
        /// The limit.
        limit: usize,
    },
    /// A new series has more labels than
    /// [`StoreLimits::labels_per_series_max`](crate::StoreLimits::labels_per_series_max).
    LabelsPerSeriesLimit {
        /// Its metric, empty for series without a name.
        metric: Arc<str>,
        /// How many it has, its name included.
        labels: usize,
        /// The limit.
        limit: usize,
    },
    /// A new series would exceed [`StoreLimits::values_per_label_max`](crate::StoreLimits::values_per_label_max), or
    /// what a rule says of its metric.
    ValuesPerLabelLimit {
        /// Its metric, empty for series without a name.
        metric: Arc<str>,
        /// The label's name.
        label: Arc<str>,
        /// The limit.
        limit: usize,
    },
    /// A new series would exceed [`StoreLimits::samples_max`](crate::StoreLimits::samples_max).
    SampleLimit {
        /// The limit.
        limit: usize,
    },
    /// A new series would exceed [`StoreLimits::bytes_max`](crate::StoreLimits::bytes_max).
    ByteLimit {
        /// The limit.
        limit: usize,
    },
}

impl AppendError {
    /// The word for it, the same whatever the sample: `out-of-order`.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::OutOfOrder { .. } => "out-of-order",
            Self::Duplicate { .. } => "duplicate",
            Self::SeriesLimit { .. } => "series-limit",
            Self::SeriesPerMetricLimit { .. } => "series-per-metric-limit",
            Self::LabelsPerSeriesLimit { .. } => "labels-per-series-limit",
            Self::ValuesPerLabelLimit { .. } => "values-per-label-limit",
            Self::SampleLimit { .. } => "sample-limit",
            Self::ByteLimit { .. } => "byte-limit",
        }
    }

    /// The label whose values are too many, where that is the reason.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        let Self::ValuesPerLabelLimit { label, .. } = self else {
            return None;
        };
        Some(label)
    }
}

impl Display for AppendError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfOrder { t_ms, newest_ms } => {
                write!(
                    f,
                    "sample at {t_ms} ms is older than the newest at {newest_ms} ms"
                )
            }
            Self::Duplicate { t_ms } => {
                write!(f, "another value is already held at {t_ms} ms")
            }
            Self::SeriesLimit { limit } => write!(
                f,
                "the limit of {limit} series is reached: record fewer, or raise series_max"
            ),
            Self::SeriesPerMetricLimit { metric, limit } => write!(
                f,
                "metric {metric:?} has its limit of {limit} series: drop a label of it, or raise series_per_metric_max"
            ),
            Self::LabelsPerSeriesLimit {
                metric,
                labels,
                limit,
            } => write!(
                f,
                "a series of metric {metric:?} has {labels} labels, the limit is {limit}: drop some, or raise labels_per_series_max"
            ),
            Self::ValuesPerLabelLimit {
                metric,
                label,
                limit,
            } => write!(
                f,
                "label {label:?} of metric {metric:?} has its limit of {limit} values: drop the label, or raise values_per_label_max"
            ),
            Self::SampleLimit { limit } => write!(
                f,
                "the limit of {limit} samples is reached: record fewer series, or keep fewer points"
            ),
            Self::ByteLimit { limit } => write!(
                f,
                "the limit of {limit} bytes of samples is reached: record fewer series, or raise bytes_max"
            ),
        }
    }
}

impl Error for AppendError {}

/// Why the description of a metric was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DescribeError {
    /// A metric name outside `[a-zA-Z_:][a-zA-Z0-9_:]*`, or longer than
    /// [`LABEL_VALUE_BYTES_MAX`](crate::LABEL_VALUE_BYTES_MAX).
    InvalidName {
        /// The name as given, up to its limit.
        name: Box<str>,
    },
    /// A unit above [`UNIT_BYTES_MAX`](crate::UNIT_BYTES_MAX).
    UnitTooLong {
        /// Its length.
        bytes: usize,
    },
    /// A help text above [`HELP_BYTES_MAX`](crate::HELP_BYTES_MAX).
    HelpTooLong {
        /// Its length.
        bytes: usize,
    },
    /// A new metric would exceed [`StoreLimits::metadata_max`](crate::StoreLimits::metadata_max).
    MetadataLimit {
        /// The limit.
        limit: usize,
    },
}

impl Display for DescribeError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidName { name } => write!(f, "invalid metric name {name:?}"),
            Self::UnitTooLong { bytes } => {
                write!(
                    f,
                    "the unit has {bytes} bytes, the limit is {}",
                    crate::UNIT_BYTES_MAX
                )
            }
            Self::HelpTooLong { bytes } => {
                write!(
                    f,
                    "the help text has {bytes} bytes, the limit is {}",
                    crate::HELP_BYTES_MAX
                )
            }
            Self::MetadataLimit { limit } => {
                write!(f, "the limit of {limit} described metrics is reached")
            }
        }
    }
}

impl Error for DescribeError {}

/// Why bytes are no chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChunkError {
    /// They end too early.
    Truncated {
        /// How many there are.
        bytes: usize,
    },
    /// They go on after the end.
    TooLong {
        /// How many there are.
        bytes: usize,
    },
    /// They say what no chunk says.
    Invalid {
        /// The position of a byte that is wrong, counted from 0.
        position: usize,
    },
    /// They speak of more values than [`ENCODED_VALUES_MAX`](crate::ENCODED_VALUES_MAX).
    TooMany {
        /// Of how many.
        count: u64,
    },
}

impl Display for ChunkError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { bytes } => write!(f, "chunk ends early, after {bytes} bytes"),
            Self::TooLong { bytes } => write!(f, "chunk of {bytes} bytes goes on after its end"),
            Self::Invalid { position } => write!(f, "chunk is wrong at byte {position}"),
            Self::TooMany { count } => {
                let limit = crate::ENCODED_VALUES_MAX;
                write!(f, "chunk of {count} values, the limit is {limit}")
            }
        }
    }
}

impl Error for ChunkError {}
