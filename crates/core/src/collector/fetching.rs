//! Questions on their way to a source: queued, fetched, tried again, and what the askers get.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use tidegate_wire::Shape;

use super::Collector;
use super::lookup::entry_answer;
use super::reading::{failure, understand, understand_probe};
use crate::cache::Entry;
use crate::flight::{Asker, Flight, FlightId, Purpose, Stage};
use crate::question::Question;
use crate::standing::Standing;
use crate::timers::Timer;
use crate::{
    Admission, AskId, BreakerState, Event, Fetch, FetchError, FetchId, FetchRequest, Forget,
    Instant, Level, Method, Now, Output, Payload, Priority, Provenance, QueryError, Response,
    Retry, UnixMillis,
};

/// Where a source that is asked for its presence answers; cheap, and every Prometheus has it.
const PROBE_PATH: &str = "/api/v1/status/buildinfo";

/// What an answer was made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    /// How it was come by, for whoever caused it.
    pub(super) provenance: Provenance,
    /// When the oldest of what came from memory was received.
    pub(super) oldest: Option<Now>,
}

impl Origin {
    /// From the source, as it is.
    const FETCHED: Self = Self {
        provenance: Provenance::Miss,
        oldest: None,
    };
}

impl Collector {
    /// Puts a question into its source's queue. It is fetched by the next [`Self::launch`].
    pub(super) fn begin(
        &mut self,
        at: usize,
        purpose: Purpose,
        priority: Priority,
        now: Now,
    ) -> Result<FlightId, QueryError> {
        let deadline = now.mono + self.sources[at].timeout();
        self.begin_until(at, purpose, priority, deadline, now)
    }

    /// The same, with a deadline of its own.
    pub(super) fn begin_until(
        &mut self,
        at: usize,
        purpose: Purpose,
        priority: Priority,
        deadline: Instant,
        now: Now,
    ) -> Result<FlightId, QueryError> {
        if self.sources[at].queue.len() >= self.limits.queue_per_source_max {
            return Err(self.overloaded(at, "queue_per_source_max"));
        }
        let id = self.flights.begin(Flight {
            source: at,
            begun: now,
            deadline,
            priority,
            purpose,
            stage: Stage::Queued,
            retry: Retry::new(),
            last_error: None,
        });
        self.sources[at].queue.push(priority, id);
        self.waking.insert(at);
        self.timers.set(deadline, Timer::Flight(id));
        Ok(id)
    }

    /// Fetches for queued questions, wherever something changed since the last time. Every command
    /// and every piece of news ends with it, after all who ask have been noted: a source that is
    /// left alone answers at once.
    pub(super) fn launch_all(&mut self, now: Now) {
        while let Some(at) = self.waking.pop_first() {
            self.launch(at, now);
        }
    }

    fn launch(&mut self, at: usize, now: Now) {
        while self.sources[at].in_flight < self.sources[at].parallel_max(&self.limits)
            && let Some(id) = self.sources[at].queue.pop()
        {
            // What ran out of time in the queue is no fault of the source, and not asked of it.
            if self
                .flights
                .flight(id)
                .is_some_and(|flight| flight.deadline <= now.mono)
            {
                self.flight_timed_out(id, now);
                continue;
            }
            let standing = self.standing(id);
            match standing.breaker.admit(now.mono) {
                Admission::Yes | Admission::Probe => self.fetch(at, id, now),
                Admission::No { until } => {
                    let last_failure = standing.last_failure().to_owned();
                    let error = QueryError::BreakerOpen {
                        source: self.sources[at].name.clone(),
                        retry_in: until.since(now.mono),
                        last_failure,
                    };
                    self.conclude(id, Err(error), now);
                }
            }
        }
    }

    fn fetch(&mut self, at: usize, id: FlightId, now: Now) {
        let source = self.sources[at].name.clone();
        let (fetch, flight) = self
            .flights
            .fetch(id, now)
            .expect("what is queued is listed");
        let (target, request) = match flight.question() {
            None => {
                let request = FetchRequest {
                    method: Method::Get,
                    path: PROBE_PATH.into(),
                    form: String::new(),
                };
                (None, request)
            }
            Some(question) => (question.target().cloned(), question.request()),
        };
        if flight.last_error.is_none() {
            self.sources[at].budget.tried(now.mono);
        }
        let deadline = flight.deadline;
        self.sources[at].in_flight += 1;
        self.stats.fetches += 1;
        self.outputs.push_back(Output::Fetch(Fetch {
            id: fetch,
            source,
            target,
            request,
            deadline,
        }));
    }

