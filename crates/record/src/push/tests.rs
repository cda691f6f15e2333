//! What a registry holds is pushed: when it is due, when it is asked for, and at the end.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;
use crate::{Bounds, Recording, Rule, Sink, SinkError, SinkOptions, Takes};

const SOON: Duration = Duration::from_secs(10);

/// Passes on what it is handed.
struct Forward(Takes, Sender<Batch>);

impl Sink for Forward {
    fn takes(&self) -> Takes {
        self.0
    }

    fn write(&mut self, batch: &Batch) -> Result<(), SinkError> {
        let _ = self.1.send(batch.clone());
        Ok(())
    }
}

/// A push that does nothing by itself for a long time.
fn slow() -> PushOptions {
    PushOptions {
        interval: Duration::from_secs(3_600),
        ..PushOptions::default()
    }
}

fn start(registry: &Registry, takes: Takes, options: PushOptions) -> (Push, Receiver<Batch>) {
    let (sender, batches) = channel();
    let mut pump = Pump::new();
    pump.add("forward", Forward(takes, sender), SinkOptions::default())
        .unwrap();
    (Push::start(registry, pump, options).unwrap(), batches)
}

/// What a batch has, as text.
fn shown(batch: &Batch) -> Vec<String> {
    let samples = batch
        .samples
        .iter()
        .map(|sample| format!("{} {}", sample.labels, sample.value));
    let events = batch.events.iter();
    let events = events.map(|event| format!("{} {} {}", event.kind, event.labels, event.value));
    samples.chain(events).collect()
}

#[test]
fn what_changed_is_pushed_and_what_did_not_after_a_while() {
    let registry = Registry::new();
    registry
        .set_bounds("*", Bounds::new(&[1.0]).unwrap())
        .unwrap();
    registry
        .describe("hits", EventKind::Counter, "", "Hits.")
        .unwrap();
    let options = PushOptions {
        resend_after: Duration::from_secs(3_600),
        ..slow()
    };
    let (push, batches) = start(&registry, Takes::Samples, options);
    registry.with([("a", "b")]).increment("hits", 2);
    registry.observe("size", 0.5);
    let _ = registry.gauge("unset");
    assert!(push.flush(SOON));
    let batch = batches.try_recv().unwrap();
    let expected = [
        "hits_total{a=\"b\"} 2",
        "size_bucket{le=\"1.0\"} 1",
        "size_bucket{le=\"+Inf\"} 1",
        "size_sum 0.5",
        "size_count 1",
    ];
    assert_eq!(shown(&batch), expected);
    let families: Vec<_> = batch.families.iter().map(|family| &*family.name).collect();
    assert_eq!(families, ["hits_total", "size"]);
    assert_eq!(&*batch.families[0].metadata.help, "Hits.");
    registry.set("unset", 1.0);
    assert!(push.flush(SOON));
    assert_eq!(shown(&batches.try_recv().unwrap()), ["unset 1"]);
    assert!(push.flush(SOON), "nothing changed");
    assert!(batches.try_recv().is_err());
    drop(push);
    let (push, batches) = start(
        &registry,
        Takes::Samples,
        PushOptions {
            resend_after: Duration::ZERO,
            ..slow()
        },
    );
    for _ in 0..2 {
        assert!(push.flush(SOON));
        assert_eq!(batches.try_recv().unwrap().samples.len(), 6);
    }
}

#[test]
fn each_event_is_pushed_in_order_where_a_sink_takes_events() {
    let registry = Registry::new();
    let hits = registry.with([("a", "b")]).counter("hits");
    hits.increment(1);
    let (push, batches) = start(&registry, Takes::Events, slow());
    hits.increment(2);
    hits.add(0.5);
    registry.set("depth", 3.0);
    registry.gauge("depth").subtract(1.0);
    registry.timer("took").record(Duration::from_millis(250));
    registry.histogram("size").observe_many(7.0, 2);
    registry.custom("odd", f64::INFINITY);
    registry
        .set_rules(vec![Rule::new("*", Recording::Off).unwrap()])
        .unwrap();
    hits.increment(4);
    let stats = push.shutdown(SOON);
    let batch = batches.try_recv().unwrap();
    let expected = [
        "counter hits{a=\"b\"} 2",
        "counter hits{a=\"b\"} 0.5",
        "gauge depth 3",
        "gauge depth 2",
        "timer took 0.25",
        "histogram size 7",
        "histogram size 7",
        "custom odd inf",
    ];
    assert_eq!(shown(&batch), expected);
    assert_eq!(stats[0].written, 8);
    assert!(
        batch
            .events
            .iter()
            .all(|event| event.timestamp_ms > 1_500_000_000_000)
    );
    registry.set_rules(Vec::new()).unwrap();
    hits.increment(1);
    assert_eq!(hits.value(), 4.5, "and nobody is told any more");
}

#[test]
fn custom_values_are_samples_of_their_own() {
    let registry = Registry::new();
    let (push, batches) = start(&registry, Takes::Samples, slow());
    registry.custom("odd", 1.0);
    registry.custom("odd", 2.0);
    assert!(push.flush(SOON));
    let batch = batches.try_recv().unwrap();
    assert_eq!(shown(&batch), ["odd 1", "odd 2"]);
    assert!(push.flush(SOON));
    assert!(batches.try_recv().is_err());
}

#[test]
fn it_pushes_by_itself_at_the_interval_and_when_many_events_wait() {
    let registry = Registry::new();
    let quick = PushOptions {
        interval: Duration::from_millis(2),
        ..PushOptions::default()
    };
    let (_push, batches) = start(&registry, Takes::Samples, quick);
    registry.increment("hits", 1);
    assert_eq!(
        shown(&batches.recv_timeout(SOON).unwrap()),
        ["hits_total 1"]
    );
    let registry = Registry::new();
    let narrow = PushOptions {
        events_max: 8,
        ..slow()
    };
    let (_push, batches) = start(&registry, Takes::Everything, narrow);
    (0..4).for_each(|_| registry.increment("hits", 1));
    let batch = batches.recv_timeout(SOON).unwrap();
    assert_eq!((batch.samples.len(), batch.events.len()), (0, 4));
}

#[test]
fn events_beyond_the_bound_are_dropped_and_counted() {
    let registry = Registry::new();
    let narrow = PushOptions {
        events_max: 1,
        when_full: WhenFull::DropNewest,
        ..slow()
    };
    let (push, batches) = start(&registry, Takes::Events, narrow);
    {
        // Nothing is taken out while it is busy.
        let _busy = push.shared.lock();
        (0..10).for_each(|_| registry.increment("hits", 1));
    }
    push.shutdown(SOON);
    let pushed: usize = batches.try_iter().map(|batch| batch.events.len()).sum();
    let dropped = registry.stats().events_dropped;
    assert!(
        pushed >= 1 && pushed as u64 + dropped == 10,
        "{pushed} and {dropped}"
    );
    assert!(
        registry
            .render(crate::ExpositionFormat::Text)
            .contains("events_dropped_total")
    );
    assert_eq!(registry.counter("hits").value(), 10.0);
}

#[test]
fn what_is_recorded_last_is_pushed_at_the_end() {
    let registry = Registry::new();
    let (push, batches) = start(&registry, Takes::Samples, slow());
    registry.increment("hits", 1);
    drop(push);
    assert_eq!(shown(&batches.try_recv().unwrap()), ["hits_total 1"]);
}
