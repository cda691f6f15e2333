//! Decimals in four bytes each: how most values wait to be encoded.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{decimal, values};

/// How values of one run are integers of four bytes: `v = (base + i) / 10^places`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Narrow {
    base: i64,
    places: u8,
}

impl Narrow {
    /// How these values, at least one, are likely to be; `None` if most are no decimals.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let places = decimal::places(values)?;
        let mut base = [0];
        let fits = decimal::scale_all(&values[..1], places, &mut base);
        fits.then_some(Self {
            base: base[0],
            places,
        })
    }

    /// Appends these values as integers; if one is none it says `false`, and what it has appended means nothing.
    pub(crate) fn take(self, values: &[f64], integers: &mut Vec<i32>) -> bool {
        decimal::narrow_all(values, self.places, self.base, integers)
    }

    /// Appends the values that these integers are, bit for bit what they were.
    pub(crate) fn give(self, integers: &[i32], values: &mut Vec<f64>) {
        let wide = |&integer: &i32| self.base.wrapping_add(i64::from(integer)) as u64;
        decimal::unscale(integers.iter().map(wide), self.places, values);
    }

    /// The value that this integer is.
    pub(crate) fn value(self, integer: i32) -> f64 {
        let mut value = Vec::new();
        self.give(&[integer], &mut value);
        value[0]
    }

    /// The bytes of these values, a block of them at most, as [`encode_values`](super::encode_values) writes them;
    /// `integers` is used up as scratch.
    pub(crate) fn encode(self, integers: &mut [i32]) -> Box<[u8]> {
        values::encode_decimals(integers, self.base, self.places)
    }
}
