//! Tails: the points of a ring that no chunk holds yet: the newest as they came, those before them made narrow.

mod older;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::{Range, RangeInclusive};

use self::older::Older;
use crate::chunk::Summary;

/// How many of the newest points stay as they are, so that short windows need no decoding: five minutes of a sample
/// every ten seconds, and one at either end.
pub(crate) const KEPT_POINTS: usize = 32;

/// How many points before those are made narrow at once.
const NARROWED: usize = 64;

/// By how many points the memory for the newest grows: it doubles between these, so that little is left over in a
/// series of a few points.
const GROWTH: RangeInclusive<usize> = 4..=32;

/// Times that do not follow from each other.
#[derive(Debug, Clone)]
struct Irregular(Vec<i64>);

/// What a column of times takes beside them on a 64-bit machine; told so on every target.
const TIMES_BYTES: usize = 24;
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Irregular>() == TIMES_BYTES);

/// Points whose times rise strictly. While those are regular they take no memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tail {
    /// The newest, as they came: [`KEPT_POINTS`] and [`NARROWED`] at most.
    recent: Vec<f64>,
    /// Those before them.
    older: Option<Box<Older>>,
    /// None while point `i` is at `first_ms + i·step_ms`. Nearly no tail has some, so they are kept out of the way.
    times_ms: Option<Box<Irregular>>,
    first_ms: i64,
    step_ms: u64,
    /// Where the next point is expected, from the second one on.
    next_ms: i64,
}

impl Tail {
    pub(crate) fn len(&self) -> usize {
        self.older_len() + self.recent.len()
    }

    /// How many of the points are not as they came.
    pub(crate) fn older_len(&self) -> usize {
        self.older.as_ref().map_or(0, |older| older.len())
    }

    /// How many are as they came.
    #[inline]
    pub(crate) const fn recent_len(&self) -> usize {
        self.recent.len()
    }

    /// The point at this place, if there are as many.
    pub(crate) fn point(&self, nth: usize) -> Option<(i64, f64)> {
        let value = match (&self.older, nth.checked_sub(self.older_len())) {
            (Some(older), None) => older.value(nth),
            (_, recent) => *self.recent.get(recent?)?,
        };
        Some((self.time_ms(nth), value))
    }

    /// The time of the point at this place, which there is.
    pub(crate) fn time_ms(&self, nth: usize) -> i64 {
        match &self.times_ms {
            Some(times_ms) => times_ms.0[nth],
            // It wraps only on the way: what was pushed comes out.
            None => self.regular_ms(nth),
        }
    }

    const fn regular_ms(&self, nth: usize) -> i64 {
        let after_ms = self.step_ms.wrapping_mul(nth as u64);
        self.first_ms.wrapping_add(after_ms as i64)
    }

    /// The newest point.
    #[inline]
    pub(crate) fn last(&self) -> Option<(i64, f64)> {
        let &value = self.recent.last()?;
        Some((self.time_ms(self.len() - 1), value))
    }

    /// How many points may follow on time, with no memory to be found for them and no time past the last there is.
    pub(crate) fn room_on_time(&self) -> usize {
        let count = self.len();
        let room = self.recent.capacity().min(KEPT_POINTS + NARROWED) - self.recent.len();
        let is_regular = self.times_ms.is_none() && count > 1;
        let last_ms = i128::from(self.regular_ms(count.saturating_sub(1)));
        let end_ms = last_ms + i128::from(self.step_ms) * room as i128;
        if is_regular && end_ms < i128::from(i64::MAX) {
            room
        } else {
            0
        }
    }

    /// Whether a point of this time would come on time, where there is [room](Self::room_on_time) for it.
    #[inline]
    pub(crate) const fn is_next(&self, t_ms: i64) -> bool {
        t_ms == self.next_ms
    }

