//! Records what a program does.
//!
//! - [`MetricEvent`]: one thing that happened: a counter grew, a gauge was set, something took time.
//! - [`Sink`]: where events and samples go, and [`Batch`], what it is handed.
//! - [`Pump`]: feeds batches to sinks, each behind a bounded queue and on a thread of its own.
//! - [`Memory`], [`FileSink`], [`StatsdSink`]: sinks; [`FanOut`] makes one of several.
//! - [`Pipeline`]: renames, relabels, drops and scales before a sink sees it.
#![forbid(unsafe_code)]

mod batch;
mod event;
mod notice;
mod pump;
mod sink;
mod transform;

pub use batch::Batch;
pub use event::{EventKind, MetricEvent};
pub use notice::{NOTICE_INTERVAL, Notice};
pub use pump::{
    FLUSH_INTERVAL, PANICS_MAX, Pump, PumpError, QUEUE_ITEMS_MAX, SHUTDOWN_WAIT, SINKS_MAX,
    SinkOptions, SinkState, SinkStats, WhenFull,
};
pub use sink::{
    FILE_BYTES_MAX, FILES_MAX, FanOut, FileOptions, FileRecords, FileSink, Memory, MemorySink,
    ReadError, ReadProblem, ReadRecord, Recovered, Sink, SinkError, StatsdOptions, StatsdSink,
    Takes, files_of,
};
pub use tidegate_wire::statsd::StatsdTags;
pub use transform::{
    Pipeline, PipelineCounts, Refused, Relabel, RelabelAction, StageCounts, TRANSFORMS_MAX,
    Transform, TransformError, Transformed,
};
