//! The verbs that measure: `bench` and `coverage`. Neither is part of the tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::artefacts::{self, FOR_DEMO, Profile};
use crate::instrument;
use crate::process::{on_path, read, run};
use crate::project::Project;
use crate::setup::{self, Need, Purpose};
use crate::stages::PROGRAM_VARIABLE;
use crate::ui;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bench {
    /// The collector: hits beside quick_cache, keys kept warm, ticks, the HTTP API.
    Core,
    /// Series in memory: bytes per sample, decoding and appending beside pco, a whole store.
    Series,
    /// Range queries: decoding beside sonic-rs, native and in WebAssembly, what a window that slides
    /// costs, and over HTTP beside Prometheus and nginx.
    Range,
}

impl Bench {
    const fn subject(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Series => "series",
            Self::Range => "range",
        }
    }

    /// What it needs of the system.
    fn needs(self) -> Vec<Need> {
        match self {
            Self::Core | Self::Series => Vec::new(),
            Self::Range => {
                let rivals = [Need::Prometheus, Need::Nginx, Need::Wrk];
                [Purpose::Demo.needs(), &rivals].concat()
            }
        }
    }
}

/// Measures, optimised, and prints a table.
///
/// # Errors
/// When the build fails, or a target is missed.
pub(crate) fn bench(project: &Project, bench: Bench) -> Result<()> {
    setup::run(project, &bench.needs())?;
    let mut measure = project.cargo();
    measure.args([
        "run",
        "--release",
        "-p",
        "tidegate-bench",
        "--",
        bench.subject(),
    ]);
    if bench == Bench::Range {
        ui::heading("build");
        let program = artefacts::build(project, &FOR_DEMO, Profile::Release)?;
        measure.arg(artefacts::decoder(project)?);
        measure.env(PROGRAM_VARIABLE, program.context("the host was not built")?);
    }
    ui::heading(&format!("bench {}", bench.subject()));
    ui::say(&read(Command::new("rustc").arg("-V"))?);
    run(&mut measure)
}

/// What is covered where nothing else is named: all that needs neither the artefacts nor wasmtime.
const COVERED: [&str; 5] = ["wire", "series", "core", "api", "client"];

/// The least share of lines, in percent, of the crates that have one.
const LEAST: [(&str, f64); 3] = [("wire", 95.0), ("series", 95.0), ("core", 95.0)];

/// The version of LLVM in our compiler; its tools read what the compiler of the same or an older
/// version writes.
const LLVM: &str = "22";

/// Debian's package with the tools.
pub(crate) const PACKAGE: &str = "llvm-22";

/// The tool of our compiler's LLVM: by Debian's name, else by its own.
fn tool(name: &str) -> Option<PathBuf> {
    on_path(format!("{name}-{LLVM}")).or_else(|| on_path(name).filter(|path| is_new(path)))
}

fn is_new(tool: &Path) -> bool {
    let version = read(Command::new(tool).arg("--version")).unwrap_or_default();
    let major = version
        .split_once("version ")
        .and_then(|(_, rest)| rest.split('.').next()?.parse::<u32>().ok());
    major.is_some_and(|major| LLVM.parse().is_ok_and(|least: u32| major >= least))
}

/// Whether both tools are there.
pub(crate) fn has_tools() -> bool {
    tool("llvm-profdata").is_some() && tool("llvm-cov").is_some()
}

/// Prints which share of each crate's lines its own tests run.
///
/// Only lines of the crate itself count, none of its tests. Doc tests are not counted: stable Rust
/// cannot.
///
/// # Errors
/// When a build or a test fails, or a crate falls short of what is asked of it.
pub(crate) fn coverage(project: &Project, crates: &[String], lines: bool) -> Result<()> {
    let named: Vec<&str> = match crates {
        [] => COVERED.to_vec(),
        crates => crates.iter().map(String::as_str).collect(),
    };
    let mut results = Vec::new();
    for name in named {
        ui::heading(&format!("coverage of {name}"));
        results.push((name, of_crate(project, name)?));
    }
    ui::heading("line coverage by each crate's own tests");
    let mut short = Vec::new();
    for (name, files) in &results {
        let total = files.iter().map(|(_, file)| file).sum();
        let Share { run, of } = total;
        let least = LEAST
            .iter()
            .find(|(of, _)| of == name)
            .map(|(_, least)| *least);
        let asked = least.map_or_else(String::new, |least| format!(", at least {least} % asked"));
        let line = format!(
            "{name:<10} {:>6.2} %  {run} of {of} lines{asked}",
            total.percent()
        );
        if least.is_some_and(|least| total.percent() < least) {
            short.push(*name);
            ui::bad(&line);
        } else {
            ui::good(&line);
        }
        if lines {
            for (path, file) in files.iter().filter(|(_, file)| file.missed() > 0) {
                ui::say(&format!(
                    "    {:>6.2} %  {:>4} lines missed  {path}",
                    file.percent(),
                    file.missed()
                ));
            }
        }
    }
    if !short.is_empty() {
        bail!("less is covered than asked of {}", short.join(", "));
    }
    Ok(())
}

/// Lines run, of lines there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Share {
    run: usize,
    of: usize,
}

impl Share {
    fn missed(self) -> usize {
        self.of - self.run
    }

    fn percent(self) -> f64 {
        if self.of == 0 {
            100.0
        } else {
            100.0 * self.run as f64 / self.of as f64
        }
    }
}

