//! The HTTP transport against small servers that misbehave, each in its own way.
#![cfg(feature = "native")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant as WallInstant};

use flate2::Compression;
use flate2::write::GzEncoder;
use tidegate_client::Transport;
use tidegate_client::native::{Addresses, BODY_BYTES_MAX, HttpTransport, SourceUrl};
use tidegate_core::{Fetch, FetchError, FetchId, FetchRequest, Instant, Method, Now, Response};

/// Long enough for anything that ends by itself.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a server was asked: request line and headers, then the body.
type Heard = (Vec<String>, String);

/// Serves one connection by `answer`; gives its port and what it heard.
fn serve(answer: impl FnOnce(&mut TcpStream) + Send + 'static) -> (u16, mpsc::Receiver<Heard>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, heard) = mpsc::channel();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // Not every test listens.
        let _ = sender.send(hear(&stream));
        answer(&mut stream);
    });
    (port, heard)
}

fn hear(stream: &TcpStream) -> Heard {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let length = head
        .iter()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

fn serve_bytes(response: impl Into<Vec<u8>>) -> (u16, mpsc::Receiver<Heard>) {
    let response = response.into();
    serve(move |stream| {
        // A client that has had enough closes early.
        let _ = stream.write_all(&response);
    })
}

fn response(head: &str, body: &[u8]) -> Vec<u8> {
    [
        format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes(),
        body,
    ]
    .concat()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn transport(url: &str) -> HttpTransport {
    HttpTransport::new([("prom".to_owned(), url.parse().unwrap())]).unwrap()
}

async fn fetch_with(
    transport: &HttpTransport,
    method: Method,
    within: Duration,
) -> Result<Response, FetchError> {
    let request = FetchRequest {
        method,
        path: "/api/v1/query".into(),
        form: "query=a%2Bb".into(),
    };
    let deadline = Instant::ZERO + within;
    transport
        .fetch(
            Fetch {
                id: FetchId(1),
                source: "prom".into(),
                target: None,
                request,
                deadline,
            },
            Now::ZERO,
        )
        .await
}

async fn fetch(port: u16) -> Result<Response, FetchError> {
    fetch_with(
        &transport(&format!("http://127.0.0.1:{port}")),
        Method::Get,
        PATIENCE,
    )
    .await
}

async fn fetch_target(transport: &HttpTransport, target: &str) -> Result<Response, FetchError> {
    let fetch = Fetch {
        id: FetchId(1),
        source: "pods".into(),
        target: Some(target.into()),
        request: FetchRequest {
            method: Method::Get,
            path: "".into(),
            form: String::new(),
        },
        deadline: Instant::ZERO + PATIENCE,
    };
    transport.fetch(fetch, Now::ZERO).await
}

#[tokio::test]
async fn a_target_is_asked_for_its_text_at_its_own_address() {
    let (port, heard) = serve_bytes(response("200 OK", b"up 1\n"));
    let transport = transport("http://127.0.0.1:9");
    let url = SourceUrl::target(&format!("http://127.0.0.1:{port}/federate?match[]=up")).unwrap();
    transport.set_addresses(Addresses::new().with_target("pods", "a", url));
    let answer = fetch_target(&transport, "a").await;
    assert_eq!(answer, Ok(Response::new(200, *b"up 1\n")));
    let (head, _) = heard.recv().unwrap();
    assert_eq!(head[0], "GET /federate?match[]=up HTTP/1.1");
    assert!(
        head.contains(&"accept: text/plain;version=0.0.4".to_owned()),
        "{head:?}"
    );
}

#[tokio::test]
async fn addresses_that_are_gone_are_asked_no_more() {
    let transport = transport("http://127.0.0.1:9");
    transport.clone().set_addresses(Addresses::new());
    let answer = fetch_with(&transport, Method::Get, PATIENCE).await;
    let detail = "source prom has no address".into();
    assert_eq!(answer, Err(FetchError::Refused { detail }));
    let answer = fetch_target(&transport, "b").await;
    let detail = "target \"b\" of source pods has no address".into();
    assert_eq!(answer, Err(FetchError::Refused { detail }));
}

#[tokio::test]
async fn a_get_carries_its_form_in_the_url_below_the_base_path() {
    let (port, heard) = serve_bytes(response("200 OK", b"{}"));
    let transport = transport(&format!("http://127.0.0.1:{port}/prom/"));
    let answer = fetch_with(&transport, Method::Get, PATIENCE).await;
    assert_eq!(answer, Ok(Response::new(200, *b"{}")));
    let (head, body) = heard.recv().unwrap();
    assert_eq!(head[0], "GET /prom/api/v1/query?query=a%2Bb HTTP/1.1");
    assert!(
        head.contains(&format!(
            "user-agent: tidegate/{}",
            env!("CARGO_PKG_VERSION")
        )),
        "{head:?}"
    );
    assert!(
        head.contains(&"accept-encoding: gzip".to_owned()),
        "{head:?}"
    );
    assert!(
        !head
            .iter()
            .any(|line| line.starts_with("authorization") || line.starts_with("cookie"))
    );
    assert_eq!(body, "");
}

#[tokio::test]
async fn a_post_carries_its_form_in_the_body() {
    let (port, heard) = serve_bytes(response("503 Service Unavailable", b"later"));
    let answer = fetch_with(
        &transport(&format!("http://127.0.0.1:{port}")),
        Method::Post,
        PATIENCE,
    )
    .await;
    assert_eq!(answer, Ok(Response::new(503, *b"later")));
    let (head, body) = heard.recv().unwrap();
    assert_eq!(head[0], "POST /api/v1/query HTTP/1.1");
    assert!(
        head.contains(&"content-type: application/x-www-form-urlencoded".to_owned()),
        "{head:?}"
    );
    assert_eq!(body, "query=a%2Bb");
}

#[tokio::test]
async fn a_wish_to_be_left_alone_is_passed_on() {
    let (port, _) = serve_bytes(response(
        "429 Too Many Requests\r\nretry-after: 7",
        b"later",
    ));
    let wish = Some(Duration::from_secs(7));
    assert_eq!(
        fetch(port).await,
        Ok(Response::new(429, *b"later").with_retry_after(wish))
    );
}

#[tokio::test]
async fn gzip_is_undone() {
    let (port, _) = serve_bytes(response(
        "200 OK\r\ncontent-encoding: gzip",
        &gzip(b"{\"status\":\"success\"}"),
    ));
    assert_eq!(
        fetch(port).await,
        Ok(Response::new(200, *b"{\"status\":\"success\"}"))
    );
}

#[tokio::test]
async fn a_gzip_bomb_does_not_go_off() {
    let bomb = gzip(&vec![0; 32 << 20]);
    let (port, _) = serve_bytes(response("200 OK\r\ncontent-encoding: gzip", &bomb));
    assert!(matches!(
        fetch(port).await,
        Err(FetchError::Encoding { .. })
    ));
}

#[tokio::test]
async fn a_body_announced_too_large_is_not_read() {
    let (port, _) = serve_bytes("HTTP/1.1 200 OK\r\ncontent-length: 2147483648\r\n\r\n{");
    assert_eq!(
        fetch(port).await,
        Err(FetchError::TooLarge {
            limit_bytes: BODY_BYTES_MAX
        })
    );
}

// The runtime closes the connection behind the test's back.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_endless_body_is_read_up_to_the_limit_and_no_further() {
    const LIMIT_BYTES: u64 = 1 << 20;
    let (sent, received) = mpsc::channel();
    let (port, _) = serve(move |stream| {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            .unwrap();
        let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x1_0000], b"\r\n"].concat();
        let mut bytes = 0_u64;
        while stream.write_all(&chunk).is_ok() {
            bytes += 0x1_0000;
        }
        sent.send(bytes).unwrap();
    });
    let transport = transport(&format!("http://127.0.0.1:{port}")).with_body_bytes_max(LIMIT_BYTES);
    let answer = fetch_with(&transport, Method::Get, PATIENCE).await;
    assert_eq!(
        answer,
        Err(FetchError::TooLarge {
            limit_bytes: LIMIT_BYTES
        })
    );
    // The connection is closed, so the server stops; what it could send lay in socket buffers.
    assert!(received.recv_timeout(PATIENCE).unwrap() < 64 << 20);
}

