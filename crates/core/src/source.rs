//! A source's catalog, settings and health, as the collector keeps them.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::collecting::{Collecting, LastScrape};
use crate::config::is_name;
use crate::queue::Queue;
use crate::standing::Standing;
use crate::{
    BreakerState, ConfigError, Instant, Limits, RetryBudget, SourceConfig, SourceKind, Template,
    TemplateConfig, TemplateError, UnixMillis,
};

/// Targets of one scrape source that are fetched at once, so that many do not crowd out others.
const TARGETS_AT_ONCE_MAX: usize = 10;

/// Whether a source answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceHealth {
    /// Nothing was heard from it yet.
    Unknown,
    /// The last exchange with it succeeded; of kind scrape, those with all its targets.
    Up,
    /// Of kind scrape: the last exchange with some target failed, and with another succeeded.
    Degraded,
    /// The last exchange with it failed; of kind scrape, that with no target succeeded.
    Down,
}

impl SourceHealth {
    /// What is true of these together.
    fn of_all(each: impl Iterator<Item = Self>) -> Self {
        let (mut up, mut down) = (false, false);
        for health in each {
            up |= matches!(health, Self::Up | Self::Degraded);
            down |= matches!(health, Self::Down | Self::Degraded);
        }
        match (up, down) {
            (false, false) => Self::Unknown,
            (true, false) => Self::Up,
            (true, true) => Self::Degraded,
            (false, true) => Self::Down,
        }
    }

    /// The word for it, in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

/// What is known about a source now; of kind scrape, about all its targets.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceStatus {
    /// Its name.
    pub name: Arc<str>,
    /// `prometheus`, `push`, `scrape`, `plugin` or `local`.
    pub kind: &'static str,
    /// Whether it answers.
    pub health: SourceHealth,
    /// Whether it is left alone for its failures; of kind scrape, whether all targets are.
    pub breaker: BreakerState,
    /// When it last answered, or last pushed.
    pub last_success: Option<UnixMillis>,
    /// The last failure and when it happened, kept after a success for whoever looks later; of
    /// kind scrape it begins with the target.
    pub last_error: Option<(UnixMillis, String)>,
    /// Failures since the last success; of kind scrape, those of the target with the most.
    pub failures_in_a_row: u64,
    /// Fetches under way to it.
    pub in_flight: usize,
    /// Questions that wait for their turn.
    pub queued: usize,
    /// How many templates its catalog has.
    pub templates: usize,
    /// Of kind scrape, how often its targets are collected; zero where they are only asked.
    pub collect_interval: Duration,
    /// Of kind scrape, its targets, by name.
    pub targets: Vec<TargetStatus>,
}

impl SourceStatus {
    /// How many of its targets are collected and succeeded the last time.
    pub fn targets_up(&self) -> usize {
        let up = |target: &&TargetStatus| {
            let last = target.last_scrape.as_ref();
            last.is_some_and(|last| last.succeeded)
        };
        self.targets.iter().filter(up).count()
    }
}

/// What is known about a target of a source of kind scrape now.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetStatus {
    /// Its name.
    pub name: String,
    /// Whether it answers.
    pub health: SourceHealth,
    /// Whether it is left alone for its failures.
    pub breaker: BreakerState,
    /// Failures since the last success.
    pub failures_in_a_row: u64,
    /// Until it is collected next; `None` where it is not.
    pub next_in: Option<Duration>,
    /// What became of its last scrape; `None` where it was not collected yet.
    pub last_scrape: Option<LastScrape>,
}

/// A source as the collector keeps it.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: Arc<str>,
    /// Its configuration, except for the templates.
    pub(crate) settings: SourceConfig,
    pub(crate) templates: BTreeMap<String, Template>,
    pub(crate) queue: Queue,
    pub(crate) in_flight: usize,
    /// How it has fared as a whole; of kind scrape, targets that are no longer configured.
    own: Standing,
    /// How each target has fared.
    targets: BTreeMap<String, Standing>,
    /// Of kind scrape, what becomes of its targets' samples.
    pub(crate) collecting: Collecting,
    pub(crate) budget: RetryBudget,
    /// Whether it was dropped by a reload; its place is free.
    pub(crate) removed: bool,
}

