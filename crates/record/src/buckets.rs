//! The bounds of histogram buckets.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// How many bounds a histogram has at most. Each is a series for whoever scrapes.
pub const BOUNDS_MAX: usize = 128;

/// Bounds of what takes time, in seconds: half a millisecond to a minute, three to a decade.
pub const SECONDS_BOUNDS: [f64; 16] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0,
];

/// Bounds of sizes in bytes: 64 bytes to a gibibyte, each four times the one before.
pub const BYTES_BOUNDS: [f64; 13] = [
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
    268_435_456.0,
    1_073_741_824.0,
];

/// Bounds of everything else: a hundredth to a thousand, three to a decade.
pub const OTHER_BOUNDS: [f64; 16] = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0,
    1_000.0,
];

/// How many bounds are compared in one step: with some left over, each of those would be a branch.
const LANES: usize = 4;

/// Ascending upper bounds. A bucket has what is at most its bound and above the one before; one more
/// has what is above all.
///
/// Cloning shares them.
#[derive(Clone, PartialEq)]
pub struct Bounds {
    /// The bounds, filled up with +Inf.
    padded: Arc<[f64]>,
    length: usize,
}

impl Bounds {
    /// Bounds in ascending order; an infinite one at the end may be there or not, it is always meant.
    ///
    /// # Errors
    ///
    /// A bound that is not above the one before, NaN or infinite, or more than [`BOUNDS_MAX`].
    /// None at all are bounds as well: all observations are in one bucket.
    pub fn new(bounds: &[f64]) -> Result<Self, BoundsError> {
        let bounds = match bounds {
            [finite @ .., last] if *last == f64::INFINITY => finite,
            _ => bounds,
        };
        if bounds.len() > BOUNDS_MAX {
            return Err(BoundsError::TooMany(bounds.len()));
        }
        let ascends = |at: usize| at == 0 || bounds[at - 1] < bounds[at];
        if let Some(at) = (0..bounds.len()).find(|at| !bounds[*at].is_finite() || !ascends(*at)) {
            return Err(BoundsError::Order {
                bound: bounds[at],
                position: at,
            });
        }
        let mut padded = bounds.to_vec();
        padded.resize(bounds.len().next_multiple_of(LANES), f64::INFINITY);
        Ok(Self {
            padded: padded.into(),
            length: bounds.len(),
        })
    }

    /// How many there are, +Inf not counted.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none but +Inf.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The bounds, without +Inf.
    pub fn iter(&self) -> impl Iterator<Item = f64> {
        self.padded[..self.length].iter().copied()
    }

    /// The bucket of a value: the index of the first bound that is not below it, or [`len`](Self::len).
    /// NaN is above all.
    ///
    /// Comparing with all of them takes no branch that a processor could guess wrong.
    #[inline]
    #[must_use]
    pub fn bucket(&self, value: f64) -> usize {
        let at_most = self.padded.iter().map(|bound| u64::from(value <= *bound));
        // NaN is not even at most +Inf, with which they are filled up.
        (self.padded.len() - at_most.sum::<u64>() as usize).min(self.length)
    }

    /// What a metric of this unit has if nobody says otherwise.
    pub(crate) fn of_unit(unit: &str) -> Self {
        let bounds: &[f64] = match unit {
            "seconds" => &SECONDS_BOUNDS,
            "bytes" => &BYTES_BOUNDS,
            _ => &OTHER_BOUNDS,
        };
        Self::new(bounds).expect("constants ascend")
    }
}

impl fmt::Debug for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Why bounds are none.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum BoundsError {
    /// One is NaN, infinite, or not above the one before.
    Order {
        /// The bound.
        bound: f64,
        /// Its index.
        position: usize,
    },
    /// There are so many, more than [`BOUNDS_MAX`].
    TooMany(usize),
}

impl fmt::Display for BoundsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Order { bound, position } => {
                write!(
                    f,
                    "bound {position} is {bound}: bounds are finite and ascend"
                )
            }
            Self::TooMany(count) => {
                write!(
                    f,
                    "{count} bounds are more than the {BOUNDS_MAX} that a histogram may have"
                )
            }
        }
    }
}

impl Error for BoundsError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_the_first_bucket_whose_bound_is_not_below_it() {
        for count in 0..=2 * LANES + 1 {
            let numbers: Vec<_> = (0..count).map(|bound| bound as f64).collect();
            let bounds = Bounds::new(&numbers).unwrap();
            assert_eq!(
                (bounds.len(), bounds.iter().collect()),
                (count, numbers.clone())
            );
            for value in (-2..40).map(|half| f64::from(half) / 2.0) {
                let naive = numbers
                    .iter()
                    .position(|bound| value <= *bound)
                    .unwrap_or(count);
                assert_eq!(bounds.bucket(value), naive, "{value} in {numbers:?}");
            }
            assert_eq!(bounds.bucket(f64::NAN), count);
            assert_eq!(bounds.bucket(f64::INFINITY), count);
            assert_eq!(bounds.bucket(f64::NEG_INFINITY), 0);
        }
    }

    #[test]
    fn infinity_at_the_end_is_always_meant() {
        assert_eq!(Bounds::new(&[1.0, f64::INFINITY]), Bounds::new(&[1.0]));
        assert!(Bounds::new(&[f64::INFINITY]).unwrap().is_empty());
    }

    #[test]
    fn bounds_ascend_and_are_not_too_many() {
        for (bounds, position) in [
            (&[1.0, 1.0][..], 1),
            (&[2.0, 1.0], 1),
            (&[f64::NAN], 0),
            (&[0.0, f64::INFINITY, 3.0], 1),
            (&[f64::NEG_INFINITY], 0),
        ] {
            let Err(BoundsError::Order { position: at, .. }) = Bounds::new(bounds) else {
                panic!("{bounds:?} are no bounds");
            };
            assert_eq!(at, position);
        }
        let many: Vec<_> = (0..=BOUNDS_MAX).map(|bound| bound as f64).collect();
        assert!(Bounds::new(&many[1..]).is_ok());
        let refused = Bounds::new(&many).unwrap_err().to_string();
        assert_eq!(
            refused,
            "129 bounds are more than the 128 that a histogram may have"
        );
        let refused = Bounds::new(&[2.0, 1.0]).unwrap_err().to_string();
        assert_eq!(refused, "bound 1 is 1: bounds are finite and ascend");
    }

    #[test]
    fn the_default_bounds_ascend() {
        for unit in ["seconds", "bytes", ""] {
            assert!(!Bounds::of_unit(unit).is_empty());
        }
    }
}
