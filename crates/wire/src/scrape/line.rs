//! One line of either format into its parts.

mod token;

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::family::FamilyKind;
use super::{ExpositionError, Result, ScrapeLimits};
use token::{Quotes, unescape};

/// What a line is; a sample is in the buffer that was given.
#[derive(Debug)]
pub(super) enum Entry<'b> {
    /// A blank line or a comment.
    Nothing,
    /// Something said of a family.
    Metadata(&'b str, Metadata<'b>),
    /// A sample.
    Sample,
    /// `# EOF`.
    End,
}

#[derive(Debug)]
pub(super) enum Metadata<'b> {
    Kind(FamilyKind),
    Help(Cow<'b, str>),
    Unit(&'b str),
}

#[derive(Debug)]
pub(super) struct Label<'b> {
    pub(super) name: &'b str,
    pub(super) value: Cow<'b, str>,
    /// Where the name stands, from 1.
    pub(super) column: usize,
}

/// The parts of a sample line; one buffer serves all lines.
#[derive(Debug, Default)]
pub(super) struct Sample<'b> {
    pub(super) line: usize,
    pub(super) name: &'b str,
    /// Sorted by name, the metric's own name among them.
    pub(super) labels: Vec<Label<'b>>,
    pub(super) value: f64,
    /// The value as it is written, and where, from 1.
    pub(super) value_text: &'b str,
    pub(super) value_column: usize,
    pub(super) timestamp_ms: Option<i64>,
    pub(super) exemplar: Option<Exemplar>,
}

/// What remains of an exemplar once it is known to be well-formed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exemplar {
    pub(super) value: f64,
    /// Where it stands, from 1.
    pub(super) column: usize,
}

/// The most characters of all names and values of an exemplar's labels, by the specification.
const EXEMPLAR_CHARS_MAX: usize = 128;

/// Whether a line is a comment in text, whatever its bytes.
pub(super) fn is_comment(bytes: &[u8]) -> bool {
    let Some(after) = bytes.trim_ascii_start().strip_prefix(b"#") else {
        return false;
    };
    let word = after.trim_ascii_start();
    after.len() == word.len() || !(word.starts_with(b"HELP") || word.starts_with(b"TYPE"))
}

/// A line being read.
pub(super) struct Line<'b, 'l> {
    text: &'b str,
    at: usize,
    number: usize,
    strict: bool,
    limits: &'l ScrapeLimits,
}

impl<'b, 'l> Line<'b, 'l> {
    /// A line of text 0.0.4.
    pub(super) fn lenient(number: usize, text: &'b str, limits: &'l ScrapeLimits) -> Self {
        Self {
            text,
            at: 0,
            number,
            strict: false,
            limits,
        }
    }

    /// A line of OpenMetrics.
    pub(super) fn strict(number: usize, text: &'b str, limits: &'l ScrapeLimits) -> Self {
        Self {
            strict: true,
            ..Self::lenient(number, text, limits)
        }
    }

