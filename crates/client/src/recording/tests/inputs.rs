//! Inputs of every kind are read as they were written.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use tidegate_core::{
    Aggregation, AlertCondition, AlertRule, AlertWindow, BandConfig, BandSide, Comparison, FetchId,
    Grouping, ParamConfig, ParamType, Query, Range, Thresholds,
};

use super::super::input::{read_input, write_input};
use super::*;

fn through<T: Json>(value: &T) -> (T, Vec<u8>, Vec<u8>) {
    let mut once = Vec::new();
    value.write(&mut once);
    let read = T::read(&serde_json::from_slice(&once).unwrap()).unwrap();
    let mut twice = Vec::new();
    read.write(&mut twice);
    (read, once, twice)
}

fn duration() -> impl Strategy<Value = Duration> {
    (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(secs, nanos)| Duration::new(secs, nanos))
}

fn texts() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map(any::<String>(), any::<String>(), 0..3)
}

fn pairs() -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::vec(any::<(String, String)>(), 0..3)
}

fn ask() -> impl Strategy<Value = Ask> {
    let query = prop_oneof![
        any::<String>().prop_map(Query::PromQl),
        (any::<String>(), texts()).prop_map(|(name, params)| Query::Template { name, params }),
        (any::<String>(), pairs()).prop_map(|(path, params)| Query::Endpoint { path, params }),
    ];
    let sources = prop::collection::vec(any::<String>(), 0..3);
    let range = (any::<i64>(), any::<i64>(), duration()).prop_map(|(start, end, step)| Range {
        start: UnixMillis(start),
        end: UnixMillis(end),
        step,
    });
    let times = (
        any::<Option<i64>>(),
        prop::option::of(range),
        prop::option::of(duration()),
        prop::option::of(duration()),
        prop::option::of(duration()),
    );
    (query, sources, times, any::<bool>(), pairs()).prop_map(
        |(query, sources, (time, range, max_age, max_stale, timeout), allow_stale, extra)| Ask {
            query,
            sources,
            time: time.map(UnixMillis),
            range,
            max_age,
            max_stale,
            timeout,
            allow_stale,
            extra,
            ..Ask::promql("")
        },
    )
}

fn record() -> impl Strategy<Value = Record> {
    let sample = ("[a-z]{1,5}", any::<String>(), any::<i64>(), any::<u64>());
    let family = (any::<String>(), any::<String>(), any::<String>());
    let samples = prop::collection::vec(sample, 0..4);
    (
        any::<String>(),
        samples,
        prop::collection::vec(family, 0..3),
    )
        .prop_map(|(source, samples, families)| Record {
            source,
            samples: samples
                .into_iter()
                .filter_map(|(name, value, timestamp_ms, bits)| {
                    let labels = Labels::from_pairs([("__name__", "m"), (&name, &value)]).ok()?;
                    Some(Sample {
                        labels,
                        timestamp_ms,
                        value: f64::from_bits(bits),
                    })
                })
                .collect(),
            families: families
                .into_iter()
                .map(|(name, unit, help)| Family {
                    name,
                    metadata: Metadata {
                        kind: MetricKind::Counter,
                        unit: unit.into(),
                        help: help.into(),
                    },
                })
                .collect(),
        })
}

fn template() -> impl Strategy<Value = TemplateConfig> {
    let times = (prop::option::of(duration()), prop::option::of(duration()));
    (any::<String>(), any::<String>(), times).prop_map(|(name, text, (ttl, past))| TemplateConfig {
        params: vec![ParamConfig {
            name: name.clone(),
            kind: ParamType::Label,
        }],
        description: text.clone(),
        name,
        text,
        ttl,
        thresholds: past.map(|warn_past| Thresholds {
            warn_past,
            ..Thresholds::default()
        }),
        ..TemplateConfig::default()
    })
}

/// One of each condition.
fn alert_rules() -> Vec<AlertRule> {
    let over = AlertWindow {
        statistic: "p99".into(),
        window: Duration::from_secs(60),
    };
    let threshold = AlertCondition::Threshold {
        over: Some(over),
        op: Comparison::NotEqual,
        value: -0.0,
    };
    let change = AlertCondition::RateOfChange {
        window: Duration::from_secs(300),
        op: Comparison::LessEqual,
        value: f64::INFINITY,
    };
    let band = AlertCondition::Band(BandConfig {
        side: BandSide::Below,
        ..BandConfig::default()
    });
    [threshold, change, band]
        .map(|condition| AlertRule {
            labels: [("severity".into(), "page".into())].into(),
            annotations: [("summary".into(), "{{ $value }}".into())].into(),
            ..AlertRule::new("Hot", "load", condition)
        })
        .into()
}

