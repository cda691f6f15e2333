//! What is held of Tidegate's own series: `/v1/series`, `/v1/metrics`, and the metrics in `/stats`.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::time::Duration;

use tidegate_core::Collector;
use tidegate_series::{
    DescribeError, Labels, METRIC_NAME, Metadata, MetricFill, MetricKind, Ring, is_stale,
};
use tidegate_wire::json::Writer;

use crate::params::{Params, invalid};
use crate::{HttpResponse, error};

/// How many series one answer lists unless `limit` says otherwise: what a person scrolls through.
const SERIES_LISTED: usize = 1_000;

/// How many it lists at most: some 3 MB.
const SERIES_LISTED_MAX: usize = 10_000;

/// How many metrics `/stats` lists: all of a node and its programs, in a quarter of a megabyte.
const METRICS_LISTED_MAX: usize = 1_000;

/// `/v1/series`: the series that any `match[]` selects, or all, in the order of their labels.
pub(crate) fn series(collector: &Collector, params: &Params) -> Result<HttpResponse, HttpResponse> {
    let limit = match params.count("limit")? {
        None | Some(0) => SERIES_LISTED,
        Some(limit) if limit <= SERIES_LISTED_MAX => limit,
        Some(limit) => {
            let why = format!(
                "{limit} are too many, at most {SERIES_LISTED_MAX} are listed: select fewer by match[]"
            );
            return Err(invalid("limit")(why));
        }
    };
    let held = collector
        .held(&params.each("match[]"))
        .map_err(|error| error::response(&error))?;
    let mut body = Vec::new();
    Writer::new(&mut body).object(|json| {
        json.key("series").array(|json| {
            for (labels, ring) in held.iter().take(limit) {
                json.object(|json| one(json, collector, labels, ring));
            }
        });
        json.key("total").count(held.len());
        json.key("limit").count(limit);
        json.key("left_out").count(held.len().saturating_sub(limit));
    });
    Ok(HttpResponse::json(200, body))
}

fn one(json: &mut Writer<'_>, collector: &Collector, labels: &Labels, ring: &Ring) {
    let name = labels.value(METRIC_NAME).unwrap_or_default();
    let store = collector.series();
    json.key("labels").object(|json| {
        for (name, value) in labels.iter() {
            json.key(name).string(value);
        }
    });
    json.key("type").string(kind(store.metadata(name)));
    if let Some(interval_ms) = store.interval_ms(name) {
        json.key("interval_ms").integer(interval_ms);
    }
    json.key("points").count(ring.len());
    json.key("points_max").count(ring.capacity());
    if let (Some((oldest_ms, _)), Some((newest_ms, newest))) = (ring.oldest(), ring.newest()) {
        json.key("oldest_ms").integer(oldest_ms);
        json.key("newest_ms").integer(newest_ms);
        json.key("ended").bool(is_stale(newest));
    }
    json.key("bytes").count(ring.byte_size());
}

/// `/v1/metrics`: the metrics alone.
pub(crate) fn registered(collector: &Collector) -> HttpResponse {
    let mut body = Vec::new();
    Writer::new(&mut body).object(|json| metrics(json, collector));
    HttpResponse::json(200, body)
}

/// `POST /v1/metrics`: says what a metric is, and how often its series are expected.
pub(crate) fn register(
    collector: &mut Collector,
    params: &Params,
) -> Result<HttpResponse, HttpResponse> {
    let name = params.needed("name")?;
    let metadata = Metadata {
        kind: kind_of(params)?,
        unit: params.given("unit").unwrap_or_default().into(),
        help: params.given("help").unwrap_or_default().into(),
    };
    let interval = params.duration_or("interval", Duration::ZERO)?;
    let known = Some(interval).filter(|interval| !interval.is_zero());
    collector
        .register_metric(name, metadata, known)
        .map_err(|error| match error {
            DescribeError::MetadataLimit { .. } => {
                HttpResponse::error(503, "unavailable", &error.to_string())
            }
            DescribeError::InvalidName { .. }
            | DescribeError::UnitTooLong { .. }
            | DescribeError::HelpTooLong { .. }
            | _ => HttpResponse::error(400, "bad_data", &error.to_string()),
        })?;
    let mut body = Vec::new();
    Writer::new(&mut body).object(|json| {
        json.key("registered").string(name);
    });
    Ok(HttpResponse::json(200, body))
}

fn kind_of(params: &Params) -> Result<MetricKind, HttpResponse> {
    const KINDS: [MetricKind; 5] = [
        MetricKind::Counter,
        MetricKind::Gauge,
        MetricKind::Histogram,
        MetricKind::Summary,
        MetricKind::Unknown,
    ];
    let Some(word) = params.given("type") else {
        return Ok(MetricKind::Unknown);
    };
    let found = KINDS.into_iter().find(|kind| kind.as_str() == word);
    let words = KINDS.map(MetricKind::as_str).join(", ");
    found.ok_or_else(|| invalid("type")(format!("{word:?} is none of {words}")))
}

/// The metrics of `/stats`: those that are registered or have series, by name, and how full they
/// are.
pub(crate) fn metrics(json: &mut Writer<'_>, collector: &Collector) {
    let mut left_out = 0;
    json.key("metrics").array(|json| {
        for (nth, fill) in collector.series().metrics().enumerate() {
            if nth < METRICS_LISTED_MAX {
                json.object(|json| metric(json, &fill));
            } else {
                left_out += 1;
            }
        }
    });
    json.key("metrics_left_out").count(left_out);
}

fn metric(json: &mut Writer<'_>, fill: &MetricFill<'_>) {
    json.key("name").string(fill.name);
    json.key("registered").bool(fill.metadata.is_some());
    json.key("type").string(kind(fill.metadata));
    if let Some(metadata) = fill.metadata {
        json.key("unit").string(&metadata.unit);
        json.key("help").string(&metadata.help);
    }
    if let Some(interval_ms) = fill.interval_ms {
        json.key("interval_ms").integer(interval_ms);
    }
    json.key("series").count(fill.series);
    json.key("series_max").count(fill.series_max);
    json.key("points").count(fill.points);
    // Counted as every target counts it.
    let capacity = fill.series as u64 * fill.points_per_series_max as u64;
    json.key("points_max").integer(capacity);
    json.key("bytes").count(fill.bytes);
    json.key("refused").integer(fill.refused);
}

fn kind(metadata: Option<&Metadata>) -> &'static str {
    metadata
        .map_or(MetricKind::Unknown, |metadata| metadata.kind)
        .as_str()
}
