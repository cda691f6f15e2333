//! Answers from memory, and askers who are sent to wait.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::time::Duration;

use super::Collector;
use super::ranging::Planned;
use crate::cache::Entry;
use crate::config::LOCAL;
use crate::flight::{Asker, FlightId, Purpose, Stage};
use crate::local::LocalOptions;
use crate::question::{Question, Questioner, Subject};
use crate::source::Source;
use crate::timers::Timer;
use crate::{
    Answer, Ask, AskId, Freshness, Level, Lookup, Now, Payload, Priority, Provenance, QueryError,
    SourceKind, Thresholds,
};

impl Collector {
    pub(super) fn look_up(&mut self, ask: &Ask, now: Now) -> Result<Lookup, QueryError> {
        match &ask.sources[..] {
            [] => {
                let name = self.default_source().clone();
                self.look_up_at(&name, ask, now)
            }
            [name] => self.look_up_at(name, ask, now),
            names => self.gather_sources(names, ask, now),
        }
    }

    /// Asks one source.
    pub(super) fn look_up_at(
        &mut self,
        name: &str,
        ask: &Ask,
        now: Now,
    ) -> Result<Lookup, QueryError> {
        let at = match self.by_name.get(name) {
            Some(&at) => Some(at),
            None if name == LOCAL => None,
            None => return Err(self.unknown_source(name)),
        };
        let questioner = Questioner {
            source: at.map(|at| &self.sources[at]),
            limits: &self.limits,
            local: &self.local_name,
        };
        let question = questioner.question(ask, now)?;
        match at.map(|at| (at, self.sources[at].settings.kind)) {
            Some((at, SourceKind::Prometheus | SourceKind::Plugin)) => {
                self.look_up_remote(at, Arc::new(question), ask, now)
            }
            Some((at, SourceKind::Scrape)) => {
                refuse_beyond_instants(&question, &self.sources[at].name)?;
                self.gather_targets(at, &question, ask, now)
            }
            Some((_, SourceKind::Push)) | None => self.look_up_local(&question, now),
        }
    }

    pub(super) fn unknown_source(&self, name: &str) -> QueryError {
        let known = self.configured().map(|source| source.name.clone());
        QueryError::UnknownSource {
            name: name.to_owned(),
            known: known.chain([self.local_name.clone()]).collect(),
        }
    }

    fn look_up_local(&mut self, question: &Question, now: Now) -> Result<Lookup, QueryError> {
        let at = question.asked.unwrap_or(now.wall);
        let said = match &question.subject {
            Subject::Query { text, range, extra } => {
                let options = LocalOptions::of(extra)?;
                match range {
                    None => self.local.query(text, at, options)?,
                    Some(range) => self.local.query_range(text, range, options)?,
                }
            }
            Subject::Endpoint { path, params } => {
                let listed = self.local.list(path, params, at.min(now.wall))?;
                listed.ok_or_else(|| QueryError::NoEndpoint {
                    source: self.local_name.clone(),
                    path: path.clone(),
                })?
            }
            Subject::Target(_) => unreachable!("nothing here has targets"),
        };
        self.stats.local += 1;
        let age = said
            .newest
            .map_or(Duration::ZERO, |newest| at.min(now.wall).since(newest));
        let freshness = said
            .newest
            .map_or(Freshness::Missing, |_| Thresholds::default().verdict(age));
        Ok(Lookup::Ready(Answer {
            payload: Arc::new(Payload {
                body: said.body,
                response: said.response,
            }),
            source: self.local_name.clone(),
            key: question.key.clone(),
            as_of: said.newest.unwrap_or(at),
            fetched_at: now.wall,
            age,
            freshness,
            provenance: Provenance::Hit,
            ttl_left: None,
            overdue: Duration::ZERO,
            reason: None,
            reuse: None,
        }))
    }

    /// Asks memory, then the source.
    pub(super) fn look_up_remote(
        &mut self,
        at: usize,
        question: Arc<Question>,
        ask: &Ask,
        now: Now,
    ) -> Result<Lookup, QueryError> {
        let kept = self.cache.find(&question.key);
        self.note_read(at, &question, kept, now);
        if let Some(answer) = self.recall(kept, ask, now) {
            if answer.provenance == Provenance::Stale {
                self.stats.stale += 1;
                self.refresh_behind(at, &question, now);
            } else {
                self.stats.hits += 1;
            }
            return Ok(Lookup::Ready(answer));
        }
        if let Some(error) = self.refusals.recall(&question.key, now.mono) {
            self.stats.refusals_recalled += 1;
            return Err(error.clone());
        }
        if self.flights.of_key(&question.key).is_none() {
            match self.plan_range(at, &question, ask, now)? {
                Planned::Ready(answer) => return Ok(Lookup::Ready(answer)),
                Planned::Begun(flight) => {
                    return self.join(at, flight, true, ask, now).map(Lookup::Pending);
                }
                Planned::Whole => {}
            }
        }
        self.wait_for(at, question, ask, now).map(Lookup::Pending)
    }

    /// Joins the flight that answers this question, or begins one.
    fn wait_for(
        &mut self,
        at: usize,
        question: Arc<Question>,
        ask: &Ask,
        now: Now,
    ) -> Result<AskId, QueryError> {
        let (flight, leads) = match self.flights.of_key(&question.key) {
            Some(flight) => {
                self.hurry(flight, ask.priority);
                (flight, false)
            }
            None => {
                let purpose = Purpose::Answer {
                    question,
                    askers: alloc::vec::Vec::new(),
                    refresh: false,
                    keep: true,
                };
                (self.begin(at, purpose, ask.priority, now)?, true)
            }
        };
        self.join(at, flight, leads, ask, now)
    }

