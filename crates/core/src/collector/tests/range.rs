//! Range questions in parts, beside a source that always says the same about the same instant.

use tidegate_wire::form::decode_form;
use tidegate_wire::number::parse_timestamp_ms;
use tidegate_wire::{ColumnsBuilder, Data, QueryResponse, encode_query_response};

use super::*;
use crate::{Invalidation, Range};

mod worlds;

/// Of the usual question, in milliseconds.
const STEP: i64 = 15_000;

/// So long after an instant it is settled.
const SETTLE: i64 = 300_000;

/// What the source knows: a handful of series, each in its own way.
#[derive(Clone, Copy, Debug, Default)]
struct Truth {
    /// A change of it changes all values.
    edition: i64,
    warns: bool,
}

impl Truth {
    /// What it says first, and after a change.
    fn editions() -> (Self, Self) {
        let later = Self {
            edition: 1,
            warns: false,
        };
        (Self::default(), later)
    }

    fn response(self, range: Range) -> QueryResponse {
        let mut builder = ColumnsBuilder::new();
        let step = i64::try_from(range.step.as_millis()).unwrap();
        let instants: Vec<i64> = (range.start.0..=range.end.0)
            .step_by(usize::try_from(step).unwrap())
            .collect();
        let said = |series: usize| {
            instants
                .iter()
                .filter_map(move |&at| Some((at, self.says(series, at)?)))
        };
        for (series, labels) in SERIES.iter().enumerate() {
            if said(series).next().is_none() {
                continue;
            }
            builder.begin_series();
            for (name, value) in *labels {
                builder.label(name, value);
            }
            for (at, value) in said(series) {
                match value {
                    Ok(value) => builder.sample(at, value),
                    Err(json) => builder.histogram(at, &json),
                }
            }
        }
        let mut response = QueryResponse::new(Data::Matrix(builder.finish()));
        if self.warns {
            response.warnings.push("half of it is missing".into());
        }
        response
    }

    /// A value or the text of a histogram; gaps, comings and goings as the series has them.
    fn says(self, series: usize, at: i64) -> Option<Result<f64, String>> {
        let minute = at.div_euclid(60_000);
        let number = (at / 1_000 % 1_000_003) as f64;
        Some(Ok(match series {
            0 => number + self.edition as f64,
            // Scraped with failures.
            1 if minute % 7 == 0 => return None,
            1 => (number * 1.1).sin(),
            // There for ten minutes of every hour.
            2 if minute % 60 < 10 => 1.0,
            2 => return None,
            3 => {
                [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 1e-9][at.rem_euclid(5) as usize]
            }
            // A histogram every other minute, a float in between.
            4 if minute % 2 == 0 => {
                return Some(Err(format!(
                    r#"{{"count":"{minute}","sum":"1.5","buckets":[[0,"0","1","2"]]}}"#
                )));
            }
            4 => number,
            _ => return None,
        }))
    }

    fn body(self, range: Range) -> String {
        let mut body = Vec::new();
        encode_query_response(&self.response(range), &mut body);
        String::from_utf8(body).unwrap()
    }
}

/// In the order of their labels.
const SERIES: [&[(&str, &str)]; 5] = [
    &[("__name__", "a")],
    &[("__name__", "a"), ("job", "<x>")],
    &[("__name__", "a"), ("job", "y"), ("zone", "é")],
    &[("__name__", "b")],
    &[("job", "y")],
];

/// An ask about `query` from `start` to `end`, both as milliseconds after the world's beginning.
fn ask_of(query: &str, start: i64, end: i64, step: i64) -> Ask {
    Ask {
        range: Some(Range {
            start: UnixMillis(WALL + start),
            end: UnixMillis(WALL + end),
            step: Duration::from_millis(step.unsigned_abs()),
        }),
        ..Ask::promql(query)
    }
}

fn ask(start: i64, end: i64) -> Ask {
    ask_of("a", start, end, STEP)
}

/// The range that a fetch asks for, after the world's beginning.
fn asked(fetch: &Fetch) -> (i64, i64) {
    let range = range_of(fetch);
    (range.start.0 - WALL, range.end.0 - WALL)
}

fn range_of(fetch: &Fetch) -> Range {
    assert_eq!(fetch.request.path, "/api/v1/query_range");
    let form = decode_form(&fetch.request.form).unwrap();
    let time = |name: &str| {
        let (_, value) = form.iter().find(|(found, _)| found == name).unwrap();
        parse_timestamp_ms(value).unwrap()
    };
    Range {
        start: UnixMillis(time("start")),
        end: UnixMillis(time("end")),
        step: Duration::from_millis(time("step").unsigned_abs()),
    }
}

