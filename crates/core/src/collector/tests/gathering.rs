//! Asks that several answers make up.

use super::*;

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
fn whoever_leaves_takes_all_parts_along() {
    let mut world = World::of(Config::with_sources(vec![quiet("east"), quiet("west")]));
    let ask = world.pending(&up().of("east").of("west"));
    world.collector.abandon(ask, world.now());
    world.drain();
    assert_eq!(world.cancelled.len(), 2);
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
