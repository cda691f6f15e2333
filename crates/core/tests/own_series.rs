//! What Tidegate's own series are told and tell, and which questions about them are refused.

use std::time::Duration;

use tidegate_core::{
    Aggregation, AlertCondition, AlertRule, Collector, Comparison, Config, Instant, Now, Range,
    Record, RecordError, Sample, SourceConfig, UnixMillis,
};
use tidegate_series::{Grouping, Labels, Metadata, MetricKind, Statistic};

const WALL: i64 = 1_700_000_000_000;

fn at(second: u64) -> Now {
    Now {
        mono: Instant::from_millis(second * 1_000),
        wall: UnixMillis(WALL + second as i64 * 1_000),
    }
}

fn config() -> Config {
    let mut config = Config::with_sources(vec![SourceConfig::push("jobs")]);
    let over = AlertCondition::Threshold {
        over: None,
        op: Comparison::Greater,
        value: 5.0,
    };
    config
        .alerts
        .add(AlertRule::new("Hot", "load", over))
        .unwrap();
    config
}

/// A load of two hosts, each second of ten.
fn collector() -> Collector {
    let mut collector = Collector::new(config(), at(0)).unwrap();
    for second in 1..=10 {
        let samples = ["a", "b"].map(|host| Sample {
            labels: Labels::from_pairs([("__name__", "load"), ("host", host)]).unwrap(),
            timestamp_ms: WALL + second * 1_000,
            value: if host == "a" { second as f64 } else { 100.0 },
        });
        let record = Record {
            source: "jobs".into(),
            samples: samples.into(),
            families: Vec::new(),
        };
        let recorded = collector.record(&record, at(second as u64)).unwrap();
        assert_eq!((recorded.accepted, recorded.refused.len()), (2, 0));
    }
    collector
}

fn about(selector: &str) -> Aggregation {
    Aggregation {
        selectors: vec![selector.into()],
        window: Duration::from_secs(4),
        time: None,
        range: None,
        grouping: Grouping::Series,
        statistics: vec![Statistic::Count, Statistic::Max],
    }
}

#[test]
fn a_window_ends_now_or_when_it_is_told_or_again_and_again() {
    let collector = collector();
    let told = |asked: &Aggregation| -> Vec<(i64, Vec<Option<f64>>)> {
        let groups = collector.aggregate(asked, at(10)).unwrap();
        assert_eq!(groups.len(), 1);
        let points = groups[0].points.iter();
        points
            .map(|point| (point.end_ms - WALL, point.values.clone()))
            .collect()
    };
    let of_a = about(r#"load{host="a"}"#);
    assert_eq!(told(&of_a), [(10_000, vec![Some(4.0), Some(10.0)])]);
    let earlier = Aggregation {
        time: Some(UnixMillis(WALL + 6_000)),
        ..of_a.clone()
    };
    assert_eq!(told(&earlier), [(6_000, vec![Some(4.0), Some(6.0)])]);
    let several = Aggregation {
        range: Some(Range {
            start: UnixMillis(WALL + 2_000),
            end: UnixMillis(WALL + 9_000),
            step: Duration::from_secs(5),
        }),
        ..of_a
    };
    let expected = [
        (2_000, vec![Some(2.0), Some(2.0)]),
        (7_000, vec![Some(4.0), Some(7.0)]),
    ];
    assert_eq!(told(&several), expected);
}

#[test]
fn what_is_no_selector_no_range_or_no_window_is_refused_in_words() {
    let collector = collector();
    let refused = |asked: &Aggregation| collector.aggregate(asked, at(10)).unwrap_err().to_string();
    assert!(refused(&about("load[5m]")).contains("load[5m]"));
    let backwards = Range {
        start: UnixMillis(WALL + 5_000),
        end: UnixMillis(WALL),
        step: Duration::from_secs(1),
    };
    let asked = Aggregation {
        range: Some(backwards),
        ..about("load")
    };
    assert!(refused(&asked).contains("end timestamp must not be before start time"));
    let asked = Aggregation {
        window: Duration::ZERO,
        ..about("load")
    };
    let told = refused(&asked);
    assert!(told.contains("window"), "{told}");
}

#[test]
fn series_are_held_by_their_labels_and_all_where_nothing_is_selected() {
    let collector = collector();
    let of_b = collector.held(&[r#"load{host="b"}"#.into()]).unwrap();
    let shown: Vec<_> = of_b.keys().map(ToString::to_string).collect();
    assert_eq!(shown, [r#"load{host="b"}"#]);
    assert_eq!(collector.held(&[]).unwrap().len(), collector.series().len());
    assert!(collector.held(&["{".into()]).is_err());
}

#[test]
fn a_registered_metric_is_described_and_ends_when_it_is_overdue() {
    let mut collector = collector();
    let metadata = Metadata {
        kind: MetricKind::Gauge,
        unit: "ratio".into(),
        help: "How busy it is.".into(),
    };
    let every = Some(Duration::from_secs(1));
    assert_eq!(
        collector.register_metric("load", metadata.clone(), every),
        Ok(())
    );
    assert_eq!(collector.series().metadata("load"), Some(&metadata));
    let refused = collector.register_metric("9", metadata, None).unwrap_err();
    assert_eq!(refused.to_string(), "invalid metric name \"9\"");
}

#[test]
fn alerts_are_told_by_rule_with_the_state_of_the_worst() {
    let mut collector = collector();
    collector.handle_timeout(at(15));
    let rules: Vec<_> = collector.alert_rules().collect();
    assert_eq!(rules.len(), 1);
    assert_eq!(rules[0].state().map(|state| state.as_str()), Some("firing"));
    assert_eq!(collector.alert_interval(), Duration::from_secs(15));
}

#[test]
fn batches_go_to_push_sources_and_are_of_bounded_size() {
    let mut collector = collector();
    let mut refused = |source: &str, samples: usize| {
        let sample = Sample {
            labels: Labels::from_pairs([("__name__", "x")]).unwrap(),
            timestamp_ms: WALL,
            value: 1.0,
        };
        let record = Record {
            source: source.into(),
            samples: vec![sample; samples],
            families: Vec::new(),
        };
        collector.record(&record, at(11)).unwrap_err()
    };
    assert!(matches!(
        refused("nobody", 1),
        RecordError::UnknownSource { .. }
    ));
    assert!(matches!(
        refused("local", 1),
        RecordError::UnknownSource { .. }
    ));
    let most = config().limits.samples_per_record_max;
    let told = refused("jobs", most + 1);
    let expected = RecordError::TooMany {
        samples: most + 1,
        limit: most,
    };
    assert_eq!(told, expected);
}
