//! The older points of a tail: as integers of four bytes where their values are decimals, which most are.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

use crate::chunk::{CHUNK_POINTS, Narrow, encode_values};

/// Values that wait to be sealed.
#[derive(Debug, Clone)]
pub(super) enum Older {
    /// All of them are such decimals.
    Narrow(Narrow, Vec<i32>),
    /// One of them is none.
    Wide(Vec<f64>),
}

/// What it takes beside its column on a 64-bit machine; told so on every target.
const OLDER_BYTES: usize = 40;
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Older>() == OLDER_BYTES);

impl Older {
    /// Takes these values, at least one.
    pub(super) fn new(values: &[f64]) -> Self {
        let mut integers = Vec::new();
        integers.reserve_exact(values.len());
        match Narrow::of(values) {
            Some(narrow) if narrow.take(values, &mut integers) => Self::Narrow(narrow, integers),
            _ => Self::Wide(values.to_vec()),
        }
    }

    /// Takes the values that come next.
    pub(super) fn extend(&mut self, values: &[f64]) {
        match self {
            Self::Narrow(narrow, integers) => {
                let count = integers.len();
                integers.reserve_exact(values.len());
                if !narrow.take(values, integers) {
                    let mut wide = Vec::with_capacity(count + values.len());
                    narrow.give(&integers[..count], &mut wide);
                    wide.extend_from_slice(values);
                    *self = Self::Wide(wide);
                }
            }
            Self::Wide(wide) => {
                wide.reserve_exact(values.len());
                wide.extend_from_slice(values);
            }
        }
    }

    pub(super) const fn len(&self) -> usize {
        match self {
            Self::Narrow(_, integers) => integers.len(),
            Self::Wide(values) => values.len(),
        }
    }

    /// The value at this place, which there is.
    pub(super) fn value(&self, nth: usize) -> f64 {
        match self {
            Self::Narrow(narrow, integers) => narrow.value(integers[nth]),
            Self::Wide(values) => values[nth],
        }
    }

    /// The values in this range, in `scratch` where they are not at hand.
    pub(super) fn values<'a>(
        &'a self,
        range: Range<usize>,
        scratch: &'a mut Vec<f64>,
    ) -> &'a [f64] {
        match self {
            Self::Narrow(narrow, integers) => {
                scratch.clear();
                narrow.give(&integers[range], scratch);
                scratch
            }
            Self::Wide(values) => &values[range],
        }
    }

    /// All values, no more than a chunk has, as bytes.
    pub(super) fn encoded(self) -> Box<[u8]> {
        debug_assert!(self.len() <= CHUNK_POINTS);
        match self {
            Self::Narrow(narrow, mut integers) => narrow.encode(&mut integers),
            Self::Wide(values) => encode_values(&values),
        }
    }

    /// Drops the `count` oldest, of at least as many.
    pub(super) fn drop_oldest(&mut self, count: usize) {
        match self {
            Self::Narrow(_, integers) => drop(integers.drain(..count)),
            Self::Wide(values) => drop(values.drain(..count)),
        }
    }

    pub(super) fn byte_size(&self) -> usize {
        let column = match self {
            Self::Narrow(_, integers) => integers.capacity() * size_of::<i32>(),
            Self::Wide(values) => values.capacity() * size_of::<f64>(),
        };
        OLDER_BYTES + column
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::decode_values;
    use crate::stale::stale_marker;
    use proptest::prelude::*;

    fn bits(values: &[f64]) -> Vec<u64> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    /// Gives back whether they were narrow.
    fn comes_back(values: &[f64], run: usize) -> bool {
        let mut older = Older::new(&values[..run]);
        values[run..].chunks(run).for_each(|run| older.extend(run));
        assert_eq!(older.len(), values.len());
        let mut scratch = Vec::new();
        let all = older.values(0..values.len(), &mut scratch);
        assert_eq!(bits(all), bits(values));
        for (nth, value) in values.iter().enumerate() {
            assert_eq!(older.value(nth).to_bits(), value.to_bits());
        }
        let (mut decoded, narrow) = (Vec::new(), matches!(older, Older::Narrow(..)));
        assert_eq!(
            decode_values(&older.encoded(), &mut decoded),
            Ok(values.len())
        );
        assert_eq!(bits(&decoded), bits(values));
        narrow
    }

    #[test]
    fn decimals_of_as_many_places_and_close_to_each_other_are_narrow() {
        let values: Vec<_> = (0..500).map(|n| f64::from(n * n) / 100.0).collect();
        assert!(comes_back(&values, 64));
        let far: Vec<_> = (0..500).map(|n| 4e15 + f64::from(n)).collect();
        assert!(
            !comes_back(&far, 64),
            "an integer past 51 bits is no decimal"
        );
        let far: Vec<_> = (0..500).map(|n| 1e15 - f64::from(n)).collect();
        assert!(comes_back(&far, 64));
    }

    #[test]
    fn one_value_that_is_no_such_decimal_makes_all_wide() {
        let edge = f64::from(1 << 27);
        for odd in [
            stale_marker(),
            f64::NAN,
            -0.0,
            0.25,
            1.0 / 3.0,
            f64::INFINITY,
            edge,
            -edge - 1.0,
        ] {
            for at in [63, 64, 499] {
                let mut values: Vec<_> = (0..500).map(|n| f64::from(n % 9) / 10.0).collect();
                (values[0], values[1]) = (0.0, 0.5);
                values[at] = odd;
                assert!(!comes_back(&values, 64), "{odd} at {at}");
            }
        }
        let mut values = alloc::vec![0.0; 100];
        (values[98], values[99]) = (edge - 1.0, -edge);
        assert!(comes_back(&values, 50));
    }

    #[test]
    fn what_is_dropped_is_dropped_from_the_front() {
        for odd in [3.0, 1.0 / 3.0] {
            let values: Vec<_> = (0..100)
                .map(|n| if n == 70 { odd } else { f64::from(n) })
                .collect();
            let mut older = Older::new(&values);
            older.drop_oldest(60);
            let mut scratch = Vec::new();
            assert_eq!(older.values(0..40, &mut scratch), &values[60..]);
            assert_eq!(older.len(), 40);
        }
    }

    proptest! {
        #[test]
        fn whatever_waits_comes_back_bit_for_bit(
            values in prop::collection::vec((any::<i32>(), any::<u64>(), 0_u32..2_000), 1..512),
            (shift, places) in (0_u32..32, 0_usize..4),
            (run, far) in (1_usize..100, 0_i64..1 << 40),
        ) {
            let scale = [1.0, 10.0, 1e3, 1e6][places];
            let value = |&(integer, bits, chance): &(i32, u64, u32)| match chance {
                0 => f64::from_bits(bits),
                _ => (far + i64::from(integer >> shift)) as f64 / scale,
            };
            let values: Vec<_> = values.iter().map(value).collect();
            comes_back(&values, run.min(values.len()));
        }
    }
}
