//! What an operator configures: the file, the flags that add to it, and what both come to.
//!
//! Everything is checked here, before a socket opens: names, addresses, durations, thresholds and
//! templates. What is wrong is said with its place in the file.

mod alert;
mod error;
mod file;
mod metric;
mod pack;
mod place;
mod shards;
mod sink;
mod source;
mod template;
mod value;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tidegate_client::native::{Addresses, SourceUrl};
use tidegate_core::{
    AlertsConfig, CacheConfig, Collector, Config, Limits, LocalConfig, Now, PackConfig,
    SourceConfig,
};
use tidegate_record::SinkConfig;

pub use error::ConfigError;
pub use pack::pack_toml;
pub use shards::{ShardCount, ShardCountError};

/// Where the host listens unless told otherwise: this machine only, next to Prometheus' 9090 and
/// node_exporter's 9100.
pub const LISTEN_DEFAULT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9200);

/// The name of the embedded source that speaks of this machine.
pub const NODE: &str = "node";

/// How often the node source looks, unless told otherwise: what a person watching calls live.
const NODE_INTERVAL_DEFAULT: Duration = Duration::from_secs(1);

/// A configuration file larger than this is a mistake: 1 MiB holds thousands of templates.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The host's configuration, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct HostConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Over how many shards the work is spread.
    pub shards: ShardCount,
    /// The sources of the file and the flags, in that order; not the node source.
    pub sources: Vec<ConfiguredSource>,
    /// The answer cache.
    pub cache: CacheConfig,
    /// The node source.
    pub node: NodeConfig,
    /// Tidegate's own series.
    pub local: LocalConfig,
    /// Packs beside those that are shipped.
    pub packs: Vec<PackConfig>,
    /// Owners by workload.
    pub owners: BTreeMap<String, String>,
    /// Alert rules on Tidegate's own series.
    pub alerts: AlertsConfig,
    /// Where what is added to Tidegate's own series is written.
    pub sinks: Vec<SinkConfig>,
    /// What bounds everything else.
    pub limits: Limits,
    /// What every random choice of the collector is drawn from; 0 unless set.
    pub seed: u64,
}

impl Default for HostConfig {
    /// No sources but the node source, and all defaults.
    fn default() -> Self {
        Self {
            listen: LISTEN_DEFAULT,
            shards: ShardCount::default(),
            sources: Vec::new(),
            cache: CacheConfig::default(),
            node: NodeConfig::default(),
            local: LocalConfig::default(),
            packs: Vec::new(),
            owners: BTreeMap::new(),
            alerts: AlertsConfig::default(),
            sinks: Vec::new(),
            limits: Limits::default(),
            seed: 0,
        }
    }
}

/// A source, and where it lives.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfiguredSource {
    /// What the collector is told.
    pub config: SourceConfig,
    /// What only the host knows; `None` for sources that push or are scraped.
    pub url: Option<SourceUrl>,
    /// The addresses of its targets, for sources that are scraped.
    pub targets: BTreeMap<String, SourceUrl>,
}

/// The embedded source that speaks of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// Whether it runs.
    pub enabled: bool,
    /// How often it looks.
    pub interval: Duration,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: NODE_INTERVAL_DEFAULT,
        }
    }
}

