//! What is refused, in words: each names the value, its place and the limit it passes.

use tidegate_series::{
    AppendError, COMPILED_BYTES_MAX, HELP_BYTES_MAX, LABEL_NAME_BYTES_MAX, LABEL_VALUE_BYTES_MAX,
    LABELS_PER_SERIES_MAX, Labels, MatchOp, Matcher, Metadata, PATTERN_BYTES_MAX, Store,
    StoreLimits, UNIT_BYTES_MAX,
};

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).unwrap()
}

#[test]
fn labels_are_refused_with_their_place() {
    let long = "a".repeat(LABEL_VALUE_BYTES_MAX + 1);
    let long_name = &long[..=LABEL_NAME_BYTES_MAX];
    let cases: [(&[(&str, &str)], String); 6] = [
        (&[("a", ""), ("", "x")], "label 1 has no name".into()),
        (
            &[("a-\"b", "")],
            r#"label 0 has an invalid name "a-\"b""#.into(),
        ),
        (
            &[("a", "x"), ("__name__", "9")],
            r#"label 1 holds an invalid metric name "9""#.into(),
        ),
        (
            &[("a", "x"), ("b", "x"), ("a", "x")],
            r#"label "a" appears twice"#.into(),
        ),
        (
            &[(long_name, "")],
            format!(
                "the name of label 0 has {} bytes, the limit is {LABEL_NAME_BYTES_MAX}",
                LABEL_NAME_BYTES_MAX + 1
            ),
        ),
        (
            &[("a", &long)],
            format!(
                r#"the value of label "a" has {} bytes, the limit is {LABEL_VALUE_BYTES_MAX}"#,
                LABEL_VALUE_BYTES_MAX + 1
            ),
        ),
    ];
    for (pairs, told) in cases {
        let error = Labels::from_pairs(pairs.iter().copied()).unwrap_err();
        assert_eq!(error.to_string(), told);
    }
    let at_most = [(&long[1..=LABEL_NAME_BYTES_MAX], &long[1..])];
    assert_eq!(Labels::from_pairs(at_most).unwrap().len(), 1);
}

#[test]
fn a_series_has_as_many_labels_as_the_limit_and_no_more() {
    let names: Vec<String> = (0..=LABELS_PER_SERIES_MAX)
        .map(|nth| format!("l{nth}"))
        .collect();
    let pairs = |count| names[..count].iter().map(|name| (&**name, "x"));
    assert!(Labels::from_pairs(pairs(LABELS_PER_SERIES_MAX)).is_ok());
    assert_eq!(
        Labels::from_pairs(pairs(LABELS_PER_SERIES_MAX + 1))
            .unwrap_err()
            .to_string(),
        format!("more than {LABELS_PER_SERIES_MAX} labels on one series")
    );
}

