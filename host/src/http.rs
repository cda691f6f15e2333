//! The HTTP front: the API goes to the guest, everything else is the dashboard.
//!
//! The host bounds what it takes before the guest sees it, and guards what the guest gives back.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::any;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tidegate_api::HttpRequest;
use tidegate_wire::encode_error;

use crate::assets;
use crate::collector::{SharedCollector, Unavailable};
use crate::guest::{GuestCommand, GuestReply, GuestResponse};

/// What a request's body may have: 1 MiB, eight times the longest query the collector takes.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// What a request's target may have: 32 KiB. Longer queries are posted.
pub const TARGET_BYTES_MAX: usize = 32 << 10;

/// How long a request's body may take to arrive: 30 s, a megabyte over the slowest of lines.
pub const BODY_TIME_MAX: Duration = Duration::from_secs(30);

/// The headers of a request that the API looks at; others stay outside.
const HEADERS_PASSED_IN: &[&str] = &[
    "accept",
    "cache-control",
    "content-type",
    "host",
    "if-none-match",
    "origin",
    "sec-fetch-site",
];

/// Headers that speak of the connection, which is the host's business.
const HEADERS_HELD_BACK: &[HeaderName] = &[
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::DATE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The routes of the host.
pub fn router(collector: SharedCollector) -> Router {
    let mut router = Router::new();
    for path in [
        "/metrics",
        "/stats",
        "/health",
        "/api/{*rest}",
        "/v1/{*rest}",
        "/source/{*rest}",
        "/-/{*rest}",
    ] {
        router = router.route(path, any(api));
    }
    router.fallback(dashboard).with_state(collector)
}

async fn dashboard(request: Request) -> Response {
    guarded(assets::respond(
        request.method(),
        request.uri().path(),
        request.headers(),
    ))
}

async fn api(State(collector): State<SharedCollector>, request: Request) -> Response {
    let answered = match received(request).await {
        Ok(request) => collector
            .call(GuestCommand::Http(request))
            .await
            .map_err(Refusal::Unavailable),
        Err(refusal) => Err(refusal),
    };
    guarded(match answered {
        Ok(GuestReply::Http(response)) => converted(response),
        Ok(GuestReply::Recorded(_) | GuestReply::Changed(_)) => {
            Refusal::Internal("the collector mixed up its replies").response()
        }
        Err(refusal) => refusal.response(),
    })
}

/// The whole request, within its bounds.
async fn received(request: Request) -> Result<HttpRequest, Refusal> {
    let (parts, body) = request.into_parts();
    let target = parts
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str());
    if target.len() > TARGET_BYTES_MAX {
        return Err(Refusal::TargetTooLong);
    }
    let collected = Limited::new(body, BODY_BYTES_MAX).collect();
    let body = match tokio::time::timeout(BODY_TIME_MAX, collected).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(Refusal::BodyTooLarge),
        Ok(Err(_)) => return Err(Refusal::BodyBroken),
        Err(_) => return Err(Refusal::BodySlow),
    };
    Ok(HttpRequest {
        method: parts.method.as_str().to_owned(),
        target: target.to_owned(),
        headers: passed_in(&parts.headers),
        body: body.into(),
    })
}

fn passed_in(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut passed = Vec::new();
    for name in HEADERS_PASSED_IN {
        for value in headers.get_all(*name) {
            if let Ok(text) = value.to_str() {
                passed.push(((*name).to_owned(), text.to_owned()));
            }
        }
    }
    passed
}

/// What the guest said, as far as it is HTTP.
fn converted(guest: GuestResponse) -> Response {
    let (Ok(status), true) = (StatusCode::from_u16(guest.status), guest.status >= 200) else {
        return Refusal::Internal("the collector gave a response that is not HTTP").response();
    };
    let mut response = Response::new(Body::from(guest.body));
    *response.status_mut() = status;
    for (name, value) in guest.headers {
        // A value with a line break is none, so nothing can be smuggled into the head.
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value))
        else {
            continue;
        };
        if !HEADERS_HELD_BACK.contains(&name) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// What every response carries.
