//! What is refused, in words: each names what is wrong and the place it stands at.

use tidegate_wire::form::{PAIRS_MAX, decode_form};
use tidegate_wire::json::Writer;
use tidegate_wire::lines::decode_line;
use tidegate_wire::number::parse_timestamp_ms;
use tidegate_wire::remote_write::{self, WriteLimits};
use tidegate_wire::statsd::{DatagramWriter, StatsdKind, StatsdTags};
use tidegate_wire::text::{MetricType, TextWriter};
use tidegate_wire::{
    DecodeLimits, ExpositionFormat, ScrapeLimits, Shape, decode_exposition, decode_response, snappy,
};

fn refused(status: u16, body: &str, limits: &DecodeLimits) -> String {
    let refused = decode_response(status, body.as_bytes(), Shape::Query, limits);
    refused.unwrap_err().to_string()
}

#[test]
fn a_response_is_refused_where_it_breaks() {
    // `^` stands before the byte that the error names.
    for (element, told) in [
        (
            r#"{"metric":{"a":"^\ud800x"},"value":[1,"1"]}"#,
            "invalid unicode at byte ^ of the response",
        ),
        (
            r#"{"metric":{},"value":[1,^"one"]}"#,
            r#""one" at byte ^ of the response is not a sample value"#,
        ),
        (
            r#"{"metric":{},"value":[^1.0001,"1"]}"#,
            r#""1.0001" at byte ^ of the response is not a timestamp in milliseconds"#,
        ),
        (
            r#"{"metric":{},"value":[1,"1"],"value":^[1,"1"]}"#,
            r#""value" comes twice in one object, at byte ^ of the response"#,
        ),
        (
            r#"{"metric":{}}^"#,
            r#""value" is missing from the object that ends at byte ^ of the response"#,
        ),
        (
            r#"{"value":[1,"1"]}^"#,
            r#""metric" is missing from the object that ends at byte ^ of the response"#,
        ),
    ] {
        let body = format!(
            r#"{{"status":"success","data":{{"resultType":"vector","result":[{element}]}}}}"#
        );
        let at = body.find('^').unwrap();
        let told_of = refused(200, &body.replace('^', ""), &DecodeLimits::default());
        assert_eq!(told_of, told.replace('^', &at.to_string()), "{element}");
    }
}

