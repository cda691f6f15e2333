//! Answers kept in memory, bounded by bytes, evicted so that a scan does not drive out what is read.
//!
//! The eviction is SIEVE (Zhang et al., NSDI 2024): entries queue in order of arrival; a hand
//! walks from the oldest towards the newest, spares once whatever was read since it last passed,
//! and evicts the first that was not. The invariant: `bytes` is the sum over the entries held and
//! at most `bytes_max`.
//!
//! Whole keys are looked up by hash, prefixes in order. A key keeps its slot, and a slot its
//! generation, from when the key comes until it leaves: answers that replace each other share a
//! handle.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;
use core::time::Duration;

use crate::tracker::TrackId;
use crate::{Instant, Now, Payload, Provenance, UnixMillis};

mod entry;
mod index;

pub(crate) use entry::Entry;
use index::{Index, Name};

/// Marks the end of the queue; no cache holds this many entries.
const NONE: usize = usize::MAX;

/// Names a key's stay in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotId {
    at: u32,
    generation: u32,
}

/// What a read looks at: all of it in one cache line.
#[derive(Debug)]
#[repr(align(64))]
struct Hot {
    key: Arc<str>,
    /// `None` in a vacant slot.
    payload: Option<Arc<Payload>>,
    /// Before here on the monotonic clock, and up to here on the wall's, it is a hit that nobody
    /// needs a word about. Past either, the entry itself is looked at.
    plain_before: Instant,
    plain_until: UnixMillis,
    /// Who keeps it warm, as of when that was last looked up.
    track: TrackId,
    /// 0 in a vacant slot.
    generation: u32,
    read: bool,
}

const _: () = assert!(size_of::<Hot>() == 64, "one line");

/// The rest of a slot.
#[derive(Debug)]
struct Slot {
    entry: Entry,
    bytes: usize,
    newer: usize,
    older: usize,
}

/// Entries by key.
#[derive(Debug)]
pub(crate) struct Cache {
    bytes_max: usize,
    bytes: usize,
    index: Index,
    /// The same keys in order, for prefixes.
    ordered: BTreeMap<Arc<str>, usize>,
    /// As long as `slots`, and vacant where they are; so are their names.
    hots: Vec<Hot>,
    names: Vec<Name>,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    /// What the next stay of a key is called. A name comes back after 2^32 others.
    generation: u32,
    newest: usize,
    oldest: usize,
    hand: usize,
    evictions: u64,
}

impl Cache {
    /// A cache of at most `bytes_max`; 0 keeps nothing. Keys are hashed by `seed`.
    pub(crate) fn new(bytes_max: usize, seed: u64) -> Self {
        Self {
            bytes_max,
            bytes: 0,
            index: Index::new(seed),
            ordered: BTreeMap::new(),
            hots: Vec::new(),
            names: Vec::new(),
            slots: Vec::new(),
            free: Vec::new(),
            generation: 0,
            newest: NONE,
            oldest: NONE,
            hand: NONE,
            evictions: 0,
        }
    }

    /// Where this key's entry is.
    #[inline]
    pub(crate) fn find(&self, key: &str) -> Option<usize> {
        let whole = |at: usize| *self.hots[at].key == *key;
        self.index
            .find(key, |at| self.names[at].is(key, || whole(at)))
    }

    /// What to call this key's stay.
    pub(crate) fn slot_id(&self, at: usize) -> Option<SlotId> {
        Some(SlotId {
            at: u32::try_from(at).ok()?,
            generation: self.hots.get(at)?.generation,
        })
    }

    /// Where the entry of this stay is; `None` once the key has left.
    #[inline]
    pub(crate) fn find_by(&self, id: SlotId) -> Option<usize> {
        let at = id.at as usize;
        (self.hots.get(at)?.generation == id.generation).then_some(at)
    }

