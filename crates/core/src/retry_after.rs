//! The `Retry-After` header: a number of seconds or a date.

use core::time::Duration;

use crate::UnixMillis;

/// What exceeds a day is taken for a day: nobody waits that long, and sums of it stay small.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(86_400);

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// How long a source asks to be left alone, by the value of its `Retry-After` header (RFC 9110,
/// section 10.2.3) and the wall clock at its receipt; at most [`RETRY_AFTER_MAX`].
///
/// Understood are decimal seconds and dates as `Sun, 06 Nov 1994 08:49:37 GMT`, whose weekday
/// need not be that day's. A date that has passed means zero. The two obsolete date forms and
/// everything else mean nothing: `None`.
pub fn parse_retry_after(header: &str, now_wall: UnixMillis) -> Option<Duration> {
    let header = header.trim_matches([' ', '\t']);
    let wait = if header.bytes().all(|byte| byte.is_ascii_digit()) {
        seconds(header)?
    } else {
        unix_millis(header)?.since(now_wall)
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// Digits only; saturates.
fn seconds(digits: &str) -> Option<Duration> {
    if digits.is_empty() {
        return None;
    }
    Some(digits.parse().map_or(Duration::MAX, Duration::from_secs))
}

/// An IMF-fixdate, each of whose parts stands at a fixed place.
fn unix_millis(date: &str) -> Option<UnixMillis> {
    if !date.is_ascii() || date.len() != 29 || !WEEKDAYS.contains(&&date[..3]) {
        return None;
    }
    let between = [&date[3..5], &date[7..8], &date[11..12], &date[16..17]];
    let within = [&date[19..20], &date[22..23], &date[25..]];
    if between != [", ", " ", " ", " "] || within != [":", ":", " GMT"] {
        return None;
    }
    let month = MONTHS.iter().position(|name| *name == &date[8..11])?;
    let (day, year) = (number(&date[5..7])?, number(&date[12..16])?);
    let (hour, minute) = (number(&date[17..19])?, number(&date[20..22])?);
    // A leap second is the one after it.
    let second = number(&date[23..25])?;
    let days = days_since_1970(year, month, day)?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(UnixMillis(
        (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000,
    ))
}

fn number(digits: &str) -> Option<i64> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// Days since the epoch in the Gregorian calendar; `month` counts from 0, `day` from 1.
fn days_since_1970(year: i64, month: usize, day: i64) -> Option<i64> {
    const DAYS_BEFORE: [i64; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let leap_day = i64::from(is_leap);
    let length =
        DAYS_BEFORE[month + 1] - DAYS_BEFORE[month] + if month == 1 { leap_day } else { 0 };
    if !(1..=length).contains(&day) {
        return None;
    }
    let before = year - 1;
    // Of the years from 1 to 1969, 477 were leap years.
    let leap_days = before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400) - 477;
    let this_year = DAYS_BEFORE[month] + if month > 1 { leap_day } else { 0 };
    Some((year - 1970) * 365 + leap_days + this_year + day - 1)
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use proptest::prelude::*;

    use super::*;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const DATE_MS: i64 = 784_111_777_000;

    fn parsed(header: &str) -> Option<Duration> {
        parse_retry_after(header, UnixMillis(DATE_MS - 5_000))
    }

    #[test]
    fn seconds_are_taken_up_to_a_day() {
        assert_eq!(parsed("0"), Some(Duration::ZERO));
        assert_eq!(parsed(" 120\t"), Some(Duration::from_secs(120)));
        assert_eq!(parsed("86401"), Some(RETRY_AFTER_MAX));
        assert_eq!(parsed("99999999999999999999999999"), Some(RETRY_AFTER_MAX));
    }

    #[test]
    fn a_date_is_measured_from_now() {
        assert_eq!(parsed(DATE), Some(Duration::from_secs(5)));
        assert_eq!(
            parsed("Sun, 06 Nov 1994 08:49:31 GMT"),
            Some(Duration::ZERO)
        );
        assert_eq!(
            parsed("Fri, 31 Dec 9999 23:59:60 GMT"),
            Some(RETRY_AFTER_MAX)
        );
    }

    #[test]
    fn dates_follow_the_calendar() {
        let of = |date| unix_millis(date).map(|UnixMillis(ms)| ms / 1000);
        assert_eq!(of("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(of("Wed, 31 Dec 1969 23:59:59 GMT"), Some(-1));
        assert_eq!(of("Tue, 29 Feb 2000 12:00:00 GMT"), Some(951_825_600));
        assert_eq!(of("Mon, 01 Mar 2100 00:00:00 GMT"), Some(4_107_542_400));
        assert_eq!(of("Mon, 29 Feb 2100 00:00:00 GMT"), None);
        assert_eq!(of("Mon, 31 Apr 2025 00:00:00 GMT"), None);
        assert_eq!(of("Mon, 00 Apr 2025 00:00:00 GMT"), None);
    }

    #[test]
    fn what_is_neither_means_nothing() {
        let headers = [
            "",
            "-1",
            "+1",
            "1.5",
            "soon",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, +6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:3é GMT",
        ];
        for header in headers {
            assert_eq!(parsed(header), None, "{header:?}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic_or_wait_for_long(header: String, now: i64) {
            let wait = parse_retry_after(&header, UnixMillis(now));
            prop_assert!(wait.is_none_or(|wait| wait <= RETRY_AFTER_MAX));
        }

        #[test]
        fn every_day_follows_the_one_before(year in 0_i64..=9999, month in 0_usize..12) {
            let first = days_since_1970(year, month, 1).unwrap();
            let length = (28..=31).rev().find(|day| days_since_1970(year, month, *day).is_some());
            let (next_year, next) = if month == 11 { (year + 1, 0) } else { (year, month + 1) };
            prop_assert_eq!(days_since_1970(next_year, next, 1), Some(first + length.unwrap()));
        }
    }
}
