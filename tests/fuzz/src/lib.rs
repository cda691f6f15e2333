//! Every decoder and the collector itself, fed what nobody would send.
//!
//! A [`Target`] is a function that takes any bytes and panics where something is wrong: a panic of
//! what it calls, or an answer that a slower and more obvious one contradicts. A [`Campaign`] makes
//! up bytes for it, out of the target's [`corpus`] and by chance from a seed, and keeps those that
//! run code which none before them ran, where the compiler has put in counters
//! (`cargo xtask fuzz`). Without counters, as in `cargo test`, the same inputs come of the same
//! seed.

mod campaign;
pub mod corpus;
mod coverage;
mod mutate;
pub mod slow;
mod targets;

pub use campaign::{Campaign, Failure, shrink};
pub use coverage::has_counters;
pub use targets::{TARGETS, Target};
