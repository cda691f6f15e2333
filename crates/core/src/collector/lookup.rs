//! Answers from memory, and askers who are sent to wait.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::time::Duration;

use super::Collector;
use crate::cache::Entry;
use crate::config::LOCAL;
use crate::flight::Asker;
use crate::question::{Question, Questioner};
use crate::timers::Timer;
use crate::{
    Answer, Ask, Freshness, Level, Lookup, Now, Payload, Provenance, QueryError, SourceKind,
    Thresholds,
};

impl Collector {
    pub(super) fn look_up(&mut self, ask: &Ask, now: Now) -> Result<Lookup, QueryError> {
        let name: &str = ask
            .source
            .as_deref()
            .unwrap_or_else(|| self.default_source());
        let at = match self.by_name.get(name) {
            Some(&at) => Some(at),
            None if name == LOCAL => None,
            None => return Err(self.unknown_source(name)),
        };
        let source = at.map(|at| &self.sources[at]);
        let question = Questioner {
            source,
            limits: &self.limits,
            local: &self.local_name,
        }
        .question(ask, now)?;
        match at.filter(|&at| self.sources[at].kind == SourceKind::Prometheus) {
            Some(at) => self.look_up_remote(at, question, ask, now),
            None => self.look_up_local(&question, now),
        }
    }

    pub(super) fn unknown_source(&self, name: &str) -> QueryError {
        let known = self
            .sources
            .iter()
            .map(|source| source.name.clone())
            .chain([self.local_name.clone()]);
        QueryError::UnknownSource {
            name: name.to_owned(),
            known: known.collect(),
        }
    }

    pub(super) fn look_up_local(
        &mut self,
        question: &Question,
        now: Now,
    ) -> Result<Lookup, QueryError> {
        let at = question.asked.unwrap_or(now.wall);
        let said = self.local.query(&question.query, at)?;
        self.stats.local += 1;
        let age = said
            .newest
            .map_or(Duration::ZERO, |newest| at.min(now.wall).since(newest));
        let freshness = said
            .newest
            .map_or(Freshness::Missing, |_| Thresholds::default().verdict(age));
        Ok(Lookup::Ready(Answer {
            payload: Arc::new(Payload {
                body: None,
                response: said.response,
            }),
            source: self.local_name.clone(),
            key: question.key.clone(),
            as_of: said.newest.unwrap_or(at),
            fetched_at: now.wall,
            age,
            freshness,
            provenance: Provenance::Hit,
            ttl_left: None,
            overdue: Duration::ZERO,
            reason: None,
        }))
    }

    pub(super) fn look_up_remote(
        &mut self,
        at: usize,
        question: Question,
        ask: &Ask,
        now: Now,
    ) -> Result<Lookup, QueryError> {
        if let Some(answer) = self.recall(at, &question, ask, now) {
            if answer.provenance == Provenance::Stale {
                self.stats.stale += 1;
                self.refresh_behind(at, &question, now);
            } else {
                self.stats.hits += 1;
            }
            return Ok(Lookup::Ready(answer));
        }
        let timeout = ask.timeout.map_or(self.sources[at].timeout, |timeout| {
            timeout.min(self.sources[at].timeout)
        });
        let (fetch, leads) = match self.flights.of_key(&question.key) {
            Some(fetch) => (fetch, false),
            None => (self.fetch_answer(at, &question, false, now)?, true),
        };
        if self.flights.askers(fetch) >= self.limits.askers_per_fetch_max {
            return Err(self.overloaded(at, "askers_per_fetch_max"));
        }
        if leads {
            self.stats.misses += 1;
        } else {
            self.stats.coalesced += 1;
        }
        let deadline = now.mono + timeout;
        let sooner = self
            .flights
            .flight(fetch)
            .is_none_or(|flight| deadline < flight.deadline);
        let deadline = sooner.then_some(deadline);
        let ask = self.flights.join(fetch, |id| Asker {
            ask: id,
            max_age: ask.max_age,
            since: now.mono,
            deadline,
            leads,
        });
        if let Some(deadline) = deadline {
            self.timers.set(deadline, Timer::Ask(ask));
        }
        Ok(Lookup::Pending(ask))
    }

    /// A hit, or an answer past its ttl that this asker takes.
    pub(super) fn recall(
        &mut self,
        at: usize,
        question: &Question,
        ask: &Ask,
        now: Now,
    ) -> Option<Answer> {
        let entry = self.cache.read(&question.key)?;
        if ask.max_age.is_some_and(|max_age| entry.age(now) > max_age) {
            return None;
        }
        let provenance = match entry.ttl_left(now) {
            Some(_) => Provenance::Hit,
            None if ask.allow_stale && entry.is_usable(now) => Provenance::Stale,
            None => return None,
        };
        self.serve(at, &question.key, provenance, None, now)
    }

    /// An answer from the key's entry; the first one past the warning threshold says so.
    pub(super) fn serve(
        &mut self,
        at: usize,
        key: &Arc<str>,
        provenance: Provenance,
        reason: Option<String>,
        now: Now,
    ) -> Option<Answer> {
        let source = self.sources[at].name.clone();
        let entry = self.cache.read(key)?;
        let answer = entry_answer(entry, &source, key, provenance, reason, now);
        let crossed = !entry.warned && answer.age > entry.thresholds.warn_past;
        if crossed {
            entry.warned = true;
            let detail = format!(
                "the data is {} s old and still served",
                answer.age.as_secs()
            );
            self.event(Level::Warn, "answer-ageing", at, Some(key), detail);
        }
        Some(answer)
    }

    pub(super) fn refresh_behind(&mut self, at: usize, question: &Question, now: Now) {
        if self.flights.of_key(&question.key).is_none() {
            // Too much in flight is no reason to refuse an asker who was served.
            let _ = self.fetch_answer(at, question, true, now);
        }
    }
}

pub(super) fn entry_answer(
    entry: &Entry,
    source: &Arc<str>,
    key: &Arc<str>,
    provenance: Provenance,
    reason: Option<String>,
    now: Now,
) -> Answer {
    let age = entry.age(now);
    Answer {
        payload: entry.payload.clone(),
        source: source.clone(),
        key: key.clone(),
        as_of: entry.as_of,
        fetched_at: entry.received.wall,
        age,
        freshness: entry.thresholds.verdict(age),
        provenance,
        ttl_left: entry.ttl_left(now),
        overdue: entry.overdue(now),
        reason,
    }
}
