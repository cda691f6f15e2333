//! Reads the lines of a script that configure a collector, at its head or below a `reload`.

use std::time::Duration;

use tidegate_core::{
    Config, LocalConfig, MetricConfig, ParamConfig, ParamType, SourceConfig, SourceKind,
    TemplateConfig, TemplateKind, Thresholds, packs,
};

use crate::cursor::{Cursor, duration};
use crate::{alert, definition};

/// Applies the line that `verb` begins to `config`; `None` if it configures nothing.
pub(crate) fn configure(
    config: &mut Config,
    verb: &str,
    words: Cursor<'_>,
) -> Option<Result<(), String>> {
    match verb {
        "seed" => Some(seed(config, words)),
        "feeds-sinks" => Some(feeds_sinks(config, words)),
        "cache" => Some(cache(config, words)),
        "limit" => Some(limit(config, words)),
        "local" => Some(local(&mut config.local, words)),
        "metric" => Some(metric(words).map(|metric| config.local.metrics.push(metric))),
        "source" => Some(source(words).map(|source| config.sources.push(source))),
        "template" => Some(add_template(config, words)),
        "pack" => Some(add_pack(config, words)),
        "owner" => Some(add_owner(config, words)),
        "alert" | "alert-interval" => Some(alert::line(config, verb, words)),
        "define" | "query" | "rows" | "field" => Some(definition::line(config, verb, words)),
        _ => None,
    }
}

/// The configuration that the lines below a `reload` make up.
pub(crate) fn configuration(lines: &[&str]) -> Result<Config, (usize, String)> {
    let mut config = Config::default();
    for (index, line) in lines.iter().enumerate() {
        let mut words = Cursor::new(line);
        words
            .word("a line of the configuration")
            .and_then(|verb| {
                configure(&mut config, verb, words)
                    .unwrap_or_else(|| Err(format!("{verb:?} configures nothing")))
            })
            .map_err(|message| (index + 1, message))?;
    }
    Ok(config)
}

/// `SOURCE NAME …: TEXT`, as a template is registered.
pub(crate) fn template_of(mut words: Cursor<'_>) -> Result<(String, TemplateConfig), String> {
    let owner = words.word("a source")?;
    let (head, text) = words
        .tail()
        .split_once(": ")
        .ok_or("a template looks like `SOURCE NAME: TEXT`")?;
    Ok((owner.to_owned(), template(head, text)?))
}

fn seed(config: &mut Config, mut words: Cursor<'_>) -> Result<(), String> {
    config.seed = words.number("a seed")?;
    words.end()
}

fn feeds_sinks(config: &mut Config, words: Cursor<'_>) -> Result<(), String> {
    config.feeds_sinks = true;
    words.end()
}

fn cache(config: &mut Config, mut words: Cursor<'_>) -> Result<(), String> {
    match words.word("`off` or bytes=N")?.split_once('=') {
        None => config.cache.enabled = false,
        Some(("bytes", bytes)) => config.cache.bytes_max = number("bytes", bytes)?,
        Some((name, _)) => return Err(format!("the cache has no option {name:?}")),
    }
    words.end()
}

/// A limit by its name in the configuration, which is also how errors call it.
fn limit(config: &mut Config, mut words: Cursor<'_>) -> Result<(), String> {
    let name = words.word("a limit's name")?;
    let limits = &mut config.limits;
    match name {
        "settled_age_max" => limits.settled_age_max = duration(words.word("a duration")?)?,
        "settle" => limits.settle = duration(words.word("a duration")?)?,
        _ => {
            let count = match name {
                "query_bytes_max" => &mut limits.query_bytes_max,
                "fetches_per_source_max" => &mut limits.fetches_per_source_max,
                "queue_per_source_max" => &mut limits.queue_per_source_max,
                "askers_per_fetch_max" => &mut limits.askers_per_fetch_max,
                "samples_per_record_max" => &mut limits.samples_per_record_max,
                "series_max" => &mut config.local.series_max,
                _ => return Err(format!("no limit is called {name:?}")),
            };
            *count = words.number(name)?;
        }
    }
    words.end()
}

