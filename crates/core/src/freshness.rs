//! The one rule by which data is fresh, stale or unavailable.

use core::time::Duration;

/// Below this age data is fresh: a few scrapes of the usual 15 s may be lost unnoticed.
const FRESH_BELOW: Duration = Duration::from_secs(60);
/// Past this age a warning is due: somebody should look before readers are refused.
const WARN_PAST: Duration = Duration::from_secs(120);
/// Past this age data is as good as none, which is also Prometheus' own look-back.
const UNAVAILABLE_PAST: Duration = Duration::from_secs(300);

/// What age makes of data. Ordered from best to worst, so that the worst of several is their
/// maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Freshness {
    /// Young enough to act on.
    Fresh,
    /// Usable with care.
    Stale,
    /// Too old to use.
    Unavailable,
    /// There never was any data; not the same as 0.
    Missing,
}

impl Freshness {
    /// The word for it, in headers and documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Unavailable => "unavailable",
            Self::Missing => "missing",
        }
    }
}

/// The ages at which the verdict changes. Invariant, checked with the configuration:
/// `fresh_below <= warn_past <= unavailable_past`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Fresh while the age is below this.
    pub fresh_below: Duration,
    /// A warning is due once the age is above this.
    pub warn_past: Duration,
    /// Unavailable once the age is above this.
    pub unavailable_past: Duration,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            fresh_below: FRESH_BELOW,
            warn_past: WARN_PAST,
            unavailable_past: UNAVAILABLE_PAST,
        }
    }
}

impl Thresholds {
    /// The verdict on data of this age. Never [`Freshness::Missing`]: what has an age exists.
    pub fn verdict(&self, age: Duration) -> Freshness {
        if age > self.unavailable_past {
            Freshness::Unavailable
        } else if age >= self.fresh_below {
            Freshness::Stale
        } else {
            Freshness::Fresh
        }
    }

    /// Whether each bound is at least the one before.
    pub fn is_ordered(&self) -> bool {
        self.fresh_below <= self.warn_past && self.warn_past <= self.unavailable_past
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_nanos(1);

    #[test]
    fn the_verdict_changes_exactly_at_each_threshold() {
        let thresholds = Thresholds::default();
        let verdict = |age| thresholds.verdict(age);
        assert_eq!(verdict(Duration::ZERO), Freshness::Fresh);
        assert_eq!(verdict(FRESH_BELOW - TICK), Freshness::Fresh);
        assert_eq!(verdict(FRESH_BELOW), Freshness::Stale);
        assert_eq!(verdict(UNAVAILABLE_PAST), Freshness::Stale);
        assert_eq!(verdict(UNAVAILABLE_PAST + TICK), Freshness::Unavailable);
    }

    #[test]
    fn the_worst_of_several_is_their_maximum() {
        assert_eq!(Freshness::Stale.max(Freshness::Fresh), Freshness::Stale);
        assert_eq!(
            Freshness::Unavailable.max(Freshness::Missing),
            Freshness::Missing
        );
    }

    #[test]
    fn every_state_has_its_word() {
        let words = [
            (Freshness::Fresh, "fresh"),
            (Freshness::Stale, "stale"),
            (Freshness::Unavailable, "unavailable"),
            (Freshness::Missing, "missing"),
        ];
        assert!(words.iter().all(|(state, word)| state.as_str() == *word));
    }
}
