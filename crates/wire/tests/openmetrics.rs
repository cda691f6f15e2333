//! What OpenMetrics 1.0 allows and forbids, rule by rule.

use tidegate_wire::{
    Exposition, ExpositionError, ExpositionFormat, FamilyKind, ScrapeLimits, decode_exposition,
};

fn decode(body: &str) -> Result<Exposition, ExpositionError> {
    let format = ExpositionFormat::OpenMetrics;
    decode_exposition(body.as_bytes(), format, 0, &ScrapeLimits::default())
}

/// Accepts each body, given without its `# EOF`.
fn accepted(bodies: &[&str]) {
    for body in bodies {
        if let Err(error) = decode(&format!("{body}# EOF\n")) {
            panic!("{error}\n{body}");
        }
    }
}

/// Refuses each body, given without its `# EOF`, at the line and for the reason that goes with it.
fn refused(bodies: &[(&str, usize, &str)]) {
    for (body, line, reason) in bodies {
        let error = decode(&format!("{body}# EOF\n")).expect_err(body);
        assert_eq!(error.line(), *line, "{error}\n{body}");
        assert!(error.to_string().contains(reason), "{error}\n{body}");
    }
}

#[test]
fn the_body_ends_with_its_end_line_and_nothing_follows() {
    for body in ["# EOF", "# EOF\n", "a 1\n# EOF"] {
        assert!(decode(body).is_ok(), "{body:?}");
    }
    for (body, line) in [
        ("", 0),
        ("a 1\n", 1),
        ("a 1", 1),
        ("a 1\n# EO", 2),
        ("# EOF ", 1),
    ] {
        assert_eq!(decode(body).expect_err(body).line(), line, "{body:?}");
    }
    for body in ["# EOF\n\n", "# EOF\na 1\n", "# EOF\n# EOF\n", "# EOF\n "] {
        let error = decode(body).expect_err(body).to_string();
        assert!(
            error.starts_with("line 2, column 1: expected nothing after"),
            "{error}"
        );
    }
    assert_eq!(
        decode("a 1\nb 2").unwrap_err().to_string(),
        "the body ends after line 2 without `# EOF`"
    );
}

#[test]
fn tokens_are_one_space_apart_and_lines_have_no_other_blanks() {
    accepted(&[
        "a 1\n",
        "a{} 1\n",
        "a{b=\"c\"} 1 2\n",
        "a{b=\"c\",d=\"e\"} 1\n",
    ]);
    refused(&[
        (" a 1\n", 1, "expected a metric name"),
        ("a  1\n", 1, "expected a sample value"),
        ("a\t1\n", 1, "expected a space"),
        ("a 1 \n", 1, "expected a timestamp in seconds"),
        ("a{} 1 2 \n", 1, "expected ` # {`"),
        ("a {} 1\n", 1, "expected a sample value"),
        ("a{ b=\"c\"} 1\n", 1, "expected a label name"),
        ("a{b =\"c\"} 1\n", 1, "expected `=`"),
        ("a{b= \"c\"} 1\n", 1, "expected a label value"),
        ("a{b=\"c\", d=\"e\"} 1\n", 1, "expected a label name"),
        ("a{b=\"c\"}1\n", 1, "expected a space"),
        ("a\n", 1, "expected a space, found the end of the line"),
        (
            "a 1\n\nb 1\n",
            2,
            "expected a metric name, found the end of the line",
        ),
        ("a 1\r\n", 1, "no carriage return"),
        ("# TYPE a gauge\r\n", 1, "no carriage return"),
        ("\u{feff}a 1\n", 1, "expected a metric name"),
    ]);
}

#[test]
fn lines_with_a_hash_are_metadata_and_nothing_else() {
    refused(&[
        ("# a comment\n", 1, "expected `# TYPE`"),
        ("#\n", 1, "expected `# TYPE`"),
        ("#TYPE a gauge\n", 1, "expected `# TYPE`"),
        ("#  TYPE a gauge\n", 1, "expected `# TYPE`"),
        ("# type a gauge\n", 1, "expected `# TYPE`"),
        ("# TYPE\n", 1, "expected `# TYPE`"),
        ("# TYPE  a gauge\n", 1, "expected a metric name"),
        ("# TYPE a\n", 1, "expected a space"),
        ("# TYPE a \n", 1, "expected a metric type"),
        ("# TYPE a  gauge\n", 1, "expected a metric type"),
        ("# TYPE a gauge \n", 1, "expected a metric type"),
        ("# TYPE a Gauge\n", 1, "expected a metric type"),
        ("# TYPE a untyped\n", 1, "expected a metric type"),
        ("# TYPE 1a gauge\n", 1, "expected a metric name"),
        ("# HELP a\n", 1, "expected a space"),
        ("# UNIT a_s s s\n", 1, "expected a unit"),
    ]);
}

