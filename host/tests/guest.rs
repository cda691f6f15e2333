//! The embedded guest by hand: steps in, outputs out, and what is left when it breaks.

use std::path::Path;
use std::sync::OnceLock;

use tidegate_api::{Change, CommandId, HttpRequest, Input, Output};
use tidegate_client::Machine;
use tidegate_core::{
    Config, Fetch, Instant, Invalidation, Now, Record, Response, Sample, SourceConfig,
    TemplateConfig, UnixMillis,
};
use tidegate_host::{
    Artefact, COLLECTOR, ConfigureError, GuestCommand, GuestFactory, GuestMachine, GuestReply,
    engine,
};
use tidegate_series::Labels;

const CACHE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/compiled");

const UP: &[u8] = br#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up"},"value":[1700000000,"1"]}]}}"#;

fn guest() -> GuestMachine {
    static FACTORY: OnceLock<GuestFactory> = OnceLock::new();
    let factory = FACTORY.get_or_init(|| {
        let engine = engine::engine().unwrap();
        let artefact = Artefact::load(&engine, COLLECTOR, Some(Path::new(CACHE))).unwrap();
        GuestFactory::new(&engine, &artefact.component).unwrap()
    });
    factory.start().unwrap()
}

fn configured() -> GuestMachine {
    let mut guest = guest();
    let config = Config::with_sources(vec![
        SourceConfig::prometheus("prom"),
        SourceConfig::push("node"),
    ]);
    guest.configure(&config, "1.2.3", at(0)).unwrap();
    guest
}

fn at(ms: u64) -> Now {
    Now {
        mono: Instant::from_millis(ms),
        wall: UnixMillis(1_700_000_000_000 + ms as i64),
    }
}

fn get(id: u64, target: &str) -> Input<GuestCommand> {
    Input::Command(CommandId(id), GuestCommand::Http(HttpRequest::get(target)))
}

fn fetches(outputs: &[Output<GuestReply>]) -> Vec<&Fetch> {
    outputs
        .iter()
        .filter_map(|output| {
            if let Output::Fetch(fetch) = output {
                Some(fetch)
            } else {
                None
            }
        })
        .collect()
}

fn body_of(outputs: Vec<Output<GuestReply>>, wanted: u64) -> Vec<u8> {
    let reply = outputs.into_iter().find_map(|output| {
        let Output::Reply(CommandId(id), GuestReply::Http(response)) = output else {
            return None;
        };
        (id == wanted).then_some(response.body)
    });
    reply.expect("a response")
}

#[test]
fn a_query_becomes_a_fetch_and_its_response_the_answer_byte_for_byte() {
    let mut guest = configured();
    let outputs = guest
        .step(vec![get(1, "/api/v1/query?query=up")], at(1))
        .unwrap();
    assert!(
        matches!(outputs.last(), Some(Output::Wait(Some(_)))),
        "a wait comes last"
    );
    let fetches = fetches(&outputs);
    let fetch = fetches
        .iter()
        .find(|fetch| fetch.request.path == "/api/v1/query")
        .expect("a fetch");
    assert_eq!(&*fetch.source, "prom");
    let ended = Input::Response(fetch.id, Ok(Response::new(200, UP)));
    let outputs = guest.step(vec![ended], at(2)).unwrap();
    assert_eq!(body_of(outputs, 1), UP);
}

#[test]
fn what_is_pushed_can_be_asked_for() {
    let mut guest = configured();
    let labels = Labels::from_pairs([("__name__", "m"), ("a", "b")]).unwrap();
    let sample = Sample {
        labels,
        timestamp_ms: at(0).wall.0,
        value: 2.5,
    };
    let record = Record {
        source: "node".into(),
        families: vec![],
        samples: vec![sample],
    };
    let outputs = guest
        .step(
            vec![Input::Command(CommandId(1), GuestCommand::Record(record))],
            at(1),
        )
        .unwrap();
    let recorded = outputs.iter().find_map(|output| {
        let Output::Reply(CommandId(1), GuestReply::Recorded(Ok(recorded))) = output else {
            return None;
        };
        Some(recorded.accepted)
    });
    assert_eq!(recorded, Some(1));
    let outputs = guest
        .step(vec![get(2, "/source/node/api/v1/query?query=m")], at(2))
        .unwrap();
    let body = String::from_utf8(body_of(outputs, 2)).unwrap();
    assert!(body.contains("\"2.5\""), "{body}");
}

