//! The machine's rules, from commands to replies.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use core::time::Duration;

use tidegate_core::{
    FetchError, FetchId, Instant, Response, RetryConfig, SourceConfig, TemplateConfig, UnixMillis,
};

use super::*;

const UP: &str = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;

fn front() -> Front {
    let source = SourceConfig {
        probe_interval: Duration::ZERO,
        fetch_interval: Duration::ZERO,
        retry: RetryConfig {
            retries_max: 0,
            ..RetryConfig::default()
        },
        ..SourceConfig::prometheus("prom")
    };
    Front::new(Config::with_sources(vec![source]), "1.2.3", Now::ZERO).unwrap()
}

fn at(seconds: u64) -> Now {
    at_ms(seconds * 1000)
}

fn at_ms(ms: u64) -> Now {
    let mono = Instant::from_millis(ms);
    Now {
        mono,
        wall: UnixMillis(mono.as_nanos() as i64 / 1_000_000),
    }
}

fn get(id: u64, target: &str) -> Input<Command> {
    Input::Command(CommandId(id), Command::Http(HttpRequest::get(target)))
}

fn respond(fetch: u64, result: Result<Response, FetchError>) -> Input<Command> {
    Input::Response(FetchId(fetch), result)
}

/// The HTTP responses among the outputs, by command.
fn responses(outputs: Vec<Output<Reply>>) -> Vec<(u64, HttpResponse)> {
    let response = |output| {
        let Output::Reply(id, Reply::Http(response)) = output else {
            return None;
        };
        Some((id.0, response))
    };
    outputs.into_iter().filter_map(response).collect()
}

fn header<'a>(response: &'a HttpResponse, name: &str) -> &'a str {
    let found = response.headers.iter().find(|(header, _)| *header == name);
    found.map_or("", |(_, value)| value)
}

#[test]
fn a_step_ends_with_what_to_wait_for() {
    let outputs = front().step(vec![get(1, "/api/v1/query?query=up")], at(0));
    assert!(matches!(
        outputs[..],
        [Output::Fetch(_), Output::Wait(Some(_))]
    ));
}

#[test]
fn headers_say_how_an_answer_was_come_by() {
    let mut front = front();
    let query = |id| get(id, "/api/v1/query?query=up");
    let mut seen = vec![];
    front.step(vec![query(1), query(2)], at(0));
    let said = Ok(Response::new(200, UP));
    seen.extend(responses(front.step(vec![respond(0, said)], at(1))));
    seen.extend(responses(front.step(vec![query(3)], at(11))));
    front.step(vec![query(4)], at(40));
    let down = Err(FetchError::Connect {
        detail: "refused\r\nset-cookie: x".into(),
    });
    seen.extend(responses(front.step(vec![respond(1, down)], at(41))));

    let statuses: Vec<_> = seen
        .iter()
        .map(|(id, r)| (*id, header(r, "cache-status")))
        .collect();
    assert_eq!(
        statuses,
        [
            (
                1,
                "tidegate; fwd=miss; stored; freshness=fresh; detail=miss"
            ),
            (
                2,
                "tidegate; fwd=miss; collapsed; stored; freshness=fresh; detail=coalesced"
            ),
            (3, "tidegate; hit; ttl=20; freshness=fresh; detail=hit"),
            (
                4,
                "tidegate; hit; ttl=-10; freshness=fresh; detail=stale-on-error"
            ),
        ]
    );
    assert_eq!(header(&seen[2].1, "age"), "11");
    let reason = header(&seen[3].1, "tidegate-reason");
    assert!(reason.contains("refused??set-cookie"), "{reason}");
    assert!(
        seen.iter()
            .all(|(_, response)| response.body == UP.as_bytes())
    );
}

#[test]
fn every_error_has_its_status_and_envelope() {
    let mut front = front();
    for (target, status, word) in [
        ("/api/v1/query?query=up&time=x", 400, "bad_data"),
        (
            "/source/local/api/v1/query?query=up%7B",
            400,
            "1:4: parse error",
        ),
        ("/source/local/api/v1/query?query=sum(up)", 422, "execution"),
        ("/source/nope/api/v1/query?query=up", 404, "unknown source"),
        ("/v1/collect/nope", 404, "no template"),
        ("/api/v1/write", 403, "only what reads"),
        (
            &*format!("/api/v1/query?query={}", "a".repeat(200_000)),
            414,
            "200000 bytes",
        ),
    ] {
        let seen = responses(front.step(vec![get(7, target)], at(0)));
        let body = core::str::from_utf8(&seen[0].1.body).unwrap();
        assert_eq!(seen[0].1.status, status, "{target:.60}: {body}");
        assert!(
            body.starts_with("{\"status\":\"error\"") && body.contains(word),
            "{body}"
        );
    }
}

