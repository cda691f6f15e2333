//! Rings beside plain lists, and at the ends of what they hold.

use super::*;
use crate::stale::stale_marker;
use alloc::vec::Vec;
use proptest::prelude::*;

fn ring(points: &[(i64, f64)]) -> Ring {
    let mut ring = Ring::new(100);
    for &(t_ms, value) in points {
        ring.push(t_ms, value).unwrap();
    }
    ring
}

#[test]
fn an_older_point_is_out_of_order_and_changes_nothing() {
    let mut ring = ring(&[(10, 1.0), (20, 2.0)]);
    let refused = Err(AppendError::OutOfOrder {
        t_ms: 19,
        newest_ms: 20,
    });
    assert_eq!(ring.push(19, 3.0), refused);
    assert_eq!(ring.push(21, 3.0), Ok(()));
    assert_eq!(ring.len(), 3);
}

#[test]
fn a_repeated_point_is_accepted_and_kept_once() {
    let mut ring = ring(&[(10, f64::NAN)]);
    assert_eq!(ring.push(10, f64::NAN), Ok(()));
    assert_eq!(ring.len(), 1);
}

#[test]
fn another_value_at_the_newest_time_is_a_duplicate() {
    let mut ring = ring(&[(10, 0.0)]);
    for value in [1.0, -0.0, f64::NAN] {
        assert_eq!(
            ring.push(10, value),
            Err(AppendError::Duplicate { t_ms: 10 })
        );
    }
    assert_eq!(ring.newest(), Some((10, 0.0)));
}

#[test]
fn the_limit_is_reached_and_never_passed() {
    let mut ring = Ring::new(3);
    for t_ms in 0..3 {
        ring.push(t_ms, 0.0).unwrap();
    }
    assert_eq!((ring.len(), ring.oldest()), (3, Some((0, 0.0))));
    ring.push(3, 0.0).unwrap();
    assert_eq!((ring.len(), ring.oldest()), (3, Some((1, 0.0))));
}

#[test]
fn a_limit_of_zero_is_one() {
    let mut ring = Ring::new(0);
    ring.push(1, 1.0).unwrap();
    ring.push(2, 2.0).unwrap();
    assert_eq!(
        (ring.capacity(), ring.len(), ring.newest()),
        (1, 1, Some((2, 2.0)))
    );
}

#[test]
fn a_full_ring_takes_a_fraction_of_its_points() {
    let mut ring = Ring::default();
    for t_ms in 0..10_000 {
        ring.push(t_ms, (t_ms % 7) as f64).unwrap();
    }
    assert_eq!(ring.len(), POINTS_PER_SERIES_MAX);
    assert_eq!(ring.oldest(), Some((4_240, 5.0)));
    let points: Vec<_> = ring.points().map(|(t_ms, _)| t_ms).collect();
    assert_eq!(points, (4_240..10_000).collect::<Vec<_>>());
    assert!(ring.byte_size() < POINTS_PER_SERIES_MAX * 16 / 10);
}

#[test]
fn the_look_back_is_open_on_the_left_and_closed_on_the_right() {
    let ring = ring(&[(1_000, 1.0)]);
    assert_eq!(ring.at(999, 300), None);
    assert_eq!(ring.at(1_000, 300), Some((1_000, 1.0)));
    assert_eq!(ring.at(1_299, 300), Some((1_000, 1.0)));
    assert_eq!(ring.at(1_300, 300), None);
}

#[test]
fn a_look_back_of_one_sees_only_its_instant_and_of_zero_nothing() {
    let ring = ring(&[(1_000, 1.0)]);
    assert_eq!(ring.at(1_000, 1), Some((1_000, 1.0)));
    for lookback_ms in [0, -1, i64::MIN] {
        assert_eq!(ring.at(1_000, lookback_ms), None);
    }
}

