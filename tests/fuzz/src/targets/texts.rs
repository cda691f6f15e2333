//! Short texts: numbers, times, durations, forms, and the patterns of matchers.

use std::str;

use tidegate_series::{Labels, MatchOp, Matcher};
use tidegate_wire::form::{decode_form, encode_form};
use tidegate_wire::number::{
    parse_api_duration_ns, parse_duration_ms, parse_float, parse_timestamp_ms, write_decimal,
    write_float, write_timestamp_ms,
};

use super::Target;

pub(super) const TARGET: Target = Target {
    name: "texts",
    about: "numbers, times, durations and forms",
    run: texts,
    words: &[
        "1h30m",
        "1y2w3d4h5m6s7ms",
        "15s",
        "2026-11-21T15:31:06Z",
        "2024-02-29T23:59:59.999999999+05:30",
        "-292273086-05-16T16:47:06Z",
        "292277025-08-18T07:12:54.999999999Z",
        "1435781451.781",
        "infinity",
        "-Inf",
        "NaN",
        "e+",
        "%F0%9F%98%80",
        "%2",
        "&a=",
        "+",
    ],
    bytes_max: 200,
};

pub(super) const MATCHER: Target = Target {
    name: "matcher",
    about: "a matcher's pattern, and after a line feed what it is to match",
    run: matcher,
    words: &[
        "a|b",
        ".*",
        ".+",
        "(?i)",
        "[^a-z]",
        "\\d",
        "\\pL",
        "{2,5}",
        "(?:",
        "(",
        ")",
        "\\Q",
        "\\E",
        "[[:alpha:]]",
        "^",
        "$",
        "\\b",
        "\\x{1F600}",
        "(?P<n>a)",
        "{1000}{1000}",
        "é",
    ],
    bytes_max: 200,
};

fn texts(bytes: &[u8]) {
    form(bytes);
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    if let Ok(value) = parse_float(text) {
        for write in [write_float, write_decimal] {
            let mut out = Vec::new();
            write(value, &mut out);
            let out = str::from_utf8(&out).expect("text");
            let again = parse_float(out).expect("what is written is read");
            assert_eq!(again.to_bits(), value.to_bits(), "{out}");
        }
    }
    if let Ok(timestamp_ms) = parse_timestamp_ms(text) {
        let mut out = Vec::new();
        write_timestamp_ms(timestamp_ms, &mut out);
        let out = str::from_utf8(&out).expect("text");
        // Up to there a float of seconds tells milliseconds apart.
        if timestamp_ms.abs() < 1 << 43 {
            assert_eq!(parse_timestamp_ms(out), Ok(timestamp_ms), "{out}");
        }
    }
    let duration = parse_duration_ms(text);
    assert_eq!(duration.as_ref().ok(), slow_duration_ms(text).as_ref());
    if let (Ok(ms), Ok(ns)) = (&duration, parse_api_duration_ns(text)) {
        assert_eq!(*ms * 1_000_000, ns, "{text}");
    }
}

/// By the rule: each unit at most once, from long to short, whole numbers, 292 years at most.
fn slow_duration_ms(text: &str) -> Option<i64> {
    const UNITS: [(&str, i128); 7] = [
        ("y", 365 * 86_400_000),
        ("w", 7 * 86_400_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    if text == "0" {
        return Some(0);
    }
    let (mut rest, mut total, mut parts) = (text, 0_i128, 0);
    for (unit, unit_ms) in UNITS {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(u8::is_ascii_lowercase).count();
        if digits > 0 && &after[..letters] == unit {
            total = total.checked_add(number.parse::<i64>().map(i128::from).ok()? * unit_ms)?;
            rest = &after[letters..];
            parts += 1;
        }
    }
    let whole = rest.is_empty() && parts > 0 && total * 1_000_000 <= i128::from(i64::MAX);
    whole.then_some(total as i64)
}

fn form(bytes: &[u8]) {
    let Ok(pairs) = decode_form(bytes) else {
        return;
    };
    let mut out = String::new();
    encode_form(
        pairs.iter().map(|(name, value)| (&**name, &**value)),
        &mut out,
    );
    // Written out, a form that was just within its bound may be beyond it.
    match decode_form(&out) {
        Ok(again) => assert_eq!(again, pairs, "{out}"),
        Err(error) => panic!("{error}: {out}"),
    }
}

fn matcher(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let (pattern, value) = text.split_once('\n').unwrap_or((text, text));
    let labels = Labels::from_pairs([("a", value)]);
    let labels = labels.expect("short text is a label's value");
    let matches = |op, pattern: &str| Some(Matcher::new("a", op, pattern).ok()?.matches(&labels));
    assert_eq!(matches(MatchOp::Equal, pattern), Some(pattern == value));
    let regex = matches(MatchOp::Regex, pattern);
    assert_eq!(matches(MatchOp::NotRegex, pattern), regex.map(|is| !is));
    // Patterns are anchored at both ends, so a group around one changes nothing.
    if regex.is_some() {
        let grouped = format!("(?:{pattern})");
        let again = matches(MatchOp::Regex, &grouped);
        assert!(again.is_none() || again == regex, "{grouped}");
    }
    if !pattern.contains(is_meta) {
        assert_eq!(regex, Some(pattern == value));
    }
}

fn is_meta(c: char) -> bool {
    r".+*?()|[]{}^$\".contains(c)
}
