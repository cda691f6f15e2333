//! Rings: the newest points of one series, the older of them in chunks.
//!
//! The invariant: times rise strictly, from the chunks' to the tail's; there are never more points than the ring's
//! limit; only of the oldest chunk may points have been dropped; and the newest points are in the tail.

mod parts;
#[cfg(test)]
mod tests;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

pub(crate) use parts::{Columns, Part, Points};

use crate::chunk::{CHUNK_BYTES, CHUNK_POINTS, Chunk, TimesPool};
use crate::error::AppendError;
use crate::stale::is_stale;
use crate::tail::{KEPT_POINTS, Tail};

/// How many points a ring holds unless told otherwise: 24 h of a sample every 15 s.
pub const POINTS_PER_SERIES_MAX: usize = 5_760;

/// The newest points of one series: times in Unix milliseconds, values as `f64`.
///
/// Every 512 points are sealed into a [`Chunk`], but for the newest 32. What no chunk holds yet is held as it came, or
/// in half the bytes where it is decimals. Stale markers are stored as any value is, bits and all; [`at`](Self::at) and
/// [`window`](Self::window) give them their meaning. Once full, a point pushed drives out the oldest.
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
    /// Empty only if the ring is.
    tail: Tail,
    age_max_ms: u64,
    /// What the chunks take.
    sealed_bytes: usize,
    points_max: u32,
    /// How many points the chunks have, with those dropped.
    sealed: u32,
    /// How many points of the oldest chunk, or of the tail if there is none, are dropped, beside those past the limit:
    /// fewer than it has.
    dropped: u16,
    /// While the newest points of the tail are fewer, one that comes on time is added with nothing else to do.
    on_time: u16,
    /// How many points are sealed next.
    seal_next: u16,
}

/// How many dropped points the tail may have, where there is no chunk: they are moved out of it together. In a ring of
/// few points they are an eighth of those.
const DROPPED_MAX: usize = 32;

/// How many points a ring may be told to hold, so that they are counted in 32 bits, as on every target.
const POINTS_MAX: usize = 1 << 31;

/// By how many chunks the memory for them grows.
const CHUNKS_GROWTH: usize = 1;

/// What a [`Ring`] takes beside its columns on a 64-bit machine; told so on every target.
const RING_BYTES: usize = 128;
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Ring>() == RING_BYTES);

impl Default for Ring {
    /// An empty ring of [`POINTS_PER_SERIES_MAX`] points of any age.
    fn default() -> Self {
        Self::new(POINTS_PER_SERIES_MAX)
    }
}

impl Ring {
    /// An empty ring of at most `points_max` points, of any age; 0 is taken as 1, and more than 2³¹ as that.
    /// Memory grows with the points held.
    #[must_use]
    pub fn new(points_max: usize) -> Self {
        Self {
            chunks: VecDeque::new(),
            tail: Tail::default(),
            age_max_ms: u64::MAX,
            sealed_bytes: 0,
            points_max: points_max.clamp(1, POINTS_MAX) as u32,
            sealed: 0,
            dropped: 0,
            on_time: 0,
            seal_next: CHUNK_POINTS as u16,
        }
    }

