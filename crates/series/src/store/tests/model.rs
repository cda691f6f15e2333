//! The store against its rules done by hand, over a plain list.

use alloc::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Append(Labels, i64),
    Expire(i64),
    DropBefore(i64),
}

fn some_labels() -> impl Strategy<Value = Labels> {
    ("[ab]?", "[xy]?", "[xy]?").prop_map(|(name, low, high)| {
        labels(&[("__name__", &name), ("Low", &low), ("high", &high)])
    })
}

fn some_matcher() -> impl Strategy<Value = Matcher> {
    use MatchOp::{Equal, NotEqual, NotRegex, Regex};
    let name = prop::sample::select(&["__name__", "Low", "high", "none"][..]);
    let op = prop::sample::select(&[Equal, NotEqual, Regex, NotRegex][..]);
    let value = prop::sample::select(&["", "a", "x", "a|x", ".+", ".*"][..]);
    (name, op, value).prop_map(|(name, op, value)| Matcher::new(name, op, value).unwrap())
}

fn some_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (some_labels(), 0_i64..40).prop_map(|(labels, t_ms)| Step::Append(labels, t_ms)),
        1 => (0_i64..40).prop_map(Step::Expire),
        1 => (0_i64..40).prop_map(Step::DropBefore),
    ]
}

/// The store's rules once more, over a plain list in which series come in any order.
fn naive(list: &mut Vec<(Labels, Vec<i64>)>, step: &Step, series_max: usize) {
    match step {
        Step::Append(labels, t_ms) => {
            let full = list.len() >= series_max;
            match list.iter_mut().find(|(own, _)| own == labels) {
                Some((_, times)) if times.last() < Some(t_ms) => times.push(*t_ms),
                None if !full => {
                    list.push((labels.clone(), alloc::vec![*t_ms]));
                }
                Some(_) | None => {}
            }
            list.iter_mut()
                .filter(|(_, times)| times.len() > 3)
                .for_each(|(_, times)| {
                    times.remove(0);
                });
        }
        Step::Expire(t_ms) => list.retain(|(_, times)| times.last() > Some(t_ms)),
        Step::DropBefore(t_ms) => {
            list.iter_mut()
                .for_each(|(_, times)| times.retain(|own| own >= t_ms));
            list.retain(|(_, times)| !times.is_empty());
        }
    }
}

proptest! {
    #[test]
    fn a_selection_is_a_filter_over_everything(
        steps in prop::collection::vec(some_step(), 0..60),
        matchers in prop::collection::vec(some_matcher(), 0..3),
    ) {
        let (mut store, mut list) = (small(9, 1_000), Vec::new());
        for step in &steps {
            match step {
                Step::Append(labels, t_ms) => drop(store.append(labels, *t_ms, 1.0)),
                Step::Expire(t_ms) => drop(store.expire(*t_ms, 0)),
                Step::DropBefore(t_ms) => drop(store.drop_before(*t_ms)),
            }
            naive(&mut list, step, 9);
        }
        list.sort();
        let samples: usize = list.iter().map(|(_, times)| times.len()).sum();
        prop_assert_eq!((store.len(), store.sample_count()), (list.len(), samples));
        list.retain(|(labels, _)| matchers.iter().all(|matcher| matcher.matches(labels)));
        let selected: Vec<(Labels, Vec<i64>)> = store
            .select(&matchers)
            .map(|(labels, ring)| (labels.clone(), ring.points().map(|(t, _)| t).collect()))
            .collect();
        prop_assert_eq!(selected, list);
    }

    #[test]
    fn a_full_store_never_holds_more_than_its_limit(
        appends in prop::collection::vec((some_labels(), 0_i64..40), 0..60),
        samples_max in 0_usize..6,
    ) {
        let mut store = small(5, samples_max);
        for (labels, t_ms) in appends {
            let _ = store.append(&labels, t_ms, 1.0);
            let held: usize = store.select(&[]).map(|(_, ring)| ring.len()).sum();
            prop_assert_eq!(store.sample_count(), held);
            prop_assert!(held <= samples_max);
        }
    }

    #[test]
    fn series_and_values_are_counted_as_by_hand(
        steps in prop::collection::vec(some_step(), 0..80),
        by_handle in any::<bool>(),
    ) {
        let limits = StoreLimits {
            series_max: 12,
            series_per_metric_max: 5,
            values_per_label_max: 2,
            ..StoreLimits::default()
        };
        let (mut store, mut list) = (Store::new(limits), Vec::new());
        let (mut handles, mut told) = (BTreeMap::new(), BTreeSet::new());
        for step in &steps {
            match step {
                Step::Append(labels, t_ms) => {
                    let expected = refusal(&list, labels, &limits);
                    let known = list.iter().any(|(own, _)| own == labels);
                    let appended = if by_handle {
                        let new = || SeriesHandle::new(labels.clone());
                        let handle = handles.entry(labels.clone()).or_insert_with(new);
                        store.append_by(handle, *t_ms, 1.0)
                    } else {
                        store.append(labels, *t_ms, 1.0)
                    };
                    if !known {
                        prop_assert_eq!(appended.err().map(|error| error.reason()), expected);
                    }
                    if known || expected.is_none() {
                        naive(&mut list, step, usize::MAX);
                    }
                }
                Step::Expire(t_ms) => {
                    store.expire(*t_ms, 0);
                    naive(&mut list, step, usize::MAX);
                }
                Step::DropBefore(t_ms) => {
                    store.drop_before(*t_ms);
                    naive(&mut list, step, usize::MAX);
                }
            }
            let near: BTreeSet<String> = near(&list, &limits).collect();
            let new: BTreeSet<String> = store.take_nearing().iter().map(Nearing::to_string).collect();
            let told_of = |told: &BTreeSet<String>| -> BTreeSet<String> {
                told.iter().map(|text| subject(text)).collect()
            };
            let expected: BTreeSet<String> =
                told_of(&near).difference(&told).cloned().collect();
            prop_assert_eq!(told_of(&new), expected);
            told = told_of(&near);
            let size = store.byte_size();
            prop_assert_eq!(size == Store::default().byte_size(), list.is_empty());
        }
        for (labels, _) in &list {
            let metric = &store.metrics[&metric_name(labels)];
            for (label, count) in values_by_hand(&list, labels) {
                prop_assert_eq!(metric.value_count(&label), count);
            }
        }
        prop_assert_eq!(store.len(), list.len());
    }
}

