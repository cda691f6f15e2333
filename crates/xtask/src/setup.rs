//! Brings what the build and the tests need and is not there.
//!
//! Looking takes well under a second, so every verb does it first, for its own purpose. What is missing is fetched
//! with as few questions to the system as possible: all of apt's packages in one go, then the wasm library, then npm.

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::npm::{self, Packages};
use crate::process::on_path;
use crate::project::Project;
use crate::toolchain::{self, WasmToolchain};
use crate::{apt, debian, measure, python, ui};

/// What the set-up is for; each purpose brings only what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Purpose {
    /// What building and running Tidegate takes: the wasm library, Node, the dashboard's npm packages.
    Demo,
    /// The same, and Chromium, Prometheus, the browser tests' npm packages, and clients of Prometheus.
    Test,
    /// Everything; the same as `test`.
    All,
}

/// One thing that may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Node and npm.
    Node,
    /// The browser of the tests.
    Chromium,
    /// The program and `promtool`, for the tests.
    Prometheus,
    /// A cache that is measured beside ours.
    Nginx,
    /// What loads servers that are measured.
    Wrk,
    /// What reads the counters of a test's coverage.
    Llvm,
    /// What compiles for WebAssembly.
    WasmLibrary,
    /// The npm packages of `web/`.
    WebPackages,
    /// The npm packages of `tests/browser/`.
    BrowserTestPackages,
    /// The npm packages of `tests/e2e/clients/node/`.
    NodeClient,
    /// The Python packages of `tests/e2e/clients/python/`.
    PythonClient,
}

const WEB: Packages = Packages("web");
const BROWSER_TESTS: Packages = Packages("tests/browser");
const NODE_CLIENT: Packages = Packages("tests/e2e/clients/node");

impl Purpose {
    /// What this purpose needs, in the order in which it is brought.
    pub(crate) fn needs(self) -> &'static [Need] {
        match self {
            Self::Demo => &[Need::Node, Need::WasmLibrary, Need::WebPackages],
            Self::Test | Self::All => &[
                Need::Node,
                Need::Chromium,
                Need::Prometheus,
                Need::WasmLibrary,
                Need::WebPackages,
                Need::BrowserTestPackages,
                Need::NodeClient,
                Need::PythonClient,
            ],
        }
    }
}

