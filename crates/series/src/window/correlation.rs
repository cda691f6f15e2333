//! The correlation of two series.

use alloc::vec::Vec;

use super::Window;
use crate::float::{Sum, canonical};
use crate::ring::Ring;

/// Pearson's correlation of two series over the samples of a window that both have at equal times, from −1 to 1.
///
/// Stale markers are passed over. `None` for fewer than two such pairs. NaN if one series does not vary among them, or
/// if a value is NaN or infinite.
///
/// ```
/// use tidegate_series::{Ring, Window, correlation};
///
/// let (mut load, mut heat) = (Ring::default(), Ring::default());
/// for (second, value) in [3.0, 1.0, 4.0, 1.0, 5.0].into_iter().enumerate() {
///     load.push(second as i64 * 1_000, value)?;
///     heat.push(second as i64 * 1_000, 20.0 + 2.0 * value)?;
/// }
/// let found = correlation(&load, &heat, Window::ending(4_000, 60_000)).expect("five pairs");
/// assert!((found - 1.0).abs() < 1e-12);
/// # Ok::<(), tidegate_series::AppendError>(())
/// ```
#[must_use]
pub fn correlation(one: &Ring, other: &Ring, window: Window) -> Option<f64> {
    let Window {
        start_exclusive_ms,
        end_inclusive_ms,
    } = window;
    let mut others = other
        .window(start_exclusive_ms, end_inclusive_ms)
        .peekable();
    let mut pairs = Vec::new();
    for (t_ms, value) in one.window(start_exclusive_ms, end_inclusive_ms) {
        while others.next_if(|&(other_ms, _)| other_ms < t_ms).is_some() {}
        if let Some((_, other)) = others.next_if(|&(other_ms, _)| other_ms == t_ms) {
            pairs.push((value, other));
        }
    }
    (pairs.len() > 1).then(|| pearson(&pairs))
}

/// Twice over the pairs: first for the means, so that what is large and nearly constant loses no digits.
fn pearson(pairs: &[(f64, f64)]) -> f64 {
    let (x, y) = pairs[0];
    if pairs.iter().all(|pair| pair.0 == x) || pairs.iter().all(|pair| pair.1 == y) {
        // Rounding could make their mean another number, and them vary.
        return f64::NAN;
    }
    let count = pairs.len() as f64;
    let mean = |sum: Sum| sum.value() / count;
    let x_mean = mean(pairs.iter().map(|pair| pair.0).collect());
    let y_mean = mean(pairs.iter().map(|pair| pair.1).collect());
    let away = || pairs.iter().map(|(x, y)| (x - x_mean, y - y_mean));
    let total = |sum: Sum| sum.value();
    let xx = total(away().map(|(x, _)| x * x).collect());
    let yy = total(away().map(|(_, y)| y * y).collect());
    let xy = total(away().map(|(x, y)| x * y).collect());
    let found = xy / (libm::sqrt(xx) * libm::sqrt(yy));
    // Rounding may carry it past its bounds; a NaN stays one.
    canonical(found.clamp(-1.0, 1.0))
}
