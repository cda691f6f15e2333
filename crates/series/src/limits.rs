//! The bounds of a store, and the count of what they and the rule for times refused.

use crate::error::{AppendError, MatcherError};
use crate::labels::{LABELS_PER_SERIES_MAX, METRIC_NAME};
use crate::matcher::{MatchOp, Matcher};
use crate::ring::POINTS_PER_SERIES_MAX;

/// How many series a store holds unless told otherwise. A node of 128 cores has some 3,000.
pub const SERIES_MAX: usize = 20_000;

/// How many series one metric has unless told otherwise: four nodes of 128 cores, each core in eight modes, and so few
/// that a metric that runs wild leaves room for the others.
pub const SERIES_PER_METRIC_MAX: usize = 5_000;

/// How many values one label of one metric has unless told otherwise. Pods and cores stay below; ids of users and
/// requests do not.
pub const VALUES_PER_LABEL_MAX: usize = 2_000;

/// How many bytes the samples of a store take unless told otherwise: what the answer cache may take too.
pub const SAMPLE_BYTES_MAX: usize = 64 * 1_024 * 1_024;

/// How many samples a store holds unless told otherwise: as many as take that much at two bytes each. Steady ones take
/// less, and would let the time of a query over all of them grow with no bound.
pub const SAMPLES_MAX: usize = SAMPLE_BYTES_MAX / 2;

/// How many metrics may be described unless told otherwise. Described ones outlive their series.
pub const METADATA_MAX: usize = 5_000;

/// The bounds of a store. Zeros are allowed and refuse everything they count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreLimits {
    /// How many series; one more is refused.
    pub series_max: usize,
    /// How many series of one metric; one more is refused.
    pub series_per_metric_max: usize,
    /// How many labels a series may have, its name included; one with more is refused.
    pub labels_per_series_max: usize,
    /// How many values one label of one metric may have, of the series held; a series with one more is refused. The
    /// name is no label here.
    pub values_per_label_max: usize,
    /// How many points per series; one more drives out the oldest. 0 is taken as 1.
    pub points_per_series_max: usize,
    /// How many samples in all. At the limit a series makes room from its own oldest points, and a new series is
    /// refused.
    pub samples_max: usize,
    /// How many bytes the rings of all series may take. At the limit a series makes room by its oldest chunk, or by its
    /// oldest point if it has none; and a new series is refused. What one sample adds may go past it.
    pub bytes_max: usize,
    /// How much older than the newest point of its series a point may be, in milliseconds. What is older goes at the
    /// next sample of the series, by whole chunks; `u64::MAX` keeps points of any age.
    pub age_max_ms: u64,
    /// How many metrics may be described; one more is refused.
    pub metadata_max: usize,
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            series_max: SERIES_MAX,
            series_per_metric_max: SERIES_PER_METRIC_MAX,
            labels_per_series_max: LABELS_PER_SERIES_MAX,
            values_per_label_max: VALUES_PER_LABEL_MAX,
            points_per_series_max: POINTS_PER_SERIES_MAX,
            samples_max: SAMPLES_MAX,
            bytes_max: SAMPLE_BYTES_MAX,
            age_max_ms: u64::MAX,
            metadata_max: METADATA_MAX,
        }
    }
}

/// Bounds of some metrics, in place of those of the store. `None` leaves a bound as it is.
///
/// ```
/// use tidegate_series::{MetricRule, Store, StoreLimits};
///
/// let hours = |hours: u64| Some(hours * 3_600_000);
/// let cpu = MetricRule { age_max_ms: hours(1), ..MetricRule::new("node_cpu_.*")? };
/// let store = Store::with_rules(StoreLimits::default(), vec![cpu]);
/// # Ok::<(), tidegate_series::MatcherError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricRule {
    /// What the name of a metric has to match.
    pub metric: Matcher,
    /// How many points each series keeps. 0 is taken as 1.
    pub points_max: Option<usize>,
    /// How old, in milliseconds, a point may be.
    pub age_max_ms: Option<u64>,
    /// How many series.
    pub series_max: Option<usize>,
    /// How many values each label may have.
    pub values_per_label_max: Option<usize>,
    /// How often, in milliseconds, each series is expected, whatever was said when the metric was registered. 0 is
    /// taken as unknown.
    pub interval_ms: Option<u64>,
}

