//! `/v1/record`: batches of samples, in the formats that programs push.
//!
//! | `Content-Type` | body |
//! |---|---|
//! | `application/x-ndjson`, `application/jsonl`, `application/json` | [lines of JSON](tidegate_wire::lines) |
//! | `text/plain` | exposition text 0.0.4 |
//! | `application/openmetrics-text` | OpenMetrics 1.0 |
//! | `application/x-protobuf` | Prometheus remote-write 1.0, its snappy already undone |
//!
//! The rules are told with the crate.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use tidegate_core::{
    Collector, Family, Now, Record, RecordError, Recorded, Refusal, Sample, family_of,
};
use tidegate_series::Labels;
use tidegate_wire::json::Writer;
use tidegate_wire::lines::{self, Line, LineKind, RecordLine};
use tidegate_wire::remote_write::{self, WriteError, WriteLimits};
use tidegate_wire::{
    Columns, ExpositionError, ExpositionFormat, FamilyHeader, ScrapeLimits, decode_exposition,
    format_of,
};

use crate::{HttpRequest, HttpResponse};

/// What a batch may be.
const MEDIA_TYPES: &str = "application/x-ndjson (or application/jsonl, application/json), text/plain, application/openmetrics-text or application/x-protobuf (remote-write 1.0)";

/// The format of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Lines,
    Exposition(ExpositionFormat),
    RemoteWrite,
}

/// Samples as they are recorded, and those that no series can hold.
#[derive(Debug, Default)]
struct Batch {
    families: Vec<Family>,
    samples: Vec<Sample>,
    refused: Refused,
}

/// Refused samples by reason, in the order of their first.
#[derive(Debug, Default)]
struct Refused {
    reasons: Vec<Reason>,
}

#[derive(Debug)]
struct Reason {
    word: &'static str,
    count: usize,
    /// The first of them and what is wrong with it.
    first: String,
    /// Whether it may be taken later.
    is_full: bool,
}

/// Records the body of a request for a push source: the one named, else the only one.
pub(crate) fn record(
    collector: &mut Collector,
    source: Option<&str>,
    request: &HttpRequest,
    now: Now,
) -> Result<HttpResponse, HttpResponse> {
    let source = push_source(collector, source)?;
    let format = format(request.header("content-type").unwrap_or_default())?;
    let samples_max = collector.samples_per_record_max();
    let mut batch = read(&request.body, format, samples_max, now)?;
    let record = Record {
        source,
        families: batch.families,
        samples: batch.samples,
    };
    let recorded = collector.record(&record, now).map_err(|error| {
        let message = error.to_string();
        match error {
            RecordError::UnknownSource { .. } => HttpResponse::error(404, "not_found", &message),
            RecordError::TooMany { .. } => refused(413, &message),
            RecordError::NotPush { .. } | _ => refused(400, &message),
        }
    })?;
    for (index, refusal) in &recorded.refused {
        let labels = record.samples.get(*index).map(|sample| &sample.labels);
        let labels = labels.map(ToString::to_string).unwrap_or_default();
        batch
            .refused
            .add(refusal.reason(), refusal.is_full(), 1, || {
                format!("{labels}: {refusal}")
            });
    }
    Ok(verdict(&recorded, &record, &batch.refused, format))
}

/// The name of the source that is pushed to.
fn push_source(collector: &Collector, named: Option<&str>) -> Result<String, HttpResponse> {
    if let Some(name) = named {
        return Ok(name.into());
    }
    let sources = collector.sources();
    let push = sources.iter().filter(|source| source.kind == "push");
    let names: Vec<&str> = push.map(|source| &*source.name).collect();
    match names[..] {
        [only] => Ok(only.into()),
        [] => Err(refused(400, "no source of kind push is configured")),
        _ => {
            let message = format!(
                "name one of the push sources by source=: {}",
                names.join(", ")
            );
            Err(refused(400, &message))
        }
    }
}

