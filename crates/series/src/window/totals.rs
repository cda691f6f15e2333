//! Totals: the statistics of a window that sum up from parts, so that chunks inside need no decoding.

use super::Window;
use crate::chunk::Summary;
use crate::float::{Sum, greater, lesser};
use crate::ring::{Columns, Part, Points, Ring};
use crate::stale::is_stale;

/// By what values are scaled that overflow when added up: a power of two, so that no bit is lost.
const SCALE: f64 = 1.0 / 18_446_744_073_709_551_616.0;

/// Up to how many values one loop over them is quicker than several that take values together.
const SHORT_MAX: usize = 64;

/// What the samples of one series in a window add up to; there is at least one.
#[derive(Debug, Clone, Copy)]
pub struct Totals {
    count: u64,
    sum: Sum,
    /// The sum of the values times [`SCALE`], for a mean whose sum overflows.
    scaled: Sum,
    min: f64,
    max: f64,
    first: f64,
    last: f64,
    first_ms: i64,
    last_ms: i64,
    /// What a counter had counted before its restarts.
    fallen: f64,
}

impl Totals {
    /// How many samples, at least one; NaNs count.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Their sum, with the errors of rounding made good; it is added up chunk by chunk, the same on every target.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum.value()
    }

    /// Their mean. It is finite where the samples are, even if their sum is not.
    #[must_use]
    pub fn avg(&self) -> f64 {
        let sum = self.sum.value();
        let count = self.count as f64;
        if sum.is_finite() {
            sum / count
        } else {
            self.scaled.value() / count / SCALE
        }
    }

    /// The least; NaN only if there is nothing else.
    #[must_use]
    pub const fn min(&self) -> f64 {
        self.min
    }

    /// The greatest; NaN only if there is nothing else.
    #[must_use]
    pub const fn max(&self) -> f64 {
        self.max
    }

    /// The oldest.
    #[must_use]
    pub const fn first(&self) -> f64 {
        self.first
    }

    /// When the oldest was taken, in Unix milliseconds.
    #[must_use]
    pub const fn first_ms(&self) -> i64 {
        self.first_ms
    }

    /// The newest.
    #[must_use]
    pub const fn last(&self) -> f64 {
        self.last
    }

    /// When the newest was taken, in Unix milliseconds.
    #[must_use]
    pub const fn last_ms(&self) -> i64 {
        self.last_ms
    }

    /// By how much a counter went up within its samples: a value below the one before it is a restart from 0.
    pub(super) const fn counted(&self) -> f64 {
        self.last - self.first + self.fallen
    }

    fn of(summary: &Summary, scaled: Sum, first_ms: i64, last_ms: i64) -> Self {
        let mut sum = Sum::new();
        sum.add(summary.sum);
        Self {
            count: summary.count as u64,
            sum,
            scaled,
            min: summary.min,
            max: summary.max,
            first: summary.first,
            last: summary.last,
            first_ms,
            last_ms,
            fallen: summary.fallen,
        }
    }

    /// The totals of these points; `None` if all are stale markers.
    pub(crate) fn of_points(points: &Points<'_>) -> Option<Self> {
        let values = points.values();
        let summary = if values.len() <= SHORT_MAX {
            short_summary(values)
        } else {
            Summary::of(values)
        };
        let live = |&value: &f64| !is_stale(value);
        let (first, last) = if summary.count == values.len() {
            (0, values.len() - 1)
        } else {
            (
                values.iter().position(live)?,
                values.iter().rposition(live)?,
            )
        };
        let scaled = scaled(&summary, || {
            values.iter().copied().filter(live).collect_scaled()
        });
        Some(Self::of(
            &summary,
            scaled,
            points.time_ms(first),
            points.time_ms(last),
        ))
    }

    /// Adds later samples of the same series.
    pub(crate) fn follow(&mut self, later: &Self) {
        self.fallen += later.fallen;
        if later.first < self.last {
            self.fallen += self.last;
        }
        self.last = later.last;
        self.last_ms = later.last_ms;
        self.mix(later);
    }

    /// Adds samples of another series: all but restarts. Of samples at one time those of the series added before stay.
    pub(crate) fn pool(&mut self, other: &Self) {
        if other.first_ms < self.first_ms {
            (self.first, self.first_ms) = (other.first, other.first_ms);
        }
        if other.last_ms > self.last_ms {
            (self.last, self.last_ms) = (other.last, other.last_ms);
        }
        self.mix(other);
    }

    fn mix(&mut self, other: &Self) {
        self.count += other.count;
        self.sum.add(other.sum.value());
        self.scaled.add(other.scaled.value());
        // NaN is there only if there is nothing else.
        self.min = lesser(self.min, other.min);
        self.max = greater(self.max, other.max);
    }
}

