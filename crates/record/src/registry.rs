//! The registry: every series that a program records, and what holds for them.

mod index;

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tidegate_series::{HELP_BYTES_MAX, UNIT_BYTES_MAX};

pub use self::index::Refusal;
pub(crate) use self::index::{BUCKET_LABEL, Family, Hashed, InCell, Index, Said, Samples};
use crate::EventKind;
use crate::buckets::Bounds;
use crate::context::Context;
use crate::facade::Keys;
use crate::inbox::Inbox;
use crate::names::metric_name;
use crate::notice::{Listener, Notice};
use crate::rules::{Glob, RULES_MAX, Rule, RulesError};
use crate::series::{Hub, Series};
use crate::tags::Tags;

/// How much a registry holds. What goes beyond is refused, counted and told; it is never forgotten
/// silently, and series once made are never dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryLimits {
    /// How many metrics. The default of 2,000 is more than large programs have, and catches names that
    /// were put together at run time.
    pub metrics_max: usize,
    /// How many series a metric may have. The default of 2,000 is what dashboards can still tell apart,
    /// and stops a tag that has a value for each request.
    pub series_per_metric_max: usize,
    /// How many series in all. The default of 50,000 takes some 50 MB where several threads record
    /// them all.
    pub series_max: usize,
}

impl Default for RegistryLimits {
    fn default() -> Self {
        Self {
            metrics_max: 2_000,
            series_per_metric_max: 2_000,
            series_max: 50_000,
        }
    }
}

/// What a registry holds and what it refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistryStats {
    /// Metrics, also those that were only described.
    pub metrics: usize,
    /// Series.
    pub series: usize,
    /// Handles that were refused: what is recorded through them is lost.
    pub refused: u64,
    /// Events dropped because they were not pushed as fast as they were recorded.
    pub events_dropped: u64,
}

/// Every series of a program, or of a part of it.
///
/// It is the outermost [`Context`], without tags, and has everything that one has. Cloning shares it.
///
/// ```
/// use tidegate_record::Registry;
///
/// let registry = Registry::new();
/// registry.increment("starts", 1);
/// let requests = registry.with([("route", "/items")]);
/// requests.increment("requests", 2);
/// requests.set("queue_length", 3.0);
/// let expected = "\
/// ## TYPE queue_length gauge
/// queue_length{route=\"/items\"} 3
/// ## TYPE requests_total counter
/// requests_total{route=\"/items\"} 2
/// ## TYPE starts_total counter
/// starts_total 1
/// ";
/// assert_eq!(registry.render(tidegate_record::ExpositionFormat::Text), expected);
/// ```
#[derive(Clone, Debug)]
pub struct Registry {
    root: Context,
}

/// What all contexts of a registry share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// As in the index, to be read without a lock.
    on: AtomicBool,
    index: RwLock<Index>,
    hub: Arc<Hub>,
    pub(crate) keys: Keys,
    /// How long the last exposition was.
    pub(crate) rendered_bytes: AtomicUsize,
}

impl Default for Registry {
    fn default() -> Self {
        Self::with_limits(RegistryLimits::default())
    }
}

impl Deref for Registry {
    type Target = Context;

    #[inline]
    fn deref(&self) -> &Context {
        &self.root
    }
}

impl Registry {
    /// An empty registry with the default limits, in which everything is recorded.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty registry with these limits, in which everything is recorded.
    #[must_use]
    pub fn with_limits(limits: RegistryLimits) -> Self {
        let shared = Shared {
            on: AtomicBool::new(true),
            index: RwLock::new(Index::new(limits)),
            hub: Arc::default(),
            keys: Keys::default(),
            rendered_bytes: AtomicUsize::new(0),
        };
        Self {
            root: Context::new(Arc::new(shared), Tags::default()),
        }
    }

    /// Tells `listener` from now on of what is refused and dropped: at once, then at most every
    /// [`NOTICE_INTERVAL`](crate::NOTICE_INTERVAL) for each metric. It replaces an earlier one.
    pub fn on_notice(&self, listener: impl Fn(&Notice) + Send + Sync + 'static) {
        let mut own = self
            .shared()
            .hub
            .listener
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *own = Listener::new(listener);
    }

    /// Says what a metric is, before or after it is recorded. An empty unit or help text leaves what was
    /// said before.
    ///
    /// The unit is Prometheus' word, in the plural: `seconds`, `bytes`; values are not converted to it.
    ///
    /// # Errors
    ///
    /// A metric that is of another kind or that cannot be added, or a text that is too long.
    pub fn describe(
        &self,
        name: &str,
        kind: EventKind,
        unit: &str,
        help: &str,
    ) -> Result<(), Refusal> {
        if unit.len() > UNIT_BYTES_MAX {
            return Err(Refusal::Description("unit", UNIT_BYTES_MAX));
        }
        if help.len() > HELP_BYTES_MAX {
            return Err(Refusal::Description("help text", HELP_BYTES_MAX));
        }
        let mut index = self.shared().write();
        let family = index.family(&metric_name(name), kind)?;
        let said = Arc::make_mut(&mut family.said);
        if !unit.is_empty() {
            said.unit = unit.into();
        }
        if !help.is_empty() {
            said.help = help.into();
        }
        Ok(())
    }

