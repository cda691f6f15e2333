//! Parameters of a request: where they come from, and what they must be.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use tidegate_core::{Ask, Invalidation, Query, Range, RangeError, UnixMillis};
use tidegate_wire::form::decode_form;
use tidegate_wire::number::{parse_api_duration_ns, parse_float, parse_timestamp_ms};

use crate::route::Route;
use crate::{HttpRequest, HttpResponse};

/// Parameters by name and in order. The body's come before the URL's, and the first of a name
/// counts, as in Go's `FormValue`.
#[derive(Debug)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    pub(crate) fn of(route: &Route, request: &HttpRequest) -> Result<Self, HttpResponse> {
        let mut pairs = Vec::new();
        if request.method == "POST" && !request.body.is_empty() {
            let media = request.header("content-type").unwrap_or_default();
            let media = media.split(';').next().unwrap_or_default().trim();
            if !media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
                let message =
                    format!("the body must be application/x-www-form-urlencoded, it is {media:?}");
                return Err(HttpResponse::error(400, "bad_data", &message));
            }
            pairs = decode(&request.body)?;
        }
        pairs.extend(decode(route.query.as_bytes())?);
        Ok(Self(pairs))
    }

    /// All of them, by name and value.
    pub(crate) fn sorted(&self) -> Vec<(&str, &str)> {
        let pairs = self.0.iter().map(|(name, value)| (&**name, &**value));
        let mut sorted: Vec<_> = pairs.collect();
        sorted.sort_unstable();
        sorted
    }

    /// Those of the URL alone, where the body is none.
    pub(crate) fn of_url(route: &Route) -> Result<Self, HttpResponse> {
        decode(route.query.as_bytes()).map(Self)
    }

    /// The source that is named.
    pub(crate) fn source(&self) -> Option<&str> {
        self.given("source")
    }

    fn first(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }

    /// The first of this name, unless it is empty, which Prometheus takes for none.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        self.first(name).filter(|value| !value.is_empty())
    }

    /// An ask of `query`. What is wrong is found in the order Prometheus looks.
    pub(crate) fn query_ask(&self) -> Result<Ask, HttpResponse> {
        let mut ask = Ask::promql(self.first("query").unwrap_or_default());
        self.check_limit()?;
        ask.time = self.time_or_none("time")?;
        self.query_options(&mut ask)?;
        Ok(ask)
    }

    /// An ask of `query_range`, its parameters checked in the order Prometheus does.
    pub(crate) fn range_ask(&self) -> Result<Ask, HttpResponse> {
        let mut ask = Ask::promql(self.first("query").unwrap_or_default());
        self.check_limit()?;
        let range = range(|name| self.first(name))?;
        ask.range = Some(range);
        self.query_options(&mut ask)?;
        Ok(ask)
    }

    /// What the query endpoints share: `timeout`, `lookback_delta`, `limit`, `stats`.
    fn query_options(&self, ask: &mut Ask) -> Result<(), HttpResponse> {
        if let Some(timeout) = self.given("timeout") {
            let ns = duration_ns(timeout).map_err(invalid("timeout"))?;
            let ns = u64::try_from(ns).unwrap_or_default();
            if ns == 0 {
                let message = "query timed out in query execution";
                return Err(HttpResponse::error(503, "timeout", message));
            }
            ask.timeout = Some(Duration::from_nanos(ns));
        }
        if let Some(delta) = self.given("lookback_delta") {
            duration_ns(delta).map_err(|why| {
                let message = format!("error parsing lookback delta duration: {why}");
                HttpResponse::error(400, "bad_data", &message)
            })?;
        }
        for name in ["limit", "lookback_delta", "stats", "timeout"] {
            if let Some(value) = self.given(name) {
                ask.extra.push((name.into(), value.into()));
            }
        }
        Ok(())
    }

    /// An ask of another endpoint, with all parameters passed on. Those of the endpoints that
    /// are known here are checked.
    pub(crate) fn endpoint_ask(self, path: &str) -> Result<Ask, HttpResponse> {
        match path {
            "series" => {
                if self.first("match[]").is_none() {
                    let message = "no match[] parameter provided";
                    return Err(HttpResponse::error(400, "bad_data", message));
                }
                self.check_window()?;
            }
            "labels" => self.check_window()?,
            "query_exemplars" => {
                let (start, end) = (self.time_or_none("start")?, self.time_or_none("end")?);
                if start.zip(end).is_some_and(|(start, end)| end < start) {
                    let message = "end timestamp must not be before start timestamp";
                    return Err(HttpResponse::error(400, "bad_data", message));
                }
            }
            "metadata" | "targets/metadata" => {
                for name in ["limit", "limit_per_metric"] {
                    if self.given(name).is_some_and(|limit| atoi(limit).is_err()) {
                        let message = format!("{name} must be a number");
                        return Err(HttpResponse::error(400, "bad_data", &message));
                    }
                }
            }
            _ if path.starts_with("label/") => self.check_window()?,
            _ => {}
        }
        Ok(Ask::endpoint(path, self.0))
    }

    /// `limit`, `start` and `end` of the endpoints that list.
    fn check_window(&self) -> Result<(), HttpResponse> {
        self.check_limit()?;
        self.time_or_none("start")?;
        self.time_or_none("end").map(|_| ())
    }

    /// As Prometheus 3 takes it; those before it knew none.
    fn check_limit(&self) -> Result<(), HttpResponse> {
        let Some(limit) = self.given("limit") else {
            return Ok(());
        };
        let limit = atoi(limit)
            .map_err(|why| format!("strconv.Atoi: parsing {limit:?}: {why}"))
            .map_err(invalid("limit"))?;
        if limit < 0 {
            return Err(invalid("limit")("limit must be non-negative".into()));
        }
        Ok(())
    }

    /// A time that may be left out.
    pub(crate) fn time_or_none(&self, name: &str) -> Result<Option<UnixMillis>, HttpResponse> {
        let Some(text) = self.given(name) else {
            return Ok(None);
        };
        let time = timestamp(text)
            .map_err(|why| invalid(name)(format!("Invalid time value for '{name}': {why}")))?;
        Ok(Some(time))
    }

    /// The range that `start`, `end` and `step` say, if there is any of them.
    pub(crate) fn range_or_none(&self) -> Result<Option<Range>, HttpResponse> {
        if OF_RANGE.iter().all(|name| self.given(name).is_none()) {
            return Ok(None);
        }
        range(|name| self.first(name)).map(Some)
    }

    /// A length of time, or this one where it is left out.
    pub(crate) fn duration_or(
        &self,
        name: &str,
        otherwise: Duration,
    ) -> Result<Duration, HttpResponse> {
        let Some(text) = self.given(name) else {
            return Ok(otherwise);
        };
        let ns = duration_ns(text).map_err(invalid(name))?;
        let ns = u64::try_from(ns).map_err(|_| invalid(name)("it is negative".into()))?;
        Ok(Duration::from_nanos(ns))
    }

    /// A number of things that may be left out.
    pub(crate) fn count(&self, name: &str) -> Result<Option<usize>, HttpResponse> {
        let Some(text) = self.given(name) else {
            return Ok(None);
        };
        // By 32 bits, so that every target agrees.
        let count = text.parse::<u32>().ok();
        let count = count.and_then(|count| usize::try_from(count).ok());
        let why = || format!("{text:?} is no number from 0 to {}", u32::MAX);
        count.map(Some).ok_or_else(|| invalid(name)(why()))
    }

    /// Every value of a parameter, in order.
    pub(crate) fn each(&self, name: &str) -> Vec<String> {
        let values = self.0.iter().filter(|(found, _)| found == name);
        values.map(|(_, value)| value.clone()).collect()
    }

    /// A parameter that must be there.
    pub(crate) fn needed(&self, name: &str) -> Result<&str, HttpResponse> {
        self.first(name)
            .ok_or_else(|| invalid(name)("it is missing".into()))
    }

    /// The pod whose owner is wanted.
    pub(crate) fn pod(&self) -> Option<&str> {
        self.first("pod")
    }

    /// All of them, as values for a template's parameters.
    pub(crate) fn values(self) -> BTreeMap<String, String> {
        let mut values = BTreeMap::new();
        for (name, value) in self.0 {
            values.entry(name).or_insert(value);
        }
        values
    }

    /// The key that is to be explained.
    pub(crate) fn key(&self) -> Result<&str, HttpResponse> {
        let missing = || invalid("key")("it is missing; answers carry theirs".into());
        self.first("key")
            .filter(|key| !key.is_empty())
            .ok_or_else(missing)
    }

    /// What is to be forgotten: exactly one of `key`, `prefix`, `source` and `all`, or `source`
    /// with `template`.
    pub(crate) fn invalidation(&self) -> Result<Invalidation, HttpResponse> {
        let wanted = ["key", "prefix", "source", "template", "all"].map(|name| self.first(name));
        match wanted.map(|value| value.map(String::from)) {
            [Some(key), None, None, None, None] => Ok(Invalidation::Key(key)),
            [None, Some(prefix), None, None, None] => Ok(Invalidation::Prefix(prefix)),
            [None, None, Some(source), None, None] => Ok(Invalidation::Source(source)),
            [None, None, Some(source), Some(template), None] => {
                Ok(Invalidation::Template { source, template })
            }
            [None, None, None, None, Some(_)] => Ok(Invalidation::All),
            _ => {
                let message = "name what to forget by one of key, prefix, source and all, or by source and template";
                Err(HttpResponse::error(400, "bad_data", message))
            }
        }
    }
}

