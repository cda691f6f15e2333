//! The stages of `test`, `lint` and `ci`: each with a heading, its time, and a place in the final table.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::artefacts::{self, FOR_DEMO, FOR_TEST, NATIVE, Profile};
use crate::process::run;
use crate::project::Project;
use crate::setup::{self, Purpose};
use crate::ui;

/// Tells the tests where the program is, whatever the target folder is called.
pub(crate) const PROGRAM_VARIABLE: &str = "TIDEGATE_BIN";
/// Tests that run Node or a browser, by their folder.
const BROWSER_TESTS: &str = "tests/browser";

/// Formatting and clippy.
///
/// # Errors
/// When a stage fails; the table has been printed.
pub(crate) fn lint(project: &Project) -> Result<()> {
    let mut report = Report::default();
    lint_stages(project, &mut report);
    report.conclude()
}

/// Every test.
///
/// # Errors
/// When a stage fails; the table has been printed.
pub(crate) fn test(project: &Project) -> Result<()> {
    let mut report = Report::default();
    test_stages(project, &mut report);
    report.conclude()
}

/// What the continuous integration runs: `lint`, then `test`.
///
/// # Errors
/// When a stage fails; the table has been printed.
pub(crate) fn ci(project: &Project) -> Result<()> {
    let mut report = Report::default();
    lint_stages(project, &mut report);
    test_stages(project, &mut report);
    report.conclude()
}

fn lint_stages(project: &Project, report: &mut Report) {
    report.stage("formatting", || {
        run(project.cargo().args(["fmt", "--all", "--check"]))
    });
    // The host embeds the artefacts, so they must be there for clippy to see it whole.
    let built = prepare(project, report, Purpose::Demo, &FOR_DEMO[..3]);
    if built.is_none() {
        return report.skip("clippy");
    }
    report.stage("clippy", || {
        let warnings = ["--", "-D", "warnings"];
        run(project
            .cargo()
            .arg("clippy")
            .args(NATIVE)
            .arg("--all-targets")
            .args(warnings))?;
        run(project
            .cargo()
            .args(["clippy", "-p", "tidegate-xtask", "--all-targets"])
            .args(warnings))
    });
}

fn test_stages(project: &Project, report: &mut Report) {
    let Some(program) = prepare(project, report, Purpose::Test, &FOR_TEST) else {
        return report.skip("all tests");
    };
    let cargo_test = |selection: &[&str]| {
        let mut command = project.cargo();
        command
            .arg("test")
            .args(NATIVE)
            .arg("--no-fail-fast")
            .args(selection);
        run(with_program(&mut command, program.as_deref()))
    };
    report.stage("unit tests", || cargo_test(&["--lib", "--bins"]));
    report.stage("unit tests of xtask", || {
        run(project.cargo().args(["test", "-p", "tidegate-xtask"]))
    });
    report.stage("doc tests", || cargo_test(&["--doc"]));
    report.stage("conformance and end-to-end tests", || {
        cargo_test(&["--test", "*"])
    });
    report.stage("Node and browser tests", || {
        let mut node = Command::new("node");
        node.current_dir(project.path(BROWSER_TESTS))
            .args(["--test", "--test-reporter=spec"]);
        run(with_program(&mut node, program.as_deref()))
    });
}

/// Set-up and build as two stages; gives back the program, if it was built, or nothing when a stage failed.
fn prepare(
    project: &Project,
    report: &mut Report,
    purpose: Purpose,
    pieces: &[artefacts::Piece],
) -> Option<Option<PathBuf>> {
    report.stage("set-up", || setup::run(project, purpose.needs()))?;
    report.stage("build", || {
        artefacts::build(project, pieces, Profile::DevWithTests)
    })
}

fn with_program<'a>(command: &'a mut Command, program: Option<&Path>) -> &'a mut Command {
    if let Some(program) = program {
        command.env(PROGRAM_VARIABLE, program);
    }
    command
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed(Duration),
    Failed(Duration),
    Skipped,
}

/// What ran, how it ended and how long it took.
#[derive(Debug, Default)]
struct Report {
    rows: Vec<(String, Outcome)>,
}

impl Report {
    /// Runs a stage; its failure is told at once and again at the end, and does not stop the stages after it.
    fn stage<T>(&mut self, name: &str, body: impl FnOnce() -> Result<T>) -> Option<T> {
        ui::heading(name);
        let start = Instant::now();
        let result = body();
        let span = start.elapsed();
        match result {
            Ok(value) => {
                ui::good(&format!("{name} ({})", ui::duration(span)));
                self.rows.push((name.to_owned(), Outcome::Passed(span)));
                Some(value)
            }
            Err(error) => {
                ui::bad(&format!("{name} ({}): {error:#}", ui::duration(span)));
                self.rows.push((name.to_owned(), Outcome::Failed(span)));
                None
            }
        }
    }

    fn skip(&mut self, name: &str) {
        self.rows.push((name.to_owned(), Outcome::Skipped));
    }

    fn total(&self) -> Duration {
        self.rows
            .iter()
            .map(|(_, outcome)| match outcome {
                Outcome::Passed(span) | Outcome::Failed(span) => *span,
                Outcome::Skipped => Duration::ZERO,
            })
            .sum()
    }

    fn failed(&self) -> Vec<&str> {
        let bad = |(_, outcome): &&(String, Outcome)| !matches!(outcome, Outcome::Passed(_));
        self.rows
            .iter()
            .filter(bad)
            .map(|(name, _)| name.as_str())
            .collect()
    }

    /// Prints the table; an error names the stages that failed.
    fn conclude(self) -> Result<()> {
        ui::heading("summary");
        let width = self
            .rows
            .iter()
            .map(|(name, _)| name.chars().count())
            .max()
            .unwrap_or_default();
        for (name, outcome) in &self.rows {
            match outcome {
                Outcome::Passed(span) => {
                    ui::good(&format!("{name:<width$}  {:>12}", ui::duration(*span)))
                }
                Outcome::Failed(span) => ui::bad(&format!(
                    "{name:<width$}  {:>12}  failed",
                    ui::duration(*span)
                )),
                Outcome::Skipped => ui::bad(&format!("{name:<width$}  {:>12}", "not run")),
            }
        }
        ui::say(&ui::bold(&format!(
            "  {:<width$}  {:>12}",
            "total",
            ui::duration(self.total())
        )));
        let failed = self.failed();
        if !failed.is_empty() {
            bail!("failed: {}", failed.join(", "));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_stage_is_named_and_the_next_still_runs() {
        let mut report = Report::default();
        assert_eq!(report.stage("one", || Ok(1)), Some(1));
        assert_eq!(
            report.stage("two", || -> Result<()> { bail!("broken") }),
            None
        );
        assert_eq!(report.stage("three", || Ok(3)), Some(3));
        report.skip("four");
        let error = report.conclude().expect_err("two failed").to_string();
        assert_eq!(error, "failed: two, four");
    }

    #[test]
    fn a_report_of_passed_stages_is_no_error() {
        let mut report = Report::default();
        report.stage("one", || Ok(()));
        assert!(report.conclude().is_ok());
    }
}
