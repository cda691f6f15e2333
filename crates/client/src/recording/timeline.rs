//! What happened, a line per event, for people.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use tidegate_api::{Change, Command, HttpResponse, Input, Output, Reply};
use tidegate_core::{
    Answer, Ask, Deadline, Event, Fetch, FetchError, FetchId, Instant, Level, Now, Query,
    QueryError, Response, Wake,
};

use super::output::backend;

/// How much of a text a line shows, in characters.
const SHOWN_CHARS_MAX: usize = 160;

/// How many askers a line names.
const ASKERS_SHOWN_MAX: usize = 3;

/// A recording, done again.
#[derive(Debug)]
pub struct Timeline {
    /// The version of Tidegate that was recorded.
    pub version: String,
    /// When the recorded collector was made.
    pub start: Now,
    /// How many steps were done again, and came out the same.
    pub steps: u64,
    /// What happened, in order.
    pub entries: Vec<Entry>,
    /// How the recording ends.
    pub end: End,
}

/// How a recording ends.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// With a whole step.
    Complete,
    /// In the middle of a step, or of a line: whoever wrote it crashed.
    Torn,
    /// The recorder stopped, for this reason.
    Stopped(String),
    /// The machine broke over the last step, for this reason.
    Broke(String),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete => f.write_str("the recording is complete"),
            Self::Torn => f.write_str(
                "the recording ends in the middle of a step: its writer crashed or was killed",
            ),
            Self::Stopped(why) => write!(f, "the recording stopped: {why}"),
            Self::Broke(why) => write!(f, "the recorded machine broke over the last step: {why}"),
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When, since the start.
    pub at: Duration,
    /// In which step, from 0.
    pub step: u64,
    /// What kind of thing it is.
    pub kind: EntryKind,
    /// What it is, in one line.
    pub text: String,
    /// What it belongs to.
    links: Vec<Link>,
}

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// The collector was given something.
    Input,
    /// It wants something done, or says something.
    Output,
    /// It wants to be woken.
    Wait,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at;
        write!(
            f,
            "{:>5}.{:03}s  {}",
            at.as_secs(),
            at.subsec_millis(),
            self.text
        )
    }
}

/// What entries have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Link {
    Key(String),
    Command(u64),
    Fetch(u64),
    /// What is fetched, whoever it is for.
    Question(String),
}

impl Timeline {
    /// The entries from `from` on; with a key, only those that are about it: its replies, who
    /// asked for it, its fetches and their ends. Waits only where wanted.
    pub fn select(&self, from: Duration, key: Option<&str>, waits: bool) -> Vec<&Entry> {
        let related = key.map(|key| self.related(key));
        let is_wanted = |entry: &&Entry| {
            let is_related = related
                .as_ref()
                .is_none_or(|related| entry.links.iter().any(|link| related.contains(link)));
            entry.at >= from && (waits || entry.kind != EntryKind::Wait) && is_related
        };
        self.entries.iter().filter(is_wanted).collect()
    }

    /// All links that lead to this key.
    fn related(&self, key: &str) -> BTreeSet<Link> {
        let mut related = BTreeSet::from([Link::Key(key.to_owned())]);
        loop {
            let before = related.len();
            for entry in &self.entries {
                if entry.links.iter().any(|link| related.contains(link)) {
                    related.extend(entry.links.iter().cloned());
                }
            }
            // Another key that shares a request is another story.
            related.retain(|link| !matches!(link, Link::Key(other) if other != key));
            if related.len() == before {
                return related;
            }
        }
    }
}

/// Writes the entries while steps are made.
pub(super) struct Writer {
    start: Now,
    step: u64,
    now: Now,
    entries: Vec<Entry>,
    /// Commands without a reply, and what they ask for as far as they say so.
    waiting: BTreeMap<u64, Option<String>>,
    /// Fetches under way: when they began, and what for.
    fetches: BTreeMap<u64, (Instant, String)>,
    /// How often in a row what is fetched has failed.
    failures: BTreeMap<String, u64>,
    wait: Option<Deadline>,
    /// Why the collector acts on its own in this step.
    due: Option<Wake>,
}

