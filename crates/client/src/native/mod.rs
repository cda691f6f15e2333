//! The ready-made parts for tokio programs: a hardened HTTP transport, a clock, and a client.
//!
//! An autoscaler wants [`Tidegate`]. The types it takes and gives are here as well, so that one
//! `use` will do; `examples/reconcile.rs` shows a reconcile loop that scales on fresh data, holds
//! on stale data, and refuses where there is none. What a program knows by itself it says through a
//! [`Source`], as `examples/status_source.rs` does with a status page.

mod addresses;
mod body;
mod builder;
mod change;
mod client;
mod clock;
mod http;
mod records;
mod source;
mod status;
mod terms;
mod url;
mod watch;

pub use tidegate_api::{ChangeError, HttpRequest, HttpResponse};
pub use tidegate_core::{
    Allocation, Answer, Ask, CacheConfig, CollectPlan, CollectedMetrics, Config, Event, Field,
    Freshness, FunctionMetrics, Invalidation, Limits, MissingReason, NamedAnswer, NodeMetrics,
    OwnerError, PackConfig, PackRecord, Params, Priority, Problem, Provenance, QueryError, Range,
    ReplicaMetrics, SourceConfig, SourceHealth, TemplateConfig, Thresholds, UnixMillis, packs,
};

pub use addresses::Addresses;
pub use body::{BODY_BYTES_MAX, INFLATION_FREE_BYTES, INFLATION_MAX};
pub use builder::{BuildError, Builder};
pub use change::UpdateError;
pub use client::Tidegate;
pub use clock::TokioClock;
pub use http::{CONNECT_TIMEOUT, HttpTransport, IDLE_CONNECTION_TIMEOUT, TransportError};
pub use records::Records;
pub use source::{Batch, COLLECT_EVERY_MIN, RunningSource, Source, SourceError, SourceSettings};
pub use status::{SourceState, TemplateState};
pub use url::{SourceUrl, UrlError};
pub use watch::{WATCH_EVERY_MIN, Watch};
