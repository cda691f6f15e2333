//! Prometheus' formats of numbers, timestamps and durations, in and out.

mod duration;
mod line;
mod plain;
mod shortest;
mod time;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};
use core::ops::Range;

pub use duration::{parse_api_duration_ns, parse_duration_ms};
pub(crate) use line::{Line, append_first};
use line::{NUMBER_BYTES, write_whole};
pub(crate) use plain::{BEFORE, plain_sample};
pub(crate) use time::{float_seconds_ms, parse_decimal_seconds};
pub use time::{parse_timestamp_ms, write_rfc3339_ms};

/// The longest number, timestamp or duration that is looked at: no sensible one is longer.
///
/// The longest value Prometheus writes is the smallest float without exponent, 1,078 bytes.
pub(crate) const TEXT_BYTES_MAX: usize = 2_048;

/// The powers of ten that are `u64`s.
const POWERS_OF_TEN: [u64; 20] = {
    let mut powers = [1; 20];
    let mut place = 1;
    while place < 20 {
        powers[place] = powers[place - 1] * 10;
        place += 1;
    }
    powers
};

/// The upper and the lower half of a product.
#[cfg(not(target_family = "wasm"))]
#[inline(always)]
fn product(a: u64, b: u64) -> (u64, u64) {
    let product = u128::from(a) * u128::from(b);
    ((product >> 64) as u64, product as u64)
}

/// The same where `u128` is multiplied by a call, and for all four of its words.
#[cfg(any(target_family = "wasm", test))]
#[inline(always)]
fn product_by_halves(a: u64, b: u64) -> (u64, u64) {
    const LOWER: u64 = 0xffff_ffff;
    let (a_upper, a_lower, b_upper, b_lower) = (a >> 32, a & LOWER, b >> 32, b & LOWER);
    let lower = a_lower * b_lower;
    let middle = a_upper * b_lower + (lower >> 32);
    let carried = a_lower * b_upper + (middle & LOWER);
    let upper = a_upper * b_upper + (middle >> 32) + (carried >> 32);
    (upper, carried << 32 | lower & LOWER)
}

#[cfg(target_family = "wasm")]
use product_by_halves as product;

/// A text that is not the number, timestamp or duration it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberError {
    text: String,
    expected: &'static str,
}

impl NumberError {
    pub(crate) fn new(text: &str, expected: &'static str) -> Self {
        /// Enough to recognise the text, short enough for a log line.
        const EXCERPT_BYTES: usize = 64;
        let text = String::from(&text[..text.floor_char_boundary(EXCERPT_BYTES)]);
        Self { text, expected }
    }

    /// The offending text, cut to its first 64 bytes.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for NumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not {}", self.text, self.expected)
    }
}

impl core::error::Error for NumberError {}

/// Parses a float as Go's `ParseFloat` does: decimal digits with exponent, `NaN`, `Inf`, `+Inf`, `-Inf`.
///
/// The words may be in any case and `infinity` in full. Every NaN comes back as [`f64::NAN`].
///
/// # Errors
///
/// Anything else, and numbers beyond the range of a float; also hexadecimal floats and underscores,
/// which Go reads and Prometheus never writes.
pub fn parse_float(text: &str) -> Result<f64, NumberError> {
    let error = || NumberError::new(text, "a number");
    if text.len() > TEXT_BYTES_MAX {
        return Err(error());
    }
    let bytes = text.as_bytes();
    let decimal = bytes
        .iter()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'+' | b'-' | b'e' | b'E'));
    if decimal {
        let value: f64 = text.parse().map_err(|_| error())?;
        return if value.is_finite() {
            Ok(value)
        } else {
            Err(error())
        };
    }
    if text.eq_ignore_ascii_case("nan") {
        return Ok(f64::NAN);
    }
    let (negative, word) = match bytes[0] {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if !word.eq_ignore_ascii_case("inf") && !word.eq_ignore_ascii_case("infinity") {
        return Err(error());
    }
    Ok(if negative {
        f64::NEG_INFINITY
    } else {
        f64::INFINITY
    })
}

/// Whole numbers that are written digit by digit: up to here each is a float, and its digits the shortest.
const WHOLE: Range<i64> = 0..1 << f64::MANTISSA_DIGITS;

