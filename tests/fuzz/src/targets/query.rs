//! Answers of the query API.

use tidegate_wire::{DecodeLimits, Shape, decode_response, encode_query_response};

use super::Target;
use crate::slow::{agree, agree_on_others};

pub(super) const TARGET: Target = Target {
    name: "query",
    about: "answers to queries, beside a slow decoder",
    run: query,
    words: &[
        r#"{"status":"success","data":{"resultType":"vector","result":["#,
        r#"{"metric":{},"value":[1435781451.781,"1"]}"#,
        r#""resultType":"matrix","#,
        r#""resultType":"scalar","result":[1,"2"]"#,
        r#""resultType":"string","result":[1,"2"]"#,
        r#""values":[[1,"2"],[3,"4"]]"#,
        r#""histogram":[1,{"count":"1"}]"#,
        r#""histograms":[[1,{"count":"1","buckets":[[0,"1","2","3"]]}]]"#,
        r#""warnings":["w"],"#,
        r#""infos":null,"#,
        r#""errorType":"bad_data","error":"e""#,
        r#""status":"error","#,
        r#""__name__":"up","#,
        r#"\ud83d\ude00"#,
        r#"\u003c"#,
        r#"\""#,
        "null",
        "true",
        "\"NaN\"",
        "\"+Inf\"",
        "[[[[[[[[[[",
        "{\"a\":{\"a\":",
        "e-7",
        " \t\n",
    ],
    bytes_max: 2_000,
};

pub(super) const LISTS: Target = Target {
    name: "lists",
    about: "lists of strings and label sets, and any document, beside a slow decoder",
    run: lists,
    words: &[
        r#"{"status":"success","data":["#,
        r#""__name__","#,
        r#"{"__name__":"up","job":"a"},"#,
        r#""data":null"#,
        r#""data":{"a":[1,true,null]}"#,
        r#""warnings":["w"],"#,
        r#"\ud83d\ude00"#,
        r#"\u003c"#,
        "[[[[[[[[[[",
        "{\"a\":{\"a\":",
        "-0.5e+10",
    ],
    bytes_max: 1_000,
};

/// Where there is room for little, much is refused, and nothing else changes.
const LITTLE: DecodeLimits = DecodeLimits {
    series: 3,
    labels_per_series: 2,
    text_bytes: 100,
    label_bytes: 20,
    samples: 5,
    messages: 2,
    strings: 3,
    depth: 8,
};

fn query(body: &[u8]) {
    if let Err(difference) = agree(body) {
        panic!("{difference}");
    }
    round(body, Shape::Query);
    for status in [204, 404, 503] {
        let refused = decode_response(status, body, Shape::Query, &LITTLE);
        let error = refused.expect_err("no other status is a success");
        assert!(!error.to_string().contains('\n'), "an error is one line");
    }
}

fn lists(body: &[u8]) {
    if let Err(difference) = agree_on_others(body) {
        panic!("{difference}");
    }
    round(body, Shape::Strings);
    round(body, Shape::Series);
}

/// What is read and written is read as the same, and limits only refuse.
fn round(body: &[u8], shape: Shape) {
    let decode = |body: &[u8], limits| decode_response(200, body, shape, limits);
    let limits = DecodeLimits::default();
    let little = decode(body, &LITTLE);
    let Ok(response) = decode(body, &limits) else {
        assert!(little.is_err(), "limits refuse and never allow");
        return;
    };
    let mut written = Vec::new();
    encode_query_response(&response, &mut written);
    if let Ok(little) = little {
        let mut same = Vec::new();
        encode_query_response(&little, &mut same);
        assert!(same == written, "limits change nothing");
    }
    let again = decode(&written, &limits).expect("what is written is read");
    let mut twice = Vec::new();
    encode_query_response(&again, &mut twice);
    assert_eq!(
        String::from_utf8_lossy(&twice),
        String::from_utf8_lossy(&written)
    );
}
