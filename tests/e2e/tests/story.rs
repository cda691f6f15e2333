//! The whole story with a real Prometheus: the same bytes, one question asked once, an outage
//! survived, and both scraping each other.

use tidegate_e2e::{
    Answer, Prometheus, Tidegate, eventually, free_port, get, instant_query, post_query,
    settled_moment, status_field,
};

fn config(prometheus: &Prometheus, more: &str) -> String {
    format!(
        "[[source]]\nname = \"prom\"\nurl = \"{}\"\n{more}\n[node]\nenabled = false\n",
        prometheus.url()
    )
}

/// Every result type, the odd numbers, every kind of refusal.
const QUERIES: [&str; 25] = [
    "up",
    "up{job=\"prometheus\"}",
    "up[10s]",
    "prometheus_http_requests_total",
    "{__name__=~\"prometheus_tsdb_head_.*\"}",
    "rate(prometheus_tsdb_head_samples_appended_total[5s])",
    "histogram_quantile(0.9, prometheus_http_request_duration_seconds_bucket)",
    "max_over_time(up[5s:1s])",
    "1.5",
    "1e21",
    "0.0000001",
    "123456789012345680",
    "1/0",
    "-1/0",
    "0/0",
    "vector(-0)",
    "\"a string with <tags>, & ünïcödé 🌊 and \\\"quotes\\\"\"",
    "nothing_has_this_name",
    "label_replace(up, \"copy\", \"$1 <&>\", \"job\", \"(.*)\")",
    // Refused: 400 by the parser, 422 by the engine.
    "up(",
    "sum by (up",
    "rate(up)",
    "up{job=\"\\xff\"",
    "label_replace(up, \"a\", \"$1\", \"job\", \"(\")",
    "prometheus_http_requests_total * on(job) prometheus_http_requests_total",
];

#[tokio::test]
async fn a_query_returns_byte_for_byte_what_prometheus_returns() {
    let prometheus = Prometheus::start(&[]).await;
    let tidegate = Tidegate::start(&config(&prometheus, ""), &[]).await;
    let time = settled_moment().await;
    let mut statuses = Vec::new();
    for query in QUERIES {
        let params = [("query", query), ("time", &*time)];
        let expected = instant_query(&prometheus.url(), &params)
            .await
            .expect("Prometheus answers");
        for round in ["fetched", "again"] {
            assert_same(
                &expected,
                &instant_query(&tidegate.url(), &params)
                    .await
                    .expect("tidegate answers"),
                query,
                round,
            );
            assert_same(
                &expected,
                &post_query(&tidegate.url(), &params)
                    .await
                    .expect("tidegate answers"),
                query,
                round,
            );
        }
        let named = format!("{}/source/prom", tidegate.url());
        assert_same(
            &expected,
            &post_query(&named, &params).await.expect("tidegate answers"),
            query,
            "by name",
        );
        statuses.push(expected.status);
    }
    for status in [200, 400, 422] {
        assert!(
            statuses.contains(&status),
            "the queries were meant to provoke a {status}: {statuses:?}"
        );
    }
}

fn assert_same(expected: &Answer, actual: &Answer, query: &str, round: &str) {
    assert_eq!(
        actual.status,
        expected.status,
        "{query} ({round}): {}",
        actual.text()
    );
    assert_eq!(actual.text(), expected.text(), "{query} ({round})");
    assert_eq!(actual.body, expected.body, "{query} ({round})");
    assert_eq!(
        actual.header("content-type"),
        "application/json",
        "{query} ({round})"
    );
}

