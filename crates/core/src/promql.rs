//! As much of PromQL as the collector must understand: a lexer, string literals, and selectors.
//!
//! Templates lean on the lexer to know where a parameter stands; `local` answers what
//! [`parse_selector`] understands. Positions are byte offsets from 0.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use tidegate_series::{METRIC_NAME, MatchOp, Matcher};
use tidegate_wire::number::parse_duration_ms;
use tidegate_wire::{ColumnsBuilder, Data, QueryResponse};

use crate::UnixMillis;

/// A wrong text: what and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) message: String,
    pub(crate) position: usize,
}

impl SyntaxError {
    pub(crate) fn new(message: impl Into<String>, position: usize) -> Self {
        Self {
            message: message.into(),
            position,
        }
    }
}

/// What kind of thing a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// A metric, label, function or keyword.
    Word,
    /// Digits and what clings to them: a number or a duration.
    Number,
    /// A string with its quotes.
    Text,
    /// `{{.name}}` or `{{.name | literal}}`, in templates only.
    Placeholder,
    /// Everything else: one character, or one of `==`, `!=`, `=~`, `!~`, `<=`, `>=`.
    Sign,
}

/// A token and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) at: Range<usize>,
}

/// Splits PromQL into tokens; comments and white space are dropped. With `placeholders`, `{{.x}}`
/// is one token.
pub(crate) fn lex(text: &str, placeholders: bool) -> Result<Vec<Token>, SyntaxError> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut brackets = 0usize;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let (kind, end) = match byte {
            b' ' | b'\t' | b'\n' | b'\r' => {
                at += 1;
                continue;
            }
            b'#' => {
                at = bytes[at..]
                    .iter()
                    .position(|&b| b == b'\n')
                    .map_or(bytes.len(), |line| at + line);
                continue;
            }
            b'"' | b'\'' | b'`' => (TokenKind::Text, end_of_string(bytes, at)?),
            b'{' if placeholders && bytes[at..].starts_with(b"{{.") => {
                (TokenKind::Placeholder, end_of_placeholder(text, at)?)
            }
            b'0'..=b'9' => (TokenKind::Number, end_of_number(bytes, at)),
            b'.' if bytes.get(at + 1).is_some_and(u8::is_ascii_digit) => {
                (TokenKind::Number, end_of_number(bytes, at))
            }
            // Inside brackets a colon separates a subquery's range from its step.
            b':' if brackets == 0 => (TokenKind::Word, end_of_word(bytes, at)),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => (TokenKind::Word, end_of_word(bytes, at)),
            _ => (TokenKind::Sign, end_of_sign(text, at)?),
        };
        match byte {
            b'[' => brackets += 1,
            b']' => brackets = brackets.saturating_sub(1),
            _ => {}
        }
        tokens.push(Token { kind, at: at..end });
        at = end;
    }
    Ok(tokens)
}

fn end_of_string(bytes: &[u8], start: usize) -> Result<usize, SyntaxError> {
    let quote = bytes[start];
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' if quote != b'`' => at += 2,
            b'\n' if quote != b'`' => break,
            _ if byte == quote => return Ok(at + 1),
            _ => at += 1,
        }
    }
    Err(SyntaxError::new("unterminated quoted string", start))
}

/// `text[start..]` begins with `{{.`.
pub(crate) fn end_of_placeholder(text: &str, start: usize) -> Result<usize, SyntaxError> {
    let length = text[start..]
        .find("}}")
        .ok_or_else(|| SyntaxError::new("unterminated {{.parameter}}", start))?;
    Ok(start + length + 2)
}

fn end_of_number(bytes: &[u8], start: usize) -> usize {
    let hex = bytes[start..].starts_with(b"0x") || bytes[start..].starts_with(b"0X");
    let mut at = start;
    while let Some(&byte) = bytes.get(at) {
        let exponent_sign = matches!(byte, b'+' | b'-')
            && !hex
            && at > start
            && matches!(bytes[at - 1], b'e' | b'E');
        if !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_') || exponent_sign) {
            break;
        }
        at += 1;
    }
    at
}

fn end_of_word(bytes: &[u8], start: usize) -> usize {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':');
    bytes[start..]
        .iter()
        .position(|byte| !is_word(byte))
        .map_or(bytes.len(), |length| start + length)
}

