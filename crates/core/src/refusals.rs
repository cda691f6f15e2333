//! Refusals remembered for a moment, so that a broken dashboard does not ask its source the same
//! wrong question again and again.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;

use crate::{Instant, QueryError};

/// How many are remembered: they are small, and each lives for seconds.
const REFUSALS_MAX: usize = 1_024;

/// Bytes of a refusal's body worth remembering: messages of Prometheus have hundreds.
const BODY_BYTES_MAX: usize = 64 << 10;

/// What was refused, until when it is remembered. The invariant: `order` lists every key of
/// `by_key` once, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    by_key: BTreeMap<Arc<str>, (Instant, QueryError)>,
    order: VecDeque<Arc<str>>,
}

impl Refusals {
    pub(crate) fn remember(&mut self, key: Arc<str>, error: QueryError, until: Instant) {
        if matches!(&error, QueryError::Upstream { body, .. } if body.len() > BODY_BYTES_MAX) {
            return;
        }
        if self.by_key.insert(key.clone(), (until, error)).is_some() {
            self.order.retain(|known| *known != key);
        } else if self.by_key.len() > REFUSALS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_key.remove(&oldest);
        }
        self.order.push_back(key);
    }

    pub(crate) fn recall(&self, key: &str, now: Instant) -> Option<&QueryError> {
        self.by_key
            .get(key)
            .filter(|(until, _)| now < *until)
            .map(|(_, error)| error)
    }

    /// Forgets those whose keys satisfy a condition.
    pub(crate) fn forget(&mut self, mut wanted: impl FnMut(&str) -> bool) -> usize {
        let before = self.by_key.len();
        self.by_key.retain(|key, _| !wanted(key));
        self.order.retain(|key| self.by_key.contains_key(key));
        before - self.by_key.len()
    }

    /// Forgets those whose time is over.
    pub(crate) fn cleanup(&mut self, now: Instant) {
        self.by_key.retain(|_, (until, _)| now < *until);
        self.order.retain(|key| self.by_key.contains_key(key));
    }

    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    fn error() -> QueryError {
        QueryError::Upstream {
            source: "prom".into(),
            status: 400,
            error_type: "bad_data".into(),
            message: "no".into(),
            body: Arc::from(&b"{}"[..]),
        }
    }

    #[test]
    fn a_refusal_is_remembered_up_to_its_last_tick() {
        let mut refusals = Refusals::default();
        refusals.remember("a".into(), error(), Instant::from_nanos(5));
        assert!(refusals.recall("a", Instant::from_nanos(4)).is_some());
        assert!(refusals.recall("a", Instant::from_nanos(5)).is_none());
        refusals.cleanup(Instant::from_nanos(5));
        assert_eq!((refusals.len(), refusals.order.len()), (0, 0));
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut refusals = Refusals::default();
        for nth in 0..=REFUSALS_MAX {
            refusals.remember(format!("{nth}").into(), error(), Instant::from_nanos(9));
            refusals.remember(format!("{nth}").into(), error(), Instant::from_nanos(9));
        }
        assert_eq!(
            (refusals.len(), refusals.order.len()),
            (REFUSALS_MAX, REFUSALS_MAX)
        );
        assert!(refusals.recall("0", Instant::ZERO).is_none());
        assert!(refusals.recall("1", Instant::ZERO).is_some());
    }
}
