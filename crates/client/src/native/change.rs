//! Changes while a client is in use: templates, forgetting, a new configuration.

use std::error::Error;
use std::fmt;

use tidegate_api::{Change, ChangeError, Command, Reply};
use tidegate_core::{Collector, Config, Invalidation, Now, TemplateConfig};

use super::addresses::Addresses;
use super::builder::{BuildError, Builder};
use super::client::Tidegate;
use crate::Closed;

/// Changes while it is in use. Each has happened when its future ends, for all clones.
impl Tidegate {
    /// Adds a template to a source's catalog.
    ///
    /// # Errors
    /// An unknown source, a name that is taken, a template that is wrong; then nothing changes.
    pub async fn register(
        &self,
        source: impl Into<String>,
        template: TemplateConfig,
    ) -> Result<(), UpdateError> {
        let source = source.into();
        self.change(Change::Register { source, template })
            .await
            .map(drop)
    }

    /// Replaces a template of a source's catalog; its answers are forgotten.
    ///
    /// # Errors
    /// An unknown source or template, a template that is wrong; then nothing changes.
    pub async fn update(
        &self,
        source: impl Into<String>,
        template: TemplateConfig,
    ) -> Result<(), UpdateError> {
        let source = source.into();
        self.change(Change::Update { source, template })
            .await
            .map(drop)
    }

    /// Takes a template out of a source's catalog; its answers are forgotten, its keys no longer
    /// kept warm.
    ///
    /// # Errors
    /// An unknown source or template.
    pub async fn unregister(
        &self,
        source: impl Into<String>,
        template: impl Into<String>,
    ) -> Result<(), UpdateError> {
        let (source, template) = (source.into(), template.into());
        self.change(Change::Unregister { source, template })
            .await
            .map(drop)
    }

    /// Forgets answers, and says how many. What is being fetched for them is fetched anew.
    ///
    /// # Errors
    /// The client is closed.
    pub async fn invalidate(&self, what: Invalidation) -> Result<usize, Closed> {
        self.infallible(Change::Invalidate(what)).await
    }

    /// Stops keeping a key warm, and says whether it was. The next ask for it begins anew.
    ///
    /// # Errors
    /// The client is closed.
    pub async fn untrack(&self, key: impl Into<String>) -> Result<bool, Closed> {
        let key = key.into();
        Ok(self.infallible(Change::Untrack { key }).await? > 0)
    }

    /// Applies a new configuration, put together as the first one was.
    ///
    /// What is cached and still valid stays, except for sources that live elsewhere now. Templates
    /// that were registered since are gone. Owners are added to those there are. The observer, the
    /// recording and the seed stay as they were. Once begun it is carried out, even if the future
    /// is dropped.
    ///
    /// # Errors
    /// What is wrong with the configuration; then nothing changes.
    pub async fn reload(&self, builder: Builder) -> Result<(), UpdateError> {
        let setup = builder.check().map_err(UpdateError::Build)?;
        // A collector to throw away finds what a reload would.
        Collector::new(setup.config.clone(), Now::ZERO)
            .map_err(|error| UpdateError::Build(BuildError::Config(error)))?;
        let owners = &self.shared.owners;
        owners
            .add(&setup.owners)
            .map_err(|error| UpdateError::Build(BuildError::Owner(error)))?;
        let client = self.clone();
        let reloaded = async move { client.switch(setup.config, setup.addresses).await };
        let task = self.shared.runtime.spawn(reloaded);
        // It does not panic, so it can only have ended with its runtime.
        task.await.unwrap_or(Err(UpdateError::Closed))
    }

    async fn switch(&self, config: Config, addresses: Addresses) -> Result<(), UpdateError> {
        let mut former = self.shared.addresses.lock().await;
        let names = config.sources.iter().map(|source| source.name.clone());
        let moved: Vec<String> = names
            .filter(|name| !former.agrees(&addresses, name))
            .collect();
        self.shared.transport.set_addresses(addresses.clone());
        *former = addresses;
        self.change(Change::Reload(Box::new(config))).await?;
        for source in moved {
            self.invalidate(Invalidation::Source(source)).await?;
        }
        Ok(())
    }

    async fn infallible(&self, change: Change) -> Result<usize, Closed> {
        match self.change(change).await {
            Ok(count) => Ok(count),
            Err(UpdateError::Closed) => Err(Closed),
            Err(error) => unreachable!("this change cannot be refused: {error}"),
        }
    }

    async fn change(&self, change: Change) -> Result<usize, UpdateError> {
        match self.handle.call(Command::Change(change)).await? {
            Reply::Changed(changed) => changed.map_err(UpdateError::Refused),
            Reply::Http(_) | Reply::Answer(_) | Reply::Recorded(_) | Reply::Aggregated(_) => {
                unreachable!("a machine replies to a change with what became of it")
            }
        }
    }
}

/// Why nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpdateError {
    /// The collector says why.
    Refused(ChangeError),
    /// The new configuration is wrong.
    Build(BuildError),
    /// There is no collector any more.
    Closed,
}

impl From<Closed> for UpdateError {
    fn from(Closed: Closed) -> Self {
        Self::Closed
    }
}

impl fmt::Display for UpdateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::Build(error) => error.fmt(f),
            Self::Closed => Closed.fmt(f),
        }
    }
}

impl Error for UpdateError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Refused(error) => Some(error),
            Self::Build(error) => Some(error),
            Self::Closed => None,
        }
    }
}
