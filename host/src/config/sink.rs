//! Sinks as they stand in the file.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tidegate_record::{
    FileOptions, Relabel, RelabelAction, RemoteOptions, SINKS_MAX, Secret, SinkConfig, SinkKind,
    SinkOptions, StatsdOptions, StatsdTags, Takes, Transform, WhenFull,
};
use toml::Spanned;

use super::error::ConfigError;
use super::place::Place;
use super::source::or;
use super::value::{Bytes, Count, Span};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sink {
    name: Spanned<String>,
    kind: Spanned<Kind>,
    // Of a file.
    path: Option<Spanned<PathBuf>>,
    bytes_max: Option<Spanned<Bytes>>,
    files_max: Option<Spanned<Count>>,
    // Of a StatsD server.
    address: Option<Spanned<String>>,
    prefix: Option<Spanned<String>>,
    tags: Option<Spanned<Tags>>,
    datagram_bytes: Option<Spanned<Bytes>>,
    // Of a receiver of remote-write.
    url: Option<Spanned<String>>,
    bearer_token: Option<Spanned<String>>,
    headers: Option<Spanned<BTreeMap<String, String>>>,
    timeout: Option<Spanned<Span>>,
    patience: Option<Spanned<Span>>,
    samples_per_request: Option<Spanned<Count>>,
    // Of all.
    flush_interval: Option<Span>,
    queue_samples_max: Option<Count>,
    #[serde(default)]
    when_full: Full,
    #[serde(default)]
    transform: Vec<Spanned<Step>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    File,
    Remote,
    Statsd,
    Memory,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Tags {
    Omit,
    Datadog,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Full {
    #[default]
    DropOldest,
    DropNewest,
}

/// One transformation, by what it does.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Step {
    Drop(Dropped),
    Rename(Renamed),
    Scale(Scaled),
    Relabel(Box<Relabelled>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dropped {
    metric: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Renamed {
    metric: String,
    to: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scaled {
    metric: String,
    factor: f64,
}

/// In the words of Prometheus' `relabel_config`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Relabelled {
    source_labels: Vec<String>,
    separator: Option<String>,
    regex: Option<String>,
    target_label: String,
    replacement: Option<String>,
    action: Action,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    #[default]
    Replace,
    Keep,
    Drop,
    LabelDrop,
    LabelKeep,
    LabelMap,
}

/// The sinks of the file; paths are below `dir`.
pub(super) fn configured(
    sinks: Vec<Spanned<Sink>>,
    dir: &Path,
    place: Place<'_>,
) -> Result<Vec<SinkConfig>, ConfigError> {
    let mut names = BTreeSet::new();
    let mut paths = BTreeSet::new();
    let mut configured = Vec::with_capacity(sinks.len());
    for table in sinks {
        let span = table.span();
        if configured.len() == SINKS_MAX {
            let message = format!("more than {SINKS_MAX} sinks");
            return Err(place.at(place.first_line(&span), message, None));
        }
        let sink = table.into_inner();
        let name = sink.name.get_ref().clone();
        if names.contains(&name) {
            let message = format!("a sink named {name:?} is configured already");
            return Err(place.at(sink.name.span(), message, None));
        }
        if let Some(path) = &sink.path
            && !paths.insert(path.get_ref().clone())
        {
            let message = "another sink writes this file".to_owned();
            let hint = "give each a file of its own".to_owned();
            return Err(place.at(path.span(), message, Some(hint)));
        }
        names.insert(name);
        configured.push(sink.configured(dir, place, &span)?);
    }
    Ok(configured)
}

impl Sink {
    fn configured(
        self,
        dir: &Path,
        place: Place<'_>,
        table: &Range<usize>,
    ) -> Result<SinkConfig, ConfigError> {
        self.check_keys(place)?;
        let kind = match self.kind.get_ref() {
            Kind::File => self.file(dir, place, table)?,
            Kind::Statsd => self.statsd(place, table)?,
            Kind::Remote => self.remote(place, table)?,
            Kind::Memory => {
                let message = "Tidegate's own series are in memory already".to_owned();
                let hint = "a sink of the host is of kind file, remote or statsd; what is in memory is set under [local]";
                return Err(place.at(self.kind.span(), message, Some(hint.to_owned())));
            }
        };
        let mut config = SinkConfig::new(self.name.get_ref().clone(), kind);
        let defaults = SinkOptions::default();
        config.options = SinkOptions {
            queue_items_max: self
                .queue_samples_max
                .map_or(defaults.queue_items_max, |count| count.0),
            when_full: match self.when_full {
                Full::DropOldest => WhenFull::DropOldest,
                Full::DropNewest => WhenFull::DropNewest,
            },
            flush_interval: or(self.flush_interval, defaults.flush_interval),
        };
        for step in &self.transform {
            config.transforms.push(step.get_ref().transform());
            // By itself, so that it is shown where it stands.
            config.check().map_err(|error| {
                let span = match error.field {
                    "transforms" => step.span(),
                    field => self.span_of(field, place, table),
                };
                place.at(span, error.problem, None)
            })?;
        }
        config.check().map_err(|error| {
            let span = self.span_of(error.field, place, table);
            place.at(span, error.problem, None)
        })?;
        Ok(config)
    }

    /// Each kind has keys of its own.
    fn check_keys(&self, place: Place<'_>) -> Result<(), ConfigError> {
        let kind = *self.kind.get_ref();
        for (key, of, span) in self.keys() {
            if of != kind
                && let Some(span) = span
            {
                let message = format!("a sink of kind {:?} has no {key}", kind.as_str());
                let hint = format!("{key} is of kind {:?}", of.as_str());
                return Err(place.at(span, message, Some(hint)));
            }
        }
        Ok(())
    }

    /// The keys that not all kinds have, and where they stand if they do.
    fn keys(&self) -> [(&'static str, Kind, Option<Range<usize>>); 13] {
        fn span<T>(value: &Option<Spanned<T>>) -> Option<Range<usize>> {
            value.as_ref().map(Spanned::span)
        }
        [
            ("path", Kind::File, span(&self.path)),
            ("bytes_max", Kind::File, span(&self.bytes_max)),
            ("files_max", Kind::File, span(&self.files_max)),
            ("address", Kind::Statsd, span(&self.address)),
            ("prefix", Kind::Statsd, span(&self.prefix)),
            ("tags", Kind::Statsd, span(&self.tags)),
            ("datagram_bytes", Kind::Statsd, span(&self.datagram_bytes)),
            ("url", Kind::Remote, span(&self.url)),
            ("bearer_token", Kind::Remote, span(&self.bearer_token)),
            ("headers", Kind::Remote, span(&self.headers)),
            ("timeout", Kind::Remote, span(&self.timeout)),
            ("patience", Kind::Remote, span(&self.patience)),
            (
                "samples_per_request",
                Kind::Remote,
                span(&self.samples_per_request),
            ),
        ]
    }

    /// Where a field that is wrong stands.
    fn span_of(&self, field: &str, place: Place<'_>, table: &Range<usize>) -> Range<usize> {
        if field == "name" {
            return self.name.span();
        }
        let keys = self.keys();
        let found = keys.into_iter().find(|(key, ..)| *key == field);
        found
            .and_then(|(.., span)| span)
            .unwrap_or_else(|| place.first_line(table))
    }

    /// The value of a key that a kind cannot do without.
    fn needed<'a, T>(
        &self,
        value: &'a Option<Spanned<T>>,
        hint: &str,
        place: Place<'_>,
        table: &Range<usize>,
    ) -> Result<&'a T, ConfigError> {
        value.as_ref().map(Spanned::get_ref).ok_or_else(|| {
            let kind = self.kind.get_ref().as_str();
            let message = format!(
                "sink {:?} of kind {kind:?} lacks where to write",
                self.name.get_ref()
            );
            place.at(place.first_line(table), message, Some(hint.to_owned()))
        })
    }

    fn file(
        &self,
        dir: &Path,
        place: Place<'_>,
        table: &Range<usize>,
    ) -> Result<SinkKind, ConfigError> {
        let hint = "add path = \"/var/lib/tidegate/samples.jsonl\"";
        let path = self.needed(&self.path, hint, place, table)?;
        let defaults = FileOptions::default();
        let options = FileOptions {
            takes: Takes::Samples,
            bytes_max: given(&self.bytes_max).map_or(defaults.bytes_max, |bytes| bytes.0 as u64),
            files_max: given(&self.files_max).map_or(defaults.files_max, |count| count.0),
        };
        let path = dir.join(path);
        Ok(SinkKind::File { path, options })
    }

    fn statsd(&self, place: Place<'_>, table: &Range<usize>) -> Result<SinkKind, ConfigError> {
        let hint = "add address = \"127.0.0.1:8125\"";
        let address = self.needed(&self.address, hint, place, table)?;
        let defaults = StatsdOptions::default();
        let options = StatsdOptions {
            // What a host adds to its series are samples.
            takes: Takes::Samples,
            tags: given(&self.tags).map_or(defaults.tags, |tags| match tags {
                Tags::Omit => StatsdTags::Omit,
                Tags::Datadog => StatsdTags::Datadog,
            }),
            prefix: given(&self.prefix).cloned().unwrap_or(defaults.prefix),
            datagram_bytes: given(&self.datagram_bytes)
                .map_or(defaults.datagram_bytes, |bytes| bytes.0),
        };
        let address = address.clone();
        Ok(SinkKind::Statsd { address, options })
    }

    fn remote(&self, place: Place<'_>, table: &Range<usize>) -> Result<SinkKind, ConfigError> {
        let hint = "add url = \"http://HOST:9090/api/v1/write\"";
        let url = self.needed(&self.url, hint, place, table)?;
        let defaults = RemoteOptions::default();
        let headers = given(&self.headers).into_iter().flatten();
        let options = RemoteOptions {
            samples_per_request: given(&self.samples_per_request)
                .map_or(defaults.samples_per_request, |count| count.0),
            timeout: or(given(&self.timeout).copied(), defaults.timeout),
            patience: or(given(&self.patience).copied(), defaults.patience),
            bearer_token: given(&self.bearer_token).map(Secret::new),
            headers: headers
                .map(|(name, value)| (name.clone(), Secret::new(value)))
                .collect(),
            ..defaults
        };
        let url = Secret::new(url);
        Ok(SinkKind::Remote { url, options })
    }
}

fn given<T>(value: &Option<Spanned<T>>) -> Option<&T> {
    value.as_ref().map(Spanned::get_ref)
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Remote => "remote",
            Self::Statsd => "statsd",
            Self::Memory => "memory",
        }
    }
}

impl Step {
    fn transform(&self) -> Transform {
        match self {
            Self::Drop(Dropped { metric }) => Transform::Drop {
                metric: metric.clone(),
            },
            Self::Rename(Renamed { metric, to }) => Transform::Rename {
                metric: metric.clone(),
                to: to.clone(),
            },
            Self::Scale(Scaled { metric, factor }) => Transform::Scale {
                metric: metric.clone(),
                factor: *factor,
            },
            Self::Relabel(relabelled) => Transform::Relabel(relabelled.relabel()),
        }
    }
}

impl Relabelled {
    fn relabel(&self) -> Relabel {
        let defaults = Relabel::default();
        Relabel {
            source_labels: self.source_labels.clone(),
            separator: self.separator.clone().unwrap_or(defaults.separator),
            regex: self.regex.clone().unwrap_or(defaults.regex),
            target_label: self.target_label.clone(),
            replacement: self.replacement.clone().unwrap_or(defaults.replacement),
            action: match self.action {
                Action::Replace => RelabelAction::Replace,
                Action::Keep => RelabelAction::Keep,
                Action::Drop => RelabelAction::Drop,
                Action::LabelDrop => RelabelAction::LabelDrop,
                Action::LabelKeep => RelabelAction::LabelKeep,
                Action::LabelMap => RelabelAction::LabelMap,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::HostConfig;

    fn parse(text: &str) -> Result<Vec<SinkConfig>, String> {
        let config = HostConfig::parse(text, "tidegate.toml");
        config
            .map(|config| config.sinks)
            .map_err(|error| error.to_string())
    }

    fn refused(text: &str) -> String {
        parse(text).unwrap_err()
    }

    #[test]
    fn every_key_of_every_kind_is_taken() {
        let text = r#"
            [[sink]]
            name = "archive"
            kind = "file"
            path = "samples.jsonl"
            bytes_max = "1MiB"
            files_max = 2
            flush_interval = "3s"
            queue_samples_max = 4
            when_full = "drop-newest"
            [[sink.transform]]
            drop = { metric = "debug_.*" }
            [[sink.transform]]
            rename = { metric = "a", to = "b" }
            [[sink.transform]]
            scale = { metric = "b", factor = 0.5 }
            [[sink.transform]]
            relabel = { source_labels = ["x", "y"], separator = "-", regex = "(.+)", target_label = "z", replacement = "$1!", action = "replace" }
            [[sink]]
            name = "dog"
            kind = "statsd"
            address = "127.0.0.1:8125"
            prefix = "shop."
            tags = "datadog"
            datagram_bytes = 512
            [[sink]]
            name = "prom"
            kind = "remote"
            url = "http://me:secret@127.0.0.1:9090/api/v1/write"
            headers = { X-Scope-OrgID = "secret" }
            timeout = "5s"
            patience = "1m"
            samples_per_request = 6
        "#;
        let [archive, dog, prom] = &parse(text).unwrap()[..] else {
            panic!("three sinks")
        };
        let options = FileOptions {
            takes: Takes::Samples,
            bytes_max: 1 << 20,
            files_max: 2,
        };
        let path = PathBuf::from("samples.jsonl");
        assert_eq!(archive.kind, SinkKind::File { path, options });
        let options = SinkOptions {
            queue_items_max: 4,
            when_full: WhenFull::DropNewest,
            flush_interval: Duration::from_secs(3),
        };
        assert_eq!(archive.options, options);
        let Transform::Relabel(relabel) = &archive.transforms[3] else {
            panic!("{:?}", archive.transforms)
        };
        assert_eq!((&*relabel.separator, &*relabel.replacement), ("-", "$1!"));
        let SinkKind::Statsd { options, .. } = &dog.kind else {
            panic!("{dog:?}")
        };
        assert_eq!(
            (options.takes, options.datagram_bytes),
            (Takes::Samples, 512)
        );
        let SinkKind::Remote { options, .. } = &prom.kind else {
            panic!("{prom:?}")
        };
        assert_eq!((options.samples_per_request, options.headers.len()), (6, 1));
        assert!(!format!("{prom:?}").contains("secret"));
    }

    #[test]
    fn a_token_and_credentials_in_a_url_are_two_ways_of_which_both_work() {
        let text = "[[sink]]\nname='p'\nkind='remote'\nurl='http://h/w'\nbearer_token='t'\n";
        assert_eq!(parse(text).unwrap().len(), 1);
    }

    #[test]
    fn what_is_wrong_is_shown_where_it_stands_and_secrets_nowhere() {
        let file = "[[sink]]\nname='a'\nkind='file'\npath='a'\n";
        for (text, said) in [
            (
                "[[sink]]\nname='a'\nkind='file'\n".to_owned(),
                "1:1: sink \"a\" of kind \"file\" lacks where to write; add path",
            ),
            (
                format!("{file}url='http://h'\n"),
                "5:5: a sink of kind \"file\" has no url; url is of kind \"remote\"",
            ),
            (
                format!("{file}files_max=1001\n"),
                "5:11: 1001 is not from 1 to 1000",
            ),
            (format!("{file}bytes_mx=1\n"), "did you mean `bytes_max`?"),
            (
                file.repeat(2),
                "6:6: a sink named \"a\" is configured already",
            ),
            (
                format!("{file}{}", file.replace("name='a'", "name='b'")),
                "8:6: another sink writes this file",
            ),
            (
                file.replace("name='a'", "name='a b'"),
                "2:6: a name has up to",
            ),
            (
                format!("{file}[[sink.transform]]\nscale={{metric='a',factor=0}}\n"),
                "5:1: transformation 1, factor: ",
            ),
            (
                "[[sink]]\nname='m'\nkind='memory'\n".to_owned(),
                "3:6: Tidegate's own series are in memory already",
            ),
            (
                "[[sink]]\nname='s'\nkind='statsd'\naddress='h'\n".to_owned(),
                "4:9: \"h\" is no host and port",
            ),
            (
                "[[sink]]\nname='r'\nkind='remote'\nurl='h:9090'\n".to_owned(),
                "4:5: not a url",
            ),
        ] {
            let error = refused(&text);
            assert!(error.contains(said), "{error}");
        }
        let mistyped = "[[sink]]\nname='r'\nkind='remote'\nurl='http://h'\nbearer_tokn='s3cret'\n";
        let error = refused(mistyped);
        assert!(error.contains("did you mean `bearer_token`?"), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }

    #[test]
    fn paths_are_found_beside_the_file_and_sinks_are_told_to_the_collector() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tidegate.toml");
        std::fs::write(&path, "[[sink]]\nname='a'\nkind='file'\npath='s.jsonl'\n").unwrap();
        let config = HostConfig::load(&path).unwrap();
        let SinkKind::File { path, .. } = &config.sinks[0].kind else {
            panic!("a file")
        };
        assert_eq!(*path, dir.path().join("s.jsonl"));
        assert!(config.collector().feeds_sinks);
        assert!(!HostConfig::default().collector().feeds_sinks);
    }
}
