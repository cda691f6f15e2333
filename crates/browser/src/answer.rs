//! Answers as plain objects with typed arrays, as `index.d.ts` says.

use std::collections::BTreeMap;
use std::time::Duration;

use js_sys::{Array, Float64Array, JSON, JsString, Uint32Array};
use tidegate_core::Answer;
use tidegate_wire::{Columns, Data, Series};
use wasm_bindgen::JsValue;

use crate::object::{Record, strings};

/// The answer as JavaScript sees it.
pub(crate) fn object(answer: &Answer) -> JsValue {
    let response = &answer.payload.response;
    let record = Record::new()
        .with("type", response.data.result_type())
        .with("asOfMs", answer.as_of.0 as f64)
        .with("fetchedAtMs", answer.fetched_at.0 as f64)
        .with("ageMs", ms(answer.age))
        .with("freshness", answer.freshness.as_str())
        .with("provenance", answer.provenance.as_str())
        .with("source", &*answer.source)
        .with("key", &*answer.key)
        .with_some("ttlLeftMs", answer.ttl_left.map(ms))
        .with_some("reason", answer.reason.as_deref())
        .with("warnings", strings(&response.warnings))
        .with("infos", strings(&response.infos));
    let record = match &response.data {
        Data::Vector(columns) => vector(record, columns),
        Data::Matrix(columns) => matrix(record, columns),
        Data::Scalar {
            timestamp_ms,
            value,
        } => record
            .with("timestampMs", *timestamp_ms as f64)
            .with("value", *value),
        Data::String {
            timestamp_ms,
            value,
        } => record
            .with("timestampMs", *timestamp_ms as f64)
            .with("value", value.as_str()),
        Data::Strings(values) => record.with("values", strings(values)),
        Data::Series(columns) => record.with("metrics", metrics(columns)),
        Data::Document => record,
    };
    record.finish()
}

/// One number per series. A series whose sample is a native histogram has NaN, at its time.
fn vector(record: Record, columns: &Columns) -> Record {
    let mut timestamps_ms = Vec::with_capacity(columns.len());
    let mut values = Vec::with_capacity(columns.len());
    for series in columns.iter() {
        let histogram = series
            .histograms()
            .next()
            .map(|(timestamp_ms, _)| timestamp_ms);
        let timestamp_ms = series.timestamps_ms().first().copied().or(histogram);
        timestamps_ms.push(timestamp_ms.map_or(f64::NAN, |ms| ms as f64));
        values.push(series.values().first().copied().unwrap_or(f64::NAN));
    }
    record
        .with("metrics", metrics(columns))
        .with("timestampsMs", Float64Array::from(&*timestamps_ms))
        .with("values", Float64Array::from(&*values))
        .with_some("histograms", histograms(columns))
}

fn matrix(record: Record, columns: &Columns) -> Record {
    let mut end = 0;
    let ends = columns.iter().map(|series| {
        end += series.values().len() as u32;
        end
    });
    let offsets: Vec<u32> = std::iter::once(0).chain(ends).collect();
    let timestamps_ms: Vec<f64> = columns
        .timestamps_ms()
        .iter()
        .map(|ms| *ms as f64)
        .collect();
    record
        .with("metrics", metrics(columns))
        .with("offsets", Uint32Array::from(&*offsets))
        .with("timestampsMs", Float64Array::from(&*timestamps_ms))
        .with("values", Float64Array::from(columns.values()))
        .with_some("histograms", histograms(columns))
}

fn metrics(columns: &Columns) -> Array {
    // The same few names stand in every series: each crosses to JavaScript once.
    let mut names = BTreeMap::new();
    columns
        .iter()
        .map(|series| labels(series, &mut names))
        .collect()
}

fn labels<'a>(series: Series<'a>, names: &mut BTreeMap<&'a str, JsValue>) -> JsValue {
    let mut record = Record::new();
    for (name, value) in series.labels() {
        let name = names
            .entry(name)
            .or_insert_with(|| JsString::from(name).into());
        record = record.with_any(name, value);
    }
    record.finish()
}

/// All native histograms, where there is any.
fn histograms(columns: &Columns) -> Option<Array> {
    let found = Array::new();
    for (index, series) in columns.iter().enumerate() {
        for (timestamp_ms, json) in series.histograms() {
            // Decoding has checked that it is JSON.
            let value = JSON::parse(json).unwrap_or(JsValue::NULL);
            let histogram = Record::new()
                .with("series", index as u32)
                .with("timestampMs", timestamp_ms as f64);
            found.push(&histogram.with("histogram", value).finish());
        }
    }
    (found.length() > 0).then_some(found)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
