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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stale::stale_marker;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn rates(points: &[(i64, f64)]) -> Vec<(i64, f64)> {
        let (times_ms, values): (Vec<_>, Vec<_>) = points.iter().copied().unzip();
        let mut out = alloc::vec![(7, 7.0)];
        per_second(&times_ms, &values, &mut out);
        out
    }

    #[test]
    fn fewer_than_two_samples_have_no_rate() {
        assert_eq!(rates(&[]), []);
        assert_eq!(rates(&[(0, 5.0)]), []);
    }

    #[test]
    fn the_rate_is_per_second_whatever_the_distance() {
        assert_eq!(
            rates(&[(0, 0.0), (500, 1.0), (10_500, 21.0)]),
            [(500, 2.0), (10_500, 2.0)]
        );
    }

    #[test]
    fn a_counter_that_stands_still_has_the_rate_zero() {
        assert_eq!(rates(&[(0, 5.0), (1_000, 5.0)]), [(1_000, 0.0)]);
    }

    #[test]
    fn a_decrease_is_a_restart_from_zero() {
        let points = [(0, 100.0), (1_000, 3.0), (2_000, 4.0)];
        assert_eq!(rates(&points), [(1_000, 3.0), (2_000, 1.0)]);
    }

    #[test]
    fn a_value_that_is_not_finite_is_a_gap() {
        for gap in [stale_marker(), f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let points = [
                (0, 1.0),
                (1_000, 2.0),
                (2_000, gap),
                (3_000, 4.0),
                (4_000, 6.0),
            ];
            assert_eq!(rates(&points), [(1_000, 1.0), (4_000, 2.0)]);
        }
    }

    #[test]
    fn a_time_that_does_not_rise_is_left_out() {
        let points = [(1_000, 1.0), (1_000, 9.0), (500, 9.0), (2_000, 2.0)];
        assert_eq!(rates(&points), [(2_000, 1.0)]);
    }

    #[test]
    fn columns_of_unequal_length_are_read_to_the_shorter() {
        let mut out = Vec::new();
        per_second(&[0, 1_000, 2_000], &[1.0, 2.0], &mut out);
        assert_eq!(out, [(1_000, 1.0)]);
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        let rate = rates(&[(i64::MIN, 0.0), (i64::MAX, 1.0)])[0].1;
        assert!(rate > 0.0 && rate.is_finite());
    }

    proptest! {
        #[test]
        fn a_counter_never_has_a_negative_or_unordered_rate(
            points in prop::collection::vec((any::<i64>(), 0.0..1e12_f64), 0..30),
        ) {
            let rates = rates(&points);
            prop_assert!(rates.iter().all(|&(_, rate)| rate >= 0.0));
            prop_assert!(rates.is_sorted_by(|a, b| a.0 < b.0));
        }

        #[test]
        fn what_the_rates_add_up_to_is_what_was_counted(
            steps in prop::collection::vec((1_i64..100_000, 0_u32..1_000, any::<bool>()), 1..30),
        ) {
            let (mut t_ms, mut counter, mut counted) = (0, 0.0, 0.0);
            let mut points = alloc::vec![(0, 0.0)];
            for (step_ms, increase, restart) in steps {
                let increase = f64::from(increase);
                // A restart shows only if the counter falls.
                let base = if restart && increase < counter { 0.0 } else { counter };
                (t_ms, counter, counted) = (t_ms + step_ms, base + increase, counted + increase);
                points.push((t_ms, counter));
            }
            let mut before_ms = 0;
            let sum: f64 = rates(&points)
                .iter()
                .map(|&(t_ms, rate)| rate * (t_ms - core::mem::replace(&mut before_ms, t_ms)) as f64 / 1_000.0)
                .sum();
            prop_assert!((sum - counted).abs() <= 1e-6 * counted.max(1.0), "{} {}", sum, counted);
        }
    }
}
