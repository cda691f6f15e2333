//! Query-API JSON into columns, in one pass and without a document in between.
//!
//! What is not a complete, well-formed envelope that agrees with its HTTP status is an error;
//! nothing is guessed, defaulted or cut. Fields this does not know are checked as JSON and skipped.
//! A known key that comes twice in one object, or a label that does, is an error, since readers
//! differ on which one counts.

mod data;
mod error;
mod limits;
mod series;

use alloc::string::String;
use alloc::vec::Vec;

pub use error::{DecodeError, Envelope};
pub use limits::DecodeLimits;

use crate::reader::Reader;
use crate::response::{Data, ErrorResponse, QueryResponse};
use data::read_data;
pub(crate) use error::excerpt;

type Result<T> = core::result::Result<T, DecodeError>;

/// The nesting at which the envelope's values stand.
const ENVELOPE_DEPTH: usize = 1;
/// The nesting at which a histogram stands in a matrix; no value that is skipped stands deeper.
const SAMPLE_DEPTH: usize = 6;

/// What the `data` of an envelope holds: that depends on the endpoint, and the body does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// A result with its type: `/api/v1/query` and `/api/v1/query_range`.
    Query,
    /// A list of strings: `/api/v1/labels` and `/api/v1/label/<name>/values`.
    Strings,
    /// A list of label sets: `/api/v1/series`.
    Series,
    /// Anything: it is checked to be JSON of bounded depth, and not kept.
    Document,
}

/// Decodes the answer to `/api/v1/query` or `/api/v1/query_range`: [`decode_response`] for
/// [`Shape::Query`].
///
/// # Errors
///
/// As [`decode_response`].
pub fn decode_query_response(
    status: u16,
    body: &[u8],
    limits: &DecodeLimits,
) -> Result<QueryResponse> {
    decode_response(status, body, Shape::Query, limits)
}

/// Decodes the answer to a request whose `data` has `shape`.
///
/// Labels, series, samples, strings, warnings and infos keep the order they came in; duplicate series
/// and timestamps are passed on unmodified, and native histograms keep their text. Lists of strings
/// and label sets may be `null`, as Go writes lists that were never made.
///
/// # Errors
///
/// Status 200 with a success envelope is the only success. Status 400 to 599 is
/// [`Upstream`](DecodeError::Upstream) when the body is a well-formed error envelope,
/// [`StatusMismatch`](DecodeError::StatusMismatch) when it claims success, else
/// [`NotAnEnvelope`](DecodeError::NotAnEnvelope). Any other status is
/// [`UnexpectedStatus`](DecodeError::UnexpectedStatus), whatever the body.
pub fn decode_response(
    status: u16,
    body: &[u8],
    shape: Shape,
    limits: &DecodeLimits,
) -> Result<QueryResponse> {
    match status {
        200 => match decode_envelope(body, shape, limits)? {
            Decoded::Success(response) => Ok(response),
            Decoded::Error(_) => Err(DecodeError::StatusMismatch {
                status,
                envelope: Envelope::Error,
            }),
        },
        400..=599 => Err(match decode_envelope(body, shape, limits) {
            Ok(Decoded::Error(response)) => DecodeError::Upstream { status, response },
            Ok(Decoded::Success(_)) => DecodeError::StatusMismatch {
                status,
                envelope: Envelope::Success,
            },
            Err(_) => DecodeError::NotAnEnvelope { status },
        }),
        _ => Err(DecodeError::UnexpectedStatus { status }),
    }
}

enum Decoded {
    Success(QueryResponse),
    Error(ErrorResponse),
}

/// The members of the envelope met so far.
struct Members {
    shape: Shape,
    status: Option<Envelope>,
    /// Where `data` starts, when it came before `status` said how to read it.
    data_position: Option<usize>,
    data: Option<Data>,
    error_type: Option<String>,
    error: Option<String>,
    warnings: Option<Vec<String>>,
    infos: Option<Vec<String>>,
}

fn decode_envelope(body: &[u8], shape: Shape, limits: &DecodeLimits) -> Result<Decoded> {
    let mut reader = Reader::new(body, limits.depth)?;
    let mut members = Members::new(shape);
    reader.expect(b'{', "`{`")?;
    let mut first = true;
    while let Some(key) = reader.key(&mut first)? {
        members.read(&mut reader, &key, limits)?;
    }
    let end = reader.position();
    reader.end()?;
    members.finish(&reader, end, limits)
}

