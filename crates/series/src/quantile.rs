//! Quantiles: several at once of one column, without sorting it.
//!
//! The values are counted into buckets of equal width between the least and the greatest. The counts tell which
//! buckets hold the ranks asked for; only what lies there is gathered and sorted. Where nearly all values lie in those
//! buckets (one of them is far out), the same is done again with them, and so on.

use alloc::vec::Vec;
use core::ops::Range;

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

/// How often the values of a bucket are parted again before they are sorted.
const ROUNDS_MAX: u32 = 4;

/// Added to a double below it, this leaves its whole part in the lowest bits.
const WHOLE: f64 = 4_503_599_627_370_496.0;

/// The values of some ranks, and memory to find them in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    /// Sorted by rank.
    found: Vec<(u64, f64)>,
}

impl Selection {
    /// Finds the values of all ranks of these places, which are below the count of the values.
    pub(crate) fn select(&mut self, values: &[f64], places: &[Place]) {
        self.found.clear();
        let found = |rank| (rank, f64::NAN);
        for place in places {
            match *place {
                Place::Fixed(_) => {}
                Place::At(rank) => self.found.push(found(rank)),
                Place::Between(lower, upper, _) => self.found.extend([found(lower), found(upper)]),
            }
        }
        self.found.sort_unstable_by_key(|found| found.0);
        self.found.dedup_by_key(|found| found.0);
        let Extremes { min, max, any_nan } = Extremes::of(values);
        if !any_nan {
            return fill(values, (min, max), &mut self.found, 0, ROUNDS_MAX);
        }
        let numbers = values.iter().copied().filter(|value| !value.is_nan());
        let numbers: Vec<_> = numbers.collect();
        let nans = values.len() - numbers.len();
        let first = self.found.partition_point(|found| found.0 < nans as u64);
        let wanted = &mut self.found[first..];
        fill(&numbers, (min, max), wanted, nans as u64, ROUNDS_MAX);
    }

    /// The value of a rank that was asked for.
    pub(crate) fn value(&self, rank: u64) -> f64 {
        let at = self.found.binary_search_by_key(&rank, |found| found.0);
        at.map_or(f64::NAN, |at| self.found[at].1)
    }
}

/// Fills in the values of ranks that rise, of which `below` stands for the least of these values. None is NaN.
fn fill(
    values: &[f64],
    (min, max): (f64, f64),
    wanted: &mut [(u64, f64)],
    below: u64,
    rounds: u32,
) {
    if wanted.is_empty() {
        return;
    }
    if min == max {
        wanted.iter_mut().for_each(|found| found.1 = min);
        return;
    }
    let scale = (BUCKETS - 1) as f64 / (max - min);
    let parted = scale > 0.0 && scale.is_finite();
    if !parted || rounds == 0 || values.len() <= SORTED_MAX {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        for (rank, value) in wanted {
            *value = sorted[(*rank - below) as usize];
        }
        return;
    }
    let parts = Parts { min, scale };
    let (buckets, counts) = parts.count(values);
    for share in gather(values, &buckets, &counts, wanted, below) {
        let Extremes { min, max, .. } = Extremes::of(&share.values);
        fill(
            &share.values,
            (min, max),
            &mut wanted[share.wanted],
            share.below,
            rounds - 1,
        );
    }
}

/// Buckets of equal width.
#[derive(Debug, Clone, Copy)]
struct Parts {
    min: f64,
    scale: f64,
}

/// How many values are in each bucket, in several tables.
type BucketCounts = [[u32; BUCKETS]; TABLES];

/// The values of a bucket that is looked into.
struct Share {
    bucket: u16,
    /// Which of the ranks are there.
    wanted: Range<usize>,
    /// The rank of the least.
    below: u64,
    values: Vec<f64>,
}

impl Parts {
    /// Rounding keeps the order, so a bucket's values are greater than those of the buckets before.
    fn bucket(self, value: f64) -> u16 {
        ((value - self.min) * self.scale + WHOLE).to_bits() as u16 % BUCKETS as u16
    }

