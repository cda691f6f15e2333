//! A collector in a tokio program: sources in, answers out.

use std::error::Error;
use std::fmt;

use tidegate_api::{Command, Front, Reply};
use tidegate_core::{Answer, Ask, CacheConfig, Config, ConfigError, Event, SourceConfig};

use super::clock::TokioClock;
use super::http::{HttpTransport, TransportError};
use super::url::{SourceUrl, UrlError};
use crate::{ClientError, Clock, Handle, driver};

/// A collector on the current tokio runtime. Clones share it; it ends with the last one.
///
/// ```no_run
/// use tidegate_client::native::Tidegate;
/// use tidegate_core::Ask;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Tidegate::builder().source("prom", "http://127.0.0.1:9090").build()?;
/// let answer = client.query(Ask::promql("sum(up)")).await?;
/// println!("{:?}, {:?} old", answer.payload.response.data, answer.age);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Tidegate {
    handle: Handle<Command, Reply>,
}

impl Tidegate {
    /// Begins a client without sources.
    pub fn builder() -> Builder {
        Builder {
            config: Config::default(),
            urls: Vec::new(),
            observer: Box::new(|_| ()),
        }
    }

    /// Asks, and waits for the answer, at the longest as long as the ask's timeout.
    ///
    /// # Errors
    /// Why there is no answer, or that the runtime it was built on is gone.
    pub async fn query(&self, ask: Ask) -> Result<Answer, ClientError> {
        self.handle.query(ask).await
    }

    /// The handle below, for commands of other kinds.
    pub fn handle(&self) -> &Handle<Command, Reply> {
        &self.handle
    }
}

/// Puts a [`Tidegate`] together.
pub struct Builder {
    config: Config,
    urls: Vec<(String, String)>,
    observer: Box<dyn FnMut(Event) + Send>,
}

impl Builder {
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

    /// Bounds the answer cache, or turns it off.
    pub fn cache(mut self, cache: CacheConfig) -> Self {
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
    /// What is wrong with the sources, or that there is no tokio runtime here to run on.
    pub fn build(self) -> Result<Tidegate, BuildError> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        let mut sources = Vec::new();
        for (name, url) in self.urls {
            match url.parse::<SourceUrl>() {
                Ok(url) => sources.push((name, url)),
                Err(error) => {
                    return Err(BuildError::Url {
                        source: name,
                        error,
                    });
                }
            }
        }
        let clock = TokioClock::new();
        let machine = Front::new(self.config, env!("CARGO_PKG_VERSION"), clock.now())
            .map_err(BuildError::Config)?;
        let transport = HttpTransport::new(sources).map_err(BuildError::Transport)?;
        let (handle, running) = driver(machine, transport, clock, self.observer);
        runtime.spawn(running);
        Ok(Tidegate { handle })
    }
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
    /// The configuration is wrong.
    Config(ConfigError),
    /// The machine lacks what HTTP needs.
    Transport(TransportError),
    /// This was not called on a tokio runtime.
    NoRuntime,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url { source, error } => write!(f, "source {source}: {error}"),
            Self::Config(error) => error.fmt(f),
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
            Self::Transport(error) => Some(error),
            Self::NoRuntime => None,
        }
    }
}
