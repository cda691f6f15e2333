//! Rings: the newest points of one series, as plain columns.
//!
//! The invariant: timestamps rise strictly, and there are never more points than the ring's limit.

use alloc::collections::VecDeque;

use crate::error::AppendError;
use crate::stale::is_stale;

/// How many points a ring holds unless told otherwise: 24 h of a sample every 15 s.
pub const POINTS_PER_SERIES_MAX: usize = 5_760;

/// The newest points of one series: times in Unix milliseconds, values as `f64`.
///
/// Stale markers are stored as any value is, bits and all; [`at`](Self::at) and [`window`](Self::window) give them
/// their meaning. Once full, a point pushed drives out the oldest.
///
/// ```
/// let mut ring = tidegate_series::Ring::new(2);
/// for (t_ms, value) in [(1_000, 1.0), (2_000, 2.0), (3_000, 3.0)] {
///     ring.push(t_ms, value)?;
/// }
/// assert_eq!(ring.oldest(), Some((2_000, 2.0)));
/// assert_eq!(ring.at(3_500, 1_000), Some((3_000, 3.0)));
/// assert_eq!(ring.window(2_000, 3_000).collect::<Vec<_>>(), [(3_000, 3.0)]);
/// # Ok::<(), tidegate_series::AppendError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Ring {
    times_ms: VecDeque<i64>,
    values: VecDeque<f64>,
    points_max: usize,
}

/// What a [`Ring`] takes beside its columns on a 64-bit machine; told so on every target.
const RING_BYTES: usize = 72;
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Ring>() == RING_BYTES);

impl Default for Ring {
    /// An empty ring of [`POINTS_PER_SERIES_MAX`] points.
    fn default() -> Self {
        Self::new(POINTS_PER_SERIES_MAX)
    }
}

impl Ring {
    /// An empty ring of at most `points_max` points; 0 is taken as 1. Memory grows with the points held.
    #[must_use]
    pub fn new(points_max: usize) -> Self {
        Self {
            times_ms: VecDeque::new(),
            values: VecDeque::new(),
            points_max: points_max.max(1),
        }
    }

    /// Adds a point at `t_ms`, any `i64`, with any value.
    ///
    /// The rule for times: newer than the newest is added; equal with a value equal bit for bit is accepted and
    /// changes nothing, so that a repeated delivery does no harm; anything else is refused.
    ///
    /// # Errors
    ///
    /// [`AppendError::OutOfOrder`] for a time before the newest, even one the ring does not hold;
    /// [`AppendError::Duplicate`] for the newest time with another value.
    pub fn push(&mut self, t_ms: i64, value: f64) -> Result<(), AppendError> {
        if !self.accepts(t_ms, value)? {
            return Ok(());
        }
        if self.len() == self.points_max {
            self.drop_oldest();
        }
        self.make_room();
        self.times_ms.push_back(t_ms);
        self.values.push_back(value);
        Ok(())
    }

    /// Whether a push would add a point (`true`) or repeat the newest (`false`).
    pub(crate) fn accepts(&self, t_ms: i64, value: f64) -> Result<bool, AppendError> {
        match self.newest() {
            Some((newest_ms, _)) if t_ms < newest_ms => {
                Err(AppendError::OutOfOrder { t_ms, newest_ms })
            }
            Some((newest_ms, held)) if t_ms == newest_ms => {
                let same = held.to_bits() == value.to_bits();
                if same {
                    Ok(false)
                } else {
                    Err(AppendError::Duplicate { t_ms })
                }
            }
            _ => Ok(true),
        }
    }

    /// Doubles the columns, but never past the limit, which doubling alone would overshoot.
    fn make_room(&mut self) {
        let held = self.len();
        if held == self.times_ms.capacity() || held == self.values.capacity() {
            let more = held
                .clamp(4, POINTS_PER_SERIES_MAX)
                .min(self.points_max - held);
            self.times_ms.reserve_exact(more);
            self.values.reserve_exact(more);
        }
    }

