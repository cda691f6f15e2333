//! Keys kept warm, and a machine with nothing to do.

use std::hint::black_box;
use std::time::Duration;

use tidegate_core::{Instant, Now, Output, Response, UnixMillis};

use crate::allocations;
use crate::clock::used;
use crate::machine::{at_ms, body, filled};
use crate::table::{Table, Target};

/// As many as a large cluster's autoscalers watch.
const KEYS: usize = 10_000;

/// How long they are kept warm, in virtual time.
const SPAN_S: u64 = 600;

/// In how many ticks each is read once: a minute.
const READ_EVERY: usize = 600;

const TICKS: u32 = 1_000_000;

pub(crate) fn measure(table: &mut Table) {
    let (mut collector, keys) = filled(KEYS, at_ms(0));
    assert_eq!(collector.stats().tracked, KEYS);
    let before = collector.stats();
    let mut spent = Duration::ZERO;
    let mut outstanding = Vec::new();
    // The driver wakes every 100 ms at least as late as each deadline; what it does itself is not
    // the machine's part.
    for tick in 0..SPAN_S * 10 {
        let now = at_ms(tick * 100);
        let start = used();
        collector.handle_timeout(now);
        for nth in (tick as usize % READ_EVERY..KEYS).step_by(READ_EVERY) {
            black_box(collector.hit(&keys[nth], now).is_some());
        }
        spent += used() - start;
        loop {
            let start = used();
            loop {
                match collector.poll_output() {
                    Output::Fetch(fetch) => outstanding.push(fetch.id),
                    Output::Wait(_) => break,
                    Output::Cancel(_)
                    | Output::Reply(_)
                    | Output::Event(_)
                    | Output::Forget(_)
                    | Output::Append(_) => {}
                }
            }
            spent += used() - start;
            if outstanding.is_empty() {
                break;
            }
            let responses: Vec<_> = outstanding
                .drain(..)
                .map(|id| (id, Response::new(200, body(now))))
                .collect();
            let start = used();
            for (id, response) in responses {
                collector.handle_response(id, Ok(response), now);
            }
            spent += used() - start;
        }
    }
    let stats = collector.stats();
    assert_eq!(stats.tracked, KEYS, "none was dropped");
    let fetches = stats.fetches - before.fetches;
    assert!(fetches > KEYS as u64 * SPAN_S / 30, "all were refreshed");
    table.heading(&format!(
        "10,000 keys kept warm at 30 s for 10 min of virtual time, each read once a minute: {fetches} fetches, {} hits",
        stats.hits - before.hits
    ));
    let share = spent.as_secs_f64() / SPAN_S as f64 * 100.0;
    table.row(
        "share of one processor",
        &format!("{:.2} s", spent.as_secs_f64()),
        Some((share, "%")),
        Target::AtMost(1.0),
    );
    table.row(
        "per fetch, everything told",
        &format!("{:.0} ns", spent.as_nanos() as f64 / fetches as f64),
        None,
        Target::None,
    );

    let last = at_ms((SPAN_S - 1) * 1000 + 900);
    let (allocated, start) = (allocations::so_far(), used());
    for tick in 0..TICKS {
        let now = Now {
            mono: Instant::from_nanos(last.mono.as_nanos() + u64::from(tick / 1_000)),
            wall: UnixMillis(last.wall.0),
        };
        collector.handle_timeout(black_box(now));
        black_box(collector.poll_output());
    }
    let (ticking, allocated) = (used() - start, allocations::so_far() - allocated);
    table.heading("1,000,000 ticks with nothing due, 10,000 keys tracked");
    table.row(
        "handle_timeout and poll_output",
        &format!("{:.1} ns", ticking.as_nanos() as f64 / f64::from(TICKS)),
        Some((allocated as f64, "allocations")),
        Target::AtMost(0.0),
    );
    assert_eq!(collector.stats().fetches, stats.fetches, "nothing was due");
}
