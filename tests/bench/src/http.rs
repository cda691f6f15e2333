//! Range queries over HTTP: beside Prometheus itself, and beside nginx with a cache.

mod contestants;
mod proxy;
mod wrk;

use anyhow::Result;

use self::contestants::{Contestants, SERIES, STEP_S, length_of};
use self::wrk::{Slide, Speed};
use crate::table::{Table, Target};

/// Of a window, both ends counted: an hour.
const POINTS: u64 = 241;
/// What is asked.
const QUERY: &str = "bench_total";
/// What is asked for over both what was scraped before and what is being scraped.
const WIDTH_S: u64 = (POINTS - 1) * STEP_S;
/// Seconds of each measurement, and how many there are; the middle one is told.
const SECONDS: u32 = 2;
const ROUNDS: usize = 3;
/// One who waits for each answer, and a dashboard's worth.
const CONNECTIONS: [u32; 2] = [1, 8];
/// What is newer may change, in seconds: Tidegate's default.
const SETTLE_S: u64 = 300;
/// Prometheus writes its own log of requests in between; so much of the past is left alone.
const MARGIN_S: u64 = 600;

/// Measures all of it.
pub(crate) fn measure(table: &mut Table) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let contestants = runtime.block_on(Contestants::start())?;
    identical(table, &contestants, &runtime)?;
    let mut tape = Tape::new(&contestants);
    settled(table, &contestants, &mut tape)?;
    live(table, &contestants)
}

fn identical(table: &mut Table, on: &Contestants, runtime: &tokio::runtime::Runtime) -> Result<()> {
    let end = on.past_to_s - MARGIN_S;
    let paths = [
        ("instant", format!("/api/v1/query?query={QUERY}&time={end}")),
        (
            "range",
            format!(
                "/api/v1/query_range?query={QUERY}&step={STEP_S}&start={}&end={end}",
                end - WIDTH_S
            ),
        ),
    ];
    for (what, path) in paths {
        let servers = [on.prometheus.url(), on.nginx.url(), on.tidegate.url()];
        let mut bytes = 0;
        for base in &servers {
            bytes = runtime.block_on(length_of(&format!("{base}{path}")))?;
        }
        table.heading(&format!(
            "the same {what} query again and again: {SERIES} series, {bytes} bytes"
        ));
        for connections in CONNECTIONS {
            let [prometheus, nginx, tidegate] = contest(&servers, |base| {
                wrk::same(base, &path, connections, SECONDS)
            })?;
            let row = |table: &mut Table, who: &str, speed: Speed, targets: [Target; 2]| {
                table.row(
                    &format!("{who}, {connections} at once"),
                    &per_second(speed),
                    Some((speed.requests_per_s / nginx.requests_per_s, "× nginx")),
                    targets[0],
                );
                table.row(
                    "    99 of 100 within",
                    &format!("{:.0} µs", speed.p99_us),
                    Some((speed.p99_us / nginx.p99_us, "× nginx")),
                    targets[1],
                );
            };
            row(table, "Prometheus", prometheus, [Target::None; 2]);
            row(table, "nginx proxy_cache", nginx, [Target::None; 2]);
            let targets = [Target::AtLeast(0.8), Target::AtMost(1.5)];
            row(table, "Tidegate", tidegate, targets);
        }
    }
    Ok(())
}

/// The settled past as a tape that is wound on: nobody is asked for a window twice.
struct Tape {
    next_s: u64,
    last_s: u64,
}

impl Tape {
    fn new(on: &Contestants) -> Self {
        Self {
            next_s: on.past_from_s,
            last_s: on.past_to_s - SETTLE_S - MARGIN_S - WIDTH_S,
        }
    }

    /// The windows from here on.
    fn slide(&self) -> Slide {
        Slide {
            start_s: self.next_s,
            width_s: WIDTH_S,
            step_s: STEP_S,
            steps: ((self.last_s - self.next_s) / STEP_S).max(1),
            laps: 0,
        }
    }

    /// Winds on past what was asked for, and a window more.
    fn wind(&mut self, requests: u64) {
        let on = (self.next_s + requests * STEP_S + 2 * WIDTH_S) / STEP_S * STEP_S;
        self.next_s = on.min(self.last_s - 2 * WIDTH_S);
    }
}

