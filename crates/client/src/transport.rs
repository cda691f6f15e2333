//! What the driver needs from its surroundings: somebody who fetches, and somebody who waits.

use tidegate_core::{Fetch, FetchError, Instant, Now, Response};

/// Performs fetches.
///
/// The futures are not required to be `Send`, so that pages can be transports; where they are, so
/// is the driver.
pub trait Transport {
    /// Performs one fetch that begins at `now`, on the clock of `fetch.deadline`. Dropping the
    /// future gives the fetch up and frees what it holds.
    ///
    /// # Errors
    /// Why there is no complete response; credentials never stand in it.
    fn fetch(&self, fetch: Fetch, now: Now) -> impl Future<Output = Result<Response, FetchError>>;
}

/// Tells the time, and wakes.
pub trait Clock {
    /// The current time. `mono` must not run backwards.
    fn now(&self) -> Now;

    /// Ends once `now().mono` has reached `until`, at once if it has already.
    fn sleep(&self, until: Instant) -> impl Future<Output = ()>;
}

impl<T: Transport> Transport for &T {
    fn fetch(&self, fetch: Fetch, now: Now) -> impl Future<Output = Result<Response, FetchError>> {
        (**self).fetch(fetch, now)
    }
}

impl<C: Clock> Clock for &C {
    fn now(&self) -> Now {
        (**self).now()
    }

    fn sleep(&self, until: Instant) -> impl Future<Output = ()> {
        (**self).sleep(until)
    }
}
