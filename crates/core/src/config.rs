//! The configuration as plain data, its defaults with their reasons, and its checks.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use tidegate_series::LABEL_VALUE_BYTES_MAX;

use crate::pack::packs;
use crate::{
    AlertsConfig, BreakerConfig, OwnerError, OwnerMap, PackConfig, RetryBudgetConfig, RetryConfig,
    Thresholds,
};

mod error;
mod local;

pub use error::ConfigError;
pub use local::{LocalConfig, MetricConfig};

/// Targets of one scrape source: each is fetched for one ask, so more belong to a Prometheus.
const TARGETS_MAX: usize = 1_000;

/// The shortest interval at which targets are collected: what is shorter measures the measuring.
const COLLECT_INTERVAL_MIN: Duration = Duration::from_millis(100);

/// Packs beside the shipped ones: more than purposes that one Tidegate serves.
const PACKS_MAX: usize = 64;

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
    /// Packs beside those that are shipped, whose names they must not have. They say what records
    /// there are; their queries are asked where a source has them among its templates.
    pub packs: Vec<PackConfig>,
    /// Owners by workload, see [`OwnerMap`].
    pub owners: BTreeMap<String, String>,
    /// Alert rules on Tidegate's own series.
    pub alerts: AlertsConfig,
    /// What bounds everything else.
    pub limits: Limits,
    /// What every random choice, such as jitter, is drawn from: the same seed and the same calls
    /// give the same outputs.
    pub seed: u64,
    /// Whether what is added to Tidegate's own series is said in [`crate::Output::Append`].
    pub feeds_sinks: bool,
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
    /// The first thing wrong, with the source and template, or the pack, it is about.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        check_packs(&self.packs)?;
        self.local.rules()?;
        owner_map(&self.owners).map_err(ConfigError::Owner)?;
        self.alerts.check().map_err(ConfigError::Alert)?;
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
            if source.kind == SourceKind::Scrape {
                check_targets(source)?;
            }
            check_collecting(source)?;
            if source.timeout.is_zero() {
                return Err(ConfigError::ZeroTimeout {
                    source: source.name.clone(),
                });
            }
            if let Some(template) = source.templates.iter().find(|template| {
                template
                    .thresholds
                    .is_some_and(|thresholds| !thresholds.is_ordered())
            }) {
                return Err(ConfigError::TemplateThresholds {
                    source: source.name.clone(),
                    template: template.name.clone(),
                });
            }
        }
        Ok(())
    }
}

/// Packs are told apart by their names, those that are shipped included.
fn check_packs(configured: &[PackConfig]) -> Result<(), ConfigError> {
    if configured.len() > PACKS_MAX {
        return Err(ConfigError::TooManyPacks {
            packs: configured.len(),
        });
    }
    let mut names: BTreeSet<&str> = packs::NAMES.into();
    for pack in configured {
        if !names.insert(&pack.name) {
            return Err(ConfigError::DuplicatePack {
                name: pack.name.clone(),
            });
        }
        pack.check().map_err(|error| ConfigError::Pack {
            pack: pack.name.clone(),
            error,
        })?;
    }
    Ok(())
}

pub(crate) fn owner_map(owners: &BTreeMap<String, String>) -> Result<OwnerMap, OwnerError> {
    let mut map = OwnerMap::default();
    for (workload, owner) in owners {
        map.register(workload, owner)?;
    }
    Ok(map)
}

/// A scrape source has targets, each once, and no more than one ask can make up an answer of.
fn check_targets(source: &SourceConfig) -> Result<(), ConfigError> {
    let (name, targets) = (&source.name, &source.targets);
    if targets.is_empty() || targets.len() > TARGETS_MAX {
        return Err(ConfigError::Targets {
            source: name.clone(),
            targets: targets.len(),
        });
    }
    let mut seen = BTreeSet::new();
    match targets.iter().find(|target| !seen.insert(*target)) {
        None => Ok(()),
        Some(target) => Err(ConfigError::DuplicateTarget {
            source: name.clone(),
            target: target.clone(),
        }),
    }
}

