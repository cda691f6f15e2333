//! What can be wrong with a configuration, in words for its author.

use alloc::string::String;
use core::fmt;
use core::time::Duration;

use tidegate_series::{LABEL_VALUE_BYTES_MAX, MatcherError};

use super::local::METRIC_RULES_MAX;
use super::{COLLECT_INTERVAL_MIN, LOCAL, PACKS_MAX, TARGETS_MAX};
use crate::pack::packs;
use crate::{AlertError, OwnerError, PackError, TemplateError};

/// What is wrong with a configuration; its author is to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A source's name has other characters than names may have, or none.
    BadName {
        /// The name given.
        name: String,
    },
    /// Two sources share a name, or one is called `local`.
    DuplicateSource {
        /// The name.
        name: String,
    },
    /// A source's thresholds are not in order.
    Thresholds {
        /// The source.
        source: String,
    },
    /// A source's timeout is zero, so no fetch could succeed.
    ZeroTimeout {
        /// The source.
        source: String,
    },
    /// A scrape source has no targets, or too many.
    Targets {
        /// The source.
        source: String,
        /// How many it has.
        targets: usize,
    },
    /// A scrape source names a target twice.
    DuplicateTarget {
        /// The source.
        source: String,
        /// The target.
        target: String,
    },
    /// Something other than targets is to be collected, or too often.
    CollectInterval {
        /// The source.
        source: String,
        /// The interval.
        interval: Duration,
    },
    /// A target that is collected has a name that cannot be the value of a label.
    TargetName {
        /// The source.
        source: String,
        /// The name's length.
        bytes: usize,
    },
    /// A template's own thresholds are not in order.
    TemplateThresholds {
        /// The source it belongs to.
        source: String,
        /// The template.
        template: String,
    },
    /// A template is wrong.
    Template {
        /// The source it belongs to.
        source: String,
        /// What is wrong with it.
        error: TemplateError,
    },
    /// There are more packs than there may be.
    TooManyPacks {
        /// How many there are.
        packs: usize,
    },
    /// Two packs share a name, or one has that of a shipped pack.
    DuplicatePack {
        /// The name.
        name: String,
    },
    /// A pack is wrong.
    Pack {
        /// The pack.
        pack: String,
        /// What is wrong with it.
        error: PackError,
    },
    /// A workload cannot be given to its owner.
    Owner(OwnerError),
    /// More of Tidegate's own metrics have bounds of their own than may.
    TooManyMetricRules {
        /// How many there are.
        rules: usize,
    },
    /// What names some of Tidegate's own metrics is no pattern.
    MetricRule(MatcherError),
    /// An alert rule is wrong.
    Alert(AlertError),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadName { name } => {
                write!(
                    f,
                    "bad source name {name:?}: use letters, digits, '_', '-' and '.', beginning with none of '-' and '.'"
                )
            }
            Self::DuplicateSource { name } if name == LOCAL => {
                write!(
                    f,
                    "no source may be named \"local\": that is Tidegate's own"
                )
            }
            Self::DuplicateSource { name } => write!(f, "two sources are named {name:?}"),
            Self::Thresholds { source } => {
                write!(
                    f,
                    "source {source}: thresholds must be in order: fresh_below <= warn_past <= unavailable_past"
                )
            }
            Self::ZeroTimeout { source } => write!(
                f,
                "source {source}: the timeout is zero, so no fetch could succeed"
            ),
            Self::Targets { source, targets } => write!(
                f,
                "source {source} has {targets} targets: a scrape source has 1 to {TARGETS_MAX}"
            ),
            Self::DuplicateTarget { source, target } => {
                write!(f, "source {source} names target {target:?} twice")
            }
            Self::CollectInterval { source, interval } => {
                write!(
                    f,
                    "source {source}: nothing can be collected every {interval:?}: only a scrape source is, every {COLLECT_INTERVAL_MIN:?} or more seldom"
                )
            }
            Self::TargetName { source, bytes } => write!(
                f,
                "source {source}: a target's name of {bytes} bytes cannot be its label \"instance\": 1 to {LABEL_VALUE_BYTES_MAX} can"
            ),
            Self::TemplateThresholds { source, template } => {
                write!(
                    f,
                    "source {source}: template {template:?}: thresholds must be in order: fresh_below <= warn_past <= unavailable_past"
                )
            }
            Self::Template { source, error } => write!(f, "source {source}: {error}"),
            Self::TooManyPacks { packs } => {
                write!(f, "{packs} packs, at most {PACKS_MAX} are taken")
            }
            Self::DuplicatePack { name } if packs::NAMES.contains(&&**name) => write!(
                f,
                "no pack may be named {name:?}: that one is shipped, and asks whatever templates of its queries' names a source has"
            ),
            Self::DuplicatePack { name } => write!(f, "two packs are named {name:?}"),
            Self::Pack { pack, error } => write!(f, "pack {pack}: {error}"),
            Self::Owner(error) => write!(f, "owners: {error}"),
            Self::TooManyMetricRules { rules } => write!(
                f,
                "local: {rules} metrics have bounds of their own, at most {METRIC_RULES_MAX} may: put some together in one pattern"
            ),
            Self::MetricRule(error) => write!(f, "local: {error}"),
            Self::Alert(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for ConfigError {}
