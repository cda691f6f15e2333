//! Windows against naive references: one list of points, one loop for each statistic.

use alloc::vec::Vec;
use proptest::prelude::*;

use super::{Moments, Window, correlation, ema};
use crate::chunk::Summary;
use crate::ring::{Columns, Ring};
use crate::stale::{is_stale, stale_marker};

#[test]
fn a_window_is_open_at_its_start_and_closed_at_its_end() {
    let window = Window::ending(10, 4);
    let inside = (0..=20).filter(|&t_ms| window.contains(t_ms));
    assert!(inside.eq(7..=10));
    assert_eq!(window.length_ms(), 4);
}

#[test]
fn the_ends_of_time_do_not_overflow() {
    let window = Window::ending(i64::MIN, u64::MAX);
    assert_eq!(
        (window.start_exclusive_ms, window.length_ms()),
        (i64::MIN, 0)
    );
    let all = Window::ending(i64::MAX, u64::MAX);
    assert_eq!(
        (all.start_exclusive_ms, all.length_ms()),
        (i64::MIN, u64::MAX)
    );
    let none = Window {
        start_exclusive_ms: 1,
        end_inclusive_ms: 0,
    };
    assert_eq!(none.length_ms(), 0);
    assert!(!none.contains(0) && !none.contains(1));
    let ring = ring(&[(i64::MIN + 1, 1.0), (i64::MAX, 2.0)]);
    let totals = ring.totals(all).unwrap();
    assert_eq!(totals.count(), 2);
    assert!(totals.rate(all).unwrap().is_finite());
}

fn ring(points: &[(i64, f64)]) -> Ring {
    let mut ring = Ring::default();
    for &(t_ms, value) in points {
        ring.push(t_ms, value).unwrap();
    }
    ring
}

#[test]
fn no_sample_has_no_totals_and_one_has_no_rate() {
    let window = Window::ending(10_000, 10_000);
    assert!(ring(&[]).totals(window).is_none());
    assert!(ring(&[(0, 1.0), (10_001, 1.0)]).totals(window).is_none());
    assert!(ring(&[(5_000, stale_marker())]).totals(window).is_none());
    let one = ring(&[(5_000, 3.0)]).totals(window).unwrap();
    assert_eq!(
        (one.count(), one.sum(), one.avg(), one.min(), one.max()),
        (1, 3.0, 3.0, 3.0, 3.0)
    );
    assert_eq!(
        (one.first(), one.first_ms(), one.last(), one.last_ms()),
        (3.0, 5_000, 3.0, 5_000)
    );
    assert_eq!(
        (one.rate(window), one.increase(window), one.delta(window)),
        (None, None, None)
    );
}

#[test]
fn a_counter_is_extrapolated_to_edges_that_are_near() {
    // Ten seconds apart, five from either edge.
    let ring = ring(&[(5_000, 100.0), (15_000, 110.0), (25_000, 120.0)]);
    let window = Window::ending(30_000, 30_000);
    let totals = ring.totals(window).unwrap();
    assert_eq!(totals.increase(window), Some(30.0));
    assert_eq!(totals.rate(window), Some(1.0));
    assert_eq!(totals.delta(window), Some(30.0));
}

#[test]
fn an_edge_past_eleven_tenths_of_the_distance_gets_half_of_it() {
    let ring = ring(&[(20_000, 100.0), (30_000, 110.0)]);
    for (end_ms, increase) in [(40_999, 10.0 * 25.999 / 10.0), (41_000, 10.0 * 20.0 / 10.0)] {
        let window = Window {
            start_exclusive_ms: 0,
            end_inclusive_ms: end_ms,
        };
        let found = ring.totals(window).unwrap().increase(window).unwrap();
        // Five seconds before the first sample, as the start is far.
        assert!((found - increase).abs() < 1e-9, "{end_ms}: {found}");
    }
}

#[test]
fn a_counter_is_not_taken_back_past_zero() {
    let window = Window::ending(20_000, 20_000);
    let totals = ring(&[(10_000, 2.0), (20_000, 12.0)])
        .totals(window)
        .unwrap();
    assert_eq!(totals.increase(window), Some(12.0));
    // A gauge is.
    assert_eq!(totals.delta(window), Some(20.0));
}

#[test]
fn restarts_are_made_good_and_a_gauge_knows_none() {
    let points = [(10_000, 5.0), (20_000, 9.0), (30_000, 1.0), (40_000, 4.0)];
    let window = Window::ending(40_000, 30_001);
    let totals = ring(&points).totals(window).unwrap();
    let increase = totals.increase(window).unwrap();
    assert!((increase - 8.0 * 30.001 / 30.0).abs() < 1e-9, "{increase}");
    assert!(totals.delta(window).unwrap() < 0.0);
}

