//! The remote sink against a receiver that is written here, byte by byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use tidegate_record::{
    Batch, Notice, Pipeline, Pump, RemoteError, RemoteOptions, RemoteSink, Secret, Sink,
    SinkOptions, Transformed,
};
use tidegate_series::{Labels, Sample};
use tidegate_wire::remote_write::{WriteLimits, decode};
use tidegate_wire::snappy::decompress;

/// A request as it arrived.
struct Request {
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// A server that gives these answers, one a request, and hands out what it was asked.
fn receiver(answers: &'static [&'static str]) -> (String, Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (asked, requests) = channel();
    thread::spawn(move || {
        let mut answers = answers.iter();
        while answers.len() > 0 {
            let Ok((stream, _)) = listener.accept() else {
                return;
            };
            // One connection carries as many requests as its client sends on it.
            while let Some(request) = read_request(&stream) {
                let answer = answers.next().expect("as many requests as answers");
                let _ = asked.send(request);
                let _ = (&stream).write_all(answer.as_bytes());
                if answers.len() == 0 {
                    return;
                }
                if !answer.contains("\r\n\r\n") {
                    // Cut off: the connection ends with it.
                    break;
                }
            }
        }
    });
    (address, requests)
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end() {
            "" if lines.is_empty() => return None,
            "" => break,
            text => lines.push(text.to_owned()),
        }
    }
    let line = lines.remove(0);
    let headers: Vec<(String, String)> = lines
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length")?;
    let mut body = vec![0; length.1.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        line,
        headers,
        body,
    })
}

fn batch(values: &[f64]) -> Batch {
    let labels = Labels::from_pairs([("__name__", "load"), ("host", "a")]).unwrap();
    let samples = (1..).zip(values).map(|(timestamp_ms, value)| Sample {
        labels: labels.clone(),
        timestamp_ms,
        value: *value,
    });
    Batch {
        samples: samples.collect(),
        ..Batch::default()
    }
}

fn quick() -> RemoteOptions {
    let mut options = RemoteOptions {
        patience: Duration::from_secs(20),
        ..RemoteOptions::default()
    };
    options.retry.backoff = Duration::from_millis(1);
    options
}

const TAKEN: &str = "HTTP/1.1 204 No Content\r\n\r\n";

#[test]
fn a_request_is_as_the_specification_wants_it() {
    let (address, requests) = receiver(&[TAKEN, TAKEN]);
    let url = format!("http://anna:s3cret@{address}/api/v1/write?x=1");
    let options = RemoteOptions {
        samples_per_request: 2,
        headers: vec![("X-Scope-OrgID".to_owned(), Secret::new("team-7"))],
        ..quick()
    };
    let mut sink = RemoteSink::new(&url, options).unwrap();
    sink.write(&batch(&[0.5, -0.0, f64::NAN])).unwrap();
    let first = requests.recv().unwrap();
    assert_eq!(first.line, "POST /api/v1/write?x=1 HTTP/1.1");
    for (name, value) in [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "snappy"),
        ("x-prometheus-remote-write-version", "0.1.0"),
        (
            "user-agent",
            concat!("tidegate/", env!("CARGO_PKG_VERSION")),
        ),
        ("x-scope-orgid", "team-7"),
        ("authorization", "Basic YW5uYTpzM2NyZXQ="),
    ] {
        assert_eq!(first.header(name), Some(value), "{name}");
    }
    let mut values = Vec::new();
    for request in [first, requests.recv().unwrap()] {
        let message = decompress(&request.body, 10_000).unwrap();
        let write = decode(&message, &WriteLimits::default()).unwrap();
        let series = write.columns.series(0);
        let labels: Vec<_> = series.labels().collect();
        assert_eq!(labels, [("__name__", "load"), ("host", "a")]);
        values.extend(
            series
                .timestamps_ms()
                .iter()
                .copied()
                .zip(series.values().iter().map(|value| value.to_bits())),
        );
    }
    assert_eq!(
        values,
        [
            (1, 0.5_f64.to_bits()),
            (2, (-0.0_f64).to_bits()),
            (3, f64::NAN.to_bits())
        ]
    );
    assert_eq!(sink.counts().taken(), 2);
}

#[test]
fn a_token_goes_as_bearer() {
    let (address, requests) = receiver(&[TAKEN]);
    let options = RemoteOptions {
        bearer_token: Some(Secret::new("t0ken")),
        ..quick()
    };
    let mut sink = RemoteSink::new(&format!("http://{address}/"), options).unwrap();
    sink.write(&batch(&[1.0])).unwrap();
    let request = requests.recv().unwrap();
    assert_eq!(request.header("authorization"), Some("Bearer t0ken"));
}

#[test]
fn failures_are_tried_again_with_the_same_request() {
    let (address, requests) = receiver(&[
        "HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops",
        "HTTP/1.1 429 Slow\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 20",
        TAKEN,
    ]);
    let mut sink = RemoteSink::new(&format!("http://{address}/w"), quick()).unwrap();
    let begun = std::time::Instant::now();
    let counts = sink.counts();
    thread::scope(|scope| {
        let written = scope.spawn(|| sink.write(&batch(&[1.0, 2.0])));
        let bodies: Vec<Vec<u8>> = (0..4).map(|_| requests.recv().unwrap().body).collect();
        assert!(bodies.windows(2).all(|two| two[0] == two[1]));
        written.join().unwrap().unwrap();
    });
    assert!(begun.elapsed() >= Duration::from_secs(1), "asked to wait");
    assert_eq!((counts.taken(), counts.retries()), (1, 3));
}

