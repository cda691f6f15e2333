//! The vocabulary of a step: what happened, and what to do about it.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use tidegate_core::{
    Aggregation, AggregationError, Answer, Appended, Ask, CatalogError, Config, ConfigError,
    Deadline, Event, Fetch, FetchError, FetchId, Forget, Group, Invalidation, OwnerError,
    QueryError, Record, RecordError, Recorded, Response, TemplateConfig,
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
    /// A question about windows of Tidegate's own series.
    Aggregate(Aggregation),
    /// A change at run time.
    Change(Change),
}

/// A change at run time.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Adds a template to a source's catalog.
    Register {
        /// The source.
        source: String,
        /// The template.
        template: TemplateConfig,
    },
    /// Replaces a template of a source's catalog.
    Update {
        /// The source.
        source: String,
        /// The template, by its name.
        template: TemplateConfig,
    },
    /// Takes a template out of a source's catalog.
    Unregister {
        /// The source.
        source: String,
        /// The template's name.
        template: String,
    },
    /// Stops keeping a key warm.
    Untrack {
        /// The key.
        key: String,
    },
    /// Forgets answers.
    Invalidate(Invalidation),
    /// Gives the pods of a workload to an owner.
    RegisterOwner {
        /// The workload.
        workload: String,
        /// The owner.
        owner: String,
    },
    /// Forgets whose the pods of a workload are.
    UnregisterOwner {
        /// The workload.
        workload: String,
    },
    /// Applies a new configuration.
    Reload(Box<Config>),
}

/// Why nothing changed; whoever asked for the change is to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeError {
    /// A catalog stays as it is.
    Catalog(CatalogError),
    /// The owners stay as they are.
    Owner(OwnerError),
    /// The configuration stays as it is.
    Config(ConfigError),
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Catalog(error) => error.fmt(f),
            Self::Owner(error) => error.fmt(f),
            Self::Config(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ChangeError {}

/// The answer to the command of the same kind.
#[derive(Debug)]
pub enum Reply {
    /// The response to [`Command::Http`].
    Http(HttpResponse),
    /// The answer to [`Command::Ask`].
    Answer(Result<Answer, QueryError>),
    /// The verdict on [`Command::Record`].
    Recorded(Result<Recorded, RecordError>),
    /// What [`Command::Aggregate`] comes to.
    Aggregated(Result<Vec<Group>, AggregationError>),
    /// How many answers were forgotten, keys dropped or owners replaced by [`Command::Change`].
    Changed(Result<usize, ChangeError>),
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
    /// Give none of these responses out again, whatever their [`Reuse`](crate::Reuse) said: those
    /// of earlier steps and those that come before this in the same. It takes effect before any
    /// reply of this step is delivered.
    Forget(Forget),
    /// Have sinks write this, which was added to Tidegate's own series.
    Append(Appended),
    /// Always last: when to step again even if nothing happens.
    Wait(Option<Deadline>),
}
