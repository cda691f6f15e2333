//! Exponential moving averages of samples at any distances.

use crate::stale::is_stale;

/// Into how many half-lives a window is parted where none is said: what lies before it would weigh 6 %.
pub const EMA_HALF_LIVES: u64 = 4;

/// The exponential moving average at the last sample, of which the weight of a sample halves with each half-life.
///
/// Times are Unix milliseconds that rise, one per value; what one column has more than the other is ignored. It begins
/// as the first value `v₀` and goes on by `e += (1 − 2^(−d/h))·(v − e)` for a value `v` that comes `d` milliseconds
/// after the one before, with the half-life `h` in milliseconds, at least 1. For samples `d` apart that is the usual
/// recurrence with `α = 1 − 2^(−d/h)`; for irregular ones it is Eckner's `EMA_next` ("Algorithms for Unevenly Spaced
/// Time Series"), with `h = τ·ln 2`.
///
/// Stale markers are passed over; from the first other NaN on it is NaN. `None` for no sample.
///
/// ```
/// let at = |times_ms: &[i64]| tidegate_series::ema(times_ms, &[0.0, 8.0], 1_000);
/// assert_eq!(at(&[0, 1_000]), Some(4.0));
/// assert_eq!(at(&[0, 3_000]), Some(7.0));
/// ```
#[must_use]
pub fn ema(times_ms: &[i64], values: &[f64], half_life_ms: u64) -> Option<f64> {
    let mut ema = Ema::new(half_life_ms);
    for (&t_ms, &value) in times_ms.iter().zip(values) {
        ema.add(t_ms, value);
    }
    ema.value()
}

/// An exponential moving average in the making.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ema {
    half_life_ms: f64,
    newest: Option<(i64, f64)>,
    /// The last distance and what it weighs: regular samples ask once.
    known: (u64, f64),
}

impl Ema {
    pub(crate) const fn new(half_life_ms: u64) -> Self {
        let half_life_ms = if half_life_ms == 0 { 1 } else { half_life_ms };
        Self {
            half_life_ms: half_life_ms as f64,
            newest: None,
            known: (0, 0.0),
        }
    }

    /// A sample later than those before.
    pub(crate) fn add(&mut self, t_ms: i64, value: f64) {
        if is_stale(value) {
            return;
        }
        let Some((before_ms, ema)) = self.newest else {
            self.newest = Some((t_ms, value));
            return;
        };
        let distance_ms = t_ms.abs_diff(before_ms);
        if self.known.0 != distance_ms {
            let weight = 1.0 - libm::exp2(-(distance_ms as f64) / self.half_life_ms);
            self.known = (distance_ms, weight);
        }
        self.newest = Some((t_ms, ema + self.known.1 * (value - ema)));
    }

    pub(crate) fn value(&self) -> Option<f64> {
        self.newest.map(|(_, ema)| ema)
    }
}
