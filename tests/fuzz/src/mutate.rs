//! Inputs from inputs: a few changes at a time, each small.

use tidegate_core::Random;

/// At most so many changes at once, few more likely than many.
const CHANGES_MAX: u64 = 8;

/// How long a piece is that is removed, repeated or taken from another input, mostly.
const PIECE_BYTES: u64 = 24;

/// Numbers at which something ends: of digits, of integers, of floats, of time.
const NUMBERS: [&str; 22] = [
    "0",
    "-0",
    "1",
    "-1",
    "0.1",
    "1e308",
    "1e-320",
    "1e309",
    "5e-324",
    "9007199254740993",
    "2147483648",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551616",
    "1435781451.781",
    "0.0005",
    "1e21",
    "999999999999",
    "NaN",
    "+Inf",
];

/// A changed copy of `input`, of at most `bytes_max` bytes.
pub(crate) fn mutated(
    input: &[u8],
    other: &[u8],
    words: &[&str],
    bytes_max: usize,
    random: &mut Random,
) -> Vec<u8> {
    let mut bytes = input.to_vec();
    let changes = 1 + random.below(CHANGES_MAX).min(random.below(CHANGES_MAX));
    for _ in 0..changes {
        change(&mut bytes, other, words, random);
    }
    bytes.truncate(bytes_max);
    bytes
}

fn change(bytes: &mut Vec<u8>, other: &[u8], words: &[&str], random: &mut Random) {
    let at = below(bytes.len() + 1, random);
    let piece = at..bytes.len().min(at + 1 + below_u64(PIECE_BYTES, random));
    match random.below(13) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = random.next_u64() as u8;
            }
        }
        2 => {
            if let Some(byte) = bytes.get_mut(at) {
                let by = 1 + random.below(16) as u8;
                *byte = if random.below(2) == 0 {
                    byte.wrapping_add(by)
                } else {
                    byte.wrapping_sub(by)
                };
            }
        }
        3 => bytes.insert(at, random.next_u64() as u8),
        4 => drop(bytes.drain(piece)),
        5 => {
            let again = bytes[piece].repeat(1 + below_u64(3, random));
            bytes.splice(at..at, again);
        }
        6 => {
            let from = below(bytes.len() + 1, random);
            let (piece, rest) = (bytes[piece].to_vec(), bytes.len() - from);
            let length = piece.len().min(rest);
            bytes[from..from + length].copy_from_slice(&piece[..length]);
        }
        7 | 8 => {
            let start = below(other.len() + 1, random);
            let end = other
                .len()
                .min(start + 1 + below_u64(2 * PIECE_BYTES, random));
            let over = if random.below(2) == 0 { at..at } else { piece };
            bytes.splice(over, other[start..end].iter().copied());
        }
        9 => {
            // What begins here and ends there.
            let start = below(other.len() + 1, random);
            bytes.truncate(at);
            bytes.extend_from_slice(&other[start..]);
        }
        10 => {
            let number = NUMBERS[below(NUMBERS.len(), random)].as_bytes();
            bytes.splice(digits_from(bytes, at), number.iter().copied());
        }
        _ => {
            if let Some(word) = words.get(below(words.len(), random)) {
                let over = if random.below(2) == 0 { at..at } else { piece };
                bytes.splice(over, word.bytes());
            }
        }
    }
}

/// The next run of digits from `at` on; nothing, at `at`, where there is none.
fn digits_from(bytes: &[u8], at: usize) -> std::ops::Range<usize> {
    let is_digit = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    match bytes[at..].iter().position(is_digit) {
        None => at..at,
        Some(before) => {
            let start = at + before;
            let digits = bytes[start..].iter().take_while(|byte| is_digit(byte));
            start..start + digits.count()
        }
    }
}

pub(crate) fn below(count: usize, random: &mut Random) -> usize {
    below_u64(count as u64, random)
}

fn below_u64(count: u64, random: &mut Random) -> usize {
    random.below(count) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_never_too_many() {
        let make = |seed| {
            let mut random = Random::new(seed);
            let mut bytes = b"a 12.5 b".to_vec();
            for _ in 0..500 {
                bytes = mutated(&bytes, b"other", &["word"], 64, &mut random);
                assert!(bytes.len() <= 64);
            }
            bytes
        };
        assert_eq!(make(7), make(7));
        assert_ne!(make(7), make(8));
    }

    #[test]
    fn nothing_can_be_changed_too() {
        let mut random = Random::new(1);
        let longest = (0..200).map(|_| mutated(b"", b"", &[], 8, &mut random).len());
        assert!(longest.max() > Some(0));
    }

    #[test]
    fn digits_are_found_from_a_place_on() {
        assert_eq!(digits_from(b"a 12.5 b", 0), 2..6);
        assert_eq!(digits_from(b"a 12.5 b", 6), 6..6);
    }
}
