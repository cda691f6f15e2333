//! A kept answer: how old it is, how long it is a hit, and how long it may stand in.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::question::Question;
use crate::{Freshness, Instant, Now, Payload, Reuse, Thresholds, UnixMillis};

/// What an entry costs beside its payload and texts: slot, question, places in the indices, reference
/// counts.
const ENTRY_OVERHEAD_BYTES: usize = 500;

/// A kept answer.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) payload: Arc<Payload>,
    pub(crate) as_of: UnixMillis,
    pub(crate) received: Now,
    pub(crate) ttl: Duration,
    /// What it answers, and the source that does, by its place in the collector's list.
    pub(crate) question: Arc<Question>,
    pub(crate) source: usize,
    /// Whether somebody was told that it is getting old.
    pub(crate) warned: bool,
    /// Whether somebody may be giving it out again without asking.
    pub(crate) lent: bool,
}

impl Entry {
    /// How old the data is. A question about the past is measured against the instant it asked
    /// about; one about now against the wall clock, and never less than what has passed since it
    /// was received, so that a wall clock that steps back does not make data young.
    pub(crate) fn age(&self, now: Now) -> Duration {
        match self.question.asked {
            Some(asked) => asked.min(now.wall).since(self.as_of),
            None => {
                let at_receipt = self.received.wall.since(self.as_of);
                now.wall
                    .since(self.as_of)
                    .max(at_receipt + now.mono.since(self.received.mono))
            }
        }
    }

    /// How much longer it counts as a hit; `None` from the very end of its ttl on.
    pub(crate) fn ttl_left(&self, now: Now) -> Option<Duration> {
        let left = self.ttl_end().since(now.mono);
        (!left.is_zero()).then_some(left)
    }

    /// From here on it is no hit.
    pub(super) fn ttl_end(&self) -> Instant {
        self.received.mono + self.ttl
    }

    pub(crate) fn freshness(&self, now: Now) -> Freshness {
        self.thresholds().verdict(self.age(now))
    }

    pub(crate) fn thresholds(&self) -> &Thresholds {
        &self.question.thresholds
    }

    /// Whether it is so old that somebody should be told.
    pub(crate) fn is_ageing(&self, now: Now) -> bool {
        self.age(now) > self.thresholds().warn_past
    }

    /// For how long it may be given out again without asking, at most `longest`.
    pub(crate) fn reuse(&self, longest: Duration, now: Now) -> Option<Reuse> {
        let ages = match self.question.asked {
            Some(asked) if asked > now.wall => return None,
            asked => asked.is_none(),
        };
        // The next to read it is to be warned.
        if self.is_ageing(now) && !self.warned {
            return None;
        }
        let mut left = self.ttl_left(now)?.min(longest);
        if ages {
            let (age, thresholds) = (self.age(now), self.thresholds());
            if age < thresholds.fresh_below {
                left = left.min(thresholds.fresh_below - age);
            }
            for past in [thresholds.warn_past, thresholds.unavailable_past] {
                left = left.min(past.checked_sub(age).unwrap_or(Duration::MAX));
            }
        }
        (!left.is_zero()).then_some(Reuse { left, ages })
    }

    /// Before when on the monotonic clock, and up to when on the wall's, it is a hit and surely
    /// not ageing, so that a read can tell without an age.
    pub(super) fn plain_until(&self) -> (Instant, UnixMillis) {
        let never = (Instant::ZERO, UnixMillis(i64::MIN));
        let quiet = self.thresholds().warn_past;
        if let Some(asked) = self.question.asked {
            let ageless = asked.since(self.as_of) <= quiet;
            return if ageless {
                (self.ttl_end(), UnixMillis(i64::MAX))
            } else {
                never
            };
        }
        let at_receipt = self.received.wall.since(self.as_of);
        let Some(left) = quiet.checked_sub(at_receipt) else {
            return never;
        };
        let quiet_ms = i64::try_from(quiet.as_millis()).unwrap_or(i64::MAX);
        let wall = UnixMillis(self.as_of.0.saturating_add(quiet_ms));
        (self.ttl_end().min(self.received.mono + left), wall)
    }

    /// How far past its ttl it is; zero within it.
    pub(crate) fn overdue(&self, now: Now) -> Duration {
        now.mono.since(self.received.mono).saturating_sub(self.ttl)
    }

    /// Whether it may stand in past its ttl: behind a refresh, or for a source that fails.
    pub(crate) fn is_usable(&self, now: Now) -> bool {
        now.mono < self.useless_from() && self.freshness(now) != Freshness::Unavailable
    }

    /// From here on nobody can be served from it.
    pub(super) fn useless_from(&self) -> Instant {
        self.ttl_end() + self.thresholds().unavailable_past
    }

    pub(super) fn byte_size(&self) -> usize {
        let body = self.payload.body.as_ref().map_or(0, Vec::capacity);
        ENTRY_OVERHEAD_BYTES + self.question.byte_size() + body + self.payload.response.byte_size()
    }
}
