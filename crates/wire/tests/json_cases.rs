//! Valid and invalid JSON by the categories that parsers are known to differ on, wherever a response has
//! room for it: where values are skipped, as a document, as a label, as a number.

use tidegate_wire::{Data, DecodeError, DecodeLimits, Shape, decode_response};

/// Values that every parser must take.
const VALID: &[&str] = &[
    // Structures, with and without white space.
    "[]",
    "{}",
    "[[]]",
    "[{}]",
    "{\"\":0}",
    "[[],[]]",
    " [ ] ",
    "\t{\n}\r",
    "[1 ,\n2]",
    "{ \"a\" :\t1 }",
    "{\"a\":{\"b\":[]}}",
    "{\"a\":1,\"a\":2}",
    "{\"a\\u0062\":1}",
    "{\"\\u0000\":1}",
    "[null,true,false]",
    // Lonely values.
    "null",
    "true",
    "false",
    "0",
    "\"\"",
    "\" \"",
    "\"a\"",
    // Numbers.
    "-0",
    "-1",
    "10",
    "0.0",
    "-0.5",
    "1e1",
    "1E1",
    "1e+1",
    "1e-1",
    "0e0",
    "0e-999",
    "1.5e300",
    "1e400",
    "-1e-400",
    "123456789012345678901234567890",
    "0.000000000000000000000000000001",
    "[-1,2.5,3e4]",
    // Strings: escapes, surrogate pairs, every length of UTF-8, what need not be escaped.
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "\"\\u0041\\u00e9\\u20AC\"",
    "\"\\ud834\\udd1e\"",
    "\"\\uDBFF\\uDFFF\"",
    "\"\u{7f}\"",
    "\"\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}\"",
    "\"\u{2028}\u{2029}\"",
    "\"\u{feff}\"",
    "\"\\u2028\"",
    "\"\\ufdd0\\uffff\"",
    "\"/\"",
    "\"'\"",
    "\"<&>\"",
];

/// Values that every parser must refuse.
const INVALID: &[&str] = &[
    // Nothing, or not all of it.
    "",
    " ",
    "[",
    "{",
    "[1",
    "[1,",
    "{\"a\"",
    "{\"a\":",
    "{\"a\":1",
    "{\"a\":1,",
    "\"",
    "\"a",
    "\"\\",
    "\"\\u",
    "\"\\u00",
    "[\"a",
    "tru",
    "nul",
    "fals",
    "-",
    "1.",
    "1e",
    "1e+",
    "[[[",
    "{\"a\":[",
    // Commas, colons and brackets at the wrong place.
    "]",
    "}",
    "[,]",
    "[1,]",
    "[,1]",
    "[1,,2]",
    "[1 2]",
    "[1:2]",
    "{,}",
    "{\"a\":1,}",
    "{\"a\":1,,\"b\":2}",
    "{\"a\" 1}",
    "{\"a\",1}",
    "{\"a\"::1}",
    "{\"a\":1 \"b\":2}",
    "{:1}",
    "{1:1}",
    "{a:1}",
    "{'a':1}",
    "{null:1}",
    "[1}",
    "{\"a\":1]",
    "[1]]",
    "{}}",
    "[] []",
    "1 2",
    "\"a\" \"b\"",
    "[\"a\":1]",
    "{\"a\"}",
    "{[]:1}",
    // Words.
    "True",
    "NULL",
    "None",
    "undefined",
    "NaN",
    "Infinity",
    "-Infinity",
    "nulll",
    "truefalse",
    "[nul]",
    "[tru e]",
    // Numbers.
    "+1",
    "01",
    "-01",
    "00",
    ".5",
    "-.5",
    "5.",
    "1.e1",
    "1e1.5",
    "1e1e1",
    "--1",
    "-+1",
    "1-1",
    "0x1",
    "1_0",
    "1a",
    "-a",
    "0.1.2",
    "1 .5",
    "١",
    "１",
    "[1e]",
    "[-]",
    // Strings.
    "'a'",
    "a",
    "\"a\nb\"",
    "\"a\tb\"",
    "\"\0\"",
    "\"\u{1f}\"",
    "\"\\a\"",
    "\"\\x00\"",
    "\"\\'\"",
    "\"\\0\"",
    "\"\\U0041\"",
    "\"\\u00g0\"",
    "\"\\u004\"",
    "\"\\ u0041\"",
    "\"\\",
    "\"\\\"",
    "\"a\"b\"",
    "\"\\é\"",
    // Halves of surrogate pairs.
    "\"\\ud800\"",
    "\"\\udc00\"",
    "\"\\udc00\\ud800\"",
    "\"\\ud800\\ud800\"",
    "\"\\ud800x\"",
    "\"\\ud800\\n\"",
    "\"\\ud800\\u0041\"",
    // What is no white space, comments.
    "\u{feff}[]",
    "\u{a0}[]",
    "\u{c}[]",
    "\u{b}1",
    "[\u{2060}]",
    "/**/1",
    "1//",
    "[1/*,*/]",
    "#1",
    "<1>",
    "*",
];

/// Bytes inside a string that are not UTF-8.
const NOT_UTF8: &[&[u8]] = &[
    b"\xff",
    b"\x80",
    b"\xc0\x80",
    b"\xc3",
    b"\xe2\x82",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xf0\x80\x80\x80",
    b"\xe9",
    b"\xc3\x28",
    b"\xf5\x80\x80\x80",
];

