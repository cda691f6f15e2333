//! The ready-made parts for tokio programs: a hardened HTTP transport, a clock, and a client.

mod body;
mod client;
mod clock;
mod http;
mod url;

pub use body::{BODY_BYTES_MAX, INFLATION_FREE_BYTES, INFLATION_MAX};
pub use client::{BuildError, Builder, Tidegate};
pub use clock::TokioClock;
pub use http::{CONNECT_TIMEOUT, HttpTransport, IDLE_CONNECTION_TIMEOUT, TransportError};
pub use url::{SourceUrl, UrlError};
