//! The remote sink and a real Prometheus: what was recorded is what it answers, bit for bit.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;
use tidegate_record::{Batch, Pump, RemoteOptions, RemoteSink, Sink, SinkOptions};
use tidegate_series::{Family, Labels, Metadata, MetricKind, Sample, stale_marker};
use tidegate_wire::{Data, DecodeLimits, decode_query_response, form};

/// Far above what any step takes on an idle machine: only a hang meets it.
const SOON: Duration = Duration::from_secs(60);

/// A Prometheus that scrapes nobody and receives.
struct Prometheus {
    process: Child,
    port: u16,
    _folder: TempDir,
}

impl Prometheus {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("its number").port();
        drop(listener);
        let file = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(file("prometheus.yml"), "scrape_configs: []\n").expect("a writable folder");
        let process = Command::new(on_path("prometheus"))
            .arg(format!("--config.file={}", file("prometheus.yml")))
            .arg(format!("--storage.tsdb.path={}", file("data")))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--web.enable-remote-write-receiver", "--log.level=error"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("a Prometheus that starts");
        let started = Self {
            process,
            port,
            _folder: folder,
        };
        let begun = Instant::now();
        while started.get("/-/ready").is_none() {
            assert!(begun.elapsed() < SOON, "Prometheus does not get ready");
            std::thread::sleep(Duration::from_millis(50));
        }
        started
    }

    fn write_url(&self) -> String {
        format!("http://127.0.0.1:{}/api/v1/write", self.port)
    }

    /// The body of a good answer.
    fn get(&self, path: &str) -> Option<Vec<u8>> {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().ok()?;
            let answer = client.get(url).send().await.ok()?;
            let is_good = answer.status().is_success();
            let body = answer.bytes().await.ok()?;
            is_good.then(|| body.to_vec())
        })
    }

    /// The samples of each series that `query`, a selector, finds at `time_ms`.
    fn samples(&self, query: &str, time_ms: i64) -> Vec<(Labels, Vec<(i64, f64)>)> {
        let time = format!("{}.{:03}", time_ms / 1000, time_ms % 1000);
        let mut path = "/api/v1/query?".to_owned();
        form::encode_form([("query", query), ("time", &time)], &mut path);
        let body = self.get(&path).expect("an answer");
        let answer =
            decode_query_response(200, &body, &DecodeLimits::default()).expect("one to read");
        let (Data::Matrix(columns) | Data::Vector(columns)) = answer.data else {
            panic!("a selector gives series")
        };
        let series = columns.iter().map(|series| {
            let labels = Labels::from_pairs(series.labels()).expect("good labels");
            let samples = series.timestamps_ms().iter().copied();
            (
                labels,
                samples.zip(series.values().iter().copied()).collect(),
            )
        });
        series.collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn on_path(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program));
    let found = found.into_iter().find(|file| Path::is_file(file));
    found.unwrap_or_else(|| panic!("{program} is not installed: `apt-get install {program}`"))
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(since.expect("a clock past 1970").as_millis()).expect("soon enough")
}

fn sample(name: &str, host: &str, timestamp_ms: i64, value: f64) -> Sample {
    Sample {
        labels: Labels::from_pairs([("__name__", name), ("host", host), ("Zone", "ä\n\"")])
            .unwrap(),
        timestamp_ms,
        value,
    }
}

fn batch(samples: Vec<Sample>) -> Batch {
    let family = Family {
        name: "load".to_owned(),
        metadata: Metadata {
            kind: MetricKind::Gauge,
            unit: "".into(),
            help: "Processes that wait.".into(),
        },
    };
    Batch {
        families: vec![family],
        samples,
        ..Batch::default()
    }
}

/// Values whose every bit matters.
fn delicate() -> Vec<f64> {
    vec![
        0.0,
        -0.0,
        0.1 + 0.2,
        -1e-300,
        5e-324,
        f64::MAX,
        f64::INFINITY,
        f64::NEG_INFINITY,
        9_007_199_254_740_993.0,
        std::f64::consts::PI,
    ]
}

fn bits(samples: &[(i64, f64)]) -> Vec<(i64, u64)> {
    let bits = samples.iter().map(|(t_ms, value)| (*t_ms, value.to_bits()));
    bits.collect()
}

#[test]
fn a_real_prometheus_answers_what_was_recorded() {
    let prometheus = Prometheus::start();
    let url = prometheus.write_url();
    let options = RemoteOptions {
        // So that it takes several requests.
        samples_per_request: 7,
        ..RemoteOptions::default()
    };
    let sink = RemoteSink::new(&url, options).unwrap();
    let counts = sink.counts();
    let mut pump = Pump::new();
    pump.add("remote", sink, SinkOptions::default()).unwrap();
    let start_ms = now_ms() - 60_000;
    let times = (0..).map(|nth| start_ms + nth * 1_234);
    let expected: Vec<(i64, f64)> = times.zip(delicate()).collect();
    for host in ["a", "b"] {
        let samples = expected.iter();
        let samples = samples.map(|(t_ms, value)| sample("load", host, *t_ms, *value));
        pump.offer(batch(samples.collect()));
    }
    let stats = pump.shutdown(SOON).remove(0);
    assert_eq!(
        (stats.written, stats.dropped()),
        (20, 0),
        "{:?}",
        stats.last_error
    );
    assert_eq!(counts.taken(), 4);
    let found = prometheus.samples("load[5m]", start_ms + 120_000);
    assert_eq!(found.len(), 2);
    for ((labels, samples), host) in found.iter().zip(["a", "b"]) {
        assert_eq!(*labels, sample("load", host, 0, 0.0).labels);
        assert_eq!(bits(samples), bits(&expected));
    }
}

#[test]
fn a_stale_marker_ends_a_series_there_too() {
    let prometheus = Prometheus::start();
    let mut sink = RemoteSink::new(&prometheus.write_url(), RemoteOptions::default()).unwrap();
    let start_ms = now_ms() - 10_000;
    let samples = vec![
        sample("up", "a", start_ms, 1.0),
        sample("up", "a", start_ms + 1_000, stale_marker()),
        sample("up", "b", start_ms, f64::NAN),
    ];
    sink.write(&batch(samples)).unwrap();
    // At the marker a is gone, and b, whose NaN is a value, is not.
    let hosts = |query: &str| {
        let found = prometheus.samples(query, start_ms + 1_500);
        let hosts = found
            .iter()
            .filter_map(|(labels, _)| labels.value("host").map(str::to_owned));
        hosts.collect::<Vec<_>>()
    };
    assert_eq!(hosts("up"), ["b"]);
    assert_eq!(hosts("up[5s]"), ["a", "b"]);
}

#[test]
fn what_prometheus_refuses_is_said_and_the_next_batch_goes() {
    let prometheus = Prometheus::start();
    let mut sink = RemoteSink::new(&prometheus.write_url(), RemoteOptions::default()).unwrap();
    let now_ms = now_ms();
    sink.write(&batch(vec![sample("load", "a", now_ms, 1.0)]))
        .unwrap();
    let error = sink
        .write(&batch(vec![sample("load", "a", now_ms - 3_600_000, 1.0)]))
        .unwrap_err();
    assert_eq!(error.dropped, 1);
    assert!(error.message.contains("http status 400: out of"), "{error}");
    sink.write(&batch(vec![sample("load", "a", now_ms + 1, 2.0)]))
        .unwrap();
    let found = prometheus.samples("load[1m]", now_ms + 1);
    assert_eq!(found[0].1, [(now_ms, 1.0), (now_ms + 1, 2.0)]);
}
