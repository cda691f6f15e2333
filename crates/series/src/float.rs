//! Arithmetic on doubles that is the same on every target, down to the bits.

/// The lesser of two. A NaN is passed over, and of two equal numbers the first is taken, zeros of either sign too.
pub(crate) const fn lesser(a: f64, b: f64) -> f64 {
    if b < a || a.is_nan() { b } else { a }
}

/// The greater of two, by the same rule.
pub(crate) const fn greater(a: f64, b: f64) -> f64 {
    if b > a || a.is_nan() { b } else { a }
}

/// The number, every NaN as the same one: targets differ in its sign and payload.
pub(crate) const fn canonical(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value }
}

/// A sum and what rounding has left out of it: the exact addition of Knuth, without a branch.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    pub(crate) const fn new() -> Self {
        Self {
            sum: 0.0,
            lost: 0.0,
        }
    }

    pub(crate) fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        let part = sum - self.sum;
        self.lost += (self.sum - (sum - part)) + (value - part);
        self.sum = sum;
    }

    pub(crate) fn value(self) -> f64 {
        // An infinity leaves no error to make good.
        if self.sum.is_finite() {
            self.sum + self.lost
        } else {
            self.sum
        }
    }
}

impl FromIterator<f64> for Sum {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut sum = Self::new();
        values.into_iter().for_each(|value| sum.add(value));
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nan_is_passed_over_and_the_first_of_equals_is_taken() {
        for (a, b, less, more) in [
            (1.0, 2.0, 1.0, 2.0),
            (2.0, 1.0, 1.0, 2.0),
            (f64::NAN, 1.0, 1.0, 1.0),
            (1.0, f64::NAN, 1.0, 1.0),
        ] {
            assert_eq!((lesser(a, b), greater(a, b)), (less, more));
        }
        assert!(lesser(-0.0, 0.0).is_sign_negative() && greater(-0.0, 0.0).is_sign_negative());
        assert!(lesser(f64::NAN, f64::NAN).is_nan());
        assert_eq!(canonical(-f64::NAN).to_bits(), f64::NAN.to_bits());
        assert_eq!(canonical(-0.0).to_bits(), (-0.0_f64).to_bits());
    }

    #[test]
    fn what_rounding_loses_is_made_good() {
        let sum: Sum = [1e100, 1.0, -1e100, 2.0].into_iter().collect();
        assert_eq!(sum.value(), 3.0);
        assert_eq!(Sum::new().value(), 0.0);
    }

    #[test]
    fn infinities_and_nans_are_what_they_are() {
        let (up, down) = (f64::INFINITY, f64::NEG_INFINITY);
        assert_eq!([1.0, up].into_iter().collect::<Sum>().value(), up);
        for values in [[up, down], [1.0, f64::NAN]] {
            assert!(values.into_iter().collect::<Sum>().value().is_nan());
        }
    }
}
