//! Pages: the buckets of one octave each, for those octaves that have values.
//!
//! A number's bits, ordered as numbers are (those of negatives all turned over, of others the sign alone), begin with
//! twelve that are its page and go on with six that are its bucket there. So pages and their buckets stand in the order
//! of the numbers they count, whatever their sign.
//!
//! The invariant: pages rise, there are at most [`PAGES_MAX`], none is closer to zero than the floor of its sign, and
//! none is that of zeros, infinities or NaNs. Whoever adds counts sees to it that their sum fits
//! 64 bits, and [widens](Pages::widen_for) the counts before it goes past 32.

use alloc::vec::Vec;

use super::column::Column;

/// Into how many buckets an octave is parted.
pub(super) const BUCKETS: usize = 64;

/// How many octaves have a page of their own.
pub(super) const PAGES_MAX: usize = 64;

/// How many buckets a [`Sketch`](super::Sketch) has at most.
pub const SKETCH_BUCKETS_MAX: usize = PAGES_MAX * BUCKETS;

/// The page of what is positive and smaller than any octave, and of 0.
pub(super) const ZERO: u16 = 2_048;

/// The page of the infinity and of positive NaNs.
const UP: u16 = 4_095;

/// The page of the negative infinity and of negative NaNs.
const DOWN: u16 = 0;

const PAGE_SHIFT: u32 = 52;
const BUCKET_SHIFT: u32 = 46;

/// The bits of a number in the order of the numbers.
const fn ordered(value: f64) -> u64 {
    let bits = value.to_bits();
    let negative = ((bits as i64) >> 63) as u64;
    bits ^ (negative | 1 << 63)
}

/// The number of ordered bits.
const fn unordered(bits: u64) -> f64 {
    let positive = ((bits as i64) >> 63) as u64;
    f64::from_bits(bits ^ (!positive | 1 << 63))
}

/// The middle of a bucket.
pub(super) const fn middle(page: u16, bucket: usize) -> f64 {
    let bits = (page as u64) << PAGE_SHIFT | (bucket as u64) << BUCKET_SHIFT;
    unordered(bits | 1 << (BUCKET_SHIFT - 1))
}

/// The exponent bits of a page: 0 for those of zeros.
pub(super) const fn exponent(page: u16) -> u16 {
    if page >= ZERO {
        page - ZERO
    } else {
        ZERO - 1 - page
    }
}

const fn page_of(exponent: u16, negative: bool) -> u16 {
    if negative {
        ZERO - 1 - exponent
    } else {
        ZERO + exponent
    }
}

/// The counts of one page.
pub(super) type Counts<T> = [T; BUCKETS];

/// Counts in the making: pages in the order they came, each found by one look.
pub(super) struct Tables {
    /// The place of each page among the counts; 0 for none.
    slots: [u8; 1 << 12],
    pages: Vec<u16>,
    counts: Vec<Counts<u32>>,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            slots: [0; 1 << 12],
            pages: alloc::vec![UP],
            counts: alloc::vec![[0; BUCKETS]],
        }
    }
}

impl Tables {
    /// Counts values up to the first whose page is not open, and says how many.
    pub(super) fn count(&mut self, values: &[f64]) -> usize {
        let Self { slots, counts, .. } = self;
        let counts = counts.as_mut_slice();
        for (nth, &value) in values.iter().enumerate() {
            let bits = ordered(value);
            let slot = usize::from(slots[(bits >> PAGE_SHIFT) as usize]);
            if slot == 0 {
                return nth;
            }
            counts[slot][(bits >> BUCKET_SHIFT) as usize % BUCKETS] += 1;
        }
        values.len()
    }

    /// Opens the page of a finite number; `false` if there is no room for it.
    pub(super) fn open(&mut self, value: f64) -> bool {
        let Ok(slot) = u8::try_from(self.counts.len()) else {
            return false;
        };
        let page = (ordered(value) >> PAGE_SHIFT) as u16;
        self.slots[usize::from(page)] = slot;
        self.pages.push(page);
        self.counts.push([0; BUCKETS]);
        true
    }

    /// Pages and their counts.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u16, &Counts<u32>)> {
        self.pages.iter().copied().zip(&self.counts).skip(1)
    }
}

/// The pages of a sketch.
#[derive(Clone, Default)]
pub(super) struct Pages {
    pages: Vec<u16>,
    counts: Column,
    /// The least exponents that have a page, of positive and of negative numbers.
    floors: [u16; 2],
}

impl Pages {
    /// Pages as they were, with their counts and floors; `None` for what breaks the invariant.
    pub(super) fn restored(
        pages: Vec<u16>,
        counts: Vec<Counts<u64>>,
        floors: [u16; 2],
    ) -> Option<Self> {
        let own = |&page: &u16| {
            let floor = floors[usize::from(page < ZERO)];
            DOWN < page && page < UP && exponent(page) >= floor.max(1)
        };
        let valid = pages.len() <= PAGES_MAX
            && pages.is_sorted_by(|a, b| a < b)
            && pages.iter().all(own)
            && floors.iter().all(|&floor| floor < exponent(UP));
        valid.then(|| Self {
            pages,
            counts: Column::new(counts),
            floors,
        })
    }

    pub(super) const fn floors(&self) -> [u16; 2] {
        self.floors
    }

