//! From method and path to what is asked for.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use tidegate_core::is_reading_path;
use tidegate_wire::form::decode_form;

use crate::{HttpRequest, HttpResponse};

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// The names under `/source/<name>,<name>`; none if they do not stand there.
    pub(crate) sources: Vec<String>,
    pub(crate) endpoint: Endpoint,
    /// The query part of the target, without the question mark.
    pub(crate) query: String,
    /// Whether only headers are wanted.
    pub(crate) head: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Query,
    QueryRange,
    /// Another endpoint of Prometheus, by its path below `/api/v1/`.
    Other {
        path: String,
    },
    BuildInfo,
    /// One template.
    Collect {
        template: String,
    },
    /// These templates, or all of the source's.
    CollectMany {
        templates: Option<Vec<String>>,
    },
    Record {
        pack: String,
        record: String,
    },
    /// A node and its functions over one window.
    CollectAll,
    /// What is held of Tidegate's own series.
    Held,
    /// Tidegate's own metrics: which there are, and what they are registered as.
    Registered,
    /// Statistics of them over windows.
    Aggregated,
    Alerts,
    Owners,
    Templates,
    Explain,
    Invalidate,
    /// Samples that are pushed.
    Push,
    Health,
    Stats,
    Metrics,
    Ready,
}

/// The other endpoints of Prometheus that take a form as a body, which may be longer than a URL.
const FORM_PATHS: [&str; 5] = [
    "series",
    "labels",
    "query_exemplars",
    "format_query",
    "parse_query",
];

/// The first words below `/api/v1/` of what writes, or switches something.
const WRITING: [&str; 3] = ["admin", "write", "otlp"];

/// What only reads and is not served all the same, and why.
const UNSERVED: [(&str, &str); 2] = [
    (
        "read",
        "remote read is not served here, for it is no JSON: ask the source itself",
    ),
    (
        "notifications/live",
        "streams are not served here: ask the source itself, or for notifications",
    ),
];

impl Endpoint {
    fn methods(&self) -> &'static str {
        match self {
            Self::Query | Self::QueryRange => "GET, HEAD, POST",
            Self::Other { path } if FORM_PATHS.contains(&path.as_str()) => "GET, HEAD, POST",
            Self::Invalidate | Self::Push => "POST",
            Self::Registered => "GET, HEAD, POST",
            Self::Owners => "GET, HEAD, POST, DELETE",
            Self::Other { .. }
            | Self::BuildInfo
            | Self::Collect { .. }
            | Self::CollectMany { .. }
            | Self::Record { .. }
            | Self::CollectAll
            | Self::Held
            | Self::Aggregated
            | Self::Alerts
            | Self::Templates
            | Self::Explain
            | Self::Health
            | Self::Stats
            | Self::Metrics
            | Self::Ready => "GET, HEAD",
        }
    }
}

/// Finds the endpoint, or says why there is none.
pub(crate) fn route(request: &HttpRequest) -> Result<Route, HttpResponse> {
    let target = request.target.split('#').next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (sources, path) = match path.strip_prefix("/source/") {
        Some(rest) => {
            let (names, _) = rest.split_once('/').unwrap_or((rest, ""));
            (
                names.split(',').map(Into::into).collect(),
                &rest[names.len()..],
            )
        }
        None => (Vec::new(), path),
    };
    let endpoint = match path.strip_prefix("/api/v1/") {
        Some(below) => prometheus(below)?,
        None => endpoint(path, !sources.is_empty()).ok_or_else(not_found)?,
    };
    let methods = endpoint.methods();
    if !methods.split(", ").any(|method| method == request.method) {
        let message = "this method is not served here; see the Allow header";
        return Err(HttpResponse::error(405, "bad_data", message).with("allow", methods));
    }
    Ok(Route {
        sources,
        endpoint,
        query: query.into(),
        head: request.method == "HEAD",
    })
}

fn not_found() -> HttpResponse {
    let message = "nothing is served under this path; the README lists what is";
    HttpResponse::error(404, "not_found", message)
}

