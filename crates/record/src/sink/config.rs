//! Sinks as they are written down.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tidegate_series::StoreLimits;

use super::{FileOptions, FileSink, Memory, Recovered, Sink, StatsdOptions, StatsdSink};
#[cfg(feature = "remote")]
use super::{RemoteCounts, RemoteOptions, RemoteSink};
use crate::{Pipeline, PipelineCounts, Pump, PumpError, SinkOptions, Transform, Transformed};

/// How long a sink's name may be, in bytes: it labels metrics and lines of logs.
pub const SINK_NAME_BYTES_MAX: usize = 64;

/// How many files a file sink may keep: each is renamed when one is put aside.
const FILES_MOST: usize = 1_000;

/// The least that a datagram must hold: some line.
const DATAGRAM_BYTES_LEAST: usize = 64;

/// The most that a datagram can hold: 65,535 of IPv4, less its headers.
const DATAGRAM_BYTES_MOST: usize = 65_507;

/// One sink: its name, what it is, and what happens before and behind.
///
/// ```
/// use tidegate_record::{Pump, SinkConfig, SinkKind, StatsdOptions, Transform};
///
/// let address = "127.0.0.1:8125".to_owned();
/// let kind = SinkKind::Statsd { address, options: StatsdOptions::default() };
/// let mut config = SinkConfig::new("statsd", kind);
/// config.transforms.push(Transform::Drop { metric: "debug_.*".to_owned() });
/// let mut pump = Pump::new();
/// let added = config.add_to(&mut pump)?;
/// assert_eq!(added.transforms.stages()[0].action, "drop");
/// # Ok::<(), tidegate_record::SinkConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SinkConfig {
    /// Its name, of ASCII letters, digits, `_`, `-` and `.`; no other sink of a pump has it.
    pub name: String,
    /// What it is.
    pub kind: SinkKind,
    /// What happens to everything before it, in order.
    pub transforms: Vec<Transform>,
    /// Its queue, and how often it is flushed.
    pub options: SinkOptions,
}

/// What a sink is, with what only that kind has.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SinkKind {
    /// A store of this program.
    Memory {
        /// How much it holds.
        limits: StoreLimits,
    },
    /// Lines in a file.
    File {
        /// Where.
        path: PathBuf,
        /// How.
        options: FileOptions,
    },
    /// Datagrams to a StatsD server.
    Statsd {
        /// Its host and port.
        address: String,
        /// How.
        options: StatsdOptions,
    },
    /// Remote-write to a Prometheus.
    #[cfg(feature = "remote")]
    Remote {
        /// Where; with user and password, if it needs them.
        url: crate::Secret,
        /// How.
        options: RemoteOptions,
    },
}

impl SinkKind {
    /// The words of all kinds there are here.
    pub const WORDS: &[&str] = &[
        "memory",
        "file",
        "statsd",
        #[cfg(feature = "remote")]
        "remote",
    ];

    /// Its word.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Memory { .. } => "memory",
            Self::File { .. } => "file",
            Self::Statsd { .. } => "statsd",
            #[cfg(feature = "remote")]
            Self::Remote { .. } => "remote",
        }
    }
}

/// What there is to know of a sink that was added to a pump, beside the pump's own
/// [`stats`](Pump::stats).
#[derive(Debug)]
#[non_exhaustive]
pub struct AddedSink {
    /// What its transformations do.
    pub transforms: PipelineCounts,
    /// What a memory sink holds.
    pub memory: Option<Memory>,
    /// What was mended of a file sink's file; worth a line in the log.
    pub recovered: Option<Recovered>,
    /// What a remote sink does.
    #[cfg(feature = "remote")]
    pub remote: Option<RemoteCounts>,
}