fn end_of_sign(text: &str, start: usize) -> Result<usize, SyntaxError> {
    const PAIRS: [&str; 6] = ["==", "!=", "=~", "!~", "<=", ">="];
    let rest = &text[start..];
    if PAIRS.iter().any(|pair| rest.starts_with(pair)) {
        return Ok(start + 2);
    }
    match rest.chars().next() {
        Some(
            '{' | '}' | '(' | ')' | '[' | ']' | ',' | '=' | '+' | '-' | '*' | '/' | '%' | '^' | '<'
            | '>' | '@' | ':',
        ) => Ok(start + 1),
        other => Err(SyntaxError::new(
            format!("unexpected character: {:?}", other.unwrap_or_default()),
            start,
        )),
    }
}

/// The value of a string literal, quotes included, by Go's rules, which are PromQL's. `position`
/// is where it stands, for errors.
pub(crate) fn unquote(literal: &str, position: usize) -> Result<String, SyntaxError> {
    let inner = &literal[1..literal.len() - 1];
    if literal.starts_with('`') {
        return Ok(inner.to_owned());
    }
    let mut value = String::with_capacity(inner.len());
    let mut characters = inner.char_indices();
    while let Some((at, character)) = characters.next() {
        if character != '\\' {
            value.push(character);
            continue;
        }
        let wrong = || {
            SyntaxError::new(
                "invalid escape sequence in quoted string",
                position + 1 + at,
            )
        };
        let (_, kind) = characters.next().ok_or_else(wrong)?;
        let (radix, digits) = match kind {
            'a' => {
                value.push('\x07');
                continue;
            }
            'b' => {
                value.push('\x08');
                continue;
            }
            'f' => {
                value.push('\x0c');
                continue;
            }
            'n' => {
                value.push('\n');
                continue;
            }
            'r' => {
                value.push('\r');
                continue;
            }
            't' => {
                value.push('\t');
                continue;
            }
            'v' => {
                value.push('\x0b');
                continue;
            }
            '\\' | '"' | '\'' => {
                value.push(kind);
                continue;
            }
            '0'..='7' => (8, 3),
            'x' => (16, 2),
            'u' => (16, 4),
            'U' => (16, 8),
            _ => return Err(wrong()),
        };
        let from = at + if radix == 8 { 1 } else { 2 };
        let text = inner.get(from..from + digits).ok_or_else(wrong)?;
        if !text.bytes().all(|byte| char::from(byte).is_digit(radix)) {
            return Err(wrong());
        }
        // Go's \x and octal escapes are bytes; labels are UTF-8, so only ASCII ones are of use.
        let limit = if radix == 8 || digits == 2 {
            0x7f
        } else {
            u32::MAX
        };
        let code = u32::from_str_radix(text, radix)
            .ok()
            .filter(|&code| code <= limit)
            .ok_or_else(wrong)?;
        value.push(char::from_u32(code).ok_or_else(wrong)?);
        let consumed = if radix == 8 { digits - 1 } else { digits };
        characters.nth(consumed - 1);
    }
    Ok(value)
}

/// A selector: what `local` answers.
#[derive(Clone, Debug)]
pub(crate) struct Selector {
    pub(crate) matchers: Vec<Matcher>,
    /// `[…]`, in milliseconds; `None` selects an instant.
    pub(crate) range_ms: Option<i64>,
    /// `offset …`, in milliseconds; negative looks ahead.
    pub(crate) offset_ms: i64,
}

impl Selector {
    /// Keeps the series of a vector that this wants, with this time on every sample, as an
    /// instant query would say it.
    pub(crate) fn retain(&self, response: &mut QueryResponse, at: UnixMillis) {
        let Data::Vector(columns) = &response.data else {
            return;
        };
        let mut kept = ColumnsBuilder::new();
        for series in columns.iter() {
            let wanted = |matcher: &Matcher| {
                matcher.matches_value(series.label(matcher.name()).unwrap_or_default())
            };
            if self.matchers.iter().all(wanted) {
                kept.begin_series();
                for (name, value) in series.labels() {
                    kept.label(name, value);
                }
                for value in series.values() {
                    kept.sample(at.0, *value);
                }
            }
        }
        response.data = Data::Vector(kept.finish());
    }
}

