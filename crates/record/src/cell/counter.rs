//! Counters: sums of what threads add, each by itself.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use super::{PER_LINE, add_alone, add_float};
use crate::slot::{self, SLOTS};

/// Numbers that no other slot shares a cache line with.
#[repr(align(128))]
#[derive(Debug, Default)]
struct Line([AtomicU64; PER_LINE]);

/// The line of the threads that have no slot.
const SHARED: usize = SLOTS;

/// Counters that were made one after the other, each at its place in every line.
///
/// Threads do not share lines, so counters may: they take a twentieth of what lines of their own would
/// take, and whoever reads them all finds sixteen at a time.
#[derive(Debug, Default)]
#[repr(C)]
struct Block {
    /// One for each slot, and that of the threads without.
    lines: [Line; SLOTS + 1],
    /// What was added that is no whole number, as the bits of a float.
    fractions: [AtomicU64; PER_LINE],
    /// A bit for each line that was written in: most counters are added to by few threads.
    used: AtomicU32,
}

const _: () = assert!(SLOTS < u32::BITS as usize);

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
    fn own<'l>(&self, numbers: &'l [AtomicU64; PER_LINE]) -> &'l AtomicU64 {
        &numbers[self.place % PER_LINE]
    }

    #[inline]
    pub(crate) fn add(&self, by: u64) {
        let slot = slot::current();
        let used = || self.block.used.load(Relaxed) >> slot & 1 == 1;
        match self.block.lines[..SLOTS].get(slot) {
            Some(line) if used() => add_alone(self.own(&line.0), by),
            _ => self.add_first(by),
        }
    }

    #[cold]
    fn add_first(&self, by: u64) {
        let slot = slot::assigned().unwrap_or(SHARED);
        let number = self.own(&self.block.lines[slot].0);
        // Readers look only where this says, and from then on.
        self.block.used.fetch_or(1 << slot, Relaxed);
        if slot == SHARED {
            number.fetch_add(by, Relaxed);
        } else {
            add_alone(number, by);
        }
    }

    pub(crate) fn add_float(&self, by: f64) {
        add_float(self.own(&self.block.fractions), by);
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
        let mut used = self.block.used.load(Relaxed);
        let mut sum = 0_u64;
        while used != 0 {
            let line = &self.block.lines[used.trailing_zeros() as usize % (SLOTS + 1)];
            sum = sum.wrapping_add(self.own(&line.0).load(Relaxed));
            used &= used - 1;
        }
        sum
    }

    #[inline]
    pub(crate) fn value(&self) -> f64 {
        let fraction = self.own(&self.block.fractions).load(Relaxed);
        self.whole() as f64 + f64::from_bits(fraction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::scope;

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
}
