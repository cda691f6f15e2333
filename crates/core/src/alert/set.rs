//! All rules: looked at together every interval.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use tidegate_series::{Labels, Store};
use tidegate_wire::number::write_rfc3339_ms;

use super::expand::number;
use super::state::{Became, Change};
use super::watch::{Looked, Watch};
use super::{AlertError, AlertRule, AlertRuleStatus, AlertState, AlertsConfig};
use crate::{Instant, Level, Now};

/// The rules of a configuration, and their alerts.
#[derive(Debug)]
pub(crate) struct Alerts {
    interval: Duration,
    watches: Vec<Watch>,
    /// When they are looked at next; `None` without rules.
    pub(crate) due: Option<Instant>,
}

/// What came of looking at all of them.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Samples to be recorded now.
    pub(crate) records: Vec<(Labels, f64)>,
    /// What is worth a line in a log.
    pub(crate) notices: Vec<Notice>,
}

/// A line for the log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) level: Level,
    pub(crate) name: &'static str,
    pub(crate) detail: String,
}

impl Alerts {
    pub(crate) fn new(config: AlertsConfig, now: Now) -> Result<Self, AlertError> {
        config.check()?;
        let watches = config.rules.into_iter().map(Watch::new);
        let watches: Vec<Watch> = watches.collect::<Result<_, _>>()?;
        Ok(Self {
            interval: config.interval,
            due: (!watches.is_empty()).then(|| now.mono + config.interval),
            watches,
        })
    }

    /// Takes these in place of its own. Rules that read the same keep their alerts and what they
    /// learned; the alerts of the others end. An interval under way is not begun anew.
    pub(crate) fn reload(&mut self, mut next: Self) -> Outcome {
        let mut outcome = Outcome::default();
        for mut former in core::mem::take(&mut self.watches) {
            let same = |watch: &&mut Watch| watch.rule == former.rule;
            match next.watches.iter_mut().find(same) {
                Some(watch) => *watch = former,
                None => outcome.add(&former.rule.clone(), former.end()),
            }
        }
        next.due = match (self.due, next.due) {
            (Some(former), Some(due)) => Some(former.min(due)),
            (_, due) => due,
        };
        *self = next;
        outcome
    }

    /// Looks at every rule.
    pub(crate) fn look(&mut self, store: &Store, lookback_ms: i64, now: Now) -> Outcome {
        let mut outcome = Outcome::default();
        for watch in &mut self.watches {
            let looked = watch.look(store, lookback_ms, now);
            outcome.add(&watch.rule, looked);
        }
        self.due = (!self.watches.is_empty()).then(|| now.mono + self.interval);
        outcome
    }

    pub(crate) const fn interval(&self) -> Duration {
        self.interval
    }

    pub(crate) fn rules(&self) -> impl ExactSizeIterator<Item = AlertRuleStatus<'_>> {
        self.watches.iter().map(Watch::status)
    }

    /// How many alerts are in this state.
    pub(crate) fn count(&self, state: AlertState) -> usize {
        let alerts = self.watches.iter().flat_map(|watch| watch.states().iter());
        alerts.filter(|(_, alert)| alert.state == state).count()
    }
}

impl Outcome {
    fn add(&mut self, rule: &AlertRule, looked: Looked) {
        self.records.extend(looked.records);
        let changes = looked.changes.iter();
        self.notices
            .extend(changes.map(|change| notice(rule, change)));
        self.notices.extend(looked.complaint.map(|message| Notice {
            level: Level::Warn,
            name: "alert-rule-failed",
            detail: format!("{}: {message}", rule.name),
        }));
    }
}

fn notice(rule: &AlertRule, change: &Change) -> Notice {
    let (level, name) = match change.became {
        Became::Firing => (Level::Warn, "alert-firing"),
        Became::Pending => (Level::Info, "alert-pending"),
        Became::Resolved => (Level::Info, "alert-resolved"),
        Became::Inactive => (Level::Info, "alert-inactive"),
    };
    let mut since = Vec::new();
    write_rfc3339_ms(change.since.wall.0, &mut since);
    let since = core::str::from_utf8(&since).unwrap_or_default();
    Notice {
        level,
        name,
        detail: format!(
            "{}: {}, value {}, active since {since}",
            change.labels,
            rule.expression(),
            number(change.value),
        ),
    }
}

#[cfg(test)]
mod tests;