#[test]
fn metadata_stands_before_the_samples_once_each_in_any_order() {
    let body = "# HELP a_s Some \\\"help\\\" \\\\ with \\n in \"it\".\n# UNIT a_s s\n# TYPE a_s counter\na_s_total 1\n# TYPE b unknown\n# EOF";
    let families = decode(body).unwrap().families;
    assert_eq!(families.len(), 2);
    assert_eq!(
        (families[0].name.as_str(), families[0].kind),
        ("a_s", FamilyKind::Counter)
    );
    assert_eq!(families[0].help, "Some \"help\" \\ with \n in \"it\".");
    assert_eq!(families[0].unit, "s");
    accepted(&[
        "# HELP a \n",
        "# UNIT a \n",
        "# TYPE a_s gauge\n# UNIT a_s s\na_s 1\n",
    ]);
    refused(&[
        (
            "# TYPE a gauge\n# TYPE a gauge\n",
            2,
            "a family has one type",
        ),
        ("# HELP a b\n# HELP a b\n", 2, "a family has one help text"),
        ("# UNIT a_b b\n# UNIT a_b b\n", 2, "a family has one unit"),
        (
            "# TYPE a gauge\na 1\n# HELP a b\na{c=\"d\"} 1\n",
            4,
            "a family comes once and whole",
        ),
        (
            "# TYPE a gauge\na 1\n# TYPE a gauge\n",
            3,
            "a family comes once and whole",
        ),
    ]);
}

#[test]
fn a_unit_is_the_end_of_the_name() {
    refused(&[
        ("# UNIT a s\n", 1, "a unit is the end"),
        ("# UNIT as s\n", 1, "a unit is the end"),
        ("# UNIT s s\n", 1, "a unit is the end"),
        ("# TYPE a_s info\n# UNIT a_s s\n", 2, "have no unit"),
        ("# UNIT a_s s\n# TYPE a_s stateset\n", 2, "have no unit"),
    ]);
}

#[test]
fn names_and_labels_keep_to_their_letters() {
    accepted(&["_:a1 1\n", "a{_b1=\"\"} 1\n", "a{b=\"\u{0}é\\t\"} 1\n"]);
    refused(&[
        ("1a 1\n", 1, "expected a metric name"),
        ("é 1\n", 1, "expected a metric name"),
        ("a-b 1\n", 1, "expected a space"),
        ("{a=\"b\"} 1\n", 1, "expected a metric name"),
        ("a{1b=\"c\"} 1\n", 1, "expected a label name"),
        ("a{b:c=\"d\"} 1\n", 1, "expected `=`"),
        ("a{\"b\"=\"c\"} 1\n", 1, "expected a label name"),
        ("a{b='c'} 1\n", 1, "expected a label value"),
        ("a{b=\"c} 1\n", 1, "ends with a quote"),
        ("a{b=\"c\\\"} 1\n", 1, "ends with a quote"),
        ("a{b=\"c\nd\"} 1\n", 1, "ends with a quote"),
        ("a{b=\"c\",} 1\n", 1, "expected a label name"),
        ("a{,} 1\n", 1, "expected a label name"),
        ("a{b=\"c\" d=\"e\"} 1\n", 1, "expected `,` or `}`"),
        ("a{b=\"c\",b=\"d\"} 1\n", 1, "label \"b\" comes twice"),
        ("a{__name__=\"b\"} 1\n", 1, "label \"__name__\" comes twice"),
    ]);
}

#[test]
fn numbers_are_decimal_or_their_words_in_any_case() {
    let ending = |value: &str| decode(&format!("a {value}\n# EOF"));
    for value in [
        "0042",
        "-1",
        "+1.",
        ".5",
        "1e5",
        "1E-07",
        "8903.123421",
        "NaN",
        "nan",
        "+Inf",
        "-inf",
        "INFINITY",
    ] {
        assert!(ending(value).is_ok(), "{value}");
    }
    for value in [
        "", "1_0", "0x1", "1e", ".", "e5", "one", "1e999", "-nan", "١", "1,0",
    ] {
        let error = ending(value).expect_err(value);
        assert!(
            matches!(error, ExpositionError::Syntax { column: 3, .. }),
            "{value}: {error}"
        );
    }
}

