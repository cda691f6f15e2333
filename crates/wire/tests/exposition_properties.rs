//! Properties of the exposition decoder on generated input: round trips and no panics.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use tidegate_wire::text::{MetricType, TextWriter};
use tidegate_wire::{
    Columns, ColumnsBuilder, ExpositionFormat, ScrapeLimits, decode_exposition, format_of,
};

const FORMATS: [ExpositionFormat; 2] = [ExpositionFormat::Text, ExpositionFormat::OpenMetrics];
const DEFAULT_MS: i64 = 1_000;
const OPENMETRICS: &str = "# TYPE a_s histogram\n# UNIT a_s s\n# HELP a_s A \\\"b\\\".\na_s_bucket{le=\"1\"} 2 3 # {t=\"\\n\"} 0.5 4\na_s_bucket{le=\"+Inf\"} 2 3\na_s_count 2 3\na_s_sum 1 3\n# TYPE s stateset\ns{s=\"x\",e=\"\"} 1\ns{s=\"y\"} 0\n# TYPE i info\ni_info{a=\"b\"} 1\n# EOF\n";

type Labels = BTreeMap<String, String>;

/// A sample as it is written, by its name and labels: those come once.
#[derive(Clone, Debug)]
struct Sample {
    name: String,
    labels: Labels,
    value: f64,
    timestamp_ms: Option<i64>,
}

proptest! {
    #[test]
    fn what_is_written_is_read(samples in samples(), help in "(?s).{0,20}") {
        let body = text_of(&samples, &help);
        let found = decode_exposition(&body, ExpositionFormat::Text, DEFAULT_MS, &ScrapeLimits::default()).unwrap();
        prop_assert_eq!(found.columns, columns_of(&samples));
        prop_assert_eq!(found.repeated, None);
        prop_assert_eq!(&found.families[0].help, &help);
    }

    #[test]
    fn samples_say_the_same_in_both_formats(samples in samples()) {
        let timeless = samples.into_iter().map(|sample| Sample { timestamp_ms: None, ..sample });
        let mut samples: Vec<_> = timeless.collect();
        samples.sort_by(|a, b| a.name.cmp(&b.name));
        let mut body = Vec::new();
        write_samples(&samples, &mut body);
        let decode = |body: &[u8], format| decode_exposition(body, format, DEFAULT_MS, &ScrapeLimits::default());
        let text = decode(&body, ExpositionFormat::Text).unwrap();
        body.extend_from_slice(b"# EOF\n");
        let openmetrics = decode(&body, ExpositionFormat::OpenMetrics).unwrap();
        prop_assert_eq!(text, openmetrics);
    }

    #[test]
    fn doubled_samples_are_dropped_and_the_first_ones_kept(samples in samples(), more in vec(any::<prop::sample::Index>(), 1..4)) {
        prop_assume!(!samples.is_empty());
        let mut doubled = samples.clone();
        doubled.extend(more.iter().map(|index| Sample { value: 5.0, ..index.get(&samples).clone() }));
        let body = text_of(&doubled, "");
        let found = decode_exposition(&body, ExpositionFormat::Text, DEFAULT_MS, &ScrapeLimits::default()).unwrap();
        prop_assert_eq!(found.columns, columns_of(&samples));
        prop_assert_eq!(found.repeated.unwrap().count, more.len());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200), content_type in ".{0,40}") {
        for format in [FORMATS[0], FORMATS[1], format_of(&content_type)] {
            let _ = decode_exposition(&bytes, format, 0, &ScrapeLimits::default());
        }
    }

    #[test]
    fn tokens_in_any_order_never_panic_and_errors_point_into_the_body(body in tokens()) {
        for format in FORMATS {
            if let Err(error) = decode_exposition(body.as_bytes(), format, 0, &ScrapeLimits::default()) {
                prop_assert!(error.line() <= body.split('\n').count());
                prop_assert!(!error.to_string().contains('\n'));
            }
        }
    }

    #[test]
    fn a_changed_body_never_panics(samples in samples(), changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let bodies = [text_of(&samples, "b"), OPENMETRICS.into()];
        for (mut body, format) in bodies.into_iter().zip(FORMATS) {
            for (at, byte) in &changes {
                let at = at.index(body.len());
                body[at] = *byte;
            }
            let _ = decode_exposition(&body, format, 0, &ScrapeLimits::default());
        }
    }

    #[test]
    fn a_cut_openmetrics_body_is_never_one(at in 0..OPENMETRICS.len() - 1) {
        let body = &OPENMETRICS.as_bytes()[..at];
        prop_assert!(decode_exposition(body, ExpositionFormat::OpenMetrics, 0, &ScrapeLimits::default()).is_err());
    }
}

