//! The configuration as plain data, its defaults with their reasons, and its checks.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::{TemplateError, Thresholds};

/// The source that answers from Tidegate's own series. It is always there.
pub(crate) const LOCAL: &str = "local";

/// Everything a collector is told at its construction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The sources beside `local`, in order; the first that can be queried over HTTP is the
    /// default source, else `local` is.
    pub sources: Vec<SourceConfig>,
    /// The answer cache.
    pub cache: CacheConfig,
    /// Tidegate's own series.
    pub local: LocalConfig,
    /// What bounds everything else.
    pub limits: Limits,
}

impl Config {
    /// The defaults, with these sources.
    pub fn with_sources(sources: Vec<SourceConfig>) -> Self {
        Self {
            sources,
            ..Self::default()
        }
    }

    /// Checks what types cannot.
    ///
    /// # Errors
    /// The first thing wrong, with the source and template it is about.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let mut names = BTreeSet::from([LOCAL]);
        for source in &self.sources {
            if !is_name(&source.name) {
                return Err(ConfigError::BadName {
                    name: source.name.clone(),
                });
            }
            if !names.insert(&source.name) {
                return Err(ConfigError::DuplicateSource {
                    name: source.name.clone(),
                });
            }
            if !source.thresholds.is_ordered() {
                return Err(ConfigError::Thresholds {
                    source: source.name.clone(),
                });
            }
            if source.timeout.is_zero() {
                return Err(ConfigError::ZeroTimeout {
                    source: source.name.clone(),
                });
            }
        }
        Ok(())
    }
}

/// Names of sources and templates stand in URLs, keys and log lines, so they are kept plain.
pub(crate) fn is_name(name: &str) -> bool {
    const NAME_BYTES_MAX: usize = 128;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name.bytes().all(plain)
        && !name.starts_with(['-', '.'])
}

/// What kind of backend a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceKind {
    /// Speaks the Prometheus HTTP API.
    Prometheus,
    /// Pushes samples, which land in `local`; asked, it is answered from there.
    Push,
}

/// A named backend.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceConfig {
    /// Letters, digits, `_`, `-` and `.`; unique; not `local`.
    pub name: String,
    /// What it speaks.
    pub kind: SourceKind,
    /// How long an answer counts as a hit: 30 s, two scrapes of the usual 15 s.
    pub ttl: Duration,
    /// How long a fetch may take: 10 s, as long as a dashboard's reader waits.
    pub timeout: Duration,
    /// When data turns stale and unavailable.
    pub thresholds: Thresholds,
    /// How long it may stay silent before it is probed: 30 s; zero never probes.
    pub probe_interval: Duration,
    /// Its catalog.
    pub templates: Vec<TemplateConfig>,
}

impl SourceConfig {
    /// A Prometheus source of this name, with the defaults.
    pub fn prometheus(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: SourceKind::Prometheus,
            ttl: Duration::from_secs(30),
            timeout: Duration::from_secs(10),
            thresholds: Thresholds::default(),
            probe_interval: Duration::from_secs(30),
            templates: vec![],
        }
    }

    /// A push source of this name, with the defaults.
    pub fn push(name: impl Into<String>) -> Self {
        Self {
            kind: SourceKind::Push,
            ..Self::prometheus(name)
        }
    }
}

/// How a template's text is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TemplateKind {
    /// PromQL with `{{.param}}` in it.
    #[default]
    PromQl,
    /// A bare metric name; every parameter given becomes a label matcher.
    Metric,
}

/// A registered query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplateConfig {
    /// Its name in the catalog: letters, digits, `_`, `-` and `.`.
    pub name: String,
    /// How `text` is read.
    pub kind: TemplateKind,
    /// PromQL with parameters, or a metric's name.
    pub text: String,
    /// Declared parameters. One that stands in a string or a duration needs no declaration.
    pub params: Vec<ParamConfig>,
    /// Overrides the source's ttl.
    pub ttl: Option<Duration>,
    /// For people.
    pub description: String,
}

/// A declared parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamConfig {
    /// Its name, as in `{{.name}}`.
    pub name: String,
    /// What its value must be where it stands outside of strings and durations.
    pub kind: ParamType,
}

/// What a parameter's value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamType {
    /// A metric name.
    Metric,
    /// A label name.
    Label,
    /// A decimal number.
    Number,
}

impl ParamType {
    /// The word for it, in configurations and errors.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Metric => "metric",
            Self::Label => "label",
            Self::Number => "number",
        }
    }
}

/// The answer cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheConfig {
    /// Whether answers are kept at all. When off, every ask fetches (and still shares a fetch in
    /// flight), and there is nothing to serve when a source fails.
    pub enabled: bool,
    /// What all kept answers may weigh: 64 MiB, a few hundred large dashboards.
    pub bytes_max: usize,
    /// How often answers past all use are dropped: 60 s.
    pub cleanup_interval: Duration,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            bytes_max: 64 << 20,
            cleanup_interval: Duration::from_secs(60),
        }
    }
}