    /// Adds a point that comes on time, where there is [room](Self::room_on_time) for it.
    #[inline]
    pub(crate) fn push_next(&mut self, t_ms: i64, value: f64) {
        self.recent.push(value);
        self.next_ms = t_ms.wrapping_add(self.step_ms as i64);
    }

    /// Adds a point that is newer than all.
    pub(crate) fn push(&mut self, t_ms: i64, value: f64) {
        if self.recent.len() == KEPT_POINTS + NARROWED {
            self.narrow(NARROWED);
        }
        let count = self.len();
        if self.recent.len() == self.recent.capacity() {
            let more = count.clamp(*GROWTH.start(), *GROWTH.end());
            self.recent.reserve_exact(more);
        }
        self.recent.push(value);
        if t_ms == self.next_ms && self.times_ms.is_none() && count > 1 {
            self.next_ms = t_ms.wrapping_add(self.step_ms as i64);
        } else {
            self.push_apart(count, t_ms);
        }
    }

    /// Makes the `count` oldest of the newest points narrow; they are one at least.
    fn narrow(&mut self, count: usize) {
        let values = &self.recent[..count];
        match &mut self.older {
            Some(older) => older.extend(values),
            None => self.older = Some(Box::new(Older::new(values))),
        }
        self.recent.drain(..count);
    }

    /// Adds a time that does not follow from those before.
    #[inline(never)]
    fn push_apart(&mut self, count: usize, t_ms: i64) {
        // Its value is there already.
        let more = self.recent.capacity() - self.recent.len() + 1;
        if let Some(Irregular(times_ms)) = self.times_ms.as_deref_mut() {
            if times_ms.len() == times_ms.capacity() {
                times_ms.reserve_exact(more);
            }
            times_ms.push(t_ms);
            return;
        }
        match count {
            0 => self.first_ms = t_ms,
            1 => {
                self.step_ms = t_ms.abs_diff(self.first_ms);
                self.next_ms = t_ms.wrapping_add(self.step_ms as i64);
            }
            _ => {
                let mut times_ms = Vec::new();
                times_ms.reserve_exact(count + more);
                times_ms.extend((0..count).map(|nth| self.regular_ms(nth)));
                times_ms.push(t_ms);
                self.times_ms = Some(Box::new(Irregular(times_ms)));
            }
        }
    }

    /// Drops the `count` oldest points, or all if there are fewer.
    pub(crate) fn drop_oldest(&mut self, count: usize) {
        if count >= self.len() {
            *self = Self::default();
            return;
        }
        self.drop_times(count);
        let older = self.older_len();
        match &mut self.older {
            Some(older) if count < older.len() => older.drop_oldest(count),
            _ => {
                self.older = None;
                self.recent.drain(..count - older);
            }
        }
    }

    fn drop_times(&mut self, count: usize) {
        match &mut self.times_ms {
            Some(times_ms) => drop(times_ms.0.drain(..count)),
            None => self.first_ms = self.regular_ms(count),
        }
    }

    /// Encodes the `count` oldest points, of more than [`KEPT_POINTS`] beside them, and drops them: gives back their
    /// bytes and what they add up to. None of the others is narrow, and if their times are regular they take no memory.
    pub(crate) fn seal(&mut self, count: usize) -> (Box<[u8]>, Summary) {
        let more = count - self.older_len();
        if more > 0 {
            self.narrow(more);
        }
        let Some(older) = self.older.take() else {
            unreachable!("a chunk has points")
        };
        self.drop_times(count);
        self.forget_times();
        let mut values = Vec::new();
        let summary = Summary::of(older.values(0..count, &mut values));
        (older.encoded(), summary)
    }

