//! The asker's end of a driver: send a command, await its reply, or leave.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_channel::{mpsc, oneshot};
use futures_util::lock::Mutex;
use tidegate_api::{Command, CommandId, Reply};
use tidegate_core::{
    Aggregation, AggregationError, Answer, Ask, Group, QueryError, Record, RecordError, Recorded,
};

/// A command on its way to the driver.
pub(crate) struct Letter<C, R> {
    pub(crate) id: CommandId,
    pub(crate) command: C,
    pub(crate) reply: oneshot::Sender<R>,
}

/// What must reach the driver even when its inbox is full. There are at most as many of these as
/// commands sent, so they need no bound of their own.
pub(crate) enum Control {
    Abandon(CommandId),
    Close,
}

/// Sends commands to a driver. Clones share it; when the last one is gone, the driver ends.
pub struct Handle<C, R> {
    inbox: Arc<Mutex<mpsc::Sender<Letter<C, R>>>>,
    control: mpsc::UnboundedSender<Control>,
    next_id: Arc<AtomicU64>,
    /// Set before the driver hears of it, so that nothing slips in between.
    is_closing: Arc<AtomicBool>,
}

impl<C, R> Handle<C, R> {
    pub(crate) fn new(
        inbox: mpsc::Sender<Letter<C, R>>,
        control: mpsc::UnboundedSender<Control>,
    ) -> Self {
        Self {
            inbox: Arc::new(Mutex::new(inbox)),
            control,
            next_id: Arc::default(),
            is_closing: Arc::default(),
        }
    }

    /// Sends a command and waits for its reply. Waits its turn while the inbox is full.
    ///
    /// Dropping the future abandons the command: the machine is told that nobody waits for it any
    /// more.
    ///
    /// # Errors
    /// The driver has ended, or ends before it has a reply.
    pub async fn call(&self, command: C) -> Result<R, Closed> {
        if self.is_closing.load(Ordering::SeqCst) {
            return Err(Closed);
        }
        let id = CommandId(self.next_id.fetch_add(1, Ordering::Relaxed));
        let (reply, receiver) = oneshot::channel();
        {
            let mut inbox = self.inbox.lock().await;
            poll_fn(|cx| inbox.poll_ready(cx))
                .await
                .map_err(|_| Closed)?;
            inbox
                .start_send(Letter { id, command, reply })
                .map_err(|_| Closed)?;
        }
        let mut waiting = Waiting {
            id,
            receiver: Some(receiver),
            control: &self.control,
        };
        waiting.reply().await
    }

    /// Ends the driver once everything that was sent before has its reply. What is sent later
    /// finds it closed.
    pub fn close(&self) {
        self.is_closing.store(true, Ordering::SeqCst);
        // A driver that is gone needs no telling.
        let _ = self.control.unbounded_send(Control::Close);
    }

    /// Whether the driver is gone, so that only a fresh one can help.
    pub fn is_closed(&self) -> bool {
        self.control.is_closed()
    }
}

impl Handle<Command, Reply> {
    /// Asks, and waits for the answer, at the longest as long as the ask's timeout.
    ///
    /// # Errors
    /// Why there is no answer, or that the driver has ended.
    pub async fn query(&self, ask: Ask) -> Result<Answer, ClientError> {
        match self.call(Command::Ask(ask)).await? {
            Reply::Answer(answer) => Ok(answer?),
            Reply::Http(_) | Reply::Recorded(_) | Reply::Aggregated(_) | Reply::Changed(_) => {
                unreachable!("a machine replies to an ask with an answer")
            }
        }
    }

    /// Adds a batch of a push source to Tidegate's own series. Each sample is taken or refused by
    /// itself.
    ///
    /// # Errors
    /// Why the whole batch was refused, or that the driver has ended.
    pub async fn record(&self, record: Record) -> Result<Recorded, Declined<RecordError>> {
        match self.call(Command::Record(record)).await? {
            Reply::Recorded(recorded) => recorded.map_err(Declined::Refused),
            Reply::Http(_) | Reply::Answer(_) | Reply::Aggregated(_) | Reply::Changed(_) => {
                unreachable!("a machine replies to a batch with what became of it")
            }
        }
    }

    /// Asks about windows of Tidegate's own series: a group for each combination of labels that
    /// has samples in one of them, in the order of the labels.
    ///
    /// # Errors
    /// What is wrong with the question, or that the driver has ended.
    pub async fn aggregate(
        &self,
        asked: Aggregation,
    ) -> Result<Vec<Group>, Declined<AggregationError>> {
        match self.call(Command::Aggregate(asked)).await? {
            Reply::Aggregated(groups) => groups.map_err(Declined::Refused),
            Reply::Http(_) | Reply::Answer(_) | Reply::Recorded(_) | Reply::Changed(_) => {
                unreachable!("a machine replies to a question about windows with groups")
            }
        }
    }
}

// Derived, these would ask the same of `C` and `R`.
impl<C, R> Clone for Handle<C, R> {
    fn clone(&self) -> Self {
        Self {
            inbox: Arc::clone(&self.inbox),
            control: self.control.clone(),
            next_id: Arc::clone(&self.next_id),
            is_closing: Arc::clone(&self.is_closing),
        }
    }
}

impl<C, R> fmt::Debug for Handle<C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// A command that was sent. Dropped before its reply, it is abandoned.
struct Waiting<'a, R> {
    id: CommandId,
    receiver: Option<oneshot::Receiver<R>>,
    control: &'a mpsc::UnboundedSender<Control>,
}

impl<R> Waiting<'_, R> {
    async fn reply(&mut self) -> Result<R, Closed> {
        let Some(receiver) = &mut self.receiver else {
            return Err(Closed);
        };
        let reply = receiver.await.map_err(|_| Closed);
        self.receiver = None;
        reply
    }
}

impl<R> Drop for Waiting<'_, R> {
    fn drop(&mut self) {
        // The receiver goes first: a driver that has not seen the command yet then sees that
        // nobody waits for it.
        if self.receiver.take().is_some() {
            let _ = self.control.unbounded_send(Control::Abandon(self.id));
        }
    }
}

/// The driver has ended: it was closed, or its machine broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the collector has ended")
    }
}

impl Error for Closed {}

/// Why what was wanted was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Declined<E> {
    /// The collector says why.
    Refused(E),
    /// There is no collector any more.
    Closed,
}

impl<E> From<Closed> for Declined<E> {
    fn from(Closed: Closed) -> Self {
        Self::Closed
    }
}

impl<E: fmt::Display> fmt::Display for Declined<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::Closed => Closed.fmt(f),
        }
    }
}

impl<E: Error> Error for Declined<E> {}

/// Why a client has no answer.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientError {
    /// The collector says why.
    Query(QueryError),
    /// There is no collector any more.
    Closed,
}

impl From<QueryError> for ClientError {
    fn from(error: QueryError) -> Self {
        Self::Query(error)
    }
}

impl From<Closed> for ClientError {
    fn from(Closed: Closed) -> Self {
        Self::Closed
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query(error) => error.fmt(f),
            Self::Closed => Closed.fmt(f),
        }
    }
}

impl Error for ClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Query(error) => error.source(),
            Self::Closed => None,
        }
    }
}