impl<'a> std::iter::Sum<&'a Self> for Share {
    fn sum<I: Iterator<Item = &'a Self>>(shares: I) -> Self {
        shares.fold(Self::default(), |sum, share| Self {
            run: sum.run + share.run,
            of: sum.of + share.of,
        })
    }
}

/// Runs a crate's tests with counters, and gives back each of its files with its share.
fn of_crate(project: &Project, name: &str) -> Result<Vec<(String, Share)>> {
    let folder = project.path("target/tidegate/coverage");
    let counters = folder.join(name);
    if counters.exists() {
        fs::remove_dir_all(&counters)?;
    }
    fs::create_dir_all(&counters)?;
    let prepare = |command: &mut Command| {
        instrument::with(command, &["-Cinstrument-coverage"])?
            .env("LLVM_PROFILE_FILE", counters.join("%p-%m.profraw"))
            .env("CARGO_TARGET_DIR", folder.join("build"))
            .args(["test", "-p", &format!("tidegate-{name}"), "--tests"]);
        anyhow::Ok(())
    };
    let mut build = project.cargo();
    prepare(&mut build)?;
    build.args(["--no-run", "--message-format=json-render-diagnostics"]);
    let programs = test_programs(&read_with_errors(&mut build)?);
    let (first, others) = programs
        .split_first()
        .with_context(|| format!("tidegate-{name} has no tests"))?;
    let mut test = project.cargo();
    prepare(&mut test)?;
    run(test.args(["--", "--quiet"]))?;

    let (profdata, cov) = tool("llvm-profdata")
        .zip(tool("llvm-cov"))
        .context("the tools of LLVM are missing")?;
    let merged = counters.join("merged.profdata");
    let raw = fs::read_dir(&counters)?.map(|entry| Ok(entry?.path()));
    let raw = raw.collect::<Result<Vec<_>>>()?;
    run(Command::new(profdata)
        .args(["merge", "--sparse", "-o"])
        .arg(&merged)
        .args(raw))?;
    let sources = project.path("crates").join(name).join("src");
    let mut export = Command::new(cov);
    export
        .args(["export", "--format=lcov", "--instr-profile"])
        .arg(&merged);
    export.arg(first);
    for program in others {
        export.arg("--object").arg(program);
    }
    let report = read(export.arg("--sources").arg(&sources))?;
    shares(&report, &sources)
}

fn read_with_errors(command: &mut Command) -> Result<String> {
    let output = command.stderr(std::process::Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("the build failed: {}", output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The programs of tests among cargo's messages.
fn test_programs(messages: &str) -> Vec<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["profile"]["test"] == true)
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .collect()
}

/// Each file's share in a report of lcov's format, files and lines of tests left out.
fn shares(report: &str, sources: &Path) -> Result<Vec<(String, Share)>> {
    let mut shares = BTreeMap::new();
    let mut file = None;
    for line in report.lines() {
        if let Some(path) = line.strip_prefix("SF:") {
            file = code(Path::new(path), sources)?;
        } else if let (Some(counts), Some((name, lines))) = (line.strip_prefix("DA:"), &file) {
            let mut counts = counts.split(',');
            let number: usize = counts.next().context("a line has a number")?.parse()?;
            let is_run = counts.next().context("a line has a count")? != "0";
            if number < *lines {
                let share: &mut Share = shares.entry(String::clone(name)).or_default();
                share.of += 1;
                share.run += usize::from(is_run);
            }
        }
    }
    Ok(shares.into_iter().collect())
}

/// The name of a source file and where its tests begin; nothing for a file of tests.
fn code(path: &Path, sources: &Path) -> Result<Option<(String, usize)>> {
    let name = path.strip_prefix(sources).unwrap_or(path).to_string_lossy();
    let for_tests = |part: &str| matches!(part, "tests" | "tests.rs" | "testing.rs");
    if name.split('/').any(for_tests) {
        return Ok(None);
    }
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Ok(Some((name.into_owned(), tests_from(&text))))
}

/// The line that a file's tests begin at: by the house's rule they stand at its foot.
fn tests_from(text: &str) -> usize {
    let lines: Vec<_> = text.lines().collect();
    let foot = lines.windows(2).rposition(|pair| {
        pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{')
    });
    foot.map_or(usize::MAX, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_tests_do_not_count() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.rs");
        fs::write(
            &file,
            "fn a() {}\n#[cfg(test)]\nmod named;\n\n#[cfg(test)]\nmod tests {\n}\n",
        )
        .expect("written");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let report = format!(
            "SF:{}\nDA:1,3\nDA:3,0\nDA:5,9\nDA:6,0\nend_of_record\nSF:{}\nDA:1,1\n",
            path("a.rs"),
            path("a/tests.rs")
        );
        let shares = shares(&report, folder.path()).expect("a report");
        assert_eq!(shares, [("a.rs".to_owned(), Share { run: 1, of: 2 })]);
        assert_eq!(shares[0].1.percent(), 50.0);
    }

    #[test]
    fn the_programs_of_the_tests_are_found() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","profile":{"test":false},"executable":"/t/a"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","profile":{"test":true},"executable":"/t/b"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","profile":{"test":true},"executable":"/t/c"}"#,
        );
        assert_eq!(test_programs(messages), ["/t/b", "/t/c"].map(PathBuf::from));
        assert!(test_programs("{}").is_empty());
    }
}
