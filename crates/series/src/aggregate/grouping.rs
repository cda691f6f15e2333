//! Groups: which series are taken together.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::error::AggregateError;
use crate::labels::{Labels, is_label_name};
use crate::ring::Ring;

/// How much of an invalid name an error repeats, in characters.
const NAME_CHARS_MAX: usize = 64;

/// Which series are taken together.
///
/// The metric name is a label as any, `__name__`: unlike in PromQL it is kept or left out only as the names say. So
/// `By` of a label alone takes different metrics together, and to keep them apart `__name__` has to be among the names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grouping {
    /// None: each is a group of its own, with all its labels.
    Series,
    /// Those that have equal values of these labels, and of no others are labels told. A series without one of them is
    /// in the group without it.
    By(Vec<Box<str>>),
    /// Those that have equal values of all labels but these, which are left out.
    Without(Vec<Box<str>>),
}

impl Grouping {
    pub(super) fn check(&self) -> Result<(), AggregateError> {
        let names = match self {
            Self::Series => return Ok(()),
            Self::By(names) | Self::Without(names) => names,
        };
        match names.iter().find(|name| !is_label_name(name)) {
            Some(name) => Err(AggregateError::InvalidLabel {
                name: name.chars().take(NAME_CHARS_MAX).collect(),
            }),
            None => Ok(()),
        }
    }

    fn keeps(&self, name: &str) -> bool {
        match self {
            Self::Series => true,
            Self::By(names) => names.iter().any(|own| **own == *name),
            Self::Without(names) => !names.iter().any(|own| **own == *name),
        }
    }
}

/// Series of one group, in the order of their labels.
pub(super) type Members<'a> = Vec<&'a Ring>;

/// The series by group, groups in the order of their labels.
pub(super) fn group<'a>(
    series: &[(&'a Labels, &'a Ring)],
    grouping: &Grouping,
    groups_max: usize,
) -> Result<Vec<(Labels, Members<'a>)>, AggregateError> {
    let limit = Err(AggregateError::GroupLimit { limit: groups_max });
    if *grouping == Grouping::Series {
        if series.len() > groups_max {
            return limit;
        }
        let alone = |&(labels, ring): &(&Labels, _)| (labels.clone(), alloc::vec![ring]);
        return Ok(series.iter().map(alone).collect());
    }
    let mut groups: BTreeMap<Vec<(&str, &str)>, Members<'a>> = BTreeMap::new();
    let mut key = Vec::new();
    for &(labels, ring) in series {
        key.clear();
        key.extend(labels.iter().filter(|(name, _)| grouping.keeps(name)));
        if let Some(members) = groups.get_mut(&*key) {
            members.push(ring);
        } else if groups.len() == groups_max {
            return limit;
        } else {
            groups.insert(key.clone(), alloc::vec![ring]);
        }
    }
    let named = |(pairs, members): (Vec<(&str, &str)>, _)| {
        let labels = Labels::from_pairs(pairs).expect("a part of a valid set is valid");
        (labels, members)
    };
    Ok(groups.into_iter().map(named).collect())
}
