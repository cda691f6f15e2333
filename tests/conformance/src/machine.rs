//! What the runner drives: the step machine, in the words that every runtime has.

use tidegate_api::{Change, Command, Front, HttpRequest, Input, Output};
use tidegate_core::{Config, Now, Record};

/// What somebody wants. Only what also crosses the component's border.
#[derive(Clone, Debug)]
pub enum Request {
    /// A request of the HTTP API.
    Http(HttpRequest),
    /// A batch of samples.
    Record(Record),
    /// A change at run time.
    Change(Change),
}

/// What became of a batch of samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// How many samples were taken.
    pub accepted: u64,
    /// How many were not.
    pub refused: u64,
    /// What was wrong with the first of those.
    pub first_refusal: Option<String>,
}

/// The answer to the request of the same kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The response to [`Request::Http`].
    Http {
        /// The status code.
        status: u16,
        /// The headers, names in lowercase.
        headers: Vec<(String, String)>,
        /// The body.
        body: Vec<u8>,
    },
    /// The verdict on [`Request::Record`], or why the batch was refused whole.
    Recorded(Result<Verdict, String>),
    /// How many answers were forgotten or keys dropped by [`Request::Change`], or why nothing
    /// changed.
    Changed(Result<u64, String>),
}

/// A collector with its HTTP API, wherever it runs.
pub trait Machine {
    /// As [`Front::step`]: takes what happened and the time, says what to do.
    ///
    /// # Errors
    /// What broke in the machinery around the collector: a trap, say. It ends the script.
    fn step(&mut self, inputs: Vec<Input<Request>>, now: Now)
    -> Result<Vec<Output<Reply>>, String>;
}

/// The machine in process.
///
/// # Errors
/// What is wrong with the configuration, in words.
pub fn front(config: Config, version: &str, now: Now) -> Result<Front, String> {
    Front::new(config, version, now).map_err(|error| error.to_string())
}

impl Machine for Front {
    fn step(
        &mut self,
        inputs: Vec<Input<Request>>,
        now: Now,
    ) -> Result<Vec<Output<Reply>>, String> {
        let inputs = inputs.into_iter().map(command).collect();
        Self::step(self, inputs, now)
            .into_iter()
            .map(reply)
            .collect()
    }
}

fn command(input: Input<Request>) -> Input<Command> {
    match input {
        Input::Command(id, Request::Http(request)) => Input::Command(id, Command::Http(request)),
        Input::Command(id, Request::Record(batch)) => Input::Command(id, Command::Record(batch)),
        Input::Command(id, Request::Change(change)) => Input::Command(id, Command::Change(change)),
        Input::Abandon(id) => Input::Abandon(id),
        Input::Response(id, result) => Input::Response(id, result),
    }
}

fn reply(output: Output<tidegate_api::Reply>) -> Result<Output<Reply>, String> {
    Ok(match output {
        Output::Reply(id, reply) => Output::Reply(id, plain(reply)?),
        Output::Fetch(fetch) => Output::Fetch(fetch),
        Output::Cancel(id) => Output::Cancel(id),
        Output::Event(event) => Output::Event(event),
        Output::Forget(forget) => Output::Forget(forget),
        Output::Append(appended) => Output::Append(appended),
        Output::Wait(deadline) => Output::Wait(deadline),
    })
}

fn plain(reply: tidegate_api::Reply) -> Result<Reply, String> {
    match reply {
        tidegate_api::Reply::Http(response) => Ok(Reply::Http {
            status: response.status,
            headers: response
                .headers
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            body: response.body,
        }),
        tidegate_api::Reply::Recorded(Ok(recorded)) => Ok(Reply::Recorded(Ok(Verdict {
            accepted: recorded.accepted as u64,
            refused: recorded.refused.len() as u64,
            first_refusal: recorded.refused.first().map(|(_, error)| error.to_string()),
        }))),
        tidegate_api::Reply::Recorded(Err(error)) => Ok(Reply::Recorded(Err(error.to_string()))),
        tidegate_api::Reply::Changed(result) => Ok(Reply::Changed(
            result
                .map(|count| count as u64)
                .map_err(|error| error.to_string()),
        )),
        tidegate_api::Reply::Answer(_) | tidegate_api::Reply::Aggregated(_) => {
            Err("a typed answer, which no script asks for".to_owned())
        }
    }
}