fn change() -> impl Strategy<Value = Change> {
    let text = any::<String>;
    prop_oneof![
        (text(), template()).prop_map(|(source, template)| Change::Register { source, template }),
        (text(), template()).prop_map(|(source, template)| Change::Update { source, template }),
        (text(), text()).prop_map(|(source, template)| Change::Unregister { source, template }),
        text().prop_map(|key| Change::Untrack { key }),
        (text(), text()).prop_map(|(workload, owner)| Change::RegisterOwner { workload, owner }),
        text().prop_map(|workload| Change::UnregisterOwner { workload }),
        prop_oneof![
            text().prop_map(Invalidation::Key),
            text().prop_map(Invalidation::Prefix),
            text().prop_map(Invalidation::Source),
            (text(), text())
                .prop_map(|(source, template)| Invalidation::Template { source, template }),
            Just(Invalidation::All),
        ]
        .prop_map(Change::Invalidate),
        (any::<u64>(), template(), duration()).prop_map(|(seed, template, ttl)| {
            let mut config = config();
            config.seed = seed;
            config.sources[0].templates.push(template);
            config.packs = tidegate_core::packs::all();
            config.owners = [("w".into(), "o".into())].into();
            config.alerts.rules = alert_rules();
            config.sources[0].ttl_max = Some(ttl);
            config
                .sources
                .push(SourceConfig::scrape("s", vec!["ä".into()]));
            Change::Reload(Box::new(config))
        }),
    ]
}

fn fetch_end() -> impl Strategy<Value = Result<Response, FetchError>> {
    let response = (any::<u16>(), any::<Vec<u8>>(), prop::option::of(duration()));
    let ok = response.prop_map(|(status, body, retry_after)| {
        Ok(Response::new(status, body).with_retry_after(retry_after))
    });
    let detail = any::<String>;
    let error = prop_oneof![
        detail().prop_map(|detail| FetchError::Connect { detail }),
        detail().prop_map(|detail| FetchError::Reset { detail }),
        detail().prop_map(|detail| FetchError::Encoding { detail }),
        detail().prop_map(|detail| FetchError::Refused { detail }),
        duration().prop_map(|after| FetchError::Timeout { after }),
        any::<u64>().prop_map(|limit_bytes| FetchError::TooLarge { limit_bytes }),
        any::<u16>().prop_map(|status| FetchError::Redirect { status }),
    ];
    prop_oneof![ok, error.prop_map(Err)]
}

fn aggregation() -> impl Strategy<Value = Aggregation> {
    let names = || prop::collection::vec(any::<String>().prop_map(String::into_boxed_str), 0..3);
    let grouping = prop_oneof![
        Just(Grouping::Series),
        names().prop_map(Grouping::By),
        names().prop_map(Grouping::Without),
    ];
    let words = [
        "avg",
        "count",
        "p50",
        "p99.9",
        "nearest_p99",
        "ema1.5s",
        "sma",
        "rate",
        "stddev",
    ];
    let statistics = prop::sample::subsequence(words.to_vec(), 0..5);
    let selectors = prop::collection::vec(any::<String>(), 0..3);
    let time = prop::option::of(any::<i64>().prop_map(UnixMillis));
    (selectors, duration(), time, grouping, statistics).prop_map(
        |(selectors, window, time, grouping, words)| Aggregation {
            selectors,
            window,
            time,
            range: None,
            grouping,
            statistics: words.iter().map(|word| word.parse().unwrap()).collect(),
        },
    )
}

fn input() -> impl Strategy<Value = Input<Command>> {
    // No header of these letters is taken for a secret.
    let headers = prop::collection::vec(("[b-d]{0,4}", any::<String>()), 0..3);
    let http = (any::<String>(), any::<String>(), headers, any::<Vec<u8>>()).prop_map(
        |(method, target, headers, body)| HttpRequest {
            method,
            target,
            headers,
            body,
        },
    );
    let command = prop_oneof![
        http.prop_map(Command::Http),
        ask().prop_map(Command::Ask),
        record().prop_map(Command::Record),
        aggregation().prop_map(Command::Aggregate),
        change().prop_map(Command::Change),
    ];
    prop_oneof![
        4 => (any::<u64>(), command).prop_map(|(id, command)| Input::Command(CommandId(id), command)),
        1 => any::<u64>().prop_map(|id| Input::Abandon(CommandId(id))),
        2 => (any::<u64>(), fetch_end()).prop_map(|(id, end)| Input::Response(FetchId(id), end)),
    ]
}

proptest! {
    #[test]
    fn every_input_is_read_as_it_was_written(input in input()) {
        let mut once = Vec::new();
        write_input(&input, |command| command.into(), &mut once);
        prop_assert!(!once.contains(&b'\n'));
        let read = read_input(&serde_json::from_slice(&once).unwrap()).unwrap();
        prop_assert_eq!(format!("{read:?}"), format!("{input:?}"));
        let mut twice = Vec::new();
        write_input(&read, |command| command.into(), &mut twice);
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn numbers_keep_every_bit(bits in any::<u64>(), signed in any::<i64>()) {
        let (read, once, twice) = through(&f64::from_bits(bits));
        prop_assert_eq!((read.to_bits(), once), (bits, twice));
        prop_assert_eq!(through(&bits).0, bits);
        prop_assert_eq!(through(&signed).0, signed);
    }

    #[test]
    fn bodies_keep_every_byte(body in any::<Vec<u8>>()) {
        prop_assert_eq!(through(&body).0, body);
    }

    #[test]
    fn noise_is_never_a_panic(noise in any::<Vec<u8>>()) {
        let mut recording = recorded();
        let at = recording.len() / 2;
        recording.splice(at..at, noise);
        let _ = replay(&*recording);
        let _ = serde_json::from_slice::<serde_json::Value>(&recording[at..]).map(|value| read_input(&value).is_ok());
    }
}
