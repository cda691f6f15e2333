//! A hit: beside the same keys in quick_cache.

use std::hint::black_box;
use std::sync::Arc;

use tidegate_core::Random;

use crate::clock::contest;
use crate::machine::{at_ms, filled};
use crate::table::{Table, Target};

/// As many as a cluster's dashboards and autoscalers ask about.
const KEYS: usize = 1_000;

/// How often all of them are read in a round.
const PASSES: u32 = 300;

pub(crate) fn measure(table: &mut Table) {
    let now = at_ms(1_000);
    let (mut collector, mut keys) = filled(KEYS, now);
    let sync = quick_cache::sync::Cache::new(2 * KEYS);
    let mut unsync = quick_cache::unsync::Cache::new(2 * KEYS);
    for key in &keys {
        let payload = collector.hit(key, now).expect("it was filled").payload();
        sync.insert(Arc::<str>::from(&**key), payload.clone());
        unsync.insert(Arc::<str>::from(&**key), payload.clone());
    }
    shuffle(&mut keys);
    let handles = keys.iter().map(|key| collector.resolve(key));
    let handles: Vec<_> = handles.map(|handle| handle.expect("in memory")).collect();
    assert!(
        keys.iter().all(|key| sync.get(&**key).is_some()),
        "all are in"
    );

    // One collector, borrowed by three contestants in turn.
    let collector = std::cell::RefCell::new(collector);
    let [theirs, single, by_key, cloned, by_handle] = contest(
        PASSES * KEYS as u32,
        [
            &mut || {
                for key in (0..PASSES).flat_map(|_| &keys) {
                    black_box(sync.get(black_box(key.as_str())));
                }
            },
            &mut || {
                for key in (0..PASSES).flat_map(|_| &keys) {
                    black_box(unsync.get(black_box(key.as_str())).cloned());
                }
            },
            &mut || {
                let mut collector = collector.borrow_mut();
                for key in (0..PASSES).flat_map(|_| &keys) {
                    let hit = collector.hit(black_box(key), black_box(now));
                    black_box(hit.map(|hit| hit.payload()));
                }
            },
            &mut || {
                let mut collector = collector.borrow_mut();
                for key in (0..PASSES).flat_map(|_| &keys) {
                    let hit = collector.hit(black_box(key), black_box(now));
                    black_box(hit.map(|hit| hit.payload().clone()));
                }
            },
            &mut || {
                let mut collector = collector.borrow_mut();
                for handle in (0..PASSES).flat_map(|_| &handles) {
                    let hit = collector.hit_by(black_box(*handle), black_box(now));
                    black_box(hit.map(|hit| hit.payload()));
                }
            },
        ],
    );
    table.heading("a hit: 1,000 keys in random order");
    let mut row = |what, ns: f64, target| {
        let ratio = (ns / theirs, "× quick_cache");
        table.row(what, &format!("{ns:.1} ns"), Some(ratio), target);
    };
    row("quick_cache::sync, get by &str", theirs, Target::None);
    row(
        "quick_cache::unsync, get by &str, Arc cloned",
        single,
        Target::None,
    );
    row("Collector::hit by &str", by_key, Target::AtMost(0.8));
    row("Collector::hit by &str, Arc cloned", cloned, Target::None);
    row("Collector::hit_by handle", by_handle, Target::AtMost(0.2));
    let hits = collector.borrow().stats().hits;
    assert!(
        hits > u64::from(PASSES) * KEYS as u64,
        "all of it were hits"
    );
}

fn shuffle(keys: &mut [String]) {
    let mut random = Random::new(1);
    for last in (1..keys.len()).rev() {
        keys.swap(last, random.below(last as u64 + 1) as usize);
    }
}
