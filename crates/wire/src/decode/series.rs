//! The series of a result, into columns.
//!
//! Prometheus writes without white space, with keys in one order, and most series with the label names
//! of the one before. What comes so is taken in a few comparisons; anything else is left in place for
//! the strict reader, so that there is one judge of what is wrong and where.

use alloc::borrow::Cow;

use super::data::{open_point, read_value};
use super::error::DecodeError;
use super::limits::DecodeLimits;
use super::{Result, SAMPLE_DEPTH, duplicate, set, within};
use crate::columns::{Columns, ColumnsBuilder};
use crate::escape::is_plain_html;
use crate::number::{BEFORE, plain_sample};
use crate::reader::Reader;
use crate::swar::{begins_with, plain_length};

const LABELS: &str = "labels in one series";
pub(super) const BYTES_IN_ONE: &str = "bytes in one label";
pub(super) const BYTES_IN_ALL: &str = "bytes of labels and histograms";

/// Columns being filled, within limits.
pub(super) struct Filling<'l> {
    builder: ColumnsBuilder,
    series: usize,
    samples: usize,
    /// Whether the labels of the last series were written without escapes, so that their text can be
    /// compared with the body.
    unescaped: bool,
    limits: &'l DecodeLimits,
}

impl<'l> Filling<'l> {
    pub(super) fn new(limits: &'l DecodeLimits) -> Self {
        Self {
            builder: ColumnsBuilder::new(),
            series: 0,
            samples: 0,
            unescaped: false,
            limits,
        }
    }

    /// Begins a series at the reader's place, in a list whose items begin at `start`.
    pub(super) fn begin_series(&mut self, start: usize, reader: &Reader<'_>) -> Result<()> {
        if self.series == 1 {
            self.reserve(reader.position() - start, reader.rest().len());
        }
        self.series += 1;
        within(self.series, "series", self.limits.series)?;
        self.builder.begin_series();
        Ok(())
    }

    /// Makes room for as many series like the first as the rest of the body may hold.
    fn reserve(&mut self, first_bytes: usize, rest_bytes: usize) {
        let times = rest_bytes / first_bytes.max(1) + 1;
        let series = times.min(self.limits.series);
        let samples = times.saturating_mul(self.samples);
        self.builder
            .reserve(series, samples.min(self.limits.samples));
    }

    pub(super) fn finish(self) -> Columns {
        self.builder.finish()
    }

    /// Reads `{"metric":{…},"value":[t,"v"]}`, or with `histogram` in place of `value`.
    pub(super) fn read_vector_element(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        let (mut metric, mut point) = (None, None);
        let mut first = true;
        if reader.take(br#"{"metric":"#) {
            (metric, first) = (Some(()), false);
            self.read_labels(reader)?;
            if reader.take(br#","value":"#) {
                point = Some(());
                self.read_sample(reader)?;
            }
        } else {
            reader.expect(b'{', "a series")?;
        }
        while let Some(key) = reader.key(&mut first)? {
            match &*key {
                "metric" => {
                    set(&mut metric, (), &key, reader)?;
                    self.read_labels(reader)?;
                }
                "value" => {
                    set(&mut point, (), &key, reader)?;
                    self.read_sample(reader)?;
                }
                "histogram" => {
                    set(&mut point, (), &key, reader)?;
                    self.read_histogram(reader)?;
                }
                _ => drop(reader.skip(SAMPLE_DEPTH)?),
            }
        }
        require(metric, "metric", reader)?;
        require(point, "value", reader)
    }

    /// Reads `{"metric":{…},"values":[…],"histograms":[…]}`; either list may be absent.
    pub(super) fn read_matrix_element(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        let (mut metric, mut values, mut histograms) = (None, None, None);
        let mut first = true;
        if reader.take(br#"{"metric":"#) {
            (metric, first) = (Some(()), false);
            self.read_labels(reader)?;
            if reader.take(br#","values":"#) {
                values = Some(());
                self.read_values(reader)?;
            }
        } else {
            reader.expect(b'{', "a series")?;
        }
        while let Some(key) = reader.key(&mut first)? {
            match &*key {
                "metric" => {
                    set(&mut metric, (), &key, reader)?;
                    self.read_labels(reader)?;
                }
                "values" => {
                    set(&mut values, (), &key, reader)?;
                    self.read_values(reader)?;
                }
                "histograms" => {
                    set(&mut histograms, (), &key, reader)?;
                    self.read_histograms(reader)?;
                }
                _ => drop(reader.skip(SAMPLE_DEPTH)?),
            }
        }
        require(metric, "metric", reader)
    }

    fn read_values(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        reader.expect(b'[', "a list of samples")?;
        let mut first = true;
        loop {
            self.take_plain_samples(reader, &mut first);
            if !reader.element(&mut first)? {
                return Ok(());
            }
            self.read_sample(reader)?;
        }
    }

    fn read_histograms(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        reader.expect(b'[', "a list of samples")?;
        let mut first = true;
        while reader.element(&mut first)? {
            self.read_histogram(reader)?;
        }
        Ok(())
    }