/// Targets are collected of kind scrape only, and not without end.
fn check_collecting(source: &SourceConfig) -> Result<(), ConfigError> {
    let interval = source.collect_interval;
    if interval.is_zero() {
        return Ok(());
    }
    if source.kind != SourceKind::Scrape || interval < COLLECT_INTERVAL_MIN {
        return Err(ConfigError::CollectInterval {
            source: source.name.clone(),
            interval,
        });
    }
    // Their names become values of a label.
    let is_value = |target: &&String| (1..=LABEL_VALUE_BYTES_MAX).contains(&target.len());
    match source.targets.iter().find(|target| !is_value(target)) {
        None => Ok(()),
        Some(target) => Err(ConfigError::TargetName {
            source: source.name.clone(),
            bytes: target.len(),
        }),
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
    /// Exposes samples as text at each of its `targets`; asked, they are all fetched and answer
    /// selectors, each series with its target's name as label `target`.
    Scrape,
    /// Answered by whoever drives the collector, in Prometheus' envelope.
    Plugin,
}

impl SourceKind {
    /// The word for it, in configurations and documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::Push => "push",
            Self::Scrape => "scrape",
            Self::Plugin => "plugin",
        }
    }
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
    /// For kind scrape, the names of its targets; only the driver knows their addresses.
    pub targets: Vec<String>,
    /// For kind scrape, how often each target's samples are added to Tidegate's own series, where
    /// they have the labels `job`, the source's name, and `instance`, the target's: zero never
    /// does, else 100 ms or more; it bounds the timeout. Targets are fetched each at its own
    /// moment of the interval.
    pub collect_interval: Duration,
    /// For kind scrape, whether labels `job` and `instance` of a text stay as they are in
    /// Tidegate's own series; else they are renamed to `exported_job` and `exported_instance`.
    pub honor_labels: bool,
    /// How long a refusal (a wrong query, an execution error) is remembered: 5 s, so that a
    /// mended rule or a new recording is seen soon; zero remembers none.
    pub refusal_ttl: Duration,
    /// How often a key that is read is fetched in the background: 30 s; zero never does.
    pub fetch_interval: Duration,
    /// How long after its last read a key is still fetched: 5 min.
    pub idle_after: Duration,
    /// To whole multiples of what the `time` of an instant query is rounded down while it is not
    /// settled: zero leaves it as it is. For clients that send the current second in place of
    /// none, all of whose questions would otherwise be new; their answers then speak for up to so
    /// much earlier.
    pub instant_step: Duration,
    /// Up to where the ttl widens while values stand still; `None` leaves it as it is.
    pub ttl_max: Option<Duration>,
    /// Whether background fetches fall just after the source's own data can be new, learned from
    /// when values change; at most a fifth sooner than `fetch_interval` says, and only where that
    /// keeps the key warm.
    pub align: bool,
    /// When a failed fetch is tried again.
    pub retry: RetryConfig,
    /// How many retries there may be in all.
    pub retry_budget: RetryBudgetConfig,
    /// When a failing source is left alone.
    pub breaker: BreakerConfig,
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
            targets: vec![],
            collect_interval: Duration::ZERO,
            honor_labels: false,
            refusal_ttl: Duration::from_secs(5),
            fetch_interval: Duration::from_secs(30),
            idle_after: Duration::from_secs(300),
            instant_step: Duration::ZERO,
            ttl_max: None,
            align: false,
            retry: RetryConfig::default(),
            retry_budget: RetryBudgetConfig::default(),
            breaker: BreakerConfig::default(),
            templates: vec![],
        }
    }

    /// A source of this name that exposes text at these targets, with the defaults.
    pub fn scrape(name: impl Into<String>, targets: Vec<String>) -> Self {
        Self {
            kind: SourceKind::Scrape,
            targets,
            ..Self::prometheus(name)
        }
    }

    /// A push source of this name, with the defaults.
    pub fn push(name: impl Into<String>) -> Self {
        Self {
            kind: SourceKind::Push,
            ..Self::prometheus(name)
        }
    }

    /// Adds the queries of these packs to its templates. Where it has a template of the same name,
    /// its own stays: so a query can be fitted to what a cluster exports. Templates that two packs
    /// have stay twice, for the collector to refuse.
    pub fn add_packs<'a>(&mut self, packs: impl IntoIterator<Item = &'a PackConfig>) {
        let names = self.templates.iter().map(|template| template.name.clone());
        let own: BTreeSet<String> = names.collect();
        let queries = packs.into_iter().flat_map(|pack| &pack.queries);
        let new = queries.filter(|query| !own.contains(&query.name));
        self.templates.extend(new.cloned());
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
    /// Overrides the source's thresholds.
    pub thresholds: Option<Thresholds>,
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

impl CacheConfig {
    /// What kept answers may weigh: nothing where the cache is off.
    pub(crate) fn bytes(&self) -> usize {
        if self.enabled { self.bytes_max } else { 0 }
    }
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

/// What bounds queues, bodies and texts. Over a limit is an error that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A query's length: 128 KiB, far above what people and dashboards write, and low enough that
    /// no parser behind us is asked to choke.
    pub query_bytes_max: usize,
    /// Fetches under way to one source: 20, as many queries as a Prometheus evaluates at once; for
    /// kind scrape at most 10. What comes on top queues here, where it can be shared and cancelled.
    pub fetches_per_source_max: usize,
    /// Questions queued for one source: 1,024, some seconds of work.
    pub queue_per_source_max: usize,
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
            fetches_per_source_max: 20,
            queue_per_source_max: 1_024,
            askers_per_fetch_max: 10_000,
            samples_per_record_max: 100_000,
            settled_age_max: Duration::from_secs(3600),
            settle: Duration::from_secs(300),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::TemplateError;

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
    fn a_template_s_thresholds_out_of_order_are_refused() {
        let thresholds = Thresholds {
            warn_past: Duration::ZERO,
            ..Thresholds::default()
        };
        let mut source = SourceConfig::prometheus("a");
        source.templates.push(TemplateConfig {
            name: "t".into(),
            text: "up".into(),
            thresholds: Some(thresholds),
            ..TemplateConfig::default()
        });
        let error = Config::with_sources(vec![source]).check().unwrap_err();
        assert!(error.to_string().contains("template \"t\""), "{error}");
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

    #[test]
    fn a_wrong_configuration_is_told_with_its_value() {
        let mut source = SourceConfig::prometheus("a");
        source.timeout = Duration::ZERO;
        let zero = Config::with_sources(vec![source]).check().unwrap_err();
        assert!(
            zero.to_string()
                .starts_with("source a: the timeout is zero")
        );
        let cases = [
            (
                ConfigError::BadName { name: "a b".into() },
                "bad source name \"a b\"",
            ),
            (
                ConfigError::DuplicateSource { name: "a".into() },
                "two sources are named \"a\"",
            ),
            (
                ConfigError::Thresholds { source: "a".into() },
                "source a: thresholds",
            ),
            (
                ConfigError::Template {
                    source: "a".into(),
                    error: TemplateError::Duplicate { name: "t".into() },
                },
                "source a: two templates are named \"t\"",
            ),
        ];
        for (error, text) in cases {
            assert!(error.to_string().starts_with(text), "{error}");
        }
    }

    #[test]
    fn a_source_s_own_template_stays_in_place_of_a_pack_s_query() {
        let mut source = SourceConfig::prometheus("a");
        source.templates.push(TemplateConfig {
            name: "node_ram".into(),
            text: "own".into(),
            ..TemplateConfig::default()
        });
        let node = packs::node();
        source.add_packs([&node]);
        let rams = source
            .templates
            .iter()
            .filter(|template| template.name == "node_ram");
        let texts: Vec<&str> = rams.map(|template| template.text.as_str()).collect();
        assert_eq!(texts, ["own"]);
        assert_eq!(source.templates.len(), node.queries.len());
    }

    #[test]
    fn packs_have_names_of_their_own() {
        let check = |names: &[&str]| {
            let named = |name: &&str| PackConfig {
                name: (*name).into(),
                ..PackConfig::default()
            };
            let config = Config {
                packs: names.iter().map(named).collect(),
                ..Config::default()
            };
            config.check().map_err(|error| error.to_string())
        };
        assert_eq!(check(&["a", "b"]), Ok(()));
        assert_eq!(check(&["a", "a"]).unwrap_err(), "two packs are named \"a\"");
        let shipped = check(&["node"]).unwrap_err();
        assert!(shipped.contains("that one is shipped"), "{shipped}");
        let bad = check(&["a b"]).unwrap_err();
        assert!(bad.starts_with("pack a b: bad name"), "{bad}");
        assert_eq!(
            check(&["a"; PACKS_MAX + 1]).unwrap_err(),
            "65 packs, at most 64 are taken"
        );
    }

    #[test]
    fn owners_have_names() {
        let config = Config {
            owners: [("llama".into(), String::new())].into(),
            ..Config::default()
        };
        let said = config.check().unwrap_err().to_string();
        assert!(said.starts_with("owners: names of workloads"), "{said}");
    }

    #[test]
    fn only_targets_are_collected_and_not_without_end() {
        let scrape = || SourceConfig {
            collect_interval: Duration::from_millis(100),
            ..SourceConfig::scrape("s", vec!["a".into()])
        };
        let check = |source| Config::with_sources(vec![source]).check();
        assert_eq!(check(scrape()), Ok(()));
        let hasty = SourceConfig {
            collect_interval: Duration::from_millis(99),
            ..scrape()
        };
        let said = check(hasty).unwrap_err().to_string();
        assert!(
            said.contains("every 99ms") && said.contains("every 100ms or more"),
            "{said}"
        );
        let push = SourceConfig {
            kind: SourceKind::Push,
            ..scrape()
        };
        assert!(matches!(
            check(push),
            Err(ConfigError::CollectInterval { .. })
        ));
        for bytes in [0, 2_049] {
            let named = SourceConfig {
                targets: vec!["a".repeat(bytes)],
                ..scrape()
            };
            let source = "s".into();
            assert_eq!(check(named), Err(ConfigError::TargetName { source, bytes }));
        }
    }

    #[test]
    fn every_kind_has_its_word() {
        let kinds = [
            (SourceKind::Prometheus, "prometheus"),
            (SourceKind::Push, "push"),
            (SourceKind::Scrape, "scrape"),
            (SourceKind::Plugin, "plugin"),
        ];
        assert!(kinds.iter().all(|(kind, word)| kind.as_str() == *word));
        let types = [
            (ParamType::Metric, "metric"),
            (ParamType::Label, "label"),
            (ParamType::Number, "number"),
        ];
        assert!(types.iter().all(|(kind, word)| kind.as_str() == *word));
    }
}
