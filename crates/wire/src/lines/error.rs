//! Everything that can be wrong with a line.

use alloc::string::String;
use core::fmt;

use crate::decode::{DecodeError, excerpt};

/// Why a line says nothing. Positions are byte offsets into it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LineError {
    /// Not JSON, or not the JSON of a line.
    Json {
        /// Where.
        position: usize,
        /// What should have stood there.
        expected: &'static str,
    },
    /// The line is cut off.
    Truncated {
        /// Its length in bytes.
        position: usize,
    },
    /// Invalid UTF-8, or half a surrogate pair.
    BadText {
        /// Where.
        position: usize,
    },
    /// A key that lines of its sort do not have.
    UnknownKey {
        /// The key, cut to its beginning if it is long.
        key: String,
        /// Where it ends.
        position: usize,
    },
    /// A key or a label that comes twice.
    Duplicate {
        /// The key or the label's name, cut to its beginning if it is long.
        key: String,
        /// Where the second one ends.
        position: usize,
    },
    /// A line without a value.
    NoValue,
    /// A text that is none of the words that may stand there, or a number that is none.
    BadWord {
        /// What it should be.
        expected: &'static str,
        /// What it is, cut to its beginning if it is long.
        found: String,
        /// Where it ends.
        position: usize,
    },
    /// More than a line may hold.
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
    },
}

impl LineError {
    pub(super) fn word(expected: &'static str, found: &str, position: usize) -> Self {
        let found = excerpt(found);
        Self::BadWord {
            expected,
            found,
            position,
        }
    }

    pub(super) fn duplicate(key: &str, position: usize) -> Self {
        let key = excerpt(key);
        Self::Duplicate { key, position }
    }

    pub(super) fn unknown(key: &str, position: usize) -> Self {
        let key = excerpt(key);
        Self::UnknownKey { key, position }
    }
}

impl From<DecodeError> for LineError {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Truncated { position } => Self::Truncated { position },
            DecodeError::BadText { position } => Self::BadText { position },
            DecodeError::Json { position, expected } => Self::Json { position, expected },
            // Nothing is skipped in a line, and the rest only answers to queries have.
            DecodeError::TooDeep { .. }
            | DecodeError::TooLarge { .. }
            | DecodeError::BadNumber { .. }
            | DecodeError::BadTimestamp { .. }
            | DecodeError::DuplicateKey { .. }
            | DecodeError::MissingKey { .. }
            | DecodeError::StatusMismatch { .. }
            | DecodeError::UnexpectedStatus { .. }
            | DecodeError::Upstream { .. }
            | DecodeError::NotAnEnvelope { .. } => Self::Json {
                position: 0,
                expected: "a line",
            },
        }
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json { position, expected } => {
                write!(f, "expected {expected} at byte {position} of the line")
            }
            Self::Truncated { position } => {
                write!(f, "the line is cut off after {position} bytes")
            }
            Self::BadText { position } => {
                write!(f, "invalid unicode at byte {position} of the line")
            }
            Self::UnknownKey { key, position } => {
                write!(f, "unknown key {key:?} before byte {position} of the line")
            }
            Self::Duplicate { key, position } => {
                write!(f, "{key:?} comes twice, before byte {position} of the line")
            }
            Self::NoValue => f.write_str("the line has no value"),
            Self::BadWord {
                expected,
                found,
                position,
            } => write!(
                f,
                "expected {expected}, found {found:?} before byte {position} of the line"
            ),
            Self::TooLarge { what, limit } => {
                write!(f, "the line has more than {limit} {what}")
            }
        }
    }
}

impl core::error::Error for LineError {}
