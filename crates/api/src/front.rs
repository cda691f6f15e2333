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

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;
    use alloc::vec;
    use core::time::Duration;

    use tidegate_core::{FetchError, FetchId, Instant, Response, SourceConfig, UnixMillis};

    use super::*;

    const UP: &str = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;

    fn front() -> Front {
        let source = SourceConfig {
            probe_interval: Duration::ZERO,
            ..SourceConfig::prometheus("prom")
        };
        Front::new(Config::with_sources(vec![source]), "1.2.3", Now::ZERO).unwrap()
    }

    fn at(seconds: u64) -> Now {
        let mono = Instant::from_millis(seconds * 1000);
        Now {
            mono,
            wall: UnixMillis(mono.as_nanos() as i64 / 1_000_000),
        }
    }

    fn get(id: u64, target: &str) -> Input<Command> {
        Input::Command(CommandId(id), Command::Http(HttpRequest::get(target)))
    }

    fn respond(fetch: u64, result: Result<Response, FetchError>) -> Input<Command> {
        Input::Response(FetchId(fetch), result)
    }

    /// The HTTP responses among the outputs, by command.
    fn responses(outputs: Vec<Output<Reply>>) -> Vec<(u64, HttpResponse)> {
        let response = |output| {
            let Output::Reply(id, Reply::Http(response)) = output else {
                return None;
            };
            Some((id.0, response))
        };
        outputs.into_iter().filter_map(response).collect()
    }

    fn header<'a>(response: &'a HttpResponse, name: &str) -> &'a str {
        let found = response.headers.iter().find(|(header, _)| *header == name);
        found.map_or("", |(_, value)| value)
    }

    #[test]
    fn a_step_ends_with_what_to_wait_for() {
        let outputs = front().step(vec![get(1, "/api/v1/query?query=up")], at(0));
        assert!(matches!(
            outputs[..],
            [Output::Fetch(_), Output::Wait(Some(_))]
        ));
    }

    #[test]
    fn headers_say_how_an_answer_was_come_by() {
        let mut front = front();
        let query = |id| get(id, "/api/v1/query?query=up");
        let mut seen = vec![];
        front.step(vec![query(1), query(2)], at(0));
        let said = Ok(Response::new(200, UP));
        seen.extend(responses(front.step(vec![respond(0, said)], at(1))));
        seen.extend(responses(front.step(vec![query(3)], at(11))));
        front.step(vec![query(4)], at(40));
        let down = Err(FetchError::Connect {
            detail: "refused\r\nset-cookie: x".into(),
        });
        seen.extend(responses(front.step(vec![respond(1, down)], at(41))));

        let statuses: Vec<_> = seen
            .iter()
            .map(|(id, r)| (*id, header(r, "cache-status")))
            .collect();
        assert_eq!(
            statuses,
            [
                (
                    1,
                    "tidegate; fwd=miss; stored; freshness=fresh; detail=miss"
                ),
                (
                    2,
                    "tidegate; fwd=miss; collapsed; stored; freshness=fresh; detail=coalesced"
                ),
                (3, "tidegate; hit; ttl=20; freshness=fresh; detail=hit"),
                (
                    4,
                    "tidegate; hit; ttl=-10; freshness=fresh; detail=stale-on-error"
                ),
            ]
        );
        assert_eq!(header(&seen[2].1, "age"), "11");
        let reason = header(&seen[3].1, "tidegate-reason");
        assert!(reason.contains("refused??set-cookie"), "{reason}");
        assert!(
            seen.iter()
                .all(|(_, response)| response.body == UP.as_bytes())
        );
    }

    #[test]
    fn every_error_has_its_status_and_envelope() {
        let mut front = front();
        for (target, status, word) in [
            ("/api/v1/query?query=up&time=x", 400, "bad_data"),
            (
                "/source/local/api/v1/query?query=up%7B",
                400,
                "1:4: parse error",
            ),
            ("/source/local/api/v1/query?query=sum(up)", 422, "execution"),
            ("/source/nope/api/v1/query?query=up", 404, "unknown source"),
            ("/v1/collect/nope", 404, "no template"),
            ("/api/v1/write", 404, "not_found"),
            (
                &*format!("/api/v1/query?query={}", "a".repeat(200_000)),
                414,
                "200000 bytes",
            ),
        ] {
            let seen = responses(front.step(vec![get(7, target)], at(0)));
            let body = core::str::from_utf8(&seen[0].1.body).unwrap();
            assert_eq!(seen[0].1.status, status, "{target:.60}: {body}");
            assert!(
                body.starts_with("{\"status\":\"error\"") && body.contains(word),
                "{body}"
            );
        }
    }

    #[test]
    fn an_abandoned_command_gets_no_reply() {
        let mut front = front();
        front.step(vec![get(1, "/api/v1/query?query=up")], at(0));
        let outputs = front.step(vec![Input::Abandon(CommandId(1))], at(1));
        assert!(matches!(
            outputs[..],
            [Output::Cancel(FetchId(0)), Output::Wait(_)]
        ));
        let outputs = front.step(vec![respond(0, Ok(Response::new(200, UP)))], at(2));
        assert!(matches!(outputs[..], [Output::Wait(_)]));
    }

    #[test]
    fn health_is_degraded_while_a_source_is_down() {
        let mut front = front();
        let health = |front: &mut Front, now| {
            let seen = responses(front.step(vec![get(9, "/health")], now));
            String::from_utf8(seen[0].1.body.clone()).unwrap()
        };
        assert!(health(&mut front, at(0)).contains("\"status\":\"ok\""));
        front.step(vec![get(1, "/api/v1/query?query=up")], at(0));
        let down = Err(FetchError::Reset {
            detail: "gone".into(),
        });
        front.step(vec![respond(0, down)], at(1));
        let said = health(&mut front, at(1));
        assert!(
            said.contains("\"status\":\"degraded\"") && said.contains("gone"),
            "{said}"
        );
    }

    #[test]
    fn head_is_get_without_the_body() {
        let head = HttpRequest {
            method: "HEAD".to_string(),
            ..HttpRequest::get("/stats")
        };
        let input = Input::Command(CommandId(1), Command::Http(head));
        let seen = responses(front().step(vec![input], at(0)));
        assert_eq!((seen[0].1.status, seen[0].1.body.len()), (200, 0));
        assert_eq!(header(&seen[0].1, "content-type"), "application/json");
    }
}
