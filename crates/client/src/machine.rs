//! What can be driven: the step machine in process, or one behind a border that can break.

use std::error::Error;
use std::fmt;

use tidegate_api::{Command, Front, Input, Output, Reply};
use tidegate_core::Now;

/// A machine without IO that is driven by steps.
///
/// Every command gets exactly one [`Output::Reply`], unless it is abandoned first; the last output
/// of a step is [`Output::Wait`].
pub trait Machine {
    /// What it takes.
    type Command;
    /// What it gives back.
    type Reply;

    /// Takes what happened and acts on every deadline that `now` has reached; says what to do.
    ///
    /// # Errors
    /// The machine broke and must not be stepped again.
    fn step(
        &mut self,
        inputs: Vec<Input<Self::Command>>,
        now: Now,
    ) -> Result<Vec<Output<Self::Reply>>, MachineError>;
}

impl Machine for Front {
    type Command = Command;
    type Reply = Reply;

    /// Never fails: in process there is no border to break at.
    fn step(
        &mut self,
        inputs: Vec<Input<Command>>,
        now: Now,
    ) -> Result<Vec<Output<Reply>>, MachineError> {
        Ok(Self::step(self, inputs, now))
    }
}

/// The machine broke, as a guest does that traps. Its owner may start a fresh one.
#[derive(Debug)]
pub struct MachineError {
    cause: Box<dyn Error + Send + Sync>,
}

impl MachineError {
    /// A broken machine, and what broke it.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            cause: cause.into(),
        }
    }
}

impl fmt::Display for MachineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the collector broke: {}", self.cause)
    }
}

impl Error for MachineError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.source()
    }
}
