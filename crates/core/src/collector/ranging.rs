//! Range questions in parts: what is known of a window, what is fetched of it, and the answer that
//! both make up.
//!
//! The flight of such a question fetches nothing itself. It waits for pieces, flights of their own
//! that other questions about the same table may wait for too, and holds on to the extents it
//! relies on, so that it needs nothing but its pieces from its plan on.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use tidegate_wire::{Data, QueryResponse, encode_query_response};

use super::Collector;
use super::fetching::Origin;
use super::lookup::entry_answer;
use crate::cache::Entry;
use crate::flight::{Flight, FlightId, Piece, Purpose, Stage};
use crate::question::{Question, Window};
use crate::range::{Belief, Block, Known, Reading, Run, assemble, assign, missing, reach_ahead};
use crate::timers::Timer;
use crate::{
    Answer, Ask, Instant, Invalidation, Now, Payload, Priority, Provenance, QueryError, Retry,
    UnixMillis,
};

/// The flights that wait for pieces.
pub(super) type Assemblies = BTreeMap<FlightId, Assembly>;

/// What an answer is put together from.
#[derive(Debug)]
pub(super) struct Assembly {
    window: Window,
    /// In order, each point of the window once.
    parts: Vec<(Run, Part)>,
    /// Whether nothing from memory will do.
    anew: bool,
    /// Whether a piece was begun for it.
    fetches: bool,
}

#[derive(Clone, Debug)]
enum Part {
    Known(Known),
    Awaited(FlightId),
    Landed(Arc<Block>),
}

/// How a range question is answered.
pub(super) enum Planned {
    /// From memory alone.
    Ready(Answer),
    /// By this flight.
    Begun(FlightId),
    /// As a whole, like any other question.
    Whole,
}

impl Assembly {
    fn awaited(&self) -> impl Iterator<Item = FlightId> {
        self.parts.iter().filter_map(|(_, part)| match part {
            Part::Awaited(piece) => Some(*piece),
            Part::Known(_) | Part::Landed(_) => None,
        })
    }

    /// Whether this piece alone is the answer.
    fn is_whole(&self, piece: FlightId, run: Run) -> bool {
        run == self.window.run && self.parts.len() == 1 && self.awaited().eq([piece])
    }

    /// When the oldest of what came from memory was received.
    fn oldest(&self) -> Option<Now> {
        let known = self.parts.iter().filter_map(|(_, part)| match part {
            Part::Known(known) => Some(known.received),
            Part::Awaited(_) | Part::Landed(_) => None,
        });
        known.min_by_key(|received| received.mono)
    }

    /// The answer, once nothing is awaited any more.
    fn payload(&self) -> Payload {
        let blocks = self.parts.iter().map(|(run, part)| match part {
            Part::Known(known) => (*run, &*known.block),
            Part::Landed(block) => (*run, &**block),
            Part::Awaited(_) => panic!("all pieces have landed"),
        });
        let response = assemble(self.window.grid, blocks);
        let mut body = Vec::with_capacity(room(&response));
        encode_query_response(&response, &mut body);
        body.shrink_to_fit();
        Payload {
            body: Some(body),
            response,
        }
    }

    fn origin(&self) -> Origin {
        let oldest = self.oldest();
        Origin {
            provenance: match (oldest, self.fetches) {
                (Some(_), _) => Provenance::Partial,
                (None, true) => Provenance::Miss,
                (None, false) => Provenance::Coalesced,
            },
            oldest,
        }
    }
}

impl Collector {
    /// Answers a range question from what is known, or begins the flight that fetches the rest.
    pub(super) fn plan_range(
        &mut self,
        at: usize,
        question: &Arc<Question>,
        ask: &Ask,
        now: Now,
    ) -> Result<Planned, QueryError> {
        if !self.cache.is_enabled() {
            return Ok(Planned::Whole);
        }
        let Some(window) = question.window() else {
            return Ok(Planned::Whole);
        };
        let anew = ask.max_age.is_some_and(|max_age| max_age.is_zero());
        let mut assembly = Assembly {
            window,
            parts: Vec::new(),
            anew,
            fetches: false,
        };
        let holes = self.plan(&mut assembly, now);
        if holes.is_empty() && assembly.awaited().next().is_none() {
            let answer = self.answer_from_extents(at, question, &assembly, now);
            return Ok(Planned::Ready(answer));
        }
        self.check_room(at, holes.len())?;
        let timeout = self.sources[at].settings.timeout;
        let parent = self.flights.begin(Flight {
            source: at,
            begun: now,
            deadline: now.mono + timeout,
            priority: ask.priority,
            purpose: Purpose::Answer {
                question: question.clone(),
                askers: Vec::new(),
                refresh: false,
                keep: true,
            },
            stage: Stage::Gathering,
            retry: Retry::new(),
            last_error: None,
        });
        self.begin_pieces(parent, assembly, &holes, now);
        Ok(Planned::Begun(parent))
    }

