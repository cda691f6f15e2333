//! What is added to Tidegate's own series is written where the configuration says, too: to a file,
//! to a Prometheus and to a StatsD server.

use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tidegate_e2e::{Prometheus, Session, Tidegate, eventually, get, instant_query, unix_now};

/// How many batches are pushed: enough that some are on their way when everything ends.
const BATCHES: u64 = 200;

fn config(sinks: &[String]) -> String {
    let sources = "[node]\ninterval = \"200ms\"\n[[source]]\nname = \"jobs\"\nkind = \"push\"\n";
    format!("{sources}{}", sinks.concat())
}

fn file(name: &str, path: &Path) -> String {
    let path = path.display();
    format!("[[sink]]\nname = \"{name}\"\nkind = \"file\"\npath = \"{path}\"\n")
}

fn remote(prometheus: &Prometheus) -> String {
    let url = prometheus.url();
    format!("[[sink]]\nname = \"prom\"\nkind = \"remote\"\nurl = \"{url}/api/v1/write\"\n")
}

fn statsd(port: u16) -> String {
    format!(
        "[[sink]]\nname = \"statsd\"\nkind = \"statsd\"\naddress = \"127.0.0.1:{port}\"\ntags = \"datadog\"\n\
         [[sink.transform]]\nrelabel = {{ source_labels = [\"__name__\"], regex = \"jobs_.*\", action = \"keep\" }}\n\
         [[sink.transform]]\nrename = {{ metric = \"jobs_done_total\", to = \"jobs_finished\" }}\n"
    )
}

/// Pushes one batch, and says that it was taken.
async fn push(tidegate: &Tidegate, session: &Session, begun_ms: u64, nth: u64) {
    let body = format!(
        "{{\"family\":\"jobs_done_total\",\"type\":\"counter\",\"help\":\"Jobs done.\"}}\n\
         {{\"name\":\"jobs_done_total\",\"labels\":{{\"queue\":\"a\"}},\"value\":{nth},\"timestamp_ms\":{}}}\n\
         {{\"name\":\"jobs_waiting\",\"value\":{},\"timestamp_ms\":{}}}\n",
        begun_ms + nth,
        nth * 2,
        begun_ms + nth
    );
    let url = tidegate.at("/v1/record?source=jobs");
    let answer = session.post(&url, "application/x-ndjson", body).await;
    let answer = answer.expect("tidegate answers");
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Batches are of one millisecond after the other, from here on; all of them past.
fn begun_ms() -> u64 {
    unix_now() as u64 * 1_000 - 10_000
}

/// The values of a metric in a file, in its order.
fn values(path: &Path, metric: &str) -> Vec<f64> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().filter_map(|line| {
        let line: Value = serde_json::from_str(line).expect("whole lines of JSON");
        (line["name"] == metric).then(|| line["value"].as_f64().expect("a number"))
    });
    lines.collect()
}

async fn metric(tidegate: &Tidegate, name: &str) -> Result<f64, String> {
    let metrics = get(&tidegate.at("/metrics")).await?.text();
    let line = metrics.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.rsplit_once(' ')?.1.parse().ok());
    value.ok_or_else(|| format!("no {name} in {metrics}"))
}

