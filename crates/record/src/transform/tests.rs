//! Rules of relabelling, one by one and in a pipeline.

use proptest::prelude::*;
use tidegate_series::{METRIC_NAME, Metadata, Sample, stale_marker};

use super::*;
use crate::{EventKind, MetricEvent};

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).unwrap()
}

fn sample(pairs: &[(&str, &str)], value: f64) -> Sample {
    Sample {
        labels: labels(pairs),
        timestamp_ms: 7,
        value,
    }
}

fn batch(samples: Vec<Sample>) -> Batch {
    Batch {
        samples,
        ..Batch::default()
    }
}

fn relabel(action: RelabelAction, source_labels: &[&str], regex: &str) -> Relabel {
    Relabel {
        source_labels: source_labels
            .iter()
            .map(|&label| label.to_owned())
            .collect(),
        regex: regex.to_owned(),
        action,
        ..Relabel::default()
    }
}

fn replace(source_labels: &[&str], regex: &str, target: &str, replacement: &str) -> Relabel {
    Relabel {
        target_label: target.to_owned(),
        replacement: replacement.to_owned(),
        ..relabel(RelabelAction::Replace, source_labels, regex)
    }
}

/// What one rule makes of one label set, as a selector; `None` where it drops it.
fn relabelled(rule: Relabel, pairs: &[(&str, &str)]) -> Option<String> {
    let pipeline = Pipeline::new(&[Transform::Relabel(rule)]).unwrap();
    let (batch, refused) = pipeline.apply(&batch(vec![sample(pairs, 1.0)]));
    assert_eq!(refused, None);
    batch
        .samples
        .first()
        .map(|sample| sample.labels.to_string())
}

const UP: [(&str, &str); 3] = [(METRIC_NAME, "up"), ("host", "db:5432"), ("job", "pg")];

