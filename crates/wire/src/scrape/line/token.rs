//! The tokens of a line: labels, names, quoted values, numbers, blanks.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Label, Line};
use crate::number::{float_seconds_ms, parse_float};
use crate::scrape::{ExpositionError, Result};

impl<'b> Line<'b, '_> {
    /// Reads `{name="value",…}`.
    pub(super) fn read_labels(&mut self, labels: &mut Vec<Label<'b>>) -> Result<()> {
        self.at += 1;
        self.skip_blanks();
        if self.eat(b'}') {
            return Ok(());
        }
        loop {
            if labels.len() >= self.limits.labels_per_series {
                return Err(self.too_large("labels in one series", self.limits.labels_per_series));
            }
            let column = self.at + 1;
            let name = self.read_name('_', "a label name")?;
            self.skip_blanks();
            if !self.eat(b'=') {
                return Err(self.expected("`=`"));
            }
            self.skip_blanks();
            let value = self.read_quoted()?;
            labels.push(Label {
                name,
                value,
                column,
            });
            self.skip_blanks();
            let comma = self.eat(b',');
            self.skip_blanks();
            if (!comma || !self.strict) && self.eat(b'}') {
                return Ok(());
            }
            if !comma && self.strict {
                return Err(self.expected("`,` or `}`"));
            }
        }
    }

    /// Reads letters, digits, `_` and `also`, not beginning with a digit.
    pub(super) fn read_name(&mut self, also: char, expected: &'static str) -> Result<&'b str> {
        let rest = self.rest();
        let is_name = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == also;
        let end = rest.find(|char| !is_name(char)).unwrap_or(rest.len());
        if end == 0 || rest.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(self.expected(expected));
        }
        if end > self.limits.label_bytes {
            return Err(self.too_large("bytes in one label", self.limits.label_bytes));
        }
        self.at += end;
        Ok(&rest[..end])
    }

    /// Reads a quoted label value.
    pub(super) fn read_quoted(&mut self) -> Result<Cow<'b, str>> {
        if !self.eat(b'"') {
            return Err(self.expected("a label value in quotes"));
        }
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let mut end = 0;
        while end < bytes.len() && bytes[end] != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        if end >= bytes.len() {
            self.at -= 1;
            return Err(self.expected("a label value that ends with a quote"));
        }
        if end > self.limits.label_bytes {
            return Err(self.too_large("bytes in one label", self.limits.label_bytes));
        }
        self.at += end + 1;
        Ok(unescape(&rest[..end], Quotes::Escaped))
    }

    pub(super) fn read_value(&mut self, expected: &'static str) -> Result<(f64, &'b str)> {
        let text = self.token();
        let value = parse_float(text).map_err(|_| self.expected(expected))?;
        self.at += text.len();
        Ok((value, text))
    }

    /// Reads a timestamp of text: whole milliseconds.
    pub(super) fn read_millis(&mut self) -> Result<i64> {
        let expected = "a timestamp in whole milliseconds";
        let text = self.token();
        // Rust takes a plus sign, Prometheus does not.
        let parsed = text.parse().ok().filter(|_| !text.starts_with('+'));
        let timestamp_ms = parsed.ok_or_else(|| self.expected(expected))?;
        self.at += text.len();
        Ok(timestamp_ms)
    }

    /// Reads a timestamp of OpenMetrics: seconds.
    pub(super) fn read_seconds(&mut self) -> Result<i64> {
        let text = self.token();
        let timestamp_ms = parse_float(text).ok().and_then(float_seconds_ms);
        let timestamp_ms = timestamp_ms.ok_or_else(|| self.expected("a timestamp in seconds"))?;
        self.at += text.len();
        Ok(timestamp_ms)
    }

    /// What stands up to the next blank.
    pub(super) fn token(&self) -> &'b str {
        let rest = self.rest();
        let end = rest.find([' ', '\t']).unwrap_or(rest.len());
        &rest[..end]
    }

    pub(super) fn rest(&self) -> &'b str {
        &self.text[self.at..]
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let eaten = self.peek() == Some(byte);
        self.at += usize::from(eaten);
        eaten
    }

    /// Skips blanks where they may stand: nowhere in OpenMetrics.
    pub(super) fn skip_blanks(&mut self) {
        while !self.strict && matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    pub(super) fn expect_space(&mut self) -> Result<()> {
        match self.eat(b' ') {
            true => Ok(()),
            false => Err(self.expected("a space")),
        }
    }

    pub(super) fn expect_end(&self, expected: &'static str) -> Result<()> {
        match self.at == self.text.len() {
            true => Ok(()),
            false => Err(self.expected(expected)),
        }
    }

    /// The error that something else should have stood here.
    pub(super) fn expected(&self, expected: &'static str) -> ExpositionError {
        ExpositionError::syntax((self.number, self.at + 1), expected, self.rest())
    }

    pub(super) fn too_large(&self, what: &'static str, limit: usize) -> ExpositionError {
        let line = self.number;
        ExpositionError::TooLarge { what, limit, line }
    }
}

/// Whether `\"` stands for a quote.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Quotes {
    Escaped,
    Plain,
}

/// Replaces `\\`, `\n` and, where it is one, `\"`; any other backslash stands for itself.
pub(super) fn unescape(text: &str, quotes: Quotes) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        let replaced = match (char, chars.peek()) {
            ('\\', Some('\\')) => '\\',
            ('\\', Some('n')) => '\n',
            ('\\', Some('"')) if quotes == Quotes::Escaped => '"',
            _ => {
                out.push(char);
                continue;
            }
        };
        chars.next();
        out.push(replaced);
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_three_and_the_rest_stands_for_itself() {
        let label = |text| unescape(text, Quotes::Escaped).into_owned();
        assert_eq!(label(r#"a\\b\nc\"d"#), "a\\b\nc\"d");
        assert_eq!(label(r"\t\x\é\"), r"\t\x\é\");
        assert_eq!(label(r"\\n\\\n"), "\\n\\\n");
        assert_eq!(unescape(r#"\"\n"#, Quotes::Plain), "\\\"\n");
        assert!(matches!(label_of("plain"), Cow::Borrowed("plain")));
    }

    fn label_of(text: &str) -> Cow<'_, str> {
        unescape(text, Quotes::Escaped)
    }
}
