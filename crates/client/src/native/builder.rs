//! Puts a client together, and says what is wrong with its parts.

use std::error::Error;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;

use tidegate_core::{
    CacheConfig, Config, ConfigError, Event, OwnerError, OwnerMap, PackConfig, PackError,
    SourceConfig, SourceKind,
};

use super::addresses::Addresses;
use super::client::Tidegate;
use super::http::TransportError;
use super::url::{SourceUrl, UrlError};

/// Puts a [`Tidegate`] together, or the configuration of its [`reload`](Tidegate::reload).
///
/// ```
/// use std::time::Duration;
///
/// use tidegate_client::native::{SourceConfig, Tidegate, packs};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let quick = SourceConfig {
///     ttl: Duration::from_secs(5),
///     ..SourceConfig::prometheus("models")
/// };
/// let client = Tidegate::builder()
///     .source_with(quick, "http://127.0.0.1:9090")
///     .source("nodes", "http://user:password@127.0.0.1:9091/prometheus")
///     .scrape("pods", [("pod-0", "http://127.0.0.1:8000/metrics")])
///     .pack(packs::inference())
///     .pack(packs::node())
///     .owner("llama-deployment", "llama-8b-autoscaler")
///     .observer(|event| eprintln!("{}: {} {}", event.source, event.name, event.detail))
///     .build()?;
/// assert!(!client.is_closed());
/// # Ok(())
/// # }
/// ```
pub struct Builder {
    config: Config,
    /// `None`: drawn when it is built.
    seed: Option<u64>,
    urls: Vec<Url>,
    recording: Option<Recording>,
    packs: Vec<PackConfig>,
    owners: Vec<(String, String)>,
    observer: Box<dyn FnMut(Event) + Send>,
}

/// Where a recording goes.
pub(super) type Recording = Box<dyn Write + Send>;

/// Where a source or its target lives, as given.
struct Url {
    source: String,
    target: Option<String>,
    url: String,
}

/// What a builder says, checked as far as it can be without a collector.
pub(super) struct Setup {
    pub(super) config: Config,
    pub(super) addresses: Addresses,
    pub(super) owners: OwnerMap,
    pub(super) observer: Box<dyn FnMut(Event) + Send>,
    pub(super) recording: Option<Recording>,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            config: Config::default(),
            seed: None,
            urls: Vec::new(),
            recording: None,
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
        self.config.sources.push(source.clone());
        self.address(source.name, url)
    }

    /// Adds a source that exposes samples as text at these targets, by name and URL, with the
    /// defaults.
    pub fn scrape(
        mut self,
        name: impl Into<String>,
        targets: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) -> Self {
        let name = name.into();
        let mut source = SourceConfig::scrape(name.clone(), Vec::new());
        for (target, url) in targets {
            let target = target.into();
            source.targets.push(target.clone());
            self = self.target_address(name.clone(), target, url);
        }
        self.config.sources.push(source);
        self
    }

    /// Adds a source that pushes samples, by [`Tidegate::record`].
    pub fn push(mut self, name: impl Into<String>) -> Self {
        self.config.sources.push(SourceConfig::push(name));
        self
    }

    /// Takes everything from this configuration, its seed as well. Its sources come before those
    /// that were added; Prometheus sources among them need an [`address`](Self::address), the
    /// targets of those that are scraped a [`target_address`](Self::target_address).
    pub fn config(mut self, config: Config) -> Self {
        let added = std::mem::replace(&mut self.config, config).sources;
        self.config.sources.extend(added);
        self.seed = Some(self.config.seed);
        self
    }

    /// Says where a source of the [`config`](Self::config) lives.
    pub fn address(mut self, source: impl Into<String>, url: impl Into<String>) -> Self {
        self.urls.push(Url {
            source: source.into(),
            target: None,
            url: url.into(),
        });
        self
    }

    /// Says where a target of a scraped source of the [`config`](Self::config) lives.
    pub fn target_address(
        mut self,
        source: impl Into<String>,
        target: impl Into<String>,
        url: impl Into<String>,
    ) -> Self {
        self.urls.push(Url {
            source: source.into(),
            target: Some(target.into()),
            url: url.into(),
        });
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

    /// Has everything that goes into the collector written down, to be replayed later: see
    /// [`recording`](crate::recording). The loop waits for the writer.
    pub fn recording(mut self, out: impl Write + Send + 'static) -> Self {
        self.recording = Some(Box::new(out));
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
        let mut config = self.config;
        config.owners.extend(self.owners);
        let mut owners = OwnerMap::default();
        for (workload, owner) in &config.owners {
            owners
                .register(workload, owner)
                .map_err(BuildError::Owner)?;
        }
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
                source.add_packs(&self.packs);
            }
        }
        Ok(Setup {
            config,
            addresses,
            owners,
            observer: self.observer,
            recording: self.recording,
        })
    }

    fn addresses(&self) -> Result<Addresses, BuildError> {
        let mut addresses = Addresses::new();
        for given in &self.urls {
            let source = &given.source;
            if !self.exists(given) {
                return Err(BuildError::NobodysAddress {
                    source: source.clone(),
                    target: given.target.clone(),
                });
            }
            let blame = |error| BuildError::Url {
                source: source.clone(),
                error,
            };
            addresses = match &given.target {
                None => addresses.with_source(source, given.url.parse().map_err(blame)?),
                Some(target) => {
                    let url = SourceUrl::target(&given.url).map_err(blame)?;
                    addresses.with_target(source, target, url)
                }
            };
        }
        for source in &self.config.sources {
            all_are_at_home(source, &addresses)?;
        }
        Ok(addresses)
    }

    fn exists(&self, url: &Url) -> bool {
        let mut sources = self.config.sources.iter();
        let source = sources.find(|source| source.name == url.source);
        source.is_some_and(|source| match &url.target {
            None => true,
            Some(target) => source.targets.contains(target),
        })
    }
}

fn all_are_at_home(source: &SourceConfig, addresses: &Addresses) -> Result<(), BuildError> {
    let check = |target: Option<&String>| {
        let address = addresses.find(&source.name, target.map(String::as_str));
        address.map(drop).ok_or_else(|| BuildError::NoAddress {
            source: source.name.clone(),
            target: target.cloned(),
        })
    };
    if source.kind == SourceKind::Prometheus {
        check(None)?;
    }
    // Only those that are scraped have any.
    source
        .targets
        .iter()
        .try_for_each(|target| check(Some(target)))
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
    /// A Prometheus source, or a target of a scraped one, has no address.
    NoAddress {
        /// The source.
        source: String,
        /// The target, if it is one.
        target: Option<String>,
    },
    /// An address is given for a source or target that there is not.
    NobodysAddress {
        /// The source's name as given.
        source: String,
        /// The target's, if it is for one.
        target: Option<String>,
    },
    /// The recording cannot be begun.
    Recording {
        /// What its writer said.
        detail: String,
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
            Self::NoAddress { source, target } => match target {
                None => write!(f, "source {source} has no address"),
                Some(target) => write!(f, "target {target:?} of source {source} has no address"),
            },
            Self::NobodysAddress { source, target } => match target {
                None => write!(
                    f,
                    "an address is given for source {source:?}, which does not exist"
                ),
                Some(target) => write!(
                    f,
                    "an address is given for target {target:?} of source {source:?}, which does not exist"
                ),
            },
            Self::Recording { detail } => write!(f, "cannot begin the recording: {detail}"),
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
            Self::NoAddress { .. }
            | Self::NobodysAddress { .. }
            | Self::Recording { .. }
            | Self::NoRuntime => None,
        }
    }
}
