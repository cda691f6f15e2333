//! Requests over HTTP/1.1, to one address and to no other.

use std::error::Error;
use std::fmt;
use std::thread;
use std::time::{Duration, Instant as Clock, SystemTime};

use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use tidegate_core::{FetchError, Instant, Now, UnixMillis, parse_retry_after};
use tidegate_wire::remote_write::{CONTENT_ENCODING, CONTENT_TYPE, VERSION, VERSION_HEADER};
use tokio::runtime::{self, Runtime};

use super::RemoteOptions;
use super::delivery::{Answer, Carrier};
use super::secret::Secret;

/// How long a connection may take to come about, TLS included: longer than a lost packet or two.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an idle connection is kept: less than the 60 s after which proxies often drop it.
const IDLE_CONNECTION_TIMEOUT: Duration = Duration::from_secs(50);

/// How much of a refusal is read: its first line says what is wrong.
const WORDS_BYTES_MAX: usize = 512;

/// What is this sink's to say.
const RESERVED: [&str; 8] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
    "x-prometheus-remote-write-version",
];

/// The way to one receiver.
pub(super) struct Http {
    client: Client,
    url: Url,
    timeout: Duration,
    /// Made where it is used: it must not end within another one.
    runtime: Option<Runtime>,
    origin: Clock,
}

impl Http {
    pub(super) fn new(url: &str, options: &RemoteOptions) -> Result<Self, RemoteError> {
        let url = parse_url(url)?;
        let client = Client::builder()
            .user_agent(concat!("tidegate/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers(options)?)
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .retry(reqwest::retry::never())
            .http1_only()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_CONNECTION_TIMEOUT)
            .build();
        let client = client.map_err(|error| RemoteError::Client {
            detail: detail(error),
        })?;
        Ok(Self {
            client,
            url,
            timeout: options.timeout,
            runtime: None,
            origin: Clock::now(),
        })
    }

    async fn exchange(&self, body: Vec<u8>) -> Result<Answer, FetchError> {
        // The client moves user and password from the URL to a header that it knows to hide.
        let request = self.client.post(self.url.clone()).body(body);
        let response = request.send().await.map_err(classify)?;
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let words = match status.is_success() {
            true => String::new(),
            false => first_line(response).await,
        };
        Ok(Answer {
            status: status.as_u16(),
            retry_after,
            words,
        })
    }
}

impl Carrier for Http {
    fn now(&self) -> Now {
        Now {
            mono: Instant::ZERO + self.origin.elapsed(),
            wall: wall(),
        }
    }

    fn sleep(&mut self, time: Duration) {
        thread::sleep(time);
    }

    fn carry(&mut self, body: &[u8]) -> Result<Answer, FetchError> {
        let runtime = match self.runtime.take() {
            Some(runtime) => runtime,
            None => runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| FetchError::Refused {
                    detail: error.to_string(),
                })?,
        };
        let after = self.timeout;
        let answer = runtime.block_on(async {
            let exchange = self.exchange(body.to_vec());
            let answered = tokio::time::timeout(after, exchange).await;
            answered.unwrap_or(Err(FetchError::Timeout { after }))
        });
        self.runtime = Some(runtime);
        answer
    }
}

impl fmt::Display for Http {
    /// Where it goes, without user, password and query.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.host_str().unwrap_or_default();
        write!(f, "{}://{host}", self.url.scheme())?;
        if let Some(port) = self.url.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(self.url.path())
    }
}

fn parse_url(text: &str) -> Result<Url, RemoteError> {
    let url = Url::parse(text).map_err(|error| RemoteError::Url {
        detail: error.to_string(),
    })?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        scheme => Err(RemoteError::Url {
            detail: format!("expected http:// or https://, this one begins with {scheme}:"),
        }),
    }
}

fn headers(options: &RemoteOptions) -> Result<HeaderMap, RemoteError> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    headers.insert(
        header::CONTENT_ENCODING,
        HeaderValue::from_static(CONTENT_ENCODING),
    );
    let version = HeaderName::from_bytes(VERSION_HEADER.as_bytes()).expect("a header's name");
    headers.insert(version, HeaderValue::from_static(VERSION));
    if let Some(token) = &options.bearer_token {
        let bearer = Secret::new(format!("Bearer {}", token.reveal()));
        headers.insert(header::AUTHORIZATION, hidden("Authorization", &bearer)?);
    }
    for (name, value) in &options.headers {
        let refused = |detail| {
            let name = name.clone();
            Err(RemoteError::Header { name, detail })
        };
        let Ok(key) = HeaderName::from_bytes(name.as_bytes()) else {
            return refused("it is no name of a header");
        };
        if RESERVED.contains(&key.as_str()) {
            return refused("it is not to be set here");
        }
        headers.insert(key, hidden(name, value)?);
    }
    Ok(headers)
}

/// The value of a header that is shown nowhere.
fn hidden(name: &str, value: &Secret) -> Result<HeaderValue, RemoteError> {
    let mut value = HeaderValue::from_str(value.reveal()).map_err(|_| RemoteError::Header {
        name: name.to_owned(),
        detail: "its value has characters that no header may have",
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn wall() -> UnixMillis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let ms = since.unwrap_or_default().as_millis();
    UnixMillis(i64::try_from(ms).unwrap_or(i64::MAX))
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let header = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    parse_retry_after(header, wall())
}

/// The beginning of what a refusal says, on one line.
async fn first_line(mut response: reqwest::Response) -> String {
    let mut body = Vec::new();
    while body.len() < WORDS_BYTES_MAX {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    body.truncate(WORDS_BYTES_MAX);
    let text = String::from_utf8_lossy(&body);
    let line = text.trim().lines().next().unwrap_or_default();
    match line.is_empty() {
        true => "without a word".to_owned(),
        false => line.escape_debug().to_string(),
    }
}

fn classify(error: reqwest::Error) -> FetchError {
    match error.is_connect() {
        true => FetchError::Connect {
            detail: detail(error),
        },
        false => FetchError::Reset {
            detail: detail(error),
        },
    }
}

/// What lies deepest below the client's own general words.
fn detail(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut deepest: &dyn Error = &error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

/// Why there is no such sink. No error repeats a URL or a header's value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RemoteError {
    /// The URL is none, or of another scheme.
    Url {
        /// What is wrong with it.
        detail: String,
    },
    /// A header cannot be sent.
    Header {
        /// Its name.
        name: String,
        /// What is wrong with it.
        detail: &'static str,
    },
    /// TLS could not be set up, which is the machine's fault.
    Client {
        /// What the client says.
        detail: String,
    },
}

impl fmt::Display for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url { detail } => write!(f, "not a url: {detail}"),
            Self::Header { name, detail } => write!(f, "header {name:?}: {detail}"),
            Self::Client { detail } => write!(f, "cannot set up http: {detail}"),
        }
    }
}

impl Error for RemoteError {}