impl SinkConfig {
    /// A sink with nothing before it and the usual queue.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: SinkKind) -> Self {
        Self {
            name: name.into(),
            kind,
            transforms: Vec::new(),
            options: SinkOptions::default(),
        }
    }

    /// Whether it makes sense, as far as that can be told without touching anything.
    ///
    /// # Errors
    ///
    /// The first field that does not.
    pub fn check(&self) -> Result<(), SinkConfigError> {
        self.check_common()?;
        match &self.kind {
            SinkKind::Memory { .. } => {}
            SinkKind::File { path, options } => {
                let has_name = path.file_name().is_some();
                self.require(has_name, "path", || "it names no file".to_owned())?;
                let files = options.files_max;
                self.within("files_max", files, 1, FILES_MOST)?;
                let bytes = usize::try_from(options.bytes_max).unwrap_or(usize::MAX);
                self.within("bytes_max", bytes, 1, usize::MAX)?;
            }
            SinkKind::Statsd { address, options } => {
                let port = address.rsplit_once(':');
                let port = port.filter(|(host, _)| !host.is_empty());
                let is_address = port.is_some_and(|(_, port)| port.parse::<u16>().is_ok());
                self.require(is_address, "address", || {
                    format!("{address:?} is no host and port, such as 127.0.0.1:8125")
                })?;
                let bytes = options.datagram_bytes;
                let (least, most) = (DATAGRAM_BYTES_LEAST, DATAGRAM_BYTES_MOST);
                self.within("datagram_bytes", bytes, least, most)?;
            }
            #[cfg(feature = "remote")]
            SinkKind::Remote { url, options } => {
                let samples = options.samples_per_request;
                self.within("samples_per_request", samples, 1, usize::MAX)?;
                self.positive("timeout", options.timeout)?;
                self.remote(url, options)?;
            }
        }
        self.pipeline().map(drop)
    }

    /// Makes the sink and adds it to a pump.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check); a file that cannot be opened; whatever the pump does not take.
    pub fn add_to(&self, pump: &mut Pump) -> Result<AddedSink, SinkConfigError> {
        self.check()?;
        let pipeline = self.pipeline()?;
        let mut added = AddedSink {
            transforms: pipeline.counts(),
            memory: None,
            recovered: None,
            #[cfg(feature = "remote")]
            remote: None,
        };
        let sink = self.make(&mut added)?;
        let named = &self.name;
        let taken = match self.transforms.is_empty() {
            true => pump.add(named, sink, self.options.clone()),
            false => pump.add(
                named,
                Transformed::new(pipeline, sink),
                self.options.clone(),
            ),
        };
        taken.map_err(|error| {
            let field = match error {
                PumpError::Name(_) => "name",
                PumpError::TooMany | PumpError::Thread(_) => "kind",
            };
            self.problem(field, error.to_string())
        })?;
        Ok(added)
    }

    fn make(&self, added: &mut AddedSink) -> Result<Box<dyn Sink>, SinkConfigError> {
        Ok(match &self.kind {
            SinkKind::Memory { limits } => {
                let memory = Memory::new(*limits);
                let sink = memory.sink();
                added.memory = Some(memory);
                Box::new(sink)
            }
            SinkKind::File { path, options } => {
                let opened = FileSink::open(path, options.clone());
                let sink = opened.map_err(|error| self.problem("path", error.to_string()))?;
                added.recovered = sink.recovered().copied();
                Box::new(sink)
            }
            SinkKind::Statsd { address, options } => Box::new(StatsdSink::new(address, options)),
            #[cfg(feature = "remote")]
            SinkKind::Remote { url, options } => {
                let sink = self.remote(url, options)?;
                added.remote = Some(sink.counts());
                Box::new(sink)
            }
        })
    }

    #[cfg(feature = "remote")]
    fn remote(
        &self,
        url: &crate::Secret,
        options: &RemoteOptions,
    ) -> Result<RemoteSink, SinkConfigError> {
        RemoteSink::new(url.reveal(), options.clone()).map_err(|error| {
            let field = match error {
                crate::RemoteError::Url { .. } => "url",
                crate::RemoteError::Header { .. } => "headers",
                crate::RemoteError::Client { .. } => "kind",
            };
            self.problem(field, error.to_string())
        })
    }

    fn pipeline(&self) -> Result<Pipeline, SinkConfigError> {
        Pipeline::new(&self.transforms)
            .map_err(|error| self.problem("transforms", error.to_string()))
    }

    fn check_common(&self) -> Result<(), SinkConfigError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        let is_name =
            (1..=SINK_NAME_BYTES_MAX).contains(&self.name.len()) && self.name.bytes().all(is_plain);
        self.require(is_name, "name", || {
            format!("a name has up to {SINK_NAME_BYTES_MAX} letters, digits, _, - and .")
        })?;
        let items = self.options.queue_items_max;
        self.within("queue_items_max", items, 1, usize::MAX)?;
        self.positive("flush_interval", self.options.flush_interval)
    }

    fn within(
        &self,
        field: &'static str,
        value: usize,
        least: usize,
        most: usize,
    ) -> Result<(), SinkConfigError> {
        self.require((least..=most).contains(&value), field, || match most {
            usize::MAX => format!("{value} is below {least}"),
            _ => format!("{value} is not from {least} to {most}"),
        })
    }

    fn positive(&self, field: &'static str, time: Duration) -> Result<(), SinkConfigError> {
        self.require(!time.is_zero(), field, || {
            "it must be more than 0".to_owned()
        })
    }

    fn require(
        &self,
        holds: bool,
        field: &'static str,
        problem: impl FnOnce() -> String,
    ) -> Result<(), SinkConfigError> {
        match holds {
            true => Ok(()),
            false => Err(self.problem(field, problem())),
        }
    }

    fn problem(&self, field: &'static str, problem: String) -> SinkConfigError {
        SinkConfigError {
            sink: self.name.clone(),
            field,
            problem,
        }
    }
}

