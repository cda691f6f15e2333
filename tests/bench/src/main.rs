//! What Tidegate costs: each row measured in the same run as what it is compared with.
//!
//! `cargo xtask bench core` and `bench series` run this, optimised. A row that misses its target says so and the
//! run fails, so whoever runs it need not compare numbers; no test depends on it.

mod allocations;
mod clock;
mod front;
mod generated;
mod hits;
mod machine;
mod ranges;
mod series;
mod table;
mod tracked;

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
    let subject = std::env::args().nth(1);
    let subject = subject.as_deref().unwrap_or("core");
    if cfg!(debug_assertions) {
        bail!("this is not optimised; run `cargo xtask bench {subject}`");
    }
    machine::describe();
    let mut table = Table::default();
    match subject {
        "core" => {
            hits::measure(&mut table);
            tracked::measure(&mut table);
            front::measure(&mut table);
            ranges::measure(&mut table);
        }
        "series" => series::measure(&mut table)?,
        other => bail!("there is no bench {other:?}; there are: core, series"),
    }
    Ok(table.conclude())
}