fn samples() -> impl Strategy<Value = Vec<Sample>> {
    let labels = btree_map("[a-c]|[A-Z_][a-z0-9_]{0,3}", "(?s)[xy]|.{0,8}", 0..4);
    let sample = (
        "[a-c]|[a-z_:][a-z0-9_:]{0,6}",
        labels,
        any::<f64>(),
        any::<Option<i64>>(),
    );
    vec(sample, 0..8).prop_map(|samples| {
        let mut seen = BTreeSet::new();
        samples
            .into_iter()
            .map(|(name, labels, value, timestamp_ms)| Sample {
                name,
                labels,
                value,
                timestamp_ms,
            })
            .filter(|sample| seen.insert((sample.name.clone(), present(&sample.labels))))
            .collect()
    })
}

/// The labels that are there: an empty value says that it is not.
fn present(labels: &Labels) -> Labels {
    let mut labels = labels.clone();
    labels.retain(|_, value| !value.is_empty());
    labels
}

fn text_of(samples: &[Sample], help: &str) -> Vec<u8> {
    let mut body = Vec::new();
    TextWriter::new(&mut body).family("a", MetricType::Untyped, help);
    write_samples(samples, &mut body);
    body
}

fn write_samples(samples: &[Sample], out: &mut Vec<u8>) {
    let mut text = TextWriter::new(out);
    for sample in samples {
        let labels = sample.labels.iter();
        let labels = labels.map(|(name, value)| (name.as_str(), value.as_str()));
        match sample.timestamp_ms {
            None => text.sample(&sample.name, labels, sample.value),
            Some(at) => text.sample_at(&sample.name, labels, sample.value, at),
        };
    }
}

fn columns_of(samples: &[Sample]) -> Columns {
    let mut builder = ColumnsBuilder::new();
    for sample in samples {
        let mut labels = present(&sample.labels);
        labels.insert("__name__".into(), sample.name.clone());
        builder.begin_series();
        for (name, value) in &labels {
            builder.label(name, value);
        }
        let value = if sample.value.is_nan() {
            f64::NAN
        } else {
            sample.value
        };
        builder.sample(sample.timestamp_ms.unwrap_or(DEFAULT_MS), value);
    }
    builder.finish()
}

/// Text of the formats' own tokens, now and then a line.
fn tokens() -> impl Strategy<Value = String> {
    let tokens = [
        "a",
        "b",
        "a_total",
        "a_bucket",
        "a_sum",
        "a_count",
        "{",
        "}",
        "le=\"1\"",
        "le=\"+Inf\"",
        ",",
        "=",
        "\"",
        "\\",
        "x=\"y\"",
        " ",
        " 1",
        " 2",
        " NaN",
        "\n",
        "\n",
        "\n",
        "\n# TYPE a ",
        "counter",
        "histogram",
        "summary",
        "\n# HELP a ",
        "\n# UNIT a s",
        " # {",
        "#",
        "# EOF",
        "a 1\n",
        "a_total 1\n",
        "a_bucket{le=\"+Inf\"} 1\n",
        "\t",
        "\r",
        "é",
        "\u{0}",
    ];
    vec(prop::sample::select(tokens.to_vec()), 1..24).prop_map(|tokens| tokens.concat())
}
