//! The configuration in the words of the component border. What is not ours to say, such as
//! addresses, is not in it.

use std::collections::BTreeMap;
use std::time::Duration;

use tidegate_core::{
    AlertCondition, AlertRule, AlertsConfig, BandSide, Comparison, Config, FieldConfig, Limits,
    LocalConfig, MetricConfig, PackConfig, ParamType, RecordConfig, SourceConfig, SourceKind,
    TemplateConfig, TemplateKind, Thresholds,
};

use super::wit;

pub(in super::super) fn config(config: &Config, version: &str) -> wit::Config {
    wit::Config {
        sources: config.sources.iter().map(source).collect(),
        cache: wit::CacheConfig {
            enabled: config.cache.enabled,
            bytes_max: config.cache.bytes_max as u64,
            cleanup_interval_ms: ms(config.cache.cleanup_interval),
        },
        local: local(&config.local),
        packs: config.packs.iter().map(pack).collect(),
        owners: pairs(&config.owners),
        alerts: alerts(&config.alerts),
        limits: limits(&config.limits),
        seed: config.seed,
        version: version.to_owned(),
        feeds_sinks: config.feeds_sinks,
    }
}

fn local(local: &LocalConfig) -> wit::LocalConfig {
    wit::LocalConfig {
        series_max: local.series_max as u64,
        series_per_metric_max: local.series_per_metric_max as u64,
        labels_per_series_max: local.labels_per_series_max as u64,
        values_per_label_max: local.values_per_label_max as u64,
        points_max: local.points_max as u64,
        bytes_max: local.bytes_max as u64,
        age_max_ms: local.age_max.map(ms),
        expire_after_ms: ms(local.expire_after),
        lookback_ms: ms(local.lookback),
        metrics: local.metrics.iter().map(metric).collect(),
    }
}

fn metric(metric: &MetricConfig) -> wit::MetricConfig {
    let count = |count: usize| count as u64;
    wit::MetricConfig {
        metric: metric.metric.clone(),
        series_max: metric.series_max.map(count),
        values_per_label_max: metric.values_per_label_max.map(count),
        points_max: metric.points_max.map(count),
        age_max_ms: metric.age_max.map(ms),
        interval_ms: metric.interval.map(ms),
    }
}

fn pack(pack: &PackConfig) -> wit::PackConfig {
    wit::PackConfig {
        name: pack.name.clone(),
        description: pack.description.clone(),
        queries: pack.queries.iter().map(template).collect(),
        defaults: pairs(&pack.defaults),
        records: pack.records.iter().map(record).collect(),
    }
}

fn record(record: &RecordConfig) -> wit::RecordConfig {
    wit::RecordConfig {
        name: record.name.clone(),
        description: record.description.clone(),
        keys: record.keys.clone(),
        fields: record.fields.iter().map(field).collect(),
    }
}

fn field(field: &FieldConfig) -> wit::FieldConfig {
    wit::FieldConfig {
        name: field.name.clone(),
        query: field.query.clone(),
        by: field.by.clone(),
        unit: field.unit.clone(),
        when: field.when.clone(),
        source: field.source.clone(),
    }
}

fn alerts(alerts: &AlertsConfig) -> wit::AlertsConfig {
    wit::AlertsConfig {
        interval_ms: ms(alerts.interval),
        rules: alerts.rules.iter().map(alert_rule).collect(),
    }
}

