//! Prometheus remote-write 1.0: the `WriteRequest` message, in and out.
//!
//! ```text
//! WriteRequest   1 timeseries*  3 metadata*
//! TimeSeries     1 labels*  2 samples*  (3 exemplars*  4 histograms*: counted, not read)
//! Label          1 name  2 value                       text
//! Sample         1 value  2 timestamp                  double, varint (ms)
//! MetricMetadata 1 type  2 family  4 help  5 unit      varint, text
//! ```
//! On the wire the message is one [snappy](crate::snappy) block, and a request has the headers
//! [`CONTENT_TYPE`], [`CONTENT_ENCODING`] and [`VERSION_HEADER`] with [`VERSION`].

mod decode;
mod encode;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

pub use decode::decode;
pub use encode::RequestWriter;

use crate::columns::Columns;
use crate::decode::{DecodeLimits, excerpt};
use crate::protobuf::Malformed;
use crate::scrape::{FamilyHeader, FamilyKind, ScrapeLimits};

/// The media type of a request. That of 2.0 has a parameter `proto` which names another message.
pub const CONTENT_TYPE: &str = "application/x-protobuf";

/// How a request is compressed.
pub const CONTENT_ENCODING: &str = "snappy";

/// The header that tells the version of the protocol.
pub const VERSION_HEADER: &str = "X-Prometheus-Remote-Write-Version";

/// What 1.0 calls itself there.
pub const VERSION: &str = "0.1.0";

/// What one request holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WriteRequest {
    /// One series per time series of the request, in its order, the samples in theirs.
    ///
    /// Labels are sorted by name in byte order; those with an empty value are absent, which says the
    /// same. Names are not judged beyond that. Values are bit for bit as sent, so that the NaN which
    /// marks a series as stale is still that one.
    pub columns: Columns,
    /// What it says of metrics, in its order; of one metric the last counts.
    pub families: Vec<FamilyHeader>,
    /// How many exemplars were left out.
    pub exemplars: usize,
    /// How many native histograms were left out.
    pub histograms: usize,
}

/// How much one request may hold; over a limit is [`TooLarge`](WriteError::TooLarge).
///
/// The size of the request itself is for whoever [decompresses](crate::snappy::decompress) it to limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteLimits {
    /// Time series in one request.
    pub series: usize,
    /// Samples in one request.
    pub samples: usize,
    /// Metrics described in one request.
    pub families: usize,
    /// Labels of one series, its name included.
    pub labels_per_series: usize,
    /// Bytes of one label name, label value, metric name, help or unit.
    pub label_bytes: usize,
    /// Bytes of label names and values of all series, repeated text counted once.
    pub text_bytes: usize,
}

impl Default for WriteLimits {
    /// As of an answer and of a scrape: senders cut their requests at some thousands of samples.
    fn default() -> Self {
        Self {
            series: DecodeLimits::SERIES,
            samples: DecodeLimits::SAMPLES,
            families: ScrapeLimits::FAMILIES,
            labels_per_series: DecodeLimits::LABELS_PER_SERIES,
            label_bytes: DecodeLimits::LABEL_BYTES,
            text_bytes: DecodeLimits::TEXT_BYTES,
        }
    }
}

/// Why bytes are no request.
///
/// Positions are byte offsets into the message, after decompression.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError {
    /// Not the message, or a cut-off one.
    Malformed {
        /// Where.
        position: usize,
        /// What should have stood there.
        expected: &'static str,
    },
    /// Text that is not UTF-8.
    BadUtf8 {
        /// Where its first bad byte stands.
        position: usize,
    },
    /// A label without a name.
    EmptyLabelName {
        /// Where the label ends.
        position: usize,
    },
    /// A label that a series has twice.
    DuplicateLabel {
        /// The name, cut to its beginning if it is long.
        name: String,
        /// Where the series ends.
        position: usize,
    },
    /// A limit of [`WriteLimits`] is passed.
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
        /// Where it is passed.
        position: usize,
    },
}

impl WriteError {
    fn duplicate(name: &str, position: usize) -> Self {
        let name = excerpt(name);
        Self::DuplicateLabel { name, position }
    }
}

impl From<Malformed> for WriteError {
    fn from(Malformed { position, expected }: Malformed) -> Self {
        Self::Malformed { position, expected }
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { position, expected } => {
                write!(f, "expected {expected} at byte {position} of the request")
            }
            Self::BadUtf8 { position } => {
                write!(f, "invalid utf-8 at byte {position} of the request")
            }
            Self::EmptyLabelName { position } => {
                write!(
                    f,
                    "the label that ends at byte {position} of the request has no name"
                )
            }
            Self::DuplicateLabel { name, position } => write!(
                f,
                "label {name:?} comes twice in the series that ends at byte {position} of the request"
            ),
            Self::TooLarge {
                what,
                limit,
                position,
            } => {
                write!(
                    f,
                    "more than {limit} {what} at byte {position} of the request"
                )
            }
        }
    }
}

impl core::error::Error for WriteError {}

/// The kinds in the order of their numbers.
pub(crate) const KINDS: [FamilyKind; 8] = [
    FamilyKind::Unknown,
    FamilyKind::Counter,
    FamilyKind::Gauge,
    FamilyKind::Histogram,
    FamilyKind::GaugeHistogram,
    FamilyKind::Summary,
    FamilyKind::Info,
    FamilyKind::StateSet,
];
