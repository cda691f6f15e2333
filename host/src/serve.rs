//! Everything together: from a configuration to a server that runs until it is told to stop.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tidegate_client::native::{HttpTransport, TransportError};
use tidegate_record::{SHUTDOWN_WAIT, SinkConfigError};
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::artefact::{Artefact, COLLECTOR};
use crate::collector::StartError;
use crate::config::HostConfig;
use crate::engine;
use crate::front::Front;
use crate::guest::GuestFactory;
use crate::node::NodeSource;
use crate::reload::Reloader;
use crate::server::{self, BindError, DRAIN_TIME_MAX};
use crate::shards::{Shards, SharedShards};
use crate::sinks::Sinks;

/// A host that is ready: it listens, and its collector runs.
#[derive(Debug)]
pub struct Serving {
    address: SocketAddr,
    listener: TcpListener,
    collector: SharedShards,
    transports: Vec<HttpTransport>,
    config: HostConfig,
    node: Option<NodeSource>,
}

/// Takes the address, opens the sinks, starts the collector and the node source. Sources need not be there. What
/// the collector is given is written to the new file `recording`, if any; of several shards, to
/// one file each, with the shard's number after another dot.
///
/// # Errors
/// The address cannot be had, the collector cannot be compiled or started, or the file cannot be
/// written.
pub async fn prepare(
    config: &HostConfig,
    cache_dir: Option<&Path>,
    recording: Option<&Path>,
) -> Result<Serving, ServeError> {
    // First what fails most often, and before anything that takes time.
    let listener = server::bind(config.listen)
        .await
        .map_err(ServeError::Bind)?;
    let address = listener.local_addr().unwrap_or(config.listen);
    let shards = config.shards.count();
    let factory = factory(shards, cache_dir)?;
    let transports = transports(config, shards)?;
    let sinks = Arc::new(Sinks::open(&config.sinks).map_err(ServeError::Sink)?);
    let collector = Shards::start_with(
        &factory,
        &config.collector(),
        env!("CARGO_PKG_VERSION"),
        transports.clone(),
        recording,
        sinks,
    );
    let collector = Arc::new(collector.map_err(ServeError::Start)?);
    if shards > 1 {
        tracing::info!(shards, "the work is spread");
    }
    if let Some(path) = recording {
        tracing::info!(file = %path.display(), "recording what goes into the collector");
    }
    for source in &config.sources {
        let url = source.url.as_ref().map(tracing::field::display);
        let targets = (!source.targets.is_empty()).then_some(source.targets.len());
        tracing::info!(source = source.config.name, url, targets, "source");
    }
    let node = if config.node.enabled {
        start_node(config, &collector)
    } else {
        None
    };
    Ok(Serving {
        address,
        listener,
        collector,
        transports,
        config: config.clone(),
        node,
    })
}

/// A transport for each shard, for their connections are theirs: a shard that is busy must not hold
/// up what another one fetches.
fn transports(config: &HostConfig, shards: usize) -> Result<Vec<HttpTransport>, ServeError> {
    let transport = |_| {
        let transport = HttpTransport::new([]).map_err(ServeError::Transport)?;
        transport.set_addresses(config.addresses());
        Ok(transport)
    };
    (0..shards).map(transport).collect()
}

fn factory(shards: usize, cache_dir: Option<&Path>) -> Result<GuestFactory, ServeError> {
    let engine = engine::engine_for(shards).map_err(ServeError::wasm)?;
    let artefact = Artefact::load(&engine, COLLECTOR, cache_dir).map_err(ServeError::wasm)?;
    tracing::info!(cache = %artefact.origin, took_ms = artefact.took.as_millis(), "collector compiled");
    GuestFactory::new(&engine, &artefact.component).map_err(ServeError::wasm)
}

/// Without the node source the rest is as good as ever.
fn start_node(config: &HostConfig, collector: &SharedShards) -> Option<NodeSource> {
    match NodeSource::start(collector, config.node.interval) {
        Ok(node) => {
            tracing::info!(
                source = crate::config::NODE,
                interval_ms = config.node.interval.as_millis(),
                "source"
            );
            Some(node)
        }
        Err(error) => {
            tracing::warn!(error = %error, "the node source does not run");
            None
        }
    }
}

impl Serving {
    /// Where it listens; the port is the real one if 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The collector behind it.
    pub fn collector(&self) -> &SharedShards {
        &self.collector
    }

    /// What applies new configurations to it. Of several at once, the last one applied counts.
    pub fn reloader(&self) -> Reloader {
        let collector = SharedShards::clone(&self.collector);
        Reloader::new(collector, self.transports.clone(), self.config.clone())
    }

    /// Serves until `stop` ends; then lets requests in flight end, until [`DRAIN_TIME_MAX`].
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self {
            listener,
            collector,
            node,
            ..
        } = self;
        let front = Front::new(&collector);
        let cut_off = server::serve(listener, || front.connection(), stop).await;
        drop(node);
        if cut_off > 0 {
            tracing::warn!(connections = cut_off, "cut off what did not end in time");
        }
        if timeout(DRAIN_TIME_MAX, collector.close()).await.is_err() {
            tracing::warn!("the collector did not end in time");
        }
        let sinks = Arc::clone(collector.sinks());
        let closed = spawn_blocking(move || sinks.close(SHUTDOWN_WAIT)).await;
        if closed.is_err() {
            tracing::warn!("the sinks were not closed");
        }
    }
}

/// Why the host does not serve.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// The address cannot be had.
    Bind(BindError),
    /// The component cannot be compiled or is none.
    Wasm(String),
    /// HTTP towards the sources cannot be set up.
    Transport(TransportError),
    /// A sink cannot be opened.
    Sink(SinkConfigError),
    /// The collector does not start.
    Start(StartError),
}

impl ServeError {
    fn wasm(error: wasmtime::Error) -> Self {
        Self::Wasm(format!("{error:#}"))
    }
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind(error) => error.fmt(f),
            Self::Wasm(error) => write!(f, "cannot load the collector: {error}"),
            Self::Transport(error) => error.fmt(f),
            Self::Sink(error) => error.fmt(f),
            Self::Start(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Bind(error) => Some(error),
            Self::Wasm(_) => None,
            Self::Transport(error) => Some(error),
            Self::Sink(error) => Some(error),
            Self::Start(error) => Some(error),
        }
    }
}