/// A bound of Tidegate's own series by its name in the configuration.
fn local(local: &mut LocalConfig, mut words: Cursor<'_>) -> Result<(), String> {
    let name = words.word("a bound's name")?;
    match name {
        "age_max" => local.age_max = Some(duration(words.word("a duration")?)?),
        "expire_after" => local.expire_after = duration(words.word("a duration")?)?,
        "lookback" => local.lookback = duration(words.word("a duration")?)?,
        _ => {
            let count = match name {
                "series_max" => &mut local.series_max,
                "series_per_metric_max" => &mut local.series_per_metric_max,
                "labels_per_series_max" => &mut local.labels_per_series_max,
                "values_per_label_max" => &mut local.values_per_label_max,
                "points_max" => &mut local.points_max,
                "bytes_max" => &mut local.bytes_max,
                _ => return Err(format!("no bound is called {name:?}")),
            };
            *count = words.number(name)?;
        }
    }
    words.end()
}

/// `PATTERN [NAME=VALUE]…`: what is otherwise for some metrics.
fn metric(mut words: Cursor<'_>) -> Result<MetricConfig, String> {
    let mut metric = MetricConfig {
        metric: words.word("a metric")?.to_owned(),
        ..MetricConfig::default()
    };
    while let Some(option) = words.maybe_word() {
        match option.split_once('=') {
            Some(("age_max", value)) => metric.age_max = Some(duration(value)?),
            Some(("interval", value)) => metric.interval = Some(duration(value)?),
            Some((name, value)) => {
                let count = match name {
                    "series_max" => &mut metric.series_max,
                    "values_per_label_max" => &mut metric.values_per_label_max,
                    "points_max" => &mut metric.points_max,
                    _ => return Err(format!("a metric has no option {name:?}")),
                };
                *count = Some(number(name, value)?);
            }
            None => return Err(format!("{option:?} is not NAME=VALUE")),
        }
    }
    Ok(metric)
}

fn source(mut words: Cursor<'_>) -> Result<SourceConfig, String> {
    let name = words.word("a name")?;
    let mut source = match words.word("a kind")? {
        "prometheus" => SourceConfig::prometheus(name),
        "push" => SourceConfig::push(name),
        "scrape" => SourceConfig::scrape(name, Vec::new()),
        "plugin" => SourceConfig {
            kind: SourceKind::Plugin,
            ..SourceConfig::prometheus(name)
        },
        kind => {
            return Err(format!(
                "a source is of kind prometheus, push, scrape or plugin, not {kind:?}"
            ));
        }
    };
    // Probes would stand between a script and its story; those that want them say so.
    source.probe_interval = Duration::ZERO;
    while let Some(option) = words.maybe_word() {
        match option.split_once('=') {
            None if option == "align" => source.align = true,
            None if option == "honor_labels" => source.honor_labels = true,
            None => return Err(format!("{option:?} is not NAME=VALUE")),
            Some((name, value)) => source_option(&mut source, name, value)?,
        }
    }
    Ok(source)
}

