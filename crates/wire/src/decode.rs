//! Query-API JSON into columns, in one pass and without a document in between.
//!
//! What is not a complete, well-formed envelope that agrees with its HTTP status is an error;
//! nothing is guessed, defaulted or cut. Fields this does not know are checked as JSON and skipped.
//! A known key that comes twice in one object, or a label that does, is an error, since readers
//! differ on which one counts.

mod data;
mod error;
mod limits;

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

/// Decodes the answer to `/api/v1/query` or `/api/v1/query_range`.
///
/// Labels, series, samples, warnings and infos keep the order they came in; duplicate series and
/// timestamps are passed on unmodified, and native histograms keep their text.
///
/// # Errors
///
/// Status 200 with a success envelope is the only success. Status 400 to 599 is
/// [`Upstream`](DecodeError::Upstream) when the body is a well-formed error envelope,
/// [`StatusMismatch`](DecodeError::StatusMismatch) when it claims success, else
/// [`NotAnEnvelope`](DecodeError::NotAnEnvelope). Any other status is
/// [`UnexpectedStatus`](DecodeError::UnexpectedStatus), whatever the body.
pub fn decode_query_response(
    status: u16,
    body: &[u8],
    limits: &DecodeLimits,
) -> Result<QueryResponse> {
    match status {
        200 => match decode_envelope(body, limits)? {
            Decoded::Success(response) => Ok(response),
            Decoded::Error(_) => Err(DecodeError::StatusMismatch {
                status,
                envelope: Envelope::Error,
            }),
        },
        400..=599 => Err(match decode_envelope(body, limits) {
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
#[derive(Default)]
struct Members {
    status: Option<Envelope>,
    /// Where `data` starts, when it came before `status` said how to read it.
    data_position: Option<usize>,
    data: Option<Data>,
    error_type: Option<String>,
    error: Option<String>,
    warnings: Option<Vec<String>>,
    infos: Option<Vec<String>>,
}

fn decode_envelope(body: &[u8], limits: &DecodeLimits) -> Result<Decoded> {
    let mut reader = Reader::new(body, limits.depth)?;
    let mut members = Members::default();
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
            Some(Envelope::Success) => self.data = Some(read_data(reader, limits)?),
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
                    (None, Some(position)) => read_data(&mut reader.at(position), limits)?,
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

/// Reads a list of strings; Go writes an absent one as `null`.
fn read_messages(reader: &mut Reader<'_>, limits: &DecodeLimits) -> Result<Vec<String>> {
    let mut messages = Vec::new();
    if reader.peek()? == b'n' {
        reader.skip(ENVELOPE_DEPTH)?;
        return Ok(messages);
    }
    reader.expect(b'[', "a list of messages")?;
    let mut first = true;
    while reader.element(&mut first)? {
        if messages.len() >= limits.messages {
            return Err(DecodeError::TooLarge {
                what: "warnings or infos",
                limit: limits.messages,
            });
        }
        messages.push(reader.string("a message")?.into_owned());
    }
    Ok(messages)
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