#[tokio::test]
async fn a_truncated_body_is_never_taken_for_a_whole_one() {
    let (port, _) = serve_bytes("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"status\":");
    assert!(matches!(fetch(port).await, Err(FetchError::Reset { .. })));
    let (port, _) = serve_bytes("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"sta");
    assert!(matches!(fetch(port).await, Err(FetchError::Reset { .. })));
}

#[tokio::test]
async fn nonsense_and_contradicting_lengths_are_refused() {
    for nonsense in [
        "220 mail.example ESMTP\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}}",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        "",
    ] {
        let (port, _) = serve_bytes(nonsense);
        let answer = fetch(port).await;
        assert!(
            matches!(answer, Err(FetchError::Reset { .. })),
            "{nonsense:?}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn redirects_are_reported_and_not_followed() {
    let (elsewhere, visited) = serve_bytes(response("200 OK", b"{}"));
    for status in [301, 302, 307, 308] {
        let (port, _) = serve_bytes(response(
            &format!("{status} Moved\r\nlocation: http://127.0.0.1:{elsewhere}/"),
            b"",
        ));
        assert_eq!(fetch(port).await, Err(FetchError::Redirect { status }));
    }
    assert_eq!(visited.try_recv(), Err(mpsc::TryRecvError::Empty));
}

#[tokio::test]
async fn a_refused_port_is_a_connect_error_in_plain_words() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let Err(FetchError::Connect { detail }) = fetch(port).await else {
        panic!("nobody listens")
    };
    assert!(detail.contains("refused"), "{detail}");
}

#[tokio::test]
async fn a_body_that_drips_past_the_deadline_is_a_timeout() {
    const WITHIN: Duration = Duration::from_millis(200);
    let (port, _) = serve(|stream| {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
            .unwrap();
        while stream.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(10));
        }
    });
    let began = WallInstant::now();
    let answer = fetch_with(
        &transport(&format!("http://127.0.0.1:{port}")),
        Method::Get,
        WITHIN,
    )
    .await;
    assert_eq!(answer, Err(FetchError::Timeout { after: WITHIN }));
    assert!(began.elapsed() >= WITHIN);
}

