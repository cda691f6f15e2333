//! Queues before sinks: what is dropped, which sink holds up nobody, and what a flush waits for.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidegate_series::{Labels, Sample};

use super::*;
use crate::{SinkError, Takes};

const SOON: Duration = Duration::from_secs(10);

/// A batch of `count` samples, all of value `value`.
fn batch(value: f64, count: usize) -> Batch {
    let sample = Sample {
        labels: Labels::from_pairs([("__name__", "a")]).unwrap(),
        timestamp_ms: 0,
        value,
    };
    Batch {
        samples: vec![sample; count],
        ..Batch::default()
    }
}

/// Keeps what it is handed; before each write it waits for the gate, if there is one.
struct Kept {
    values: Arc<Mutex<Vec<f64>>>,
    entered: Sender<()>,
    gate: Option<Receiver<()>>,
}

fn kept(gate: Option<Receiver<()>>) -> (Kept, Arc<Mutex<Vec<f64>>>, Receiver<()>) {
    let values = Arc::default();
    let (entered, entrances) = channel();
    let sink = Kept {
        values: Arc::clone(&values),
        entered,
        gate,
    };
    (sink, values, entrances)
}

impl Sink for Kept {
    fn write(&mut self, batch: &Batch) -> Result<(), SinkError> {
        let _ = self.entered.send(());
        if let Some(gate) = &self.gate {
            let _ = gate.recv();
        }
        self.values.lock().unwrap().push(batch.samples[0].value);
        Ok(())
    }
}

/// What it says to each call, in turn; then it is content.
struct Script(Vec<Say>);

enum Say {
    Panic,
    Lose(usize),
}

impl Sink for Script {
    fn write(&mut self, _: &Batch) -> Result<(), SinkError> {
        match self.0.pop() {
            Some(Say::Panic) => panic!("on purpose"),
            Some(Say::Lose(dropped)) => Err(SinkError {
                message: "no room".into(),
                dropped,
            }),
            None => Ok(()),
        }
    }
}

fn pump_with(name: &str, sink: impl Sink + 'static, options: SinkOptions) -> Pump {
    let mut pump = Pump::new();
    pump.add(name, sink, options).unwrap();
    pump
}

#[test]
fn each_sink_gets_every_batch_in_order() {
    let (one, of_one, _entrances) = kept(None);
    let (other, of_other, _entrances) = kept(None);
    let mut pump = pump_with("one", one, SinkOptions::default());
    pump.add("other", other, SinkOptions::default()).unwrap();
    for value in 0..100 {
        pump.offer(batch(f64::from(value), 2));
    }
    let stats = pump.shutdown(SOON);
    let expected: Vec<_> = (0..100).map(f64::from).collect();
    assert_eq!(*of_one.lock().unwrap(), expected);
    assert_eq!(*of_other.lock().unwrap(), expected);
    for stats in stats {
        let counts = (
            stats.state,
            stats.batches_written,
            stats.written,
            stats.dropped(),
        );
        assert_eq!(counts, (SinkState::Ended, 100, 200, 0));
    }
}

/// Queues 1 to 4 behind a batch that is being written, in a queue for two; gives back what was written.
fn what_a_full_queue_keeps(when_full: WhenFull) -> (Vec<f64>, SinkStats, Vec<String>) {
    let (open, gate) = channel();
    let (sink, values, entrances) = kept(Some(gate));
    let notices = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&notices);
    let mut pump =
        Pump::new().on_notice(move |notice| heard.lock().unwrap().push(notice.to_string()));
    let options = SinkOptions {
        queue_items_max: 4,
        when_full,
        ..SinkOptions::default()
    };
    pump.add("slow", sink, options).unwrap();
    pump.offer(batch(0.0, 2));
    entrances.recv().unwrap();
    for value in 1..=4 {
        pump.offer(batch(f64::from(value), 2));
    }
    assert_eq!(pump.stats()[0].queued, 4);
    drop(open);
    let stats = pump.shutdown(SOON).remove(0);
    let notices = notices.lock().unwrap().clone();
    let values = values.lock().unwrap().clone();
    (values, stats, notices)
}

#[test]
fn a_full_queue_drops_by_its_policy_and_says_so_once() {
    let said = "slow: the queue is full: the sink is slower than what is recorded (2 lost)";
    let (values, stats, notices) = what_a_full_queue_keeps(WhenFull::DropOldest);
    assert_eq!(values, [0.0, 3.0, 4.0]);
    assert_eq!((stats.written, stats.dropped_full), (6, 4));
    assert_eq!(notices, [said]);
    let (values, stats, notices) = what_a_full_queue_keeps(WhenFull::DropNewest);
    assert_eq!(values, [0.0, 1.0, 2.0]);
    assert_eq!((stats.written, stats.dropped_full), (6, 4));
    assert_eq!(notices, [said]);
}

#[test]
fn a_batch_larger_than_the_queue_waits_alone() {
    let (sink, values, _entrances) = kept(None);
    let options = SinkOptions {
        queue_items_max: 1,
        ..SinkOptions::default()
    };
    let pump = pump_with("small", sink, options);
    pump.offer(batch(7.0, 100));
    assert_eq!(pump.shutdown(SOON)[0].written, 100);
    assert_eq!(*values.lock().unwrap(), [7.0]);
}

#[test]
fn what_a_sink_loses_is_counted() {
    let pump = pump_with("leaky", Script(vec![Say::Lose(2)]), SinkOptions::default());
    pump.offer(batch(0.0, 3));
    pump.offer(batch(0.0, 3));
    let stats = &pump.shutdown(SOON)[0];
    assert_eq!(
        (stats.batches_written, stats.written, stats.dropped_failed),
        (1, 4, 2)
    );
    assert_eq!(
        (stats.failures, stats.last_error.as_deref()),
        (1, Some("no room"))
    );
}