/// Appends a sample value as Prometheus writes it in vectors and matrices, without quotes.
///
/// The shortest digits that read back as the same float; below 1e-6 and from 1e21 on with an
/// exponent of two digits or more. `NaN`, `+Inf`, `-Inf`, and `-0` for the negative zero.
pub fn write_float(value: f64, out: &mut Vec<u8>) {
    // Counts are whole numbers, and most other samples.
    let whole = value as i64;
    if whole as f64 == value && WHOLE.contains(&whole) && value.is_sign_positive() {
        return write_whole(whole as u64, out);
    }
    let mut line = Line::<NUMBER_BYTES>::new();
    if line.float(value) {
        return line.flush(out);
    }
    let magnitude = value.abs();
    if value.is_finite() && magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        write_exponent(value, out);
    } else {
        write_decimal(value, out);
    }
}

/// Appends a value as Prometheus writes scalars: as [`write_float`], never with an exponent.
pub fn write_decimal(value: f64, out: &mut Vec<u8>) {
    if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    } else {
        print(format_args!("{value}"), out);
    }
}

/// Appends a bound as Prometheus writes the label values `le` and `quantile`, and OpenMetrics asks for: with
/// a point or an exponent, the latter from 1e6 on and below 1e-4.
pub fn write_canonical(value: f64, out: &mut Vec<u8>) {
    let magnitude = value.abs();
    if value.is_finite() && magnitude != 0.0 && !(1e-4..1e6).contains(&magnitude) {
        return write_exponent(value, out);
    }
    let begin = out.len();
    write_float(value, out);
    if value.is_finite() && !out[begin..].contains(&b'.') {
        out.extend_from_slice(b".0");
    }
}

/// Appends a timestamp as Prometheus writes samples': whole seconds, or seconds and three decimals.
pub fn write_timestamp_ms(timestamp_ms: i64, out: &mut Vec<u8>) {
    let mut line: Line = Line::new();
    line.timestamp_ms(timestamp_ms);
    line.flush(out);
}

/// Appends `[t,"v"]`, as [`write_timestamp_ms`] and [`write_float`] would write the two.
///
/// The end of it may still be in `line`, which is to be flushed after the last sample.
#[inline(always)]
pub(crate) fn write_sample(timestamp_ms: i64, value: f64, line: &mut Line, out: &mut Vec<u8>) {
    if line.is_full() {
        line.flush(out);
    }
    line.put(b"[");
    line.timestamp_ms(timestamp_ms);
    line.put(b",\"");
    if !line.float(value) {
        line.flush(out);
        write_float(value, out);
    }
    line.put(b"\"]");
}

/// Appends a timestamp as Prometheus writes scalars': the shortest decimal of the seconds as a float.
pub(crate) fn write_short_seconds(timestamp_ms: i64, out: &mut Vec<u8>) {
    write_decimal(timestamp_ms as f64 / 1_000.0, out);
}

/// Writes `d.ddde±xx`, the exponent with its sign and at least two digits.
fn write_exponent(value: f64, out: &mut Vec<u8>) {
    let mark = out.len();
    print(format_args!("{value:e}"), out);
    let Some(e) = out[mark..].iter().position(|&byte| byte == b'e') else {
        return;
    };
    let mut digits = mark + e + 1;
    if out[digits] == b'-' {
        digits += 1;
    } else {
        out.insert(digits, b'+');
        digits += 1;
    }
    if out.len() - digits < 2 {
        out.insert(digits, b'0');
    }
}

