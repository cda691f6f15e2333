//! Between the collector's own words and those of the component border.
//!
//! Going in, values are ours. Coming out, they are a guest's: names that the host keeps are
//! bounded, and only paths that the host serves pass.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tidegate_api::{CommandId, HttpRequest, Input, Output};
use tidegate_client::MachineError;
use tidegate_core::{
    Config, Deadline, Event, Family, Fetch, FetchError, FetchId, FetchRequest, Instant, Level,
    Method, ParamType, Record, Response, Sample, SourceConfig, SourceKind, TemplateConfig,
    TemplateKind, Wake,
};
use tidegate_series::MetricKind;

use super::{GuestCommand, GuestRecorded, GuestReply, GuestResponse, command_id, wit};

/// What a guest may ask a source for: reading, and nothing that administers.
const PATHS: &[&str] = &[
    "/api/v1/label",
    "/api/v1/labels",
    "/api/v1/metadata",
    "/api/v1/query",
    "/api/v1/query_range",
    "/api/v1/series",
    "/api/v1/status/buildinfo",
];

/// Every reason to wake, to find one by its word.
const WAKES: &[Wake] = &[
    Wake::FetchTimeout,
    Wake::AskTimeout,
    Wake::Probe,
    Wake::Cleanup,
];

/// How many names of events are kept for the life of the process: several times what there are.
const EVENT_NAMES_MAX: usize = 128;

/// How long the name of an event may be, in bytes.
const EVENT_NAME_BYTES_MAX: usize = 64;

/// What an event is called whose name is over those limits.
const EVENT_NAME_OTHER: &str = "guest-event";

/// How much of a guest's texts is kept for a line in a log, in bytes.
const DETAIL_BYTES_MAX: usize = 4_096;

pub(super) fn config(config: &Config, version: &str) -> wit::Config {
    wit::Config {
        sources: config.sources.iter().map(source).collect(),
        cache_enabled: config.cache.enabled,
        cache_bytes_max: config.cache.bytes_max as u64,
        version: version.to_owned(),
    }
}

fn source(source: &SourceConfig) -> wit::SourceConfig {
    wit::SourceConfig {
        name: source.name.clone(),
        kind: match source.kind {
            SourceKind::Push => wit::SourceKind::Push,
            // The configuration of this host has no other kinds.
            SourceKind::Prometheus | _ => wit::SourceKind::Prometheus,
        },
        ttl_ms: ms(source.ttl),
        timeout_ms: ms(source.timeout),
        thresholds: wit::Thresholds {
            fresh_below_ms: ms(source.thresholds.fresh_below),
            warn_past_ms: ms(source.thresholds.warn_past),
            unavailable_past_ms: ms(source.thresholds.unavailable_past),
        },
        probe_interval_ms: ms(source.probe_interval),
        templates: source.templates.iter().map(template).collect(),
    }
}

fn template(template: &TemplateConfig) -> wit::TemplateConfig {
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
        description: template.description.clone(),
    }
}

/// Whole milliseconds; what is shorter but not zero stays at least one.
fn ms(duration: Duration) -> u64 {
    let whole = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if whole == 0 && !duration.is_zero() {
        1
    } else {
        whole
    }
}

pub(super) fn input(input: Input<GuestCommand>) -> wit::Input {
    match input {
        Input::Command(id, GuestCommand::Http(request)) => {
            wit::Input::Command((command_id(id), wit::Command::Http(http_request(request))))
        }
        Input::Command(id, GuestCommand::Record(record)) => {
            wit::Input::Command((command_id(id), wit::Command::Record(batch(&record))))
        }
        Input::Abandon(id) => wit::Input::Abandon(command_id(id)),
        Input::Response(FetchId(id), Ok(Response { status, body })) => {
            wit::Input::Response((id, Ok(wit::FetchResponse { status, body })))
        }
        Input::Response(FetchId(id), Err(error)) => {
            wit::Input::Response((id, Err(fetch_error(error))))
        }
    }
}

fn http_request(request: HttpRequest) -> wit::HttpRequest {
    let HttpRequest {
        method,
        target,
        headers,
        body,
    } = request;
    wit::HttpRequest {
        method,
        target,
        headers,
        body,
    }
}

fn batch(record: &Record) -> wit::Batch {
    wit::Batch {
        source: record.source.clone(),
        families: record.families.iter().map(family).collect(),
        samples: record.samples.iter().map(sample).collect(),
    }
}

fn family(family: &Family) -> wit::Family {
    wit::Family {
        name: family.name.clone(),
        kind: match family.metadata.kind {
            MetricKind::Counter => wit::MetricKind::Counter,
            MetricKind::Gauge => wit::MetricKind::Gauge,
            MetricKind::Histogram => wit::MetricKind::Histogram,
            MetricKind::Summary => wit::MetricKind::Summary,
            MetricKind::Unknown | _ => wit::MetricKind::Unknown,
        },
        unit: family.metadata.unit.to_string(),
        help: family.metadata.help.to_string(),
    }
}

fn sample(sample: &Sample) -> wit::Sample {
    wit::Sample {
        labels: sample
            .labels
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        timestamp_ms: sample.timestamp_ms,
        value: sample.value,
    }
}

