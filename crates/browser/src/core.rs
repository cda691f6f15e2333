//! The collector as JavaScript holds it.

use futures_util::FutureExt;
use futures_util::future::{AbortHandle, Abortable};
use js_sys::{Function, Promise};
use tidegate_api::{Change, Command, Front, Reply};
use tidegate_client::{Clock, Handle, driver};
use tidegate_core::{Event, Level};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::{future_to_promise, spawn_local};

use crate::clock::GlobalClock;
use crate::object::Record;
use crate::options::{self, CreateOptions, InvalidateOptions, QueryOptions};
use crate::series::{AggregateOptions, BatchOptions};
use crate::transport::FetchTransport;
use crate::{answer, failure, series};

/// A collector and the loop that drives it. Errors are plain objects with `kind` and `message`.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Core {
    handle: Handle<Command, Reply>,
    running: AbortHandle,
}

#[wasm_bindgen]
impl Core {
    /// Starts a collector. `options` are those of `create`, but with the sources as pairs of name
    /// and options.
    ///
    /// # Errors
    /// What is wrong with the options.
    #[wasm_bindgen(constructor)]
    pub fn new(options: JsValue, on_event: Option<Function>) -> Result<Self, JsValue> {
        let options: CreateOptions = options::read_whole(options).map_err(failure::config)?;
        let config = options.config(drawn_seed()).map_err(failure::config)?;
        let addresses = options.addresses().map_err(failure::config)?;
        let clock = GlobalClock;
        let front =
            Front::new(config, env!("CARGO_PKG_VERSION"), clock.now()).map_err(failure::config)?;
        let observer = move |event: Event| {
            if let Some(on_event) = &on_event {
                // A listener that throws is not the collector's affair.
                let _ = on_event.call1(&JsValue::UNDEFINED, &event_object(&event));
            }
        };
        let (handle, run) = driver(front, FetchTransport { addresses }, clock, observer);
        let (running, registration) = AbortHandle::new_pair();
        spawn_local(Abortable::new(run, registration).map(drop));
        Ok(Self { handle, running })
    }

    /// Asks once; gives an answer or rejects.
    pub fn query(&self, expr: String, options: JsValue) -> Promise {
        let handle = self.handle.clone();
        future_to_promise(async move {
            let options: QueryOptions = options::read(options).map_err(failure::config)?;
            let ask = options.ask(expr).map_err(failure::config)?;
            match handle.query(ask).await {
                Ok(answer) => Ok(answer::object(&answer)),
                Err(error) => Err(failure::query(&error)),
            }
        })
    }

    /// Adds samples to the collector's own series; gives what became of them.
    pub fn record(&self, source: String, batch: JsValue) -> Promise {
        let handle = self.handle.clone();
        future_to_promise(async move {
            let batch: BatchOptions = options::read_whole(batch).map_err(failure::config)?;
            let record = batch.record(source).map_err(failure::config)?;
            let recorded = handle.record(record).await;
            recorded
                .map(|recorded| series::recorded(&recorded))
                .map_err(|error| failure::declined(&error))
        })
    }

    /// Asks about windows of the collector's own series; gives groups.
    pub fn aggregate(&self, asked: JsValue) -> Promise {
        let handle = self.handle.clone();
        future_to_promise(async move {
            let asked: AggregateOptions = options::read_whole(asked).map_err(failure::config)?;
            let (asked, words) = asked.aggregation().map_err(failure::config)?;
            let groups = handle.aggregate(asked).await;
            groups
                .map(|groups| series::groups(&groups, &words))
                .map_err(|error| failure::declined(&error))
        })
    }

    /// Forgets answers; gives how many.
    pub fn invalidate(&self, what: JsValue) -> Promise {
        let what = options::read_whole(what).and_then(InvalidateOptions::invalidation);
        let change = what.map(Change::Invalidate).map_err(failure::config);
        self.change(change, |count| JsValue::from_f64(count as f64))
    }

    /// Stops keeping a key warm; gives whether it was.
    pub fn untrack(&self, key: String) -> Promise {
        self.change(Ok(Change::Untrack { key }), |count| {
            JsValue::from_bool(count > 0)
        })
    }

    /// Ends the collector: fetches are given up, whoever waits is told that it is closed.
    pub fn close(&self) {
        self.running.abort();
    }
}

impl Core {
    fn change(
        &self,
        change: Result<Change, JsValue>,
        shown: impl FnOnce(usize) -> JsValue + 'static,
    ) -> Promise {
        let handle = self.handle.clone();
        future_to_promise(async move {
            match handle.call(Command::Change(change?)).await {
                Ok(Reply::Changed(Ok(count))) => Ok(shown(count)),
                Ok(Reply::Changed(Err(error))) => Err(failure::config(error)),
                Ok(
                    Reply::Answer(_) | Reply::Http(_) | Reply::Recorded(_) | Reply::Aggregated(_),
                ) => {
                    unreachable!("a machine replies to a change with its outcome")
                }
                Err(closed) => Err(failure::query(&closed.into())),
            }
        })
    }
}

/// Another number for each collector, so that pages opened together do not fetch together.
fn drawn_seed() -> u64 {
    js_sys::Math::random().to_bits()
}

fn event_object(event: &Event) -> JsValue {
    Record::new()
        .with("level", level(event.level))
        .with("name", event.name)
        .with("source", &*event.source)
        .with_some("key", event.key.as_deref())
        .with("detail", event.detail.as_str())
        .finish()
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
    }
}