#[test]
fn a_mean_is_finite_though_the_sum_is_not() {
    let huge = [1.5e308, 1.5e308, -1.0e308];
    let points: Vec<_> = (0..1_200)
        .map(|nth| (nth, huge[nth as usize % 3]))
        .collect();
    let totals = ring(&points).totals(Window::ending(1_200, 2_000)).unwrap();
    assert!((totals.avg() / (2.0 / 3.0 * 1e308) - 1.0).abs() < 1e-12);
    let mut with_nan = points.clone();
    with_nan[3].1 = f64::NAN;
    let totals = ring(&with_nan)
        .totals(Window::ending(1_200, 2_000))
        .unwrap();
    assert!(totals.avg().is_nan() && totals.sum().is_nan());
    let mut with_infinity = points;
    with_infinity[3].1 = f64::INFINITY;
    let totals = ring(&with_infinity)
        .totals(Window::ending(1_200, 2_000))
        .unwrap();
    assert_eq!(totals.avg(), f64::INFINITY);
}

#[test]
fn of_a_chunk_inside_only_the_summary_is_read() {
    let points: Vec<_> = (0..512 * 4).map(|nth| (nth * 10, nth as f64)).collect();
    let ring = ring(&points);
    let (mut decoded, mut edge) = (0, Columns::default());
    ring.parts(Some(0), 512 * 30 + 5, &mut edge, |part| {
        decoded += u32::from(!matches!(part, crate::ring::Part::Chunk(_)));
    });
    assert_eq!(
        decoded, 2,
        "the first chunk lacks its first point, and the last most"
    );
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        12 => (-20_i32..60).prop_map(f64::from),
        1 => prop_oneof![
            Just(f64::NAN),
            Just(stale_marker()),
            Just(f64::INFINITY),
            Just(f64::NEG_INFINITY)
        ],
    ]
}

/// Pushes of which some come late or twice, after a run of regular ones that may fill chunks.
fn pushes() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let run = prop_oneof![3 => Just(0_i64), 1 => 0_i64..1_200];
    let rest = prop::collection::vec((-2_i64..40, value()), 0..60);
    (run, rest, any::<bool>()).prop_map(|(run, rest, plain)| {
        let mut points: Vec<_> = (0..run)
            .map(|nth| {
                (
                    nth * 10,
                    if plain || nth % 97 > 0 {
                        (nth % 50) as f64
                    } else {
                        stale_marker()
                    },
                )
            })
            .collect();
        let mut t_ms = run * 10;
        for (step, value) in rest {
            t_ms += step;
            points.push((t_ms, value));
        }
        points
    })
}

/// What a ring keeps of pushes: those that are newer than all before.
fn kept(pushes: &[(i64, f64)]) -> (Ring, Vec<(i64, f64)>) {
    let (mut ring, mut list) = (Ring::default(), Vec::<(i64, f64)>::new());
    for &(t_ms, value) in pushes {
        let _ = ring.push(t_ms, value);
        if list.last().is_none_or(|newest| newest.0 < t_ms) {
            list.push((t_ms, value));
        }
    }
    (ring, list)
}

