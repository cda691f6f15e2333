//! Values as bytes and back, bit for bit.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::decimal;
use super::ints;
use super::packing::{BLOCK, read_list, write_list};
use super::reader::{Reader, write_varint};
use crate::error::ChunkError;

/// How many values one encoding may hold: 8 MiB of them decoded, so that a few hostile bytes cannot ask for more.
pub const ENCODED_VALUES_MAX: usize = 1 << 20;

/// What a block takes at least: its head, first number, factor, base and width.
const BLOCK_BYTES_MIN: usize = 5;

/// In the place of the decimals: the integers are the doubles' own bits.
const BITS: u8 = 15;

const PLACES_MASK: u8 = 0x0f;
const ORDER_SHIFT: u32 = 4;
const ORDER_MASK: u8 = 0x03;
const OUTLIERS: u8 = 0x40;
const RESERVED: u8 = 0x80;

/// Values as bytes, each block of 512 in the way that takes least.
///
/// # Panics
///
/// For more than [`ENCODED_VALUES_MAX`] values.
#[must_use]
pub fn encode_values(values: &[f64]) -> Box<[u8]> {
    assert!(values.len() <= ENCODED_VALUES_MAX, "too many values");
    let mut out = Vec::with_capacity(values.len() * 2 + 16);
    write_varint(values.len() as u64, &mut out);
    for block in values.chunks(BLOCK) {
        encode_block(block, &mut out);
    }
    out.into_boxed_slice()
}

/// The bytes of `(base + i) / 10^places` for each integer, at most a block of them; `integers` is used up as scratch.
pub(super) fn encode_decimals(integers: &mut [i32], base: i64, places: u8) -> Box<[u8]> {
    let mut out = Vec::with_capacity(integers.len() * 2 + 16);
    write_varint(integers.len() as u64, &mut out);
    let head = out.len();
    out.push(0);
    let order = ints::encode(integers, base, &mut out);
    out[head] = places | order << ORDER_SHIFT;
    out.into_boxed_slice()
}

/// Appends the values to `values` and says how many they are; on an error it leaves `values` as it was.
///
/// # Errors
///
/// For bytes that [`encode_values`] did not write. Not every change of a byte can be told: some give other values.
pub fn decode_values(bytes: &[u8], values: &mut Vec<f64>) -> Result<usize, ChunkError> {
    let start = values.len();
    let outcome = decode(bytes, values);
    if outcome.is_err() {
        values.truncate(start);
    }
    outcome
}

fn decode(bytes: &[u8], values: &mut Vec<f64>) -> Result<usize, ChunkError> {
    let mut reader = Reader::new(bytes);
    let count = reader.count()?;
    // No more than these bytes can hold: their count may lie.
    let blocks = bytes.len() / BLOCK_BYTES_MIN;
    values.reserve(count.min(blocks.saturating_mul(BLOCK)));
    let mut integers = [0; BLOCK];
    for at in (0..count).step_by(BLOCK) {
        let integers = &mut integers[..(count - at).min(BLOCK)];
        decode_block(&mut reader, integers, values)?;
    }
    reader.finish()?;
    Ok(count)
}

fn encode_block(values: &[f64], out: &mut Vec<u8>) {
    let mut integers = [0; BLOCK];
    let integers = &mut integers[..values.len()];
    let mut outliers = [false; BLOCK];
    let scaled = decimal::places(values)
        .and_then(|places| decimal::scale(values, places, integers, &mut outliers));
    let (kind, outlier_count) = scaled.unwrap_or_else(|| {
        for (integer, value) in integers.iter_mut().zip(values) {
            *integer = ordered(value.to_bits() as i64);
        }
        (BITS, 0)
    });
    let head = out.len();
    out.push(0);
    let order = ints::encode(integers, 0, out);
    out[head] = kind | order << ORDER_SHIFT;
    if outlier_count > 0 {
        out[head] |= OUTLIERS;
        write_outliers(values, &outliers, outlier_count, out);
    }
}

fn write_outliers(values: &[f64], outliers: &[bool; BLOCK], count: usize, out: &mut Vec<u8>) {
    let positions = (0..values.len()).filter(|&at| outliers[at]);
    let mut next = 0;
    let distances = positions.clone().map(move |at| {
        let distance = (at - next) as u64;
        next = at + 1;
        distance
    });
    write_varint(count as u64, out);
    write_list(distances, out);
    for at in positions {
        out.extend_from_slice(&values[at].to_bits().to_le_bytes());
    }
}

