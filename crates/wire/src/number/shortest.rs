//! The shortest decimal of a float in the range that samples have, by whole numbers alone.
//!
//! It gives the digits that the standard library would, which is left what this does not cover: what is
//! written with an exponent, whole numbers above 2^53, and the few floats between two equally good
//! decimals.

use super::{POWERS_OF_TEN, product};

/// Below this, numbers are written with an exponent.
const LEAST: f64 = 1e-6;
/// From here on every float is a whole number, though perhaps not in its shortest form.
const WHOLE: f64 = (1_u64 << 53) as f64;
/// The most places that a float of this range has in its shortest form: one of 1e-6 is known to 2^-72.
const PLACES_MAX: usize = 22;

const POWERS_OF_FIVE: [u64; PLACES_MAX + 1] = {
    let mut powers = [1; PLACES_MAX + 1];
    let mut place = 1;
    while place <= PLACES_MAX {
        powers[place] = powers[place - 1] * 5;
        place += 1;
    }
    powers
};

/// `whole + fraction / 10^places`; the fraction has no zeros at its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    pub(super) whole: u64,
    pub(super) fraction: u64,
    pub(super) places: usize,
}

/// The shortest decimal that reads back as `value`, and of those the nearest.
///
/// `None` for what is not covered; negative numbers and -0 are not either.
#[inline(always)]
pub(super) fn shortest(value: f64) -> Option<Decimal> {
    if !(LEAST..WHOLE).contains(&value) && value.to_bits() != 0 {
        return None;
    }
    // Signed numbers are converted in one step.
    let whole = value as i64;
    if whole as f64 == value {
        return Some(Decimal {
            whole: whole as u64,
            fraction: 0,
            places: 0,
        });
    }
    let (digits, places) = three_places(value).or_else(|| many_places(value))?;
    // The whole numbers on both sides are floats, so that no decimal beyond them reads back as the value.
    let below_point = POWERS_OF_TEN
        .get(places)
        .map_or(0, |power| whole as u64 * power);
    let (fraction, places) = stripped(digits - below_point, places);
    Some(Decimal {
        whole: whole as u64,
        fraction,
        places,
    })
}

/// The value in thousandths, if it has no further places, and at most 15 digits.
///
/// Decimals of up to 15 digits are different floats, so no other one is shorter. The product with a
/// power of ten misses the whole number by two roundings, which for 15 digits is less than a quarter.
#[inline(always)]
fn three_places(value: f64) -> Option<(u64, usize)> {
    const DIGITS_15: f64 = 1e15;
    let digits = (value * 1_000.0 + 0.5) as i64 as f64;
    (digits / 1_000.0 == value && digits < DIGITS_15).then_some((digits as i64 as u64, 3))
}

/// With as many places as it takes, and perhaps zeros at the end.
///
/// The value is `c·2^q`; what lies within half of `2^q` reads back as it. With `10^-k` at most `2^q`,
/// some number of `k` places lies there, and with `10^-(k-1)` above it at most one of fewer places.
/// Everything is counted in units of `2^-(s+1)` of the last of the `k` places: the value is `2·c·5^k`,
/// where `s = -(q + k)`, and half of `2^q` is `5^k`, which is odd, so no candidate lies on the edge.
///
/// The last digit of many samples is random, so that nothing here branches on it.
#[inline(always)]
fn many_places(value: f64) -> Option<(u64, usize)> {
    const FRACTION_BITS: u32 = f64::MANTISSA_DIGITS - 1;
    let bits = value.to_bits();
    let fraction = bits & ((1 << FRACTION_BITS) - 1);
    if fraction == 0 {
        // A power of two: the floats below it lie closer.
        return None;
    }
    let c = fraction | 1 << FRACTION_BITS;
    let q = (bits >> FRACTION_BITS) as i32 - 1_075;
    // 78,913 / 2^18 is the logarithm of 2 to the base 10, well enough for |q| up to 73.
    let k = ((-q * 78_913) >> 18) as usize + 1;
    let half = *POWERS_OF_FIVE.get(k)?;
    let (upper, lower) = product(2 * c, half);
    // At most 51, so that ten units fit a word.
    let unit_bits = (1 - q - k as i32) & 63;
    let unit = 1_u64 << unit_bits;
    let digits = upper << 1 << (63 - unit_bits) | lower >> unit_bits;
    let rest = lower & (unit - 1);
    let (tens, ones) = (digits / 10, digits % 10);
    let above_tens = (ones << unit_bits) + rest;
    let (down, up) = (above_tens < half, 10 * unit - above_tens < half);
    let shorter = down | up;
    if 2 * rest == unit && !shorter {
        return None;
    }
    let (digits, round_up) = if shorter {
        (tens, up)
    } else {
        (digits, 2 * rest > unit)
    };
    Some((digits + u64::from(round_up), k - usize::from(shorter)))
}

/// Without zeros at the end of the fraction, which is not zero.
#[inline(always)]
fn stripped(mut fraction: u64, mut places: usize) -> (u64, usize) {
    while fraction.is_multiple_of(10) {
        fraction /= 10;
        places -= 1;
    }
    (fraction, places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    /// What the standard library writes.
    fn expected(value: f64) -> Decimal {
        let text = format!("{value}");
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, "0"));
        Decimal {
            whole: whole.parse().unwrap(),
            fraction: fraction.parse().unwrap(),
            places: text.len() - (whole.len() + 1).min(text.len()),
        }
    }

    #[test]
    fn digits_are_those_of_the_standard_library() {
        for value in [
            0.1,
            0.3,
            0.1 + 0.2,
            1.0 / 3.0,
            1e-6,
            1.000000000000001e-6,
            123_456_789.123_456_79,
            0.016666666666666666,
            1.5,
            0.25,
            99_999.999,
            1_435_781_451.781,
            5e-5,
            0.0012,
            4_503_599_627_370_495.5,
            0.1 + 0.7,
            9.95,
        ] {
            assert_eq!(shortest(value), Some(expected(value)), "{value}");
        }
        for value in [0.0, 1.0, 10.0, 9_007_199_254_740_991.0] {
            assert_eq!(shortest(value), Some(expected(value)), "{value}");
        }
    }

    #[test]
    fn neighbours_of_round_numbers_are_told_apart() {
        for base in [1e-6, 0.001, 0.1, 0.3, 1.0, 2.5, 1_000.001, 1e9, 4e15] {
            let mut value: f64 = base;
            for _ in 0..1_000 {
                if let Some(found) = shortest(value) {
                    assert_eq!(found, expected(value), "{value}");
                }
                value = value.next_up();
            }
        }
    }

    #[test]
    fn what_is_not_covered_is_left_to_the_standard_library() {
        for value in [
            -0.0,
            -1.0,
            9.9e-7,
            9_007_199_254_740_992.0,
            1e300,
            f64::NAN,
            f64::INFINITY,
            // A power of two without a short form.
            1.0 / 4_096.0,
            // Halfway between .2 and .3.
            1e15 + 0.25,
        ] {
            assert_eq!(shortest(value), None, "{value}");
        }
    }
}