type Held = [(Labels, Vec<i64>)];

fn of_metric<'a>(list: &'a Held, labels: &Labels) -> impl Iterator<Item = &'a Labels> + use<'a> {
    let name = metric_name(labels);
    let all = list.iter().map(|(labels, _)| labels);
    all.filter(move |labels| metric_name(labels) == name)
}

/// How many values each label of these has among the series of the same metric.
fn values_by_hand(list: &Held, labels: &Labels) -> Vec<(String, usize)> {
    let names = labels.iter().map(|(name, _)| name);
    names
        .filter(|name| *name != METRIC_NAME)
        .map(|name| {
            let values = of_metric(list, labels).filter_map(|labels| labels.value(name));
            (name.into(), values.collect::<BTreeSet<_>>().len())
        })
        .collect()
}

/// Why a new series is refused.
fn refusal(list: &Held, labels: &Labels, limits: &StoreLimits) -> Option<&'static str> {
    if of_metric(list, labels).count() >= limits.series_per_metric_max {
        return Some("series-per-metric-limit");
    }
    let is_full = |(name, count): (String, usize)| {
        let mut held = of_metric(list, labels);
        let is_held = held.any(|own| own.value(&name) == labels.value(&name));
        count >= limits.values_per_label_max && !is_held
    };
    if values_by_hand(list, labels).into_iter().any(is_full) {
        return Some("values-per-label-limit");
    }
    (list.len() >= limits.series_max).then_some("series-limit")
}

/// What comes near its limit.
fn near(list: &Held, limits: &StoreLimits) -> impl Iterator<Item = String> {
    let mut near = BTreeSet::new();
    let mut look = |limit, held, max| {
        if held > 0 && held * 5 >= max * 4 {
            near.insert(Nearing { limit, held, max }.to_string());
        }
    };
    look(Limit::Series, list.len(), limits.series_max);
    for (labels, _) in list {
        let metric = metric_name(labels);
        let held = of_metric(list, labels).count();
        let limit = Limit::SeriesPerMetric {
            metric: metric.clone(),
        };
        look(limit, held, limits.series_per_metric_max);
        for (label, held) in values_by_hand(list, labels) {
            let limit = Limit::ValuesPerLabel {
                metric: metric.clone(),
                label: (&*label).into(),
            };
            look(limit, held, limits.values_per_label_max);
        }
    }
    near.into_iter()
}

/// A warning without its numbers.
fn subject(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}