fn fetch_error(error: FetchError) -> wit::FetchError {
    match error {
        FetchError::Connect { detail } => wit::FetchError::Connect(detail),
        FetchError::Reset { detail } => wit::FetchError::Reset(detail),
        FetchError::Timeout { after } => {
            wit::FetchError::Timeout(u64::try_from(after.as_nanos()).unwrap_or(u64::MAX))
        }
        FetchError::TooLarge { limit_bytes } => wit::FetchError::TooLarge(limit_bytes),
        FetchError::Encoding { detail } => wit::FetchError::Encoding(detail),
        FetchError::Redirect { status } => wit::FetchError::Redirect(status),
        FetchError::Refused { detail } => wit::FetchError::Refused(detail),
        other => wit::FetchError::Refused(other.to_string()),
    }
}

/// # Errors
/// The guest wants what this host does not do.
pub(super) fn output(output: wit::Output) -> Result<Output<GuestReply>, MachineError> {
    Ok(match output {
        wit::Output::Fetch(fetch) => Output::Fetch(self::fetch(fetch)?),
        wit::Output::Cancel(id) => Output::Cancel(FetchId(id)),
        wit::Output::Reply((id, reply)) => Output::Reply(CommandId(id), self::reply(reply)?),
        wit::Output::Event(event) => Output::Event(self::event(event)),
        wit::Output::Wait(deadline) => Output::Wait(deadline.map(|deadline| Deadline {
            at: Instant::from_nanos(deadline.at_ns),
            wake: wake(&deadline.wake),
        })),
    })
}

fn fetch(fetch: wit::Fetch) -> Result<Fetch, MachineError> {
    let Some(path) = PATHS.iter().find(|path| **path == fetch.path) else {
        return Err(MachineError::new(format!(
            "it asked for {:?}, which no source is asked for",
            one_line(&fetch.path)
        )));
    };
    Ok(Fetch {
        id: FetchId(fetch.id),
        source: Arc::from(fetch.source),
        request: FetchRequest {
            method: match fetch.method {
                wit::Method::Get => Method::Get,
                wit::Method::Post => Method::Post,
            },
            path,
            form: fetch.form,
        },
        deadline: Instant::from_nanos(fetch.deadline_ns),
    })
}

fn reply(reply: wit::Reply) -> Result<GuestReply, MachineError> {
    match reply {
        wit::Reply::Http(wit::HttpResponse {
            status,
            headers,
            body,
        }) => Ok(GuestReply::Http(GuestResponse {
            status,
            headers,
            body,
        })),
        wit::Reply::Recorded(Ok(recorded)) => Ok(GuestReply::Recorded(Ok(GuestRecorded {
            accepted: recorded.accepted,
            refused: recorded.refused,
            first_refusal: recorded.first_refusal.map(|text| one_line(&text)),
        }))),
        wit::Reply::Recorded(Err(message)) => Ok(GuestReply::Recorded(Err(one_line(&message)))),
        wit::Reply::Configured(_) => Err(MachineError::new(
            "it replied to a configuration that nobody sent",
        )),
    }
}

fn event(event: wit::Event) -> Event {
    Event {
        level: match event.level {
            wit::Level::Debug => Level::Debug,
            wit::Level::Info => Level::Info,
            wit::Level::Warn => Level::Warn,
        },
        name: event_name(&event.name),
        source: Arc::from(one_line(&event.source)),
        key: event.key.map(|key| Arc::from(one_line(&key))),
        detail: one_line(&event.detail),
    }
}

/// Event names never vary within a collector, so each is kept once for the life of the process,
/// up to a bound that only a hostile guest meets.
fn event_name(name: &str) -> &'static str {
    static KEPT: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if name.len() > EVENT_NAME_BYTES_MAX || !name.bytes().all(plain) {
        return EVENT_NAME_OTHER;
    }
    // A set of texts cannot be left half changed.
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = kept.get(name) {
        return known;
    }
    if kept.len() == EVENT_NAMES_MAX {
        return EVENT_NAME_OTHER;
    }
    let leaked: &'static str = Box::leak(name.into());
    kept.insert(leaked);
    leaked
}

/// Only logs show why a guest wants to be woken.
fn wake(word: &str) -> Wake {
    WAKES
        .iter()
        .copied()
        .find(|wake| wake.as_str() == word)
        .unwrap_or(Wake::Cleanup)
}

