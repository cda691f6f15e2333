//! Matchers: conditions on one label each, as they stand between the braces of a selector.

use alloc::boxed::Box;
use core::fmt::{self, Display, Formatter};

use crate::error::MatcherError;
use crate::labels::{Labels, is_label_name, write_quoted};
use crate::pattern::{Pattern, compile};

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MatchOp {
    /// `=`: the value is this very string.
    Equal,
    /// `!=`: the value is any other string.
    NotEqual,
    /// `=~`: the pattern matches the whole value.
    Regex,
    /// `!~`: the pattern does not match the whole value.
    NotRegex,
}

impl MatchOp {
    /// The operator as PromQL writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

impl Display for MatchOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One condition on one label. A label that is absent counts as the empty string, as in Prometheus.
///
/// Patterns are RE2's and have to match the whole value; their size is bounded, and matching takes time linear in the
/// value. Unicode classes (`\pL`) are not supported.
///
/// ```
/// use tidegate_series::{Labels, MatchOp, Matcher};
///
/// let labels = Labels::from_pairs([("__name__", "up"), ("job", "node")])?;
/// assert!(Matcher::new("job", MatchOp::Regex, "no.*")?.matches(&labels));
/// assert!(!Matcher::new("job", MatchOp::Regex, "no")?.matches(&labels));
/// assert!(Matcher::new("pod", MatchOp::Equal, "")?.matches(&labels));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Matcher {
    name: Box<str>,
    op: MatchOp,
    value: Box<str>,
    pattern: Option<Pattern>,
}

impl Matcher {
    /// A matcher on label `name`; `value` is a pattern for the regex operators, else the very string.
    ///
    /// # Errors
    ///
    /// An invalid label name; a pattern that is too long, too large once compiled, or no regular expression.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Self, MatcherError> {
        if !is_label_name(name) {
            return Err(MatcherError::InvalidName { name: name.into() });
        }
        let pattern = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(compile(name, value)?),
        };
        Ok(Self {
            name: name.into(),
            op,
            value: value.into(),
            pattern,
        })
    }

    /// Whether the series with these labels passes.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.matches_value(labels.value(&self.name).unwrap_or_default())
    }

    /// Whether a label with this value passes.
    #[must_use]
    pub fn matches_value(&self, value: &str) -> bool {
        let alike = match &self.pattern {
            Some(pattern) => pattern.is_match(value),
            None => *self.value == *value,
        };
        match self.op {
            MatchOp::Equal | MatchOp::Regex => alike,
            MatchOp::NotEqual | MatchOp::NotRegex => !alike,
        }
    }

    /// Whether a series without the label passes. Prometheus refuses a selector of which every matcher does.
    #[must_use]
    pub fn matches_empty(&self) -> bool {
        self.matches_value("")
    }

    /// The label it is about.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it compares.
    #[must_use]
    pub const fn op(&self) -> MatchOp {
        self.op
    }

    /// The string or pattern it compares with, as given.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl Eq for Matcher {}

impl Display for Matcher {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name, self.op)?;
        write_quoted(f, &self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    fn matcher(op: MatchOp, value: &str) -> Matcher {
        Matcher::new("job", op, value).unwrap()
    }

    fn job(value: &str) -> Labels {
        Labels::from_pairs([("job", value), ("other", "x")]).unwrap()
    }

    #[test]
    fn each_operator_compares_as_prometheus_does() {
        let table = [
            (MatchOp::Equal, "node", [true, false]),
            (MatchOp::NotEqual, "node", [false, true]),
            (MatchOp::Regex, "no.e|x", [true, false]),
            (MatchOp::NotRegex, "no.e|x", [false, true]),
        ];
        for (op, value, expected) in table {
            let matcher = matcher(op, value);
            let found = [job("node"), job("nodes")].map(|labels| matcher.matches(&labels));
            assert_eq!(found, expected, "{matcher}");
        }
    }

    #[test]
    fn an_absent_label_is_the_empty_string() {
        let absent = job("");
        for (op, value, expected) in [
            (MatchOp::Equal, "", true),
            (MatchOp::NotEqual, "", false),
            (MatchOp::NotEqual, "node", true),
            (MatchOp::Regex, ".*", true),
            (MatchOp::Regex, ".+", false),
            (MatchOp::NotRegex, "node", true),
        ] {
            let matcher = matcher(op, value);
            assert_eq!(matcher.matches(&absent), expected, "{matcher}");
            assert_eq!(matcher.matches_empty(), expected, "{matcher}");
        }
    }

    #[test]
    fn a_name_that_no_label_can_have_is_refused() {
        for name in ["", "a:b", "1", "a b"] {
            let refused = Err(MatcherError::InvalidName { name: name.into() });
            assert_eq!(Matcher::new(name, MatchOp::Equal, "x"), refused);
        }
    }

    #[test]
    fn only_regex_operators_read_a_pattern() {
        assert!(Matcher::new("job", MatchOp::Equal, "(").is_ok());
        assert!(Matcher::new("job", MatchOp::NotEqual, "(").is_ok());
        assert!(Matcher::new("job", MatchOp::Regex, "(").is_err());
        assert!(Matcher::new("job", MatchOp::NotRegex, "(").is_err());
    }

    #[test]
    fn display_is_promql() {
        let shown = matcher(MatchOp::NotRegex, "a\"\\.b\n").to_string();
        assert_eq!(shown, r#"job!~"a\"\\.b\n""#);
    }

    proptest! {
        #[test]
        fn an_operator_and_its_negation_never_agree(value in "[ab.*]{0,4}", probe in "[ab]{0,3}") {
            let labels = job(&probe);
            for (op, negated) in
                [(MatchOp::Equal, MatchOp::NotEqual), (MatchOp::Regex, MatchOp::NotRegex)]
            {
                let (Ok(plain), Ok(negated)) =
                    (Matcher::new("job", op, &value), Matcher::new("job", negated, &value))
                else {
                    continue;
                };
                prop_assert_ne!(plain.matches(&labels), negated.matches(&labels));
            }
        }
    }
}
