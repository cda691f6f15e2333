//! A strict JSON reader that hands out slices of the body; the decoder asks for what it expects.
//!
//! Strict means RFC 8259: no trailing commas, no control characters in strings, no leading zeros.
//! Lone surrogates are refused: Go's encoders never write them, and replacing them would let two
//! different labels become one. Nothing recurses, so depth costs no stack.

use alloc::borrow::Cow;
use alloc::string::String;

use crate::decode::DecodeError;
use crate::swar::plain_length;

/// The deepest nesting of arrays and objects that is read.
///
/// A query response needs eight levels, histograms included; the rest is room for fields to come.
/// One bit per level fits a `u128`.
pub(crate) const DEPTH_MAX: usize = 128;

type Result<T> = core::result::Result<T, DecodeError>;

/// A place in a body, moving forward only.
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth_limit: usize,
}

impl<'a> Reader<'a> {
    /// Reads `body`, which must be UTF-8, to a depth of at most `depth_limit`.
    pub(crate) fn new(body: &'a [u8], depth_limit: usize) -> Result<Self> {
        let depth_limit = depth_limit.min(DEPTH_MAX);
        match core::str::from_utf8(body) {
            Ok(text) => Ok(Self {
                text,
                at: 0,
                depth_limit,
            }),
            Err(error) if error.error_len().is_none() => Err(DecodeError::Truncated {
                position: body.len(),
            }),
            Err(error) => Err(DecodeError::BadText {
                position: error.valid_up_to(),
            }),
        }
    }

    /// A reader of the same body that stands at `position`.
    pub(crate) fn at(&self, position: usize) -> Self {
        Self {
            text: self.text,
            at: position,
            depth_limit: self.depth_limit,
        }
    }

    /// Bytes read so far.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// What was read from `start` on, as it is written.
    pub(crate) fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    /// What is not read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }

