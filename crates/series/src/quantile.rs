//! Quantiles: several at once of one column, without sorting it.
//!
//! The values are counted into buckets of equal width between the least and the greatest. The counts tell which
//! buckets hold the ranks asked for; only what lies there is gathered and sorted. Where nearly all values lie in those
//! buckets (one of them is far out), the same is done again with them, and so on.

use alloc::vec::Vec;

/// How quantiles that fall between two samples are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum QuantileMethod {
    /// As PromQL's `quantile_over_time`: interpolated between the two sorted values around `q·(n − 1)`.
    #[default]
    Linear,
    /// The sorted value at index `ceil(q·(n − 1))`, one of the samples. A product that is whole but for its rounding
    /// (0.55 · 100 is 55.00000000000001) is taken as whole.
    NearestRank,
}

/// The quantiles `wanted`, each from 0 to 1, of these values, which may come in any order.
///
/// As in PromQL: NaN for no value or a `q` that is NaN, −∞ for a `q` below 0, ∞ for one above 1; a NaN among the
/// values is less than all others; and where an infinity is interpolated with a weight of 0 the result is NaN. Stale
/// markers are taken for the NaNs they are: leave them out before.
///
/// ```
/// use tidegate_series::{QuantileMethod, quantiles};
///
/// let values = [4.0, 1.0, 3.0, 2.0];
/// assert_eq!(quantiles(&values, [0.5, 1.0], QuantileMethod::Linear), [2.5, 4.0]);
/// assert_eq!(quantiles(&values, [0.5], QuantileMethod::NearestRank), [3.0]);
/// ```
#[must_use]
pub fn quantiles<const N: usize>(
    values: &[f64],
    wanted: [f64; N],
    method: QuantileMethod,
) -> [f64; N] {
    let mut selection = Selection::default();
    let places = wanted.map(|q| Place::of(q, values.len() as u64, method));
    selection.select(values, &places);
    places.map(|place| place.value(|rank| selection.value(rank)))
}

/// Where a quantile lies among sorted values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Place {
    /// Nowhere: it is this whatever they are.
    Fixed(f64),
    /// At this rank.
    At(u64),
    /// Between these two ranks, the second weighing so much.
    Between(u64, u64, f64),
}

impl Place {
    pub(crate) fn of(q: f64, count: u64, method: QuantileMethod) -> Self {
        let Some(last) = count.checked_sub(1).filter(|_| !q.is_nan()) else {
            return Self::Fixed(f64::NAN);
        };
        if q < 0.0 {
            return Self::Fixed(f64::NEG_INFINITY);
        }
        if q > 1.0 {
            return Self::Fixed(f64::INFINITY);
        }
        let rank = q * last as f64;
        // Not negative, so cutting off is rounding down.
        let lower = rank as u64;
        match method {
            QuantileMethod::Linear => {
                let weight = rank - lower as f64;
                Self::Between(lower, last.min(lower + 1), weight)
            }
            QuantileMethod::NearestRank => {
                let above = rank - lower as f64 > rank * (2.0 * f64::EPSILON);
                let nearest = lower + u64::from(above);
                Self::At(nearest)
            }
        }
    }

    /// The quantile, where the value of each rank is known.
    pub(crate) fn value(self, at: impl Fn(u64) -> f64) -> f64 {
        match self {
            Self::Fixed(value) => value,
            Self::At(rank) => at(rank),
            Self::Between(lower, upper, weight) => at(lower) * (1.0 - weight) + at(upper) * weight,
        }
    }
}

/// How many buckets values are counted into.
const BUCKETS: usize = 1_024;

/// In how many tables, so that equal values one after the other do not wait for each other.
const TABLES: usize = 2;

/// Up to how many values are sorted right away.
const SORTED_MAX: usize = 96;

/// Added to a double below it, this leaves its whole part in the lowest bits.
const WHOLE: f64 = 4_503_599_627_370_496.0;

/// The values of some ranks, and memory to find them in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    /// Sorted by rank.
    found: Vec<(u64, f64)>,
    ranks: Vec<u64>,
    held: Vec<f64>,
    buckets: Vec<u16>,
    counts: Vec<[u32; BUCKETS]>,
}

impl Selection {
    /// Finds the values of all ranks of these places, which are below the count of the values.
    pub(crate) fn select(&mut self, values: &[f64], places: &[Place]) {
        self.found.clear();
        self.ranks.clear();
        for place in places {
            match *place {
                Place::Fixed(_) => {}
                Place::At(rank) => self.ranks.push(rank),
                Place::Between(lower, upper, _) => self.ranks.extend([lower, upper]),
            }
        }
        self.ranks.sort_unstable();
        self.ranks.dedup();
        let nans = values.iter().filter(|value| value.is_nan()).count();
        let first = self.ranks.partition_point(|&rank| rank < nans as u64);
        let nan = |&rank: &u64| (rank, f64::NAN);
        self.found.extend(self.ranks[..first].iter().map(nan));
        let mut ranks: Vec<usize> = self.ranks[first..]
            .iter()
            .map(|&rank| rank as usize - nans)
            .collect();
        if nans == 0 {
            self.narrow(values, &mut ranks);
        } else {
            let numbers: Vec<_> = values
                .iter()
                .copied()
                .filter(|value| !value.is_nan())
                .collect();
            self.narrow(&numbers, &mut ranks);
        }
        let found = ranks.iter().map(|&rank| self.held[rank]);
        let found = self.ranks[first..].iter().copied().zip(found);
        self.found.extend(found);
    }

