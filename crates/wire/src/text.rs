//! The exposition formats: what a scrape of `/metrics` reads, as text 0.0.4 or as OpenMetrics 1.0.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::ExpositionFormat;
use crate::number::{append_first, print, write_float, write_timestamp_ms};

/// The media type of text 0.0.4.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The media type of OpenMetrics.
pub const OPENMETRICS_CONTENT_TYPE: &str =
    "application/openmetrics-text; version=1.0.0; charset=utf-8";

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
    /// The word of the `# TYPE` line in text; OpenMetrics has `unknown` for `untyped`.
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
    format: ExpositionFormat,
}

impl<'a> TextWriter<'a> {
    /// A writer of text 0.0.4 that appends to `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self::in_format(ExpositionFormat::Text, out)
    }

    /// A writer that appends to `out`. OpenMetrics wants [`end`](Self::end) after the last family.
    pub fn in_format(format: ExpositionFormat, out: &'a mut Vec<u8>) -> Self {
        Self { out, format }
    }

    /// Writes the `# HELP` and `# TYPE` lines of a family; without help only the latter.
    ///
    /// A counter is named as its samples are. OpenMetrics wants these to end in `_total`, and has the
    /// family without.
    ///
    /// # Panics
    ///
    /// If `name` is not a metric name: letters, digits, `_` and `:`, not beginning with a digit; if it is a
    /// counter's and does not end as OpenMetrics wants it.
    pub fn family(&mut self, name: &str, kind: MetricType, help: &str) -> &mut Self {
        assert!(is_metric_name(name), "{name:?} is a metric name");
        let (name, word, quotes) = match self.format {
            ExpositionFormat::Text => (name, kind.as_str(), Quoted::No),
            ExpositionFormat::OpenMetrics => (base(name, kind), word(kind), Quoted::Yes),
        };
        if !help.is_empty() {
            print(format_args!("# HELP {name} "), self.out);
            write_escaped(help, quotes, self.out);
            self.out.push(b'\n');
        }
        print(format_args!("# TYPE {name} {word}\n"), self.out);
        self
    }

    /// Writes the `# UNIT` line of the family that was just begun, where the format has one and allows
    /// it: in OpenMetrics, if the family's name ends in the unit after an underscore.
    ///
    /// # Panics
    ///
    /// As [`family`](Self::family).
    pub fn unit(&mut self, name: &str, kind: MetricType, unit: &str) -> &mut Self {
        if self.format == ExpositionFormat::OpenMetrics {
            let name = base(name, kind);
            let before = name.strip_suffix(unit).unwrap_or_default();
            if !unit.is_empty() && before.ends_with('_') && before.len() > 1 {
                print(format_args!("# UNIT {name} {unit}\n"), self.out);
            }
        }
        self
    }

    /// Writes a sample whose labels were written before: quicker than [`sample`](Self::sample), for
    /// whoever exposes the same series again and again. Its name is `name` with `suffix`.
    ///
    /// # Panics
    ///
    /// As [`sample`](Self::sample); the suffix is not looked at.
    pub fn series(
        &mut self,
        name: &str,
        suffix: &str,
        labels: [&LabelText; 2],
        value: f64,
    ) -> &mut Self {
        write_beginning(name, suffix, labels, self.out);
        write_float(value, self.out);
        self.out.push(b'\n');
        self
    }

    /// Writes the samples of series that were begun before, each with its value; one without is left out.
    /// This is the quickest way, for whoever exposes the same series again and again.
    ///
    /// # Panics
    ///
    /// If there are not as many values as beginnings.
    pub fn samples(&mut self, beginnings: &Beginnings, values: &[Option<f64>]) -> &mut Self {
        assert_eq!(
            beginnings.ends.len(),
            values.len(),
            "each series has a value or none"
        );
        let out = &mut *self.out;
        out.reserve(beginnings.text.len() + values.len() * SERIES_BYTES);
        let mut begin = 0;
        for (&end, value) in beginnings.ends.iter().zip(values) {
            if let Some(value) = value {
                beginnings.copy(begin, end, out);
                write_float(*value, out);
                out.push(b'\n');
            }
            begin = end;
        }
        self
    }

    /// Writes what has to be last: `# EOF` in OpenMetrics.
    pub fn end(&mut self) {
        if self.format == ExpositionFormat::OpenMetrics {
            self.out.extend_from_slice(b"# EOF\n");
        }
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
        match self.format {
            ExpositionFormat::Text => print(format_args!(" {timestamp_ms}"), self.out),
            ExpositionFormat::OpenMetrics => {
                self.out.push(b' ');
                write_timestamp_ms(timestamp_ms, self.out);
            }
        }
        self.out.push(b'\n');
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
        let brace = self.out.len();
        self.out.push(b'{');
        write_labels(labels, self.out);
        if self.out.len() == brace + 1 {
            self.out.pop();
        } else {
            self.out.push(b'}');
        }
        self.out.push(b' ');
        write_float(value, self.out);
    }
}

