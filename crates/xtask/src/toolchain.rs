//! Which compiler builds for WebAssembly, and how to get its standard library.
//!
//! The active Rust does it when it has the `wasm32-unknown-unknown` library. Otherwise rustup adds that library, or,
//! where `RUSTUP_AUTO_INSTALL=0` forbids rustup to download, the library is built from the sources that Debian ships
//! for its own newer compiler ([`crate::debian`]).

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::debian;
use crate::process::{on_path, read, run_behind};
use crate::project::Project;
use crate::ui::{self, Task};

/// The one wasm target: the component, the npm package and the tests are all made from it.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Settings meant for native builds, or for the compiler that runs xtask, that would break a wasm build.
const FOREIGN_VARIABLES: [&str; 14] = [
    "CARGO",
    "CARGO_BUILD_RUSTC",
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "RUSTC",
    "RUSTC_BOOTSTRAP",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTDOC",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
];

/// A compiler that can build for [`TARGET`].
#[derive(Debug)]
pub(crate) enum WasmToolchain {
    /// The Rust that also builds the native code.
    Active,
    /// Debian's Rust, with the library kept in this folder.
    Debian(PathBuf),
}

impl WasmToolchain {
    /// The one that is ready to use, if any.
    pub(crate) fn find(project: &Project) -> Option<Self> {
        if active_has_library(project) {
            return Some(Self::Active);
        }
        let folder = debian_folder(project);
        debian::is_complete(&folder).then_some(Self::Debian(folder))
    }

    /// A cargo command in the root that compiles with this toolchain, for [`TARGET`], into `target/wasm`.
    ///
    /// The folder is its own because the compiler may differ from the one that fills `target/debug`.
    pub(crate) fn cargo(&self, project: &Project, verb: &str) -> Command {
        let mut command = match self {
            Self::Active => project.cargo(),
            Self::Debian(folder) => debian::cargo(folder),
        };
        forget_foreign_settings(&mut command);
        command
            .current_dir(&project.root)
            .args([verb, "--target", TARGET, "--target-dir"]);
        command.arg(project.path("target/wasm"));
        command
    }
}

/// Whether only Debian's packages are left as a way to the library.
pub(crate) fn wants_debian() -> bool {
    !rustup_may_download()
}

/// Gets the library, by rustup or from Debian's packages, which are installed already when they are needed.
///
/// # Errors
/// When neither way works.
pub(crate) fn obtain(project: &Project) -> Result<()> {
    if rustup_may_download() {
        let mut add = Command::new("rustup");
        add.current_dir(&project.root)
            .args(["target", "add", TARGET]);
        match run_behind(
            "rustup target add wasm32-unknown-unknown",
            &mut add,
            Task::detail,
        ) {
            Ok(()) if active_has_library(project) => return Ok(()),
            Ok(()) => ui::say("rustup is content, yet the active Rust still has no such library"),
            Err(error) => ui::say(&format!("{error:#}")),
        }
    }
    debian::build(&debian_folder(project))
        .context("the wasm standard library from Debian's packages")
}

/// The command that gets the library by hand.
pub(crate) fn by_hand() -> String {
    format!("rustup target add {TARGET}")
}

fn debian_folder(project: &Project) -> PathBuf {
    project.artefact("wasm-toolchain")
}

fn rustup_may_download() -> bool {
    on_path("rustup").is_some()
        && std::env::var_os("RUSTUP_AUTO_INSTALL").is_none_or(|value| value != "0")
}

fn active_has_library(project: &Project) -> bool {
    let mut rustc = Command::new("rustc");
    rustc
        .current_dir(&project.root)
        .args(["--print", "target-libdir", "--target", TARGET]);
    read(&mut rustc).is_ok_and(|folder| has_std(Path::new(&folder)))
}

/// Whether a library folder holds `std`.
pub(crate) fn has_std(folder: &Path) -> bool {
    folder.read_dir().is_ok_and(|entries| {
        entries.flatten().any(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with("libstd-") && name.ends_with(".rlib")
        })
    })
}

/// Removes what was set for another compiler or another target.
pub(crate) fn forget_foreign_settings(command: &mut Command) {
    for name in FOREIGN_VARIABLES {
        command.env_remove(name);
    }
}
