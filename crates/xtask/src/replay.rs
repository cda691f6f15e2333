//! `cargo xtask replay FILE`: has a recording again, and prints its timeline.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, ErrorKind, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use tidegate_client::recording::{End, Timeline, replay};

use crate::ui;

/// Replays the file and prints what happened from `from` on, about `key` if there is one.
pub(crate) fn run(file: &Path, from: Duration, key: Option<&str>, waits: bool) -> Result<()> {
    let opened = File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    let timeline = replay(BufReader::new(opened)).with_context(|| file.display().to_string())?;
    let mut out = BufWriter::new(io::stdout().lock());
    match print(&timeline, from, key, waits, &mut out) {
        // Whoever read it has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
        result => result.context("cannot print")?,
    }
    if timeline.end != End::Complete {
        ui::say(&timeline.end.to_string());
    }
    ui::good(&format!(
        "{} steps of Tidegate {}, all outputs the same",
        timeline.steps, timeline.version
    ));
    Ok(())
}

fn print(
    timeline: &Timeline,
    from: Duration,
    key: Option<&str>,
    waits: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    for entry in timeline.select(from, key, waits) {
        writeln!(out, "{entry}")?;
    }
    out.flush()
}

/// Reads `90`, `12.5s`, `1500ms` or `3m`.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let (number, unit_s) = if let Some(number) = text.strip_suffix("ms") {
        (number, 0.001)
    } else if let Some(number) = text.strip_suffix('s') {
        (number, 1.0)
    } else if let Some(number) = text.strip_suffix('m') {
        (number, 60.0)
    } else {
        (text, 1.0)
    };
    let seconds = number.parse::<f64>().ok().map(|number| number * unit_s);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "use seconds, or a number with ms, s or m".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_unless_they_say_otherwise() {
        assert_eq!(time("90"), Ok(Duration::from_secs(90)));
        assert_eq!(time("12.5s"), Ok(Duration::from_millis(12_500)));
        assert_eq!(time("1500ms"), Ok(Duration::from_millis(1_500)));
        assert_eq!(time("3m"), Ok(Duration::from_secs(180)));
        for wrong in ["", "s", "-1", "nan", "1h", "1e300"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
