//! Answers kept in memory, bounded by bytes, evicted so that a scan does not drive out what is read.
//!
//! The eviction is SIEVE (Zhang et al., NSDI 2024): entries queue in order of arrival; a hand
//! walks from the oldest towards the newest, spares once whatever was read since it last passed,
//! and evicts the first that was not. The invariant: `bytes` is the sum over the entries held and
//! at most `bytes_max`.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::{Freshness, Instant, Now, Payload, Thresholds, UnixMillis};

/// What an entry costs beside its payload and key: slot, index node, reference counts.
const ENTRY_OVERHEAD_BYTES: usize = 200;

/// Marks the end of the queue; no cache holds this many entries.
const NONE: usize = usize::MAX;

/// A kept answer.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) payload: Arc<Payload>,
    pub(crate) as_of: UnixMillis,
    pub(crate) received: Now,
    pub(crate) ttl: Duration,
    /// The instant asked about, for questions about the past.
    pub(crate) asked: Option<UnixMillis>,
    pub(crate) thresholds: Thresholds,
    /// Whether somebody was told that it is getting old.
    pub(crate) warned: bool,
}

impl Entry {
    /// How old the data is. A question about the past is measured against the instant it asked
    /// about; one about now against the wall clock, and never less than what has passed since it
    /// was received, so that a wall clock that steps back does not make data young.
    pub(crate) fn age(&self, now: Now) -> Duration {
        match self.asked {
            Some(asked) => asked.min(now.wall).since(self.as_of),
            None => {
                let at_receipt = self.received.wall.since(self.as_of);
                now.wall
                    .since(self.as_of)
                    .max(at_receipt + now.mono.since(self.received.mono))
            }
        }
    }

    /// How much longer it counts as a hit; `None` from the very end of its ttl on.
    pub(crate) fn ttl_left(&self, now: Now) -> Option<Duration> {
        let left = self.ttl.saturating_sub(now.mono.since(self.received.mono));
        (!left.is_zero()).then_some(left)
    }

    /// How far past its ttl it is; zero within it.
    pub(crate) fn overdue(&self, now: Now) -> Duration {
        now.mono.since(self.received.mono).saturating_sub(self.ttl)
    }

    /// Whether it may stand in past its ttl: behind a refresh, or for a source that fails.
    pub(crate) fn is_usable(&self, now: Now) -> bool {
        now.mono < self.useless_from()
            && self.thresholds.verdict(self.age(now)) != Freshness::Unavailable
    }

    /// From here on nobody can be served from it.
    fn useless_from(&self) -> Instant {
        self.received.mono + self.ttl + self.thresholds.unavailable_past
    }

    fn byte_size(&self, key: &str) -> usize {
        let body = self.payload.body.as_ref().map_or(0, Vec::capacity);
        ENTRY_OVERHEAD_BYTES + 2 * key.len() + body + self.payload.response.byte_size()
    }
}

#[derive(Debug)]
struct Slot {
    key: Arc<str>,
    entry: Entry,
    bytes: usize,
    read: bool,
    newer: usize,
    older: usize,
}

/// Entries by key.
#[derive(Debug)]
pub(crate) struct Cache {
    bytes_max: usize,
    bytes: usize,
    index: BTreeMap<Arc<str>, usize>,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    newest: usize,
    oldest: usize,
    hand: usize,
    evictions: u64,
}