#[test]
fn an_abandoned_command_gets_no_reply() {
    let mut front = front();
    front.step(vec![get(1, "/api/v1/query?query=up")], at(0));
    let outputs = front.step(vec![Input::Abandon(CommandId(1))], at(1));
    assert!(matches!(
        outputs[..],
        [Output::Cancel(FetchId(0)), Output::Wait(_)]
    ));
    let outputs = front.step(vec![respond(0, Ok(Response::new(200, UP)))], at(2));
    assert!(matches!(outputs[..], [Output::Wait(_)]));
}

#[test]
fn health_is_degraded_while_a_source_is_down() {
    let mut front = front();
    let health = |front: &mut Front, now| {
        let seen = responses(front.step(vec![get(9, "/health")], now));
        String::from_utf8(seen[0].1.body.clone()).unwrap()
    };
    assert!(health(&mut front, at(0)).contains("\"status\":\"ok\""));
    front.step(vec![get(1, "/api/v1/query?query=up")], at(0));
    let down = Err(FetchError::Reset {
        detail: "gone".into(),
    });
    front.step(vec![respond(0, down)], at(1));
    let said = health(&mut front, at(1));
    assert!(
        said.contains("\"status\":\"degraded\"") && said.contains("gone"),
        "{said}"
    );
}

fn body(response: &HttpResponse) -> &str {
    core::str::from_utf8(&response.body).unwrap()
}

fn post(id: u64, target: &str, headers: &[(&str, &str)]) -> Input<Command> {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()));
    let request = HttpRequest {
        method: "POST".into(),
        headers: headers.collect(),
        ..HttpRequest::get(target)
    };
    Input::Command(CommandId(id), Command::Http(request))
}

fn register(front: &mut Front, name: &str) {
    let change = Change::Register {
        source: "prom".into(),
        template: TemplateConfig {
            name: name.into(),
            text: format!("{name}{{a=\"{{{{.x}}}}\"}}"),
            ..TemplateConfig::default()
        },
    };
    let outputs = front.step(
        vec![Input::Command(CommandId(99), Command::Change(change))],
        at(0),
    );
    assert!(matches!(
        outputs[0],
        Output::Reply(_, Reply::Changed(Ok(0)))
    ));
}

