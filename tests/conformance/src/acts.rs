//! Reads what happens in a script: requests, batches, changes, and the ends of fetches.
//!
//! Errors carry how many lines below the item's first they are about.

use tidegate_api::{Change, HttpRequest};
use tidegate_core::{Family, FetchError, Invalidation, Response};
use tidegate_series::{Metadata, MetricKind};

use crate::cursor::{Cursor, body, duration, signed_ms, value};
use crate::script::{Act, SampleAt};
use crate::settings::{configuration, owner_of, template_of};

/// The act that `verb` begins, with what stands behind it and in the lines below.
pub(crate) fn act(verb: &str, words: Cursor<'_>, below: &[&str]) -> Result<Act, (usize, String)> {
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
        "reload" => {
            words.end().map_err(here)?;
            Ok(Act::Change(Change::Reload(Box::new(configuration(below)?))))
        }
        "register" | "update" | "unregister" | "untrack" | "invalidate" | "register-owner"
        | "unregister-owner" => no_lines_below(Act::Change(change(verb, words).map_err(here)?)),
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

fn change(verb: &str, mut words: Cursor<'_>) -> Result<Change, String> {
    Ok(match verb {
        "register" => {
            let (source, template) = template_of(words)?;
            Change::Register { source, template }
        }
        "update" => {
            let (source, template) = template_of(words)?;
            Change::Update { source, template }
        }
        "unregister" => {
            let source = words.word("a source")?.to_owned();
            let template = words.word("a template")?.to_owned();
            words.end()?;
            Change::Unregister { source, template }
        }
        "register-owner" => {
            let (workload, owner) = owner_of(words)?;
            Change::RegisterOwner { workload, owner }
        }
        "unregister-owner" => Change::UnregisterOwner {
            workload: words.tail().to_owned(),
        },
        "untrack" => Change::Untrack {
            key: words.tail().to_owned(),
        },
        _ => Change::Invalidate(invalidation(words)?),
    })
}

fn invalidation(mut words: Cursor<'_>) -> Result<Invalidation, String> {
    let kind = words.word("what to forget")?;
    let rest = words.tail().to_owned();
    Ok(match kind {
        "key" => Invalidation::Key(rest),
        "prefix" => Invalidation::Prefix(rest),
        "source" => Invalidation::Source(rest),
        "template" => {
            let source = words.word("a source")?.to_owned();
            let template = words.word("a template")?.to_owned();
            words.end()?;
            Invalidation::Template { source, template }
        }
        "all" => Invalidation::All,
        _ => {
            return Err(format!(
                "forgotten are key, prefix, source, template and all, not {kind:?}"
            ));
        }
    })
}

fn respond(mut words: Cursor<'_>, below: &[&str]) -> Result<Act, (usize, String)> {
    let mut head = || Ok((words.number("a fetch")?, words.number("a status")?));
    let (fetch, status) = head().map_err(|message: String| (0, message))?;
    let first = words.tail();
    let (retry_after, first) = match first.strip_prefix("retry-after=") {
        None => (None, first),
        Some(rest) => {
            let (length, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            let length = duration(length).map_err(|message| (0, message))?;
            (Some(length), rest)
        }
    };
    let (content_type, first) = match first.strip_prefix("type=") {
        None => (None, first),
        Some(rest) => {
            let (media, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            (Some(media.to_owned()), rest)
        }
    };
    let mut bytes = body(first).map_err(|message| (0, message))?;
    for (index, line) in below.iter().enumerate() {
        bytes.extend(body(line.trim_start()).map_err(|message| (index + 1, message))?);
    }
    let response = Response {
        content_type,
        ..Response::new(status, bytes).with_retry_after(retry_after)
    };
    Ok(Act::Respond(fetch, Ok(response)))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn request(words: &str, below: &[&str]) -> HttpRequest {
        match act("http", Cursor::new(words), below) {
            Ok(Act::Http(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn changes_read_as_what_they_change() {
        let change = |verb, words| match act(verb, Cursor::new(words), &[]) {
            Ok(Act::Change(change)) => change,
            other => panic!("{other:?}"),
        };
        let key = "p/t:a=b c".to_owned();
        assert_eq!(
            change("untrack", " p/t:a=b c"),
            Change::Untrack { key: key.clone() }
        );
        assert_eq!(
            change("invalidate", " key p/t:a=b c"),
            Change::Invalidate(Invalidation::Key(key))
        );
        let registered = change("register", " p t ttl=1s: up");
        assert!(
            matches!(&registered, Change::Register { source, template } if source == "p" && template.text == "up"),
            "{registered:?}"
        );
        assert!(act("invalidate", Cursor::new(" cake"), &[]).is_err());
        assert!(act("reload", Cursor::new(""), &["  at 1s"]).is_err());
    }

    #[test]
    fn a_response_may_say_when_to_come_back() {
        let Ok(Act::Respond(1, Ok(response))) =
            act("respond", Cursor::new(" 1 503 retry-after=2s busy"), &[])
        else {
            panic!()
        };
        assert_eq!(
            response.retry_after,
            Some(std::time::Duration::from_secs(2))
        );
        assert_eq!(response.body, b"busy");
    }

    #[test]
    fn parameters_travel_in_the_url_or_in_the_body() {
        let get = request(" GET /q query=up{a=\"b c\"}", &[]);
        assert_eq!(get.target, "/q?query=up%7Ba%3D%22b%20c%22%7D");
        let post = request(" POST /q", &["  param a=1", "  param b=&"]);
        assert_eq!((&*post.target, &*post.body), ("/q", &b"a=1&b=%26"[..]));
    }
}
