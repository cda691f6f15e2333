//! Records what a program does.
//!
//! - [`Registry`]: counters, gauges, timers and histograms, bounded in number, switched and sampled by name at run
//!   time; a [`Context`] adds tags. Recording takes a few nanoseconds and never waits.
//! - The macros of the `metrics` facade record into it as well: [`Registry::install`].
//! - [`Registry::render`] exposes it to scrapes; [`Push`] hands it to sinks by interval.
//! - [`MetricEvent`]: one thing that happened: a counter grew, a gauge was set, something took time.
//! - [`Sink`]: where events and samples go, and [`Batch`], what it is handed.
//! - [`Pump`]: feeds batches to sinks, each behind a bounded queue and on a thread of its own.
//! - [`Memory`], [`FileSink`], [`StatsdSink`], and with the feature `remote` `RemoteSink`: sinks;
//!   [`FanOut`] makes one of several, [`SinkConfig`] is one as it is written down.
//! - [`Pipeline`]: renames, relabels, drops and scales before a sink sees it.
//! - [`testing`]: asserts what was recorded.
//!
//! ```
//! use tidegate_record::{ExpositionFormat, Registry};
//!
//! let registry = Registry::new();
//! let requests = registry.with([("route", "/items")]).counter("requests");
//! requests.increment(1);
//! assert_eq!(registry.render(ExpositionFormat::Text), "\
//! ## TYPE requests_total counter
//! requests_total{route=\"/items\"} 1
//! ");
//! ```
#![forbid(unsafe_code)]

mod batch;
mod buckets;
mod cell;
mod context;
mod event;
mod facade;
mod handle;
mod inbox;
mod names;
mod notice;
mod pump;
mod push;
mod registry;
mod render;
mod rules;
mod series;
mod sink;
mod slot;
mod tags;
pub mod testing;
mod transform;

pub use batch::Batch;
pub use buckets::{BOUNDS_MAX, BYTES_BOUNDS, Bounds, BoundsError, OTHER_BOUNDS, SECONDS_BOUNDS};
pub use context::Context;
pub use event::{EventKind, MetricEvent};
pub use handle::{Counter, Gauge, Histogram, Timer, Timing};
pub use notice::{NOTICE_INTERVAL, Notice, Troubles};
pub use pump::{
    FLUSH_INTERVAL, PANICS_MAX, Pump, PumpError, QUEUE_ITEMS_MAX, SHUTDOWN_WAIT, SINKS_MAX,
    SinkOptions, SinkState, SinkStats, WhenFull,
};
pub use push::{Push, PushOptions};
pub use registry::{Refusal, Registry, RegistryLimits, RegistryStats};
pub use render::{Reading, ReadingValue};
pub use rules::{GLOB_BYTES_MAX, Glob, RULES_MAX, Recording, Rule, RulesError};
pub use sink::{
    AddedSink, FILE_BYTES_MAX, FILES_MAX, FanOut, FileOptions, FileRecords, FileSink, Memory,
    MemorySink, ReadError, ReadProblem, ReadRecord, Recovered, SINK_NAME_BYTES_MAX, Sink,
    SinkConfig, SinkConfigError, SinkError, SinkKind, StatsdOptions, StatsdSink, Takes, files_of,
};
#[cfg(feature = "remote")]
pub use sink::{
    REMOTE_PATIENCE, REMOTE_SAMPLES_PER_REQUEST, REMOTE_TIMEOUT, RemoteCounts, RemoteError,
    RemoteOptions, RemoteSink, Secret,
};
pub use tidegate_wire::ExpositionFormat;
pub use tidegate_wire::statsd::StatsdTags;
pub use transform::{
    Pipeline, PipelineCounts, PipelineLoss, Relabel, RelabelAction, StageCounts, TRANSFORMS_MAX,
    Transform, TransformError, Transformed,
};
