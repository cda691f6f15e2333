//! Alert rules as an operator writes them, and what they must be.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use tidegate_series::{
    LABEL_VALUE_BYTES_MAX, METRIC_NAME, MatchOp, Matcher, Statistic, is_label_name,
};

use super::band::{BandConfig, BandSide};
use super::error::AlertError;
use super::expand;
use crate::promql::{SelectorError, parse_selector};

/// Rules in one configuration: each is looked at every interval, and people read about each.
pub const ALERT_RULES_MAX: usize = 1_000;

/// Labels, and annotations, that a rule may add: as many as people read.
const ADDED_MAX: usize = 32;

/// An annotation's length: a paragraph and its links.
const ANNOTATION_BYTES_MAX: usize = 4_096;

/// A selector's length: it stands in every event about its rule.
const SELECTOR_BYTES_MAX: usize = 4_096;

/// A name's length, as that of sources and templates.
const NAME_BYTES_MAX: usize = 128;

/// More often than samples arrive nothing is new.
const INTERVAL_MIN: Duration = Duration::from_secs(1);

/// A longer window is a typing error: 366 days, as durations in files are bounded.
const WINDOW_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// What a band remembers at the most: years at one in 15 s.
const MEMORY_SAMPLES_MAX: u32 = 10_000_000;

/// The metric under which alerts are recorded.
pub(super) const ALERTS: &str = "ALERTS";

/// The labels that tell alerts apart, and their states.
pub(super) const NAME_LABEL: &str = "alertname";
pub(super) const STATE_LABEL: &str = "alertstate";

/// Alert rules, and how often they are looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertsConfig {
    /// How often: 15 s, the usual scrape interval; at least 1 s.
    pub interval: Duration,
    /// The rules, looked at in this order.
    pub rules: Vec<AlertRule>,
}

impl Default for AlertsConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(15),
            rules: Vec::new(),
        }
    }
}

impl AlertsConfig {
    /// Checks it.
    ///
    /// # Errors
    /// The first thing wrong.
    pub fn check(&self) -> Result<(), AlertError> {
        if self.interval < INTERVAL_MIN {
            return Err(AlertError::Interval {
                interval: self.interval,
            });
        }
        too_many(self.rules.len())?;
        let mut rules = self.rules.iter().enumerate();
        rules.try_for_each(|(nth, rule)| rule.check_after(&self.rules[..nth]))
    }

    /// Adds a rule.
    ///
    /// # Errors
    /// What is wrong with the rule, or that there are too many; then nothing changes.
    pub fn add(&mut self, rule: AlertRule) -> Result<(), AlertError> {
        too_many(self.rules.len().saturating_add(1))?;
        rule.check_after(&self.rules)?;
        self.rules.push(rule);
        Ok(())
    }
}

fn too_many(rules: usize) -> Result<(), AlertError> {
    if rules > ALERT_RULES_MAX {
        return Err(AlertError::TooManyRules { rules });
    }
    Ok(())
}

/// A condition on Tidegate's own series, and what follows from it.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertRule {
    /// The `alertname` of its alerts. Several rules may share it if their labels differ.
    pub name: String,
    /// Which series, as an instant selector without offset: `node_load1{zone="a"}`. Recorded
    /// alerts, the series `ALERTS`, are never among them.
    pub selector: String,
    /// What a series must meet.
    pub condition: AlertCondition,
    /// `for`: how long it must do so before the alert is firing; zero fires at once.
    pub pending_for: Duration,
    /// How long a firing alert stays so after the condition was last met.
    pub keep_firing_for: Duration,
    /// Labels that its alerts get beside those of their series, whose place they take; an empty
    /// value takes a label away.
    pub labels: BTreeMap<String, String>,
    /// Texts for people. `{{ $value }}` stands for the value, `{{ $labels.name }}` for that label
    /// of the series.
    pub annotations: BTreeMap<String, String>,
}

