//! The decoder beside what a user would take instead, on bodies as Prometheus writes them.

mod inputs;
mod rivals;

use std::hint::black_box;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tidegate_wire::{DecodeLimits, QueryResponse, decode_query_response, encode_query_response};

use crate::clock::contest;
use crate::table::{Table, Target};

/// The others, and how sonic-rs was compiled: its README asks for `-C target-cpu=native`.
pub(crate) const RIVALS: &str = if cfg!(target_feature = "avx2") {
    "sonic-rs 0.5 with avx2, prometheus-http-query 0.9"
} else {
    "sonic-rs 0.5 without avx2, prometheus-http-query 0.9"
};

/// What the bodies are, and how many times as fast as sonic-rs the decoder is to be.
const INPUTS: [(&str, f64); 3] = [
    ("matrix of 10 series x 241 points", 1.8),
    ("matrix of 100 series x 1,000 points", 1.8),
    ("vector of 10,000 series", 3.0),
];
/// The least speed in WebAssembly, of the native one.
const WASM_LEAST: f64 = 0.6;
/// The most microseconds that writing ten series of 241 points may take.
const ENCODE_US_MAX: f64 = 100.0;
/// One round of a contestant decodes so many bytes or a little less.
const ROUND_BYTES: usize = 4_000_000;

/// Measures; `wasm` is the file of the module of tests/bench/wasm, if that is to be measured too.
pub(crate) fn measure(table: &mut Table, wasm: Option<&str>) -> Result<()> {
    for (nth, body) in inputs::bodies().iter().enumerate() {
        let (name, times_sonic) = INPUTS[nth];
        let body = body.as_bytes();
        let response = decoded(body);
        let mut out = Vec::new();
        encode_query_response(&response, &mut out);
        ensure!(out == body, "what was decoded is written as it was");
        let times = times(body);
        let [ours, sonic, client, encode] = contest(
            times,
            [
                &mut || repeat(times, || decoded(black_box(body))),
                &mut || repeat(times, || rivals::sonic(black_box(body))),
                &mut || repeat(times, || rivals::prometheus_http_query(black_box(body))),
                &mut || repeat(times, || encoded(black_box(&response))),
            ],
        );
        table.heading(&format!("{}, {} KB", name, body.len() / 1_000));
        let us = |ns: f64| format!("{:.0} us", ns / 1_000.0);
        table.row("decode", &us(ours), None, Target::None);
        let ratio = Some((sonic / ours, "x as fast"));
        let least = Target::AtLeast(times_sonic);
        table.row("  beside sonic-rs, borrowed", &us(sonic), ratio, least);
        let ratio = Some((client / ours, "x as fast"));
        table.row(
            "  beside prometheus-http-query",
            &us(client),
            ratio,
            Target::None,
        );
        if let Some(file) = wasm {
            let in_wasm = in_node(file, nth, times)?;
            let ratio = Some((ours / in_wasm, "of native"));
            table.row(
                "  in WebAssembly",
                &us(in_wasm),
                ratio,
                Target::AtLeast(WASM_LEAST),
            );
        }
        let most = if nth == 0 {
            Target::AtMost(ENCODE_US_MAX)
        } else {
            Target::None
        };
        table.row("encode", &us(encode), Some((encode / 1_000.0, "us")), most);
    }
    Ok(())
}

fn times(body: &[u8]) -> u32 {
    u32::try_from(ROUND_BYTES / body.len()).map_or(1, |times| times.max(1))
}

fn repeat<T>(times: u32, run: impl Fn() -> T) {
    (0..times).for_each(|_| drop(black_box([run()])));
}

fn decoded(body: &[u8]) -> QueryResponse {
    decode_query_response(200, body, &DecodeLimits::default()).expect("a valid body")
}

fn encoded(response: &QueryResponse) -> Vec<u8> {
    let mut out = Vec::new();
    encode_query_response(response, &mut out);
    out
}

/// Nanoseconds of one decode in Node: the middle of as many rounds as [`contest`] has.
fn in_node(file: &str, nth: usize, times: u32) -> Result<f64> {
    const SCRIPT: &str = include_str!("decode/node.mjs");
    let output = Command::new("node")
        .args(["--input-type=module", "--eval", SCRIPT, file])
        .args([nth.to_string(), times.to_string()])
        .output()
        .context("node, to run the decoder in WebAssembly")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "node failed: {said}");
    let ns = String::from_utf8(output.stdout)?;
    ns.trim().parse().context("what node measured")
}
