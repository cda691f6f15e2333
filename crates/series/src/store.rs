//! The store: every series held here, found by matchers, bounded in series and samples.
//!
//! The invariant: no series is empty; both indexes list exactly the series held, at their places; a metric is there
//! exactly while it is described or has series; and the sample count is the sum over the rings.
//!
//! A store is one tenant's: who keeps several tenants apart has a store for each, with limits of its own.

mod handle;
mod metric;
mod nearing;
#[cfg(test)]
mod tests;
mod texts;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use self::metric::Metric;
use self::nearing::Warnings;
use self::texts::Texts;
use crate::chunk::{CHUNK_POINTS, TimesPool};
use crate::error::{AppendError, DescribeError};
use crate::labels::{LABEL_VALUE_BYTES_MAX, Labels, METRIC_NAME, is_metric_name};
use crate::limits::{MetricRule, Refused, StoreLimits};
use crate::matcher::{MatchOp, Matcher};
use crate::metadata::Metadata;
use crate::ring::Ring;
use crate::stale::{is_stale, stale_marker};

pub use self::handle::SeriesHandle;
pub use self::nearing::{Limit, Nearing};

// What these take on a 64-bit machine. Sizes are told as there, so that the same series weigh the
// same on every target.
const STORE_BYTES: usize = 392;
const LABELS_BYTES: usize = 16;
const METRIC_BYTES: usize = 184;
#[cfg(target_pointer_width = "64")]
const _: () = assert!(
    size_of::<Store>() == STORE_BYTES
        && size_of::<Labels>() == LABELS_BYTES
        && size_of::<(Arc<str>, Metric)>() == METRIC_BYTES
);

/// By how much the memory for series grows: by an eighth of what there is, and this at least.
const GROWTH_MIN: usize = 16;

/// How many intervals a series may miss before it has ended: so many scrapes in a row fail when a target restarts, and
/// no more. Five minutes at an interval of a minute, as long as Prometheus looks back.
const MISSED_MAX: u64 = 5;

/// In how many groups series seal. What is scraped together would seal together otherwise: a burst of work, and before
/// it twice the memory that is not sealed.
const GROUPS: usize = 32;

/// After how many points the nth series seals first.
const fn first_chunk(nth: usize) -> usize {
    (nth % GROUPS + 1) * (CHUNK_POINTS / GROUPS)
}

/// Series by label set, and what is known of metrics by their names.
///
/// It never looks at a clock: whoever owns it refuses times it does not believe, and calls
/// [`end_overdue`](Self::end_overdue) and [`expire`](Self::expire) now and then.
///
/// A series that no longer arrives first ends, then expires:
///
/// - it **ends** with a stale marker: one that its source appends when it says that the series is gone, or one that
///   [`end_overdue`](Self::end_overdue) appends when more than five of its expected intervals went by without a
///   sample. What was held stays, queries no longer see the series at later instants, and a newer sample begins it
///   again. Where no interval is known, only the look-back of a query ends it;
/// - it **expires** when its newest sample is as old as the caller says, or as its metric's rule lets points be: then
///   it goes with every sample, and nothing is left to mark.
#[derive(Debug, Clone, Default)]
pub struct Store {
    limits: StoreLimits,
    rules: Vec<MetricRule>,
    /// The places of all series, in the order of their labels.
    series: BTreeMap<Labels, u32>,
    places: Vec<Option<Series>>,
    /// Places that are free, the next one to fill last.
    free: Vec<u32>,
    /// Series without a metric name are under the empty one.
    metrics: BTreeMap<Arc<str>, Metric>,
    texts: Texts,
    /// How many metrics are described.
    described: usize,
    sample_count: usize,
    /// What the rings take.
    ring_bytes: usize,
    times: TimesPool,
    refused: Refused,
    warnings: Warnings,
    near: Near,
}

#[derive(Debug, Clone)]
struct Series {
    labels: Labels,
    ring: Ring,
}

/// Of which limits of the whole it was told that they are near.
#[derive(Debug, Clone, Copy, Default)]
struct Near {
    series: bool,
    samples: bool,
    bytes: bool,
}

