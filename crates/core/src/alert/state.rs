//! The alerts of one rule: which are pending, which are firing, and since when.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use tidegate_series::Labels;

use crate::{Instant, Now};

/// What state an alert is in. One that is in neither is inactive, and not held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlertState {
    /// Its condition is met, but not yet for as long as its rule says.
    Pending,
    /// Its condition has been met for that long.
    Firing,
}

impl AlertState {
    /// Prometheus' word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// An alert that is pending or firing.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Active {
    pub(super) state: AlertState,
    /// The labels of its series.
    pub(super) series: Labels,
    /// When its condition was first met.
    pub(super) since: Now,
    /// Since when it is kept firing though its condition is no longer met.
    kept_since: Option<Instant>,
    /// What the condition was met by when it was last met.
    pub(super) value: f64,
}

/// A series that meets a condition now, and by what value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) series: Labels,
    pub(super) value: f64,
}

/// What an alert has become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Became {
    Pending,
    Firing,
    /// It was firing and is over.
    Resolved,
    /// It was pending and is over.
    Inactive,
}

/// A change of an alert.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change {
    pub(super) labels: Labels,
    pub(super) became: Became,
    pub(super) value: f64,
    pub(super) since: Now,
}

/// How long a rule waits, and how many alerts it may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) pending_for: Duration,
    pub(super) keep_firing_for: Duration,
    pub(super) alerts_max: usize,
}

/// The alerts of one rule, by their labels.
#[derive(Clone, Debug, Default)]
pub(super) struct States {
    active: BTreeMap<Labels, Active>,
}

impl States {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Labels, &Active)> {
        self.active.iter()
    }

    /// Takes what meets the condition at this instant, by the labels of its alert, and says what
    /// changed, in the order of labels, and how many alerts there was no room for.
    ///
    /// As in Prometheus, an alert that has been pending for exactly as long as its rule says is
    /// firing, and one that is kept is resolved when it has been kept for exactly that long.
    pub(super) fn update(
        &mut self,
        found: &BTreeMap<Labels, Found>,
        terms: Terms,
        now: Now,
    ) -> (Vec<Change>, usize) {
        let mut changes = Vec::new();
        self.end_missing(found, terms, now, &mut changes);
        let mut refused = 0;
        for (labels, met) in found {
            if let Some(alert) = self.active.get_mut(labels) {
                alert.series.clone_from(&met.series);
                alert.value = met.value;
                alert.kept_since = None;
                if alert.state == AlertState::Firing || !is_due(alert, terms, now) {
                    continue;
                }
                alert.state = AlertState::Firing;
                changes.push(change(labels, alert, Became::Firing));
                continue;
            }
            if self.active.len() >= terms.alerts_max {
                refused += 1;
                continue;
            }
            let mut alert = Active {
                state: AlertState::Pending,
                series: met.series.clone(),
                since: now,
                kept_since: None,
                value: met.value,
            };
            let mut became = Became::Pending;
            if is_due(&alert, terms, now) {
                (alert.state, became) = (AlertState::Firing, Became::Firing);
            }
            changes.push(change(labels, &alert, became));
            self.active.insert(labels.clone(), alert);
        }
        changes.sort_by(|a, b| a.labels.cmp(&b.labels));
        (changes, refused)
    }

    fn end_missing(
        &mut self,
        found: &BTreeMap<Labels, Found>,
        terms: Terms,
        now: Now,
        changes: &mut Vec<Change>,
    ) {
        self.active.retain(|labels, alert| {
            if found.contains_key(labels) {
                return true;
            }
            let became = match alert.state {
                AlertState::Pending => Became::Inactive,
                AlertState::Firing => {
                    let kept_since = *alert.kept_since.get_or_insert(now.mono);
                    if now.mono.since(kept_since) < terms.keep_firing_for {
                        return true;
                    }
                    Became::Resolved
                }
            };
            changes.push(change(labels, alert, became));
            false
        });
    }

    /// Ends all of them: their rule is gone.
    pub(super) fn end_all(&mut self) -> Vec<Change> {
        let ended = core::mem::take(&mut self.active);
        ended
            .iter()
            .map(|(labels, alert)| {
                let became = match alert.state {
                    AlertState::Pending => Became::Inactive,
                    AlertState::Firing => Became::Resolved,
                };
                change(labels, alert, became)
            })
            .collect()
    }
}

