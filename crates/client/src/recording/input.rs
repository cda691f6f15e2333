//! What a step is given, as JSON and back: commands, ends of fetches, configurations.

use serde_json::Value;
use tidegate_api::{Change, Command, CommandId, HttpRequest, Input};
use tidegate_core::{
    Aggregation, AlertCondition, AlertRule, AlertWindow, AlertsConfig, Ask, BandConfig, BandSide,
    BreakerConfig, CacheConfig, Comparison, Config, Family, FetchError, FetchId, FieldConfig,
    Grouping, Invalidation, Limits, LocalConfig, MetricConfig, PackConfig, ParamConfig, ParamType,
    Priority, Query, Range, Record, RecordConfig, Response, RetryBudgetConfig, RetryConfig, Sample,
    SourceConfig, SourceKind, Statistic, TemplateConfig, TemplateKind, Thresholds, UnixMillis,
};
use tidegate_series::{Labels, Metadata, MetricKind};

use super::json::{
    Json, Object, Unreadable, json_struct, read_member, read_object, read_tagged, read_text,
    unknown, write_tagged, write_text,
};

/// A command, borrowed from whichever kind of command its machine takes.
#[derive(Clone, Copy, Debug)]
pub enum CommandView<'a> {
    /// [`Command::Http`].
    Http(&'a HttpRequest),
    /// [`Command::Ask`].
    Ask(&'a Ask),
    /// [`Command::Record`].
    Record(&'a Record),
    /// [`Command::Aggregate`].
    Aggregate(&'a Aggregation),
    /// [`Command::Change`].
    Change(&'a Change),
}

impl<'a> From<&'a Command> for CommandView<'a> {
    fn from(command: &'a Command) -> Self {
        match command {
            Command::Http(request) => Self::Http(request),
            Command::Ask(ask) => Self::Ask(ask),
            Command::Record(record) => Self::Record(record),
            Command::Aggregate(asked) => Self::Aggregate(asked),
            Command::Change(change) => Self::Change(change),
        }
    }
}

json_struct!(Config {
    sources,
    cache,
    local,
    packs,
    owners,
    alerts,
    limits,
    seed,
    feeds_sinks
});
json_struct!(AlertsConfig { interval, rules });
json_struct!(AlertRule {
    name,
    selector,
    condition,
    pending_for,
    keep_firing_for,
    labels,
    annotations
});
json_struct!(AlertWindow { statistic, window });
json_struct!(BandConfig {
    deviations,
    memory_samples,
    samples_min,
    distance_min,
    side
});
json_struct!(PackConfig {
    name,
    description,
    queries,
    defaults,
    records
});
json_struct!(RecordConfig {
    name,
    description,
    keys,
    fields
});
json_struct!(FieldConfig {
    name,
    query,
    by,
    unit,
    when,
    source
});
json_struct!(SourceConfig {
    name,
    kind,
    ttl,
    timeout,
    thresholds,
    probe_interval,
    targets,
    collect_interval,
    honor_labels,
    refusal_ttl,
    fetch_interval,
    idle_after,
    instant_step,
    ttl_max,
    align,
    retry,
    retry_budget,
    breaker,
    templates,
});
json_struct!(TemplateConfig {
    name,
    kind,
    text,
    params,
    ttl,
    thresholds,
    description
});
json_struct!(ParamConfig { name, kind });
json_struct!(Thresholds {
    fresh_below,
    warn_past,
    unavailable_past
});
json_struct!(RetryConfig {
    retries_max,
    backoff,
    factor,
    backoff_max
});
json_struct!(RetryBudgetConfig {
    ratio_percent,
    floor
});
json_struct!(BreakerConfig {
    failures_max,
    open,
    open_max
});
json_struct!(CacheConfig {
    enabled,
    bytes_max,
    cleanup_interval
});
json_struct!(LocalConfig {
    series_max,
    series_per_metric_max,
    labels_per_series_max,
    values_per_label_max,
    points_max,
    bytes_max,
    age_max,
    expire_after,
    lookback,
    metrics
});
json_struct!(MetricConfig {
    metric,
    series_max,
    values_per_label_max,
    points_max,
    age_max,
    interval
});
json_struct!(Limits {
    query_bytes_max,
    fetches_per_source_max,
    queue_per_source_max,
    askers_per_fetch_max,
    samples_per_record_max,
    settled_age_max,
    settle,
});
json_struct!(Ask {
    sources,
    query,
    time,
    range,
    max_age,
    allow_stale,
    max_stale,
    timeout,
    priority,
    extra,
});
json_struct!(Range { start, end, step });
json_struct!(Aggregation {
    selectors,
    window,
    time,
    range,
    grouping,
    statistics
});
json_struct!(Record {
    source,
    families,
    samples
});
json_struct!(Family { name, metadata });
json_struct!(Metadata { kind, unit, help });
json_struct!(Sample {
    labels,
    timestamp_ms,
    value
});
json_struct!(Response {
    status,
    body,
    retry_after,
    content_type
});

/// `Json` of an enum without data, by words.
macro_rules! json_words {
    ($type:ty, $what:literal, { $($word:literal: $variant:pat => $value:expr),+ $(,)? } $(, $other:literal)?) => {
        impl Json for $type {
            fn write(&self, out: &mut Vec<u8>) {
                let word = match self {
                    $($variant => $word,)+
                    // Read back, it is refused by this word.
                    $(_ => $other,)?
                };
                write_text(word, out);
            }

            fn read(value: &Value) -> Result<Self, Unreadable> {
                match read_text(value)? {
                    $($word => Ok($value),)+
                    word => Err(unknown($what, word)),
                }
            }
        }
    };
}

json_words!(SourceKind, "kind of source", {
    "prometheus": Self::Prometheus => Self::Prometheus,
    "push": Self::Push => Self::Push,
    "scrape": Self::Scrape => Self::Scrape,
    "plugin": Self::Plugin => Self::Plugin,
}, "other");
json_words!(TemplateKind, "kind of template", {
    "promql": Self::PromQl => Self::PromQl,
    "metric": Self::Metric => Self::Metric,
});
json_words!(ParamType, "type of parameter", {
    "metric": Self::Metric => Self::Metric,
    "label": Self::Label => Self::Label,
    "number": Self::Number => Self::Number,
});
json_words!(Comparison, "comparison", {
    ">": Self::Greater => Self::Greater,
    ">=": Self::GreaterEqual => Self::GreaterEqual,
    "<": Self::Less => Self::Less,
    "<=": Self::LessEqual => Self::LessEqual,
    "==": Self::Equal => Self::Equal,
    "!=": Self::NotEqual => Self::NotEqual,
});
json_words!(BandSide, "side of a band", {
    "either": Self::Either => Self::Either,
    "above": Self::Above => Self::Above,
    "below": Self::Below => Self::Below,
});
json_words!(Priority, "priority", {
    "background": Self::Background => Self::Background,
    "normal": Self::Normal => Self::Normal,
    "high": Self::High => Self::High,
});
json_words!(MetricKind, "kind of metric", {
    "counter": Self::Counter => Self::Counter,
    "gauge": Self::Gauge => Self::Gauge,
    "histogram": Self::Histogram => Self::Histogram,
    "summary": Self::Summary => Self::Summary,
    "unknown": Self::Unknown => Self::Unknown,
}, "other");

impl Json for UnixMillis {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }

    fn read(value: &Value) -> Result<Self, Unreadable> {
        i64::read(value).map(Self)
    }
}

impl Json for Labels {
    fn write(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        for (name, value) in self.iter() {
            write_text(value, object.key(name));
        }
        object.end();
    }

    fn read(value: &Value) -> Result<Self, Unreadable> {
        let pair = |(name, value)| Ok((name, read_text(value)?));
        let pairs: Result<Vec<(&String, &str)>, Unreadable> =
            read_object(value)?.iter().map(pair).collect();
        Self::from_pairs(pairs?).map_err(|error| Unreadable::new(error.to_string()))
    }
}

impl Json for AlertCondition {
    fn write(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        match self {
            Self::Threshold { over, op, value } => {
                object.member("threshold", value);
                object.member("op", op).member("over", over);
            }
            Self::RateOfChange { window, op, value } => {
                object.member("rate_of_change", value);
                object.member("op", op).member("window", window);
            }
            Self::Band(band) => {
                object.member("band", band);
            }
        }
        object.end();
    }

    fn read(value: &Value) -> Result<Self, Unreadable> {
        let object = read_object(value)?;
        if object.contains_key("threshold") {
            return Ok(Self::Threshold {
                over: read_member(object, "over")?,
                op: read_member(object, "op")?,
                value: read_member(object, "threshold")?,
            });
        }
        if object.contains_key("rate_of_change") {
            return Ok(Self::RateOfChange {
                window: read_member(object, "window")?,
                op: read_member(object, "op")?,
                value: read_member(object, "rate_of_change")?,
            });
        }
        read_member(object, "band").map(Self::Band)
    }
}

/// Whether a header of this lowercase name may carry credentials of an asker. The collector reads
/// none of those.
fn is_secret(header: &str) -> bool {
    const SIGNS: [&str; 7] = [
        "auth",
        "cookie",
        "credential",
        "key",
        "password",
        "secret",
        "token",
    ];
    let header = header.to_ascii_lowercase();
    SIGNS.iter().any(|sign| header.contains(sign))
}

impl Json for Grouping {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Series => write_tagged("series", &true, out),
            Self::By(names) => write_tagged("by", &owned(names), out),
            Self::Without(names) => write_tagged("without", &owned(names), out),
        }
    }

    fn read(value: &Value) -> Result<Self, Unreadable> {
        let (kind, names) = read_tagged(value)?;
        let names = || -> Result<Vec<Box<str>>, Unreadable> {
            let names: Vec<String> = Json::read(names)?;
            Ok(names.into_iter().map(String::into_boxed_str).collect())
        };
        match kind {
            "series" => Ok(Self::Series),
            "by" => names().map(Self::By),
            "without" => names().map(Self::Without),
            kind => Err(unknown("grouping", kind)),
        }
    }
}

