//! The collector behind numbered commands: starts them, remembers who waits, renders the replies.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use tidegate_core::{Answer, Ask, AskId, Collector, Config, ConfigError, Lookup, Now, QueryError};

use crate::params::{Params, apply_cache_control};
use crate::route::{Endpoint, Route, route};
use crate::{
    Command, CommandId, HttpRequest, HttpResponse, Input, Output, Reply, error, metrics, render,
    status,
};

/// A collector and its HTTP API as one machine without IO.
#[derive(Debug)]
pub struct Front {
    collector: Collector,
    version: String,
    waiting: BTreeMap<AskId, Waiting>,
    asks: BTreeMap<CommandId, AskId>,
    outputs: Vec<Output<Reply>>,
}

/// Who waits for an ask, and what they want to see.
#[derive(Debug)]
struct Waiting {
    command: CommandId,
    view: View,
}

/// How an answer is to look.
#[derive(Debug)]
enum View {
    Typed,
    Query { head: bool },
    Collect { template: String, head: bool },
}

impl View {
    fn reply(&self, result: Result<Answer, QueryError>) -> Reply {
        let (head, response) = match (self, result) {
            (Self::Typed, result) => return Reply::Answer(result),
            (Self::Query { head }, Ok(answer)) => (*head, render::query(&answer)),
            (Self::Collect { template, head }, Ok(answer)) => {
                (*head, render::collect(&answer, template))
            }
            (Self::Query { head } | Self::Collect { head, .. }, Err(error)) => {
                (*head, error::response(&error))
            }
        };
        Reply::Http(without_body(response, head))
    }
}

impl Front {
    /// A machine with this configuration. `version` is what `/api/v1/status/buildinfo` says.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn new(config: Config, version: impl Into<String>, now: Now) -> Result<Self, ConfigError> {
        Ok(Self {
            collector: Collector::new(config, now)?,
            version: version.into(),
            waiting: BTreeMap::new(),
            asks: BTreeMap::new(),
            outputs: Vec::new(),
        })
    }

    /// Acts on every deadline that `now` has reached, then takes what happened, in order; says
    /// what to do. The last output is always [`Output::Wait`]. A reply comes in this step or in a
    /// later one, and never for a command that was abandoned.
    pub fn step(&mut self, inputs: Vec<Input<Command>>, now: Now) -> Vec<Output<Reply>> {
        self.collector.handle_timeout(now);
        for input in inputs {
            match input {
                Input::Command(id, command) => self.command(id, command, now),
                Input::Abandon(id) => self.abandon(id, now),
                Input::Response(id, result) => self.collector.handle_response(id, result, now),
            }
            // Replies to earlier inputs go out before later ones can abandon them.
            self.drain();
        }
        let wait = self.drain();
        self.outputs.push(wait);
        core::mem::take(&mut self.outputs)
    }

    fn command(&mut self, id: CommandId, command: Command, now: Now) {
        match command {
            Command::Record(record) => {
                let recorded = self.collector.record(&record, now);
                self.outputs
                    .push(Output::Reply(id, Reply::Recorded(recorded)));
            }
            Command::Ask(ask) => {
                if let Err(error) = self.ask(id, &ask, View::Typed, now) {
                    self.outputs
                        .push(Output::Reply(id, Reply::Answer(Err(error))));
                }
            }
            Command::Http(request) => {
                if let Err(response) = self.http(id, &request, now) {
                    let response = without_body(response, request.method == "HEAD");
                    self.outputs.push(Output::Reply(id, Reply::Http(response)));
                }
            }
        }
    }

    /// Starts an HTTP request. `Err` is the response where it is known at once.
    fn http(&mut self, id: CommandId, request: &HttpRequest, now: Now) -> Result<(), HttpResponse> {
        let route = route(request)?;
        let head = route.head;
        match &route.endpoint {
            Endpoint::Query => {
                let ask = Params::of(&route, request)?.query_ask()?;
                self.http_ask(id, ask, &route, request, View::Query { head }, now)
            }
            Endpoint::Collect { template } => {
                let ask = Params::of(&route, request)?.template_ask(template.clone());
                let view = View::Collect {
                    template: template.clone(),
                    head,
                };
                self.http_ask(id, ask, &route, request, view, now)
            }
            Endpoint::BuildInfo => Err(status::buildinfo(&self.version)),
            Endpoint::Health => Err(status::health(&self.collector, &self.version)),
            Endpoint::Stats => Err(status::stats(&self.collector)),
            Endpoint::Metrics => Err(metrics::metrics(&self.collector, &self.version)),
            Endpoint::Ready => Err(HttpResponse::text(200, "Tidegate is ready.\n")),
        }
    }

    fn http_ask(
        &mut self,
        id: CommandId,
        mut ask: Ask,
        route: &Route,
        request: &HttpRequest,
        view: View,
        now: Now,
    ) -> Result<(), HttpResponse> {
        ask.source.clone_from(&route.source);
        apply_cache_control(&mut ask, request);
        self.ask(id, &ask, view, now)
            .map_err(|error| error::refusal(&error, &ask, request))
    }

    fn ask(&mut self, id: CommandId, ask: &Ask, view: View, now: Now) -> Result<(), QueryError> {
        match self.collector.query(ask, now)? {
            Lookup::Ready(answer) => self.outputs.push(Output::Reply(id, view.reply(Ok(answer)))),
            Lookup::Pending(ask) => {
                self.waiting.insert(ask, Waiting { command: id, view });
                self.asks.insert(id, ask);
            }
        }
        Ok(())
    }

    fn abandon(&mut self, id: CommandId, now: Now) {
        if let Some(ask) = self.asks.remove(&id) {
            self.waiting.remove(&ask);
            self.collector.abandon(ask, now);
        }
    }

    /// Passes the collector's outputs on; returns the final `Wait`.
    fn drain(&mut self) -> Output<Reply> {
        loop {
            let output = match self.collector.poll_output() {
                tidegate_core::Output::Fetch(fetch) => Output::Fetch(fetch),
                tidegate_core::Output::Cancel(id) => Output::Cancel(id),
                tidegate_core::Output::Event(event) => Output::Event(event),
                tidegate_core::Output::Wait(deadline) => return Output::Wait(deadline),
                tidegate_core::Output::Reply(reply) => match self.waiting.remove(&reply.ask) {
                    Some(Waiting { command, view }) => {
                        self.asks.remove(&command);
                        Output::Reply(command, view.reply(reply.result))
                    }
                    None => continue,
                },
            };
            self.outputs.push(output);
        }
    }
}

/// A `HEAD` is answered as a `GET` would be, without the body.
fn without_body(mut response: HttpResponse, head: bool) -> HttpResponse {
    if head {
        response.body.clear();
    }
    response
}
