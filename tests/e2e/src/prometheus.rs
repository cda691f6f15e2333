//! A real Prometheus with a folder of its own.

use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{Process, free_port, on_path};
use crate::{Finished, eventually, get};

/// A Prometheus that scrapes itself, and whatever it is told to, every second, and takes what is
/// written to it.
#[derive(Debug)]
pub struct Prometheus {
    port: u16,
    folder: TempDir,
    process: Process,
}

impl Prometheus {
    /// Starts one and waits until it answers. `targets` are job names with ports of 127.0.0.1,
    /// scraped beside itself.
    ///
    /// # Panics
    /// If it is not installed or does not start.
    pub async fn start(targets: &[(&str, u16)]) -> Self {
        Self::start_in(tempfile::tempdir().expect("a temporary folder"), targets).await
    }

    /// The same, with samples in its store that it never scraped: `history` is OpenMetrics text
    /// with a time at each sample, all of them past.
    ///
    /// # Panics
    /// If promtool or Prometheus will not have it.
    pub async fn with_history(history: &str, targets: &[(&str, u16)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(path("history.txt"), history).expect("a writable folder");
        let made = Self::promtool(&[
            "tsdb",
            "create-blocks-from",
            // One block, not hundreds, which Prometheus would put together while it is asked.
            "--max-block-duration=400h",
            "openmetrics",
            &path("history.txt"),
            &path("data"),
        ]);
        assert!(made.status.success(), "{}{}", made.stdout, made.stderr);
        Self::start_in(folder, targets).await
    }

    async fn start_in(folder: TempDir, targets: &[(&str, u16)]) -> Self {
        let port = free_port();
        let mut config =
            "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n".to_owned();
        for (job, port) in [("prometheus", port)].iter().chain(targets) {
            config.push_str(&format!(
                "- {{job_name: {job}, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}\n"
            ));
        }
        std::fs::write(folder.path().join("prometheus.yml"), config).expect("a writable folder");
        let process = spawn(&folder, port);
        let started = Self {
            port,
            folder,
            process,
        };
        started.ready().await;
        started
    }

    /// Its base address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Ends it as a crash does.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on the same port with the same data.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn restart(&mut self) {
        self.process.kill();
        self.process = spawn(&self.folder, self.port);
        self.ready().await;
    }

    /// How many requests for instant queries it has served, by its own count. Asking does not
    /// count.
    ///
    /// # Panics
    /// If it does not answer.
    pub async fn instant_queries_served(&self) -> u64 {
        let metrics = get(&format!("{}/metrics", self.url()))
            .await
            .expect("Prometheus is up")
            .text();
        let lines = metrics.lines().filter(|line| {
            line.starts_with("prometheus_http_requests_total{")
                && line.contains("handler=\"/api/v1/query\"")
        });
        let count = |line: &str| {
            line.rsplit_once(' ')
                .and_then(|(_, value)| value.parse::<u64>().ok())
        };
        lines.filter_map(count).sum()
    }

    /// The same, once it has counted all that it served: it counts after it has answered.
    pub async fn settled_count(&self) -> u64 {
        let mut last = None;
        eventually("Prometheus to have counted", async || {
            let count = self.instant_queries_served().await;
            let settled = last == Some(count);
            last = Some(count);
            tokio::time::sleep(Duration::from_millis(300)).await;
            if settled {
                Ok(count)
            } else {
                Err(format!("{count} and counting"))
            }
        })
        .await
    }

    async fn ready(&self) {
        eventually(
            "Prometheus to be ready and to have scraped itself",
            async || {
                let answer =
                    crate::instant_query(&self.url(), &[("query", "up{job=\"prometheus\"}")])
                        .await?;
                if answer.first_value() == Some(1.0) {
                    Ok(())
                } else {
                    Err(answer.text())
                }
            },
        )
        .await;
    }
}

fn spawn(folder: &TempDir, port: u16) -> Process {
    let path = |name: &str| folder.path().join(name).display().to_string();
    Process::start(
        "prometheus",
        Command::new(on_path("prometheus"))
            .arg(format!("--config.file={}", path("prometheus.yml")))
            .arg(format!("--storage.tsdb.path={}", path("data")))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--web.enable-remote-write-receiver", "--log.level=warn"])
            .current_dir(folder.path()),
    )
}

impl Prometheus {
    /// Runs promtool.
    pub fn promtool(arguments: &[&str]) -> Finished {
        Finished::run(
            "promtool",
            Command::new(on_path("promtool")).args(arguments),
        )
    }
}