    /// A fetch ended, one way or the other.
    pub(super) fn landed(
        &mut self,
        fetch: FetchId,
        result: Result<Response, FetchError>,
        now: Now,
    ) {
        let Some((id, flight)) = self.flights.landed(fetch) else {
            self.stats.responses_ignored += 1;
            return;
        };
        let at = flight.source;
        let is_probe = matches!(flight.purpose, Purpose::Probe);
        let began = flight.stage.fetching_since().unwrap_or(now);
        flight.stage = Stage::Landed;
        self.sources[at].in_flight -= 1;
        self.waking.insert(at);
        let (retry_after, status) = match &result {
            Ok(response) => {
                self.stats.fetched_bytes += response.body.len() as u64;
                (response.retry_after, Some(response.status))
            }
            Err(_) => (None, None),
        };
        let source = &self.sources[at].name;
        let outcome = match &flight.purpose {
            Purpose::Probe => understand_probe(source, result),
            Purpose::Answer { question, .. } => match question.target().cloned() {
                Some(target) => self.text_landed(at, &target, result, began, now).map(Some),
                None => understand(source, question.shape(), question.endpoint(), result).map(Some),
            },
            Purpose::Piece(_) => understand(source, Shape::Query, None, result).map(Some),
        };
        let began = began.mono;
        match &outcome {
            Err(QueryError::Unreachable {
                error: FetchError::Refused { .. },
                ..
            }) => {
                // Whoever drives the collector did not send it; the source has no part in that.
                self.standing(id).breaker.abandoned(began, now.mono);
                self.stats.fetch_failures += 1;
                let detail = outcome
                    .as_ref()
                    .map_or_else(ToString::to_string, |_| String::new());
                let key = self.flights.key_of(id);
                self.event(Level::Warn, "fetch-refused", at, key.as_ref(), detail);
            }
            Err(error) if error.may_serve_stale() => {
                self.fetch_failed(at, error, id, began, now);
            }
            // Whoever understands a question and refuses it is there.
            Ok(_) | Err(_) => {
                let breaker = &mut self.standing(id).breaker;
                breaker.succeeded(began, now.mono);
                // A success from before it was left alone says nothing of now.
                if !matches!(breaker.state(now.mono), BreakerState::Open { .. }) {
                    self.backend_answered(at, id, now);
                }
            }
        }
        if let Err(error) = &outcome
            && !is_probe
            && !self.only_collects(id)
            && self.rest(at, id, error, status, retry_after, now)
        {
            return;
        }
        self.conclude(id, outcome.map(|payload| payload.map(Arc::new)), now);
    }

    /// Lets a failed question wait for another try, where one is due and affordable.
    fn rest(
        &mut self,
        at: usize,
        id: FlightId,
        error: &QueryError,
        status: Option<u16>,
        retry_after: Option<Duration>,
        now: Now,
    ) -> bool {
        let Some(flight) = self.flights.flight_mut(id) else {
            return false;
        };
        let left = flight.deadline.since(now.mono);
        let config = &self.sources[at].settings.retry;
        let failure = failure(error, status);
        let wait = flight
            .retry
            .wait(config, failure, retry_after, left, &mut self.random);
        let Some(wait) = wait else {
            return false;
        };
        if !self.sources[at].budget.take(now.mono) {
            self.stats.retries_refused += 1;
            return false;
        }
        let until = now.mono + wait;
        flight.stage = Stage::Resting { until };
        flight.last_error = Some(error.clone());
        self.stats.retries += 1;
        self.timers.set(until, Timer::Retry(id));
        true
    }

    pub(super) fn probe(&mut self, at: usize, now: Now) {
        let source = &self.sources[at];
        let interval = source.settings.probe_interval;
        let standing = source.standing(None);
        let failing = standing.failures_in_a_row > 0;
        let heard = standing
            .last_success_mono()
            .filter(|&heard| !failing && now.mono.since(heard) < interval);
        if heard.is_none() && source.in_flight == 0 && source.queue.len() == 0 {
            // A source that is left alone is probed when its breaker lets somebody through.
            let _ = self.begin(at, Purpose::Probe, Priority::Background, now);
        }
        // The silence is counted from when it was last heard.
        let since = heard.unwrap_or(now.mono);
        self.timers.set(since + interval, Timer::Probe(at));
    }

