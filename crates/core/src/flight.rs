//! Questions on their way to a source and the askers that wait for them: at most one per key.
//!
//! A flight lives from the first asker to the last word: it queues for its source, fetches,
//! perhaps waits and fetches again. The invariant: a key leads to a flight exactly while that
//! flight is listed and answers the question that the key has now, a fetch leads to a flight exactly while that flight waits for its response,
//! every waiting ask is in exactly one flight, and no id is ever given twice.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::question::{Question, Window};
use crate::{AskId, FetchId, Instant, Now, Priority, QueryError, Retry};

/// Names one flight for its whole life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FlightId(u64);

/// A question on its way.
#[derive(Debug)]
pub(crate) struct Flight {
    /// The source's place in the collector's list.
    pub(crate) source: usize,
    pub(crate) begun: Now,
    pub(crate) deadline: Instant,
    pub(crate) priority: Priority,
    pub(crate) purpose: Purpose,
    pub(crate) stage: Stage,
    pub(crate) retry: Retry,
    /// What went wrong last, while it waits for another try.
    pub(crate) last_error: Option<QueryError>,
}

impl Flight {
    /// The target that is asked, of a scrape source.
    pub(crate) fn target(&self) -> Option<&Arc<str>> {
        match &self.purpose {
            Purpose::Answer { question, .. } => question.target(),
            Purpose::Piece(_) | Purpose::Probe => None,
        }
    }

    /// What is asked; a probe asks nothing.
    pub(crate) const fn question(&self) -> Option<&Arc<Question>> {
        match &self.purpose {
            Purpose::Answer { question, .. } => Some(question),
            Purpose::Piece(piece) => Some(&piece.question),
            Purpose::Probe => None,
        }
    }
}

/// What a flight is for.
#[derive(Debug)]
pub(crate) enum Purpose {
    /// To learn whether the source is there.
    Probe,
    /// To answer a question.
    Answer {
        question: Arc<Question>,
        /// In order of arrival; the first one caused the flight unless a refresh did.
        askers: Vec<Asker>,
        /// Whether it is for the sake of the cache or of Tidegate's own series too, so that it goes
        /// on without askers.
        refresh: bool,
        /// Whether its answer may be kept; not where the question changed meanwhile.
        keep: bool,
    },
    /// To fetch some points of a table, for questions that lack them.
    Piece(Piece),
}

/// Points of a table on their way.
#[derive(Debug)]
pub(crate) struct Piece {
    /// What is asked: a question about exactly these points.
    pub(crate) question: Arc<Question>,
    /// Where they lie.
    pub(crate) window: Window,
    /// The questions that wait for it.
    pub(crate) waiting: Vec<FlightId>,
    /// Whether it takes the place of what is known.
    pub(crate) anew: bool,
    /// Whether what it brings may be kept, and waited for by others.
    pub(crate) keep: bool,
    /// When its fetch began, the latest if there were several.
    pub(crate) began: Option<Now>,
}

/// Where a flight stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// In its source's queue.
    Queued,
    /// Its fetch is under way.
    Fetching { fetch: FetchId, began: Now },
    /// It waits for another try.
    Resting { until: Instant },
    /// It waits for pieces.
    Gathering,
    /// Its fetch ended, and what follows is being decided.
    Landed,
}

impl Stage {
    pub(crate) fn fetching_since(self) -> Option<Now> {
        match self {
            Self::Fetching { began, .. } => Some(began),
            Self::Queued | Self::Resting { .. } | Self::Gathering | Self::Landed => None,
        }
    }
}

/// Somebody who waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker {
    pub(crate) ask: AskId,
    pub(crate) max_age: Option<Duration>,
    pub(crate) max_stale: Option<Duration>,
    pub(crate) since: Instant,
    /// When they stop waiting, be the flight's deadline sooner or later.
    pub(crate) deadline: Instant,
    /// Whether they caused the flight.
    pub(crate) leads: bool,
}

/// All questions on their way.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    flights: BTreeMap<FlightId, Flight>,
    by_key: BTreeMap<Arc<str>, FlightId>,
    /// The pieces that others may wait for.
    by_table: BTreeMap<Arc<str>, Vec<FlightId>>,
    by_fetch: BTreeMap<FetchId, FlightId>,
    by_ask: BTreeMap<AskId, FlightId>,
    next_flight: u64,
    next_fetch: u64,
}

