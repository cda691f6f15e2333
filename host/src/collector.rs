//! The running collector: a guest on a thread of its own, and a fresh one when it breaks.

use std::fmt;
use std::io;
use std::mem;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tidegate_api::Change;
use tidegate_client::native::TokioClock;
use tidegate_client::recording::{Recorder, Start};
use tidegate_client::{Clock, Handle, MachineError, Transport, driver};
use tidegate_core::{Config, Event, Level, Now};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::guest::{ConfigureError, GuestCommand, GuestFactory, GuestMachine, GuestReply};
use crate::lending::{Lender, Lending};
use crate::recording::{RecordError, Recorded, record};
use crate::sinks::{Feeder, Sinks};

/// How long after a first break the next guest starts: at once as far as people can tell.
const RESTART_AFTER_MIN: Duration = Duration::from_millis(100);

/// How long it takes at most, when guest after guest breaks: twice a minute is enough to notice
/// that whatever broke them is gone.
const RESTART_AFTER_MAX: Duration = Duration::from_secs(30);

/// A guest that lived this long did not break from the start, so the next one is not held back.
const STABLE_AFTER: Duration = Duration::from_secs(60);

/// A collector that runs until it is closed. Shared by everyone who asks.
#[derive(Debug)]
pub struct Collector {
    state: watch::Receiver<State>,
    closing: watch::Sender<bool>,
    config: SharedConfig,
}

/// What a collector shares with others of its host.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Its number, where there are several.
    pub(crate) shard: Option<usize>,
    /// Where what it lends is kept.
    pub(crate) lending: Arc<Lending>,
    /// Where what it adds to its own series goes.
    pub(crate) sinks: Arc<Sinks>,
}

/// What the next guest is configured with.
type SharedConfig = Arc<Mutex<Config>>;

fn locked(config: &SharedConfig) -> MutexGuard<'_, Config> {
    // It is replaced whole, so it cannot be left half changed.
    config.lock().unwrap_or_else(PoisonError::into_inner)
}

type GuestHandle = Handle<GuestCommand, GuestReply>;

#[derive(Clone, Debug)]
enum State {
    Up(GuestHandle),
    /// It broke; the next one is on its way.
    Down,
    Closed,
}

impl Collector {
    /// Starts a guest with this configuration on a thread of its own. `version` is what
    /// `/api/v1/status/buildinfo` says. What the first guest is given is written to the new file
    /// `recording`, if any.
    ///
    /// # Errors
    /// The first guest cannot be started or refuses its configuration, the file cannot be written,
    /// or there is no thread for it. What breaks later is logged and mended.
    pub fn start<T>(
        factory: GuestFactory,
        config: Config,
        version: &str,
        transport: T,
        recording: Option<&Path>,
    ) -> Result<Self, StartError>
    where
        T: Transport + Send + 'static,
    {
        let lending = Arc::new(Lending::new(TokioClock::new(), 1));
        let part = Part {
            shard: None,
            lending,
            sinks: Arc::default(),
        };
        Self::start_part(factory, config, version, transport, recording, part)
    }

    /// The same, as a part of several.
    pub(crate) fn start_part<T>(
        factory: GuestFactory,
        config: Config,
        version: &str,
        transport: T,
        recording: Option<&Path>,
        part: Part,
    ) -> Result<Self, StartError>
    where
        T: Transport + Send + 'static,
    {
        let config = Arc::new(Mutex::new(config));
        let setup = Setup {
            factory,
            config: Arc::clone(&config),
            version: version.to_owned(),
            clock: part.lending.clock(),
        };
        let first = setup.first_guest(recording)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(StartError::Thread)?;
        let (state_sender, state) = watch::channel(State::Down);
        let (closing, is_closing) = watch::channel(false);
        let supervisor = Supervisor {
            setup,
            part,
            runtime,
            transport,
            state: state_sender,
            is_closing,
        };
        let (is_up, up) = mpsc::sync_channel(1);
        // A step may take seconds and must not hold up anybody else's sockets.
        thread::Builder::new()
            .name("tidegate-guest".into())
            .spawn(move || supervisor.run(first, &is_up))
            .map_err(StartError::Thread)?;
        // The sender goes with the thread, which cannot end before it was up.
        let _ = up.recv();
        Ok(Self {
            state,
            closing,
            config,
        })
    }

