//! Batches: what a sink is handed at once.

use tidegate_series::{Family, Sample};

use crate::MetricEvent;

/// What happened since the last batch, and what it came to. Each sink takes the part that its format
/// can carry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// What each metric is; a sink may hear it again.
    pub families: Vec<Family>,
    /// The state of every series that changed: counters as totals, histograms as their `_bucket`,
    /// `_sum` and `_count`.
    pub samples: Vec<Sample>,
    /// Each event by itself, in the order they were recorded; empty unless some sink takes events.
    pub events: Vec<MetricEvent>,
}

impl Batch {
    /// Whether there is nothing in it to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty() && self.events.is_empty()
    }
}
