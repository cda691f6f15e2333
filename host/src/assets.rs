//! The dashboard's files, embedded: what they are called, what they are, how long they keep.

use axum::body::Body;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use tidegate_api::has_tag;

include!(concat!(env!("OUT_DIR"), "/dashboard.rs"));

/// What the page may do: run its own scripts and wasm, talk to this host, and nothing else.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
     connect-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// Below this, file names hold a hash of their content, so that they never change.
const HASHED_BELOW: &str = "/assets/";

/// The response to a request for a file of the dashboard.
pub(crate) fn respond(method: &Method, path: &str, headers: &HeaderMap) -> Response {
    if method != Method::GET && method != Method::HEAD {
        let mut response = plain(
            StatusCode::METHOD_NOT_ALLOWED,
            "only GET and HEAD are possible here\n",
        );
        response
            .headers_mut()
            .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let wanted = if path == "/" { "/index.html" } else { path };
    let Ok(index) = FILES.binary_search_by_key(&wanted, |(name, _)| *name) else {
        return plain(
            StatusCode::NOT_FOUND,
            "not found: the dashboard is at /, the API below /api/v1/ and /v1/\n",
        );
    };
    let (name, content) = FILES[index];
    let tag = entity_tag(content);
    let is_known = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|tags| tags.to_str().ok())
        .any(|tags| has_tag(tags, &tag));
    let (status, body) = if is_known {
        (StatusCode::NOT_MODIFIED, Body::empty())
    } else {
        (StatusCode::OK, Body::from(Bytes::from_static(content)))
    };
    let cache_control = if name.starts_with(HASHED_BELOW) {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    for (header, value) in [
        (header::CONTENT_TYPE, mime(name)),
        (header::CACHE_CONTROL, cache_control),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ] {
        response
            .headers_mut()
            .insert(header, HeaderValue::from_static(value));
    }
    // A number in quotes is a valid header value.
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

/// FNV-1a over the content. Collisions would only matter between versions of one file.
fn entity_tag(content: &[u8]) -> String {
    let hash = content
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    format!("\"{hash:016x}\"")
}

fn mime(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        "webmanifest" => "application/manifest+json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str) -> Response {
        respond(&Method::GET, path, &HeaderMap::new())
    }

    #[test]
    fn the_table_of_files_is_sorted_so_that_it_can_be_searched() {
        assert!(FILES.is_sorted_by_key(|(name, _)| *name));
    }

    #[test]
    fn the_page_is_served_with_its_policy_and_known_again() {
        let page = get("/");
        assert_eq!(page.status(), StatusCode::OK);
        assert_eq!(
            page.headers()[header::CONTENT_TYPE],
            "text/html; charset=utf-8"
        );
        assert!(
            page.headers()[header::CONTENT_SECURITY_POLICY]
                .to_str()
                .unwrap()
                .contains("default-src 'self'")
        );
        assert_eq!(page.headers()[header::CACHE_CONTROL], "no-cache");
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, page.headers()[header::ETAG].clone());
        assert_eq!(
            respond(&Method::GET, "/", &headers).status(),
            StatusCode::NOT_MODIFIED
        );
    }

    #[test]
    fn what_is_not_there_is_not_found_and_nothing_can_be_written() {
        for path in [
            "/nothing",
            "/../Cargo.toml",
            "/assets/",
            "//",
            "/index.html/",
        ] {
            assert_eq!(get(path).status(), StatusCode::NOT_FOUND, "{path}");
        }
        assert_eq!(
            respond(&Method::POST, "/", &HeaderMap::new()).status(),
            StatusCode::METHOD_NOT_ALLOWED
        );
    }

    #[test]
    fn files_are_called_what_they_are() {
        assert_eq!(mime("/assets/x.wasm"), "application/wasm");
        assert_eq!(mime("/assets/x.js"), "text/javascript; charset=utf-8");
        assert_eq!(mime("/LICENSE"), "application/octet-stream");
    }
}
