//! What the responses of several shards to one request come to.

use alloc::string::String;
use alloc::vec::Vec;

use tidegate_wire::json::{Value, Writer};

use super::{ShardPlan, exposition};

/// How the responses of all shards are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// All say the same, or none of it is true: one of them stands for all.
    Same,
    /// How many answers are forgotten, in all.
    Forgotten,
    /// Why a key is answered as it is, by the shard that knows it.
    Explanation,
    /// `/health`.
    Health,
    /// `/stats`.
    Stats,
    /// `/metrics`.
    Metrics,
}

impl Merge {
    /// Whether there is no response unless every shard gives one. Otherwise one that gives none is
    /// left out: it has nothing in memory, and nothing to say.
    pub const fn needs_all(self) -> bool {
        matches!(self, Self::Same)
    }
}

/// A shard's response, as far as it counts here.
#[derive(Clone, Copy, Debug)]
pub struct ShardResponse<'a> {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: &'a [u8],
}

/// What several responses come to: the response of one shard, perhaps with another body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// Whose response it is.
    pub of: usize,
    /// The body in place of its own.
    pub body: Option<Vec<u8>>,
}

impl Merged {
    const fn as_it_is(of: usize) -> Self {
        Self { of, body: None }
    }

    fn with(of: usize, document: &Value) -> Self {
        let mut body = Vec::new();
        Writer::new(&mut body).value(document);
        Self {
            of,
            body: Some(body),
        }
    }
}

/// A document, and whose it is.
type Document = (usize, Value);

impl ShardPlan {
    /// Puts the responses of all shards together, in their order; `None` for a shard that gave
    /// none. An error of one is that of the whole. Whatever cannot be read, as when only headers
    /// are wanted, stays as the first says it. `None` if nobody gave one.
    ///
    /// - Counts and what is held are added up in `/stats`, but for what is under `local`, which
    ///   the first shard alone has.
    /// - `/metrics` has every series of every shard, with a label `shard`.
    /// - In `/health` a source is as the shard says that heard from it last, with the worst of
    ///   breakers and the sum of what is under way; the status is degraded, too, while a shard
    ///   gives no response.
    pub fn merged(&self, merge: Merge, responses: &[Option<ShardResponse<'_>>]) -> Option<Merged> {
        let there = || {
            let each = responses.iter().enumerate();
            each.filter_map(|(of, response)| response.map(|response| (of, response)))
        };
        if let Some((of, _)) = there().find(|(_, response)| response.status >= 400) {
            return Some(Merged::as_it_is(of));
        }
        let (first, _) = there().next()?;
        if merge == Merge::Same {
            return Some(Merged::as_it_is(first));
        }
        if merge == Merge::Metrics {
            let texts = there().map(|(of, response)| (of, text(response.body)));
            return Some(Merged {
                of: first,
                body: Some(exposition::merged(texts)),
            });
        }
        let documents = there().map(|(of, response)| Some((of, Value::read(response.body).ok()?)));
        let Some(documents) = documents.collect::<Option<Vec<Document>>>() else {
            return Some(Merged::as_it_is(first));
        };
        let of = if merge == Merge::Explanation {
            best_explained(&documents)
        } else {
            first
        };
        let mut whole = documents.iter().find(|(nth, _)| *nth == of)?.1.clone();
        match merge {
            Merge::Forgotten => add(&mut whole, &documents[1..]),
            Merge::Explanation => set(&mut whole, "shard", count(of)),
            Merge::Stats => {
                let local = whole.member("local").cloned();
                add(&mut whole, &documents[1..]);
                if let Some(local) = local {
                    set(&mut whole, "local", local);
                }
                set(&mut whole, "shards", self.answering(documents.len()));
            }
            Merge::Health => self.health(&mut whole, &documents),
            Merge::Same | Merge::Metrics => {}
        }
        Some(Merged::with(of, &whole))
    }

    /// How many shards there are, and how many said something.
    fn answering(&self, up: usize) -> Value {
        Value::Object(Vec::from([
            ("count".into(), count(self.shards)),
            ("up".into(), count(up)),
        ]))
    }

    fn health(&self, whole: &mut Value, documents: &[Document]) {
        let mut ails = documents.len() < self.shards;
        if let Some(Value::Array(sources)) = whole.member_mut("sources") {
            for source in sources {
                let name = word(source, "name").map_or_else(String::new, Into::into);
                if !self.own.contains(&name) {
                    *source = heard_of(&name, documents).unwrap_or_else(|| source.clone());
                }
                ails |= matches!(word(source, "health"), Some("down" | "degraded"));
            }
        }
        let status = if ails { "degraded" } else { "ok" };
        set(whole, "status", Value::String(status.into()));
        set(whole, "shards", self.answering(documents.len()));
    }
}

fn text(body: &[u8]) -> &str {
    core::str::from_utf8(body).unwrap_or_default()
}

fn word<'a>(document: &'a Value, key: &str) -> Option<&'a str> {
    document.member(key).and_then(Value::as_str)
}

