//! The decoder and the encoder beside slow and obvious ones.
//!
//! `PROPTEST_CASES=1000000 cargo test --release -p tidegate-fuzz --test agreement` is a longer campaign.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use tidegate_fuzz::slow::{Said, agree, ours};
use tidegate_wire::number::{write_float, write_timestamp_ms};

proptest! {
    #[test]
    fn the_slow_decoder_agrees_on_whole_documents(document in documents()) {
        let ours = ours(document.as_bytes());
        prop_assert!(ours.is_ok(), "{:?}: {}", ours, document);
        compare(document.as_bytes())?;
    }

    #[test]
    fn the_slow_decoder_agrees_on_broken_documents(
        document in documents(),
        changes in vec((any::<Index>(), any::<Change>()), 1..4),
    ) {
        let mut bytes = document.into_bytes();
        for (place, change) in changes {
            change.apply(&mut bytes, place);
        }
        compare(&bytes)?;
    }

    #[test]
    fn decimals_are_read_as_the_standard_library_reads_them(texts in vec("-?[0-9]{1,12}(\\.[0-9]{1,22})?", 1..8)) {
        let samples: Vec<String> = texts.iter().map(|text| format!("[1435781451.781,\"{text}\"]")).collect();
        let body = matrix(&format!("{{\"metric\":{{}},\"values\":[{}]}}", samples.join(",")));
        let Ok(Said::Series(mut series)) = ours(body.as_bytes()) else {
            return Err(TestCaseError::fail("no series"));
        };
        let (_, samples, _) = series.remove(0);
        let expected: Vec<(i64, u64)> = texts
            .iter()
            .map(|text| (1_435_781_451_781, text.parse::<f64>().unwrap().to_bits()))
            .collect();
        prop_assert_eq!(samples, expected);
    }

    #[test]
    fn floats_are_written_as_the_standard_library_writes_them(digits in 0..=u64::MAX, places in 0..23, bits in any::<u64>()) {
        let short = (digits >> (bits % 64)) as f64 / 10_f64.powi(places);
        let long = f64::from_bits((bits >> 12) | ((1_003 + bits % 74) << 52));
        for value in [short, -short, long] {
            if value == 0.0 || (1e-6..1e21).contains(&value.abs()) {
                let mut out = Vec::new();
                write_float(value, &mut out);
                prop_assert_eq!(String::from_utf8(out).unwrap(), format!("{value}"));
            }
        }
    }

    #[test]
    fn times_are_written_with_three_places_or_none(timestamp_ms in any::<i64>(), shift in 0..63) {
        let timestamp_ms = timestamp_ms >> shift;
        let mut out = Vec::new();
        write_timestamp_ms(timestamp_ms, &mut out);
        let sign = if timestamp_ms < 0 { "-" } else { "" };
        let (seconds, millis) = (timestamp_ms.unsigned_abs() / 1_000, timestamp_ms.unsigned_abs() % 1_000);
        let expected = match millis {
            0 => format!("{sign}{seconds}"),
            _ => format!("{sign}{seconds}.{millis:03}"),
        };
        prop_assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

fn compare(body: &[u8]) -> Result<(), TestCaseError> {
    agree(body).map_err(TestCaseError::fail)
}

fn matrix(series: &str) -> String {
    format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{series}]}}}}"#)
}

