//! Servers that answer as no Prometheus should.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// More than a request's head ever has here.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// What an endless body is sent in.
const CHUNK_BYTES: usize = 64 << 10;
/// What a huge body has.
const HUGE_BYTES: usize = 2 << 30;
/// What a bomb of a few kilobytes swells to.
const BOMB_BYTES: usize = 256 << 20;

/// What a server answers to everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// 200 and a page that is not JSON.
    Page,
    /// 200 and a body without end.
    Endless,
    /// 200 and a body of the 2 GB that its head announces.
    Huge,
    /// 200, a length, and fewer bytes than that.
    Truncated,
    /// A small gzip body that becomes 256 MiB.
    GzipBomb,
    /// A redirect to an address nobody allowed.
    Redirect,
    /// Nothing, while the connection stays open.
    Silence,
    /// What is no HTTP at all.
    Noise,
}

/// A server with one [`Behaviour`].
#[derive(Debug)]
pub struct Upstream {
    port: u16,
    sent: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Upstream {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// If there is none.
    pub async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a free port");
        let port = listener.local_addr().expect("a bound socket").port();
        let sent = Arc::new(AtomicU64::new(0));
        let bomb = Arc::new(if behaviour == Behaviour::GzipBomb {
            gzip_bomb()
        } else {
            Vec::new()
        });
        let counter = sent.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, behaviour, counter.clone(), bomb.clone()));
            }
        });
        Self { port, sent, task }
    }

    /// Its base address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How many bytes of endless bodies it got rid of.
    pub fn bytes_sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers one request. Whatever breaks is the client's hanging up, which is what some tests want.
async fn answer(
    mut stream: TcpStream,
    behaviour: Behaviour,
    sent: Arc<AtomicU64>,
    bomb: Arc<Vec<u8>>,
) {
    if !read_head(&mut stream).await {
        return;
    }
    let _ = match behaviour {
        Behaviour::Page => {
            stream
                .write_all(&response(
                    "text/html",
                    "",
                    b"<html>sign in to the airport</html>",
                ))
                .await
        }
        Behaviour::Endless => endless(&mut stream, &sent).await,
        Behaviour::Huge => huge(&mut stream, &sent).await,
        Behaviour::Truncated => {
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n";
            stream
                .write_all(format!("{head}{{\"status\":\"success\",").as_bytes())
                .await
        }
        Behaviour::GzipBomb => {
            stream
                .write_all(&response(
                    "application/json",
                    "content-encoding: gzip\r\n",
                    &bomb,
                ))
                .await
        }
        Behaviour::Redirect => {
            let head = "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(head.as_bytes()).await
        }
        Behaviour::Silence => {
            // Until the client gives up.
            let _ = stream.read(&mut [0; 1]).await;
            Ok(())
        }
        Behaviour::Noise => {
            stream
                .write_all(b"\x16\x03\x01 this is not HTTP\r\n\r\n")
                .await
        }
    };
    let _ = stream.shutdown().await;
}

fn response(content_type: &str, more_headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\n{more_headers}content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

async fn read_head(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(read @ 1..) if head.len() < HEAD_BYTES_MAX => {
                head.extend_from_slice(&buffer[..read])
            }
            _ => return false,
        }
    }
    true
}

/// A JSON string that never ends, as fast as it is read.
async fn endless(stream: &mut TcpStream, sent: &AtomicU64) -> std::io::Result<()> {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let chunk = format!("{CHUNK_BYTES:x}\r\n{}\r\n", "a".repeat(CHUNK_BYTES));
    loop {
        stream.write_all(chunk.as_bytes()).await?;
        sent.fetch_add(CHUNK_BYTES as u64, Ordering::Relaxed);
    }
}

/// The same, with its length said before.
async fn huge(stream: &mut TcpStream, sent: &AtomicU64) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {HUGE_BYTES}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    let piece = vec![b' '; CHUNK_BYTES];
    for _ in 0..HUGE_BYTES / CHUNK_BYTES {
        stream.write_all(&piece).await?;
        sent.fetch_add(CHUNK_BYTES as u64, Ordering::Relaxed);
    }
    Ok(())
}

fn gzip_bomb() -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let zeros = vec![b' '; CHUNK_BYTES];
    for _ in 0..BOMB_BYTES / CHUNK_BYTES {
        encoder.write_all(&zeros).expect("memory takes everything");
    }
    encoder.finish().expect("memory takes everything")
}
