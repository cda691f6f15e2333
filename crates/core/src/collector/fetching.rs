//! Fetches: their beginning, their end by response or by time, and what the askers get.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use tidegate_wire::{DecodeError, DecodeLimits, decode_query_response};

use super::Collector;
use super::lookup::entry_answer;
use crate::cache::Entry;
use crate::flight::{Asker, Flight, Purpose};
use crate::question::Question;
use crate::timers::Timer;
use crate::{
    AskId, Event, Fetch, FetchError, FetchId, FetchRequest, Level, Method, Now, Output, Payload,
    Provenance, QueryError, Reply, Response, UnixMillis,
};

/// Where a source that is asked for its presence answers; cheap, and every Prometheus has it.
const PROBE_PATH: &str = "/api/v1/status/buildinfo";

impl Collector {
    pub(super) fn fetch_answer(
        &mut self,
        at: usize,
        question: &Question,
        refresh: bool,
        now: Now,
    ) -> Result<FetchId, QueryError> {
        if self.sources[at].in_flight >= self.limits.fetches_per_source_max {
            return Err(self.overloaded(at, "fetches_per_source_max"));
        }
        let purpose = Purpose::Answer {
            key: question.key.clone(),
            ttl: question.ttl,
            asked: question.asked,
            askers: Vec::new(),
            refresh,
        };
        Ok(self.fetch(at, question.request(), purpose, now))
    }

    pub(super) fn fetch(
        &mut self,
        at: usize,
        request: FetchRequest,
        purpose: Purpose,
        now: Now,
    ) -> FetchId {
        let source = &mut self.sources[at];
        source.in_flight += 1;
        let deadline = now.mono + source.timeout;
        let name = source.name.clone();
        let id = self.flights.begin(Flight {
            source: at,
            started: now,
            deadline,
            purpose,
        });
        self.timers.set(deadline, Timer::Fetch(id));
        self.stats.fetches += 1;
        self.outputs.push_back(Output::Fetch(Fetch {
            id,
            source: name,
            request,
            deadline,
        }));
        id
    }

    pub(super) fn probe(&mut self, at: usize, now: Now) {
        let source = &self.sources[at];
        let interval = source.probe_interval;
        let heard = source
            .last_success_mono()
            .filter(|&heard| !source.is_failing() && now.mono.since(heard) < interval);
        if heard.is_none() && source.in_flight == 0 {
            let request = FetchRequest {
                method: Method::Get,
                path: PROBE_PATH,
                form: String::new(),
            };
            self.fetch(at, request, Purpose::Probe, now);
        }
        // The silence is counted from when it was last heard.
        let since = heard.unwrap_or(now.mono);
        self.timers.set(since + interval, Timer::Probe(at));
    }

    pub(super) fn fetch_timed_out(&mut self, id: FetchId, now: Now) {
        if let Some(flight) = self.flights.end(id) {
            self.outputs.push_back(Output::Cancel(id));
            let after = self.sources[flight.source].timeout;
            self.conclude(flight, Err(FetchError::Timeout { after }), now);
        }
    }

    pub(super) fn give_up(&mut self, id: FetchId) {
        if let Some(flight) = self.flights.end(id) {
            self.timers.clear(flight.deadline, Timer::Fetch(id));
            self.sources[flight.source].in_flight -= 1;
            self.outputs.push_back(Output::Cancel(id));
        }
    }

    pub(super) fn overloaded(&self, at: usize, limit: &'static str) -> QueryError {
        QueryError::Overloaded {
            source: self.sources[at].name.clone(),
            limit,
        }
    }

    pub(super) fn conclude(
        &mut self,
        flight: Flight,
        result: Result<Response, FetchError>,
        now: Now,
    ) {
        let at = flight.source;
        self.sources[at].in_flight -= 1;
        if let Ok(response) = &result {
            self.stats.fetched_bytes += response.body.len() as u64;
        }
        match flight.purpose {
            Purpose::Probe => match result {
                // Whoever answers a 404 is there; not every backend knows the path.
                Ok(response) if response.status < 500 => self.source_answered(at, now),
                Ok(response) => {
                    self.source_failed(at, format!("probe answered {}", response.status), None, now)
                }
                Err(error) => self.source_failed(at, format!("probe failed: {error}"), None, now),
            },
            Purpose::Answer {
                key,
                ttl,
                asked,
                askers,
                ..
            } => match self.understand(at, result) {
                Ok(payload) => {
                    self.source_answered(at, now);
                    let as_of = payload.response.newest_ms().map(UnixMillis);
                    let entry = Entry {
                        as_of: as_of.or(asked).unwrap_or(flight.started.wall),
                        payload: Arc::new(payload),
                        received: now,
                        ttl,
                        asked,
                        thresholds: self.sources[at].thresholds,
                        warned: false,
                    };
                    self.deliver(at, &key, entry, askers, now);
                }
                Err(error) => {
                    if error.may_serve_stale() {
                        self.source_failed(at, error.to_string(), Some(&key), now);
                    } else {
                        self.source_answered(at, now);
                    }
                    for asker in askers {
                        self.clear_ask_timer(&asker);
                        self.reply_after_failure(at, &key, asker, error.clone(), now);
                    }
                }
            },
        }
    }

