//! The regular expressions of matchers: anchored, limited in size, linear in time.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem;

use regex::{Regex, RegexBuilder};

use crate::dialect::from_re2;
use crate::error::MatcherError;

/// How long a pattern may be, in bytes. A list of a few hundred pod names fits.
pub const PATTERN_BYTES_MAX: usize = 16 * 1_024;

/// How large a compiled pattern may be, in bytes; a mere list of texts (`a|b|c`) is not compiled. Repetition multiplies
/// (`(a{100}){100}`), so the length alone bounds nothing, and matching costs size times length of the value.
pub const COMPILED_BYTES_MAX: usize = 128 * 1_024;

/// How deep groups may nest. The engine recurses, and a wasm stack is small.
pub const NESTING_MAX: u32 = 100;

/// A pattern ready to match.
#[derive(Debug, Clone)]
pub(crate) enum Pattern {
    /// One of these texts, sorted. What dashboards send for a choice of several values.
    OneOf(Box<[Box<str>]>),
    /// Anything else, anchored.
    Regex(Regex),
}

impl Pattern {
    /// Whether it matches the whole of `value`.
    pub(crate) fn is_match(&self, value: &str) -> bool {
        match self {
            Self::OneOf(texts) => texts.binary_search_by(|text| (**text).cmp(value)).is_ok(),
            Self::Regex(regex) => regex.is_match(value),
        }
    }
}

/// Compiles `pattern` so that it has to match the whole of a value.
///
/// It is read as Prometheus reads it (RE2); as in Prometheus 3 the dot matches a newline too.
pub(crate) fn compile(name: &str, pattern: &str) -> Result<Pattern, MatcherError> {
    if pattern.len() <= PATTERN_BYTES_MAX
        && let Some(texts) = alternatives(pattern)
    {
        return Ok(Pattern::OneOf(texts));
    }
    anchored(name, pattern).map(Pattern::Regex)
}

/// The same, always as an engine.
pub(crate) fn anchored(name: &str, pattern: &str) -> Result<Regex, MatcherError> {
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
    let pattern = from_re2(pattern);
    compiled(&pattern)?;
    compiled(&format!(r"\A(?:{pattern})\z"))
}

/// The texts of a pattern that is nothing but texts separated by bars, perhaps with escaped punctuation.
fn alternatives(pattern: &str) -> Option<Box<[Box<str>]>> {
    let mut texts = Vec::new();
    let mut text = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '|' => texts.push(mem::take(&mut text).into_boxed_str()),
            '\\' => text.push(chars.next().filter(char::is_ascii_punctuation)?),
            '.' | '+' | '*' | '?' | '(' | ')' | '[' | '{' | '^' | '$' => return None,
            c => text.push(c),
        }
    }
    texts.push(text.into_boxed_str());
    texts.sort_unstable();
    Some(texts.into())
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    fn matches(pattern: &str, value: &str) -> bool {
        compile("l", pattern).unwrap().is_match(value)
    }

    #[test]
    fn a_pattern_matches_whole_values_only() {
        assert!(matches("a|bc", "bc"));
        for value in ["abc", "bcd", "abcd", "", "a\n"] {
            assert!(!matches("a|bc", value), "{value:?}");
        }
        assert!(!matches("(?m)^a$", "b\na\nb"));
    }

    #[test]
    fn the_dot_matches_a_newline_too() {
        assert!(matches("a.b", "a\nb"));
    }

    #[test]
    fn no_pattern_slips_out_of_the_anchors() {
        for pattern in ["a)|(?:b", "a)|(b", ")", "(?x)a #", "a\\"] {
            let refused = compile("l", pattern);
            assert!(
                matches!(refused, Err(MatcherError::InvalidPattern { .. })),
                "{pattern}"
            );
        }
    }

    #[test]
    fn a_refusal_gives_the_reason_in_one_line() {
        let shown = compile("job", "a(b").unwrap_err().to_string();
        let expected = r#"the pattern "a(b" for "job" is no regular expression: unclosed group"#;
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_pattern_is_accepted_at_the_longest_and_refused_one_past_it() {
        assert!(compile("l", &"a|".repeat(PATTERN_BYTES_MAX / 2)).is_ok());
        let bytes = PATTERN_BYTES_MAX + 1;
        let refused = compile("l", &"a".repeat(bytes)).unwrap_err();
        assert_eq!(
            refused,
            MatcherError::PatternTooLong {
                name: "l".into(),
                bytes
            }
        );
    }

    #[test]
    fn a_short_pattern_with_a_huge_program_is_refused() {
        let refused = compile("l", "((a{100}){100}){100}");
        assert!(matches!(refused, Err(MatcherError::PatternTooBig { .. })));
    }

    #[test]
    fn deep_nesting_is_refused_not_overflown() {
        let pattern = "(".repeat(5_000) + &")".repeat(5_000);
        assert!(matches!(
            compile("l", &pattern),
            Err(MatcherError::InvalidPattern { .. })
        ));
    }

    #[test]
    fn a_pattern_that_would_backtrack_for_ever_answers() {
        assert!(!matches("(a*)*b", &"a".repeat(2_000)));
    }

    #[test]
    fn a_list_of_texts_needs_no_engine() {
        for pattern in ["", "a", "a|b|", r"10\.0\.0\.1|b-c", "a}|]"] {
            assert!(
                matches!(compile("l", pattern), Ok(Pattern::OneOf(_))),
                "{pattern}"
            );
        }
        for pattern in ["a.", "a|b*", r"\d", r"\Qa\E", "(a|b)"] {
            assert!(
                matches!(compile("l", pattern), Ok(Pattern::Regex(_))),
                "{pattern}"
            );
        }
        assert!(matches("a|", "") && !matches("a|b", "") && matches("", ""));
        assert!(matches(r"10\.0|b", "10.0") && !matches(r"10\.0|b", "1000"));
    }

    proptest! {
        #[test]
        fn a_list_of_texts_matches_as_the_engine_does(pattern in "[ab|\\\\.\\]}-]{0,10}", value in "[ab.|]{0,4}") {
            if let (Ok(plain), Ok(engine)) = (compile("l", &pattern), compile("l", &format!("({pattern})"))) {
                prop_assert_eq!(plain.is_match(&value), engine.is_match(&value), "{:?}", pattern);
            }
        }

        #[test]
        fn no_pattern_makes_it_panic(pattern in "\\PC{0,12}|[a-c(){}\\[\\]|*+?\\\\^$.,0-9&~:dwsbQE-]{0,16}") {
            if let Ok(regex) = compile("l", &pattern) {
                let _ = regex.is_match("abc");
            }
        }
    }
}
