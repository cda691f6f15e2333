//! The machine's clocks.

use std::time::{SystemTime, UNIX_EPOCH};

use tidegate_core::{Instant, Now, UnixMillis};
use tokio::time;

use crate::Clock;

/// Schedules by tokio's clock and dates by the system's. Its origin is its own construction.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    origin: time::Instant,
}

impl TokioClock {
    /// A clock that begins now.
    pub fn new() -> Self {
        Self {
            origin: time::Instant::now(),
        }
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Now {
        let ns = u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Now {
            mono: Instant::from_nanos(ns),
            wall: wall(),
        }
    }

    async fn sleep(&self, until: Instant) {
        // By duration: tokio takes any, however far its end.
        time::sleep(until.since(self.now().mono)).await;
    }
}

fn wall() -> UnixMillis {
    let ms =
        |duration: std::time::Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => UnixMillis(ms(after)),
        Err(before) => UnixMillis(-ms(before.duration())),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_sleep_ends_at_its_instant_and_a_past_one_at_once() {
        let clock = TokioClock::new();
        let until = clock.now().mono + Duration::from_millis(20);
        clock.sleep(until).await;
        assert!(clock.now().mono >= until);
        clock.sleep(Instant::ZERO).await;
        let endless = clock.sleep(Instant::from_nanos(u64::MAX));
        assert!(
            time::timeout(Duration::from_millis(5), endless)
                .await
                .is_err()
        );
    }
}
