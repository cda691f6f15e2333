//! From method and path to what is asked for.

use alloc::string::String;
use alloc::vec::Vec;

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
    Templates,
    Explain,
    Invalidate,
    Health,
    Stats,
    Metrics,
    Ready,
}

impl Endpoint {
    const fn methods(&self) -> &'static str {
        match self {
            Self::Query => "GET, HEAD, POST",
            Self::Invalidate => "POST",
            Self::BuildInfo
            | Self::Collect { .. }
            | Self::CollectMany { .. }
            | Self::Record { .. }
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
    let endpoint = endpoint(path, !sources.is_empty()).ok_or_else(|| {
        HttpResponse::error(
            404,
            "not_found",
            "nothing is served under this path; the README lists what is",
        )
    })?;
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

fn endpoint(path: &str, of_source: bool) -> Option<Endpoint> {
    match path {
        "/api/v1/query" => Some(Endpoint::Query),
        "/api/v1/status/buildinfo" => Some(Endpoint::BuildInfo),
        "/v1/collect" => Some(Endpoint::CollectMany { templates: None }),
        "/v1/templates" if !of_source => Some(Endpoint::Templates),
        "/v1/explain" if !of_source => Some(Endpoint::Explain),
        "/v1/invalidate" if !of_source => Some(Endpoint::Invalidate),
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
    fn what_is_not_served_is_told_from_what_is_served_otherwise() {
        assert_eq!(at("GET", "/api/v1/write"), Err(404));
        assert_eq!(at("GET", "/v1/collect/"), Err(404));
        assert_eq!(at("GET", "/v1/collect/a/b"), Err(404));
        assert_eq!(at("DELETE", "/api/v1/query"), Err(405));
        assert_eq!(at("POST", "/metrics"), Err(405));
        assert_eq!(at("GET", "/v1/invalidate"), Err(405));
        assert!(at("HEAD", "/health").unwrap().head);
    }
}
