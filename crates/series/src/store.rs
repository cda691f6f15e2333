//! The store: every series held here, found by matchers, bounded in series and samples.
//!
//! The invariant: no series is empty, the index by metric name lists exactly the series held, and the sample count is
//! the sum over the rings.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};

use crate::chunk::TimesPool;
use crate::error::{AppendError, DescribeError};
use crate::labels::{LABEL_VALUE_BYTES_MAX, Labels, METRIC_NAME, is_metric_name};
use crate::limits::{Refused, StoreLimits};
use crate::matcher::{MatchOp, Matcher};
use crate::metadata::Metadata;
use crate::ring::Ring;

// What these take on a 64-bit machine. Sizes are told as there, so that the same series weigh the
// same on every target.
const STORE_BYTES: usize = 224;
const LABELS_BYTES: usize = 16;
const NAME_BYTES: usize = 16;
const METADATA_BYTES: usize = 40;
#[cfg(target_pointer_width = "64")]
const _: () = assert!(
    size_of::<Store>() == STORE_BYTES
        && size_of::<Labels>() == LABELS_BYTES
        && size_of::<Box<str>>() == NAME_BYTES
        && size_of::<Metadata>() == METADATA_BYTES
);

/// Series by label set, and metadata by metric name.
///
/// It never looks at a clock: whoever owns it refuses times it does not believe, and calls [`expire`](Self::expire) now
/// and then.
#[derive(Debug, Clone, Default)]
pub struct Store {
    limits: StoreLimits,
    series: BTreeMap<Labels, Ring>,
    /// Series without a metric name are under the empty one.
    by_name: BTreeMap<Box<str>, BTreeSet<Labels>>,
    metadata: BTreeMap<Box<str>, Metadata>,
    sample_count: usize,
    /// What the rings take.
    ring_bytes: usize,
    times: TimesPool,
    refused: Refused,
}

impl Store {
    /// An empty store within these limits.
    #[must_use]
    pub fn new(limits: StoreLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Adds one sample, in Unix milliseconds, and its series if that is new. Times follow the rule of [`Ring::push`].
    ///
    /// # Errors
    ///
    /// As [`Ring::push`]; [`AppendError::SeriesLimit`] or [`AppendError::SampleLimit`] for a new series past a limit.
    /// Each refusal is counted under [`refused`](Self::refused).
    pub fn append(&mut self, labels: &Labels, t_ms: i64, value: f64) -> Result<(), AppendError> {
        let outcome = match self.series.get_mut(labels) {
            Some(ring) => {
                let (held, bytes) = (ring.len(), ring.byte_size());
                let full = Full {
                    samples: self.sample_count >= self.limits.samples_max,
                    bytes: self.ring_bytes >= self.limits.bytes_max,
                };
                let pushed = push_within(ring, full, t_ms, value, &mut self.times);
                self.sample_count = self.sample_count - held + ring.len();
                self.ring_bytes = self.ring_bytes - bytes + ring.byte_size();
                pushed
            }
            None => self.append_new(labels, t_ms, value),
        };
        outcome.inspect_err(|&error| self.refused.count(error))
    }

    fn append_new(&mut self, labels: &Labels, t_ms: i64, value: f64) -> Result<(), AppendError> {
        let StoreLimits {
            series_max,
            samples_max,
            points_per_series_max,
            bytes_max,
            age_max_ms,
            ..
        } = self.limits;
        if self.series.len() >= series_max {
            return Err(AppendError::SeriesLimit { limit: series_max });
        }
        if self.sample_count >= samples_max {
            return Err(AppendError::SampleLimit { limit: samples_max });
        }
        if self.ring_bytes >= bytes_max {
            return Err(AppendError::ByteLimit { limit: bytes_max });
        }
        let mut ring = Ring::new(points_per_series_max).with_age_max_ms(age_max_ms);
        ring.push_sharing(t_ms, value, &mut self.times)?;
        self.ring_bytes += ring.byte_size();
        self.series.insert(labels.clone(), ring);
        let name = labels.metric_name().unwrap_or_default();
        self.by_name
            .entry(name.into())
            .or_default()
            .insert(labels.clone());
        self.sample_count += 1;
        Ok(())
    }

    /// The series that pass every matcher, in the order of their labels; all of them for no matcher.
    ///
    /// An equality matcher on `__name__` looks only at the series of that metric; without one every series is tried.
    pub fn select<'a>(
        &'a self,
        matchers: &'a [Matcher],
    ) -> impl Iterator<Item = (&'a Labels, &'a Ring)> {
        let name = matchers
            .iter()
            .find(|matcher| matcher.op() == MatchOp::Equal && matcher.name() == METRIC_NAME);
        let passes = |labels: &&Labels| matchers.iter().all(|matcher| matcher.matches(labels));
        let scan = name.is_none().then(|| self.series.iter());
        let scan = scan
            .into_iter()
            .flatten()
            .filter(move |(labels, _)| passes(labels));
        let named = name.and_then(|matcher| self.by_name.get(matcher.value()));
        // Tried before they are looked up: most of a metric's series do not pass.
        let named = named.into_iter().flatten().filter(passes);
        named
            .filter_map(|labels| self.series.get_key_value(labels))
            .chain(scan)
    }

