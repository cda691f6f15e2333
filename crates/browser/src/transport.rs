//! Fetches by the global `fetch`, up to a limit and no further.

use gloo_net::http::{Request, RequestBuilder, Response as JsResponse};
use js_sys::{Promise, Reflect, Uint8Array};
use tidegate_client::Transport;
use tidegate_core::{Fetch, FetchError, Method, Now, Response, parse_retry_after};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, ReadableStreamDefaultReader, RequestCache, RequestRedirect, ResponseType,
};

use crate::address::{Address, Addresses};

/// How large a decoded body may be: 64 MiB, as natively, far above what a page can draw.
const BODY_BYTES_MAX: u64 = 64 << 20;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = fetch)]
    fn global_fetch(request: &web_sys::Request) -> Promise;
}

/// What the HTTP API of a source answers in.
const ACCEPT_API: &str = "application/json";

/// What a target is asked for. One that speaks OpenMetrics whatever it is asked for is read as that.
const ACCEPT_TEXT: &str = "text/plain;version=0.0.4";

/// Fetches from a fixed set of sources and targets.
pub(crate) struct FetchTransport {
    pub(crate) addresses: Addresses,
}

impl Transport for FetchTransport {
    /// The collector itself gives up at the deadline, by dropping the future.
    async fn fetch(&self, fetch: Fetch, now: Now) -> Result<Response, FetchError> {
        let target = fetch.target.as_deref();
        let Some(address) = self.addresses.find(&fetch.source, target) else {
            return Err(FetchError::Refused {
                detail: format!("source {} has no address", fetch.source),
            });
        };
        let refused = |error: &dyn std::fmt::Display| FetchError::Refused {
            detail: error.to_string(),
        };
        let guard = AbortOnDrop(AbortController::new().map_err(|error| refused(&words(&error)))?);
        let request = request(address, &fetch, &guard.0).map_err(|error| refused(&error))?;
        let response = send(request).await.map_err(|error| FetchError::Connect {
            detail: words(&error),
        })?;
        let status = response.status();
        // A page is not told which redirect it was, so there the status is 0.
        if response.type_() == ResponseType::Opaqueredirect
            || (300..400).contains(&status) && status != 304
        {
            return Err(FetchError::Redirect { status });
        }
        // A page sees this header of another origin only if that says so.
        let retry_after = response.headers().get("retry-after");
        let retry_after = retry_after.and_then(|header| parse_retry_after(&header, now.wall));
        let content_type = response.headers().get("content-type");
        let body = read(&response).await?;
        Ok(Response {
            content_type: content_type.filter(|_| fetch.target.is_some()),
            ..Response::new(status, body).with_retry_after(retry_after)
        })
    }
}

fn request(
    address: &Address,
    fetch: &Fetch,
    abort: &AbortController,
) -> Result<Request, gloo_net::Error> {
    let asked = &fetch.request;
    let accept = match fetch.target {
        None => ACCEPT_API,
        Some(_) => ACCEPT_TEXT,
    };
    let shape = |builder: RequestBuilder| {
        let builder = builder
            .abort_signal(Some(&abort.signal()))
            .redirect(RequestRedirect::Manual)
            // The collector is the cache.
            .cache(RequestCache::NoStore)
            .header("accept", accept);
        match &address.authorization {
            Some(authorization) => builder.header("authorization", authorization),
            None => builder,
        }
    };
    match asked.method {
        Method::Get => shape(Request::get(&address.join(&asked.path, &asked.form))).build(),
        Method::Post => shape(Request::post(&address.join(&asked.path, "")))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(asked.form.as_str()),
    }
}

/// What `gloo_net` does to send, but with the error whole: Node says only in its cause what went wrong.
async fn send(request: Request) -> Result<JsResponse, JsValue> {
    let response = JsFuture::from(global_fetch(&request.into())).await?;
    Ok(response.unchecked_into::<web_sys::Response>().into())
}

/// Reads the body piece by piece, so that an endless one is left at the limit.
async fn read(response: &JsResponse) -> Result<Vec<u8>, FetchError> {
    let broken = |error: JsValue| FetchError::Reset {
        detail: words(&error),
    };
    let mut body = Vec::new();
    let Some(stream) = response.body() else {
        return Ok(body);
    };
    let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
    loop {
        let step = JsFuture::from(reader.read()).await.map_err(broken)?;
        if Reflect::get(&step, &"done".into()).is_ok_and(|done| done.is_truthy()) {
            return Ok(body);
        }
        let chunk: Uint8Array = Reflect::get(&step, &"value".into())
            .map_err(broken)?
            .unchecked_into();
        let start = body.len();
        let end = start + chunk.length() as usize;
        if end as u64 > BODY_BYTES_MAX {
            return Err(FetchError::TooLarge {
                limit_bytes: BODY_BYTES_MAX,
            });
        }
        body.resize(end, 0);
        chunk.copy_to(&mut body[start..]);
    }
}

/// Ends a fetch that nobody waits for; does nothing to one that has ended.
struct AbortOnDrop(AbortController);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The messages of an error and its causes.
fn words(error: &JsValue) -> String {
    const CAUSES_MAX: usize = 4;
    let mut words = Vec::new();
    let mut error = error.clone();
    for _ in 0..CAUSES_MAX {
        let text = |key: &str| {
            Reflect::get(&error, &key.into())
                .ok()?
                .as_string()
                .filter(|text| !text.is_empty())
        };
        words.extend(text("message").or_else(|| text("code")));
        match Reflect::get(&error, &"cause".into()) {
            Ok(cause) if cause.is_object() => error = cause,
            _ => break,
        }
    }
    if words.is_empty() {
        "no reason given".to_owned()
    } else {
        words.join(": ")
    }
}