/// How full what is held of one metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetricFill<'a> {
    /// Its name, empty for series without one.
    pub name: &'a str,
    /// What was said of it.
    pub metadata: Option<&'a Metadata>,
    /// How often its series are expected, in milliseconds, where that is known.
    pub interval_ms: Option<u64>,
    /// How many series it has.
    pub series: usize,
    /// How many it may have.
    pub series_max: usize,
    /// How many points they have.
    pub points: usize,
    /// How many points each of them may have.
    pub points_per_series_max: usize,
    /// What their rings take, in bytes.
    pub bytes: usize,
    /// How many samples of new series were refused because it had too many series, or values of a label.
    pub refused: u64,
}

impl Store {
    /// An empty store within these limits.
    #[must_use]
    pub fn new(limits: StoreLimits) -> Self {
        Self::with_rules(limits, Vec::new())
    }

    /// An empty store within these limits, but for the metrics that the rules are about: of several about one metric
    /// the first counts.
    #[must_use]
    pub fn with_rules(limits: StoreLimits, rules: Vec<MetricRule>) -> Self {
        Self {
            limits,
            rules,
            ..Self::default()
        }
    }

    /// Adds one sample, in Unix milliseconds, and its series if that is new. Times follow the rule of [`Ring::push`].
    ///
    /// # Errors
    ///
    /// As [`Ring::push`]; the other variants of [`AppendError`] for a new series past a limit. Each refusal is counted
    /// under [`refused`](Self::refused).
    pub fn append(&mut self, labels: &Labels, t_ms: i64, value: f64) -> Result<(), AppendError> {
        match self.series.get(labels) {
            Some(&place) => self.push(place, t_ms, value),
            None => self.append_new(labels, t_ms, value).map(|_| ()),
        }
    }

