//! What is owed to those who read memory by key or by handle: what an ask would get, and no more.

use tidegate_core::Hit;

use super::{Check, Model, owed};
use crate::truth::evaluated_us;

/// A key's stay in memory, as of when somebody got a handle on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stay {
    /// The key.
    pub key: String,
    left: u64,
    may_have_left: u64,
}

impl Model {
    /// The stay of a key that is in memory now.
    pub fn stay(&self, key: &str) -> Option<Stay> {
        self.known.get(key).map(|known| Stay {
            key: key.to_owned(),
            left: known.left,
            may_have_left: known.may_have_left,
        })
    }

    /// Memory was read, perhaps by a handle on this stay, and this was found.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn hit(&mut self, key: &str, by: Option<&Stay>, hit: Option<&Hit<'_>>) -> Check {
        let (now, strict) = (self.now, self.is_strict());
        let Some(known) = self.known.get(key) else {
            owed!(hit.is_none(), "memory holds good answers only", "{key}");
            return Ok(());
        };
        let kept = known.kept.as_ref().filter(|kept| kept.is_within_ttl(now));
        let is_void = by.is_some_and(|stay| stay.left != known.left);
        let may_be_void = by.is_some_and(|stay| stay.may_have_left != known.may_have_left);
        let Some(hit) = hit else {
            owed!(
                !strict || kept.is_none() || is_void || may_be_void,
                "a hit is what an ask would get",
                "{key}: nothing, of {kept:?}"
            );
            self.marks
                .hit(if is_void { "void handle" } else { "no hit" });
            return Ok(());
        };
        owed!(!is_void, "a handle is void once its key has left", "{key}");
        let Some(kept) = kept.cloned() else {
            owed!(
                false,
                "a hit is what an ask would get",
                "{key}: {:?}",
                known.kept
            );
            return Ok(());
        };
        let age = kept.age(now);
        let left = kept.ttl - now.mono.since(kept.received.mono);
        owed!(
            **hit.key() == *key
                && evaluated_us(hit.payload()) == [kept.evaluated_us]
                && (hit.as_of(), hit.fetched_at()) == (kept.as_of, kept.received.wall)
                && (hit.age(), hit.ttl_left()) == (age, left)
                && hit.freshness() == kept.thresholds.verdict(age),
            "a hit is what an ask would get",
            "{key}: {} of {:?}, {:?} old, left {:?}, of {kept:?}",
            hit.key(),
            evaluated_us(hit.payload()),
            hit.age(),
            hit.ttl_left()
        );
        self.is_valid(key, kept.evaluated_us)?;
        self.marks.hit(match by {
            Some(_) => "hit by handle",
            None => "hit by key",
        });
        self.read(key);
        Ok(())
    }

    /// A key is read, which keeps it warm where that is configured.
    fn read(&mut self, key: &str) {
        let now = self.now.mono;
        let Some(known) = self.known.get_mut(key) else {
            return;
        };
        let upstream = self.upstreams.get(&known.topic.source);
        let refreshes = upstream.is_some_and(|u| !u.settings.fetch_interval.is_zero());
        if known.topic.time_ms.is_none() && refreshes && self.config.cache.enabled {
            known.last_read = Some(now);
        }
    }
}
