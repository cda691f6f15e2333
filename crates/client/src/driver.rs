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

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;
    use std::time::Duration;

    use futures_executor::LocalPool;
    use futures_util::future::LocalBoxFuture;
    use futures_util::task::LocalSpawnExt;
    use tidegate_core::{Deadline, FetchRequest, Level, Method, Wake};

    use super::*;
    use crate::Closed;

    /// What the test machine is told to do by a command.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Do {
        Reply,
        Nothing,
        Fetch(u64),
        Cancel(u64),
        WaitUntil(Instant),
        Say,
        Break,
    }

    /// Does as it is told and writes down what it was given.
    #[derive(Clone, Default)]
    struct Puppet {
        steps: Rc<RefCell<Vec<Vec<String>>>>,
        /// Whom the end of a fetch is told.
        asker: Cell<Option<CommandId>>,
        deadline: Cell<Option<Instant>>,
    }

    impl Machine for Puppet {
        type Command = Do;
        type Reply = &'static str;

        fn step(
            &mut self,
            inputs: Vec<Input<Do>>,
            now: Now,
        ) -> Result<Vec<Output<&'static str>>, MachineError> {
            let mut outputs = Vec::new();
            let mut told = Vec::new();
            if self.deadline.get().is_some_and(|at| at <= now.mono) {
                self.deadline.set(None);
                told.push("due".to_owned());
            }
            for input in inputs {
                match input {
                    Input::Command(id, what) => {
                        told.push(format!("{} {what:?}", id.0));
                        match what {
                            Do::Reply => outputs.push(Output::Reply(id, "done")),
                            Do::Nothing => {}
                            Do::Fetch(fetch) => {
                                self.asker.set(Some(id));
                                outputs.push(Output::Fetch(some_fetch(fetch)));
                            }
                            Do::Cancel(fetch) => outputs.push(Output::Cancel(FetchId(fetch))),
                            Do::WaitUntil(at) => self.deadline.set(Some(at)),
                            Do::Say => outputs.push(Output::Event(some_event())),
                            Do::Break => return Err(MachineError::new("told to")),
                        }
                    }
                    Input::Abandon(id) => told.push(format!("{} abandoned", id.0)),
                    Input::Response(id, result) => {
                        told.push(format!("fetched {} {}", id.0, result.is_ok()));
                        outputs.extend(
                            self.asker
                                .take()
                                .map(|asker| Output::Reply(asker, "fetched")),
                        );
                    }
                }
            }
            self.steps.borrow_mut().push(told);
            outputs.push(Output::Wait(self.deadline.get().map(|at| Deadline {
                at,
                wake: Wake::AskTimeout,
            })));
            Ok(outputs)
        }
    }

    fn some_fetch(id: u64) -> Fetch {
        let request = FetchRequest {
            method: Method::Get,
            path: "/",
            form: String::new(),
        };
        Fetch {
            id: FetchId(id),
            source: "a".into(),
            request,
            deadline: Instant::ZERO,
        }
    }

    fn some_event() -> Event {
        Event {
            level: Level::Info,
            name: "said",
            source: "a".into(),
            key: None,
            detail: String::new(),
        }
    }

    /// Fetches that end when the test says so, and that tell when they are dropped.
    #[derive(Clone, Default)]
    struct Net {
        ends: Rc<RefCell<BTreeMap<u64, oneshot::Sender<()>>>>,
    }

    impl Net {
        fn answer(&self, id: u64) {
            self.ends
                .borrow_mut()
                .remove(&id)
                .unwrap()
                .send(())
                .unwrap();
        }

        fn is_given_up(&self, id: u64) -> bool {
            self.ends.borrow()[&id].is_canceled()
        }
    }

    impl Transport for Net {
        fn fetch(
            &self,
            fetch: Fetch,
            _: Now,
        ) -> impl Future<Output = Result<Response, FetchError>> {
            let (end, ended) = oneshot::channel();
            self.ends.borrow_mut().insert(fetch.id.0, end);
            async move {
                ended.await.map_err(|_| FetchError::Reset {
                    detail: String::new(),
                })?;
                Ok(Response::new(200, *b"{}"))
            }
        }
    }

    type Sleeper = (Instant, oneshot::Sender<()>);

    /// A clock that moves when the test says so.
    #[derive(Clone, Default)]
    struct Hands {
        mono: Rc<Cell<Instant>>,
        sleepers: Rc<RefCell<Vec<Sleeper>>>,
    }

    impl Hands {
        fn move_to(&self, at: Instant) {
            self.mono.set(at);
            let (due, rest): (Vec<Sleeper>, _) = self
                .sleepers
                .take()
                .into_iter()
                .partition(|(until, _)| *until <= at);
            self.sleepers.replace(rest);
            for (_, sleeper) in due {
                let _ = sleeper.send(());
            }
        }
    }

    impl Clock for Hands {
        fn now(&self) -> Now {
            Now {
                mono: self.mono.get(),
                ..Now::ZERO
            }
        }

        fn sleep(&self, until: Instant) -> impl Future<Output = ()> {
            let (wake, woken) = oneshot::channel();
            if until <= self.mono.get() {
                let _ = wake.send(());
            } else {
                self.sleepers.borrow_mut().push((until, wake));
            }
            async move {
                let _ = woken.await;
            }
        }
    }

    /// A driver, its surroundings, and what came of it.
    struct Stage {
        pool: LocalPool,
        handle: Handle<Do, &'static str>,
        net: Net,
        hands: Hands,
        steps: Rc<RefCell<Vec<Vec<String>>>>,
        events: Rc<Cell<usize>>,
        end: Rc<RefCell<Option<Result<(), String>>>>,
    }

    type Call = LocalBoxFuture<'static, Result<&'static str, Closed>>;

    impl Stage {
        fn new() -> Self {
            let (puppet, net, hands) = (Puppet::default(), Net::default(), Hands::default());
            let (steps, events, end) = (Rc::clone(&puppet.steps), Rc::default(), Rc::default());
            let heard: Rc<Cell<usize>> = Rc::clone(&events);
            let (handle, run) = driver(puppet, net.clone(), hands.clone(), move |_| {
                heard.set(heard.get() + 1)
            });
            let pool = LocalPool::new();
            let ended: Rc<RefCell<_>> = Rc::clone(&end);
            let run = run.map(move |result| {
                *ended.borrow_mut() = Some(result.map_err(|error| error.to_string()))
            });
            pool.spawner().spawn_local(run).unwrap();
            let mut stage = Self {
                pool,
                handle,
                net,
                hands,
                steps,
                events,
                end,
            };
            stage.settle();
            stage
        }

        /// Begins a call and sends its command; it goes on when it is polled again.
        fn begin(&self, what: Do) -> Call {
            let handle = self.handle.clone();
            let mut call: Call = Box::pin(async move { handle.call(what).await });
            assert_eq!((&mut call).now_or_never(), None);
            call
        }

        /// Lets the driver do all that it can do now.
        fn settle(&mut self) {
            self.pool.run_until_stalled();
        }

        fn last_step(&self) -> Vec<String> {
            self.steps.borrow().last().cloned().unwrap_or_default()
        }
    }

    #[test]
    fn the_machine_is_stepped_once_before_anything_happens() {
        assert_eq!(*Stage::new().steps.borrow(), [Vec::<String>::new()]);
    }

    #[test]
    fn what_is_ready_at_once_goes_into_one_step() {
        let mut stage = Stage::new();
        let calls: Vec<_> = (0..3).map(|_| stage.begin(Do::Reply)).collect();
        stage.settle();
        assert_eq!(stage.last_step(), ["0 Reply", "1 Reply", "2 Reply"]);
        assert_eq!(stage.steps.borrow().len(), 2);
        for call in calls {
            assert_eq!(call.now_or_never(), Some(Ok("done")));
        }
    }

    #[test]
    fn a_step_takes_no_more_than_its_limit_and_the_rest_comes_next() {
        let mut stage = Stage::new();
        let calls: Vec<_> = (0..=STEP_INPUTS_MAX)
            .map(|_| stage.begin(Do::Reply))
            .collect();
        stage.settle();
        let sizes: Vec<_> = stage.steps.borrow().iter().map(Vec::len).collect();
        assert_eq!(sizes, [0, STEP_INPUTS_MAX, 1]);
        assert!(
            calls
                .into_iter()
                .all(|call| call.now_or_never() == Some(Ok("done")))
        );
    }

    #[test]
    fn senders_wait_while_the_inbox_is_full_and_none_is_lost() {
        let mut stage = Stage::new();
        let mut calls: Vec<_> = (0..2 * INBOX_COMMANDS_MAX)
            .map(|_| stage.begin(Do::Reply))
            .collect();
        stage.settle();
        let served = stage.steps.borrow().iter().map(Vec::len).sum::<usize>();
        assert!(
            (INBOX_COMMANDS_MAX..=INBOX_COMMANDS_MAX + 1).contains(&served),
            "{served}"
        );
        for call in &mut calls {
            let reply = loop {
                if let Some(reply) = (&mut *call).now_or_never() {
                    break reply;
                }
                stage.settle();
            };
            assert_eq!(reply, Ok("done"));
        }
    }

    #[test]
    fn a_fetch_is_performed_and_its_end_handed_back() {
        let mut stage = Stage::new();
        let mut call = stage.begin(Do::Fetch(7));
        stage.settle();
        assert_eq!((&mut call).now_or_never(), None);
        stage.net.answer(7);
        stage.settle();
        assert_eq!(stage.last_step(), ["fetched 7 true"]);
        assert_eq!(call.now_or_never(), Some(Ok("fetched")));
    }

    #[test]
    fn a_cancelled_fetch_is_dropped_and_never_heard_of_again() {
        let mut stage = Stage::new();
        let _fetching = stage.begin(Do::Fetch(7));
        stage.settle();
        assert!(!stage.net.is_given_up(7));
        let _cancelling = stage.begin(Do::Cancel(7));
        stage.settle();
        assert!(stage.net.is_given_up(7));
        assert_eq!(stage.last_step(), ["1 Cancel(7)"]);
    }

    #[test]
    fn a_call_that_is_dropped_is_abandoned() {
        let mut stage = Stage::new();
        let call = stage.begin(Do::Nothing);
        stage.settle();
        drop(call);
        stage.settle();
        assert_eq!(stage.last_step(), ["0 abandoned"]);
    }

    #[test]
    fn a_call_dropped_before_the_driver_saw_it_never_reaches_the_machine() {
        let mut stage = Stage::new();
        drop(stage.begin(Do::Nothing));
        stage.settle();
        assert_eq!(stage.steps.borrow().len(), 1);
    }

    #[test]
    fn the_machine_is_stepped_when_its_deadline_passes_and_not_before() {
        let mut stage = Stage::new();
        let due = Instant::from_millis(50);
        let _call = stage.begin(Do::WaitUntil(due));
        stage.settle();
        stage.hands.move_to(Instant::from_nanos(due.as_nanos() - 1));
        stage.settle();
        assert_eq!(stage.steps.borrow().len(), 2);
        stage.hands.move_to(due);
        stage.settle();
        assert_eq!(stage.last_step(), ["due"]);
        stage.hands.move_to(due + Duration::from_secs(9));
        stage.settle();
        assert_eq!(stage.steps.borrow().len(), 3);
    }

    #[test]
    fn events_reach_the_observer() {
        let mut stage = Stage::new();
        let _call = stage.begin(Do::Say);
        stage.settle();
        assert_eq!(stage.events.get(), 1);
    }

    #[test]
    fn closed_it_serves_what_was_sent_before_and_then_ends() {
        let mut stage = Stage::new();
        let served = stage.begin(Do::Fetch(1));
        let refreshing = stage.begin(Do::Reply);
        stage.handle.close();
        stage.settle();
        assert_eq!(stage.end.take(), None);
        assert_eq!(refreshing.now_or_never(), Some(Ok("done")));
        assert_eq!(
            stage.handle.call(Do::Reply).now_or_never(),
            Some(Err(Closed))
        );
        stage.net.answer(1);
        stage.settle();
        assert_eq!(served.now_or_never(), Some(Ok("fetched")));
        assert_eq!(stage.end.take(), Some(Ok(())));
        assert!(stage.handle.is_closed());
    }

    #[test]
    fn without_handles_it_ends_and_drops_what_nobody_waits_for() {
        let mut stage = Stage::new();
        let call = stage.begin(Do::Fetch(1));
        stage.settle();
        drop((call, mem::replace(&mut stage.handle, Stage::new().handle)));
        stage.settle();
        assert_eq!(stage.end.take(), Some(Ok(())));
        assert!(stage.net.is_given_up(1));
    }

    #[test]
    fn a_machine_that_breaks_is_told_to_its_owner_and_to_every_waiter() {
        let mut stage = Stage::new();
        let mut waiting = stage.begin(Do::Nothing);
        stage.settle();
        assert_eq!((&mut waiting).now_or_never(), None);
        let (breaking, same_step) = (stage.begin(Do::Break), stage.begin(Do::Reply));
        stage.settle();
        for call in [waiting, breaking, same_step] {
            assert_eq!(call.now_or_never(), Some(Err(Closed)));
        }
        assert_eq!(
            stage.end.take(),
            Some(Err("the collector broke: told to".into()))
        );
        assert_eq!(
            stage.handle.call(Do::Reply).now_or_never(),
            Some(Err(Closed))
        );
    }
}
