//! Cells: where numbers are kept while a program records, and read while it does.
//!
//! Every thread writes in its own [slot](crate::slot), alone on its cache lines; whoever reads adds the
//! slots up. A reader sees each slot at some moment of its reading, so what it adds up never falls
//! between two readings, and everything that happened before it began is in it.

use std::sync::atomic::{AtomicU16, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::buckets::Bounds;
use crate::slot::{self, SLOTS};

/// How many numbers share a cache line, or the pair of lines that processors fetch together.
const PER_LINE: usize = 16;

/// Numbers that no other slot shares a cache line with.
#[repr(align(128))]
#[derive(Debug, Default)]
struct Line([AtomicU64; PER_LINE]);

/// A place for each slot, made when it is first needed; `Own` is the numbers of one slot, one thread's
/// at a time.
///
/// In this order, so that whoever reads many series finds what it needs on few cache lines.
#[derive(Debug)]
#[repr(C)]
struct Slots<Own> {
    /// A bit for each that was made: most metrics are recorded by few threads.
    made: AtomicU16,
    /// Numbers of the threads that have no slot.
    shared: OnceLock<Own>,
    own: [OnceLock<Own>; SLOTS],
}

impl<Own> Default for Slots<Own> {
    fn default() -> Self {
        Self {
            made: AtomicU16::new(0),
            shared: OnceLock::new(),
            own: [const { OnceLock::new() }; SLOTS],
        }
    }
}

/// The number at `place`, which is below the size that `own` was made for.
#[inline]
fn at(own: &[Line], place: usize) -> &AtomicU64 {
    &own[place / PER_LINE].0[place % PER_LINE]
}

/// Adds where nobody else writes.
#[inline]
fn add_alone(number: &AtomicU64, by: u64) {
    number.store(number.load(Relaxed).wrapping_add(by), Relaxed);
}

fn add_float(number: &AtomicU64, by: f64) {
    let add = |bits| Some((f64::from_bits(bits) + by).to_bits());
    // It is never refused.
    let _ = number.fetch_update(Relaxed, Relaxed, add);
}

impl<Own> Slots<Own> {
    /// What this thread alone writes, if it is there already.
    #[inline]
    fn ready(&self) -> Option<&Own> {
        self.own.get(slot::current())?.get()
    }

    /// What this thread alone writes, made if need be; or what it shares.
    #[cold]
    fn make(&self, new: impl FnOnce() -> Own) -> Result<&Own, &Own> {
        match slot::assigned() {
            Some(slot) => {
                let own = self.own[slot].get_or_init(new);
                // Readers look only where this says, and from then on.
                self.made.fetch_or(1 << slot, Relaxed);
                Ok(own)
            }
            None => Err(self.shared.get_or_init(new)),
        }
    }

    /// Has `read` see everything there is to read.
    #[inline(always)]
    fn each(&self, mut read: impl FnMut(&Own)) {
        let mut made = self.made.load(Relaxed);
        while made != 0 {
            let slot = made.trailing_zeros() as usize;
            made &= made - 1;
            if let Some(own) = self.own[slot % SLOTS].get() {
                read(own);
            }
        }
        if let Some(shared) = self.shared.get() {
            read(shared);
        }
    }
}

/// Numbers of counters that were made one after the other, each at its place in every line.
///
/// Threads do not share lines, so counters may; that way whoever reads them all finds sixteen at a
/// time, and they take a byte for each slot instead of a line.
#[derive(Debug, Default)]
#[repr(C)]
struct Block {
    /// What was added that is no whole number, as the bits of a float.
    fractions: [AtomicU64; PER_LINE],
    slots: Slots<Box<Line>>,
}

/// Makes the cells of counters.
#[derive(Debug, Default)]
pub(crate) struct CounterCells {
    block: Arc<Block>,
    /// How many places of the block are taken.
    taken: usize,
}

impl CounterCells {
    pub(crate) fn make(&mut self) -> CounterCell {
        if self.taken == PER_LINE {
            *self = Self::default();
        }
        let place = self.taken;
        self.taken += 1;
        CounterCell {
            block: Arc::clone(&self.block),
            place,
        }
    }
}

/// A sum that grows; cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct CounterCell {
    block: Arc<Block>,
    /// Where in each line of the block.
    place: usize,
}

