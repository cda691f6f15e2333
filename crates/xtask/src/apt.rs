//! Debian's packages: what is installed by apt, how, and what to type where that is not possible.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{on_path, read, run_behind};
use crate::ui::Task;

/// Retries of a download that breaks off, and how long to wait for another apt.
const APT_OPTIONS: [&str; 4] = ["-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=120"];
/// Of the bar, how much is downloading; the rest is unpacking and configuring.
const DOWNLOAD_SHARE: f64 = 0.5;

/// Whether this machine installs packages with apt.
pub(crate) fn available() -> bool {
    on_path("apt-get").is_some() && on_path("dpkg").is_some()
}

/// Of these packages, those that are not installed.
pub(crate) fn missing(packages: &[&'static str]) -> Vec<&'static str> {
    let installed = |package: &&str| {
        read(Command::new("dpkg-query").args(["-W", "-f", "${db:Status-Status}", package]))
            .is_ok_and(|status| status == "installed")
    };
    packages
        .iter()
        .copied()
        .filter(|package| !installed(package))
        .collect()
}

/// What a person would type to install these packages.
pub(crate) fn by_hand(packages: &[&str]) -> String {
    let sudo = if is_root() { "" } else { "sudo " };
    format!(
        "{sudo}apt-get update && {sudo}apt-get install --no-install-recommends {}",
        packages.join(" ")
    )
}

/// Installs packages, after refreshing apt's lists: security updates remove the versions that old lists name.
///
/// Never removes a package that is there.
///
/// # Errors
/// Without apt, without the right to use it, when a package does not exist for this release, or when apt fails.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    if !available() {
        bail!("this machine has no apt");
    }
    run_behind(
        "apt-get update",
        apt_get()?.args(["update", "-q"]),
        Task::detail,
    )?;
    let unknown: Vec<&str> = packages
        .iter()
        .copied()
        .filter(|package| !has_candidate(package))
        .collect();
    if !unknown.is_empty() {
        bail!(
            "this release of the system has no package {}",
            unknown.join(", ")
        );
    }
    let mut install = apt_get()?;
    install.args([
        "install",
        "-q",
        "-y",
        "--no-install-recommends",
        "--no-remove",
        "-o",
        "APT::Status-Fd=1",
    ]);
    install.args(packages);
    run_behind(
        &format!("apt-get install {}", packages.join(" ")),
        &mut install,
        |task, line| {
            if let Some(Status { done, what }) = parse_status(line) {
                task.progress(done);
                task.detail(what);
            }
        },
    )
}

fn has_candidate(package: &str) -> bool {
    read(
        Command::new("apt-cache")
            .env("LC_ALL", "C")
            .args(["policy", package]),
    )
    .is_ok_and(|policy| {
        policy
            .lines()
            .any(|line| line.contains("Candidate:") && !line.contains("(none)"))
    })
}

/// `apt-get` with the right to install, and unable to ask anything.
fn apt_get() -> Result<Command> {
    let mut command = if is_root() {
        Command::new("env")
    } else {
        let sudo =
            on_path("sudo").context("installing packages needs root, and there is no sudo")?;
        let mut command = Command::new(sudo);
        // A person at the terminal can type a password; without one sudo must not wait for it.
        if !std::io::IsTerminal::is_terminal(&std::io::stdin()) {
            command.arg("-n");
        }
        command.arg("env");
        command
    };
    command
        .args(["DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "apt-get"])
        .args(APT_OPTIONS);
    Ok(command)
}

fn is_root() -> bool {
    read(Command::new("id").arg("-u")).is_ok_and(|uid| uid == "0")
}

#[derive(Debug, PartialEq)]
struct Status<'a> {
    /// From 0 to 1 over download and installation.
    done: f64,
    what: &'a str,
}

/// Reads apt's machine-readable progress: `dlstatus:1:37.5:text` while downloading, `pmstatus:package:80:text` after.
fn parse_status(line: &str) -> Option<Status<'_>> {
    let mut fields = line.splitn(4, ':');
    let kind = fields.next()?;
    let _item = fields.next()?;
    let percent: f64 = fields.next()?.trim().parse().ok()?;
    let what = fields.next()?;
    let part = percent.clamp(0.0, 100.0) / 100.0;
    let done = match kind {
        "dlstatus" => part * DOWNLOAD_SHARE,
        "pmstatus" => DOWNLOAD_SHARE + part * (1.0 - DOWNLOAD_SHARE),
        _ => return None,
    };
    Some(Status { done, what })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apts_progress_moves_over_download_and_installation() {
        assert_eq!(
            parse_status("dlstatus:1:50:Retrieving a: b"),
            Some(Status {
                done: 0.25,
                what: "Retrieving a: b"
            })
        );
        assert_eq!(
            parse_status("pmstatus:lld-22:50:Unpacking"),
            Some(Status {
                done: 0.75,
                what: "Unpacking"
            })
        );
        assert_eq!(
            parse_status("pmstatus:x:1e9:Done"),
            Some(Status {
                done: 1.0,
                what: "Done"
            })
        );
    }

    #[test]
    fn other_lines_of_apt_are_no_progress() {
        for line in [
            "",
            "Reading package lists...",
            "Get:1 http://mirror 12 a b",
            "pmstatus:x:soon:y",
            "dlstatus:1",
        ] {
            assert_eq!(parse_status(line), None, "{line}");
        }
    }
}
