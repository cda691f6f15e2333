//! Tidegate's own series, and what can be asked of them: selectors, at an instant or over a range,
//! and lists.

mod asking;
mod list;
mod outbox;
mod refusing;
mod scraped;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use tidegate_series::{
    AppendError, DescribeError, Labels, Matcher, Metadata, Nearing, Ring, SeriesHandle, Store,
    stale_marker,
};

use crate::record::{Record, Recorded, Refusal};
use crate::{Appended, ConfigError, LocalConfig, QueryError, UnixMillis};

use self::outbox::Outbox;
use self::refusing::Refusing;

pub(crate) use asking::{LocalAnswer, LocalOptions};
pub use scraped::family_of;
pub(crate) use scraped::{Instance, Scrape};

/// How far ahead of the wall clock a sample may lie: clocks of machines differ by less, and a
/// sample from the far future would shut its series for everything that comes before it.
const AHEAD_MAX: Duration = Duration::from_secs(600);

#[derive(Debug)]
pub(crate) struct Local {
    store: Store,
    lookback_ms: i64,
    expire_after: Duration,
    /// Where the series of each source's last batch are, in its order: most batches are like the
    /// one before.
    known: BTreeMap<String, Vec<SeriesHandle>>,
    refusing: Refusing,
    outbox: Outbox,
}

/// What is worth a line in a log.
#[derive(Debug)]
pub(crate) enum Notice {
    /// A limit comes near.
    Near(Nearing),
    /// Samples are refused.
    Refused(String),
    /// They are no more.
    Cleared(String),
}

impl Local {
    /// # Errors
    /// What is wrong with the bounds of single metrics.
    pub(crate) fn new(config: &LocalConfig) -> Result<Self, ConfigError> {
        Ok(Self {
            store: Store::with_rules(config.limits(), config.rules()?),
            lookback_ms: as_ms(config.lookback),
            expire_after: config.expire_after,
            known: BTreeMap::new(),
            refusing: Refusing::default(),
            outbox: Outbox::default(),
        })
    }

    pub(crate) const fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) const fn store_mut(&mut self) -> &mut Store {
        &mut self.store
    }

    /// Whether what is added is kept for [`take_appended`](Self::take_appended) from now on, with
    /// what was described before.
    pub(crate) fn feed_sinks(&mut self, feeds_sinks: bool) {
        if self.outbox.switch(feeds_sinks) {
            for (name, metadata) in self.store.descriptions() {
                self.outbox.family(name, metadata);
            }
        }
    }

    /// What was added since this was called last, if anything.
    pub(crate) fn take_appended(&mut self) -> Option<Appended> {
        self.outbox.take()
    }

    /// Keeps a description, if it says something new.
    pub(crate) fn describe(
        &mut self,
        name: &str,
        metadata: &Metadata,
    ) -> Result<(), DescribeError> {
        if self.store.metadata(name) != Some(metadata) {
            self.store.describe(name, metadata.clone())?;
            self.outbox.family(name, metadata);
        }
        Ok(())
    }

    /// Adds a batch, and the notices of it to those given.
    pub(crate) fn record(
        &mut self,
        record: &Record,
        wall: UnixMillis,
        notices: &mut Vec<Notice>,
    ) -> Recorded {
        let mut recorded = Recorded::default();
        for (index, family) in record.families.iter().enumerate() {
            if let Err(error) = self.describe(&family.name, &family.metadata) {
                recorded.families_refused.push((index, error));
            }
        }
        let mut known = self.known.remove(&record.source).unwrap_or_default();
        known.resize_with(record.samples.len(), nobody);
        for (index, (sample, handle)) in record.samples.iter().zip(&mut known).enumerate() {
            if handle.labels() != &sample.labels {
                *handle = SeriesHandle::new(sample.labels.clone());
            }
            match self.append(handle, sample.timestamp_ms, sample.value, wall) {
                Ok(()) => recorded.accepted += 1,
                Err(refusal) => {
                    let told = self.refusing.note(&sample.labels, &refusal);
                    notices.extend(told.map(Notice::Refused));
                    recorded.refused.push((index, refusal));
                    // The labels of what is refused are not held on to.
                    *handle = nobody();
                }
            }
        }
        self.known.insert(record.source.clone(), known);
        let nearing = self.store.take_nearing().into_iter();
        notices.extend(nearing.map(Notice::Near));
        recorded
    }

    pub(crate) const fn lookback_ms(&self) -> i64 {
        self.lookback_ms
    }

    /// Adds a sample of Tidegate's own, which is of this instant.
    pub(crate) fn keep(
        &mut self,
        labels: &Labels,
        value: f64,
        at: UnixMillis,
    ) -> Result<(), AppendError> {
        self.store.append(labels, at.0, value)?;
        self.outbox.sample(labels, at.0, value);
        Ok(())
    }

    /// Adds a sample whose time is believable now.
    fn append(
        &mut self,
        handle: &mut SeriesHandle,
        timestamp_ms: i64,
        value: f64,
        wall: UnixMillis,
    ) -> Result<(), Refusal> {
        let latest_ms = wall.0.saturating_add(as_ms(AHEAD_MAX));
        if timestamp_ms > latest_ms {
            return Err(Refusal::TooFarAhead {
                timestamp_ms,
                latest_ms,
            });
        }
        self.store
            .append_by(handle, timestamp_ms, value)
            .map_err(Refusal::Append)?;
        self.outbox.sample(handle.labels(), timestamp_ms, value);
        Ok(())
    }

    /// Lets go of where a source's series are; the series stay.
    pub(crate) fn forget(&mut self, source: &str) {
        self.known.remove(source);
    }

    /// The matchers of each of these selectors.
    pub(crate) fn matchers(selectors: &[String]) -> Result<Vec<Vec<Matcher>>, QueryError> {
        let selectors = list::selectors(selectors.iter().map(String::as_str))?;
        let matchers = selectors.into_iter().map(|selector| selector.matchers);
        Ok(matchers.collect())
    }

    /// The series that any of these selectors wants, or all without one.
    pub(crate) fn held(
        &self,
        selectors: &[String],
    ) -> Result<BTreeMap<&Labels, &Ring>, QueryError> {
        let selectors = Self::matchers(selectors)?;
        let mut held = BTreeMap::new();
        for matchers in &selectors {
            held.extend(self.store.select(matchers));
        }
        if selectors.is_empty() {
            held.extend(self.store.select(&[]));
        }
        Ok(held)
    }

    /// Ends and drops series that stopped arriving; what there is to tell since.
    pub(crate) fn cleanup(&mut self, wall: UnixMillis) -> Vec<Notice> {
        for (labels, ended_ms) in self.store.end_overdue(wall.0) {
            self.outbox.sample(&labels, ended_ms, stale_marker());
        }
        let after_ms = u64::try_from(self.expire_after.as_millis()).unwrap_or(u64::MAX);
        self.store.expire(wall.0, after_ms);
        let cleared = self.refusing.settle().into_iter().map(Notice::Cleared);
        cleared.collect()
    }
}

