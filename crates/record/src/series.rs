//! One series as the registry and its handles share it.

use std::cell::Cell;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use tidegate_series::Labels;
use tidegate_wire::text::LabelText;

use crate::cell::{CounterCell, GaugeCell, HistogramCell};
use crate::inbox::Inbox;
use crate::notice::Listener;
use crate::rules::Recording;
use crate::{EventKind, MetricEvent};

/// A series: its cell, what it is called, and whether it is recorded at all.
///
/// In this order: what is needed to record and to expose it comes first, next to each other.
#[repr(C)]
pub(crate) struct Series<C> {
    gate: Gate,
    /// The tags as they are exposed.
    pub(crate) text: LabelText,
    pub(crate) cell: C,
    /// The metric's name as recorded, and the tags.
    pub(crate) labels: Labels,
    pub(crate) kind: EventKind,
    /// Counts up from 0 within the registry.
    pub(crate) number: usize,
    hub: Arc<Hub>,
}

impl<C> Series<C> {
    pub(crate) fn new(
        cell: C,
        labels: Labels,
        text: LabelText,
        kind: EventKind,
        number: usize,
        hub: Arc<Hub>,
    ) -> Self {
        Self {
            gate: Gate::default(),
            cell,
            labels,
            text,
            kind,
            number,
            hub,
        }
    }

    /// Lets through what holds for it now.
    pub(crate) fn tune(&self, recording: Recording) {
        let sampled = matches!(
            self.kind,
            EventKind::Counter | EventKind::Timer | EventKind::Histogram
        );
        let mode = match recording {
            Recording::Off => OFF,
            Recording::OneIn(n) if sampled && n.get() > 1 => {
                self.gate.one_in.store(n.get(), Relaxed);
                CAREFUL
            }
            Recording::On | Recording::OneIn(_) => {
                self.gate.one_in.store(1, Relaxed);
                if self.hub.takes(self.kind) {
                    CAREFUL
                } else {
                    PLAIN
                }
            }
        };
        self.gate.mode.store(mode, Relaxed);
    }

    /// Whether recording is nothing but writing in the cell.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.gate.mode.load(Relaxed) == PLAIN
    }

    /// Does `plain` where recording is nothing but writing in the cell, `careful` where there is more to it,
    /// and nothing while it is off.
    // Otherwise what the closures capture goes through memory.
    #[inline(always)]
    pub(crate) fn gated(&self, plain: impl FnOnce(&C), careful: impl FnOnce(&Self)) {
        let mode = self.gate.mode.load(Relaxed);
        if mode == PLAIN {
            plain(&self.cell);
        } else if mode != OFF {
            careful(self);
        }
    }

    /// Whether it is recorded, leaving out that it may be sampled.
    pub(crate) fn is_on(&self) -> bool {
        self.gate.mode.load(Relaxed) != OFF
    }

    /// As how many this one counts; `None` if it is not to be recorded.
    pub(crate) fn weight(&self) -> Option<NonZeroU32> {
        if !self.is_on() {
            return None;
        }
        let one_in = NonZeroU32::new(self.gate.one_in.load(Relaxed))?;
        (one_in.get() == 1 || drawn(one_in)).then_some(one_in)
    }

    /// Tells whoever takes events.
    pub(crate) fn tell(&self, value: f64) {
        self.hub.tell(&self.labels, self.kind, value);
    }
}

impl<C> fmt::Debug for Series<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.labels)
    }
}

/// What is let through to a series.
#[derive(Debug)]
struct Gate {
    mode: AtomicU32,
    one_in: AtomicU32,
}

const OFF: u32 = 0;
/// All of it, and nobody is told.
const PLAIN: u32 = 1;
/// It is sampled, or somebody is told.
const CAREFUL: u32 = 2;

impl Default for Gate {
    fn default() -> Self {
        Self {
            mode: AtomicU32::new(PLAIN),
            one_in: AtomicU32::new(1),
        }
    }
}

thread_local! {
    static DRAWS: Cell<u64> = const { Cell::new(0) };
}

