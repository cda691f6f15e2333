//! A source's catalog, thresholds and health, as the collector keeps them.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;

use crate::config::is_name;
use crate::queue::Queue;
use crate::{
    Breaker, BreakerState, ConfigError, Instant, Limits, Now, RetryBudget, SourceConfig,
    SourceKind, Template, TemplateConfig, TemplateError, UnixMillis,
};

/// Targets of one scrape source that are fetched at once, so that many do not crowd out others.
const TARGETS_AT_ONCE_MAX: usize = 10;

/// Whether a source answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceHealth {
    /// Nothing was heard from it yet.
    Unknown,
    /// The last exchange with it succeeded.
    Up,
    /// The last exchange with it failed.
    Down,
}

impl SourceHealth {
    /// The word for it, in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// What is known about a source now.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceStatus {
    /// Its name.
    pub name: Arc<str>,
    /// `prometheus`, `push`, `scrape`, `plugin` or `local`.
    pub kind: &'static str,
    /// Whether it answers.
    pub health: SourceHealth,
    /// Whether it is left alone for its failures.
    pub breaker: BreakerState,
    /// When it last answered, or last pushed.
    pub last_success: Option<UnixMillis>,
    /// The last failure and when it happened, kept after a success for whoever looks later.
    pub last_error: Option<(UnixMillis, String)>,
    /// Failures since the last success.
    pub failures_in_a_row: u64,
    /// Fetches under way to it.
    pub in_flight: usize,
    /// Questions that wait for their turn.
    pub queued: usize,
    /// How many templates its catalog has.
    pub templates: usize,
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
    pub(crate) breaker: Breaker,
    pub(crate) budget: RetryBudget,
    /// Whether it was dropped by a reload; its place is free.
    pub(crate) removed: bool,
    last_success: Option<Now>,
    last_error: Option<(UnixMillis, String)>,
    failures_in_a_row: u64,
}

impl Source {
    pub(crate) fn new(settings: SourceConfig, templates: BTreeMap<String, Template>) -> Self {
        Self {
            name: settings.name.as_str().into(),
            templates,
            queue: Queue::default(),
            in_flight: 0,
            breaker: Breaker::new(settings.breaker),
            budget: RetryBudget::new(settings.retry_budget),
            removed: false,
            last_success: None,
            last_error: None,
            failures_in_a_row: 0,
            settings,
        }
    }

    /// Takes new settings; what happened so far stays as it is.
    pub(crate) fn configure(&mut self, settings: SourceConfig) {
        self.breaker.reconfigure(settings.breaker);
        if settings.retry_budget != self.settings.retry_budget {
            self.budget = RetryBudget::new(settings.retry_budget);
        }
        self.settings = settings;
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

    pub(crate) fn heard(&mut self, now: Now) {
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

    pub(crate) const fn failures_in_a_row(&self) -> u64 {
        self.failures_in_a_row
    }

    pub(crate) fn last_success_mono(&self) -> Option<Instant> {
        self.last_success.map(|now| now.mono)
    }

    pub(crate) fn status(&self, now: Instant) -> SourceStatus {
        let health = match (self.failures_in_a_row, self.last_success) {
            (0, None) => SourceHealth::Unknown,
            (0, Some(_)) => SourceHealth::Up,
            (1.., _) => SourceHealth::Down,
        };
        SourceStatus {
            name: self.name.clone(),
            kind: self.settings.kind.as_str(),
            health,
            breaker: self.breaker.state(now),
            last_success: self.last_success.map(|now| now.wall),
            last_error: self.last_error.clone(),
            failures_in_a_row: self.failures_in_a_row,
            in_flight: self.in_flight,
            queued: self.queue.len(),
            templates: self.templates.len(),
        }
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

    #[test]
    fn every_health_has_its_word() {
        let words = [
            (SourceHealth::Unknown, "unknown"),
            (SourceHealth::Up, "up"),
            (SourceHealth::Down, "down"),
        ];
        assert!(words.iter().all(|(health, word)| health.as_str() == *word));
    }

    #[test]
    fn a_source_is_as_well_as_its_last_exchange() {
        let mut source = Source::new(SourceConfig::prometheus("prom"), BTreeMap::new());
        let health = |source: &Source| source.status(Instant::ZERO).health;
        assert_eq!(health(&source), SourceHealth::Unknown);
        source.failed("gone".into(), Now::ZERO);
        assert_eq!(
            (health(&source), source.failures_in_a_row()),
            (SourceHealth::Down, 1)
        );
        source.heard(Now::ZERO);
        assert_eq!(
            (health(&source), source.failures_in_a_row()),
            (SourceHealth::Up, 0)
        );
        assert_eq!(source.last_success_mono(), Some(Instant::ZERO));
    }
}