#[test]
fn a_response_past_a_limit_is_refused_with_the_limit() {
    let limits = DecodeLimits {
        labels_per_series: 1,
        depth: 6,
        ..DecodeLimits::default()
    };
    let body = |metric: &str, rest: &str| {
        format!(
            r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{metric},"value":[1,"1"]}}]}}{rest}}}"#
        )
    };
    let told = |metric, rest| refused(200, &body(metric, rest), &limits);
    assert_eq!(
        told(r#"{"a":"x","b":"x"}"#, ""),
        "the response has more than 1 labels in one series"
    );
    // The envelope is a level, too.
    let within = body("{}", r#","more":[[[[[1]]]]]"#);
    assert!(decode_response(200, within.as_bytes(), Shape::Query, &limits).is_ok());
    let deep = told("{}", r#","more":[[[[[[1]]]]]]"#);
    let place = body("{}", "").len() - 1 + r#","more":[[[[["#.len();
    assert_eq!(
        deep,
        format!("the response nests deeper than 6 levels at byte {place}")
    );
}

#[test]
fn status_and_body_have_to_agree() {
    let limits = DecodeLimits::default();
    let error = r#"{"status":"error","errorType":"bad_data","error":"no"}"#;
    let success = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
    for (status, body, told) in [
        (200, error, "the response says error with http status 200"),
        (
            400,
            success,
            "the response says success with http status 400",
        ),
        (302, success, "http status 302 is no answer to a query"),
        (400, error, "bad_data: no (http status 400)"),
        (
            502,
            "<html>",
            "http status 502 without an error of prometheus",
        ),
    ] {
        assert_eq!(refused(status, body, &limits), told);
    }
}

#[test]
fn an_exposition_is_refused_with_its_line() {
    let limits = ScrapeLimits {
        label_bytes: 3,
        ..ScrapeLimits::default()
    };
    let refused =
        |body: &[u8]| decode_exposition(body, ExpositionFormat::Text, 0, &limits).unwrap_err();
    for (body, line, told) in [
        (
            &b"a 1\nb{c=\"\xff\"} 2\n"[..],
            2,
            "line 2, column 6: invalid utf-8",
        ),
        (
            b"a 1\n\nabcd 1\n",
            3,
            "line 3: more than 3 bytes in one label",
        ),
        (
            b"a 1\nb{abcd=\"\"} 1\n",
            2,
            "line 2: more than 3 bytes in one label",
        ),
    ] {
        let error = refused(body);
        assert_eq!((error.line(), error.to_string()), (line, told.to_owned()));
    }
}

#[test]
fn a_line_is_refused_where_its_text_breaks() {
    let refused = decode_line(br#"{"name":"\udfff","value":1}"#).unwrap_err();
    assert_eq!(refused.to_string(), "invalid unicode at byte 9 of the line");
    let cut = decode_line(br#"{"name":"\ud800"#).unwrap_err();
    assert_eq!(cut.to_string(), "the line is cut off after 15 bytes");
}

#[test]
fn parameters_are_refused_where_they_break() {
    let told = |form: &str| decode_form(form).unwrap_err().to_string();
    assert_eq!(
        told("a=b&c=%4"),
        "invalid percent escape at byte 6 of the parameters"
    );
    assert_eq!(
        told("a=b&c=%ff"),
        "the parameter text at byte 6 is not utf-8"
    );
    let pairs = |count| vec!["a=b"; count].join("&");
    assert_eq!(decode_form(pairs(PAIRS_MAX)).unwrap().len(), PAIRS_MAX);
    assert_eq!(
        told(&pairs(PAIRS_MAX + 1)),
        format!("more than {PAIRS_MAX} parameters")
    );
    let long = "a".repeat(1 << 24);
    assert!(told(&long).starts_with("parameters of 16777216 bytes, more than the "));
}

#[test]
fn a_remote_write_request_is_refused_where_it_breaks() {
    // A series with one label, and the label's bytes.
    let labelled = |label: &[u8]| {
        let mut body = vec![0x0a, 2 + label.len() as u8, 0x0a, label.len() as u8];
        body.extend_from_slice(label);
        body
    };
    let limits = WriteLimits {
        label_bytes: 3,
        ..WriteLimits::default()
    };
    for (body, told) in [
        (
            labelled(b"\x0a\x01\xff"),
            "invalid utf-8 at byte 6 of the request",
        ),
        (
            labelled(b"\x12\x01x"),
            "the label that ends at byte 7 of the request has no name",
        ),
        (
            labelled(b"\x0a\x04abcd"),
            "more than 3 bytes in a label name at byte 10 of the request",
        ),
        (
            labelled(b"\x08\x01"),
            "expected a value of the field's type at byte 5 of the request",
        ),
        // A sample whose value is a varint, and a family whose name is one.
        (
            vec![0x0a, 4, 0x12, 2, 0x08, 1],
            "expected a value of the field's type at byte 5 of the request",
        ),
        (
            vec![0x1a, 2, 0x10, 1],
            "expected a value of the field's type at byte 3 of the request",
        ),
        (
            vec![0x0a, 9, 0],
            "expected as many bytes as announced at byte 2 of the request",
        ),
    ] {
        let refused = remote_write::decode(&body, &limits).unwrap_err();
        assert_eq!(refused.to_string(), told, "{body:x?}");
    }
}

#[test]
fn a_snappy_block_is_refused_where_it_breaks() {
    let told = |block: &[u8], limit| snappy::decompress(block, limit).unwrap_err().to_string();
    assert_eq!(
        told(b"\x05\x10abcde", 4),
        "the snappy block holds 5 bytes, the limit is 4"
    );
    assert_eq!(
        told(b"\x05\x10abcd", 5),
        "expected a whole piece at byte 1 of the snappy block"
    );
    for length in [
        &b"\xff\xff\xff\xff\xff"[..],
        b"\xff\xff\xff\xff\x10",
        b"\x80",
        b"",
    ] {
        assert_eq!(
            told(length, usize::MAX),
            "expected the length of the block at byte 0 of the snappy block"
        );
    }
}

#[test]
fn a_line_of_statsd_is_refused_with_its_reason() {
    let mut writer = DatagramWriter::new(10, StatsdTags::Omit);
    let mut told = |name, value| {
        let pushed = writer.push(StatsdKind::Gauge, name, [], value, &mut |_| {});
        pushed.unwrap_err().to_string()
    };
    assert_eq!(told("", 1.0), "a metric without a name");
    assert_eq!(told("a", f64::NAN), "a value that statsd has no words for");
    assert_eq!(
        told("abcdefg", 1.0),
        "a line of 11 bytes, of which a datagram holds 10"
    );
    assert_eq!(StatsdTags::ALL.map(StatsdTags::as_str), ["omit", "datadog"]);
}

#[test]
fn no_time_is_read_from_what_is_none() {
    for text in [
        "2024-13-01T00:00:00Z",
        "2024-02-30T00:00:00Z",
        "2024-02-29T24:00:00Z",
        "2024-02-29T00:00:00.Z",
        "2024-02-29T00:00:00+25:00",
        "2024-02-29T00:00:00 01:00",
        "2024-02-29T00:00:00+1:00",
        "2024-02-29 00:00:00Z",
    ] {
        assert!(parse_timestamp_ms(text).is_err(), "{text}");
    }
    assert_eq!(
        parse_timestamp_ms("2024-02-29T00:00:00+24:60"),
        parse_timestamp_ms("2024-02-27T23:00:00Z")
    );
}

#[test]
fn every_kind_of_metric_has_its_word() {
    let mut out = Vec::new();
    for kind in [
        MetricType::Counter,
        MetricType::Gauge,
        MetricType::Histogram,
        MetricType::Summary,
        MetricType::Untyped,
    ] {
        TextWriter::new(&mut out).family("a_total", kind, "");
    }
    let words: Vec<_> = str::from_utf8(&out)
        .unwrap()
        .lines()
        .map(|line| &line["# TYPE a_total ".len()..])
        .collect();
    assert_eq!(
        words,
        ["counter", "gauge", "histogram", "summary", "untyped"]
    );
}

#[test]
fn a_count_is_written_as_it_is() {
    let mut out = Vec::new();
    Writer::new(&mut out).array(|json| {
        json.count(0).count(usize::MAX);
    });
    assert_eq!(out, format!("[0,{}]", usize::MAX).into_bytes());
}

#[test]
fn columns_show_what_they_hold() {
    let text = br#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"a":"x"},"values":[[1,"2"]],"histograms":[[3,{"count":"0"}]]}]}}"#;
    let response = decode_response(200, text, Shape::Query, &DecodeLimits::default()).unwrap();
    let shown = format!("{:?}", response.data);
    let series = r#"Matrix([Series { labels: {"a": "x"}, timestamps_ms: [1000], values: [2.0], histograms: [(3000, "{\"count\":\"0\"}")] }])"#;
    assert_eq!(shown, series);
}
