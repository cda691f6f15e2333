//! Where a source lives, and the credentials it wants.

use wasm_bindgen::prelude::{JsValue, wasm_bindgen};
use web_sys::Url;

#[wasm_bindgen]
extern "C" {
    /// Base64 of a text whose characters stand for bytes.
    #[wasm_bindgen(catch)]
    fn btoa(binary: &str) -> Result<String, JsValue>;

    #[wasm_bindgen(catch, js_name = decodeURIComponent)]
    fn percent_decode(text: &str) -> Result<String, JsValue>;
}

/// A source's base address. `fetch` takes no URL with credentials, so they travel in a header.
pub(crate) struct Address {
    /// Origin and path, without a slash at the end.
    base: String,
    pub(crate) authorization: Option<String>,
}

impl Address {
    /// Reads a URL; in a page or worker it may be relative to that.
    ///
    /// The error does not repeat the URL, which may hold a password.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let url = match page() {
            Some(page) => Url::new_with_base(text, &page),
            None => Url::new(text),
        };
        let url =
            url.map_err(|_| "its url is not a URL; expected something like http://127.0.0.1:9090")?;
        if !matches!(url.protocol().as_str(), "http:" | "https:") {
            return Err("its url must begin with http:// or https://");
        }
        if !url.search().is_empty() || !url.hash().is_empty() {
            return Err("its url must end with its path: remove what follows '?' or '#'");
        }
        let authorization = authorization(&url.username(), &url.password())?;
        let base = format!(
            "{}//{}{}",
            url.protocol(),
            url.host(),
            url.pathname().trim_end_matches('/')
        );
        Ok(Self {
            base,
            authorization,
        })
    }

    /// Where `path`, which begins with a slash, is found below the base.
    pub(crate) fn join(&self, path: &str, query: &str) -> String {
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}{path}{mark}{query}", self.base)
    }
}

/// The address of the page or worker script, where there is one.
fn page() -> Option<String> {
    let location = js_sys::Reflect::get(&js_sys::global(), &"location".into()).ok()?;
    js_sys::Reflect::get(&location, &"href".into())
        .ok()?
        .as_string()
}

/// The `Authorization` header for user and password as they stand in a URL.
fn authorization(user: &str, password: &str) -> Result<Option<String>, &'static str> {
    const UNREADABLE: &str = "the user or password in its url is not percent-encoded UTF-8";
    if user.is_empty() && password.is_empty() {
        return Ok(None);
    }
    let plain = percent_decode(&format!("{user}:{password}")).map_err(|_| UNREADABLE)?;
    let binary: String = plain.bytes().map(char::from).collect();
    let encoded = btoa(&binary).map_err(|_| UNREADABLE)?;
    Ok(Some(format!("Basic {encoded}")))
}
