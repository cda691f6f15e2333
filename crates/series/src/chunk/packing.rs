//! Packing: numbers of at most so many bits each, side by side in little-endian words.
//!
//! A full block lies in eight lanes. Word `8·k + lane` is the `k`th word of its lane, and a lane holds every eighth
//! number, so one shift serves eight neighbours and the compiler can do several at once. What is no full block lies in
//! one lane, cut off at the byte after its last bit.

use alloc::vec::Vec;

use super::ints::Number;
use super::reader::Reader;
use crate::error::ChunkError;

/// How many numbers a full block has. More would pack little better, and an edge of a window costs a block to read.
pub(super) const BLOCK: usize = 512;

const LANES: usize = 8;
/// How many bits the number takes; none for 0.
pub(super) const fn bits_of(number: u64) -> u32 {
    u64::BITS - number.leading_zeros()
}

/// All ones in the lowest `width` bits, 0 to 64.
pub(super) const fn mask(width: u32) -> u64 {
    match width {
        0 => 0,
        _ => u64::MAX >> (64 - width),
    }
}

/// Appends the lowest `width` bits, 0 to 64, of each number.
pub(super) fn pack<N: Number>(numbers: &[N], width: u32, out: &mut Vec<u8>) {
    out.reserve(packed_bytes(numbers.len(), width));
    if width == 0 {
        return;
    }
    if numbers.len() == BLOCK {
        pack_block(numbers, width, out);
    } else {
        let mask = mask(width);
        pack_lane(
            numbers.iter().map(|&number| number.bits() & mask),
            width,
            out,
        );
    }
}

fn pack_block<N: Number>(numbers: &[N], width: u32, out: &mut Vec<u8>) {
    let mask = mask(width);
    let (rows, _) = numbers.as_chunks::<LANES>();
    let mut words = [0_u64; LANES];
    let mut shift = 0;
    for row in rows {
        for lane in 0..LANES {
            words[lane] |= (row[lane].bits() & mask) << shift;
        }
        shift += width;
        if shift >= u64::BITS {
            let mut bytes = [[0; 8]; LANES];
            shift -= u64::BITS;
            for lane in 0..LANES {
                bytes[lane] = words[lane].to_le_bytes();
                // Twice, as a shift by all 64 bits is none.
                words[lane] = (row[lane].bits() & mask) >> 1 >> (width - shift - 1);
            }
            out.extend_from_slice(bytes.as_flattened());
        }
    }
}

/// Appends numbers of at most `width` bits.
fn pack_lane(numbers: impl Iterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    let (mut word, mut shift) = (0_u64, 0);
    for number in numbers {
        word |= number << shift;
        shift += width;
        if shift >= u64::BITS {
            out.extend_from_slice(&word.to_le_bytes());
            shift -= u64::BITS;
            word = number >> 1 >> (width - shift - 1);
        }
    }
    let bytes = shift.div_ceil(8) as usize;
    out.extend_from_slice(&word.to_le_bytes()[..bytes]);
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
    } else if let Ok(block) = <&mut [u64; BLOCK]>::try_from(&mut *numbers) {
        unpack_block(bytes, width, block);
    } else {
        for (nth, number) in numbers.iter_mut().enumerate() {
            *number = packed_at(bytes, width, nth);
        }
    }
    Ok(())
}

fn unpack_block(bytes: &[u8], width: u32, numbers: &mut [u64; BLOCK]) {
    let mask = mask(width);
    let (words, _) = bytes.as_chunks::<8>();
    let (words, _) = words.as_chunks::<LANES>();
    let (rows, _) = numbers.as_chunks_mut::<LANES>();
    let mut bit = 0;
    for row in rows {
        let (word, shift) = (bit / 64, bit as u32 % 64);
        // Where there is no next word none of its bits are within the mask.
        let (low, high) = (&words[word], &words[(word + 1).min(words.len() - 1)]);
        for lane in 0..LANES {
            let low = u64::from_le_bytes(low[lane]) >> shift;
            let high = u64::from_le_bytes(high[lane]) << 1 << (63 - shift);
            row[lane] = (low | high) & mask;
        }
        bit += width as usize;
    }
}

/// Appends numbers, at most [`BLOCK`], with their width before them; they lie in one lane.
pub(super) fn write_list(numbers: impl Iterator<Item = u64> + Clone, out: &mut Vec<u8>) {
    let width = bits_of(numbers.clone().fold(0, |all, number| all | number));
    out.push(width as u8);
    if width > 0 {
        pack_lane(numbers, width, out);
    }
}

/// The list of so many numbers that comes next.
pub(super) fn read_list<'a>(
    reader: &mut Reader<'a>,
    count: usize,
) -> Result<impl Iterator<Item = u64> + use<'a>, ChunkError> {
    let width = u32::from(reader.byte()?);
    if width > u64::BITS {
        return Err(reader.invalid());
    }
    let bytes = reader.take(packed_bytes(count, width))?;
    Ok((0..count).map(move |nth| packed_at(bytes, width, nth)))
}

/// The number at this place in one lane.
fn packed_at(bytes: &[u8], width: u32, nth: usize) -> u64 {
    let bit = nth * width as usize;
    let (at, shift) = (bit / 8, bit as u32 % 8);
    let rest = bytes.get(at..).unwrap_or_default();
    let low = match rest.first_chunk::<8>() {
        Some(word) => u64::from_le_bytes(*word),
        None => {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            u64::from_le_bytes(word)
        }
    };
    let mut number = low >> shift;
    if shift + width > u64::BITS
        && let Some(&high) = rest.get(8)
    {
        number |= u64::from(high) << (u64::BITS - shift);
    }
    number & mask(width)
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
                let mut state = 0x9e37_79b9_u64;
                let numbers: Vec<i64> = (0..count)
                    .map(|_| {
                        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                        (state ^ state >> 31) as i64
                    })
                    .collect();
                let mut bytes = Vec::new();
                pack(&numbers, width, &mut bytes);
                assert_eq!(bytes.len(), (count * width as usize).div_ceil(8));
                let mut back = alloc::vec![1; count];
                unpack(&mut Reader::new(&bytes), width, &mut back).unwrap();
                let lowest = numbers.iter().map(|&number| number as u64 & mask(width));
                assert!(
                    lowest.eq(back.iter().copied()),
                    "{width} bits, {count} numbers"
                );
                if !bytes.is_empty() {
                    let short = &bytes[..bytes.len() - 1];
                    assert!(unpack(&mut Reader::new(short), width, &mut back).is_err());
                }
            }
        }
    }
}