/// The most that the braces, the comma, the blank, a number and the line feed of a sample take, but for
/// the longest numbers.
const SERIES_BYTES: usize = 32;

/// Labels as they stand in a sample, written once for many expositions.
///
/// ```
/// use tidegate_wire::text::{LabelText, TextWriter};
///
/// let (route, le) = (LabelText::new([("route", "/")]), LabelText::new([("le", "0.5")]));
/// let mut out = Vec::new();
/// TextWriter::new(&mut out).series("took_seconds", "_bucket", [&route, &le], 3.0);
/// assert_eq!(out, b"took_seconds_bucket{route=\"/\",le=\"0.5\"} 3\n");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LabelText(Box<str>);

impl LabelText {
    /// No label.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// These labels, in this order, each name once.
    ///
    /// # Panics
    ///
    /// If a name is not a label name.
    #[must_use]
    pub fn new<'l>(labels: impl IntoIterator<Item = (&'l str, &'l str)>) -> Self {
        let mut out = Vec::new();
        write_labels(labels, &mut out);
        let text = String::from_utf8(out).expect("escaping keeps it text");
        Self(text.into_boxed_str())
    }
}

/// How the samples of many series begin: names and labels, written once for many expositions.
///
/// ```
/// use tidegate_wire::text::{Beginnings, LabelText, TextWriter};
///
/// let mut beginnings = Beginnings::default();
/// for route in ["/", "/items"] {
///     beginnings.push("hits_total", &LabelText::new([("route", route)]));
/// }
/// let mut out = Vec::new();
/// TextWriter::new(&mut out).samples(&beginnings, &[Some(3.0), None]);
/// assert_eq!(out, b"hits_total{route=\"/\"} 3\n");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Beginnings {
    /// One after the other, and [`STEP`] bytes that belong to none.
    text: Vec<u8>,
    ends: Vec<usize>,
}

/// So many bytes of a beginning are copied at once, and perhaps some too many.
const STEP: usize = 32;

impl Beginnings {
    /// Adds a series.
    ///
    /// # Panics
    ///
    /// If `name` is not a metric name.
    pub fn push(&mut self, name: &str, labels: &LabelText) {
        assert!(is_metric_name(name), "{name:?} is a metric name");
        self.text.truncate(self.ends.last().map_or(0, |end| *end));
        write_beginning(name, "", [labels, &LabelText::none()], &mut self.text);
        self.ends.push(self.text.len());
        self.text.extend_from_slice(&[0; STEP]);
    }

    /// Appends what is from `begin` to `end`.
    #[inline(always)]
    fn copy(&self, mut begin: usize, end: usize, out: &mut Vec<u8>) {
        while begin < end {
            let step = self.text[begin..].first_chunk::<STEP>();
            let step = step.expect("so many follow every beginning");
            append_first(step, STEP.min(end - begin), out);
            begin += STEP;
        }
    }
}

/// Writes a sample up to its value.
fn write_beginning(name: &str, suffix: &str, labels: [&LabelText; 2], out: &mut Vec<u8>) {
    debug_assert!(is_metric_name(name), "{name:?} is a metric name");
    let [first, second] = labels.map(|labels| labels.0.as_bytes());
    // One piece of room for all of it, and the value.
    out.reserve(name.len() + suffix.len() + first.len() + second.len() + SERIES_BYTES);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(suffix.as_bytes());
    if !first.is_empty() || !second.is_empty() {
        out.push(b'{');
        out.extend_from_slice(first);
        if !first.is_empty() && !second.is_empty() {
            out.push(b',');
        }
        out.extend_from_slice(second);
        out.push(b'}');
    }
    out.push(b' ');
}

/// Writes labels, separated by commas.
fn write_labels<'l>(labels: impl IntoIterator<Item = (&'l str, &'l str)>, out: &mut Vec<u8>) {
    let begin = out.len();
    for (label, value) in labels {
        assert!(is_label_name(label), "{label:?} is a label name");
        if out.len() > begin {
            out.push(b',');
        }
        out.extend_from_slice(label.as_bytes());
        out.extend_from_slice(b"=\"");
        write_escaped(value, Quoted::Yes, out);
        out.push(b'"');
    }
}

