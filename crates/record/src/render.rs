//! What is recorded, for whoever pulls it: as exposition text, or as numbers.

use std::sync::atomic::Ordering::Relaxed;

use tidegate_series::Labels;
use tidegate_wire::ExpositionFormat;
use tidegate_wire::text::{LabelText, MetricType, TextWriter};

use crate::EventKind;
use crate::cell::{GaugeCell, HistogramCell};
use crate::registry::{Family, InCell, Registry, Said, Samples};
use crate::series::{AnySeries, Series};

/// What one series has come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The metric's name as it is recorded, under `__name__`, and the tags.
    pub labels: Labels,
    /// What the metric is.
    pub kind: EventKind,
    /// Its value.
    pub value: ReadingValue,
}

/// What there is to read.
#[derive(Clone, Debug, PartialEq)]
pub enum ReadingValue {
    /// A counter's total, a gauge's value, or the last value of a custom metric.
    Number(f64),
    /// What a histogram or a timer observed.
    Distribution {
        /// How many observations there were.
        count: u64,
        /// What they add up to; seconds if it is a timer.
        sum: f64,
        /// The upper bound of each bucket, ascending, the last one +Inf, and how many observations are at most
        /// that.
        buckets: Vec<(f64, u64)>,
    },
}

impl Registry {
    /// All series that have a value, ordered by name and then by tags.
    ///
    /// Programs go on recording meanwhile: each number is what it was at some moment during the call, and of one
    /// histogram the sum may be a few observations ahead of the counts or behind.
    #[must_use]
    pub fn readings(&self) -> Vec<Reading> {
        let families = self.shared().families();
        let series = families.iter().flat_map(|(_, family)| family.series.iter());
        series.filter_map(reading).collect()
    }

    /// All series that have a value, in exposition text or OpenMetrics, for a scrape; metrics are ordered
    /// by name. What was refused or dropped is exposed, too, once there is something:
    /// `tidegate_record_refused_total` and `tidegate_record_events_dropped_total`.
    #[must_use]
    pub fn render(&self, format: ExpositionFormat) -> String {
        // As much as the last time, and what series are added meanwhile.
        let last = &self.shared().rendered_bytes;
        let room = last.load(Relaxed);
        let mut out = Vec::with_capacity(room + room / 8);
        self.render_into(format, &mut out);
        last.store(out.len(), Relaxed);
        String::from_utf8(out).expect("names, labels and numbers are text")
    }

    /// Appends what [`render`](Self::render) gives to `out`, which may be used again.
    pub fn render_into(&self, format: ExpositionFormat, out: &mut Vec<u8>) {
        let mut text = TextWriter::in_format(format, out);
        let mut counts = Vec::new();
        for (_, family) in self.shared().families() {
            write_family(&family, &mut counts, &mut text);
        }
        let stats = self.stats();
        for (name, help, count) in [
            (
                "tidegate_record_refused_total",
                "Handles that were refused.",
                stats.refused,
            ),
            (
                "tidegate_record_events_dropped_total",
                "Events dropped before they were pushed.",
                stats.events_dropped,
            ),
        ] {
            if count > 0 {
                text.family(name, MetricType::Counter, help)
                    .sample(name, [], count as f64);
            }
        }
        text.end();
    }
}

fn reading(series: &AnySeries) -> Option<Reading> {
    let (labels, kind, value) = match series {
        AnySeries::Counter(series) => {
            let value = ReadingValue::Number(series.cell.value());
            (&series.labels, series.kind, value)
        }
        AnySeries::Gauge(series) => {
            let value = ReadingValue::Number(series.cell.value()?);
            (&series.labels, series.kind, value)
        }
        AnySeries::Histogram(series) => {
            let mut counts = vec![0; series.cell.buckets()];
            let sum = series.cell.read(&mut counts);
            let bounds = series.cell.bounds.iter().chain([f64::INFINITY]);
            let buckets: Vec<_> = bounds.zip(cumulative(&counts)).collect();
            let count = buckets.last().map_or(0, |(_, count)| *count);
            let value = ReadingValue::Distribution {
                count,
                sum,
                buckets,
            };
            (&series.labels, series.kind, value)
        }
    };
    let labels = labels.clone();
    Some(Reading {
        labels,
        kind,
        value,
    })
}

/// How many are in each bucket or below.
pub(crate) fn cumulative(counts: &[u64]) -> impl Iterator<Item = u64> {
    counts.iter().scan(0, |sum: &mut u64, count| {
        *sum += count;
        Some(*sum)
    })
}

fn write_family(family: &Family, counts: &mut Vec<u64>, text: &mut TextWriter<'_>) {
    let (said, series) = (&*family.said, &*family.series);
    let (name, kind) = (&said.exposed, metric_type(said.kind));
    if kind == MetricType::Histogram {
        if !series.is_empty() {
            write_header(said, text);
        }
        for series in series.iter().filter_map(HistogramCell::of) {
            write_histogram(said, series, counts, text);
        }
        return;
    }
    let samples = family.samples.get_or_init(|| Samples::of(name, series));
    // The numbers first and by themselves: they are far apart, and the processor fetches many at once.
    let values: Vec<_> = if kind == MetricType::Counter {
        let cells = samples.counters.iter();
        cells.map(|cell| Some(cell.value())).collect()
    } else {
        let gauges = series.iter().filter_map(GaugeCell::of);
        gauges.map(|gauge| gauge.cell.value()).collect()
    };
    if values.iter().any(Option::is_some) {
        write_header(said, text);
        text.samples(&samples.beginnings, &values);
    }
}

/// Writes what comes before the samples of a family.
fn write_header(said: &Said, text: &mut TextWriter<'_>) {
    let (name, kind) = (&said.exposed, metric_type(said.kind));
    text.family(name, kind, &said.help)
        .unit(name, kind, &said.unit);
}

fn write_histogram(
    said: &Said,
    series: &Series<HistogramCell>,
    counts: &mut Vec<u64>,
    text: &mut TextWriter<'_>,
) {
    let (name, tags, none) = (&said.exposed, &series.text, &LabelText::none());
    counts.clear();
    counts.resize(series.cell.buckets(), 0);
    let sum = series.cell.read(counts);
    let le = said.buckets.iter().flat_map(|buckets| &buckets.texts);
    let mut count = 0;
    for (le, at_most) in le.zip(cumulative(counts)) {
        text.series(name, "_bucket", [tags, le], at_most as f64);
        count = at_most;
    }
    text.series(name, "_sum", [tags, none], sum);
    text.series(name, "_count", [tags, none], count as f64);
}

const fn metric_type(kind: EventKind) -> MetricType {
    match kind {
        EventKind::Counter => MetricType::Counter,
        EventKind::Gauge => MetricType::Gauge,
        EventKind::Timer | EventKind::Histogram => MetricType::Histogram,
        EventKind::Custom => MetricType::Untyped,
    }
}