    pub(super) fn flight_timed_out(&mut self, id: FlightId, now: Now) {
        let Some(flight) = self.flights.flight(id) else {
            return;
        };
        let at = flight.source;
        let after = self.sources[at].timeout();
        let error = QueryError::Unreachable {
            source: self.sources[at].name.clone(),
            error: FetchError::Timeout { after },
        };
        if let Some(began) = self.ground(id) {
            self.fetch_failed(at, &error, id, began, now);
        }
        let again = self.again(id, now);
        let patient = self.patient_parents(id, now);
        self.conclude(id, Err(error.clone()), now);
        for parent in patient {
            self.replan(parent, now);
        }
        if let Some((question, priority, askers)) = again {
            self.begin_again(at, question, priority, askers, &error, now);
        }
    }

    /// Those who joined a flight late and have time left when it has not, with their question.
    /// Whoever waits for a former text of a key gets no other flight.
    fn again(&mut self, id: FlightId, now: Now) -> Option<(Arc<Question>, Priority, Vec<Asker>)> {
        let flight = self.flights.flight(id)?;
        let Purpose::Answer {
            question,
            keep: true,
            ..
        } = &flight.purpose
        else {
            return None;
        };
        let (question, priority) = (question.clone(), flight.priority);
        let askers = self.flights.split_off_patient(id, now.mono);
        (!askers.is_empty()).then_some((question, priority, askers))
    }

    /// Lets them wait for another flight, under what is configured by now. Nobody waits longer than
    /// the source's timeout, so it is the last one for each of them.
    fn begin_again(
        &mut self,
        at: usize,
        question: Arc<Question>,
        priority: Priority,
        askers: Vec<Asker>,
        error: &QueryError,
        now: Now,
    ) {
        let key = question.key.clone();
        let question = match question.asked {
            None => Arc::new(question.under(&self.sources[at].settings)),
            Some(_) => question,
        };
        let purpose = Purpose::Answer {
            question,
            askers: Vec::new(),
            refresh: false,
            keep: true,
        };
        match self.begin(at, purpose, priority, now) {
            Ok(flight) => {
                for (nth, asker) in askers.into_iter().enumerate() {
                    let leads = nth == 0;
                    self.flights.join(flight, Asker { leads, ..asker });
                }
            }
            Err(_) => {
                for asker in askers {
                    self.clear_ask_timer(&asker);
                    self.reply_after_failure(Some(&key), asker, error.clone(), now);
                }
            }
        }
    }

    /// Ends a flight that nobody needs any more, without a word.
    pub(super) fn give_up(&mut self, id: FlightId, now: Now) {
        if let Some(began) = self.ground(id) {
            self.standing(id).breaker.abandoned(began, now.mono);
        }
        if let Some(flight) = self.flights.end(id) {
            self.timers.clear(flight.deadline, Timer::Flight(id));
            if let Purpose::Answer {
                question,
                keep: true,
                ..
            } = &flight.purpose
            {
                self.reschedule(&question.key.clone(), now, now);
            }
            self.leave_pieces(id, now);
        }
    }

    /// Takes a flight out of the queue, off its fetch or out of its rest. A fetch under way is
    /// cancelled; when it began is returned.
    pub(super) fn ground(&mut self, id: FlightId) -> Option<Instant> {
        let flight = self.flights.flight_mut(id)?;
        let (at, priority) = (flight.source, flight.priority);
        match core::mem::replace(&mut flight.stage, Stage::Landed) {
            Stage::Landed | Stage::Gathering => None,
            Stage::Queued => {
                self.sources[at].queue.remove(priority, id);
                None
            }
            Stage::Resting { until } => {
                self.timers.clear(until, Timer::Retry(id));
                None
            }
            Stage::Fetching { fetch, began } => {
                self.flights.landed(fetch);
                self.sources[at].in_flight -= 1;
                self.waking.insert(at);
                self.outputs.push_back(Output::Cancel(fetch));
                Some(began.mono)
            }
        }
    }

    /// Fetches a question anew, from the queue on, for what is under way is out of date.
    pub(super) fn restart(&mut self, id: FlightId, now: Now) {
        if self.assemblies.contains_key(&id) {
            return self.replan(id, now);
        }
        if let Some(began) = self.ground(id) {
            self.standing(id).breaker.abandoned(began, now.mono);
        }
        self.requeue(id);
    }

