//! Adaptive ttl and scrape-aligned refresh, each with and without, over the same worlds: fewer
//! fetches, and readers see data no older.
//!
//! The world: an upstream that scrapes at a fixed period and phase, and keys whose values stand
//! still or move with every scrape. A reader looks at each key every other second and notes how
//! long ago what it sees stopped being the newest: its lag behind the upstream. Data that the
//! upstream itself has not replaced is no lag.

use std::collections::BTreeMap;
use std::time::Duration;

use tidegate_core::{
    Ask, Collector, Config, Fetch, Instant, Lookup, Now, Output, Random, Response, SourceConfig,
    UnixMillis,
};
use tidegate_sim::truth::{Truth, evaluated_us};

const WALL_MS: i64 = 1_700_000_000_000;
const SEEDS: u64 = 20;
const KEYS: u64 = 8;
const HOUR_MS: u64 = 3_600_000;

/// What readers and the upstream saw of one world, or of several.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    fetches: u64,
    reads: u64,
    lag_ms: u64,
    lag_ms_max: u64,
}

impl Seen {
    fn add(&mut self, other: &Self) {
        self.fetches += other.fetches;
        self.reads += other.reads;
        self.lag_ms += other.lag_ms;
        self.lag_ms_max = self.lag_ms_max.max(other.lag_ms_max);
    }

    fn lag_ms_mean(&self) -> u64 {
        self.lag_ms / self.reads
    }
}

/// An upstream: when it scrapes, and how often its values move.
#[derive(Clone, Copy, Debug)]
struct Upstream {
    period_ms: u64,
    phase_ms: u64,
    /// Scrapes after which a value moves.
    moves_every: u64,
}

impl Upstream {
    /// The number of the newest scrape at this time; one can be queried 200 ms after its date.
    fn scrape(&self, ms: u64) -> u64 {
        (ms + 10 * self.period_ms - self.phase_ms - 200) / self.period_ms
    }

    fn value(&self, ms: u64) -> u64 {
        self.scrape(ms) / self.moves_every
    }

    /// When the value that stood at `ms` was replaced.
    fn replaced_ms(&self, ms: u64) -> u64 {
        let next = (self.value(ms) + 1) * self.moves_every;
        next * self.period_ms + self.phase_ms + 200 - 10 * self.period_ms
    }

