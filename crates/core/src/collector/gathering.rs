//! Asks that several answers make up: of several sources, or of a source's targets.
//!
//! Each part is an ask of its own, with its own cache entry, flight and timeout; the whole is
//! answered when the last part is.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use tidegate_wire::{Data, Shape};

use super::Collector;
use crate::pack::{SOURCE_LABEL, combine, combine_as, documents};
use crate::promql::{Selector, parse_selector};
use crate::question::{Question, label_of, shape_of};
use crate::{
    Answer, Ask, AskId, Freshness, Lookup, Now, Output, Payload, Provenance, Query, QueryError,
    Reply, Thresholds,
};

/// Sources in one ask: clusters are counted in tens.
const SOURCES_PER_ASK_MAX: usize = 64;

/// An ask whose parts are not all there yet.
#[derive(Debug)]
pub(super) struct Gathering {
    parts: Vec<Part>,
    missing: usize,
    /// Whether the data ages while parts are awaited; not where it was asked for about the past.
    ages: bool,
    how: How,
}

/// One of several answers.
#[derive(Debug)]
struct Part {
    name: Arc<str>,
    /// By which its age is judged.
    thresholds: Thresholds,
    /// What it came to and when; `None` until it is there.
    result: Option<(Result<Answer, QueryError>, Now)>,
}

/// How parts become a whole.
#[derive(Clone, Debug)]
enum How {
    /// Each series gets its source's name.
    Sources {
        key: Arc<str>,
        listed: Option<Listed>,
    },
    /// Each series gets its target's name, and those that the selector does not want go.
    Targets {
        source: Arc<str>,
        key: Arc<str>,
        selector: Selector,
    },
}

/// A list in which the label that tells sources apart has a place, though no source says so.
#[derive(Clone, Copy, Debug)]
enum Listed {
    /// Of label names: it is one.
    Names,
    /// Of its values: the sources are.
    Sources,
}

impl Listed {
    fn of(query: &Query) -> Option<Self> {
        let Query::Endpoint { path, .. } = query else {
            return None;
        };
        match label_of(path) {
            Some(SOURCE_LABEL) => Some(Self::Sources),
            None if path == "labels" => Some(Self::Names),
            _ => None,
        }
    }

    fn complete(self, data: &mut Data, failed: &[(String, QueryError)], names: &[&str]) {
        let Data::Strings(strings) = data else {
            return;
        };
        match self {
            Self::Names if strings.is_empty() => {}
            Self::Names => {
                strings.push(SOURCE_LABEL.into());
                strings.sort();
                strings.dedup();
            }
            Self::Sources => {
                let answered = |name: &&&str| failed.iter().all(|(source, _)| source != **name);
                *strings = names
                    .iter()
                    .filter(answered)
                    .map(|&name| name.into())
                    .collect();
                strings.sort();
            }
        }
    }
}

/// All asks with parts.
#[derive(Debug, Default)]
pub(super) struct Gatherings {
    wholes: BTreeMap<AskId, Gathering>,
    /// The whole and the place of each part that is awaited.
    parts: BTreeMap<AskId, (AskId, usize)>,
}

impl Collector {
    /// Asks several sources.
    pub(super) fn gather_sources(
        &mut self,
        names: &[String],
        ask: &Ask,
        now: Now,
    ) -> Result<Lookup, QueryError> {
        if names.len() > SOURCES_PER_ASK_MAX {
            return Err(QueryError::BadParameter {
                name: "source",
                value: alloc::format!("{} names", names.len()),
                message: alloc::format!(
                    "at most {SOURCES_PER_ASK_MAX} sources can be asked at once"
                ),
            });
        }
        if let Query::Endpoint { path, .. } = &ask.query
            && shape_of(path) == Shape::Document
        {
            return Err(documents());
        }
        // A name that does not exist is the asker's mistake; a source that fails is not. Nothing
        // may be on its way when the ask is refused.
        for name in names {
            self.known_source(name)?;
        }
        let mut lookups = Vec::new();
        for (nth, name) in names.iter().enumerate() {
            if names[..nth].contains(name) {
                continue;
            }
            let thresholds = self.thresholds(name, ask);
            let lookup = self.look_up_at(name, ask, now);
            lookups.push((Arc::from(name.as_str()), thresholds, lookup));
        }
        // Each part has its own key; the whole is not kept and needs one for people only.
        let named: Vec<&str> = lookups.iter().map(|(name, ..)| &**name).collect();
        let key = named.join("+").into();
        let listed = Listed::of(&ask.query);
        self.gather(lookups, ask, How::Sources { key, listed }, now)
    }

