//! Scrape sources with targets that live, die, waver and hang: few fetches at once, and no dead
//! target hides a living one. Where they are collected, each is scraped once an interval, whoever asks
//! meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tidegate_core::{
    Answer, Ask, AskId, BreakerConfig, BreakerState, Collector, Config, FetchError, FetchId,
    Instant, Lookup, Now, Output, Provenance, QueryError, Random, Response, SourceConfig,
    SourceHealth, UnixMillis,
};
use tidegate_series::Labels;
use tidegate_sim::profile::{chance, pick};
use tidegate_wire::Data;

const SEEDS: u64 = 60;
const STEPS: u64 = 300;
const TIMEOUT_MS: u64 = 5_000;
/// What DESIGN.md allows to be scraped at once, of one source.
const AT_ONCE_MAX: usize = 10;
/// Fewer than are fetched at once, or they would keep all others waiting until they time out.
const HANGING_MAX: usize = 9;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Lives,
    Dead,
    Wavers,
    Hangs,
}

struct World {
    collector: Collector,
    random: Random,
    targets: BTreeMap<String, Target>,
    /// How often they are collected; 0 for never.
    interval_ms: u64,
    ms: u64,
    /// What is under way, and when it is answered, if ever.
    fetches: BTreeMap<FetchId, (String, Option<u64>)>,
    /// Who waits, and until when.
    asks: BTreeMap<AskId, u64>,
    answers: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let r = &mut random;
        let mut hanging = 0;
        let targets: BTreeMap<_, _> = (0..1 + r.below(25))
            .map(|nth| {
                let target = match r.below(5) {
                    0 => Target::Dead,
                    1 => Target::Wavers,
                    2 if hanging < HANGING_MAX => {
                        hanging += 1;
                        Target::Hangs
                    }
                    _ => Target::Lives,
                };
                (format!("t{nth}"), target)
            })
            .collect();
        let mut source = SourceConfig {
            ttl: Duration::from_millis(pick(&[200, 1_000, 10_000], r)),
            timeout: Duration::from_millis(TIMEOUT_MS),
            fetch_interval: Duration::from_millis(pick(&[0, 2_000, 30_000], r)),
            breaker: BreakerConfig {
                failures_max: pick(&[1, 2, 5], r) as u32,
                ..BreakerConfig::default()
            },
            ..SourceConfig::scrape("pods", targets.keys().cloned().collect())
        };
        source.retry.retries_max = pick(&[0, 0, 2], r) as u32;
        let interval_ms = pick(&[0, 3_000, 15_000], r);
        source.collect_interval = Duration::from_millis(interval_ms);
        let config = Config {
            seed,
            ..Config::with_sources(vec![source])
        };
        Self {
            collector: Collector::new(config, now(0)).expect("a good configuration"),
            random,
            targets,
            interval_ms,
            ms: 0,
            fetches: BTreeMap::new(),
            asks: BTreeMap::new(),
            answers: 0,
        }
    }

    fn play(&mut self) {
        for _ in 0..STEPS {
            if chance(40, &mut self.random) {
                self.ask();
            }
            // A whole pause now and then, so that nothing is within its ttl any more.
            let pause = pick(&[0, 1, 20, 300, 300, 2_000, 12_000], &mut self.random);
            for _ in 0..pause.div_ceil(10) {
                self.ms += 10;
                self.pass();
            }
        }
        let statuses = self.collector.sources();
        let has = |wanted| self.targets.values().any(|target| *target == wanted);
        if has(Target::Lives) && has(Target::Dead) && self.answers > 0 {
            assert_eq!(statuses[0].health, SourceHealth::Degraded);
        }
        if has(Target::Lives) {
            assert_eq!(statuses[0].breaker, BreakerState::Closed);
        }
        self.check_collected();
    }

    /// Each target was scraped once an interval, and `up` says how that went.
    fn check_collected(&self) {
        let series = self.collector.series();
        if self.interval_ms == 0 {
            assert!(series.is_empty());
            return;
        }
        let due = self.ms / self.interval_ms;
        for (target, how) in &self.targets {
            let pairs = [("__name__", "up"), ("job", "pods"), ("instance", target)];
            let labels = Labels::from_pairs(pairs).expect("good labels");
            let points = series
                .ring(&labels)
                .into_iter()
                .flat_map(|ring| ring.points());
            let up: Vec<f64> = points.map(|(_, value)| value).collect();
            assert!(
                due.abs_diff(up.len() as u64) <= 1,
                "{target}: {} of {due}",
                up.len()
            );
            let told = |value: &f64| match how {
                Target::Lives => *value == 1.0,
                Target::Dead | Target::Hangs => *value == 0.0,
                Target::Wavers => *value == 1.0 || *value == 0.0,
            };
            assert!(up.iter().all(told), "{target} {how:?}: {up:?}");
        }
    }

    fn ask(&mut self) {
        let ask = Ask {
            max_age: chance(30, &mut self.random).then_some(Duration::ZERO),
            allow_stale: chance(20, &mut self.random),
            ..Ask::promql("up")
        };
        match self.collector.query(&ask, now(self.ms)) {
            Ok(Lookup::Pending(id)) => {
                self.asks.insert(id, self.ms + TIMEOUT_MS);
            }
            Ok(Lookup::Ready(answer)) => self.answered(&Ok(answer)),
            Err(error) => self.answered(&Err(error)),
        }
        self.drain();
    }

    /// Ten milliseconds have passed.
    fn pass(&mut self) {
        self.collector.handle_timeout(now(self.ms));
        self.drain();
        let due = self
            .fetches
            .iter()
            .filter(|(_, (_, at))| at.is_some_and(|at| at <= self.ms));
        for id in due.map(|(id, _)| *id).collect::<Vec<_>>() {
            let Some((target, _)) = self.fetches.remove(&id) else {
                continue;
            };
            let fails = match self.targets[&target] {
                Target::Lives => false,
                Target::Wavers => chance(50, &mut self.random),
                Target::Dead | Target::Hangs => true,
            };
            let result = if fails {
                let detail = String::from("simulated");
                Err(FetchError::Connect { detail })
            } else {
                Ok(Response::new(200, "up 1\n"))
            };
            self.collector.handle_response(id, result, now(self.ms));
            self.drain();
        }
        let late = self.asks.iter().find(|(_, until)| **until < self.ms);
        assert_eq!(late, None, "everybody gets a reply by their deadline");
    }

    fn drain(&mut self) {
        loop {
            match self.collector.poll_output() {
                Output::Fetch(fetch) => {
                    let target = fetch.target.expect("a target is fetched").to_string();
                    let twin = self.fetches.values().any(|(other, _)| *other == target);
                    assert!(!twin, "one fetch per target");
                    let takes = 10 + self.random.below(90);
                    let hangs = self.targets[&target] == Target::Hangs;
                    let at = (!hangs).then_some(self.ms + takes);
                    self.fetches.insert(fetch.id, (target, at));
                    assert!(self.fetches.len() <= AT_ONCE_MAX, "few fetches at once");
                }
                Output::Cancel(id) => drop(self.fetches.remove(&id)),
                Output::Reply(reply) => {
                    let known = self.asks.remove(&reply.ask);
                    assert!(known.is_some(), "one reply to each who waits");
                    self.answered(&reply.result);
                }
                Output::Event(event) if event.name == "breaker-opened" => {
                    let key = event.key.clone().expect("it names the target");
                    let target = key.strip_prefix("pods/:target=").expect("of this source");
                    assert_ne!(self.targets[target], Target::Lives, "{event:?}");
                }
                Output::Wait(_) => break,
                Output::Event(_) | Output::Forget(_) | Output::Append(_) => {}
            }
        }
    }

    /// All that live are in every answer, and whoever is not is named.
    fn answered(&mut self, result: &Result<Answer, QueryError>) {
        self.answers += 1;
        let there: BTreeSet<String> = match result {
            Ok(answer) => said(answer),
            Err(_) => BTreeSet::new(),
        };
        for (target, how) in &self.targets {
            if there.contains(target) {
                assert!(!matches!(how, Target::Dead | Target::Hangs), "{target}");
                continue;
            }
            assert_ne!(*how, Target::Lives, "{target} is hidden: {result:?}");
            if let Ok(answer) = result {
                let named = format!("{target}: left out");
                let warnings = &answer.payload.response.warnings;
                assert!(warnings.iter().any(|warning| warning.starts_with(&named)));
                assert_ne!(answer.provenance, Provenance::Hit, "{target} is missing");
            }
        }
    }
}

fn said(answer: &Answer) -> BTreeSet<String> {
    let Data::Vector(columns) = &answer.payload.response.data else {
        panic!("texts are vectors")
    };
    let targets = columns
        .iter()
        .filter_map(|series| series.label("target").map(str::to_owned));
    targets.collect()
}

fn now(ms: u64) -> Now {
    Now {
        mono: Instant::from_millis(ms),
        wall: UnixMillis(1_700_000_000_000 + ms as i64),
    }
}

#[test]
fn no_dead_target_hides_a_living_one() {
    let mut answers = 0;
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        world.play();
        answers += world.answers;
    }
    assert!(answers > 2_000, "{answers} answers prove little");
}