    pub(super) fn read_labels(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        reader.expect(b'{', "labels")?;
        let mut first = true;
        let mut count = 0;
        // While the names are those of the series before, no two are the same.
        let mut as_above = self.unescaped;
        self.unescaped = true;
        loop {
            if as_above && self.take_label_as_above(reader, &mut first, &mut count)? {
                continue;
            }
            as_above = false;
            let start = reader.position();
            let Some(name) = reader.key(&mut first)? else {
                return Ok(());
            };
            count += 1;
            within(count, LABELS, self.limits.labels_per_series)?;
            let value = reader.string("a label value")?;
            self.check_label(&name)?;
            self.check_label(&value)?;
            self.check_room(name.len() + value.len())?;
            if self.builder.has_label(&name) {
                return Err(duplicate(&name, reader.position()));
            }
            self.builder.label(&name, &value);
            self.unescaped &= matches!((name, value), (Cow::Borrowed(_), Cow::Borrowed(_)));
            self.note_html(reader.since(start));
        }
    }

    /// Reads the next label if it has the name of that at the same place in the series before, and is
    /// written without white space and escapes.
    #[inline]
    fn take_label_as_above(
        &mut self,
        reader: &mut Reader<'_>,
        first: &mut bool,
        count: &mut usize,
    ) -> Result<bool> {
        let Some(label) = self.builder.label_above() else {
            return Ok(false);
        };
        let (name, above) = self.builder.text_of(label);
        let rest = reader.rest();
        let Some(value) = behind_name(rest, name, *first) else {
            return Ok(false);
        };
        let is_above = begins_with(value, above) && value.get(above.len()) == Some(&b'"');
        let length = match is_above {
            true => above.len(),
            false => match plain_length(value, 0) {
                Some(length) if value[length] == b'"' => length,
                _ => return Ok(false),
            },
        };
        let name_length = name.len();
        *first = false;
        *count += 1;
        within(*count, LABELS, self.limits.labels_per_series)?;
        within(length, BYTES_IN_ONE, self.limits.label_bytes)?;
        self.check_room(name_length + length)?;
        reader.advance(rest.len() - value.len());
        let start = reader.position();
        reader.advance(length);
        if is_above {
            self.builder.label_as_above(label, None);
        } else {
            let text = reader.since(start);
            self.builder.label_as_above(label, Some(text));
            self.note_html(text);
        }
        reader.advance(1);
        Ok(true)
    }

    /// Learns from the source of a label how HTML is written.
    fn note_html(&mut self, source: &str) {
        if !self.builder.is_plain_html() && is_plain_html(source) {
            self.builder.plain_html();
        }
    }

    /// Reads what comes next of a list of samples as long as it is plain: `[t,"v"],[t,"v"]…`.
    fn take_plain_samples(&mut self, reader: &mut Reader<'_>, first: &mut bool) {
        let mut room = self.limits.samples - self.samples;
        self.samples += self.builder.samples(core::iter::from_fn(|| {
            room = room.checked_sub(1)?;
            let comma = usize::from(!*first);
            let window = reader.window(BEFORE - comma)?;
            if comma == 1 && reader.rest().first() != Some(&b',') {
                return None;
            }
            let (timestamp_ms, value, length) = plain_sample(window)?;
            reader.advance(comma + length);
            *first = false;
            Some((timestamp_ms, value))
        }));
    }

    fn read_sample(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        self.count_sample()?;
        if let Some(window) = reader.window(BEFORE)
            && let Some((timestamp_ms, value, length)) = plain_sample(window)
        {
            reader.advance(length);
            self.builder.sample(timestamp_ms, value);
            return Ok(());
        }
        let timestamp_ms = open_point(reader)?;
        let value = read_value(reader)?;
        reader.expect(b']', "`]`")?;
        self.builder.sample(timestamp_ms, value);
        Ok(())
    }

    fn read_histogram(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        self.count_sample()?;
        let timestamp_ms = open_point(reader)?;
        if reader.peek()? != b'{' {
            return Err(reader.unexpected("a histogram"));
        }
        let json = reader.skip(SAMPLE_DEPTH)?;
        self.check_room(json.len())?;
        reader.expect(b']', "`]`")?;
        self.builder.histogram(timestamp_ms, json);
        Ok(())
    }

    fn count_sample(&mut self) -> Result<()> {
        self.samples += 1;
        within(self.samples, "samples", self.limits.samples)
    }

    fn check_label(&self, text: &str) -> Result<()> {
        within(text.len(), BYTES_IN_ONE, self.limits.label_bytes)
    }

    fn check_room(&self, bytes: usize) -> Result<()> {
        let held = self.builder.text_bytes() + bytes;
        within(held, BYTES_IN_ALL, self.limits.text_bytes)
    }
}

/// What stands behind `"name":"`, or behind `,"name":"` if it is not the first label.
fn behind_name<'a>(bytes: &'a [u8], name: &[u8], first: bool) -> Option<&'a [u8]> {
    let quoted = match first {
        true => bytes.strip_prefix(b"\"")?,
        false => bytes.strip_prefix(b",\"")?,
    };
    if !begins_with(quoted, name) {
        return None;
    }
    quoted[name.len()..].strip_prefix(b"\":\"")
}

fn require(found: Option<()>, key: &'static str, reader: &Reader<'_>) -> Result<()> {
    found.ok_or_else(|| DecodeError::MissingKey {
        key,
        position: reader.position(),
    })
}