impl World {
    /// Answers the fetches from `from` on, and says what each was asked.
    fn answer_ranges(&mut self, from: usize, truth: Truth) -> Vec<(i64, i64)> {
        let mut ranges = vec![];
        for fetch in from..self.fetches.len() {
            ranges.push(asked(&self.fetches[fetch]));
            let body = truth.body(range_of(&self.fetches[fetch]));
            self.respond(fetch, Ok(Response::new(200, body)));
        }
        ranges
    }

    /// Asks and answers whatever is fetched; what was fetched, and the answer, which must be what
    /// the source says itself.
    fn asked_for(&mut self, ask: &Ask, truth: Truth) -> (Vec<(i64, i64)>, Answer) {
        let from = self.fetches.len();
        let lookup = self.ask(ask).unwrap();
        let fetched = self.answer_ranges(from, truth);
        let answer = match lookup {
            Lookup::Ready(answer) => answer,
            Lookup::Pending(id) => self.reply(id).unwrap(),
        };
        assert_eq!(body(&answer), truth.body(ask.range.unwrap()));
        (fetched, answer)
    }
}

const HOUR: i64 = 3_600_000;

#[test]
fn a_window_that_slides_fetches_its_unsettled_tail_and_nothing_else() {
    let (mut world, truth) = (World::new(), Truth::default());
    let (fetched, answer) = world.asked_for(&ask(-HOUR, 0), truth);
    assert_eq!(fetched, [(-HOUR, 0)]);
    assert_eq!(answer.provenance, Provenance::Miss);
    assert_eq!(world.collector.stats().extents, 1);

    for _ in 0..40 {
        world.pass(30_000);
        let end = world.ms as i64;
        let (fetched, answer) = world.asked_for(&ask(end - HOUR, end), truth);
        // The last settled point of the question before is one step older than the settle time.
        assert_eq!(fetched, [(end - 30_000 - SETTLE, end)]);
        assert_eq!(answer.provenance, Provenance::Partial);
    }
    assert_eq!(world.collector.stats().misses, 41);
}

#[test]
fn a_settled_window_that_slides_fetches_ahead_of_where_it_goes() {
    let (mut world, truth) = (World::new(), Truth::default());
    for (toward, fetched) in [(STEP, 3), (-STEP, 2)] {
        let mut fetches = vec![];
        for nth in 0..=120 {
            let end = -3 * HOUR + nth * toward;
            let ask = ask_of("slid", end - HOUR, end, STEP);
            fetches.extend(world.asked_for(&ask, truth).0);
        }
        assert_eq!(fetches.len(), fetched);
        let (first, last) = fetches[fetches.len() - 1];
        assert_eq!((last - first) / STEP, 60, "{fetches:?}");
    }
}

#[test]
fn what_is_not_settled_is_not_fetched_ahead() {
    let (mut world, truth) = (World::new(), Truth::default());
    world.asked_for(&ask(-HOUR, -2 * SETTLE), truth);
    let (fetched, _) = world.asked_for(&ask(-HOUR + STEP, -2 * SETTLE + STEP), truth);
    assert_eq!(fetched, [(-2 * SETTLE + STEP, -SETTLE - STEP)]);
}

#[test]
fn a_refusal_of_points_that_nobody_asked_for_is_not_passed_on() {
    let (mut world, truth) = (World::new(), Truth::default());
    world.asked_for(&ask(-2 * HOUR, -HOUR), truth);
    let next = ask(-2 * HOUR + STEP, -HOUR + STEP);
    let id = world.pending(&next);
    let ahead = world.fetches.len() - 1;
    assert!(asked(&world.fetches[ahead]).1 > -HOUR + STEP);
    let refusal = r#"{"status":"error","errorType":"execution","error":"many-to-many"}"#;
    world.respond(ahead, Ok(Response::new(422, refusal)));
    assert_eq!(
        world.answer_ranges(ahead + 1, truth),
        [(-2 * HOUR + STEP, -HOUR + STEP)]
    );
    let answer = world.reply(id).unwrap();
    assert_eq!(body(&answer), truth.body(next.range.unwrap()));
}