    /// The entry here, which is thereby read.
    #[inline]
    pub(crate) fn read(&mut self, at: usize) -> Option<Read<'_>> {
        let hot = self.hots.get_mut(at)?;
        let slot = self.slots.get_mut(at)?.as_mut()?;
        hot.read = true;
        Some(Read { hot, slot })
    }

    /// The short way of a read that is a hit by its ttl alone and warns nobody: who keeps it warm.
    /// `None` says nothing but that the long way is to be taken.
    #[inline]
    pub(crate) fn read_plain(&mut self, at: usize, now: Now) -> Option<TrackId> {
        let hot = self.hots.get_mut(at)?;
        if now.mono >= hot.plain_before || now.wall > hot.plain_until {
            return None;
        }
        hot.read = true;
        Some(hot.track)
    }

    /// The data of the entry here.
    #[inline]
    pub(crate) fn payload(&self, at: usize) -> Option<&Arc<Payload>> {
        self.hots.get(at)?.payload.as_ref()
    }

    /// The entry of this key, without counting as a read.
    pub(crate) fn peek(&self, key: &str) -> Option<&Entry> {
        self.entry(self.find(key)?)
    }

    /// The entry here, without counting as a read.
    #[inline]
    pub(crate) fn entry(&self, at: usize) -> Option<&Entry> {
        self.slots.get(at)?.as_ref().map(|slot| &slot.entry)
    }

    /// Whether an entry is small enough to be kept at all.
    pub(crate) fn fits(&self, entry: &Entry) -> bool {
        entry.byte_size() <= self.bytes_max
    }

    /// Keeps an entry in place of the key's former one, evicting others to make room. One that is
    /// larger than the whole cache is not kept, and the former one is dropped all the same, for it
    /// is out of date.
    pub(crate) fn insert(&mut self, entry: Entry) {
        let key = entry.question.key.clone();
        if !self.fits(&entry) {
            self.remove(&key);
            return;
        }
        let bytes = entry.byte_size();
        let former = self.find(&key).inspect(|&at| drop(self.unlink(at)));
        while self.bytes + bytes > self.bytes_max {
            self.evict();
        }
        let Some(at) = former.or_else(|| self.admit(&key)) else {
            return;
        };
        let hot = &mut self.hots[at];
        hot.payload = Some(entry.payload.clone());
        (hot.plain_before, hot.plain_until) = entry.plain_until();
        self.slots[at] = Some(Slot {
            entry,
            bytes,
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

    /// A slot for a key that comes; `None` when there are as many as can be numbered.
    fn admit(&mut self, key: &Arc<str>) -> Option<usize> {
        let at = self.free.pop().unwrap_or(self.slots.len());
        if !Index::admits(at) {
            return None;
        }
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        let hot = Hot {
            key: key.clone(),
            payload: None,
            plain_before: Instant::ZERO,
            plain_until: UnixMillis(i64::MIN),
            track: TrackId::NONE,
            generation: self.generation,
            read: false,
        };
        if at == self.slots.len() {
            self.slots.push(None);
            self.hots.push(hot);
            self.names.push(Name::of(key));
        } else {
            self.hots[at] = hot;
            self.names[at] = Name::of(key);
        }
        self.index.insert(key, at);
        self.ordered.insert(key.clone(), at);
        Some(at)
    }

    /// Drops what nobody can be served from any more.
    pub(crate) fn cleanup(&mut self, now: Now) {
        for at in 0..self.slots.len() {
            let useless = |slot: &Slot| now.mono >= slot.entry.useless_from();
            if self.slots[at].as_ref().is_some_and(useless) {
                self.release(at);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.ordered.len()
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) const fn evictions(&self) -> u64 {
        self.evictions
    }

    /// Drops the key's entry; says whether there was one.
    pub(crate) fn remove(&mut self, key: &str) -> bool {
        let at = self.find(key);
        if let Some(at) = at {
            self.release(at);
        }
        at.is_some()
    }

    /// Drops all entries whose keys begin so, at the cost of those alone; says how many.
    pub(crate) fn remove_prefix(&mut self, prefix: &str) -> usize {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let there = self.ordered.range::<str, _>(from);
        let there = there.take_while(|(key, _)| key.starts_with(prefix));
        let slots: Vec<_> = there.map(|(_, at)| *at).collect();
        slots.iter().for_each(|&at| self.release(at));
        slots.len()
    }

    /// Takes a new bound, and evicts down to it.
    pub(crate) fn resize(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
        while self.bytes > bytes_max {
            self.evict();
        }
    }

    /// Whether anything can be kept at all.
    pub(crate) const fn is_enabled(&self) -> bool {
        self.bytes_max > 0
    }

    fn evict(&mut self) {
        let mut at = if self.hand == NONE {
            self.oldest
        } else {
            self.hand
        };
        loop {
            assert_ne!(at, NONE, "a cache that is too full holds entries");
            if !core::mem::take(&mut self.hots[at].read) {
                break;
            }
            at = match self.slot_mut(at).newer {
                NONE => self.oldest,
                newer => newer,
            };
        }
        self.hand = at;
        self.release(at);
        self.evictions += 1;
    }

    /// The key here leaves.
    fn release(&mut self, at: usize) {
        self.unlink(at);
        let hot = &mut self.hots[at];
        hot.generation = 0;
        hot.plain_before = Instant::ZERO;
        hot.payload = None;
        let key = hot.key.clone();
        self.index.remove(&key, at);
        self.ordered.remove(&key);
        self.free.push(at);
    }

    /// Takes the slot's content out of the queue; the key stays known.
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
        slot
    }

    fn slot_mut(&mut self, at: usize) -> &mut Slot {
        self.slots[at].as_mut().expect("a linked slot is full")
    }
}

/// An entry that is being read.
#[derive(Debug)]
pub(crate) struct Read<'a> {
    hot: &'a mut Hot,
    slot: &'a mut Slot,
}

impl Read<'_> {
    pub(crate) fn entry(&self) -> &Entry {
        &self.slot.entry
    }

    /// How it serves an asker who takes data of at most `max_age`, and past its ttl by at most
    /// `max_stale`, if at all; not at all where that is `None`.
    pub(crate) fn provenance(
        &self,
        max_age: Option<Duration>,
        max_stale: Option<Duration>,
        now: Now,
    ) -> Option<Provenance> {
        let entry = self.entry();
        // Whoever takes no age at all asks for new data, even where a source's clock runs ahead.
        if max_age.is_some_and(|max_age| max_age.is_zero() || entry.age(now) > max_age) {
            return None;
        }
        if entry.ttl_left(now).is_some() {
            return Some(Provenance::Hit);
        }
        let stale = max_stale.is_some_and(|max_stale| entry.overdue(now) <= max_stale);
        (stale && entry.is_usable(now)).then_some(Provenance::Stale)
    }

    /// Who keeps it warm, as of when that was last noted.
    pub(crate) fn track(&self) -> TrackId {
        self.hot.track
    }

    /// Notes who keeps it warm.
    pub(crate) fn set_track(&mut self, track: TrackId) {
        self.hot.track = track;
    }

    /// Notes that somebody may give it out again without asking.
    pub(crate) fn lend(&mut self) {
        self.slot.entry.lent = true;
    }

    /// Whether somebody is to be told that it is getting old; says so once.
    pub(crate) fn warns(&mut self, now: Now) -> bool {
        let entry = &mut self.slot.entry;
        let first = !entry.warned && entry.is_ageing(now);
        entry.warned |= first;
        first
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
    use crate::question::Question;

    fn entry(key: &str, body_bytes: usize) -> Entry {
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
            question: Arc::new(Question::named(key, None)),
            source: 0,
            warned: false,
            lent: false,
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
        let entry = entry("a", 1);
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
        let entry = entry("a", 1);
        let stepped = Now {
            mono: at(100).mono,
            wall: UnixMillis(-5_000_000),
        };
        assert_eq!(entry.age(stepped), Duration::from_secs(100));
    }

    #[test]
    fn an_answer_about_the_past_does_not_age() {
        let entry = Entry {
            question: Arc::new(Question::named("a", Some(UnixMillis(0)))),
            ..entry("a", 1)
        };
        assert_eq!(entry.age(at(1_000_000)), Duration::ZERO);
    }

    #[test]
    fn cleanup_drops_exactly_what_is_useless() {
        let mut cache = Cache::new(1 << 20, 7);
        cache.insert(entry("a", 1));
        cache.cleanup(at(329));
        assert_eq!(cache.len(), 1);
        cache.cleanup(at(330));
        assert_eq!((cache.len(), cache.bytes()), (0, 0));
    }

    #[test]
    fn what_is_read_survives_a_scan() {
        let mut cache = Cache::new(20 * 1_300, 7);
        cache.insert(entry("hot", 1_000));
        for scanned in 0..1_000 {
            cache.insert(entry(&format!("scanned-{scanned}"), 1_000));
            assert!(
                cache.find("hot").and_then(|at| cache.read(at)).is_some(),
                "evicted by {scanned}"
            );
        }
        assert!(cache.evictions() > 900);
    }

    #[test]
    fn an_entry_larger_than_the_cache_is_not_kept() {
        let mut cache = Cache::new(1_000, 7);
        cache.insert(entry("a", 100));
        assert_eq!(cache.len(), 1);
        cache.insert(entry("a", 1_000));
        assert!(cache.find("a").and_then(|at| cache.read(at)).is_none());
        assert_eq!(cache.bytes(), 0);
    }

    #[test]
    fn a_key_keeps_its_name_until_it_leaves() {
        let mut cache = Cache::new(1 << 20, 7);
        cache.insert(entry("a", 1));
        let stay = cache.find("a").and_then(|at| cache.slot_id(at)).unwrap();
        cache.insert(entry("b", 1));
        cache.insert(entry("a", 2));
        assert_eq!(cache.find_by(stay), cache.find("a"));
        assert!(cache.remove("a"));
        assert_eq!(cache.find_by(stay), None);
        cache.insert(entry("c", 1));
        cache.insert(entry("a", 1));
        assert_eq!(cache.find_by(stay), None, "its slot is another's");
    }

    #[test]
    fn quiet_ends_where_the_warning_begins() {
        let mut cache = Cache::new(1 << 20, 7);
        let past = Entry {
            question: Arc::new(Question::named("past", Some(UnixMillis(120_001)))),
            ..entry("past", 1)
        };
        cache.insert(entry("now", 1));
        cache.insert(past);
        let mut warns = |key: &str, now| {
            let at = cache.find(key).unwrap();
            cache.read(at).unwrap().warns(now)
        };
        let wall = |ms| Now {
            wall: UnixMillis(ms),
            ..Now::ZERO
        };
        assert!(!warns("past", wall(120_000)), "not reached yet");
        assert!(warns("past", wall(120_001)));
        assert!(!warns("now", wall(120_000)));
        assert!(warns("now", wall(120_001)));
        assert!(!warns("now", wall(130_000)), "once");
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_naive_sieve(ops in prop::collection::vec((0u8..12, prop::bool::ANY, 0usize..600), 1..200)) {
            let mut cache = Cache::new(4_000, 7);
            // Oldest first: key, bytes, read; the hand is the key it stands at.
            let mut naive: Vec<(u8, usize, bool)> = Vec::new();
            let mut hand: Option<u8> = None;
            for (key, is_read, size) in ops {
                let name: Arc<str> = format!("{key}").into();
                if is_read {
                    let found = naive.iter_mut().find(|entry| entry.0 == key).map(|entry| entry.2 = true);
                    prop_assert_eq!(cache.find(&name).and_then(|at| cache.read(at)).is_some(), found.is_some());
                    continue;
                }
                let bytes = entry(&name, size).byte_size();
                cache.insert(entry(&name, size));
                let mut read = false;
                if let Some(at) = naive.iter().position(|entry| entry.0 == key) {
                    if hand == Some(key) { hand = naive.get(at + 1).map(|entry| entry.0); }
                    read = naive.remove(at).2;
                }
                while naive.iter().map(|entry| entry.1).sum::<usize>() + bytes > 4_000 {
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
                    prop_assert!(cache.peek(&name).is_some_and(|kept| *kept.question.key == *name));
                }
            }
        }
    }
}