    /// Assigns each point of a window to what is known, to a piece under way, or to one that is
    /// still to be begun: those are returned, and lie open in the assembly.
    fn plan(&mut self, assembly: &mut Assembly, now: Now) -> Vec<Run> {
        let window = &assembly.window;
        let settled = window.settled(window.run, self.limits.settle, now.wall);
        let belief = self.belief(now);
        let known = match settled.filter(|_| !assembly.anew) {
            Some(settled) => self.extents.known(&window.table, settled, belief),
            None => Vec::new(),
        };
        let known = known.into_iter().filter_map(|known| {
            let run = known.block.run().overlap(settled?)?;
            Some((run, Part::Known(known)))
        });
        let known: Vec<_> = known.collect();
        let under_way = self.flights.pieces_of(&window.table);
        let under_way = under_way.filter(|(_, piece)| piece.anew || !assembly.anew);
        let under_way = under_way.map(|(id, piece)| (piece.window.run, Part::Awaited(id)));
        let under_way: Vec<_> = under_way.collect();
        let runs = known.iter().chain(&under_way).map(|(run, _)| *run);
        let mut holes = missing(window.run, runs);
        // What is fetched is newest; what is known need not be waited for.
        let open = holes.iter().map(|run| (*run, None));
        let rest = known.into_iter().chain(under_way);
        let rest = rest.map(|(run, part)| (run, Some(part)));
        let assigned = assign(window.run, open.chain(rest));
        assembly.parts = assigned
            .into_iter()
            .filter_map(|(run, part)| Some((run, part?)))
            .collect();
        let settled = |run| window.settled(run, self.limits.settle, now.wall);
        let unknown = self.extents.unknown_around(&window.table, window.run);
        if let Some(open) = settled(unknown).filter(|_| !assembly.anew) {
            reach_ahead(window.run, &mut holes, open);
        }
        holes
    }

    /// Begins the pieces that a question lacks, and lets it wait for all of them.
    fn begin_pieces(&mut self, parent: FlightId, mut assembly: Assembly, holes: &[Run], now: Now) {
        let Some((at, priority, question)) = self.flights.flight(parent).and_then(|flight| {
            let question = flight.question()?.clone();
            Some((flight.source, flight.priority, question))
        }) else {
            return;
        };
        assembly.fetches |= !holes.is_empty();
        for &run in holes {
            let window = Window {
                run,
                ..assembly.window.clone()
            };
            let piece = Piece {
                question: Arc::new(question.about(window.grid, run)),
                anew: assembly.anew,
                window,
                waiting: Vec::new(),
                keep: true,
                began: None,
            };
            let begun = self.begin(at, Purpose::Piece(piece), priority, now);
            match begun {
                Ok(id) => {
                    let awaited = run.overlap(assembly.window.run);
                    let part = awaited.map(|run| (run, Part::Awaited(id)));
                    assembly.parts.extend(part);
                }
                Err(error) => {
                    self.assemblies.insert(parent, assembly);
                    return self.conclude(parent, Err(error), now);
                }
            }
        }
        assembly.parts.sort_by_key(|(run, _)| run.first);
        for piece in assembly.awaited() {
            if let Some(piece) = self.flights.piece_mut(piece)
                && !piece.waiting.contains(&parent)
            {
                piece.waiting.push(parent);
            }
            self.hurry(piece, priority);
        }
        self.assemblies.insert(parent, assembly);
    }

    /// Whether so many more questions find room in a source's queue.
    fn check_room(&self, at: usize, more: usize) -> Result<(), QueryError> {
        if self.sources[at].queue.len() + more > self.limits.queue_per_source_max {
            return Err(self.overloaded(at, "queue_per_source_max"));
        }
        Ok(())
    }

