//! The contract's words and the collector's, each way. Nothing is decided here.

use std::time::Duration;

use tidegate_api::{Change, CommandId, HttpRequest, HttpResponse, Input, Output, Reply, Reuse};
use tidegate_core::{
    AlertCondition, AlertRule, AlertWindow, AlertsConfig, Appended, BandConfig, BandSide,
    BreakerConfig, CacheConfig, Comparison, Config, Deadline, Event, Family, Fetch, FetchError,
    FetchId, FieldConfig, Forget, Freshness, Instant, Invalidation, Level, Limits, LocalConfig,
    Method, MetricConfig, Now, PackConfig, ParamConfig, ParamType, Record, RecordConfig, Recorded,
    Response, RetryBudgetConfig, RetryConfig, Sample, SourceConfig, SourceKind, TemplateConfig,
    TemplateKind, Thresholds, UnixMillis,
};
use tidegate_series::{Labels, Metadata, MetricKind};

use crate::component::bindings::exports::tidegate::collector::machine as wit;

pub(crate) fn now(now: wit::Now) -> Now {
    Now {
        mono: Instant::from_nanos(now.mono_ns),
        wall: UnixMillis(now.wall_ms),
    }
}

/// The configuration, and the version that goes with it.
pub(crate) fn config(config: wit::Config) -> (Config, String) {
    let sources = config.sources.into_iter().map(source).collect();
    (
        Config {
            sources,
            cache: CacheConfig {
                enabled: config.cache.enabled,
                bytes_max: size(config.cache.bytes_max),
                cleanup_interval: Duration::from_millis(config.cache.cleanup_interval_ms),
            },
            local: local(config.local),
            packs: config.packs.into_iter().map(pack).collect(),
            owners: config.owners.into_iter().collect(),
            alerts: alerts(config.alerts),
            limits: limits(config.limits),
            seed: config.seed,
            feeds_sinks: config.feeds_sinks,
        },
        config.version,
    )
}

fn local(local: wit::LocalConfig) -> LocalConfig {
    LocalConfig {
        series_max: size(local.series_max),
        series_per_metric_max: size(local.series_per_metric_max),
        labels_per_series_max: size(local.labels_per_series_max),
        values_per_label_max: size(local.values_per_label_max),
        points_max: size(local.points_max),
        bytes_max: size(local.bytes_max),
        age_max: local.age_max_ms.map(Duration::from_millis),
        expire_after: Duration::from_millis(local.expire_after_ms),
        lookback: Duration::from_millis(local.lookback_ms),
        metrics: local.metrics.into_iter().map(metric).collect(),
    }
}

fn metric(metric: wit::MetricConfig) -> MetricConfig {
    MetricConfig {
        metric: metric.metric,
        series_max: metric.series_max.map(size),
        values_per_label_max: metric.values_per_label_max.map(size),
        points_max: metric.points_max.map(size),
        age_max: metric.age_max_ms.map(Duration::from_millis),
        interval: metric.interval_ms.map(Duration::from_millis),
    }
}

fn pack(pack: wit::PackConfig) -> PackConfig {
    PackConfig {
        name: pack.name,
        description: pack.description,
        queries: pack.queries.into_iter().map(template).collect(),
        defaults: pack.defaults.into_iter().collect(),
        records: pack.records.into_iter().map(record_config).collect(),
    }
}

fn record_config(record: wit::RecordConfig) -> RecordConfig {
    RecordConfig {
        name: record.name,
        description: record.description,
        keys: record.keys,
        fields: record.fields.into_iter().map(field).collect(),
    }
}

fn field(field: wit::FieldConfig) -> FieldConfig {
    FieldConfig {
        name: field.name,
        query: field.query,
        by: field.by,
        unit: field.unit,
        when: field.when,
        source: field.source,
    }
}

fn alerts(alerts: wit::AlertsConfig) -> AlertsConfig {
    AlertsConfig {
        interval: Duration::from_millis(alerts.interval_ms),
        rules: alerts.rules.into_iter().map(alert_rule).collect(),
    }
}

