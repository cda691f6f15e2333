//! A template as it stands in the file, below a source or a pack, each way.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use tidegate_core::{ParamConfig, ParamType, TemplateConfig, TemplateKind, Thresholds};

use super::error::ConfigError;
use super::place::Place;
use super::source::or;
use super::value::Span;

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Template {
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fresh_below: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warn_past: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unavailable_past: Option<Span>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    params: BTreeMap<String, Param>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Param {
    Metric,
    Label,
    Number,
}

impl Template {
    /// What it does not say of its thresholds is as `base` has it.
    pub(super) fn configured(
        &self,
        base: Thresholds,
        place: Place<'_>,
        span: Range<usize>,
    ) -> Result<TemplateConfig, ConfigError> {
        let own = [self.fresh_below, self.warn_past, self.unavailable_past];
        let has_own = own.iter().any(Option::is_some);
        let thresholds = Thresholds {
            fresh_below: or(self.fresh_below, base.fresh_below),
            warn_past: or(self.warn_past, base.warn_past),
            unavailable_past: or(self.unavailable_past, base.unavailable_past),
        };
        let (kind, text) = match (&self.query, &self.metric) {
            (Some(text), None) => (TemplateKind::PromQl, text),
            (None, Some(text)) => (TemplateKind::Metric, text),
            (None, None) | (Some(_), Some(_)) => {
                let message = format!(
                    "template {:?} must have either `query` or `metric`",
                    self.name
                );
                let hint = "query = \"PromQL with {{.param}}\", or metric = \"a bare metric name\"";
                return Err(place.at(span, message, Some(hint.into())));
            }
        };
        let param = |(name, param): (&String, &Param)| ParamConfig {
            name: name.clone(),
            kind: (*param).into(),
        };
        Ok(TemplateConfig {
            name: self.name.clone(),
            kind,
            text: text.clone(),
            params: self.params.iter().map(param).collect(),
            ttl: self.ttl.map(|span| span.0),
            thresholds: has_own.then_some(thresholds),
            description: self.description.clone(),
        })
    }
}

impl From<&TemplateConfig> for Template {
    fn from(template: &TemplateConfig) -> Self {
        let TemplateConfig {
            name,
            kind,
            text,
            params,
            ttl,
            thresholds,
            description,
        } = template;
        let text = Some(text.clone());
        let (query, metric) = match kind {
            TemplateKind::PromQl => (text, None),
            TemplateKind::Metric => (None, text),
        };
        let param = |param: &ParamConfig| (param.name.clone(), param.kind.into());
        Self {
            name: name.clone(),
            description: description.clone(),
            query,
            metric,
            ttl: ttl.map(Span),
            fresh_below: thresholds.map(|thresholds| Span(thresholds.fresh_below)),
            warn_past: thresholds.map(|thresholds| Span(thresholds.warn_past)),
            unavailable_past: thresholds.map(|thresholds| Span(thresholds.unavailable_past)),
            params: params.iter().map(param).collect(),
        }
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

impl From<ParamType> for Param {
    fn from(param: ParamType) -> Self {
        match param {
            ParamType::Metric => Self::Metric,
            ParamType::Label => Self::Label,
            ParamType::Number => Self::Number,
        }
    }
}