    /// By which an answer of this source to this ask is judged.
    fn thresholds(&self, name: &str, ask: &Ask) -> Thresholds {
        let Some(source) = self.by_name.get(name).map(|&at| &self.sources[at]) else {
            return Thresholds::default();
        };
        let template = match &ask.query {
            Query::Template { name, .. } => source.templates.get(name),
            Query::PromQl(_) | Query::Endpoint { .. } => None,
        };
        let own = template.and_then(|template| template.config().thresholds);
        own.unwrap_or(source.settings.thresholds)
    }

    /// Asks every target of a scrape source for its text.
    pub(super) fn gather_targets(
        &mut self,
        at: usize,
        question: &Question,
        ask: &Ask,
        now: Now,
    ) -> Result<Lookup, QueryError> {
        let selector = parse_selector(question.query())?;
        if selector.range_ms.is_some() || selector.offset_ms != 0 || question.asked.is_some() {
            return Err(QueryError::Unsupported {
                message: alloc::format!(
                    "source {} is scraped when asked and has the newest samples only: \
                     ask without a range, an offset or a time",
                    self.sources[at].name
                ),
                position: 0,
            });
        }
        let source = self.sources[at].name.clone();
        let mut lookups = Vec::new();
        for target in self.sources[at].settings.targets.clone() {
            let part = Arc::new(Question::of_target(&self.sources[at], &target));
            let thresholds = part.thresholds;
            let lookup = self.look_up_remote(at, part, ask, now);
            lookups.push((Arc::from(target), thresholds, lookup));
        }
        let key = question.key.clone();
        self.gather(
            lookups,
            ask,
            How::Targets {
                source,
                key,
                selector,
            },
            now,
        )
    }

    fn gather(
        &mut self,
        lookups: Vec<(Arc<str>, Thresholds, Result<Lookup, QueryError>)>,
        ask: &Ask,
        how: How,
        now: Now,
    ) -> Result<Lookup, QueryError> {
        let mut gathering = Gathering {
            parts: Vec::with_capacity(lookups.len()),
            missing: 0,
            ages: ask.time.is_none() && ask.range.is_none(),
            how,
        };
        let mut awaited = Vec::new();
        for (nth, (name, thresholds, lookup)) in lookups.into_iter().enumerate() {
            let result = match lookup {
                Ok(Lookup::Ready(answer)) => Some(Ok(answer)),
                Ok(Lookup::Pending(ask)) => {
                    awaited.push((ask, nth));
                    None
                }
                Err(error) => Some(Err(error)),
            };
            gathering.parts.push(Part {
                name,
                thresholds,
                result: result.map(|result| (result, now)),
            });
        }
        if awaited.is_empty() {
            return gathering.whole(now).map(Lookup::Ready);
        }
        let whole = self.new_ask();
        gathering.missing = awaited.len();
        self.gatherings.wholes.insert(whole, gathering);
        for (part, nth) in awaited {
            self.gatherings.parts.insert(part, (whole, nth));
        }
        Ok(Lookup::Pending(whole))
    }

    /// Hands an asker their reply, or a whole its part.
    pub(super) fn reply(&mut self, ask: AskId, result: Result<Answer, QueryError>, now: Now) {
        let Some((whole, nth)) = self.gatherings.parts.remove(&ask) else {
            return self.send_reply(ask, result);
        };
        let Some(gathering) = self.gatherings.wholes.get_mut(&whole) else {
            return;
        };
        gathering.parts[nth].result = Some((result, now));
        gathering.missing -= 1;
        if gathering.missing == 0
            && let Some(gathering) = self.gatherings.wholes.remove(&whole)
        {
            // A source's targets are a whole, and may be a part of another.
            self.reply(whole, gathering.whole(now), now);
        }
    }

