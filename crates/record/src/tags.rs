//! Tags: what a context adds to everything recorded through it.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock};

use tidegate_series::{Labels, LabelsError, METRIC_NAME};

use crate::names::tag_name;

/// Names may come from outside; nobody shall choose them so that they meet in one place.
static STATE: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A tag, shared by every context below that which added it.
#[derive(Debug, PartialEq, Eq)]
struct Tag {
    name: Box<str>,
    value: Box<str>,
}

/// Tags sorted by name, each name once, no value empty.
#[derive(Clone, Debug)]
pub(crate) struct Tags {
    sorted: Arc<[Arc<Tag>]>,
    hash: u64,
}

impl Default for Tags {
    fn default() -> Self {
        Self::of(Vec::new())
    }
}

impl Tags {
    fn of(sorted: Vec<Arc<Tag>>) -> Self {
        let pairs = sorted.iter().map(|tag| (&*tag.name, &*tag.value));
        let hash = STATE.hash_one(pairs.collect::<Vec<_>>());
        let sorted = sorted.into();
        Self { sorted, hash }
    }

    /// These and more. Of two tags of one name the later counts, and an empty value takes the tag away.
    pub(crate) fn with<N: AsRef<str>, V: AsRef<str>>(
        &self,
        more: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let mut sorted = self.sorted.to_vec();
        for (name, value) in more {
            let (name, value) = (tag_name(name.as_ref()), value.as_ref());
            let place = sorted.binary_search_by(|tag| (*tag.name).cmp(&name));
            let tag = || {
                Arc::new(Tag {
                    name: name.as_ref().into(),
                    value: value.into(),
                })
            };
            match place {
                Ok(at) if value.is_empty() => {
                    sorted.remove(at);
                }
                Ok(at) => sorted[at] = tag(),
                Err(_) if value.is_empty() => {}
                Err(at) => sorted.insert(at, tag()),
            }
        }
        Self::of(sorted)
    }

    /// Names and values, sorted by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.sorted.iter().map(|tag| (&*tag.name, &*tag.value))
    }

    /// Where a series of this name and these tags is looked for.
    pub(crate) fn hash_with(&self, name: &str) -> u64 {
        STATE.hash_one((name, self.hash))
    }

    /// The label set of a metric with these tags.
    pub(crate) fn labels(&self, metric: &str) -> Result<Labels, LabelsError> {
        Labels::from_pairs(self.iter().chain([(METRIC_NAME, metric)]))
    }
}

impl PartialEq for Tags {
    fn eq(&self, other: &Self) -> bool {
        // A context looks for its own tags, most of the time.
        Arc::ptr_eq(&self.sorted, &other.sorted)
            || self.hash == other.hash && self.sorted == other.sorted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(tags: &Tags) -> Vec<(&str, &str)> {
        tags.iter().collect()
    }

    #[test]
    fn the_nearest_context_wins_and_an_empty_value_takes_a_tag_away() {
        let outer = Tags::default().with([("zone", "a"), ("app", "web")]);
        let inner = outer.with([("zone", "b"), ("node.id", "7")]);
        assert_eq!(
            pairs(&inner),
            [("app", "web"), ("node_id", "7"), ("zone", "b")]
        );
        assert_eq!(
            pairs(&inner.with([("zone", ""), ("none", "")])),
            [("app", "web"), ("node_id", "7")]
        );
        assert_eq!(pairs(&outer), [("app", "web"), ("zone", "a")]);
    }

    #[test]
    fn the_order_in_which_tags_came_does_not_matter() {
        let one = Tags::default().with([("a", "1"), ("b", "2")]);
        let other = Tags::default().with([("b", "2")]).with([("a", "1")]);
        assert!(one == other && one.hash_with("x") == other.hash_with("x"));
        let (ab, a_b) = (
            Tags::default().with([("ab", "c")]),
            Tags::default().with([("a", "bc")]),
        );
        assert!(ab != a_b);
    }
}
