//! Rules at work on series.

use alloc::string::ToString;
use alloc::vec;

use proptest::prelude::*;
use tidegate_series::{StoreLimits, is_stale, stale_marker};

use super::*;
use crate::{AlertCondition, AlertWindow, BandConfig, Comparison, UnixMillis};

const LOOKBACK_MS: i64 = 300_000;

fn at(ms: i64) -> Now {
    Now {
        mono: Instant::from_millis(ms.unsigned_abs()),
        wall: UnixMillis(ms),
    }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).unwrap()
}

fn load(instance: &str) -> Labels {
    labels(&[("__name__", "load"), ("instance", instance)])
}

fn above(value: f64) -> AlertRule {
    let condition = AlertCondition::Threshold {
        over: None,
        op: Comparison::Greater,
        value,
    };
    AlertRule::new("Hot", "load", condition)
}

fn alerts(rules: Vec<AlertRule>) -> Alerts {
    let config = AlertsConfig {
        rules,
        ..AlertsConfig::default()
    };
    Alerts::new(config, Now::ZERO).unwrap()
}

fn store(samples: &[(&str, i64, f64)]) -> Store {
    let mut store = Store::default();
    for (instance, t_ms, value) in samples {
        store.append(&load(instance), *t_ms, *value).unwrap();
    }
    store
}

fn names(outcome: &Outcome) -> Vec<&'static str> {
    outcome.notices.iter().map(|notice| notice.name).collect()
}

/// The alerts in words: instance, state, value.
fn shown(alerts: &Alerts) -> Vec<(String, &'static str, f64)> {
    let statuses: Vec<_> = alerts.rules().collect();
    let all = statuses.iter().flat_map(|status| &status.alerts);
    all.map(|alert| {
        let instance = alert.labels.value("instance").unwrap_or_default();
        (instance.to_string(), alert.state.as_str(), alert.value)
    })
    .collect()
}

#[test]
fn an_alert_has_the_labels_of_its_series_and_of_its_rule() {
    let rule = AlertRule {
        labels: [
            ("severity".into(), "page".into()),
            ("zone".into(), "".into()),
        ]
        .into(),
        annotations: [(
            "summary".into(),
            "{{ $labels.instance }}: {{ $value }}".into(),
        )]
        .into(),
        ..above(1.0)
    };
    let mut alerts = alerts(vec![rule]);
    let mut store = Store::default();
    let series = labels(&[
        ("__name__", "load"),
        ("alertname", "x"),
        ("instance", "a"),
        ("zone", "z"),
    ]);
    store.append(&series, 1_000, 2.5).unwrap();
    let outcome = alerts.look(&store, LOOKBACK_MS, at(1_000));
    let status = alerts.rules().next().unwrap();
    let alert = &status.alerts[0];
    assert_eq!(
        alert.labels.to_string(),
        r#"{alertname="Hot",instance="a",severity="page"}"#
    );
    let annotations: Vec<_> = alert.annotations().collect();
    assert_eq!(annotations, [("summary", "a: 2.5".into())]);
    assert_eq!(
        outcome.notices[0].detail,
        r#"{alertname="Hot",instance="a",severity="page"}: load > 1, value 2.5, active since 1970-01-01T00:00:01Z"#
    );
    let record = r#"ALERTS{alertname="Hot",alertstate="firing",instance="a",severity="page"}"#;
    assert_eq!(outcome.records[0].0.to_string(), record);
    assert_eq!(outcome.records[0].1.to_bits(), 1.0_f64.to_bits());
}

#[test]
fn a_state_that_ends_is_recorded_as_ended() {
    let rule = AlertRule {
        pending_for: Duration::from_secs(15),
        ..above(1.0)
    };
    let mut alerts = alerts(vec![rule]);
    let mut store = store(&[("a", 0, 2.0)]);
    let mut look = |store: &Store, ms| {
        let outcome = alerts.look(store, LOOKBACK_MS, at(ms));
        let record = |(labels, value): &(Labels, f64)| {
            let state = labels.value("alertstate").unwrap().to_string();
            (state, is_stale(*value))
        };
        outcome.records.iter().map(record).collect::<Vec<_>>()
    };
    assert_eq!(look(&store, 0), [("pending".into(), false)]);
    assert_eq!(
        look(&store, 15_000),
        [("pending".into(), true), ("firing".into(), false)]
    );
    store.append(&load("a"), 20_000, 0.0).unwrap();
    assert_eq!(look(&store, 30_000), [("firing".into(), true)]);
    assert_eq!(look(&store, 45_000), []);
}

