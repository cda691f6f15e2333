//! From errors to responses: the status, and Prometheus' word for who is to blame.

use alloc::format;
use alloc::string::ToString;

use tidegate_core::{Ask, FetchError, OwnerError, QueryError};

use crate::params::promql;
use crate::{HttpRequest, HttpResponse};

/// When to come back after being refused for load: fetches end within seconds.
const RETRY_AFTER_S: &str = "1";

/// The response to an ask that has no answer.
pub(crate) fn response(error: &QueryError) -> HttpResponse {
    let message = error.to_string();
    match error {
        // What the source said about the query is passed on as it was said.
        QueryError::Upstream { status, body, .. } => HttpResponse::json(*status, body.to_vec()),
        QueryError::UnknownSource { .. }
        | QueryError::UnknownTemplate { .. }
        | QueryError::NoEndpoint { .. } => HttpResponse::error(404, "not_found", &message),
        QueryError::QueryTooLong { .. } => HttpResponse::error(414, "bad_data", &message),
        QueryError::Bind(_)
        | QueryError::BadRange(_)
        | QueryError::Parse { .. }
        | QueryError::BadParameter { .. } => HttpResponse::error(400, "bad_data", &message),
        QueryError::Unsupported { .. } | QueryError::Unmergeable { .. } => {
            HttpResponse::error(422, "execution", &message)
        }
        QueryError::Unreachable {
            error: FetchError::Timeout { .. },
            ..
        }
        | QueryError::Timeout { .. } => HttpResponse::error(504, "timeout", &message),
        QueryError::BreakerOpen { retry_in, .. } => {
            // Rounded up, lest the client comes back a moment too early.
            let seconds = (retry_in.as_secs() + u64::from(retry_in.subsec_nanos() > 0)).max(1);
            let seconds = seconds.to_string();
            HttpResponse::error(503, "unavailable", &message).with("retry-after", &seconds)
        }
        QueryError::Overloaded { .. } => {
            HttpResponse::error(503, "unavailable", &message).with("retry-after", RETRY_AFTER_S)
        }
        QueryError::Garbled { .. }
        | QueryError::GarbledText { .. }
        | QueryError::Unreachable { .. } => HttpResponse::error(502, "unavailable", &message),
        // A kind that a later collector adds is at least not the asker's fault.
        _ => HttpResponse::error(500, "internal", &message),
    }
}

/// The response to a workload that was not registered.
pub(crate) fn owner(error: &OwnerError) -> HttpResponse {
    let message = error.to_string();
    match error {
        OwnerError::Full { .. } => HttpResponse::error(503, "unavailable", &message),
        // Names are the asker's; so is what a later collector finds wrong with them.
        OwnerError::BadName { .. } | _ => HttpResponse::error(400, "bad_data", &message),
    }
}

/// The response to an ask that was refused at once, with what only the request tells.
pub(crate) fn refusal(error: &QueryError, ask: &Ask, request: &HttpRequest) -> HttpResponse {
    if let QueryError::Parse { message, position } = error {
        let (line, column) = place(promql(ask), *position);
        let message =
            format!("invalid parameter \"query\": {line}:{column}: parse error: {message}");
        return HttpResponse::error(400, "bad_data", &message);
    }
    let mut response = response(error);
    if response.status == 414 && request.method == "POST" {
        response.status = 413;
    }
    response
}

/// Line and column of a byte offset, both from 1, as Prometheus counts them.
fn place(text: &str, position: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..position.min(text.len())];
    let line = before.iter().filter(|&&byte| byte == b'\n').count();
    let start = before
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |at| at + 1);
    (line + 1, before.len() - start + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_from_one() {
        assert_eq!(place("", 0), (1, 1));
        assert_eq!(place("a\nbc", 3), (2, 2));
        assert_eq!(place("a", 9), (1, 2));
    }
}
