//! The exposition text format, version 0.0.4: what a scrape of `/metrics` reads.

use alloc::vec::Vec;

use crate::number::{print, write_float};

/// The media type of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What kind of metric a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricType {
    /// Only ever rises, or starts again from 0.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Cumulative buckets with `le`, `_sum` and `_count`.
    Histogram,
    /// Quantiles with `quantile`, `_sum` and `_count`.
    Summary,
    /// Not known.
    Untyped,
}

impl MetricType {
    /// The word of the `# TYPE` line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
            Self::Untyped => "untyped",
        }
    }
}

/// Appends metric families to a byte vector.
///
/// Write each family once, followed by its samples, and each combination of name and labels once:
/// the format asks for it and this does not check it.
///
/// ```
/// use tidegate_wire::text::{MetricType, TextWriter};
///
/// let mut out = Vec::new();
/// let mut text = TextWriter::new(&mut out);
/// text.family("hits_total", MetricType::Counter, "Answers from memory.");
/// text.sample("hits_total", [("source", "prom")], 3.0);
/// assert_eq!(
///     String::from_utf8(out).unwrap(),
///     "# HELP hits_total Answers from memory.\n# TYPE hits_total counter\nhits_total{source=\"prom\"} 3\n",
/// );
/// ```
#[derive(Debug)]
pub struct TextWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> TextWriter<'a> {
    /// A writer that appends to `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// Writes the `# HELP` and `# TYPE` lines of a family; without help only the latter.
    ///
    /// # Panics
    ///
    /// If `name` is not a metric name: letters, digits, `_` and `:`, not beginning with a digit.
    pub fn family(&mut self, name: &str, kind: MetricType, help: &str) -> &mut Self {
        assert!(is_metric_name(name), "{name:?} is a metric name");
        if !help.is_empty() {
            print(format_args!("# HELP {name} "), self.out);
            write_escaped(help, Quoted::No, self.out);
            self.out.push(b'\n');
        }
        print(format_args!("# TYPE {name} {}\n", kind.as_str()), self.out);
        self
    }

    /// Writes a sample without timestamp; the scraper says when it was.
    ///
    /// # Panics
    ///
    /// If `name` is not a metric name or a label's name not a label name: letters, digits and `_`,
    /// not beginning with a digit. [`is_metric_name`] and [`is_label_name`] tell.
    pub fn sample<'l>(
        &mut self,
        name: &str,
        labels: impl IntoIterator<Item = (&'l str, &'l str)>,
        value: f64,
    ) -> &mut Self {
        self.write_sample(name, labels, value);
        self.out.push(b'\n');
        self
    }

    /// Writes a sample with its time in milliseconds since the Unix epoch.
    ///
    /// # Panics
    ///
    /// As [`sample`](Self::sample).
    pub fn sample_at<'l>(
        &mut self,
        name: &str,
        labels: impl IntoIterator<Item = (&'l str, &'l str)>,
        value: f64,
        timestamp_ms: i64,
    ) -> &mut Self {
        self.write_sample(name, labels, value);
        print(format_args!(" {timestamp_ms}\n"), self.out);
        self
    }

    fn write_sample<'l>(
        &mut self,
        name: &str,
        labels: impl IntoIterator<Item = (&'l str, &'l str)>,
        value: f64,
    ) {
        assert!(is_metric_name(name), "{name:?} is a metric name");
        self.out.extend_from_slice(name.as_bytes());
        let mut open = false;
        for (label, value) in labels {
            assert!(is_label_name(label), "{label:?} is a label name");
            self.out.push(if open { b',' } else { b'{' });
            open = true;
            print(format_args!("{label}=\""), self.out);
            write_escaped(value, Quoted::Yes, self.out);
            self.out.push(b'"');
        }
        if open {
            self.out.push(b'}');
        }
        self.out.push(b' ');
        write_float(value, self.out);
    }
}

/// Whether `name` may name a metric: letters, digits, `_` and `:`, not beginning with a digit.
pub fn is_metric_name(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'))
}

/// Whether `name` may name a label: letters, digits and `_`, not beginning with a digit.
pub fn is_label_name(name: &str) -> bool {
    is_metric_name(name) && !name.contains(':')
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quoted {
    Yes,
    No,
}

/// Escapes backslash and line feed, and the quote where the text is quoted.
fn write_escaped(text: &str, quoted: Quoted, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'"' if quoted == Quoted::Yes => out.extend_from_slice(b"\\\""),
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl Fn(&mut TextWriter<'_>)) -> alloc::string::String {
        let mut out = Vec::new();
        write(&mut TextWriter::new(&mut out));
        alloc::string::String::from_utf8(out).unwrap()
    }

    #[test]
    fn help_and_label_values_are_escaped_each_in_its_way() {
        let text = written(|text| {
            text.family("a:b", MetricType::Gauge, "a \"b\"\\\nc");
            text.sample("a:b", [("x", "\"\\\n"), ("y", "é")], -0.0);
        });
        assert_eq!(
            text,
            "# HELP a:b a \"b\"\\\\\\nc\n# TYPE a:b gauge\na:b{x=\"\\\"\\\\\\n\",y=\"é\"} -0\n"
        );
    }

    #[test]
    fn values_have_their_words_and_times_are_milliseconds() {
        let text = written(|text| {
            text.sample("a", [], f64::NAN)
                .sample("a", [], f64::INFINITY)
                .sample_at("a", [], 1e-7, -5);
        });
        assert_eq!(text, "a NaN\na +Inf\na 1e-07 -5\n");
    }

    #[test]
    fn without_help_there_is_no_help_line() {
        assert_eq!(
            written(|text| {
                text.family("a", MetricType::Untyped, "");
            }),
            "# TYPE a untyped\n"
        );
    }

    #[test]
    fn names_are_told_from_what_is_none() {
        for name in ["a", "_", "a1", "a:b", ":"] {
            assert!(is_metric_name(name), "{name}");
        }
        for name in ["", "1a", "a-b", "é", "a b", "a\n"] {
            assert!(!is_metric_name(name), "{name:?}");
        }
        assert!(is_label_name("__name__") && !is_label_name("a:b"));
    }

    #[test]
    #[should_panic(expected = "is a label name")]
    fn a_label_that_would_break_the_format_is_a_bug() {
        written(|text| {
            text.sample("a", [("x\"} 1\nb", "")], 1.0);
        });
    }
}
