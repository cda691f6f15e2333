//! Durations: Prometheus' units, and what the API accepts as a step or timeout.

use super::{NumberError, parse_float};

/// Units from the longest to the shortest, the order in which they must come, in milliseconds.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The longest duration: Prometheus counts nanoseconds in an `i64`.
const DURATION_MS_MAX: i64 = i64::MAX / 1_000_000;

/// Parses a Prometheus duration such as `1h30m`, `15s`, `500ms`, `1d`, `1w`, `1y` or `0` into milliseconds.
///
/// A year is 365 days. Units come from long to short, each at most once, with whole numbers.
///
/// # Errors
///
/// Any other text, and durations beyond 292 years.
pub fn parse_duration_ms(text: &str) -> Result<i64, NumberError> {
    let error = || NumberError::new(text, "a duration such as 15s or 1h30m");
    if text == "0" {
        return Ok(0);
    }
    if text.is_empty() {
        return Err(error());
    }
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let (count, unit, after) = part(rest).ok_or_else(error)?;
        let (_, unit_ms) = units.find(|(name, _)| *name == unit).ok_or_else(error)?;
        total = count
            .checked_mul(*unit_ms)
            .and_then(|part| total.checked_add(part))
            .ok_or_else(error)?;
        rest = after;
    }
    if total > DURATION_MS_MAX {
        Err(error())
    } else {
        Ok(total)
    }
}

/// Parses what Prometheus' API takes for `step` and `timeout` into nanoseconds: float seconds or a duration.
///
/// Seconds are cut to whole nanoseconds. They may be zero or negative, for the caller to refuse; NaN
/// comes out as zero.
///
/// # Errors
///
/// Neither of the two, or beyond 292 years.
pub fn parse_api_duration_ns(text: &str) -> Result<i64, NumberError> {
    let Ok(seconds) = parse_float(text) else {
        return parse_duration_ms(text).map(|ms| ms * 1_000_000);
    };
    let nanos = seconds * 1e9;
    if nanos.abs() >= i64::MAX as f64 {
        return Err(NumberError::new(text, "a duration in seconds"));
    }
    Ok(nanos as i64)
}

/// Splits off one number with its unit.
fn part(text: &str) -> Option<(i64, &str, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    let letters = rest.bytes().take_while(u8::is_ascii_lowercase).count();
    let (unit, rest) = rest.split_at(letters);
    Some((number.parse().ok()?, unit, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_add_up() {
        let cases = [
            ("0", 0),
            ("0s", 0),
            ("500ms", 500),
            ("15s", 15_000),
            ("1m", 60_000),
            ("1h30m", 5_400_000),
            ("1d", 86_400_000),
            ("1w", 604_800_000),
            ("1y", 31_536_000_000),
            ("1y2w3d4h5m6s7ms", 33_019_506_007),
            ("007s", 7_000),
            ("1m1ms", 60_001),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_duration_ms(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "5",
            "s",
            "1.5s",
            "-1s",
            "+1s",
            "1s1m",
            "1s1s",
            "1x",
            "1 s",
            "1S",
            "1smm",
            "293y",
            "99999999999999999999s",
            "9223372036854775807y",
            "1é",
        ] {
            assert!(parse_duration_ms(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_api_takes_seconds_too() {
        let cases = [
            ("15", 15_000_000_000),
            ("0.5", 500_000_000),
            ("1e3", 1_000_000_000_000),
            ("15s", 15_000_000_000),
            ("-1", -1_000_000_000),
            ("0", 0),
            ("0.0000000019", 1),
            ("1.001", 1_000_999_999),
            ("NaN", 0),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_api_duration_ns(text), Ok(expected), "{text}");
        }
        for text in ["", "Inf", "-Inf", "1e300", "9223372037", "abc"] {
            assert!(parse_api_duration_ns(text).is_err(), "{text:?}");
        }
    }
}
