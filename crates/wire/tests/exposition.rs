//! Text 0.0.4: bodies recorded from a Prometheus 2.42, its leniency, and the limits.

use tidegate_wire::text::TextWriter;
use tidegate_wire::{
    Exposition, ExpositionError, ExpositionFormat, FamilyKind, ScrapeLimits, decode_exposition,
};

const METRICS: &str = include_str!("data/scrape_prometheus.txt");
const FEDERATE: &str = include_str!("data/scrape_federate.txt");
const NOW_MS: i64 = 7;
/// The lines of either body that are samples.
const SAMPLES: usize = 297;
const FEDERATED: usize = 23;

fn decode(body: &str) -> Result<Exposition, ExpositionError> {
    let format = ExpositionFormat::Text;
    decode_exposition(body.as_bytes(), format, NOW_MS, &ScrapeLimits::default())
}

/// A sample line: name and labels in the order of their names, the bits of the value, the time.
fn parts(line: &str) -> (String, u64, i64) {
    let (series, rest) = match line.split_once('{') {
        None => line.split_once(' ').map(|(name, rest)| (name.into(), rest)),
        Some((name, rest)) => rest.rsplit_once("\"} ").map(|(labels, rest)| {
            let mut labels: Vec<&str> = labels.split("\",").collect();
            labels.sort_unstable();
            (format!("{name}{{{}\"}}", labels.join("\",")), rest)
        }),
    }
    .expect(line);
    let mut numbers = rest.split(' ');
    let value: f64 = numbers.next().expect(line).parse().expect(line);
    let timestamp_ms = numbers.next().map_or(NOW_MS, |at| at.parse().expect(line));
    (series, value.to_bits(), timestamp_ms)
}

/// The sample lines that say the same as the columns.
fn written(found: &Exposition) -> Vec<String> {
    let mut out = Vec::new();
    let mut text = TextWriter::new(&mut out);
    for series in found.columns.iter() {
        let name = series.label("__name__").expect("a name");
        let labels = series.labels().filter(|(name, _)| *name != "__name__");
        assert_eq!(series.values().len(), 1);
        text.sample_at(name, labels, series.values()[0], series.timestamps_ms()[0]);
    }
    let text = String::from_utf8(out).expect("text");
    text.lines().map(String::from).collect()
}

#[test]
fn every_sample_of_a_real_body_survives_with_its_place_in_the_order() {
    for (body, samples) in [(METRICS, SAMPLES), (FEDERATE, FEDERATED)] {
        let found = decode(body).unwrap();
        let lines = body.lines().filter(|line| !line.starts_with('#'));
        let expected: Vec<_> = lines.map(parts).collect();
        assert_eq!(expected.len(), samples);
        let found_parts = written(&found)
            .iter()
            .map(|line| parts(line))
            .collect::<Vec<_>>();
        for (found, expected) in found_parts.iter().zip(&expected) {
            assert_eq!(found, expected);
        }
        assert_eq!(found_parts.len(), expected.len());
        assert_eq!(found.repeated, None);
        let types = body.lines().filter(|line| line.starts_with("# TYPE"));
        assert_eq!(found.families.len(), types.count());
    }
}

#[test]
fn a_real_body_cut_anywhere_is_an_error_or_fewer_samples_and_never_others() {
    let whole = decode(FEDERATE).unwrap();
    for length in 0..FEDERATE.len() {
        let Ok(cut) = decode(&FEDERATE[..length]) else {
            continue;
        };
        let complete = cut.columns.len().saturating_sub(1);
        for index in 0..complete {
            assert_eq!(cut.columns.series(index), whole.columns.series(index));
        }
    }
}

#[test]
fn metadata_of_a_real_body_is_there() {
    let found = decode(METRICS).unwrap();
    let family = |name: &str| {
        let mut families = found.families.iter();
        families.find(|family| family.name == name).expect(name)
    };
    let goroutines = family("go_goroutines");
    assert_eq!(goroutines.kind, FamilyKind::Gauge);
    assert_eq!(
        goroutines.help,
        "Number of goroutines that currently exist."
    );
    assert_eq!(family("go_gc_duration_seconds").kind, FamilyKind::Summary);
    let duration = family("prometheus_http_request_duration_seconds");
    assert_eq!(duration.kind, FamilyKind::Histogram);
    assert_eq!(
        family("prometheus_http_requests_total").kind,
        FamilyKind::Counter
    );
}

