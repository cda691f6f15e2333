//! Alerts and their rules as they are shown.

use alloc::string::String;
use alloc::vec::Vec;

use tidegate_series::Labels;

use super::state::{Active, AlertState};
use super::{AlertRule, expand};
use crate::UnixMillis;

/// An alert that is pending or firing.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert<'a> {
    /// The labels of its series without the metric's name, those of its rule, and `alertname`.
    pub labels: &'a Labels,
    /// Its state.
    pub state: AlertState,
    /// When its condition was first met.
    pub active_at: UnixMillis,
    /// The value by which it was last met: the sample, the statistic or the change per second.
    pub value: f64,
    series: &'a Labels,
    rule: &'a AlertRule,
}

impl<'a> Alert<'a> {
    pub(super) const fn new(rule: &'a AlertRule, labels: &'a Labels, active: &'a Active) -> Self {
        Self {
            labels,
            state: active.state,
            active_at: active.since.wall,
            value: active.value,
            series: &active.series,
            rule,
        }
    }

    /// The names and texts of its annotations, in the order of names.
    pub fn annotations(&self) -> impl Iterator<Item = (&'a str, String)> + use<'a> {
        let (series, value) = (self.series, self.value);
        let annotations = self.rule.annotations.iter();
        annotations.map(move |(name, text)| (&**name, expand::expand(text, series, value)))
    }
}

/// A rule and how it fares.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertRuleStatus<'a> {
    /// The rule.
    pub rule: &'a AlertRule,
    /// Its alerts, in the order of their labels.
    pub alerts: Vec<Alert<'a>>,
    /// Why it could not be looked at the last time, or not all of its alerts kept.
    pub last_error: Option<&'a str>,
    /// When it was last looked at.
    pub last_evaluation: Option<UnixMillis>,
}

impl AlertRuleStatus<'_> {
    /// The furthest state that one of its alerts is in; `None` for inactive.
    pub fn state(&self) -> Option<AlertState> {
        self.alerts.iter().map(|alert| alert.state).max()
    }
}