    pub(super) fn len(&self) -> usize {
        self.pages.len()
    }

    /// Pages and their counts, in the order of the numbers they count.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u16, Counts<u64>)> {
        let places = 0..self.pages.len();
        places.map(|place| (self.pages[place], self.counts.at(place)))
    }

    /// Makes room for as many values as this, all that are to be counted.
    pub(super) fn widen_for(&mut self, count: u64) {
        if count > u64::from(u32::MAX) {
            self.counts.widen();
        }
    }

    /// How many numbers are counted.
    pub(super) fn total(&self) -> u64 {
        self.iter()
            .map(|(_, counts)| counts.iter().sum::<u64>())
            .sum()
    }

    /// The number of a rank, where so many zeros stand between the negative pages and the positive ones; `None` past
    /// the last.
    pub(super) fn at_rank(&self, mut rank: u64, zeros: u64) -> Option<f64> {
        let (mut zeros, mut from) = (Some(zeros), 0);
        let zero = self.pages.partition_point(|&page| page < ZERO);
        for split in [zero, self.pages.len()] {
            for (page, counts) in self.iter().take(split).skip(from) {
                for (bucket, count) in counts.into_iter().enumerate() {
                    if rank < count {
                        return Some(middle(page, bucket));
                    }
                    rank -= count;
                }
            }
            from = split;
            if let Some(zeros) = zeros.take() {
                if rank < zeros {
                    return Some(0.0);
                }
                rank -= zeros;
            }
        }
        None
    }

    pub(super) const fn byte_size(&self) -> usize {
        self.pages.capacity() * size_of::<u16>() + self.counts.byte_size()
    }

    /// Adds counts of a page, which is none of zeros, infinities or NaNs.
    pub(super) fn add(&mut self, page: u16, counts: &Counts<u32>) {
        let negative = page < ZERO;
        if self.is_below(page) {
            let count = counts.iter().map(|&count| u64::from(count)).sum();
            return self.add_at_floor(negative, count);
        }
        let place = self.place(page);
        self.counts.add(place, counts);
        self.keep_within();
    }

    /// Whether a page is closer to zero than the floor of its sign.
    const fn is_below(&self, page: u16) -> bool {
        exponent(page) < self.floors[(page < ZERO) as usize]
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (negative, &floor) in [false, true].into_iter().zip(&other.floors) {
            self.raise_floor(negative, floor);
        }
        let mut from = 0;
        for (at, &page) in other.pages.iter().enumerate() {
            while self.pages.get(from).is_some_and(|&own| own < page) {
                from += 1;
            }
            if self.pages.get(from) == Some(&page) {
                self.counts.add_of(from, &other.counts, at);
            } else if self.is_below(page) {
                let count = other.counts.at(at).iter().sum();
                self.add_at_floor(page < ZERO, count);
            } else {
                let place = self.place(page);
                self.counts.add_of(place, &other.counts, at);
                self.keep_within();
            }
        }
    }

    /// The place of this page, of which it makes one if there is none.
    fn place(&mut self, page: u16) -> usize {
        match self.pages.binary_search(&page) {
            Ok(at) => at,
            Err(at) => {
                self.pages.insert(at, page);
                self.counts.insert(at);
                at
            }
        }
    }

    /// Counts in the bucket closest to zero.
    fn add_at_floor(&mut self, negative: bool, count: u64) {
        let floor = self.floors[usize::from(negative)];
        let bucket = if negative { BUCKETS - 1 } else { 0 };
        let place = self.place(page_of(floor, negative));
        self.counts.count(place, bucket, count);
        self.keep_within();
    }

    /// While there are too many pages: counts the one closest to zero with its neighbour away from it.
    fn keep_within(&mut self) {
        while self.pages.len() > PAGES_MAX {
            let zero = self.pages.partition_point(|&page| page < ZERO);
            // Of 65 pages one sign has two at least.
            let second = |negative: bool| {
                let at = if negative {
                    zero.checked_sub(2)
                } else {
                    Some(zero + 1)
                };
                at.and_then(|at| self.pages.get(at))
                    .map(|&page| exponent(page))
            };
            let least = |negative: bool| {
                let at = if negative { zero - 1 } else { zero };
                exponent(self.pages[at])
            };
            let negative = match (second(false), second(true)) {
                (Some(_), Some(_)) => least(true) < least(false),
                (positive, _) => positive.is_none(),
            };
            let floor = second(negative).expect("a sign with two pages");
            self.raise_floor(negative, floor);
        }
    }

    /// Counts all that is closer to zero than this exponent in the bucket there.
    fn raise_floor(&mut self, negative: bool, floor: u16) {
        let side = usize::from(negative);
        if floor <= self.floors[side] {
            return;
        }
        self.floors[side] = floor;
        let zero = self.pages.partition_point(|&page| page < ZERO);
        let below = if negative {
            let first = self
                .pages
                .partition_point(|&page| page <= page_of(floor, true));
            first..zero
        } else {
            let end = self
                .pages
                .partition_point(|&page| page < page_of(floor, false));
            zero..end
        };
        if below.is_empty() {
            return;
        }
        self.pages.drain(below.clone());
        let count = self.counts.remove(below);
        self.add_at_floor(negative, count);
    }
}
