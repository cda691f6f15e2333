//! The store: every series held here, found by matchers, bounded in series and samples.
//!
//! The invariant: no series is empty, the index by metric name lists exactly the series held, and the sample count is
//! the sum over the rings.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};

use crate::error::{AppendError, DescribeError};
use crate::labels::{LABEL_VALUE_BYTES_MAX, Labels, METRIC_NAME, is_metric_name};
use crate::matcher::{MatchOp, Matcher};
use crate::metadata::Metadata;
use crate::ring::{POINTS_PER_SERIES_MAX, Ring};

/// How many series a store holds unless told otherwise. A node of 128 cores has some 3,000.
pub const SERIES_MAX: usize = 20_000;

/// How many samples a store holds unless told otherwise: 64 MiB of them, what the answer cache may take too.
pub const SAMPLES_MAX: usize = 64 * 1_024 * 1_024 / size_of::<(i64, f64)>();

/// How many metrics may be described unless told otherwise. Described ones outlive their series.
pub const METADATA_MAX: usize = 5_000;

/// The bounds of a store. Zeros are allowed and refuse everything they count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreLimits {
    /// How many series; one more is refused.
    pub series_max: usize,
    /// How many points per series; one more drives out the oldest. 0 is taken as 1.
    pub points_per_series_max: usize,
    /// How many samples in all. At the limit a series makes room from its own oldest points, and a new series is
    /// refused.
    pub samples_max: usize,
    /// How many metrics may be described; one more is refused.
    pub metadata_max: usize,
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            series_max: SERIES_MAX,
            points_per_series_max: POINTS_PER_SERIES_MAX,
            samples_max: SAMPLES_MAX,
            metadata_max: METADATA_MAX,
        }
    }
}

/// How many samples were refused, by reason, since the store was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Refused {
    /// Older than the newest of their series.
    pub out_of_order: u64,
    /// At a time that has another value.
    pub duplicate: u64,
    /// Of a series too many.
    pub series_limit: u64,
    /// Of a new series when the store was full of samples.
    pub sample_limit: u64,
}

impl Refused {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.out_of_order
            .saturating_add(self.duplicate)
            .saturating_add(self.series_limit)
            .saturating_add(self.sample_limit)
    }

    fn count(&mut self, error: AppendError) {
        let counter = match error {
            AppendError::OutOfOrder { .. } => &mut self.out_of_order,
            AppendError::Duplicate { .. } => &mut self.duplicate,
            AppendError::SeriesLimit { .. } => &mut self.series_limit,
            AppendError::SampleLimit { .. } => &mut self.sample_limit,
        };
        *counter = counter.saturating_add(1);
    }
}

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
                let full = self.sample_count >= self.limits.samples_max;
                let held = ring.len();
                let pushed = push_within(ring, full, t_ms, value);
                self.sample_count = self.sample_count - held + ring.len();
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
            ..
        } = self.limits;
        if self.series.len() >= series_max {
            return Err(AppendError::SeriesLimit { limit: series_max });
        }
        if self.sample_count >= samples_max {
            return Err(AppendError::SampleLimit { limit: samples_max });
        }
        let mut ring = Ring::new(points_per_series_max);
        ring.push(t_ms, value)?;
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
        let scan = name.is_none().then(|| self.series.iter());
        let named = name.and_then(|matcher| self.by_name.get(matcher.value()));
        named
            .into_iter()
            .flatten()
            .filter_map(|labels| self.series.get_key_value(labels))
            .chain(scan.into_iter().flatten())
            .filter(|(labels, _)| matchers.iter().all(|matcher| matcher.matches(labels)))
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
            self.sample_count -= ring.drop_before(t_ms);
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
            ..
        } = self;
        series.retain(|labels, ring| {
            let kept = keeps(ring);
            if !kept {
                *sample_count -= ring.len();
                unlist(by_name, labels);
            }
            kept
        });
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
    /// It visits every series.
    #[must_use]
    pub fn byte_size(&self) -> usize {
        let series: usize = self
            .series
            .iter()
            // The map and the index have a handle each; the set behind them is shared.
            .map(|(labels, ring)| labels.byte_size() + ring.byte_size() + 2 * size_of::<Labels>())
            .sum();
        let names: usize = self.by_name.keys().map(|name| name.len()).sum();
        let metadata: usize = self
            .metadata
            .iter()
            .map(|(name, metadata)| {
                let text = name.len() + metadata.unit.len() + metadata.help.len();
                text + size_of::<Box<str>>() + size_of::<Metadata>()
            })
            .sum();
        size_of::<Self>() + series + names + metadata
    }

    /// How many samples were refused, by reason.
    #[must_use]
    pub const fn refused(&self) -> Refused {
        self.refused
    }
}

/// Pushes; in a full store the ring gives up its oldest point first.
fn push_within(ring: &mut Ring, full: bool, t_ms: i64, value: f64) -> Result<(), AppendError> {
    if full && ring.accepts(t_ms, value)? {
        ring.drop_oldest();
    }
    ring.push(t_ms, value)
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
