//! Two thousand runs: none breaks a rule, and together they do everything there is to do.

use std::sync::OnceLock;
use std::time::Duration;

use tidegate_sim::profile::{ACTS, FAULTS};
use tidegate_sim::{Campaign, Told};

const SEEDS: u64 = 2_000;

/// What else must have happened, or the runs prove little.
const MARKS: [&str; 47] = [
    "answer delivered",
    "answer kept",
    "answer-ageing",
    "ask",
    "ask several",
    "breaker half-open",
    "breaker opened",
    "breaker-opened",
    "coalesced",
    "duplicate response",
    "error",
    "eviction",
    "fetch cancelled",
    "fetch timed out",
    "fetch-failed",
    "fetched behind a stale answer",
    "fetched older than asked for",
    "hit",
    "hit by handle",
    "hit by key",
    "void handle",
    "kept warm",
    "merged answer",
    "miss",
    "overloaded",
    "probe",
    "piece of a range landed",
    "range delivered",
    "range failed",
    "range fetched",
    "range from memory",
    "range in part from memory",
    "refresh",
    "refusal recalled",
    "refusal remembered",
    "response to be ignored",
    "restarted for an invalidation",
    "retry",
    "sample recorded",
    "source-recovered",
    "stale",
    "stale-on-error",
    "untracked",
    "act: abandon",
    "act: mono back",
    "act: reload",
    "act: wall step",
];

/// All runs, played once for all tests here.
fn told() -> &'static Told {
    static TOLD: OnceLock<Told> = OnceLock::new();
    TOLD.get_or_init(|| {
        let campaign = Campaign {
            from: 0,
            seeds: SEEDS,
            until: None,
            every: true,
        };
        campaign.play(Duration::from_secs(3600), |_| {})
    })
}

#[test]
fn no_seed_breaks_a_rule() {
    let told = told();
    let rules = told.by_rule().into_iter();
    let rules: Vec<_> = rules
        .map(|(count, first)| format!("{count} × {first}"))
        .collect();
    assert!(rules.is_empty(), "\n{}", rules.join("\n"));
    assert_eq!(told.seeds, SEEDS);
}

#[test]
fn the_seeds_together_do_everything_there_is_to_do() {
    let acts = ACTS.iter().map(|(act, _)| act.name());
    let faults = FAULTS.iter().map(|fault| fault.name());
    let wanted = MARKS.into_iter().chain(acts).chain(faults);
    let never: Vec<_> = wanted
        .filter(|name| told().marks.count(name) == 0)
        .collect();
    assert!(never.is_empty(), "never happened: {never:?}");
}