fn is_due(alert: &Active, terms: Terms, now: Now) -> bool {
    now.mono.since(alert.since.mono) >= terms.pending_for
}

fn change(labels: &Labels, alert: &Active, became: Became) -> Change {
    Change {
        labels: labels.clone(),
        became,
        value: alert.value,
        since: alert.since,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::UnixMillis;

    const TERMS: Terms = Terms {
        pending_for: Duration::from_secs(30),
        keep_firing_for: Duration::ZERO,
        alerts_max: 100,
    };

    fn at(seconds: u64) -> Now {
        Now {
            mono: Instant::from_millis(seconds * 1_000),
            wall: UnixMillis(seconds as i64 * 1_000),
        }
    }

    fn labels(name: &str) -> Labels {
        Labels::from_pairs([("instance", name)]).unwrap()
    }

    fn found(names: &[&str]) -> BTreeMap<Labels, Found> {
        let one = |name: &&str| {
            let series = labels(name);
            (series.clone(), Found { series, value: 1.0 })
        };
        names.iter().map(one).collect()
    }

    fn became(states: &mut States, names: &[&str], terms: Terms, second: u64) -> Vec<Became> {
        let (changes, _) = states.update(&found(names), terms, at(second));
        changes.iter().map(|change| change.became).collect()
    }

    #[test]
    fn an_alert_is_pending_up_to_its_duration_and_firing_from_then_on() {
        let mut states = States::default();
        assert_eq!(became(&mut states, &["a"], TERMS, 0), [Became::Pending]);
        assert_eq!(became(&mut states, &["a"], TERMS, 29), []);
        assert_eq!(became(&mut states, &["a"], TERMS, 30), [Became::Firing]);
        assert_eq!(became(&mut states, &["a"], TERMS, 31), []);
        assert_eq!(became(&mut states, &[], TERMS, 32), [Became::Resolved]);
        assert_eq!(became(&mut states, &[], TERMS, 33), []);
    }

    #[test]
    fn one_that_is_interrupted_while_pending_begins_anew() {
        let mut states = States::default();
        became(&mut states, &["a"], TERMS, 0);
        assert_eq!(became(&mut states, &[], TERMS, 15), [Became::Inactive]);
        assert_eq!(became(&mut states, &["a"], TERMS, 30), [Became::Pending]);
        assert_eq!(became(&mut states, &["a"], TERMS, 59), []);
        assert_eq!(became(&mut states, &["a"], TERMS, 60), [Became::Firing]);
    }

    #[test]
    fn without_a_duration_it_fires_at_once() {
        let mut states = States::default();
        let terms = Terms {
            pending_for: Duration::ZERO,
            ..TERMS
        };
        assert_eq!(became(&mut states, &["a"], terms, 0), [Became::Firing]);
    }

    #[test]
    fn it_is_kept_firing_for_as_long_as_the_rule_says_each_time_anew() {
        let mut states = States::default();
        let terms = Terms {
            pending_for: Duration::ZERO,
            keep_firing_for: Duration::from_secs(20),
            ..TERMS
        };
        became(&mut states, &["a"], terms, 0);
        assert_eq!(became(&mut states, &[], terms, 10), []);
        assert_eq!(became(&mut states, &["a"], terms, 25), []);
        assert_eq!(became(&mut states, &[], terms, 30), []);
        assert_eq!(became(&mut states, &[], terms, 49), []);
        assert_eq!(became(&mut states, &[], terms, 50), [Became::Resolved]);
    }

    #[test]
    fn what_there_is_no_room_for_is_counted_and_nothing_else_is_harmed() {
        let mut states = States::default();
        let terms = Terms {
            alerts_max: 1,
            ..TERMS
        };
        became(&mut states, &["b"], terms, 0);
        let (changes, refused) = states.update(&found(&["a", "b", "c"]), terms, at(30));
        assert_eq!((changes.len(), refused), (1, 2));
        assert_eq!(changes[0].labels, labels("b"));
        // Room that is left is given away at once.
        let (changes, refused) = states.update(&found(&["a"]), terms, at(31));
        let ends: Vec<_> = changes.iter().map(|change| change.became).collect();
        assert_eq!(
            (&ends[..], refused),
            (&[Became::Pending, Became::Resolved][..], 0)
        );
    }

    #[test]
    fn with_their_rule_all_alerts_end() {
        let mut states = States::default();
        became(&mut states, &["a"], TERMS, 0);
        became(&mut states, &["a", "b"], TERMS, 30);
        let ends: Vec<_> = states
            .end_all()
            .iter()
            .map(|change| change.became)
            .collect();
        assert_eq!(ends, [Became::Resolved, Became::Inactive]);
        assert_eq!(states.iter().count(), 0);
    }

    /// One alert told from its whole history, in the words of Prometheus' documentation.
    fn naive(history: &[(u64, bool)], terms: Terms) -> Option<AlertState> {
        let mut state = None;
        for (nth, &(second, met)) in history.iter().enumerate() {
            let before = &history[..nth];
            let run = |wanted: bool| {
                let run = before.iter().rev().take_while(|(_, met)| *met == wanted);
                second - run.last().map_or(second, |(began, _)| *began)
            };
            state = match (state, met) {
                (Some(AlertState::Firing), true) => Some(AlertState::Firing),
                (Some(AlertState::Firing), false) => {
                    (run(false) < terms.keep_firing_for.as_secs()).then_some(AlertState::Firing)
                }
                (_, true) if run(true) >= terms.pending_for.as_secs() => Some(AlertState::Firing),
                (_, true) => Some(AlertState::Pending),
                (_, false) => None,
            };
        }
        state
    }

    proptest! {
        #[test]
        fn states_are_those_of_a_naive_reading(
            steps in prop::collection::vec((1..40_u64, any::<bool>(), any::<bool>()), 1..80),
            pending_s in 0..100_u64,
            keep_s in 0..100_u64,
        ) {
            let terms = Terms {
                pending_for: Duration::from_secs(pending_s),
                keep_firing_for: Duration::from_secs(keep_s),
                ..TERMS
            };
            let mut states = States::default();
            let (mut second, mut histories) = (0, [Vec::new(), Vec::new()]);
            let mut held: [Option<AlertState>; 2] = [None, None];
            for (gap, a, b) in steps {
                second += gap;
                let names: Vec<&str> = [("a", a), ("b", b)]
                    .into_iter()
                    .filter_map(|(name, met)| met.then_some(name))
                    .collect();
                let (changes, refused) = states.update(&found(&names), terms, at(second));
                prop_assert_eq!(refused, 0);
                for (nth, (name, met)) in [("a", a), ("b", b)].into_iter().enumerate() {
                    histories[nth].push((second, met));
                    let expected = naive(&histories[nth], terms);
                    let alert = states.active.get(&labels(name));
                    prop_assert_eq!(alert.map(|alert| alert.state), expected);
                    let told = changes.iter().filter(|change| change.labels == labels(name));
                    let told: Vec<Became> = told.map(|change| change.became).collect();
                    let should = match (held[nth], expected) {
                        (before, after) if before == after => None,
                        (_, Some(AlertState::Pending)) => Some(Became::Pending),
                        (_, Some(AlertState::Firing)) => Some(Became::Firing),
                        (Some(AlertState::Firing), None) => Some(Became::Resolved),
                        (_, None) => Some(Became::Inactive),
                    };
                    prop_assert_eq!(told, Vec::from_iter(should));
                    held[nth] = expected;
                }
            }
        }
    }
}
