//! A response of the collector as bytes to send: tagged, compressed for whoever takes that, and
//! with a head that ages.

use std::sync::OnceLock;

use axum::body::Body;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use tidegate_api::{Aged, Reuse, has_tag};

use crate::coding::{self, Coding};
use crate::guest::{GuestResponse, Lent};

/// Headers that speak of the connection, which is the host's business.
const HEADERS_HELD_BACK: &[HeaderName] = &[
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::DATE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Bodies up to this are compressed where they are asked for; larger ones, which take
/// milliseconds, where nobody's sockets wait: 64 KiB.
const COMPRESSED_AT_ONCE_BYTES_MAX: usize = 64 << 10;

/// What a head weighs, roughly.
const HEAD_BYTES: usize = 1_024;

/// A response that may be sent any number of times.
#[derive(Debug)]
pub(crate) struct Rendered {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    is_compressible: bool,
    /// Made when first asked for.
    gzip: OnceLock<Bytes>,
    zstd: OnceLock<Bytes>,
    terms: Option<(Reuse, Lent)>,
}

impl Rendered {
    /// What the guest said; `None` if it is not HTTP.
    pub(crate) fn of(guest: GuestResponse) -> Option<Self> {
        let status = StatusCode::from_u16(guest.status).ok();
        let status = status.filter(|_| guest.status >= 200)?;
        let mut headers = HeaderMap::new();
        for (name, value) in guest.headers {
            // A value with a line break is none, so nothing can be smuggled into the head.
            let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value))
            else {
                continue;
            };
            if !HEADERS_HELD_BACK.contains(&name) {
                headers.append(name, value);
            }
        }
        let nosniff = HeaderValue::from_static("nosniff");
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
        let media = headers.get(header::CONTENT_TYPE);
        let is_compressible = media.is_some_and(coding::is_compressible)
            && guest.body.len() >= coding::COMPRESSED_BYTES_MIN;
        if is_compressible {
            let accept_encoding = HeaderValue::from_static("accept-encoding");
            headers.append(header::VARY, accept_encoding);
        }
        Some(Self {
            status,
            headers,
            body: guest.body.into(),
            is_compressible,
            gzip: OnceLock::new(),
            zstd: OnceLock::new(),
            terms: guest.reuse.zip(guest.lent),
        })
    }

    /// The same and something more, where there is a whole body.
    pub(crate) fn with_more(mut self, more: impl FnOnce(&mut Vec<u8>)) -> Self {
        if self.status == StatusCode::OK && !self.body.is_empty() {
            let mut body = Vec::from(self.body);
            more(&mut body);
            self.body = body.into();
        }
        self
    }

    /// On what terms it may be given out again.
    pub(crate) fn terms(&self) -> Option<(&Reuse, &Lent)> {
        self.terms.as_ref().map(|(reuse, lent)| (reuse, lent))
    }

    /// What it weighs at most, with each compressed body no larger than the plain one.
    pub(crate) fn bytes_max(&self) -> usize {
        let bodies = if self.is_compressible { 3 } else { 1 };
        self.body.len() * bodies + HEAD_BYTES
    }

    /// In which coding it is sent to whoever asks so.
    pub(crate) fn coding(&self, request: &HeaderMap) -> Coding {
        let accepted = request.get(header::ACCEPT_ENCODING);
        match accepted.and_then(|accepted| accepted.to_str().ok()) {
            Some(accepted) if self.is_compressible => coding::best(accepted),
            _ => Coding::Identity,
        }
    }

    /// Whether making that body would hold others up.
    pub(crate) fn is_slow(&self, coding: Coding) -> bool {
        let slot = match coding {
            Coding::Identity => return false,
            Coding::Gzip => &self.gzip,
            Coding::Zstd => &self.zstd,
        };
        self.body.len() > COMPRESSED_AT_ONCE_BYTES_MAX && slot.get().is_none()
    }

    /// The body in this coding.
    pub(crate) fn body(&self, coding: Coding) -> &Bytes {
        let slot = match coding {
            Coding::Identity => return &self.body,
            Coding::Gzip => &self.gzip,
            Coding::Zstd => &self.zstd,
        };
        slot.get_or_init(|| coding::compressed(&self.body, coding))
    }

    /// The response to this request; `aged` where it is given out again.
    pub(crate) fn response(
        &self,
        request: &HeaderMap,
        coding: Coding,
        aged: Option<Aged>,
    ) -> Response {
        let is_known = self.status == StatusCode::OK && self.is_known(request);
        let mut headers = self.headers.clone();
        if let Some(Aged { cache_status, age }) = aged {
            for (name, value) in [(CACHE_STATUS, cache_status), (header::AGE, age)] {
                // Words and digits of our own.
                if let Ok(value) = HeaderValue::try_from(value) {
                    headers.insert(name, value);
                }
            }
        }
        let body = if is_known {
            headers.remove(header::CONTENT_TYPE);
            Body::empty()
        } else {
            if let Some(word) = coding.word() {
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(word));
            }
            Body::from(self.body(coding).clone())
        };
        let mut response = Response::new(body);
        *response.status_mut() = if is_known {
            StatusCode::NOT_MODIFIED
        } else {
            self.status
        };
        *response.headers_mut() = headers;
        response
    }

    fn is_known(&self, request: &HeaderMap) -> bool {
        let tag = self.headers.get(header::ETAG);
        let Some(tag) = tag.and_then(|tag| tag.to_str().ok()) else {
            return false;
        };
        let known = request.get_all(header::IF_NONE_MATCH).into_iter();
        known
            .filter_map(|tags| tags.to_str().ok())
            .any(|tags| has_tag(tags, tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest_response(status: u16, headers: &[(&str, &str)]) -> Option<Rendered> {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Rendered::of(GuestResponse {
            status,
            headers,
            body: b"x".to_vec(),
            reuse: None,
            lent: None,
        })
    }

    #[test]
    fn headers_of_the_guest_pass_unless_they_are_about_the_connection_or_broken() {
        let rendered = guest_response(
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
        let rendered = rendered.unwrap();
        let names: Vec<&str> = rendered.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(
            names,
            ["content-type", "cache-status", "x-content-type-options"]
        );
    }

    #[test]
    fn a_status_that_is_none_is_no_response() {
        for status in [0, 42, 101, 1_000] {
            assert!(guest_response(status, &[]).is_none(), "{status}");
        }
        let response = guest_response(422, &[]).unwrap();
        assert_eq!(response.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
}
