//! Decoders that are slow and obvious, to hold ours against.
//!
//! They agree on what is a response and on what it says. Three differences are meant: ours refuses keys
//! that come twice, where the other takes the last; ours reads numbers of any size where they are
//! skipped; and ours takes timestamps that a float of seconds cannot tell apart.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use tidegate_wire::{
    Columns, Data, DecodeError, DecodeLimits, Shape, decode_query_response, decode_response,
};

/// Labels, samples with the bits of their values, and the number of histograms.
pub type Series = (BTreeMap<String, String>, Vec<(i64, u64)>, usize);

/// What an answer to a query says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A vector or a matrix.
    Series(Vec<Series>),
    /// A scalar: when, and its bits.
    Scalar(i64, u64),
    /// A string: when, and its text.
    String(i64, String),
}

/// Whether both decoders say the same of a vector or matrix.
///
/// # Errors
/// What they say, where it differs.
pub fn agree(body: &[u8]) -> Result<(), String> {
    let same = match (ours(body), slow(body)) {
        (_, Err(Refusal::Meant)) => return Ok(()),
        (Ok(ours), Ok(slow)) if ours == slow => return Ok(()),
        (Err(_), Err(_)) => return Ok(()),
        (ours, slow) => format!("ours {ours:?}, slow {slow:?}"),
    };
    Err(format!("{same}: {}", String::from_utf8_lossy(body)))
}

/// Whether both say the same of a list of strings, a list of label sets, and any document.
///
/// # Errors
/// The shape, where they do not.
pub fn agree_on_others(body: &[u8]) -> Result<(), String> {
    for shape in [Shape::Strings, Shape::Series, Shape::Document] {
        let ours = decode_response(200, body, shape, &DecodeLimits::default());
        let same = match (ours, slow_data(body)) {
            (_, Err(Refusal::Meant)) => true,
            (ours, Err(Refusal::Wrong)) => ours.is_err(),
            (ours, Ok(data)) => match (ours.map(|response| response.data), data) {
                (Ok(Data::Strings(ours)), data) => slow_strings(&data) == Ok(ours),
                (Ok(Data::Series(ours)), data) => {
                    let ours = of_columns(&ours).into_iter().map(|(labels, _, _)| labels);
                    slow_label_sets(&data) == Ok(ours.collect())
                }
                (Ok(_), _) => shape == Shape::Document,
                (Err(_), data) => match shape {
                    Shape::Strings => slow_strings(&data).is_err(),
                    Shape::Series => slow_label_sets(&data).is_err(),
                    Shape::Query | Shape::Document | _ => false,
                },
            },
        };
        if !same {
            return Err(format!("{shape:?}: {}", String::from_utf8_lossy(body)));
        }
    }
    Ok(())
}

fn slow_strings(data: &Value) -> Result<Vec<String>, Refusal> {
    let string = |value: &Value| value.as_str().map(str::to_owned).ok_or(Refusal::Wrong);
    slow_list(data)?.iter().map(string).collect()
}

fn slow_label_sets(data: &Value) -> Result<Vec<BTreeMap<String, String>>, Refusal> {
    slow_list(data)?.iter().map(slow_label_set).collect()
}

/// A list, which may be null where it is empty.
fn slow_list(data: &Value) -> Result<&[Value], Refusal> {
    if data.is_null() {
        return Ok(&[]);
    }
    data.as_array().map(Vec::as_slice).ok_or(Refusal::Wrong)
}

/// Ours.
///
/// # Errors
/// Why it refuses.
pub fn ours(body: &[u8]) -> Result<Said, DecodeError> {
    let response = decode_query_response(200, body, &DecodeLimits::default())?;
    Ok(match response.data {
        Data::Vector(columns) | Data::Matrix(columns) => Said::Series(of_columns(&columns)),
        Data::Scalar {
            timestamp_ms,
            value,
        } => Said::Scalar(timestamp_ms, value.to_bits()),
        Data::String {
            timestamp_ms,
            value,
        } => Said::String(timestamp_ms, value),
        Data::Strings(_) | Data::Series(_) | Data::Document => {
            panic!("an answer to a query is none of these")
        }
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
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    Wrong,
    /// One of the differences that are meant.
    Meant,
}

fn slow(body: &[u8]) -> Result<Said, Refusal> {
    let data = slow_data(body)?;
    let result = data.get("result").ok_or(Refusal::Wrong)?;
    let read = match data.get("resultType").and_then(Value::as_str) {
        Some("vector") => slow_vector_element,
        Some("matrix") => slow_matrix_element,
        Some("scalar") => {
            return slow_sample(result)
                .map(|(timestamp_ms, bits)| Said::Scalar(timestamp_ms, bits));
        }
        Some("string") => return slow_string(result),
        _ => return Err(Refusal::Wrong),
    };
    let series = result.as_array().ok_or(Refusal::Wrong)?;
    let series = series.iter().map(read).collect::<Result<_, _>>()?;
    Ok(Said::Series(series))
}

fn slow_string(result: &Value) -> Result<Said, Refusal> {
    match &result.as_array().ok_or(Refusal::Wrong)?[..] {
        [timestamp, Value::String(text)] => {
            Ok(Said::String(slow_timestamp(timestamp)?, text.clone()))
        }
        _ => Err(Refusal::Wrong),
    }
}

/// The `data` of an envelope that is sound otherwise.
fn slow_data(body: &[u8]) -> Result<Value, Refusal> {
    let mut document: Value = serde_json::from_slice(body).map_err(|error| {
        match error.to_string().contains("number out of range") {
            true => Refusal::Meant,
            false => Refusal::Wrong,
        }
    })?;
    if serde_json::from_slice::<Unique>(body).is_err() {
        return Err(Refusal::Meant);
    }
    let envelope = document.as_object_mut().ok_or(Refusal::Wrong)?;
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
    envelope.remove("data").ok_or(Refusal::Wrong)
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
    slow_label_set(element.get("metric").ok_or(Refusal::Wrong)?)
}

fn slow_label_set(set: &Value) -> Result<BTreeMap<String, String>, Refusal> {
    let metric = set.as_object().ok_or(Refusal::Wrong)?;
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
