//! The counts of a sketch's pages, in four bytes each while none can be more.

use alloc::vec::Vec;
use core::ops::Range;

use super::pages::{BUCKETS, Counts};

/// The counts of pages, page by page.
#[derive(Debug, Clone)]
pub(super) enum Column {
    /// Of a sketch of no more values than 32 bits count.
    Narrow(Vec<Counts<u32>>),
    Wide(Vec<Counts<u64>>),
}

impl Default for Column {
    fn default() -> Self {
        Self::Narrow(Vec::new())
    }
}

impl Column {
    /// These counts.
    pub(super) fn new(counts: Vec<Counts<u64>>) -> Self {
        let total: u128 = counts
            .iter()
            .flatten()
            .map(|&count| u128::from(count))
            .sum();
        if total > u128::from(u32::MAX) {
            return Self::Wide(counts);
        }
        let narrow = counts.iter().map(|counts| counts.map(|count| count as u32));
        Self::Narrow(narrow.collect())
    }

    /// Makes room for counts of more than 32 bits.
    pub(super) fn widen(&mut self) {
        if let Self::Narrow(counts) = self {
            *self = Self::Wide(counts.iter().map(|counts| counts.map(u64::from)).collect());
        }
    }

    /// The counts of the page at this place.
    pub(super) fn at(&self, place: usize) -> Counts<u64> {
        match self {
            Self::Narrow(counts) => counts[place].map(u64::from),
            Self::Wide(counts) => counts[place],
        }
    }

    /// Makes room for a page at this place.
    pub(super) fn insert(&mut self, place: usize) {
        match self {
            Self::Narrow(counts) => counts.insert(place, [0; BUCKETS]),
            Self::Wide(counts) => counts.insert(place, [0; BUCKETS]),
        }
    }

    /// Removes these pages and says how many values they counted.
    pub(super) fn remove(&mut self, places: Range<usize>) -> u64 {
        match self {
            Self::Narrow(counts) => counts.drain(places).flatten().map(u64::from).sum(),
            Self::Wide(counts) => counts.drain(places).flatten().sum(),
        }
    }

    /// Counts so many values more in a bucket.
    pub(super) fn count(&mut self, place: usize, bucket: usize, count: u64) {
        match self {
            Self::Narrow(counts) => counts[place][bucket] += count as u32,
            Self::Wide(counts) => counts[place][bucket] += count,
        }
    }

    /// Adds counts to those of the page at this place.
    pub(super) fn add(&mut self, place: usize, more: &Counts<u32>) {
        match self {
            Self::Narrow(counts) => add(&mut counts[place], more, u32::wrapping_add),
            Self::Wide(counts) => add(&mut counts[place], &more.map(u64::from), u64::wrapping_add),
        }
    }

    /// Adds the counts of a page of another column.
    pub(super) fn add_of(&mut self, place: usize, other: &Self, other_place: usize) {
        match (&mut *self, other) {
            (_, Self::Narrow(more)) => self.add(place, &more[other_place]),
            (Self::Wide(counts), Self::Wide(more)) => {
                add(&mut counts[place], &more[other_place], u64::wrapping_add);
            }
            (Self::Narrow(_), Self::Wide(_)) => {
                unreachable!("a sketch of as many values has been widened")
            }
        }
    }

    pub(super) const fn byte_size(&self) -> usize {
        match self {
            Self::Narrow(counts) => counts.capacity() * size_of::<Counts<u32>>(),
            Self::Wide(counts) => counts.capacity() * size_of::<Counts<u64>>(),
        }
    }
}

/// It cannot wrap: the sum of all counts does not.
fn add<T: Copy>(own: &mut Counts<T>, more: &Counts<T>, sum: impl Fn(T, T) -> T) {
    for (own, &more) in own.iter_mut().zip(more) {
        *own = sum(*own, more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_narrow_up_to_what_32_bits_count_and_no_further() {
        let most = u64::from(u32::MAX);
        let counts = |count| {
            let mut counts = [0; BUCKETS];
            (counts[3], counts[63]) = (count - 1, 1);
            counts
        };
        for (count, is_narrow) in [(most, true), (most + 1, false), (u64::MAX, false)] {
            let mut column = Column::new(alloc::vec![counts(count)]);
            assert_eq!(matches!(column, Column::Narrow(_)), is_narrow);
            assert_eq!(column.at(0), counts(count));
            column.widen();
            assert_eq!(column.at(0), counts(count));
            assert_eq!(column.remove(0..1), count);
        }
    }

    #[test]
    fn counts_of_either_width_are_added_to_wide_ones() {
        let most = u64::from(u32::MAX);
        let (one, far) = ([1; BUCKETS], [most; BUCKETS]);
        let mut column = Column::new(alloc::vec![one]);
        column.widen();
        column.add_of(0, &Column::new(alloc::vec![one]), 0);
        column.add_of(0, &Column::new(alloc::vec![far]), 0);
        column.add(0, &[u32::MAX; BUCKETS]);
        column.count(0, 5, most);
        let mut expected = [2 + 2 * most; BUCKETS];
        expected[5] += most;
        assert_eq!(column.at(0), expected);
    }
}