    /// The series with exactly these labels.
    #[must_use]
    pub fn ring(&self, labels: &Labels) -> Option<&Ring> {
        self.series.get(labels)
    }

    /// Says what a metric is, replacing what was said before. The metric needs no series yet, and its description
    /// stays when they expire.
    ///
    /// # Errors
    ///
    /// An invalid name, an overlong unit or help text, or one metric too many.
    pub fn describe(&mut self, metric_name: &str, metadata: Metadata) -> Result<(), DescribeError> {
        if metric_name.len() > LABEL_VALUE_BYTES_MAX || !is_metric_name(metric_name) {
            let name = metric_name.chars().take(LABEL_VALUE_BYTES_MAX).collect();
            return Err(DescribeError::InvalidName { name });
        }
        metadata.check()?;
        let limit = self.limits.metadata_max;
        if self.metadata.len() >= limit && !self.metadata.contains_key(metric_name) {
            return Err(DescribeError::MetadataLimit { limit });
        }
        self.metadata.insert(metric_name.into(), metadata);
        Ok(())
    }

    /// What was said of a metric.
    #[must_use]
    pub fn metadata(&self, metric_name: &str) -> Option<&Metadata> {
        self.metadata.get(metric_name)
    }

    /// Every description, by metric name.
    pub fn descriptions(&self) -> impl ExactSizeIterator<Item = (&str, &Metadata)> {
        self.metadata
            .iter()
            .map(|(name, metadata)| (&**name, metadata))
    }

    /// Drops every sample before `t_ms` (one at `t_ms` stays), and the series left without any. Says how many series
    /// went.
    pub fn drop_before(&mut self, t_ms: i64) -> usize {
        for ring in self.series.values_mut() {
            self.ring_bytes -= ring.byte_size();
            self.sample_count -= ring.drop_before(t_ms);
            self.ring_bytes += ring.byte_size();
        }
        self.retain(|ring| !ring.is_empty())
    }

    /// Removes the series with no sample newer than `older_than_ms`, and says how many. The others keep every sample.
    pub fn expire(&mut self, older_than_ms: i64) -> usize {
        self.retain(|ring| {
            ring.newest()
                .is_some_and(|(newest_ms, _)| newest_ms > older_than_ms)
        })
    }

    fn retain(&mut self, keeps: impl Fn(&Ring) -> bool) -> usize {
        let held = self.series.len();
        let Self {
            series,
            by_name,
            sample_count,
            ring_bytes,
            ..
        } = self;
        series.retain(|labels, ring| {
            let kept = keeps(ring);
            if !kept {
                *sample_count -= ring.len();
                *ring_bytes -= ring.byte_size();
                unlist(by_name, labels);
            }
            kept
        });
        if self.series.is_empty() {
            self.times = TimesPool::default();
        }
        held - self.series.len()
    }

    /// The limits it was made with.
    #[must_use]
    pub const fn limits(&self) -> &StoreLimits {
        &self.limits
    }

    /// How many series it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether it holds no series.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// How many samples it holds, stale markers included.
    #[must_use]
    pub const fn sample_count(&self) -> usize {
        self.sample_count
    }

