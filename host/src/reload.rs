//! A new configuration for a host that runs: all of it is applied, or nothing.

use std::sync::Arc;

use tidegate_api::Change;
use tidegate_client::native::{Addresses, HttpTransport};
use tidegate_core::Invalidation;
use tidegate_record::SHUTDOWN_WAIT;
use tokio::task::spawn_blocking;

use crate::collector::ReloadError;
use crate::config::HostConfig;
use crate::guest::GuestCommand;
use crate::shards::SharedShards;

/// Applies new configurations to a running host.
#[derive(Debug)]
pub struct Reloader {
    collector: SharedShards,
    /// One for each shard.
    transports: Vec<HttpTransport>,
    running: HostConfig,
}

impl Reloader {
    pub(crate) fn new(
        collector: SharedShards,
        transports: Vec<HttpTransport>,
        running: HostConfig,
    ) -> Self {
        Self {
            collector,
            transports,
            running,
        }
    }

    /// Applies `config`, and keeps what is cached and still valid: the answers of sources that
    /// remain where they are. What cannot change while the host runs (where it listens, the
    /// number of shards, the node source, the bounds of Tidegate's own series, the seed) stays as it is; a difference is
    /// logged.
    ///
    /// # Errors
    /// What is wrong with it, and then nothing changes; or the host is ending.
    pub async fn apply(&mut self, config: HostConfig) -> Result<(), ReloadError> {
        let config = self.fixed(config);
        config.check().map_err(ReloadError::Config)?;
        let (before, after) = (self.running.addresses(), config.addresses());
        // A source that is new must be found by its first fetch.
        self.set_addresses(&after);
        if let Err(error) = self.collector.reload(config.collector()).await {
            self.set_addresses(&before);
            return Err(error);
        }
        self.forget_moved(&config, &before, &after).await;
        self.set_sinks(&config).await;
        self.running = config;
        Ok(())
    }

    fn set_addresses(&self, addresses: &Addresses) {
        for transport in &self.transports {
            transport.set_addresses(addresses.clone());
        }
    }

    /// Closes and opens sinks, which may take a while.
    async fn set_sinks(&self, config: &HostConfig) {
        let sinks = Arc::clone(self.collector.sinks());
        let configs = config.sinks.clone();
        let applied = spawn_blocking(move || sinks.apply(&configs, SHUTDOWN_WAIT)).await;
        if applied.is_err() {
            tracing::error!("the sinks were not changed");
        }
    }

    /// `config` with what stays as it is until the next start.
    fn fixed(&self, config: HostConfig) -> HostConfig {
        let running = &self.running;
        for (what, changed) in [
            ("listen", config.listen != running.listen),
            ("shards", config.shards != running.shards),
            ("node", config.node != running.node),
            ("local", config.local != running.local),
        ] {
            if changed {
                tracing::warn!("a new value of `{what}` takes effect at the next start");
            }
        }
        HostConfig {
            listen: running.listen,
            shards: running.shards,
            node: running.node,
            local: running.local.clone(),
            seed: running.seed,
            ..config
        }
    }

    /// What a source said at another address, another backend may have said.
    async fn forget_moved(&self, config: &HostConfig, before: &Addresses, after: &Addresses) {
        for source in &config.sources {
            let name = &source.config.name;
            if before.agrees(after, name) {
                continue;
            }
            let forget = Change::Invalidate(Invalidation::Source(name.clone()));
            // A guest that breaks has forgotten everything.
            let _ = self.collector.call(GuestCommand::Change(forget)).await;
        }
    }
}
