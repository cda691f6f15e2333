//! The collector's rules, one story each, under virtual time.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use tidegate_series::Labels;

use super::*;
use crate::{
    Answer, Appended, BreakerConfig, CacheConfig, Event, Fetch, Forget, Freshness, Instant,
    LocalConfig, ParamConfig, Priority, Provenance, RetryConfig, Sample, SourceConfig,
    TemplateConfig, UnixMillis,
};

mod alerting;
mod change;
mod collecting;
mod deadlines;
mod endpoints;
mod feeding;
mod gathering;
mod hits;
mod lending;
mod range;
mod refresh;
mod resilience;

/// The wall clock at the origin of the monotonic one.
const WALL: i64 = 1_700_000_000_000;

/// A collector, its time, and what it said since it was last looked at.
struct World {
    collector: Collector,
    ms: u64,
    wall_shift_ms: i64,
    fetches: Vec<Fetch>,
    cancelled: Vec<FetchId>,
    replies: Vec<(AskId, Result<Answer, QueryError>)>,
    events: Vec<Event>,
    forgotten: Vec<Forget>,
    appended: Vec<Appended>,
}

impl World {
    /// One source `prom` that is never probed.
    fn new() -> Self {
        Self::with(quiet("prom"))
    }

    fn with(source: SourceConfig) -> Self {
        Self::of(Config::with_sources(vec![source]))
    }

    fn of(config: Config) -> Self {
        let now = Now {
            mono: Instant::ZERO,
            wall: UnixMillis(WALL),
        };
        Self {
            collector: Collector::new(config, now).unwrap(),
            ms: 0,
            wall_shift_ms: 0,
            fetches: vec![],
            cancelled: vec![],
            replies: vec![],
            events: vec![],
            forgotten: vec![],
            appended: vec![],
        }
    }

    fn now(&self) -> Now {
        Now {
            mono: Instant::from_millis(self.ms),
            wall: UnixMillis(WALL + self.ms as i64 + self.wall_shift_ms),
        }
    }

    /// Lets this much time pass, in one jump.
    fn pass(&mut self, ms: u64) {
        self.ms += ms;
        self.collector.handle_timeout(self.now());
        self.drain();
    }

    fn ask(&mut self, ask: &Ask) -> Result<Lookup, QueryError> {
        let lookup = self.collector.query(ask, self.now());
        self.drain();
        lookup
    }

    fn pending(&mut self, ask: &Ask) -> AskId {
        match self.ask(ask) {
            Ok(Lookup::Pending(id)) => id,
            other => panic!("should wait: {other:?}"),
        }
    }

    fn ready(&mut self, ask: &Ask) -> Answer {
        match self.ask(ask) {
            Ok(Lookup::Ready(answer)) => answer,
            other => panic!("should be at hand: {other:?}"),
        }
    }

    fn respond(&mut self, fetch: usize, result: Result<Response, FetchError>) {
        let id = self.fetches[fetch].id;
        self.collector.handle_response(id, result, self.now());
        self.drain();
    }

    /// Asks, answers the fetch with this value, and returns the answer.
    fn fetched(&mut self, ask: &Ask, value: u32) -> Answer {
        let id = self.pending(ask);
        let at_ms = self.now().wall.0;
        self.respond(self.fetches.len() - 1, Ok(vector(at_ms, value)));
        self.reply(id).unwrap()
    }

    fn reply(&mut self, ask: AskId) -> Result<Answer, QueryError> {
        let at = self.replies.iter().position(|(id, _)| *id == ask);
        self.replies.remove(at.expect("there is a reply")).1
    }

    fn drain(&mut self) {
        loop {
            match self.collector.poll_output() {
                Output::Fetch(fetch) => self.fetches.push(fetch),
                Output::Cancel(id) => self.cancelled.push(id),
                Output::Reply(reply) => self.replies.push((reply.ask, reply.result)),
                Output::Event(event) => self.events.push(event),
                Output::Forget(forget) => self.forgotten.push(forget),
                Output::Append(appended) => self.appended.push(appended),
                Output::Wait(_) => return,
            }
        }
    }
}

/// A source that is asked only when somebody asks, and once.
fn quiet(name: &str) -> SourceConfig {
    SourceConfig {
        fetch_interval: Duration::ZERO,
        refusal_ttl: Duration::ZERO,
        retry: RetryConfig {
            retries_max: 0,
            ..RetryConfig::default()
        },
        breaker: BreakerConfig {
            failures_max: 0,
            ..BreakerConfig::default()
        },
        probe_interval: Duration::ZERO,
        ..SourceConfig::prometheus(name)
    }
}

