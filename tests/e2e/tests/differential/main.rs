//! Tidegate beside the Prometheus it stands in front of: thousands of made-up questions, and the
//! answers must be the same bytes, however much of them came from memory.
//!
//! One seed makes one run; it is printed, and `TIDEGATE_SEED` plays it again.
//! `TIDEGATE_DIFFERENTIAL` asks for more batches than an ordinary run has time for. Work that is
//! spread over shards is asked the same.

mod compare;
mod expressions;
mod history;
mod questions;

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_core::Random;
use tidegate_e2e::{
    Answer, Exporter, Prometheus, Session, Tidegate, eventually, post_form, unix_now,
};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::compare::difference;
use crate::expressions::Family;
use crate::questions::{Panel, Question, Span};

/// What is newer may still change: live targets are scraped each second, and answer at once.
const SETTLE_S: i64 = 4;
/// Batches of questions in an ordinary run.
const BATCHES: u64 = 120;
/// Batches for several shards, which add nothing to how answers are made.
const SHARDED_BATCHES: u64 = 30;
/// Panels of a dashboard that moves on in one batch, and how often each moves.
const PANELS: usize = 6;
const MOVES: usize = 4;
/// Requests to Prometheus at once: as many as it takes without queueing.
const ASKED_AT_ONCE: usize = 4;
/// Differences that are told in full.
const TOLD_MAX: usize = 5;

/// Both servers, and what they disagreed about.
struct Bench {
    prometheus: Prometheus,
    tidegate: Tidegate,
    session: Session,
    random: Random,
    tally: Tally,
    _exporter: Exporter,
    history: Span,
    live_from_ms: i64,
}

