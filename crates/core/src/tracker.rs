//! Keys that are kept warm because somebody reads them, and when each is fetched next.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::question::Question;
use crate::{AdaptiveTtl, Fingerprint, Instant, ScrapeClock, SourceConfig, UnixMillis};

/// How many keys are kept warm: with the usual 30 s that is some 700 fetches a second, more than
/// one Prometheus bears. Past it a key is answered as ever, but not kept warm.
const TRACKED_MAX: usize = 20_000;

/// Names one tracking of a key; a key that is dropped and tracked again gets another. In order of
/// their beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TrackId {
    nth: u64,
    place: u32,
}

impl TrackId {
    /// No tracking's name.
    pub(crate) const NONE: Self = Self {
        nth: u64::MAX,
        place: u32::MAX,
    };
}

/// A key kept warm.
#[derive(Debug)]
pub(crate) struct Tracked {
    /// The source's place in the collector's list.
    pub(crate) source: usize,
    pub(crate) question: Arc<Question>,
    /// When it is fetched next; `None` while a flight answers it.
    pub(crate) due: Option<Instant>,
    pub(crate) ttl: Option<AdaptiveTtl>,
    pub(crate) clock: Option<ScrapeClock>,
    /// What was answered last, and when.
    pub(crate) last: Option<(Fingerprint, UnixMillis)>,
}

impl Tracked {
    /// Takes its source's settings; what was learnt stays, unless it was learnt for others.
    pub(crate) fn configure(&mut self, settings: &SourceConfig) {
        let question = self.question.under(settings);
        let (ttl, max) = (question.ttl, settings.ttl_max);
        let same = |known: &AdaptiveTtl| Some(known.bounds()) == max.map(|max| (ttl, max));
        self.ttl = self
            .ttl
            .filter(same)
            .or_else(|| max.map(|max| AdaptiveTtl::new(ttl, max)));
        if settings.align {
            self.clock.get_or_insert_default();
        } else {
            self.clock = None;
        }
        if (question.ttl, question.thresholds) != (self.question.ttl, self.question.thresholds) {
            self.question = Arc::new(question);
        }
    }
}

/// When a tracking's key was read last; apart from the rest, for every hit notes it.
#[derive(Debug)]
struct LastRead {
    /// `u64::MAX` in a vacant place.
    nth: u64,
    at: Instant,
}

/// All keys kept warm.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    by_key: BTreeMap<Arc<str>, TrackId>,
    places: Vec<Option<Tracked>>,
    reads: Vec<LastRead>,
    free: Vec<u32>,
    next: u64,
}

impl Tracker {
    /// Notes that a key is read; says whether it is tracked so.
    #[inline]
    pub(crate) fn read(&mut self, id: TrackId, now: Instant) -> bool {
        match self.reads.get_mut(id.place as usize) {
            Some(read) if read.nth == id.nth => {
                read.at = now;
                true
            }
            _ => false,
        }
    }

    /// Tracks a key that is not tracked yet and is read now, unless there are too many.
    pub(crate) fn track(&mut self, tracked: Tracked, now: Instant) -> Option<TrackId> {
        if self.len() >= TRACKED_MAX {
            return None;
        }
        let place = self.free.pop().unwrap_or(self.places.len() as u32);
        let nth = self.next;
        let id = TrackId { nth, place };
        self.next += 1;
        let former = self.by_key.insert(tracked.question.key.clone(), id);
        assert!(former.is_none(), "a key is tracked once");
        let read = LastRead { nth, at: now };
        if place as usize == self.places.len() {
            self.places.push(Some(tracked));
            self.reads.push(read);
        } else {
            self.places[place as usize] = Some(tracked);
            self.reads[place as usize] = read;
        }
        Some(id)
    }

    pub(crate) fn untrack(&mut self, id: TrackId) -> Option<Tracked> {
        self.last_read(id)?;
        self.reads[id.place as usize].nth = u64::MAX;
        let tracked = self.places[id.place as usize].take()?;
        self.free.push(id.place);
        self.by_key.remove(&tracked.question.key);
        Some(tracked)
    }

    /// When the key of this tracking was read last; `None` once it has ended.
    pub(crate) fn last_read(&self, id: TrackId) -> Option<Instant> {
        let read = self.reads.get(id.place as usize)?;
        (read.nth == id.nth).then_some(read.at)
    }

    pub(crate) fn id_of_key(&self, key: &str) -> Option<TrackId> {
        self.by_key.get(key).copied()
    }

    pub(crate) fn of_key(&mut self, key: &str) -> Option<(TrackId, &mut Tracked)> {
        let id = self.id_of_key(key)?;
        self.tracked_mut(id).map(|tracked| (id, tracked))
    }

    pub(crate) fn peek(&self, key: &str) -> Option<(TrackId, &Tracked)> {
        let id = self.id_of_key(key)?;
        let tracked = self.places[id.place as usize].as_ref()?;
        Some((id, tracked))
    }

    pub(crate) fn tracked_mut(&mut self, id: TrackId) -> Option<&mut Tracked> {
        self.last_read(id)?;
        self.places[id.place as usize].as_mut()
    }

    /// The trackings whose keys satisfy a condition, in order of their beginning.
    pub(crate) fn matching(&self, wanted: impl Fn(&Tracked) -> bool) -> Vec<TrackId> {
        let there = self.by_key.values();
        let wanted = |id: &&TrackId| self.places[id.place as usize].as_ref().is_some_and(&wanted);
        let mut ids: Vec<_> = there.filter(wanted).copied().collect();
        ids.sort_unstable();
        ids
    }

    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }
}
