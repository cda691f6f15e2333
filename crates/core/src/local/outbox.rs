//! What was added to Tidegate's own series since it was last handed on, for sinks to write.

use tidegate_series::{Family, Labels, Metadata, Sample};

use crate::Appended;

/// Empty, and costs nothing, while there are no sinks.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    feeds_sinks: bool,
    appended: Appended,
}

impl Outbox {
    /// Whether there are sinks from now on; says whether that is new.
    pub(super) fn switch(&mut self, feeds_sinks: bool) -> bool {
        if !feeds_sinks {
            self.appended = Appended::default();
        }
        let before = core::mem::replace(&mut self.feeds_sinks, feeds_sinks);
        feeds_sinks && !before
    }

    pub(super) fn sample(&mut self, labels: &Labels, timestamp_ms: i64, value: f64) {
        if self.feeds_sinks {
            self.appended.samples.push(Sample {
                labels: labels.clone(),
                timestamp_ms,
                value,
            });
        }
    }

    pub(super) fn family(&mut self, name: &str, metadata: &Metadata) {
        if self.feeds_sinks {
            self.appended.families.push(Family {
                name: name.into(),
                metadata: metadata.clone(),
            });
        }
    }

    /// What is to be handed on, once.
    pub(super) fn take(&mut self) -> Option<Appended> {
        let Appended { families, samples } = &self.appended;
        let is_empty = families.is_empty() && samples.is_empty();
        (!is_empty).then(|| core::mem::take(&mut self.appended))
    }
}