/// Whether a draw among so many hits, on a sequence that each thread has for itself.
fn drawn(one_in: NonZeroU32) -> bool {
    // SplitMix64 by Steele, Lea and Flood (2014): a counter that steps by the golden ratio, scrambled.
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    static SEEDS: AtomicU64 = AtomicU64::new(1);
    let state = match DRAWS.get() {
        0 => SEEDS.fetch_add(0x5851_f42d_4c95_7f2d, Relaxed),
        state => state,
    };
    let state = state.wrapping_add(STEP);
    DRAWS.set(state);
    let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    let mixed = mixed ^ mixed >> 31;
    // The upper half of the product is spread evenly over 0..n.
    ((mixed >> 32) * u64::from(one_in.get())) >> 32 == 0
}

/// A series of whichever kind.
#[derive(Clone, Debug)]
pub(crate) enum AnySeries {
    Counter(Arc<Series<CounterCell>>),
    /// A gauge, or the last value of a custom metric.
    Gauge(Arc<Series<GaugeCell>>),
    Histogram(Arc<Series<HistogramCell>>),
}

impl AnySeries {
    pub(crate) fn tune(&self, recording: Recording) {
        match self {
            Self::Counter(series) => series.tune(recording),
            Self::Gauge(series) => series.tune(recording),
            Self::Histogram(series) => series.tune(recording),
        }
    }

    pub(crate) fn kind(&self) -> EventKind {
        match self {
            Self::Counter(series) => series.kind,
            Self::Gauge(series) => series.kind,
            Self::Histogram(series) => series.kind,
        }
    }

    pub(crate) fn number(&self) -> usize {
        match self {
            Self::Counter(series) => series.number,
            Self::Gauge(series) => series.number,
            Self::Histogram(series) => series.number,
        }
    }

    pub(crate) fn labels(&self) -> &Labels {
        match self {
            Self::Counter(series) => &series.labels,
            Self::Gauge(series) => &series.labels,
            Self::Histogram(series) => &series.labels,
        }
    }

    pub(crate) fn text(&self) -> &LabelText {
        match self {
            Self::Counter(series) => &series.text,
            Self::Gauge(series) => &series.text,
            Self::Histogram(series) => &series.text,
        }
    }
}

/// What all series of a registry share: who is told of events, and of what goes wrong.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    pub(crate) inboxes: RwLock<Vec<Arc<Inbox>>>,
    pub(crate) listener: RwLock<Listener>,
    pub(crate) refused: AtomicU64,
    pub(crate) events_dropped: AtomicU64,
}

impl Hub {
    pub(crate) fn takes(&self, kind: EventKind) -> bool {
        let inboxes = self.inboxes.read().unwrap_or_else(PoisonError::into_inner);
        inboxes.iter().any(|inbox| inbox.takes(kind))
    }

    pub(crate) fn listener(&self) -> Listener {
        let listener = self.listener.read().unwrap_or_else(PoisonError::into_inner);
        listener.clone()
    }

    fn tell(&self, labels: &Labels, kind: EventKind, value: f64) {
        let inboxes = self.inboxes.read().unwrap_or_else(PoisonError::into_inner);
        if !inboxes.iter().any(|inbox| inbox.takes(kind)) {
            return;
        }
        let event = MetricEvent {
            labels: labels.clone(),
            kind,
            value,
            timestamp_ms: now_ms(),
        };
        for inbox in &*inboxes {
            inbox.put(&event);
        }
    }
}

/// Now, in milliseconds since 1970 UTC; 0 where the clock is set before that.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    since.as_millis().try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_so_many_is_drawn() {
        for one_in in [1, 2, 7, 1_000] {
            let one_in = NonZeroU32::new(one_in).unwrap();
            let draws = 200_000;
            let hits = (0..draws).filter(|_| drawn(one_in)).count() as f64;
            let expected = f64::from(draws) / f64::from(one_in.get());
            // Six times the deviation that chance has.
            assert!(
                (hits - expected).abs() <= 6.0 * expected.sqrt(),
                "{hits} of {expected}"
            );
        }
    }
}