impl AlertRule {
    /// A rule that fires at once, without labels and annotations of its own.
    pub fn new(
        name: impl Into<String>,
        selector: impl Into<String>,
        condition: AlertCondition,
    ) -> Self {
        Self {
            name: name.into(),
            selector: selector.into(),
            condition,
            pending_for: Duration::ZERO,
            keep_firing_for: Duration::ZERO,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
        }
    }

    /// Checks it.
    ///
    /// # Errors
    /// The first thing wrong, with the rule's name.
    pub fn check(&self) -> Result<(), AlertError> {
        let named = !self.name.is_empty()
            && self.name.len() <= NAME_BYTES_MAX
            && !self.name.chars().any(char::is_control);
        if !named {
            let name = self.name.chars().take(NAME_BYTES_MAX).collect();
            return Err(AlertError::Name { name });
        }
        self.matchers()?;
        self.check_condition()?;
        let (labels, annotations) = (self.labels.len(), self.annotations.len());
        if labels > ADDED_MAX || annotations > ADDED_MAX {
            let message = format!(
                "{labels} labels and {annotations} annotations, at most {ADDED_MAX} of each are taken"
            );
            return Err(self.wrong(message));
        }
        for (name, value) in &self.labels {
            self.check_label(name, value)?;
        }
        for (name, text) in &self.annotations {
            if !is_label_name(name) {
                let message = format!("annotation {name:?}: use letters, digits and '_'");
                return Err(self.wrong(message));
            }
            if text.len() > ANNOTATION_BYTES_MAX {
                let bytes = text.len();
                let message = format!(
                    "annotation {name:?} has {bytes} bytes, at most {ANNOTATION_BYTES_MAX} are taken"
                );
                return Err(self.wrong(message));
            }
            expand::check(text)
                .map_err(|message| self.wrong(format!("annotation {name:?}: {message}")))?;
        }
        Ok(())
    }

    /// Checks it beside those that come before it.
    fn check_after(&self, others: &[Self]) -> Result<(), AlertError> {
        self.check()?;
        let same = |other: &Self| other.name == self.name && other.labels == self.labels;
        if others.iter().any(same) {
            return Err(AlertError::Duplicate {
                rule: self.name.clone(),
            });
        }
        Ok(())
    }

    /// What series must match; never the alerts themselves.
    pub(super) fn matchers(&self) -> Result<Vec<Matcher>, AlertError> {
        let refused = |message: String| AlertError::Selector {
            rule: self.name.clone(),
            selector: self.selector.clone(),
            message,
        };
        let bytes = self.selector.len();
        if bytes > SELECTOR_BYTES_MAX {
            return Err(AlertError::Selector {
                rule: self.name.clone(),
                selector: self.selector.chars().take(NAME_BYTES_MAX).collect(),
                message: format!("it has {bytes} bytes, at most {SELECTOR_BYTES_MAX} are taken"),
            });
        }
        if self.selector.chars().any(char::is_control) {
            return Err(refused(
                "it has control characters: write it on one line".into(),
            ));
        }
        let selector = parse_selector(&self.selector).map_err(|error| {
            let (SelectorError::Syntax(error) | SelectorError::Beyond(error)) = error;
            refused(format!("{} at byte {}", error.message, error.position))
        })?;
        if selector.range_ms.is_some() || selector.offset_ms != 0 {
            let message = "it has a range or an offset: the condition says the window";
            return Err(refused(message.into()));
        }
        let alerts = |matcher: &Matcher| {
            matcher.name() == METRIC_NAME
                && matcher.op() == MatchOp::Equal
                && matcher.value() == ALERTS
        };
        if selector.matchers.iter().any(alerts) {
            return Err(refused("alerts are not made of alerts".into()));
        }
        let mut matchers = selector.matchers;
        matchers.extend(Matcher::new(METRIC_NAME, MatchOp::NotEqual, ALERTS));
        Ok(matchers)
    }

