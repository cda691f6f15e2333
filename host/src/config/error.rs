//! What is wrong with a configuration: where it stands, and what was probably meant.

use std::fmt;
use std::ops::Range;

/// At most this many characters of a line are shown, around the fault.
const LINE_CHARS_MAX: usize = 160;

/// Why a configuration is not taken; its author is to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    Unreadable {
        /// Its path as given.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// Something in the file is wrong.
    InFile {
        /// The file's name as given.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// The line itself, and how many of its characters the fault spans; nothing where it may
        /// hold credentials.
        excerpt: Option<(String, usize)>,
        /// What is wrong.
        message: String,
        /// What was probably meant.
        hint: Option<String>,
    },
    /// A `--source` argument is wrong.
    SourceArgument {
        /// The argument, without credentials.
        argument: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl ConfigError {
    /// A fault at `span` (in bytes) of `text`.
    pub(crate) fn at(
        file: &str,
        text: &str,
        span: Range<usize>,
        message: String,
        hint: Option<String>,
    ) -> Self {
        let start = floor_char_boundary(text, span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..]
            .find('\n')
            .map_or(text.len(), |newline| start + newline);
        let line_text = text[line_start..line_end].trim_end_matches('\r');
        let end = floor_char_boundary(text, span.end.clamp(start, line_end));
        Self::InFile {
            file: file.to_owned(),
            line: text[..line_start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            excerpt: (!may_hold_secrets(line_text)).then(|| {
                (
                    line_text.to_owned(),
                    text[start..end].chars().count().max(1),
                )
            }),
            message,
            hint,
        }
    }
}

/// Whether a line of a configuration may have credentials in it: a URL with a user, a token, a
/// header.
fn may_hold_secrets(line: &str) -> bool {
    const WORDS: [&str; 8] = [
        "@", "token", "header", "bearer", "auth", "secret", "password", "-key",
    ];
    let line = line.to_ascii_lowercase();
    WORDS.iter().any(|word| line.contains(word))
}

fn floor_char_boundary(text: &str, index: usize) -> usize {
    (0..=index.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0)
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, reason } => {
                write!(f, "cannot read the configuration {path}: {reason}")
            }
            Self::SourceArgument { argument, reason } => write!(
                f,
                "bad --source {argument:?}: {reason}; \
                 write --source NAME=URL, such as --source prom=http://127.0.0.1:9090"
            ),
            Self::InFile {
                file,
                line,
                column,
                excerpt,
                message,
                hint,
            } => {
                write!(f, "{file}:{line}:{column}: {message}")?;
                if let Some(hint) = hint {
                    write!(f, "; {hint}")?;
                }
                match excerpt {
                    Some((text, width)) => write_excerpt(f, *line, *column, text, *width),
                    None => Ok(()),
                }
            }
        }
    }
}

impl std::error::Error for ConfigError {}

/// The line and a caret below the fault. Control characters are shown as spaces.
fn write_excerpt(
    f: &mut fmt::Formatter<'_>,
    line: usize,
    column: usize,
    text: &str,
    width: usize,
) -> fmt::Result {
    let first = column.saturating_sub(LINE_CHARS_MAX / 2);
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let shown: String = text
        .chars()
        .skip(first)
        .take(LINE_CHARS_MAX)
        .map(plain)
        .collect();
    let number = line.to_string();
    let gutter = " ".repeat(number.len());
    let indent = " ".repeat(column - 1 - first);
    let carets = "^".repeat(width.min(LINE_CHARS_MAX));
    write!(
        f,
        "\n {gutter} |\n {number} | {}\n {gutter} | {indent}{carets}",
        shown.trim_end()
    )
}

