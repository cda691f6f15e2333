//! The collector: takes questions and news, decides, and says what to do.

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use tidegate_series::Store;
use tidegate_wire::{DecodeError, DecodeLimits, decode_query_response};

use crate::cache::{Cache, Entry};
use crate::config::LOCAL;
use crate::flight::{Asker, Flight, Flights, Purpose};
use crate::local::Local;
use crate::question::{Question, Questioner};
use crate::source::Source;
use crate::timers::{Timer, Timers};
use crate::{
    Answer, Ask, AskId, Config, ConfigError, Event, Fetch, FetchError, FetchId, FetchRequest,
    Freshness, Instant, Level, Limits, Lookup, Method, Now, Output, Payload, Provenance,
    QueryError, Record, RecordError, Recorded, Reply, Response, SourceHealth, SourceKind,
    SourceStatus, Stats, Template, Thresholds, UnixMillis,
};

/// Where a source that is asked for its presence answers; cheap, and every Prometheus has it.
const PROBE_PATH: &str = "/api/v1/status/buildinfo";

/// A metrics collector as a machine without IO.
///
/// - **Commands**: [`query`](Self::query), [`record`](Self::record), [`abandon`](Self::abandon).
/// - **News**: [`handle_response`](Self::handle_response), [`handle_timeout`](Self::handle_timeout).
/// - **Outputs**: [`poll_output`](Self::poll_output), to be drained before the driver waits.
/// - **Views**: [`stats`](Self::stats), [`sources`](Self::sources), [`series`](Self::series),
///   [`templates`](Self::templates).
///
/// Commands and news may come back to back without draining in between; only outputs pile up.
/// Every call that takes `now` takes the current time; a `mono` that lies before an earlier
/// call's is clamped to it and counted, a `wall` may step.
#[derive(Debug)]
pub struct Collector {
    limits: Limits,
    cache_enabled: bool,
    cleanup_interval: Duration,
    sources: Vec<Source>,
    by_name: BTreeMap<Arc<str>, usize>,
    local_name: Arc<str>,
    cache: Cache,
    local: Local,
    flights: Flights,
    timers: Timers,
    outputs: VecDeque<Output>,
    latest: Instant,
    stats: Stats,
}

