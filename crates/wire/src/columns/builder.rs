//! Columns while they are filled.

use super::intern::Interner;
use super::{Columns, Ends, Histogram, Label, Span};

/// Builds [`Columns`] series by series.
///
/// Call [`begin_series`](Self::begin_series), then any number of labels, samples and histograms for
/// it; then the next series. What comes before the first series begins one.
#[derive(Clone, Debug, Default)]
pub struct ColumnsBuilder {
    columns: Columns,
    known: Interner,
}

impl ColumnsBuilder {
    /// A builder without any series.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a series; it has no labels and no samples yet.
    pub fn begin_series(&mut self) {
        let columns = &mut self.columns;
        columns.series.push(Ends {
            labels: columns.labels.len(),
            samples: columns.values.len(),
            histograms: columns.histograms.len(),
        });
    }

    /// Adds a label to the current series, after those it has.
    ///
    /// # Panics
    ///
    /// If the text of all labels and histograms passes 4 GiB; decoding is limited far below that.
    pub fn label(&mut self, name: &str, value: &str) {
        let above = self.label_above();
        let name = self.intern(name, above.map(|label| label.name));
        let value = self.intern(value, above.map(|label| label.value));
        self.push_label(Label { name, value });
    }

    /// Adds a label that [`label_above`](Self::label_above) gave, with another `value` if there is one.
    #[inline]
    pub(crate) fn label_as_above(&mut self, mut label: Label, value: Option<&str>) {
        if let Some(value) = value {
            label.value = self.intern(value, None);
        }
        self.push_label(label);
    }

    /// Adds a float sample to the current series, after those it has.
    pub fn sample(&mut self, timestamp_ms: i64, value: f64) {
        self.columns.timestamps_ms.push(timestamp_ms);
        self.columns.values.push(value);
        self.current().samples += 1;
    }

    /// Adds float samples to the current series, after those it has; gives back how many there were.
    pub(crate) fn samples(&mut self, samples: impl Iterator<Item = (i64, f64)>) -> usize {
        let before = self.columns.values.len();
        for (timestamp_ms, value) in samples {
            self.columns.timestamps_ms.push(timestamp_ms);
            self.columns.values.push(value);
        }
        let added = self.columns.values.len() - before;
        self.current().samples += added;
        added
    }

    /// Adds a native histogram, as the JSON text it is, to the current series.
    ///
    /// The text is written out again as it is, so it must be one JSON value.
    ///
    /// # Panics
    ///
    /// If the text of all labels and histograms passes 4 GiB; decoding is limited far below that.
    pub fn histogram(&mut self, timestamp_ms: i64, raw_json: &str) {
        let json = self.columns.push_text(raw_json);
        self.columns
            .histograms
            .push(Histogram { timestamp_ms, json });
        self.current().histograms += 1;
    }

    /// Says that the source writes `<`, `>` and `&` in labels as they are.
    pub fn plain_html(&mut self) {
        self.columns.plain_html = true;
    }

    /// Whether the source is known to write `<`, `>` and `&` in labels as they are.
    pub(crate) fn is_plain_html(&self) -> bool {
        self.columns.plain_html
    }

    /// Makes room for `series` more that have as many labels as the first, and for `samples` more.
    pub(crate) fn reserve(&mut self, series: usize, samples: usize) {
        let columns = &mut self.columns;
        let labels = columns.series.first().map_or(0, |first| first.labels);
        columns.series.reserve(series);
        columns.labels.reserve(series.saturating_mul(labels));
        columns.timestamps_ms.reserve(samples);
        columns.values.reserve(samples);
    }

    /// The name and the value of a label that was added before.
    #[inline]
    pub(crate) fn text_of(&self, label: Label) -> (&[u8], &[u8]) {
        let text =
            |span: Span| &self.columns.text.as_bytes()[span.start as usize..span.end as usize];
        (text(label.name), text(label.value))
    }

    /// Whether the current series has a label called `name`.
    pub(crate) fn has_label(&self, name: &str) -> bool {
        match self.columns.len() {
            0 => false,
            len => self.columns.series(len - 1).label(name).is_some(),
        }
    }

    /// Bytes of label and histogram text held so far.
    pub(crate) fn text_bytes(&self) -> usize {
        self.columns.text.len()
    }

    /// The columns, without spare capacity.
    pub fn finish(self) -> Columns {
        let mut columns = self.columns;
        columns.text.shrink_to_fit();
        columns.labels.shrink_to_fit();
        columns.series.shrink_to_fit();
        columns.timestamps_ms.shrink_to_fit();
        columns.values.shrink_to_fit();
        columns.histograms.shrink_to_fit();
        columns
    }

    /// Where the current series ends.
    fn current(&mut self) -> &mut Ends {
        if self.columns.series.is_empty() {
            self.columns.series.push(Ends::default());
        }
        let last = self.columns.series.len() - 1;
        &mut self.columns.series[last]
    }

    /// The label at the same place in the series before as the next one will have in this: results
    /// repeat names and values there.
    #[inline]
    pub(crate) fn label_above(&self) -> Option<Label> {
        let columns = &self.columns;
        let before = columns.series.len().checked_sub(2)?;
        let place = columns.labels.len() - columns.series[before].labels;
        let start = match before {
            0 => 0,
            _ => columns.series[before - 1].labels,
        };
        columns.labels[start..columns.series[before].labels]
            .get(place)
            .copied()
    }

    /// Stores `text`, or shares what says the same: `above`, or what was stored a moment ago.
    fn intern(&mut self, text: &str, above: Option<Span>) -> Span {
        if let Some(span) = above
            && self.columns.slice(span) == text
        {
            return span;
        }
        let slot = self.known.slot(text);
        if self.columns.slice(*slot) != text {
            *slot = self.columns.push_text(text);
        }
        *slot
    }

    #[inline]
    fn push_label(&mut self, label: Label) {
        self.columns.labels.push(label);
        self.current().labels += 1;
    }
}

impl Columns {
    fn push_text(&mut self, text: &str) -> Span {
        let at = |length: usize| {
            u32::try_from(length).expect("label and histogram text stays below 4 GiB")
        };
        let start = at(self.text.len());
        self.text.push_str(text);
        Span {
            start,
            end: at(self.text.len()),
        }
    }
}
