//! A collector with keys in memory, and where it runs.

use std::collections::BTreeMap;

use tidegate_core::{
    Ask, Collector, Config, Instant, Lookup, Now, Output, Query, Response, SourceConfig,
    TemplateConfig, UnixMillis,
};

/// The wall clock at the origin of the monotonic one.
const WALL_MS: u64 = 1_700_000_000_000;

/// Prints what the numbers depend on; `beside` are the other programs.
pub(crate) fn describe(beside: &str) {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split_once(": "));
    let load = read("/proc/loadavg");
    let load = load.split_whitespace().next().unwrap_or("?");
    println!(
        "machine: {} with {} processors, {} {}, load {load}",
        model.map_or("unknown", |(_, name)| name),
        std::thread::available_parallelism().map_or(0, usize::from),
        std::env::consts::OS,
        std::env::consts::ARCH,
    );
    println!(
        "program: tidegate {}, {beside}, times by processor time, one thread",
        env!("CARGO_PKG_VERSION")
    );
}

/// This many milliseconds after the origin of both clocks.
pub(crate) fn at_ms(ms: u64) -> Now {
    Now {
        mono: Instant::from_millis(ms),
        wall: UnixMillis((WALL_MS + ms) as i64),
    }
}

/// One source with one template; nothing but what is asked is fetched.
pub(crate) fn config() -> Config {
    Config::with_sources(vec![SourceConfig {
        probe_interval: core::time::Duration::ZERO,
        templates: vec![TemplateConfig {
            name: "kv_cache".into(),
            text: r#"max(vllm:kv_cache_usage_perc{model_name="{{.modelID}}",namespace="{{.namespace}}"})"#
                .into(),
            ..TemplateConfig::default()
        }],
        ..SourceConfig::prometheus("prom")
    }])
}

/// The nth question.
pub(crate) fn ask(nth: usize) -> Ask {
    let params = [
        ("modelID".to_owned(), format!("llama-{nth}")),
        ("namespace".to_owned(), "default".to_owned()),
    ];
    Ask {
        query: Query::Template {
            name: "kv_cache".into(),
            params: BTreeMap::from(params),
        },
        ..Ask::promql("")
    }
}

/// What Prometheus says to it at this instant.
pub(crate) fn body(now: Now) -> Vec<u8> {
    format!(
        r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{}},"value":[{}.{:03},"0.4217"]}}]}}}}"#,
        now.wall.0 / 1000,
        now.wall.0 % 1000
    )
    .into_bytes()
}

/// Answers every fetch at once; says how many there were.
pub(crate) fn answer_all(collector: &mut Collector, body: &[u8], now: Now) -> u64 {
    let mut fetches = 0;
    loop {
        match collector.poll_output() {
            Output::Fetch(fetch) => {
                fetches += 1;
                collector.handle_response(fetch.id, Ok(Response::new(200, body)), now);
            }
            Output::Wait(_) => return fetches,
            Output::Cancel(_)
            | Output::Reply(_)
            | Output::Event(_)
            | Output::Forget(_)
            | Output::Append(_) => {}
        }
    }
}

/// A collector that holds the answers to this many questions, and their keys.
pub(crate) fn filled(questions: usize, now: Now) -> (Collector, Vec<String>) {
    let mut collector = Collector::new(config(), now).expect("a valid configuration");
    let body = body(now);
    let keys = (0..questions).map(|nth| {
        let lookup = collector.query(&ask(nth), now);
        assert!(matches!(lookup, Ok(Lookup::Pending(_))), "{lookup:?}");
        answer_all(&mut collector, &body, now);
        match collector.query(&ask(nth), now) {
            Ok(Lookup::Ready(answer)) => answer.key.as_ref().to_owned(),
            other => panic!("answered a moment ago: {other:?}"),
        }
    });
    let keys = keys.collect();
    (collector, keys)
}
