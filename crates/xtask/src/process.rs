//! Runs other programs: streaming their output, reading it, or showing it behind a bar.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use anyhow::{Context, Result, bail};

use crate::ui::Task;

/// How much of a failed program's output is shown, about one screen: npm tells the cause first and the help after it,
/// compilers tell the cause last.
const HEAD_LINES: usize = 12;
const TAIL_LINES: usize = 30;
/// How much of a command line an error message repeats.
const COMMAND_CHARS_MAX: usize = 160;

/// Runs to the end with output going straight through; standard input is closed, so that nothing can wait for a person.
///
/// # Errors
/// When the program cannot start or ends with anything but success.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!("`{}` failed: {status}", describe(command));
    }
    Ok(())
}

/// Runs to the end and gives back standard output, trimmed; standard error is dropped.
///
/// # Errors
/// When the program cannot start, ends with anything but success, or prints what is not UTF-8.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .with_context(|| cannot_start(command))?;
    if !output.status.success() {
        bail!("`{}` failed: {}", describe(command), output.status);
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Runs behind a task: every line of output goes to `on_line`, and only a failure prints the last of them.
///
/// # Errors
/// When the program cannot start or ends with anything but success; the error carries the end of its output.
pub(crate) fn run_behind(
    label: &str,
    command: &mut Command,
    mut on_line: impl FnMut(&Task, &str),
) -> Result<()> {
    let task = Task::start(label);
    let result = follow(command, |line| on_line(&task, line));
    match result {
        Ok(()) => task.done(),
        Err(_) => task.failed(),
    }
    result
}

fn follow(command: &mut Command, mut on_line: impl FnMut(&str)) -> Result<()> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| cannot_start(command))?;
    let (sender, lines) = mpsc::channel();
    let readers = [
        child
            .stdout
            .take()
            .map(|pipe| forward(pipe, sender.clone())),
        child
            .stderr
            .take()
            .map(|pipe| forward(pipe, sender.clone())),
    ];
    drop(sender);

    let mut excerpt = Excerpt::default();
    for line in lines {
        on_line(&line);
        excerpt.push(line);
    }
    for reader in readers.into_iter().flatten() {
        // A reader thread only moves lines; it has nothing to panic about.
        let _ = reader.join();
    }
    let status = child.wait()?;
    if !status.success() {
        bail!(
            "`{}` failed: {status}\n{}",
            describe(command),
            excerpt.text()
        );
    }
    Ok(())
}

/// The first and the last lines of an output.
#[derive(Default)]
struct Excerpt {
    head: Vec<String>,
    tail: VecDeque<String>,
    left_out: usize,
}

impl Excerpt {
    fn push(&mut self, line: String) {
        if self.head.len() < HEAD_LINES {
            return self.head.push(line);
        }
        if self.tail.len() == TAIL_LINES {
            self.tail.pop_front();
            self.left_out += 1;
        }
        self.tail.push_back(line);
    }

    fn text(mut self) -> String {
        if self.left_out > 0 {
            self.head
                .push(format!("… {} lines left out …", self.left_out));
        }
        self.head.extend(self.tail);
        self.head.join("\n")
    }
}

fn forward(
    pipe: impl Read + Send + 'static,
    sender: mpsc::Sender<String>,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            if sender
                .send(String::from_utf8_lossy(&line).into_owned())
                .is_err()
            {
                return;
            }
        }
    })
}

/// The command line as a person would type it, cut to a readable length.
pub(crate) fn describe(command: &Command) -> String {
    let mut text = Path::new(command.get_program())
        .file_name()
        .unwrap_or_else(|| command.get_program())
        .to_string_lossy()
        .into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    if text.chars().count() > COMMAND_CHARS_MAX {
        text = text.chars().take(COMMAND_CHARS_MAX).collect();
        text.push('…');
    }
    text
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start `{}`", describe(command))
}

/// The first executable file of this name on `PATH`.
pub(crate) fn on_path(name: impl AsRef<OsStr>) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name.as_ref()))
        .find(|candidate| is_executable(candidate))
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(path: &Path) -> bool {
    path.is_file() || path.with_extension("exe").is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_carries_the_end_of_the_output() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo first; echo last >&2; exit 3"]);
        let mut seen = 0;
        let error = follow(&mut command, |_| seen += 1)
            .expect_err("exit 3 is a failure")
            .to_string();
        assert_eq!(seen, 2);
        assert!(
            error.contains("exit status: 3") && error.contains("first") && error.contains("last"),
            "{error}"
        );
    }

    #[test]
    fn an_excerpt_keeps_both_ends_of_a_long_output() {
        let mut short = Excerpt::default();
        (0..HEAD_LINES + TAIL_LINES).for_each(|line| short.push(line.to_string()));
        assert_eq!(short.text().lines().count(), HEAD_LINES + TAIL_LINES);
        let mut long = Excerpt::default();
        (0..1000).for_each(|line| long.push(line.to_string()));
        let text = long.text();
        assert_eq!(text.lines().count(), HEAD_LINES + 1 + TAIL_LINES);
        assert!(
            text.starts_with("0\n1\n")
                && text.contains("958 lines left out")
                && text.ends_with("\n999"),
            "{text}"
        );
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error =
            run(&mut Command::new("tidegate-no-such-program")).expect_err("it does not exist");
        assert!(
            format!("{error:#}").contains("cannot start `tidegate-no-such-program`"),
            "{error:#}"
        );
        assert_eq!(on_path("tidegate-no-such-program"), None);
    }

    #[test]
    fn a_long_command_line_is_cut() {
        let mut command = Command::new("/usr/bin/true");
        command.arg("é".repeat(COMMAND_CHARS_MAX));
        let text = describe(&command);
        assert!(text.starts_with("true é") && text.ends_with('…'));
        assert_eq!(text.chars().count(), COMMAND_CHARS_MAX + 1);
    }
}
