//! Properties of the codecs on generated input: round trips, agreement with another parser, no panics.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::Value;
use tidegate_wire::form::{decode_form, encode_form};
use tidegate_wire::number::{
    parse_duration_ms, parse_float, parse_timestamp_ms, write_float, write_timestamp_ms,
};
use tidegate_wire::text::{MetricType, TextWriter};
use tidegate_wire::{
    Columns, ColumnsBuilder, Data, DecodeError, DecodeLimits, QueryResponse, decode_query_response,
    encode_query_response,
};

/// Scalars carry their time as a float of seconds; milliseconds survive it to this magnitude.
const SCALAR_MS_MAX: i64 = 8_000_000_000_000_000;

type Labels = BTreeMap<String, String>;
/// A value, or the text of a native histogram.
type Point = Result<f64, String>;

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_the_same(response in responses()) {
        let body = encoded(&response);
        prop_assert_eq!(decode_query_response(200, &body, &DecodeLimits::default()), Ok(response));
    }

    #[test]
    fn another_parser_sees_the_same_in_it(response in responses()) {
        let body = encoded(&response);
        let document: Value = serde_json::from_slice(&body).unwrap();
        let result = &document["data"]["result"];
        prop_assert_eq!(&document["data"]["resultType"], response.data.result_type());
        match &response.data {
            Data::Vector(columns) => check_columns(columns, result, "value", "histogram"),
            Data::Matrix(columns) => check_columns(columns, result, "values", "histograms"),
            Data::Scalar { value, .. } => prop_assert!(same(result[1].as_str().unwrap(), *value)),
            Data::String { value, .. } => prop_assert_eq!(&result[1], value),
            other @ (Data::Strings(_) | Data::Series(_) | Data::Document) => {
                prop_assert!(false, "no query answers {}", other.result_type());
            }
        }
    }

    #[test]
    fn the_order_of_keys_does_not_matter(data in data()) {
        let body = encoded(&QueryResponse::new(data.clone()));
        let kind = data.result_type();
        let start = format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":"#).len();
        let result = std::str::from_utf8(&body[start..body.len() - 2]).unwrap();
        let turned = format!(r#" {{ "x":[], "data":{{"result":{result} ,"resultType":"{kind}" }},"status" : "success"}}"#);
        let again = decode_query_response(200, turned.as_bytes(), &DecodeLimits::default());
        prop_assert_eq!(again, Ok(QueryResponse::new(data)));
    }

    #[test]
    fn arbitrary_bytes_never_panic(status in 100u16..600, bytes in vec(any::<u8>(), 0..200)) {
        let _ = decode_query_response(status, &bytes, &DecodeLimits::default());
        let _ = decode_form(&bytes);
    }

    #[test]
    fn a_changed_byte_never_panics(response in responses(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = encoded(&response);
        let at = at.index(body.len());
        body[at] = byte;
        if let Ok(response) = decode_query_response(200, &body, &DecodeLimits::default()) {
            encoded(&response);
        }
    }

    #[test]
    fn a_cut_body_is_never_an_answer(response in responses(), at in any::<prop::sample::Index>()) {
        let body = encoded(&response);
        let position = at.index(body.len());
        let result = decode_query_response(200, &body[..position], &DecodeLimits::default());
        prop_assert_eq!(result, Err(DecodeError::Truncated { position }));
    }

    #[test]
    fn skipped_json_is_judged_as_another_parser_does(text in json_like()) {
        let body = format!(r#"{{"x":{text},"status":"success","data":{{"resultType":"vector","result":[]}}}}"#);
        let ours = decode_query_response(200, body.as_bytes(), &DecodeLimits::default());
        prop_assert_eq!(ours.is_ok(), serde_json::from_str::<Value>(&body).is_ok(), "{}", body);
    }

    #[test]
    fn arbitrary_text_is_parsed_without_panic(text in ".{0,40}", time in "[-+0-9eE.:TZ]{0,40}") {
        for text in [&text, &time] {
            let _ = (parse_float(text), parse_timestamp_ms(text), parse_duration_ms(text));
        }
    }

    #[test]
    fn floats_come_back_with_their_bits(bits in any::<u64>()) {
        let value = canonical(f64::from_bits(bits));
        let mut out = Vec::new();
        write_float(value, &mut out);
        let text = String::from_utf8(out).unwrap();
        prop_assert_eq!(parse_float(&text).unwrap().to_bits(), value.to_bits(), "{}", text);
    }

    #[test]
    fn written_times_are_read_as_times(timestamp_ms in -4_000_000_000_000i64..4_000_000_000_000) {
        let mut out = Vec::new();
        write_timestamp_ms(timestamp_ms, &mut out);
        prop_assert_eq!(parse_timestamp_ms(std::str::from_utf8(&out).unwrap()), Ok(timestamp_ms));
    }

    #[test]
    fn forms_come_back_as_they_were(pairs in vec((".{0,8}", ".{0,20}"), 0..6)) {
        let mut form = String::new();
        encode_form(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())), &mut form);
        prop_assert!(form.is_ascii());
        prop_assert_eq!(decode_form(&form), Ok(pairs));
    }

    #[test]
    fn an_exposed_sample_is_one_line(help in ".{0,20}", value in "(?s).{0,20}", number in any::<f64>()) {
        let mut out = Vec::new();
        TextWriter::new(&mut out).family("a", MetricType::Gauge, &help).sample("a", [("b", value.as_str())], number);
        let lines = out.iter().filter(|&&byte| byte == b'\n').count();
        prop_assert_eq!(lines, if help.is_empty() { 2 } else { 3 });
    }
}

