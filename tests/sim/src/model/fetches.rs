//! What is owed to servers: one fetch at a time per question, few in all, none without a reason.

use std::time::Duration;

use tidegate_core::{Collector, Fetch, FetchId, Output};

use super::{Call, Check, Fetching, Meaning, Model, Piece, Verdict, owed};

impl Model {
    /// Takes the outputs of a call in their order.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn outputs(&mut self, outputs: &[Output]) -> Check {
        for (nth, output) in outputs.iter().enumerate() {
            match output {
                Output::Fetch(fetch) => self.fetch(fetch)?,
                Output::Cancel(id) => self.cancel(*id, outputs.get(nth + 1))?,
                Output::Reply(reply) => self.reply(reply)?,
                Output::Event(event) => self.marks.hit(event.name),
                Output::Forget(_) | Output::Append(_) | Output::Wait(_) => {}
            }
        }
        Ok(())
    }

    fn fetch(&mut self, fetch: &Fetch) -> Check {
        let now = self.now.mono;
        let source = &*fetch.source;
        let asked = self.topic_of(fetch)?;
        let Some(upstream) = self.upstreams.get_mut(source) else {
            owed!(false, "no fetch of a source that is gone", "{fetch:?}");
            return Ok(());
        };
        let admitted = upstream.breaker.begins(fetch.id, now);
        owed!(
            admitted.is_ok(),
            "the breaker holds",
            "{source}: {admitted:?}"
        );
        owed!(
            !self.lateness.is_zero() || fetch.deadline > now,
            "no fetch without time",
            "{fetch:?}"
        );
        let under_way = self.fetches.values().filter(|f| f.source == source).count();
        let most = self.config.limits.fetches_per_source_max;
        owed!(
            under_way < most,
            "few fetches at once",
            "{source}: {under_way} before"
        );
        if fetch.request.path == "/api/v1/query_range" {
            return self.fetch_range(fetch);
        }
        let upstream = self.upstreams.get_mut(source).expect("seen above");
        let Some((key, text)) = asked else {
            let every = upstream.settings.probe_interval;
            owed!(
                !every.is_zero(),
                "probes where wanted",
                "{source} is probed"
            );
            upstream.first_try(now);
            self.marks.hit("probe");
            return self.note(fetch, None, String::new());
        };
        let twin = self
            .fetches
            .values()
            .find(|f| f.key.as_ref() == Some(&key) && f.text == text);
        owed!(twin.is_none(), "one fetch per key", "{key}: {twin:?}");
        self.justify(&key, &text)?;
        let upstream = self.upstreams.get_mut(source).expect("seen above");
        let known = self.known.get_mut(&key).expect("keys of texts are known");
        let flight = known.flights.entry(text.clone()).or_default();
        if flight
            .deadline
            .is_some_and(|former| former != fetch.deadline)
        {
            // Another question, for those who joined the former one late.
            *flight = super::Flight::default();
        }
        flight.deadline = Some(fetch.deadline);
        flight.fetching = true;
        if let Some((since, at_least)) = flight.resting.take() {
            self.marks.hit("retry");
            owed!(
                self.call == Call::Invalidate || now >= since + at_least,
                "retries wait as long as the source asks for",
                "{key}: {at_least:?} since {since:?}"
            );
        }
        if !flight.failed {
            upstream.first_try(now);
        }
        self.note(fetch, Some(key), text)
    }

    fn fetch_range(&mut self, fetch: &Fetch) -> Check {
        let Some(piece) = Piece::of(fetch) else {
            owed!(false, "ranges are asked for in numbers", "{fetch:?}");
            return Ok(());
        };
        self.justify_range(&piece)?;
        self.marks.hit("range fetched");
        if !self.ranges.is_retry(&piece, fetch.deadline)
            && let Some(upstream) = self.upstreams.get_mut(&*fetch.source)
        {
            upstream.first_try(self.now.mono);
        }
        self.note(fetch, None, String::new())?;
        let fetching = self.fetches.get_mut(&fetch.id).expect("just noted");
        fetching.range = Some(piece);
        Ok(())
    }

    fn note(&mut self, fetch: &Fetch, key: Option<String>, text: String) -> Check {
        let fetching = Fetching {
            source: fetch.source.to_string(),
            key,
            text,
            range: None,
            began: self.now.mono,
            deadline: fetch.deadline,
        };
        let former = self.fetches.insert(fetch.id, fetching);
        owed!(former.is_none(), "ids are given once", "{:?}", fetch.id);
        Ok(())
    }

    /// Whether there is a reason to fetch this.
    fn justify(&mut self, key: &str, text: &str) -> Check {
        let now = self.now.mono;
        let known = &self.known[key];
        let upstream = &self.upstreams[&known.topic.source];
        let wanted = self
            .pending
            .values()
            .any(|ask| ask.of.iter().any(|(k, t)| k == key && t == text));
        if wanted {
            return Ok(());
        }
        let current = known.topic.text(&self.config);
        owed!(
            current.as_deref() == Some(text),
            "nothing is fetched by an old text",
            "{key}: {text}, now {current:?}"
        );
        let lately = || upstream.lately(now);
        let still = |at: tidegate_core::Instant, span: Duration| {
            now < at + span + upstream.timeout_max() + self.lateness
        };
        if known
            .served_stale
            .is_some_and(|at| still(at, Duration::ZERO))
        {
            self.marks.hit("fetched behind a stale answer");
            return Ok(());
        }
        let idle_after = lately().map(|s| s.idle_after).max().unwrap_or_default();
        let is_read = known.last_read.is_some_and(|at| still(at, idle_after));
        owed!(
            is_read,
            "nothing is fetched that nobody reads",
            "{key}: read {:?}",
            known.last_read
        );
        let wanted = lately().any(|s| !s.fetch_interval.is_zero()) && self.config.cache.enabled;
        owed!(wanted, "no refresh where none is configured", "{key}");
        self.marks.hit("refresh");
        if known.flights.contains_key(text) {
            return Ok(());
        }
        // A source that was left alone is asked as soon as it may be.
        let ended = known
            .last_end
            .filter(|end| upstream.last_opened.is_none_or(|at| at < *end));
        let Some(ended) = ended else {
            return Ok(());
        };
        let interval = upstream
            .since(ended)
            .map(|s| {
                if s.align {
                    Duration::ZERO
                } else {
                    s.fetch_interval
                }
            })
            .min();
        let least = (interval.unwrap_or_default() * 4 / 5).max(Duration::from_secs(1));
        owed!(
            now >= ended + least,
            "refreshes keep their distance",
            "{key}: {:?} after the last fetch, at least {least:?}",
            now.since(ended)
        );
        Ok(())
    }

    fn cancel(&mut self, id: FetchId, next: Option<&Output>) -> Check {
        let Some(fetch) = self.fetches.remove(&id) else {
            owed!(false, "only what is under way is cancelled", "{id:?}");
            return Ok(());
        };
        // What ran out of time is a failure, and said to be one.
        let timed_out = match next {
            Some(Output::Event(event)) => {
                event.name == "fetch-failed" && *event.source == *fetch.source
            }
            _ => false,
        };
        self.marks.hit(if timed_out {
            "fetch timed out"
        } else {
            "fetch cancelled"
        });
        let verdict = if timed_out {
            Verdict::Fails
        } else {
            Verdict::SaysNothing
        };
        self.judge(id, &fetch, verdict);
        let restarts = self.call == Call::Invalidate;
        let Some(known) = fetch.key.as_ref().and_then(|key| self.known.get_mut(key)) else {
            return Ok(());
        };
        if restarts {
            self.marks.hit("restarted for an invalidation");
            if let Some(flight) = known.flights.get_mut(&fetch.text) {
                flight.restarted = true;
                flight.fetching = false;
            }
        } else {
            known.flights.remove(&fetch.text);
            if known.topic.text(&self.config).as_ref() == Some(&fetch.text) {
                known.last_end = Some(self.now.mono);
            }
        }
        Ok(())
    }

    /// After a response was handed over: what became of its question.
    pub(super) fn landed(&mut self, collector: &Collector) -> Check {
        let Some(landing) = self.landing.take() else {
            return Ok(());
        };
        let granted = collector.stats().retries - self.before.retries;
        if let Some(piece) = landing.fetch.range.clone() {
            if granted > 0 {
                owed!(
                    landing.meaning.is_transient(),
                    "only what may pass is tried again",
                    "{piece:?}: {:?}",
                    landing.meaning
                );
                self.ranges.rests(piece, landing.fetch.deadline);
                return self.spend_retry(&landing);
            }
            return Ok(());
        }
        let Some(key) = landing.fetch.key.clone() else {
            return Ok(());
        };
        if granted > 0 {
            return self.rests(&key, &landing, collector);
        }
        let now = self.now;
        let topic = self.known[&key].topic.clone();
        let is_current = topic.text(&self.config).as_ref() == Some(&landing.fetch.text);
        if let Some(known) = self.known.get_mut(&key) {
            // It may be on its way once more already.
            let again = self
                .fetches
                .values()
                .any(|f| f.key.as_ref() == Some(&key) && f.text == landing.fetch.text);
            if !again {
                known.flights.remove(&landing.fetch.text);
            }
            if is_current {
                known.last_end = Some(now.mono);
            }
        }
        match landing.meaning {
            Meaning::Good if is_current => self.kept(&key, &landing, collector),
            Meaning::Refused if is_current => {
                let upstream = &self.upstreams[&topic.source];
                let ttl = upstream.settings.refusal_ttl;
                if let Some(known) = self.known.get_mut(&key)
                    && !ttl.is_zero()
                {
                    known.refused_until = Some(now.mono + ttl);
                    self.marks.hit("refusal remembered");
                }
                Ok(())
            }
            Meaning::Good
            | Meaning::Partial
            | Meaning::Refused
            | Meaning::Rejected { .. }
            | Meaning::Failed { .. }
            | Meaning::Unsent => Ok(()),
        }
    }

    /// Another try is granted.
    fn spend_retry(&mut self, landing: &super::Landing) -> Check {
        let source = &landing.fetch.source;
        let upstream = self.upstreams.get_mut(source);
        let upstream = upstream.expect("what lands is configured");
        if let Err(why) = upstream.retry(self.now.mono) {
            owed!(
                !self.lateness.is_zero(),
                "the retry budget holds",
                "{source}: {why}"
            );
        }
        Ok(())
    }

    /// A failed question waits for another try.
    fn rests(&mut self, key: &str, landing: &super::Landing, collector: &Collector) -> Check {
        let now = self.now.mono;
        owed!(
            landing.meaning.is_transient(),
            "only what may pass is tried again",
            "{key}: {:?}",
            landing.meaning
        );
        self.spend_retry(landing)?;
        let known = self.known.get_mut(key).expect("what is fetched is known");
        let upstream = self
            .upstreams
            .get_mut(&landing.fetch.source)
            .expect("what lands is configured");
        let most = upstream
            .lately(now)
            .map(|s| s.retry.retries_max)
            .max()
            .unwrap_or_default();
        let flight = known.flights.entry(landing.fetch.text.clone()).or_default();
        flight.retries += 1;
        flight.failed = true;
        flight.fetching = false;
        flight.resting = Some((
            now,
            landing.wait_at_least(upstream.settings.retry.backoff_max),
        ));
        owed!(
            !self.lateness.is_zero() || flight.retries <= most,
            "few retries per question",
            "{key}: {}, at most {most}",
            flight.retries
        );
        let said = collector.explain(key, self.now).flight;
        // Of a key with a new text, the flight explained is another.
        let is_current = known.topic.text(&self.config).as_ref() == Some(&landing.fetch.text);
        let said = said.filter(|_| is_current);
        let agrees = said.as_ref().is_none_or(|said| said.stage == "resting");
        owed!(agrees, "what is tried again rests", "{key}: {said:?}");
        Ok(())
    }
}