impl CounterCell {
    #[inline]
    fn own<'l>(&self, line: &'l Line) -> &'l AtomicU64 {
        &line.0[self.place % PER_LINE]
    }

    #[inline]
    fn fraction(&self) -> &AtomicU64 {
        &self.block.fractions[self.place % PER_LINE]
    }

    #[inline]
    pub(crate) fn add(&self, by: u64) {
        match self.block.slots.ready() {
            Some(line) => add_alone(self.own(line), by),
            None => self.add_first(by),
        }
    }

    #[cold]
    fn add_first(&self, by: u64) {
        match self.block.slots.make(Box::default) {
            Ok(line) => add_alone(self.own(line), by),
            Err(shared) => {
                self.own(shared).fetch_add(by, Relaxed);
            }
        }
    }

    pub(crate) fn add_float(&self, by: f64) {
        add_float(self.fraction(), by);
    }

    /// Adds what is missing to `total`, if it is below; gives back how much that was.
    pub(crate) fn raise_to(&self, total: u64) -> u64 {
        // Two that raise it at once would each add what is missing.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = total.saturating_sub(self.whole());
        self.add(missing);
        missing
    }

    /// What whole numbers came to.
    #[inline]
    pub(crate) fn whole(&self) -> u64 {
        let mut sum = 0_u64;
        let slots = &self.block.slots;
        slots.each(|line| sum = sum.wrapping_add(self.own(line).load(Relaxed)));
        sum
    }

    #[inline]
    pub(crate) fn value(&self) -> f64 {
        self.whole() as f64 + f64::from_bits(self.fraction().load(Relaxed))
    }
}

/// A value that was set last.
#[derive(Debug)]
pub(crate) struct GaugeCell(AtomicU64);

/// No value was ever set: a NaN that no arithmetic gives.
const UNSET: u64 = 0x7ff0_5e7f_a11e_0ff1;

impl Default for GaugeCell {
    fn default() -> Self {
        Self(AtomicU64::new(UNSET))
    }
}

impl GaugeCell {
    #[inline]
    pub(crate) fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Relaxed);
    }

    /// Adds to what it is, or to 0; gives back what it is then.
    pub(crate) fn add(&self, by: f64) -> f64 {
        let sum = |bits| match bits {
            UNSET => by,
            bits => f64::from_bits(bits) + by,
        };
        let add = |bits| Some(sum(bits).to_bits());
        match self.0.fetch_update(Relaxed, Relaxed, add) {
            Ok(before) | Err(before) => sum(before),
        }
    }

    /// `None` if it was never set.
    pub(crate) fn value(&self) -> Option<f64> {
        let bits = self.0.load(Relaxed);
        (bits != UNSET).then_some(f64::from_bits(bits))
    }
}

/// Observations by bucket, and their sum.
///
/// A slot has the sum first, as the bits of a float, then a count for each bucket, each apart, not
/// cumulative, the last for what is above all bounds. How many there were in all is the sum of these.
#[derive(Debug)]
pub(crate) struct HistogramCell {
    slots: Slots<Box<[Line]>>,
    pub(crate) bounds: Bounds,
}

/// The place of the sum; the counts follow.
const SUM: usize = 0;

impl HistogramCell {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            slots: Slots::default(),
            bounds,
        }
    }

    /// Records that `value` was observed once.
    #[inline]
    pub(crate) fn record(&self, value: f64) {
        self.add(self.bounds.bucket(value), 1, value);
    }

    /// Records that `value` was observed so many times.
    pub(crate) fn record_many(&self, value: f64, times: u64) {
        if times > 0 {
            self.add(self.bounds.bucket(value), times, value * times as f64);
        }
    }

    #[inline]
    fn add(&self, bucket: usize, count: u64, sum: f64) {
        match self.slots.ready() {
            Some(own) => add_observed(own, bucket, count, sum),
            None => self.add_first(bucket, count, sum),
        }
    }

    #[cold]
    fn add_first(&self, bucket: usize, count: u64, sum: f64) {
        let lines = self.numbers().div_ceil(PER_LINE);
        match self
            .slots
            .make(|| (0..lines).map(|_| Line::default()).collect())
        {
            Ok(own) => add_observed(own, bucket, count, sum),
            Err(shared) => {
                at(shared, SUM + 1 + bucket).fetch_add(count, Relaxed);
                add_float(at(shared, SUM), sum);
            }
        }
    }

    /// How many numbers a slot has: a sum, and the counts of the buckets.
    fn numbers(&self) -> usize {
        1 + self.buckets()
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
        self.slots.each(|own| {
            for (bucket, count) in counts.iter_mut().enumerate() {
                *count = count.wrapping_add(at(own, SUM + 1 + bucket).load(Relaxed));
            }
            sum += f64::from_bits(at(own, SUM).load(Relaxed));
        });
        sum
    }
}

