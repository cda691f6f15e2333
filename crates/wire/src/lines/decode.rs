//! Lines in.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Line, LineError, LineKind, METRIC_NAME, RecordLine, STALE_MARKER_BITS};
use crate::decode::DecodeLimits;
use crate::number::parse_float;
use crate::reader::Reader;
use crate::scrape::{FamilyHeader, FamilyKind};

/// How long a line may be: the labels of Kubernetes, all at their longest, take less.
pub const LINE_BYTES_MAX: usize = 512 * 1024;

/// How many labels a line may have, as many as a series of an answer.
pub const LABELS_MAX: usize = DecodeLimits::LABELS_PER_SERIES;

/// A line is an object with an object in it.
const DEPTH: usize = 2;

type Result<T> = core::result::Result<T, LineError>;

/// Decodes one line; its line feed may be there or not.
///
/// # Errors
///
/// What is wrong with it first.
///
/// ```
/// use tidegate_wire::lines::{Line, decode_line};
///
/// let line = br#"{"name":"load","labels":{"host":"a"},"value":0.5}"#;
/// let Ok(Line::Record(record)) = decode_line(line) else { panic!("a record") };
/// assert_eq!((record.value, record.timestamp_ms), (0.5, None));
/// assert_eq!(record.labels[0], ("__name__".into(), "load".into()));
/// ```
pub fn decode_line(line: &[u8]) -> Result<Line<'_>> {
    if line.len() > LINE_BYTES_MAX {
        return Err(LineError::TooLarge {
            what: "bytes",
            limit: LINE_BYTES_MAX,
        });
    }
    let mut reader = Reader::new(line, DEPTH)?;
    reader.expect(b'{', "`{`")?;
    let mut fields = Fields::default();
    let mut first = true;
    while let Some(key) = reader.key(&mut first)? {
        fields.read(&key, &mut reader)?;
    }
    reader.end()?;
    fields.finish(reader.position())
}

/// What the keys of a line brought, whichever sort of line it is.
#[derive(Default)]
struct Fields<'a> {
    version: Option<u32>,
    family: Option<Cow<'a, str>>,
    family_kind: Option<FamilyKind>,
    help: Option<Cow<'a, str>>,
    unit: Option<Cow<'a, str>>,
    kind: Option<LineKind>,
    name: Option<Cow<'a, str>>,
    labels: Option<Vec<(Cow<'a, str>, Cow<'a, str>)>>,
    value: Option<f64>,
    timestamp_ms: Option<i64>,
}

impl<'a> Fields<'a> {
    fn read(&mut self, key: &str, reader: &mut Reader<'a>) -> Result<()> {
        let at = reader.position();
        match key {
            "tidegate_lines" => set(&mut self.version, version(reader)?, key, at),
            "family" => set(&mut self.family, reader.string("a text")?, key, at),
            "type" => set(&mut self.family_kind, family_kind(reader)?, key, at),
            "help" => set(&mut self.help, reader.string("a text")?, key, at),
            "unit" => set(&mut self.unit, reader.string("a text")?, key, at),
            "kind" => set(&mut self.kind, kind(reader)?, key, at),
            "name" => set(&mut self.name, reader.string("a text")?, key, at),
            "labels" => set(&mut self.labels, labels(reader)?, key, at),
            "value" => set(&mut self.value, value(reader)?, key, at),
            "timestamp_ms" => set(&mut self.timestamp_ms, timestamp(reader)?, key, at),
            _ => Err(LineError::unknown(key, at)),
        }
    }

