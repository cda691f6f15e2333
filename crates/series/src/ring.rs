//! Rings: the newest points of one series, the older of them in chunks.
//!
//! The invariant: times rise strictly, from the chunks' to the tail's; there are never more points than the ring's
//! limit; and only of the oldest chunk may points have been dropped.

mod parts;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

pub(crate) use parts::{Columns, Part, Points};

use crate::chunk::{CHUNK_BYTES, CHUNK_POINTS, Chunk, TimesPool};
use crate::error::AppendError;
use crate::stale::is_stale;
use crate::tail::Tail;

/// How many points a ring holds unless told otherwise: 24 h of a sample every 15 s.
pub const POINTS_PER_SERIES_MAX: usize = 5_760;

/// The newest points of one series: times in Unix milliseconds, values as `f64`.
///
/// Every 512 points are sealed into a [`Chunk`]; what came since is held as it is. Stale markers are stored as any
/// value is, bits and all; [`at`](Self::at) and [`window`](Self::window) give them their meaning. Once full, a point
/// pushed drives out the oldest.
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
    chunks: VecDeque<Chunk>,
    tail: Tail,
    /// The newest point of those that no longer are in the tail, if the tail is empty.
    sealed_newest: Option<(i64, f64)>,
    points_max: usize,
    age_max_ms: u64,
    /// How many points the chunks hold, without those dropped.
    sealed: usize,
    /// How many points of the oldest chunk are dropped: fewer than it has.
    dropped: usize,
    /// What the chunks take.
    sealed_bytes: usize,
    /// How many points that come on time can be added before there is anything else to do.
    on_time: u32,
    /// At how many points the tail is sealed next.
    seal_at: u32,
}

/// By how many chunks the memory for them grows.
const CHUNKS_GROWTH: usize = 2;

/// What a [`Ring`] takes beside its columns on a 64-bit machine; told so on every target.
const RING_BYTES: usize = 192;
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Ring>() == RING_BYTES);

impl Default for Ring {
    /// An empty ring of [`POINTS_PER_SERIES_MAX`] points of any age.
    fn default() -> Self {
        Self::new(POINTS_PER_SERIES_MAX)
    }
}

impl Ring {
    /// An empty ring of at most `points_max` points, of any age; 0 is taken as 1. Memory grows with the points held.
    #[must_use]
    pub fn new(points_max: usize) -> Self {
        Self {
            chunks: VecDeque::new(),
            tail: Tail::default(),
            sealed_newest: None,
            points_max: points_max.max(1),
            age_max_ms: u64::MAX,
            sealed: 0,
            dropped: 0,
            sealed_bytes: 0,
            on_time: 0,
            seal_at: CHUNK_POINTS as u32,
        }
    }

    /// The ring with a first chunk of fewer points, 1 to 512. Where many rings are filled together this spreads when
    /// they seal, which takes some time, and what they hold at once that is not sealed.
    #[must_use]
    pub fn with_first_chunk(mut self, points: usize) -> Self {
        self.seal_at = points.clamp(1, CHUNK_POINTS) as u32;
        self
    }

    /// The ring with a limit to the age of its points, in milliseconds before the newest: a point that is older goes
    /// at the next push. Points go by whole chunks, so that up to 511 older ones may stay for a while.
    #[must_use]
    pub const fn with_age_max_ms(mut self, age_max_ms: u64) -> Self {
        self.age_max_ms = age_max_ms;
        self
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
        self.push_sharing(t_ms, value, &mut TimesPool::default())
    }

