//! What `create` and `query` are given, checked and in the collector's words.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tidegate_core::{
    Ask, BreakerConfig, CacheConfig, Config, Invalidation, Range, RetryConfig, SourceConfig,
    SourceKind, Thresholds, UnixMillis,
};
use wasm_bindgen::JsValue;

use crate::address::{Address, Addresses};
use crate::alert::AlertOptions;
use crate::keeping::LocalOptions;

/// Options of `create`, as `index.js` passes them on: the sources in order.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateOptions {
    pub(crate) sources: Vec<(String, SourceOptions)>,
    cache_bytes_max: Option<f64>,
    local: Option<LocalOptions>,
    alerts: Option<Vec<AlertOptions>>,
    alert_interval_ms: Option<f64>,
    seed: Option<f64>,
}

/// One source's options.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SourceOptions {
    url: Option<String>,
    /// Names and addresses, in order.
    targets: Option<Vec<(String, String)>>,
    push: Option<bool>,
    collect_interval_ms: Option<f64>,
    honor_labels: Option<bool>,
    ttl_ms: Option<f64>,
    ttl_max_ms: Option<f64>,
    refusal_ttl_ms: Option<f64>,
    timeout_ms: Option<f64>,
    fresh_below_ms: Option<f64>,
    warn_past_ms: Option<f64>,
    unavailable_past_ms: Option<f64>,
    probe_interval_ms: Option<f64>,
    fetch_interval_ms: Option<f64>,
    idle_after_ms: Option<f64>,
    instant_step_ms: Option<f64>,
    align: Option<bool>,
    retries_max: Option<f64>,
    retry_backoff_ms: Option<f64>,
    retry_backoff_max_ms: Option<f64>,
    breaker_failures_max: Option<f64>,
    breaker_open_ms: Option<f64>,
    breaker_open_max_ms: Option<f64>,
}

/// Options of `query`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QueryOptions {
    source: Option<String>,
    sources: Option<Names>,
    time_ms: Option<f64>,
    start_ms: Option<f64>,
    end_ms: Option<f64>,
    step_ms: Option<f64>,
    max_age_ms: Option<f64>,
    allow_stale: Option<bool>,
    max_stale_ms: Option<f64>,
    timeout_ms: Option<f64>,
}

/// One name or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    Several(Vec<String>),
}

/// What `invalidate` is given.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InvalidateOptions {
    key: Option<String>,
    prefix: Option<String>,
    source: Option<String>,
    template: Option<String>,
    all: Option<bool>,
}

impl InvalidateOptions {
    /// What is to be forgotten.
    pub(crate) fn invalidation(self) -> Result<Invalidation, String> {
        let all = self.all.unwrap_or(false);
        match (self.key, self.prefix, self.source, self.template, all) {
            (Some(key), None, None, None, false) => Ok(Invalidation::Key(key)),
            (None, Some(prefix), None, None, false) => Ok(Invalidation::Prefix(prefix)),
            (None, None, Some(source), None, false) => Ok(Invalidation::Source(source)),
            (None, None, Some(source), Some(template), false) => {
                Ok(Invalidation::Template { source, template })
            }
            (None, None, None, None, true) => Ok(Invalidation::All),
            _ => Err(
                "invalidate needs one of key, prefix, source and all, or source and template"
                    .into(),
            ),
        }
    }
}

/// Reads options; an absent object is one without any.
pub(crate) fn read<T: DeserializeOwned + Default>(options: JsValue) -> Result<T, String> {
    if options.is_undefined() || options.is_null() {
        return Ok(T::default());
    }
    read_whole(options)
}

/// Reads options that must be there.
pub(crate) fn read_whole<T: DeserializeOwned>(options: JsValue) -> Result<T, String> {
    serde_wasm_bindgen::from_value(options).map_err(|error| error.to_string())
}

impl CreateOptions {
    /// Where the sources and their targets live.
    pub(crate) fn addresses(&self) -> Result<Addresses, String> {
        let mut addresses = Addresses::default();
        for (name, source) in &self.sources {
            let blame = |error| format!("source {name}: {error}");
            if let Some(url) = &source.url {
                addresses.insert(name, Address::parse(url).map_err(blame)?);
            }
            for (target, url) in source.targets.iter().flatten() {
                let blame = |error| format!("source {name}, target {target:?}: {error}");
                let address = Address::parse_target(url).map_err(blame)?;
                addresses.insert_target(name, target, address);
            }
        }
        Ok(addresses)
    }