impl Need {
    fn name(self) -> &'static str {
        match self {
            Self::Node => "Node 18 or newer, with npm",
            Self::Chromium => "Chromium",
            Self::Prometheus => "Prometheus, with promtool",
            Self::Nginx => "nginx",
            Self::Wrk => "wrk",
            Self::Llvm => "LLVM's tools, llvm-profdata and llvm-cov",
            Self::WasmLibrary => "the standard library of wasm32-unknown-unknown",
            Self::WebPackages => "the npm packages of the dashboard",
            Self::BrowserTestPackages => "the npm packages of the browser tests",
            Self::NodeClient => "Prometheus' client for Node",
            Self::PythonClient => "Prometheus' client for Python",
        }
    }

    fn is_met(self, project: &Project) -> bool {
        match self {
            Self::Node => npm::node_problem().is_none(),
            Self::Chromium => on_path("chromium").is_some(),
            Self::Prometheus => on_path("prometheus").is_some() && on_path("promtool").is_some(),
            Self::Nginx => on_path("nginx").is_some(),
            Self::Wrk => on_path("wrk").is_some(),
            Self::Llvm => measure::has_tools(),
            Self::WasmLibrary => WasmToolchain::find(project).is_some(),
            Self::WebPackages => WEB.are_there(project),
            Self::BrowserTestPackages => BROWSER_TESTS.are_there(project),
            Self::NodeClient => NODE_CLIENT.are_there(project),
            Self::PythonClient => python::are_there(project),
        }
    }

    /// Debian's packages that meet the need or take part in it.
    fn apt_packages(self) -> &'static [&'static str] {
        match self {
            Self::Node => &npm::PACKAGES,
            Self::Chromium => &["chromium"],
            Self::Prometheus => &["prometheus"],
            Self::Nginx => &["nginx-light"],
            Self::Wrk => &["wrk"],
            Self::Llvm => &[measure::PACKAGE],
            Self::WasmLibrary if toolchain::wants_debian() => &debian::PACKAGES,
            Self::PythonClient if !python::can_make_environments() => &python::PACKAGES,
            Self::WasmLibrary
            | Self::WebPackages
            | Self::BrowserTestPackages
            | Self::NodeClient
            | Self::PythonClient => &[],
        }
    }

    /// What is left to do once apt's packages are there.
    fn finish(self, project: &Project) -> Result<()> {
        match self {
            Self::WasmLibrary => toolchain::obtain(project),
            Self::WebPackages => WEB.install(project),
            Self::BrowserTestPackages => BROWSER_TESTS.install(project),
            Self::NodeClient => NODE_CLIENT.install(project),
            Self::PythonClient => python::install(project),
            Self::Node
            | Self::Chromium
            | Self::Prometheus
            | Self::Nginx
            | Self::Wrk
            | Self::Llvm => Ok(()),
        }
    }

    /// The command a person would type.
    fn by_hand(self) -> String {
        match self {
            Self::WasmLibrary => toolchain::by_hand(),
            Self::WebPackages => WEB.by_hand(),
            Self::BrowserTestPackages => BROWSER_TESTS.by_hand(),
            Self::NodeClient => NODE_CLIENT.by_hand(),
            Self::PythonClient => python::by_hand(),
            Self::Node
            | Self::Chromium
            | Self::Prometheus
            | Self::Nginx
            | Self::Wrk
            | Self::Llvm
                if apt::available() =>
            {
                apt::by_hand(self.apt_packages())
            }
            Self::Node => "install Node from your system's packages, then put node and npm on PATH".to_owned(),
            Self::Chromium => "install Chromium from your system's packages, then put chromium on PATH".to_owned(),
            Self::Nginx => "install nginx from your system's packages, then put nginx on PATH".to_owned(),
            Self::Wrk => "install wrk from your system's packages, then put wrk on PATH".to_owned(),
            Self::Llvm => "install LLVM 22 or newer, then put llvm-profdata and llvm-cov on PATH".to_owned(),
            Self::Prometheus => {
                "install Prometheus from your system's packages, then put prometheus and promtool on PATH".to_owned()
            }
        }
    }
}

/// Brings what is needed and missing; says nothing when all is there.
///
/// # Errors
/// When something cannot be brought; each such thing has been named, with the command that would bring it.
pub(crate) fn run(project: &Project, needs: &[Need]) -> Result<()> {
    let mut missing: Vec<Need> = Vec::new();
    for need in needs {
        if !missing.contains(need) && !need.is_met(project) {
            missing.push(*need);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    for need in &missing {
        ui::say(&format!("missing: {}", need.name()));
    }
    install_packages(&missing);
    let mut unmet = Vec::new();
    for need in missing {
        let result = need.finish(project);
        if need.is_met(project) {
            continue;
        }
        if let Err(error) = result {
            ui::say(&format!("{error:#}"));
        }
        unmet.push(need);
    }
    if unmet.is_empty() {
        return Ok(());
    }
    for need in &unmet {
        ui::bad(&format!(
            "cannot get {}; try:  {}",
            need.name(),
            ui::bold(&need.by_hand())
        ));
    }
    bail!("the set-up is incomplete: {} missing", unmet.len())
}

/// Everything from apt at once. A failure is told here and judged later, by what is then missing.
fn install_packages(missing: &[Need]) {
    let mut packages: Vec<&'static str> = missing
        .iter()
        .flat_map(|need| need.apt_packages())
        .copied()
        .collect();
    packages.dedup();
    if packages.is_empty() || !apt::available() {
        return;
    }
    let packages = apt::missing(&packages);
    if packages.is_empty() {
        return;
    }
    if let Err(error) = apt::install(&packages) {
        ui::say(&format!("{error:#}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_wants_neither_a_browser_nor_prometheus() {
        let needs = Purpose::Demo.needs();
        assert!(!needs.contains(&Need::Chromium) && !needs.contains(&Need::Prometheus));
        assert!(
            needs
                .iter()
                .all(|need| Purpose::Test.needs().contains(need))
        );
    }

    #[test]
    fn every_need_names_a_command() {
        for need in Purpose::All.needs() {
            assert!(
                !need.name().is_empty() && need.by_hand().contains(' '),
                "{need:?}"
            );
        }
    }
}