fn same(a: f64, b: f64) -> bool {
    a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

/// Prometheus' rule step by step, as its documentation and engine have it.
fn naive_rate(points: &[(i64, f64)], window: Window, is_counter: bool) -> Option<f64> {
    let (&(first_ms, first), &(last_ms, last)) = (points.first()?, points.last()?);
    if points.len() < 2 {
        return None;
    }
    let mut result = last - first;
    if is_counter {
        let falls = points.windows(2).filter(|pair| pair[1].1 < pair[0].1);
        falls.for_each(|pair| result += pair[0].1);
    }
    let mut to_start = (first_ms - window.start_exclusive_ms) as f64 / 1_000.0;
    let mut to_end = (window.end_inclusive_ms - last_ms) as f64 / 1_000.0;
    let sampled = (last_ms - first_ms) as f64 / 1_000.0;
    let average = sampled / (points.len() - 1) as f64;
    if to_start >= average * 1.1 {
        to_start = average / 2.0;
    }
    if is_counter && result > 0.0 && first >= 0.0 && sampled * (first / result) < to_start {
        to_start = sampled * (first / result);
    }
    if to_end >= average * 1.1 {
        to_end = average / 2.0;
    }
    Some(result * ((sampled + to_start + to_end) / sampled))
}

proptest! {
    #[test]
    fn totals_are_what_one_loop_would_say(
        pushes in pushes(),
        (end_ms, length_ms) in (-50_i64..13_000, 1_u64..14_000),
    ) {
        let (ring, list) = kept(&pushes);
        let newest_ms = list.last().map_or(0, |point| point.0);
        for end_ms in [end_ms, newest_ms, newest_ms + 7] {
            let window = Window::ending(end_ms, length_ms);
            let live: Vec<_> = list
                .iter()
                .copied()
                .filter(|&(t_ms, value)| window.contains(t_ms) && !is_stale(value))
                .collect();
            let totals = ring.totals(window);
            prop_assert_eq!(totals.is_some(), !live.is_empty());
            let Some(totals) = totals else { continue };
            let values = || live.iter().map(|point| point.1);
            prop_assert_eq!(totals.count(), live.len() as u64);
            let sum: f64 = values().sum();
            prop_assert!(same(totals.sum(), sum), "{} {}", totals.sum(), sum);
            prop_assert!(same(totals.avg(), sum / live.len() as f64));
            prop_assert!(same(totals.min(), values().fold(f64::NAN, f64::min)));
            prop_assert!(same(totals.max(), values().fold(f64::NAN, f64::max)));
            prop_assert!(same(totals.first(), live[0].1) && totals.first_ms() == live[0].0);
            let last = live[live.len() - 1];
            prop_assert!(same(totals.last(), last.1) && totals.last_ms() == last.0);
            let seconds = window.length_ms() as f64 / 1_000.0;
            let told = [totals.increase(window), totals.rate(window), totals.delta(window)];
            let increase = naive_rate(&live, window, true);
            let naive = [increase, increase.map(|increase| increase / seconds), naive_rate(&live, window, false)];
            for (told, naive) in told.into_iter().zip(naive) {
                prop_assert_eq!(told.is_some(), naive.is_some());
                if let (Some(told), Some(naive)) = (told, naive) {
                    prop_assert!(same(told, naive), "{} {} {:?}", told, naive, live);
                }
            }
        }
    }

    #[test]
    fn moments_in_any_slices_are_those_of_all(
        values in prop::collection::vec(value(), 0..200),
        offset in prop_oneof![Just(0.0), Just(1e9)],
        at in any::<prop::sample::Index>(),
    ) {
        let values: Vec<_> = values
            .into_iter()
            .map(|value| if is_stale(value) { value } else { value + offset })
            .collect();
        let (front, back) = values.split_at(at.index(values.len() + 1));
        let (mut both, mut other) = (Moments::default(), Moments::default());
        both.add(front);
        other.add(back);
        both.merge(&other);
        let live: Vec<_> = values.iter().copied().filter(|&value| !is_stale(value)).collect();
        let count = live.len() as f64;
        let mean = live.iter().sum::<f64>() / count;
        let variance = live.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count;
        prop_assert_eq!(both.stdvar().is_some(), !live.is_empty());
        if let (Some(stdvar), Some(stddev)) = (both.stdvar(), both.stddev()) {
            // A NaN or an infinity among them: no deviation.
            if variance.is_finite() {
                prop_assert!((stdvar - variance).abs() <= 1e-6 * variance, "{} {}", stdvar, variance);
                prop_assert!(same(stddev * stddev, stdvar));
            } else {
                prop_assert!(stdvar.is_nan() && stddev.is_nan());
            }
        }
    }

    #[test]
    fn equal_values_do_not_deviate(value in -1e9..1e9_f64, counts in prop::collection::vec(1_usize..50, 1..5)) {
        let mut moments = Moments::default();
        for count in counts {
            moments.add(&alloc::vec![value; count]);
        }
        prop_assert_eq!(moments.stddev(), Some(0.0));
    }

    #[test]
    fn an_ema_weighs_each_sample_by_its_age(
        points in prop::collection::vec((1_i64..5_000, -100.0..100.0_f64), 1..20),
        half_life_ms in 1_u64..20_000,
    ) {
        let mut t_ms = 0;
        let points: Vec<_> = points.into_iter().map(|(step, value)| { t_ms += step; (t_ms, value) }).collect();
        let (times_ms, values): (Vec<_>, Vec<_>) = points.iter().copied().unzip();
        // The closed form: a sample has the weight that its half-lives of age leave of its own share.
        let left = |from_ms: i64, to_ms: i64| libm::exp2(-((to_ms - from_ms) as f64) / half_life_ms as f64);
        let newest_ms = times_ms[times_ms.len() - 1];
        let mut expected = 0.0;
        for (nth, &(t_ms, value)) in points.iter().enumerate() {
            let share = if nth == 0 { 1.0 } else { 1.0 - left(times_ms[nth - 1], t_ms) };
            expected += value * share * left(t_ms, newest_ms);
        }
        let found = ema(&times_ms, &values, half_life_ms).unwrap();
        prop_assert!((found - expected).abs() < 1e-9, "{} {}", found, expected);
    }

    #[test]
    fn correlation_is_pearsons_over_equal_times(
        one in prop::collection::vec((1_i64..3, -50_i32..50), 0..40),
        other in prop::collection::vec((1_i64..3, -50_i32..50), 0..40),
        far in prop_oneof![Just(0.0), Just(1e8)],
        window in (0_i64..60, 1_u64..70),
    ) {
        let made = |steps: &[(i64, i32)]| {
            let mut t_ms = 0;
            steps.iter().map(|&(step, value)| { t_ms += step; (t_ms, f64::from(value) + far) }).collect::<Vec<_>>()
        };
        let (one, other) = (made(&one), made(&other));
        let window = Window::ending(window.0, window.1);
        let pairs: Vec<(f64, f64)> = one
            .iter()
            .filter(|point| window.contains(point.0))
            .filter_map(|point| Some((point.1, other.iter().find(|other| other.0 == point.0)?.1)))
            .collect();
        let found = correlation(&ring(&one), &ring(&other), window);
        prop_assert_eq!(found.is_some(), pairs.len() > 1);
        let Some(found) = found else { return Ok(()) };
        // Whole numbers, so these sums are exact once the offset is gone.
        let count = pairs.len() as f64;
        let x = |pair: &(f64, f64)| pair.0 - far;
        let y = |pair: &(f64, f64)| pair.1 - far;
        let total = |of: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>();
        let xy = count * total(&|pair| x(pair) * y(pair)) - total(&x) * total(&y);
        let xx = count * total(&|pair| x(pair) * x(pair)) - total(&x) * total(&x);
        let yy = count * total(&|pair| y(pair) * y(pair)) - total(&y) * total(&y);
        if xx == 0.0 || yy == 0.0 {
            prop_assert!(found.is_nan());
        } else {
            let expected = xy / libm::sqrt(xx * yy);
            prop_assert!((found - expected).abs() < 1e-6, "{} {}", found, expected);
        }
    }
}

#[test]
fn a_nan_or_an_infinity_leaves_no_correlation() {
    for odd in [f64::NAN, f64::INFINITY] {
        let one = ring(&[(1, 1.0), (2, odd), (3, 3.0)]);
        let other = ring(&[(1, 1.0), (2, 2.0), (3, 4.0)]);
        assert!(
            correlation(&one, &other, Window::ending(3, 10))
                .unwrap()
                .is_nan()
        );
    }
    let (one, other) = (
        ring(&[(1, 1.0), (2, stale_marker())]),
        ring(&[(1, 1.0), (2, 2.0)]),
    );
    assert_eq!(correlation(&one, &other, Window::ending(3, 10)), None);
}

#[test]
fn an_ema_passes_stale_markers_over_and_stays_nan() {
    let times_ms = [0, 1_000, 2_000];
    assert_eq!(
        ema(&times_ms, &[0.0, stale_marker(), 4.0], 2_000),
        Some(2.0)
    );
    assert!(
        ema(&times_ms, &[0.0, f64::NAN, 4.0], 2_000)
            .unwrap()
            .is_nan()
    );
    assert_eq!(ema(&[], &[], 1), None);
    assert_eq!(ema(&times_ms, &[stale_marker(); 3], 1), None);
    assert_eq!(
        ema(&times_ms, &[1.0, 2.0, 3.0], 0),
        Some(3.0),
        "of no half-life only the last is left"
    );
}

#[test]
fn a_summary_and_a_windows_totals_agree() {
    let values: Vec<_> = (0..512).map(|nth| f64::from(nth * 7 % 100)).collect();
    let points: Vec<_> = values
        .iter()
        .enumerate()
        .map(|(nth, &value)| (nth as i64, value))
        .collect();
    let (summary, totals) = (
        Summary::of(&values),
        ring(&points).totals(Window::ending(600, 700)).unwrap(),
    );
    assert_eq!(
        (summary.sum, summary.min, summary.max),
        (totals.sum(), totals.min(), totals.max())
    );
    assert_eq!(
        summary.last - summary.first + summary.fallen,
        totals.counted()
    );
}