    fn check_condition(&self) -> Result<(), AlertError> {
        let check_value = |value: f64| {
            if value.is_nan() {
                return Err(self.wrong("the value is NaN, with which nothing compares".into()));
            }
            Ok(())
        };
        let check_window = |window: Duration| {
            if window < Duration::from_millis(1) || window > WINDOW_MAX {
                return Err(self.wrong(format!(
                    "the window is {window:?}, it must be from 1 ms to 366 days"
                )));
            }
            Ok(())
        };
        match &self.condition {
            AlertCondition::Threshold { over, value, .. } => {
                if let Some(over) = over {
                    check_window(over.window)?;
                    let parsed = over.statistic.parse::<Statistic>();
                    parsed.map_err(|error| self.wrong(format!("{error}")))?;
                }
                check_value(*value)
            }
            AlertCondition::RateOfChange { window, value, .. } => {
                check_window(*window)?;
                check_value(*value)
            }
            AlertCondition::Band(band) => self.check_band(band),
        }
    }

    fn check_band(&self, band: &BandConfig) -> Result<(), AlertError> {
        if !(band.deviations > 0.0 && band.deviations.is_finite()) {
            let message = format!(
                "{} deviations: a band needs a number above 0",
                band.deviations
            );
            return Err(self.wrong(message));
        }
        if !(band.distance_min >= 0.0 && band.distance_min.is_finite()) {
            let distance = band.distance_min;
            let message = format!("a distance of {distance}: it must be a number from 0 on");
            return Err(self.wrong(message));
        }
        let (least, memory) = (band.samples_min, band.memory_samples);
        if least < 2 || memory < least || memory > MEMORY_SAMPLES_MAX {
            let message = format!(
                "a band that judges after {least} samples and remembers {memory}: it must judge after 2 or more, and remember that many or more, up to {MEMORY_SAMPLES_MAX}"
            );
            return Err(self.wrong(message));
        }
        Ok(())
    }

    fn check_label(&self, name: &str, value: &str) -> Result<(), AlertError> {
        if !is_label_name(name) {
            return Err(self.wrong(format!("label {name:?}: use letters, digits and '_'")));
        }
        if [METRIC_NAME, NAME_LABEL, STATE_LABEL].contains(&name) {
            return Err(self.wrong(format!("label {name:?} is set by Tidegate itself")));
        }
        if value.len() > LABEL_VALUE_BYTES_MAX {
            let bytes = value.len();
            return Err(self.wrong(format!(
                "label {name:?} has {bytes} bytes, at most {LABEL_VALUE_BYTES_MAX} are taken"
            )));
        }
        Ok(())
    }

    fn wrong(&self, message: String) -> AlertError {
        AlertError::Rule {
            rule: self.name.clone(),
            message,
        }
    }

    /// The condition as a text for people: near to PromQL, where that can say it.
    pub fn expression(&self) -> String {
        let selector = &self.selector;
        match &self.condition {
            AlertCondition::Threshold {
                over: None,
                op,
                value,
            } => format!("{selector} {op} {value}"),
            AlertCondition::Threshold {
                over: Some(AlertWindow { statistic, window }),
                op,
                value,
            } => format!("{statistic}({selector}[{}]) {op} {value}", Window(*window)),
            AlertCondition::RateOfChange { window, op, value } => {
                format!("change({selector}[{}]) {op} {value}", Window(*window))
            }
            AlertCondition::Band(band) => {
                let side = match band.side {
                    BandSide::Either => "outside",
                    side @ (BandSide::Above | BandSide::Below) => side.as_str(),
                };
                format!("{selector} {side} band({} deviations)", band.deviations)
            }
        }
    }
}

/// What a series must meet. A comparison is PromQL's: NaN meets `!=` alone.
#[derive(Clone, Debug, PartialEq)]
pub enum AlertCondition {
    /// Its newest sample, or a statistic over a window, compares so with a value.
    Threshold {
        /// The statistic; `None` takes the newest sample, as an instant selector sees it: within
        /// the look-back, and not before a stale marker.
        over: Option<AlertWindow>,
        /// How it must compare.
        op: Comparison,
        /// With what; not NaN.
        value: f64,
    },
    /// Its change per second over a window, PromQL's `delta` divided by the window's seconds,
    /// compares so with a value. For a counter take a threshold on its `rate`.
    RateOfChange {
        /// The window, open at its start, which ends when the rule is looked at.
        window: Duration,
        /// How it must compare.
        op: Comparison,
        /// With what, per second; not NaN.
        value: f64,
    },
    /// Its newest sample, as an instant selector sees it, is outside of what its samples usually
    /// are. Every sample is judged and learned once, in its order.
    Band(BandConfig),
}

