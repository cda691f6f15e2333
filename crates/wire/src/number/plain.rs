//! Decimals without exponent, which nearly all samples are, read in a few steps.
//!
//! What is read here is what [`parse_float`](super::parse_float) makes of the same text, bit for bit;
//! what would take more care is left to it.

use super::{POWERS_OF_TEN, product};
use crate::swar::{as_digits, last_bytes, mark_no_digit, number};

/// Up to here every whole number is a float.
const EXACT_MAX: u64 = 1 << 53;
/// The most digits of a fraction in 24 bytes.
const PLACES_MAX: usize = 22;

/// The powers of ten up to that of eight places.
const EXACT_POWERS_OF_TEN: [f64; 9] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8];

/// `1 / 5^k`, cut to 64 bits: `significand * 2^-(63 + bits)` and less than one unit more.
#[derive(Clone, Copy)]
struct Reciprocal {
    significand: u64,
    /// The length of `5^k` in bits.
    bits: i32,
}

const RECIPROCALS: [Reciprocal; PLACES_MAX + 1] = reciprocals();

const fn reciprocals() -> [Reciprocal; PLACES_MAX + 1] {
    let mut table = [Reciprocal {
        significand: 0,
        bits: 1,
    }; PLACES_MAX + 1];
    let mut power: u128 = 1;
    let mut places = 1;
    while places <= PLACES_MAX {
        power *= 5;
        let bits = 128 - power.leading_zeros() as i32;
        table[places] = Reciprocal {
            significand: ((1 << (63 + bits)) / power) as u64,
            bits,
        };
        places += 1;
    }
    table
}

/// How much of a body is looked at for one sample: [`BEFORE`] bytes before it, and enough after.
pub(crate) const WINDOW: usize = 72;
/// Where the sample starts in the window. Numbers are read in words that end where they do, so the
/// words may start before the sample.
pub(crate) const BEFORE: usize = 24;

/// Reads the `[t,"v"]` that starts at [`BEFORE`], where `t` is ten digits of seconds with or without
/// three decimals and `v` is `-?[0-9]+(\.[0-9]+)?`: milliseconds, value and length.
///
/// `None` for anything else, and for values that are longer than 24 bytes or hard to round.
#[inline]
pub(crate) fn plain_sample(window: &[u8; WINDOW]) -> Option<(i64, f64, usize)> {
    let (timestamp_ms, start) = timestamp(window)?;
    let (value, end) = value(window, start)?;
    if window[end % WINDOW] != b'"' || window[(end + 1) % WINDOW] != b']' {
        return None;
    }
    Some((timestamp_ms, value, end + 2 - BEFORE))
}

/// The eight bytes from `at` on; places beyond the window, which nobody asks for, wrap around.
#[inline(always)]
fn word(window: &[u8; WINDOW], at: usize) -> u64 {
    let eight = window[at % 64..].first_chunk::<8>();
    u64::from_le_bytes(*eight.expect("it has 72 bytes"))
}

/// Reads `[t,"`: milliseconds, and where the value starts.
#[inline(always)]
fn timestamp(window: &[u8; WINDOW]) -> Option<(i64, usize)> {
    let high = as_digits(word(window, BEFORE + 1));
    let rest = word(window, BEFORE + 9).to_le_bytes();
    let low = [rest[0].wrapping_sub(b'0'), rest[1].wrapping_sub(b'0')];
    if window[BEFORE] != b'[' || mark_no_digit(high) != 0 || low[0] > 9 || low[1] > 9 {
        return None;
    }
    let seconds = number(high) * 100 + u64::from(low[0]) * 10 + u64::from(low[1]);
    let (millis, length) = match rest[2..4] {
        [b',', b'"'] => (0, 13),
        _ => (milliseconds(rest)?, 17),
    };
    Some(((seconds * 1_000 + millis) as i64, BEFORE + length))
}

/// The digits of `__.781,"`.
#[inline(always)]
fn milliseconds(text: [u8; 8]) -> Option<u64> {
    let [_, _, b'.', first, second, third, b',', b'"'] = text else {
        return None;
    };
    let digits = [first, second, third].map(|digit| digit.wrapping_sub(b'0'));
    let all_digits = digits.iter().all(|digit| *digit < 10);
    let [first, second, third] = digits.map(u64::from);
    all_digits.then_some(first * 100 + second * 10 + third)
}

