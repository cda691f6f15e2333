//! Bodies recorded from a Prometheus 2.42: they decode, and come out again as the same bytes.

use std::fs;
use std::path::Path;

use tidegate_wire::{
    Data, DecodeError, DecodeLimits, QueryResponse, decode_query_response, encode_error,
    encode_query_response,
};

#[test]
fn answers_come_out_as_they_came_in() {
    for result_type in ["vector", "matrix", "scalar", "string"] {
        for (name, body) in recorded(result_type) {
            let response = decoded(&name, &body);
            assert_eq!(response.data.result_type(), result_type, "{name}");
            assert_eq!(text(&encoded(&response)), text(&body), "{name}");
        }
    }
}

#[test]
fn errors_come_out_as_they_came_in() {
    for (name, body) in recorded("error") {
        let status = if name.starts_with("error_execution") {
            422
        } else {
            400
        };
        let error = decode_query_response(status, &body, &DecodeLimits::default()).unwrap_err();
        let DecodeError::Upstream {
            status: found,
            response,
        } = error
        else {
            panic!("{name}: {error}")
        };
        assert_eq!(found, status);
        let mut out = Vec::new();
        encode_error(&response.error_type, &response.error, &mut out);
        assert_eq!(text(&out), text(&body), "{name}");
    }
}

#[test]
fn a_body_cut_anywhere_is_no_answer() {
    for result_type in ["vector", "matrix", "scalar", "string"] {
        for (name, body) in recorded(result_type) {
            for length in 0..body.len() {
                let error = decode_query_response(200, &body[..length], &DecodeLimits::default())
                    .unwrap_err();
                assert_eq!(
                    error,
                    DecodeError::Truncated { position: length },
                    "{name} cut to {length}"
                );
            }
        }
    }
}

#[test]
fn an_error_body_cut_anywhere_is_no_envelope() {
    for (name, body) in recorded("error") {
        for length in 0..body.len() {
            let error =
                decode_query_response(503, &body[..length], &DecodeLimits::default()).unwrap_err();
            assert_eq!(
                error,
                DecodeError::NotAnEnvelope { status: 503 },
                "{name} cut to {length}"
            );
        }
    }
}

#[test]
fn anything_after_the_envelope_is_refused() {
    for (name, mut body) in recorded("vector") {
        body.extend_from_slice(b" \r\n\t");
        decoded(&name, &body);
        let position = body.len();
        body.push(b'}');
        let error = decode_query_response(200, &body, &DecodeLimits::default()).unwrap_err();
        assert_eq!(
            error,
            DecodeError::Json {
                position,
                expected: "the end of the body"
            },
            "{name}"
        );
    }
}

#[test]
fn native_histograms_keep_their_text() {
    let (name, body) = recorded("matrix_histograms").remove(0);
    let Data::Matrix(columns) = decoded(&name, &body).data else {
        panic!("a matrix")
    };
    let histograms: Vec<_> = columns.series(0).histograms().collect();
    assert!(histograms.len() > 2);
    for (_, json) in histograms {
        assert!(text(&body).contains(json));
    }
}

/// The recorded bodies whose file names start with `prefix`, with their names.
fn recorded(prefix: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut bodies = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with(prefix) {
            bodies.push((name.to_owned(), fs::read(&path).unwrap()));
        }
    }
    bodies.sort();
    assert!(!bodies.is_empty(), "there are recorded bodies of {prefix}");
    bodies
}

fn decoded(name: &str, body: &[u8]) -> QueryResponse {
    decode_query_response(200, body, &DecodeLimits::default())
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn encoded(response: &QueryResponse) -> Vec<u8> {
    let mut out = Vec::new();
    encode_query_response(response, &mut out);
    out
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}
