//! Everything that can be wrong with a response, with the place and the offending text.

use alloc::string::String;
use core::fmt;

use crate::response::ErrorResponse;

/// How much of an offending text an error repeats: enough to recognise it, short enough to log.
const TEXT_BYTES_MAX: usize = 64;

/// What an envelope says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// `"status":"success"`.
    Success,
    /// `"status":"error"`.
    Error,
}

/// Why a body is not the answer to a query.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The body is not JSON, or not the JSON of a query response.
    Json {
        /// Byte offset.
        position: usize,
        /// What should have stood there.
        expected: &'static str,
    },
    /// The body ends before the envelope does.
    Truncated {
        /// Length of the body in bytes.
        position: usize,
    },
    /// Invalid UTF-8, or half a surrogate pair.
    BadText {
        /// Byte offset.
        position: usize,
    },
    /// Arrays and objects nest too deep.
    TooDeep {
        /// Byte offset.
        position: usize,
        /// The nesting allowed.
        limit: usize,
    },
    /// A limit of [`DecodeLimits`](crate::DecodeLimits) is passed.
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
    },
    /// A sample value that is no number.
    BadNumber {
        /// The text, cut to its beginning if it is long.
        text: String,
        /// Byte offset.
        position: usize,
    },
    /// A timestamp that is no whole number of milliseconds in the range of an `i64`.
    BadTimestamp {
        /// The text, cut to its beginning if it is long.
        text: String,
        /// Byte offset.
        position: usize,
    },
    /// A key that may stand once stands twice.
    DuplicateKey {
        /// The key, cut to its beginning if it is long.
        key: String,
        /// Byte offset after the key.
        position: usize,
    },
    /// A key that must be there is not.
    MissingKey {
        /// The key.
        key: &'static str,
        /// Byte offset of the end of the object.
        position: usize,
    },
    /// The HTTP status and the envelope contradict each other.
    StatusMismatch {
        /// The HTTP status.
        status: u16,
        /// What the envelope says.
        envelope: Envelope,
    },
    /// An HTTP status that no query response has: redirects, partial content, not modified and so on.
    UnexpectedStatus {
        /// The HTTP status.
        status: u16,
    },
    /// A well-formed error envelope with an error status.
    Upstream {
        /// The HTTP status, 400 to 599.
        status: u16,
        /// What the source says.
        response: ErrorResponse,
    },
    /// An error status with a body that is not Prometheus', such as a proxy's page.
    NotAnEnvelope {
        /// The HTTP status, 400 to 599.
        status: u16,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json { position, expected } => {
                write!(f, "expected {expected} at byte {position} of the response")
            }
            Self::Truncated { position } => {
                write!(f, "the response is cut off after {position} bytes")
            }
            Self::BadText { position } => {
                write!(f, "invalid unicode at byte {position} of the response")
            }
            Self::TooDeep { position, limit } => {
                write!(
                    f,
                    "the response nests deeper than {limit} levels at byte {position}"
                )
            }
            Self::TooLarge { what, limit } => {
                write!(f, "the response has more than {limit} {what}")
            }
            Self::BadNumber { text, position } => {
                write!(
                    f,
                    "{text:?} at byte {position} of the response is not a sample value"
                )
            }
            Self::BadTimestamp { text, position } => {
                write!(
                    f,
                    "{text:?} at byte {position} of the response is not a timestamp in milliseconds"
                )
            }
            Self::DuplicateKey { key, position } => {
                write!(
                    f,
                    "{key:?} comes twice in one object, at byte {position} of the response"
                )
            }
            Self::MissingKey { key, position } => {
                write!(
                    f,
                    "{key:?} is missing from the object that ends at byte {position} of the response"
                )
            }
            Self::StatusMismatch { status, envelope } => {
                let says = match envelope {
                    Envelope::Success => "success",
                    Envelope::Error => "error",
                };
                write!(f, "the response says {says} with http status {status}")
            }
            Self::UnexpectedStatus { status } => {
                write!(f, "http status {status} is no answer to a query")
            }
            Self::Upstream { status, response } => {
                write!(
                    f,
                    "{}: {} (http status {status})",
                    response.error_type, response.error
                )
            }
            Self::NotAnEnvelope { status } => {
                write!(f, "http status {status} without an error of prometheus")
            }
        }
    }
}

impl core::error::Error for DecodeError {}

/// The beginning of `text`, short enough for an error.
pub(crate) fn excerpt(text: &str) -> String {
    String::from(&text[..text.floor_char_boundary(TEXT_BYTES_MAX)])
}
