//! Timestamps: exact decimal seconds from responses, and what the API accepts as a time.

use alloc::format;
use alloc::vec::Vec;

use super::{NumberError, TEXT_BYTES_MAX, parse_float};

/// Times Prometheus' clients send for "from the beginning" and "to the end", and their milliseconds.
///
/// They lie outside RFC 3339, so Prometheus recognises them literally.
const OPEN_ENDS: [(&str, i64); 2] = [
    (
        "-292273086-05-16T16:47:06Z",
        (i64::MIN / 1_000 + 62_135_596_801) * 1_000,
    ),
    (
        "292277025-08-18T07:12:54.999999999Z",
        (i64::MAX / 1_000 - 62_135_596_801) * 1_000 + 999,
    ),
];

/// Days of 400 years, after which the calendar repeats.
const DAYS_PER_ERA: i64 = 146_097;

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: i64 = 719_468;

/// Parses a time as Prometheus' API does: Unix seconds as a float, or RFC 3339; the result is in milliseconds.
///
/// Seconds are rounded to the nearest millisecond; RFC 3339 is cut to it.
///
/// # Errors
///
/// Neither of the two, not finite, or beyond the milliseconds an `i64` holds.
pub fn parse_timestamp_ms(text: &str) -> Result<i64, NumberError> {
    let error = || NumberError::new(text, "a unix time in seconds or an rfc 3339 time");
    if let Ok(seconds) = parse_float(text) {
        return float_seconds_ms(seconds).ok_or_else(error);
    }
    if let Some((_, timestamp_ms)) = OPEN_ENDS.iter().find(|(name, _)| *name == text) {
        return Ok(*timestamp_ms);
    }
    rfc3339_ms(text.as_bytes()).ok_or_else(error)
}

/// Whole seconds and the fraction rounded to milliseconds, half away from zero, as Prometheus does.
pub(crate) fn float_seconds_ms(seconds: f64) -> Option<i64> {
    /// The most seconds whose milliseconds an `i64` holds.
    const SECONDS_MAX: i64 = i64::MAX / 1_000 - 1;
    if seconds.is_nan() || seconds.abs() > SECONDS_MAX as f64 {
        return None;
    }
    let whole = seconds as i64;
    let millis = (seconds - whole as f64) * 1_000.0;
    let cut = millis as i64;
    let rounded = match millis - cut as f64 {
        rest if rest >= 0.5 => cut + 1,
        rest if rest <= -0.5 => cut - 1,
        _ => cut,
    };
    whole.checked_mul(1_000)?.checked_add(rounded)
}

/// Parses a JSON number of seconds into milliseconds, exactly.
///
/// `None` if it is no whole number of milliseconds, or beyond an `i64`.
pub(crate) fn parse_decimal_seconds(text: &str) -> Option<i64> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    // Digits at this place or later stand for less than a millisecond.
    let places = i64::try_from(whole.len()).ok()? + i64::from(exponent) + 3;
    let mut magnitude: i64 = 0;
    let mut count = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        if !digit.is_ascii_digit() || (count >= places && digit != b'0') {
            return None;
        }
        if count < places {
            // Counted down, for the negative range is one longer.
            magnitude = magnitude
                .checked_mul(10)?
                .checked_sub(i64::from(digit - b'0'))?;
        }
        count += 1;
    }
    while count < places && magnitude != 0 {
        magnitude = magnitude.checked_mul(10)?;
        count += 1;
    }
    if negative {
        Some(magnitude)
    } else {
        magnitude.checked_neg()
    }
}

