//! Templates, batches, records, windows; and nobody waits for what others are fetching.

use std::time::Duration;

use tidegate_client::native::{
    Allocation, CollectPlan, Freshness, HttpRequest, MissingReason, NodeMetrics, Params,
    Provenance, QueryError, ReplicaMetrics, SourceConfig, SourceHealth, TemplateConfig, Tidegate,
    UnixMillis, packs,
};
use tidegate_client::{ClientError, Closed};
use tidegate_core::Ask;
use tokio::time::timeout;

use crate::server::{Server, failure, vector};

/// Long enough for anything that ends by itself.
const PATIENCE: Duration = Duration::from_secs(20);

const MODEL: [(&str, &str); 2] = [("modelID", "llama-8b"), ("namespace", "default")];

const PODS: [(&str, f64); 2] = [
    (
        r#""model_name":"llama-8b","namespace":"default","pod":"llama-deployment-abc123-xyz""#,
        0.5,
    ),
    (
        r#""model_name":"llama-8b","namespace":"default","pod":"other-1""#,
        0.25,
    ),
];

fn template(name: &str, text: &str) -> TemplateConfig {
    TemplateConfig {
        name: name.into(),
        text: text.into(),
        ..TemplateConfig::default()
    }
}

/// A client of a source with these templates.
fn client(server: &Server, templates: &[(&str, &str)]) -> Tidegate {
    let source = SourceConfig {
        templates: templates
            .iter()
            .map(|(name, text)| template(name, text))
            .collect(),
        ..SourceConfig::prometheus("prom")
    };
    let builder = Tidegate::builder().source_with(source, server.url.clone());
    builder.build().unwrap()
}

fn inference(server: &Server) -> Tidegate {
    Tidegate::builder()
        .source("prom", server.url.clone())
        .pack(packs::inference())
        .owner("llama-deployment", "llama-8b-autoscaler")
        .seed(7)
        .build()
        .unwrap()
}

#[test]
fn a_client_and_what_it_promises_can_go_to_any_thread() {
    fn goes<T: Send>(_: &T) {}
    fn shared<T: Clone + Send + Sync + 'static>() {}
    shared::<Tidegate>();
    let _never_run = |client: Tidegate| {
        goes(&client.collect("a", MODEL));
        goes(&client.collect_many(["a"], MODEL));
        goes(&client.collect_all(MODEL));
        goes(&client.records::<ReplicaMetrics>(MODEL));
        goes(&client.watch_records::<ReplicaMetrics>(MODEL, PATIENCE));
        goes(&client.reload(Tidegate::builder()));
    };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hit_comes_at_once_while_the_fetch_of_another_key_hangs() {
    let server = Server::of(|query| match query.contains("hangs") {
        true => None,
        false => vector(&[("", 1.0)]),
    });
    let client = client(&server, &[("quick", "quick"), ("hangs", "hangs")]);
    client.collect("quick", Params::new()).await.unwrap();

    let other = client.clone();
    let hanging = tokio::spawn(async move { other.collect("hangs", Params::new()).await });
    while server.asked("hangs") == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for _ in 0..1_000 {
        let hit = timeout(PATIENCE, client.collect("quick", Params::new()));
        let hit = hit.await.expect("nothing to wait for").unwrap();
        assert_eq!(hit.provenance, Provenance::Hit);
    }
    assert!(!hanging.is_finished());
    assert_eq!(server.asked("quick"), 1);
    hanging.abort();
}

#[tokio::test]
async fn each_template_of_a_batch_is_answered_or_refused_by_itself() {
    let server = Server::of(|query| match query.contains("bad") {
        true => failure(),
        false => vector(&[("", 1.0)]),
    });
    let templates = [
        ("bad", "bad"),
        ("good", "good"),
        ("lacks", "m{a=\"{{.a}}\"}"),
    ];
    let client = client(&server, &templates);
    let batch = client
        .collect_many(["good", "bad", "none", "lacks"], Params::new())
        .await
        .unwrap();
    let names: Vec<_> = batch.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["good", "bad", "none", "lacks"]);
    assert!(batch[0].1.is_ok());
    assert!(matches!(
        batch[1].1,
        Err(QueryError::Upstream { status: 422, .. })
    ));
    assert!(matches!(
        batch[2].1,
        Err(QueryError::UnknownTemplate { .. })
    ));
    assert!(matches!(batch[3].1, Err(QueryError::Bind(_))));

    let all = client.collect_all([("a", "1")]).await.unwrap();
    let good: Vec<_> = all
        .iter()
        .map(|(name, result)| (&**name, result.is_ok()))
        .collect();
    assert_eq!(good, [("bad", false), ("good", true), ("lacks", true)]);

    let error = client.of("nobody").collect_all(Params::new()).await;
    assert!(matches!(
        error,
        Err(ClientError::Query(QueryError::UnknownSource { name, .. })) if name == "nobody"
    ));
}

