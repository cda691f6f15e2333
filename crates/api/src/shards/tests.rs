//! Front desk and shards: who is asked what, and what is merged, one story each.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;

use proptest::prelude::*;
use tidegate_core::{
    AlertCondition, AlertRule, BandConfig, FieldConfig, Instant, Invalidation, Now, PackConfig,
    RecordConfig, TemplateConfig, UnixMillis,
};

use super::*;
use crate::{Command, CommandId, Front, HttpResponse, Input, Output, Reply};

fn config() -> Config {
    let mut config = Config::with_sources(vec![
        SourceConfig::push("node"),
        SourceConfig::prometheus("prom"),
        SourceConfig::scrape("pods", vec!["a".into()]),
        SourceConfig::prometheus("far"),
    ]);
    let field = |name: &str, source: Option<&str>| FieldConfig {
        name: name.into(),
        query: "up".into(),
        by: vec![],
        unit: String::new(),
        when: None,
        source: source.map(Into::into),
    };
    let record = |name: &str, source| RecordConfig {
        name: name.into(),
        description: String::new(),
        keys: vec![],
        fields: vec![field("here", None), field("there", source)],
    };
    let up = TemplateConfig {
        name: "up".into(),
        text: "up".into(),
        ..TemplateConfig::default()
    };
    config.packs.push(PackConfig {
        name: "shop".into(),
        queries: vec![up],
        records: vec![record("mixed", Some("local")), record("plain", Some("far"))],
        ..PackConfig::default()
    });
    config
}

fn plan() -> ShardPlan {
    ShardPlan::new(&config(), 3)
}

fn way(target: &str) -> Way {
    plan().way(&HttpRequest::get(target))
}

fn posted(target: &str, form: &str) -> HttpRequest {
    let media = "application/x-www-form-urlencoded";
    HttpRequest {
        method: "POST".into(),
        headers: vec![("content-type".into(), media.into())],
        body: form.into(),
        ..HttpRequest::get(target)
    }
}

#[test]
fn a_question_has_one_shard_whatever_its_times_and_however_it_is_asked() {
    let same = [
        "/api/v1/query_range?query=up&start=1&end=2&step=15",
        "/api/v1/query_range?step=1m&end=9&start=3&query=up",
        "/source/prom/api/v1/query_range?query=%75p&start=1&end=2&step=15&_=17",
        "/api/v1/query_range?query=up&limit=#x",
    ];
    let first = way(same[0]);
    assert!(same.iter().all(|target| way(target) == first));
    let form = posted("/api/v1/query_range?start=5", "query=up&end=7&step=1");
    assert_eq!(plan().way(&form), first);
    let head = HttpRequest {
        method: "HEAD".into(),
        ..HttpRequest::get(same[0])
    };
    assert_eq!(plan().way(&head), first);
    assert_eq!(
        way("/api/v1/label/job/values?start=1"),
        way("/api/v1/label/%6aob/values?end=7")
    );
    assert_eq!(
        way("/api/v1/series?match[]=a&match[]=b"),
        way("/api/v1/series?match[]=b&match[]=a&start=1")
    );
}

#[test]
fn questions_are_spread_and_what_makes_another_question_counts() {
    let mut counts = [0; 3];
    for nth in 0..3_000 {
        let Way::One(shard) = way(&format!("/api/v1/query?query=metric_{nth}")) else {
            panic!("one shard")
        };
        counts[shard] += 1;
    }
    assert!(
        counts.iter().all(|count| (900..1_100).contains(count)),
        "{counts:?}"
    );
    let spreads = |targets: &dyn Fn(usize) -> String| {
        (1..64).any(|nth| way(&targets(nth)) != way(&targets(0)))
    };
    assert!(spreads(&|nth| format!("/v1/collect/load?instance={nth}")));
    assert!(spreads(&|nth| format!("/v1/collect/t{nth}?instance=a")));
    assert!(spreads(&|nth| format!("/v1/collect?instance={nth}")));
    assert!(spreads(&|nth| format!("/source/s{nth}/api/v1/labels")));
    assert!(spreads(&|nth| format!("/api/v1/labels?match[]=a{nth}")));
    assert!(spreads(&|nth| format!(
        "/api/v1/query?query=up&limit={nth}"
    )));
    assert!(spreads(&|nth| format!("/v1/packs/node/node?node=n{nth}")));
    assert!(spreads(&|nth| format!(
        "/v1/collect_all?node=n{nth}&start=1&end=2"
    )));
}

