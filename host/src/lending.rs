//! Responses given out again without waking the collector: what it has lent, and when it ends.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tidegate_api::{Aged, Input, Output, RenderedStore};
use tidegate_client::native::TokioClock;
use tidegate_client::{Clock, Machine, MachineError};
use tidegate_core::{Forget, Now};

use crate::guest::{GuestCommand, GuestReply, Lent};
use crate::rendered::Rendered;

/// What the responses may weigh: 32 MiB, half of what the collector's cache may by default, for
/// hundreds of dashboards' worth.
const BYTES_MAX: usize = 32 << 20;

/// What the collectors of a host have lent.
#[derive(Debug)]
pub(crate) struct Lending {
    store: RwLock<RenderedStore<Arc<Rendered>>>,
    /// The one by which the collectors are stepped.
    clock: TokioClock,
    hits: AtomicU64,
}

impl Lending {
    /// Room for what so many collectors lend, each known by its number.
    pub(crate) fn new(clock: TokioClock, lenders: usize) -> Self {
        Self {
            store: RwLock::new(RenderedStore::new(BYTES_MAX, lenders)),
            clock,
            hits: AtomicU64::new(0),
        }
    }

    /// The clock by which the collectors are to be stepped.
    pub(crate) const fn clock(&self) -> TokioClock {
        self.clock
    }

    /// The response to equal requests, as it is now.
    pub(crate) fn find(&self, request: &[u8]) -> Option<(Arc<Rendered>, Aged)> {
        let now = self.clock.now().mono;
        let store = self.read();
        let (rendered, aged) = store.find(request, now)?;
        Some((Arc::clone(rendered), aged))
    }

    /// Counts a response that is given out again.
    pub(crate) fn count_hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    /// Keeps a response for equal requests, unless something was forgotten since it was lent.
    pub(crate) fn keep(&self, request: &[u8], rendered: &Arc<Rendered>) {
        if let Some((reuse, lent)) = rendered.terms() {
            self.write().insert(
                request,
                Arc::clone(rendered),
                rendered.bytes_max(),
                reuse.clone(),
                lent.at,
                lent.generation,
            );
        }
    }

    /// How often a response was given out again.
    pub(crate) fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// How many responses there are, and what they weigh in bytes.
    pub(crate) fn held(&self) -> (usize, usize) {
        let store = self.read();
        (store.len(), store.bytes())
    }

    fn read(&self) -> RwLockReadGuard<'_, RenderedStore<Arc<Rendered>>> {
        // Nothing in the store panics half way.
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, RenderedStore<Arc<Rendered>>> {
        self.store.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A machine whose responses are lent. It hears what ends that before anybody gets a reply of the
/// same step.
#[derive(Debug)]
pub(crate) struct Lender<M> {
    machine: M,
    lending: Arc<Lending>,
    /// Its number among the lenders.
    lender: usize,
}

impl<M> Lender<M> {
    /// Nothing that another machine has lent under this number outlives this.
    pub(crate) fn new(machine: M, lending: Arc<Lending>, lender: usize) -> Self {
        lending.write().forget(lender, &Forget::All);
        Self {
            machine,
            lending,
            lender,
        }
    }
}

impl<M> Machine for Lender<M>
where
    M: Machine<Command = GuestCommand, Reply = GuestReply>,
{
    type Command = GuestCommand;
    type Reply = GuestReply;

    fn step(
        &mut self,
        inputs: Vec<Input<GuestCommand>>,
        now: Now,
    ) -> Result<Vec<Output<GuestReply>>, MachineError> {
        let mut outputs = self.machine.step(inputs, now)?;
        for output in &mut outputs {
            if let Output::Forget(forget) = output {
                self.lending.write().forget(self.lender, forget);
            } else if let Output::Reply(_, GuestReply::Http(response)) = output
                && response.reuse.is_some()
            {
                response.lent = Some(Lent {
                    at: now.mono,
                    generation: self.lending.read().generation(self.lender),
                });
            }
        }
        Ok(outputs)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::time::Duration;

    use tidegate_api::{CommandId, Reuse};
    use tidegate_core::Freshness;

    use super::*;
    use crate::guest::GuestResponse;

    /// Says what it was told to, step by step.
    struct Puppet(VecDeque<Vec<Output<GuestReply>>>);

    impl Machine for Puppet {
        type Command = GuestCommand;
        type Reply = GuestReply;

        fn step(
            &mut self,
            _: Vec<Input<GuestCommand>>,
            _: Now,
        ) -> Result<Vec<Output<GuestReply>>, MachineError> {
            Ok(self.0.pop_front().unwrap_or_default())
        }
    }

    fn reply(id: u64) -> Output<GuestReply> {
        let reuse = Reuse {
            left: Duration::from_secs(30),
            age: Duration::ZERO,
            ages: true,
            ttl_left: Duration::from_secs(30),
            freshness: Freshness::Fresh,
            key: "prom/:query=up".into(),
        };
        let response = GuestResponse {
            status: 200,
            headers: Vec::new(),
            body: b"{}".to_vec(),
            reuse: Some(reuse),
            lent: None,
        };
        Output::Reply(CommandId(id), GuestReply::Http(response))
    }

    /// What the driver would deliver of this step, not delivered yet.
    fn rendered(outputs: Vec<Output<GuestReply>>) -> Vec<Arc<Rendered>> {
        let response = |output| match output {
            Output::Reply(_, GuestReply::Http(response)) => Rendered::of(response).map(Arc::new),
            Output::Fetch(_)
            | Output::Cancel(_)
            | Output::Reply(..)
            | Output::Event(_)
            | Output::Forget(_)
            | Output::Append(_)
            | Output::Wait(_) => None,
        };
        outputs.into_iter().filter_map(response).collect()
    }

    fn lender(
        steps: impl IntoIterator<Item = Vec<Output<GuestReply>>>,
    ) -> (Lender<Puppet>, Arc<Lending>) {
        let lending = Arc::new(Lending::new(TokioClock::new(), 2));
        let puppet = Puppet(steps.into_iter().collect());
        (Lender::new(puppet, Arc::clone(&lending), 0), lending)
    }

    #[test]
    fn what_was_rendered_before_an_end_and_arrives_after_it_is_not_kept() {
        let forget = || Output::Forget(Forget::All);
        let (mut lender, lending) = lender([vec![reply(1)], vec![reply(2), forget(), reply(3)]]);
        let mut step = || rendered(lender.step(Vec::new(), Now::ZERO).unwrap());
        let first = step().remove(0);
        lending.keep(b"early", &first);
        assert!(lending.find(b"early").is_some());
        let second = step();
        assert!(lending.find(b"early").is_none(), "ended with the step");
        lending.keep(b"late", &first);
        lending.keep(b"same", &second[0]);
        lending.keep(b"new", &second[1]);
        let kept = ["late", "same", "new"].map(|key| lending.find(key.as_bytes()).is_some());
        assert_eq!(kept, [false, false, true]);
        assert_eq!(lending.held().0, 1);
    }

    #[test]
    fn nothing_outlives_the_machine_that_lent_it() {
        let (mut lender, lending) = lender([vec![reply(1)]]);
        let first = rendered(lender.step(Vec::new(), Now::ZERO).unwrap()).remove(0);
        lending.keep(b"kept", &first);
        drop(Lender::new(
            Puppet(VecDeque::new()),
            Arc::clone(&lending),
            0,
        ));
        lending.keep(b"late", &first);
        assert_eq!(lending.held().0, 0);
    }
}