impl MetricRule {
    /// A rule that changes nothing yet, for the metrics whose whole name matches this pattern, as it stands after
    /// `=~`. A name is a pattern that matches itself.
    ///
    /// # Errors
    ///
    /// A pattern that is too long, too large once compiled, or no regular expression.
    pub fn new(metric: &str) -> Result<Self, MatcherError> {
        Ok(Self {
            metric: Matcher::new(METRIC_NAME, MatchOp::Regex, metric)?,
            points_max: None,
            age_max_ms: None,
            series_max: None,
            values_per_label_max: None,
            interval_ms: None,
        })
    }

    /// Whether it is about the metric of this name.
    #[must_use]
    pub fn matches(&self, metric_name: &str) -> bool {
        self.metric.matches_value(metric_name)
    }
}

/// From how much of a limit on a store warns: from four fifths, so that there is time to act, and a limit that is
/// well chosen stays silent. It warns once, until there is less again.
pub(crate) const fn is_near(held: usize, limit: usize) -> bool {
    held > 0 && held >= limit - limit / 5
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
    /// Of a series too many of its metric.
    pub series_per_metric_limit: u64,
    /// Of a new series with too many labels.
    pub labels_per_series_limit: u64,
    /// Of a new series with a value too many of one label.
    pub values_per_label_limit: u64,
    /// Of a new series when the store was full of samples.
    pub sample_limit: u64,
    /// Of a new series when the store was full of bytes.
    pub byte_limit: u64,
}

impl Refused {
    /// Each reason by its word, as [`AppendError::reason`] has it, with its count.
    #[must_use]
    pub const fn by_reason(&self) -> [(&'static str, u64); 8] {
        [
            ("out-of-order", self.out_of_order),
            ("duplicate", self.duplicate),
            ("series-limit", self.series_limit),
            ("series-per-metric-limit", self.series_per_metric_limit),
            ("labels-per-series-limit", self.labels_per_series_limit),
            ("values-per-label-limit", self.values_per_label_limit),
            ("sample-limit", self.sample_limit),
            ("byte-limit", self.byte_limit),
        ]
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        let counts = self.by_reason().into_iter();
        counts.fold(0, |total, (_, count)| total.saturating_add(count))
    }

    pub(crate) fn count(&mut self, error: &AppendError) {
        let counter = match error {
            AppendError::OutOfOrder { .. } => &mut self.out_of_order,
            AppendError::Duplicate { .. } => &mut self.duplicate,
            AppendError::SeriesLimit { .. } => &mut self.series_limit,
            AppendError::SeriesPerMetricLimit { .. } => &mut self.series_per_metric_limit,
            AppendError::LabelsPerSeriesLimit { .. } => &mut self.labels_per_series_limit,
            AppendError::ValuesPerLabelLimit { .. } => &mut self.values_per_label_limit,
            AppendError::SampleLimit { .. } => &mut self.sample_limit,
            AppendError::ByteLimit { .. } => &mut self.byte_limit,
        };
        *counter = counter.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_near_from_four_fifths_on() {
        let first = |limit| (0..).find(|&held| is_near(held, limit));
        assert_eq!(
            [0, 1, 4, 5, 10, 11].map(first),
            [1, 1, 4, 4, 8, 9].map(Some)
        );
        assert!(is_near(usize::MAX, usize::MAX));
    }

    #[test]
    fn a_rule_is_about_whole_names() {
        let rule = MetricRule::new("up|node_.*").unwrap();
        let about = ["up", "node_load1", "upper", "a_node_x", ""].map(|name| rule.matches(name));
        assert_eq!(about, [true, true, false, false, false]);
        assert!(MetricRule::new("(").is_err());
    }
}
