//! What an asker gets: data, the instant it speaks for, and how it was come by.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use tidegate_wire::QueryResponse;

use crate::{Freshness, UnixMillis};

/// How an answer was come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// From memory, within its ttl; also everything that `local` answers.
    Hit,
    /// From memory, past its ttl; a newer one is being fetched.
    Stale,
    /// Fetched for this asker.
    Miss,
    /// Put together from what was in memory and what was fetched for this asker; or of several
    /// sources or targets, some of which failed, as its warnings say.
    Partial,
    /// Fetched for an earlier asker of the same key and shared.
    Coalesced,
    /// From memory, because the source failed.
    StaleOnError,
}

impl Provenance {
    /// The word for it, in headers and documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Miss => "miss",
            Self::Partial => "partial",
            Self::Coalesced => "coalesced",
            Self::StaleOnError => "stale-on-error",
        }
    }
}

/// For how long an answer may be given out again to whoever asks exactly the same, without asking
/// the collector, which would say nothing else than a hit.
///
/// It ends with the answer's ttl, before its freshness changes or somebody is to be warned of its
/// age, after half the time that a key is kept warm for without being read, and at once when an
/// [`Output::Forget`](crate::Output::Forget) says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reuse {
    /// How long, from now on; more than zero, and its end not included.
    pub left: Duration,
    /// Whether its age grows meanwhile; that of an answer about the past does not.
    pub ages: bool,
}

/// A response as received and as understood.
#[derive(Debug)]
pub struct Payload {
    /// The source's bytes, served on unchanged; `None` when Tidegate itself made the answer.
    pub body: Option<Vec<u8>>,
    /// The same, decoded.
    pub response: QueryResponse,
}

impl Payload {
    /// Whether the source says that it may be partial: by warnings, or in the envelope, as
    /// VictoriaMetrics and its kin do.
    pub(crate) fn is_partial(&self) -> bool {
        /// The flag stands before the data, right behind the status.
        const HEAD_BYTES: usize = 128;
        const FLAG: &[u8] = br#""isPartial":true"#;
        let head = |body: &Vec<u8>| {
            let head = &body[..body.len().min(HEAD_BYTES)];
            head.windows(FLAG.len()).any(|found| found == FLAG)
        };
        !self.response.warnings.is_empty() || self.body.as_ref().is_some_and(head)
    }
}

/// An answer. Cheap to clone: the data is shared.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The data.
    pub payload: Arc<Payload>,
    /// The name of the source that said it.
    pub source: Arc<str>,
    /// What the cache calls it.
    pub key: Arc<str>,
    /// The instant the numbers speak for: the newest sample's, or where there is none the instant
    /// asked about.
    pub as_of: UnixMillis,
    /// When it was received.
    pub fetched_at: UnixMillis,
    /// How old the data is, by `as_of`, against now or the earlier instant that was asked about.
    pub age: Duration,
    /// The verdict on `age` by the source's thresholds.
    pub freshness: Freshness,
    /// How it was come by.
    pub provenance: Provenance,
    /// How much longer it counts as a hit; `None` once past, or when it is not kept.
    pub ttl_left: Option<Duration>,
    /// How far past its ttl it is; zero within it, and when it is not kept.
    pub overdue: Duration,
    /// Why it is not better: the failure behind a [`Provenance::StaleOnError`].
    pub reason: Option<String>,
    /// Whether and for how long it may be given out again without asking.
    pub reuse: Option<Reuse>,
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn every_provenance_has_its_word() {
        let words = [
            (Provenance::Hit, "hit"),
            (Provenance::Stale, "stale"),
            (Provenance::Miss, "miss"),
            (Provenance::Partial, "partial"),
            (Provenance::Coalesced, "coalesced"),
            (Provenance::StaleOnError, "stale-on-error"),
        ];
        assert!(
            words
                .iter()
                .all(|(provenance, word)| provenance.as_str() == *word)
        );
    }
}
