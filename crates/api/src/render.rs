//! Answers as HTTP: the body as received, and in headers how it was come by.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use tidegate_core::{
    Answer, Ask, CollectPlan, Explanation, Field, Freshness, NamedAnswer, OwnerMap, Provenance,
    Query, QueryError, RecordConfig, Row,
};
use tidegate_wire::json::Writer;
use tidegate_wire::number::write_float;
use tidegate_wire::{QueryResponse, encode_query_response};

use crate::tag::entity_tag;
use crate::window::FUNCTION;
use crate::{HttpResponse, Reuse, error, status};

/// How the encoder begins every answer.
const ENVELOPE_START: &[u8] = b"{\"status\":\"success\",";

/// An answer in Prometheus' envelope, byte for byte as the source sent it.
pub(crate) fn query(answer: &Answer) -> HttpResponse {
    let body = match &answer.payload.body {
        Some(body) => body.clone(),
        None => encode(&answer.payload.response),
    };
    let tag = entity_tag(&body);
    let response = with_provenance(HttpResponse::json(200, body), answer).with("etag", &tag);
    HttpResponse {
        reuse: Reuse::of(answer).map(Box::new),
        ..response
    }
}

/// An answer to a template: Prometheus' envelope, and in it under `tidegate` what is known about
/// the data.
pub(crate) fn collect(answer: &Answer, template: &str) -> HttpResponse {
    let mut body = Vec::new();
    write_collected(answer, template, &mut body);
    with_provenance(HttpResponse::json(200, body), answer)
}

/// Answers to several templates: under `results`, by name, an envelope each, good or bad.
pub(crate) fn collect_many(results: &[(String, Result<Answer, QueryError>)]) -> HttpResponse {
    let mut body = b"{\"status\":\"success\",\"results\":{".to_vec();
    for (nth, (template, result)) in results.iter().enumerate() {
        if nth > 0 {
            body.push(b',');
        }
        // Somebody may have asked for a name that no template can have.
        Writer::new(&mut body).string(template);
        body.push(b':');
        match result {
            Ok(answer) => write_collected(answer, template, &mut body),
            Err(error) => body.extend_from_slice(&error::response(error).body),
        }
    }
    body.extend_from_slice(b"}}");
    HttpResponse::json(200, body)
}

fn write_collected(answer: &Answer, template: &str, body: &mut Vec<u8>) {
    let envelope = encode(&answer.payload.response);
    let rest = envelope
        .strip_prefix(ENVELOPE_START)
        .expect("an answer begins as every answer does");
    body.extend_from_slice(ENVELOPE_START);
    body.extend_from_slice(b"\"tidegate\":");
    Writer::new(body).object(|json| {
        json.key("template").string(template);
        json.key("source").string(&answer.source);
        json.key("key").string(&answer.key);
        json.key("as_of_ms").integer(answer.as_of.0);
        json.key("fetched_at_ms").integer(answer.fetched_at.0);
        json.key("age_ms").integer(millis(answer.age));
        json.key("freshness").string(answer.freshness.as_str());
        json.key("provenance").string(answer.provenance.as_str());
        if let Some(reason) = &answer.reason {
            json.key("reason").string(reason);
        }
    });
    body.push(b',');
    body.extend_from_slice(rest);
}

/// The rows of a pack's record: all, or those of an owner.
pub(crate) fn record(
    pack: &str,
    record: &RecordConfig,
    mut rows: Vec<Row>,
    owner: Option<(&str, &OwnerMap)>,
    results: &[NamedAnswer],
) -> HttpResponse {
    let why_empty = if rows.is_empty() {
        record.why_empty(results)
    } else {
        Vec::new()
    };
    let found = rows.len();
    if let Some((owner, owners)) = owner {
        rows.retain(|row| row.pod().and_then(|pod| owners.owner_of(pod)) == Some(owner));
    }
    let mut body = Vec::new();
    Writer::new(&mut body).object(|json| {
        json.key("status").string("success");
        json.key("pack").string(pack);
        json.key("record").string(&record.name);
        json.key("rows")
            .array(|json| rows.iter().for_each(|row| write_row(json, row)));
        json.key("problems").array(|json| {
            for (query, result) in results {
                write_problems(json, &[("query", query)], result);
            }
            for problem in &why_empty {
                let warning = problem.reason.to_string();
                write_members(json, &[("query", &problem.query), ("warning", &warning)]);
            }
            if let Some((owner, owners)) = owner
                && rows.is_empty()
                && found > 0
            {
                let warning = if owners.iter().any(|(_, registered)| registered == owner) {
                    format!("none of the {found} rows is about a pod of this owner")
                } else {
                    "no workload is registered for this owner".to_string()
                };
                write_members(json, &[("owner", owner), ("warning", &warning)]);
            }
        });
    });
    HttpResponse::json(200, body)
}

