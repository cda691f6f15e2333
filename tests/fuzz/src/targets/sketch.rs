//! Sketches: bytes as one, and bytes as values to put into one.

use tidegate_series::{QuantileMethod, SKETCH_BYTES_MAX, SKETCH_ERROR_MAX, Sketch, is_stale};

use super::Target;

pub(super) const TARGET: Target = Target {
    name: "sketch",
    about: "an encoded sketch, and bytes as values for one",
    run,
    words: &[],
    bytes_max: 2_000,
};

/// Ranks that are looked at.
const QUANTILES: [f64; 9] = [-1.0, 0.0, 0.01, 0.25, 0.5, 0.75, 0.99, 1.0, 2.0];

/// What a sketch takes at most: 64 pages of 514 bytes with as much room again, and what is beside them.
const MEMORY_MAX: usize = 2 * 64 * 514 + 128;

fn run(bytes: &[u8]) {
    let words = bytes.as_chunks().0.iter();
    let values: Vec<f64> = words.map(|&word| f64::from_le_bytes(word)).collect();
    let own = of_values(&values);
    match Sketch::decode(bytes) {
        Ok(sketch) => {
            sound(&sketch);
            merged(&sketch, &own);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    sound(&own);
    // Small whole numbers, of which many fall into one bucket.
    let steps: Vec<f64> = bytes.iter().map(|&byte| f64::from(byte) - 100.0).collect();
    let steps = of_values(&steps);
    sound(&steps);
    merged(&steps, &own);
}

/// The sketch of values, beside the values themselves.
fn of_values(values: &[f64]) -> Sketch {
    let mut sketch = Sketch::new();
    sketch.add(values);
    let mut live: Vec<f64> = values
        .iter()
        .copied()
        .filter(|value| !is_stale(*value))
        .collect();
    assert_eq!(sketch.count(), live.len() as u64);
    // NaNs are less than all others.
    let key = |value: &f64| {
        if value.is_nan() {
            f64::NEG_INFINITY
        } else {
            *value
        }
    };
    live.sort_by(|a, b| key(a).total_cmp(&key(b)).then(b.is_nan().cmp(&a.is_nan())));
    if live.is_empty() || sketch.is_coarse() {
        return sketch;
    }
    let last = live.len() - 1;
    for (rank, exact) in live.iter().enumerate() {
        let q = rank as f64 / last.max(1) as f64;
        let told = sketch.quantile(q, QuantileMethod::NearestRank);
        let allowed = exact.abs() * SKETCH_ERROR_MAX + f64::MIN_POSITIVE;
        let is_close =
            told == *exact || told.is_nan() && exact.is_nan() || (told - exact).abs() <= allowed;
        assert!(is_close, "{q} of {}: {told} for {exact}", live.len());
    }
    sketch
}

/// What holds of every sketch.
fn sound(sketch: &Sketch) {
    assert!(sketch.byte_size() <= MEMORY_MAX);
    let encoded = sketch.encode();
    assert!(encoded.len() <= SKETCH_BYTES_MAX);
    let again = Sketch::decode(&encoded).expect("what is written is read");
    assert_eq!(again.encode(), encoded);
    assert_eq!(again.count(), sketch.count());
    let numbers: Vec<f64> = QUANTILES[1..8]
        .iter()
        .map(|&q| sketch.quantile(q, QuantileMethod::NearestRank))
        .filter(|value| !value.is_nan())
        .collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
    for number in numbers {
        assert!(
            sketch.min() <= number && number <= sketch.max(),
            "{number} of {sketch:?}"
        );
    }
    for method in [QuantileMethod::Linear, QuantileMethod::NearestRank] {
        for q in QUANTILES {
            let (a, b) = (sketch.quantile(q, method), again.quantile(q, method));
            assert_eq!(a.to_bits(), b.to_bits(), "{q}");
        }
    }
}

/// Sketches merge in any order.
fn merged(a: &Sketch, b: &Sketch) {
    let (mut ab, mut ba) = (a.clone(), b.clone());
    ab.merge(b);
    ba.merge(a);
    assert_eq!(ab.count(), a.count() + b.count());
    sound(&ab);
    // Sums are rounded, each way in its own.
    for q in QUANTILES {
        let method = QuantileMethod::NearestRank;
        let (one, other) = (ab.quantile(q, method), ba.quantile(q, method));
        assert_eq!(one.to_bits(), other.to_bits(), "{q}");
    }
}
