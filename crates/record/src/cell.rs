//! Cells: where numbers are kept while a program records, and read while it does.
//!
//! Every thread writes in its own [slot](crate::slot), alone on its cache lines; whoever reads adds the
//! slots up. A reader sees each slot at some moment of its reading, so what it adds up never falls
//! between two readings, and everything that happened before it began is in it.

mod counter;
mod histogram;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub(crate) use self::counter::{CounterCell, CounterCells};
pub(crate) use self::histogram::HistogramCell;

/// How many numbers share a cache line, or the pair of lines that processors fetch together.
const PER_LINE: usize = 16;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buckets::Bounds;
    use crate::slot::SLOTS;
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
}
