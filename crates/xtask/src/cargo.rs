//! Runs cargo and learns from it which files it made.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::describe;

/// Builds, with cargo's own progress on standard error, and gives back the file of the wanted crate target.
///
/// # Errors
/// When the build fails or makes no such file.
pub(crate) fn build(command: &mut Command, wanted: &Wanted<'_>) -> Result<PathBuf> {
    command.arg("--message-format=json-render-diagnostics");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", describe(command)))?;
    let stdout = child
        .stdout
        .take()
        .context("cargo has no standard output")?;
    let mut made = None;
    for line in BufReader::new(stdout).lines() {
        made = wanted.file_in(&line?).or(made);
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("`{}` failed: {status}", describe(command));
    }
    made.with_context(|| {
        format!(
            "`{}` made no {} of {}",
            describe(command),
            wanted.extension_name(),
            wanted.target
        )
    })
}

/// Which of the files that cargo makes is asked for.
pub(crate) struct Wanted<'a> {
    /// The crate target's name, underscores as cargo writes them.
    pub(crate) target: &'a str,
    /// The file's extension; none for a program.
    pub(crate) extension: Option<&'a str>,
}

impl Wanted<'_> {
    fn extension_name(&self) -> String {
        self.extension.map_or_else(
            || "program".to_owned(),
            |extension| format!(".{extension} file"),
        )
    }

    /// The file, if this line of cargo's messages announces it.
    fn file_in(&self, line: &str) -> Option<PathBuf> {
        let message: Value = serde_json::from_str(line).ok()?;
        let is_artifact =
            message["reason"] == "compiler-artifact" && message["target"]["name"] == self.target;
        // A program's unit tests go by the program's name.
        if !is_artifact || message["profile"]["test"] == true {
            return None;
        }
        let Some(extension) = self.extension else {
            return message["executable"].as_str().map(PathBuf::from);
        };
        let files = message["filenames"].as_array()?;
        files
            .iter()
            .filter_map(|file| file.as_str().map(PathBuf::from))
            .find(|file| file.extension().is_some_and(|found| found == extension))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIBRARY: &str = r#"{"reason":"compiler-artifact","target":{"name":"tidegate_guest","kind":["cdylib"]},
        "filenames":["/t/libtidegate_guest.rlib","/t/tidegate_guest.wasm"],"executable":null,"fresh":true}"#;
    const PROGRAM: &str = r#"{"reason":"compiler-artifact","target":{"name":"tidegate","kind":["bin"]},
        "filenames":["/t/tidegate"],"executable":"/t/tidegate","fresh":false}"#;

    #[test]
    fn the_wanted_file_is_found_by_target_and_extension() {
        let wasm = Wanted {
            target: "tidegate_guest",
            extension: Some("wasm"),
        };
        assert_eq!(
            wasm.file_in(LIBRARY),
            Some(PathBuf::from("/t/tidegate_guest.wasm"))
        );
        assert_eq!(wasm.file_in(PROGRAM), None);
        let program = Wanted {
            target: "tidegate",
            extension: None,
        };
        assert_eq!(program.file_in(PROGRAM), Some(PathBuf::from("/t/tidegate")));
        assert_eq!(program.file_in(LIBRARY), None);
    }

    #[test]
    fn a_programs_unit_tests_are_not_the_program() {
        let tests = PROGRAM.replacen('{', r#"{"profile":{"test":true},"#, 1);
        assert_eq!(
            Wanted {
                target: "tidegate",
                extension: None
            }
            .file_in(&tests),
            None
        );
    }

    #[test]
    fn other_lines_announce_nothing() {
        let wanted = Wanted {
            target: "x",
            extension: None,
        };
        for line in [
            "",
            "text",
            "{}",
            "[1]",
            r#"{"reason":"build-finished","success":true}"#,
        ] {
            assert_eq!(wanted.file_in(line), None, "{line}");
        }
    }
}
