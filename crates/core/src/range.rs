//! The window of a range query, and Prometheus' rules for it.

use core::fmt;
use core::time::Duration;

use crate::UnixMillis;

mod assemble;
mod block;
mod extents;
mod grid;
mod names;
mod plan;
mod reach;

pub(crate) use assemble::assemble;
pub(crate) use block::{Block, Reading};
pub(crate) use extents::{Belief, Extents, Known};
pub(crate) use grid::{Grid, Run};
pub(crate) use plan::{assign, missing, reach_ahead};
pub(crate) use reach::Reach;

/// How many steps a range may have: Prometheus' own bound, 11,000, enough for a week of minutes.
const STEPS_MAX: u128 = 11_000;

/// The instants of a range query: `start`, `start + step`, … as far as `end`, which is one of them
/// if the steps fall on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    /// The first instant.
    pub start: UnixMillis,
    /// No instant lies past it.
    pub end: UnixMillis,
    /// From one instant to the next.
    pub step: Duration,
}

impl Range {
    /// Prometheus' rules, in its order: the end not before the start, a step above zero, and no
    /// more than 11,000 steps.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), RangeError> {
        /// Of a millisecond.
        const NANOS: u128 = 1_000_000;
        if self.end < self.start {
            return Err(RangeError::EndBeforeStart);
        }
        if self.step.is_zero() {
            return Err(RangeError::NoStep);
        }
        let span_ms = u128::from(self.end.0.abs_diff(self.start.0));
        if span_ms * NANOS / self.step.as_nanos() > STEPS_MAX {
            return Err(RangeError::TooManySteps);
        }
        Ok(())
    }
}

/// Why a range is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RangeError {
    /// It ends before it starts.
    EndBeforeStart,
    /// Its step is zero.
    NoStep,
    /// It has more than 11,000 steps.
    TooManySteps,
}

/// In Prometheus' words.
impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EndBeforeStart => {
                "invalid parameter \"end\": end timestamp must not be before start time"
            }
            Self::NoStep => {
                "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer"
            }
            Self::TooManySteps => {
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"
            }
        })
    }
}

impl core::error::Error for RangeError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: i64, end: i64, step_ms: u64) -> Range {
        Range {
            start: UnixMillis(start),
            end: UnixMillis(end),
            step: Duration::from_millis(step_ms),
        }
    }

    #[test]
    fn a_range_follows_the_rules_of_prometheus() {
        assert_eq!(range(5, 5, 1).check(), Ok(()));
        assert_eq!(range(5, 4, 0).check(), Err(RangeError::EndBeforeStart));
        assert_eq!(range(5, 5, 0).check(), Err(RangeError::NoStep));
        assert_eq!(range(0, 11_000_999, 1_000).check(), Ok(()));
        assert_eq!(
            range(0, 11_001_000, 1_000).check(),
            Err(RangeError::TooManySteps)
        );
        assert_eq!(
            range(i64::MIN, i64::MAX, 1).check(),
            Err(RangeError::TooManySteps)
        );
    }
}