fn up() -> Ask {
    Ask::promql("up")
}

fn vector(at_ms: i64, value: u32) -> Response {
    let (s, ms) = (at_ms / 1000, at_ms % 1000);
    Response::new(
        200,
        format!(
            r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{}},"value":[{s}.{ms:03},"{value}"]}}]}}}}"#
        ),
    )
}

fn body(answer: &Answer) -> String {
    String::from_utf8(answer.payload.body.clone().unwrap()).unwrap()
}

fn refused() -> Result<Response, FetchError> {
    Err(FetchError::Connect {
        detail: "refused".into(),
    })
}

#[test]
fn a_cold_question_is_fetched_once_and_hit_until_its_ttl_ends() {
    let mut world = World::new();
    let first = world.fetched(&up(), 1);
    assert_eq!(first.provenance, Provenance::Miss);
    assert_eq!(first.ttl_left, Some(Duration::from_secs(30)));

    world.pass(29_999);
    let hit = world.ready(&up());
    assert_eq!(hit.provenance, Provenance::Hit);
    assert_eq!(hit.age, Duration::from_millis(29_999));
    assert_eq!(body(&hit), body(&first));

    world.pass(1);
    world.pending(&up());
    assert_eq!(world.fetches.len(), 2);
}

#[test]
fn all_who_ask_while_a_fetch_is_under_way_share_it() {
    let mut world = World::new();
    let askers: Vec<_> = (0..200).map(|_| world.pending(&up())).collect();
    world.pending(&Ask::promql("down"));
    assert_eq!(world.fetches.len(), 2);

    world.respond(0, Ok(vector(WALL, 1)));
    for (nth, &asker) in askers.iter().enumerate() {
        let answer = world.reply(asker).unwrap();
        let expected = if nth == 0 {
            Provenance::Miss
        } else {
            Provenance::Coalesced
        };
        assert_eq!(answer.provenance, expected);
    }
    assert!(world.replies.is_empty());
}

#[test]
fn a_leader_who_leaves_harms_nobody_and_the_last_one_cancels() {
    let mut world = World::new();
    let leader = world.pending(&up());
    let other = world.pending(&up());
    world.collector.abandon(leader, world.now());
    world.drain();
    assert_eq!(world.cancelled, vec![]);
    world.collector.abandon(other, world.now());
    world.drain();
    assert_eq!(world.cancelled, vec![world.fetches[0].id]);

    world.respond(0, Ok(vector(WALL, 1)));
    assert!(world.replies.is_empty());
    assert_eq!(world.collector.stats().responses_ignored, 1);
    assert_eq!(world.collector.stats().fetches_in_flight, 0);
}

#[test]
fn a_failing_source_is_covered_by_the_last_good_answer_until_it_is_unavailable() {
    let mut world = World::new();
    let good = world.fetched(&up(), 1);
    world.pass(30_000);
    let ask = world.pending(&up());
    world.respond(1, refused());
    let stale = world.reply(ask).unwrap();
    assert_eq!(stale.provenance, Provenance::StaleOnError);
    assert_eq!(stale.freshness, Freshness::Fresh);
    assert_eq!(stale.ttl_left, None);
    assert!(stale.reason.unwrap().contains("refused"));
    assert_eq!(
        body(&good).len(),
        stale.payload.body.as_ref().unwrap().len()
    );

    world.pass(270_000);
    let ask = world.pending(&up());
    world.respond(2, refused());
    let stale = world.reply(ask).unwrap();
    assert_eq!(
        (stale.age, stale.freshness),
        (Duration::from_secs(300), Freshness::Stale)
    );

    world.pass(1);
    let ask = world.pending(&up());
    world.respond(3, refused());
    assert!(matches!(
        world.reply(ask),
        Err(QueryError::Unreachable { .. })
    ));

    let back = world.fetched(&up(), 2);
    assert_eq!(back.provenance, Provenance::Miss);
    let names: Vec<_> = world.events.iter().map(|event| event.name).collect();
    assert_eq!(
        names,
        [
            "fetch-failed",
            "fetch-failed",
            "answer-ageing",
            "fetch-failed",
            "source-recovered"
        ]
    );
}

