//! When each target of a source is collected, and what became of its last scrape.
//!
//! The invariant: the schedule lists every target exactly once, at the instant it is due. A target
//! keeps its own moment of the interval, drawn once, so that many do not come at once and its
//! samples lie evenly.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::local::Instance;
use crate::{Instant, Random, SourceConfig, UnixMillis};

/// The targets of one source that are collected; none where it is only asked.
#[derive(Debug, Default)]
pub(crate) struct Collecting {
    interval: Duration,
    targets: BTreeMap<Arc<str>, Collected>,
    schedule: BTreeSet<(Instant, Arc<str>)>,
}

/// A target that is collected.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) due: Instant,
    /// Whether a fetch under way is to be taken in.
    pub(crate) awaited: bool,
    pub(crate) instance: Instance,
    pub(crate) last: Option<LastScrape>,
}

/// What became of a target's last scrape.
#[derive(Clone, Debug, PartialEq)]
pub struct LastScrape {
    /// When it began.
    pub at: UnixMillis,
    /// How long it took.
    pub took: Duration,
    /// How many samples the target exposed; 0 where the scrape failed.
    pub samples: usize,
    /// How many of them were refused.
    pub refused: usize,
    /// How many series were not held before.
    pub series_added: usize,
    /// Why it failed, or why the first sample was refused.
    pub error: Option<String>,
    /// Whether it succeeded: `up`.
    pub succeeded: bool,
}

impl Collecting {
    /// Collects by these settings from now on. Hands back what is no longer collected, or is under
    /// other labels.
    pub(crate) fn configure(
        &mut self,
        settings: &SourceConfig,
        random: &mut Random,
        now: Instant,
    ) -> Vec<(Arc<str>, Instance)> {
        let interval = settings.collect_interval;
        let is_kept = |target: &str, collected: &Collected| {
            !interval.is_zero()
                && settings.targets.iter().any(|kept| kept == target)
                && collected.instance.honors_labels() == settings.honor_labels
        };
        let ended = self
            .targets
            .extract_if(.., |target, collected| !is_kept(target, collected));
        let ended: Vec<_> = ended
            .map(|(target, collected)| (target, collected.instance))
            .collect();
        if interval != self.interval {
            // Each finds its moment of the new interval.
            for collected in self.targets.values_mut() {
                collected.due = first_due(interval, random, now);
            }
            self.interval = interval;
        }
        if !interval.is_zero() {
            for target in &settings.targets {
                if !self.targets.contains_key(&**target) {
                    let collected = Collected {
                        due: first_due(interval, random, now),
                        awaited: false,
                        instance: Instance::new(&settings.name, target, settings.honor_labels),
                        last: None,
                    };
                    self.targets.insert(target.as_str().into(), collected);
                }
            }
        }
        let due = self.targets.iter();
        self.schedule = due.map(|(target, of)| (of.due, target.clone())).collect();
        ended
    }

    /// The next target that is due; it is awaited from now on, and due again an interval after
    /// it was, or at the first such moment that lies ahead.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Arc<str>> {
        let (due, _) = self.schedule.first().filter(|(due, _)| *due <= now)?;
        let due = *due;
        let (_, target) = self.schedule.pop_first()?;
        let interval_ns = self.interval.as_nanos().max(1);
        let missed = now.since(due).as_nanos() / interval_ns;
        let ahead_ns = (missed + 1).saturating_mul(interval_ns);
        let ahead = Duration::from_nanos(u64::try_from(ahead_ns).unwrap_or(u64::MAX));
        let collected = self.targets.get_mut(&target)?;
        collected.due = due + ahead;
        collected.awaited = true;
        self.schedule.insert((collected.due, target.clone()));
        Some(target)
    }

    /// When the next target is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.schedule.first().map(|(due, _)| *due)
    }

    pub(crate) fn target(&self, target: &str) -> Option<&Collected> {
        self.targets.get(target)
    }

    pub(crate) fn target_mut(&mut self, target: &str) -> Option<&mut Collected> {
        self.targets.get_mut(target)
    }
}

/// Anywhere within the first interval, in whole milliseconds, as samples are dated.
fn first_due(interval: Duration, random: &mut Random, now: Instant) -> Instant {
    let interval_ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
    now + Duration::from_millis(random.below(interval_ms))
}
