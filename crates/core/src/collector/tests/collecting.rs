//! Targets collected into Tidegate's own series.

use tidegate_series::is_stale;

use super::*;
use crate::{FetchError, Level};

const INTERVAL: Duration = Duration::from_secs(15);

fn source(targets: &[&str]) -> SourceConfig {
    SourceConfig {
        kind: SourceKind::Scrape,
        targets: targets.iter().copied().map(String::from).collect(),
        collect_interval: INTERVAL,
        ..quiet("pods")
    }
}

fn exposed(text: &str) -> Result<Response, FetchError> {
    Ok(Response::new(200, text))
}

impl World {
    /// Lets time pass until fetches begin, and says which.
    fn next_fetches(&mut self) -> core::ops::Range<usize> {
        let before = self.fetches.len();
        for _ in 0..=INTERVAL.as_millis() {
            self.pass(1);
            if self.fetches.len() > before {
                return before..self.fetches.len();
            }
        }
        panic!("nothing is due within an interval");
    }

    /// What is held of a metric: labels beside the name, then each value.
    fn held(&self, metric: &str) -> Vec<String> {
        let of_metric = |(labels, _): &(&Labels, _)| labels.metric_name() == Some(metric);
        let series = self.collector.series().select(&[]).filter(of_metric);
        series
            .map(|(labels, ring)| {
                let pairs = labels.iter().filter(|(name, _)| *name != "__name__");
                let mut text: Vec<String> = pairs
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                text.extend(ring.points().map(|(_, value)| match is_stale(value) {
                    true => "stale".into(),
                    false => value.to_string(),
                }));
                text.join(" ")
            })
            .collect()
    }

    fn times(&self, metric: &str) -> Vec<i64> {
        let series = self.collector.series().select(&[]);
        let of_metric = |(labels, _): &(&Labels, _)| labels.metric_name() == Some(metric);
        let points = series.filter(of_metric).flat_map(|(_, ring)| ring.points());
        points.map(|(t_ms, _)| t_ms).collect()
    }
}

#[test]
fn each_target_s_samples_become_series_beside_those_that_tell_of_the_scrape() {
    let mut world = World::with(source(&["a:9100", "b:9100"]));
    let text = "# HELP load1 One minute.\n# TYPE load1 gauge\nload1 0.5\nload1{cpu=\"1\"} 2\n";
    let first = world.next_fetches();
    assert_eq!(first.len(), 1, "each at its own moment");
    let began = world.now().wall.0;
    world.pass(250);
    world.respond(first.start, exposed(text));
    let target = world.fetches[first.start].target.clone().unwrap();
    let of = format!("instance={target} job=pods");
    let both = [format!("cpu=1 {of} 2"), format!("{of} 0.5")];
    assert_eq!(world.held("load1"), both);
    assert_eq!(world.times("load1"), [began, began]);
    for (metric, value) in [
        ("up", "1"),
        ("scrape_duration_seconds", "0.25"),
        ("scrape_samples_scraped", "2"),
        ("scrape_samples_post_metric_relabeling", "2"),
        ("scrape_series_added", "2"),
    ] {
        assert_eq!(world.held(metric), [format!("{of} {value}")], "{metric}");
    }
    let described = world.collector.series().metadata("load1").unwrap();
    assert_eq!(&*described.help, "One minute.");
    // The other comes within the interval, and the first again an interval later.
    let second = world.next_fetches();
    assert_ne!(world.fetches[second.start].target, Some(target.clone()));
    world.respond(second.start, exposed("load1 1\n"));
    let third = world.next_fetches();
    assert_eq!(world.fetches[third.start].target, Some(target));
    assert_eq!(world.now().wall.0, began + 15_000);
}

#[test]
fn what_vanishes_and_what_fails_is_ended_by_stale_markers() {
    let mut world = World::with(source(&["a"]));
    let scrape = |world: &mut World, result| {
        let fetch = world.next_fetches().start;
        world.respond(fetch, result);
    };
    scrape(&mut world, exposed("x 1\ny 1\n"));
    scrape(&mut world, exposed("x 2\n"));
    assert_eq!(world.held("y"), ["instance=a job=pods 1 stale"]);
    scrape(&mut world, exposed("x broken\n"));
    scrape(&mut world, Ok(Response::new(500, "x 4\n")));
    scrape(&mut world, exposed("x 5\ny 5\n"));
    assert_eq!(world.held("x"), ["instance=a job=pods 1 2 stale 5"]);
    assert_eq!(world.held("y"), ["instance=a job=pods 1 stale 5"]);
    assert_eq!(world.held("up"), ["instance=a job=pods 1 1 0 0 1"]);
    assert_eq!(
        world.held("scrape_samples_scraped"),
        ["instance=a job=pods 2 1 0 0 2"]
    );
    let stats = world.collector.stats();
    assert_eq!((stats.scrapes, stats.scrapes_failed), (5, 2));
    let status = &world.collector.sources()[0].targets[0];
    let last = status.last_scrape.as_ref().unwrap();
    assert_eq!(
        (last.samples, last.succeeded, last.error.as_deref()),
        (2, true, None)
    );
    let failed = world
        .events
        .iter()
        .find(|event| event.name == "fetch-failed");
    let failed = failed.expect("a failure is told");
    assert!(
        failed.key.as_deref() == Some("pods/:target=a") && failed.detail.contains("line 1"),
        "{failed:?}"
    );
}