/// `text` on one line and of bounded length: control characters are escaped.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(DETAIL_BYTES_MAX));
    for c in text.chars() {
        if line.len() >= DETAIL_BYTES_MAX {
            line.push('…');
            break;
        }
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use tidegate_series::Labels;

    use super::*;

    fn wit_fetch(path: &str) -> wit::Output {
        wit::Output::Fetch(wit::Fetch {
            id: 7,
            source: "prom".into(),
            method: wit::Method::Post,
            path: path.into(),
            form: "query=up".into(),
            deadline_ns: 5,
        })
    }

    #[test]
    fn a_fetch_crosses_unchanged() {
        let Output::Fetch(fetch) = output(wit_fetch("/api/v1/query")).unwrap() else {
            panic!("a fetch")
        };
        assert_eq!(
            (fetch.id, &*fetch.source, fetch.deadline),
            (FetchId(7), "prom", Instant::from_nanos(5))
        );
        assert_eq!(
            fetch.request,
            FetchRequest {
                method: Method::Post,
                path: "/api/v1/query",
                form: "query=up".into()
            }
        );
    }

    #[test]
    fn a_guest_may_only_ask_for_what_reads() {
        for path in [
            "/api/v1/admin/tsdb/delete_series",
            "/-/quit",
            "/api/v1/query/../../../-/quit",
            "",
            "//evil/",
        ] {
            assert!(output(wit_fetch(path)).is_err(), "{path}");
        }
    }

    #[test]
    fn every_wake_crosses_by_its_word() {
        for wake in WAKES {
            let deadline = wit::Deadline {
                at_ns: 9,
                wake: wake.as_str().into(),
            };
            let Output::Wait(Some(deadline)) = output(wit::Output::Wait(Some(deadline))).unwrap()
            else {
                panic!("a wait")
            };
            assert_eq!(
                (deadline.at, deadline.wake),
                (Instant::from_nanos(9), *wake)
            );
        }
    }

    #[test]
    fn a_configuration_crosses_with_every_field() {
        let mut prom = SourceConfig::prometheus("prom");
        prom.ttl = Duration::from_millis(1);
        prom.timeout = Duration::from_micros(10);
        prom.templates.push(TemplateConfig {
            name: "t".into(),
            kind: TemplateKind::Metric,
            text: "up".into(),
            params: vec![tidegate_core::ParamConfig {
                name: "l".into(),
                kind: ParamType::Label,
            }],
            ttl: Some(Duration::from_secs(2)),
            description: "d".into(),
        });
        let crossed = config(
            &Config::with_sources(vec![prom, SourceConfig::push("p")]),
            "1.2.3",
        );
        let [prom, push] = &crossed.sources[..] else {
            panic!("two sources")
        };
        assert_eq!(
            (prom.ttl_ms, prom.timeout_ms, prom.thresholds.fresh_below_ms),
            (1, 1, 60_000)
        );
        assert_eq!(
            (prom.templates[0].ttl_ms, prom.templates[0].params[0].kind),
            (Some(2_000), wit::ParamType::Label)
        );
        assert_eq!(
            (push.kind, crossed.cache_bytes_max, &*crossed.version),
            (wit::SourceKind::Push, 64 << 20, "1.2.3")
        );
    }

    #[test]
    fn a_batch_crosses_with_its_labels_and_odd_values() {
        let labels = Labels::from_pairs([("__name__", "m"), ("a", "ä\"\n")]).unwrap();
        let record = Record {
            source: "node".into(),
            families: vec![],
            samples: vec![Sample {
                labels,
                timestamp_ms: -1,
                value: f64::NAN,
            }],
        };
        let wit::Input::Command((3, wit::Command::Record(batch))) =
            input(Input::Command(CommandId(3), GuestCommand::Record(record)))
        else {
            panic!("a batch")
        };
        assert!(batch.samples[0].value.is_nan());
        assert_eq!(batch.samples[0].labels[1], ("a".into(), "ä\"\n".into()));
    }

    #[test]
    fn every_fetch_error_keeps_its_kind() {
        let after = Duration::from_secs(1);
        assert!(matches!(
            fetch_error(FetchError::Timeout { after }),
            wit::FetchError::Timeout(1_000_000_000)
        ));
        assert!(matches!(
            fetch_error(FetchError::TooLarge { limit_bytes: 9 }),
            wit::FetchError::TooLarge(9)
        ));
        assert!(matches!(
            fetch_error(FetchError::Redirect { status: 302 }),
            wit::FetchError::Redirect(302)
        ));
        assert!(matches!(
            fetch_error(FetchError::Connect { detail: "x".into() }),
            wit::FetchError::Connect(_)
        ));
    }

    #[test]
    fn texts_of_a_guest_stay_on_one_line_and_short() {
        assert_eq!(
            one_line("a\nb\x1b[31m\u{2028}ö"),
            "a\\nb\\u{1b}[31m\\u{2028}ö"
        );
        assert!(one_line(&"x".repeat(1 << 20)).len() < DETAIL_BYTES_MAX + 8);
        assert_eq!(one_line(""), "");
    }

    #[test]
    fn names_of_events_are_kept_once_and_bounded() {
        let first = event_name("fetch-failed");
        assert!(std::ptr::eq(first, event_name("fetch-failed")));
        assert_eq!(event_name("a b"), EVENT_NAME_OTHER);
        assert_eq!(
            event_name(&"x".repeat(EVENT_NAME_BYTES_MAX + 1)),
            EVENT_NAME_OTHER
        );
        for index in 0..2 * EVENT_NAMES_MAX {
            event_name(&format!("flood-{index}"));
        }
        assert_eq!(event_name("one-more"), EVENT_NAME_OTHER);
        assert_eq!(event_name("fetch-failed"), "fetch-failed");
    }
}