/// A node and its functions over one window.
pub(crate) fn window(plan: &CollectPlan, results: &[NamedAnswer]) -> HttpResponse {
    let answers: Vec<_> = results.iter().map(|(_, result)| result.clone()).collect();
    let collected = plan.read_rows(&answers);
    let mut body = Vec::new();
    Writer::new(&mut body).object(|json| {
        json.key("status").string("success");
        json.key("start_ms").integer(plan.start().0);
        json.key("end_ms").integer(plan.end().0);
        json.key("duration_ms").integer(millis(plan.duration()));
        json.key("freshness").string(collected.freshness().as_str());
        json.key("node");
        write_row(json, &collected.node);
        json.key("functions").array(|json| {
            collected
                .functions
                .iter()
                .for_each(|row| write_row(json, row))
        });
        json.key("problems").array(|json| {
            for (ask, (query, result)) in plan.asks().iter().zip(results) {
                match function_of(ask) {
                    Some(function) => {
                        let of = [("query", query.as_str()), ("function", function)];
                        write_problems(json, &of, result);
                    }
                    None => write_problems(json, &[("query", query)], result),
                }
            }
        });
    });
    HttpResponse::json(200, body)
}

/// The function that an ask of a window is about, where it is not about the node.
fn function_of(ask: &Ask) -> Option<&str> {
    match &ask.query {
        Query::Template { params, .. } => params.get(FUNCTION).map(String::as_str),
        Query::PromQl(_) | Query::Endpoint { .. } => None,
    }
}

/// What went wrong with a query: its error, or the warnings of its answer, as a source of several
/// that failed is one.
fn write_problems(json: &mut Writer<'_>, of: &[(&str, &str)], result: &Result<Answer, QueryError>) {
    match result {
        Err(error) => write_members(json, &[of, &[("error", &error.to_string())]].concat()),
        Ok(answer) => {
            for warning in &answer.payload.response.warnings {
                write_members(json, &[of, &[("warning", warning)]].concat());
            }
        }
    }
}

fn write_members(json: &mut Writer<'_>, members: &[(&str, &str)]) {
    json.object(|json| {
        for (name, value) in members {
            json.key(name).string(value);
        }
    });
}

/// Whose the pods of which workload are.
pub(crate) fn owners(owners: &OwnerMap) -> HttpResponse {
    success(|json| {
        json.key("owners").object(|json| {
            for (workload, owner) in owners.iter() {
                json.key(workload).string(owner);
            }
        });
    })
}

/// Whose this pod is.
pub(crate) fn owner_of(pod: &str, owners: &OwnerMap) -> HttpResponse {
    success(|json| {
        json.key("pod").string(pod);
        if let Some(owner) = owners.owner_of(pod) {
            json.key("owner").string(owner);
        }
    })
}

/// A workload has another owner now, or none.
pub(crate) fn owner_changed(
    workload: &str,
    owner: Option<&str>,
    former: Option<&str>,
) -> HttpResponse {
    success(|json| {
        json.key("workload").string(workload);
        for (name, value) in [("owner", owner), ("former", former)] {
            if let Some(value) = value {
                json.key(name).string(value);
            }
        }
    })
}

