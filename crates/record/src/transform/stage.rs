//! One transformation, ready to run.

use tidegate_series::{
    GroupPattern, Labels, LabelsError, METRIC_NAME, MatchOp, Matcher, is_metric_name, is_stale,
};

use super::Transform;
use super::relabel::{Rule, replaced};

/// What follows the name of a histogram or summary in the names of its series.
const PARTS: [&str; 3] = ["_bucket", "_sum", "_count"];

#[derive(Debug)]
pub(super) enum Stage {
    Rename { metric: String, to: String },
    Drop { metric: Matcher },
    Scale { metric: Matcher, factor: f64 },
    Relabel(Rule),
}

/// What became of a sample.
#[derive(Debug)]
pub(super) enum Outcome {
    Same,
    Changed(Labels, f64),
    Dropped,
    Refused(LabelsError),
}

/// Which field of a transformation makes no sense, and why.
pub(super) type Problem = (&'static str, String);

impl Stage {
    pub(super) fn new(transform: &Transform) -> Result<Self, Problem> {
        Ok(match transform {
            Transform::Rename { metric, to } => Self::Rename {
                metric: metric_name("metric", metric)?,
                to: metric_name("to", to)?,
            },
            Transform::Drop { metric } => Self::Drop {
                metric: pattern(metric)?,
            },
            Transform::Scale { metric, factor } => {
                if !factor.is_finite() || *factor == 0.0 {
                    let problem = format!("{factor} is no finite number other than 0");
                    return Err(("factor", problem));
                }
                Self::Scale {
                    metric: pattern(metric)?,
                    factor: *factor,
                }
            }
            Transform::Relabel(relabel) => Self::Relabel(Rule::new(relabel)?),
        })
    }

    pub(super) const fn action(&self) -> &'static str {
        match self {
            Self::Rename { .. } => "rename",
            Self::Drop { .. } => "drop",
            Self::Scale { .. } => "scale",
            Self::Relabel(rule) => rule.action().as_str(),
        }
    }

    pub(super) fn apply(&self, labels: &Labels, value: f64) -> Outcome {
        match self {
            Self::Rename { metric, to } => {
                match labels
                    .metric_name()
                    .and_then(|name| renamed(name, metric, to))
                {
                    Some(name) => match replaced(labels, METRIC_NAME, &name) {
                        Ok(labels) => Outcome::Changed(labels, value),
                        Err(error) => Outcome::Refused(error),
                    },
                    None => Outcome::Same,
                }
            }
            Self::Drop { metric } if metric.matches(labels) => Outcome::Dropped,
            Self::Scale { metric, factor } if metric.matches(labels) && !is_stale(value) => {
                Outcome::Changed(labels.clone(), value * factor)
            }
            Self::Drop { .. } | Self::Scale { .. } => Outcome::Same,
            Self::Relabel(rule) => rule.apply(labels, value),
        }
    }

    /// What becomes of a metric's description: `None` if it is dropped, `Some(None)` if it stays.
    pub(super) fn family(&self, name: &str) -> Option<Option<String>> {
        match self {
            Self::Rename { metric, to } => Some(renamed(name, metric, to)),
            Self::Drop { metric } => (!metric.matches_value(name)).then_some(None),
            Self::Scale { .. } => Some(None),
            Self::Relabel(rule) => rule.family(name),
        }
    }
}

fn renamed(name: &str, metric: &str, to: &str) -> Option<String> {
    let part = name.strip_prefix(metric)?;
    (part.is_empty() || PARTS.contains(&part)).then(|| format!("{to}{part}"))
}

fn metric_name(field: &'static str, name: &str) -> Result<String, Problem> {
    match is_metric_name(name) {
        true => Ok(name.to_owned()),
        false => Err((field, format!("{name:?} is no metric name"))),
    }
}

fn pattern(metric: &str) -> Result<Matcher, Problem> {
    Matcher::new(METRIC_NAME, MatchOp::Regex, metric).map_err(|error| ("metric", error.to_string()))
}

/// The pattern of a rule.
pub(super) fn groups(regex: &str) -> Result<GroupPattern, Problem> {
    GroupPattern::new("regex", regex).map_err(|error| ("regex", error.to_string()))
}
