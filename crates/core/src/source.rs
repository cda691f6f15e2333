//! A source's catalog, thresholds and health, as the collector keeps them.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use core::time::Duration;

use crate::config::is_name;
use crate::{
    ConfigError, Instant, Now, SourceConfig, SourceKind, Template, TemplateError, Thresholds,
    UnixMillis,
};

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
    /// `prometheus`, `push` or `local`.
    pub kind: &'static str,
    /// Whether it answers.
    pub health: SourceHealth,
    /// When it last answered, or last pushed.
    pub last_success: Option<UnixMillis>,
    /// The last failure and when it happened, kept after a success for whoever looks later.
    pub last_error: Option<(UnixMillis, String)>,
    /// Failures since the last success.
    pub failures_in_a_row: u64,
    /// Fetches in flight to it.
    pub in_flight: usize,
    /// How many templates its catalog has.
    pub templates: usize,
}

/// A source as the collector keeps it.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: Arc<str>,
    pub(crate) kind: SourceKind,
    pub(crate) ttl: Duration,
    pub(crate) timeout: Duration,
    pub(crate) thresholds: Thresholds,
    pub(crate) probe_interval: Duration,
    pub(crate) templates: BTreeMap<String, Template>,
    pub(crate) in_flight: usize,
    last_success: Option<Now>,
    last_error: Option<(UnixMillis, String)>,
    failures_in_a_row: u64,
}

impl Source {
    pub(crate) fn new(config: SourceConfig) -> Result<Self, ConfigError> {
        let blame = |error| ConfigError::Template {
            source: config.name.clone(),
            error,
        };
        let mut templates = BTreeMap::new();
        for template in &config.templates {
            let name = template.name.clone();
            if !is_name(&name) {
                return Err(blame(TemplateError::BadName { name }));
            }
            let parsed = Template::parse(template).map_err(&blame)?;
            if templates.insert(name.clone(), parsed).is_some() {
                return Err(blame(TemplateError::Duplicate { name }));
            }
        }
        Ok(Self {
            name: config.name.into(),
            kind: config.kind,
            ttl: config.ttl,
            timeout: config.timeout,
            thresholds: config.thresholds,
            probe_interval: config.probe_interval,
            templates,
            in_flight: 0,
            last_success: None,
            last_error: None,
            failures_in_a_row: 0,
        })
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

    pub(crate) fn is_failing(&self) -> bool {
        self.failures_in_a_row > 0
    }

    pub(crate) fn last_success_mono(&self) -> Option<Instant> {
        self.last_success.map(|now| now.mono)
    }

    pub(crate) fn status(&self) -> SourceStatus {
        let health = match (self.failures_in_a_row, self.last_success) {
            (0, None) => SourceHealth::Unknown,
            (0, Some(_)) => SourceHealth::Up,
            (1.., _) => SourceHealth::Down,
        };
        SourceStatus {
            name: self.name.clone(),
            kind: match self.kind {
                SourceKind::Prometheus => "prometheus",
                SourceKind::Push => "push",
            },
            health,
            last_success: self.last_success.map(|now| now.wall),
            last_error: self.last_error.clone(),
            failures_in_a_row: self.failures_in_a_row,
            in_flight: self.in_flight,
            templates: self.templates.len(),
        }
    }
}
