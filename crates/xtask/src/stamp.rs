//! Stamps: small files that say from what an artefact was made, so that nothing is made twice.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::project::Project;

/// A hash over everything that decides what an artefact looks like.
///
/// Another Rust release may hash differently; then an artefact is made once more, no worse.
#[derive(Default)]
pub(crate) struct Fingerprint(DefaultHasher);

impl Fingerprint {
    /// Mixes in a text: a version, a flag.
    pub(crate) fn text(mut self, text: &str) -> Self {
        text.hash(&mut self.0);
        self
    }

    /// Mixes in bytes.
    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        bytes.hash(&mut self.0);
        self
    }

    /// Mixes in a file's bytes, or that it is missing.
    pub(crate) fn file(self, path: &Path) -> Self {
        match fs::read(path) {
            Ok(bytes) => self.bytes(&bytes),
            Err(_) => self.text("missing"),
        }
    }

    /// Mixes in the names and bytes of all files below a folder, in order of name; `skip` names entries to leave out.
    ///
    /// # Errors
    /// When a folder or file below cannot be read.
    pub(crate) fn folder(mut self, folder: &Path, skip: &[&str]) -> Result<Self> {
        for path in files_below(folder, skip)? {
            self = self
                .text(&path.to_string_lossy())
                .bytes(&fs::read(folder.join(&path))?);
        }
        Ok(self)
    }

    /// The hash as text.
    pub(crate) fn finish(&self) -> String {
        format!("{:016x}", self.0.finish())
    }
}

/// All files below a folder, as paths relative to it, sorted; `skip` names entries to leave out at any depth.
///
/// # Errors
/// When a folder below cannot be read.
pub(crate) fn files_below(folder: &Path, skip: &[&str]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(relative) = folders.pop() {
        let entries = fs::read_dir(folder.join(&relative))
            .with_context(|| format!("cannot list {}", folder.join(&relative).display()))?;
        for entry in entries {
            let entry = entry?;
            if skip.iter().any(|name| entry.file_name() == *name) {
                continue;
            }
            let path = relative.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Whether the stamp of this name holds this text.
pub(crate) fn matches(project: &Project, name: &str, text: &str) -> bool {
    fs::read_to_string(path(project, name)).is_ok_and(|stamp| stamp == text)
}

/// Writes a stamp.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn write(project: &Project, name: &str, text: &str) -> Result<()> {
    let path = path(project, name);
    fs::create_dir_all(project.artefact("stamps"))?;
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn path(project: &Project, name: &str) -> PathBuf {
    project.artefact("stamps").join(name)
}

/// Writes a file unless it already holds these bytes; says whether it wrote.
///
/// # Errors
/// When the file or its folder cannot be written.
pub(crate) fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<bool> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(false);
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(true)
}

/// Makes `to` hold exactly the files of `from`, touching only those whose bytes differ.
///
/// # Errors
/// When a file cannot be read, written or removed.
pub(crate) fn sync_folder(from: &Path, to: &Path) -> Result<()> {
    let wanted = files_below(from, &[])?;
    for file in &wanted {
        write_if_changed(&to.join(file), &fs::read(from.join(file))?)?;
    }
    for file in files_below(to, &[])? {
        if !wanted.contains(&file) {
            fs::remove_file(to.join(file))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in files {
            write_if_changed(&folder.path().join(name), text.as_bytes())
                .expect("a writable folder");
        }
        folder
    }

    #[test]
    fn a_fingerprint_sees_names_bytes_and_order() {
        let print = |files: &[(&str, &str)]| {
            let folder = folder_with(files);
            Fingerprint::default()
                .folder(folder.path(), &["skipped"])
                .expect("readable")
                .finish()
        };
        let base = print(&[("a", "1"), ("b/c", "2")]);
        assert_eq!(
            base,
            print(&[("b/c", "2"), ("a", "1")]),
            "order of creation does not matter"
        );
        assert_eq!(base, print(&[("a", "1"), ("b/c", "2"), ("skipped/d", "3")]));
        assert_ne!(base, print(&[("a", "1"), ("b/c", "3")]));
        assert_ne!(base, print(&[("a", "1"), ("b/d", "2")]));
        assert_ne!(base, print(&[("a", "2"), ("b/c", "1")]));
    }

    #[test]
    fn a_file_with_the_same_bytes_is_left_alone() {
        let folder = folder_with(&[("a", "1")]);
        let path = folder.path().join("a");
        assert!(!write_if_changed(&path, b"1").expect("writable"));
        assert!(write_if_changed(&path, b"2").expect("writable"));
    }

    #[test]
    fn a_synced_folder_holds_exactly_the_files_of_the_other() {
        let from = folder_with(&[("kept", "new"), ("sub/added", "1")]);
        let to = folder_with(&[("kept", "old"), ("sub/gone", "2")]);
        sync_folder(from.path(), to.path()).expect("both are writable");
        assert_eq!(
            files_below(to.path(), &[]).expect("readable"),
            [PathBuf::from("kept"), PathBuf::from("sub/added")]
        );
        assert_eq!(
            fs::read_to_string(to.path().join("kept")).expect("readable"),
            "new"
        );
    }
}
