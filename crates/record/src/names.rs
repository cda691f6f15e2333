//! Names as Prometheus allows them.
//!
//! Programs name metrics `http.requests` or `db/pool-size`. Every character that a metric name (letters,
//! digits, `_` and `:`) or a tag's name (letters, digits and `_`) cannot have becomes `_`, a name that
//! begins with a digit gets a `_` before it, and an empty one is `_`. Names that differ in such
//! characters alone are one name.

use std::borrow::Cow;

use tidegate_series::{is_label_name, is_metric_name};

/// The metric name that a program means by `name`.
pub(crate) fn metric_name(name: &str) -> Cow<'_, str> {
    if is_metric_name(name) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(replaced(name, |c| {
        c.is_ascii_alphanumeric() || c == '_' || c == ':'
    }))
}

/// The label name that a program means by the tag `name`.
pub(crate) fn tag_name(name: &str) -> Cow<'_, str> {
    if is_label_name(name) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(replaced(name, |c| c.is_ascii_alphanumeric() || c == '_'))
}

fn replaced(name: &str, allowed: impl Fn(char) -> bool) -> String {
    let first = if name.starts_with(|c: char| c.is_ascii_digit()) || name.is_empty() {
        "_"
    } else {
        ""
    };
    let rest = name.chars().map(|c| if allowed(c) { c } else { '_' });
    first.chars().chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_prometheus_does_not_allow_becomes_an_underscore() {
        for (name, metric, tag) in [
            ("http_requests", "http_requests", "http_requests"),
            ("http.requests/s", "http_requests_s", "http_requests_s"),
            ("job:up", "job:up", "job_up"),
            ("5xx", "_5xx", "_5xx"),
            ("größe", "gr__e", "gr__e"),
            ("", "_", "_"),
        ] {
            assert_eq!(
                (&*metric_name(name), &*tag_name(name)),
                (metric, tag),
                "{name:?}"
            );
        }
    }
}
