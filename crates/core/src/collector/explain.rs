//! Why a key is answered as it is, and what happens to it next: for a person at night.

use alloc::string::String;
use core::time::Duration;

use super::Collector;
use crate::flight::{Purpose, Stage};
use crate::question::Question;
use crate::{BreakerState, Freshness, Now, TargetStatus, UnixMillis, key};

/// What is known about a key. Durations count from or to the instant it was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The kept answer, if there is one.
    pub kept: Option<Kept>,
    /// What extents its window can be cut from, if the key is a range's.
    pub covered: Option<Covered>,
    /// The refusal that is remembered, if there is one.
    pub refusal: Option<String>,
    /// The question on its way, if there is one.
    pub flight: Option<InFlight>,
    /// How the key is kept warm, if it is.
    pub tracked: Option<Tracking>,
    /// How the target that the key names is collected, if it is.
    pub collected: Option<TargetStatus>,
    /// Whether the source is left alone, or the target that the key names; `None` if it names no
    /// source.
    pub breaker: Option<BreakerState>,
    /// What an ask without further wishes would get now, and why, in a sentence.
    pub verdict: &'static str,
}

/// A kept answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kept {
    /// The instant its numbers speak for.
    pub as_of: UnixMillis,
    /// How old they are.
    pub age: Duration,
    /// The verdict on that age.
    pub freshness: Freshness,
    /// How much longer it is a hit.
    pub ttl_left: Option<Duration>,
    /// Whether it may stand in for a source that fails.
    pub usable: bool,
}

/// What is known about the windows of a range query, at its step and phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Covered {
    /// Extents kept.
    pub extents: usize,
    /// Points of time in them.
    pub points: usize,
    /// Samples in them.
    pub samples: usize,
    /// Requests under way for more.
    pub pieces_in_flight: usize,
}

/// A question on its way.
#[derive(Clone, Debug, PartialEq)]
pub struct InFlight {
    /// `queued`, `fetching`, `resting` before another try, or `gathering` while pieces of a range
    /// are.
    pub stage: &'static str,
    /// How many wait for it.
    pub askers: usize,
    /// How many times it was tried again.
    pub retries: u32,
    /// The failure that it recovers from, if one.
    pub last_error: Option<String>,
    /// How long it has left.
    pub time_left: Duration,
}

/// A key kept warm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tracking {
    /// Since its last read.
    pub read_ago: Duration,
    /// Until it is fetched next; `None` while it is.
    pub next_in: Option<Duration>,
}

impl Collector {
    /// Why this key is answered as it is, and what happens to it next. Reads nothing on behalf of
    /// an asker: neither eviction nor tracking takes note.
    pub fn explain(&self, key: &str, now: Now) -> Explanation {
        let kept = self.cache.peek(key).map(|entry| {
            let age = entry.age(now);
            Kept {
                as_of: entry.as_of,
                age,
                freshness: entry.thresholds().verdict(age),
                ttl_left: entry.ttl_left(now),
                usable: entry.is_usable(now),
            }
        });
        let source = key
            .split('/')
            .next()
            .and_then(|name| self.by_name.get(name));
        let mut explanation = Explanation {
            kept,
            covered: key::table_of(key).map(|table| self.explain_table(&table)),
            refusal: self
                .refusals
                .recall(key, now.mono)
                .map(alloc::string::ToString::to_string),
            flight: self.explain_flight(key, now),
            tracked: self.tracker.peek(key).map(|(id, tracked)| Tracking {
                read_ago: now
                    .mono
                    .since(self.tracker.last_read(id).unwrap_or_default()),
                next_in: tracked.due.map(|due| due.since(now.mono)),
            }),
            collected: source.and_then(|&at| self.collected_of(at, key, now)),
            breaker: source.map(|&at| self.breaker_of(at, key, now)),
            verdict: "",
        };
        explanation.verdict = explanation.verdict();
        explanation
    }

    fn breaker_of(&self, at: usize, key: &str, now: Now) -> BreakerState {
        let standing = self.sources[at].standing(self.target_of_key(at, key));
        standing.breaker.state(now.mono)
    }

    /// The target whose text a key is for.
    fn target_of_key(&self, at: usize, key: &str) -> Option<&str> {
        let source = &self.sources[at];
        let is_of = |target: &&String| *Question::of_target(source, target).key == *key;
        let target = source.settings.targets.iter().find(is_of);
        target.map(String::as_str)
    }

    fn collected_of(&self, at: usize, key: &str, now: Now) -> Option<TargetStatus> {
        let target = self.target_of_key(at, key)?;
        let source = &self.sources[at];
        source
            .collects()
            .then(|| source.target_status(target, now.mono))
    }

    fn explain_table(&self, table: &str) -> Covered {
        let held = self.extents.holding_of(table).unwrap_or_default();
        Covered {
            extents: held.extents,
            points: held.points,
            samples: held.samples,
            pieces_in_flight: self.flights.pieces_of(table).count(),
        }
    }

    fn explain_flight(&self, key: &str, now: Now) -> Option<InFlight> {
        let id = self.flights.of_key(key)?;
        let flight = self.flights.flight(id)?;
        let askers = match &flight.purpose {
            Purpose::Answer { askers, .. } => askers.len(),
            Purpose::Probe | Purpose::Piece(_) => 0,
        };
        Some(InFlight {
            stage: match flight.stage {
                Stage::Queued | Stage::Landed => "queued",
                Stage::Fetching { .. } => "fetching",
                Stage::Resting { .. } => "resting",
                Stage::Gathering => "gathering",
            },
            askers,
            retries: flight.retry.granted(),
            last_error: flight
                .last_error
                .as_ref()
                .map(alloc::string::ToString::to_string),
            time_left: flight.deadline.since(now.mono),
        })
    }
}

impl Explanation {
    fn verdict(&self) -> &'static str {
        let open = matches!(self.breaker, Some(BreakerState::Open { .. }));
        match (&self.kept, &self.refusal, &self.flight) {
            (
                Some(Kept {
                    ttl_left: Some(_), ..
                }),
                ..,
            ) => "a hit: the answer is within its ttl",
            (_, Some(_), _) => "an error: the source refused the same question a moment ago",
            (_, _, Some(_)) => "coalesced: the ask joins the question on its way",
            (Some(Kept { usable: true, .. }), _, None) if open => {
                "stale-on-error: the ttl is over and the source is left alone, but the answer is usable"
            }
            (_, _, None) if open => "an error: nothing usable is kept and the source is left alone",
            (Some(Kept { usable: true, .. }), _, None) => {
                "a miss: the ttl is over; the answer stands in if the source fails, or where stale data is allowed"
            }
            (Some(_), _, None) => "a miss: the answer kept is too old to be used",
            (None, _, None) if self.covered.is_some_and(|covered| covered.extents > 0) => {
                "partial: what the extents do not cover is fetched"
            }
            (None, _, None) => "a miss: nothing is kept under this key",
        }
    }
}
