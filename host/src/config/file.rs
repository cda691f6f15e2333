//! The configuration file's form, and how it becomes a [`HostConfig`].

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use tidegate_core::{CacheConfig, LocalConfig, OwnerMap, PackConfig, packs};
use toml::Spanned;

use super::HostConfig;
use super::alert::{self, Alert, Alerts};
use super::error::ConfigError;
use super::metric::Metric;
use super::pack::{self, Pack, PackFile};
use super::place::Place;
use super::shards::ShardCount;
use super::sink::{self, Sink};
use super::source::Source;
use super::value::{Bytes, Count, Span};

/// Looking more often costs more than it shows: the kernel's counters tick at 10 ms.
const NODE_INTERVAL_MIN: Duration = Duration::from_millis(100);

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    listen: Option<Spanned<String>>,
    shards: ShardCount,
    source: Vec<Spanned<Source>>,
    pack: Vec<Spanned<Pack>>,
    pack_files: Vec<Spanned<String>>,
    owners: BTreeMap<String, Spanned<String>>,
    alert: Vec<Spanned<Alert>>,
    alerts: Alerts,
    sink: Vec<Spanned<Sink>>,
    cache: Cache,
    node: Node,
    local: Local,
    limits: Limits,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Cache {
    enabled: Option<bool>,
    bytes_max: Option<Bytes>,
    cleanup_interval: Option<Span>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Node {
    enabled: Option<bool>,
    interval: Option<Spanned<Span>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Local {
    series_max: Option<Count>,
    series_per_metric_max: Option<Count>,
    labels_per_series_max: Option<Count>,
    values_per_label_max: Option<Count>,
    points_max: Option<Count>,
    bytes_max: Option<Bytes>,
    age_max: Option<Span>,
    expire_after: Option<Span>,
    lookback: Option<Span>,
    metric: Vec<Metric>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Limits {
    query_bytes_max: Option<Bytes>,
    fetches_per_source_max: Option<Count>,
    queue_per_source_max: Option<Count>,
    askers_per_fetch_max: Option<Count>,
    samples_per_record_max: Option<Count>,
    settled_age_max: Option<Span>,
    settle: Option<Span>,
}

/// Reads the file `text`; `name` stands in errors, files of packs are looked for in `dir`.
pub(super) fn parse(text: &str, name: &str, dir: &Path) -> Result<HostConfig, ConfigError> {
    let place = Place { name, text };
    let file: File = toml::from_str(text).map_err(|error| place.syntax(&error))?;
    let mut config = HostConfig::default();
    if let Some(address) = file.listen {
        config.listen = listen(&address, place)?;
    }
    config.shards = file.shards;
    file.cache.apply(&mut config.cache);
    let metrics = file.local.apply(&mut config.local);
    file.limits.apply(&mut config.limits);
    config.node.enabled = file.node.enabled.unwrap_or(config.node.enabled);
    if let Some(given) = file.node.interval {
        config.node.interval = interval(&given, place)?;
    }
    let mut known = packs::all();
    pack::add(&mut known, &file.pack, place)?;
    for path in &file.pack_files {
        add_pack_file(&mut known, path, dir, place)?;
    }
    config.packs = known.split_off(packs::NAMES.len());
    known.extend_from_slice(&config.packs);
    config.owners = owners(file.owners, place)?;
    config.alerts = alert::configured(file.alerts, &file.alert, place)?;
    config.sinks = sink::configured(file.sink, dir, place)?;
    for metric in metrics {
        metric.add_to(&mut config, place)?;
    }
    for source in file.source {
        add(&mut config, source, &known, place)?;
    }
    Ok(config)
}

/// Packs of a file of their own; what is wrong in it is shown there.
fn add_pack_file(
    known: &mut Vec<PackConfig>,
    path: &Spanned<String>,
    dir: &Path,
    place: Place<'_>,
) -> Result<(), ConfigError> {
    let file = dir.join(path.get_ref());
    let name = file.display().to_string();
    let text = super::read(&file)
        .map_err(|reason| place.at(path.span(), format!("cannot read {name}: {reason}"), None))?;
    let place = Place {
        name: &name,
        text: &text,
    };
    let file: PackFile = toml::from_str(&text).map_err(|error| place.syntax(&error))?;
    pack::add(known, &file.pack, place)
}

fn owners(
    given: BTreeMap<String, Spanned<String>>,
    place: Place<'_>,
) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut map = OwnerMap::default();
    for (workload, owner) in &given {
        map.register(workload, owner.get_ref())
            .map_err(|error| place.at(owner.span(), error.to_string(), None))?;
    }
    let owners = given.into_iter();
    Ok(owners
        .map(|(workload, owner)| (workload, owner.into_inner()))
        .collect())
}

fn add(
    config: &mut HostConfig,
    source: Spanned<Source>,
    known: &[PackConfig],
    place: Place<'_>,
) -> Result<(), ConfigError> {
    let table = source.span();
    let source = source.into_inner();
    let name_span = source.name.span();
    let configured = source.configured(known, place, &table)?;
    let name = configured.config.name.clone();
    if config.has_source(&name) {
        let message = format!("a source named {name:?} is configured already");
        let hint = (name == super::NODE).then(|| {
            "that is the embedded one: take another name, or set enabled = false under [node]"
                .to_owned()
        });
        return Err(place.at(name_span, message, hint));
    }
    config.sources.push(configured);
    config
        .check()
        .map_err(|error| place.core(&error, &table, name_span))
}

fn listen(listen: &Spanned<String>, place: Place<'_>) -> Result<SocketAddr, ConfigError> {
    listen.get_ref().parse().map_err(|_| {
        let message = format!("bad listen address {:?}", listen.get_ref());
        let hint = "write IP:PORT, such as \"127.0.0.1:9200\" or \"[::1]:9200\"".to_owned();
        place.at(listen.span(), message, Some(hint))
    })
}

fn interval(interval: &Spanned<Span>, place: Place<'_>) -> Result<Duration, ConfigError> {
    let Span(duration) = *interval.get_ref();
    if duration < NODE_INTERVAL_MIN {
        let message = format!("the interval must be at least {NODE_INTERVAL_MIN:?}");
        let hint = "to turn the node source off, set enabled = false".to_owned();
        return Err(place.at(interval.span(), message, Some(hint)));
    }
    Ok(duration)
}

fn set_count(field: &mut usize, value: Option<Count>) {
    *field = value.map_or(*field, |count| count.0);
}

fn set_bytes(field: &mut usize, value: Option<Bytes>) {
    *field = value.map_or(*field, |bytes| bytes.0);
}

fn set_span(field: &mut Duration, value: Option<Span>) {
    *field = value.map_or(*field, |span| span.0);
}

impl Cache {
    fn apply(self, cache: &mut CacheConfig) {
        cache.enabled = self.enabled.unwrap_or(cache.enabled);
        set_bytes(&mut cache.bytes_max, self.bytes_max);
        set_span(&mut cache.cleanup_interval, self.cleanup_interval);
    }
}

impl Local {
    /// Gives back what is otherwise for some metrics, to be checked one by one.
    fn apply(self, local: &mut LocalConfig) -> Vec<Metric> {
        set_count(&mut local.series_max, self.series_max);
        set_count(&mut local.series_per_metric_max, self.series_per_metric_max);
        set_count(&mut local.labels_per_series_max, self.labels_per_series_max);
        set_count(&mut local.values_per_label_max, self.values_per_label_max);
        set_count(&mut local.points_max, self.points_max);
        set_bytes(&mut local.bytes_max, self.bytes_max);
        local.age_max = self.age_max.map_or(local.age_max, |age| Some(age.0));
        set_span(&mut local.expire_after, self.expire_after);
        set_span(&mut local.lookback, self.lookback);
        self.metric
    }
}

impl Limits {
    fn apply(self, limits: &mut tidegate_core::Limits) {
        set_bytes(&mut limits.query_bytes_max, self.query_bytes_max);
        set_count(
            &mut limits.fetches_per_source_max,
            self.fetches_per_source_max,
        );
        set_count(&mut limits.queue_per_source_max, self.queue_per_source_max);
        set_count(&mut limits.askers_per_fetch_max, self.askers_per_fetch_max);
        set_count(
            &mut limits.samples_per_record_max,
            self.samples_per_record_max,
        );
        set_span(&mut limits.settled_age_max, self.settled_age_max);
        set_span(&mut limits.settle, self.settle);
    }
}

#[cfg(test)]
mod tests {
    use tidegate_core::{ParamConfig, ParamType, SourceConfig};

    use super::*;

    fn parse(text: &str, name: &str) -> Result<HostConfig, ConfigError> {
        super::parse(text, name, Path::new(""))
    }

    fn refused(text: &str) -> String {
        parse(text, "tidegate.toml").unwrap_err().to_string()
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        assert_eq!(parse("", "f").unwrap(), HostConfig::default());
    }

    #[test]
    fn the_shipped_example_is_the_defaults_and_three_sources() {
        let config = parse(
            include_str!("../../tidegate.example.toml"),
            "tidegate.example.toml",
        )
        .unwrap();
        let defaults = [
            SourceConfig::prometheus("prom"),
            SourceConfig::scrape("pods", vec!["pod-a".into(), "pod-b".into()]),
            SourceConfig::push("jobs"),
        ];
        assert_eq!(config.sources.len(), defaults.len());
        for (source, defaults) in config.sources.iter().zip(defaults) {
            let defaults = SourceConfig {
                templates: source.config.templates.clone(),
                ..defaults
            };
            assert_eq!(source.config, defaults);
        }
        let own = config.sources[0].config.templates.iter();
        let own: Vec<&str> = own.map(|template| template.name.as_str()).collect();
        assert_eq!(own[..2], ["cpu_busy", "top"]);
        assert_eq!(
            HostConfig {
                sources: vec![],
                ..config
            },
            HostConfig::default()
        );
    }

    #[test]
    fn every_key_of_a_source_is_taken() {
        let text = r#"
            [[source]]
            name = "a"
            url = "http://h/"
            ttl = "1s"
            timeout = "2s"
            fresh_below = "3s"
            warn_past = "4s"
            unavailable_past = "5s"
            probe_interval = "0"
            ttl_max = "7s"
            refusal_ttl = "8s"
            instant_step = "20s"
            packs = ["inference"]
            refresh = { interval = "9s", idle_after = "10s", align = true }
            retry = { retries_max = 11, backoff = "12s", factor = 13, backoff_max = "14s", budget_percent = 15, budget_floor = 16 }
            breaker = { failures_max = 17, open = "18s", open_max = "19s" }
            [[source.template]]
            name = "t"
            query = "topk({{.k}}, x)"
            params = { k = "number" }
            ttl = "6s"
            warn_past = "3s"
            description = "d"
        "#;
        let config = parse(text, "f").unwrap();
        let source = &config.sources[0].config;
        assert_eq!((source.ttl.as_secs(), source.timeout.as_secs()), (1, 2));
        assert_eq!(source.thresholds.unavailable_past.as_secs(), 5);
        assert!(source.probe_interval.is_zero() && source.align);
        let spans = [
            source.ttl_max.unwrap(),
            source.refusal_ttl,
            source.fetch_interval,
            source.idle_after,
            source.instant_step,
        ];
        assert_eq!(spans.map(|span| span.as_secs()), [7, 8, 9, 10, 20]);
        let (retry, breaker) = (source.retry, source.breaker);
        assert_eq!((retry.retries_max, retry.factor), (11, 13));
        assert_eq!(
            (retry.backoff.as_secs(), retry.backoff_max.as_secs()),
            (12, 14)
        );
        assert_eq!(
            (source.retry_budget.ratio_percent, source.retry_budget.floor),
            (15, 16)
        );
        assert_eq!(
            (
                breaker.failures_max,
                breaker.open.as_secs(),
                breaker.open_max.as_secs()
            ),
            (17, 18, 19)
        );
        let template = &source.templates[0];
        assert_eq!(
            template.params,
            [ParamConfig {
                name: "k".into(),
                kind: ParamType::Number
            }]
        );
        let thresholds = template.thresholds.unwrap();
        assert_eq!(
            (
                thresholds.warn_past.as_secs(),
                thresholds.unavailable_past.as_secs()
            ),
            (3, 5)
        );
        let pack = packs::inference().queries;
        assert_eq!(source.templates[1..], pack);
    }

    #[test]
    fn every_key_outside_of_sources_is_taken() {
        let text = r#"
            listen = "127.0.0.1:1"
            shards = 4
            [cache]
            enabled = false
            bytes_max = "1MiB"
            cleanup_interval = "2s"
            [node]
            enabled = false
            interval = "5s"
            [local]
            series_max = 3
            series_per_metric_max = 14
            labels_per_series_max = 15
            values_per_label_max = 16
            points_max = 4
            bytes_max = "17KiB"
            age_max = "18s"
            expire_after = "5s"
            lookback = "6s"
            [limits]
            query_bytes_max = "7KiB"
            fetches_per_source_max = 8
            queue_per_source_max = 9
            askers_per_fetch_max = 10
            samples_per_record_max = 11
            settled_age_max = "12s"
            settle = "13s"
        "#;
        let config = parse(text, "f").unwrap();
        assert_eq!(config.shards, ShardCount::Fixed(4));
        assert_eq!(
            (config.cache.enabled, config.cache.bytes_max),
            (false, 1 << 20)
        );
        assert_eq!(config.cache.cleanup_interval.as_secs(), 2);
        assert_eq!(
            (config.node.enabled, config.node.interval.as_secs()),
            (false, 5)
        );
        let local = &config.local;
        assert_eq!(
            [
                local.series_max,
                local.points_max,
                local.series_per_metric_max,
                local.labels_per_series_max,
                local.values_per_label_max,
                local.bytes_max,
            ],
            [3, 4, 14, 15, 16, 17 << 10]
        );
        assert_eq!(local.age_max.map(|age| age.as_secs()), Some(18));
        assert_eq!(
            (local.expire_after.as_secs(), local.lookback.as_secs()),
            (5, 6)
        );
        let limits = config.limits;
        assert_eq!(
            [
                limits.query_bytes_max,
                limits.fetches_per_source_max,
                limits.queue_per_source_max,
                limits.askers_per_fetch_max,
                limits.samples_per_record_max,
            ],
            [7 << 10, 8, 9, 10, 11]
        );
        assert_eq!(
            (limits.settled_age_max.as_secs(), limits.settle.as_secs()),
            (12, 13)
        );
        assert_eq!(config.collector().limits, limits);
    }

    #[test]
    fn a_scrape_source_has_named_targets_and_nothing_else_does() {
        let base = "[[source]]\nname = \"pods\"\nkind = \"scrape\"\n";
        let two = format!(
            "{base}targets = [{{ name = \"a\", url = \"http://u:secret@a/metrics?x=1\" }}, {{ name = \"b\", url = \"http://b\" }}]\n"
        );
        let config = parse(&two, "f").unwrap();
        let source = &config.sources[0].config;
        assert_eq!(source.targets, ["a", "b"]);
        assert!(source.collect_interval.is_zero() && !source.honor_labels);
        let collected = parse(
            &format!("{two}collect_interval = \"15s\"\nhonor_labels = true\n"),
            "f",
        );
        let collected = &collected.unwrap().sources[0].config;
        assert_eq!(collected.collect_interval.as_secs(), 15);
        assert!(collected.honor_labels);
        let addresses = config.addresses();
        assert!(addresses.find("pods", Some("a")).is_some());
        assert!(addresses.find("pods", None).is_none());
        let twice = refused(&two.replace("\"b\"", "\"a\""));
        assert!(
            twice.contains("two targets of this source are named \"a\"")
                && !twice.contains("secret"),
            "{twice}"
        );
        assert!(refused(base).contains("1:1: source \"pods\" has no targets"));
        assert!(
            refused(&format!("{base}url = \"http://h\""))
                .contains("4:7: a source of kind \"scrape\" has targets in place of a url")
        );
        assert!(
            refused("[[source]]\nname=\"p\"\nurl=\"http://h\"\ntargets=[]")
                .contains("4:9: only a source of kind \"scrape\" has targets")
        );
        assert!(
            refused(&format!(
                "{base}targets = [{{ name = \"a\", url = \"h:1\" }}]"
            ))
            .contains("begins with http:// or https://")
        );
    }

    #[test]
    fn packs_are_known_by_name_and_for_prometheus_only() {
        let of = |kind: &str, pack: &str| {
            refused(&format!(
                "[[source]]\nname=\"p\"\n{kind}\npacks=[\"{pack}\"]"
            ))
        };
        let unknown = of("url=\"http://h\"", "nodes");
        assert!(
            unknown.contains("4:8: unknown pack `nodes`; did you mean `node`?"),
            "{unknown}"
        );
        let pushed = of("kind=\"push\"", "node");
        assert!(
            pushed.contains("4:8: a source of kind \"push\" cannot answer the queries of a pack"),
            "{pushed}"
        );
    }

    const SHOP: &str =
        "[[pack]]\nname = \"shop\"\n[[pack.query]]\nname = \"orders\"\nmetric = \"orders_total\"\n";

    #[test]
    fn a_source_has_the_queries_of_packs_that_the_file_defines() {
        let source = "[[source]]\nname=\"p\"\nurl=\"http://h\"\npacks=[\"shop\", \"node\"]\n";
        let own = "[[source.template]]\nname = \"node_ram\"\nquery = \"own\"\n";
        let config = parse(&format!("{source}{own}{SHOP}"), "f").unwrap();
        let templates = &config.sources[0].config.templates;
        let names: Vec<&str> = templates.iter().map(|template| &*template.name).collect();
        assert_eq!(
            names,
            [
                "node_ram",
                "orders",
                "node_cpu",
                "node_ram_pct",
                "node_power"
            ]
        );
        assert_eq!(templates[0].text, "own");
        assert_eq!(config.packs.len(), 1);
        assert_eq!(config.collector().packs, config.packs);
        let shipped = refused(&SHOP.replace("shop", "node"));
        assert!(
            shipped.contains("2:8: there is a pack named \"node\" already; that one is shipped"),
            "{shipped}"
        );
        let mistyped = refused(&format!("{}{SHOP}", source.replace("shop", "shoop")));
        assert!(mistyped.contains("did you mean `shop`?"), "{mistyped}");
    }

    #[test]
    fn packs_can_stand_in_files_beside_the_configuration() {
        let dir = tempfile::tempdir().unwrap();
        let write = |text: &str| std::fs::write(dir.path().join("shop.toml"), text).unwrap();
        let text = "pack_files = [\"shop.toml\"]\n";
        let load = || super::parse(text, "tidegate.toml", dir.path());
        let absent = load().unwrap_err().to_string();
        assert!(
            absent.starts_with("tidegate.toml:1:15: cannot read ") && absent.contains("shop.toml"),
            "{absent}"
        );
        write(SHOP);
        assert_eq!(load().unwrap().packs[0].name, "shop");
        write(&SHOP.replace("metric", "metrc"));
        let wrong = load().unwrap_err().to_string();
        assert!(
            wrong.contains("shop.toml:5:1: unknown key `metrc`; did you mean `metric`?"),
            "{wrong}"
        );
    }

    #[test]
    fn owners_are_given_by_workload() {
        let config = parse("[owners]\nllama-deployment = \"llama-8b-autoscaler\"", "f").unwrap();
        let expected = [(
            "llama-deployment".to_owned(),
            "llama-8b-autoscaler".to_owned(),
        )];
        assert_eq!(config.collector().owners, expected.into());
        let empty = refused("[owners]\nllama = \"\"");
        assert!(empty.contains("2:9: names of workloads"), "{empty}");
    }

    #[test]
    fn a_limit_of_nothing_is_refused() {
        let zero = refused("[limits]\nqueue_per_source_max = 0");
        assert!(
            zero.contains("2:24: bad count 0: it must be 1 or more"),
            "{zero}"
        );
        assert!(refused("[local]\nseries_max = -1").contains("bad count -1"));
        assert!(
            refused("[[source]]\nname=\"p\"\nurl=\"http://h\"\nretry={factor=0}")
                .contains("bad count 0")
        );
    }

    #[test]
    fn a_mistyped_key_is_shown_with_the_one_that_was_meant() {
        assert_eq!(
            refused(
                "[[source]]\nname = \"prom\"\nurl = \"http://127.0.0.1:9090\"\ntimout = \"5s\"\n"
            ),
            "tidegate.toml:4:1: unknown key `timout`; did you mean `timeout`?\n   |\n 4 | timout = \"5s\"\n   | ^^^^^^"
        );
        assert_eq!(
            refused("[sauce]\n"),
            "tidegate.toml:1:2: unknown key `sauce`; did you mean `source`?\n   |\n 1 | [sauce]\n   |  ^^^^^"
        );
        assert!(refused("x = 1").contains(
            "known are listen, shards, source, pack, pack_files, owners, alert, alerts, sink, cache, node, local, limits"
        ));
        assert!(
            refused("[[source]]\nname=\"a\"\nkind=\"prometeus\"")
                .contains("did you mean `prometheus`?")
        );
    }

    #[test]
    fn a_bad_value_is_shown_where_it_stands() {
        assert_eq!(
            refused("[[source]]\nname = \"p\"\nurl = \"http://h\"\nttl = \"30 sec\"\n"),
            "tidegate.toml:4:7: bad duration \"30 sec\": write a number and a unit, such as \"30s\", \"1m30s\" or \"250ms\"\n   \
             |\n 4 | ttl = \"30 sec\"\n   |       ^^^^^^^^"
        );
        assert!(
            refused("[[source]]\nname=\"p\"\nurl=\"http://h\"\nttl=30")
                .contains("write \"30s\" for seconds")
        );
        assert!(refused("[cache]\nbytes_max = \"64 megs\"").contains("2:13: bad size"));
        assert!(
            refused("listen = \"localhost\"")
                .contains("1:10: bad listen address \"localhost\"; write IP:PORT")
        );
        assert!(
            refused("[node]\ninterval = \"1ms\"")
                .contains("2:12: the interval must be at least 100ms")
        );
        assert!(refused("listen = ").starts_with("tidegate.toml:1:"));
    }

    #[test]
    fn a_bad_url_is_pointed_at_and_not_repeated_when_it_may_hold_credentials() {
        let error = refused("[[source]]\nname = \"p\"\nurl = \"http://me:secret@h:x\"\n");
        assert!(error.starts_with("tidegate.toml:3:7: not a URL"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn sources_are_checked_as_a_whole() {
        assert!(
            refused("[[source]]\nname = \"p\"\n")
                .contains("1:1: source \"p\" has no url; add url =")
        );
        let twice = "[[source]]\nname = \"p\"\nurl = \"http://h\"\n".repeat(2);
        assert!(refused(&twice).contains("5:8: a source named \"p\" is configured already"));
        assert!(
            refused("[[source]]\nname=\"node\"\nkind=\"push\"")
                .contains("that is the embedded one")
        );
        assert!(
            refused("[[source]]\nname=\"local\"\nkind=\"push\"")
                .contains("2:6: no source may be named")
        );
        assert!(
            refused("[[source]]\nname=\"p\"\nkind=\"push\"\nwarn_past=\"1s\"")
                .contains("thresholds must be in order")
        );
        assert!(
            refused("[[source]]\nname=\"p\"\nkind=\"push\"\nurl=\"http://h\"")
                .contains("4:5: a source of kind \"push\" has no url")
        );
    }

    #[test]
    fn a_template_has_one_text() {
        let base = "[[source]]\nname=\"p\"\nkind=\"push\"\n[[source.template]]\nname=\"t\"\n";
        assert!(refused(base).contains("4:1: template \"t\" must have either `query` or `metric`"));
    }
}
