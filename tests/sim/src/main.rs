//! Plays seeds: many of them for a while, or one with a trace.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use tidegate_sim::{Campaign, Told, run};

const HELP: &str = "usage: tidegate-sim [--seeds N] [--minutes M] [--from SEED] [--every]
       tidegate-sim --seed N [--trace]

Plays N seeds (2000) from SEED (0) on, for at most M minutes; or the one seed N.
  --every   go on after a failure, and count them by rule
  --trace   print every output";

/// How often there is a line about progress.
const LINE_EVERY: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Options {
    seeds: Option<u64>,
    minutes: Option<u64>,
    from: u64,
    seed: Option<u64>,
    trace: bool,
    every: bool,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    let failures = match options.seed {
        Some(seed) => one(seed, options.trace),
        None => many(&options),
    };
    if failures == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn options() -> Result<Options, String> {
    let mut options = Options::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let mut number = || {
            let text = arguments.next().unwrap_or_default();
            text.parse::<u64>()
                .map_err(|_| format!("{name} wants a number, not {text:?}"))
        };
        match name.as_str() {
            "--seeds" => options.seeds = Some(number()?),
            "--minutes" => options.minutes = Some(number()?),
            "--from" => options.from = number()?,
            "--seed" => options.seed = Some(number()?),
            "--trace" => options.trace = true,
            "--every" => options.every = true,
            _ => return Err(format!("unknown argument {name:?}")),
        }
    }
    Ok(options)
}

fn one(seed: u64, trace: bool) -> usize {
    match run(seed, trace) {
        Ok(outcome) => {
            println!(
                "seed {seed}: {} calls over {:?}, digest {:x}",
                outcome.calls, outcome.span, outcome.digest
            );
            outcome
                .marks
                .iter()
                .for_each(|(name, count)| println!("{count:>8}  {name}"));
            0
        }
        Err(failure) => {
            println!("{failure}");
            1
        }
    }
}

fn many(options: &Options) -> usize {
    let start = Instant::now();
    let in_minutes = |minutes| start + Duration::from_secs(60 * minutes);
    let seeds = match (options.seeds, options.minutes) {
        (Some(seeds), _) => seeds,
        (None, Some(_)) => u64::MAX,
        (None, None) => 2_000,
    };
    let campaign = Campaign {
        from: options.from,
        seeds,
        until: options.minutes.map(in_minutes),
        every: options.every,
    };
    let told = campaign.play(LINE_EVERY, |told| {
        let (failed, seconds) = (told.failures.len(), start.elapsed().as_secs());
        eprintln!("{} seeds, {failed} failed, {seconds} s", told.seeds);
    });
    report(&told, start.elapsed());
    told.failures.len()
}

fn report(told: &Told, real: Duration) {
    for (count, first) in told.by_rule() {
        println!("{count} × {first}");
    }
    println!(
        "{} seeds, {} calls, {} h of virtual time in {:.1} s: {} failed",
        told.seeds,
        told.calls,
        told.virtual_time.as_secs() / 3600,
        real.as_secs_f64(),
        told.failures.len()
    );
}
