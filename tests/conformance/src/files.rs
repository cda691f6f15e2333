//! The scripts on disk and what they must answer; for tests that run natively.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// A script with its expected transcript beside it.
#[derive(Clone, Debug)]
pub struct ScriptFile {
    /// The file's name without its ending.
    pub name: String,
    /// The script.
    pub script: String,
    /// Where the expected transcript stands.
    pub expected_path: PathBuf,
    /// The expected transcript; empty if there is none yet.
    pub expected: String,
}

/// All scripts of this crate, by name.
///
/// # Errors
/// Whatever keeps the files from being read.
pub fn script_files() -> io::Result<Vec<ScriptFile>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "txt") {
            let expected_path = path.with_extension("out");
            let expected = if expected_path.exists() {
                fs::read_to_string(&expected_path)?
            } else {
                String::new()
            };
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            files.push(ScriptFile {
                name,
                script: fs::read_to_string(&path)?,
                expected_path,
                expected,
            });
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// Where two transcripts part, for a person to read; `None` if they are equal.
pub fn first_difference(expected: &str, actual: &str) -> Option<String> {
    if expected == actual {
        return None;
    }
    let (mut old, mut new) = (expected.lines(), actual.lines());
    let mut context: Vec<&str> = Vec::new();
    for number in 1.. {
        match (old.next(), new.next()) {
            (Some(a), Some(b)) if a == b => context.push(a),
            (None, None) => return Some("they differ in line endings only".to_owned()),
            (a, b) => {
                let before = context[context.len().saturating_sub(4)..].join("\n    ");
                let (a, b) = (a.unwrap_or("(end)"), b.unwrap_or("(end)"));
                return Some(format!("line {number}:\n    {before}\n  - {a}\n  + {b}"));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_differing_line_is_shown_with_what_stands_before() {
        let difference = first_difference("a\nb\nc\n", "a\nb\nd\n").unwrap();
        assert_eq!(difference, "line 3:\n    a\n    b\n  - c\n  + d");
        assert_eq!(first_difference("a", "a"), None);
        assert!(
            first_difference("a\n", "a\nb\n")
                .unwrap()
                .ends_with("  - (end)\n  + b")
        );
        assert!(first_difference("a\n", "a").is_some());
    }
}