/// Reads a value that ends with a quote: the value, and where the quote would be.
///
/// Among values of one series, their lengths decide little but shifts and masks, so that they do not
/// mislead the processor when they change.
#[inline(always)]
fn value(window: &[u8; WINDOW], start: usize) -> Option<(f64, usize)> {
    /// Set in all digits; not in `.`, `"` and whatever else numbers are written with.
    const DIGIT: u64 = 0x1010_1010_1010_1010;
    let negative = window[start % WINDOW] == b'-';
    let start = start + usize::from(negative);
    let words = [0, 8, 16].map(|offset| word(window, start + offset));
    let marks = words.map(|word| !word & DIGIT);
    let whole_length = marks[0].trailing_zeros() as usize / 8;
    if whole_length == 0 {
        return None;
    }
    let (magnitude, length) = if whole_length == 8 {
        long(window, start, marks)?
    } else {
        // Shifted to the end of the word.
        let whole = as_digits(words[0]) << (64 - 8 * whole_length);
        if mark_no_digit(whole) != 0 {
            return None;
        }
        let whole = number(whole);
        if window[(start + whole_length) % WINDOW] != b'.' {
            (whole as i64 as f64, whole_length)
        } else {
            let length = first([marks[0] & (marks[0] - 1), marks[1], marks[2]]);
            let places = length - whole_length - 1;
            (
                with_fraction(window, start + length, whole, places)?,
                length,
            )
        }
    };
    Some((
        if negative { -magnitude } else { magnitude },
        start + length,
    ))
}

/// The first mark in 24 bytes; 24 without any.
#[inline(always)]
fn first(marks: [u64; 3]) -> usize {
    let [a, b, c] = marks.map(|marks| marks.trailing_zeros() as usize);
    let behind = core::hint::select_unpredictable(b < 64, 64 + b, 128 + c);
    core::hint::select_unpredictable(a < 64, a, behind) / 8
}

/// A number of eight digits or more: its value and its length.
fn long(window: &[u8; WINDOW], start: usize, marks: [u64; 3]) -> Option<(f64, usize)> {
    let whole_length = first(marks);
    let whole = digits_before(window, start + whole_length, whole_length)?;
    if window[(start + whole_length) % WINDOW] != b'.' {
        return Some((whole as f64, whole_length));
    }
    let [_, b, c] = marks;
    let length = match b {
        0 => first([0, 0, c & c.wrapping_sub(1)]),
        _ => first([0, b & (b - 1), c]),
    };
    let places = (length - whole_length).checked_sub(1)?;
    let value = with_fraction(window, start + length, whole, places)?;
    Some((value, length))
}

/// `whole` and a fraction of the `places` digits before `end`, at most 22.
#[inline(always)]
fn with_fraction(window: &[u8; WINDOW], end: usize, whole: u64, places: usize) -> Option<f64> {
    if places == 0 {
        return None;
    }
    if places > 8 {
        let fraction = digits_before(window, end, places)?;
        return match SHIFTED_MAX.get(places) {
            Some(_) => divided(shifted(whole, places)?.checked_add(fraction)?, places),
            None if whole == 0 => divided(fraction, places),
            None => None,
        };
    }
    let fraction = last_bytes(as_digits(word(window, end - 8)), places);
    if mark_no_digit(fraction) != 0 {
        return None;
    }
    let number = shifted(whole, places)? + number(fraction);
    match number <= EXACT_MAX {
        // Both are exact, so the division rounds once.
        true => Some(number as i64 as f64 / EXACT_POWERS_OF_TEN[places]),
        false => divided(number, places),
    }
}

/// With so many zeros, at most 19, unless that passes a `u64`. A multiplication that watches for that
/// is a call in WebAssembly.
#[inline(always)]
fn shifted(number: u64, places: usize) -> Option<u64> {
    (number <= SHIFTED_MAX[places]).then(|| number * POWERS_OF_TEN[places])
}

/// What may be [`shifted`].
const SHIFTED_MAX: [u64; 20] = {
    let mut most = [u64::MAX; 20];
    let mut places = 1;
    while places < 20 {
        most[places] = u64::MAX / POWERS_OF_TEN[places];
        places += 1;
    }
    most
};

/// The number that `count` digits before `end` make, 8 to 24; `None` if one is none, or it passes a
/// `u64`.
#[inline(always)]
fn digits_before(window: &[u8; WINDOW], end: usize, count: usize) -> Option<u64> {
    let last = as_digits(word(window, end - 8));
    let middle = as_digits(word(window, end - 16));
    let middle = last_bytes(middle, count.saturating_sub(8).min(8));
    let first = as_digits(word(window, end - 24));
    let first = last_bytes(first, count.saturating_sub(16).min(8));
    if mark_no_digit(last) | mark_no_digit(middle) | mark_no_digit(first) != 0 {
        return None;
    }
    let upper = shifted(number(first), 16)?;
    upper.checked_add(number(middle) * POWERS_OF_TEN[8] + number(last))
}

