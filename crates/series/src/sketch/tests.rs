//! Sketches against the values themselves.

use alloc::vec::Vec;
use proptest::prelude::*;

use super::pages::{PAGES_MAX, exponent, middle};
use super::{SKETCH_BUCKETS_MAX, SKETCH_BYTES_MAX, SKETCH_ERROR_MAX, Sketch, SketchError};
use crate::quantile::{QuantileMethod, quantiles};
use crate::stale::{is_stale, stale_marker};

const QS: [f64; 7] = [0.0, 0.01, 0.3, 0.5, 0.95, 0.99, 1.0];

fn sketch(values: &[f64]) -> Sketch {
    let mut sketch = Sketch::new();
    sketch.add(values);
    sketch
}

fn near(told: f64, exact: f64) -> bool {
    let error = (told - exact).abs();
    told == exact || told.is_nan() && exact.is_nan() || error <= SKETCH_ERROR_MAX * exact.abs()
}

#[test]
fn a_sketch_of_nothing_says_nothing() {
    for sketch in [sketch(&[]), sketch(&[stale_marker(); 3])] {
        assert!(sketch.is_empty() && !sketch.is_coarse());
        assert_eq!((sketch.count(), sketch.sum()), (0, 0.0));
        assert!(sketch.min().is_nan() && sketch.max().is_nan());
        assert!(sketch.quantile(0.5, QuantileMethod::Linear).is_nan());
    }
}

#[test]
fn the_quantiles_past_the_ends_are_infinities() {
    let sketch = sketch(&[1.0]);
    assert_eq!(
        sketch.quantile(-0.1, QuantileMethod::Linear),
        f64::NEG_INFINITY
    );
    assert_eq!(sketch.quantile(1.1, QuantileMethod::Linear), f64::INFINITY);
    assert!(sketch.quantile(f64::NAN, QuantileMethod::Linear).is_nan());
}

#[test]
fn the_middle_of_a_bucket_is_within_the_error_of_its_ends() {
    for (page, bucket) in [
        (2_049, 0),
        (3_071, 0),
        (3_071, 63),
        (4_094, 63),
        (1, 0),
        (2_046, 63),
    ] {
        let middle = middle(page, bucket);
        let octave = libm::exp2(f64::from(exponent(page)) - 1_023.0);
        // Of negative pages the buckets begin farthest from 0.
        let nth = if page >= 2_048 { bucket } else { 63 - bucket };
        let ends = [nth, nth + 1].map(|nth| octave * (1.0 + nth as f64 / 64.0));
        for end in ends.into_iter().filter(|end| end.is_finite()) {
            assert!(
                (middle.abs() - end).abs() <= SKETCH_ERROR_MAX * end,
                "{page} {bucket}"
            );
        }
        assert_eq!(middle > 0.0, page >= 2_048);
    }
}

#[test]
fn zeros_of_either_sign_and_what_is_below_the_normal_doubles_are_zero() {
    let sketch = sketch(&[0.0, -0.0, 5e-324, -5e-324, 1e-310, 1.0]);
    for q in [0.2, 0.4, 0.6, 0.8] {
        assert!(sketch.quantile(q, QuantileMethod::NearestRank).abs() < 1e-307);
    }
    assert_eq!((sketch.min(), sketch.max()), (-5e-324, 1.0));
}

#[test]
fn infinities_and_nans_have_their_ranks() {
    let (up, down) = (f64::INFINITY, f64::NEG_INFINITY);
    let sketch = sketch(&[
        up,
        f64::NAN,
        1.0,
        down,
        up,
        stale_marker(),
        2.0,
        -f64::NAN,
        down,
    ]);
    assert_eq!((sketch.count(), sketch.min(), sketch.max()), (8, down, up));
    assert!(sketch.sum().is_nan());
    let told =
        (0..8).map(|rank| sketch.quantile(f64::from(rank) / 7.0, QuantileMethod::NearestRank));
    let told: Vec<_> = told.collect();
    assert!(told[0].is_nan() && told[1].is_nan());
    assert_eq!((told[2], told[3], told[6], told[7]), (down, down, up, up));
    assert!(near(told[4], 1.0) && near(told[5], 2.0));
}

