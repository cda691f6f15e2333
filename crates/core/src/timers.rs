//! Every deadline of the collector in one table; the soonest is what the driver waits for.

use alloc::collections::BTreeSet;

use crate::flight::FlightId;
use crate::tracker::TrackId;
use crate::{AskId, Deadline, Instant, Wake};

/// What is due. Among equal deadlines the order below holds, so that a fetch that ends by
/// timeout replies to its askers before their own deadlines are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A question runs out of time.
    Flight(FlightId),
    /// An asker stops waiting.
    Ask(AskId),
    /// A failed fetch is due for another try.
    Retry(FlightId),
    /// A key that is read is due for a fetch in the background.
    Refresh(TrackId),
    /// Some target of the source at this place is due to be collected.
    Collect(usize),
    /// The source at this place is due for a probe.
    Probe(usize),
    /// Alert rules are due to be looked at.
    Alerts,
    /// Cache and series are due for a cleanup.
    Cleanup,
}

#[derive(Debug, Default)]
pub(crate) struct Timers {
    due: BTreeSet<(Instant, Timer)>,
}

impl Timers {
    pub(crate) fn set(&mut self, at: Instant, timer: Timer) {
        self.due.insert((at, timer));
    }

    pub(crate) fn clear(&mut self, at: Instant, timer: Timer) {
        self.due.remove(&(at, timer));
    }

    /// Clears what is due for the source at this place, whenever that is.
    pub(crate) fn clear_source(&mut self, source: usize) {
        let of_source = [Timer::Probe(source), Timer::Collect(source)];
        self.due.retain(|(_, timer)| !of_source.contains(timer));
    }

    /// Clears the look at alert rules, whenever it is due.
    pub(crate) fn clear_alerts(&mut self) {
        self.due.retain(|(_, timer)| *timer != Timer::Alerts);
    }

    /// Takes out the soonest timer whose instant has come.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        let first = *self.due.first().filter(|(at, _)| *at <= now)?;
        self.due.remove(&first);
        Some(first.1)
    }

    pub(crate) fn soonest(&self) -> Option<Deadline> {
        let (at, timer) = *self.due.first()?;
        let wake = match timer {
            Timer::Flight(_) => Wake::FetchTimeout,
            Timer::Retry(_) => Wake::Retry,
            Timer::Refresh(_) => Wake::Refresh,
            Timer::Ask(_) => Wake::AskTimeout,
            Timer::Collect(_) => Wake::Collect,
            Timer::Probe(_) => Wake::Probe,
            Timer::Alerts => Wake::Alerts,
            Timer::Cleanup => Wake::Cleanup,
        };
        Some(Deadline { at, wake })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_is_due_at_its_instant_and_not_before() {
        let mut timers = Timers::default();
        let at = Instant::from_nanos;
        timers.set(at(5), Timer::Cleanup);
        timers.set(at(5), Timer::Ask(AskId(1)));
        assert_eq!(timers.pop_due(at(4)), None);
        let soonest = Deadline {
            at: at(5),
            wake: Wake::AskTimeout,
        };
        assert_eq!(timers.soonest(), Some(soonest));
        assert_eq!(timers.pop_due(at(5)), Some(Timer::Ask(AskId(1))));
        timers.clear(at(5), Timer::Cleanup);
        assert_eq!(timers.pop_due(at(9)), None);
        assert_eq!(timers.soonest(), None);
    }
}
