//! The collector behind numbered commands: starts them, remembers who waits, renders the replies.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use tidegate_core::{
    Answer, Ask, AskId, Collector, Config, ConfigError, Lookup, Now, Query, QueryError,
};

use crate::batch::{Batch, BatchView};
use crate::params::{self, Params, apply_cache_control, invalid};
use crate::route::{Endpoint, Route, route};
use crate::tag::unless_known;
use crate::{
    Change, ChangeError, Command, CommandId, HttpRequest, HttpResponse, Input, Output, Reply,
    aggregated, alerts, error, held, metrics, record, render, status, window,
};

/// The source of Tidegate's own series.
const LOCAL: &str = "local";

/// A collector and its HTTP API as one machine without IO.
#[derive(Debug)]
pub struct Front {
    collector: Collector,
    version: String,
    waiting: BTreeMap<AskId, Waiting>,
    /// What each command that waits has asked.
    asks: BTreeMap<CommandId, Vec<AskId>>,
    batches: BTreeMap<CommandId, Batch>,
    /// Which bodies those who ask by `GET` or `HEAD` have already.
    known_tags: BTreeMap<CommandId, String>,
    outputs: Vec<Output<Reply>>,
}

/// Who waits for an ask, and what they want to see.
#[derive(Debug)]
enum Waiting {
    One {
        command: CommandId,
        view: View,
    },
    /// A part of a command's batch, at this place.
    Part {
        command: CommandId,
        nth: usize,
    },
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
            batches: BTreeMap::new(),
            known_tags: BTreeMap::new(),
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
                self.reply(id, Reply::Recorded(recorded));
            }
            Command::Aggregate(asked) => {
                let groups = self.collector.aggregate(&asked, now);
                self.reply(id, Reply::Aggregated(groups));
            }
            Command::Change(change) => {
                let changed = self.change(change, now);
                self.reply(id, Reply::Changed(changed));
            }
            Command::Ask(ask) => {
                if let Err(error) = self.ask(id, &ask, View::Typed, now) {
                    self.reply(id, Reply::Answer(Err(error)));
                }
            }
            Command::Http(request) => {
                let reads = matches!(request.method.as_str(), "GET" | "HEAD");
                if let Some(tags) = request.header("if-none-match").filter(|_| reads) {
                    self.known_tags.insert(id, tags.into());
                }
                if let Err(response) = self.http(id, &request, now) {
                    let response = without_body(response, request.method == "HEAD");
                    self.reply(id, Reply::Http(response));
                }
            }
        }
    }

    fn reply(&mut self, id: CommandId, reply: Reply) {
        let reply = match (reply, self.known_tags.remove(&id)) {
            (Reply::Http(response), Some(tags)) => Reply::Http(unless_known(response, &tags)),
            (reply, _) => reply,
        };
        self.outputs.push(Output::Reply(id, reply));
    }

    fn change(&mut self, change: Change, now: Now) -> Result<usize, ChangeError> {
        let collector = &mut self.collector;
        match change {
            Change::Register { source, template } => collector.register(&source, &template),
            Change::Update { source, template } => collector.update(&source, &template, now),
            Change::Unregister { source, template } => {
                collector.unregister(&source, &template, now)
            }
            Change::Untrack { key } => return Ok(usize::from(collector.untrack(&key, now))),
            Change::Invalidate(what) => return Ok(collector.invalidate(&what, now)),
            Change::RegisterOwner { workload, owner } => {
                let former = collector.register_owner(&workload, &owner);
                return former
                    .map(|former| usize::from(former.is_some()))
                    .map_err(ChangeError::Owner);
            }
            Change::UnregisterOwner { workload } => {
                return Ok(usize::from(collector.unregister_owner(&workload).is_some()));
            }
            Change::Reload(config) => {
                return collector
                    .reload(*config, now)
                    .map(|()| 0)
                    .map_err(ChangeError::Config);
            }
        }
        .map(|()| 0)
        .map_err(ChangeError::Catalog)
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
            Endpoint::QueryRange => {
                let ask = Params::of(&route, request)?.range_ask()?;
                self.http_ask(id, ask, &route, request, View::Query { head }, now)
            }
            Endpoint::Other { path } => {
                if let Some(response) = self.own(path, &route, request)? {
                    return Err(response);
                }
                let ask = Params::of(&route, request)?.endpoint_ask(path)?;
                self.http_ask(id, ask, &route, request, View::Query { head }, now)
            }
            Endpoint::Collect { template } => {
                let values = Params::of(&route, request)?.values();
                let ask = self.template_ask(template, &route, values)?;
                let view = View::Collect {
                    template: template.clone(),
                    head,
                };
                self.http_ask(id, ask, &route, request, view, now)
            }
            Endpoint::CollectMany { templates } => {
                let params = Params::of(&route, request)?.values();
                self.refuse_unknown(&route)?;
                let asks = self.template_asks(templates.as_deref(), &route, &params)?;
                self.http_batch(id, asks, BatchView::Templates, &route, request, now);
                Ok(())
            }
            Endpoint::Record { pack, record } => {
                let params = Params::of(&route, request)?.values();
                let (asks, view) = self.record_asks(pack, record, params)?;
                self.http_batch(id, asks, view, &route, request, now);
                Ok(())
            }
            Endpoint::CollectAll => {
                let plan = window::plan(Params::of(&route, request)?)?;
                self.refuse_unknown(&route)?;
                let (asks, view) = (plan.asks(), BatchView::Window(plan));
                self.http_batch(id, asks, view, &route, request, now);
                Ok(())
            }
            Endpoint::Held => {
                self.refuse_not_own(&route)?;
                let params = Params::of(&route, request)?;
                Err(held::series(&self.collector, &params)?)
            }
            Endpoint::Registered => {
                self.refuse_not_own(&route)?;
                if request.method != "POST" {
                    return Err(held::registered(&self.collector));
                }
                refuse_cross_origin(request)?;
                let params = Params::of(&route, request)?;
                Err(held::register(&mut self.collector, &params)?)
            }
            Endpoint::Aggregated => {
                self.refuse_not_own(&route)?;
                let params = Params::of(&route, request)?;
                Err(aggregated::aggregated(
                    &self.collector,
                    &params,
                    request,
                    now,
                )?)
            }
            Endpoint::Owners => {
                let params = Params::of(&route, request)?;
                Err(self.owners(request, &params)?)
            }
            Endpoint::Alerts => Err(alerts::alerts(&self.collector)),
            Endpoint::Templates => Err(status::templates(&self.collector)),
            Endpoint::Explain => {
                let params = Params::of(&route, request)?;
                let key = params.key()?;
                Err(render::explanation(key, &self.collector.explain(key, now)))
            }
            Endpoint::Invalidate => {
                refuse_cross_origin(request)?;
                let what = Params::of(&route, request)?.invalidation()?;
                let forgotten = self.collector.invalidate(&what, now);
                Err(render::invalidated(forgotten))
            }
            Endpoint::Push => {
                refuse_cross_origin(request)?;
                let params = Params::of_url(&route)?;
                let source = params.source();
                Err(record::record(&mut self.collector, source, request, now)?)
            }
            Endpoint::BuildInfo => Err(status::buildinfo(&self.version)),
            Endpoint::Health => Err(status::health(&self.collector, &self.version)),
            Endpoint::Stats => Err(status::stats(&self.collector)),
            Endpoint::Metrics => Err(metrics::metrics(&self.collector, &self.version)),
            Endpoint::Ready => Err(HttpResponse::text(200, "Tidegate is ready.\n")),
        }
    }

    /// What `local` answers of what only its rules can.
    fn own(
        &self,
        path: &str,
        route: &Route,
        request: &HttpRequest,
    ) -> Result<Option<HttpResponse>, HttpResponse> {
        let is_local = match &route.sources[..] {
            [] => **self.collector.default_source() == *LOCAL,
            [source] => source == LOCAL,
            _ => false,
        };
        Ok(match path {
            "alerts" if is_local => Some(alerts::alerts(&self.collector)),
            "rules" if is_local => {
                let params = Params::of(route, request)?.values();
                let kind = params.get("type").map(String::as_str);
                Some(alerts::rules(&self.collector, kind))
            }
            _ => None,
        })
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
        ask.sources.clone_from(&route.sources);
        apply_cache_control(&mut ask, request);
        self.ask(id, &ask, view, now)
            .map_err(|error| error::refusal(&error, &ask, request))
    }

    fn ask(&mut self, id: CommandId, ask: &Ask, view: View, now: Now) -> Result<(), QueryError> {
        match self.collector.query(ask, now)? {
            Lookup::Ready(answer) => self.reply(id, view.reply(Ok(answer))),
            Lookup::Pending(ask) => {
                self.waiting.insert(ask, Waiting::One { command: id, view });
                self.asks.insert(id, [ask].into());
            }
        }
        Ok(())
    }

    /// A source that there is not is the asker's mistake, and not every part's.
    fn refuse_unknown(&self, route: &Route) -> Result<(), HttpResponse> {
        let names = route.sources.iter();
        match names
            .map(|name| self.collector.known_source(name))
            .find_map(Result::err)
        {
            Some(error) => Err(error::response(&error)),
            None => Ok(()),
        }
    }

    /// Some questions are about Tidegate's own series, whichever source is the default.
    fn refuse_not_own(&self, route: &Route) -> Result<(), HttpResponse> {
        const OWN: &str = "local";
        self.refuse_unknown(route)?;
        match route.sources.iter().find(|name| *name != OWN) {
            None => Ok(()),
            Some(name) => {
                let message = format!(
                    "this is about Tidegate's own series and not those of {name:?}: ask without /source/{name}, or under /source/{OWN}"
                );
                Err(HttpResponse::error(422, "execution", &message))
            }
        }
    }

    /// Asks for this template, over a range if there is one among the values.
    fn template_ask(
        &self,
        template: &str,
        route: &Route,
        values: BTreeMap<String, String>,
    ) -> Result<Ask, HttpResponse> {
        let default = [String::from(&**self.collector.default_source())];
        let sources = match &route.sources[..] {
            [] => &default[..],
            named => named,
        };
        // A value that any of the sources takes for the template's is none of the range.
        let own = |name: &str| {
            sources.iter().any(|source| {
                let mut templates = self.collector.templates(source);
                let found = templates.find(|known| known.config().name == template);
                found.is_some_and(|found| found.params().any(|param| param == name))
            })
        };
        params::template_ask(template, values, own)
    }

    /// Asks for these templates, or for all that the source has.
    fn template_asks(
        &self,
        templates: Option<&[String]>,
        route: &Route,
        params: &BTreeMap<String, String>,
    ) -> Result<Vec<Ask>, HttpResponse> {
        let mut names = match (templates, &route.sources[..]) {
            (Some(names), _) => names.to_vec(),
            (None, []) => self.template_names(self.collector.default_source()),
            (None, [source, ..]) => self.template_names(source),
        };
        let mut seen = BTreeSet::new();
        names.retain(|name| seen.insert(name.clone()));
        let ask = |name: &String| self.template_ask(name, route, params.clone());
        names.iter().map(ask).collect()
    }

    fn template_names(&self, source: &str) -> Vec<String> {
        let templates = self.collector.templates(source);
        templates
            .map(|template| template.config().name.clone())
            .collect()
    }

    fn owners(
        &mut self,
        request: &HttpRequest,
        params: &Params,
    ) -> Result<HttpResponse, HttpResponse> {
        match (&*request.method, params.pod()) {
            ("POST", _) => {
                refuse_cross_origin(request)?;
                let (workload, owner) = (params.needed("workload")?, params.needed("owner")?);
                let former = self.collector.register_owner(workload, owner);
                let former = former.map_err(|error| error::owner(&error))?;
                Ok(render::owner_changed(
                    workload,
                    Some(owner),
                    former.as_deref(),
                ))
            }
            ("DELETE", _) => {
                refuse_cross_origin(request)?;
                let workload = params.needed("workload")?;
                let former = self.collector.unregister_owner(workload).ok_or_else(|| {
                    let message = format!("no workload {workload:?} is registered");
                    HttpResponse::error(404, "not_found", &message)
                })?;
                Ok(render::owner_changed(workload, None, Some(&former)))
            }
            (_, Some(pod)) => Ok(render::owner_of(pod, self.collector.owners())),
            (_, None) => Ok(render::owners(self.collector.owners())),
        }
    }

    /// The queries of a record. The parameter `owner` chooses among the rows and is no query's.
    fn record_asks(
        &self,
        pack: &str,
        record: &str,
        mut params: BTreeMap<String, String>,
    ) -> Result<(Vec<Ask>, BatchView), HttpResponse> {
        let packs = self.collector.packs();
        let pack = packs
            .iter()
            .find(|known| known.name == pack)
            .ok_or_else(|| {
                let known: Vec<&str> = packs.iter().map(|pack| pack.name.as_str()).collect();
                let message = format!("no pack is named {pack:?}; there are {}", known.join(", "));
                HttpResponse::error(404, "not_found", &message)
            })?;
        let record = pack.record(record).ok_or_else(|| {
            let known: Vec<&str> = pack
                .records
                .iter()
                .map(|record| record.name.as_str())
                .collect();
            let message = format!(
                "pack {} has no record {record:?}; it has {}",
                pack.name,
                known.join(", ")
            );
            HttpResponse::error(404, "not_found", &message)
        })?;
        let owner = params.remove("owner");
        if owner.is_some() && !record.has_pods() {
            let why = format!(
                "rows of {} are not about pods, so nobody owns them",
                record.name
            );
            return Err(invalid("owner")(why));
        }
        let params = pack.with_defaults(&params);
        let asks = record.asks(&params);
        let view = BatchView::Record {
            pack: pack.name.clone(),
            record: record.clone(),
            params,
            owner,
        };
        Ok((asks, view))
    }

    /// Asks all of these; the response follows when the last is answered.
    fn http_batch(
        &mut self,
        id: CommandId,
        asks: Vec<Ask>,
        view: BatchView,
        route: &Route,
        request: &HttpRequest,
        now: Now,
    ) {
        let mut batch = Batch::new(view, route.head);
        let mut awaited = Vec::new();
        for mut ask in asks {
            if ask.sources.is_empty() {
                ask.sources.clone_from(&route.sources);
            }
            apply_cache_control(&mut ask, request);
            let name = match &ask.query {
                Query::Template { name, .. } => name.clone(),
                Query::PromQl(text) | Query::Endpoint { path: text, .. } => text.clone(),
            };
            match self.collector.query(&ask, now) {
                Ok(Lookup::Ready(answer)) => {
                    batch.add(name, Some(Ok(answer)));
                }
                Ok(Lookup::Pending(ask)) => {
                    let nth = batch.add(name, None);
                    self.waiting.insert(ask, Waiting::Part { command: id, nth });
                    awaited.push(ask);
                }
                Err(error) => {
                    batch.add(name, Some(Err(error)));
                }
            }
        }
        self.batches.insert(id, batch);
        self.asks.insert(id, awaited);
        self.finish_batch(id);
    }

    /// Replies if nothing is missing any more.
    fn finish_batch(&mut self, id: CommandId) {
        if self.batches.get(&id).is_some_and(Batch::is_complete)
            && let Some(batch) = self.batches.remove(&id)
        {
            self.asks.remove(&id);
            let head = batch.head;
            let response = without_body(batch.response(self.collector.owners()), head);
            self.reply(id, Reply::Http(response));
        }
    }

    fn abandon(&mut self, id: CommandId, now: Now) {
        self.batches.remove(&id);
        self.known_tags.remove(&id);
        for ask in self.asks.remove(&id).unwrap_or_default() {
            if self.waiting.remove(&ask).is_some() {
                self.collector.abandon(ask, now);
            }
        }
    }

    /// Passes the collector's outputs on; returns the final `Wait`.
    fn drain(&mut self) -> Output<Reply> {
        loop {
            let output = match self.collector.poll_output() {
                tidegate_core::Output::Fetch(fetch) => Output::Fetch(fetch),
                tidegate_core::Output::Cancel(id) => Output::Cancel(id),
                tidegate_core::Output::Event(event) => Output::Event(event),
                tidegate_core::Output::Forget(forget) => Output::Forget(forget),
                tidegate_core::Output::Append(appended) => Output::Append(appended),
                tidegate_core::Output::Wait(deadline) => return Output::Wait(deadline),
                tidegate_core::Output::Reply(reply) => {
                    self.answered(reply.ask, reply.result);
                    continue;
                }
            };
            self.outputs.push(output);
        }
    }

    fn answered(&mut self, ask: AskId, result: Result<Answer, QueryError>) {
        match self.waiting.remove(&ask) {
            Some(Waiting::One { command, view }) => {
                self.asks.remove(&command);
                self.reply(command, view.reply(result));
            }
            Some(Waiting::Part { command, nth }) => {
                if let Some(batch) = self.batches.get_mut(&command) {
                    batch.fill(nth, result);
                }
                self.finish_batch(command);
            }
            None => {}
        }
    }
}

/// A page of another origin must not change anything here on its reader's behalf.
fn refuse_cross_origin(request: &HttpRequest) -> Result<(), HttpResponse> {
    let same_site = request
        .header("sec-fetch-site")
        .is_none_or(|site| matches!(site, "same-origin" | "none"));
    let same_origin = request.header("origin").is_none_or(|origin| {
        let host = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"));
        host.is_some() && host == request.header("host")
    });
    if same_site && same_origin {
        return Ok(());
    }
    let message = "pages of other origins may not change anything here";
    Err(HttpResponse::error(403, "bad_data", message))
}

/// A `HEAD` is answered as a `GET` would be, without the body.
fn without_body(mut response: HttpResponse, head: bool) -> HttpResponse {
    if head {
        response.body.clear();
    }
    response
}

#[cfg(test)]
mod tests;
