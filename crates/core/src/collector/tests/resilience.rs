//! Retries, the budget for them, the breaker, and refusals that are remembered.

use super::*;
use crate::{BreakerState, RetryBudgetConfig};

/// A source that is tried again, and left alone when that does not help.
fn source() -> SourceConfig {
    SourceConfig {
        fetch_interval: Duration::ZERO,
        probe_interval: Duration::ZERO,
        ..SourceConfig::prometheus("prom")
    }
}

/// Lets time pass until the next fetch goes out; says how long that took.
fn until_next_fetch(world: &mut World) -> u64 {
    let (fetches, from) = (world.fetches.len(), world.ms);
    while world.fetches.len() == fetches {
        world.pass(1);
        assert!(world.ms - from < 60_000, "no fetch within a minute");
    }
    world.ms - from
}

#[test]
fn a_failure_of_the_moment_is_tried_again_and_nobody_notices() {
    let mut world = World::with(source());
    let ask = world.pending(&up());
    world.respond(0, refused());
    assert!(world.replies.is_empty());
    assert!(until_next_fetch(&mut world) <= 1_000);
    assert_ne!(world.fetches[1].id, world.fetches[0].id);
    assert_eq!(world.fetches[1].deadline, world.fetches[0].deadline);
    world.respond(1, Ok(Response::new(503, "busy")));
    until_next_fetch(&mut world);
    world.respond(2, Ok(vector(WALL, 1)));
    assert_eq!(world.reply(ask).unwrap().provenance, Provenance::Miss);
    assert_eq!(world.collector.stats().retries, 2);
}

#[test]
fn three_retries_are_all() {
    let mut world = World::with(source());
    let ask = world.pending(&up());
    for nth in 0..3 {
        world.respond(nth, refused());
        until_next_fetch(&mut world);
    }
    world.respond(3, refused());
    assert!(world.reply(ask).is_err());
    world.pass(60_000);
    assert_eq!(world.fetches.len(), 4);
}

#[test]
fn what_will_not_pass_is_not_tried_again() {
    for (response, stale) in [
        (
            Response::new(
                400,
                r#"{"status":"error","errorType":"bad_data","error":"no"}"#,
            ),
            false,
        ),
        (
            Response::new(
                422,
                r#"{"status":"error","errorType":"execution","error":"no"}"#,
            ),
            false,
        ),
        (
            Response::new(
                500,
                r#"{"status":"error","errorType":"internal","error":"no"}"#,
            ),
            true,
        ),
        (Response::new(200, "<html>"), true),
    ] {
        let mut world = World::with(source());
        let ask = world.pending(&up());
        world.respond(0, Ok(response.clone()));
        let error = world.reply(ask).unwrap_err();
        assert_eq!(error.may_serve_stale(), stale, "{error}");
        world.pass(20_000);
        assert_eq!(world.fetches.len(), 1, "{response:?}");
    }
}

#[test]
fn a_source_that_says_when_to_come_back_is_taken_at_its_word() {
    let mut world = World::with(source());
    world.pending(&up());
    let busy = Response::new(429, "").with_retry_after(Some(Duration::from_secs(4)));
    world.respond(0, Ok(busy));
    assert!(until_next_fetch(&mut world) >= 4_000);
    assert_eq!(world.collector.sources()[0].health, SourceHealth::Up);
}

#[test]
fn a_wait_past_the_askers_time_is_not_begun() {
    let mut world = World::with(source());
    let ask = world.pending(&up());
    let busy = Response::new(503, "").with_retry_after(Some(Duration::from_secs(11)));
    world.respond(0, Ok(busy));
    assert!(world.reply(ask).is_err());
}

