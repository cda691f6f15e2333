//! Packing: numbers of at most so many bits each, side by side in little-endian words.
//!
//! A full block lies in eight lanes. Word `8·k + lane` is the `k`th word of its lane, and a lane holds every eighth
//! number, so one shift serves eight neighbours and the compiler can do several at once. What is no full block lies in
//! one lane, cut off at the byte after its last bit.

use alloc::vec::Vec;

use super::reader::Reader;
use crate::error::ChunkError;

/// How many numbers a full block has. More would pack little better, and an edge of a window costs a block to read.
pub(super) const BLOCK: usize = 512;

const LANES: usize = 8;
const ROWS: usize = BLOCK / LANES;

/// The words of the widest block, and behind each lane one more to read past the end of.
const WORDS: usize = BLOCK + LANES;

/// How many bits the number takes; none for 0.
pub(super) const fn bits_of(number: u64) -> u32 {
    u64::BITS - number.leading_zeros()
}

/// Appends the numbers, of which each has at most `width` bits (0 to 64).
pub(super) fn pack(numbers: &[u64], width: u32, out: &mut Vec<u8>) {
    let mut words = [0; WORDS];
    if numbers.len() == BLOCK {
        pack_lanes::<LANES>(numbers, width, &mut words);
    } else {
        pack_lanes::<1>(numbers, width, &mut words);
    }
    let start = out.len();
    let bytes = packed_bytes(numbers.len(), width);
    let words = &words[..bytes.div_ceil(8)];
    out.reserve(words.len() * 8);
    for word in words {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.truncate(start + bytes);
}

fn pack_lanes<const LANES: usize>(numbers: &[u64], width: u32, words: &mut [u64; WORDS]) {
    if width == 0 {
        return;
    }
    let mut bit = 0;
    for row in numbers.chunks(LANES) {
        let (word, shift) = (bit / 64 * LANES, bit as u32 % 64);
        for (lane, &number) in row.iter().enumerate() {
            words[word + lane] |= number << shift;
            // Twice, as a shift by all 64 bits is none.
            words[word + LANES + lane] |= number >> 1 >> (63 - shift);
        }
        bit += width as usize;
    }
}

/// Reads as many numbers as `numbers` has room for; any `width` up to 64.
pub(super) fn unpack(
    reader: &mut Reader<'_>,
    width: u32,
    numbers: &mut [u64],
) -> Result<(), ChunkError> {
    let bytes = reader.take(packed_bytes(numbers.len(), width))?;
    if width == 0 {
        numbers.fill(0);
        return Ok(());
    }
    let mut words = [0; WORDS];
    let (whole, rest) = bytes.as_chunks::<8>();
    for (word, bytes) in words.iter_mut().zip(whole) {
        *word = u64::from_le_bytes(*bytes);
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        words[whole.len()] = u64::from_le_bytes(last);
    }
    if let Ok(block) = <&mut [u64; BLOCK]>::try_from(&mut *numbers) {
        unpack_block(&words, width, block);
    } else {
        unpack_lane(&words, width, numbers);
    }
    Ok(())
}

fn unpack_block(words: &[u64; WORDS], width: u32, numbers: &mut [u64; BLOCK]) {
    let mask = u64::MAX >> (64 - width);
    let (words, _) = words.as_chunks::<LANES>();
    let (rows, _) = numbers.as_chunks_mut::<LANES>();
    let mut bit = 0;
    for row in rows {
        let (word, shift) = (bit / 64 % ROWS, bit as u32 % 64);
        let (low, high) = (&words[word], &words[word + 1]);
        for lane in 0..LANES {
            row[lane] = (low[lane] >> shift | high[lane] << 1 << (63 - shift)) & mask;
        }
        bit += width as usize;
    }
}

fn unpack_lane(words: &[u64; WORDS], width: u32, numbers: &mut [u64]) {
    let mask = u64::MAX >> (64 - width);
    let mut bit = 0;
    for number in numbers {
        let (word, shift) = (bit / 64, bit as u32 % 64);
        *number = (words[word] >> shift | words[word + 1] << 1 << (63 - shift)) & mask;
        bit += width as usize;
    }
}

/// A full block takes whole words of each lane: `width` of them, as it has 64 rows.
const fn packed_bytes(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_and_length_comes_back() {
        for width in 0..=64_u32 {
            for count in [0, 1, 2, 7, 8, 9, 63, 64, 65, 511, 512] {
                let mask = if width == 0 {
                    0
                } else {
                    u64::MAX >> (64 - width)
                };
                let mut state = 0x9e37_79b9_u64;
                let numbers: Vec<u64> = (0..count)
                    .map(|_| {
                        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                        (state ^ state >> 31) & mask
                    })
                    .collect();
                let mut bytes = Vec::new();
                pack(&numbers, width, &mut bytes);
                assert_eq!(bytes.len(), (count * width as usize).div_ceil(8));
                let mut back = alloc::vec![1; count];
                unpack(&mut Reader::new(&bytes), width, &mut back).unwrap();
                assert_eq!(back, numbers, "{width} bits, {count} numbers");
                if !bytes.is_empty() {
                    let short = &bytes[..bytes.len() - 1];
                    assert!(unpack(&mut Reader::new(short), width, &mut back).is_err());
                }
            }
        }
    }
}
