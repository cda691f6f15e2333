//! The stale marker: the one NaN by which Prometheus says that a series has ended.

/// The bits of the stale marker, a signalling NaN that no arithmetic produces.
///
/// The number is Prometheus' own (`StaleNaN` of its `value` package); every other NaN is an ordinary value.
pub const STALE_MARKER_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The stale marker as a value to append. Do not compute with it, nor hand it to JavaScript: either may change its
/// bits.
///
/// ```
/// assert!(tidegate_series::is_stale(tidegate_series::stale_marker()));
/// ```
#[must_use]
pub const fn stale_marker() -> f64 {
    f64::from_bits(STALE_MARKER_BITS)
}

/// Whether `value` is the stale marker, by its bits. Other NaNs are not.
///
/// ```
/// assert!(!tidegate_series::is_stale(f64::NAN));
/// ```
#[must_use]
pub const fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_MARKER_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_marker_itself_is_stale() {
        assert!(is_stale(stale_marker()));
        for value in [f64::NAN, -f64::NAN, f64::INFINITY, 0.0] {
            assert!(!is_stale(value), "{value}");
        }
        for bits in [STALE_MARKER_BITS - 1, STALE_MARKER_BITS + 1] {
            assert!(!is_stale(f64::from_bits(bits)), "{bits:x}");
        }
    }

    #[test]
    fn the_marker_is_not_a_number() {
        assert!(stale_marker().is_nan());
    }
}
