//! Summaries: what a window needs of a chunk that lies wholly inside it.

use alloc::vec::Vec;

use crate::stale::is_stale;

/// In how many sums values are added at once: so the compiler can do several together, and so every target does it.
const LANES: usize = 4;

/// What a run of values adds up to. Stale markers are no values and count nowhere; other NaNs are values.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// How many values.
    pub count: usize,
    /// Their sum, with the rounding errors of the additions made good; 0 for none, NaN if one is NaN or there are
    /// infinities of both signs.
    pub sum: f64,
    /// The least; NaNs are passed over, unless there is nothing else. NaN for no value.
    pub min: f64,
    /// The greatest, by the same rule.
    pub max: f64,
    /// The first; NaN for no value.
    pub first: f64,
    /// The last; NaN for no value.
    pub last: f64,
    /// What a counter had counted before its restarts: the sum of each value that a lesser one follows. A counter has
    /// increased by `last − first + fallen`.
    pub fallen: f64,
}

impl Summary {
    /// The summary of these values, in this order.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        let summary = Self::of_live(values);
        // A stale marker is a NaN, so that the sum is.
        if summary.sum.is_nan() && values.iter().any(|&value| is_stale(value)) {
            let live = values.iter().copied().filter(|&value| !is_stale(value));
            return Self::of_live(&live.collect::<Vec<_>>());
        }
        summary
    }

    fn of_live(values: &[f64]) -> Self {
        let (sum, min, max) = totals(values);
        Self {
            count: values.len(),
            sum,
            min,
            max,
            first: values.first().copied().unwrap_or(f64::NAN),
            last: values.last().copied().unwrap_or(f64::NAN),
            fallen: fallen(values),
        }
    }
}

/// Sum, least and greatest, by the rules of [`Summary`].
pub(crate) fn totals(values: &[f64]) -> (f64, f64, f64) {
    let mut lanes = Lanes::<LANES>::new();
    let (rows, rest) = values.as_chunks::<LANES>();
    for row in rows {
        lanes.add(row);
    }
    let (min, max) = lanes.extremes(rest);
    let mut all = Lanes::<1>::new();
    let mut lost = 0.0;
    for nth in 0..LANES {
        let mut lane = Lanes::<1> {
            sum: [lanes.sum[nth]],
            lost: [lanes.lost[nth]],
            ..Lanes::new()
        };
        if let Some(&value) = rest.get(nth) {
            lane.add(&[value]);
        }
        all.add(&lane.sum);
        lost += lane.lost[0];
    }
    // An infinity leaves no error to make good.
    let [sum] = all.sum;
    let sum = if sum.is_finite() {
        sum + (all.lost[0] + lost)
    } else {
        sum
    };
    if min > max {
        // Nothing but NaNs, or nothing.
        return (sum, f64::NAN, f64::NAN);
    }
    (sum, min, max)
}

/// Totals of several columns side by side, each kind together, so that the compiler does several at once.
#[derive(Debug, Clone, Copy)]
struct Lanes<const N: usize> {
    sum: [f64; N],
    /// What rounding has left out of the sums.
    lost: [f64; N],
    min: [f64; N],
    max: [f64; N],
}

impl<const N: usize> Lanes<N> {
    const fn new() -> Self {
        Self {
            sum: [0.0; N],
            lost: [0.0; N],
            min: [f64::INFINITY; N],
            max: [f64::NEG_INFINITY; N],
        }
    }

    /// Knuth's exact addition, sum and error without a branch; and the extremes.
    fn add(&mut self, values: &[f64; N]) {
        for (nth, &value) in values.iter().enumerate() {
            let sum = self.sum[nth] + value;
            let part = sum - self.sum[nth];
            self.lost[nth] += (self.sum[nth] - (sum - part)) + (value - part);
            self.sum[nth] = sum;
            self.min[nth] = less(value, self.min[nth]);
            self.max[nth] = more(value, self.max[nth]);
        }
    }

    /// The least and the greatest of all columns and of these values.
    fn extremes(&self, rest: &[f64]) -> (f64, f64) {
        let mins = self.min.iter().chain(rest).copied();
        let maxs = self.max.iter().chain(rest).copied();
        (
            mins.fold(f64::INFINITY, |min, value| less(value, min)),
            maxs.fold(f64::NEG_INFINITY, |max, value| more(value, max)),
        )
    }
}

