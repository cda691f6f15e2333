//! Where things are: the workspace, its `target/`, and the artefacts under it.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::ui;

/// The work tree this xtask was started for.
pub(crate) struct Project {
    /// The folder with the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
}

impl Project {
    /// The project whose xtask is running.
    ///
    /// # Errors
    /// When the work tree has gone, or moved after the build without cargo noticing.
    pub(crate) fn find() -> Result<Self> {
        // `cargo run` says at run time where the package is; a binary started by hand only knows where it was built.
        let manifest_dir = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest_dir
            .join("../..")
            .canonicalize()
            .with_context(|| format!("no workspace above {}", manifest_dir.display()))?;
        Ok(Self { root })
    }

    /// A path below the root.
    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// A path below `target/tidegate/`, which stays there whatever `CARGO_TARGET_DIR` says: the crates that embed
    /// artefacts look for them at this place.
    pub(crate) fn artefact(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join("target/tidegate").join(relative)
    }

    /// The cargo that runs this xtask, in the root, for native code.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&self.root);
        forget_own_package(&mut command);
        command
    }

    /// Keeps other `cargo xtask` runs in this work tree out until the guard is dropped.
    ///
    /// # Errors
    /// When the lock file cannot be made or locked.
    pub(crate) fn lock(&self) -> Result<File> {
        let path = self.artefact("lock");
        fs::create_dir_all(self.artefact(""))?;
        let file =
            File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                ui::say("another cargo xtask is setting up or building here: waiting for it");
                file.lock()
                    .context("cannot wait for the other cargo xtask")?;
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).context("cannot lock target/tidegate");
            }
        }
        Ok(file)
    }
}

/// Removes what `cargo run` told xtask about xtask, lest a nested cargo or its build scripts take it for theirs.
pub(crate) fn forget_own_package(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_")
            || text.starts_with("CARGO_MANIFEST_")
            || text == "CARGO_BIN_NAME"
        {
            command.env_remove(&name);
        }
    }
}
