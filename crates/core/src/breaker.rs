//! Whether a source that keeps failing is to be asked at all.

use core::time::Duration;

use crate::Instant;

/// One lost packet or restart makes a failure or two; five in a row are trouble.
const FAILURES_MAX: u32 = 5;
/// About what a restart takes.
const OPEN: Duration = Duration::from_secs(10);
/// A source that is back is noticed within two minutes at worst.
const OPEN_MAX: Duration = Duration::from_secs(120);

/// The bounds of a [`Breaker`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerConfig {
    /// Opens at this many failures in a row: 5; zero never opens.
    pub failures_max: u32,
    /// How long it stays open at first: 10 s. Doubles with every probe that fails.
    pub open: Duration,
    /// It never stays open longer than this: 2 min.
    pub open_max: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            failures_max: FAILURES_MAX,
            open: OPEN,
            open_max: OPEN_MAX,
        }
    }
}

/// Whether a fetch may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Yes,
    /// It may, and it is the one by which the source is judged.
    Probe,
    /// It may not.
    No {
        /// When to ask again; always ahead, unless the configured duration is zero. While a
        /// probe is under way nobody knows, so it is one open time from now: ask again when the
        /// probe ends.
        until: Instant,
    },
}

/// What a breaker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Fetches pass.
    Closed,
    /// None passes.
    Open {
        /// When a probe will be let through.
        until: Instant,
    },
    /// A probe is under way, or the next fetch will be one.
    HalfOpen,
}

impl BreakerState {
    /// The word for it, in documents and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// The breaker of one source. Ask it before every fetch; tell it how each one that it let pass
/// ended, by exactly one of `succeeded`, `failed` and `abandoned`.
///
/// A success is whatever shows that the source works, 4xx among it: those are the asker's fault.
/// A failure is an error of network or source: no response, a 5xx, a body that is none. Abandoned
/// is a fetch that says nothing about the source: cancelled, or never sent.
///
/// Each result comes with the instant at which its fetch `began`, the `now` of its admission,
/// because late ones do not count: a fetch begun before the breaker last opened or closed tells of
/// a past that was judged already. So while it is open nothing counts, while a probe is under way
/// only the probe does, and once that has closed it, only what began no sooner than it closed.
#[derive(Clone, Debug)]
pub struct Breaker {
    config: BreakerConfig,
    phase: Phase,
    /// Times in a row that it opened.
    openings: u32,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Closed { since: Instant, failures: u32 },
    Open { until: Instant },
    Probing { since: Instant },
}

impl Breaker {
    /// A closed breaker.
    pub const fn new(config: BreakerConfig) -> Self {
        Self {
            config,
            phase: Phase::Closed {
                since: Instant::ZERO,
                failures: 0,
            },
            openings: 0,
        }
    }

    /// Whether a fetch may begin now. After [`Admission::Probe`] all others are refused until that
    /// fetch has ended.
    pub fn admit(&mut self, now: Instant) -> Admission {
        match self.phase {
            Phase::Closed { .. } => Admission::Yes,
            Phase::Open { until } if now < until => Admission::No { until },
            Phase::Open { .. } => {
                self.phase = Phase::Probing { since: now };
                Admission::Probe
            }
            Phase::Probing { .. } => Admission::No {
                until: now + self.open_time(),
            },
        }
    }

    /// A fetch begun at `began` succeeded. Closes if it was the probe.
    pub fn succeeded(&mut self, began: Instant, now: Instant) {
        match &mut self.phase {
            Phase::Closed { since, failures } if began >= *since => *failures = 0,
            Phase::Probing { since } if began >= *since => {
                self.openings = 0;
                self.phase = Phase::Closed {
                    since: now,
                    failures: 0,
                };
            }
            Phase::Closed { .. } | Phase::Open { .. } | Phase::Probing { .. } => {}
        }
    }

