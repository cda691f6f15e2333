//! The `data` member: a result straight into columns.

use alloc::string::String;
use alloc::vec::Vec;

use super::error::{DecodeError, excerpt};
use super::limits::DecodeLimits;
use super::{ENVELOPE_DEPTH, Result, SAMPLE_DEPTH, Shape, duplicate, read_list, set, within};
use crate::columns::{Columns, ColumnsBuilder};
use crate::escape::is_plain_html;
use crate::number::{parse_decimal_seconds, parse_float};
use crate::reader::Reader;
use crate::response::Data;

pub(super) fn read_data(
    reader: &mut Reader<'_>,
    shape: Shape,
    limits: &DecodeLimits,
) -> Result<Data> {
    match shape {
        Shape::Query => read_typed(reader, limits),
        Shape::Strings => read_strings(reader, limits).map(Data::Strings),
        Shape::Series => read_series(reader, limits).map(Data::Series),
        Shape::Document => reader.skip(ENVELOPE_DEPTH).map(|_| Data::Document),
    }
}

/// Reads `{"resultType":…,"result":…}` in either order.
fn read_typed(reader: &mut Reader<'_>, limits: &DecodeLimits) -> Result<Data> {
    reader.expect(b'{', "`{`")?;
    let mut kind: Option<Kind> = None;
    let mut result_position = None;
    let mut data = None;
    let mut first = true;
    while let Some(key) = reader.key(&mut first)? {
        match &*key {
            "resultType" => {
                let found = read_kind(reader)?;
                set(&mut kind, found, &key, reader)?;
            }
            "result" => {
                set(&mut result_position, reader.position(), &key, reader)?;
                match kind {
                    Some(kind) => data = Some(read_result(reader, kind, limits)?),
                    None => drop(reader.skip(ENVELOPE_DEPTH + 1)?),
                }
            }
            _ => drop(reader.skip(ENVELOPE_DEPTH + 1)?),
        }
    }
    let missing = |key| DecodeError::MissingKey {
        key,
        position: reader.position(),
    };
    match (data, kind, result_position) {
        (Some(data), _, _) => Ok(data),
        (None, Some(kind), Some(position)) => read_result(&mut reader.at(position), kind, limits),
        (None, None, _) => Err(missing("resultType")),
        (None, Some(_), None) => Err(missing("result")),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Vector,
    Matrix,
    Scalar,
    String,
}

fn read_kind(reader: &mut Reader<'_>) -> Result<Kind> {
    let position = reader.position();
    match &*reader.string("a result type")? {
        "vector" => Ok(Kind::Vector),
        "matrix" => Ok(Kind::Matrix),
        "scalar" => Ok(Kind::Scalar),
        "string" => Ok(Kind::String),
        _ => Err(DecodeError::Json {
            position,
            expected: "`vector`, `matrix`, `scalar` or `string`",
        }),
    }
}

fn read_result(reader: &mut Reader<'_>, kind: Kind, limits: &DecodeLimits) -> Result<Data> {
    match kind {
        Kind::Vector => Ok(Data::Vector(read_columns(reader, kind, limits)?)),
        Kind::Matrix => Ok(Data::Matrix(read_columns(reader, kind, limits)?)),
        Kind::Scalar => {
            let timestamp_ms = open_point(reader)?;
            let value = read_value(reader)?;
            reader.expect(b']', "`]`")?;
            Ok(Data::Scalar {
                timestamp_ms,
                value,
            })
        }
        Kind::String => {
            let timestamp_ms = open_point(reader)?;
            let value = reader.string("a string")?.into_owned();
            reader.expect(b']', "`]`")?;
            Ok(Data::String {
                timestamp_ms,
                value,
            })
        }
    }
}

fn read_columns(reader: &mut Reader<'_>, kind: Kind, limits: &DecodeLimits) -> Result<Columns> {
    let mut into = Filling::new(limits);
    reader.expect(b'[', "`[`")?;
    let mut first = true;
    while reader.element(&mut first)? {
        into.begin_series()?;
        match kind {
            Kind::Vector => into.read_vector_element(reader)?,
            Kind::Matrix | Kind::Scalar | Kind::String => into.read_matrix_element(reader)?,
        }
    }
    Ok(into.builder.finish())
}

/// Reads a list of label sets.
fn read_series(reader: &mut Reader<'_>, limits: &DecodeLimits) -> Result<Columns> {
    let mut into = Filling::new(limits);
    read_list(reader, "a list of series", |reader| {
        into.begin_series()?;
        into.read_labels(reader)
    })?;
    Ok(into.builder.finish())
}

fn read_strings(reader: &mut Reader<'_>, limits: &DecodeLimits) -> Result<Vec<String>> {
    let mut strings = Vec::new();
    let mut bytes = 0;
    read_list(reader, "a list of strings", |reader| {
        let text = reader.string("a string")?;
        bytes += text.len();
        within(strings.len() + 1, "strings", limits.strings)?;
        within(text.len(), BYTES_IN_ONE, limits.label_bytes)?;
        within(bytes, BYTES_IN_ALL, limits.text_bytes)?;
        strings.push(text.into_owned());
        Ok(())
    })?;
    strings.shrink_to_fit();
    Ok(strings)
}

const BYTES_IN_ONE: &str = "bytes in one label";
const BYTES_IN_ALL: &str = "bytes of labels and histograms";

/// Columns being filled, within limits.
struct Filling<'l> {
    builder: ColumnsBuilder,
    series: usize,
    samples: usize,
    limits: &'l DecodeLimits,
}

