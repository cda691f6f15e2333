//! What went into a collector, on file: enough to have it all again, to the nanosecond.
//!
//! A [`Recorder`] stands around a machine and writes down what every step was given and what came
//! of it; [`replay()`] gives the same to a fresh [`tidegate_api::Front`], compares step by step,
//! and makes a [`Timeline`] of it.
//!
//! # The format, version 1
//!
//! JSON, an object a line. The last member of each, `sum`, is the FNV-1a hash (64 bits, in hex)
//! of the bytes before it, so that no damage goes unseen. There are four kinds:
//!
//! | line | members |
//! |---|---|
//! | the first | `tidegate_recording` (the version of the format), `version` (of Tidegate), `start` (`mono_ns`, `wall_ms`), `stepped` (see [`Start::is_stepped`]), `config` (with its `seed`) |
//! | before a step | `step` (from 0), `mono_ns`, `wall_ms`, `inputs` |
//! | after it | `step`, and `outputs` or why it `broke` |
//! | perhaps the last | `stopped`: why there is no more |
//!
//! Durations are `[seconds, nanoseconds]`. Floating-point numbers are their bits in hex, as NaNs
//! are told apart by them. Bodies are text where they are plain text, else `{"hex": …}`. Outputs
//! are lines of text, with the FNV-1a hash of what is long in its place.
//!
//! # What stands in it
//!
//! Questions, pushed samples and the sources' whole responses: as confidential as the metrics
//! are. No addresses and no credentials of sources, which the collector never sees; of the
//! requests of askers, headers that carry credentials are left out. [`create_file`] makes files
//! that only their owner can read.

mod input;
mod json;
mod line;
mod output;
mod recorder;
mod replay;
#[cfg(test)]
mod tests;
mod timeline;

pub use input::CommandView;
pub use line::{FORMAT_VERSION, LINE_BYTES_MAX};
pub use output::{Recordable, ReplyView, Verdict};
pub use recorder::{RECORDING_BYTES_MAX, Recorder, Start, create_file};
pub use replay::{Difference, ReplayError, replay};
pub use timeline::{End, Entry, EntryKind, Timeline};
