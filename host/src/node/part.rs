//! Parts of the machine that are looked at, each failing for itself alone.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use tidegate_core::Record;

use super::batch::{Batch, LabelCache};

/// One part of the machine.
pub(super) trait Part: Send {
    /// What it is called in logs.
    fn name(&self) -> &'static str;

    /// Adds what it sees. What was added before an error stays.
    fn collect(&mut self, batch: &mut Batch<'_>) -> Result<()>;
}

/// A part that is a function.
impl<F> Part for (&'static str, F)
where
    F: FnMut(&mut Batch<'_>) -> Result<()> + Send,
{
    fn name(&self) -> &'static str {
        self.0
    }

    fn collect(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        (self.1)(batch)
    }
}

/// The parts that one thread looks at.
pub(super) struct Roster {
    source: &'static str,
    entries: Vec<Entry>,
    cache: LabelCache,
}

struct Entry {
    part: Box<dyn Part>,
    /// The failure that was logged last, until the part works again.
    failure: Option<String>,
}

impl Roster {
    pub(super) fn new(source: &'static str, parts: Vec<Box<dyn Part>>) -> Self {
        let entries = parts
            .into_iter()
            .map(|part| Entry {
                part,
                failure: None,
            })
            .collect();
        Self {
            source,
            entries,
            cache: LabelCache::default(),
        }
    }

    /// Looks at every part. Failures are logged when they begin, change and end.
    pub(super) fn collect(&mut self) -> Record {
        let mut batch = Batch::new(&mut self.cache, unix_ms());
        for entry in &mut self.entries {
            let failure = entry
                .part
                .collect(&mut batch)
                .err()
                .map(|error| format!("{error:#}"));
            if entry.failure != failure {
                log_change(entry.part.name(), failure.as_deref());
                entry.failure = failure;
            }
        }
        batch.finish(self.source)
    }
}

fn log_change(part: &str, failure: Option<&str>) {
    match failure {
        Some(error) => tracing::warn!(
            part,
            error,
            "the node source cannot see a part of this machine"
        ),
        None => tracing::info!(part, "the node source sees this part of the machine again"),
    }
}

fn unix_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::metrics::LOAD1;
    use super::*;

    #[test]
    fn a_part_that_fails_takes_nothing_from_the_others() {
        let mut turn = 0;
        let flaky = move |batch: &mut Batch<'_>| {
            turn += 1;
            anyhow::ensure!(turn != 2, "no luck");
            batch.push(&LOAD1, &[("turn", "x")], 1.0);
            Ok(())
        };
        let steady = |batch: &mut Batch<'_>| {
            batch.push(&LOAD1, &[], 2.0);
            Ok(())
        };
        let mut roster = Roster::new(
            "node",
            vec![Box::new(("flaky", flaky)), Box::new(("steady", steady))],
        );
        let counts: Vec<usize> = (0..3).map(|_| roster.collect().samples.len()).collect();
        assert_eq!(counts, [2, 1, 2]);
        assert!(roster.entries.iter().all(|entry| entry.failure.is_none()));
    }
}