#[test]
fn a_stale_marker_ends_the_series_until_the_next_point() {
    let ring = ring(&[(10, 1.0), (20, stale_marker()), (30, 3.0)]);
    assert_eq!(ring.at(19, 100), Some((10, 1.0)));
    assert_eq!(ring.at(20, 100), None);
    assert_eq!(ring.at(29, 100), None);
    assert_eq!(ring.at(30, 100), Some((30, 3.0)));
}

#[test]
fn an_ordinary_nan_is_a_value() {
    let ring = ring(&[(10, f64::NAN)]);
    assert!(ring.at(10, 100).unwrap().1.is_nan());
    assert_eq!(ring.window(0, 10).count(), 1);
}

#[test]
fn a_window_is_open_on_the_left_and_closed_on_the_right() {
    let ring = ring(&[(10, 1.0), (20, stale_marker()), (30, 3.0), (40, 4.0)]);
    let times = |start, end| ring.window(start, end).map(|(t, _)| t).collect::<Vec<_>>();
    assert_eq!(times(9, 39), [10, 30]);
    assert_eq!(times(10, 40), [30, 40]);
    assert_eq!(times(30, 30), []);
    assert_eq!(times(40, 10), []);
    assert_eq!(ring.window(0, 100).next_back(), Some((40, 4.0)));
}

#[test]
fn the_ends_of_time_do_not_overflow() {
    let ring = ring(&[(i64::MIN, 1.0), (i64::MAX, 2.0)]);
    assert_eq!(ring.at(i64::MIN, i64::MAX), Some((i64::MIN, 1.0)));
    assert_eq!(ring.at(i64::MAX - 1, i64::MAX), None);
    assert_eq!(ring.at(-2, i64::MAX), Some((i64::MIN, 1.0)));
    assert_eq!(ring.at(-1, i64::MAX), None);
    assert_eq!(
        ring.window(i64::MIN, i64::MAX).collect::<Vec<_>>(),
        [(i64::MAX, 2.0)]
    );
}

#[test]
fn an_empty_ring_answers_nothing() {
    let ring = Ring::default();
    assert_eq!(
        (ring.newest(), ring.oldest(), ring.at(0, i64::MAX)),
        (None, None, None)
    );
    assert_eq!(ring.window(i64::MIN, i64::MAX).next(), None);
}

fn time() -> impl Strategy<Value = i64> {
    prop_oneof![8 => -20_i64..60, 1 => Just(i64::MIN), 1 => Just(i64::MAX)]
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![Just(1.0), Just(2.0), Just(f64::NAN), Just(stale_marker())]
}

type Bits = Vec<(i64, u64)>;

fn bits(points: impl Iterator<Item = (i64, f64)>) -> Bits {
    points
        .map(|(t_ms, value)| (t_ms, value.to_bits()))
        .collect()
}

/// The rules once more, over a plain list.
fn naive_push(held: &mut Vec<(i64, f64)>, limit: usize, t_ms: i64, value: f64) -> bool {
    if let Some(&(newest_ms, newest)) = held.last()
        && t_ms <= newest_ms
    {
        return t_ms == newest_ms && value.to_bits() == newest.to_bits();
    }
    held.push((t_ms, value));
    if held.len() > limit {
        held.remove(0);
    }
    true
}