fn decode_block(
    reader: &mut Reader<'_>,
    integers: &mut [u64],
    values: &mut Vec<f64>,
) -> Result<(), ChunkError> {
    let head = reader.byte()?;
    let (kind, order) = (head & PLACES_MASK, head >> ORDER_SHIFT & ORDER_MASK);
    if head & RESERVED != 0 || order > 2 {
        return Err(reader.invalid());
    }
    ints::decode(reader, order, integers)?;
    let start = values.len();
    if kind == BITS {
        let double = |&integer: &u64| f64::from_bits(ordered(integer as i64) as u64);
        values.extend(integers.iter().map(double));
    } else {
        decimal::unscale(integers.iter().copied(), kind, values);
    }
    if head & OUTLIERS != 0 {
        read_outliers(reader, &mut values[start..])?;
    }
    Ok(())
}

fn read_outliers(reader: &mut Reader<'_>, values: &mut [f64]) -> Result<(), ChunkError> {
    let count = reader.varint()?;
    if count > values.len() as u64 {
        return Err(reader.invalid());
    }
    let distances = read_list(reader, count as usize)?;
    let mut rest = values.iter_mut();
    for distance in distances {
        let distance = usize::try_from(distance).unwrap_or(BLOCK);
        let value = rest.nth(distance).ok_or_else(|| reader.invalid())?;
        *value = f64::from_bits(reader.word()?);
    }
    Ok(())
}