    /// An estimate of the memory it takes, in bytes. Allocator overhead and the slack of the maps are left out.
    /// It visits the labels of every series, and tells the same on every target.
    #[must_use]
    pub fn byte_size(&self) -> usize {
        let series: usize = self
            .series
            .keys()
            // The map and the index have a handle each; the set behind them is shared.
            .map(|labels| labels.byte_size() + 2 * LABELS_BYTES)
            .sum();
        let names: usize = self.by_name.keys().map(|name| name.len()).sum();
        let metadata: usize = self
            .metadata
            .iter()
            .map(|(name, metadata)| {
                let text = name.len() + metadata.unit.len() + metadata.help.len();
                text + NAME_BYTES + METADATA_BYTES
            })
            .sum();
        let times = self.times.byte_size();
        STORE_BYTES + series + self.ring_bytes + times + names + metadata
    }

    /// How many samples were refused, by reason.
    #[must_use]
    pub const fn refused(&self) -> Refused {
        self.refused
    }
}

/// Of what the store has no more room.
#[derive(Debug, Clone, Copy)]
struct Full {
    samples: bool,
    bytes: bool,
}

/// Pushes; in a full store the ring gives up its oldest points first.
fn push_within(
    ring: &mut Ring,
    full: Full,
    t_ms: i64,
    value: f64,
    times: &mut TimesPool,
) -> Result<(), AppendError> {
    if ring.accepts(t_ms, value)? {
        if full.bytes {
            ring.drop_chunk();
        } else if full.samples {
            ring.drop_oldest();
        }
    }
    ring.push_sharing(t_ms, value, times)
}

