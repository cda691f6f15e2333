//! The series that are measured: made from one seed, the same on every machine.

use tidegate_core::Random;

/// A day at one sample every 15 s.
pub(crate) const POINTS: usize = 5_760;

/// How long there is from one sample to the next.
pub(crate) const STEP_MS: i64 = 15_000;

const SEED: u64 = 5;

const FIRST_MS: i64 = 1_700_000_000_000;

/// What a series looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Events of a rate between 0.1/s and 10,000/s that swings over the day; a restart every 2,000 samples or so.
    Counter,
    /// A level between 1 and 10,000 with two decimals, that strays and comes back.
    Gauge,
    /// An integer that changes once in a hundred samples.
    Integer,
    /// Measurements with all their bits.
    Noise,
}

impl Kind {
    /// Each kind, for one in ten series.
    const SHARES: [Self; 10] = [
        Self::Counter,
        Self::Counter,
        Self::Counter,
        Self::Counter,
        Self::Gauge,
        Self::Gauge,
        Self::Gauge,
        Self::Integer,
        Self::Integer,
        Self::Noise,
    ];

    /// The kind of the nth series.
    pub(crate) const fn of(series: usize) -> Self {
        Self::SHARES[series % Self::SHARES.len()]
    }
}

/// The time of the nth sample of every series.
pub(crate) const fn time_ms(sample: usize) -> i64 {
    FIRST_MS + sample as i64 * STEP_MS
}

/// The values of the nth series, as many as asked for.
pub(crate) fn values(series: usize, count: usize) -> Vec<f64> {
    let mut random = Random::new(SEED << 32 | series as u64);
    match Kind::of(series) {
        Kind::Counter => counter(&mut random, count),
        Kind::Gauge => gauge(&mut random, count),
        Kind::Integer => integer(&mut random, count),
        Kind::Noise => {
            let mean = 100.0 * random.fraction();
            (0..count)
                .map(|_| mean + 10.0 * normal(&mut random))
                .collect()
        }
    }
}

fn counter(random: &mut Random, count: usize) -> Vec<f64> {
    let decade = [0.1, 1.0, 10.0, 100.0, 1_000.0][random.below(5) as usize];
    let expected = decade * (1.0 + 9.0 * random.fraction()) * STEP_MS as f64 / 1_000.0;
    let mut sum = 0.0;
    let next = |sample: usize| {
        if random.below(2_000) == 0 {
            sum = 0.0;
        }
        let of_day = (sample % POINTS) as f64 / POINTS as f64;
        let expected = expected * (0.5 + (of_day - 0.5).abs() * 2.0);
        sum += (expected + expected.sqrt() * normal(random))
            .max(0.0)
            .round();
        sum
    };
    (0..count).map(next).collect()
}

fn gauge(random: &mut Random, count: usize) -> Vec<f64> {
    let decade = [1.0, 10.0, 100.0, 1_000.0][random.below(4) as usize];
    let level = decade * (1.0 + 9.0 * random.fraction());
    let mut value = level;
    let next = |_| {
        value += (level - value) * 0.05 + level * 0.01 * normal(random);
        (value * 100.0).round() / 100.0
    };
    (0..count).map(next).collect()
}

fn integer(random: &mut Random, count: usize) -> Vec<f64> {
    let mut value = random.below(1_000) as f64;
    let next = |_| {
        if random.below(100) == 0 {
            value = (value + (5.0 * normal(random)).round()).max(0.0);
        }
        value
    };
    (0..count).map(next).collect()
}

/// Twelve throws add up to a bell of width 1, without a function that machines may differ in.
fn normal(random: &mut Random) -> f64 {
    (0..12).map(|_| random.fraction()).sum::<f64>() - 6.0
}