#[test]
fn a_settled_window_within_what_is_known_is_a_hit() {
    let (mut world, truth) = (World::new(), Truth::default());
    world.asked_for(&ask(-HOUR, 0), truth);
    world.pass(60_000);
    let (fetched, answer) = world.asked_for(&ask(-HOUR / 2, -HOUR / 4), truth);
    assert_eq!(fetched, []);
    assert_eq!(answer.provenance, Provenance::Hit);
    assert_eq!(answer.fetched_at, UnixMillis(WALL));
    assert_eq!(answer.ttl_left, Some(Duration::from_secs(3_540)));
    let again = world.ready(&ask(-HOUR / 2, -HOUR / 4));
    assert!(
        Arc::ptr_eq(&again.payload, &answer.payload),
        "rendered once"
    );
}

#[test]
fn settled_data_is_not_believed_for_ever() {
    let mut world = World::new();
    let (old, new) = Truth::editions();
    world.asked_for(&ask(-2 * HOUR, -HOUR), old);
    world.pass(3_599_999);
    let narrow = ask(-2 * HOUR, -HOUR - STEP);
    world.asked_for(&narrow, old);
    world.pass(1);
    let (fetched, answer) = world.asked_for(&narrow, new);
    assert_eq!(fetched, [(-2 * HOUR, -HOUR - STEP)]);
    assert_eq!(answer.provenance, Provenance::Miss);
}

#[test]
fn a_hole_is_fetched_alone_and_near_holes_together() {
    let (mut world, truth) = (World::new(), Truth::default());
    let at = |point: i64| -2 * HOUR + point * STEP;
    world.asked_for(&ask(at(0), at(99)), truth);
    world.asked_for(&ask(at(150), at(249)), truth);
    let (fetched, _) = world.asked_for(&ask(at(0), at(249)), truth);
    assert_eq!(fetched, [(at(100), at(149))]);
    let (fetched, _) = world.asked_for(&ask(at(-10), at(259)), truth);
    assert_eq!(fetched, [(at(-10), at(-1)), (at(250), at(259))]);
    world.asked_for(&ask(at(300), at(331)), truth);
    let (fetched, _) = world.asked_for(&ask(at(200), at(340)), truth);
    assert_eq!(
        fetched,
        [(at(260), at(340))],
        "over 32 points that are known"
    );
}

#[test]
fn steps_and_phases_have_nothing_in_common() {
    let (mut world, truth) = (World::new(), Truth::default());
    world.asked_for(&ask(-HOUR, -HOUR / 2), truth);
    for (start, step) in [(-HOUR, 30_000), (-HOUR + 1, STEP)] {
        let other = ask_of("a", start, start + HOUR / 4, step);
        assert_eq!(world.asked_for(&other, truth).0.len(), 1);
    }
    let coarse = ask_of("a", -HOUR + 30_000, -HOUR + 90_000, 30_000);
    assert_eq!(world.asked_for(&coarse, truth).0, []);
}

#[test]
fn questions_that_overlap_in_flight_share_their_fetches() {
    let (mut world, truth) = (World::new(), Truth::default());
    let (first, second) = (ask(-HOUR, -HOUR / 2), ask(-HOUR * 3 / 4, 0));
    let one = world.pending(&first);
    let two = world.pending(&second);
    let three = world.pending(&ask(-HOUR * 3 / 4, -HOUR / 2));
    let ranges: Vec<_> = world.fetches.iter().map(asked).collect();
    assert_eq!(ranges, [(-HOUR, -HOUR / 2), (-HOUR / 2 + STEP, 0)]);
    // The later one lands first.
    let later = truth.body(range_of(&world.fetches[1]));
    world.respond(1, Ok(Response::new(200, later)));
    assert!(world.replies.is_empty());
    let earlier = truth.body(range_of(&world.fetches[0]));
    world.respond(0, Ok(Response::new(200, earlier)));
    let answers = [one, two, three].map(|id| world.reply(id).unwrap());
    for (answer, ask) in answers.iter().zip([&first, &second]) {
        assert_eq!(body(answer), truth.body(ask.range.unwrap()));
        assert_eq!(answer.provenance, Provenance::Miss);
    }
    assert_eq!(answers[2].provenance, Provenance::Coalesced);
    assert_eq!(world.fetches.len(), 2);
}

#[test]
fn a_piece_outlives_who_began_it_but_not_the_last_who_needs_it() {
    let mut world = World::new();
    let one = world.pending(&ask(-HOUR, -HOUR / 2));
    let two = world.pending(&ask(-HOUR * 3 / 4, 0));
    world.collector.abandon(one, world.now());
    world.drain();
    assert_eq!(world.cancelled, []);
    world.collector.abandon(two, world.now());
    world.drain();
    assert_eq!(world.cancelled.len(), 2);
    assert_eq!(world.collector.stats().fetches_in_flight, 0);
}