    /// A failed fetch is due for another try.
    pub(super) fn requeue(&mut self, id: FlightId) {
        let Some(flight) = self.flights.flight_mut(id) else {
            return;
        };
        flight.stage = Stage::Queued;
        let (at, priority) = (flight.source, flight.priority);
        self.sources[at].queue.push(priority, id);
        self.waking.insert(at);
    }

    pub(super) fn overloaded(&self, at: usize, limit: &'static str) -> QueryError {
        QueryError::Overloaded {
            source: self.sources[at].name.clone(),
            limit,
        }
    }

    /// The last word on a flight: every asker gets it. A probe has no askers.
    pub(super) fn conclude(
        &mut self,
        id: FlightId,
        outcome: Result<Option<Arc<Payload>>, QueryError>,
        now: Now,
    ) {
        self.conclude_from(id, outcome, Origin::FETCHED, now);
    }

    /// The same, of an answer that was put together.
    pub(super) fn conclude_from(
        &mut self,
        id: FlightId,
        outcome: Result<Option<Arc<Payload>>, QueryError>,
        origin: Origin,
        now: Now,
    ) {
        let Some(flight) = self.flights.end(id) else {
            return;
        };
        self.timers.clear(flight.deadline, Timer::Flight(id));
        self.leave_pieces(id, now);
        let at = flight.source;
        let (question, askers, keep) = match flight.purpose {
            Purpose::Answer {
                question,
                askers,
                keep,
                ..
            } => (question, askers, keep),
            Purpose::Piece(piece) => {
                if let Some(outcome) = outcome.transpose() {
                    self.piece_ended(id, piece, outcome, now);
                }
                return;
            }
            Purpose::Probe => return,
        };
        match outcome {
            Ok(Some(payload)) => {
                let mut entry = self.entry(at, question.clone(), payload, keep, flight.begun, now);
                if let Some(oldest) = origin.oldest {
                    entry.ttl = entry.ttl.min(self.believed_for(oldest, now));
                }
                self.deliver(entry, keep, askers, origin.provenance, now);
            }
            Ok(None) => {}
            Err(error) => {
                if keep && error.is_refusal() && !self.sources[at].settings.refusal_ttl.is_zero() {
                    let until = now.mono + self.sources[at].settings.refusal_ttl;
                    self.refusals
                        .remember(question.key.clone(), error.clone(), until);
                }
                if let Some(target) = question.target() {
                    self.scraped(at, target, Err(&error), flight.begun, now);
                }
                let kept_as = keep.then_some(&question.key);
                for asker in askers {
                    self.clear_ask_timer(&asker);
                    self.reply_after_failure(kept_as, asker, error.clone(), now);
                }
            }
        }
        if keep {
            self.reschedule(&question.key, flight.begun, now);
        }
    }

    fn entry(
        &mut self,
        at: usize,
        question: Arc<Question>,
        payload: Arc<Payload>,
        keep: bool,
        begun: Now,
        now: Now,
    ) -> Entry {
        let as_of = payload.response.newest_ms().map(UnixMillis);
        let learnt = keep.then(|| self.learn(&question.key, &payload, now));
        Entry {
            as_of: as_of.or(question.asked).unwrap_or(begun.wall),
            ttl: learnt.flatten().unwrap_or(question.ttl),
            payload,
            received: now,
            question,
            source: at,
            warned: false,
            lent: false,
        }
    }

    pub(super) fn deliver(
        &mut self,
        mut entry: Entry,
        keep: bool,
        askers: Vec<Asker>,
        leader: Provenance,
        now: Now,
    ) {
        // What may be partial must not be the last good answer.
        let partial = entry.payload.is_partial();
        let keep = keep && self.cache.is_enabled() && !partial;
        let kept = keep && self.cache.fits(&entry);
        let key = &entry.question.key;
        if keep && self.cache.peek(key).is_some_and(|former| former.lent) {
            // Before the replies: what they bring may be given out again.
            let forget = Forget::Key(key.clone());
            self.outputs.push_back(Output::Forget(forget));
        }
        for asker in askers {
            self.clear_ask_timer(&asker);
            let provenance = if asker.leads {
                leader
            } else {
                Provenance::Coalesced
            };
            let source = &self.sources[entry.source];
            let mut answer = entry_answer(&entry, source, provenance, None, now);
            answer.ttl_left = answer.ttl_left.filter(|_| kept);
            answer.reuse = answer.reuse.filter(|_| kept);
            entry.lent |= answer.reuse.is_some();
            self.reply(asker.ask, Ok(answer), now);
        }
        if keep {
            self.cache.insert(entry);
        }
    }

