//! How long askers wait, and what becomes of a fetch that takes too long.

use super::*;

#[test]
fn a_fetch_that_takes_too_long_is_cancelled_and_its_late_response_ignored() {
    let mut world = World::new();
    let ask = world.pending(&up());
    world.pass(9_999);
    assert!(world.replies.is_empty());
    world.pass(1);
    assert_eq!(world.cancelled, vec![world.fetches[0].id]);
    assert!(matches!(
        world.reply(ask),
        Err(QueryError::Unreachable {
            error: FetchError::Timeout { .. },
            ..
        })
    ));
    world.respond(0, Ok(vector(WALL, 1)));
    world.pending(&up());
    assert_eq!(world.fetches.len(), 2);
}

#[test]
fn who_joins_late_waits_until_their_own_deadline() {
    let mut world = World::new();
    let leader = world.pending(&up());
    world.pass(8_000);
    let (late, hurried) = (world.pending(&up()), Duration::from_secs(3));
    let hurried = world.pending(&Ask {
        timeout: Some(hurried),
        ..up()
    });
    world.pass(2_000);
    assert!(world.reply(leader).is_err());
    assert!(world.replies.is_empty());
    assert_eq!(world.cancelled, vec![world.fetches[0].id]);
    assert_eq!(world.fetches.len(), 2, "one more fetch for both");
    world.pass(1_000);
    assert!(world.reply(hurried).is_err());
    world.pass(6_999);
    let at_ms = world.now().wall.0;
    world.respond(1, Ok(vector(at_ms, 1)));
    let answer = world.reply(late).unwrap();
    assert_eq!(answer.provenance, Provenance::Miss);
    assert_eq!(world.collector.stats().askers_waiting, 0);
}

#[test]
fn who_joins_late_gets_one_more_fetch_and_then_the_error() {
    let mut world = World::new();
    let leader = world.pending(&up());
    world.pass(5_000);
    let late = world.pending(&up());
    world.pass(5_000);
    assert!(world.reply(leader).is_err());
    world.pass(4_999);
    assert!(world.replies.is_empty());
    world.pass(1);
    let error = world.reply(late).unwrap_err();
    let whole = Duration::from_secs(10);
    assert!(matches!(error, QueryError::Timeout { after, .. } if after == whole));
    assert_eq!(world.cancelled.len(), 2, "nobody waits for it any more");
    world.pass(60_000);
    assert_eq!(world.fetches.len(), 2);
}

#[test]
fn who_joins_late_is_answered_under_what_is_configured_by_then() {
    let mut world = World::new();
    let leader = world.pending(&up());
    world.pass(5_000);
    let late = world.pending(&up());
    let ttl = Duration::from_secs(1);
    let config = Config::with_sources(vec![SourceConfig {
        ttl,
        ..quiet("prom")
    }]);
    world.collector.reload(config, world.now()).unwrap();
    world.pass(5_000);
    assert!(world.reply(leader).is_err());
    let at_ms = world.now().wall.0;
    world.respond(1, Ok(vector(at_ms, 1)));
    assert_eq!(world.reply(late).unwrap().ttl_left, Some(ttl));
}

#[test]
fn an_asker_in_a_hurry_leaves_the_others_waiting() {
    let mut world = World::new();
    let patient = world.pending(&up());
    let hurried = world.pending(&Ask {
        timeout: Some(Duration::from_secs(1)),
        ..up()
    });
    world.pass(1_000);
    assert!(matches!(
        world.reply(hurried),
        Err(QueryError::Timeout { after, .. }) if after == Duration::from_secs(1)
    ));
    world.respond(0, Ok(vector(WALL, 1)));
    assert!(world.reply(patient).is_ok());
    assert!(world.replies.is_empty());
}
