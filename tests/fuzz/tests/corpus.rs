//! Every committed input, and a few thousand more of a fixed seed.

use tidegate_fuzz::{Campaign, TARGETS, corpus, shrink};

/// How many inputs are made up for each target: a second or two, unoptimised.
const RUNS: u32 = 1_500;

#[test]
fn every_committed_input_and_what_is_made_of_them_is_read_well() {
    for target in &TARGETS {
        let mut campaign = Campaign::new(target, 0);
        let inputs =
            corpus::read(target).unwrap_or_else(|error| panic!("{}: {error}", target.name));
        assert!(!inputs.is_empty(), "{} has inputs", target.name);
        for (name, input) in inputs {
            if let Err(failure) = campaign.seed(input) {
                panic!("{}: {name}: {}", target.name, failure.message);
            }
        }
        for _ in 0..RUNS {
            if let Err(failure) = campaign.step(|_| ()) {
                let failure = shrink(target, failure);
                let input = String::from_utf8_lossy(&failure.input).into_owned();
                panic!("{}: {}: {input:?}", target.name, failure.message);
            }
        }
    }
}