#[test]
fn buckets_are_bounded_and_small_values_give_way() {
    let values: Vec<_> = (-1_000..1_000)
        .flat_map(|power| [libm::exp2(f64::from(power)), -libm::exp2(f64::from(power))])
        .collect();
    let sketch = sketch(&values);
    assert!(sketch.is_coarse());
    assert!(
        sketch.byte_size() <= 2 * (SKETCH_BUCKETS_MAX + PAGES_MAX) * 8,
        "{}",
        sketch.byte_size()
    );
    assert_eq!((sketch.count(), sketch.max()), (4_000, libm::exp2(999.0)));
    let exact = quantiles(
        &values,
        [0.0, 0.005, 0.995, 1.0],
        QuantileMethod::NearestRank,
    );
    for (q, exact) in [0.0, 0.005, 0.995, 1.0].into_iter().zip(exact) {
        assert!(
            near(sketch.quantile(q, QuantileMethod::NearestRank), exact),
            "{q}"
        );
    }
    let mut again = Sketch::new();
    again.merge(&sketch);
    again.add(&[1e-300, -1e-300]);
    assert_eq!(again.count(), 4_002);
    assert!(again.quantile(0.5, QuantileMethod::NearestRank).is_finite());
    assert_eq!(
        Sketch::decode(&again.encode()).unwrap().encode(),
        again.encode()
    );
}

#[test]
fn one_sign_may_take_all_pages() {
    for sign in [1.0, -1.0] {
        let values: Vec<_> = (0..200)
            .map(|power| sign * libm::exp2(f64::from(power)))
            .collect();
        let mut far = sketch(&[-sign * libm::exp2(500.0)]);
        far.add(&values);
        assert!(far.is_coarse());
        let q = if sign > 0.0 { 0.9 } else { 0.1 };
        let mut all = values.clone();
        all.push(-sign * libm::exp2(500.0));
        let [exact] = quantiles(&all, [q], QuantileMethod::NearestRank);
        assert!(near(far.quantile(q, QuantileMethod::NearestRank), exact));
    }
}

#[test]
fn more_pages_than_tables_hold_are_counted_in_turn() {
    let values: Vec<_> = (-600..600)
        .map(|power| libm::exp2(f64::from(power)))
        .collect();
    let sketch = sketch(&values);
    assert_eq!(sketch.count(), 1_200);
    let at = sketch.quantile(1_180.0 / 1_199.0, QuantileMethod::NearestRank);
    assert!(near(at, libm::exp2(580.0)), "{at}");
}

#[test]
fn a_merge_that_would_overflow_adds_nothing() {
    let mut sketch = sketch(&[1.0, 2.0]);
    for _ in 0..70 {
        sketch.merge(&sketch.clone());
    }
    assert_eq!(sketch.count(), 1 << 63);
    assert!(near(sketch.quantile(0.9, QuantileMethod::NearestRank), 2.0));
    assert_eq!(
        Sketch::decode(&sketch.encode()).err(),
        Some(SketchError::Invalid { position: 50 })
    );
}

#[test]
fn bytes_that_are_no_sketch_are_refused() {
    let bytes = sketch(&[1.0, -2.0, 2.5]).encode();
    assert_eq!(
        Sketch::decode(&[]).err(),
        Some(SketchError::Truncated { bytes: 0 })
    );
    for end in 1..bytes.len() {
        assert_eq!(
            Sketch::decode(&bytes[..end]).err(),
            Some(SketchError::Truncated { bytes: end })
        );
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(
        Sketch::decode(&longer).err(),
        Some(SketchError::TooLong {
            bytes: longer.len()
        })
    );
    let changed = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        Sketch::decode(&bytes).err()
    };
    assert_eq!(changed(0, 2), Some(SketchError::Version { version: 2 }));
    // The extremes: the least above the greatest, none though there are values.
    assert_eq!(changed(20, 0x7f), Some(SketchError::Extremes));
    // The number of pages, and the first of them.
    assert!(matches!(changed(31, 65), Some(SketchError::Invalid { .. })));
    assert!(matches!(changed(32, 0), Some(SketchError::Invalid { .. })));
    for error in [
        SketchError::Version { version: 2 },
        SketchError::Truncated { bytes: 1 },
        SketchError::TooLong { bytes: 1 },
        SketchError::Invalid { position: 1 },
        SketchError::Extremes,
    ] {
        assert!(alloc::format!("{error}").starts_with("sketch "));
    }
    assert!(alloc::format!("{:?}", sketch(&[1.0])).contains("octaves: 1"));
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => -100.0..1e4_f64,
        4 => (-5_i32..5).prop_map(f64::from),
        2 => any::<f64>(),
        1 => prop_oneof![
            Just(f64::NAN),
            Just(f64::INFINITY),
            Just(f64::NEG_INFINITY),
            Just(stale_marker())
        ],
    ]
}

