//! Snappy's block format, out of which remote-write requests come.
//!
//! One length, then pieces: literal bytes, or a copy of what came before. What a block claims to
//! hold is checked before memory is set aside for it.

use alloc::vec::Vec;
use core::fmt;

/// No piece gives more: a copy of 64 bytes takes three.
const EXPANSION_MAX: usize = 22;

/// Why bytes are no block, or too large a one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnappyError {
    /// Not a block, or a cut-off one.
    Malformed {
        /// Byte offset.
        position: usize,
        /// What should have stood there.
        expected: &'static str,
    },
    /// It would decompress to more than allowed.
    TooLarge {
        /// How much it claims, in bytes.
        bytes: usize,
        /// How much is allowed.
        limit: usize,
    },
}

impl fmt::Display for SnappyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { position, expected } => {
                write!(
                    f,
                    "expected {expected} at byte {position} of the snappy block"
                )
            }
            Self::TooLarge { bytes, limit } => {
                write!(
                    f,
                    "the snappy block holds {bytes} bytes, the limit is {limit}"
                )
            }
        }
    }
}

impl core::error::Error for SnappyError {}

/// Decompresses a block of at most `limit` bytes once decompressed.
///
/// The framing format, which streams have, is not read: a remote-write request is one block.
///
/// # Errors
///
/// A block that is malformed, cut off, longer than it says, or larger than the limit.
///
/// ```
/// let block = b"\x0a\x08abc\x0d\x03"; // 10 bytes: three letters, and 7 copied from 3 back
/// assert_eq!(tidegate_wire::snappy::decompress(block, 100).unwrap(), b"abcabcabca");
/// ```
pub fn decompress(block: &[u8], limit: usize) -> Result<Vec<u8>, SnappyError> {
    let mut pieces = Pieces { block, at: 0 };
    let length = pieces.length()?;
    if length > limit {
        return Err(SnappyError::TooLarge {
            bytes: length,
            limit,
        });
    }
    if length > block.len().saturating_mul(EXPANSION_MAX) {
        return Err(malformed(0, "a length that these bytes can have"));
    }
    let mut out = Vec::with_capacity(length);
    while pieces.at < block.len() {
        let start = pieces.at;
        let room = length - out.len();
        match pieces.next()? {
            Piece::Literal(bytes) if bytes.len() <= room => out.extend_from_slice(bytes),
            Piece::Copy { length, back } if length <= room => {
                if back == 0 || back > out.len() {
                    return Err(malformed(start, "a copy of what came before"));
                }
                copy(&mut out, length, back);
            }
            Piece::Literal(_) | Piece::Copy { .. } => {
                return Err(malformed(start, "the end of the block"));
            }
        }
    }
    match out.len() == length {
        true => Ok(out),
        false => Err(malformed(block.len(), "more of the block")),
    }
}

/// Appends `length` bytes from `back` bytes ago, which may run into what is being appended.
fn copy(out: &mut Vec<u8>, length: usize, back: usize) {
    let (start, end) = (out.len() - back, out.len() + length);
    // What stands from `start` on repeats every `back` bytes, and is appended in multiples of that.
    while out.len() < end {
        let step = (end - out.len()).min(out.len() - start);
        out.extend_from_within(start..start + step);
    }
}

enum Piece<'a> {
    Literal(&'a [u8]),
    Copy { length: usize, back: usize },
}

struct Pieces<'a> {
    block: &'a [u8],
    at: usize,
}

impl<'a> Pieces<'a> {
    /// The length that the block says it has decompressed: a varint of 32 bits.
    fn length(&mut self) -> Result<usize, SnappyError> {
        let refused = || malformed(0, "the length of the block");
        let mut length = 0_u64;
        for place in 0..5 {
            let byte = self.take(1).ok_or_else(refused)?[0];
            length |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                let length = u32::try_from(length).map_err(|_| refused())?;
                return usize::try_from(length).map_err(|_| refused());
            }
        }
        Err(refused())
    }

    fn next(&mut self) -> Result<Piece<'a>, SnappyError> {
        let start = self.at;
        let cut_off = || malformed(start, "a whole piece");
        let tag = usize::from(self.take(1).ok_or_else(cut_off)?[0]);
        let high = tag >> 2;
        let piece = match tag & 3 {
            0 => {
                let length = match high {
                    0..60 => Some(high),
                    // One to four bytes more have it.
                    _ => self.number(high - 59),
                };
                length
                    .and_then(|length| length.checked_add(1))
                    .and_then(|length| self.take(length))
                    .map(Piece::Literal)
            }
            1 => self.number(1).map(|low| Piece::Copy {
                length: 4 + (high & 7),
                back: (tag >> 5) << 8 | low,
            }),
            wide => self
                .number(if wide == 2 { 2 } else { 4 })
                .map(|back| Piece::Copy {
                    length: 1 + high,
                    back,
                }),
        };
        piece.ok_or_else(cut_off)
    }

    /// A number of so many bytes, at most four, the lowest first.
    fn number(&mut self, bytes: usize) -> Option<usize> {
        let bytes = self.take(bytes)?;
        let number = bytes
            .iter()
            .rev()
            .fold(0_u32, |number, &byte| number << 8 | u32::from(byte));
        usize::try_from(number).ok()
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.block.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(taken)
    }
}