#[tokio::test]
async fn one_question_reaches_prometheus_once() {
    let prometheus = Prometheus::start(&[]).await;
    let tidegate = Tidegate::start(&config(&prometheus, "ttl = \"10m\"\n"), &[]).await;
    let before = prometheus.settled_count().await;

    // The second ask, spelled as a POST, is answered from memory.
    let first = instant_query(&tidegate.url(), &[("query", "up")])
        .await
        .expect("tidegate answers");
    let second = post_query(&tidegate.url(), &[("query", "up")])
        .await
        .expect("tidegate answers");
    assert!(
        first
            .header("cache-status")
            .starts_with("tidegate; fwd=miss"),
        "{}",
        first.header("cache-status")
    );
    assert!(
        second.header("cache-status").starts_with("tidegate; hit"),
        "{}",
        second.header("cache-status")
    );
    assert_eq!(first.body, second.body);
    served(&prometheus, before + 1).await;

    // 200 at once.
    let query = "sum(rate(prometheus_http_request_duration_seconds_bucket[10s])) by (le)";
    let asks: Vec<_> = (0..200)
        .map(|_| {
            let url = tidegate.url();
            tokio::spawn(async move {
                instant_query(&url, &[("query", query)])
                    .await
                    .expect("tidegate answers")
            })
        })
        .collect();
    let mut misses = 0;
    let mut bodies = Vec::new();
    for ask in asks {
        let answer = ask.await.expect("no ask panics");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let status = answer.header("cache-status");
        misses += usize::from(status.contains("fwd=miss") && !status.contains("collapsed"));
        bodies.push(answer.body);
    }
    bodies.dedup();
    assert_eq!((misses, bodies.len()), (1, 1), "one fetch, shared by all");
    served(&prometheus, before + 2).await;

    // Another question shows that the count counts.
    instant_query(&tidegate.url(), &[("query", "vector(1)")])
        .await
        .expect("tidegate answers");
    served(&prometheus, before + 3).await;
}

/// Waits until Prometheus has served this many instant queries.
async fn served(prometheus: &Prometheus, expected: u64) {
    eventually(
        "Prometheus to count what it served",
        async || match prometheus.instant_queries_served().await {
            count if count == expected => Ok(()),
            count => Err(format!(
                "{count} queries reached it, {expected} should have"
            )),
        },
    )
    .await;
}

#[tokio::test]
async fn an_outage_is_bridged_said_and_ended() {
    let mut prometheus = Prometheus::start(&[]).await;
    let thresholds = "ttl = \"1s\"\nfresh_below = \"2s\"\nwarn_past = \"3s\"\nunavailable_past = \"15s\"\nprobe_interval = \"500ms\"\n";
    let mut tidegate = Tidegate::start(&config(&prometheus, thresholds), &[]).await;
    let url = tidegate.url();
    let ask = async || instant_query(&url, &[("query", "up")]).await;
    assert_eq!(ask().await.expect("tidegate answers").status, 200);
    health(&tidegate, 200, "up").await;

    eventually("an answer of just now", async || {
        let answer = ask().await?;
        let age = answer.header("age").to_owned();
        if age == "0" { Ok(()) } else { Err(age) }
    })
    .await;
    prometheus.kill();
    let bridged = eventually("an answer from memory that says why", async || {
        let answer = ask().await?;
        assert_eq!(
            answer.status,
            200,
            "memory must bridge this: {}",
            answer.text()
        );
        let status = answer.header("cache-status");
        match status_field(status, "detail") == Some("stale-on-error")
            && status_field(status, "freshness") == Some("stale")
        {
            true => Ok(answer),
            false => Err(status.to_owned()),
        }
    })
    .await;
    assert_eq!(
        bridged.first_value(),
        Some(1.0),
        "the last good answer: {}",
        bridged.text()
    );
    let status = bridged.header("cache-status");
    assert!(status.starts_with("tidegate; hit"), "{status}");
    let ttl: i64 = status_field(status, "ttl")
        .and_then(|ttl| ttl.parse().ok())
        .unwrap_or_default();
    assert!(ttl < 0, "past its ttl, and said so: {status}");
    let age: u64 = bridged.header("age").parse().unwrap_or_default();
    assert!(
        (1..=15).contains(&age),
        "its age in seconds: {:?}",
        bridged.header("age")
    );
    health(&tidegate, 200, "down").await;

    let refused = eventually("the answer to be too old", async || match ask().await? {
        answer if answer.status == 200 => Err(answer.header("cache-status").to_owned()),
        answer => Ok(answer),
    })
    .await;
    assert!(matches!(refused.status, 502..=504), "{}", refused.text());
    assert!(
        refused.error_message().contains("prom"),
        "the source is named: {}",
        refused.text()
    );
    assert_ne!(
        ask().await.expect("tidegate answers").status,
        200,
        "it stays an error"
    );
    tidegate.assert_alive().await;

    prometheus.restart().await;
    let back = eventually("all to be well", async || {
        let answer = ask().await?;
        let live = answer.status == 200
            && status_field(answer.header("cache-status"), "freshness") == Some("fresh");
        if live { Ok(answer) } else { Err(answer.text()) }
    })
    .await;
    assert_eq!(back.first_value(), Some(1.0), "{}", back.text());
    health(&tidegate, 200, "up").await;
}