#[test]
fn the_version_is_the_hosts() {
    let mut guest = guest();
    guest.configure(&Config::default(), "1.2.3", at(0)).unwrap();
    let outputs = guest
        .step(vec![get(1, "/api/v1/status/buildinfo")], at(1))
        .unwrap();
    let body = String::from_utf8(body_of(outputs, 1)).unwrap();
    assert!(body.contains("1.2.3"), "{body}");
}

#[test]
fn a_bad_configuration_is_refused_in_words() {
    let config = Config::with_sources(vec![
        SourceConfig::prometheus("a"),
        SourceConfig::prometheus("a"),
    ]);
    match guest().configure(&config, "0", at(0)) {
        Err(ConfigureError::Refused(message)) => {
            assert!(message.contains("two sources"), "{message}")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_guests_share_nothing() {
    let mut one = configured();
    let mut two = configured();
    let outputs = one
        .step(vec![get(1, "/api/v1/query?query=up")], at(1))
        .unwrap();
    let id = fetches(&outputs)
        .iter()
        .find(|fetch| fetch.request.path == "/api/v1/query")
        .unwrap()
        .id;
    one.step(vec![Input::Response(id, Ok(Response::new(200, UP)))], at(2))
        .unwrap();
    let outputs = two
        .step(vec![get(1, "/api/v1/query?query=up")], at(3))
        .unwrap();
    assert!(
        fetches(&outputs)
            .iter()
            .any(|fetch| fetch.request.path == "/api/v1/query"),
        "it fetches for itself"
    );
}

fn changed(guest: &mut GuestMachine, change: Change) -> Result<u64, String> {
    let command = Input::Command(CommandId(9), GuestCommand::Change(change));
    let outputs = guest.step(vec![command], at(9)).unwrap();
    let verdict = outputs.into_iter().find_map(|output| {
        let Output::Reply(CommandId(9), GuestReply::Changed(verdict)) = output else {
            return None;
        };
        Some(verdict)
    });
    verdict.expect("a verdict")
}

#[test]
fn what_changes_at_run_time_crosses_the_border_and_so_does_its_verdict() {
    let mut guest = configured();
    let template = || TemplateConfig {
        name: "t".into(),
        text: "up".into(),
        ..TemplateConfig::default()
    };
    let register = || Change::Register {
        source: "prom".into(),
        template: template(),
    };
    assert_eq!(changed(&mut guest, register()), Ok(0));
    let taken = changed(&mut guest, register()).unwrap_err();
    assert!(taken.contains("already"), "{taken}");
    let outputs = guest.step(vec![get(1, "/v1/collect/t")], at(10)).unwrap();
    let id = fetches(&outputs)[0].id;
    guest
        .step(
            vec![Input::Response(id, Ok(Response::new(200, UP)))],
            at(11),
        )
        .unwrap();
    let forget = Change::Invalidate(Invalidation::Prefix("prom/t".into()));
    assert_eq!(changed(&mut guest, forget), Ok(1));
}

#[test]
fn a_second_configuration_is_applied_or_refused_whole() {
    let mut guest = configured();
    let reload = |sources| Change::Reload(Box::new(Config::with_sources(sources)));
    let twice = vec![SourceConfig::push("a"), SourceConfig::push("a")];
    let error = changed(&mut guest, reload(twice)).unwrap_err();
    assert!(error.contains("two sources"), "{error}");
    let outputs = guest.step(vec![get(1, "/health")], at(10)).unwrap();
    let health = String::from_utf8(body_of(outputs, 1)).unwrap();
    assert!(health.contains("\"prom\""), "{health}");
    let other = vec![SourceConfig::scrape("pods", vec!["a".into()])];
    assert_eq!(changed(&mut guest, reload(other)), Ok(0));
    let outputs = guest
        .step(vec![get(2, "/api/v1/query?query=up")], at(11))
        .unwrap();
    let [fetch] = fetches(&outputs)[..] else {
        panic!("one fetch")
    };
    assert_eq!(
        (
            &*fetch.source,
            fetch.target.as_deref(),
            &*fetch.request.path
        ),
        ("pods", Some("a"), "")
    );
}