fn alert_rule(rule: &AlertRule) -> wit::AlertRule {
    wit::AlertRule {
        name: rule.name.clone(),
        selector: rule.selector.clone(),
        condition: match &rule.condition {
            AlertCondition::Threshold { over, op, value } => {
                wit::AlertCondition::Threshold(wit::AlertThreshold {
                    over: over.as_ref().map(|over| wit::AlertWindow {
                        statistic: over.statistic.clone(),
                        window_ms: ms(over.window),
                    }),
                    op: comparison(*op),
                    value: *value,
                })
            }
            AlertCondition::RateOfChange { window, op, value } => {
                wit::AlertCondition::RateOfChange(wit::AlertRateOfChange {
                    window_ms: ms(*window),
                    op: comparison(*op),
                    value: *value,
                })
            }
            AlertCondition::Band(band) => wit::AlertCondition::Band(wit::AlertBand {
                deviations: band.deviations,
                memory_samples: band.memory_samples,
                samples_min: band.samples_min,
                distance_min: band.distance_min,
                side: match band.side {
                    BandSide::Either => wit::BandSide::Either,
                    BandSide::Above => wit::BandSide::Above,
                    BandSide::Below => wit::BandSide::Below,
                },
            }),
        },
        pending_for_ms: ms(rule.pending_for),
        keep_firing_for_ms: ms(rule.keep_firing_for),
        labels: pairs(&rule.labels),
        annotations: pairs(&rule.annotations),
    }
}

const fn comparison(op: Comparison) -> wit::Comparison {
    match op {
        Comparison::Greater => wit::Comparison::Greater,
        Comparison::GreaterEqual => wit::Comparison::GreaterEqual,
        Comparison::Less => wit::Comparison::Less,
        Comparison::LessEqual => wit::Comparison::LessEqual,
        Comparison::Equal => wit::Comparison::Equal,
        Comparison::NotEqual => wit::Comparison::NotEqual,
    }
}

fn pairs(map: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let pair = |(name, value): (&String, &String)| (name.clone(), value.clone());
    map.iter().map(pair).collect()
}

fn limits(limits: &Limits) -> wit::Limits {
    wit::Limits {
        query_bytes_max: limits.query_bytes_max as u64,
        fetches_per_source_max: limits.fetches_per_source_max as u64,
        queue_per_source_max: limits.queue_per_source_max as u64,
        askers_per_fetch_max: limits.askers_per_fetch_max as u64,
        samples_per_record_max: limits.samples_per_record_max as u64,
        settled_age_max_ms: ms(limits.settled_age_max),
        settle_ms: ms(limits.settle),
    }
}

fn source(source: &SourceConfig) -> wit::SourceConfig {
    wit::SourceConfig {
        name: source.name.clone(),
        kind: match source.kind {
            SourceKind::Push => wit::SourceKind::Push,
            SourceKind::Scrape => wit::SourceKind::Scrape,
            SourceKind::Plugin => wit::SourceKind::Plugin,
            // The configuration of this host has no other kinds.
            SourceKind::Prometheus | _ => wit::SourceKind::Prometheus,
        },
        ttl_ms: ms(source.ttl),
        timeout_ms: ms(source.timeout),
        thresholds: thresholds(source.thresholds),
        probe_interval_ms: ms(source.probe_interval),
        targets: source.targets.clone(),
        collect_interval_ms: ms(source.collect_interval),
        honor_labels: source.honor_labels,
        refusal_ttl_ms: ms(source.refusal_ttl),
        fetch_interval_ms: ms(source.fetch_interval),
        idle_after_ms: ms(source.idle_after),
        instant_step_ms: ms(source.instant_step),
        ttl_max_ms: source.ttl_max.map(ms),
        align: source.align,
        retry: wit::RetryConfig {
            retries_max: source.retry.retries_max,
            backoff_ms: ms(source.retry.backoff),
            factor: source.retry.factor,
            backoff_max_ms: ms(source.retry.backoff_max),
        },
        retry_budget: wit::RetryBudget {
            ratio_percent: source.retry_budget.ratio_percent,
            floor: source.retry_budget.floor,
        },
        breaker: wit::BreakerConfig {
            failures_max: source.breaker.failures_max,
            open_ms: ms(source.breaker.open),
            open_max_ms: ms(source.breaker.open_max),
        },
        templates: source.templates.iter().map(template).collect(),
    }
}

