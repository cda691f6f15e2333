//! What is added to Tidegate's own series is told to whoever has sinks.

use tidegate_series::{Family, Metadata, MetricKind, Store};

use super::*;
use crate::{AlertCondition, AlertRule, AlertsConfig, Comparison, MetricConfig};

/// A pushed source and a collected one, an alert, and a metric that is expected every second.
fn config(feeds_sinks: bool) -> Config {
    let condition = AlertCondition::Threshold {
        over: None,
        op: Comparison::Greater,
        value: 1.0,
    };
    let collected = SourceConfig {
        kind: SourceKind::Scrape,
        targets: vec!["a".into()],
        collect_interval: Duration::from_secs(15),
        ..quiet("pods")
    };
    let mut config = Config::with_sources(vec![SourceConfig::push("node"), collected]);
    config.alerts = AlertsConfig {
        rules: vec![AlertRule::new("Hot", "load", condition)],
        ..AlertsConfig::default()
    };
    config.local.metrics = vec![MetricConfig {
        metric: "load".into(),
        interval: Some(Duration::from_secs(1)),
        ..MetricConfig::default()
    }];
    config.feeds_sinks = feeds_sinks;
    config
}

fn push(world: &mut World, values: &[f64]) {
    let now = world.now();
    let labels = Labels::from_pairs([("__name__", "load")]).unwrap();
    let sample = |&value| Sample {
        labels: labels.clone(),
        timestamp_ms: now.wall.0,
        value,
    };
    let metadata = Metadata {
        kind: MetricKind::Gauge,
        ..Metadata::default()
    };
    let record = Record {
        source: "node".into(),
        families: vec![Family {
            name: "load".into(),
            metadata,
        }],
        samples: values.iter().map(sample).collect(),
    };
    world.collector.record(&record, now).unwrap();
    world.drain();
}

/// A minute in which everything happens that adds to the series.
fn live(world: &mut World) {
    push(world, &[2.0, 3.0]);
    let mut answered = world.fetches.len();
    for nth in 0..60 {
        world.pass(1_000);
        while answered < world.fetches.len() {
            let text = ["x 1\ny 2\n", "x 3\n", "x broken\n", "x 4\n"][nth % 4];
            world.respond(answered, Ok(Response::new(200, text)));
            answered += 1;
        }
    }
    world.pass(300_000);
}

/// Every point, NaN included, in words.
fn points(store: &Store) -> Vec<(String, i64, u64)> {
    let all = store.select(&[]).flat_map(|(labels, ring)| {
        let points = ring.points();
        points.map(move |(t_ms, value)| (labels.to_string(), t_ms, value.to_bits()))
    });
    all.collect()
}

#[test]
fn what_is_told_makes_the_same_series() {
    let mut world = World::of(config(true));
    live(&mut world);
    let mut copy = Store::default();
    for appended in &world.appended {
        for sample in &appended.samples {
            let appended = copy.append(&sample.labels, sample.timestamp_ms, sample.value);
            assert_eq!(appended, Ok(()), "nothing is told that was refused");
        }
        for Family { name, metadata } in &appended.families {
            copy.describe(name, metadata.clone()).unwrap();
        }
    }
    let held = points(world.collector.series());
    assert_eq!(points(&copy), held);
    for metric in ["load", "x", "y", "up", "ALERTS"] {
        let of_metric = |(labels, ..): &&(String, i64, u64)| labels.starts_with(metric);
        assert!(held.iter().filter(of_metric).count() > 1, "{metric}");
    }
    let descriptions = |store: &Store| -> Vec<(String, Metadata)> {
        let all = store.descriptions();
        all.map(|(name, metadata)| (name.into(), metadata.clone()))
            .collect()
    };
    assert_eq!(descriptions(&copy), descriptions(world.collector.series()));
}

#[test]
fn a_description_is_told_once_and_a_refused_sample_never() {
    let mut world = World::of(config(true));
    push(&mut world, &[2.0, 3.0]);
    let [appended] = &world.appended[..] else {
        panic!("{:?}", world.appended)
    };
    assert_eq!((appended.families.len(), appended.samples.len()), (1, 1));
    push(&mut world, &[2.0, 3.0]);
    assert_eq!(
        world.appended.len(),
        2,
        "the same sample twice is taken twice"
    );
    assert!(world.appended[1].families.is_empty());
}

#[test]
fn without_sinks_nothing_is_told_until_there_are_some() {
    let mut world = World::of(config(false));
    live(&mut world);
    assert_eq!(world.appended, []);
    let now = world.now();
    world.collector.reload(config(true), now).unwrap();
    world.drain();
    let [appended] = &world.appended[..] else {
        panic!("{:?}", world.appended)
    };
    assert!(appended.samples.is_empty(), "the past is not told");
    let described = |name: &str| appended.families.iter().any(|family| family.name == name);
    assert!(described("load") && described("up"));
    world.collector.reload(config(false), now).unwrap();
    world.ms += 1;
    push(&mut world, &[4.0]);
    assert_eq!(world.appended.len(), 1);
}
