//! What the collector says back: fetches to perform, replies, events, and when to come again.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use tidegate_series::{Family, Sample};

use crate::{Answer, AskId, Fetch, FetchId, Instant, QueryError};

/// One thing for the driver to do. Drain [`crate::Collector::poll_output`] until it says `Wait`.
#[derive(Debug)]
pub enum Output {
    /// Perform this fetch.
    Fetch(Fetch),
    /// Nobody waits for this fetch any more; its response would be ignored.
    Cancel(FetchId),
    /// Deliver this reply.
    Reply(Reply),
    /// Log this.
    Event(Event),
    /// Give none of these answers out again, whatever their [`crate::Answer::reuse`] said.
    Forget(Forget),
    /// Have sinks write this: it was added to Tidegate's own series. Only where
    /// [`crate::Config::feeds_sinks`].
    Append(Appended),
    /// Nothing more to do now. Call [`crate::Collector::handle_timeout`] at the deadline, if any.
    Wait(Option<Deadline>),
}

/// The end of a pending ask. Every pending ask that is not abandoned gets exactly one.
#[derive(Debug)]
pub struct Reply {
    /// Whose reply it is.
    pub ask: AskId,
    /// What they get.
    pub result: Result<Answer, QueryError>,
}

/// Which answers, that may be given out again, are out of date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forget {
    /// Those of this key: there is a newer one.
    Key(Arc<str>),
    /// All there are: what is asked for, or of whom, may have changed.
    All,
}

/// What was added to Tidegate's own series, whoever it came from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Appended {
    /// Descriptions that say something new.
    pub families: Vec<Family>,
    /// The samples, in time order within each series; a stale marker is where a series ends.
    pub samples: Vec<Sample>,
}

/// When the collector wants to be called again, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline {
    /// When.
    pub at: Instant,
    /// Why.
    pub wake: Wake,
}

/// Why the collector wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Wake {
    /// A fetch runs out of time.
    FetchTimeout,
    /// An asker stops waiting.
    AskTimeout,
    /// A failed fetch is due for another try.
    Retry,
    /// A key that is read is due for a fetch in the background.
    Refresh,
    /// A target is due to be collected.
    Collect,
    /// A source has been silent for a while and is asked whether it is there.
    Probe,
    /// Alert rules are looked at.
    Alerts,
    /// What nobody can use any more is dropped.
    Cleanup,
}

impl Wake {
    /// The word for it in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FetchTimeout => "fetch-timeout",
            Self::AskTimeout => "ask-timeout",
            Self::Retry => "retry",
            Self::Refresh => "refresh",
            Self::Collect => "collect",
            Self::Probe => "probe",
            Self::Alerts => "alerts",
            Self::Cleanup => "cleanup",
        }
    }
}

/// How loud an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For somebody who is debugging.
    Debug,
    /// Worth a line.
    Info,
    /// Somebody should look.
    Warn,
}

/// Something worth a line in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// How loud.
    pub level: Level,
    /// What happened, in one hyphenated phrase that never varies: `fetch-failed`.
    pub name: &'static str,
    /// The source it is about.
    pub source: Arc<str>,
    /// The key it is about, if one.
    pub key: Option<Arc<str>>,
    /// What a person wants to know next.
    pub detail: String,
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn every_reason_to_wake_has_a_word_of_its_own() {
        let all = [
            Wake::FetchTimeout,
            Wake::AskTimeout,
            Wake::Retry,
            Wake::Refresh,
            Wake::Collect,
            Wake::Probe,
            Wake::Alerts,
            Wake::Cleanup,
        ];
        let words: alloc::collections::BTreeSet<_> = all.iter().map(|wake| wake.as_str()).collect();
        assert_eq!(words.len(), all.len());
    }
}
