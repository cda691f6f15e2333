//! Endpoints beside the queries: what is kept, what is passed on, and lists of several sources.

use super::*;
use crate::Range;

fn pairs(params: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(name, value): &(&str, &str)| ((*name).into(), (*value).into());
    params.iter().map(own).collect()
}

fn endpoint(path: &str, params: &[(&str, &str)]) -> Ask {
    Ask::endpoint(path, pairs(params))
}

fn says(data: &str) -> Result<Response, FetchError> {
    let body = format!(r#"{{"status":"success","data":{data}}}"#);
    Ok(Response::new(200, body.into_bytes()))
}

fn text(answer: &Answer) -> String {
    let mut out = Vec::new();
    tidegate_wire::encode_query_response(&answer.payload.response, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn lists_are_kept_whatever_the_order_of_their_parameters() {
    let mut world = World::new();
    let params = [("match[]", "up"), ("start", "1"), ("match[]", "down")];
    let id = world.pending(&endpoint("labels", &params));
    let fetch = &world.fetches[0].request;
    assert_eq!(&*fetch.path, "/api/v1/labels");
    assert!(fetch.form.contains("match%5B%5D=down"), "{}", fetch.form);
    world.respond(0, says(r#"["a","b"]"#));
    assert_eq!(
        body(&world.reply(id).unwrap()),
        r#"{"status":"success","data":["a","b"]}"#
    );
    let turned = [("start", "1"), ("match[]", "down"), ("match[]", "up")];
    assert_eq!(
        world.ready(&endpoint("labels", &turned)).provenance,
        Provenance::Hit
    );
    world.pass(30_000);
    world.pending(&endpoint("labels", &params));
}

#[test]
fn a_list_about_the_settled_past_is_believed_for_long() {
    let mut world = World::new();
    let ask = endpoint("label/job/values", &[("end", "1699990000")]);
    let id = world.pending(&ask);
    world.respond(0, says("[]"));
    world.reply(id).unwrap();
    world.pass(3_000_000);
    assert_eq!(world.ready(&ask).provenance, Provenance::Hit);
}

#[test]
fn what_is_passed_on_is_shared_but_never_a_hit() {
    let mut world = World::new();
    let ask = endpoint("targets", &[("state", "active")]);
    let askers = [world.pending(&ask), world.pending(&ask)];
    assert_eq!(world.fetches.len(), 1);
    world.respond(0, says(r#"{"activeTargets":[]}"#));
    for id in askers {
        assert!(body(&world.reply(id).unwrap()).contains("activeTargets"));
    }
    let again = world.pending(&ask);
    world.respond(1, refused());
    assert_eq!(
        world.reply(again).unwrap().provenance,
        Provenance::StaleOnError
    );
}

#[test]
fn an_endpoint_that_a_source_lacks_is_told_by_name() {
    let mut world = World::new();
    let id = world.pending(&endpoint("status/nothing", &[]));
    world.respond(0, Ok(Response::new(404, &b"404 page not found"[..])));
    let error = world.reply(id).unwrap_err();
    let said = error.to_string();
    assert!(matches!(error, QueryError::NoEndpoint { .. }) && said.contains("status/nothing"));
    let id = world.pending(&endpoint("metadata", &[]));
    world.respond(1, Ok(Response::new(200, &b"{"[..])));
    assert!(matches!(world.reply(id), Err(QueryError::Garbled { .. })));
}

#[test]
fn what_writes_or_leads_elsewhere_is_never_fetched() {
    let mut world = World::new();
    for path in ["admin/tsdb/snapshot", "../x", "write", ""] {
        let refused = world.ask(&endpoint(path, &[]));
        assert!(
            matches!(refused, Err(QueryError::BadParameter { name: "path", .. })),
            "{path}"
        );
    }
    let long = "x".repeat(1 << 20);
    let refused = world.ask(&endpoint("series", &[("match[]", &long)]));
    assert!(matches!(refused, Err(QueryError::QueryTooLong { .. })));
    assert_eq!(world.fetches.len(), 0);
}

#[test]
fn a_long_list_of_parameters_is_posted_only_where_that_is_taken() {
    let mut world = World::new();
    let long = format!("{{a=\"{}\"}}", "x".repeat(3_000));
    world.pending(&endpoint("series", &[("match[]", &long)]));
    world.pending(&endpoint("metadata", &[("metric", &long)]));
    let methods: Vec<_> = world
        .fetches
        .iter()
        .map(|fetch| fetch.request.method)
        .collect();
    assert_eq!(methods, [crate::Method::Post, crate::Method::Get]);
}

#[test]
fn lists_of_several_sources_are_one() {
    let mut world = World::of(Config::with_sources(vec![quiet("east"), quiet("west")]));
    let both = |ask: Ask| ask.of("east").of("west");
    let id = world.pending(&both(endpoint("labels", &[])));
    world.respond(0, says(r#"["b","a"]"#));
    world.respond(1, says(r#"["b","c"]"#));
    let said = text(&world.reply(id).unwrap());
    assert!(said.contains(r#"["a","b","c","source"]"#), "{said}");

    let id = world.pending(&both(endpoint("series", &[("match[]", "up")])));
    world.respond(2, says(r#"[{"__name__":"up"}]"#));
    world.respond(3, says(r#"[{"__name__":"up"}]"#));
    let said = text(&world.reply(id).unwrap());
    assert!(
        said.contains(r#"{"__name__":"up","source":"west"}"#),
        "{said}"
    );

    let id = world.pending(&both(endpoint("label/source/values", &[])));
    world.respond(4, says(r#"["x"]"#));
    world.respond(5, refused());
    let answer = world.reply(id).unwrap();
    assert!(text(&answer).contains(r#"["east"]"#), "{}", text(&answer));
    assert_eq!(answer.payload.response.warnings.len(), 1);

    let refused = world.ask(&both(endpoint("metadata", &[])));
    assert!(
        matches!(refused, Err(QueryError::Unmergeable { .. })),
        "{refused:?}"
    );
    assert_eq!(world.fetches.len(), 6);
}

#[test]
fn a_source_may_round_the_time_of_unsettled_questions() {
    let mut world = World::with(SourceConfig {
        instant_step: Duration::from_secs(15),
        ..quiet("prom")
    });
    let at = |ms: i64| Ask {
        time: Some(UnixMillis(WALL + ms)),
        ..up()
    };
    world.fetched(&at(-1_000), 1);
    assert_eq!(world.ready(&at(-3_000)).provenance, Provenance::Hit);
    world.pending(&at(-400_000));
    world.pending(&at(-401_000));
    assert_eq!(
        world.fetches.len(),
        3,
        "what is settled is asked about as it stands"
    );
}

#[test]
fn own_series_are_listed_and_asked_over_ranges() {
    let mut push = quiet("node");
    push.kind = SourceKind::Push;
    let mut world = World::of(Config::with_sources(vec![push]));
    let labels = Labels::from_pairs([("__name__", "load"), ("job", "node")]).unwrap();
    let sample = |timestamp_ms, value| Sample {
        labels: labels.clone(),
        timestamp_ms,
        value,
    };
    let record = Record {
        source: "node".into(),
        families: vec![],
        samples: vec![sample(WALL - 30_000, 1.0), sample(WALL, 2.0)],
    };
    let now = world.now();
    world.collector.record(&record, now).unwrap();
    let range = Range {
        start: UnixMillis(WALL - 30_000),
        end: UnixMillis(WALL),
        step: Duration::from_secs(15),
    };
    let over = Ask {
        range: Some(range),
        ..Ask::promql("load")
    };
    let said = text(&world.ready(&over));
    assert!(
        said.contains(r#""values":[[1699999970,"1"],[1699999985,"1"],[1700000000,"2"]]"#),
        "{said}"
    );
    for (path, expected) in [
        ("labels", r#"["__name__","job"]"#),
        ("label/job/values", r#"["node"]"#),
        ("series", r#"[{"__name__":"load","job":"node"}]"#),
    ] {
        let params: &[(&str, &str)] = if path == "series" {
            &[("match[]", "load")]
        } else {
            &[]
        };
        let said = text(&world.ready(&endpoint(path, params)));
        assert!(said.contains(expected), "{path}: {said}");
    }
    assert!(world.ask(&endpoint("targets", &[])).is_err());
}

#[test]
fn owners_come_and_go_at_run_time() {
    let mut world = World::new();
    let collector = &mut world.collector;
    assert_eq!(collector.register_owner("llama", "a").unwrap(), None);
    assert_eq!(
        collector.register_owner("llama", "b").unwrap(),
        Some("a".into())
    );
    assert_eq!(collector.owners().owner("llama"), Some("b"));
    assert!(collector.register_owner("", "b").is_err());
    assert_eq!(collector.unregister_owner("llama"), Some("b".into()));
    assert_eq!(collector.unregister_owner("llama"), None);
    assert!(collector.packs().iter().any(|pack| pack.name == "node"));
}

#[test]
fn a_range_against_the_rules_is_refused_in_the_words_of_prometheus() {
    let mut world = World::new();
    for (end, step_s, words) in [
        (-1, 1, "end timestamp must not be before start time"),
        (1, 0, "zero or negative query resolution step widths"),
        (
            11_001_000,
            1,
            "exceeded maximum resolution of 11,000 points",
        ),
    ] {
        let range = Range {
            start: UnixMillis(0),
            end: UnixMillis(end),
            step: Duration::from_secs(step_s),
        };
        let over = Ask {
            range: Some(range),
            ..up()
        };
        let refused = world.ask(&over).unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
    assert_eq!(world.fetches.len(), 0);
}

#[test]
fn too_many_sources_are_refused_before_any_is_asked() {
    let mut world = World::new();
    let ask = (0..65).fold(up(), |ask, _| ask.of("prom"));
    let refused = world.ask(&ask).unwrap_err();
    assert!(refused.to_string().contains("at most 64"), "{refused}");
    let unknown = world.ask(&endpoint("labels", &[]).of("prom").of("nobody"));
    assert!(matches!(unknown, Err(QueryError::UnknownSource { .. })));
    assert_eq!(world.fetches.len(), 0);
}

#[test]
fn lists_that_say_something_else_are_told_apart() {
    let mut world = World::new();
    let mut prints = Vec::new();
    for (path, data) in [
        ("labels", r#"["a"]"#),
        ("label/a/values", r#"["b"]"#),
        ("series", r#"[{"a":"b"}]"#),
        ("metadata", "{}"),
    ] {
        let id = world.pending(&endpoint(path, &[]));
        world.respond(world.fetches.len() - 1, says(data));
        let answer = world.reply(id).unwrap();
        prints.push(crate::Fingerprint::of(&answer.payload.response));
    }
    for (nth, print) in prints.iter().enumerate() {
        assert!(!prints[..nth].contains(print), "{nth}");
    }
}