fn alert_rule(rule: wit::AlertRule) -> AlertRule {
    AlertRule {
        name: rule.name,
        selector: rule.selector,
        condition: match rule.condition {
            wit::AlertCondition::Threshold(threshold) => AlertCondition::Threshold {
                over: threshold.over.map(|over| AlertWindow {
                    statistic: over.statistic,
                    window: Duration::from_millis(over.window_ms),
                }),
                op: comparison(threshold.op),
                value: threshold.value,
            },
            wit::AlertCondition::RateOfChange(change) => AlertCondition::RateOfChange {
                window: Duration::from_millis(change.window_ms),
                op: comparison(change.op),
                value: change.value,
            },
            wit::AlertCondition::Band(band) => AlertCondition::Band(BandConfig {
                deviations: band.deviations,
                memory_samples: band.memory_samples,
                samples_min: band.samples_min,
                distance_min: band.distance_min,
                side: match band.side {
                    wit::BandSide::Either => BandSide::Either,
                    wit::BandSide::Above => BandSide::Above,
                    wit::BandSide::Below => BandSide::Below,
                },
            }),
        },
        pending_for: Duration::from_millis(rule.pending_for_ms),
        keep_firing_for: Duration::from_millis(rule.keep_firing_for_ms),
        labels: rule.labels.into_iter().collect(),
        annotations: rule.annotations.into_iter().collect(),
    }
}

fn comparison(op: wit::Comparison) -> Comparison {
    match op {
        wit::Comparison::Greater => Comparison::Greater,
        wit::Comparison::GreaterEqual => Comparison::GreaterEqual,
        wit::Comparison::Less => Comparison::Less,
        wit::Comparison::LessEqual => Comparison::LessEqual,
        wit::Comparison::Equal => Comparison::Equal,
        wit::Comparison::NotEqual => Comparison::NotEqual,
    }
}

fn limits(limits: wit::Limits) -> Limits {
    Limits {
        query_bytes_max: size(limits.query_bytes_max),
        fetches_per_source_max: size(limits.fetches_per_source_max),
        queue_per_source_max: size(limits.queue_per_source_max),
        askers_per_fetch_max: size(limits.askers_per_fetch_max),
        samples_per_record_max: size(limits.samples_per_record_max),
        settled_age_max: Duration::from_millis(limits.settled_age_max_ms),
        settle: Duration::from_millis(limits.settle_ms),
    }
}

