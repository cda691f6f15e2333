//! Tidegate, the edge runtime: a sandboxed metrics collector between Prometheus and its readers.
//!
//! The collector is a WebAssembly component without imports. This host compiles it, keeps it in
//! its bounds, performs the fetches it asks for, feeds it what this machine says of itself, and
//! serves its HTTP API and dashboard. It decides nothing about metrics.
//!
//! - [`config`]: the file and the flags.
//! - [`engine`] and [`Artefact`]: wasmtime, and the compiled component with its cache.
//! - [`GuestFactory`] and [`GuestMachine`]: one collector in its sandbox.
//! - [`Collector`]: a guest that is replaced when it breaks.
//! - [`Shards`]: one of these, or several that share the work.
//! - [`Reloader`]: a new configuration for a host that runs.
//! - [`NodeSource`]: the embedded source `node`.
//! - [`Front`] and [`server`]: requests, answered at once where the collector allows it.
//! - [`serve`]: all of it together, which is what `tidegate serve` runs.

mod artefact;
mod assets;
mod coding;
mod collector;
pub mod config;
mod decoding;
pub mod engine;
mod front;
mod guest;
mod http;
mod lending;
mod node;
mod recording;
mod reload;
mod rendered;
mod serve;
pub mod server;
mod shards;
mod sinks;

pub use artefact::{Artefact, COLLECTOR, Origin, cache_dir_default};
pub use collector::{Collector, ReloadError, StartError, Unavailable};
pub use front::{Connection, Front, Responding};
pub use guest::{
    ConfigureError, GuestCommand, GuestFactory, GuestMachine, GuestRecorded, GuestReply,
    GuestResponse, Lent,
};
pub use node::NodeSource;
pub use recording::RecordError;
pub use reload::Reloader;
pub use serve::{ServeError, Serving, prepare};
pub use shards::{Shards, SharedShards};
