//! The collector under virtual time: scripted servers, a hostile network, and a naive model that
//! says what is owed, checked after every call.
//!
//! One seed makes a whole run: which faults there are and how many, who asks what and when, which
//! clocks step, what is reloaded. The same seed gives the same run; [`run`] plays it, and the
//! `tidegate-sim` program plays many, or one with a trace.

#![forbid(unsafe_code)]

mod campaign;
pub mod marks;
pub mod model;
pub mod profile;
mod run;
pub mod server;
pub mod truth;
pub mod world;

pub use campaign::{Campaign, Told};
pub use run::{Failure, run, run_twice};
