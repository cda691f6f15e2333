//! The pump: hands batches to sinks, each on a thread of its own, so that none can harm the program or
//! another sink.

mod lane;

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::lane::Lane;
use crate::notice::{Listener, Notice};
use crate::{Batch, Sink, Takes};

/// How many sinks a pump has at most: each is a thread.
pub const SINKS_MAX: usize = 64;

/// How many samples and events wait for one sink by default: some seconds of a busy program, and a few
/// megabytes.
pub const QUEUE_ITEMS_MAX: usize = 65_536;

/// How often a sink makes safe what it wrote, by default: so much may be lost when the machine dies.
pub const FLUSH_INTERVAL: Duration = Duration::from_secs(10);

/// How long a pump that is merely dropped waits for its sinks.
pub const SHUTDOWN_WAIT: Duration = Duration::from_secs(5);

/// How often in a row a sink may panic before it is left alone.
pub const PANICS_MAX: u32 = 3;

/// What gives way when a queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// What waits longest: a sink that falls behind then catches up with the present.
    #[default]
    DropOldest,
    /// What comes: a sink that falls behind then has an unbroken past.
    DropNewest,
}

/// How one sink is fed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkOptions {
    /// How many samples and events may wait, whole batches of them; a batch larger than this waits alone.
    pub queue_items_max: usize,
    /// What gives way beyond.
    pub when_full: WhenFull,
    /// How often [`Sink::flush`] is called while there is something to make safe.
    pub flush_interval: Duration,
}

impl Default for SinkOptions {
    fn default() -> Self {
        Self {
            queue_items_max: QUEUE_ITEMS_MAX,
            when_full: WhenFull::default(),
            flush_interval: FLUSH_INTERVAL,
        }
    }
}

/// What a sink is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkState {
    /// It waits for a batch.
    Waiting,
    /// It has been at a batch or at making it safe for so long; one that hangs stays here.
    Busy(Duration),
    /// It panicked [`PANICS_MAX`] times in a row, and is left alone: everything for it is dropped.
    Retired,
    /// The pump was shut down, and it wrote all there was.
    Ended,
}

/// What became of the samples and events that a sink was to have.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SinkStats {
    /// The sink's name.
    pub name: String,
    /// What it is doing.
    pub state: SinkState,
    /// How many samples and events wait for it.
    pub queued: usize,
    /// Batches it took without an error.
    pub batches_written: u64,
    /// Samples and events in it that it took.
    pub written: u64,
    /// Dropped because the queue was full.
    pub dropped_full: u64,
    /// Dropped by the sink: what its errors told, and whole batches when it panicked.
    pub dropped_failed: u64,
    /// Dropped because the time for the shutdown was over.
    pub dropped_at_end: u64,
    /// Calls that ended in an error or a panic.
    pub failures: u64,
    /// What the last one said.
    pub last_error: Option<String>,
}

impl SinkStats {
    /// Everything it should have had and did not get or take.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped_full + self.dropped_failed + self.dropped_at_end
    }
}

/// Feeds batches to named sinks.
///
/// Each sink has a thread and a bounded queue. [`offer`](Self::offer) never waits for a sink: where a
/// queue is full, the policy of [`SinkOptions`] decides what is dropped, and it is counted in
/// [`stats`](Self::stats) and told to the listener. A sink that fails loses what its error says; one that panics
/// loses the batch; one that hangs loses what its queue cannot hold. Other sinks notice nothing.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use std::time::Duration;
/// use tidegate_record::{Batch, EventKind, MetricEvent, Pump, Sink, SinkError, SinkOptions, Takes};
/// use tidegate_series::Labels;
///
/// struct Lines(Arc<Mutex<Vec<String>>>);
///
/// impl Sink for Lines {
///     fn takes(&self) -> Takes {
///         Takes::Events
///     }
///
///     fn write(&mut self, batch: &Batch) -> Result<(), SinkError> {
///         let lines = batch.events.iter().map(|event| format!("{} {}", event.labels, event.value));
///         self.0.lock().unwrap().extend(lines);
///         Ok(())
///     }
/// }
///
/// let lines = Arc::default();
/// let mut pump = Pump::new().on_notice(|notice| eprintln!("{notice}"));
/// pump.add("lines", Lines(Arc::clone(&lines)), SinkOptions::default())?;
/// let labels = Labels::from_pairs([("__name__", "hits"), ("route", "/")])?;
/// let event = MetricEvent { labels, kind: EventKind::Counter, value: 1.0, timestamp_ms: 0 };
/// pump.offer(Batch { events: vec![event], ..Batch::default() });
/// let stats = pump.shutdown(Duration::from_secs(5));
/// assert_eq!((stats[0].written, stats[0].dropped()), (1, 0));
/// assert_eq!(*lines.lock().unwrap(), [r#"hits{route="/"} 1"#]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Pump {
    lanes: Vec<Lane>,
    listener: Listener,
}

