//! What cannot be answered is refused as Prometheus refuses it: the same status, the same body.

use tidegate_e2e::{Prometheus, Session, Tidegate};

/// Targets below `/api/v1/`. Some are asked well, as odd as they look.
const TARGETS: [&str; 68] = [
    "query",
    "query?query=",
    "query?query=up(",
    "query?query=up{job=\"a\"",
    "query?query=rate(up)",
    "query?query=up&time=x",
    "query?query=up&time=1e400",
    "query?query=up&time=0x10",
    "query?query=up&time=-1.5",
    "query?query=up&time=2026-13-01T00:00:00Z",
    "query?query=up&time=2026-02-30T00:00:00Z",
    "query?query=up&time=2026-01-01T00:00:00",
    "query?query=up&time=2026-01-01T00:00:00%2B01:00",
    "query?query=up&time=2026-01-01T00:00:00.123456789Z",
    "query?query=up&time=1&time=x",
    "query?query=up&time=x&timeout=x",
    "query?query=up&time=1&timeout=x",
    "query?query=up&time=1&timeout=1e400",
    "query?query=up&time=1&timeout=9223372037",
    "query_range",
    "query_range?query=up",
    "query_range?query=up&start=1",
    "query_range?query=up&start=1&end=2",
    "query_range?start=1&end=2&step=1",
    "query_range?query=up&start=x&end=y&step=z",
    "query_range?query=up&start=1&end=y&step=z",
    "query_range?query=up&start=1&end=2&step=z",
    "query_range?query=up&start=2&end=1&step=0",
    "query_range?query=up&start=2&end=1&step=z",
    "query_range?query=up&start=1&end=2&step=0",
    "query_range?query=up&start=1&end=2&step=-1",
    "query_range?query=up&start=1&end=2&step=-1s",
    "query_range?query=up&start=1&end=2&step=0.0000000001",
    "query_range?query=up&start=1&end=2&step=NaN",
    "query_range?query=up&start=1&end=2&step=Inf",
    "query_range?query=up&start=1&end=2&step=1e400",
    "query_range?query=up&start=1&end=2&step=1.5s",
    "query_range?query=up&start=1&end=2&step=1s1m",
    "query_range?query=up&start=1&end=2&step=1m1s",
    "query_range?query=up&start=0&end=11000&step=1",
    "query_range?query=up&start=0&end=11001&step=1",
    "query_range?query=up&start=0&end=11000.9&step=1",
    "query_range?query=up&start=1&end=2&step=1&timeout=x",
    "query_range?query=up(&start=1&end=2&step=1",
    "query_range?query=up[1m]&start=1&end=2&step=1",
    "query_range?query=\"text\"&start=1&end=2&step=1",
    "query_range?query=up(&start=2&end=1&step=1",
    "query_range?query=1&start=1&end=1&step=1h",
    "series",
    "series?match[]=",
    "series?match[]={}",
    "series?match[]={a=\"\"}",
    "series?match[]=up(",
    "series?match[]=up&start=x",
    "series?match[]=up&end=x",
    "series?match[]=up&start=2&end=1",
    "labels?start=x",
    "labels?match[]={}",
    "labels?match[]=up{",
    "label/a-b/values",
    "label/1/values",
    "label/job/values?start=x",
    "label/job/values?match[]={",
    "metadata?limit=x",
    "metadata?limit=0",
    "format_query?query=sum(",
    "format_query?query=sum(up)by(job)",
    "query_exemplars?query=up(",
];

#[tokio::test]
async fn every_refusal_is_in_the_words_of_prometheus() {
    let prometheus = Prometheus::start(&[]).await;
    let config = format!(
        "[[source]]\nname = \"prom\"\nurl = \"{}\"\n[node]\nenabled = false\n",
        prometheus.url()
    );
    let tidegate = Tidegate::start(&config, &[]).await;
    let session = Session::new();
    let mut differences = Vec::new();
    for target in TARGETS {
        let (path, form) = target.split_once('?').unwrap_or((target, ""));
        for posted in [false, true] {
            let takes_posts = path.starts_with("query") || matches!(path, "series" | "labels");
            if posted && !takes_posts {
                continue;
            }
            let ask = async |base: &str| {
                let url = format!("{base}/api/v1/{path}");
                let answer = if posted {
                    session.post_form(&url, form.to_owned()).await
                } else {
                    session.get(&format!("{url}?{form}")).await
                };
                let answer = answer.expect("both answer");
                let kind = answer.header("content-type").to_owned();
                (answer.status, kind, answer.text())
            };
            let (expected, got) = (ask(&prometheus.url()).await, ask(&tidegate.url()).await);
            if expected != got {
                let method = if posted { "POST" } else { "GET" };
                differences.push(format!("{method} {target}\n  {expected:?}\n  {got:?}"));
            }
        }
    }
    assert!(
        differences.is_empty(),
        "{} differ, first what Prometheus says:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

/// Where Tidegate is stricter on purpose: Prometheus answers about whatever instant the overflow of
/// an integer yields, or in plain text.
const STRICTER: [(&str, u16, &str); 5] = [
    ("query?query=up&time=NaN", 400, "cannot parse \\\"NaN\\\""),
    ("query?query=up&time=Inf", 400, "cannot parse \\\"Inf\\\""),
    (
        "query?query=up&time=1_000",
        400,
        "cannot parse \\\"1_000\\\"",
    ),
    (
        "query_range?query=up&start=0&end=1e18&step=1",
        400,
        "cannot parse \\\"1e18\\\"",
    ),
    ("status/nothing", 404, "status/nothing"),
];

#[tokio::test]
async fn what_overflows_an_instant_is_refused() {
    let prometheus = Prometheus::start(&[]).await;
    let config = format!(
        "[[source]]\nname = \"prom\"\nurl = \"{}\"\n[node]\nenabled = false\n",
        prometheus.url()
    );
    let tidegate = Tidegate::start(&config, &[]).await;
    let session = Session::new();
    for (target, status, words) in STRICTER {
        let url = format!("{}/api/v1/{target}", tidegate.url());
        let answer = session.get(&url).await.expect("it answers");
        let kind = answer.header("content-type").to_owned();
        assert_eq!(
            (answer.status, &*kind),
            (status, "application/json"),
            "{target}"
        );
        let text = answer.text();
        assert!(text.contains(words), "{target}: {text}");
    }
}
