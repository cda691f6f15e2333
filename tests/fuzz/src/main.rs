//! Fuzzes targets: for a while each, with one seed, or a single input again.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::panic;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tidegate_fuzz::{Campaign, Failure, TARGETS, Target, corpus, has_counters, shrink};

const HELP: &str = "usage: tidegate-fuzz [TARGET] [--seconds N] [--seed N] [--keep] [--into FOLDER]
       tidegate-fuzz TARGET --case FILE

Makes up inputs for N seconds (60, or 10 for each target) from the seed N (0), until one fails.
  --case FILE    run only this input
  --keep         put those that run most into the corpus, in place of what was put there before
  --into FOLDER  where inputs that failed are put";

/// How often there is a line about progress.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How long a target is fuzzed when it is the only one, and when all are.
const SECONDS: (u64, u64) = (60, 10);

/// How many runs there are between two looks at the time.
const RUNS_PER_LOOK: u32 = 50;

/// What is worth committing: a few short inputs beside those that people wrote.
const KEPT_BYTES_MAX: usize = 600;
const KEPT_MAX: usize = 24;

struct Options {
    target: Option<&'static Target>,
    seconds: Option<u64>,
    seed: u64,
    keep: bool,
    case: Option<PathBuf>,
    into: PathBuf,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}\n\n{HELP}\n\ntargets:");
            for target in TARGETS {
                eprintln!("  {:<12} {}", target.name, target.about);
            }
            return ExitCode::from(2);
        }
    };
    match fuzz(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        target: None,
        seconds: None,
        seed: 0,
        keep: false,
        case: None,
        into: "target/tidegate/fuzz".into(),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or_else(|| format!("{name} wants a value"))
        };
        let number = |text: String| {
            let number = text.parse::<u64>();
            number.map_err(|_| format!("{name} wants a number, not {text:?}"))
        };
        match name.as_str() {
            "--seconds" => options.seconds = Some(number(value()?)?),
            "--seed" => options.seed = number(value()?)?,
            "--keep" => options.keep = true,
            "--case" => options.case = Some(value()?.into()),
            "--into" => options.into = value()?.into(),
            _ => {
                let target = TARGETS.iter().find(|target| target.name == name);
                options.target =
                    Some(target.ok_or_else(|| format!("no target is called {name:?}"))?);
            }
        }
    }
    if options.case.is_some() && options.target.is_none() {
        return Err("--case wants a target".into());
    }
    Ok(options)
}

/// Whether nothing failed.
fn fuzz(options: &Options) -> io::Result<bool> {
    if let (Some(target), Some(case)) = (options.target, &options.case) {
        (target.run)(&fs::read(case)?);
        println!("{}: {} is well", target.name, case.display());
        return Ok(true);
    }
    // A failure is told once, when it has been made short.
    panic::set_hook(Box::new(|_| ()));
    if !has_counters() {
        println!("compiled without counters: inputs are made of the corpus alone");
    }
    let (targets, seconds) = match options.target {
        Some(target) => (std::slice::from_ref(target), SECONDS.0),
        None => (&TARGETS[..], SECONDS.1),
    };
    let span = Duration::from_secs(options.seconds.unwrap_or(seconds));
    let mut all_well = true;
    for target in targets {
        all_well &= campaign(target, span, options)?;
    }
    Ok(all_well)
}

fn campaign(target: &'static Target, span: Duration, options: &Options) -> io::Result<bool> {
    let folder = options.into.join(target.name);
    fs::create_dir_all(&folder)?;
    // What ends the program, such as a stack that overflows, leaves its input here.
    let running = File::create(folder.join("running"))?;
    let mut campaign = Campaign::new(target, options.seed);
    let given = corpus::read(target)?;
    for (_, input) in given.iter().cloned() {
        if let Err(failure) = campaign.seed(input) {
            return tell(target, failure, &folder, options.seed);
        }
    }
    let (started, mut told) = (Instant::now(), Instant::now());
    let line = |campaign: &Campaign| {
        println!(
            "{:<12} seed {}: {} runs, {} edges, {} inputs, {} s",
            target.name,
            options.seed,
            campaign.runs(),
            campaign.edges(),
            campaign.inputs().len(),
            started.elapsed().as_secs(),
        );
    };
    while started.elapsed() < span {
        for _ in 0..RUNS_PER_LOOK {
            let step = campaign.step(|input| note(&running, input));
            if let Err(failure) = step {
                return tell(target, failure, &folder, options.seed);
            }
        }
        if told.elapsed() > LINE_EVERY {
            told = Instant::now();
            line(&campaign);
        }
    }
    line(&campaign);
    if options.keep {
        let folder = corpus::folder(target);
        let (found, written): (Vec<_>, Vec<_>) = given
            .into_iter()
            .partition(|(name, input)| *name == corpus::name_of(input));
        let written: Vec<_> = written.into_iter().map(|(_, input)| input).collect();
        let kept = campaign.gained(&written, KEPT_BYTES_MAX, KEPT_MAX);
        for (name, _) in found {
            fs::remove_file(folder.join(name))?;
        }
        for input in kept {
            fs::write(folder.join(corpus::name_of(&input)), input)?;
        }
    }
    Ok(true)
}

/// Nobody reads it while all goes well, so nothing is lost if it cannot be written.
fn note(running: &File, input: &[u8]) {
    let _ = running.set_len(input.len() as u64);
    let _ = running.write_all_at(input, 0);
}

fn tell(target: &Target, failure: Failure, folder: &Path, seed: u64) -> io::Result<bool> {
    let Failure { input, message } = shrink(target, failure);
    let path = folder.join(corpus::name_of(&input));
    fs::write(&path, &input)?;
    let mut out = io::stdout().lock();
    writeln!(out, "{} failed with seed {seed}: {message}", target.name)?;
    writeln!(out, "  the input: {:?}", String::from_utf8_lossy(&input))?;
    writeln!(
        out,
        "  see it with: cargo xtask fuzz {} --case {}",
        target.name,
        path.display()
    )?;
    Ok(false)
}
