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

/// Into how many cells numbers are divided: enough for four bounds to a power of two, or for some
/// sixty one unit apart, in 2 KiB for each metric.
const CELLS: usize = 256;

/// Ascending upper bounds. A bucket has what is at most its bound and above the one before; one more
/// has what is above all.
///
/// Cloning shares them.
#[derive(Clone)]
pub struct Bounds {
    bounds: Arc<[f64]>,
    cells: Option<Cells>,
}

/// Ranges of numbers that have the same upper bits, so narrow that no two bounds are in one.
///
/// A positive float's bits ascend with it, and their upper part is its logarithm, roughly. One look
/// at the cell of a value and one comparison tell its bucket: there is no branch that a processor
/// could guess wrong, and few steps.
#[derive(Clone)]
struct Cells {
    /// How many bits are below the upper ones.
    shift: u32,
    /// Those bits.
    lower: u64,
    /// The upper bits of the first cell, which stands for all numbers below the bounds, as the last
    /// ones stand for all above.
    first: u64,
    /// The number of bounds below the cell in the last byte, and above that the lower bits of the bound
    /// that is in the cell, or more than numbers have.
    cells: Arc<[u64; CELLS]>,
}

/// So many bits of a cell are a number of bounds.
const COUNT_BITS: u32 = 8;
const _: () = assert!(BOUNDS_MAX < 1 << COUNT_BITS);
/// Above the lower bits of all numbers.
const NONE_ABOVE: u64 = u64::MAX >> COUNT_BITS;

impl Cells {
    /// The cells of these bounds, as wide as can be; `None` if it takes too many, as it does where a
    /// bound is not positive.
    fn of(bounds: &[f64]) -> Option<Self> {
        const FRACTION_BITS: u32 = f64::MANTISSA_DIGITS - 1;
        let (lowest, highest) = (*bounds.first()?, *bounds.last()?);
        if lowest <= 0.0 {
            return None;
        }
        let apart = |shift: &u32| {
            let same = |pair: &[f64]| upper(pair[0], *shift) == upper(pair[1], *shift);
            !bounds.windows(2).any(same)
        };
        // Beyond that, a single power of two has as many cells as there are.
        let mut shifts = (FRACTION_BITS - CELLS.ilog2()..=FRACTION_BITS).rev();
        let shift = shifts.find(apart)?;
        // Where the lowest bound is among the least numbers of all, nothing is below its cell.
        let first = upper(lowest, shift).saturating_sub(1);
        if upper(highest, shift) + 1 - first >= CELLS as u64 {
            return None;
        }
        let lower = !(u64::MAX << shift);
        let cell = |place: usize| {
            let own = first + place as u64;
            let below = bounds.partition_point(|bound| upper(*bound, shift) < own);
            let bound = bounds
                .get(below)
                .filter(|bound| upper(**bound, shift) == own);
            let rest = bound.map_or(NONE_ABOVE, |bound| bound.to_bits() & lower);
            rest << COUNT_BITS | below as u64
        };
        Some(Self {
            shift,
            lower,
            first,
            cells: Arc::new(std::array::from_fn(cell)),
        })
    }

    /// How many bounds are below `value`, which is not negative; all of them if it is NaN.
    #[inline]
    fn below(&self, value: f64) -> usize {
        let place = upper(value, self.shift).saturating_sub(self.first);
        let cell = self.cells[place.min(CELLS as u64 - 1) as usize];
        let above_own = value.to_bits() & self.lower > cell >> COUNT_BITS;
        usize::from(cell as u8) + usize::from(above_own)
    }
}

