//! Series in columns: one text arena, one run of timestamps, one run of values.
//!
//! A result of ten thousand series is a handful of allocations. Labels stay in the order they
//! came in, samples in theirs; nothing is sorted, merged or dropped here, so that duplicate series
//! and duplicate timestamps reach whoever must judge them.

mod builder;
mod intern;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

pub use builder::ColumnsBuilder;

/// Series with their labels, samples and native histograms, in the order they were added.
///
/// Equal when labels, timestamps, histogram text and the bits of the values are: a NaN equals the
/// same NaN, and `0` does not equal `-0`.
#[derive(Clone, Default)]
pub struct Columns {
    text: String,
    labels: Vec<Label>,
    series: Vec<Ends>,
    timestamps_ms: Vec<i64>,
    values: Vec<f64>,
    histograms: Vec<Histogram>,
    /// How the source wrote `<`, `>` and `&` in labels, so that they go out as they came in.
    plain_html: bool,
}

/// Where one label lies in the arena.
#[derive(Clone, Copy)]
pub(crate) struct Label {
    name: Span,
    value: Span,
}

/// A range of bytes of the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    start: u32,
    end: u32,
}

/// Where one series ends in each column; it starts where the one before it ends.
#[derive(Clone, Copy, Default)]
struct Ends {
    labels: usize,
    samples: usize,
    histograms: usize,
}

/// What an [`Ends`] takes on a 64-bit machine. Sizes are told as there, so that the same columns
/// weigh the same on every target, and what is evicted for their weight is the same too.
const ENDS_BYTES: usize = 24;
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Ends>() == ENDS_BYTES);

#[derive(Clone, Copy)]
struct Histogram {
    timestamp_ms: i64,
    json: Span,
}

impl Columns {
    /// The number of series.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether there is no series at all.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// The series at `index`, in received order.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Self::len).
    pub fn series(&self, index: usize) -> Series<'_> {
        let start = match index {
            0 => Ends::default(),
            _ => self.series[index - 1],
        };
        let end = self.series[index];
        Series {
            columns: self,
            start,
            end,
        }
    }

    /// All series, in received order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Series<'_>> {
        (0..self.len()).map(|index| self.series(index))
    }

    /// The number of samples of all series, native histograms included.
    pub fn sample_count(&self) -> usize {
        self.values.len() + self.histograms.len()
    }

    /// The timestamps of all float samples in milliseconds since the Unix epoch, series after series.
    pub fn timestamps_ms(&self) -> &[i64] {
        &self.timestamps_ms
    }

    /// The values of all float samples, series after series; as many as [`timestamps_ms`](Self::timestamps_ms).
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The newest timestamp of any sample or histogram; `None` if there is none.
    pub fn newest_ms(&self) -> Option<i64> {
        let histograms = self
            .histograms
            .iter()
            .map(|histogram| histogram.timestamp_ms);
        self.timestamps_ms.iter().copied().chain(histograms).max()
    }

    /// An estimate of the heap this holds, in bytes, from the capacities of its columns; the same on
    /// every target.
    pub fn byte_size(&self) -> usize {
        self.text.capacity()
            + self.labels.capacity() * size_of::<Label>()
            + self.series.capacity() * ENDS_BYTES
            + self.timestamps_ms.capacity() * size_of::<i64>()
            + self.values.capacity() * size_of::<f64>()
            + self.histograms.capacity() * size_of::<Histogram>()
    }

    /// Whether labels go out with `<`, `>` and `&` as they are, as newer Prometheus writes them.
    pub fn plain_html(&self) -> bool {
        self.plain_html
    }

    fn slice(&self, span: Span) -> &str {
        &self.text[span.start as usize..span.end as usize]
    }
}

impl fmt::Debug for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl PartialEq for Columns {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().zip(other.iter()).all(|(a, b)| a == b)
    }
}

/// One series of [`Columns`].
#[derive(Clone, Copy)]
pub struct Series<'a> {
    columns: &'a Columns,
    start: Ends,
    end: Ends,
}

