//! Where a key's entry is: a hash table of places, for lookups of whole keys.
//!
//! Keys come from askers, so the hash is seeded: who does not know the seed cannot choose keys
//! that share a place. Nothing is ever listed from here, so no output depends on the hash. A table
//! of our own rather than a dependency: lookups are all it does, and the tags let it grow without
//! hashing a key again.

use alloc::vec;
use alloc::vec::Vec;

use crate::Random;

/// The fewest places; a power of two, as every size of the table is.
const PLACES_MIN: usize = 16;

/// A vacant place. No slot has this number.
const VACANT: u32 = u32::MAX;

/// What a place says of its key: most of its hash, and the slot of its entry.
#[derive(Clone, Copy, Debug)]
struct Place {
    tag: u32,
    slot: u32,
}

/// Slots by the hash of their key; open addressing, one place after another, at most half full.
#[derive(Debug)]
pub(super) struct Index {
    secrets: Secrets,
    places: Vec<Place>,
    len: usize,
}

impl Index {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        Self {
            secrets: core::array::from_fn(|_| random.next_u64()),
            places: vacant(PLACES_MIN),
            len: 0,
        }
    }

    /// Whether slots of this number can be told from vacant places.
    pub(super) fn admits(slot: usize) -> bool {
        u32::try_from(slot).is_ok_and(|slot| slot != VACANT)
    }

    /// The slot that a key is in, where `holds` says whether a slot holds it.
    #[inline]
    pub(super) fn find(&self, key: &str, holds: impl Fn(usize) -> bool) -> Option<usize> {
        let tag = tag(&self.secrets, key.as_bytes());
        self.place_of(tag, |slot| holds(slot as usize))
            .map(|at| self.places[at].slot as usize)
    }

    /// Adds a key that is not there.
    pub(super) fn insert(&mut self, key: &str, slot: usize) {
        assert!(Self::admits(slot), "a slot has a number of 32 bits");
        if 2 * (self.len + 1) > self.places.len() {
            let doubled = vacant(2 * self.places.len());
            for place in core::mem::replace(&mut self.places, doubled) {
                if place.slot != VACANT {
                    self.put(place);
                }
            }
        }
        self.put(Place {
            tag: tag(&self.secrets, key.as_bytes()),
            slot: slot as u32,
        });
        self.len += 1;
    }

    /// Removes a key that is in this slot.
    pub(super) fn remove(&mut self, key: &str, slot: usize) {
        let tag = tag(&self.secrets, key.as_bytes());
        let Some(mut gap) = self.place_of(tag, |held| held as usize == slot) else {
            return;
        };
        self.len -= 1;
        // Whoever comes after the gap and began to look at it or before moves into it, so that no
        // search ends early.
        let mask = self.places.len() - 1;
        let mut at = gap;
        loop {
            at = (at + 1) & mask;
            let place = self.places[at];
            if place.slot == VACANT {
                break;
            }
            let home = place.tag as usize & mask;
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(gap) & mask {
                self.places[gap] = place;
                gap = at;
            }
        }
        self.places[gap].slot = VACANT;
    }

    #[inline]
    fn place_of(&self, tag: u32, holds: impl Fn(u32) -> bool) -> Option<usize> {
        let mask = self.places.len() - 1;
        let mut at = tag as usize & mask;
        loop {
            let place = self.places[at];
            if place.slot == VACANT {
                return None;
            }
            if place.tag == tag && holds(place.slot) {
                return Some(at);
            }
            at = (at + 1) & mask;
        }
    }

    fn put(&mut self, place: Place) {
        let mask = self.places.len() - 1;
        let mut at = place.tag as usize & mask;
        while self.places[at].slot != VACANT {
            at = (at + 1) & mask;
        }
        self.places[at] = place;
    }
}

fn vacant(places: usize) -> Vec<Place> {
    let vacant = Place {
        tag: 0,
        slot: VACANT,
    };
    vec![vacant; places]
}

/// What a hash is seeded with.
type Secrets = [u64; 10];

/// Keys up to this long are hashed by multiplications side by side; what comes before the last so
/// many bytes of a longer one, in a chain.
const TAIL_BYTES: usize = 64;

/// A seeded hash by folded multiplication, as wyhash and its kin have it: each multiplication
/// takes two words of the key, masked by secrets, and folds the 128 bits of the product. Which
/// words are taken depends on the length alone, which is mixed in, and no two multiplications of
/// a tail share their secrets. The words are little-endian, so every target gets the same.
#[inline]
fn tag(secrets: &Secrets, key: &[u8]) -> u32 {
    let [a, b, c, d, e, f, g, h, i, j] = *secrets;
    let mut chain = a ^ key.len() as u64;
    let mut tail = key;
    if key.len() > TAIL_BYTES {
        chain = head(secrets, key);
        tail = &key[key.len() - TAIL_BYTES..];
    }
    // The words may overlap.
    let len = tail.len();
    let mut sum = 0;
    if len > 16 {
        sum = fold(word(tail, 0) ^ b, word(tail, 8) ^ c);
        sum ^= fold(word(tail, len - 16) ^ d, word(tail, len - 8) ^ e);
        if len > 32 {
            sum ^= fold(word(tail, 16) ^ f, word(tail, 24) ^ g);
            sum ^= fold(word(tail, len - 32) ^ h, word(tail, len - 24) ^ i);
        }
    } else if len >= 8 {
        sum ^= fold(word(tail, 0) ^ b, word(tail, len - 8) ^ c);
    } else {
        let mut last = [0; 8];
        last[..len].copy_from_slice(tail);
        sum ^= fold(u64::from_le_bytes(last) ^ b, c);
    }
    (fold(chain ^ sum, j) >> 32) as u32
}

