//! A source as it stands in the file, and how it becomes what the collector and the transport are
//! told.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use serde::Deserialize;
use tidegate_client::native::{SourceUrl, UrlError};
use tidegate_core::{PackConfig, SourceConfig, SourceKind, Thresholds};
use toml::Spanned;

use super::ConfiguredSource;
use super::error::{ConfigError, meant};
use super::place::Place;
use super::template::Template;
use super::value::{Count, Span};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    pub(super) name: Spanned<String>,
    url: Option<Spanned<String>>,
    targets: Option<Spanned<Vec<Target>>>,
    collect_interval: Option<Span>,
    honor_labels: Option<bool>,
    #[serde(default)]
    kind: Kind,
    ttl: Option<Span>,
    ttl_max: Option<Span>,
    refusal_ttl: Option<Span>,
    instant_step: Option<Span>,
    timeout: Option<Span>,
    fresh_below: Option<Span>,
    warn_past: Option<Span>,
    unavailable_past: Option<Span>,
    probe_interval: Option<Span>,
    #[serde(default)]
    refresh: Refresh,
    #[serde(default)]
    retry: Retry,
    #[serde(default)]
    breaker: Breaker,
    #[serde(default)]
    packs: Vec<Spanned<String>>,
    #[serde(default)]
    template: Vec<Spanned<Template>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Prometheus,
    Scrape,
    Push,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    name: Spanned<String>,
    url: Spanned<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Refresh {
    interval: Option<Span>,
    idle_after: Option<Span>,
    align: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Retry {
    retries_max: Option<u32>,
    backoff: Option<Span>,
    factor: Option<Count>,
    backoff_max: Option<Span>,
    budget_percent: Option<u32>,
    budget_floor: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Breaker {
    failures_max: Option<u32>,
    open: Option<Span>,
    open_max: Option<Span>,
}

/// The names and addresses of a source's targets, in order.
type Targets = Vec<(String, SourceUrl)>;

impl Source {
    /// The source, with its faults shown in `place`; `table` is where it stands, `known` the packs
    /// that there are.
    pub(super) fn configured(
        self,
        known: &[PackConfig],
        place: Place<'_>,
        table: &Range<usize>,
    ) -> Result<ConfiguredSource, ConfigError> {
        let (url, targets) = self.addresses(place, table)?;
        let defaults = SourceConfig::prometheus(self.name.get_ref().clone());
        let mut config = SourceConfig {
            kind: self.kind.into(),
            ttl: or(self.ttl, defaults.ttl),
            ttl_max: self.ttl_max.map(|span| span.0),
            refusal_ttl: or(self.refusal_ttl, defaults.refusal_ttl),
            instant_step: or(self.instant_step, defaults.instant_step),
            timeout: or(self.timeout, defaults.timeout),
            thresholds: Thresholds {
                fresh_below: or(self.fresh_below, defaults.thresholds.fresh_below),
                warn_past: or(self.warn_past, defaults.thresholds.warn_past),
                unavailable_past: or(self.unavailable_past, defaults.thresholds.unavailable_past),
            },
            probe_interval: or(self.probe_interval, defaults.probe_interval),
            targets: targets.iter().map(|(name, _)| name.clone()).collect(),
            collect_interval: or(self.collect_interval, defaults.collect_interval),
            honor_labels: self.honor_labels.unwrap_or(defaults.honor_labels),
            ..defaults
        };
        self.refresh.apply(&mut config);
        self.retry.apply(&mut config);
        self.breaker.apply(&mut config);
        let thresholds = config.thresholds;
        for template in self.template {
            let span = place.first_line(&template.span());
            let template = template.get_ref().configured(thresholds, place, span)?;
            config.templates.push(template);
        }
        let packs = self.packs.iter().map(|name| {
            let found = pack(name, known, place)?;
            if config.kind == SourceKind::Prometheus {
                return Ok(found);
            }
            let message = format!(
                "a source of kind {:?} cannot answer the queries of a pack",
                config.kind.as_str()
            );
            let hint = "packs are for sources of kind \"prometheus\"".to_owned();
            Err(place.at(name.span(), message, Some(hint)))
        });
        let packs = packs.collect::<Result<Vec<_>, _>>()?;
        config.add_packs(packs);
        Ok(ConfiguredSource {
            config,
            url,
            targets: targets.into_iter().collect(),
        })
    }

    /// What each kind needs of `url` and `targets`, and nothing else.
    fn addresses(
        &self,
        place: Place<'_>,
        table: &Range<usize>,
    ) -> Result<(Option<SourceUrl>, Targets), ConfigError> {
        let name = self.name.get_ref();
        match (self.kind, &self.url, &self.targets) {
            (Kind::Prometheus, Some(url), None) => Ok((Some(base(url, place)?), Vec::new())),
            (Kind::Scrape, None, Some(targets)) => {
                Ok((None, self::targets(targets.get_ref(), place)?))
            }
            (Kind::Push, None, None) => Ok((None, Vec::new())),
            (Kind::Prometheus | Kind::Push, _, Some(targets)) => {
                let message = "only a source of kind \"scrape\" has targets".to_owned();
                Err(place.at(targets.span(), message, None))
            }
            (Kind::Prometheus, None, None) => {
                let message = format!("source {name:?} has no url");
                let hint = "add url = \"http://HOST:9090\", or kind = \"push\" if samples are pushed to it";
                Err(place.at(place.first_line(table), message, Some(hint.into())))
            }
            (Kind::Scrape, Some(url), _) => {
                let message =
                    "a source of kind \"scrape\" has targets in place of a url".to_owned();
                let hint = "write targets = [{ name = \"…\", url = \"…\" }]".to_owned();
                Err(place.at(url.span(), message, Some(hint)))
            }
            (Kind::Scrape, None, None) => {
                let message = format!("source {name:?} has no targets");
                let hint = "add targets = [{ name = \"…\", url = \"http://HOST:9100/metrics\" }]";
                Err(place.at(place.first_line(table), message, Some(hint.into())))
            }
            (Kind::Push, Some(url), None) => {
                let message =
                    "a source of kind \"push\" has no url: samples are pushed to it".to_owned();
                Err(place.at(url.span(), message, Some("leave the url out".into())))
            }
        }
    }
}

/// The pack of this name.
fn pack<'a>(
    name: &Spanned<String>,
    known: &'a [PackConfig],
    place: Place<'_>,
) -> Result<&'a PackConfig, ConfigError> {
    let found = known.iter().find(|pack| pack.name == *name.get_ref());
    found.ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|pack| pack.name.as_str()).collect();
        let message = format!("unknown pack `{}`", name.get_ref());
        place.at(name.span(), message, Some(meant(name.get_ref(), &names)))
    })
}

