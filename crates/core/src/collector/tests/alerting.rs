//! Alerts: looked at in time, told in events, recorded.

use super::*;
use crate::{AlertCondition, AlertError, AlertRule, AlertsConfig, Comparison, Level, Output, Wake};

fn hot() -> AlertRule {
    let condition = AlertCondition::Threshold {
        over: None,
        op: Comparison::Greater,
        value: 1.0,
    };
    AlertRule::new("Hot", "load", condition)
}

fn config(rules: Vec<AlertRule>) -> Config {
    Config {
        alerts: AlertsConfig {
            rules,
            ..AlertsConfig::default()
        },
        ..Config::with_sources(vec![SourceConfig::push("node")])
    }
}

fn record(world: &mut World, value: f64) {
    let labels = Labels::from_pairs([("__name__", "load")]).unwrap();
    let now = world.now();
    let sample = Sample {
        labels,
        timestamp_ms: now.wall.0,
        value,
    };
    let record = Record {
        source: "node".into(),
        families: vec![],
        samples: vec![sample],
    };
    world.collector.record(&record, now).unwrap();
}

#[test]
fn rules_are_looked_at_every_interval_and_nobody_is_woken_without_rules() {
    let world = World::of(config(vec![hot()]));
    let soonest = world.collector.timers.soonest().unwrap();
    assert_eq!(
        (soonest.at, soonest.wake),
        (Instant::from_millis(15_000), Wake::Alerts)
    );
    let mut quiet = World::of(config(vec![]));
    let Output::Wait(Some(deadline)) = quiet.collector.poll_output() else {
        panic!()
    };
    assert_eq!(deadline.wake, Wake::Cleanup);
}

#[test]
fn an_alert_is_told_counted_and_recorded() {
    let mut world = World::of(config(vec![hot()]));
    record(&mut world, 2.0);
    world.pass(14_999);
    assert!(world.events.is_empty());
    world.pass(1);
    let [event] = &world.events[..] else {
        panic!("{:?}", world.events)
    };
    assert_eq!((event.level, event.name), (Level::Warn, "alert-firing"));
    assert_eq!(&*event.source, "local");
    assert_eq!(world.collector.stats().alerts_firing, 1);
    let recorded = world.collector.series().select(&[]);
    let recorded: Vec<String> = recorded.map(|(labels, _)| labels.to_string()).collect();
    assert_eq!(
        recorded,
        [r#"ALERTS{alertname="Hot",alertstate="firing"}"#, "load"]
    );
    record(&mut world, 0.0);
    world.pass(15_000);
    assert_eq!(world.events[1].name, "alert-resolved");
    assert_eq!(world.collector.stats().alerts_firing, 0);
}

#[test]
fn a_reload_changes_rules_and_one_that_is_wrong_changes_nothing() {
    let mut world = World::of(config(vec![hot()]));
    record(&mut world, 2.0);
    world.pass(15_000);
    let wrong = AlertRule {
        selector: "sum(load)".into(),
        ..hot()
    };
    let now = world.now();
    let error = world
        .collector
        .reload(config(vec![wrong]), now)
        .unwrap_err();
    assert!(matches!(
        error,
        ConfigError::Alert(AlertError::Selector { .. })
    ));
    assert_eq!(world.collector.stats().alerts_firing, 1);
    world.collector.reload(config(vec![hot()]), now).unwrap();
    assert_eq!(world.collector.stats().alerts_firing, 1);
    world.collector.reload(config(vec![]), now).unwrap();
    assert_eq!(world.collector.stats().alerts_firing, 0);
    world.pass(0);
    assert_eq!(world.events.last().unwrap().name, "alert-resolved");
    assert_ne!(
        world
            .collector
            .timers
            .soonest()
            .map(|deadline| deadline.wake),
        Some(Wake::Alerts)
    );
}

#[test]
fn reloads_that_come_often_do_not_keep_rules_from_being_looked_at() {
    let mut world = World::of(config(vec![hot()]));
    record(&mut world, 2.0);
    for _ in 0..3 {
        world.pass(5_000);
        let now = world.now();
        world.collector.reload(config(vec![hot()]), now).unwrap();
    }
    assert_eq!(world.collector.stats().alerts_firing, 1);
}