    /// The configuration, with the core's defaults where nothing is said. `drawn` is the seed where
    /// none is given.
    pub(crate) fn config(&self, drawn: u64) -> Result<Config, String> {
        let sources: Result<_, String> = self
            .sources
            .iter()
            .map(|(name, options)| options.config(name))
            .collect();
        let mut config = Config::with_sources(sources?);
        let rules = self.alerts.iter().flatten().map(AlertOptions::rule);
        config.alerts.rules = rules.collect::<Result<_, _>>()?;
        let interval = config.alerts.interval;
        config.alerts.interval = duration("alertIntervalMs", self.alert_interval_ms, interval)?;
        config.seed = self.seed.map_or(Ok(drawn), seed)?;
        if let Some(local) = &self.local {
            config.local = local.config()?;
        }
        if let Some(bytes) = self.cache_bytes_max {
            if bytes.is_nan() || bytes < 0.0 {
                return Err(format!("cacheBytesMax must be 0 or more, not {bytes}"));
            }
            // Saturates, and what exceeds the address space is no bound at all.
            config.cache = CacheConfig {
                enabled: bytes > 0.0,
                bytes_max: bytes as usize,
                ..config.cache
            };
        }
        Ok(config)
    }
}

impl SourceOptions {
    fn config(&self, name: &str) -> Result<SourceConfig, String> {
        let blame = |error| format!("source {name}: {error}");
        self.checked(name).map_err(blame)
    }

    fn checked(&self, name: &str) -> Result<SourceConfig, String> {
        let base = SourceConfig::prometheus(name);
        let pushes = self.push.unwrap_or(false);
        let (kind, targets) = match (&self.url, &self.targets, pushes) {
            (Some(_), None, false) => (SourceKind::Prometheus, Vec::new()),
            (None, Some(targets), false) => {
                let names = targets.iter().map(|(name, _)| name.clone());
                (SourceKind::Scrape, names.collect())
            }
            (None, None, true) => (SourceKind::Push, Vec::new()),
            _ => return Err("it needs one of a url, targets and push".into()),
        };
        Ok(SourceConfig {
            kind,
            targets,
            collect_interval: duration(
                "collectIntervalMs",
                self.collect_interval_ms,
                base.collect_interval,
            )?,
            honor_labels: self.honor_labels.unwrap_or(base.honor_labels),
            ttl: duration("ttlMs", self.ttl_ms, base.ttl)?,
            ttl_max: optional("ttlMaxMs", self.ttl_max_ms)?,
            refusal_ttl: duration("refusalTtlMs", self.refusal_ttl_ms, base.refusal_ttl)?,
            timeout: duration("timeoutMs", self.timeout_ms, base.timeout)?,
            thresholds: self.thresholds(base.thresholds)?,
            // A page that asks nothing shall cause no traffic.
            probe_interval: duration("probeIntervalMs", self.probe_interval_ms, Duration::ZERO)?,
            fetch_interval: duration(
                "fetchIntervalMs",
                self.fetch_interval_ms,
                base.fetch_interval,
            )?,
            idle_after: duration("idleAfterMs", self.idle_after_ms, base.idle_after)?,
            instant_step: duration("instantStepMs", self.instant_step_ms, base.instant_step)?,
            align: self.align.unwrap_or(base.align),
            retry: self.retry(base.retry)?,
            breaker: self.breaker(base.breaker)?,
            ..base
        })
    }

    fn thresholds(&self, base: Thresholds) -> Result<Thresholds, String> {
        Ok(Thresholds {
            fresh_below: duration("freshBelowMs", self.fresh_below_ms, base.fresh_below)?,
            warn_past: duration("warnPastMs", self.warn_past_ms, base.warn_past)?,
            unavailable_past: duration(
                "unavailablePastMs",
                self.unavailable_past_ms,
                base.unavailable_past,
            )?,
        })
    }

    fn retry(&self, base: RetryConfig) -> Result<RetryConfig, String> {
        Ok(RetryConfig {
            retries_max: count("retriesMax", self.retries_max, base.retries_max)?,
            backoff: duration("retryBackoffMs", self.retry_backoff_ms, base.backoff)?,
            backoff_max: duration(
                "retryBackoffMaxMs",
                self.retry_backoff_max_ms,
                base.backoff_max,
            )?,
            ..base
        })
    }

