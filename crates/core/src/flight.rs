//! Fetches under way and the askers that wait for them: at most one fetch per key.
//!
//! The invariant: a key leads to a flight exactly while that flight is listed, every waiting ask
//! is in exactly one flight, and no id is ever given twice.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::{AskId, FetchId, Instant, Now, UnixMillis};

/// A fetch under way.
#[derive(Debug)]
pub(crate) struct Flight {
    /// The source's place in the collector's list.
    pub(crate) source: usize,
    pub(crate) started: Now,
    pub(crate) deadline: Instant,
    pub(crate) purpose: Purpose,
}

/// What a fetch is for.
#[derive(Debug)]
pub(crate) enum Purpose {
    /// To learn whether the source is there.
    Probe,
    /// To answer a question.
    Answer {
        key: Arc<str>,
        ttl: Duration,
        asked: Option<UnixMillis>,
        /// In order of arrival; the first one caused the fetch unless a refresh did.
        askers: Vec<Asker>,
        /// Whether it was begun for the cache's sake, so that it goes on without askers.
        refresh: bool,
    },
}

/// Somebody who waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker {
    pub(crate) ask: AskId,
    pub(crate) max_age: Option<Duration>,
    pub(crate) since: Instant,
    /// When they stop waiting, if that is before the flight's deadline.
    pub(crate) deadline: Option<Instant>,
    /// Whether they caused the fetch.
    pub(crate) leads: bool,
}

/// All fetches under way.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    flights: BTreeMap<FetchId, Flight>,
    by_key: BTreeMap<Arc<str>, FetchId>,
    by_ask: BTreeMap<AskId, FetchId>,
    next_fetch: u64,
    next_ask: u64,
}

impl Flights {
    pub(crate) fn begin(&mut self, flight: Flight) -> FetchId {
        let id = FetchId(self.next_fetch);
        self.next_fetch += 1;
        if let Purpose::Answer { key, .. } = &flight.purpose {
            let former = self.by_key.insert(key.clone(), id);
            assert!(former.is_none(), "one fetch in flight per key");
        }
        self.flights.insert(id, flight);
        id
    }

    /// Takes a flight out, with its askers: it ended or was given up.
    pub(crate) fn end(&mut self, id: FetchId) -> Option<Flight> {
        let flight = self.flights.remove(&id)?;
        if let Purpose::Answer { key, askers, .. } = &flight.purpose {
            self.by_key.remove(key);
            for asker in askers {
                self.by_ask.remove(&asker.ask);
            }
        }
        Some(flight)
    }

    pub(crate) fn of_key(&self, key: &str) -> Option<FetchId> {
        self.by_key.get(key).copied()
    }

    pub(crate) fn of_ask(&self, ask: AskId) -> Option<FetchId> {
        self.by_ask.get(&ask).copied()
    }

    pub(crate) fn flight(&self, id: FetchId) -> Option<&Flight> {
        self.flights.get(&id)
    }

    /// How many wait for this fetch.
    pub(crate) fn askers(&self, id: FetchId) -> usize {
        match self.flights.get(&id).map(|flight| &flight.purpose) {
            Some(Purpose::Answer { askers, .. }) => askers.len(),
            Some(Purpose::Probe) | None => 0,
        }
    }

    /// Lets an asker wait for a fetch that answers its question. `asker` makes it from its id.
    pub(crate) fn join(&mut self, id: FetchId, asker: impl FnOnce(AskId) -> Asker) -> AskId {
        let ask = AskId(self.next_ask);
        self.next_ask += 1;
        match self.flights.get_mut(&id).map(|flight| &mut flight.purpose) {
            Some(Purpose::Answer { askers, .. }) => askers.push(asker(ask)),
            Some(Purpose::Probe) | None => panic!("askers join flights that answer"),
        }
        self.by_ask.insert(ask, id);
        ask
    }

    /// Takes an asker out of its flight; says which flight that is, and whether it has lost its
    /// purpose by that.
    pub(crate) fn leave(&mut self, ask: AskId) -> Option<(FetchId, Asker, bool)> {
        let id = self.by_ask.remove(&ask)?;
        match &mut self.flights.get_mut(&id)?.purpose {
            Purpose::Answer {
                askers, refresh, ..
            } => {
                let at = askers.iter().position(|asker| asker.ask == ask)?;
                let asker = askers.remove(at);
                Some((id, asker, askers.is_empty() && !*refresh))
            }
            Purpose::Probe => None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.flights.len()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.by_ask.len()
    }
}
