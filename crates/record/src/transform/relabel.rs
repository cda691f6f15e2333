//! Relabelling, as Prometheus does it.

use std::collections::BTreeMap;

use tidegate_series::{GroupPattern, Labels, LabelsError, METRIC_NAME, is_label_name};

use super::stage::{Outcome, Problem, groups};
use super::{Relabel, RelabelAction};

/// One rule, checked.
#[derive(Debug)]
pub(super) struct Rule {
    config: Relabel,
    regex: GroupPattern,
}

impl Rule {
    pub(super) fn new(config: &Relabel) -> Result<Self, Problem> {
        for label in &config.source_labels {
            if !is_label_name(label) {
                return Err(("source_labels", format!("{label:?} is no label name")));
            }
        }
        check_fields(config)?;
        Ok(Self {
            regex: groups(&config.regex)?,
            config: config.clone(),
        })
    }

    pub(super) const fn action(&self) -> RelabelAction {
        self.config.action
    }

    pub(super) fn apply(&self, labels: &Labels, value: f64) -> Outcome {
        let changed = match self.config.action {
            RelabelAction::Keep | RelabelAction::Drop => {
                let keeps = self.config.action == RelabelAction::Keep;
                return match self.regex.is_match(&self.source(labels)) == keeps {
                    true => Outcome::Same,
                    false => Outcome::Dropped,
                };
            }
            RelabelAction::Replace => self.replace(labels),
            RelabelAction::LabelDrop => self.retain(labels, false),
            RelabelAction::LabelKeep => self.retain(labels, true),
            RelabelAction::LabelMap => self.map(labels),
        };
        match changed {
            Ok(Some(labels)) => Outcome::Changed(labels, value),
            Ok(None) => Outcome::Same,
            Err(error) => Outcome::Refused(error),
        }
    }

    /// What becomes of a description, if the metric's name alone decides.
    pub(super) fn family(&self, name: &str) -> Option<Option<String>> {
        let by_name = self.config.source_labels == [METRIC_NAME];
        match self.config.action {
            RelabelAction::Keep if by_name => self.regex.is_match(name).then_some(None),
            RelabelAction::Drop if by_name => (!self.regex.is_match(name)).then_some(None),
            RelabelAction::Replace if by_name && self.config.target_label == METRIC_NAME => {
                Some(self.regex.expand(name, &self.config.replacement))
            }
            RelabelAction::Keep
            | RelabelAction::Drop
            | RelabelAction::Replace
            | RelabelAction::LabelDrop
            | RelabelAction::LabelKeep
            | RelabelAction::LabelMap => Some(None),
        }
    }

    /// The values that are looked at.
    fn source(&self, labels: &Labels) -> String {
        let values = self.config.source_labels.iter();
        let values: Vec<&str> = values
            .map(|label| labels.value(label).unwrap_or_default())
            .collect();
        values.join(&self.config.separator)
    }

    fn replace(&self, labels: &Labels) -> Result<Option<Labels>, LabelsError> {
        let source = self.source(labels);
        let Some(target) = self.regex.expand(&source, &self.config.target_label) else {
            return Ok(None);
        };
        if !is_label_name(&target) {
            return Ok(None);
        }
        let value = self.regex.expand(&source, &self.config.replacement);
        let value = value.unwrap_or_default();
        if labels.value(&target).unwrap_or_default() == value {
            return Ok(None);
        }
        replaced(labels, &target, &value).map(Some)
    }

    fn retain(&self, labels: &Labels, matching: bool) -> Result<Option<Labels>, LabelsError> {
        let kept = labels
            .iter()
            .filter(|(name, _)| self.regex.is_match(name) == matching);
        if kept.clone().count() == labels.len() {
            return Ok(None);
        }
        Labels::from_pairs(kept).map(Some)
    }

    fn map(&self, labels: &Labels) -> Result<Option<Labels>, LabelsError> {
        let mapped = labels.iter().filter_map(|(name, value)| {
            let to = self.regex.expand(name, &self.config.replacement)?;
            is_label_name(&to).then_some((to, value))
        });
        let own = labels.iter().map(|(name, value)| (name.to_owned(), value));
        let all: BTreeMap<String, &str> = own.chain(mapped).collect();
        let all = Labels::from_pairs(all)?;
        Ok((all != *labels).then_some(all))
    }
}

/// What Prometheus checks: which fields an action needs, and which it has no use for.
fn check_fields(config: &Relabel) -> Result<(), Problem> {
    let problem = |field, text: String| Err((field, text));
    let Relabel { action, .. } = config;
    match action {
        RelabelAction::Replace => {
            let target = &config.target_label;
            if target.is_empty() {
                return problem("target_label", "replace needs one".to_owned());
            }
            if !target.contains('$') && !is_label_name(target) {
                return problem("target_label", format!("{target:?} is no label name"));
            }
        }
        RelabelAction::Keep | RelabelAction::Drop if config.source_labels.is_empty() => {
            return problem("source_labels", format!("{action} needs one"));
        }
        RelabelAction::LabelMap if config.replacement.is_empty() => {
            return problem("replacement", "labelmap needs one".to_owned());
        }
        RelabelAction::LabelDrop | RelabelAction::LabelKeep | RelabelAction::LabelMap
            if !config.source_labels.is_empty() =>
        {
            let text = format!("{action} looks at the names of all labels");
            return problem("source_labels", text);
        }
        RelabelAction::Keep
        | RelabelAction::Drop
        | RelabelAction::LabelDrop
        | RelabelAction::LabelKeep
        | RelabelAction::LabelMap => {}
    }
    if *action != RelabelAction::Replace && !config.target_label.is_empty() {
        return problem(
            "target_label",
            format!("{action} sets no label of that name"),
        );
    }
    Ok(())
}

/// The labels with one of them set to `value`, or taken away if that is empty.
pub(super) fn replaced(labels: &Labels, name: &str, value: &str) -> Result<Labels, LabelsError> {
    let others = labels.iter().filter(|(other, _)| *other != name);
    Labels::from_pairs(others.chain([(name, value)]))
}
