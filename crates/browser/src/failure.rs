//! Errors as plain objects, which `index.js` makes a `TidegateError` of.

use tidegate_client::{ClientError, Declined};
use tidegate_core::{FetchError, QueryError};
use wasm_bindgen::JsValue;

use crate::object::Record;

/// What `TidegateError` shows, beside the message.
struct Blame<'a> {
    kind: &'static str,
    source: Option<&'a str>,
    status: Option<u16>,
}

/// An error in the options: their author is to blame.
pub(crate) fn config(message: impl std::fmt::Display) -> JsValue {
    object(
        &message.to_string(),
        &Blame {
            kind: "config",
            source: None,
            status: None,
        },
    )
}

/// Why a query has no answer.
pub(crate) fn query(error: &ClientError) -> JsValue {
    let blame = match error {
        ClientError::Query(error) => blame(error),
        ClientError::Closed => Blame {
            kind: "closed",
            source: None,
            status: None,
        },
    };
    object(&error.to_string(), &blame)
}

/// Why what was wanted of own series was not done.
pub(crate) fn declined<E: std::fmt::Display>(error: &Declined<E>) -> JsValue {
    let kind = match error {
        Declined::Refused(_) => "bad-data",
        Declined::Closed => "closed",
    };
    let blame = Blame {
        kind,
        source: None,
        status: None,
    };
    object(&error.to_string(), &blame)
}

fn object(message: &str, blame: &Blame<'_>) -> JsValue {
    Record::new()
        .with("kind", blame.kind)
        .with("message", message)
        .with_some("source", blame.source)
        .with_some("status", blame.status)
        .finish()
}

fn blame(error: &QueryError) -> Blame<'_> {
    let of = |kind, source| Blame {
        kind,
        source,
        status: None,
    };
    match error {
        QueryError::UnknownSource { name, .. } => of("unknown-source", Some(name)),
        QueryError::UnknownTemplate { source, .. } | QueryError::NoEndpoint { source, .. } => {
            of("bad-data", Some(source))
        }
        QueryError::Bind(_)
        | QueryError::BadRange(_)
        | QueryError::QueryTooLong { .. }
        | QueryError::Parse { .. }
        | QueryError::BadParameter { .. } => of("bad-data", None),
        QueryError::Unsupported { .. } | QueryError::Unmergeable { .. } => of("execution", None),
        QueryError::Upstream {
            source,
            status,
            error_type,
            ..
        } => Blame {
            kind: upstream(*status, error_type),
            source: Some(source),
            status: Some(*status),
        },
        QueryError::Unreachable {
            source,
            error: FetchError::Timeout { .. },
        }
        | QueryError::Timeout { source, .. } => of("timeout", Some(source)),
        QueryError::Garbled { source, .. }
        | QueryError::GarbledText { source, .. }
        | QueryError::BreakerOpen { source, .. }
        | QueryError::Unreachable { source, .. } => of("unavailable", Some(source)),
        QueryError::Overloaded { source, .. } => of("overloaded", Some(source)),
        // A kind that a later collector adds is at least not the asker's fault.
        _ => of("unavailable", None),
    }
}

/// Prometheus' own word where it has one of ours, else what its status says.
fn upstream(status: u16, error_type: &str) -> &'static str {
    match (error_type, status) {
        ("bad_data", _) => "bad-data",
        ("execution", _) => "execution",
        ("timeout", _) => "timeout",
        (_, 429) => "overloaded",
        (_, 400..500) => "bad-data",
        _ => "unavailable",
    }
}
