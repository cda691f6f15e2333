//! What a scrape reads: exposition text, Prometheus' 0.0.4 or OpenMetrics 1.0, into columns.
//!
//! One pass, line by line, nothing guessed: a line that is not understood fails the whole body, as
//! it does in Prometheus.
//!
//! **Text 0.0.4** is read as leniently as Prometheus reads it: blanks (spaces and tabs) anywhere
//! between tokens, blank lines, comments, a comma after the last label or none between two, no
//! blank after `}`, metadata in any place and number (the last one counts), samples of a family
//! scattered, a last line without line feed. More lenient than Prometheus, since the format is:
//! blanks at the start of a line and around the type's word, negative timestamps. Stricter, since
//! the format is: a line feed inside a label value must be escaped, a NUL does not end the body,
//! and `a-1` is not the sample `a -1`.
//!
//! **OpenMetrics** is held to its rules: one space between tokens, no comments, blank lines or
//! carriage returns at line ends, `# EOF` last; one line of metadata of each kind per family, units
//! that are suffixes, names with the suffixes of their type, values and exemplars that fit it,
//! buckets that are complete and cumulative; families, metrics and points whole and in order. Let
//! through, since well-behaved programs do it: unescaped quotes in help, reserved label names, and
//! two families of one name if their types differ (each Go program has
//! `go_memstats_alloc_bytes` as a gauge and as a counter).

mod error;
mod family;
mod histogram;
mod limits;
mod line;
mod openmetrics;
mod repeated;

use alloc::string::String;
use alloc::vec::Vec;
use core::str;

pub use error::ExpositionError;
pub use family::{FamilyHeader, FamilyKind};
pub use limits::ScrapeLimits;
pub use repeated::Repeated;

use crate::columns::{Columns, ColumnsBuilder};
use family::Families;
use line::{Entry, Line, Metadata, Sample, is_comment};
use openmetrics::Rules;

type Result<T> = core::result::Result<T, ExpositionError>;

/// Which of the two formats a body is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpositionFormat {
    /// Prometheus' text format 0.0.4.
    Text,
    /// OpenMetrics text 1.0.
    OpenMetrics,
}

/// The format that a `Content-Type` header names.
///
/// `application/openmetrics-text`, in any case and with any parameters, is OpenMetrics; everything
/// else, an absent header's empty text too, is read as text 0.0.4, as Prometheus does.
pub fn format_of(content_type: &str) -> ExpositionFormat {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/openmetrics-text") {
        ExpositionFormat::OpenMetrics
    } else {
        ExpositionFormat::Text
    }
}

/// What one target exposes at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exposition {
    /// One series with one sample per sample line, in the order of the lines.
    ///
    /// Labels are sorted by name in byte order, `__name__` among them; those with an empty value
    /// are absent, which says the same. NaN is [`f64::NAN`] whatever its spelling.
    pub columns: Columns,
    /// The families that have metadata, by first appearance.
    pub families: Vec<FamilyHeader>,
    /// The samples that were dropped since their series and time had been there already.
    pub repeated: Option<Repeated>,
}

/// Decodes a body; samples without a timestamp are given `default_timestamp_ms`.
///
/// Timestamps are milliseconds since the Unix epoch. OpenMetrics has them in seconds; they are
/// rounded to the nearest millisecond. An exemplar is checked and dropped. `_created` samples are
/// series like any other.
///
/// Two samples of the same labels and time are repeated: in text the first is kept and the rest
/// are reported in [`repeated`](Exposition::repeated), as Prometheus keeps, drops and warns; in
/// OpenMetrics they are an error. The same labels at different times are two series of the result.
///
/// An empty body is an empty text exposition, and not an OpenMetrics one. A text body that is cut
/// off between two lines cannot be told from a whole one: whoever reads it must know its length.
///
/// # Errors
///
/// The first line that breaks the format, with its number, its column and its text; a limit that is
/// passed. Nothing of such a body is used.
///
/// ```
/// use tidegate_wire::{ExpositionFormat, ScrapeLimits, decode_exposition};
///
/// let body = b"# TYPE hits counter\nhits_total{path=\"/\"} 3 # {trace_id=\"a1\"} 1\n# EOF\n";
/// let limits = ScrapeLimits::default();
/// let found = decode_exposition(body, ExpositionFormat::OpenMetrics, 1_000, &limits).unwrap();
/// assert_eq!(found.families[0].name, "hits");
/// assert_eq!(found.columns.series(0).label("__name__"), Some("hits_total"));
/// assert_eq!(found.columns.timestamps_ms(), [1_000]);
/// ```
pub fn decode_exposition(
    body: &[u8],
    format: ExpositionFormat,
    default_timestamp_ms: i64,
    limits: &ScrapeLimits,
) -> Result<Exposition> {
    let mut decoder = Decoder {
        builder: ColumnsBuilder::new(),
        lines: Vec::new(),
        default_timestamp_ms,
        limits,
    };
    let families = match format {
        ExpositionFormat::Text => decoder.text(body)?,
        ExpositionFormat::OpenMetrics => decoder.openmetrics(body)?,
    };
    let columns = decoder.builder.finish();
    let (columns, repeated) = repeated::settle(columns, &decoder.lines, format)?;
    Ok(Exposition {
        columns,
        families,
        repeated,
    })
}

