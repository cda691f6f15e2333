//! The one fetcher of native programs: it knows the addresses, and trusts no answer.
//!
//! It sends what it is told to the sources it was given and to nowhere else: no redirects, no
//! proxies from the environment, no cookies, no retries. It stops reading at its limits.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use tidegate_core::{Fetch, FetchError, Method, Now, Response, UnixMillis, parse_retry_after};
use tokio::time::timeout;

use super::addresses::Addresses;
use super::body::{BODY_BYTES_MAX, Body};
use super::url::SourceUrl;
use crate::Transport;

/// How long a connection may take to come about, TLS included: longer than a lost packet or two.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an idle connection is kept: less than the 60 s after which proxies often drop it.
pub const IDLE_CONNECTION_TIMEOUT: Duration = Duration::from_secs(50);

/// What the HTTP API of a source answers in.
const ACCEPT_API: &str = "application/json";

/// What a target is asked for. One that speaks OpenMetrics whatever it is asked for is read as that.
const ACCEPT_TEXT: &str = "text/plain;version=0.0.4";

/// Fetches from a known set of sources over HTTP/1.1. Cheap to clone; clones share the set.
///
/// The whole exchange, from connecting to the body's last byte, must end before the fetch's
/// deadline.
#[derive(Clone)]
pub struct HttpTransport {
    client: reqwest::Client,
    addresses: Arc<RwLock<Addresses>>,
    body_bytes_max: u64,
}

impl HttpTransport {
    /// A transport to these sources, by their names.
    ///
    /// # Errors
    /// TLS could not be set up, which is the machine's fault.
    pub fn new(
        sources: impl IntoIterator<Item = (String, SourceUrl)>,
    ) -> Result<Self, TransportError> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("tidegate/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .retry(reqwest::retry::never())
            .http1_only()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_CONNECTION_TIMEOUT)
            .build()
            .map_err(|error| TransportError {
                detail: detail(error),
            })?;
        Ok(Self {
            client,
            addresses: Arc::new(RwLock::new(sources.into_iter().collect())),
            body_bytes_max: BODY_BYTES_MAX,
        })
    }

    /// The same transport with another limit for decoded bodies, in bytes.
    pub fn with_body_bytes_max(self, bytes: u64) -> Self {
        Self {
            body_bytes_max: bytes,
            ..self
        }
    }

    /// Takes these addresses in place of all it had, for this transport and its clones. Fetches
    /// under way go on.
    pub fn set_addresses(&self, addresses: Addresses) {
        // A table is replaced whole, so it cannot be left half changed.
        *self
            .addresses
            .write()
            .unwrap_or_else(PoisonError::into_inner) = addresses;
    }

    /// The address of a source, or of one of its targets, if it has one.
    pub fn url(&self, source: &str, target: Option<&str>) -> Option<SourceUrl> {
        let addresses = self.addresses.read();
        let addresses = addresses.unwrap_or_else(PoisonError::into_inner);
        addresses.find(source, target).cloned()
    }

    async fn exchange(&self, fetch: &Fetch, now: UnixMillis) -> Result<Response, FetchError> {
        let Some(url) = self.url(&fetch.source, fetch.target.as_deref()) else {
            let what = match &fetch.target {
                None => format!("source {}", fetch.source),
                Some(target) => format!("target {target:?} of source {}", fetch.source),
            };
            return Err(FetchError::Refused {
                detail: format!("{what} has no address"),
            });
        };
        let mut response = self.request(&url, fetch).send().await.map_err(classify)?;
        let status = response.status().as_u16();
        // 304 names no other place, so it is for the collector to judge.
        if response.status().is_redirection() && status != 304 {
            return Err(FetchError::Redirect { status });
        }
        if response
            .content_length()
            .is_some_and(|bytes| bytes > self.body_bytes_max)
        {
            return Err(FetchError::TooLarge {
                limit_bytes: self.body_bytes_max,
            });
        }
        let retry_after = retry_after(response.headers(), now);
        let content_type = content_type(response.headers()).filter(|_| fetch.target.is_some());
        let encoding = response.headers().get(header::CONTENT_ENCODING);
        let encoding = encoding
            .map(HeaderValue::to_str)
            .unwrap_or(Ok(""))
            .unwrap_or("unreadable");
        let mut body = Body::new(encoding.trim(), self.body_bytes_max)?;
        while let Some(chunk) = response.chunk().await.map_err(classify)? {
            body.push(&chunk)?;
        }
        Ok(Response {
            status,
            body: body.finish()?,
            retry_after,
            content_type,
        })
    }

    fn request(&self, base: &SourceUrl, fetch: &Fetch) -> reqwest::RequestBuilder {
        let request = &fetch.request;
        // The client moves user and password from the URL to a header that it knows to hide.
        let builder = match request.method {
            Method::Get => self.client.get(base.join(&request.path, &request.form)),
            Method::Post => self
                .client
                .post(base.join(&request.path, ""))
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(request.form.clone()),
        };
        let accept = match fetch.target {
            None => ACCEPT_API,
            Some(_) => ACCEPT_TEXT,
        };
        builder
            .header(header::ACCEPT, accept)
            .header(header::ACCEPT_ENCODING, "gzip")
    }
}

impl Transport for HttpTransport {
    async fn fetch(&self, fetch: Fetch, now: Now) -> Result<Response, FetchError> {
        let after = fetch.deadline.since(now.mono);
        timeout(after, self.exchange(&fetch, now.wall))
            .await
            .unwrap_or(Err(FetchError::Timeout { after }))
    }
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport")
            .field("addresses", &self.addresses)
            .field("body_bytes_max", &self.body_bytes_max)
            .finish_non_exhaustive()
    }
}

/// No transport could be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportError {
    detail: String,
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot set up HTTP: {}", self.detail)
    }
}

impl Error for TransportError {}

/// Dates are measured against the fetch's beginning: a source that is slow to say when to come
/// back is left alone for that much longer.
fn retry_after(headers: &HeaderMap, began: UnixMillis) -> Option<Duration> {
    let header = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    parse_retry_after(header, began)
}

fn content_type(headers: &HeaderMap) -> Option<String> {
    let header = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(header.to_owned())
}

fn classify(error: reqwest::Error) -> FetchError {
    if error.is_connect() {
        FetchError::Connect {
            detail: detail(error),
        }
    } else {
        FetchError::Reset {
            detail: detail(error),
        }
    }
}

/// What lies below the client's own general words, outermost first.
fn detail(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut words = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Each layer of the client says which layer it is, or repeats what is below it.
        let is_news = !text.starts_with("client error")
            && !words.iter().any(|word: &String| word.contains(&text));
        if is_news {
            words.push(text);
        }
        cause = error.source();
    }
    if words.is_empty() {
        error.to_string()
    } else {
        words.join(": ")
    }
}
