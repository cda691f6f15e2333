//! The collector as a component: one function, `step`, and no imports.
//!
//! A host that instantiates it gets one collector. Its first command configures it; from then on
//! it takes requests of the HTTP API and batches of samples, and answers with fetches, replies,
//! events and the next deadline. All of that is decided by [`tidegate_api::Front`]; this crate
//! only converts between it and the contract in `host/wit/`.

mod component;
mod convert;
mod instance;

pub use component::Component;