#[tokio::test]
async fn everything_that_is_recorded_is_in_the_file_in_prometheus_and_with_statsd() {
    let prometheus = Prometheus::start(&[]).await;
    let server = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let patience = Some(Duration::from_secs(60));
    server.set_read_timeout(patience).expect("a socket");
    let port = server.local_addr().expect("a bound socket").port();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [first, second] = ["first.jsonl", "second.jsonl"].map(|name| folder.path().join(name));

    let all = [file("archive", &first), remote(&prometheus), statsd(port)];
    let mut tidegate = Tidegate::start(&config(&all), &[]).await;
    let (session, begun_ms) = (Session::new(), begun_ms());
    for nth in 1..=BATCHES {
        push(&tidegate, &session, begun_ms, nth).await;
    }
    let time = ((begun_ms + BATCHES) as f64 / 1_000.0).to_string();
    let total = [("query", "jobs_done_total{queue=\"a\"}"), ("time", &*time)];
    eventually("Prometheus to have the last total", async || {
        let answer = instant_query(&prometheus.url(), &total).await?;
        match answer.first_value() {
            Some(value) if value == BATCHES as f64 => Ok(()),
            _ => Err(answer.text()),
        }
    })
    .await;
    eventually("Prometheus to hear of this machine", async || {
        let answer = instant_query(&prometheus.url(), &[("query", "node_load1")]).await?;
        answer.first_value().ok_or_else(|| answer.text())
    })
    .await;
    let mut datagram = [0; 2_000];
    let mut grew = 0.0;
    while grew < (BATCHES - 1) as f64 {
        let length = server.recv(&mut datagram).expect("datagrams come");
        let lines = String::from_utf8_lossy(&datagram[..length]).into_owned();
        for line in lines.lines() {
            assert!(line.starts_with("jobs"), "the rest was dropped: {line}");
            let done = line.strip_prefix("jobs_finished:");
            let done = done.and_then(|done| done.strip_suffix("|c|#queue:a"));
            grew += done.map_or(0.0, |done| done.parse::<f64>().expect("a number"));
        }
    }
    assert_eq!(
        grew,
        (BATCHES - 1) as f64,
        "the first total is where it begins"
    );
    for sink in ["archive", "prom", "statsd"] {
        let of = |name: &str| format!("tidegate_sink_{name}{{sink=\"{sink}\"");
        assert_eq!(metric(&tidegate, &of("up")).await, Ok(1.0), "{sink}");
        let written = metric(&tidegate, &of("written_samples_total")).await;
        assert!(written.expect("it is counted") >= BATCHES as f64, "{sink}");
        let dropped = metric(&tidegate, &of("dropped_samples_total")).await;
        assert_eq!(dropped, Ok(0.0), "{sink}");
    }

    // A sink more and two less, without a restart; the one that stays misses nothing.
    tidegate.reload(&config(&[file("archive", &first), file("more", &second)]));
    eventually("the new sinks to be in effect", async || {
        metric(&tidegate, "tidegate_sink_up{sink=\"more\"").await
    })
    .await;
    for nth in 1..=BATCHES {
        push(&tidegate, &session, begun_ms, BATCHES + nth).await;
    }
    assert!(
        tidegate.terminate().success(),
        "{}",
        tidegate.process().log()
    );
    let expected = |range: std::ops::RangeInclusive<u64>| -> Vec<f64> {
        range.map(|nth| nth as f64).collect()
    };
    assert_eq!(values(&first, "jobs_done_total"), expected(1..=2 * BATCHES));
    assert_eq!(
        values(&second, "jobs_done_total"),
        expected(BATCHES + 1..=2 * BATCHES)
    );
    assert!(!values(&first, "node_load1").is_empty());
}

#[tokio::test]
async fn a_sink_that_nobody_answers_holds_up_nobody() {
    let nobody = tidegate_e2e::free_port();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("samples.jsonl");
    let dead = format!(
        "[[sink]]\nname = \"dead\"\nkind = \"remote\"\nurl = \"http://127.0.0.1:{nobody}/write\"\nqueue_samples_max = 10\n"
    );
    let mut tidegate = Tidegate::start(&config(&[dead, file("archive", &path)]), &[]).await;
    let (session, begun_ms) = (Session::new(), begun_ms());
    for nth in 1..=BATCHES {
        push(&tidegate, &session, begun_ms, nth).await;
    }
    eventually("what is dropped to be counted", async || {
        let name = "tidegate_sink_dropped_samples_total{sink=\"dead\",reason=\"full\"}";
        match metric(&tidegate, name).await? {
            dropped if dropped > 0.0 => Ok(()),
            dropped => Err(format!("{dropped}")),
        }
    })
    .await;
    let log = tidegate.process().log();
    let said = ["WARN", "sink=dead", "the queue is full"];
    let says = |line: &str| said.iter().all(|words| line.contains(words));
    assert!(log.lines().any(says), "what is lost is said: {log}");
    assert!(tidegate.terminate().success());
    let all: Vec<f64> = (1..=BATCHES).map(|nth| nth as f64).collect();
    assert_eq!(values(&path, "jobs_done_total"), all);
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_told_before_anything_is_served() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("tidegate.toml");
    let sink = "[[sink]]\nname = \"archive\"\nkind = \"file\"\npath = \"none/samples.jsonl\"\n";
    std::fs::write(&config, sink).expect("a writable folder");
    let path = config.display().to_string();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--config", &path];
    let refused = tidegate_e2e::run_cli(&arguments);
    assert!(!refused.status.success());
    let said = "sink \"archive\", path: ";
    assert!(refused.stderr.contains(said), "{}", refused.stderr);
}
