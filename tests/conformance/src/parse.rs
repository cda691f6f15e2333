//! Reads a script's lines into data. Where a line is wrong it says which, and what was expected.

use std::time::Duration;

use tidegate_api::HttpRequest;
use tidegate_core::{
    Config, Family, FetchError, ParamConfig, ParamType, Response, SourceConfig, TemplateConfig,
    TemplateKind, UnixMillis,
};
use tidegate_series::{Metadata, MetricKind};

use crate::cursor::{Cursor, body, duration, signed_ms, value};
use crate::script::{Act, Does, Item, SampleAt, Script, ScriptError};

/// What the wall clock says at the start unless a script says otherwise: 2023-11-14, a round number.
const ORIGIN_DEFAULT_MS: i64 = 1_700_000_000_000;

impl Script {
    /// Reads a whole script.
    pub(crate) fn parse(text: &str) -> Result<Self, ScriptError> {
        let mut script = Self {
            config: Config::default(),
            origin: UnixMillis(ORIGIN_DEFAULT_MS),
            items: Vec::new(),
        };
        for block in blocks(text) {
            let item = script
                .item(&block)
                .map_err(|(offset, message)| ScriptError {
                    line: block.line + offset,
                    message,
                })?;
            script.items.push(item);
        }
        Ok(script)
    }

    fn item(&mut self, block: &Block<'_>) -> Result<Item, (usize, String)> {
        let does = self.does(block)?;
        Ok(Item {
            line: block.line,
            text: block.lines.iter().map(|line| (*line).to_owned()).collect(),
            does,
        })
    }

    fn does(&mut self, block: &Block<'_>) -> Result<Does, (usize, String)> {
        let first = block.lines[0];
        if first.starts_with('#') {
            return Ok(Does::Nothing);
        }
        let (joined, line) = first
            .strip_prefix('&')
            .map_or((false, first), |rest| (true, rest));
        let mut words = Cursor::new(line);
        let verb = words.word("a verb").map_err(|message| (0, message))?;
        if let Some(configured) = self.configure(verb, words) {
            let started = self
                .items
                .iter()
                .any(|item| !matches!(item.does, Does::Nothing));
            let checked = if started {
                Err(format!("{verb} belongs before the first step"))
            } else {
                configured
            };
            return checked
                .map(|()| Does::Nothing)
                .map_err(|message| (0, message));
        }
        let clock = match verb {
            "at" => Some(
                words
                    .word("a time")
                    .and_then(duration)
                    .map(|at| Does::At(nanos(at))),
            ),
            "wall" => Some(
                words
                    .word("a difference")
                    .and_then(signed_ms)
                    .map(Does::Wall),
            ),
            _ => None,
        };
        match clock {
            Some(does) => does.map_err(|message| (0, message)),
            None => act(verb, words, &block.lines[1..]).map(|act| Does::Act { act, joined }),
        }
    }

    /// Handles a line of the configuration; `None` if it is none.
    fn configure(&mut self, verb: &str, words: Cursor<'_>) -> Option<Result<(), String>> {
        match verb {
            "clock" => Some(self.clock(words)),
            "cache" => Some(self.cache(words)),
            "source" => Some(source(words).map(|source| self.config.sources.push(source))),
            "template" => Some(self.template(words)),
            _ => None,
        }
    }

    fn clock(&mut self, mut words: Cursor<'_>) -> Result<(), String> {
        self.origin = UnixMillis(words.number("milliseconds since 1970")?);
        words.end()
    }

    fn cache(&mut self, mut words: Cursor<'_>) -> Result<(), String> {
        match words.word("`off` or bytes=N")?.split_once('=') {
            None => self.config.cache.enabled = false,
            Some(("bytes", bytes)) => {
                self.config.cache.bytes_max = bytes
                    .parse()
                    .map_err(|_| format!("bytes={bytes} is no number"))?;
            }
            Some((name, _)) => return Err(format!("the cache has no option {name:?}")),
        }
        words.end()
    }

    fn template(&mut self, mut words: Cursor<'_>) -> Result<(), String> {
        let owner = words.word("a source")?;
        let (head, text) = words
            .tail()
            .split_once(": ")
            .ok_or("a template looks like `template SOURCE NAME: TEXT`")?;
        let template = template(head, text)?;
        let source = self
            .config
            .sources
            .iter_mut()
            .find(|source| source.name == owner);
        source
            .ok_or_else(|| format!("no source {owner:?} stands above"))?
            .templates
            .push(template);
        Ok(())
    }
}

/// The lines of an item, and the number of the first.
struct Block<'a> {
    line: usize,
    lines: Vec<&'a str>,
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_end();
        match blocks.last_mut() {
            _ if line.is_empty() => {}
            Some(block) if line.starts_with(' ') => block.lines.push(line),
            _ => blocks.push(Block {
                line: index + 1,
                lines: vec![line],
            }),
        }
    }
    blocks
}

