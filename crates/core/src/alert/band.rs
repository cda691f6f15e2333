//! A band: what a series' values usually are, learned from them, and whether one lies outside.
//!
//! Mean and variance are weighted exponentially: with `d = value − mean` and a weight `a`, the mean
//! moves by `a·d` and the variance becomes `(1 − a)·(variance + a·d²)`, which is the incremental
//! form that West (1979) gave for weighted samples and Finch (2009) for exponential weights. The
//! weight of the nth value is `1/n` until that falls below `2/(memory + 1)`, the weight of an
//! exponential average that spans `memory` values: at first all values count the same, so that a
//! band is right from the start and not drawn to its first value.
//!
//! What lies outside teaches nothing, so an outage does not become usual by lasting. The price is
//! that a series which moves to another level for good stays outside until the band is begun anew:
//! by a change of its rule, or after the series was gone.

/// The band that a rule wants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BandConfig {
    /// How many standard deviations from the mean a value is still inside; above 0, finite.
    pub deviations: f64,
    /// How many values the band remembers, as the span of an exponential average: 240, an hour at
    /// one in 15 s.
    pub memory_samples: u32,
    /// How many values it learns before it judges one: 20; at least 2.
    pub samples_min: u32,
    /// How far from the mean a value is inside whatever the deviation is, in the values' unit: 0.
    /// A series that stood still would otherwise be outside at its slightest move.
    pub distance_min: f64,
    /// On which side of the band a value matters.
    pub side: BandSide,
}

impl Default for BandConfig {
    fn default() -> Self {
        Self {
            deviations: 3.0,
            memory_samples: 240,
            samples_min: 20,
            distance_min: 0.0,
            side: BandSide::Either,
        }
    }
}

/// On which side of a band a value matters. Neither side's outliers teach anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BandSide {
    /// Above it and below it.
    #[default]
    Either,
    /// Only above it.
    Above,
    /// Only below it.
    Below,
}

impl BandSide {
    /// The word for it, in configurations and documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Either => "either",
            Self::Above => "above",
            Self::Below => "below",
        }
    }
}

/// What was learned of one series.
///
/// ```
/// use tidegate_core::{Band, BandConfig};
///
/// let (mut band, config) = (Band::default(), BandConfig::default());
/// for minute in 0..60 {
///     assert!(!band.observe(f64::from(minute % 5), &config));
/// }
/// assert!(band.observe(50.0, &config));
/// assert!(!band.observe(4.0, &config));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Band {
    mean: f64,
    variance: f64,
    /// How many values it was taught; stops at the memory, where it no longer matters.
    learned: u32,
}

impl Band {
    /// Judges a value by what was learned before it, and learns it unless it is outside; says
    /// whether it is outside on the side that matters. NaN is neither inside nor outside and
    /// teaches nothing; an infinity is outside of every band that judges, and teaches nothing
    /// either.
    pub fn observe(&mut self, value: f64, config: &BandConfig) -> bool {
        if value.is_nan() {
            return false;
        }
        let outside = self.learned >= config.samples_min && self.is_outside(value, config);
        if !outside {
            self.learn(value, config.memory_samples);
        }
        outside
            && match config.side {
                BandSide::Either => true,
                BandSide::Above => value > self.mean,
                BandSide::Below => value < self.mean,
            }
    }

    fn is_outside(&self, value: f64, config: &BandConfig) -> bool {
        let distance = (value - self.mean).abs();
        let square = distance * distance;
        // Squares spare a root; one that overflows is further off than anything learned.
        let far =
            square > config.deviations * config.deviations * self.variance || square.is_infinite();
        far && distance > config.distance_min
    }

