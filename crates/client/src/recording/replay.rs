//! A recording, done again by a fresh collector and compared step by step.

use std::error::Error;
use std::fmt;
use std::io::{self, BufRead};
use std::mem;

use serde_json::{Map, Value};
use tidegate_api::{Command, Front, Input, Output, Reply};
use tidegate_core::{Config, ConfigError, Now};

use super::input::read_input;
use super::json::{Json, Unreadable, read_array, read_member, read_object};
use super::line::{FORMAT_VERSION, LINE_BYTES_MAX, Read1, read, read_now};
use super::output::text;
use super::timeline::{End, Timeline, Writer};

/// Gives a fresh collector what the recorded one was given, at the recorded times, and compares
/// what it says. Takes memory in the order of the recording's size.
///
/// A recording that ends early, because its limit was reached or whoever wrote it crashed, is as
/// good as any up to there; [`Timeline::end`] says so.
///
/// # Errors
/// The first thing wrong, with its line. [`ReplayError::Differs`] if the collector now says
/// something else than it did.
///
/// # Panics
/// Where the recorded collector panicked.
pub fn replay(from: impl BufRead) -> Result<Timeline, ReplayError> {
    let mut lines = Lines { from, number: 0 };
    let header = match lines.next() {
        Ok(Next::Line(header)) if header.contains_key("tidegate_recording") => header,
        Err(ReplayError::Io(error)) => return Err(ReplayError::Io(error)),
        Err(ReplayError::TooLong { line, limit_bytes }) => {
            return Err(ReplayError::TooLong { line, limit_bytes });
        }
        // Of another version, not even the sum need be where it is in this one.
        _ => return Err(ReplayError::NotARecording),
    };
    let found: u64 = lines.member(&header, "tidegate_recording")?;
    if found != FORMAT_VERSION {
        return Err(ReplayError::Version { found });
    }
    let version: String = lines.member(&header, "version")?;
    let start = header.get("start").unwrap_or(&Value::Null);
    let start = read_object(start).and_then(read_now);
    let start = start.map_err(|error| lines.unreadable(&error.within("start")))?;
    let config: Config = lines.member(&header, "config")?;
    let is_stepped: bool = lines.member(&header, "stepped")?;
    let mut front = Front::new(config, version.clone(), start).map_err(ReplayError::Config)?;
    let mut held = Vec::new();
    if is_stepped {
        held = front.step(Vec::new(), start);
        held.retain(|output| !matches!(output, Output::Wait(_)));
    }
    let mut steps = Steps {
        lines,
        front,
        held,
        step: 0,
        writer: Writer::new(start),
    };
    let end = loop {
        if let Some(end) = steps.next()? {
            break end;
        }
    };
    Ok(steps.writer.finish(version, steps.step, end))
}

struct Steps<R> {
    lines: Lines<R>,
    front: Front,
    /// What was said before the first recorded step, and comes with it.
    held: Vec<Output<Reply>>,
    step: u64,
    writer: Writer,
}

impl<R: BufRead> Steps<R> {
    /// Does one step again; `Some` is how the recording ends.
    fn next(&mut self) -> Result<Option<End>, ReplayError> {
        let given = match self.line()? {
            Ok(line) => line,
            Err(end) => return Ok(Some(end)),
        };
        if given.contains_key("stopped") {
            return self
                .lines
                .member(&given, "stopped")
                .map(End::Stopped)
                .map(Some);
        }
        self.numbered(&given)?;
        let now = read_now(&given).map_err(|error| self.lines.unreadable(&error))?;
        let inputs = read_inputs(&given).map_err(|error| self.lines.unreadable(&error))?;
        self.writer.inputs(self.step, now, &inputs);
        let mut outputs = mem::take(&mut self.held);
        outputs.extend(self.front.step(inputs, now));
        self.writer.outputs(&outputs);
        let found: Vec<String> = outputs.iter().map(text::<Front>).collect();
        let said = match self.line()? {
            Ok(line) => line,
            // A step without its outputs was the last that its machine lived to see.
            Err(End::Complete | End::Torn) => return Ok(Some(End::Torn)),
            Err(end) => return Ok(Some(end)),
        };
        if said.contains_key("stopped") {
            return self
                .lines
                .member(&said, "stopped")
                .map(End::Stopped)
                .map(Some);
        }
        self.numbered(&said)?;
        if said.contains_key("broke") {
            return self.lines.member(&said, "broke").map(End::Broke).map(Some);
        }
        let expected: Vec<String> = self.lines.member(&said, "outputs")?;
        if expected != found {
            return Err(ReplayError::Differs(Box::new(Difference {
                line: self.lines.number,
                step: self.step,
                now,
                expected,
                found,
            })));
        }
        self.step += 1;
        Ok(None)
    }

    fn line(&mut self) -> Result<Result<Map<String, Value>, End>, ReplayError> {
        let step = self.step;
        Ok(match self.lines.next() {
            Ok(Next::Line(line)) => Ok(line),
            Ok(Next::End) => Err(End::Complete),
            Ok(Next::Torn) => Err(End::Torn),
            Err(ReplayError::Damaged { line, .. }) => {
                return Err(ReplayError::Damaged { line, step });
            }
            Err(error) => return Err(error),
        })
    }

