//! A target to scrape whose numbers a test makes up.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::unix_now;

/// Text exposition at an instant, in seconds since 1970.
type Page = dyn Fn(f64) -> String + Send + Sync;

/// A target whose page is a function of the time.
#[derive(Debug)]
pub struct Exporter {
    port: u16,
    task: JoinHandle<()>,
}

impl Exporter {
    /// Serves `page` under every path of a free port.
    ///
    /// # Panics
    /// If there is none.
    pub async fn start(page: impl Fn(f64) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a free port");
        let port = listener.local_addr().expect("a bound socket").port();
        let page: Arc<Page> = Arc::new(page);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, page.clone()));
            }
        });
        Self { port, task }
    }

    /// Its port.
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers one request and hangs up. A scraper that hangs up first has its reasons.
async fn answer(mut stream: TcpStream, page: Arc<Page>) {
    if !matches!(stream.read(&mut [0; 4096]).await, Ok(1..)) {
        return;
    }
    let body = page(unix_now());
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all([head, body].concat().as_bytes()).await;
    let _ = stream.shutdown().await;
}
