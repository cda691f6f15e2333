//! Plays many seeds on all cores.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::marks::Marks;
use crate::run::{Failure, run, run_twice};

/// One seed in this many is played twice, to see that its outputs are the same.
const TWICE_EVERY: u64 = 16;

/// Which seeds are played.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// The first.
    pub from: u64,
    /// How many at most.
    pub seeds: u64,
    /// No seed begins after this.
    pub until: Option<Instant>,
    /// Whether to go on after a failure.
    pub every: bool,
}

/// How a campaign went.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Runs played.
    pub seeds: u64,
    /// Calls made in them, those of runs that failed left aside.
    pub calls: u64,
    /// Virtual time that passed in the same.
    pub virtual_time: Duration,
    /// What was done in the same.
    pub marks: Marks,
    /// Runs that broke a rule, in order of their seeds.
    pub failures: Vec<Failure>,
}

impl Told {
    /// The failures by rule: how many, and the first.
    pub fn by_rule(&self) -> Vec<(usize, &Failure)> {
        let mut rules: Vec<(usize, &Failure)> = Vec::new();
        for failure in &self.failures {
            match rules
                .iter_mut()
                .find(|(_, first)| first.rule == failure.rule)
            {
                Some((count, _)) => *count += 1,
                None => rules.push((1, failure)),
            }
        }
        rules
    }
}

/// What the threads share.
struct Board {
    next: AtomicU64,
    stop: AtomicBool,
    told: Mutex<Told>,
}

impl Campaign {
    /// Plays them. `progress` is called now and then with what is known so far.
    pub fn play(&self, every: Duration, progress: impl Fn(&Told)) -> Told {
        let board = Board {
            next: AtomicU64::new(self.from),
            stop: AtomicBool::new(false),
            told: Mutex::default(),
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            let players: Vec<_> = (0..threads)
                .map(|_| scope.spawn(|| self.work(&board)))
                .collect();
            let mut line_at = Instant::now() + every;
            while players.iter().any(|player| !player.is_finished()) {
                std::thread::sleep(Duration::from_millis(20));
                if Instant::now() >= line_at {
                    line_at += every;
                    progress(&board.told.lock().unwrap_or_else(PoisonError::into_inner));
                }
            }
        });
        let mut told = board
            .told
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        told.failures.sort_by_key(|failure| failure.seed);
        told
    }

    fn work(&self, board: &Board) {
        while !board.stop.load(Ordering::Relaxed)
            && self.until.is_none_or(|until| Instant::now() < until)
        {
            let seed = board.next.fetch_add(1, Ordering::Relaxed);
            if seed - self.from >= self.seeds {
                return;
            }
            let twice = seed.is_multiple_of(TWICE_EVERY);
            let result = if twice {
                run_twice(seed)
            } else {
                run(seed, false)
            };
            let mut told = board.told.lock().unwrap_or_else(PoisonError::into_inner);
            told.seeds += 1;
            match result {
                Ok(outcome) => {
                    told.calls += outcome.calls;
                    told.virtual_time += outcome.span;
                    told.marks.add(&outcome.marks);
                }
                Err(failure) => {
                    told.failures.push(failure);
                    board.stop.fetch_or(!self.every, Ordering::Relaxed);
                }
            }
        }
    }
}