fn guarded(mut response: Response) -> Response {
    response.headers_mut().insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// Why the host itself answers a request of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    TargetTooLong,
    BodyTooLarge,
    BodyBroken,
    BodySlow,
    Unavailable(Unavailable),
    Internal(&'static str),
}

impl Refusal {
    /// Status, Prometheus' error type, and words.
    fn parts(self) -> (StatusCode, &'static str, String) {
        match self {
            Self::TargetTooLong => {
                let text = format!(
                    "the request target is longer than {TARGET_BYTES_MAX} bytes; send the query in a POST body"
                );
                (StatusCode::URI_TOO_LONG, "bad_data", text)
            }
            Self::BodyTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "bad_data",
                format!("the request body is larger than {BODY_BYTES_MAX} bytes"),
            ),
            Self::BodyBroken => (
                StatusCode::BAD_REQUEST,
                "bad_data",
                "the request body is broken or cut off".into(),
            ),
            Self::BodySlow => (
                StatusCode::REQUEST_TIMEOUT,
                "timeout",
                format!("the request body took longer than {BODY_TIME_MAX:?}"),
            ),
            Self::Unavailable(why) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                why.to_string(),
            ),
            Self::Internal(text) => (StatusCode::INTERNAL_SERVER_ERROR, "internal", text.into()),
        }
    }

    fn response(self) -> Response {
        let (status, error_type, text) = self.parts();
        let mut body = Vec::new();
        encode_error(error_type, &text, &mut body);
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        // What is left of a body that was not read to its end cannot be told from a request.
        if matches!(self, Self::BodyTooLarge | Self::BodyBroken | Self::BodySlow) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest_response(status: u16, headers: &[(&str, &str)]) -> Response {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        converted(GuestResponse {
            status,
            headers,
            body: b"x".to_vec(),
        })
    }

    #[test]
    fn headers_of_the_guest_pass_unless_they_are_about_the_connection_or_broken() {
        let response = guest_response(
            200,
            &[
                ("content-type", "application/json"),
                ("cache-status", "tidegate; hit"),
                ("content-length", "999"),
                ("transfer-encoding", "chunked"),
                ("x-split", "a\r\nset-cookie: b"),
                ("bad name", "x"),
            ],
        );
        let names: Vec<&str> = response.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["content-type", "cache-status"]);
    }

    #[test]
    fn a_status_that_is_none_is_an_error_of_ours() {
        for status in [0, 42, 101, 1_000] {
            assert_eq!(
                guest_response(status, &[]).status(),
                StatusCode::INTERNAL_SERVER_ERROR,
                "{status}"
            );
        }
        assert_eq!(
            guest_response(422, &[]).status(),
            StatusCode::UNPROCESSABLE_ENTITY
        );
    }

    #[tokio::test]
    async fn a_request_is_taken_at_its_limits_and_refused_past_them() {
        let sized = |bytes: usize| {
            Request::post("/api/v1/query")
                .body(Body::from(vec![b'x'; bytes]))
                .unwrap()
        };
        assert_eq!(
            received(sized(BODY_BYTES_MAX)).await.unwrap().body.len(),
            BODY_BYTES_MAX
        );
        assert_eq!(
            received(sized(BODY_BYTES_MAX + 1)).await,
            Err(Refusal::BodyTooLarge)
        );
        let long = |bytes: usize| {
            Request::get(format!("/{}", "x".repeat(bytes - 1)))
                .body(Body::empty())
                .unwrap()
        };
        assert!(received(long(TARGET_BYTES_MAX)).await.is_ok());
        assert_eq!(
            received(long(TARGET_BYTES_MAX + 1)).await,
            Err(Refusal::TargetTooLong)
        );
    }

    #[tokio::test]
    async fn a_refusal_speaks_as_prometheus_does() {
        let response = Refusal::BodyTooLarge.response();
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let envelope: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (&envelope["status"], &envelope["errorType"]),
            (&"error".into(), &"bad_data".into())
        );
    }

    #[test]
    fn only_headers_of_interest_reach_the_guest() {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("Bearer secret"));
        headers.insert("cookie", HeaderValue::from_static("a=b"));
        headers.insert("Cache-Control", HeaderValue::from_static("no-cache"));
        // By these the collector tells whether a page of another origin sent it.
        let origin = [
            ("host", "h"),
            ("origin", "http://o"),
            ("sec-fetch-site", "cross-site"),
        ];
        for (name, value) in origin {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let passed = passed_in(&headers);
        let passed: Vec<_> = passed
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            passed,
            [&[("cache-control", "no-cache")], &origin[..]].concat()
        );
    }
}