impl Collector {
    /// A collector with this configuration. Sources with a probe interval are probed at once.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn new(config: Config, now: Now) -> Result<Self, ConfigError> {
        config.check()?;
        let sources = config
            .sources
            .into_iter()
            .map(Source::new)
            .collect::<Result<Vec<_>, _>>()?;
        let by_name = sources
            .iter()
            .enumerate()
            .map(|(at, source)| (source.name.clone(), at))
            .collect();
        let mut timers = Timers::default();
        for (at, source) in sources.iter().enumerate() {
            if source.kind == SourceKind::Prometheus && !source.probe_interval.is_zero() {
                timers.set(now.mono, Timer::Probe(at));
            }
        }
        timers.set(now.mono + config.cache.cleanup_interval, Timer::Cleanup);
        Ok(Self {
            limits: config.limits,
            cache_enabled: config.cache.enabled,
            cleanup_interval: config.cache.cleanup_interval,
            sources,
            by_name,
            local_name: LOCAL.into(),
            cache: Cache::new(config.cache.bytes_max),
            local: Local::new(config.local),
            flights: Flights::default(),
            timers,
            outputs: VecDeque::new(),
            latest: now.mono,
            stats: Stats::default(),
        })
    }

    /// Asks. The answer is at hand, or a [`Output::Reply`] with the id follows, at the latest when
    /// the ask's timeout has passed.
    ///
    /// # Errors
    /// Whatever can be told without fetching: unknown names, parameters that do not fit, texts
    /// over a limit, what `local` cannot answer, and too much in flight.
    pub fn query(&mut self, ask: &Ask, now: Now) -> Result<Lookup, QueryError> {
        let now = self.clamp(now);
        let lookup = self.look_up(ask, now);
        if lookup.is_err() {
            self.stats.errors += 1;
        }
        lookup
    }

    /// The asker left: no reply follows. A fetch that nobody waits for any more is cancelled,
    /// unless it refreshes the cache. An unknown id is ignored, for its reply may be under way.
    pub fn abandon(&mut self, ask: AskId, now: Now) {
        self.clamp(now);
        if let Some((fetch, asker, pointless)) = self.flights.leave(ask) {
            self.clear_ask_timer(&asker);
            if pointless {
                self.give_up(fetch);
            }
        }
    }

    /// Records a batch of a push source into `local`. Each sample is taken or refused by itself.
    ///
    /// # Errors
    /// A source that is unknown or not of kind push; more samples than a batch may have.
    pub fn record(&mut self, record: &Record, now: Now) -> Result<Recorded, RecordError> {
        let now = self.clamp(now);
        let Some(&at) = self.by_name.get(&*record.source) else {
            return Err(RecordError::UnknownSource {
                name: record.source.clone(),
            });
        };
        if self.sources[at].kind != SourceKind::Push {
            return Err(RecordError::NotPush {
                name: record.source.clone(),
            });
        }
        let (samples, limit) = (record.samples.len(), self.limits.samples_per_record_max);
        if samples > limit {
            return Err(RecordError::TooMany { samples, limit });
        }
        let recorded = self.local.record(record, now.wall);
        self.stats.samples_accepted += recorded.accepted as u64;
        self.stats.samples_refused += recorded.refused.len() as u64;
        self.sources[at].heard(now);
        Ok(recorded)
    }

    /// A fetch ended. A response that comes late, twice or for nothing that was asked is ignored
    /// and counted.
    pub fn handle_response(&mut self, id: FetchId, result: Result<Response, FetchError>, now: Now) {
        let now = self.clamp(now);
        match self.flights.end(id) {
            Some(flight) => {
                self.timers.clear(flight.deadline, Timer::Fetch(id));
                self.conclude(flight, result, now);
            }
            None => self.stats.responses_ignored += 1,
        }
    }

    /// Acts on every deadline that has come. Calling it early or late is harmless.
    pub fn handle_timeout(&mut self, now: Now) {
        let now = self.clamp(now);
        while let Some(timer) = self.timers.pop_due(now.mono) {
            match timer {
                Timer::Fetch(id) => self.fetch_timed_out(id, now),
                Timer::Ask(id) => self.ask_timed_out(id, now),
                Timer::Probe(source) => self.probe(source, now),
                Timer::Cleanup => {
                    self.cache.cleanup(now);
                    self.local.cleanup(now.wall);
                    self.timers.set(
                        now.mono + self.cleanup_interval.max(Duration::from_secs(1)),
                        Timer::Cleanup,
                    );
                }
            }
        }
    }

    /// The next thing to do; [`Output::Wait`] once there is nothing left. Only drains.
    pub fn poll_output(&mut self) -> Output {
        self.outputs
            .pop_front()
            .unwrap_or_else(|| Output::Wait(self.timers.soonest()))
    }

    /// What was counted so far, and what is held now.
    pub fn stats(&self) -> Stats {
        let store = self.local.store();
        Stats {
            evictions: self.cache.evictions(),
            cache_entries: self.cache.len(),
            cache_bytes: self.cache.bytes(),
            cache_bytes_max: self.cache.bytes_max(),
            fetches_in_flight: self.flights.len(),
            askers_waiting: self.flights.waiting(),
            series: store.len(),
            series_max: store.limits().series_max,
            samples: store.sample_count(),
            series_bytes: store.byte_size(),
            ..self.stats
        }
    }

    /// What is known about every source: as configured, then `local`.
    pub fn sources(&self) -> Vec<SourceStatus> {
        let local = SourceStatus {
            name: self.local_name.clone(),
            kind: LOCAL,
            health: SourceHealth::Up,
            last_success: None,
            last_error: None,
            failures_in_a_row: 0,
            in_flight: 0,
            templates: 0,
        };
        self.sources
            .iter()
            .map(Source::status)
            .chain([local])
            .collect()
    }

    /// The name of the source that is asked when none is named.
    pub fn default_source(&self) -> &Arc<str> {
        let prometheus = self
            .sources
            .iter()
            .find(|source| source.kind == SourceKind::Prometheus);
        prometheus.map_or(&self.local_name, |source| &source.name)
    }

    /// Whether there is a source of this name.
    pub fn has_source(&self, name: &str) -> bool {
        name == LOCAL || self.by_name.contains_key(name)
    }

    /// Tidegate's own series.
    pub fn series(&self) -> &Store {
        self.local.store()
    }

    /// A source's catalog, by name; empty for `local` and for a source there is not.
    pub fn templates(&self, source: &str) -> impl Iterator<Item = &Template> {
        let source = self.by_name.get(source).map(|&at| &self.sources[at]);
        source
            .into_iter()
            .flat_map(|source| source.templates.values())
    }

    // Questions.

    fn look_up(&mut self, ask: &Ask, now: Now) -> Result<Lookup, QueryError> {
        let name: &str = ask
            .source
            .as_deref()
            .unwrap_or_else(|| self.default_source());
        let at = match self.by_name.get(name) {
            Some(&at) => Some(at),
            None if name == LOCAL => None,
            None => return Err(self.unknown_source(name)),
        };
        let source = at.map(|at| &self.sources[at]);
        let question = Questioner {
            source,
            limits: &self.limits,
            local: &self.local_name,
        }
        .question(ask, now)?;
        match at.filter(|&at| self.sources[at].kind == SourceKind::Prometheus) {
            Some(at) => self.look_up_remote(at, question, ask, now),
            None => self.look_up_local(&question, now),
        }
    }

    fn unknown_source(&self, name: &str) -> QueryError {
        let known = self
            .sources
            .iter()
            .map(|source| source.name.clone())
            .chain([self.local_name.clone()]);
        QueryError::UnknownSource {
            name: name.to_owned(),
            known: known.collect(),
        }
    }

    fn look_up_local(&mut self, question: &Question, now: Now) -> Result<Lookup, QueryError> {
        let at = question.asked.unwrap_or(now.wall);
        let said = self.local.query(&question.query, at)?;
        self.stats.local += 1;
        let age = said
            .newest
            .map_or(Duration::ZERO, |newest| at.min(now.wall).since(newest));
        let freshness = said
            .newest
            .map_or(Freshness::Missing, |_| Thresholds::default().verdict(age));
        Ok(Lookup::Ready(Answer {
            payload: Arc::new(Payload {
                body: None,
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
        }))
    }

    fn look_up_remote(
        &mut self,
        at: usize,
        question: Question,
        ask: &Ask,
        now: Now,
    ) -> Result<Lookup, QueryError> {
        if let Some(answer) = self.recall(at, &question, ask, now) {
            if answer.provenance == Provenance::Stale {
                self.stats.stale += 1;
                self.refresh_behind(at, &question, now);
            } else {
                self.stats.hits += 1;
            }
            return Ok(Lookup::Ready(answer));
        }
        let timeout = ask.timeout.map_or(self.sources[at].timeout, |timeout| {
            timeout.min(self.sources[at].timeout)
        });
        let (fetch, leads) = match self.flights.of_key(&question.key) {
            Some(fetch) => (fetch, false),
            None => (self.fetch_answer(at, &question, false, now)?, true),
        };
        if self.flights.askers(fetch) >= self.limits.askers_per_fetch_max {
            return Err(self.overloaded(at, "askers_per_fetch_max"));
        }
        if leads {
            self.stats.misses += 1;
        } else {
            self.stats.coalesced += 1;
        }
        let deadline = now.mono + timeout;
        let sooner = self
            .flights
            .flight(fetch)
            .is_none_or(|flight| deadline < flight.deadline);
        let deadline = sooner.then_some(deadline);
        let ask = self.flights.join(fetch, |id| Asker {
            ask: id,
            max_age: ask.max_age,
            since: now.mono,
            deadline,
            leads,
        });
        if let Some(deadline) = deadline {
            self.timers.set(deadline, Timer::Ask(ask));
        }
        Ok(Lookup::Pending(ask))
    }

    /// A hit, or an answer past its ttl that this asker takes.
    fn recall(&mut self, at: usize, question: &Question, ask: &Ask, now: Now) -> Option<Answer> {
        let entry = self.cache.read(&question.key)?;
        if ask.max_age.is_some_and(|max_age| entry.age(now) > max_age) {
            return None;
        }
        let provenance = match entry.ttl_left(now) {
            Some(_) => Provenance::Hit,
            None if ask.allow_stale && entry.is_usable(now) => Provenance::Stale,
            None => return None,
        };
        self.serve(at, &question.key, provenance, None, now)
    }

    /// An answer from the key's entry; the first one past the warning threshold says so.
    fn serve(
        &mut self,
        at: usize,
        key: &Arc<str>,
        provenance: Provenance,
        reason: Option<String>,
        now: Now,
    ) -> Option<Answer> {
        let source = self.sources[at].name.clone();
        let entry = self.cache.read(key)?;
        let answer = entry_answer(entry, &source, key, provenance, reason, now);
        let crossed = !entry.warned && answer.age > entry.thresholds.warn_past;
        if crossed {
            entry.warned = true;
            let detail = format!(
                "the data is {} s old and still served",
                answer.age.as_secs()
            );
            self.event(Level::Warn, "answer-ageing", at, Some(key), detail);
        }
        Some(answer)
    }

    fn refresh_behind(&mut self, at: usize, question: &Question, now: Now) {
        if self.flights.of_key(&question.key).is_none() {
            // Too much in flight is no reason to refuse an asker who was served.
            let _ = self.fetch_answer(at, question, true, now);
        }
    }

    // Fetches.

    fn fetch_answer(
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

    fn fetch(&mut self, at: usize, request: FetchRequest, purpose: Purpose, now: Now) -> FetchId {
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

    fn probe(&mut self, at: usize, now: Now) {
        let source = &self.sources[at];
        let interval = source.probe_interval;
        let heard_lately = !source.is_failing()
            && source
                .last_success_mono()
                .is_some_and(|heard| now.mono.since(heard) < interval);
        if !heard_lately && source.in_flight == 0 {
            let request = FetchRequest {
                method: Method::Get,
                path: PROBE_PATH,
                form: String::new(),
            };
            self.fetch(at, request, Purpose::Probe, now);
        }
        self.timers.set(now.mono + interval, Timer::Probe(at));
    }

    fn fetch_timed_out(&mut self, id: FetchId, now: Now) {
        if let Some(flight) = self.flights.end(id) {
            self.outputs.push_back(Output::Cancel(id));
            let after = self.sources[flight.source].timeout;
            self.conclude(flight, Err(FetchError::Timeout { after }), now);
        }
    }

    fn give_up(&mut self, id: FetchId) {
        if let Some(flight) = self.flights.end(id) {
            self.timers.clear(flight.deadline, Timer::Fetch(id));
            self.sources[flight.source].in_flight -= 1;
            self.outputs.push_back(Output::Cancel(id));
        }
    }

    fn overloaded(&self, at: usize, limit: &'static str) -> QueryError {
        QueryError::Overloaded {
            source: self.sources[at].name.clone(),
            limit,
        }
    }

    // Ends of fetches.

    fn conclude(&mut self, flight: Flight, result: Result<Response, FetchError>, now: Now) {
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

    fn understand(
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

    fn deliver(&mut self, at: usize, key: &Arc<str>, entry: Entry, askers: Vec<Asker>, now: Now) {
        let name = self.sources[at].name.clone();
        // What comes with warnings may be partial, and must not be the last good answer.
        let keep = self.cache_enabled && entry.payload.response.warnings.is_empty();
        for asker in askers {
            self.clear_ask_timer(&asker);
            let provenance = if asker.leads {
                Provenance::Miss
            } else {
                Provenance::Coalesced
            };
            let mut answer = entry_answer(&entry, &name, key, provenance, None, now);
            answer.ttl_left = answer.ttl_left.filter(|_| keep);
            self.outputs.push_back(Output::Reply(Reply {
                ask: asker.ask,
                result: Ok(answer),
            }));
        }
        if keep {
            self.cache.insert(key.clone(), entry);
        }
    }

    fn ask_timed_out(&mut self, ask: AskId, now: Now) {
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
    fn reply_after_failure(
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

    fn clear_ask_timer(&mut self, asker: &Asker) {
        if let Some(deadline) = asker.deadline {
            self.timers.clear(deadline, Timer::Ask(asker.ask));
        }
    }

    // Health, events, time.

    fn source_answered(&mut self, at: usize, now: Now) {
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

    fn source_failed(&mut self, at: usize, message: String, key: Option<&Arc<str>>, now: Now) {
        self.stats.fetch_failures += 1;
        let first = self.sources[at].failed(message.clone(), now);
        let level = if first { Level::Warn } else { Level::Debug };
        self.event(level, "fetch-failed", at, key, message);
    }

    fn event(
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

    fn clamp(&mut self, now: Now) -> Now {
        if now.mono < self.latest {
            self.stats.clock_clamped += 1;
            return Now {
                mono: self.latest,
                ..now
            };
        }
        self.latest = now.mono;
        now
    }
}

fn entry_answer(
    entry: &Entry,
    source: &Arc<str>,
    key: &Arc<str>,
    provenance: Provenance,
    reason: Option<String>,
    now: Now,
) -> Answer {
    let age = entry.age(now);
    Answer {
        payload: entry.payload.clone(),
        source: source.clone(),
        key: key.clone(),
        as_of: entry.as_of,
        fetched_at: entry.received.wall,
        age,
        freshness: entry.thresholds.verdict(age),
        provenance,
        ttl_left: entry.ttl_left(now),
        overdue: entry.overdue(now),
        reason,
    }
}
