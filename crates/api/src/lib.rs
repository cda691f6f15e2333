//! The HTTP API of Tidegate as a function without IO over the collector.
//!
//! A [`Front`] owns a [`tidegate_core::Collector`] and speaks in numbered commands and replies,
//! so that one loop can drive it in process, inside a component or in a page: give it what
//! happened with [`Front::step`], do what it says, come back.
//!
//! | path | method | answer |
//! |---|---|---|
//! | `/api/v1/query` | GET, POST | an instant query, in Prometheus' envelope |
//! | `/api/v1/query_range` | GET, POST | a query at every step of a range |
//! | `/api/v1/series`, `/api/v1/labels` | GET, POST | label sets, label names |
//! | `/api/v1/label/<name>/values`, `/api/v1/metadata` | GET | a label's values, what metrics are |
//! | `/api/v1/query_exemplars`, `/api/v1/format_query`, `/api/v1/parse_query` | GET, POST | what the source says now |
//! | `/api/v1/status/buildinfo` | GET | the Prometheus this stands in for, and which Tidegate it is |
//! | `/api/v1/…` | GET | what the source says now, where that only reads; what writes is refused |
//! | `/v1/collect/<template>` | GET | a template's answer with its freshness; parameters are the template's, and `start`, `end` and `step` of a range where it has none of these names |
//! | `/v1/collect/<template>,<template>` | GET | several templates with one set of parameters, each answered by itself |
//! | `/v1/collect` | GET | all templates of the source |
//! | `/v1/packs/<pack>/<record>` | GET | a pack's record: rows of fields, each present or missing with its reason |
//! | `/v1/packs/<pack>/<record>?owner=` | GET | the same, only rows whose key `pod` is a pod of this owner |
//! | `/v1/collect_all?start=&end=` | GET | one `node` and each `function` named (again for each) over a window: its instants and duration, then the fields, each present or missing with its reason; a parameter `<name>.<function>` is for that function only |
//! | `/metrics/aggregated` | GET | statistics (`stat=avg,min,max,p50,p95,p99`) of windows (`window=5m`) of Tidegate's own series (`match[]`), each or those taken together that have equal labels (`by`, `without`), with a label `stat` in exposition text; or as JSON, where `Accept` or `format=json` asks for it; there also of many windows (`start`, `end`, `step`). `method=nearest_rank` takes quantiles from the samples |
//! | `/v1/series` | GET | what is held of Tidegate's own series, all or those of `match[]`: labels, points, oldest, newest, bytes; at most `limit`, and how many were left out |
//! | `/v1/alerts` | GET | alerts on Tidegate's own series that are pending or firing, as Prometheus' `/api/v1/alerts` has them; the same and `/api/v1/rules` under `/source/local` |
//! | `/v1/metrics` | GET | Tidegate's own metrics: type, unit, help, the interval expected, and how full they are |
//! | `/v1/metrics?name=&type=&unit=&help=&interval=` | POST | registers one, or says anew what it is: what is left out is not known |
//! | `/v1/owners` | GET | owners by workload; with `pod=`, whose that pod is |
//! | `/v1/owners?workload=&owner=` | POST | gives the pods of a workload to an owner |
//! | `/v1/owners?workload=` | DELETE | forgets whose the pods of a workload are |
//! | `/v1/templates` | GET | every source's catalog |
//! | `/v1/explain?key=` | GET | why a key is answered as it is, and what happens to it next |
//! | `/v1/invalidate` | POST | forgets answers by `key`, `prefix`, `source` (and `template`), or `all` |
//! | `/v1/record`, `/v1/record?source=` | POST | takes a batch of samples for the push source named, else the only one |
//! | `/health` | GET | whether Tidegate and its sources are well, as JSON |
//! | `/stats` | GET | what was counted and what is held, as JSON; of Tidegate's own metrics how full they are |
//! | `/metrics` | GET | the same in exposition text |
//! | `/-/ready`, `/-/healthy` | GET | 200 once there is a collector |
//!
//! Queries, templates and records ask the default source, or the source `<name>` under
//! `/source/<name>`, or several at once under `/source/<name>,<name>`, their series told apart by
//! a label `source`; lists of strings become one, and other documents cannot be put together.
//! Sources without a Prometheus behind them answer selectors: Tidegate's own series also over a
//! range, and with lists; targets that are scraped, about now. Answers to queries, lists and
//! metadata are kept, whatever the order of their parameters; other documents are fetched anew
//! each time, once for all who ask at the same time.
//!
//! A server that runs several collectors side by side asks a [`ShardPlan`] which of them a request is
//! for, and what their responses come to.
//!
//! Parameters are checked before anything is fetched, by the rules and in the words of
//! Prometheus; `limit` and `lookback_delta` by those of Prometheus 3, which older ones do not read.
//! `timeout`, `limit`, `lookback_delta` and `stats` are passed on and make a question of their own,
//! and nobody waits longer than the timeout.
//!
//! A batch of samples is told by its `Content-Type`: [lines of
//! JSON](tidegate_wire::lines) (`application/x-ndjson`, `application/jsonl`,
//! `application/json`), exposition text (`text/plain`), OpenMetrics
//! (`application/openmetrics-text`), or Prometheus remote-write 1.0 (`application/x-protobuf`, its
//! snappy undone before it comes here). One that cannot be read changes nothing: 400 with the first
//! fault and its line, 413 for more than a batch may have, 415 for what is none of these. Of one
//! that can, each sample is judged by itself, and all are in one step, so that nobody reads half a
//! batch. Newer than the newest of its series is taken; equal in time and value is taken and changes
//! nothing; older, another value at the same time, or more than ten minutes ahead is refused.
//! Where all are taken the answer is 200, or 204 to remote-write; else 400, or 429 where there is no
//! room for some, with how many were taken and refused, and the first refusal of each kind.
//!
//! `HEAD` works wherever `GET` does. How fresh an answer must be is said by `Cache-Control`:
//! `max-age=<seconds>` is the oldest data that will do, `no-cache` asks for new data, `max-stale`
//! takes data past its ttl at once while new data is fetched, `max-stale=<seconds>` data past its
//! ttl by that much at most, even when the source fails. How an answer was come by is said by
//! `Cache-Status` (RFC 9211) and `Age`.
//! Queries have an `ETag`, and `If-None-Match` is answered by 304 where the body would be the one
//! that it names.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod aggregated;
mod alerts;
mod batch;
mod error;
mod front;
mod held;
mod http;
mod machine;
mod metrics;
mod params;
mod record;
mod render;
mod rendered;
mod route;
mod shards;
mod status;
mod tag;
mod window;

pub use front::Front;
pub use http::{HttpRequest, HttpResponse};
pub use machine::{Change, ChangeError, Command, CommandId, Input, Output, Reply};
pub use rendered::{Aged, Generation, RenderedStore, Reuse, request_key};
pub use shards::{Merge, Merged, SHARDS_MAX, ShardPlan, ShardResponse, Way};
pub use tag::has_tag;
