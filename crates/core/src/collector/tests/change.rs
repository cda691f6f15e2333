//! Catalogs, invalidation and new configurations at run time.

use super::*;
use crate::{CatalogError, Invalidation};

fn template(text: &str) -> TemplateConfig {
    TemplateConfig {
        name: "load".into(),
        text: text.into(),
        ..TemplateConfig::default()
    }
}

fn load() -> Ask {
    Ask::template("load", [].into())
}

fn with_load(text: &str) -> SourceConfig {
    SourceConfig {
        templates: vec![template(text)],
        ..quiet("prom")
    }
}

#[test]
fn templates_come_change_and_go() {
    let mut world = World::new();
    let wrong = world.collector.register("prom", &template("load{"));
    assert_eq!(wrong, Ok(()), "a lexer does not see that");
    let taken = world.collector.register("prom", &template("load1"));
    assert!(matches!(taken, Err(CatalogError::Taken { .. })));
    let unknown = world.collector.register("nope", &template("load1"));
    assert!(matches!(unknown, Err(CatalogError::UnknownSource { .. })));

    world
        .collector
        .update("prom", &template("load1"), world.now())
        .unwrap();
    assert_eq!(
        world
            .collector
            .template("prom", "load")
            .unwrap()
            .config()
            .text,
        "load1"
    );
    world.fetched(&load(), 1);
    world
        .collector
        .update("prom", &template("load5"), world.now())
        .unwrap();
    world.pending(&load());
    assert_eq!(world.fetches[1].request.form, "query=load5");
    world
        .collector
        .unregister("prom", "load", world.now())
        .unwrap();
    assert!(matches!(
        world.ask(&load()),
        Err(QueryError::UnknownTemplate { .. })
    ));
    assert!(
        world
            .collector
            .unregister("prom", "load", world.now())
            .is_err()
    );
}

#[test]
fn an_answer_under_way_for_an_older_text_is_delivered_and_not_kept() {
    let mut world = World::with(with_load("load1"));
    let ask = world.pending(&load());
    world
        .collector
        .update("prom", &template("load5"), world.now())
        .unwrap();
    world.drain();
    world.respond(0, Ok(vector(WALL, 1)));
    assert_eq!(world.reply(ask).unwrap().ttl_left, None);
    world.pending(&load());
}

#[test]
fn what_is_invalidated_is_forgotten_and_nothing_else() {
    let mut world = World::new();
    for query in ["up", "upper", "down"] {
        world.fetched(&Ask::promql(query), 1);
    }
    let mut forget = |what| world.collector.invalidate(&what, world.now());
    assert_eq!(forget(Invalidation::Key("prom/:query=nope".into())), 0);
    assert_eq!(forget(Invalidation::Prefix("prom/:query=up".into())), 2);
    assert_eq!(forget(Invalidation::Source("pro".into())), 0);
    assert_eq!(forget(Invalidation::Source("prom".into())), 1);
    assert_eq!(world.collector.stats().cache_entries, 0);
    world.fetched(&up(), 2);
    assert_eq!(
        world.collector.invalidate(&Invalidation::All, world.now()),
        1
    );
}

#[test]
fn who_waits_during_an_invalidation_gets_data_from_after_it() {
    let mut world = World::new();
    let ask = world.pending(&up());
    world.collector.invalidate(&Invalidation::All, world.now());
    world.drain();
    assert_eq!(world.cancelled, vec![world.fetches[0].id]);
    world.respond(0, Ok(vector(WALL, 1)));
    assert!(world.replies.is_empty());
    world.respond(1, Ok(vector(WALL, 2)));
    assert!(body(&world.reply(ask).unwrap()).contains("\"2\""));
}

#[test]
fn a_reload_keeps_what_is_still_valid() {
    let mut world = World::of(Config::with_sources(vec![
        with_load("load1"),
        quiet("gone"),
    ]));
    world.fetched(&up(), 1);
    world.fetched(&load(), 1);
    world.fetched(&up().of("gone"), 1);
    let orphan = world.pending(&Ask::promql("slow").of("gone"));
    let config = Config::with_sources(vec![
        quiet("new"),
        SourceConfig {
            ttl: Duration::from_secs(7),
            ..with_load("load5")
        },
    ]);
    world.collector.reload(config, world.now()).unwrap();
    world.drain();

    assert!(matches!(
        world.reply(orphan),
        Err(QueryError::UnknownSource { .. })
    ));
    assert_eq!(world.ready(&up().of("prom")).provenance, Provenance::Hit);
    world.pending(&load().of("prom"));
    assert!(matches!(
        world.ask(&up().of("gone")),
        Err(QueryError::UnknownSource { .. })
    ));
    assert_eq!(&**world.collector.default_source(), "new");
    assert_eq!(
        world.fetched(&Ask::promql("x").of("prom"), 1).ttl_left,
        Some(Duration::from_secs(7))
    );
    world.fetched(&up(), 3);
}

#[test]
fn an_invalid_configuration_changes_nothing() {
    let mut world = World::with(with_load("load1"));
    world.fetched(&load(), 1);
    for wrong in [
        Config::with_sources(vec![quiet("a"), quiet("a")]),
        Config::with_sources(vec![with_load("")]),
    ] {
        assert!(world.collector.reload(wrong, world.now()).is_err());
        assert_eq!(world.ready(&load()).provenance, Provenance::Hit);
    }
}

#[test]
fn a_key_explains_itself() {
    let mut world = World::with(SourceConfig {
        fetch_interval: Duration::from_secs(30),
        ..quiet("prom")
    });
    let explain = |world: &World| world.collector.explain("prom/:query=up", world.now());
    assert!(explain(&world).verdict.starts_with("a miss: nothing"));
    world.pending(&up());
    let flying = explain(&world);
    assert!(flying.verdict.starts_with("coalesced"));
    assert_eq!(
        flying
            .flight
            .as_ref()
            .map(|flight| (flight.stage, flight.askers)),
        Some(("fetching", 1))
    );
    world.respond(0, Ok(vector(WALL, 1)));
    let kept = explain(&world);
    assert!(kept.verdict.starts_with("a hit"));
    assert!(kept.tracked.unwrap().next_in.unwrap() <= Duration::from_secs(29));
}
