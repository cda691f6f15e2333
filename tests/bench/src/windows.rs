//! Windows, quantiles and sketches of series in memory.

use std::hint::black_box;

use anyhow::{Result, ensure};
use sketches_ddsketch::{Config, DDSketch};
use tidegate_series::{
    AggregateLimits, AggregateQuery, Grouping, QuantileMethod, Sketch, Statistic, Steps, Store,
    Window, aggregate, quantiles,
};

use crate::clock::contest;
use crate::generated::{POINTS, time_ms, values};
use crate::table::{Table, Target};

/// Of how many series quantiles and sketches are made.
const SERIES: usize = 200;

const QS: [f64; 3] = [0.5, 0.95, 0.99];

/// How often a short query is made in a round.
const TURNS: u32 = 10;

const MINUTES_5: u64 = 300_000;
const HOURS_24: u64 = 86_400_000;

/// The store has 1,000 series of 24 h.
pub(crate) fn measure(table: &mut Table, store: &Store) -> Result<()> {
    let all: Vec<_> = (0..SERIES).map(|series| values(series, POINTS)).collect();
    selecting(table, &all)?;
    sketching(table, &all)?;
    windows(table, store)
}

fn selecting(table: &mut Table, all: &[Vec<f64>]) -> Result<()> {
    let mut scratch = vec![0.0; POINTS];
    for values in all {
        scratch.copy_from_slice(values);
        let own = quantiles(values, QS, QuantileMethod::Linear);
        ensure!(nested(&mut scratch) == own, "both gave the same quantiles");
    }
    let [theirs, own] = contest(
        all.len() as u32,
        [
            &mut || {
                for values in all {
                    scratch.copy_from_slice(values);
                    black_box(nested(&mut scratch));
                }
            },
            &mut || {
                for values in all {
                    black_box(quantiles(values, QS, QuantileMethod::Linear));
                }
            },
        ],
    );
    table.heading("p50, p95 and p99 of 5,760 values");
    let us = |ns: f64| format!("{:.1} µs", ns / 1e3);
    let what = "select_nth_unstable, each in what is above the one before";
    table.row(what, &us(theirs), None, Target::None);
    let judged = Some((own / theirs, "× nested selection"));
    table.row("quantiles", &us(own), judged, Target::AtMost(0.75));
    Ok(())
}

/// Interpolated quantiles that rise, by selection.
fn nested(values: &mut [f64]) -> [f64; 3] {
    let last = values.len() - 1;
    let mut from = 0;
    QS.map(|q| {
        let rank = q * last as f64;
        let lower = rank as usize;
        let (_, at, above) = values[from..].select_nth_unstable_by(lower - from, f64::total_cmp);
        let at = *at;
        let next = above.iter().copied().min_by(f64::total_cmp).unwrap_or(at);
        from = lower;
        let weight = rank - lower as f64;
        at * (1.0 - weight) + next * weight
    })
}

fn sketching(table: &mut Table, all: &[Vec<f64>]) -> Result<()> {
    let build_theirs = |values: &Vec<f64>| {
        let mut sketch = DDSketch::new(Config::defaults());
        values.iter().for_each(|&value| sketch.add(value));
        sketch
    };
    let build = |values: &Vec<f64>| {
        let mut sketch = Sketch::new();
        sketch.add(values);
        sketch
    };
    let [theirs, own] = contest(
        (all.len() * POINTS) as u32,
        [
            &mut || {
                all.iter()
                    .for_each(|values| drop(black_box(build_theirs(values))))
            },
            &mut || all.iter().for_each(|values| drop(black_box(build(values)))),
        ],
    );
    table.heading("quantile sketches of 1 %, beside sketches-ddsketch 0.3");
    table.row(
        "a value into theirs",
        &format!("{theirs:.1} ns"),
        None,
        Target::None,
    );
    let judged = Some((own / theirs, "× theirs"));
    table.row(
        "a value into a Sketch",
        &format!("{own:.1} ns"),
        judged,
        Target::AtMost(0.2),
    );
    let (their_sketches, sketches): (Vec<_>, Vec<_>) = all
        .iter()
        .map(|values| (build_theirs(values), build(values)))
        .unzip();
    let merge_theirs = || -> Result<DDSketch> {
        let mut merged = DDSketch::new(Config::defaults());
        for sketch in &their_sketches {
            merged.merge(sketch)?;
        }
        Ok(merged)
    };
    let merge = || {
        let mut merged = Sketch::new();
        sketches.iter().for_each(|sketch| merged.merge(sketch));
        merged
    };
    let count = merge_theirs()?.count() as u64;
    ensure!(merge().count() == count, "both counted all values");
    let [theirs, own] = contest(
        all.len() as u32,
        [&mut || drop(black_box(merge_theirs())), &mut || {
            drop(black_box(merge()))
        }],
    );
    let what = "theirs, merged into one of all";
    table.row(what, &format!("{theirs:.0} ns"), None, Target::None);
    let judged = Some((own / theirs, "× theirs"));
    let what = "a Sketch, merged into one of all";
    table.row(what, &format!("{own:.0} ns"), judged, Target::AtMost(1.0));
    Ok(())
}

fn windows(table: &mut Table, store: &Store) -> Result<()> {
    let end_ms = time_ms(POINTS - 1);
    let statistics = [Statistic::Avg, Statistic::Min, Statistic::Max];
    let query = |window_ms| AggregateQuery {
        selectors: vec![Vec::new()],
        window_ms,
        steps: Steps::once(end_ms),
        grouping: Grouping::By(vec!["__name__".into()]),
        statistics: statistics.to_vec(),
    };
    let each = |window_ms| {
        let window = Window::ending(end_ms, window_ms);
        let rings = store.select(&[]);
        let totals = rings.filter_map(|(_, ring)| ring.totals(window));
        totals.for_each(|totals| {
            black_box([totals.avg(), totals.min(), totals.max()]);
        });
    };
    let limits = AggregateLimits::default();
    ensure!(
        aggregate(store, &query(MINUTES_5), &limits)?.len() == 50,
        "fifty metrics"
    );
    let grouped = |window_ms| drop(black_box(aggregate(store, &query(window_ms), &limits)));
    // Apart, as what the long ones read would drive what the short ones do out of the caches.
    let [short, short_grouped] = contest(
        TURNS,
        [
            &mut || (0..TURNS).for_each(|_| each(MINUTES_5)),
            &mut || (0..TURNS).for_each(|_| grouped(MINUTES_5)),
        ],
    );
    let [long, long_grouped] = contest(1, [&mut || each(HOURS_24), &mut || grouped(HOURS_24)]);
    table.heading("avg, min and max of 1,000 series");
    let us = |ns: f64| format!("{:.0} µs", ns / 1e3);
    let judged = Some((short / 1e3, "µs"));
    let what = "of the last 5 minutes, each series";
    table.row(what, &us(short), judged, Target::AtMost(100.0));
    let what = "of the last 5 minutes, grouped by 50 metrics";
    table.row(what, &us(short_grouped), None, Target::None);
    table.row(
        "of the last 24 hours, each series",
        &us(long),
        None,
        Target::None,
    );
    let what = "of the last 24 hours, grouped by 50 metrics";
    table.row(what, &us(long_grouped), None, Target::None);
    Ok(())
}