#[tokio::test]
async fn a_source_without_address_is_refused() {
    let transport = HttpTransport::new([]).unwrap();
    let answer = fetch_with(&transport, Method::Get, PATIENCE).await;
    assert_eq!(
        answer,
        Err(FetchError::Refused {
            detail: "source prom has no address".into()
        })
    );
}

#[tokio::test]
async fn credentials_reach_the_source_and_stand_in_no_error() {
    let (port, heard) = serve_bytes(response("200 OK", b"{}"));
    let with_user = transport(&format!("http://us%65r:p%40ss-word@127.0.0.1:{port}"));
    fetch_with(&with_user, Method::Get, PATIENCE).await.unwrap();
    let (head, _) = heard.recv().unwrap();
    // base64 of "user:p@ss-word".
    assert!(
        head.contains(&"authorization: Basic dXNlcjpwQHNzLXdvcmQ=".to_owned()),
        "{head:?}"
    );

    let refused = fetch_with(&with_user, Method::Get, PATIENCE)
        .await
        .unwrap_err();
    let (port, _) = serve_bytes("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{");
    let broken = transport(&format!("http://user:p%40ss-word@127.0.0.1:{port}"));
    let reset = fetch_with(&broken, Method::Post, PATIENCE)
        .await
        .unwrap_err();
    for text in [
        format!("{refused} {refused:?}"),
        format!("{reset} {reset:?}"),
        format!("{with_user:?}"),
    ] {
        assert!(
            !text.contains("ss-word") && !text.contains("dXNl"),
            "{text}"
        );
    }
}
