//! From an ask to a question: the bound query, its key, how long its answer is believed.

use alloc::borrow::{Cow, ToOwned};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::time::Duration;

use tidegate_wire::Shape;
use tidegate_wire::form::encode_form;
use tidegate_wire::number::{parse_timestamp_ms, write_timestamp_ms};

use crate::key::{self, KeyBuilder};
use crate::range::{Grid, Reach, Run};
use crate::source::Source;
use crate::{
    Ask, FetchRequest, Limits, Method, Now, Query, QueryError, Range, SourceConfig, Thresholds,
    UnixMillis, is_reading_path,
};

/// Where Prometheus answers instant queries.
const QUERY_PATH: &str = "/api/v1/query";

/// And range queries.
const QUERY_RANGE_PATH: &str = "/api/v1/query_range";

/// Where its other endpoints are.
const API_PATH: &str = "/api/v1/";

/// A target's address is that of its text.
const TARGET_PATH: &str = "";

/// Above this a form travels as a body: servers and proxies cut URLs off somewhere past 4 KiB.
const GET_FORM_BYTES_MAX: usize = 2_048;

/// The other endpoints that take a form as a body.
const POST_PATHS: [&str; 5] = [
    "series",
    "labels",
    "query_exemplars",
    "format_query",
    "parse_query",
];

/// The parameters of the query endpoints that an ask may pass on.
const EXTRA_PARAMS: [&str; 4] = ["limit", "lookback_delta", "stats", "timeout"];

/// The window of a range question.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// The key of what it is cut from.
    pub(crate) table: Arc<str>,
    pub(crate) grid: Grid,
    pub(crate) run: Run,
    pub(crate) reach: Reach,
}

impl Window {
    /// The points of a run that are settled when it is `at`.
    pub(crate) fn settled(&self, run: Run, settle: Duration, at: UnixMillis) -> Option<Run> {
        let until_ms = self.reach.settled_until(settled_edge_ms(settle, at))?;
        Run::new(run.first, run.last.min(self.grid.last_until(until_ms)))
    }
}

/// The last instant that is settled when it is `at`.
fn settled_edge_ms(settle: Duration, at: UnixMillis) -> i64 {
    let settle_ms = i64::try_from(settle.as_millis()).unwrap_or(i64::MAX);
    at.0.saturating_sub(settle_ms).saturating_sub(1)
}

/// An ask made definite.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) key: Arc<str>,
    pub(crate) subject: Subject,
    /// The instant asked about, or the last of a range, where one was named.
    pub(crate) asked: Option<UnixMillis>,
    /// How long the answer is a hit.
    pub(crate) ttl: Duration,
    pub(crate) thresholds: Thresholds,
    /// Whether ttl and thresholds are its own, and not its source's.
    own: (bool, bool),
}

/// What is asked about.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    /// What a query says.
    Query {
        text: String,
        range: Option<Range>,
        extra: Vec<(String, String)>,
    },
    /// What another endpoint says.
    Endpoint {
        path: String,
        params: Vec<(String, String)>,
    },
    /// The text of this target of a scrape source.
    Target(Arc<str>),
}

impl Question {
    /// The question for the text of one target of a scrape source.
    pub(crate) fn of_target(source: &Source, target: &str) -> Self {
        let mut key = KeyBuilder::new(&source.name, "");
        key.param("target", target);
        Self {
            key: key.finish(),
            subject: Subject::Target(target.into()),
            asked: None,
            ttl: source.settings.ttl,
            thresholds: source.settings.thresholds,
            own: (false, false),
        }
    }

    /// The same question about now, under other settings of its source.
    pub(crate) fn under(&self, settings: &SourceConfig) -> Self {
        let mut question = self.clone();
        if !self.own.0 {
            question.ttl = settings.ttl;
        }
        if !self.own.1 {
            question.thresholds = settings.thresholds;
        }
        question
    }

