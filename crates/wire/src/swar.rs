//! Eight bytes at a time in a `u64`, which every target has; the first byte is the lowest.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The eight bytes from `at` on, if there are so many.
#[inline]
pub(crate) fn word_at(bytes: &[u8], at: usize) -> Option<u64> {
    let eight = bytes.get(at..)?.first_chunk::<8>()?;
    Some(u64::from_le_bytes(*eight))
}

/// Whether `bytes` begin with `start`: for short texts, where calling for a comparison costs more than it.
#[inline]
pub(crate) fn begins_with(bytes: &[u8], start: &[u8]) -> bool {
    let Some(bytes) = bytes.get(..start.len()) else {
        return false;
    };
    if let (Some(last), Some(expected)) = (bytes.last_chunk::<8>(), start.last_chunk::<8>()) {
        // The last word overlaps the one before.
        let (words, expected_words) = (bytes.as_chunks::<8>().0, start.as_chunks::<8>().0);
        let differ = |(word, expected): (&[u8; 8], _)| word != expected;
        return last == expected && !words.iter().zip(expected_words).any(differ);
    }
    if let (Some(last), Some(expected)) = (bytes.last_chunk::<4>(), start.last_chunk::<4>()) {
        return last == expected && bytes.first_chunk::<4>() == start.first_chunk();
    }
    bytes
        .iter()
        .zip(start)
        .all(|(byte, expected)| byte == expected)
}

/// The high bit of the first byte that is `byte`, and perhaps of later bytes.
#[inline]
pub(crate) const fn mark_equal(word: u64, byte: u8) -> u64 {
    let zero_there = word ^ (ONES * byte as u64);
    zero_there.wrapping_sub(ONES) & !zero_there & HIGHS
}

/// The high bit of the first byte below `limit`, which is at most 128, and perhaps of later bytes.
#[inline]
const fn mark_below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(ONES * limit as u64) & !word & HIGHS
}

/// The place of the first mark: 8 without any.
#[inline]
const fn first(marks: u64) -> usize {
    marks.trailing_zeros() as usize / 8
}

/// Marks what a JSON string cannot hold as it is: quotes, escapes and control characters. The first
/// mark is right.
#[inline]
pub(crate) const fn mark_special(word: u64) -> u64 {
    mark_equal(word, b'"') | mark_equal(word, b'\\') | mark_below(word, 0x20)
}

/// How many bytes of JSON string stand from `start` on before a quote, an escape or a control
/// character; `None` if the text ends before one of them.
#[inline]
pub(crate) fn plain_length(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    while let Some(word) = word_at(bytes, at) {
        let marks = mark_special(word);
        if marks != 0 {
            return Some(at + first(marks) - start);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
    Some(at + end - start)
}

/// The decimal digits of a word as numbers, each in its byte; and back.
#[inline(always)]
pub(crate) const fn as_digits(word: u64) -> u64 {
    word ^ (ONES * b'0' as u64)
}

/// Marks in each byte of [`as_digits`] that was no digit; later ones may be wrong.
#[inline(always)]
pub(crate) const fn mark_no_digit(digits: u64) -> u64 {
    (digits | digits.wrapping_add(ONES * (0x80 - 10))) & HIGHS
}

/// The last `count` bytes, at most eight; the others are zero.
#[inline(always)]
pub(crate) const fn last_bytes(word: u64, count: usize) -> u64 {
    // Eight bytes are more than one shift may move.
    let half = 4 * (8 - count);
    word & (!0 << half << half)
}

/// The number that eight digits make, the lowest byte being the first: pairs, then pairs of pairs.
#[inline(always)]
pub(crate) const fn number(digits: u64) -> u64 {
    const EVERY_FOURTH: u64 = 0x0000_00ff_0000_00ff;
    // Every other byte is a pair; those between are not looked at.
    let pairs = (digits * 10).wrapping_add(digits >> 8);
    // The upper half of each product is what the first and the third pair count, then the others.
    let odd = (pairs & EVERY_FOURTH).wrapping_mul(100 + (1_000_000 << 32));
    let even = ((pairs >> 16) & EVERY_FOURTH).wrapping_mul(1 + (10_000 << 32));
    odd.wrapping_add(even) >> 32
}

/// The eight digits of a number below 10^8: what [`number`] would make that number of.
#[inline(always)]
pub(crate) const fn digits(number: u64) -> u64 {
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    // 5243 / 2^19 is 1/100 for what is below 10^4, 103 / 2^10 is 1/10 for what is below 100.
    let hundreds = ((fours * 5_243) >> 19) & 0x0000_007f_0000_007f;
    let pairs = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((pairs * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | ((pairs - tens * 10) << 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn a_string_is_plain_up_to_a_quote_an_escape_or_a_control_character() {
        for length in 0..20 {
            for stop in [b'"', b'\\', 0, 0x1f] {
                let mut text = [b'~'; 30];
                text[3..3 + length].fill(0xc3);
                text[3 + length] = stop;
                text[4 + length] = b'"';
                assert_eq!(plain_length(&text, 3), Some(length));
            }
        }
        assert_eq!(plain_length(b"no end in sight", 0), None);
        assert_eq!(plain_length(b"short", 0), None);
        assert_eq!(plain_length(b" !#[]\x7f\xff\x80\"", 0), Some(8));
    }

    #[test]
    fn bytes_begin_with_what_they_share_to_the_last() {
        let text = b"abcdefghijklmnopqrstuvwxyz";
        for length in 0..=text.len() {
            let start = &text[..length];
            assert!(begins_with(text, start) && begins_with(start, start));
            assert!(length == 0 || !begins_with(&text[..length - 1], start));
            for place in 0..length {
                let mut other = *text;
                other[place] ^= 1;
                assert!(!begins_with(&other, start), "{place} of {length}");
            }
        }
    }

    #[test]
    fn digits_are_a_number_and_anything_else_is_marked() {
        for byte in 0..=255_u8 {
            for place in 0..8 {
                let mut text = *b"92345678";
                text[place] = byte;
                let digits = as_digits(u64::from_le_bytes(text));
                for count in 0..=8 {
                    let digits = last_bytes(digits, count);
                    let seen = &text[8 - count..];
                    let all_digits = seen.iter().all(u8::is_ascii_digit);
                    assert_eq!(mark_no_digit(digits) == 0, all_digits, "{seen:?}");
                    if all_digits {
                        let value = |sum, digit| sum * 10 + u64::from(digit - b'0');
                        assert_eq!(number(digits), seen.iter().copied().fold(0, value));
                    }
                }
            }
        }
        assert_eq!(
            number(as_digits(u64::from_le_bytes(*b"99999999"))),
            99_999_999
        );
    }

    #[test]
    fn eight_digits_are_those_of_the_number() {
        let numbers = (0..100_000_000)
            .step_by(9_973)
            .chain([9_999, 10_000, 99_999_999]);
        for number in numbers {
            let text = as_digits(digits(number)).to_le_bytes();
            assert_eq!(text, format!("{number:08}").as_bytes());
        }
    }
}
