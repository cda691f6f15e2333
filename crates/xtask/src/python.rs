//! The Python packages of the tests, in an environment of their own under `target/`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::process::{on_path, read, run_behind};
use crate::project::Project;
use crate::stamp::{self, Fingerprint};
use crate::ui::Task;

/// Debian's packages for Python and its environments.
pub(crate) const PACKAGES: [&str; 2] = ["python3", "python3-venv"];

/// Names every package and its version.
const REQUIREMENTS: &str = "tests/e2e/clients/python/requirements.txt";

/// Where the environment is, below `target/tidegate/`; the tests look for it there.
const ENVIRONMENT: &str = "python-client";

/// Whether there is a Python, and whole: Debian's lacks what makes environments.
pub(crate) fn can_make_environments() -> bool {
    on_path("python3").is_some_and(|python| {
        read(Command::new(python).args(["-c", "import venv, ensurepip"])).is_ok()
    })
}

/// Whether the packages in the environment are those that are asked for.
pub(crate) fn are_there(project: &Project) -> bool {
    python(project).is_file() && stamp::matches(project, ENVIRONMENT, &fingerprint(project))
}

/// Makes the environment and installs exactly what is asked for.
///
/// # Errors
/// When Python or pip fails.
pub(crate) fn install(project: &Project) -> Result<()> {
    let folder = project.artefact(ENVIRONMENT);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    run_behind(
        "python3 -m venv",
        Command::new("python3").args(["-m", "venv"]).arg(&folder),
        Task::detail,
    )?;
    let mut pip = Command::new(python(project));
    pip.current_dir(&project.root)
        .args(["-m", "pip", "install", "--no-deps", "--no-input"])
        .args(["--disable-pip-version-check", "--requirement", REQUIREMENTS]);
    run_behind(
        &format!("pip install -r {REQUIREMENTS}"),
        &mut pip,
        Task::detail,
    )?;
    stamp::write(project, ENVIRONMENT, &fingerprint(project))
}

/// The command that installs them by hand.
pub(crate) fn by_hand() -> String {
    format!(
        "python3 -m venv target/tidegate/{ENVIRONMENT} && target/tidegate/{ENVIRONMENT}/bin/pip install -r {REQUIREMENTS}"
    )
}

fn python(project: &Project) -> PathBuf {
    project.artefact(ENVIRONMENT).join("bin/python")
}

fn fingerprint(project: &Project) -> String {
    Fingerprint::default()
        .file(&project.path(REQUIREMENTS))
        .finish()
}