    /// `N` bytes of which `before` are read, unless the body has fewer there.
    pub(crate) fn window<const N: usize>(&self, before: usize) -> Option<&'a [u8; N]> {
        let start = self.at.checked_sub(before)?;
        self.text.as_bytes().get(start..)?.first_chunk()
    }

    /// Consumes `text` if it comes next, without white space before it.
    pub(crate) fn take<const N: usize>(&mut self, text: &[u8; N]) -> bool {
        let comes = self.rest().first_chunk::<N>() == Some(text);
        if comes {
            self.at += N;
        }
        comes
    }

    /// Consumes `length` bytes that were looked at.
    ///
    /// # Panics
    ///
    /// Later, if that does not end at a character.
    pub(crate) fn advance(&mut self, length: usize) {
        self.at += length;
    }

    /// The next byte that is not white space; it is not consumed.
    pub(crate) fn peek(&mut self) -> Result<u8> {
        self.space();
        self.byte()
            .ok_or(DecodeError::Truncated { position: self.at })
    }

    /// Consumes `byte` after white space.
    pub(crate) fn expect(&mut self, byte: u8, expected: &'static str) -> Result<()> {
        if self.peek()? != byte {
            return Err(self.unexpected(expected));
        }
        self.at += 1;
        Ok(())
    }

    /// Steps into the elements of an array: whether there is another one.
    ///
    /// Call it after `[` with `first` true, and after every element.
    pub(crate) fn element(&mut self, first: &mut bool) -> Result<bool> {
        self.item(first, b']', "`,` or `]`")
    }

    /// Steps into the members of an object: the next key, its `:` consumed, or `None` at the end.
    ///
    /// Call it after `{` with `first` true, and after every value.
    pub(crate) fn key(&mut self, first: &mut bool) -> Result<Option<Cow<'a, str>>> {
        if !self.item(first, b'}', "`,` or `}`")? {
            return Ok(None);
        }
        let key = self.string("a key")?;
        self.expect(b':', "`:`")?;
        Ok(Some(key))
    }

    /// Reads a string, its escapes resolved; borrowed if it has none.
    pub(crate) fn string(&mut self, expected: &'static str) -> Result<Cow<'a, str>> {
        self.expect(b'"', expected)?;
        let run = self.plain_run()?;
        if self.byte() == Some(b'"') {
            self.at += 1;
            return Ok(Cow::Borrowed(run));
        }
        let mut text = String::from(run);
        while self.byte() != Some(b'"') {
            text.push(self.escape()?);
            text.push_str(self.plain_run()?);
        }
        self.at += 1;
        Ok(Cow::Owned(text))
    }

    /// Reads a number and returns it as it is written.
    pub(crate) fn number(&mut self, expected: &'static str) -> Result<&'a str> {
        if !matches!(self.peek()?, b'-' | b'0'..=b'9') {
            return Err(self.unexpected(expected));
        }
        let start = self.at;
        self.skip_number()?;
        Ok(&self.text[start..self.at])
    }

    /// Skips one value, checking that it is JSON, and returns it as it is written.
    ///
    /// `depth` is the nesting the reader stands at already.
    pub(crate) fn skip(&mut self, depth: usize) -> Result<&'a str> {
        self.peek()?;
        let start = self.at;
        // One bit per open level: 1 for an object.
        let mut objects: u128 = 0;
        let mut open = 0;
        loop {
            // At a value.
            let byte = self.peek()?;
            if matches!(byte, b'{' | b'[') {
                if depth + open >= self.depth_limit {
                    return Err(DecodeError::TooDeep {
                        position: self.at,
                        limit: self.depth_limit,
                    });
                }
                self.at += 1;
                open += 1;
                objects = objects << 1 | u128::from(byte == b'{');
                if self.enter(objects & 1 == 1)? {
                    continue;
                }
                open -= 1;
                objects >>= 1;
            } else {
                self.skip_plain(byte)?;
            }
            // After a value: close what closes, until another value follows.
            loop {
                if open == 0 {
                    return Ok(&self.text[start..self.at]);
                }
                let object = objects & 1 == 1;
                if self.next(object)? {
                    break;
                }
                open -= 1;
                objects >>= 1;
            }
        }
    }

    /// Checks that only white space follows.
    pub(crate) fn end(&mut self) -> Result<()> {
        self.space();
        match self.byte() {
            None => Ok(()),
            Some(_) => Err(self.unexpected("the end of the body")),
        }
    }

    /// The error of something else standing where `expected` should.
    pub(crate) fn unexpected(&self, expected: &'static str) -> DecodeError {
        match self.byte() {
            None => DecodeError::Truncated { position: self.at },
            Some(_) => DecodeError::Json {
                position: self.at,
                expected,
            },
        }
    }

    /// Just inside a bracket: whether a value follows, its key consumed, rather than the end.
    fn enter(&mut self, object: bool) -> Result<bool> {
        let mut first = true;
        self.step(object, &mut first)
    }

    /// After a value: whether another follows, its key consumed, rather than the end.
    fn next(&mut self, object: bool) -> Result<bool> {
        let mut first = false;
        self.step(object, &mut first)
    }

    fn step(&mut self, object: bool, first: &mut bool) -> Result<bool> {
        if !object {
            return self.element(first);
        }
        if !self.item(first, b'}', "`,` or `}`")? {
            return Ok(false);
        }
        if self.peek()? != b'"' {
            return Err(self.unexpected("a key"));
        }
        self.skip_string()?;
        self.expect(b':', "`:`")?;
        Ok(true)
    }

    fn item(&mut self, first: &mut bool, close: u8, expected: &'static str) -> Result<bool> {
        let byte = self.peek()?;
        if byte == close {
            self.at += 1;
            return Ok(false);
        }
        if !core::mem::replace(first, false) {
            if byte != b',' {
                return Err(self.unexpected(expected));
            }
            self.at += 1;
            if self.peek()? == close {
                return Err(self.unexpected("another item after `,`"));
            }
        }
        Ok(true)
    }

    fn skip_plain(&mut self, byte: u8) -> Result<()> {
        match byte {
            b'"' => self.skip_string(),
            b'-' | b'0'..=b'9' => self.skip_number(),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn skip_string(&mut self) -> Result<()> {
        self.at += 1;
        self.plain_run()?;
        while self.byte() != Some(b'"') {
            self.escape()?;
            self.plain_run()?;
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &'static str) -> Result<()> {
        for expected in word.bytes() {
            if self.byte() != Some(expected) {
                return Err(self.unexpected(word));
            }
            self.at += 1;
        }
        Ok(())
    }

    fn skip_number(&mut self) -> Result<()> {
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        if self.byte() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.byte(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<()> {
        let start = self.at;
        while matches!(self.byte(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        match self.at == start {
            true => Err(self.unexpected("a digit")),
            false => Ok(()),
        }
    }

    /// The text up to a quote or an escape, which is next.
    fn plain_run(&mut self) -> Result<&'a str> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let Some(length) = plain_length(bytes, start) else {
            return Err(DecodeError::Truncated {
                position: bytes.len(),
            });
        };
        self.at += length;
        if bytes[self.at] < 0x20 {
            return Err(self.unexpected("no control character in a string"));
        }
        Ok(&self.text[start..self.at])
    }

    /// Reads one escape, both halves of a surrogate pair included.
    fn escape(&mut self) -> Result<char> {
        let start = self.at;
        self.at += 1;
        let byte = self
            .byte()
            .ok_or(DecodeError::Truncated { position: self.at })?;
        let plain = match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(start),
            _ => return Err(self.unexpected("an escape")),
        };
        self.at += 1;
        Ok(plain)
    }

    fn unicode_escape(&mut self, start: usize) -> Result<char> {
        let high = self.hex_unit()?;
        if !(0xd800..0xdc00).contains(&high) {
            return char::from_u32(high).ok_or(DecodeError::BadText { position: start });
        }
        for byte in [b'\\', b'u'] {
            match self.byte() {
                Some(found) if found == byte => self.at += 1,
                Some(_) => return Err(DecodeError::BadText { position: start }),
                None => return Err(DecodeError::Truncated { position: self.at }),
            }
        }
        self.at -= 1;
        let low = self.hex_unit()?;
        if !(0xdc00..0xe000).contains(&low) {
            return Err(DecodeError::BadText { position: start });
        }
        let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        char::from_u32(code).ok_or(DecodeError::BadText { position: start })
    }

    /// Reads `u` and four hexadecimal digits.
    fn hex_unit(&mut self) -> Result<u32> {
        self.at += 1;
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.byte().and_then(|byte| char::from(byte).to_digit(16));
            unit = unit << 4 | digit.ok_or_else(|| self.unexpected("a hexadecimal digit"))?;
            self.at += 1;
        }
        Ok(unit)
    }

    fn space(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}
