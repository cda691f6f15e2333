//! The workspace's own crates compiled with further flags, and their dependencies without.
//!
//! Cargo calls this program instead of rustc for the crates of the workspace, and it adds the flags.

use std::env;
use std::process::Command;

use anyhow::Result;

/// Holds the flags when this program stands in for rustc, separated by blanks.
const FLAGS_VARIABLE: &str = "TIDEGATE_RUSTC_FLAGS";

/// The same command of cargo, its own crates compiled with these flags.
///
/// # Errors
/// When it is not known where this program lies.
pub(crate) fn with<'a>(cargo: &'a mut Command, flags: &[&str]) -> Result<&'a mut Command> {
    Ok(cargo
        .env("RUSTC_WORKSPACE_WRAPPER", env::current_exe()?)
        .env(FLAGS_VARIABLE, flags.join(" ")))
}

/// Where cargo calls this program instead of rustc: the command to run.
pub(crate) fn as_wrapper() -> Option<Command> {
    let flags = env::var(FLAGS_VARIABLE).ok()?;
    let mut arguments = env::args_os().skip(1);
    let mut command = Command::new(arguments.next()?);
    command.args(arguments).args(flags.split_whitespace());
    Some(command)
}