    /// Whether it is asked again and again in the same words, so that its answer is worth keeping
    /// warm: a query about now, or a target.
    pub(crate) const fn recurs(&self) -> bool {
        match &self.subject {
            Subject::Query { .. } | Subject::Target(_) => self.asked.is_none(),
            Subject::Endpoint { .. } => false,
        }
    }

    /// What the data of its answer is.
    pub(crate) fn shape(&self) -> Shape {
        match &self.subject {
            Subject::Endpoint { path, .. } => shape_of(path),
            Subject::Query { .. } | Subject::Target(_) => Shape::Query,
        }
    }

    /// How its window lies on a grid, for a range query whose points can be had one by one.
    pub(crate) fn window(&self) -> Option<Window> {
        let Subject::Query { text, range, extra } = &self.subject else {
            return None;
        };
        // What counts or cuts series does so in the whole window.
        let of_window = |(name, _): &(String, String)| matches!(&**name, "limit" | "stats");
        if extra.iter().any(of_window) {
            return None;
        }
        let (grid, run) = Grid::of(range.as_ref()?)?;
        Some(Window {
            table: key::table(key::stem(&self.key)?, grid.phase_ms()),
            grid,
            run,
            reach: Reach::of(text)?,
        })
    }

    /// The same question about other points of its grid.
    pub(crate) fn about(&self, grid: Grid, run: Run) -> Self {
        let mut question = self.clone();
        let about = grid.range(run);
        question.asked = Some(about.end);
        if let Subject::Query { range, .. } = &mut question.subject {
            *range = Some(about);
        }
        let [start, end] = [about.start, about.end].map(timestamp);
        let stem = key::stem(&self.key).unwrap_or(&self.key);
        question.key = format!("{stem},@start={start},@end={end}").into();
        question
    }

    /// The path of its endpoint below `/api/v1/`, where it is not one of the two for queries.
    pub(crate) fn endpoint(&self) -> Option<&str> {
        match &self.subject {
            Subject::Endpoint { path, .. } => Some(path),
            Subject::Query { .. } | Subject::Target(_) => None,
        }
    }

    /// The text of its query; empty where it is none.
    pub(crate) fn query(&self) -> &str {
        match &self.subject {
            Subject::Query { text, .. } => text,
            Subject::Endpoint { .. } | Subject::Target(_) => "",
        }
    }

    /// The target whose text is asked for, of a scrape source.
    pub(crate) const fn target(&self) -> Option<&Arc<str>> {
        match &self.subject {
            Subject::Target(target) => Some(target),
            Subject::Query { .. } | Subject::Endpoint { .. } => None,
        }
    }

    /// What its texts weigh, the key among them.
    pub(crate) fn byte_size(&self) -> usize {
        let size = |pairs: &[(String, String)]| {
            let sizes = pairs.iter().map(|(name, value)| name.len() + value.len());
            sizes.sum::<usize>()
        };
        let subject = match &self.subject {
            Subject::Query { text, extra, .. } => text.len() + size(extra),
            Subject::Endpoint { path, params } => path.len() + size(params),
            Subject::Target(_) => 0,
        };
        self.key.len() + subject
    }

    /// A question of this key about now, for tests of what keeps answers.
    #[cfg(test)]
    pub(crate) fn named(key: &str, asked: Option<UnixMillis>) -> Self {
        Self {
            key: key.into(),
            subject: Subject::Query {
                text: String::new(),
                range: None,
                extra: Vec::new(),
            },
            asked,
            ttl: Duration::from_secs(30),
            thresholds: Thresholds::default(),
            own: (false, false),
        }
    }