fn decode(form: &[u8]) -> Result<Vec<(String, String)>, HttpResponse> {
    decode_form(form).map_err(|error| HttpResponse::error(400, "bad_data", &format!("{error}")))
}

/// What says a range.
const OF_RANGE: [&str; 3] = ["start", "end", "step"];

/// An ask for a template. `start`, `end` and `step` make it one over a range, unless one of them
/// is a parameter of the template's own.
pub(crate) fn template_ask(
    template: &str,
    mut values: BTreeMap<String, String>,
    own: impl Fn(&str) -> bool,
) -> Result<Ask, HttpResponse> {
    let is_range = OF_RANGE.iter().any(|name| values.contains_key(*name));
    if !is_range || OF_RANGE.iter().any(|name| own(name)) {
        return Ok(Ask::template(template, values));
    }
    let range = range(|name| values.get(name).map(String::as_str))?;
    // A metric takes any other parameter for a label.
    values.retain(|name, _| !OF_RANGE.contains(&name.as_str()));
    Ok(Ask::template(template, values).over(range))
}

/// The range that `start`, `end` and `step` say, checked in the order Prometheus does.
fn range<'a>(value: impl Fn(&str) -> Option<&'a str>) -> Result<Range, HttpResponse> {
    let time =
        |name: &'static str| timestamp(value(name).unwrap_or_default()).map_err(invalid(name));
    let start = time("start")?;
    let end = time("end")?;
    if end < start {
        return Err(bad_range(RangeError::EndBeforeStart));
    }
    let step_ns = duration_ns(value("step").unwrap_or_default()).map_err(invalid("step"))?;
    let range = Range {
        start,
        end,
        step: Duration::from_nanos(u64::try_from(step_ns).unwrap_or_default()),
    };
    range.check().map_err(bad_range)?;
    Ok(range)
}

