//! Sketches: what many values are like, in little memory, so that quantiles of any of them can be told to 1 %.
//!
//! A sketch counts values in buckets whose width grows with them: each octave, from one power of two to the next, is
//! parted into 64 of equal width. The bucket of a value is therefore told by its sign, its exponent and the six highest
//! bits of its fraction: the top of its own bits, with no logarithm and the same on every target. The middle of a
//! bucket is within 1/128 (0.8 %) of whatever is in it. (The idea of buckets that grow is that of DDSketch, by Masson,
//! Rim and Lee; it takes buckets of equal ratio, which are half as many and need a logarithm, or one interpolated as
//! here, in its fast variants.)
//!
//! Sketches of different values merge into the sketch of all of them, in any order and however often.

mod codec;
mod column;
mod pages;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use core::fmt::{self, Debug, Formatter};

use crate::chunk::totals;
use crate::float::{Sum, greater, lesser};
use crate::quantile::{Place, QuantileMethod};
use crate::stale::is_stale;

pub use codec::{SKETCH_BYTES_MAX, SketchError};
pub use pages::SKETCH_BUCKETS_MAX;
use pages::{Pages, Tables, exponent};

/// How far a quantile that a [`Sketch`] tells is from the exact one at most, as a part of it: 1/128.
pub const SKETCH_ERROR_MAX: f64 = 1.0 / 128.0;

/// How many values are counted in 32 bits before they are put to the others.
const VALUES_AT_ONCE_MAX: usize = 1 << 20;

/// What a [`Sketch`] takes beside its pages on a 64-bit machine; told so on every target.
const SKETCH_BYTES: usize = 136;
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Sketch>() == SKETCH_BYTES);

/// Counts of values in buckets, from which any quantile is told to 1 %.
///
/// Sum, least and greatest are exact. Zeros, and what is closer to 0 than the least normal double, are counted as 0.
/// Infinities are values, the least and the greatest; a NaN counts, makes the sum NaN and is less than all others for
/// quantiles, as in PromQL. Stale markers are left out.
///
/// Memory is taken by the octaves that have values, 256 bytes for each (512 past 2³² values), up to 64 of them
/// ([`SKETCH_BUCKETS_MAX`] buckets): that is nineteen decades of one sign. With more, the octave closest to 0 is
/// counted with its neighbour, so that small values are told too large and those past the median stay as good; whether
/// that has happened is told by [`is_coarse`](Self::is_coarse).
///
/// ```
/// use tidegate_series::{QuantileMethod, Sketch};
///
/// let (mut day, mut night) = (Sketch::default(), Sketch::default());
/// day.add(&(1..=900).map(f64::from).collect::<Vec<_>>());
/// night.add(&(901..=1_000).map(f64::from).collect::<Vec<_>>());
/// day.merge(&night);
/// let p95 = day.quantile(0.95, QuantileMethod::NearestRank);
/// assert!((p95 - 951.0).abs() < 9.51);
/// assert_eq!((day.count(), day.sum(), day.max()), (1_000, 500_500.0, 1_000.0));
/// assert_eq!(Sketch::decode(&day.encode()).map(|sketch| sketch.count()), Ok(1_000));
/// ```
#[derive(Clone)]
pub struct Sketch {
    pages: Pages,
    /// Of all.
    count: u64,
    nans: u64,
    downs: u64,
    zeros: u64,
    ups: u64,
    sum: Sum,
    min: f64,
    max: f64,
}

impl Default for Sketch {
    fn default() -> Self {
        Self {
            pages: Pages::default(),
            count: 0,
            nans: 0,
            downs: 0,
            zeros: 0,
            ups: 0,
            sum: Sum::new(),
            min: f64::NAN,
            max: f64::NAN,
        }
    }
}

impl Sketch {
    /// The sketch of no value.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts these values. Many at once take less time than each by itself.
    pub fn add(&mut self, values: &[f64]) {
        let (sum, min, max) = totals(values);
        if sum.is_nan() && values.iter().any(|&value| is_stale(value)) {
            let live = values.iter().copied().filter(|&value| !is_stale(value));
            return self.add(&live.collect::<Vec<_>>());
        }
        let Some(count) = self.count.checked_add(values.len() as u64) else {
            return;
        };
        self.count = count;
        self.pages.widen_for(count);
        self.sum.add(sum);
        // NaN is there only if there is nothing else.
        self.min = lesser(self.min, min);
        self.max = greater(self.max, max);
        for values in values.chunks(VALUES_AT_ONCE_MAX) {
            self.count_values(values);
        }
    }

