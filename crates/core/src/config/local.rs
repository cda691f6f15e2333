//! The bounds of Tidegate's own series.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use tidegate_series::{
    LABELS_PER_SERIES_MAX, MetricRule, POINTS_PER_SERIES_MAX, SAMPLE_BYTES_MAX,
    SERIES_PER_METRIC_MAX, StoreLimits, VALUES_PER_LABEL_MAX,
};

use super::ConfigError;

/// Metrics with bounds of their own: each new metric is tried against them all.
pub(super) const METRIC_RULES_MAX: usize = 100;

/// Tidegate's own series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalConfig {
    /// How many series are kept: 10,000, ten busy nodes.
    pub series_max: usize,
    /// How many of them one metric may have: 5,000, so that one that runs wild leaves room.
    pub series_per_metric_max: usize,
    /// How many labels a series may have, its name included: 64, and never more.
    pub labels_per_series_max: usize,
    /// How many values one label of one metric may have: 2,000, more than pods and cores, fewer
    /// than users and requests.
    pub values_per_label_max: usize,
    /// How many points each keeps: 5,760, which is 24 h at 15 s or 96 min at 1 s.
    pub points_max: usize,
    /// How many bytes their samples may take: 64 MiB, as the answer cache.
    pub bytes_max: usize,
    /// How old points may be, beside the newest of their series; `None` is as old as they get.
    pub age_max: Option<Duration>,
    /// How long a series that no longer arrives is kept: 24 h.
    pub expire_after: Duration,
    /// How far an instant query looks back: 5 min, as Prometheus does.
    pub lookback: Duration,
    /// What is otherwise for some metrics; of several about one metric the first counts.
    pub metrics: Vec<MetricConfig>,
}

impl Default for LocalConfig {
    fn default() -> Self {
        Self {
            series_max: 10_000,
            series_per_metric_max: SERIES_PER_METRIC_MAX,
            labels_per_series_max: LABELS_PER_SERIES_MAX,
            values_per_label_max: VALUES_PER_LABEL_MAX,
            points_max: POINTS_PER_SERIES_MAX,
            bytes_max: SAMPLE_BYTES_MAX,
            age_max: None,
            expire_after: Duration::from_secs(24 * 3600),
            lookback: Duration::from_secs(300),
            metrics: Vec::new(),
        }
    }
}

/// What is otherwise for some of Tidegate's own metrics. `None` is as for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricConfig {
    /// The whole name of the metric, or a pattern of it as it stands after `=~`.
    pub metric: String,
    /// How many series it may have.
    pub series_max: Option<usize>,
    /// How many values each of its labels may have.
    pub values_per_label_max: Option<usize>,
    /// How many points each of its series keeps.
    pub points_max: Option<usize>,
    /// How old they may be; a series whose newest is older goes.
    pub age_max: Option<Duration>,
    /// How often each of its series is expected: one that misses more than five has ended. Zero
    /// is not known.
    pub interval: Option<Duration>,
}

impl LocalConfig {
    /// The bounds as a store takes them.
    pub(crate) fn limits(&self) -> StoreLimits {
        StoreLimits {
            series_max: self.series_max,
            series_per_metric_max: self.series_per_metric_max,
            labels_per_series_max: self.labels_per_series_max,
            values_per_label_max: self.values_per_label_max,
            points_per_series_max: self.points_max,
            bytes_max: self.bytes_max,
            age_max_ms: self.age_max.map_or(u64::MAX, whole_ms),
            ..StoreLimits::default()
        }
    }

    /// What is otherwise for some metrics.
    ///
    /// # Errors
    /// Too many, or a pattern that is none.
    pub(crate) fn rules(&self) -> Result<Vec<MetricRule>, ConfigError> {
        if self.metrics.len() > METRIC_RULES_MAX {
            return Err(ConfigError::TooManyMetricRules {
                rules: self.metrics.len(),
            });
        }
        self.metrics.iter().map(MetricConfig::rule).collect()
    }
}

impl MetricConfig {
    fn rule(&self) -> Result<MetricRule, ConfigError> {
        let rule = MetricRule::new(&self.metric).map_err(ConfigError::MetricRule)?;
        Ok(MetricRule {
            points_max: self.points_max,
            age_max_ms: self.age_max.map(whole_ms),
            series_max: self.series_max,
            values_per_label_max: self.values_per_label_max,
            interval_ms: self.interval.map(whole_ms),
            ..rule
        })
    }
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use super::*;
    use crate::Config;

    fn check(metrics: Vec<MetricConfig>) -> Result<(), String> {
        let local = LocalConfig {
            metrics,
            ..LocalConfig::default()
        };
        let config = Config {
            local,
            ..Config::default()
        };
        config.check().map_err(|error| error.to_string())
    }

    fn named(metric: &str) -> MetricConfig {
        MetricConfig {
            metric: metric.into(),
            ..MetricConfig::default()
        }
    }

    #[test]
    fn a_metric_is_named_by_a_pattern() {
        assert_eq!(check(vec![named("node_.*"), named("up")]), Ok(()));
        let wrong = check(vec![named("node_(")]).unwrap_err();
        assert!(
            wrong.starts_with("local: the pattern \"node_(\""),
            "{wrong}"
        );
    }

    #[test]
    fn metrics_with_bounds_of_their_own_are_counted() {
        assert_eq!(check(vec![named("up"); METRIC_RULES_MAX]), Ok(()));
        let many = check(vec![named("up"); METRIC_RULES_MAX + 1]).unwrap_err();
        assert!(many.contains("101 metrics"), "{many}");
    }
}
