//! Questions that wait for their turn at a source: by priority, then in order of arrival.

use alloc::collections::BTreeSet;
use core::cmp::Reverse;

use crate::Priority;
use crate::flight::FlightId;

/// Flights in the order in which they are fetched.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: BTreeSet<(Reverse<Priority>, FlightId)>,
}

impl Queue {
    /// Flights are named in order of their beginning, so among equals the earlier goes first.
    pub(crate) fn push(&mut self, priority: Priority, id: FlightId) {
        self.waiting.insert((Reverse(priority), id));
    }

    pub(crate) fn pop(&mut self) -> Option<FlightId> {
        self.waiting.pop_first().map(|(_, id)| id)
    }

    pub(crate) fn remove(&mut self, priority: Priority, id: FlightId) {
        self.waiting.remove(&(Reverse(priority), id));
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}