/// A statistic of the samples of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertWindow {
    /// One of the words of [`Statistic`]: `avg`, `p99`, `rate`, …
    pub statistic: String,
    /// The window, open at its start, which ends when the rule is looked at. A series without a
    /// sample in it meets no condition.
    pub window: Duration,
}

/// How a number must compare with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `==`
    Equal,
    /// `!=`, the only one that NaN meets.
    NotEqual,
}

impl Comparison {
    /// All there are.
    pub const ALL: [Self; 6] = [
        Self::Greater,
        Self::GreaterEqual,
        Self::Less,
        Self::LessEqual,
        Self::Equal,
        Self::NotEqual,
    ];

    /// PromQL's sign for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
        }
    }

    /// Whether the numbers compare so.
    pub fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Greater => left > right,
            Self::GreaterEqual => left >= right,
            Self::Less => left < right,
            Self::LessEqual => left <= right,
            Self::Equal => left == right,
            Self::NotEqual => left != right,
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A duration as PromQL has it.
struct Window(Duration);

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u128); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
        let mut left = self.0.as_millis();
        for (unit, ms) in UNITS {
            if left >= ms {
                write!(f, "{}{unit}", left / ms)?;
                left %= ms;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    fn threshold() -> AlertCondition {
        AlertCondition::Threshold {
            over: None,
            op: Comparison::Greater,
            value: 4.0,
        }
    }

    fn rule() -> AlertRule {
        AlertRule::new("Hot", "node_load1{zone=\"a\"}", threshold())
    }

    fn over(statistic: &str, window: Duration) -> AlertCondition {
        let statistic = statistic.into();
        AlertCondition::Threshold {
            over: Some(AlertWindow { statistic, window }),
            op: Comparison::LessEqual,
            value: -0.5,
        }
    }

    fn refused(change: impl FnOnce(&mut AlertRule)) -> String {
        let mut rule = rule();
        change(&mut rule);
        rule.check().unwrap_err().to_string()
    }

    #[test]
    fn a_rule_says_its_condition() {
        let mut rule = rule();
        assert_eq!(rule.check(), Ok(()));
        assert_eq!(rule.expression(), "node_load1{zone=\"a\"} > 4");
        rule.condition = over("p99.9", Duration::from_millis(3_725_001));
        assert_eq!(
            rule.expression(),
            "p99.9(node_load1{zone=\"a\"}[1h2m5s1ms]) <= -0.5"
        );
        rule.selector = "up".into();
        rule.condition = AlertCondition::RateOfChange {
            window: Duration::from_secs(300),
            op: Comparison::NotEqual,
            value: 0.0,
        };
        assert_eq!(rule.expression(), "change(up[5m]) != 0");
        rule.condition = AlertCondition::Band(BandConfig {
            side: BandSide::Below,
            ..BandConfig::default()
        });
        assert_eq!(rule.expression(), "up below band(3 deviations)");
        assert_eq!(rule.check(), Ok(()));
    }

    #[test]
    fn what_is_wrong_is_told_with_the_rule_and_the_value() {
        let nameless = refused(|rule| rule.name.clear());
        assert!(nameless.starts_with("bad alert name \"\""), "{nameless}");
        let cases: [(String, &str); 14] = [
            (
                refused(|rule| rule.selector = "sum(x)".into()),
                "selector \"sum(x)\"",
            ),
            (
                refused(|rule| rule.selector = "x[5m]".into()),
                "range or an offset",
            ),
            (
                refused(|rule| rule.selector = "x offset 5m".into()),
                "range or an offset",
            ),
            (
                refused(|rule| rule.selector = "ALERTS".into()),
                "not made of alerts",
            ),
            (
                refused(|rule| rule.selector = "x{a=\n\"b\"}".into()),
                "control characters",
            ),
            (
                refused(|rule| rule.selector = "x".repeat(SELECTOR_BYTES_MAX + 1)),
                "4097 bytes, at most 4096",
            ),
            (
                refused(|rule| rule.condition = over("median", Duration::from_secs(1))),
                "unknown statistic \"median\"",
            ),
            (
                refused(|rule| rule.condition = over("avg", Duration::ZERO)),
                "the window is 0ns",
            ),
            (
                refused(|rule| {
                    rule.condition = AlertCondition::Threshold {
                        over: None,
                        op: Comparison::Equal,
                        value: f64::NAN,
                    };
                }),
                "the value is NaN",
            ),
            (
                refused(|rule| rule.labels = [("a b".into(), "x".into())].into()),
                "label \"a b\"",
            ),
            (
                refused(|rule| rule.labels = [("alertname".into(), "x".into())].into()),
                "set by Tidegate",
            ),
            (
                refused(|rule| {
                    rule.annotations = [("a".into(), "x".repeat(ANNOTATION_BYTES_MAX + 1))].into();
                }),
                "4097 bytes, at most 4096",
            ),
            (
                refused(|rule| rule.annotations = [("a".into(), "{{ query }}".into())].into()),
                "$value",
            ),
            (
                refused(|rule| {
                    rule.labels = (0..33)
                        .map(|nth| (format!("l{nth}"), String::new()))
                        .collect();
                }),
                "33 labels",
            ),
        ];
        for (said, part) in cases {
            assert!(
                said.starts_with("alert Hot: ") && said.contains(part),
                "{said}"
            );
        }
    }

    #[test]
    fn bands_that_could_not_judge_are_refused() {
        let wrong = |change: fn(&mut BandConfig)| {
            let mut band = BandConfig::default();
            change(&mut band);
            refused(|rule| rule.condition = AlertCondition::Band(band))
        };
        assert!(wrong(|band| band.deviations = 0.0).contains("0 deviations"));
        assert!(wrong(|band| band.deviations = f64::INFINITY).contains("inf deviations"));
        assert!(wrong(|band| band.distance_min = f64::NAN).contains("a distance of NaN"));
        assert!(wrong(|band| band.samples_min = 1).contains("after 2 or more"));
        assert!(wrong(|band| band.memory_samples = 19).contains("remembers 19"));
    }

    #[test]
    fn rules_of_one_name_differ_in_their_labels() {
        let labelled = AlertRule {
            labels: [("severity".into(), "page".into())].into(),
            ..rule()
        };
        let check = |rules: Vec<AlertRule>| {
            let config = AlertsConfig {
                rules,
                ..AlertsConfig::default()
            };
            config.check().map_err(|error| error.to_string())
        };
        assert_eq!(check([rule(), labelled.clone()].into()), Ok(()));
        let twice = check([labelled.clone(), rule(), labelled].into()).unwrap_err();
        assert!(twice.starts_with("alert Hot: another rule"), "{twice}");
        let many = check(alloc::vec![rule(); ALERT_RULES_MAX + 1]).unwrap_err();
        assert!(many.starts_with("1001 alert rules"), "{many}");
    }

    #[test]
    fn an_interval_is_a_second_or_more() {
        let check = |ms| {
            let config = AlertsConfig {
                interval: Duration::from_millis(ms),
                ..AlertsConfig::default()
            };
            config.check().map_err(|error| error.to_string())
        };
        let said = check(999).unwrap_err();
        assert!(said.contains("999ms"), "{said}");
        assert_eq!(check(1_000), Ok(()));
    }

    #[test]
    fn comparisons_are_those_of_promql() {
        let holds = |left, right| Comparison::ALL.map(|op| op.holds(left, right));
        assert_eq!(holds(2.0, 1.0), [true, true, false, false, false, true]);
        assert_eq!(holds(1.0, 1.0), [false, true, false, true, true, false]);
        assert_eq!(
            holds(f64::NAN, 1.0),
            [false, false, false, false, false, true]
        );
        assert_eq!(holds(-0.0, 0.0), [false, true, false, true, true, false]);
    }
}
