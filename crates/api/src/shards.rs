//! Work spread over shards: collectors that share nothing, each with a part of the questions.
//!
//! A [`ShardPlan`] says which shard a request is for ([`ShardPlan::way`]), what a shard's
//! configuration is ([`ShardPlan::share`]), and what the responses of several come to
//! ([`ShardPlan::merged`]). It does no IO: whoever runs the shards asks it.
//!
//! - A question goes by what it asks, whatever its times: source, path and parameters but `time`,
//!   `start`, `end` and `step`, in any order, posted or not. So everybody who asks the same asks
//!   the same shard, one fetch answers them, and a range that slides finds its extents.
//! - Tidegate's own series, and the sources that feed them (kinds push and scrape), are the first
//!   shard's alone.
//! - What changes something goes to all shards, so that it holds wherever an answer is kept.
//! - What Tidegate says of itself is asked of all, and put together.
//!
//! One shard is the rule and the default: everything is then counted once, and the limits are
//! exactly those of the configuration.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::slice;
use core::time::Duration;

use tidegate_core::{Config, SourceConfig, SourceKind, packs};
use xxhash_rust::xxh3::xxh3_64;

use crate::params::Params;
use crate::route::{Endpoint, Route, route};
use crate::{Change, HttpRequest};

mod exposition;
mod merge;

pub use merge::{Merge, Merged, ShardResponse};

/// The most shards that work is spread over: more than one machine has cores for, and few enough
/// that asking all of them is quick.
pub const SHARDS_MAX: usize = 64;

/// The shard of Tidegate's own series.
const FIRST: usize = 0;

/// What Tidegate's own series are asked as.
const LOCAL: &str = "local";

/// The parameters that say what times a question is about.
const TIMES: [&str; 4] = ["time", "start", "end", "step"];

/// The parameters of the query endpoints that make another question; others are not read.
const OF_QUERY: [&str; 5] = ["query", "limit", "lookback_delta", "stats", "timeout"];

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To this shard, counted from 0, whose response is the response.
    One(usize),
    /// To all of them, and their responses are put together so.
    All(Merge),
}

/// What goes to which shard, under one configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardPlan {
    shards: usize,
    default_source: String,
    /// The sources that the first shard alone can answer.
    own: BTreeSet<String>,
    /// Packs and records of which some field is asked of such a source.
    own_records: BTreeSet<(String, String)>,
}

impl ShardPlan {
    /// A plan for so many shards, at least 1 and at most [`SHARDS_MAX`].
    pub fn new(config: &Config, shards: usize) -> Self {
        let of_own = |source: &&SourceConfig| is_own(source.kind);
        let names = |source: &SourceConfig| source.name.clone();
        let mut own: BTreeSet<_> = config.sources.iter().filter(of_own).map(names).collect();
        own.insert(LOCAL.into());
        let asked = |source: &&SourceConfig| source.kind != SourceKind::Push;
        let default = config.sources.iter().find(asked);
        let mut own_records = BTreeSet::new();
        for pack in packs::all().iter().chain(&config.packs) {
            for record in &pack.records {
                let sources = record
                    .fields
                    .iter()
                    .filter_map(|field| field.source.as_ref());
                if sources.into_iter().any(|source| own.contains(source)) {
                    own_records.insert((pack.name.clone(), record.name.clone()));
                }
            }
        }
        Self {
            shards: shards.clamp(1, SHARDS_MAX),
            default_source: default.map_or_else(|| LOCAL.into(), names),
            own,
            own_records,
        }
    }

    /// How many shards there are.
    pub const fn shards(&self) -> usize {
        self.shards
    }

    /// Where Tidegate's own series are, and thus where batches of samples go.
    pub const fn recording(&self) -> usize {
        FIRST
    }

    /// What the shard `nth` is configured with. What is bounded for the whole process is divided:
    /// the bytes of the cache, and of each source the fetches under way, the places in its queue
    /// and the floor of its retry budget, of which every shard has at least one. The sources of
    /// the first shard are not probed, refreshed or collected by others, its alert rules are not
    /// theirs, and each shard draws its jitter from a seed of its own. A single shard has the
    /// configuration as it is.
    pub fn share(&self, config: &Config, nth: usize) -> Config {
        let mut share = config.clone();
        if self.shards == 1 {
            return share;
        }
        let part = |whole: usize| (whole / self.shards).max(1);
        share.cache.bytes_max /= self.shards;
        let limits = &mut share.limits;
        limits.fetches_per_source_max = part(limits.fetches_per_source_max);
        limits.queue_per_source_max = part(limits.queue_per_source_max);
        share.seed = config.seed.wrapping_add(nth as u64);
        if nth != FIRST {
            share.alerts.rules.clear();
        }
        for source in &mut share.sources {
            let floor = &mut source.retry_budget.floor;
            if *floor > 0 {
                // At most `SHARDS_MAX`.
                *floor = (*floor / self.shards as u32).max(1);
            }
            if nth != FIRST && is_own(source.kind) {
                source.probe_interval = Duration::ZERO;
                source.fetch_interval = Duration::ZERO;
                source.collect_interval = Duration::ZERO;
            }
        }
        share
    }