fn timestamp(text: &str) -> Result<UnixMillis, String> {
    parse_timestamp_ms(text)
        .map(UnixMillis)
        .map_err(|_| format!("cannot parse {text:?} to a valid timestamp"))
}

/// Nanoseconds, as Prometheus counts them.
fn duration_ns(text: &str) -> Result<i64, String> {
    parse_api_duration_ns(text).map_err(|_| {
        let overflow = match parse_float(text) {
            Ok(_) => ". It overflows int64",
            Err(_) => "",
        };
        format!("cannot parse {text:?} to a valid duration{overflow}")
    })
}

/// As Go's `Atoi` reads it on 64 bits.
fn atoi(text: &str) -> Result<i64, &'static str> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("invalid syntax");
    }
    text.parse().map_err(|_| "value out of range")
}

fn bad_range(error: RangeError) -> HttpResponse {
    HttpResponse::error(400, "bad_data", &format!("{error}"))
}

/// The response to a parameter that is wrong for this reason.
pub(crate) fn invalid(name: &str) -> impl Fn(String) -> HttpResponse {
    move |why| {
        HttpResponse::error(
            400,
            "bad_data",
            &format!("invalid parameter {name:?}: {why}"),
        )
    }
}

/// What `Cache-Control` says about how fresh the answer must be.
pub(crate) fn apply_cache_control(ask: &mut Ask, request: &HttpRequest) {
    let Some(header) = request.header("cache-control") else {
        return;
    };
    for directive in header.split(',').map(str::trim) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match (name.to_ascii_lowercase().as_str(), value.parse().ok()) {
            ("no-cache", _) => ask.max_age = Some(Duration::ZERO),
            ("max-age", Some(seconds)) => ask.max_age = Some(Duration::from_secs(seconds)),
            ("max-stale", _) if value.is_empty() => ask.allow_stale = true,
            ("max-stale", Some(seconds)) => {
                ask.allow_stale = true;
                ask.max_stale = Some(Duration::from_secs(seconds));
            }
            // Unknown directives are to be ignored (RFC 9111, section 5.2.3).
            _ => {}
        }
    }
}