    fn send_reply(&mut self, ask: AskId, result: Result<Answer, QueryError>) {
        match &result {
            Ok(answer) => self.stats.answered(answer.age),
            Err(_) => self.stats.errors += 1,
        }
        self.outputs.push_back(Output::Reply(Reply { ask, result }));
    }

    /// The parts, and theirs, that an abandoned whole still waited for; `None` if the ask is no
    /// whole.
    pub(super) fn scatter(&mut self, whole: AskId) -> Option<Vec<AskId>> {
        self.gatherings.wholes.remove(&whole)?;
        let parts = self
            .gatherings
            .parts
            .iter()
            .filter(|(_, (of, _))| *of == whole);
        let parts: Vec<AskId> = parts.map(|(part, _)| *part).collect();
        let mut last = Vec::new();
        for part in parts {
            self.gatherings.parts.remove(&part);
            match self.scatter(part) {
                Some(below) => last.extend(below),
                None => last.push(part),
            }
        }
        Some(last)
    }
}

impl Gathering {
    fn whole(self, now: Now) -> Result<Answer, QueryError> {
        let ages = self.ages;
        let parts = self.parts.into_iter();
        let parts: Vec<_> = parts.filter_map(|part| part.told(ages, now)).collect();
        let good = || parts.iter().filter_map(|(_, part)| part.as_ref().ok());
        // Where a part is missing, it was not come by.
        let lacking = parts.iter().any(|(_, part)| part.is_err());
        let provenance = good()
            .map(|answer| answer.provenance)
            .chain(lacking.then_some(Provenance::Partial))
            .max_by_key(|p| rank(*p));
        let ttl_left = good().map(|answer| answer.ttl_left).min().flatten();
        let overdue = good()
            .map(|answer| answer.overdue)
            .max()
            .unwrap_or_default();
        let reason = good().find_map(|answer| answer.reason.clone());
        let names: Vec<&str> = parts.iter().map(|(name, _)| name.as_str()).collect();
        let (combined, source, key) = match self.how {
            How::Sources { key, listed } => {
                let mut combined = combine(&parts)?;
                if let Some(listed) = listed {
                    listed.complete(&mut combined.response.data, &combined.failed, &names);
                }
                (combined, names.join(",").into(), key)
            }
            How::Targets {
                source,
                key,
                selector,
            } => {
                let mut combined = combine_as("target", &parts)?;
                selector.retain(&mut combined.response, now.wall);
                (combined, source, key)
            }
        };
        Ok(Answer {
            payload: Arc::new(Payload {
                body: None,
                response: combined.response,
            }),
            source,
            key,
            as_of: combined.as_of,
            fetched_at: combined.fetched_at,
            age: combined.age,
            freshness: combined.freshness,
            provenance: provenance.unwrap_or(Provenance::Miss),
            ttl_left,
            overdue,
            reason,
            // Its parts come and go by themselves.
            reuse: None,
        })
    }
}

impl Part {
    /// The part as it stands now: what came first has aged while the others were awaited.
    fn told(self, ages: bool, now: Now) -> Option<(String, Result<Answer, QueryError>)> {
        let (mut result, at) = self.result?;
        let held = now.mono.since(at.mono);
        if let Ok(answer) = &mut result
            && !held.is_zero()
        {
            if ages {
                answer.age = (answer.age + held).max(now.wall.since(answer.as_of));
            }
            if answer.freshness != Freshness::Missing {
                answer.freshness = self.thresholds.verdict(answer.age);
            }
            if let Some(left) = answer.ttl_left {
                answer.overdue += held.saturating_sub(left);
                answer.ttl_left = Some(left.saturating_sub(held)).filter(|left| !left.is_zero());
            } else if !answer.overdue.is_zero() {
                answer.overdue += held;
            }
        }
        Some((String::from(&*self.name), result))
    }
}

/// The whole was come by as its worst part was.
const fn rank(provenance: Provenance) -> u8 {
    match provenance {
        Provenance::Hit => 0,
        Provenance::Stale => 1,
        Provenance::Coalesced => 2,
        Provenance::Partial => 3,
        Provenance::Miss => 4,
        Provenance::StaleOnError => 5,
    }
}
