//! What holds between any two calls: bounds, counts, and that nothing is forgotten or wound up.

use std::time::Duration;

use tidegate_core::{BreakerState, Collector, Deadline, SourceKind};

use super::{Call, Check, Model, owed};

/// Refusals remembered at once.
const REFUSALS_MAX: usize = 1_024;

/// Below this, room decides what is kept.
const AMPLE_BYTES: usize = 1 << 20;

impl Model {
    pub(super) fn steady(&mut self, collector: &Collector) -> Check {
        let stats = collector.stats();
        let config = &self.config;
        let bytes_max = if config.cache.enabled {
            config.cache.bytes_max
        } else {
            0
        };
        owed!(
            stats.cache_bytes <= bytes_max,
            "memory within its limit",
            "{} of {bytes_max}",
            stats.cache_bytes
        );
        if stats.evictions > 0 || bytes_max < AMPLE_BYTES {
            self.lossy = true;
        }
        if stats.evictions > self.before.evictions {
            self.marks.hit("eviction");
        }
        owed!(
            stats.refusals <= REFUSALS_MAX,
            "few refusals",
            "{}",
            stats.refusals
        );
        owed!(
            stats.fetches_in_flight == self.fetches.len(),
            "fetches are counted",
            "{} and not {}",
            stats.fetches_in_flight,
            self.fetches.len()
        );
        let waiting = self.pending.values().filter(|ask| !ask.several).count();
        let several = self.pending.len() - waiting;
        let waiting = waiting + self.ranges.waiting().count();
        owed!(
            stats.askers_waiting == waiting || (several > 0 && stats.askers_waiting > waiting),
            "askers are counted",
            "{} and not {waiting}, {several} of several sources",
            stats.askers_waiting
        );
        owed!(
            stats.tracked <= self.known.len(),
            "tracked keys are known",
            "{}",
            stats.tracked
        );
        let ignored = stats.responses_ignored - self.before.responses_ignored;
        owed!(
            ignored <= 1,
            "responses are ignored one by one",
            "{ignored}"
        );
        self.sync_flights(collector);
        self.sources(collector)?;
        if self.call == Call::Timeout {
            self.punctual()?;
        }
        Ok(())
    }

    /// Questions may end without a word when nobody waits for them.
    fn sync_flights(&mut self, collector: &Collector) {
        let now = self.now;
        for (key, known) in &mut self.known {
            if known.flights.values().all(|flight| flight.fetching) {
                continue;
            }
            let current = known.topic.text(&self.config);
            let goes_on = collector.explain(key, now).flight.is_some();
            let ended = known.flights.extract_if(.., |text, flight| {
                !flight.fetching && (current.as_ref() != Some(text) || !goes_on)
            });
            let mut ended = ended.filter(|(text, _)| current.as_ref() == Some(text));
            if ended.next().is_some() {
                known.last_end = Some(now.mono);
            }
        }
    }

    fn sources(&mut self, collector: &Collector) -> Check {
        let now = self.now.mono;
        let statuses = collector.sources();
        owed!(
            statuses.len() == self.upstreams.len() + 1,
            "sources are those configured",
            "{}",
            statuses.len()
        );
        for status in statuses.iter().filter(|status| *status.name != *"local") {
            let name = &*status.name;
            let Some(upstream) = self.upstreams.get(name) else {
                owed!(false, "sources are those configured", "{name}");
                continue;
            };
            let expected = upstream.breaker.state(now);
            let timeless = matches!(self.call, Call::Catalog | Call::Hit);
            let seen = timeless || status.breaker == expected;
            owed!(
                seen,
                "the breaker goes by the rules",
                "{name}: {:?}, expected {expected:?}",
                status.breaker
            );
            if expected == BreakerState::HalfOpen {
                self.marks.hit("breaker half-open");
            }
            let under_way = self
                .fetches
                .values()
                .filter(|fetch| fetch.source == name)
                .count();
            owed!(
                status.in_flight == under_way,
                "fetches are counted",
                "{name}: {} and not {under_way}",
                status.in_flight
            );
            let most = self.config.limits.queue_per_source_max;
            if status.queued > most {
                let again = self
                    .known
                    .values()
                    .filter(|known| known.topic.source == name);
                let again = again.flat_map(|known| known.flights.values());
                let again = again
                    .filter(|f| !f.fetching && (f.failed || f.restarted))
                    .count();
                // Those of former texts are not followed any further.
                let former = self
                    .pending
                    .values()
                    .flat_map(|ask| &ask.of)
                    .filter(|(key, text)| {
                        self.known[key].topic.text(&self.config).as_ref() != Some(text)
                    });
                // Of a range there may be several pieces, and each of them again.
                let pieces = 8 * self.ranges.waiting_for(name);
                let again = again + former.count() + pieces;
                owed!(
                    status.queued <= most + again,
                    "queues are bounded",
                    "{name}: {} of {most}, {again} again",
                    status.queued
                );
            }
            let kind_is_remote = upstream.settings.kind != SourceKind::Push;
            owed!(
                kind_is_remote || under_way == 0,
                "nothing is fetched of who pushes",
                "{name}"
            );
        }
        Ok(())
    }