#[test]
fn one_failed_template_leaves_the_others_of_its_batch_alone() {
    let mut front = front();
    for name in ["a", "b"] {
        register(&mut front, name);
    }
    for target in ["/v1/collect?x=1", "/v1/collect/a,b,nope?x=2"] {
        let outputs = front.step(vec![get(1, target)], at(0));
        let fetches: Vec<FetchId> = outputs
            .iter()
            .filter_map(|output| match output {
                Output::Fetch(fetch) => Some(fetch.id),
                Output::Cancel(_)
                | Output::Reply(..)
                | Output::Event(_)
                | Output::Forget(_)
                | Output::Append(_)
                | Output::Wait(_) => None,
            })
            .collect();
        assert_eq!(fetches.len(), 2);
        let good = Input::Response(fetches[0], Ok(Response::new(200, UP)));
        assert_eq!(responses(front.step(vec![good], at(1))).len(), 0);
        let bad = Input::Response(fetches[1], Ok(Response::new(500, "no")));
        let seen = responses(front.step(vec![bad], at(1)));
        let said = body(&seen[0].1);
        assert!(
            said.starts_with(
                r#"{"status":"success","results":{"a":{"status":"success","tidegate":"#
            ),
            "{said}"
        );
        assert!(said.contains(r#""b":{"status":"error""#), "{said}");
        assert_eq!(said.contains("nope"), target.contains("nope"));
    }
    assert!(front.asks.is_empty() && front.waiting.is_empty() && front.batches.is_empty());
}

#[test]
fn a_batch_is_json_whatever_names_are_asked_for() {
    let mut front = front();
    let seen = responses(front.step(vec![get(1, "/v1/collect/\":1,\u{18}")], at(0)));
    let said = body(&seen[0].1);
    let start = r#"{"status":"success","results":{"\":1":{"status":"error""#;
    assert!(said.starts_with(start), "{said}");
    assert!(said.contains(r#","\u0018":{"#), "{said}");
}

#[test]
fn a_record_without_data_says_what_went_wrong() {
    let mut front = front();
    let seen = responses(front.step(vec![get(1, "/v1/packs/node/node?instance=a")], at(0)));
    let said = body(&seen[0].1);
    assert!(
        said.contains(r#""rows":[]"#) && said.contains("no template"),
        "{said}"
    );
    let seen = responses(front.step(vec![get(1, "/v1/packs/nope/x")], at(0)));
    assert_eq!(seen[0].1.status, 404);
}

#[test]
fn owners_come_and_go_and_pages_of_other_origins_change_nothing() {
    let mut front = front();
    let mut ask = |method: &str, target: &str, headers: &[(&str, &str)]| {
        let Input::Command(id, Command::Http(request)) = post(1, target, headers) else {
            panic!("a request")
        };
        let request = HttpRequest {
            method: method.into(),
            ..request
        };
        let input = Input::Command(id, Command::Http(request));
        let (_, response) = responses(front.step(vec![input], at(0))).remove(0);
        (response.status, String::from_utf8(response.body).unwrap())
    };
    let evil = [("sec-fetch-site", "cross-site")];
    for method in ["POST", "DELETE"] {
        let (status, _) = ask(method, "/v1/owners?workload=llama&owner=a", &evil);
        assert_eq!(status, 403);
    }
    let (_, said) = ask("POST", "/v1/owners?workload=llama&owner=a", &[]);
    assert_eq!(
        said,
        r#"{"status":"success","workload":"llama","owner":"a"}"#
    );
    let (_, said) = ask("GET", "/v1/owners?pod=llama-1", &[]);
    assert_eq!(said, r#"{"status":"success","pod":"llama-1","owner":"a"}"#);
    let (_, said) = ask("DELETE", "/v1/owners?workload=llama", &[]);
    assert!(said.contains(r#""former":"a""#), "{said}");
    assert_eq!(ask("DELETE", "/v1/owners?workload=llama", &[]).0, 404);
    assert_eq!(ask("POST", "/v1/owners?workload=llama&owner=", &[]).0, 400);
    assert_eq!(ask("POST", "/v1/owners?owner=a", &[]).0, 400);
    let (_, said) = ask("GET", "/v1/owners", &[]);
    assert_eq!(said, r#"{"status":"success","owners":{}}"#);
}

#[test]
fn only_pages_of_the_same_origin_may_invalidate() {
    let mut front = front();
    let host = ("host", "127.0.0.1:9200");
    for (headers, status) in [
        (vec![host], 200),
        (vec![host, ("origin", "http://127.0.0.1:9200")], 200),
        (vec![host, ("origin", "http://evil.example")], 403),
        (vec![host, ("origin", "null")], 403),
        (vec![host, ("sec-fetch-site", "cross-site")], 403),
    ] {
        let request = post(1, "/v1/invalidate?all", &headers);
        let seen = responses(front.step(vec![request], at(0)));
        assert_eq!(seen[0].1.status, status, "{headers:?}");
    }
    let seen = responses(front.step(vec![post(1, "/v1/invalidate?key=a&all", &[host])], at(0)));
    assert_eq!(seen[0].1.status, 400);
}

#[test]
fn a_key_is_explained_and_a_catalog_listed() {
    let mut front = front();
    register(&mut front, "load");
    let seen = responses(front.step(
        vec![
            get(1, "/v1/explain?key=prom/load:x=1"),
            get(2, "/v1/templates"),
            get(3, "/v1/explain"),
        ],
        at(0),
    ));
    assert!(body(&seen[0].1).contains("nothing is kept under this key"));
    assert!(body(&seen[1].1).contains(r#""prom":[{"name":"load""#));
    assert_eq!(seen[2].1.status, 400);
}

#[test]
fn head_is_get_without_the_body() {
    let head = HttpRequest {
        method: "HEAD".to_string(),
        ..HttpRequest::get("/stats")
    };
    let input = Input::Command(CommandId(1), Command::Http(head));
    let seen = responses(front().step(vec![input], at(0)));
    assert_eq!((seen[0].1.status, seen[0].1.body.len()), (200, 0));
    assert_eq!(header(&seen[0].1, "content-type"), "application/json");
}

/// What a step says about responses that are given out again, in order: `r<id>` for a reply with
/// such a response, `f` for an end.
fn lending(outputs: &[Output<Reply>]) -> String {
    let mut told = String::new();
    for output in outputs {
        match output {
            Output::Reply(id, Reply::Http(response)) if response.reuse.is_some() => {
                told.push_str(&format!("r{} ", id.0));
            }
            Output::Forget(_) => told.push_str("f "),
            Output::Reply(..)
            | Output::Fetch(_)
            | Output::Cancel(_)
            | Output::Event(_)
            | Output::Append(_)
            | Output::Wait(_) => {}
        }
    }
    told
}

#[test]
fn what_is_given_out_again_ends_with_a_newer_answer_and_with_every_change() {
    let up = "/api/v1/query?query=up";
    let mut front = front();
    front.step(vec![get(1, up)], at(0));
    let answered = |id| respond(id, Ok(Response::new(200, UP)));
    let outputs = front.step(vec![answered(0), get(2, up)], at(1));
    assert_eq!(lending(&outputs), "r1 r2 ");
    let outputs = front.step(
        vec![post(3, "/v1/invalidate?all=1", &[]), get(4, up)],
        at(2),
    );
    assert_eq!(lending(&outputs), "f ");
    let outputs = front.step(vec![answered(1), get(5, up)], at(3));
    assert_eq!(lending(&outputs), "r4 r5 ");
    let reload = Change::Reload(Box::default());
    let outputs = front.step(
        vec![
            get(6, up),
            Input::Command(CommandId(7), Command::Change(reload)),
        ],
        at(4),
    );
    assert_eq!(lending(&outputs), "r6 f ");
}

#[test]
fn a_response_given_out_again_says_what_a_hit_says() {
    let up = "/api/v1/query?query=up";
    let mut front = front();
    front.step(vec![get(1, up)], at_ms(0));
    let outputs = front.step(vec![respond(0, Ok(Response::new(200, UP)))], at_ms(100));
    let rendered = responses(outputs).remove(0).1;
    let reuse = rendered.reuse.unwrap();
    for ms in [101, 1_099, 1_100, 15_000, 30_099] {
        let hit = responses(front.step(vec![get(2, up)], at_ms(ms)))
            .remove(0)
            .1;
        let aged = reuse.after(Duration::from_millis(ms - 100)).unwrap();
        assert_eq!(
            aged.cache_status,
            header(&hit, "cache-status"),
            "at {ms} ms"
        );
        assert_eq!(aged.age, header(&hit, "age"), "at {ms} ms");
    }
    let last = reuse.after(Duration::from_millis(30_000));
    assert_eq!(last, None, "the ttl has ended");
}

#[test]
fn whoever_has_the_body_already_is_told_so_now_and_after_a_wait() {
    let up = "/api/v1/query?query=up";
    let mut front = front();
    let having = |id: u64, tag: &str, method: &str| {
        let request = HttpRequest {
            method: method.into(),
            headers: vec![("if-none-match".into(), tag.into())],
            ..HttpRequest::get(up)
        };
        Input::Command(CommandId(id), Command::Http(request))
    };
    front.step(vec![having(1, "\"other\"", "GET")], at(0));
    let answered = || Ok(Response::new(200, UP));
    let first = responses(front.step(vec![respond(0, answered())], at(0)))
        .remove(0)
        .1;
    assert_eq!((first.status, body(&first)), (200, UP));
    let tag = header(&first, "etag").to_string();

    for method in ["GET", "HEAD"] {
        let known = responses(front.step(vec![having(2, &tag, method)], at(1)))
            .remove(0)
            .1;
        assert_eq!(
            (known.status, body(&known), header(&known, "etag")),
            (304, "", &*tag)
        );
        assert_eq!(header(&known, "content-type"), "");
        assert_eq!(header(&known, "age"), "1");
    }
    let posted = responses(front.step(vec![having(3, &tag, "POST")], at(1)))
        .remove(0)
        .1;
    assert_eq!(posted.status, 200);

    front.step(vec![having(4, &tag, "GET")], at(31));
    let awaited = responses(front.step(vec![respond(1, answered())], at(31)))
        .remove(0)
        .1;
    assert_eq!(awaited.status, 304);
    assert!(front.known_tags.is_empty());
}