    /// As [`push`](Self::push), where several rings share one pool: what is sealed has its times from there if they are
    /// in it, which saves the memory for them and the time to encode them.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub fn push_sharing(
        &mut self,
        t_ms: i64,
        value: f64,
        pool: &mut TimesPool,
    ) -> Result<(), AppendError> {
        if self.on_time > 0 && self.tail.is_next(t_ms) {
            self.on_time -= 1;
            self.tail.push_next(t_ms, value);
            return Ok(());
        }
        self.push_apart(t_ms, value, pool)
    }

    // Apart, so that a push of a point that comes on time is short: nearly all do.
    #[inline(never)]
    fn push_apart(
        &mut self,
        t_ms: i64,
        value: f64,
        pool: &mut TimesPool,
    ) -> Result<(), AppendError> {
        if !self.accepts(t_ms, value)? {
            return Ok(());
        }
        if self.len() == self.points_max {
            self.drop_oldest();
        }
        self.tail.push(t_ms, value);
        if self.tail.len() >= self.seal_at as usize {
            self.seal(pool);
        }
        if self.age_max_ms < u64::MAX {
            self.drop_aged(t_ms);
        } else {
            let room = self.seal_at as usize - self.tail.len() - 1;
            let room = room.min(self.points_max - self.len());
            self.on_time = room.min(self.tail.room_on_time()) as u32;
        }
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

    fn seal(&mut self, pool: &mut TimesPool) {
        let count = self.tail.len();
        let (times, owns_times) = pool.share_tail(&self.tail);
        let chunk = Chunk::of(times, owns_times, self.tail.values());
        self.sealed += count;
        self.sealed_bytes += chunk.byte_size();
        if self.chunks.len() == self.chunks.capacity() {
            self.chunks.reserve_exact(CHUNKS_GROWTH);
        }
        self.chunks.push_back(chunk);
        self.sealed_newest = self.tail.last();
        self.tail.clear();
        self.seal_at = CHUNK_POINTS as u32;
    }

    #[inline(never)]
    fn drop_aged(&mut self, newest_ms: i64) {
        let age_max_ms = self.age_max_ms;
        let aged = |t_ms: i64| newest_ms.abs_diff(t_ms) > age_max_ms;
        let whole = self.chunks.iter().take_while(|chunk| aged(chunk.last_ms()));
        for _ in 0..whole.count() {
            self.drop_chunk();
        }
        if self.chunks.is_empty() {
            let aged = |&nth: &usize| self.tail.point(nth).is_some_and(|point| aged(point.0));
            let count = (0..self.tail.len()).take_while(aged).count();
            self.tail.drop_oldest(count);
            self.on_time = 0;
        }
    }

    /// Drops the oldest chunk, or if there is none, the oldest point.
    pub(crate) fn drop_chunk(&mut self) {
        match self.chunks.pop_front() {
            Some(chunk) => {
                self.sealed -= chunk.len() - self.dropped;
                self.sealed_bytes -= chunk.byte_size();
                self.dropped = 0;
                self.forget();
            }
            None => self.drop_tail(1),
        }
    }

    #[inline(never)]
    pub(crate) fn drop_oldest(&mut self) {
        match self.chunks.front() {
            Some(chunk) if self.dropped + 1 < chunk.len() => {
                self.dropped += 1;
                self.sealed -= 1;
            }
            _ => self.drop_chunk(),
        }
    }

    fn drop_tail(&mut self, count: usize) {
        self.tail.drop_oldest(count);
        self.on_time = 0;
        self.forget();
    }

    /// Drops the points before `t_ms` and says how many. A point at `t_ms` stays.
    pub(crate) fn drop_before(&mut self, t_ms: i64) -> usize {
        let held = self.len();
        let whole = self
            .chunks
            .iter()
            .take_while(|chunk| chunk.last_ms() < t_ms);
        for _ in 0..whole.count() {
            self.drop_chunk();
        }
        if let Some(chunk) = self.chunks.front() {
            if chunk.first_ms() < t_ms {
                let mut times_ms = Vec::new();
                chunk.times_into(&mut times_ms);
                let before = times_ms.partition_point(|&time_ms| time_ms < t_ms);
                self.sealed -= before.saturating_sub(self.dropped);
                self.dropped = self.dropped.max(before);
            }
        } else if let Some(last_ms) = t_ms.checked_sub(1) {
            self.drop_tail(self.tail.count_to(last_ms));
        }
        held - self.len()
    }

    /// An emptied ring takes any time again.
    fn forget(&mut self) {
        if self.is_empty() {
            self.sealed_newest = None;
        }
    }

    /// How many points it holds, stale markers included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sealed + self.tail.len()
    }

    /// Whether it holds no point.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many points it may hold.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.points_max
    }

    /// The newest point, be it a stale marker.
    #[must_use]
    pub fn newest(&self) -> Option<(i64, f64)> {
        self.tail.last().or(self.sealed_newest)
    }

    /// The oldest point still held, be it a stale marker.
    #[must_use]
    pub fn oldest(&self) -> Option<(i64, f64)> {
        self.points().next()
    }

    /// What an instant selector sees at `t_ms`: the newest point in `(t_ms − lookback_ms, t_ms]`.
    ///
    /// `None` where no point lies there, where the newest one there is a stale marker, and for a `lookback_ms` of 0
    /// or less. The left end is open, as in Prometheus 3. An ordinary NaN is a value and is returned.
    #[must_use]
    pub fn at(&self, t_ms: i64, lookback_ms: i64) -> Option<(i64, f64)> {
        let (time_ms, value) = self.newest_to(t_ms)?;
        let lookback_ms = u64::try_from(lookback_ms).unwrap_or(0);
        // The age may exceed an `i64`, never a `u64`.
        let seen = t_ms.abs_diff(time_ms) < lookback_ms && !is_stale(value);
        seen.then_some((time_ms, value))
    }

    /// The newest point at or before `t_ms`.
    fn newest_to(&self, t_ms: i64) -> Option<(i64, f64)> {
        let newest = self.newest();
        if let Some((newest_ms, _)) = newest
            && newest_ms <= t_ms
        {
            return newest;
        }
        if let Some(nth) = self.tail.count_to(t_ms).checked_sub(1) {
            return self.tail.point(nth);
        }
        let after = |chunk: &Chunk| chunk.first_ms() <= t_ms;
        let nth = self.chunks.partition_point(after).checked_sub(1)?;
        let (mut times_ms, mut values) = (Vec::new(), Vec::new());
        self.chunks[nth].decode_into(&mut times_ms, &mut values);
        let at = times_ms.partition_point(|&time_ms| time_ms <= t_ms) - 1;
        let dropped = nth == 0 && at < self.dropped;
        (!dropped).then(|| (times_ms[at], values[at]))
    }

    /// What a range selector sees: the points in `(start_exclusive_ms, end_inclusive_ms]`, oldest first.
    ///
    /// Stale markers are skipped, other NaNs are values. Nothing for a start at or past the end. All of them are
    /// decoded when it is called; [`blocks`](Self::blocks) holds one chunk at a time.
    pub fn window(
        &self,
        start_exclusive_ms: i64,
        end_inclusive_ms: i64,
    ) -> impl DoubleEndedIterator<Item = (i64, f64)> + Clone + use<> {
        let points = self.collect(Some(start_exclusive_ms), end_inclusive_ms);
        points.into_iter().filter(|&(_, value)| !is_stale(value))
    }

    /// Every point held, oldest first, stale markers included; decoded when it is called.
    pub fn points(
        &self,
    ) -> impl DoubleEndedIterator<Item = (i64, f64)> + ExactSizeIterator + Clone + use<> {
        self.collect(None, i64::MAX).into_iter()
    }

    fn collect(&self, start_exclusive_ms: Option<i64>, end_inclusive_ms: i64) -> Vec<(i64, f64)> {
        let mut points = Vec::new();
        self.read(start_exclusive_ms, end_inclusive_ms, |times_ms, values| {
            points.extend(times_ms.iter().copied().zip(values.iter().copied()));
        });
        points
    }

    /// Hands over the points in `(start_exclusive_ms, end_inclusive_ms]`, oldest first, in runs of at most 512: times
    /// and values, as many of one as of the other and at least one. Stale markers are among them.
    pub fn blocks(
        &self,
        start_exclusive_ms: i64,
        end_inclusive_ms: i64,
        each: impl FnMut(&[i64], &[f64]),
    ) {
        self.read(Some(start_exclusive_ms), end_inclusive_ms, each);
    }

    fn read(
        &self,
        start_exclusive_ms: Option<i64>,
        end_inclusive_ms: i64,
        mut each: impl FnMut(&[i64], &[f64]),
    ) {
        let (mut edge, mut whole) = (Columns::default(), Columns::default());
        self.parts(start_exclusive_ms, end_inclusive_ms, &mut edge, |part| {
            whole.replace(&part);
            each(&whole.times_ms, &whole.values);
        });
    }

    /// What the ring takes in memory, in bytes, allocator overhead left out; the same on every target. Times that
    /// rings share are told of one of them only.
    #[must_use]
    pub fn byte_size(&self) -> usize {
        let chunks = (self.chunks.capacity() - self.chunks.len()) * CHUNK_BYTES;
        RING_BYTES + self.sealed_bytes + chunks + self.tail.byte_size()
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

    /// Pushes so many that most are sealed: some stale, some far apart, some refused.
    fn long() -> impl Strategy<Value = Vec<(i64, f64)>> {
        let step = prop_oneof![20 => Just(15), 3 => 10_i64..20, 1 => 0_i64..3_000];
        let value = prop_oneof![9 => (0_i32..100).prop_map(f64::from), 1 => value()];
        prop::collection::vec((step, value), 400..1_700).prop_map(|steps| {
            let mut t_ms = 0;
            let next = |(step, value)| {
                t_ms += step;
                (t_ms, value)
            };
            steps.into_iter().map(next).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn a_ring_with_chunks_answers_as_a_list_does(
            pushes in long(),
            limit in prop::sample::select(&[1_usize, 300, 512, 513, 700, 1_100, 5_760][..]),
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
}
