//! What samples say in StatsD's words: by how much totals grew, and how much the rest is.

use std::collections::{BTreeMap, HashMap};

use tidegate_series::{Family, Labels, METADATA_MAX, MetricKind, SERIES_MAX, Sample, is_stale};

use crate::sink::lost::Lost;
use crate::{EventKind, MetricEvent};

/// How many totals are remembered: those of as many series as a store holds.
const TOTALS_MAX: usize = SERIES_MAX;

/// What is remembered of the samples before.
#[derive(Debug, Default)]
pub(super) struct Totals {
    kinds: BTreeMap<String, MetricKind>,
    last: HashMap<Labels, f64>,
}

impl Totals {
    /// Takes note of what metrics are.
    pub(super) fn describe(&mut self, families: &[Family]) {
        for Family { name, metadata } in families {
            if self.kinds.len() < METADATA_MAX || self.kinds.contains_key(name) {
                self.kinds.insert(name.clone(), metadata.kind);
            }
        }
    }

    /// The samples as events. A total says by how much it grew since it was seen last: nothing the
    /// first time, and all of it where it began anew. A stale marker says nothing.
    pub(super) fn events(&mut self, samples: &[Sample], lost: &mut Lost) -> Vec<MetricEvent> {
        let events = samples.iter().filter_map(|sample| {
            let is_total = self.is_total(sample.labels.metric_name().unwrap_or_default());
            match is_stale(sample.value) {
                true => {
                    self.last.remove(&sample.labels);
                    None
                }
                false if is_total => self.growth(sample, lost),
                false => Some(event(sample, EventKind::Gauge, sample.value)),
            }
        });
        events.collect()
    }

    fn growth(&mut self, sample: &Sample, lost: &mut Lost) -> Option<MetricEvent> {
        let Sample { labels, value, .. } = sample;
        if !value.is_finite() {
            // The writer drops it, and says so.
            return Some(event(sample, EventKind::Counter, *value));
        }
        let Some(last) = self.last.get_mut(labels) else {
            if self.last.len() < TOTALS_MAX {
                self.last.insert(labels.clone(), *value);
            } else {
                lost.say(1, || format!("{labels}: more than {TOTALS_MAX} totals"));
            }
            return None;
        };
        let before = std::mem::replace(last, *value);
        let grew = if *value < before {
            *value
        } else {
            value - before
        };
        (grew != 0.0).then(|| event(sample, EventKind::Counter, grew))
    }

    /// Whether samples of this name are counts of something since some beginning. Of a metric that
    /// nobody described, its name tells.
    fn is_total(&self, name: &str) -> bool {
        const PARTS: [&str; 3] = ["_bucket", "_count", "_sum"];
        let kind = |name: &str| self.kinds.get(name).copied();
        let total = name.strip_suffix("_total");
        // OpenMetrics describes a counter without that ending.
        let described = kind(name).or_else(|| kind(total?));
        if let Some(described) = described
            && described != MetricKind::Unknown
        {
            return described == MetricKind::Counter;
        }
        let is_part = PARTS.iter().any(|part| {
            let whole = name.strip_suffix(part).and_then(kind);
            matches!(whole, Some(MetricKind::Histogram | MetricKind::Summary))
        });
        is_part || total.is_some()
    }
}

fn event(sample: &Sample, kind: EventKind, value: f64) -> MetricEvent {
    MetricEvent {
        labels: sample.labels.clone(),
        kind,
        value,
        timestamp_ms: sample.timestamp_ms,
    }
}

#[cfg(test)]
mod tests {
    use tidegate_series::{Metadata, stale_marker};

    use super::*;

    fn described(kinds: &[(&str, MetricKind)]) -> Totals {
        let family = |&(name, kind): &(&str, MetricKind)| Family {
            name: name.into(),
            metadata: Metadata {
                kind,
                ..Metadata::default()
            },
        };
        let mut totals = Totals::default();
        totals.describe(&kinds.iter().map(family).collect::<Vec<_>>());
        totals
    }

    /// What each of these values says, one after the other.
    fn said(totals: &mut Totals, name: &str, values: &[f64]) -> Vec<(EventKind, f64)> {
        let sample = |&value| Sample {
            labels: Labels::from_pairs([("__name__", name), ("zone", "a")]).unwrap(),
            timestamp_ms: 0,
            value,
        };
        let samples: Vec<Sample> = values.iter().map(sample).collect();
        let mut lost = Lost::default();
        let events = totals.events(&samples, &mut lost);
        lost.into_result().unwrap();
        let said = events.into_iter().map(|event| (event.kind, event.value));
        said.collect()
    }

    #[test]
    fn totals_say_by_how_much_they_grew_and_begin_anew_after_a_reset() {
        let mut totals = described(&[("hits", MetricKind::Counter)]);
        let grew = |value| (EventKind::Counter, value);
        assert_eq!(said(&mut totals, "hits", &[100.0]), []);
        let values = [103.0, 103.0, 2.0];
        assert_eq!(said(&mut totals, "hits", &values), [grew(3.0), grew(2.0)]);
        // What is no number is left for the writer to tell, and forgotten.
        let odd = said(&mut totals, "hits", &[f64::NAN, 5.0]);
        assert!(odd[0].1.is_nan());
        assert_eq!(odd[1..], [grew(3.0)]);
        let after = [stale_marker(), 50.0, 51.0];
        assert_eq!(said(&mut totals, "hits", &after), [grew(1.0)]);
    }

    #[test]
    fn everything_else_is_what_it_is_now() {
        let mut totals = described(&[("queue", MetricKind::Gauge)]);
        let is = |value| (EventKind::Gauge, value);
        let values = [3.0, stale_marker(), 2.0];
        assert_eq!(said(&mut totals, "queue", &values), [is(3.0), is(2.0)]);
        assert_eq!(said(&mut totals, "unheard_of", &[1.0]), [is(1.0)]);
    }

    #[test]
    fn descriptions_and_names_tell_totals() {
        let totals = described(&[
            ("a", MetricKind::Counter),
            ("b", MetricKind::Histogram),
            ("c", MetricKind::Summary),
            ("d_total", MetricKind::Gauge),
            ("e_total", MetricKind::Unknown),
        ]);
        for name in [
            "a", "a_total", "b_bucket", "b_sum", "b_count", "c_sum", "e_total", "f_total",
        ] {
            assert!(totals.is_total(name), "{name}");
        }
        for name in ["b", "c", "d_total", "f", "f_count", "a_sum", ""] {
            assert!(!totals.is_total(name), "{name}");
        }
    }
}