    /// An answer that nothing had to be fetched for. It is kept as long as the oldest of what it
    /// was made from.
    fn answer_from_extents(
        &mut self,
        at: usize,
        question: &Arc<Question>,
        assembly: &Assembly,
        now: Now,
    ) -> Answer {
        let received = assembly.oldest().unwrap_or(now);
        let payload = Arc::new(assembly.payload());
        let as_of = payload.response.newest_ms().map(UnixMillis);
        let mut entry = Entry {
            as_of: as_of.or(question.asked).unwrap_or(now.wall),
            ttl: self.limits.settled_age_max,
            payload,
            received,
            question: question.clone(),
            source: at,
            warned: false,
            lent: false,
        };
        self.stats.hits += 1;
        let source = &self.sources[at];
        let mut answer = entry_answer(&entry, source, Provenance::Hit, None, now);
        let kept = self.cache.fits(&entry);
        answer.ttl_left = answer.ttl_left.filter(|_| kept);
        answer.reuse = answer.reuse.filter(|_| kept);
        entry.lent = answer.reuse.is_some();
        self.deliver(entry, true, Vec::new(), Provenance::Hit, now);
        answer
    }

    /// The last word on a piece: whoever waits for it goes on with it, and what of it is settled
    /// is kept.
    pub(super) fn piece_ended(
        &mut self,
        id: FlightId,
        piece: Piece,
        outcome: Result<Arc<Payload>, QueryError>,
        now: Now,
    ) {
        let payload = match outcome {
            Ok(payload) => payload,
            Err(error) => {
                let run = piece.window.run;
                for parent in piece.waiting {
                    if self.is_of_others(parent, run, &error) {
                        self.fetch_whole(parent, now);
                    } else {
                        self.conclude(parent, Err(error.clone()), now);
                    }
                }
                return;
            }
        };
        let reading = Reading::of(&payload.response, piece.window.grid, piece.window.run)
            .filter(|_| !payload.is_partial());
        let is_whole = |assembly: &Assembly| assembly.is_whole(id, piece.window.run);
        let alone = |assemblies: &Assemblies, parent| assemblies.get(parent).is_some_and(is_whole);
        let (alone, sharing): (Vec<_>, Vec<_>) = piece
            .waiting
            .iter()
            .partition(|parent| alone(&self.assemblies, parent));
        let block = reading.as_ref().filter(|_| !sharing.is_empty());
        let block = block.map(|reading| {
            let names = self.extents.names(&piece.window.table, reading);
            Arc::new(reading.cut(&names, piece.window.run))
        });
        for parent in alone {
            self.finish(parent, payload.clone(), now);
        }
        for parent in sharing {
            match &block {
                Some(block) => self.piece_landed(parent, id, block, now),
                None => self.fetch_whole(parent, now),
            }
        }
        if let (Some(reading), Some(began), true) = (reading, piece.began, piece.keep)
            && let Some(run) =
                piece
                    .window
                    .settled(piece.window.run, self.limits.settle, began.wall)
        {
            let belief = self.belief(now);
            let table = &piece.window.table;
            self.extents.keep(table, &reading, run, piece.anew, belief);
            self.share_room();
        }
    }

    /// Whether a refusal may be due to points that this question did not ask for.
    fn is_of_others(&self, parent: FlightId, piece: Run, error: &QueryError) -> bool {
        let is_refusal = matches!(error, QueryError::Upstream { status, .. } if *status < 500);
        let window = self.assemblies.get(&parent).map(|own| own.window.run);
        is_refusal && window.and_then(|window| window.overlap(piece)) != Some(piece)
    }

    fn piece_landed(&mut self, parent: FlightId, piece: FlightId, block: &Arc<Block>, now: Now) {
        let Some(assembly) = self.assemblies.get_mut(&parent) else {
            return;
        };
        for (_, part) in &mut assembly.parts {
            if matches!(part, Part::Awaited(awaited) if *awaited == piece) {
                *part = Part::Landed(block.clone());
            }
        }
        if assembly.awaited().next().is_none() {
            let payload = Arc::new(assembly.payload());
            self.finish(parent, payload, now);
        }
    }

    fn finish(&mut self, parent: FlightId, payload: Arc<Payload>, now: Now) {
        let Some(assembly) = self.assemblies.remove(&parent) else {
            return;
        };
        let origin = assembly.origin();
        self.conclude_from(parent, Ok(Some(payload)), origin, now);
    }

