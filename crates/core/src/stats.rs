//! What the collector counts about itself. Counters only grow, from 0 at construction.

use core::time::Duration;

/// The upper bounds of the buckets in which the ages of answers are counted, in seconds, each
/// included; what is older counts in one more. They stand around the default thresholds.
pub const AGE_BUCKETS_S: [u64; 7] = [1, 5, 15, 30, 60, 120, 300];

/// A snapshot of the collector's counters and gauges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Asks answered from memory within their ttl.
    pub hits: u64,
    /// Asks answered from memory past their ttl while a newer answer was fetched behind.
    pub stale: u64,
    /// Asks that caused a fetch.
    pub misses: u64,
    /// Asks that joined a fetch in flight.
    pub coalesced: u64,
    /// Asks answered from memory because the source failed.
    pub stale_on_error: u64,
    /// Asks answered from Tidegate's own series.
    pub local: u64,
    /// Asks refused from memory, because the source refused the same a moment ago.
    pub refusals_recalled: u64,
    /// Asks that ended in an error.
    pub errors: u64,
    /// Answers to asks (not [`hit`](crate::Collector::hit)s) by their age: for each bound of [`AGE_BUCKETS_S`] those that are older than the one
    /// before and not older than it, then the rest.
    pub ages: [u64; AGE_BUCKETS_S.len() + 1],
    /// The sum of the ages of all answers, in milliseconds.
    pub age_sum_ms: u64,
    /// Fetches begun, probes included.
    pub fetches: u64,
    /// Fetches that brought no usable response.
    pub fetch_failures: u64,
    /// Fetches tried again after a failure.
    pub retries: u64,
    /// Failures that were worth another try and got none, because the source's budget was spent.
    pub retries_refused: u64,
    /// Bytes of response bodies received.
    pub fetched_bytes: u64,
    /// Responses that came late, twice, or for nothing that was asked.
    pub responses_ignored: u64,
    /// Calls whose monotonic time lay before an earlier call's.
    pub clock_clamped: u64,
    /// Answers dropped to stay within the cache's bytes.
    pub evictions: u64,
    /// Extents of ranges dropped to stay within their half of the cache's bytes.
    pub extent_evictions: u64,
    /// Scrapes of targets that are collected.
    pub scrapes: u64,
    /// Those that failed.
    pub scrapes_failed: u64,
    /// Samples recorded, those of scrapes among them.
    pub samples_accepted: u64,
    /// Samples refused.
    pub samples_refused: u64,
    /// Those of them that a scrape repeats, whose labels no series may have, or whose series tells
    /// of the scrape itself.
    pub samples_unfit: u64,
    /// Answers kept now.
    pub cache_entries: usize,
    /// What they weigh now, in bytes.
    pub cache_bytes: usize,
    /// Extents of ranges kept now.
    pub extents: usize,
    /// What they weigh now, in bytes, their label sets included.
    pub extent_bytes: usize,
    /// The samples in them, native histograms included.
    pub extent_samples: usize,
    /// Refusals remembered now.
    pub refusals: usize,
    /// Keys kept warm now.
    pub tracked: usize,
    /// What answers and extents may weigh together, in bytes.
    pub cache_bytes_max: usize,
    /// Fetches in flight now.
    pub fetches_in_flight: usize,
    /// Askers waiting now.
    pub askers_waiting: usize,
    /// Alerts that are pending now.
    pub alerts_pending: usize,
    /// Alerts that are firing now.
    pub alerts_firing: usize,
    /// Series kept now.
    pub series: usize,
    /// How many may be kept.
    pub series_max: usize,
    /// Samples kept now.
    pub samples: usize,
    /// What they weigh now, in bytes.
    pub series_bytes: usize,
}

impl Stats {
    /// Counts an answer of this age.
    pub(crate) fn answered(&mut self, age: Duration) {
        let older = |bound: &u64| age > Duration::from_secs(*bound);
        let bucket = AGE_BUCKETS_S
            .iter()
            .take_while(|bound| older(bound))
            .count();
        self.ages[bucket] += 1;
        let ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        self.age_sum_ms = self.age_sum_ms.saturating_add(ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_counts_in_the_first_bucket_that_holds_it() {
        let mut stats = Stats::default();
        for ms in [0, 1_000, 1_001, 300_000, 300_001] {
            stats.answered(Duration::from_millis(ms));
        }
        assert_eq!(stats.ages, [2, 1, 0, 0, 0, 0, 1, 1]);
        assert_eq!(stats.age_sum_ms, 602_002);
    }
}
