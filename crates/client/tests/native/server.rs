//! A Prometheus of a few lines, on a port of its own.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

/// What it says to a query: the status and body; `None` says nothing, and keeps the connection.
pub(crate) type Said = Option<(u16, String)>;

/// A server, and what it was asked.
pub(crate) struct Server {
    pub(crate) url: String,
    queries: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves every query, and `/metrics`, by `script`, which gets it as it stood in the request
    /// line, and all else with an empty object.
    pub(crate) fn of(script: impl Fn(&str) -> Said + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let queries: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&queries);
        let script = Arc::new(script);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, heard) = (Arc::clone(&script), Arc::clone(&heard));
                thread::spawn(move || serve(stream, &*script, &heard));
            }
        });
        Self { url, queries }
    }

    /// How many queries with this in them it was asked.
    pub(crate) fn asked(&self, part: &str) -> usize {
        let queries = self.queries.lock().unwrap();
        queries.iter().filter(|query| query.contains(part)).count()
    }
}

fn serve(mut stream: TcpStream, script: &dyn Fn(&str) -> Said, heard: &Mutex<Vec<String>>) {
    let mut head = [0; 8192];
    let Ok(bytes) = stream.read(&mut head) else {
        return;
    };
    let head = String::from_utf8_lossy(&head[..bytes]);
    let line = head.lines().next().unwrap_or_default();
    let said = if line.contains("query=") || line.contains("/metrics") {
        heard.lock().unwrap().push(line.to_owned());
        script(line)
    } else {
        Some((200, "{}".into()))
    };
    match said {
        Some((status, body)) => {
            let length = body.len();
            // Whoever has left needs no answer.
            let _ = write!(
                stream,
                "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
            );
        }
        // Until the asker hangs up.
        None => drop(stream.read(&mut [0])),
    }
}

/// A vector of these series, each with its labels as JSON members, taken now.
pub(crate) fn vector(series: &[(&str, f64)]) -> Said {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = now.as_secs_f64();
    let series: Vec<_> = series
        .iter()
        .map(|(labels, value)| format!(r#"{{"metric":{{{labels}}},"value":[{now:.3},"{value}"]}}"#))
        .collect();
    let result = series.join(",");
    Some((
        200,
        format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{result}]}}}}"#),
    ))
}

/// What a Prometheus says to a query it cannot execute.
pub(crate) fn failure() -> Said {
    let body = r#"{"status":"error","errorType":"execution","error":"too much"}"#;
    Some((422, body.into()))
}