#[test]
fn a_query_that_the_source_refuses_is_never_covered_by_an_old_answer() {
    let mut world = World::new();
    world.fetched(&up(), 1);
    world.pass(30_000);
    let ask = world.pending(&up());
    let said = r#"{"status":"error","errorType":"bad_data","error":"no"}"#;
    world.respond(1, Ok(Response::new(400, said)));
    match world.reply(ask) {
        Err(QueryError::Upstream {
            status: 400, body, ..
        }) => assert_eq!(&*body, said.as_bytes()),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.collector.sources()[0].health, SourceHealth::Up);
}

#[test]
fn no_broken_response_replaces_the_last_good_answer() {
    let whole = vector(WALL, 7).body;
    for response in [
        Response::new(200, &whole[..whole.len() - 1]),
        Response::new(200, "<html>"),
        Response::new(204, ""),
        Response::new(206, whole.clone()),
        Response::new(500, whole.clone()),
        Response::new(503, "busy"),
    ] {
        let mut world = World::new();
        let good = world.fetched(&up(), 1);
        world.pass(30_000);
        let ask = world.pending(&up());
        world.respond(1, Ok(response.clone()));
        let stale = world.reply(ask).unwrap();
        assert_eq!(stale.provenance, Provenance::StaleOnError, "{response:?}");
        assert_eq!(body(&stale), body(&good));
    }
}

#[test]
fn an_answer_with_warnings_is_passed_on_and_not_kept() {
    let mut world = World::new();
    let ask = world.pending(&up());
    let warned =
        r#"{"status":"success","data":{"resultType":"vector","result":[]},"warnings":["partial"]}"#;
    world.respond(0, Ok(Response::new(200, warned)));
    let answer = world.reply(ask).unwrap();
    assert_eq!((body(&answer).as_str(), answer.ttl_left), (warned, None));
    world.pending(&up());
}

#[test]
fn who_allows_stale_is_served_at_once_while_a_newer_answer_is_fetched() {
    let mut world = World::new();
    world.fetched(&up(), 1);
    world.pass(40_000);
    let lenient = Ask {
        allow_stale: true,
        ..up()
    };
    assert_eq!(world.ready(&lenient).provenance, Provenance::Stale);
    assert_eq!(world.ready(&lenient).provenance, Provenance::Stale);
    assert_eq!(world.fetches.len(), 2);
    let joins = world.pending(&up());
    let at_ms = world.now().wall.0;
    world.respond(1, Ok(vector(at_ms, 2)));
    assert_eq!(
        world.reply(joins).unwrap().provenance,
        Provenance::Coalesced
    );
    assert_eq!(world.ready(&up()).provenance, Provenance::Hit);
}

#[test]
fn nobody_gets_older_data_than_they_said_will_do() {
    let mut world = World::new();
    world.fetched(&up(), 1);
    world.pass(10_000);
    let picky = |seconds| Ask {
        max_age: Some(Duration::from_secs(seconds)),
        allow_stale: true,
        ..up()
    };
    world.ready(&picky(10));
    let ask = world.pending(&picky(9));
    world.respond(1, refused());
    assert!(world.reply(ask).is_err());
    world.ready(&up());
}

#[test]
fn nobody_gets_an_answer_further_past_its_ttl_than_they_said_will_do() {
    let mut world = World::new();
    world.fetched(&up(), 1);
    let lenient = |seconds| Ask {
        allow_stale: true,
        max_stale: Some(Duration::from_secs(seconds)),
        ..up()
    };
    world.pass(29_000);
    assert_eq!(world.ready(&lenient(0)).provenance, Provenance::Hit);
    world.pass(6_000);
    assert_eq!(world.ready(&lenient(5)).provenance, Provenance::Stale);
    let late = world.pending(&lenient(4));
    world.respond(1, refused());
    assert!(world.reply(late).is_err(), "nor when the source fails");
    let ask = world.pending(&Ask {
        allow_stale: false,
        ..lenient(5)
    });
    world.respond(2, refused());
    let stale = world.reply(ask).unwrap();
    assert_eq!(stale.provenance, Provenance::StaleOnError);
    assert_eq!(stale.overdue, Duration::from_secs(5));
}

