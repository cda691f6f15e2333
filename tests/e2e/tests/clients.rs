//! Programs that ask Prometheus, pointed at Tidegate: one URL is changed, nothing else, and they
//! see the same.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;

use prometheus_http_query::response::{InstantVector, PromqlResult, RangeVector};
use prometheus_http_query::{Client, Error, Selector};
use tidegate_e2e::{Finished, Prometheus, Tidegate, on_path, unix_now};

/// How often history was scraped, in seconds.
const EVERY_S: i64 = 15;

/// Both servers, and a window that both know all about.
struct Pair {
    prometheus: Prometheus,
    tidegate: Tidegate,
    start_s: i64,
    end_s: i64,
}

impl Pair {
    async fn start() -> Self {
        let end_s = unix_now() as i64 / 60 * 60 - 600;
        let start_s = end_s - 3_600;
        let prometheus = Prometheus::with_history(&history(start_s, end_s), &[]).await;
        let config = format!(
            "[[source]]\nname = \"prom\"\nurl = \"{}\"\n[node]\nenabled = false\n",
            prometheus.url()
        );
        Self {
            tidegate: Tidegate::start(&config, &[]).await,
            prometheus,
            start_s,
            end_s,
        }
    }

    /// Runs a client against Prometheus, then against Tidegate, which has heard nothing yet, and
    /// again, when it remembers.
    fn assert_same(&self, name: &str, command: impl Fn(&str) -> Command) {
        let run = |url: &str| {
            let finished = Finished::run(name, &mut command(url));
            let shown = |text: &str| text.replace(url, "SERVER");
            (
                finished.status.code(),
                shown(&finished.stdout),
                shown(&finished.stderr),
            )
        };
        let expected = run(&self.prometheus.url());
        assert!(
            !expected.1.is_empty() || !expected.2.is_empty(),
            "{name} says nothing"
        );
        for memory in ["cold", "warm"] {
            assert_eq!(run(&self.tidegate.url()), expected, "{name}, {memory}");
        }
    }
}

/// Four counters, one of which ends half-way.
fn history(start_s: i64, end_s: i64) -> String {
    let mut text = "# HELP clients Of the tests.\n# TYPE clients counter\n".to_owned();
    for (nth, job) in ["a", "b", "a", "c<&>\u{fc}"].iter().enumerate() {
        let end_s = if nth == 3 {
            (start_s + end_s) / 2
        } else {
            end_s
        };
        for at in (start_s..=end_s).step_by(EVERY_S as usize) {
            let value = (at - start_s) * (nth as i64 + 1) / 7;
            text.push_str(&format!(
                "clients_total{{job=\"{job}\",n=\"{nth}\"}} {value} {at}\n"
            ));
        }
    }
    text.push_str("# EOF\n");
    text
}

#[tokio::test]
async fn promtool_sees_no_difference() {
    let pair = Pair::start().await;
    let (start, end) = (pair.start_s.to_string(), pair.end_s.to_string());
    let window = [format!("--start={start}"), format!("--end={end}")];
    let rate = "sum by (job) (rate(clients_total[5m]))";
    let promtool = |url: &str, query: &[&str], more: &[&str], last: &[&str]| {
        let mut command = Command::new(on_path("promtool"));
        command
            .arg("query")
            .args(query)
            .args(more)
            .arg(url)
            .args(last);
        command
    };
    let time = format!("--time={end}");
    let window: Vec<&str> = window.iter().map(String::as_str).collect();
    for expression in ["clients_total", rate, "clients_total[1m]", "1.5", "sum("] {
        pair.assert_same("promtool query instant", |url| {
            promtool(url, &["instant"], &[&time], &[expression])
        });
    }
    for (expression, step) in [
        (rate, "30s"),
        ("clients_total", "15s"),
        (rate, "77s"),
        ("sum(", "15s"),
    ] {
        let step = format!("--step={step}");
        let options = [&window[..], &[&step]].concat();
        pair.assert_same("promtool query range", |url| {
            promtool(url, &["range"], &options, &[expression])
        });
    }
    pair.assert_same("promtool query series", |url| {
        promtool(
            url,
            &["series", "--match=clients_total", "--match=up"],
            &window,
            &[],
        )
    });
    pair.assert_same("promtool query labels", |url| {
        promtool(url, &["labels"], &window, &["job"])
    });
}

#[tokio::test]
async fn a_program_in_python_sees_no_difference() {
    let pair = Pair::start().await;
    let python = root().join("target/tidegate/python-client/bin/python");
    assert!(
        python.is_file(),
        "there is no {}: run cargo xtask setup --for test",
        python.display()
    );
    pair.assert_same("prometheus-api-client", |url| {
        let mut command = Command::new(&python);
        command.arg(root().join("tests/e2e/clients/python/ask.py"));
        asked(command, url, &pair)
    });
}

#[tokio::test]
async fn a_program_in_node_sees_no_difference() {
    let pair = Pair::start().await;
    pair.assert_same("prometheus-query", |url| {
        let mut command = Command::new(on_path("node"));
        command.arg(root().join("tests/e2e/clients/node/ask.mjs"));
        asked(command, url, &pair)
    });
}

#[tokio::test]
async fn a_program_in_rust_sees_no_difference() {
    let pair = Pair::start().await;
    let expected = Seen::at(&pair.prometheus.url(), &pair).await;
    for memory in ["cold", "warm"] {
        let seen = Seen::at(&pair.tidegate.url(), &pair).await;
        assert!(seen == expected, "{memory}: {seen:#?}\nnot {expected:#?}");
    }
}

/// What prometheus-http-query makes of a server's answers.
#[derive(Debug, PartialEq)]
struct Seen {
    vector: Vec<InstantVector>,
    matrices: Vec<Vec<RangeVector>>,
    series: Vec<HashMap<String, String>>,
    names: Vec<Vec<String>>,
    refusal: String,
}

impl Seen {
    async fn at(url: &str, pair: &Pair) -> Self {
        let client: Client = url.parse().expect("an address");
        let rate = "sum by (job) (rate(clients_total[5m]))";
        let (start, end) = (pair.start_s, pair.end_s);
        let one = Selector::new().metric("clients_total").eq("job", "b");
        let matrix = |result: Result<PromqlResult, Error>| {
            let (data, _) = result.expect("an answer").into_inner();
            data.into_matrix().expect("a matrix")
        };
        let vector = client.query(rate).at(end).get().await.expect("an answer");
        let ranges = client.query_range(rate, start, end, 30.0);
        let odd = client.query_range("clients_total", start, end, 15.5);
        let series = client.series([&one]).expect("one selector");
        let values = client.label_values("job").start(start).end(end);
        let names = client.label_names().selectors([&one]).start(start).end(end);
        let refusal = client.query("sum(").get().await;
        Self {
            vector: vector.into_inner().0.into_vector().expect("a vector"),
            matrices: vec![
                matrix(client.query("clients_total[1m]").at(end).post().await),
                matrix(ranges.get().await),
                matrix(odd.post().await),
            ],
            series: series.start(start).end(end).get().await.expect("series"),
            names: vec![
                values.get().await.expect("values"),
                names.get().await.expect("names"),
            ],
            refusal: refusal.expect_err("no expression").to_string(),
        }
    }
}

/// The client with its arguments, and no proxy between.
fn asked(mut client: Command, url: &str, pair: &Pair) -> Command {
    client
        .arg(url)
        .args([pair.start_s.to_string(), pair.end_s.to_string()])
        .env("NO_PROXY", "127.0.0.1")
        .env("no_proxy", "127.0.0.1");
    client
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}