const fn malformed(position: usize, expected: &'static str) -> SnappyError {
    SnappyError::Malformed { position, expected }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    fn refusal(block: &[u8]) -> usize {
        match decompress(block, 1_000_000) {
            Err(SnappyError::Malformed { position, .. }) => position,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn literals_of_every_length_are_read() {
        for length in [1_usize, 60, 61, 256, 257, 70_000] {
            let text: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let mut block = Vec::new();
            crate::protobuf::write_varint(length as u64, &mut block);
            match length - 1 {
                less @ 0..60 => block.push((less << 2) as u8),
                less @ 60..256 => block.extend([60 << 2, less as u8]),
                less @ 256..65_536 => block.extend([61 << 2, less as u8, (less >> 8) as u8]),
                less => block.extend([62 << 2, less as u8, (less >> 8) as u8, (less >> 16) as u8]),
            }
            block.extend_from_slice(&text);
            assert_eq!(decompress(&block, length), Ok(text));
        }
    }

    #[test]
    fn a_copy_may_run_into_itself() {
        // One letter, and 64 more of it from one back.
        let block = [65, 0, b'a', (63 << 2) | 2, 1, 0];
        assert_eq!(decompress(&block, 100), Ok(vec![b'a'; 65]));
        let block = [7, 0, b'a', (5 << 2) | 3, 1, 0, 0, 0];
        assert_eq!(decompress(&block, 100), Ok(vec![b'a'; 7]));
    }

    #[test]
    fn an_empty_block_is_one_byte() {
        assert_eq!(decompress(&[0], 0), Ok(vec![]));
        assert_eq!(refusal(&[]), 0);
    }

    #[test]
    fn what_a_block_claims_is_checked_before_memory_is_set_aside() {
        let claims_4_gib = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, b'a'];
        let bytes = u32::MAX as usize;
        let refused = SnappyError::TooLarge { bytes, limit: 10 };
        assert_eq!(decompress(&claims_4_gib, 10), Err(refused));
        assert!(matches!(
            decompress(&claims_4_gib, usize::MAX),
            Err(SnappyError::Malformed { position: 0, .. })
        ));
        assert_eq!(refusal(&[0xff, 0xff, 0xff, 0xff, 0x1f]), 0);
    }

    #[test]
    fn the_limit_itself_is_allowed() {
        let block = [3, 2 << 2, b'a', b'b', b'c'];
        assert_eq!(decompress(&block, 3), Ok(b"abc".to_vec()));
        let refused = SnappyError::TooLarge { bytes: 3, limit: 2 };
        assert_eq!(decompress(&block, 2), Err(refused));
    }

    #[test]
    fn what_is_missing_too_much_or_nowhere_is_refused() {
        // Cut off in a literal, and in an offset.
        assert_eq!(refusal(&[3, 2 << 2, b'a', b'b']), 1);
        assert_eq!(refusal(&[9, 0, b'a', (7 << 2) | 2, 1]), 3);
        // A copy from nowhere, and from before the beginning.
        assert_eq!(refusal(&[9, 0, b'a', (7 << 2) | 2, 0, 0]), 3);
        assert_eq!(refusal(&[9, 0, b'a', (7 << 2) | 2, 2, 0]), 3);
        // Longer and shorter than it says.
        assert_eq!(refusal(&[1, 1 << 2, b'a', b'b']), 1);
        assert_eq!(refusal(&[2, 0, b'a', (7 << 2) | 2, 1, 0]), 3);
        assert_eq!(refusal(&[3, 1 << 2, b'a', b'b']), 4);
    }

    proptest! {
        #[test]
        fn what_snappy_compressed_reads_back(text in prop::collection::vec(0_u8..4, 0..3_000)) {
            let block = snap::raw::Encoder::new().compress_vec(&text).unwrap();
            prop_assert_eq!(decompress(&block, text.len()), Ok(text));
        }

        #[test]
        fn any_bytes_read_as_snappy_reads_them(
            length in 0_u8..70,
            pieces in prop::collection::vec(prop_oneof![0_u8..10, any::<u8>()], 0..40),
        ) {
            let mut block = vec![length];
            block.extend(pieces);
            let expected = snap::raw::Decoder::new().decompress_vec(&block);
            let found = decompress(&block, 1_000);
            prop_assert_eq!(found.is_ok(), expected.is_ok(), "{:?} {:?}", found, expected);
            if let (Ok(found), Ok(expected)) = (found, expected) {
                prop_assert_eq!(found, expected);
            }
        }
    }
}
