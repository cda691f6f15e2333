//! What a response means: an answer, a refusal, a failure, and whether another try may fare better.

use alloc::sync::Arc;

use tidegate_wire::{
    Data, DecodeError, DecodeLimits, Exposition, QueryResponse, ScrapeLimits, Shape,
    decode_exposition, decode_response, format_of,
};

use crate::{Failure, FetchError, Payload, QueryError, Response, UnixMillis};

/// Reads a response in Prometheus' envelope, whose data has this shape. `endpoint` is the path
/// below `/api/v1/` where that is none of those for queries.
pub(super) fn understand(
    source: &Arc<str>,
    shape: Shape,
    endpoint: Option<&str>,
    result: Result<Response, FetchError>,
) -> Result<Payload, QueryError> {
    let response = received(source, result)?;
    let limits = DecodeLimits::default();
    match decode_response(response.status, &response.body, shape, &limits) {
        Ok(decoded) => Ok(Payload {
            body: Some(response.body),
            response: decoded,
        }),
        Err(DecodeError::Upstream {
            status,
            response: said,
        }) => Err(QueryError::Upstream {
            source: source.clone(),
            status,
            error_type: said.error_type,
            message: said.error,
            body: response.body.into(),
        }),
        Err(error) => Err(match (error, endpoint) {
            // Not every backend has every endpoint.
            (DecodeError::NotAnEnvelope { status: 404 | 405 }, Some(path)) => {
                QueryError::NoEndpoint {
                    source: source.clone(),
                    path: path.into(),
                }
            }
            (error, _) => QueryError::Garbled {
                source: source.clone(),
                error,
            },
        }),
    }
}

/// Reads the text of a target, whose fetch began at `began`: samples without a time of their own
/// are of then.
pub(super) fn understand_text(
    source: &Arc<str>,
    result: Result<Response, FetchError>,
    began: UnixMillis,
) -> Result<Exposition, QueryError> {
    let response = received(source, result)?;
    if response.status != 200 {
        return Err(QueryError::Garbled {
            source: source.clone(),
            error: DecodeError::UnexpectedStatus {
                status: response.status,
            },
        });
    }
    let format = format_of(response.content_type.as_deref().unwrap_or_default());
    let limits = ScrapeLimits::default();
    decode_exposition(&response.body, format, began.0, &limits).map_err(|error| {
        QueryError::GarbledText {
            source: source.clone(),
            error,
        }
    })
}

/// What a target's text answers: a vector of all its samples.
pub(super) fn samples(text: Exposition) -> Payload {
    Payload {
        body: None,
        response: QueryResponse::new(Data::Vector(text.columns)),
    }
}

fn received(
    source: &Arc<str>,
    result: Result<Response, FetchError>,
) -> Result<Response, QueryError> {
    result.map_err(|error| QueryError::Unreachable {
        source: source.clone(),
        error,
    })
}

/// How a failure counts for another try.
pub(super) fn failure(error: &QueryError, status: Option<u16>) -> Failure<'_> {
    match (error, status) {
        (QueryError::Unreachable { error, .. }, _) => Failure::Fetch(error),
        (
            QueryError::Garbled {
                error: DecodeError::Truncated { .. },
                ..
            },
            Some(200),
        ) => Failure::Truncated,
        (_, Some(status)) if status != 200 => Failure::Status(status),
        _ => Failure::Garbled,
    }
}

/// Whoever answers a 404 is there; not every backend knows the path.
pub(super) fn understand_probe(
    source: &Arc<str>,
    result: Result<Response, FetchError>,
) -> Result<Option<Payload>, QueryError> {
    match result {
        Ok(response) if response.status < 500 => Ok(None),
        Ok(response) => Err(QueryError::Garbled {
            source: source.clone(),
            error: DecodeError::UnexpectedStatus {
                status: response.status,
            },
        }),
        Err(error) => Err(QueryError::Unreachable {
            source: source.clone(),
            error,
        }),
    }
}