/// Pushes so many that most are sealed, some far apart or refused: decimals of one kind, among which there are none,
/// a few or many that are stale or far from the others.
fn long() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let step = prop_oneof![20 => Just(15), 3 => 10_i64..20, 1 => 0_i64..3_000];
    let regular = prop_oneof![400 => Just(15_i64), 1 => Just(16)];
    let odd = prop_oneof![
        value(),
        (0_u32..40).prop_map(|bits| (1_u64 << bits) as f64 / 8.0)
    ];
    let kind = (
        0_usize..3,
        prop::sample::select(&[0_u32, 8, 600][..]),
        any::<bool>(),
    );
    let points =
        prop::collection::vec((step, regular, 0_i32..1_000, odd, any::<u32>()), 400..1_700);
    (kind, points).prop_map(|((places, rare, is_regular), points)| {
        let mut t_ms = 0;
        let next = |(step, regular, number, odd, chance): (i64, i64, i32, f64, u32)| {
            t_ms += if is_regular { regular } else { step };
            let is_odd = chance.checked_rem(rare) == Some(0);
            let decimal = f64::from(number) / [1.0, 10.0, 100.0][places];
            (t_ms, if is_odd { odd } else { decimal })
        };
        points.into_iter().map(next).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_ring_with_chunks_answers_as_a_list_does(
        pushes in long(),
        limit in prop::sample::select(&[1_usize, 300, 512, 543, 544, 545, 700, 1_100, 5_760][..]),
        marks in prop::collection::vec(any::<prop::sample::Index>(), 8),
        apart in -2_i64..40,
    ) {
        let (mut ring, mut list) = (Ring::new(limit), Vec::new());
        for &(t_ms, value) in &pushes {
            let accepted = naive_push(&mut list, limit, t_ms, value);
            prop_assert_eq!(ring.push(t_ms, value).is_ok(), accepted);
            prop_assert_eq!(ring.len(), list.len());
        }
        let time = |mark: &prop::sample::Index| pushes[mark.index(pushes.len())].0;
        let live = |&(_, value): &(i64, f64)| !is_stale(value);
        for pair in marks.chunks(2) {
            let (from, to) = (time(&pair[0]) + apart, time(&pair[1]));
            let inside = list.iter().copied().filter(|&(t, _)| from < t && t <= to);
            let mut run = Vec::new();
            ring.blocks(from, to, |times, values| {
                assert!(!times.is_empty() && times.len() == values.len());
                run.extend(times.iter().copied().zip(values.iter().copied()));
            });
            prop_assert_eq!(bits(run.into_iter()), bits(inside.clone()));
            prop_assert_eq!(bits(ring.window(from, to)), bits(inside.filter(live)));
            let seen = list.iter().copied().rfind(|&(t, _)| to - 100 < t && t <= to);
            prop_assert_eq!(bits(ring.at(to, 100).into_iter()), bits(seen.into_iter().filter(live)));
        }
        let to = time(&marks[0]) + apart;
        let dropped = ring.drop_before(to);
        let left = list.iter().copied().filter(|&(t, _)| t >= to);
        prop_assert_eq!(dropped, list.len() - left.clone().count());
        prop_assert_eq!((ring.len(), ring.oldest().is_some()), (left.clone().count(), left.clone().next().is_some()));
        prop_assert_eq!(bits(ring.points()), bits(left));
        let (t_ms, before) = (ring.newest().map_or(0, |point| point.0 + 1), ring.len());
        ring.push(t_ms, 1.0).unwrap();
        prop_assert_eq!(ring.newest(), Some((t_ms, 1.0)));
        prop_assert_eq!(ring.len(), (before + 1).min(limit));
    }
}

#[test]
fn points_past_their_age_go_by_whole_chunks() {
    let mut ring = Ring::default().with_age_max_ms(10_000);
    for t_ms in 0..2_000_i64 {
        ring.push(t_ms * 15, 0.0).unwrap();
        let oldest_ms = ring.oldest().unwrap().0;
        assert!(t_ms * 15 - oldest_ms <= 10_000 + 512 * 15);
    }
    ring.push(1_000_000, 0.0).unwrap();
    assert_eq!(ring.points().collect::<Vec<_>>(), [(1_000_000, 0.0)]);
}

proptest! {
    #[test]
    fn a_ring_answers_as_a_list_does(
        pushes in prop::collection::vec((time(), value()), 0..40),
        steps in prop::collection::vec((0_i64..4, value()), 0..40),
        limit in 1_usize..12,
        (from, to) in (time(), time()),
        lookback_ms in prop_oneof![-2_i64..30, Just(i64::MAX)],
    ) {
        let mut rising = -20;
        let rising = steps.into_iter().map(|(step, value)| { rising += step; (rising, value) });
        let (mut ring, mut list) = (Ring::new(limit), Vec::new());
        for (t_ms, value) in rising.chain(pushes) {
            let accepted = naive_push(&mut list, limit, t_ms, value);
            prop_assert_eq!(ring.push(t_ms, value).is_ok(), accepted);
            prop_assert_eq!(bits(ring.points()), bits(list.iter().copied()));
        }
        let live = |&(_, value): &(i64, f64)| !is_stale(value);
        let inside = list.iter().copied().filter(|&(t, _)| from < t && t <= to);
        prop_assert_eq!(bits(ring.window(from, to)), bits(inside.filter(live)));
        let open = i128::from(to) - i128::from(lookback_ms);
        let seen = list.iter().copied().rfind(|&(t, _)| open < i128::from(t) && t <= to);
        prop_assert_eq!(bits(ring.at(to, lookback_ms).into_iter()), bits(seen.into_iter().filter(live)));
        let dropped = ring.drop_before(from);
        let left = list.iter().copied().filter(|&(t, _)| t >= from);
        prop_assert_eq!(dropped, list.len() - left.clone().count());
        prop_assert_eq!(bits(ring.points()), bits(left));
    }
}

#[test]
fn the_newest_points_are_read_as_they_came() {
    for first in [1, 16, 512] {
        let mut ring = Ring::new(700).with_first_chunk(first);
        for nth in 0..1_700_i64 {
            ring.push(nth * 10, nth as f64).unwrap();
            let (mut columns, mut found) = (Columns::default(), Vec::new());
            let start_ms = (nth - KEPT_POINTS as i64) * 10;
            ring.parts(Some(start_ms), nth * 10, &mut columns, |part| match part {
                Part::Points(points) => found.extend_from_slice(points.values()),
                Part::Chunk(_) => panic!("a chunk is read"),
            });
            let kept = (start_ms / 10 + 1).max(0)..=nth;
            assert!(found.iter().copied().eq(kept.map(|nth| nth as f64)));
            assert!(columns.values.is_empty(), "a chunk is decoded");
        }
    }
}

#[test]
fn a_full_ring_loses_a_point_with_each_push() {
    for limit in [1_usize, 20, 40, 544, 545, 600, 1_056] {
        let mut ring = Ring::new(limit).with_first_chunk(8);
        for t_ms in 0..2_500_i64 {
            ring.push(t_ms, 0.5).unwrap();
            let held = limit.min(t_ms as usize + 1);
            assert_eq!(ring.len(), held);
            // Decoding all each time takes long.
            if t_ms % 37 == 0 || held < 50 {
                assert_eq!(ring.oldest(), Some((t_ms + 1 - held as i64, 0.5)));
                assert_eq!(ring.points().len(), held);
            }
        }
    }
}

#[test]
fn points_are_dropped_one_by_one_and_by_chunks_whatever_is_past_the_limit() {
    let mut ring = Ring::new(600);
    (0..1_000).for_each(|t_ms| ring.push(t_ms, 1.0).unwrap());
    assert_eq!((ring.len(), ring.oldest()), (600, Some((400, 1.0))));
    ring.drop_oldest();
    assert_eq!((ring.len(), ring.oldest()), (599, Some((401, 1.0))));
    // The one that went left room for this one.
    ring.push(1_000, 1.0).unwrap();
    assert_eq!((ring.len(), ring.oldest()), (600, Some((401, 1.0))));
    ring.drop_chunk();
    assert_eq!((ring.len(), ring.oldest()), (489, Some((512, 1.0))));
    (1_001..1_112).for_each(|t_ms| ring.push(t_ms, 1.0).unwrap());
    assert_eq!((ring.len(), ring.oldest()), (600, Some((512, 1.0))));
}

#[test]
fn a_ring_holds_no_more_points_than_are_counted() {
    assert_eq!(Ring::new(1 << 31).capacity(), 1 << 31);
    assert_eq!(Ring::new((1 << 31) + 1).capacity(), 1 << 31);
}
