//! What was recorded, as lines of JSON.

use std::collections::BTreeMap;

use serde_json::Value;
use tidegate_wire::lines::{
    Line, LineKind, RecordLine, VERSION, decode_line, write_family, write_record, write_version,
};

use super::Target;

pub(super) const TARGET: Target = Target {
    name: "lines",
    about: "lines of recorded JSON, one by one",
    run,
    words: &[
        "{\"tidegate_lines\":1}\n",
        "{\"family\":\"a\",\"type\":\"counter\",\"help\":\"h\",\"unit\":\"s\"}\n",
        "{\"name\":\"a\",\"labels\":{\"b\":\"c\"},\"value\":1,\"timestamp_ms\":1000}\n",
        "\"kind\":\"gauge\",",
        "\"kind\":\"timer\",",
        "\"value\":\"NaN:7ff8000000000002\"",
        "\"value\":\"stale\"",
        "\"value\":\"-Inf\"",
        "\"value\":-1.5e-300",
        "\"timestamp_ms\":-9223372036854775808",
        "\\ud83d\\ude00",
        "\\u0000",
        "\"__name__\":\"b\"",
    ],
    bytes_max: 600,
};

fn run(bytes: &[u8]) {
    for bytes in bytes.split(|&byte| byte == b'\n') {
        match decode_line(bytes) {
            Ok(line) => {
                written_and_read(&line);
                if let Line::Record(record) = &line {
                    as_json_has_it(record, bytes);
                }
            }
            Err(error) => assert!(!error.to_string().contains('\n'), "an error is one line"),
        }
    }
}

/// A time where a line has none.
const DEFAULT_MS: i64 = -1;

fn written_and_read(line: &Line<'_>) {
    let mut out = Vec::new();
    match line {
        Line::Version(VERSION) => write_version(&mut out),
        // Others are for their readers to refuse.
        Line::Version(_) => return,
        Line::Family(family) => {
            write_family(
                &family.name,
                family.kind,
                &family.help,
                &family.unit,
                &mut out,
            );
        }
        Line::Record(record) => {
            let labels = record.labels.iter();
            let labels = labels.map(|(name, value)| (&**name, &**value));
            let at_ms = record.timestamp_ms.unwrap_or(DEFAULT_MS);
            write_record(record.kind, labels, record.value, at_ms, &mut out);
        }
    }
    let again = decode_line(&out).expect("what is written is read");
    match (line, &again) {
        (Line::Record(record), Line::Record(again)) => {
            let at_ms = record.timestamp_ms.or(Some(DEFAULT_MS));
            assert_eq!((record.kind, at_ms), (again.kind, again.timestamp_ms));
            assert_eq!(record.labels, again.labels);
            assert_eq!(record.value.to_bits(), again.value.to_bits());
        }
        _ => assert_eq!(&again, line),
    }
}

/// Another reader of JSON says the same of all but numbers, which it rounds.
fn as_json_has_it(record: &RecordLine<'_>, line: &[u8]) {
    let json: Value = match serde_json::from_slice(line) {
        Ok(json) => json,
        // It refuses what is too large for a double.
        Err(error) => return assert!(error.to_string().contains("out of range"), "{error}"),
    };
    let text = |key: &str| {
        json.get(key)
            .map(|value| value.as_str().expect("a text").to_owned())
    };
    let kind = text("kind").unwrap_or_else(|| LineKind::Sample.as_str().into());
    assert_eq!(record.kind.as_str(), kind);
    let labels = json
        .get("labels")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    let labels =
        labels.map(|(name, value)| (name.clone(), value.as_str().expect("a text").to_owned()));
    let mut labels: BTreeMap<_, _> = labels.collect();
    labels.extend(text("name").map(|name| ("__name__".to_owned(), name)));
    let ours = record.labels.iter();
    let ours: Vec<(String, String)> = ours
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    assert_eq!(ours, labels.into_iter().collect::<Vec<_>>());
    // It takes the negative zero for a double.
    let whole = |at: &Value| at.as_i64().or_else(|| (at.as_f64()? == 0.0).then_some(0));
    let at_ms = json.get("timestamp_ms").map(|at| whole(at).expect("whole"));
    assert_eq!(record.timestamp_ms, at_ms);
    if let Some(value) = json.get("value").and_then(Value::as_f64) {
        let close = (value - record.value).abs() <= value.abs() * 8.0 * f64::EPSILON;
        assert!(close, "{value} {}", record.value);
    }
}
