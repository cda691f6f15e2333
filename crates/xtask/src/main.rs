//! Set-up, builds, demo and tests of Tidegate: `cargo xtask <verb>`.
//!
//! Every verb first brings what it needs and is missing, so that any of them works from a fresh clone.

mod apt;
mod artefacts;
mod cargo;
mod component;
mod debian;
mod instrument;
mod measure;
mod npm;
mod process;
mod project;
mod python;
mod replay;
mod setup;
mod stages;
mod stamp;
mod toolchain;
mod ui;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::artefacts::{FOR_DEMO, Piece, Profile};
use crate::project::Project;
use crate::setup::{Need, Purpose};

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
    /// packages; Node, Chromium and Prometheus from apt; npm and Python packages in the versions that files here name. What cannot be had is
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
    /// Play the collector under virtual time: scripted servers, a hostile network, a naive model beside it.
    ///
    /// One seed makes one run. What a run broke is printed with its seed, and the same seed plays it again.
    Sim {
        /// How many seeds; without --minutes 2,000, else as many as there is time for.
        #[arg(long, value_name = "N")]
        seeds: Option<u64>,
        /// For how long at most.
        #[arg(long, value_name = "M")]
        minutes: Option<u64>,
        /// The first seed.
        #[arg(long, value_name = "SEED", default_value_t = 0)]
        from: u64,
        /// Go on after a failure, and count failures by rule.
        #[arg(long)]
        every: bool,
        /// Play only this seed.
        #[arg(long, value_name = "N", conflicts_with_all = ["seeds", "minutes", "from", "every"])]
        seed: Option<u64>,
        /// Print every output of that seed.
        #[arg(long, requires = "seed")]
        trace: bool,
    },
    /// Feed the decoders and the collector what nobody would send, and keep what runs new code.
    ///
    /// Inputs are made of those in tests/fuzz/corpus, by chance from a seed. What fails is made short and put under
    /// target/tidegate/fuzz, with the command that runs it again.
    Fuzz {
        /// Only this target; a name that is none lists them.
        target: Option<String>,
        /// For how long, each target: without this a minute, or 10 s each where there are several.
        #[arg(long, value_name = "N")]
        seconds: Option<u64>,
        /// What chance begins with.
        #[arg(long, value_name = "N", default_value_t = 0)]
        seed: u64,
        /// Add inputs that run new code to the corpus.
        #[arg(long)]
        keep: bool,
        /// Run only this input.
        #[arg(long, value_name = "FILE", requires = "target", conflicts_with_all = ["seconds", "keep"])]
        case: Option<PathBuf>,
    },
    /// Run every test: unit, doc, conformance in four runtimes, end to end with a real Prometheus and browser.
    Test,
    /// Measure what Tidegate costs, beside what one would take instead; fails when a target is missed.
    Bench {
        /// What to measure.
        what: measure::Bench,
    },
    /// Print which share of each crate's lines its own tests run.
    ///
    /// The counters come from the compiler; reading them takes LLVM's tools, from apt's llvm-22.
    Coverage {
        /// Crates by their folder's name, such as `core`; without any, all that build without the artefacts.
        crates: Vec<String>,
        /// Name the files with lines that no test runs.
        #[arg(long)]
        files: bool,
    },
    /// Check formatting, and clippy with warnings denied.
    Lint,
    /// Run what continuous integration runs: lint, then test.
    Ci,
    /// Do again what `tidegate serve --record FILE` wrote down, and print what happened.
    ///
    /// A fresh collector is given all that the recorded one was given, at the same times; it must say the same, step by
    /// step. The first difference, and damage of any kind, is an error that says where.
    Replay {
        /// The recording.
        file: PathBuf,
        /// Print only what happened this long after the start, or later: `90`, `12.5s`, `1500ms`, `3m`.
        #[arg(long, value_name = "TIME", default_value = "0", value_parser = replay::time)]
        from: Duration,
        /// Print only what is about this key: `prom/:query=up`.
        #[arg(long)]
        key: Option<String>,
        /// Print also when the collector wanted to be woken.
        #[arg(long)]
        waits: bool,
    },
}

fn main() -> ExitCode {
    if let Some(mut rustc) = instrument::as_wrapper() {
        let succeeded = rustc.status().is_ok_and(|status| status.success());
        return if succeeded {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            ui::bad(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    // It builds nothing, so it waits for nobody who does.
    if let Verb::Replay {
        file,
        from,
        key,
        waits,
    } = &arguments.verb
    {
        return replay::run(file, *from, key.as_deref(), *waits);
    }
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
        Verb::Sim {
            seeds,
            minutes,
            from,
            every,
            seed,
            trace,
        } => {
            drop(lock);
            let numbers = [("--seeds", seeds), ("--minutes", minutes), ("--seed", seed)];
            let mut options: Vec<String> = numbers
                .into_iter()
                .filter_map(|(name, number)| number.map(|number| [name.into(), number.to_string()]))
                .flatten()
                .collect();
            if seed.is_none() {
                options.extend(["--from".into(), from.to_string()]);
            }
            options.extend(every.then(|| "--every".into()));
            options.extend(trace.then(|| "--trace".into()));
            simulate(&project, &options)
        }
        Verb::Fuzz {
            target,
            seconds,
            seed,
            keep,
            case,
        } => {
            drop(lock);
            let mut options: Vec<OsString> = target.into_iter().map(OsString::from).collect();
            match case {
                Some(case) => options.extend(["--case".into(), case.into()]),
                None => options.extend(["--seed".into(), seed.to_string().into()]),
            }
            if let Some(seconds) = seconds {
                options.extend(["--seconds".into(), seconds.to_string().into()]);
            }
            options.extend(keep.then(|| "--keep".into()));
            fuzz(&project, &options)
        }
        Verb::Test => stages::test(&project),
        Verb::Bench { what } => measure::bench(&project, what),
        Verb::Coverage { crates, files } => {
            setup::run(&project, &[Need::Llvm])?;
            measure::coverage(&project, &crates, files)
        }
        Verb::Lint => stages::lint(&project),
        Verb::Ci => stages::ci(&project),
        Verb::Replay { .. } => unreachable!("done above"),
    }
}

fn profile(release: bool) -> Profile {
    if release {
        Profile::Release
    } else {
        Profile::Dev
    }
}

/// Builds the simulation for speed and becomes it.
fn simulate(project: &Project, options: &[String]) -> Result<()> {
    let mut build = project.cargo();
    build.args([
        "build",
        "--release",
        "-p",
        "tidegate-sim",
        "--bin",
        "tidegate-sim",
    ]);
    let wanted = cargo::Wanted {
        target: "tidegate-sim",
        extension: None,
    };
    let program = cargo::build(&mut build, &wanted)?;
    let mut command = Command::new(program);
    command.current_dir(&project.root).args(options);
    become_program(&mut command)
}

/// Flags for counters of every edge of the code, which stable compilers take.
const COUNTERS: [&str; 3] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=3",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
];

/// Builds the fuzzing with counters and becomes it.
fn fuzz(project: &Project, options: &[OsString]) -> Result<()> {
    let mut build = project.cargo();
    build.args(["build", "--profile", "fuzz", "-p", "tidegate-fuzz"]);
    let wanted = cargo::Wanted {
        target: "tidegate-fuzz",
        extension: None,
    };
    let program = cargo::build(instrument::with(&mut build, &COUNTERS)?, &wanted)?;
    let mut command = Command::new(program);
    command.current_dir(&project.root).args(options);
    become_program(&mut command)
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
