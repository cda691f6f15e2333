//! The wasm standard library from Debian's packages: built once, kept as a small sysroot of its own.
//!
//! Debian ships a compiler, its sources and a linker, but no library for `wasm32-unknown-unknown`. So the sources are
//! compiled once (`-Zbuild-std`), and the results laid out as a sysroot beside links to the compiler's own files, with
//! wrappers in `bin/` that pass `--sysroot`. The wrappers hold absolute paths; a stamp written last tells whether the
//! folder still fits the place it stands at, the compiler and its own files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, bail, ensure};

use crate::process::{read, run, run_behind};
use crate::project::forget_own_package;
use crate::toolchain::{TARGET, forget_foreign_settings, has_std};

/// Debian's packages: compiler, cargo, library sources, the compiler's LLVM, the wasm linker.
pub(crate) const PACKAGES: [&str; 5] = [
    "rustc-web",
    "cargo-web",
    "rust-web-src",
    "rust-web-llvm",
    "lld-22",
];

/// Debian's own programs, never the ones rustup puts first on `PATH`.
const RUSTC: &str = "/usr/bin/rustc";
const RUSTDOC: &str = "/usr/bin/rustdoc";
const CARGO: &str = "/usr/bin/cargo";
/// Where Debian's compiler keeps its libraries.
const RUSTLIB: &str = "/usr/lib/rustlib";
/// Where the compiler looks for the sources of the library.
const SOURCES: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";
/// Changes whenever this module lays the folder out differently.
const LAYOUT: &str = "1";
const STAMP: &str = "complete";
/// Crates of the standard library, for the bar; the build prints one line for each.
const STD_CRATES: f64 = 27.0;

/// Whether the folder holds a library that Debian's present compiler can use from here.
///
/// Notices a folder that was moved, is incomplete or damaged, and a compiler that changed since.
pub(crate) fn is_complete(folder: &Path) -> bool {
    let Ok(stamp) = fs::read_to_string(folder.join(STAMP)) else {
        return false;
    };
    expected_stamp(folder, folder).is_ok_and(|expected| expected == stamp)
}

/// A cargo command that compiles with the folder's library.
pub(crate) fn cargo(folder: &Path) -> Command {
    let mut command = Command::new(folder.join("bin/cargo"));
    clean(&mut command);
    command
}

/// Builds the library and puts it at `folder`, in place of whatever is there. Takes about a minute.
///
/// # Errors
/// When the packages are incomplete, the build fails or the folder cannot be written; then `folder` is not there.
pub(crate) fn build(folder: &Path) -> Result<()> {
    for file in [RUSTC, CARGO, SOURCES] {
        ensure!(
            Path::new(file).exists(),
            "{file} is missing: is one of {} not installed?",
            PACKAGES.join(", ")
        );
    }
    remove(folder)?;
    // Made beside its place and renamed when complete, so that an interrupted build leaves nothing half done.
    let draft = folder.with_extension("draft");
    remove(&draft)?;
    let crate_folder = draft.join("build");
    write_empty_crate(&crate_folder)?;
    compile(&crate_folder)?;
    lay_out(&crate_folder, &draft)?;
    write_wrappers(&draft, folder)?;
    try_out(&draft)?;
    fs::remove_dir_all(&crate_folder)?;
    fs::write(draft.join(STAMP), expected_stamp(&draft, folder)?)?;
    fs::rename(&draft, folder)
        .with_context(|| format!("cannot move {} into place", draft.display()))
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// A library with nothing in it, only there to make cargo build `std`.
fn write_empty_crate(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder.join("src"))?;
    // A workspace of its own: the folder lies inside another one.
    let manifest =
        "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[workspace]\n";
    fs::write(folder.join("Cargo.toml"), manifest)?;
    fs::write(folder.join("src/lib.rs"), "#![no_std]\n")?;
    Ok(())
}

fn compile(folder: &Path) -> Result<()> {
    let mut build = Command::new(CARGO);
    clean(&mut build);
    // The bootstrap switch makes the released compiler accept -Z; the bitcode lets the library take part in LTO.
    build
        .current_dir(folder)
        .env("RUSTC", RUSTC)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Cembed-bitcode=yes")
        .args([
            "build",
            "--release",
            "-Zbuild-std=std,panic_abort,test",
            "--target",
            TARGET,
            "--target-dir",
            "target",
        ]);
    let mut crates = 0.0;
    run_behind(
        "building the wasm standard library",
        &mut build,
        |task, line| {
            if line.trim_start().starts_with("Compiling") {
                crates += 1.0;
                task.progress(crates / STD_CRATES);
            }
            task.detail(line);
        },
    )
}

/// Copies the compiled libraries and links the compiler's own into the shape of a sysroot.
fn lay_out(crate_folder: &Path, sysroot: &Path) -> Result<()> {
    let rustlib = sysroot.join("lib/rustlib");
    let library = rustlib.join(TARGET).join("lib");
    fs::create_dir_all(&library)?;
    let compiled = crate_folder
        .join("target")
        .join(TARGET)
        .join("release/deps");
    for entry in fs::read_dir(&compiled)
        .with_context(|| format!("nothing was built in {}", compiled.display()))?
    {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".rlib") && !name.starts_with("libempty-") {
            fs::copy(entry.path(), library.join(&name))?;
        }
    }
    ensure!(
        has_std(&library),
        "cargo built no libstd in {}",
        compiled.display()
    );
    for name in [host_triple()?.as_str(), "etc", "src"] {
        let original = Path::new(RUSTLIB).join(name);
        if original.exists() {
            link(&original, &rustlib.join(name))?;
        }
    }
    Ok(())
}