impl Writer {
    pub(super) const fn new(start: Now) -> Self {
        Self {
            start,
            step: 0,
            now: start,
            entries: Vec::new(),
            waiting: BTreeMap::new(),
            fetches: BTreeMap::new(),
            failures: BTreeMap::new(),
            wait: None,
            due: None,
        }
    }

    pub(super) fn finish(self, version: String, steps: u64, end: End) -> Timeline {
        Timeline {
            version,
            start: self.start,
            steps,
            entries: self.entries,
            end,
        }
    }

    fn put(&mut self, kind: EntryKind, text: String, links: Vec<Link>) {
        self.entries.push(Entry {
            at: self.now.mono.since(self.start.mono),
            step: self.step,
            kind,
            text,
            links,
        });
    }

    pub(super) fn inputs(&mut self, step: u64, now: Now, inputs: &[Input<Command>]) {
        (self.step, self.now) = (step, now);
        let due = self.wait.filter(|wait| wait.at <= now.mono);
        self.due = due.map(|wait| wait.wake);
        for input in inputs {
            match input {
                Input::Command(id, command) => self.command(id.0, command),
                Input::Abandon(id) => {
                    self.waiting.remove(&id.0);
                    let text = format!("#{} left", id.0);
                    self.put(EntryKind::Input, text, vec![Link::Command(id.0)]);
                }
                Input::Response(id, result) => self.fetched(*id, result),
            }
        }
    }

    fn command(&mut self, id: u64, command: &Command) {
        let (what, question) = match command {
            Command::Ask(ask) => (ask_text(ask), promql(ask)),
            Command::Http(request) => (
                format!("{} {}", request.method, shown(&request.target)),
                query_parameter(&request.target),
            ),
            Command::Record(record) => (
                format!("{} samples from {}", record.samples.len(), record.source),
                None,
            ),
            Command::Aggregate(asked) => (
                format!(
                    "windows of {} over {}",
                    seconds(asked.window),
                    shown(&asked.selectors.join(", "))
                ),
                None,
            ),
            Command::Change(change) => (change_text(change), None),
        };
        self.waiting.insert(id, question);
        let text = format!("#{id} {what}");
        self.put(EntryKind::Input, text, vec![Link::Command(id)]);
    }

    fn fetched(&mut self, id: FetchId, result: &Result<Response, FetchError>) {
        let mut links = vec![Link::Fetch(id.0)];
        let took = match self.fetches.remove(&id.0) {
            Some((began, question)) => {
                let failures = self.failures.entry(question.clone()).or_default();
                *failures = if is_failure(result) { *failures + 1 } else { 0 };
                links.push(Link::Question(question));
                format!(" after {}", seconds(self.now.mono.since(began)))
            }
            None => " (nobody waits for it)".into(),
        };
        let text = match result {
            Ok(response) => {
                let (status, bytes) = (response.status, response.body.len());
                let later = response.retry_after.map(seconds);
                let later = later.map_or_else(String::new, |time| format!(", retry after {time}"));
                format!("fetch {} ended{took}: {status}, {bytes} bytes{later}", id.0)
            }
            Err(error) => format!("fetch {} failed{took}: {}", id.0, shown(&error.to_string())),
        };
        self.put(EntryKind::Input, text, links);
    }

    pub(super) fn outputs(&mut self, outputs: &[Output<Reply>]) {
        // Who has a reply in this step waits for none of its fetches.
        for output in outputs {
            if let Output::Reply(id, _) = output {
                self.waiting.remove(&id.0);
            }
        }
        for output in outputs {
            match output {
                Output::Fetch(fetch) => self.fetch(fetch),
                Output::Cancel(id) => {
                    self.fetches.remove(&id.0);
                    let text = format!("cancel fetch {}", id.0);
                    self.put(EntryKind::Output, text, vec![Link::Fetch(id.0)]);
                }
                Output::Reply(id, reply) => self.reply(id.0, reply),
                Output::Event(event) => self.event(event),
                // Says of what is kept outside only what the rest says of the collector.
                Output::Forget(_) => {}
                // Everybody who added something has an entry of their own.
                Output::Append(_) => {}
                Output::Wait(wait) => self.wait(*wait),
            }
        }
    }

