//! Tidegate for JavaScript: pages, workers and Node.
//!
//! [`Core`] is a collector in process, driven by the global `fetch` and timers, and [`rates`] is
//! `perSecond`. The hand-written `npm/index.js` wraps both into the package's API, whose types
//! and meaning stand in `npm/index.d.ts`. Nothing is decided here.
#![forbid(unsafe_code)]

mod address;
mod alert;
mod answer;
mod clock;
mod core;
mod failure;
mod keeping;
mod object;
mod options;
mod rate;
mod series;
mod transport;

pub use core::Core;
pub use rate::rates;
