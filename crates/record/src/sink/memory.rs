//! The memory sink: samples in a store of this program, to be asked at any time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tidegate_series::{Store, StoreLimits};

use super::lost::Lost;
use super::{Sink, SinkError};
use crate::Batch;

/// What a [`MemorySink`] holds, read from anywhere.
///
/// ```
/// use tidegate_record::{Batch, Memory, Sink};
/// use tidegate_series::{Labels, MatchOp, Matcher, Sample, StoreLimits};
///
/// let memory = Memory::new(StoreLimits::default());
/// let labels = Labels::from_pairs([("__name__", "load"), ("host", "a")])?;
/// let samples = vec![Sample { labels, timestamp_ms: 1_000, value: 0.5 }];
/// memory.sink().write(&Batch { samples, ..Batch::default() })?;
///
/// let of_a = [Matcher::new("host", MatchOp::Equal, "a")?];
/// let loads: Vec<_> = memory.read(|store| {
///     store.select(&of_a).map(|(_, ring)| ring.at(2_000, 300_000)).collect()
/// });
/// assert_eq!(loads, [Some((1_000, 0.5))]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Memory {
    store: Arc<Mutex<Store>>,
}

impl Memory {
    /// An empty memory within these limits.
    #[must_use]
    pub fn new(limits: StoreLimits) -> Self {
        Self {
            store: Arc::new(Mutex::new(Store::new(limits))),
        }
    }

    /// A sink that writes into it.
    #[must_use]
    pub fn sink(&self) -> MemorySink {
        MemorySink {
            memory: self.clone(),
            newest_ms: i64::MIN,
        }
    }

    /// What `read` makes of the store. The sink waits meanwhile, so it should be quick.
    pub fn read<T>(&self, read: impl FnOnce(&Store) -> T) -> T {
        self.with(|store| read(store))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Store) -> T) -> T {
        // What panicked was a reader, which cannot leave a store half changed.
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut store)
    }
}

/// Writes samples and descriptions into a [`Memory`]; events are not kept.
///
/// The rules are the store's: what is older than the newest sample of its series, another value at the
/// same time, and what is over a limit is refused, counted as dropped, and said. A stale marker ends its
/// series there: look-backs stop at it. Series whose newest sample is older than the limits' age,
/// reckoned from the newest sample of all, are forgotten at a flush.
#[derive(Debug)]
pub struct MemorySink {
    memory: Memory,
    newest_ms: i64,
}

impl Sink for MemorySink {
    fn write(&mut self, batch: &Batch) -> Result<(), SinkError> {
        let mut lost = Lost::default();
        let newest_ms = batch.samples.iter().map(|sample| sample.timestamp_ms).max();
        self.newest_ms = self.newest_ms.max(newest_ms.unwrap_or(i64::MIN));
        self.memory.with(|store| {
            for family in &batch.families {
                if let Err(error) = store.describe(&family.name, family.metadata.clone()) {
                    lost.say(0, || format!("{:?} is not described: {error}", family.name));
                }
            }
            for sample in &batch.samples {
                let appended = store.append(&sample.labels, sample.timestamp_ms, sample.value);
                if let Err(error) = appended {
                    lost.say(1, || format!("{}: {error}", sample.labels));
                }
            }
        });
        lost.into_result()
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        // A sample from the future makes nothing older than it is.
        let now_ms = self.newest_ms.min(wall_ms());
        // However old they get: the limits of the store say how old.
        self.memory.with(|store| store.expire(now_ms, u64::MAX));
        Ok(())
    }
}

/// Milliseconds since 1970 UTC.
fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let ms = since.unwrap_or_default().as_millis();
    i64::try_from(ms).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use tidegate_series::{Family, Labels, Metadata, MetricKind, Sample, stale_marker};

    use super::*;

    fn sample(name: &str, timestamp_ms: i64, value: f64) -> Sample {
        Sample {
            labels: Labels::from_pairs([("__name__", name)]).unwrap(),
            timestamp_ms,
            value,
        }
    }

    fn batch(samples: Vec<Sample>) -> Batch {
        Batch {
            samples,
            ..Batch::default()
        }
    }

    fn value_at(memory: &Memory, t_ms: i64) -> Option<f64> {
        memory.read(|store| {
            let (_, ring) = store.select(&[]).next()?;
            ring.at(t_ms, 1_000).map(|(_, value)| value)
        })
    }

    #[test]
    fn what_is_written_can_be_asked_for_until_the_series_is_stale() {
        let memory = Memory::new(StoreLimits::default());
        let mut sink = memory.sink();
        sink.write(&batch(vec![sample("a", 1, 2.0)])).unwrap();
        assert_eq!(value_at(&memory, 5), Some(2.0));
        sink.write(&batch(vec![sample("a", 10, stale_marker())]))
            .unwrap();
        assert_eq!(
            (value_at(&memory, 9), value_at(&memory, 10)),
            (Some(2.0), None)
        );
    }

    #[test]
    fn descriptions_are_kept() {
        let memory = Memory::default();
        let metadata = Metadata {
            kind: MetricKind::Counter,
            ..Metadata::default()
        };
        let family = Family {
            name: "a".to_owned(),
            metadata: metadata.clone(),
        };
        let families = vec![family];
        let described = Batch {
            families,
            ..Batch::default()
        };
        memory.sink().write(&described).unwrap();
        assert_eq!(
            memory.read(|store| store.metadata("a").cloned()),
            Some(metadata)
        );
    }

    #[test]
    fn what_the_store_refuses_is_dropped_and_the_rest_is_taken() {
        let memory = Memory::default();
        let mut sink = memory.sink();
        let samples = vec![
            sample("a", 5, 1.0),
            sample("a", 4, 1.0),
            sample("a", 5, 2.0),
            sample("b", 4, 1.0),
        ];
        let error = sink.write(&batch(samples)).unwrap_err();
        let said = "a: sample at 4 ms is older than the newest at 5 ms; and 1 more";
        assert_eq!((error.dropped, error.message.as_str()), (2, said));
        assert_eq!(memory.read(Store::sample_count), 2);
    }

    #[test]
    fn series_older_than_the_limit_are_forgotten_at_a_flush() {
        let memory = Memory::new(StoreLimits {
            age_max_ms: 100,
            ..StoreLimits::default()
        });
        let mut sink = memory.sink();
        let samples = vec![
            sample("a", 0, 1.0),
            sample("b", 1, 1.0),
            sample("c", 101, 1.0),
        ];
        sink.write(&batch(samples)).unwrap();
        assert_eq!(memory.read(Store::len), 3);
        sink.flush().unwrap();
        let left = |memory: &Memory| memory.read(Store::len);
        assert_eq!(left(&memory), 1);
        sink.write(&batch(vec![
            sample("d", i64::MAX, 1.0),
            sample("e", wall_ms(), 1.0),
        ]))
        .unwrap();
        sink.flush().unwrap();
        assert_eq!(left(&memory), 2, "only c is old");
    }
}