proptest! {
    #[test]
    fn every_quantile_is_within_the_error(values in prop::collection::vec(value(), 1..300)) {
        let sketch = sketch(&values);
        let live: Vec<_> = values.iter().copied().filter(|&value| !is_stale(value)).collect();
        prop_assert_eq!(sketch.count(), live.len() as u64);
        let exact = quantiles(&live, QS, QuantileMethod::NearestRank);
        for (q, exact) in QS.into_iter().zip(exact) {
            let told = sketch.quantile(q, QuantileMethod::NearestRank);
            let told_as_zero = exact.abs() < f64::MIN_POSITIVE;
            // What lies closer to 0 than any octave of its own is told larger.
            let coarse = sketch.is_coarse();
            prop_assert!(near(told, exact) || told_as_zero || coarse, "{} {} {}", q, told, exact);
        }
        let min = live.iter().copied().fold(f64::NAN, f64::min);
        let max = live.iter().copied().fold(f64::NAN, f64::max);
        prop_assert!(near(sketch.min(), min) && near(sketch.max(), max));
    }

    #[test]
    fn an_interpolated_quantile_of_one_sign_is_within_the_error(
        values in prop::collection::vec(1e-3..1e9_f64, 1..100),
        q in 0.0..=1.0_f64,
        negative in any::<bool>(),
    ) {
        let values: Vec<_> = values.into_iter().map(|value| if negative { -value } else { value }).collect();
        let [exact] = quantiles(&values, [q], QuantileMethod::Linear);
        let told = sketch(&values).quantile(q, QuantileMethod::Linear);
        prop_assert!((told - exact).abs() <= SKETCH_ERROR_MAX * exact.abs() * (1.0 + 1e-12), "{} {}", told, exact);
    }

    #[test]
    fn merged_sketches_are_the_sketch_of_all(
        parts in prop::collection::vec(prop::collection::vec(-1e6..1e6_f64, 0..50), 0..5),
    ) {
        let mut merged = Sketch::new();
        for part in &parts {
            merged.merge(&sketch(part));
        }
        let mut backwards = Sketch::new();
        for part in parts.iter().rev() {
            backwards.merge(&sketch(part));
        }
        let all = sketch(&parts.concat());
        prop_assert_eq!((merged.count(), merged.min().to_bits(), merged.max().to_bits()),
            (all.count(), all.min().to_bits(), all.max().to_bits()));
        for q in QS {
            let told = [&merged, &backwards, &all].map(|sketch| sketch.quantile(q, QuantileMethod::Linear).to_bits());
            prop_assert_eq!(told, [told[0]; 3]);
        }
    }

    #[test]
    fn bytes_come_back_as_the_same_sketch(values in prop::collection::vec(value(), 0..200)) {
        let sketch = sketch(&values);
        let bytes = sketch.encode();
        prop_assert!(bytes.len() <= SKETCH_BYTES_MAX);
        let decoded = Sketch::decode(&bytes).unwrap();
        prop_assert_eq!(decoded.encode(), bytes);
        for q in QS {
            let told = [&sketch, &decoded].map(|sketch| sketch.quantile(q, QuantileMethod::Linear));
            prop_assert!(near(told[0], told[1]));
        }
    }

    #[test]
    fn any_bytes_are_a_sketch_that_answers_or_an_error(
        values in prop::collection::vec(value(), 0..20),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        noise in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let mut bytes = sketch(&values).encode();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for bytes in [bytes, noise] {
            if let Ok(mut decoded) = Sketch::decode(&bytes) {
                for q in QS {
                    let _ = decoded.quantile(q, QuantileMethod::Linear);
                }
                let other = decoded.clone();
                decoded.merge(&other);
                decoded.add(&[1.0, -1e-300]);
                prop_assert_eq!(decoded.count(), 2 * other.count() + 2);
            }
        }
    }
}
