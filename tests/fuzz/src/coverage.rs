//! Which code an input runs, by counters that the compiler puts in where it is asked to.
//!
//! LLVM's sanitizer coverage gives each edge of the compiled code a byte and, before `main`, tells
//! a function of this name where they lie. Where nothing was compiled so, it is never called.

#![allow(
    unsafe_code,
    reason = "the counters are memory that the compiler hands over by address"
)]

use std::ptr;
use std::slice;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

static START: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
static LENGTH: AtomicUsize = AtomicUsize::new(0);

/// Called once per compiled unit; the linker has put the counters of all of them into one piece,
/// of which each call names the whole.
///
/// # Safety
/// From `start` to `stop` there is memory of the program's own, for as long as it runs.
#[unsafe(no_mangle)]
unsafe extern "C" fn __sanitizer_cov_8bit_counters_init(start: *mut u8, stop: *mut u8) {
    START.store(start, Ordering::Relaxed);
    LENGTH.store(
        (stop as usize).saturating_sub(start as usize),
        Ordering::Relaxed,
    );
}

/// Whether this program was compiled with counters.
pub fn has_counters() -> bool {
    LENGTH.load(Ordering::Relaxed) > 0
}

/// What was seen of the counters so far: for each edge, in which ranges of counts.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    seen: Vec<u8>,
    edges: usize,
}

impl Coverage {
    /// Runs it with counters at zero; says whether it ran an edge for the first time, or one more
    /// often than ever, in powers of two.
    pub(crate) fn adds(&mut self, run: impl FnOnce()) -> bool {
        counters(|counters| counters.fill(0));
        run();
        let mut is_new = false;
        counters(|counters| {
            self.seen.resize(counters.len(), 0);
            // Most are never run, so eight at once are passed over.
            for (seen, counts) in self.seen.chunks_mut(8).zip(counters.chunks(8)) {
                if counts == [0; 8] {
                    continue;
                }
                for (seen, &count) in seen.iter_mut().zip(counts).filter(|(_, count)| **count > 0) {
                    let range = 1 << count.ilog2();
                    if *seen & range == 0 {
                        is_new = true;
                        self.edges += usize::from(*seen == 0);
                        *seen |= range;
                    }
                }
            }
        });
        is_new
    }

    /// The edges that were run, by number.
    pub(crate) fn seen_edges(&self) -> impl Iterator<Item = usize> {
        let seen = self.seen.iter().enumerate();
        seen.filter(|(_, seen)| **seen > 0).map(|(nth, _)| nth)
    }

    /// How many edges were run at least once.
    pub(crate) fn edges(&self) -> usize {
        self.edges
    }
}

fn counters(of: impl FnOnce(&mut [u8])) {
    let (start, length) = (
        START.load(Ordering::Relaxed),
        LENGTH.load(Ordering::Relaxed),
    );
    if length > 0 {
        // SAFETY: the compiler's own counters, there until the end. The compiled code adds to them
        // as it runs, in this thread alone, and nothing here relies on what they are.
        of(unsafe { slice::from_raw_parts_mut(start, length) });
    }
}
