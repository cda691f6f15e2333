//! From a batch to requests.

use std::collections::BTreeMap;

use tidegate_series::{Family, Labels, Sample};
use tidegate_wire::remote_write::RequestWriter;

use super::super::family::family_kind;
use crate::Batch;

/// What a batch comes to.
pub(super) struct Requests<'a> {
    pub(super) cut: Vec<Request<'a>>,
    /// Samples that no receiver would take.
    pub(super) nameless: usize,
}

/// One request: series with their samples, and what metrics are.
#[derive(Default)]
pub(super) struct Request<'a> {
    families: &'a [Family],
    series: Vec<(&'a Labels, Vec<(i64, f64)>)>,
}

/// The requests for a batch, of at most so many samples each. The first one has the descriptions, too.
pub(super) fn of(batch: &Batch, samples_max: usize) -> Requests<'_> {
    let mut series: BTreeMap<&Labels, Vec<(i64, f64)>> = BTreeMap::new();
    let mut nameless = 0;
    for Sample {
        labels,
        timestamp_ms,
        value,
    } in &batch.samples
    {
        match labels.metric_name() {
            Some(_) => series
                .entry(labels)
                .or_default()
                .push((*timestamp_ms, *value)),
            None => nameless += 1,
        }
    }
    let mut cut = Vec::new();
    let mut request = Request::default();
    let mut room = samples_max;
    for (labels, mut samples) in series {
        samples.sort_by_key(|(timestamp_ms, _)| *timestamp_ms);
        let mut rest = &*samples;
        while !rest.is_empty() {
            let (part, later) = rest.split_at(rest.len().min(room));
            request.series.push((labels, part.to_vec()));
            rest = later;
            room -= part.len();
            if room == 0 {
                cut.push(std::mem::take(&mut request));
                room = samples_max;
            }
        }
    }
    if !request.series.is_empty() || (cut.is_empty() && !batch.families.is_empty()) {
        cut.push(request);
    }
    if let Some(first) = cut.first_mut() {
        first.families = &batch.families;
    }
    Requests { cut, nameless }
}

impl Request<'_> {
    pub(super) fn samples(&self) -> usize {
        self.series.iter().map(|(_, samples)| samples.len()).sum()
    }

    /// The message, without compression.
    pub(super) fn message(&self) -> Vec<u8> {
        let mut message = Vec::new();
        let mut writer = RequestWriter::new(&mut message);
        for (labels, samples) in &self.series {
            writer.series(labels.iter(), samples.iter().copied());
        }
        for family in self.families {
            let metadata = &family.metadata;
            let kind = family_kind(metadata.kind);
            writer.family(&family.name, kind, &metadata.help, &metadata.unit);
        }
        message
    }

    /// The block that is sent.
    pub(super) fn compressed(&self) -> Vec<u8> {
        let compressed = snap::raw::Encoder::new().compress_vec(&self.message());
        compressed.expect("a request of some thousand samples is below snappy's 4 GiB")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegate_series::{Metadata, MetricKind, stale_marker};
    use tidegate_wire::FamilyKind;
    use tidegate_wire::remote_write::{WriteLimits, WriteRequest, decode};

    use super::*;

    fn sample(name: &str, timestamp_ms: i64, value: f64) -> Sample {
        Sample {
            labels: Labels::from_pairs([("__name__", name), ("Zone", "x")]).unwrap(),
            timestamp_ms,
            value,
        }
    }

    fn decoded(requests: &Requests<'_>) -> Vec<WriteRequest> {
        let limits = WriteLimits::default();
        let cut = requests.cut.iter();
        cut.map(|request| {
            let block = tidegate_wire::snappy::decompress(&request.compressed(), 1 << 20).unwrap();
            assert_eq!(block, request.message());
            decode(&block, &limits).unwrap()
        })
        .collect()
    }

    #[test]
    fn samples_go_by_series_in_the_order_of_their_times() {
        let samples = vec![
            sample("b", 2, 1.0),
            sample("a", 3, 2.0),
            sample("b", 1, stale_marker()),
            sample("a", 3, 4.0),
        ];
        let batch = Batch {
            samples,
            ..Batch::default()
        };
        let found = decoded(&of(&batch, 100));
        assert_eq!(found.len(), 1);
        let columns = &found[0].columns;
        let labels: Vec<_> = columns.series(0).labels().collect();
        assert_eq!(labels, [("Zone", "x"), ("__name__", "a")]);
        assert_eq!(columns.timestamps_ms(), [3, 3, 1, 2]);
        let bits: Vec<u64> = columns
            .values()
            .iter()
            .map(|value| value.to_bits())
            .collect();
        assert_eq!(bits, [2.0, 4.0, stale_marker(), 1.0].map(f64::to_bits));
    }

    #[test]
    fn samples_without_a_name_stay_behind() {
        let mut nameless = sample("a", 1, 1.0);
        nameless.labels = Labels::from_pairs([("zone", "x")]).unwrap();
        let samples = vec![nameless, sample("a", 1, 1.0)];
        let batch = Batch {
            samples,
            ..Batch::default()
        };
        let requests = of(&batch, 100);
        assert_eq!((requests.nameless, requests.cut[0].samples()), (1, 1));
    }

    #[test]
    fn descriptions_go_first_and_alone_if_they_must() {
        let families = vec![Family {
            name: "a".to_owned(),
            metadata: Metadata {
                kind: MetricKind::Counter,
                unit: "s".into(),
                help: "h".into(),
            },
        }];
        let mut batch = Batch {
            families,
            ..Batch::default()
        };
        let alone = decoded(&of(&batch, 1));
        let described = (alone[0].families[0].kind, alone[0].columns.len());
        assert_eq!(described, (FamilyKind::Counter, 0));
        batch.samples = vec![sample("a", 1, 1.0), sample("a", 2, 1.0)];
        let counts: Vec<usize> = decoded(&of(&batch, 1))
            .iter()
            .map(|one| one.families.len())
            .collect();
        assert_eq!(counts, [1, 0]);
        assert!(of(&Batch::default(), 1).cut.is_empty());
    }

    proptest! {
        #[test]
        fn every_sample_goes_once_and_no_request_is_too_large(
            parts in prop::collection::vec(("[a-c]", 0_i64..9), 0..30),
            samples_max in 1_usize..7,
        ) {
            let samples: Vec<Sample> = (0_u32..).zip(&parts)
                .map(|(nth, (name, t_ms))| sample(name, *t_ms, f64::from(nth)))
                .collect();
            let mut expected = samples.clone();
            expected.sort_by(|a, b| (&a.labels, a.timestamp_ms).cmp(&(&b.labels, b.timestamp_ms)));
            let batch = Batch { samples, ..Batch::default() };
            let requests = of(&batch, samples_max);
            prop_assert_eq!(requests.cut.len(), parts.len().div_ceil(samples_max));
            let mut found = Vec::new();
            for request in &requests.cut {
                prop_assert!((1..=samples_max).contains(&request.samples()));
                for (labels, samples) in &request.series {
                    found.extend(samples.iter().map(|(timestamp_ms, value)| Sample {
                        labels: (*labels).clone(),
                        timestamp_ms: *timestamp_ms,
                        value: *value,
                    }));
                }
            }
            prop_assert_eq!(found, expected);
        }
    }
}