    /// A fetch begun at `began` failed. Opens if that is one failure too many, or if it was the
    /// probe, then for twice as long as before. Says whether it opened.
    pub fn failed(&mut self, began: Instant, now: Instant) -> bool {
        match &mut self.phase {
            Phase::Closed { since, failures } if began >= *since => {
                *failures = failures.saturating_add(1);
                let opens = self.config.failures_max > 0 && *failures >= self.config.failures_max;
                if opens {
                    self.open(now);
                }
                opens
            }
            Phase::Probing { since } if began >= *since => {
                self.open(now);
                true
            }
            Phase::Closed { .. } | Phase::Open { .. } | Phase::Probing { .. } => false,
        }
    }

    /// A fetch begun at `began` was given up. If it was the probe, the next fetch is one.
    pub fn abandoned(&mut self, began: Instant, now: Instant) {
        if let Phase::Probing { since } = self.phase
            && began >= since
        {
            self.phase = Phase::Open { until: now };
        }
    }

    /// What it is doing now.
    pub fn state(&self, now: Instant) -> BreakerState {
        match self.phase {
            Phase::Closed { .. } => BreakerState::Closed,
            Phase::Open { until } if now < until => BreakerState::Open { until },
            Phase::Open { .. } | Phase::Probing { .. } => BreakerState::HalfOpen,
        }
    }

    /// Takes new bounds from the next opening on; what is open stays so.
    pub const fn reconfigure(&mut self, config: BreakerConfig) {
        self.config = config;
    }

    fn open(&mut self, now: Instant) {
        self.openings = self.openings.saturating_add(1);
        self.phase = Phase::Open {
            until: now + self.open_time(),
        };
    }

    /// min(`open_max`, `open` · 2^(`openings` − 1)).
    fn open_time(&self) -> Duration {
        let doublings = self.openings.saturating_sub(1);
        self.config
            .open
            .saturating_mul(2_u32.saturating_pow(doublings))
            .min(self.config.open_max)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TICK: Duration = Duration::from_nanos(1);

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1000)
    }