#[test]
fn labels_that_clash_are_renamed_or_honoured() {
    let text = "x{job=\"own\",exported_job=\"old\"} 1\n";
    for (honor_labels, expected) in [
        (
            false,
            "exported_exported_job=own exported_job=old instance=a job=pods 1",
        ),
        (true, "exported_job=old instance=a job=own 1"),
    ] {
        let mut world = World::with(SourceConfig {
            honor_labels,
            ..source(&["a"])
        });
        let fetch = world.next_fetches().start;
        world.respond(fetch, exposed(text));
        assert_eq!(world.held("x"), [expected]);
    }
}

#[test]
fn who_asks_and_what_is_due_share_a_fetch_that_goes_on_without_askers() {
    let mut world = World::with(source(&["a"]));
    let fetch = world.next_fetches().start;
    let ask = world.pending(&up());
    assert_eq!(world.fetches.len(), 1);
    world.collector.abandon(ask, world.now());
    world.drain();
    assert_eq!(world.cancelled, []);
    world.respond(fetch, exposed("up 1\n"));
    // What is collected answers who asks, too.
    assert_eq!(world.ready(&up()).provenance, Provenance::Hit);

    // The other way round: who asks is first.
    world.pass(14_990);
    let any = Ask {
        max_age: Some(Duration::ZERO),
        ..up()
    };
    let ask = world.pending(&any);
    let began = world.now().wall.0;
    world.pass(15);
    world.collector.abandon(ask, world.now());
    world.drain();
    assert_eq!((world.fetches.len(), world.cancelled.len()), (2, 0));
    world.respond(1, exposed("x 1\n"));
    assert_eq!(world.times("x"), [began]);
    assert_eq!(world.held("up"), ["instance=a job=pods 1 1"]);
}

#[test]
fn asking_alone_collects_nothing_and_what_is_due_is_tried_once() {
    let mut world = World::with(SourceConfig {
        retry: RetryConfig::default(),
        ..source(&["a"])
    });
    let ask = world.pending(&up());
    world.respond(0, exposed("x 1\n"));
    assert!(world.reply(ask).is_ok());
    assert!(world.collector.series().is_empty());
    let fetch = world.next_fetches().start;
    world.respond(fetch, refused());
    assert_eq!(world.collector.stats().retries, 0);
    assert_eq!(world.held("up"), ["instance=a job=pods 0"]);
}

#[test]
fn a_scrape_takes_no_longer_than_until_the_next() {
    let mut world = World::with(SourceConfig {
        timeout: Duration::from_secs(60),
        ..source(&["a"])
    });
    let fetch = world.next_fetches().start;
    let deadline = world.now().mono + INTERVAL;
    assert_eq!(world.fetches[fetch].deadline, deadline);
    world.pass(15_003);
    assert_eq!(world.cancelled, [world.fetches[0].id]);
    assert_eq!(world.fetches.len(), 2, "the next one begins at once");
    let late = world.fetches[1].deadline.since(world.now().mono);
    assert_eq!(late, Duration::from_millis(14_997), "it keeps its moments");
    assert_eq!(world.held("up"), ["instance=a job=pods 0"]);
    assert_eq!(
        world.held("scrape_duration_seconds"),
        ["instance=a job=pods 15.003"]
    );
}

#[test]
fn a_target_that_is_left_alone_is_down_and_not_fetched() {
    let mut world = World::with(SourceConfig {
        breaker: BreakerConfig {
            failures_max: 1,
            open: Duration::from_secs(20),
            ..BreakerConfig::default()
        },
        ..source(&["a"])
    });
    let fetch = world.next_fetches().start;
    world.respond(fetch, refused());
    world.pass(15_000);
    assert_eq!(world.fetches.len(), 1);
    assert_eq!(world.held("up"), ["instance=a job=pods 0 0"]);
    world.pass(15_000);
    assert_eq!(world.fetches.len(), 2);
    world.respond(1, exposed("x 1\n"));
    assert_eq!(world.held("up"), ["instance=a job=pods 0 0 1"]);
}

#[test]
fn a_driver_that_slept_skips_what_it_missed_and_keeps_the_moments() {
    let mut world = World::with(source(&["a"]));
    let fetch = world.next_fetches().start;
    let first_ms = world.ms;
    world.respond(fetch, exposed("x 1\n"));
    world.pass(15_000 * 10 + 7_000);
    assert_eq!(world.fetches.len(), 2, "one for all that were missed");
    world.respond(1, exposed("x 2\n"));
    world.next_fetches();
    assert_eq!(world.ms, first_ms + 15_000 * 11);
}

