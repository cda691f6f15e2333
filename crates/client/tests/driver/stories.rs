//! A real collector on the stage: what those who ask live to see.

use std::time::Duration;

use futures_util::FutureExt;
use tidegate_api::{Command, Front, HttpRequest, Reply};
use tidegate_client::Closed;
use tidegate_core::{
    Answer, Ask, Config, Fetch, Instant, Now, Provenance, QueryError, Response, SourceConfig,
};

use crate::stage::{Call, Stage};

const QUERY: &str = "/api/v1/query";
const VECTOR: &[u8] =
    br#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1700000000,"1"]}]}}"#;

fn stage() -> Stage<Command, Reply> {
    let source = SourceConfig {
        probe_interval: Duration::ZERO,
        ..SourceConfig::prometheus("prom")
    };
    let front = Front::new(Config::with_sources(vec![source]), "1", Now::ZERO);
    Stage::of(front.expect("a valid configuration"))
}

fn ask() -> Command {
    Command::Ask(Ask::promql("up"))
}

fn vector() -> Response {
    Response::new(200, VECTOR)
}

fn only(fetches: Vec<Fetch>) -> Fetch {
    let [fetch] = <[Fetch; 1]>::try_from(fetches).expect("one fetch");
    fetch
}

fn answer(call: Call<Reply>) -> Result<Answer, QueryError> {
    match call.now_or_never() {
        Some(Ok(Reply::Answer(result))) => result,
        other => panic!("no answer: {other:?}"),
    }
}

#[test]
fn a_query_is_fetched_once_and_delivered_to_all_who_ask() {
    let mut stage = stage();
    let calls: Vec<_> = (0..200).map(|_| stage.begin(ask())).collect();
    stage.settle();
    let fetch = only(stage.net.to(QUERY));
    assert!(stage.net.end(fetch.id.0, Ok(vector())));
    stage.settle();
    let answers: Vec<_> = calls
        .into_iter()
        .map(|call| answer(call).expect("an answer"))
        .collect();
    let misses = answers
        .iter()
        .filter(|answer| answer.provenance == Provenance::Miss)
        .count();
    assert_eq!((answers.len(), misses), (200, 1));

    let mut again = stage.begin(ask());
    stage.settle();
    assert!(
        matches!((&mut again).now_or_never(), Some(Ok(Reply::Answer(Ok(hit)))) if hit.provenance == Provenance::Hit)
    );
    assert_eq!(stage.net.to(QUERY).len(), 1);
}

#[test]
fn the_last_asker_who_leaves_takes_the_fetch_along() {
    let mut stage = stage();
    let (first, second) = (stage.begin(ask()), stage.begin(ask()));
    stage.settle();
    let fetch = only(stage.net.to(QUERY));
    drop(first);
    stage.settle();
    assert!(!stage.net.is_given_up(fetch.id.0));
    drop(second);
    stage.settle();
    assert!(stage.net.is_given_up(fetch.id.0));
}

#[test]
fn a_source_that_says_nothing_is_a_timeout_at_the_deadline_and_not_before() {
    let mut stage = stage();
    let mut call = stage.begin(ask());
    stage.settle();
    let fetch = only(stage.net.to(QUERY));
    assert_eq!(fetch.deadline, Instant::ZERO + Duration::from_secs(10));
    stage
        .hands
        .move_to(Instant::from_nanos(fetch.deadline.as_nanos() - 1));
    stage.settle();
    assert!((&mut call).now_or_never().is_none());
    stage.hands.move_to(fetch.deadline);
    stage.settle();
    let error = answer(call).expect_err("a timeout");
    assert!(error.to_string().contains("10s"), "{error}");
    assert!(stage.net.is_given_up(fetch.id.0));
}

#[test]
fn closing_serves_those_who_wait_and_nobody_else() {
    let mut stage = stage();
    let call = stage.begin(ask());
    stage.settle();
    stage.handle.close();
    stage.settle();
    assert!(matches!(
        stage.handle.call(ask()).now_or_never(),
        Some(Err(Closed))
    ));
    assert!(stage.net.end(only(stage.net.to(QUERY)).id.0, Ok(vector())));
    stage.settle();
    assert!(answer(call).is_ok());
    assert_eq!(stage.end.take(), Some(Ok(())));
}

#[test]
fn the_http_api_travels_the_same_way() {
    let mut stage = stage();
    let call = stage.begin(Command::Http(HttpRequest::get("/api/v1/query?query=up")));
    stage.settle();
    assert!(stage.net.end(only(stage.net.to(QUERY)).id.0, Ok(vector())));
    stage.settle();
    let Some(Ok(Reply::Http(response))) = call.now_or_never() else {
        panic!("an HTTP response")
    };
    assert_eq!((response.status, &*response.body), (200, VECTOR));
}