#[test]
fn a_piece_that_fails_fails_all_who_need_it() {
    let mut world = World::new();
    let one = world.pending(&ask(-HOUR, -HOUR / 2));
    let two = world.pending(&ask(-HOUR * 3 / 4, 0));
    world.respond(0, refused());
    for id in [one, two] {
        let error = world.reply(id).unwrap_err();
        assert!(matches!(error, QueryError::Unreachable { .. }), "{error}");
    }
    assert_eq!(
        world.cancelled.len(),
        1,
        "the other piece is needed by nobody"
    );
}

#[test]
fn who_comes_to_a_piece_late_waits_until_their_own_deadline() {
    let (mut world, truth) = (World::new(), Truth::default());
    let leader = world.pending(&ask(-HOUR, -HOUR / 2));
    world.pass(8_000);
    let late = world.pending(&ask(-HOUR, -HOUR / 2));
    let other = ask(-HOUR * 3 / 4, -HOUR / 2);
    let other_late = world.pending(&other);
    assert_eq!(world.fetches.len(), 1);
    world.pass(2_000);
    assert!(world.reply(leader).is_err());
    assert!(world.replies.is_empty());
    assert_eq!(asked(&world.fetches[1]), (-HOUR, -HOUR / 2));
    assert_eq!(world.fetches.len(), 2, "one more fetch for both");
    world.pass(7_999);
    world.answer_ranges(1, truth);
    assert!(world.reply(late).is_ok());
    let answer = world.reply(other_late).unwrap();
    assert_eq!(body(&answer), truth.body(other.range.unwrap()));
    assert_eq!(world.collector.stats().fetches_in_flight, 0);
}

#[test]
fn nobody_waits_beyond_their_own_deadline() {
    let mut world = World::new();
    let leader = world.pending(&ask(-HOUR, -HOUR / 2));
    world.pass(5_000);
    let late = world.pending(&ask(-HOUR, -HOUR / 4));
    world.pass(5_000);
    assert!(world.reply(leader).is_err());
    world.pass(4_999);
    assert!(world.replies.is_empty());
    world.pass(1);
    assert!(world.reply(late).is_err());
    world.pass(60_000);
    assert_eq!(world.collector.stats().fetches_in_flight, 0);
    assert_eq!(world.collector.stats().askers_waiting, 0);
}

#[test]
fn an_invalidation_reaches_extents_and_what_is_under_way() {
    let mut world = World::new();
    let (old, new) = Truth::editions();
    world.asked_for(&ask(-2 * HOUR, -HOUR), old);
    let wide = ask(-2 * HOUR, -HOUR / 2);
    let id = world.pending(&wide);
    assert_eq!(world.fetches.len(), 2);
    let key = format!(
        "prom/:query=a,@step=15,@start={},@end={}",
        (WALL - 2 * HOUR) / 1_000,
        (WALL - HOUR) / 1_000
    );
    assert_eq!(
        world
            .collector
            .invalidate(&Invalidation::Key(key), world.now()),
        1
    );
    world.drain();
    assert_eq!(world.cancelled, [world.fetches[1].id]);
    world.answer_ranges(2, new);
    assert_eq!(
        body(&world.reply(id).unwrap()),
        new.body(wide.range.unwrap())
    );
    let (fetched, _) = world.asked_for(&ask(-2 * HOUR, -HOUR), new);
    assert_eq!(fetched, [], "all that is kept is from after it");
}

#[test]
fn whoever_takes_no_age_fetches_everything_anew_for_all() {
    let mut world = World::new();
    let (old, new) = Truth::editions();
    world.asked_for(&ask(-2 * HOUR, -HOUR), old);
    let middle = ask(-HOUR * 7 / 4, -HOUR * 5 / 4);
    let anew = Ask {
        max_age: Some(Duration::ZERO),
        ..middle.clone()
    };
    let (fetched, _) = world.asked_for(&anew, new);
    assert_eq!(fetched, [(-HOUR * 7 / 4, -HOUR * 5 / 4)]);
    world.pass(1);
    assert_eq!(body(&world.ready(&middle)), new.body(middle.range.unwrap()));
    let inside = ask(-HOUR * 7 / 4 + STEP, -HOUR * 5 / 4);
    assert_eq!(body(&world.ready(&inside)), new.body(inside.range.unwrap()));
    let before = ask(-2 * HOUR, -HOUR * 7 / 4 - STEP);
    assert_eq!(body(&world.ready(&before)), old.body(before.range.unwrap()));
}