/// The endpoint of the Prometheus API with this path below `/api/v1/`.
fn prometheus(below: &str) -> Result<Endpoint, HttpResponse> {
    match below {
        "query" => return Ok(Endpoint::Query),
        "query_range" => return Ok(Endpoint::QueryRange),
        "status/buildinfo" => return Ok(Endpoint::BuildInfo),
        _ => {}
    }
    if let Some((_, why)) = UNSERVED.iter().find(|(path, _)| *path == below) {
        return Err(HttpResponse::error(404, "not_found", why));
    }
    let first = below.split('/').next().unwrap_or_default();
    if WRITING.contains(&first) {
        let message = "only what reads is served here: write to the source itself";
        return Err(HttpResponse::error(403, "bad_data", message));
    }
    if let Some(name) = label_of_values(below) {
        return label_values(name);
    }
    if is_reading_path(&format!("/api/v1/{below}")) {
        Ok(Endpoint::Other { path: below.into() })
    } else {
        Err(not_found())
    }
}

/// The name in `label/<name>/values`, as it stands there.
fn label_of_values(below: &str) -> Option<&str> {
    below.strip_prefix("label/")?.strip_suffix("/values")
}

/// A name that is no path of its own is refused as Prometheus refuses what is no label's name.
fn label_values(name: &str) -> Result<Endpoint, HttpResponse> {
    let decoded = percent_decode(name);
    let path = format!("label/{decoded}/values");
    if !decoded.contains('/') && is_reading_path(&format!("/api/v1/{path}")) {
        return Ok(Endpoint::Other { path });
    }
    let message = format!("invalid label name: {decoded:?}");
    Err(HttpResponse::error(400, "bad_data", &message))
}

/// Undoes percent escapes; what is none, or no text, stays as it is.
fn percent_decode(text: &str) -> String {
    // In a path a plus is a plus.
    let plain = text
        .replace('+', "%2B")
        .replace('&', "%26")
        .replace('=', "%3D");
    match decode_form(&plain).as_deref() {
        Ok([(decoded, _)]) => decoded.clone(),
        _ => text.into(),
    }
}

fn endpoint(path: &str, of_source: bool) -> Option<Endpoint> {
    match path {
        "/v1/collect" => Some(Endpoint::CollectMany { templates: None }),
        "/v1/collect_all" => Some(Endpoint::CollectAll),
        "/v1/series" => Some(Endpoint::Held),
        "/v1/metrics" => Some(Endpoint::Registered),
        "/metrics/aggregated" => Some(Endpoint::Aggregated),
        "/v1/alerts" if !of_source => Some(Endpoint::Alerts),
        "/v1/owners" if !of_source => Some(Endpoint::Owners),
        "/v1/templates" if !of_source => Some(Endpoint::Templates),
        "/v1/explain" if !of_source => Some(Endpoint::Explain),
        "/v1/invalidate" if !of_source => Some(Endpoint::Invalidate),
        "/v1/record" if !of_source => Some(Endpoint::Push),
        "/health" if !of_source => Some(Endpoint::Health),
        "/stats" if !of_source => Some(Endpoint::Stats),
        "/metrics" if !of_source => Some(Endpoint::Metrics),
        "/-/ready" | "/-/healthy" if !of_source => Some(Endpoint::Ready),
        _ => named(path),
    }
}

