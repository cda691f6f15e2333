//! What the driver does with what a machine says, shown by a machine that does as it is told.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use futures_util::FutureExt;
use tidegate_api::{CommandId, Input, Output};
use tidegate_client::{Closed, INBOX_COMMANDS_MAX, Machine, MachineError, STEP_INPUTS_MAX};
use tidegate_core::{
    Deadline, Event, Fetch, FetchId, FetchRequest, Instant, Level, Method, Now, Response, Wake,
};

use crate::stage::Stage;

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

/// What the machine was given, step by step.
type Steps = Rc<RefCell<Vec<Vec<String>>>>;

/// Does as it is told and writes down what it was given.
#[derive(Clone, Default)]
struct Puppet {
    steps: Steps,
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
        path: "/".into(),
        form: String::new(),
    };
    Fetch {
        id: FetchId(id),
        source: "a".into(),
        target: None,
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

/// A puppet on a stage, and the steps it took.
fn stage() -> (Stage<Do, &'static str>, Steps) {
    let puppet = Puppet::default();
    let steps = Rc::clone(&puppet.steps);
    (Stage::of(puppet), steps)
}

fn last(steps: &Steps) -> Vec<String> {
    steps.borrow().last().cloned().unwrap_or_default()
}

fn good() -> Result<Response, tidegate_core::FetchError> {
    Ok(Response::new(200, *b"{}"))
}

#[test]
fn the_machine_is_stepped_once_before_anything_happens() {
    let (_stage, steps) = stage();
    assert_eq!(*steps.borrow(), [Vec::<String>::new()]);
}

#[test]
fn what_is_ready_at_once_goes_into_one_step() {
    let (mut stage, steps) = stage();
    let calls: Vec<_> = (0..3).map(|_| stage.begin(Do::Reply)).collect();
    stage.settle();
    assert_eq!(last(&steps), ["0 Reply", "1 Reply", "2 Reply"]);
    assert_eq!(steps.borrow().len(), 2);
    for call in calls {
        assert_eq!(call.now_or_never(), Some(Ok("done")));
    }
}

#[test]
fn a_step_takes_no_more_than_its_limit_and_the_rest_comes_next() {
    let (mut stage, steps) = stage();
    let calls: Vec<_> = (0..=STEP_INPUTS_MAX)
        .map(|_| stage.begin(Do::Reply))
        .collect();
    stage.settle();
    let sizes: Vec<_> = steps.borrow().iter().map(Vec::len).collect();
    assert_eq!(sizes, [0, STEP_INPUTS_MAX, 1]);
    assert!(
        calls
            .into_iter()
            .all(|call| call.now_or_never() == Some(Ok("done")))
    );
}

#[test]
fn senders_wait_while_the_inbox_is_full_and_none_is_lost() {
    let (mut stage, steps) = stage();
    let mut calls: Vec<_> = (0..2 * INBOX_COMMANDS_MAX)
        .map(|_| stage.begin(Do::Reply))
        .collect();
    stage.settle();
    let served = steps.borrow().iter().map(Vec::len).sum::<usize>();
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
    let (mut stage, steps) = stage();
    let mut call = stage.begin(Do::Fetch(7));
    stage.settle();
    assert_eq!((&mut call).now_or_never(), None);
    assert!(stage.net.end(7, good()));
    stage.settle();
    assert_eq!(last(&steps), ["fetched 7 true"]);
    assert_eq!(call.now_or_never(), Some(Ok("fetched")));
}

#[test]
fn a_cancelled_fetch_is_dropped_and_never_heard_of_again() {
    let (mut stage, steps) = stage();
    let _fetching = stage.begin(Do::Fetch(7));
    stage.settle();
    assert!(!stage.net.is_given_up(7));
    let _cancelling = stage.begin(Do::Cancel(7));
    stage.settle();
    assert!(stage.net.is_given_up(7));
    assert_eq!(last(&steps), ["1 Cancel(7)"]);
}

#[test]
fn a_call_that_is_dropped_is_abandoned() {
    let (mut stage, steps) = stage();
    let call = stage.begin(Do::Nothing);
    stage.settle();
    drop(call);
    stage.settle();
    assert_eq!(last(&steps), ["0 abandoned"]);
}

#[test]
fn a_call_dropped_before_the_driver_saw_it_never_reaches_the_machine() {
    let (mut stage, steps) = stage();
    drop(stage.begin(Do::Nothing));
    stage.settle();
    assert_eq!(steps.borrow().len(), 1);
}

#[test]
fn the_machine_is_stepped_when_its_deadline_passes_and_not_before() {
    let (mut stage, steps) = stage();
    let due = Instant::from_millis(50);
    let _call = stage.begin(Do::WaitUntil(due));
    stage.settle();
    stage.hands.move_to(Instant::from_nanos(due.as_nanos() - 1));
    stage.settle();
    assert_eq!(steps.borrow().len(), 2);
    stage.hands.move_to(due);
    stage.settle();
    assert_eq!(last(&steps), ["due"]);
    stage.hands.move_to(due + Duration::from_secs(9));
    stage.settle();
    assert_eq!(steps.borrow().len(), 3);
}

#[test]
fn events_reach_the_observer() {
    let (mut stage, _) = stage();
    let _call = stage.begin(Do::Say);
    stage.settle();
    assert_eq!(*stage.events.borrow(), [some_event()]);
}

#[test]
fn closed_it_serves_what_was_sent_before_and_then_ends() {
    let (mut stage, _) = stage();
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
    assert!(stage.net.end(1, good()));
    stage.settle();
    assert_eq!(served.now_or_never(), Some(Ok("fetched")));
    assert_eq!(stage.end.take(), Some(Ok(())));
    assert!(stage.handle.is_closed());
}

#[test]
fn what_is_sent_after_closing_finds_it_closed_before_the_driver_knows() {
    let (mut stage, steps) = stage();
    let served = stage.begin(Do::Reply);
    stage.handle.close();
    let late = stage.handle.clone();
    assert_eq!(late.call(Do::Reply).now_or_never(), Some(Err(Closed)));
    stage.settle();
    assert_eq!(served.now_or_never(), Some(Ok("done")));
    assert_eq!(steps.borrow().concat(), ["0 Reply"]);
}

#[test]
fn without_handles_it_ends_and_drops_what_nobody_waits_for() {
    let (mut stage, _) = stage();
    let call = stage.begin(Do::Fetch(1));
    stage.settle();
    drop((
        call,
        std::mem::replace(&mut stage.handle, self::stage().0.handle),
    ));
    stage.settle();
    assert_eq!(stage.end.take(), Some(Ok(())));
    assert!(stage.net.is_given_up(1));
}

#[test]
fn a_machine_that_breaks_is_told_to_its_owner_and_to_every_waiter() {
    let (mut stage, _) = stage();
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