    /// Lets an asker wait for a flight.
    fn join(
        &mut self,
        at: usize,
        flight: FlightId,
        leads: bool,
        ask: &Ask,
        now: Now,
    ) -> Result<AskId, QueryError> {
        if self.flights.askers(flight) >= self.limits.askers_per_fetch_max {
            return Err(self.overloaded(at, "askers_per_fetch_max"));
        }
        if leads {
            self.stats.misses += 1;
        } else {
            self.stats.coalesced += 1;
        }
        let timeout = self.sources[at].timeout();
        let deadline = now.mono + ask.timeout.map_or(timeout, |own| own.min(timeout));
        let asker = Asker {
            ask: self.new_ask(),
            max_age: ask.max_age,
            max_stale: ask.max_stale,
            since: now.mono,
            deadline,
            leads,
        };
        self.flights.join(flight, asker);
        self.timers.set(deadline, Timer::Ask(asker.ask));
        Ok(asker.ask)
    }

    /// A question in the queue is as urgent as whoever of its askers is in the greatest hurry.
    pub(super) fn hurry(&mut self, id: FlightId, priority: Priority) {
        let Some(flight) = self.flights.flight_mut(id) else {
            return;
        };
        let former = flight.priority;
        if priority <= former {
            return;
        }
        flight.priority = priority;
        match flight.stage {
            Stage::Queued => {
                let queue = &mut self.sources[flight.source].queue;
                queue.remove(former, id);
                queue.push(priority, id);
            }
            Stage::Gathering => self.hurry_pieces(id, priority),
            Stage::Fetching { .. } | Stage::Resting { .. } | Stage::Landed => {}
        }
    }

    /// A hit, or an answer past its ttl that this asker takes.
    fn recall(&mut self, kept: Option<usize>, ask: &Ask, now: Now) -> Option<Answer> {
        let at = kept?;
        let read = self.cache.read(at)?;
        let any = ask.allow_stale.then_some(Duration::MAX);
        let max_stale = any.map(|any| ask.max_stale.unwrap_or(any));
        let provenance = read.provenance(ask.max_age, max_stale, now)?;
        self.serve(at, provenance, None, now)
    }

    /// An answer from the entry here; the first one past the warning threshold says so.
    pub(super) fn serve(
        &mut self,
        kept: usize,
        provenance: Provenance,
        reason: Option<String>,
        now: Now,
    ) -> Option<Answer> {
        let mut read = self.cache.read(kept)?;
        let warns = read.warns(now);
        let entry = read.entry();
        let source = &self.sources[entry.source];
        let answer = entry_answer(entry, source, provenance, reason, now);
        if answer.reuse.is_some() {
            read.lend();
        }
        if warns {
            self.say_ageing(kept, now);
        }
        Some(answer)
    }

    /// Says that what is served is getting old.
    #[cold]
    pub(super) fn say_ageing(&mut self, kept: usize, now: Now) {
        let Some(entry) = self.cache.entry(kept) else {
            return;
        };
        let (at, question) = (entry.source, entry.question.clone());
        let detail = format!(
            "the data is {} s old and still served",
            entry.age(now).as_secs()
        );
        self.event(
            Level::Warn,
            "answer-ageing",
            at,
            Some(&question.key),
            detail,
        );
    }

    pub(super) fn new_ask(&mut self) -> AskId {
        let ask = AskId(self.next_ask);
        self.next_ask += 1;
        ask
    }
}

/// A source that is scraped when asked knows nothing but its newest samples.
fn refuse_beyond_instants(question: &Question, source: &Arc<str>) -> Result<(), QueryError> {
    match &question.subject {
        Subject::Query { range: None, .. } => Ok(()),
        Subject::Endpoint { path, .. } => Err(QueryError::NoEndpoint {
            source: source.clone(),
            path: path.clone(),
        }),
        Subject::Query { range: Some(_), .. } | Subject::Target(_) => {
            Err(QueryError::Unsupported {
                message: format!(
                    "source {source} is scraped when asked and has the newest samples only: \
                     ask about an instant"
                ),
                position: 0,
            })
        }
    }
}

pub(super) fn entry_answer(
    entry: &Entry,
    source: &Source,
    provenance: Provenance,
    reason: Option<String>,
    now: Now,
) -> Answer {
    let age = entry.age(now);
    let reuse = match provenance {
        // Half, so that a key that is asked for all the time is read before it counts as idle.
        Provenance::Hit | Provenance::Partial | Provenance::Miss | Provenance::Coalesced => {
            entry.reuse(source.settings.idle_after / 2, now)
        }
        Provenance::Stale | Provenance::StaleOnError => None,
    };
    Answer {
        payload: entry.payload.clone(),
        source: source.name.clone(),
        key: entry.question.key.clone(),
        as_of: entry.as_of,
        fetched_at: entry.received.wall,
        age,
        freshness: entry.thresholds().verdict(age),
        provenance,
        ttl_left: entry.ttl_left(now),
        overdue: entry.overdue(now),
        reason,
        reuse,
    }
}
