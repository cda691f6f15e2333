//! Bad requests are refused before any fetch, as Prometheus refuses them; and no request, however
//! bad, does harm.

use std::str::from_utf8;
use std::time::Duration;

use proptest::prelude::*;
use tidegate_api::{Command, CommandId, Front, HttpRequest, HttpResponse, Input, Output, Reply};
use tidegate_core::{Config, Instant, Now, SourceConfig, UnixMillis};

const CASES: &str = include_str!("bad_requests.txt");

fn front() -> Front {
    let quiet = |source| SourceConfig {
        probe_interval: Duration::ZERO,
        ..source
    };
    let config = Config::with_sources(vec![
        quiet(SourceConfig::prometheus("prom")),
        quiet(SourceConfig::prometheus("east")),
        quiet(SourceConfig::scrape("pods", vec!["a".into()])),
        SourceConfig::push("node"),
    ]);
    Front::new(config, "0", now()).unwrap()
}

fn now() -> Now {
    Now {
        mono: Instant::ZERO + Duration::from_secs(1),
        wall: UnixMillis(1_700_000_000_000),
    }
}

/// The response, where it is given at once, and whether anything was fetched.
fn asked(front: &mut Front, request: HttpRequest) -> (Option<HttpResponse>, bool) {
    let outputs = front.step(
        vec![Input::Command(CommandId(1), Command::Http(request))],
        now(),
    );
    let fetches = outputs
        .iter()
        .any(|output| matches!(output, Output::Fetch(_)));
    let reply = outputs.into_iter().find_map(|output| {
        if let Output::Reply(_, Reply::Http(response)) = output {
            return Some(response);
        }
        None
    });
    (reply, fetches)
}

#[test]
fn bad_requests_are_answered_as_prometheus_answers_them_and_fetch_nothing() {
    let lines = CASES
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with(['#', '=']));
    let lines: Vec<&str> = lines.collect();
    assert!(lines.len() > 90);
    for case in lines.chunks(2) {
        let (status, target) = case[0].split_once(' ').unwrap();
        let (reply, fetches) = asked(&mut front(), HttpRequest::get(target));
        let reply = reply.unwrap_or_else(|| panic!("{target} is answered at once"));
        assert_eq!(from_utf8(&reply.body).unwrap(), case[1].trim(), "{target}");
        assert_eq!(
            (reply.status.to_string().as_str(), fetches),
            (status, false),
            "{target}"
        );
        // As a form it is the same request.
        let (path, form) = target.split_once('?').unwrap_or((target, ""));
        let posted = HttpRequest {
            method: "POST".into(),
            headers: vec![(
                "content-type".into(),
                "application/x-www-form-urlencoded".into(),
            )],
            body: form.into(),
            ..HttpRequest::get(path)
        };
        let (posted, _) = asked(&mut front(), posted);
        let posted = posted.unwrap();
        assert!(
            posted.status == 405 || posted == reply,
            "{target}: {posted:?}"
        );
    }
}

/// Whether an error is told as Prometheus tells errors.
fn is_envelope(body: &[u8]) -> bool {
    let body = from_utf8(body).unwrap_or_default();
    body.starts_with(r#"{"status":"error","errorType":""#)
        && body.contains(r#"","error":""#)
        && body.ends_with("\"}")
}

fn target() -> impl Strategy<Value = String> {
    let prefix = prop::sample::select(vec![
        "",
        "/source/prom",
        "/source/prom,east",
        "/source/local",
        "/source/pods",
        "/source//",
    ]);
    let path = prop_oneof![
        prop::sample::select(vec![
            "/api/v1/query",
            "/api/v1/query_range",
            "/api/v1/series",
            "/api/v1/labels",
            "/api/v1/label/a/values",
            "/api/v1/label/%/values",
            "/api/v1/metadata",
            "/api/v1/rules",
            "/api/v1/write",
            "/api/v1/",
            "/v1/collect/x",
            "/v1/explain",
        ])
        .prop_map(String::from),
        "/api/v1/[a-z%2./]{0,9}",
        "[ -~é]{0,12}",
    ];
    let name = prop::sample::select(vec![
        "query",
        "start",
        "end",
        "step",
        "time",
        "timeout",
        "limit",
        "match[]",
        "lookback_delta",
        "x",
    ]);
    let value = prop_oneof![
        prop::sample::select(vec![
            "",
            "1",
            "-1",
            "1e300",
            "NaN",
            "up",
            "up{",
            "1700000000",
            "15s",
            "9223372036854775807",
            "-9223372036854775"
        ])
        .prop_map(String::from),
        "[ -~é]{0,6}",
    ];
    let form = prop::collection::vec((name, value), 0..6).prop_map(|pairs| {
        let pairs = pairs.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("&")
    });
    (prefix, path, form).prop_map(|(prefix, path, form)| format!("{prefix}{path}?{form}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_request_does_harm_and_every_error_is_an_envelope(
        method in prop::sample::select(vec!["GET", "HEAD", "POST", "PUT", "", "get"]),
        target in target(),
        body in "[ -~]{0,12}",
    ) {
        let request = HttpRequest {
            method: method.into(),
            headers: vec![("content-type".into(), "application/x-www-form-urlencoded".into())],
            body: body.into(),
            ..HttpRequest::get(target)
        };
        let (reply, fetches) = asked(&mut front(), request.clone());
        match reply {
            None => prop_assert!(fetches, "{request:?}"),
            Some(reply) if reply.status < 400 => {}
            Some(reply) => {
                let told = reply.body.is_empty() && method == "HEAD" || is_envelope(&reply.body);
                prop_assert!(told, "{request:?}: {reply:?}");
                prop_assert!(!fetches, "{request:?}");
            }
        }
    }
}
