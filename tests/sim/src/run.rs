//! Plays seeds and says how to play a failed one again.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::world::{Outcome, World};

/// A run that broke a rule, and how to see it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// The rule.
    pub rule: String,
    /// What happened, and when.
    pub detail: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, rule, detail } = self;
        write!(
            f,
            "seed {seed} broke the rule: {rule}\n  {detail}\n  see it with: cargo xtask sim --seed {seed} --trace"
        )
    }
}

/// Plays the run of a seed.
///
/// # Errors
/// The first rule broken, panics among them.
pub fn run(seed: u64, trace: bool) -> Result<Outcome, Failure> {
    let played = catch_unwind(AssertUnwindSafe(|| World::new(seed, trace).run()));
    let outcome = played.map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Failure {
            seed,
            rule: "no panic".into(),
            detail: text.unwrap_or("a panic without words").into(),
        }
    })?;
    match &outcome.violation {
        None => Ok(outcome),
        Some((after, violation)) => Err(Failure {
            seed,
            rule: violation.rule.into(),
            detail: format!("after {after:?}: {}", violation.detail),
        }),
    }
}

/// Plays the run of a seed twice.
///
/// # Errors
/// The first rule broken; that the outputs differ is one.
pub fn run_twice(seed: u64) -> Result<Outcome, Failure> {
    let first = run(seed, false)?;
    let second = run(seed, false)?;
    if first.digest == second.digest {
        Ok(first)
    } else {
        Err(Failure {
            seed,
            rule: "same seed, same outputs".into(),
            detail: format!("{:x} and {:x}", first.digest, second.digest),
        })
    }
}