/// Tidegate's own series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalConfig {
    /// How many series are kept: 10,000, ten busy nodes.
    pub series_max: usize,
    /// How many points each keeps: 5,760, which is 24 h at 15 s or 96 min at 1 s.
    pub points_max: usize,
    /// How long a series that no longer arrives is kept: 24 h.
    pub expire_after: Duration,
    /// How far an instant query looks back: 5 min, as Prometheus does.
    pub lookback: Duration,
}

impl Default for LocalConfig {
    fn default() -> Self {
        Self {
            series_max: 10_000,
            points_max: 5_760,
            expire_after: Duration::from_secs(24 * 3600),
            lookback: Duration::from_secs(300),
        }
    }
}

/// What bounds queues, bodies and texts. Over a limit is an error that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A query's length: 128 KiB, far above what people and dashboards write, and low enough that
    /// no parser behind us is asked to choke.
    pub query_bytes_max: usize,
    /// Fetches in flight to one source: 256; a Prometheus evaluates 20 at once and queues the rest.
    pub fetches_per_source_max: usize,
    /// Askers that wait for one fetch: 10,000.
    pub askers_per_fetch_max: usize,
    /// A pushed batch: 100,000 samples.
    pub samples_per_record_max: usize,
    /// How long a settled answer, about a past instant, is believed: 1 h.
    pub settled_age_max: Duration,
    /// How far in the past an instant is settled: 5 min, the usual out-of-order window and
    /// look-back.
    pub settle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            query_bytes_max: 128 << 10,
            fetches_per_source_max: 256,
            askers_per_fetch_max: 10_000,
            samples_per_record_max: 100_000,
            settled_age_max: Duration::from_secs(3600),
            settle: Duration::from_secs(300),
        }
    }
}

/// What is wrong with a configuration; its author is to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A source's name has other characters than names may have, or none.
    BadName {
        /// The name given.
        name: String,
    },
    /// Two sources share a name, or one is called `local`.
    DuplicateSource {
        /// The name.
        name: String,
    },
    /// A source's thresholds are not in order.
    Thresholds {
        /// The source.
        source: String,
    },
    /// A source's timeout is zero, so no fetch could succeed.
    ZeroTimeout {
        /// The source.
        source: String,
    },
    /// A template is wrong.
    Template {
        /// The source it belongs to.
        source: String,
        /// What is wrong with it.
        error: TemplateError,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadName { name } => {
                write!(
                    f,
                    "bad source name {name:?}: use letters, digits, '_', '-' and '.', beginning with none of '-' and '.'"
                )
            }
            Self::DuplicateSource { name } if name == LOCAL => {
                write!(
                    f,
                    "no source may be named \"local\": that is Tidegate's own"
                )
            }
            Self::DuplicateSource { name } => write!(f, "two sources are named {name:?}"),
            Self::Thresholds { source } => {
                write!(
                    f,
                    "source {source}: thresholds must be in order: fresh_below <= warn_past <= unavailable_past"
                )
            }
            Self::ZeroTimeout { source } => write!(
                f,
                "source {source}: the timeout is zero, so no fetch could succeed"
            ),
            Self::Template { source, error } => write!(f, "source {source}: {error}"),
        }
    }
}

impl core::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn the_default_configuration_is_valid() {
        assert_eq!(Config::default().check(), Ok(()));
        assert_eq!(
            Config::with_sources(vec![SourceConfig::prometheus("a"), SourceConfig::push("b")])
                .check(),
            Ok(())
        );
    }

    #[test]
    fn names_are_plain_and_unique() {
        for name in ["", "a b", "ä", "../x", "a/b", "-x"] {
            let error = Config::with_sources(vec![SourceConfig::prometheus(name)])
                .check()
                .unwrap_err();
            assert_eq!(
                error,
                ConfigError::BadName {
                    name: name.to_string()
                }
            );
        }
        let twice =
            Config::with_sources(vec![SourceConfig::prometheus("a"), SourceConfig::push("a")]);
        assert_eq!(
            twice.check(),
            Err(ConfigError::DuplicateSource { name: "a".into() })
        );
        let local = Config::with_sources(vec![SourceConfig::prometheus("local")]);
        assert!(
            local
                .check()
                .unwrap_err()
                .to_string()
                .contains("Tidegate's own")
        );
    }

    #[test]
    fn thresholds_out_of_order_are_refused() {
        let mut source = SourceConfig::prometheus("a");
        source.thresholds.warn_past = Duration::from_secs(1);
        assert_eq!(
            Config::with_sources(vec![source]).check(),
            Err(ConfigError::Thresholds { source: "a".into() })
        );
    }
}
