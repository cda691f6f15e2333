//! Puts a client together, and says what is wrong with its parts.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::hash::{BuildHasher, RandomState};

use tidegate_core::{
    CacheConfig, Config, ConfigError, Event, OwnerError, OwnerMap, PackConfig, PackError,
    SourceConfig, SourceKind,
};

use super::client::Tidegate;
use super::http::TransportError;
use super::url::{SourceUrl, UrlError};

/// Puts a [`Tidegate`] together.
pub struct Builder {
    config: Config,
    /// `None`: drawn when it is built.
    seed: Option<u64>,
    urls: Vec<(String, String)>,
    packs: Vec<PackConfig>,
    owners: Vec<(String, String)>,
    observer: Box<dyn FnMut(Event) + Send>,
}

/// What a builder says, checked as far as it can be without a collector.
pub(super) struct Setup {
    pub(super) config: Config,
    pub(super) addresses: Vec<(String, SourceUrl)>,
    pub(super) owners: OwnerMap,
    pub(super) observer: Box<dyn FnMut(Event) + Send>,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            config: Config::default(),
            seed: None,
            urls: Vec::new(),
            packs: Vec::new(),
            owners: Vec::new(),
            observer: Box::new(|_| ()),
        }
    }

    /// Adds a Prometheus source with the defaults. The first one added is the default source.
    pub fn source(self, name: impl Into<String>, url: impl Into<String>) -> Self {
        self.source_with(SourceConfig::prometheus(name), url)
    }

    /// Adds a source with its own ttl, timeout, thresholds or templates.
    pub fn source_with(mut self, source: SourceConfig, url: impl Into<String>) -> Self {
        self.urls.push((source.name.clone(), url.into()));
        self.config.sources.push(source);
        self
    }

    /// Takes everything from this configuration, its seed as well. Its sources come before those
    /// that were added; Prometheus sources among them need an [`address`](Self::address).
    pub fn config(mut self, config: Config) -> Self {
        let added = std::mem::replace(&mut self.config, config).sources;
        self.config.sources.extend(added);
        self.seed = Some(self.config.seed);
        self
    }

    /// Says where a source of the [`config`](Self::config) lives.
    pub fn address(mut self, source: impl Into<String>, url: impl Into<String>) -> Self {
        self.urls.push((source.into(), url.into()));
        self
    }

    /// Adds the pack's templates to every Prometheus source. Where a source has a template of the
    /// same name, its own stays: so a query can be fitted to what a cluster exports.
    pub fn pack(mut self, pack: PackConfig) -> Self {
        self.packs.push(pack);
        self
    }

    /// Gives the pods of a workload to an owner; see [`Tidegate::register_owner`].
    pub fn owner(mut self, workload: impl Into<String>, owner: impl Into<String>) -> Self {
        self.owners.push((workload.into(), owner.into()));
        self
    }

    /// What jitter is drawn from. Without a seed each client gets its own, so that programs that
    /// start together do not fetch together; with one, tests can be repeated.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Bounds the answer cache, or turns it off.
    pub const fn cache(mut self, cache: CacheConfig) -> Self {
        self.config.cache = cache;
        self
    }

    /// Has every event told to `observer`, which must be quick: the loop waits for it.
    pub fn observer(mut self, observer: impl FnMut(Event) + Send + 'static) -> Self {
        self.observer = Box::new(observer);
        self
    }

    /// Starts the client.
    ///
    /// # Errors
    /// What is wrong with the sources, packs or owners, or that there is no tokio runtime here to
    /// run on.
    pub fn build(self) -> Result<Tidegate, BuildError> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        Tidegate::start(self.check()?, runtime)
    }

    pub(super) fn check(self) -> Result<Setup, BuildError> {
        let addresses = self.addresses()?;
        let mut owners = OwnerMap::default();
        for (workload, owner) in &self.owners {
            owners
                .register(workload, owner)
                .map_err(BuildError::Owner)?;
        }
        let mut config = self.config;
        config.seed = self
            .seed
            .unwrap_or_else(|| RandomState::new().hash_one("seed"));
        for pack in &self.packs {
            pack.check().map_err(|error| BuildError::Pack {
                pack: pack.name.clone(),
                error,
            })?;
        }
        for source in &mut config.sources {
            if source.kind == SourceKind::Prometheus {
                add_packs(source, &self.packs);
            }
        }
        Ok(Setup {
            config,
            addresses,
            owners,
            observer: self.observer,
        })
    }

    fn addresses(&self) -> Result<Vec<(String, SourceUrl)>, BuildError> {
        let mut addresses = Vec::new();
        for (name, url) in &self.urls {
            if !self
                .config
                .sources
                .iter()
                .any(|source| source.name == *name)
            {
                return Err(BuildError::UnknownSource { name: name.clone() });
            }
            let url = url.parse().map_err(|error| BuildError::Url {
                source: name.clone(),
                error,
            })?;
            addresses.push((name.clone(), url));
        }
        let homeless = self.config.sources.iter().find(|source| {
            source.kind == SourceKind::Prometheus
                && !addresses.iter().any(|(name, _)| *name == source.name)
        });
        match homeless {
            None => Ok(addresses),
            Some(source) => Err(BuildError::NoAddress {
                source: source.name.clone(),
            }),
        }
    }
}

/// Templates that two packs have stay twice, for the collector to refuse.
fn add_packs(source: &mut SourceConfig, packs: &[PackConfig]) {
    let own: BTreeSet<_> = source
        .templates
        .iter()
        .map(|template| template.name.clone())
        .collect();
    let queries = packs.iter().flat_map(|pack| &pack.queries);
    let new = queries.filter(|query| !own.contains(&query.name));
    source.templates.extend(new.cloned());
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // URLs as given may hold a password.
        f.debug_struct("Builder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Why there is no client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// A source's address is none.
    Url {
        /// The source.
        source: String,
        /// What is wrong with its address.
        error: UrlError,
    },
    /// A Prometheus source has no address.
    NoAddress {
        /// The source.
        source: String,
    },
    /// An address is given for a source that there is not.
    UnknownSource {
        /// The name given.
        name: String,
    },
    /// The configuration is wrong.
    Config(ConfigError),
    /// A pack is wrong.
    Pack {
        /// The pack.
        pack: String,
        /// What is wrong with it.
        error: PackError,
    },
    /// A workload cannot be given to its owner.
    Owner(OwnerError),
    /// The machine lacks what HTTP needs.
    Transport(TransportError),
    /// This was not called on a tokio runtime.
    NoRuntime,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url { source, error } => write!(f, "source {source}: {error}"),
            Self::NoAddress { source } => write!(f, "source {source} has no address"),
            Self::UnknownSource { name } => {
                write!(
                    f,
                    "an address is given for {name:?}, but no source has that name"
                )
            }
            Self::Config(error) => error.fmt(f),
            Self::Pack { pack, error } => write!(f, "pack {pack}: {error}"),
            Self::Owner(error) => error.fmt(f),
            Self::Transport(error) => error.fmt(f),
            Self::NoRuntime => f.write_str("a client must be built within a tokio runtime"),
        }
    }
}

impl Error for BuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Url { error, .. } => Some(error),
            Self::Config(error) => Some(error),
            Self::Pack { error, .. } => Some(error),
            Self::Owner(error) => Some(error),
            Self::Transport(error) => Some(error),
            Self::NoAddress { .. } | Self::UnknownSource { .. } | Self::NoRuntime => None,
        }
    }
}