fn owned(names: &[Box<str>]) -> Vec<String> {
    names.iter().map(|name| String::from(&**name)).collect()
}

impl Json for Statistic {
    fn write(&self, out: &mut Vec<u8>) {
        write_text(&self.to_string(), out);
    }

    fn read(value: &Value) -> Result<Self, Unreadable> {
        let word = read_text(value)?;
        word.parse().map_err(|_| unknown("statistic", word))
    }
}

impl Json for HttpRequest {
    fn write(&self, out: &mut Vec<u8>) {
        let Self {
            method,
            target,
            headers,
            body,
        } = self;
        let shown = headers.iter().filter(|(name, _)| !is_secret(name));
        let mut object = Object::new(out);
        object.member("method", method).member("target", target);
        super::json::write_array(shown, object.key("headers"), Json::write);
        object.member("body", body);
        object.end();
    }

    fn read(value: &Value) -> Result<Self, Unreadable> {
        let object = read_object(value)?;
        Ok(Self {
            method: read_member(object, "method")?,
            target: read_member(object, "target")?,
            headers: read_member(object, "headers")?,
            body: read_member(object, "body")?,
        })
    }
}

impl Json for Query {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::PromQl(text) => write_tagged("promql", text, out),
            Self::Template { name, params } => {
                let mut object = Object::new(out);
                object.member("template", name).member("params", params);
                object.end();
            }
            Self::Endpoint { path, params } => {
                let mut object = Object::new(out);
                object.member("endpoint", path).member("params", params);
                object.end();
            }
        }
    }

    fn read(value: &Value) -> Result<Self, Unreadable> {
        let object = read_object(value)?;
        if object.contains_key("promql") {
            return read_member(object, "promql").map(Self::PromQl);
        }
        if object.contains_key("endpoint") {
            return Ok(Self::Endpoint {
                path: read_member(object, "endpoint")?,
                params: read_member(object, "params")?,
            });
        }
        Ok(Self::Template {
            name: read_member(object, "template")?,
            params: read_member(object, "params")?,
        })
    }
}

