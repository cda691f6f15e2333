//! The HTTP front: the API goes to the guest, everything else is the dashboard.
//!
//! The host bounds what it takes before the guest sees it, and guards what the guest gives back.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tidegate_api::{Aged, HttpRequest, request_key};
use tidegate_wire::encode_error;
use tokio::task::spawn_blocking;

use crate::assets;
use crate::collector::Unavailable;
use crate::decoding::{self, DecodingError, RequestCoding};
use crate::front::Counts;
use crate::guest::{GuestCommand, GuestReply};
use crate::rendered::Rendered;
use crate::shards::{Shards, SharedShards};

/// What a request's body may have: 1 MiB, eight times the longest query the collector takes.
const BODY_BYTES_MAX: usize = 1 << 20;

/// What a request's target may have: 32 KiB. Longer queries are posted.
const TARGET_BYTES_MAX: usize = 32 << 10;

/// Coded bodies up to this are decoded where they arrive; larger ones, which may take tens of
/// milliseconds, where nobody's sockets wait: 8 KiB, of which at most [`INFLATION_FREE_BYTES`] or
/// some more come.
///
/// [`INFLATION_FREE_BYTES`]: tidegate_client::native::INFLATION_FREE_BYTES
const DECODED_AT_ONCE_BYTES_MAX: usize = 8 << 10;

/// How long a request's body may take to arrive: 30 s, a megabyte over the slowest of lines.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);

/// The headers of a request that the collector looks at; others stay outside. `If-None-Match` does,
/// too: what is answered by it must first be had whole.
const HEADERS_PASSED_IN: &[&str] = &[
    "accept",
    "cache-control",
    "content-type",
    "host",
    "origin",
    "sec-fetch-site",
];

/// What the routes of the API share.
#[derive(Clone, Debug)]
struct Shared {
    collector: SharedShards,
    counts: Arc<Counts>,
}

/// The routes of the host.
pub(crate) fn router(collector: SharedShards, counts: Arc<Counts>) -> Router {
    let mut router = Router::new();
    for path in [
        "/stats",
        "/health",
        "/api/{*rest}",
        "/v1/{*rest}",
        "/source/{*rest}",
        "/metrics/{*rest}",
        "/-/{*rest}",
    ] {
        router = router.route(path, any(api));
    }
    router
        .route("/metrics", any(metrics))
        .fallback(dashboard)
        .with_state(Shared { collector, counts })
}

async fn dashboard(request: Request) -> Response {
    guarded(assets::respond(
        request.method(),
        request.uri().path(),
        request.headers(),
    ))
}

async fn api(State(shared): State<Shared>, request: Request) -> Response {
    let headers = request.headers().clone();
    let lending = shared.collector.lending();
    let request = match received(request).await {
        Ok(request) => request,
        Err(refusal) => return guarded(refusal.response()),
    };
    let header = |name: &str| request.header(name);
    let key = request_key(&request.method, &request.target, header, &request.body);
    if let Some((rendered, aged)) = key.as_ref().and_then(|key| lending.find(key)) {
        lending.count_hit();
        return sent(&rendered, &headers, Some(aged)).await;
    }
    match rendered(&shared.collector, request).await {
        Ok(rendered) => {
            let rendered = Arc::new(rendered);
            if let Some(key) = key {
                lending.keep(&key, &rendered);
            }
            sent(&rendered, &headers, None).await
        }
        Err(refusal) => guarded(refusal.response()),
    }
}

/// What the collector says of itself, and then the host.
async fn metrics(State(shared): State<Shared>, request: Request) -> Response {
    let headers = request.headers().clone();
    let asked = async { rendered(&shared.collector, received(request).await?).await };
    let rendered = match asked.await {
        Ok(rendered) => rendered,
        Err(refusal) => return guarded(refusal.response()),
    };
    let lending = shared.collector.lending();
    let whole = rendered.with_more(|body| {
        shared.counts.write(lending, body);
        shared.collector.sinks().write(body);
    });
    sent(&Arc::new(whole), &headers, None).await
}