/// A handle of no series that anybody pushes.
fn nobody() -> SeriesHandle {
    SeriesHandle::new(Labels::default())
}

fn as_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::Sample;

    pub(super) fn local(samples: &[(&str, i64, f64)]) -> Local {
        let mut local = Local::new(&LocalConfig::default()).unwrap();
        let sample = |&(cpu, timestamp_ms, value): &(&str, i64, f64)| Sample {
            labels: Labels::from_pairs([("__name__", "node_load1"), ("cpu", cpu)]).unwrap(),
            timestamp_ms,
            value,
        };
        let record = Record {
            source: "node".into(),
            families: vec![],
            samples: samples.iter().map(sample).collect(),
        };
        let recorded = local.record(&record, UnixMillis(1_000_000), &mut vec![]);
        assert_eq!(recorded.refused, vec![]);
        local
    }

    #[test]
    fn a_batch_reaches_its_series_whatever_came_before() {
        let mut local = local(&[]);
        let sample = |cpu: &str, timestamp_ms| Sample {
            labels: Labels::from_pairs([("__name__", "load"), ("cpu", cpu)]).unwrap(),
            timestamp_ms,
            value: 1.0,
        };
        let record = |local: &mut Local, samples: &[(&str, i64)]| {
            let record = Record {
                source: "node".into(),
                families: vec![],
                samples: samples
                    .iter()
                    .map(|&(cpu, t_ms)| sample(cpu, t_ms))
                    .collect(),
            };
            let recorded = local.record(&record, UnixMillis(1_000_000), &mut vec![]);
            (recorded.accepted, recorded.refused.len())
        };
        // The same again, in another order, fewer, refused ones, and after all have expired.
        assert_eq!(record(&mut local, &[("0", 1), ("1", 1), ("2", 1)]), (3, 0));
        assert_eq!(record(&mut local, &[("0", 2), ("1", 2), ("2", 2)]), (3, 0));
        assert_eq!(record(&mut local, &[("2", 3), ("0", 3)]), (2, 0));
        assert_eq!(record(&mut local, &[("2", 1), ("0", 4), ("1", 4)]), (2, 1));
        assert_eq!(record(&mut local, &[("2", 4), ("0", 5), ("1", 5)]), (3, 0));
        let held = |local: &Local| -> Vec<(String, usize)> {
            let all = local.store.select(&[]);
            all.map(|(labels, ring)| (labels.value("cpu").unwrap().into(), ring.len()))
                .collect()
        };
        let expected = [("0", 5), ("1", 4), ("2", 4)];
        assert_eq!(held(&local), expected.map(|(cpu, n)| (cpu.into(), n)));
        local.store.expire(10, 0);
        assert_eq!(record(&mut local, &[("2", 9), ("1", 1)]), (2, 0));
        let expected = [("1", 1), ("2", 1)];
        assert_eq!(held(&local), expected.map(|(cpu, n)| (cpu.into(), n)));
    }

    #[test]
    fn a_sample_from_the_far_future_is_refused_and_shuts_nothing() {
        let mut local = local(&[]);
        let labels = Labels::from_pairs([("__name__", "a")]).unwrap();
        let at = |timestamp_ms| Sample {
            labels: labels.clone(),
            timestamp_ms,
            value: 1.0,
        };
        let record = Record {
            samples: vec![at(600_001), at(600_000)],
            ..Record::default()
        };
        let recorded = local.record(&record, UnixMillis(0), &mut vec![]);
        assert_eq!((recorded.accepted, recorded.refused.len()), (1, 1));
        assert!(matches!(
            recorded.refused[0],
            (0, Refusal::TooFarAhead { .. })
        ));
    }
}
