//! Aggregations against a list of samples and one loop for each statistic.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};
use proptest::prelude::*;

use super::limits::STATISTICS_MAX;
use super::{AggregateError, AggregateLimits, AggregateQuery, Group, Grouping, Steps, aggregate};
use crate::labels::Labels;
use crate::matcher::{MatchOp, Matcher};
use crate::quantile::{QuantileMethod, quantiles};
use crate::stale::{is_stale, stale_marker};
use crate::store::Store;
use crate::window::{Moments, Statistic, Window, ema};

const WORDS: [&str; 17] = [
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "stddev",
    "stdvar",
    "first",
    "last",
    "p50",
    "p99.9",
    "nearest_p95",
    "rate",
    "increase",
    "delta",
    "sma",
    "ema",
];

fn labels(name: &str, node: &str) -> Labels {
    Labels::from_pairs([("__name__", name), ("node", node)]).unwrap()
}

fn statistics(words: &[&str]) -> Vec<Statistic> {
    words.iter().map(|word| word.parse().unwrap()).collect()
}

fn query(grouping: Grouping, words: &[&str], steps: Steps, window_ms: u64) -> AggregateQuery {
    AggregateQuery {
        selectors: vec![Vec::new()],
        window_ms,
        steps,
        grouping,
        statistics: statistics(words),
    }
}

fn by(names: &[&str]) -> Grouping {
    Grouping::By(names.iter().map(|&name| name.into()).collect())
}

fn run(store: &Store, query: &AggregateQuery) -> Result<Vec<Group>, AggregateError> {
    aggregate(store, query, &AggregateLimits::default())
}

fn names(groups: &[Group]) -> Vec<String> {
    groups
        .iter()
        .map(|group| group.labels.to_string())
        .collect()
}

/// Three series of two metrics on two nodes, each with one sample a second.
fn small() -> Store {
    let mut store = Store::default();
    for (metric, node, values) in [
        ("load", "a", [1.0, 2.0, 3.0]),
        ("load", "b", [10.0, 20.0, 30.0]),
        ("heat", "a", [50.0, 60.0, 70.0]),
    ] {
        for (second, value) in values.into_iter().enumerate() {
            let t_ms = (second as i64 + 1) * 1_000;
            store.append(&labels(metric, node), t_ms, value).unwrap();
        }
    }
    store
}

