//! The way from a connection to a response: what is at hand is given out here and now, the rest
//! goes to the routes. Counts both.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::service::Service;
use tidegate_api::request_key;
use tidegate_wire::text::{MetricType, TextWriter};
use tower_service::Service as _;

use crate::http;
use crate::lending::Lending;
use crate::shards::SharedShards;

/// What serves every connection. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Front {
    router: Router,
    lending: Arc<Lending>,
    counts: Arc<Counts>,
}

impl Front {
    /// A front to this collector.
    pub fn new(collector: &SharedShards) -> Self {
        let counts = Arc::new(Counts::default());
        Self {
            router: http::router(SharedShards::clone(collector), Arc::clone(&counts)),
            lending: Arc::clone(collector.lending()),
            counts,
        }
    }

    /// What serves one connection.
    pub fn connection(&self) -> Connection {
        self.counts.connections.fetch_add(1, Ordering::Relaxed);
        Connection {
            front: self.clone(),
        }
    }

    /// The response, if it is at hand and nobody need wait for it.
    fn at_hand(&self, request: &Request<Incoming>) -> Option<Response> {
        if *request.method() != Method::GET {
            return None;
        }
        let (target, headers) = (request.uri().path_and_query()?, request.headers());
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let key = request_key("GET", target.as_str(), header, &[])?;
        let (rendered, aged) = self.lending.find(&key)?;
        let coding = rendered.coding(headers);
        if rendered.is_slow(coding) {
            return None;
        }
        self.lending.count_hit();
        Some(rendered.response(headers, coding, Some(aged)))
    }
}

/// What serves one connection, and is counted as long as it does.
#[derive(Debug)]
pub struct Connection {
    front: Front,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.front
            .counts
            .connections
            .fetch_sub(1, Ordering::Relaxed);
    }
}

impl Service<Request<Incoming>> for Connection {
    type Response = Response;
    type Error = Infallible;
    type Future = Responding;

    fn call(&self, request: Request<Incoming>) -> Responding {
        let counts = Arc::clone(&self.front.counts);
        if let Some(response) = self.front.at_hand(&request) {
            counts.responded(&response);
            return Responding::AtHand(ready(Ok(response)));
        }
        let mut router = self.front.router.clone();
        Responding::Routed(Box::pin(async move {
            // A router is always ready.
            let response = router.call(request.map(Body::new)).await?;
            counts.responded(&response);
            Ok(response)
        }))
    }
}

/// A response on its way.
#[allow(missing_debug_implementations, reason = "a boxed future shows nothing")]
pub enum Responding {
    /// It is there.
    AtHand(Ready<Result<Response, Infallible>>),
    /// The routes make it.
    Routed(Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>),
}

impl Future for Responding {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::AtHand(response) => Pin::new(response).poll(cx),
            Self::Routed(response) => response.as_mut().poll(cx),
        }
    }
}

/// Classes of status codes, from 200 on; a host sends no others.
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// What the host itself counts.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    connections: AtomicU64,
    responses: [AtomicU64; CLASSES.len()],
}

impl Counts {
    fn responded(&self, response: &Response) {
        let class = usize::from(response.status().as_u16() / 100).checked_sub(2);
        if let Some(count) = class.and_then(|class| self.responses.get(class)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The host's own families, to follow the collector's in `/metrics`.
    pub(crate) fn write(&self, lending: &Lending, body: &mut Vec<u8>) {
        let mut text = TextWriter::new(body);
        let name = "tidegate_http_requests_total";
        text.family(
            name,
            MetricType::Counter,
            "Requests by class of status code.",
        );
        for (class, count) in CLASSES.iter().zip(&self.responses) {
            let count = count.load(Ordering::Relaxed) as f64;
            text.sample(name, [("code", *class)], count);
        }
        let (responses, bytes) = lending.held();
        for (name, kind, help, value) in [
            (
                "tidegate_rendered_hits_total",
                MetricType::Counter,
                "Requests answered without waking the collector; its own counters do not have them.",
                lending.hits() as f64,
            ),
            (
                "tidegate_rendered_responses",
                MetricType::Gauge,
                "Responses kept to be given out again.",
                responses as f64,
            ),
            (
                "tidegate_rendered_bytes",
                MetricType::Gauge,
                "What they weigh at most.",
                bytes as f64,
            ),
            (
                "tidegate_http_connections",
                MetricType::Gauge,
                "Connections held.",
                self.connections.load(Ordering::Relaxed) as f64,
            ),
        ] {
            text.family(name, kind, help).sample(name, [], value);
        }
    }
}
