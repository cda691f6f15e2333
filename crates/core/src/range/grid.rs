//! The instants of range queries by number, so that windows can be cut, joined and compared.

use core::time::Duration;

use crate::{Range, UnixMillis};

/// Times and steps beyond this are not counted on a grid: a float no longer tells their
/// milliseconds apart, and no sum of them overflows.
const TIME_MS_MAX: i64 = 1 << 53;

/// Points of a grid, from the first to the last, both included; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) first: i64,
    pub(crate) last: i64,
}

impl Run {
    /// The run from `first` to `last`, unless it is empty.
    pub(crate) fn new(first: i64, last: i64) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// How many points it has.
    pub(crate) fn len(self) -> usize {
        usize::try_from(self.last - self.first + 1).expect("a run is never longer than a window")
    }

    pub(crate) fn contains(self, point: i64) -> bool {
        (self.first..=self.last).contains(&point)
    }

    /// The points that both have.
    pub(crate) fn overlap(self, other: Self) -> Option<Self> {
        Self::new(self.first.max(other.first), self.last.min(other.last))
    }

    /// The points that `other` does not have: before it and after it.
    pub(crate) fn without(self, other: Self) -> impl Iterator<Item = Self> {
        let before = Self::new(self.first, self.last.min(other.first - 1));
        let after = Self::new(self.first.max(other.last + 1), self.last);
        before.into_iter().chain(after)
    }
}

/// Takes a run out of several; they stay in order.
pub(crate) fn subtract(runs: &mut alloc::vec::Vec<Run>, taken: Run) {
    let left = runs.iter().flat_map(|run| run.without(taken));
    *runs = left.collect();
}

/// Instants `phase + n·step` for all integers `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    step_ms: i64,
    phase_ms: i64,
}

impl Grid {
    /// The grid of a range and the points it asks for; `None` where its step is no whole number of
    /// milliseconds, or a time is beyond all reason.
    pub(crate) fn of(range: &Range) -> Option<(Self, Run)> {
        let step_ms = i64::try_from(range.step.as_millis()).ok()?;
        let is_whole = range.step.subsec_nanos().is_multiple_of(1_000_000);
        let sane = |ms: i64| (-TIME_MS_MAX..=TIME_MS_MAX).contains(&ms);
        let (start, end) = (range.start.0, range.end.0);
        if !is_whole || step_ms == 0 || ![start, end, step_ms].into_iter().all(sane) {
            return None;
        }
        let grid = Self {
            step_ms,
            phase_ms: start.rem_euclid(step_ms),
        };
        Some((
            grid,
            Run::new(grid.last_until(start), grid.last_until(end))?,
        ))
    }

    /// Where its points lie between multiples of the step, in milliseconds.
    pub(crate) fn phase_ms(self) -> i64 {
        self.phase_ms
    }

    /// The instant of a point, in milliseconds.
    pub(crate) fn at_ms(self, point: i64) -> i64 {
        self.phase_ms + point * self.step_ms
    }

    /// The last point that is not after an instant.
    pub(crate) fn last_until(self, at_ms: i64) -> i64 {
        at_ms.saturating_sub(self.phase_ms).div_euclid(self.step_ms)
    }

    /// The point at an instant; `None` between points.
    pub(crate) fn point(self, at_ms: i64) -> Option<i64> {
        let point = self.last_until(at_ms);
        (at_ms.checked_sub(self.phase_ms)? == point.checked_mul(self.step_ms)?).then_some(point)
    }

    /// The range that asks for exactly these points.
    pub(crate) fn range(self, run: Run) -> Range {
        Range {
            start: UnixMillis(self.at_ms(run.first)),
            end: UnixMillis(self.at_ms(run.last)),
            step: Duration::from_millis(self.step_ms.unsigned_abs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    fn run(first: i64, last: i64) -> Run {
        Run { first, last }
    }

    fn range(start: i64, end: i64, step_us: u64) -> Range {
        Range {
            start: UnixMillis(start),
            end: UnixMillis(end),
            step: Duration::from_micros(step_us),
        }
    }

    #[test]
    fn a_range_and_its_points_are_the_same_thing() {
        let (grid, points) = Grid::of(&range(1_007, 1_066, 15_000)).unwrap();
        assert_eq!((grid.phase_ms(), points), (2, run(67, 70)));
        assert_eq!(grid.range(points), range(1_007, 1_052, 15_000));
        assert_eq!([1_007, 1_008].map(|ms| grid.point(ms)), [Some(67), None]);
        let (grid, points) = Grid::of(&range(-20, -20, 15_000)).unwrap();
        assert_eq!((grid.phase_ms(), points), (10, run(-2, -2)));
        assert_eq!(grid.at_ms(-2), -20);
        assert_eq!([-6, -5, -4].map(|ms| grid.last_until(ms)), [-2, -1, -1]);
    }

    #[test]
    fn a_step_between_milliseconds_and_a_time_beyond_reason_have_no_grid() {
        assert_eq!(Grid::of(&range(0, 1, 1_500)), None);
        assert_eq!(Grid::of(&range(0, 1, 999)), None);
        assert_eq!(Grid::of(&range(TIME_MS_MAX + 1, i64::MAX, 1 << 60)), None);
        assert!(Grid::of(&range(TIME_MS_MAX, TIME_MS_MAX, 1_000)).is_some());
    }

    #[test]
    fn runs_are_cut_at_both_ends() {
        let left = |of: Run, taken| of.without(taken).collect::<Vec<_>>();
        assert_eq!(left(run(0, 9), run(3, 5)), [run(0, 2), run(6, 9)]);
        assert_eq!(left(run(0, 9), run(0, 8)), [run(9, 9)]);
        assert_eq!(left(run(0, 9), run(-5, 20)), []);
        assert_eq!(left(run(0, 9), run(10, 20)), [run(0, 9)]);
        assert_eq!(left(run(0, 9), run(-7, -1)), [run(0, 9)]);
        let mut runs = vec![run(0, 9), run(20, 29)];
        subtract(&mut runs, run(5, 24));
        assert_eq!(runs, [run(0, 4), run(25, 29)]);
        assert_eq!(run(0, 9).overlap(run(9, 12)), Some(run(9, 9)));
        assert_eq!(run(0, 9).overlap(run(10, 12)), None);
    }
}
