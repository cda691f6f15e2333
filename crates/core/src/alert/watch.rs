//! One rule at work: which series meet it now.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use tidegate_series::{
    AggregateLimits, AggregateQuery, Grouping, Labels, METRIC_NAME, Matcher, Ring, Statistic,
    Steps, Store, aggregate, stale_marker,
};

use super::band::{Band, BandConfig};
use super::rule::{ALERTS, NAME_LABEL, STATE_LABEL};
use super::state::{Change, Found, States, Terms};
use super::{Alert, AlertCondition, AlertError, AlertRule, AlertRuleStatus, Comparison};
use crate::{Now, UnixMillis};

/// Alerts that one rule may have: more are no message, and each is recorded every interval.
const ALERTS_PER_RULE_MAX: usize = 1_000;

/// Series that one rule may look at: as many as are kept by default.
const SERIES_PER_RULE_MAX: usize = 10_000;

/// Samples that one rule may look at each time: a thousand of each of its series, well below a
/// second of work.
const SAMPLES_PER_RULE_MAX: u64 = 10_000_000;

/// A rule, ready to be looked at, and its alerts.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) rule: AlertRule,
    look: Look,
    states: States,
    /// The series of its alerts at the last time, to end those that are over.
    recorded: BTreeSet<Labels>,
    last_error: Option<String>,
    last_evaluation: Option<UnixMillis>,
}

/// What a rule looks at, and how it judges.
#[derive(Debug)]
enum Look {
    Newest {
        matchers: Vec<Matcher>,
        test: Test,
    },
    Window {
        query: AggregateQuery,
        /// What the statistic is divided by.
        divisor: f64,
        test: Test,
    },
    Band {
        matchers: Vec<Matcher>,
        config: BandConfig,
        learned: BTreeMap<Labels, Learned>,
    },
}

#[derive(Clone, Copy, Debug)]
struct Test {
    op: Comparison,
    value: f64,
}

/// A series' band, up to where it was learned, and the verdict on the last sample.
#[derive(Clone, Copy, Debug)]
struct Learned {
    band: Band,
    until_ms: i64,
    outside: bool,
}

/// What came of looking at a rule.
#[derive(Debug, Default)]
pub(super) struct Looked {
    pub(super) changes: Vec<Change>,
    /// The samples of `ALERTS` that say so.
    pub(super) records: Vec<(Labels, f64)>,
    /// What went wrong, where it did not go wrong the same way the last time.
    pub(super) complaint: Option<String>,
}

impl Watch {
    pub(super) fn new(rule: AlertRule) -> Result<Self, AlertError> {
        rule.check()?;
        Ok(Self {
            look: Look::of(&rule)?,
            rule,
            states: States::default(),
            recorded: BTreeSet::new(),
            last_error: None,
            last_evaluation: None,
        })
    }

    /// Looks at the series as they are now. Where that fails, its alerts stay as they are.
    pub(super) fn look(&mut self, store: &Store, lookback_ms: i64, now: Now) -> Looked {
        self.last_evaluation = Some(now.wall);
        let found = match self.look.find(store, lookback_ms, now.wall.0) {
            Ok(found) => self.alerts_of(found),
            Err(message) => Err(message),
        };
        let found = match found {
            Ok(found) => found,
            Err(message) => {
                return Looked {
                    complaint: self.complain(Some(message)),
                    ..Looked::default()
                };
            }
        };
        let terms = Terms {
            pending_for: self.rule.pending_for,
            keep_firing_for: self.rule.keep_firing_for,
            alerts_max: ALERTS_PER_RULE_MAX,
        };
        let (changes, refused) = self.states.update(&found, terms, now);
        let complaint = (refused > 0).then(|| {
            format!("{refused} alerts more than the {ALERTS_PER_RULE_MAX} that a rule may have: select fewer series, or raise the condition")
        });
        Looked {
            changes,
            records: self.records(),
            complaint: self.complain(complaint),
        }
    }

    /// Remembers what is wrong, and says it if it is new.
    fn complain(&mut self, message: Option<String>) -> Option<String> {
        let known = self.last_error.is_some();
        self.last_error = message;
        self.last_error.clone().filter(|_| !known)
    }

    /// The alerts that series make, by their labels.
    fn alerts_of(&self, found: Vec<Found>) -> Result<BTreeMap<Labels, Found>, String> {
        let mut alerts = BTreeMap::new();
        for met in found {
            let labels = self.labels_of(&met.series)?;
            if alerts.contains_key(&labels) {
                return Err(format!(
                    "two series make the same alert {labels}: select one metric, and keep the labels that tell series apart"
                ));
            }
            alerts.insert(labels, met);
        }
        Ok(alerts)
    }

    /// The labels of a series' alert.
    fn labels_of(&self, series: &Labels) -> Result<Labels, String> {
        let own = &self.rule.labels;
        let kept = series.iter().filter(|(name, _)| {
            *name != METRIC_NAME && *name != NAME_LABEL && !own.contains_key(*name)
        });
        let added = own.iter().map(|(name, value)| (&**name, &**value));
        let named = [(NAME_LABEL, &*self.rule.name)];
        Labels::from_pairs(kept.chain(added).chain(named))
            .map_err(|error| format!("the labels of {series} and of the rule: {error}"))
    }

    /// The samples that tell of its alerts: one for each, and the end of each series that has none.
    fn records(&mut self) -> Vec<(Labels, f64)> {
        let series = self.states.iter().filter_map(|(labels, alert)| {
            let told = [(METRIC_NAME, ALERTS), (STATE_LABEL, alert.state.as_str())];
            let kept = labels.iter().filter(|(name, _)| *name != STATE_LABEL);
            // One label too many: the alert is shown, but cannot be recorded.
            Labels::from_pairs(kept.chain(told)).ok()
        });
        let series: BTreeSet<Labels> = series.collect();
        let former = core::mem::replace(&mut self.recorded, series);
        let ended = former.difference(&self.recorded);
        let ended = ended.map(|labels| (labels.clone(), stale_marker()));
        let current = self.recorded.iter().map(|labels| (labels.clone(), 1.0));
        ended.chain(current).collect()
    }

