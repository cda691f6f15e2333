//! How many retries a source may get in all, so that trouble is not multiplied.

use core::time::Duration;

use crate::Instant;

/// A fifth more load is what a source in trouble can be expected to bear.
const RATIO_PERCENT: u32 = 20;
/// A source that is seldom asked still gets a few retries.
const FLOOR: u32 = 3;

/// The window is this many slices long…
const SLICES: usize = 10;
/// …of this length each.
const SLICE: Duration = Duration::from_secs(1);

/// The bounds of a [`RetryBudget`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryBudgetConfig {
    /// Retries per hundred first tries: 20.
    pub ratio_percent: u32,
    /// Retries that a window has whatever the first tries: 3.
    pub floor: u32,
}

impl Default for RetryBudgetConfig {
    fn default() -> Self {
        Self {
            ratio_percent: RATIO_PERCENT,
            floor: FLOOR,
        }
    }
}

/// The retries of one source. Tell it of every first try, ask it before every retry.
///
/// The rule: the window is the running second of the monotonic clock and the nine whole ones
/// before it. In it there are never more retries than max(`floor`, ⌊`ratio_percent` · first
/// tries / 100⌋), where both are counted when they are announced here. Instants that run
/// backwards count as the latest one seen.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    config: RetryBudgetConfig,
    /// The slice of each number stands at that number modulo their count.
    slices: [Slice; SLICES],
    latest: u64,
    refused: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    number: u64,
    first_tries: u64,
    retries: u64,
}

impl RetryBudget {
    /// A budget of which nothing is spent.
    pub fn new(config: RetryBudgetConfig) -> Self {
        Self {
            config,
            slices: [Slice::default(); SLICES],
            latest: 0,
            refused: 0,
        }
    }

    /// Notes a first try.
    pub fn tried(&mut self, now: Instant) {
        self.slice(now).first_tries += 1;
    }

    /// Spends one retry if there is one; otherwise says no, and counts that.
    pub fn take(&mut self, now: Instant) -> bool {
        let granted = self.left(now) > 0;
        if granted {
            self.slice(now).retries += 1;
        } else {
            self.refused += 1;
        }
        granted
    }

    /// How many retries could be taken now.
    pub fn left(&self, now: Instant) -> u64 {
        let newest = number(now).max(self.latest);
        let oldest = newest.saturating_sub(SLICES as u64 - 1);
        let (mut first_tries, mut retries) = (0_u64, 0_u64);
        for slice in self.slices.iter().filter(|slice| slice.number >= oldest) {
            first_tries += slice.first_tries;
            retries += slice.retries;
        }
        let earned = first_tries.saturating_mul(self.config.ratio_percent.into()) / 100;
        earned.max(self.config.floor.into()).saturating_sub(retries)
    }

    /// How many retries were refused since the beginning.
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// Takes new bounds; what was counted stays.
    pub const fn reconfigure(&mut self, config: RetryBudgetConfig) {
        self.config = config;
    }

    /// The running slice, emptied if it is new.
    fn slice(&mut self, now: Instant) -> &mut Slice {
        self.latest = self.latest.max(number(now));
        let slice = &mut self.slices[(self.latest % SLICES as u64) as usize];
        if slice.number != self.latest {
            *slice = Slice {
                number: self.latest,
                ..Slice::default()
            };
        }
        slice
    }
}

fn number(now: Instant) -> u64 {
    now.since(Instant::ZERO).as_secs() / SLICE.as_secs()
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    fn budget() -> RetryBudget {
        RetryBudget::new(RetryBudgetConfig::default())
    }

    #[test]
    fn an_idle_source_has_its_floor_and_no_more() {
        let mut budget = budget();
        let taken = [(); 5].map(|()| budget.take(at(0)));
        assert_eq!(taken, [true, true, true, false, false]);
        assert_eq!(budget.refused(), 2);
    }

    #[test]
    fn a_busy_source_has_a_fifth_of_its_first_tries() {
        let mut budget = budget();
        for _ in 0..104 {
            budget.tried(at(500));
        }
        assert_eq!(budget.left(at(9_999)), 20);
        budget.tried(at(9_999));
        assert_eq!(budget.left(at(9_999)), 21);
        assert_eq!(budget.left(at(10_000)), 3);
    }

    #[test]
    fn what_was_spent_comes_back_when_its_second_leaves_the_window() {
        let mut budget = budget();
        while budget.take(at(999)) {}
        assert_eq!(budget.left(at(9_999)), 0);
        assert_eq!(budget.left(at(10_000)), 3);
    }

    #[test]
    fn time_that_runs_backwards_gives_nothing_back() {
        let mut budget = budget();
        while budget.take(at(50_000)) {}
        assert_eq!(budget.left(at(0)), 0);
        assert!(!budget.take(at(0)));
    }

    proptest! {
        #[test]
        fn it_counts_like_a_list_of_everything_that_happened(
            events in prop::collection::vec((0_u64..3_000, 0_u32..4), 0..200),
        ) {
            let mut budget = budget();
            let (mut tries, mut retries) = (Vec::new(), Vec::new());
            let mut now_ms = 0;
            for (step_ms, kind) in events {
                now_ms += step_ms;
                let within = |seconds: &[u64]| {
                    seconds.iter().filter(|second| now_ms / 1000 - **second < 10).count()
                };
                if kind == 0 {
                    let allowed = (within(&tries) / 5).max(3);
                    let expected = within(&retries) < allowed;
                    prop_assert_eq!(budget.take(at(now_ms)), expected);
                    if expected {
                        retries.push(now_ms / 1000);
                    }
                } else {
                    budget.tried(at(now_ms));
                    tries.push(now_ms / 1000);
                }
            }
        }
    }
}
