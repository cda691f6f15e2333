//! Query responses as Prometheus writes them, byte for byte.
//!
//! Prometheus formats samples of vectors and matrices one way and scalars and strings another: the
//! former have timestamps with three decimals and exponents beyond 1e21, the latter the shortest
//! decimal and never an exponent. There is no white space and no newline at the end.

use alloc::string::String;
use alloc::vec::Vec;

use crate::columns::{Columns, Series};
use crate::escape::{Html, write_string};
use crate::number::{Line, write_decimal, write_sample, write_short_seconds, write_timestamp_ms};
use crate::response::{Data, QueryResponse};

/// Appends a success envelope.
///
/// Warnings and infos are written when there are any. A series of a vector is written with its last
/// sample, or its last native histogram if it has no sample, and left out if it has neither.
/// Scalars and strings have their time as a binary float, exact to ±8e12 seconds.
///
/// In labels, `<`, `>` and `&` are escaped, unless the columns were decoded from a body that has them
/// plain, as Prometheus after 2.42 writes them.
///
/// The text of a [`Data::Document`] is not known here: it is written as `null`, and whoever has the
/// body it was decoded from serves that.
pub fn encode_query_response(response: &QueryResponse, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"status":"success","data":"#);
    match &response.data {
        Data::Strings(strings) => write_strings(strings, out),
        Data::Series(columns) => write_series(columns, out),
        Data::Document => out.extend_from_slice(b"null"),
        result
        @ (Data::Vector(_) | Data::Matrix(_) | Data::Scalar { .. } | Data::String { .. }) => {
            write_result(result, out);
        }
    }
    write_messages("warnings", &response.warnings, out);
    write_messages("infos", &response.infos, out);
    out.push(b'}');
}