    fn learn(&mut self, value: f64, memory_samples: u32) {
        let nth = self.learned.saturating_add(1);
        let weight = (1.0 / f64::from(nth)).max(2.0 / (f64::from(memory_samples) + 1.0));
        let distance = value - self.mean;
        let step = weight * distance;
        let variance = (1.0 - weight) * (self.variance + distance * step);
        // Infinities, and values so far apart that their squares overflow, teach nothing.
        if variance.is_finite() {
            self.mean += step;
            self.variance = variance;
            self.learned = nth.min(memory_samples.max(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn config() -> BandConfig {
        BandConfig {
            samples_min: 4,
            memory_samples: 8,
            ..BandConfig::default()
        }
    }

    #[test]
    fn nothing_is_outside_before_enough_was_learned() {
        let mut band = Band::default();
        for value in [1.0, 1e9, -1e9, 3.0] {
            assert!(!band.observe(value, &config()));
        }
        assert!(band.observe(1e12, &config()));
    }

    #[test]
    fn what_is_outside_is_not_learned_however_long_it_lasts() {
        let mut band = Band::default();
        for value in [1.0, 2.0, 1.0, 2.0, 1.0, 2.0] {
            band.observe(value, &config());
        }
        let before = band;
        for _ in 0..100 {
            assert!(band.observe(10.0, &config()));
        }
        assert_eq!(band, before);
        assert!(!band.observe(1.5, &config()));
    }

    #[test]
    fn a_series_that_stood_still_may_move_by_the_least_distance() {
        let wide = BandConfig {
            distance_min: 0.5,
            ..config()
        };
        let mut band = Band::default();
        for _ in 0..6 {
            band.observe(7.0, &wide);
        }
        let mut still = band;
        assert!(still.observe(7.001, &config()));
        assert!(!band.observe(7.5, &wide) && band.observe(8.5, &wide));
    }

    #[test]
    fn only_the_side_that_matters_is_told() {
        let above = BandConfig {
            side: BandSide::Above,
            ..config()
        };
        let mut band = Band::default();
        for _ in 0..6 {
            band.observe(7.0, &above);
        }
        let before = band;
        assert!(!band.observe(0.0, &above) && band.observe(9.0, &above));
        assert_eq!(band, before);
        let below = BandConfig {
            side: BandSide::Below,
            ..above
        };
        assert!(band.observe(0.0, &below) && !band.observe(9.0, &below));
    }

    #[test]
    fn what_is_no_number_or_endless_teaches_nothing() {
        let mut band = Band::default();
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e200, -1e200] {
            band.observe(value, &config());
        }
        assert!(band.mean.is_finite() && band.variance.is_finite());
        for value in [1.0, 2.0, 1.0, 2.0, 1.0] {
            band.observe(value, &config());
        }
        assert!(!band.observe(f64::NAN, &config()) && band.observe(f64::INFINITY, &config()));
    }

    proptest! {
        /// Until the memory is full, the band is the mean and variance of all values.
        #[test]
        fn at_first_all_values_count_the_same(values in prop::collection::vec(-1e6..1e6, 1..60_usize)) {
            let patient = BandConfig { memory_samples: 1_000, samples_min: 1_000, ..BandConfig::default() };
            let mut band = Band::default();
            for &value in &values {
                prop_assert!(!band.observe(value, &patient));
            }
            let count = values.len() as f64;
            let mean = values.iter().sum::<f64>() / count;
            let squares: Vec<f64> = values.iter().map(|value| (value - mean) * (value - mean)).collect();
            let variance = squares.iter().sum::<f64>() / count;
            prop_assert!((band.mean - mean).abs() <= 1e-9 * (1.0 + mean.abs()) * 1e3);
            prop_assert!((band.variance - variance).abs() <= 1e-6 * (1.0 + variance));
        }

        #[test]
        fn no_values_make_a_band_that_is_no_number(
            values in prop::collection::vec(any::<f64>(), 0..200),
        ) {
            let mut band = Band::default();
            for value in values {
                band.observe(value, &config());
                prop_assert!(band.mean.is_finite() && band.variance.is_finite() && band.variance >= 0.0);
            }
        }
    }
}