#[test]
fn timestamps_are_seconds_and_become_the_nearest_millisecond() {
    for (timestamp, millis) in [
        ("1520879607.789", 1_520_879_607_789),
        ("1604676851.123456789", 1_604_676_851_123),
        ("0.0006", 1),
        ("-1.5", -1_500),
        ("1.5e9", 1_500_000_000_000),
        ("0123", 123_000),
    ] {
        let body = format!("a 1 {timestamp}\n# EOF");
        assert_eq!(
            decode(&body).unwrap().columns.timestamps_ms(),
            [millis],
            "{timestamp}"
        );
    }
    for timestamp in ["NaN", "Inf", "1e300", "x", "1 2"] {
        assert!(
            decode(&format!("a 1 {timestamp}\n# EOF")).is_err(),
            "{timestamp}"
        );
    }
}

#[test]
fn the_suffix_belongs_to_the_type() {
    accepted(&[
        "# TYPE a counter\na_total 1\na_created 1520430000.123\n",
        "# TYPE a gauge\na{b=\"c\"} 17.0\na{b=\"d\"} -17.0\n",
        "# TYPE a unknown\na 42.23\n",
        "# TYPE a summary\na_count 17.0\na_sum 324789.3\na_created 1520430000.123\n",
        "# TYPE a gauge\n# TYPE a_count gauge\na_count 1\n",
        // Not of the family before: an unknown one begins.
        "# TYPE a counter\nb 1\n",
        "# TYPE a counter\na_total 1\na_sum 1\n",
    ]);
    let families = decode("# TYPE a counter\nb 1\n# EOF").unwrap().families;
    assert_eq!(families.len(), 1);
}

#[test]
fn families_metrics_and_points_stand_together() {
    accepted(&[
        "a 1 1\na 1 2\n",
        "# TYPE a summary\na_count{b=\"c\"} 0 1\na_sum{b=\"c\"} 0 1\na_count{b=\"c\"} 0 2\na_sum{b=\"c\"} 0 2\n",
        // What each Go program has.
        "# TYPE m gauge\nm 1\n# TYPE m counter\nm_total 1\n",
    ]);
    refused(&[
        (
            "a 1\nb 1\na{c=\"d\"} 1\n",
            3,
            "a family comes once and whole",
        ),
        (
            "# TYPE a counter\na_total 1\nb 1\na_total{c=\"d\"} 1\n",
            4,
            "a family comes once and whole",
        ),
        (
            "# TYPE a summary\na_count{b=\"c\"} 0\na_count{b=\"d\"} 0\na_sum{b=\"c\"} 0\n",
            4,
            "the samples of a metric stand together",
        ),
        (
            "# TYPE a summary\na_count 0 1\na_count 0 2\na_sum 0 1\n",
            4,
            "the points of a metric come whole",
        ),
        ("a 1 2\na 1 1\n", 2, "the points of a metric come whole"),
        ("a 1 1\na 1\n", 2, "have timestamps or none"),
    ]);
}

#[test]
fn a_series_comes_once_at_a_time() {
    refused(&[
        ("a 1\na 1\n", 2, "\"a\" comes twice, first in line 1"),
        ("a 1 1\na 1 1\n", 2, "comes twice"),
        ("a{b=\"c\",d=\"\"} 1\na{b=\"c\"} 1\n", 2, "first in line 1"),
    ]);
    let error = decode("b 1\na{b=\"c\",d=\"e\"} 1\na{d=\"e\",b=\"c\"} 2\n# EOF").unwrap_err();
    let series = r#"a{b="c",d="e"}"#.into();
    let expected = ExpositionError::DuplicateSeries {
        line: 3,
        first_line: 2,
        series,
    };
    assert_eq!(error, expected);
}

#[test]
fn counters_infos_and_states_have_their_values() {
    accepted(&[
        "# TYPE a counter\na_total +Inf\n",
        "# TYPE a info\na_info{name=\"pretty\",version=\"8.2.7\"} 1.0\n",
        "# TYPE a stateset\na{a=\"x\"} 0\na{a=\"y\"} 1\n",
        "# TYPE a stateset\na{e=\"1\",a=\"x\"} 1.0\na{e=\"1\",a=\"y\"} 0.0\na{e=\"2\",a=\"x\"} 1\n",
    ]);
    refused(&[
        (
            "# TYPE a counter\na_total NaN\n",
            2,
            "totals and sums are numbers from 0, unlike \"NaN\"",
        ),
        ("# TYPE a counter\na_total -1\n", 2, "totals and sums"),
        (
            "# TYPE a counter\na_total 1\na_created NaN\n",
            3,
            "a creation time",
        ),
        ("# TYPE a info\na_info 2\n", 2, "the value of an info is 1"),
        (
            "# TYPE a stateset\na{a=\"x\"} 0.5\n",
            2,
            "the value of a state",
        ),
        ("# TYPE a stateset\na 1\n", 2, "states their family's label"),
    ]);
}

