//! When a source has new data: the period and phase of its scrapes, learnt from sample times.
//!
//! Scrapes come every `P`, dated φ + kP but for a little jitter, and some are lost. From the last
//! [`INSTANTS_MAX`] dates this is told what `P` is, as follows.
//!
//! 1. Let d be the differences of consecutive dates. For m = 1 to [`DIVISOR_MAX`] the guess is
//!    min(d) / m: differences of 30 s and 45 s mean a period of 15 s.
//! 2. Each difference is taken for kᵢ = round(dᵢ / guess) periods; P = Σdᵢ / Σkᵢ. Both once more
//!    with that P as the guess.
//! 3. The first m for which every kᵢ is at least 1 and every |dᵢ − kᵢP| at most P / [`TOLERANCE`]
//!    has it, if P lies within [`PERIOD_MIN`] and [`PERIOD_MAX`].
//! 4. But a few dates out of step prove no period: were fewer than [`DOUBTS_MAX`] dates taken away,
//!    and all others lay 2P, 3P or more apart, then P is not believed.
//! 5. The phase is that of the latest comer: the date that lies farthest behind the grid of step P
//!    through the first one. New data is due at each later point of that grid, plus [`SETTLE`].
//!
//! The sums are kept as integers, so that P does not drift. Once P is learnt, a date that does not
//! fit is put aside: [`DOUBTS_MAX`] in a row and everything begins anew; that many in all, and P is
//! the shorter one that they and the others have in common, if there is one.

use alloc::vec::Vec;
use core::time::Duration;

use crate::UnixMillis;

/// Dates that are looked at; at 15 s the last four minutes.
const INSTANTS_MAX: usize = 16;
/// Dates that must agree before they are believed: those of noise do so once in a million times.
const INSTANTS_MIN: usize = 9;
/// A date may miss the grid by this part of the period.
const TOLERANCE: i64 = 16;
/// The least difference is taken for up to this many periods.
const DIVISOR_MAX: i64 = 4;
/// Whoever scrapes more often is served by a short ttl as well.
const PERIOD_MIN: Duration = Duration::from_secs(1);
/// Data of a slower source is unavailable most of the time anyway.
const PERIOD_MAX: Duration = Duration::from_secs(600);
/// Dates in a row that contradict what was learnt, and what was learnt is wrong. Fewer may be a
/// restart, or a sample that somebody else put in.
const DOUBTS_MAX: usize = 3;
/// Periods without a new date after which nothing is foretold: the source no longer scrapes, or
/// the wall clocks went apart.
const SILENT_PERIODS_MAX: i64 = 16;
/// A scrape is dated at its beginning and can be queried once it has ended, which most targets
/// make it within half a second.
const SETTLE: Duration = Duration::from_millis(500);

/// Learns when a source scrapes, and foretells when it next has new data.
///
/// Feed it the times of samples as they were scraped, by [`Self::sampled`]: those of a range
/// selector (`up[5m]`), or the values of `timestamp(up)`. An ordinary instant query or a range
/// query is dated by its evaluation, which says nothing; for those feed the changes of its values
/// by [`Self::changed`], which is enough only where it is asked much oftener than scraped. Do not
/// mix the two for one clock: a change is seen later than it is dated.
///
/// It trusts that the wall clocks of source and collector agree; by as much as they do not, its
/// foresight is early or late.
#[derive(Clone, Debug, Default)]
pub struct ScrapeClock {
    /// Increasing; no two farther apart than [`PERIOD_MAX`].
    dates: Vec<Date>,
    /// Those that do not fit `grid`, as far back as `dates` go.
    doubts: Vec<Date>,
    /// How many came since the last that fits.
    doubts_in_a_row: usize,
    grid: Option<Grid>,
}

/// When a sample was taken: not after `at_ms`, and by at most `width_ms` before it.
#[derive(Clone, Copy, Debug)]
struct Date {
    at_ms: i64,
    width_ms: i64,
}

