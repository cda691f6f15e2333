//! How much of a response is accepted, and why that much.

use crate::reader::DEPTH_MAX;

/// How much one response may hold; over a limit is [`TooLarge`](crate::DecodeError::TooLarge).
///
/// The size of the body itself is for whoever reads it from the network to limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Series in one response.
    pub series: usize,
    /// Labels of one series, its name included.
    pub labels_per_series: usize,
    /// Bytes of label names and values and of native histograms; in series, repeated text counted once.
    pub text_bytes: usize,
    /// Bytes of one label name or value.
    pub label_bytes: usize,
    /// Samples and native histograms of all series.
    pub samples: usize,
    /// Warnings and infos.
    pub messages: usize,
    /// Label names or values in one list.
    pub strings: usize,
    /// Nesting of arrays and objects, skipped ones too; never more than 128.
    pub depth: usize,
}

impl DecodeLimits {
    /// Ten times what a dashboard can draw and what scrape configurations call high cardinality.
    pub const SERIES: usize = 100_000;
    /// Kubernetes with all its labels stays under 64; twice that.
    pub const LABELS_PER_SERIES: usize = 128;
    /// 100,000 series of 640 bytes each; also the largest body worth keeping.
    pub const TEXT_BYTES: usize = 64 * 1024 * 1024;
    /// Label values are names, paths and messages; 64 KiB is none of them any more.
    pub const LABEL_BYTES: usize = 64 * 1024;
    /// 64 MiB of timestamps and values; Prometheus' own limit of 11,000 points for 380 series.
    pub const SAMPLES: usize = 4 * 1024 * 1024;
    /// Prometheus itself stops at ten of each kind.
    pub const MESSAGES: usize = 1_000;
    /// As many values as the busiest label of a large server has; 24 MiB beside their text.
    pub const STRINGS: usize = 1_000_000;
    /// What one bit per level allows.
    pub const DEPTH: usize = DEPTH_MAX;
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self {
            series: Self::SERIES,
            labels_per_series: Self::LABELS_PER_SERIES,
            text_bytes: Self::TEXT_BYTES,
            label_bytes: Self::LABEL_BYTES,
            samples: Self::SAMPLES,
            messages: Self::MESSAGES,
            strings: Self::STRINGS,
            depth: Self::DEPTH,
        }
    }
}
