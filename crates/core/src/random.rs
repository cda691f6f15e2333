//! Chance from a seed: the one place where jitter comes from.
//!
//! The generator is SplitMix64 (Steele, Lea and Flood, OOPSLA 2014; Vigna's public-domain
//! constants): a counter whose every value is scrambled. It is small, passes the usual
//! statistical tests, and being integer arithmetic gives the same numbers on every target. It is
//! guessable: nothing secret may depend on it.

use core::time::Duration;

/// What the counter advances by: 2^64 divided by the golden ratio, made odd.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// How many equally spaced values [`Random::fraction`] has: as many as an `f64` tells apart there.
const FRACTION_BITS: u32 = 53;

/// The factors of [`Random::jittered`] are taken to this many binary places.
const FACTOR_BITS: u32 = 32;

/// A source of chance. The same seed gives the same numbers; every seed is a good one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A generator from this seed.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next number; all are equally likely. Repeats after 2^64 calls.
    pub const fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to below `n`, by one multiplication: the likelihoods differ by at most
    /// `n` / 2^64, which jitter does not mind. Zero for `n` = 0.
    pub const fn below(&mut self, n: u64) -> u64 {
        let wide = self.next_u64() as u128 * n as u128;
        (wide >> 64) as u64
    }

    /// A number from 0 to below 1, in steps of 2^-53.
    pub fn fraction(&mut self) -> f64 {
        const STEPS: f64 = (1_u64 << FRACTION_BITS) as f64;
        (self.next_u64() >> (64 - FRACTION_BITS)) as f64 / STEPS
    }

    /// A duration from zero to `most`, both included, to the nanosecond. What exceeds 584 years
    /// is taken for as much.
    pub fn up_to(&mut self, most: Duration) -> Duration {
        let ns = nanos(most);
        match ns.checked_add(1) {
            Some(n) => Duration::from_nanos(self.below(n)),
            None => Duration::from_nanos(self.next_u64()),
        }
    }

    /// A duration from `low` × `duration` to `high` × `duration`, both included, to the
    /// nanosecond and saturating at 584 years. A factor that is negative or NaN counts as 0, and a
    /// `high` below `low` as `low`.
    pub fn jittered(&mut self, duration: Duration, low: f64, high: f64) -> Duration {
        let scaled = |factor: f64| {
            // Exact but for the cut after the last binary place; the cast saturates.
            let factor = (factor * (1_u64 << FACTOR_BITS) as f64) as u64;
            let ns = (u128::from(nanos(duration)) * u128::from(factor)) >> FACTOR_BITS;
            Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
        };
        let low = scaled(low);
        let spread = scaled(high).saturating_sub(low);
        low + self.up_to(spread)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_the_published_generator() {
        let mut random = Random::new(1_234_567);
        assert_eq!(random.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(random.next_u64(), 3_203_168_211_198_807_973);
        assert_eq!(random.next_u64(), 9_817_491_932_198_370_423);
        assert_eq!(random.next_u64(), 4_593_380_528_125_082_431);
    }

    #[test]
    fn each_of_a_few_values_comes_up_about_equally_often() {
        let mut random = Random::new(7);
        let mut counts = [0_u32; 10];
        for _ in 0..10_000 {
            counts[usize::try_from(random.below(10)).unwrap()] += 1;
        }
        // Five standard deviations of 30.
        assert!(counts.iter().all(|count| count.abs_diff(1_000) < 150));
    }

    #[test]
    fn nothing_lies_below_zero() {
        assert_eq!(Random::new(1).below(0), 0);
        assert_eq!(Random::new(1).up_to(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn the_extremes_of_durations_and_factors_saturate() {
        let mut random = Random::new(1);
        let most = Duration::from_nanos(u64::MAX);
        assert!(random.up_to(Duration::MAX) <= most);
        assert_eq!(random.jittered(Duration::MAX, 9.0, f64::INFINITY), most);
        let second = Duration::from_secs(1);
        assert_eq!(random.jittered(second, f64::NAN, -1.0), Duration::ZERO);
        assert_eq!(random.jittered(second, 1.0, 0.5), second);
    }

    proptest! {
        #[test]
        fn every_number_lies_within_its_bounds(seed: u64, n in 1_u64.., ns: u32) {
            let mut random = Random::new(seed);
            prop_assert!(random.below(n) < n);
            prop_assert!((0.0..1.0).contains(&random.fraction()));
            let duration = Duration::from_nanos(ns.into());
            prop_assert!(random.up_to(duration) <= duration);
            let jittered = random.jittered(duration, 0.5, 1.5);
            prop_assert!(duration / 2 <= jittered && jittered <= duration * 3 / 2);
        }
    }
}
