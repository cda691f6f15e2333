//! A program that records into files is killed in the middle of it: everything that it had confirmed
//! is there.
//!
//! This is its own test program and, called with a path, the program that gets killed.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tidegate_record::{
    Batch, FileOptions, FileRecords, FileSink, Pump, ReadRecord, SinkOptions, Takes, files_of,
};
use tidegate_series::{Labels, Sample};

/// Small enough for a file to be put aside many times within one life.
const FILE_BYTES: u64 = 100_000;

/// Enough for nothing to be thrown away within one test.
const FILES: usize = 10_000;

/// How often it is killed, each time at another moment.
const LIVES: u64 = 8;

/// Samples in a batch: some kilobytes, so that a call of the system may be cut in two.
const BATCH: usize = 50;

/// How long anything may take.
const SOON: Duration = Duration::from_secs(60);

fn main() {
    match env::args().nth(1) {
        Some(path) if Path::new(&path).is_absolute() => record_for_ever(Path::new(&path)),
        // Whatever else a test runner passes.
        Some(_) | None => everything_confirmed_survives(),
    }
}

/// Records batches of one number each, and says each that is confirmed.
fn record_for_ever(path: &Path) {
    let options = FileOptions {
        takes: Takes::Samples,
        bytes_max: FILE_BYTES,
        files_max: FILES,
    };
    let sink = FileSink::open(path, options).expect("a file to write");
    let mut pump = Pump::new();
    pump.add("file", sink, SinkOptions::default())
        .expect("one sink");
    let labels = Labels::from_pairs([("__name__", "number"), ("why", "to be killed")]);
    let labels = labels.expect("good labels");
    let first = numbers(path).last().map_or(0, |last| last + 1);
    let mut stdout = std::io::stdout();
    for number in first.. {
        let sample = Sample {
            labels: labels.clone(),
            timestamp_ms: 0,
            value: number as f64,
        };
        let samples = vec![sample; BATCH];
        pump.offer(Batch {
            samples,
            ..Batch::default()
        });
        // Several batches are under way at once now and then.
        if number % 3 == 0 {
            assert!(pump.flush(SOON), "flushed in time");
            writeln!(stdout, "{number}").expect("somebody listens");
        }
    }
}

fn everything_confirmed_survives() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("records.jsonl");
    let mut confirmed = 0;
    let mut last_of_lives = Vec::new();
    for life in 0..LIVES {
        confirmed = live_and_die(&path, life);
        let found = numbers(&path);
        check_whole(&found, confirmed, &last_of_lives);
        last_of_lives.extend(found.last());
    }
    let files = files_of(&path).len();
    assert!(files > 3, "only {files} files: nothing was put aside");
    println!(
        "killed {LIVES} times, {confirmed} batches confirmed, {files} files: nothing is missing"
    );
}

/// Lets it record for a while, kills it, and gives back the last number that it confirmed.
fn live_and_die(path: &Path, life: u64) -> u64 {
    let program = env::current_exe().expect("this program");
    let mut child = Command::new(program)
        .arg(path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let stdout = child.stdout.take().expect("its output");
    let mut lines = BufReader::new(stdout).lines();
    let mut last = read_number(lines.next());
    let (killer, rest) = thread::scope(|scope| {
        let killer = scope.spawn(|| {
            thread::sleep(Duration::from_millis(60 + 37 * life));
            kill(&mut child)
        });
        // What it said before it died counts, a cut-off number does not.
        let rest: Vec<u64> = lines
            .map_while(Result::ok)
            .filter_map(|line| line.parse().ok())
            .collect();
        (killer.join(), rest)
    });
    killer.expect("it was killed");
    // The last line may have been cut off as well.
    if let Some(whole) = rest.len().checked_sub(2) {
        last = rest[whole];
    }
    last
}

fn read_number(line: Option<std::io::Result<String>>) -> u64 {
    let line = line.expect("it confirms something").expect("readable");
    line.parse().expect("a number")
}

/// SIGKILL: nothing of the program runs any more.
fn kill(child: &mut Child) {
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}

/// All numbers in all files, in the order they stand there, each as often as it does.
fn numbers(path: &Path) -> Vec<u64> {
    let mut numbers = Vec::new();
    for file in files_of(path) {
        for record in FileRecords::open(file).expect("a file") {
            if let ReadRecord::Sample(sample) = record.expect("a whole line") {
                numbers.push(sample.value as u64);
            }
        }
    }
    numbers
}

/// Every number up to the confirmed one is there as often as it was recorded; they never go back. The
/// last of each life may have died half-way.
fn check_whole(found: &[u64], confirmed: u64, last_of_lives: &[u64]) {
    assert!(found.is_sorted(), "in order");
    for number in 0..=confirmed {
        let start = found.partition_point(|other| *other < number);
        let end = found.partition_point(|other| *other <= number);
        let (count, was_last) = (end - start, last_of_lives.contains(&number));
        assert!(
            count == BATCH || (was_last && count > 0),
            "{number}: {count} of {BATCH} samples"
        );
    }
}
