//! The remote sink: Prometheus remote-write 1.0.

mod delivery;
mod http;
mod requests;
mod secret;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tidegate_core::{BreakerConfig, RetryConfig};

use self::delivery::{Delivery, Outcome};
use self::http::Http;
pub use self::http::RemoteError;
pub use self::secret::Secret;
use super::lost::Lost;
use super::{Sink, SinkError};
use crate::{Batch, Troubles};

/// How many samples one request holds by default: what Prometheus itself sends.
pub const REMOTE_SAMPLES_PER_REQUEST: usize = 2_000;

/// How long one try may take by default, from connecting to the end of the answer: what Prometheus waits.
pub const REMOTE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long one request is tried by default: longer than a restart takes, short enough that one which
/// makes its receiver fail does not hold up the rest for ever.
pub const REMOTE_PATIENCE: Duration = Duration::from_secs(5 * 60);

/// The first wait: a receiver that balances its load has found another server by then.
const BACKOFF: Duration = Duration::from_millis(100);

/// How a [`RemoteSink`] sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteOptions {
    /// How many samples one request holds at most: [`REMOTE_SAMPLES_PER_REQUEST`].
    pub samples_per_request: usize,
    /// How long one try may take: [`REMOTE_TIMEOUT`].
    pub timeout: Duration,
    /// How long one request is tried before it is dropped: [`REMOTE_PATIENCE`].
    pub patience: Duration,
    /// How long to wait between tries: from 100 ms on doubling to 30 s. How often is for the patience
    /// to say.
    pub retry: RetryConfig,
    /// When a receiver that fails is left alone for a while.
    pub breaker: BreakerConfig,
    /// A token for `Authorization: Bearer …`. A user and password belong into the URL.
    pub bearer_token: Option<Secret>,
    /// More headers, such as `X-Scope-OrgID`.
    pub headers: Vec<(String, Secret)>,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self {
            samples_per_request: REMOTE_SAMPLES_PER_REQUEST,
            timeout: REMOTE_TIMEOUT,
            patience: REMOTE_PATIENCE,
            retry: RetryConfig {
                retries_max: u32::MAX,
                backoff: BACKOFF,
                ..RetryConfig::default()
            },
            breaker: BreakerConfig::default(),
            bearer_token: None,
            headers: Vec::new(),
        }
    }
}

/// Sends samples and descriptions to a Prometheus, or whoever receives as it does.
///
/// The samples of a batch go series by series, each in the order of its times, in as many requests as
/// they need. A request that fails by the network, by a status of 500 or more, or by 429 is tried again:
/// after a wait that doubles, has chance in it and is at least what `Retry-After` asks for, and while its
/// receiver's breaker is open, not at all. Batches wait in their [`Pump`](crate::Pump)'s queue meanwhile,
/// whose bound and policy decide what goes. Any other answer but 2xx is final: the request's samples
/// are dropped, counted and said, though the receiver may have taken some of them. Redirects are not
/// followed, and no proxy of the environment is asked.
///
/// Samples without a metric's name are dropped here, since a receiver refuses the whole request for
/// them. Stale markers and other NaNs go as the bits they are. Events are not sent: remote-write has
/// no words for them.
///
/// Credentials are sent to that address alone, and shown nowhere.
pub struct RemoteSink {
    http: Http,
    delivery: Delivery,
    samples_per_request: usize,
    counts: RemoteCounts,
    troubles: Option<Arc<Troubles>>,
}

impl RemoteSink {
    /// A sink for the receiver at `url`, such as `https://user:password@host/api/v1/write`.
    ///
    /// # Errors
    ///
    /// A URL that is none or not of http, a header that cannot be sent or is not the caller's to set, or
    /// a machine without TLS.
    pub fn new(url: &str, options: RemoteOptions) -> Result<Self, RemoteError> {
        let http = Http::new(url, &options)?;
        Ok(Self {
            http,
            samples_per_request: options.samples_per_request.max(1),
            delivery: Delivery::new(options.retry, options.breaker, options.patience),
            counts: RemoteCounts::default(),
            troubles: None,
        })
    }

    /// What it has done so far; it goes on counting.
    #[must_use]
    pub fn counts(&self) -> RemoteCounts {
        self.counts.clone()
    }

    fn send(&mut self, body: &[u8], samples: usize, lost: &mut Lost) {
        let counted = &self.counts.0;
        let (address, troubles) = (self.http.to_string(), self.troubles.as_ref());
        let outcome = self.delivery.deliver(&mut self.http, body, |words| {
            counted.retries.fetch_add(1, Ordering::Relaxed);
            if let Some(troubles) = troubles {
                troubles.tell(format_args!(
                    "{address}: {words}; it is tried again, and what comes meanwhile waits"
                ));
            }
        });
        let sent = match outcome {
            Outcome::Taken => &counted.taken,
            Outcome::Refused { words } => {
                lost.say(samples, || format!("{address}: {words}"));
                &counted.refused
            }
            Outcome::GivenUp { retries, words } => {
                lost.say(samples, || {
                    format!("{address}: given up after {retries} retries: {words}")
                });
                &counted.given_up
            }
        };
        sent.fetch_add(1, Ordering::Relaxed);
    }
}

impl Sink for RemoteSink {
    fn write(&mut self, batch: &Batch) -> Result<(), SinkError> {
        let mut lost = Lost::default();
        let requests = requests::of(batch, self.samples_per_request);
        if requests.nameless > 0 {
            let words = || format!("{} samples without a metric's name", requests.nameless);
            lost.say(requests.nameless, words);
        }
        for request in requests.cut {
            self.send(&request.compressed(), request.samples(), &mut lost);
        }
        lost.into_result()
    }

    fn listen(&mut self, troubles: &Arc<Troubles>) {
        self.troubles = Some(Arc::clone(troubles));
    }
}

impl fmt::Debug for RemoteSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteSink")
            .field("url", &self.http.to_string())
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

/// The counts of a [`RemoteSink`], read from anywhere.
#[derive(Clone, Debug, Default)]
pub struct RemoteCounts(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    taken: AtomicU64,
    refused: AtomicU64,
    given_up: AtomicU64,
    retries: AtomicU64,
}

impl RemoteCounts {
    /// Requests that the receiver took.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.0.taken.load(Ordering::Relaxed)
    }

    /// Requests that it refused for good.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// Requests that were tried in vain until the patience ended.
    #[must_use]
    pub fn given_up(&self) -> u64 {
        self.0.given_up.load(Ordering::Relaxed)
    }

    /// Tries that failed and were to be repeated, so far.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.0.retries.load(Ordering::Relaxed)
    }
}
