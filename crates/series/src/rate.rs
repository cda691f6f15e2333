//! Rates: what a counter did per second between one sample and the next.

/// Replaces `out` by the per-second increase from each sample to the next, at the time of the later one.
///
/// Times are Unix milliseconds, oldest first, one per value; what one column has more than the other is ignored.
/// The increase follows Prometheus' rule for counters: a value below the one before means a restart from 0, so that
/// the whole new value is increase. The first sample gives no point, nor does a lone one.
///
/// A value that is not finite (a stale marker, another NaN, an infinity) gives no point and is a gap: the sample after
/// it is a first one again. A sample whose time does not rise is left out.
///
/// ```
/// let mut out = Vec::new();
/// tidegate_series::per_second(&[0, 2_000, 3_000], &[10.0, 30.0, 5.0], &mut out);
/// assert_eq!(out, [(2_000, 10.0), (3_000, 5.0)]);
/// ```
pub fn per_second(timestamps_ms: &[i64], values: &[f64], out: &mut alloc::vec::Vec<(i64, f64)>) {
    out.clear();
    let mut before: Option<(i64, f64)> = None;
    for (&t_ms, &value) in timestamps_ms.iter().zip(values) {
        if !value.is_finite() {
            before = None;
            continue;
        }
        if let Some((before_ms, base)) = before {
            if t_ms <= before_ms {
                continue;
            }
            let increase = if value < base { value } else { value - base };
            // The distance may exceed an `i64`, never a `u64`.
            let seconds = t_ms.abs_diff(before_ms) as f64 / 1_000.0;
            out.push((t_ms, increase / seconds));
        }
        before = Some((t_ms, value));
    }
}