pub(super) fn or(value: Option<Span>, default: Duration) -> Duration {
    value.map_or(default, |span| span.0)
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

fn base(url: &Spanned<String>, place: Place<'_>) -> Result<SourceUrl, ConfigError> {
    url.get_ref()
        .parse()
        .map_err(|error: UrlError| place.at(url.span(), error.to_string(), None))
}

fn targets(targets: &[Target], place: Place<'_>) -> Result<Targets, ConfigError> {
    let mut names = BTreeSet::new();
    let mut found = Vec::with_capacity(targets.len());
    for target in targets {
        let name = target.name.get_ref();
        if !names.insert(name) {
            let message = format!("two targets of this source are named {name:?}");
            return Err(place.at(target.name.span(), message, None));
        }
        let url = SourceUrl::target(target.url.get_ref())
            .map_err(|error| place.at(target.url.span(), error.to_string(), None))?;
        found.push((name.clone(), url));
    }
    Ok(found)
}

impl Refresh {
    fn apply(self, config: &mut SourceConfig) {
        config.fetch_interval = or(self.interval, config.fetch_interval);
        config.idle_after = or(self.idle_after, config.idle_after);
        set(&mut config.align, self.align);
    }
}

impl Retry {
    fn apply(self, config: &mut SourceConfig) {
        let retry = &mut config.retry;
        set(&mut retry.retries_max, self.retries_max);
        retry.backoff = or(self.backoff, retry.backoff);
        retry.backoff_max = or(self.backoff_max, retry.backoff_max);
        // What does not fit waits as long as may be anyway.
        let factor = |count: Count| u32::try_from(count.0).unwrap_or(u32::MAX);
        set(&mut retry.factor, self.factor.map(factor));
        set(&mut config.retry_budget.ratio_percent, self.budget_percent);
        set(&mut config.retry_budget.floor, self.budget_floor);
    }
}

impl Breaker {
    fn apply(self, config: &mut SourceConfig) {
        let breaker = &mut config.breaker;
        set(&mut breaker.failures_max, self.failures_max);
        breaker.open = or(self.open, breaker.open);
        breaker.open_max = or(self.open_max, breaker.open_max);
    }
}

impl From<Kind> for SourceKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Prometheus => Self::Prometheus,
            Kind::Scrape => Self::Scrape,
            Kind::Push => Self::Push,
        }
    }
}
