//! What is asked, as the model names it, and what the model knows about it.

use std::collections::BTreeMap;
use std::time::Duration;

use tidegate_core::{Ask, Config, Instant, Invalidation, Now, Query, Thresholds, UnixMillis};
use tidegate_wire::number::write_timestamp_ms;

/// A question without its wishes: two asks of the same topic share an answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Topic {
    /// The source asked.
    pub source: String,
    /// What is asked of it.
    pub what: What,
    /// The instant asked about.
    pub time_ms: Option<i64>,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// A query in the asker's words.
    Query(String),
    /// A template and the value of its parameter `k`.
    Template(String, String),
}

impl Topic {
    /// The ask about it, without wishes.
    pub fn ask(&self) -> Ask {
        let ask = match &self.what {
            What::Query(text) => Ask::promql(text.as_str()),
            What::Template(name, value) => {
                // What a template does not use is no part of the question.
                let params = [
                    ("k".into(), value.clone()),
                    ("unused".into(), value.clone()),
                ];
                Ask::template(name.as_str(), BTreeMap::from(params))
            }
        };
        Ask {
            time: self.time_ms.map(UnixMillis),
            ..ask.of(self.source.as_str())
        }
    }

    /// The topic of an ask of one source.
    pub fn of(ask: &Ask, source: &str) -> Self {
        Self {
            source: source.to_owned(),
            what: match &ask.query {
                Query::PromQl(text) => What::Query(text.clone()),
                Query::Template { name, params } => {
                    What::Template(name.clone(), params["k"].clone())
                }
                Query::Endpoint { .. } => unreachable!("the world asks no other endpoint"),
            },
            time_ms: ask.time.map(|time| time.0),
        }
    }

    pub(crate) fn template(&self) -> Option<&str> {
        match &self.what {
            What::Query(_) => None,
            What::Template(name, _) => Some(name),
        }
    }

    /// What the cache should call it.
    pub fn key(&self) -> String {
        let escape = |text: &str| {
            let text = text.replace('\\', "\\\\");
            text.replace(',', "\\,").replace('=', "\\=")
        };
        let mut key = match &self.what {
            What::Query(text) => format!("{}/:query={}", self.source, escape(text)),
            What::Template(name, value) => format!("{}/{name}:k={}", self.source, escape(value)),
        };
        if let Some(time) = self.time() {
            key.push_str(&format!(",@time={time}"));
        }
        key
    }

    /// The query's text now; `None` if there is none.
    pub(crate) fn text(&self, config: &Config) -> Option<String> {
        let source = config
            .sources
            .iter()
            .find(|source| source.name == self.source)?;
        match &self.what {
            What::Query(text) => Some(text.clone()),
            What::Template(name, value) => {
                let template = source.templates.iter().find(|t| t.name == *name)?;
                Some(template.text.replace("{{.k}}", value))
            }
        }
    }

    pub(crate) fn time(&self) -> Option<String> {
        let mut text = Vec::new();
        write_timestamp_ms(self.time_ms?, &mut text);
        String::from_utf8(text).ok()
    }

    pub(crate) fn is_covered_by(&self, what: &Invalidation) -> bool {
        match what {
            Invalidation::Key(key) => self.key() == *key,
            Invalidation::Prefix(prefix) => self.key().starts_with(prefix.as_str()),
            Invalidation::Source(source) => self.source == *source,
            Invalidation::Template { source, template } => {
                self.source == *source && self.template() == Some(template)
            }
            Invalidation::All => true,
        }
    }
}

/// The last good answer to a topic.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kept {
    pub(crate) evaluated_us: u64,
    pub(crate) as_of: UnixMillis,
    pub(crate) received: Now,
    pub(crate) ttl: Duration,
    pub(crate) thresholds: Thresholds,
    pub(crate) asked: Option<UnixMillis>,
    pub(crate) text: String,
}

impl Kept {
    pub(crate) fn age(&self, now: Now) -> Duration {
        let held = now.mono.since(self.received.mono);
        match self.asked {
            Some(asked) => asked.min(now.wall).since(self.as_of),
            None => {
                let at_receipt = self.received.wall.since(self.as_of);
                now.wall.since(self.as_of).max(at_receipt + held)
            }
        }
    }

    /// How far past its ttl it is.
    pub(crate) fn overdue(&self, now: Now) -> Duration {
        now.mono.since(self.received.mono).saturating_sub(self.ttl)
    }

    pub(crate) fn is_within_ttl(&self, now: Now) -> bool {
        now.mono.since(self.received.mono) < self.ttl
    }

    /// Whether somebody may still be served from it, so that a cleanup leaves it.
    fn is_needed(&self, now: Now) -> bool {
        now.mono.since(self.received.mono) < self.ttl + self.thresholds.unavailable_past
    }

    pub(crate) fn is_usable(&self, now: Now) -> bool {
        now.mono.since(self.received.mono) < self.ttl + self.thresholds.unavailable_past
            && self.age(now) <= self.thresholds.unavailable_past
    }
}

/// A question on its way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flight {
    pub(crate) retries: u32,
    /// Whether one of its fetches failed.
    pub(crate) failed: bool,
    /// Whether it was begun anew for an invalidation.
    pub(crate) restarted: bool,
    /// When it runs out of time, once it was fetched.
    pub(crate) deadline: Option<Instant>,
    /// Whether its fetch is under way.
    pub(crate) fetching: bool,
    /// Since when it waits for another try, and for how long at least.
    pub(crate) resting: Option<(Instant, Duration)>,
}

/// A topic as the model knows it.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) topic: Topic,
    pub(crate) kept: Option<Kept>,
    /// How often it left memory for sure, and how often it may have.
    pub(crate) left: u64,
    pub(crate) may_have_left: u64,
    /// Until when a refusal is remembered.
    pub(crate) refused_until: Option<Instant>,
    /// When it was last read, while it is kept warm.
    pub(crate) last_read: Option<Instant>,
    /// Answers evaluated by fetches begun before are out of date.
    pub(crate) valid_from: Option<Instant>,
    /// When a question about it last ended.
    pub(crate) last_end: Option<Instant>,
    /// When somebody was last served past the ttl, so that it is fetched behind.
    pub(crate) served_stale: Option<Instant>,
    /// Questions on their way, by their texts.
    pub(crate) flights: BTreeMap<String, Flight>,
    pub(crate) askers: usize,
}

impl Known {
    pub(crate) fn new(topic: Topic) -> Self {
        Self {
            topic,
            kept: None,
            left: 0,
            may_have_left: 0,
            refused_until: None,
            last_read: None,
            valid_from: None,
            last_end: None,
            served_stale: None,
            flights: BTreeMap::new(),
            askers: 0,
        }
    }

    pub(crate) fn forget(&mut self) {
        self.drop_kept();
        self.refused_until = None;
    }

    pub(crate) fn drop_kept(&mut self) {
        self.left += u64::from(self.kept.take().is_some());
    }

    /// Another answer takes the place of the last one, if that is still in memory.
    pub(crate) fn keep(&mut self, kept: Kept, now: Now) {
        let may_be_gone = |kept: &Kept| !kept.is_needed(now);
        self.may_have_left += u64::from(self.kept.as_ref().is_none_or(may_be_gone));
        self.kept = Some(kept);
    }
}