    /// Sends a command to the guest and waits for its reply. Dropping the future abandons it.
    ///
    /// # Errors
    /// There is no guest now, or it broke over this or another command.
    pub async fn call(&self, command: GuestCommand) -> Result<GuestReply, Unavailable> {
        let handle = match &*self.state.borrow() {
            State::Up(handle) => handle.clone(),
            State::Down => return Err(Unavailable::Restarting),
            State::Closed => return Err(Unavailable::Closed),
        };
        handle
            .call(command)
            .await
            .map_err(|_| Unavailable::Restarting)
    }

    /// What it is configured with.
    pub(crate) fn config(&self) -> Config {
        locked(&self.config).clone()
    }

    /// Applies a new configuration without losing what is in memory and still valid; later guests
    /// get it, too. One at a time: of two at once, nobody can say which comes last.
    ///
    /// # Errors
    /// What the guest says is wrong with it, and then nothing changes; or the host is ending.
    pub async fn reload(&self, config: Config) -> Result<(), ReloadError> {
        /// A guest that breaks over it, or just then, has a successor that was made with it.
        const TRIES_MAX: usize = 2;
        let former = mem::replace(&mut *locked(&self.config), config.clone());
        for _ in 0..TRIES_MAX {
            self.ready().await;
            let change = GuestCommand::Change(Change::Reload(Box::new(config.clone())));
            let message = match self.call(change).await {
                Ok(GuestReply::Changed(Ok(_))) => return Ok(()),
                Err(Unavailable::Restarting) => continue,
                Err(Unavailable::Closed) => return Err(ReloadError::Closed),
                Ok(GuestReply::Changed(Err(message))) => message,
                Ok(GuestReply::Http(_) | GuestReply::Recorded(_)) => {
                    "it mixed up its replies".to_owned()
                }
            };
            *locked(&self.config) = former;
            return Err(ReloadError::Refused(message));
        }
        Ok(())
    }

    /// Waits until the first or next guest takes commands, or none will any more.
    pub async fn ready(&self) {
        let mut state = self.state.clone();
        // The supervisor is gone only once it is closed.
        let _ = state.wait_for(|state| !matches!(state, State::Down)).await;
    }

    /// Lets the guest reply to what it was sent, and ends it. Waits for the end.
    pub async fn close(&self) {
        self.closing.send_replace(true);
        let handle = match &*self.state.borrow() {
            State::Up(handle) => Some(handle.clone()),
            State::Down | State::Closed => None,
        };
        if let Some(handle) = handle {
            handle.close();
        }
        let mut state = self.state.clone();
        let _ = state.wait_for(|state| matches!(state, State::Closed)).await;
    }
}

/// What every guest is made of.
struct Setup {
    factory: GuestFactory,
    config: SharedConfig,
    version: String,
    clock: TokioClock,
}

impl Setup {
    fn first_guest(&self, recording: Option<&Path>) -> Result<Recorded, StartError> {
        let config = locked(&self.config).clone();
        let now = self.clock.now();
        let guest = self.guest(&config, now)?;
        let Some(path) = recording else {
            return Ok(Recorder::off(guest));
        };
        let start = Start {
            config: &config,
            version: &self.version,
            now,
            is_stepped: true,
        };
        record(guest, path, start).map_err(StartError::Record)
    }

    fn next_guest(&self) -> Result<Recorded, StartError> {
        let config = locked(&self.config).clone();
        self.guest(&config, self.clock.now()).map(Recorder::off)
    }

    fn guest(&self, config: &Config, now: Now) -> Result<GuestMachine, StartError> {
        let mut guest = self
            .factory
            .start()
            .map_err(|error| StartError::Instance(format!("{error:#}")))?;
        guest
            .configure(config, &self.version, now)
            .map_err(StartError::Configure)?;
        Ok(guest)
    }
}

struct Supervisor<T> {
    setup: Setup,
    part: Part,
    runtime: Runtime,
    transport: T,
    state: watch::Sender<State>,
    is_closing: watch::Receiver<bool>,
}