impl Flights {
    pub(crate) fn begin(&mut self, flight: Flight) -> FlightId {
        let id = FlightId(self.next_flight);
        self.next_flight += 1;
        if let Purpose::Answer { question, .. } = &flight.purpose {
            let former = self.by_key.insert(question.key.clone(), id);
            assert!(former.is_none(), "one flight per key");
        }
        let begins = matches!(flight.stage, Stage::Queued | Stage::Gathering);
        assert!(begins, "a flight begins in the queue or with its pieces");
        if let Purpose::Piece(piece) = &flight.purpose {
            let pieces = self.by_table.entry(piece.window.table.clone());
            pieces.or_default().push(id);
        }
        self.flights.insert(id, flight);
        id
    }

    /// Takes a flight out, with its askers: it came to its end or was given up.
    pub(crate) fn end(&mut self, id: FlightId) -> Option<Flight> {
        let flight = self.flights.remove(&id)?;
        if let Purpose::Answer {
            question, askers, ..
        } = &flight.purpose
        {
            if self.by_key.get(&question.key) == Some(&id) {
                self.by_key.remove(&question.key);
            }
            for asker in askers {
                self.by_ask.remove(&asker.ask);
            }
        }
        if let Purpose::Piece(piece) = &flight.purpose {
            self.hide_piece(&piece.window.table.clone(), id);
        }
        if let Stage::Fetching { fetch, .. } = flight.stage {
            self.by_fetch.remove(&fetch);
        }
        Some(flight)
    }

    /// Gives a queued flight a fetch.
    pub(crate) fn fetch(&mut self, id: FlightId, now: Now) -> Option<(FetchId, &Flight)> {
        let flight = self.flights.get_mut(&id)?;
        let fetch = FetchId(self.next_fetch);
        self.next_fetch += 1;
        flight.stage = Stage::Fetching { fetch, began: now };
        if let Purpose::Piece(piece) = &mut flight.purpose {
            piece.began = Some(now);
        }
        self.by_fetch.insert(fetch, id);
        Some((fetch, flight))
    }

    /// The fetch ended: the flight that waited for it no longer does.
    pub(crate) fn landed(&mut self, fetch: FetchId) -> Option<(FlightId, &mut Flight)> {
        let id = self.by_fetch.remove(&fetch)?;
        self.flights.get_mut(&id).map(|flight| (id, flight))
    }

    pub(crate) fn of_key(&self, key: &str) -> Option<FlightId> {
        self.by_key.get(key).copied()
    }

    /// The key that a flight answers; a probe answers none.
    pub(crate) fn key_of(&self, id: FlightId) -> Option<Arc<str>> {
        let question = self.flights.get(&id)?.question();
        question.map(|question| question.key.clone())
    }

    pub(crate) fn of_ask(&self, ask: AskId) -> Option<FlightId> {
        self.by_ask.get(&ask).copied()
    }

    pub(crate) fn flight(&self, id: FlightId) -> Option<&Flight> {
        self.flights.get(&id)
    }

    pub(crate) fn flight_mut(&mut self, id: FlightId) -> Option<&mut Flight> {
        self.flights.get_mut(&id)
    }

    /// How many wait for this flight.
    pub(crate) fn askers(&self, id: FlightId) -> usize {
        match self.flights.get(&id).map(|flight| &flight.purpose) {
            Some(Purpose::Answer { askers, .. }) => askers.len(),
            Some(Purpose::Probe | Purpose::Piece(_)) | None => 0,
        }
    }

    /// Lets an asker wait for a flight that answers their question.
    pub(crate) fn join(&mut self, id: FlightId, asker: Asker) {
        self.by_ask.insert(asker.ask, id);
        match self.flights.get_mut(&id).map(|flight| &mut flight.purpose) {
            Some(Purpose::Answer { askers, .. }) => askers.push(asker),
            Some(Purpose::Probe | Purpose::Piece(_)) | None => {
                panic!("askers join flights that answer")
            }
        }
    }

    /// Takes an asker out of its flight; says which flight that is, and whether it has lost its
    /// purpose by that.
    pub(crate) fn leave(&mut self, ask: AskId) -> Option<(FlightId, Asker, bool)> {
        let id = self.by_ask.remove(&ask)?;
        match &mut self.flights.get_mut(&id)?.purpose {
            Purpose::Answer {
                askers, refresh, ..
            } => {
                let at = askers.iter().position(|asker| asker.ask == ask)?;
                let asker = askers.remove(at);
                Some((id, asker, askers.is_empty() && !*refresh))
            }
            Purpose::Probe | Purpose::Piece(_) => None,
        }
    }