/// Appends a timestamp as Prometheus writes times of day: RFC 3339 in UTC, to the millisecond, without trailing zeros
/// of the fraction. Years past 9999 have the digits they need, those before 0 a sign.
pub fn write_rfc3339_ms(timestamp_ms: i64, out: &mut Vec<u8>) {
    let (seconds, millis) = (
        timestamp_ms.div_euclid(1_000),
        timestamp_ms.rem_euclid(1_000),
    );
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date_of(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let date = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    out.extend_from_slice(date.as_bytes());
    if millis > 0 {
        let fraction = format!(".{millis:03}");
        out.extend_from_slice(fraction.trim_end_matches('0').as_bytes());
    }
    out.push(b'Z');
}

/// Parses `2006-01-02T15:04:05.999Z` or with an offset; `,` may stand for the point, as in Go.
fn rfc3339_ms(text: &[u8]) -> Option<i64> {
    let (date_time, rest) = text.split_at_checked(19)?;
    let number = |from: usize, to: usize| decimal(&date_time[from..to]);
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if marks.iter().any(|&(at, mark)| date_time[at] != mark) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (millis, zone) = fraction_ms(rest)?;
    let seconds = days_since_epoch(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some((seconds - zone_seconds(zone)?) * 1_000 + millis)
}

/// The milliseconds of an optional fraction, and what follows it.
fn fraction_ms(text: &[u8]) -> Option<(i64, &[u8])> {
    let [b'.' | b',', digits @ ..] = text else {
        return Some((0, text));
    };
    let length = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if length == 0 {
        return None;
    }
    let (digits, rest) = digits.split_at(length);
    let place = |index: usize| digits.get(index).map_or(0, |digit| i64::from(digit - b'0'));
    Some((place(0) * 100 + place(1) * 10 + place(2), rest))
}

/// The offset of `Z`, `+hh:mm` or `-hh:mm` in seconds east.
fn zone_seconds(text: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match text {
        b"Z" => return Some(0),
        [b'+', h1, h2, b':', m1, m2] => (1, decimal(&[*h1, *h2])?, decimal(&[*m1, *m2])?),
        [b'-', h1, h2, b':', m1, m2] => (-1, decimal(&[*h1, *h2])?, decimal(&[*m1, *m2])?),
        _ => return None,
    };
    // Go lets both run one too far.
    if hours > 24 || minutes > 60 {
        return None;
    }
    Some(sign * (hours * 3_600 + minutes * 60))
}

fn decimal(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |value, digit| match digit {
        b'0'..=b'9' => Some(value * 10 + i64::from(digit - b'0')),
        _ => None,
    })
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The year, month and day that are this many days from 1970-01-01; the reverse of [`days_since_epoch`].
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH;
    let (era, day_of_era) = (days.div_euclid(DAYS_PER_ERA), days.rem_euclid(DAYS_PER_ERA));
    // What leap days add is taken out first, so that years are 365 days.
    let leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / (DAYS_PER_ERA - 1);
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar.
///
/// Years are counted from March, so that the leap day ends them; month lengths then follow
/// `(153·m + 2) / 5`.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * DAYS_PER_ERA + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year
        - EPOCH
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn unix_seconds_round_to_milliseconds() {
        let cases = [
            ("1435781451.781", 1_435_781_451_781),
            ("1e9", 1_000_000_000_000),
            ("+5", 5_000),
            (".5", 500),
            ("1435781451.7819", 1_435_781_451_782),
            ("-1.5", -1_500),
            ("-0.0005", -1),
            ("0.0004", 0),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_timestamp_ms(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn rfc3339_is_read_with_fraction_and_offset() {
        let cases = [
            ("2015-07-01T20:10:51.781Z", 1_435_781_451_781),
            ("2015-07-01T20:10:51Z", 1_435_781_451_000),
            ("2015-07-01T20:10:51.1234567+02:00", 1_435_774_251_123),
            ("2015-07-01T20:10:51,5Z", 1_435_781_451_500),
            ("2015-07-01T20:10:51-24:00", 1_435_867_851_000),
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59.999Z", -1),
            ("2000-02-29T00:00:00Z", 951_782_400_000),
            ("0000-01-01T00:00:00Z", -62_167_219_200_000),
            ("9999-12-31T23:59:59Z", 253_402_300_799_000),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_timestamp_ms(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn the_open_ends_of_time_are_known_by_name() {
        assert_eq!(
            parse_timestamp_ms("-292273086-05-16T16:47:06Z"),
            Ok(-9_223_309_901_257_974_000)
        );
        assert_eq!(
            parse_timestamp_ms("292277025-08-18T07:12:54.999999999Z"),
            Ok(9_223_309_901_257_974_999)
        );
    }

    #[test]
    fn times_out_of_range_and_garbage_are_refused() {
        for text in [
            "",
            "zz",
            "NaN",
            "Inf",
            "-Inf",
            "1e300",
            "-1e300",
            "9223372036854776",
            "1435781451,5",
            "0x10",
            "2015-07-01t20:10:51z",
            "2015-07-01T20:10:51",
            "2015-07-01T24:00:00Z",
            "2015-07-01T20:10:60Z",
            "2015-02-29T20:10:51Z",
            "1900-02-29T00:00:00Z",
            "2015-00-01T00:00:00Z",
            "2015-01-01T00:00:00.Z",
            "2015-01-01T00:00:00+1:00",
            "2015-01-01T00:00:00Zz",
            "２015-01-01T00:00:00Z",
        ] {
            assert!(parse_timestamp_ms(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn decimal_seconds_are_exact() {
        let cases = [
            ("0", 0),
            ("-0", 0),
            ("1435781451.781", 1_435_781_451_781),
            ("1435781451.78", 1_435_781_451_780),
            ("-0.001", -1),
            ("1.5000000", 1_500),
            ("1.435781451781e9", 1_435_781_451_781),
            ("15e-1", 1_500),
            ("9223372036854775.807", i64::MAX),
            ("-9223372036854775.808", i64::MIN),
            ("0e2000000000", 0),
            ("1000e-6", 1),
            ("0.0000", 0),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_decimal_seconds(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn decimal_seconds_never_round_or_overflow() {
        for text in [
            "0.0001",
            "1e-4",
            "9223372036854775.808",
            "-9223372036854775.809",
            "1e300",
            "1e2147483648",
            "1e-2147483649",
            "1e2147483647",
        ] {
            assert_eq!(parse_decimal_seconds(text), None, "{text}");
        }
    }

    #[test]
    fn times_are_written_in_utc_without_trailing_zeros() {
        for (timestamp_ms, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_700_000_000_500, "2023-11-14T22:13:20.5Z"),
            (951_782_400_010, "2000-02-29T00:00:00.01Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (253_402_300_800_000, "10000-01-01T00:00:00Z"),
        ] {
            let mut out = Vec::new();
            write_rfc3339_ms(timestamp_ms, &mut out);
            assert_eq!(core::str::from_utf8(&out), Ok(text));
        }
        let mut out = Vec::new();
        write_rfc3339_ms(i64::MIN, &mut out);
        write_rfc3339_ms(i64::MAX, &mut out);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(timestamp_ms in -62_167_219_200_000..253_402_300_800_000_i64) {
            let mut out = Vec::new();
            write_rfc3339_ms(timestamp_ms, &mut out);
            let text = core::str::from_utf8(&out).unwrap();
            prop_assert_eq!(parse_timestamp_ms(text), Ok(timestamp_ms));
        }
    }
}