impl<'a> Series<'a> {
    /// The labels as (name, value), in received order.
    pub fn labels(&self) -> impl ExactSizeIterator<Item = (&'a str, &'a str)> + Clone + use<'a> {
        let columns = self.columns;
        columns.labels[self.start.labels..self.end.labels]
            .iter()
            .map(move |label| (columns.slice(label.name), columns.slice(label.value)))
    }

    /// The value of the label called `name`; the first, should there be several.
    pub fn label(&self, name: &str) -> Option<&'a str> {
        self.labels()
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value)
    }

    /// The timestamps of the float samples in milliseconds since the Unix epoch, in received order.
    pub fn timestamps_ms(&self) -> &'a [i64] {
        &self.columns.timestamps_ms[self.start.samples..self.end.samples]
    }

    /// The values of the float samples; as many as [`timestamps_ms`](Self::timestamps_ms).
    pub fn values(&self) -> &'a [f64] {
        &self.columns.values[self.start.samples..self.end.samples]
    }

    /// The native histograms as (milliseconds since the Unix epoch, JSON text as received).
    pub fn histograms(&self) -> impl ExactSizeIterator<Item = (i64, &'a str)> + Clone + use<'a> {
        let columns = self.columns;
        columns.histograms[self.start.histograms..self.end.histograms]
            .iter()
            .map(move |histogram| (histogram.timestamp_ms, columns.slice(histogram.json)))
    }
}

impl fmt::Debug for Series<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Labels<I>(I);
        impl<'a, I: Iterator<Item = (&'a str, &'a str)> + Clone> fmt::Debug for Labels<I> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_map().entries(self.0.clone()).finish()
            }
        }
        struct Histograms<I>(I);
        impl<'a, I: Iterator<Item = (i64, &'a str)> + Clone> fmt::Debug for Histograms<I> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_list().entries(self.0.clone()).finish()
            }
        }
        f.debug_struct("Series")
            .field("labels", &Labels(self.labels()))
            .field("timestamps_ms", &self.timestamps_ms())
            .field("values", &self.values())
            .field("histograms", &Histograms(self.histograms()))
            .finish()
    }
}

impl PartialEq for Series<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.labels().eq(other.labels())
            && self.timestamps_ms() == other.timestamps_ms()
            && same_bits(self.values(), other.values())
            && self.histograms().eq(other.histograms())
    }
}

fn same_bits(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn two_series() -> Columns {
        let mut builder = ColumnsBuilder::new();
        builder.begin_series();
        builder.label("__name__", "up");
        builder.label("job", "a");
        builder.sample(1, 0.5);
        builder.sample(2, f64::NAN);
        builder.begin_series();
        builder.label("__name__", "up");
        builder.label("job", "b");
        builder.label("zone", "");
        builder.histogram(7, "{\"count\":\"1\"}");
        builder.finish()
    }

    #[test]
    fn series_come_back_as_they_were_added() {
        let columns = two_series();
        assert_eq!(columns.len(), 2);
        assert_eq!(columns.sample_count(), 3);
        let first = columns.series(0);
        assert_eq!(
            first.labels().collect::<Vec<_>>(),
            [("__name__", "up"), ("job", "a")]
        );
        assert_eq!(first.timestamps_ms(), [1, 2]);
        assert_eq!(first.values()[0], 0.5);
        let second = columns.series(1);
        assert_eq!(second.label("zone"), Some(""));
        assert_eq!(second.label("nope"), None);
        assert!(second.values().is_empty());
        assert_eq!(
            second.histograms().collect::<Vec<_>>(),
            [(7, "{\"count\":\"1\"}")]
        );
        assert_eq!(columns.newest_ms(), Some(7));
    }

    #[test]
    fn repeated_label_text_is_stored_once() {
        assert_eq!(two_series().text, "__name__upjobabzone{\"count\":\"1\"}");
    }

    #[test]
    fn equality_is_by_content_and_by_bits() {
        assert_eq!(two_series(), two_series());
        let of = |value| {
            let mut builder = ColumnsBuilder::new();
            builder.sample(1, value);
            builder.finish()
        };
        assert_eq!(of(f64::NAN), of(f64::NAN));
        assert_ne!(of(0.0), of(-0.0));
        assert_ne!(of(1.0), Columns::default());
    }

    #[test]
    fn no_series_is_empty_and_a_sample_alone_begins_one() {
        let empty = ColumnsBuilder::new().finish();
        assert!(empty.is_empty());
        assert_eq!(empty.newest_ms(), None);
        assert_eq!(empty.byte_size(), 0);
        let mut builder = ColumnsBuilder::new();
        builder.sample(3, 4.0);
        let columns = builder.finish();
        assert_eq!(columns.len(), 1);
        assert_eq!(columns.series(0).labels().len(), 0);
        assert_eq!(columns.timestamps_ms(), vec![3]);
    }
}
