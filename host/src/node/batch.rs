//! Samples of one look at the machine. Label sets are made once and shared from look to look.

use std::collections::HashMap;

use tidegate_core::{Family, Record, Sample};
use tidegate_series::{Labels, METRIC_NAME};

use super::metrics::Metric;

/// The label sets of earlier looks, by the metric's name and the labels' values.
#[derive(Debug, Default)]
pub(super) struct LabelCache {
    sets: HashMap<String, (Labels, u64)>,
    /// Counts looks, so that sets of devices that are gone can be told apart.
    look: u64,
    key: String,
}

impl LabelCache {
    /// The set of these labels; `None` if no series may have them, as with an overlong value.
    fn labels(&mut self, name: &str, labels: &[(&str, &str)]) -> Option<Labels> {
        self.key.clear();
        self.key.push_str(name);
        for (_, value) in labels {
            // Neither names nor what the kernel reports can hold a zero byte.
            self.key.push('\0');
            self.key.push_str(value);
        }
        if let Some((set, look)) = self.sets.get_mut(&self.key) {
            *look = self.look;
            return Some(set.clone());
        }
        let pairs = labels.iter().copied().chain([(METRIC_NAME, name)]);
        let set = Labels::from_pairs(pairs).ok()?;
        self.sets.insert(self.key.clone(), (set.clone(), self.look));
        Some(set)
    }

    /// Ends a look: drops the sets that it did not use.
    fn end_look(&mut self) {
        let look = self.look;
        self.sets.retain(|_, (_, used)| *used == look);
        self.look += 1;
    }
}

/// The samples of one look.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    cache: &'a mut LabelCache,
    timestamp_ms: i64,
    families: Vec<Family>,
    samples: Vec<Sample>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(cache: &'a mut LabelCache, timestamp_ms: i64) -> Self {
        Self {
            cache,
            timestamp_ms,
            families: Vec::new(),
            samples: Vec::new(),
        }
    }

    /// When the look began, in milliseconds since 1970 UTC.
    pub(super) fn timestamp_ms(&self) -> i64 {
        self.timestamp_ms
    }

    /// Adds a sample. Labels must come with the same names in the same order at each look.
    pub(super) fn push(&mut self, metric: &'static Metric, labels: &[(&str, &str)], value: f64) {
        let Some(labels) = self.cache.labels(metric.name, labels) else {
            return;
        };
        if !self
            .families
            .iter()
            .any(|family| family.name == metric.name)
        {
            self.families.push(metric.family());
        }
        self.samples.push(Sample {
            labels,
            timestamp_ms: self.timestamp_ms,
            value,
        });
    }

    /// Adds a sample of a count, which as a float is exact up to 2⁵³.
    pub(super) fn push_count(
        &mut self,
        metric: &'static Metric,
        labels: &[(&str, &str)],
        value: u64,
    ) {
        self.push(metric, labels, value as f64);
    }

    pub(super) fn finish(self, source: &str) -> Record {
        self.cache.end_look();
        Record {
            source: source.to_owned(),
            families: self.families,
            samples: self.samples,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::metrics::{LOAD1, NETWORK_RECEIVE_BYTES};
    use super::*;

    fn look(cache: &mut LabelCache, devices: &[&str]) -> Record {
        let mut batch = Batch::new(cache, 1_000);
        for device in devices {
            batch.push_count(&NETWORK_RECEIVE_BYTES, &[("device", device)], 7);
        }
        batch.push(&LOAD1, &[], 0.5);
        batch.finish("node")
    }

    #[test]
    fn a_batch_has_each_sample_and_describes_each_metric_once() {
        let record = look(&mut LabelCache::default(), &["lo", "eth0"]);
        let shown: Vec<String> = record
            .samples
            .iter()
            .map(|sample| sample.labels.to_string())
            .collect();
        assert_eq!(
            shown,
            [
                "node_network_receive_bytes_total{device=\"lo\"}",
                "node_network_receive_bytes_total{device=\"eth0\"}",
                "node_load1"
            ]
        );
        assert_eq!(record.families.len(), 2);
    }

    #[test]
    fn sets_of_devices_that_are_gone_are_dropped() {
        let mut cache = LabelCache::default();
        look(&mut cache, &["lo", "eth0"]);
        assert_eq!(cache.sets.len(), 3);
        look(&mut cache, &["lo"]);
        assert_eq!(cache.sets.len(), 2);
    }

    #[test]
    fn a_device_whose_name_no_label_can_hold_is_left_out() {
        let long = "x".repeat(1 << 20);
        assert_eq!(look(&mut LabelCache::default(), &[&long]).samples.len(), 1);
    }
}
