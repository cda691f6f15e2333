//! Whether a failed fetch is worth another try, and after which wait.

use core::time::Duration;

use crate::{FetchError, Random};

/// A source that failed four times within one question's time will hardly answer the fifth.
const RETRIES_MAX: u32 = 3;
/// A restarting process or a failing-over proxy needs about this long.
const BACKOFF: Duration = Duration::from_secs(1);
/// Each failure makes it likelier that the trouble lasts.
const FACTOR: u32 = 2;
/// Longer than any question's usual time; whoever waits longer has a refresh or a probe for it.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// How often and how patiently one question is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryConfig {
    /// Tries after the first: 3; zero never retries.
    pub retries_max: u32,
    /// The longest wait before the first retry: 1 s.
    pub backoff: Duration,
    /// How much that grows with every retry: 2 times.
    pub factor: u32,
    /// No wait is longer, whatever the source asks for: 30 s.
    pub backoff_max: Duration,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            retries_max: RETRIES_MAX,
            backoff: BACKOFF,
            factor: FACTOR,
            backoff_max: BACKOFF_MAX,
        }
    }
}

impl RetryConfig {
    /// The longest wait before the retry that follows `retries` earlier ones:
    /// min(`backoff_max`, `backoff` · `factor`^`retries`).
    pub fn ceiling(&self, retries: u32) -> Duration {
        self.backoff
            .saturating_mul(self.factor.saturating_pow(retries))
            .min(self.backoff_max)
    }
}

/// How a try failed, as far as another one is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure<'a> {
    /// There is no complete response.
    Fetch(&'a FetchError),
    /// The source answered with this HTTP status, which is not a success.
    Status(u16),
    /// A success whose body ends before what it says does.
    Truncated,
    /// A success whose body is whole and yet nothing we understand.
    Garbled,
}

impl Failure<'_> {
    /// Whether the same question may fare better in a moment: yes for what the network and an
    /// overloaded or restarting source do, no where the same answer would come again, and never
    /// for a body that was too much once.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Fetch(error) => match error {
                FetchError::Connect { .. }
                | FetchError::Reset { .. }
                | FetchError::Timeout { .. } => true,
                FetchError::TooLarge { .. }
                | FetchError::Encoding { .. }
                | FetchError::Redirect { .. }
                | FetchError::Refused { .. } => false,
            },
            Self::Status(status) => matches!(status, 429 | 502 | 503 | 504),
            Self::Truncated => true,
            Self::Garbled => false,
        }
    }
}

/// The retries of one question. Make one per question, ask it after every failure.
///
/// It knows nothing of other questions: whoever gets a wait from it still asks the source's
/// [`RetryBudget`](crate::RetryBudget) for leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    granted: u32,
}

impl Retry {
    /// No retry yet.
    pub const fn new() -> Self {
        Self { granted: 0 }
    }

    /// How many retries were granted.
    pub const fn granted(&self) -> u32 {
        self.granted
    }

