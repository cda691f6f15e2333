//! The `data` member: a result straight into columns.

use alloc::string::String;
use alloc::vec::Vec;

use super::error::{DecodeError, excerpt};
use super::limits::DecodeLimits;
use super::series::{BYTES_IN_ALL, BYTES_IN_ONE, Filling};
use super::{ENVELOPE_DEPTH, Result, Shape, read_list, set, within};
use crate::columns::Columns;
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
    let start = reader.position();
    let mut first = true;
    while reader.element(&mut first)? {
        into.begin_series(start, reader)?;
        match kind {
            Kind::Vector => into.read_vector_element(reader)?,
            Kind::Matrix | Kind::Scalar | Kind::String => into.read_matrix_element(reader)?,
        }
    }
    Ok(into.finish())
}

/// Reads a list of label sets.
fn read_series(reader: &mut Reader<'_>, limits: &DecodeLimits) -> Result<Columns> {
    let mut into = Filling::new(limits);
    reader.peek()?;
    let start = reader.position();
    read_list(reader, "a list of series", |reader| {
        into.begin_series(start, reader)?;
        into.read_labels(reader)
    })?;
    Ok(into.finish())
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

/// Reads `[t,` of a sample.
pub(super) fn open_point(reader: &mut Reader<'_>) -> Result<i64> {
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
pub(super) fn read_value(reader: &mut Reader<'_>) -> Result<f64> {
    reader.peek()?;
    let position = reader.position();
    let text = reader.string("a value in quotes")?;
    parse_float(&text).map_err(|_| DecodeError::BadNumber {
        text: excerpt(&text),
        position,
    })
}