/// Paths that end in names.
fn named(path: &str) -> Option<Endpoint> {
    let plain = |name: &str| !name.is_empty() && !name.contains(['/', '%']);
    if let Some((pack, record)) = path
        .strip_prefix("/v1/packs/")
        .and_then(|rest| rest.split_once('/'))
    {
        return (plain(pack) && plain(record)).then(|| Endpoint::Record {
            pack: pack.into(),
            record: record.into(),
        });
    }
    let templates = path.strip_prefix("/v1/collect/")?;
    if !templates.split(',').all(plain) {
        return None;
    }
    Some(match templates.contains(',') {
        false => Endpoint::Collect {
            template: templates.into(),
        },
        true => Endpoint::CollectMany {
            templates: Some(templates.split(',').map(Into::into).collect()),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(method: &str, target: &str) -> Result<Route, u16> {
        let request = HttpRequest {
            method: method.into(),
            ..HttpRequest::get(target)
        };
        route(&request).map_err(|response| response.status)
    }

    #[test]
    fn sources_are_named_by_a_prefix() {
        let route = at("GET", "/source/prom/api/v1/query?query=up#x").unwrap();
        assert_eq!(route.sources, ["prom"]);
        assert_eq!(
            (route.endpoint, route.query.as_str()),
            (Endpoint::Query, "query=up")
        );
        assert_eq!(
            at("GET", "/source/a,b/v1/collect").unwrap().sources,
            ["a", "b"]
        );
        assert_eq!(at("GET", "/source/prom/health"), Err(404));
        assert_eq!(at("GET", "/source/prom"), Err(404));
        assert_eq!(at("GET", "/source//api/v1/query").unwrap().sources, [""]);
    }

    #[test]
    fn templates_and_records_are_named_by_the_path() {
        let endpoint = |target| at("GET", target).unwrap().endpoint;
        let one = Endpoint::Collect {
            template: "a".into(),
        };
        assert_eq!(endpoint("/v1/collect/a"), one);
        let two = Endpoint::CollectMany {
            templates: Some(["a".into(), "b".into()].into()),
        };
        assert_eq!(endpoint("/v1/collect/a,b"), two);
        let record = Endpoint::Record {
            pack: "inference".into(),
            record: "replicas".into(),
        };
        assert_eq!(endpoint("/v1/packs/inference/replicas"), record);
        assert_eq!(at("GET", "/v1/packs/inference"), Err(404));
        assert_eq!(at("GET", "/v1/collect/a,"), Err(404));
    }

    #[test]
    fn what_only_reads_is_passed_on_and_what_writes_is_refused() {
        let path = |target| {
            let Endpoint::Other { path } = at("GET", target).unwrap().endpoint else {
                panic!("{target}")
            };
            path
        };
        assert_eq!(path("/api/v1/rules?type=alert"), "rules");
        assert_eq!(path("/source/a/api/v1/status/tsdb"), "status/tsdb");
        assert_eq!(path("/api/v1/label/%6a%6Fb/values"), "label/job/values");
        for writes in ["admin/tsdb/snapshot", "write", "otlp/v1/metrics"] {
            assert_eq!(
                at("POST", &format!("/api/v1/{writes}")),
                Err(403),
                "{writes}"
            );
        }
        for unserved in ["read", "notifications/live", "", "a//b", "../x", "a%2Fb"] {
            assert_eq!(
                at("GET", &format!("/api/v1/{unserved}")),
                Err(404),
                "{unserved}"
            );
        }
        for name in ["", "a b", "a%2Fb", "%zz", "..", "+", "a%26b"] {
            assert_eq!(
                at("GET", &format!("/api/v1/label/{name}/values")),
                Err(400),
                "{name}"
            );
        }
        assert!(at("POST", "/api/v1/series").is_ok());
        for (method, path) in [("POST", "metadata"), ("DELETE", "series"), ("PUT", "rules")] {
            assert_eq!(at(method, &format!("/api/v1/{path}")), Err(405), "{path}");
        }
    }

    #[test]
    fn what_is_not_served_is_told_from_what_is_served_otherwise() {
        assert_eq!(at("GET", "/api/v2/alerts"), Err(404));
        assert_eq!(at("GET", "/v1/collect/"), Err(404));
        assert_eq!(at("GET", "/v1/collect/a/b"), Err(404));
        assert_eq!(at("DELETE", "/api/v1/query"), Err(405));
        assert_eq!(at("POST", "/metrics"), Err(405));
        assert_eq!(at("GET", "/v1/invalidate"), Err(405));
        assert_eq!(at("GET", "/v1/record"), Err(405));
        assert_eq!(at("PUT", "/v1/owners"), Err(405));
        assert_eq!(
            at("DELETE", "/v1/owners").unwrap().endpoint,
            Endpoint::Owners
        );
        assert_eq!(at("GET", "/source/prom/v1/owners"), Err(404));
        assert!(at("HEAD", "/health").unwrap().head);
    }
}