    /// How long to wait before the next try; `None` when there shall be none.
    ///
    /// The wait is "full jitter" (AWS Architecture Blog, Exponential Backoff and Jitter, 2015):
    /// even between zero and [`RetryConfig::ceiling`]. What the source asked for with
    /// `Retry-After` comes first, so that those who were told the same do not come back as one:
    /// min(`backoff_max`, `retry_after` + jitter). A wait so drawn that does not end before the
    /// question's time, of which there is `left`, is not worth it: the answer is `None`.
    pub fn wait(
        &mut self,
        config: &RetryConfig,
        failure: Failure<'_>,
        retry_after: Option<Duration>,
        left: Duration,
        random: &mut Random,
    ) -> Option<Duration> {
        if self.granted >= config.retries_max || !failure.is_transient() {
            return None;
        }
        let jitter = random.up_to(config.ceiling(self.granted));
        let wait = retry_after
            .unwrap_or_default()
            .saturating_add(jitter)
            .min(config.backoff_max);
        if wait >= left {
            return None;
        }
        self.granted += 1;
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use proptest::prelude::*;

    use super::*;

    const BUSY: Failure<'_> = Failure::Status(503);
    const AGES: Duration = Duration::from_secs(3600);

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let detail = String::new;
        let after = Duration::from_secs(1);
        let transient = [
            FetchError::Connect { detail: detail() },
            FetchError::Reset { detail: detail() },
            FetchError::Timeout { after },
        ];
        let lasting = [
            FetchError::TooLarge { limit_bytes: 1 },
            FetchError::Encoding { detail: detail() },
            FetchError::Redirect { status: 302 },
            FetchError::Refused { detail: detail() },
        ];
        assert!(
            transient
                .iter()
                .all(|error| Failure::Fetch(error).is_transient())
        );
        assert!(
            !lasting
                .iter()
                .any(|error| Failure::Fetch(error).is_transient())
        );
        assert!(Failure::Truncated.is_transient());
        assert!(!Failure::Garbled.is_transient());
        let statuses: alloc::vec::Vec<u16> = (0..=u16::MAX)
            .filter(|status| Failure::Status(*status).is_transient())
            .collect();
        assert_eq!(statuses, [429, 502, 503, 504]);
    }

    #[test]
    fn there_are_three_retries_and_no_fourth() {
        let (config, mut random) = (RetryConfig::default(), Random::new(1));
        let mut retry = Retry::new();
        for _ in 0..RETRIES_MAX {
            assert!(retry.wait(&config, BUSY, None, AGES, &mut random).is_some());
        }
        assert_eq!(retry.wait(&config, BUSY, None, AGES, &mut random), None);
        assert_eq!(retry.granted(), RETRIES_MAX);
    }

    #[test]
    fn the_longest_wait_doubles_up_to_its_cap() {
        let config = RetryConfig::default();
        let seconds = [0, 1, 4, 5, u32::MAX].map(|retries| config.ceiling(retries).as_secs());
        assert_eq!(seconds, [1, 2, 16, 30, 30]);
    }

    #[test]
    fn what_the_source_asks_for_is_the_least_wait_and_capped() {
        let (config, mut random) = (RetryConfig::default(), Random::new(1));
        let mut wait = |seconds, left| {
            let asked = Some(Duration::from_secs(seconds));
            Retry::new().wait(&config, BUSY, asked, left, &mut random)
        };
        let polite = wait(5, AGES).unwrap();
        assert!(Duration::from_secs(5) <= polite && polite <= Duration::from_secs(6));
        assert_eq!(wait(86_400, AGES), Some(BACKOFF_MAX));
        assert_eq!(wait(5, Duration::from_secs(5)), None);
    }

    #[test]
    fn a_wait_that_ends_at_the_deadline_is_too_long() {
        let config = RetryConfig {
            backoff: Duration::ZERO,
            ..RetryConfig::default()
        };
        let second = Duration::from_secs(1);
        let wait = |left| Retry::new().wait(&config, BUSY, Some(second), left, &mut Random::new(1));
        assert_eq!(wait(second), None);
        assert_eq!(wait(second + Duration::from_nanos(1)), Some(second));
    }

    proptest! {
        #[test]
        fn no_wait_passes_the_deadline_or_its_ceiling(
            seed: u64,
            left_ms in 0_u64..40_000,
            asked_ms in proptest::option::of(0_u64..100_000),
        ) {
            let (config, mut random) = (RetryConfig::default(), Random::new(seed));
            let mut retry = Retry::new();
            let mut left = Duration::from_millis(left_ms);
            let asked = asked_ms.map(Duration::from_millis);
            for retries in 0..=RETRIES_MAX {
                let Some(wait) = retry.wait(&config, BUSY, asked, left, &mut random) else { break };
                prop_assert!(retries < RETRIES_MAX);
                prop_assert!(wait < left);
                let least = asked.unwrap_or_default().min(BACKOFF_MAX);
                prop_assert!(least <= wait && wait <= least + config.ceiling(retries));
                prop_assert!(wait <= BACKOFF_MAX);
                left -= wait;
            }
        }
    }
}
