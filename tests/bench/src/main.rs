//! What Tidegate costs: each row measured in the same run as what it is compared with.
//!
//! `cargo xtask bench core`, `bench series` and `bench range` run this, optimised; with the argument
//! `decode` it measures the decoder, in WebAssembly too if the file of tests/bench/wasm follows. A row that misses its target says so and the
//! run fails, so whoever runs it need not compare numbers; no test depends on it.

mod allocations;
mod clock;
mod decode;
mod front;
mod generated;
mod hits;
mod http;
mod idle;
mod machine;
mod ranges;
mod recording;
mod series;
mod table;
mod tracked;
mod windows;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::table::Table;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures and prints; says whether every target was met.
fn run() -> Result<bool> {
    let mut arguments = std::env::args().skip(1);
    let subject = arguments.next();
    let subject = subject.as_deref().unwrap_or("core");
    if cfg!(debug_assertions) {
        bail!("this is not optimised; run `cargo xtask bench {subject}`");
    }
    let mut table = Table::default();
    machine::describe(match subject {
        "decode" | "range" => decode::RIVALS,
        "series" => recording::RIVALS,
        _ => "quick_cache 0.7",
    });
    match subject {
        "core" => {
            hits::measure(&mut table);
            tracked::measure(&mut table);
            front::measure(&mut table);
        }
        "series" => {
            series::measure(&mut table)?;
            recording::measure(&mut table)?;
            idle::measure(&mut table)?;
        }
        "decode" => decode::measure(&mut table, arguments.next().as_deref())?,
        "range" => {
            decode::measure(&mut table, arguments.next().as_deref())?;
            ranges::measure(&mut table);
            http::measure(&mut table)?;
        }
        other => bail!("there is no bench {other:?}; there are: core, series, decode, range"),
    }
    Ok(table.conclude())
}