    /// The fetch that answers it.
    pub(crate) fn request(&self) -> FetchRequest {
        match &self.subject {
            Subject::Target(_) => FetchRequest {
                method: Method::Get,
                path: TARGET_PATH.into(),
                form: String::new(),
            },
            Subject::Endpoint { path, params } => {
                let params = params.iter().map(as_strs);
                let takes_post = POST_PATHS.contains(&path.as_str());
                let request = request(format!("{API_PATH}{path}").into(), params);
                match takes_post {
                    true => request,
                    false => FetchRequest {
                        method: Method::Get,
                        ..request
                    },
                }
            }
            Subject::Query { text, range, extra } => {
                let query = ("query", text.as_str());
                let extra = extra.iter().map(as_strs);
                match range {
                    None => {
                        let time = self.asked.map(timestamp);
                        let time = time.as_deref().map(|time| ("time", time));
                        let params = [query].into_iter().chain(time).chain(extra);
                        request(QUERY_PATH.into(), params)
                    }
                    Some(range) => {
                        let [start, end] = [range.start, range.end].map(timestamp);
                        let step = seconds(range.step);
                        let params = [query, ("start", &*start), ("end", &*end), ("step", &*step)];
                        request(QUERY_RANGE_PATH.into(), params.into_iter().chain(extra))
                    }
                }
            }
        }
    }
}

fn as_strs((name, value): &(String, String)) -> (&str, &str) {
    (name, value)
}

fn request<'a>(
    path: Cow<'static, str>,
    params: impl Iterator<Item = (&'a str, &'a str)>,
) -> FetchRequest {
    let mut form = String::new();
    encode_form(params, &mut form);
    let method = if form.len() <= GET_FORM_BYTES_MAX {
        Method::Get
    } else {
        Method::Post
    };
    FetchRequest { method, path, form }
}

/// Makes asks definite, for one source; `None` is `local`.
pub(crate) struct Questioner<'a> {
    pub(crate) source: Option<&'a Source>,
    pub(crate) limits: &'a Limits,
    pub(crate) local: &'a Arc<str>,
}