impl Source {
    pub(crate) fn new(settings: SourceConfig, templates: BTreeMap<String, Template>) -> Self {
        let mut source = Self {
            name: settings.name.as_str().into(),
            templates,
            queue: Queue::default(),
            in_flight: 0,
            own: Standing::new(settings.breaker),
            targets: BTreeMap::new(),
            collecting: Collecting::default(),
            budget: RetryBudget::new(settings.retry_budget),
            removed: false,
            settings,
        };
        source.list_targets();
        source
    }

    /// Takes new settings; what happened so far stays as it is.
    pub(crate) fn configure(&mut self, settings: SourceConfig) {
        let standings = self.targets.values_mut().chain([&mut self.own]);
        standings.for_each(|standing| standing.breaker.reconfigure(settings.breaker));
        if settings.retry_budget != self.settings.retry_budget {
            self.budget = RetryBudget::new(settings.retry_budget);
        }
        self.settings = settings;
        self.list_targets();
    }

    /// Takes up the targets that are configured, and drops the others.
    fn list_targets(&mut self) {
        let Self {
            settings, targets, ..
        } = self;
        if settings.kind != SourceKind::Scrape {
            return;
        }
        targets.retain(|target, _| settings.targets.contains(target));
        for target in &settings.targets {
            if !targets.contains_key(target) {
                targets.insert(target.clone(), Standing::new(settings.breaker));
            }
        }
    }

    /// How it has fared, or that target of it.
    pub(crate) fn standing(&self, target: Option<&str>) -> &Standing {
        let target = target.and_then(|target| self.targets.get(target));
        target.unwrap_or(&self.own)
    }

    /// The same, to be told how an exchange ended.
    pub(crate) fn standing_mut(&mut self, target: Option<&str>) -> &mut Standing {
        let target = target.and_then(|target| self.targets.get_mut(target));
        target.unwrap_or(&mut self.own)
    }

    /// Whether its targets' samples become series of Tidegate's own.
    pub(crate) const fn collects(&self) -> bool {
        !self.settings.collect_interval.is_zero()
    }

    /// Whether what is read is fetched in the background; what is collected is fetched anyway.
    pub(crate) const fn keeps_warm(&self) -> bool {
        !self.settings.fetch_interval.is_zero() && !self.collects()
    }

    /// How long a fetch may take: where targets are collected, no longer than until the next.
    pub(crate) fn timeout(&self) -> Duration {
        match self.collects() {
            true => self.settings.timeout.min(self.settings.collect_interval),
            false => self.settings.timeout,
        }
    }

    /// How many fetches may be under way to it.
    pub(crate) fn parallel_max(&self, limits: &Limits) -> usize {
        match self.settings.kind {
            SourceKind::Scrape => limits.fetches_per_source_max.min(TARGETS_AT_ONCE_MAX),
            SourceKind::Prometheus | SourceKind::Push | SourceKind::Plugin => {
                limits.fetches_per_source_max
            }
        }
        .max(1)
    }

    pub(crate) fn is_probed(&self) -> bool {
        self.settings.kind == SourceKind::Prometheus && !self.settings.probe_interval.is_zero()
    }

    pub(crate) fn status(&self, now: Instant) -> SourceStatus {
        let targets = self
            .targets
            .iter()
            .map(|(target, of)| (Some(&**target), of));
        let mut standings: Vec<(Option<&str>, &Standing)> = targets.collect();
        if standings.is_empty() {
            standings.push((None, &self.own));
        }
        let each = || standings.iter().map(|(_, standing)| *standing);
        let last_error = standings
            .iter()
            .filter_map(|(target, of)| of.last_error.as_ref().map(|error| (*target, error)))
            .max_by_key(|(_, (at, _))| *at);
        SourceStatus {
            name: self.name.clone(),
            kind: self.settings.kind.as_str(),
            health: SourceHealth::of_all(each().map(Standing::health)),
            breaker: each()
                .map(|of| of.breaker.state(now))
                .min_by_key(leniency)
                .unwrap_or(BreakerState::Closed),
            last_success: each()
                .filter_map(|of| of.last_success.map(|now| now.wall))
                .max(),
            last_error: last_error.map(|(target, (at, message))| match target {
                Some(target) => (*at, format!("{target}: {message}")),
                None => (*at, message.clone()),
            }),
            failures_in_a_row: each().map(|of| of.failures_in_a_row).max().unwrap_or(0),
            in_flight: self.in_flight,
            queued: self.queue.len(),
            templates: self.templates.len(),
            collect_interval: self.settings.collect_interval,
            targets: self
                .targets
                .keys()
                .map(|target| self.target_status(target, now))
                .collect(),
        }
    }

