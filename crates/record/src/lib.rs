//! Records what a program does.
//!
//! - [`MetricEvent`]: one thing that happened: a counter grew, a gauge was set, something took time.
//! - [`Sink`]: where events and samples go, and [`Batch`], what it is handed.
//! - [`Pump`]: feeds batches to sinks, each behind a bounded queue and on a thread of its own.
#![forbid(unsafe_code)]

mod batch;
mod event;
mod notice;
mod pump;
mod sink;

pub use batch::Batch;
pub use event::{EventKind, MetricEvent};
pub use notice::{NOTICE_INTERVAL, Notice};
pub use pump::{
    FLUSH_INTERVAL, PANICS_MAX, Pump, PumpError, QUEUE_ITEMS_MAX, SHUTDOWN_WAIT, SINKS_MAX,
    SinkOptions, SinkState, SinkStats, WhenFull,
};
pub use sink::{Sink, SinkError, Takes};
