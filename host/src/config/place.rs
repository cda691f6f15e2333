//! The text that errors point into.

use std::ops::Range;

use tidegate_core::ConfigError as CoreError;

use super::error::{ConfigError, meant, unknown_name};

/// A file's name and text.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) name: &'a str,
    pub(super) text: &'a str,
}

impl Place<'_> {
    pub(super) fn at(
        self,
        span: Range<usize>,
        message: String,
        hint: Option<String>,
    ) -> ConfigError {
        ConfigError::at(self.name, self.text, span, message, hint)
    }

    pub(super) fn syntax(self, error: &toml::de::Error) -> ConfigError {
        let span = error.span().unwrap_or(0..0);
        let message = error.message().lines().collect::<Vec<_>>().join("; ");
        let Some((given, known)) = unknown_name(&message) else {
            return self.at(span, message, None);
        };
        let what = if message.starts_with("unknown variant") {
            "value"
        } else {
            "key"
        };
        let hint = meant(given, &known);
        self.at(span, format!("unknown {what} `{given}`"), Some(hint))
    }

    /// What the collector found wrong, at the source's name or its table.
    pub(super) fn core(
        self,
        error: &CoreError,
        table: &Range<usize>,
        name: Range<usize>,
    ) -> ConfigError {
        let at_name = matches!(
            error,
            CoreError::BadName { .. } | CoreError::DuplicateSource { .. }
        );
        let span = if at_name {
            name
        } else {
            self.first_line(table)
        };
        self.at(span, error.to_string(), None)
    }

    /// A table's span runs over many lines; its first is enough to find it.
    pub(super) fn first_line(self, span: &Range<usize>) -> Range<usize> {
        let end = self
            .text
            .get(span.clone())
            .and_then(|table| table.find('\n'))
            .map_or(span.end, |at| span.start + at);
        span.start..end
    }
}
