//! How long an answer counts as a hit, learnt from whether its values move.

use core::time::Duration;

use tidegate_series::is_stale;
use tidegate_wire::{Columns, Data, QueryResponse, Series};

/// What identifies the values of an answer, its timestamps left aside: answers that say the same
/// have the same one, and others but for one pair in 2^64 another. Not for whom somebody may
/// want to deceive, as collisions can be made; a source that does so ages only its own answers.
///
/// Of a range it sees every value, so a window that slides over anything but a constant changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// The fingerprint of a response: its type, labels, values and histograms. The order of series
    /// does not matter, since Prometheus does not keep it. NaNs are one value, but for the stale
    /// marker. All documents have the same, for their text is not in the response.
    pub fn of(response: &QueryResponse) -> Self {
        let mut hash = Hash::default();
        hash.text(response.data.result_type());
        match &response.data {
            Data::Vector(columns) | Data::Matrix(columns) | Data::Series(columns) => {
                hash.columns(columns);
            }
            Data::Scalar { value, .. } => hash.value(*value),
            Data::String { value, .. } => hash.text(value),
            Data::Strings(strings) => {
                hash.word(strings.len() as u64);
                strings.iter().for_each(|text| hash.text(text));
            }
            Data::Document => {}
        }
        Self(hash.0)
    }
}

/// Widens an answer's ttl while fetches bring nothing new.
///
/// Every fetch with the values of the one before multiplies the ttl by 1.5, up to `ttl_max`: from
/// 30 s to 5 min takes six. One with other values brings it back to `ttl` at once, for what moved
/// once is likely to move again. Where each fetch comes as the ttl ends, the ttl is thus `ttl` plus
/// half the time for which the values have stood still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdaptiveTtl {
    least: Duration,
    most: Duration,
    current: Duration,
    last: Option<Fingerprint>,
}

impl AdaptiveTtl {
    /// Begins at `ttl`; with a `ttl_max` of at most `ttl` it stays there.
    pub const fn new(ttl: Duration, ttl_max: Duration) -> Self {
        Self {
            least: ttl,
            most: ttl_max,
            current: ttl,
            last: None,
        }
    }

    /// Notes what a fetch brought, and gives the ttl of that very answer. Failed fetches are not
    /// to be told.
    pub fn fetched(&mut self, values: Fingerprint) -> Duration {
        self.current = if self.last == Some(values) {
            let wider = self.current.saturating_add(self.current / 2);
            wider.min(self.most).max(self.least)
        } else {
            self.least
        };
        self.last = Some(values);
        self.current
    }

    /// `ttl` and `ttl_max`.
    pub(crate) const fn bounds(&self) -> (Duration, Duration) {
        (self.least, self.most)
    }

    /// The ttl now, between `ttl` and `ttl_max`.
    pub const fn ttl(&self) -> Duration {
        self.current
    }
}

/// A running hash over words of 64 bits, each mixed in by the finaliser of MurmurHash3.
#[derive(Debug, Default)]
struct Hash(u64);

impl Hash {
    fn word(&mut self, word: u64) {
        let mut mixed = self.0.rotate_left(5) ^ word;
        mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        // Not zero after zero: a series of zeros counts its members.
        self.0 = (mixed ^ (mixed >> 33)).wrapping_add(1);
    }

    fn text(&mut self, text: &str) {
        self.word(text.len() as u64);
        for chunk in text.as_bytes().chunks(8) {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(bytes));
        }
    }

    fn value(&mut self, value: f64) {
        let is_plain_nan = value.is_nan() && !is_stale(value);
        let value = if is_plain_nan { f64::NAN } else { value };
        self.word(value.to_bits());
    }

    fn columns(&mut self, columns: &Columns) {
        let sum = columns
            .iter()
            .map(|series| Self::of(series).0)
            .fold(0, u64::wrapping_add);
        self.word(columns.len() as u64);
        self.word(sum);
    }

    fn of(series: Series<'_>) -> Self {
        let mut hash = Self::default();
        hash.word(series.labels().len() as u64);
        for (name, value) in series.labels() {
            hash.text(name);
            hash.text(value);
        }
        hash.word(series.values().len() as u64);
        for value in series.values() {
            hash.value(*value);
        }
        hash.word(series.histograms().len() as u64);
        for (_, raw_json) in series.histograms() {
            hash.text(raw_json);
        }
        hash
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;
    use tidegate_series::stale_marker;
    use tidegate_wire::ColumnsBuilder;

    use super::*;

    const TTL: Duration = Duration::from_secs(30);
    const TTL_MAX: Duration = Duration::from_secs(300);

    fn vector(samples: &[(&str, i64, f64)]) -> Fingerprint {
        let mut columns = ColumnsBuilder::new();
        for (job, at, value) in samples {
            columns.begin_series();
            columns.label("job", job);
            columns.sample(*at, *value);
        }
        Fingerprint::of(&QueryResponse::new(Data::Vector(columns.finish())))
    }

    #[test]
    fn time_alone_is_no_change_and_everything_else_is() {
        let before = vector(&[("a", 1, 0.0), ("b", 1, f64::NAN)]);
        assert_eq!(before, vector(&[("a", 9, 0.0), ("b", 9, -f64::NAN)]));
        assert_eq!(before, vector(&[("b", 1, f64::NAN), ("a", 1, 0.0)]));
        assert_ne!(before, vector(&[("a", 1, 0.0), ("b", 1, 1.0)]));
        assert_ne!(before, vector(&[("a", 1, 0.0), ("c", 1, f64::NAN)]));
        assert_ne!(before, vector(&[("a", 1, 0.0)]));
        assert_ne!(before, vector(&[]));
        assert_ne!(before, vector(&[("a", 1, 0.0), ("b", 1, stale_marker())]));
    }

    #[test]
    fn it_widens_by_half_while_nothing_moves_and_falls_back_at_once() {
        let mut ttl = AdaptiveTtl::new(TTL, TTL_MAX);
        let (still, moved) = (vector(&[("a", 1, 1.0)]), vector(&[("a", 1, 2.0)]));
        let seconds: Vec<f64> = (0..8).map(|_| ttl.fetched(still).as_secs_f64()).collect();
        assert_eq!(
            seconds,
            [30.0, 45.0, 67.5, 101.25, 151.875, 227.8125, 300.0, 300.0]
        );
        assert_eq!(ttl.fetched(moved), TTL);
        assert_eq!(ttl.fetched(still), TTL);
        assert_eq!(ttl.fetched(still), TTL * 3 / 2);
    }

    #[test]
    fn a_most_below_the_least_changes_nothing() {
        let mut ttl = AdaptiveTtl::new(TTL, Duration::ZERO);
        let still = vector(&[]);
        assert!((0..9).all(|_| ttl.fetched(still) == TTL));
    }

    proptest! {
        #[test]
        fn it_stays_within_its_bounds(moves in prop::collection::vec(0_u64..3, 0..100)) {
            let mut ttl = AdaptiveTtl::new(TTL, TTL_MAX);
            let mut last = None;
            for value in moves {
                let now = ttl.fetched(Fingerprint(value));
                prop_assert!((TTL..=TTL_MAX).contains(&now));
                prop_assert!(last == Some(value) || now == TTL);
                last = Some(value);
            }
        }
    }
}
