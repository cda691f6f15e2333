//! Connections: taken up to a bound, held to their deadlines, drained at the end.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;

/// How many connections are held at once: a thousand dashboards; more wait in the system's queue.
pub const CONNECTIONS_MAX: usize = 1_024;

/// How long a request's head may take, and a connection idle: 60 s, what scrapers keep between two
/// scrapes.
pub const HEAD_TIME_MAX: Duration = Duration::from_secs(60);

/// What a request's head may have, in bytes: the longest target and room for headers.
pub const HEAD_BYTES_MAX: usize = 64 << 10;

/// How long a response may wait for a client that reads nothing of it: 30 s, longer than any line
/// stalls that is still one.
pub const WRITE_TIME_MAX: Duration = Duration::from_secs(30);

/// How long requests may take to end once the host is to end.
pub const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);

/// How long accepting pauses when the system is out of files, so that some may close.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Takes the address to listen on.
///
/// # Errors
/// Somebody else has it, it is not this machine's, or one must be privileged for it.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| BindError { address, source })
}

/// Serves until `stop` ends, then drains: lets requests in flight end, until [`DRAIN_TIME_MAX`].
/// Returns how many connections had to be cut off.
/// `service` makes what serves one connection.
pub async fn serve<S>(
    listener: TcpListener,
    service: impl Fn() -> S,
    stop: impl Future<Output = ()>,
) -> usize
where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Send + 'static,
    S::Future: Send,
{
    let (drain, draining) = watch::channel(false);
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let stream = tokio::select! {
            () = &mut stop => break,
            stream = accept(&listener, &permits) => stream,
            // Takes note of ended connections, so that the set does not grow.
            Some(_) = connections.join_next() => continue,
        };
        let (stream, permit) = stream;
        let connection = serve_connection(stream, service(), WRITE_TIME_MAX, draining.clone());
        connections.spawn(async move {
            connection.await;
            drop(permit);
        });
    }
    drop(listener);
    drain.send_replace(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    let is_drained = timeout(DRAIN_TIME_MAX, drained).await.is_ok();
    let cut_off = if is_drained { 0 } else { connections.len() };
    connections.shutdown().await;
    cut_off
}

/// The next connection, once there is room for it.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> (TcpStream, Option<tokio::sync::OwnedSemaphorePermit>) {
    // The semaphore is never closed, so there always is a permit to wait for.
    let permit = Arc::clone(permits).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, permit),
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                tracing::warn!(error = %error, "cannot accept connections");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}

async fn serve_connection<S>(
    stream: TcpStream,
    service: S,
    write_time_max: Duration,
    mut draining: watch::Receiver<bool>,
) where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Send,
    S::Future: Send,
{
    // Small responses should not wait for more.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(write_time_max));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        // A closed channel means that the host is ending just as much.
        () = async { drop(draining.wait_for(|is_draining| *is_draining).await) } => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = %error, "a connection ended badly");
    }
}

/// The address to listen on cannot be had.
#[derive(Debug)]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, source } = self;
        let port = address.port();
        write!(f, "cannot listen on {address}: ")?;
        let ip = address.ip();
        let kind = source.kind();
        if kind == io::ErrorKind::AddrInUse {
            let next = port.wrapping_add(1).max(1024);
            let who = who_holds(port);
            write!(
                f,
                "the port is taken; stop who holds it (`{who}` tells), or choose another with --listen {ip}:{next}"
            )
        } else if kind == io::ErrorKind::AddrNotAvailable {
            write!(
                f,
                "this machine has no such address; 127.0.0.1 and 0.0.0.0 always work"
            )
        } else if kind == io::ErrorKind::PermissionDenied {
            write!(
                f,
                "not permitted; ports below 1024 need privileges, try --listen {ip}:9200"
            )
        } else {
            write!(f, "{source}")
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// The command that names the process which holds a port.
fn who_holds(port: u16) -> String {
    if cfg!(target_os = "linux") {
        format!("ss -ltnp 'sport = :{port}'")
    } else if cfg!(windows) {
        format!("netstat -ano | findstr :{port}")
    } else {
        format!("lsof -nP -iTCP:{port} -sTCP:LISTEN")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::routing::get;
    use hyper_util::service::TowerToHyperService;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[tokio::test]
    async fn a_taken_port_is_named_with_a_way_out() {
        let (_held, address) = listener().await;
        let error = bind(address).await.unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("cannot listen on {address}: the port is taken")),
            "{error}"
        );
        assert!(error.contains("--listen 127.0.0.1:"), "{error}");
    }

    #[tokio::test]
    async fn a_request_in_flight_is_answered_after_the_stop_and_nobody_new_is() {
        let (listener, address) = listener().await;
        let slow = get(|| async {
            sleep(Duration::from_millis(200)).await;
            "done"
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async { drop(stopped.await) };
        let serving = tokio::spawn(serve(
            listener,
            move || TowerToHyperService::new(Router::new().route("/slow", slow.clone())),
            stopped,
        ));
        let mut client = TcpStream::connect(address).await.unwrap();
        client
            .write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        sleep(Duration::from_millis(50)).await;
        drop(stop);
        let mut response = String::new();
        client.read_to_string(&mut response).await.unwrap();
        assert!(response.ends_with("done"), "{response}");
        assert_eq!(serving.await.unwrap(), 0);
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn a_head_that_is_too_long_is_refused() {
        let (listener, address) = listener().await;
        let service = || TowerToHyperService::new(Router::new());
        tokio::spawn(serve(listener, service, std::future::pending()));
        let mut client = TcpStream::connect(address).await.unwrap();
        let head = format!("GET /{} HTTP/1.1\r\n", "x".repeat(2 * HEAD_BYTES_MAX));
        let _ = client.write_all(head.as_bytes()).await;
        let mut response = String::new();
        let _ = client.read_to_string(&mut response).await;
        assert!(
            response.starts_with("HTTP/1.1 431") || response.starts_with("HTTP/1.1 414"),
            "{response}"
        );
    }

    #[tokio::test]
    async fn a_client_that_reads_nothing_is_dropped_and_a_slow_one_is_not() {
        // More than the system takes off our hands.
        const BODY_BYTES: usize = 32 << 20;
        let (listener, address) = listener().await;
        let large = get(|| async { vec![0_u8; BODY_BYTES] });
        let service = || TowerToHyperService::new(Router::new().route("/", large.clone()));
        let (_drain, draining) = watch::channel(false);
        let connect = async || {
            let mut client = TcpStream::connect(address).await.unwrap();
            let request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
            client.write_all(request).await.unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            let time_max = Duration::from_millis(500);
            let serving = serve_connection(stream, service(), time_max, draining.clone());
            (client, serving)
        };
        let (_idle, serving) = connect().await;
        timeout(Duration::from_secs(30), serving)
            .await
            .expect("it is dropped");

        let (mut slow, serving) = connect().await;
        let reading = async {
            let (mut read, mut buffer) = (0, vec![0; 4 << 20]);
            loop {
                match slow.read(&mut buffer).await.unwrap() {
                    0 => return read,
                    bytes => read += bytes,
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        let ((), read) = tokio::join!(serving, reading);
        assert!(read > BODY_BYTES, "{read} bytes");
    }
}