#[test]
fn own_series_are_the_first_shard_s_wherever_they_are_asked_for() {
    for nth in 0..64 {
        for source in ["local", "node", "pods", "prom,local", "far,pods"] {
            let target = format!("/source/{source}/api/v1/query?query=m{nth}");
            assert_eq!(way(&target), Way::One(0), "{target}");
        }
        assert_eq!(
            way(&format!("/v1/packs/shop/mixed?shop={nth}")),
            Way::One(0)
        );
    }
    let plain = |nth| way(&format!("/v1/packs/shop/plain?shop={nth}"));
    assert!((1..64).any(|nth| plain(nth) != plain(0)));
    // Whoever names no source asks for them where there is no other.
    let alone = ShardPlan::new(&Config::with_sources(vec![SourceConfig::push("node")]), 3);
    for nth in 0..64 {
        let request = HttpRequest::get(format!("/api/v1/query?query=m{nth}"));
        assert_eq!(alone.way(&request), Way::One(0));
    }
    assert_eq!(plan().recording(), 0);
}

#[test]
fn what_changes_or_sums_up_goes_to_all_and_the_rest_to_the_first() {
    let all = |merge| Way::All(merge);
    assert_eq!(
        plan().way(&posted("/v1/invalidate", "all=1")),
        all(Merge::Forgotten)
    );
    let owners = posted("/v1/owners", "workload=a&owner=b");
    assert_eq!(plan().way(&owners), all(Merge::Same));
    assert_eq!(way("/v1/owners"), Way::One(0));
    assert_eq!(way("/v1/templates"), Way::One(0));
    assert_eq!(way("/v1/series?match[]=up"), Way::One(0));
    assert_eq!(way("/v1/alerts"), Way::One(0));
    assert_eq!(way("/source/local/api/v1/rules"), Way::One(0));
    assert_eq!(
        way("/source/prom/metrics/aggregated?window=5m"),
        Way::One(0)
    );
    assert_eq!(way("/api/v1/status/buildinfo"), Way::One(0));
    assert_eq!(way("/v1/explain?key=k"), all(Merge::Explanation));
    assert_eq!(way("/health"), all(Merge::Health));
    assert_eq!(way("/stats"), all(Merge::Stats));
    assert_eq!(way("/metrics"), all(Merge::Metrics));
    assert_eq!(way("/-/ready"), all(Merge::Same));
    for refused in ["/nowhere", "/api/v1/admin/x", "/api/v1/query?query=%zz"] {
        assert_eq!(way(refused), Way::One(0), "{refused}");
    }
    let single = ShardPlan::new(&config(), 1);
    assert_eq!(single.way(&HttpRequest::get("/metrics")), Way::One(0));
    assert_eq!(ShardPlan::new(&config(), 0).shards(), 1);
    assert_eq!(ShardPlan::new(&config(), usize::MAX).shards(), SHARDS_MAX);
}

#[test]
fn limits_of_the_process_are_divided_and_nobody_is_left_with_none() {
    let mut whole = config();
    whole.seed = u64::MAX;
    assert_eq!(ShardPlan::new(&whole, 1).share(&whole, 0), whole);
    let share = |shards, nth| ShardPlan::new(&whole, shards).share(&whole, nth);
    let third = share(3, 2);
    assert_eq!(third.cache.bytes_max, whole.cache.bytes_max / 3);
    assert_eq!(third.limits.fetches_per_source_max, 6);
    assert_eq!(third.limits.queue_per_source_max, 341);
    assert_eq!(
        third.limits.askers_per_fetch_max,
        whole.limits.askers_per_fetch_max
    );
    assert_eq!(third.seed, 1);
    assert_eq!(share(3, 0).seed, whole.seed);
    let tiny = share(SHARDS_MAX, 1);
    assert_eq!(tiny.limits.fetches_per_source_max, 1);
    assert_eq!(tiny.sources[1].retry_budget.floor, 1);
    let quiet = |config: &Config| -> Vec<bool> {
        let sources = config.sources.iter();
        sources
            .map(|source| source.probe_interval.is_zero())
            .collect()
    };
    assert_eq!(quiet(&third), [true, false, true, false]);
    assert_eq!(quiet(&share(3, 0)), [false; 4]);
}

