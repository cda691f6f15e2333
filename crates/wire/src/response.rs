//! What a query answers: data, warnings and infos, or an error.

use alloc::string::String;
use alloc::vec::Vec;

use crate::columns::Columns;

/// A successful answer of the query API.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryResponse {
    /// The result itself.
    pub data: Data,
    /// What the source warns of; non-empty means the data may be partial.
    pub warnings: Vec<String>,
    /// What the source remarks about the query; the data is complete.
    pub infos: Vec<String>,
}

/// The four result types of PromQL, and what the other endpoints answer.
#[derive(Clone, Debug)]
pub enum Data {
    /// One sample per series, all at one instant.
    Vector(Columns),
    /// Samples over time per series.
    Matrix(Columns),
    /// A number without labels.
    Scalar {
        /// Milliseconds since the Unix epoch.
        timestamp_ms: i64,
        /// The number; NaN and infinities are values.
        value: f64,
    },
    /// A string literal.
    String {
        /// Milliseconds since the Unix epoch.
        timestamp_ms: i64,
        /// The text.
        value: String,
    },
    /// Label names or values, as `/api/v1/labels` and `/api/v1/label/<name>/values` list them.
    Strings(Vec<String>),
    /// Label sets, as `/api/v1/series` lists them: series without samples.
    Series(Columns),
    /// Any other JSON document. It is not kept here: its text is the body that was decoded.
    Document,
}

/// An error envelope of the query API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorResponse {
    /// Prometheus' word for the kind of error, such as `bad_data` or `execution`.
    pub error_type: String,
    /// The message for people.
    pub error: String,
    /// Warnings that came along.
    pub warnings: Vec<String>,
    /// Infos that came along.
    pub infos: Vec<String>,
}

impl QueryResponse {
    /// A response without warnings and infos.
    pub fn new(data: Data) -> Self {
        Self {
            data,
            warnings: Vec::new(),
            infos: Vec::new(),
        }
    }

    /// An estimate of the heap this holds, in bytes; the same on every target.
    pub fn byte_size(&self) -> usize {
        self.data.byte_size() + strings_size(&self.warnings) + strings_size(&self.infos)
    }

    /// The newest sample time in milliseconds since the Unix epoch; `None` without samples.
    pub fn newest_ms(&self) -> Option<i64> {
        match &self.data {
            Data::Vector(columns) | Data::Matrix(columns) => columns.newest_ms(),
            Data::Scalar { timestamp_ms, .. } | Data::String { timestamp_ms, .. } => {
                Some(*timestamp_ms)
            }
            Data::Strings(_) | Data::Series(_) | Data::Document => None,
        }
    }
}

impl Data {
    /// Prometheus' name of the result type: `vector`, `matrix`, `scalar` or `string`; for what has none,
    /// `strings`, `series` or `document`.
    pub fn result_type(&self) -> &'static str {
        match self {
            Self::Vector(_) => "vector",
            Self::Matrix(_) => "matrix",
            Self::Scalar { .. } => "scalar",
            Self::String { .. } => "string",
            Self::Strings(_) => "strings",
            Self::Series(_) => "series",
            Self::Document => "document",
        }
    }

    fn byte_size(&self) -> usize {
        match self {
            Self::Vector(columns) | Self::Matrix(columns) | Self::Series(columns) => {
                columns.byte_size()
            }
            Self::Scalar { .. } | Self::Document => 0,
            Self::Strings(strings) => strings_size(strings),
            Self::String { value, .. } => value.capacity(),
        }
    }
}

/// By bits, as [`Columns`]: a NaN equals the same NaN.
impl PartialEq for Data {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Vector(a), Self::Vector(b))
            | (Self::Matrix(a), Self::Matrix(b))
            | (Self::Series(a), Self::Series(b)) => a == b,
            (Self::Strings(a), Self::Strings(b)) => a == b,
            (Self::Document, Self::Document) => true,
            (
                Self::Scalar {
                    timestamp_ms: a,
                    value: x,
                },
                Self::Scalar {
                    timestamp_ms: b,
                    value: y,
                },
            ) => a == b && x.to_bits() == y.to_bits(),
            (
                Self::String {
                    timestamp_ms: a,
                    value: x,
                },
                Self::String {
                    timestamp_ms: b,
                    value: y,
                },
            ) => a == b && x == y,
            _ => false,
        }
    }
}

/// What a [`String`] takes beside its text on a 64-bit machine; told so on every target.
const STRING_BYTES: usize = 24;
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<String>() == STRING_BYTES);

fn strings_size(strings: &Vec<String>) -> usize {
    strings.capacity() * STRING_BYTES + strings.iter().map(String::capacity).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::ColumnsBuilder;

    #[test]
    fn the_newest_sample_tells_the_time() {
        let mut builder = ColumnsBuilder::new();
        assert_eq!(
            QueryResponse::new(Data::Vector(builder.clone().finish())).newest_ms(),
            None
        );
        builder.sample(5, 1.0);
        builder.begin_series();
        builder.sample(3, 1.0);
        assert_eq!(
            QueryResponse::new(Data::Matrix(builder.finish())).newest_ms(),
            Some(5)
        );
        let scalar = Data::Scalar {
            timestamp_ms: -4,
            value: 0.0,
        };
        assert_eq!(QueryResponse::new(scalar).newest_ms(), Some(-4));
    }

    #[test]
    fn text_counts_towards_the_size() {
        let value = String::from("0123456789");
        let response = QueryResponse::new(Data::String {
            timestamp_ms: 0,
            value,
        });
        assert!(response.byte_size() >= 10);
    }
}
