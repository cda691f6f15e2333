//! Asks that several answers make up.

use super::*;
use crate::Level;

fn labelled(at_ms: i64, label: &str, value: u32) -> Response {
    Response::new(
        200,
        format!(
            r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{"pod":"{label}"}},"value":[{}.{:03},"{value}"]}}]}}}}"#,
            at_ms / 1000,
            at_ms % 1000
        ),
    )
}

fn text(answer: &Answer) -> String {
    let mut out = Vec::new();
    tidegate_wire::encode_query_response(&answer.payload.response, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn several_sources_are_asked_at_once_and_their_answers_merged() {
    let mut world = World::of(Config::with_sources(vec![quiet("east"), quiet("west")]));
    let ask = world.pending(&up().of("west").of("east"));
    assert_eq!(world.fetches.len(), 2);
    world.respond(0, Ok(labelled(WALL, "a", 1)));
    assert!(world.replies.is_empty());
    world.respond(1, Ok(labelled(WALL, "b", 2)));
    let answer = world.reply(ask).unwrap();
    assert_eq!(&*answer.source, "west,east");
    let said = text(&answer);
    assert!(said.contains(r#"{"pod":"a","source":"east"}"#), "{said}");
    assert!(said.contains(r#"{"pod":"b","source":"west"}"#), "{said}");
    assert_eq!(
        world.ready(&up().of("west").of("east")).provenance,
        Provenance::Hit
    );
}

#[test]
fn a_source_that_fails_is_a_warning_that_names_it() {
    let mut world = World::of(Config::with_sources(vec![quiet("east"), quiet("west")]));
    let ask = world.pending(&up().of("east").of("west"));
    world.respond(0, refused());
    world.respond(1, Ok(labelled(WALL, "b", 2)));
    let answer = world.reply(ask).unwrap();
    let warnings = &answer.payload.response.warnings;
    assert!(
        warnings[0].contains("east") && warnings[0].contains("refused"),
        "{warnings:?}"
    );
    let ask = world.pending(&Ask::promql("x").of("east").of("west"));
    world.respond(2, refused());
    world.respond(3, refused());
    assert!(matches!(
        world.reply(ask),
        Err(QueryError::Unreachable { .. })
    ));
}

#[test]
fn a_whole_that_lacks_a_part_is_no_hit() {
    let mut world = World::of(Config::with_sources(vec![quiet("east"), quiet("west")]));
    let both = || up().of("east").of("west");
    let ask = world.pending(&both());
    world.respond(0, Ok(labelled(WALL, "a", 1)));
    world.respond(1, Ok(labelled(WALL, "b", 2)));
    assert_eq!(world.reply(ask).unwrap().provenance, Provenance::Miss);
    assert_eq!(world.ready(&both()).provenance, Provenance::Hit);
    world
        .collector
        .invalidate(&crate::Invalidation::Source("west".into()), world.now());
    let ask = world.pending(&both());
    world.respond(2, refused());
    let answer = world.reply(ask).unwrap();
    assert_eq!(answer.provenance, Provenance::Partial);
    assert!(answer.payload.response.warnings[0].starts_with("west: left out"));
}

#[test]
fn whoever_leaves_takes_all_parts_along() {
    let mut world = World::of(Config::with_sources(vec![quiet("east"), quiet("west")]));
    let ask = world.pending(&up().of("east").of("west"));
    world.collector.abandon(ask, world.now());
    world.drain();
    assert_eq!(world.cancelled.len(), 2);
    assert_eq!(world.collector.stats().askers_waiting, 0);
}

#[test]
fn a_source_with_targets_may_be_one_of_several() {
    let targets = ["one", "two"].map(String::from).to_vec();
    let scraped = SourceConfig {
        kind: SourceKind::Scrape,
        targets,
        ..quiet("scraped")
    };
    let mut world = World::of(Config::with_sources(vec![quiet("prom"), scraped]));
    let both = up().of("prom").of("scraped");
    let ask = world.pending(&both);
    world.respond(0, Ok(labelled(WALL, "a", 1)));
    world.respond(1, Ok(Response::new(200, "up 1\n")));
    assert!(world.replies.is_empty());
    world.respond(2, Ok(Response::new(200, "up 2\n")));
    let said = text(&world.reply(ask).unwrap());
    assert!(
        said.contains(r#""source":"scraped","target":"two""#),
        "{said}"
    );
    assert!(world.replies.is_empty());

    world.pass(60_000);
    let ask = world.pending(&both);
    let before = world.cancelled.len();
    world.collector.abandon(ask, world.now());
    world.drain();
    assert_eq!(world.cancelled.len() - before, 3);
    assert_eq!(world.collector.stats().askers_waiting, 0);
}

#[test]
fn the_targets_of_a_scrape_source_are_read_ten_at_a_time_and_answer_selectors() {
    let targets: Vec<String> = (0..12).map(|nth| format!("pod-{nth}:9100")).collect();
    let mut world = World::with(SourceConfig {
        targets,
        kind: SourceKind::Scrape,
        ..quiet("pods")
    });
    let ask = world.pending(&Ask::promql("queue{model=\"a\"}"));
    assert_eq!(world.fetches.len(), 10);
    let exposed = "# TYPE queue gauge\nqueue{model=\"a\"} 3\nqueue{model=\"b\"} 4\n";
    for nth in 0..12 {
        let result = if nth == 3 {
            refused()
        } else {
            Ok(Response::new(200, exposed))
        };
        world.respond(nth, result);
    }
    let answer = world.reply(ask).unwrap();
    let said = text(&answer);
    assert_eq!(said.matches("\"model\":\"a\"").count(), 11);
    assert!(!said.contains("\"model\":\"b\""));
    assert!(said.contains(r#""target":"pod-11:9100""#), "{said}");
    assert!(answer.payload.response.warnings[0].contains("pod-3:9100"));
    // Another selector is answered from the same texts.
    world.pending(&Ask::promql("queue{model=\"b\"}"));
    assert_eq!(
        world.fetches.len(),
        13,
        "only the target that failed is fetched again"
    );
}

#[test]
fn a_dead_target_is_left_alone_and_hides_no_living_one() {
    let mut world = World::with(SourceConfig {
        kind: SourceKind::Scrape,
        targets: ["dead", "lives"].map(String::from).to_vec(),
        breaker: BreakerConfig::default(),
        ..quiet("pods")
    });
    let ask = Ask {
        max_age: Some(Duration::ZERO),
        ..up()
    };
    for _ in 0..5 {
        let id = world.pending(&ask);
        let (dead, lives) = (world.fetches.len() - 2, world.fetches.len() - 1);
        assert_eq!(world.fetches[dead].target.as_deref(), Some("dead"));
        world.respond(dead, refused());
        world.respond(lives, Ok(Response::new(200, "up 1\n")));
        assert!(world.reply(id).is_ok());
    }
    let status = &world.collector.sources()[0];
    assert_eq!(status.health, SourceHealth::Degraded);
    assert_eq!(status.breaker, BreakerState::Closed);
    assert_eq!(status.failures_in_a_row, 5);
    let said = |world: &World| -> Vec<_> {
        let events = world
            .events
            .iter()
            .filter(|event| event.level != Level::Debug);
        let about = |event: &Event| event.key.as_deref().map(String::from);
        events.map(|event| (event.name, about(event))).collect()
    };
    let dead = || Some("pods/:target=dead".to_string());
    assert_eq!(
        said(&world),
        [("fetch-failed", dead()), ("breaker-opened", dead())]
    );
    let opened = |world: &World, key| world.collector.explain(key, world.now()).breaker;
    assert!(matches!(
        opened(&world, "pods/:target=dead"),
        Some(BreakerState::Open { .. })
    ));
    assert_eq!(
        opened(&world, "pods/:target=lives"),
        Some(BreakerState::Closed)
    );

    // The dead one is not asked any more; the living one is.
    let id = world.pending(&ask);
    assert_eq!(world.fetches.len(), 11);
    assert_eq!(world.fetches[10].target.as_deref(), Some("lives"));
    world.respond(10, Ok(Response::new(200, "up 1\n")));
    let answer = world.reply(id).unwrap();
    assert!(text(&answer).contains(r#""target":"lives""#));
    assert!(answer.payload.response.warnings[0].contains("left alone"));

    // It is probed in its turn, and its return is told once.
    world.pass(10_000);
    world.events.clear();
    let id = world.pending(&ask);
    world.respond(11, Ok(Response::new(200, "up 1\n")));
    world.respond(12, Ok(Response::new(200, "up 1\n")));
    assert!(
        world
            .reply(id)
            .unwrap()
            .payload
            .response
            .warnings
            .is_empty()
    );
    assert_eq!(said(&world), [("target-recovered", dead())]);
    assert_eq!(world.collector.sources()[0].health, SourceHealth::Up);
}

#[test]
fn targets_that_are_all_dead_leave_their_source_alone_until_the_first_may_be_asked() {
    let mut world = World::with(SourceConfig {
        kind: SourceKind::Scrape,
        targets: ["a", "b"].map(String::from).to_vec(),
        breaker: BreakerConfig {
            failures_max: 1,
            ..BreakerConfig::default()
        },
        ..quiet("pods")
    });
    let id = world.pending(&up());
    world.respond(0, refused());
    world.pass(1_000);
    world.respond(1, refused());
    assert!(world.reply(id).is_err());
    let status = &world.collector.sources()[0];
    assert_eq!(status.health, SourceHealth::Down);
    let until = Instant::from_millis(10_000);
    assert_eq!(status.breaker, BreakerState::Open { until });
    assert!(status.last_error.as_ref().unwrap().1.starts_with("b: "));
    // A target that is taken out is forgotten; one that comes has a clean slate.
    let config = Config::with_sources(vec![SourceConfig {
        kind: SourceKind::Scrape,
        targets: ["b", "c"].map(String::from).to_vec(),
        ..quiet("pods")
    }]);
    world.collector.reload(config, world.now()).unwrap();
    let status = &world.collector.sources()[0];
    assert_eq!(status.health, SourceHealth::Down, "of those heard of");
    assert_eq!(status.breaker, BreakerState::Closed);
}
