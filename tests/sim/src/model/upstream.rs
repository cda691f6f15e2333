//! What the model knows about a source: its breaker and its retries, each told as naively as can be.

use std::time::Duration;

use tidegate_core::{
    BreakerConfig, BreakerState, FetchId, Instant, RetryBudgetConfig, SourceConfig, Thresholds,
};

/// How an exchange ended, as far as the source is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Works,
    Fails,
    SaysNothing,
}

/// A breaker that knows its probe by name.
#[derive(Clone, Debug)]
pub(crate) struct Breaker {
    phase: Phase,
    openings: u32,
    /// When it last opened or closed; older fetches tell of a past that was judged.
    judged: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed { failures: u32 },
    Open { until: Instant },
    Probing { probe: FetchId },
}

impl Breaker {
    pub(crate) fn new() -> Self {
        Self {
            phase: Phase::Closed { failures: 0 },
            openings: 0,
            judged: Instant::ZERO,
        }
    }

    /// A fetch begins; an error says why it must not.
    pub(crate) fn begins(&mut self, id: FetchId, now: Instant) -> Result<(), String> {
        match self.phase {
            Phase::Closed { .. } => Ok(()),
            Phase::Open { until } if now < until => Err(format!("it is open until {until:?}")),
            Phase::Open { .. } => {
                self.phase = Phase::Probing { probe: id };
                Ok(())
            }
            Phase::Probing { probe } => Err(format!("{probe:?} is the one probe")),
        }
    }

    /// A fetch ended; says whether the breaker opened.
    pub(crate) fn ended(
        &mut self,
        id: FetchId,
        began: Instant,
        verdict: Verdict,
        config: &BreakerConfig,
        now: Instant,
    ) -> bool {
        match (self.phase, verdict) {
            (Phase::Closed { .. }, Verdict::Works) if began >= self.judged => {
                self.phase = Phase::Closed { failures: 0 };
            }
            (Phase::Closed { failures }, Verdict::Fails) if began >= self.judged => {
                let failures = failures + 1;
                self.phase = Phase::Closed { failures };
                if config.failures_max > 0 && failures >= config.failures_max {
                    self.open(config, now);
                    return true;
                }
            }
            (Phase::Probing { probe }, _) if probe == id => match verdict {
                Verdict::Works => {
                    self.phase = Phase::Closed { failures: 0 };
                    self.openings = 0;
                    self.judged = now;
                }
                Verdict::Fails => {
                    self.open(config, now);
                    return true;
                }
                Verdict::SaysNothing => self.phase = Phase::Open { until: now },
            },
            _ => {}
        }
        false
    }

    fn open(&mut self, config: &BreakerConfig, now: Instant) {
        let time = (0..self.openings).fold(config.open, |time, _| (time * 2).min(config.open_max));
        self.openings += 1;
        self.judged = now;
        self.phase = Phase::Open { until: now + time };
    }

    pub(crate) fn state(&self, now: Instant) -> BreakerState {
        match self.phase {
            Phase::Closed { .. } => BreakerState::Closed,
            Phase::Open { until } if now < until => BreakerState::Open { until },
            Phase::Open { .. } | Phase::Probing { .. } => BreakerState::HalfOpen,
        }
    }
}

/// A source as the model sees it.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    pub(crate) settings: SourceConfig,
    pub(crate) breaker: Breaker,
    pub(crate) last_opened: Option<Instant>,
    /// When first tries began, and when retries were granted.
    firsts: Vec<Instant>,
    retries: Vec<Instant>,
    /// The settings that were in force before, and until when.
    former: Vec<(Instant, SourceConfig)>,
    lateness: Duration,
}

impl Upstream {
    pub(crate) fn new(settings: SourceConfig, lateness: Duration) -> Self {
        Self {
            settings,
            breaker: Breaker::new(),
            last_opened: None,
            firsts: Vec::new(),
            retries: Vec::new(),
            former: Vec::new(),
            lateness,
        }
    }

    pub(crate) fn configure(&mut self, settings: SourceConfig, now: Instant) {
        let former = core::mem::replace(&mut self.settings, settings);
        if former.retry_budget != self.settings.retry_budget {
            // What was granted under other bounds is not held against these.
            self.retries.clear();
            self.firsts.clear();
        }
        self.former.push((now, former));
    }

    /// All settings in force since then.
    pub(crate) fn since(&self, then: Instant) -> impl Iterator<Item = &SourceConfig> {
        let former = self.former.iter().filter(move |(until, _)| *until >= then);
        former.map(|(_, settings)| settings).chain([&self.settings])
    }

    /// The longest that anything begun may still be under way.
    pub(crate) fn timeout_max(&self) -> Duration {
        let former = self.former.iter().map(|(_, settings)| settings.timeout);
        former.fold(self.settings.timeout, Duration::max)
    }

    /// Settings that a question that ends now may have begun under.
    pub(crate) fn lately(&self, now: Instant) -> impl Iterator<Item = &SourceConfig> {
        let ns = now
            .as_nanos()
            .saturating_sub((self.timeout_max() + self.lateness).as_nanos() as u64);
        self.since(Instant::from_nanos(ns))
    }

    pub(crate) fn first_try(&mut self, now: Instant) {
        self.firsts.push(now);
    }

    /// A retry was granted; an error says that it must not have been.
    pub(crate) fn retry(&mut self, now: Instant) -> Result<(), String> {
        /// The running second and the nine before it.
        const WINDOW_S: u64 = 9;
        let second = |at: &Instant| at.as_nanos() / 1_000_000_000;
        let oldest = second(&now).saturating_sub(WINDOW_S);
        let count = |of: &[Instant]| of.iter().filter(|at| second(at) >= oldest).count() as u64;
        self.retries.push(now);
        let (firsts, retries) = (count(&self.firsts), count(&self.retries));
        let RetryBudgetConfig {
            ratio_percent,
            floor,
        } = self.settings.retry_budget;
        let most = (firsts * u64::from(ratio_percent) / 100).max(floor.into());
        if retries > most {
            return Err(format!(
                "{retries} retries within ten seconds that had {firsts} first tries, at most {most}"
            ));
        }
        Ok(())
    }
}

/// The thresholds a key's answers are judged by.
pub(crate) fn thresholds(settings: &SourceConfig, template: Option<&str>) -> Thresholds {
    let own = template.and_then(|name| {
        let found = settings.templates.iter().find(|t| t.name == name);
        found.and_then(|t| t.thresholds)
    });
    own.unwrap_or(settings.thresholds)
}

/// How long a key's answers are hits, leaving adaptation and settled instants aside.
pub(crate) fn ttl(settings: &SourceConfig, template: Option<&str>) -> Duration {
    let own = template.and_then(|name| {
        let found = settings.templates.iter().find(|t| t.name == name);
        found.and_then(|t| t.ttl)
    });
    own.unwrap_or(settings.ttl)
}
