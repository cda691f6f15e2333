//! The store's rules, one by one and against a plain list.

use super::*;

use crate::metadata::{HELP_BYTES_MAX, MetricKind, UNIT_BYTES_MAX};
use crate::stale::stale_marker;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

mod model;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).unwrap()
}

fn metric(name: &str) -> Labels {
    labels(&[("__name__", name)])
}

fn small(series_max: usize, samples_max: usize) -> Store {
    let points_per_series_max = 3;
    let metadata_max = 2;
    Store::new(StoreLimits {
        series_max,
        points_per_series_max,
        samples_max,
        metadata_max,
        ..StoreLimits::default()
    })
}

fn found(store: &Store, matchers: &[(&str, MatchOp, &str)]) -> Vec<String> {
    let matchers: Vec<Matcher> = matchers
        .iter()
        .map(|&(n, op, v)| Matcher::new(n, op, v).unwrap())
        .collect();
    store
        .select(&matchers)
        .map(|(labels, _)| labels.to_string())
        .collect()
}

#[test]
fn a_new_series_past_the_limit_is_refused_and_counted() {
    let mut store = small(2, 100);
    store.append(&metric("a"), 1, 1.0).unwrap();
    store.append(&metric("b"), 1, 1.0).unwrap();
    let refused = Err(AppendError::SeriesLimit { limit: 2 });
    assert_eq!(store.append(&metric("c"), 1, 1.0), refused);
    assert_eq!(store.append(&metric("a"), 2, 1.0), Ok(()));
    assert_eq!(
        (
            store.len(),
            store.sample_count(),
            store.refused().series_limit
        ),
        (2, 3, 1)
    );
}

#[test]
fn a_full_store_refuses_new_series_and_keeps_old_ones_moving() {
    let mut store = small(10, 3);
    for t_ms in 1..=2 {
        store.append(&metric("a"), t_ms, 1.0).unwrap();
    }
    store.append(&metric("b"), 1, 1.0).unwrap();
    let refused = Err(AppendError::SampleLimit { limit: 3 });
    assert_eq!(store.append(&metric("c"), 3, 1.0), refused);
    store.append(&metric("a"), 3, 1.0).unwrap();
    store.append(&metric("b"), 3, 1.0).unwrap();
    let oldest = |name| store.ring(&metric(name)).unwrap().oldest().unwrap().0;
    assert_eq!((oldest("a"), oldest("b"), store.sample_count()), (2, 3, 3));
}

#[test]
fn a_refused_sample_costs_a_full_store_nothing() {
    let mut store = small(10, 2);
    store.append(&metric("a"), 1, 1.0).unwrap();
    store.append(&metric("a"), 2, 1.0).unwrap();
    assert!(store.append(&metric("a"), 1, 1.0).is_err());
    assert!(store.append(&metric("a"), 2, 9.0).is_err());
    store.append(&metric("a"), 2, 1.0).unwrap();
    assert_eq!(store.sample_count(), 2);
}

#[test]
fn every_refusal_is_counted_by_its_reason() {
    let mut store = small(1, 100);
    store.append(&metric("a"), 10, 1.0).unwrap();
    for (t_ms, value) in [(9, 1.0), (8, 1.0), (10, 2.0), (10, 1.0)] {
        let _ = store.append(&metric("a"), t_ms, value);
    }
    let _ = store.append(&metric("b"), 10, 1.0);
    let counted = Refused {
        out_of_order: 2,
        duplicate: 1,
        series_limit: 1,
        ..Refused::default()
    };
    assert_eq!((store.refused(), store.refused().total()), (counted, 4));
}

