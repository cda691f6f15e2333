//! Requests of the HTTP API: the first line has method and target, the next ones headers; an empty
//! line ends them, and what follows is the body.

use tidegate_api::{
    Command, CommandId, Front, HttpRequest, HttpResponse, Input, Output, Reply, has_tag,
    request_key,
};
use tidegate_core::{
    Config, Family, Fetch, Instant, Now, Record, Response, Sample, SourceConfig, TemplateConfig,
    TemplateKind, UnixMillis,
};
use tidegate_series::{Labels, Metadata, MetricKind};

use super::Target;

pub(super) const TARGET: Target = Target {
    name: "request",
    about: "requests of the HTTP API",
    run,
    words: &[
        "GET ",
        "POST ",
        "HEAD ",
        "DELETE ",
        "/source/local/api/v1/query?query=",
        "/source/prom/api/v1/query_range?query=up&start=0&end=100&step=5",
        "/source/prom,local",
        "/api/v1/series?match[]=",
        "/api/v1/labels",
        "/api/v1/label/job/values",
        "/api/v1/metadata",
        "/api/v1/status/buildinfo",
        "/api/v1/format_query?query=",
        "/api/v1/admin/tsdb/snapshot",
        "/v1/collect/t?a=b",
        "/v1/collect_all?start=1&end=2&node=a",
        "/v1/packs/node/node?a=b",
        "/v1/templates",
        "/v1/explain?key=prom/up",
        "/v1/owners?workload=a&owner=b",
        "/v1/invalidate",
        "/stats",
        "/metrics",
        "/health",
        "&time=1700000000.5",
        "&start=2023-11-14T22:13:20Z&end=1700000600&step=15s",
        "&timeout=1s",
        "&limit=2",
        "&lookback_delta=1m",
        "&stats=all",
        "up{job=\"a\"}[5m]",
        "sum(rate(up[5m] offset -1h @ 1700000000))",
        "max_over_time(up[1h:5m] @ end())",
        "{__name__=~\"u.*\",job!=\"\"}",
        "%7B",
        "%22",
        "%",
        "\ncache-control: max-age=5, max-stale=10, no-cache",
        "\nif-none-match: W/\"a\", *",
        "\ncontent-type: application/x-www-form-urlencoded\n\nquery=up",
        "\naccept-encoding: gzip",
        "\n\n{\"all\":true}",
        "\n\n{\"key\":\"a\"}",
    ],
    bytes_max: 800,
};

/// When it is asked: two minutes after the newest sample that there is.
const WALL_MS: i64 = 1_700_000_120_000;

/// Nothing asks a source more often for one request: each field of the largest pack, once.
const FETCHES_MAX: usize = 500;

fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let request = request(&text);
    let header = |name: &str| request.header(name);
    let _ = request_key(&request.method, &request.target, header, &request.body);
    let is_api = request.target.contains("/api/v1/");
    let (response, fetches) = respond(request);
    assert!((200..600).contains(&response.status), "{}", response.status);
    for (name, value) in &response.headers {
        let is_plain = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
        assert!(value.bytes().all(is_plain), "{name}: {value:?}");
        if *name == "etag" {
            assert!(has_tag(value, value));
        }
    }
    let json = ("content-type", "application/json".to_owned());
    if response.headers.contains(&json) && response.status != 304 {
        let read = serde_json::from_slice::<serde_json::Value>(&response.body);
        assert!(read.is_ok() || response.body.is_empty(), "json: {read:?}");
    }
    if is_api && response.status == 400 {
        assert_eq!(fetches, 0, "what is refused is not fetched");
    }
}

fn request(text: &str) -> HttpRequest {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.split('\n');
    let first = lines.next().unwrap_or_default();
    let (method, target) = first.split_once(' ').unwrap_or(("GET", first));
    let headers = lines.filter_map(|line| line.split_once(": "));
    let header = |(name, value): (&str, &str)| (name.to_ascii_lowercase(), value.to_owned());
    HttpRequest {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: headers.map(header).collect(),
        body: body.as_bytes().to_vec(),
    }
}

/// The response, and how many fetches it took; each is answered as a Prometheus would.
fn respond(request: HttpRequest) -> (HttpResponse, usize) {
    let mut now = Now {
        mono: Instant::from_millis(1),
        wall: UnixMillis(WALL_MS),
    };
    let mut front = front(now);
    let asked = Command::Http(request);
    let mut inputs = vec![
        Input::Command(CommandId(0), Command::Record(samples())),
        Input::Command(CommandId(1), asked),
    ];
    let mut fetches = 0;
    loop {
        let mut wait = None;
        for output in front.step(std::mem::take(&mut inputs), now) {
            match output {
                Output::Fetch(fetch) => {
                    // Which Prometheus it is, is asked for beside what is asked.
                    fetches += usize::from(!fetch.request.path.ends_with("/buildinfo"));
                    inputs.push(Input::Response(fetch.id, Ok(answer(&fetch))));
                }
                Output::Reply(CommandId(1), Reply::Http(response)) => return (response, fetches),
                Output::Wait(deadline) => wait = deadline,
                Output::Reply(..)
                | Output::Cancel(_)
                | Output::Event(_)
                | Output::Forget(_)
                | Output::Append(_) => {}
            }
        }
        assert!(fetches <= FETCHES_MAX, "{fetches} fetches");
        if inputs.is_empty() {
            now.mono = wait.expect("there is a reply to wait for").at;
        }
    }
}

fn front(now: Now) -> Front {
    let template = |kind, name: &str, text: &str| TemplateConfig {
        name: name.into(),
        kind,
        text: text.into(),
        ..TemplateConfig::default()
    };
    let mut prom = SourceConfig::prometheus("prom");
    prom.templates = vec![
        template(TemplateKind::PromQl, "t", "up{a=\"{{.a}}\"}"),
        template(TemplateKind::Metric, "m", "up"),
    ];
    let scraped = SourceConfig::scrape("scraped", vec!["one".into()]);
    let config = Config::with_sources(vec![prom, scraped, SourceConfig::push("pushed")]);
    Front::new(config, "0.0.0", now).expect("a sound configuration")
}

fn samples() -> Record {
    let sample = |name: &str, job: &str, ago_ms, value| Sample {
        labels: Labels::from_pairs([("__name__", name), ("job", job)]).expect("labels"),
        timestamp_ms: WALL_MS - ago_ms,
        value,
    };
    Record {
        source: "pushed".into(),
        families: vec![Family {
            name: "up".into(),
            metadata: Metadata {
                kind: MetricKind::Gauge,
                unit: "".into(),
                help: "Whether it is up.".into(),
            },
        }],
        samples: vec![
            sample("up", "a", 240_000, 1.0),
            sample("up", "a", 120_000, f64::NAN),
            sample("up", "b", 120_000, 0.5),
            sample("down", "<b>\n\"", 120_000, -0.0),
        ],
    }
}

fn answer(fetch: &Fetch) -> Response {
    let path = &*fetch.request.path;
    let body: &[u8] = if fetch.target.is_some() {
        b"up 1\nup{job=\"c\"} 2\n"
    } else if path.ends_with("/query") {
        br#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up"},"value":[1700000120,"1"]}]}}"#
    } else if path.ends_with("/query_range") {
        br#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#
    } else if path.ends_with("/series") {
        br#"{"status":"success","data":[{"__name__":"up"}]}"#
    } else if path.ends_with("/labels") || path.ends_with("/values") {
        br#"{"status":"success","data":["up"]}"#
    } else {
        br#"{"status":"success","data":{}}"#
    };
    Response::new(200, body)
}