fn documents() -> impl Strategy<Value = String> {
    let label = ("[a-c]", label_value()).prop_map(|(name, value)| (name, value));
    let labels = vec(label, 0..4).prop_map(|labels| {
        let labels: BTreeMap<String, String> = labels.into_iter().collect();
        let labels: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        format!("{{{}}}", labels.join(","))
    });
    let series = (labels, vec(sample(), 0..5), any::<bool>());
    let envelope = (vec(series, 0..5), any::<bool>(), 0..4_u8);
    envelope.prop_map(|(series, is_matrix, style)| {
        let series: Vec<String> = series
            .into_iter()
            .filter_map(|(labels, samples, histogram)| element(&labels, &samples, histogram, is_matrix))
            .collect();
        let (kind, result) = (if is_matrix { "matrix" } else { "vector" }, series.join(","));
        match style {
            0 => format!(r#"{{"status":"success","data":{{"result":[{result}],"resultType":"{kind}"}}}}"#),
            1 => format!(r#" {{"status" : "success","data":{{"resultType": "{kind}","result":[ {result} ]}} , "warnings":["w"]}}"#),
            _ => format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":[{result}],"stats":{{"n":1}}}}}}"#),
        }
    })
}

fn element(labels: &str, samples: &[String], histogram: bool, is_matrix: bool) -> Option<String> {
    const HISTOGRAM: &str = r#"[1435781451.781,{"count":"1","buckets":[[0,"1","2","3"]]}]"#;
    let points = match (is_matrix, histogram) {
        (true, true) => format!(
            r#""values":[{}],"histograms":[{HISTOGRAM}]"#,
            samples.join(",")
        ),
        (true, false) => format!(r#""values":[{}]"#, samples.join(",")),
        (false, true) => format!(r#""histogram":{HISTOGRAM}"#),
        (false, false) => format!(r#""value":{}"#, samples.first()?),
    };
    Some(format!(r#"{{"metric":{labels},{points}}}"#))
}

/// The text of a label value, in quotes; few different ones, so that they repeat.
fn label_value() -> impl Strategy<Value = String> {
    let values = [
        r#""""#,
        r#""x""#,
        r#""node-1.example:9100""#,
        r#""node-2.example:9100""#,
        r#""<&>""#,
        r#""a\"b""#,
        r#""x\",\"b\":\"y""#,
        r#""\u00e9\ud83d\ude00""#,
        r#""é€""#,
        r#""\\\n""#,
    ];
    proptest::sample::select(values.to_vec()).prop_map(str::to_owned)
}

fn sample() -> impl Strategy<Value = String> {
    let time = prop_oneof![
        "1[0-9]{9}",
        "1[0-9]{9}\\.[0-9]{3}",
        "1[0-9]{9}\\.[0-9]{1,2}",
        "[1-9][0-9]{0,7}",
        Just("1.5e9".to_owned()),
    ];
    let value = prop_oneof![
        4 => "-?[0-9]{1,10}", 4 => "-?[0-9]{1,9}\\.[0-9]{1,18}",
        1 => "[1-9](\\.[0-9]{1,9})?e[+-][0-9]{2}", 1 => "NaN|\\+Inf|-Inf",
    ];
    let space = prop_oneof![9 => Just(""), 1 => Just(" ")];
    (time, value, space).prop_map(|(time, value, space)| format!(r#"[{time},{space}"{value}"]"#))
}

/// One thing that goes wrong with bytes.
#[derive(Clone, Debug)]
enum Change {
    Replace(u8),
    Insert(u8),
    Remove(u8),
    Repeat(u8),
}

impl Arbitrary for Change {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        let alphabet = br#"{}[]",:\.0159-+eEnu /tx<"#.to_vec();
        let byte = prop_oneof![9 => proptest::sample::select(alphabet), 1 => any::<u8>()];
        prop_oneof![
            byte.clone().prop_map(Self::Replace),
            byte.prop_map(Self::Insert),
            (1..40_u8).prop_map(Self::Remove),
            (1..40_u8).prop_map(Self::Repeat),
        ]
        .boxed()
    }
}

impl Change {
    fn apply(self, bytes: &mut Vec<u8>, place: Index) {
        if bytes.is_empty() {
            return;
        }
        let at = place.index(bytes.len());
        let until = |length: u8| bytes.len().min(at + usize::from(length));
        match self {
            Self::Replace(byte) => bytes[at] = byte,
            Self::Insert(byte) => bytes.insert(at, byte),
            Self::Remove(length) => drop(bytes.drain(at..until(length))),
            Self::Repeat(length) => {
                let again = bytes[at..until(length)].to_vec();
                bytes.splice(at..at, again);
            }
        }
    }
}
