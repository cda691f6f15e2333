//! Builds what Tidegate is made of: the collector component, the npm package, the dashboard and the host.
//!
//! Each piece is skipped when what it is made from has not changed, and its files are only written when their bytes
//! differ: the host embeds them, and a touched file would have it compiled again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::ValueEnum;
use wasm_bindgen_cli_support::Bindgen;

use crate::cargo::{self, Wanted};
use crate::npm::npm;
use crate::process::run_behind;
use crate::project::Project;
use crate::setup::Need;
use crate::stamp::{self, Fingerprint};
use crate::toolchain::WasmToolchain;
use crate::ui::{self, Task};
use crate::{component, process};

/// The packages that share one choice of dependency features.
///
/// Cargo picks features for the packages of a command together. Naming the same packages in every native build, test
/// and lint keeps wasmtime from being compiled once more for another choice. xtask stands apart: its tools for wasm
/// would only add features that the host does not need. The features named are those that nobody else asks for, and
/// that have tests.
pub(crate) const NATIVE: [&str; 5] = [
    "--workspace",
    "--exclude",
    "tidegate-xtask",
    "--features",
    "tidegate-record/remote",
];

/// How the pieces are made; they are made again when it changes, even from the same input.
const RECIPE: &str = concat!(include_str!("artefacts.rs"), include_str!("component.rs"));

/// What wasm-opt may use: all of it is in every browser and Node we support, and the compiler uses it by default.
const WASM_FEATURES: [&str; 7] = [
    "--enable-bulk-memory",
    "--enable-bulk-memory-opt",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

/// A piece of Tidegate that can be built by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Piece {
    /// The collector component that the host runs.
    Wasm,
    /// The npm package `tidegate`.
    Npm,
    /// The dashboard; wants the npm package.
    Dashboard,
    /// The program `tidegate`; embeds the component and the dashboard.
    Host,
    /// The conformance scripts for Node and the browser; only the tests want them.
    Conformance,
}

impl Piece {
    /// What building this piece takes.
    pub(crate) fn needs(self) -> &'static [Need] {
        match self {
            Self::Wasm | Self::Conformance => &[Need::WasmLibrary],
            // wasm-opt is one of the dashboard's npm packages.
            Self::Npm => &[Need::WasmLibrary, Need::Node, Need::WebPackages],
            Self::Dashboard => &[Need::Node, Need::WebPackages],
            Self::Host => &[],
        }
    }
}

/// What a demo is made of, in the order in which the pieces need each other.
pub(crate) const FOR_DEMO: [Piece; 4] = [Piece::Wasm, Piece::Npm, Piece::Dashboard, Piece::Host];

/// What the tests want.
pub(crate) const FOR_TEST: [Piece; 5] = [
    Piece::Wasm,
    Piece::Npm,
    Piece::Dashboard,
    Piece::Conformance,
    Piece::Host,
];

/// How the native program is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quick to build.
    Dev,
    /// As `Dev`, together with all tests: what they want of shared dependencies would have some built twice.
    DevWithTests,
    /// Quick to run.
    Release,
}

/// Builds these pieces in this order; gives back the program, if the host was one of them.
///
/// # Errors
/// When a piece cannot be built.
pub(crate) fn build(
    project: &Project,
    pieces: &[Piece],
    profile: Profile,
) -> Result<Option<PathBuf>> {
    let mut program = None;
    for piece in pieces {
        match piece {
            Piece::Wasm => collector(project).context("the collector component")?,
            Piece::Npm => npm_package(project).context("the npm package")?,
            Piece::Dashboard => dashboard(project).context("the dashboard")?,
            Piece::Conformance => {
                conformance(project).context("the conformance scripts for JavaScript")?
            }
            Piece::Host => program = Some(host(project, profile).context("the host")?),
        }
    }
    Ok(program)
}

fn collector(project: &Project) -> Result<()> {
    let module = compile_wasm(project, "tidegate-guest", &[])?;
    let bytes = fs::read(&module)?;
    let output = project.artefact("collector.wasm");
    made_from(
        project,
        "collector",
        Fingerprint::default().bytes(&bytes),
        &output,
        |task| {
            let component = component::encode(&bytes)?;
            task.detail(&kib(component.len()));
            stamp::write_if_changed(&output, &component)?;
            Ok(())
        },
    )
}

fn npm_package(project: &Project) -> Result<()> {
    let module = compile_wasm(project, "tidegate-browser", &[])?;
    let by_hand = project.path("crates/browser/npm");
    let wasm_opt = project.path("web/node_modules/.bin/wasm-opt");
    let print = Fingerprint::default()
        .file(&module)
        .folder(&by_hand, &["node_modules"])?
        .file(&project.path("web/node_modules/binaryen/package.json"));
    let output = project.artefact("npm");
    made_from(project, "npm", print, &output, |task| {
        let draft = Draft::new(project, "npm.draft")?;
        task.detail("wasm-bindgen");
        let wasm = bind(&module, &draft.0, "tidegate")?;
        if wasm_opt.exists() {
            task.detail("wasm-opt");
            optimise(&wasm_opt, &wasm)?;
        } else {
            ui::say("no wasm-opt among the dashboard's npm packages: the npm package stays large");
        }
        for file in stamp::files_below(&by_hand, &["node_modules"])? {
            stamp::write_if_changed(&draft.0.join(&file), &fs::read(by_hand.join(&file))?)?;
        }
        fs::create_dir_all(&output)?;
        stamp::sync_folder(&draft.0, &output)
    })
}