fn decode(body: &[u8], shape: Shape) -> Result<Data, DecodeError> {
    decode_response(200, body, shape, &DecodeLimits::default()).map(|response| response.data)
}

/// The places at which any value may stand.
fn places(value: &str) -> [(String, Shape); 6] {
    let query = |data: &str| format!(r#"{{"status":"success","data":{data}}}"#);
    [
        (
            format!(r#"{{"x":{value},"status":"success","data":[]}}"#),
            Shape::Strings,
        ),
        (query(value), Shape::Document),
        (query(&format!("[0,{value}]")), Shape::Document),
        (
            query(&format!(
                r#"{{"resultType":"matrix","stats":{value},"result":[]}}"#
            )),
            Shape::Query,
        ),
        (
            query(&format!(
                r#"{{"resultType":"matrix","result":[{{"metric":{{}},"x":{value},"values":[]}}]}}"#
            )),
            Shape::Query,
        ),
        (
            query(&format!(
                r#"{{"resultType":"vector","result":[{{"metric":{{}},"histogram":[1435781451.781,{{"x":{value}}}]}}]}}"#
            )),
            Shape::Query,
        ),
    ]
}

#[test]
fn valid_json_is_skipped_wherever_it_stands() {
    for value in VALID {
        for (body, shape) in places(value) {
            assert!(decode(body.as_bytes(), shape).is_ok(), "{body}");
        }
    }
}

#[test]
fn invalid_json_is_refused_wherever_it_stands() {
    for value in INVALID {
        for (body, shape) in places(value) {
            assert!(decode(body.as_bytes(), shape).is_err(), "{body}");
        }
    }
}

#[test]
fn strings_are_labels_or_not_as_they_are_json_or_not() {
    for (cases, valid) in [(VALID, true), (INVALID, false)] {
        for value in cases
            .iter()
            .map(|value| value.trim())
            .filter(|value| value.starts_with('"'))
        {
            for series in [
                format!(r#"{{"metric":{{"a":{value}}},"value":[1435781451.781,"1"]}}"#),
                format!(r#"{{"metric":{{{value}:"b"}},"value":[1435781451.781,"1"]}}"#),
                // Like the series before it but for the label.
                format!(
                    r#"{{"metric":{{"a":"b"}},"value":[1,"1"]}},{{"metric":{{"a":{value}}},"value":[1,"1"]}}"#
                ),
            ] {
                let body = format!(
                    r#"{{"status":"success","data":{{"resultType":"vector","result":[{series}]}}}}"#
                );
                let decoded = decode(body.as_bytes(), Shape::Query);
                assert_eq!(decoded.is_ok(), valid, "{body}");
                if let Ok(Data::Vector(columns)) = decoded {
                    let document: serde_json::Value = serde_json::from_str(&body).unwrap();
                    let last = columns.series(columns.len() - 1);
                    let said = &document["data"]["result"][columns.len() - 1]["metric"];
                    for (name, value) in last.labels() {
                        assert_eq!(said[name], value, "{body}");
                    }
                }
            }
        }
    }
}

#[test]
fn text_that_is_not_utf8_is_refused_with_its_place() {
    for bytes in NOT_UTF8 {
        for before in [
            &b"{\"x\":\""[..],
            b"{\"status\":\"success\",\"data\":[{\"a\":\"",
            b"{\"",
        ] {
            let body = [before, bytes, b"\"}]}"].concat();
            assert_eq!(
                decode(&body, Shape::Series),
                Err(DecodeError::BadText {
                    position: before.len()
                }),
                "{bytes:?}"
            );
        }
    }
}

#[test]
fn what_stands_around_a_response_is_white_space_or_wrong() {
    const BODY: &str = r#"{"status":"success","data":[]}"#;
    for space in ["", " ", "\n", "\r\n\t "] {
        assert!(decode(format!("{space}{BODY}{space}").as_bytes(), Shape::Strings).is_ok());
    }
    for other in [
        "\u{feff}", "\0", "x", ",", "{}", "]", "\u{a0}", "\u{c}", "//",
    ] {
        for body in [format!("{BODY}{other}"), format!("{other}{BODY}")] {
            assert!(decode(body.as_bytes(), Shape::Strings).is_err(), "{body:?}");
        }
    }
    for length in 0..BODY.len() {
        let cut = decode(&BODY.as_bytes()[..length], Shape::Strings);
        assert_eq!(cut, Err(DecodeError::Truncated { position: length }));
    }
}

#[test]
fn depth_is_bounded_in_both_brackets_and_costs_no_stack() {
    let nested = |open: &str, close: &str, depth: usize| {
        let value = format!("{}0{}", open.repeat(depth), close.repeat(depth));
        decode(
            format!(r#"{{"x":{value},"status":"success","data":[]}}"#).as_bytes(),
            Shape::Strings,
        )
    };
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
        let levels = open.matches(['[', '{']).count();
        let most = (DecodeLimits::DEPTH - 1) / levels;
        assert!(nested(open, close, most).is_ok());
        for depth in [most + 1, 100_000] {
            assert!(matches!(
                nested(open, close, depth),
                Err(DecodeError::TooDeep { .. })
            ));
        }
    }
}