/// The name of a family in OpenMetrics.
fn base(name: &str, kind: MetricType) -> &str {
    match kind {
        MetricType::Counter => {
            let base = name.strip_suffix("_total");
            base.unwrap_or_else(|| panic!("the counter {name:?} ends in _total"))
        }
        MetricType::Gauge | MetricType::Histogram | MetricType::Summary | MetricType::Untyped => {
            name
        }
    }
}

/// The word of a kind in OpenMetrics.
fn word(kind: MetricType) -> &'static str {
    match kind {
        MetricType::Untyped => "unknown",
        MetricType::Counter | MetricType::Gauge | MetricType::Histogram | MetricType::Summary => {
            kind.as_str()
        }
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
    let special = |byte| matches!(byte, b'\\' | b'\n' | b'"');
    if !text.bytes().any(special) {
        return out.extend_from_slice(text.as_bytes());
    }
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

    fn written(write: impl Fn(&mut TextWriter<'_>)) -> String {
        let mut out = Vec::new();
        write(&mut TextWriter::new(&mut out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn beginnings_of_every_length_are_copied_as_they_are() {
        let values: Vec<_> = (0..3 * STEP).map(|length| "x".repeat(length)).collect();
        let (mut beginnings, mut expected) = (Beginnings::default(), String::new());
        for (number, value) in values.iter().enumerate() {
            beginnings.push("a", &LabelText::new([("b", value.as_str())]));
            if number % 3 > 0 {
                expected += &alloc::format!("a{{b=\"{value}\"}} {number}\n");
            }
        }
        let numbers: Vec<_> = (0..values.len())
            .map(|number| (number % 3 > 0).then_some(number as f64))
            .collect();
        let text = written(|text| {
            text.samples(&beginnings, &numbers);
        });
        assert_eq!(text, expected);
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
    fn openmetrics_names_counters_without_total_and_has_units_and_an_end() {
        let mut out = Vec::new();
        let mut text = TextWriter::in_format(ExpositionFormat::OpenMetrics, &mut out);
        let name = "cpu_seconds_total";
        text.family(name, MetricType::Counter, "a \"b\"")
            .unit(name, MetricType::Counter, "seconds")
            .sample_at(name, [("mode", "idle")], 0.5, 1_500);
        text.family("odd", MetricType::Untyped, "")
            .unit("odd", MetricType::Untyped, "bytes")
            .series("odd", "", [&LabelText::none(), &LabelText::none()], 1.0)
            .end();
        let expected = "# HELP cpu_seconds a \\\"b\\\"\n# TYPE cpu_seconds counter\n# UNIT cpu_seconds seconds\n\
            cpu_seconds_total{mode=\"idle\"} 0.5 1.500\n# TYPE odd unknown\nodd 1\n# EOF\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    #[should_panic(expected = "ends in _total")]
    fn an_openmetrics_counter_without_total_is_a_bug() {
        let mut out = Vec::new();
        let mut text = TextWriter::in_format(ExpositionFormat::OpenMetrics, &mut out);
        text.family("hits", MetricType::Counter, "");
    }

    #[test]
    fn series_are_written_as_samples_are() {
        let [none, a, b] = [
            LabelText::none(),
            LabelText::new([("a", "x\"\n"), ("b", "")]),
            LabelText::new([("c", "\\")]),
        ];
        let quick = written(|text| {
            text.series("m", "_sum", [&none, &none], 1.0)
                .series("m", "", [&a, &none], -2.5)
                .series("m", "", [&none, &b], 1e300)
                .series("m", "", [&a, &b], f64::NAN);
            let mut beginnings = Beginnings::default();
            beginnings.push("n", &none);
            beginnings.push("left_out", &a);
            beginnings.push("n", &a);
            text.samples(&beginnings, &[Some(0.5), None, Some(1e300)]);
        });
        let slow = written(|text| {
            text.sample("m_sum", [], 1.0)
                .sample("m", [("a", "x\"\n"), ("b", "")], -2.5)
                .sample("m", [("c", "\\")], 1e300)
                .sample("m", [("a", "x\"\n"), ("b", ""), ("c", "\\")], f64::NAN)
                .sample("n", [], 0.5)
                .sample("n", [("a", "x\"\n"), ("b", "")], 1e300);
        });
        assert_eq!(quick, slow);
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
