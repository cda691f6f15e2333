//! Patterns whose groups are used: what rewrites labels.

use alloc::string::String;

use regex::Regex;

use crate::error::MatcherError;
use crate::pattern::anchored;

/// A pattern that has to match the whole of a text, and whose groups fill in templates.
///
/// It is read and bounded as that of a [`Matcher`](crate::Matcher).
///
/// ```
/// use tidegate_series::GroupPattern;
///
/// let pattern = GroupPattern::new("regex", "([^:]+):(?P<port>[0-9]+)")?;
/// assert_eq!(pattern.expand("db:5432", "$1/${port}").as_deref(), Some("db/5432"));
/// assert_eq!(pattern.expand("db", "$1"), None);
/// # Ok::<(), tidegate_series::MatcherError>(())
/// ```
#[derive(Debug, Clone)]
pub struct GroupPattern {
    regex: Regex,
}

impl GroupPattern {
    /// The pattern; `name` says what it is for, in errors.
    ///
    /// # Errors
    ///
    /// A pattern that is too long, too large once compiled, or no regular expression.
    pub fn new(name: &str, pattern: &str) -> Result<Self, MatcherError> {
        let regex = anchored(name, pattern)?;
        Ok(Self { regex })
    }

    /// Whether it matches the whole of `text`.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// The template with the groups of `text` filled in; `None` where the pattern does not match.
    ///
    /// `$1`, `${1}`, `$name` and `${name}` stand for a group, empty if there is none such or it took no
    /// part; `$1x` is the group called `1x`, as in Go. `$$` is one `$`.
    #[must_use]
    pub fn expand(&self, text: &str, template: &str) -> Option<String> {
        let groups = self.regex.captures(text)?;
        let mut filled = String::new();
        groups.expand(template, &mut filled);
        Some(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(pattern: &str, text: &str, template: &str) -> Option<String> {
        GroupPattern::new("regex", pattern)
            .unwrap()
            .expand(text, template)
    }

    #[test]
    fn templates_are_filled_as_go_fills_them() {
        for (template, filled) in [
            ("$1-$2", "a-b"),
            ("${1}x", "ax"),
            ("$1x", ""),
            ("$0", "a.b"),
            ("$3$nobody", ""),
            ("$$1", "$1"),
            ("cost: $", "cost: $"),
            ("${n}", "b"),
        ] {
            let found = expanded(r"(.)\.(?P<n>.)", "a.b", template);
            assert_eq!(found.as_deref(), Some(filled), "{template}");
        }
    }

    #[test]
    fn it_matches_whole_texts_and_lists_too() {
        assert_eq!(expanded("a|b", "b", "x").as_deref(), Some("x"));
        assert_eq!(expanded("a|b", "ab", "x"), None);
        assert_eq!(expanded("(.*)", "", "[$1]").as_deref(), Some("[]"));
        assert_eq!(expanded("(.*)", "a\nb", "$1").as_deref(), Some("a\nb"));
    }

    #[test]
    fn it_is_bounded_as_matchers_are() {
        let refused = GroupPattern::new("regex", "((a{100}){100}){100}");
        assert!(matches!(refused, Err(MatcherError::PatternTooBig { .. })));
        assert!(GroupPattern::new("regex", "a)|(b").is_err());
    }
}