impl Questioner<'_> {
    pub(crate) fn question(&self, ask: &Ask, now: Now) -> Result<Question, QueryError> {
        let name = self.source.map_or(self.local, |source| &source.name);
        match &ask.query {
            Query::PromQl(text) => {
                self.check_length(text)?;
                let mut key = KeyBuilder::new(name, "");
                key.param("query", text);
                self.query(ask, key, text.clone(), (None, None), now)
            }
            Query::Template {
                name: template,
                params,
            } => {
                let unknown = || QueryError::UnknownTemplate {
                    name: template.clone(),
                    source: name.clone(),
                };
                let found = self
                    .source
                    .and_then(|source| source.templates.get(template))
                    .ok_or_else(unknown)?;
                let query = found.bind(params).map_err(QueryError::Bind)?;
                self.check_length(&query)?;
                let mut key = KeyBuilder::new(name, template);
                for (param, value) in found.relevant(params) {
                    key.param(param, value);
                }
                let own = (found.config().ttl, found.config().thresholds);
                self.query(ask, key, query, own, now)
            }
            Query::Endpoint { path, params } => self.endpoint(name, path, params, now),
        }
    }

    fn query(
        &self,
        ask: &Ask,
        mut key: KeyBuilder,
        text: String,
        own: (Option<Duration>, Option<Thresholds>),
        now: Now,
    ) -> Result<Question, QueryError> {
        let extra = extra_params(&ask.extra)?;
        // A parameter of a template may have the same name, so these are marked by a character
        // that no parameter's name has.
        for (name, value) in &extra {
            key.param(&format!("@{name}"), value);
        }
        let asked = match &ask.range {
            Some(range) => {
                range.check().map_err(QueryError::BadRange)?;
                key.param("@step", &seconds(range.step));
                key.param("@start", &timestamp(range.start));
                key.param("@end", &timestamp(range.end));
                Some(range.end)
            }
            None => {
                let time = ask.time.map(|time| self.stepped(time, now));
                if let Some(time) = time {
                    key.param("@time", &timestamp(time));
                }
                time
            }
        };
        let subject = Subject::Query {
            text,
            range: ask.range,
            extra,
        };
        Ok(self.definite(key, subject, asked, own, now))
    }

    fn endpoint(
        &self,
        name: &str,
        path: &str,
        params: &[(String, String)],
        now: Now,
    ) -> Result<Question, QueryError> {
        if !is_reading_path(&format!("{API_PATH}{path}")) {
            return Err(QueryError::BadParameter {
                name: "path",
                value: path.into(),
                message: "it is no path of the Prometheus API that only reads".into(),
            });
        }
        let params = if is_kept(path) {
            canonical(params)
        } else {
            params.to_vec()
        };
        let mut key = KeyBuilder::new(name, "");
        key.param("@path", path);
        for (param, value) in &params {
            self.check_length(value)?;
            key.param(param, value);
        }
        let end = params.iter().find(|(param, _)| param == "end");
        let end = end.and_then(|(_, end)| parse_timestamp_ms(end).ok());
        let asked = end.map(UnixMillis).filter(|_| is_kept(path));
        let own_ttl = (!is_kept(path)).then_some(Duration::ZERO);
        let subject = Subject::Endpoint {
            path: path.into(),
            params,
        };
        Ok(self.definite(key, subject, asked, (own_ttl, None), now))
    }

    fn definite(
        &self,
        key: KeyBuilder,
        subject: Subject,
        asked: Option<UnixMillis>,
        (ttl, thresholds): (Option<Duration>, Option<Thresholds>),
        now: Now,
    ) -> Question {
        let own = (ttl.is_some(), thresholds.is_some());
        let settings = self.source.map(|source| &source.settings);
        let query = match &subject {
            Subject::Query { text, .. } => Some(&**text),
            Subject::Endpoint { .. } | Subject::Target(_) => None,
        };
        let asked_of = asked.map(|asked| (asked, query));
        let ttl = ttl.or_else(|| settings.map(|settings| settings.ttl));
        let thresholds = thresholds.or_else(|| settings.map(|settings| settings.thresholds));
        Question {
            key: key.finish(),
            ttl: self.ttl(asked_of, ttl.unwrap_or_default(), now),
            subject,
            asked,
            thresholds: thresholds.unwrap_or_default(),
            own,
        }
    }

    /// An instant that is not settled, as the source wants it rounded.
    fn stepped(&self, time: UnixMillis, now: Now) -> UnixMillis {
        let step = self.source.map(|source| source.settings.instant_step);
        let step_ms = step.map_or(0, |step| {
            i64::try_from(step.as_millis()).unwrap_or(i64::MAX)
        });
        if step_ms == 0 || time.0 <= settled_edge_ms(self.limits.settle, now.wall) {
            return time;
        }
        UnixMillis(time.0.saturating_sub(time.0.rem_euclid(step_ms)))
    }

    /// What was settled when it was asked about stays as it is, within reason; all that the query
    /// looks at, that is.
    fn ttl(&self, asked: Option<(UnixMillis, Option<&str>)>, ttl: Duration, now: Now) -> Duration {
        let edge_ms = settled_edge_ms(self.limits.settle, now.wall);
        let is_settled = |asked: UnixMillis, query| match query {
            Some(query) => {
                // A window that is settled at its end is settled throughout.
                let reach = Reach::of_whole(query);
                reach.is_some_and(|reach| reach.is_settled(asked.0, edge_ms))
            }
            None => true,
        };
        let settled = asked.filter(|(asked, _)| asked.0 <= edge_ms);
        if settled.is_some_and(|(asked, query)| is_settled(asked, query)) {
            self.limits.settled_age_max.max(ttl)
        } else {
            ttl
        }
    }

    fn check_length(&self, query: &str) -> Result<(), QueryError> {
        let (bytes, limit_bytes) = (query.len(), self.limits.query_bytes_max);
        if bytes > limit_bytes {
            Err(QueryError::QueryTooLong { bytes, limit_bytes })
        } else {
            Ok(())
        }
    }
}