#[test]
fn blanks_comments_and_commas_are_taken_as_prometheus_takes_them() {
    let plain = decode("a{b=\"c\",d=\"e\"} 1.5 9").unwrap();
    for body in [
        "a{d=\"e\",b=\"c\"} 1.5 9\n",
        "\n \t\na{b=\"c\",d=\"e\",} 1.5 9\n\n",
        " \ta\t{ b = \"c\" ,\td=\"e\" , }\t 1.5  9 \t\n",
        "a{b=\"c\"d=\"e\"}1.5 9",
        "a{b=\"c\",f=\"\",d=\"e\",f=\"\"} 1.5 9",
        "#\n# anything\n#TYPE a b c\n# HELP\n# HELPFUL x\n# HELP a-b c\n# EOF\n# UNIT a b\na{b=\"c\" d=\"e\",f=\"\"} 1.5 9",
    ] {
        let found = decode(body).unwrap_or_else(|error| panic!("{error}\n{body}"));
        assert_eq!(found, plain, "{body}");
    }
    let with_bytes = b"# \xff\xfe\na 1\n";
    let limits = ScrapeLimits::default();
    assert!(decode_exposition(with_bytes, ExpositionFormat::Text, 0, &limits).is_ok());
}

#[test]
fn an_empty_body_is_an_empty_exposition() {
    assert_eq!(decode("").unwrap(), Exposition::default());
    assert_eq!(decode("\n# x\n").unwrap(), Exposition::default());
}

#[test]
fn metadata_may_stand_anywhere_and_the_last_counts() {
    let body = "a 1\n# TYPE a counter\n#\tHELP  a  two blanks \\\\ and \\n and \\\"\nb 1\n# TYPE b untyped\n# TYPE a  gauge \na{c=\"d\"} 2\n# HELP e\n";
    let families = decode(body).unwrap().families;
    let names: Vec<&str> = families.iter().map(|family| family.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "e"]);
    assert_eq!(families[0].kind, FamilyKind::Gauge);
    assert_eq!(families[0].help, " two blanks \\ and \n and \\\"");
    assert_eq!(families[1].kind, FamilyKind::Unknown);
    assert_eq!(
        (families[2].help.as_str(), families[2].unit.as_str()),
        ("", "")
    );
}

#[test]
fn label_values_may_be_anything_and_empty_ones_are_none() {
    let found = decode("a{b=\"\\\"\\\\\\n\\t{,}=# \u{0}é\",c=\"\"} 1\n").unwrap();
    let labels: Vec<_> = found.columns.series(0).labels().collect();
    assert_eq!(labels, [("__name__", "a"), ("b", "\"\\\n\\t{,}=# \u{0}é")]);
}

#[test]
fn values_have_their_words_and_timestamps_are_milliseconds() {
    let found = decode("a +Inf 1\nb -Inf -5\nc NaN\nd inf\ne 1e-07\n").unwrap();
    assert_eq!(
        found.columns.timestamps_ms(),
        [1, -5, NOW_MS, NOW_MS, NOW_MS]
    );
    let values = found.columns.values();
    assert_eq!(values[..2], [f64::INFINITY, f64::NEG_INFINITY]);
    assert_eq!(values[2].to_bits(), f64::NAN.to_bits());
    assert_eq!(values[3..], [f64::INFINITY, 1e-7]);
}