#[test]
fn a_rule_that_cannot_be_looked_at_says_so_once_and_keeps_its_alerts() {
    let rule = AlertRule {
        selector: "{__name__=~\"load|heat\"}".into(),
        ..above(1.0)
    };
    let mut alerts = alerts(vec![rule]);
    let mut store = store(&[("a", 0, 2.0)]);
    assert_eq!(
        names(&alerts.look(&store, LOOKBACK_MS, at(0))),
        ["alert-firing"]
    );
    store
        .append(&labels(&[("__name__", "heat"), ("instance", "a")]), 0, 9.0)
        .unwrap();
    let failed = alerts.look(&store, LOOKBACK_MS, at(1_000));
    assert_eq!(names(&failed), ["alert-rule-failed"]);
    assert!(
        failed.notices[0]
            .detail
            .contains("two series make the same alert")
    );
    assert_eq!(names(&alerts.look(&store, LOOKBACK_MS, at(2_000))), [""; 0]);
    let status = alerts.rules().next().unwrap();
    assert!(status.last_error.is_some());
    assert_eq!(shown(&alerts), [("a".into(), "firing", 2.0)]);
    // The one is gone past the look-back, and all is well.
    store
        .append(
            &labels(&[("__name__", "heat"), ("instance", "a")]),
            3_000,
            stale_marker(),
        )
        .unwrap();
    assert_eq!(names(&alerts.look(&store, LOOKBACK_MS, at(4_000))), [""; 0]);
    assert_eq!(alerts.rules().next().unwrap().last_error, None);
}

#[test]
fn more_alerts_than_a_rule_may_have_are_refused_and_told() {
    let mut store = Store::default();
    for nth in 0..1_001 {
        store.append(&load(&format!("{nth:04}")), 0, 2.0).unwrap();
    }
    let mut alerts = alerts(vec![above(1.0)]);
    let outcome = alerts.look(&store, LOOKBACK_MS, at(0));
    let complaint = outcome.notices.last().unwrap();
    assert_eq!(complaint.name, "alert-rule-failed");
    assert!(
        complaint
            .detail
            .starts_with("Hot: 1 alerts more than the 1000"),
        "{complaint:?}"
    );
    assert_eq!(alerts.count(AlertState::Firing), 1_000);
    assert_eq!(outcome.records.len(), 1_000);
}

#[test]
fn more_series_than_a_rule_may_look_at_fail_it() {
    let mut store = Store::new(StoreLimits {
        series_max: 20_000,
        series_per_metric_max: 20_000,
        values_per_label_max: 20_000,
        ..StoreLimits::default()
    });
    for nth in 0..10_001 {
        store.append(&load(&format!("{nth}")), 0, 0.0).unwrap();
    }
    let window = AlertCondition::Threshold {
        over: Some(AlertWindow {
            statistic: "avg".into(),
            window: Duration::from_secs(60),
        }),
        op: Comparison::Greater,
        value: 1.0,
    };
    let band = AlertCondition::Band(BandConfig::default());
    let rule = |name: &str, condition| AlertRule::new(name, "load", condition);
    let mut alerts = alerts(vec![above(1.0), rule("Window", window), rule("Band", band)]);
    let outcome = alerts.look(&store, LOOKBACK_MS, at(0));
    let said: Vec<&str> = outcome
        .notices
        .iter()
        .map(|notice| &*notice.detail)
        .collect();
    assert_eq!(
        said,
        ["Hot", "Window", "Band"].map(|name| format!("{name}: more than 10000 series match"))
    );
}

#[test]
fn a_window_ends_now_and_a_change_is_per_second() {
    let mut store = Store::default();
    for second in 0..=60 {
        store
            .append(&load("a"), second * 1_000, second as f64 * 2.0)
            .unwrap();
    }
    let over = AlertCondition::Threshold {
        over: Some(AlertWindow {
            statistic: "max".into(),
            window: Duration::from_secs(30),
        }),
        op: Comparison::Greater,
        value: 100.0,
    };
    let change = AlertCondition::RateOfChange {
        window: Duration::from_secs(60),
        op: Comparison::Greater,
        value: 1.9,
    };
    let rule = |name: &str, condition| AlertRule::new(name, "load", condition);
    let mut alerts = alerts(vec![rule("Max", over), rule("Rising", change)]);
    alerts.look(&store, LOOKBACK_MS, at(60_000));
    let values = [0, 1].map(|nth| shown(&alerts)[nth].2);
    assert!(
        values[0] == 120.0 && (values[1] - 2.0).abs() < 1e-9,
        "{values:?}"
    );
    // The last sample leaves the window at its open start.
    alerts.look(&store, LOOKBACK_MS, at(89_999));
    assert_eq!(shown(&alerts).len(), 1);
    alerts.look(&store, LOOKBACK_MS, at(90_000));
    assert_eq!(shown(&alerts), []);
}