fn number(document: &Value, key: &str) -> Option<i128> {
    document.member(key).and_then(Value::as_integer)
}

fn count(count: usize) -> Value {
    Value::from(count as i128)
}

/// Gives the member of an object this value, in its place or as a new one.
fn set(document: &mut Value, key: &str, value: Value) {
    if let Some(member) = document.member_mut(key) {
        *member = value;
    } else if let Value::Object(members) = document {
        members.push((key.into(), value));
    }
}

/// Adds the whole numbers of these documents, each to the one at the same place.
fn add(whole: &mut Value, others: &[Document]) {
    for (_, other) in others {
        add_value(whole, other);
    }
}

fn add_value(to: &mut Value, from: &Value) {
    if let (Some(a), Some(b)) = (to.as_integer(), from.as_integer()) {
        *to = Value::from(a.saturating_add(b));
    } else if let Value::Object(members) = to {
        for (key, member) in members {
            if let Some(other) = from.member(key) {
                add_value(member, other);
            }
        }
    }
}

/// The shard that knows most of a key: an answer, else what is on its way, else what remains.
fn best_explained(documents: &[Document]) -> usize {
    let rank = |document: &Value| {
        let covered = document.member("covered");
        let extents = covered.and_then(|covered| number(covered, "extents"));
        let has = |key| document.member(key).is_some();
        [
            has("kept"),
            has("flight"),
            extents.is_some_and(|extents| extents > 0),
            has("tracked"),
            has("refusal"),
        ]
    };
    let mut best = 0;
    for nth in 1..documents.len() {
        if rank(&documents[nth].1) > rank(&documents[best].1) {
            best = nth;
        }
    }
    documents[best].0
}

/// When something was last heard of a source, or that nothing could be.
fn heard_at(source: &Value) -> Option<i128> {
    number(source, "last_success_ms").max(failed_at(source))
}

fn failed_at(source: &Value) -> Option<i128> {
    number(source.member("last_error")?, "at_ms")
}

/// What all shards together know of a source.
fn heard_of(name: &str, documents: &[Document]) -> Option<Value> {
    let sources = documents.iter().filter_map(|(_, document)| {
        let mut sources = document.member("sources")?.elements().iter();
        sources.find(|source| word(source, "name") == Some(name))
    });
    let reports: Vec<&Value> = sources.collect();
    let mut latest = *reports.first()?;
    for report in &reports {
        if heard_at(report) > heard_at(latest) {
            latest = report;
        }
    }
    let mut whole = latest.clone();
    let each = |key| reports.iter().filter_map(move |report| number(report, key));
    if let Some(at) = each("last_success_ms").max() {
        set(&mut whole, "last_success_ms", at.into());
    }
    let failed = reports.iter().max_by_key(|report| failed_at(report));
    if let Some(error) = failed.and_then(|report| report.member("last_error")) {
        set(&mut whole, "last_error", error.clone());
    }
    let worst = ["closed", "half_open", "open"]
        .into_iter()
        .rev()
        .find(|state| {
            let mut states = reports.iter().filter_map(|report| word(report, "breaker"));
            states.any(|found| found == *state)
        });
    if let Some(state) = worst {
        set(&mut whole, "breaker", Value::String(state.into()));
    }
    if let Some(failures) = each("failures_in_a_row").max() {
        set(&mut whole, "failures_in_a_row", failures.into());
    }
    for key in ["in_flight", "queued"] {
        // A guest may say any number.
        let sum = each(key).fold(0, i128::saturating_add);
        set(&mut whole, key, sum.into());
    }
    Some(whole)
}
