//! Samples and descriptions, both ways.

use tidegate_client::MachineError;
use tidegate_core::{Appended, Family, Record, Sample};
use tidegate_series::{Labels, Metadata, MetricKind};

use super::one_line;
use super::wit;

pub(super) fn batch(record: &Record) -> wit::Batch {
    wit::Batch {
        source: record.source.clone(),
        families: record.families.iter().map(told_family).collect(),
        samples: record.samples.iter().map(told_sample).collect(),
    }
}

fn told_family(family: &Family) -> wit::Family {
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

fn told_sample(sample: &Sample) -> wit::Sample {
    let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    wit::Sample {
        labels: sample.labels.iter().map(pair).collect(),
        timestamp_ms: sample.timestamp_ms,
        value: sample.value,
    }
}

/// What a guest says was added to its series.
///
/// # Errors
/// Labels that no series can have: it is no collector of ours.
pub(super) fn appended(appended: wit::Appended) -> Result<Appended, MachineError> {
    let samples = appended.samples.into_iter().map(sample);
    Ok(Appended {
        families: appended.families.into_iter().map(family).collect(),
        samples: samples.collect::<Result<_, _>>()?,
    })
}

fn family(family: wit::Family) -> Family {
    Family {
        name: family.name,
        metadata: Metadata {
            kind: match family.kind {
                wit::MetricKind::Counter => MetricKind::Counter,
                wit::MetricKind::Gauge => MetricKind::Gauge,
                wit::MetricKind::Histogram => MetricKind::Histogram,
                wit::MetricKind::Summary => MetricKind::Summary,
                wit::MetricKind::Unknown => MetricKind::Unknown,
            },
            unit: family.unit.into(),
            help: family.help.into(),
        },
    }
}

fn sample(sample: wit::Sample) -> Result<Sample, MachineError> {
    let labels = Labels::from_pairs(sample.labels).map_err(|error| {
        let error = one_line(&error.to_string());
        MachineError::new(format!("it added a series that is none: {error}"))
    })?;
    Ok(Sample {
        labels,
        timestamp_ms: sample.timestamp_ms,
        value: sample.value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample_of(labels: &[(&str, &str)], value: f64) -> Sample {
        Sample {
            labels: Labels::from_pairs(labels.iter().copied()).unwrap(),
            timestamp_ms: -1,
            value,
        }
    }

    #[test]
    fn a_batch_crosses_with_its_labels_and_odd_values() {
        let record = Record {
            source: "node".into(),
            families: vec![],
            samples: vec![sample_of(&[("__name__", "m"), ("a", "ä\"\n")], f64::NAN)],
        };
        let batch = batch(&record);
        assert!(batch.samples[0].value.is_nan());
        assert_eq!(batch.samples[0].labels[1], ("a".into(), "ä\"\n".into()));
    }

    #[test]
    fn what_comes_back_is_what_went_in() {
        let stale = tidegate_series::stale_marker();
        let kinds = [
            MetricKind::Counter,
            MetricKind::Gauge,
            MetricKind::Histogram,
            MetricKind::Summary,
            MetricKind::Unknown,
        ];
        for kind in kinds {
            let metadata = Metadata {
                kind,
                unit: "seconds".into(),
                help: "Help.".into(),
            };
            let name = "m".to_owned();
            let families = vec![Family { name, metadata }];
            let samples = [sample_of(&[("__name__", "m"), ("a", "b")], stale)];
            let crossed = appended(wit::Appended {
                families: families.iter().map(told_family).collect(),
                samples: samples.iter().map(told_sample).collect(),
            });
            let crossed = crossed.unwrap();
            assert_eq!(crossed.families, families);
            assert_eq!(crossed.samples[0].labels, samples[0].labels);
            assert_eq!(crossed.samples[0].value.to_bits(), stale.to_bits());
        }
    }

    #[test]
    fn a_series_that_is_none_breaks_the_guest() {
        let bad = wit::Sample {
            labels: vec![("a".into(), "1".into()), ("a".into(), "2\n".into())],
            timestamp_ms: 0,
            value: 0.0,
        };
        let error = appended(wit::Appended {
            families: vec![],
            samples: vec![bad],
        });
        let said = error.unwrap_err().to_string();
        assert!(said.contains("it added a series that is none"), "{said}");
    }
}
