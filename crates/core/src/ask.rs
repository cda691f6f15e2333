//! What an asker wants: a query, of which source, how fresh, until when.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::{Answer, Range, UnixMillis};

/// Names one ask that waits for its reply. Never reused by the same collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId(pub u64);

/// The query itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// PromQL as the asker wrote it; passed on unchanged.
    PromQl(String),
    /// A registered template and values for its parameters. Extra values are ignored.
    Template {
        /// The template's name in the source's catalog.
        name: String,
        /// Values by parameter name.
        params: BTreeMap<String, String>,
    },
    /// Another endpoint of the Prometheus API that only reads, such as `series` or `labels`.
    /// Answers of `series`, `labels`, `label/<name>/values` and `metadata` are kept; those of
    /// others are shared among those who ask at the same time, and stand in for a source that
    /// fails, but are never a hit.
    Endpoint {
        /// Its path below `/api/v1/`: words of letters, digits, `_`, `-`, `.` and `:`, with
        /// slashes in between.
        path: String,
        /// Its parameters. Their order is part of the question where answers are not kept, for
        /// some endpoints heed it.
        params: Vec<(String, String)>,
    },
}

/// Who goes first when a source's queue is not empty. Ordered from last to first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Refreshes, and whatever nobody waits for.
    Background,
    /// People and programs.
    #[default]
    Normal,
    /// Decisions that cannot wait.
    High,
}

/// One question to the collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The names of the sources; none asks the default source, and answers of several are merged
    /// with a label `source`.
    pub sources: Vec<String>,
    /// What is asked.
    pub query: Query,
    /// The instant asked about; `None` asks about now. Of no meaning beside `range`.
    pub time: Option<UnixMillis>,
    /// The instants asked about, which makes it a range query.
    pub range: Option<Range>,
    /// The oldest data that will do, by its own instant; `None` leaves it to ttl and thresholds.
    pub max_age: Option<Duration>,
    /// Whether an answer past its ttl may be served at once while a newer one is fetched behind.
    pub allow_stale: bool,
    /// How far past its ttl an answer may be at most, whether it is served at once or because the
    /// source fails; `None` leaves it to the thresholds.
    pub max_stale: Option<Duration>,
    /// How long the asker waits; `None` is the source's timeout. The source's timeout caps it.
    pub timeout: Option<Duration>,
    /// Who goes first when the source's queue is not empty.
    pub priority: Priority,
    /// Further parameters of the query endpoint, passed on and part of the key: `limit`,
    /// `lookback_delta`, `stats`, in any order.
    pub extra: Vec<(String, String)>,
}

impl Ask {
    /// Asks the default source about now, by its own ttl.
    pub fn promql(query: impl Into<String>) -> Self {
        Self::new(Query::PromQl(query.into()))
    }

    /// Asks for a template of the default source about now.
    pub fn template(name: impl Into<String>, params: BTreeMap<String, String>) -> Self {
        Self::new(Query::Template {
            name: name.into(),
            params,
        })
    }

    /// Asks another endpoint of the default source, by its path below `/api/v1/`.
    pub fn endpoint(path: impl Into<String>, params: Vec<(String, String)>) -> Self {
        Self::new(Query::Endpoint {
            path: path.into(),
            params,
        })
    }

    fn new(query: Query) -> Self {
        Self {
            sources: Vec::new(),
            query,
            time: None,
            range: None,
            max_age: None,
            allow_stale: false,
            max_stale: None,
            timeout: None,
            priority: Priority::Normal,
            extra: Vec::new(),
        }
    }

    /// The same ask, over these instants.
    pub fn over(mut self, range: Range) -> Self {
        self.range = Some(range);
        self
    }

    /// The same ask, of the source `name` as well as of those named before.
    pub fn of(mut self, name: impl Into<String>) -> Self {
        self.sources.push(name.into());
        self
    }
}

/// What the collector says to an ask at once.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// The answer was at hand.
    Ready(Answer),
    /// A reply with this id follows as an output, at the latest at the ask's deadline.
    Pending(AskId),
}
