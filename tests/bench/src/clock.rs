//! Measures by the processor time of this program, which others on the machine do not lengthen.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Rounds of each contestant; the middle one is told.
const ROUNDS: usize = 15;

/// The processor time that this program has used.
pub(crate) fn used() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// Runs the contestants in turn, round after round, so that what slows the machine down for a
/// while slows all of them; gives back each one's nanoseconds per operation in its middle round.
/// A contestant does `operations` in one call.
pub(crate) fn contest<const N: usize>(
    operations: u32,
    contestants: [&mut dyn FnMut(); N],
) -> [f64; N] {
    contest_by(used, operations, contestants)
}

/// As [`contest`], by the wall clock: for contestants of several threads, whose waiting counts.
pub(crate) fn contest_elapsed<const N: usize>(
    operations: u32,
    contestants: [&mut dyn FnMut(); N],
) -> [f64; N] {
    let begun = Instant::now();
    contest_by(|| begun.elapsed(), operations, contestants)
}

fn contest_by<const N: usize>(
    clock: impl Fn() -> Duration,
    operations: u32,
    mut contestants: [&mut dyn FnMut(); N],
) -> [f64; N] {
    let mut rounds = [[0.0; ROUNDS]; N];
    // The first round warms up, and is not counted.
    for round in 0..=ROUNDS {
        for (contestant, rounds) in contestants.iter_mut().zip(&mut rounds) {
            let before = clock();
            contestant();
            let spent = clock() - before;
            rounds[round.saturating_sub(1)] = spent.as_nanos() as f64 / f64::from(operations);
        }
    }
    rounds.map(|mut rounds| {
        rounds.sort_by(f64::total_cmp);
        rounds[ROUNDS / 2]
    })
}