    /// What came in cannot be put together with anything, so the question is asked as it stands.
    fn fetch_whole(&mut self, parent: FlightId, now: Now) {
        self.leave_pieces(parent, now);
        let patience = self.flights.patience(parent);
        let Some(flight) = self.flights.flight_mut(parent) else {
            return;
        };
        flight.deadline = patience.unwrap_or(flight.deadline);
        self.timers.set(flight.deadline, Timer::Flight(parent));
        self.requeue(parent);
    }

    /// Takes those questions out of a piece that ran out of time somebody still waits for: they are
    /// planned anew.
    pub(super) fn patient_parents(&mut self, id: FlightId, now: Now) -> Vec<FlightId> {
        let Some(piece) = self.flights.piece_mut(id) else {
            return Vec::new();
        };
        let waiting = core::mem::take(&mut piece.waiting);
        let waits = |parent: &FlightId| self.flights.patience(*parent) > Some(now.mono);
        let (patient, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(waits);
        if let Some(piece) = self.flights.piece_mut(id) {
            piece.waiting = rest;
        }
        patient
    }

    /// A flight ended or is to wait for something else: its pieces no longer wait for it. One that
    /// nobody waits for is given up.
    pub(super) fn leave_pieces(&mut self, parent: FlightId, now: Now) {
        let Some(assembly) = self.assemblies.remove(&parent) else {
            return;
        };
        let awaited: Vec<_> = assembly.awaited().collect();
        for id in awaited {
            let Some(piece) = self.flights.piece_mut(id) else {
                continue;
            };
            piece.waiting.retain(|waiting| *waiting != parent);
            if piece.waiting.is_empty() {
                self.give_up(id, now);
            }
        }
    }

    /// Fetches anew what an invalidation reaches: pieces under way from their start, and questions
    /// without what they hold from before.
    pub(super) fn restart_ranges(&mut self, what: &Invalidation, now: Now) {
        for id in self.flights.pieces_in(|table| what.reaches(table)) {
            self.restart(id, now);
        }
        let reached = self
            .assemblies
            .iter()
            .filter(|(_, assembly)| what.reaches(&assembly.window.table));
        let reached: Vec<_> = reached.map(|(parent, _)| *parent).collect();
        for parent in reached {
            self.replan(parent, now);
        }
    }

    /// Plans a question anew.
    pub(super) fn replan(&mut self, parent: FlightId, now: Now) {
        let Some(former) = self.assemblies.remove(&parent) else {
            return;
        };
        let mut assembly = Assembly {
            window: former.window.clone(),
            parts: Vec::new(),
            anew: former.anew,
            fetches: former.fetches,
        };
        for id in former.awaited() {
            if let Some(piece) = self.flights.piece_mut(id) {
                piece.waiting.retain(|waiting| *waiting != parent);
            }
        }
        let holes = self.plan(&mut assembly, now);
        self.begin_pieces(parent, assembly, &holes, now);
        for id in former.awaited() {
            let idle = |piece: &mut Piece| piece.waiting.is_empty();
            if self.flights.piece_mut(id).is_some_and(idle) {
                self.give_up(id, now);
            }
        }
    }

    /// A question that waits for pieces hurries them.
    pub(super) fn hurry_pieces(&mut self, parent: FlightId, priority: Priority) {
        let awaited: Vec<_> = match self.assemblies.get(&parent) {
            Some(assembly) => assembly.awaited().collect(),
            None => return,
        };
        for piece in awaited {
            self.hurry(piece, priority);
        }
    }

    /// Divides the room between extents and answers: extents may take up to half of it, and what
    /// they leave is the answers'.
    pub(super) fn share_room(&mut self) {
        self.cache
            .resize(self.cache_bytes_max - self.extents.bytes());
    }

    pub(super) fn belief(&self, now: Now) -> Belief {
        Belief {
            age_max: self.limits.settled_age_max,
            now,
        }
    }

    /// How long an answer is believed that was made from something received then.
    pub(super) fn believed_for(&self, received: Now, now: Now) -> Duration {
        let until: Instant = received.mono + self.limits.settled_age_max;
        until.since(now.mono)
    }
}

/// About what an answer takes as text, so that it is written without moving it about.
fn room(response: &QueryResponse) -> usize {
    /// A sample with a value of some digits, and a series with its labels.
    const BYTES: (usize, usize) = (28, 256);
    let Data::Matrix(columns) = &response.data else {
        return 0;
    };
    columns.sample_count() * BYTES.0 + columns.len() * BYTES.1
}
