//! One collector in its sandbox: a machine whose steps cross the component border.
//!
//! The guest imports nothing, so all it can do is answer. A step that traps, runs past its
//! deadline or says something that the host does not do breaks the machine; the collector of a
//! host then starts a fresh one.

mod convert;

use std::fmt;

use tidegate_api::{Change, CommandId, Generation, HttpRequest, Input, Output, Reuse};
use tidegate_client::{Machine, MachineError};
use tidegate_core::{Config, Instant, Now, Record};
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store, StoreLimits};

use crate::engine;

pub(crate) mod bindings {
    //! What wasmtime generates from the contract.
    #![allow(
        missing_docs,
        unnameable_types,
        reason = "generated; the contract has the docs"
    )]

    wasmtime::component::bindgen!({ path: "wit", world: "collector" });
}

use bindings::exports::tidegate::collector::machine as wit;

/// The command that configures a guest; no other command has this id.
const CONFIGURE: u64 = u64::MAX;

/// What a guest can be told.
#[derive(Clone, Debug)]
pub enum GuestCommand {
    /// A request of the HTTP API.
    Http(HttpRequest),
    /// A batch of samples of a push source.
    Record(Record),
    /// A change at run time.
    Change(Change),
}

/// What a guest replies to the command of the same kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuestReply {
    /// The response to [`GuestCommand::Http`].
    Http(GuestResponse),
    /// What became of [`GuestCommand::Record`], or why the batch was refused whole.
    Recorded(Result<GuestRecorded, String>),
    /// How many answers were forgotten, keys dropped or owners replaced by
    /// [`GuestCommand::Change`], or why nothing changed.
    Changed(Result<u64, String>),
}

/// An HTTP response of a guest. Nothing in it was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestResponse {
    /// The status code.
    pub status: u16,
    /// Names and values of headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Whether and for how long it may be given out again.
    pub reuse: Option<Reuse>,
    /// When it was rendered, once somebody who lends it has noted that.
    pub lent: Option<Lent>,
}

/// When a response was rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lent {
    /// The time of the step.
    pub at: Instant,
    /// The generation of what is kept.
    pub generation: Generation,
}

/// What became of a batch of samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GuestRecorded {
    /// How many were taken.
    pub accepted: u64,
    /// How many were not.
    pub refused: u64,
    /// Why the first of those was not.
    pub first_refusal: Option<String>,
}

/// A compiled collector that guests are made of. Cheap to clone.
#[derive(Clone)]
pub struct GuestFactory {
    engine: Engine,
    prepared: bindings::CollectorPre<StoreLimits>,
}

impl GuestFactory {
    /// Checks that `component` is a collector, which exports `step` and imports nothing.
    ///
    /// # Errors
    /// What it imports, or what its exports lack.
    pub fn new(engine: &Engine, component: &Component) -> wasmtime::Result<Self> {
        // Nothing is put into the linker: any import fails here.
        let linker = Linker::new(engine);
        let prepared = bindings::CollectorPre::new(linker.instantiate_pre(component)?)?;
        Ok(Self {
            engine: engine.clone(),
            prepared,
        })
    }

    /// A fresh guest, which must be configured before anything else.
    ///
    /// # Errors
    /// There is no room for another instance, or its start function traps.
    pub fn start(&self) -> wasmtime::Result<GuestMachine> {
        let mut store = Store::new(&self.engine, engine::limits());
        store.limiter(|limits| limits);
        store.set_epoch_deadline(engine::STEP_TICKS_MAX);
        store.set_hostcall_fuel(engine::STEP_OUTPUT_BYTES_MAX);
        let exports = self.prepared.instantiate(&mut store)?;
        Ok(GuestMachine {
            store,
            exports,
            version: String::new(),
            held: Vec::new(),
        })
    }
}

impl fmt::Debug for GuestFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuestFactory").finish_non_exhaustive()
    }
}

/// A collector in its sandbox.
pub struct GuestMachine {
    store: Store<StoreLimits>,
    exports: bindings::Collector,
    /// What goes with its configuration.
    version: String,
    /// What the guest wanted when it was configured, until the first step hands it on.
    held: Vec<Output<GuestReply>>,
}

impl GuestMachine {
    /// Configures the guest. `version` is what `/api/v1/status/buildinfo` says.
    ///
    /// # Errors
    /// What the guest says is wrong with the configuration, or that it broke.
    pub fn configure(
        &mut self,
        config: &Config,
        version: &str,
        now: Now,
    ) -> Result<(), ConfigureError> {
        version.clone_into(&mut self.version);
        let command = wit::Command::Configure(convert::config(config, version));
        let outputs = self
            .call(&[wit::Input::Command((CONFIGURE, command))], now)
            .map_err(ConfigureError::Broken)?;
        let mut verdict = None;
        for output in outputs {
            if let wit::Output::Reply((CONFIGURE, wit::Reply::Configured(result))) = output {
                verdict = Some(result);
            } else {
                self.held
                    .push(convert::output(output).map_err(ConfigureError::Broken)?);
            }
        }
        match verdict {
            Some(Ok(())) => Ok(()),
            Some(Err(message)) => Err(ConfigureError::Refused(message)),
            None => Err(ConfigureError::Broken(MachineError::new(
                "it did not reply to its configuration",
            ))),
        }
    }

    fn call(&mut self, inputs: &[wit::Input], now: Now) -> Result<Vec<wit::Output>, MachineError> {
        self.store.set_epoch_deadline(engine::STEP_TICKS_MAX);
        let now = wit::Now {
            mono_ns: now.mono.as_nanos(),
            wall_ms: now.wall.0,
        };
        self.exports
            .tidegate_collector_machine()
            .call_step(&mut self.store, now, inputs)
            .map_err(|trap| MachineError::new(convert::one_line(&format!("{trap:#}"))))
    }
}

impl Machine for GuestMachine {
    type Command = GuestCommand;
    type Reply = GuestReply;

    fn step(
        &mut self,
        inputs: Vec<Input<GuestCommand>>,
        now: Now,
    ) -> Result<Vec<Output<GuestReply>>, MachineError> {
        let inputs = inputs
            .into_iter()
            .map(|input| convert::input(input, &self.version));
        let inputs: Vec<wit::Input> = inputs.collect();
        let outputs = self.call(&inputs, now)?;
        let mut converted = std::mem::take(&mut self.held);
        // The wait of the step now made is the one that counts.
        converted.retain(|output| !matches!(output, Output::Wait(_)));
        converted.reserve(outputs.len());
        for output in outputs {
            converted.push(convert::output(output)?);
        }
        Ok(converted)
    }
}

impl fmt::Debug for GuestMachine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuestMachine")
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}

/// Why a guest is not ready.
#[derive(Debug)]
pub enum ConfigureError {
    /// It judged the configuration; its author is to blame.
    Refused(String),
    /// It broke.
    Broken(MachineError),
}

impl fmt::Display for ConfigureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(message) => {
                write!(f, "the collector refused its configuration: {message}")
            }
            Self::Broken(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConfigureError {}

/// The id that a command of this number has at the border.
fn command_id(id: CommandId) -> u64 {
    // Ids are counted up from 0; the one that configures is never reached.
    id.0
}
