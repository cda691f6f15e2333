//! What was recorded, as lines of JSON: what a file of records keeps.
//!
//! ```text
//! {"tidegate_lines":1}
//! {"family":"hits_total","type":"counter","help":"Answers from memory.","unit":""}
//! {"name":"hits_total","labels":{"job":"x"},"value":3,"timestamp_ms":1000}
//! {"kind":"counter","name":"hits_total","labels":{"job":"x"},"value":1,"timestamp_ms":1000}
//! ```
//! The first says the version of the format, at the beginning of a file. The second says what a metric
//! is. The third is a sample: the state of a series. The fourth is an
//! event: something that happened once, and what a sample then comes to is for its reader to add up.
//!
//! A value is a number, or a text for what JSON has no number for: `"NaN"`, `"+Inf"`, `"-Inf"`,
//! `"stale"` for the marker that ends a series, and `"NaN:"` with the sixteen hex digits of its bits
//! for any other NaN. Numbers read back bit for bit. Labels have no order, and `timestamp_ms`,
//! milliseconds since the Unix epoch, may be missing where the reader knows the time. Keys that are
//! not known are refused: they are most likely misspelt.

mod decode;
mod error;

use alloc::borrow::Cow;
use alloc::vec::Vec;

pub use decode::{LABELS_MAX, LINE_BYTES_MAX, decode_line};
pub use error::LineError;

use crate::escape::{Html, write_string};
use crate::number::{print, write_float};
use crate::scrape::{FamilyHeader, FamilyKind};

/// The version of the format.
pub const VERSION: u32 = 1;

/// The NaN by which Prometheus says that a series has ended.
const STALE_MARKER_BITS: u64 = 0x7ff0_0000_0000_0002;

/// What one line says.
#[derive(Clone, Debug, PartialEq)]
pub enum Line<'a> {
    /// Which version of the format follows.
    Version(u32),
    /// What a metric is.
    Family(FamilyHeader),
    /// A sample or an event.
    Record(RecordLine<'a>),
}

/// One sample or event.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordLine<'a> {
    /// What the value says.
    pub kind: LineKind,
    /// Names and values, the metric's name among them under `__name__`, sorted by name; no name comes
    /// twice. Whether they are valid is not judged.
    pub labels: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// The value.
    pub value: f64,
    /// When, in milliseconds since the Unix epoch; `None` where the line does not say.
    pub timestamp_ms: Option<i64>,
}

/// What the value of a line says of its metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineKind {
    /// The series stands at so much; `sample`, or no kind at all.
    #[default]
    Sample,
    /// It grew by so much.
    Counter,
    /// It is so much now.
    Gauge,
    /// Something took so many seconds.
    Timer,
    /// So much was observed once.
    Histogram,
    /// Whatever was agreed on.
    Custom,
}

impl LineKind {
    const ALL: [Self; 6] = [
        Self::Sample,
        Self::Counter,
        Self::Gauge,
        Self::Timer,
        Self::Histogram,
        Self::Custom,
    ];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sample => "sample",
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Timer => "timer",
            Self::Histogram => "histogram",
            Self::Custom => "custom",
        }
    }

    fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Appends the line that begins a file.
pub fn write_version(out: &mut Vec<u8>) {
    print(format_args!("{{\"tidegate_lines\":{VERSION}}}\n"), out);
}

/// Appends the line of a metric's description.
pub fn write_family(name: &str, kind: FamilyKind, help: &str, unit: &str, out: &mut Vec<u8>) {
    let texts = [
        ("{\"family\":", name),
        (",\"type\":", kind.as_str()),
        (",\"help\":", help),
        (",\"unit\":", unit),
    ];
    for (key, text) in texts {
        out.extend_from_slice(key.as_bytes());
        write_string(text, Html::Plain, out);
    }
    out.extend_from_slice(b"}\n");
}