#[tokio::test]
async fn records_are_filtered_by_owners_that_come_and_go_at_run_time() {
    let server = Server::of(|_| vector(&PODS));
    let client = inference(&server);
    let records = client.records::<ReplicaMetrics>(MODEL).await.unwrap();
    assert!(records.is_complete());
    assert_eq!(
        (records.rows.len(), records.freshness()),
        (2, Freshness::Fresh)
    );
    let pods = |owner| -> Vec<_> { records.owned_by(owner).map(|pod| &*pod.pod).collect() };
    assert_eq!(pods("llama-8b-autoscaler"), ["llama-deployment-abc123-xyz"]);
    assert!(pods("somebody").is_empty());

    let clone = client.clone();
    assert_eq!(clone.register_owner("other", "somebody"), Ok(None));
    assert!(clone.register_owner("", "somebody").is_err());
    let later = client.records::<ReplicaMetrics>(MODEL).await.unwrap();
    assert_eq!(later.owned_by("somebody").count(), 1);
    assert_eq!(pods("somebody").len(), 0, "what was read stays as it was");
    assert_eq!(client.owner_of("other-1").as_deref(), Some("somebody"));
    assert_eq!(
        client.unregister_owner("other").as_deref(),
        Some("somebody")
    );
    assert_eq!(client.owner_of("other-1"), None);
}

#[tokio::test]
async fn a_query_that_fails_leaves_its_fields_missing_and_no_other() {
    let server = Server::of(|query| match query.contains("cache_usage_perc") {
        true => failure(),
        false => vector(&PODS),
    });
    let client = inference(&server);
    let records = client.records::<ReplicaMetrics>(MODEL).await.unwrap();
    assert_eq!(records.problems.len(), 1);
    assert_eq!(records.problems[0].query, "kv_cache");
    for replica in &records.rows {
        assert!(matches!(
            replica.kv_cache.reason(),
            Some(MissingReason::QueryFailed { .. })
        ));
        assert!(replica.queue_length.value().is_some());
    }
    let nothing = client.records::<Allocation>(Params::new()).await.unwrap();
    assert!(nothing.rows.is_empty() && !nothing.is_complete());
}

