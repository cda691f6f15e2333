//! What the collector's own series are told, and tell.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use tidegate_series::{
    AggregateLimits, AggregateQuery, DescribeError, Group, Labels, Metadata, Ring, aggregate,
};

use super::Collector;
use crate::local::{Local, Notice};
use crate::{Aggregation, AggregationError, Event, Level, Now, Output, QueryError};

impl Collector {
    /// Says what one of Tidegate's own metrics is, and how often each of its series is expected,
    /// where that is known. A series that misses more than five such intervals has ended, which a
    /// stale marker says. What the configuration says of the interval counts before this.
    ///
    /// # Errors
    /// A name that is none, a text that is too long, or one metric too many.
    pub fn register_metric(
        &mut self,
        name: &str,
        metadata: Metadata,
        interval: Option<Duration>,
    ) -> Result<(), DescribeError> {
        self.local.describe(name, &metadata)?;
        let ms = |interval: Duration| u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        let store = self.local.store_mut();
        store.expect_every(name, interval.map(ms))
    }

    /// Tidegate's own series that any of these selectors wants, or all without one, by their labels.
    ///
    /// # Errors
    /// A text that is no selector, or has a range or an offset.
    pub fn held(&self, selectors: &[String]) -> Result<BTreeMap<&Labels, &Ring>, QueryError> {
        self.local.held(selectors)
    }

    /// Statistics of Tidegate's own series over windows: a group for each combination of labels
    /// that has samples in one of them, in the order of the labels.
    ///
    /// # Errors
    /// A selector, a range, a window or a grouping that is none; more than one answer may look at
    /// or tell, whose bounds are those of [`AggregateLimits`].
    pub fn aggregate(&self, asked: &Aggregation, now: Now) -> Result<Vec<Group>, AggregationError> {
        let mut selectors =
            Local::matchers(&asked.selectors).map_err(AggregationError::Selector)?;
        if selectors.is_empty() {
            selectors.push(Vec::new());
        }
        let query = AggregateQuery {
            selectors,
            window_ms: u64::try_from(asked.window.as_millis()).unwrap_or(u64::MAX),
            steps: asked.steps(now.wall).map_err(AggregationError::Range)?,
            grouping: asked.grouping.clone(),
            statistics: asked.statistics.clone(),
        };
        aggregate(self.series(), &query, &AggregateLimits::default())
            .map_err(AggregationError::Aggregate)
    }

    /// Passes on what is worth a line, as of this source, and of what this key names.
    pub(super) fn tell(&mut self, source: &Arc<str>, key: Option<&Arc<str>>, notices: Vec<Notice>) {
        for notice in notices {
            let (level, name, detail) = match notice {
                Notice::Near(nearing) => (Level::Warn, "limit-near", nearing.to_string()),
                Notice::Refused(detail) => (Level::Warn, "samples-refused", detail),
                Notice::Cleared(detail) => (Level::Info, "samples-refused-no-more", detail),
            };
            self.outputs.push_back(Output::Event(Event {
                level,
                name,
                source: source.clone(),
                key: key.cloned(),
                detail,
            }));
        }
    }
}
