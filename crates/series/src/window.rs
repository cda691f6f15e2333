//! Windows: what the samples of one series, within a stretch of time, add up to.
//!
//! A window is open at its start and closed at its end, as Prometheus' ranges are since its version 3, so windows laid
//! end to end count every sample once. Stale markers are no samples and are passed over; every other NaN is a value,
//! and does what it does in PromQL's `*_over_time`:
//!
//! | statistic | of a NaN | of infinities |
//! |---|---|---|
//! | `count` | counts it | counts them |
//! | `sum`, `avg` | NaN | an infinity; NaN for both signs |
//! | `min`, `max` | passed over; NaN if there is nothing else | values as any |
//! | `stddev`, `stdvar` | NaN | NaN |
//! | quantiles | the least of all values | values as any; NaN where one is interpolated with a weight of 0 |
//! | `first`, `last` | values as any | values as any |
//! | `rate`, `increase`, `delta` | NaN as first or last value; else passed over | as the arithmetic has it |
//! | `ema`, `sma` | NaN | an infinity, or NaN |
//!
//! No sample gives no statistic at all: `None`, never 0.
//!
//! What [`Summary`](crate::Summary) knows of a chunk serves the chunks that lie inside a window, so that count, sum,
//! average, extremes, first, last and the rates decode its edges alone, however long it is. Deviations, quantiles and
//! EMAs decode all of it.

mod correlation;
mod moments;
mod rates;
mod smooth;
mod statistic;
#[cfg(test)]
mod tests;
mod totals;

pub use correlation::correlation;
pub use moments::Moments;
pub(crate) use smooth::Ema;
pub use smooth::{EMA_HALF_LIVES, ema};
pub use statistic::{STATISTIC_WORDS, Statistic, StatisticError};
pub use totals::Totals;

/// A stretch of time: after its start, up to and with its end.
///
/// ```
/// use tidegate_series::{Ring, Window};
///
/// let mut ring = Ring::default();
/// for minute in 0..60 {
///     ring.push(minute * 60_000, f64::from(minute as i32 % 10))?;
/// }
/// let last_five = ring.totals(Window::ending(3_540_000, 300_000)).expect("samples");
/// assert_eq!((last_five.count(), last_five.min(), last_five.max()), (5, 5.0, 9.0));
/// # Ok::<(), tidegate_series::AppendError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Where it starts, in Unix milliseconds; a sample at this time is outside.
    pub start_exclusive_ms: i64,
    /// Where it ends, in Unix milliseconds; a sample at this time is inside.
    pub end_inclusive_ms: i64,
}

impl Window {
    /// The window of this length that ends here, both in milliseconds. One that would start before all time starts
    /// with it.
    #[must_use]
    pub const fn ending(end_inclusive_ms: i64, length_ms: u64) -> Self {
        Self {
            start_exclusive_ms: end_inclusive_ms.saturating_sub_unsigned(length_ms),
            end_inclusive_ms,
        }
    }

    /// How long it is, in milliseconds; 0 for one that ends before it starts.
    #[must_use]
    pub const fn length_ms(self) -> u64 {
        if self.end_inclusive_ms < self.start_exclusive_ms {
            return 0;
        }
        self.end_inclusive_ms.abs_diff(self.start_exclusive_ms)
    }

    /// Whether a sample at this time is inside.
    #[must_use]
    pub const fn contains(self, t_ms: i64) -> bool {
        self.start_exclusive_ms < t_ms && t_ms <= self.end_inclusive_ms
    }
}
