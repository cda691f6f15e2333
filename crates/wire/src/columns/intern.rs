//! Which text was stored a moment ago, so that it need not be stored again.

use alloc::vec::Vec;

use super::Span;

/// Places for this many texts: 16 KiB. Names and values that repeat among thousands of series are
/// hundreds; the values that do not repeat only pass through.
const SLOTS: usize = 2_048;

/// A small table of texts, by hash. One that comes to an occupied place takes it: a lookup is one
/// comparison whatever the texts are, and what is forgotten is stored twice.
#[derive(Clone, Debug, Default)]
pub(super) struct Interner {
    /// Empty until something is to be remembered.
    slots: Vec<Span>,
}

impl Interner {
    /// Where `text` may be stored, and what to fill in where it is stored anew.
    pub(super) fn slot(&mut self, text: &str) -> &mut Span {
        if self.slots.is_empty() {
            self.slots.resize(SLOTS, Span { start: 0, end: 0 });
        }
        // The high bits are the well-mixed ones.
        let place = hash(text.as_bytes()) >> (u64::BITS - SLOTS.trailing_zeros());
        &mut self.slots[place as usize]
    }
}

/// Over words of eight bytes; the last one overlaps the one before. The same on every target.
fn hash(bytes: &[u8]) -> u64 {
    /// 2^64 divided by the golden ratio, made odd.
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| (hash.rotate_left(23) ^ word).wrapping_mul(SPREAD);
    let mut hash = bytes.len() as u64;
    let Some(last) = bytes.last_chunk::<8>() else {
        let word = bytes
            .iter()
            .fold(0, |word, &byte| word << 8 | u64::from(byte));
        return mix(hash, word);
    };
    for word in bytes.as_chunks::<8>().0 {
        hash = mix(hash, u64::from_le_bytes(*word));
    }
    mix(hash, u64::from_le_bytes(*last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use std::format;

    #[test]
    fn texts_that_resemble_each_other_have_places_of_their_own() {
        let mut interner = Interner::default();
        let mut places = BTreeSet::new();
        for nth in 0..200 {
            for text in [
                format!("10.0.{nth}.1:9100"),
                format!("{nth}"),
                format!("pod-{nth:05}"),
            ] {
                *interner.slot(&text) = Span { start: 7, end: 9 };
                places.insert(hash(text.as_bytes()) >> 53);
            }
        }
        // 600 of 2,048 places at random are 520 different ones.
        assert!(places.len() > 480, "{}", places.len());
    }
}