    pub(super) fn read(mut self, sample: &mut Sample<'b>) -> Result<Entry<'b>> {
        self.skip_blanks();
        if self.strict && self.text.ends_with('\r') {
            self.at = self.text.len() - 1;
            return Err(self.expected("no carriage return at the end of a line"));
        }
        match self.peek() {
            None if !self.strict => Ok(Entry::Nothing),
            Some(b'#') if self.strict => self.read_descriptor(),
            Some(b'#') => self.read_comment(),
            _ => self.read_sample(sample).map(|()| Entry::Sample),
        }
    }

    /// Reads a line of OpenMetrics that begins with `#`.
    fn read_descriptor(&mut self) -> Result<Entry<'b>> {
        if self.text == "# EOF" {
            return Ok(Entry::End);
        }
        let words = [("# TYPE ", 0), ("# HELP ", 1), ("# UNIT ", 2)];
        let Some((word, which)) = words.iter().find(|(word, _)| self.text.starts_with(word)) else {
            return Err(self.expected("`# TYPE`, `# HELP`, `# UNIT` or `# EOF`"));
        };
        self.at = word.len();
        let name = self.read_name(':', "a metric name")?;
        if self.peek() != Some(b' ') {
            return Err(self.expected("a space"));
        }
        self.at += 1;
        let rest = self.rest();
        let metadata = match which {
            0 => Metadata::Kind(self.read_kind(FamilyKind::of_openmetrics(rest))?),
            1 => Metadata::Help(unescape(rest, Quotes::Escaped)),
            _ => {
                let is_unit =
                    |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':');
                self.at += rest.bytes().take_while(|&byte| is_unit(byte)).count();
                self.expect_end("a unit of letters, digits, `_` and `:`")?;
                Metadata::Unit(rest)
            }
        };
        Ok(Entry::Metadata(name, metadata))
    }

    /// Reads a line of text that begins with `#`: a comment unless it is a `HELP` or a `TYPE`.
    fn read_comment(&mut self) -> Result<Entry<'b>> {
        self.at += 1;
        let hash = self.at;
        self.skip_blanks();
        let is_help = self.rest().starts_with("HELP");
        if self.at == hash || !(is_help || self.rest().starts_with("TYPE")) {
            return Ok(Entry::Nothing);
        }
        self.at += "HELP".len();
        if !matches!(self.peek(), Some(b' ' | b'\t')) {
            return Ok(Entry::Nothing);
        }
        self.skip_blanks();
        let name = self.read_name(':', "a metric name")?;
        match self.peek() {
            None => {}
            Some(b' ' | b'\t') => self.at += 1,
            // Prometheus would lose no target for a help text either.
            Some(_) if is_help => return Ok(Entry::Nothing),
            Some(_) => return Err(self.expected("a blank")),
        }
        let rest = self.rest();
        let metadata = if is_help {
            Metadata::Help(unescape(rest, Quotes::Plain))
        } else {
            let word = rest.trim_matches([' ', '\t']);
            Metadata::Kind(self.read_kind(FamilyKind::of_text(word))?)
        };
        Ok(Entry::Metadata(name, metadata))
    }

    fn read_kind(&self, kind: Option<FamilyKind>) -> Result<FamilyKind> {
        kind.ok_or_else(|| self.expected("a metric type"))
    }

    fn read_sample(&mut self, sample: &mut Sample<'b>) -> Result<()> {
        let column = self.at + 1;
        sample.line = self.number;
        sample.name = self.read_name(':', "a metric name")?;
        sample.labels.clear();
        sample.labels.push(Label {
            name: "__name__",
            value: Cow::Borrowed(sample.name),
            column,
        });
        let name_end = self.at;
        self.skip_blanks();
        let mut gap = self.at > name_end;
        if self.peek() == Some(b'{') {
            self.read_labels(&mut sample.labels)?;
            // As Prometheus: after the brace the value may stand at once.
            gap = true;
            self.skip_blanks();
        }
        if self.strict {
            self.expect_space()?;
        } else if !gap && self.at < self.text.len() {
            return Err(self.expected("a blank or `{`"));
        }
        if !self.strict {
            sample.labels.retain(|label| !label.value.is_empty());
        }
        sort_labels(self.number, &mut sample.labels)?;
        sample.value_column = self.at + 1;
        (sample.value, sample.value_text) = self.read_value("a sample value")?;
        self.read_suffix(sample)
    }

    /// Reads what may follow a value: a timestamp, and in OpenMetrics an exemplar.
    fn read_suffix(&mut self, sample: &mut Sample<'b>) -> Result<()> {
        sample.timestamp_ms = None;
        sample.exemplar = None;
        self.skip_blanks();
        if self.at == self.text.len() {
            return Ok(());
        }
        if !self.strict {
            sample.timestamp_ms = Some(self.read_millis()?);
            self.skip_blanks();
            return self.expect_end("nothing after the timestamp");
        }
        if !self.rest().starts_with(" #") {
            self.expect_space()?;
            sample.timestamp_ms = Some(self.read_seconds()?);
        }
        if self.at < self.text.len() {
            sample.exemplar = Some(self.read_exemplar()?);
        }
        Ok(())
    }

    /// Reads ` # {labels} value timestamp`, the timestamp or not.
    fn read_exemplar(&mut self) -> Result<Exemplar> {
        let column = self.at + 2;
        if !self.rest().starts_with(" # {") {
            return Err(self.expected("` # {`, which begins an exemplar, or the end of the line"));
        }
        self.at += " # ".len();
        let mut labels = Vec::new();
        self.read_labels(&mut labels)?;
        sort_labels(self.number, &mut labels)?;
        let chars = |text: &str| text.chars().count();
        let length: usize = labels
            .iter()
            .map(|label| chars(label.name) + chars(&label.value))
            .sum();
        if length > EXEMPLAR_CHARS_MAX {
            let rule = "the labels of an exemplar have at most 128 characters";
            let place = (self.number, column);
            return Err(ExpositionError::rule(place, rule, &self.text[column - 1..]));
        }
        self.expect_space()?;
        let (value, _) = self.read_value("an exemplar's value")?;
        if self.at < self.text.len() {
            self.expect_space()?;
            self.read_seconds()?;
        }
        self.expect_end("nothing after the exemplar")?;
        Ok(Exemplar { value, column })
    }
}

/// Sorts labels by name; each may stand once.
fn sort_labels(line: usize, labels: &mut [Label<'_>]) -> Result<()> {
    // Stable, so that of two the later one is the one to blame.
    labels.sort_by_key(|label| label.name);
    match labels.windows(2).find(|pair| pair[0].name == pair[1].name) {
        None => Ok(()),
        Some(pair) => Err(ExpositionError::DuplicateLabel {
            line,
            column: pair[1].column,
            name: crate::decode::excerpt(pair[1].name),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_told_from_metadata_even_in_bytes() {
        for comment in ["#", "# x", "  #\tHelp", "#HELP a", "#\u{e9}"] {
            assert!(is_comment(comment.as_bytes()), "{comment}");
        }
        assert!(is_comment(b"# \xff"));
        for other in ["", "a 1", "# HELP a \u{e9}", "#\tTYPE", "a # b"] {
            assert!(!is_comment(other.as_bytes()), "{other}");
        }
    }
}