/// What was learnt. The period is `span_ms` / `periods`, both above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Grid {
    span_ms: i64,
    periods: i64,
    /// A point of it: when the last date was due at the latest.
    anchor_ms: i64,
}

impl ScrapeClock {
    /// A clock that knows nothing.
    pub const fn new() -> Self {
        Self {
            dates: Vec::new(),
            doubts: Vec::new(),
            doubts_in_a_row: 0,
            grid: None,
        }
    }

    /// Notes the time of a sample. Times not later than one noted are ignored, so that whole
    /// answers, oldest first, may be fed; one that lies 10 min or more before or after
    /// the last begins everything anew.
    pub fn sampled(&mut self, at: UnixMillis) {
        self.note(Date {
            at_ms: at.0,
            width_ms: 0,
        });
    }

    /// Notes that values were still the former ones at `before`, and others at `at`, the instants
    /// being those for which two consecutive answers speak. Of use only while `at` − `before` is
    /// at most 1/16 of the period, else the clock would learn the rhythm of the asking; where every
    /// answer differs from the one before it therefore learns nothing.
    pub fn changed(&mut self, before: UnixMillis, at: UnixMillis) {
        self.note(Date {
            at_ms: at.0,
            width_ms: at.0.saturating_sub(before.0).max(0),
        });
    }

    /// The period, once it is known; to the nanosecond below.
    pub fn period(&self) -> Option<Duration> {
        let grid = self.grid?;
        let ns = i128::from(grid.span_ms) * 1_000_000 / i128::from(grid.periods);
        u64::try_from(ns).ok().map(Duration::from_nanos)
    }

    /// The first instant after `earliest` just after which new data can exist: later than
    /// `earliest`, and by at most a period and a millisecond. `None` while the period is unknown,
    /// when the last sample is more than 16 periods old at `now_wall`, or dated farther ahead than
    /// that.
    pub fn next_after(&self, earliest: UnixMillis, now_wall: UnixMillis) -> Option<UnixMillis> {
        let Grid {
            span_ms,
            periods,
            anchor_ms,
        } = self.grid?;
        let since_ms = now_wall.0.checked_sub(anchor_ms)?;
        if since_ms.checked_abs()? > SILENT_PERIODS_MAX * span_ms / periods {
            return None;
        }
        let since_ms = earliest
            .0
            .checked_sub(anchor_ms)?
            .checked_sub(millis(SETTLE))?;
        let passed = since_ms.checked_mul(periods)?.div_euclid(span_ms);
        // The point after those passed, rounded up to the millisecond.
        let ahead_ms = (passed + 1)
            .checked_mul(span_ms)?
            .checked_add(periods - 1)?
            .div_euclid(periods);
        let next_ms = anchor_ms.checked_add(millis(SETTLE) + ahead_ms)?;
        Some(UnixMillis(next_ms))
    }

    /// Forgets everything.
    pub fn forget(&mut self) {
        *self = Self::new();
    }

    fn note(&mut self, date: Date) {
        let newest = [&self.dates, &self.doubts].map(|dates| dates.last());
        let newest = newest.into_iter().flatten().map(|date| date.at_ms).max();
        if let Some(newest_ms) = newest {
            let apart_ms = date.at_ms.saturating_sub(newest_ms);
            if apart_ms.saturating_abs() >= millis(PERIOD_MAX) {
                self.forget();
            } else if apart_ms <= 0 {
                return;
            }
        }
        match self.grid {
            None => self.learn(date),
            Some(_) => self.check(date),
        }
    }

    /// Takes a date in while nothing is learnt that it could spoil.
    fn learn(&mut self, date: Date) {
        self.dates.push(date);
        // The newest few must not be held up by a bad one before them.
        for length in [INSTANTS_MAX, INSTANTS_MIN] {
            let surplus = self.dates.len().saturating_sub(length);
            self.grid = Grid::fit(&self.dates[surplus..]);
            if self.grid.is_some() {
                self.dates.drain(..surplus);
                return;
            }
        }
        self.forget_oldest();
    }

