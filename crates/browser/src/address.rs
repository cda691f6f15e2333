//! Where a source lives, and the credentials it wants.

use std::collections::BTreeMap;

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

/// The addresses of sources, and of the targets of those that are scraped.
#[derive(Default)]
pub(crate) struct Addresses {
    sources: BTreeMap<String, Address>,
    targets: BTreeMap<String, BTreeMap<String, Address>>,
}

impl Addresses {
    pub(crate) fn insert(&mut self, source: &str, address: Address) {
        self.sources.insert(source.to_owned(), address);
    }

    pub(crate) fn insert_target(&mut self, source: &str, target: &str, address: Address) {
        let targets = self.targets.entry(source.to_owned()).or_default();
        targets.insert(target.to_owned(), address);
    }

    /// The address of a source, or of one of its targets.
    pub(crate) fn find(&self, source: &str, target: Option<&str>) -> Option<&Address> {
        match target {
            None => self.sources.get(source),
            Some(target) => self.targets.get(source)?.get(target),
        }
    }
}

/// A source's base address, or a target's. `fetch` takes no URL with credentials, so they travel
/// in a header.
pub(crate) struct Address {
    /// Origin and path, without a slash at the end; a target's as it is, with its query.
    base: String,
    pub(crate) authorization: Option<String>,
}

impl Address {
    /// Reads a URL; in a page or worker it may be relative to that.
    ///
    /// The error does not repeat the URL, which may hold a password.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let url = read(text)?;
        if !url.search().is_empty() || !url.hash().is_empty() {
            return Err("its url must end with its path: remove what follows '?' or '#'");
        }
        let path = url.pathname();
        Self::of(&url, path.trim_end_matches('/'))
    }

    /// Reads the URL of a target's text, which may have a query.
    pub(crate) fn parse_target(text: &str) -> Result<Self, &'static str> {
        let url = read(text)?;
        Self::of(&url, &format!("{}{}", url.pathname(), url.search()))
    }

    fn of(url: &Url, path: &str) -> Result<Self, &'static str> {
        let authorization = authorization(&url.username(), &url.password())?;
        Ok(Self {
            base: format!("{}//{}{path}", url.protocol(), url.host()),
            authorization,
        })
    }

    /// Where `path`, which begins with a slash or is empty for a target, is found below the base.
    pub(crate) fn join(&self, path: &str, query: &str) -> String {
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}{path}{mark}{query}", self.base)
    }
}

fn read(text: &str) -> Result<Url, &'static str> {
    let url = match page() {
        Some(page) => Url::new_with_base(text, &page),
        None => Url::new(text),
    };
    let url =
        url.map_err(|_| "its url is not a URL; expected something like http://127.0.0.1:9090")?;
    if !matches!(url.protocol().as_str(), "http:" | "https:") {
        return Err("its url must begin with http:// or https://");
    }
    Ok(url)
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
