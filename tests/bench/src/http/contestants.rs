//! Who is measured: Prometheus itself, nginx with a cache before it, and Tidegate before it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tidegate_e2e::{Exporter, Process, Prometheus, Tidegate, free_port, on_path, unix_now};

use super::proxy::Proxy;

/// How many series each answer has.
pub(super) const SERIES: u32 = 10;
/// From one sample of the past to the next, which is also the step of every query, in seconds.
pub(super) const STEP_S: u64 = 15;
/// How much past there is: enough that a window slides for seconds without coming round.
const PAST_STEPS: u64 = 50_000;

/// The servers, all on 127.0.0.1, and what is true of their data.
pub(super) struct Contestants {
    pub(super) prometheus: Prometheus,
    pub(super) nginx: Nginx,
    pub(super) tidegate: Tidegate,
    /// A Tidegate whose way to Prometheus is counted.
    pub(super) counted: Tidegate,
    pub(super) proxy: Proxy,
    /// The first sample of all.
    pub(super) past_from_s: u64,
    /// The last sample of the past; what is newer is scraped.
    pub(super) past_to_s: u64,
    _exporter: Exporter,
}

impl Contestants {
    pub(super) async fn start() -> Result<Self> {
        let past_to_s = unix_now() as u64 / STEP_S * STEP_S;
        let past_from_s = past_to_s - PAST_STEPS * STEP_S;
        let exporter = Exporter::start(|now_s| page(now_s as u64, "", "")).await;
        println!(
            "data: {SERIES} series of {PAST_STEPS} samples each, {STEP_S} s apart, and a target that is scraped each second"
        );
        let mut past = String::from("# TYPE bench counter\n");
        // Labelled as Prometheus labels what it scrapes, so that the past goes on.
        let target = format!("job=\"bench\",instance=\"127.0.0.1:{}\",", exporter.port());
        for at in (past_from_s..=past_to_s).step_by(STEP_S as usize) {
            past.push_str(&page(at, &target, &format!(" {at}")));
        }
        past.push_str("# EOF\n");
        let prometheus = Prometheus::with_history(&past, &[("bench", exporter.port())]).await;
        let proxy = Proxy::start(prometheus.port())?;
        let source = |url: &str| {
            format!("[[source]]\nname = \"prom\"\nurl = \"{url}\"\n[node]\nenabled = false\n")
        };
        Ok(Self {
            nginx: Nginx::start(prometheus.port())?,
            tidegate: Tidegate::start(&source(&prometheus.url()), &[]).await,
            counted: Tidegate::start(&source(&proxy.url()), &[]).await,
            proxy,
            prometheus,
            past_from_s,
            past_to_s,
            _exporter: exporter,
        })
    }
}

/// Ten counters at an instant; `target` is put before their labels, and `time` after their values.
fn page(now_s: u64, target: &str, time: &str) -> String {
    let mut page = String::new();
    for nth in 0..u64::from(SERIES) {
        // Rises unevenly, and has digits as such counters do.
        let value = now_s * (nth + 3) % 1_000_003 + now_s / 7 % 1_000;
        page.push_str(&format!(
            "bench_total{{{target}handler=\"/api/v1/items/{nth}\",code=\"200\"}} {value}{time}\n"
        ));
    }
    page
}

/// The file that an nginx reads, in its folder.
const CONFIGURATION: &str = "nginx.conf";

/// An nginx that keeps what Prometheus says for an hour.
pub(super) struct Nginx {
    port: u16,
    _process: Process,
    folder: TempDir,
}

impl Nginx {
    fn start(prometheus: u16) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = free_port();
        let configuration = configuration(folder.path(), port, prometheus);
        std::fs::write(folder.path().join(CONFIGURATION), configuration)?;
        let process = Process::start("nginx", &mut Self::command(folder.path()));
        Ok(Self {
            port,
            _process: process,
            folder,
        })
    }

    /// What starts it, or with more arguments tells it something.
    fn command(folder: &Path) -> Command {
        let mut command = Command::new(on_path("nginx"));
        command.arg("-p").arg(folder);
        command.arg("-c").arg(folder.join(CONFIGURATION));
        command.arg("-e").arg(folder.join("error.log"));
        command
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        /// Far more than it takes an idle server to end.
        const TRIES: u32 = 200;
        // Its workers outlive a master that is killed, so it is waited for.
        let mut command = Self::command(self.folder.path());
        let _ = command.args(["-s", "stop"]).status();
        let pid = self.folder.path().join("nginx.pid");
        for _ in 0..TRIES {
            if !pid.exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn configuration(folder: &Path, port: u16, prometheus: u16) -> String {
    let folder = folder.display();
    // Its workers may only read what they own; a root's would be somebody else's.
    format!(
        "daemon off;
user root;
pid {folder}/nginx.pid;
worker_processes auto;
events {{ worker_connections 256; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/body;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  proxy_temp_path {folder}/proxy;
  proxy_cache_path {folder}/cache keys_zone=answers:10m;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{prometheus};
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_cache answers;
      proxy_cache_lock on;
      proxy_cache_valid 200 1h;
    }}
  }}
}}
"
    )
}

/// Waits until a server answers this path, and says how long its answer is.
pub(super) async fn length_of(url: &str) -> Result<usize> {
    let answer = tidegate_e2e::eventually("an answer", async || {
        let answer = tidegate_e2e::get(url).await?;
        if answer.status == 200 {
            Ok(answer)
        } else {
            Err(format!("{}: {}", answer.status, answer.text()))
        }
    })
    .await;
    let series = answer.json()["data"]["result"]
        .as_array()
        .context("a result")?
        .len();
    ensure!(series == SERIES as usize, "{url} has {series} series");
    Ok(answer.body.len())
}
