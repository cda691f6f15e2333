//! Ranges: what a kept sample weighs, and what a window that slides costs.

use std::hint::black_box;
use std::time::Duration;

use tidegate_core::{
    Ask, CacheConfig, Collector, Config, FetchId, Limits, Lookup, Output, Range, Response,
    UnixMillis,
};

use crate::allocations;
use crate::clock::used;
use crate::machine::{at_ms, config};
use crate::table::{Table, Target};

/// What a node's dashboard asks for, a day long.
const SERIES: usize = 1_000;
const POINTS: i64 = 5_760;
const STEP_MS: i64 = 15_000;

/// How many points one request brings, as dashboards ask.
const POINTS_PER_ASK: i64 = 720;

/// The dashboard that slides.
const PANEL_SERIES: usize = 10;
const PANEL_POINTS: i64 = 241;
const SLIDES: u32 = 2_000;

pub(crate) fn measure(table: &mut Table) {
    weigh(table);
    slide(table);
}

fn weigh(table: &mut Table) {
    // No answer fits in beside the extents, so what is left is them.
    let mut collector = collector(26 << 20);
    let before = allocations::live_bytes();
    let source = Source::new(SERIES);
    for first in (0..POINTS).step_by(POINTS_PER_ASK as usize) {
        ask(
            &mut collector,
            &source,
            first,
            first + POINTS_PER_ASK - 1,
            0,
        );
    }
    let stats = collector.stats();
    assert_eq!(
        stats.extent_samples as i64,
        SERIES as i64 * POINTS,
        "all are kept"
    );
    assert_eq!(stats.cache_entries, 0, "answers are too large");
    // A minute later what no longer grows is packed.
    collector.handle_timeout(at_ms(61_000));
    collector.handle_timeout(at_ms(122_000));
    let stats = collector.stats();
    let live = allocations::live_bytes() - before;
    table.heading("1,000 series × 5,760 points (40 % counters, 30 % two decimals, 20 % mostly constant, 10 % noise)");
    let per_sample = stats.extent_bytes as f64 / stats.extent_samples as f64;
    table.row(
        "bytes per kept sample, as accounted",
        &format!("{} bytes", stats.extent_bytes),
        Some((per_sample, "B")),
        Target::AtMost(3.0),
    );
    table.row(
        "the same, as allocated",
        &format!("{live} bytes"),
        Some((live as f64 / stats.extent_samples as f64, "B")),
        Target::AtMost(3.0),
    );
}

fn slide(table: &mut Table) {
    table.heading(
        "a window of 10 series × 241 points that slides by a step, fetch and encoding included",
    );
    for (what, behind) in [("settled", 600_000), ("live, its tail fetched anew", 0)] {
        let mut collector = collector(64 << 20);
        let source = Source::new(PANEL_SERIES);
        let slid = |nth: u32| i64::from(nth);
        ask(
            &mut collector,
            &source,
            0,
            PANEL_POINTS - 1,
            now_of(PANEL_POINTS - 1, behind),
        );
        let (fetched, mut spent) = (collector.stats().fetched_bytes, Duration::ZERO);
        for nth in 1..=SLIDES {
            let last = PANEL_POINTS - 1 + slid(nth);
            spent += ask(
                &mut collector,
                &source,
                slid(nth),
                last,
                now_of(last, behind),
            );
        }
        let bytes = (collector.stats().fetched_bytes - fetched) / u64::from(SLIDES);
        table.row(
            what,
            &format!(
                "{:.1} µs",
                spent.as_nanos() as f64 / 1e3 / f64::from(SLIDES)
            ),
            Some((bytes as f64, "bytes fetched per ask")),
            Target::None,
        );
    }
}

/// How many milliseconds after the origin the instant is that lies so far behind a point.
fn now_of(last: i64, behind_ms: i64) -> u64 {
    u64::try_from(last * STEP_MS + behind_ms).expect("after the origin")
}

fn collector(bytes_max: usize) -> Collector {
    /// So that nothing is fetched again for its age.
    const LONG: Duration = Duration::from_secs(1_000 * 3_600);
    let config = Config {
        cache: CacheConfig {
            bytes_max,
            ..CacheConfig::default()
        },
        limits: Limits {
            settled_age_max: LONG,
            ..Limits::default()
        },
        ..config()
    };
    Collector::new(config, at_ms(0)).expect("a valid configuration")
}