/// The lesser, the second for a NaN: one instruction.
const fn less(value: f64, min: f64) -> f64 {
    if value < min { value } else { min }
}

/// The greater, the second for a NaN.
const fn more(value: f64, max: f64) -> f64 {
    if value > max { value } else { max }
}

fn fallen(values: &[f64]) -> f64 {
    let next = values.get(1..).unwrap_or_default();
    let mut lanes = [0.0; LANES];
    let (befores, _) = values[..next.len()].as_chunks::<LANES>();
    let (nexts, rest) = next.as_chunks::<LANES>();
    for (before, next) in befores.iter().zip(nexts) {
        for (lane, (&before, &next)) in lanes.iter_mut().zip(before.iter().zip(next)) {
            *lane += if next < before { before } else { 0.0 };
        }
    }
    let at = next.len() - rest.len();
    let last = values[at..].iter().zip(rest);
    let last = last.filter(|(before, next)| next < before);
    lanes.iter().sum::<f64>() + last.map(|(before, _)| before).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stale::stale_marker;
    use proptest::prelude::*;

    #[test]
    fn nothing_and_stale_markers_have_no_values() {
        for values in [&[][..], &[stale_marker(); 3]] {
            let summary = Summary::of(values);
            assert_eq!((summary.count, summary.sum, summary.fallen), (0, 0.0, 0.0));
            let none = [summary.min, summary.max, summary.first, summary.last];
            assert!(none.iter().all(|value| value.is_nan()));
        }
    }

    #[test]
    fn a_nan_is_passed_over_by_the_extremes_and_not_by_the_sum() {
        let summary = Summary::of(&[f64::NAN, 2.0, f64::NAN, 1.0, stale_marker()]);
        assert_eq!((summary.count, summary.min, summary.max), (4, 1.0, 2.0));
        assert!(summary.sum.is_nan() && summary.first.is_nan());
        let nans = Summary::of(&[f64::NAN; 5]);
        assert!(nans.min.is_nan() && nans.max.is_nan() && nans.count == 5);
    }

    #[test]
    fn infinities_add_up_as_they_do() {
        let (up, down) = (f64::INFINITY, f64::NEG_INFINITY);
        assert_eq!(Summary::of(&[1.0, up, 2.0]).sum, up);
        assert_eq!(Summary::of(&[up; 9]).min, up);
        assert!(Summary::of(&[down, 1.0, up]).sum.is_nan());
    }

    #[test]
    fn what_rounding_loses_is_made_good() {
        let mut values = alloc::vec![1.0; 1_000];
        values[0] = 1e16;
        values[999] = -1e16;
        assert_eq!(Summary::of(&values).sum, 998.0);
    }

    #[test]
    fn a_counter_that_restarts_has_fallen_by_what_it_had() {
        let summary = Summary::of(&[5.0, 9.0, 1.0, 4.0, stale_marker(), 0.0]);
        assert_eq!(summary.fallen, 13.0);
        assert_eq!(summary.last - summary.first + summary.fallen, 8.0);
    }

    proptest! {
        #[test]
        fn a_summary_is_what_one_loop_would_say(
            values in prop::collection::vec(
                prop_oneof![9 => (-1000_i32..1000).prop_map(f64::from), 1 => Just(stale_marker())],
                0..40,
            ),
        ) {
            let live: Vec<f64> = values.iter().copied().filter(|&value| !is_stale(value)).collect();
            let summary = Summary::of(&values);
            prop_assert_eq!(summary.count, live.len());
            prop_assert_eq!(summary.sum, live.iter().sum::<f64>());
            let min = live.iter().copied().min_by(f64::total_cmp);
            let max = live.iter().copied().max_by(f64::total_cmp);
            prop_assert_eq!(min, Some(summary.min).filter(|_| !live.is_empty()));
            prop_assert_eq!(max, Some(summary.max).filter(|_| !live.is_empty()));
            prop_assert_eq!(live.first().copied(), Some(summary.first).filter(|_| !live.is_empty()));
            prop_assert_eq!(live.last().copied(), Some(summary.last).filter(|_| !live.is_empty()));
            let fallen: f64 = live.windows(2).filter(|pair| pair[1] < pair[0]).map(|pair| pair[0]).sum();
            prop_assert_eq!(summary.fallen, fallen);
        }
    }
}
