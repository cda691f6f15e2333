//! Waiting for what must happen, however slow the machine.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Far above what any step takes on an idle machine: only a hang meets it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Often enough to lose no time, seldom enough to cost none.
const POLL_EVERY: Duration = Duration::from_millis(50);

/// Tries until `attempt` gives `Ok`, and gives that back.
///
/// # Panics
/// After a minute; with `what` was waited for and the last `Err`.
pub async fn eventually<T, F: AsyncFnMut() -> Result<T, String>>(what: &str, mut attempt: F) -> T {
    let start = Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(last) if start.elapsed() > PATIENCE => {
                panic!(
                    "waited {} s for: {what}; at last: {last}",
                    PATIENCE.as_secs()
                )
            }
            Err(_) => tokio::time::sleep(POLL_EVERY).await,
        }
    }
}

/// Seconds since 1970.
///
/// # Panics
/// If the clock stands before 1970.
pub fn unix_now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock past 1970")
        .as_secs_f64()
}

/// A moment in whole seconds since 1970 that nothing is being scraped for any more, where scrapes
/// come every second and take less.
pub async fn settled_moment() -> String {
    let moment = unix_now().floor();
    eventually("a moment to be past", async || {
        let passed_s = unix_now() - moment;
        if passed_s > 2.5 {
            Ok(())
        } else {
            Err(format!("{passed_s} s"))
        }
    })
    .await;
    format!("{moment}")
}
