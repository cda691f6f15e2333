//! The collector: takes questions and news, decides, and says what to do.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use tidegate_series::Store;

use crate::cache::Cache;
use crate::config::LOCAL;
use crate::flight::Flights;
use crate::local::Local;
use crate::source::Source;
use crate::timers::{Timer, Timers};
use crate::{
    Ask, AskId, Config, ConfigError, FetchError, FetchId, Instant, Limits, Lookup, Now, Output,
    QueryError, Record, RecordError, Recorded, Response, SourceHealth, SourceKind, SourceStatus,
    Stats, Template,
};

mod fetching;
mod lookup;
#[cfg(test)]
mod tests;

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