#[derive(Default)]
struct Tally {
    asked: u64,
    /// Questions about moments that changed while they were being asked.
    undecided: u64,
    differences: Vec<String>,
    /// How often each provenance came.
    provenances: BTreeMap<String, u64>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_the_one_of_prometheus_byte_for_byte() {
    compare_answers("", BATCHES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_of_three_shards_is_the_one_of_prometheus_byte_for_byte() {
    compare_answers("shards = 3\n", SHARDED_BATCHES).await;
}

/// Asks both, Tidegate with these lines on top of its configuration.
async fn compare_answers(options: &str, batches: u64) {
    let seed = number("TIDEGATE_SEED").unwrap_or(1);
    let batches = number("TIDEGATE_DIFFERENTIAL").unwrap_or(batches);
    println!("seed {seed}: TIDEGATE_SEED={seed} plays this run again");
    let mut bench = Bench::start(seed, options).await;
    let mut dashboard = Vec::new();
    let mut live = Vec::new();
    for batch in 0..batches {
        if batch % 10 == 0 {
            dashboard = (0..PANELS)
                .map(|_| Panel::open(Family::Past, bench.history, &mut bench.random))
                .collect();
            live = (0..PANELS)
                .map(|_| Panel::open(Family::Live, bench.live_span(), &mut bench.random))
                .collect();
        }
        if batch % 17 == 16 {
            bench.forget().await;
        }
        if batch % 3 == 2 {
            let span = bench.live_span();
            bench.ask_all(&mut live, span).await;
        } else {
            let span = bench.history;
            bench.ask_all(&mut dashboard, span).await;
        }
    }
    bench.conclude(seed);
}

impl Bench {
    async fn start(seed: u64, options: &str) -> Self {
        let mut random = Random::new(seed);
        let end_s = unix_now() as i64 - 1;
        let past = history::past(end_s, &mut random);
        let first_s = unix_now();
        let exporter = Exporter::start(move |now_s| history::present(first_s, now_s)).await;
        let prometheus = Prometheus::with_history(&past, &[("live", exporter.port())]).await;
        let live_from_ms = unix_now() as i64 * 1_000;
        let config = format!(
            "{options}[[source]]\nname = \"prom\"\nurl = \"{}\"\n[limits]\nsettle = \"{SETTLE_S}s\"\n[node]\nenabled = false\n",
            prometheus.url()
        );
        let tidegate = Tidegate::start(&config, &[]).await;
        eventually("some live data", async || {
            let passed_ms = unix_now() as i64 * 1_000 - live_from_ms;
            if passed_ms > 2 * SETTLE_S * 1_000 {
                Ok(())
            } else {
                Err(format!("{passed_ms} ms"))
            }
        })
        .await;
        Self {
            prometheus,
            tidegate,
            session: Session::new(),
            random,
            tally: Tally::default(),
            _exporter: exporter,
            history: Span {
                from_ms: (end_s - history::PAST_S - 600) * 1_000,
                to_ms: end_s * 1_000,
            },
            live_from_ms,
        }
    }

    /// From the first live sample to the moment.
    fn live_span(&self) -> Span {
        Span {
            from_ms: self.live_from_ms - 3_000,
            to_ms: (unix_now() * 1_000.0) as i64,
        }
    }

    async fn forget(&self) {
        let url = self.tidegate.at("/v1/invalidate");
        let forgotten = post_form(&url, "all=true".to_owned())
            .await
            .expect("tidegate answers");
        assert_eq!(forgotten.status, 200, "{}", forgotten.text());
    }

    /// Moves each panel a few times, and asks all of it at once.
    async fn ask_all(&mut self, panels: &mut [Panel], span: Span) {
        let random = &mut self.random;
        let questions: Vec<Question> = panels
            .iter_mut()
            .flat_map(|panel| {
                (0..MOVES)
                    .map(|_| panel.next(span, random))
                    .collect::<Vec<_>>()
            })
            .collect();
        let before = self
            .answers(&self.prometheus.url(), &questions, ASKED_AT_ONCE)
            .await;
        let got = self
            .answers(&self.tidegate.url(), &questions, questions.len())
            .await;
        // An answer about now says which now it was.
        let again: Vec<Question> = questions
            .iter()
            .zip(&got)
            .map(|(question, got)| match moment(got) {
                Some(time) if question.is_of_now() => question.at(&time),
                _ => question.clone(),
            })
            .collect();
        let after = self
            .answers(&self.prometheus.url(), &again, ASKED_AT_ONCE)
            .await;
        for (((question, before), got), after) in questions.iter().zip(before).zip(got).zip(after) {
            self.judge(question, &before, &got, &after);
        }
    }

    fn judge(&mut self, question: &Question, before: &Answer, got: &Answer, after: &Answer) {
        self.tally.asked += 1;
        let provenance = got
            .header("cache-status")
            .split("; ")
            .nth(1)
            .unwrap_or("none");
        *self
            .tally
            .provenances
            .entry(provenance.to_owned())
            .or_default() += 1;
        if !question.is_of_now() && difference(before, after, question.ordered).is_some() {
            self.tally.undecided += 1;
            return;
        }
        if let Some(difference) = difference(after, got, question.ordered) {
            self.tally.differences.push(format!(
                "{question}\n      cache-status: {}\n    {difference}",
                got.header("cache-status")
            ));
        }
    }

    /// The answers of one server, in the order of the questions.
    async fn answers(&self, base: &str, questions: &[Question], at_once: usize) -> Vec<Answer> {
        let permits = Arc::new(Semaphore::new(at_once));
        let mut asking = JoinSet::new();
        for (nth, question) in questions.iter().enumerate() {
            let (posted, path, form) = question.request();
            let (session, permits) = (self.session.clone(), permits.clone());
            let url = format!("{base}{path}");
            asking.spawn(async move {
                let _permit = permits.acquire().await.expect("nobody closes it");
                let answer = if posted {
                    session.post_form(&url, form).await
                } else {
                    session.get(&format!("{url}?{form}")).await
                };
                (nth, answer.unwrap_or_else(|error| panic!("{url}: {error}")))
            });
        }
        let mut answers = asking.join_all().await;
        answers.sort_by_key(|(nth, _)| *nth);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    fn conclude(self, seed: u64) {
        let Tally {
            asked,
            undecided,
            differences,
            provenances,
        } = self.tally;
        println!("{asked} questions, {undecided} of them undecided; provenances: {provenances:?}");
        assert!(
            undecided * 4 < asked,
            "{undecided} of {asked} answers changed while they were asked for: too many to tell"
        );
        for difference in differences.iter().take(TOLD_MAX) {
            println!("--- {difference}");
        }
        assert!(
            differences.is_empty(),
            "seed {seed}: {} of {asked} answers differ",
            differences.len()
        );
    }
}

/// The instant that a vector, a scalar or a string speaks for, as it is written.
fn moment(answer: &Answer) -> Option<String> {
    let text = answer.text();
    let (_, rest) = text
        .split_once("\"value\":[")
        .or_else(|| text.split_once("\"result\":["))?;
    let time: String = rest
        .chars()
        .take_while(|char| char.is_ascii_digit() || *char == '.')
        .collect();
    (!time.is_empty()).then_some(time)
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