    fn breaker(&self, base: BreakerConfig) -> Result<BreakerConfig, String> {
        Ok(BreakerConfig {
            failures_max: count(
                "breakerFailuresMax",
                self.breaker_failures_max,
                base.failures_max,
            )?,
            open: duration("breakerOpenMs", self.breaker_open_ms, base.open)?,
            open_max: duration("breakerOpenMaxMs", self.breaker_open_max_ms, base.open_max)?,
        })
    }
}

impl QueryOptions {
    /// The question.
    pub(crate) fn ask(self, expr: String) -> Result<Ask, String> {
        let mut ask = Ask::promql(expr);
        ask.sources = match (self.source, self.sources) {
            (Some(_), Some(_)) => return Err("name either source or sources".into()),
            (Some(name), None) | (None, Some(Names::One(name))) => vec![name],
            (None, Some(Names::Several(names))) if names.is_empty() => {
                return Err("sources must name at least one source".into());
            }
            (None, Some(Names::Several(names))) => names,
            (None, None) => Vec::new(),
        };
        ask.time = self.time_ms.map(|ms| instant("timeMs", ms)).transpose()?;
        ask.range = match (self.start_ms, self.end_ms, self.step_ms) {
            (None, None, None) => None,
            (Some(_), Some(_), Some(_)) if ask.time.is_some() => {
                return Err("ask either about timeMs or about startMs to endMs".into());
            }
            (Some(start), Some(end), Some(step)) => Some(Range {
                start: instant("startMs", start)?,
                end: instant("endMs", end)?,
                step: duration("stepMs", Some(step), Duration::ZERO)?,
            }),
            _ => return Err("a range needs startMs, endMs and stepMs".into()),
        };
        ask.max_age = optional("maxAgeMs", self.max_age_ms)?;
        ask.timeout = optional("timeoutMs", self.timeout_ms)?;
        ask.allow_stale = self.allow_stale.unwrap_or(false);
        ask.max_stale = optional("maxStaleMs", self.max_stale_ms)?;
        Ok(ask)
    }
}

/// A whole number that JavaScript's can hold exactly.
fn seed(seed: f64) -> Result<u64, String> {
    const SEED_MAX: f64 = 9_007_199_254_740_991.0;
    if (0.0..=SEED_MAX).contains(&seed) && seed.fract() == 0.0 {
        Ok(seed as u64)
    } else {
        Err(format!(
            "seed must be a whole number from 0 to {SEED_MAX}, not {seed}"
        ))
    }
}

pub(crate) fn instant(option: &str, ms: f64) -> Result<UnixMillis, String> {
    if !ms.is_finite() {
        return Err(format!(
            "{option} must be a number of milliseconds, not {ms}"
        ));
    }
    Ok(UnixMillis(ms.round() as i64))
}

pub(crate) fn optional(option: &str, ms: Option<f64>) -> Result<Option<Duration>, String> {
    ms.map(|ms| duration(option, Some(ms), Duration::ZERO))
        .transpose()
}

/// `Infinity` is as long as can be said.
pub(crate) fn duration(
    option: &str,
    ms: Option<f64>,
    default: Duration,
) -> Result<Duration, String> {
    match ms {
        None => Ok(default),
        Some(ms) if ms >= 0.0 => {
            Ok(Duration::try_from_secs_f64(ms / 1_000.0).unwrap_or(Duration::MAX))
        }
        Some(ms) => Err(format!("{option} must be 0 or more, not {ms}")),
    }
}