    /// The value of a rank that was asked for.
    pub(crate) fn value(&self, rank: u64) -> f64 {
        let at = self.found.binary_search_by_key(&rank, |found| found.0);
        at.map_or(f64::NAN, |at| self.found[at].1)
    }

    /// Fills `held` with sorted values among which those of the ranks are, and turns each rank into its place there.
    fn narrow(&mut self, values: &[f64], ranks: &mut [usize]) {
        self.held.clear();
        if ranks.is_empty() {
            return;
        }
        let mut left = self.gather(values, ranks);
        if !left {
            self.held.extend_from_slice(values);
        }
        while left && self.held.len() > SORTED_MAX {
            let values = core::mem::take(&mut self.held);
            left = self.gather(&values, ranks);
            if !left {
                self.held = values;
            }
        }
        self.held.sort_unstable_by(f64::total_cmp);
    }

    /// Gathers into `held` what lies in the buckets of the ranks, and lowers each rank by what is left out below it.
    /// `false`, with nothing gathered, where sorting is better.
    fn gather(&mut self, values: &[f64], ranks: &mut [usize]) -> bool {
        if values.len() <= SORTED_MAX {
            return false;
        }
        let (min, max) = extremes(values);
        let scale = (BUCKETS - 1) as f64 / (max - min);
        if min == max {
            self.held.clear();
            self.held.push(min);
            ranks.fill(0);
            return true;
        }
        if !(scale > 0.0 && scale.is_finite()) {
            return false;
        }
        // Rounding keeps the order, so that a bucket's values are greater than those of the buckets before.
        let bucket = |value: f64| ((value - min) * scale + WHOLE).to_bits() as u16;
        self.buckets.clear();
        self.buckets
            .extend(values.iter().map(|&value| bucket(value)));
        self.counts.clear();
        self.counts.resize(TABLES, [0; BUCKETS]);
        let Some([one, other]) = self.counts.first_chunk_mut() else {
            return false;
        };
        let (pairs, odd) = self.buckets.as_chunks::<TABLES>();
        for [first, second] in pairs {
            one[usize::from(*first) % BUCKETS] += 1;
            other[usize::from(*second) % BUCKETS] += 1;
        }
        for first in odd {
            one[usize::from(*first) % BUCKETS] += 1;
        }
        let mut marked = [false; BUCKETS];
        let mut lowered = ranks.to_vec();
        let gathered = mark(&self.counts, &mut lowered, &mut marked);
        if gathered > values.len() / 2 {
            return false;
        }
        ranks.copy_from_slice(&lowered);
        self.held.clear();
        self.held.reserve(gathered);
        for (&bucket, &value) in self.buckets.iter().zip(values) {
            if marked[usize::from(bucket) % BUCKETS] {
                self.held.push(value);
            }
        }
        true
    }
}

/// Marks the buckets of these ranks, which rise, and lowers each rank by what lies in unmarked buckets below it. Says
/// how many values are marked.
fn mark(counts: &[[u32; BUCKETS]], ranks: &mut [usize], marked: &mut [bool; BUCKETS]) -> usize {
    let (mut below, mut gathered) = (0, 0);
    let mut ranks = ranks.iter_mut().peekable();
    for (bucket, marked) in marked.iter_mut().enumerate() {
        if ranks.peek().is_none() {
            break;
        }
        let count: usize = counts.iter().map(|counts| counts[bucket] as usize).sum();
        let left_out = below - gathered;
        while let Some(rank) = ranks.next_if(|rank| **rank < below + count) {
            *rank -= left_out;
            *marked = true;
        }
        below += count;
        gathered += if *marked { count } else { 0 };
    }
    gathered
}

/// In how many lanes extremes are looked for.
const LANES: usize = 8;

