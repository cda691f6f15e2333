//! An answer as text: an aligned table for people, plain lines for programs.

use std::fmt::Write as _;
use std::time::Duration;

use tidegate_wire::number::write_float;
use tidegate_wire::{Columns, Data, Series};

/// One line of an answer.
struct Row {
    series: String,
    value: String,
    /// Milliseconds since 1970 UTC.
    timestamp_ms: Option<i64>,
}

/// The answer as a table with a head; `now_ms` makes ages of timestamps.
pub(crate) fn table(data: &Data, now_ms: i64) -> String {
    let rows = rows(data);
    if rows.is_empty() {
        return "(empty: no series matches)\n".to_owned();
    }
    let ages: Vec<String> = rows
        .iter()
        .map(|row| age(row.timestamp_ms, now_ms))
        .collect();
    let widest = |texts: &mut dyn Iterator<Item = &str>| texts.map(width).max().unwrap_or(0);
    let series_width = widest(&mut rows.iter().map(|row| row.series.as_str())).max("SERIES".len());
    let value_width = widest(&mut rows.iter().map(|row| row.value.as_str())).max("VALUE".len());
    let age_width = widest(&mut ages.iter().map(String::as_str)).max("AGE".len());
    let mut out = String::new();
    let mut line = |series: &str, value: &str, age: &str| {
        let pad = |text: &str, to: usize| " ".repeat(to.saturating_sub(width(text)));
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{series}{}  {}{value}  {}{age}",
            pad(series, series_width),
            pad(value, value_width),
            pad(age, age_width)
        );
    };
    line("SERIES", "VALUE", "AGE");
    for (row, age) in rows.iter().zip(&ages) {
        line(&row.series, &row.value, age);
    }
    out
}

/// The answer as lines of series, value and age in seconds, separated by tabs.
pub(crate) fn lines(data: &Data, now_ms: i64) -> String {
    let mut out = String::new();
    for row in rows(data) {
        let age_s = row.timestamp_ms.map_or(0.0, |at_ms| {
            now_ms.saturating_sub(at_ms).max(0) as f64 / 1000.0
        });
        let _ = writeln!(out, "{}\t{}\t{age_s}", row.series, row.value);
    }
    out
}

fn rows(data: &Data) -> Vec<Row> {
    match data {
        Data::Vector(columns) | Data::Matrix(columns) => of_columns(columns),
        Data::Scalar {
            timestamp_ms,
            value,
        } => {
            vec![Row {
                series: "scalar".into(),
                value: number(*value),
                timestamp_ms: Some(*timestamp_ms),
            }]
        }
        Data::String {
            timestamp_ms,
            value,
        } => {
            vec![Row {
                series: "string".into(),
                value: format!("{value:?}"),
                timestamp_ms: Some(*timestamp_ms),
            }]
        }
        Data::Strings(strings) => strings.iter().map(|text| bare(printable(text))).collect(),
        Data::Series(columns) => columns.iter().map(selector).map(bare).collect(),
        Data::Document => Vec::new(),
    }
}

/// A row of something that has neither value nor time.
fn bare(series: String) -> Row {
    Row {
        series,
        value: String::new(),
        timestamp_ms: None,
    }
}

/// One row per sample; the newest last within a series.
fn of_columns(columns: &Columns) -> Vec<Row> {
    let mut rows = Vec::new();
    for series in columns.iter() {
        let name = selector(series);
        let floats = series.timestamps_ms().iter().zip(series.values());
        rows.extend(floats.map(|(at_ms, value)| Row {
            series: name.clone(),
            value: number(*value),
            timestamp_ms: Some(*at_ms),
        }));
        rows.extend(series.histograms().map(|(at_ms, json)| Row {
            series: name.clone(),
            value: printable(json),
            timestamp_ms: Some(at_ms),
        }));
    }
    rows
}

/// The series as a selector. Quotes and control characters in values are escaped.
fn selector(series: Series<'_>) -> String {
    let mut text = printable(series.label("__name__").unwrap_or_default());
    let labels: Vec<String> = series
        .labels()
        .filter(|(name, _)| *name != "__name__")
        .map(|(name, value)| format!("{}={value:?}", printable(name)))
        .collect();
    if !labels.is_empty() || text.is_empty() {
        let _ = write!(text, "{{{}}}", labels.join(","));
    }
    text
}

