//! Around a machine: writes down what every step is given before it, and what came of it after.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use tidegate_api::{Input, Output};
use tidegate_core::{Config, Event, Level, Now};

use super::input::write_input;
use super::json::write_array;
use super::line::{FORMAT_VERSION, LINE_BYTES_MAX, compose, write_now};
use super::output::{Recordable, text};
use crate::recording::json::write_text;
use crate::{Machine, MachineError};

/// How long a recording may get unless its owner says otherwise: 256 MiB, hours of a busy
/// collector, and what a disk can spare.
pub const RECORDING_BYTES_MAX: u64 = 256 << 20;

/// What is kept free for the line that says why there is no more.
const FAREWELL_BYTES: u64 = 1_024;

/// How long a line of reasons may be, in characters.
const REASON_CHARS_MAX: usize = 120;

/// How a recorded machine began.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// Its configuration, exactly.
    pub config: &'a Config,
    /// What it was told its version is.
    pub version: &'a str,
    /// When it was made. Both clocks run from here.
    pub now: Now,
    /// Whether it made a step at that time already, as a guest does when it is configured. What
    /// it said then, but for the wait, is to come with what it says in the first recorded step.
    pub is_stepped: bool,
}

/// A machine that is written down.
///
/// What it does is exactly what the machine does, but for one event, `recording-stopped`, when
/// the file is full or cannot be written: the machine goes on without it. What a step is given is
/// on file before the step, so that even a crash can be had again.
pub struct Recorder<M, W> {
    machine: M,
    tape: Option<Tape<W>>,
}

impl<M: Recordable, W: Write> Recorder<M, W> {
    /// Writes the start of the recording and records from the first step on, `bytes_max` at most
    /// (see [`RECORDING_BYTES_MAX`]). `out` is written to once or twice a step, in whole lines.
    ///
    /// # Errors
    /// The start cannot be written, or is longer than all there may be.
    pub fn new(machine: M, out: W, start: Start<'_>, bytes_max: u64) -> io::Result<Self> {
        let mut tape = Tape {
            out,
            bytes_left: bytes_max.saturating_sub(FAREWELL_BYTES),
            bytes_max,
            step: 0,
        };
        let header = compose(|object| {
            object
                .member("tidegate_recording", &FORMAT_VERSION)
                .member("version", &start.version.to_owned());
            let mut now = super::json::Object::new(object.key("start"));
            write_now(start.now, &mut now);
            now.end();
            object.member("stepped", &start.is_stepped);
            object.member("config", start.config);
        });
        tape.put(&header).map_err(io::Error::other)?;
        Ok(Self {
            machine,
            tape: Some(tape),
        })
    }
}

impl<M, W> Recorder<M, W> {
    /// The machine as it is, nothing written.
    pub const fn off(machine: M) -> Self {
        Self {
            machine,
            tape: None,
        }
    }

    /// Whether steps are still written down.
    pub const fn is_recording(&self) -> bool {
        self.tape.is_some()
    }
}

impl<M: Recordable, W: Write> Recorder<M, W> {
    /// Writes a line; stops if that cannot be done, and says why.
    fn write(&mut self, line: impl FnOnce(u64) -> Vec<u8>) -> Option<String> {
        let tape = self.tape.as_mut()?;
        let why = tape.put(&line(tape.step)).err()?;
        tape.farewell(&why);
        self.tape = None;
        Some(why)
    }
}

impl<M: Recordable, W: Write> Machine for Recorder<M, W> {
    type Command = M::Command;
    type Reply = M::Reply;

    fn step(
        &mut self,
        inputs: Vec<Input<M::Command>>,
        now: Now,
    ) -> Result<Vec<Output<M::Reply>>, MachineError> {
        let before = self.write(|step| given(step, &inputs, M::command, now));
        let mut result = self.machine.step(inputs, now);
        let after = self.write(|step| said::<M>(step, &result));
        if let Some(tape) = &mut self.tape {
            tape.step += 1;
        }
        if let (Ok(outputs), Some(why)) = (&mut result, before.or(after)) {
            // The last output stays the wait.
            let at = outputs.len().saturating_sub(1);
            outputs.insert(at, Output::Event(stopped(why)));
        }
        result
    }
}

fn given<C>(
    step: u64,
    inputs: &[Input<C>],
    view: impl Fn(&C) -> super::CommandView<'_>,
    now: Now,
) -> Vec<u8> {
    compose(|object| {
        object.member("step", &step);
        write_now(now, object);
        write_array(inputs.iter(), object.key("inputs"), |input, out| {
            write_input(input, &view, out);
        });
    })
}

fn said<M: Recordable>(step: u64, result: &Result<Vec<Output<M::Reply>>, MachineError>) -> Vec<u8> {
    compose(|object| {
        object.member("step", &step);
        match result {
            Ok(outputs) => write_array(outputs.iter(), object.key("outputs"), |output, out| {
                write_text(&text::<M>(output), out);
            }),
            Err(error) => write_text(&error.to_string(), object.key("broke")),
        }
    })
}

fn stopped(why: String) -> Event {
    Event {
        level: Level::Warn,
        name: "recording-stopped",
        source: "recorder".into(),
        key: None,
        detail: why,
    }
}

impl<M, W> fmt::Debug for Recorder<M, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("is_recording", &self.is_recording())
            .finish_non_exhaustive()
    }
}

/// Where lines go, and how much room there is.
struct Tape<W> {
    out: W,
    bytes_left: u64,
    bytes_max: u64,
    step: u64,
}

impl<W: Write> Tape<W> {
    /// Writes a whole line; `Err` says in words why not.
    fn put(&mut self, line: &[u8]) -> Result<(), String> {
        let bytes = line.len() as u64;
        if line.len() > LINE_BYTES_MAX {
            return Err(format!(
                "step {} takes {bytes} bytes, at most {LINE_BYTES_MAX} are recorded",
                self.step
            ));
        }
        if bytes > self.bytes_left {
            return Err(format!("the limit of {} bytes is reached", self.bytes_max));
        }
        self.bytes_left -= bytes;
        self.out
            .write_all(line)
            .and_then(|()| self.out.flush())
            .map_err(|error| format!("it cannot be written: {error}"))
    }

    fn farewell(&mut self, why: &str) {
        let why: String = why.chars().take(REASON_CHARS_MAX).collect();
        let line = compose(|object| {
            object.member("stopped", &why);
        });
        // If this fails as well, the recording ends without it.
        let _ = self.out.write_all(&line).and_then(|()| self.out.flush());
    }
}

/// Makes a file for a recording that only its owner can read.
///
/// # Errors
/// The file is there already (a recording is never written over), or cannot be made.
pub fn create_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}
