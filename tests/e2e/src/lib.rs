//! Tidegate end to end: real processes on free ports of 127.0.0.1, watched and cleaned up.
//!
//! A test starts what it needs ([`Prometheus`], [`Tidegate`], an [`Upstream`] that misbehaves) and
//! talks to it over HTTP. Nothing here asserts how fast anything is: what must happen is waited
//! for with [`eventually`], generously. Every process is killed when its handle is dropped, also by
//! a panic, and then the end of its log is printed.
#![forbid(unsafe_code)]

mod exporter;
mod http;
mod process;
mod prometheus;
mod tidegate;
mod upstream;
mod wait;

pub use exporter::Exporter;
pub use http::{
    Answer, Session, encode_form, get, instant_query, post_form, post_query, status_field,
};
pub use process::{Finished, Process, free_port, on_path};
pub use prometheus::Prometheus;
pub use tidegate::{Tidegate, program, run_cli};
pub use upstream::{Behaviour, Upstream};
pub use wait::{eventually, settled_moment, unix_now};
