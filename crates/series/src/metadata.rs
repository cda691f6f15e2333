//! What a metric is: its kind, unit and help text.

use alloc::boxed::Box;
use core::fmt::{self, Display, Formatter};

use crate::error::DescribeError;

/// How long a unit may be, in bytes. The longest in common use have a dozen.
pub const UNIT_BYTES_MAX: usize = 64;

/// How long a help text may be, in bytes. A paragraph.
pub const HELP_BYTES_MAX: usize = 1_024;

/// The kind of a metric, as Prometheus and OpenMetrics name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum MetricKind {
    /// Only grows, or restarts from 0.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by bucket.
    Histogram,
    /// Quantiles computed by whoever exposes them.
    Summary,
    /// Not known.
    #[default]
    Unknown,
}

impl MetricKind {
    /// The name the Prometheus metadata API uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
            Self::Unknown => "unknown",
        }
    }
}

impl Display for MetricKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The description of a metric, shared by all its series.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata {
    /// Its kind.
    pub kind: MetricKind,
    /// Its unit in the plural (`seconds`, `bytes`), empty where it has none.
    pub unit: Box<str>,
    /// A sentence for people, empty where there is none.
    pub help: Box<str>,
}

impl Metadata {
    pub(crate) fn check(&self) -> Result<(), DescribeError> {
        if self.unit.len() > UNIT_BYTES_MAX {
            return Err(DescribeError::UnitTooLong {
                bytes: self.unit.len(),
            });
        }
        if self.help.len() > HELP_BYTES_MAX {
            return Err(DescribeError::HelpTooLong {
                bytes: self.help.len(),
            });
        }
        Ok(())
    }
}