/// What exceeds the address space is no bound at all.
fn size(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

fn source(source: wit::SourceConfig) -> SourceConfig {
    SourceConfig {
        name: source.name,
        kind: match source.kind {
            wit::SourceKind::Prometheus => SourceKind::Prometheus,
            wit::SourceKind::Push => SourceKind::Push,
            wit::SourceKind::Scrape => SourceKind::Scrape,
            wit::SourceKind::Plugin => SourceKind::Plugin,
        },
        ttl: Duration::from_millis(source.ttl_ms),
        timeout: Duration::from_millis(source.timeout_ms),
        thresholds: thresholds(source.thresholds),
        probe_interval: Duration::from_millis(source.probe_interval_ms),
        targets: source.targets,
        collect_interval: Duration::from_millis(source.collect_interval_ms),
        honor_labels: source.honor_labels,
        refusal_ttl: Duration::from_millis(source.refusal_ttl_ms),
        fetch_interval: Duration::from_millis(source.fetch_interval_ms),
        idle_after: Duration::from_millis(source.idle_after_ms),
        instant_step: Duration::from_millis(source.instant_step_ms),
        ttl_max: source.ttl_max_ms.map(Duration::from_millis),
        align: source.align,
        retry: RetryConfig {
            retries_max: source.retry.retries_max,
            backoff: Duration::from_millis(source.retry.backoff_ms),
            factor: source.retry.factor,
            backoff_max: Duration::from_millis(source.retry.backoff_max_ms),
        },
        retry_budget: RetryBudgetConfig {
            ratio_percent: source.retry_budget.ratio_percent,
            floor: source.retry_budget.floor,
        },
        breaker: BreakerConfig {
            failures_max: source.breaker.failures_max,
            open: Duration::from_millis(source.breaker.open_ms),
            open_max: Duration::from_millis(source.breaker.open_max_ms),
        },
        templates: source.templates.into_iter().map(template).collect(),
    }
}

fn thresholds(thresholds: wit::Thresholds) -> Thresholds {
    Thresholds {
        fresh_below: Duration::from_millis(thresholds.fresh_below_ms),
        warn_past: Duration::from_millis(thresholds.warn_past_ms),
        unavailable_past: Duration::from_millis(thresholds.unavailable_past_ms),
    }
}

fn template(template: wit::TemplateConfig) -> TemplateConfig {
    let param = |param: wit::ParamConfig| ParamConfig {
        name: param.name,
        kind: match param.kind {
            wit::ParamType::Metric => ParamType::Metric,
            wit::ParamType::Label => ParamType::Label,
            wit::ParamType::Number => ParamType::Number,
        },
    };
    TemplateConfig {
        name: template.name,
        kind: match template.kind {
            wit::TemplateKind::Promql => TemplateKind::PromQl,
            wit::TemplateKind::Metric => TemplateKind::Metric,
        },
        text: template.text,
        params: template.params.into_iter().map(param).collect(),
        ttl: template.ttl_ms.map(Duration::from_millis),
        thresholds: template.thresholds.map(thresholds),
        description: template.description,
    }
}

pub(crate) fn change(change: wit::Change) -> Change {
    match change {
        wit::Change::Register((source, template)) => Change::Register {
            source,
            template: self::template(template),
        },
        wit::Change::Update((source, template)) => Change::Update {
            source,
            template: self::template(template),
        },
        wit::Change::Unregister((source, template)) => Change::Unregister { source, template },
        wit::Change::Untrack(key) => Change::Untrack { key },
        wit::Change::Invalidate(what) => Change::Invalidate(match what {
            wit::Invalidation::Key(key) => Invalidation::Key(key),
            wit::Invalidation::Prefix(prefix) => Invalidation::Prefix(prefix),
            wit::Invalidation::Source(source) => Invalidation::Source(source),
            wit::Invalidation::Template((source, template)) => {
                Invalidation::Template { source, template }
            }
            wit::Invalidation::All => Invalidation::All,
        }),
        wit::Change::RegisterOwner((workload, owner)) => Change::RegisterOwner { workload, owner },
        wit::Change::UnregisterOwner(workload) => Change::UnregisterOwner { workload },
    }
}

pub(crate) fn http_request(request: wit::HttpRequest) -> HttpRequest {
    HttpRequest {
        method: request.method,
        target: request.target,
        headers: request.headers,
        body: request.body,
    }
}

/// What of a batch cannot be said in the collector's words, so that it never hears of it.
#[derive(Debug, Default)]
pub(crate) struct Unreadable {
    samples: u64,
    first: Option<String>,
}

/// The batch without its unreadable samples, and those.
pub(crate) fn record(batch: wit::Batch) -> (Record, Unreadable) {
    let mut unreadable = Unreadable::default();
    let mut samples = Vec::with_capacity(batch.samples.len());
    for sample in batch.samples {
        match Labels::from_pairs(sample.labels) {
            Ok(labels) => samples.push(Sample {
                labels,
                timestamp_ms: sample.timestamp_ms,
                value: sample.value,
            }),
            Err(error) => {
                unreadable.samples += 1;
                unreadable.first.get_or_insert_with(|| error.to_string());
            }
        }
    }
    let families = batch.families.into_iter().map(family).collect();
    (
        Record {
            source: batch.source,
            families,
            samples,
        },
        unreadable,
    )
}

fn family(family: wit::Family) -> Family {
    let kind = match family.kind {
        wit::MetricKind::Counter => MetricKind::Counter,
        wit::MetricKind::Gauge => MetricKind::Gauge,
        wit::MetricKind::Histogram => MetricKind::Histogram,
        wit::MetricKind::Summary => MetricKind::Summary,
        wit::MetricKind::Unknown => MetricKind::Unknown,
    };
    Family {
        name: family.name,
        metadata: Metadata {
            kind,
            unit: family.unit.into(),
            help: family.help.into(),
        },
    }
}

pub(crate) fn response<C>(
    id: u64,
    result: Result<wit::FetchResponse, wit::FetchError>,
) -> Input<C> {
    let result = result.map(|response| Response {
        status: response.status,
        body: response.body,
        retry_after: response.retry_after_ms.map(Duration::from_millis),
        content_type: response.content_type,
    });
    Input::Response(FetchId(id), result.map_err(fetch_error))
}

fn fetch_error(error: wit::FetchError) -> FetchError {
    match error {
        wit::FetchError::Connect(detail) => FetchError::Connect { detail },
        wit::FetchError::Reset(detail) => FetchError::Reset { detail },
        wit::FetchError::Timeout(ns) => FetchError::Timeout {
            after: Duration::from_nanos(ns),
        },
        wit::FetchError::TooLarge(limit_bytes) => FetchError::TooLarge { limit_bytes },
        wit::FetchError::Encoding(detail) => FetchError::Encoding { detail },
        wit::FetchError::Redirect(status) => FetchError::Redirect { status },
        wit::FetchError::Refused(detail) => FetchError::Refused { detail },
    }
}

/// An output; `unreadable` gives what [`record`] left out of the command's batch.
pub(crate) fn output(
    output: Output<Reply>,
    unreadable: impl FnOnce(CommandId) -> Unreadable,
) -> wit::Output {
    match output {
        Output::Fetch(fetch) => wit::Output::Fetch(fetch_order(fetch)),
        Output::Cancel(id) => wit::Output::Cancel(id.0),
        Output::Reply(id, reply) => {
            wit::Output::Reply((id.0, self::reply(reply, || unreadable(id))))
        }
        Output::Event(event) => wit::Output::Event(self::event(event)),
        Output::Forget(forget) => wit::Output::Forget(match forget {
            Forget::Key(key) => wit::Forget::Key(key.as_ref().into()),
            Forget::All => wit::Forget::All,
        }),
        Output::Append(appended) => wit::Output::Append(self::appended(appended)),
        Output::Wait(deadline) => wit::Output::Wait(deadline.map(self::deadline)),
    }
}

fn appended(appended: Appended) -> wit::Appended {
    wit::Appended {
        families: appended.families.into_iter().map(told_family).collect(),
        samples: appended.samples.into_iter().map(told_sample).collect(),
    }
}

fn told_family(family: Family) -> wit::Family {
    wit::Family {
        name: family.name,
        kind: match family.metadata.kind {
            MetricKind::Counter => wit::MetricKind::Counter,
            MetricKind::Gauge => wit::MetricKind::Gauge,
            MetricKind::Histogram => wit::MetricKind::Histogram,
            MetricKind::Summary => wit::MetricKind::Summary,
            MetricKind::Unknown | _ => wit::MetricKind::Unknown,
        },
        unit: family.metadata.unit.as_ref().into(),
        help: family.metadata.help.as_ref().into(),
    }
}

fn told_sample(sample: Sample) -> wit::Sample {
    let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    wit::Sample {
        labels: sample.labels.iter().map(pair).collect(),
        timestamp_ms: sample.timestamp_ms,
        value: sample.value,
    }
}

fn fetch_order(fetch: Fetch) -> wit::Fetch {
    wit::Fetch {
        id: fetch.id.0,
        source: fetch.source.as_ref().into(),
        target: fetch.target.map(|target| target.as_ref().into()),
        method: match fetch.request.method {
            Method::Get => wit::Method::Get,
            Method::Post => wit::Method::Post,
        },
        path: fetch.request.path.into(),
        form: fetch.request.form,
        deadline_ns: fetch.deadline.as_nanos(),
    }
}

fn reply(reply: Reply, unreadable: impl FnOnce() -> Unreadable) -> wit::Reply {
    match reply {
        Reply::Http(response) => wit::Reply::Http(http_response(response)),
        Reply::Recorded(result) => {
            let verdict = result.map(|recorded| self::recorded(recorded, unreadable()));
            wit::Reply::Recorded(verdict.map_err(|error| error.to_string()))
        }
        Reply::Changed(result) => {
            let changed = result.map(|count| count as u64);
            wit::Reply::Changed(changed.map_err(|error| error.to_string()))
        }
        Reply::Answer(_) | Reply::Aggregated(_) => {
            unreachable!("the contract has no typed questions, so none is answered")
        }
    }
}

fn http_response(response: HttpResponse) -> wit::HttpResponse {
    let header = |(name, value): (&'static str, String)| (name.to_owned(), value);
    wit::HttpResponse {
        status: response.status,
        headers: response.headers.into_iter().map(header).collect(),
        body: response.body,
        reuse: response.reuse.map(|terms| reuse(*terms)),
    }
}

fn reuse(reuse: Reuse) -> wit::Reuse {
    wit::Reuse {
        left_ns: ns(reuse.left),
        age_ns: ns(reuse.age),
        ages: reuse.ages,
        ttl_left_ns: ns(reuse.ttl_left),
        freshness: match reuse.freshness {
            Freshness::Fresh => wit::Freshness::Fresh,
            Freshness::Stale => wit::Freshness::Stale,
            Freshness::Unavailable => wit::Freshness::Unavailable,
            Freshness::Missing | _ => wit::Freshness::Missing,
        },
        key: reuse.key.as_ref().into(),
    }
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn recorded(recorded: Recorded, unreadable: Unreadable) -> wit::Recorded {
    let sample = recorded
        .refused
        .first()
        .map(|(_, refusal)| refusal.to_string());
    let family = recorded
        .families_refused
        .first()
        .map(|(_, error)| error.to_string());
    wit::Recorded {
        accepted: recorded.accepted as u64,
        refused: recorded.refused.len() as u64 + unreadable.samples,
        first_refusal: unreadable.first.or(sample).or(family),
    }
}

fn event(event: Event) -> wit::Event {
    wit::Event {
        level: match event.level {
            Level::Debug => wit::Level::Debug,
            Level::Info => wit::Level::Info,
            Level::Warn => wit::Level::Warn,
        },
        name: event.name.into(),
        source: event.source.as_ref().into(),
        key: event.key.map(|key| key.as_ref().into()),
        detail: event.detail,
    }
}

fn deadline(deadline: Deadline) -> wit::Deadline {
    wit::Deadline {
        at_ns: deadline.at.as_nanos(),
        wake: deadline.wake.as_str().into(),
    }
}
