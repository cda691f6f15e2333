//! A cursor over a chunk's bytes, and numbers of variable length.

use alloc::vec::Vec;

use super::values::ENCODED_VALUES_MAX;
use crate::error::ChunkError;

/// Reads from the front; every step past the end is an error.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], ChunkError> {
        let rest = &self.bytes[self.position..];
        let taken = rest.get(..count).ok_or(ChunkError::Truncated {
            bytes: self.bytes.len(),
        })?;
        self.position += count;
        Ok(taken)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, ChunkError> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn word(&mut self) -> Result<u64, ChunkError> {
        let mut word = [0; 8];
        word.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(word))
    }

    /// Seven bits a byte, lowest first; the top bit says that more follow.
    pub(crate) fn varint(&mut self) -> Result<u64, ChunkError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(self.invalid())
    }

    pub(super) fn signed(&mut self) -> Result<i64, ChunkError> {
        self.varint().map(unzigzag)
    }

    /// How many numbers a column has.
    pub(super) fn count(&mut self) -> Result<usize, ChunkError> {
        let count = self.varint()?;
        if count > ENCODED_VALUES_MAX as u64 {
            return Err(ChunkError::TooMany { count });
        }
        Ok(count as usize)
    }

    /// Refuses bytes that are left.
    pub(crate) const fn finish(&self) -> Result<(), ChunkError> {
        if self.position == self.bytes.len() {
            return Ok(());
        }
        Err(ChunkError::TooLong {
            bytes: self.bytes.len(),
        })
    }

    /// What is wrong with the byte just read.
    pub(crate) const fn invalid(&self) -> ChunkError {
        ChunkError::Invalid {
            position: self.position.saturating_sub(1),
        }
    }
}

pub(crate) fn write_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(super) fn write_signed(number: i64, out: &mut Vec<u8>) {
    write_varint(zigzag(number), out);
}

/// Small numbers of either sign as small ones without: 0, −1, 1, −2 as 0, 1, 2, 3.
pub(super) const fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63) as u64
}

pub(super) const fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_size_come_back() {
        for shift in 0..64 {
            for number in [1_i64 << shift, i64::MIN >> shift, i64::MAX >> shift] {
                let mut bytes = Vec::new();
                write_signed(number, &mut bytes);
                let mut reader = Reader::new(&bytes);
                assert_eq!(reader.signed(), Ok(number));
                assert_eq!(reader.finish(), Ok(()));
                assert!(Reader::new(&bytes[1..]).signed() != Ok(number));
            }
        }
    }

    #[test]
    fn a_number_past_64_bits_is_refused() {
        let mut bytes = [0xff; 10];
        bytes[9] = 1;
        assert_eq!(Reader::new(&bytes).varint(), Ok(u64::MAX));
        bytes[9] = 2;
        let refused = Err(ChunkError::Invalid { position: 9 });
        assert_eq!(Reader::new(&bytes).varint(), refused);
        bytes[9] = 0x81;
        assert_eq!(Reader::new(&bytes).varint(), refused);
    }
}
