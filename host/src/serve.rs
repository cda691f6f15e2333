//! Everything together: from a configuration to a server that runs until it is told to stop.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tidegate_client::native::{HttpTransport, TransportError};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::artefact::{Artefact, COLLECTOR};
use crate::collector::{Collector, SharedCollector, StartError};
use crate::config::HostConfig;
use crate::engine;
use crate::front::Front;
use crate::guest::GuestFactory;
use crate::node::NodeSource;
use crate::reload::Reloader;
use crate::server::{self, BindError, DRAIN_TIME_MAX};

/// A host that is ready: it listens, and its collector runs.
#[derive(Debug)]
pub struct Serving {
    address: SocketAddr,
    listener: TcpListener,
    collector: SharedCollector,
    transport: HttpTransport,
    config: HostConfig,
    node: Option<NodeSource>,
}

/// Takes the address, starts the collector and the node source. Sources need not be there. What
/// the collector is given is written to the new file `recording`, if any.
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
    let factory = factory(cache_dir)?;
    let transport = HttpTransport::new([]).map_err(ServeError::Transport)?;
    transport.set_addresses(config.addresses());
    let collector = Collector::start(
        factory,
        config.collector(),
        env!("CARGO_PKG_VERSION"),
        transport.clone(),
        recording,
    );
    let collector = Arc::new(collector.map_err(ServeError::Start)?);
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
        transport,
        config: config.clone(),
        node,
    })
}

fn factory(cache_dir: Option<&Path>) -> Result<GuestFactory, ServeError> {
    let engine = engine::engine().map_err(ServeError::wasm)?;
    let artefact = Artefact::load(&engine, COLLECTOR, cache_dir).map_err(ServeError::wasm)?;
    tracing::info!(cache = %artefact.origin, took_ms = artefact.took.as_millis(), "collector compiled");
    GuestFactory::new(&engine, &artefact.component).map_err(ServeError::wasm)
}

/// Without the node source the rest is as good as ever.
fn start_node(config: &HostConfig, collector: &SharedCollector) -> Option<NodeSource> {
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
    pub fn collector(&self) -> &SharedCollector {
        &self.collector
    }

    /// What applies new configurations to it. Of several at once, the last one applied counts.
    pub fn reloader(&self) -> Reloader {
        let collector = SharedCollector::clone(&self.collector);
        Reloader::new(collector, self.transport.clone(), self.config.clone())
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
            Self::Start(error) => Some(error),
        }
    }
}