    /// The line, if its keys are of one sort.
    fn finish(self, position: usize) -> Result<Line<'a>> {
        if self.version.is_some() {
            self.allow(Sort::Version, position)?;
            return Ok(Line::Version(self.version.unwrap_or_default()));
        }
        if self.family.is_some() {
            self.allow(Sort::Family, position)?;
            let text = |text: Option<Cow<'a, str>>| text.map_or_else(String::new, Cow::into_owned);
            return Ok(Line::Family(FamilyHeader {
                name: text(self.family),
                kind: self.family_kind.unwrap_or_default(),
                unit: text(self.unit),
                help: text(self.help),
            }));
        }
        self.allow(Sort::Record, position)?;
        let value = self.value.ok_or(LineError::NoValue)?;
        let mut labels = self.labels.unwrap_or_default();
        if let Some(name) = self.name {
            labels.push((Cow::Borrowed(METRIC_NAME), name));
        }
        labels.sort_unstable();
        if let Some(twins) = labels.windows(2).find(|two| two[0].0 == two[1].0) {
            return Err(LineError::duplicate(&twins[0].0, position));
        }
        Ok(Line::Record(RecordLine {
            kind: self.kind.unwrap_or_default(),
            labels,
            value,
            timestamp_ms: self.timestamp_ms,
        }))
    }

    /// Refuses keys of lines of another sort.
    fn allow(&self, sort: Sort, position: usize) -> Result<()> {
        let keys = [
            (self.version.is_some(), "tidegate_lines", Sort::Version),
            (self.family.is_some(), "family", Sort::Family),
            (self.family_kind.is_some(), "type", Sort::Family),
            (self.help.is_some(), "help", Sort::Family),
            (self.unit.is_some(), "unit", Sort::Family),
            (self.kind.is_some(), "kind", Sort::Record),
            (self.name.is_some(), "name", Sort::Record),
            (self.labels.is_some(), "labels", Sort::Record),
            (self.value.is_some(), "value", Sort::Record),
            (self.timestamp_ms.is_some(), "timestamp_ms", Sort::Record),
        ];
        let foreign = keys.iter().find(|(given, _, of)| *given && *of != sort);
        match foreign {
            Some((_, key, _)) => Err(LineError::unknown(key, position)),
            None => Ok(()),
        }
    }
}

/// What a line is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Version,
    Family,
    Record,
}

fn set<T>(field: &mut Option<T>, value: T, key: &str, position: usize) -> Result<()> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(LineError::duplicate(key, position)),
    }
}

fn version(reader: &mut Reader<'_>) -> Result<u32> {
    let digits = reader.number("a version")?;
    let version = digits.parse();
    version.map_err(|_| LineError::word("a version", digits, reader.position()))
}

fn kind(reader: &mut Reader<'_>) -> Result<LineKind> {
    let word = reader.string("a kind")?;
    let expected = "sample, counter, gauge, timer, histogram or custom";
    LineKind::of(&word).ok_or_else(|| LineError::word(expected, &word, reader.position()))
}

fn family_kind(reader: &mut Reader<'_>) -> Result<FamilyKind> {
    let word = reader.string("a type")?;
    let expected = "a type of metric";
    FamilyKind::of(&word).ok_or_else(|| LineError::word(expected, &word, reader.position()))
}

fn labels<'a>(reader: &mut Reader<'a>) -> Result<Vec<(Cow<'a, str>, Cow<'a, str>)>> {
    reader.expect(b'{', "an object of labels")?;
    let (mut labels, mut first) = (Vec::new(), true);
    while let Some(name) = reader.key(&mut first)? {
        if labels.len() == LABELS_MAX {
            return Err(LineError::TooLarge {
                what: "labels",
                limit: LABELS_MAX,
            });
        }
        labels.push((name, reader.string("a text")?));
    }
    Ok(labels)
}

fn value(reader: &mut Reader<'_>) -> Result<f64> {
    let expected = "a number";
    if reader.peek()? != b'"' {
        let number = reader.number(expected)?;
        return parse_float(number)
            .map_err(|_| LineError::word(expected, number, reader.position()));
    }
    let word = reader.string(expected)?;
    let value = match (&*word, word.strip_prefix("NaN:")) {
        ("stale", _) => Some(f64::from_bits(STALE_MARKER_BITS)),
        (_, Some(bits)) if bits.len() == 16 => u64::from_str_radix(bits, 16)
            .ok()
            .map(f64::from_bits)
            .filter(|value| value.is_nan()),
        _ => parse_float(&word).ok(),
    };
    value.ok_or_else(|| LineError::word(expected, &word, reader.position()))
}

