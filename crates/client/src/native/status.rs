//! What a client's collector says about its sources and catalogs.

use serde_json::Value;
use tidegate_api::HttpRequest;
use tidegate_core::{QueryError, SourceHealth, UnixMillis};

use super::client::Tidegate;
use crate::{ClientError, Closed};

/// What is known about a source now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceState {
    /// Its name.
    pub name: String,
    /// `prometheus`, `scrape`, `push`, `plugin` or `local`.
    pub kind: String,
    /// Whether it answers.
    pub health: SourceHealth,
    /// `closed` where it is asked, `open` where it is left alone for its failures, `half-open`
    /// where one ask is let through.
    pub breaker: String,
    /// When it last answered, or last pushed.
    pub last_success: Option<UnixMillis>,
    /// The last failure and when it happened, kept after a success for whoever looks later.
    pub last_error: Option<(UnixMillis, String)>,
    /// Failures since the last success.
    pub failures_in_a_row: u64,
    /// How many templates its catalog has.
    pub templates: u64,
}

/// A template of a catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TemplateState {
    /// Its name.
    pub name: String,
    /// PromQL with parameters, or a metric's name.
    pub text: String,
    /// For people.
    pub description: String,
    /// The parameters in its text.
    pub params: Vec<String>,
}

/// What it says about itself.
impl Tidegate {
    /// The state of every source, `local` included.
    ///
    /// # Errors
    /// The client is closed.
    pub async fn sources(&self) -> Result<Vec<SourceState>, Closed> {
        let health = self.document("/health").await?;
        Ok(items(&health["sources"]).map(source).collect())
    }

    /// A source's catalog, by name.
    ///
    /// # Errors
    /// An unknown source, or the client is closed.
    pub async fn templates(&self, source: &str) -> Result<Vec<TemplateState>, ClientError> {
        let catalogs = self.document("/v1/templates").await?;
        match catalogs.get(source) {
            Some(catalog) => Ok(items(catalog).map(template).collect()),
            None => {
                let known = catalogs.as_object().into_iter().flatten();
                Err(ClientError::Query(QueryError::UnknownSource {
                    name: source.to_owned(),
                    known: known.map(|(name, _)| name.as_str().into()).collect(),
                }))
            }
        }
    }

    pub(super) async fn default_source(&self) -> Result<String, Closed> {
        let health = self.document("/health").await?;
        Ok(text(&health["default_source"]))
    }

    async fn document(&self, path: &str) -> Result<Value, Closed> {
        let response = self.http(HttpRequest::get(path)).await?;
        Ok(serde_json::from_slice(&response.body).expect("the collector writes JSON"))
    }
}

fn source(state: &Value) -> SourceState {
    let error = &state["last_error"];
    SourceState {
        name: text(&state["name"]),
        kind: text(&state["kind"]),
        health: match state["health"].as_str() {
            Some("up") => SourceHealth::Up,
            Some("degraded") => SourceHealth::Degraded,
            Some("down") => SourceHealth::Down,
            _ => SourceHealth::Unknown,
        },
        breaker: text(&state["breaker"]),
        last_success: state["last_success_ms"].as_i64().map(UnixMillis),
        last_error: error["at_ms"]
            .as_i64()
            .map(|at| (UnixMillis(at), text(&error["message"]))),
        failures_in_a_row: state["failures_in_a_row"].as_u64().unwrap_or_default(),
        templates: state["templates"].as_u64().unwrap_or_default(),
    }
}

fn template(state: &Value) -> TemplateState {
    TemplateState {
        name: text(&state["name"]),
        text: text(&state["text"]),
        description: text(&state["description"]),
        params: items(&state["params"]).map(text).collect(),
    }
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
