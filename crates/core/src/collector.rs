//! The collector: takes questions and news, decides, and says what to do.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use tidegate_series::Store;

use crate::alert::Alerts;
use crate::cache::Cache;
use crate::config::LOCAL;
use crate::flight::Flights;
use crate::local::Local;
use crate::range::Extents;
use crate::refusals::Refusals;
use crate::source::{Source, parse_catalog};
use crate::timers::{Timer, Timers};
use crate::tracker::Tracker;
use crate::{
    AlertState, Ask, AskId, BreakerState, Config, ConfigError, FetchError, FetchId, Instant,
    Limits, Lookup, Now, Output, QueryError, Random, Record, RecordError, Recorded, Response,
    SourceHealth, SourceKind, SourceStatus, Stats, Template,
};

mod alerting;
mod catalog;
mod collecting;
mod explain;
mod fetching;
mod gathering;
mod hits;
mod keeping;
mod library;
mod lookup;
mod ranging;
mod reading;
mod refreshing;
#[cfg(test)]
mod tests;

pub use explain::{Covered, Explanation, InFlight, Kept, Tracking};
pub use hits::{Handle, Hit};

/// A metrics collector as a machine without IO.
///
/// - **Commands**: [`query`](Self::query), its short cuts [`hit`](Self::hit) and
///   [`hit_by`](Self::hit_by), [`record`](Self::record), [`abandon`](Self::abandon),
///   [`untrack`](Self::untrack), [`invalidate`](Self::invalidate), [`reload`](Self::reload), and
///   for catalogs [`register`](Self::register), [`update`](Self::update),
///   [`unregister`](Self::unregister), and for owners
///   [`register_owner`](Self::register_owner), [`unregister_owner`](Self::unregister_owner).
/// - **News**: [`handle_response`](Self::handle_response), [`handle_timeout`](Self::handle_timeout).
/// - **Outputs**: [`poll_output`](Self::poll_output), to be drained before the driver waits.
/// - **Views**: [`stats`](Self::stats), [`sources`](Self::sources), [`series`](Self::series),
///   [`templates`](Self::templates), [`template`](Self::template), [`packs`](Self::packs),
///   [`owners`](Self::owners), [`alert_rules`](Self::alert_rules), [`explain`](Self::explain).
///
/// Commands and news may come back to back without draining in between; only outputs pile up.
/// Every call that takes `now` takes the current time; a `mono` that lies before an earlier
/// call's is clamped to it and counted, a `wall` may step.
#[derive(Debug)]
pub struct Collector {
    limits: Limits,
    cleanup_interval: Duration,
    sources: Vec<Source>,
    by_name: BTreeMap<Arc<str>, usize>,
    /// The names as they stand in the configuration.
    order: Vec<Arc<str>>,
    local_name: Arc<str>,
    cache: Cache,
    /// What answers and extents may weigh together.
    cache_bytes_max: usize,
    extents: Extents,
    refusals: Refusals,
    local: Local,
    flights: Flights,
    gatherings: gathering::Gatherings,
    assemblies: ranging::Assemblies,
    tracker: Tracker,
    timers: Timers,
    /// Sources whose queue may have somebody to go on.
    waking: BTreeSet<usize>,
    library: library::Library,
    alerts: Alerts,
    random: Random,
    next_ask: u64,
    outputs: VecDeque<Output>,
    latest: Instant,
    stats: Stats,
}

