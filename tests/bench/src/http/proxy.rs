//! Counts what goes between Tidegate and Prometheus: requests, and bytes as they are on the wire.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::Result;

/// More than a request's head has.
const PIECE_BYTES: usize = 64 << 10;

/// Passes bytes on, and counts them.
pub(super) struct Proxy {
    port: u16,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    bytes: AtomicU64,
}

/// What went by between two looks.
#[derive(Clone, Copy)]
pub(super) struct Traffic {
    pub(super) requests: u64,
    /// Of answers, heads included.
    pub(super) bytes: u64,
}

impl Proxy {
    /// Starts one before this port; it lasts as long as the program.
    pub(super) fn start(upstream: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let counts = Arc::new(Counts::default());
        let shared = counts.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if let Ok(server) = TcpStream::connect(("127.0.0.1", upstream)) {
                    join(client, server, &shared);
                }
            }
        });
        Ok(Self { port, counts })
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All that went by so far.
    pub(super) fn traffic(&self) -> Traffic {
        Traffic {
            requests: self.counts.requests.load(Ordering::Relaxed),
            bytes: self.counts.bytes.load(Ordering::Relaxed),
        }
    }
}

impl std::ops::Sub for Traffic {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            requests: self.requests - earlier.requests,
            bytes: self.bytes - earlier.bytes,
        }
    }
}

/// Passes on in both directions until either side is done.
fn join(client: TcpStream, server: TcpStream, counts: &Arc<Counts>) {
    for stream in [&client, &server] {
        // Small pieces wait for nothing.
        let _ = stream.set_nodelay(true);
    }
    let (Ok(client_too), Ok(server_too)) = (client.try_clone(), server.try_clone()) else {
        return;
    };
    let (up, down) = (counts.clone(), counts.clone());
    thread::spawn(move || {
        pass(client, server, |piece| {
            // Clients that wait for the answer send each request in a piece of its own.
            if [&b"GET "[..], b"POST "]
                .iter()
                .any(|method| piece.starts_with(method))
            {
                up.requests.fetch_add(1, Ordering::Relaxed);
            }
        });
    });
    thread::spawn(move || {
        pass(server_too, client_too, |piece| {
            down.bytes.fetch_add(piece.len() as u64, Ordering::Relaxed);
        });
    });
}

fn pass(mut from: TcpStream, mut to: TcpStream, count: impl Fn(&[u8])) {
    let mut piece = vec![0; PIECE_BYTES];
    while let Ok(read @ 1..) = from.read(&mut piece) {
        count(&piece[..read]);
        if to.write_all(&piece[..read]).is_err() {
            break;
        }
    }
    // Whoever hung up, the other is told; it may have hung up as well.
    let _ = to.shutdown(Shutdown::Write);
}
