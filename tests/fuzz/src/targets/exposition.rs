//! What targets expose: text and OpenMetrics.

use tidegate_wire::text::{TextWriter, is_label_name};
use tidegate_wire::{Columns, ExpositionFormat, ScrapeLimits, decode_exposition};

use super::Target;

pub(super) const TARGET: Target = Target {
    name: "exposition",
    about: "exposition text and OpenMetrics",
    run,
    words: &[
        "# TYPE a counter\n",
        "# TYPE h histogram\n",
        "# TYPE s summary\n",
        "# TYPE g gaugehistogram\n",
        "# TYPE i info\n",
        "# TYPE e stateset\n",
        "# HELP a \\n\\\\\n",
        "# UNIT a_seconds seconds\n",
        "a_total 1\n",
        "a{b=\"c\"} 1 2\n",
        "h_bucket{le=\"+Inf\"} 2\n",
        "h_bucket{le=\"1\"} 2 # {t=\"x\"} 0.5\n",
        "h_sum 1\nh_count 2\n",
        "h_gsum 1\nh_gcount 2\n",
        "s{quantile=\"0.5\"} 1\n",
        "a_created 1\n",
        "i_info{a=\"b\"} 1\n",
        "e{e=\"x\"} 1\n",
        "# EOF\n",
        "{\"quoted.name\",a=\"b\"} 1\n",
        "\\\"",
        "\r\n",
        "\t",
        " # {} ",
        "NaN",
        "-Inf",
    ],
    bytes_max: 1_000,
};

const DEFAULT_MS: i64 = 1_000;

/// Where there is room for little.
const LITTLE: ScrapeLimits = ScrapeLimits {
    series: 5,
    families: 2,
    labels_per_series: 3,
    label_bytes: 20,
    text_bytes: 100,
    line_bytes: 60,
};

fn run(body: &[u8]) {
    for format in [ExpositionFormat::Text, ExpositionFormat::OpenMetrics] {
        let decoded = decode_exposition(body, format, DEFAULT_MS, &ScrapeLimits::default());
        let little = decode_exposition(body, format, DEFAULT_MS, &LITTLE);
        match decoded {
            Ok(exposition) => {
                if let Ok(little) = little {
                    assert_eq!(format!("{little:?}"), format!("{exposition:?}"));
                }
                written_and_read(&exposition.columns);
            }
            Err(error) => {
                assert!(little.is_err(), "limits refuse and never allow");
                let lines = body.split(|&byte| byte == b'\n').count();
                assert!(error.line() <= lines, "line {} of {lines}", error.line());
                assert!(!error.to_string().contains('\n'), "an error is one line");
            }
        }
        if let (ExpositionFormat::OpenMetrics, [cut @ .., _, _]) = (format, body) {
            let whole = decode_exposition(body, format, DEFAULT_MS, &ScrapeLimits::default());
            let cut = decode_exposition(cut, format, DEFAULT_MS, &ScrapeLimits::default());
            assert!(whole.is_err() || cut.is_err(), "a part is no OpenMetrics");
        }
    }
}

fn written_and_read(columns: &Columns) {
    let mut text = Vec::new();
    let mut writer = TextWriter::new(&mut text);
    for series in columns.iter() {
        let name = series.label("__name__").expect("a sample has a name");
        let labels = series.labels().filter(|(label, _)| *label != "__name__");
        assert!(labels.clone().all(|(label, _)| is_label_name(label)));
        assert!(series.labels().is_sorted_by(|a, b| a.0 < b.0));
        let (time_ms, value) = (series.timestamps_ms()[0], series.values()[0]);
        writer.sample_at(name, labels, value, time_ms);
    }
    let format = ExpositionFormat::Text;
    let again = decode_exposition(&text, format, DEFAULT_MS, &ScrapeLimits::default());
    let again = again.expect("what is written is read");
    assert_eq!(format!("{:?}", again.columns), format!("{columns:?}"));
}