#[test]
fn summaries_have_quantiles_from_0_to_1() {
    accepted(&["# TYPE a summary\na{quantile=\"0.99\"} NaN\na{quantile=\"0\"} 1\na_count 2\n"]);
    refused(&[
        ("# TYPE a summary\na 1\n", 2, "quantiles `quantile`"),
        (
            "# TYPE a summary\na{quantile=\"1.1\"} 1\n",
            2,
            "a quantile is from 0 to 1",
        ),
        (
            "# TYPE a summary\na{quantile=\"NaN\"} 1\n",
            2,
            "a quantile is from 0 to 1",
        ),
        (
            "# TYPE a summary\na{quantile=\"x\"} 1\n",
            2,
            "a quantile is from 0 to 1",
        ),
        (
            "# TYPE a summary\na{quantile=\"1\"} -1\n",
            2,
            "not negative",
        ),
        (
            "# TYPE a summary\na_count{quantile=\"1\"} 1\n",
            2,
            "only quantiles `quantile`",
        ),
        ("# TYPE a summary\na_count 1.5\n", 2, "whole numbers"),
        ("# TYPE a summary\na_count -1\n", 2, "whole numbers"),
        ("# TYPE a summary\na_sum NaN\n", 2, "totals and sums"),
    ]);
}

#[test]
fn histograms_are_complete_cumulative_and_in_order() {
    let end = "a_bucket{le=\"+Inf\"} 17\n";
    let of = |lines: &str| format!("# TYPE a histogram\n{lines}");
    for lines in [
        end,
        "a_bucket{le=\"0.0\"} 0\na_bucket{le=\"1e-05\"} 0\na_bucket{le=\"1\"} 5\na_bucket{le=\"1.1e+23\"} 17\na_bucket{le=\"+Inf\"} 17\na_count 17\na_sum 324789.3\na_created 1520430000.123\n",
        "a_sum 1\na_count 17\na_bucket{le=\"+Inf\"} 17\n",
        "a_bucket{le=\"-1.0\"} 2\na_bucket{le=\"+Inf\"} 17.0\n",
        "a_bucket{b=\"1\",le=\"+Inf\"} 1\na_bucket{le=\"+Inf\",b=\"2\"} 1\n",
    ] {
        accepted(&[&of(lines)]);
    }
    for (lines, line, reason) in [
        (
            "a_bucket{le=\"1\"} 1\n",
            2,
            "the last bucket has `le=\"+Inf\"`",
        ),
        (
            "a_count 1\na_sum 1\n",
            3,
            "the last bucket has `le=\"+Inf\"`",
        ),
        ("a_bucket 1\n", 2, "buckets have `le`"),
        ("a_bucket{le=\"x\"} 1\n", 2, "`le` is a number"),
        ("a_bucket{le=\"NaN\"} 1\n", 2, "`le` is a number"),
        (
            "a_bucket{le=\"2\"} 1\na_bucket{le=\"1\"} 1\n",
            3,
            "in the order of `le`",
        ),
        (
            "a_bucket{le=\"1\"} 1\na_bucket{le=\"1.0\"} 1\n",
            3,
            "in the order of `le`",
        ),
        (
            "a_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\n",
            3,
            "buckets are cumulative",
        ),
        ("a_bucket{le=\"+Inf\"} 1.5\n", 2, "whole numbers"),
        ("a_bucket{le=\"+Inf\"} NaN\n", 2, "whole numbers"),
        ("a_bucket{le=\"+Inf\"} -1\n", 2, "whole numbers"),
        (
            "a_bucket{le=\"+Inf\"} 1\na_count 2\na_sum 1\n",
            4,
            "the count is the value",
        ),
        (
            "a_bucket{le=\"+Inf\"} 1\na_count 1\n",
            3,
            "a count where there is a sum",
        ),
        (
            "a_bucket{le=\"+Inf\"} 1\na_sum 1\n",
            3,
            "a count where there is a sum",
        ),
        (
            "a_bucket{le=\"+Inf\"} 1\na_count 1\na_sum -1\n",
            4,
            "totals and sums",
        ),
        (
            "a_bucket{le=\"-1\"} 1\na_bucket{le=\"+Inf\"} 1\na_count 1\na_sum 1\n",
            5,
            "no sum",
        ),
        (
            "a_bucket{le=\"+Inf\"} 1\na_count{le=\"1\"} 1\n",
            3,
            "only buckets have `le`",
        ),
        (
            "a_bucket{b=\"1\",le=\"1\"} 1\na_bucket{b=\"2\",le=\"+Inf\"} 1\n",
            2,
            "+Inf",
        ),
    ] {
        refused(&[(&of(lines), line, reason)]);
    }
}