#[test]
fn matchers_are_refused_with_their_label() {
    let told = |name, op, value: &str| Matcher::new(name, op, value).unwrap_err().to_string();
    assert_eq!(
        told("a b", MatchOp::Equal, "x"),
        r#"matcher on an invalid label name "a b""#
    );
    assert_eq!(
        told("a", MatchOp::Regex, &"x".repeat(PATTERN_BYTES_MAX + 1)),
        format!(
            r#"the pattern for "a" has {} bytes, the limit is {PATTERN_BYTES_MAX}"#,
            PATTERN_BYTES_MAX + 1
        )
    );
    assert_eq!(
        told("a", MatchOp::NotRegex, r"(\pL{100}){100}"),
        format!(
            r#"the pattern "(\\pL{{100}}){{100}}" for "a" needs more than {COMPILED_BYTES_MAX} bytes"#
        )
    );
    let unclosed = told("a", MatchOp::Regex, "(");
    assert!(
        unclosed.starts_with(r#"the pattern "(" for "a" is no regular expression: "#),
        "{unclosed}"
    );
}

#[test]
fn matchers_are_told_and_compared_by_what_they_say() {
    for (op, text) in [
        (MatchOp::Equal, r#"a="x""#),
        (MatchOp::NotEqual, r#"a!="x""#),
        (MatchOp::Regex, r#"a=~"x""#),
        (MatchOp::NotRegex, r#"a!~"x""#),
    ] {
        let matcher = Matcher::new("a", op, "x").unwrap();
        assert_eq!(matcher.to_string(), text);
        assert_eq!(matcher, Matcher::new("a", op, "x").unwrap());
        assert_ne!(matcher, Matcher::new("a", op, "y").unwrap());
        assert_ne!(matcher, Matcher::new("b", op, "x").unwrap());
    }
}

#[test]
fn samples_are_refused_with_the_limit_and_what_to_do() {
    let told = |limits: StoreLimits, pairs: &[(&str, &str)]| {
        let mut store = Store::new(limits);
        let _ = store.append(&labels(&[("__name__", "m"), ("a", "x")]), 1, 1.0);
        let error = store.append(&labels(pairs), 1, 1.0).unwrap_err();
        (error.reason(), error.to_string())
    };
    let (new, all) = ([("__name__", "m"), ("a", "y")], StoreLimits::default());
    for (limits, reason, text) in [
        (
            StoreLimits {
                series_max: 1,
                ..all
            },
            "series-limit",
            "the limit of 1 series is reached: record fewer, or raise series_max",
        ),
        (
            StoreLimits {
                series_per_metric_max: 1,
                ..all
            },
            "series-per-metric-limit",
            r#"metric "m" has its limit of 1 series: drop a label of it, or raise series_per_metric_max"#,
        ),
        (
            StoreLimits {
                labels_per_series_max: 1,
                ..all
            },
            "labels-per-series-limit",
            r#"a series of metric "m" has 2 labels, the limit is 1: drop some, or raise labels_per_series_max"#,
        ),
        (
            StoreLimits {
                values_per_label_max: 1,
                ..all
            },
            "values-per-label-limit",
            r#"label "a" of metric "m" has its limit of 1 values: drop the label, or raise values_per_label_max"#,
        ),
        (
            StoreLimits {
                samples_max: 1,
                ..all
            },
            "sample-limit",
            "the limit of 1 samples is reached: record fewer series, or keep fewer points",
        ),
        (
            StoreLimits {
                bytes_max: 1,
                ..all
            },
            "byte-limit",
            "the limit of 1 bytes of samples is reached: record fewer series, or raise bytes_max",
        ),
    ] {
        assert_eq!(told(limits, &new), (reason, text.to_owned()));
    }
}

#[test]
fn samples_are_refused_with_their_time() {
    let (mut store, a) = (Store::default(), labels(&[("__name__", "m")]));
    store.append(&a, 5, 1.0).unwrap();
    let late = store.append(&a, 4, 1.0).unwrap_err();
    assert_eq!(
        late.to_string(),
        "sample at 4 ms is older than the newest at 5 ms"
    );
    let other = store.append(&a, 5, 2.0).unwrap_err();
    assert_eq!(other.to_string(), "another value is already held at 5 ms");
    let reasons = [&late, &other].map(AppendError::reason);
    assert_eq!(reasons, ["out-of-order", "duplicate"]);
    assert_eq!(late.label(), None);
}

#[test]
fn descriptions_are_refused_with_what_is_too_long() {
    let mut store = Store::new(StoreLimits {
        metadata_max: 1,
        ..StoreLimits::default()
    });
    let of = |unit: usize, help: usize| Metadata {
        unit: "u".repeat(unit).into(),
        help: "h".repeat(help).into(),
        ..Metadata::default()
    };
    let longest = of(UNIT_BYTES_MAX, HELP_BYTES_MAX);
    assert_eq!(store.describe("m", longest.clone()), Ok(()));
    for (name, metadata, told) in [
        (
            "9",
            longest.clone(),
            r#"invalid metric name "9""#.to_owned(),
        ),
        (
            "m",
            of(UNIT_BYTES_MAX + 1, 0),
            format!(
                "the unit has {} bytes, the limit is {UNIT_BYTES_MAX}",
                UNIT_BYTES_MAX + 1
            ),
        ),
        (
            "m",
            of(0, HELP_BYTES_MAX + 1),
            format!(
                "the help text has {} bytes, the limit is {HELP_BYTES_MAX}",
                HELP_BYTES_MAX + 1
            ),
        ),
        (
            "n",
            of(0, 0),
            "the limit of 1 described metrics is reached".to_owned(),
        ),
    ] {
        assert_eq!(
            store.describe(name, metadata).unwrap_err().to_string(),
            told
        );
    }
    assert_eq!(store.metadata("m"), Some(&longest), "it stays as it was");
}
