//! Bodies that lie, overflow or never end their nesting.

use tidegate_wire::{
    Columns, Data, DecodeError, DecodeLimits, Envelope, decode_query_response,
    encode_query_response,
};

const EMPTY: &str = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
const ERROR: &str = r#"{"status":"error","errorType":"bad_data","error":"no","warnings":["w"]}"#;

fn decode(body: &str) -> Result<tidegate_wire::QueryResponse, DecodeError> {
    decode_query_response(200, body.as_bytes(), &DecodeLimits::default())
}

fn vector_of(series: &str) -> String {
    format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{series}]}}}}"#)
}

fn matrix_of(series: &str) -> String {
    format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{series}]}}}}"#)
}

fn vector(series: &str) -> Columns {
    let Data::Vector(columns) = decode(&vector_of(series)).unwrap().data else {
        panic!("a vector")
    };
    columns
}

fn point(point: &str) -> Result<tidegate_wire::QueryResponse, DecodeError> {
    decode(&vector_of(&format!(r#"{{"metric":{{}},"value":{point}}}"#)))
}

#[test]
fn nesting_is_read_to_its_limit_and_no_deeper() {
    let nested = |levels: usize| {
        format!(
            r#"{{"x":{}{},{}"#,
            "[".repeat(levels),
            "]".repeat(levels),
            &EMPTY[1..]
        )
    };
    assert!(decode(&nested(127)).is_ok());
    assert_eq!(
        decode(&nested(128)),
        Err(DecodeError::TooDeep {
            position: 5 + 127,
            limit: 128
        })
    );
    // A million levels cost no stack, closed or not.
    assert!(matches!(
        decode(&nested(1_000_000)),
        Err(DecodeError::TooDeep { .. })
    ));
    let objects = format!(r#"{{"x":{}"#, r#"{"y":"#.repeat(1_000_000));
    assert!(matches!(decode(&objects), Err(DecodeError::TooDeep { .. })));
    let histogram = format!(
        r#"{{"metric":{{}},"histogram":[1,{{"a":{}}}]}}"#,
        "[".repeat(1_000)
    );
    assert!(matches!(
        decode(&vector_of(&histogram)),
        Err(DecodeError::TooDeep { .. })
    ));
}

#[test]
fn a_lower_depth_limit_holds_too() {
    let limits = DecodeLimits {
        depth: 2,
        ..DecodeLimits::default()
    };
    let body = |x: &str| format!(r#"{{"x":{x},{}"#, &EMPTY[1..]);
    assert!(decode_query_response(200, body("[1]").as_bytes(), &limits).is_ok());
    let error = decode_query_response(200, body("[[]]").as_bytes(), &limits).unwrap_err();
    assert_eq!(
        error,
        DecodeError::TooDeep {
            position: 6,
            limit: 2
        }
    );
}

#[test]
fn values_are_go_floats_in_quotes() {
    for (text, value) in [
        ("NaN", f64::NAN),
        ("+Inf", f64::INFINITY),
        ("-Inf", f64::NEG_INFINITY),
        ("1e-07", 1e-7),
    ] {
        let found = point(&format!(r#"[1,"{text}"]"#)).unwrap();
        let Data::Vector(columns) = found.data else {
            panic!("a vector")
        };
        assert_eq!(columns.values()[0].to_bits(), value.to_bits());
    }
    for text in [
        "", "abc", "1,5", " 1", "1e400", "0x1p4", "1_0", "null", "--1",
    ] {
        let error = point(&format!(r#"[1,"{text}"]"#)).unwrap_err();
        assert!(
            matches!(&error, DecodeError::BadNumber { text: found, position: 84 } if found == text),
            "{error:?}"
        );
    }
    for bare in ["1", "null", "true", "[]"] {
        assert!(
            matches!(point(&format!("[1,{bare}]")), Err(DecodeError::Json { .. })),
            "{bare}"
        );
    }
}

#[test]
fn an_endless_value_is_quoted_shortly() {
    let error = point(&format!(r#"[1,"{}"]"#, "é".repeat(10_000))).unwrap_err();
    assert!(error.to_string().len() < 200, "{error}");
}

#[test]
fn timestamps_are_exact_or_refused() {
    for (text, timestamp_ms) in [
        ("1435781451.781", 1_435_781_451_781),
        ("-0.001", -1),
        ("9223372036854775.807", i64::MAX),
    ] {
        let found = point(&format!(r#"[{text},"1"]"#)).unwrap();
        assert_eq!(found.newest_ms(), Some(timestamp_ms));
    }
    for text in [
        "1e300",
        "-1e300",
        "9223372036854775.808",
        "0.0005",
        "1e99999999999",
    ] {
        let error = point(&format!(r#"[{text},"1"]"#)).unwrap_err();
        assert!(
            matches!(&error, DecodeError::BadTimestamp { text: found, .. } if found == text),
            "{error:?}"
        );
    }
    for text in ["\"1\"", "NaN", "01", "+1", "1.", ".5", "null", "-"] {
        assert!(
            matches!(
                point(&format!(r#"[{text},"1"]"#)),
                Err(DecodeError::Json { .. })
            ),
            "{text}"
        );
    }
}

#[test]
fn points_have_two_elements() {
    for text in ["[]", "[1]", r#"[1,"1",2]"#, r#"[1,"1",]"#, "{}", "null"] {
        assert!(point(text).is_err(), "{text}");
    }
}

#[test]
fn duplicate_series_and_timestamps_pass_unmodified() {
    let one = r#"{"metric":{"a":"b"},"value":[1,"1"]}"#;
    let columns = vector(&format!("{one},{one}"));
    assert_eq!(columns.len(), 2);
    assert_eq!(columns.series(0), columns.series(1));
    let body = matrix_of(r#"{"metric":{},"values":[[2,"1"],[2,"3"],[1,"4"]]}"#);
    let Data::Matrix(columns) = decode(&body).unwrap().data else {
        panic!("a matrix")
    };
    assert_eq!(columns.timestamps_ms(), [2_000, 2_000, 1_000]);
}

#[test]
fn a_key_that_counts_comes_once() {
    let labels = |labels: &str| {
        decode(&vector_of(&format!(
            r#"{{"metric":{{{labels}}},"value":[1,"1"]}}"#
        )))
    };
    assert!(labels(r#""a":"1","b":"1""#).is_ok());
    for twice in [r#""a":"1","a":"1""#, r#""a":"1","b":"2","\u0061":"3""#] {
        assert!(matches!(labels(twice), Err(DecodeError::DuplicateKey { key, .. }) if key == "a"));
    }
    for body in [
        format!(r#"{{"status":"error",{}"#, &EMPTY[1..]),
        format!(r#"{{"data":null,{}"#, &EMPTY[1..]),
        EMPTY.replace(r#""result":[]"#, r#""result":[],"result":[]"#),
        EMPTY.replace(r#""result":[]"#, r#""result":[],"resultType":"matrix""#),
        vector_of(r#"{"metric":{},"value":[1,"1"],"value":[1,"1"]}"#),
        vector_of(r#"{"metric":{},"value":[1,"1"],"histogram":[1,{}]}"#),
        vector_of(r#"{"metric":{},"metric":{},"value":[1,"1"]}"#),
        matrix_of(r#"{"metric":{},"values":[],"values":[]}"#),
    ] {
        assert!(
            matches!(decode(&body), Err(DecodeError::DuplicateKey { .. })),
            "{body}"
        );
    }
    assert!(decode(&format!(r#"{{"x":1,"x":2,{}"#, &EMPTY[1..])).is_ok());
}

#[test]
fn a_key_that_is_needed_is_never_made_up() {
    for (key, body) in [
        (
            "status",
            r#"{"data":{"resultType":"vector","result":[]}}"#.to_owned(),
        ),
        ("data", r#"{"status":"success"}"#.to_owned()),
        (
            "resultType",
            r#"{"status":"success","data":{"result":[]}}"#.to_owned(),
        ),
        (
            "result",
            r#"{"status":"success","data":{"resultType":"vector"}}"#.to_owned(),
        ),
        ("metric", vector_of(r#"{"value":[1,"1"]}"#)),
        ("value", vector_of(r#"{"metric":{}}"#)),
        ("metric", matrix_of(r#"{"values":[]}"#)),
    ] {
        assert!(
            matches!(decode(&body), Err(DecodeError::MissingKey { key: found, .. }) if found == key),
            "{body}"
        );
    }
}

#[test]
fn the_wrong_shape_is_refused() {
    for body in [
        "",
        " ",
        "null",
        "[]",
        "1",
        "{}",
        "<html>",
        "{\"status\":\"success\"",
        r#"{"status":"ok","data":{}}"#,
        r#"{"status":"success","data":null}"#,
        r#"{"status":"success","data":[]}"#,
        r#"{"status":"success","data":{"resultType":"table","result":[]}}"#,
        r#"{"status":"success","data":{"resultType":"scalar","result":[]}}"#,
        r#"{"status":"success","data":{"resultType":"vector","result":null}}"#,
        r#"{"status":"success","data":{"resultType":"vector","result":{}}}"#,
        r#"{"status":"success","data":{"resultType":"vector","result":[]},}"#,
        r#"{"status":"success","data":{"resultType":"vector","result":[]},"warnings":[1]}"#,
        r#"{"status":"success","data":{"resultType":"vector","result":[]},"warnings":"w"}"#,
    ] {
        assert!(decode(body).is_err(), "{body}");
    }
    for series in [
        "1",
        "[]",
        r#"{"metric":{"a":1},"value":[1,"1"]}"#,
        r#"{"metric":[],"value":[1,"1"]}"#,
        r#"{"metric":{},"histogram":[1,"1"]}"#,
        r#"{"metric":{},"histogram":[1,{]}"#,
    ] {
        assert!(decode(&vector_of(series)).is_err(), "{series}");
    }
}

#[test]
fn keys_come_in_any_order_and_unknown_ones_are_skipped() {
    let body = r#" { "stats" : {"samples":[1,{"x":"]"}]}, "infos":["i"], "data":{"result":[{"exemplars":[{}],"value":[1,"2"],"metric":{"\u0061":"\ud83d\ude00"}}],"explain":null,"resultType":"vector"},"warnings":null,"status":"success" } "#;
    let response = decode(body).unwrap();
    assert_eq!(response.infos, ["i"]);
    assert!(response.warnings.is_empty());
    let Data::Vector(columns) = response.data else {
        panic!("a vector")
    };
    assert_eq!(columns.series(0).label("a"), Some("\u{1f600}"));
    assert_eq!(columns.values(), [2.0]);
}

#[test]
fn text_that_is_no_unicode_is_refused() {
    let label = |value: &str| {
        decode(&vector_of(&format!(
            r#"{{"metric":{{"a":"{value}"}},"value":[1,"1"]}}"#
        )))
    };
    assert!(label(r"\ud83d\ude00\u0000\/\b\f").is_ok());
    for value in [
        r"\ud83d",
        r"\ud83dx",
        r"\ud83d\n",
        r"\ud83d\ud83d",
        r"\ude00",
        r"\ud83d\u0041",
    ] {
        assert!(
            matches!(label(value), Err(DecodeError::BadText { position: 76 })),
            "{value}"
        );
    }
    for value in [r"\x", r"\u12g4", r"\u+123", "\n", "\u{0}", "\t"] {
        assert!(
            matches!(label(value), Err(DecodeError::Json { .. })),
            "{value}"
        );
    }
    let mut body = EMPTY.as_bytes().to_vec();
    body[3] = 0xff;
    let error = decode_query_response(200, &body, &DecodeLimits::default());
    assert_eq!(error, Err(DecodeError::BadText { position: 3 }));
}

#[test]
fn labels_go_out_with_html_as_it_came_in() {
    // Go's default encoder escapes `<`, `>` and `&`; newer Prometheus leaves them in labels.
    for value in [
        r"a<b>&\u0008",
        r"a\u003cb\u003e\u0026\u0008",
        "\u{2028}",
        r"\u2028",
    ] {
        let body = vector_of(&format!(
            r#"{{"metric":{{"x":"{value}"}},"value":[1,"1"]}}"#
        ));
        let mut out = Vec::new();
        encode_query_response(&decode(&body).unwrap(), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), body);
    }
}

#[test]
fn every_limit_holds_at_its_edge() {
    let series =
        r#"{"metric":{"ab":"cd","e":"f"},"values":[[1,"1"],[2,"1"]],"histograms":[[3,{}]]}"#;
    let body =
        matrix_of(&format!("{series},{series}")).replace("]}}", r#"]},"warnings":["a","b"]}"#);
    let exact = DecodeLimits {
        series: 2,
        labels_per_series: 2,
        text_bytes: 16,
        label_bytes: 2,
        samples: 6,
        messages: 2,
        strings: 0,
        depth: 8,
    };
    let decode = |limits: &DecodeLimits| decode_query_response(200, body.as_bytes(), limits);
    assert_eq!(decode(&exact).map(drop), Ok(()));
    for (what, limits) in [
        (
            "series",
            DecodeLimits {
                series: 1,
                ..exact.clone()
            },
        ),
        (
            "labels in one series",
            DecodeLimits {
                labels_per_series: 1,
                ..exact.clone()
            },
        ),
        (
            "bytes of labels and histograms",
            DecodeLimits {
                text_bytes: 9,
                ..exact.clone()
            },
        ),
        (
            "bytes in one label",
            DecodeLimits {
                label_bytes: 1,
                ..exact.clone()
            },
        ),
        (
            "samples",
            DecodeLimits {
                samples: 5,
                ..exact.clone()
            },
        ),
        (
            "warnings or infos",
            DecodeLimits {
                messages: 1,
                ..exact.clone()
            },
        ),
    ] {
        let error = decode(&limits).unwrap_err();
        assert!(
            matches!(error, DecodeError::TooLarge { what: found, .. } if found == what),
            "{what}: {error:?}"
        );
    }
}

#[test]
fn status_and_envelope_must_agree() {
    let decode = |status, body: &str| {
        decode_query_response(status, body.as_bytes(), &DecodeLimits::default())
    };
    assert!(decode(200, EMPTY).is_ok());
    for status in [100, 201, 202, 204, 206, 301, 304, 399, 600, 0] {
        for body in [EMPTY, ERROR, ""] {
            assert_eq!(
                decode(status, body),
                Err(DecodeError::UnexpectedStatus { status })
            );
        }
    }
    assert_eq!(
        decode(200, ERROR),
        Err(DecodeError::StatusMismatch {
            status: 200,
            envelope: Envelope::Error
        })
    );
    for status in [400, 422, 503, 599] {
        let mismatch = DecodeError::StatusMismatch {
            status,
            envelope: Envelope::Success,
        };
        assert_eq!(decode(status, EMPTY), Err(mismatch));
        for body in ["", "404 page not found\n", "<html>", "{}", &ERROR[..30]] {
            assert_eq!(
                decode(status, body),
                Err(DecodeError::NotAnEnvelope { status })
            );
        }
        let Err(DecodeError::Upstream {
            status: found,
            response,
        }) = decode(status, ERROR)
        else {
            panic!("an error")
        };
        assert_eq!(
            (found, &*response.error_type, &*response.error),
            (status, "bad_data", "no")
        );
        assert_eq!(response.warnings, ["w"]);
    }
    let partial = r#"{"data":{"resultType":"vector","result":1},"status":"error","errorType":"timeout","error":"late"}"#;
    assert!(matches!(
        decode(503, partial),
        Err(DecodeError::Upstream { .. })
    ));
}

#[test]
fn errors_say_what_and_where() {
    let message = |body: &str| decode(body).unwrap_err().to_string();
    assert_eq!(message("<html>"), "expected `{` at byte 0 of the response");
    assert_eq!(
        message(&EMPTY[..20]),
        "the response is cut off after 20 bytes"
    );
    assert_eq!(
        message(ERROR),
        "the response says error with http status 200"
    );
    assert_eq!(
        point(r#"[1,"up"]"#).unwrap_err().to_string(),
        "\"up\" at byte 84 of the response is not a sample value"
    );
    let upstream =
        decode_query_response(400, ERROR.as_bytes(), &DecodeLimits::default()).unwrap_err();
    assert_eq!(upstream.to_string(), "bad_data: no (http status 400)");
}
