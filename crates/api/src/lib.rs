//! The HTTP API of Tidegate as a function without IO over the collector.
//!
//! A [`Front`] owns a [`tidegate_core::Collector`] and speaks in numbered commands and replies,
//! so that one loop can drive it in process, inside a component or in a page: give it what
//! happened with [`Front::step`], do what it says, come back.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod front;
mod http;
mod machine;

pub use front::Front;
pub use http::{HttpRequest, HttpResponse};
pub use machine::{Command, CommandId, Input, Output, Reply};