/// Whether an endpoint's answers are worth keeping: they change seldom, and every dashboard asks
/// for them.
fn is_kept(path: &str) -> bool {
    label_of(path).is_some() || matches!(path, "series" | "labels" | "metadata")
}

/// The name in `label/<name>/values`.
pub(crate) fn label_of(path: &str) -> Option<&str> {
    let name = path.strip_prefix("label/")?.strip_suffix("/values")?;
    (!name.contains('/')).then_some(name)
}

/// What the data of an endpoint's answer is, by its path below `/api/v1/`.
pub(crate) fn shape_of(path: &str) -> Shape {
    match path {
        "series" => Shape::Series,
        "labels" => Shape::Strings,
        _ if label_of(path).is_some() => Shape::Strings,
        _ => Shape::Document,
    }
}

/// The parameters of a kept endpoint in an order of their own, for it heeds none: sorted by name,
/// the first of each name alone, and of lists (`match[]`) each value once, sorted.
fn canonical(params: &[(String, String)]) -> Vec<(String, String)> {
    let mut sorted = params.to_vec();
    sorted.sort_by(|(a, x), (b, y)| {
        let by_value = a.ends_with("[]").then(|| x.cmp(y));
        a.cmp(b).then(by_value.unwrap_or(Ordering::Equal))
    });
    sorted.dedup_by(|next, kept| next.0 == kept.0 && (next.1 == kept.1 || !kept.0.ends_with("[]")));
    sorted
}

/// The known ones, sorted, so that their order in the ask does not matter.
fn extra_params(given: &[(String, String)]) -> Result<Vec<(String, String)>, QueryError> {
    let mut extra = Vec::new();
    for (name, value) in given {
        let Some(&known) = EXTRA_PARAMS.iter().find(|known| **known == name.as_str()) else {
            continue;
        };
        if extra
            .iter()
            .any(|(taken, _): &(String, String)| taken == known)
        {
            return Err(QueryError::BadParameter {
                name: known,
                value: value.clone(),
                message: "it is given twice".to_owned(),
            });
        }
        extra.push((name.clone(), value.clone()));
    }
    extra.sort();
    Ok(extra)
}

fn timestamp(time: UnixMillis) -> String {
    let mut text = Vec::new();
    write_timestamp_ms(time.0, &mut text);
    String::from_utf8(text).expect("digits are UTF-8")
}

/// Decimal seconds, exact to the nanosecond.
fn seconds(duration: Duration) -> String {
    let (whole, nanos) = (duration.as_secs(), duration.subsec_nanos());
    if nanos == 0 {
        return format!("{whole}");
    }
    let text = format!("{whole}.{nanos:09}");
    text.trim_end_matches('0').into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_a_kept_endpoints_parameters_does_not_matter() {
        let pairs = |text: &str| -> Vec<(String, String)> {
            let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
            pairs
                .map(|(name, value)| (name.into(), value.into()))
                .collect()
        };
        let told = "match[]=b&start=1&match[]=a&start=2&match[]=b&end=3";
        assert_eq!(
            canonical(&pairs(told)),
            pairs("end=3&match[]=a&match[]=b&start=1")
        );
    }

    #[test]
    fn values_are_those_of_one_label() {
        assert_eq!(label_of("label/__name__/values"), Some("__name__"));
        assert_eq!(
            [label_of("label/a/b/values"), label_of("label/values")],
            [None; 2]
        );
        assert!(is_kept("series") && is_kept("metadata") && !is_kept("rules"));
    }

    #[test]
    fn a_step_is_written_in_seconds_without_loss() {
        let texts = [
            15_000_000_000,
            500_000_000,
            1_000_000_001,
            90_061_500_000_000,
        ];
        let texts = texts.map(|nanos| seconds(Duration::from_nanos(nanos)));
        assert_eq!(texts, ["15", "0.5", "1.000000001", "90061.5"]);
    }
}
