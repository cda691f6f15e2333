//! Keys kept warm while somebody reads them.

use super::*;

fn warm() -> SourceConfig {
    SourceConfig {
        fetch_interval: Duration::from_secs(30),
        ..quiet("prom")
    }
}

/// Answers whatever is fetched, at once, for this long in steps of 100 ms.
fn live(world: &mut World, ms: u64) {
    let end = world.ms + ms;
    while world.ms < end {
        world.pass(100);
        answer_all(world);
    }
}

fn answer_all(world: &mut World) {
    let at_ms = world.now().wall.0;
    for nth in 0..world.fetches.len() {
        let id = world.fetches[nth].id;
        world
            .collector
            .handle_response(id, Ok(vector(at_ms, 1)), world.now());
    }
    world.fetches.clear();
    world.drain();
}

#[test]
fn a_key_that_is_read_stays_warm_without_anybody_waiting() {
    let mut world = World::with(warm());
    world.pending(&up());
    answer_all(&mut world);
    for _ in 0..20 {
        live(&mut world, 29_000);
        let answer = world.ready(&up());
        assert_eq!(answer.provenance, Provenance::Hit);
        assert!(
            answer.age <= Duration::from_millis(28_600),
            "{:?}",
            answer.age
        );
    }
    assert_eq!(world.collector.stats().tracked, 1);
}

#[test]
fn five_minutes_after_its_last_read_a_key_is_left_alone() {
    let mut world = World::with(warm());
    world.pending(&up());
    answer_all(&mut world);
    live(&mut world, 299_000);
    let before = world.collector.stats().fetches;
    assert!((10..=14).contains(&before), "{before}");
    live(&mut world, 600_000);
    assert!(world.collector.stats().fetches <= before + 1);
    assert_eq!(world.collector.stats().tracked, 0);
}

#[test]
fn after_untrack_nothing_is_fetched() {
    let mut world = World::with(warm());
    world.pending(&up());
    answer_all(&mut world);
    let key = world.ready(&up()).key;
    assert!(world.collector.untrack(&key, world.now()));
    assert!(!world.collector.untrack(&key, world.now()));
    let before = world.collector.stats().fetches;
    live(&mut world, 120_000);
    assert_eq!(world.collector.stats().fetches, before);
}

#[test]
fn a_refresh_given_up_by_untrack_makes_room_for_who_is_queued() {
    let mut config = Config::with_sources(vec![SourceConfig {
        ttl: Duration::from_secs(1),
        ..warm()
    }]);
    config.limits.fetches_per_source_max = 1;
    let mut world = World::of(config);
    world.pending(&up());
    answer_all(&mut world);
    let key = world.ready(&up()).key;
    while world.fetches.is_empty() {
        world.pass(100);
    }
    world.pending(&Ask::promql("queued"));
    assert_eq!(world.fetches.len(), 1);
    assert!(world.collector.untrack(&key, world.now()));
    world.drain();
    assert_eq!(world.fetches.last().unwrap().request.form, "query=queued");
}

#[test]
fn a_foreground_ask_joins_a_refresh_under_way() {
    let mut world = World::with(SourceConfig {
        ttl: Duration::from_secs(1),
        ..warm()
    });
    world.pending(&up());
    answer_all(&mut world);
    while world.fetches.is_empty() {
        world.pass(100);
    }
    let ask = world.pending(&up());
    assert_eq!(world.fetches.len(), 1);
    answer_all(&mut world);
    assert_eq!(world.reply(ask).unwrap().provenance, Provenance::Coalesced);
}

#[test]
fn a_question_about_the_past_is_not_kept_warm() {
    let mut world = World::with(warm());
    world.pending(&Ask {
        time: Some(UnixMillis(WALL)),
        ..up()
    });
    answer_all(&mut world);
    assert_eq!(world.collector.stats().tracked, 0);
}

#[test]
fn an_adaptive_ttl_widens_while_values_stand_still() {
    let mut world = World::with(SourceConfig {
        ttl_max: Some(Duration::from_secs(120)),
        ..warm()
    });
    world.pending(&up());
    answer_all(&mut world);
    for _ in 0..60 {
        live(&mut world, 10_000);
        world.ready(&up());
    }
    let fetches = world.collector.stats().fetches;
    assert!(fetches < 14, "{fetches} fetches in ten minutes, 20 without");
}

#[test]
fn aligned_fetches_follow_the_sources_own_rhythm() {
    let mut world = World::with(SourceConfig {
        align: true,
        fetch_interval: Duration::from_secs(10),
        ttl: Duration::from_secs(10),
        ..warm()
    });
    world.pending(&up());
    let mut late = 0;
    for second in 0_i64..900 {
        world.pass(1_000);
        // The source has a new value every 30 s.
        let scraped = second / 30;
        for nth in 0..world.fetches.len() {
            let id = world.fetches[nth].id;
            let response = Ok(vector(WALL + scraped * 30_000, scraped as u32));
            world.collector.handle_response(id, response, world.now());
        }
        world.fetches.clear();
        world.drain();
        // Once the rhythm is learned, data is picked up within 10 s of its being there.
        if second > 300 && second % 30 == 10 {
            let now = world.now();
            let kept = world.collector.explain("prom/:query=up", now).kept;
            let age = kept.expect("it is kept warm").age;
            world.collector.query(&up(), now).unwrap();
            late += u32::from(age > Duration::from_secs(30));
        }
    }
    assert!(late <= 2, "{late} of 20");
    let fetches = world.collector.stats().fetches;
    assert!(fetches <= 110, "{fetches} fetches of 30 values");
}

#[test]
fn while_the_breaker_is_open_nothing_is_refreshed() {
    let mut world = World::with(SourceConfig {
        breaker: BreakerConfig {
            failures_max: 1,
            ..BreakerConfig::default()
        },
        ..warm()
    });
    world.pending(&up());
    answer_all(&mut world);
    world.pass(29_000);
    let refused = FetchError::Reset {
        detail: "gone".into(),
    };
    world.respond(0, Err(refused));
    world.fetches.clear();
    let open = world.collector.sources()[0].breaker;
    assert!(matches!(open, BreakerState::Open { .. }), "{open:?}");
    world.ready(&Ask {
        allow_stale: true,
        ..up()
    });
    world.pass(9_000);
    assert!(world.fetches.is_empty(), "{:?}", world.fetches);
    world.pass(20_000);
    assert!(!world.fetches.is_empty());
}