impl Members {
    fn new(shape: Shape) -> Self {
        Self {
            shape,
            status: None,
            data_position: None,
            data: None,
            error_type: None,
            error: None,
            warnings: None,
            infos: None,
        }
    }

    fn read(&mut self, reader: &mut Reader<'_>, key: &str, limits: &DecodeLimits) -> Result<()> {
        match key {
            "status" => {
                let status = read_status(reader)?;
                set(&mut self.status, status, key, reader)
            }
            "data" => self.read_data(reader, limits),
            "errorType" => {
                let text = reader.string("a string")?.into_owned();
                set(&mut self.error_type, text, key, reader)
            }
            "error" => {
                let text = reader.string("a string")?.into_owned();
                set(&mut self.error, text, key, reader)
            }
            "warnings" => {
                let messages = read_messages(reader, limits)?;
                set(&mut self.warnings, messages, key, reader)
            }
            "infos" => {
                let messages = read_messages(reader, limits)?;
                set(&mut self.infos, messages, key, reader)
            }
            _ => reader.skip(ENVELOPE_DEPTH).map(drop),
        }
    }

    /// Reads `data` if it is known to be a result; else remembers where it is.
    fn read_data(&mut self, reader: &mut Reader<'_>, limits: &DecodeLimits) -> Result<()> {
        if self.data_position.is_some() {
            return Err(duplicate("data", reader.position()));
        }
        self.data_position = Some(reader.position());
        match self.status {
            Some(Envelope::Success) => self.data = Some(read_data(reader, self.shape, limits)?),
            Some(Envelope::Error) | None => drop(reader.skip(ENVELOPE_DEPTH)?),
        }
        Ok(())
    }

    fn finish(self, reader: &Reader<'_>, end: usize, limits: &DecodeLimits) -> Result<Decoded> {
        let missing = |key| DecodeError::MissingKey { key, position: end };
        let warnings = self.warnings.unwrap_or_default();
        let infos = self.infos.unwrap_or_default();
        match self.status.ok_or_else(|| missing("status"))? {
            Envelope::Error => Ok(Decoded::Error(ErrorResponse {
                error_type: self.error_type.ok_or_else(|| missing("errorType"))?,
                error: self.error.unwrap_or_default(),
                warnings,
                infos,
            })),
            Envelope::Success => {
                let data = match (self.data, self.data_position) {
                    (Some(data), _) => data,
                    (None, Some(position)) => {
                        read_data(&mut reader.at(position), self.shape, limits)?
                    }
                    (None, None) => return Err(missing("data")),
                };
                Ok(Decoded::Success(QueryResponse {
                    data,
                    warnings,
                    infos,
                }))
            }
        }
    }
}

fn read_status(reader: &mut Reader<'_>) -> Result<Envelope> {
    let position = reader.position();
    match &*reader.string("a status")? {
        "success" => Ok(Envelope::Success),
        "error" => Ok(Envelope::Error),
        _ => Err(DecodeError::Json {
            position,
            expected: "`success` or `error`",
        }),
    }
}

fn read_messages(reader: &mut Reader<'_>, limits: &DecodeLimits) -> Result<Vec<String>> {
    let mut messages = Vec::new();
    read_list(reader, "a list of messages", |reader| {
        within(messages.len() + 1, "warnings or infos", limits.messages)?;
        messages.push(reader.string("a message")?.into_owned());
        Ok(())
    })?;
    Ok(messages)
}

/// Reads a list item by item; Go writes one that was never made as `null`.
fn read_list<'a>(
    reader: &mut Reader<'a>,
    expected: &'static str,
    mut read: impl FnMut(&mut Reader<'a>) -> Result<()>,
) -> Result<()> {
    if reader.peek()? == b'n' {
        return reader.skip(ENVELOPE_DEPTH).map(drop);
    }
    reader.expect(b'[', expected)?;
    let mut first = true;
    while reader.element(&mut first)? {
        read(reader)?;
    }
    Ok(())
}

fn within(count: usize, what: &'static str, limit: usize) -> Result<()> {
    match count > limit {
        true => Err(DecodeError::TooLarge { what, limit }),
        false => Ok(()),
    }
}

/// Fills a member that may come once.
fn set<T>(slot: &mut Option<T>, value: T, key: &str, reader: &Reader<'_>) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(duplicate(key, reader.position())),
    }
}

fn duplicate(key: &str, position: usize) -> DecodeError {
    DecodeError::DuplicateKey {
        key: excerpt(key),
        position,
    }
}
