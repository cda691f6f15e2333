//! The bounds of Tidegate's own series, as `create` is given them.

use serde::Deserialize;
use tidegate_core::{LocalConfig, MetricConfig};

use crate::options::{duration, optional};

/// Option `local` of `create`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LocalOptions {
    series_max: Option<f64>,
    series_per_metric_max: Option<f64>,
    labels_per_series_max: Option<f64>,
    values_per_label_max: Option<f64>,
    points_max: Option<f64>,
    bytes_max: Option<f64>,
    age_max_ms: Option<f64>,
    expire_after_ms: Option<f64>,
    lookback_ms: Option<f64>,
    /// Names or patterns of metrics and what is otherwise for them, in order.
    metrics: Option<Vec<(String, MetricOptions)>>,
}

/// What is otherwise for some metrics.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetricOptions {
    series_max: Option<f64>,
    values_per_label_max: Option<f64>,
    points_max: Option<f64>,
    age_max_ms: Option<f64>,
    interval_ms: Option<f64>,
}

impl LocalOptions {
    /// The bounds, with the core's defaults where nothing is said.
    pub(crate) fn config(&self) -> Result<LocalConfig, String> {
        self.checked().map_err(|error| format!("local: {error}"))
    }

    fn checked(&self) -> Result<LocalConfig, String> {
        let base = LocalConfig::default();
        let size = |name, given, base| size(name, given).map(|size| size.unwrap_or(base));
        Ok(LocalConfig {
            series_max: size("seriesMax", self.series_max, base.series_max)?,
            series_per_metric_max: size(
                "seriesPerMetricMax",
                self.series_per_metric_max,
                base.series_per_metric_max,
            )?,
            labels_per_series_max: size(
                "labelsPerSeriesMax",
                self.labels_per_series_max,
                base.labels_per_series_max,
            )?,
            values_per_label_max: size(
                "valuesPerLabelMax",
                self.values_per_label_max,
                base.values_per_label_max,
            )?,
            points_max: size("pointsMax", self.points_max, base.points_max)?,
            bytes_max: size("bytesMax", self.bytes_max, base.bytes_max)?,
            age_max: optional("ageMaxMs", self.age_max_ms)?,
            expire_after: duration("expireAfterMs", self.expire_after_ms, base.expire_after)?,
            lookback: duration("lookbackMs", self.lookback_ms, base.lookback)?,
            metrics: self
                .metrics
                .iter()
                .flatten()
                .map(|(name, options)| options.config(name))
                .collect::<Result<_, _>>()?,
        })
    }
}

impl MetricOptions {
    fn config(&self, metric: &str) -> Result<MetricConfig, String> {
        let config = || {
            Ok(MetricConfig {
                metric: metric.to_owned(),
                series_max: size("seriesMax", self.series_max)?,
                values_per_label_max: size("valuesPerLabelMax", self.values_per_label_max)?,
                points_max: size("pointsMax", self.points_max)?,
                age_max: optional("ageMaxMs", self.age_max_ms)?,
                interval: optional("intervalMs", self.interval_ms)?,
            })
        };
        config().map_err(|error: String| format!("metric {metric}: {error}"))
    }
}

/// A whole number; what exceeds the address space is no bound at all.
fn size(option: &str, given: Option<f64>) -> Result<Option<usize>, String> {
    match given {
        // Saturates.
        Some(size) if size >= 0.0 => Ok(Some(size as usize)),
        Some(size) => Err(format!("{option} must be 0 or more, not {size}")),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_bound_is_taken() {
        let metric = MetricOptions {
            series_max: Some(10.0),
            values_per_label_max: Some(11.0),
            points_max: Some(12.0),
            age_max_ms: Some(13.0),
            interval_ms: Some(14.0),
        };
        let options = LocalOptions {
            series_max: Some(1.0),
            series_per_metric_max: Some(2.0),
            labels_per_series_max: Some(3.0),
            values_per_label_max: Some(4.0),
            points_max: Some(5.0),
            bytes_max: Some(6.0),
            age_max_ms: Some(7.0),
            expire_after_ms: Some(8.0),
            lookback_ms: Some(9.0),
            metrics: Some(vec![("up|node_.*".into(), metric)]),
        };
        let ms = Duration::from_millis;
        let expected = LocalConfig {
            series_max: 1,
            series_per_metric_max: 2,
            labels_per_series_max: 3,
            values_per_label_max: 4,
            points_max: 5,
            bytes_max: 6,
            age_max: Some(ms(7)),
            expire_after: ms(8),
            lookback: ms(9),
            metrics: vec![MetricConfig {
                metric: "up|node_.*".into(),
                series_max: Some(10),
                values_per_label_max: Some(11),
                points_max: Some(12),
                age_max: Some(ms(13)),
                interval: Some(ms(14)),
            }],
        };
        assert_eq!(options.config(), Ok(expected));
        assert_eq!(LocalOptions::default().config(), Ok(LocalConfig::default()));
    }

    #[test]
    fn a_bound_that_is_none_is_named() {
        let options = LocalOptions {
            points_max: Some(f64::NAN),
            ..LocalOptions::default()
        };
        let wrong = options.config().unwrap_err();
        assert_eq!(wrong, "local: pointsMax must be 0 or more, not NaN");
        let metric = MetricOptions {
            interval_ms: Some(-1.0),
            ..MetricOptions::default()
        };
        let options = LocalOptions {
            metrics: Some(vec![("up".into(), metric)]),
            ..LocalOptions::default()
        };
        let wrong = options.config().unwrap_err();
        assert_eq!(
            wrong,
            "local: metric up: intervalMs must be 0 or more, not -1"
        );
    }
}
