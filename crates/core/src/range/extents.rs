//! The settled past of range queries in memory: per table, runs of points that are known.
//!
//! A table is all that range questions share which differ in their windows alone: source, query,
//! parameters, step and phase. Its extents are disjoint. While two that adjoin are small they are
//! joined, so that one that grows at its end with every question stays one; a grown one is packed.
//!
//! Eviction is by extent and as the answer cache's (SIEVE): a hand walks from the oldest on,
//! spares once whatever was read since, and evicts the first that was not. The invariant: `bytes`
//! is the sum over all extents and label sets held and at most `bytes_max`, and `order` lists
//! every extent once.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;
use core::time::Duration;

use super::block::{Block, Reading};
use super::grid::{Run, subtract};
use super::names::{Labels, Names};
use crate::Now;

/// Points of one extent: a block of the encoding of values, and small enough that what is evicted
/// by extent is not missed much.
const EXTENT_POINTS_MAX: i64 = 512;

/// From here on an extent is packed and no longer grows; two smaller ones that adjoin are joined.
const PACK_POINTS_MIN: usize = 256;

/// What a table costs beside its key and label sets, and an extent beside its block.
const TABLE_OVERHEAD_BYTES: usize = 256;

/// How far the wall clock may fall behind the monotonic one before what it once called settled is
/// doubted: more than a clock is slewed by within an hour, and far less than the settle time.
const WALL_LAG_MAX: Duration = Duration::from_secs(2);

/// All tables.
#[derive(Debug, Default)]
pub(crate) struct Extents {
    bytes_max: usize,
    bytes: usize,
    tables: BTreeMap<Arc<str>, Table>,
    order: BTreeMap<u64, (Arc<str>, i64)>,
    next: u64,
    hand: u64,
    evictions: u64,
}

#[derive(Debug, Default)]
struct Table {
    names: Names,
    /// By first point.
    extents: BTreeMap<i64, Extent>,
}

#[derive(Debug)]
struct Extent {
    block: Arc<Block>,
    received: Now,
    /// Its place in the order of arrival.
    id: u64,
    read: bool,
    /// Whether it grew since the last cleanup.
    grew: bool,
    bytes: usize,
}

/// Points that are known, and since when.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) block: Arc<Block>,
    pub(crate) received: Now,
}

/// What is kept, for whoever looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holding {
    pub(crate) extents: usize,
    pub(crate) points: usize,
    pub(crate) samples: usize,
}

/// How long an extent is believed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Belief {
    pub(crate) age_max: Duration,
    pub(crate) now: Now,
}

impl Belief {
    /// Whether what was received then still holds. By whichever clock moved further; not if the
    /// wall clock has fallen back, for it may have run ahead when it told what was settled.
    pub(crate) fn holds(&self, received: Now) -> bool {
        let mono = self.now.mono.since(received.mono);
        let wall = self.now.wall.since(received.wall);
        mono.max(wall) < self.age_max && mono <= wall + WALL_LAG_MAX
    }
}

