//! Values as people write them: durations as Prometheus has them, and sizes in bytes.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};
use tidegate_wire::number::parse_duration_ms;

/// Longer is a typing error: 366 days.
const DURATION_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// A duration such as `"30s"`, `"1m30s"` or `"250ms"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SpanVisitor)
    }
}

impl Serialize for Span {
    /// In whole milliseconds, below which nothing can be written; in seconds where that does.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ms = self.0.as_millis();
        match ms % 1_000 {
            0 => serializer.collect_str(&format_args!("{}s", ms / 1_000)),
            _ => serializer.collect_str(&format_args!("{ms}ms")),
        }
    }
}

struct SpanVisitor;

impl Visitor<'_> for SpanVisitor {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as \"30s\", \"1m30s\" or \"250ms\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
        parse_duration(text).map(Span).ok_or_else(|| {
            E::custom(format_args!("bad duration {text:?}: write a number and a unit, such as \"30s\", \"1m30s\" or \"250ms\""))
        })
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Span, E> {
        Err(E::custom(format_args!(
            "a duration needs a unit: write \"{number}s\" for seconds"
        )))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Span, E> {
        Err(E::custom(format_args!(
            "a duration needs a unit: write \"{}ms\" for milliseconds",
            number * 1000.0
        )))
    }
}

/// Reads a duration in Prometheus' syntax, at most a year; a bare `0` is one too.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let ms = if text == "0" {
        0
    } else {
        u64::try_from(parse_duration_ms(text).ok()?).ok()?
    };
    Some(Duration::from_millis(ms)).filter(|duration| *duration <= DURATION_MAX)
}

/// How many of something: 1 or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count(pub(super) usize);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountVisitor)
    }
}

struct CountVisitor;

impl Visitor<'_> for CountVisitor {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number, 1 or more")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Count, E> {
        let count = usize::try_from(number).ok().filter(|count| *count > 0);
        count
            .map(Count)
            .ok_or_else(|| E::custom(format_args!("bad count {number}: it must be 1 or more")))
    }
}

/// A number of bytes: an integer, or a text such as `"64MiB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) usize);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BytesVisitor)
    }
}

struct BytesVisitor;

impl Visitor<'_> for BytesVisitor {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of bytes such as 67108864 or \"64MiB\"")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Bytes, E> {
        usize::try_from(number)
            .map(Bytes)
            .map_err(|_| E::custom(format_args!("bad size {number}: it must not be negative")))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
        parse_bytes(text).map(Bytes).ok_or_else(|| {
            E::custom(format_args!(
                "bad size {text:?}: write a whole number and one of B, KiB, MiB, GiB, kB, MB, GB"
            ))
        })
    }
}

fn parse_bytes(text: &str) -> Option<usize> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: usize = match unit.trim_start() {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_prometheus_durations() {
        assert_eq!(parse_duration("30s"), Some(Duration::from_secs(30)));
        assert_eq!(parse_duration("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(parse_duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse_duration("0"), Some(Duration::ZERO));
        for text in [
            "",
            "s",
            "-1s",
            "1.5s",
            "30",
            "1x",
            "400d",
            "99999999999999999999s",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_have_binary_and_decimal_units() {
        assert_eq!(parse_bytes("64MiB"), Some(64 << 20));
        assert_eq!(parse_bytes("1 GB"), Some(1_000_000_000));
        assert_eq!(parse_bytes("512"), Some(512));
        for text in [
            "",
            "MiB",
            "-1",
            "1.5MiB",
            "1 PiB",
            "99999999999999999999",
            "18446744073709551615GiB",
        ] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }
}
