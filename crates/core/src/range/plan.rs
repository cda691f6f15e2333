//! Which points of a window are fetched, and in how many requests.

use alloc::vec;
use alloc::vec::Vec;

use super::grid::{Run, subtract};

/// Known points between two holes that are fetched along with them: a request costs more than to
/// say so many points again.
const JOINED_POINTS_MAX: i64 = 32;

/// Requests for one question: more holes than that are bridged, the narrowest gaps first.
const PIECES_MAX: usize = 4;

/// The runs to fetch, in order, so that with what is known the window is covered.
pub(crate) fn missing(window: Run, known: impl Iterator<Item = Run>) -> Vec<Run> {
    let mut missing = vec![window];
    known.for_each(|known| subtract(&mut missing, known));
    while let Some(at) = narrowest(&missing) {
        let gap = missing[at + 1].first - missing[at].last - 1;
        if gap > JOINED_POINTS_MAX && missing.len() <= PIECES_MAX {
            break;
        }
        missing[at].last = missing.remove(at + 1).last;
    }
    missing
}

/// A window of which at least this part is known has moved on from another, and may do so again.
const KNOWN_PART_MIN: i64 = 2;

/// How much further than such a window is fetched, as a part of it: one that slides on asks once in
/// so many steps, and one that stops here was sent less for nothing than it did not have to ask for.
const AHEAD_PART: i64 = 4;

/// Lets the hole of a window that has moved on reach further the same way, within `open`: what is
/// settled and not known. A hole at both ends is no way.
pub(crate) fn reach_ahead(window: Run, holes: &mut [Run], open: Run) {
    let points = |run: &Run| run.last - run.first + 1;
    let missing: i64 = holes.iter().map(points).sum();
    if missing * KNOWN_PART_MIN > points(&window) {
        return;
    }
    let ahead = points(&window) / AHEAD_PART;
    let backward = holes.first().is_some_and(|hole| hole.first == window.first);
    let forward = holes.last().is_some_and(|hole| hole.last == window.last);
    match (backward, forward) {
        (false, true) => {
            let hole = &mut holes[holes.len() - 1];
            hole.last = hole.last.max(open.last.min(window.last + ahead));
        }
        (true, false) => {
            let hole = &mut holes[0];
            hole.first = hole.first.min(open.first.max(window.first - ahead));
        }
        (false, false) | (true, true) => {}
    }
}

/// The first of the narrowest gaps, by the run before it.
fn narrowest(runs: &[Run]) -> Option<usize> {
    let gaps = runs.windows(2).map(|pair| pair[1].first - pair[0].last);
    gaps.enumerate()
        .min_by_key(|(_, gap)| *gap)
        .map(|(at, _)| at)
}

/// Covers a window by runs that may overlap: each point is taken from the first that has it. In
/// order of points.
pub(crate) fn assign<T: Clone>(
    window: Run,
    parts: impl Iterator<Item = (Run, T)>,
) -> Vec<(Run, T)> {
    let mut open = vec![window];
    let mut assigned = Vec::new();
    for (run, part) in parts {
        let taken = open.iter().filter_map(|open| open.overlap(run));
        assigned.extend(taken.map(|taken| (taken, part.clone())));
        subtract(&mut open, run);
    }
    assert!(open.is_empty(), "the whole window is covered");
    assigned.sort_by_key(|(run, _)| run.first);
    assigned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(first: i64, last: i64) -> Run {
        Run { first, last }
    }

    fn fetched(known: &[(i64, i64)]) -> Vec<(i64, i64)> {
        let known = known.iter().map(|&(first, last)| run(first, last));
        let missing = missing(run(0, 999), known);
        missing.iter().map(|run| (run.first, run.last)).collect()
    }

    #[test]
    fn only_what_is_not_known_is_fetched() {
        assert_eq!(fetched(&[]), [(0, 999)]);
        assert_eq!(fetched(&[(-50, 2_000)]), []);
        assert_eq!(fetched(&[(0, 979)]), [(980, 999)]);
        assert_eq!(fetched(&[(100, 199), (200, 900)]), [(0, 99), (901, 999)]);
    }

    #[test]
    fn holes_that_are_near_are_fetched_at_once() {
        assert_eq!(fetched(&[(10, 41)]), [(0, 999)]);
        assert_eq!(fetched(&[(10, 42)]), [(0, 9), (43, 999)]);
    }

    #[test]
    fn many_holes_are_bridged_where_the_gaps_are_narrowest() {
        let known = [(1, 99), (101, 199), (201, 290), (301, 399), (401, 499)];
        // Six holes: the two narrowest gaps, of 90 points and, of the rest, the first, are bridged.
        assert_eq!(
            fetched(&known),
            [(0, 100), (200, 300), (400, 400), (500, 999)]
        );
        assert_eq!(fetched(&known).len(), PIECES_MAX);
    }

    #[test]
    fn a_window_that_moved_on_is_fetched_ahead_of_where_it_goes() {
        let reached = |mut holes: Vec<Run>, open: (i64, i64)| {
            reach_ahead(run(0, 99), &mut holes, run(open.0, open.1));
            let ends = holes.iter().map(|run| (run.first, run.last));
            ends.collect::<Vec<_>>()
        };
        let everything = (-1_000, 1_000);
        assert_eq!(reached(vec![run(99, 99)], everything), [(99, 124)]);
        assert_eq!(reached(vec![run(0, 49)], everything), [(-25, 49)]);
        assert_eq!(reached(vec![run(0, 50)], everything), [(0, 50)]);
        assert_eq!(reached(vec![run(99, 99)], (-1_000, 110)), [(99, 110)]);
        // What lies beyond is not settled, or known.
        assert_eq!(reached(vec![run(90, 99)], (-1_000, 95)), [(90, 99)]);
        assert_eq!(
            reached(vec![run(0, 3), run(99, 99)], (-7, 1_000)),
            [(0, 3), (99, 99)]
        );
        assert_eq!(reached(vec![run(40, 60)], everything), [(40, 60)]);
        assert_eq!(reached(vec![], everything), []);
    }

    #[test]
    fn each_point_is_taken_from_the_first_that_has_it() {
        let parts = [(run(3, 5), 'a'), (run(0, 4), 'b'), (run(0, 9), 'c')];
        assert_eq!(
            assign(run(1, 7), parts.into_iter()),
            [(run(1, 2), 'b'), (run(3, 5), 'a'), (run(6, 7), 'c')]
        );
    }
}