impl Extents {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            ..Self::default()
        }
    }

    /// What is known about a table's points within a run, in order, which is thereby read. What
    /// is no longer believed is dropped.
    pub(crate) fn known(&mut self, table: &str, run: Run, belief: Belief) -> Vec<Known> {
        self.drop_if(table, |extent| !belief.holds(extent.received));
        let Some(table) = self.tables.get_mut(table) else {
            return Vec::new();
        };
        let from = first_at_or_before(&table.extents, run.first);
        let near = table.extents.range_mut(from..=run.last);
        near.filter(|(_, extent)| extent.block.run().overlap(run).is_some())
            .map(|(_, extent)| {
                extent.read = true;
                Known {
                    block: extent.block.clone(),
                    received: extent.received,
                }
            })
            .collect()
    }

    /// The points up to the next that are known, on both sides of a run.
    pub(crate) fn unknown_around(&self, table: &str, run: Run) -> Run {
        let extents = self.tables.get(table).map(|table| &table.extents);
        let before = extents.and_then(|extents| extents.range(..run.first).next_back());
        let after = extents.and_then(|extents| extents.range(run.last + 1..).next());
        Run {
            first: before.map_or(i64::MIN, |(_, extent)| extent.block.run().last + 1),
            last: after.map_or(i64::MAX, |(first, _)| first - 1),
        }
    }

    /// The label sets of a response to a table's question, shared with what is kept.
    pub(crate) fn names(&self, table: &str, reading: &Reading<'_>) -> Vec<Arc<Labels>> {
        match self.tables.get(table) {
            Some(table) => reading.share(&table.names),
            None => reading.share(&Names::default()),
        }
    }

    /// Keeps what a response says about the points of a run. Where `anew`, in place of what was
    /// known about them; else only what was not.
    pub(crate) fn keep(
        &mut self,
        table: &Arc<str>,
        reading: &Reading<'_>,
        run: Run,
        anew: bool,
        belief: Belief,
    ) {
        if self.bytes_max == 0 {
            return;
        }
        self.drop_if(table, |extent| !belief.holds(extent.received));
        if anew {
            self.cut_out(table, run);
        }
        let mut fresh = alloc::vec![run];
        if let Some(table) = self.tables.get(table) {
            let known = table.extents.values().map(|extent| extent.block.run());
            known.for_each(|known| subtract(&mut fresh, known));
            if fresh.is_empty() {
                return;
            }
        } else {
            self.bytes += table_bytes(table);
        }
        let entry = self.tables.entry(table.clone()).or_default();
        self.bytes -= entry.names.bytes();
        let names = reading.intern(&mut entry.names);
        self.bytes += entry.names.bytes();
        for run in fresh.into_iter().flat_map(chunks) {
            self.insert(table, reading.cut(&names, run), belief.now);
            self.join_around(table, run);
        }
        drop(names);
        if self.bytes > self.bytes_max {
            // Series of points that are not settled leave their names behind.
            self.prune(table);
        }
        self.evict();
        self.drop_if_empty(table);
    }

    /// Drops the tables whose keys satisfy a condition.
    pub(crate) fn forget(&mut self, mut wanted: impl FnMut(&str) -> bool) {
        let keys: Vec<_> = self
            .tables
            .keys()
            .filter(|key| wanted(key))
            .cloned()
            .collect();
        for key in keys {
            self.drop_if(&key, |_| true);
        }
    }

    /// Drops what is no longer believed, packs what no longer grows, and gives up label sets that
    /// no series has any more.
    pub(crate) fn cleanup(&mut self, belief: Belief) {
        let keys: Vec<_> = self.tables.keys().cloned().collect();
        for key in keys {
            self.drop_if(&key, |extent| !belief.holds(extent.received));
            let Some(table) = self.tables.get_mut(&key) else {
                continue;
            };
            for extent in table.extents.values_mut() {
                if !core::mem::take(&mut extent.grew) && !extent.block.is_packed() {
                    Arc::make_mut(&mut extent.block).pack();
                    self.bytes -= extent.bytes;
                    extent.bytes = extent.block.byte_size();
                    self.bytes += extent.bytes;
                }
            }
            self.prune(&key);
        }
    }

    /// Gives up the label sets of a table that no series has any more.
    fn prune(&mut self, key: &str) {
        if let Some(table) = self.tables.get_mut(key) {
            self.bytes -= table.names.bytes();
            table.names.prune();
            self.bytes += table.names.bytes();
        }
    }

    /// Takes a new bound, and evicts down to it.
    pub(crate) fn resize(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
        self.evict();
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) const fn evictions(&self) -> u64 {
        self.evictions
    }

    /// What is kept in all.
    pub(crate) fn holding(&self) -> Holding {
        let tables = self.tables.values().map(Table::holding);
        tables.fold(Holding::default(), |sum, table| Holding {
            extents: sum.extents + table.extents,
            points: sum.points + table.points,
            samples: sum.samples + table.samples,
        })
    }

    /// What is kept of one table.
    pub(crate) fn holding_of(&self, table: &str) -> Option<Holding> {
        self.tables.get(table).map(Table::holding)
    }

    fn insert(&mut self, key: &Arc<str>, block: Block, received: Now) {
        let Some(table) = self.tables.get_mut(key) else {
            return;
        };
        let mut block = block;
        if block.run().len() >= PACK_POINTS_MIN {
            block.pack();
        }
        let (first, bytes, id) = (block.run().first, block.byte_size(), self.next);
        self.next += 1;
        self.bytes += bytes;
        self.order.insert(id, (key.clone(), first));
        let extent = Extent {
            block: Arc::new(block),
            received,
            id,
            read: false,
            grew: true,
            bytes,
        };
        let former = table.extents.insert(first, extent);
        assert!(former.is_none(), "extents are disjoint");
    }

    /// Joins a new extent with the ones before and behind it, where they are small.
    fn join_around(&mut self, key: &str, run: Run) {
        let before = self.tables.get(key).and_then(|table| {
            let before = table.extents.range(..run.first).next_back();
            before.map(|(first, _)| *first)
        });
        let joined = before.is_some_and(|before| self.join(key, before));
        self.join(key, before.filter(|_| joined).unwrap_or(run.first));
    }

    /// Joins the extent that begins here with the next one, if they adjoin and both are small.
    fn join(&mut self, key: &str, first: i64) -> bool {
        let Some(table) = self.tables.get_mut(key) else {
            return false;
        };
        let is_small = |extent: &&Extent| extent.block.run().len() < PACK_POINTS_MIN;
        let Some(end) = table.extents.get(&first).filter(is_small) else {
            return false;
        };
        let (behind, received) = (end.block.run().last + 1, end.received);
        let next = table.extents.get(&behind).filter(is_small);
        let fits = |next: &Extent| {
            by_one_clock(received, next.received) && end.block.speaks_as(&next.block)
        };
        if !next.is_some_and(fits) {
            return false;
        }
        let next = table.extents.remove(&behind).expect("just seen");
        self.order.remove(&next.id);
        let extent = table.extents.get_mut(&first).expect("just seen");
        self.bytes -= extent.bytes + next.bytes;
        let block = Arc::make_mut(&mut extent.block);
        block.append(&next.block);
        if block.run().len() >= PACK_POINTS_MIN {
            block.pack();
        }
        extent.bytes = block.byte_size();
        self.bytes += extent.bytes;
        extent.received = older(extent.received, next.received);
        extent.read |= next.read;
        extent.grew = true;
        true
    }

    /// Takes a run out of a table; what lies around it stays.
    fn cut_out(&mut self, key: &Arc<str>, run: Run) {
        let Some(table) = self.tables.get_mut(key) else {
            return;
        };
        let overlaps = |extent: &Extent| extent.block.run().overlap(run).is_some();
        let hit = table.extents.iter().filter(|(_, extent)| overlaps(extent));
        let hit: Vec<_> = hit.map(|(first, _)| *first).collect();
        for first in hit {
            let extent = self.remove(key, first);
            for rest in extent.block.run().without(run) {
                self.insert(key, extent.block.clip(rest), extent.received);
            }
        }
    }

    fn drop_if(&mut self, key: &str, wanted: impl Fn(&Extent) -> bool) {
        let Some(table) = self.tables.get(key) else {
            return;
        };
        let gone = table.extents.iter().filter(|(_, extent)| wanted(extent));
        let gone: Vec<_> = gone.map(|(first, _)| *first).collect();
        for first in gone {
            self.remove(key, first);
        }
        self.drop_if_empty(key);
    }

    fn drop_if_empty(&mut self, key: &str) {
        let is_empty = |table: &Table| table.extents.is_empty();
        if self.tables.get(key).is_some_and(is_empty)
            && let Some((key, table)) = self.tables.remove_entry(key)
        {
            self.bytes -= table_bytes(&key) + table.names.bytes();
        }
    }

    fn remove(&mut self, key: &str, first: i64) -> Extent {
        let table = self.tables.get_mut(key).expect("a known table");
        let extent = table.extents.remove(&first).expect("a known extent");
        self.order.remove(&extent.id);
        self.bytes -= extent.bytes;
        extent
    }

    fn evict(&mut self) {
        while self.bytes > self.bytes_max {
            let from = (Bound::Included(self.hand), Bound::Unbounded);
            let next = self.order.range(from).next();
            let Some((&id, (key, first))) = next.or_else(|| self.order.iter().next()) else {
                return;
            };
            let (key, first) = (key.clone(), *first);
            self.hand = id + 1;
            let table = self.tables.get_mut(&key).expect("a listed table");
            let extent = table.extents.get_mut(&first).expect("a listed extent");
            if !core::mem::take(&mut extent.read) {
                self.remove(&key, first);
                self.drop_if_empty(&key);
                self.evictions += 1;
            }
        }
    }
}

