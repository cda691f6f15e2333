//! The aggregation itself.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::grouping::{Members, group};
use super::limits::STATISTICS_MAX;
use super::pool::{Needs, Pool};
use super::{AggregateError, AggregateLimits, AggregateQuery, Group, GroupPoint};
use crate::labels::Labels;
use crate::ring::{Columns, Part, Points, Ring};
use crate::store::Store;
use crate::window::Window;

/// What the samples of the store say to the query: groups in the order of their labels, without those that have no
/// sample in any window.
///
/// # Errors
///
/// A query that asks for nothing or makes no sense, or that goes past a limit. None gives a part of the answer.
pub fn aggregate(
    store: &Store,
    query: &AggregateQuery,
    limits: &AggregateLimits,
) -> Result<Vec<Group>, AggregateError> {
    let steps = check(query, limits)?;
    let series = select(store, query, limits.series_max)?;
    let groups = group(&series, &query.grouping, limits.groups_max)?;
    let results = steps
        .saturating_mul(groups.len() as u64)
        .saturating_mul(query.statistics.len() as u64);
    if results > limits.results_max {
        return Err(AggregateError::ResultLimit {
            results,
            limit: limits.results_max,
        });
    }
    let needs = Needs::of(&query.statistics, query.window_ms);
    let mut left = limits.samples_max;
    let mut told = Vec::new();
    for (labels, members) in groups {
        let points = points(&members, query, steps, limits, &needs, &mut left)?;
        if !points.is_empty() {
            told.push(Group { labels, points });
        }
    }
    Ok(told)
}

/// How many windows a query asks for that makes sense.
fn check(query: &AggregateQuery, limits: &AggregateLimits) -> Result<u64, AggregateError> {
    if query.window_ms == 0 {
        return Err(AggregateError::EmptyWindow);
    }
    let statistics = query.statistics.len();
    if statistics == 0 {
        return Err(AggregateError::NoStatistic);
    }
    if statistics > STATISTICS_MAX {
        return Err(AggregateError::StatisticLimit { statistics });
    }
    query.grouping.check()?;
    let (start_ms, end_ms) = (query.steps.start_ms, query.steps.end_ms);
    if end_ms < start_ms {
        return Err(AggregateError::EndBeforeStart { start_ms, end_ms });
    }
    let steps = query.steps.count().ok_or(AggregateError::NoStep)?;
    let limit = limits.steps_max;
    if steps > limit {
        return Err(AggregateError::StepLimit { steps, limit });
    }
    Ok(steps)
}

type Selected<'a> = Vec<(&'a Labels, &'a Ring)>;

/// The series of all selectors, each once, in the order of their labels.
fn select<'a>(
    store: &'a Store,
    query: &'a AggregateQuery,
    series_max: usize,
) -> Result<Selected<'a>, AggregateError> {
    let limit = AggregateError::SeriesLimit { limit: series_max };
    if let [selector] = &*query.selectors {
        let series: Vec<_> = store
            .select(selector)
            .take(series_max.saturating_add(1))
            .collect();
        return if series.len() > series_max {
            Err(limit)
        } else {
            Ok(series)
        };
    }
    let mut series = BTreeMap::new();
    for selector in &query.selectors {
        for (labels, ring) in store.select(selector) {
            series.insert(labels, ring);
            if series.len() > series_max {
                return Err(limit);
            }
        }
    }
    Ok(series.into_iter().collect())
}

/// The points of one group.
fn points(
    members: &Members<'_>,
    query: &AggregateQuery,
    steps: u64,
    limits: &AggregateLimits,
    needs: &Needs,
    left: &mut u64,
) -> Result<Vec<GroupPoint>, AggregateError> {
    let mut points = Vec::new();
    let (mut pool, mut columns) = (Pool::new(needs, limits), Columns::default());
    let held = held(members, query, steps);
    for step in 0..steps {
        let window = Window::ending(query.steps.end_of(step), query.window_ms);
        pool.restart(window);
        for (nth, ring) in members.iter().enumerate() {
            let inside = held.get(nth).map(|held| held.within(window));
            let looked_at = match inside {
                Some(None) => 0,
                // Else chunks inside are quicker added up by their summaries.
                Some(Some(inside)) if inside.values().len() <= LONG_MIN || needs.every_sample() => {
                    pool.add(&Part::Points(inside))
                }
                _ => add_parts(&mut pool, ring, window, &mut columns),
            };
            pool.end_series();
            *left = left
                .checked_sub(looked_at)
                .ok_or(AggregateError::SampleLimit {
                    limit: limits.samples_max,
                })?;
        }
        points.extend(pool.point(&query.statistics));
    }
    Ok(points)
}

fn add_parts(pool: &mut Pool<'_>, ring: &Ring, window: Window, columns: &mut Columns) -> u64 {
    let Window {
        start_exclusive_ms,
        end_inclusive_ms,
    } = window;
    let mut looked_at = 0;
    ring.parts(
        Some(start_exclusive_ms),
        end_inclusive_ms,
        columns,
        |part| {
            looked_at += pool.add(&part);
        },
    );
    looked_at
}

/// Up to how many samples of a group are decoded once for all windows, instead of for each: 16 MiB of them.
const HELD_SAMPLES_MAX: usize = 1 << 20;

/// From how many samples on a window is added up chunk by chunk: it then has one inside.
const LONG_MIN: usize = 1_024;

/// The samples of a series that lie in any of the windows.
#[derive(Debug, Default)]
struct Held {
    times_ms: Vec<i64>,
    values: Vec<f64>,
}

impl Held {
    /// Those in this window, if there are any.
    fn within(&self, window: Window) -> Option<Points<'_>> {
        let start_ms = window.start_exclusive_ms;
        let start = self.times_ms.partition_point(|&t_ms| t_ms <= start_ms);
        let rest = &self.times_ms[start..];
        let length = rest.partition_point(|&t_ms| t_ms <= window.end_inclusive_ms);
        let range = start..start + length;
        (length > 0).then(|| Points::new(&self.times_ms[range.clone()], &self.values[range]))
    }
}

/// The samples of each series of a group, where several windows share them and they are not too many; else nothing.
fn held(members: &Members<'_>, query: &AggregateQuery, steps: u64) -> Vec<Held> {
    let samples: usize = members.iter().map(|ring| ring.len()).sum();
    if steps == 1 || samples > HELD_SAMPLES_MAX {
        return Vec::new();
    }
    let start_ms = Window::ending(query.steps.start_ms, query.window_ms).start_exclusive_ms;
    let decode = |ring: &&Ring| {
        let mut held = Held::default();
        ring.blocks(start_ms, query.steps.end_ms, |times_ms, values| {
            held.times_ms.extend_from_slice(times_ms);
            held.values.extend_from_slice(values);
        });
        held
    };
    members.iter().map(decode).collect()
}
