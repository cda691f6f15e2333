//! The real `tidegate`, served on a free port.

use std::path::PathBuf;
use std::process::{Command, ExitStatus};

use tempfile::TempDir;

use crate::process::{Finished, Process, free_port};
use crate::{eventually, get};

/// A `tidegate serve` that answers.
#[derive(Debug)]
pub struct Tidegate {
    port: u16,
    folder: TempDir,
    process: Process,
}

impl Tidegate {
    /// Starts one with this configuration and these further arguments, and waits until it answers.
    ///
    /// # Panics
    /// If it does not.
    pub async fn start(config: &str, arguments: &[&str]) -> Self {
        Self::start_on(free_port(), config, arguments).await
    }

    /// The same, on this port.
    ///
    /// # Panics
    /// If it does not answer.
    pub async fn start_on(port: u16, config: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("tidegate.toml");
        std::fs::write(&path, config).expect("a writable folder");
        let mut command = quiet(&folder);
        command
            .arg("serve")
            .arg("--config")
            .arg(&path)
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .args(arguments);
        let mut started = Self {
            port,
            folder,
            process: Process::start("tidegate", &mut command),
        };
        started.ready().await;
        started
    }

    /// Has it read this configuration in place of the one it has. Applied it is a moment later.
    ///
    /// # Panics
    /// If it has died.
    pub fn reload(&mut self, config: &str) {
        let path = self.folder.path().join("tidegate.toml");
        std::fs::write(path, config).expect("a writable folder");
        self.process.signal("HUP");
    }

    /// Its base address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// `path` below its base address.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url())
    }

    /// The process.
    pub const fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Asks it to end, and says how it did.
    pub fn terminate(&mut self) -> ExitStatus {
        self.process.terminate()
    }

    /// Checks that it lives and answers.
    ///
    /// # Panics
    /// If not.
    pub async fn assert_alive(&mut self) {
        assert!(self.process.is_alive(), "tidegate has died");
        let answer = get(&self.at("/stats")).await.expect("tidegate answers");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    async fn ready(&mut self) {
        let url = self.at("/stats");
        let process = &mut self.process;
        eventually("tidegate to answer", async || {
            assert!(
                process.is_alive(),
                "tidegate ended instead of serving:\n{}",
                process.log()
            );
            let answer = get(&url).await?;
            if answer.status == 200 {
                Ok(())
            } else {
                Err(answer.text())
            }
        })
        .await;
    }
}

/// The program under test: `TIDEGATE_BIN`, or what cargo built beside this test.
///
/// # Panics
/// If there is none.
pub fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("TIDEGATE_BIN") {
        let path = PathBuf::from(path);
        assert!(
            path.is_file(),
            "TIDEGATE_BIN names {}, which is no file",
            path.display()
        );
        return path;
    }
    let test = std::env::current_exe().expect("a test knows where it is");
    let beside = test
        .ancestors()
        .skip(1)
        .map(|folder| folder.join("tidegate"))
        .find(|path| path.is_file());
    beside.unwrap_or_else(|| {
        panic!(
            "there is no tidegate beside {}: run cargo xtask build host, or cargo xtask test",
            test.display()
        )
    })
}

/// Runs `tidegate` with these arguments to its end.
///
/// # Panics
/// If it does not end within a minute.
pub fn run_cli(arguments: &[&str]) -> Finished {
    let folder = tempfile::tempdir().expect("a temporary folder");
    Finished::run("tidegate", quiet(&folder).args(arguments))
}

/// The program with nothing of this machine's user in it but the compiled component's cache.
fn quiet(folder: &TempDir) -> Command {
    let mut command = Command::new(program());
    command
        .current_dir(folder.path())
        .env_remove("RUST_LOG")
        .env("NO_COLOR", "1");
    for name in [
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
    ] {
        command.env_remove(name);
    }
    command
}