    pub(crate) fn drop_oldest(&mut self) {
        self.times_ms.pop_front();
        self.values.pop_front();
    }

    /// Drops the points before `t_ms` and says how many. A point at `t_ms` stays.
    pub(crate) fn drop_before(&mut self, t_ms: i64) -> usize {
        let count = self.times_ms.partition_point(|&time_ms| time_ms < t_ms);
        self.times_ms.drain(..count);
        self.values.drain(..count);
        count
    }

    /// How many points it holds, stale markers included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.times_ms.len()
    }

    /// Whether it holds no point.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.times_ms.is_empty()
    }

    /// How many points it may hold.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.points_max
    }

    /// The newest point, be it a stale marker.
    #[must_use]
    pub fn newest(&self) -> Option<(i64, f64)> {
        Some((*self.times_ms.back()?, *self.values.back()?))
    }

    /// The oldest point still held, be it a stale marker.
    #[must_use]
    pub fn oldest(&self) -> Option<(i64, f64)> {
        Some((*self.times_ms.front()?, *self.values.front()?))
    }

    /// What an instant selector sees at `t_ms`: the newest point in `(t_ms − lookback_ms, t_ms]`.
    ///
    /// `None` where no point lies there, where the newest one there is a stale marker, and for a `lookback_ms` of 0
    /// or less. The left end is open, as in Prometheus 3. An ordinary NaN is a value and is returned.
    #[must_use]
    pub fn at(&self, t_ms: i64, lookback_ms: i64) -> Option<(i64, f64)> {
        let index = self.first_after(t_ms).checked_sub(1)?;
        let (time_ms, value) = (self.times_ms[index], self.values[index]);
        let lookback_ms = u64::try_from(lookback_ms).unwrap_or(0);
        // The age may exceed an `i64`, never a `u64`.
        let seen = t_ms.abs_diff(time_ms) < lookback_ms && !is_stale(value);
        seen.then_some((time_ms, value))
    }

    /// What a range selector sees: the points in `(start_exclusive_ms, end_inclusive_ms]`, oldest first.
    ///
    /// Stale markers are skipped, other NaNs are values. Nothing for a start at or past the end.
    pub fn window(
        &self,
        start_exclusive_ms: i64,
        end_inclusive_ms: i64,
    ) -> impl DoubleEndedIterator<Item = (i64, f64)> + Clone {
        let first = self.first_after(start_exclusive_ms);
        let end = self.first_after(end_inclusive_ms).max(first);
        let times_ms = self.times_ms.range(first..end);
        let values = self.values.range(first..end);
        times_ms
            .copied()
            .zip(values.copied())
            .filter(|&(_, value)| !is_stale(value))
    }

    /// Every point held, oldest first, stale markers included.
    pub fn points(
        &self,
    ) -> impl DoubleEndedIterator<Item = (i64, f64)> + ExactSizeIterator + Clone {
        self.times_ms
            .iter()
            .copied()
            .zip(self.values.iter().copied())
    }

    fn first_after(&self, t_ms: i64) -> usize {
        self.times_ms.partition_point(|&time_ms| time_ms <= t_ms)
    }

    /// What the ring takes in memory, in bytes, allocator overhead left out; the same on every target.
    #[must_use]
    pub fn byte_size(&self) -> usize {
        let times = self.times_ms.capacity() * size_of::<i64>();
        RING_BYTES + times + self.values.capacity() * size_of::<f64>()
    }
}

#[cfg(test)]
mod tests {
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
    fn columns_do_not_grow_past_the_limit() {
        let mut ring = Ring::default();
        for t_ms in 0..10_000 {
            ring.push(t_ms, 0.0).unwrap();
        }
        assert_eq!(ring.len(), POINTS_PER_SERIES_MAX);
        assert_eq!(ring.byte_size() - RING_BYTES, POINTS_PER_SERIES_MAX * 16);
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
}