impl Json for Invalidation {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Key(key) => write_tagged("key", key, out),
            Self::Prefix(prefix) => write_tagged("prefix", prefix, out),
            Self::Source(source) => write_tagged("source", source, out),
            Self::Template { source, template } => {
                write_tagged("template", &(source.clone(), template.clone()), out);
            }
            Self::All => write_tagged("all", &true, out),
        }
    }

    fn read(value: &Value) -> Result<Self, Unreadable> {
        match read_tagged(value)? {
            ("key", key) => Json::read(key).map(Self::Key),
            ("prefix", prefix) => Json::read(prefix).map(Self::Prefix),
            ("source", source) => Json::read(source).map(Self::Source),
            ("template", both) => {
                let (source, template) = Json::read(both)?;
                Ok(Self::Template { source, template })
            }
            ("all", _) => Ok(Self::All),
            (word, _) => Err(unknown("invalidation", word)),
        }
    }
}

impl Json for Change {
    fn write(&self, out: &mut Vec<u8>) {
        let mut object = Object::new(out);
        match self {
            Self::Register { source, template } => {
                object
                    .member("register", source)
                    .member("template", template);
            }
            Self::Update { source, template } => {
                object.member("update", source).member("template", template);
            }
            Self::Unregister { source, template } => {
                object
                    .member("unregister", source)
                    .member("template", template);
            }
            Self::Untrack { key } => {
                object.member("untrack", key);
            }
            Self::Invalidate(what) => {
                object.member("invalidate", what);
            }
            Self::RegisterOwner { workload, owner } => {
                object
                    .member("register_owner", workload)
                    .member("owner", owner);
            }
            Self::UnregisterOwner { workload } => {
                object.member("unregister_owner", workload);
            }
            Self::Reload(config) => {
                object.member("reload", &**config);
            }
        }
        object.end();
    }