#[test]
fn retries_stay_within_the_budget_of_their_source() {
    let mut world = World::with(SourceConfig {
        retry_budget: RetryBudgetConfig {
            ratio_percent: 20,
            floor: 1,
        },
        breaker: BreakerConfig {
            failures_max: 0,
            ..BreakerConfig::default()
        },
        ..source()
    });
    for query in ["a", "b", "c"] {
        world.pending(&Ask::promql(query));
    }
    for nth in 0..3 {
        world.respond(nth, refused());
    }
    let stats = world.collector.stats();
    assert_eq!((stats.retries, stats.retries_refused), (1, 2));
    assert_eq!(world.replies.len(), 2);
}

#[test]
fn five_failures_in_a_row_and_the_source_is_left_alone_for_ten_seconds() {
    let mut world = World::with(SourceConfig {
        retry: RetryConfig {
            retries_max: 0,
            ..RetryConfig::default()
        },
        ..source()
    });
    world.fetched(&up(), 1);
    world.pass(30_000);
    for nth in 1..=5 {
        let ask = world.pending(&up());
        world.respond(nth, refused());
        assert_eq!(
            world.reply(ask).unwrap().provenance,
            Provenance::StaleOnError
        );
    }
    assert!(matches!(
        world.collector.sources()[0].breaker,
        BreakerState::Open { .. }
    ));

    // Left alone: covered by the last good answer, and nothing is fetched.
    let ask = world.pending(&up());
    assert_eq!(
        world.reply(ask).unwrap().provenance,
        Provenance::StaleOnError
    );
    let ask = world.pending(&Ask::promql("other"));
    let error = world.reply(ask).unwrap_err();
    assert!(
        matches!(&error, QueryError::BreakerOpen { retry_in, .. } if *retry_in == Duration::from_secs(10))
    );
    assert_eq!(world.fetches.len(), 6);

    // One probe is let through; whoever asks meanwhile is not.
    world.pass(10_000);
    let probe = world.pending(&up());
    assert_eq!(world.fetches.len(), 7);
    let ask = world.pending(&Ask::promql("other"));
    assert!(world.reply(ask).is_err());
    let at_ms = world.now().wall.0;
    world.respond(6, Ok(vector(at_ms, 2)));
    assert_eq!(world.reply(probe).unwrap().provenance, Provenance::Miss);
    assert_eq!(world.collector.sources()[0].breaker, BreakerState::Closed);
    world.fetched(&Ask::promql("other"), 3);
}

#[test]
fn a_probe_that_is_abandoned_does_not_wedge_the_breaker() {
    let mut world = World::with(SourceConfig {
        retry: RetryConfig {
            retries_max: 0,
            ..RetryConfig::default()
        },
        ..source()
    });
    for nth in 0..5 {
        world.pending(&up());
        world.respond(nth, refused());
    }
    world.pass(10_000);
    let probe = world.pending(&up());
    world.collector.abandon(probe, world.now());
    world.drain();
    world.fetched(&up(), 1);
}

#[test]
fn a_refusal_is_remembered_for_five_seconds() {
    let mut world = World::with(source());
    let wrong = Ask::promql("up(");
    let ask = world.pending(&wrong);
    let said = r#"{"status":"error","errorType":"bad_data","error":"no"}"#;
    world.respond(0, Ok(Response::new(400, said)));
    assert!(world.reply(ask).is_err());
    world.pass(4_999);
    assert!(matches!(
        world.ask(&wrong),
        Err(QueryError::Upstream { status: 400, .. })
    ));
    assert_eq!(world.collector.stats().refusals_recalled, 1);
    world.pass(1);
    world.pending(&wrong);
}

#[test]
fn the_same_seed_and_the_same_calls_give_the_same_outputs() {
    let waits = |seed: u64| {
        let mut world = World::of(Config {
            seed,
            ..Config::with_sources(vec![source()])
        });
        world.pending(&up());
        world.respond(0, refused());
        until_next_fetch(&mut world)
    };
    assert_eq!(waits(1), waits(1));
    assert!((0..8).any(|seed| waits(seed) != waits(1)));
}
