//! A transport whose addresses can be replaced while it is in use.

use std::sync::{Arc, PoisonError, RwLock};

use tidegate_core::{Fetch, FetchError, Now, Response};

use super::http::HttpTransport;
use crate::Transport;

/// Clones share the transport that is in use.
#[derive(Clone, Debug)]
pub(super) struct Fetcher {
    current: Arc<RwLock<Arc<HttpTransport>>>,
}

impl Fetcher {
    pub(super) fn new(transport: HttpTransport) -> Self {
        Self {
            current: Arc::new(RwLock::new(Arc::new(transport))),
        }
    }

    pub(super) fn current(&self) -> Arc<HttpTransport> {
        // Nobody panics while holding the lock.
        let current = self.current.read();
        Arc::clone(&current.unwrap_or_else(PoisonError::into_inner))
    }

    /// Fetches under way go on as they began.
    pub(super) fn replace(&self, transport: HttpTransport) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(transport);
    }
}

impl Transport for Fetcher {
    async fn fetch(&self, fetch: Fetch, now: Now) -> Result<Response, FetchError> {
        let transport = self.current();
        transport.fetch(fetch, now).await
    }
}