impl<T: Transport> Supervisor<T> {
    fn run(mut self, first: Recorded, is_up: &mpsc::SyncSender<()>) {
        let mut next = Ok(first);
        let mut restart_after = RESTART_AFTER_MIN;
        loop {
            let started = Instant::now();
            let end = next.and_then(|guest| self.drive(guest, is_up).map_err(StartError::Broken));
            let Err(error) = end else { break };
            self.state.send_replace(State::Down);
            if started.elapsed() >= STABLE_AFTER {
                restart_after = RESTART_AFTER_MIN;
            }
            tracing::error!(shard = self.part.shard, error = %error, restart_after_ms = restart_after.as_millis(), "the collector broke: starting a fresh one, without what was in memory");
            if self.closes_within(restart_after) {
                break;
            }
            restart_after = (restart_after * 2).min(RESTART_AFTER_MAX);
            next = self.setup.next_guest();
        }
        self.state.send_replace(State::Closed);
    }

    /// Drives one guest to its end.
    fn drive(&self, guest: Recorded, is_up: &mpsc::SyncSender<()>) -> Result<(), MachineError> {
        let Part {
            shard,
            lending,
            sinks,
        } = &self.part;
        let guest = Lender::new(guest, Arc::clone(lending), shard.unwrap_or_default());
        let guest = Feeder::new(guest, Arc::clone(sinks));
        let (handle, running) = driver(guest, &self.transport, &self.setup.clock, |event| {
            log(&event, *shard)
        });
        self.state.send_replace(State::Up(handle.clone()));
        // Only the first is waited for.
        let _ = is_up.try_send(());
        // Whoever closed before the line above did not see this guest.
        if *self.is_closing.borrow() {
            handle.close();
        }
        drop(handle);
        self.runtime.block_on(running)
    }

    fn closes_within(&mut self, time: Duration) -> bool {
        let closing = self.is_closing.wait_for(|is_closing| *is_closing);
        // Everybody who could ask being gone is closing, too.
        self.runtime
            .block_on(async { timeout(time, closing).await.is_ok() })
    }
}

/// Logs an event of the guest. Its texts are on one line and bounded already.
fn log(event: &Event, shard: Option<usize>) {
    let Event {
        level,
        name,
        source,
        key,
        detail,
    } = event;
    let key = key.as_deref();
    match level {
        Level::Debug => {
            tracing::debug!(target: "tidegate::collector", shard, source = %source, key, detail = %detail, "{name}")
        }
        Level::Info => {
            tracing::info!(target: "tidegate::collector", shard, source = %source, key, detail = %detail, "{name}")
        }
        Level::Warn => {
            tracing::warn!(target: "tidegate::collector", shard, source = %source, key, detail = %detail, "{name}")
        }
    }
}

/// Why there is no collector.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// No guest could be instantiated.
    Instance(String),
    /// It was not ready after it was configured.
    Configure(ConfigureError),
    /// It broke later.
    Broken(MachineError),
    /// It cannot be recorded.
    Record(RecordError),
    /// The system has no thread for it.
    Thread(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance(error) => write!(f, "cannot start a collector: {error}"),
            Self::Configure(error) => error.fmt(f),
            Self::Broken(error) => error.fmt(f),
            Self::Record(error) => error.fmt(f),
            Self::Thread(error) => write!(f, "cannot start the collector's thread: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// Why a new configuration was not applied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReloadError {
    /// It is wrong; its author is to blame.
    Config(tidegate_core::ConfigError),
    /// The guest found it wrong.
    Refused(String),
    /// The host is ending.
    Closed,
}

impl fmt::Display for ReloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Refused(message) => {
                write!(f, "the collector refused the new configuration: {message}")
            }
            Self::Closed => Unavailable::Closed.fmt(f),
        }
    }
}

impl std::error::Error for ReloadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(error) => Some(error),
            Self::Refused(_) | Self::Closed => None,
        }
    }
}

/// Why a command has no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// The guest broke; a fresh one is about to take over.
    Restarting,
    /// The host is ending.
    Closed,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Restarting => "the collector broke and is being restarted; try again in a moment",
            Self::Closed => "tidegate is shutting down",
        })
    }
}

impl std::error::Error for Unavailable {}