    pub(super) fn ask_timed_out(&mut self, ask: AskId, now: Now) {
        let Some(id) = self.flights.of_ask(ask) else {
            return;
        };
        let Some(flight) = self.flights.flight(id) else {
            return;
        };
        let at = flight.source;
        let Purpose::Answer { question, keep, .. } = &flight.purpose else {
            return;
        };
        let kept_as = keep.then(|| question.key.clone());
        if let Some((_, asker, pointless)) = self.flights.leave(ask) {
            if pointless {
                self.give_up(id, now);
            }
            let after = now.mono.since(asker.since);
            let error = QueryError::Timeout {
                source: self.sources[at].name.clone(),
                after,
            };
            self.reply_after_failure(kept_as.as_ref(), asker, error, now);
        }
    }

    /// The last good answer if one is kept for this question and the asker takes it, else the
    /// error.
    fn reply_after_failure(
        &mut self,
        kept_as: Option<&Arc<str>>,
        asker: Asker,
        error: QueryError,
        now: Now,
    ) {
        let usable = |entry: &Entry| {
            let is_young = |max_age| entry.age(now) <= max_age;
            let is_near = |max_stale| entry.overdue(now) <= max_stale;
            entry.is_usable(now)
                && asker.max_age.is_none_or(is_young)
                && asker.max_stale.is_none_or(is_near)
        };
        let kept = kept_as.filter(|_| error.may_serve_stale());
        let kept = kept.and_then(|key| self.cache.find(key));
        let kept = kept.filter(|&kept| self.cache.entry(kept).is_some_and(usable));
        let stale = kept.and_then(|kept| {
            let reason = Some(error.to_string());
            self.serve(kept, Provenance::StaleOnError, reason, now)
        });
        if stale.is_some() {
            self.stats.stale_on_error += 1;
        }
        self.reply(asker.ask, stale.ok_or(error), now);
    }

    pub(super) fn clear_ask_timer(&mut self, asker: &Asker) {
        self.timers.clear(asker.deadline, Timer::Ask(asker.ask));
    }

    /// The standing of what a flight asks: its source, or a target of it.
    fn standing(&mut self, id: FlightId) -> &mut Standing {
        let flight = self.flights.flight(id).expect("a listed flight");
        let target = flight.target().map(|target| &**target);
        self.sources[flight.source].standing_mut(target)
    }

    fn backend_answered(&mut self, at: usize, id: FlightId, now: Now) {
        let standing = self.standing(id);
        let recovered = standing.failures_in_a_row > 0;
        standing.heard(now);
        if recovered {
            let (name, target) = match self.target_of(id) {
                Some(key) => ("target-recovered", Some(key)),
                None => ("source-recovered", None),
            };
            let detail = String::from("it answers again");
            self.event(Level::Info, name, at, target.as_ref(), detail);
        }
    }

    /// A fetch that began at `began` failed for a reason that is the source's, or its target's.
    fn fetch_failed(
        &mut self,
        at: usize,
        error: &QueryError,
        id: FlightId,
        began: Instant,
        now: Now,
    ) {
        self.stats.fetch_failures += 1;
        let standing = self.standing(id);
        let opened = standing.breaker.failed(began, now.mono);
        let first = standing.failed(error.to_string(), now);
        let failures = standing.failures_in_a_row;
        let level = if first { Level::Warn } else { Level::Debug };
        let key = self.flights.key_of(id);
        self.event(level, "fetch-failed", at, key.as_ref(), error.to_string());
        if opened {
            let target = self.target_of(id);
            let detail = format!("left alone for a while after {failures} failures in a row");
            self.event(Level::Warn, "breaker-opened", at, target.as_ref(), detail);
        }
    }

    /// The key that names the target which a flight asks.
    fn target_of(&self, id: FlightId) -> Option<Arc<str>> {
        self.flights.flight(id)?.target()?;
        self.flights.key_of(id)
    }

    pub(super) fn event(
        &mut self,
        level: Level,
        name: &'static str,
        at: usize,
        key: Option<&Arc<str>>,
        detail: String,
    ) {
        let source = self.sources[at].name.clone();
        self.outputs.push_back(Output::Event(Event {
            level,
            name,
            source,
            key: key.cloned(),
            detail,
        }));
    }
}
