//! What Tidegate costs: each row measured in the same run as what it is compared with.
//!
//! `cargo xtask bench core` runs this, optimised. A row that misses its target says so and the
//! run fails, so whoever runs it need not compare numbers; no test depends on it.

mod allocations;
mod clock;
mod front;
mod hits;
mod machine;
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
    match subject.as_deref() {
        Some("core") | None => {}
        Some(other) => bail!("there is no bench {other:?}; there is: core"),
    }
    if cfg!(debug_assertions) {
        bail!("this is not optimised; run `cargo xtask bench core`");
    }
    machine::describe();
    let mut table = Table::default();
    hits::measure(&mut table);
    tracked::measure(&mut table);
    front::measure(&mut table);
    Ok(table.conclude())
}
