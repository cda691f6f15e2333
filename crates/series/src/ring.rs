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

    /// What the ring takes in memory, in bytes, allocator overhead left out.
    #[must_use]
    pub fn byte_size(&self) -> usize {
        let times = self.times_ms.capacity() * size_of::<i64>();
        size_of::<Self>() + times + self.values.capacity() * size_of::<f64>()
    }
}
