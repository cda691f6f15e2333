//! `perSecond`: counters as rates, series by series.

use js_sys::{Float64Array, Uint32Array};
use tidegate_series::per_second;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::object::Record;

/// The rates of a matrix in columns, by [`per_second`]; series keep their order. Positions beyond
/// the columns count as their end.
#[wasm_bindgen(js_name = perSecond)]
pub fn rates(offsets: &[u32], timestamps_ms: &[f64], values: &[f64]) -> JsValue {
    let rates = Rates::of(offsets, timestamps_ms, values);
    Record::new()
        .with("offsets", Uint32Array::from(&*rates.offsets))
        .with("timestampsMs", Float64Array::from(&*rates.timestamps_ms))
        .with("values", Float64Array::from(&*rates.values))
        .finish()
}

#[derive(Debug, PartialEq)]
struct Rates {
    offsets: Vec<u32>,
    timestamps_ms: Vec<f64>,
    values: Vec<f64>,
}

impl Rates {
    fn of(offsets: &[u32], timestamps_ms: &[f64], values: &[f64]) -> Self {
        let mut rates = Self {
            offsets: vec![0],
            timestamps_ms: Vec::new(),
            values: Vec::new(),
        };
        let times: Vec<i64> = timestamps_ms.iter().map(|ms| *ms as i64).collect();
        let length = times.len().min(values.len());
        let mut points = Vec::new();
        for bounds in offsets.windows(2) {
            let end = length.min(bounds[1] as usize);
            let start = end.min(bounds[0] as usize);
            per_second(&times[start..end], &values[start..end], &mut points);
            rates
                .timestamps_ms
                .extend(points.iter().map(|(ms, _)| *ms as f64));
            rates.values.extend(points.iter().map(|(_, rate)| *rate));
            rates.offsets.push(rates.values.len() as u32);
        }
        rates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_series_has_its_own_rates() {
        let rates = Rates::of(
            &[0, 3, 3, 4, 6],
            &[0.0, 1e3, 2e3, 5e3, 0.0, 5e2],
            &[1.0, 3.0, 2.0, 9.0, 4.0, 5.0],
        );
        assert_eq!(rates.offsets, [0, 2, 2, 2, 3]);
        assert_eq!(rates.timestamps_ms, [1e3, 2e3, 5e2]);
        assert_eq!(rates.values, [2.0, 2.0, 2.0]);
    }

    #[test]
    fn offsets_that_lie_are_survived() {
        for offsets in [&[][..], &[0], &[0, 9], &[9, 0], &[u32::MAX, 1, 5]] {
            let rates = Rates::of(offsets, &[0.0, 1e3, 2e3], &[1.0, 2.0]);
            assert_eq!(rates.offsets.len(), offsets.len().max(1));
        }
    }
}