/// The columns being filled.
struct Decoder<'l> {
    builder: ColumnsBuilder,
    /// The line of each series.
    lines: Vec<usize>,
    default_timestamp_ms: i64,
    limits: &'l ScrapeLimits,
}

impl Decoder<'_> {
    fn text(&mut self, body: &[u8]) -> Result<Vec<FamilyHeader>> {
        let mut families = Families::new(self.limits.families);
        let mut sample = Sample::default();
        for (number, bytes, _) in lines(body) {
            self.check_length(number, bytes)?;
            let text = match str::from_utf8(bytes) {
                Ok(text) => text,
                Err(_) if is_comment(bytes) => continue,
                Err(error) => return Err(bad_utf8(number, error)),
            };
            match Line::lenient(number, text, self.limits).read(&mut sample)? {
                Entry::Nothing | Entry::End => {}
                Entry::Metadata(name, metadata) => {
                    let header = families.find_or_add(name, number)?;
                    match metadata {
                        Metadata::Kind(kind) => header.kind = kind,
                        Metadata::Unit(unit) => header.unit = unit.into(),
                        Metadata::Help(help) => header.help = help.into_owned(),
                    }
                }
                Entry::Sample => self.push(&sample)?,
            }
        }
        Ok(families.into_headers())
    }

    fn openmetrics(&mut self, body: &[u8]) -> Result<Vec<FamilyHeader>> {
        let mut rules = Rules::new(self.limits.families);
        let mut sample = Sample::default();
        let mut last = 0;
        for (number, bytes, rest) in lines(body) {
            last = number;
            self.check_length(number, bytes)?;
            let text = str::from_utf8(bytes).map_err(|error| bad_utf8(number, error))?;
            match Line::strict(number, text, self.limits).read(&mut sample)? {
                Entry::Metadata(name, metadata) => rules.metadata(number, name, metadata)?,
                Entry::Sample => {
                    rules.sample(&sample)?;
                    self.push(&sample)?;
                }
                Entry::End if rest.is_empty() => return rules.finish(),
                Entry::End | Entry::Nothing => {
                    let line = number + usize::from(!rest.is_empty());
                    let found = rest.split(|&byte| byte == b'\n').next().unwrap_or_default();
                    return Err(ExpositionError::syntax(
                        (line, 1),
                        "nothing after `# EOF`",
                        &String::from_utf8_lossy(found),
                    ));
                }
            }
        }
        Err(ExpositionError::MissingEof { line: last })
    }

    /// Adds a sample as a series of its own.
    fn push(&mut self, sample: &Sample<'_>) -> Result<()> {
        let (line, limits) = (sample.line, self.limits);
        let within = |have: usize, limit: usize, what| match have <= limit {
            true => Ok(()),
            false => Err(ExpositionError::TooLarge { what, limit, line }),
        };
        within(self.lines.len() + 1, limits.series, "series")?;
        self.lines.push(line);
        self.builder.begin_series();
        for label in sample.labels.iter().filter(|label| !label.value.is_empty()) {
            self.builder.label(label.name, &label.value);
            within(
                self.builder.text_bytes(),
                limits.text_bytes,
                "bytes of labels",
            )?;
        }
        let timestamp_ms = sample.timestamp_ms.unwrap_or(self.default_timestamp_ms);
        self.builder.sample(timestamp_ms, sample.value);
        Ok(())
    }

    fn check_length(&self, line: usize, bytes: &[u8]) -> Result<()> {
        let limit = self.limits.line_bytes;
        if bytes.len() <= limit {
            return Ok(());
        }
        let what = "bytes in one line";
        Err(ExpositionError::TooLarge { what, limit, line })
    }
}

/// The lines of a body: number from 1, bytes without the line feed, and what follows it.
fn lines(body: &[u8]) -> impl Iterator<Item = (usize, &[u8], &[u8])> {
    let mut rest = body;
    (1..).map_while(move |number| {
        if rest.is_empty() {
            return None;
        }
        let end = rest.iter().position(|&byte| byte == b'\n');
        let (line, after) = match end {
            Some(end) => (&rest[..end], &rest[end + 1..]),
            None => (rest, &rest[rest.len()..]),
        };
        rest = after;
        Some((number, line, after))
    })
}

fn bad_utf8(line: usize, error: str::Utf8Error) -> ExpositionError {
    let column = error.valid_up_to() + 1;
    ExpositionError::BadUtf8 { line, column }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_type_names_the_format() {
        for openmetrics in [
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            " Application/OpenMetrics-Text;version=0.0.1",
            "application/openmetrics-text",
        ] {
            assert_eq!(format_of(openmetrics), ExpositionFormat::OpenMetrics);
        }
        for text in [
            crate::text::CONTENT_TYPE,
            "",
            "text/html",
            "application/openmetrics-text2",
            ";application/openmetrics-text",
        ] {
            assert_eq!(format_of(text), ExpositionFormat::Text, "{text}");
        }
    }

    #[test]
    fn lines_are_numbered_and_the_last_needs_no_line_feed() {
        let found: Vec<_> = lines(b"a\n\nb").collect();
        let expected: [(usize, &[u8], &[u8]); 3] =
            [(1, b"a", b"\nb"), (2, b"", b"b"), (3, b"b", b"")];
        assert_eq!(found, expected);
        assert_eq!(lines(b"").count(), 0);
        assert_eq!(lines(b"\n").count(), 1);
    }
}
