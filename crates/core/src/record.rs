//! Samples that are pushed into Tidegate, and the verdict on them.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use tidegate_series::{AppendError, DescribeError, Family, LabelsError, Sample};

/// A batch pushed by a source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// The pushing source's name.
    pub source: String,
    /// Descriptions of metrics; the newest wins.
    pub families: Vec<Family>,
    /// The samples, in any order across series, in time order within each.
    pub samples: Vec<Sample>,
}

/// What became of a batch. One refused sample does not touch the others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recorded {
    /// How many samples were taken.
    pub accepted: usize,
    /// The refused ones: index in the batch, and why.
    pub refused: Vec<(usize, Refusal)>,
    /// The refused descriptions: index in the batch, and why.
    pub families_refused: Vec<(usize, DescribeError)>,
}

/// Why one sample was refused; its sender is to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// It does not fit its series, or there is no room for its series.
    Append(AppendError),
    /// Its labels are none that a series here may have.
    Labels(LabelsError),
    /// Its series is one that tells of the scrape itself.
    Reserved,
    /// One of the same labels and time stands before it in the same text.
    Repeated {
        /// Its line, from 1.
        line: usize,
    },
    /// It claims a time that has not come yet.
    TooFarAhead {
        /// The time it claims, in milliseconds since 1970 UTC.
        timestamp_ms: i64,
        /// The latest that would be taken.
        latest_ms: i64,
    },
}

impl Refusal {
    /// The word for it, the same whatever the sample: `out-of-order`.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Append(error) => error.reason(),
            Self::Labels(_) => "labels",
            Self::Reserved => "reserved",
            Self::Repeated { .. } => "repeated",
            Self::TooFarAhead { .. } => "too-far-ahead",
        }
    }

    /// Whether there was no room for it, so that it may be taken once others have left.
    pub const fn is_full(&self) -> bool {
        matches!(
            self,
            Self::Append(
                AppendError::SeriesLimit { .. }
                    | AppendError::SeriesPerMetricLimit { .. }
                    | AppendError::ValuesPerLabelLimit { .. }
                    | AppendError::SampleLimit { .. }
                    | AppendError::ByteLimit { .. }
            )
        )
    }

    /// The label that is to blame, where one is.
    pub fn label(&self) -> Option<&str> {
        match self {
            Self::Append(error) => error.label(),
            Self::Labels(_) | Self::Reserved | Self::Repeated { .. } | Self::TooFarAhead { .. } => {
                None
            }
        }
    }

    /// Whether its text names the metric.
    pub(crate) const fn names_metric(&self) -> bool {
        matches!(
            self,
            Self::Append(
                AppendError::SeriesPerMetricLimit { .. }
                    | AppendError::LabelsPerSeriesLimit { .. }
                    | AppendError::ValuesPerLabelLimit { .. }
            )
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Append(error) => error.fmt(f),
            Self::Labels(error) => error.fmt(f),
            Self::Reserved => write!(f, "this series tells of the scrape itself"),
            Self::Repeated { line } => {
                write!(f, "line {line} repeats the labels and time of one before")
            }
            Self::TooFarAhead {
                timestamp_ms,
                latest_ms,
            } => {
                write!(
                    f,
                    "the sample's time {timestamp_ms} lies too far ahead, the latest taken now is {latest_ms}"
                )
            }
        }
    }
}

impl core::error::Error for Refusal {}

/// Why a whole batch was refused; its sender is to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordError {
    /// No source has this name.
    UnknownSource {
        /// The name given.
        name: String,
    },
    /// The source is not one that is pushed to.
    NotPush {
        /// The name given.
        name: String,
    },
    /// More samples than one batch may have.
    TooMany {
        /// How many there were.
        samples: usize,
        /// How many are allowed.
        limit: usize,
    },
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownSource { name } => write!(f, "no source is named {name:?}"),
            Self::NotPush { name } => write!(
                f,
                "source {name:?} is not of kind push, so nothing can be recorded to it"
            ),
            Self::TooMany { samples, limit } => write!(
                f,
                "{samples} samples in one batch, at most {limit} are taken"
            ),
        }
    }
}

impl core::error::Error for RecordError {}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn what_is_not_recorded_says_why() {
        let ahead = Refusal::TooFarAhead {
            timestamp_ms: 9,
            latest_ms: 7,
        };
        let text = ahead.to_string();
        assert!(
            text.contains("time 9") && text.ends_with("now is 7"),
            "{text}"
        );
        let name = || String::from("x");
        let cases = [
            (RecordError::UnknownSource { name: name() }, "named \"x\""),
            (RecordError::NotPush { name: name() }, "not of kind push"),
            (
                RecordError::TooMany {
                    samples: 3,
                    limit: 2,
                },
                "3 samples in one batch, at most 2",
            ),
        ];
        for (error, text) in cases {
            assert!(error.to_string().contains(text), "{error}");
        }
    }
}
