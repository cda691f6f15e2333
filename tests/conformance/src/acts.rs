//! Reads what happens in a script: requests, batches, and the ends of fetches.
//!
//! Errors carry how many lines below the item's first they are about.

use tidegate_api::HttpRequest;
use tidegate_core::{Family, FetchError, Response};
use tidegate_series::{Metadata, MetricKind};

use crate::cursor::{Cursor, body, duration, signed_ms, value};
use crate::script::{Act, SampleAt};

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
    fn parameters_travel_in_the_url_or_in_the_body() {
        let get = request(" GET /q query=up{a=\"b c\"}", &[]);
        assert_eq!(get.target, "/q?query=up%7Ba%3D%22b%20c%22%7D");
        let post = request(" POST /q", &["  param a=1", "  param b=&"]);
        assert_eq!((&*post.target, &*post.body), ("/q", &b"a=1&b=%26"[..]));
    }
}
