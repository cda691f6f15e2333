//! Moments: count, mean and squared deviations, in a form that adds up.

use alloc::vec::Vec;

use crate::chunk::Summary;
use crate::stale::is_stale;

/// In how many sums deviations are added at once: so the compiler can do several together, and every target does it.
const LANES: usize = 4;

/// The deviation of values that come in any number of slices.
///
/// Each slice is gone over twice, first for its mean; slices are put together by the formula of Chan, Golub and
/// LeVeque for pairs of samples. A NaN or an infinity makes it NaN. Stale markers are passed over.
///
/// ```
/// let mut moments = tidegate_series::Moments::default();
/// moments.add(&[2.0, 4.0, 4.0, 4.0]);
/// moments.add(&[5.0, 5.0, 7.0, 9.0]);
/// assert_eq!((moments.stdvar(), moments.stddev()), (Some(4.0), Some(2.0)));
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Moments {
    count: f64,
    mean: f64,
    /// The sum of the squared distances from the mean.
    squares: f64,
}

impl Moments {
    /// Adds values.
    pub fn add(&mut self, values: &[f64]) {
        if values.iter().any(|&value| is_stale(value)) {
            let live = values.iter().copied().filter(|&value| !is_stale(value));
            return self.add_live(&live.collect::<Vec<_>>());
        }
        self.add_live(values);
    }

    fn add_live(&mut self, values: &[f64]) {
        if !values.is_empty() {
            self.merge(&Self::of(values));
        }
    }

    fn of(values: &[f64]) -> Self {
        let summary = Summary::of(values);
        let count = values.len() as f64;
        if summary.min == summary.max && summary.min.is_finite() && !summary.sum.is_nan() {
            // All the same: the division below could make it deviate.
            return Self {
                count,
                mean: summary.min,
                squares: 0.0,
            };
        }
        let mean = summary.sum / count;
        let (mut sums, mut squares) = ([0.0; LANES], [0.0; LANES]);
        for row in values.chunks(LANES) {
            for ((sum, square), value) in sums.iter_mut().zip(&mut squares).zip(row) {
                let away = value - mean;
                *sum += away;
                *square += away * away;
            }
        }
        let sum: f64 = sums.iter().sum();
        // What the rounded mean is off by, taken out again.
        let squares = squares.iter().sum::<f64>() - sum * sum / count;
        Self {
            count,
            mean,
            squares: if squares < 0.0 { 0.0 } else { squares },
        }
    }

    /// Adds the values of another.
    pub fn merge(&mut self, other: &Self) {
        if self.count == 0.0 {
            *self = *other;
            return;
        }
        if other.count == 0.0 {
            return;
        }
        let count = self.count + other.count;
        let apart = other.mean - self.mean;
        let share = other.count / count;
        self.squares += other.squares + apart * apart * (self.count * share);
        self.mean += apart * share;
        self.count = count;
    }

    /// The variance of the population: the mean of the squared distances from the mean. 0 for one value, `None` for
    /// none.
    #[must_use]
    pub fn stdvar(&self) -> Option<f64> {
        (self.count > 0.0).then(|| self.squares / self.count)
    }

    /// The root of the variance.
    #[must_use]
    pub fn stddev(&self) -> Option<f64> {
        self.stdvar().map(libm::sqrt)
    }
}
