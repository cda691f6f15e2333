//! What is recorded of which metric: on, off, or one in so many, by the pattern of its name.

use std::error::Error;
use std::fmt;
use std::num::NonZeroU32;

/// How many rules there may be. Each new metric is held against them, one after the other.
pub const RULES_MAX: usize = 1_024;

/// How long a pattern may be, in bytes; metric names are shorter.
pub const GLOB_BYTES_MAX: usize = 1_024;

/// A pattern of metric names: `*` stands for any text, also none, `?` for one character, and everything
/// else for itself. It has to match the whole name.
///
/// ```
/// use tidegate_record::Glob;
///
/// let glob = Glob::new("http_*_seconds")?;
/// assert!(glob.matches("http_request_seconds") && !glob.matches("http_requests_total"));
/// # Ok::<(), tidegate_record::RulesError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Glob(Box<str>);

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// An empty pattern, or one longer than [`GLOB_BYTES_MAX`].
    pub fn new(pattern: &str) -> Result<Self, RulesError> {
        match pattern.len() {
            0 => Err(RulesError::Empty),
            1..=GLOB_BYTES_MAX => Ok(Self(pattern.into())),
            bytes => Err(RulesError::TooLong(bytes)),
        }
    }

    /// Whether it matches the whole of `name`. Takes at most as many steps as the product of both lengths.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let (mut pattern, mut rest) = (self.0.chars(), name.chars());
        // Behind the last star: the pattern from there, and where the name was.
        let mut retry = None;
        loop {
            match (pattern.next(), rest.clone().next()) {
                (Some('*'), _) => retry = Some((pattern.clone(), rest.clone())),
                (None, None) => return true,
                (Some(expected), Some(c)) if expected == '?' || expected == c => {
                    rest.next();
                }
                _ => {
                    // The star takes one character more.
                    let Some((after, from)) = &mut retry else {
                        return false;
                    };
                    if from.next().is_none() {
                        return false;
                    }
                    (pattern, rest) = (after.clone(), from.clone());
                }
            }
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How much of a metric is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Recording {
    /// All of it.
    #[default]
    On,
    /// Nothing.
    Off,
    /// One in so many, chosen at random, and counted as so many: counters and the counts of histograms stay
    /// right on the average. A sampled counter's event has what was counted; a sampled timer's or
    /// histogram's is passed on as it is. Gauges and custom metrics are recorded in full: skipping one
    /// would leave an old value.
    OneIn(NonZeroU32),
}

/// A pattern, and what holds for the metrics it matches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// Which metrics, by the name they are recorded under, with `_` for what names cannot have.
    pub pattern: Glob,
    /// How much of them is recorded.
    pub recording: Recording,
}

impl Rule {
    /// The rule that metrics matching `pattern` are recorded so.
    ///
    /// # Errors
    ///
    /// As [`Glob::new`].
    pub fn new(pattern: &str, recording: Recording) -> Result<Self, RulesError> {
        let pattern = Glob::new(pattern)?;
        Ok(Self { pattern, recording })
    }
}

/// What the first rule that matches says; without one it is on.
pub(crate) fn recording_of(rules: &[Rule], name: &str) -> Recording {
    let rule = rules.iter().find(|rule| rule.pattern.matches(name));
    rule.map_or_else(Recording::default, |rule| rule.recording)
}

/// Why rules are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RulesError {
    /// A pattern is empty.
    Empty,
    /// A pattern has so many bytes, more than [`GLOB_BYTES_MAX`].
    TooLong(usize),
    /// There are so many rules, more than [`RULES_MAX`].
    TooMany(usize),
}

impl fmt::Display for RulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a pattern is empty; `*` matches every name"),
            Self::TooLong(bytes) => {
                write!(
                    f,
                    "a pattern of {bytes} bytes is longer than {GLOB_BYTES_MAX}"
                )
            }
            Self::TooMany(count) => write!(f, "{count} rules are more than {RULES_MAX}"),
        }
    }
}

impl Error for RulesError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Glob::new(pattern).unwrap().matches(name)
    }

    #[test]
    fn stars_take_any_text_and_question_marks_one_character() {
        for (pattern, name) in [
            ("*", ""),
            ("*", "abc"),
            ("a*c", "ac"),
            ("a*c", "abcbc"),
            ("a?c", "abc"),
            ("*_total", "x_total_total"),
            ("**?", "a"),
            ("?", "é"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("a", "ab"),
            ("a", ""),
            ("a?", "a"),
            ("a*c", "abcd"),
            ("?*", ""),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_answers() {
        let pattern = "a*".repeat(GLOB_BYTES_MAX / 2);
        assert!(!matches(&pattern, &"a".repeat(500)));
    }

    #[test]
    fn the_first_rule_that_matches_counts() {
        let tenth = Recording::OneIn(NonZeroU32::new(10).unwrap());
        let rules = [
            ("http_errors", Recording::On),
            ("http_*", tenth),
            ("h*", Recording::Off),
        ];
        let rules = rules.map(|(pattern, recording)| Rule::new(pattern, recording).unwrap());
        assert_eq!(recording_of(&rules, "http_errors"), Recording::On);
        assert_eq!(recording_of(&rules, "http_hits"), tenth);
        assert_eq!(recording_of(&rules, "heap"), Recording::Off);
        assert_eq!(recording_of(&rules, "cpu"), Recording::On);
    }

    #[test]
    fn a_pattern_is_accepted_at_the_longest_and_refused_one_past_it() {
        assert!(Glob::new(&"a".repeat(GLOB_BYTES_MAX)).is_ok());
        let refused = Glob::new(&"a".repeat(GLOB_BYTES_MAX + 1)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "a pattern of 1025 bytes is longer than 1024"
        );
        assert_eq!(Glob::new(""), Err(RulesError::Empty));
    }

    /// The definition, at the cost of trying everything.
    fn naive(pattern: &[char], name: &[char]) -> bool {
        match pattern {
            [] => name.is_empty(),
            ['*', rest @ ..] => (0..=name.len()).any(|at| naive(rest, &name[at..])),
            [c, rest @ ..] => {
                name.first().is_some_and(|first| *c == '?' || c == first) && naive(rest, &name[1..])
            }
        }
    }

    proptest! {
        #[test]
        fn it_matches_as_the_definition_does(pattern in "[ab*?]{1,8}", name in "[ab]{0,10}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&pattern, &name), naive(&chars(&pattern), &chars(&name)));
        }
    }
}
