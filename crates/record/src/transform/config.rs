//! Transformations as they are written down.

use std::fmt;

/// One transformation.
#[derive(Clone, Debug, PartialEq)]
pub enum Transform {
    /// Gives a metric another name. What belongs to a histogram or summary of that name,
    /// `…_bucket`, `…_sum` and `…_count`, is renamed with it.
    Rename {
        /// The name it has.
        metric: String,
        /// The name it gets.
        to: String,
    },
    /// Drops metrics.
    Drop {
        /// A pattern for whole names, as in [`Relabel::regex`].
        metric: String,
    },
    /// Multiplies values. What a description says of the unit stays as it is.
    Scale {
        /// A pattern for whole names, as in [`Relabel::regex`]; of a histogram only `…_sum` has a unit.
        metric: String,
        /// By what: finite and not 0.
        factor: f64,
    },
    /// One rule of Prometheus' `relabel_config`.
    Relabel(Relabel),
}

/// A rule in the words of Prometheus' `relabel_config`, and with its defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relabel {
    /// The labels whose values are looked at, joined by the separator; one that is absent is empty.
    /// `__name__` is the metric's name.
    pub source_labels: Vec<String>,
    /// What stands between the values: `;` by default.
    pub separator: String,
    /// A pattern that has to match the whole text: RE2, at most
    /// [`PATTERN_BYTES_MAX`](tidegate_series::PATTERN_BYTES_MAX) long, in linear time. `(.*)` by default.
    pub regex: String,
    /// Which label [`Replace`](RelabelAction::Replace) sets; groups are filled in.
    pub target_label: String,
    /// What it is set to, groups filled in: `$1` by default. An empty result takes the label away.
    pub replacement: String,
    /// What is done.
    pub action: RelabelAction,
}

impl Default for Relabel {
    fn default() -> Self {
        Self {
            source_labels: Vec::new(),
            separator: ";".to_owned(),
            regex: "(.*)".to_owned(),
            target_label: String::new(),
            replacement: "$1".to_owned(),
            action: RelabelAction::Replace,
        }
    }
}

/// What a [`Relabel`] rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RelabelAction {
    /// Sets a label where the pattern matches. Where the target filled in is no label name, nothing.
    #[default]
    Replace,
    /// Drops what does not match.
    Keep,
    /// Drops what matches.
    Drop,
    /// Takes away labels whose names match.
    LabelDrop,
    /// Takes away labels whose names do not match.
    LabelKeep,
    /// Copies labels whose names match to the names that the replacement gives; where two meet, the
    /// last by name wins, and where the result is no label name, nothing.
    LabelMap,
}

impl RelabelAction {
    /// Every action.
    pub const ALL: [Self; 6] = [
        Self::Replace,
        Self::Keep,
        Self::Drop,
        Self::LabelDrop,
        Self::LabelKeep,
        Self::LabelMap,
    ];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Keep => "keep",
            Self::Drop => "drop",
            Self::LabelDrop => "labeldrop",
            Self::LabelKeep => "labelkeep",
            Self::LabelMap => "labelmap",
        }
    }

    /// The action of a word, in any case; `None` for another word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|action| action.as_str().eq_ignore_ascii_case(word))
    }
}

impl fmt::Display for RelabelAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
