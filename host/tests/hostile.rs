//! Guests that misbehave: what they break is themselves.

use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

use tidegate_api::{HttpRequest, ShardPlan, Way};
use tidegate_client::{Machine, Transport};
use tidegate_core::{Config, Fetch, FetchError, Now, Response, SourceConfig};
use tidegate_host::engine::{self, STEP_TIME_MAX};
use tidegate_host::{
    Artefact, Collector, GuestCommand, GuestFactory, GuestReply, Shards, StartError, Unavailable,
};
use wasmtime::Engine;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The last part of every guest below: room for the host's lists, and never a byte given back.
const ALLOCATOR: &str = r#"
    (global $next (mut i32) (i32.const 4096))
    (func (export "cabi_realloc") (param $old i32) (param $size i32) (param $align i32) (param $new i32) (result i32)
        (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
        (global.get $next)
        (global.set $next (i32.add (global.get $next) (local.get $new))))
"#;

/// Two outputs at 1024, 104 bytes each: the reply "configured", and a wait for nothing. At 16 the
/// list of both, at 24 that of the second.
const OUTPUTS: &str = r#"
    (data (i32.const 1024) "\02\00\00\00\00\00\00\00\ff\ff\ff\ff\ff\ff\ff\ff")
    (data (i32.const 1128) "\04")
    (data (i32.const 16) "\00\04\00\00\02\00\00\00\68\04\00\00\01\00\00\00")
"#;

/// A component whose `step` is `body`, with `$length` the number of inputs.
fn component(body: &str, imports: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
            {imports}
            (memory (export "memory") 1)
            (global $configured (mut i32) (i32.const 0))
            (func (export "tidegate:collector/machine@0.1.0#step")
                (param $mono i64) (param $wall i64) (param $inputs i32) (param $length i32) (result i32)
                {body})
            {OUTPUTS} {ALLOCATOR})"#
    );
    let mut module = wat::parse_str(text).unwrap();
    let mut resolve = Resolve::default();
    let (package, _) = resolve
        .push_path(concat!(env!("CARGO_MANIFEST_DIR"), "/wit"))
        .unwrap();
    let world = resolve.select_world(&[package], Some("collector")).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default()
        .module(&module)
        .unwrap()
        .encode()
        .unwrap()
}

/// Takes its configuration, waits for nothing, and does `otherwise` once it is asked anything.
fn configurable(otherwise: &str) -> Vec<u8> {
    let body = format!(
        "(if (i32.eqz (global.get $configured)) (then (global.set $configured (i32.const 1)) (return (i32.const 16))))
         (if (i32.eqz (local.get $length)) (then (return (i32.const 24))))
         {otherwise} (i32.const 24)"
    );
    component(&body, "")
}

fn factory(engine: &Engine, component: &[u8]) -> wasmtime::Result<GuestFactory> {
    GuestFactory::new(engine, &Artefact::load(engine, component, None)?.component)
}

fn started(component: &[u8]) -> Result<Collector, StartError> {
    let engine = engine::engine().unwrap();
    Collector::start(
        factory(&engine, component).unwrap(),
        Config::default(),
        "0",
        NoTransport,
        None,
    )
}

#[derive(Clone, Copy)]
struct NoTransport;

impl Transport for NoTransport {
    async fn fetch(&self, _: Fetch, _: Now) -> Result<Response, FetchError> {
        Err(FetchError::Refused {
            detail: "this test has no network".into(),
        })
    }
}

fn http() -> GuestCommand {
    GuestCommand::Http(HttpRequest::get("/health"))
}

#[tokio::test]
async fn a_guest_that_traps_is_replaced_and_whoever_waited_is_told() {
    let collector = Arc::new(started(&configurable("unreachable")).unwrap());
    for _ in 0..3 {
        collector.ready().await;
        assert_eq!(collector.call(http()).await, Err(Unavailable::Restarting));
    }
    collector.close().await;
    assert_eq!(collector.call(http()).await, Err(Unavailable::Closed));
}

/// Answers a request by nothing with status 200, and traps over a target longer than 60 bytes. The
/// answer, at 2048 with a wait behind it, is patched with the id of the one command it was given;
/// the list of both is at 40.
const PICKY: &str = r#"
    (if (i32.gt_u (i32.load offset=36 (local.get $inputs)) (i32.const 60)) (then (unreachable)))
    (i32.store8 (i32.const 2048) (i32.const 2))
    (i64.store (i32.const 2056) (i64.load offset=8 (local.get $inputs)))
    (i32.store8 (i32.const 2064) (i32.const 1))
    (i32.store16 (i32.const 2072) (i32.const 200))
    (i32.store8 (i32.const 2152) (i32.const 4))
    (i32.store (i32.const 40) (i32.const 2048))
    (i32.store (i32.const 44) (i32.const 2))
    (return (i32.const 40))
"#;