    /// Holds a date against what is learnt.
    fn check(&mut self, date: Date) {
        self.dates.push(date);
        let surplus = self.dates.len().saturating_sub(INSTANTS_MAX);
        if let Some(grid) = Grid::fit(&self.dates[surplus..]) {
            self.grid = Some(grid);
            self.forget_oldest();
            let oldest_ms = self.dates[0].at_ms;
            self.doubts.retain(|doubt| doubt.at_ms > oldest_ms);
            self.doubts_in_a_row = 0;
            return;
        }
        self.dates.pop();
        self.doubts.push(date);
        self.doubts_in_a_row += 1;
        if self.doubts_in_a_row >= DOUBTS_MAX {
            self.dates = self.doubts.split_off(self.doubts.len() - DOUBTS_MAX);
            self.grid = None;
        } else {
            let mut all = [&self.dates[..], &self.doubts].concat();
            all.sort_by_key(|date| date.at_ms);
            let surplus = all.len().saturating_sub(INSTANTS_MAX);
            let Some(grid) = Grid::fit(&all[surplus..]) else {
                return;
            };
            self.dates = all;
            self.grid = Some(grid);
            self.forget_oldest();
        }
        self.doubts.clear();
        self.doubts_in_a_row = 0;
    }

    fn forget_oldest(&mut self) {
        let surplus = self.dates.len().saturating_sub(INSTANTS_MAX);
        self.dates.drain(..surplus);
    }
}

impl Grid {
    /// The grid on which all these dates lie, if there is one.
    fn fit(dates: &[Date]) -> Option<Self> {
        if dates.len() < INSTANTS_MIN {
            return None;
        }
        let least_ms = gaps(dates).min()?;
        let width_ms = dates.iter().map(|date| date.width_ms).max()?;
        (1..=DIVISOR_MAX)
            .filter_map(|divisor| Self::refine(dates, least_ms, divisor))
            .find(|grid| {
                grid.holds(dates) && grid.is_coarser_than(width_ms) && grid.is_needed_by(dates)
            })
    }

    /// The grid of these dates whose period is about `span_ms` / `periods`.
    fn refine(dates: &[Date], mut span_ms: i64, mut periods: i64) -> Option<Self> {
        let (first, last) = (dates.first()?.at_ms, dates.last()?.at_ms);
        for _ in 0..2 {
            let sum = gaps(dates)
                .map(|gap_ms| rounded(gap_ms, span_ms, periods))
                .sum();
            (span_ms, periods) = (last - first, sum);
            if periods <= 0 {
                return None;
            }
        }
        let grid = Self {
            span_ms,
            periods,
            anchor_ms: last,
        };
        Some(Self {
            anchor_ms: last.saturating_add(grid.latest_ms(dates)),
            ..grid
        })
    }

    /// How far the latest comer lies behind the grid through the first date; at least 0.
    fn latest_ms(&self, dates: &[Date]) -> i64 {
        let (mut latest_ms, mut offset_ms, mut count) = (0, 0, 0);
        for gap_ms in gaps(dates) {
            offset_ms += gap_ms;
            count += rounded(gap_ms, self.span_ms, self.periods);
            latest_ms = latest_ms.max(offset_ms - count * self.span_ms / self.periods);
        }
        latest_ms
    }

    fn holds(&self, dates: &[Date]) -> bool {
        gaps(dates).all(|gap_ms| {
            let count = rounded(gap_ms, self.span_ms, self.periods);
            let miss = (gap_ms * self.periods - count * self.span_ms).abs();
            count >= 1 && miss * TOLERANCE <= self.span_ms
        })
    }

    /// Whether no multiple of the period would do for all dates but a few.
    fn is_needed_by(&self, dates: &[Date]) -> bool {
        let counts = || gaps(dates).map(|gap_ms| rounded(gap_ms, self.span_ms, self.periods));
        let longest = counts().max().unwrap_or(1);
        (2..=longest).all(|multiple| {
            let mut there = alloc::vec![0_usize; multiple as usize];
            let mut position = 0;
            there[0] = 1;
            for count in counts() {
                position = (position + count) % multiple;
                there[position as usize] += 1;
            }
            let most = there.into_iter().max().unwrap_or_default();
            dates.len() - most >= DOUBTS_MAX
        })
    }