#[cfg(unix)]
fn link(original: &Path, at: &Path) -> Result<()> {
    Ok(std::os::unix::fs::symlink(original, at)?)
}

#[cfg(not(unix))]
fn link(original: &Path, _at: &Path) -> Result<()> {
    bail!("cannot link {}: not a Unix", original.display())
}

fn write_wrappers(draft: &Path, folder: &Path) -> Result<()> {
    let place = folder
        .to_str()
        .context("the project's path is not UTF-8, which the wrappers need")?;
    if place.contains('\'') {
        bail!("the project's path contains a quote, which the wrappers cannot hold: {place}");
    }
    let bin = draft.join("bin");
    fs::create_dir_all(&bin)?;
    let exports = format!("RUSTC='{place}/bin/rustc' RUSTDOC='{place}/bin/rustdoc'");
    for (name, body) in [
        ("rustc", format!("exec {RUSTC} --sysroot '{place}' \"$@\"")),
        (
            "rustdoc",
            format!("exec {RUSTDOC} --sysroot '{place}' \"$@\""),
        ),
        ("cargo", format!("{exports} exec {CARGO} \"$@\"")),
    ] {
        let path = bin.join(name);
        fs::write(&path, format!("#!/bin/sh\n{body}\n"))?;
        make_executable(&path)?;
    }
    Ok(())
}

#[cfg(unix)]
fn make_executable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::set_permissions(
        path,
        fs::Permissions::from_mode(0o755),
    )?)
}

#[cfg(not(unix))]
fn make_executable(_path: &Path) -> Result<()> {
    Ok(())
}

/// Links one wasm module with the draft: better to find out here than in the middle of a build.
fn try_out(draft: &Path) -> Result<()> {
    let source = draft.join("build/try.rs");
    fs::write(
        &source,
        "#[unsafe(no_mangle)] pub extern \"C\" fn f(n: usize) -> usize { vec![1; n].len() }\n",
    )?;
    let mut rustc = Command::new(RUSTC);
    clean(&mut rustc);
    rustc.arg("--sysroot").arg(draft).args([
        "--target",
        TARGET,
        "--crate-type",
        "cdylib",
        "--edition",
        "2024",
    ]);
    rustc
        .args(["-O", "-Cpanic=abort", "-Clto=fat", "-o"])
        .arg(draft.join("build/try.wasm"))
        .arg(&source);
    run(&mut rustc).context("the new wasm standard library does not link")
}

/// What the stamp of a complete folder says: layout, place, compiler, and each file with its size and time of change.
///
/// `files_in` is where the files are now, `folder` where they are meant to be used.
fn expected_stamp(files_in: &Path, folder: &Path) -> Result<String> {
    let mut stamp = format!(
        "layout {LAYOUT}\nplace {}\n{}\n",
        folder.display(),
        compiler()?
    );
    let library = Path::new("lib/rustlib").join(TARGET).join("lib");
    let mut files: Vec<PathBuf> = ["rustc", "rustdoc", "cargo"]
        .map(|name| Path::new("bin").join(name))
        .into_iter()
        .collect();
    for entry in fs::read_dir(files_in.join(&library))? {
        files.push(library.join(entry?.file_name()));
    }
    files.sort();
    for file in files {
        let meta = fs::metadata(files_in.join(&file))?;
        let changed_ns = meta.modified()?.duration_since(UNIX_EPOCH)?.as_nanos();
        stamp.push_str(&format!("{} {} {changed_ns}\n", file.display(), meta.len()));
    }
    Ok(stamp)
}

fn compiler() -> Result<String> {
    let mut rustc = Command::new(RUSTC);
    clean(&mut rustc);
    read(rustc.arg("-vV"))
}

fn host_triple() -> Result<String> {
    let version = compiler()?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .context("Debian's rustc does not say which host it runs on")
}

/// Takes away what points at rustup's toolchain.
fn clean(command: &mut Command) {
    forget_own_package(command);
    forget_foreign_settings(command);
    // `cargo run` puts rustup's own libraries there.
    command
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("LD_LIBRARY_PATH");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_a_stamp_is_not_complete() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert!(!is_complete(folder.path()));
        assert!(!is_complete(&folder.path().join("not-there")));
    }

    #[test]
    fn the_wrappers_point_at_the_final_place() {
        let draft = tempfile::tempdir().expect("a temporary folder");
        write_wrappers(draft.path(), Path::new("/final/place")).expect("writable");
        let cargo = fs::read_to_string(draft.path().join("bin/cargo")).expect("written");
        assert_eq!(
            cargo,
            "#!/bin/sh\nRUSTC='/final/place/bin/rustc' RUSTDOC='/final/place/bin/rustdoc' exec /usr/bin/cargo \"$@\"\n"
        );
        assert!(write_wrappers(draft.path(), Path::new("/it's/here")).is_err());
    }
}