/// Appends the line of a sample or an event. The metric's name is the label `__name__`, if there is one.
///
/// ```
/// use tidegate_wire::lines::{LineKind, write_record};
///
/// let mut out = Vec::new();
/// let labels = [("__name__", "load"), ("host", "a")];
/// write_record(LineKind::Gauge, labels, f64::NAN, 1_000, &mut out);
/// assert_eq!(
///     String::from_utf8(out).unwrap(),
///     "{\"kind\":\"gauge\",\"name\":\"load\",\"labels\":{\"host\":\"a\"},\"value\":\"NaN\",\"timestamp_ms\":1000}\n",
/// );
/// ```
pub fn write_record<'l>(
    kind: LineKind,
    labels: impl IntoIterator<Item = (&'l str, &'l str), IntoIter: Clone>,
    value: f64,
    timestamp_ms: i64,
    out: &mut Vec<u8>,
) {
    let labels = labels.into_iter();
    out.push(b'{');
    if kind != LineKind::Sample {
        print(format_args!("\"kind\":\"{}\",", kind.as_str()), out);
    }
    let mut others = labels.clone();
    let name = others.find(|(label, _)| *label == METRIC_NAME);
    if let Some((_, name)) = name {
        out.extend_from_slice(b"\"name\":");
        write_string(name, Html::Plain, out);
        out.push(b',');
    }
    out.extend_from_slice(b"\"labels\":{");
    let others = labels.filter(|(label, _)| *label != METRIC_NAME);
    for (nth, (label, text)) in others.enumerate() {
        if nth > 0 {
            out.push(b',');
        }
        write_string(label, Html::Plain, out);
        out.push(b':');
        write_string(text, Html::Plain, out);
    }
    out.extend_from_slice(b"},\"value\":");
    write_value(value, out);
    print(format_args!(",\"timestamp_ms\":{timestamp_ms}}}\n"), out);
}

/// The label that holds a metric's name.
const METRIC_NAME: &str = "__name__";

fn write_value(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        return write_float(value, out);
    }
    match value.to_bits() {
        STALE_MARKER_BITS => out.extend_from_slice(b"\"stale\""),
        bits if value.is_nan() && bits != f64::NAN.to_bits() => {
            print(format_args!("\"NaN:{bits:016x}\""), out);
        }
        _ => {
            out.push(b'"');
            write_float(value, out);
            out.push(b'"');
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned;
    use alloc::string::String;

    use proptest::prelude::*;

    use super::*;

    fn some_value() -> impl Strategy<Value = f64> {
        let odd = [
            f64::NAN.to_bits(),
            STALE_MARKER_BITS,
            (-f64::NAN).to_bits(),
            f64::INFINITY.to_bits(),
            f64::NEG_INFINITY.to_bits(),
            (-0.0_f64).to_bits(),
            5e-324_f64.to_bits(),
            f64::MAX.to_bits(),
        ];
        let odd = prop::sample::select(odd.to_vec());
        prop_oneof![
            odd.prop_map(f64::from_bits),
            any::<u64>().prop_map(f64::from_bits)
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_bit_for_bit(
            labels in prop::collection::btree_map("\\PC{1,4}|__name__", any::<String>(), 0..5),
            kind in prop::sample::select(&LineKind::ALL[..]),
            value in some_value(),
            timestamp_ms: i64,
        ) {
            let mut out = Vec::new();
            let pairs = labels.iter().map(|(name, value)| (&**name, &**value));
            write_record(kind, pairs, value, timestamp_ms, &mut out);
            prop_assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
            let Line::Record(found) = decode_line(&out).unwrap() else { panic!("a record") };
            prop_assert_eq!((found.kind, found.timestamp_ms), (kind, Some(timestamp_ms)));
            prop_assert_eq!(found.value.to_bits(), value.to_bits());
            let found: Vec<(String, String)> =
                found.labels.iter().map(|(n, v)| (n.as_ref().to_owned(), v.as_ref().to_owned())).collect();
            prop_assert_eq!(found, labels.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn a_family_reads_back(name: String, help: String, unit: String, kind in 0_usize..8) {
            let kind = crate::remote_write::KINDS[kind];
            let mut out = Vec::new();
            write_family(&name, kind, &help, &unit, &mut out);
            let expected = FamilyHeader { name, kind, help, unit };
            prop_assert_eq!(decode_line(&out), Ok(Line::Family(expected)));
        }
    }

    #[test]
    fn the_version_reads_back() {
        let mut out = Vec::new();
        write_version(&mut out);
        assert_eq!(out, b"{\"tidegate_lines\":1}\n");
        assert_eq!(decode_line(&out), Ok(Line::Version(VERSION)));
    }
}