impl Cache {
    /// A cache of at most `bytes_max`; 0 keeps nothing.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            bytes: 0,
            index: BTreeMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            newest: NONE,
            oldest: NONE,
            hand: NONE,
            evictions: 0,
        }
    }

    /// The entry of this key, which is thereby read.
    pub(crate) fn read(&mut self, key: &str) -> Option<&mut Entry> {
        let at = *self.index.get(key)?;
        let slot = self.slots[at].as_mut()?;
        slot.read = true;
        Some(&mut slot.entry)
    }

    /// Whether an entry is small enough to be kept at all.
    pub(crate) fn fits(&self, key: &str, entry: &Entry) -> bool {
        entry.byte_size(key) <= self.bytes_max
    }

    /// Keeps an entry in place of the key's former one, evicting others to make room. One that is
    /// larger than the whole cache is not kept, and the former one is dropped all the same, for it
    /// is out of date.
    pub(crate) fn insert(&mut self, key: Arc<str>, entry: Entry) {
        let read = self.remove(&key);
        if !self.fits(&key, &entry) {
            return;
        }
        let bytes = entry.byte_size(&key);
        while self.bytes + bytes > self.bytes_max {
            self.evict();
        }
        let at = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.index.insert(key.clone(), at);
        self.slots[at] = Some(Slot {
            key,
            entry,
            bytes,
            read,
            newer: NONE,
            older: self.newest,
        });
        match self.newest {
            NONE => self.oldest = at,
            newest => self.slot_mut(newest).newer = at,
        }
        self.newest = at;
        self.bytes += bytes;
    }

    /// Drops what nobody can be served from any more.
    pub(crate) fn cleanup(&mut self, now: Now) {
        let useless = |slot: &&Slot| now.mono >= slot.entry.useless_from();
        let keys: Vec<_> = self
            .slots
            .iter()
            .flatten()
            .filter(useless)
            .map(|slot| slot.key.clone())
            .collect();
        for key in keys {
            self.remove(&key);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) const fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    pub(crate) const fn evictions(&self) -> u64 {
        self.evictions
    }

    /// Drops the key's entry; says whether it was read since the hand last passed.
    fn remove(&mut self, key: &str) -> bool {
        self.index
            .remove(key)
            .is_some_and(|at| self.unlink(at).read)
    }

    fn evict(&mut self) {
        let mut at = if self.hand == NONE {
            self.oldest
        } else {
            self.hand
        };
        loop {
            assert_ne!(at, NONE, "a cache that is too full holds entries");
            let slot = self.slot_mut(at);
            if !core::mem::take(&mut slot.read) {
                break;
            }
            at = match slot.newer {
                NONE => self.oldest,
                newer => newer,
            };
        }
        self.hand = at;
        let key = self.slot_mut(at).key.clone();
        self.remove(&key);
        self.evictions += 1;
    }

    fn unlink(&mut self, at: usize) -> Slot {
        let slot = self.slots[at].take().expect("a linked slot is full");
        match slot.newer {
            NONE => self.newest = slot.older,
            newer => self.slot_mut(newer).older = slot.older,
        }
        match slot.older {
            NONE => self.oldest = slot.newer,
            older => self.slot_mut(older).newer = slot.newer,
        }
        if self.hand == at {
            self.hand = slot.newer;
        }
        self.bytes -= slot.bytes;
        self.free.push(at);
        slot
    }

    fn slot_mut(&mut self, at: usize) -> &mut Slot {
        self.slots[at].as_mut().expect("a linked slot is full")
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;
    use alloc::vec;

    use proptest::prelude::*;
    use tidegate_wire::{Data, QueryResponse};

    use super::*;

    fn entry(body_bytes: usize) -> Entry {
        let data = Data::String {
            timestamp_ms: 0,
            value: String::new(),
        };
        Entry {
            payload: Arc::new(Payload {
                body: Some(vec![0; body_bytes]),
                response: QueryResponse::new(data),
            }),
            as_of: UnixMillis(0),
            received: Now::ZERO,
            ttl: Duration::from_secs(30),
            asked: None,
            thresholds: Thresholds::default(),
            warned: false,
        }
    }

    fn at(seconds: u64) -> Now {
        Now {
            mono: Instant::from_millis(seconds * 1000),
            wall: UnixMillis(seconds as i64 * 1000),
        }
    }

    #[test]
    fn the_ttl_ends_at_its_last_tick() {
        let entry = entry(1);
        let end = Instant::ZERO + Duration::from_secs(30);
        let before = Now {
            mono: Instant::from_nanos(end.as_nanos() - 1),
            ..Now::ZERO
        };
        assert_eq!(entry.ttl_left(before), Some(Duration::from_nanos(1)));
        assert_eq!(
            entry.ttl_left(Now {
                mono: end,
                ..Now::ZERO
            }),
            None
        );
    }

    #[test]
    fn a_wall_clock_that_steps_back_does_not_make_data_young() {
        let entry = entry(1);
        let stepped = Now {
            mono: at(100).mono,
            wall: UnixMillis(-5_000_000),
        };
        assert_eq!(entry.age(stepped), Duration::from_secs(100));
    }

    #[test]
    fn an_answer_about_the_past_does_not_age() {
        let entry = Entry {
            asked: Some(UnixMillis(0)),
            ..entry(1)
        };
        assert_eq!(entry.age(at(1_000_000)), Duration::ZERO);
    }

    #[test]
    fn cleanup_drops_exactly_what_is_useless() {
        let mut cache = Cache::new(1 << 20);
        cache.insert("a".into(), entry(1));
        cache.cleanup(at(329));
        assert_eq!(cache.len(), 1);
        cache.cleanup(at(330));
        assert_eq!((cache.len(), cache.bytes()), (0, 0));
    }

    #[test]
    fn what_is_read_survives_a_scan() {
        let mut cache = Cache::new(20 * 1_300);
        cache.insert("hot".into(), entry(1_000));
        for scanned in 0..1_000 {
            cache.insert(format!("scanned-{scanned}").into(), entry(1_000));
            assert!(cache.read("hot").is_some(), "evicted by {scanned}");
        }
        assert!(cache.evictions() > 900);
    }

    #[test]
    fn an_entry_larger_than_the_cache_is_not_kept() {
        let mut cache = Cache::new(1_000);
        cache.insert("a".into(), entry(100));
        cache.insert("a".into(), entry(1_000));
        assert!(cache.read("a").is_none());
        assert_eq!(cache.bytes(), 0);
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_naive_sieve(ops in prop::collection::vec((0u8..12, prop::bool::ANY, 0usize..600), 1..200)) {
            let mut cache = Cache::new(2_000);
            // Oldest first: key, bytes, read; the hand is the key it stands at.
            let mut naive: Vec<(u8, usize, bool)> = Vec::new();
            let mut hand: Option<u8> = None;
            for (key, is_read, size) in ops {
                let name: Arc<str> = format!("{key}").into();
                if is_read {
                    let found = naive.iter_mut().find(|entry| entry.0 == key).map(|entry| entry.2 = true);
                    prop_assert_eq!(cache.read(&name).is_some(), found.is_some());
                    continue;
                }
                let bytes = entry(size).byte_size(&name);
                cache.insert(name, entry(size));
                let mut read = false;
                if let Some(at) = naive.iter().position(|entry| entry.0 == key) {
                    if hand == Some(key) { hand = naive.get(at + 1).map(|entry| entry.0); }
                    read = naive.remove(at).2;
                }
                while naive.iter().map(|entry| entry.1).sum::<usize>() + bytes > 2_000 {
                    let mut at = hand.and_then(|h| naive.iter().position(|entry| entry.0 == h)).unwrap_or(0);
                    while core::mem::take(&mut naive[at].2) { at = (at + 1) % naive.len(); }
                    hand = naive.get(at + 1).map(|entry| entry.0);
                    naive.remove(at);
                }
                naive.push((key, bytes, read));
                prop_assert_eq!(cache.len(), naive.len());
                prop_assert_eq!(cache.bytes(), naive.iter().map(|entry| entry.1).sum::<usize>());
                for entry in &naive {
                    let name = format!("{}", entry.0);
                    prop_assert!(cache.index.contains_key(&*name));
                }
            }
        }
    }
}
