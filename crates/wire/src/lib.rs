//! Prometheus formats, in and out: query-API JSON, exposition text, remote-write, StatsD.
//!
//! Everything here turns bytes into values or values into bytes; nothing waits, nothing reads a
//! clock, and no input from outside panics. Every bound is a named constant.
//!
//! - [`decode_query_response`] reads the answer to `/api/v1/query` and `/api/v1/query_range`
//!   straight into [`Columns`]; [`encode_query_response`] writes the bytes Prometheus would.
//!   [`decode_response`] reads what the other endpoints answer, too.
//! - [`number`] has Prometheus' number, timestamp and duration formats.
//! - [`form`] reads and writes `application/x-www-form-urlencoded` parameters.
//! - [`json`] writes any other JSON document, and reads one as a tree; [`text`] writes the
//!   exposition format, and [`decode_exposition`] reads it, or OpenMetrics, straight into
//!   [`Columns`].
//! - [`remote_write`] reads and writes the messages of Prometheus' remote-write 1.0; [`snappy`] gets
//!   them out of the blocks they come in.
//! - [`lines`] reads and writes what was recorded as lines of JSON.
//! - [`statsd`] writes StatsD lines and packs them into datagrams.
//!
//! ```
//! use tidegate_wire::{Data, DecodeLimits, decode_query_response, encode_query_response};
//!
//! let body = br#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up"},"value":[1435781451.781,"1"]}]}}"#;
//! let response = decode_query_response(200, body, &DecodeLimits::default()).unwrap();
//! let Data::Vector(columns) = &response.data else { panic!("a vector") };
//! assert_eq!(columns.series(0).label("__name__"), Some("up"));
//! assert_eq!(columns.values(), &[1.0]);
//!
//! let mut out = Vec::new();
//! encode_query_response(&response, &mut out);
//! assert_eq!(out, body);
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod columns;
mod decode;
mod encode;
mod escape;
pub mod form;
pub mod json;
pub mod lines;
pub mod number;
mod protobuf;
mod reader;
pub mod remote_write;
mod response;
mod scrape;
pub mod snappy;
pub mod statsd;
mod swar;
pub mod text;

pub use columns::{Columns, ColumnsBuilder, Series};
pub use decode::{
    DecodeError, DecodeLimits, Envelope, Shape, decode_query_response, decode_response,
};
pub use encode::{encode_error, encode_query_response};
pub use response::{Data, ErrorResponse, QueryResponse};
pub use scrape::{
    Exposition, ExpositionError, ExpositionFormat, FamilyHeader, FamilyKind, Repeated,
    ScrapeLimits, decode_exposition, format_of,
};
