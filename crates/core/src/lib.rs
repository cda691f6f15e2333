//! The metrics collector as a machine without IO.
//!
//! A [`Collector`] decides what to fetch, what is fresh enough, what may come from memory and who
//! waits for whom. It never waits itself, never reads a clock and never opens a socket. Whoever
//! drives it does three things:
//!
//! 1. give it commands: [`Collector::query`], [`Collector::record`], [`Collector::abandon`];
//! 2. tell it what happened: [`Collector::handle_response`], [`Collector::handle_timeout`];
//! 3. drain [`Collector::poll_output`] until it says [`Output::Wait`], perform the
//!    [`Output::Fetch`]es, and come back when one ends or the deadline passes.
//!
//! Every call takes the current time last, as a [`Now`]: `mono` schedules, `wall` dates samples.
//! The same calls with the same times give the same outputs, on every target.
//!
//! ```
//! use tidegate_core::{
//!     Ask, Collector, Config, Instant, Lookup, Now, Output, Response, SourceConfig, UnixMillis,
//! };
//!
//! let config = Config::with_sources(vec![SourceConfig::prometheus("prom")]);
//! let mut collector = Collector::new(config, Now::ZERO).unwrap();
//! let now = Now { mono: Instant::from_millis(5), wall: UnixMillis(1_700_000_000_000) };
//!
//! let Ok(Lookup::Pending(ask)) = collector.query(&Ask::promql("up"), now) else { panic!() };
//! let fetch = loop {
//!     match collector.poll_output() {
//!         Output::Fetch(fetch) if fetch.request.path == "/api/v1/query" => break fetch,
//!         Output::Wait(_) => panic!("a cold query fetches"),
//!         _ => {}
//!     }
//! };
//! assert_eq!((&*fetch.source, &*fetch.request.form), ("prom", "query=up"));
//!
//! let body = br#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
//! collector.handle_response(fetch.id, Ok(Response::new(200, &body[..])), now);
//! let Output::Reply(reply) = collector.poll_output() else { panic!() };
//! assert_eq!(reply.ask, ask);
//! assert!(reply.result.is_ok());
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod adaptive;
mod aggregation;
mod alert;
mod answer;
mod ask;
mod breaker;
mod cache;
mod collecting;
mod collector;
mod config;
mod error;
mod fetch;
mod flight;
mod freshness;
mod invalidation;
mod key;
mod local;
mod output;
mod pack;
mod promql;
mod question;
mod queue;
mod random;
mod range;
mod record;
mod refusals;
mod retry;
mod retry_after;
mod retry_budget;
mod scrape_clock;
mod source;
mod standing;
mod stats;
mod template;
mod time;
mod timers;
mod tracker;

pub use adaptive::{AdaptiveTtl, Fingerprint};
pub use aggregation::{Aggregation, AggregationError};
pub use alert::{
    ALERT_RULES_MAX, Alert, AlertCondition, AlertError, AlertRule, AlertRuleStatus, AlertState,
    AlertWindow, AlertsConfig, Band, BandConfig, BandSide, Comparison,
};
pub use answer::{Answer, Payload, Provenance, Reuse};
pub use ask::{Ask, AskId, Lookup, Priority, Query};
pub use breaker::{Admission, Breaker, BreakerConfig, BreakerState};
pub use collecting::LastScrape;
pub use collector::{Collector, Covered, Explanation, Handle, Hit, InFlight, Kept, Tracking};
pub use config::{
    CacheConfig, Config, ConfigError, Limits, LocalConfig, MetricConfig, ParamConfig, ParamType,
    SourceConfig, SourceKind, TemplateConfig, TemplateKind,
};
pub use error::QueryError;
pub use fetch::{Fetch, FetchError, FetchId, FetchRequest, Method, Response, is_reading_path};
pub use freshness::{Freshness, Thresholds};
pub use invalidation::{CatalogError, Invalidation};
pub use local::family_of;
pub use output::{Appended, Deadline, Event, Forget, Level, Output, Reply, Wake};
pub use pack::{
    Allocation, CollectPlan, CollectedMetrics, CollectedRows, Combined, Field, FieldConfig,
    FunctionMetrics, MissingReason, NamedAnswer, NodeMetrics, OwnerError, OwnerMap, PackConfig,
    PackError, PackRecord, Params, Problem, RecordConfig, Records, ReplicaMetrics, Row,
    SOURCE_LABEL, WindowError, combine, combine_as, packs,
};
pub use random::Random;
pub use range::{Range, RangeError};
pub use record::{Record, RecordError, Recorded, Refusal};
pub use retry::{Failure, Retry, RetryConfig};
pub use retry_after::{RETRY_AFTER_MAX, parse_retry_after};
pub use retry_budget::{RetryBudget, RetryBudgetConfig};
pub use scrape_clock::ScrapeClock;
pub use source::{SourceHealth, SourceStatus, TargetStatus};
pub use stats::{AGE_BUCKETS_S, Stats};
pub use template::{BindError, Template, TemplateError};
pub use tidegate_series::{Family, Group, GroupPoint, Grouping, Sample, Statistic};
pub use time::{Instant, Now, UnixMillis};