#[test]
fn a_sink_that_panics_loses_a_batch_and_goes_on() {
    let pump = pump_with("jumpy", Script(vec![Say::Panic]), SinkOptions::default());
    pump.offer(batch(0.0, 3));
    pump.offer(batch(0.0, 5));
    let stats = &pump.shutdown(SOON)[0];
    assert_eq!(
        (stats.state, stats.written, stats.dropped_failed),
        (SinkState::Ended, 5, 3)
    );
    assert_eq!(stats.last_error.as_deref(), Some("it panicked: on purpose"));
}

#[test]
fn a_sink_that_keeps_panicking_is_left_alone_and_the_others_go_on() {
    let (sink, values, _entrances) = kept(None);
    let panics = (0..PANICS_MAX).map(|_| Say::Panic).collect();
    let mut pump = pump_with("broken", Script(panics), SinkOptions::default());
    pump.add("sound", sink, SinkOptions::default()).unwrap();
    for _ in 0..10 {
        pump.offer(batch(1.0, 1));
    }
    let stats = pump.shutdown(SOON);
    assert_eq!(
        (stats[0].state, stats[0].dropped_failed),
        (SinkState::Retired, 10)
    );
    assert_eq!(
        (stats[1].state, values.lock().unwrap().len()),
        (SinkState::Ended, 10)
    );
}

#[test]
fn a_sink_that_hangs_holds_up_neither_the_others_nor_the_shutdown() {
    let (open, gate) = channel();
    let (hanging, _values, entrances) = kept(Some(gate));
    let (sink, values, _entrances) = kept(None);
    let mut pump = pump_with("hanging", hanging, SinkOptions::default());
    pump.add("sound", sink, SinkOptions::default()).unwrap();
    for _ in 0..10 {
        pump.offer(batch(1.0, 2));
    }
    entrances.recv().unwrap();
    assert!(!pump.flush(Duration::from_millis(10)), "one hangs");
    assert!(matches!(pump.stats()[0].state, SinkState::Busy(_)));
    let begun = Instant::now();
    let stats = pump.shutdown(Duration::from_millis(50));
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!((stats[0].written, stats[0].dropped_at_end), (0, 20));
    assert_eq!((stats[1].written, values.lock().unwrap().len()), (20, 10));
    drop(open);
}

/// Tells of each flush.
struct Flushed(Sender<()>);

impl Sink for Flushed {
    fn write(&mut self, _: &Batch) -> Result<(), SinkError> {
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        let _ = self.0.send(());
        Ok(())
    }
}

#[test]
fn what_was_written_is_made_safe_by_interval_and_at_the_end() {
    let (flushed, flushes) = channel();
    let options = SinkOptions {
        flush_interval: Duration::from_millis(5),
        ..SinkOptions::default()
    };
    let pump = pump_with("file", Flushed(flushed), options);
    assert!(
        flushes.recv_timeout(Duration::from_millis(50)).is_err(),
        "nothing to make safe"
    );
    pump.offer(batch(0.0, 1));
    flushes.recv_timeout(SOON).unwrap();
    assert!(
        flushes.recv_timeout(Duration::from_millis(50)).is_err(),
        "all is safe"
    );
    pump.shutdown(SOON);
    assert_eq!(flushes.try_iter().count(), 1);
}

#[test]
fn a_flush_waits_for_what_was_offered_before() {
    let (sink, values, _entrances) = kept(None);
    let pump = pump_with("kept", sink, SinkOptions::default());
    for _ in 0..100 {
        pump.offer(batch(0.0, 1));
    }
    assert!(pump.flush(SOON));
    assert_eq!(values.lock().unwrap().len(), 100);
    assert!(pump.flush(Duration::ZERO), "there is nothing new");
}

/// Takes events alone.
struct Events;

impl Sink for Events {
    fn takes(&self) -> Takes {
        Takes::Events
    }

    fn write(&mut self, _: &Batch) -> Result<(), SinkError> {
        Ok(())
    }
}

#[test]
fn a_sink_is_not_woken_for_what_it_does_not_take() {
    let mut pump = pump_with("events", Events, SinkOptions::default());
    assert_eq!(pump.takes(), Some(Takes::Events));
    pump.offer(batch(0.0, 1));
    pump.add("script", Script(Vec::new()), SinkOptions::default())
        .unwrap();
    assert_eq!(pump.takes(), Some(Takes::Everything));
    assert_eq!(pump.shutdown(SOON)[0].batches_written, 0);
    assert_eq!(Pump::new().takes(), None);
}

#[test]
fn names_are_given_once() {
    let mut pump = pump_with("one", Script(Vec::new()), SinkOptions::default());
    let add =
        |pump: &mut Pump, name: &str| pump.add(name, Script(Vec::new()), SinkOptions::default());
    let refused = add(&mut pump, "one").unwrap_err();
    assert_eq!(refused.to_string(), "there is a sink \"one\" already");
    assert_eq!(
        add(&mut pump, "").unwrap_err().to_string(),
        "a sink needs a name"
    );
    for number in 1..SINKS_MAX {
        add(&mut pump, &number.to_string()).unwrap();
    }
    let refused = add(&mut pump, "more").unwrap_err();
    assert_eq!(
        refused.to_string(),
        "there are 64 sinks already, which is the limit"
    );
}