/// Asks for these points, plays the source, and says how long the collector took. `now_ms` 0 is
/// long after all of them.
fn ask(collector: &mut Collector, source: &Source, first: i64, last: i64, now_ms: u64) -> Duration {
    let origin = at_ms(0).wall.0 - if now_ms == 0 { 2 * POINTS * STEP_MS } else { 0 };
    let origin = origin.div_euclid(STEP_MS) * STEP_MS;
    let range = Range {
        start: UnixMillis(origin + first * STEP_MS),
        end: UnixMillis(origin + last * STEP_MS),
        step: Duration::from_millis(STEP_MS as u64),
    };
    let ask = Ask::promql("rate(node_cpu_seconds_total[5m])").over(range);
    let now = at_ms(now_ms);
    let start = used();
    let lookup = collector.query(&ask, now).expect("a valid question");
    let mut spent = used() - start;
    loop {
        let start = used();
        let output = collector.poll_output();
        spent += used() - start;
        match output {
            Output::Fetch(fetch) => {
                let body = source.body(&fetch.request.form, origin);
                let start = used();
                respond(collector, fetch.id, body, now_ms);
                spent += used() - start;
            }
            Output::Reply(reply) => {
                black_box(reply.result.expect("answered"));
            }
            Output::Wait(_) => break,
            Output::Cancel(_) | Output::Event(_) | Output::Forget(_) | Output::Append(_) => {}
        }
    }
    assert!(matches!(lookup, Lookup::Pending(_) | Lookup::Ready(_)));
    spent
}

fn respond(collector: &mut Collector, fetch: FetchId, body: Vec<u8>, now_ms: u64) {
    collector.handle_response(fetch, Ok(Response::new(200, body)), at_ms(now_ms));
}

/// Plays Prometheus: series of four kinds.
struct Source {
    series: usize,
}

impl Source {
    fn new(series: usize) -> Self {
        Self { series }
    }

    fn body(&self, form: &str, origin: i64) -> Vec<u8> {
        use std::io::Write;
        let time = |name: &str| -> f64 {
            let value = form.split('&').find_map(|pair| pair.strip_prefix(name));
            value.and_then(|value| value.parse().ok()).expect("a time")
        };
        let ms = |seconds: f64| (seconds * 1_000.0) as i64;
        let (start, end) = (ms(time("start=")), ms(time("end=")));
        let points = (start - origin) / STEP_MS..=(end - origin) / STEP_MS;
        let mut body = Vec::new();
        body.extend_from_slice(br#"{"status":"success","data":{"resultType":"matrix","result":["#);
        for series in 0..self.series {
            let comma = if series > 0 { "," } else { "" };
            write!(
                body,
                r#"{comma}{{"metric":{{"__name__":"node_cpu_seconds_total","cpu":"{:03}","instance":"10.0.{}.17:9100","job":"node-exporter","mode":"idle","namespace":"monitoring","pod":"node-exporter-{series:05}"}},"values":["#,
                series,
                series / 256
            )
            .expect("memory");
            for (nth, point) in points.clone().enumerate() {
                let comma = if nth > 0 { "," } else { "" };
                let at = (origin + point * STEP_MS) as f64 / 1_000.0;
                write!(body, r#"{comma}[{at},"{}"]"#, value(series, point)).expect("memory");
            }
            body.extend_from_slice(b"]}");
        }
        body.extend_from_slice(b"]}}");
        body
    }
}

/// What a series says at a point.
fn value(series: usize, point: i64) -> f64 {
    let random = |salt: u64| {
        let mut bits = (series as u64) << 40 ^ point as u64 ^ salt << 56;
        for _ in 0..3 {
            bits ^= bits >> 33;
            bits = bits.wrapping_mul(0xff51_afd7_ed55_8ccd);
        }
        (bits >> 11) as f64 / (1u64 << 53) as f64
    };
    let at = point as f64;
    match series % 10 {
        // Counters that grow by about the same in each step.
        0..=3 => at * (100.0 + series as f64) + (random(1) * 20.0).floor(),
        // Gauges of two decimals.
        4..=6 => ((50.0 + 30.0 * (at / 200.0).sin() + 2.0 * random(2)) * 100.0).round() / 100.0,
        // Whole numbers that change now and then.
        7 | 8 => ((at / 300.0).floor() * 7.0 + series as f64) % 50.0,
        _ => random(3),
    }
}
