//! The loop: gather what happened, step the machine, do what it says, wait.

use std::collections::BTreeMap;
use std::future::{pending, poll_fn};
use std::mem;
use std::pin::pin;
use std::task::{Context, Poll};

use futures_channel::{mpsc, oneshot};
use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tidegate_api::{CommandId, Input, Output};
use tidegate_core::{Event, Fetch, FetchError, FetchId, Instant, Now, Response};

use crate::handle::{Control, Letter};
use crate::{Clock, Handle, Machine, MachineError, Transport};

/// How many commands wait for the driver before senders must wait too: a burst of the size that a
/// busy front meets, and some ten kilobytes when idle.
pub const INBOX_COMMANDS_MAX: usize = 1_024;

/// How many inputs go into one step: enough to spread the cost of a step over a burst, few enough
/// that replies to the first of them do not wait for the last.
pub const STEP_INPUTS_MAX: usize = 256;

/// Connects a machine with a transport and a clock. Gives the handle to ask by, and the future
/// that does everything; nothing happens until that is polled. `observer` hears every event.
///
/// The future ends well when every handle is dropped or [`Handle::close`] was called and all that
/// was sent before has its reply; fetches that nobody waits for are dropped then. Dropping the
/// future ends everything at once. Either way, those who still wait get [`crate::Closed`].
///
/// The future is `Send` if the machine, its commands and replies, the transport, the clock and
/// their futures are.
///
/// # Errors
/// The future ends with the error of a machine that broke.
pub fn driver<M, T, K>(
    machine: M,
    transport: T,
    clock: K,
    observer: impl FnMut(Event),
) -> (
    Handle<M::Command, M::Reply>,
    impl Future<Output = Result<(), MachineError>>,
)
where
    M: Machine,
    T: Transport,
    K: Clock,
{
    let (sender, letters) = mpsc::channel(INBOX_COMMANDS_MAX);
    let (control_sender, control) = mpsc::unbounded();
    let desk = Desk {
        letters,
        control,
        waiters: BTreeMap::new(),
        is_closed: false,
    };
    (
        Handle::new(sender, control_sender),
        run(machine, transport, clock, observer, desk),
    )
}

async fn run<M, T, K>(
    mut machine: M,
    transport: T,
    clock: K,
    mut observer: impl FnMut(Event),
    mut desk: Desk<M::Command, M::Reply>,
) -> Result<(), MachineError>
where
    M: Machine,
    T: Transport,
    K: Clock,
{
    let mut fetches = FuturesUnordered::new();
    let mut aborts = BTreeMap::new();
    let mut inputs = Vec::new();
    loop {
        let now = clock.now();
        let mut deadline = None;
        for output in machine.step(mem::take(&mut inputs), now)? {
            match output {
                Output::Fetch(fetch) => {
                    let (abort, registration) = AbortHandle::new_pair();
                    aborts.insert(fetch.id, abort);
                    fetches.push(Abortable::new(
                        perform(&transport, fetch, now),
                        registration,
                    ));
                }
                Output::Cancel(id) => {
                    if let Some(abort) = aborts.remove(&id) {
                        abort.abort();
                    }
                }
                Output::Reply(id, reply) => desk.deliver(id, reply),
                Output::Event(event) => observer(event),
                // Whoever gives responses out again, or has sinks, stands around the machine.
                Output::Forget(_) | Output::Append(_) => {}
                Output::Wait(wait) => deadline = wait.map(|wait| wait.at),
            }
        }
        if desk.is_done() {
            return Ok(());
        }
        let mut sleep = pin!(sleep(&clock, deadline));
        poll_fn(|cx| {
            // A fetch that is cancelled ends too, and is no news.
            while inputs.len() < STEP_INPUTS_MAX
                && let Poll::Ready(Some(ended)) = fetches.poll_next_unpin(cx)
            {
                if let Ok((id, result)) = ended
                    && aborts.remove(&id).is_some()
                {
                    inputs.push(Input::Response(id, result));
                }
            }
            desk.gather(cx, &mut inputs);
            let is_due = sleep.poll_unpin(cx).is_ready();
            if is_due || !inputs.is_empty() || desk.is_done() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

async fn perform(
    transport: &impl Transport,
    fetch: Fetch,
    now: Now,
) -> (FetchId, Result<Response, FetchError>) {
    (fetch.id, transport.fetch(fetch, now).await)
}

async fn sleep(clock: &impl Clock, deadline: Option<Instant>) {
    match deadline {
        Some(at) => clock.sleep(at).await,
        None => pending().await,
    }
}

/// Where commands come in and replies go out.
struct Desk<C, R> {
    letters: mpsc::Receiver<Letter<C, R>>,
    control: mpsc::UnboundedReceiver<Control>,
    waiters: BTreeMap<CommandId, oneshot::Sender<R>>,
    /// No further command can come.
    is_closed: bool,
}

impl<C, R> Desk<C, R> {
    /// Takes what has arrived, as long as the step has room.
    fn gather(&mut self, cx: &mut Context<'_>, inputs: &mut Vec<Input<C>>) {
        while inputs.len() < STEP_INPUTS_MAX && !self.is_closed {
            match self.letters.poll_next_unpin(cx) {
                // Its sender has left already, so the machine need not hear of it.
                Poll::Ready(Some(letter)) if letter.reply.is_canceled() => {}
                Poll::Ready(Some(letter)) => {
                    self.waiters.insert(letter.id, letter.reply);
                    inputs.push(Input::Command(letter.id, letter.command));
                }
                Poll::Ready(None) => self.is_closed = true,
                Poll::Pending => break,
            }
        }
        while inputs.len() < STEP_INPUTS_MAX {
            match self.control.poll_next_unpin(cx) {
                Poll::Ready(Some(Control::Abandon(id))) => {
                    if self.waiters.remove(&id).is_some() {
                        inputs.push(Input::Abandon(id));
                    }
                }
                // What was sent before still comes out of the closed inbox, and then its end.
                Poll::Ready(Some(Control::Close)) => {
                    self.letters.close();
                    cx.waker().wake_by_ref();
                }
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
    }

    fn deliver(&mut self, id: CommandId, reply: R) {
        if let Some(waiter) = self.waiters.remove(&id) {
            // Whoever has just left needs no reply.
            let _ = waiter.send(reply);
        }
    }

    fn is_done(&self) -> bool {
        self.is_closed && self.waiters.is_empty()
    }
}