#[test]
fn samples_keep_times_of_their_own_as_far_as_they_are_believable() {
    let mut world = World::with(source(&["a"]));
    let fetch = world.next_fetches().start;
    let now_ms = world.now().wall.0;
    let (past, ahead) = (now_ms - 60_000, now_ms + 600_001);
    let text = format!("old 1 {past}\nnew 1 {ahead}\nup 7\nx 1\nx 2\n");
    world.respond(fetch, exposed(&text));
    assert_eq!(world.times("old"), [past]);
    assert_eq!(world.held("new"), Vec::<String>::new());
    assert_eq!(world.held("up"), ["instance=a job=pods 1"]);
    let last = |world: &World| {
        let status = &world.collector.sources()[0].targets[0];
        status.last_scrape.clone().unwrap()
    };
    assert_eq!((last(&world).samples, last(&world).refused), (5, 3));
    let told = |world: &World| -> Vec<String> {
        let refused = world.events.iter();
        let refused = refused.filter(|event| event.name == "samples-refused");
        refused
            .map(|event| {
                assert_eq!(event.level, Level::Warn);
                assert_eq!(event.key.as_deref(), Some("pods/:target=a"));
                event.detail.clone()
            })
            .collect()
    };
    let said = told(&world);
    assert!(said[0].contains("\"x\": line 5 repeats"), "{said:?}");
    assert!(
        said[1].contains("\"new\"") && said[1].contains("too far ahead"),
        "{said:?}"
    );
    assert!(said[2].contains("\"up\": this series tells"), "{said:?}");
    // Whoever dates samples decides when they end; what is refused again is told once.
    world.pass(15_000);
    world.respond(1, exposed(&format!("new 1 {}\n", ahead + 15_000)));
    assert_eq!(world.held("old"), ["instance=a job=pods 1"]);
    assert_eq!(world.held("x"), ["instance=a job=pods 1 stale"]);
    assert_eq!(last(&world).refused, 1);
    assert_eq!(told(&world).len(), 3);
}

#[test]
fn the_media_type_says_what_a_text_is() {
    let mut world = World::with(source(&["a"]));
    let text = "# TYPE x counter\n# UNIT x seconds\n# EOF\n";
    let text = text
        .replace('x', "x_seconds")
        .replace("# EOF", "x_seconds_total 1\n# EOF");
    let fetch = world.next_fetches().start;
    let media = "application/openmetrics-text; version=1.0.0";
    let response = Response::new(200, text).with_content_type(media);
    world.respond(fetch, Ok(response));
    assert_eq!(world.held("x_seconds_total"), ["instance=a job=pods 1"]);
    let described = world.collector.series().metadata("x_seconds").unwrap();
    assert_eq!(&*described.unit, "seconds");
    let fetch = world.next_fetches().start;
    let cut_off = Response::new(200, "x 1\n").with_content_type(media);
    world.respond(fetch, Ok(cut_off));
    assert_eq!(world.held("up"), ["instance=a job=pods 1 0"]);
}

#[test]
fn what_is_no_longer_collected_ends() {
    let mut world = World::with(source(&["a", "b"]));
    for _ in 0..2 {
        let fetch = world.next_fetches().start;
        world.respond(fetch, exposed("x 1\n"));
    }
    let reload = |world: &mut World, sources| {
        let now = world.now();
        let config = Config::with_sources(sources);
        world.collector.reload(config, now).unwrap();
        world.drain();
    };
    world.pass(1);
    reload(&mut world, vec![source(&["a"])]);
    let gone = "instance=b job=pods 1 stale";
    assert_eq!(world.held("x"), ["instance=a job=pods 1", gone]);
    assert_eq!(world.held("up"), ["instance=a job=pods 1", gone]);
    // A fetch under way for it has lost its purpose.
    world.next_fetches();
    let off = SourceConfig {
        collect_interval: Duration::ZERO,
        ..source(&["a"])
    };
    reload(&mut world, vec![off]);
    assert_eq!(world.cancelled.len(), 1);
    assert_eq!(world.held("up"), ["instance=a job=pods 1 stale", gone]);
    let fetches = world.fetches.len();
    world.pass(60_000);
    assert_eq!(world.fetches.len(), fetches);
    reload(&mut world, vec![source(&["a"])]);
    world.next_fetches();
    reload(&mut world, vec![]);
    assert_eq!(world.cancelled.len(), 2);
}

#[test]
fn how_a_target_is_collected_is_explained() {
    let mut world = World::with(source(&["a"]));
    let explained = |world: &World| {
        let explanation = world.collector.explain("pods/:target=a", world.now());
        explanation.collected.expect("it is collected")
    };
    assert_eq!(explained(&world).last_scrape, None);
    assert!(
        explained(&world)
            .next_in
            .is_some_and(|wait| wait <= INTERVAL)
    );
    let fetch = world.next_fetches().start;
    world.respond(fetch, exposed("x 1\n"));
    let last = explained(&world).last_scrape.unwrap();
    assert_eq!((last.samples, last.series_added), (1, 1));
    assert_eq!(explained(&world).next_in, Some(INTERVAL));
}
