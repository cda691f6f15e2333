//! The collector behind its API, told by bytes what happens to it.
//!
//! Whatever happens, every command gets one reply of its kind, unless it was abandoned; a fetch is
//! asked for once; each step says last, and once, when to come again; and nobody is woken at the
//! same time again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tidegate_api::{Change, Command, CommandId, Front, HttpRequest, Input, Output, Reply};
use tidegate_core::{
    Ask, Config, FetchError, FetchId, Instant, Invalidation, Now, Range, Record, Response, Sample,
    SourceConfig, TemplateConfig, UnixMillis,
};
use tidegate_series::Labels;

use super::Target;
use super::script::Script;

pub(super) const TARGET: Target = Target {
    name: "machine",
    about: "a collector, told by bytes what happens to it",
    run,
    words: &[
        "\0\0",
        "\u{8}\0",
        "\u{9}\0",
        "\u{c}\u{3}",
        "\u{1}\u{1}",
        "\u{d}\u{2}",
    ],
    bytes_max: 300,
};

const WALL_MS: i64 = 1_700_000_000_000;

/// As long as anything waits: the longest timeout there is here, and some more.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a collector may want to be woken without time passing.
const WAKES_MAX: u32 = 100;

const QUERIES: [&str; 10] = [
    "up",
    "up{job=\"a\"}",
    "rate(up[5m])",
    "up @ 1700000000",
    "up offset -10m",
    "max_over_time(up[1h:1m])",
    "time()",
    "up @ end()",
    "sum(up",
    "{__name__=~\"u.*\"}",
];

const TARGETS: [&str; 12] = [
    "/api/v1/query?query=up",
    "/api/v1/query_range?query=up&start=1700000000&end=1700000600&step=15",
    "/api/v1/query_range?query=up&start=1699990000&end=1700000090&step=30",
    "/api/v1/labels",
    "/api/v1/series?match[]=up",
    "/v1/collect/t?a=b",
    "/v1/packs/node/node",
    "/v1/templates",
    "/stats",
    "/metrics",
    "/health",
    "/v1/explain?key=prom/:query=up",
];

const BODIES: [&str; 8] = [
    r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up"},"value":[1700000000,"1"]}]}}"#,
    r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"up"},"values":[[1700000000,"1"],[1700000015,"2"]]}]}}"#,
    r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#,
    r#"{"status":"success","data":["up","down"]}"#,
    r#"{"status":"success","warnings":["w"],"data":{"resultType":"matrix","result":[]}}"#,
    r#"{"status":"error","errorType":"bad_data","error":"no"}"#,
    "up 1\nup{job=\"c\"} 2\n",
    "<html>",
];

const SOURCES: [&str; 5] = ["prom", "other", "local", "scraped", "nobody"];

fn run(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let mut world = World::new(&mut script);
    while !script.is_over() {
        world.act(&mut script);
    }
    world.rest();
}

/// Of what kind a reply must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Http,
    Answer,
    Recorded,
    Changed,
}

struct World {
    front: Front,
    now: Now,
    /// The latest that the monotonic clock ever showed: a collector goes by that.
    latest: Instant,
    wakes_at: Option<Instant>,
    wakes: u32,
    commands: u64,
    waiting: BTreeMap<CommandId, Kind>,
    fetches: Vec<FetchId>,
    seen: BTreeSet<FetchId>,
}

impl World {
    fn new(script: &mut Script<'_>) -> Self {
        let now = Now {
            mono: Instant::from_millis(1),
            wall: UnixMillis(WALL_MS),
        };
        let front = Front::new(config(script), "0.0.0", now).expect("a sound configuration");
        Self {
            front,
            now,
            latest: now.mono,
            wakes_at: None,
            wakes: 0,
            commands: 0,
            waiting: BTreeMap::new(),
            fetches: Vec::new(),
            seen: BTreeSet::new(),
        }
    }

