//! Sources that a program collects by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tidegate_client::native::{
    Ask, Batch, Config, Source, SourceConfig, SourceError, SourceSettings, Tidegate,
};
use tidegate_core::BreakerConfig;
use tokio::time::sleep;

const INTERVAL: Duration = Duration::from_millis(100);

/// What a source does when it is asked.
enum Step {
    Say(&'static str, f64),
    Fail,
    Panic,
    Hang,
}

/// Does something each time it is asked, by the number of that.
struct Script {
    asked: Arc<AtomicU32>,
    /// How many are at work; never above 1.
    at_work: Arc<AtomicU32>,
    step: fn(u32) -> Step,
}

struct AtWork(Arc<AtomicU32>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Source for Script {
    async fn collect(&self) -> Result<Batch, SourceError> {
        assert_eq!(self.at_work.fetch_add(1, Ordering::SeqCst), 0);
        let _at_work = AtWork(self.at_work.clone());
        match (self.step)(self.asked.fetch_add(1, Ordering::SeqCst)) {
            Step::Say(name, value) => {
                let mut batch = Batch::default();
                batch.gauge(name, "What is said.", [("of", "test")], value)?;
                Ok(batch)
            }
            Step::Fail => Err("the device is gone".into()),
            Step::Panic => panic!("a source may"),
            Step::Hang => {
                sleep(Duration::from_secs(3_600)).await;
                Err("not reached".into())
            }
        }
    }
}

fn client() -> Tidegate {
    let config = Config::with_sources(vec![SourceConfig::push("programs")]);
    Tidegate::builder().config(config).build().unwrap()
}

fn settings() -> SourceSettings {
    SourceSettings {
        interval: INTERVAL,
        timeout: Duration::from_millis(50),
        breaker: BreakerConfig {
            failures_max: 0,
            ..BreakerConfig::default()
        },
        ..SourceSettings::new("programs", "test", "here")
    }
}

fn script(step: fn(u32) -> Step) -> (Script, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let script = Script {
        asked: asked.clone(),
        at_work: Arc::new(AtomicU32::new(0)),
        step,
    };
    (script, asked)
}

/// What `local` knows of a metric over the last minute, as it is written in JSON.
async fn held(client: &Tidegate, metric: &str) -> String {
    let ask = Ask::promql(format!("{metric}[1m]")).of("local");
    let answer = client.query(ask).await.unwrap();
    let mut text = Vec::new();
    tidegate_wire::encode_query_response(&answer.payload.response, &mut text);
    String::from_utf8(text).unwrap()
}

async fn until(condition: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if condition() {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("it takes too long");
}

#[tokio::test]
async fn what_a_source_says_is_recorded_beside_up_and_its_duration() {
    let client = client();
    let (source, asked) = script(|nth| Step::Say("level", f64::from(nth)));
    let running = client.run_source(settings(), source).unwrap();
    until(|| asked.load(Ordering::SeqCst) >= 3).await;
    let level = held(&client, "level").await;
    assert!(
        level.contains(r#""instance":"here","job":"test","of":"test""#),
        "{level}"
    );
    assert!(
        level.contains(r#","0"],["#) && level.contains(r#","1"]"#),
        "{level}"
    );
    assert!(held(&client, "up").await.contains(r#","1"]"#));
    assert!(
        held(&client, "scrape_duration_seconds")
            .await
            .contains("values")
    );
    let last = running.last().unwrap();
    assert!(last.succeeded && last.samples == 1, "{last:?}");
    // Dropped, it is asked no more.
    drop(running);
    sleep(INTERVAL).await;
    let before = asked.load(Ordering::SeqCst);
    sleep(3 * INTERVAL).await;
    assert_eq!(asked.load(Ordering::SeqCst), before);
}

#[tokio::test]
async fn a_source_that_fails_hangs_or_panics_is_down_and_asked_again() {
    let client = client();
    let (source, asked) = script(|nth| match nth {
        0 => Step::Say("level", 7.0),
        1 => Step::Fail,
        2 => Step::Panic,
        3 => Step::Hang,
        _ => Step::Say("other", 8.0),
    });
    let running = client.run_source(settings(), source).unwrap();
    until(|| asked.load(Ordering::SeqCst) >= 6).await;
    let up = held(&client, "up").await;
    assert_eq!(up.matches(r#","0"]"#).count(), 3, "{up}");
    // What it said before ended with the first failure.
    let instant = Ask::promql("level").of("local");
    let answer = client.query(instant).await.unwrap();
    assert_eq!(answer.payload.response.newest_ms(), None);
    assert!(held(&client, "other").await.contains(r#","8"]"#));
    assert!(running.last().unwrap().succeeded);
}

#[tokio::test]
async fn one_that_keeps_failing_is_left_alone() {
    let client = client();
    let (source, asked) = script(|_| Step::Fail);
    let settings = SourceSettings {
        breaker: BreakerConfig {
            failures_max: 2,
            open: Duration::from_secs(3_600),
            open_max: Duration::from_secs(3_600),
        },
        ..settings()
    };
    let running = client.run_source(settings, source).unwrap();
    let alone = || {
        let last = running.last().and_then(|last| last.error);
        last.is_some_and(|error| error.contains("left alone"))
    };
    until(alone).await;
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    assert!(held(&client, "up").await.matches(r#","0"]"#).count() >= 2);
}

#[tokio::test]
async fn what_cannot_be_recorded_is_told() {
    let client = client();
    let (source, _) = script(|_| Step::Say("level", 1.0));
    let nowhere = SourceSettings {
        push: "nobody".into(),
        ..settings()
    };
    let running = client.run_source(nowhere, source).unwrap();
    until(|| running.last().is_some()).await;
    let error = running.last().unwrap().error.unwrap();
    assert!(error.contains("nobody"), "{error}");
    let (source, _) = script(|_| Step::Fail);
    let unnamed = SourceSettings {
        job: "x".repeat(3_000),
        ..settings()
    };
    assert!(client.run_source(unnamed, source).is_err());
}