fn conformance(project: &Project) -> Result<()> {
    let module = compile_wasm(project, "tidegate-conformance", &["--features", "browser"])?;
    let output = project.artefact("conformance");
    made_from(
        project,
        "conformance",
        Fingerprint::default().file(&module),
        &output,
        |_| {
            let draft = Draft::new(project, "conformance.draft")?;
            bind(&module, &draft.0, "tidegate_conformance")?;
            fs::create_dir_all(&output)?;
            stamp::sync_folder(&draft.0, &output)
        },
    )
}

fn dashboard(project: &Project) -> Result<()> {
    let web = project.path("web");
    let print = Fingerprint::default()
        .folder(&web, &["node_modules", "dist"])?
        .folder(&project.artefact("npm"), &[])?;
    let output = project.artefact("dashboard");
    made_from(project, "dashboard", print, &output, |_| {
        let draft = Draft::new(project, "dashboard.draft")?;
        let mut build = npm(&web);
        build
            .args(["run", "build", "--", "--emptyOutDir", "--outDir"])
            .arg(&draft.0);
        run_behind("vite build", &mut build, Task::detail)?;
        fs::create_dir_all(&output)?;
        stamp::sync_folder(&draft.0, &output)
    })
}

fn host(project: &Project, profile: Profile) -> Result<PathBuf> {
    let mut build = project.cargo();
    build.arg("build").args(NATIVE).args(["--bin", "tidegate"]);
    match profile {
        Profile::Dev => {}
        Profile::DevWithTests => drop(build.arg("--tests")),
        Profile::Release => drop(build.arg("--release")),
    }
    cargo::build(
        &mut build,
        &Wanted {
            target: "tidegate",
            extension: None,
        },
    )
}

/// Builds the decoder that the bench runs in Node; gives back the wasm file.
///
/// # Errors
/// When there is no compiler for it, or it fails.
pub(crate) fn decoder(project: &Project) -> Result<PathBuf> {
    compile_wasm(project, "tidegate-bench-wasm", &[])
}

fn compile_wasm(project: &Project, package: &str, options: &[&str]) -> Result<PathBuf> {
    let toolchain =
        WasmToolchain::find(project).context("no compiler for wasm: the set-up did not run")?;
    let mut build = toolchain.cargo(project, "build");
    build
        .args(["--profile", "wasm", "--lib", "--package", package])
        .args(options);
    cargo::build(
        &mut build,
        &Wanted {
            target: &package.replace('-', "_"),
            extension: Some("wasm"),
        },
    )
}

/// Makes `output` unless its stamp says that it was made from this very input.
fn made_from(
    project: &Project,
    name: &str,
    print: Fingerprint,
    output: &Path,
    make: impl FnOnce(&Task) -> Result<()>,
) -> Result<()> {
    let print = print.text(RECIPE).finish();
    if output.exists() && stamp::matches(project, name, &print) {
        return Ok(());
    }
    let label = format!(
        "target/tidegate/{}",
        output.file_name().unwrap_or_default().to_string_lossy()
    );
    let task = Task::start(&label);
    match make(&task) {
        Ok(()) => task.done(),
        Err(error) => {
            task.failed();
            return Err(error);
        }
    }
    stamp::write(project, name, &print)
}

/// Writes JavaScript, types and wasm for the `web` platform into a folder, under this name; gives back the wasm file.
///
/// Node 18 and Chromium both load that form, the wasm's bytes or address given.
fn bind(module: &Path, folder: &Path, name: &str) -> Result<PathBuf> {
    Bindgen::new()
        .input_path(module)
        .out_name(name)
        .web(true)
        .and_then(|bindgen| bindgen.typescript(true).generate(folder))
        .with_context(|| format!("wasm-bindgen cannot bind {}", module.display()))?;
    Ok(folder.join(format!("{name}_bg.wasm")))
}

fn optimise(wasm_opt: &Path, wasm: &Path) -> Result<()> {
    let mut command = Command::new(wasm_opt);
    command
        .args(WASM_FEATURES)
        .args(["-O3", "--strip-debug", "--strip-producers", "-o"])
        .arg(wasm)
        .arg(wasm);
    process::run(&mut command)
}

fn kib(bytes: usize) -> String {
    format!("{} KiB", bytes.div_ceil(1024))
}

/// An empty folder under `target/tidegate` that goes away with the value.
struct Draft(PathBuf);

impl Draft {
    fn new(project: &Project, name: &str) -> Result<Self> {
        let folder = project.artefact(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // What stays behind is removed by the next build.
        let _ = fs::remove_dir_all(&self.0);
    }
}
