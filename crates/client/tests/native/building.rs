//! Built on a runtime, shared between tasks, honest about its mistakes.

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use tidegate_client::ClientError;
use tidegate_client::native::{BuildError, Config, SourceConfig, TemplateConfig, Tidegate, packs};
use tidegate_client::recording::{End, replay};
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

#[tokio::test]
async fn an_address_that_lacks_or_is_nobody_s_is_named() {
    let config = Config::with_sources(vec![SourceConfig::prometheus("prom")]);
    let builder = || Tidegate::builder().config(config.clone());
    let error = builder().build().unwrap_err();
    assert_eq!(error.to_string(), "source prom has no address");
    let error = builder().address("prim", "http://h").build().unwrap_err();
    assert!(error.to_string().contains("\"prim\""), "{error}");
    let config = Config::with_sources(vec![SourceConfig::scrape("pods", vec!["a".into()])]);
    let pods = || Tidegate::builder().config(config.clone());
    let error = pods().build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "target \"a\" of source pods has no address"
    );
    let error = pods()
        .target_address("pods", "b", "http://h")
        .build()
        .unwrap_err();
    assert!(error.to_string().contains("\"b\""), "{error}");
    let (url, served) = prometheus();
    let client = builder().address("prom", url).build().unwrap();
    client.query(Ask::promql("x")).await.unwrap();
    assert_eq!(served.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_source_s_own_template_stays_where_a_pack_has_one_of_that_name() {
    let own = TemplateConfig {
        name: "kv_cache".into(),
        text: "my_cache".into(),
        ..TemplateConfig::default()
    };
    let source = SourceConfig {
        templates: vec![own],
        ..SourceConfig::prometheus("prom")
    };
    let client = Tidegate::builder()
        .source_with(source, "http://127.0.0.1:1")
        .pack(packs::inference())
        .build()
        .unwrap();
    let templates = client.templates("prom").await.unwrap();
    let kv_cache: Vec<_> = templates
        .iter()
        .filter(|template| template.name == "kv_cache")
        .collect();
    assert_eq!(kv_cache.len(), 1);
    assert_eq!(kv_cache[0].text, "my_cache");
    assert_eq!(templates.len(), packs::inference().queries.len());
}

#[tokio::test]
async fn a_wrong_pack_or_owner_is_named() {
    let mut pack = packs::node();
    pack.queries.clear();
    let error = Tidegate::builder().pack(pack).build().unwrap_err();
    assert!(error.to_string().starts_with("pack node: "), "{error}");
    let error = Tidegate::builder().owner("", "x").build().unwrap_err();
    assert!(matches!(error, BuildError::Owner(_)));
    let twice = Tidegate::builder()
        .source("prom", "http://127.0.0.1:1")
        .pack(packs::node())
        .pack(packs::node());
    assert!(matches!(twice.build().unwrap_err(), BuildError::Config(_)));
}

/// What is written to it can be read while others write.
#[derive(Clone, Default)]
struct Tape(Arc<Mutex<Vec<u8>>>);

impl Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_goes_into_the_collector_is_written_down_and_can_be_had_again() {
    let tape = Tape::default();
    let (url, _) = prometheus();
    let client = Tidegate::builder()
        .source("prom", url)
        .recording(tape.clone())
        .build()
        .unwrap();
    client.query(Ask::promql("x")).await.unwrap();
    client.close();
    while !client.is_closed() {
        tokio::task::yield_now().await;
    }
    let timeline = replay(&tape.0.lock().unwrap()[..]).unwrap();
    assert!(timeline.steps > 1, "{timeline:?}");
    assert_eq!(timeline.end, End::Complete);
}