#[tokio::test]
async fn a_node_and_its_functions_are_collected_over_one_window() {
    let server = Server::of(|query| match query.contains("function") {
        _ if query.contains("power") => vector(&[]),
        _ => vector(&[(r#""node":"edge-1""#, 2.0)]),
    });
    let client = Tidegate::builder()
        .source("prom", server.url.clone())
        .pack(packs::node())
        .pack(packs::functions())
        .build()
        .unwrap();
    let end_ms = 1_700_000_060_000;
    let plan = CollectPlan::new(UnixMillis(end_ms - 60_000), UnixMillis(end_ms))
        .unwrap()
        .node(Params::from([("node".into(), "edge-1".into())]))
        .function(Params::from([("function".into(), "resize".into())]));
    let collected = client.collect_window(&plan).await.unwrap();
    assert_eq!(collected.duration, Duration::from_secs(60));
    assert_eq!(collected.node.cpu.value(), Some(2.0));
    assert_eq!(collected.functions[0].function, "resize");
    assert_eq!(collected.functions[0].power.value(), None);
    assert!(collected.problems.is_empty());
    assert_eq!(server.asked("time=1700000060"), server.asked("query="));
}

#[tokio::test]
async fn several_sources_are_merged_and_the_one_that_fails_is_a_warning() {
    let east = Server::of(|_| vector(&[(r#""node":"a""#, 1.0)]));
    let west = Server::of(|_| vector(&[(r#""node":"a""#, 2.0)]));
    let client = Tidegate::builder()
        .source("east", east.url.clone())
        .source("west", west.url.clone())
        .pack(packs::node())
        .build()
        .unwrap();
    let both = client.of("east").of("west");
    let nodes = both.records::<NodeMetrics>(Params::new()).await.unwrap();
    let clusters: Vec<_> = nodes
        .rows
        .iter()
        .map(|node| (node.cluster.as_deref(), node.cpu.value()))
        .collect();
    assert_eq!(
        clusters,
        [(Some("east"), Some(1.0)), (Some("west"), Some(2.0))]
    );
    // The client itself still asks the default source alone.
    client
        .collect("node_ram", packs::node().defaults)
        .await
        .unwrap();
    assert_eq!((east.asked("query="), west.asked("query=")), (3, 3));
}

#[tokio::test]
async fn targets_are_scraped_and_told_apart() {
    let text = |value: u8| move |_: &str| Some((200, format!("up{{job=\"x\"}} {value}\n")));
    let (first, second) = (Server::of(text(1)), Server::of(text(2)));
    let targets = [("a", &first), ("b", &second)];
    let client = Tidegate::builder()
        .scrape(
            "pods",
            targets.map(|(name, server)| (name, format!("{}/metrics", server.url))),
        )
        .build()
        .unwrap();
    let answer = client
        .query(Ask::promql("up{job='x'}").of("pods"))
        .await
        .unwrap();
    let data = format!("{:?}", answer.payload.response.data);
    assert!(data.contains("target") && data.contains('2'), "{data}");
    assert_eq!((first.asked("/metrics"), second.asked("/metrics")), (1, 1));
}

#[tokio::test]
async fn terms_hold_for_what_is_asked_by_them_and_for_nothing_else() {
    let server = Server::of(|query| match query.contains("hangs") {
        true => None,
        false => vector(&[("", 1.0)]),
    });
    let client = client(&server, &[("quick", "quick"), ("hangs", "hangs")]);
    client.collect("quick", Params::new()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let strict = client.max_age(Duration::from_millis(1));
    let answer = strict.collect("quick", Params::new()).await.unwrap();
    assert_eq!(answer.provenance, Provenance::Miss);
    let answer = client.collect("quick", Params::new()).await.unwrap();
    assert_eq!(answer.provenance, Provenance::Hit);

    let hasty = client.timeout(Duration::from_millis(30));
    let late = timeout(PATIENCE, hasty.collect("hangs", Params::new())).await;
    assert!(matches!(
        late.expect("the timeout is shorter"),
        Err(ClientError::Query(QueryError::Timeout { .. }))
    ));
    client
        .at(UnixMillis(5_000))
        .collect("quick", Params::new())
        .await
        .unwrap();
    assert_eq!(server.asked("time=5"), 1);
}

#[tokio::test]
async fn it_says_what_it_has_and_how_its_sources_are() {
    let server = Server::of(|_| vector(&[("", 1.0)]));
    let client = client(&server, &[("kv", "m{a=\"{{.a}}\"}")]);
    client.collect("kv", [("a", "1")]).await.unwrap();
    let sources = client.sources().await.unwrap();
    let prom = sources.iter().find(|source| source.name == "prom").unwrap();
    assert_eq!((&*prom.kind, prom.health), ("prometheus", SourceHealth::Up));
    assert_eq!(
        (&*prom.breaker, prom.failures_in_a_row, prom.templates),
        ("closed", 0, 1)
    );
    assert!(prom.last_success.is_some());
    let templates = client.templates("prom").await.unwrap();
    assert_eq!(
        (&*templates[0].name, &templates[0].params[..]),
        ("kv", &["a".to_owned()][..])
    );
    let metrics = client.http(HttpRequest::get("/metrics")).await.unwrap();
    assert!(
        String::from_utf8(metrics.body)
            .unwrap()
            .contains("tidegate_")
    );
}

#[tokio::test]
async fn closed_it_says_so_to_every_clone() {
    let server = Server::of(|_| vector(&[]));
    let client = client(&server, &[]);
    let clone = client.clone();
    client.close();
    assert_eq!(
        clone.query(Ask::promql("up")).await.unwrap_err(),
        ClientError::Closed
    );
    assert_eq!(
        clone.collect_many(["a"], Params::new()).await.unwrap_err(),
        Closed
    );
    assert_eq!(clone.sources().await.unwrap_err(), Closed);
    while !clone.is_closed() {
        tokio::task::yield_now().await;
    }
}
