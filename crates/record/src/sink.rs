//! Sinks: where what was recorded goes.

mod config;
mod family;
mod fan_out;
mod file;
mod lost;
mod memory;
#[cfg(feature = "remote")]
mod remote;
mod statsd;

use std::error::Error;
use std::fmt;
use std::sync::Arc;

pub use self::config::{AddedSink, SINK_NAME_BYTES_MAX, SinkConfig, SinkConfigError, SinkKind};
pub use self::fan_out::FanOut;
pub use self::file::{
    FILE_BYTES_MAX, FILES_MAX, FileOptions, FileRecords, FileSink, ReadError, ReadProblem,
    ReadRecord, Recovered, files_of,
};
pub use self::memory::{Memory, MemorySink};
#[cfg(feature = "remote")]
pub use self::remote::{
    REMOTE_PATIENCE, REMOTE_SAMPLES_PER_REQUEST, REMOTE_TIMEOUT, RemoteCounts, RemoteError,
    RemoteOptions, RemoteSink, Secret,
};
pub use self::statsd::{StatsdOptions, StatsdSink};
use crate::{Batch, Troubles};

/// What of a batch a sink reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// The state of series.
    Samples,
    /// Each event by itself.
    Events,
    /// Both.
    Everything,
}

impl Takes {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Samples, Self::Events, Self::Everything];

    /// Its word, in configurations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Samples => "samples",
            Self::Events => "events",
            Self::Everything => "everything",
        }
    }

    /// Whether it reads events.
    #[must_use]
    pub const fn events(self) -> bool {
        matches!(self, Self::Events | Self::Everything)
    }

    /// Whether it reads samples.
    #[must_use]
    pub const fn samples(self) -> bool {
        matches!(self, Self::Samples | Self::Everything)
    }
}

/// Where batches go. It runs on a thread of its own, behind a bounded queue, so it may block: nobody
/// who records waits for it, and what it refuses touches no other sink.
///
/// Whoever implements it has a sink of its own kind: [`Pump`](crate::Pump) shows one. Those there are:
///
/// | sink | takes | what it makes of the marker that ends a series |
/// |---|---|---|
/// | [`MemorySink`] | samples | a point at which look-backs stop |
/// | [`FileSink`] | samples and events | the value `"stale"` |
/// | `RemoteSink` | samples | the same marker, bit for bit |
/// | [`StatsdSink`] | events, or samples | nothing to see: events have none, and a total begins anew after it |
/// | [`FanOut`] | what its sinks take | what each of them does |
/// | [`Transformed`](crate::Transformed) | what its sink takes | goes through, never computed with |
pub trait Sink: Send {
    /// What it reads of a batch.
    fn takes(&self) -> Takes {
        Takes::Samples
    }

    /// Writes a batch, in order. What was written need not be safe before [`flush`](Self::flush).
    ///
    /// # Errors
    /// What went wrong, and how much of the batch is lost by it. The sink stays usable.
    fn write(&mut self, batch: &Batch) -> Result<(), SinkError>;

    /// Makes sure that what was written outlives this program: called by interval and at its end.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Hears, before the first batch, whom to tell of trouble that has lost nothing yet.
    fn listen(&mut self, troubles: &Arc<Troubles>) {
        let _ = troubles;
    }
}

impl<S: Sink + ?Sized> Sink for Box<S> {
    fn takes(&self) -> Takes {
        (**self).takes()
    }

    fn write(&mut self, batch: &Batch) -> Result<(), SinkError> {
        (**self).write(batch)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        (**self).flush()
    }

    fn listen(&mut self, troubles: &Arc<Troubles>) {
        (**self).listen(troubles);
    }
}

/// Why a sink did not take everything.
#[derive(Debug)]
pub struct SinkError {
    /// In words: what, where, and what to do about it.
    pub message: String,
    /// How many samples and events of the batch are lost.
    pub dropped: usize,
}

impl fmt::Display for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for SinkError {}