    /// The bucket of each value, and how many each bucket has.
    fn count(self, values: &[f64]) -> (Vec<u16>, BucketCounts) {
        let buckets: Vec<_> = values.iter().map(|&value| self.bucket(value)).collect();
        let mut counts = [[0; BUCKETS]; TABLES];
        let [one, other] = &mut counts;
        let (pairs, odd) = buckets.as_chunks::<TABLES>();
        for [first, second] in pairs {
            one[usize::from(*first) % BUCKETS] += 1;
            other[usize::from(*second) % BUCKETS] += 1;
        }
        for first in odd {
            one[usize::from(*first) % BUCKETS] += 1;
        }
        (buckets, counts)
    }
}

/// The buckets of these ranks, with their values.
fn gather(
    values: &[f64],
    buckets: &[u16],
    counts: &BucketCounts,
    wanted: &[(u64, f64)],
    below: u64,
) -> Vec<Share> {
    let mut shares = shares(counts, wanted, below);
    // The place of each bucket among the shares, counted from 1; 0 for none.
    let mut marks = [0_u16; BUCKETS];
    let mut count = 0;
    for (nth, share) in shares.iter().enumerate() {
        marks[usize::from(share.bucket) % BUCKETS] = nth as u16 + 1;
        count += share.values.capacity();
    }
    // Which values those are, told without a branch, as none would be foreseen: a place is written over until it is
    // one of them, at last the place past all.
    let mut places = alloc::vec![0; count + 1];
    let mut next = 0;
    for (nth, &bucket) in buckets.iter().enumerate() {
        places[next] = nth;
        next += usize::from(marks[usize::from(bucket) % BUCKETS] > 0);
    }
    for &nth in &places[..next] {
        let mark = marks[usize::from(buckets[nth]) % BUCKETS];
        shares[usize::from(mark) - 1].values.push(values[nth]);
    }
    shares
}

/// The buckets of these ranks, with room for their values.
fn shares(counts: &BucketCounts, wanted: &[(u64, f64)], mut below: u64) -> Vec<Share> {
    let mut shares: Vec<Share> = Vec::new();
    let mut first = 0;
    for bucket in 0..BUCKETS {
        let count: u32 = counts.iter().map(|counts| counts[bucket]).sum();
        let end = below + u64::from(count);
        if wanted[first].0 < end {
            let here = wanted[first..].partition_point(|found| found.0 < end);
            shares.push(Share {
                bucket: bucket as u16,
                wanted: first..first + here,
                below,
                values: Vec::with_capacity(count as usize),
            });
            first += here;
            if first == wanted.len() {
                break;
            }
        }
        below = end;
    }
    shares
}

/// In how many columns extremes are looked for at once.
const LANES: usize = 8;

/// The least and the greatest of the values that are numbers, infinities for none.
#[derive(Debug, Clone, Copy)]
struct Extremes {
    min: f64,
    max: f64,
    any_nan: bool,
}

impl Extremes {
    fn of(values: &[f64]) -> Self {
        let less = |a: f64, b: f64| if a < b { a } else { b };
        let more = |a: f64, b: f64| if a > b { a } else { b };
        let (rows, rest) = values.as_chunks::<LANES>();
        let (mut mins, mut maxs) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES]);
        let mut nans = [0; LANES];
        for row in rows {
            for (nth, &value) in row.iter().enumerate() {
                mins[nth] = less(value, mins[nth]);
                maxs[nth] = more(value, maxs[nth]);
                nans[nth] |= u64::from(value.is_nan());
            }
        }
        let mins = mins.iter().chain(rest).copied();
        let maxs = maxs.iter().chain(rest).copied();
        Self {
            min: mins.fold(f64::INFINITY, |min, value| less(value, min)),
            max: maxs.fold(f64::NEG_INFINITY, |max, value| more(value, max)),
            any_nan: nans != [0; LANES] || rest.iter().any(|value| value.is_nan()),
        }
    }
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

    #[test]
    fn many_quantiles_at_once_are_each_as_defined() {
        let values: Vec<_> = (0..9_000).map(|i| f64::from(i * 7 % 9_001)).collect();
        let wanted: [f64; 700] = core::array::from_fn(|nth| nth as f64 / 699.0);
        let found = quantiles(&values, wanted, QuantileMethod::Linear);
        for (q, found) in wanted.into_iter().zip(found) {
            assert_eq!(found, naive(&values, q, QuantileMethod::Linear));
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
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
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
