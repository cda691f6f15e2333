//! What a store knows of one metric: its description, its bounds, its series and their labels' values.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use super::nearing::{Limit, Warnings};
use crate::error::AppendError;
use crate::labels::{Labels, METRIC_NAME};
use crate::limits::{MetricRule, StoreLimits};
use crate::metadata::Metadata;

// What entries take on a 64-bit machine, beside texts; told so on every target.
const VALUE_BYTES: usize = 24;
const LABEL_BYTES: usize = 48;
const SERIES_BYTES: usize = 24;

/// A metric: described, or with series, or both.
#[derive(Debug, Clone)]
pub(super) struct Metric {
    pub(super) bounds: Bounds,
    pub(super) metadata: Option<Metadata>,
    /// As it was registered.
    pub(super) interval_ms: Option<u64>,
    /// The places of its series.
    pub(super) series: BTreeMap<Labels, u32>,
    /// How many samples of new series were refused on its account, since it has been there.
    pub(super) refused: u64,
    labels: BTreeMap<Arc<str>, Values>,
    near: bool,
}

/// The bounds of a store, as the rules change them for one metric.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) points_max: usize,
    pub(super) age_max_ms: u64,
    pub(super) series_max: usize,
    values_per_label_max: usize,
    interval_ms: Option<u64>,
}

/// How many series have which value of a label.
#[derive(Debug, Clone, Default)]
struct Values {
    series: BTreeMap<Arc<str>, u32>,
    near: bool,
}

impl Bounds {
    /// The first rule that is about the metric counts.
    fn of(metric_name: &str, limits: &StoreLimits, rules: &[MetricRule]) -> Self {
        let rule = rules.iter().find(|rule| rule.matches(metric_name));
        Self {
            points_max: rule
                .and_then(|rule| rule.points_max)
                .unwrap_or(limits.points_per_series_max)
                .max(1),
            age_max_ms: rule
                .and_then(|rule| rule.age_max_ms)
                .unwrap_or(limits.age_max_ms),
            series_max: rule
                .and_then(|rule| rule.series_max)
                .unwrap_or(limits.series_per_metric_max),
            values_per_label_max: rule
                .and_then(|rule| rule.values_per_label_max)
                .unwrap_or(limits.values_per_label_max),
            interval_ms: rule.and_then(|rule| rule.interval_ms),
        }
    }
}

impl Metric {
    pub(super) fn new(metric_name: &str, limits: &StoreLimits, rules: &[MetricRule]) -> Self {
        Self {
            bounds: Bounds::of(metric_name, limits, rules),
            metadata: None,
            interval_ms: None,
            series: BTreeMap::new(),
            refused: 0,
            labels: BTreeMap::new(),
            near: false,
        }
    }

    /// How often its series are expected, where that is known: what a rule says before what was registered.
    pub(super) fn interval_ms(&self) -> Option<u64> {
        let known = self.bounds.interval_ms.or(self.interval_ms);
        known.filter(|&interval_ms| interval_ms > 0)
    }

    pub(super) fn is_described(&self) -> bool {
        self.metadata.is_some()
    }

    /// Whether there is room for a new series.
    pub(super) fn admits(&self, metric: &Arc<str>, labels: &Labels) -> Result<(), AppendError> {
        let limit = self.bounds.series_max;
        if self.series.len() >= limit {
            let metric = metric.clone();
            return Err(AppendError::SeriesPerMetricLimit { metric, limit });
        }
        let limit = self.bounds.values_per_label_max;
        let is_full = |(label, value): &(&Arc<str>, &Arc<str>)| {
            let values = self.labels.get(*label).map(|values| &values.series);
            values.map_or(limit == 0, |values| {
                values.len() >= limit && !values.contains_key(*value)
            })
        };
        match labels.texts().filter(is_label).find(is_full) {
            Some((label, _)) => Err(AppendError::ValuesPerLabelLimit {
                metric: metric.clone(),
                label: label.clone(),
                limit,
            }),
            None => Ok(()),
        }
    }

    pub(super) fn insert(
        &mut self,
        metric: &Arc<str>,
        labels: &Labels,
        place: u32,
        warnings: &mut Warnings,
    ) {
        self.series.insert(labels.clone(), place);
        for (label, value) in labels.texts().filter(is_label) {
            let values = self.labels.entry(label.clone()).or_default();
            *values.series.entry(value.clone()).or_default() += 1;
        }
        self.look(metric, labels, warnings);
    }

    pub(super) fn remove(&mut self, metric: &Arc<str>, labels: &Labels, warnings: &mut Warnings) {
        self.series.remove(labels);
        for (label, value) in labels.texts().filter(is_label) {
            let Some(values) = self.labels.get_mut(label) else {
                continue;
            };
            if let Some(count) = values.series.get_mut(value) {
                *count -= 1;
                if *count == 0 {
                    values.series.remove(value);
                }
            }
        }
        self.look(metric, labels, warnings);
        self.labels.retain(|_, values| !values.series.is_empty());
    }

    /// Looks whether limits come near, or are no longer near, where these labels count.
    fn look(&mut self, metric: &Arc<str>, labels: &Labels, warnings: &mut Warnings) {
        let limit = || Limit::SeriesPerMetric {
            metric: metric.clone(),
        };
        let (held, max) = (self.series.len(), self.bounds.series_max);
        warnings.look(&mut self.near, held, max, limit);
        let max = self.bounds.values_per_label_max;
        for (label, _) in labels.texts().filter(is_label) {
            let Some(values) = self.labels.get_mut(label) else {
                continue;
            };
            let limit = || Limit::ValuesPerLabel {
                metric: metric.clone(),
                label: label.clone(),
            };
            warnings.look(&mut values.near, values.series.len(), max, limit);
        }
    }

    /// What its tables take in memory beside texts, in bytes.
    pub(super) fn byte_size(&self) -> usize {
        let values: usize = self
            .labels
            .values()
            .map(|values| LABEL_BYTES + values.series.len() * VALUE_BYTES)
            .sum();
        let described = self.metadata.as_ref();
        let texts = described.map_or(0, |metadata| metadata.unit.len() + metadata.help.len());
        values + self.series.len() * SERIES_BYTES + texts
    }

    /// How many values a label has.
    #[cfg(test)]
    pub(super) fn value_count(&self, label: &str) -> usize {
        self.labels
            .get(label)
            .map_or(0, |values| values.series.len())
    }
}

/// The name has as many values as there are metrics; that is no business of one of them.
fn is_label((name, _): &(&Arc<str>, &Arc<str>)) -> bool {
    ***name != *METRIC_NAME
}
