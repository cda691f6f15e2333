//! One field of a record: a value with its provenance, or the reason why there is none.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::fmt;

use crate::{Freshness, QueryError, UnixMillis};

/// A value, or why there is none. Never 0 for what is missing.
#[derive(Clone, Debug, PartialEq)]
pub enum Field<T = f64> {
    /// The source said so.
    Present {
        /// The value. Infinities are values; NaN is not, see [`MissingReason::NotANumber`].
        value: T,
        /// The instant the answer that it is from speaks for.
        as_of: UnixMillis,
        /// The verdict on that answer. [`Freshness::Unavailable`] is too old to act on.
        freshness: Freshness,
        /// Which source said so.
        source: Arc<str>,
    },
    /// There is none.
    Missing {
        /// Why.
        reason: MissingReason,
    },
}

/// Why a field has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MissingReason {
    /// The source answered, and had nothing for this record.
    NoData,
    /// The source answered, and no series matched the query at all.
    NoSeries {
        /// The source.
        source: String,
    },
    /// The field is asked for only where this parameter is given, and it was not.
    NotEnabled {
        /// The parameter.
        param: String,
    },
    /// Nobody asked: there was no answer, good or bad, to the field's query.
    NotAsked,
    /// The query itself was refused: a wrong parameter, an unknown template, an execution error.
    QueryFailed {
        /// What was said.
        message: String,
    },
    /// The source did not answer, or not usably; asking later may help.
    SourceUnavailable {
        /// What went wrong.
        message: String,
    },
    /// The value is NaN, which compares as neither above nor below any bound.
    NotANumber,
    /// One value was expected here, and several series have one.
    Ambiguous {
        /// How many.
        series: usize,
    },
    /// The answer is of a kind that no single number can be read from: `matrix`, `string`,
    /// `histogram`.
    WrongType {
        /// What it is.
        found: &'static str,
    },
}

impl MissingReason {
    /// Whether a query failed, rather than having nothing to say.
    pub const fn is_failure(&self) -> bool {
        matches!(
            self,
            Self::QueryFailed { .. } | Self::SourceUnavailable { .. }
        )
    }
}

impl<T> Field<T> {
    /// Without a value, for this reason.
    pub const fn missing(reason: MissingReason) -> Self {
        Self::Missing { reason }
    }

    /// The value, where there is one.
    pub fn value(&self) -> Option<T>
    where
        T: Copy,
    {
        match self {
            Self::Present { value, .. } => Some(*value),
            Self::Missing { .. } => None,
        }
    }

    /// The instant it speaks for, where there is a value.
    pub const fn as_of(&self) -> Option<UnixMillis> {
        match self {
            Self::Present { as_of, .. } => Some(*as_of),
            Self::Missing { .. } => None,
        }
    }

    /// How fresh the value is; [`Freshness::Missing`] where there is none.
    pub const fn freshness(&self) -> Freshness {
        match self {
            Self::Present { freshness, .. } => *freshness,
            Self::Missing { .. } => Freshness::Missing,
        }
    }

    /// Who said it, where there is a value.
    pub fn source(&self) -> Option<&str> {
        match self {
            Self::Present { source, .. } => Some(source),
            Self::Missing { .. } => None,
        }
    }

    /// Why there is no value, where there is none.
    pub const fn reason(&self) -> Option<&MissingReason> {
        match self {
            Self::Present { .. } => None,
            Self::Missing { reason } => Some(reason),
        }
    }
}

/// How fresh several are together: the worst of those that are there; none being there is
/// [`Freshness::Missing`]. What is missing does not make the others worse.
pub(super) fn rollup(parts: impl IntoIterator<Item = Freshness>) -> Freshness {
    parts
        .into_iter()
        .filter(|&part| part != Freshness::Missing)
        .max()
        .unwrap_or(Freshness::Missing)
}

impl From<&QueryError> for MissingReason {
    fn from(error: &QueryError) -> Self {
        let message = error.to_string();
        if error.may_serve_stale() || matches!(error, QueryError::Overloaded { .. }) {
            Self::SourceUnavailable { message }
        } else {
            Self::QueryFailed { message }
        }
    }
}

impl fmt::Display for MissingReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoData => f.write_str("no data"),
            Self::NoSeries { source } => write!(f, "no series matched at source {source}"),
            Self::NotEnabled { param } => {
                write!(f, "not enabled: parameter {param:?} is not given")
            }
            Self::NotAsked => f.write_str("not asked"),
            Self::QueryFailed { message } => write!(f, "query failed: {message}"),
            Self::SourceUnavailable { message } => write!(f, "source unavailable: {message}"),
            Self::NotANumber => f.write_str("the value is NaN"),
            Self::Ambiguous { series } => {
                write!(f, "{series} series where one was expected")
            }
            Self::WrongType { found } => {
                write!(f, "a {found}, of which no single number can be read")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use core::time::Duration;

    use super::*;
    use crate::FetchError;

    #[test]
    fn a_missing_field_has_no_value_and_says_why() {
        let field: Field = Field::missing(MissingReason::NoData);
        assert_eq!(
            (field.value(), field.as_of(), field.source()),
            (None, None, None)
        );
        assert_eq!(field.freshness(), Freshness::Missing);
        assert_eq!(field.reason(), Some(&MissingReason::NoData));
    }

    #[test]
    fn the_rollup_is_the_worst_of_what_is_there() {
        use Freshness::{Fresh, Missing, Stale, Unavailable};
        assert_eq!(rollup([Fresh, Missing, Stale]), Stale);
        assert_eq!(rollup([Unavailable, Stale]), Unavailable);
        assert_eq!(rollup([Missing, Missing]), Missing);
        assert_eq!(rollup([]), Missing);
    }

    #[test]
    fn errors_blame_the_query_or_the_source() {
        let timeout = QueryError::Timeout {
            source: "prom".into(),
            after: Duration::from_secs(10),
        };
        let unreachable = QueryError::Unreachable {
            source: "prom".into(),
            error: FetchError::Connect {
                detail: "refused".into(),
            },
        };
        let busy = QueryError::Overloaded {
            source: "prom".into(),
            limit: "in_flight_max",
        };
        for error in [timeout, unreachable, busy] {
            let reason = MissingReason::from(&error);
            assert!(
                matches!(&reason, MissingReason::SourceUnavailable { message } if message.contains("prom"))
            );
        }
        let wrong = QueryError::Parse {
            message: "no".into(),
            position: 3,
        };
        assert_eq!(
            MissingReason::from(&wrong).to_string(),
            "query failed: parse error at character 4: no"
        );
    }

    #[test]
    fn every_reason_reads_as_one() {
        let message = || String::from("why");
        let reasons = [
            (MissingReason::NoData, "no data"),
            (MissingReason::NotAsked, "not asked"),
            (
                MissingReason::QueryFailed { message: message() },
                "query failed: why",
            ),
            (
                MissingReason::SourceUnavailable { message: message() },
                "source unavailable: why",
            ),
            (MissingReason::NotANumber, "the value is NaN"),
            (
                MissingReason::Ambiguous { series: 2 },
                "2 series where one was expected",
            ),
        ];
        for (reason, text) in reasons {
            assert_eq!(reason.to_string(), text);
        }
    }
}
