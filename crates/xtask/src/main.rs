//! Set-up, builds, demo and tests of Tidegate: `cargo xtask <verb>`.
//!
//! Every verb first brings what it needs and is missing, so that any of them works from a fresh clone.

mod apt;
mod artefacts;
mod cargo;
mod component;
mod debian;
mod npm;
mod process;
mod project;
mod setup;
mod stages;
mod stamp;
mod toolchain;
mod ui;

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::artefacts::{FOR_DEMO, Piece, Profile};
use crate::project::Project;
use crate::setup::Purpose;

/// Set-up, builds, demo and tests of Tidegate.
///
/// Every verb first brings what it needs and is not there yet: the WebAssembly standard library, Node and npm
/// packages, and for the tests Chromium and Prometheus. All that is built stays under target/.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
#[command(
    after_help = "First time here?\n  cargo xtask demo    see it run\n  cargo xtask test    see it pass"
)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Bring what the build and the tests need; quick when nothing is missing.
    ///
    /// The WebAssembly standard library comes from rustup or, where RUSTUP_AUTO_INSTALL=0 forbids that, from Debian's
    /// packages; Node, Chromium and Prometheus from apt; npm packages as the lock files say. What cannot be had is
    /// named, with the command that would bring it.
    Setup {
        /// What to bring it for.
        #[arg(long = "for", value_name = "PURPOSE", default_value = "all")]
        purpose: Purpose,
    },
    /// Build everything, or only some pieces.
    ///
    /// Without a piece: the collector component, the npm package, the dashboard and the host, in this order. A piece
    /// whose input has not changed is left alone. Artefacts are in target/tidegate/.
    Build {
        /// Only these, in this order.
        #[arg(value_name = "PIECE")]
        pieces: Vec<Piece>,
        /// Compile the host for speed; takes several times as long.
        #[arg(long)]
        release: bool,
    },
    /// Build Tidegate and run it on this machine's own numbers, until Ctrl-C.
    ///
    /// Whatever follows -- goes to `tidegate serve`:
    ///   cargo xtask demo -- --listen 127.0.0.1:9300 --source prom=http://127.0.0.1:9090
    #[command(verbatim_doc_comment)]
    Demo {
        /// Compile the host for speed; takes several times as long.
        #[arg(long)]
        release: bool,
        /// Arguments for `tidegate serve`.
        #[arg(last = true, value_name = "ARGS")]
        arguments: Vec<OsString>,
    },
    /// Run every test: unit, doc, conformance in four runtimes, end to end with a real Prometheus and browser.
    Test,
    /// Check formatting, and clippy with warnings denied.
    Lint,
    /// Run what continuous integration runs: lint, then test.
    Ci,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            ui::bad(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    let project = Project::find()?;
    let lock = project.lock()?;
    match arguments.verb {
        Verb::Setup { purpose } => {
            setup::run(&project, purpose.needs())?;
            ui::good("set up: nothing is missing");
            Ok(())
        }
        Verb::Build { pieces, release } => {
            let pieces = if pieces.is_empty() {
                FOR_DEMO.to_vec()
            } else {
                pieces
            };
            let needs: Vec<_> = pieces
                .iter()
                .flat_map(|piece| piece.needs())
                .copied()
                .collect();
            setup::run(&project, &needs)?;
            ui::heading("build");
            artefacts::build(&project, &pieces, profile(release)).map(drop)
        }
        Verb::Demo { release, arguments } => {
            setup::run(&project, Purpose::Demo.needs())?;
            ui::heading("build");
            let program = artefacts::build(&project, &FOR_DEMO, profile(release))?;
            // A demo runs for hours; others may build meanwhile.
            drop(lock);
            serve(
                &project,
                &program.context("the host was not built")?,
                &arguments,
            )
        }
        Verb::Test => stages::test(&project),
        Verb::Lint => stages::lint(&project),
        Verb::Ci => stages::ci(&project),
    }
}

fn profile(release: bool) -> Profile {
    if release {
        Profile::Release
    } else {
        Profile::Dev
    }
}

/// Becomes `tidegate serve`, so that Ctrl-C and its graceful end are the host's own business.
fn serve(project: &Project, program: &Path, arguments: &[OsString]) -> Result<()> {
    ui::heading("tidegate serve");
    ui::say(&format!(
        "the dashboard is at {}; Ctrl-C ends it",
        ui::bold(&format!("http://{}/", listen(arguments)))
    ));
    let mut command = Command::new(program);
    command
        .current_dir(&project.root)
        .arg("serve")
        .args(arguments);
    project::forget_own_package(&mut command);
    become_program(&mut command)
}

/// The address the host will listen on: its default unless the arguments name another.
fn listen(arguments: &[OsString]) -> String {
    let mut arguments = arguments.iter().map(|argument| argument.to_string_lossy());
    let mut address = "127.0.0.1:9200".to_owned();
    while let Some(argument) = arguments.next() {
        if let Some(value) = argument.strip_prefix("--listen=") {
            address = value.to_owned();
        } else if argument == "--listen" {
            address = arguments.next().map_or(address, |value| value.into_owned());
        }
    }
    address
}

#[cfg(unix)]
fn become_program(command: &mut Command) -> Result<()> {
    use std::os::unix::process::CommandExt;
    let error = command.exec();
    Err(error).with_context(|| format!("cannot start `{}`", process::describe(command)))
}

#[cfg(not(unix))]
fn become_program(command: &mut Command) -> Result<()> {
    let status = command.status()?;
    anyhow::ensure!(
        status.success(),
        "`{}` failed: {status}",
        process::describe(command)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_demo_passes_on_what_follows_the_dashes() {
        let arguments = Arguments::try_parse_from(["x", "demo", "--", "--listen", "127.0.0.1:1"])
            .expect("valid");
        let Verb::Demo {
            arguments,
            release: false,
        } = arguments.verb
        else {
            panic!("demo expected")
        };
        assert_eq!(arguments, ["--listen", "127.0.0.1:1"]);
        assert_eq!(listen(&arguments), "127.0.0.1:1");
        assert_eq!(listen(&["--listen=[::1]:2".into()]), "[::1]:2");
        assert_eq!(listen(&[]), "127.0.0.1:9200");
    }
}