fn timestamp(reader: &mut Reader<'_>) -> Result<i64> {
    let expected = "whole milliseconds";
    let number = reader.number(expected)?;
    let parsed = number.parse();
    parsed.map_err(|_| LineError::word(expected, number, reader.position()))
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::{format, vec};

    use proptest::prelude::*;

    use super::*;

    fn refusal(line: &str) -> String {
        decode_line(line.as_bytes()).unwrap_err().to_string()
    }

    fn read(line: &str) -> RecordLine<'_> {
        match decode_line(line.as_bytes()) {
            Ok(Line::Record(record)) => record,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn little_has_to_be_said() {
        let least = RecordLine {
            kind: LineKind::Sample,
            labels: vec![],
            value: 1.0,
            timestamp_ms: None,
        };
        assert_eq!(read(r#"{"value":1}"#), least);
        assert_eq!(
            read(" { \"kind\" : \"sample\" , \"value\" : \"1\" } \r\n"),
            least
        );
    }

    #[test]
    fn a_name_is_a_label() {
        let found = read(r#"{"labels":{"b":"2","__a":"1"},"name":"up","value":1}"#);
        let names: Vec<&str> = found.labels.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["__a", METRIC_NAME, "b"]);
    }

    #[test]
    fn each_mistake_is_named() {
        for (line, said) in [
            (r#"{"name":"a"}"#, "the line has no value"),
            (
                r#"{"nane":"a"}"#,
                r#"unknown key "nane" before byte 8 of the line"#,
            ),
            (
                r#"{"value":1,"value":2}"#,
                r#""value" comes twice, before byte 19 of the line"#,
            ),
            (
                r#"{"name":"a","labels":{"__name__":"b"},"value":1}"#,
                r#""__name__" comes twice, before byte 48 of the line"#,
            ),
            (
                r#"{"value":"1x"}"#,
                r#"expected a number, found "1x" before byte 13 of the line"#,
            ),
            (
                r#"{"value":1e999}"#,
                r#"expected a number, found "1e999" before byte 14 of the line"#,
            ),
            (
                r#"{"value":"NaN:3ff0000000000000"}"#,
                r#"expected a number, found "NaN:3ff0000000000000" before byte 31 of the line"#,
            ),
            (
                r#"{"value":null}"#,
                "expected a number at byte 9 of the line",
            ),
            (
                r#"{"value":1,"timestamp_ms":1.5}"#,
                r#"expected whole milliseconds, found "1.5" before byte 29 of the line"#,
            ),
            (
                r#"{"kind":"rate","value":1}"#,
                r#"expected sample, counter, gauge, timer, histogram or custom, found "rate" before byte 14 of the line"#,
            ),
            (
                r#"{"family":"a","value":1}"#,
                r#"unknown key "value" before byte 24 of the line"#,
            ),
            (r#"{"value":1"#, "the line is cut off after 10 bytes"),
            (
                r#"{"value":1}{"#,
                "expected the end of the body at byte 11 of the line",
            ),
            ("", "the line is cut off after 0 bytes"),
            ("[1]", "expected `{` at byte 0 of the line"),
        ] {
            assert_eq!(refusal(line), said, "{line}");
        }
    }

    #[test]
    fn limits_are_accepted_and_one_more_is_not() {
        let labels = |count: usize| {
            let labels: Vec<String> = (0..count).map(|nth| format!("\"l{nth}\":\"x\"")).collect();
            format!("{{\"value\":1,\"labels\":{{{}}}}}", labels.join(","))
        };
        assert_eq!(read(&labels(LABELS_MAX)).labels.len(), LABELS_MAX);
        assert_eq!(
            refusal(&labels(LABELS_MAX + 1)),
            "the line has more than 128 labels"
        );
        let long = |bytes: usize| format!("{{\"value\":1}}{}", " ".repeat(bytes - 11));
        assert_eq!(read(&long(LINE_BYTES_MAX)).value, 1.0);
        assert_eq!(
            refusal(&long(LINE_BYTES_MAX + 1)),
            "the line has more than 524288 bytes"
        );
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in prop::collection::vec(any::<u8>(), 0..40), text in "[\\[{}\\]\":,a-z0-9 .eE_+-]{0,40}") {
            let _ = decode_line(&line);
            let _ = decode_line(text.as_bytes());
        }
    }
}
