//! Everything that can be wrong with an exposition, with the place and the offending text.

use alloc::string::String;
use core::fmt;

use crate::decode::excerpt;

/// Why a body is not an exposition.
///
/// Lines and columns count from 1, columns in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExpositionError {
    /// A line that is not of the format.
    Syntax {
        /// Where the text stands.
        line: usize,
        /// Where the text stands.
        column: usize,
        /// What should have stood there.
        expected: &'static str,
        /// What does, cut to its beginning if it is long; empty at the end of the line.
        found: String,
    },
    /// A line that reads well and breaks a rule of OpenMetrics.
    Rule {
        /// Where the text stands.
        line: usize,
        /// Where the text stands.
        column: usize,
        /// The rule.
        rule: &'static str,
        /// What breaks it, cut to its beginning if it is long.
        text: String,
    },
    /// Bytes that are not UTF-8.
    BadUtf8 {
        /// Where the first of them stands.
        line: usize,
        /// Where the first of them stands.
        column: usize,
    },
    /// A label that a series, or an exemplar, has twice.
    DuplicateLabel {
        /// Where its second name stands.
        line: usize,
        /// Where its second name stands; 1 if that is the metric's own.
        column: usize,
        /// The name, cut to its beginning if it is long.
        name: String,
    },
    /// A series that an OpenMetrics body has twice at the same time.
    DuplicateSeries {
        /// Where it stands the second time.
        line: usize,
        /// Where it stands first.
        first_line: usize,
        /// The name and labels, cut to their beginning if they are long.
        series: String,
    },
    /// An OpenMetrics body that does not end in `# EOF`: most likely it is cut off.
    MissingEof {
        /// The last line there is; 0 in an empty body.
        line: usize,
    },
    /// A limit of [`ScrapeLimits`](crate::ScrapeLimits) is passed.
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
        /// The line that passes it.
        line: usize,
    },
}

impl ExpositionError {
    pub(super) fn syntax(place: (usize, usize), expected: &'static str, found: &str) -> Self {
        let ((line, column), found) = (place, excerpt(found));
        Self::Syntax {
            line,
            column,
            expected,
            found,
        }
    }

    pub(super) fn rule(place: (usize, usize), rule: &'static str, text: &str) -> Self {
        let ((line, column), text) = (place, excerpt(text));
        Self::Rule {
            line,
            column,
            rule,
            text,
        }
    }

    /// The line it is about, from 1; 0 where the body is empty.
    pub fn line(&self) -> usize {
        match self {
            Self::Syntax { line, .. }
            | Self::Rule { line, .. }
            | Self::BadUtf8 { line, .. }
            | Self::DuplicateLabel { line, .. }
            | Self::DuplicateSeries { line, .. }
            | Self::MissingEof { line }
            | Self::TooLarge { line, .. } => *line,
        }
    }
}

impl fmt::Display for ExpositionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax {
                line,
                column,
                expected,
                found,
            } => {
                write!(f, "line {line}, column {column}: expected {expected}")?;
                if found.is_empty() {
                    return f.write_str(", found the end of the line");
                }
                write!(f, ", found {found:?}")
            }
            Self::Rule {
                line,
                column,
                rule,
                text,
            } => write!(f, "line {line}, column {column}: {rule}, unlike {text:?}"),
            Self::BadUtf8 { line, column } => {
                write!(f, "line {line}, column {column}: invalid utf-8")
            }
            Self::DuplicateLabel { line, column, name } => {
                write!(
                    f,
                    "line {line}, column {column}: label {name:?} comes twice"
                )
            }
            Self::DuplicateSeries {
                line,
                first_line,
                series,
            } => write!(
                f,
                "line {line}: {series:?} comes twice, first in line {first_line}"
            ),
            Self::MissingEof { line } => {
                write!(f, "the body ends after line {line} without `# EOF`")
            }
            Self::TooLarge { what, limit, line } => {
                write!(f, "line {line}: more than {limit} {what}")
            }
        }
    }
}

impl core::error::Error for ExpositionError {}
