//! A source of a program's own: a status page in JSON becomes counters and gauges.
//!
//! `cargo run -p tidegate-client --features native --example status_source -- http://HOST/status`
//! asks that page every second, and prints what `local` then knows. Without a URL it asks a small
//! server of its own, which is there for some seconds only.

use std::error::Error;
use std::time::Duration;

use serde_json::Value;
use tidegate_client::native::{
    Ask, Batch, Source, SourceConfig, SourceError, SourceSettings, Tidegate,
};

/// A status page like `{"uptime_s":12.5,"jobs":{"done":17,"queued":{"mail":3,"print":0}}}`.
struct StatusPage {
    url: String,
    client: reqwest::Client,
}

impl Source for StatusPage {
    async fn collect(&self) -> Result<Batch, SourceError> {
        let response = self.client.get(&self.url).send().await?;
        let text = response.error_for_status()?.text().await?;
        batch(&serde_json::from_str(&text)?)
    }
}

/// What the page says, as metrics. What is missing is an error and not 0: nobody would notice.
fn batch(status: &Value) -> Result<Batch, SourceError> {
    let number = |path: &str| {
        let found = status.pointer(path).and_then(Value::as_f64);
        found.ok_or_else(|| format!("the page has no number at {path}"))
    };
    let mut batch = Batch::default();
    let none: [(&str, &str); 0] = [];
    batch.gauge(
        "app_uptime_seconds",
        "Since the start.",
        none,
        number("/uptime_s")?,
    )?;
    batch.counter(
        "app_jobs_done_total",
        "Jobs done.",
        none,
        number("/jobs/done")?,
    )?;
    let queued = status.pointer("/jobs/queued").and_then(Value::as_object);
    for (queue, length) in queued.ok_or("the page has no queues")? {
        let length = length.as_f64().ok_or("a queue's length is a number")?;
        batch.gauge(
            "app_jobs_queued",
            "Jobs that wait.",
            [("queue", queue)],
            length,
        )?;
    }
    Ok(batch)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = match std::env::args().nth(1) {
        Some(url) => url,
        None => page::serve(5)?,
    };
    let tidegate = Tidegate::builder()
        .config(tidegate_client::native::Config::with_sources(vec![
            SourceConfig::push("programs"),
        ]))
        .build()?;
    let settings = SourceSettings {
        interval: Duration::from_secs(1),
        ..SourceSettings::new("programs", "status", url.clone())
    };
    let source = StatusPage {
        url,
        client: reqwest::Client::new(),
    };
    let running = tidegate.run_source(settings, source)?;
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let answer = tidegate
            .query(Ask::promql("{job=\"status\"}").of("local"))
            .await?;
        let mut text = Vec::new();
        tidegate_wire::encode_query_response(&answer.payload.response, &mut text);
        println!("{}", String::from_utf8_lossy(&text));
        if let Some(error) = running.last().and_then(|last| last.error) {
            println!("  {error}");
        }
    }
    Ok(())
}

/// The server of the play.
mod page {
    use std::io::{Read, Result, Write};
    use std::net::TcpListener;
    use std::thread;

    /// Serves a status page so many times, and then no more. Says where.
    pub(super) fn serve(times: u32) -> Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}/status", listener.local_addr()?);
        thread::spawn(move || {
            for (nth, stream) in (1..=times).zip(listener.incoming()) {
                let mut stream = stream?;
                let mut request = [0; 2_048];
                let _ = stream.read(&mut request)?;
                let body = format!(
                    r#"{{"uptime_s":{nth}.5,"jobs":{{"done":{},"queued":{{"mail":{},"print":0}}}}}}"#,
                    nth * 17,
                    times - nth,
                );
                let length = body.len();
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
                )?;
            }
            Result::Ok(())
        });
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_becomes_counters_and_gauges() {
        let status = json!({"uptime_s": 1.5, "jobs": {"done": 3, "queued": {"mail": 2}}});
        let mut expected = Batch::default();
        let none: [(&str, &str); 0] = [];
        expected
            .gauge("app_uptime_seconds", "Since the start.", none, 1.5)
            .unwrap();
        expected
            .counter("app_jobs_done_total", "Jobs done.", none, 3.0)
            .unwrap();
        expected
            .gauge(
                "app_jobs_queued",
                "Jobs that wait.",
                [("queue", "mail")],
                2.0,
            )
            .unwrap();
        assert_eq!(batch(&status).unwrap(), expected);
    }

    #[test]
    fn what_is_missing_is_an_error_that_names_it() {
        let status = json!({"uptime_s": 1.5, "jobs": {"queued": {}}});
        let error = batch(&status).unwrap_err().to_string();
        assert!(error.contains("/jobs/done"), "{error}");
    }

    #[tokio::test]
    async fn against_the_play_the_page_is_up_and_then_down() {
        let url = page::serve(2).unwrap();
        let source = StatusPage {
            url,
            client: reqwest::Client::new(),
        };
        assert!(source.collect().await.is_ok());
        assert!(source.collect().await.is_ok());
        assert!(source.collect().await.is_err());
    }
}
