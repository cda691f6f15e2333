//! The collector behind numbered commands: starts them, remembers who waits, renders the replies.

use alloc::string::String;
use alloc::vec::Vec;

use tidegate_core::{Config, ConfigError, Now};

use crate::{Command, Input, Output, Reply};

/// A collector and its HTTP API as one machine without IO.
#[derive(Debug)]
pub struct Front {}

impl Front {
    /// A machine with this configuration. `version` is what `/api/v1/status/buildinfo` says.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn new(config: Config, version: impl Into<String>, now: Now) -> Result<Self, ConfigError> {
        let _ = (config, version.into(), now);
        Ok(Self {})
    }

    /// Takes what happened and acts on every deadline that `now` has reached; says what to do.
    /// The last output is always [`Output::Wait`].
    pub fn step(&mut self, inputs: Vec<Input<Command>>, now: Now) -> Vec<Output<Reply>> {
        let _ = (inputs, now);
        Vec::new()
    }
}
