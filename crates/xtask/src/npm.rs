//! Node and the npm packages of a folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::process::{on_path, read, run_behind};
use crate::project::Project;
use crate::stamp::{self, Fingerprint};
use crate::ui::Task;

/// The oldest Node whose `fetch`, test runner and WebAssembly do what we need; Debian 12 has 18.
const NODE_MAJOR_MIN: u32 = 18;

/// Debian's packages for Node and npm.
pub(crate) const PACKAGES: [&str; 2] = ["nodejs", "npm"];

/// Whether a Node that is new enough and npm are on `PATH`; if not, why.
pub(crate) fn node_problem() -> Option<String> {
    if on_path("node").is_none() {
        return Some("there is no node on PATH".to_owned());
    }
    let version = read(Command::new("node").arg("--version")).unwrap_or_default();
    match node_major(&version) {
        Some(major) if major >= NODE_MAJOR_MIN => {}
        _ => return Some(format!("node is {version:?}, older than {NODE_MAJOR_MIN}")),
    }
    on_path("npm")
        .is_none()
        .then(|| "there is no npm on PATH".to_owned())
}

fn node_major(version: &str) -> Option<u32> {
    version
        .trim()
        .strip_prefix('v')?
        .split('.')
        .next()?
        .parse()
        .ok()
}

/// One folder with a `package.json` and a lock file, by its path from the root.
pub(crate) struct Packages(pub(crate) &'static str);

impl Packages {
    /// Whether the packages in `node_modules` are those of the lock file.
    pub(crate) fn are_there(&self, project: &Project) -> bool {
        let folder = self.folder(project);
        // npm writes this file last.
        folder.join("node_modules/.package-lock.json").is_file()
            && stamp::matches(project, &self.stamp_name(), &fingerprint(&folder))
    }

    /// Installs exactly what the lock file says.
    ///
    /// # Errors
    /// When npm fails.
    pub(crate) fn install(&self, project: &Project) -> Result<()> {
        let folder = self.folder(project);
        run_behind(
            &format!("npm ci in {}/", self.0),
            npm(&folder).args(["ci", "--no-audit", "--no-fund"]),
            Task::detail,
        )?;
        stamp::write(project, &self.stamp_name(), &fingerprint(&folder))
    }

    /// The command that installs them by hand.
    pub(crate) fn by_hand(&self) -> String {
        format!("cd {} && npm ci", self.0)
    }

    fn folder(&self, project: &Project) -> PathBuf {
        project.path(self.0)
    }

    fn stamp_name(&self) -> String {
        format!("npm-{}", self.0.replace('/', "-"))
    }
}

/// npm in a folder, keeping to itself.
pub(crate) fn npm(folder: &Path) -> Command {
    let mut npm = Command::new("npm");
    // Debian's chromium is the browser of the tests: no package is to fetch another.
    npm.current_dir(folder)
        .env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")
        .env("NO_UPDATE_NOTIFIER", "1");
    npm
}

fn fingerprint(folder: &Path) -> String {
    Fingerprint::default()
        .file(&folder.join("package.json"))
        .file(&folder.join("package-lock.json"))
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_of_node_is_read() {
        assert_eq!(node_major("v20.20.2\n"), Some(20));
        assert_eq!(node_major("v18"), Some(18));
        assert_eq!(node_major("20.1.0"), None);
        assert_eq!(node_major(""), None);
    }
}