/// What is wrong with a sink's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkConfigError {
    /// The sink's name as given.
    pub sink: String,
    /// Which field.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for SinkConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sink,
            field,
            problem,
        } = self;
        write!(f, "sink {sink:?}, {field}: {problem}")
    }
}

impl Error for SinkConfigError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Batch;

    fn file(path: impl Into<PathBuf>) -> SinkConfig {
        let path = path.into();
        let options = FileOptions::default();
        SinkConfig::new("archive", SinkKind::File { path, options })
    }

    fn statsd(address: &str) -> SinkConfig {
        let address = address.to_owned();
        let options = StatsdOptions::default();
        SinkConfig::new("statsd", SinkKind::Statsd { address, options })
    }

    fn memory(name: &str) -> SinkConfig {
        let limits = StoreLimits::default();
        SinkConfig::new(name, SinkKind::Memory { limits })
    }

    fn refusal(config: &SinkConfig) -> String {
        config.check().unwrap_err().to_string()
    }

    #[test]
    fn the_first_field_that_makes_no_sense_is_named() {
        assert_eq!(memory("a_B-9.x").check(), Ok(()));
        for name in ["", "a b", "ä", &"x".repeat(SINK_NAME_BYTES_MAX + 1)] {
            let said =
                format!("sink {name:?}, name: a name has up to 64 letters, digits, _, - and .");
            assert_eq!(refusal(&memory(name)), said);
        }
        assert_eq!(
            refusal(&file("/")),
            r#"sink "archive", path: it names no file"#
        );
        for address in ["", "host", ":8125", "host:", "host:99999"] {
            let said = format!(
                "sink \"statsd\", address: {address:?} is no host and port, such as 127.0.0.1:8125"
            );
            assert_eq!(refusal(&statsd(address)), said);
        }
        assert_eq!(statsd("[::1]:8125").check(), Ok(()));
        let mut config = memory("m");
        config.options.queue_items_max = 0;
        assert_eq!(
            refusal(&config),
            r#"sink "m", queue_items_max: 0 is below 1"#
        );
        let mut config = memory("m");
        config.options.flush_interval = Duration::ZERO;
        assert_eq!(
            refusal(&config),
            r#"sink "m", flush_interval: it must be more than 0"#
        );
        let mut config = memory("m");
        let metric = "a b".to_owned();
        config.transforms.push(Transform::Rename {
            to: metric.clone(),
            metric,
        });
        let said = r#"sink "m", transforms: transformation 1, metric: "a b" is no metric name"#;
        assert_eq!(refusal(&config), said);
    }

    #[test]
    fn every_kind_has_a_word() {
        let words = [memory("a"), file("a"), statsd("h:1")].map(|config| config.kind.as_str());
        assert_eq!(SinkKind::WORDS[..3], words);
    }

    #[test]
    fn numbers_are_accepted_at_their_bounds() {
        let files = |files_max| {
            let mut config = file("/tmp/a");
            let SinkKind::File { options, .. } = &mut config.kind else {
                panic!("a file")
            };
            options.files_max = files_max;
            config.check()
        };
        assert_eq!((files(1), files(1_000)), (Ok(()), Ok(())));
        let said = |outcome: Result<(), SinkConfigError>| outcome.unwrap_err().problem;
        assert_eq!(said(files(0)), "0 is not from 1 to 1000");
        assert_eq!(said(files(1_001)), "1001 is not from 1 to 1000");
        let datagrams = |datagram_bytes| {
            let mut config = statsd("h:1");
            let SinkKind::Statsd { options, .. } = &mut config.kind else {
                panic!("statsd")
            };
            options.datagram_bytes = datagram_bytes;
            config.check()
        };
        assert_eq!((datagrams(64), datagrams(65_507)), (Ok(()), Ok(())));
        assert!(datagrams(63).is_err() && datagrams(65_508).is_err());
    }

    #[test]
    fn what_is_added_works_and_can_be_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let mut pump = Pump::new();
        let path = folder.path().join("a.jsonl");
        std::fs::write(&path, "{\"tidegate_lines\":1}\n{\"torn").unwrap();
        let added = file(&path).add_to(&mut pump).unwrap();
        assert_eq!(added.recovered, Some(Recovered::Cut { bytes: 6 }));
        let mut config = memory("memory");
        let metric = "debug".to_owned();
        config.transforms.push(Transform::Drop { metric });
        let added = config.add_to(&mut pump).unwrap();
        let sample = |name| tidegate_series::Sample {
            labels: tidegate_series::Labels::from_pairs([("__name__", name)]).unwrap(),
            timestamp_ms: 1,
            value: 1.0,
        };
        pump.offer(Batch {
            samples: vec![sample("debug"), sample("load")],
            ..Batch::default()
        });
        let stats = pump.shutdown(Duration::from_secs(10));
        let names: Vec<_> = stats
            .iter()
            .map(|stats| (&*stats.name, stats.written))
            .collect();
        assert_eq!(names, [("archive", 2), ("memory", 2)]);
        assert_eq!(added.memory.unwrap().read(tidegate_series::Store::len), 1);
        assert_eq!(added.transforms.stages()[0].dropped, 1);
    }

    #[test]
    fn what_a_pump_or_the_system_refuses_is_said_with_its_field() {
        let folder = tempfile::tempdir().unwrap();
        let mut pump = Pump::new();
        memory("a").add_to(&mut pump).unwrap();
        let twice = memory("a").add_to(&mut pump).unwrap_err();
        assert_eq!(
            twice.to_string(),
            r#"sink "a", name: there is a sink "a" already"#
        );
        let nowhere = folder.path().join("none").join("a.jsonl");
        let error = file(&nowhere).add_to(&mut pump).unwrap_err();
        let start = format!("{}: ", nowhere.display());
        assert!(
            error.field == "path" && error.problem.starts_with(&start),
            "{error}"
        );
    }

    #[cfg(feature = "remote")]
    #[test]
    fn a_remote_sink_is_checked_and_its_url_shown_nowhere() {
        let remote = |url: &str, options: RemoteOptions| {
            let url = crate::Secret::new(url);
            SinkConfig::new("remote", SinkKind::Remote { url, options })
        };
        let good = remote("http://u:s3cret@h/w", RemoteOptions::default());
        assert_eq!(good.check(), Ok(()));
        assert!(!format!("{good:?}").contains("s3cret"));
        let refused = refusal(&remote("prometheus:9090", RemoteOptions::default()));
        assert!(
            refused.starts_with(r#"sink "remote", url: not a url: "#),
            "{refused}"
        );
        let refused = refusal(&remote(
            "http://h/",
            RemoteOptions {
                headers: vec![("Host".to_owned(), crate::Secret::new("x"))],
                ..RemoteOptions::default()
            },
        ));
        let said = r#"sink "remote", headers: header "Host": it is not to be set here"#;
        assert_eq!(refused, said);
        let refused = refusal(&remote(
            "http://h/",
            RemoteOptions {
                timeout: Duration::ZERO,
                ..RemoteOptions::default()
            },
        ));
        assert_eq!(refused, r#"sink "remote", timeout: it must be more than 0"#);
    }
}
