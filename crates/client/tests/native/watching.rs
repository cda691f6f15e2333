//! Watches: at once, every period, never queued, and over when nobody wants them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_executor::block_on;
use tidegate_client::native::{
    Answer, Ask, HttpRequest, NodeMetrics, Params, Tidegate, WATCH_EVERY_MIN, Watch, packs,
};
use tokio::time::{sleep, timeout};

use crate::server::{Server, failure, vector};

/// Long enough for anything that ends by itself.
const PATIENCE: Duration = Duration::from_secs(20);
const PERIOD: Duration = Duration::from_millis(20);

/// Says how often it was asked.
fn counting() -> Server {
    let asked = AtomicUsize::new(0);
    Server::of(move |_| vector(&[("", asked.fetch_add(1, Ordering::SeqCst) as f64)]))
}

fn client(server: &Server) -> Tidegate {
    let builder = Tidegate::builder().source("prom", server.url.clone());
    builder.build().unwrap()
}

/// An ask that memory never answers.
fn anew() -> Ask {
    Ask {
        max_age: Some(Duration::ZERO),
        ..Ask::promql("up")
    }
}

async fn next(watch: &mut Watch<Answer>) -> Answer {
    let next = timeout(PATIENCE, watch.next()).await;
    next.expect("in time")
        .expect("not over")
        .expect("an answer")
}

#[tokio::test]
async fn the_first_comes_at_once_and_then_one_each_period() {
    let server = counting();
    let client = client(&server);
    let began = Instant::now();
    let mut rare = client.watch(Ask::promql("up"), Duration::MAX);
    next(&mut rare).await;
    assert!(timeout(PERIOD, rare.next()).await.is_err());
    let mut watch = client.watch(Ask::promql("up"), PERIOD);
    for _ in 0..3 {
        next(&mut watch).await;
    }
    assert!(began.elapsed() >= 2 * PERIOD);
    assert_eq!(server.asked("query="), 1, "the rest were hits");
}

#[tokio::test]
async fn a_slow_reader_finds_a_new_answer_and_no_queue_of_old_ones() {
    let server = counting();
    let mut watch = client(&server).watch(anew(), PERIOD);
    next(&mut watch).await;
    sleep(5 * PERIOD).await;
    assert_eq!(server.asked("query="), 1, "nobody asked meanwhile");
    next(&mut watch).await;
    assert_eq!(server.asked("query="), 2);
}

#[tokio::test]
async fn a_period_of_nothing_does_not_spin() {
    let server = counting();
    let mut watch = client(&server).watch(Ask::promql("up"), Duration::ZERO);
    let began = Instant::now();
    for _ in 0..6 {
        next(&mut watch).await;
    }
    assert!(began.elapsed() >= 5 * WATCH_EVERY_MIN);
}

#[tokio::test]
async fn an_error_is_an_item_and_the_next_period_brings_another() {
    let server = Server::of(|_| failure());
    let mut watch = client(&server).watch(Ask::promql("up"), PERIOD);
    for _ in 0..2 {
        assert!(watch.next().await.expect("not over").is_err());
    }
}

#[tokio::test]
async fn it_ends_when_the_client_is_closed_however_long_its_period() {
    let server = counting();
    let client = client(&server);
    let mut resting = client.watch(Ask::promql("up"), Duration::MAX);
    next(&mut resting).await;
    let mut unasked = client.watch(Ask::promql("up"), PERIOD);
    let closing = async {
        sleep(PERIOD).await;
        client.close();
    };
    let (end, ()) = tokio::join!(timeout(PATIENCE, resting.next()), closing);
    assert!(end.expect("in time").is_none());
    assert!(resting.next().await.is_none());
    assert!(unasked.next().await.is_none());
}

#[tokio::test]
async fn dropped_it_takes_its_ask_along_and_asks_no_more() {
    let server = counting();
    let client = client(&server);
    let mut watch = client.watch(anew(), PERIOD);
    next(&mut watch).await;
    drop(watch);
    let before = server.asked("query=");
    sleep(4 * PERIOD).await;
    assert_eq!(server.asked("query="), before);

    let hanging = Server::of(|_| None);
    let client = self::client(&hanging);
    let mut watch = client.watch(Ask::promql("up"), PERIOD);
    assert!(timeout(5 * PERIOD, watch.next()).await.is_err());
    drop(watch);
    // Its command is abandoned, so nobody waits for the fetch any more.
    while !stats(&client).await.contains(r#""waiting":0"#) {
        sleep(Duration::from_millis(1)).await;
    }
}

async fn stats(client: &Tidegate) -> String {
    let stats = client.http(HttpRequest::get("/stats")).await.unwrap();
    String::from_utf8(stats.body).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn whoever_polls_need_not_be_on_the_client_s_runtime() {
    let server = counting();
    let client = client(&server);
    let outside = std::thread::spawn(move || {
        let mut watch = client.watch(Ask::promql("up"), PERIOD);
        block_on(async {
            for _ in 0..3 {
                watch.next().await.unwrap().unwrap();
            }
        });
    });
    let joined = tokio::task::spawn_blocking(move || outside.join());
    joined.await.unwrap().expect("no panic");
}

#[tokio::test]
async fn records_can_be_watched_too() {
    let server = Server::of(|_| vector(&[(r#""node":"edge-1""#, 1.0)]));
    let client = Tidegate::builder()
        .source("prom", server.url.clone())
        .pack(packs::node())
        .build()
        .unwrap();
    let mut watch = client.watch_records::<NodeMetrics>(Params::new(), PERIOD);
    for _ in 0..2 {
        let nodes = watch.next().await.unwrap().unwrap();
        assert_eq!(nodes.rows[0].node, "edge-1");
    }
}
