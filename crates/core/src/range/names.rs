//! The label sets of series, each held once however many extents it is part of.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;

use tidegate_wire::Series;

/// What a label set costs beside its text and ends: reference counts, two allocations, a place.
const LABELS_OVERHEAD_BYTES: usize = 80;

/// A label set, in ascending order of names. Ordered as Prometheus orders series: by the first
/// name that differs, then its value; of two that begin alike the shorter comes first.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Labels {
    text: Box<str>,
    /// Where each name and each value ends, in turn.
    ends: Box<[u32]>,
}

impl Labels {
    fn of(series: &Series<'_>) -> Self {
        let mut text = String::new();
        let mut ends = Vec::with_capacity(2 * series.labels().len());
        for part in series.labels().flat_map(|(name, value)| [name, value]) {
            text.push_str(part);
            ends.push(u32::try_from(text.len()).expect("labels stay below 4 GiB"));
        }
        Self {
            text: text.into(),
            ends: ends.into(),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut from = 0;
        self.ends.chunks_exact(2).map(move |ends| {
            let (name, value) = (ends[0] as usize, ends[1] as usize);
            let label = (&self.text[from..name], &self.text[name..value]);
            from = value;
            label
        })
    }

    fn cmp_series(&self, series: &Series<'_>) -> Ordering {
        self.iter().cmp(series.labels())
    }

    fn byte_size(&self) -> usize {
        LABELS_OVERHEAD_BYTES + self.text.len() + 4 * self.ends.len()
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

/// The order of two label sets, quick where they are one.
pub(crate) fn order(a: &Arc<Labels>, b: &Arc<Labels>) -> Ordering {
    if Arc::ptr_eq(a, b) {
        Ordering::Equal
    } else {
        a.cmp(b)
    }
}

/// The label sets of one table, in order.
#[derive(Debug, Default)]
pub(crate) struct Names {
    sorted: Vec<Arc<Labels>>,
    bytes: usize,
}

impl Names {
    /// The label sets of these series, which come in order.
    pub(crate) fn intern<'a>(
        &mut self,
        series: impl Iterator<Item = Series<'a>>,
    ) -> Vec<Arc<Labels>> {
        let mut next = 0;
        let interned = series.map(|series| {
            let at = self.find(&series, next).unwrap_or_else(|at| {
                let labels = Labels::of(&series);
                self.bytes += labels.byte_size();
                self.sorted.insert(at, Arc::new(labels));
                at
            });
            next = at + 1;
            self.sorted[at].clone()
        });
        interned.collect()
    }

    /// The same, without taking in those that are not here.
    pub(crate) fn share<'a>(&self, series: impl Iterator<Item = Series<'a>>) -> Vec<Arc<Labels>> {
        let mut next = 0;
        let shared = series.map(|series| match self.find(&series, next) {
            Ok(at) => {
                next = at + 1;
                self.sorted[at].clone()
            }
            Err(at) => {
                next = at;
                Arc::new(Labels::of(&series))
            }
        });
        shared.collect()
    }

    /// Where the label set of a series is, or belongs. Who comes in order is most often found
    /// behind whoever came before, at `next`.
    fn find(&self, series: &Series<'_>, next: usize) -> Result<usize, usize> {
        let compare = |labels: &Arc<Labels>| labels.cmp_series(series);
        if self.sorted.get(next).map(compare) == Some(Ordering::Equal) {
            return Ok(next);
        }
        self.sorted.binary_search_by(compare)
    }

    /// Drops those that nobody else holds.
    pub(crate) fn prune(&mut self) {
        self.sorted.retain(|labels| Arc::strong_count(labels) > 1);
        self.bytes = self.sorted.iter().map(|labels| labels.byte_size()).sum();
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use tidegate_wire::{Columns, ColumnsBuilder};

    use super::*;

    fn columns(all: &[&[(&str, &str)]]) -> Columns {
        let mut builder = ColumnsBuilder::new();
        for labels in all {
            builder.begin_series();
            labels
                .iter()
                .for_each(|(name, value)| builder.label(name, value));
        }
        builder.finish()
    }

    #[test]
    fn a_label_set_is_held_once_and_given_up_with_its_last_holder() {
        let mut names = Names::default();
        let first = columns(&[&[("a", "1")], &[("a", "3")]]);
        let first = names.intern(first.iter());
        let second = columns(&[&[], &[("a", "1")], &[("a", "2")], &[("a", "3"), ("b", "")]]);
        let second = names.intern(second.iter());
        assert!(Arc::ptr_eq(&first[0], &second[1]));
        let all: Vec<Vec<_>> = names
            .sorted
            .iter()
            .map(|labels| labels.iter().collect())
            .collect();
        assert_eq!(
            all,
            [
                vec![],
                vec![("a", "1")],
                vec![("a", "2")],
                vec![("a", "3")],
                vec![("a", "3"), ("b", "")]
            ]
        );
        let shared = names.share(columns(&[&[("a", "2")], &[("b", "")]]).iter());
        assert!(Arc::ptr_eq(&shared[0], &second[2]));
        assert_eq!(
            names.sorted.len(),
            5,
            "one that was not here is not taken in"
        );
        drop((second, shared));
        names.prune();
        assert_eq!(names.sorted.len(), 2);
        assert_eq!(names.bytes(), 2 * (LABELS_OVERHEAD_BYTES + 2 + 8));
        drop(first);
        names.prune();
        assert_eq!((names.sorted.len(), names.bytes()), (0, 0));
    }

    #[test]
    fn series_are_ordered_as_prometheus_orders_them() {
        let ordered = columns(&[
            &[],
            &[("__name__", "a")],
            &[("__name__", "a"), ("b", "1")],
            &[("__name__", "a"), ("b", "10")],
            &[("__name__", "a"), ("b", "2")],
            &[("__name__", "a"), ("bb", "1")],
            &[("a", "")],
        ]);
        let sets: Vec<_> = ordered.iter().map(|series| Labels::of(&series)).collect();
        assert!(sets.is_sorted_by(|a, b| a < b));
    }
}