    /// Where a request goes.
    pub fn way(&self, request: &HttpRequest) -> Way {
        if self.shards == 1 {
            return Way::One(FIRST);
        }
        // What is refused is refused by all alike.
        let Ok(route) = route(request) else {
            return Way::One(FIRST);
        };
        match &route.endpoint {
            Endpoint::Query
            | Endpoint::QueryRange
            | Endpoint::Other { .. }
            | Endpoint::Collect { .. }
            | Endpoint::CollectMany { .. }
            | Endpoint::CollectAll => Way::One(self.shard_of(&route, request)),
            Endpoint::Record { pack, record } => {
                let is_own = self.own_records.contains(&(pack.clone(), record.clone()));
                match is_own {
                    true => Way::One(FIRST),
                    false => Way::One(self.shard_of(&route, request)),
                }
            }
            Endpoint::Invalidate => Way::All(Merge::Forgotten),
            Endpoint::Owners if matches!(&*request.method, "POST" | "DELETE") => {
                Way::All(Merge::Same)
            }
            // Catalogs and owners are the same everywhere, and so is who says so.
            Endpoint::Owners | Endpoint::Templates | Endpoint::BuildInfo => Way::One(FIRST),
            Endpoint::Held | Endpoint::Registered | Endpoint::Aggregated => Way::One(FIRST),
            Endpoint::Alerts | Endpoint::Push => Way::One(FIRST),
            Endpoint::Explain => Way::All(Merge::Explanation),
            Endpoint::Health => Way::All(Merge::Health),
            Endpoint::Stats => Way::All(Merge::Stats),
            Endpoint::Metrics => Way::All(Merge::Metrics),
            Endpoint::Ready => Way::All(Merge::Same),
        }
    }

    /// What a change that all shards have made comes to: how many answers are forgotten or keys
    /// dropped in all, or what each of them says about what they all have. The first error is
    /// that of the whole.
    ///
    /// # Errors
    /// The first error there is.
    pub fn changed<E>(
        change: &Change,
        results: impl IntoIterator<Item = Result<u64, E>>,
    ) -> Result<u64, E> {
        let sums = matches!(change, Change::Invalidate(_) | Change::Untrack { .. });
        let add = |so_far: u64, count| match sums {
            true => Ok(so_far.saturating_add(count?)),
            false => Ok(so_far.max(count?)),
        };
        results.into_iter().try_fold(0, add)
    }

    /// The shard of a question, by what it asks.
    fn shard_of(&self, route: &Route, request: &HttpRequest) -> usize {
        let sources = match &route.sources[..] {
            [] => slice::from_ref(&self.default_source),
            named => named,
        };
        if sources.iter().any(|source| self.own.contains(source)) {
            return FIRST;
        }
        let Ok(params) = Params::of(route, request) else {
            return FIRST;
        };
        let mut text = Vec::new();
        for source in sources {
            push(&mut text, source);
        }
        let path = path(route, request);
        push(&mut text, path);
        let of_query = matches!(route.endpoint, Endpoint::Query | Endpoint::QueryRange);
        // Where a template's parameter has the name of a time, its values share a shard.
        let counts = |name: &str| match of_query {
            true => OF_QUERY.contains(&name),
            false => !TIMES.contains(&name),
        };
        for (name, value) in params.sorted() {
            if counts(name) && !value.is_empty() {
                push(&mut text, name);
                push(&mut text, value);
            }
        }
        (xxh3_64(&text) % self.shards as u64) as usize
    }
}

/// Whether a source's samples are kept as Tidegate's own series, or asked of nobody else.
const fn is_own(kind: SourceKind) -> bool {
    matches!(kind, SourceKind::Push | SourceKind::Scrape)
}

/// The path below the sources.
fn path<'a>(route: &'a Route, request: &'a HttpRequest) -> &'a str {
    if let Endpoint::Other { path } = &route.endpoint {
        // As it is decoded, for a name may be escaped in more than one way.
        return path;
    }
    let path = request.target.split(['?', '#']).next().unwrap_or_default();
    match path.strip_prefix("/source/") {
        Some(rest) => rest.split_once('/').map_or(rest, |(_, path)| path),
        None => path.trim_start_matches('/'),
    }
}

/// With its length, so that no two lists of parts are one text.
fn push(text: &mut Vec<u8>, part: &str) {
    text.extend_from_slice(&(part.len() as u64).to_le_bytes());
    text.extend_from_slice(part.as_bytes());
}

#[cfg(test)]
mod tests;
