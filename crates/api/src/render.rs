//! Answers as HTTP: the body as received, and in headers how it was come by.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use tidegate_core::{Answer, Provenance};
use tidegate_wire::json::Writer;
use tidegate_wire::{QueryResponse, encode_query_response};

use crate::HttpResponse;

/// How the encoder begins every answer.
const ENVELOPE_START: &[u8] = b"{\"status\":\"success\",";

/// An answer in Prometheus' envelope, byte for byte as the source sent it.
pub(crate) fn query(answer: &Answer) -> HttpResponse {
    let body = match &answer.payload.body {
        Some(body) => body.clone(),
        None => encode(&answer.payload.response),
    };
    with_provenance(HttpResponse::json(200, body), answer)
}

/// An answer to a template: Prometheus' envelope, and in it under `tidegate` what is known about
/// the data.
pub(crate) fn collect(answer: &Answer, template: &str) -> HttpResponse {
    let envelope = encode(&answer.payload.response);
    let rest = envelope
        .strip_prefix(ENVELOPE_START)
        .expect("an answer begins as every answer does");
    let mut body = ENVELOPE_START.to_vec();
    body.extend_from_slice(b"\"tidegate\":");
    let mut json = Writer::new(&mut body);
    json.object(|json| {
        json.key("template").string(template);
        json.key("source").string(&answer.source);
        json.key("key").string(&answer.key);
        json.key("as_of_ms").integer(answer.as_of.0);
        json.key("fetched_at_ms").integer(answer.fetched_at.0);
        json.key("age_ms")
            .integer(i64::try_from(answer.age.as_millis()).unwrap_or(i64::MAX));
        json.key("freshness").string(answer.freshness.as_str());
        json.key("provenance").string(answer.provenance.as_str());
        if let Some(reason) = &answer.reason {
            json.key("reason").string(reason);
        }
    });
    body.push(b',');
    body.extend_from_slice(rest);
    with_provenance(HttpResponse::json(200, body), answer)
}

fn encode(response: &QueryResponse) -> Vec<u8> {
    let mut body = Vec::new();
    encode_query_response(response, &mut body);
    body
}

/// `Cache-Status` by RFC 9211, `Age` by the data's own instant, and the reason for stale data.
fn with_provenance(response: HttpResponse, answer: &Answer) -> HttpResponse {
    let response = response
        .with("cache-status", &cache_status(answer))
        .with("age", &format!("{}", answer.age.as_secs()));
    match &answer.reason {
        Some(reason) => response.with("tidegate-reason", reason),
        None => response,
    }
}

fn cache_status(answer: &Answer) -> String {
    let ttl_s = match answer.ttl_left {
        Some(left) => i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        None => -i64::try_from(answer.overdue.as_secs()).unwrap_or(i64::MAX),
    };
    let how = match answer.provenance {
        Provenance::Hit if answer.ttl_left.is_none() => "hit".into(),
        Provenance::Hit | Provenance::Stale | Provenance::StaleOnError => {
            format!("hit; ttl={ttl_s}")
        }
        Provenance::Coalesced => format!("fwd=miss; collapsed{}", stored(answer)),
        Provenance::Miss => format!("fwd=miss{}", stored(answer)),
    };
    format!(
        "tidegate; {how}; freshness={}; detail={}",
        answer.freshness.as_str(),
        answer.provenance.as_str()
    )
}

fn stored(answer: &Answer) -> &'static str {
    if answer.ttl_left.is_some() {
        "; stored"
    } else {
        ""
    }
}