impl HostConfig {
    /// Reads and checks the file at `path`, and the files of packs that it names, relative to its
    /// own folder.
    ///
    /// # Errors
    /// The file cannot be read or is too large, or the first thing wrong in it, with its place.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let text = read(path).map_err(|reason| ConfigError::Unreadable {
            path: name.clone(),
            reason,
        })?;
        file::parse(&text, &name, path.parent().unwrap_or_else(|| Path::new("")))
    }

    /// Checks the text of a file; `name` stands in errors. Files of packs are looked for in the
    /// working folder.
    ///
    /// # Errors
    /// The first thing wrong, with its line and column.
    pub fn parse(text: &str, name: &str) -> Result<Self, ConfigError> {
        file::parse(text, name, Path::new(""))
    }

    /// Adds a source given as `NAME=URL`, with the defaults.
    ///
    /// # Errors
    /// The argument has another form, the URL is no base address, or the name is bad or taken.
    pub fn add_source(&mut self, argument: &str) -> Result<(), ConfigError> {
        let bad = |reason: String| ConfigError::SourceArgument {
            argument: error::redacted(argument),
            reason,
        };
        let Some((name, address)) = argument.split_once('=') else {
            return Err(bad("there is no '='".into()));
        };
        if self.has_source(name) {
            return Err(bad(format!(
                "a source named {name:?} is configured already; give this one another name"
            )));
        }
        let address = address
            .parse::<SourceUrl>()
            .map_err(|error| bad(error.to_string()))?;
        self.sources.push(ConfiguredSource {
            config: SourceConfig::prometheus(name),
            url: Some(address),
            targets: BTreeMap::new(),
        });
        if let Err(error) = self.check() {
            self.sources.pop();
            return Err(bad(error.to_string()));
        }
        Ok(())
    }

    fn has_source(&self, name: &str) -> bool {
        self.collector()
            .sources
            .iter()
            .any(|source| source.name == name)
    }

    /// What the collector is told: the sources in order, then the node source, if it is enabled.
    pub fn collector(&self) -> Config {
        let mut sources: Vec<SourceConfig> = self
            .sources
            .iter()
            .map(|source| source.config.clone())
            .collect();
        if self.node.enabled {
            sources.push(SourceConfig::push(NODE));
        }
        Config {
            sources,
            cache: self.cache,
            local: self.local.clone(),
            packs: self.packs.clone(),
            owners: self.owners.clone(),
            alerts: self.alerts.clone(),
            limits: self.limits,
            seed: self.seed,
            feeds_sinks: !self.sinks.is_empty(),
        }
    }

    /// What the transport is told: where the sources and their targets live.
    pub fn addresses(&self) -> Addresses {
        let mut addresses = Addresses::new();
        for source in &self.sources {
            let name = &source.config.name;
            if let Some(url) = &source.url {
                addresses = addresses.with_source(name, url.clone());
            }
            for (target, url) in &source.targets {
                addresses = addresses.with_target(name, target, url.clone());
            }
        }
        addresses
    }

    /// Has the collector itself judge the configuration.
    pub(crate) fn check(&self) -> Result<(), tidegate_core::ConfigError> {
        Collector::new(self.collector(), Now::ZERO).map(drop)
    }
}

/// The text of a file within its bound, or why there is none.
fn read(path: &Path) -> Result<String, String> {
    let bytes = std::fs::metadata(path)
        .map_err(|error| error.to_string())?
        .len();
    if bytes > FILE_BYTES_MAX {
        return Err(format!(
            "it has {bytes} bytes, at most {FILE_BYTES_MAX} are read"
        ));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(argument: &str) -> String {
        HostConfig::default()
            .add_source(argument)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_source_can_be_given_as_name_and_url() {
        let mut config = HostConfig::default();
        config.add_source("prom=http://127.0.0.1:9090").unwrap();
        config
            .add_source("far=https://u:p@prom.example.org/path/?")
            .unwrap_err();
        config
            .add_source("far=https://u:p@prom.example.org/path/")
            .unwrap();
        let names: Vec<String> = config
            .collector()
            .sources
            .into_iter()
            .map(|source| source.name)
            .collect();
        assert_eq!(names, ["prom", "far", "node"]);
    }

    #[test]
    fn a_bad_source_argument_says_what_is_wrong_and_what_to_write() {
        assert_eq!(
            refused("http://127.0.0.1:9090"),
            "bad --source \"http://127.0.0.1:9090\": there is no '='; \
             write --source NAME=URL, such as --source prom=http://127.0.0.1:9090"
        );
        assert!(refused("prom=ftp://x").contains("begins with http:// or https://"));
        assert!(refused("prom=").contains("not a URL"));
        assert!(refused("a b=http://x").contains("bad source name"));
        assert!(refused("local=http://x").contains("Tidegate's own"));
        assert!(refused("node=http://x").contains("configured already"));
    }

    #[test]
    fn errors_never_show_credentials() {
        let error = refused("prom=http://user:secret@host:99999/");
        assert!(
            !error.contains("secret") && !error.contains("user"),
            "{error}"
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = HostConfig::load(Path::new("/nowhere/tidegate.toml"))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("cannot read the configuration /nowhere/tidegate.toml: "),
            "{error}"
        );
    }
}