#[test]
fn a_settled_instant_is_believed_for_an_hour_and_a_recent_one_for_its_ttl() {
    let mut world = World::new();
    let at = |ms: i64| Ask {
        time: Some(UnixMillis(WALL - ms)),
        ..up()
    };
    let answer = world.fetched(&at(300_001), 1);
    assert_eq!(answer.ttl_left, Some(Duration::from_secs(3_600)));
    assert_eq!(
        world.fetches[0].request.form,
        "query=up&time=1699999699.999"
    );
    let answer = world.fetched(&at(300_000), 2);
    assert_eq!(answer.ttl_left, Some(Duration::from_secs(30)));
    world.pass(31_000);
    assert_eq!(world.ready(&at(300_001)).freshness, Freshness::Fresh);
    world.pending(&at(300_000));
}

#[test]
fn without_a_cache_every_question_is_fetched() {
    let cache = CacheConfig {
        enabled: false,
        ..CacheConfig::default()
    };
    let mut world = World::of(Config {
        cache,
        ..Config::with_sources(vec![quiet("prom")])
    });
    assert_eq!(world.fetched(&up(), 1).ttl_left, None);
    world.fetched(&up(), 2);
    assert_eq!(world.collector.stats().cache_entries, 0);
}

#[test]
fn a_source_is_probed_at_the_start_and_after_silence_only() {
    let mut world = World::with(SourceConfig {
        probe_interval: Duration::from_secs(30),
        ..quiet("prom")
    });
    world.pass(0);
    assert_eq!(world.fetches[0].request.path, "/api/v1/status/buildinfo");
    assert_eq!(world.collector.sources()[0].health, SourceHealth::Unknown);
    world.respond(0, refused());
    assert_eq!(world.collector.sources()[0].health, SourceHealth::Down);
    world.pass(20_000);
    world.fetched(&up(), 1);
    assert_eq!(world.collector.sources()[0].health, SourceHealth::Up);
    world.pass(10_000);
    assert_eq!(world.fetches.len(), 2, "heard from lately");
    world.pass(30_000);
    assert_eq!(world.fetches.len(), 3);
    world.respond(2, Ok(Response::new(404, "")));
    assert_eq!(world.collector.sources()[0].health, SourceHealth::Up);
}

#[test]
fn a_template_is_bound_and_its_extra_parameters_do_not_split_the_cache() {
    let template = TemplateConfig {
        name: "kv_cache".into(),
        text: "kv{model=\"{{.modelID}}\"}".into(),
        ttl: Some(Duration::from_secs(5)),
        params: vec![ParamConfig {
            name: "modelID".into(),
            kind: crate::ParamType::Label,
        }],
        ..TemplateConfig::default()
    };
    let mut world = World::with(SourceConfig {
        templates: vec![template],
        ..quiet("prom")
    });
    let ask = |pairs: &[(&str, &str)]| {
        let params = pairs.iter().map(|(n, v)| (n.to_string(), v.to_string()));
        Ask::template("kv_cache", params.collect())
    };
    let answer = world.fetched(&ask(&[("modelID", "llama\"")]), 1);
    assert_eq!(&*answer.key, "prom/kv_cache:modelID=llama\"");
    assert_eq!(answer.ttl_left, Some(Duration::from_secs(5)));
    assert_eq!(
        world.fetches[0].request.form,
        "query=kv%7Bmodel%3D%22llama%5C%22%22%7D"
    );
    world.ready(&ask(&[("modelID", "llama\""), ("other", "x")]));
    assert!(matches!(world.ask(&ask(&[])), Err(QueryError::Bind(_))));
    assert!(matches!(
        world.ask(&Ask::template("nope", [].into())),
        Err(QueryError::UnknownTemplate { .. })
    ));
}

#[test]
fn a_long_query_travels_as_a_body_and_an_absurd_one_not_at_all() {
    let mut world = World::new();
    world.pending(&Ask::promql("a".repeat(3_000)));
    assert_eq!(world.fetches[0].request.method, crate::Method::Post);
    let error = world
        .ask(&Ask::promql("a".repeat((128 << 10) + 1)))
        .unwrap_err();
    assert!(matches!(error, QueryError::QueryTooLong { .. }), "{error}");
    assert_eq!(world.fetches.len(), 1);
}