    /// Forgets irregular times that are regular.
    fn forget_times(&mut self) {
        let Some(Irregular(times_ms)) = self.times_ms.as_deref_mut() else {
            return;
        };
        if let [first_ms, second_ms, ..] = times_ms[..] {
            let step_ms = second_ms.abs_diff(first_ms);
            let is_regular = times_ms.is_sorted_by(|a, b| a.abs_diff(*b) == step_ms);
            if is_regular {
                (self.first_ms, self.step_ms) = (first_ms, step_ms);
                self.times_ms = None;
                self.next_ms = self.regular_ms(self.len());
                return;
            }
        }
        times_ms.shrink_to(KEPT_POINTS + NARROWED);
    }

    /// The time of the oldest point, if there is one.
    pub(crate) fn first_ms(&self) -> Option<i64> {
        (!self.recent.is_empty()).then(|| self.time_ms(0))
    }

    /// How many points lie at or before `t_ms`.
    pub(crate) fn count_to(&self, t_ms: i64) -> usize {
        if let Some(Irregular(times_ms)) = self.times_ms.as_deref() {
            return times_ms.partition_point(|&time_ms| time_ms <= t_ms);
        }
        if self.recent.is_empty() || t_ms < self.first_ms {
            return 0;
        }
        let last = self.len() - 1;
        if self.time_ms(last) <= t_ms {
            return self.len();
        }
        // Fewer than it has, so it has two, and they a step between them.
        let steps = t_ms.abs_diff(self.first_ms).checked_div(self.step_ms);
        1 + steps.unwrap_or(0).min(last as u64) as usize
    }

    /// The values in this range: first those that are not as they came, with the help of `scratch`.
    pub(crate) fn values<'a>(
        &'a self,
        range: Range<usize>,
        scratch: &'a mut Vec<f64>,
    ) -> [&'a [f64]; 2] {
        let Range { start, end } = range;
        let split = self.older_len();
        let older = match &self.older {
            Some(older) if start < split => older.values(start..end.min(split), scratch),
            _ => &[],
        };
        let recent = start.max(split) - split..end.max(split) - split;
        [older, &self.recent[recent]]
    }

    /// The first time and the step, where all times follow from them.
    pub(crate) fn regular(&self) -> Option<(i64, u64)> {
        let is_regular = self.times_ms.is_none() && self.len() > 1;
        is_regular.then_some((self.first_ms, self.step_ms))
    }

    /// The times of the `count` oldest points.
    pub(crate) fn oldest_times(&self, count: usize) -> Vec<i64> {
        (0..count).map(|nth| self.time_ms(nth)).collect()
    }

    /// What its columns take, in bytes.
    pub(crate) fn byte_size(&self) -> usize {
        let times = self.times_ms.as_ref();
        let times = times.map_or(0, |times| {
            TIMES_BYTES + times.0.capacity() * size_of::<i64>()
        });
        let older = self.older.as_ref().map_or(0, |older| older.byte_size());
        self.recent.capacity() * size_of::<f64>() + older + times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_tail_takes_no_memory_for_times_that_are_regular_again() {
        let mut tail = Tail::default();
        for nth in 0..40 {
            tail.push(nth * 10 + i64::from(nth < 7), nth as f64);
        }
        assert_eq!(tail.regular(), None);
        let before = tail.byte_size();
        tail.seal(8);
        assert_eq!(tail.regular(), Some((80, 10)));
        assert!(tail.byte_size() + 32 * 8 <= before);
        assert_eq!((tail.len(), tail.last()), (32, Some((390, 39.0))));
        assert!((0..32).all(|nth| tail.time_ms(nth) == 80 + nth as i64 * 10));
        assert!(tail.room_on_time() > 0 && tail.is_next(400));
    }

    #[test]
    fn what_is_left_of_a_tail_keeps_times_that_are_not() {
        let mut tail = Tail::default();
        let time = |nth: i64| nth * 10 + nth % 3;
        (0..40).for_each(|nth| tail.push(time(nth), nth as f64));
        tail.seal(8);
        let times: Vec<_> = (8..40).map(time).collect();
        assert_eq!((tail.regular(), tail.oldest_times(32)), (None, times));
    }
}
