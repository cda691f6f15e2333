//! Reads without an ask: they decide as an ask does, and leave the same traces.

use proptest::prelude::*;

use super::*;
use crate::{Hit, Invalidation};

fn warm() -> SourceConfig {
    SourceConfig {
        fetch_interval: Duration::from_secs(30),
        ..quiet("prom")
    }
}

/// A world that holds an answer, and its key.
fn holding(source: SourceConfig) -> (World, String) {
    let mut world = World::with(source);
    let key = world.fetched(&up(), 1).key.to_string();
    (world, key)
}

#[test]
fn a_hit_says_what_an_answer_says() {
    let (mut world, key) = holding(quiet("prom"));
    world.pass(12_345);
    let answer = world.ready(&up());
    let now = world.now();
    let hit = world.collector.hit(&key, now).unwrap();
    assert_eq!(hit.payload().body, answer.payload.body);
    assert_eq!((hit.key(), hit.as_of()), (&answer.key, answer.as_of));
    assert_eq!(hit.fetched_at(), answer.fetched_at);
    assert_eq!((hit.age(), hit.freshness()), (answer.age, answer.freshness));
    assert_eq!(Some(hit.ttl_left()), answer.ttl_left);
    assert_eq!(world.collector.stats().hits, 2);
}

#[test]
fn a_hit_ends_with_the_ttl() {
    let (mut world, key) = holding(quiet("prom"));
    let handle = world.collector.resolve(&key).unwrap();
    world.pass(29_999);
    let now = world.now();
    assert!(world.collector.hit(&key, now).is_some());
    assert!(world.collector.hit_by(handle, now).is_some());
    world.pass(1);
    let now = world.now();
    assert!(world.collector.hit(&key, now).is_none());
    assert!(world.collector.hit_by(handle, now).is_none());
    assert_eq!(world.collector.stats().hits, 2);
    assert!(world.collector.hit("prom/:query=other", now).is_none());
}

#[test]
fn a_handle_outlives_a_refresh_and_no_invalidation() {
    let (mut world, key) = holding(quiet("prom"));
    let handle = world.collector.resolve(&key).unwrap();
    world.pass(30_000);
    world.fetched(&up(), 2);
    let now = world.now();
    let newer = world.collector.hit_by(handle, now).map(|hit| hit.as_of());
    assert_eq!(newer, Some(now.wall));
    world.collector.invalidate(&Invalidation::All, now);
    assert_eq!(world.collector.resolve(&key), None);
    world.fetched(&up(), 3);
    assert!(world.collector.hit_by(handle, now).is_none());
    assert_ne!(world.collector.resolve(&key), Some(handle));
}

#[test]
fn hits_alone_keep_a_key_warm() {
    let (mut world, key) = holding(warm());
    for _ in 0..1_200 {
        world.pass(1_000);
        for nth in 0..world.fetches.len() {
            let at_ms = world.now().wall.0;
            world.respond(nth, Ok(vector(at_ms, 1)));
        }
        world.fetches.clear();
        let now = world.now();
        assert!(world.collector.hit(&key, now).is_some());
    }
    let explained = world.collector.explain(&key, world.now());
    let tracking = explained.tracked.unwrap();
    assert_eq!(tracking.read_ago, Duration::ZERO);
}

#[test]
fn a_hit_of_what_was_untracked_tracks_it_again() {
    let (mut world, key) = holding(warm());
    let now = world.now();
    assert!(world.collector.untrack(&key, now));
    assert_eq!(world.collector.stats().tracked, 0);
    assert!(world.collector.hit(&key, now).is_some());
    assert_eq!(world.collector.stats().tracked, 1);
}

#[test]
fn a_hit_that_is_getting_old_says_so_once() {
    let source = SourceConfig {
        ttl: Duration::from_secs(1_000),
        ..warm()
    };
    let (mut world, key) = holding(source);
    let handle = world.collector.resolve(&key).unwrap();
    let mut warned = |ms| {
        world.pass(ms);
        let now = world.now();
        world.collector.hit_by(handle, now).unwrap();
        world.drain();
        let ageing = |event: &&Event| event.name == "answer-ageing";
        world.events.iter().filter(ageing).count()
    };
    assert_eq!(warned(120_000), 0);
    assert_eq!(warned(1), 1);
    assert_eq!(warned(1_000), 1);
}

proptest! {
    #[test]
    fn a_hit_decides_as_an_ask_does(
        steps in prop::collection::vec((0_u64..40_000, -200_000_i64..200_000, prop::bool::ANY), 1..20),
        ttl_s in 1_u64..400, tracks: bool, past: bool,
    ) {
        let source = SourceConfig {
            ttl: Duration::from_secs(ttl_s),
            ..if tracks { warm() } else { quiet("prom") }
        };
        let ask = Ask { time: past.then_some(UnixMillis(WALL)), ..up() };
        let mut worlds = [World::with(source.clone()), World::with(source)];
        let key = worlds.each_mut().map(|world| world.fetched(&ask, 1).key.to_string());
        for (ms, shift_ms, answers) in steps {
            for world in &mut worlds {
                world.wall_shift_ms = shift_ms;
                world.pass(ms);
                if answers && let Some(last) = world.fetches.len().checked_sub(1) {
                    let at_ms = world.now().wall.0;
                    world.respond(last, Ok(vector(at_ms, 2)));
                }
            }
            let [asked, hit] = &mut worlds;
            let now = hit.now();
            let kept = asked.collector.explain(&key[0], now).kept;
            let would_hit = kept.is_some_and(|kept| kept.ttl_left.is_some());
            let found = hit.collector.hit(&key[1], now).map(|hit: Hit<'_>| (hit.age(), hit.ttl_left()));
            prop_assert_eq!(found.is_some(), would_hit);
            if let Some((age, left)) = found {
                let answer = asked.ready(&ask);
                prop_assert_eq!((answer.age, answer.ttl_left), (age, Some(left)));
            }
            hit.drain();
            prop_assert_eq!(&asked.events, &hit.events);
            // Ages are counted of answers to asks alone.
            let counted = |world: &World| Stats {
                ages: Default::default(),
                age_sum_ms: 0,
                ..world.collector.stats()
            };
            prop_assert_eq!(counted(asked), counted(hit));
            let traced = |world: &World| world.collector.explain(&key[0], now);
            prop_assert_eq!(traced(asked), traced(hit));
        }
    }
}