impl<'l> Filling<'l> {
    fn new(limits: &'l DecodeLimits) -> Self {
        Self {
            builder: ColumnsBuilder::new(),
            series: 0,
            samples: 0,
            limits,
        }
    }

    fn begin_series(&mut self) -> Result<()> {
        self.series += 1;
        within(self.series, "series", self.limits.series)?;
        self.builder.begin_series();
        Ok(())
    }

    /// Reads `{"metric":{…},"value":[t,"v"]}`, or with `histogram` in place of `value`.
    fn read_vector_element(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        let (mut metric, mut point) = (None, None);
        reader.expect(b'{', "a series")?;
        let mut first = true;
        while let Some(key) = reader.key(&mut first)? {
            match &*key {
                "metric" => {
                    set(&mut metric, (), &key, reader)?;
                    self.read_labels(reader)?;
                }
                "value" => {
                    set(&mut point, (), &key, reader)?;
                    self.read_sample(reader)?;
                }
                "histogram" => {
                    set(&mut point, (), &key, reader)?;
                    self.read_histogram(reader)?;
                }
                _ => drop(reader.skip(SAMPLE_DEPTH)?),
            }
        }
        require(metric, "metric", reader)?;
        require(point, "value", reader)
    }

    /// Reads `{"metric":{…},"values":[…],"histograms":[…]}`; either list may be absent.
    fn read_matrix_element(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        let (mut metric, mut values, mut histograms) = (None, None, None);
        reader.expect(b'{', "a series")?;
        let mut first = true;
        while let Some(key) = reader.key(&mut first)? {
            match &*key {
                "metric" => {
                    set(&mut metric, (), &key, reader)?;
                    self.read_labels(reader)?;
                }
                "values" => {
                    set(&mut values, (), &key, reader)?;
                    self.read_samples(reader, Self::read_sample)?;
                }
                "histograms" => {
                    set(&mut histograms, (), &key, reader)?;
                    self.read_samples(reader, Self::read_histogram)?;
                }
                _ => drop(reader.skip(SAMPLE_DEPTH)?),
            }
        }
        require(metric, "metric", reader)
    }

    fn read_samples<'a>(
        &mut self,
        reader: &mut Reader<'a>,
        read: impl Fn(&mut Self, &mut Reader<'a>) -> Result<()>,
    ) -> Result<()> {
        reader.expect(b'[', "a list of samples")?;
        let mut first = true;
        while reader.element(&mut first)? {
            read(self, reader)?;
        }
        Ok(())
    }

    fn read_labels(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        let start = reader.position();
        reader.expect(b'{', "labels")?;
        let mut first = true;
        let mut count = 0;
        while let Some(name) = reader.key(&mut first)? {
            count += 1;
            within(count, "labels in one series", self.limits.labels_per_series)?;
            let value = reader.string("a label value")?;
            self.check_label(&name)?;
            self.check_label(&value)?;
            self.check_room(name.len() + value.len())?;
            if self.builder.has_label(&name) {
                return Err(duplicate(&name, reader.position()));
            }
            self.builder.label(&name, &value);
        }
        if is_plain_html(reader.since(start)) {
            self.builder.plain_html();
        }
        Ok(())
    }

    fn read_sample(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        self.count_sample()?;
        let timestamp_ms = open_point(reader)?;
        let value = read_value(reader)?;
        reader.expect(b']', "`]`")?;
        self.builder.sample(timestamp_ms, value);
        Ok(())
    }

    fn read_histogram(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        self.count_sample()?;
        let timestamp_ms = open_point(reader)?;
        if reader.peek()? != b'{' {
            return Err(reader.unexpected("a histogram"));
        }
        let json = reader.skip(SAMPLE_DEPTH)?;
        self.check_room(json.len())?;
        reader.expect(b']', "`]`")?;
        self.builder.histogram(timestamp_ms, json);
        Ok(())
    }

    fn count_sample(&mut self) -> Result<()> {
        self.samples += 1;
        within(self.samples, "samples", self.limits.samples)
    }

    fn check_label(&self, text: &str) -> Result<()> {
        within(text.len(), BYTES_IN_ONE, self.limits.label_bytes)
    }

    fn check_room(&self, bytes: usize) -> Result<()> {
        let held = self.builder.text_bytes() + bytes;
        within(held, BYTES_IN_ALL, self.limits.text_bytes)
    }
}

/// Reads `[t,` of a sample.
fn open_point(reader: &mut Reader<'_>) -> Result<i64> {
    reader.expect(b'[', "a sample")?;
    reader.peek()?;
    let position = reader.position();
    let text = reader.number("a timestamp")?;
    reader.expect(b',', "`,`")?;
    parse_decimal_seconds(text).ok_or_else(|| DecodeError::BadTimestamp {
        text: excerpt(text),
        position,
    })
}

/// Reads a sample value, a number in a string.
fn read_value(reader: &mut Reader<'_>) -> Result<f64> {
    reader.peek()?;
    let position = reader.position();
    let text = reader.string("a value in quotes")?;
    parse_float(&text).map_err(|_| DecodeError::BadNumber {
        text: excerpt(&text),
        position,
    })
}

fn require(found: Option<()>, key: &'static str, reader: &Reader<'_>) -> Result<()> {
    found.ok_or_else(|| DecodeError::MissingKey {
        key,
        position: reader.position(),
    })
}
