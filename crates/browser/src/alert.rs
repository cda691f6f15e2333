//! Alert rules as `create` is given them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use tidegate_core::{AlertCondition, AlertRule, AlertWindow, BandConfig, BandSide, Comparison};

use crate::options::{count, duration};

/// One rule's options.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AlertOptions {
    name: String,
    selector: String,
    threshold: Option<ThresholdOptions>,
    rate_of_change: Option<RateOptions>,
    band: Option<BandOptions>,
    for_ms: Option<f64>,
    keep_firing_for_ms: Option<f64>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ThresholdOptions {
    op: String,
    value: f64,
    statistic: Option<String>,
    window_ms: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RateOptions {
    op: String,
    value: f64,
    window_ms: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BandOptions {
    deviations: Option<f64>,
    memory_samples: Option<f64>,
    samples_min: Option<f64>,
    distance_min: Option<f64>,
    side: Option<String>,
}

impl AlertOptions {
    /// The rule; the collector says whether it makes sense.
    pub(crate) fn rule(&self) -> Result<AlertRule, String> {
        self.read()
            .map_err(|error| format!("alert {}: {error}", self.name))
    }

    fn read(&self) -> Result<AlertRule, String> {
        let condition = match (&self.threshold, &self.rate_of_change, &self.band) {
            (Some(threshold), None, None) => threshold.condition()?,
            (None, Some(change), None) => AlertCondition::RateOfChange {
                window: duration("windowMs", Some(change.window_ms), Duration::ZERO)?,
                op: comparison(&change.op)?,
                value: change.value,
            },
            (None, None, Some(band)) => AlertCondition::Band(band.config()?),
            _ => return Err("it needs one of threshold, rateOfChange and band".into()),
        };
        Ok(AlertRule {
            pending_for: duration("forMs", self.for_ms, Duration::ZERO)?,
            keep_firing_for: duration("keepFiringForMs", self.keep_firing_for_ms, Duration::ZERO)?,
            labels: self.labels.clone().unwrap_or_default(),
            annotations: self.annotations.clone().unwrap_or_default(),
            ..AlertRule::new(self.name.as_str(), self.selector.as_str(), condition)
        })
    }
}

impl ThresholdOptions {
    fn condition(&self) -> Result<AlertCondition, String> {
        let over = match (&self.statistic, self.window_ms) {
            (None, None) => None,
            (Some(statistic), Some(window_ms)) => Some(AlertWindow {
                statistic: statistic.clone(),
                window: duration("windowMs", Some(window_ms), Duration::ZERO)?,
            }),
            _ => return Err("statistic and windowMs go together".into()),
        };
        Ok(AlertCondition::Threshold {
            over,
            op: comparison(&self.op)?,
            value: self.value,
        })
    }
}

impl BandOptions {
    fn config(&self) -> Result<BandConfig, String> {
        let base = BandConfig::default();
        let side = self.side.as_deref().map_or(Ok(base.side), |word| {
            let sides = [BandSide::Either, BandSide::Above, BandSide::Below];
            let side = sides.into_iter().find(|side| side.as_str() == word);
            side.ok_or_else(|| format!("side must be either, above or below, not {word:?}"))
        })?;
        Ok(BandConfig {
            deviations: self.deviations.unwrap_or(base.deviations),
            memory_samples: count("memorySamples", self.memory_samples, base.memory_samples)?,
            samples_min: count("samplesMin", self.samples_min, base.samples_min)?,
            distance_min: self.distance_min.unwrap_or(base.distance_min),
            side,
        })
    }
}

fn comparison(sign: &str) -> Result<Comparison, String> {
    let op = Comparison::ALL.into_iter().find(|op| op.as_str() == sign);
    op.ok_or_else(|| format!("op must be one of > >= < <= == !=, not {sign:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert() -> AlertOptions {
        AlertOptions {
            name: "Hot".into(),
            selector: "load".into(),
            ..AlertOptions::default()
        }
    }

    fn threshold(op: &str, statistic: Option<&str>, window_ms: Option<f64>) -> AlertOptions {
        AlertOptions {
            threshold: Some(ThresholdOptions {
                op: op.into(),
                value: 4.0,
                statistic: statistic.map(Into::into),
                window_ms,
            }),
            for_ms: Some(30_000.0),
            ..alert()
        }
    }

    #[test]
    fn a_rule_has_one_condition() {
        let newest = threshold("<=", None, None).rule().unwrap();
        assert_eq!(newest.expression(), "load <= 4");
        assert_eq!(newest.pending_for, Duration::from_secs(30));
        let over = threshold(">", Some("p99"), Some(60_000.0)).rule().unwrap();
        assert_eq!(over.expression(), "p99(load[1m]) > 4");
        let change = AlertOptions {
            rate_of_change: Some(RateOptions {
                op: "<".into(),
                value: -1.0,
                window_ms: 1_000.0,
            }),
            ..alert()
        };
        assert_eq!(change.rule().unwrap().expression(), "change(load[1s]) < -1");
        let none = alert().rule().unwrap_err();
        assert_eq!(
            none,
            "alert Hot: it needs one of threshold, rateOfChange and band"
        );
        let both = AlertOptions {
            rate_of_change: change.rate_of_change,
            ..threshold(">", None, None)
        };
        assert!(both.rule().is_err());
    }

    #[test]
    fn a_band_says_what_differs_from_the_core_s() {
        let band = |side: &str| AlertOptions {
            band: Some(BandOptions {
                deviations: None,
                memory_samples: Some(60.0),
                samples_min: None,
                distance_min: Some(0.5),
                side: Some(side.into()),
            }),
            ..alert()
        };
        let expected = BandConfig {
            memory_samples: 60,
            distance_min: 0.5,
            side: BandSide::Above,
            ..BandConfig::default()
        };
        let rule = band("above").rule().unwrap();
        assert_eq!(rule.condition, AlertCondition::Band(expected));
        assert!(band("left").rule().unwrap_err().contains("not \"left\""));
    }

    #[test]
    fn half_a_window_and_an_unknown_sign_are_refused() {
        assert!(threshold(">", Some("avg"), None).rule().is_err());
        assert!(threshold(">", None, Some(1.0)).rule().is_err());
        let sign = threshold("=>", None, None).rule().unwrap_err();
        assert!(sign.contains("not \"=>\""), "{sign}");
    }
}
