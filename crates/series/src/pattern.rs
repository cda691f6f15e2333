//! The regular expressions of matchers: anchored, limited in size, linear in time.

use alloc::boxed::Box;
use alloc::format;

use regex::{Regex, RegexBuilder};

use crate::error::MatcherError;

/// How long a pattern may be, in bytes. A list of a few hundred pod names fits.
pub const PATTERN_BYTES_MAX: usize = 16 * 1_024;

/// How large a compiled pattern may be, in bytes. Repetition multiplies (`(a{100}){100}`), so the length alone
/// bounds nothing.
pub const COMPILED_BYTES_MAX: usize = 1_024 * 1_024;

/// How deep groups may nest. The engine recurses, and a wasm stack is small.
pub const NESTING_MAX: u32 = 100;

/// Compiles `pattern` so that it has to match the whole of a value.
///
/// As in Prometheus 3 the dot matches a newline too.
pub(crate) fn compile(name: &str, pattern: &str) -> Result<Regex, MatcherError> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(MatcherError::PatternTooLong {
            name: name.into(),
            bytes: pattern.len(),
        });
    }
    let compiled = |text: &str| {
        RegexBuilder::new(text)
            .dot_matches_new_line(true)
            .size_limit(COMPILED_BYTES_MAX)
            .nest_limit(NESTING_MAX)
            .build()
            .map_err(|error| refusal(name, pattern, &error))
    };
    // Alone first: `a)|(b` is only well-formed inside the brackets, and would slip out of the anchors there.
    compiled(pattern)?;
    compiled(&format!(r"\A(?:{pattern})\z"))
}

fn refusal(name: &str, pattern: &str, error: &regex::Error) -> MatcherError {
    let name = name.into();
    let pattern = pattern.into();
    if matches!(error, regex::Error::CompiledTooBig(_)) {
        return MatcherError::PatternTooBig { name, pattern };
    }
    MatcherError::InvalidPattern {
        name,
        pattern,
        reason: last_line(error),
    }
}

/// The engine draws the pattern over several lines and ends with the reason.
fn last_line(error: &regex::Error) -> Box<str> {
    let text = format!("{error}");
    let line = text.lines().last().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).into()
}
