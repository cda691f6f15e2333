//! A session of an agent, recorded: what a session, an iteration and a quality record are is decided by three
//! structs of the program, and recording them is a plain use of the registry.
//!
//! Run it with `cargo run -p tidegate-record --example session`; its tests are at the end.

use std::time::Duration;

use tidegate_record::{
    Batch, Bounds, Context, EventKind, ExpositionFormat, Pump, Push, PushOptions, Registry, Sink,
    SinkError, SinkOptions, Takes,
};

/// A session: what everything recorded during it has in common.
struct Session<'a> {
    id: &'a str,
    model: &'a str,
}

/// One turn of the agent.
struct Iteration<'a> {
    step: &'a str,
    took: Duration,
    tokens: u64,
    failed: bool,
}

/// How good an answer was, judged afterwards.
struct Quality<'a> {
    judge: &'a str,
    /// From 0 to 1.
    score: f64,
}

impl Session<'_> {
    /// The context that its records are made in.
    fn begin(&self, registry: &Registry) -> Context {
        let session = registry.with([("session", self.id), ("model", self.model)]);
        session.increment("sessions", 1);
        session
    }
}

impl Iteration<'_> {
    fn record(&self, session: &Context) {
        let iteration = session.with([("step", self.step)]);
        iteration.increment("tokens", self.tokens);
        iteration.timer("iteration_seconds").record(self.took);
        if self.failed {
            iteration.increment("iteration_errors", 1);
        }
    }
}

impl Quality<'_> {
    fn record(&self, session: &Context) {
        session
            .with([("judge", self.judge)])
            .observe("quality_score", self.score);
        session.set("quality_last_score", self.score);
    }
}

/// What a program says of its metrics once, when it starts.
fn describe(registry: &Registry) -> Result<(), Box<dyn std::error::Error>> {
    use EventKind::{Counter, Gauge, Histogram, Timer};

    for (name, kind, unit, help) in [
        ("sessions", Counter, "", "Sessions begun."),
        ("tokens", Counter, "", "Tokens that the model wrote."),
        (
            "iteration_errors",
            Counter,
            "",
            "Turns that ended in an error.",
        ),
        (
            "iteration_seconds",
            Timer,
            "seconds",
            "How long a turn took.",
        ),
        (
            "quality_score",
            Histogram,
            "",
            "How good answers were, from 0 to 1.",
        ),
        (
            "quality_last_score",
            Gauge,
            "",
            "How good the last answer was.",
        ),
    ] {
        registry.describe(name, kind, unit, help)?;
    }
    registry.set_bounds("quality_score", Bounds::new(&[0.25, 0.5, 0.75, 0.9])?)?;
    registry.set_bounds("iteration_seconds", Bounds::new(&[0.5, 1.0, 2.0, 5.0])?)?;
    Ok(())
}

/// Two turns and a judgement.
fn session(registry: &Registry) {
    let session = Session {
        id: "7",
        model: "llama-8b",
    };
    let session = session.begin(registry);
    for (step, took_ms, tokens, failed) in [("plan", 420, 512, false), ("act", 2_350, 1_024, true)]
    {
        let iteration = Iteration {
            step,
            took: Duration::from_millis(took_ms),
            tokens,
            failed,
        };
        iteration.record(&session);
    }
    let quality = Quality {
        judge: "rubric",
        score: 0.85,
    };
    quality.record(&session);
}

/// Prints each event as it comes.
struct Print;

impl Sink for Print {
    fn takes(&self) -> Takes {
        Takes::Events
    }

    fn write(&mut self, batch: &Batch) -> Result<(), SinkError> {
        for event in &batch.events {
            println!(
                "  {:<9} {:<62} {}",
                event.kind.as_str(),
                event.labels.to_string(),
                event.value
            );
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let registry = Registry::new();
    registry.on_notice(|notice| eprintln!("{notice}"));
    describe(&registry)?;
    let mut pump = Pump::new();
    pump.add("print", Print, SinkOptions::default())?;
    let push = Push::start(&registry, pump, PushOptions::default())?;

    println!("Each event, as a sink hears it:\n");
    session(&registry);
    let stats = push.shutdown(Duration::from_secs(5));

    println!(
        "\n{} events, {} dropped. What a scrape reads:\n",
        stats[0].written,
        stats[0].dropped()
    );
    for line in registry.render(ExpositionFormat::OpenMetrics).lines() {
        println!("  {line}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_record::testing::MetricsAssert;

    #[test]
    fn a_session_is_recorded() {
        let recorded = MetricsAssert::new();
        describe(recorded.registry()).unwrap();
        recorded.nothing_recorded();
        session(recorded.registry());
        recorded
            .counter("sessions")
            .with("session", "7")
            .with("model", "llama-8b")
            .is(1);
        recorded.counter("tokens").is(1_536);
        recorded.counter("tokens").with("step", "plan").is(512);
        recorded
            .counter("iteration_errors")
            .with("step", "plan")
            .not_recorded();
        recorded
            .counter("iteration_errors")
            .with("step", "act")
            .is(1);
        recorded
            .timer("iteration_seconds")
            .called(2)
            .took_at_least(Duration::from_millis(2_770));
        recorded
            .histogram("quality_score")
            .with("judge", "rubric")
            .count_is(1)
            .sum_is(0.85);
        recorded.gauge("quality_last_score").is(0.85);
    }
}
