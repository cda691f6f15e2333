//! A plain HTTP client: what was asked, and what exactly came back.

use std::time::Duration;

use reqwest::Client;
use serde_json::Value;

/// No answer takes longer; a server that hangs fails the test instead of hanging it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// A response, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    headers: reqwest::header::HeaderMap,
    /// The body's bytes.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header's value, empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.text()))
    }

    /// The value of the first sample of a vector.
    pub fn first_value(&self) -> Option<f64> {
        let json: Value = serde_json::from_slice(&self.body).ok()?;
        json["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    }

    /// The one message of an error envelope.
    ///
    /// # Panics
    /// If the body is no error envelope as Prometheus writes it.
    pub fn error_message(&self) -> String {
        let json = self.json();
        assert_eq!(
            json["status"],
            "error",
            "no error envelope: {}",
            self.text()
        );
        assert!(
            json["errorType"]
                .as_str()
                .is_some_and(|kind| !kind.is_empty()),
            "no errorType: {}",
            self.text()
        );
        let message = json["error"].as_str().unwrap_or_default();
        assert!(!message.is_empty(), "no message: {}", self.text());
        message.to_owned()
    }
}

/// `GET url`.
///
/// # Errors
/// What broke on the way, in words.
pub async fn get(url: &str) -> Result<Answer, String> {
    Session::new().get(url).await
}

/// `POST url` with this form.
///
/// # Errors
/// What broke on the way, in words.
pub async fn post_form(url: &str, form: String) -> Result<Answer, String> {
    Session::new().post_form(url, form).await
}

/// `GET base/api/v1/query` with these parameters.
///
/// # Errors
/// What broke on the way, in words.
pub async fn instant_query(base: &str, params: &[(&str, &str)]) -> Result<Answer, String> {
    get(&format!("{base}/api/v1/query?{}", encode_form(params))).await
}

/// `POST base/api/v1/query` with these parameters.
///
/// # Errors
/// What broke on the way, in words.
pub async fn post_query(base: &str, params: &[(&str, &str)]) -> Result<Answer, String> {
    post_form(&format!("{base}/api/v1/query"), encode_form(params)).await
}

/// One parameter of a structured header: `detail` of `tidegate; hit; detail=stale-on-error`.
pub fn status_field<'a>(cache_status: &'a str, name: &str) -> Option<&'a str> {
    cache_status
        .split(';')
        .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
}

/// A client whose connections are kept, for whoever asks thousands of times.
#[derive(Clone, Debug)]
pub struct Session(Client);

impl Session {
    /// Nothing is connected yet.
    #[expect(
        clippy::new_without_default,
        reason = "a session is begun, not defaulted"
    )]
    pub fn new() -> Self {
        Self(client())
    }

    /// `GET url`.
    ///
    /// # Errors
    /// What broke on the way, in words.
    pub async fn get(&self, url: &str) -> Result<Answer, String> {
        finish(self.0.get(url)).await
    }

    /// `POST url` with this form.
    ///
    /// # Errors
    /// What broke on the way, in words.
    pub async fn post_form(&self, url: &str, form: String) -> Result<Answer, String> {
        self.post(url, "application/x-www-form-urlencoded", form)
            .await
    }

    /// `POST url` with this body.
    ///
    /// # Errors
    /// What broke on the way, in words.
    pub async fn post(
        &self,
        url: &str,
        content_type: &str,
        body: String,
    ) -> Result<Answer, String> {
        let request = self.0.post(url).header("content-type", content_type);
        finish(request.body(body)).await
    }
}

async fn finish(request: reqwest::RequestBuilder) -> Result<Answer, String> {
    let whole = |error: reqwest::Error| format!("{error:?}");
    let response = request.send().await.map_err(whole)?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.bytes().await.map_err(whole)?.to_vec();
    Ok(Answer {
        status,
        headers,
        body,
    })
}

/// A client of its own per request: no connection outlives the process it led to.
fn client() -> Client {
    Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(REQUEST_TIMEOUT)
        .build()
        .expect("a client without certificates of its own")
}

/// Parameters as a form, which is a query string as well.
pub fn encode_form(params: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = params
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)))
        .collect();
    pairs.join("&")
}

fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte))
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_cache_status_are_found_by_name() {
        let header = "tidegate; hit; ttl=-4; freshness=stale; detail=stale-on-error";
        assert_eq!(status_field(header, "ttl"), Some("-4"));
        assert_eq!(status_field(header, "detail"), Some("stale-on-error"));
        assert_eq!(status_field(header, "fwd"), None);
    }

    #[test]
    fn parameters_are_percent_encoded() {
        assert_eq!(
            encode_form(&[("query", "a + \"ü\""), ("time", "1.5")]),
            "query=a%20%2B%20%22%C3%BC%22&time=1.5"
        );
    }
}
