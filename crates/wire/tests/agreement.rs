//! The decoder and the encoder beside slow and obvious ones.
//!
//! They agree on what is a response and on what it says. Three differences are meant: ours refuses keys
//! that come twice, where the other takes the last; ours reads numbers of any size where they are
//! skipped; and ours takes timestamps that a float of seconds cannot tell apart.
//!
//! `PROPTEST_CASES=1000000 cargo test --release -p tidegate-wire --test agreement` is a longer campaign.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use tidegate_wire::number::{write_float, write_timestamp_ms};
use tidegate_wire::{Columns, Data, DecodeError, DecodeLimits, decode_query_response};

/// Labels, samples with the bits of their values, and the number of histograms.
type Series = (BTreeMap<String, String>, Vec<(i64, u64)>, usize);

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
        let (_, samples, _) = ours(body.as_bytes()).unwrap().remove(0);
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
    let shown = String::from_utf8_lossy(body);
    match (ours(body), slow(body)) {
        (Ok(ours), Ok(slow)) => prop_assert_eq!(ours, slow, "{}", shown),
        (_, Err(Refusal::Meant)) => {}
        (ours, slow) => prop_assert!(
            ours.is_err() && slow.is_err(),
            "ours {:?}, slow {:?}: {}",
            ours,
            slow,
            shown
        ),
    }
    Ok(())
}

fn ours(body: &[u8]) -> Result<Vec<Series>, DecodeError> {
    let response = decode_query_response(200, body, &DecodeLimits::default())?;
    Ok(match response.data {
        Data::Vector(columns) | Data::Matrix(columns) => of_columns(&columns),
        other @ (Data::Scalar { .. }
        | Data::String { .. }
        | Data::Strings(_)
        | Data::Series(_)
        | Data::Document) => panic!("nobody wrote a {}", other.result_type()),
    })
}

fn of_columns(columns: &Columns) -> Vec<Series> {
    let series = columns.iter().map(|series| {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let bits = series.values().iter().map(|value| value.to_bits());
        let samples = series.timestamps_ms().iter().copied().zip(bits).collect();
        let labels = series.labels().map(owned).collect();
        (labels, samples, series.histograms().len())
    });
    series.collect()
}

/// Why the slow decoder refuses.
#[derive(Debug)]
enum Refusal {
    Wrong,
    /// One of the differences that are meant.
    Meant,
}

fn slow(body: &[u8]) -> Result<Vec<Series>, Refusal> {
    let document: Value = serde_json::from_slice(body).map_err(|error| {
        match error.to_string().contains("number out of range") {
            true => Refusal::Meant,
            false => Refusal::Wrong,
        }
    })?;
    if serde_json::from_slice::<Unique>(body).is_err() {
        return Err(Refusal::Meant);
    }
    let envelope = document.as_object().ok_or(Refusal::Wrong)?;
    let is_string = |key: &str| envelope.get(key).is_none_or(Value::is_string);
    let is_list = |key: &str| match envelope.get(key) {
        None | Some(Value::Null) => true,
        Some(Value::Array(messages)) => messages.iter().all(Value::is_string),
        Some(_) => false,
    };
    let sound =
        is_string("error") && is_string("errorType") && is_list("warnings") && is_list("infos");
    if envelope.get("status").and_then(Value::as_str) != Some("success") || !sound {
        return Err(Refusal::Wrong);
    }
    let data = envelope
        .get("data")
        .and_then(Value::as_object)
        .ok_or(Refusal::Wrong)?;
    let result = data
        .get("result")
        .and_then(Value::as_array)
        .ok_or(Refusal::Wrong)?;
    let kind = data.get("resultType").and_then(Value::as_str);
    let read = match kind {
        Some("vector") => slow_vector_element,
        Some("matrix") => slow_matrix_element,
        _ => return Err(Refusal::Wrong),
    };
    result.iter().map(read).collect()
}

