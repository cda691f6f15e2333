//! Sketches that come from elsewhere.

use tidegate_series::{Sketch, SketchError};

fn encoded(values: &[f64]) -> Vec<u8> {
    let mut sketch = Sketch::new();
    sketch.add(values);
    sketch.encode()
}

#[test]
fn infinities_that_are_counted_are_the_extremes_and_the_extremes_are_counted() {
    // The second and the fourth count, after the version.
    const DOWNS: usize = 2;
    const UPS: usize = 4;
    for (values, count) in [
        ([-1.0, 1.0], DOWNS),
        ([-1.0, 1.0], UPS),
        ([f64::NEG_INFINITY, 1.0], DOWNS),
        ([-1.0, f64::INFINITY], UPS),
    ] {
        let mut bytes = encoded(&values);
        assert_eq!(Sketch::decode(&bytes).map(|sketch| sketch.count()), Ok(2));
        bytes[count] ^= 1;
        assert_eq!(Sketch::decode(&bytes).err(), Some(SketchError::Extremes));
    }
}