fn source(mut words: Cursor<'_>) -> Result<SourceConfig, String> {
    let name = words.word("a name")?;
    let mut source = match words.word("a kind")? {
        "prometheus" => SourceConfig::prometheus(name),
        "push" => SourceConfig::push(name),
        kind => {
            return Err(format!(
                "a source is of kind prometheus or push, not {kind:?}"
            ));
        }
    };
    // Probes would stand between a script and its story; those that want them say so.
    source.probe_interval = Duration::ZERO;
    while let Some(option) = words.maybe_word() {
        let (name, length) = option
            .split_once('=')
            .ok_or_else(|| format!("{option:?} is not NAME=DURATION"))?;
        let field = match name {
            "ttl" => &mut source.ttl,
            "timeout" => &mut source.timeout,
            "probe" => &mut source.probe_interval,
            "fresh" => &mut source.thresholds.fresh_below,
            "warn" => &mut source.thresholds.warn_past,
            "unavailable" => &mut source.thresholds.unavailable_past,
            _ => return Err(format!("a source has no option {name:?}")),
        };
        *field = duration(length)?;
    }
    Ok(source)
}

fn template(head: &str, text: &str) -> Result<TemplateConfig, String> {
    let mut words = Cursor::new(head);
    let mut template = TemplateConfig {
        name: words.word("a name")?.to_owned(),
        text: text.to_owned(),
        ..TemplateConfig::default()
    };
    while let Some(option) = words.maybe_word() {
        match option.split_once('=') {
            None if option == "metric" => template.kind = TemplateKind::Metric,
            Some(("ttl", length)) => template.ttl = Some(duration(length)?),
            Some((name, kind)) => {
                let kind = match kind {
                    "metric" => ParamType::Metric,
                    "label" => ParamType::Label,
                    "number" => ParamType::Number,
                    _ => {
                        return Err(format!(
                            "a parameter is a metric, label or number, not {kind:?}"
                        ));
                    }
                };
                template.params.push(ParamConfig {
                    name: name.to_owned(),
                    kind,
                });
            }
            None => {
                return Err(format!(
                    "{option:?} is not NAME=TYPE, ttl=DURATION or metric"
                ));
            }
        }
    }
    Ok(template)
}

fn act(verb: &str, words: Cursor<'_>, below: &[&str]) -> Result<Act, (usize, String)> {
    let no_lines_below = |act| {
        if below.is_empty() {
            Ok(act)
        } else {
            Err((1, "nothing belongs below this".to_owned()))
        }
    };
    let here = |message| (0, message);
    match verb {
        "http" => http(words, below),
        "record" => record(words, below),
        "respond" => respond(words, below),
        "fail" => no_lines_below(fail(words).map_err(here)?),
        "abandon" => no_lines_below(abandon(words).map_err(here)?),
        _ => Err((0, format!("no verb is called {verb:?}"))),
    }
}

fn http(mut words: Cursor<'_>, below: &[&str]) -> Result<Act, (usize, String)> {
    let mut head = || {
        Ok((
            words.word("a method")?.to_owned(),
            words.word("a target")?.to_owned(),
        ))
    };
    let (method, mut target) = head().map_err(|message: String| (0, message))?;
    let mut request = HttpRequest {
        method,
        ..HttpRequest::default()
    };
    let mut params = Vec::new();
    if !words.tail().is_empty() {
        params.push(param(words.tail()).map_err(|message| (0, message))?);
    }
    for (index, line) in below.iter().enumerate() {
        http_line(line, &mut request, &mut params).map_err(|message| (index + 1, message))?;
    }
    let encoded: Vec<String> = params
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    if request.method == "GET" && !encoded.is_empty() {
        target = format!(
            "{target}{}{}",
            if target.contains('?') { '&' } else { '?' },
            encoded.join("&")
        );
    } else if !encoded.is_empty() {
        request.headers.push((
            "content-type".to_owned(),
            "application/x-www-form-urlencoded".to_owned(),
        ));
        request.body = encoded.join("&").into_bytes();
    }
    request.target = target;
    Ok(Act::Http(request))
}

fn http_line(
    line: &str,
    request: &mut HttpRequest,
    params: &mut Vec<(String, String)>,
) -> Result<(), String> {
    let mut words = Cursor::new(line);
    match words.word("a verb")? {
        "param" => params.push(param(words.tail())?),
        "header" => {
            let (name, value) = words
                .tail()
                .split_once(": ")
                .ok_or("a header looks like `header name: value`")?;
            request
                .headers
                .push((name.to_lowercase(), value.to_owned()));
        }
        "body" => request.body.extend(body(words.tail())?),
        verb => {
            return Err(format!(
                "below http stand param, header and body, not {verb:?}"
            ));
        }
    }
    Ok(())
}