    pub(crate) fn target_status(&self, target: &str, now: Instant) -> TargetStatus {
        let of = self.standing(Some(target));
        let collected = self.collecting.target(target);
        TargetStatus {
            name: target.into(),
            health: of.health(),
            breaker: of.breaker.state(now),
            failures_in_a_row: of.failures_in_a_row,
            next_in: collected.map(|collected| collected.due.since(now)),
            last_scrape: collected.and_then(|collected| collected.last.clone()),
        }
    }
}

/// Orders breakers by how soon something may pass.
const fn leniency(state: &BreakerState) -> (u8, Instant) {
    match *state {
        BreakerState::Closed => (0, Instant::ZERO),
        BreakerState::HalfOpen => (1, Instant::ZERO),
        BreakerState::Open { until } => (2, until),
    }
}

/// Takes the templates out of a source's configuration and reads them.
pub(crate) fn parse_catalog(
    settings: &mut SourceConfig,
) -> Result<BTreeMap<String, Template>, ConfigError> {
    let mut templates = BTreeMap::new();
    for template in core::mem::take(&mut settings.templates) {
        let blame = |error| ConfigError::Template {
            source: settings.name.clone(),
            error,
        };
        let parsed = parse_template(&template).map_err(blame)?;
        if templates.insert(template.name.clone(), parsed).is_some() {
            return Err(blame(TemplateError::Duplicate {
                name: template.name,
            }));
        }
    }
    Ok(templates)
}

/// Reads one template of a catalog.
pub(crate) fn parse_template(template: &TemplateConfig) -> Result<Template, TemplateError> {
    if !is_name(&template.name) {
        return Err(TemplateError::BadName {
            name: template.name.clone(),
        });
    }
    Template::parse(template)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Now;

    #[test]
    fn every_health_has_its_word() {
        let words = [
            (SourceHealth::Unknown, "unknown"),
            (SourceHealth::Up, "up"),
            (SourceHealth::Degraded, "degraded"),
            (SourceHealth::Down, "down"),
        ];
        assert!(words.iter().all(|(health, word)| health.as_str() == *word));
    }

    #[test]
    fn of_kind_scrape_a_source_is_as_well_as_its_targets() {
        let targets = ["a", "b"].map(String::from).to_vec();
        let mut source = Source::new(SourceConfig::scrape("pods", targets), BTreeMap::new());
        let health = |source: &Source| source.status(Instant::ZERO).health;
        assert_eq!(health(&source), SourceHealth::Unknown);
        source.standing_mut(Some("a")).heard(Now::ZERO);
        assert_eq!(health(&source), SourceHealth::Up);
        source
            .standing_mut(Some("b"))
            .failed("gone".into(), Now::ZERO);
        assert_eq!(health(&source), SourceHealth::Degraded);
        let status = source.status(Instant::ZERO);
        assert_eq!(status.failures_in_a_row, 1);
        assert_eq!(status.last_success, Some(UnixMillis(0)));
        assert_eq!(status.last_error, Some((UnixMillis(0), "b: gone".into())));
        source
            .standing_mut(Some("a"))
            .failed("away".into(), Now::ZERO);
        assert_eq!(health(&source), SourceHealth::Down);
        // Whoever is no target any more is no longer counted.
        let only_c = SourceConfig::scrape("pods", ["c"].map(String::from).to_vec());
        source.configure(only_c);
        source
            .standing_mut(Some("a"))
            .failed("late".into(), Now::ZERO);
        assert_eq!(health(&source), SourceHealth::Unknown);
    }

    #[test]
    fn a_source_is_left_alone_while_all_its_targets_are() {
        let targets = ["a", "b"].map(String::from).to_vec();
        let mut source = Source::new(SourceConfig::scrape("pods", targets), BTreeMap::new());
        let second = Instant::from_millis(1_000);
        for (target, at) in [("a", second), ("b", Instant::ZERO)] {
            assert_eq!(source.status(second).breaker, BreakerState::Closed);
            let breaker = &mut source.standing_mut(Some(target)).breaker;
            assert!((0..5).any(|_| breaker.failed(at, at)));
        }
        let until = Instant::from_millis(10_000);
        assert_eq!(source.status(second).breaker, BreakerState::Open { until });
        assert_eq!(source.status(until).breaker, BreakerState::HalfOpen);
    }
}