    fn count_values(&mut self, mut values: &[f64]) {
        let mut tables = Tables::default();
        loop {
            values = &values[tables.count(values)..];
            let Some((&value, rest)) = values.split_first() else {
                break;
            };
            if !value.is_finite() {
                self.count_special(value);
                values = rest;
            } else if !tables.open(value) {
                self.fold(&tables);
                tables = Tables::default();
            }
        }
        self.fold(&tables);
    }

    /// Counts what is no number.
    const fn count_special(&mut self, value: f64) {
        if value.is_nan() {
            self.nans += 1;
        } else if value > 0.0 {
            self.ups += 1;
        } else {
            self.downs += 1;
        }
    }

    fn fold(&mut self, tables: &Tables) {
        for (page, counts) in tables.iter() {
            if exponent(page) == 0 {
                self.zeros += counts.iter().map(|&count| u64::from(count)).sum::<u64>();
            } else {
                self.pages.add(page, counts);
            }
        }
    }

    /// Adds the values of another sketch; none of them if there would be more than [`u64::MAX`].
    pub fn merge(&mut self, other: &Self) {
        let Some(count) = self.count.checked_add(other.count) else {
            return;
        };
        self.count = count;
        self.pages.widen_for(count);
        self.pages.merge(&other.pages);
        self.nans += other.nans;
        self.downs += other.downs;
        self.zeros += other.zeros;
        self.ups += other.ups;
        self.sum.add(other.sum.value());
        self.min = lesser(self.min, other.min);
        self.max = greater(self.max, other.max);
    }

    /// How many values, NaNs among them.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Whether it has no value.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Their sum; 0 for none, NaN if one is.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum.value()
    }

    /// The least; NaN if there is none, or nothing but NaNs.
    #[must_use]
    pub const fn min(&self) -> f64 {
        self.min
    }

    /// The greatest; NaN if there is none, or nothing but NaNs.
    #[must_use]
    pub const fn max(&self) -> f64 {
        self.max
    }

    /// Whether values close to 0 were counted with larger ones, for want of buckets.
    #[must_use]
    pub const fn is_coarse(&self) -> bool {
        let [positive, negative] = self.pages.floors();
        positive > 0 || negative > 0
    }

    /// A quantile, with the rules of [`quantiles`](crate::quantiles) for what has none.
    ///
    /// The value of each rank is within [`SKETCH_ERROR_MAX`] of the exact one, as a part of it, unless
    /// [`is_coarse`](Self::is_coarse); the least and the greatest are exact. So is a nearest rank, and an interpolated
    /// value between two of one sign; between two of different signs it is off by as much of the larger one.
    #[must_use]
    pub fn quantile(&self, q: f64, method: QuantileMethod) -> f64 {
        Place::of(q, self.count, method).value(|rank| self.at_rank(rank))
    }

    /// The value of a rank, counted from 0.
    fn at_rank(&self, rank: u64) -> f64 {
        if rank < self.nans {
            return f64::NAN;
        }
        if rank == self.nans {
            return self.min;
        }
        if rank + 1 >= self.count {
            return self.max;
        }
        let Some(rank) = (rank - self.nans).checked_sub(self.downs) else {
            return f64::NEG_INFINITY;
        };
        match self.pages.at_rank(rank, self.zeros) {
            Some(value) => value.clamp(self.min, self.max),
            None => f64::INFINITY,
        }
    }

    /// What it takes in memory, in bytes, allocator overhead left out; the same on every target.
    #[must_use]
    pub fn byte_size(&self) -> usize {
        SKETCH_BYTES + self.pages.byte_size()
    }
}

impl Debug for Sketch {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sketch")
            .field("count", &self.count)
            .field("min", &self.min)
            .field("max", &self.max)
            .field("octaves", &self.pages.len())
            .finish_non_exhaustive()
    }
}