impl Collector {
    /// A collector with this configuration. Sources with a probe interval are probed at once,
    /// targets that are collected within their interval.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn new(config: Config, now: Now) -> Result<Self, ConfigError> {
        config.check()?;
        let mut collector = Self {
            limits: config.limits,
            cleanup_interval: config.cache.cleanup_interval,
            sources: Vec::new(),
            by_name: BTreeMap::new(),
            order: Vec::new(),
            local_name: LOCAL.into(),
            cache: Cache::new(config.cache.bytes(), config.seed),
            cache_bytes_max: config.cache.bytes(),
            extents: Extents::new(config.cache.bytes() / 2),
            refusals: Refusals::default(),
            local: Local::new(&config.local)?,
            flights: Flights::default(),
            gatherings: gathering::Gatherings::default(),
            assemblies: ranging::Assemblies::default(),
            tracker: Tracker::default(),
            timers: Timers::default(),
            waking: BTreeSet::new(),
            library: library::Library::new(config.packs, config.owners)?,
            alerts: Alerts::new(config.alerts, now).map_err(ConfigError::Alert)?,
            random: Random::new(config.seed),
            next_ask: 0,
            outputs: VecDeque::new(),
            latest: now.mono,
            stats: Stats::default(),
        };
        for mut settings in config.sources {
            let catalog = parse_catalog(&mut settings)?;
            collector.order.push(settings.name.as_str().into());
            collector.add_source(Source::new(settings, catalog), now);
        }
        collector.local.feed_sinks(config.feeds_sinks);
        collector.schedule_alerts();
        let cleanup = now.mono + collector.cleanup_interval;
        collector.timers.set(cleanup, Timer::Cleanup);
        Ok(collector)
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
        match &lookup {
            Ok(Lookup::Ready(answer)) => self.stats.answered(answer.age),
            Ok(Lookup::Pending(_)) => {}
            Err(_) => self.stats.errors += 1,
        }
        self.launch_all(now);
        lookup
    }

    /// The asker left: no reply follows. A fetch that nobody waits for any more is cancelled,
    /// unless it refreshes the cache. An unknown id is ignored, for its reply may be under way.
    pub fn abandon(&mut self, ask: AskId, now: Now) {
        let now = self.clamp(now);
        match self.scatter(ask) {
            Some(parts) => parts
                .into_iter()
                .for_each(|part| self.abandon_one(part, now)),
            None => self.abandon_one(ask, now),
        }
        self.launch_all(now);
    }

    fn abandon_one(&mut self, ask: AskId, now: Now) {
        if let Some((flight, asker, pointless)) = self.flights.leave(ask) {
            self.clear_ask_timer(&asker);
            if pointless {
                self.give_up(flight, now);
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
        if self.sources[at].settings.kind != SourceKind::Push {
            return Err(RecordError::NotPush {
                name: record.source.clone(),
            });
        }
        let (samples, limit) = (record.samples.len(), self.limits.samples_per_record_max);
        if samples > limit {
            return Err(RecordError::TooMany { samples, limit });
        }
        let mut notices = Vec::new();
        let recorded = self.local.record(record, now.wall, &mut notices);
        let source = self.sources[at].name.clone();
        self.tell(&source, None, notices);
        self.stats.samples_accepted += recorded.accepted as u64;
        self.stats.samples_refused += recorded.refused.len() as u64;
        self.sources[at].standing_mut(None).heard(now);
        Ok(recorded)
    }

    /// A fetch ended. A response that comes late, twice or for nothing that was asked is ignored
    /// and counted.
    pub fn handle_response(&mut self, id: FetchId, result: Result<Response, FetchError>, now: Now) {
        let now = self.clamp(now);
        self.landed(id, result, now);
        self.launch_all(now);
    }

    /// Acts on every deadline that has come. Calling it early or late is harmless.
    pub fn handle_timeout(&mut self, now: Now) {
        let now = self.clamp(now);
        while let Some(timer) = self.timers.pop_due(now.mono) {
            match timer {
                Timer::Flight(id) => self.flight_timed_out(id, now),
                Timer::Ask(id) => self.ask_timed_out(id, now),
                Timer::Retry(id) => self.requeue(id),
                Timer::Refresh(id) => self.refresh(id, now),
                Timer::Collect(source) => self.collect(source, now),
                Timer::Probe(source) => self.probe(source, now),
                Timer::Alerts => self.look_at_alerts(now),
                Timer::Cleanup => self.clean_up(now),
            }
            self.launch_all(now);
        }
    }

    fn clean_up(&mut self, now: Now) {
        /// However short the configured interval, cleaning up is not all there is to do.
        const INTERVAL_MIN: Duration = Duration::from_secs(1);
        self.cache.cleanup(now);
        self.extents.cleanup(self.belief(now));
        self.share_room();
        self.refusals.cleanup(now.mono);
        let notices = self.local.cleanup(now.wall);
        let local = self.local_name.clone();
        self.tell(&local, None, notices);
        let due = now.mono + self.cleanup_interval.max(INTERVAL_MIN);
        self.timers.set(due, Timer::Cleanup);
    }

    /// The next thing to do; [`Output::Wait`] once there is nothing left. Only drains.
    pub fn poll_output(&mut self) -> Output {
        let next = self.outputs.pop_front();
        next.or_else(|| self.local.take_appended().map(Output::Append))
            .unwrap_or_else(|| Output::Wait(self.timers.soonest()))
    }

    /// What was counted so far, and what is held now.
    pub fn stats(&self) -> Stats {
        let store = self.local.store();
        let extents = self.extents.holding();
        Stats {
            evictions: self.cache.evictions(),
            cache_entries: self.cache.len(),
            cache_bytes: self.cache.bytes(),
            cache_bytes_max: self.cache_bytes_max,
            extents: extents.extents,
            extent_bytes: self.extents.bytes(),
            extent_samples: extents.samples,
            extent_evictions: self.extents.evictions(),
            fetches_in_flight: self.flights.fetching(),
            askers_waiting: self.flights.waiting(),
            refusals: self.refusals.len(),
            tracked: self.tracker.len(),
            alerts_pending: self.alerts.count(AlertState::Pending),
            alerts_firing: self.alerts.count(AlertState::Firing),
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
            breaker: BreakerState::Closed,
            last_success: None,
            last_error: None,
            failures_in_a_row: 0,
            in_flight: 0,
            queued: 0,
            templates: 0,
            collect_interval: Duration::ZERO,
            targets: Vec::new(),
        };
        let configured = self.configured().map(|source| source.status(self.latest));
        configured.chain([local]).collect()
    }

    /// The name of the source that is asked when none is named.
    pub fn default_source(&self) -> &Arc<str> {
        let asked = |source: &&Source| source.settings.kind != SourceKind::Push;
        let first = self.configured().find(asked);
        first.map_or(&self.local_name, |source| &source.name)
    }

    /// The sources in the order of the configuration.
    fn configured(&self) -> impl Iterator<Item = &Source> {
        let at = self.order.iter().filter_map(|name| self.by_name.get(name));
        at.map(|&at| &self.sources[at])
    }

    /// Whether there is a source of this name.
    ///
    /// # Errors
    /// [`QueryError::UnknownSource`] if there is not.
    pub fn known_source(&self, name: &str) -> Result<(), QueryError> {
        if name == LOCAL || self.by_name.contains_key(name) {
            Ok(())
        } else {
            Err(self.unknown_source(name))
        }
    }

    /// How many samples a batch that is recorded may have.
    pub const fn samples_per_record_max(&self) -> usize {
        self.limits.samples_per_record_max
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
