//! Alert rules as they stand in the file.

use std::collections::BTreeMap;

use serde::Deserialize;
use tidegate_core::{
    AlertCondition, AlertError, AlertRule, AlertWindow, AlertsConfig, BandConfig, BandSide,
    Comparison,
};
use toml::Spanned;

use super::error::ConfigError;
use super::place::Place;
use super::source::or;
use super::value::Span;

/// How often all of them are looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Alerts {
    interval: Option<Spanned<Span>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Alert {
    name: Spanned<String>,
    selector: Spanned<String>,
    threshold: Option<Threshold>,
    rate_of_change: Option<RateOfChange>,
    band: Option<Band>,
    #[serde(rename = "for")]
    pending_for: Option<Span>,
    keep_firing_for: Option<Span>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Threshold {
    op: Op,
    value: f64,
    statistic: Option<Spanned<String>>,
    window: Option<Spanned<Span>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RateOfChange {
    op: Op,
    value: f64,
    window: Span,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Band {
    deviations: Option<f64>,
    memory_samples: Option<u32>,
    samples_min: Option<u32>,
    distance_min: Option<f64>,
    side: Option<Side>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum Op {
    #[serde(rename = ">")]
    Greater,
    #[serde(rename = ">=")]
    GreaterEqual,
    #[serde(rename = "<")]
    Less,
    #[serde(rename = "<=")]
    LessEqual,
    #[serde(rename = "==")]
    Equal,
    #[serde(rename = "!=")]
    NotEqual,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Side {
    Either,
    Above,
    Below,
}

/// The rules of the file, and their interval.
pub(super) fn configured(
    alerts: Alerts,
    rules: &[Spanned<Alert>],
    place: Place<'_>,
) -> Result<AlertsConfig, ConfigError> {
    let mut config = AlertsConfig::default();
    if let Some(given) = &alerts.interval {
        config.interval = given.get_ref().0;
        let checked = config.check();
        checked.map_err(|error| place.at(given.span(), error.to_string(), None))?;
    }
    for table in rules {
        let rule = table.get_ref();
        let added = config.add(rule.configured(table, place)?);
        added.map_err(|error| {
            let span = match &error {
                AlertError::Name { .. } | AlertError::Duplicate { .. } => rule.name.span(),
                AlertError::Selector { .. } => rule.selector.span(),
                // No other kind points at more than the table.
                AlertError::Rule { .. } | _ => place.first_line(&table.span()),
            };
            place.at(span, error.to_string(), None)
        })?;
    }
    Ok(config)
}

impl Alert {
    fn configured(
        &self,
        table: &Spanned<Self>,
        place: Place<'_>,
    ) -> Result<AlertRule, ConfigError> {
        let condition = match (&self.threshold, &self.rate_of_change, &self.band) {
            (Some(threshold), None, None) => threshold.configured(place)?,
            (None, Some(change), None) => AlertCondition::RateOfChange {
                window: change.window.0,
                op: change.op.into(),
                value: change.value,
            },
            (None, None, Some(band)) => AlertCondition::Band(band.configured()),
            _ => {
                let message = format!(
                    "alert {:?} must have one of `threshold`, `rate_of_change` and `band`",
                    self.name.get_ref()
                );
                let hint = "such as threshold = { op = \">\", value = 4 }".to_owned();
                return Err(place.at(place.first_line(&table.span()), message, Some(hint)));
            }
        };
        let rule = AlertRule::new(
            self.name.get_ref().as_str(),
            self.selector.get_ref().as_str(),
            condition,
        );
        Ok(AlertRule {
            pending_for: or(self.pending_for, rule.pending_for),
            keep_firing_for: or(self.keep_firing_for, rule.keep_firing_for),
            labels: self.labels.clone(),
            annotations: self.annotations.clone(),
            ..rule
        })
    }
}

impl Threshold {
    fn configured(&self, place: Place<'_>) -> Result<AlertCondition, ConfigError> {
        let over = match (&self.statistic, &self.window) {
            (None, None) => None,
            (Some(statistic), Some(window)) => Some(AlertWindow {
                statistic: statistic.get_ref().clone(),
                window: window.get_ref().0,
            }),
            (Some(statistic), None) => {
                let message = format!("the statistic {:?} has no window", statistic.get_ref());
                let hint = "add window = \"5m\"".to_owned();
                return Err(place.at(statistic.span(), message, Some(hint)));
            }
            (None, Some(window)) => {
                let message = "the window has no statistic".to_owned();
                let hint = "add statistic = \"avg\", or leave the window out".to_owned();
                return Err(place.at(window.span(), message, Some(hint)));
            }
        };
        Ok(AlertCondition::Threshold {
            over,
            op: self.op.into(),
            value: self.value,
        })
    }
}

impl Band {
    fn configured(&self) -> BandConfig {
        let base = BandConfig::default();
        BandConfig {
            deviations: self.deviations.unwrap_or(base.deviations),
            memory_samples: self.memory_samples.unwrap_or(base.memory_samples),
            samples_min: self.samples_min.unwrap_or(base.samples_min),
            distance_min: self.distance_min.unwrap_or(base.distance_min),
            side: match self.side {
                None => base.side,
                Some(Side::Either) => BandSide::Either,
                Some(Side::Above) => BandSide::Above,
                Some(Side::Below) => BandSide::Below,
            },
        }
    }
}

impl From<Op> for Comparison {
    fn from(op: Op) -> Self {
        match op {
            Op::Greater => Self::Greater,
            Op::GreaterEqual => Self::GreaterEqual,
            Op::Less => Self::Less,
            Op::LessEqual => Self::LessEqual,
            Op::Equal => Self::Equal,
            Op::NotEqual => Self::NotEqual,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::HostConfig;

    use super::*;

    fn rules(text: &str) -> Vec<AlertRule> {
        HostConfig::parse(text, "f").unwrap().alerts.rules
    }

    fn refused(text: &str) -> String {
        HostConfig::parse(text, "f").unwrap_err().to_string()
    }

    #[test]
    fn every_key_of_a_rule_is_taken() {
        let text = r#"
            [alerts]
            interval = "5s"
            [[alert]]
            name = "Slow"
            selector = 'latency{zone="a"}'
            threshold = { op = ">=", value = 1, statistic = "p99", window = "5m" }
            for = "30s"
            keep_firing_for = "2m"
            labels = { severity = "page" }
            annotations = { summary = "{{ $value }}" }
            [[alert]]
            name = "Leak"
            selector = "bytes"
            rate_of_change = { op = "<", value = -0.5, window = "1h" }
            [[alert]]
            name = "Odd"
            selector = "load"
            band = { deviations = 2, memory_samples = 60, samples_min = 5, distance_min = 0.5, side = "above" }
        "#;
        let config = HostConfig::parse(text, "f").unwrap();
        assert_eq!(config.alerts.interval, Duration::from_secs(5));
        assert_eq!(config.collector().alerts, config.alerts);
        let [slow, leak, odd] = &config.alerts.rules[..] else {
            panic!("{config:?}")
        };
        assert_eq!(slow.expression(), "p99(latency{zone=\"a\"}[5m]) >= 1");
        assert_eq!(
            (slow.pending_for.as_secs(), slow.keep_firing_for.as_secs()),
            (30, 120)
        );
        assert_eq!(
            (&*slow.labels["severity"], &*slow.annotations["summary"]),
            ("page", "{{ $value }}")
        );
        assert_eq!(leak.expression(), "change(bytes[1h]) < -0.5");
        let band = BandConfig {
            deviations: 2.0,
            memory_samples: 60,
            samples_min: 5,
            distance_min: 0.5,
            side: BandSide::Above,
        };
        assert_eq!(odd.condition, AlertCondition::Band(band));
    }

    #[test]
    fn a_band_may_be_all_defaults() {
        let rules = rules("[[alert]]\nname = \"Odd\"\nselector = \"load\"\nband = {}");
        assert_eq!(
            rules[0].condition,
            AlertCondition::Band(BandConfig::default())
        );
    }

    #[test]
    fn what_is_wrong_is_shown_where_it_stands() {
        let base = "[[alert]]\nname = \"A\"\nselector = \"x\"\n";
        let none = refused(base);
        assert!(
            none.contains("f:1:1: alert \"A\" must have one of"),
            "{none}"
        );
        let newest = format!("{base}threshold = {{ op = \">\", value = 1 }}\n");
        assert!(refused(&newest.repeat(2)).contains("f:6:8: alert A: another rule"));
        let selector = newest.replace("\"x\"", "\"sum(x)\"");
        assert!(refused(&selector).contains("f:3:12: alert A: selector \"sum(x)\""));
        let name = newest.replace("\"A\"", "\"\"");
        assert!(refused(&name).contains("f:2:8: bad alert name"));
        let window = format!("{base}threshold = {{ op = \">\", value = 1, statistic = \"avg\" }}");
        assert!(refused(&window).contains("has no window; add window"));
        let statistic = format!("{base}threshold = {{ op = \">\", value = 1, window = \"5m\" }}");
        assert!(refused(&statistic).contains("the window has no statistic"));
        let op = refused(&newest.replace("\">\"", "\"=\""));
        assert!(op.contains("unknown value `=`"), "{op}");
        assert!(refused("[alerts]\ninterval = \"10ms\"").contains("f:2:12: alerts are looked at"));
    }
}