fn thresholds(thresholds: Thresholds) -> wit::Thresholds {
    wit::Thresholds {
        fresh_below_ms: ms(thresholds.fresh_below),
        warn_past_ms: ms(thresholds.warn_past),
        unavailable_past_ms: ms(thresholds.unavailable_past),
    }
}

pub(super) fn template(template: &TemplateConfig) -> wit::TemplateConfig {
    let param = |param: &tidegate_core::ParamConfig| wit::ParamConfig {
        name: param.name.clone(),
        kind: match param.kind {
            ParamType::Metric => wit::ParamType::Metric,
            ParamType::Label => wit::ParamType::Label,
            ParamType::Number => wit::ParamType::Number,
        },
    };
    wit::TemplateConfig {
        name: template.name.clone(),
        kind: match template.kind {
            TemplateKind::PromQl => wit::TemplateKind::Promql,
            TemplateKind::Metric => wit::TemplateKind::Metric,
        },
        text: template.text.clone(),
        params: template.params.iter().map(param).collect(),
        ttl_ms: template.ttl.map(ms),
        thresholds: template.thresholds.map(thresholds),
        description: template.description.clone(),
    }
}

/// Whole milliseconds; what is shorter but not zero stays at least one.
pub(super) fn ms(duration: Duration) -> u64 {
    let whole = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if whole == 0 && !duration.is_zero() {
        1
    } else {
        whole
    }
}

#[cfg(test)]
mod tests {
    use tidegate_core::{
        AlertWindow, BandConfig, BreakerConfig, CacheConfig, ParamConfig, RetryBudgetConfig,
        RetryConfig,
    };

    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Nothing here is a default, and no two numbers are the same.
    fn every_field() -> SourceConfig {
        SourceConfig {
            kind: SourceKind::Scrape,
            ttl: Duration::from_millis(1),
            timeout: Duration::from_micros(2_500),
            thresholds: Thresholds {
                fresh_below: s(3),
                warn_past: s(4),
                unavailable_past: s(5),
            },
            probe_interval: s(6),
            targets: vec!["a".into(), "b".into()],
            collect_interval: s(25),
            honor_labels: true,
            refusal_ttl: s(7),
            fetch_interval: s(8),
            idle_after: s(9),
            instant_step: s(24),
            ttl_max: Some(s(10)),
            align: true,
            retry: RetryConfig {
                retries_max: 11,
                backoff: s(12),
                factor: 13,
                backoff_max: s(14),
            },
            retry_budget: RetryBudgetConfig {
                ratio_percent: 15,
                floor: 16,
            },
            breaker: BreakerConfig {
                failures_max: 17,
                open: s(18),
                open_max: s(19),
            },
            templates: vec![TemplateConfig {
                name: "t".into(),
                kind: TemplateKind::Metric,
                text: "up".into(),
                params: vec![ParamConfig {
                    name: "l".into(),
                    kind: ParamType::Label,
                }],
                ttl: Some(s(20)),
                thresholds: Some(Thresholds {
                    fresh_below: s(21),
                    warn_past: s(22),
                    unavailable_past: s(23),
                }),
                description: "d".into(),
            }],
            ..SourceConfig::prometheus("pods")
        }
    }

