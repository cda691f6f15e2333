//! Rates of counters and gauges over a window, by Prometheus' rule.
//!
//! The samples cover less than the window: the first lies after its start, the last before its end. The difference
//! between them is therefore stretched, by Prometheus' rule (`extrapolatedRate` of its engine; its documentation of
//! `rate` and `increase` tells the idea):
//!
//! - to the start or end of the window where that is nearer than 1.1 times the mean distance of the samples, as then
//!   the series most likely went on there; else by half that distance, as it most likely began or ended there;
//! - a counter at most back to where it would have been 0, as it was never below.

use super::{Totals, Window};

/// Up to how many mean distances away an edge is taken to be covered by the series: Prometheus' number.
const COVERED_DISTANCES: f64 = 1.1;

impl Totals {
    /// By how much a counter went up in the window these are the totals of, restarts made good and extrapolated.
    ///
    /// `None` for a single sample. NaN if the first or the last one is; one in between is passed over, as it is neither
    /// less than its neighbours nor more.
    #[must_use]
    pub fn increase(&self, window: Window) -> Option<f64> {
        let counted = self.counted();
        Some(counted * self.stretch(window, Some(counted))?)
    }

    /// The increase per second of the window.
    ///
    /// `None` for a single sample, and for a window without length.
    #[must_use]
    pub fn rate(&self, window: Window) -> Option<f64> {
        let counted = self.counted();
        let seconds = window.length_ms() as f64 / 1_000.0;
        Some(counted * (self.stretch(window, Some(counted))? / seconds))
    }

    /// By how much a gauge went up, or down, in the window these are the totals of, extrapolated.
    ///
    /// `None` for a single sample.
    #[must_use]
    pub fn delta(&self, window: Window) -> Option<f64> {
        Some((self.last() - self.first()) * self.stretch(window, None)?)
    }

    /// By how much the difference of first and last sample is stretched, at least 1; for a counter with what it
    /// counted in between. `None` for a single sample.
    fn stretch(&self, window: Window, counted: Option<f64>) -> Option<f64> {
        let gaps = self.count().checked_sub(1).filter(|&gaps| gaps > 0)?;
        let seconds = |from_ms: i64, to_ms: i64| to_ms.abs_diff(from_ms) as f64 / 1_000.0;
        let sampled = seconds(self.first_ms(), self.last_ms());
        let distance = sampled / gaps as f64;
        let reach = |to_edge: f64| {
            let covered = to_edge < distance * COVERED_DISTANCES;
            if covered { to_edge } else { distance / 2.0 }
        };
        let mut before = reach(seconds(window.start_exclusive_ms, self.first_ms()));
        if let Some(counted) = counted.filter(|&counted| counted > 0.0 && self.first() >= 0.0) {
            let to_zero = sampled * (self.first() / counted);
            // Not `min`, which would pass a NaN over.
            before = if to_zero < before { to_zero } else { before };
        }
        let after = reach(seconds(self.last_ms(), window.end_inclusive_ms));
        Some((sampled + before + after) / sampled)
    }
}