    pub(super) fn understand(
        &self,
        at: usize,
        result: Result<Response, FetchError>,
    ) -> Result<Payload, QueryError> {
        let source = &self.sources[at].name;
        let response = result.map_err(|error| QueryError::Unreachable {
            source: source.clone(),
            error,
        })?;
        match decode_query_response(response.status, &response.body, &DecodeLimits::default()) {
            Ok(decoded) => Ok(Payload {
                body: Some(response.body),
                response: decoded,
            }),
            Err(DecodeError::Upstream {
                status,
                response: said,
            }) => Err(QueryError::Upstream {
                source: source.clone(),
                status,
                error_type: said.error_type,
                message: said.error,
                body: response.body.into(),
            }),
            Err(error) => Err(QueryError::Garbled {
                source: source.clone(),
                error,
            }),
        }
    }

    pub(super) fn deliver(
        &mut self,
        at: usize,
        key: &Arc<str>,
        entry: Entry,
        askers: Vec<Asker>,
        now: Now,
    ) {
        let name = self.sources[at].name.clone();
        // What comes with warnings may be partial, and must not be the last good answer.
        let keep = self.cache_enabled && entry.payload.response.warnings.is_empty();
        let kept = keep && self.cache.fits(key, &entry);
        for asker in askers {
            self.clear_ask_timer(&asker);
            let provenance = if asker.leads {
                Provenance::Miss
            } else {
                Provenance::Coalesced
            };
            let mut answer = entry_answer(&entry, &name, key, provenance, None, now);
            answer.ttl_left = answer.ttl_left.filter(|_| kept);
            self.outputs.push_back(Output::Reply(Reply {
                ask: asker.ask,
                result: Ok(answer),
            }));
        }
        if keep {
            self.cache.insert(key.clone(), entry);
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
        let Purpose::Answer { key, .. } = &flight.purpose else {
            return;
        };
        let key = key.clone();
        if let Some((_, asker, pointless)) = self.flights.leave(ask) {
            if pointless {
                self.give_up(id);
            }
            let after = now.mono.since(asker.since);
            let error = QueryError::Timeout {
                source: self.sources[at].name.clone(),
                after,
            };
            self.reply_after_failure(at, &key, asker, error, now);
        }
    }

    /// The last good answer if there is one that the asker takes, else the error.
    pub(super) fn reply_after_failure(
        &mut self,
        at: usize,
        key: &Arc<str>,
        asker: Asker,
        error: QueryError,
        now: Now,
    ) {
        let usable = error.may_serve_stale()
            && self.cache.read(key).is_some_and(|entry| {
                entry.is_usable(now)
                    && asker
                        .max_age
                        .is_none_or(|max_age| entry.age(now) <= max_age)
            });
        let stale = usable
            .then(|| {
                self.serve(
                    at,
                    key,
                    Provenance::StaleOnError,
                    Some(error.to_string()),
                    now,
                )
            })
            .flatten();
        let result = match stale {
            Some(answer) => {
                self.stats.stale_on_error += 1;
                Ok(answer)
            }
            None => {
                self.stats.errors += 1;
                Err(error)
            }
        };
        self.outputs.push_back(Output::Reply(Reply {
            ask: asker.ask,
            result,
        }));
    }

    pub(super) fn clear_ask_timer(&mut self, asker: &Asker) {
        if let Some(deadline) = asker.deadline {
            self.timers.clear(deadline, Timer::Ask(asker.ask));
        }
    }

    pub(super) fn source_answered(&mut self, at: usize, now: Now) {
        if self.sources[at].is_failing() {
            self.event(
                Level::Info,
                "source-recovered",
                at,
                None,
                String::from("it answers again"),
            );
        }
        self.sources[at].heard(now);
    }

    pub(super) fn source_failed(
        &mut self,
        at: usize,
        message: String,
        key: Option<&Arc<str>>,
        now: Now,
    ) {
        self.stats.fetch_failures += 1;
        let first = self.sources[at].failed(message.clone(), now);
        let level = if first { Level::Warn } else { Level::Debug };
        self.event(level, "fetch-failed", at, key, message);
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