#[test]
fn a_band_judges_each_sample_once_however_often_it_is_looked_at() {
    let band = BandConfig {
        samples_min: 10,
        distance_min: 0.5,
        ..BandConfig::default()
    };
    let rule = AlertRule::new("Odd", "load", AlertCondition::Band(band));
    let (mut often, mut once) = (alerts(vec![rule.clone()]), alerts(vec![rule]));
    let mut store = Store::default();
    for second in 0..60 {
        let value = if second == 50 {
            40.0
        } else {
            (second % 3) as f64
        };
        store.append(&load("a"), second * 1_000, value).unwrap();
        for part in 0..3 {
            often.look(&store, LOOKBACK_MS, at(second * 1_000 + part * 300));
            assert_eq!(shown(&often).is_empty(), second != 50, "{second}");
        }
    }
    once.look(&store, LOOKBACK_MS, at(59_000));
    assert_eq!(shown(&once), []);
    store.append(&load("a"), 60_000, 7.5).unwrap();
    for alerts in [&mut often, &mut once] {
        alerts.look(&store, LOOKBACK_MS, at(60_000));
        assert_eq!(shown(alerts), [("a".into(), "firing", 7.5)]);
    }
    // A series that is gone is forgotten, and one of its name learned anew.
    once.look(&Store::default(), LOOKBACK_MS, at(61_000));
    once.look(&store, LOOKBACK_MS, at(62_000));
    assert_eq!(shown(&once).len(), 1);
}

#[test]
fn rules_that_read_the_same_keep_their_alerts_and_the_others_end() {
    let other = AlertRule {
        name: "Other".into(),
        pending_for: Duration::from_secs(60),
        ..above(1.0)
    };
    let mut before = alerts(vec![above(1.0), other.clone()]);
    let store = store(&[("a", 0, 2.0)]);
    before.look(&store, LOOKBACK_MS, at(0));
    let changed = AlertRule {
        annotations: [("a".into(), "b".into())].into(),
        ..above(1.0)
    };
    let outcome = before.reload(alerts(vec![other, changed]));
    assert_eq!(names(&outcome), ["alert-resolved"]);
    assert!(outcome.records.iter().all(|(_, value)| is_stale(*value)));
    assert_eq!(shown(&before), [("a".into(), "pending", 2.0)]);
    assert_eq!(before.due, Some(Instant::from_millis(15_000)));
    let outcome = before.look(&store, LOOKBACK_MS, at(60_000));
    assert_eq!(names(&outcome), ["alert-firing", "alert-firing"]);
    let outcome = before.reload(alerts(vec![]));
    assert_eq!(names(&outcome), ["alert-resolved", "alert-resolved"]);
    assert_eq!(before.due, None);
}

/// A sample, or nothing, at some time.
fn stream() -> impl Strategy<Value = Vec<(i64, Option<f64>)>> {
    let value = prop_oneof![
        4 => (0..4_i32).prop_map(|value| Some(f64::from(value))),
        1 => Just(Some(f64::NAN)),
        1 => Just(Some(stale_marker())),
        1 => Just(Some(f64::INFINITY)),
        2 => Just(None),
    ];
    prop::collection::vec((1..120_000_i64, value), 1..60)
}

proptest! {
    /// After every sample the rule is looked at, and is in the state that a plain reading of all
    /// samples gives.
    #[test]
    fn states_are_those_of_a_naive_reading_of_the_samples(
        stream in stream(),
        pending_ms in 0..200_000_i64,
        keep_ms in 0..200_000_i64,
        nth_op in 0..6_usize,
    ) {
        let op = Comparison::ALL[nth_op];
        let rule = AlertRule {
            pending_for: Duration::from_millis(pending_ms.unsigned_abs()),
            keep_firing_for: Duration::from_millis(keep_ms.unsigned_abs()),
            ..AlertRule::new("Hot", "load", AlertCondition::Threshold { over: None, op, value: 2.0 })
        };
        let mut alerts = alerts(vec![rule]);
        let (mut store, mut samples) = (Store::default(), Vec::new());
        let (mut now_ms, mut met_since, mut firing, mut missed_since) = (0, None, false, None);
        for (gap_ms, value) in stream {
            now_ms += gap_ms;
            if let Some(value) = value {
                store.append(&load("a"), now_ms, value).unwrap();
                samples.push((now_ms, value));
            }
            alerts.look(&store, LOOKBACK_MS, at(now_ms));

            let newest = samples.last().filter(|(t_ms, _)| now_ms - t_ms < LOOKBACK_MS);
            let met = newest.is_some_and(|(_, value)| !is_stale(*value) && op.holds(*value, 2.0));
            if met {
                let since = *met_since.get_or_insert(now_ms);
                firing |= now_ms - since >= pending_ms;
                missed_since = None;
            } else if firing {
                let since = *missed_since.get_or_insert(now_ms);
                firing = now_ms - since < keep_ms;
            }
            if !met && !firing {
                (met_since, missed_since) = (None, None);
            }
            let expected = match (met_since, firing) {
                (None, _) => None,
                (Some(_), true) => Some("firing"),
                (Some(_), false) => Some("pending"),
            };
            let state = shown(&alerts).first().map(|(_, state, _)| *state);
            prop_assert_eq!(state, expected);
        }
    }
}
