//! Reads of what is in memory, without an ask: by key, or by a handle on it.

use alloc::sync::Arc;
use core::time::Duration;

use super::Collector;
use crate::cache::{Cache, Entry, SlotId};
use crate::{Freshness, Now, Payload, UnixMillis};

/// Names a key that is in memory, for reads that are quicker still.
///
/// It holds through every refresh of the key, and is void once the key has left memory: evicted,
/// cleaned up or invalidated. It means nothing to another collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle(SlotId);

/// An answer within its ttl, where it lies.
#[derive(Clone, Copy, Debug)]
pub struct Hit<'a> {
    payload: &'a Arc<Payload>,
    cache: &'a Cache,
    at: usize,
    now: Now,
}

impl<'a> Hit<'a> {
    /// The data.
    pub const fn payload(&self) -> &'a Arc<Payload> {
        self.payload
    }

    /// What the cache calls it.
    pub fn key(&self) -> &'a Arc<str> {
        &self.entry().question.key
    }

    /// The instant the numbers speak for, as [`Answer::as_of`](crate::Answer::as_of).
    pub fn as_of(&self) -> UnixMillis {
        self.entry().as_of
    }

    /// When it was received.
    pub fn fetched_at(&self) -> UnixMillis {
        self.entry().received.wall
    }

    /// How old the data is, as [`Answer::age`](crate::Answer::age).
    pub fn age(&self) -> Duration {
        self.entry().age(self.now)
    }

    /// The verdict on its age by the source's thresholds: a hit may be stale by its own instant.
    pub fn freshness(&self) -> Freshness {
        self.entry().freshness(self.now)
    }

    /// How much longer it counts as a hit; more than zero.
    pub fn ttl_left(&self) -> Duration {
        self.entry().ttl_left(self.now).unwrap_or_default()
    }

    fn entry(&self) -> &'a Entry {
        self.cache.entry(self.at).expect("a hit is in memory")
    }
}

impl Collector {
    /// What [`query`](Self::query) would answer at once to whoever asks this key's question of one
    /// source and takes any data within its ttl, without making the key and without a copy.
    ///
    /// Counts as that ask would: in eviction, tracking and [`Stats::hits`](crate::Stats::hits).
    /// `None` when nothing is kept under the key or its ttl is over: then ask. A key is as an
    /// [`Answer`](crate::Answer) names it.
    #[inline]
    pub fn hit(&mut self, key: &str, now: Now) -> Option<Hit<'_>> {
        let at = self.cache.find(key)?;
        self.hit_at(at, now)
    }

    /// A handle on this key while it is in memory; reads nothing.
    pub fn resolve(&self, key: &str) -> Option<Handle> {
        let at = self.cache.find(key)?;
        self.cache.slot_id(at).map(Handle)
    }

    /// The same as [`hit`](Self::hit), for a key that was resolved before. `None` also when the
    /// handle is void.
    #[inline]
    pub fn hit_by(&mut self, handle: Handle, now: Now) -> Option<Hit<'_>> {
        let at = self.cache.find_by(handle.0)?;
        self.hit_at(at, now)
    }

    #[inline]
    fn hit_at(&mut self, at: usize, now: Now) -> Option<Hit<'_>> {
        let now = self.clamp(now);
        let track = self.cache.read_plain(at, now);
        if !track.is_some_and(|id| self.tracker.read(id, now.mono)) {
            self.hit_unplain(at, now)?;
        }
        self.stats.hits += 1;
        let cache = &self.cache;
        let payload = cache.payload(at)?;
        Some(Hit {
            payload,
            cache,
            at,
            now,
        })
    }

    /// All that an ask does, of which a plain hit of a tracked key needs little.
    #[cold]
    fn hit_unplain(&mut self, at: usize, now: Now) -> Option<()> {
        let mut read = self.cache.read(at)?;
        read.provenance(None, None, now)?;
        let warns = read.warns(now);
        let entry = read.entry();
        let (source, question) = (entry.source, entry.question.clone());
        self.note_read(source, &question, Some(at), now);
        if warns {
            self.say_ageing(at, now);
        }
        Some(())
    }
}
