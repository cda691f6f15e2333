//! Responses that are given out again: without waking the collector, as it would have answered,
//! and not a moment longer than it allows.

use std::io::Read;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::host::{Host, configured, counting, upstream};

const UP: &str = "/api/v1/query?query=up";

/// Data of this moment, `nth` of them, with as many series as make it worth compressing.
pub(crate) fn young(nth: usize) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now_s = now.as_secs_f64();
    let series = (0..40)
        .map(|at| format!(r#"{{"metric":{{"pod":"pod-{at}"}},"value":[{now_s:.3},"{nth}"]}}"#));
    let series = series.collect::<Vec<_>>().join(",");
    format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{series}]}}}}"#)
}

async fn host() -> Host {
    let source = upstream(young).await;
    Host::start(&format!(
        "{}[node]\nenabled = false\n",
        counting("prom", source)
    ))
    .await
}

async fn metric(host: &Host, name: &str) -> u64 {
    let (_, metrics) = host.get("/metrics").await;
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    let value = line.unwrap_or_else(|| panic!("no {name}: {metrics}"));
    value.trim().parse().unwrap()
}

fn header<'a>(response: &'a str, name: &str) -> &'a str {
    let head = response.split("\r\n\r\n").next().unwrap_or_default();
    let line = head.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.strip_prefix(": "))
        .unwrap_or_default()
}

fn content(response: &str) -> &str {
    response.split_once("\r\n\r\n").unwrap().1
}

#[tokio::test]
async fn equal_requests_are_answered_without_the_collector_as_it_would() {
    let host = host().await;
    let (_, first) = host.get(UP).await;
    assert!(
        header(&first, "cache-status").contains("fwd=miss"),
        "{first}"
    );
    for _ in 0..5 {
        let (status, again) = host.get(UP).await;
        assert_eq!((status, content(&again)), (200, content(&first)));
        let how = header(&again, "cache-status");
        assert!(how.starts_with("tidegate; hit; ttl=2"), "{how}");
        assert!(how.ends_with("; freshness=fresh; detail=hit"), "{how}");
        for same in ["content-type", "etag", "vary", "x-content-type-options"] {
            let value = header(&first, same);
            assert!(!value.is_empty(), "{same}: {first}");
            assert_eq!(header(&again, same), value);
        }
        assert!(header(&again, "age").parse::<u64>().unwrap() < 30);
    }
    assert_eq!(metric(&host, "tidegate_rendered_hits_total").await, 5);
    assert_eq!(
        metric(&host, "tidegate_asks_total{provenance=\"hit\"}").await,
        0
    );
    assert_eq!(metric(&host, "tidegate_rendered_responses").await, 1);
    let (_, other) = host.get("/source/prom/api/v1/query?query=up").await;
    assert!(header(&other, "cache-status").contains("; hit; ttl="));
    assert_eq!(
        metric(&host, "tidegate_asks_total{provenance=\"hit\"}").await,
        1
    );
    assert_eq!(
        metric(&host, "tidegate_http_requests_total{code=\"2xx\"}").await,
        11
    );
    host.end().await;
}

#[tokio::test]
async fn it_ends_with_an_invalidation_a_reload_and_whatever_is_newer() {
    let mut host = host().await;
    let says = |response: &str, nth: usize| response.contains(&format!("\"{nth}\"]"));
    assert!(says(&host.get(UP).await.1, 1));
    assert!(says(&host.get(UP).await.1, 1));
    host.post("/v1/invalidate?all=1", "origin: http://x").await;
    assert!(says(&host.get(UP).await.1, 2), "after an invalidation");

    let fresh = format!(
        "GET {UP} HTTP/1.1\r\nhost: x\r\ncache-control: no-cache\r\nconnection: close\r\n\r\n"
    );
    assert!(says(&host.send(fresh.as_bytes()).await.1, 3));
    assert!(says(&host.get(UP).await.1, 3), "after a newer answer");

    let moved = upstream(|_| young(77)).await;
    let config = configured(&format!(
        "{}[node]\nenabled = false\n",
        counting("prom", moved)
    ));
    host.reloader.apply(config).await.unwrap();
    assert!(says(&host.get(UP).await.1, 77), "after a reload");
    host.end().await;
}

#[tokio::test]
async fn a_form_is_as_good_as_a_target_and_another_form_is_another_request() {
    let host = host().await;
    let ask = |query: &str| {
        let form = format!("query={query}");
        format!(
            "POST /api/v1/query HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
            form.len()
        )
    };
    for (query, wanted) in [
        ("up", "\"1\"]"),
        ("up", "\"1\"]"),
        ("do", "\"2\"]"),
        ("up", "\"1\"]"),
    ] {
        let (status, response) = host.send(ask(query).as_bytes()).await;
        assert!(
            status == 200 && response.contains(wanted),
            "{query}: {response}"
        );
    }
    assert_eq!(metric(&host, "tidegate_rendered_hits_total").await, 2);
    host.end().await;
}

#[tokio::test]
async fn whoever_has_it_already_gets_no_body_and_whoever_takes_less_gets_it_compressed() {
    let host = host().await;
    let asked = async |headers: &str| {
        let request = format!("GET {UP} HTTP/1.1\r\nhost: x\r\n{headers}connection: close\r\n\r\n");
        host.receive(request.as_bytes()).await
    };
    let split = |response: &[u8]| {
        let end = response
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        let head = String::from_utf8(response[..end].to_vec()).unwrap();
        (head, response[end + 4..].to_vec())
    };
    let (head, plain) = split(&asked("").await);
    assert_eq!(header(&head, "vary"), "accept-encoding");
    let tag = header(&head, "etag");
    let (gzip_head, gzip) = split(&asked("accept-encoding: gzip\r\n").await);
    assert_eq!(
        header(&gzip_head, "content-encoding"),
        "gzip",
        "{gzip_head}"
    );
    assert_eq!(header(&gzip_head, "etag"), tag, "weak, so of any coding");
    let mut unzipped = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(&*gzip);
    decoder.read_to_end(&mut unzipped).unwrap();
    assert_eq!(unzipped, plain);
    let (zstd_head, zstd) = split(&asked("accept-encoding: gzip, zstd\r\n").await);
    assert_eq!(header(&zstd_head, "content-encoding"), "zstd");
    assert_eq!(zstd::bulk::decompress(&zstd, plain.len()).unwrap(), plain);

    let known = format!("if-none-match: \"x\", {tag}\r\naccept-encoding: gzip\r\n");
    let (known_head, nothing) = split(&asked(&known).await);
    assert!(known_head.starts_with("HTTP/1.1 304"), "{known_head}");
    assert!(nothing.is_empty());
    assert_eq!(header(&known_head, "etag"), tag);
    assert_eq!(header(&known_head, "vary"), "accept-encoding");
    assert_eq!(header(&known_head, "content-encoding"), "");
    host.post("/v1/invalidate?all=1", "origin: http://x").await;
    let (new_head, _) = split(&asked(&known).await);
    assert!(new_head.starts_with("HTTP/1.1 200"), "new data: {new_head}");
    host.end().await;
}
