//! How much of an exposition is accepted, and why that much.

use crate::decode::DecodeLimits;

/// How much one body may hold; over a limit is [`TooLarge`](crate::ExpositionError::TooLarge).
///
/// The size of the body itself is for whoever reads it from the network to limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScrapeLimits {
    /// Sample lines in one body.
    pub series: usize,
    /// Families with metadata in one body.
    pub families: usize,
    /// Labels of one series, its name included; of one exemplar too.
    pub labels_per_series: usize,
    /// Bytes of one label name, label value or metric name.
    pub label_bytes: usize,
    /// Bytes of label names and values of all series, repeated text counted once.
    pub text_bytes: usize,
    /// Bytes of one line without its line feed.
    pub line_bytes: usize,
}

impl ScrapeLimits {
    /// A large cluster's kube-state-metrics stays below it; more belongs in several targets.
    pub const SERIES: usize = DecodeLimits::SERIES;
    /// The largest exporters have some thousands; ten times that.
    pub const FAMILIES: usize = 20_000;
    /// Kubernetes with all its labels stays under 64; twice that.
    pub const LABELS_PER_SERIES: usize = DecodeLimits::LABELS_PER_SERIES;
    /// Label values are names, paths and messages; 64 KiB is none of them any more.
    pub const LABEL_BYTES: usize = DecodeLimits::LABEL_BYTES;
    /// 100,000 series of 640 bytes each; also the largest body worth keeping.
    pub const TEXT_BYTES: usize = DecodeLimits::TEXT_BYTES;
    /// Four of the longest label values with every byte escaped.
    pub const LINE_BYTES: usize = 512 * 1024;
}

impl Default for ScrapeLimits {
    fn default() -> Self {
        Self {
            series: Self::SERIES,
            families: Self::FAMILIES,
            labels_per_series: Self::LABELS_PER_SERIES,
            label_bytes: Self::LABEL_BYTES,
            text_bytes: Self::TEXT_BYTES,
            line_bytes: Self::LINE_BYTES,
        }
    }
}
