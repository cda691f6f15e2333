//! Every deadline of the collector in one table; the soonest is what the driver waits for.

use alloc::collections::BTreeSet;

use crate::{AskId, Deadline, FetchId, Instant, Wake};

/// What is due. Among equal deadlines the order below holds, so that a fetch that ends by
/// timeout replies to its askers before their own deadlines are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A fetch runs out of time.
    Fetch(FetchId),
    /// An asker stops waiting.
    Ask(AskId),
    /// The source at this place is due for a probe.
    Probe(usize),
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

    /// Takes out the soonest timer whose instant has come.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        let first = *self.due.first().filter(|(at, _)| *at <= now)?;
        self.due.remove(&first);
        Some(first.1)
    }

    pub(crate) fn soonest(&self) -> Option<Deadline> {
        let (at, timer) = *self.due.first()?;
        let wake = match timer {
            Timer::Fetch(_) => Wake::FetchTimeout,
            Timer::Ask(_) => Wake::AskTimeout,
            Timer::Probe(_) => Wake::Probe,
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
        timers.set(Instant::from_nanos(5), Timer::Cleanup);
        timers.set(Instant::from_nanos(5), Timer::Fetch(FetchId(1)));
        assert_eq!(timers.pop_due(Instant::from_nanos(4)), None);
        assert_eq!(
            timers.soonest(),
            Some(Deadline {
                at: Instant::from_nanos(5),
                wake: Wake::FetchTimeout
            })
        );
        assert_eq!(
            timers.pop_due(Instant::from_nanos(5)),
            Some(Timer::Fetch(FetchId(1)))
        );
        timers.clear(Instant::from_nanos(5), Timer::Cleanup);
        assert_eq!(timers.pop_due(Instant::from_nanos(9)), None);
        assert_eq!(timers.soonest(), None);
    }
}