    fn act(&mut self, script: &mut Script<'_>) {
        match script.byte() % 16 {
            0..=2 => {
                let ask = ask(script, self.now);
                self.command(Kind::Answer, Command::Ask(ask));
            }
            3 | 4 => {
                let request = HttpRequest {
                    method: script.pick(&["GET", "GET", "POST", "DELETE"]).into(),
                    target: match script.byte() {
                        byte if byte < 200 => TARGETS[usize::from(byte) % TARGETS.len()].into(),
                        _ => script.text(),
                    },
                    headers: vec![("cache-control".into(), script.text())],
                    body: Vec::new(),
                };
                self.command(Kind::Http, Command::Http(request));
            }
            5 => {
                let record = record(script, self.now);
                self.command(Kind::Recorded, Command::Record(record));
            }
            6 => {
                let change = change(script);
                self.command(Kind::Changed, Command::Change(change));
            }
            7 => {
                let left = CommandId(self.commands.saturating_sub(u64::from(script.byte())));
                self.waiting.remove(&left);
                self.step(vec![Input::Abandon(left)]);
            }
            8..=10 => self.respond(script),
            11 => {
                // One that is answered already, or was never asked for.
                let id = FetchId(u64::from(script.byte()));
                if self.fetches.contains(&id) {
                    return;
                }
                self.step(vec![Input::Response(id, Ok(Response::new(200, "late")))]);
            }
            12 => self.wake(),
            13 => self.pass(Duration::from_millis(u64::from(script.byte()) * 100)),
            14 => self.pass(Duration::from_secs(u64::from(script.byte()) * 60)),
            _ => {
                // Clocks step, even back.
                let step_ms = i64::from(script.byte() as i8) * script.pick(&[1, 1_000, 3_600_000]);
                self.now.wall.0 = self.now.wall.0.saturating_add(step_ms);
                if script.byte().is_multiple_of(8) {
                    let mono_ns = self.now.mono.as_nanos() / 2;
                    self.now.mono = Instant::from_nanos(mono_ns);
                    self.wakes = 0;
                }
                self.step(Vec::new());
            }
        }
    }

    fn respond(&mut self, script: &mut Script<'_>) {
        if self.fetches.is_empty() {
            return;
        }
        let at = usize::from(script.byte()) % self.fetches.len();
        let id = self.fetches.remove(at);
        let detail = String::new;
        let result = match script.byte() % 16 {
            0 => Err(FetchError::Connect { detail: detail() }),
            1 => Err(FetchError::Reset { detail: detail() }),
            2 => Err(FetchError::TooLarge { limit_bytes: 1 }),
            3 => Err(FetchError::Refused { detail: detail() }),
            4 => Ok(Response::new(200, script.bytes())),
            5..=7 => {
                let status = script.pick(&[400, 404, 422, 429, 500, 503, 204, 302]);
                let after = Duration::from_secs(u64::from(script.byte()));
                let response = Response::new(status, script.pick(&BODIES));
                Ok(response.with_retry_after((after.as_secs() > 100).then_some(after)))
            }
            _ => Ok(Response::new(200, script.pick(&BODIES))),
        };
        self.step(vec![Input::Response(id, result)]);
    }

    fn command(&mut self, kind: Kind, command: Command) {
        self.commands += 1;
        let id = CommandId(self.commands);
        self.waiting.insert(id, kind);
        self.step(vec![Input::Command(id, command)]);
    }

    /// Comes again when it was asked to.
    fn wake(&mut self) {
        let Some(at) = self.wakes_at else { return };
        if at > self.now.mono {
            self.pass(at.since(self.now.mono));
        } else {
            self.wakes += 1;
            assert!(self.wakes < WAKES_MAX, "woken again and again");
            self.step(Vec::new());
        }
    }

    fn pass(&mut self, span: Duration) {
        self.now.mono = self.now.mono + span;
        self.now.wall.0 = self.now.wall.0.saturating_add(span.as_millis() as i64);
        self.wakes = 0;
        self.step(Vec::new());
    }

    fn step(&mut self, inputs: Vec<Input<Command>>) {
        self.latest = self.latest.max(self.now.mono);
        let mut outputs = self.front.step(inputs, self.now);
        let Some(Output::Wait(deadline)) = outputs.pop() else {
            panic!("a step ends with when to come again")
        };
        self.wakes_at = deadline.map(|deadline| deadline.at);
        for output in outputs {
            match output {
                Output::Fetch(fetch) => {
                    assert!(self.seen.insert(fetch.id), "{:?} comes once", fetch.id);
                    self.fetches.push(fetch.id);
                }
                Output::Cancel(id) => {
                    assert!(self.seen.contains(&id), "{id:?} was asked for");
                    self.fetches.retain(|fetch| *fetch != id);
                }
                Output::Reply(id, reply) => {
                    let kind = match reply {
                        Reply::Http(_) => Kind::Http,
                        Reply::Answer(_) => Kind::Answer,
                        Reply::Recorded(_) => Kind::Recorded,
                        Reply::Aggregated(_) => unreachable!("nobody asked about windows"),
                        Reply::Changed(_) => Kind::Changed,
                    };
                    assert_eq!(self.waiting.remove(&id), Some(kind), "{id:?}");
                }
                Output::Event(_) | Output::Forget(_) | Output::Append(_) => {}
                Output::Wait(_) => panic!("a step says once when to come again"),
            }
        }
    }

    /// Nothing comes any more, and yet everybody gets a reply.
    fn rest(&mut self) {
        self.now.mono = self.latest;
        let until = self.latest + PATIENCE;
        while self.wakes_at.is_some_and(|at| at <= until) && self.now.mono <= until {
            self.wake();
        }
        assert!(self.waiting.is_empty(), "no reply: {:?}", self.waiting);
    }
}

