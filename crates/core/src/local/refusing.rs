//! Which refusals of samples are worth a line in a log: the first of a kind, not each.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use tidegate_series::Labels;

use crate::Refusal;

/// Metrics that are told one by one for one reason. More of them have one cause, and their names
/// may be without end.
const METRICS_PER_REASON_MAX: usize = 50;

/// What is refused now, by reason, metric and label; a refusal that is told stays until it clears:
/// until none of its kind came between two clean-ups.
#[derive(Debug, Default)]
pub(crate) struct Refusing {
    by_reason: BTreeMap<&'static str, BTreeMap<Box<str>, ByLabel>>,
}

/// By the label that is to blame, empty where none is.
type ByLabel = BTreeMap<Box<str>, Streak>;

/// Refusals of one kind since it was told.
#[derive(Debug)]
struct Streak {
    count: u64,
    /// Whether there was one since the last clean-up.
    lately: bool,
}

/// What the metrics are together of which no more is told.
const OTHERS: &str = "";

impl Refusing {
    /// Counts a refusal; what to tell if it is the first of its kind.
    pub(crate) fn note(&mut self, labels: &Labels, refusal: &Refusal) -> Option<String> {
        let metric = labels.metric_name().unwrap_or_default();
        let label = refusal.label().unwrap_or_default();
        let reason = refusal.reason();
        let metrics = self.by_reason.entry(reason).or_default();
        if let Some(streak) = metrics.get_mut(metric).and_then(|by| by.get_mut(label)) {
            streak.add();
            return None;
        }
        let first = Streak {
            count: 1,
            lately: true,
        };
        if metrics.contains_key(metric) || metrics.len() < METRICS_PER_REASON_MAX {
            let of_metric = metrics.entry(metric.into()).or_default();
            of_metric.insert(label.into(), first);
            let mut said = String::new();
            let _ = match refusal.names_metric() {
                true => write!(said, "{refusal}"),
                false => write!(said, "metric {metric:?}: {refusal}"),
            };
            return Some(said);
        }
        if let Some(streak) = metrics.get_mut(OTHERS).and_then(|by| by.get_mut(OTHERS)) {
            streak.add();
            return None;
        }
        metrics
            .entry(OTHERS.into())
            .or_default()
            .insert(OTHERS.into(), first);
        Some(alloc::format!(
            "samples of further metrics are refused ({reason}) and told of no more"
        ))
    }

    /// Ends what had no refusal since it was called last; what to tell of that.
    pub(crate) fn settle(&mut self) -> Vec<String> {
        let mut ended = Vec::new();
        for (reason, metrics) in &mut self.by_reason {
            metrics.retain(|metric, labels| {
                labels.retain(|label, streak| {
                    let stays = core::mem::take(&mut streak.lately);
                    if !stays {
                        ended.push(ended_text(reason, metric, label, streak.count));
                    }
                    stays
                });
                !labels.is_empty()
            });
        }
        self.by_reason.retain(|_, metrics| !metrics.is_empty());
        ended
    }
}

impl Streak {
    const fn add(&mut self) {
        self.count = self.count.saturating_add(1);
        self.lately = true;
    }
}

fn ended_text(reason: &str, metric: &str, label: &str, count: u64) -> String {
    let mut said = String::new();
    // A string takes all.
    let _ = match (metric, label) {
        (OTHERS, _) => write!(said, "no more samples are refused"),
        (_, "") => write!(said, "no more samples of metric {metric:?} are refused"),
        _ => write!(
            said,
            "no more samples of metric {metric:?} are refused for label {label:?}"
        ),
    };
    let _ = write!(said, " ({reason}): {count} in all");
    said
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec;

    use tidegate_series::AppendError;

    use super::*;

    fn metric(name: &str) -> Labels {
        Labels::from_pairs([("__name__", name)]).unwrap()
    }

    fn late() -> Refusal {
        Refusal::Append(AppendError::Duplicate { t_ms: 1 })
    }

    #[test]
    fn the_first_of_a_kind_is_told_and_again_after_it_cleared() {
        let mut refusing = Refusing::default();
        let told = refusing.note(&metric("a"), &late());
        assert_eq!(
            told.as_deref(),
            Some("metric \"a\": another value is already held at 1 ms")
        );
        assert_eq!(refusing.note(&metric("a"), &late()), None);
        assert!(refusing.note(&metric("b"), &late()).is_some());
        assert_eq!(refusing.settle(), Vec::<String>::new());
        assert_eq!(refusing.note(&metric("a"), &late()), None);
        let ended = "no more samples of metric \"b\" are refused (duplicate): 1 in all";
        assert_eq!(refusing.settle(), [ended]);
        let ended = "no more samples of metric \"a\" are refused (duplicate): 3 in all";
        assert_eq!(refusing.settle(), [ended]);
        assert!(refusing.note(&metric("a"), &late()).is_some());
    }

    #[test]
    fn labels_of_one_metric_are_told_apart() {
        let mut refusing = Refusing::default();
        let full = |label: &str| {
            Refusal::Append(AppendError::ValuesPerLabelLimit {
                metric: "a".into(),
                label: label.into(),
                limit: 1,
            })
        };
        let told = ["x", "y", "x"].map(|label| refusing.note(&metric("a"), &full(label)).is_some());
        assert_eq!(told, [true, true, false]);
        refusing.settle();
        let ended = refusing.settle();
        assert_eq!(ended.len(), 2);
        assert!(ended[0].contains("for label \"x\""), "{ended:?}");
    }

    #[test]
    fn metrics_without_end_are_told_together() {
        let mut refusing = Refusing::default();
        let mut told = vec![];
        for nth in 0..10 * METRICS_PER_REASON_MAX {
            told.extend(refusing.note(&metric(&format!("m{nth}")), &late()));
        }
        assert_eq!(told.len(), METRICS_PER_REASON_MAX + 1);
        assert!(told[METRICS_PER_REASON_MAX].contains("further metrics"));
        refusing.settle();
        let ended = refusing.settle();
        assert_eq!(ended.len(), METRICS_PER_REASON_MAX + 1);
        assert_eq!(
            ended[0],
            "no more samples are refused (duplicate): 450 in all"
        );
    }
}
