//! What is owed to askers: one reply in time, from the right question, as old as it says.

use std::time::Duration;

use tidegate_core::{
    Answer, Ask, Collector, FetchError, Freshness, Instant, Lookup, Provenance, QueryError, Reply,
};

use super::key::Kept;
use super::upstream::{thresholds, ttl};
use super::{Check, Flight, Landing, Meaning, Model, Pending, Topic, Violation, owed};
use crate::truth::{evaluated_us, said};

/// What keys of questions about the past contain; their answers do not age.
const PAST: &str = "@time=";

/// Below this, a queue may be full when a question is asked again.
const SMALL_QUEUE: usize = 100;

/// Clocks are read in milliseconds.
const ROUNDING: Duration = Duration::from_millis(2);

impl Model {
    /// One source was asked, and this was said at once.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn asked(
        &mut self,
        ask: &Ask,
        topic: &Topic,
        lookup: &Result<Lookup, QueryError>,
        collector: &Collector,
    ) -> Check {
        let key = topic.key();
        self.marks.hit("ask");
        let Some(settings) = self
            .upstreams
            .get(&topic.source)
            .map(|u| u.settings.clone())
        else {
            let named = matches!(lookup, Err(QueryError::UnknownSource { known, .. }) if known.iter().all(|k| **k != *topic.source));
            owed!(named, "unknown sources are named", "{lookup:?}");
            return Ok(());
        };
        let Some(text) = topic.text(&self.config) else {
            let named = matches!(lookup, Err(QueryError::UnknownTemplate { .. }));
            owed!(named, "unknown templates are named", "{lookup:?}");
            return Ok(());
        };
        self.learn(topic);
        let now = self.now;
        let strict = self.is_strict();
        let known = self.known.get_mut(&key).expect("learnt");
        let tracks = topic.time_ms.is_none()
            && !settings.fetch_interval.is_zero()
            && self.config.cache.enabled;
        if tracks {
            known.last_read = Some(now.mono);
        }
        // Whoever takes no age at all asks for new data.
        let young = |kept: &Kept, max: Duration| !max.is_zero() && kept.age(now) <= max;
        let takes = |kept: &Kept| ask.max_age.is_none_or(|max| young(kept, max));
        let expected = known
            .kept
            .as_ref()
            .filter(|kept| takes(kept))
            .and_then(|kept| {
                if kept.is_within_ttl(now) {
                    Some(Provenance::Hit)
                } else {
                    let near = ask.max_stale.is_none_or(|max| kept.overdue(now) <= max);
                    (ask.allow_stale && near && kept.is_usable(now)).then_some(Provenance::Stale)
                }
            });
        let refused = known.refused_until.is_some_and(|until| now.mono < until);
        match lookup {
            Ok(Lookup::Ready(answer)) => {
                owed!(
                    expected == Some(answer.provenance),
                    "memory serves what it may",
                    "{key}: {:?}, expected {expected:?} of {:?}",
                    answer.provenance,
                    known.kept
                );
                if expected == Some(Provenance::Stale) {
                    known.served_stale = Some(now.mono);
                }
                self.marks.hit(if expected == Some(Provenance::Hit) {
                    "hit"
                } else {
                    "stale"
                });
                self.check_recalled(&key, answer, (ask.max_age, ask.max_stale))
            }
            Ok(Lookup::Pending(id)) => {
                owed!(
                    !strict || (expected.is_none() && !refused),
                    "the last good answer is not lost",
                    "{key}: expected {expected:?} of {:?}, refused {refused}",
                    known.kept
                );
                let leads = collector.stats().misses > self.before.misses;
                if leads || !known.flights.contains_key(&text) {
                    known.flights.insert(text.clone(), Flight::default());
                }
                self.marks.hit(if leads { "miss" } else { "coalesced" });
                let patience = ask
                    .timeout
                    .map_or(settings.timeout, |own| own.min(settings.timeout));
                let pending = Pending {
                    of: vec![(key, text)],
                    deadline: now.mono + patience,
                    max_age: ask.max_age,
                    max_stale: ask.max_stale,
                    several: false,
                };
                self.wait(*id, pending)
            }
            Err(QueryError::Overloaded { limit, .. }) => {
                self.marks.hit("overloaded");
                owed!(
                    !strict || expected.is_none(),
                    "the last good answer is not lost",
                    "{key}: overloaded"
                );
                let limits = &self.config.limits;
                let queued = collector
                    .sources()
                    .into_iter()
                    .find(|s| *s.name == *topic.source)
                    .map_or(0, |s| s.queued);
                let askers = known.askers;
                let is_full = match *limit {
                    "queue_per_source_max" => queued >= limits.queue_per_source_max,
                    "askers_per_fetch_max" => askers >= limits.askers_per_fetch_max,
                    _ => false,
                };
                owed!(
                    is_full,
                    "none is turned away without need",
                    "{limit}: {queued} queued, {askers} ask"
                );
                Ok(())
            }
            Err(error) => {
                owed!(
                    refused && expected.is_none(),
                    "none is refused without need",
                    "{key}: {error}"
                );
                self.marks.hit("refusal recalled");
                Ok(())
            }
        }
    }

    /// Several sources were asked, and this was said at once.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn asked_several(
        &mut self,
        ask: &Ask,
        topics: &[Topic],
        lookup: &Result<Lookup, QueryError>,
    ) -> Check {
        self.marks.hit("ask several");
        let exists = |topic: &Topic| self.upstreams.contains_key(&topic.source);
        if !topics.iter().all(exists) {
            let named = matches!(lookup, Err(QueryError::UnknownSource { .. }));
            owed!(named, "unknown sources are named", "{lookup:?}");
            return Ok(());
        }
        let now = self.now.mono;
        let mut of = Vec::new();
        let mut patience = Duration::ZERO;
        for topic in topics {
            let key = self.learn(topic);
            let (Some(upstream), Some(text)) =
                (self.upstreams.get(&topic.source), topic.text(&self.config))
            else {
                continue;
            };
            let settings = &upstream.settings;
            patience = patience.max(
                ask.timeout
                    .map_or(settings.timeout, |own| own.min(settings.timeout)),
            );
            let tracks = topic.time_ms.is_none() && !settings.fetch_interval.is_zero();
            let known = self.known.get_mut(&key).expect("learnt");
            if tracks && self.config.cache.enabled {
                known.last_read = Some(now);
            }
            if ask.allow_stale {
                known.served_stale = Some(now);
            }
            of.push((key, text));
        }
        match lookup {
            Ok(Lookup::Pending(id)) => {
                let pending = Pending {
                    of,
                    deadline: now + patience,
                    max_age: ask.max_age,
                    max_stale: ask.max_stale,
                    several: true,
                };
                self.wait(*id, pending)
            }
            Ok(Lookup::Ready(answer)) => self.merged(answer, ask.time.is_some()),
            Err(_) => Ok(()),
        }
    }

    fn wait(&mut self, id: tidegate_core::AskId, pending: Pending) -> Check {
        for (key, _) in &pending.of {
            self.known.get_mut(key).expect("learnt").askers += 1;
        }
        self.deadlines.insert((pending.deadline, id));
        let former = self.pending.insert(id, pending);
        owed!(former.is_none(), "ids are given once", "{id:?}");
        Ok(())
    }

    pub(super) fn reply(&mut self, reply: &Reply) -> Check {
        if let Some(checked) = self.range_reply(reply) {
            return checked;
        }
        let Some(pending) = self.leave(reply.ask) else {
            owed!(
                false,
                "one reply to each who waits",
                "{:?} gets {:?}",
                reply.ask,
                reply.result.as_ref().map(|a| &a.key)
            );
            return Ok(());
        };
        match &reply.result {
            Ok(answer) if pending.several => self.merged(answer, pending.of[0].0.contains(PAST)),
            Ok(answer) if answer.provenance == Provenance::StaleOnError => {
                self.marks.hit("stale-on-error");
                let landing = self.landing.as_ref();
                let rejected =
                    landing.filter(|landing| landing.fetch.key.as_deref() == Some(&*answer.key));
                let rejected = rejected.is_some_and(|landing| {
                    matches!(landing.meaning, Meaning::Refused | Meaning::Rejected { .. })
                });
                owed!(
                    !rejected,
                    "a 4xx is never covered",
                    "{}: {:?}",
                    answer.key,
                    answer.reason
                );
                owed!(
                    answer.reason.is_some(),
                    "stale-on-error says why",
                    "{}",
                    answer.key
                );
                let wishes = (pending.max_age, pending.max_stale);
                self.check_recalled(&pending.of[0].0.clone(), answer, wishes)
            }
            Ok(answer) => self.check_fetched(answer, &pending),
            Err(error) if !pending.several => {
                self.marks.hit("error");
                let known = &self.known[&pending.of[0].0];
                let now = self.now;
                let fits = |kept: &&Kept| {
                    let young = pending.max_age.is_none_or(|max| kept.age(now) <= max);
                    let near = pending.max_stale.is_none_or(|max| kept.overdue(now) <= max);
                    // Whoever asked for a former text is not owed answers to the new one.
                    young && near && kept.is_usable(now) && kept.text == pending.of[0].1
                };
                let lost = error.may_serve_stale()
                    && self.is_strict()
                    && known.kept.as_ref().is_some_and(|kept| fits(&kept));
                owed!(
                    !lost,
                    "the last good answer is not lost",
                    "{error}, though {:?} is kept",
                    known.kept
                );
                let timed_out = matches!(
                    error,
                    QueryError::Unreachable {
                        error: FetchError::Timeout { .. },
                        ..
                    }
                );
                let is_current = known.topic.text(&self.config).as_ref() == Some(&pending.of[0].1);
                owed!(
                    !timed_out
                        || self.landing.is_some()
                        || !is_current
                        || pending.deadline <= now.mono
                        || self.config.limits.queue_per_source_max < SMALL_QUEUE,
                    "nobody's time is cut short",
                    "{}: until {:?}",
                    pending.of[0].0,
                    pending.deadline
                );
                if let QueryError::UnknownSource { name, known } = error {
                    let named = known.iter().any(|known| **known == **name);
                    owed!(!named, "unknown sources are named", "{error}");
                }
                Ok(())
            }
            Err(_) => Ok(()),
        }
    }

    /// An answer that is said to be fetched just now.
    fn check_fetched(&mut self, answer: &Answer, pending: &Pending) -> Check {
        let (key, text) = &pending.of[0];
        owed!(
            *answer.key == **key,
            "everybody gets their own answer",
            "{key}: {}",
            answer.key
        );
        let landing = self.landing.clone();
        let of_now = landing.filter(|landing| landing.fetch.key.as_ref() == Some(key));
        let Some(landing) = of_now else {
            owed!(
                false,
                "fresh answers come from a fetch",
                "{key}: {:?}",
                answer.provenance
            );
            return Ok(());
        };
        let evaluated = landing.evaluated_us;
        owed!(
            evaluated.is_some()
                && evaluated_us(&answer.payload) == evaluated.into_iter().collect::<Vec<_>>(),
            "fresh answers come from a fetch",
            "{key}"
        );
        owed!(
            landing.fetch.text == *text,
            "no answer to an older text",
            "{key}: {} instead of {text}",
            landing.fetch.text
        );
        self.is_valid(key, evaluated.unwrap_or_default())?;
        self.claim(key, answer, Some(self.now.mono))?;
        if pending.max_age.is_some_and(|max| answer.age > max) {
            self.marks.hit("fetched older than asked for");
        }
        self.marks.hit("answer delivered");
        Ok(())
    }

    /// An answer that is said to come from memory.
    fn check_recalled(
        &self,
        key: &str,
        answer: &Answer,
        (max_age, max_stale): (Option<Duration>, Option<Duration>),
    ) -> Check {
        let known = &self.known[key];
        let now = self.now;
        let Some(kept) = known.kept.clone() else {
            owed!(
                false,
                "memory holds good answers only",
                "{key}: {:?}",
                answer.provenance
            );
            return Ok(());
        };
        let evaluated = evaluated_us(&answer.payload);
        owed!(
            evaluated == [kept.evaluated_us],
            "memory holds the last good answer",
            "{key}: of {evaluated:?}, kept {kept:?}"
        );
        owed!(
            kept.text == known.topic.text(&self.config).unwrap_or_default(),
            "no answer to an older text",
            "{key}: {kept:?}"
        );
        self.is_valid(key, kept.evaluated_us)?;
        let age = kept.age(now);
        owed!(
            answer.age == age,
            "ages are told as agreed",
            "{key}: {:?} instead of {age:?}",
            answer.age
        );
        owed!(
            max_age.is_none_or(|max| age <= max),
            "nothing is older than asked for",
            "{key}: {age:?}, at most {max_age:?}"
        );
        let overdue = kept.overdue(now);
        owed!(
            max_stale.is_none_or(|max| overdue <= max),
            "nothing is further past its ttl than asked for",
            "{key}: {overdue:?}, at most {max_stale:?}"
        );
        let left = kept.ttl.saturating_sub(now.mono.since(kept.received.mono));
        let left = (!left.is_zero()).then_some(left);
        owed!(
            answer.ttl_left == left,
            "ttls are told as they are",
            "{key}: {:?} instead of {left:?}",
            answer.ttl_left
        );
        let is_hit = answer.provenance == Provenance::Hit;
        owed!(
            !is_hit || left.is_some(),
            "hits lie within the ttl",
            "{key}"
        );
        owed!(
            is_hit || answer.freshness != Freshness::Unavailable,
            "nothing unavailable stands in",
            "{key}: {age:?}"
        );
        owed!(
            answer.freshness == kept.thresholds.verdict(age),
            "freshness is by age",
            "{key}: {:?} at {age:?}",
            answer.freshness
        );
        self.claim(key, answer, Some(kept.received.mono))
    }

    /// Answers that were invalidated are served to nobody.
    pub(super) fn is_valid(&self, key: &str, evaluated_us: u64) -> Check {
        let from = self.known[key].valid_from;
        let valid = from.is_none_or(|from| evaluated_us >= from.as_nanos() / 1_000);
        owed!(
            valid,
            "nothing from before an invalidation",
            "{key}: of {evaluated_us} us, invalidated at {from:?}"
        );
        Ok(())
    }

    /// A merged answer is as old as its oldest part at least.
    fn merged(&mut self, answer: &Answer, past: bool) -> Check {
        self.marks.hit("merged answer");
        for (server, text) in said(&answer.payload) {
            let asked = self
                .by_text
                .keys()
                .any(|(source, t, _)| *source == server && *t == text);
            owed!(
                asked,
                "everybody gets their own answer",
                "{server} said {text}"
            );
        }
        if past {
            Ok(())
        } else {
            self.claim("a merged answer", answer, None)
        }
    }

    /// Never an answer older than it claims. What a wall clock that stepped back since hides is
    /// not owed, except for the time it was held, which the other clock measured.
    fn claim(&self, key: &str, answer: &Answer, received: Option<Instant>) -> Check {
        if key.contains(PAST) {
            return Ok(());
        }
        let now = self.now.mono;
        // Without a sample an answer speaks for the instant at which it was asked for.
        let undated = said(&answer.payload).is_empty();
        for evaluated_us in evaluated_us(&answer.payload) {
            let evaluated = Instant::from_nanos(evaluated_us * 1_000);
            let hidden = self
                .steps_back
                .iter()
                .filter(|(at, _)| undated || *at >= evaluated);
            let hidden = Duration::from_millis(hidden.map(|(_, ms)| ms).sum());
            let held = received.map_or(Duration::ZERO, |received| now.since(received));
            let owed = now.since(evaluated).saturating_sub(hidden).max(held);
            owed!(
                answer.age + ROUNDING >= owed,
                "never older than it claims",
                "{key}: claims {:?}, is {owed:?}",
                answer.age
            );
        }
        Ok(())
    }

    /// A whole answer to a current question is kept, and believed for as long as configured.
    pub(super) fn kept(&mut self, key: &str, landing: &Landing, collector: &Collector) -> Check {
        if !self.config.cache.enabled {
            return Ok(());
        }
        let now = self.now;
        if collector.stats().evictions > 0 {
            self.lossy = true;
        }
        let known = &self.known[key];
        let Some(kept) = collector.explain(key, now).kept else {
            owed!(!self.is_strict(), "good answers are kept", "{key}");
            return Ok(());
        };
        let asked = known.topic.time_ms.map(tidegate_core::UnixMillis);
        let dated = landing.dated_ms.map(tidegate_core::UnixMillis).or(asked);
        owed!(
            dated.is_none_or(|dated| dated == kept.as_of),
            "answers speak for their newest sample",
            "{key}: {:?}, not {dated:?}",
            kept.as_of
        );
        let left = kept.ttl_left.unwrap_or_default();
        let upstream = &self.upstreams[&known.topic.source];
        let template = known.topic.template();
        let allowed = upstream.lately(now.mono).any(|settings| {
            let plain = ttl(settings, template);
            let widest = settings.ttl_max.unwrap_or_default().max(plain);
            let settled = asked.is_some() && self.settled_ages.contains(&left);
            if known.last_read.is_some() {
                (plain..=widest).contains(&left) || settled
            } else {
                left == plain || settled || (plain..=widest).contains(&left)
            }
        });
        owed!(allowed, "ttls are those configured", "{key}: {left:?}");
        let kept = Kept {
            evaluated_us: landing.evaluated_us.unwrap_or_default(),
            as_of: kept.as_of,
            received: now,
            ttl: left,
            thresholds: thresholds(&upstream.settings, template),
            asked,
            text: landing.fetch.text.clone(),
        };
        self.known.get_mut(key).expect("known").keep(kept, now);
        self.marks.hit("answer kept");
        Ok(())
    }

    /// Nobody waits past their deadline.
    pub(super) fn punctual(&self) -> Check {
        let late = self
            .deadlines
            .first()
            .filter(|(deadline, _)| *deadline <= self.now.mono);
        match late {
            None => Ok(()),
            Some((deadline, ask)) => Err(Violation {
                rule: "everybody gets a reply by their deadline",
                detail: format!("{ask:?} by {deadline:?}: {:?}", self.pending.get(ask)),
            }),
        }
    }
}
