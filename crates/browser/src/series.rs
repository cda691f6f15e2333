//! Tidegate's own series as a page sees them: what it records, and what it asks about windows.

use std::collections::BTreeMap;
use std::time::Duration;

use js_sys::Array;
use serde::Deserialize;
use tidegate_client::Clock;
use tidegate_core::{
    Aggregation, Family, Group, Grouping, Range, Recorded, Sample, Statistic, UnixMillis,
};
use tidegate_series::{Labels, METRIC_NAME, Metadata, MetricKind};
use wasm_bindgen::JsValue;

use crate::clock::GlobalClock;
use crate::object::Record;
use crate::options::{duration, instant};

/// What `record` is given beside the name of the source.
#[derive(Deserialize)]
pub(crate) struct BatchOptions {
    samples: Vec<SampleOptions>,
    families: Option<Vec<FamilyOptions>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SampleOptions {
    name: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    value: f64,
    timestamp_ms: Option<f64>,
}

#[derive(Deserialize)]
struct FamilyOptions {
    name: String,
    #[serde(rename = "type", default)]
    kind: Kind,
    #[serde(default)]
    unit: String,
    #[serde(default)]
    help: String,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Counter,
    Gauge,
    Histogram,
    Summary,
    #[default]
    Unknown,
}

/// What `aggregate` is given.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AggregateOptions {
    select: Vec<String>,
    window_ms: f64,
    by: Option<Vec<String>>,
    without: Option<Vec<String>>,
    statistics: Vec<String>,
    time_ms: Option<f64>,
    start_ms: Option<f64>,
    end_ms: Option<f64>,
    step_ms: Option<f64>,
}

impl BatchOptions {
    /// The batch. A sample without a time is of now.
    pub(crate) fn record(self, source: String) -> Result<tidegate_core::Record, String> {
        let now = GlobalClock.now().wall;
        let samples = self.samples.into_iter().enumerate();
        let samples = samples.map(|(nth, sample)| {
            let blame = |error: String| format!("sample {nth}: {error}");
            sample.sample(now).map_err(blame)
        });
        let families = self.families.into_iter().flatten();
        Ok(tidegate_core::Record {
            source,
            families: families.map(FamilyOptions::family).collect(),
            samples: samples.collect::<Result<_, _>>()?,
        })
    }
}

impl SampleOptions {
    fn sample(self, now: UnixMillis) -> Result<Sample, String> {
        let mut pairs = self.labels;
        pairs.insert(METRIC_NAME.into(), self.name);
        let at = match self.timestamp_ms {
            Some(ms) => instant("timestampMs", ms)?,
            None => now,
        };
        Ok(Sample {
            labels: Labels::from_pairs(pairs).map_err(|error| error.to_string())?,
            timestamp_ms: at.0,
            value: self.value,
        })
    }
}

impl FamilyOptions {
    fn family(self) -> Family {
        let kind = match self.kind {
            Kind::Counter => MetricKind::Counter,
            Kind::Gauge => MetricKind::Gauge,
            Kind::Histogram => MetricKind::Histogram,
            Kind::Summary => MetricKind::Summary,
            Kind::Unknown => MetricKind::Unknown,
        };
        Family {
            name: self.name,
            metadata: Metadata {
                kind,
                unit: self.unit.into(),
                help: self.help.into(),
            },
        }
    }
}

impl AggregateOptions {
    /// The question, and the words of its statistics in their order.
    pub(crate) fn aggregation(self) -> Result<(Aggregation, Vec<String>), String> {
        let boxed = |names: Vec<String>| names.into_iter().map(String::into_boxed_str).collect();
        let grouping = match (self.by, self.without) {
            (Some(_), Some(_)) => return Err("group either by labels or without them".into()),
            (Some(names), None) => Grouping::By(boxed(names)),
            (None, Some(names)) => Grouping::Without(boxed(names)),
            (None, None) => Grouping::Series,
        };
        let range = match (self.start_ms, self.end_ms, self.step_ms) {
            (None, None, None) => None,
            (Some(start), Some(end), Some(step)) if self.time_ms.is_none() => Some(Range {
                start: instant("startMs", start)?,
                end: instant("endMs", end)?,
                step: duration("stepMs", Some(step), Duration::ZERO)?,
            }),
            _ => return Err("windows need timeMs, or startMs, endMs and stepMs".into()),
        };
        let statistics = self.statistics.iter().map(|word| word.parse::<Statistic>());
        let aggregation = Aggregation {
            selectors: self.select,
            window: duration("windowMs", Some(self.window_ms), Duration::ZERO)?,
            time: self.time_ms.map(|ms| instant("timeMs", ms)).transpose()?,
            range,
            grouping,
            statistics: statistics
                .collect::<Result<_, _>>()
                .map_err(|error| error.to_string())?,
        };
        Ok((aggregation, self.statistics))
    }
}

