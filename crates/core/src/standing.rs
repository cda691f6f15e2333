//! How one backend has fared: whether it is left alone, when it last answered, what failed last.
//!
//! A source has one, except for kind scrape, where each target has its own: targets are different
//! programs on different machines, and one that is dead says nothing of the others.

use alloc::string::String;

use crate::{Breaker, BreakerConfig, Instant, Now, SourceHealth, UnixMillis};

/// What is remembered of the exchanges with a backend.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) breaker: Breaker,
    pub(crate) last_success: Option<Now>,
    /// The last failure and when it happened, kept after a success.
    pub(crate) last_error: Option<(UnixMillis, String)>,
    pub(crate) failures_in_a_row: u64,
}

impl Standing {
    /// Of a backend that nothing was heard of yet.
    pub(crate) const fn new(breaker: BreakerConfig) -> Self {
        Self {
            breaker: Breaker::new(breaker),
            last_success: None,
            last_error: None,
            failures_in_a_row: 0,
        }
    }

    pub(crate) const fn heard(&mut self, now: Now) {
        self.last_success = Some(now);
        self.failures_in_a_row = 0;
    }

    /// Notes a failure; says whether it is the first in a row.
    pub(crate) fn failed(&mut self, message: String, now: Now) -> bool {
        self.last_error = Some((now.wall, message));
        self.failures_in_a_row += 1;
        self.failures_in_a_row == 1
    }

    /// The last failure in words; empty before the first.
    pub(crate) fn last_failure(&self) -> &str {
        self.last_error.as_ref().map_or("", |(_, message)| message)
    }

    pub(crate) fn last_success_mono(&self) -> Option<Instant> {
        self.last_success.map(|now| now.mono)
    }

    pub(crate) const fn health(&self) -> SourceHealth {
        match (self.failures_in_a_row, self.last_success) {
            (0, None) => SourceHealth::Unknown,
            (0, Some(_)) => SourceHealth::Up,
            (1.., _) => SourceHealth::Down,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_is_as_well_as_its_last_exchange() {
        let mut standing = Standing::new(BreakerConfig::default());
        assert_eq!(standing.health(), SourceHealth::Unknown);
        assert!(standing.failed("gone".into(), Now::ZERO));
        assert!(!standing.failed("away".into(), Now::ZERO));
        assert_eq!(
            (standing.health(), standing.failures_in_a_row),
            (SourceHealth::Down, 2)
        );
        standing.heard(Now::ZERO);
        assert_eq!(
            (standing.health(), standing.failures_in_a_row),
            (SourceHealth::Up, 0)
        );
        assert_eq!(standing.last_success_mono(), Some(Instant::ZERO));
        assert_eq!(standing.last_failure(), "away");
    }
}
