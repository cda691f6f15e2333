//! Parts of a ring: what lies in a stretch of time, chunk by chunk, decoded only where somebody looks inside.

use alloc::vec::Vec;

use super::Ring;
use crate::chunk::{Chunk, SharedTimes};
use crate::tail::Tail;

/// A run of a ring's points.
#[derive(Debug)]
pub(crate) enum Part<'a> {
    /// A chunk that lies wholly inside.
    Chunk(&'a Chunk),
    /// What is inside of a chunk at the edge, or of the points that no chunk holds yet.
    Points(Points<'a>),
}

/// Points side by side, at least one, stale markers among them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Points<'a> {
    values: &'a [f64],
    times: Times<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Times<'a> {
    Decoded(&'a [i64]),
    /// From this place on. Regular ones are nowhere to be sliced.
    Tail(&'a Tail, usize),
}

impl<'a> Points<'a> {
    /// Times and values, as many of one as of the other.
    pub(crate) const fn new(times_ms: &'a [i64], values: &'a [f64]) -> Self {
        Self {
            values,
            times: Times::Decoded(times_ms),
        }
    }

    pub(crate) const fn values(&self) -> &'a [f64] {
        self.values
    }

    /// The time of the point at this place, which there is.
    pub(crate) fn time_ms(&self, nth: usize) -> i64 {
        match self.times {
            Times::Decoded(times_ms) => times_ms[nth],
            Times::Tail(tail, first) => tail.time_ms(first + nth),
        }
    }
}

/// Memory for a chunk's columns, to be used again for the next.
#[derive(Debug, Clone, Default)]
pub(crate) struct Columns {
    pub(crate) times_ms: Vec<i64>,
    pub(crate) values: Vec<f64>,
    /// Whose times these are: chunks of series that are scraped together share them.
    decoded: Option<SharedTimes>,
}

impl Columns {
    /// The part's points, in the place of those before.
    pub(crate) fn replace(&mut self, part: &Part<'_>) {
        match part {
            Part::Chunk(chunk) => self.decode(chunk),
            Part::Points(points) => {
                self.decoded = None;
                self.times_ms.clear();
                self.values.clear();
                let times_ms = (0..points.values.len()).map(|nth| points.time_ms(nth));
                self.times_ms.extend(times_ms);
                self.values.extend_from_slice(points.values);
            }
        }
    }

    /// The chunk's points, in the place of those before.
    fn decode(&mut self, chunk: &Chunk) {
        if !self
            .decoded
            .as_ref()
            .is_some_and(|times| chunk.has_times(times))
        {
            self.times_ms.clear();
            chunk.times_into(&mut self.times_ms);
            self.decoded = Some(chunk.times());
        }
        self.values.clear();
        chunk.values_into(&mut self.values);
    }
}

impl Ring {
    /// Hands over what lies after `start_exclusive_ms` (from the very first point for `None`) and not after
    /// `end_inclusive_ms`, oldest first.
    pub(crate) fn parts(
        &self,
        start_exclusive_ms: Option<i64>,
        end_inclusive_ms: i64,
        columns: &mut Columns,
        mut each: impl FnMut(Part<'_>),
    ) {
        // The chunks are older than the tail, and most windows reach no further back than that.
        let reaches_chunks = match (start_exclusive_ms, self.tail.first_ms()) {
            (Some(start_ms), Some(first_ms)) => start_ms < first_ms,
            _ => true,
        };
        if reaches_chunks {
            self.chunk_parts(start_exclusive_ms, end_inclusive_ms, columns, &mut each);
        }
        let start = start_exclusive_ms.map_or(0, |start_ms| self.tail.count_to(start_ms));
        let dropped = if self.chunks.is_empty() {
            self.dropped()
        } else {
            0
        };
        let start = start.max(dropped);
        let end = self.tail.count_to(end_inclusive_ms);
        if start < end {
            self.tail_parts(start, end, &mut columns.values, each);
        }
    }

    fn chunk_parts(
        &self,
        start_exclusive_ms: Option<i64>,
        end_inclusive_ms: i64,
        columns: &mut Columns,
        mut each: impl FnMut(Part<'_>),
    ) {
        let is_before = |t_ms: i64| start_exclusive_ms.is_some_and(|start_ms| t_ms <= start_ms);
        let first = self
            .chunks
            .partition_point(|chunk| is_before(chunk.last_ms()));
        for (nth, chunk) in self.chunks.iter().enumerate().skip(first) {
            if chunk.first_ms() > end_inclusive_ms {
                return;
            }
            let dropped = if nth == 0 { self.dropped() } else { 0 };
            if dropped == 0 && !is_before(chunk.first_ms()) && chunk.last_ms() <= end_inclusive_ms {
                each(Part::Chunk(chunk));
                continue;
            }
            columns.decode(chunk);
            let (times_ms, values) = (&columns.times_ms, &columns.values);
            let start = times_ms.partition_point(|&time_ms| is_before(time_ms));
            let start = start.max(dropped);
            let end = times_ms.partition_point(|&time_ms| time_ms <= end_inclusive_ms);
            if start < end {
                let points = Points::new(&times_ms[start..end], &values[start..end]);
                each(Part::Points(points));
            }
        }
    }

    fn tail_parts(
        &self,
        start: usize,
        end: usize,
        scratch: &mut Vec<f64>,
        mut each: impl FnMut(Part<'_>),
    ) {
        let mut at = start;
        for values in self.tail.values(start..end, scratch) {
            if !values.is_empty() {
                let times = Times::Tail(&self.tail, at);
                each(Part::Points(Points { values, times }));
                at += values.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_parts_put_together_are_the_points_of_the_window(
            count in 0_i64..1_400,
            most in prop_oneof![1_usize..600, Just(5_000)],
            (start, end) in (-5_i64..1_450, -5_i64..1_450),
            uneven in any::<bool>(),
        ) {
            let mut ring = Ring::new(most);
            let time = |nth: i64| nth * 10 + if uneven { nth % 3 } else { 0 };
            for nth in 0..count {
                ring.push(time(nth), nth as f64).unwrap();
            }
            for start_ms in [Some(start * 10), None] {
                let (mut columns, mut found, mut chunks) = (Columns::default(), Vec::new(), 0);
                ring.parts(start_ms, end * 10, &mut columns, |part| {
                    chunks += u32::from(matches!(part, Part::Chunk(_)));
                    let mut own = Columns::default();
                    own.replace(&part);
                    found.extend(own.times_ms.into_iter().zip(own.values));
                });
                let inside = |t_ms: i64| start_ms.is_none_or(|start_ms| start_ms < t_ms) && t_ms <= end * 10;
                let expected: Vec<_> = ring.points().filter(|&(t_ms, _)| inside(t_ms)).collect();
                prop_assert!(expected.len() < 3 * 512 || chunks > 0);
                prop_assert_eq!(found, expected);
            }
        }
    }
}
