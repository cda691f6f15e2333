//! Keys kept warm: when tracking begins, when each is fetched, when it ends.

use alloc::sync::Arc;
use core::time::Duration;

use tidegate_wire::Data;

use super::Collector;
use crate::flight::Purpose;
use crate::question::Question;
use crate::timers::Timer;
use crate::tracker::{TrackId, Tracked};
use crate::{AdaptiveTtl, BreakerState, Fingerprint, Instant, Now, Payload, Priority, UnixMillis};

/// A refresh comes this much before its interval ends, at random in between: so that many keys do
/// not come at once, and that an answer whose ttl is the interval stays a hit.
const EARLY: (f64, f64) = (0.80, 0.95);

/// No key is fetched more often in the background, however short its interval or quick its source.
const INTERVAL_MIN: Duration = Duration::from_secs(1);

impl Collector {
    /// Notes that a question is asked, whose answer may be kept; from its first ask on it is kept
    /// warm.
    pub(super) fn note_read(
        &mut self,
        at: usize,
        question: &Arc<Question>,
        kept: Option<usize>,
        now: Now,
    ) {
        let read = kept.and_then(|kept| self.cache.read(kept));
        let known = read.map(|read| read.track());
        if known.is_some_and(|id| self.tracker.read(id, now.mono)) {
            return;
        }
        let id = self.track(at, question, now);
        if let Some(mut read) = kept.and_then(|kept| self.cache.read(kept)) {
            read.set_track(id.unwrap_or(TrackId::NONE));
        }
    }

    /// Notes in the tracking of a question that it is asked, or begins one.
    fn track(&mut self, at: usize, question: &Arc<Question>, now: Now) -> Option<TrackId> {
        let source = &self.sources[at];
        if !question.recurs()
            || source.settings.fetch_interval.is_zero()
            || !self.cache.is_enabled()
        {
            return None;
        }
        if let Some(id) = self.tracker.id_of_key(&question.key) {
            self.tracker.read(id, now.mono);
            return Some(id);
        }
        let mut tracked = Tracked {
            source: at,
            question: question.clone(),
            due: None,
            ttl: None,
            clock: None,
            last: None,
        };
        tracked.configure(&source.settings);
        let id = self.tracker.track(tracked, now.mono);
        if id.is_some() && self.flights.of_key(&question.key).is_none() {
            self.reschedule(&question.key, now, now);
        }
        id
    }

    /// After a reload: ends the tracking of what is not to be kept warm any more, and fetches the
    /// rest by the new settings.
    pub(super) fn track_as_configured(&mut self, now: Now) {
        for id in self.tracker.matching(|_| true) {
            let Some(tracked) = self.tracker.tracked_mut(id) else {
                continue;
            };
            let settings = &self.sources[tracked.source].settings;
            if settings.fetch_interval.is_zero() || !self.cache.is_enabled() {
                self.drop_tracking(id, now);
            } else {
                tracked.configure(settings);
            }
        }
    }

    /// Ends the tracking of a key; says whether it was tracked. A refresh under way that nobody
    /// waits for is cancelled.
    pub fn untrack(&mut self, key: &str, now: Now) -> bool {
        let now = self.clamp(now);
        let Some((id, _)) = self.tracker.of_key(key) else {
            return false;
        };
        self.drop_tracking(id, now);
        true
    }

    pub(super) fn drop_tracking(&mut self, id: TrackId, now: Now) {
        let Some(tracked) = self.tracker.untrack(id) else {
            return;
        };
        if let Some(due) = tracked.due {
            self.timers.clear(due, Timer::Refresh(id));
        }
        if let Some(flight) = self.flights.of_key(&tracked.question.key) {
            if self.flights.askers(flight) == 0 {
                self.give_up(flight, now);
            } else {
                self.flights.refreshes_no_more(flight);
            }
        }
    }

