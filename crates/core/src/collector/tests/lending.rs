//! Answers that may be given out again without asking: for how long, and when no longer.

use super::*;
use crate::{Invalidation, Reuse, Thresholds};

/// A ttl beyond every threshold.
fn patient() -> SourceConfig {
    SourceConfig {
        ttl: Duration::from_secs(900),
        idle_after: Duration::from_secs(2_000),
        ..quiet("prom")
    }
}

fn left_ms(answer: &Answer) -> Option<u128> {
    answer.reuse.map(|reuse| reuse.left.as_millis())
}

#[test]
fn an_answer_may_be_given_out_again_until_its_ttl_ends() {
    let mut world = World::new();
    let first = world.fetched(&up(), 1);
    let whole = Reuse {
        left: Duration::from_secs(30),
        ages: true,
    };
    assert_eq!(first.reuse, Some(whole));
    world.pass(29_999);
    assert_eq!(left_ms(&world.ready(&up())), Some(1));
}

#[test]
fn it_ends_where_the_freshness_changes_and_before_a_warning() {
    let mut world = World::with(patient());
    world.fetched(&up(), 1);
    world.pass(59_999);
    assert_eq!(left_ms(&world.ready(&up())), Some(1), "fresh below 60 s");
    world.pass(1);
    let stale = world.ready(&up());
    assert_eq!(
        (stale.freshness, left_ms(&stale)),
        (Freshness::Stale, Some(60_000)),
        "warned of past 120 s"
    );
    world.pass(60_000);
    assert_eq!(left_ms(&world.ready(&up())), None, "at 120 s");
    world.pass(1);
    let warned = world.ready(&up());
    assert_eq!(world.events.pop().unwrap().name, "answer-ageing");
    assert_eq!(left_ms(&warned), Some(179_999), "unavailable past 300 s");
    world.pass(180_000);
    let old = world.ready(&up());
    assert_eq!(
        (old.freshness, left_ms(&old)),
        (Freshness::Unavailable, Some(599_999)),
        "up to its ttl"
    );
}

#[test]
fn an_answer_about_the_past_does_not_age() {
    let mut world = World::with(patient());
    let ask = Ask {
        time: Some(UnixMillis(WALL)),
        ..up()
    };
    let answer = world.fetched(&ask, 1);
    let reuse = answer.reuse.unwrap();
    assert!(!reuse.ages);
    assert_eq!(answer.ttl_left, Some(reuse.left));
    let ahead = Ask {
        time: Some(UnixMillis(WALL + 1)),
        ..up()
    };
    assert_eq!(world.fetched(&ahead, 1).reuse, None);
}

#[test]
fn a_key_that_is_kept_warm_is_read_in_time() {
    let mut world = World::with(SourceConfig {
        idle_after: Duration::from_secs(10),
        ..quiet("prom")
    });
    assert_eq!(left_ms(&world.fetched(&up(), 1)), Some(5_000));
}

#[test]
fn what_is_not_kept_or_is_past_its_ttl_is_not_given_out_again() {
    let mut config = Config::with_sources(vec![quiet("prom")]);
    config.cache.enabled = false;
    let mut world = World::of(config);
    assert_eq!(world.fetched(&up(), 1).reuse, None);

    let mut world = World::new();
    world.fetched(&up(), 1);
    world.pass(30_000);
    let stale = Ask {
        allow_stale: true,
        ..up()
    };
    let answer = world.ready(&stale);
    assert_eq!((answer.provenance, answer.reuse), (Provenance::Stale, None));
    world.respond(1, refused());
    let failed = world.pending(&up());
    world.respond(2, refused());
    let stood_in = world.reply(failed).unwrap();
    assert_eq!(
        (stood_in.provenance, stood_in.reuse),
        (Provenance::StaleOnError, None)
    );
}

#[test]
fn a_newer_answer_ends_it_before_its_own_reply() {
    let mut world = World::new();
    world.fetched(&up(), 1);
    assert_eq!(world.forgotten, []);
    let fresh = Ask {
        max_age: Some(Duration::ZERO),
        ..up()
    };
    let id = world.pending(&fresh);
    let (at_ms, fetch) = (world.now().wall.0, world.fetches[1].id);
    let now = world.now();
    world
        .collector
        .handle_response(fetch, Ok(vector(at_ms, 2)), now);
    let first = world.collector.poll_output();
    let key = Forget::Key("prom/:query=up".into());
    assert!(matches!(first, Output::Forget(forget) if forget == key));
    world.drain();
    assert!(world.reply(id).unwrap().reuse.is_some());
}

#[test]
fn an_answer_that_nobody_was_given_is_replaced_in_silence() {
    let mut world = World::with(SourceConfig {
        fetch_interval: Duration::from_secs(5),
        ..quiet("prom")
    });
    world.fetched(&up(), 1);
    world.pass(5_000);
    world.respond(1, Ok(vector(WALL + 5_000, 2)));
    assert_eq!(world.forgotten.len(), 1, "the first was given to its asker");
    world.pass(5_000);
    world.respond(2, Ok(vector(WALL + 10_000, 3)));
    assert_eq!(world.forgotten.len(), 1, "nobody read the second");
}

#[test]
fn every_change_of_what_answers_there_are_ends_it() {
    let mut world = World::new();
    let now = world.now();
    world.collector.invalidate(&Invalidation::All, now);
    let template = TemplateConfig {
        name: "t".into(),
        text: "up".into(),
        ..TemplateConfig::default()
    };
    world.collector.register("prom", &template).unwrap();
    world.collector.update("prom", &template, now).unwrap();
    world.collector.unregister("prom", "t", now).unwrap();
    let mut other = quiet("prom");
    other.thresholds = Thresholds::default();
    let config = Config::with_sources(vec![other]);
    world.collector.reload(config, now).unwrap();
    world.drain();
    assert_eq!(world.forgotten, vec![Forget::All; 4]);
}