    /// A breaker that opened at `now`.
    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::new(BreakerConfig::default());
        for nth in 1..=FAILURES_MAX {
            assert_eq!(breaker.admit(now), Admission::Yes);
            assert_eq!(breaker.failed(now, now), nth == FAILURES_MAX);
        }
        breaker
    }

    #[test]
    fn it_opens_at_the_fifth_failure_in_a_row() {
        let breaker = opened(at(1));
        let until = at(11);
        assert_eq!(breaker.state(at(1)), BreakerState::Open { until });
    }

    #[test]
    fn a_success_in_between_starts_the_count_again() {
        let mut breaker = Breaker::new(BreakerConfig::default());
        for _ in 0..3 {
            for _ in 1..FAILURES_MAX {
                assert!(!breaker.failed(at(1), at(1)));
            }
            breaker.succeeded(at(1), at(1));
        }
        assert_eq!(breaker.state(at(1)), BreakerState::Closed);
    }

    #[test]
    fn exactly_one_probe_passes_and_not_a_tick_too_soon() {
        let mut breaker = opened(at(0));
        let before = Instant::from_nanos(at(10).as_nanos() - 1);
        assert_eq!(breaker.admit(before), Admission::No { until: at(10) });
        assert_eq!(breaker.state(at(10)), BreakerState::HalfOpen);
        assert_eq!(breaker.admit(at(10)), Admission::Probe);
        assert_eq!(breaker.admit(at(10)), Admission::No { until: at(20) });
        breaker.succeeded(at(10), at(10) + TICK);
        assert_eq!(breaker.admit(at(10) + TICK), Admission::Yes);
    }

    #[test]
    fn every_failed_probe_doubles_the_wait_up_to_two_minutes() {
        let mut now = at(0);
        let mut breaker = opened(now);
        for seconds in [10, 20, 40, 80, 120, 120] {
            let until = now + Duration::from_secs(seconds);
            assert_eq!(breaker.state(now), BreakerState::Open { until });
            now = until;
            assert_eq!(breaker.admit(now), Admission::Probe);
            assert!(breaker.failed(now, now));
        }
    }

    #[test]
    fn a_probe_that_closes_it_forgets_the_doubling_but_not_the_rule() {
        let mut breaker = opened(at(0));
        breaker.admit(at(10));
        breaker.failed(at(10), at(10));
        breaker.admit(at(30));
        breaker.succeeded(at(30), at(31));
        for _ in 1..FAILURES_MAX {
            assert!(!breaker.failed(at(31), at(31)));
        }
        assert!(breaker.failed(at(31), at(31)));
        let until = at(41);
        assert_eq!(breaker.state(at(31)), BreakerState::Open { until });
    }

    #[test]
    fn an_abandoned_probe_makes_room_for_another() {
        let mut breaker = opened(at(0));
        assert_eq!(breaker.admit(at(10)), Admission::Probe);
        breaker.abandoned(at(10), at(12));
        assert_eq!(breaker.state(at(12)), BreakerState::HalfOpen);
        assert_eq!(breaker.admit(at(12)), Admission::Probe);
    }

    #[test]
    fn late_results_of_fetches_begun_before_it_opened_change_nothing() {
        let mut breaker = opened(at(1));
        breaker.succeeded(at(0), at(5));
        assert!(!breaker.failed(at(1), at(5)));
        assert_eq!(breaker.state(at(5)), BreakerState::Open { until: at(11) });
        assert_eq!(breaker.admit(at(11)), Admission::Probe);
        breaker.succeeded(at(1), at(12));
        assert!(!breaker.failed(at(1), at(12)));
        breaker.abandoned(at(1), at(12));
        assert!(matches!(breaker.admit(at(12)), Admission::No { .. }));
        breaker.succeeded(at(11), at(13));
        for _ in 0..9 {
            assert!(!breaker.failed(at(1), at(14)));
        }
        assert_eq!(breaker.state(at(14)), BreakerState::Closed);
    }

    #[test]
    fn no_failures_allowed_means_no_breaker() {
        let mut breaker = Breaker::new(BreakerConfig {
            failures_max: 0,
            ..BreakerConfig::default()
        });
        assert!(!(0..99).any(|_| breaker.failed(at(1), at(1))));
        assert_eq!(breaker.admit(at(1)), Admission::Yes);
    }

    proptest! {
        #[test]
        fn it_never_lets_two_probes_pass_nor_wedges(
            steps in prop::collection::vec((0_u64..30, 0_u32..5), 0..200),
        ) {
            let mut breaker = Breaker::new(BreakerConfig::default());
            let (mut now, mut probe) = (at(0), None);
            for (seconds, kind) in steps {
                now = now + Duration::from_secs(seconds);
                match kind {
                    0 => match breaker.admit(now) {
                        Admission::Yes => prop_assert_eq!(probe, None),
                        Admission::Probe => prop_assert_eq!(probe.replace(now), None),
                        Admission::No { until } => prop_assert!(until > now),
                    },
                    1 => { breaker.failed(probe.take().unwrap_or(now), now); }
                    2 => breaker.succeeded(probe.take().unwrap_or(now), now),
                    3 => breaker.abandoned(probe.take().unwrap_or(now), now),
                    _ if probe.is_some() => { breaker.failed(at(0), now); }
                    _ => {}
                }
                if probe.is_some() {
                    prop_assert_eq!(breaker.state(now), BreakerState::HalfOpen);
                }
            }
            // Whatever happened: once the probe is over and the longest wait has passed, it admits.
            if let Some(began) = probe {
                breaker.abandoned(began, now);
            }
            let refused = matches!(breaker.admit(now + OPEN_MAX), Admission::No { .. });
            prop_assert!(!refused);
        }
    }
}