    /// A key is due in the background.
    pub(super) fn refresh(&mut self, id: TrackId, now: Now) {
        let Some(last_read) = self.tracker.last_read(id) else {
            return;
        };
        let Some(tracked) = self.tracker.tracked_mut(id) else {
            return;
        };
        tracked.due = None;
        let (at, question) = (tracked.source, tracked.question.clone());
        if now.mono.since(last_read) >= self.sources[at].settings.idle_after {
            return self.drop_tracking(id, now);
        }
        // While its source is left alone or under probe, the key waits: spread over a second, so
        // that a source that is back is not met by all at once. A target has no other key.
        let source = &self.sources[at];
        let target = question.target().map(|target| &**target);
        let wait_until = match source.standing(target).breaker.state(now.mono) {
            BreakerState::Open { until } => Some(until),
            BreakerState::HalfOpen if target.is_none() && source.in_flight > 0 => {
                Some(now.mono + INTERVAL_MIN)
            }
            BreakerState::HalfOpen | BreakerState::Closed => None,
        };
        if let Some(until) = wait_until {
            let spread = self.random.jittered(INTERVAL_MIN, 0.0, 1.0);
            return self.set_due(id, until + spread);
        }
        if self.flights.of_key(&question.key).is_none() {
            self.refresh_behind(at, &question, now);
        }
        if self.flights.of_key(&question.key).is_none() {
            self.reschedule(&question.key, now, now);
        }
    }

    /// Begins a fetch that nobody waits for. Too much in the queue is no reason to fail.
    pub(super) fn refresh_behind(&mut self, at: usize, question: &Arc<Question>, now: Now) {
        if self.flights.of_key(&question.key).is_some() {
            return;
        }
        let purpose = Purpose::Answer {
            question: question.clone(),
            askers: alloc::vec::Vec::new(),
            refresh: true,
            keep: true,
        };
        let _ = self.begin(at, purpose, Priority::Background, now);
    }

    /// Says when a tracked key is fetched next, after a flight for it that began at `begun` ended:
    /// an interval later, never sooner than the source took to answer, or just after its data can
    /// be new.
    pub(super) fn reschedule(&mut self, key: &Arc<str>, begun: Now, now: Now) {
        let Some((id, tracked)) = self.tracker.of_key(key) else {
            return;
        };
        let source = &self.sources[tracked.source];
        let least = now.mono.since(begun.mono).max(INTERVAL_MIN);
        let ttl = tracked
            .ttl
            .as_ref()
            .map_or(Duration::ZERO, AdaptiveTtl::ttl);
        let interval = source.settings.fetch_interval.max(ttl);
        let aligned = tracked
            .clock
            .as_ref()
            .and_then(|clock| clock.next_after(now.wall));
        let wait = match aligned {
            Some(at) => at.since(now.wall).min(interval),
            None => self.random.jittered(interval, EARLY.0, EARLY.1),
        };
        self.set_due(id, now.mono + wait.max(least));
    }

    /// Learns from an answer to a tracked key; says how long it is believed, where that adapts.
    pub(super) fn learn(&mut self, key: &str, payload: &Payload, now: Now) -> Option<Duration> {
        let (_, tracked) = self.tracker.of_key(key)?;
        let values = Fingerprint::of(&payload.response);
        let last = tracked.last.replace((values, now.wall));
        if let Some(clock) = &mut tracked.clock {
            match (&payload.response.data, last) {
                // Targets are scraped at phases of their own, so one series is listened to.
                (Data::Matrix(columns), _) => {
                    let first = columns.iter().next();
                    let times = first.iter().flat_map(|series| series.timestamps_ms());
                    times.for_each(|&at| clock.sampled(UnixMillis(at)));
                }
                (_, Some((before, at))) if before != values => clock.changed(at, now.wall),
                _ => {}
            }
        }
        tracked.ttl.as_mut().map(|ttl| ttl.fetched(values))
    }

    fn set_due(&mut self, id: TrackId, due: Instant) {
        let Some(tracked) = self.tracker.tracked_mut(id) else {
            return;
        };
        if let Some(former) = tracked.due.replace(due) {
            self.timers.clear(former, Timer::Refresh(id));
        }
        self.timers.set(due, Timer::Refresh(id));
    }
}