    fn read(value: &Value) -> Result<Self, Unreadable> {
        let object = read_object(value)?;
        let has = |name| object.contains_key(name);
        if has("register") {
            Ok(Self::Register {
                source: read_member(object, "register")?,
                template: read_member(object, "template")?,
            })
        } else if has("update") {
            Ok(Self::Update {
                source: read_member(object, "update")?,
                template: read_member(object, "template")?,
            })
        } else if has("unregister") {
            Ok(Self::Unregister {
                source: read_member(object, "unregister")?,
                template: read_member(object, "template")?,
            })
        } else if has("untrack") {
            let key = read_member(object, "untrack")?;
            Ok(Self::Untrack { key })
        } else if has("invalidate") {
            read_member(object, "invalidate").map(Self::Invalidate)
        } else if has("register_owner") {
            Ok(Self::RegisterOwner {
                workload: read_member(object, "register_owner")?,
                owner: read_member(object, "owner")?,
            })
        } else if has("unregister_owner") {
            let workload = read_member(object, "unregister_owner")?;
            Ok(Self::UnregisterOwner { workload })
        } else {
            let config = read_member(object, "reload")?;
            Ok(Self::Reload(Box::new(config)))
        }
    }
}

impl Json for FetchError {
    fn write(&self, out: &mut Vec<u8>) {
        let kind = self.kind();
        match self {
            Self::Connect { detail }
            | Self::Reset { detail }
            | Self::Encoding { detail }
            | Self::Refused { detail } => write_tagged(kind, detail, out),
            Self::Timeout { after } => write_tagged(kind, after, out),
            Self::TooLarge { limit_bytes } => write_tagged(kind, limit_bytes, out),
            Self::Redirect { status } => write_tagged(kind, status, out),
            // Read back, it is refused by its kind.
            other => write_tagged(kind, &other.to_string(), out),
        }
    }

    fn read(value: &Value) -> Result<Self, Unreadable> {
        let (kind, value) = read_tagged(value)?;
        let error = match kind {
            "connect" => Self::Connect {
                detail: Json::read(value)?,
            },
            "reset" => Self::Reset {
                detail: Json::read(value)?,
            },
            "encoding" => Self::Encoding {
                detail: Json::read(value)?,
            },
            "refused" => Self::Refused {
                detail: Json::read(value)?,
            },
            "timeout" => Self::Timeout {
                after: Json::read(value)?,
            },
            "too_large" => Self::TooLarge {
                limit_bytes: Json::read(value)?,
            },
            "redirect" => Self::Redirect {
                status: Json::read(value)?,
            },
            kind => return Err(unknown("failure of a fetch", kind)),
        };
        Ok(error)
    }
}

/// Writes an input. Its command is seen through `view`.
pub(super) fn write_input<C>(
    input: &Input<C>,
    view: impl Fn(&C) -> CommandView<'_>,
    out: &mut Vec<u8>,
) {
    let mut object = Object::new(out);
    match input {
        Input::Command(id, command) => {
            object.member("command", &id.0);
            match view(command) {
                CommandView::Http(request) => object.member("http", request),
                CommandView::Ask(ask) => object.member("ask", ask),
                CommandView::Record(record) => object.member("record", record),
                CommandView::Aggregate(asked) => object.member("aggregate", asked),
                CommandView::Change(change) => object.member("change", change),
            };
        }
        Input::Abandon(id) => {
            object.member("abandon", &id.0);
        }
        Input::Response(id, result) => {
            object.member("fetch", &id.0);
            match result {
                Ok(response) => object.member("response", response),
                Err(error) => object.member("error", error),
            };
        }
    }
    object.end();
}

/// Reads what [`write_input`] wrote.
pub(super) fn read_input(value: &Value) -> Result<Input<Command>, Unreadable> {
    let object = read_object(value)?;
    let has = |name| object.contains_key(name);
    if has("abandon") {
        return read_member(object, "abandon").map(|id| Input::Abandon(CommandId(id)));
    }
    if has("fetch") {
        let result = if has("error") {
            Err(read_member(object, "error")?)
        } else {
            Ok(read_member(object, "response")?)
        };
        return Ok(Input::Response(
            FetchId(read_member(object, "fetch")?),
            result,
        ));
    }
    let command = if has("http") {
        Command::Http(read_member(object, "http")?)
    } else if has("ask") {
        Command::Ask(read_member(object, "ask")?)
    } else if has("record") {
        Command::Record(read_member(object, "record")?)
    } else if has("aggregate") {
        Command::Aggregate(read_member(object, "aggregate")?)
    } else {
        Command::Change(read_member(object, "change")?)
    };
    Ok(Input::Command(
        CommandId(read_member(object, "command")?),
        command,
    ))
}