/// Splits serde's message about an unknown name into what stood there and what could have.
///
/// The form is serde's own: "unknown field `x`, expected one of `a`, `b`", also for variants.
pub(crate) fn unknown_name(message: &str) -> Option<(&str, Vec<&str>)> {
    if !message.starts_with("unknown field ") && !message.starts_with("unknown variant ") {
        return None;
    }
    let mut quoted = message.split('`').skip(1).step_by(2);
    let given = quoted.next()?;
    Some((given, quoted.collect()))
}

/// The candidate most like `given`, if any is like it at all.
pub(crate) fn closest<'a>(given: &str, candidates: &[&'a str]) -> Option<&'a str> {
    /// Below this Jaro-Winkler likeness a guess confuses more than it helps.
    const LIKENESS_MIN: f64 = 0.75;
    let normal = given.to_ascii_lowercase().replace('-', "_");
    candidates
        .iter()
        .map(|candidate| (strsim::jaro_winkler(&normal, candidate), *candidate))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// What was probably meant by `given`, or else what there is.
pub(crate) fn meant(given: &str, known: &[&str]) -> String {
    match closest(given, known) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None => format!("known are {}", known.join(", ")),
    }
}

/// `text` with everything between a scheme's slashes and the last `@` replaced.
pub(crate) fn redacted(text: &str) -> String {
    let Some(at) = text.rfind('@') else {
        return text.to_owned();
    };
    let start = text[..at].find("//").map_or(0, |slashes| slashes + 2);
    format!("{}***{}", &text[..start], &text[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_an_argument_are_replaced() {
        assert_eq!(redacted("p=http://u:p@q@h/"), "p=http://***@h/");
        assert_eq!(redacted("u:p@h"), "***@h");
        assert_eq!(redacted("http://h/"), "http://h/");
    }

    #[test]
    fn places_are_counted_in_lines_and_characters() {
        let text = "a = 1\nä = ö x\n";
        let at = text.find('x').unwrap();
        let error = ConfigError::at("f.toml", text, at..at + 1, "no x here".into(), None);
        assert_eq!(
            error.to_string(),
            "f.toml:2:7: no x here\n   |\n 2 | ä = ö x\n   |       ^"
        );
    }

    #[test]
    fn a_span_past_the_end_is_shown_at_the_end() {
        let error = ConfigError::at("f", "ä", 7..99, "cut off".into(), None);
        assert!(error.to_string().starts_with("f:1:2: cut off"), "{error}");
        let error = ConfigError::at("f", "", 0..0, "empty".into(), None);
        assert!(error.to_string().starts_with("f:1:1: empty"), "{error}");
    }

    #[test]
    fn a_line_that_may_hold_secrets_is_not_shown() {
        let text = "url = \"http://me:secret@host:x\"";
        let error = ConfigError::at("f", text, 6..31, "bad".into(), None);
        assert_eq!(error.to_string(), "f:1:7: bad");
        let text = "beer_Token = \"secret\"";
        let error = ConfigError::at("f", text, 0..10, "unknown key".into(), None);
        assert_eq!(error.to_string(), "f:1:1: unknown key");
        let text = "X-Api-Key = \"s3cret";
        let error = ConfigError::at("f", text, 12..13, "no end".into(), None);
        assert_eq!(error.to_string(), "f:1:13: no end");
    }

    #[test]
    fn a_long_line_is_shown_around_the_fault() {
        let text = format!("{}x{}", "a".repeat(1_000), "b".repeat(1_000));
        let shown = ConfigError::at("f", &text, 1_000..1_001, "m".into(), None).to_string();
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[2].find('x'), lines[3].find('^'));
        assert!(lines[2].len() < 200);
    }

    #[test]
    fn the_closest_name_is_found_and_nonsense_is_not() {
        let known = ["name", "url", "ttl", "timeout", "fresh_below"];
        assert_eq!(closest("timout", &known), Some("timeout"));
        assert_eq!(closest("fresh-below", &known), Some("fresh_below"));
        assert_eq!(closest("TTL", &known), Some("ttl"));
        assert_eq!(closest("banana", &known), None);
    }
}