fn unlist(by_name: &mut BTreeMap<Box<str>, BTreeSet<Labels>>, labels: &Labels) {
    let name = labels.metric_name().unwrap_or_default();
    if let Some(listed) = by_name.get_mut(name) {
        listed.remove(labels);
        if listed.is_empty() {
            by_name.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::{HELP_BYTES_MAX, MetricKind, UNIT_BYTES_MAX};
    use crate::stale::stale_marker;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied()).unwrap()
    }

    fn metric(name: &str) -> Labels {
        labels(&[("__name__", name)])
    }

    fn small(series_max: usize, samples_max: usize) -> Store {
        let points_per_series_max = 3;
        let metadata_max = 2;
        Store::new(StoreLimits {
            series_max,
            points_per_series_max,
            samples_max,
            metadata_max,
            ..StoreLimits::default()
        })
    }

    fn found(store: &Store, matchers: &[(&str, MatchOp, &str)]) -> Vec<String> {
        let matchers: Vec<Matcher> = matchers
            .iter()
            .map(|&(n, op, v)| Matcher::new(n, op, v).unwrap())
            .collect();
        store
            .select(&matchers)
            .map(|(labels, _)| labels.to_string())
            .collect()
    }

    #[test]
    fn a_new_series_past_the_limit_is_refused_and_counted() {
        let mut store = small(2, 100);
        store.append(&metric("a"), 1, 1.0).unwrap();
        store.append(&metric("b"), 1, 1.0).unwrap();
        let refused = Err(AppendError::SeriesLimit { limit: 2 });
        assert_eq!(store.append(&metric("c"), 1, 1.0), refused);
        assert_eq!(store.append(&metric("a"), 2, 1.0), Ok(()));
        assert_eq!(
            (
                store.len(),
                store.sample_count(),
                store.refused().series_limit
            ),
            (2, 3, 1)
        );
    }

    #[test]
    fn a_full_store_refuses_new_series_and_keeps_old_ones_moving() {
        let mut store = small(10, 3);
        for t_ms in 1..=2 {
            store.append(&metric("a"), t_ms, 1.0).unwrap();
        }
        store.append(&metric("b"), 1, 1.0).unwrap();
        let refused = Err(AppendError::SampleLimit { limit: 3 });
        assert_eq!(store.append(&metric("c"), 3, 1.0), refused);
        store.append(&metric("a"), 3, 1.0).unwrap();
        store.append(&metric("b"), 3, 1.0).unwrap();
        let oldest = |name| store.ring(&metric(name)).unwrap().oldest().unwrap().0;
        assert_eq!((oldest("a"), oldest("b"), store.sample_count()), (2, 3, 3));
    }

    #[test]
    fn a_refused_sample_costs_a_full_store_nothing() {
        let mut store = small(10, 2);
        store.append(&metric("a"), 1, 1.0).unwrap();
        store.append(&metric("a"), 2, 1.0).unwrap();
        assert!(store.append(&metric("a"), 1, 1.0).is_err());
        assert!(store.append(&metric("a"), 2, 9.0).is_err());
        store.append(&metric("a"), 2, 1.0).unwrap();
        assert_eq!(store.sample_count(), 2);
    }

    #[test]
    fn every_refusal_is_counted_by_its_reason() {
        let mut store = small(1, 100);
        store.append(&metric("a"), 10, 1.0).unwrap();
        for (t_ms, value) in [(9, 1.0), (8, 1.0), (10, 2.0), (10, 1.0)] {
            let _ = store.append(&metric("a"), t_ms, value);
        }
        let _ = store.append(&metric("b"), 10, 1.0);
        let counted = Refused {
            out_of_order: 2,
            duplicate: 1,
            series_limit: 1,
            ..Refused::default()
        };
        assert_eq!((store.refused(), store.refused().total()), (counted, 4));
    }

    #[test]
    fn a_selection_is_in_label_order_with_and_without_a_name() {
        let mut store = Store::default();
        for pairs in [
            &[("__name__", "up"), ("job", "b")][..],
            &[("__name__", "up"), ("job", "a")],
            &[("__name__", "load"), ("job", "z")],
            &[("__name__", "up"), ("Zone", "1")],
            &[("job", "nameless")],
        ] {
            store.append(&labels(pairs), 1, 1.0).unwrap();
        }
        let up = found(&store, &[("__name__", MatchOp::Equal, "up")]);
        assert_eq!(up, [r#"up{Zone="1"}"#, r#"up{job="a"}"#, r#"up{job="b"}"#]);
        let all = found(&store, &[]);
        let nameless = r#"{job="nameless"}"#;
        assert_eq!(all, [&up[0], r#"load{job="z"}"#, &up[1], &up[2], nameless]);
        assert_eq!(
            found(&store, &[("__name__", MatchOp::Equal, "")]),
            [nameless]
        );
        assert_eq!(found(&store, &[("job", MatchOp::Regex, "[ab]")]), up[1..]);
    }

    #[test]
    fn expiry_removes_a_series_when_no_sample_is_newer() {
        let mut store = Store::default();
        store.append(&metric("a"), 1, 1.0).unwrap();
        store.append(&metric("a"), 100, stale_marker()).unwrap();
        assert_eq!((store.expire(99), store.sample_count()), (0, 2));
        assert_eq!(
            (store.expire(100), store.sample_count(), store.len()),
            (1, 0, 0)
        );
        assert!(found(&store, &[("__name__", MatchOp::Equal, "a")]).is_empty());
        store.append(&metric("a"), 1, 1.0).unwrap();
        assert_eq!(found(&store, &[("__name__", MatchOp::Equal, "a")]), ["a"]);
    }

    #[test]
    fn dropping_keeps_the_sample_at_the_edge() {
        let mut store = Store::default();
        for t_ms in [10, 20, 30] {
            store.append(&metric("a"), t_ms, 1.0).unwrap();
        }
        assert_eq!((store.drop_before(20), store.sample_count()), (0, 2));
        assert_eq!((store.drop_before(21), store.sample_count()), (0, 1));
        assert_eq!(
            (
                store.drop_before(31),
                store.sample_count(),
                store.is_empty()
            ),
            (1, 0, true)
        );
    }

    #[test]
    fn a_description_is_replaced_and_outlives_its_series() {
        let mut store = small(1, 1);
        let counter = Metadata {
            kind: MetricKind::Counter,
            ..Metadata::default()
        };
        store.describe("a", Metadata::default()).unwrap();
        store.describe("a", counter.clone()).unwrap();
        store.append(&metric("a"), 1, 1.0).unwrap();
        store.expire(1);
        assert_eq!(store.metadata("a"), Some(&counter));
        assert_eq!(store.descriptions().collect::<Vec<_>>(), [("a", &counter)]);
        assert_eq!(store.metadata("b"), None);
    }

    #[test]
    fn descriptions_have_limits_of_their_own() {
        let mut store = small(1, 1);
        let with = |unit: usize, help: usize| Metadata {
            kind: MetricKind::Gauge,
            unit: "u".repeat(unit).into(),
            help: "h".repeat(help).into(),
        };
        assert_eq!(
            store.describe("a", with(UNIT_BYTES_MAX, HELP_BYTES_MAX)),
            Ok(())
        );
        let (unit, help) = (UNIT_BYTES_MAX + 1, HELP_BYTES_MAX + 1);
        let refused = Err(DescribeError::UnitTooLong { bytes: unit });
        assert_eq!(store.describe("b", with(unit, 0)), refused);
        let refused = Err(DescribeError::HelpTooLong { bytes: help });
        assert_eq!(store.describe("b", with(0, help)), refused);
        let refused = Err(DescribeError::InvalidName { name: "b c".into() });
        assert_eq!(store.describe("b c", with(0, 0)), refused);
        assert_eq!(store.describe("b", with(0, 0)), Ok(()));
        let refused = Err(DescribeError::MetadataLimit { limit: 2 });
        assert_eq!(store.describe("c", with(0, 0)), refused);
        assert_eq!(store.describe("a", with(0, 0)), Ok(()));
    }

    #[test]
    fn the_size_grows_with_the_samples_held() {
        let mut store = Store::default();
        let empty = store.byte_size();
        for t_ms in 0..1_000 {
            store.append(&metric("a"), t_ms, 1.0).unwrap();
        }
        let size = store.byte_size();
        // The last 488 of them as they are.
        let grown = size - empty;
        assert!(grown > 488 * 8 && grown < 9_000, "{size}");
        store.expire(1_000);
        assert_eq!(store.byte_size(), empty);
    }

    #[test]
    fn series_that_are_scraped_together_share_their_times() {
        let size = |together: bool| {
            let mut store = Store::default();
            for nth in 0..600_i64 {
                for (series, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
                    let apart = if together { 0 } else { series as i64 };
                    // Irregular, so that the times take more than a few bytes.
                    let t_ms = nth * 1_000 + nth * nth % 97 * 5 + apart;
                    store.append(&metric(name), t_ms, nth as f64).unwrap();
                }
            }
            store.byte_size()
        };
        assert!(size(true) + 3 * 512 / 2 < size(false));
    }

    #[test]
    fn a_store_full_of_bytes_makes_room_by_whole_chunks_and_refuses_new_series() {
        let bytes_max = 20_000;
        let mut store = Store::new(StoreLimits {
            bytes_max,
            ..StoreLimits::default()
        });
        let noise = |nth: i64| {
            let bits = (nth as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let bits = (bits ^ bits >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            f64::from_bits(0x4000_0000_0000_0000 | bits >> 12)
        };
        for t_ms in 0..6_000 {
            store.append(&metric("a"), t_ms, noise(t_ms)).unwrap();
            let taken = store.ring(&metric("a")).unwrap().byte_size();
            assert!(taken < bytes_max + 5_000, "{taken}");
        }
        let ring = store.ring(&metric("a")).unwrap();
        assert_eq!(
            (ring.len(), ring.newest().unwrap().0),
            (store.sample_count(), 5_999)
        );
        assert!((1_000..3_000).contains(&ring.len()), "{}", ring.len());
        assert!(
            ring.points()
                .all(|(t_ms, value)| value.to_bits() == noise(t_ms).to_bits())
        );
        for t_ms in 6_000.. {
            if store.ring(&metric("a")).unwrap().byte_size() >= bytes_max {
                break;
            }
            store.append(&metric("a"), t_ms, noise(t_ms)).unwrap();
        }
        let refused = Err(AppendError::ByteLimit { limit: bytes_max });
        assert_eq!(store.append(&metric("b"), 1, 1.0), refused);
        assert_eq!(store.refused().byte_limit, 1);
    }

    #[test]
    fn what_is_older_than_the_age_goes_by_itself() {
        let mut store = Store::new(StoreLimits {
            age_max_ms: 1_000,
            ..StoreLimits::default()
        });
        for t_ms in [0, 500, 1_000, 1_500] {
            store.append(&metric("a"), t_ms, 1.0).unwrap();
        }
        let oldest = store.ring(&metric("a")).unwrap().oldest();
        assert_eq!((oldest, store.sample_count()), (Some((500, 1.0)), 3));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Append(Labels, i64),
        Expire(i64),
        DropBefore(i64),
    }

    fn some_labels() -> impl Strategy<Value = Labels> {
        ("[ab]?", "[xy]?", "[xy]?").prop_map(|(name, low, high)| {
            labels(&[("__name__", &name), ("Low", &low), ("high", &high)])
        })
    }

    fn some_matcher() -> impl Strategy<Value = Matcher> {
        use MatchOp::{Equal, NotEqual, NotRegex, Regex};
        let name = prop::sample::select(&["__name__", "Low", "high", "none"][..]);
        let op = prop::sample::select(&[Equal, NotEqual, Regex, NotRegex][..]);
        let value = prop::sample::select(&["", "a", "x", "a|x", ".+", ".*"][..]);
        (name, op, value).prop_map(|(name, op, value)| Matcher::new(name, op, value).unwrap())
    }

    fn some_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => (some_labels(), 0_i64..40).prop_map(|(labels, t_ms)| Step::Append(labels, t_ms)),
            1 => (0_i64..40).prop_map(Step::Expire),
            1 => (0_i64..40).prop_map(Step::DropBefore),
        ]
    }

    /// The store's rules once more, over a plain list in which series come in any order.
    fn naive(list: &mut Vec<(Labels, Vec<i64>)>, step: &Step, series_max: usize) {
        match step {
            Step::Append(labels, t_ms) => {
                let full = list.len() >= series_max;
                match list.iter_mut().find(|(own, _)| own == labels) {
                    Some((_, times)) if times.last() < Some(t_ms) => times.push(*t_ms),
                    None if !full => {
                        list.push((labels.clone(), alloc::vec![*t_ms]));
                    }
                    Some(_) | None => {}
                }
                list.iter_mut()
                    .filter(|(_, times)| times.len() > 3)
                    .for_each(|(_, times)| {
                        times.remove(0);
                    });
            }
            Step::Expire(t_ms) => list.retain(|(_, times)| times.last() > Some(t_ms)),
            Step::DropBefore(t_ms) => {
                list.iter_mut()
                    .for_each(|(_, times)| times.retain(|own| own >= t_ms));
                list.retain(|(_, times)| !times.is_empty());
            }
        }
    }

    proptest! {
        #[test]
        fn a_selection_is_a_filter_over_everything(
            steps in prop::collection::vec(some_step(), 0..60),
            matchers in prop::collection::vec(some_matcher(), 0..3),
        ) {
            let (mut store, mut list) = (small(9, 1_000), Vec::new());
            for step in &steps {
                match step {
                    Step::Append(labels, t_ms) => drop(store.append(labels, *t_ms, 1.0)),
                    Step::Expire(t_ms) => drop(store.expire(*t_ms)),
                    Step::DropBefore(t_ms) => drop(store.drop_before(*t_ms)),
                }
                naive(&mut list, step, 9);
            }
            list.sort();
            let samples: usize = list.iter().map(|(_, times)| times.len()).sum();
            prop_assert_eq!((store.len(), store.sample_count()), (list.len(), samples));
            list.retain(|(labels, _)| matchers.iter().all(|matcher| matcher.matches(labels)));
            let selected: Vec<(Labels, Vec<i64>)> = store
                .select(&matchers)
                .map(|(labels, ring)| (labels.clone(), ring.points().map(|(t, _)| t).collect()))
                .collect();
            prop_assert_eq!(selected, list);
        }

        #[test]
        fn a_full_store_never_holds_more_than_its_limit(
            appends in prop::collection::vec((some_labels(), 0_i64..40), 0..60),
            samples_max in 0_usize..6,
        ) {
            let mut store = small(5, samples_max);
            for (labels, t_ms) in appends {
                let _ = store.append(&labels, t_ms, 1.0);
                let held: usize = store.select(&[]).map(|(_, ring)| ring.len()).sum();
                prop_assert_eq!(store.sample_count(), held);
                prop_assert!(held <= samples_max);
            }
        }
    }
}