    /// Gives the timers and histograms that match `pattern` these bounds, if they have no series yet. Of
    /// several patterns that match, the one that was given last counts.
    ///
    /// Others have [`SECONDS_BOUNDS`](crate::SECONDS_BOUNDS) if they are timers, or their unit or the end of
    /// their name is `seconds`; [`BYTES_BOUNDS`](crate::BYTES_BOUNDS) if that is `bytes`; or else
    /// [`OTHER_BOUNDS`](crate::OTHER_BOUNDS).
    ///
    /// # Errors
    ///
    /// A pattern that is none, or more than [`RULES_MAX`] of them.
    pub fn set_bounds(&self, pattern: &str, bounds: Bounds) -> Result<(), RulesError> {
        let glob = Glob::new(pattern)?;
        let mut index = self.shared().write();
        if index.bounds.len() == RULES_MAX {
            return Err(RulesError::TooMany(RULES_MAX + 1));
        }
        index.bounds.insert(0, (glob, bounds));
        Ok(())
    }

    /// Decides what is recorded, from now on and also through handles that are held already: for each
    /// metric the **first** rule whose pattern matches its name counts; without any it is recorded. These
    /// rules replace the earlier ones.
    ///
    /// ```
    /// use std::num::NonZeroU32;
    /// use tidegate_record::{Recording, Registry, Rule};
    ///
    /// let registry = Registry::new();
    /// let hits = registry.counter("cache_hits");
    /// registry.set_rules(vec![
    ///     Rule::new("cache_misses", Recording::On)?,
    ///     Rule::new("cache_*", Recording::Off)?,
    ///     Rule::new("*_bytes", Recording::OneIn(NonZeroU32::new(10).unwrap()))?,
    /// ])?;
    /// hits.increment(1);
    /// registry.increment("cache_misses", 1);
    /// assert_eq!((hits.value(), registry.counter("cache_misses").value()), (0.0, 1.0));
    /// # Ok::<(), tidegate_record::RulesError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// More than [`RULES_MAX`] rules.
    pub fn set_rules(&self, rules: Vec<Rule>) -> Result<(), RulesError> {
        if rules.len() > RULES_MAX {
            return Err(RulesError::TooMany(rules.len()));
        }
        let mut index = self.shared().write();
        index.rules = rules;
        index.tune();
        Ok(())
    }

    /// Records nothing from now on, or what the rules say again.
    ///
    /// While it is off, the macros of the `metrics` facade are given handles that do nothing, which costs next to
    /// nothing; a program that keeps such a handle keeps it silent. Handles taken from the registry itself, or
    /// while it was on, come to life again.
    pub fn set_on(&self, on: bool) {
        let shared = self.shared();
        let mut index = shared.write();
        index.on = on;
        index.tune();
        shared.on.store(on, Relaxed);
    }

    /// What it holds and what it refused.
    #[must_use]
    pub fn stats(&self) -> RegistryStats {
        let shared = self.shared();
        let index = shared.read();
        RegistryStats {
            metrics: index.families.len(),
            series: index.series,
            refused: shared.hub.refused.load(Relaxed),
            events_dropped: shared.hub.events_dropped.load(Relaxed),
        }
    }

    pub(crate) fn shared(&self) -> &Shared {
        self.root.shared()
    }
}

impl Shared {
    /// Whether anything is recorded.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Relaxed)
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The series of this name and these tags, made if need be; `None` if it is refused.
    pub(crate) fn series<C: InCell>(
        &self,
        name: &str,
        tags: &Tags,
        kind: EventKind,
    ) -> Option<Arc<Series<C>>> {
        let name = metric_name(name);
        let hash = tags.hash_with(&name);
        let found = |index: &Index| {
            let series = index.find(hash, &name, tags)?;
            // A custom metric has a gauge's cell.
            let of_kind = (series.kind() == EventKind::Custom) == (kind == EventKind::Custom);
            let own = C::of(series).filter(|_| of_kind).cloned();
            let is = series.kind();
            Some(own.ok_or(Refusal::Kind { is, asked: kind }))
        };
        let known = {
            let index = self.read();
            // At a limit, those who come again and again do not stop the others.
            found(&index).or_else(|| index.check(&name, kind).err().map(Err))
        };
        let series = known.unwrap_or_else(|| {
            let mut index = self.write();
            if let Some(found) = found(&index) {
                return found;
            }
            let series = index.add((hash, &name, tags), kind, &self.hub)?;
            Ok(Arc::clone(
                C::of(&series).expect("it was made of this kind"),
            ))
        });
        series.map_err(|refusal| self.refuse(&name, &refusal)).ok()
    }

    pub(crate) fn refuse(&self, name: &str, refusal: &Refusal) {
        self.hub.refused.fetch_add(1, Relaxed);
        let refusals = self.read().refusals(name);
        refusals.lost(1, name, refusal, &self.hub.listener());
    }

    /// Hands all events from now on to this inbox, too.
    pub(crate) fn subscribe(&self, inbox: Arc<Inbox>) {
        self.with_inboxes(|inboxes| inboxes.push(inbox));
    }

    pub(crate) fn unsubscribe(&self, inbox: &Arc<Inbox>) {
        self.with_inboxes(|inboxes| inboxes.retain(|other| !Arc::ptr_eq(other, inbox)));
    }

    fn with_inboxes(&self, change: impl FnOnce(&mut Vec<Arc<Inbox>>)) {
        let mut index = self.write();
        change(
            &mut self
                .hub
                .inboxes
                .write()
                .unwrap_or_else(PoisonError::into_inner),
        );
        index.tune();
    }

    /// Everything that is recorded, by name: what may be read without holding up who records.
    pub(crate) fn families(&self) -> Vec<(Arc<str>, Family)> {
        let index = self.read();
        let families = index.families.iter();
        families
            .map(|(name, family)| (Arc::clone(name), family.clone()))
            .collect()
    }

    /// Counts events that were dropped before they could be pushed.
    pub(crate) fn count_dropped(&self, events: u64) {
        self.hub.events_dropped.fetch_add(events, Relaxed);
    }
}

#[cfg(test)]
mod tests;
