//! What can be wrong with a template, and with the values given to it.

use alloc::string::String;
use core::fmt;

use crate::TemplateConfig;
use crate::promql::SyntaxError;

/// What is wrong with a template; its author is to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TemplateError {
    /// Its name has other characters than names may have, or none.
    BadName {
        /// The name given.
        name: String,
    },
    /// Two templates of one source share a name.
    Duplicate {
        /// The name.
        name: String,
    },
    /// Its text is wrong.
    Syntax {
        /// The template.
        template: String,
        /// What is wrong.
        message: String,
        /// Where in the text, as a byte offset from 0.
        position: usize,
    },
    /// A parameter stands where its type must be known.
    Undeclared {
        /// The template.
        template: String,
        /// The parameter.
        param: String,
        /// Where in the text, as a byte offset from 0.
        position: usize,
    },
}

impl TemplateError {
    pub(super) fn syntax(config: &TemplateConfig, error: SyntaxError) -> Self {
        Self::Syntax {
            template: config.name.clone(),
            message: error.message,
            position: error.position,
        }
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadName { name } => write!(
                f,
                "bad template name {name:?}: use letters, digits, '_', '-' and '.'"
            ),
            Self::Duplicate { name } => write!(f, "two templates are named {name:?}"),
            Self::Syntax {
                template,
                message,
                position,
            } => {
                write!(
                    f,
                    "template {template}, character {}: {message}",
                    position + 1
                )
            }
            Self::Undeclared {
                template,
                param,
                position,
            } => write!(
                f,
                "template {template}, character {}: parameter {param:?} stands outside of strings and durations, \
                 so declare it as metric, label or number",
                position + 1
            ),
        }
    }
}

impl core::error::Error for TemplateError {}

/// Why values do not fit a template; whoever gave them is to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BindError {
    /// A parameter has no value.
    Missing {
        /// The template.
        template: String,
        /// The parameter.
        param: String,
    },
    /// A value may not stand where it would.
    BadValue {
        /// The template.
        template: String,
        /// The parameter.
        param: String,
        /// The value, shortened if long.
        value: String,
        /// What is wrong with it.
        why: String,
    },
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { template, param } => {
                write!(f, "template {template} needs parameter {param:?}")
            }
            Self::BadValue {
                template,
                param,
                value,
                why,
            } => {
                write!(
                    f,
                    "template {template}, parameter {param:?}: {value:?} does not fit: {why}"
                )
            }
        }
    }
}

impl core::error::Error for BindError {}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn a_wrong_template_is_told_with_its_place() {
        let (template, param) = (String::from("load"), String::from("p"));
        let cases = [
            (
                TemplateError::BadName { name: "a b".into() },
                "bad template name \"a b\"",
            ),
            (
                TemplateError::Duplicate { name: "a".into() },
                "two templates are named \"a\"",
            ),
            (
                TemplateError::Syntax {
                    template: template.clone(),
                    message: "why".into(),
                    position: 4,
                },
                "template load, character 5: why",
            ),
            (
                TemplateError::Undeclared {
                    template: template.clone(),
                    param: param.clone(),
                    position: 0,
                },
                "template load, character 1: parameter \"p\" stands outside",
            ),
        ];
        for (error, text) in cases {
            assert!(error.to_string().starts_with(text), "{error}");
        }
        let missing = BindError::Missing {
            template: template.clone(),
            param: param.clone(),
        };
        assert_eq!(missing.to_string(), "template load needs parameter \"p\"");
        let bad = BindError::BadValue {
            template,
            param,
            value: "v".into(),
            why: "why".into(),
        };
        assert_eq!(
            bad.to_string(),
            "template load, parameter \"p\": \"v\" does not fit: why"
        );
    }
}
