//! The vocabulary of a step: what happened, and what to do about it.

use tidegate_core::{
    Answer, Ask, Deadline, Event, Fetch, FetchError, FetchId, QueryError, Record, RecordError,
    Recorded, Response,
};

use crate::{HttpRequest, HttpResponse};

/// Names one command; chosen by whoever sends it, unique among those that still wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u64);

/// What somebody wants.
#[derive(Clone, Debug)]
pub enum Command {
    /// A request of the HTTP API.
    Http(HttpRequest),
    /// A typed question.
    Ask(Ask),
    /// A batch of samples.
    Record(Record),
}

/// The answer to the command of the same kind.
#[derive(Debug)]
pub enum Reply {
    /// The response to [`Command::Http`].
    Http(HttpResponse),
    /// The answer to [`Command::Ask`].
    Answer(Result<Answer, QueryError>),
    /// The verdict on [`Command::Record`].
    Recorded(Result<Recorded, RecordError>),
}

/// What happened since the last step. `C` is the kind of command: [`Command`], or what a guest
/// takes.
#[derive(Debug)]
pub enum Input<C> {
    /// Somebody wants something; exactly one [`Output::Reply`] with this id follows.
    Command(CommandId, C),
    /// Whoever sent this command left; no reply is wanted.
    Abandon(CommandId),
    /// A fetch ended.
    Response(FetchId, Result<Response, FetchError>),
}

/// What to do. `R` is the kind of reply that goes with the kind of command.
#[derive(Debug)]
pub enum Output<R> {
    /// Perform this fetch and hand its end back as [`Input::Response`].
    Fetch(Fetch),
    /// Nobody waits for this fetch any more.
    Cancel(FetchId),
    /// Deliver this reply.
    Reply(CommandId, R),
    /// Log this.
    Event(Event),
    /// Always last: when to step again even if nothing happens.
    Wait(Option<Deadline>),
}