/// `number / 10^places`, rounded to the nearest float, or `None` where that takes more care.
///
/// It multiplies with a reciprocal that is a little short. Let `w` be the number shifted to 64 bits and
/// `r` the reciprocal: the quotient lies in `[w·r, w·(r + 1))`, which is less than `2^64` wide. In units
/// of the upper half of the product, the bits below those that a float keeps are thus known but for
/// less than 1, and the rounding with them unless they touch the middle.
#[inline]
fn divided(number: u64, places: usize) -> Option<f64> {
    let Reciprocal { significand, bits } = *RECIPROCALS.get(places)?;
    if number == 0 {
        return Some(0.0);
    }
    let shift = number.leading_zeros();
    let (upper, lower) = product(number << shift, significand);
    let dropped = 11 - upper.leading_zeros();
    let middle = 1 << (dropped - 1);
    let rest = upper & (2 * middle - 1);
    if rest == middle - 1 || (rest == middle && lower == 0) {
        return None;
    }
    let kept = (upper >> dropped) + u64::from(rest >= middle);
    let exponent = dropped as i32 + 1 - shift as i32 - places as i32 - bits;
    // At least 1e-22, so a power of two with which the product is exact.
    Some(kept as i64 as f64 * f64::from_bits(((exponent + 1_023) as u64) << 52))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::parse_float;
    use alloc::string::String;
    use std::format;

    fn sample(text: &str) -> Option<(i64, f64, usize)> {
        let body = format!("{:BEFORE$}{text:48}", "");
        plain_sample(body.as_bytes().first_chunk().unwrap())
    }

    fn read(text: &str) -> Option<u64> {
        let (_, value, length) = sample(&format!("[1435781451,\"{text}\"]"))?;
        assert_eq!(length, 15 + text.len());
        Some(value.to_bits())
    }

    #[test]
    fn what_is_read_is_what_the_general_parser_reads() {
        for text in [
            "0",
            "-0",
            "-0.0",
            "1",
            "007",
            "0.1",
            "-2.5",
            "0.30000000000000004",
            "0.016666666666666666",
            "0.0016666666666666668",
            "9007199254740993",
            "18446744073709551615",
            "123456789.12345679",
            "0.000001",
            "-1435781451.781",
            "0.0000000000000000000001",
            "0.123456789012345678",
            "1844.6744073709551615",
        ] {
            let value = parse_float(text).unwrap();
            assert_eq!(read(text), Some(value.to_bits()), "{text}");
        }
    }

    #[test]
    fn what_takes_more_care_is_left_alone() {
        for text in [
            "",
            "-",
            "+1",
            ".5",
            "5.",
            "NaN",
            "+Inf",
            "-Inf",
            "x",
            "--1",
            "-.5",
            "1e5",
            "1.5.2",
            "1 ",
            " 1",
            "1\\\"",
            "18446744073709551616",
            "1.00000000000000000000",
            "12345678901234567890.5",
            "0.00000000000000000000001",
            "0.000000000000000000000000000001",
            "000000000000000000000000.5",
            // Halfway between two floats.
            "4503599627370497.5",
            "9007199254740993.0",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn samples_are_read_in_the_form_prometheus_writes() {
        assert_eq!(
            sample(r#"[1435781451.781,"1.5"]"#),
            Some((1_435_781_451_781, 1.5, 22))
        );
        assert_eq!(
            sample(r#"[1435781451,"-2"]"#),
            Some((1_435_781_451_000, -2.0, 17))
        );
        for other in [
            r#"1435781451,"1"]"#,
            r#"[143578145,"1"]"#,
            r#"[14357814511,"1"]"#,
            r#"[1435781451.78,"1"]"#,
            r#"[1435781451.7811,"1"]"#,
            r#"[-143578145,"1"]"#,
            r#"[1435781451 ,"1"]"#,
            r#"[1435781451, "1"]"#,
            r#"[1435781451,1]"#,
            r#"[1435781451,"1" ]"#,
            r#"[1435781451,"1e5"]"#,
            r#"[1435781451,"NaN"]"#,
            r#"[1435781451,"1","#,
            r#"[1435781451."#,
            "[",
        ] {
            assert_eq!(sample(other), None, "{other}");
        }
    }

    #[test]
    fn a_sample_that_is_cut_off_anywhere_is_none() {
        let text = String::from(r#"[1435781451.781,"0.016666666666666666"]"#);
        for end in 0..text.len() {
            assert_eq!(sample(&text[..end]), None);
        }
    }
}
