//! The whole host over real sockets.

mod api;
mod host;
mod recording;
mod rendered;
mod shards;