/// Appends formatted text.
pub(crate) fn print(arguments: fmt::Arguments<'_>, out: &mut Vec<u8>) {
    struct Sink<'o>(&'o mut Vec<u8>);
    impl Write for Sink<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.extend_from_slice(text.as_bytes());
            Ok(())
        }
    }
    Sink(out)
        .write_fmt(arguments)
        .expect("writing to a vector does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_product_is_the_same_by_halves() {
        let edges = [0, 1, 9, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 63, u64::MAX];
        let odd = (1..40_u64).map(|nth| nth.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let factors: Vec<u64> = edges.into_iter().chain(odd).collect();
        for &a in &factors {
            for &b in &factors {
                let expected = u128::from(a) * u128::from(b);
                let (upper, lower) = product_by_halves(a, b);
                assert_eq!(u128::from(upper) << 64 | u128::from(lower), expected);
            }
        }
    }

    #[test]
    fn floats_are_written_as_go_writes_them() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (1e-6, "0.000001"),
            (1e-7, "1e-07"),
            (1.5e-9, "1.5e-09"),
            (-1e-100, "-1e-100"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (0.1 + 0.2, "0.30000000000000004"),
            (123_456_789.123_456_79, "123456789.12345679"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ];
        for (value, expected) in cases {
            assert_eq!(text(|out| write_float(value, out)), expected);
        }
    }

    #[test]
    fn whole_numbers_of_every_length_are_written_digit_by_digit() {
        let powers = (0..=16).map(|digits| 10_i64.pow(digits));
        let near = powers.flat_map(|power| [power - 1, power, power + 1, power / 7, power * 3 / 2]);
        for whole in near.chain([WHOLE.end - 1, WHOLE.end, WHOLE.end + 2]) {
            let exact = whole as f64;
            assert_eq!(text(|out| write_float(exact, out)), std::format!("{exact}"));
            assert_eq!(
                text(|out| write_float(-exact, out)),
                std::format!("{}", -exact)
            );
        }
    }

    #[test]
    fn scalars_have_no_exponent() {
        assert_eq!(text(|out| write_decimal(1e-7, out)), "0.0000001");
        assert_eq!(
            text(|out| write_decimal(1e22, out)),
            "10000000000000000000000"
        );
        assert_eq!(text(|out| write_decimal(f64::NEG_INFINITY, out)), "-Inf");
    }

    #[test]
    fn bounds_are_written_as_openmetrics_asks_for() {
        for (value, expected) in [
            (0.0, "0.0"),
            (1.0, "1.0"),
            (-1.0, "-1.0"),
            (0.0005, "0.0005"),
            (0.0001, "0.0001"),
            (0.00005, "5e-05"),
            (262_144.0, "262144.0"),
            (999_999.5, "999999.5"),
            (1e6, "1e+06"),
            (1_073_741_824.0, "1.073741824e+09"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(text(|out| write_canonical(value, out)), expected);
        }
    }

    #[test]
    fn timestamps_have_no_decimals_or_three() {
        let cases = [
            (0, "0"),
            (1, "0.001"),
            (-1, "-0.001"),
            (1_435_781_451_780, "1435781451.780"),
            (-1_500, "-1.500"),
            (1_435_781_451_000, "1435781451"),
            (i64::MIN, "-9223372036854775.808"),
            (i64::MAX, "9223372036854775.807"),
        ];
        for (timestamp_ms, expected) in cases {
            assert_eq!(text(|out| write_timestamp_ms(timestamp_ms, out)), expected);
        }
        assert_eq!(
            text(|out| write_short_seconds(1_435_781_451_780, out)),
            "1435781451.78"
        );
        assert_eq!(text(|out| write_short_seconds(-500, out)), "-0.5");
    }

    #[test]
    fn the_words_of_floats_are_read_in_any_case() {
        for word in ["Inf", "+Inf", "inf", "+infinity", "INF"] {
            assert_eq!(parse_float(word), Ok(f64::INFINITY), "{word}");
        }
        assert_eq!(parse_float("-Inf"), Ok(f64::NEG_INFINITY));
        assert_eq!(parse_float("NaN").unwrap().to_bits(), f64::NAN.to_bits());
        assert_eq!(parse_float("nan").unwrap().to_bits(), f64::NAN.to_bits());
    }

    #[test]
    fn decimals_and_exponents_are_read() {
        for (given, value) in [
            ("1", 1.0),
            ("+1", 1.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e-07", 1e-7),
            ("1E+21", 1e21),
        ] {
            assert_eq!(parse_float(given), Ok(value), "{given}");
        }
        assert_eq!(parse_float("-0").unwrap().to_bits(), (-0.0f64).to_bits());
        assert_eq!(parse_float("1e-400"), Ok(0.0));
    }

    #[test]
    fn garbage_is_never_a_number() {
        for given in [
            "", " 1", "1 ", ".", "e5", "1e", "+", "--1", "1.2.3", "0x1p4", "1_0", "1e400",
            "-1e400", "+nan", "infi", "١", "é", "null",
        ] {
            assert!(parse_float(given).is_err(), "{given:?}");
        }
        assert!(parse_float(&"1".repeat(TEXT_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn errors_repeat_the_beginning_of_the_text() {
        use alloc::string::ToString;
        let error = parse_float("up").unwrap_err();
        assert_eq!(error.to_string(), "\"up\" is not a number");
        assert_eq!(parse_float(&"é".repeat(40)).unwrap_err().text().len(), 64);
    }
}
