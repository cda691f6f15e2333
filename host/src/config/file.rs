//! The configuration file's form, and how it becomes a [`HostConfig`].

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use serde::Deserialize;
use tidegate_client::native::{SourceUrl, UrlError};
use tidegate_core::{
    ConfigError as CoreError, ParamConfig, ParamType, SourceConfig, SourceKind, TemplateConfig,
    TemplateKind,
};
use toml::Spanned;

use super::error::{ConfigError, closest, unknown_name};
use super::value::{Bytes, Span};
use super::{ConfiguredSource, HostConfig};

/// Looking more often costs more than it shows: the kernel's counters tick at 10 ms.
const NODE_INTERVAL_MIN: Duration = Duration::from_millis(100);

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    listen: Option<Spanned<String>>,
    source: Vec<Spanned<Source>>,
    cache: Cache,
    node: Node,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    name: Spanned<String>,
    url: Option<Spanned<String>>,
    #[serde(default)]
    kind: Kind,
    ttl: Option<Span>,
    timeout: Option<Span>,
    fresh_below: Option<Span>,
    warn_past: Option<Span>,
    unavailable_past: Option<Span>,
    probe_interval: Option<Span>,
    #[serde(default)]
    template: Vec<Spanned<Template>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Prometheus,
    Push,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Template {
    name: String,
    query: Option<String>,
    metric: Option<String>,
    #[serde(default)]
    params: BTreeMap<String, Param>,
    ttl: Option<Span>,
    #[serde(default)]
    description: String,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Param {
    Metric,
    Label,
    Number,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Cache {
    enabled: Option<bool>,
    bytes_max: Option<Bytes>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Node {
    enabled: Option<bool>,
    interval: Option<Spanned<Span>>,
}

/// Reads the file `text`; `name` stands in errors.
pub(super) fn parse(text: &str, name: &str) -> Result<HostConfig, ConfigError> {
    let place = Place { name, text };
    let file: File = toml::from_str(text).map_err(|error| place.syntax(&error))?;
    let mut config = HostConfig::default();
    if let Some(listen) = file.listen {
        config.listen = place.listen(&listen)?;
    }
    config.cache.enabled = file.cache.enabled.unwrap_or(config.cache.enabled);
    config.cache.bytes_max = file
        .cache
        .bytes_max
        .map_or(config.cache.bytes_max, |bytes| bytes.0);
    config.node.enabled = file.node.enabled.unwrap_or(config.node.enabled);
    if let Some(interval) = file.node.interval {
        config.node.interval = place.interval(&interval)?;
    }
    for source in file.source {
        let span = source.span();
        let source = source.into_inner();
        let name_span = source.name.span();
        let converted = place.source(source, &span)?;
        let source_name = converted.config.name.clone();
        if config.has_source(&source_name) {
            let message = format!("a source named {source_name:?} is configured already");
            let hint = (source_name == super::NODE)
                .then(|| "that is the embedded one: take another name, or set enabled = false under [node]".to_owned());
            return Err(place.at(name_span, message, hint));
        }
        config.sources.push(converted);
        config
            .check()
            .map_err(|error| place.core(&error, &span, name_span))?;
    }
    Ok(config)
}

/// The text that errors point into.
#[derive(Clone, Copy)]
struct Place<'a> {
    name: &'a str,
    text: &'a str,
}

impl Place<'_> {
    fn at(self, span: Range<usize>, message: String, hint: Option<String>) -> ConfigError {
        ConfigError::at(self.name, self.text, span, message, hint)
    }

    fn syntax(self, error: &toml::de::Error) -> ConfigError {
        let span = error.span().unwrap_or(0..0);
        let message = error.message().lines().collect::<Vec<_>>().join("; ");
        let Some((given, known)) = unknown_name(&message) else {
            return self.at(span, message, None);
        };
        let what = if message.starts_with("unknown variant") {
            "value"
        } else {
            "key"
        };
        let hint = match closest(given, &known) {
            Some(candidate) => format!("did you mean `{candidate}`?"),
            None => format!("known are {}", known.join(", ")),
        };
        self.at(span, format!("unknown {what} `{given}`"), Some(hint))
    }

    /// What the collector found wrong, at the source's name or its table.
    fn core(self, error: &CoreError, table: &Range<usize>, name: Range<usize>) -> ConfigError {
        let at_name = matches!(
            error,
            CoreError::BadName { .. } | CoreError::DuplicateSource { .. }
        );
        let span = if at_name {
            name
        } else {
            self.first_line(table)
        };
        self.at(span, error.to_string(), None)
    }

    /// A table's span runs over many lines; its first is enough to find it.
    fn first_line(self, span: &Range<usize>) -> Range<usize> {
        let end = self
            .text
            .get(span.clone())
            .and_then(|table| table.find('\n'))
            .map_or(span.end, |at| span.start + at);
        span.start..end
    }

    fn listen(self, listen: &Spanned<String>) -> Result<SocketAddr, ConfigError> {
        listen.get_ref().parse().map_err(|_| {
            let message = format!("bad listen address {:?}", listen.get_ref());
            self.at(
                listen.span(),
                message,
                Some("write IP:PORT, such as \"127.0.0.1:9200\" or \"[::1]:9200\"".into()),
            )
        })
    }

    fn interval(self, interval: &Spanned<Span>) -> Result<Duration, ConfigError> {
        let Span(duration) = *interval.get_ref();
        if duration < NODE_INTERVAL_MIN {
            let message = format!("the interval must be at least {NODE_INTERVAL_MIN:?}");
            return Err(self.at(
                interval.span(),
                message,
                Some("to turn the node source off, set enabled = false".into()),
            ));
        }
        Ok(duration)
    }

    fn source(self, source: Source, table: &Range<usize>) -> Result<ConfiguredSource, ConfigError> {
        let url = match (source.kind, &source.url) {
            (Kind::Prometheus, Some(url)) => Some(self.url(url)?),
            (Kind::Prometheus, None) => {
                let message = format!("source {:?} has no url", source.name.get_ref());
                let hint = "add url = \"http://HOST:9090\", or kind = \"push\" if samples are pushed to it";
                return Err(self.at(self.first_line(table), message, Some(hint.into())));
            }
            (Kind::Push, Some(url)) => {
                let message =
                    "a source of kind \"push\" has no url: samples are pushed to it".to_owned();
                return Err(self.at(url.span(), message, Some("leave the url out".into())));
            }
            (Kind::Push, None) => None,
        };
        let mut config = SourceConfig::prometheus(source.name.get_ref().clone());
        if source.kind == Kind::Push {
            config.kind = SourceKind::Push;
        }
        let set = |field: &mut Duration, value: Option<Span>| {
            *field = value.map_or(*field, |span| span.0)
        };
        set(&mut config.ttl, source.ttl);
        set(&mut config.timeout, source.timeout);
        set(&mut config.thresholds.fresh_below, source.fresh_below);
        set(&mut config.thresholds.warn_past, source.warn_past);
        set(
            &mut config.thresholds.unavailable_past,
            source.unavailable_past,
        );
        set(&mut config.probe_interval, source.probe_interval);
        for template in source.template {
            let span = self.first_line(&template.span());
            config
                .templates
                .push(self.template(template.into_inner(), span)?);
        }
        Ok(ConfiguredSource { config, url })
    }

    fn url(self, url: &Spanned<String>) -> Result<SourceUrl, ConfigError> {
        url.get_ref()
            .parse()
            .map_err(|error: UrlError| self.at(url.span(), error.to_string(), None))
    }

    fn template(
        self,
        template: Template,
        span: Range<usize>,
    ) -> Result<TemplateConfig, ConfigError> {
        let (kind, text) = match (template.query, template.metric) {
            (Some(text), None) => (TemplateKind::PromQl, text),
            (None, Some(text)) => (TemplateKind::Metric, text),
            (None, None) | (Some(_), Some(_)) => {
                let message = format!(
                    "template {:?} must have either `query` or `metric`",
                    template.name
                );
                let hint = "query = \"PromQL with {{.param}}\", or metric = \"a bare metric name\"";
                return Err(self.at(span, message, Some(hint.into())));
            }
        };
        let params = template
            .params
            .into_iter()
            .map(|(name, param)| ParamConfig {
                name,
                kind: param.into(),
            });
        Ok(TemplateConfig {
            name: template.name,
            kind,
            text,
            params: params.collect(),
            ttl: template.ttl.map(|span| span.0),
            description: template.description,
        })
    }
}

impl From<Param> for ParamType {
    fn from(param: Param) -> Self {
        match param {
            Param::Metric => Self::Metric,
            Param::Label => Self::Label,
            Param::Number => Self::Number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse(text, "tidegate.toml").unwrap_err().to_string()
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        assert_eq!(parse("", "f").unwrap(), HostConfig::default());
    }

    #[test]
    fn the_shipped_example_is_the_defaults_and_two_sources() {
        let config = parse(
            include_str!("../../tidegate.example.toml"),
            "tidegate.example.toml",
        )
        .unwrap();
        let names: Vec<&str> = config
            .sources
            .iter()
            .map(|source| source.config.name.as_str())
            .collect();
        assert_eq!(names, ["prom", "jobs"]);
        assert_eq!(config.sources[0].config.templates.len(), 2);
        let defaults = SourceConfig {
            templates: config.sources[0].config.templates.clone(),
            ..SourceConfig::prometheus("prom")
        };
        assert_eq!(config.sources[0].config, defaults);
        assert_eq!(
            (config.cache, config.node),
            (HostConfig::default().cache, HostConfig::default().node)
        );
    }

    #[test]
    fn every_key_is_taken() {
        let text = r#"
            listen = "127.0.0.1:1"
            [[source]]
            name = "a"
            url = "http://h/"
            ttl = "1s"
            timeout = "2s"
            fresh_below = "3s"
            warn_past = "4s"
            unavailable_past = "5s"
            probe_interval = "0"
            [[source.template]]
            name = "t"
            query = "topk({{.k}}, x)"
            params = { k = "number" }
            ttl = "6s"
            description = "d"
            [cache]
            enabled = false
            bytes_max = "1MiB"
            [node]
            enabled = false
            interval = "5s"
        "#;
        let config = parse(text, "f").unwrap();
        let source = &config.sources[0].config;
        assert_eq!((source.ttl.as_secs(), source.timeout.as_secs()), (1, 2));
        assert_eq!(source.thresholds.unavailable_past.as_secs(), 5);
        assert!(source.probe_interval.is_zero());
        assert_eq!(
            source.templates[0].params,
            [ParamConfig {
                name: "k".into(),
                kind: ParamType::Number
            }]
        );
        assert_eq!(
            (config.cache.enabled, config.cache.bytes_max),
            (false, 1 << 20)
        );
        assert_eq!(
            (config.node.enabled, config.node.interval.as_secs()),
            (false, 5)
        );
    }

    #[test]
    fn a_mistyped_key_is_shown_with_the_one_that_was_meant() {
        assert_eq!(
            refused(
                "[[source]]\nname = \"prom\"\nurl = \"http://127.0.0.1:9090\"\ntimout = \"5s\"\n"
            ),
            "tidegate.toml:4:1: unknown key `timout`; did you mean `timeout`?\n   |\n 4 | timout = \"5s\"\n   | ^^^^^^"
        );
        assert_eq!(
            refused("[sauce]\n"),
            "tidegate.toml:1:2: unknown key `sauce`; did you mean `source`?\n   |\n 1 | [sauce]\n   |  ^^^^^"
        );
        assert!(refused("x = 1").contains("known are listen, source, cache, node"));
        assert!(
            refused("[[source]]\nname=\"a\"\nkind=\"prometeus\"")
                .contains("did you mean `prometheus`?")
        );
    }

    #[test]
    fn a_bad_value_is_shown_where_it_stands() {
        assert_eq!(
            refused("[[source]]\nname = \"p\"\nurl = \"http://h\"\nttl = \"30 sec\"\n"),
            "tidegate.toml:4:7: bad duration \"30 sec\": write a number and a unit, such as \"30s\", \"1m30s\" or \"250ms\"\n   \
             |\n 4 | ttl = \"30 sec\"\n   |       ^^^^^^^^"
        );
        assert!(
            refused("[[source]]\nname=\"p\"\nurl=\"http://h\"\nttl=30")
                .contains("write \"30s\" for seconds")
        );
        assert!(refused("[cache]\nbytes_max = \"64 megs\"").contains("2:13: bad size"));
        assert!(
            refused("listen = \"localhost\"")
                .contains("1:10: bad listen address \"localhost\"; write IP:PORT")
        );
        assert!(
            refused("[node]\ninterval = \"1ms\"")
                .contains("2:12: the interval must be at least 100ms")
        );
        assert!(refused("listen = ").starts_with("tidegate.toml:1:"));
    }

    #[test]
    fn a_bad_url_is_pointed_at_and_not_repeated_when_it_may_hold_credentials() {
        let error = refused("[[source]]\nname = \"p\"\nurl = \"http://me:secret@h:x\"\n");
        assert!(error.starts_with("tidegate.toml:3:7: not a URL"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn sources_are_checked_as_a_whole() {
        assert!(
            refused("[[source]]\nname = \"p\"\n")
                .contains("1:1: source \"p\" has no url; add url =")
        );
        let twice = "[[source]]\nname = \"p\"\nurl = \"http://h\"\n".repeat(2);
        assert!(refused(&twice).contains("5:8: a source named \"p\" is configured already"));
        assert!(
            refused("[[source]]\nname=\"node\"\nkind=\"push\"")
                .contains("that is the embedded one")
        );
        assert!(
            refused("[[source]]\nname=\"local\"\nkind=\"push\"")
                .contains("2:6: no source may be named")
        );
        assert!(
            refused("[[source]]\nname=\"p\"\nkind=\"push\"\nwarn_past=\"1s\"")
                .contains("thresholds must be in order")
        );
        assert!(
            refused("[[source]]\nname=\"p\"\nkind=\"push\"\nurl=\"http://h\"")
                .contains("4:5: a source of kind \"push\" has no url")
        );
    }

    #[test]
    fn a_template_has_one_text() {
        let base = "[[source]]\nname=\"p\"\nkind=\"push\"\n[[source.template]]\nname=\"t\"\n";
        assert!(refused(base).contains("4:1: template \"t\" must have either `query` or `metric`"));
    }
}
