//! Decimals: values that are an integer over a power of ten, as nearly all that people measure are.

use alloc::vec::Vec;

use super::packing::BLOCK;

/// The powers of ten by which values are scaled; a double has no more decimals in it.
const SCALES: [f64; 15] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14,
];

/// How many decimals a block may have.
pub(super) const PLACES_MAX: u8 = SCALES.len() as u8 - 1;

/// Added to a double below 2⁵¹ it leaves no bits below the point, and the integer in the lowest 52 bits of the sum.
const SHIFTER: f64 = 6_755_399_441_055_744.0;
const SHIFTER_BITS: u64 = SHIFTER.to_bits();

/// Twelve bits that every sum with the shifter has, where the integer is within ±2⁵¹.
const SHIFTED: u64 = SHIFTER_BITS >> 52;

/// How many bits a narrow integer has, its sign among them: so few that their steps, the steps of those, and these less
/// any base between or around them are within 32.
const NARROW_BITS: u32 = 28;

/// What one place more costs each value, in tenths of a bit, and what an outlier costs.
const PLACE_COST: usize = 33;
const OUTLIER_COST: usize = 730;

/// On how many values the places are chosen.
const SAMPLES: usize = 16;

/// More outliers than one in so many, and the bits of the doubles pack better than decimals.
const OUTLIERS_SHARE: usize = 4;

/// How many places the values take, by a few of them; nothing if most are no decimals.
pub(super) fn places(values: &[f64]) -> Option<u8> {
    let mut needs = Needs::default();
    for &value in values.iter().step_by(values.len().div_ceil(SAMPLES)) {
        needs.add(places_of(value, 0));
        // Noise is told quickly, and trying all places is slow.
        if needs.none >= 3 && needs.none > needs.some {
            return None;
        }
    }
    Some(needs.cheapest(0, needs.none + needs.some, 1))
}

/// Scales every value by `10^places`. Those that are no such decimal repeat the integer before them, and their
/// positions are set in `outliers`. Gives back how many places were used at last, or nothing if too many do not fit.
pub(super) fn scale(
    values: &[f64],
    places: u8,
    integers: &mut [i64],
    outliers: &mut [bool; BLOCK],
) -> Option<(u8, usize)> {
    if scale_all(values, places, integers) {
        return Some((places, 0));
    }
    let places = raised(values, places);
    scale_all(values, places, integers);
    let mut count = 0;
    let mut before = None;
    for (at, &value) in values.iter().enumerate() {
        outliers[at] = !fits(value, places);
        if outliers[at] {
            count += 1;
            integers[at] = before.unwrap_or(0);
            continue;
        }
        let integer = integers[at];
        if before.replace(integer).is_none() {
            integers[..at].fill(integer);
        }
    }
    (count <= values.len() / OUTLIERS_SHARE).then_some((places, count))
}

/// The places that cost least, now that some values do not fit.
fn raised(values: &[f64], places: u8) -> u8 {
    let (mut needs, mut tried, mut misfits) = (Needs::default(), 0, 0);
    for &value in values {
        if fits(value, places) {
            continue;
        }
        misfits += 1;
        if tried < SAMPLES {
            tried += 1;
            needs.add(places_of(value, places + 1));
        }
    }
    needs.cheapest(places, values.len(), misfits / tried.max(1))
}

/// How many values need how many places.
#[derive(Debug, Default)]
struct Needs {
    places: [usize; SCALES.len()],
    some: usize,
    none: usize,
}

impl Needs {
    fn add(&mut self, places: Option<u8>) {
        match places {
            Some(places) => {
                self.places[usize::from(places)] += 1;
                self.some += 1;
            }
            None => self.none += 1,
        }
    }

    /// The places from `least` on where these together cost least: places of `count` values, and outliers, each of
    /// which stands for `weight`.
    fn cheapest(&self, least: u8, count: usize, weight: usize) -> u8 {
        let mut outliers: usize = self.places.iter().sum();
        let (mut best, mut cost_least) = (least, usize::MAX);
        for (places, &fit) in self.places.iter().enumerate() {
            outliers -= fit;
            let cost = places * PLACE_COST * count + outliers * OUTLIER_COST * weight;
            if places >= usize::from(least) && cost < cost_least {
                (best, cost_least) = (places as u8, cost);
            }
        }
        best
    }
}

fn places_of(value: f64, least: u8) -> Option<u8> {
    (least..=PLACES_MAX).find(|&places| fits(value, places))
}

fn fits(value: f64, places: u8) -> bool {
    scale_all(&[value], places, &mut [0])
}

/// Whether all came out exactly; where one did not, its integer means nothing.
pub(super) fn scale_all(values: &[f64], places: u8, integers: &mut [i64]) -> bool {
    match places {
        // Integers need no division, which takes longer than all else.
        0 => scale_by(|value| value, |integer| integer, values, integers),
        _ => {
            let scale = SCALES[usize::from(places)];
            scale_by(
                |value| value * scale,
                |integer| integer / scale,
                values,
                integers,
            )
        }
    }
}

fn scale_by(
    up: impl Fn(f64) -> f64,
    down: impl Fn(f64) -> f64,
    values: &[f64],
    integers: &mut [i64],
) -> bool {
    let mut differ = 0;
    for (&value, integer) in values.iter().zip(integers) {
        let shifted = up(value) + SHIFTER;
        let back = down(shifted - SHIFTER);
        differ |= (shifted.to_bits() >> 52 ^ SHIFTED) | (back.to_bits() ^ value.to_bits());
        *integer = shifted.to_bits().wrapping_sub(SHIFTER_BITS) as i64;
    }
    differ == 0
}

/// Appends the integers less `base`, if they have [`NARROW_BITS`], and says whether all came out exactly; where one did
/// not, what is appended means nothing.
pub(super) fn narrow_all(values: &[f64], places: u8, base: i64, integers: &mut Vec<i32>) -> bool {
    match places {
        0 => narrow_by(|value| value, |integer| integer, values, base, integers),
        _ => {
            let scale = SCALES[usize::from(places)];
            narrow_by(
                |value| value * scale,
                |integer| integer / scale,
                values,
                base,
                integers,
            )
        }
    }
}

fn narrow_by(
    up: impl Fn(f64) -> f64,
    down: impl Fn(f64) -> f64,
    values: &[f64],
    base: i64,
    integers: &mut Vec<i32>,
) -> bool {
    let mut differ = 0;
    // With this added, what has more bits goes past the lowest.
    let middle = 1_u64 << (NARROW_BITS - 1);
    let base = SHIFTER_BITS.wrapping_add(base as u64).wrapping_sub(middle);
    integers.extend(values.iter().map(|&value| {
        let shifted = up(value) + SHIFTER;
        let back = down(shifted - SHIFTER);
        let integer = shifted.to_bits().wrapping_sub(base);
        differ |= (shifted.to_bits() >> 52 ^ SHIFTED)
            | (back.to_bits() ^ value.to_bits())
            | integer >> NARROW_BITS;
        integer.wrapping_sub(middle) as i32
    }));
    differ == 0
}

/// Appends the values that these integers are over `10^places`, at most [`PLACES_MAX`].
pub(super) fn unscale(integers: impl Iterator<Item = u64>, places: u8, values: &mut Vec<f64>) {
    let scale = SCALES[usize::from(places)];
    let shifted = |integer: u64| f64::from_bits(integer.wrapping_add(SHIFTER_BITS)) - SHIFTER;
    if places == 0 {
        values.extend(integers.map(shifted));
    } else {
        values.extend(integers.map(|integer| shifted(integer) / scale));
    }
}