impl Table {
    fn holding(&self) -> Holding {
        let blocks = self.extents.values().map(|extent| &extent.block);
        Holding {
            extents: self.extents.len(),
            points: blocks.clone().map(|block| block.run().len()).sum(),
            samples: blocks.map(|block| block.sample_count()).sum(),
        }
    }
}

fn table_bytes(key: &str) -> usize {
    TABLE_OVERHEAD_BYTES + key.len()
}

/// Where to begin so as to meet an extent that reaches over this point.
fn first_at_or_before(extents: &BTreeMap<i64, Extent>, point: i64) -> i64 {
    let before = extents.range(..=point).next_back();
    before.map_or(point, |(first, _)| *first)
}

/// Whether the wall clock went as the monotonic one in between, so that the older receipt can stand
/// for both.
fn by_one_clock(a: Now, b: Now) -> bool {
    let (first, second) = if a.mono <= b.mono { (a, b) } else { (b, a) };
    let mono = second.mono.since(first.mono);
    let wall = second.wall.since(first.wall);
    wall.abs_diff(mono) <= WALL_LAG_MAX
}

fn older(a: Now, b: Now) -> Now {
    if a.mono <= b.mono { a } else { b }
}

/// A run in as few parts of at most [`EXTENT_POINTS_MAX`] as will do, all of about the same length.
fn chunks(run: Run) -> impl Iterator<Item = Run> {
    let points = run.last - run.first + 1;
    let parts = (points + EXTENT_POINTS_MAX - 1) / EXTENT_POINTS_MAX;
    (0..parts).map(move |nth| Run {
        first: run.first + nth * points / parts,
        last: run.first + (nth + 1) * points / parts - 1,
    })
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use alloc::format;
    use alloc::string::String;
    use alloc::vec;

    use tidegate_wire::{ColumnsBuilder, Data, QueryResponse};

    use super::*;
    use crate::range::Grid;
    use crate::{Instant, Range, UnixMillis};

    const STEP_MS: i64 = 1_000;

    fn run(first: i64, last: i64) -> Run {
        Run { first, last }
    }

    fn grid() -> Grid {
        let range = Range {
            start: UnixMillis(0),
            end: UnixMillis(0),
            step: Duration::from_millis(STEP_MS as u64),
        };
        Grid::of(&range).unwrap().0
    }

    /// What a source says about a run: each of some series has its point's number.
    fn response(series: usize, run: Run, infos: &[&str]) -> QueryResponse {
        let mut builder = ColumnsBuilder::new();
        for nth in 0..series {
            builder.begin_series();
            builder.label("nth", &format!("{nth:03}"));
            (run.first..=run.last).for_each(|point| builder.sample(point * STEP_MS, point as f64));
        }
        QueryResponse {
            infos: infos.iter().map(|info| String::from(*info)).collect(),
            ..QueryResponse::new(Data::Matrix(builder.finish()))
        }
    }

    fn belief(at_ms: u64) -> Belief {
        Belief {
            age_max: Duration::from_secs(3_600),
            now: Now {
                mono: Instant::from_millis(at_ms),
                wall: UnixMillis(at_ms as i64),
            },
        }
    }

    fn keep(extents: &mut Extents, table: &str, run: Run) {
        keep_with(extents, table, run, &[], false, belief(0));
    }

    fn keep_with(
        extents: &mut Extents,
        table: &str,
        run: Run,
        infos: &[&str],
        anew: bool,
        belief: Belief,
    ) {
        let response = response(3, run, infos);
        let reading = Reading::of(&response, grid(), run).unwrap();
        extents.keep(&table.into(), &reading, run, anew, belief);
        check(extents);
    }

    /// The invariants, told from everything there is.
    fn check(extents: &Extents) {
        let mut bytes = 0;
        let mut listed = 0;
        for (key, table) in &extents.tables {
            bytes += table_bytes(key) + table.names.bytes();
            let mut last = i64::MIN;
            for (first, extent) in &table.extents {
                let run = extent.block.run();
                assert!(*first == run.first && run.first > last, "disjoint");
                assert!(run.len() as i64 <= EXTENT_POINTS_MAX);
                assert_eq!(extent.bytes, extent.block.byte_size());
                assert_eq!(extents.order[&extent.id], (key.clone(), *first));
                (last, bytes, listed) = (run.last, bytes + extent.bytes, listed + 1);
            }
            assert!(!table.extents.is_empty());
        }
        assert_eq!((bytes, listed), (extents.bytes, extents.order.len()));
        assert!(extents.bytes <= extents.bytes_max);
    }

    fn runs(extents: &Extents, table: &str) -> Vec<(i64, i64)> {
        let table = extents.tables.get(table);
        let runs = table.into_iter().flat_map(|table| table.extents.values());
        let runs = runs.map(|extent| extent.block.run());
        runs.map(|run| (run.first, run.last)).collect()
    }

    #[test]
    fn small_extents_that_adjoin_are_one_and_large_ones_are_packed() {
        let mut extents = Extents::new(1 << 20);
        keep(&mut extents, "t", run(0, 9));
        keep(&mut extents, "t", run(20, 29));
        assert_eq!(runs(&extents, "t"), [(0, 9), (20, 29)]);
        keep(&mut extents, "t", run(10, 19));
        assert_eq!(runs(&extents, "t"), [(0, 29)]);
        keep(&mut extents, "t", run(0, 254));
        let is_packed = |extents: &Extents| extents.tables["t"].extents[&0].block.is_packed();
        assert!(!is_packed(&extents));
        keep(&mut extents, "t", run(255, 255));
        assert!(is_packed(&extents));
        keep(&mut extents, "t", run(250, 1_300));
        assert_eq!(
            runs(&extents, "t"),
            [(0, 255), (256, 603), (604, 951), (952, 1_300)]
        );
    }

    #[test]
    fn what_no_longer_grows_is_packed_and_grows_on_when_it_does() {
        let mut extents = Extents::new(1 << 20);
        keep(&mut extents, "t", run(0, 9));
        for packed in [false, true] {
            extents.cleanup(belief(1));
            check(&extents);
            assert_eq!(extents.tables["t"].extents[&0].block.is_packed(), packed);
        }
        keep(&mut extents, "t", run(10, 11));
        assert_eq!(runs(&extents, "t"), [(0, 11)]);
        let known = extents.known("t", run(3, 10), belief(1));
        let mut said = vec![];
        known[0]
            .block
            .floats(1, run(3, 10), &mut vec![], |point, value| {
                said.push((point, value))
            });
        assert_eq!(
            said,
            (3..=10)
                .map(|point| (point, point as f64))
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn what_differs_in_infos_or_clocks_is_not_joined() {
        let mut extents = Extents::new(1 << 20);
        keep_with(&mut extents, "t", run(0, 9), &["a"], false, belief(0));
        keep_with(&mut extents, "t", run(10, 19), &["b"], false, belief(0));
        let mut stepped = belief(5_000);
        stepped.now.wall = UnixMillis(7_001);
        keep_with(&mut extents, "t", run(20, 29), &["b"], false, stepped);
        assert_eq!(runs(&extents, "t"), [(0, 9), (10, 19), (20, 29)]);
        stepped.now.wall = UnixMillis(7_000);
        keep_with(&mut extents, "u", run(0, 9), &[], false, belief(0));
        keep_with(&mut extents, "u", run(10, 19), &[], false, stepped);
        assert_eq!(runs(&extents, "u"), [(0, 19)]);
        assert_eq!(
            extents.known("u", run(0, 0), belief(0))[0].received,
            Now::ZERO
        );
    }

    #[test]
    fn an_extent_is_believed_up_to_its_last_tick_and_while_the_clocks_agree() {
        let mut extents = Extents::new(1 << 20);
        keep(&mut extents, "t", run(0, 9));
        assert_eq!(extents.known("t", run(0, 9), belief(3_599_999)).len(), 1);
        let mut back = belief(10_000);
        back.now.wall = UnixMillis(8_000);
        assert!(back.holds(Now::ZERO));
        back.now.wall = UnixMillis(7_999);
        assert!(!back.holds(Now::ZERO));
        assert!(extents.known("t", run(0, 9), belief(3_600_000)).is_empty());
        check(&extents);
        assert_eq!((extents.bytes(), extents.tables.len()), (0, 0));
    }

    #[test]
    fn anew_replaces_and_otherwise_only_what_was_not_known_is_added() {
        let mut extents = Extents::new(1 << 20);
        keep(&mut extents, "t", run(10, 19));
        keep_with(&mut extents, "t", run(0, 29), &["x"], false, belief(7));
        assert_eq!(runs(&extents, "t"), [(0, 9), (10, 19), (20, 29)]);
        keep_with(&mut extents, "t", run(5, 14), &["y"], true, belief(7));
        assert_eq!(runs(&extents, "t"), [(0, 4), (5, 14), (15, 19), (20, 29)]);
    }

    #[test]
    fn what_is_unknown_ends_at_the_next_extents() {
        let mut extents = Extents::new(1 << 20);
        assert_eq!(
            extents.unknown_around("t", run(0, 9)),
            run(i64::MIN, i64::MAX)
        );
        keep(&mut extents, "t", run(-20, -10));
        keep(&mut extents, "t", run(30, 39));
        assert_eq!(extents.unknown_around("t", run(0, 9)), run(-9, 29));
        assert_eq!(extents.unknown_around("t", run(0, 29)), run(-9, 29));
        assert_eq!(extents.unknown_around("t", run(-10, 9)), run(-9, 29));
        assert_eq!(extents.unknown_around("t", run(50, 60)), run(40, i64::MAX));
    }

    #[test]
    fn what_is_read_survives_a_scan() {
        let mut extents = Extents::new(20_000);
        keep(&mut extents, "hot", run(0, 99));
        for scanned in 0..100 {
            assert_eq!(
                extents.known("hot", run(0, 0), belief(0)).len(),
                1,
                "evicted by {scanned}"
            );
            keep(&mut extents, &format!("{scanned}"), run(0, 99));
        }
        assert!(extents.evictions() > 90);
        extents.resize(0);
        check(&extents);
        assert_eq!(extents.holding(), Holding::default());
        keep(&mut extents, "t", run(0, 9));
        assert_eq!(extents.bytes(), 0);
    }

    #[test]
    fn tables_are_forgotten_by_key() {
        let mut extents = Extents::new(1 << 20);
        keep(&mut extents, "a", run(0, 9));
        keep(&mut extents, "b", run(0, 9));
        extents.forget(|key| key == "a");
        check(&extents);
        assert_eq!(
            (runs(&extents, "a"), runs(&extents, "b")),
            (vec![], vec![(0, 9)])
        );
        assert_eq!(
            extents.holding_of("b").unwrap(),
            Holding {
                extents: 1,
                points: 10,
                samples: 30
            }
        );
    }
}
