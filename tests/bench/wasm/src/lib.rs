//! The decoder in WebAssembly: it makes the inputs of the bench itself, so nothing crosses but numbers.

#[path = "../../src/decode/inputs.rs"]
mod inputs;

use std::hint::black_box;
use std::sync::OnceLock;

use tidegate_wire::{Data, DecodeLimits, decode_query_response};

static BODIES: OnceLock<[String; 3]> = OnceLock::new();

/// Decodes the nth body so many times, and counts the samples of the last.
#[allow(unsafe_code, reason = "the name is what Node calls it by")]
#[unsafe(no_mangle)]
pub extern "C" fn decode(nth: u32, times: u32) -> u32 {
    let bodies = BODIES.get_or_init(inputs::bodies);
    let body = &bodies[nth as usize % bodies.len()];
    let mut samples = 0;
    for _ in 0..times {
        let body = black_box(body.as_bytes());
        let response = decode_query_response(200, body, &DecodeLimits::default());
        samples = match response.map(|response| response.data) {
            Ok(Data::Vector(columns) | Data::Matrix(columns)) => columns.sample_count() as u32,
            _ => 0,
        };
    }
    samples
}
