//! The guest answers, the bounds hold, the end is orderly.

use std::time::Duration;

use crate::host::{Host, configured, counting, until, upstream, vector};

#[tokio::test]
async fn the_node_source_is_live_and_the_api_answers() {
    let host = Host::start("[node]\ninterval = \"100ms\"\n").await;
    let load = until(
        &host,
        "/api/v1/query?query=node_load1",
        "\"__name__\":\"node_load1\"",
    )
    .await;
    assert!(load.contains("\"status\":\"success\""), "{load}");
    assert!(load.contains("x-content-type-options: nosniff"), "{load}");
    assert_eq!(host.get("/health").await.0, 200);
    assert_eq!(host.get("/stats").await.0, 200);
    let (status, metrics) = host.get("/metrics").await;
    assert_eq!(status, 200);
    assert!(metrics.contains("# TYPE "), "{metrics}");
    host.end().await;
}

#[tokio::test]
async fn a_source_that_is_down_is_an_error_of_its_own_and_of_nobody_else() {
    // The discard port: nobody listens there.
    let host =
        Host::start("[[source]]\nname = \"gone\"\nurl = \"http://u:secret@127.0.0.1:9\"\n").await;
    let (status, response) = host.get("/api/v1/query?query=up").await;
    assert!((500..600).contains(&status), "{response}");
    assert!(
        response.contains("\"status\":\"error\"") && !response.contains("secret"),
        "{response}"
    );
    let (status, response) = host.get("/source/local/api/v1/query?query=up").await;
    assert_eq!(status, 200, "{response}");
    let health = until(&host, "/health", "\"down\"").await;
    assert!(!health.contains("secret"), "{health}");
    host.end().await;
}

#[tokio::test]
async fn what_is_too_large_or_unknown_gets_a_clear_refusal_and_the_host_lives() {
    let host = Host::start("[node]\nenabled = false\n").await;
    let body = "x".repeat(10 << 20);
    let head = format!(
        "POST /api/v1/query HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let (status, response) = host.send(format!("{head}{body}").as_bytes()).await;
    assert_eq!(status, 413, "{response}");
    assert!(
        response.contains("\"errorType\":\"bad_data\""),
        "{response}"
    );
    let (status, response) = host
        .get(&format!("/api/v1/query?query={}", "x".repeat(40 << 10)))
        .await;
    assert_eq!(status, 414, "{response}");
    assert!(
        response.contains("send the query in a POST body"),
        "{response}"
    );
    let (status, _) = host
        .get(&format!("/api/v1/query?query={}", "x".repeat(10 << 20)))
        .await;
    assert!(matches!(status, 414 | 431), "{status}");
    assert_eq!(host.get("/nothing/here").await.0, 404);
    assert_eq!(host.get("/api/v1/nothing").await.0, 404);
    assert_eq!(
        host.get("/source/unknown/api/v1/query?query=up").await.0,
        404
    );
    let both = b"POST /api/v1/query HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    assert!(host.send(both).await.0 >= 400, "two framings are none");
    assert_eq!(host.get("/health").await.0, 200);
    host.end().await;
}

#[tokio::test]
async fn the_dashboard_is_served_beside_the_api() {
    let host = Host::start("").await;
    let (status, page) = host.get("/").await;
    assert_eq!(status, 200);
    assert!(
        page.contains("content-security-policy: default-src 'self'"),
        "{page}"
    );
    assert!(
        page.to_ascii_lowercase().contains("<!doctype html>"),
        "{page}"
    );
    host.end().await;
}

#[tokio::test]
async fn targets_are_scraped_together_and_one_that_is_down_is_a_warning() {
    let first = upstream(|_| "up 1\nother 2\n".into()).await;
    let host = Host::start(&format!(
        "[[source]]\nname = \"pods\"\nkind = \"scrape\"\nretry = {{ retries_max = 0 }}\n\
         targets = [{{ name = \"a\", url = \"http://{first}/metrics\" }}, {{ name = \"b\", url = \"http://127.0.0.1:9/\" }}]\n"
    ))
    .await;
    let (status, response) = host.get("/api/v1/query?query=up").await;
    assert_eq!(status, 200, "{response}");
    assert!(
        response.contains(r#"{"__name__":"up","target":"a"}"#) && !response.contains("other"),
        "{response}"
    );
    assert!(response.contains("\"warnings\":[\"b:"), "{response}");
    host.end().await;
}

#[tokio::test]
async fn answers_are_forgotten_on_demand_but_not_for_pages_of_other_origins() {
    let source = upstream(vector).await;
    let host = Host::start(&counting("prom", source)).await;
    let query = "/api/v1/query?query=up";
    assert!(host.get(query).await.1.contains("\"1\""));
    assert!(host.get(query).await.1.contains("\"1\""));
    for header in ["sec-fetch-site: cross-site", "origin: http://evil.example"] {
        let (status, response) = host.post("/v1/invalidate?all=1", header).await;
        assert_eq!(status, 403, "{response}");
    }
    assert!(host.get(query).await.1.contains("\"1\""));
    let (status, response) = host.post("/v1/invalidate?all=1", "origin: http://x").await;
    assert_eq!(status, 200, "{response}");
    assert!(host.get(query).await.1.contains("\"2\""));
    host.end().await;
}

#[tokio::test]
async fn a_new_configuration_keeps_what_is_cached_and_finds_what_is_new() {
    let (old, new) = (upstream(vector).await, upstream(|_| vector(77)).await);
    let mut host = Host::start(&counting("prom", old)).await;
    let query = "/source/prom/api/v1/query?query=up";
    assert!(host.get(query).await.1.contains("\"1\""));

    let both = format!("{}{}", counting("new", new), counting("prom", old));
    host.reloader.apply(configured(&both)).await.unwrap();
    assert!(host.get(query).await.1.contains("\"1\""), "kept");
    let first = host.get("/api/v1/query?query=up").await.1;
    assert!(first.contains("\"77\""), "{first}");

    let moved = counting("prom", new);
    host.reloader.apply(configured(&moved)).await.unwrap();
    let now = host.get(query).await.1;
    assert!(now.contains("\"77\""), "of its new address: {now}");
    let gone = host.get("/source/new/api/v1/query?query=up").await;
    assert_eq!(gone.0, 404, "{}", gone.1);
    host.end().await;
}

#[tokio::test]
async fn a_new_configuration_that_is_wrong_changes_nothing() {
    let source = upstream(vector).await;
    let mut host = Host::start(&counting("prom", source)).await;
    let mut wrong = configured(&counting("prom", source));
    wrong.sources.push(wrong.sources[0].clone());
    wrong.sources.remove(0).config.name = "other".into();
    wrong.sources[0].config.timeout = Duration::ZERO;
    let error = host.reloader.apply(wrong).await.unwrap_err();
    assert!(error.to_string().contains("timeout is zero"), "{error}");
    let (status, response) = host.get("/source/prom/api/v1/query?query=up").await;
    assert_eq!(status, 200, "{response}");
    host.end().await;
}