fn config(script: &mut Script<'_>) -> Config {
    let mut prom = SourceConfig::prometheus("prom");
    prom.ttl_max = script.pick(&[None, Some(Duration::from_secs(300))]);
    prom.align = script.byte() % 2 == 1;
    prom.instant_step = Duration::from_secs(script.pick(&[0, 15]));
    prom.templates = vec![template("t", "up{a=\"{{.a}}\"}")];
    let scraped = SourceConfig::scrape("scraped", vec!["one".into(), "two".into()]);
    let other = SourceConfig::prometheus("other");
    let mut config = Config::with_sources(vec![prom, other, scraped, SourceConfig::push("pushed")]);
    config.cache.enabled = script.byte() % 8 < 7;
    config.cache.bytes_max = script.pick(&[64 << 20, 1_000, 20_000]);
    config.limits.fetches_per_source_max = script.pick(&[20, 1]);
    config.limits.queue_per_source_max = script.pick(&[1_024, 0, 2]);
    config.limits.askers_per_fetch_max = script.pick(&[10_000, 1]);
    config.local.series_max = script.pick(&[10_000, 1]);
    config
}

fn template(name: &str, text: &str) -> TemplateConfig {
    TemplateConfig {
        name: name.into(),
        text: text.into(),
        ..TemplateConfig::default()
    }
}

fn ask(script: &mut Script<'_>, now: Now) -> Ask {
    let mut ask = match script.byte() {
        byte if byte < 180 => Ask::promql(QUERIES[usize::from(byte) % QUERIES.len()]),
        byte if byte < 200 => Ask::promql(script.text()),
        byte if byte < 230 => Ask::template("t", [("a".into(), script.text())].into()),
        _ => Ask::endpoint(
            script.pick(&["labels", "series", "status/tsdb"]),
            Vec::new(),
        ),
    };
    for _ in 0..script.byte() % 4 {
        ask.sources.push(script.pick(&SOURCES).into());
    }
    let about = |script: &mut Script<'_>| {
        let ago_ms = i64::from(script.byte()) * script.pick(&[1_000, 15_000, 600_000, -1_000]);
        UnixMillis(now.wall.0.saturating_sub(ago_ms))
    };
    match script.byte() % 4 {
        0 | 1 => {}
        2 => ask.time = Some(about(script)),
        _ => {
            let end = about(script);
            let step = Duration::from_millis(script.pick(&[15_000, 60_000, 1, 0, 7]));
            let steps = i64::from(script.byte());
            let span_ms = steps.saturating_mul(step.as_millis() as i64);
            let start = UnixMillis(end.0.saturating_sub(span_ms + i64::from(script.byte() % 8)));
            ask.range = Some(Range { start, end, step });
        }
    }
    let seconds = |byte: u8| (byte % 8 == 1).then(|| Duration::from_secs(u64::from(byte)));
    ask.max_age = seconds(script.byte());
    ask.max_stale = seconds(script.byte());
    ask.timeout = seconds(script.byte());
    ask.allow_stale = script.byte() % 2 == 1;
    ask
}

fn record(script: &mut Script<'_>, now: Now) -> Record {
    let samples = (0..script.byte() % 8).map(|_| {
        let pairs = [
            ("__name__", script.pick(&["up", "down"])),
            ("job", script.pick(&["a", "b"])),
        ];
        Sample {
            labels: Labels::from_pairs(pairs).expect("labels"),
            timestamp_ms: now
                .wall
                .0
                .saturating_sub(i64::from(script.byte() as i8) * 1_000),
            value: f64::from(script.byte()),
        }
    });
    Record {
        samples: samples.collect(),
        source: script.pick(&["pushed", "nobody"]).into(),
        families: Vec::new(),
    }
}

fn change(script: &mut Script<'_>) -> Change {
    let source = |script: &mut Script<'_>| script.pick(&SOURCES).to_owned();
    match script.byte() % 10 {
        0 => Change::Register {
            source: source(script),
            template: template("new", script.pick(&QUERIES)),
        },
        1 => Change::Update {
            source: source(script),
            template: template("t", script.pick(&QUERIES)),
        },
        2 => Change::Unregister {
            source: source(script),
            template: "t".into(),
        },
        3 => Change::Untrack { key: script.text() },
        4 => Change::Invalidate(Invalidation::All),
        5 => Change::Invalidate(Invalidation::Prefix(source(script))),
        6 => Change::Invalidate(Invalidation::Source(source(script))),
        7 => Change::RegisterOwner {
            workload: script.text(),
            owner: script.text(),
        },
        8 => Change::UnregisterOwner {
            workload: script.text(),
        },
        _ => Change::Reload(Box::new(config(script))),
    }
}
