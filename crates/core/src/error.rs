//! Why an ask has no answer, and who is to blame.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use tidegate_wire::DecodeError;

use crate::{BindError, FetchError};

/// Why an ask has no answer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum QueryError {
    /// The asker named a source that is not configured.
    UnknownSource {
        /// The name given.
        name: String,
        /// The names there are.
        known: Vec<Arc<str>>,
    },
    /// The asker named a template that the source's catalog lacks.
    UnknownTemplate {
        /// The name given.
        name: String,
        /// The source that was asked.
        source: Arc<str>,
    },
    /// The asker's parameters do not fit the template.
    Bind(BindError),
    /// The query is longer than any honest one.
    QueryTooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// The query is not PromQL.
    Parse {
        /// What is wrong.
        message: String,
        /// Where, as a byte offset from 0.
        position: usize,
    },
    /// The query is PromQL, but more than `local` can answer.
    Unsupported {
        /// What it cannot.
        message: String,
        /// Where, as a byte offset from 0.
        position: usize,
    },
    /// A parameter beside the query is wrong.
    BadParameter {
        /// Its name.
        name: &'static str,
        /// The value given.
        value: String,
        /// What is wrong with it.
        message: String,
    },
    /// The source understood and refused, or failed in its own words, which are passed on.
    Upstream {
        /// The source.
        source: Arc<str>,
        /// Its HTTP status.
        status: u16,
        /// Its error type, such as `bad_data`.
        error_type: String,
        /// Its message.
        message: String,
        /// Its whole response.
        body: Arc<[u8]>,
    },
    /// The source said something that is not a Prometheus response.
    Garbled {
        /// The source.
        source: Arc<str>,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// The source could not be asked.
    Unreachable {
        /// The source.
        source: Arc<str>,
        /// What went wrong.
        error: FetchError,
    },
    /// The source did not answer in the asker's time.
    Timeout {
        /// The source.
        source: Arc<str>,
        /// How long the asker waited.
        after: Duration,
    },
    /// Too much is in flight to take this ask as well.
    Overloaded {
        /// The source.
        source: Arc<str>,
        /// The limit that was met, by its name in the configuration.
        limit: &'static str,
    },
}

impl QueryError {
    /// Whether the last good answer may be served in this error's place: yes for failures of the
    /// source and the network, never where the asker or the query is at fault.
    pub fn may_serve_stale(&self) -> bool {
        match self {
            Self::Upstream { status, .. } => *status >= 500,
            Self::Garbled { .. } | Self::Unreachable { .. } | Self::Timeout { .. } => true,
            Self::UnknownSource { .. }
            | Self::UnknownTemplate { .. }
            | Self::Bind(_)
            | Self::QueryTooLong { .. }
            | Self::Parse { .. }
            | Self::Unsupported { .. }
            | Self::BadParameter { .. }
            | Self::Overloaded { .. } => false,
        }
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownSource { name, known } => {
                write!(
                    f,
                    "unknown source {name:?}; configured are {}",
                    known.join(", ")
                )
            }
            Self::UnknownTemplate { name, source } => {
                write!(f, "source {source} has no template {name:?}")
            }
            Self::Bind(error) => error.fmt(f),
            Self::QueryTooLong { bytes, limit_bytes } => {
                write!(
                    f,
                    "the query has {bytes} bytes, at most {limit_bytes} are taken"
                )
            }
            Self::Parse { message, position } => {
                write!(f, "parse error at character {}: {message}", position + 1)
            }
            Self::Unsupported { message, position } => {
                write!(f, "{message} (at character {})", position + 1)
            }
            Self::BadParameter {
                name,
                value,
                message,
            } => {
                write!(f, "invalid parameter {name:?}: {message}: {value:?}")
            }
            Self::Upstream {
                source,
                status,
                error_type,
                message,
                ..
            } => {
                write!(
                    f,
                    "source {source} answered {status} {error_type}: {message}"
                )
            }
            Self::Garbled { source, error } => write!(
                f,
                "source {source} did not answer as Prometheus does: {error}"
            ),
            Self::Unreachable { source, error } => write!(f, "source {source} failed: {error}"),
            Self::Timeout { source, after } => {
                write!(f, "source {source} did not answer within {after:?}")
            }
            Self::Overloaded { source, limit } => {
                write!(
                    f,
                    "source {source} has too much in flight ({limit}); try again in a moment"
                )
            }
        }
    }
}

impl core::error::Error for QueryError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Bind(error) => Some(error),
            Self::Garbled { error, .. } => Some(error),
            Self::Unreachable { error, .. } => Some(error),
            Self::UnknownSource { .. }
            | Self::UnknownTemplate { .. }
            | Self::QueryTooLong { .. }
            | Self::Parse { .. }
            | Self::Unsupported { .. }
            | Self::BadParameter { .. }
            | Self::Upstream { .. }
            | Self::Timeout { .. }
            | Self::Overloaded { .. } => None,
        }
    }
}
