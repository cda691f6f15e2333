//! Columns while they are filled.

use super::{Columns, Ends, Histogram, Label, Span};

/// Builds [`Columns`] series by series.
///
/// Call [`begin_series`](Self::begin_series), then any number of labels, samples and histograms for
/// it; then the next series. What comes before the first series begins one.
#[derive(Clone, Debug, Default)]
pub struct ColumnsBuilder {
    columns: Columns,
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
        let like = self.label_above();
        let name = self.intern(name, like.map(|label| label.name));
        let value = self.intern(value, like.map(|label| label.value));
        self.columns.labels.push(Label { name, value });
        self.current().labels += 1;
    }

    /// Adds a float sample to the current series, after those it has.
    pub fn sample(&mut self, timestamp_ms: i64, value: f64) {
        self.columns.timestamps_ms.push(timestamp_ms);
        self.columns.values.push(value);
        self.current().samples += 1;
    }

    /// Adds a native histogram, as the JSON text it is, to the current series.
    ///
    /// The text is written out again as it is, so it must be one JSON value.
    ///
    /// # Panics
    ///
    /// If the text of all labels and histograms passes 4 GiB; decoding is limited far below that.
    pub fn histogram(&mut self, timestamp_ms: i64, raw_json: &str) {
        let json = self.push_text(raw_json);
        self.columns
            .histograms
            .push(Histogram { timestamp_ms, json });
        self.current().histograms += 1;
    }

    /// Says that the source writes `<`, `>` and `&` in labels as they are.
    pub fn plain_html(&mut self) {
        self.columns.plain_html = true;
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

    /// The label at the same place in the series before: results repeat names and values there.
    fn label_above(&self) -> Option<Label> {
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

    /// Stores `text`, or shares `like` when it says the same.
    fn intern(&mut self, text: &str, like: Option<Span>) -> Span {
        match like {
            Some(span) if self.columns.slice(span) == text => span,
            _ => self.push_text(text),
        }
    }

    fn push_text(&mut self, text: &str) -> Span {
        let at = |length: usize| {
            u32::try_from(length).expect("label and histogram text stays below 4 GiB")
        };
        let start = at(self.columns.text.len());
        self.columns.text.push_str(text);
        Span {
            start,
            end: at(self.columns.text.len()),
        }
    }
}
