//! What endpoints other than queries answer: lists of strings, label sets, any document.

use tidegate_wire::{
    Data, DecodeError, DecodeLimits, QueryResponse, Shape, decode_response, encode_query_response,
};

fn decode(shape: Shape, data: &str) -> Result<Data, DecodeError> {
    decode_within(shape, data, &DecodeLimits::default())
}

fn decode_within(shape: Shape, data: &str, limits: &DecodeLimits) -> Result<Data, DecodeError> {
    let first = format!(r#"{{"data":{data},"status":"success"}}"#);
    let last = format!(r#"{{"status":"success","data":{data}}}"#);
    let decoded = decode_response(200, last.as_bytes(), shape, limits);
    if let Ok(decoded) = &decoded {
        // The order of the keys does not matter.
        let turned = decode_response(200, first.as_bytes(), shape, limits);
        assert_eq!(turned.as_ref(), Ok(decoded));
    }
    decoded.map(|response| response.data)
}

fn encoded(data: Data) -> String {
    let mut out = Vec::new();
    encode_query_response(&QueryResponse::new(data), &mut out);
    String::from_utf8(out).unwrap()
}

fn envelope(data: &str) -> String {
    format!(r#"{{"status":"success","data":{data}}}"#)
}

#[test]
fn label_names_and_values_are_strings_in_order() {
    let data = r#"["__name__","job","a\u003cb","job"]"#;
    let decoded = decode(Shape::Strings, data).unwrap();
    let Data::Strings(strings) = &decoded else {
        panic!("strings")
    };
    assert_eq!(strings, &["__name__", "job", "a<b", "job"]);
    assert_eq!(decoded.result_type(), "strings");
    assert_eq!(encoded(decoded), envelope(data));
}

#[test]
fn label_sets_are_series_without_samples() {
    let data = r#"[{"__name__":"up","job":"a"},{"__name__":"up","job":"<b>"},{}]"#;
    let decoded = decode(Shape::Series, data).unwrap();
    let Data::Series(columns) = &decoded else {
        panic!("series")
    };
    assert_eq!(columns.len(), 3);
    assert_eq!(columns.sample_count(), 0);
    assert_eq!(columns.series(1).label("job"), Some("<b>"));
    assert_eq!(decoded.result_type(), "series");
    assert_eq!(encoded(decoded), envelope(data));
}

#[test]
fn nothing_found_is_an_empty_list_also_where_it_is_null() {
    for data in ["[]", "null", " [ ] "] {
        assert_eq!(decode(Shape::Strings, data), Ok(Data::Strings(Vec::new())));
        let Ok(Data::Series(columns)) = decode(Shape::Series, data) else {
            panic!("series of {data}")
        };
        assert!(columns.is_empty());
    }
    assert_eq!(encoded(Data::Strings(Vec::new())), envelope("[]"));
}

#[test]
fn a_document_is_any_json_and_is_not_kept() {
    for data in ["null", "1", r#"{"version":"3.0.0","x":[{"y":null}]}"#, "[]"] {
        assert_eq!(decode(Shape::Document, data), Ok(Data::Document), "{data}");
    }
    let response = QueryResponse::new(Data::Document);
    assert_eq!(response.byte_size(), 0);
    assert_eq!(response.newest_ms(), None);
    assert_eq!(encoded(Data::Document), envelope("null"));
}

#[test]
fn a_document_must_be_json_of_bounded_depth() {
    for data in ["", "{", "[1,]", "nul", r#"{"a":1,}"#, "01"] {
        assert!(decode(Shape::Document, data).is_err(), "{data}");
    }
    let limits = DecodeLimits {
        depth: 3,
        ..DecodeLimits::default()
    };
    assert!(decode_within(Shape::Document, "[[]]", &limits).is_ok());
    assert_eq!(
        decode_within(Shape::Document, "[[[]]]", &limits),
        Err(DecodeError::TooDeep {
            position: 29,
            limit: 3
        })
    );
}

#[test]
fn another_shape_is_refused_with_its_place() {
    let json = |position, expected| Err(DecodeError::Json { position, expected });
    assert_eq!(decode(Shape::Strings, "[1]"), json(28, "a string"));
    assert_eq!(decode(Shape::Strings, "{}"), json(27, "a list of strings"));
    assert_eq!(decode(Shape::Series, r#"["a"]"#), json(28, "labels"));
    assert_eq!(decode(Shape::Series, "{}"), json(27, "a list of series"));
    assert_eq!(
        decode(Shape::Series, r#"[{"a":"b","a":"c"}]"#),
        Err(DecodeError::DuplicateKey {
            key: "a".into(),
            position: 44
        })
    );
    assert_eq!(decode(Shape::Query, "[]"), json(27, "`{`"));
    assert!(decode(Shape::Strings, r#"["a" "b"]"#).is_err());
}

#[test]
fn lists_are_limited_in_number_and_bytes() {
    let exact = DecodeLimits {
        strings: 2,
        series: 2,
        label_bytes: 3,
        text_bytes: 4,
        ..DecodeLimits::default()
    };
    let too_large = |what, limit| Err(DecodeError::TooLarge { what, limit });
    let strings = |data| decode_within(Shape::Strings, data, &exact);
    assert!(strings(r#"["abc","d"]"#).is_ok());
    assert_eq!(strings(r#"["","",""]"#), too_large("strings", 2));
    assert_eq!(strings(r#"["abcd"]"#), too_large("bytes in one label", 3));
    assert_eq!(
        strings(r#"["abc","de"]"#),
        too_large("bytes of labels and histograms", 4)
    );
    let series = |data| decode_within(Shape::Series, data, &exact);
    assert!(series("[{},{}]").is_ok());
    assert_eq!(series("[{},{},{}]"), too_large("series", 2));
}

#[test]
fn an_error_envelope_is_the_same_for_every_shape() {
    let body = br#"{"status":"error","errorType":"bad_data","error":"no"}"#;
    for shape in [Shape::Query, Shape::Strings, Shape::Series, Shape::Document] {
        let decoded = decode_response(400, body, shape, &DecodeLimits::default());
        assert!(matches!(decoded, Err(DecodeError::Upstream { .. })));
        let decoded = decode_response(200, body, shape, &DecodeLimits::default());
        assert!(matches!(decoded, Err(DecodeError::StatusMismatch { .. })));
    }
}

#[test]
fn the_size_of_strings_counts_their_text() {
    let short = decode(Shape::Strings, r#"["a"]"#).unwrap();
    let long = decode(Shape::Strings, &format!(r#"["{}"]"#, "a".repeat(101))).unwrap();
    let size = |data| QueryResponse::new(data).byte_size();
    assert_eq!(size(long) - size(short), 100);
}
