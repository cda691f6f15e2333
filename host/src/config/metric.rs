//! What is otherwise for some of Tidegate's own metrics, as it stands in the file.

use serde::Deserialize;
use tidegate_core::MetricConfig;
use toml::Spanned;

use super::HostConfig;
use super::error::ConfigError;
use super::place::Place;
use super::value::{Count, Span};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Metric {
    name: Spanned<String>,
    series_max: Option<Count>,
    values_per_label_max: Option<Count>,
    points_max: Option<Count>,
    age_max: Option<Span>,
    interval: Option<Span>,
}

impl Metric {
    /// Adds it to the bounds of Tidegate's own series; what is wrong with it is shown at its name.
    pub(super) fn add_to(
        self,
        config: &mut HostConfig,
        place: Place<'_>,
    ) -> Result<(), ConfigError> {
        let name = self.name.span();
        let count = |count: Option<Count>| count.map(|count| count.0);
        let span = |span: Option<Span>| span.map(|span| span.0);
        config.local.metrics.push(MetricConfig {
            metric: self.name.into_inner(),
            series_max: count(self.series_max),
            values_per_label_max: count(self.values_per_label_max),
            points_max: count(self.points_max),
            age_max: span(self.age_max),
            interval: span(self.interval),
        });
        config
            .check()
            .map_err(|error| place.at(name, error.to_string(), None))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn parse(text: &str) -> Result<HostConfig, String> {
        HostConfig::parse(text, "tidegate.toml").map_err(|error| error.to_string())
    }

    #[test]
    fn every_key_of_a_metric_is_taken_and_their_order_kept() {
        let text = r#"
            [local]
            series_max = 7
            [[local.metric]]
            name = "node_cpu_seconds_total"
            series_max = 1
            values_per_label_max = 2
            points_max = 3
            age_max = "4s"
            interval = "5s"
            [[local.metric]]
            name = "node_.*"
        "#;
        let local = parse(text).unwrap().local;
        assert_eq!(local.series_max, 7);
        let first = MetricConfig {
            metric: "node_cpu_seconds_total".into(),
            series_max: Some(1),
            values_per_label_max: Some(2),
            points_max: Some(3),
            age_max: Some(Duration::from_secs(4)),
            interval: Some(Duration::from_secs(5)),
        };
        let second = MetricConfig {
            metric: "node_.*".into(),
            ..MetricConfig::default()
        };
        assert_eq!(local.metrics, [first, second]);
    }

    #[test]
    fn a_pattern_that_is_none_is_shown_where_it_stands() {
        let error = parse("[[local.metric]]\nname = \"node_(\"\n").unwrap_err();
        assert!(error.starts_with("tidegate.toml:2:8: local: "), "{error}");
        let error = parse("[[local.metric]]\nname = \"up\"\nponts_max = 3\n").unwrap_err();
        assert!(error.contains("did you mean `points_max`?"), "{error}");
    }
}
