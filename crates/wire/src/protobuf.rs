//! The encoding of protocol buffers: tags, varints, and what stands behind them.
//!
//! No message is known here. Every read is bounded by the message it is within, and nesting is as
//! deep as the code that reads, so nothing hostile recurses.

use alloc::vec::Vec;
use core::str;

/// A varint of 64 bits has ten groups of seven.
const VARINT_BYTES_MAX: usize = 10;

/// What kind of thing follows a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// A varint.
    Varint = 0,
    /// Eight bytes, the lowest first.
    Fixed64 = 1,
    /// A length, and as many bytes.
    Bytes = 2,
    /// Four bytes, the lowest first.
    Fixed32 = 5,
}

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// Where, from the beginning of the outermost message.
    pub(crate) position: usize,
    /// What should have stood there.
    pub(crate) expected: &'static str,
}

/// Reads one message, or a message within one.
#[derive(Clone, Debug)]
pub(crate) struct Message<'a> {
    /// The outermost message up to where this one ends.
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Message<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How far it is read, from the beginning of the outermost message.
    pub(crate) const fn position(&self) -> usize {
        self.at
    }

    /// The next field's number and what follows; `None` at the end. One of the readers below, or
    /// [`skip`](Self::skip), comes next.
    pub(crate) fn field(&mut self) -> Result<Option<(u32, Wire)>, Malformed> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let start = self.at;
        let refused = Malformed {
            position: start,
            expected: "a field",
        };
        let tag = u32::try_from(self.varint()?).map_err(|_| refused)?;
        let wire = match tag & 7 {
            0 => Wire::Varint,
            1 => Wire::Fixed64,
            2 => Wire::Bytes,
            5 => Wire::Fixed32,
            // Groups, which no message of this century has, and what is not defined.
            _ => return Err(refused),
        };
        match tag >> 3 {
            0 => Err(refused),
            number => Ok(Some((number, wire))),
        }
    }

    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        let start = self.at;
        let refused = Malformed {
            position: start,
            expected: "a varint",
        };
        let mut value = 0_u64;
        for place in 0..VARINT_BYTES_MAX {
            let byte = *self.bytes.get(start + place).ok_or(refused)?;
            let group = u64::from(byte & 0x7f);
            // The tenth group has one bit left.
            if place == VARINT_BYTES_MAX - 1 && group > 1 {
                return Err(refused);
            }
            value |= group << (7 * place);
            if byte < 0x80 {
                self.at = start + place + 1;
                return Ok(value);
            }
        }
        Err(refused)
    }

    pub(crate) fn double(&mut self) -> Result<f64, Malformed> {
        let bytes = self.take(8, "eight bytes")?;
        let mut bits = [0; 8];
        bits.copy_from_slice(bytes);
        Ok(f64::from_bits(u64::from_le_bytes(bits)))
    }

    /// The message in a field of [`Wire::Bytes`].
    pub(crate) fn message(&mut self) -> Result<Self, Malformed> {
        let length = self.varint()?;
        let start = self.at;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.take(length, "as many bytes as announced")?;
        Ok(Self {
            bytes: &self.bytes[..self.at],
            at: start,
        })
    }

    /// The text in a field of [`Wire::Bytes`]; an error of its own where it is not UTF-8.
    pub(crate) fn text(&mut self) -> Result<Result<&'a str, usize>, Malformed> {
        let inner = self.message()?;
        let text = str::from_utf8(&inner.bytes[inner.at..]);
        Ok(text.map_err(|error| inner.at + error.valid_up_to()))
    }

    /// Passes over what the last tag announced.
    pub(crate) fn skip(&mut self, wire: Wire) -> Result<(), Malformed> {
        match wire {
            Wire::Varint => self.varint().map(drop),
            Wire::Fixed64 => self.take(8, "eight bytes").map(drop),
            Wire::Bytes => self.message().map(drop),
            Wire::Fixed32 => self.take(4, "four bytes").map(drop),
        }
    }

    fn take(&mut self, length: usize, expected: &'static str) -> Result<&'a [u8], Malformed> {
        let position = self.at;
        let taken = self
            .bytes
            .get(position..position.saturating_add(length))
            .ok_or(Malformed { position, expected })?;
        self.at += length;
        Ok(taken)
    }
}

/// How many bytes `value` takes as a varint.
pub(crate) const fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// How many bytes a field of so many bytes takes, with its tag and its length. Field numbers here are
/// below 16, so that a tag is one byte.
pub(crate) const fn field_len(bytes: usize) -> usize {
    1 + varint_len(bytes as u64) + bytes
}

/// Appends a tag.
pub(crate) fn write_tag(number: u8, wire: Wire, out: &mut Vec<u8>) {
    debug_assert!(number < 16, "a tag of one byte");
    out.push(number << 3 | wire as u8);
}

/// Appends a varint.
pub(crate) fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends the tag and length of a field of so many bytes, which come next.
pub(crate) fn write_length(number: u8, bytes: usize, out: &mut Vec<u8>) {
    write_tag(number, Wire::Bytes, out);
    write_varint(bytes as u64, out);
}

/// Appends a field of text.
pub(crate) fn write_text(number: u8, text: &str, out: &mut Vec<u8>) {
    write_length(number, text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_varint_of_more_than_64_bits_is_refused() {
        let mut most = [0xff; 10];
        most[9] = 1;
        assert_eq!(Message::new(&most).varint(), Ok(u64::MAX));
        for last in [2, 0x81, 0xff] {
            most[9] = last;
            assert!(Message::new(&most).varint().is_err(), "{last:x}");
        }
    }

    #[test]
    fn a_length_beyond_the_message_is_refused_where_it_stands() {
        for length in [
            &[3_u8][..],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        ] {
            let mut bytes = length.to_vec();
            bytes.extend_from_slice(b"ab");
            let refused = Message::new(&bytes).message().unwrap_err();
            assert_eq!(refused.position, length.len());
        }
    }

    #[test]
    fn a_message_within_one_ends_where_it_says() {
        let bytes = [2, 0x08, 0x05, 0x10, 0x07];
        let mut outer = Message::new(&bytes);
        let mut inner = outer.message().unwrap();
        assert_eq!(inner.field(), Ok(Some((1, Wire::Varint))));
        assert_eq!(inner.varint(), Ok(5));
        assert_eq!(inner.field(), Ok(None));
        assert_eq!((inner.position(), outer.position()), (3, 3));
        assert_eq!(outer.field(), Ok(Some((2, Wire::Varint))));
    }

    #[test]
    fn groups_and_the_field_0_are_refused() {
        for tag in [0x00, 0x0b, 0x0c, 0x0e, 0x0f] {
            assert!(Message::new(&[tag, 0]).field().is_err(), "{tag:x}");
        }
    }

    proptest! {
        #[test]
        fn a_varint_is_as_long_as_announced_and_reads_back(value: u64) {
            let mut out = Vec::new();
            write_varint(value, &mut out);
            prop_assert_eq!(out.len(), varint_len(value));
            let mut message = Message::new(&out);
            prop_assert_eq!(message.varint(), Ok(value));
            prop_assert_eq!(message.field(), Ok(None));
        }
    }
}