/// As [`Summary::of`], for few values.
fn short_summary(values: &[f64]) -> Summary {
    let mut sum = Sum::new();
    let (mut min, mut max, mut fallen) = (f64::INFINITY, f64::NEG_INFINITY, 0.0);
    let mut before = f64::NAN;
    for &value in values {
        sum.add(value);
        min = if value < min { value } else { min };
        max = if value > max { value } else { max };
        fallen += if value < before { before } else { 0.0 };
        before = value;
    }
    let sum = sum.value();
    let (Some(&first), Some(&last)) = (values.first(), values.last()) else {
        return Summary::of(values);
    };
    if min > max || sum.is_nan() && values.iter().any(|&value| is_stale(value)) {
        // Nothing but NaNs, or stale markers, which are no values.
        return Summary::of(values);
    }
    Summary {
        count: values.len(),
        sum,
        min,
        max,
        first,
        last,
        fallen,
    }
}

/// The scaled sum; added up value by value only if the plain one is not finite though the extremes are.
fn scaled(summary: &Summary, each: impl FnOnce() -> Sum) -> Sum {
    let Summary { sum, min, max, .. } = *summary;
    if !sum.is_finite() && min.is_finite() && max.is_finite() {
        return each();
    }
    core::iter::once(sum * SCALE).collect()
}

trait CollectScaled {
    fn collect_scaled(self) -> Sum;
}

impl<I: Iterator<Item = f64>> CollectScaled for I {
    fn collect_scaled(self) -> Sum {
        self.map(|value| value * SCALE).collect()
    }
}

impl Ring {
    /// What the samples of this window add up to, stale markers passed over; `None` for no sample.
    ///
    /// Of the sealed chunks it decodes those at the edges, and those that hold stale markers.
    #[must_use]
    pub fn totals(&self, window: Window) -> Option<Totals> {
        self.totals_with(window, &mut Columns::default())
    }

    pub(crate) fn totals_with(&self, window: Window, columns: &mut Columns) -> Option<Totals> {
        let mut totals: Option<Totals> = None;
        self.parts(
            Some(window.start_exclusive_ms),
            window.end_inclusive_ms,
            columns,
            |part| {
                let Some(later) = Totals::of_part(&part) else {
                    return;
                };
                match &mut totals {
                    Some(totals) => totals.follow(&later),
                    None => totals = Some(later),
                }
            },
        );
        totals
    }
}

impl Totals {
    pub(crate) fn of_part(part: &Part<'_>) -> Option<Self> {
        let chunk = match part {
            Part::Points(points) => return Self::of_points(points),
            Part::Chunk(chunk) => chunk,
        };
        let summary = chunk.summary();
        let overflows = !summary.sum.is_finite() && summary.min.is_finite();
        if summary.count < chunk.len() || overflows {
            // Where its live samples begin and end, or how large their scaled sum is, shows only inside.
            let mut columns = Columns::default();
            columns.replace(part);
            return Self::of_points(&Points::new(&columns.times_ms, &columns.values));
        }
        let scaled = scaled(&summary, Sum::new);
        Some(Self::of(
            &summary,
            scaled,
            chunk.first_ms(),
            chunk.last_ms(),
        ))
    }
}
