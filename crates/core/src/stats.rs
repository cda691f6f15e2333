//! What the collector counts about itself. Counters only grow, from 0 at construction.

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
    /// Asks that ended in an error.
    pub errors: u64,
    /// Fetches begun, probes included.
    pub fetches: u64,
    /// Fetches that brought no usable response.
    pub fetch_failures: u64,
    /// Bytes of response bodies received.
    pub fetched_bytes: u64,
    /// Responses that came late, twice, or for nothing that was asked.
    pub responses_ignored: u64,
    /// Calls whose monotonic time lay before an earlier call's.
    pub clock_clamped: u64,
    /// Answers dropped to stay within the cache's bytes.
    pub evictions: u64,
    /// Samples recorded.
    pub samples_accepted: u64,
    /// Samples refused.
    pub samples_refused: u64,
    /// Answers kept now.
    pub cache_entries: usize,
    /// What they weigh now, in bytes.
    pub cache_bytes: usize,
    /// What they may weigh, in bytes.
    pub cache_bytes_max: usize,
    /// Fetches in flight now.
    pub fetches_in_flight: usize,
    /// Askers waiting now.
    pub askers_waiting: usize,
    /// Series kept now.
    pub series: usize,
    /// How many may be kept.
    pub series_max: usize,
    /// Samples kept now.
    pub samples: usize,
    /// What they weigh now, in bytes.
    pub series_bytes: usize,
}
