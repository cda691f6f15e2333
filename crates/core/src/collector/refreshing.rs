//! Keys kept warm: when tracking begins, when each is fetched, when it ends.

use alloc::sync::Arc;
use core::time::Duration;

use tidegate_wire::Data;

use super::Collector;
use crate::flight::Purpose;
use crate::question::Question;
use crate::timers::Timer;
use crate::tracker::{TrackId, Tracked};
use crate::{
    AdaptiveTtl, BreakerState, Fingerprint, Instant, Now, Payload, Priority, ScrapeClock,
    UnixMillis,
};

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
        if !question.recurs() || !source.keeps_warm() || !self.cache.is_enabled() {
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
            let source = &self.sources[tracked.source];
            if source.keeps_warm() && self.cache.is_enabled() {
                tracked.configure(&source.settings);
            } else {
                self.drop_tracking(id, now);
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
        // Its fetch may have been given up, and made room for another.
        self.launch_all(now);
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
                self.flights.set_refresh(flight, false);
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
        let adapted = tracked.ttl.as_ref().map(AdaptiveTtl::ttl);
        let interval = source
            .settings
            .fetch_interval
            .max(adapted.unwrap_or_default());
        let believed = adapted.unwrap_or(tracked.question.ttl);
        let clock = tracked.clock.as_ref();
        let wait = clock
            .and_then(|clock| aligned(clock, interval, believed, now))
            .unwrap_or_else(|| self.random.jittered(interval, EARLY.0, EARLY.1));
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

/// How long a key waits that is to be fetched just after new data can exist: until then, or in
/// equal steps that lead there. No step is shorter than four fifths of the interval, and none
/// longer than the interval or than the last answer is `believed`, so that the key stays warm.
fn aligned(
    clock: &ScrapeClock,
    interval: Duration,
    believed: Duration,
    now: Now,
) -> Option<Duration> {
    /// Instants that are looked at. Five steps fit to whatever is five intervals ahead, and sooner
    /// than that there are not as many, or the first fits.
    const AHEAD_MAX: usize = 32;
    let least = interval / 5 * 4;
    let most = interval.max(believed).max(INTERVAL_MIN);
    let least_ms = i64::try_from(least.as_millis()).ok()?;
    // A millisecond before, so that the soonest itself will do.
    let mut after = UnixMillis(now.wall.0.checked_add(least_ms)?.checked_sub(1)?);
    for _ in 0..AHEAD_MAX {
        after = clock.next_after(after, now.wall)?;
        let ahead = after.since(now.wall);
        let steps = ahead.as_nanos().div_ceil(most.as_nanos());
        let step = ahead / u32::try_from(steps.max(1)).ok()?;
        if step >= least {
            return Some(step);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long a key waits `since_ms` after a scrape, in milliseconds, where scrapes come every
    /// `period_s`.
    fn waits_ms(since_ms: i64, period_s: i64, interval_s: u64, believed_s: u64) -> u128 {
        let mut clock = ScrapeClock::new();
        (0..9).for_each(|k| clock.sampled(UnixMillis(k * period_s * 1_000)));
        let now = Now {
            mono: Instant::ZERO,
            wall: UnixMillis(8 * period_s * 1_000 + 500 + since_ms),
        };
        let seconds = Duration::from_secs;
        let wait = aligned(&clock, seconds(interval_s), seconds(believed_s), now);
        wait.expect("there is a way").as_millis()
    }

    #[test]
    fn new_data_that_comes_oftener_than_wanted_is_left_out() {
        assert_eq!(waits_ms(0, 15, 30, 30), 30_000);
        assert_eq!(waits_ms(0, 15, 15, 15), 15_000);
        assert_eq!(waits_ms(0, 7, 30, 30), 28_000);
        assert_eq!(waits_ms(0, 1, 30, 30), 24_000);
    }

    #[test]
    fn a_key_is_kept_warm_until_its_data_can_be_new() {
        assert_eq!(waits_ms(0, 60, 30, 30), 30_000);
        assert_eq!(waits_ms(0, 60, 30, 60), 60_000);
        assert_eq!(waits_ms(0, 15, 5, 30), 15_000);
    }

    #[test]
    fn where_no_instant_fits_the_interval_steps_lead_to_one_that_does() {
        // 20 s would be too soon, and at 40 s the last answer is no hit any more.
        assert_eq!(waits_ms(0, 20, 30, 30), 30_000);
        assert_eq!(waits_ms(0, 50, 40, 0), 33_333);
        assert_eq!(waits_ms(12_500, 15, 15, 15), 12_500);
        for since_ms in (0..60_000).step_by(100) {
            for (period_s, interval_s) in [(15, 30), (20, 30), (60, 30), (60, 59), (599, 7)] {
                let wait_ms = waits_ms(since_ms, period_s, interval_s, 0);
                let interval_ms = u128::from(interval_s) * 1_000;
                assert!((interval_ms * 4 / 5..=interval_ms).contains(&wait_ms));
            }
        }
    }

    #[test]
    fn nothing_is_aligned_to_a_clock_that_knows_nothing() {
        let never = aligned(&ScrapeClock::new(), INTERVAL_MIN, INTERVAL_MIN, Now::ZERO);
        assert_eq!(never, None);
    }
}
