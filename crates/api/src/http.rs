//! Requests and responses of the HTTP API, as plain data.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::Reuse;

/// The media type of every JSON document here.
const JSON: &str = "application/json";

/// A request, as far as the API cares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET`, `POST`, …
    pub method: String,
    /// Path and query as they stood in the request line: `/api/v1/query?query=up`.
    pub target: String,
    /// Headers; names in lowercase.
    pub headers: Vec<(String, String)>,
    /// The body, content encodings undone.
    pub body: Vec<u8>,
}

impl HttpRequest {
    /// A `GET` of this path and query.
    pub fn get(target: impl Into<String>) -> Self {
        Self {
            method: "GET".into(),
            target: target.into(),
            ..Self::default()
        }
    }

    /// The first header of this lowercase name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    }
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// Headers; names in lowercase, values printable ASCII. `content-length` and `date` are left
    /// to the server.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Whether and for how long it may be given out again to equal requests.
    pub reuse: Option<Box<Reuse>>,
}

impl HttpResponse {
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("content-type", content_type.into())],
            body: body.into(),
            reuse: None,
        }
    }

    pub(crate) fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::new(status, JSON, body)
    }

    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", body)
    }

    /// An error in Prometheus' envelope.
    pub(crate) fn error(status: u16, error_type: &str, message: &str) -> Self {
        let mut body = Vec::new();
        tidegate_wire::encode_error(error_type, message, &mut body);
        Self::json(status, body)
    }

    /// The same with another header. Whatever could end the header early is replaced.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        let value = value
            .chars()
            .map(|c| {
                if c == ' ' || c.is_ascii_graphic() {
                    c
                } else {
                    '?'
                }
            })
            .collect();
        self.headers.push((name, value));
        self
    }
}
