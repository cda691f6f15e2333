//! Work that is spread over several collectors: the same answers, what changes something reaches
//! all of them, and what is said of them is said once.

use std::fs::File;
use std::io::BufReader;

use tidegate_client::recording::{End, replay};
use tidegate_wire::{ExpositionFormat, ScrapeLimits, decode_exposition};

use crate::host::{Host, configured, counting, until, upstream, vector};
use crate::rendered::young;

const QUERIES: usize = 24;

fn query(nth: usize) -> String {
    format!("/api/v1/query?query=metric_{nth}")
}

fn sharded(sources: &str) -> String {
    format!("shards = 3\n{sources}[node]\nenabled = false\n")
}

fn body(response: &str) -> &str {
    response.split_once("\r\n\r\n").unwrap().1
}

/// The values of all samples whose lines begin so.
fn values(metrics: &str, start: &str) -> Vec<u64> {
    let lines = body(metrics).lines().filter(|line| line.starts_with(start));
    let values = lines.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap());
    values.collect()
}

#[tokio::test]
async fn each_question_is_fetched_once_and_an_invalidation_reaches_every_shard() {
    let source = upstream(vector).await;
    let host = Host::start(&sharded(&counting("prom", source))).await;
    let mut bodies = Vec::new();
    for nth in 0..QUERIES {
        let (status, response) = host.get(&query(nth)).await;
        assert_eq!(status, 200, "{response}");
        bodies.push(body(&response).to_owned());
    }
    for (nth, before) in bodies.iter().enumerate() {
        let form = format!("query=metric_{nth}");
        let post = format!(
            "POST /source/prom/api/v1/query HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
            form.len()
        );
        let (_, response) = host.send(post.as_bytes()).await;
        assert_eq!(body(&response), before, "a posted question is the same");
    }
    let (_, metrics) = host.get("/metrics").await;
    let misses = values(&metrics, "tidegate_asks_total{shard=");
    assert_eq!(misses.iter().sum::<u64>(), 2 * QUERIES as u64, "{metrics}");
    let fetches = values(&metrics, "tidegate_fetches_total{shard=");
    assert_eq!(fetches.iter().sum::<u64>(), QUERIES as u64);
    assert!(fetches.len() == 3 && fetches.iter().all(|count| *count > 0));

    let (_, forgotten) = host.post("/v1/invalidate?all=1", "origin: http://x").await;
    let counted = format!("\"forgotten\":{QUERIES}}}");
    assert!(forgotten.contains(&counted), "{forgotten}");
    for (nth, before) in bodies.iter().enumerate() {
        assert_ne!(body(&host.get(&query(nth)).await.1), before);
    }
    host.end().await;
}

#[tokio::test]
async fn what_is_given_out_again_ends_with_the_shard_that_lent_it() {
    let source = upstream(young).await;
    let host = Host::start(&sharded(&counting("prom", source))).await;
    let mut bodies = Vec::new();
    for nth in 0..QUERIES {
        bodies.push(body(&host.get(&query(nth)).await.1).to_owned());
        assert_eq!(body(&host.get(&query(nth)).await.1), bodies[nth]);
    }
    let (_, metrics) = host.get("/metrics").await;
    let hits = values(&metrics, "tidegate_rendered_hits_total ");
    assert_eq!(hits, [QUERIES as u64]);
    let (_, said) = host
        .post(
            "/v1/invalidate?key=prom/:query=metric_3",
            "origin: http://x",
        )
        .await;
    assert!(said.contains("\"forgotten\":1}"), "{said}");
    for (nth, before) in bodies.iter().enumerate() {
        let same = body(&host.get(&query(nth)).await.1) == before;
        assert_eq!(same, nth != 3, "{nth}");
    }
    host.end().await;
}

#[tokio::test]
async fn the_host_speaks_of_itself_as_one() {
    let source = upstream(vector).await;
    let config = format!(
        "shards = 3\n{}[node]\ninterval = \"100ms\"\n",
        counting("prom", source)
    );
    let host = Host::start(&config).await;
    for nth in 0..QUERIES {
        host.get(&query(nth)).await;
    }
    let load = "/source/local/api/v1/query?query=node_load1";
    until(&host, load, "\"__name__\":\"node_load1\"").await;
    let (status, ready) = host.get("/-/ready").await;
    assert_eq!(status, 200, "{ready}");
    let (_, health) = host.get("/health").await;
    let health: serde_json::Value = serde_json::from_str(body(&health)).unwrap();
    assert_eq!(health["status"], "ok");
    assert_eq!(health["shards"]["up"], 3);
    assert_eq!(health["sources"][0]["health"], "up");
    let (_, stats) = host.get("/stats").await;
    let stats: serde_json::Value = serde_json::from_str(body(&stats)).unwrap();
    assert_eq!(stats["asks"]["misses"], QUERIES);
    assert_eq!(stats["cache"]["bytes_max"], (64 << 20) / 3 * 3);
    assert!(stats["local"]["series"].as_u64().unwrap() > 10);
    let (_, metrics) = host.get("/metrics").await;
    let text = ExpositionFormat::Text;
    let read = decode_exposition(body(&metrics).as_bytes(), text, 0, &ScrapeLimits::default());
    assert_eq!(read.unwrap().repeated, None);
    assert_eq!(metrics.matches("# TYPE tidegate_asks_total ").count(), 1);
    let (_, why) = host.get("/v1/explain?key=prom/:query=metric_1").await;
    assert!(
        why.contains("\"kept\":{") && why.contains("\"shard\":"),
        "{why}"
    );
    let (_, head) = host
        .send(b"HEAD /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await;
    assert_eq!(body(&head), "");
    host.end().await;
}

#[tokio::test]
async fn a_new_configuration_is_that_of_every_shard_or_of_none() {
    let (old, new) = (upstream(vector).await, upstream(|_| vector(77)).await);
    let mut host = Host::start(&sharded(&counting("prom", old))).await;
    for nth in 0..QUERIES {
        host.get(&query(nth)).await;
    }
    let both = sharded(&format!(
        "{}{}",
        counting("prom", old),
        counting("new", new)
    ));
    host.reloader.apply(configured(&both)).await.unwrap();
    for nth in 0..QUERIES {
        let (_, response) = host.get(&format!("/source/new{}", query(nth))).await;
        assert!(response.contains("\"77\""), "{response}");
        let (_, kept) = host.get(&query(nth)).await;
        assert!(kept.contains(&format!("\"{}\"]", nth + 1)), "{kept}");
    }
    let moved = sharded(&counting("prom", new));
    host.reloader.apply(configured(&moved)).await.unwrap();
    for nth in 0..QUERIES {
        let (_, response) = host.get(&query(nth)).await;
        assert!(
            response.contains("\"77\""),
            "of its new address: {response}"
        );
        let gone = host.get(&format!("/source/new{}", query(nth))).await;
        assert_eq!(gone.0, 404, "{}", gone.1);
    }
    host.end().await;
}

#[tokio::test]
async fn every_shard_is_recorded_in_a_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tidegate.rec");
    let source = upstream(vector).await;
    let config = sharded(&counting("prom", source));
    let host = Host::start_recording(&config, Some(&file)).await;
    for nth in 0..QUERIES {
        assert_eq!(host.get(&query(nth)).await.0, 200);
    }
    host.end().await;
    for nth in 0..3 {
        let file = folder.path().join(format!("tidegate.rec.{nth}"));
        let timeline = replay(BufReader::new(File::open(file).unwrap())).unwrap();
        assert_eq!(timeline.end, End::Complete);
    }
    assert!(!file.exists());
}