fn source_option(source: &mut SourceConfig, name: &str, value: &str) -> Result<(), String> {
    let length = match name {
        "targets" => {
            source.targets = value.split(',').map(str::to_owned).collect();
            return Ok(());
        }
        "retries" => return number(name, value).map(|max| source.retry.retries_max = max),
        "budget" => return number(name, value).map(|floor| source.retry_budget.floor = floor),
        "ratio" => {
            return number(name, value).map(|percent| source.retry_budget.ratio_percent = percent);
        }
        "breaker" if value == "off" => {
            source.breaker.failures_max = 0;
            return Ok(());
        }
        "breaker" => return number(name, value).map(|max| source.breaker.failures_max = max),
        "ttl_max" => {
            source.ttl_max = Some(duration(value)?);
            return Ok(());
        }
        "ttl" => &mut source.ttl,
        "timeout" => &mut source.timeout,
        "probe" => &mut source.probe_interval,
        "refusal_ttl" => &mut source.refusal_ttl,
        "fetch_interval" => &mut source.fetch_interval,
        "idle_after" => &mut source.idle_after,
        "instant_step" => &mut source.instant_step,
        "collect" => &mut source.collect_interval,
        "backoff" => &mut source.retry.backoff,
        "backoff_max" => &mut source.retry.backoff_max,
        "open" => &mut source.breaker.open,
        "open_max" => &mut source.breaker.open_max,
        _ => {
            return threshold(&mut source.thresholds, name, value)
                .unwrap_or_else(|| Err(format!("a source has no option {name:?}")));
        }
    };
    *length = duration(value)?;
    Ok(())
}

/// `None` if no threshold is called `name`.
fn threshold(thresholds: &mut Thresholds, name: &str, value: &str) -> Option<Result<(), String>> {
    let age = match name {
        "fresh" => &mut thresholds.fresh_below,
        "warn" => &mut thresholds.warn_past,
        "unavailable" => &mut thresholds.unavailable_past,
        _ => return None,
    };
    Some(duration(value).map(|length| *age = length))
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
    value
        .parse()
        .map_err(|_| format!("{name}={value} is no such number"))
}

fn add_template(config: &mut Config, words: Cursor<'_>) -> Result<(), String> {
    let (owner, template) = template_of(words)?;
    source_above(config, &owner)?.templates.push(template);
    Ok(())
}

/// The queries of a pack, shipped or defined above, as templates of a source.
fn add_pack(config: &mut Config, mut words: Cursor<'_>) -> Result<(), String> {
    let owner = words.word("a source")?;
    let name = words.word("a pack")?;
    let mut known = packs::all().into_iter().chain(config.packs.clone());
    let pack = known
        .find(|pack| pack.name == name)
        .ok_or_else(|| format!("no pack is named {name:?}"))?;
    source_above(config, owner)?.add_packs([&pack]);
    words.end()
}

fn add_owner(config: &mut Config, words: Cursor<'_>) -> Result<(), String> {
    let (workload, owner) = owner_of(words)?;
    config.owners.insert(workload, owner);
    Ok(())
}

/// `WORKLOAD OWNER`.
pub(crate) fn owner_of(mut words: Cursor<'_>) -> Result<(String, String), String> {
    let workload = words.word("a workload")?.to_owned();
    let owner = words.word("an owner")?.to_owned();
    words.end()?;
    Ok((workload, owner))
}

fn source_above<'a>(config: &'a mut Config, name: &str) -> Result<&'a mut SourceConfig, String> {
    config
        .sources
        .iter_mut()
        .find(|source| source.name == name)
        .ok_or_else(|| format!("no source {name:?} stands above"))
}

pub(crate) fn template(head: &str, text: &str) -> Result<TemplateConfig, String> {
    let mut words = Cursor::new(head);
    let mut template = TemplateConfig {
        name: words.word("a name")?.to_owned(),
        text: text.to_owned(),
        ..TemplateConfig::default()
    };
    while let Some(option) = words.maybe_word() {
        match option.split_once('=') {
            None if option == "metric" => template.kind = TemplateKind::Metric,
            Some(("ttl", length)) => template.ttl = Some(duration(length)?),
            Some((name @ ("fresh" | "warn" | "unavailable"), length)) => {
                let thresholds = template.thresholds.get_or_insert_default();
                threshold(thresholds, name, length).unwrap_or(Ok(()))?;
            }
            Some((name, kind)) => template.params.push(param(name, kind)?),
            None => {
                return Err(format!(
                    "{option:?} is not NAME=TYPE, ttl=DURATION or metric"
                ));
            }
        }
    }
    Ok(template)
}

