//! On what terms a client asks.

use std::time::Duration;

use tidegate_core::{Ask, Priority, Range, UnixMillis};

/// Whom to ask, and how, where the ask itself does not say.
#[derive(Clone, Debug, Default)]
pub(super) struct Terms {
    pub(super) sources: Vec<String>,
    pub(super) max_age: Option<Duration>,
    pub(super) allow_stale: bool,
    pub(super) max_stale: Option<Duration>,
    pub(super) timeout: Option<Duration>,
    pub(super) priority: Priority,
    pub(super) time: Option<UnixMillis>,
    pub(super) range: Option<Range>,
}

impl Terms {
    /// The ask on these terms. What a record or a window has settled already stays: the source of
    /// a field, the end of the window.
    pub(super) fn of(&self, mut ask: Ask) -> Ask {
        if ask.sources.is_empty() {
            ask.sources.clone_from(&self.sources);
        }
        if ask.time.is_none() && ask.range.is_none() {
            (ask.time, ask.range) = (self.time, self.range);
        }
        ask.max_age = self.max_age;
        ask.allow_stale = self.allow_stale;
        ask.max_stale = self.max_stale;
        ask.timeout = self.timeout;
        ask.priority = self.priority;
        ask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ask_keeps_the_source_and_instant_it_has() {
        let terms = Terms {
            sources: vec!["a".into()],
            time: Some(UnixMillis(1)),
            max_age: Some(Duration::from_secs(9)),
            ..Terms::default()
        };
        let open = terms.of(Ask::promql("up"));
        assert_eq!((&open.sources, open.time), (&terms.sources, terms.time));
        let mut settled = Ask::promql("up").of("b");
        settled.time = Some(UnixMillis(2));
        let settled = terms.of(settled);
        assert_eq!(
            (&*settled.sources[0], settled.time),
            ("b", Some(UnixMillis(2)))
        );
        assert_eq!(settled.max_age, terms.max_age);
    }

    #[test]
    fn an_ask_about_an_instant_is_not_made_one_over_a_range() {
        let range = Range {
            start: UnixMillis(0),
            end: UnixMillis(9),
            step: Duration::from_millis(3),
        };
        let terms = Terms {
            range: Some(range),
            ..Terms::default()
        };
        assert_eq!(terms.of(Ask::promql("up")).range, Some(range));
        let mut settled = Ask::promql("up");
        settled.time = Some(UnixMillis(2));
        assert_eq!(terms.of(settled).range, None);
    }
}
