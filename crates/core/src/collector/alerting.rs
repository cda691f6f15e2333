//! Alert rules: looked at every interval, told in events, and recorded among the series.

use core::time::Duration;

use super::Collector;
use crate::alert::{Alerts, Outcome};
use crate::config::LOCAL;
use crate::timers::Timer;
use crate::{AlertRuleStatus, Event, Now, Output};

impl Collector {
    /// The alert rules in the order of the configuration, with their alerts.
    pub fn alert_rules(&self) -> impl ExactSizeIterator<Item = AlertRuleStatus<'_>> {
        self.alerts.rules()
    }

    /// How often they are looked at.
    pub const fn alert_interval(&self) -> Duration {
        self.alerts.interval()
    }

    pub(super) fn look_at_alerts(&mut self, now: Now) {
        let (store, lookback_ms) = (self.local.store(), self.local.lookback_ms());
        let outcome = self.alerts.look(store, lookback_ms, now);
        self.tell_of_alerts(outcome, now);
        self.schedule_alerts();
    }

    pub(super) fn change_alerts(&mut self, next: Alerts, now: Now) {
        let outcome = self.alerts.reload(next);
        self.tell_of_alerts(outcome, now);
        self.timers.clear_alerts();
        self.schedule_alerts();
    }

    pub(super) fn schedule_alerts(&mut self) {
        if let Some(due) = self.alerts.due {
            self.timers.set(due, Timer::Alerts);
        }
    }

    fn tell_of_alerts(&mut self, outcome: Outcome, now: Now) {
        for (labels, value) in outcome.records {
            // What the series have no room for is counted; the alert itself is told all the same.
            match self.local.keep(&labels, value, now.wall) {
                Ok(()) => self.stats.samples_accepted += 1,
                Err(_) => self.stats.samples_refused += 1,
            }
        }
        let events = outcome.notices.into_iter().map(|notice| {
            Output::Event(Event {
                level: notice.level,
                name: notice.name,
                source: LOCAL.into(),
                key: None,
                detail: notice.detail,
            })
        });
        self.outputs.extend(events);
    }
}
