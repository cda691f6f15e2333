//! A question asked again and again, as a stream.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_channel::oneshot;
use futures_core::Stream;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::runtime;
use tokio::time::{Instant, Sleep, sleep};

use crate::ClientError;

/// The shortest time between two asks of one watch: what a watch is for does not change faster,
/// and a zero would spin.
pub const WATCH_EVERY_MIN: Duration = Duration::from_millis(10);

/// Ends when the driver has ended.
pub(super) type Ended = Shared<oneshot::Receiver<()>>;

/// Answers to one question, one each period: [`Tidegate::watch`](super::Tidegate::watch).
///
/// It works under back-pressure and queues nothing: it asks when it is polled and a period has
/// passed since it last asked. A reader who takes longer than a period misses nothing but old
/// answers; the next one is as new as one that is asked for at that moment. There is never more
/// than one ask under way. The first comes at once.
///
/// An error is an item as an answer is, and the next period brings another. It ends when the
/// client is [closed](super::Tidegate::close), and not before. Dropped, it takes its ask along and
/// asks no more.
#[must_use = "a watch asks only when it is polled"]
pub struct Watch<T> {
    ask: Box<dyn Fn() -> BoxFuture<'static, Result<T, ClientError>> + Send + Sync>,
    every: Duration,
    ended: Ended,
    runtime: runtime::Handle,
    state: State<T>,
}

enum State<T> {
    Due,
    Asking {
        since: Instant,
        asking: BoxFuture<'static, Result<T, ClientError>>,
    },
    Resting(Pin<Box<Sleep>>),
    Ended,
}

impl<T> Watch<T> {
    pub(super) fn new(
        ask: impl Fn() -> BoxFuture<'static, Result<T, ClientError>> + Send + Sync + 'static,
        every: Duration,
        ended: Ended,
        runtime: runtime::Handle,
    ) -> Self {
        Self {
            ask: Box::new(ask),
            every: every.max(WATCH_EVERY_MIN),
            ended,
            runtime,
            state: State::Due,
        }
    }

    /// The next item, for those who have no use for other stream combinators. Dropping the future
    /// loses nothing.
    pub async fn next(&mut self) -> Option<Result<T, ClientError>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    fn rest(&self, since: Instant) -> State<T> {
        // Whoever polls need not be on the client's runtime.
        let _on_runtime = self.runtime.enter();
        let left = self.every.saturating_sub(since.elapsed());
        State::Resting(Box::pin(sleep(left)))
    }
}

impl<T> Stream for Watch<T> {
    type Item = Result<T, ClientError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let watch = self.get_mut();
        loop {
            match &mut watch.state {
                State::Due => {
                    watch.state = State::Asking {
                        since: Instant::now(),
                        asking: (watch.ask)(),
                    };
                }
                State::Asking { since, asking } => {
                    let since = *since;
                    let result = ready!(asking.as_mut().poll(cx));
                    if let Err(ClientError::Closed) = result {
                        watch.state = State::Ended;
                        return Poll::Ready(None);
                    }
                    watch.state = watch.rest(since);
                    return Poll::Ready(Some(result));
                }
                State::Resting(rest) => {
                    if watch.ended.poll_unpin(cx).is_ready() {
                        watch.state = State::Ended;
                        return Poll::Ready(None);
                    }
                    ready!(rest.as_mut().poll(cx));
                    watch.state = State::Due;
                }
                State::Ended => return Poll::Ready(None),
            }
        }
    }
}

impl<T> fmt::Debug for Watch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Due => "due",
            State::Asking { .. } => "asking",
            State::Resting(_) => "resting",
            State::Ended => "ended",
        };
        f.debug_struct("Watch")
            .field("every", &self.every)
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