/// The hash of what comes before the tail, and some of that.
#[cold]
fn head(secrets: &Secrets, key: &[u8]) -> u64 {
    const BLOCK_BYTES: usize = 32;
    let [a, b, c, d, e, ..] = *secrets;
    let (mut one, mut two) = (a ^ key.len() as u64, b);
    let ends_before = key.len() - TAIL_BYTES;
    for at in (0..ends_before).step_by(BLOCK_BYTES) {
        one = fold(word(key, at) ^ c, word(key, at + 8) ^ one);
        two = fold(word(key, at + 16) ^ d, word(key, at + 24) ^ two);
    }
    fold(one ^ e, two ^ c)
}

/// A key where a search comes upon it, so that it need not follow a pointer: one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Name {
    /// More than `bytes` holds for a longer key.
    len: u8,
    bytes: [u8; NAME_BYTES],
}

/// The longest key that a [`Name`] holds.
const NAME_BYTES: usize = 63;

impl Name {
    pub(super) fn of(key: &str) -> Self {
        let len = key.len().min(NAME_BYTES);
        let mut bytes = [0; NAME_BYTES];
        bytes[..len].copy_from_slice(&key.as_bytes()[..len]);
        Self {
            len: key.len().min(NAME_BYTES + 1) as u8,
            bytes,
        }
    }

    /// Whether it is this key's, where `whole` is the key in full.
    #[inline]
    pub(super) fn is(&self, key: &str, whole: impl Fn() -> bool) -> bool {
        let (len, key) = (usize::from(self.len), key.as_bytes());
        let Some(bytes) = self.bytes.get(..len) else {
            return key.len() > NAME_BYTES && whole();
        };
        if len != key.len() {
            false
        } else if len >= 32 {
            ends_alike::<32>(bytes, key)
        } else if len >= 16 {
            ends_alike::<16>(bytes, key)
        } else {
            bytes == key
        }
    }
}

/// Whether the first and the last `N` bytes are the same.
#[inline]
fn ends_alike<const N: usize>(one: &[u8], two: &[u8]) -> bool {
    one.first_chunk::<N>() == two.first_chunk() && one.last_chunk::<N>() == two.last_chunk()
}

#[inline]
fn word(bytes: &[u8], at: usize) -> u64 {
    let word = bytes[at..].first_chunk().expect("at leaves eight bytes");
    u64::from_le_bytes(*word)
}

#[inline]
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::format;
    use alloc::string::String;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_byte_and_the_length_and_the_seed_matter() {
        let secrets = Index::new(1).secrets;
        for len in 0..200 {
            let mut key = vec![b'a'; len];
            let tagged = tag(&secrets, &key);
            assert_ne!(tagged, tag(&Index::new(2).secrets, &key), "{len}");
            for at in 0..len {
                key[at] ^= 1;
                assert_ne!(tag(&secrets, &key), tagged, "byte {at} of {len}");
                key[at] ^= 1;
            }
            key.push(0);
            assert_ne!(tag(&secrets, &key), tagged, "{len}");
        }
    }

    #[test]
    fn a_name_is_its_key_in_every_byte_or_not_at_all() {
        for len in 0..100 {
            let key = "a".repeat(len);
            let name = |key: &str| Name::of(key);
            let is = |name: Name, other: &str| name.is(other, || key == other);
            assert!(is(name(&key), &key), "{len}");
            assert!(!is(name(&key), &format!("{key}a")), "{len}");
            for at in 0..len {
                let mut other = key.clone();
                other.replace_range(at..=at, "b");
                assert!(!is(name(&key), &other), "byte {at} of {len}");
            }
        }
    }

    #[test]
    fn like_keys_spread_over_the_places() {
        let index = Index::new(0);
        let mut counts = [0_u32; 64];
        for nth in 0..6_400 {
            let key = format!("prom/kv_cache:modelID=llama-8b,pod={nth}");
            counts[tag(&index.secrets, key.as_bytes()) as usize % 64] += 1;
        }
        // Five standard deviations of 10.
        assert!(
            counts.iter().all(|count| count.abs_diff(100) < 50),
            "{counts:?}"
        );
    }

    proptest! {
        #[test]
        fn it_agrees_with_an_ordered_map(
            ops in prop::collection::vec((0_u8..40, prop::bool::ANY), 1..300),
            seed: u64, crowded: bool,
        ) {
            let mut index = Index::new(seed);
            if crowded {
                // Nearly all keys get the same tag.
                index.secrets = [0; 10];
            }
            let mut model: BTreeMap<String, usize> = BTreeMap::new();
            for (key, adds) in ops {
                let slot = usize::from(key);
                let key = format!("{key}");
                match (adds, model.contains_key(&key)) {
                    (true, false) => {
                        index.insert(&key, slot);
                        model.insert(key, slot);
                    }
                    (false, true) => {
                        index.remove(&key, slot);
                        model.remove(&key);
                    }
                    (true, true) => {}
                    (false, false) => index.remove(&key, slot),
                }
                for nth in 0_usize..40 {
                    let name = format!("{nth}");
                    let found = index.find(&name, |slot| slot == nth);
                    prop_assert_eq!(found, model.get(&name).copied());
                }
            }
        }
    }
}
