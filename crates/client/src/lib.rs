//! The one async loop that drives a collector.
//!
//! The collector decides and never waits; something must wait for it. [`driver`] does, and is
//! generic over the three things that differ between a Rust program, a host and a page:
//!
//! - the [`Machine`]: [`tidegate_api::Front`] in process, or a guest behind a border;
//! - the [`Transport`] that performs fetches;
//! - the [`Clock`] that tells the time and wakes.
//!
//! It gives a [`Handle`], by which any number of tasks ask, and a future that somebody must poll:
//! spawn it on whatever runtime there is. Nothing here decides anything about metrics.
//!
//! A [`recording::Recorder`] around a machine writes down what goes into it, and
//! [`recording::replay`] has it all again.
//!
//! With the feature `native` there are also `native::HttpTransport` and `native::TokioClock`, and
//! `native::Tidegate`, the three of them put together for a tokio program: templates, typed records
//! and watches for autoscalers, as `examples/reconcile.rs` shows.
#![forbid(unsafe_code)]

mod driver;
mod handle;
mod machine;
mod transport;

#[cfg(feature = "native")]
pub mod native;
#[cfg(not(target_family = "wasm"))]
pub mod recording;

pub use driver::{INBOX_COMMANDS_MAX, STEP_INPUTS_MAX, driver};
pub use handle::{ClientError, Closed, Declined, Handle};
pub use machine::{Machine, MachineError};
pub use transport::{Clock, Transport};