    /// Whether the period is within its bounds, and dates of this width are sharp enough for it.
    fn is_coarser_than(&self, width_ms: i64) -> bool {
        let least_ms = width_ms.saturating_mul(TOLERANCE).max(millis(PERIOD_MIN));
        // Jitter of a tolerance is let pass at the bounds.
        let slack_ms = self.span_ms / TOLERANCE;
        self.span_ms + slack_ms >= least_ms.saturating_mul(self.periods)
            && self.span_ms <= millis(PERIOD_MAX) * self.periods
    }
}

/// The differences of consecutive dates, each above zero and below [`PERIOD_MAX`].
fn gaps(dates: &[Date]) -> impl Iterator<Item = i64> {
    dates.windows(2).map(|pair| pair[1].at_ms - pair[0].at_ms)
}

/// `gap_ms` in periods of `span_ms` / `periods`, to the nearest.
const fn rounded(gap_ms: i64, span_ms: i64, periods: i64) -> i64 {
    (2 * gap_ms * periods + span_ms) / (2 * span_ms)
}

/// For the constants above, which all fit.
const fn millis(duration: Duration) -> i64 {
    duration.as_millis() as i64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Random;

    const EPOCH_MS: i64 = 1_700_000_000_000;
    const PERIOD_MS: i64 = 15_000;

    /// Scrapes every [`PERIOD_MS`], each off by up to `jitter_ms`, of which `lost_percent` are
    /// lost.
    fn scrapes(random: &mut Random, count: i64, jitter_ms: u64, lost_percent: u64) -> Vec<i64> {
        let mut dates = Vec::new();
        for k in 0..count {
            let jitter_ms_i64 = random.below(2 * jitter_ms + 1) as i64 - jitter_ms as i64;
            if random.below(100) >= lost_percent {
                dates.push(EPOCH_MS + k * PERIOD_MS + jitter_ms_i64);
            }
        }
        dates
    }

    fn fed(dates: impl IntoIterator<Item = i64>) -> ScrapeClock {
        let mut clock = ScrapeClock::new();
        for at_ms in dates {
            clock.sampled(UnixMillis(at_ms));
        }
        clock
    }

    fn period_ms(clock: &ScrapeClock) -> Option<u128> {
        clock.period().map(|period| period.as_millis())
    }

    fn next(clock: &ScrapeClock, now_ms: i64) -> Option<i64> {
        let now = UnixMillis(now_ms);
        clock.next_after(now, now).map(|at| at.0)
    }

    #[test]
    fn eight_equal_differences_are_enough_and_seven_are_not() {
        let dates = |count| (0..count).map(|k| EPOCH_MS + k * PERIOD_MS);
        assert_eq!(fed(dates(8)).period(), None);
        let clock = fed(dates(9));
        assert_eq!(clock.period(), Some(Duration::from_secs(15)));
        let last = EPOCH_MS + 8 * PERIOD_MS;
        assert_eq!(next(&clock, last), Some(last + 500));
        assert_eq!(next(&clock, last + 499), Some(last + 500));
        assert_eq!(next(&clock, last + 500), Some(last + 15_500));
    }

    #[test]
    fn it_finds_15_s_behind_jitter_and_lost_scrapes() {
        for seed in 0..200 {
            let dates = scrapes(&mut Random::new(seed), 40, 50, 30);
            let clock = fed(dates.iter().copied());
            let period_ms = period_ms(&clock).unwrap();
            assert!(
                period_ms.abs_diff(15_000) < 20,
                "seed {seed}: {period_ms} ms"
            );
            let now_ms = *dates.last().unwrap() + 1_000;
            let next_ms = next(&clock, now_ms).unwrap();
            let late_ms = (next_ms - EPOCH_MS).rem_euclid(PERIOD_MS);
            assert!(
                (450..=1_000).contains(&late_ms),
                "seed {seed}: {late_ms} ms"
            );
        }
    }

    #[test]
    fn it_sees_the_period_behind_a_slower_asker() {
        let asked_every_40_s = (0..30).map(|k| (EPOCH_MS + k * 40_000) / PERIOD_MS * PERIOD_MS);
        assert_eq!(period_ms(&fed(asked_every_40_s)), Some(15_000));
    }

    #[test]
    fn it_does_not_lock_on_noise() {
        let mut locked = 0;
        for seed in 0..1_000 {
            let mut random = Random::new(seed);
            let mut at_ms = EPOCH_MS;
            let mut clock = ScrapeClock::new();
            for _ in 0..50 {
                at_ms += 1 + random.below(60_000) as i64;
                clock.sampled(UnixMillis(at_ms));
                locked += u32::from(clock.period().is_some());
            }
        }
        assert!(locked <= 5, "locked at {locked} of 50,000 instants");
    }

    #[test]
    fn one_date_out_of_line_is_forgiven_and_three_are_believed() {
        let mut clock = fed((0..16).map(|k| EPOCH_MS + k * PERIOD_MS));
        let odd = EPOCH_MS + 16 * PERIOD_MS + 3_300;
        clock.sampled(UnixMillis(odd));
        assert_eq!(period_ms(&clock), Some(15_000));
        clock.sampled(UnixMillis(EPOCH_MS + 17 * PERIOD_MS));
        assert_eq!(period_ms(&clock), Some(15_000));
        let moved = EPOCH_MS + 18 * PERIOD_MS + 3_300;
        for k in 0..3 {
            assert_eq!(period_ms(&clock), Some(15_000));
            clock.sampled(UnixMillis(moved + k * PERIOD_MS));
        }
        assert_eq!(clock.period(), None);
        for k in 3..9 {
            clock.sampled(UnixMillis(moved + k * PERIOD_MS));
        }
        assert_eq!(
            next(&clock, moved + 8 * PERIOD_MS),
            Some(moved + 8 * PERIOD_MS + 500)
        );
    }

    #[test]
    fn a_date_out_of_step_does_not_make_the_period_shorter() {
        for part in 2..=5 {
            for at in 0..40 {
                let mut clock = ScrapeClock::new();
                for k in 0..40 {
                    clock.sampled(UnixMillis(EPOCH_MS + k * PERIOD_MS));
                    if k == at {
                        let odd = EPOCH_MS + k * PERIOD_MS + PERIOD_MS / part;
                        clock.sampled(UnixMillis(odd));
                    }
                    let learnt = period_ms(&clock);
                    assert!(learnt.is_none_or(|ms| ms == 15_000), "1/{part}, {at}");
                }
                assert_eq!(period_ms(&clock), Some(15_000), "1/{part}, {at}");
            }
        }
    }

    #[test]
    fn a_source_that_scrapes_oftener_from_now_on_is_believed_at_the_third_date() {
        let mut clock = fed((0..16).map(|k| EPOCH_MS + k * PERIOD_MS));
        let last = EPOCH_MS + 15 * PERIOD_MS;
        for k in 1..=4 {
            clock.sampled(UnixMillis(last + k * PERIOD_MS / 2));
            assert_eq!(period_ms(&clock), Some(15_000), "{k}");
        }
        clock.sampled(UnixMillis(last + 5 * PERIOD_MS / 2));
        assert_eq!(period_ms(&clock), Some(7_500));
        // And if it was a whim, what it did before and does again counts.
        for k in 3..30 {
            clock.sampled(UnixMillis(last + k * PERIOD_MS));
        }
        assert_eq!(period_ms(&clock), Some(15_000));
    }

    #[test]
    fn a_clock_that_steps_far_begins_anew() {
        let dates = || (0..16).map(|k| EPOCH_MS + k * PERIOD_MS);
        let mut clock = fed(dates());
        clock.sampled(UnixMillis(EPOCH_MS - 3_600_000));
        assert_eq!(clock.period(), None);
        let mut clock = fed(dates());
        clock.sampled(UnixMillis(EPOCH_MS + 3_600_000));
        assert_eq!(clock.period(), None);
    }

    #[test]
    fn of_a_source_long_silent_nothing_is_foretold() {
        let clock = fed((0..9).map(|k| EPOCH_MS + k * PERIOD_MS));
        let last = EPOCH_MS + 8 * PERIOD_MS;
        let most = SILENT_PERIODS_MAX * PERIOD_MS;
        assert!(next(&clock, last + most).is_some());
        assert_eq!(next(&clock, last + most + 1), None);
        assert_eq!(next(&clock, last - most - 1), None);
    }

    #[test]
    fn it_foretells_as_far_ahead_as_somebody_asks() {
        let clock = fed((0..9).map(|k| EPOCH_MS + k * PERIOD_MS));
        let last = EPOCH_MS + 8 * PERIOD_MS;
        let next = |earliest, now| clock.next_after(UnixMillis(earliest), UnixMillis(now));
        let hour = last + 240 * PERIOD_MS;
        assert_eq!(next(hour, last), Some(UnixMillis(hour + 500)));
        assert_eq!(next(hour + 499, last), Some(UnixMillis(hour + 500)));
        assert_eq!(next(hour + 500, last), Some(UnixMillis(hour + 15_500)));
        assert_eq!(next(i64::MAX, last), None);
    }

    #[test]
    fn changes_teach_only_those_who_ask_often() {
        let seen = |every_ms: i64| {
            let mut clock = ScrapeClock::new();
            let (mut before, mut value) = (EPOCH_MS, EPOCH_MS / PERIOD_MS);
            for k in 1..600 {
                let now = EPOCH_MS + k * every_ms;
                if now / PERIOD_MS != value {
                    clock.changed(UnixMillis(before), UnixMillis(now));
                }
                (before, value) = (now, now / PERIOD_MS);
            }
            period_ms(&clock)
        };
        assert!(seen(700).unwrap().abs_diff(15_000) < 100);
        assert_eq!(seen(5_000), None);
        assert_eq!(seen(30_000), None);
    }

    proptest! {
        #[test]
        fn it_never_foretells_the_past_nor_more_than_a_period(
            seed: u64,
            jitter_ms in 0_u64..400,
            lost_percent in 0_u64..60,
            later_ms in -300_000_i64..300_000,
        ) {
            let clock = fed(scrapes(&mut Random::new(seed), 60, jitter_ms, lost_percent));
            let now_ms = EPOCH_MS + 60 * PERIOD_MS + later_ms;
            if let Some(next_ms) = next(&clock, now_ms) {
                let period_ms = period_ms(&clock).unwrap() as i64;
                prop_assert!(now_ms < next_ms && next_ms <= now_ms + period_ms + 2);
            }
        }

        #[test]
        fn no_dates_make_it_panic_or_grow(
            dates in prop::collection::vec((any::<i64>(), any::<i64>(), 0_i64..5_000), 0..60),
            now: i64,
        ) {
            let mut clock = ScrapeClock::new();
            let mut at = 0_i64;
            for (anything, kind, step) in dates {
                at = if kind % 20 == 0 { anything } else { at.saturating_add(step) };
                if kind % 3 == 0 {
                    clock.changed(UnixMillis(kind), UnixMillis(at));
                } else {
                    clock.sampled(UnixMillis(at));
                }
                for now in [now, at, i64::MIN, i64::MAX] {
                    for earliest in [now, at, i64::MIN, i64::MAX] {
                        let next = clock.next_after(UnixMillis(earliest), UnixMillis(now));
                        prop_assert!(next.is_none_or(|next| next.0 > earliest));
                    }
                }
                prop_assert!(clock.dates.len() <= INSTANTS_MAX);
                prop_assert!(clock.doubts.len() < DOUBTS_MAX * INSTANTS_MAX);
            }
        }
    }
}