#[test]
fn alert_rules_are_where_the_series_are() {
    let mut whole = config();
    let band = AlertCondition::Band(BandConfig::default());
    whole.alerts.rules = vec![AlertRule::new("Odd", "load", band)];
    let plan = ShardPlan::new(&whole, 2);
    assert_eq!(plan.share(&whole, 0).alerts, whole.alerts);
    assert!(plan.share(&whole, 1).alerts.rules.is_empty());
}

#[test]
fn counts_of_changes_are_added_where_each_shard_has_its_own() {
    let forget = Change::Invalidate(Invalidation::All);
    let owner = Change::UnregisterOwner {
        workload: "w".into(),
    };
    let results = || [Ok::<_, &str>(1), Ok(0), Ok(1)];
    assert_eq!(ShardPlan::changed(&forget, results()), Ok(2));
    assert_eq!(ShardPlan::changed(&owner, results()), Ok(1));
    let failed = [Ok(1), Err("first"), Err("second")];
    assert_eq!(ShardPlan::changed(&forget, failed), Err("first"));
}

/// Three collectors in process, each with its share.
struct Shards {
    plan: ShardPlan,
    fronts: Vec<Front>,
}

fn at(ms: u64) -> Now {
    Now {
        mono: Instant::from_millis(ms),
        wall: UnixMillis(1_700_000_000_000 + ms as i64),
    }
}

impl Shards {
    fn new() -> Self {
        let plan = plan();
        let config = Config {
            packs: vec![],
            ..config()
        };
        let front = |nth| Front::new(plan.share(&config, nth), "1", at(0)).unwrap();
        Self {
            fronts: (0..3).map(front).collect(),
            plan,
        }
    }

    /// Asks a shard; a fetch it makes of it is answered with this body.
    fn ask(&mut self, nth: usize, request: &HttpRequest, body: &str) -> HttpResponse {
        let front = &mut self.fronts[nth];
        let command = Input::Command(CommandId(1), Command::Http(request.clone()));
        let mut inputs = vec![command];
        for ms in 1..10 {
            for output in front.step(core::mem::take(&mut inputs), at(ms)) {
                if let Output::Reply(_, Reply::Http(response)) = output {
                    return response;
                } else if let Output::Fetch(fetch) = output {
                    let response = tidegate_core::Response::new(200, body.as_bytes());
                    inputs.push(Input::Response(fetch.id, Ok(response)));
                }
            }
        }
        panic!("no response to {}", request.target)
    }

    fn get(&mut self, target: &str) -> (usize, String) {
        self.asked(&HttpRequest::get(target), [true; 3])
    }

    fn asked(&mut self, request: &HttpRequest, up: [bool; 3]) -> (usize, String) {
        let merge = match self.plan.way(request) {
            Way::One(nth) => {
                let response = self.ask(nth, request, UP);
                return (nth, String::from_utf8(response.body).unwrap());
            }
            Way::All(merge) => merge,
        };
        let responses: Vec<_> = (0..3)
            .map(|nth| up[nth].then(|| self.ask(nth, request, UP)))
            .collect();
        let views: Vec<_> = responses
            .iter()
            .map(|response| {
                response.as_ref().map(|response| ShardResponse {
                    status: response.status,
                    body: &response.body,
                })
            })
            .collect();
        let Merged { of, body } = self.plan.merged(merge, &views).unwrap();
        let own = || responses[of].as_ref().unwrap().body.clone();
        (of, String::from_utf8(body.unwrap_or_else(own)).unwrap())
    }
}