#[test]
fn what_comes_with_warnings_is_passed_on_and_never_kept() {
    let mut world = World::new();
    let warns = Truth {
        warns: true,
        ..Truth::default()
    };
    for _ in 0..2 {
        let (fetched, answer) = world.asked_for(&ask(-HOUR, 0), warns);
        assert_eq!(fetched, [(-HOUR, 0)]);
        assert_eq!(answer.ttl_left, None);
    }
    assert_eq!(world.collector.stats().extents, 0);
    // Half known, half with warnings: the question is asked as it stands.
    world.asked_for(&ask(-HOUR, -HOUR / 2), Truth::default());
    let id = world.pending(&ask(-HOUR, 0));
    let piece = world.fetches.len() - 1;
    let said = warns.body(range_of(&world.fetches[piece]));
    world.respond(piece, Ok(Response::new(200, said)));
    assert_eq!(asked(&world.fetches[piece + 1]), (-HOUR, 0));
    world.answer_ranges(piece + 1, warns);
    assert_eq!(
        body(&world.reply(id).unwrap()),
        warns.body(ask(-HOUR, 0).range.unwrap())
    );
}

#[test]
fn what_looks_ahead_is_settled_later() {
    let (mut world, truth) = (World::new(), Truth::default());
    let ahead = |start, end| ask_of("a offset -10m", start, end, STEP);
    world.asked_for(&ahead(-HOUR, 0), truth);
    world.pass(30_000);
    let (fetched, _) = world.asked_for(&ahead(-HOUR, 0), truth);
    assert_eq!(fetched, [(-900_000, 0)]);
    // Its end is settled, what it looks at is not: no longer believed than its ttl.
    let (_, answer) = world.asked_for(&ahead(-HOUR, -600_000), truth);
    assert_eq!(answer.ttl_left, Some(Duration::from_secs(30)));
}

#[test]
fn what_is_pinned_or_hangs_on_its_window_is_asked_as_it_stands() {
    let (mut world, truth) = (World::new(), Truth::default());
    for query in [
        format!("a @ {}", (WALL - 299_999) as f64 / 1_000.0),
        "a @ end()".into(),
        "limitk(1, a)".into(),
    ] {
        world.asked_for(&ask_of(&query, -HOUR, -HOUR / 2, STEP), truth);
        let (fetched, _) = world.asked_for(&ask_of(&query, -HOUR, -HOUR / 4, STEP), truth);
        assert_eq!(fetched, [(-HOUR, -HOUR / 4)], "{query}");
    }
    let pinned = format!("a @ {}", (WALL - 300_001) as f64 / 1_000.0);
    world.asked_for(&ask_of(&pinned, -HOUR, -2 * SETTLE, STEP), truth);
    let (fetched, _) = world.asked_for(&ask_of(&pinned, -HOUR, -SETTLE, STEP), truth);
    assert_eq!(fetched, [(-2 * SETTLE + STEP, -SETTLE)]);
}

#[test]
fn a_wall_clock_that_ran_ahead_leaves_nothing_settled_behind() {
    let mut world = World::new();
    let (early, truth) = Truth::editions();
    world.wall_shift_ms = 2 * HOUR;
    world.asked_for(&ask(0, HOUR), early);
    world.wall_shift_ms = 0;
    world.pass(1_800_000);
    let (fetched, _) = world.asked_for(&ask(0, HOUR / 4), truth);
    assert_eq!(fetched, [(0, HOUR / 4)]);
}

#[test]
fn a_cache_that_is_off_keeps_no_extents() {
    let mut world = World::of(Config {
        cache: CacheConfig {
            enabled: false,
            ..CacheConfig::default()
        },
        ..Config::with_sources(vec![quiet("prom")])
    });
    for _ in 0..2 {
        let (fetched, _) = world.asked_for(&ask(-2 * HOUR, -HOUR), Truth::default());
        assert_eq!(fetched, [(-2 * HOUR, -HOUR)]);
    }
    assert_eq!(world.collector.stats().extents, 0);
}

#[test]
fn a_key_of_a_range_is_explained_with_what_is_known_of_it() {
    let (mut world, truth) = (World::new(), Truth::default());
    let (_, answer) = world.asked_for(&ask(-2 * HOUR, -HOUR), truth);
    world.pending(&ask(-2 * HOUR, 0));
    let covered = world
        .collector
        .explain(&answer.key, world.now())
        .covered
        .unwrap();
    assert_eq!((covered.extents, covered.points), (1, 241));
    assert_eq!(covered.pieces_in_flight, 1);
    assert_eq!(
        world
            .collector
            .explain("prom/:query=a", world.now())
            .covered,
        None
    );
}
