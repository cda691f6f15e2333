//! Targets collected into Tidegate's own series: when each is fetched, and what its text becomes.
//!
//! A scrape is a question like any other, for the text of a target: it has the same key and cache
//! entry, and goes on the same flight as whoever asks at that time. What is due is taken in when
//! the first fetch of the flight ends, however it ends; another try is for those who ask, since
//! the next scrape comes by itself.

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use tidegate_wire::Exposition;

use super::Collector;
use super::reading::{samples, understand_text};
use crate::collecting::LastScrape;
use crate::flight::{FlightId, Purpose};
use crate::local::Scrape;
use crate::question::Question;
use crate::timers::Timer;
use crate::{FetchError, Now, Payload, Priority, QueryError, Response};

impl Collector {
    /// Collects as the source's settings say from now on.
    pub(super) fn schedule_collecting(&mut self, at: usize, now: Now) {
        let source = &mut self.sources[at];
        let ended = source
            .collecting
            .configure(&source.settings, &mut self.random, now.mono);
        for (target, instance) in ended {
            self.local.ended(instance, now.wall);
            self.collect_no_more(at, &target, now);
        }
        self.set_collect_timer(at);
    }

    /// Ends all that a source collects.
    pub(super) fn end_collecting(&mut self, at: usize, now: Now) {
        self.sources[at].settings.collect_interval = Duration::ZERO;
        self.schedule_collecting(at, now);
    }

    /// A fetch under way for the sake of collecting has lost its purpose.
    fn collect_no_more(&mut self, at: usize, target: &str, now: Now) {
        let key = Question::of_target(&self.sources[at], target).key;
        if let Some(flight) = self.flights.of_key(&key) {
            if self.flights.askers(flight) == 0 {
                self.give_up(flight, now);
            } else {
                self.flights.set_refresh(flight, false);
            }
        }
    }

    fn set_collect_timer(&mut self, at: usize) {
        if let Some(due) = self.sources[at].collecting.next_due() {
            self.timers.set(due, Timer::Collect(at));
        }
    }

    /// Targets of the source are due.
    pub(super) fn collect(&mut self, at: usize, now: Now) {
        while let Some(target) = self.sources[at].collecting.take_due(now.mono) {
            let question = Arc::new(Question::of_target(&self.sources[at], &target));
            if let Some(flight) = self.flights.of_key(&question.key) {
                // It is not to end with its askers.
                self.flights.set_refresh(flight, true);
            } else if let Err(error) = self.begin_scrape(at, &target, question, now) {
                self.scraped(at, &target, Err(&error), now, now);
            }
        }
        self.set_collect_timer(at);
    }

    /// Fetches a target's text, until it is due again at the longest.
    fn begin_scrape(
        &mut self,
        at: usize,
        target: &str,
        question: Arc<Question>,
        now: Now,
    ) -> Result<FlightId, QueryError> {
        let source = &self.sources[at];
        let timeout = now.mono + source.timeout();
        let due = source.collecting.target(target).map(|target| target.due);
        let purpose = Purpose::Answer {
            question,
            askers: Vec::new(),
            refresh: true,
            keep: true,
        };
        let deadline = due.map_or(timeout, |due| due.min(timeout));
        self.begin_until(at, purpose, Priority::Background, deadline, now)
    }

    /// Whether this flight brings the text of a target that is collected, and nobody waits for it.
    pub(super) fn only_collects(&self, id: FlightId) -> bool {
        self.flights.askers(id) == 0
            && self.flights.flight(id).is_some_and(|flight| {
                flight.target().is_some() && self.sources[flight.source].collects()
            })
    }

    /// A fetch of a target's text, begun at `began`, ended.
    pub(super) fn text_landed(
        &mut self,
        at: usize,
        target: &Arc<str>,
        result: Result<Response, FetchError>,
        began: Now,
        now: Now,
    ) -> Result<Payload, QueryError> {
        let text = understand_text(&self.sources[at].name, result, began.wall);
        self.scraped(at, target, text.as_ref(), began, now);
        text.map(samples)
    }

    /// Takes in what became of a scrape, if one was due.
    pub(super) fn scraped(
        &mut self,
        at: usize,
        target: &str,
        text: Result<&Exposition, &QueryError>,
        began: Now,
        now: Now,
    ) {
        let collected = self.sources[at].collecting.target_mut(target);
        let Some(collected) = collected.filter(|collected| collected.awaited) else {
            return;
        };
        collected.awaited = false;
        let scrape = Scrape {
            text: text.ok(),
            began: began.wall,
            took: now.mono.since(began.mono),
        };
        let mut notices = Vec::new();
        let instance = &mut collected.instance;
        let scraped = self.local.scraped(instance, scrape, now.wall, &mut notices);
        collected.last = Some(LastScrape {
            at: began.wall,
            took: scrape.took,
            samples: scraped.samples,
            refused: scraped.refused,
            series_added: scraped.series_added,
            error: match text {
                Ok(_) => scraped.first_refusal.clone(),
                Err(error) => Some(error.to_string()),
            },
            succeeded: text.is_ok(),
        });
        self.stats.scrapes += 1;
        self.stats.scrapes_failed += u64::from(text.is_err());
        self.stats.samples_accepted += (scraped.samples - scraped.refused) as u64;
        self.stats.samples_refused += scraped.refused as u64;
        self.stats.samples_unfit += scraped.unfit as u64;
        if !notices.is_empty() {
            let name = self.sources[at].name.clone();
            let key = Question::of_target(&self.sources[at], target).key;
            self.tell(&name, Some(&key), notices);
        }
    }
}
