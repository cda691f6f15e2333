//! What the person at the terminal sees: headings, tasks with a bar, and times.
//!
//! Everything goes to standard error, so that standard output belongs to the programs xtask runs. Without a terminal
//! (CI, a pipe) the bars vanish and each task prints one line when it starts and one when it ends.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Redraws fast enough to look alive, slowly enough to cost nothing.
const TICK_MS: u64 = 120;
/// Bars count in permille: apt reports fractions of a percent.
const BAR_FULL: u64 = 1000;

/// Prints one plain line.
pub(crate) fn say(text: &str) {
    eprintln!("  {text}");
}

/// Prints the heading of a stage.
pub(crate) fn heading(text: &str) {
    eprintln!("\n{}", paint("1;36", &format!("── {text} ──")));
}

/// A line that says something went well.
pub(crate) fn good(text: &str) {
    eprintln!("  {} {text}", paint("32", "✓"));
}

/// A line that says something went wrong.
pub(crate) fn bad(text: &str) {
    eprintln!("  {} {text}", paint("1;31", "✗"));
}

/// Bold text on a terminal.
pub(crate) fn bold(text: &str) -> String {
    paint("1", text)
}

/// `0.4 s`, `12 s`, `3 min 05 s`.
pub(crate) fn duration(span: Duration) -> String {
    let seconds = span.as_secs();
    if seconds < 10 {
        format!("{:.1} s", span.as_secs_f64())
    } else if seconds < 60 {
        format!("{seconds} s")
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

fn paint(code: &str, text: &str) -> String {
    if std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// Something that takes a while, shown as a bar or a spinner until it ends.
pub(crate) struct Task {
    label: String,
    bar: ProgressBar,
    start: Instant,
}

impl Task {
    /// Starts showing a task of unknown length.
    pub(crate) fn start(label: &str) -> Self {
        let bar = ProgressBar::new_spinner();
        if bar.is_hidden() {
            say(&format!("{label} …"));
        }
        bar.set_style(style(
            "  {spinner:.cyan} {prefix} {elapsed:.dim} {wide_msg:.dim}",
        ));
        bar.set_prefix(label.to_owned());
        bar.enable_steady_tick(Duration::from_millis(TICK_MS));
        Self {
            label: label.to_owned(),
            bar,
            start: Instant::now(),
        }
    }

    /// Shows what the task is doing just now.
    pub(crate) fn detail(&self, text: &str) {
        self.bar.set_message(text.trim().to_owned());
    }

    /// Shows how much is done, from 0 to 1; other values are clamped.
    pub(crate) fn progress(&self, done: f64) {
        if self.bar.length().is_none() {
            self.bar.set_length(BAR_FULL);
            self.bar.set_style(style(
                "  {spinner:.cyan} {prefix} [{bar:24.cyan}] {elapsed:.dim} {wide_msg:.dim}",
            ));
        }
        self.bar
            .set_position((done.clamp(0.0, 1.0) * BAR_FULL as f64) as u64);
    }

    /// Ends the task well.
    pub(crate) fn done(self) {
        self.bar.finish_and_clear();
        good(&format!(
            "{} ({})",
            self.label,
            duration(self.start.elapsed())
        ));
    }

    /// Ends the task badly.
    pub(crate) fn failed(self) {
        self.bar.finish_and_clear();
        bad(&format!(
            "{} ({})",
            self.label,
            duration(self.start.elapsed())
        ));
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants above; a wrong one is a bug, and the default spinner is still usable.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .progress_chars("━╸ ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_a_person_would_say_them() {
        assert_eq!(duration(Duration::from_millis(430)), "0.4 s");
        assert_eq!(duration(Duration::from_millis(9_940)), "9.9 s");
        assert_eq!(duration(Duration::from_secs(10)), "10 s");
        assert_eq!(duration(Duration::from_secs(59)), "59 s");
        assert_eq!(duration(Duration::from_secs(185)), "3 min 05 s");
    }
}
