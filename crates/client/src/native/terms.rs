//! On what terms a client asks.

use std::time::Duration;

use tidegate_core::{Ask, Priority, UnixMillis};

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
}

impl Terms {
    /// The ask on these terms. What a record or a window has settled already stays: the source of
    /// a field, the end of the window.
    pub(super) fn of(&self, mut ask: Ask) -> Ask {
        if ask.sources.is_empty() {
            ask.sources.clone_from(&self.sources);
        }
        ask.time = ask.time.or(self.time);
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
}
