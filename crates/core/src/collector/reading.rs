//! What a response means: an answer, a refusal, a failure, and whether another try may fare better.

use alloc::sync::Arc;

use tidegate_wire::{
    Data, DecodeError, DecodeLimits, ExpositionFormat, QueryResponse, ScrapeLimits, Shape,
    decode_exposition, decode_response,
};

use crate::{Failure, FetchError, Now, Payload, QueryError, Response};

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

/// Reads the text of a target: a vector of all its samples.
pub(super) fn understand_text(
    source: &Arc<str>,
    result: Result<Response, FetchError>,
    now: Now,
) -> Result<Payload, QueryError> {
    let response = received(source, result)?;
    if response.status != 200 {
        return Err(QueryError::Garbled {
            source: source.clone(),
            error: DecodeError::UnexpectedStatus {
                status: response.status,
            },
        });
    }
    let format = ExpositionFormat::Text;
    let limits = ScrapeLimits::default();
    match decode_exposition(&response.body, format, now.wall.0, &limits) {
        Ok(exposition) => Ok(Payload {
            body: None,
            response: QueryResponse::new(Data::Vector(exposition.columns)),
        }),
        Err(error) => Err(QueryError::GarbledText {
            source: source.clone(),
            error,
        }),
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
