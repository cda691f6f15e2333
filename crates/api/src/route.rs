//! From method and path to what is asked for.

use alloc::string::String;

use crate::{HttpRequest, HttpResponse};

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// The name under `/source/<name>`, if it stands there.
    pub(crate) source: Option<String>,
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
    Collect { template: String },
    Health,
    Stats,
    Metrics,
    Ready,
}

/// Finds the endpoint, or says why there is none.
pub(crate) fn route(request: &HttpRequest) -> Result<Route, HttpResponse> {
    let target = request.target.split('#').next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (source, path) = match path
        .strip_prefix("/source/")
        .map(|rest| rest.split_once('/').unwrap_or((rest, "")))
    {
        Some((name, _)) => (Some(name.into()), &path["/source/".len() + name.len()..]),
        None => (None, path),
    };
    let endpoint = endpoint(path, source.is_some()).ok_or_else(|| {
        HttpResponse::error(
            404,
            "not_found",
            "nothing is served under this path; the README lists what is",
        )
    })?;
    let posts = endpoint == Endpoint::Query;
    let methods = if posts {
        "GET, HEAD, POST"
    } else {
        "GET, HEAD"
    };
    let head = request.method == "HEAD";
    if !methods.split(", ").any(|method| method == request.method) {
        let message = "this method is not served here; see the Allow header";
        return Err(HttpResponse::error(405, "bad_data", message).with("allow", methods));
    }
    Ok(Route {
        source,
        endpoint,
        query: query.into(),
        head,
    })
}

fn endpoint(path: &str, of_source: bool) -> Option<Endpoint> {
    match path {
        "/api/v1/query" => Some(Endpoint::Query),
        "/api/v1/status/buildinfo" => Some(Endpoint::BuildInfo),
        "/health" if !of_source => Some(Endpoint::Health),
        "/stats" if !of_source => Some(Endpoint::Stats),
        "/metrics" if !of_source => Some(Endpoint::Metrics),
        "/-/ready" | "/-/healthy" if !of_source => Some(Endpoint::Ready),
        _ => {
            let template = path.strip_prefix("/v1/collect/")?;
            let plain = !template.is_empty() && !template.contains(['/', '%']);
            plain.then(|| Endpoint::Collect {
                template: template.into(),
            })
        }
    }
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
    fn a_source_is_named_by_a_prefix() {
        let route = at("GET", "/source/prom/api/v1/query?query=up#x").unwrap();
        assert_eq!(route.source.as_deref(), Some("prom"));
        assert_eq!(
            (route.endpoint, route.query.as_str()),
            (Endpoint::Query, "query=up")
        );
        assert_eq!(at("GET", "/source/prom/health"), Err(404));
        assert_eq!(at("GET", "/source/prom"), Err(404));
        assert_eq!(
            at("GET", "/source//api/v1/query")
                .unwrap()
                .source
                .as_deref(),
            Some("")
        );
    }

    #[test]
    fn what_is_not_served_is_told_from_what_is_served_otherwise() {
        assert_eq!(at("GET", "/api/v1/write"), Err(404));
        assert_eq!(at("GET", "/v1/collect/"), Err(404));
        assert_eq!(at("GET", "/v1/collect/a/b"), Err(404));
        assert_eq!(at("DELETE", "/api/v1/query"), Err(405));
        assert_eq!(at("POST", "/metrics"), Err(405));
        assert!(at("HEAD", "/health").unwrap().head);
    }
}