/// Why a text is not a selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SelectorError {
    /// It is not PromQL.
    Syntax(SyntaxError),
    /// It may be PromQL, but it is more than a selector.
    Beyond(SyntaxError),
}

impl From<SyntaxError> for SelectorError {
    fn from(error: SyntaxError) -> Self {
        Self::Syntax(error)
    }
}

/// Reads `metric{label="value",…}[range] offset duration`.
pub(crate) fn parse_selector(text: &str) -> Result<Selector, SelectorError> {
    let tokens = lex(text, false)?;
    let mut parser = Parser {
        text,
        tokens: &tokens,
        at: 0,
    };
    if tokens.is_empty() {
        return Err(SyntaxError::new("no expression found in input", 0).into());
    }
    let mut matchers = Vec::new();
    if let Some(metric) = parser.take(TokenKind::Word) {
        if parser.peek_sign("(") {
            return Err(parser.beyond(&format!("the function or aggregation {metric:?}"), 0));
        }
        matchers.push(
            Matcher::new(METRIC_NAME, MatchOp::Equal, metric).expect("__name__ is a label name"),
        );
    } else if !parser.peek_sign("{") {
        let what = format!("{:?}", &text[tokens[0].at.clone()]);
        return Err(parser.beyond(&what, tokens[0].at.start));
    }
    if parser.take_sign("{") {
        parser.matchers(&mut matchers)?;
    }
    if matchers.iter().all(Matcher::matches_empty) {
        let message = "vector selector must contain at least one non-empty matcher";
        return Err(SyntaxError::new(message, tokens[0].at.start).into());
    }
    let range_ms = if parser.take_sign("[") {
        Some(parser.range()?)
    } else {
        None
    };
    let offset_ms = if parser.take_word("offset") {
        parser.offset()?
    } else {
        0
    };
    match parser.tokens.get(parser.at) {
        None => Ok(Selector {
            matchers,
            range_ms,
            offset_ms,
        }),
        Some(token) => {
            Err(parser.beyond(&format!("{:?}", &text[token.at.clone()]), token.at.start))
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: &'a [Token],
    at: usize,
}

impl<'a> Parser<'a> {
    fn matchers(&mut self, matchers: &mut Vec<Matcher>) -> Result<(), SelectorError> {
        while !self.take_sign("}") {
            let start = self.position();
            let name = self
                .take(TokenKind::Word)
                .ok_or_else(|| self.expected("a label name or \"}\""))?;
            let op = [
                MatchOp::Equal,
                MatchOp::NotEqual,
                MatchOp::Regex,
                MatchOp::NotRegex,
            ]
            .into_iter()
            .find(|op| self.take_sign(op.as_str()))
            .ok_or_else(|| self.expected("one of = != =~ !~"))?;
            let position = self.position();
            let literal = self
                .take(TokenKind::Text)
                .ok_or_else(|| self.expected("a quoted string"))?;
            let value = unquote(literal, position)?;
            let matcher = Matcher::new(name, op, &value)
                .map_err(|error| SyntaxError::new(format!("{error}"), start))?;
            matchers.push(matcher);
            if !self.take_sign(",") && !self.peek_sign("}") {
                return Err(self.expected("\",\" or \"}\"").into());
            }
        }
        Ok(())
    }

    fn range(&mut self) -> Result<i64, SelectorError> {
        let position = self.position();
        let range_ms = self.duration()?;
        if self.peek_sign(":") {
            return Err(self.beyond("a subquery", position));
        }
        if !self.take_sign("]") {
            return Err(self.expected("\"]\"").into());
        }
        if range_ms == 0 {
            return Err(SyntaxError::new("duration must be greater than 0", position).into());
        }
        Ok(range_ms)
    }

    fn offset(&mut self) -> Result<i64, SyntaxError> {
        let negative = self.take_sign("-");
        let offset_ms = self.duration()?;
        Ok(if negative { -offset_ms } else { offset_ms })
    }

    fn duration(&mut self) -> Result<i64, SyntaxError> {
        let position = self.position();
        let text = self
            .take(TokenKind::Number)
            .ok_or_else(|| self.expected("a duration such as 5m"))?;
        parse_duration_ms(text).map_err(|error| SyntaxError::new(format!("{error}"), position))
    }

    fn peek(&self) -> Option<(TokenKind, &'a str)> {
        self.tokens
            .get(self.at)
            .map(|token| (token.kind, &self.text[token.at.clone()]))
    }

    fn take(&mut self, kind: TokenKind) -> Option<&'a str> {
        let (found, text) = self.peek()?;
        (found == kind).then(|| {
            self.at += 1;
            text
        })
    }

    fn peek_sign(&self, sign: &str) -> bool {
        self.peek() == Some((TokenKind::Sign, sign))
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let found = self.peek_sign(sign);
        self.at += usize::from(found);
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found =
            matches!(self.peek(), Some((TokenKind::Word, text)) if text.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn position(&self) -> usize {
        self.tokens
            .get(self.at)
            .map_or(self.text.len(), |token| token.at.start)
    }

    fn expected(&self, what: &str) -> SyntaxError {
        let found = self.peek().map_or_else(
            || "end of input".to_owned(),
            |(_, text)| format!("{text:?}"),
        );
        SyntaxError::new(
            format!("unexpected {found}, expected {what}"),
            self.position(),
        )
    }

    fn beyond(&self, what: &str, position: usize) -> SelectorError {
        let message = format!(
            "samples held here answer selectors only, such as up{{job=\"node\"}}[5m], not {what}"
        );
        SelectorError::Beyond(SyntaxError::new(message, position))
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    fn syntax(text: &str) -> SyntaxError {
        match parse_selector(text) {
            Err(SelectorError::Syntax(error)) => error,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn a_selector_is_read_whole() {
        let selector = parse_selector(
            "node_load1 {a='x', b!=\"y\\\"\\u00e9\", c=~`z\\d`, d!~'',}[5m] offset 1h30m # why",
        )
        .unwrap();
        let matchers: Vec<_> = selector.matchers.iter().map(ToString::to_string).collect();
        assert_eq!(
            matchers,
            [
                "__name__=\"node_load1\"",
                "a=\"x\"",
                "b!=\"y\\\"é\"",
                "c=~\"z\\\\d\"",
                "d!~\"\""
            ]
        );
        assert_eq!(
            (selector.range_ms, selector.offset_ms),
            (Some(300_000), 5_400_000)
        );
        assert_eq!(parse_selector("up offset -5m").unwrap().offset_ms, -300_000);
    }

    #[test]
    fn what_is_more_than_a_selector_is_told_from_what_is_no_promql() {
        for text in [
            "sum(up)",
            "up + 1",
            "1",
            "-up",
            "rate(up[5m])",
            "up[5m:1m]",
            "up @ 5",
            "(up)",
            "\"text\"",
        ] {
            assert!(
                matches!(parse_selector(text), Err(SelectorError::Beyond(_))),
                "{text}"
            );
        }
        for text in [
            "", "up{", "up{a}", "up{a=}", "up{a=b}", "up{a='b'", "up{a='b", "up[5]x", "up[",
            "up[0s]", "up;", "{}", "{a=''}", "{a=~'('}",
        ] {
            assert!(
                matches!(parse_selector(text), Err(SelectorError::Syntax(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn errors_say_where() {
        assert_eq!(syntax("up{a=b}").position, 5);
        assert_eq!(syntax("up{a='\\q'}").position, 6);
        assert_eq!(syntax("up{a='x'} ; 1").position, 10);
    }

    #[test]
    fn every_escape_of_go_is_undone() {
        assert_eq!(
            unquote(r#""\a\b\f\n\r\t\v\\\'\"\x41\101\u00e9\U0001F600""#, 0).unwrap(),
            "\x07\x08\x0c\n\r\t\x0b\\'\"AAé😀"
        );
        for wrong in [
            r#""\""#,
            r#""\x4""#,
            r#""\u12""#,
            r#""\ud800""#,
            r#""\400""#,
            r#""\x+1""#,
        ] {
            assert!(unquote(wrong, 0).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}|[a-z{}\\[\\]()\"'`\\\\=~!,:0-9 \\n#@-]{0,40}") {
            let _ = parse_selector(&text);
            let _ = lex(&text, true);
        }
    }
}