/// Waits until `/health` answers with this status and this word for the source.
async fn health(tidegate: &Tidegate, status: u16, word: &str) {
    eventually("/health to notice", async || {
        let answer = get(&tidegate.at("/health")).await?;
        let told = source_health(&answer).is_some_and(|health| health == word);
        if answer.status == status && told {
            Ok(())
        } else {
            Err(format!("{}: {}", answer.status, answer.text()))
        }
    })
    .await;
}

fn source_health(answer: &Answer) -> Option<String> {
    let json = answer.json();
    let sources = json["sources"].as_array()?;
    let prom = sources.iter().find(|source| source["name"] == "prom")?;
    prom["health"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn prometheus_scrapes_tidegate_without_complaint() {
    let port = free_port();
    let prometheus = Prometheus::start(&[("tidegate", port)]).await;
    let tidegate = Tidegate::start_on(port, &config(&prometheus, ""), &[]).await;
    // Something of everything on its counters: a miss, a hit, an error.
    for query in ["up", "up", "up("] {
        instant_query(&tidegate.url(), &[("query", query)])
            .await
            .expect("tidegate answers");
    }
    eventually("the target to be up", async || {
        let targets = get(&format!("{}/api/v1/targets", prometheus.url()))
            .await?
            .json();
        let targets = targets["data"]["activeTargets"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let target = targets
            .iter()
            .find(|target| target["labels"]["job"] == "tidegate")
            .cloned()
            .unwrap_or_default();
        if target["health"] == "up" && target["lastError"] == "" {
            Ok(())
        } else {
            Err(target.to_string())
        }
    })
    .await;
    let scraped = eventually("its samples to be stored", async || {
        let answer = instant_query(
            &prometheus.url(),
            &[("query", "scrape_samples_scraped{job=\"tidegate\"}")],
        )
        .await?;
        answer
            .first_value()
            .filter(|samples| *samples > 0.0)
            .ok_or_else(|| answer.text())
    })
    .await;
    assert!(scraped >= 10.0, "only {scraped} samples");

    let metrics = get(&tidegate.at("/metrics"))
        .await
        .expect("tidegate answers");
    assert!(
        metrics
            .header("content-type")
            .starts_with("text/plain; version=0.0.4"),
        "{}",
        metrics.header("content-type")
    );
    let verdict = check_metrics(&metrics.text());
    assert!(
        verdict.status.success(),
        "promtool check metrics: {}{}\n{}",
        verdict.stdout,
        verdict.stderr,
        metrics.text()
    );
    assert_eq!(
        format!("{}{}", verdict.stdout, verdict.stderr).trim(),
        "",
        "promtool has remarks"
    );
}

/// `promtool check metrics` reads standard input, which a shell gives it.
fn check_metrics(text: &str) -> tidegate_e2e::Finished {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("metrics.txt");
    std::fs::write(&path, text).expect("a writable folder");
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", "exec \"$0\" check metrics < \"$1\""])
        .arg(tidegate_e2e::on_path("promtool"))
        .arg(&path);
    tidegate_e2e::Finished::run("promtool check metrics", &mut command)
}

#[tokio::test]
async fn promtool_prints_what_it_prints_against_prometheus() {
    let prometheus = Prometheus::start(&[]).await;
    let tidegate = Tidegate::start("", &["--source", &format!("prom={}", prometheus.url())]).await;
    let time = settled_moment().await;
    for query in [
        "up",
        "prometheus_build_info",
        "scalar(up)",
        "up[5s]",
        "1/0",
        "nothing_has_this_name",
        "up(",
    ] {
        let ask =
            |url: &str| Prometheus::promtool(&["query", "instant", "--time", &time, url, query]);
        let (expected, actual) = (ask(&prometheus.url()), ask(&tidegate.url()));
        assert_eq!(actual.stdout, expected.stdout, "{query}");
        assert_eq!(actual.stderr, expected.stderr, "{query}");
        assert_eq!(actual.status.code(), expected.status.code(), "{query}");
    }
    let live = Prometheus::promtool(&["query", "instant", &tidegate.url(), "up"]);
    assert!(
        live.stdout.contains("up{") && live.stdout.contains("=> 1 @["),
        "{}{}",
        live.stdout,
        live.stderr
    );
}
