//! Notices: what people should hear, said once in a while and not each time.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a matter rests after it was said. A log then has a line a minute for a sink that fails all day.
pub const NOTICE_INTERVAL: Duration = Duration::from_secs(60);

/// Something went wrong that no caller is told of: a sink dropped samples, a series was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notice {
    /// The sink or the metric.
    pub about: String,
    /// What happened, in words.
    pub message: String,
    /// How much was lost by it since the last notice about the same.
    pub dropped: u64,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.about, self.message)?;
        match self.dropped {
            0 => Ok(()),
            1 => f.write_str(" (1 lost)"),
            dropped => write!(f, " ({dropped} lost)"),
        }
    }
}

/// Whom notices are told. Without anybody they are only counted.
#[derive(Clone, Default)]
pub(crate) struct Listener(Option<Arc<Listen>>);

type Listen = dyn Fn(&Notice) + Send + Sync;

impl Listener {
    pub(crate) fn new(listener: impl Fn(&Notice) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    /// Tells it. A listener that panics harms nobody.
    pub(crate) fn tell(&self, about: &str, message: impl fmt::Display, dropped: u64) {
        let Some(listener) = &self.0 else { return };
        let notice = Notice {
            about: about.to_owned(),
            message: message.to_string(),
            dropped,
        };
        let _ = catch_unwind(AssertUnwindSafe(|| listener(&notice)));
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Listener"
        } else {
            "Nobody"
        })
    }
}

/// One matter: told at once the first time, then at most every [`NOTICE_INTERVAL`].
#[derive(Debug, Default)]
pub(crate) struct Matter(Mutex<Pending>);

#[derive(Debug, Default)]
struct Pending {
    said: Option<Instant>,
    dropped: u64,
}

impl Matter {
    /// Counts what was lost, and says it if it is time to.
    pub(crate) fn lost(
        &self,
        dropped: u64,
        about: &str,
        message: impl fmt::Display,
        listener: &Listener,
    ) {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pending.dropped += dropped;
        let now = Instant::now();
        let rests = |said: Instant| now.saturating_duration_since(said) < NOTICE_INTERVAL;
        if pending.said.is_some_and(rests) {
            return;
        }
        pending.said = Some(now);
        let dropped = std::mem::take(&mut pending.dropped);
        drop(pending);
        listener.tell(about, message, dropped);
    }
}

/// Where a sink tells of trouble that has lost nothing yet: a server that does not answer, and is
/// tried again. People hear it as any other [`Notice`], at once and then at most every
/// [`NOTICE_INTERVAL`].
#[derive(Debug)]
pub struct Troubles {
    about: String,
    listener: Listener,
    matter: Matter,
}

impl Troubles {
    pub(crate) fn new(about: &str, listener: Listener) -> Self {
        Self {
            about: about.to_owned(),
            listener,
            matter: Matter::default(),
        }
    }

    /// Says what is wrong, where, and what becomes of it.
    pub fn tell(&self, message: impl fmt::Display) {
        self.matter.lost(0, &self.about, message, &self.listener);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn a_matter_is_said_at_once_and_then_rests() {
        let (sender, receiver) = channel();
        let listener = Listener::new(move |notice: &Notice| {
            let _ = sender.send(notice.to_string());
        });
        let matter = Matter::default();
        matter.lost(2, "file", "the disk is full", &listener);
        matter.lost(3, "file", "the disk is full", &listener);
        let said: Vec<_> = receiver.try_iter().collect();
        assert_eq!(said, ["file: the disk is full (2 lost)"]);
        assert_eq!(matter.0.lock().unwrap().dropped, 3);
    }

    #[test]
    fn a_listener_that_panics_harms_nobody() {
        Listener::new(|_| panic!("on purpose")).tell("x", "y", 0);
    }
}