fn success(members: impl FnOnce(&mut Writer<'_>)) -> HttpResponse {
    let mut body = Vec::new();
    Writer::new(&mut body).object(|json| {
        json.key("status").string("success");
        members(json);
    });
    HttpResponse::json(200, body)
}

fn write_row(json: &mut Writer<'_>, row: &Row) {
    json.object(|json| {
        json.key("keys").object(|json| {
            for (key, value) in row.keys() {
                json.key(key).string(value);
            }
        });
        if let Some(source) = row.source() {
            json.key("source").string(source);
        }
        json.key("freshness").string(row.freshness().as_str());
        json.key("fields").object(|json| {
            for (name, field) in row.fields() {
                json.key(name).object(|json| write_field(json, field));
            }
        });
    });
}

/// A value that is there, or the reason why it is not; never 0 in place of nothing.
fn write_field(json: &mut Writer<'_>, field: &Field) {
    match field {
        Field::Present {
            value,
            as_of,
            freshness,
            source,
        } => {
            let mut text = Vec::new();
            write_float(*value, &mut text);
            json.key("value").string(&String::from_utf8_lossy(&text));
            json.key("as_of_ms").integer(as_of.0);
            json.key("freshness").string(freshness.as_str());
            json.key("source").string(source);
        }
        Field::Missing { reason } => {
            json.key("missing").string(&reason.to_string());
        }
    }
}

/// Why a key is answered as it is.
pub(crate) fn explanation(key: &str, explanation: &Explanation) -> HttpResponse {
    let mut body = Vec::new();
    Writer::new(&mut body).object(|json| {
        json.key("key").string(key);
        json.key("verdict").string(explanation.verdict);
        if let Some(kept) = &explanation.kept {
            json.key("kept").object(|json| {
                json.key("as_of_ms").integer(kept.as_of.0);
                json.key("age_ms").integer(millis(kept.age));
                json.key("freshness").string(kept.freshness.as_str());
                if let Some(left) = kept.ttl_left {
                    json.key("ttl_left_ms").integer(millis(left));
                }
                json.key("usable").bool(kept.usable);
            });
        }
        if let Some(covered) = &explanation.covered {
            json.key("covered").object(|json| {
                json.key("extents").count(covered.extents);
                json.key("points").count(covered.points);
                json.key("samples").count(covered.samples);
                json.key("pieces_in_flight").count(covered.pieces_in_flight);
            });
        }
        if let Some(refusal) = &explanation.refusal {
            json.key("refusal").string(refusal);
        }
        if let Some(flight) = &explanation.flight {
            json.key("flight").object(|json| {
                json.key("stage").string(flight.stage);
                json.key("askers").count(flight.askers);
                json.key("retries").integer(flight.retries);
                if let Some(error) = &flight.last_error {
                    json.key("last_error").string(error);
                }
                json.key("time_left_ms").integer(millis(flight.time_left));
            });
        }
        if let Some(tracked) = &explanation.tracked {
            json.key("tracked").object(|json| {
                json.key("read_ago_ms").integer(millis(tracked.read_ago));
                if let Some(next_in) = tracked.next_in {
                    json.key("next_in_ms").integer(millis(next_in));
                }
            });
        }
        if let Some(collected) = &explanation.collected {
            json.key("collected")
                .object(|json| status::target(json, collected));
        }
        if let Some(breaker) = &explanation.breaker {
            json.key("breaker").string(breaker.as_str());
        }
    });
    HttpResponse::json(200, body)
}

/// How many answers were forgotten.
pub(crate) fn invalidated(forgotten: usize) -> HttpResponse {
    success(|json| {
        json.key("forgotten").count(forgotten);
    })
}

pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
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
    if answer.provenance == Provenance::Hit && answer.ttl_left.is_some() {
        return hit_status(&ttl_s.to_string(), answer.freshness);
    }
    let how = match answer.provenance {
        Provenance::Hit => "hit".into(),
        Provenance::Stale | Provenance::StaleOnError => {
            format!("hit; ttl={ttl_s}")
        }
        Provenance::Coalesced => format!("fwd=miss; collapsed{}", stored(answer)),
        Provenance::Partial => format!("fwd=partial{}", stored(answer)),
        Provenance::Miss => format!("fwd=miss{}", stored(answer)),
    };
    format!(
        "tidegate; {how}; freshness={}; detail={}",
        answer.freshness.as_str(),
        answer.provenance.as_str()
    )
}

/// The `Cache-Status` of a hit within its ttl.
pub(crate) fn hit_status(ttl_s: &str, freshness: Freshness) -> String {
    let freshness = freshness.as_str();
    format!("tidegate; hit; ttl={ttl_s}; freshness={freshness}; detail=hit")
}

fn stored(answer: &Answer) -> &'static str {
    if answer.ttl_left.is_some() {
        "; stored"
    } else {
        ""
    }
}