    /// The pieces of a table that may be waited for, in order of their beginning.
    pub(crate) fn pieces_of(&self, table: &str) -> impl Iterator<Item = (FlightId, &Piece)> {
        let ids = self.by_table.get(table).into_iter().flatten();
        ids.filter_map(|id| match &self.flights.get(id)?.purpose {
            Purpose::Piece(piece) => Some((*id, piece)),
            Purpose::Answer { .. } | Purpose::Probe => None,
        })
    }

    /// The pieces of the tables that satisfy a condition, in order of their beginning.
    pub(crate) fn pieces_in(&self, wanted: impl Fn(&str) -> bool) -> Vec<FlightId> {
        let wanted = |flight: &Flight| match &flight.purpose {
            Purpose::Piece(piece) => wanted(&piece.window.table),
            Purpose::Answer { .. } | Purpose::Probe => false,
        };
        let pieces = self.flights.iter().filter(|(_, flight)| wanted(flight));
        pieces.map(|(id, _)| *id).collect()
    }

    pub(crate) fn piece_mut(&mut self, id: FlightId) -> Option<&mut Piece> {
        match &mut self.flights.get_mut(&id)?.purpose {
            Purpose::Piece(piece) => Some(piece),
            Purpose::Answer { .. } | Purpose::Probe => None,
        }
    }

    /// Nobody comes to wait for this piece any more.
    fn hide_piece(&mut self, table: &str, id: FlightId) {
        if let Some(pieces) = self.by_table.get_mut(table) {
            pieces.retain(|piece| *piece != id);
            if pieces.is_empty() {
                self.by_table.remove(table);
            }
        }
    }

    /// Until when the most patient of a flight's askers waits.
    pub(crate) fn patience(&self, id: FlightId) -> Option<Instant> {
        let Purpose::Answer { askers, .. } = &self.flights.get(&id)?.purpose else {
            return None;
        };
        askers.iter().map(|asker| asker.deadline).max()
    }

    /// Takes those askers out of a flight who wait beyond `now`.
    pub(crate) fn split_off_patient(&mut self, id: FlightId, now: Instant) -> Vec<Asker> {
        let flight = self.flights.get_mut(&id);
        let Some(Purpose::Answer { askers, .. }) = flight.map(|flight| &mut flight.purpose) else {
            return Vec::new();
        };
        let patient: Vec<_> = askers
            .extract_if(.., |asker| asker.deadline > now)
            .collect();
        for asker in &patient {
            self.by_ask.remove(&asker.ask);
        }
        patient
    }

    /// The flights of one source, in order of their beginning.
    pub(crate) fn of_source(&self, source: usize) -> Vec<FlightId> {
        let of_source = self
            .flights
            .iter()
            .filter(|(_, flight)| flight.source == source);
        of_source.map(|(id, _)| *id).collect()
    }

    /// The flights that answer keys which satisfy a condition, in order of their beginning.
    pub(crate) fn matching(&self, wanted: impl Fn(&str) -> bool) -> Vec<FlightId> {
        let wanted = |flight: &Flight| match &flight.purpose {
            Purpose::Answer { question, .. } => wanted(&question.key),
            Purpose::Probe | Purpose::Piece(_) => false,
        };
        let matching = self.flights.iter().filter(|(_, flight)| wanted(flight));
        matching.map(|(id, _)| *id).collect()
    }

    /// The key has another question from now on: nobody joins this flight any more, and its
    /// answer is not to be kept.
    pub(crate) fn disown(&mut self, id: FlightId) {
        if let Some(Purpose::Answer { question, keep, .. }) =
            self.flights.get_mut(&id).map(|flight| &mut flight.purpose)
        {
            *keep = false;
            if self.by_key.get(&question.key) == Some(&id) {
                self.by_key.remove(&question.key);
            }
        }
    }

    /// What this piece brings is not to be kept, nor waited for by others.
    pub(crate) fn disown_piece(&mut self, id: FlightId) {
        if let Some(piece) = self.piece_mut(id) {
            piece.keep = false;
            let table = piece.window.table.clone();
            self.hide_piece(&table, id);
        }
    }

    /// Says whether a flight goes on without askers; else it ends when the last of them leaves.
    pub(crate) fn set_refresh(&mut self, id: FlightId, goes_on: bool) {
        if let Some(Purpose::Answer { refresh, .. }) =
            self.flights.get_mut(&id).map(|flight| &mut flight.purpose)
        {
            *refresh = goes_on;
        }
    }

    /// How many fetches are under way.
    pub(crate) fn fetching(&self) -> usize {
        self.by_fetch.len()
    }

    /// How many askers wait.
    pub(crate) fn waiting(&self) -> usize {
        self.by_ask.len()
    }
}