    /// Checks that no key which is read is forgotten.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn kept_warm(&mut self, collector: &Collector) -> Check {
        let now = self.now;
        for (key, known) in &self.known {
            let Some(upstream) = self.upstreams.get(&known.topic.source) else {
                continue;
            };
            let settings = &upstream.settings;
            let is_read = known
                .last_read
                .is_some_and(|at| now.mono < at + settings.idle_after);
            let was_on = upstream
                .lately(now.mono)
                .all(|s| !s.fetch_interval.is_zero() && s.idle_after == settings.idle_after);
            if !is_read || !was_on || !self.config.cache.enabled {
                continue;
            }
            let explained = collector.explain(key, now);
            let Some(tracked) = explained.tracked else {
                owed!(false, "what is read is kept warm", "{key}: {explained:?}");
                continue;
            };
            // What was planned before a reload stays planned.
            let ever = upstream.since(tidegate_core::Instant::ZERO);
            let most = ever
                .map(|s| {
                    s.fetch_interval
                        .max(s.ttl_max.map_or(Duration::ZERO, |max| max.max(s.ttl)))
                })
                .max();
            let most = most.unwrap_or_default();
            let most = match upstream.breaker.state(now.mono) {
                BreakerState::Open { until } => {
                    most.max(until.since(now.mono) + Duration::from_secs(1))
                }
                BreakerState::Closed | BreakerState::HalfOpen => most,
            };
            // Every call may put the next one off again, and what took long is long left alone.
            let most = most.max(upstream.timeout_max() + 5 * self.lateness);
            let soon =
                tracked.next_in.is_some_and(|next| next <= most) || explained.flight.is_some();
            owed!(soon, "what is read is kept warm", "{key}: {explained:?}");
            self.marks.hit("kept warm");
        }
        Ok(())
    }

    /// Checks when the collector wants to be called again, after it was drained.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn waits(&self, deadline: Option<Deadline>) -> Check {
        let Some(deadline) = deadline else {
            owed!(
                false,
                "there is always a cleanup to come",
                "nothing is waited for"
            );
            return Ok(());
        };
        owed!(
            self.call != Call::Timeout || deadline.at > self.now.mono,
            "no busy waiting",
            "at {:?} it waits for {deadline:?}",
            self.now.mono
        );
        Ok(())
    }

    /// Checks what is left when nobody has asked for very long.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn at_rest(&mut self, collector: &Collector) -> Check {
        let stats = collector.stats();
        let probes = self
            .fetches
            .values()
            .filter(|fetch| fetch.is_probe())
            .count();
        owed!(
            stats.fetches_in_flight == probes,
            "all fetches end",
            "{:?}",
            self.fetches
        );
        owed!(
            stats.askers_waiting == 0 && self.pending.is_empty(),
            "all askers leave",
            "{}",
            stats.askers_waiting
        );
        owed!(
            stats.tracked == 0,
            "what nobody reads is not kept warm",
            "{} keys are",
            stats.tracked
        );
        owed!(
            stats.refusals == 0,
            "refusals are forgotten",
            "{} are not",
            stats.refusals
        );
        owed!(
            stats.cache_entries == 0 && stats.cache_bytes == 0,
            "what nobody can use is dropped",
            "{} entries, {} bytes",
            stats.cache_entries,
            stats.cache_bytes
        );
        Ok(())
    }
}
