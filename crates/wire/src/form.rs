//! `application/x-www-form-urlencoded` parameters, as in query strings and form bodies.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// The most parameters of one request: Prometheus' API knows a dozen, `match[]` may repeat.
pub const PAIRS_MAX: usize = 1_024;

/// The most bytes of one encoded form: a query of several hundred kilobytes still fits.
pub const FORM_BYTES_MAX: usize = 4 * 1024 * 1024;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Why a form cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormError {
    /// A `%` without two hexadecimal digits after it.
    BadEscape {
        /// Byte offset of the `%`.
        position: usize,
    },
    /// A name or value that is not UTF-8 once decoded.
    NotUtf8 {
        /// Byte offset of the name or value.
        position: usize,
    },
    /// More than [`PAIRS_MAX`] parameters.
    TooMany,
    /// More than [`FORM_BYTES_MAX`] bytes.
    TooLong {
        /// The length in bytes.
        length: usize,
    },
}

impl fmt::Display for FormError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadEscape { position } => write!(
                f,
                "invalid percent escape at byte {position} of the parameters"
            ),
            Self::NotUtf8 { position } => {
                write!(f, "the parameter text at byte {position} is not utf-8")
            }
            Self::TooMany => write!(f, "more than {PAIRS_MAX} parameters"),
            Self::TooLong { length } => {
                write!(
                    f,
                    "parameters of {length} bytes, more than the {FORM_BYTES_MAX} allowed"
                )
            }
        }
    }
}

impl core::error::Error for FormError {}

/// Decodes `name=value&…` into pairs, in order, repeated names kept.
///
/// `+` and `%20` are spaces. A part without `=` is a name with an empty value; empty parts are skipped.
///
/// # Errors
///
/// Broken escapes, text that is not UTF-8, and more than the limits.
pub fn decode_form(form: impl AsRef<[u8]>) -> Result<Vec<(String, String)>, FormError> {
    let form = form.as_ref();
    if form.len() > FORM_BYTES_MAX {
        return Err(FormError::TooLong { length: form.len() });
    }
    let mut pairs = Vec::new();
    let mut position = 0;
    for part in form.split(|&byte| byte == b'&') {
        if !part.is_empty() {
            if pairs.len() >= PAIRS_MAX {
                return Err(FormError::TooMany);
            }
            let equals = part
                .iter()
                .position(|&byte| byte == b'=')
                .unwrap_or(part.len());
            let name = decode(&part[..equals], position)?;
            let value_start = part.len().min(equals + 1);
            let value = decode(&part[value_start..], position + value_start)?;
            pairs.push((name, value));
        }
        position += part.len() + 1;
    }
    Ok(pairs)
}

/// Appends pairs as `name=value&…`; nothing for no pairs.
///
/// Letters, digits, `*`, `-`, `.` and `_` stay as they are, a space is `+`, any other byte is `%XX`.
pub fn encode_form<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>, out: &mut String) {
    for (index, (name, value)) in pairs.into_iter().enumerate() {
        if index > 0 {
            out.push('&');
        }
        encode(name, out);
        out.push('=');
        encode(value, out);
    }
}

fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => {
                out.push(char::from(byte))
            }
            b' ' => out.push('+'),
            _ => {
                out.push('%');
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
}

/// Decodes one name or value that starts at `position` of the form.
fn decode(text: &[u8], position: usize) -> Result<String, FormError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digit = |at: usize| {
                    text.get(at)
                        .and_then(|&digit| char::from(digit).to_digit(16))
                };
                let (Some(high), Some(low)) = (digit(at), digit(at + 1)) else {
                    return Err(FormError::BadEscape {
                        position: position + at - 1,
                    });
                };
                bytes.push((high << 4 | low) as u8);
                at += 2;
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| FormError::NotUtf8 { position })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::borrow::ToOwned;

    fn decoded(form: &str) -> Vec<(String, String)> {
        decode_form(form).unwrap()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn pairs_come_in_order_and_may_repeat() {
        let expected = [
            pair("match[]", "up{a=\"b\"}"),
            pair("match[]", "x y"),
            pair("time", ""),
        ];
        assert_eq!(
            decoded("match%5B%5D=up%7Ba%3d%22b%22%7D&match[]=x+y&&time"),
            expected
        );
        assert_eq!(decoded(""), []);
        assert_eq!(decoded("=&a=b=c"), [pair("", ""), pair("a", "b=c")]);
    }

    #[test]
    fn broken_escapes_and_text_are_refused_where_they_stand() {
        for form in ["a=%", "a=%4", "a=%zz", "a=%+4"] {
            assert_eq!(
                decode_form(form),
                Err(FormError::BadEscape { position: 2 }),
                "{form}"
            );
        }
        assert_eq!(
            decode_form("ab=1&c=%ff"),
            Err(FormError::NotUtf8 { position: 7 })
        );
        assert_eq!(
            decode_form(b"\xff=1"),
            Err(FormError::NotUtf8 { position: 0 })
        );
    }

    #[test]
    fn limits_hold_at_their_edges() {
        assert_eq!(decoded(&"a&".repeat(PAIRS_MAX)).len(), PAIRS_MAX);
        assert_eq!(
            decode_form("a&".repeat(PAIRS_MAX + 1)),
            Err(FormError::TooMany)
        );
        assert!(decode_form("a".repeat(FORM_BYTES_MAX)).is_ok());
        let length = FORM_BYTES_MAX + 1;
        assert_eq!(
            decode_form("a".repeat(length)),
            Err(FormError::TooLong { length })
        );
    }

    #[test]
    fn only_plain_bytes_stay_plain() {
        let mut out = String::new();
        encode_form([("q uery", "a+b&c=é%"), ("e", "")], &mut out);
        assert_eq!(out, "q+uery=a%2Bb%26c%3D%C3%A9%25&e=");
    }
}