/// What became of a batch.
pub(crate) fn recorded(recorded: &Recorded) -> JsValue {
    let refused = recorded.refused.iter().map(|(index, refusal)| {
        let record = Record::new().with("index", *index as f64);
        let record = record.with("reason", refusal.reason());
        record.with("message", refusal.to_string()).finish()
    });
    Record::new()
        .with("accepted", recorded.accepted as f64)
        .with("refused", refused.collect::<Array>())
        .finish()
}

/// The groups; `words` are those of the statistics that were asked for.
pub(crate) fn groups(groups: &[Group], words: &[String]) -> JsValue {
    let group = |group: &Group| {
        let ends = group
            .points
            .iter()
            .map(|point| JsValue::from(point.end_ms as f64));
        let mut values = Record::new();
        for (nth, word) in words.iter().enumerate() {
            let of_word = group
                .points
                .iter()
                .map(|point| match point.values.get(nth) {
                    Some(Some(value)) => JsValue::from_f64(*value),
                    Some(None) | None => JsValue::NULL,
                });
            values = values.with_any(&word.into(), of_word.collect::<Array>());
        }
        let approximate = group.points.iter().any(|point| point.approximate);
        Record::new()
            .with("labels", labels(&group.labels))
            .with("endsMs", ends.collect::<Array>())
            .with("values", values.finish())
            .with("approximate", approximate)
            .finish()
    };
    groups.iter().map(group).collect::<Array>().into()
}

fn labels(labels: &Labels) -> JsValue {
    let mut record = Record::new();
    for (name, value) in labels.iter() {
        record = record.with_any(&name.into(), value);
    }
    record.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> AggregateOptions {
        AggregateOptions {
            select: vec!["load".into()],
            window_ms: 60_000.0,
            by: None,
            without: None,
            statistics: vec!["avg".into(), "p95".into()],
            time_ms: None,
            start_ms: None,
            end_ms: None,
            step_ms: None,
        }
    }

    #[test]
    fn a_question_about_windows_is_read_with_its_words() {
        let (read, words) = asked().aggregation().unwrap();
        assert_eq!(words, ["avg", "p95"]);
        assert_eq!(read.window, Duration::from_secs(60));
        assert_eq!(read.grouping, Grouping::Series);
        let by = AggregateOptions {
            by: Some(vec!["node".into()]),
            start_ms: Some(0.0),
            end_ms: Some(60_000.0),
            step_ms: Some(15_000.0),
            ..asked()
        };
        let (read, _) = by.aggregation().unwrap();
        assert_eq!(read.grouping, Grouping::By(vec!["node".into()]));
        assert_eq!(read.range.unwrap().step, Duration::from_secs(15));
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        let said = |options: AggregateOptions| options.aggregation().unwrap_err();
        let both = AggregateOptions {
            by: Some(vec![]),
            without: Some(vec![]),
            ..asked()
        };
        assert_eq!(said(both), "group either by labels or without them");
        let half = AggregateOptions {
            start_ms: Some(0.0),
            ..asked()
        };
        assert!(said(half).contains("startMs, endMs and stepMs"));
        let word = AggregateOptions {
            statistics: vec!["mean".into()],
            ..asked()
        };
        assert!(said(word).contains("\"mean\""));
        let negative = AggregateOptions {
            window_ms: -1.0,
            ..asked()
        };
        assert!(said(negative).contains("windowMs must be 0 or more"));
    }
}