/// The query of an ask, where it is PromQL.
pub(crate) fn promql(ask: &Ask) -> &str {
    match &ask.query {
        Query::PromQl(text) => text,
        Query::Template { .. } | Query::Endpoint { .. } => "",
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::route::route;

    fn ask(target: &str) -> Result<Ask, String> {
        let request = HttpRequest::get(target);
        let route = route(&request).unwrap();
        Params::of(&route, &request)
            .and_then(|params| params.query_ask())
            .map_err(|response| String::from_utf8(response.body).unwrap())
    }

    #[test]
    fn parameters_are_read_as_prometheus_reads_them() {
        let ask = ask("/api/v1/query?query=up%7Ba%3D%22b%22%7D&time=1.5&timeout=2m&limit=3&query=down&other=1").unwrap();
        assert_eq!(promql(&ask), "up{a=\"b\"}");
        assert_eq!(
            (ask.time, ask.timeout),
            (Some(UnixMillis(1_500)), Some(Duration::from_secs(120)))
        );
        let extra = [("limit", "3"), ("timeout", "2m")];
        assert_eq!(
            ask.extra,
            extra.map(|(name, value)| (name.into(), value.into()))
        );
    }

    #[test]
    fn a_wrong_parameter_is_refused_in_prometheus_words() {
        let time = ask("/api/v1/query?query=up&time=abc").unwrap_err();
        assert!(time.contains(r#"invalid parameter \"time\": Invalid time value for 'time': cannot parse \"abc\" to a valid timestamp"#), "{time}");
        for wrong in [
            "timeout=x",
            "limit=x",
            "lookback_delta=x",
            "query=%zz",
            "query=%ff",
        ] {
            assert!(
                ask(&format!("/api/v1/query?{wrong}"))
                    .unwrap_err()
                    .contains("bad_data"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn the_body_comes_before_the_url_and_must_be_a_form() {
        let mut request = HttpRequest {
            method: "POST".into(),
            ..HttpRequest::get("/api/v1/query?query=url")
        };
        request.body = b"query=body".to_vec();
        let route = route(&request).unwrap();
        assert_eq!(Params::of(&route, &request).unwrap_err().status, 400);
        request.headers = vec![(
            "content-type".into(),
            "application/x-www-form-urlencoded; charset=utf-8".into(),
        )];
        assert_eq!(
            promql(&Params::of(&route, &request).unwrap().query_ask().unwrap()),
            "body"
        );
    }

    #[test]
    fn cache_control_says_how_fresh_it_must_be() {
        let mut request = HttpRequest::get("/");
        request.headers = vec![(
            "cache-control".into(),
            "Max-Age=5, max-stale, x-unknown=1, max-age=x".into(),
        )];
        let mut ask = Ask::promql("up");
        apply_cache_control(&mut ask, &request);
        assert_eq!(
            (ask.max_age, ask.allow_stale, ask.max_stale),
            (Some(Duration::from_secs(5)), true, None)
        );
        for (directive, allows, most) in [
            ("max-stale=7", true, Some(Duration::from_secs(7))),
            ("max-stale=", true, None),
            ("max-stale=-1", false, None),
            ("max-stale=soon", false, None),
        ] {
            request.headers[0].1 = directive.into();
            let mut ask = Ask::promql("up");
            apply_cache_control(&mut ask, &request);
            assert_eq!((ask.allow_stale, ask.max_stale), (allows, most));
        }
    }
}
