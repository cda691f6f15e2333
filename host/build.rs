//! Embeds what other builds made: the collector component and the dashboard's files.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let artefacts = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../target/tidegate");
    let collector = present(&artefacts, "collector.wasm")?;
    println!(
        "cargo::rustc-env=TIDEGATE_COLLECTOR={}",
        collector.display()
    );
    let dashboard = present(&artefacts, "dashboard")?;
    let mut files = Vec::new();
    collect(&dashboard, &mut files)?;
    files.sort();
    let table = Path::new(&env::var("OUT_DIR")?).join("dashboard.rs");
    fs::write(&table, rendered(&dashboard, &files)?)?;
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}

/// The artefact at `name`, which another build has to have made.
fn present(artefacts: &Path, name: &str) -> Result<PathBuf, Box<dyn Error>> {
    let path = artefacts.join(name);
    println!("cargo::rerun-if-changed={}", path.display());
    fs::canonicalize(&path).map_err(|_| {
        println!("cargo::error=target/tidegate/{name} is not there: run `cargo xtask build` first, which makes it");
        format!("missing artefact {name}").into()
    })
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// A table of URL paths and contents, sorted by path.
fn rendered(root: &Path, files: &[PathBuf]) -> Result<String, Box<dyn Error>> {
    let mut table = String::from("static FILES: &[(&str, &[u8])] = &[\n");
    for file in files {
        let name = file
            .strip_prefix(root)?
            .to_str()
            .ok_or("a dashboard file's name is not UTF-8")?
            .replace('\\', "/");
        writeln!(
            table,
            "    ({:?}, include_bytes!({:?})),",
            format!("/{name}"),
            file.display().to_string()
        )?;
    }
    table.push_str("];\n");
    Ok(table)
}