#[test]
fn groups_have_the_labels_asked_for_and_stand_in_their_order() {
    let store = small();
    let once = |grouping| query(grouping, &["sum"], Steps::once(3_000), 10_000);
    for (grouping, expected) in [
        (
            Grouping::Series,
            &[
                r#"heat{node="a"}"#,
                r#"load{node="a"}"#,
                r#"load{node="b"}"#,
            ][..],
        ),
        (by(&["__name__"]), &["heat", "load"]),
        (by(&["node"]), &[r#"{node="a"}"#, r#"{node="b"}"#]),
        (by(&["absent"]), &["{}"]),
        (by(&[]), &["{}"]),
        (Grouping::Without(vec!["node".into()]), &["heat", "load"]),
        (
            Grouping::Without(vec!["__name__".into()]),
            &[r#"{node="a"}"#, r#"{node="b"}"#],
        ),
    ] {
        let groups = run(&store, &once(grouping.clone())).unwrap();
        assert_eq!(names(&groups), expected, "{grouping:?}");
    }
    let groups = run(&store, &once(by(&["node"]))).unwrap();
    assert_eq!(groups[0].points[0].values, [Some(186.0)]);
}

#[test]
fn a_series_of_several_selectors_is_counted_once() {
    let store = small();
    let matcher = |name, value| Matcher::new(name, MatchOp::Equal, value).unwrap();
    let mut query = query(by(&[]), &["count"], Steps::once(3_000), 10_000);
    query.selectors = vec![
        vec![matcher("__name__", "load")],
        vec![matcher("node", "a")],
    ];
    assert_eq!(
        run(&store, &query).unwrap()[0].points[0].values,
        [Some(9.0)]
    );
    query.selectors.clear();
    assert_eq!(run(&store, &query), Ok(Vec::new()));
}

#[test]
fn windows_without_samples_are_left_out_and_so_are_groups() {
    let mut store = small();
    store.append(&labels("later", "a"), 60_000, 1.0).unwrap();
    let steps = Steps {
        start_ms: 0,
        end_ms: 5_500,
        step_ms: 1_000,
    };
    let groups = run(
        &store,
        &query(Grouping::Series, &["last", "rate"], steps, 1_000),
    )
    .unwrap();
    assert_eq!(groups.len(), 3);
    let points: Vec<_> = groups[1]
        .points
        .iter()
        .map(|point| (point.end_ms, point.values[0]))
        .collect();
    assert_eq!(
        points,
        [(1_000, Some(1.0)), (2_000, Some(2.0)), (3_000, Some(3.0))]
    );
    assert!(
        groups[1]
            .points
            .iter()
            .all(|point| point.values[1].is_none() && !point.approximate)
    );
}

#[test]
fn with_many_samples_quantiles_are_estimates_and_said_to_be() {
    let mut store = Store::default();
    for t_ms in 0..3_000 {
        store
            .append(&labels("load", "a"), t_ms, (t_ms % 1_000) as f64 + 1.0)
            .unwrap();
        store
            .append(&labels("load", "b"), t_ms, (t_ms % 1_000) as f64 + 1.0)
            .unwrap();
    }
    let query = query(
        by(&[]),
        &["p50", "p99", "count"],
        Steps::once(3_000),
        10_000,
    );
    let limits = AggregateLimits {
        exact_samples_max: 5_999,
        ..AggregateLimits::default()
    };
    let groups = aggregate(&store, &query, &limits).unwrap();
    let point = &groups[0].points[0];
    assert!(point.approximate);
    let near = |value: Option<f64>, exact: f64| (value.unwrap() - exact).abs() <= exact / 128.0;
    assert!(
        near(point.values[0], 500.5) && near(point.values[1], 990.0),
        "{point:?}"
    );
    assert_eq!(point.values[2], Some(6_000.0));
    let exact = run(&store, &query).unwrap();
    assert!(!exact[0].points[0].approximate);
    assert_eq!(exact[0].points[0].values[0], Some(500.5));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let store = small();
    let valid = query(by(&["node"]), &["sum"], Steps::once(3_000), 1);
    let refused = |change: &dyn Fn(&mut AggregateQuery)| {
        let mut query = valid.clone();
        change(&mut query);
        run(&store, &query).unwrap_err()
    };
    let steps = |start_ms, end_ms, step_ms| Steps {
        start_ms,
        end_ms,
        step_ms,
    };
    let name = Box::from("no-name");
    for (error, said) in [
        (
            refused(&|query| query.window_ms = 0),
            "the window has no length",
        ),
        (
            refused(&|query| query.steps = steps(1, 0, 1)),
            "the end 0 ms is before the start 1 ms",
        ),
        (
            refused(&|query| query.steps = steps(0, 1, 0)),
            "the step is 0, and start and end are not the same",
        ),
        (
            refused(&|query| query.statistics.clear()),
            "no statistic is asked for",
        ),
        (
            refused(&|query| query.statistics = vec![Statistic::Sum; STATISTICS_MAX + 1]),
            "33 statistics, the limit is 32",
        ),
        (
            refused(&|query| query.grouping = Grouping::By(vec![Box::clone(&name)])),
            r#"cannot group by "no-name": no label name"#,
        ),
        (
            refused(&|query| query.steps = steps(0, 11_000, 1)),
            "11001 steps, the limit is 11000: take longer ones",
        ),
        (
            refused(&|query| query.steps = steps(i64::MIN, i64::MAX, 1)),
            "18446744073709551615 steps, the limit is 11000: take longer ones",
        ),
    ] {
        assert_eq!(error.to_string(), said);
    }
    assert!(
        run(
            &store,
            &AggregateQuery {
                steps: steps(0, 10_999, 1),
                ..valid
            }
        )
        .is_ok()
    );
}

#[test]
fn every_limit_refuses_one_more() {
    let store = small();
    let query = query(
        Grouping::Series,
        &["sum", "p50"],
        Steps {
            start_ms: 2_000,
            end_ms: 3_000,
            step_ms: 1_000,
        },
        2_000,
    );
    // Three series, three groups, twelve numbers, twelve samples.
    let exact = AggregateLimits {
        series_max: 3,
        groups_max: 3,
        steps_max: 2,
        samples_max: 12,
        results_max: 12,
        exact_samples_max: 0,
    };
    assert!(aggregate(&store, &query, &exact).is_ok());
    for (limits, said) in [
        (
            AggregateLimits {
                series_max: 2,
                ..exact
            },
            "more than 2 series match",
        ),
        (
            AggregateLimits {
                groups_max: 2,
                ..exact
            },
            "more than 2 groups",
        ),
        (
            AggregateLimits {
                steps_max: 1,
                ..exact
            },
            "2 steps, the limit is 1: take longer ones",
        ),
        (
            AggregateLimits {
                samples_max: 11,
                ..exact
            },
            "more than 11 samples would have to be looked at",
        ),
        (
            AggregateLimits {
                results_max: 11,
                ..exact
            },
            "12 results of groups, steps and statistics, the limit is 11",
        ),
    ] {
        assert_eq!(
            aggregate(&store, &query, &limits).unwrap_err().to_string(),
            said
        );
    }
    let grouped = AggregateQuery {
        grouping: by(&["node"]),
        ..query.clone()
    };
    let one = AggregateLimits {
        groups_max: 1,
        ..exact
    };
    assert_eq!(
        aggregate(&store, &grouped, &one),
        Err(AggregateError::GroupLimit { limit: 1 })
    );
    let selectors = vec![Vec::new(), Vec::new()];
    let twice = AggregateQuery { selectors, ..query };
    let two = AggregateLimits {
        series_max: 2,
        ..exact
    };
    assert_eq!(
        aggregate(&store, &twice, &two),
        Err(AggregateError::SeriesLimit { limit: 2 })
    );
}

#[test]
fn every_nan_is_the_same_one() {
    let mut store = Store::default();
    for (t_ms, value) in [(1, -f64::NAN), (2, f64::from_bits(0x7ff8_0000_0000_0123))] {
        store.append(&labels("odd", "a"), t_ms, value).unwrap();
    }
    let words = [
        "first", "last", "sum", "avg", "min", "p50", "stddev", "ema", "rate",
    ];
    let groups = run(&store, &query(by(&[]), &words, Steps::once(2), 10)).unwrap();
    for value in &groups[0].points[0].values {
        assert_eq!(value.unwrap().to_bits(), f64::NAN.to_bits());
    }
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        20 => (-20_i32..60).prop_map(f64::from),
        1 => prop_oneof![Just(f64::NAN), Just(stale_marker()), Just(f64::INFINITY)],
    ]
}

type Points = Vec<(i64, f64)>;

/// A few series: where each begins, and its steps, some of them back or of no time.
fn series() -> impl Strategy<Value = Vec<Points>> {
    let long = prop_oneof![4 => Just(0_usize), 1 => 500_usize..1_100];
    let one = (
        0_i64..50,
        long,
        prop::collection::vec((-1_i64..20, value()), 0..30),
    );
    let one = one.prop_map(|(start, long, steps)| {
        let mut t_ms = start;
        let run = (0..long).map(|nth| (3, (nth % 40) as f64));
        run.chain(steps)
            .map(|(step, value)| {
                t_ms += step;
                (t_ms, value)
            })
            .collect()
    });
    prop::collection::vec(one, 1..5)
}

fn same(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => {
            a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
        }
        _ => a.is_none() && b.is_none(),
    }
}

/// Each statistic of the windows of these series, told apart from each other.
fn naive(series: &[Points], window: Window) -> Vec<Option<f64>> {
    let live: Vec<Points> = series
        .iter()
        .map(|points| {
            points
                .iter()
                .copied()
                .filter(|&(t_ms, value)| window.contains(t_ms) && !is_stale(value))
                .collect()
        })
        .filter(|points: &Points| !points.is_empty())
        .collect();
    let all: Points = live.concat();
    let values: Vec<_> = all.iter().map(|point| point.1).collect();
    let count = values.len() as f64;
    let sum: f64 = values.iter().sum();
    let mut moments = Moments::default();
    moments.add(&values);
    // The first of the oldest, and of the newest.
    let first = all
        .iter()
        .copied()
        .reduce(|best, point| if point.0 < best.0 { point } else { best });
    let last = all
        .iter()
        .copied()
        .reduce(|best, point| if point.0 > best.0 { point } else { best });
    let [p50, p999] = quantiles(&values, [0.5, 99.9 / 100.0], QuantileMethod::Linear);
    let [nearest] = quantiles(&values, [0.95], QuantileMethod::NearestRank);
    let rings: Vec<_> = live
        .iter()
        .map(|points| {
            let mut store = Store::default();
            let own = labels("one", "a");
            points
                .iter()
                .for_each(|&(t_ms, value)| store.append(&own, t_ms, value).unwrap());
            store.ring(&own).unwrap().totals(window).unwrap()
        })
        .collect();
    let added = |of: &dyn Fn(&crate::window::Totals) -> Option<f64>| {
        rings.iter().filter_map(of).reduce(|a, b| a + b)
    };
    let mean = |of: &dyn Fn(&Points) -> f64| live.iter().map(of).sum::<f64>() / live.len() as f64;
    let own_mean =
        |points: &Points| points.iter().map(|point| point.1).sum::<f64>() / points.len() as f64;
    let own_ema = |points: &Points| {
        let (times_ms, values): (Vec<_>, Vec<_>) = points.iter().copied().unzip();
        ema(&times_ms, &values, (window.length_ms() / 4).max(1)).unwrap()
    };
    vec![
        Some(count),
        Some(sum),
        Some(sum / count),
        Some(values.iter().copied().fold(f64::NAN, f64::min)),
        Some(values.iter().copied().fold(f64::NAN, f64::max)),
        moments.stddev(),
        moments.stdvar(),
        first.map(|point| point.1),
        last.map(|point| point.1),
        Some(p50),
        Some(p999),
        Some(nearest),
        added(&|totals| totals.rate(window)),
        added(&|totals| totals.increase(window)),
        added(&|totals| totals.delta(window)),
        Some(mean(&own_mean)),
        Some(mean(&own_ema)),
    ]
}

proptest! {
    #[test]
    fn a_group_is_what_one_loop_over_its_samples_would_say(
        series in series(),
        window_ms in prop_oneof![1_u64..60, 500_u64..4_000],
        (start_ms, step_ms, count) in (-20_i64..600, 1_u64..300, 0_u64..6),
    ) {
        let mut store = Store::default();
        let mut kept = Vec::new();
        for (nth, points) in series.iter().enumerate() {
            let own = labels("metric", &format!("node-{nth}"));
            let mut list = Points::new();
            for &(t_ms, value) in points {
                let newer = list.last().is_none_or(|newest| newest.0 < t_ms);
                let _ = store.append(&own, t_ms, value);
                if newer {
                    list.push((t_ms, value));
                }
            }
            kept.push(list);
        }
        let end_ms = start_ms + (step_ms * count) as i64;
        let steps = Steps { start_ms, end_ms, step_ms };
        let groups = run(&store, &query(by(&["__name__"]), &WORDS, steps, window_ms)).unwrap();
        let mut points = groups.first().map(|group| group.points.iter()).into_iter().flatten();
        for nth in 0..=count {
            let window = Window::ending(start_ms + (step_ms * nth) as i64, window_ms);
            let any = kept.iter().flatten().any(|&(t_ms, value)| window.contains(t_ms) && !is_stale(value));
            if !any {
                continue;
            }
            let point = points.next().expect("a window with samples is told");
            prop_assert_eq!(point.end_ms, window.end_inclusive_ms);
            for ((word, told), expected) in WORDS.iter().zip(&point.values).zip(naive(&kept, window)) {
                // Deviations of windows with an infinity are NaN or infinite as it comes.
                let odd = word.starts_with("std") && !expected.is_some_and(f64::is_finite);
                prop_assert!(odd || same(*told, expected), "{}: {:?} {:?}", word, told, expected);
            }
        }
        prop_assert!(points.next().is_none());
    }
}