    #[test]
    fn a_source_crosses_with_every_field() {
        let crossed = source(&every_field());
        assert_eq!(
            (crossed.kind, crossed.name.as_str()),
            (wit::SourceKind::Scrape, "pods")
        );
        let thresholds = &crossed.thresholds;
        assert_eq!(
            [
                crossed.ttl_ms,
                crossed.timeout_ms,
                thresholds.fresh_below_ms,
                thresholds.warn_past_ms,
                thresholds.unavailable_past_ms,
                crossed.probe_interval_ms,
                crossed.refusal_ttl_ms,
                crossed.fetch_interval_ms,
                crossed.idle_after_ms,
                crossed.ttl_max_ms.unwrap(),
                crossed.instant_step_ms,
                crossed.collect_interval_ms,
            ],
            [
                1, 2, 3_000, 4_000, 5_000, 6_000, 7_000, 8_000, 9_000, 10_000, 24_000, 25_000
            ]
        );
        assert!(crossed.align && crossed.honor_labels && crossed.targets == ["a", "b"]);
        let (retry, breaker) = (crossed.retry, crossed.breaker);
        assert_eq!(
            (
                retry.retries_max,
                retry.backoff_ms,
                retry.factor,
                retry.backoff_max_ms
            ),
            (11, 12_000, 13, 14_000)
        );
        assert_eq!(
            (
                crossed.retry_budget.ratio_percent,
                crossed.retry_budget.floor
            ),
            (15, 16)
        );
        assert_eq!(
            (breaker.failures_max, breaker.open_ms, breaker.open_max_ms),
            (17, 18_000, 19_000)
        );
        let template = &crossed.templates[0];
        assert_eq!(
            (template.ttl_ms, template.params[0].kind),
            (Some(20_000), wit::ParamType::Label)
        );
        assert_eq!(template.thresholds.as_ref().unwrap().warn_past_ms, 22_000);
    }

    #[test]
    fn the_whole_crosses_with_its_bounds_and_its_seed() {
        let whole = Config {
            sources: vec![SourceConfig::push("p")],
            cache: CacheConfig {
                enabled: false,
                bytes_max: 1,
                cleanup_interval: s(2),
            },
            local: LocalConfig {
                series_max: 3,
                series_per_metric_max: 14,
                labels_per_series_max: 15,
                values_per_label_max: 16,
                points_max: 4,
                bytes_max: 17,
                age_max: Some(s(18)),
                expire_after: s(5),
                lookback: s(6),
                metrics: vec![MetricConfig {
                    metric: "up|node_.*".into(),
                    series_max: Some(19),
                    values_per_label_max: Some(20),
                    points_max: Some(21),
                    age_max: Some(s(22)),
                    interval: Some(s(23)),
                }],
            },
            limits: Limits {
                query_bytes_max: 7,
                fetches_per_source_max: 8,
                queue_per_source_max: 9,
                askers_per_fetch_max: 10,
                samples_per_record_max: 11,
                settled_age_max: s(12),
                settle: s(13),
            },
            seed: u64::MAX,
            feeds_sinks: true,
            packs: vec![tidegate_core::packs::inference()],
            owners: [("w".into(), "o".into())].into(),
            alerts: AlertsConfig {
                interval: s(14),
                rules: alert_rules(),
            },
        };
        let crossed = config(&whole, "1.2.3");
        assert_eq!(crossed.sources[0].kind, wit::SourceKind::Push);
        assert_eq!(crossed.owners, [("w".into(), "o".into())]);
        assert_eq!(crossed.alerts.interval_ms, 14_000);
        let (pack, shipped) = (&crossed.packs[0], &whole.packs[0]);
        assert_eq!(pack.queries.len(), shipped.queries.len());
        assert_eq!(pack.defaults, [("accelerator".into(), ".+".into())]);
        let field = &pack.records[0].fields[3];
        assert_eq!((&*field.name, &*field.unit), ("replicas", "pods"));
        assert_eq!(field.by, ["model_name", "namespace"]);
        let (cache, local, limits) = (crossed.cache, crossed.local, crossed.limits);
        assert_eq!([cache.bytes_max, cache.cleanup_interval_ms], [1, 2_000]);
        assert_eq!(
            [
                local.series_max,
                local.points_max,
                local.expire_after_ms,
                local.lookback_ms,
                local.series_per_metric_max,
                local.labels_per_series_max,
                local.values_per_label_max,
                local.bytes_max,
                local.age_max_ms.unwrap(),
            ],
            [3, 4, 5_000, 6_000, 14, 15, 16, 17, 18_000]
        );
        let metric = &local.metrics[0];
        assert_eq!(metric.metric, "up|node_.*");
        assert_eq!(
            [
                metric.series_max,
                metric.values_per_label_max,
                metric.points_max,
                metric.age_max_ms,
                metric.interval_ms,
            ],
            [19, 20, 21, 22_000, 23_000].map(Some)
        );
        assert_eq!(
            [
                limits.query_bytes_max,
                limits.fetches_per_source_max,
                limits.queue_per_source_max,
                limits.askers_per_fetch_max,
                limits.samples_per_record_max,
                limits.settled_age_max_ms,
                limits.settle_ms
            ],
            [7, 8, 9, 10, 11, 12_000, 13_000]
        );
        assert_eq!(
            (
                cache.enabled,
                crossed.seed,
                &*crossed.version,
                crossed.feeds_sinks
            ),
            (false, u64::MAX, "1.2.3", true)
        );
    }

