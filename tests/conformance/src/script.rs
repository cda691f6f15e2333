//! A script as data: the configuration it wants, and the steps to play.

use std::fmt;

use tidegate_api::{Change, HttpRequest};
use tidegate_core::{Config, Family, FetchError, Response, UnixMillis};
use tidegate_series::Labels;

/// What is wrong with a script, or with playing it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for ScriptError {}

/// A script, parsed.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) config: Config,
    /// What the wall clock says when the monotonic one says 0.
    pub(crate) origin: UnixMillis,
    pub(crate) items: Vec<Item>,
}

/// A line that begins at the margin, with the indented ones below it.
#[derive(Debug)]
pub(crate) struct Item {
    /// The number of its first line, from 1.
    pub(crate) line: usize,
    /// Its lines as they stand in the script.
    pub(crate) text: Vec<String>,
    pub(crate) does: Does,
}

/// What an item does.
#[derive(Debug)]
pub(crate) enum Does {
    /// Nothing: a comment or a line of the configuration.
    Nothing,
    /// The monotonic clock says this from here on, in nanoseconds; the wall clock goes with it.
    At(u64),
    /// The wall clock alone steps by this many milliseconds.
    Wall(i64),
    /// Something happens. `joined`: in the same step as the item before.
    Act { act: Box<Act>, joined: bool },
}

/// What can happen to a collector.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Http(HttpRequest),
    Record {
        source: String,
        families: Vec<Family>,
        samples: Vec<SampleAt>,
    },
    Change(Change),
    Abandon(u64),
    Respond(u64, Result<Response, FetchError>),
}

/// A sample whose time is relative to a clock that only the run knows.
#[derive(Clone, Debug)]
pub(crate) struct SampleAt {
    pub(crate) labels: Labels,
    pub(crate) value: f64,
    /// Milliseconds after the origin; `None` is the wall clock when it is recorded.
    pub(crate) offset_ms: Option<i64>,
}
