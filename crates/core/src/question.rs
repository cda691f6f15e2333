//! From an ask to a question: the bound query, its key, how long its answer is believed.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use tidegate_wire::form::encode_form;
use tidegate_wire::number::write_timestamp_ms;

use crate::key::KeyBuilder;
use crate::source::Source;
use crate::{
    Ask, FetchRequest, Limits, Method, Now, Query, QueryError, SourceConfig, Thresholds, UnixMillis,
};

/// Where Prometheus answers instant queries.
const QUERY_PATH: &str = "/api/v1/query";

/// A target's address is that of its text.
const TARGET_PATH: &str = "";

/// Above this a form travels as a body: servers and proxies cut URLs off somewhere past 4 KiB.
const GET_FORM_BYTES_MAX: usize = 2_048;

/// The parameters of the query endpoint that an ask may pass on.
const EXTRA_PARAMS: [&str; 3] = ["limit", "lookback_delta", "stats"];

/// An ask made definite.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) key: Arc<str>,
    pub(crate) query: String,
    /// The instant asked about, where one was named.
    pub(crate) asked: Option<UnixMillis>,
    /// How long the answer is a hit.
    pub(crate) ttl: Duration,
    pub(crate) thresholds: Thresholds,
    /// Whether ttl and thresholds are its template's own, and not its source's.
    own: (bool, bool),
    /// The target whose text is asked for, of a scrape source.
    pub(crate) target: Option<Arc<str>>,
    extra: Vec<(String, String)>,
}

impl Question {
    /// The question for the text of one target of a scrape source.
    pub(crate) fn of_target(source: &Source, target: &str) -> Self {
        let mut key = KeyBuilder::new(&source.name, "");
        key.param("target", target);
        Self {
            key: key.finish(),
            query: String::new(),
            asked: None,
            ttl: source.settings.ttl,
            thresholds: source.settings.thresholds,
            own: (false, false),
            target: Some(target.into()),
            extra: Vec::new(),
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

    /// What its texts weigh, the key among them.
    pub(crate) fn byte_size(&self) -> usize {
        let extra = self
            .extra
            .iter()
            .map(|(name, value)| name.len() + value.len());
        self.key.len() + self.query.len() + extra.sum::<usize>()
    }

    /// A question of this key about now, for tests of what keeps answers.
    #[cfg(test)]
    pub(crate) fn named(key: &str, asked: Option<UnixMillis>) -> Self {
        Self {
            key: key.into(),
            query: String::new(),
            asked,
            ttl: Duration::from_secs(30),
            thresholds: Thresholds::default(),
            target: None,
            own: (false, false),
            extra: Vec::new(),
        }
    }

    /// The fetch that answers it.
    pub(crate) fn request(&self) -> FetchRequest {
        if self.target.is_some() {
            return FetchRequest {
                method: Method::Get,
                path: TARGET_PATH,
                form: String::new(),
            };
        }
        let time = self.asked.map(timestamp);
        let extra = self
            .extra
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let params = [("query", self.query.as_str())].into_iter();
        let mut form = String::new();
        encode_form(
            params
                .chain(time.as_deref().map(|time| ("time", time)))
                .chain(extra),
            &mut form,
        );
        let method = if form.len() <= GET_FORM_BYTES_MAX {
            Method::Get
        } else {
            Method::Post
        };
        FetchRequest {
            method,
            path: QUERY_PATH,
            form,
        }
    }
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
        let extra = extra_params(&ask.extra)?;
        let (mut key, query, ttl, thresholds) = match &ask.query {
            Query::PromQl(text) => {
                self.check_length(text)?;
                let mut key = KeyBuilder::new(name, "");
                key.param("query", text);
                (key, text.clone(), None, None)
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
                (key, query, found.config().ttl, found.config().thresholds)
            }
        };
        // A parameter of a template may have the same name, so these are marked by a character
        // that no parameter's name has.
        if let Some(time) = ask.time {
            key.param("@time", &timestamp(time));
        }
        for (name, value) in &extra {
            key.param(&alloc::format!("@{name}"), value);
        }
        let own = (ttl.is_some(), thresholds.is_some());
        let ttl = ttl
            .or_else(|| self.source.map(|source| source.settings.ttl))
            .unwrap_or_default();
        let thresholds = thresholds
            .or_else(|| self.source.map(|source| source.settings.thresholds))
            .unwrap_or_default();
        Ok(Question {
            key: key.finish(),
            query,
            asked: ask.time,
            ttl: self.ttl(ask.time, ttl, now),
            thresholds,
            own,
            target: None,
            extra,
        })
    }

    /// What was settled when it was asked about stays as it is, within reason.
    fn ttl(&self, asked: Option<UnixMillis>, ttl: Duration, now: Now) -> Duration {
        let settled = asked.is_some_and(|asked| now.wall.since(asked) > self.limits.settle);
        if settled {
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
