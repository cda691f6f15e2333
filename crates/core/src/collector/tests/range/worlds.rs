//! Random worlds of range questions, beside what the source itself would say.

use proptest::prelude::*;

use super::*;

/// What happens in a random world.
#[derive(Clone, Debug)]
enum Act {
    /// Asks about so many points, ending so many before now; zoomed by the step, shifted by the
    /// phase.
    Ask {
        points: i64,
        back: i64,
        step: usize,
        phase: i64,
        anew: bool,
    },
    /// Answers one of the fetches under way.
    Answer(usize),
    Pass(u64),
    Invalidate(bool),
    /// Lets the source say something else from now on, and invalidates.
    Leave(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let asks = (
        1i64..400,
        -3i64..200,
        0usize..3,
        0i64..2,
        prop::bool::weighted(0.05),
    )
        .prop_map(|(points, back, step, phase, anew)| Act::Ask {
            points,
            back,
            step,
            phase,
            anew,
        });
    let act = prop_oneof![
        8 => asks,
        8 => (0usize..8).prop_map(Act::Answer),
        3 => (1u64..200_000).prop_map(Act::Pass),
        1 => prop::bool::ANY.prop_map(Act::Invalidate),
        1 => (0usize..4).prop_map(Act::Leave),
    ];
    prop::collection::vec(act, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_is_asked_the_answer_is_what_the_source_says(acts in acts(), bytes_max in prop::sample::select(vec![1usize << 26, 100_000, 20_000, 3_000])) {
        let mut world = World::of(Config {
            cache: CacheConfig { bytes_max, ..CacheConfig::default() },
            ..Config::with_sources(vec![SourceConfig { timeout: Duration::from_secs(1_000_000), ..quiet("prom") }])
        });
        let truth = Truth::default();
        let mut open: Vec<usize> = vec![];
        let mut waiting: Vec<(AskId, Range)> = vec![];
        let acts = acts.into_iter().chain((0..500).map(|_| Act::Answer(0)));
        for act in acts {
            let before = world.fetches.len();
            match act {
                Act::Ask { points, back, step, phase, anew } => {
                    let step = [15_000, 60_000, 7_001][step];
                    let end = (world.ms as i64 / step - back) * step + phase * 500;
                    let ask = Ask {
                        max_age: anew.then_some(Duration::ZERO),
                        ..ask_of("a", end - (points - 1) * step, end, step)
                    };
                    match world.ask(&ask).unwrap() {
                        Lookup::Ready(answer) => {
                            prop_assert_eq!(body(&answer), truth.body(ask.range.unwrap()));
                        }
                        Lookup::Pending(id) => waiting.push((id, ask.range.unwrap())),
                    }
                }
                Act::Answer(nth) => {
                    if !open.is_empty() {
                        let fetch = open.remove(nth % open.len());
                        let body = truth.body(range_of(&world.fetches[fetch]));
                        world.respond(fetch, Ok(Response::new(200, body)));
                    }
                }
                Act::Pass(ms) => world.pass(ms),
                Act::Invalidate(all) => {
                    let what = if all { Invalidation::All } else { Invalidation::Prefix("prom/:query=a,@step=15,@start=17".into()) };
                    world.collector.invalidate(&what, world.now());
                    world.drain();
                }
                Act::Leave(nth) => {
                    if !waiting.is_empty() {
                        let (id, _) = waiting.remove(nth % waiting.len());
                        world.collector.abandon(id, world.now());
                        world.drain();
                    }
                }
            }
            open.extend(before..world.fetches.len());
            open.retain(|fetch| !world.cancelled.contains(&world.fetches[*fetch].id));
            for (id, result) in world.replies.drain(..) {
                let at = waiting.iter().position(|(waiting, _)| *waiting == id);
                let (_, range) = waiting.remove(at.expect("somebody asked"));
                prop_assert_eq!(body(&result.unwrap()), truth.body(range));
            }
            let stats = world.collector.stats();
            prop_assert!(stats.extent_bytes + stats.cache_bytes <= bytes_max);
            prop_assert!(stats.extent_bytes <= bytes_max / 2);
            prop_assert_eq!(stats.fetches_in_flight, open.len());
        }
        prop_assert!(waiting.is_empty(), "all were answered");
    }
}

/// What a source says that learns late: about an instant that is not settled yet, when it was asked.
fn provisional(range: Range, asked_ms: i64) -> Response {
    let step = usize::try_from(range.step.as_millis()).unwrap();
    let mut builder = ColumnsBuilder::new();
    builder.begin_series();
    for at in (range.start.0..=range.end.0).step_by(step) {
        let is_settled = at < asked_ms - SETTLE;
        builder.sample(
            at,
            if is_settled {
                -1.0
            } else {
                (asked_ms - WALL) as f64
            },
        );
    }
    let mut body = Vec::new();
    let response = QueryResponse::new(Data::Matrix(builder.finish()));
    encode_query_response(&response, &mut body);
    Response::new(200, body)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_not_settled_is_kept_for_no_longer_than_its_ttl(
        acts in prop::collection::vec((0u8..10, 0usize..8, 1i64..80, 0i64..40), 1..80),
        retries_max in 0u32..2,
    ) {
        // A ttl from the receipt on, of what was sent at most a timeout before.
        const KEPT_MS: i64 = 30_000 + 10_000;
        let config = |bytes_max: usize| Config {
            cache: CacheConfig { bytes_max, ..CacheConfig::default() },
            limits: Limits { fetches_per_source_max: 2, ..Limits::default() },
            ..Config::with_sources(vec![SourceConfig {
                retry: RetryConfig { retries_max, ..RetryConfig::default() },
                ..quiet("prom")
            }])
        };
        let mut world = World::of(config(1 << 20));
        // Fetches under way with when they were sent, and askers with when they came.
        let mut open: Vec<(usize, i64)> = vec![];
        let mut waiting: Vec<(AskId, i64, Range)> = vec![];
        for (act, nth, points, back) in acts {
            let before = world.fetches.len();
            match act {
                0..=3 => {
                    let end = (world.ms as i64 / STEP - back) * STEP;
                    let ask = ask(end - (points - 1) * STEP, end);
                    let asked = world.now().wall.0;
                    match world.ask(&ask).unwrap() {
                        Lookup::Ready(answer) => check_ages(&answer, ask.range.unwrap(), asked - KEPT_MS, asked)?,
                        Lookup::Pending(id) => waiting.push((id, asked, ask.range.unwrap())),
                    }
                }
                4..=7 if !open.is_empty() => {
                    let (fetch, sent) = open.remove(nth % open.len());
                    let result = if act == 7 && nth == 0 {
                        refused()
                    } else {
                        Ok(provisional(range_of(&world.fetches[fetch]), sent))
                    };
                    world.respond(fetch, result);
                }
                8 if nth == 0 => {
                    let key = "prom/:query=a,@step=15,".into();
                    world.collector.invalidate(&Invalidation::Prefix(key), world.now());
                    world.drain();
                }
                8 if nth == 1 => {
                    let bytes_max = [0, 5_000, 1 << 20][points as usize % 3];
                    world.collector.reload(config(bytes_max), world.now()).unwrap();
                    world.drain();
                }
                8 if nth == 2 && !waiting.is_empty() => {
                    let (id, ..) = waiting.remove(points as usize % waiting.len());
                    world.collector.abandon(id, world.now());
                    world.drain();
                }
                _ => world.pass(u64::try_from(points).unwrap() * 700),
            }
            let sent = world.now().wall.0;
            open.extend((before..world.fetches.len()).map(|fetch| (fetch, sent)));
            open.retain(|(fetch, _)| !world.cancelled.contains(&world.fetches[*fetch].id));
            for (id, result) in world.replies.drain(..).collect::<Vec<_>>() {
                let at = waiting.iter().position(|(waiting, ..)| *waiting == id);
                let (_, asked, range) = waiting.remove(at.expect("somebody asked"));
                // What stands in for a source that fails may be older, and says so.
                let stands_in = |answer: &Answer| answer.provenance == Provenance::StaleOnError;
                if let Ok(answer) = result
                    && !stands_in(&answer)
                {
                    let now = world.now().wall.0;
                    check_ages(&answer, range, asked - KEPT_MS, now)?;
                }
            }
            prop_assert_eq!(world.collector.stats().fetches_in_flight, open.len());
        }
        world.pass(60_000);
        prop_assert_eq!(world.collector.stats().askers_waiting, 0);
        prop_assert_eq!(world.collector.stats().fetches_in_flight, 0);
    }
}

/// Every point is there, and what was said of it before it was settled was said at `from` or later.
fn check_ages(answer: &Answer, range: Range, from: i64, now: i64) -> Result<(), TestCaseError> {
    let Data::Matrix(columns) = &answer.payload.response.data else {
        return Err(TestCaseError::fail("no matrix"));
    };
    let points = (range.end.0 - range.start.0) / STEP + 1;
    prop_assert_eq!(columns.sample_count() as i64, points);
    for (at, value) in columns.timestamps_ms().iter().zip(columns.values()) {
        let said = WALL + *value as i64;
        let is_final = *value == -1.0 && *at < now - SETTLE;
        prop_assert!(
            is_final || said >= from,
            "{} said {} before {}",
            at,
            said,
            from
        );
    }
    Ok(())
}