/// A whole number; what is more than a `u32` holds is as good as endless.
pub(crate) fn count(option: &str, count: Option<f64>, default: u32) -> Result<u32, String> {
    match count {
        None => Ok(default),
        // Saturates.
        Some(count) if count >= 0.0 => Ok(count as u32),
        Some(count) => Err(format!("{option} must be 0 or more, not {count}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> SourceOptions {
        SourceOptions {
            url: Some("http://h".into()),
            ..SourceOptions::default()
        }
    }

    fn create(source: SourceOptions, cache_bytes_max: Option<f64>) -> Result<Config, String> {
        CreateOptions {
            sources: vec![("prom".into(), source)],
            cache_bytes_max,
            local: None,
            alerts: None,
            alert_interval_ms: None,
            seed: None,
        }
        .config(0)
    }

    #[test]
    fn what_is_not_said_is_the_core_s_default_but_nothing_is_probed() {
        let config = create(source(), None).unwrap();
        let default = SourceConfig {
            probe_interval: Duration::ZERO,
            ..SourceConfig::prometheus("prom")
        };
        assert_eq!(config, Config::with_sources(vec![default]));
    }

    #[test]
    fn a_seed_is_drawn_unless_it_is_given() {
        let seed = |given| {
            let options = CreateOptions {
                sources: vec![("prom".into(), source())],
                cache_bytes_max: None,
                local: None,
                alerts: None,
                alert_interval_ms: None,
                seed: given,
            };
            options.config(7).map(|config| config.seed)
        };
        assert_eq!(seed(None), Ok(7));
        assert_eq!(seed(Some(0.0)), Ok(0));
        assert_eq!(seed(Some(9_007_199_254_740_991.0)), Ok((1 << 53) - 1));
        for wrong in [-1.0, 0.5, 9_007_199_254_740_992.0, f64::NAN, f64::INFINITY] {
            assert!(seed(Some(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn no_bytes_turn_the_cache_off() {
        assert!(!create(source(), Some(0.0)).unwrap().cache.enabled);
        assert_eq!(
            create(source(), Some(f64::INFINITY))
                .unwrap()
                .cache
                .bytes_max,
            usize::MAX
        );
        assert!(create(source(), Some(f64::NAN)).is_err());
    }

    #[test]
    fn durations_are_milliseconds_and_never_negative() {
        let config = create(
            SourceOptions {
                ttl_ms: Some(0.5),
                ..source()
            },
            None,
        )
        .unwrap();
        assert_eq!(config.sources[0].ttl, Duration::from_micros(500));
        let error = create(
            SourceOptions {
                timeout_ms: Some(-1.0),
                ..source()
            },
            None,
        )
        .unwrap_err();
        assert_eq!(error, "source prom: timeoutMs must be 0 or more, not -1");
        assert!(
            create(
                SourceOptions {
                    ttl_ms: Some(f64::NAN),
                    ..source()
                },
                None
            )
            .is_err()
        );
        let endless = QueryOptions {
            max_age_ms: Some(f64::INFINITY),
            ..QueryOptions::default()
        };
        assert_eq!(
            endless.ask("up".into()).unwrap().max_age,
            Some(Duration::MAX)
        );
    }

    #[test]
    fn an_ask_says_what_its_options_say() {
        let options = QueryOptions {
            source: Some("prom".into()),
            time_ms: Some(1_700_000_000_000.4),
            allow_stale: Some(true),
            max_stale_ms: Some(1_500.0),
            timeout_ms: Some(250.0),
            ..QueryOptions::default()
        };
        let ask = options.ask("up".into()).unwrap();
        let expected = Ask {
            time: Some(UnixMillis(1_700_000_000_000)),
            allow_stale: true,
            max_stale: Some(Duration::from_millis(1_500)),
            timeout: Some(Duration::from_millis(250)),
            ..Ask::promql("up").of("prom")
        };
        assert_eq!(ask, expected);
        assert!(
            QueryOptions {
                time_ms: Some(f64::NAN),
                ..QueryOptions::default()
            }
            .ask("up".into())
            .is_err()
        );
    }

    #[test]
    fn a_range_has_a_start_an_end_and_a_step_and_no_instant() {
        let ask = |time_ms, end_ms| {
            let options = QueryOptions {
                time_ms,
                start_ms: Some(1_000.0),
                end_ms,
                step_ms: Some(15_000.0),
                ..QueryOptions::default()
            };
            options.ask("up".into())
        };
        let range = Range {
            start: UnixMillis(1_000),
            end: UnixMillis(61_000),
            step: Duration::from_secs(15),
        };
        assert_eq!(ask(None, Some(61_000.0)).unwrap().range, Some(range));
        for (time_ms, end_ms) in [(Some(1.0), Some(2.0)), (None, None), (None, Some(f64::NAN))] {
            assert!(ask(time_ms, end_ms).is_err(), "{time_ms:?} {end_ms:?}");
        }
    }

    #[test]
    fn every_option_of_a_source_is_taken() {
        let config = create(
            SourceOptions {
                ttl_max_ms: Some(1.0),
                refusal_ttl_ms: Some(2.0),
                fetch_interval_ms: Some(3.0),
                idle_after_ms: Some(4.0),
                instant_step_ms: Some(11.0),
                align: Some(true),
                retries_max: Some(5.0),
                retry_backoff_ms: Some(6.0),
                retry_backoff_max_ms: Some(7.0),
                breaker_failures_max: Some(f64::INFINITY),
                breaker_open_ms: Some(9.0),
                breaker_open_max_ms: Some(10.0),
                ..source()
            },
            None,
        );
        let ms = Duration::from_millis;
        let base = SourceConfig::prometheus("prom");
        let expected = SourceConfig {
            ttl_max: Some(ms(1)),
            refusal_ttl: ms(2),
            fetch_interval: ms(3),
            idle_after: ms(4),
            instant_step: ms(11),
            align: true,
            retry: RetryConfig {
                retries_max: 5,
                backoff: ms(6),
                backoff_max: ms(7),
                ..base.retry
            },
            breaker: BreakerConfig {
                failures_max: u32::MAX,
                open: ms(9),
                open_max: ms(10),
            },
            probe_interval: Duration::ZERO,
            ..base
        };
        assert_eq!(config.unwrap().sources, [expected]);
        let wrong = SourceOptions {
            retries_max: Some(-1.0),
            ..source()
        };
        assert_eq!(
            create(wrong, None).unwrap_err(),
            "source prom: retriesMax must be 0 or more, not -1"
        );
    }

    #[test]
    fn a_source_has_a_url_or_targets_or_is_pushed_to() {
        let targets = || Some(vec![("a".to_owned(), "http://h/metrics".to_owned())]);
        let config = create(
            SourceOptions {
                targets: targets(),
                ..SourceOptions::default()
            },
            None,
        );
        let source_config = &config.unwrap().sources[0];
        assert_eq!(source_config.kind, SourceKind::Scrape);
        assert_eq!(source_config.targets, ["a"]);
        assert!(source_config.collect_interval.is_zero() && !source_config.honor_labels);
        let collected = SourceOptions {
            targets: targets(),
            collect_interval_ms: Some(15_000.0),
            honor_labels: Some(true),
            ..SourceOptions::default()
        };
        let collected = &create(collected, None).unwrap().sources[0];
        assert_eq!(collected.collect_interval, Duration::from_secs(15));
        assert!(collected.honor_labels);
        let both = SourceOptions {
            targets: targets(),
            ..source()
        };
        let said = create(both, None).unwrap_err();
        assert!(said.contains("one of a url, targets and push"), "{said}");
        assert!(create(SourceOptions::default(), None).is_err());
        let pushed = SourceOptions {
            push: Some(true),
            ..SourceOptions::default()
        };
        let config = create(pushed, None).unwrap();
        assert_eq!(config.sources[0].kind, SourceKind::Push);
        let asked = SourceOptions {
            push: Some(true),
            ..source()
        };
        assert!(create(asked, None).is_err());
    }

    #[test]
    fn sources_are_named_one_by_one_or_together() {
        let ask = |source: Option<&str>, sources| {
            let options = QueryOptions {
                source: source.map(Into::into),
                sources,
                ..QueryOptions::default()
            };
            options.ask("up".into()).map(|ask| ask.sources)
        };
        let several = || Some(Names::Several(vec!["a".into(), "b".into()]));
        assert_eq!(ask(None, several()).unwrap(), ["a", "b"]);
        assert_eq!(ask(None, Some(Names::One("a".into()))).unwrap(), ["a"]);
        assert_eq!(ask(Some("a"), None).unwrap(), ["a"]);
        assert!(ask(Some("a"), several()).is_err());
        assert!(ask(None, Some(Names::Several(vec![]))).is_err());
    }

    #[test]
    fn what_is_to_be_forgotten_is_named_in_one_way() {
        let of = |options: InvalidateOptions| options.invalidation();
        let key = InvalidateOptions {
            key: Some("k".into()),
            ..InvalidateOptions::default()
        };
        assert_eq!(of(key), Ok(Invalidation::Key("k".into())));
        let template = || InvalidateOptions {
            source: Some("s".into()),
            template: Some("t".into()),
            ..InvalidateOptions::default()
        };
        assert_eq!(
            of(template()),
            Ok(Invalidation::Template {
                source: "s".into(),
                template: "t".into()
            })
        );
        let too_much = InvalidateOptions {
            all: Some(true),
            ..template()
        };
        assert!(of(too_much).is_err());
        assert!(of(InvalidateOptions::default()).is_err());
    }
}