/// A double's bits as an integer that rises as the double does, and back again. Close doubles are close integers, so
/// that steps between them are short, in which they do the work of an XOR with the value before.
const fn ordered(bits: i64) -> i64 {
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

const _: () = assert!(decimal::PLACES_MAX < BITS);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stale::stale_marker;
    use proptest::prelude::*;

    fn bits(values: &[f64]) -> Vec<u64> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    fn comes_back(values: &[f64]) -> usize {
        let bytes = encode_values(values);
        let mut back = alloc::vec![7.0];
        assert_eq!(decode_values(&bytes, &mut back), Ok(values.len()));
        assert_eq!(bits(&back[1..]), bits(values));
        bytes.len()
    }

    #[test]
    fn values_of_every_kind_come_back_bit_for_bit() {
        let nan = f64::from_bits(0x7ff8_dead_beef_0001);
        let odd = [
            0.0,
            -0.0,
            nan,
            -nan,
            f64::INFINITY,
            f64::NEG_INFINITY,
            stale_marker(),
            f64::MIN_POSITIVE,
            f64::MAX,
            f64::MIN,
            5e-324,
            0.1 + 0.2,
        ];
        comes_back(&[]);
        comes_back(&odd);
        for value in odd {
            comes_back(&[value]);
            comes_back(&[value; 700]);
            let mut values: Vec<f64> = (0..512).map(|n| f64::from(n) / 100.0).collect();
            values[0] = value;
            values[300] = value;
            values[511] = value;
            comes_back(&values);
        }
    }

    #[test]
    fn a_steady_series_takes_a_few_bytes() {
        assert!(comes_back(&[0.0; 512]) <= 8);
        assert!(comes_back(&[42.25; 512]) <= 10);
        assert!(comes_back(&[0.1 + 0.2; 512]) <= 18);
        let steps: Vec<f64> = (0..512).map(|n| f64::from(n) * 15.0).collect();
        assert!(comes_back(&steps) <= 10);
        let squares: Vec<f64> = (0..512).map(|n| f64::from(n * n)).collect();
        assert!(comes_back(&squares) <= 10);
    }

    fn kinds() -> impl Strategy<Value = Vec<f64>> {
        let any_bits = prop::collection::vec(any::<u64>().prop_map(f64::from_bits), 0..600);
        let decimals = (prop::collection::vec(-1000_i32..100_000, 0..1100), 0_u8..5).prop_map(
            |(steps, places)| {
                let scale = f64::from(10_u32.pow(u32::from(places)));
                steps
                    .into_iter()
                    .map(|step| f64::from(step) / scale)
                    .collect()
            },
        );
        let counters = prop::collection::vec((0_u32..200, 0_u8..100), 0..1100).prop_map(|steps| {
            let mut sum = 0_u64;
            let next = |(step, reset)| {
                sum = if reset == 0 { 0 } else { sum + u64::from(step) };
                sum as f64
            };
            steps.into_iter().map(next).collect()
        });
        let rare = prop::collection::vec((any::<u64>(), 0_u8..30), 0..1100).prop_map(|values| {
            values
                .into_iter()
                .map(|(bits, odd)| {
                    if odd == 0 {
                        f64::from_bits(bits)
                    } else {
                        (bits % 50) as f64 / 10.0
                    }
                })
                .collect()
        });
        prop_oneof![any_bits, decimals, counters, rare]
    }

    proptest! {
        #[test]
        fn whatever_is_encoded_comes_back(values in kinds()) {
            comes_back(&values);
        }

        #[test]
        fn a_part_of_the_bytes_is_an_error(values in kinds(), cut in any::<prop::sample::Index>()) {
            let bytes = encode_values(&values);
            let mut back = alloc::vec![7.0];
            prop_assert!(decode_values(&bytes[..cut.index(bytes.len())], &mut back).is_err());
            prop_assert_eq!(back, [7.0]);
        }

        #[test]
        fn any_bytes_are_values_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut back = Vec::new();
            match decode_values(&bytes, &mut back) {
                Ok(count) => prop_assert_eq!(count, back.len()),
                Err(_) => prop_assert!(back.is_empty()),
            }
        }
    }

    /// Rounds of mutation; each decodes once.
    const MUTATIONS: u64 = 60_000;

    /// What the fuzzing begins with: a block of every form.
    fn seeds() -> Vec<Box<[u8]>> {
        let column = |value: fn(i32) -> f64, count| (0..count).map(value).collect::<Vec<_>>();
        [
            column(|_| 1.5, 3),
            column(|n| f64::from(n * n % 97) / 100.0, 40),
            column(|n| f64::from(n * n * n), 600),
            column(|n| if n % 50 == 7 { 1e9 } else { f64::from(n % 4) }, 512),
            column(
                |n| {
                    if n % 30 == 3 {
                        stale_marker()
                    } else {
                        f64::from(n * 15)
                    }
                },
                300,
            ),
            column(|n| f64::from(n).sqrt(), 512),
            column(
                |n| {
                    if n % 9 == 0 {
                        f64::NAN
                    } else {
                        f64::from(n) / 3.0
                    }
                },
                100,
            ),
        ]
        .map(|values| encode_values(&values))
        .into()
    }

    #[test]
    fn mutated_bytes_are_values_or_an_error_and_ask_for_little_memory() {
        let seeds = seeds();
        let mut state = 7_u64;
        let mut random = |below: usize| {
            state = state
                .wrapping_mul(0x5851_f42d_4c95_7f2d)
                .wrapping_add(0x1405_7b7e_f767_814f);
            (state >> 33) as usize % below
        };
        let mut decoded = 0;
        for _ in 0..MUTATIONS {
            let mut bytes = seeds[random(seeds.len())].to_vec();
            for _ in 0..=random(3) {
                let at = random(bytes.len());
                match random(5) {
                    0 => bytes.truncate(at.max(1)),
                    1 => bytes.insert(at, random(256) as u8),
                    2 => bytes[at] = [0, 0x7f, 0x80, 0xff][random(4)],
                    // Most of what is decided is decided by the first few bytes.
                    3 => {
                        let at = at.min(8);
                        bytes[at] ^= 1 << random(8);
                    }
                    _ => bytes[at] ^= 1 << random(8),
                }
            }
            let mut values = Vec::new();
            match decode_values(&bytes, &mut values) {
                Ok(count) => {
                    assert_eq!(values.len(), count);
                    decoded += 1;
                }
                Err(error) => assert!(values.is_empty() && !alloc::format!("{error}").is_empty()),
            }
            assert!(values.capacity() <= bytes.len() / BLOCK_BYTES_MIN * BLOCK);
        }
        // Neither all nor none of it is refused.
        assert!((MUTATIONS / 10..MUTATIONS).contains(&decoded), "{decoded}");
    }
}