/// What the guest says to this.
async fn rendered(collector: &Shards, request: HttpRequest) -> Result<Rendered, Refusal> {
    match collector.call(GuestCommand::Http(request)).await {
        Ok(GuestReply::Http(response)) => Rendered::of(response).ok_or(Refusal::Internal(
            "the collector gave a response that is not HTTP",
        )),
        Ok(GuestReply::Recorded(_) | GuestReply::Changed(_)) => {
            Err(Refusal::Internal("the collector mixed up its replies"))
        }
        Err(unavailable) => Err(Refusal::Unavailable(unavailable)),
    }
}

/// The response in the coding that suits whoever asks.
async fn sent(rendered: &Arc<Rendered>, headers: &HeaderMap, aged: Option<Aged>) -> Response {
    let coding = rendered.coding(headers);
    if rendered.is_slow(coding) {
        let rendered = Arc::clone(rendered);
        // Were it to end badly, the line below would make the body.
        let _ = spawn_blocking(move || drop(rendered.body(coding).clone())).await;
    }
    rendered.response(headers, coding, aged)
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
    let body = decoded(&parts.headers, body).await?;
    Ok(HttpRequest {
        method: parts.method.as_str().to_owned(),
        target: target.to_owned(),
        headers: passed_in(&parts.headers),
        body: body.into(),
    })
}

/// The body as it was before it was coded.
async fn decoded(headers: &HeaderMap, body: Bytes) -> Result<Bytes, Refusal> {
    let coding = RequestCoding::of(headers).map_err(Refusal::BodyCoded)?;
    let decoded = if coding == RequestCoding::Identity || body.len() <= DECODED_AT_ONCE_BYTES_MAX {
        coding.decoded(&body)
    } else {
        // It does not panic, and nobody cancels it.
        let decoding = spawn_blocking(move || coding.decoded(&body)).await;
        decoding.map_err(|_| Refusal::Internal("a body's decoder broke"))?
    };
    decoded.map_err(Refusal::BodyCoded)
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

/// What every response carries.
fn guarded(mut response: Response) -> Response {
    response.headers_mut().insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// Why the host itself answers a request of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Refusal {
    TargetTooLong,
    BodyTooLarge,
    BodyBroken,
    BodySlow,
    BodyCoded(DecodingError),
    Unavailable(Unavailable),
    Internal(&'static str),
}

impl Refusal {
    /// Status, Prometheus' error type, and words.
    fn parts(&self) -> (StatusCode, &'static str, String) {
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
            Self::BodyCoded(error) => {
                let status = match error {
                    DecodingError::Unknown => StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    DecodingError::TooLarge | DecodingError::Inflates => {
                        StatusCode::PAYLOAD_TOO_LARGE
                    }
                    DecodingError::Broken(_) => StatusCode::BAD_REQUEST,
                };
                (status, "bad_data", error.to_string())
            }
            Self::Unavailable(why) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                why.to_string(),
            ),
            Self::Internal(text) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                (*text).into(),
            ),
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
        if status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            headers.insert(
                header::ACCEPT_ENCODING,
                HeaderValue::from_static(decoding::TAKEN),
            );
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
    async fn a_coded_body_reaches_the_guest_as_it_was_and_another_coding_is_refused() {
        let coded = |coding: &str| {
            let body = &b"\x0a\x08abc\x0d\x03"[..];
            let request = Request::post("/v1/record").header("content-encoding", coding);
            request.body(Body::from(body)).unwrap()
        };
        let request = received(coded("snappy")).await.unwrap();
        assert_eq!(request.body, b"abcabcabca");
        assert!(request.headers.is_empty(), "it is not coded any more");
        let refusal = received(coded("br")).await.unwrap_err().response();
        assert_eq!(refusal.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(refusal.headers()["accept-encoding"], "gzip, snappy");
        let refusal = received(coded("gzip")).await.unwrap_err().response();
        assert_eq!(refusal.status(), StatusCode::BAD_REQUEST);
        let refusal = Refusal::BodyCoded(DecodingError::Inflates).response();
        assert_eq!(refusal.status(), StatusCode::PAYLOAD_TOO_LARGE);
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
