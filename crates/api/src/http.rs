//! Requests and responses of the HTTP API, as plain data.

use alloc::string::String;
use alloc::vec::Vec;

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
        Self { method: "GET".into(), target: target.into(), ..Self::default() }
    }

    /// The first header of this lowercase name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// Headers; names in lowercase. `content-length` and `date` are left to the server.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}
