//! Numbers put together in place, so that many of them go out in one piece.

use alloc::vec::Vec;

use super::POWERS_OF_TEN;
use super::shortest::{Decimal, shortest};
use crate::swar::{as_digits, digits};

/// Some twenty samples: enough that their copy costs little, few enough that clearing them does.
const LINE_BYTES: usize = 512;
/// A sample of the longest numbers that are written here, with what its last copy overwrites.
const SAMPLE_BYTES: usize = 128;
/// Eight digits are written at once.
const EIGHT: u64 = 100_000_000;

/// One number of the longest that are written here, with what its last copy overwrites.
pub(super) const NUMBER_BYTES: usize = 64;

/// Text on its way out, at most `BYTES` at a time.
pub(crate) struct Line<const BYTES: usize = LINE_BYTES> {
    bytes: [u8; BYTES],
    length: usize,
    /// How the last timestamp began: most begin as the one before.
    beginning: Beginning,
}

/// A number below 10^8 and its text, without leading zeros unless it is zero.
#[derive(Clone, Copy)]
struct Beginning {
    number: u64,
    text: [u8; 8],
    length: usize,
}

impl Beginning {
    #[inline(always)]
    const fn of(number: u64) -> Self {
        let digits = digits(number);
        // The last digit is written even if it is zero.
        let zeros = (digits | 1 << 56).trailing_zeros() as usize / 8;
        Self {
            number,
            text: (as_digits(digits) >> (8 * zeros)).to_le_bytes(),
            length: 8 - zeros,
        }
    }
}

/// Appends a whole number below 10^16, straight to where it belongs.
#[inline]
pub(super) fn write_whole(number: u64, out: &mut Vec<u8>) {
    let high = number / EIGHT;
    let Beginning { text, length, .. } = Beginning::of(if high > 0 { high } else { number });
    append_first(&text, length, out);
    if high > 0 {
        out.extend_from_slice(&as_digits(digits(number % EIGHT)).to_le_bytes());
    }
}

/// Appends the first `length` bytes of `text`: for short texts, where a copy of a known size and taking the
/// rest away again costs less than a call for a copy of any size.
#[inline(always)]
pub(crate) fn append_first<const N: usize>(text: &[u8; N], length: usize, out: &mut Vec<u8>) {
    let end = out.len() + length;
    out.extend_from_slice(text);
    out.truncate(end);
}

impl<const BYTES: usize> Line<BYTES> {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [0; BYTES],
            length: 0,
            beginning: Beginning::of(0),
        }
    }

    /// Moves the text to the end of `out`.
    #[inline(always)]
    pub(crate) fn flush(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes[..self.length]);
        self.length = 0;
    }

    /// Whether one more sample may be too long.
    #[inline(always)]
    pub(super) fn is_full(&self) -> bool {
        self.length > BYTES - SAMPLE_BYTES
    }

    /// Appends `text`.
    #[inline(always)]
    pub(crate) fn put<const N: usize>(&mut self, text: &[u8; N]) {
        self.put_first(text, N);
    }

    /// Appends the first `length` bytes of `text`; those behind are overwritten by what follows.
    #[inline(always)]
    fn put_first<const N: usize>(&mut self, text: &[u8; N], length: usize) {
        self.bytes[self.length..][..N].copy_from_slice(text);
        self.length += length;
    }

    /// Appends a whole number below 10^16.
    #[inline(always)]
    fn whole(&mut self, number: u64) {
        match number / EIGHT {
            0 => self.up_to_eight(number),
            high => {
                self.up_to_eight(high);
                self.eight(number % EIGHT);
            }
        }
    }

    /// Appends a whole number below 10^8.
    #[inline(always)]
    fn up_to_eight(&mut self, number: u64) {
        let Beginning { text, length, .. } = Beginning::of(number);
        self.put_first(&text, length);
    }

    /// Appends a number below 10^8 with leading zeros.
    #[inline(always)]
    fn eight(&mut self, number: u64) {
        self.put(&as_digits(digits(number)).to_le_bytes());
    }

    /// Appends the digits behind the point: `fraction`, which is below `10^places`, of at most 24 places.
    #[inline(always)]
    fn fraction(&mut self, fraction: u64, places: usize) {
        if places > 16 {
            self.up_to_sixteen_places(fraction / EIGHT, places - 8);
            self.eight(fraction % EIGHT);
        } else {
            self.up_to_sixteen_places(fraction, places);
        }
    }

    #[inline(always)]
    fn up_to_sixteen_places(&mut self, fraction: u64, places: usize) {
        let end = self.length + places;
        let sixteen = fraction * POWERS_OF_TEN[16 - places];
        self.eight(sixteen / EIGHT);
        self.eight(sixteen % EIGHT);
        self.length = end;
    }

    /// Appends a whole number below 10^16 that begins as the last one did, more often than not.
    #[inline(always)]
    fn seconds(&mut self, seconds: u64) {
        let (beginning, last_four) = (seconds / 10_000, seconds % 10_000);
        if !(1..EIGHT).contains(&beginning) {
            return self.whole(seconds);
        }
        if self.beginning.number != beginning {
            self.beginning = Beginning::of(beginning);
        }
        let Beginning { text, length, .. } = self.beginning;
        self.put_first(&text, length);
        let [.., thousands, hundreds, tens, ones] = as_digits(digits(last_four)).to_le_bytes();
        self.put(&[thousands, hundreds, tens, ones]);
    }

    /// Appends a value as Prometheus writes it; says whether it could, and leaves out the rest.
    #[inline(always)]
    pub(super) fn float(&mut self, value: f64) -> bool {
        let Some(Decimal {
            whole,
            fraction,
            places,
        }) = shortest(value.abs())
        else {
            return false;
        };
        if value.is_sign_negative() {
            self.put(b"-");
        }
        self.whole(whole);
        if places > 0 {
            self.put(b".");
            self.fraction(fraction, places);
        }
        true
    }

    /// Appends seconds with three decimals, or none where those are zero.
    #[inline(always)]
    pub(super) fn timestamp_ms(&mut self, timestamp_ms: i64) {
        if timestamp_ms < 0 {
            self.put(b"-");
        }
        let magnitude = timestamp_ms.unsigned_abs();
        self.seconds(magnitude / 1_000);
        let millis = magnitude % 1_000;
        if millis > 0 {
            // The point takes the place of the leading zero.
            let [.., hundreds, tens, ones] = as_digits(digits(millis)).to_le_bytes();
            self.put(&[b'.', hundreds, tens, ones]);
        }
    }
}
