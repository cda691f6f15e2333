//! The ready-made client: built on a runtime, shared between tasks, honest about its mistakes.
#![cfg(feature = "native")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use tidegate_client::ClientError;
use tidegate_client::native::{BuildError, Tidegate};
use tidegate_core::{Ask, QueryError};

const BODY: &str =
    r#"{"status":"success","data":{"resultType":"scalar","result":[1700000000,"42"]}}"#;

/// A server that answers every connection with the body; gives its URL and how often it did.
fn prometheus() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&served);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            let bytes = stream.read(&mut head).unwrap();
            if std::str::from_utf8(&head[..bytes])
                .unwrap()
                .contains("query=")
            {
                counter.fetch_add(1, Ordering::SeqCst);
            }
            let length = BODY.len();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{BODY}"
            )
            .unwrap();
        }
    });
    (url, served)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_on_all_threads_share_one_client_and_one_fetch() {
    let (url, served) = prometheus();
    let client = Tidegate::builder().source("prom", url).build().unwrap();
    let asks: Vec<_> = (0..50)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.query(Ask::promql("scalar(x)")).await })
        })
        .collect();
    for ask in asks {
        let answer = ask.await.unwrap().unwrap();
        assert_eq!(answer.payload.body.as_deref(), Some(BODY.as_bytes()));
    }
    assert_eq!(served.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_source_that_is_down_is_an_error_that_says_so_and_an_event() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    let observer = move |event| heard.lock().unwrap().push(event);
    let client = Tidegate::builder()
        .source("prom", url)
        .observer(observer)
        .build()
        .unwrap();
    let error = client.query(Ask::promql("up")).await.unwrap_err();
    assert!(
        matches!(error, ClientError::Query(QueryError::Unreachable { .. })),
        "{error:?}"
    );
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(
        events
            .lock()
            .unwrap()
            .iter()
            .any(|event: &tidegate_core::Event| &*event.source == "prom")
    );
}

#[tokio::test]
async fn a_wrong_address_is_named_by_its_source_and_kept_secret() {
    let error = Tidegate::builder()
        .source("prom", "ftp://user:secret@h")
        .build()
        .unwrap_err();
    assert!(matches!(error, BuildError::Url { .. }));
    assert!(
        error.to_string().starts_with("source prom: expected a URL"),
        "{error}"
    );
    assert!(!format!("{error} {error:?}").contains("secret"));
    let builder = Tidegate::builder().source("prom", "http://user:secret@h");
    assert!(!format!("{builder:?}").contains("secret"));
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_panic() {
    let error = Tidegate::builder()
        .source("prom", "http://127.0.0.1:1")
        .build()
        .unwrap_err();
    assert_eq!(error, BuildError::NoRuntime);
}
