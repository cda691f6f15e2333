//! Runs of one target: input after input, until one fails or there is no more time.

use std::any::Any;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use tidegate_core::Random;

use crate::Target;
use crate::coverage::Coverage;
use crate::mutate::{below, mutated};

/// No input of a few kilobytes takes longer than this: none of what reads them is more than
/// linear, and what is optimised is through with the longest in a few milliseconds.
const RUN_MAX: Duration = Duration::from_secs(5);

/// How often it is tried to make a failing input shorter.
const SHRINKS_MAX: usize = 20_000;

/// An input that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The input.
    pub input: Vec<u8>,
    /// What was said.
    pub message: String,
}

/// Inputs of one target, one after the other.
#[derive(Debug)]
pub struct Campaign {
    target: &'static Target,
    random: Random,
    inputs: Vec<Vec<u8>>,
    coverage: Coverage,
    runs: u64,
}

impl Campaign {
    /// A campaign that begins with these inputs, none of which has run yet.
    pub fn new(target: &'static Target, seed: u64) -> Self {
        Self {
            target,
            random: Random::new(seed),
            inputs: vec![Vec::new()],
            coverage: Coverage::default(),
            runs: 0,
        }
    }

    /// Runs an input, and keeps it for others to be made of it.
    ///
    /// # Errors
    /// It failed.
    pub fn seed(&mut self, input: Vec<u8>) -> Result<(), Failure> {
        self.run(&input)?;
        self.inputs.push(input);
        Ok(())
    }

    /// Makes up an input; `before` sees it before it runs.
    ///
    /// # Errors
    /// It failed.
    pub fn step(&mut self, before: impl FnOnce(&[u8])) -> Result<(), Failure> {
        let random = &mut self.random;
        // The later ones are more often new, and what is made of them, too.
        let late = below(self.inputs.len(), random).max(below(self.inputs.len(), random));
        let other = below(self.inputs.len(), random);
        let Target {
            words, bytes_max, ..
        } = self.target;
        let input = mutated(
            &self.inputs[late],
            &self.inputs[other],
            words,
            *bytes_max,
            random,
        );
        before(&input);
        if self.run(&input)? {
            self.inputs.push(input);
        }
        Ok(())
    }

    /// Whether the input ran what none before it ran.
    fn run(&mut self, input: &[u8]) -> Result<bool, Failure> {
        self.runs += 1;
        let started = Instant::now();
        let mut outcome = Ok(());
        let is_new = self
            .coverage
            .adds(|| outcome = outcome_of(self.target, input));
        let failure = |message| Failure {
            input: input.to_vec(),
            message,
        };
        outcome.map_err(failure)?;
        let took = started.elapsed();
        if took > RUN_MAX {
            return Err(failure(format!("it took {took:?}")));
        }
        Ok(is_new)
    }

    /// How many inputs ran.
    pub fn runs(&self) -> u64 {
        self.runs
    }

    /// How many edges of the compiled code they ran.
    pub fn edges(&self) -> usize {
        self.coverage.edges()
    }

    /// The inputs that others are made of.
    pub fn inputs(&self) -> &[Vec<u8>] {
        &self.inputs
    }

    /// Of all inputs of at most `bytes_max` bytes those, `count_max` at most, that run most of what the `given` do not.
    pub fn gained(&self, given: &[Vec<u8>], bytes_max: usize, count_max: usize) -> Vec<Vec<u8>> {
        let edges_of = |input: &Vec<u8>| {
            let mut coverage = Coverage::default();
            coverage.adds(|| drop(outcome_of(self.target, input)));
            coverage.seen_edges().collect::<BTreeSet<usize>>()
        };
        let known: BTreeSet<_> = given.iter().flat_map(edges_of).collect();
        let short = self.inputs.iter().filter(|input| input.len() <= bytes_max);
        let mut gains: Vec<_> = short
            .map(|input| (input, &edges_of(input) - &known))
            .collect();
        let mut gained = Vec::new();
        while gained.len() < count_max {
            let worth = |(input, gain): &&(&Vec<u8>, BTreeSet<usize>)| {
                (gain.len(), usize::MAX - input.len())
            };
            let Some((best, gain)) = gains.iter().max_by_key(worth).cloned() else {
                break;
            };
            if gain.is_empty() {
                break;
            }
            gained.push(best.clone());
            for (_, left) in &mut gains {
                *left = &*left - &gain;
            }
        }
        gained
    }
}

fn outcome_of(target: &Target, input: &[u8]) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| (target.run)(input))).map_err(|panic| words_of(&*panic))
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").to_owned()
}

/// The failure again, of a shorter input where one fails as well, in whatever way.
pub fn shrink(target: &Target, failure: Failure) -> Failure {
    let mut best = failure;
    let mut tries = 0;
    let mut piece = best.input.len().div_ceil(2);
    while piece > 0 {
        let mut at = 0;
        while at < best.input.len() && tries < SHRINKS_MAX {
            tries += 1;
            let mut input = best.input.clone();
            input.drain(at..input.len().min(at + piece));
            match outcome_of(target, &input) {
                Ok(()) => at += piece,
                Err(message) => best = Failure { input, message },
            }
        }
        piece /= 2;
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails on what has an `a` and, later, a `b`.
    const FRAGILE: Target = Target {
        name: "fragile",
        about: "",
        run: |bytes| {
            let mut rest = bytes.iter();
            let both = rest.any(|&byte| byte == b'a') && rest.any(|&byte| byte == b'b');
            assert!(!both, "both");
        },
        words: &["a", "b"],
        bytes_max: 40,
    };

    #[test]
    fn a_failure_is_found_and_made_short() {
        let mut campaign = Campaign::new(&FRAGILE, 1);
        let failure = (0..10_000).find_map(|_| campaign.step(|_| ()).err());
        let failure = shrink(&FRAGILE, failure.expect("chance finds it"));
        assert_eq!((&*failure.input, &*failure.message), (&b"ab"[..], "both"));
        let again = Campaign::new(&FRAGILE, 1).seed(failure.input);
        assert_eq!(again.map_err(|failure| failure.message), Err("both".into()));
    }
}