    /// One of each condition.
    fn alert_rules() -> Vec<AlertRule> {
        let over = AlertWindow {
            statistic: "p99".into(),
            window: s(1),
        };
        let threshold = AlertCondition::Threshold {
            over: Some(over),
            op: Comparison::LessEqual,
            value: 2.0,
        };
        let change = AlertCondition::RateOfChange {
            window: s(3),
            op: Comparison::NotEqual,
            value: 4.0,
        };
        let band = AlertCondition::Band(BandConfig {
            deviations: 5.0,
            memory_samples: 60,
            samples_min: 7,
            distance_min: 8.0,
            side: BandSide::Below,
        });
        let rule = |condition| AlertRule {
            pending_for: s(9),
            keep_firing_for: s(10),
            labels: [("severity".into(), "page".into())].into(),
            annotations: [("summary".into(), "{{ $value }}".into())].into(),
            ..AlertRule::new("Hot", "load", condition)
        };
        [threshold, change, band].map(rule).into()
    }

    #[test]
    fn alert_rules_cross_with_every_field() {
        let config = AlertsConfig {
            rules: alert_rules(),
            ..AlertsConfig::default()
        };
        let crossed = alerts(&config).rules;
        let rule = &crossed[0];
        assert_eq!((&*rule.name, &*rule.selector), ("Hot", "load"));
        assert_eq!(
            (rule.pending_for_ms, rule.keep_firing_for_ms),
            (9_000, 10_000)
        );
        assert_eq!(rule.labels, [("severity".into(), "page".into())]);
        assert_eq!(
            rule.annotations,
            [("summary".into(), "{{ $value }}".into())]
        );
        let wit::AlertCondition::Threshold(threshold) = &rule.condition else {
            panic!("{rule:?}")
        };
        let over = threshold.over.as_ref().unwrap();
        assert_eq!((&*over.statistic, over.window_ms), ("p99", 1_000));
        assert_eq!(
            (threshold.op, threshold.value),
            (wit::Comparison::LessEqual, 2.0)
        );
        let wit::AlertCondition::RateOfChange(change) = &crossed[1].condition else {
            panic!("{crossed:?}")
        };
        assert_eq!(
            (change.window_ms, change.op, change.value),
            (3_000, wit::Comparison::NotEqual, 4.0)
        );
        let wit::AlertCondition::Band(band) = &crossed[2].condition else {
            panic!("{crossed:?}")
        };
        assert_eq!((band.deviations, band.distance_min), (5.0, 8.0));
        assert_eq!((band.memory_samples, band.samples_min), (60, 7));
        assert_eq!(band.side, wit::BandSide::Below);
    }

    #[test]
    fn what_is_short_but_not_nothing_stays_so() {
        assert_eq!(ms(Duration::from_nanos(1)), 1);
        assert_eq!(ms(Duration::ZERO), 0);
        assert_eq!(ms(Duration::MAX), u64::MAX);
    }
}