fn param(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} is not NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn record(mut words: Cursor<'_>, below: &[&str]) -> Result<Act, (usize, String)> {
    let source = words
        .word("a source")
        .map_err(|message| (0, message))?
        .to_owned();
    let (mut families, mut samples) = (Vec::new(), Vec::new());
    if !words.tail().trim().is_empty() {
        samples.push(sample(words).map_err(|message| (0, message))?);
    }
    for (index, line) in below.iter().enumerate() {
        let line = line.trim_start();
        let read = match line.strip_prefix("family ") {
            Some(rest) => family(Cursor::new(rest)).map(|family| families.push(family)),
            None => sample(Cursor::new(line)).map(|sample| samples.push(sample)),
        };
        read.map_err(|message| (index + 1, message))?;
    }
    Ok(Act::Record {
        source,
        families,
        samples,
    })
}

fn sample(mut words: Cursor<'_>) -> Result<SampleAt, String> {
    let labels = words.labels()?;
    let value = value(words.word("a value")?)?;
    let offset_ms = match words.maybe_word() {
        None => None,
        Some(word) => {
            let offset = word
                .strip_prefix('@')
                .ok_or_else(|| format!("a time looks like @12.5s, not {word:?}"))?;
            Some(signed_ms(offset)?)
        }
    };
    words.end()?;
    Ok(SampleAt {
        labels,
        value,
        offset_ms,
    })
}

fn family(mut words: Cursor<'_>) -> Result<Family, String> {
    let name = words.word("a name")?.to_owned();
    let kind = match words.word("a type")? {
        "counter" => MetricKind::Counter,
        "gauge" => MetricKind::Gauge,
        "histogram" => MetricKind::Histogram,
        "summary" => MetricKind::Summary,
        "unknown" => MetricKind::Unknown,
        kind => return Err(format!("no metric type is called {kind:?}")),
    };
    Ok(Family {
        name,
        metadata: Metadata {
            kind,
            unit: "".into(),
            help: words.tail().into(),
        },
    })
}

fn respond(mut words: Cursor<'_>, below: &[&str]) -> Result<Act, (usize, String)> {
    let mut head = || Ok((words.number("a fetch")?, words.number("a status")?));
    let (fetch, status) = head().map_err(|message: String| (0, message))?;
    let mut bytes = body(words.tail()).map_err(|message| (0, message))?;
    for (index, line) in below.iter().enumerate() {
        bytes.extend(body(line.trim_start()).map_err(|message| (index + 1, message))?);
    }
    Ok(Act::Respond(fetch, Ok(Response::new(status, bytes))))
}

fn fail(mut words: Cursor<'_>) -> Result<Act, String> {
    let fetch = words.number("a fetch")?;
    let kind = words.word("a kind of failure")?;
    let detail = words.tail().to_owned();
    let error = match kind {
        "connect" => FetchError::Connect { detail },
        "reset" => FetchError::Reset { detail },
        "timeout" => FetchError::Timeout {
            after: duration(&detail)?,
        },
        "too-large" => FetchError::TooLarge {
            limit_bytes: words.number("a limit")?,
        },
        "encoding" => FetchError::Encoding { detail },
        "redirect" => FetchError::Redirect {
            status: words.number("a status")?,
        },
        "refused" => FetchError::Refused { detail },
        _ => return Err(format!("no failure is called {kind:?}")),
    };
    Ok(Act::Respond(fetch, Err(error)))
}

fn abandon(mut words: Cursor<'_>) -> Result<Act, String> {
    let command = words.number("a command")?;
    words.end()?;
    Ok(Act::Abandon(command))
}

/// Times in scripts end after 584 years; so does the clock.
fn nanos(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(script: &str) -> String {
        Script::parse(script).unwrap_err().to_string()
    }

    #[test]
    fn a_wrong_line_is_named() {
        assert_eq!(
            message("# fine\n\nhop 3"),
            "line 3: no verb is called \"hop\""
        );
        assert_eq!(
            message("record node\n  up 1\n  up one"),
            "line 3: a value must be a number or `stale`, not \"one\""
        );
        assert_eq!(message("source prom"), "line 1: a kind is missing");
        assert_eq!(
            message("at 1s\nsource p push"),
            "line 2: source belongs before the first step"
        );
        assert_eq!(
            message("abandon 1\n  body x"),
            "line 2: nothing belongs below this"
        );
    }

    #[test]
    fn parameters_travel_in_the_url_or_in_the_body() {
        let script = Script::parse(
            "http GET /q query=up{a=\"b c\"}\nhttp POST /q\n  param a=1\n  param b=&",
        )
        .unwrap();
        let requests: Vec<&HttpRequest> = script
            .items
            .iter()
            .map(|item| match &item.does {
                Does::Act {
                    act: Act::Http(request),
                    ..
                } => request,
                _ => panic!("both are requests"),
            })
            .collect();
        assert_eq!(requests[0].target, "/q?query=up%7Ba%3D%22b%20c%22%7D");
        assert_eq!(
            (&*requests[1].target, &*requests[1].body),
            ("/q", &b"a=1&b=%26"[..])
        );
    }
}
