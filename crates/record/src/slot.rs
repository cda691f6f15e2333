//! Slots: the place in every cell that one live thread alone writes.
//!
//! What one thread alone writes needs no read-modify-write: a plain load and a plain store do, and no
//! other processor takes the cache line away. When a thread ends, its slot goes to the next new one, with what
//! it counted: the list of free slots is behind a lock, so the new owner sees the old owner's last store.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

/// How many threads at a time have a slot; those that come when all are taken share cells, at the cost
/// of an ordinary atomic addition. More slots would make every series larger.
pub(crate) const SLOTS: usize = 16;

/// The slot of a thread without one. No array has it.
const SHARED: usize = usize::MAX;
/// The slot of a thread that has not recorded yet.
const UNASSIGNED: usize = usize::MAX - 1;

/// A bit for each slot that no thread has.
static FREE: Mutex<u16> = Mutex::new(u16::MAX);
const _: () = assert!(SLOTS == u16::BITS as usize);

thread_local! {
    /// Without a destructor, so that reading it costs an instruction, also while the thread ends.
    static SLOT: Cell<usize> = const { Cell::new(UNASSIGNED) };
    static LEASE: Lease = Lease::take();
}

/// This thread's slot, perhaps none that exists: see [`assigned`].
#[inline]
pub(crate) fn current() -> usize {
    SLOT.get()
}

/// This thread's slot, below [`SLOTS`], now that it needs one; `None` if it is to share.
#[cold]
pub(crate) fn assigned() -> Option<usize> {
    if SLOT.get() == UNASSIGNED {
        // While the thread ends, its lease is over.
        SLOT.set(LEASE.try_with(|lease| lease.0).unwrap_or(SHARED));
    }
    Some(SLOT.get()).filter(|slot| *slot != SHARED)
}

/// The right to a slot for as long as the thread lives.
struct Lease(usize);

impl Lease {
    fn take() -> Self {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = free.trailing_zeros() as usize;
        *free &= free.wrapping_sub(1);
        Self(if slot < SLOTS { slot } else { SHARED })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Later destructors of this thread may record, too.
        SLOT.set(SHARED);
        if self.0 != SHARED {
            *FREE.lock().unwrap_or_else(PoisonError::into_inner) |= 1 << self.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::thread::scope;

    #[test]
    fn live_threads_never_have_the_same_slot() {
        let threads = 2 * SLOTS;
        let (all_have, all_know) = (Barrier::new(threads), Barrier::new(threads));
        let slots: Vec<_> = scope(|scope| {
            let tasks: Vec<_> = (0..threads)
                .map(|_| {
                    scope.spawn(|| {
                        all_have.wait();
                        let slot = assigned();
                        all_know.wait();
                        slot
                    })
                })
                .collect();
            tasks
                .into_iter()
                .filter_map(|task| task.join().unwrap())
                .collect()
        });
        let mut once = slots.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), slots.len());
        assert!(once.iter().all(|slot| *slot < SLOTS));
    }

    /// Records in its destructor, when the lease may be over already.
    struct Late;

    impl Drop for Late {
        fn drop(&mut self) {
            assert!(assigned().is_none_or(|slot| slot < SLOTS));
        }
    }

    #[test]
    fn a_thread_may_record_while_it_ends() {
        thread_local!(static LATE: Late = const { Late });
        std::thread::spawn(|| {
            LATE.with(|_| ());
            assigned();
        })
        .join()
        .unwrap();
    }
}
