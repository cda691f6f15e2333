//! One sink's queue and thread.

use std::any::Any;
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use super::{PANICS_MAX, SinkOptions, SinkState, SinkStats, WhenFull};
use crate::notice::{Listener, Matter};
use crate::{Batch, Sink, SinkError, Takes, Troubles};

#[derive(Debug)]
pub(super) struct Lane {
    takes: Takes,
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

/// What the thread and those who feed it share.
#[derive(Debug)]
struct Shared {
    name: String,
    options: SinkOptions,
    listener: Listener,
    state: Mutex<State>,
    /// Wakes the thread.
    work: Condvar,
    /// Wakes whoever waits for a flush or the end.
    progress: Condvar,
    full: Matter,
    failed: Matter,
}

#[derive(Debug)]
struct State {
    queue: VecDeque<Waiting>,
    busy_since: Option<Instant>,
    /// Items of the batch that is being written.
    in_hand: usize,
    ending: bool,
    /// The number of the last batch that was queued; the first has number 1.
    offered: u64,
    /// Up to which batch it was asked to be safe, and up to which all are, if the last flush went well.
    flush_asked: u64,
    flushed: u64,
    flush_failed: bool,
    stats: SinkStats,
}

#[derive(Debug)]
struct Waiting {
    batch: Arc<Batch>,
    items: usize,
    number: u64,
}

/// What the thread does next.
enum Job {
    Write(Waiting),
    Flush,
    End,
}

impl Lane {
    pub(super) fn start(
        name: &str,
        sink: Box<dyn Sink>,
        options: SinkOptions,
        listener: Listener,
    ) -> io::Result<Self> {
        let takes = sink.takes();
        let shared = Arc::new(Shared::new(name, options, listener));
        let own = Arc::clone(&shared);
        // Thread names are cut to 15 bytes on Linux: the sink's name comes first.
        let thread = Builder::new()
            .name(format!("{name} sink"))
            .spawn(move || run(sink, &own))?;
        Ok(Self {
            takes,
            shared,
            thread,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.shared.name
    }

    pub(super) const fn takes(&self) -> Takes {
        self.takes
    }

    pub(super) fn offer(&self, batch: &Arc<Batch>) {
        let samples = if self.takes.samples() {
            batch.samples.len()
        } else {
            0
        };
        let events = if self.takes.events() {
            batch.events.len()
        } else {
            0
        };
        let items = samples + events;
        if items == 0 {
            return;
        }
        self.shared.offer(Arc::clone(batch), items);
    }

    pub(super) fn stats(&self) -> SinkStats {
        self.shared.lock().snapshot()
    }

    /// Asks for everything so far to be made safe; gives back what to wait for.
    pub(super) fn ask_for_flush(&self) -> u64 {
        let mut state = self.shared.lock();
        state.flush_asked = state.offered;
        self.shared.work.notify_one();
        state.flush_asked
    }

    /// Whether all up to `number` was flushed before the deadline, and without an error.
    pub(super) fn await_flush(&self, number: u64, deadline: Instant) -> bool {
        let done = |state: &State| state.flushed >= number || state.is_over();
        let state = self.shared.await_until(deadline, done);
        state.flushed >= number && !state.flush_failed
    }

    pub(super) fn ask_to_end(&self) {
        self.shared.lock().ending = true;
        self.shared.work.notify_one();
    }

    /// Waits for the end, and drops what is still queued at the deadline.
    pub(super) fn end(self, deadline: Instant) -> SinkStats {
        let mut state = self.shared.await_until(deadline, State::is_over);
        let over = state.is_over();
        let left = state.drop_all() + state.in_hand as u64;
        state.stats.dropped_at_end += left;
        let stats = state.snapshot();
        drop(state);
        if over {
            // It has nothing left to do but to return.
            let _ = self.thread.join();
        }
        if left > 0 {
            let message = "the time to shut down was over before all was written";
            self.shared.listener.tell(&self.shared.name, message, left);
        }
        stats
    }
}

impl Shared {
    fn new(name: &str, options: SinkOptions, listener: Listener) -> Self {
        let stats = SinkStats {
            name: name.to_owned(),
            state: SinkState::Waiting,
            queued: 0,
            batches_written: 0,
            written: 0,
            dropped_full: 0,
            dropped_failed: 0,
            dropped_at_end: 0,
            failures: 0,
            last_error: None,
        };
        let state = State {
            queue: VecDeque::new(),
            busy_since: None,
            in_hand: 0,
            ending: false,
            offered: 0,
            flush_asked: 0,
            flushed: 0,
            flush_failed: false,
            stats,
        };
        Self {
            name: name.to_owned(),
            options,
            listener,
            state: Mutex::new(state),
            work: Condvar::new(),
            progress: Condvar::new(),
            full: Matter::default(),
            failed: Matter::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held; were it so, the counts would still be counts.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn offer(&self, batch: Arc<Batch>, items: usize) {
        let dropped = self.lock().offer(batch, items, &self.options);
        self.work.notify_one();
        if dropped > 0 {
            let message = "the queue is full: the sink is slower than what is recorded";
            self.full.lost(dropped, &self.name, message, &self.listener);
        }
    }

    fn await_until(
        &self,
        deadline: Instant,
        done: impl Fn(&State) -> bool,
    ) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        while !done(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.progress.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state
    }

    /// Waits for something to do. `dirty_since` is when something was written that is not yet safe.
    fn next_job(&self, dirty_since: Option<Instant>) -> Job {
        let mut state = self.lock();
        loop {
            let flush_at = dirty_since.map(|since| since + self.options.flush_interval);
            let now = Instant::now();
            if flush_at.is_some_and(|at| at <= now) || state.is_flush_due() {
                return state.begin(Job::Flush, 0);
            }
            if let Some(waiting) = state.queue.pop_front() {
                state.stats.queued -= waiting.items;
                let items = waiting.items;
                return state.begin(Job::Write(waiting), items);
            }
            if state.ending {
                return state.begin(Job::End, 0);
            }
            state = match flush_at {
                Some(at) => {
                    let waited = self.work.wait_timeout(state, at - now);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let waited = self.work.wait(state);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }

    /// Counts what a call came to.
    fn account(&self, items: usize, wrote: bool, outcome: Result<(), SinkError>) {
        let mut state = self.lock();
        state.busy_since = None;
        state.in_hand = 0;
        if !wrote {
            state.flushed = state.last_taken();
            state.flush_failed = outcome.is_err();
            self.progress.notify_all();
        }
        let error = match outcome {
            Ok(()) => {
                if wrote {
                    state.stats.batches_written += 1;
                    state.stats.written += items as u64;
                }
                return;
            }
            Err(error) => error,
        };
        // A flush may lose what earlier batches brought; a write no more than its own.
        let dropped = if wrote {
            error.dropped.min(items)
        } else {
            error.dropped
        };
        if wrote {
            state.stats.written += (items - dropped) as u64;
        }
        state.stats.dropped_failed += dropped as u64;
        state.stats.failures += 1;
        state.stats.last_error = Some(error.message.clone());
        drop(state);
        self.failed
            .lost(dropped as u64, &self.name, &error.message, &self.listener);
    }

    /// Drops everything that waits, from now on.
    fn retire(&self) {
        let mut state = self.lock();
        state.stats.state = SinkState::Retired;
        let left = state.drop_all();
        state.stats.dropped_failed += left;
        drop(state);
        self.progress.notify_all();
        let message = format_args!("it panicked {PANICS_MAX} times in a row and is left alone");
        self.listener.tell(&self.name, message, left);
    }
}

impl State {
    /// Queues it as the policy allows; says how much was dropped.
    fn offer(&mut self, batch: Arc<Batch>, items: usize, options: &SinkOptions) -> u64 {
        if self.is_over() {
            self.stats.dropped_failed += items as u64;
            return 0;
        }
        let mut dropped = 0;
        while !self.queue.is_empty() && self.stats.queued + items > options.queue_items_max {
            if options.when_full == WhenFull::DropNewest {
                self.stats.dropped_full += items as u64;
                return items as u64;
            }
            let oldest = self.queue.pop_front().map_or(0, |oldest| oldest.items);
            self.stats.queued -= oldest;
            dropped += oldest as u64;
        }
        self.stats.dropped_full += dropped;
        self.stats.queued += items;
        self.offered += 1;
        self.queue.push_back(Waiting {
            batch,
            items,
            number: self.offered,
        });
        dropped
    }

    fn begin(&mut self, job: Job, items: usize) -> Job {
        self.busy_since = Some(Instant::now());
        self.in_hand = items;
        job
    }

    /// The number of the last batch that left the queue, written or dropped.
    fn last_taken(&self) -> u64 {
        self.queue
            .front()
            .map_or(self.offered, |next| next.number - 1)
    }

    fn is_flush_due(&self) -> bool {
        self.flush_asked > self.flushed && self.last_taken() >= self.flush_asked
    }

    fn drop_all(&mut self) -> u64 {
        self.queue.clear();
        std::mem::take(&mut self.stats.queued) as u64
    }

    /// Whether nothing more will be written.
    fn is_over(&self) -> bool {
        matches!(self.stats.state, SinkState::Retired | SinkState::Ended)
    }

    fn snapshot(&self) -> SinkStats {
        let mut stats = self.stats.clone();
        if let (SinkState::Waiting, Some(since)) = (stats.state, self.busy_since) {
            stats.state = SinkState::Busy(since.elapsed());
        }
        stats
    }
}

/// The thread of a sink.
fn run(mut sink: Box<dyn Sink>, shared: &Shared) {
    let troubles = Arc::new(Troubles::new(&shared.name, shared.listener.clone()));
    let _ = guarded(0, || {
        sink.listen(&troubles);
        Ok(())
    });
    let mut panics = 0;
    let mut dirty_since = None;
    loop {
        let job = shared.next_job(dirty_since);
        let (items, outcome) = match &job {
            Job::Write(next) => (next.items, guarded(next.items, || sink.write(&next.batch))),
            Job::Flush | Job::End => (0, guarded(0, || sink.flush())),
        };
        panics = if outcome.is_err() { panics + 1 } else { 0 };
        let wrote = matches!(job, Job::Write(_));
        dirty_since = if wrote {
            dirty_since.or_else(|| Some(Instant::now()))
        } else {
            None
        };
        shared.account(items, wrote, outcome.unwrap_or_else(Err));
        if panics == PANICS_MAX {
            shared.retire();
            break;
        }
        if matches!(job, Job::End) {
            break;
        }
    }
    // Its destructor is foreign code as well, and may take its time.
    let _ = guarded(0, || {
        drop(sink);
        Ok(())
    });
    let mut state = shared.lock();
    if state.stats.state == SinkState::Waiting {
        state.stats.state = SinkState::Ended;
    }
    drop(state);
    shared.progress.notify_all();
}

/// Calls the sink: what it answers, or the error that stands for its panic, by which `items` are lost.
fn guarded(
    items: usize,
    call: impl FnOnce() -> Result<(), SinkError>,
) -> Result<Result<(), SinkError>, SinkError> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| SinkError {
        message: format!("it panicked: {}", panic_text(&*panic)),
        dropped: items,
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a message")
}