/// Appends an error envelope: `{"status":"error","errorType":…,"error":…}`.
pub fn encode_error(error_type: &str, message: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"status":"error","errorType":"#);
    write_string(error_type, Html::Escaped, out);
    out.extend_from_slice(br#","error":"#);
    write_string(message, Html::Escaped, out);
    out.push(b'}');
}

/// Writes `{"resultType":…,"result":…}`.
fn write_result(data: &Data, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"resultType":""#);
    out.extend_from_slice(data.result_type().as_bytes());
    out.extend_from_slice(br#"","result":"#);
    match data {
        Data::Vector(columns) => write_vector(columns, out),
        Data::Matrix(columns) => write_matrix(columns, out),
        Data::Scalar {
            timestamp_ms,
            value,
        } => {
            out.push(b'[');
            write_short_seconds(*timestamp_ms, out);
            out.extend_from_slice(b",\"");
            write_decimal(*value, out);
            out.extend_from_slice(b"\"]");
        }
        Data::String {
            timestamp_ms,
            value,
        } => {
            out.push(b'[');
            write_short_seconds(*timestamp_ms, out);
            out.push(b',');
            write_string(value, Html::Escaped, out);
            out.push(b']');
        }
        Data::Strings(_) | Data::Series(_) | Data::Document => {}
    }
    out.push(b'}');
}

fn write_messages(key: &str, messages: &[String], out: &mut Vec<u8>) {
    if messages.is_empty() {
        return;
    }
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
    write_strings(messages, out);
}

fn write_strings(strings: &[String], out: &mut Vec<u8>) {
    write_list(strings.iter(), out, |text, out| {
        write_string(text, Html::Escaped, out)
    });
}

fn write_series(columns: &Columns, out: &mut Vec<u8>) {
    let html = html(columns);
    write_list(columns.iter(), out, |series, out| {
        write_labels(&series, html, out);
    });
}

/// Makes room for columns of middling numbers and short labels.
fn reserve(columns: &Columns, out: &mut Vec<u8>) {
    const SERIES_BYTES: usize = 128;
    const SAMPLE_BYTES: usize = 24;
    out.reserve(columns.len() * SERIES_BYTES + columns.sample_count() * SAMPLE_BYTES);
}

fn write_vector(columns: &Columns, out: &mut Vec<u8>) {
    reserve(columns, out);
    let html = html(columns);
    let mut line: Line = Line::new();
    let with_data = columns
        .iter()
        .filter(|series| !series.values().is_empty() || series.histograms().len() > 0);
    write_list(with_data, out, |series, out| {
        write_metric(&series, html, out);
        match (series.timestamps_ms().last(), series.values().last()) {
            (Some(&timestamp_ms), Some(&value)) => {
                out.extend_from_slice(b",\"value\":");
                write_sample(timestamp_ms, value, &mut line, out);
                line.flush(out);
            }
            _ => {
                if let Some(histogram) = series.histograms().last() {
                    out.extend_from_slice(b",\"histogram\":");
                    write_histogram(histogram, out);
                }
            }
        }
        out.push(b'}');
    });
}

fn write_matrix(columns: &Columns, out: &mut Vec<u8>) {
    reserve(columns, out);
    let html = html(columns);
    let mut line: Line = Line::new();
    write_list(columns.iter(), out, |series, out| {
        write_metric(&series, html, out);
        if !series.values().is_empty() {
            out.extend_from_slice(b",\"values\":[");
            let samples = series.timestamps_ms().iter().zip(series.values());
            for (index, (&timestamp_ms, &value)) in samples.enumerate() {
                if index > 0 {
                    line.put(b",");
                }
                write_sample(timestamp_ms, value, &mut line, out);
            }
            line.put(b"]");
            line.flush(out);
        }
        if series.histograms().len() > 0 {
            out.extend_from_slice(b",\"histograms\":");
            write_list(series.histograms(), out, write_histogram);
        }
        out.push(b'}');
    });
}

/// Opens a series: `{"metric":{…}`.
fn write_metric(series: &Series<'_>, html: Html, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"metric\":");
    write_labels(series, html, out);
}

fn write_labels(series: &Series<'_>, html: Html, out: &mut Vec<u8>) {
    out.push(b'{');
    for (index, (name, value)) in series.labels().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(name, html, out);
        out.push(b':');
        write_string(value, html, out);
    }
    out.push(b'}');
}

fn write_histogram((timestamp_ms, json): (i64, &str), out: &mut Vec<u8>) {
    out.push(b'[');
    write_timestamp_ms(timestamp_ms, out);
    out.push(b',');
    out.extend_from_slice(json.as_bytes());
    out.push(b']');
}

fn write_list<T>(
    items: impl Iterator<Item = T>,
    out: &mut Vec<u8>,
    mut write: impl FnMut(T, &mut Vec<u8>),
) {
    out.push(b'[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

fn html(columns: &Columns) -> Html {
    match columns.plain_html() {
        true => Html::Plain,
        false => Html::Escaped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::ColumnsBuilder;

    fn encoded(data: Data) -> String {
        let mut out = Vec::new();
        encode_query_response(&QueryResponse::new(data), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_vector_has_one_value_per_series() {
        let mut builder = ColumnsBuilder::new();
        builder.begin_series();
        builder.label("x", "<\u{e9}>");
        builder.sample(1_435_781_451_780, 1e-7);
        builder.begin_series();
        builder.histogram(5, r#"{"count":"1","sum":"2"}"#);
        builder.begin_series();
        builder.label("nothing", "known");
        assert_eq!(
            encoded(Data::Vector(builder.finish())),
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"x":"\u003cé\u003e"},"value":[1435781451.780,"1e-07"]},{"metric":{},"histogram":[0.005,{"count":"1","sum":"2"}]}]}}"#
        );
    }

    #[test]
    fn a_matrix_has_values_then_histograms() {
        let mut builder = ColumnsBuilder::new();
        builder.histogram(2000, "{}");
        builder.sample(1000, -0.0);
        builder.sample(1500, f64::INFINITY);
        assert_eq!(
            encoded(Data::Matrix(builder.finish())),
            r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"-0"],[1.500,"+Inf"]],"histograms":[[2,{}]]}]}}"#
        );
    }

    #[test]
    fn a_scalar_has_the_shortest_time_and_no_exponent() {
        assert_eq!(
            encoded(Data::Scalar {
                timestamp_ms: 1_435_781_451_780,
                value: 1e21
            }),
            r#"{"status":"success","data":{"resultType":"scalar","result":[1435781451.78,"1000000000000000000000"]}}"#
        );
    }

    #[test]
    fn warnings_and_infos_follow_the_data() {
        let mut response = QueryResponse::new(Data::String {
            timestamp_ms: 0,
            value: String::from("a&b"),
        });
        response.warnings.push(String::from("w"));
        response.infos.push(String::from("i"));
        let mut out = Vec::new();
        encode_query_response(&response, &mut out);
        assert_eq!(
            core::str::from_utf8(&out).unwrap(),
            r#"{"status":"success","data":{"resultType":"string","result":[0,"a\u0026b"]},"warnings":["w"],"infos":["i"]}"#
        );
    }

    #[test]
    fn an_error_names_its_type_first() {
        let mut out = Vec::new();
        encode_error("bad_data", "no \"x\"", &mut out);
        assert_eq!(
            out,
            br#"{"status":"error","errorType":"bad_data","error":"no \"x\""}"#
        );
    }
}
