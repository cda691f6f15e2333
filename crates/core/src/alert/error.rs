//! What can be wrong with alert rules, in words for their author.

use alloc::string::String;
use core::fmt;
use core::time::Duration;

use super::rule::ALERT_RULES_MAX;

/// What is wrong with alert rules; their author is to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AlertError {
    /// They are looked at too often.
    Interval {
        /// The interval given.
        interval: Duration,
    },
    /// There are more rules than there may be.
    TooManyRules {
        /// How many there are.
        rules: usize,
    },
    /// A name is empty, too long, or has control characters.
    Name {
        /// The name given, up to its longest.
        name: String,
    },
    /// Two rules share a name and their labels, so their alerts could not be told apart.
    Duplicate {
        /// The name.
        rule: String,
    },
    /// A selector is none.
    Selector {
        /// The rule.
        rule: String,
        /// The text.
        selector: String,
        /// What is wrong with it, and where.
        message: String,
    },
    /// Something else is wrong with a rule.
    Rule {
        /// The rule.
        rule: String,
        /// What is wrong, with the value.
        message: String,
    },
}

impl AlertError {
    /// The name of the rule that is wrong, if it is one.
    pub fn rule(&self) -> Option<&str> {
        match self {
            Self::Interval { .. } | Self::TooManyRules { .. } => None,
            Self::Name { name: rule }
            | Self::Duplicate { rule }
            | Self::Selector { rule, .. }
            | Self::Rule { rule, .. } => Some(rule),
        }
    }
}

impl fmt::Display for AlertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interval { interval } => write!(
                f,
                "alerts are looked at every {interval:?}: the interval must be 1 s or more"
            ),
            Self::TooManyRules { rules } => {
                write!(
                    f,
                    "{rules} alert rules, at most {ALERT_RULES_MAX} are taken"
                )
            }
            Self::Name { name } => write!(
                f,
                "bad alert name {name:?}: it must have 1 to 128 bytes and no control characters"
            ),
            Self::Duplicate { rule } => write!(
                f,
                "alert {rule}: another rule has this name and the same labels: give one of them another name or label"
            ),
            Self::Selector {
                rule,
                selector,
                message,
            } => write!(f, "alert {rule}: selector {selector:?}: {message}"),
            Self::Rule { rule, message } => write!(f, "alert {rule}: {message}"),
        }
    }
}

impl core::error::Error for AlertError {}