    /// Ends all of its alerts.
    pub(super) fn end(&mut self) -> Looked {
        Looked {
            changes: self.states.end_all(),
            records: self.records(),
            complaint: None,
        }
    }

    pub(super) fn status(&self) -> AlertRuleStatus<'_> {
        let alerts = self.states.iter();
        AlertRuleStatus {
            rule: &self.rule,
            alerts: alerts
                .map(|(labels, active)| Alert::new(&self.rule, labels, active))
                .collect(),
            last_error: self.last_error.as_deref(),
            last_evaluation: self.last_evaluation,
        }
    }

    pub(super) fn states(&self) -> &States {
        &self.states
    }
}

impl Look {
    fn of(rule: &AlertRule) -> Result<Self, AlertError> {
        let matchers = rule.matchers()?;
        Ok(match &rule.condition {
            AlertCondition::Threshold { over, op, value } => {
                let test = Test {
                    op: *op,
                    value: *value,
                };
                match over {
                    None => Self::Newest { matchers, test },
                    Some(over) => {
                        let statistic = over.statistic.parse::<Statistic>();
                        let statistic = statistic.map_err(|error| AlertError::Rule {
                            rule: rule.name.clone(),
                            message: error.to_string(),
                        })?;
                        Self::window(matchers, statistic, as_ms(over.window), 1.0, test)
                    }
                }
            }
            AlertCondition::RateOfChange { window, op, value } => {
                let test = Test {
                    op: *op,
                    value: *value,
                };
                let window_ms = as_ms(*window);
                let divisor = window_ms as f64 / 1_000.0;
                Self::window(matchers, Statistic::Delta, window_ms, divisor, test)
            }
            AlertCondition::Band(config) => Self::Band {
                matchers,
                config: *config,
                learned: BTreeMap::new(),
            },
        })
    }

    fn window(
        matchers: Vec<Matcher>,
        statistic: Statistic,
        window_ms: u64,
        divisor: f64,
        test: Test,
    ) -> Self {
        Self::Window {
            query: AggregateQuery {
                selectors: [matchers].into(),
                window_ms,
                steps: Steps::once(0),
                grouping: Grouping::Series,
                statistics: [statistic].into(),
            },
            divisor,
            test,
        }
    }

    /// The series that meet the condition at this time, in the order of their labels, or why that
    /// cannot be told.
    fn find(&mut self, store: &Store, lookback_ms: i64, at_ms: i64) -> Result<Vec<Found>, String> {
        match self {
            Self::Newest { matchers, test } => {
                let mut found = Vec::new();
                for (series, ring) in few(store, matchers)? {
                    let newest = ring.at(at_ms, lookback_ms).map(|(_, value)| value);
                    found.extend(newest.and_then(|value| test.of(series, value)));
                }
                Ok(found)
            }
            Self::Window {
                query,
                divisor,
                test,
            } => {
                query.steps = Steps::once(at_ms);
                let limits = AggregateLimits {
                    series_max: SERIES_PER_RULE_MAX,
                    samples_max: SAMPLES_PER_RULE_MAX,
                    ..AggregateLimits::default()
                };
                let groups = aggregate(store, query, &limits).map_err(|error| error.to_string())?;
                let met = groups.iter().filter_map(|group| {
                    let value = group.points.first()?.values.first().copied()??;
                    test.of(&group.labels, value / *divisor)
                });
                Ok(met.collect())
            }
            Self::Band {
                matchers,
                config,
                learned,
            } => {
                let series = few(store, matchers)?;
                learned.retain(|labels, _| {
                    series
                        .binary_search_by(|(own, _)| (*own).cmp(labels))
                        .is_ok()
                });
                let mut found = Vec::new();
                for (series, ring) in series {
                    let learned = learned.entry(series.clone()).or_insert_with(|| Learned {
                        band: Band::default(),
                        until_ms: i64::MIN,
                        outside: false,
                    });
                    learned.learn(ring, config, at_ms);
                    let newest = ring.at(at_ms, lookback_ms).filter(|_| learned.outside);
                    found.extend(newest.map(|(_, value)| Found {
                        series: series.clone(),
                        value,
                    }));
                }
                Ok(found)
            }
        }
    }
}

impl Learned {
    /// Judges and learns what is new up to this time.
    fn learn(&mut self, ring: &Ring, config: &BandConfig, at_ms: i64) {
        for (timestamp_ms, value) in ring.window(self.until_ms, at_ms) {
            self.outside = self.band.observe(value, config);
            self.until_ms = timestamp_ms;
        }
    }
}

impl Test {
    fn of(self, series: &Labels, value: f64) -> Option<Found> {
        self.op.holds(value, self.value).then(|| Found {
            series: series.clone(),
            value,
        })
    }
}

/// The series that pass, in the order of their labels, unless they are too many.
fn few<'a>(
    store: &'a Store,
    matchers: &'a [Matcher],
) -> Result<Vec<(&'a Labels, &'a Ring)>, String> {
    let series = store.select(matchers).take(SERIES_PER_RULE_MAX + 1);
    let series: Vec<_> = series.collect();
    if series.len() > SERIES_PER_RULE_MAX {
        return Err(format!("more than {SERIES_PER_RULE_MAX} series match"));
    }
    Ok(series)
}

fn as_ms(duration: core::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