#[test]
fn replace_sets_a_label_from_others() {
    let both = replace(&["job", "host"], "(.*);(.*):.*", "host", "$1/$2");
    let set = relabelled(both, &UP).unwrap();
    assert_eq!(set, r#"up{host="pg/db",job="pg"}"#);
    let constant = replace(&[], "(.*)", "env", "prod");
    let set = relabelled(constant, &UP).unwrap();
    assert_eq!(set, r#"up{env="prod",host="db:5432",job="pg"}"#);
    let named = replace(&["job", "host"], "(.*);(.*):(.*)", "${1}_port", "$3");
    let set = relabelled(named, &UP).unwrap();
    assert_eq!(set, r#"up{host="db:5432",job="pg",pg_port="5432"}"#);
}

#[test]
fn replace_leaves_alone_what_does_not_match_or_has_no_name_to_go_to() {
    let same = r#"up{host="db:5432",job="pg"}"#;
    for rule in [
        replace(&["host"], "db", "job", "x"),
        replace(&["host"], "(.*)", "$1", "x"),
        replace(&["job"], "(.*)", "job", "$1"),
    ] {
        assert_eq!(
            relabelled(rule.clone(), &UP).as_deref(),
            Some(same),
            "{rule:?}"
        );
    }
}

#[test]
fn an_empty_replacement_takes_the_label_away() {
    let rule = replace(&["host"], ".*", "host", "");
    assert_eq!(relabelled(rule, &UP).as_deref(), Some(r#"up{job="pg"}"#));
    let nameless = replace(&[METRIC_NAME], ".*", METRIC_NAME, "");
    assert_eq!(relabelled(nameless, &UP), None);
}

#[test]
fn keep_and_drop_look_at_values() {
    let same = r#"up{host="db:5432",job="pg"}"#;
    let outcome = |action, labels: &[&str], regex| relabelled(relabel(action, labels, regex), &UP);
    for (labels, regex, matches) in [
        (&["job"][..], "pg|x", true),
        (&["job"], "p", false),
        (&["nothing"], "", true),
        (&["job", "host"], "pg;db:.*", true),
    ] {
        let kept = outcome(RelabelAction::Keep, labels, regex);
        assert_eq!(kept.as_deref(), matches.then_some(same), "keep {regex}");
        let kept = outcome(RelabelAction::Drop, labels, regex);
        assert_eq!(kept.as_deref(), (!matches).then_some(same), "drop {regex}");
    }
}

#[test]
fn labeldrop_labelkeep_and_labelmap_look_at_names() {
    let outcome = |action, regex| relabelled(relabel(action, &[], regex), &UP);
    let dropped = outcome(RelabelAction::LabelDrop, "h.*");
    assert_eq!(dropped.as_deref(), Some(r#"up{job="pg"}"#));
    let kept = outcome(RelabelAction::LabelKeep, "__name__|host");
    assert_eq!(kept.as_deref(), Some(r#"up{host="db:5432"}"#));
    assert_eq!(outcome(RelabelAction::LabelKeep, "job"), None);
    let mapped = Relabel {
        replacement: "k8s_$1".to_owned(),
        ..relabel(RelabelAction::LabelMap, &[], "([hj].*)")
    };
    let expected = r#"up{host="db:5432",job="pg",k8s_host="db:5432",k8s_job="pg"}"#;
    assert_eq!(relabelled(mapped, &UP).as_deref(), Some(expected));
    let clash = Relabel {
        replacement: "one".to_owned(),
        ..relabel(RelabelAction::LabelMap, &[], "host|job")
    };
    let expected = r#"up{host="db:5432",job="pg",one="pg"}"#;
    assert_eq!(relabelled(clash, &UP).as_deref(), Some(expected));
}

#[test]
fn a_rename_takes_the_parts_of_a_histogram_along() {
    let to = |metric: &str, to: &str| Transform::Rename {
        metric: metric.to_owned(),
        to: to.to_owned(),
    };
    let pipeline = Pipeline::new(&[to("wait", "delay")]).unwrap();
    let names = [
        "wait",
        "wait_bucket",
        "wait_sum",
        "wait_count",
        "wait_total",
        "await",
    ];
    let samples = names.iter().map(|name| sample(&[(METRIC_NAME, name)], 1.0));
    let family = Family {
        name: "wait".to_owned(),
        metadata: Metadata::default(),
    };
    let (batch, _) = pipeline.apply(&Batch {
        samples: samples.collect(),
        families: vec![family],
        ..Batch::default()
    });
    let names: Vec<_> = batch
        .samples
        .iter()
        .filter_map(|sample| sample.labels.metric_name())
        .collect();
    let expected = [
        "delay",
        "delay_bucket",
        "delay_sum",
        "delay_count",
        "wait_total",
        "await",
    ];
    assert_eq!(names, expected);
    assert_eq!(batch.families[0].name, "delay");
}

#[test]
fn scaling_computes_with_every_value_but_the_stale_marker() {
    let scale = Transform::Scale {
        metric: "a|b".to_owned(),
        factor: 1e-3,
    };
    let pipeline = Pipeline::new(&[scale]).unwrap();
    let event = MetricEvent {
        labels: labels(&[(METRIC_NAME, "b")]),
        kind: EventKind::Timer,
        value: 500.0,
        timestamp_ms: 0,
    };
    let samples = vec![
        sample(&[(METRIC_NAME, "a")], 250.0),
        sample(&[(METRIC_NAME, "ab")], 250.0),
        sample(&[(METRIC_NAME, "a")], stale_marker()),
        sample(&[(METRIC_NAME, "a")], f64::INFINITY),
    ];
    let (batch, _) = pipeline.apply(&Batch {
        samples,
        events: vec![event],
        ..Batch::default()
    });
    let values: Vec<u64> = batch
        .samples
        .iter()
        .map(|sample| sample.value.to_bits())
        .collect();
    let expected = [0.25, 250.0, stale_marker(), f64::INFINITY].map(f64::to_bits);
    assert_eq!(values, expected);
    assert_eq!(batch.events[0].value, 0.5);
}

#[test]
fn descriptions_follow_what_looks_at_the_name_alone() {
    let family = |name: &str| Family {
        name: name.to_owned(),
        metadata: Metadata::default(),
    };
    let names = |transform: Transform| {
        let families = vec![family("a"), family("b")];
        let pipeline = Pipeline::new(&[transform]).unwrap();
        let (batch, _) = pipeline.apply(&Batch {
            families,
            ..Batch::default()
        });
        let names: Vec<String> = batch
            .families
            .into_iter()
            .map(|family| family.name)
            .collect();
        names.join(",")
    };
    let rule = |rule| names(Transform::Relabel(rule));
    assert_eq!(
        names(Transform::Drop {
            metric: "a".to_owned()
        }),
        "b"
    );
    assert_eq!(rule(relabel(RelabelAction::Keep, &[METRIC_NAME], "a")), "a");
    assert_eq!(rule(relabel(RelabelAction::Drop, &[METRIC_NAME], "a")), "b");
    assert_eq!(
        rule(replace(&[METRIC_NAME], "(a)", METRIC_NAME, "x_$1")),
        "x_a,b"
    );
    assert_eq!(rule(relabel(RelabelAction::Keep, &["job"], "pg")), "a,b");
    assert_eq!(rule(replace(&["job"], "(.*)", METRIC_NAME, "$1")), "a,b");
}

#[test]
fn stages_run_in_order_and_count() {
    let pipeline = Pipeline::new(&[
        Transform::Relabel(relabel(RelabelAction::Keep, &["job"], "pg")),
        Transform::Relabel(replace(&["job"], "(.*)", "team", "$1")),
        Transform::Relabel(relabel(RelabelAction::Drop, &["team"], "nobody")),
    ])
    .unwrap();
    let counts = pipeline.counts();
    let samples = vec![sample(&UP, 1.0), sample(&[(METRIC_NAME, "up")], 1.0)];
    let (batch, _) = pipeline.apply(&batch(samples));
    assert_eq!(batch.samples[0].labels.value("team"), Some("pg"));
    let found: Vec<_> = counts
        .stages()
        .iter()
        .map(|stage| (stage.action, stage.passed, stage.changed, stage.dropped))
        .collect();
    let expected = [("keep", 1, 0, 1), ("replace", 0, 1, 0), ("drop", 1, 0, 0)];
    assert_eq!(found, expected);
}

#[test]
fn labels_that_no_series_can_have_are_lost_and_said() {
    let bad_name = replace(&["host"], "(.*)", METRIC_NAME, "$1");
    let pipeline = Pipeline::new(&[Transform::Relabel(bad_name)]).unwrap();
    let samples = vec![
        sample(&[(METRIC_NAME, "up"), ("host", "a b")], 1.0),
        sample(&[(METRIC_NAME, "up"), ("host", "c d")], 1.0),
        sample(&[(METRIC_NAME, "up"), ("host", "e")], 1.0),
    ];
    let (batch, refused) = pipeline.apply(&batch(samples));
    assert_eq!(batch.samples.len(), 1);
    let refused = refused.unwrap();
    assert_eq!(
        (refused.count, pipeline.counts().stages()[0].refused),
        (2, 2)
    );
    let said = "transformation 1 makes labels that no series can have: \
                label 1 holds an invalid metric name \"a b\"";
    assert_eq!(refused.to_string(), said);
}

/// Refuses a sample of each batch.
struct Picky(usize);

impl Sink for Picky {
    fn write(&mut self, batch: &Batch) -> Result<(), SinkError> {
        self.0 += batch.samples.len();
        Err(SinkError {
            message: "one is too many".to_owned(),
            dropped: 1,
        })
    }
}

#[test]
fn a_sink_behind_a_pipeline_tells_of_both_losses() {
    let bad_name = replace(&["host"], "(.*)", METRIC_NAME, "$1");
    let pipeline = Pipeline::new(&[Transform::Relabel(bad_name)]).unwrap();
    let mut sink = Transformed::new(pipeline, Picky(0));
    let bad = sample(&[(METRIC_NAME, "up"), ("host", "a b")], 1.0);
    let good = sample(&[(METRIC_NAME, "up"), ("host", "c")], 1.0);
    let error = sink.write(&batch(vec![bad.clone(), good])).unwrap_err();
    assert_eq!(error.dropped, 2);
    assert!(error.message.ends_with("; and one is too many"), "{error}");
    let error = sink.write(&batch(vec![bad])).unwrap_err();
    assert_eq!(
        (error.dropped, sink.sink.0),
        (1, 1),
        "nothing was left to write"
    );
}

#[test]
fn mistakes_are_told_with_stage_and_field() {
    let ok = Transform::Drop {
        metric: "a".to_owned(),
    };
    let rename = |metric: &str, to: &str| Transform::Rename {
        metric: metric.to_owned(),
        to: to.to_owned(),
    };
    let scale = |factor| Transform::Scale {
        metric: "a".to_owned(),
        factor,
    };
    let rule = Transform::Relabel;
    for (transform, said) in [
        (rename("a b", "c"), r#"metric: "a b" is no metric name"#),
        (rename("a", ""), r#"to: "" is no metric name"#),
        (scale(0.0), "factor: 0 is no finite number other than 0"),
        (
            scale(f64::NAN),
            "factor: NaN is no finite number other than 0",
        ),
        (
            Transform::Drop {
                metric: "a(".to_owned(),
            },
            r#"metric: the pattern "a(" for "__name__" is no regular expression: unclosed group"#,
        ),
        (
            rule(relabel(RelabelAction::LabelDrop, &[], "a)|(b")),
            r#"regex: the pattern "a)|(b" for "regex" is no regular expression: unopened group"#,
        ),
        (rule(Relabel::default()), "target_label: replace needs one"),
        (
            rule(replace(&[], ".*", "a b", "x")),
            r#"target_label: "a b" is no label name"#,
        ),
        (
            rule(relabel(RelabelAction::Keep, &["a-b"], "x")),
            r#"source_labels: "a-b" is no label name"#,
        ),
        (
            rule(relabel(RelabelAction::Keep, &[], "x")),
            "source_labels: keep needs one",
        ),
        (
            rule(relabel(RelabelAction::LabelKeep, &["a"], "x")),
            "source_labels: labelkeep looks at the names of all labels",
        ),
        (
            rule(Relabel {
                action: RelabelAction::LabelMap,
                replacement: String::new(),
                ..Relabel::default()
            }),
            "replacement: labelmap needs one",
        ),
        (
            rule(Relabel {
                target_label: "a".to_owned(),
                ..relabel(RelabelAction::Drop, &["b"], "x")
            }),
            "target_label: drop sets no label of that name",
        ),
    ] {
        let refused = Pipeline::new(&[ok.clone(), transform]).unwrap_err();
        assert_eq!(refused.to_string(), format!("transformation 2, {said}"));
    }
}

#[test]
fn the_number_of_transformations_is_limited() {
    let many = |count: usize| {
        let drop = Transform::Drop {
            metric: "a".to_owned(),
        };
        Pipeline::new(&vec![drop; count])
    };
    assert!(many(TRANSFORMS_MAX).is_ok());
    let refused = many(TRANSFORMS_MAX + 1).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "transformation 65, action: there may be 64 transformations"
    );
}

#[test]
fn the_words_of_actions_are_prometheus_own() {
    for action in RelabelAction::ALL {
        assert_eq!(RelabelAction::of(action.as_str()), Some(action));
    }
    assert_eq!(RelabelAction::of("LabelMap"), Some(RelabelAction::LabelMap));
    assert_eq!(RelabelAction::of("hashmod"), None);
}

/// Labels of few names and values, so that rules meet them.
fn some_labels() -> impl Strategy<Value = Labels> {
    let pairs = prop::collection::btree_map("[a-c]", "[xy]{0,2}", 0..4);
    pairs.prop_map(|mut pairs| {
        pairs.insert(METRIC_NAME.to_owned(), "m".to_owned());
        Labels::from_pairs(pairs).unwrap()
    })
}

/// What a rule leaves of labels.
fn left(rule: Relabel, labels: &Labels) -> Option<Labels> {
    let pipeline = Pipeline::new(&[Transform::Relabel(rule)]).unwrap();
    let sample = Sample {
        labels: labels.clone(),
        timestamp_ms: 0,
        value: 1.0,
    };
    let (mut batch, refused) = pipeline.apply(&batch(vec![sample]));
    assert_eq!(refused, None);
    batch.samples.pop().map(|sample| sample.labels)
}

fn pairs(labels: &Labels) -> Vec<(String, String)> {
    let pairs = labels.iter();
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

proptest! {
    #[test]
    fn keep_and_drop_share_everything_between_them(
        labels in some_labels(),
        sources in prop::collection::vec("[a-d]", 1..3),
        regex in "[xy;.*|]{0,4}",
    ) {
        let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
        let rule = |action| relabel(action, &sources, &regex);
        prop_assume!(Pipeline::new(&[Transform::Relabel(rule(RelabelAction::Keep))]).is_ok());
        let kept = left(rule(RelabelAction::Keep), &labels);
        let not_dropped = left(rule(RelabelAction::Drop), &labels);
        prop_assert_ne!(kept.is_some(), not_dropped.is_some());
        prop_assert_eq!(kept.or(not_dropped), Some(labels));
    }

    #[test]
    fn labelkeep_leaves_what_labeldrop_takes(labels in some_labels(), names in "[a-c|.]{1,3}") {
        // The metric's name stays in both, so that something is left.
        let kept = left(relabel(RelabelAction::LabelKeep, &[], &format!("__name__|{names}")), &labels);
        let dropped = left(relabel(RelabelAction::LabelDrop, &[], &names), &labels);
        let mut both = pairs(&kept.unwrap());
        both.extend(pairs(&dropped.unwrap()).into_iter().filter(|(name, _)| name != METRIC_NAME));
        both.sort();
        prop_assert_eq!(both, pairs(&labels));
    }

    #[test]
    fn replace_touches_its_target_alone(
        labels in some_labels(),
        source in "[a-d]",
        target in "[a-d]",
        replacement in "[pq$1]{0,3}",
    ) {
        let rule = replace(&[&source], "(x*)(.*)", &target, &replacement);
        let changed = left(rule, &labels).unwrap();
        let others = |labels: &Labels| {
            let mut pairs = pairs(labels);
            pairs.retain(|(name, _)| *name != target);
            pairs
        };
        prop_assert_eq!(others(&changed), others(&labels));
    }
}