    fn fetch(&mut self, fetch: &Fetch) {
        let request = &fetch.request;
        let backend = backend(fetch);
        let question = format!("{backend} {} {}", request.path, request.form);
        let tries = self.failures.get(&question).copied().unwrap_or(0) + 1;
        let askers = self.askers(&request.form);
        let why = match (&askers[..], self.due) {
            _ if tries > 1 => format!("try {tries}"),
            ([], Some(wake)) => wake.as_str().to_owned(),
            ([], None) => "on its own".to_owned(),
            (askers, _) => format!("asked by {}", names(askers)),
        };
        let text = format!(
            "fetch {} {} {} {} {} ({why})",
            fetch.id.0,
            backend,
            request.method.as_str(),
            request.path,
            shown(&request.form)
        );
        let mut links = vec![Link::Fetch(fetch.id.0), Link::Question(question.clone())];
        links.extend(askers.into_iter().map(Link::Command));
        self.fetches.insert(fetch.id.0, (self.now.mono, question));
        self.put(EntryKind::Output, text, links);
    }

    /// Who of those that were heard in this step may have asked for this form.
    fn askers(&self, form: &str) -> Vec<u64> {
        let new = self
            .entries
            .iter()
            .rev()
            .take_while(|entry| entry.step == self.step);
        let new: BTreeSet<u64> = new
            .filter(|entry| entry.kind == EntryKind::Input)
            .filter_map(|entry| match entry.links.first() {
                Some(Link::Command(id)) => Some(*id),
                _ => None,
            })
            .collect();
        let asked = query_parameter(&format!("?{form}"));
        let may_be = |id: &u64| match self.waiting.get(id) {
            Some(Some(query)) => Some(query) == asked.as_ref(),
            Some(None) => asked.is_some(),
            None => false,
        };
        new.into_iter().filter(may_be).collect()
    }

    fn reply(&mut self, id: u64, reply: &Reply) {
        let mut links = vec![Link::Command(id)];
        let what = match reply {
            Reply::Answer(result) => {
                links.extend(
                    result
                        .as_ref()
                        .ok()
                        .map(|answer| Link::Key(answer.key.to_string())),
                );
                answer_text(result)
            }
            Reply::Http(response) => {
                links.extend(body_key(&response.body).map(Link::Key));
                response_text(response)
            }
            Reply::Recorded(Ok(recorded)) => format!(
                "recorded {}, refused {}",
                recorded.accepted,
                recorded.refused.len()
            ),
            Reply::Recorded(Err(error)) => format!("refused: {error}"),
            Reply::Aggregated(Ok(groups)) => format!("{} groups", groups.len()),
            Reply::Aggregated(Err(error)) => format!("refused: {error}"),
            Reply::Changed(Ok(count)) => format!("changed ({count})"),
            Reply::Changed(Err(error)) => format!("refused: {error}"),
        };
        self.put(
            EntryKind::Output,
            format!("reply #{id} {}", shown(&what)),
            links,
        );
    }

    fn event(&mut self, event: &Event) {
        let level = match event.level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
        };
        let key = event.key.as_deref();
        let about = key.unwrap_or(&event.source);
        let text = format!(
            "{level} {} {}: {}",
            event.name,
            shown(about),
            shown(&event.detail)
        );
        let links = key
            .map(|key| Link::Key(key.to_owned()))
            .into_iter()
            .collect();
        self.put(EntryKind::Output, text, links);
    }

    fn wait(&mut self, wait: Option<Deadline>) {
        self.wait = wait;
        let text = match wait {
            Some(wait) => {
                let at = wait.at.since(self.start.mono);
                format!("wait until {} ({})", seconds(at), wait.wake.as_str())
            }
            None => "wait".into(),
        };
        self.put(EntryKind::Wait, text, Vec::new());
    }
}

const fn is_failure(result: &Result<Response, FetchError>) -> bool {
    const SUCCESS: u16 = 200;
    !matches!(result, Ok(response) if response.status == SUCCESS)
}