#[test]
fn bounds_on_askers_and_queues_are_met_with_a_clear_refusal() {
    let mut config = Config::with_sources(vec![quiet("prom")]);
    config.limits.fetches_per_source_max = 1;
    config.limits.queue_per_source_max = 1;
    config.limits.askers_per_fetch_max = 2;
    let mut world = World::of(config);
    world.pending(&up());
    world.pending(&up());
    assert!(matches!(
        world.ask(&up()),
        Err(QueryError::Overloaded {
            limit: "askers_per_fetch_max",
            ..
        })
    ));
    world.pending(&Ask::promql("b"));
    assert!(matches!(
        world.ask(&Ask::promql("c")),
        Err(QueryError::Overloaded {
            limit: "queue_per_source_max",
            ..
        })
    ));
    assert_eq!(world.collector.stats().errors, 2);
}

#[test]
fn a_queue_is_served_by_priority_and_then_in_order() {
    let mut config = Config::with_sources(vec![quiet("prom")]);
    config.limits.fetches_per_source_max = 1;
    let mut world = World::of(config);
    let with = |query: &str, priority| Ask {
        priority,
        ..Ask::promql(query)
    };
    for (query, priority) in [
        ("first", Priority::Background),
        ("low", Priority::Background),
        ("a", Priority::Normal),
        ("b", Priority::Normal),
        ("urgent", Priority::High),
    ] {
        world.pending(&with(query, priority));
    }
    for nth in 0..5 {
        world.respond(nth, Ok(vector(WALL, 1)));
    }
    let order: Vec<_> = world
        .fetches
        .iter()
        .map(|fetch| &*fetch.request.form)
        .collect();
    let expected = ["first", "urgent", "a", "b", "low"].map(|query| format!("query={query}"));
    assert_eq!(order, expected);
}

#[test]
fn what_is_pushed_is_answered_by_local_and_by_the_pushing_source() {
    let mut world = World::with(SourceConfig::push("node"));
    let sample = Sample {
        labels: Labels::from_pairs([("__name__", "node_load1")]).unwrap(),
        timestamp_ms: WALL,
        value: 0.5,
    };
    let record = Record {
        source: "node".into(),
        families: vec![],
        samples: vec![sample],
    };
    assert_eq!(
        world
            .collector
            .record(&record, world.now())
            .unwrap()
            .accepted,
        1
    );
    world.pass(61_000);
    for ask in [
        Ask::promql("node_load1"),
        Ask::promql("node_load1").of("node"),
    ] {
        let answer = world.ready(&ask);
        assert_eq!(
            (&*answer.source, answer.freshness),
            ("local", Freshness::Stale)
        );
        assert_eq!(answer.as_of, UnixMillis(WALL));
    }
    let nothing = world.ready(&Ask::promql("absent"));
    assert_eq!(nothing.freshness, Freshness::Missing);
    let unknown = Record {
        source: "nope".into(),
        ..Record::default()
    };
    assert!(matches!(
        world.collector.record(&unknown, world.now()),
        Err(RecordError::UnknownSource { .. })
    ));
}

#[test]
fn an_unknown_source_is_refused_with_the_names_there_are() {
    let mut world = World::new();
    let error = world.ask(&up().of("prm")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown source \"prm\"; configured are prom, local"
    );
}

#[test]
fn a_monotonic_clock_that_runs_backwards_is_clamped_and_counted() {
    let mut world = World::new();
    world.fetched(&up(), 1);
    world.pass(10_000);
    world.ms -= 5_000;
    assert_eq!(world.ready(&up()).provenance, Provenance::Hit);
    assert_eq!(world.collector.stats().clock_clamped, 1);
}

#[test]
fn a_wall_clock_that_steps_neither_freezes_nor_panics() {
    let mut world = World::new();
    world.fetched(&up(), 1);
    world.wall_shift_ms = -1_000_000_000;
    world.pass(29_000);
    assert_eq!(world.ready(&up()).age, Duration::from_secs(29));
    world.wall_shift_ms = i64::MAX / 4;
    world.pass(1_000);
    let ask = world.pending(&up());
    world.respond(1, refused());
    assert!(world.reply(ask).is_err());
}

#[test]
fn cleanup_forgets_what_nobody_can_be_served_from() {
    let mut world = World::of(Config {
        local: LocalConfig::default(),
        ..Config::with_sources(vec![quiet("prom")])
    });
    world.fetched(&up(), 1);
    world.pass(300_000);
    assert_eq!(world.collector.stats().cache_entries, 1);
    world.pass(60_000);
    assert_eq!(world.collector.stats().cache_entries, 0);
}