fn settled(table: &mut Table, on: &Contestants, tape: &mut Tape) -> Result<()> {
    table.heading(&format!(
        "a window of {POINTS} points that slides by one, over settled data"
    ));
    for connections in CONNECTIONS {
        let slide = tape.slide();
        let bases = [on.prometheus.url(), on.tidegate.url()];
        let mut slides = [slide; 2];
        let mut turn = 0;
        let [prometheus, tidegate] = contest(&bases, |base| {
            let slide = &mut slides[turn % 2];
            turn += 1;
            let speed = wrk::sliding(base, QUERY, *slide, connections, SECONDS)?;
            slide.start_s += (speed.requests + u64::from(connections)) * STEP_S;
            slide.steps = slide.steps.saturating_sub(speed.requests).max(1);
            Ok(speed)
        })?;
        tape.wind((slides[1].start_s - slide.start_s) / STEP_S);
        beside_prometheus(
            table,
            connections,
            prometheus,
            tidegate,
            Target::AtLeast(2.0),
        );
        let slide = tape.slide();
        let requests = upstream(table, on, slide, connections, Target::AtMost(700.0))?;
        tape.wind(requests);
    }
    Ok(())
}

/// Windows that end among the newest samples, as those of dashboards do. Each is wider than the one
/// before that ends at the same time, so that none is asked for twice.
fn live(table: &mut Table, on: &Contestants) -> Result<()> {
    table.heading(&format!(
        "the same over live data: each window ends within the last {SETTLE_S} s"
    ));
    let mut laps = 0;
    for connections in CONNECTIONS {
        let bases = [on.prometheus.url(), on.tidegate.url()];
        let [prometheus, tidegate] = contest(&bases, |base| {
            let slide = newest(laps);
            let speed = wrk::sliding(base, QUERY, slide, connections, SECONDS)?;
            laps += slide.laps_of(speed.requests);
            Ok(speed)
        })?;
        beside_prometheus(table, connections, prometheus, tidegate, Target::None);
        let slide = newest(laps);
        let requests = upstream(table, on, slide, connections, Target::None)?;
        laps += slide.laps_of(requests);
    }
    Ok(())
}

/// A window that ends within the last of the data, and has been round so often.
fn newest(laps: u64) -> Slide {
    let now_s = tidegate_e2e::unix_now() as u64 / STEP_S * STEP_S;
    Slide {
        start_s: now_s - SETTLE_S - WIDTH_S,
        width_s: WIDTH_S,
        step_s: STEP_S,
        steps: SETTLE_S / STEP_S + 1,
        laps,
    }
}

fn beside_prometheus(
    table: &mut Table,
    connections: u32,
    prometheus: Speed,
    tidegate: Speed,
    target: Target,
) {
    for (who, speed, target) in [
        ("Prometheus", prometheus, Target::None),
        ("Tidegate", tidegate, target),
    ] {
        table.row(
            &format!("{who}, {connections} at once"),
            &per_second(speed),
            Some((
                speed.requests_per_s / prometheus.requests_per_s,
                "× Prometheus",
            )),
            target,
        );
        table.row(
            "    99 of 100 within",
            &format!("{:.0} µs", speed.p99_us),
            Some((speed.p99_us / prometheus.p99_us, "× Prometheus")),
            Target::None,
        );
    }
}

/// Measures what Tidegate asks of Prometheus for each request; gives back how many there were.
fn upstream(
    table: &mut Table,
    on: &Contestants,
    slide: Slide,
    connections: u32,
    most: Target,
) -> Result<u64> {
    // The first window is fetched whole, once; what counts is what comes after.
    wrk::sliding(&on.counted.url(), QUERY, Slide { steps: 1, ..slide }, 1, 1)?;
    let before = on.proxy.traffic();
    let speed = wrk::sliding(&on.counted.url(), QUERY, slide, connections, SECONDS)?;
    let traffic = on.proxy.traffic() - before;
    let per_request = |count: u64| count as f64 / speed.requests as f64;
    table.row(
        "    upstream, for each request",
        &format!("{:.2} requests", per_request(traffic.requests)),
        Some((per_request(traffic.bytes), "bytes, as sent")),
        most,
    );
    Ok(speed.requests)
}

/// Measures in turn, round after round, so that what slows the machine down for a while slows all
/// of them; gives back the middle round of each.
fn contest<const N: usize>(
    bases: &[String; N],
    mut measure: impl FnMut(&str) -> Result<Speed>,
) -> Result<[Speed; N]> {
    let mut rounds: [Vec<Speed>; N] = std::array::from_fn(|_| Vec::new());
    for _ in 0..ROUNDS {
        for (base, rounds) in bases.iter().zip(&mut rounds) {
            rounds.push(measure(base)?);
        }
    }
    Ok(rounds.map(|mut rounds| {
        rounds.sort_by(|one, other| one.requests_per_s.total_cmp(&other.requests_per_s));
        rounds[ROUNDS / 2]
    }))
}

fn per_second(speed: Speed) -> String {
    format!("{:.0} req/s", speed.requests_per_s)
}