    /// The last ten scrapes as a range selector gives them.
    fn body(&self, fetch: &Fetch, ms: u64) -> Vec<u8> {
        let newest = self.scrape(ms);
        let truth = Truth {
            server: &fetch.source,
            text: &fetch.request.form,
            evaluated_us: ms * 1000,
            dated_ms: WALL_MS,
            value: None,
            partial: false,
            range: None,
        };
        let samples = (newest.saturating_sub(9)..=newest).map(|scrape| {
            let at = WALL_MS + (scrape * self.period_ms + self.phase_ms) as i64
                - 10 * self.period_ms as i64;
            let value = scrape / self.moves_every;
            format!("[{}.{:03},\"{value}\"]", at / 1000, at % 1000)
        });
        let samples: Vec<_> = samples.collect();
        let series = format!(r#"[{{"metric":{{}},"values":[{}]}}]"#, samples.join(","));
        let body = String::from_utf8(truth.body()).expect("the body is text");
        let body = body.replace("\"result\":[]", &format!("\"result\":{series}"));
        body.replace("\"vector\"", "\"matrix\"").into_bytes()
    }

    /// The newest value alone, as an instant query gives it.
    fn instant_body(&self, fetch: &Fetch, ms: u64) -> Vec<u8> {
        let truth = Truth {
            server: &fetch.source,
            text: "x",
            evaluated_us: ms * 1000,
            dated_ms: WALL_MS + ms as i64,
            value: Some(self.value(ms)),
            partial: false,
            range: None,
        };
        truth.body()
    }
}

/// An hour of readers.
fn live(source: SourceConfig, upstream: Upstream, ranges: bool, seed: u64) -> Seen {
    let now = |ms: u64| Now {
        mono: Instant::from_millis(ms),
        wall: UnixMillis(WALL_MS + ms as i64),
    };
    let config = Config {
        seed,
        ..Config::with_sources(vec![source])
    };
    let mut collector = Collector::new(config, now(0)).expect("a good configuration");
    let mut random = Random::new(seed);
    let mut coming: BTreeMap<(u64, u64), Fetch> = BTreeMap::new();
    let mut seen = Seen::default();
    for ms in (0..HOUR_MS).step_by(10) {
        collector.handle_timeout(now(ms));
        while let Some(entry) = coming.first_entry().filter(|entry| entry.key().0 <= ms) {
            let fetch = entry.remove();
            let body = if ranges {
                upstream.body(&fetch, ms)
            } else {
                upstream.instant_body(&fetch, ms)
            };
            collector.handle_response(fetch.id, Ok(Response::new(200, body)), now(ms));
        }
        let key = ms / 250 % KEYS;
        if ms % 250 == 0 {
            let query = if ranges {
                format!("m{key}[5m]")
            } else {
                format!("m{key}")
            };
            let ask = Ask {
                allow_stale: true,
                ..Ask::promql(query)
            };
            if let Ok(Lookup::Ready(answer)) = collector.query(&ask, now(ms))
                // The first minutes are for learning, on and off alike.
                && ms > HOUR_MS / 6
            {
                let evaluated_ms = evaluated_us(&answer.payload)[0] / 1000;
                let lag_ms = ms.saturating_sub(upstream.replaced_ms(evaluated_ms));
                seen.reads += 1;
                seen.lag_ms += lag_ms;
                seen.lag_ms_max = seen.lag_ms_max.max(lag_ms);
            }
        }
        loop {
            match collector.poll_output() {
                Output::Fetch(fetch) => {
                    let at = ms + 20 + random.below(60);
                    coming.insert((at, fetch.id.0), fetch);
                }
                Output::Wait(_) => break,
                Output::Cancel(_)
                | Output::Reply(_)
                | Output::Event(_)
                | Output::Forget(_)
                | Output::Append(_) => {}
            }
        }
    }
    seen.fetches = collector.stats().fetches;
    seen
}

/// The same worlds under two settings.
fn compare(
    off: &SourceConfig,
    on: &SourceConfig,
    ranges: bool,
    upstream: impl Fn(&mut Random) -> Upstream,
) -> (Seen, Seen) {
    let mut both = (Seen::default(), Seen::default());
    for seed in 0..SEEDS {
        let upstream = upstream(&mut Random::new(seed));
        both.0.add(&live(off.clone(), upstream, ranges, seed));
        both.1.add(&live(on.clone(), upstream, ranges, seed));
    }
    both
}

fn tell(what: &str, off: &Seen, on: &Seen) {
    for (name, seen) in [("off", off), ("on", on)] {
        println!(
            "{what} {name:<3}  {:>6} fetches  {:>6} reads  lag {:>6} ms mean  {:>6} ms at most",
            seen.fetches,
            seen.reads,
            seen.lag_ms_mean(),
            seen.lag_ms_max
        );
    }
}

fn refreshed_every(seconds: u64) -> SourceConfig {
    SourceConfig {
        ttl: Duration::from_secs(seconds),
        fetch_interval: Duration::from_secs(seconds),
        probe_interval: Duration::ZERO,
        ..SourceConfig::prometheus("prom")
    }
}

#[test]
fn adaptive_ttl_saves_most_fetches_where_nothing_moves_and_ages_no_data() {
    let off = refreshed_every(30);
    let on = SourceConfig {
        ttl_max: Some(Duration::from_secs(300)),
        ..off.clone()
    };
    let still = |random: &mut Random| Upstream {
        period_ms: 15_000,
        phase_ms: random.below(15_000),
        moves_every: 1_000_000,
    };
    let (off, on) = compare(&off, &on, false, still);
    tell("adaptive, still", &off, &on);
    assert!(on.fetches * 4 < off.fetches, "{on:?} {off:?}");
    assert!(on.lag_ms <= off.lag_ms, "{on:?} {off:?}");
}

#[test]
fn adaptive_ttl_changes_nothing_where_everything_moves() {
    let off = refreshed_every(30);
    let on = SourceConfig {
        ttl_max: Some(Duration::from_secs(300)),
        ..off.clone()
    };
    let moving = |random: &mut Random| Upstream {
        period_ms: 15_000,
        phase_ms: random.below(15_000),
        moves_every: 1,
    };
    let (off, on) = compare(&off, &on, false, moving);
    tell("adaptive, moving", &off, &on);
    assert_eq!(on.fetches, off.fetches);
    assert!(on.lag_ms <= off.lag_ms, "{on:?} {off:?}");
}

#[test]
fn adaptive_ttl_pays_for_what_moves_seldom_with_a_lag_below_its_most() {
    let off = refreshed_every(30);
    let on = SourceConfig {
        ttl_max: Some(Duration::from_secs(300)),
        ..off.clone()
    };
    let seldom = |random: &mut Random| Upstream {
        period_ms: 15_000,
        phase_ms: random.below(15_000),
        moves_every: 40,
    };
    let (off, on) = compare(&off, &on, false, seldom);
    tell("adaptive, moving every 10 min", &off, &on);
    assert!(on.fetches * 2 < off.fetches, "{on:?} {off:?}");
    assert!(on.lag_ms_max <= 301_000, "{on:?} {off:?}");
}

#[test]
fn aligned_refresh_sees_data_sooner_with_fewer_fetches() {
    // Without alignment, somebody who wants data soon has to ask often.
    let off = refreshed_every(5);
    let on = SourceConfig {
        align: true,
        ..refreshed_every(15)
    };
    let scraped = |random: &mut Random| Upstream {
        period_ms: 15_000,
        phase_ms: random.below(15_000),
        moves_every: 1,
    };
    let (off, on) = compare(&off, &on, true, scraped);
    tell("aligned, 5 s to 15 s", &off, &on);
    assert!(on.fetches * 2 < off.fetches, "{on:?} {off:?}");
    assert!(on.lag_ms < off.lag_ms, "{on:?} {off:?}");
}

#[test]
fn aligned_refresh_at_the_same_interval_makes_data_younger() {
    let off = refreshed_every(15);
    let on = SourceConfig {
        align: true,
        ..off.clone()
    };
    let scraped = |random: &mut Random| Upstream {
        period_ms: 15_000,
        phase_ms: random.below(15_000),
        moves_every: 1,
    };
    let (off, on) = compare(&off, &on, true, scraped);
    tell("aligned, 15 s", &off, &on);
    assert!(on.fetches <= off.fetches, "{on:?} {off:?}");
    assert!(on.lag_ms * 2 < off.lag_ms, "{on:?} {off:?}");
}
