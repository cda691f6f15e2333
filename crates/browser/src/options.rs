//! What `create` and `query` are given, checked and in the collector's words.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tidegate_core::{Ask, CacheConfig, Config, SourceConfig, Thresholds, UnixMillis};
use wasm_bindgen::JsValue;

/// Options of `create`, as `index.js` passes them on: the sources in order.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateOptions {
    pub(crate) sources: Vec<(String, SourceOptions)>,
    cache_bytes_max: Option<f64>,
}

/// One source's options.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SourceOptions {
    pub(crate) url: String,
    ttl_ms: Option<f64>,
    timeout_ms: Option<f64>,
    fresh_below_ms: Option<f64>,
    warn_past_ms: Option<f64>,
    unavailable_past_ms: Option<f64>,
    probe_interval_ms: Option<f64>,
}

/// Options of `query`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QueryOptions {
    source: Option<String>,
    time_ms: Option<f64>,
    max_age_ms: Option<f64>,
    allow_stale: Option<bool>,
    timeout_ms: Option<f64>,
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
    /// The configuration, with the core's defaults where nothing is said.
    pub(crate) fn config(&self) -> Result<Config, String> {
        let sources: Result<_, String> = self
            .sources
            .iter()
            .map(|(name, options)| options.config(name))
            .collect();
        let mut config = Config::with_sources(sources?);
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
        let base = SourceConfig::prometheus(name);
        let span = |option, ms, default| {
            duration(option, ms, default).map_err(|error| format!("source {name}: {error}"))
        };
        Ok(SourceConfig {
            ttl: span("ttlMs", self.ttl_ms, base.ttl)?,
            timeout: span("timeoutMs", self.timeout_ms, base.timeout)?,
            thresholds: Thresholds {
                fresh_below: span(
                    "freshBelowMs",
                    self.fresh_below_ms,
                    base.thresholds.fresh_below,
                )?,
                warn_past: span("warnPastMs", self.warn_past_ms, base.thresholds.warn_past)?,
                unavailable_past: span(
                    "unavailablePastMs",
                    self.unavailable_past_ms,
                    base.thresholds.unavailable_past,
                )?,
            },
            // A page that asks nothing shall cause no traffic.
            probe_interval: span("probeIntervalMs", self.probe_interval_ms, Duration::ZERO)?,
            ..base
        })
    }
}

impl QueryOptions {
    /// The question.
    pub(crate) fn ask(self, expr: String) -> Result<Ask, String> {
        let mut ask = Ask::promql(expr);
        ask.source = self.source;
        if let Some(ms) = self.time_ms {
            if !ms.is_finite() {
                return Err(format!("timeMs must be a number of milliseconds, not {ms}"));
            }
            ask.time = Some(UnixMillis(ms.round() as i64));
        }
        ask.max_age = optional("maxAgeMs", self.max_age_ms)?;
        ask.timeout = optional("timeoutMs", self.timeout_ms)?;
        ask.allow_stale = self.allow_stale.unwrap_or(false);
        Ok(ask)
    }
}

fn optional(option: &str, ms: Option<f64>) -> Result<Option<Duration>, String> {
    ms.map(|ms| duration(option, Some(ms), Duration::ZERO))
        .transpose()
}

/// `Infinity` is as long as can be said.
fn duration(option: &str, ms: Option<f64>, default: Duration) -> Result<Duration, String> {
    match ms {
        None => Ok(default),
        Some(ms) if ms >= 0.0 => {
            Ok(Duration::try_from_secs_f64(ms / 1_000.0).unwrap_or(Duration::MAX))
        }
        Some(ms) => Err(format!("{option} must be 0 or more, not {ms}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> SourceOptions {
        SourceOptions {
            url: "http://h".into(),
            ttl_ms: None,
            timeout_ms: None,
            fresh_below_ms: None,
            warn_past_ms: None,
            unavailable_past_ms: None,
            probe_interval_ms: None,
        }
    }

    fn create(source: SourceOptions, cache_bytes_max: Option<f64>) -> Result<Config, String> {
        CreateOptions {
            sources: vec![("prom".into(), source)],
            cache_bytes_max,
        }
        .config()
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
            timeout_ms: Some(250.0),
            ..QueryOptions::default()
        };
        let ask = options.ask("up".into()).unwrap();
        let expected = Ask {
            time: Some(UnixMillis(1_700_000_000_000)),
            allow_stale: true,
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
}
