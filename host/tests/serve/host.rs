//! A host on a free port, and what it is asked and asks.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tidegate_host::config::HostConfig;
use tidegate_host::{Reloader, prepare};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Compiled code is shared between runs of the tests: making it takes seconds.
pub(crate) const CACHE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/compiled");

/// Nothing here takes longer unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    pub(crate) reloader: Reloader,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl Host {
    pub(crate) async fn start(config: &str) -> Self {
        Self::start_recording(config, None).await
    }

    /// The same, recorded into this file.
    pub(crate) async fn start_recording(config: &str, file: Option<&Path>) -> Self {
        // What the host logs is shown with a test that fails.
        let _ = tracing_subscriber::fmt().with_test_writer().try_init();
        let serving = prepare(&configured(config), Some(Path::new(CACHE)), file)
            .await
            .unwrap();
        let (address, reloader) = (serving.address(), serving.reloader());
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(serving.run(async { drop(stopped.await) }));
        Self {
            address,
            reloader,
            stop,
            running,
        }
    }

    pub(crate) async fn get(&self, target: &str) -> (u16, String) {
        self.send(
            format!("GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes(),
        )
        .await
    }

    /// Sends a whole request; gives the status and everything that came back.
    pub(crate) async fn send(&self, request: &[u8]) -> (u16, String) {
        let response = self.receive(request).await;
        let response = String::from_utf8_lossy(&response).into_owned();
        let status = response.get(9..12).and_then(|status| status.parse().ok());
        (
            status.unwrap_or_else(|| panic!("no HTTP: {response:?}")),
            response,
        )
    }

    /// The same, as bytes.
    pub(crate) async fn receive(&self, request: &[u8]) -> Vec<u8> {
        let exchange = async {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            // A host that refuses does not read to the end.
            let _ = stream.write_all(request).await;
            let mut response = Vec::new();
            let _ = stream.read_to_end(&mut response).await;
            response
        };
        timeout(PATIENCE, exchange)
            .await
            .expect("an answer in time")
    }

    pub(crate) async fn post(&self, target: &str, header: &str) -> (u16, String) {
        let request = format!(
            "POST {target} HTTP/1.1\r\nhost: x\r\n{header}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        self.send(request.as_bytes()).await
    }

    pub(crate) async fn end(self) {
        drop(self.stop);
        timeout(PATIENCE, self.running)
            .await
            .expect("an end in time")
            .unwrap();
    }
}

pub(crate) fn configured(config: &str) -> HostConfig {
    let config = format!("listen = \"127.0.0.1:0\"\n{config}");
    HostConfig::parse(&config, "test.toml").unwrap()
}

/// Serves this body to whoever connects; gives its address, and counts in its answers.
pub(crate) async fn upstream(body: impl Fn(usize) -> String + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for nth in 1.. {
            let Ok((mut stream, _)) = listener.accept().await else {
                return;
            };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => break,
                }
            }
            let body = body(nth);
            let response = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(response.as_bytes()).await;
        }
    });
    address
}

pub(crate) fn vector(value: usize) -> String {
    format!(
        r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{}},"value":[1700000000,"{value}"]}}]}}}}"#
    )
}

/// A source that answers with how often it was asked, and neither probes nor refreshes.
pub(crate) fn counting(name: &str, address: SocketAddr) -> String {
    format!(
        "[[source]]\nname = \"{name}\"\nurl = \"http://{address}\"\nprobe_interval = \"0\"\nrefresh = {{ interval = \"0\" }}\n"
    )
}

/// Asks until the answer contains `wanted`.
pub(crate) async fn until(host: &Host, target: &str, wanted: &str) -> String {
    let asked = async {
        loop {
            let (_, response) = host.get(target).await;
            if response.contains(wanted) {
                return response;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, asked)
        .await
        .unwrap_or_else(|_| panic!("{target} never said {wanted}"))
}