    fn numbered(&self, line: &Map<String, Value>) -> Result<(), ReplayError> {
        let found: u64 = self.lines.member(line, "step")?;
        if found == self.step {
            return Ok(());
        }
        let message = format!("expected step {}, found {found}", self.step);
        Err(self.lines.unreadable(&Unreadable::new(message)))
    }
}

fn read_inputs(line: &Map<String, Value>) -> Result<Vec<Input<Command>>, Unreadable> {
    let inputs = line.get("inputs").unwrap_or(&Value::Null);
    let inputs = read_array(inputs).map_err(|error| error.within("inputs"))?;
    let input =
        |(nth, value)| read_input(value).map_err(|error| error.within(format!("inputs: [{nth}]")));
    inputs.iter().enumerate().map(input).collect()
}

struct Lines<R> {
    from: R,
    /// Of the line read last, from 1.
    number: u64,
}

enum Next {
    Line(Map<String, Value>),
    End,
    Torn,
}

impl<R: BufRead> Lines<R> {
    fn next(&mut self) -> Result<Next, ReplayError> {
        self.number += 1;
        match read(&mut self.from, LINE_BYTES_MAX).map_err(ReplayError::Io)? {
            Read1::Line(line) => Ok(Next::Line(line)),
            Read1::End => Ok(Next::End),
            Read1::Torn => Ok(Next::Torn),
            Read1::TooLong => Err(ReplayError::TooLong {
                line: self.number,
                limit_bytes: LINE_BYTES_MAX,
            }),
            Read1::Damaged => Err(ReplayError::Damaged {
                line: self.number,
                step: 0,
            }),
            Read1::Unreadable(error) => Err(self.unreadable(&error)),
        }
    }

    fn member<T: Json>(&self, line: &Map<String, Value>, name: &str) -> Result<T, ReplayError> {
        read_member(line, name).map_err(|error| self.unreadable(&error))
    }

    fn unreadable(&self, error: &Unreadable) -> ReplayError {
        ReplayError::Unreadable {
            line: self.number,
            message: error.to_string(),
        }
    }
}

/// Where a collector says something else than the recorded one did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The line of the recorded outputs, from 1.
    pub line: u64,
    /// The step, from 0.
    pub step: u64,
    /// When it was made.
    pub now: Now,
    /// What was recorded, output by output.
    pub expected: Vec<String>,
    /// What the collector says now.
    pub found: Vec<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            step,
            now,
            expected,
            found,
        } = self;
        let same = expected
            .iter()
            .zip(found)
            .take_while(|(a, b)| a == b)
            .count();
        let nothing = || "nothing".to_owned();
        write!(
            f,
            "line {line}: step {step} (at {} ns) has another output {same}: expected {}, found {}",
            now.mono.as_nanos(),
            expected.get(same).cloned().unwrap_or_else(nothing),
            found.get(same).cloned().unwrap_or_else(nothing)
        )
    }
}

/// Why a recording cannot be done again. Lines count from 1, steps from 0.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReplayError {
    /// It cannot be read.
    Io(io::Error),
    /// It does not begin as a recording does.
    NotARecording,
    /// It is a recording of another version of the format.
    Version {
        /// That version.
        found: u64,
    },
    /// A line is longer than any that is written.
    TooLong {
        /// The line.
        line: u64,
        /// How long one may be, in bytes.
        limit_bytes: usize,
    },
    /// A line was changed after it was written.
    Damaged {
        /// The line.
        line: u64,
        /// The step it belongs to.
        step: u64,
    },
    /// A line says nothing that can be understood.
    Unreadable {
        /// The line.
        line: u64,
        /// Where in it, and what is wrong.
        message: String,
    },
    /// The configuration is refused, by this version of the collector.
    Config(ConfigError),
    /// The outputs differ.
    Differs(Box<Difference>),
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the recording cannot be read: {error}"),
            Self::NotARecording => f.write_str("line 1: this is not a recording"),
            Self::Version { found } => write!(
                f,
                "line 1: the recording is of format version {found}, only {FORMAT_VERSION} is understood"
            ),
            Self::TooLong { line, limit_bytes } => {
                write!(f, "line {line}: longer than {limit_bytes} bytes")
            }
            Self::Damaged { line, step } => {
                write!(f, "line {line}: damaged, its sum is wrong (step {step})")
            }
            Self::Unreadable { line, message } => write!(f, "line {line}: {message}"),
            Self::Config(error) => write!(f, "line 1: {error}"),
            Self::Differs(difference) => difference.fmt(f),
        }
    }
}

impl Error for ReplayError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Config(error) => Some(error),
            Self::NotARecording
            | Self::Version { .. }
            | Self::TooLong { .. }
            | Self::Damaged { .. }
            | Self::Unreadable { .. }
            | Self::Differs(_) => None,
        }
    }
}