fn param(name: &str, kind: &str) -> Result<ParamConfig, String> {
    let kind = match kind {
        "metric" => ParamType::Metric,
        "label" => ParamType::Label,
        "number" => ParamType::Number,
        _ => {
            return Err(format!(
                "a parameter is a metric, label or number, not {kind:?}"
            ));
        }
    };
    Ok(ParamConfig {
        name: name.to_owned(),
        kind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Result<Config, (usize, String)> {
        configuration(lines)
    }

    #[test]
    fn every_setting_of_a_source_has_a_word() {
        let config = read(&[
            "  seed 7",
            "  limit queue_per_source_max 9",
            "  limit settle 1m",
            "  source p prometheus retries=1 backoff=2s backoff_max=3s budget=4 ratio=5 breaker=6 open=7s open_max=8s refusal_ttl=9s fetch_interval=10s idle_after=11s instant_step=13s ttl_max=12s align",
            "  source s scrape targets=a:1,b:2 breaker=off fresh=1s collect=14s honor_labels",
            "  template p t fresh=1s by=label: sum by ({{.by}}) (up)",
            "  pack p node",
        ])
        .unwrap();
        let [p, s] = &config.sources[..] else {
            panic!("{config:?}")
        };
        assert_eq!((config.seed, p.retry.retries_max, p.align), (7, 1, true));
        assert_eq!(config.limits.queue_per_source_max, 9);
        assert_eq!(config.limits.settle, Duration::from_secs(60));
        assert_eq!(p.retry.backoff_max, Duration::from_secs(3));
        assert_eq!((p.retry_budget.floor, p.retry_budget.ratio_percent), (4, 5));
        assert_eq!(p.breaker.open_max, Duration::from_secs(8));
        assert_eq!(p.ttl_max, Some(Duration::from_secs(12)));
        assert_eq!(p.instant_step, Duration::from_secs(13));
        let [t, rest @ ..] = &p.templates[..] else {
            panic!("{p:?}")
        };
        let thresholds = t.thresholds.unwrap();
        assert_eq!(thresholds.fresh_below, Duration::from_secs(1));
        assert_eq!(rest.len(), packs::node().queries.len());
        assert_eq!(s.targets, ["a:1", "b:2"]);
        assert_eq!(s.breaker.failures_max, 0);
        assert_eq!(s.collect_interval, Duration::from_secs(14));
        assert!(s.honor_labels && !p.honor_labels);
    }

    #[test]
    fn every_bound_of_own_series_has_a_word() {
        let config = read(&[
            "  local series_max 1",
            "  local series_per_metric_max 2",
            "  local labels_per_series_max 3",
            "  local values_per_label_max 4",
            "  local points_max 5",
            "  local bytes_max 6",
            "  local age_max 7s",
            "  local expire_after 8s",
            "  local lookback 9s",
            "  metric node_.* series_max=1 values_per_label_max=2 points_max=3 age_max=4s interval=5s",
        ]);
        let seconds = Duration::from_secs;
        let expected = LocalConfig {
            series_max: 1,
            series_per_metric_max: 2,
            labels_per_series_max: 3,
            values_per_label_max: 4,
            points_max: 5,
            bytes_max: 6,
            age_max: Some(seconds(7)),
            expire_after: seconds(8),
            lookback: seconds(9),
            metrics: vec![MetricConfig {
                metric: "node_.*".into(),
                series_max: Some(1),
                values_per_label_max: Some(2),
                points_max: Some(3),
                age_max: Some(seconds(4)),
                interval: Some(seconds(5)),
            }],
        };
        assert_eq!(config.unwrap().local, expected);
    }

    #[test]
    fn a_wrong_line_of_a_block_is_counted() {
        let error = read(&["  source p prometheus", "  http GET /"]).unwrap_err();
        assert_eq!(error, (2, "\"http\" configures nothing".to_owned()));
        let error = read(&["  source p prometheus retries=many"]).unwrap_err();
        assert_eq!(error, (1, "retries=many is no such number".to_owned()));
    }
}