fn printable(text: &str) -> String {
    let escape = |c: char| {
        if c.is_control() {
            c.escape_default().to_string()
        } else {
            c.to_string()
        }
    };
    text.chars().map(escape).collect()
}

/// The number as Prometheus writes it.
fn number(value: f64) -> String {
    let mut out = Vec::new();
    write_float(value, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn age(timestamp_ms: Option<i64>, now_ms: i64) -> String {
    let Some(at_ms) = timestamp_ms else {
        return String::new();
    };
    let ms = now_ms.saturating_sub(at_ms);
    if ms < 0 {
        "in the future".into()
    } else {
        duration(Duration::from_millis(ms.unsigned_abs()))
    }
}

/// A duration in its two largest units, for people.
pub(crate) fn duration(duration: Duration) -> String {
    let s = duration.as_secs();
    match s {
        0..10 => format!("{:.1}s", duration.as_secs_f64()),
        10..60 => format!("{s}s"),
        60..3_600 => format!("{}m{:02}s", s / 60, s % 60),
        3_600..86_400 => format!("{}h{:02}m", s / 3_600, s % 3_600 / 60),
        86_400.. => format!("{}d{:02}h", s / 86_400, s % 86_400 / 3_600),
    }
}

/// Good enough for names and numbers, which are nearly always narrow.
fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use tidegate_wire::{DecodeLimits, decode_query_response};

    use super::*;

    fn data(result_type: &str, result: &str) -> Data {
        let body = format!(
            r#"{{"status":"success","data":{{"resultType":"{result_type}","result":{result}}}}}"#
        );
        decode_query_response(200, body.as_bytes(), &DecodeLimits::default())
            .unwrap()
            .data
    }

    #[test]
    fn a_vector_is_an_aligned_table() {
        let data = data(
            "vector",
            r#"[{"metric":{"__name__":"up","job":"a"},"value":[100,"1"]},{"metric":{"__name__":"load"},"value":[40.5,"12.25"]}]"#,
        );
        assert_eq!(
            table(&data, 101_000),
            "SERIES       VALUE    AGE\nup{job=\"a\"}      1   1.0s\nload         12.25  1m00s\n"
        );
        assert_eq!(
            lines(&data, 101_000),
            "up{job=\"a\"}\t1\t1\nload\t12.25\t60.5\n"
        );
    }

    #[test]
    fn an_empty_answer_says_so_to_people_and_nothing_to_programs() {
        let data = data("vector", "[]");
        assert_eq!(table(&data, 0), "(empty: no series matches)\n");
        assert_eq!(lines(&data, 0), "");
    }

    #[test]
    fn scalars_strings_and_odd_numbers_are_shown() {
        assert!(table(&data("scalar", r#"[1,"NaN"]"#), 1_000).contains("scalar    NaN  0.0s"));
        assert!(table(&data("string", r#"[1,"a\nb"]"#), 1_000).contains(r#"string  "a\nb"  0.0s"#));
        assert!(lines(&data("scalar", r#"[1,"+Inf"]"#), 1_000).contains("+Inf"));
    }

    #[test]
    fn labels_cannot_steer_the_terminal() {
        let data = data(
            "vector",
            r#"[{"metric":{"a":"\u001b[2J\n\"","b\u0007":"x"},"value":[1,"1"]}]"#,
        );
        let shown = lines(&data, 1_000);
        assert_eq!(shown, "{a=\"\\u{1b}[2J\\n\\\"\",b\\u{7}=\"x\"}\t1\t0\n");
    }

    #[test]
    fn durations_are_shown_in_two_units() {
        let shown = |s: u64| duration(Duration::from_secs(s));
        assert_eq!(
            [shown(9), shown(10), shown(61), shown(3_660), shown(90_000)],
            ["9.0s", "10s", "1m01s", "1h01m", "1d01h"]
        );
    }
}