#[tokio::test]
async fn a_shard_whose_guest_traps_is_replaced_while_the_others_go_on() {
    const SHARDS: usize = 3;
    let config = Config::with_sources(vec![SourceConfig::prometheus("prom")]);
    let engine = engine::engine_for(SHARDS).unwrap();
    let factory = factory(&engine, &configurable(PICKY)).unwrap();
    let transports = vec![NoTransport; SHARDS];
    let shards = Shards::start(&factory, &config, "0", transports, None).unwrap();
    let plan = ShardPlan::new(&config, SHARDS);
    let ask = async |target: &str| {
        let command = GuestCommand::Http(HttpRequest::get(target));
        shards.call(command).await.map(|reply| {
            let GuestReply::Http(response) = reply else {
                panic!("{reply:?}")
            };
            response.status
        })
    };
    let targets: Vec<String> = (0..60)
        .map(|nth| format!("/api/v1/query?query=m{nth}"))
        .collect();
    let long = format!("/api/v1/query?query={}", "x".repeat(60));
    let Way::One(broken) = plan.way(&HttpRequest::get(&*long)) else {
        panic!("one shard")
    };
    shards.ready().await;
    assert_eq!(ask(&long).await, Err(Unavailable::Restarting));
    let mut others = 0;
    for target in &targets {
        if plan.way(&HttpRequest::get(&**target)) != Way::One(broken) {
            assert_eq!(ask(target).await, Ok(200), "{target}");
            others += 1;
        }
    }
    assert!(others > 20, "{others}");
    // What all are asked is answered by those that are there, unless it needs them all.
    assert_eq!(ask("/stats").await, Ok(200));
    shards.ready().await;
    for target in &targets {
        assert_eq!(ask(target).await, Ok(200), "{target}, after its restart");
    }
    assert_eq!(ask("/-/ready").await, Ok(200));
    shards.close().await;
    assert_eq!(ask("/stats").await, Err(Unavailable::Closed));
}

#[tokio::test]
async fn a_guest_that_never_ends_a_step_is_stopped_at_the_deadline_while_others_go_on() {
    let stuck = started(&configurable("(loop $forever (br $forever))")).unwrap();
    stuck.ready().await;
    let asked = Clock::now();
    let waiting = tokio::spawn(async move { stuck.call(http()).await });
    // Another guest of another engine is asked meanwhile; so could one of the same.
    let other = started(&configurable("unreachable")).unwrap();
    other.ready().await;
    assert_eq!(other.call(http()).await, Err(Unavailable::Restarting));
    assert!(asked.elapsed() < STEP_TIME_MAX, "it was not held up");
    assert_eq!(waiting.await.unwrap(), Err(Unavailable::Restarting));
    let took = asked.elapsed();
    assert!(
        took >= STEP_TIME_MAX - Duration::from_secs(1) && took < STEP_TIME_MAX * 4,
        "{took:?}"
    );
}

#[tokio::test]
async fn a_guest_that_wants_all_memory_gets_no_more_than_its_share() {
    // Grows by 64 MiB until it may not, and breaks if that was past 2 GiB.
    let greedy = configurable(
        "(block $refused (loop $more
            (br_if $refused (i32.eq (memory.grow (i32.const 1024)) (i32.const -1)))
            (br_if $more (i32.le_u (memory.size) (i32.const 32768)))
            (unreachable)))
         (if (i32.gt_u (memory.size) (i32.const 32768)) (then (unreachable)))",
    );
    let engine = engine::engine().unwrap();
    let mut guest = factory(&engine, &greedy).unwrap().start().unwrap();
    guest.configure(&Config::default(), "0", Now::ZERO).unwrap();
    let input = tidegate_api::Input::Command(tidegate_api::CommandId(1), http());
    guest
        .step(vec![input], Now::ZERO)
        .expect("it was refused, and lives");
}

#[test]
fn a_guest_that_says_nonsense_breaks_and_nothing_else_does() {
    let engine = engine::engine().unwrap();
    // The outputs lie far outside of its memory; and then: they are more than could ever be.
    let lists = [
        "(i32.store (i32.const 32) (i32.const 0x7fffff00)) (i32.store (i32.const 36) (i32.const 9)) (i32.const 32)",
        "(i32.store (i32.const 32) (i32.const 1024)) (i32.store (i32.const 36) (i32.const -1)) (i32.const 32)",
        "(i32.const -4)",
    ];
    for list in lists {
        let mut guest = factory(&engine, &component(list, ""))
            .unwrap()
            .start()
            .unwrap();
        guest
            .configure(&Config::default(), "0", Now::ZERO)
            .unwrap_err();
    }
}

#[test]
fn a_guest_that_does_not_confirm_its_configuration_is_not_used() {
    let error = started(&component("(i32.const 24)", ""))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("did not reply to its configuration"),
        "{error}"
    );
}

#[test]
fn a_component_that_is_no_collector_or_imports_anything_is_refused() {
    let engine = engine::engine().unwrap();
    let empty = b"\0asm\x0d\0\x01\0";
    assert!(factory(&engine, empty).is_err());
    // A function "f" of an instance "env", imported: types, then the import.
    let importing = wat::parse_str(r#"(component (import "env" (func)))"#).unwrap();
    assert!(factory(&engine, &importing).is_err());
}
