//! The inbox: events on their way from the program to whoever pushes them, bounded.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::{EventKind, MetricEvent, WhenFull};

#[derive(Debug)]
pub(crate) struct Inbox {
    /// Whether it takes all events, or custom ones alone.
    takes_all: bool,
    events_max: usize,
    when_full: WhenFull,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<MetricEvent>,
    dropped: u64,
    ending: bool,
}

/// Why whoever empties it was woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// It is time.
    Time,
    /// It is half full.
    HalfFull,
    /// Nobody waits any more.
    End,
}

impl Inbox {
    pub(crate) fn new(takes_all: bool, events_max: usize, when_full: WhenFull) -> Self {
        Self {
            takes_all,
            events_max,
            when_full,
            state: Mutex::default(),
            wake: Condvar::new(),
        }
    }

    pub(crate) const fn takes(&self, kind: EventKind) -> bool {
        self.takes_all || matches!(kind, EventKind::Custom)
    }

    fn half(&self) -> usize {
        self.events_max.div_ceil(2).max(1)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an event in, if it takes its kind; drops one by the policy where it is full.
    pub(crate) fn put(&self, event: &MetricEvent) {
        if !self.takes(event.kind) {
            return;
        }
        let mut state = self.lock();
        if state.events.len() >= self.events_max {
            state.dropped += 1;
            if self.when_full == WhenFull::DropNewest || self.events_max == 0 {
                return;
            }
            state.events.pop_front();
        }
        state.events.push_back(event.clone());
        if state.events.len() == self.half() {
            self.wake.notify_one();
        }
    }

    /// Takes everything out; the number tells how many were dropped since the last time.
    pub(crate) fn take(&self) -> (Vec<MetricEvent>, u64) {
        let mut state = self.lock();
        let dropped = std::mem::take(&mut state.dropped);
        (std::mem::take(&mut state.events).into(), dropped)
    }

    /// Waits until there is something to do.
    pub(crate) fn wait(&self, until: Instant) -> Woken {
        let mut state = self.lock();
        loop {
            if state.ending {
                return Woken::End;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Woken::Time;
            }
            if state.events.len() >= self.half() {
                return Woken::HalfFull;
            }
            let waited = self.wake.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(crate) fn end(&self) {
        self.lock().ending = true;
        self.wake.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tidegate_series::Labels;

    fn event(kind: EventKind, value: f64) -> MetricEvent {
        MetricEvent {
            labels: Labels::default(),
            kind,
            value,
            timestamp_ms: 0,
        }
    }

    fn kept(when_full: WhenFull) -> (Vec<f64>, u64) {
        let inbox = Inbox::new(true, 2, when_full);
        for value in 0..5 {
            inbox.put(&event(EventKind::Gauge, f64::from(value)));
        }
        let (events, dropped) = inbox.take();
        assert_eq!(inbox.take(), (Vec::new(), 0));
        (
            events.into_iter().map(|event| event.value).collect(),
            dropped,
        )
    }

    #[test]
    fn a_full_inbox_drops_by_its_policy() {
        assert_eq!(kept(WhenFull::DropOldest), (vec![3.0, 4.0], 3));
        assert_eq!(kept(WhenFull::DropNewest), (vec![0.0, 1.0], 3));
    }

    #[test]
    fn some_take_custom_events_alone() {
        let inbox = Inbox::new(false, 9, WhenFull::DropOldest);
        inbox.put(&event(EventKind::Counter, 1.0));
        inbox.put(&event(EventKind::Custom, 2.0));
        assert_eq!(inbox.take().0, [event(EventKind::Custom, 2.0)]);
    }

    #[test]
    fn it_wakes_when_it_is_time_and_when_it_is_half_full() {
        let inbox = Inbox::new(true, 4, WhenFull::DropOldest);
        let later = || Instant::now() + Duration::from_secs(60);
        inbox.put(&event(EventKind::Gauge, 0.0));
        inbox.put(&event(EventKind::Gauge, 0.0));
        assert_eq!(inbox.wait(later()), Woken::HalfFull);
        inbox.take();
        assert_eq!(inbox.wait(Instant::now()), Woken::Time);
        inbox.end();
        assert_eq!(inbox.wait(later()), Woken::End);
    }
}