#[test]
fn gauge_histograms_may_have_negative_sums_and_have_their_own_suffixes() {
    accepted(&[
        "# TYPE a gaugehistogram\na_bucket{le=\"0.01\"} 20.0\na_bucket{le=\"+Inf\"} 42.0\na_gcount 42.0\na_gsum 3289.3\n",
        "# TYPE a gaugehistogram\na_bucket{le=\"-1\"} 2\na_bucket{le=\"+Inf\"} 2\na_gcount 2\na_gsum -9\n",
    ]);
    refused(&[
        (
            "# TYPE a gaugehistogram\na_bucket{le=\"+Inf\"} 2\na_gcount 1\na_gsum 1\n",
            4,
            "the count is",
        ),
        (
            "# TYPE a gaugehistogram\na_bucket{le=\"+Inf\"} 2\na_gcount 2\na_gsum NaN\n",
            4,
            "sums are numbers",
        ),
        ("# TYPE a gaugehistogram\na_gcount 2\n", 2, "+Inf"),
    ]);
}

#[test]
fn exemplars_are_checked_and_dropped() {
    let bucket = |exemplar: &str| {
        format!(
            "# TYPE a histogram\na_bucket{{le=\"1\"}} 8{exemplar}\na_bucket{{le=\"+Inf\"}} 8\n# EOF"
        )
    };
    for exemplar in [
        " # {} 0.054",
        " # {trace_id=\"KOO5S4vxi0o\"} 0.67",
        " # {trace_id=\"oHg5SJYRHA0\",b=\"\\\"\"} -9.8 1520879607.789",
    ] {
        let found = decode(&bucket(exemplar)).unwrap();
        assert_eq!(found.columns.values(), [8.0, 8.0], "{exemplar}");
        assert_eq!(found.columns.timestamps_ms(), [0, 0], "{exemplar}");
    }
    let timed = decode("# TYPE a counter\na_total 1 2 # {} 1 3\n# EOF").unwrap();
    assert_eq!(timed.columns.timestamps_ms(), [2_000]);
    for exemplar in [
        " #",
        " # ",
        " # {}",
        " # {} ",
        " # {} x",
        " #{} 1",
        "  # {} 1",
        " # {} 1 ",
        " # {} 1 x",
        " # {} 1 1 1",
        " # {a=\"b\",a=\"b\"} 1",
        " # {a=\"b\"}  1",
        " # {} 1 # {} 1",
        " # {} 1.1",
        " # {} NaN",
        " # {} 1 Inf",
    ] {
        assert_eq!(
            decode(&bucket(exemplar)).expect_err(exemplar).line(),
            2,
            "{exemplar}"
        );
    }
    let long = |count: usize| format!(" # {{a=\"{}\"}} 1", "é".repeat(count));
    assert!(decode(&bucket(&long(127))).is_ok());
    let error = decode(&bucket(&long(128))).unwrap_err();
    assert!(
        error.to_string().contains("at most 128 characters"),
        "{error}"
    );
    accepted(&["# TYPE a counter\na_total 1 # {b=\"c\"} 1\n"]);
    refused(&[
        (
            "# TYPE a gauge\na 1 # {} 1\n",
            2,
            "only totals and buckets have exemplars",
        ),
        ("a 1 # {} 1\n", 1, "only totals and buckets have exemplars"),
        (
            "# TYPE a counter\na_total 1\na_created 1 # {} 1\n",
            3,
            "only totals and buckets",
        ),
    ]);
}

#[test]
fn what_is_not_utf8_is_refused_with_its_place() {
    let decode = |body: &[u8]| {
        decode_exposition(
            body,
            ExpositionFormat::OpenMetrics,
            0,
            &ScrapeLimits::default(),
        )
    };
    assert_eq!(
        decode(b"a 1\na{b=\"\xff\"} 1\n# EOF"),
        Err(ExpositionError::BadUtf8 { line: 2, column: 6 })
    );
    assert!(decode(b"# HELP a \xff\n# EOF").is_err());
}