/// The upper bits of a number, which ascend with it unless it is negative.
#[inline]
const fn upper(value: f64, shift: u32) -> u64 {
    value.to_bits() >> shift
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
        Ok(Self {
            bounds: bounds.into(),
            cells: Cells::of(bounds),
        })
    }

    /// How many there are, +Inf not counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bounds.len()
    }

    /// Whether there are none but +Inf.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bounds.is_empty()
    }

    /// The bounds, without +Inf.
    pub fn iter(&self) -> impl Iterator<Item = f64> {
        self.bounds.iter().copied()
    }

    /// The bucket of a value: the index of the first bound that is not below it, or [`len`](Self::len).
    /// NaN is above all.
    ///
    /// It takes one comparison where the value and the bounds are positive and these neither very close to each
    /// other nor very far apart, as those in use are; else as many as halving takes.
    #[must_use]
    pub fn bucket(&self, value: f64) -> usize {
        self.bucket_at_once(value).unwrap_or_else(|| {
            let below = self.bounds.partition_point(|bound| *bound < value);
            if value.is_nan() { self.len() } else { below }
        })
    }

    /// The bucket of a value, where it takes one comparison.
    #[inline]
    pub(crate) fn bucket_at_once(&self, value: f64) -> Option<usize> {
        let cells = self.cells.as_ref()?;
        value.is_sign_positive().then(|| cells.below(value))
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

impl PartialEq for Bounds {
    fn eq(&self, other: &Self) -> bool {
        self.bounds == other.bounds
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

    /// Bounds, and whether each has a cell of its own.
    fn examples() -> Vec<(Vec<f64>, bool)> {
        let linear = |count: i32, step: f64| (1..=count).map(|at| f64::from(at) * step).collect();
        let growing = |count: i32, by: f64| (0..count).map(|at| by.powi(at) / 3.0).collect();
        let end = f64::from_bits(1.0_f64.to_bits() + 1);
        vec![
            (Vec::new(), false),
            (vec![1.0], true),
            (SECONDS_BOUNDS.into(), true),
            (BYTES_BOUNDS.into(), true),
            (OTHER_BOUNDS.into(), true),
            (linear(60, 1.0), true),
            (linear(128, 1.0), false),
            (linear(20, 5.0), true),
            (growing(128, 1.5), true),
            (growing(40, 1.1), true),
            (vec![1.0, 16.0, 17.0], true),
            (vec![5e-324, 1e-300], true),
            // Two that differ in the last bit, more powers of two than there are cells, and not positive.
            (vec![1.0, end], false),
            (vec![1.0, 256.0, 257.0], false),
            (vec![f64::MIN_POSITIVE, 1.0], false),
            (vec![5e-324, f64::MAX], false),
            (vec![0.0, 1.0, 2.0, 3.0], false),
            (vec![-2.5, -1.0, -0.0, 1.0, 7.0], false),
        ]
    }

    fn naive(bounds: &[f64], value: f64) -> usize {
        let first = bounds.iter().position(|bound| value <= *bound);
        first.unwrap_or(bounds.len())
    }

    #[test]
    fn a_value_is_in_the_first_bucket_whose_bound_is_not_below_it() {
        for (numbers, has_cells) in examples() {
            let bounds = Bounds::new(&numbers).unwrap();
            assert_eq!(bounds.cells.is_some(), has_cells, "{numbers:?}");
            assert_eq!(
                (bounds.len(), bounds.iter().collect()),
                (numbers.len(), numbers.clone())
            );
            let around = |bound: &f64| {
                [
                    bound.next_down(),
                    *bound,
                    bound.next_up(),
                    bound * 1.03,
                    -bound,
                ]
            };
            let near = numbers.iter().flat_map(around);
            let far = [0.0, -0.0, 5e-324, 1e-9, 1e300, f64::MAX, f64::MIN];
            let infinite = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -f64::NAN];
            for value in near.chain(far).chain(infinite) {
                let found = bounds.bucket(value);
                assert_eq!(found, naive(&numbers, value), "{value} in {numbers:?}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn any_value_is_found_in_any_bounds(
            mut numbers in proptest::collection::vec(0.001..1e4, 0..40),
            signed in proptest::bool::weighted(0.2),
            values in proptest::collection::vec(proptest::num::f64::ANY, 20),
        ) {
            if signed {
                numbers.iter_mut().step_by(3).for_each(|number: &mut f64| *number = -*number);
            }
            numbers.sort_by(f64::total_cmp);
            numbers.dedup();
            let bounds = Bounds::new(&numbers).unwrap();
            let near = numbers.iter().flat_map(|bound| [*bound, bound * 0.999, bound * 1.001]);
            for value in near.chain(values) {
                proptest::prop_assert_eq!(bounds.bucket(value), naive(&numbers, value));
            }
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