    /// As [`append`](Self::append) to the series of a handle, which learns where that is: a handle that is kept pays
    /// for no look-up.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    pub fn append_by(
        &mut self,
        handle: &mut SeriesHandle,
        t_ms: i64,
        value: f64,
    ) -> Result<(), AppendError> {
        if self.is_at(handle) {
            return self.push(handle.place, t_ms, value);
        }
        if let Some((labels, &place)) = self.series.get_key_value(&handle.labels) {
            (handle.labels, handle.place) = (labels.clone(), place);
            return self.push(place, t_ms, value);
        }
        handle.place = self.append_new(&handle.labels, t_ms, value)?;
        if let Some(series) = self.at(handle.place) {
            handle.labels = series.labels.clone();
        }
        Ok(())
    }

    fn is_at(&self, handle: &SeriesHandle) -> bool {
        self.at(handle.place)
            .is_some_and(|series| series.labels.is(&handle.labels))
    }

    fn at(&self, place: u32) -> Option<&Series> {
        self.places.get(place as usize)?.as_ref()
    }

    fn push(&mut self, place: u32, t_ms: i64, value: f64) -> Result<(), AppendError> {
        let Some(Some(series)) = self.places.get_mut(place as usize) else {
            unreachable!("both indexes list places of series that are held")
        };
        let ring = &mut series.ring;
        let (held, bytes) = (ring.len(), ring.byte_size());
        let full = Full {
            samples: self.sample_count >= self.limits.samples_max,
            bytes: self.ring_bytes >= self.limits.bytes_max,
        };
        let pushed = push_within(ring, full, t_ms, value, &mut self.times);
        let (len, size) = (ring.len(), ring.byte_size());
        self.sample_count = self.sample_count - held + len;
        self.ring_bytes = self.ring_bytes - bytes + size;
        if len != held || size != bytes {
            self.look();
        }
        pushed.inspect_err(|error| self.refused.count(error))
    }

    /// Adds a new series and says its place.
    fn append_new(&mut self, labels: &Labels, t_ms: i64, value: f64) -> Result<u32, AppendError> {
        let name = metric_name(labels);
        if let Err(error) = self.admits(&name, labels) {
            if let Some(metric) = self.metrics.get_mut(&name) {
                metric.refused += 1;
            }
            self.refused.count(&error);
            return Err(error);
        }
        let labels = self.texts.share(labels);
        let name = metric_name(&labels);
        let (limits, rules) = (&self.limits, &self.rules);
        let metric = self
            .metrics
            .entry(name.clone())
            .or_insert_with(|| Metric::new(&name, limits, rules));
        let bounds = metric.bounds;
        let mut ring = Ring::new(bounds.points_max)
            .with_age_max_ms(bounds.age_max_ms)
            .with_first_chunk(first_chunk(self.series.len()));
        ring.push_sharing(t_ms, value, &mut self.times)?;
        self.ring_bytes += ring.byte_size();
        self.sample_count += 1;
        let place = self.free.pop().unwrap_or(self.places.len() as u32);
        metric.insert(&name, &labels, place, &mut self.warnings);
        self.series.insert(labels.clone(), place);
        self.put(place, Series { labels, ring });
        self.look();
        Ok(place)
    }

    /// Whether there is room for a new series: what is closest to its cause is told first.
    fn admits(&self, name: &Arc<str>, labels: &Labels) -> Result<(), AppendError> {
        let limits = &self.limits;
        if labels.len() > limits.labels_per_series_max {
            return Err(AppendError::LabelsPerSeriesLimit {
                metric: name.clone(),
                labels: labels.len(),
                limit: limits.labels_per_series_max,
            });
        }
        match self.metrics.get(name) {
            Some(metric) => metric.admits(name, labels)?,
            None => Metric::new(name, limits, &self.rules).admits(name, labels)?,
        }
        if self.series.len() >= limits.series_max {
            let limit = limits.series_max;
            return Err(AppendError::SeriesLimit { limit });
        }
        if self.sample_count >= limits.samples_max {
            let limit = limits.samples_max;
            return Err(AppendError::SampleLimit { limit });
        }
        if self.ring_bytes >= limits.bytes_max {
            let limit = limits.bytes_max;
            return Err(AppendError::ByteLimit { limit });
        }
        Ok(())
    }

    fn put(&mut self, place: u32, series: Series) {
        let series = Some(series);
        match self.places.get_mut(place as usize) {
            Some(free) => *free = series,
            None => {
                if self.places.len() == self.places.capacity() {
                    let more = self.places.len() / 8 + GROWTH_MIN;
                    self.places.reserve_exact(more);
                }
                self.places.push(series);
            }
        }
    }

    /// Looks whether limits of the whole come near, or are no longer near.
    fn look(&mut self) {
        let StoreLimits {
            series_max,
            samples_max,
            bytes_max,
            ..
        } = self.limits;
        let (warnings, near) = (&mut self.warnings, &mut self.near);
        let series = self.series.len();
        warnings.look(&mut near.series, series, series_max, || Limit::Series);
        let samples = self.sample_count;
        warnings.look(&mut near.samples, samples, samples_max, || Limit::Samples);
        let bytes = self.ring_bytes;
        warnings.look(&mut near.bytes, bytes, bytes_max, || Limit::Bytes);
    }

    /// The limits that have come near since this was called last.
    pub fn take_nearing(&mut self) -> Vec<Nearing> {
        self.warnings.take()
    }

    /// The series that pass every matcher, in the order of their labels; all of them for no matcher.
    ///
    /// An equality matcher on `__name__` looks only at the series of that metric; without one every series is tried.
    pub fn select<'a, 'm>(
        &'a self,
        matchers: &'m [Matcher],
    ) -> impl Iterator<Item = (&'a Labels, &'a Ring)> + use<'a, 'm> {
        let name = matchers
            .iter()
            .find(|matcher| matcher.op() == MatchOp::Equal && matcher.name() == METRIC_NAME);
        let scan = name.is_none().then_some(&self.series);
        let metric = name.and_then(|matcher| self.metrics.get(matcher.value()));
        let named = metric.map(|metric| &metric.series);
        scan.or(named)
            .into_iter()
            .flatten()
            // Tried before they are looked up: most of a metric's series do not pass.
            .filter(move |(labels, _)| matchers.iter().all(|matcher| matcher.matches(labels)))
            .filter_map(move |(labels, &place)| Some((labels, &self.at(place)?.ring)))
    }

    /// The series with exactly these labels.
    #[must_use]
    pub fn ring(&self, labels: &Labels) -> Option<&Ring> {
        Some(&self.at(*self.series.get(labels)?)?.ring)
    }

    /// Says what a metric is, replacing what was said before. The metric needs no series yet, and its description
    /// stays when they expire.
    ///
    /// # Errors
    ///
    /// An invalid name, an overlong unit or help text, or one metric too many.
    pub fn describe(&mut self, metric_name: &str, metadata: Metadata) -> Result<(), DescribeError> {
        metadata.check()?;
        self.registered(metric_name)?.metadata = Some(metadata);
        Ok(())
    }

    /// Says how often, in milliseconds, every series of a metric is expected; `None` or 0 for not known. The metric
    /// counts as described from then on, as of unknown kind if nothing was said of it.
    ///
    /// # Errors
    ///
    /// An invalid name, or one metric too many.
    pub fn expect_every(
        &mut self,
        metric_name: &str,
        interval_ms: Option<u64>,
    ) -> Result<(), DescribeError> {
        self.registered(metric_name)?.interval_ms = interval_ms;
        Ok(())
    }

    /// The metric of this name, described as before or as of unknown kind.
    fn registered(&mut self, metric_name: &str) -> Result<&mut Metric, DescribeError> {
        if metric_name.len() > LABEL_VALUE_BYTES_MAX || !is_metric_name(metric_name) {
            let name = metric_name.chars().take(LABEL_VALUE_BYTES_MAX).collect();
            return Err(DescribeError::InvalidName { name });
        }
        let is_new = self.metadata(metric_name).is_none();
        let limit = self.limits.metadata_max;
        if is_new && self.described >= limit {
            return Err(DescribeError::MetadataLimit { limit });
        }
        self.described += usize::from(is_new);
        let (limits, rules) = (&self.limits, &self.rules);
        let metric = self
            .metrics
            .entry(metric_name.into())
            .or_insert_with(|| Metric::new(metric_name, limits, rules));
        metric.metadata.get_or_insert_default();
        Ok(metric)
    }

    /// What was said of a metric.
    #[must_use]
    pub fn metadata(&self, metric_name: &str) -> Option<&Metadata> {
        self.metrics.get(metric_name)?.metadata.as_ref()
    }

    /// Every description, by metric name.
    pub fn descriptions(&self) -> impl Iterator<Item = (&str, &Metadata)> {
        self.metrics
            .iter()
            .filter_map(|(name, metric)| Some((&**name, metric.metadata.as_ref()?)))
    }

    /// How often, in milliseconds, each series of a metric is expected, where a rule or
    /// [`expect_every`](Self::expect_every) says so.
    #[must_use]
    pub fn interval_ms(&self, metric_name: &str) -> Option<u64> {
        self.metrics.get(metric_name)?.interval_ms()
    }

    /// Every metric that is described or has series, by name, and how full it is. It visits every series.
    pub fn metrics(&self) -> impl Iterator<Item = MetricFill<'_>> {
        self.metrics.iter().map(|(name, metric)| {
            let places = metric.series.values();
            let rings = places.filter_map(|&place| Some(&self.at(place)?.ring));
            let (points, bytes) = rings.fold((0, 0), |(points, bytes), ring| {
                (points + ring.len(), bytes + ring.byte_size())
            });
            MetricFill {
                name,
                metadata: metric.metadata.as_ref(),
                interval_ms: metric.interval_ms(),
                series: metric.series.len(),
                series_max: metric.bounds.series_max,
                points,
                points_per_series_max: metric.bounds.points_max,
                bytes,
                refused: metric.refused,
            }
        })
    }

    /// Drops every sample before `t_ms` (one at `t_ms` stays), and the series left without any. Says how many series
    /// went.
    pub fn drop_before(&mut self, t_ms: i64) -> usize {
        for series in self.places.iter_mut().flatten() {
            let ring = &mut series.ring;
            self.ring_bytes -= ring.byte_size();
            self.sample_count -= ring.drop_before(t_ms);
            self.ring_bytes += ring.byte_size();
        }
        self.retain(|_, ring| !ring.is_empty())
    }

    /// Removes the series whose newest sample is `after_ms` old at `now_ms` or older, or as old as the rule of its
    /// metric, or the limit of all, lets points be; says how many. The others keep every sample.
    pub fn expire(&mut self, now_ms: i64, after_ms: u64) -> usize {
        self.retain(|metric, ring| {
            let after_ms = after_ms.min(metric.bounds.age_max_ms);
            ring.newest().is_some_and(|(newest_ms, _)| {
                newest_ms > now_ms || now_ms.abs_diff(newest_ms) < after_ms
            })
        })
    }

    /// Ends the series that have missed more than five of their expected intervals at `now_ms`, and says which: each
    /// gets a stale marker at the time at which its next sample was due, which stands beside it. Samples that come late,
    /// up to that time, are refused from then on. Series that have ended, and those of which no interval is known, stay
    /// as they are.
    pub fn end_overdue(&mut self, now_ms: i64) -> Vec<(Labels, i64)> {
        let overdue = |metric: &Metric, &place: &u32| {
            let interval_ms = metric.interval_ms()?;
            let (newest_ms, value) = self.at(place)?.ring.newest()?;
            let is_overdue = newest_ms < now_ms
                && now_ms.abs_diff(newest_ms) > interval_ms.saturating_mul(MISSED_MAX);
            let due_ms = newest_ms.checked_add_unsigned(interval_ms)?;
            (is_overdue && !is_stale(value)).then_some((place, due_ms))
        };
        let all = self.metrics.values();
        let ended = all.flat_map(|metric| {
            let places = metric.series.values();
            places.filter_map(move |place| overdue(metric, place))
        });
        let ended: Vec<(u32, i64)> = ended.collect();
        let ended = ended.into_iter().filter_map(|(place, due_ms)| {
            // It is newer than the newest, so nothing refuses it.
            self.push(place, due_ms, stale_marker()).ok()?;
            Some((self.at(place)?.labels.clone(), due_ms))
        });
        ended.collect()
    }

    fn retain(&mut self, keeps: impl Fn(&Metric, &Ring) -> bool) -> usize {
        let mut gone = Vec::new();
        for metric in self.metrics.values() {
            for (labels, &place) in &metric.series {
                if self
                    .at(place)
                    .is_some_and(|series| !keeps(metric, &series.ring))
                {
                    gone.push((labels.clone(), place));
                }
            }
        }
        for (labels, place) in &gone {
            self.remove(labels, *place);
        }
        if self.series.is_empty() {
            self.times = TimesPool::default();
            self.places = Vec::new();
            self.free = Vec::new();
        }
        self.look();
        gone.len()
    }

    fn remove(&mut self, labels: &Labels, place: u32) {
        if let Some(series) = self.places[place as usize].take() {
            self.sample_count -= series.ring.len();
            self.ring_bytes -= series.ring.byte_size();
        }
        self.free.push(place);
        self.series.remove(labels);
        self.texts.release(labels);
        let name = metric_name(labels);
        if let Some(metric) = self.metrics.get_mut(&name) {
            metric.remove(&name, labels, &mut self.warnings);
            if metric.series.is_empty() && !metric.is_described() {
                self.metrics.remove(&name);
            }
        }
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

    /// What the rings of all series take, in bytes: what [`StoreLimits::bytes_max`] bounds.
    #[must_use]
    pub const fn sample_bytes(&self) -> usize {
        self.ring_bytes
    }

    /// An estimate of the memory it takes, in bytes. Allocator overhead and the slack of the tables are left out.
    /// It visits the labels of every series, and tells the same on every target.
    #[must_use]
    pub fn byte_size(&self) -> usize {
        let series: usize = self
            .series
            .keys()
            // The place and each index have a handle; the set behind them is shared.
            .map(|labels| labels.pairs_byte_size() + 3 * LABELS_BYTES)
            .sum();
        let metrics: usize = self
            .metrics
            .iter()
            .map(|(name, metric)| METRIC_BYTES + name.len() + metric.byte_size())
            .sum();
        let (times, texts) = (self.times.byte_size(), self.texts.byte_size());
        STORE_BYTES + series + self.ring_bytes + times + metrics + texts
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

/// The name of its metric, empty where it has none.
fn metric_name(labels: &Labels) -> Arc<str> {
    let mut texts = labels.texts();
    let name = texts.find(|(name, _)| ***name == *METRIC_NAME);
    name.map_or_else(Arc::default, |(_, value)| value.clone())
}
