//! Tails: the points of a ring that no chunk holds yet, as they came.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::{Range, RangeInclusive};

/// By how many points a tail's memory grows: it doubles between these, so that little is left over both in a series
/// of a few points and in a day of a thousand series.
const GROWTH: RangeInclusive<usize> = 4..=32;

/// Times that do not follow from each other.
#[derive(Debug, Clone)]
struct Irregular(VecDeque<i64>);

/// What a column of times takes beside them on a 64-bit machine; told so on every target.
const TIMES_BYTES: usize = 32;
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Irregular>() == TIMES_BYTES);

/// Points whose times rise strictly. While those are regular they take no memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tail {
    values: VecDeque<f64>,
    /// None while point `i` is at `first_ms + i·step_ms`. Nearly no tail has some, so they are kept out of the way.
    times_ms: Option<Box<Irregular>>,
    first_ms: i64,
    step_ms: u64,
    /// Where the next point is expected, from the second one on.
    next_ms: i64,
}

impl Tail {
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// The point at this place, if there are as many.
    pub(crate) fn point(&self, nth: usize) -> Option<(i64, f64)> {
        Some((self.time_ms(nth), *self.values.get(nth)?))
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
        self.point(self.len().checked_sub(1)?)
    }

    /// How many points may follow on time, with no memory to be found for them and no time past the last there is.
    pub(crate) fn room_on_time(&self) -> usize {
        let count = self.len();
        let room = self.values.capacity() - count;
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
        self.values.push_back(value);
        self.next_ms = t_ms.wrapping_add(self.step_ms as i64);
    }

    /// Adds a point that is newer than all.
    pub(crate) fn push(&mut self, t_ms: i64, value: f64) {
        let count = self.len();
        if count == self.values.capacity() {
            self.grow(count);
        }
        self.values.push_back(value);
        if t_ms == self.next_ms && self.times_ms.is_none() && count > 1 {
            self.next_ms = t_ms.wrapping_add(self.step_ms as i64);
        } else {
            self.push_apart(count, t_ms);
        }
    }

    #[inline(never)]
    fn grow(&mut self, count: usize) {
        let more = count.clamp(*GROWTH.start(), *GROWTH.end());
        self.values.reserve_exact(more);
    }

    /// Adds a time that does not follow from those before.
    #[inline(never)]
    fn push_apart(&mut self, count: usize, t_ms: i64) {
        if let Some(Irregular(times_ms)) = self.times_ms.as_deref_mut() {
            if times_ms.len() == times_ms.capacity() {
                let more = self.values.capacity() - times_ms.len();
                times_ms.reserve_exact(more);
            }
            times_ms.push_back(t_ms);
            return;
        }
        match count {
            0 => self.first_ms = t_ms,
            1 => {
                self.step_ms = t_ms.abs_diff(self.first_ms);
                self.next_ms = t_ms.wrapping_add(self.step_ms as i64);
            }
            _ => {
                let mut times_ms = VecDeque::with_capacity(self.values.capacity());
                times_ms.extend((0..count).map(|nth| self.regular_ms(nth)));
                times_ms.push_back(t_ms);
                self.times_ms = Some(Box::new(Irregular(times_ms)));
            }
        }
    }

    /// Drops the `count` oldest points, or all if there are fewer.
    pub(crate) fn drop_oldest(&mut self, count: usize) {
        let count = count.min(self.len());
        if count == self.len() {
            *self = Self::default();
            return;
        }
        self.values.drain(..count);
        match &mut self.times_ms {
            Some(times_ms) => drop(times_ms.0.drain(..count)),
            None => self.first_ms = self.regular_ms(count),
        }
    }

    /// Drops the `count` oldest points, of more, and the memory for them. Times that are regular from there on take
    /// none again.
    pub(crate) fn cut(&mut self, count: usize) {
        let mut newest = Self::default();
        let left = self.len() - count;
        newest.values.reserve_exact(left + *GROWTH.end());
        for nth in count..self.len() {
            newest.push(self.time_ms(nth), self.values[nth]);
        }
        *self = newest;
    }

    /// The time of the oldest point, if there is one.
    pub(crate) fn first_ms(&self) -> Option<i64> {
        (!self.values.is_empty()).then(|| self.time_ms(0))
    }

    /// How many points lie at or before `t_ms`.
    pub(crate) fn count_to(&self, t_ms: i64) -> usize {
        if let Some(Irregular(times_ms)) = self.times_ms.as_deref() {
            return times_ms.partition_point(|&time_ms| time_ms <= t_ms);
        }
        if self.values.is_empty() || t_ms < self.first_ms {
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

    /// The values in this range, in two slices that follow each other.
    pub(crate) fn slices(&self, range: Range<usize>) -> [&[f64]; 2] {
        let (front, back) = self.values.as_slices();
        let split = front.len();
        let Range { start, end } = range;
        [
            &front[start.min(split)..end.min(split)],
            &back[start.max(split) - split..end.max(split) - split],
        ]
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

    /// The values of the `count` oldest points, side by side.
    pub(crate) fn oldest(&mut self, count: usize) -> &[f64] {
        &self.values.make_contiguous()[..count]
    }

    /// What its columns take, in bytes.
    pub(crate) fn byte_size(&self) -> usize {
        let times = self.times_ms.as_ref();
        let times = times.map_or(0, |times| {
            TIMES_BYTES + times.0.capacity() * size_of::<i64>()
        });
        self.values.capacity() * size_of::<f64>() + times
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
        tail.cut(8);
        assert_eq!(tail.regular(), Some((80, 10)));
        assert!(tail.byte_size() * 3 / 2 < before);
        assert_eq!((tail.len(), tail.last()), (32, Some((390, 39.0))));
        assert!((0..32).all(|nth| tail.time_ms(nth) == 80 + nth as i64 * 10));
        assert!(tail.room_on_time() > 0 && tail.is_next(400));
    }

    #[test]
    fn what_is_left_of_a_tail_keeps_times_that_are_not() {
        let mut tail = Tail::default();
        let time = |nth: i64| nth * 10 + nth % 3;
        (0..40).for_each(|nth| tail.push(time(nth), nth as f64));
        tail.cut(8);
        let times: Vec<_> = (8..40).map(time).collect();
        assert_eq!((tail.regular(), tail.oldest_times(32)), (None, times));
    }
}