fn encoded(response: &QueryResponse) -> Vec<u8> {
    let mut out = Vec::new();
    encode_query_response(response, &mut out);
    out
}

fn check_columns(columns: &Columns, result: &Value, value_key: &str, histogram_key: &str) {
    assert_eq!(columns.len(), result.as_array().unwrap().len());
    for (series, element) in columns.iter().zip(result.as_array().unwrap()) {
        assert_eq!(
            series.labels().len(),
            element["metric"].as_object().unwrap().len()
        );
        for (name, value) in series.labels() {
            assert_eq!(element["metric"][name], value);
        }
        let points = points(element, value_key);
        assert_eq!(points.len(), series.values().len());
        for (point, value) in points.iter().zip(series.values()) {
            assert!(same(point[1].as_str().unwrap(), *value));
        }
        let histograms = self::points(element, histogram_key);
        assert_eq!(histograms.len(), series.histograms().len());
        for (point, (_, json)) in histograms.iter().zip(series.histograms()) {
            assert_eq!(point[1], serde_json::from_str::<Value>(json).unwrap());
        }
    }
}

/// The points under `key`: one in a vector, a list in a matrix, none if it is absent.
fn points(element: &Value, key: &str) -> Vec<Value> {
    match element.get(key) {
        None => Vec::new(),
        Some(point) if point[0].is_number() => vec![point.clone()],
        Some(list) => list.as_array().unwrap().clone(),
    }
}

/// Whether a text of ours is `value` to Rust's own parser.
fn same(text: &str, value: f64) -> bool {
    canonical(text.parse().unwrap()).to_bits() == canonical(value).to_bits()
}

fn responses() -> impl Strategy<Value = QueryResponse> {
    let messages = || vec("(?s).{0,12}", 0..3);
    (data(), messages(), messages()).prop_map(|(data, warnings, infos)| QueryResponse {
        data,
        warnings,
        infos,
    })
}

fn data() -> impl Strategy<Value = Data> {
    let scalar_ms = || -SCALAR_MS_MAX..=SCALAR_MS_MAX;
    prop_oneof![
        vec((labels(), any::<i64>(), point()), 0..6)
            .prop_map(|series| Data::Vector(vector(series))),
        vec((labels(), vec((any::<i64>(), point()), 0..6)), 0..5)
            .prop_map(|series| Data::Matrix(matrix(series))),
        (scalar_ms(), float()).prop_map(|(timestamp_ms, value)| Data::Scalar {
            timestamp_ms,
            value
        }),
        (scalar_ms(), "(?s).{0,20}").prop_map(|(timestamp_ms, value)| Data::String {
            timestamp_ms,
            value
        }),
    ]
}

/// Ordered by name, as Prometheus has them.
fn labels() -> impl Strategy<Value = Labels> {
    btree_map(
        "(?s)[a-c]|.{0,4}",
        "(?s)[xy]|[<&>\\\\\"\u{2028}]{2}|.{0,8}",
        0..4,
    )
}

fn point() -> impl Strategy<Value = Point> {
    let json = |text: &str| Just(Err(String::from(text)));
    prop_oneof![
        4 => float().prop_map(Ok),
        1 => json("{}"),
        1 => json(r#"{"count":"2","sum":"1e-07","buckets":[[0,"-1","+Inf","2"]]}"#),
        1 => json(r#"{ "sum" : "NaN", "x": [null, {"\u00e9": -1.5E+3}] }"#),
    ]
}

fn float() -> impl Strategy<Value = f64> {
    let special = [
        0.0,
        -0.0,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        1e21,
        1e-6,
    ];
    prop_oneof![
        any::<u64>().prop_map(|bits| canonical(f64::from_bits(bits))),
        prop::sample::select(special.to_vec())
    ]
}

fn vector(series: Vec<(Labels, i64, Point)>) -> Columns {
    matrix(
        series
            .into_iter()
            .map(|(labels, timestamp_ms, point)| (labels, vec![(timestamp_ms, point)]))
            .collect(),
    )
}

fn matrix(series: Vec<(Labels, Vec<(i64, Point)>)>) -> Columns {
    let mut builder = ColumnsBuilder::new();
    for (labels, points) in series {
        builder.begin_series();
        labels
            .iter()
            .for_each(|(name, value)| builder.label(name, value));
        for (timestamp_ms, point) in points {
            match point {
                Ok(value) => builder.sample(timestamp_ms, value),
                Err(json) => builder.histogram(timestamp_ms, &json),
            }
        }
    }
    builder.finish()
}

/// Text of JSON's own characters, now and then a document.
fn json_like() -> impl Strategy<Value = String> {
    let tokens = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"\"",
        "\"a\":",
        "[]",
        "{}",
        "1",
        "0",
        "-",
        ".5",
        "1.5E-2",
        "01",
        "true",
        "null",
        "falsy",
        "\\n",
        "\\u00e9",
        "\\ud83d\\ude00",
        "\\ud83d",
        "\"\\x\"",
        " ",
        "\t",
        "\u{1}",
        "é",
    ];
    vec(prop::sample::select(tokens.to_vec()), 1..8).prop_map(|tokens| tokens.concat())
}

/// One NaN for all of them: the format has no other.
fn canonical(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value }
}
