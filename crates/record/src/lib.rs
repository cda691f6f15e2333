//! Records what a program does.
//!
//! - [`MetricEvent`]: one thing that happened: a counter grew, a gauge was set, something took time.
//! - [`Sink`]: where events and samples go, and [`Batch`], what it is handed.
#![forbid(unsafe_code)]

mod batch;
mod event;
mod sink;

pub use batch::Batch;
pub use event::{EventKind, MetricEvent};
pub use sink::{Sink, SinkError, Takes};
