//! Words, durations, label sets and bodies, as scripts write them.

use std::time::Duration;

use tidegate_series::{Labels, stale_marker};

/// What is left of a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(line: &'a str) -> Self {
        Self { rest: line }
    }

    /// The next word, `what` for the message if there is none.
    pub(crate) fn word(&mut self, what: &str) -> Result<&'a str, String> {
        self.maybe_word()
            .ok_or_else(|| format!("{what} is missing"))
    }

    pub(crate) fn maybe_word(&mut self) -> Option<&'a str> {
        let rest = self.rest.trim_start();
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (word, rest) = rest.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }

    /// Everything after the next word's space, to the end of the line.
    pub(crate) fn tail(self) -> &'a str {
        self.rest.strip_prefix(' ').unwrap_or(self.rest)
    }

    pub(crate) fn end(mut self) -> Result<(), String> {
        match self.maybe_word() {
            None => Ok(()),
            Some(word) => Err(format!("{word:?} was not expected")),
        }
    }

    /// A number with a name for messages.
    pub(crate) fn number<T: std::str::FromStr>(&mut self, what: &str) -> Result<T, String> {
        let word = self.word(what)?;
        word.parse()
            .map_err(|_| format!("{what} must be a number, not {word:?}"))
    }

    /// A metric name with labels: `node_load1{instance="a"}`, `{__name__="x"}`.
    pub(crate) fn labels(&mut self) -> Result<Labels, String> {
        let rest = self.rest.trim_start();
        let name_end = rest
            .find(|c: char| c == '{' || c.is_whitespace())
            .unwrap_or(rest.len());
        let (name, mut rest) = rest.split_at(name_end);
        let mut pairs = Vec::new();
        if !name.is_empty() {
            pairs.push(("__name__".to_owned(), name.to_owned()));
        }
        if let Some(inner) = rest.strip_prefix('{') {
            rest = inner;
            while !rest.starts_with('}') {
                let (label, after) = rest.split_once('=').ok_or("a label needs '='")?;
                let (value, after) = quoted(after)?;
                pairs.push((label.trim().to_owned(), value));
                rest = after.strip_prefix(',').unwrap_or(after).trim_start();
            }
            rest = &rest[1..];
        }
        self.rest = rest;
        Labels::from_pairs(pairs).map_err(|error| error.to_string())
    }
}

/// A double-quoted string with `\\`, `\"` and `\n`, and what follows it.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let inner = text
        .strip_prefix('"')
        .ok_or("a label value begins with '\"'")?;
    let mut value = String::new();
    let mut chars = inner.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &inner[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, c @ ('"' | '\\'))) => value.push(c),
                _ => return Err("after a backslash comes '\\', '\"' or 'n'".to_owned()),
            },
            c => value.push(c),
        }
    }
    Err("a label value has no end".to_owned())
}

/// A sample's value; `stale` is the stale marker.
pub(crate) fn value(word: &str) -> Result<f64, String> {
    match word {
        "stale" => Ok(stale_marker()),
        _ => word
            .parse()
            .map_err(|_| format!("a value must be a number or `stale`, not {word:?}")),
    }
}

/// `90s`, `1m30s`, `0.5s`, `1ns`, `0`; to the nanosecond, at most some 584 years.
pub(crate) fn duration(word: &str) -> Result<Duration, String> {
    let wrong = || format!("a duration looks like 1m30s, 0.5s or 250ms, not {word:?}");
    if word == "0" {
        return Ok(Duration::ZERO);
    }
    let mut total: u64 = 0;
    let mut rest = word;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(wrong)?;
        let (number, after) = rest.split_at(digits);
        let letters = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let unit_ns: u64 = match unit {
            "ns" => 1,
            "us" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(wrong()),
        };
        let part = scaled(number, unit_ns).ok_or_else(wrong)?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = after;
    }
    if word.is_empty() {
        Err(wrong())
    } else {
        Ok(Duration::from_nanos(total))
    }
}

