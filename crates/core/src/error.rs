//! Why an ask has no answer, and who is to blame.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use tidegate_wire::{DecodeError, ExpositionError};

use crate::promql::{SelectorError, SyntaxError};
use crate::{BindError, FetchError, RangeError};

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
    /// The source has no endpoint at this path.
    NoEndpoint {
        /// The source that was asked.
        source: Arc<str>,
        /// The path below `/api/v1/`.
        path: String,
    },
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
    /// The answers of several sources cannot be put into one.
    Unmergeable {
        /// Why not.
        message: String,
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
    /// The range is none that Prometheus would take.
    BadRange(RangeError),
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
    /// A target's text is not in the exposition format.
    GarbledText {
        /// The source.
        source: Arc<str>,
        /// What is wrong with it.
        error: ExpositionError,
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
    /// The source failed so often that it is left alone for a while.
    BreakerOpen {
        /// The source.
        source: Arc<str>,
        /// When it will be tried again.
        retry_in: Duration,
        /// Its last failure.
        last_failure: String,
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
            Self::Upstream { status, .. }
            | Self::Garbled {
                error:
                    DecodeError::NotAnEnvelope { status } | DecodeError::StatusMismatch { status, .. },
                ..
            } => !(400..500).contains(status),
            Self::Garbled { .. }
            | Self::GarbledText { .. }
            | Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::BreakerOpen { .. } => true,
            Self::UnknownSource { .. }
            | Self::UnknownTemplate { .. }
            | Self::NoEndpoint { .. }
            | Self::Bind(_)
            | Self::QueryTooLong { .. }
            | Self::Parse { .. }
            | Self::Unsupported { .. }
            | Self::Unmergeable { .. }
            | Self::BadParameter { .. }
            | Self::BadRange(_)
            | Self::Overloaded { .. } => false,
        }
    }
}

impl QueryError {
    /// Whether the source understood the question and refused it, so that asking the same again
    /// at once is of no use.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Upstream { status, .. } if (400..500).contains(status) && *status != 429)
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
            Self::NoEndpoint { source, path } => {
                write!(f, "source {source} has nothing under /api/v1/{path}")
            }
            Self::Bind(error) => error.fmt(f),
            Self::BadRange(error) => error.fmt(f),
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
            Self::Unmergeable { message } => f.write_str(message),
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
            Self::GarbledText { source, error } => {
                write!(
                    f,
                    "a target of source {source} does not speak the exposition format: {error}"
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
            Self::BreakerOpen {
                source,
                retry_in,
                last_failure,
            } => write!(
                f,
                "source {source} keeps failing and is left alone; it is tried again in {retry_in:?}; \
                 its last failure: {last_failure}"
            ),
            Self::Overloaded { source, limit } => {
                write!(
                    f,
                    "source {source} has too much in flight ({limit}); try again in a moment"
                )
            }
        }
    }
}

impl From<SelectorError> for QueryError {
    fn from(error: SelectorError) -> Self {
        match error {
            SelectorError::Syntax(SyntaxError { message, position }) => {
                Self::Parse { message, position }
            }
            SelectorError::Beyond(SyntaxError { message, position }) => {
                Self::Unsupported { message, position }
            }
        }
    }
}

impl core::error::Error for QueryError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Bind(error) => Some(error),
            Self::BadRange(error) => Some(error),
            Self::Garbled { error, .. } => Some(error),
            Self::GarbledText { error, .. } => Some(error),
            Self::Unreachable { error, .. } => Some(error),
            Self::UnknownSource { .. }
            | Self::UnknownTemplate { .. }
            | Self::NoEndpoint { .. }
            | Self::QueryTooLong { .. }
            | Self::Parse { .. }
            | Self::Unsupported { .. }
            | Self::Unmergeable { .. }
            | Self::BadParameter { .. }
            | Self::Upstream { .. }
            | Self::Timeout { .. }
            | Self::BreakerOpen { .. }
            | Self::Overloaded { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;
    use core::error::Error;

    use super::*;

    #[test]
    fn an_error_names_the_value_its_place_and_whose_it_is() {
        let source: Arc<str> = "prom".into();
        let reset = FetchError::Reset {
            detail: "dns".into(),
        };
        let bind = BindError::Missing {
            template: "load".into(),
            param: "p".into(),
        };
        let cases = [
            (
                QueryError::UnknownSource {
                    name: "x".into(),
                    known: vec![source.clone()],
                },
                "\"x\"",
                false,
            ),
            (
                QueryError::UnknownTemplate {
                    name: "x".into(),
                    source: source.clone(),
                },
                "no template \"x\"",
                false,
            ),
            (
                QueryError::NoEndpoint {
                    source: source.clone(),
                    path: "rules".into(),
                },
                "prom has nothing under /api/v1/rules",
                false,
            ),
            (QueryError::Bind(bind), "needs parameter \"p\"", true),
            (
                QueryError::QueryTooLong {
                    bytes: 9,
                    limit_bytes: 8,
                },
                "8",
                false,
            ),
            (
                QueryError::Parse {
                    message: "why".into(),
                    position: 3,
                },
                "character 4: why",
                false,
            ),
            (
                QueryError::Unsupported {
                    message: "why".into(),
                    position: 3,
                },
                "why (at character 4)",
                false,
            ),
            (
                QueryError::BadParameter {
                    name: "limit",
                    value: "x".into(),
                    message: "why".into(),
                },
                "invalid parameter \"limit\": why: \"x\"",
                false,
            ),
            (
                QueryError::Unreachable {
                    source: source.clone(),
                    error: reset,
                },
                "source prom failed",
                true,
            ),
            (
                QueryError::Timeout {
                    source: source.clone(),
                    after: Duration::from_secs(1),
                },
                "within 1s",
                false,
            ),
            (
                QueryError::BreakerOpen {
                    source: source.clone(),
                    retry_in: Duration::from_secs(1),
                    last_failure: String::new(),
                },
                "prom",
                false,
            ),
            (
                QueryError::Overloaded {
                    source,
                    limit: "queue_per_source_max",
                },
                "queue_per_source_max",
                false,
            ),
        ];
        for (error, text, has_source) in cases {
            assert!(error.to_string().contains(text), "{error}");
            assert_eq!(Error::source(&error).is_some(), has_source, "{error}");
            assert!(!error.is_refusal(), "{error}");
        }
    }
}