/// The least and the greatest of values without a NaN, at least one.
fn extremes(values: &[f64]) -> (f64, f64) {
    let less = |a: f64, b: f64| if a < b { a } else { b };
    let more = |a: f64, b: f64| if a > b { a } else { b };
    let (rows, rest) = values.as_chunks::<LANES>();
    let (mut mins, mut maxs) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES]);
    for row in rows {
        for ((min, max), &value) in mins.iter_mut().zip(&mut maxs).zip(row) {
            *min = less(value, *min);
            *max = more(value, *max);
        }
    }
    let min = mins.iter().chain(rest).copied().fold(f64::INFINITY, less);
    let max = maxs
        .iter()
        .chain(rest)
        .copied()
        .fold(f64::NEG_INFINITY, more);
    (min, max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, as PromQL has it: NaNs first, sorted, and two values weighed.
    fn naive(values: &[f64], q: f64, method: QuantileMethod) -> f64 {
        let mut sorted = values.to_vec();
        sorted.sort_by(|a, b| {
            b.is_nan()
                .cmp(&a.is_nan())
                .then(a.partial_cmp(b).unwrap_or(core::cmp::Ordering::Equal))
        });
        if sorted.is_empty() || q.is_nan() {
            return f64::NAN;
        }
        if !(0.0..=1.0).contains(&q) {
            return if q < 0.0 {
                f64::NEG_INFINITY
            } else {
                f64::INFINITY
            };
        }
        let rank = q * (sorted.len() - 1) as f64;
        if method == QuantileMethod::NearestRank {
            return sorted[libm::ceil(rank - rank * 2.0 * f64::EPSILON) as usize];
        }
        let lower = libm::floor(rank);
        let upper = ((sorted.len() - 1) as f64).min(lower + 1.0);
        let weight = rank - lower;
        sorted[lower as usize] * (1.0 - weight) + sorted[upper as usize] * weight
    }

    fn same(a: f64, b: f64) -> bool {
        a == b || a.is_nan() && b.is_nan()
    }

    fn check(values: &[f64], wanted: [f64; 4]) {
        for method in [QuantileMethod::Linear, QuantileMethod::NearestRank] {
            let found = quantiles(values, wanted, method);
            for (q, found) in wanted.into_iter().zip(found) {
                let expected = naive(values, q, method);
                assert!(same(found, expected), "{q} {method:?}: {found} {expected}");
            }
        }
    }

    #[test]
    fn no_value_and_no_number_have_no_quantile() {
        let found = quantiles(&[], [0.0, -1.0, 2.0], QuantileMethod::Linear);
        assert!(found.iter().all(|value| value.is_nan()));
        let [found] = quantiles(&[1.0], [f64::NAN], QuantileMethod::Linear);
        assert!(found.is_nan());
    }

    #[test]
    fn past_the_ends_lie_infinities() {
        let found = quantiles(&[1.0, 2.0], [-0.1, 0.0, 1.0, 1.1], QuantileMethod::Linear);
        assert_eq!(found, [f64::NEG_INFINITY, 1.0, 2.0, f64::INFINITY]);
    }

    #[test]
    fn an_infinity_that_weighs_nothing_still_makes_a_nan() {
        let [found] = quantiles(&[1.0, 2.0, f64::INFINITY], [0.5], QuantileMethod::Linear);
        assert!(found.is_nan());
        let [found] = quantiles(
            &[1.0, 2.0, f64::INFINITY],
            [0.5],
            QuantileMethod::NearestRank,
        );
        assert_eq!(found, 2.0);
    }

    #[test]
    fn whole_percents_have_the_nearest_rank_of_whole_numbers() {
        for count in 1..=201_u64 {
            let values: Vec<_> = (0..count).map(|value| value as f64).collect();
            for percent in 0..=100_u64 {
                let q = percent as f64 / 100.0;
                let [found] = quantiles(&values, [q], QuantileMethod::NearestRank);
                assert_eq!(found, (percent * (count - 1)).div_ceil(100) as f64);
            }
        }
    }

    #[test]
    fn one_value_far_out_does_not_hide_the_others() {
        let mut values: Vec<_> = (0..4_000).map(|i| f64::from(i * 37 % 4_001)).collect();
        for far in [1e300, -1e300, 1e9] {
            values.push(far);
            check(&values, [0.0, 0.5, 0.95, 1.0]);
        }
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            6 => (-50_i32..50).prop_map(f64::from),
            6 => 0.0..100.0,
            1 => any::<f64>(),
            1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(-0.0)],
        ]
    }

    proptest! {
        #[test]
        fn quantiles_of_few_values_are_as_defined(
            values in prop::collection::vec(value(), 0..40),
            wanted in prop::array::uniform4(prop_oneof![9 => 0.0..=1.0, 1 => any::<f64>()]),
        ) {
            check(&values, wanted);
        }

        #[test]
        fn quantiles_of_many_values_are_as_defined(
            values in prop::collection::vec(0.0..1e3_f64, 90..3_000),
            specials in prop::collection::vec(value(), 0..6),
            square in any::<bool>(),
            wanted in prop::array::uniform4(0.0..=1.0),
        ) {
            let bend = |value: f64| if square { value * value * value } else { value };
            let values: Vec<_> = values.into_iter().map(bend).chain(specials).collect();
            check(&values, wanted);
        }
    }
}