/// A decimal times a power of ten units, without a float in between.
fn scaled(number: &str, unit_ns: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut ns = whole.parse::<u64>().ok()?.checked_mul(unit_ns)?;
    let mut weight = unit_ns;
    for digit in fraction.chars() {
        weight /= 10;
        ns = ns.checked_add(u64::from(digit.to_digit(10)?) * weight)?;
    }
    Some(ns)
}

/// A duration with an optional sign, in whole milliseconds.
pub(crate) fn signed_ms(word: &str) -> Result<i64, String> {
    let (sign, word) = match word.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, word.strip_prefix('+').unwrap_or(word)),
    };
    let ms =
        i64::try_from(duration(word)?.as_millis()).map_err(|_| "that is too long".to_owned())?;
    Ok(sign * ms)
}

/// The bytes of a body: text as it stands, `repeat N TEXT`, `hex 00ff`, or `text …` for text that
/// begins like one of these.
pub(crate) fn body(text: &str) -> Result<Vec<u8>, String> {
    /// More than any limit a script wants to pass, and still no harm to a browser tab.
    const BODY_BYTES_MAX: usize = 64 << 20;
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    match first {
        "text" => Ok(rest.as_bytes().to_vec()),
        "repeat" => {
            let (times, piece) = rest
                .split_once(' ')
                .ok_or("repeat wants a number and a text")?;
            let times: usize = times
                .parse()
                .map_err(|_| format!("repeat wants a number, not {times:?}"))?;
            if times.saturating_mul(piece.len()) > BODY_BYTES_MAX {
                return Err(format!("a body has at most {BODY_BYTES_MAX} bytes"));
            }
            Ok(piece.repeat(times).into_bytes())
        }
        "hex" => hex(rest),
        _ => Ok(text.as_bytes().to_vec()),
    }
}

fn hex(text: &str) -> Result<Vec<u8>, String> {
    let digit = |c: char| {
        c.to_digit(16)
            .ok_or_else(|| format!("{c:?} is no hexadecimal digit"))
    };
    let nibbles = text
        .chars()
        .filter(|c| *c != ' ')
        .map(digit)
        .collect::<Result<Vec<u32>, _>>()?;
    let (pairs, []) = nibbles.as_chunks::<2>() else {
        return Err("hexadecimal digits come in pairs".to_owned());
    };
    // Two digits of four bits each: always a byte.
    Ok(pairs
        .iter()
        .map(|[high, low]| (high << 4 | low) as u8)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_exact_to_the_nanosecond() {
        assert_eq!(duration("31.000000001s"), Ok(Duration::new(31, 1)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        assert_eq!(signed_ms("-1h"), Ok(-3_600_000));
        for wrong in ["", "5", "s", "1.2.3s", "1d", "-1s", "99999999999h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn labels_read_as_prometheus_writes_them() {
        let mut cursor = Cursor::new(r#" up{job="a\"b\\c",x="y, z"} 0.5 @1s"#);
        assert_eq!(
            cursor.labels().unwrap().to_string(),
            r#"up{job="a\"b\\c",x="y, z"}"#
        );
        assert_eq!(cursor.maybe_word(), Some("0.5"));
        assert!(Cursor::new("up{job=a}").labels().is_err());
        assert!(Cursor::new("up{job=\"a").labels().is_err());
    }

    #[test]
    fn bodies_can_be_long_or_no_text_at_all() {
        assert_eq!(body("{}"), Ok(b"{}".to_vec()));
        assert_eq!(body("repeat 3 [a"), Ok(b"[a[a[a".to_vec()));
        assert_eq!(body("hex 00 fF"), Ok(vec![0, 255]));
        assert_eq!(body("text hex 00"), Ok(b"hex 00".to_vec()));
        assert!(
            body("hex 0").is_err()
                && body("repeat x y").is_err()
                && body("repeat 999999999 abc").is_err()
        );
    }
}
