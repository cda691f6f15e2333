//! When rings seal: those of a store at different times, and all with the same points in the end.

use std::collections::BTreeSet;

use tidegate_series::{Labels, Ring, Store, StoreLimits};

/// How long each run is that a ring hands over: a chunk, or what is not sealed.
fn runs(ring: &Ring) -> Vec<usize> {
    let mut runs = Vec::new();
    ring.blocks(i64::MIN, i64::MAX, |times_ms, _| runs.push(times_ms.len()));
    runs
}

fn filled(mut ring: Ring, points: i64) -> Ring {
    for nth in 0..points {
        let late_ms = if nth % 100 == 50 { 1 } else { 0 };
        ring.push(nth * 15_000 + late_ms, nth as f64 / 4.0).unwrap();
    }
    ring
}

#[test]
fn a_first_chunk_may_be_shorter_and_the_points_are_the_same() {
    let usual = filled(Ring::default(), 1_500);
    // What is not sealed is handed over in two runs: what is narrow, and what is as it came.
    assert_eq!(runs(&usual), [512, 512, 384, 92]);
    for first in [1, 64, 511, 512] {
        let ring = filled(Ring::default().with_first_chunk(first), 1_500);
        assert_eq!(runs(&ring)[..2], [first, 512]);
        assert!(ring.points().eq(usual.points()));
        assert_eq!(ring.newest(), usual.newest());
    }
}

#[test]
fn a_first_chunk_has_a_point_and_no_more_than_any() {
    for (asked, got) in [(0, 1), (9_999, 512)] {
        let ring = filled(Ring::default().with_first_chunk(asked), 600);
        assert_eq!(runs(&ring)[0], got);
    }
}

#[test]
fn the_series_of_a_store_do_not_all_seal_at_once() {
    let mut store = Store::new(StoreLimits::default());
    let labels = |nth: i32| Labels::from_pairs([("__name__", "a"), ("nth", &nth.to_string())]);
    for t_ms in 0..700 {
        for nth in 0..64 {
            store.append(&labels(nth).unwrap(), t_ms, 1.0).unwrap();
        }
    }
    let firsts: BTreeSet<_> = store.select(&[]).map(|(_, ring)| runs(ring)[0]).collect();
    assert!(firsts.into_iter().eq((1..=32).map(|group| group * 16)));
}

#[test]
fn a_point_that_comes_on_time_is_held_to_the_same_rules() {
    let mut ring = filled(Ring::new(20), 15);
    let newest = ring.newest().unwrap();
    assert!(ring.push(newest.0 - 15_000, 1.0).is_err());
    assert!(ring.push(newest.0, 7.5).is_err());
    assert!(ring.push(newest.0, newest.1).is_ok());
    for nth in 15..60 {
        ring.push(nth * 15_000, 0.0).unwrap();
        assert_eq!(ring.len(), 20.min(nth as usize + 1));
        assert_eq!(ring.newest(), Some((nth * 15_000, 0.0)));
    }
    assert_eq!(ring.oldest(), Some((40 * 15_000, 0.0)));
}
