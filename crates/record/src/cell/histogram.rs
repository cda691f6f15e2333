//! Histograms: what threads observed, counted by bucket, each by itself.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering::Relaxed};

use super::{PER_LINE, add_alone, add_float};
use crate::buckets::Bounds;
use crate::slot::{self, SLOTS};

/// Observations by bucket, and their sum, in a place for each slot that is made when it is first needed.
///
/// In this order, so that whoever records or reads finds what it needs on few cache lines.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct HistogramCell {
    pub(crate) bounds: Bounds,
    /// A bit for each place that was made: most metrics are recorded by few threads.
    made: AtomicU16,
    /// That of the threads that have no slot.
    shared: OnceLock<Observed>,
    own: [OnceLock<Observed>; SLOTS],
}

const _: () = assert!(SLOTS <= u16::BITS as usize);

/// What the thread of one slot observed: the sum, as the bits of a float, then a count for each
/// bucket, each apart, not cumulative, the last for what is above all bounds. How many there were in all
/// is the sum of these.
///
/// A line before and after is left empty, so that nobody else writes on the same ones.
type Observed = Box<[AtomicU64]>;

/// The place of the sum.
const SUM: usize = PER_LINE;
/// The place of the first count.
const COUNTS: usize = SUM + 1;

impl HistogramCell {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            made: AtomicU16::new(0),
            shared: OnceLock::new(),
            own: [const { OnceLock::new() }; SLOTS],
        }
    }

    /// Records that `value` was observed once.
    #[inline]
    pub(crate) fn record(&self, value: f64) {
        match (self.bounds.bucket_at_once(value), self.own()) {
            (Some(bucket), Some(own)) => add_observed(own, bucket, 1, value),
            // At the end, so that nothing need be kept for afterwards.
            _ => self.record_many(value, 1),
        }
    }

    /// Records that `value` was observed so many times.
    pub(crate) fn record_many(&self, value: f64, times: u64) {
        if times == 0 {
            return;
        }
        let (bucket, sum) = (self.bounds.bucket(value), value * times as f64);
        match self.own() {
            Some(own) => add_observed(own, bucket, times, sum),
            None => self.add_first(bucket, times, sum),
        }
    }

    /// What this thread alone writes, if it is there already.
    #[inline]
    fn own(&self) -> Option<&Observed> {
        self.own.get(slot::current())?.get()
    }

    #[cold]
    fn add_first(&self, bucket: usize, count: u64, sum: f64) {
        let new = || {
            let numbers = COUNTS + self.buckets() + PER_LINE;
            (0..numbers).map(|_| AtomicU64::new(0)).collect()
        };
        if let Some(slot) = slot::assigned() {
            let own = self.own[slot].get_or_init(new);
            // Readers look only where this says, and from then on.
            self.made.fetch_or(1 << slot, Relaxed);
            add_observed(own, bucket, count, sum);
        } else {
            let shared = self.shared.get_or_init(new);
            shared[COUNTS + bucket].fetch_add(count, Relaxed);
            add_float(&shared[SUM], sum);
        }
    }

    /// How many buckets there are, that above all bounds included.
    pub(crate) fn buckets(&self) -> usize {
        self.bounds.len() + 1
    }

    /// Adds the count of each bucket to `counts`, which has a place for each, and gives back the sum.
    ///
    /// What is recorded meanwhile may be in the counts and not in the sum, or the other way round.
    pub(crate) fn read(&self, counts: &mut [u64]) -> f64 {
        let mut sum = 0.0;
        let mut add = |observed: &Observed| {
            for (count, own) in counts.iter_mut().zip(&observed[COUNTS..]) {
                *count = count.wrapping_add(own.load(Relaxed));
            }
            sum += f64::from_bits(observed[SUM].load(Relaxed));
        };
        let mut made = self.made.load(Relaxed);
        while made != 0 {
            if let Some(own) = self.own[made.trailing_zeros() as usize % SLOTS].get() {
                add(own);
            }
            made &= made - 1;
        }
        if let Some(shared) = self.shared.get() {
            add(shared);
        }
        sum
    }
}

#[inline]
fn add_observed(own: &Observed, bucket: usize, count: u64, observed: f64) {
    let (count_so_far, sum) = (&own[COUNTS + bucket], &own[SUM]);
    // The sum first: its place is known before the bucket is, and what follows that may wait for it.
    let sum_so_far = f64::from_bits(sum.load(Relaxed));
    sum.store((sum_so_far + observed).to_bits(), Relaxed);
    add_alone(count_so_far, count);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_at_once_are_as_many_one_by_one() {
        let [one, many] = [(); 2].map(|()| HistogramCell::new(Bounds::new(&[1.0]).unwrap()));
        (0..7).for_each(|_| one.record(0.25));
        many.record_many(0.25, 7);
        many.record_many(9.0, 0);
        let read = |cell: &HistogramCell| {
            let mut counts = [0; 2];
            (cell.read(&mut counts), counts)
        };
        assert_eq!(read(&many), read(&one));
    }
}