#[inline]
fn add_observed(own: &[Line], bucket: usize, count: u64, observed: f64) {
    // The sum first: its place is known before the bucket is, and what follows that may wait for it.
    let sum = at(own, SUM);
    sum.store(
        (f64::from_bits(sum.load(Relaxed)) + observed).to_bits(),
        Relaxed,
    );
    add_alone(at(own, SUM + 1 + bucket), count);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;
    use std::thread::scope;

    const EACH: u64 = 10_000;

    #[test]
    fn threads_count_exactly_with_a_slot_and_without() {
        for threads in [2, 2 * SLOTS] {
            let cell = CounterCells::default().make();
            let histogram = HistogramCell::new(Bounds::new(&[0.5]).unwrap());
            scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| {
                        for _ in 0..EACH {
                            cell.add(1);
                            histogram.record(1.0);
                        }
                    });
                }
            });
            let all = threads as u64 * EACH;
            let mut counts = [0; 2];
            let sum = histogram.read(&mut counts);
            assert_eq!((cell.whole(), counts, sum), (all, [0, all], all as f64));
        }
    }

    #[test]
    fn counters_that_share_lines_do_not_share_numbers() {
        for threads in [2, 2 * SLOTS] {
            let mut cells = CounterCells::default();
            let cells: Vec<_> = (0..2 * PER_LINE + 1).map(|_| cells.make()).collect();
            scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| {
                        for round in 0..1_000 {
                            let numbered = (0_u64..).zip(&cells);
                            numbered.for_each(|(number, cell)| cell.add(number + round % 2));
                        }
                    });
                }
            });
            cells[3].add_float(0.5);
            for (number, cell) in (0_u64..).zip(&cells) {
                assert_eq!(cell.whole(), threads as u64 * (1_000 * number + 500));
                let fraction = if number == 3 { 0.5 } else { 0.0 };
                assert_eq!(cell.value(), cell.whole() as f64 + fraction);
            }
        }
    }

    #[test]
    fn threads_that_ended_leave_what_they_counted() {
        let cell = CounterCells::default().make();
        for _ in 0..4 * SLOTS {
            scope(|scope| {
                scope.spawn(|| cell.add(3));
                scope.spawn(|| cell.add(4));
            });
        }
        assert_eq!(cell.whole(), 4 * SLOTS as u64 * 7);
    }

    #[test]
    fn readings_while_threads_come_and_go_never_fall() {
        let cell = CounterCells::default().make();
        let histogram = HistogramCell::new(Bounds::new(&[1.0, 2.0]).unwrap());
        let over = AtomicBool::new(false);
        scope(|scope| {
            scope.spawn(|| {
                let mut last = (0, 0, 0.0);
                while !over.load(Relaxed) {
                    let mut counts = [0; 3];
                    let sum = histogram.read(&mut counts);
                    let now = (cell.whole(), counts.iter().sum(), sum);
                    assert!(
                        now.0 >= last.0 && now.1 >= last.1 && now.2 >= last.2,
                        "{now:?} after {last:?}"
                    );
                    last = now;
                }
            });
            let rounds = 3 * SLOTS as u64;
            for _ in 0..rounds {
                std::thread::scope(|scope| {
                    for value in [0.5, 1.5] {
                        let (cell, histogram) = (&cell, &histogram);
                        scope.spawn(move || {
                            for _ in 0..1_000 {
                                cell.add(1);
                                histogram.record(value);
                            }
                        });
                    }
                });
            }
            over.store(true, Relaxed);
            let mut counts = [0; 3];
            assert_eq!(histogram.read(&mut counts), rounds as f64 * 2_000.0);
            assert_eq!(
                (cell.whole(), counts),
                (rounds * 2_000, [rounds * 1_000, rounds * 1_000, 0])
            );
        });
    }

    #[test]
    fn a_gauge_is_nothing_until_it_is_set() {
        let gauge = GaugeCell::default();
        assert_eq!(gauge.value(), None);
        assert_eq!(gauge.add(2.0), 2.0);
        assert_eq!(gauge.add(-0.5), 1.5);
        gauge.set(f64::NAN);
        assert!(gauge.value().is_some_and(f64::is_nan));
    }

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