#[test]
fn what_prometheus_refuses_is_refused_with_its_place() {
    for (body, message) in [
        (
            "a",
            "line 1, column 2: expected a sample value, found the end of the line",
        ),
        (
            "a 1\nb x\n",
            "line 2, column 3: expected a sample value, found \"x\"",
        ),
        (
            "a 1\r\n",
            "line 1, column 3: expected a sample value, found \"1\\r\"",
        ),
        (
            "a 1 1.5",
            "line 1, column 5: expected a timestamp in whole milliseconds, found \"1.5\"",
        ),
        (
            "a 1 +5",
            "line 1, column 5: expected a timestamp in whole milliseconds, found \"+5\"",
        ),
        (
            "a 1 99999999999999999999",
            "line 1, column 5: expected a timestamp in whole milliseconds, found \"99999999999999999999\"",
        ),
        (
            "a 1 2 3",
            "line 1, column 7: expected nothing after the timestamp, found \"3\"",
        ),
        (
            "a 1 # {} 1",
            "line 1, column 5: expected a timestamp in whole milliseconds, found \"# {} 1\"",
        ),
        (
            "a 0x10",
            "line 1, column 3: expected a sample value, found \"0x10\"",
        ),
        (
            "a 1_0",
            "line 1, column 3: expected a sample value, found \"1_0\"",
        ),
        (
            "a 1e999",
            "line 1, column 3: expected a sample value, found \"1e999\"",
        ),
        (
            "1a 1",
            "line 1, column 1: expected a metric name, found \"1a 1\"",
        ),
        (
            "a-b 1",
            "line 1, column 2: expected a blank or `{`, found \"-b 1\"",
        ),
        (
            "{b=\"c\"} 1",
            "line 1, column 1: expected a metric name, found \"{b=\\\"c\\\"} 1\"",
        ),
        ("a{b} 1", "line 1, column 4: expected `=`, found \"} 1\""),
        (
            "a{b=c} 1",
            "line 1, column 5: expected a label value in quotes, found \"c} 1\"",
        ),
        (
            "a{b=\"c} 1",
            "line 1, column 5: expected a label value that ends with a quote, found \"\\\"c} 1\"",
        ),
        (
            "a{b=\"c\"",
            "line 1, column 8: expected a label name, found the end of the line",
        ),
        (
            "a{,} 1",
            "line 1, column 3: expected a label name, found \",} 1\"",
        ),
        (
            "a{b=\"c\",,} 1",
            "line 1, column 9: expected a label name, found \",} 1\"",
        ),
        (
            "a{b=\"c\",b=\"d\"} 1",
            "line 1, column 9: label \"b\" comes twice",
        ),
        (
            "a{__name__=\"b\"} 1",
            "line 1, column 3: label \"__name__\" comes twice",
        ),
        (
            "# TYPE a weird",
            "line 1, column 10: expected a metric type, found \"weird\"",
        ),
        (
            "# TYPE a info",
            "line 1, column 10: expected a metric type, found \"info\"",
        ),
        (
            "# TYPE a",
            "line 1, column 9: expected a metric type, found the end of the line",
        ),
        (
            "# HELP 1",
            "line 1, column 8: expected a metric name, found \"1\"",
        ),
        (
            "\u{feff}a 1",
            "line 1, column 1: expected a metric name, found \"\\u{feff}a 1\"",
        ),
        (
            "\u{0}",
            "line 1, column 1: expected a metric name, found \"\\0\"",
        ),
        (
            "<html>",
            "line 1, column 1: expected a metric name, found \"<html>\"",
        ),
    ] {
        assert_eq!(decode(body).expect_err(body).to_string(), message, "{body}");
    }
    let found = decode(&"é".repeat(1_000)).unwrap_err().to_string();
    assert!(found.len() < 200, "{found}");
}

#[test]
fn the_first_of_repeated_samples_is_kept_and_the_rest_reported() {
    let body = "a{b=\"c\"} 1\nz 1\na{b=\"c\"} 2\nz 1 7\na{b=\"c\",d=\"\"} 3\na{b=\"c\"} 4 9\nz 5\n";
    let found = decode(body).unwrap();
    assert_eq!(found.columns.values(), [1.0, 1.0, 4.0]);
    let repeated = found.repeated.unwrap();
    assert_eq!((repeated.count, repeated.line), (4, 3));
    assert_eq!(
        repeated.to_string(),
        r#"4 repeated samples dropped, the first in line 3: "a{b=\"c\"}""#
    );
}

#[test]
fn limits_are_kept_to_the_last_one_allowed() {
    let exact = ScrapeLimits {
        series: 2,
        families: 1,
        labels_per_series: 3,
        label_bytes: 8,
        text_bytes: 16,
        line_bytes: 18,
    };
    let body = "# TYPE a gauge\na{b=\"cc\",d=\"ee\"} 1\na{b=\"cc\",d=\"fg\"} 1\n";
    let decode = |format, limits: &ScrapeLimits| {
        decode_exposition(format!("{body}# EOF\n").as_bytes(), format, 0, limits)
    };
    type Lower = fn(&mut ScrapeLimits);
    let lowered: [(&str, usize, Lower); 6] = [
        ("series", 3, |limits| limits.series = 1),
        ("families", 1, |limits| limits.families = 0),
        ("labels in one series", 2, |limits| {
            limits.labels_per_series = 2
        }),
        ("bytes in one label", 2, |limits| limits.label_bytes = 1),
        ("bytes of labels", 3, |limits| limits.text_bytes = 16),
        ("bytes in one line", 2, |limits| limits.line_bytes = 17),
    ];
    for format in [ExpositionFormat::Text, ExpositionFormat::OpenMetrics] {
        let fits = ScrapeLimits {
            text_bytes: 17,
            ..exact.clone()
        };
        assert_eq!(decode(format, &fits).map(drop), Ok(()));
        for (what, line, lower) in lowered {
            let mut limits = fits.clone();
            lower(&mut limits);
            let error = decode(format, &limits).unwrap_err();
            let matches =
                matches!(error, ExpositionError::TooLarge { what: found, .. } if found == what);
            // A family of OpenMetrics is whole only where the next line is not its own.
            assert!(
                matches && (error.line() == line || what == "families"),
                "{what}: {error}"
            );
        }
    }
}