fn format(content_type: &str) -> Result<Format, HttpResponse> {
    let (media_type, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let media_type = media_type.trim().to_ascii_lowercase();
    match &*media_type {
        "application/x-ndjson" | "application/jsonl" | "application/json" => Ok(Format::Lines),
        "text/plain" | "application/openmetrics-text" => {
            Ok(Format::Exposition(format_of(content_type)))
        }
        // Version 2.0 has another message, which the parameter names.
        remote_write::CONTENT_TYPE if !parameters.contains("io.prometheus.write.v2") => {
            Ok(Format::RemoteWrite)
        }
        _ => {
            let message = format!("the body must be {MEDIA_TYPES}, it is {content_type:?}");
            Err(refused(415, &message))
        }
    }
}

fn read(body: &[u8], format: Format, samples_max: usize, now: Now) -> Result<Batch, HttpResponse> {
    let limits = ScrapeLimits::default();
    let mut batch = Batch::default();
    let exposition = match format {
        Format::Lines => return read_lines(body, samples_max, now),
        Format::Exposition(format) => decode_exposition(body, format, now.wall.0, &limits),
        Format::RemoteWrite => {
            let request = remote_write::decode(body, &WriteLimits::default()).map_err(|error| {
                let is_large = matches!(error, WriteError::TooLarge { .. });
                refused(if is_large { 413 } else { 400 }, &error.to_string())
            })?;
            batch.add(&request.columns, &request.families);
            batch
                .refused
                .add("native-histogram", false, request.histograms, || {
                    "native histograms are not kept".into()
                });
            return Ok(batch);
        }
    };
    let exposition = exposition.map_err(|error| {
        let is_large = matches!(error, ExpositionError::TooLarge { .. });
        refused(if is_large { 413 } else { 400 }, &error.to_string())
    })?;
    batch.add(&exposition.columns, &exposition.families);
    if let Some(repeated) = &exposition.repeated {
        let first = || repeated.to_string();
        batch.refused.add("repeated", false, repeated.count, first);
    }
    Ok(batch)
}

/// Lines of JSON. Empty ones are passed over.
fn read_lines(body: &[u8], samples_max: usize, now: Now) -> Result<Batch, HttpResponse> {
    let mut batch = Batch::default();
    for (nth, bytes) in body.split(|&byte| byte == b'\n').enumerate() {
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let at = |error: &dyn fmt::Display| refused(400, &format!("line {}: {error}", nth + 1));
        match lines::decode_line(bytes).map_err(|error| at(&error))? {
            Line::Version(lines::VERSION) => {}
            Line::Version(version) => {
                let known = lines::VERSION;
                return Err(at(&format!(
                    "version {version} is not read here, {known} is"
                )));
            }
            Line::Family(family) => batch.families.push(family_of(&family)),
            Line::Record(line) => batch
                .samples
                .push(sample_of(&line, now).map_err(|error| at(&error))?),
        }
        if batch.samples.len() > samples_max {
            let message = format!("more than {samples_max} samples in one batch");
            return Err(refused(413, &message));
        }
    }
    Ok(batch)
}

/// The sample of a line, unless that has to be added up first.
fn sample_of(line: &RecordLine<'_>, now: Now) -> Result<Sample, String> {
    let kind = match line.kind {
        LineKind::Sample | LineKind::Gauge | LineKind::Custom => None,
        LineKind::Counter | LineKind::Timer | LineKind::Histogram => Some(line.kind.as_str()),
    };
    if let Some(kind) = kind {
        return Err(format!(
            "a {kind} is an event: send the sample that events add up to"
        ));
    }
    let pairs = line.labels.iter().map(|(name, value)| (name, value));
    let labels = Labels::from_pairs(pairs).map_err(|error| error.to_string())?;
    if labels.metric_name().is_none() {
        return Err("the line has no name".into());
    }
    Ok(Sample {
        labels,
        timestamp_ms: line.timestamp_ms.unwrap_or(now.wall.0),
        value: line.value,
    })
}

impl Batch {
    fn add(&mut self, columns: &Columns, families: &[FamilyHeader]) {
        self.families.extend(families.iter().map(family_of));
        for series in columns.iter() {
            let points = series.timestamps_ms().iter().zip(series.values());
            match Labels::from_pairs(series.labels()) {
                Ok(labels) => self
                    .samples
                    .extend(points.map(|(&timestamp_ms, &value)| Sample {
                        labels: labels.clone(),
                        timestamp_ms,
                        value,
                    })),
                Err(error) => {
                    let refusal = Refusal::Labels(error);
                    let name = series.label("__name__").unwrap_or_default();
                    self.refused.add(refusal.reason(), false, points.len(), || {
                        format!("{name}: {refusal}")
                    });
                }
            }
        }
    }
}

impl Refused {
    fn add(
        &mut self,
        word: &'static str,
        is_full: bool,
        count: usize,
        first: impl FnOnce() -> String,
    ) {
        if count == 0 {
            return;
        }
        match self.reasons.iter_mut().find(|known| known.word == word) {
            Some(known) => known.count += count,
            None => self.reasons.push(Reason {
                word,
                count,
                first: first(),
                is_full,
            }),
        }
    }

    fn count(&self) -> usize {
        self.reasons.iter().map(|reason| reason.count).sum()
    }
}

/// What became of the batch: 200 where all was taken, or 204 without a body to remote-write; 429
/// where there was no room for some of it, 400 where some of it will never be taken.
fn verdict(
    recorded: &Recorded,
    record: &Record,
    refused: &Refused,
    format: Format,
) -> HttpResponse {
    let count = refused.count();
    let is_full = refused.reasons.iter().any(|reason| reason.is_full);
    let (status, error_type) = match (count, is_full) {
        (0, _) => (200, ""),
        (_, true) => (429, "unavailable"),
        (_, false) => (400, "bad_data"),
    };
    if count == 0 && format == Format::RemoteWrite {
        return HttpResponse {
            headers: Vec::new(),
            ..HttpResponse::json(204, Vec::new())
        };
    }
    let mut body = Vec::new();
    Writer::new(&mut body).object(|json| {
        if let Some(first) = refused.reasons.first() {
            let of = count + recorded.accepted;
            let message = format!("{count} of {of} samples refused: {}", first.first);
            json.key("status").string("error");
            json.key("errorType").string(error_type);
            json.key("error").string(&message);
        } else {
            json.key("status").string("success");
        }
        json.key("data").object(|json| {
            json.key("accepted").count(recorded.accepted);
            json.key("refused").count(count);
            if count > 0 {
                json.key("reasons").array(|json| {
                    for reason in &refused.reasons {
                        json.object(|json| {
                            json.key("reason").string(reason.word);
                            json.key("count").count(reason.count);
                            json.key("first").string(&reason.first);
                        });
                    }
                });
            }
            if let Some((index, error)) = recorded.families_refused.first() {
                let name = record.families.get(*index).map(|family| &*family.name);
                let first = format!("{}: {error}", name.unwrap_or_default());
                json.key("descriptions_refused").object(|json| {
                    json.key("count").count(recorded.families_refused.len());
                    json.key("first").string(&first);
                });
            }
        });
    });
    HttpResponse::json(status, body)
}

fn refused(status: u16, message: &str) -> HttpResponse {
    HttpResponse::error(status, "bad_data", message)
}