fn names(ids: &[u64]) -> String {
    let shown: Vec<_> = ids
        .iter()
        .take(ASKERS_SHOWN_MAX)
        .map(|id| format!("#{id}"))
        .collect();
    match ids.len().saturating_sub(ASKERS_SHOWN_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn ask_text(ask: &Ask) -> String {
    let mut text = match &ask.query {
        Query::PromQl(query) => format!("asks {}", shown(query)),
        Query::Template { name, params } => {
            let params: Vec<_> = params
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            format!("asks {name} {{{}}}", shown(&params.join(", ")))
        }
        Query::Endpoint { path, params } => {
            let params: Vec<_> = params
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            format!("asks /{} {{{}}}", shown(path), shown(&params.join(", ")))
        }
    };
    if !ask.sources.is_empty() {
        text += &format!(" of {}", shown(&ask.sources.join(", ")));
    }
    if let Some(age) = ask.max_age {
        text += &format!(", at most {} old", seconds(age));
    }
    if let Some(time) = ask.time {
        text += &format!(", at {time}");
    }
    if let Some(range) = ask.range {
        let (start, end, step) = (range.start, range.end, seconds(range.step));
        text += &format!(", from {start} to {end} every {step}");
    }
    text
}

fn change_text(change: &Change) -> String {
    match change {
        Change::Register { source, template } => format!("registers {source}/{}", template.name),
        Change::Update { source, template } => format!("updates {source}/{}", template.name),
        Change::Unregister { source, template } => format!("unregisters {source}/{template}"),
        Change::Untrack { key } => format!("untracks {}", shown(key)),
        Change::Invalidate(what) => format!("invalidates {}", shown(&format!("{what:?}"))),
        Change::RegisterOwner { workload, owner } => {
            format!("gives {} to {}", shown(workload), shown(owner))
        }
        Change::UnregisterOwner { workload } => format!("gives {} to nobody", shown(workload)),
        Change::Reload(config) => format!("reloads, with {} sources", config.sources.len()),
    }
}

fn answer_text(result: &Result<Answer, QueryError>) -> String {
    match result {
        Ok(answer) => {
            let because = answer.reason.as_ref();
            let because = because.map_or_else(String::new, |why| format!(", because {why}"));
            format!(
                "{} {} age {} key {}{because}",
                answer.provenance.as_str(),
                answer.freshness.as_str(),
                seconds(answer.age),
                answer.key
            )
        }
        Err(error) => format!("error: {error}"),
    }
}

fn response_text(response: &HttpResponse) -> String {
    let mut text = format!("{}, {} bytes", response.status, response.body.len());
    for (name, value) in &response.headers {
        if matches!(*name, "cache-status" | "age" | "tidegate-reason") {
            text += &format!(", {name}: {value}");
        }
    }
    text
}

/// What the API's documents call the cache's entry.
fn body_key(body: &[u8]) -> Option<String> {
    const DOCUMENT_BYTES_MAX: usize = 1 << 20;
    if body.len() > DOCUMENT_BYTES_MAX {
        return None;
    }
    let document: serde_json::Value = serde_json::from_slice(body).ok()?;
    let key = document
        .pointer("/tidegate/key")
        .or_else(|| document.get("key"))?;
    key.as_str().map(str::to_owned)
}

fn promql(ask: &Ask) -> Option<String> {
    match &ask.query {
        Query::PromQl(query) => Some(query.clone()),
        Query::Template { .. } | Query::Endpoint { .. } => None,
    }
}

/// The parameter `query` of a target or form, decoded.
fn query_parameter(target: &str) -> Option<String> {
    let (_, form) = target.split_once('?')?;
    let mut pairs = form.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == "query")?;
    Some(decoded(value))
}

/// Undoes percent-encoding, as far as comparing needs it.
fn decoded(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                if let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) {
                    out.extend(u8::try_from(high * 16 + low));
                }
            }
            byte => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// `2.100s`.
fn seconds(duration: Duration) -> String {
    format!("{}.{:03}s", duration.as_secs(), duration.subsec_millis())
}

/// The text on one line, its end cut off where it is long.
fn shown(text: &str) -> String {
    let mut line: String = text
        .chars()
        .take(SHOWN_CHARS_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        line.push('…');
    }
    line
}