    /// The ring with a first chunk of fewer points, 1 to 512. Where many rings are filled together this spreads when
    /// they seal, which takes some time, and what they hold at once that is not sealed.
    #[must_use]
    pub fn with_first_chunk(mut self, points: usize) -> Self {
        self.seal_next = points.clamp(1, CHUNK_POINTS) as u16;
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
        if self.tail.recent_len() < usize::from(self.on_time) && self.tail.is_next(t_ms) {
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
        if self.room() == 0 {
            self.drop_oldest();
        }
        self.tail.push(t_ms, value);
        if self.tail.len() >= self.seal_at() {
            self.seal(pool);
        }
        if self.age_max_ms < u64::MAX {
            self.drop_aged(t_ms);
        } else {
            let room = self.seal_at() - self.tail.len() - 1;
            let room = room.min(self.room()).min(self.tail.room_on_time());
            self.on_time = (self.tail.recent_len() + room) as u16;
        }
        Ok(())
    }

    /// At how many points the tail is sealed.
    fn seal_at(&self) -> usize {
        usize::from(self.seal_next) + KEPT_POINTS
    }

    /// How many points may be added before a chunk has to go, or points of the tail. The points before those go with
    /// nothing done.
    fn room(&self) -> usize {
        let points_max = self.points_max as usize;
        let spare = self
            .chunks
            .front()
            .map_or_else(|| self.dropped_max(), |chunk| chunk.len() - 1);
        (points_max + spare).saturating_sub(self.sealed as usize + self.tail.len())
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
        if self.chunks.is_empty() && self.dropped() > 0 {
            self.drop_of_tail(self.dropped());
            if self.tail.len() < self.seal_at() {
                return;
            }
        }
        let count = usize::from(self.seal_next).max(self.tail.older_len());
        let (times, owns_times) = pool.share_oldest(&self.tail, count);
        let (values, summary) = self.tail.seal(count);
        let chunk = Chunk::of(times, owns_times, values, &summary);
        self.sealed += count as u32;
        self.sealed_bytes += chunk.byte_size();
        if self.chunks.len() == self.chunks.capacity() {
            self.chunks.reserve_exact(CHUNKS_GROWTH);
        }
        self.chunks.push_back(chunk);
        self.seal_next = CHUNK_POINTS as u16;
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
            let oldest_ms = newest_ms.checked_sub_unsigned(age_max_ms);
            let aged_ms = oldest_ms.and_then(|oldest_ms| oldest_ms.checked_sub(1));
            let count = aged_ms.map_or(0, |aged_ms| self.tail.count_to(aged_ms));
            self.drop_to(count.max(self.dropped()));
        }
    }

    /// Drops the oldest chunk, or if there is none, the oldest point.
    pub(crate) fn drop_chunk(&mut self) {
        match self.chunks.pop_front() {
            Some(chunk) => {
                self.sealed -= chunk.len() as u32;
                self.sealed_bytes -= chunk.byte_size();
                self.dropped = 0;
                self.on_time = 0;
            }
            None => self.drop_to(self.dropped() + 1),
        }
    }

    #[inline(never)]
    pub(crate) fn drop_oldest(&mut self) {
        let dropped = self.dropped() + 1;
        match self.chunks.front() {
            Some(chunk) if dropped < chunk.len() => self.dropped = dropped as u16,
            Some(_) => self.drop_chunk(),
            None => self.drop_to(dropped),
        }
    }

    /// Drops so many of the tail's points, those already dropped among them, where there is no chunk.
    fn drop_to(&mut self, count: usize) {
        if count > self.dropped_max() || count >= self.tail.len() {
            self.drop_of_tail(count);
        } else {
            self.dropped = count as u16;
        }
    }

    /// How many dropped points the tail may have.
    fn dropped_max(&self) -> usize {
        DROPPED_MAX.min(self.points_max as usize / 8)
    }

    /// Moves these out of the tail; all that are dropped are among them.
    fn drop_of_tail(&mut self, count: usize) {
        self.tail.drop_oldest(count);
        self.dropped = 0;
        self.on_time = 0;
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
                self.dropped = self.dropped.max(before as u16);
            }
        } else if let Some(last_ms) = t_ms.checked_sub(1) {
            self.drop_of_tail(self.tail.count_to(last_ms).max(self.dropped()));
        }
        held - self.len()
    }

    /// How many points of the oldest chunk, or of the tail if there is none, are dropped: fewer than it has.
    fn dropped(&self) -> usize {
        let past =
            (self.sealed as usize + self.tail.len()).saturating_sub(self.points_max as usize);
        past.max(usize::from(self.dropped))
    }

    /// How many points it holds, stale markers included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sealed as usize + self.tail.len() - self.dropped()
    }

    /// Whether it holds no point.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tail.len() == 0
    }

    /// How many points it may hold.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.points_max as usize
    }

    /// The newest point, be it a stale marker.
    #[must_use]
    pub fn newest(&self) -> Option<(i64, f64)> {
        self.tail.last()
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
            let dropped = self.chunks.is_empty() && nth < self.dropped();
            return self.tail.point(nth).filter(|_| !dropped);
        }
        let after = |chunk: &Chunk| chunk.first_ms() <= t_ms;
        let nth = self.chunks.partition_point(after).checked_sub(1)?;
        let (mut times_ms, mut values) = (Vec::new(), Vec::new());
        self.chunks[nth].decode_into(&mut times_ms, &mut values);
        let at = times_ms.partition_point(|&time_ms| time_ms <= t_ms) - 1;
        let dropped = nth == 0 && at < self.dropped();
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