const UP: &str = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1700000000,"1"]}]}}"#;

#[test]
fn counts_are_added_up_and_what_a_source_is_comes_from_whoever_heard_of_it() {
    let mut shards = Shards::new();
    let mut asked = [0; 3];
    for nth in 0..12 {
        let (shard, body) = shards.get(&format!("/source/prom/api/v1/query?query=m{nth}"));
        assert_eq!(body, UP);
        asked[shard] += 1;
    }
    assert!(asked.iter().all(|count| *count > 0), "{asked:?}");
    let (_, stats) = shards.get("/stats");
    assert!(stats.contains("\"misses\":12,"), "{stats}");
    assert!(
        stats.contains("\"series_max\":10000,"),
        "the first shard's alone: {stats}"
    );
    assert!(
        stats.ends_with(",\"shards\":{\"count\":3,\"up\":3}}"),
        "{stats}"
    );
    let (_, health) = shards.get("/health");
    assert!(health.starts_with("{\"status\":\"ok\","), "{health}");
    assert!(
        health.contains("\"name\":\"prom\",\"kind\":\"prometheus\",\"health\":\"up\""),
        "{health}"
    );
    let request = HttpRequest::get("/health");
    let (_, health) = shards.asked(&request, [false, true, true]);
    assert!(health.contains("\"status\":\"degraded\""), "{health}");
    assert!(health.contains("{\"count\":3,\"up\":2}"), "{health}");
    let (_, metrics) = shards.get("/metrics");
    for (shard, count) in asked.iter().enumerate() {
        let line =
            format!("tidegate_asks_total{{shard=\"{shard}\",provenance=\"miss\"}} {count}\n");
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
    let types = metrics.matches("# TYPE tidegate_asks_total ").count();
    assert_eq!(types, 1);
    let limits = tidegate_wire::ScrapeLimits::default();
    let text = tidegate_wire::ExpositionFormat::Text;
    let read = tidegate_wire::decode_exposition(metrics.as_bytes(), text, 0, &limits).unwrap();
    assert_eq!(read.repeated, None);
}

#[test]
fn an_invalidation_is_summed_and_a_key_explained_by_who_has_it() {
    let mut shards = Shards::new();
    let (owner, _) = shards.get("/api/v1/query?query=up");
    let other = (0..).find_map(|nth| {
        let target = format!("/api/v1/query?query=m{nth}");
        (way(&target) != Way::One(owner)).then_some(target)
    });
    shards.get(&other.unwrap());
    let explain = HttpRequest::get("/v1/explain?key=prom/:query=up");
    let (of, body) = shards.asked(&explain, [true; 3]);
    assert_eq!(of, owner);
    assert!(
        body.contains("\"kept\":{") && body.ends_with(&format!(",\"shard\":{owner}}}")),
        "{body}"
    );
    let forget = posted("/v1/invalidate", "source=prom");
    let (_, body) = shards.asked(&forget, [true; 3]);
    assert_eq!(body, r#"{"status":"success","forgotten":2}"#);
    let (of, body) = shards.asked(&explain, [true; 3]);
    assert!(of == owner && !body.contains("\"kept\""), "tracked: {body}");
    let (_, refusal) = shards.asked(&posted("/v1/invalidate", "x=1"), [true; 3]);
    assert!(refusal.contains("name what to forget"), "{refusal}");
}

#[test]
fn whoever_gives_no_response_is_left_out_and_nonsense_stays_as_it_is() {
    let plan = plan();
    let of = |body: &'static str| {
        Some(ShardResponse {
            status: 200,
            body: body.as_bytes(),
        })
    };
    assert_eq!(plan.merged(Merge::Stats, &[None, None]), None);
    let merged = |merge, responses: &[_]| plan.merged(merge, responses).unwrap();
    let body = |merged: Merged| String::from_utf8(merged.body.unwrap()).unwrap();
    let counted = merged(
        Merge::Forgotten,
        &[None, of("{\"forgotten\":2}"), of("{\"forgotten\":3}")],
    );
    assert_eq!((counted.of, &*body(counted)), (1, "{\"forgotten\":5}"));
    for merge in [
        Merge::Health,
        Merge::Stats,
        Merge::Explanation,
        Merge::Forgotten,
    ] {
        let as_it_is = merged(merge, &[of("{}"), of(""), of("{}")]);
        assert_eq!(as_it_is, Merged { of: 0, body: None }, "{merge:?}");
    }
    for odd in ["[]", "{\"sources\":[{}]}", "{\"sources\":7}", "7"] {
        for merge in [Merge::Health, Merge::Stats, Merge::Explanation] {
            assert!(merged(merge, &[of(odd), of(odd)]).body.is_some());
        }
    }
    let huge =
        "{\"sources\":[{\"name\":\"prom\",\"in_flight\":170141183460469231731687303715884105727}]}";
    assert!(body(merged(Merge::Health, &[of(huge), of(huge)])).contains("\"in_flight\":1701411"));
    let refused = plan.merged(
        Merge::Same,
        &[
            of("{}"),
            Some(ShardResponse {
                status: 403,
                body: b"",
            }),
        ],
    );
    assert_eq!(refused, Some(Merged { of: 1, body: None }));
    assert!(Merge::Same.needs_all() && !Merge::Metrics.needs_all());
}

#[test]
fn a_source_is_as_the_last_to_hear_of_it_says_with_the_worst_of_breakers() {
    let report = |health: &str, success: i64, error: i64, breaker: &str, failures: u32| {
        format!(
            "{{\"sources\":[{{\"name\":\"prom\",\"health\":\"{health}\",\"last_success_ms\":{success},\
             \"last_error\":{{\"at_ms\":{error},\"message\":\"m{error}\"}},\"breaker\":\"{breaker}\",\
             \"failures_in_a_row\":{failures},\"in_flight\":1,\"queued\":2}}]}}"
        )
    };
    let (a, b) = (
        report("down", 5, 9, "open", 7),
        report("up", 20, 3, "closed", 0),
    );
    let of = |body: &str| ShardResponse {
        status: 200,
        body: body.to_string().leak().as_bytes(),
    };
    let responses = [Some(of(&a)), Some(of(&b)), Some(of("{\"sources\":[]}"))];
    let body = plan()
        .merged(Merge::Health, &responses)
        .unwrap()
        .body
        .unwrap();
    assert_eq!(
        String::from_utf8(body).unwrap(),
        "{\"sources\":[{\"name\":\"prom\",\"health\":\"up\",\"last_success_ms\":20,\
         \"last_error\":{\"at_ms\":9,\"message\":\"m9\"},\"breaker\":\"open\",\
         \"failures_in_a_row\":7,\"in_flight\":2,\"queued\":4}],\"status\":\"ok\",\
         \"shards\":{\"count\":3,\"up\":3}}"
    );
}

fn words() -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::vec(
        ("[a-c]{1,2}|query|limit|match\\[\\]", "[a-z0-9]{0,3}"),
        0..5,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_times_and_form_never_move_a_question(
        path in prop::sample::select(vec!["/api/v1/query", "/api/v1/query_range", "/api/v1/series", "/source/far/api/v1/labels"]),
        pairs in words(),
        times in prop::collection::vec((prop::sample::select(TIMES.to_vec()), 0..99_u32), 0..4),
        turn in 0..5_usize,
    ) {
        let form = |pairs: &[(String, String)]| {
            let pairs = pairs.iter().map(|(name, value)| format!("{name}={value}"));
            pairs.collect::<Vec<_>>().join("&")
        };
        let plan = plan();
        let plain = plan.way(&HttpRequest::get(format!("{path}?{}", form(&pairs))));
        let mut turned = pairs.clone();
        turned.rotate_left(turn.min(pairs.len()));
        turned.extend(times.iter().map(|(name, at)| ((*name).into(), at.to_string())));
        prop_assert_eq!(plan.way(&HttpRequest::get(format!("{path}?{}", form(&turned)))), plain);
        prop_assert_eq!(plan.way(&posted(path, &form(&turned))), plain);
    }
}
