//! Upstreams that break, requests that are wrong, starts that fail: a clear message, the right
//! status, and a process that lives on.

use std::net::TcpListener;

use tidegate_e2e::{
    Answer, Behaviour, Tidegate, Upstream, eventually, free_port, get, instant_query, post_form,
    run_cli,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Far above an idle Tidegate, far below what an unbounded body would take.
const MEMORY_BYTES_MAX: u64 = 400 << 20;

fn one_source(url: &str, more: &str) -> String {
    format!("[[source]]\nname = \"prom\"\nurl = \"{url}\"\n{more}\n[node]\nenabled = false\n")
}

/// Asks a Tidegate before this upstream; checks that it answers with a gateway error and lives.
async fn ask_through(behaviour: Behaviour, more: &str) -> (Answer, Tidegate, Upstream) {
    let upstream = Upstream::start(behaviour).await;
    let mut tidegate = Tidegate::start(&one_source(&upstream.url(), more), &[]).await;
    let answer = instant_query(&tidegate.url(), &[("query", "up")])
        .await
        .expect("tidegate answers");
    assert!(
        matches!(answer.status, 502..=504),
        "{behaviour:?}: {} {}",
        answer.status,
        answer.text()
    );
    assert!(
        answer.error_message().contains("prom"),
        "the source is named: {}",
        answer.text()
    );
    assert_eq!(answer.header("content-type"), "application/json");
    tidegate.assert_alive().await;
    (answer, tidegate, upstream)
}

#[tokio::test]
async fn a_body_that_is_not_json_is_a_gateway_error() {
    let (answer, ..) = ask_through(Behaviour::Page, "").await;
    assert!(
        !answer.text().contains("airport"),
        "a stranger's page is not passed on: {}",
        answer.text()
    );
}

#[tokio::test]
async fn a_body_of_two_gigabytes_is_cut_and_memory_stays_bounded() {
    cut(Behaviour::Huge).await;
}

#[tokio::test]
async fn a_body_without_end_is_cut_and_memory_stays_bounded() {
    cut(Behaviour::Endless).await;
}

async fn cut(behaviour: Behaviour) {
    let (answer, mut tidegate, upstream) = ask_through(behaviour, "").await;
    assert!(
        answer.error_message().contains("limit"),
        "{}",
        answer.text()
    );
    for _ in 0..3 {
        let again = instant_query(&tidegate.url(), &[("query", "up")])
            .await
            .expect("tidegate answers");
        assert_eq!(again.status, answer.status, "{}", again.text());
    }
    tidegate.assert_alive().await;
    if let Some(peak) = tidegate.process().memory_peak() {
        assert!(peak < MEMORY_BYTES_MAX, "{} MiB at its peak", peak >> 20);
    }
    let sent = upstream.bytes_sent();
    assert!(
        sent < 4 * MEMORY_BYTES_MAX,
        "it read on and on: {} MiB",
        sent >> 20
    );
}

#[tokio::test]
async fn a_gzip_bomb_does_not_go_off() {
    let (_, mut tidegate, _upstream) = ask_through(Behaviour::GzipBomb, "").await;
    if let Some(peak) = tidegate.process().memory_peak() {
        assert!(peak < MEMORY_BYTES_MAX, "{} MiB at its peak", peak >> 20);
    }
}

#[tokio::test]
async fn half_a_body_is_no_body() {
    ask_through(Behaviour::Truncated, "").await;
}

#[tokio::test]
async fn what_is_not_http_is_a_gateway_error() {
    ask_through(Behaviour::Noise, "").await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (answer, ..) = ask_through(Behaviour::Redirect, "").await;
    assert!(
        answer.error_message().contains("redirect"),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn a_silent_source_costs_its_timeout_and_no_more() {
    let (answer, ..) = ask_through(Behaviour::Silence, "timeout = \"1s\"\n").await;
    assert!(matches!(answer.status, 503 | 504), "{}", answer.text());
    assert!(
        answer.error_message().contains("1s"),
        "it says how long it waited: {}",
        answer.text()
    );
}

#[tokio::test]
async fn a_source_that_is_down_at_the_start_is_served_around() {
    let url = format!("http://127.0.0.1:{}", free_port());
    let mut tidegate = Tidegate::start(
        &format!("[[source]]\nname = \"prom\"\nurl = \"{url}\"\nprobe_interval = \"500ms\"\n"),
        &[],
    )
    .await;
    eventually("/health to say that the source is down", async || {
        let answer = get(&tidegate.at("/health")).await?;
        let sources = answer.json()["sources"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let down = sources
            .iter()
            .any(|source| source["name"] == "prom" && source["health"] == "down");
        if down { Ok(()) } else { Err(answer.text()) }
    })
    .await;
    let answer = instant_query(&tidegate.url(), &[("query", "up")])
        .await
        .expect("tidegate answers");
    assert!(matches!(answer.status, 502..=504), "{}", answer.text());
    assert!(
        answer.error_message().contains("connect"),
        "{}",
        answer.text()
    );
    // This machine's own numbers are there all the same.
    eventually("the node source to speak", async || {
        let answer = get(&tidegate.at("/source/local/api/v1/query?query=node_load1")).await?;
        answer
            .first_value()
            .map(|_| ())
            .ok_or_else(|| answer.text())
    })
    .await;
    tidegate.assert_alive().await;
}

#[tokio::test]
async fn an_unknown_source_is_named_with_those_there_are() {
    let tidegate = Tidegate::start(&one_source("http://127.0.0.1:9", ""), &[]).await;
    let answer = instant_query(&tidegate.at("/source/grafana"), &[("query", "up")])
        .await
        .expect("tidegate answers");
    assert_eq!(answer.status, 404, "{}", answer.text());
    let message = answer.error_message();
    assert!(
        message.contains("grafana") && message.contains("prom") && message.contains("local"),
        "{message}"
    );
}

#[tokio::test]
async fn a_query_of_ten_megabytes_is_refused_at_the_door() {
    let mut tidegate = Tidegate::start(&one_source("http://127.0.0.1:9", ""), &[]).await;
    let query = "up+".repeat(10 << 20 >> 2);
    let url = tidegate.at("/api/v1/query");
    // A server may hang up on a body it has refused before the client has sent it all.
    if let Ok(answer) = post_form(&url, format!("query={query}")).await {
        assert_eq!(answer.status, 413, "{}", answer.text());
        answer.error_message();
    }
    if let Ok(answer) = get(&format!("{url}?query={query}")).await {
        assert!(matches!(answer.status, 414 | 431), "{}", answer.status);
    }
    // Longer than a query may be, shorter than what the server takes.
    let answer = post_form(&url, format!("query={}", "a".repeat(200 << 10)))
        .await
        .expect("tidegate answers");
    assert!(matches!(answer.status, 400 | 413), "{}", answer.text());
    assert!(
        answer.error_message().contains("131072"),
        "the limit is named: {}",
        answer.text()
    );
    tidegate.assert_alive().await;
}

#[tokio::test]
async fn clients_that_never_finish_do_not_keep_others_out() {
    let mut tidegate = Tidegate::start("", &[]).await;
    let mut dawdlers = Vec::new();
    for _ in 0..100 {
        let mut stream = TcpStream::connect(("127.0.0.1", tidegate.port()))
            .await
            .expect("it listens");
        stream
            .write_all(b"POST /api/v1/query HTTP/1.1\r\nhost: x\r\ncontent-le")
            .await
            .expect("it is open");
        dawdlers.push(stream);
    }
    tidegate.assert_alive().await;
    // Garbage ends in an error or a closed door, and harms nobody.
    let mut stream = TcpStream::connect(("127.0.0.1", tidegate.port()))
        .await
        .expect("it listens");
    stream
        .write_all(b"\x00\xff\r\n\r\n")
        .await
        .expect("it is open");
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(!rest.starts_with(b"HTTP/1.1 2"), "garbage is no request");
    tidegate.assert_alive().await;
}

/// Runs `tidegate serve` as it must not start; gives back what it says.
fn refusal(arguments: &[&str]) -> String {
    let finished = run_cli(arguments);
    assert!(
        !finished.status.success(),
        "{arguments:?} should fail: {}",
        finished.stdout
    );
    assert_eq!(finished.stdout, "", "errors belong to standard error");
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
    finished.stderr
}

#[test]
fn a_bad_url_is_refused_with_an_example() {
    for source in [
        "prom=ftp://127.0.0.1",
        "prom=9090",
        "prom",
        "=http://127.0.0.1",
        "prom=http://",
        "local=http://127.0.0.1:1",
    ] {
        let message = refusal(&["serve", "--listen", "127.0.0.1:0", "--source", source]);
        assert!(
            message.contains(source.trim_start_matches("prom=")) || message.contains("local"),
            "{source}: {message}"
        );
    }
    let message = refusal(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--source",
        "prom=ftp://user:secret@127.0.0.1",
    ]);
    assert!(
        !message.contains("secret"),
        "credentials are not shown: {message}"
    );
}

#[test]
fn a_typo_in_the_configuration_is_shown_where_it_stands() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("tidegate.toml");
    let refuse = |text: &str| {
        std::fs::write(&path, text).expect("a writable folder");
        refusal(&["serve", "--config", &path.display().to_string()])
    };
    let message =
        refuse("[[source]]\nname = \"prom\"\nurl = \"http://127.0.0.1:9090\"\n  tll = \"30s\"\n");
    assert!(
        message.contains("tidegate.toml:4:3") && message.contains("tll") && message.contains("ttl"),
        "{message}"
    );
    let message = refuse(
        "[[source]]\nname = \"prom\"\nurl = \"http://127.0.0.1:9090\"\nttl = \"30 bananas\"\n",
    );
    assert!(
        message.contains("tidegate.toml:4:7") && message.contains("30 bananas"),
        "{message}"
    );
    let message = refuse("[cache\nenabled = true\n");
    assert!(message.contains("tidegate.toml:1:"), "{message}");
    let message = refusal(&["serve", "--config", "/nowhere/tidegate.toml"]);
    assert!(message.contains("/nowhere/tidegate.toml"), "{message}");
}

#[test]
fn a_busy_port_is_named() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("a bound socket").to_string();
    let message = refusal(&["serve", "--listen", &address]);
    assert!(message.contains(&address), "{message}");
}
