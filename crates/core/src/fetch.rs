//! What the collector asks its driver to fetch, and what comes back.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::Instant;

/// Names one fetch for its whole life. Never reused by the same collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FetchId(pub u64);

/// An HTTP method that the collector uses; both only read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `form` goes into the URL's query.
    Get,
    /// `form` is the body, `application/x-www-form-urlencoded`.
    Post,
}

impl Method {
    /// The method's name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// Whether a path, from its slash on, is one below `/api/v1/` that only reads and leads nowhere
/// else: words of letters, digits, `_`, `-`, `.` and `:`, with slashes in between, none of them
/// an endpoint that writes (`admin`, `write`, `otlp`) or speaks another language (`read`).
pub fn is_reading_path(path: &str) -> bool {
    const REFUSED: [&str; 4] = ["admin", "write", "otlp", "read"];
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(plain) && word.bytes().any(|byte| byte != b'.')
    };
    path.strip_prefix("/api/v1/").is_some_and(|below| {
        let mut words = below.split('/');
        let reads = words
            .clone()
            .next()
            .is_some_and(|first| !REFUSED.contains(&first));
        reads && words.all(is_word)
    })
}

/// A request to a source, without its address: only the driver knows where a source lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchRequest {
    /// How `form` travels.
    pub method: Method,
    /// Path below the source's base URL, beginning with a slash; empty for a target, whose URL is
    /// already that of its text.
    pub path: Cow<'static, str>,
    /// Parameters, percent-encoded; may be empty.
    pub form: String,
}

/// A fetch to perform. Answer it with [`crate::Collector::handle_response`], whatever happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// To be handed back with the response.
    pub id: FetchId,
    /// The source's name in the configuration.
    pub source: Arc<str>,
    /// The target whose text is wanted, of a source of kind scrape: its address stands in place of
    /// the source's.
    pub target: Option<Arc<str>>,
    /// What to ask it.
    pub request: FetchRequest,
    /// When the collector stops waiting; a response that comes later is ignored.
    pub deadline: Instant,
}

/// A complete HTTP response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The body, content encodings undone.
    pub body: Vec<u8>,
    /// How long the source asked to be left alone, from now on; see
    /// [`parse_retry_after`](crate::parse_retry_after).
    pub retry_after: Option<Duration>,
    /// The `Content-Type` of a target's text, by which its format is told; of other responses it
    /// need not be said.
    pub content_type: Option<String>,
}

impl Response {
    /// A response with this status and body, and no headers.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            body: body.into(),
            retry_after: None,
            content_type: None,
        }
    }

    /// The same response with this `Retry-After`.
    pub fn with_retry_after(self, retry_after: Option<Duration>) -> Self {
        Self {
            retry_after,
            ..self
        }
    }

    /// The same response with this `Content-Type`.
    pub fn with_content_type(self, content_type: impl Into<String>) -> Self {
        Self {
            content_type: Some(content_type.into()),
            ..self
        }
    }
}

/// Why there is no complete response. All but [`FetchError::Refused`] blame the network or the
/// source.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchError {
    /// No connection: refused, unreachable, name not found, TLS failure.
    Connect {
        /// What the transport said, without credentials.
        detail: String,
    },
    /// The connection broke before the response was complete.
    Reset {
        /// What the transport said, without credentials.
        detail: String,
    },
    /// Nothing complete within this time.
    Timeout {
        /// How long the fetch was given.
        after: Duration,
    },
    /// The decoded body passed the limit; it was not read further.
    TooLarge {
        /// The limit in bytes.
        limit_bytes: u64,
    },
    /// The body's content encoding is broken or inflates beyond reason.
    Encoding {
        /// What is wrong with it.
        detail: String,
    },
    /// The source answered with a redirect, which is never followed.
    Redirect {
        /// The status code.
        status: u16,
    },
    /// The driver refused to send the request: no address for the source, or policy.
    Refused {
        /// Why.
        detail: String,
    },
}

impl FetchError {
    /// One word for logs and metrics.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Connect { .. } => "connect",
            Self::Reset { .. } => "reset",
            Self::Timeout { .. } => "timeout",
            Self::TooLarge { .. } => "too_large",
            Self::Encoding { .. } => "encoding",
            Self::Redirect { .. } => "redirect",
            Self::Refused { .. } => "refused",
        }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { detail } => write!(f, "cannot connect: {detail}"),
            Self::Reset { detail } => write!(
                f,
                "connection lost before the response was complete: {detail}"
            ),
            Self::Timeout { after } => write!(f, "no complete response within {after:?}"),
            Self::TooLarge { limit_bytes } => {
                write!(f, "the response exceeds the limit of {limit_bytes} bytes")
            }
            Self::Encoding { detail } => {
                write!(f, "the response's content encoding is unusable: {detail}")
            }
            Self::Redirect { status } => {
                write!(
                    f,
                    "the source answered {status}, and redirects are not followed: configure its final URL"
                )
            }
            Self::Refused { detail } => write!(f, "the request was not sent: {detail}"),
        }
    }
}

impl core::error::Error for FetchError {}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn a_path_that_reads_leads_nowhere_but_below_the_api() {
        for path in [
            "series",
            "query_range",
            "label/__name__/values",
            "label/a.b:c/values",
            "status/tsdb",
            "targets/admin",
        ] {
            assert!(is_reading_path(&alloc::format!("/api/v1/{path}")), "{path}");
        }
        for path in [
            "",
            "/",
            "a//b",
            "a/",
            "../x",
            "a/..",
            "a/.",
            "a?b",
            "a%2e",
            "a#",
            "a\\b",
            "a b",
            "é",
            "admin/tsdb/snapshot",
            "write",
            "otlp/v1/metrics",
            "read",
        ] {
            assert!(
                !is_reading_path(&alloc::format!("/api/v1/{path}")),
                "{path}"
            );
        }
        assert!(!is_reading_path("/api/v2/alerts") && !is_reading_path("series"));
    }

    #[test]
    fn a_failed_fetch_says_what_happened() {
        let detail = String::from("dns");
        let after = Duration::from_secs(10);
        let cases = [
            (
                FetchError::Connect {
                    detail: detail.clone(),
                },
                "connect",
                "cannot connect: dns",
            ),
            (
                FetchError::Reset {
                    detail: detail.clone(),
                },
                "reset",
                "connection lost",
            ),
            (FetchError::Timeout { after }, "timeout", "within 10s"),
            (
                FetchError::TooLarge { limit_bytes: 7 },
                "too_large",
                "limit of 7 bytes",
            ),
            (
                FetchError::Encoding {
                    detail: detail.clone(),
                },
                "encoding",
                "unusable: dns",
            ),
            (
                FetchError::Redirect { status: 301 },
                "redirect",
                "answered 301",
            ),
            (
                FetchError::Refused { detail },
                "refused",
                "was not sent: dns",
            ),
        ];
        for (error, kind, text) in cases {
            assert_eq!(error.kind(), kind);
            assert!(error.to_string().contains(text), "{error}");
        }
        assert_eq!(
            (Method::Get.as_str(), Method::Post.as_str()),
            ("GET", "POST")
        );
    }
}
