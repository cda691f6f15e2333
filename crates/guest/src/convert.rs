//! The contract's words and the collector's, each way. Nothing is decided here.

use std::time::Duration;

use tidegate_api::{CommandId, HttpRequest, HttpResponse, Input, Output, Reply};
use tidegate_core::{
    CacheConfig, Config, Deadline, Event, Family, Fetch, FetchError, FetchId, Instant, Level,
    Method, Now, ParamConfig, ParamType, Record, Recorded, Response, Sample, SourceConfig,
    SourceKind, TemplateConfig, TemplateKind, Thresholds, UnixMillis,
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
    let cache = CacheConfig {
        enabled: config.cache_enabled,
        // What exceeds the address space is no bound at all.
        bytes_max: usize::try_from(config.cache_bytes_max).unwrap_or(usize::MAX),
        ..CacheConfig::default()
    };
    let sources = config.sources.into_iter().map(source).collect();
    (
        Config {
            cache,
            ..Config::with_sources(sources)
        },
        config.version,
    )
}

fn source(source: wit::SourceConfig) -> SourceConfig {
    SourceConfig {
        name: source.name,
        kind: match source.kind {
            wit::SourceKind::Prometheus => SourceKind::Prometheus,
            wit::SourceKind::Push => SourceKind::Push,
        },
        ttl: Duration::from_millis(source.ttl_ms),
        timeout: Duration::from_millis(source.timeout_ms),
        thresholds: Thresholds {
            fresh_below: Duration::from_millis(source.thresholds.fresh_below_ms),
            warn_past: Duration::from_millis(source.thresholds.warn_past_ms),
            unavailable_past: Duration::from_millis(source.thresholds.unavailable_past_ms),
        },
        probe_interval: Duration::from_millis(source.probe_interval_ms),
        templates: source.templates.into_iter().map(template).collect(),
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
        description: template.description,
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
        Output::Wait(deadline) => wit::Output::Wait(deadline.map(self::deadline)),
    }
}

fn fetch_order(fetch: Fetch) -> wit::Fetch {
    wit::Fetch {
        id: fetch.id.0,
        source: fetch.source.as_ref().into(),
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
        Reply::Answer(_) => unreachable!("the contract has no typed asks, so none is answered"),
    }
}

fn http_response(response: HttpResponse) -> wit::HttpResponse {
    let header = |(name, value): (&'static str, String)| (name.to_owned(), value);
    wit::HttpResponse {
        status: response.status,
        headers: response.headers.into_iter().map(header).collect(),
        body: response.body,
    }
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
