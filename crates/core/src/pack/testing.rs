//! Answers for the tests of packs.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use tidegate_wire::{ColumnsBuilder, Data, QueryResponse};

use super::{NamedAnswer, Params};
use crate::{Answer, FetchError, Freshness, Payload, Provenance, QueryError, UnixMillis};

/// The instant of every sample in these tests.
pub(super) const AT: i64 = 1_700_000_000_000;

pub(super) fn vector(series: &[(&[(&str, &str)], f64)]) -> Data {
    let mut columns = ColumnsBuilder::new();
    for (labels, value) in series {
        columns.begin_series();
        for (name, value) in *labels {
            columns.label(name, value);
        }
        columns.sample(AT, *value);
    }
    Data::Vector(columns.finish())
}

pub(super) fn answer(source: &str, data: Data, freshness: Freshness) -> Answer {
    let response = QueryResponse::new(data);
    let newest = response.newest_ms();
    Answer {
        payload: Arc::new(Payload {
            body: None,
            response,
        }),
        source: source.into(),
        key: "".into(),
        as_of: UnixMillis(newest.unwrap_or(AT)),
        fetched_at: UnixMillis(AT),
        age: Duration::ZERO,
        freshness,
        provenance: Provenance::Miss,
        ttl_left: None,
        overdue: Duration::ZERO,
        reason: None,
        reuse: None,
    }
}

/// A fresh vector under this name.
pub(super) fn said(name: &str, series: &[(&[(&str, &str)], f64)]) -> NamedAnswer {
    (
        name.into(),
        Ok(answer("prom", vector(series), Freshness::Fresh)),
    )
}

pub(super) fn unreachable(source: &str) -> QueryError {
    QueryError::Unreachable {
        source: source.into(),
        error: FetchError::Connect {
            detail: "refused".into(),
        },
    }
}

pub(super) fn failed(name: &str) -> NamedAnswer {
    (name.into(), Err(unreachable("prom")))
}

pub(super) fn params(pairs: &[(&str, &str)]) -> Params {
    let owned = |(name, value): &(&str, &str)| (String::from(*name), String::from(*value));
    pairs.iter().map(owned).collect()
}

/// The names of the templates that are asked for.
pub(super) fn names(asks: &[crate::Ask]) -> Vec<&str> {
    asks.iter()
        .map(|ask| match &ask.query {
            crate::Query::Template { name, .. } => name.as_str(),
            crate::Query::PromQl(text) | crate::Query::Endpoint { path: text, .. } => text.as_str(),
        })
        .collect()
}