impl Pump {
    /// A pump without sinks: it takes batches and forgets them.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells `listener` what sinks that are added from now on lose: at once, then at most every
    /// [`NOTICE_INTERVAL`](crate::NOTICE_INTERVAL) for each sink. It is called on threads of the pump
    /// and on that which offers, so it should be quick.
    #[must_use]
    pub fn on_notice(mut self, listener: impl Fn(&Notice) + Send + Sync + 'static) -> Self {
        self.listener = Listener::new(listener);
        self
    }

    /// Adds a sink and starts its thread.
    ///
    /// # Errors
    ///
    /// An empty name or one that is taken, more than [`SINKS_MAX`] sinks, or a thread that cannot be started.
    pub fn add(
        &mut self,
        name: &str,
        sink: impl Sink + 'static,
        options: SinkOptions,
    ) -> Result<(), PumpError> {
        if name.is_empty() || self.lanes.iter().any(|lane| lane.name() == name) {
            return Err(PumpError::Name(name.to_owned()));
        }
        if self.lanes.len() == SINKS_MAX {
            return Err(PumpError::TooMany);
        }
        let lane = Lane::start(name, Box::new(sink), options, self.listener.clone());
        self.lanes.push(lane.map_err(PumpError::Thread)?);
        Ok(())
    }

    /// What of a batch any sink reads; `None` without sinks. The rest need not be put together.
    #[must_use]
    pub fn takes(&self) -> Option<Takes> {
        let takes = self.lanes.iter().map(Lane::takes);
        takes.reduce(|one, other| if one == other { one } else { Takes::Everything })
    }

    /// Puts a batch in the queue of each sink that reads something of it.
    pub fn offer(&self, batch: impl Into<Arc<Batch>>) {
        let batch = batch.into();
        for lane in &self.lanes {
            lane.offer(&batch);
        }
    }

    /// Waits until all sinks have written and made safe what was offered before, at most `within`; says
    /// whether they have.
    #[must_use]
    pub fn flush(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        let wanted: Vec<_> = self.lanes.iter().map(Lane::ask_for_flush).collect();
        let mut all = true;
        for (lane, wanted) in self.lanes.iter().zip(wanted) {
            all &= lane.await_flush(wanted, deadline);
        }
        all
    }

    /// What became of everything, sink by sink, in the order they were added.
    #[must_use]
    pub fn stats(&self) -> Vec<SinkStats> {
        self.lanes.iter().map(Lane::stats).collect()
    }

    /// Lets all sinks write what waits, make it safe and end, for at most `within`. What a sink has not
    /// written by then is dropped and counted, and one that still hangs keeps its thread until it returns.
    pub fn shutdown(mut self, within: Duration) -> Vec<SinkStats> {
        self.end(within)
    }

    fn end(&mut self, within: Duration) -> Vec<SinkStats> {
        let deadline = Instant::now() + within;
        let lanes = std::mem::take(&mut self.lanes);
        for lane in &lanes {
            lane.ask_to_end();
        }
        lanes.into_iter().map(|lane| lane.end(deadline)).collect()
    }
}

impl Drop for Pump {
    /// Shuts down within [`SHUTDOWN_WAIT`], unless it is done.
    fn drop(&mut self) {
        self.end(SHUTDOWN_WAIT);
    }
}

/// Why a sink was not added.
#[derive(Debug)]
#[non_exhaustive]
pub enum PumpError {
    /// The name is empty, or another sink has it.
    Name(String),
    /// There are [`SINKS_MAX`] already.
    TooMany,
    /// Its thread could not be started.
    Thread(io::Error),
}

impl fmt::Display for PumpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) if name.is_empty() => f.write_str("a sink needs a name"),
            Self::Name(name) => write!(f, "there is a sink {name:?} already"),
            Self::TooMany => write!(f, "there are {SINKS_MAX} sinks already, which is the limit"),
            Self::Thread(error) => write!(f, "the thread of the sink does not start: {error}"),
        }
    }
}

impl Error for PumpError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Thread(error) => Some(error),
            Self::Name(_) | Self::TooMany => None,
        }
    }
}

#[cfg(test)]
mod tests;
