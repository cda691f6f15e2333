//! JSON string literals as Prometheus writes them.

use alloc::vec::Vec;

use crate::swar::{mark_equal, mark_special};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Whether `<`, `>`, `&`, U+2028 and U+2029 are escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Html {
    /// Escaped, as Go's JSON encoders do by default.
    Escaped,
    /// As they are.
    Plain,
}

/// Appends `text` as a quoted JSON string.
///
/// `\n`, `\r` and `\t` have their short escapes; other control characters are `\u00xx`, backspace
/// and form feed too.
pub(crate) fn write_string(text: &str, html: Html, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let escaped = match html {
        Html::Escaped => has_mark(bytes, |word| mark_special(word) | mark_html(word)),
        Html::Plain => has_mark(bytes, mark_special),
    };
    if !escaped {
        out.extend_from_slice(bytes);
        return out.push(b'"');
    }
    let mut done = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let separator = is_separator(bytes, at);
        let length = match byte {
            _ if separator && html == Html::Escaped => 3,
            b'<' | b'>' | b'&' if html == Html::Escaped => 1,
            b'"' | b'\\' | 0..0x20 => 1,
            _ => continue,
        };
        out.extend_from_slice(&bytes[done..at]);
        done = at + length;
        match byte {
            SEPARATOR => out.extend_from_slice(if bytes[at + 2] == 0xa8 {
                b"\\u2028"
            } else {
                b"\\u2029"
            }),
            _ => write_escape(byte, out),
        }
    }
    out.extend_from_slice(&bytes[done..]);
    out.push(b'"');
}

/// Whether `source`, JSON as it is written, has something plain that [`Html::Escaped`] escapes.
pub(crate) fn is_plain_html(source: &str) -> bool {
    let bytes = source.as_bytes();
    let mut places = bytes.iter().enumerate();
    has_mark(bytes, mark_html)
        && places.any(|(at, byte)| matches!(byte, b'<' | b'>' | b'&') || is_separator(bytes, at))
}

/// What U+2028 and U+2029 start with.
const SEPARATOR: u8 = 0xe2;

/// Marks what [`Html::Escaped`] escapes, and what may be the beginning of it.
#[inline]
const fn mark_html(word: u64) -> u64 {
    mark_equal(word, b'<')
        | mark_equal(word, b'>')
        | mark_equal(word, b'&')
        | mark_equal(word, SEPARATOR)
}

/// Whether `mark` marks anything in words of these bytes, the last one filled up with spaces.
#[inline]
fn has_mark(bytes: &[u8], mark: impl Fn(u64) -> u64) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    let marks = words
        .iter()
        .fold(0, |marks, word| marks | mark(u64::from_le_bytes(*word)));
    let rest = rest.iter().fold(0x2020_2020_2020_2020_u64, |word, &byte| {
        word << 8 | u64::from(byte)
    });
    marks | mark(rest) != 0
}

/// Whether U+2028 or U+2029 starts at `at`: E2 80 A8 or E2 80 A9.
fn is_separator(bytes: &[u8], at: usize) -> bool {
    bytes[at] == SEPARATOR && matches!(bytes.get(at + 1..at + 3), Some([0x80, 0xa8 | 0xa9]))
}

fn write_escape(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => {
            let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[high], HEX[low]]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str, html: Html) -> alloc::string::String {
        let mut out = Vec::new();
        write_string(text, html, &mut out);
        alloc::string::String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings_are_escaped_as_prometheus_does() {
        assert_eq!(
            escaped("é\"\\\n\r\t\u{8}\u{c}\0\u{7f}", Html::Escaped),
            r#""é\"\\\n\r\t\u0008\u000c\u0000"#.to_owned() + "\u{7f}\""
        );
        assert_eq!(
            escaped("<&>\u{2028}\u{2029}\u{202a}€", Html::Escaped),
            "\"\\u003c\\u0026\\u003e\\u2028\\u2029\u{202a}€\""
        );
    }

    #[test]
    fn html_stays_as_it_is_where_the_source_leaves_it() {
        assert_eq!(escaped("<&>\u{2028}\"", Html::Plain), "\"<&>\u{2028}\\\"\"");
    }

    use alloc::borrow::ToOwned;
}