#[test]
fn that_nobody_answers_is_told_while_nothing_is_lost_yet() {
    let (told, notices) = channel();
    let mut pump = Pump::new().on_notice(move |notice: &Notice| {
        let _ = told.send(notice.clone());
    });
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let sink = RemoteSink::new(&format!("http://u:s3cret@{address}/w"), quick()).unwrap();
    let pipeline = Pipeline::new(&[]).unwrap();
    pump.add(
        "far",
        Transformed::new(pipeline, sink),
        SinkOptions::default(),
    )
    .unwrap();
    pump.offer(batch(&[1.0]));
    let notice = notices.recv_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!((&*notice.about, notice.dropped), ("far", 0));
    let message = notice.message;
    assert!(message.contains(&address.to_string()), "{message}");
    assert!(message.contains("it is tried again"), "{message}");
    assert!(!message.contains("s3cret"), "{message}");
    assert_eq!(pump.stats()[0].dropped(), 0);
    let _ = pump.shutdown(Duration::ZERO);
}

#[test]
fn what_is_refused_is_dropped_once_and_said() {
    let (address, requests) = receiver(&[
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 27\r\n\r\nout of order \x07sample\nsecond",
        TAKEN,
    ]);
    let mut sink =
        RemoteSink::new(&format!("http://u:s3cret@{address}/w?t=s3cret"), quick()).unwrap();
    let error = sink.write(&batch(&[1.0, 2.0])).unwrap_err();
    let said = format!(r"http://{address}/w: http status 400: out of order \u{{7}}sample");
    assert_eq!((error.dropped, error.message), (2, said));
    sink.write(&batch(&[3.0])).unwrap();
    assert_eq!(requests.iter().count(), 2);
    assert_eq!((sink.counts().refused(), sink.counts().taken()), (1, 1));
}

#[test]
fn a_redirect_is_not_followed() {
    let (address, requests) = receiver(&[
        "HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    ]);
    let mut sink = RemoteSink::new(&format!("http://{address}/w"), quick()).unwrap();
    let error = sink.write(&batch(&[1.0])).unwrap_err();
    assert!(
        error.message.ends_with("http status 307: without a word"),
        "{error}"
    );
    assert_eq!(requests.iter().count(), 1);
}

#[test]
fn a_receiver_that_is_not_there_is_given_up_when_the_patience_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let options = RemoteOptions {
        patience: Duration::from_millis(200),
        ..quick()
    };
    let url = format!("http://u:s3cret@{address}/w");
    let mut sink = RemoteSink::new(&url, options).unwrap();
    let error = sink.write(&batch(&[1.0])).unwrap_err();
    let start = format!("http://{address}/w: given up after ");
    assert!(error.message.starts_with(&start), "{error}");
    assert!(error.message.contains("refused"), "{error}");
    assert!(!error.message.contains("s3cret"), "{error}");
    assert_eq!(sink.counts().given_up(), 1);
}

#[test]
fn a_receiver_that_does_not_answer_is_given_its_time_and_no_more() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let options = RemoteOptions {
        timeout: Duration::from_millis(50),
        patience: Duration::from_millis(200),
        ..quick()
    };
    let mut sink = RemoteSink::new(&format!("http://{address}/"), options).unwrap();
    let begun = std::time::Instant::now();
    let error = sink.write(&batch(&[1.0])).unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(error.message.contains("within 50ms"), "{error}");
}

#[test]
fn credentials_are_shown_nowhere() {
    let options = RemoteOptions {
        bearer_token: Some(Secret::new("t0ken")),
        headers: vec![("X-Key".to_owned(), Secret::new("k3y"))],
        ..RemoteOptions::default()
    };
    let shown = format!("{options:?}");
    let sink = RemoteSink::new("http://u:s3cret@h/w?t=s3cret", options).unwrap();
    let shown = format!("{shown} {sink:?}");
    assert!(
        ["t0ken", "k3y", "s3cret"]
            .iter()
            .all(|secret| !shown.contains(secret)),
        "{shown}"
    );
    assert!(shown.contains("http://h/w"), "{shown}");
}

#[test]
fn what_makes_no_sense_is_refused_without_repeating_it() {
    let header = |name: &str, value: &str| {
        let options = RemoteOptions {
            headers: vec![(name.to_owned(), Secret::new(value))],
            ..RemoteOptions::default()
        };
        RemoteSink::new("http://h/", options).map(drop)
    };
    assert!(header("X-Fine", "yes").is_ok());
    for (name, detail) in [
        ("a b", "it is no name of a header"),
        ("Content-Encoding", "it is not to be set here"),
        ("Authorization", "it is not to be set here"),
    ] {
        let name = name.to_owned();
        assert_eq!(
            header(&name, "x"),
            Err(RemoteError::Header { name, detail })
        );
    }
    let split = header("X-Key", "s3cret\r\nX-Other: 1").unwrap_err();
    assert_eq!(
        split.to_string(),
        "header \"X-Key\": its value has characters that no header may have"
    );
    for url in [
        "",
        "s3cret",
        "ftp://u:s3cret@h/",
        "prometheus:9090",
        "http://u:s3cret@h:99999/",
    ] {
        let error = RemoteSink::new(url, RemoteOptions::default())
            .map(drop)
            .unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
    }
}