/// JSON in which no object has a key twice.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("json")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        let mut keys = BTreeSet::new();
        while let Some((key, _)) = members.next_entry::<String, Self>()? {
            if !keys.insert(key) {
                return Err(A::Error::custom("a key comes twice"));
            }
        }
        Ok(self)
    }
}

fn slow_vector_element(element: &Value) -> Result<Series, Refusal> {
    let labels = slow_labels(element)?;
    match (element.get("value"), element.get("histogram")) {
        (Some(value), None) => Ok((labels, vec![slow_sample(value)?], 0)),
        (None, Some(histogram)) => {
            slow_histogram(histogram)?;
            Ok((labels, Vec::new(), 1))
        }
        (Some(_), Some(_)) | (None, None) => Err(Refusal::Wrong),
    }
}

fn slow_matrix_element(element: &Value) -> Result<Series, Refusal> {
    let labels = slow_labels(element)?;
    let list = |key: &str| match element.get(key) {
        None => Ok(&[][..]),
        Some(list) => list.as_array().map(Vec::as_slice).ok_or(Refusal::Wrong),
    };
    let samples = list("values")?
        .iter()
        .map(slow_sample)
        .collect::<Result<_, _>>()?;
    let histograms = list("histograms")?;
    histograms.iter().try_for_each(slow_histogram)?;
    Ok((labels, samples, histograms.len()))
}

fn slow_labels(element: &Value) -> Result<BTreeMap<String, String>, Refusal> {
    let metric = element
        .get("metric")
        .and_then(Value::as_object)
        .ok_or(Refusal::Wrong)?;
    let label = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    metric
        .iter()
        .map(label)
        .collect::<Option<_>>()
        .ok_or(Refusal::Wrong)
}

fn slow_sample(sample: &Value) -> Result<(i64, u64), Refusal> {
    let [timestamp, value] = &sample.as_array().ok_or(Refusal::Wrong)?[..] else {
        return Err(Refusal::Wrong);
    };
    let timestamp_ms = slow_timestamp(timestamp)?;
    let text = value.as_str().ok_or(Refusal::Wrong)?;
    let unsigned = text
        .strip_prefix(['-', '+'])
        .unwrap_or(text)
        .to_ascii_lowercase();
    let is_decimal = unsigned
        .bytes()
        .all(|byte| b"0123456789.e+-".contains(&byte));
    let is_word = ["inf", "infinity"].contains(&&*unsigned) || text.eq_ignore_ascii_case("nan");
    let value: f64 = text.parse().map_err(|_| Refusal::Wrong)?;
    match (is_decimal && value.is_finite()) || is_word {
        true if value.is_nan() => Ok((timestamp_ms, f64::NAN.to_bits())),
        true => Ok((timestamp_ms, value.to_bits())),
        false => Err(Refusal::Wrong),
    }
}

fn slow_histogram(histogram: &Value) -> Result<(), Refusal> {
    match &histogram.as_array().ok_or(Refusal::Wrong)?[..] {
        [timestamp, Value::Object(_)] => slow_timestamp(timestamp).map(drop),
        _ => Err(Refusal::Wrong),
    }
}

fn slow_timestamp(timestamp: &Value) -> Result<i64, Refusal> {
    /// Beyond, floats of seconds are a millisecond apart, and below, digits of no weight are lost.
    const SECONDS: std::ops::Range<f64> = 1e-3..1e11;
    let seconds = timestamp.as_f64().ok_or(Refusal::Wrong)?;
    if seconds != 0.0 && !SECONDS.contains(&seconds.abs()) {
        return Err(Refusal::Meant);
    }
    let ms = seconds * 1_000.0;
    let rounded = ms.round();
    match (ms - rounded).abs() {
        rest if rest > 1e-2 => Err(Refusal::Wrong),
        _ if rounded / 1_000.0 == seconds => Ok(rounded as i64),
        _ => Err(Refusal::Meant),
    }
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
