//! The runtime's clocks: `performance.now()` schedules, `Date.now()` dates.

use tidegate_client::Clock;
use tidegate_core::{Instant, Now, UnixMillis};
use wasm_bindgen::prelude::wasm_bindgen;

/// The longest timeout that every runtime takes; a longer one would end at once.
const TIMEOUT_MS_MAX: u64 = i32::MAX as u64;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
}

/// The clock of the page, worker or process. Its origin is that of the runtime.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GlobalClock;

impl Clock for GlobalClock {
    fn now(&self) -> Now {
        Now {
            // Saturates; 584 years fit.
            mono: Instant::from_nanos((performance_now() * 1e6) as u64),
            wall: UnixMillis(js_sys::Date::now() as i64),
        }
    }

    async fn sleep(&self, until: Instant) {
        loop {
            let left = until.since(self.now().mono);
            if left.is_zero() {
                return;
            }
            // Rounded up: a timer that ends early would have to be set again.
            let ms = u64::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
            gloo_timers::future::TimeoutFuture::new(ms.min(TIMEOUT_MS_MAX) as u32).await;
        }
    }
}
