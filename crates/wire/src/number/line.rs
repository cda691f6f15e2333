//! A short text of numbers, put together in place so that it goes out in one piece.

use super::shortest::shortest;
use crate::swar::eight_digits;

/// A sample of the longest numbers that are written here, twice over.
const LINE_BYTES: usize = 160;
/// Digits of a `u64`, in eights; also the longest copy, whatever of it counts.
const DIGITS: usize = 24;

/// A text of at most [`LINE_BYTES`].
pub(super) struct Line {
    bytes: [u8; LINE_BYTES],
    length: usize,
}

impl Line {
    pub(super) const fn new() -> Self {
        Self {
            bytes: [0; LINE_BYTES],
            length: 0,
        }
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Appends the first `length` bytes of `text`; those behind are overwritten by what follows.
    #[inline]
    pub(super) fn put<const N: usize>(&mut self, text: &[u8; N], length: usize) {
        self.bytes[self.length..][..N].copy_from_slice(text);
        self.length += length;
    }

    /// Appends `digits / 10^places` with as many places; at most 22.
    #[inline]
    pub(super) fn decimal(&mut self, digits: u64, places: usize) {
        const EIGHT: u64 = 100_000_000;
        let mut text = [b'0'; 2 * DIGITS];
        text[..8].copy_from_slice(&eight_digits(digits / EIGHT / EIGHT));
        text[8..16].copy_from_slice(&eight_digits(digits / EIGHT % EIGHT));
        text[16..24].copy_from_slice(&eight_digits(digits % EIGHT));
        let length = digits.checked_ilog10().map_or(1, |log| log as usize + 1);
        let start = DIGITS - length.max(places + 1);
        let point = DIGITS - places;
        let from = |at: usize| text[at..].first_chunk::<DIGITS>().expect("twice as long");
        self.put(from(start), point - start);
        if places > 0 {
            self.put(b".", 1);
            self.put(from(point), places);
        }
    }

    /// Appends a value as Prometheus writes it; says whether it could, and leaves out the rest.
    #[inline]
    pub(super) fn float(&mut self, value: f64) -> bool {
        let Some((digits, places)) = shortest(value.abs()) else {
            return false;
        };
        if value.is_sign_negative() {
            self.put(b"-", 1);
        }
        self.decimal(digits, places);
        true
    }

    /// Appends seconds with three decimals, or none where those are zero.
    #[inline]
    pub(super) fn timestamp_ms(&mut self, timestamp_ms: i64) {
        if timestamp_ms < 0 {
            self.put(b"-", 1);
        }
        let magnitude = timestamp_ms.unsigned_abs();
        match magnitude % 1_000 {
            0 => self.decimal(magnitude / 1_000, 0),
            _ => self.decimal(magnitude, 3),
        }
    }
}