#[test]
fn a_selection_is_in_label_order_with_and_without_a_name() {
    let mut store = Store::default();
    for pairs in [
        &[("__name__", "up"), ("job", "b")][..],
        &[("__name__", "up"), ("job", "a")],
        &[("__name__", "load"), ("job", "z")],
        &[("__name__", "up"), ("Zone", "1")],
        &[("job", "nameless")],
    ] {
        store.append(&labels(pairs), 1, 1.0).unwrap();
    }
    let up = found(&store, &[("__name__", MatchOp::Equal, "up")]);
    assert_eq!(up, [r#"up{Zone="1"}"#, r#"up{job="a"}"#, r#"up{job="b"}"#]);
    let all = found(&store, &[]);
    let nameless = r#"{job="nameless"}"#;
    assert_eq!(all, [&up[0], r#"load{job="z"}"#, &up[1], &up[2], nameless]);
    assert_eq!(
        found(&store, &[("__name__", MatchOp::Equal, "")]),
        [nameless]
    );
    assert_eq!(found(&store, &[("job", MatchOp::Regex, "[ab]")]), up[1..]);
}

#[test]
fn expiry_removes_a_series_when_no_sample_is_newer() {
    let mut store = Store::default();
    store.append(&metric("a"), 1, 1.0).unwrap();
    store.append(&metric("a"), 100, stale_marker()).unwrap();
    assert_eq!((store.expire(99, 0), store.sample_count()), (0, 2));
    assert_eq!(
        (store.expire(100, 0), store.sample_count(), store.len()),
        (1, 0, 0)
    );
    assert!(found(&store, &[("__name__", MatchOp::Equal, "a")]).is_empty());
    store.append(&metric("a"), 1, 1.0).unwrap();
    assert_eq!(found(&store, &[("__name__", MatchOp::Equal, "a")]), ["a"]);
}

#[test]
fn dropping_keeps_the_sample_at_the_edge() {
    let mut store = Store::default();
    for t_ms in [10, 20, 30] {
        store.append(&metric("a"), t_ms, 1.0).unwrap();
    }
    assert_eq!((store.drop_before(20), store.sample_count()), (0, 2));
    assert_eq!((store.drop_before(21), store.sample_count()), (0, 1));
    assert_eq!(
        (
            store.drop_before(31),
            store.sample_count(),
            store.is_empty()
        ),
        (1, 0, true)
    );
}

#[test]
fn a_description_is_replaced_and_outlives_its_series() {
    let mut store = small(1, 1);
    let counter = Metadata {
        kind: MetricKind::Counter,
        ..Metadata::default()
    };
    store.describe("a", Metadata::default()).unwrap();
    store.describe("a", counter.clone()).unwrap();
    store.append(&metric("a"), 1, 1.0).unwrap();
    store.expire(1, 0);
    assert_eq!(store.metadata("a"), Some(&counter));
    assert_eq!(store.descriptions().collect::<Vec<_>>(), [("a", &counter)]);
    assert_eq!(store.metadata("b"), None);
}

#[test]
fn descriptions_have_limits_of_their_own() {
    let mut store = small(1, 1);
    let with = |unit: usize, help: usize| Metadata {
        kind: MetricKind::Gauge,
        unit: "u".repeat(unit).into(),
        help: "h".repeat(help).into(),
    };
    assert_eq!(
        store.describe("a", with(UNIT_BYTES_MAX, HELP_BYTES_MAX)),
        Ok(())
    );
    let (unit, help) = (UNIT_BYTES_MAX + 1, HELP_BYTES_MAX + 1);
    let refused = Err(DescribeError::UnitTooLong { bytes: unit });
    assert_eq!(store.describe("b", with(unit, 0)), refused);
    let refused = Err(DescribeError::HelpTooLong { bytes: help });
    assert_eq!(store.describe("b", with(0, help)), refused);
    let refused = Err(DescribeError::InvalidName { name: "b c".into() });
    assert_eq!(store.describe("b c", with(0, 0)), refused);
    assert_eq!(store.describe("b", with(0, 0)), Ok(()));
    let refused = Err(DescribeError::MetadataLimit { limit: 2 });
    assert_eq!(store.describe("c", with(0, 0)), refused);
    assert_eq!(store.describe("a", with(0, 0)), Ok(()));
}

#[test]
fn the_size_grows_with_the_samples_held() {
    let mut store = Store::default();
    let empty = store.byte_size();
    for t_ms in 0..1_000 {
        store.append(&metric("a"), t_ms, 1.0).unwrap();
    }
    let size = store.byte_size();
    // The last 488 of them as they are.
    let grown = size - empty;
    assert!(grown > 488 * 8 && grown < 9_200, "{size}");
    store.expire(1_000, 0);
    assert_eq!(store.byte_size(), empty);
}

#[test]
fn series_that_are_scraped_together_share_their_times() {
    let size = |together: bool| {
        let mut store = Store::default();
        for nth in 0..600_i64 {
            // As many as have four to each of the times at which they seal.
            for series in 0..4 * GROUPS as i64 {
                let name = alloc::format!("m{series}");
                let apart = if together { 0 } else { series };
                // Irregular, so that the times take more than a few bytes.
                let t_ms = nth * 1_000 + nth * nth % 97 * 5 + apart;
                store.append(&metric(&name), t_ms, nth as f64).unwrap();
            }
        }
        store.byte_size()
    };
    // Three of four have their times for nothing, half a byte each.
    assert!(size(true) + 3 * GROUPS * 256 / 2 < size(false));
}

#[test]
fn a_store_full_of_bytes_makes_room_by_whole_chunks_and_refuses_new_series() {
    let bytes_max = 20_000;
    let mut store = Store::new(StoreLimits {
        bytes_max,
        ..StoreLimits::default()
    });
    let noise = |nth: i64| {
        let bits = (nth as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let bits = (bits ^ bits >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        f64::from_bits(0x4000_0000_0000_0000 | bits >> 12)
    };
    for t_ms in 0..6_000 {
        store.append(&metric("a"), t_ms, noise(t_ms)).unwrap();
        let taken = store.ring(&metric("a")).unwrap().byte_size();
        assert!(taken < bytes_max + 5_000, "{taken}");
    }
    let ring = store.ring(&metric("a")).unwrap();
    assert_eq!(
        (ring.len(), ring.newest().unwrap().0),
        (store.sample_count(), 5_999)
    );
    assert!((1_000..3_000).contains(&ring.len()), "{}", ring.len());
    assert!(
        ring.points()
            .all(|(t_ms, value)| value.to_bits() == noise(t_ms).to_bits())
    );
    for t_ms in 6_000.. {
        if store.ring(&metric("a")).unwrap().byte_size() >= bytes_max {
            break;
        }
        store.append(&metric("a"), t_ms, noise(t_ms)).unwrap();
    }
    let refused = Err(AppendError::ByteLimit { limit: bytes_max });
    assert_eq!(store.append(&metric("b"), 1, 1.0), refused);
    assert_eq!(store.refused().byte_limit, 1);
}

#[test]
fn what_is_older_than_the_age_goes_by_itself() {
    let mut store = Store::new(StoreLimits {
        age_max_ms: 1_000,
        ..StoreLimits::default()
    });
    for t_ms in [0, 500, 1_000, 1_500] {
        store.append(&metric("a"), t_ms, 1.0).unwrap();
    }
    let oldest = store.ring(&metric("a")).unwrap().oldest();
    assert_eq!((oldest, store.sample_count()), (Some((500, 1.0)), 3));
}

fn limited(series_per_metric_max: usize, values_per_label_max: usize) -> Store {
    Store::new(StoreLimits {
        series_per_metric_max,
        values_per_label_max,
        labels_per_series_max: 3,
        ..StoreLimits::default()
    })
}

fn user(name: &str, id: &str) -> Labels {
    labels(&[("__name__", name), ("id", id)])
}

#[test]
fn one_metric_too_rich_in_series_leaves_the_others_alone() {
    let mut store = limited(2, 100);
    for id in ["1", "2"] {
        store.append(&user("a", id), 1, 1.0).unwrap();
    }
    let refused = store.append(&user("a", "3"), 1, 1.0).unwrap_err();
    let metric = "a".into();
    assert_eq!(
        refused,
        AppendError::SeriesPerMetricLimit { metric, limit: 2 }
    );
    assert!(refused.to_string().contains("series_per_metric_max"));
    assert_eq!(store.append(&user("a", "1"), 2, 1.0), Ok(()));
    assert_eq!(store.append(&user("b", "3"), 1, 1.0), Ok(()));
    assert_eq!(store.refused().series_per_metric_limit, 1);
    let refused: Vec<_> = store
        .metrics()
        .map(|fill| (fill.name, fill.refused))
        .collect();
    assert_eq!(refused, [("a", 1), ("b", 0)]);
}

#[test]
fn a_label_too_rich_in_values_is_named() {
    let mut store = limited(100, 2);
    let both = |id, zone| labels(&[("__name__", "a"), ("id", id), ("zone", zone)]);
    store.append(&both("1", "x"), 1, 1.0).unwrap();
    store.append(&both("2", "x"), 1, 1.0).unwrap();
    let refused = store.append(&both("3", "x"), 1, 1.0).unwrap_err();
    assert_eq!(refused.label(), Some("id"));
    assert!(refused.to_string().contains("label \"id\" of metric \"a\""));
    // A value that is there already costs nothing, nor does the same value elsewhere.
    assert_eq!(store.append(&both("2", "y"), 1, 1.0), Ok(()));
    assert_eq!(store.append(&user("b", "3"), 1, 1.0), Ok(()));
    assert_eq!(store.refused().values_per_label_limit, 1);
}

#[test]
fn a_value_that_left_makes_room_for_another() {
    let mut store = limited(100, 1);
    store.append(&user("a", "1"), 1, 1.0).unwrap();
    assert!(store.append(&user("a", "2"), 2, 1.0).is_err());
    store.expire(1, 0);
    assert_eq!(store.append(&user("a", "2"), 2, 1.0), Ok(()));
}

#[test]
fn a_series_of_many_labels_is_refused_with_their_number() {
    let mut store = limited(100, 100);
    let pairs = [("__name__", "a"), ("b", "1"), ("c", "1"), ("d", "1")];
    assert_eq!(store.append(&labels(&pairs[..3]), 1, 1.0), Ok(()));
    let refused = store.append(&labels(&pairs), 1, 1.0).unwrap_err();
    let metric = "a".into();
    let expected = AppendError::LabelsPerSeriesLimit {
        metric,
        labels: 4,
        limit: 3,
    };
    assert_eq!(refused, expected);
}

#[test]
fn limits_of_zero_refuse_everything() {
    for (series, values) in [(0, 1), (1, 0)] {
        let mut store = limited(series, values);
        assert!(store.append(&user("a", "1"), 1, 1.0).is_err());
        assert_eq!((store.len(), store.metrics().count()), (0, 0));
    }
}

#[test]
fn a_limit_that_comes_near_is_told_once_until_less_is_held() {
    let mut store = limited(10, 5);
    let mut told = Vec::new();
    for (t_ms, id) in (1..).zip(["1", "2", "3", "4", "5"]) {
        store.append(&user("a", id), t_ms, 1.0).unwrap();
        told.extend(store.take_nearing());
    }
    let limit = Limit::ValuesPerLabel {
        metric: "a".into(),
        label: "id".into(),
    };
    let first = Nearing {
        limit,
        held: 4,
        max: 5,
    };
    assert_eq!(told, core::slice::from_ref(&first));
    store.expire(2, 0);
    store.append(&user("a", "6"), 6, 1.0).unwrap();
    assert_eq!(store.take_nearing(), [first]);
}

#[test]
fn limits_of_the_whole_come_near_too() {
    let mut store = small(5, 10);
    for t_ms in 1..=3 {
        for name in ["a", "b", "c", "d"] {
            let _ = store.append(&metric(name), t_ms, 1.0);
        }
    }
    let near = store.take_nearing().into_iter();
    let near: Vec<_> = near.map(|near| (near.limit, near.held, near.max)).collect();
    assert_eq!(near, [(Limit::Series, 4, 5), (Limit::Samples, 8, 10)]);
}

#[test]
fn a_rule_has_its_metrics_bounds() {
    let rule = |metric| MetricRule::new(metric).unwrap();
    let rules = alloc::vec![
        MetricRule {
            points_max: Some(1),
            series_max: Some(1),
            ..rule("few")
        },
        MetricRule {
            age_max_ms: Some(10),
            values_per_label_max: Some(1),
            ..rule("f.*")
        },
    ];
    let mut store = Store::with_rules(StoreLimits::default(), rules);
    for t_ms in [0, 5, 11] {
        for name in ["few", "fresh", "other"] {
            store.append(&user(name, "1"), t_ms, 1.0).unwrap();
        }
    }
    let held: Vec<_> = store
        .metrics()
        .map(|fill| (fill.name, fill.points))
        .collect();
    assert_eq!(held, [("few", 1), ("fresh", 2), ("other", 3)]);
    let two = ["few", "fresh", "other"].map(|name| {
        let refused = store.append(&user(name, "2"), 0, 1.0).err()?;
        Some(refused.reason())
    });
    let limits = [
        Some("series-per-metric-limit"),
        Some("values-per-label-limit"),
        None,
    ];
    assert_eq!(two, limits);
}

#[test]
fn a_series_expires_when_its_newest_point_is_too_old_for_its_rule() {
    let rule = MetricRule {
        age_max_ms: Some(10),
        ..MetricRule::new("young").unwrap()
    };
    let mut store = Store::with_rules(StoreLimits::default(), [rule].into());
    for name in ["young", "old"] {
        store.append(&metric(name), 100, 1.0).unwrap();
    }
    assert_eq!((store.expire(109, 50), store.len()), (0, 2));
    assert_eq!((store.expire(110, 50), store.len()), (1, 1));
    assert_eq!((store.expire(149, 50), store.len()), (0, 1));
    assert_eq!((store.expire(150, 50), store.len()), (1, 0));
    assert_eq!(store.expire(i64::MIN, 0), 0);
}

#[test]
fn a_series_that_missed_more_than_five_intervals_ends_where_its_next_sample_was_due() {
    let mut store = Store::default();
    store.expect_every("a", Some(10)).unwrap();
    for name in ["a", "unknown"] {
        store.append(&metric(name), 100, 1.0).unwrap();
    }
    assert_eq!(store.end_overdue(150).len(), 0);
    assert_eq!(store.end_overdue(151).len(), 1);
    assert_eq!(store.end_overdue(1_000).len(), 0);
    let points = |store: &Store, name| {
        let points = store.ring(&metric(name)).unwrap().points();
        points
            .map(|(t_ms, value)| (t_ms, is_stale(value)))
            .collect::<Vec<_>>()
    };
    assert_eq!(points(&store, "a"), [(100, false), (110, true)]);
    assert_eq!(points(&store, "unknown"), [(100, false)]);
    let ring = store.ring(&metric("a")).unwrap();
    assert_eq!(
        (ring.at(109, 1_000), ring.at(110, 1_000)),
        (Some((100, 1.0)), None)
    );
    // Late ones up to the marker are refused, the next begins the series again.
    assert!(store.append(&metric("a"), 110, 1.0).is_err());
    store.append(&metric("a"), 111, 2.0).unwrap();
    assert_eq!(store.end_overdue(161).len(), 0);
    assert_eq!(store.end_overdue(162).len(), 1);
}

#[test]
fn a_series_that_its_source_ended_is_not_ended_again() {
    let mut store = Store::default();
    store.expect_every("a", Some(10)).unwrap();
    store.append(&metric("a"), 100, 1.0).unwrap();
    store.append(&metric("a"), 105, stale_marker()).unwrap();
    assert_eq!(
        (store.end_overdue(10_000).len(), store.sample_count()),
        (0, 2)
    );
}

#[test]
fn the_edges_of_time_end_nothing_twice_and_panic_nowhere() {
    let mut store = Store::default();
    for (name, interval_ms) in [("a", 0), ("b", u64::MAX), ("c", 1)] {
        store.expect_every(name, Some(interval_ms)).unwrap();
        store.append(&metric(name), i64::MAX, 1.0).unwrap();
        store.append(&user(name, "low"), i64::MIN, 1.0).unwrap();
    }
    assert_eq!(store.end_overdue(i64::MIN).len(), 0);
    assert_eq!(store.end_overdue(i64::MAX).len(), 1);
    assert_eq!(store.end_overdue(i64::MAX).len(), 0);
}

#[test]
fn a_rule_knows_the_interval_better_than_the_registration() {
    let rule = MetricRule {
        interval_ms: Some(5),
        ..MetricRule::new("a").unwrap()
    };
    let mut store = Store::with_rules(StoreLimits::default(), [rule].into());
    for name in ["a", "b"] {
        store.expect_every(name, Some(9)).unwrap();
    }
    let known = ["a", "b", "c"].map(|name| store.interval_ms(name));
    assert_eq!(known, [Some(5), Some(9), None]);
    assert_eq!(store.metadata("b"), Some(&Metadata::default()));
    store.describe("b", Metadata::default()).unwrap();
    assert_eq!(store.interval_ms("b"), Some(9));
    store.expect_every("b", None).unwrap();
    assert_eq!(store.interval_ms("b"), None);
}

#[test]
fn fill_is_told_by_metric() {
    let mut store = small(9, 100);
    store.describe("described", Metadata::default()).unwrap();
    for t_ms in 1..=2 {
        store.append(&user("a", "1"), t_ms, 1.0).unwrap();
    }
    store.append(&user("a", "2"), 2, 1.0).unwrap();
    let fills: Vec<MetricFill<'_>> = store.metrics().collect();
    let [a, described] = fills[..] else {
        panic!("{fills:?}")
    };
    assert_eq!(
        (a.name, a.series, a.points, a.points_per_series_max),
        ("a", 2, 3, 3)
    );
    let rings = ["1", "2"].map(|id| store.ring(&user("a", id)).unwrap().byte_size());
    assert_eq!((a.bytes, a.metadata), (rings[0] + rings[1], None));
    assert_eq!(
        (described.name, described.series, described.bytes),
        ("described", 0, 0)
    );
}

#[test]
fn a_handle_stays_right_when_its_series_expires_and_its_place_is_another_s() {
    let mut store = Store::default();
    let (mut a, mut b) = (
        SeriesHandle::new(metric("a")),
        SeriesHandle::new(metric("b")),
    );
    store.append_by(&mut a, 1, 1.0).unwrap();
    store.append_by(&mut a, 2, 2.0).unwrap();
    store.expire(2, 0);
    store.append_by(&mut b, 1, 9.0).unwrap();
    assert_eq!(a.place, b.place);
    store.append_by(&mut a, 1, 3.0).unwrap();
    let held = |store: &Store, name| {
        store
            .ring(&metric(name))
            .unwrap()
            .points()
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (held(&store, "a"), held(&store, "b")),
        ([(1, 3.0)].into(), [(1, 9.0)].into())
    );
    // Also in another store, with other series at the same places.
    let mut other = Store::default();
    other.append(&metric("c"), 1, 1.0).unwrap();
    other.append_by(&mut b, 5, 5.0).unwrap();
    store.append_by(&mut b, 2, 8.0).unwrap();
    assert_eq!(held(&other, "b"), [(5, 5.0)]);
    assert_eq!(held(&store, "b"), [(1, 9.0), (2, 8.0)]);
}

#[test]
fn a_handle_that_was_refused_tries_again() {
    let mut store = small(1, 100);
    store.append(&metric("a"), 1, 1.0).unwrap();
    let mut b = SeriesHandle::new(metric("b"));
    assert!(store.append_by(&mut b, 1, 1.0).is_err());
    store.expire(1, 0);
    assert_eq!(store.append_by(&mut b, 2, 1.0), Ok(()));
    assert!(store.append_by(&mut b, 1, 1.0).is_err());
    assert_eq!(
        (store.refused().series_limit, store.refused().out_of_order),
        (1, 1)
    );
}
