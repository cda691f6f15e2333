//! The StatsD sink: events as UDP datagrams.

mod totals;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use tidegate_series::METRIC_NAME;
use tidegate_wire::statsd::{DATAGRAM_BYTES, DatagramWriter, StatsdKind, StatsdTags};

use self::totals::Totals;
use super::lost::Lost;
use super::{Sink, SinkError, Takes};
use crate::{Batch, EventKind, MetricEvent};

/// How long an address that did not resolve is left alone.
const RESOLVE_INTERVAL: Duration = Duration::from_secs(30);

/// How a [`StatsdSink`] writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatsdOptions {
    /// What is sent: events by default. Samples are sent as gauges, and of totals by how much they
    /// grew, as `c`: whoever has both sends events, or everything is said twice.
    pub takes: Takes,
    /// Where tags go: nowhere by default, which every server understands.
    pub tags: StatsdTags,
    /// What stands before every name, such as `shop.`; empty by default.
    pub prefix: String,
    /// How many bytes a datagram may have: [`DATAGRAM_BYTES`] by default.
    pub datagram_bytes: usize,
}

impl Default for StatsdOptions {
    fn default() -> Self {
        Self {
            takes: Takes::Events,
            tags: StatsdTags::default(),
            prefix: String::new(),
            datagram_bytes: DATAGRAM_BYTES,
        }
    }
}

/// Sends events to a StatsD server: counters as `c`, gauges and custom events as `g`, timers as `ms`
/// and histograms as `h`.
///
/// It never waits for the network: what the system does not take at once is dropped and counted, as are
/// values that StatsD has no words for, NaN (the stale marker too) and infinities. What gets lost on its
/// way nobody learns; that is the protocol.
#[derive(Debug)]
pub struct StatsdSink {
    address: String,
    takes: Takes,
    totals: Totals,
    prefix: String,
    writer: DatagramWriter,
    socket: Option<UdpSocket>,
    /// When the address was looked up last, and in vain.
    tried: Option<Instant>,
}

impl StatsdSink {
    /// A sink for the server at `address`, a host and a port. It is looked up when there is something
    /// to send.
    #[must_use]
    pub fn new(address: &str, options: &StatsdOptions) -> Self {
        Self {
            address: address.to_owned(),
            takes: options.takes,
            totals: Totals::default(),
            prefix: options.prefix.clone(),
            writer: DatagramWriter::new(options.datagram_bytes, options.tags),
            socket: None,
            tried: None,
        }
    }

    /// Looks the address up, unless that was in vain a moment ago.
    fn connect(&mut self) -> io::Result<()> {
        if self.socket.is_some() {
            return Ok(());
        }
        let waits = |tried: Instant| tried.elapsed() < RESOLVE_INTERVAL;
        if self.tried.is_some_and(waits) {
            return Err(io::Error::other("it was not found a moment ago"));
        }
        self.tried = Some(Instant::now());
        self.socket = Some(socket_to(&self.address)?);
        self.tried = None;
        Ok(())
    }

    /// Sends the events, if there is anywhere to send them.
    fn send_all(&mut self, events: &[MetricEvent], lost: &mut Lost) {
        if events.is_empty() {
            return;
        }
        match self.connect() {
            Ok(()) => self.send(events, lost),
            Err(error) => lost.say(events.len(), || format!("{}: {error}", self.address)),
        }
    }

    /// Sends what can be said of the events.
    fn send(&mut self, events: &[MetricEvent], lost: &mut Lost) {
        let Self {
            address,
            prefix,
            writer,
            socket: Some(socket),
            ..
        } = self
        else {
            return;
        };
        // Lines in the datagram being filled.
        let mut filled = 0;
        let mut name = String::new();
        for event in events {
            name.clone_from(prefix);
            name.push_str(event.labels.metric_name().unwrap_or_default());
            let tags = event.labels.iter();
            let tags = tags.filter(|(tag, _)| *tag != METRIC_NAME);
            let mut sent = 0;
            let mut send = |datagram: &[u8]| {
                sent = filled;
                if let Err(error) = socket.send(datagram) {
                    lost.say(filled, || format!("{address}: {error}"));
                }
            };
            let pushed = writer.push(kind(event.kind), &name, tags, event.value, &mut send);
            filled -= sent;
            match pushed {
                Ok(()) => filled += 1,
                Err(error) => lost.say(1, || format!("{}: {error}", event.labels)),
            }
        }
        writer.finish(&mut |datagram: &[u8]| {
            if let Err(error) = socket.send(datagram) {
                lost.say(filled, || format!("{address}: {error}"));
            }
        });
    }
}

impl Sink for StatsdSink {
    fn takes(&self) -> Takes {
        self.takes
    }

    fn write(&mut self, batch: &Batch) -> Result<(), SinkError> {
        let mut lost = Lost::default();
        if self.takes.samples() {
            self.totals.describe(&batch.families);
            let events = self.totals.events(&batch.samples, &mut lost);
            self.send_all(&events, &mut lost);
        }
        if self.takes.events() {
            self.send_all(&batch.events, &mut lost);
        }
        lost.into_result()
    }
}

const fn kind(kind: EventKind) -> StatsdKind {
    match kind {
        EventKind::Counter => StatsdKind::Counter,
        EventKind::Gauge | EventKind::Custom => StatsdKind::Gauge,
        EventKind::Timer => StatsdKind::Timer,
        EventKind::Histogram => StatsdKind::Histogram,
    }
}

/// A socket that sends there and never waits.
fn socket_to(address: &str) -> io::Result<UdpSocket> {
    let no_address = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let server = address.to_socket_addrs()?.next().ok_or_else(no_address)?;
    let own: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(own)?;
    socket.connect(server)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use tidegate_series::{Labels, stale_marker};

    use super::*;

    fn server() -> (UdpSocket, String) {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let timeout = Some(Duration::from_secs(10));
        server.set_read_timeout(timeout).unwrap();
        let address = server.local_addr().unwrap().to_string();
        (server, address)
    }

    fn received(server: &UdpSocket) -> String {
        let mut datagram = [0; 2_000];
        let length = server.recv(&mut datagram).unwrap();
        String::from_utf8(datagram[..length].to_vec()).unwrap()
    }

    fn event(kind: EventKind, name: &str, value: f64) -> MetricEvent {
        MetricEvent {
            labels: Labels::from_pairs([("__name__", name), ("zone", "a")]).unwrap(),
            kind,
            value,
            timestamp_ms: 0,
        }
    }

    fn batch(events: Vec<MetricEvent>) -> Batch {
        Batch {
            events,
            ..Batch::default()
        }
    }

    #[test]
    fn events_arrive_in_few_datagrams() {
        let (server, address) = server();
        let options = StatsdOptions {
            tags: StatsdTags::Datadog,
            prefix: "shop.".to_owned(),
            ..StatsdOptions::default()
        };
        let mut sink = StatsdSink::new(&address, &options);
        let events = vec![
            event(EventKind::Counter, "hits", 2.0),
            event(EventKind::Gauge, "queue", -1.5),
            event(EventKind::Timer, "wait", 0.25),
            event(EventKind::Histogram, "size", 9.0),
            event(EventKind::Custom, "other", 1.0),
        ];
        sink.write(&batch(events)).unwrap();
        let expected = "shop.hits:2|c|#zone:a\nshop.queue:0|g|#zone:a\nshop.queue:-1.5|g|#zone:a\n\
                        shop.wait:250|ms|#zone:a\nshop.size:9|h|#zone:a\nshop.other:1|g|#zone:a";
        assert_eq!(received(&server), expected);
    }

    #[test]
    fn samples_are_sent_as_gauges_and_totals_by_what_they_grew() {
        let (server, address) = server();
        let options = StatsdOptions {
            takes: Takes::Samples,
            ..StatsdOptions::default()
        };
        let mut sink = StatsdSink::new(&address, &options);
        assert_eq!(sink.takes(), Takes::Samples);
        let sample = |name, value| tidegate_series::Sample {
            labels: Labels::from_pairs([("__name__", name)]).unwrap(),
            timestamp_ms: 0,
            value,
        };
        let mut write = |samples: Vec<_>| {
            let events = vec![event(EventKind::Counter, "not_sent", 1.0)];
            sink.write(&Batch {
                samples,
                events,
                ..Batch::default()
            })
            .unwrap();
        };
        write(vec![sample("hits_total", 5.0)]);
        write(vec![sample("hits_total", 7.0), sample("queue", 3.0)]);
        assert_eq!(received(&server), "hits_total:2|c\nqueue:3|g");
    }

    #[test]
    fn what_statsd_has_no_words_for_is_dropped_and_the_rest_sent() {
        let (server, address) = server();
        let mut sink = StatsdSink::new(&address, &StatsdOptions::default());
        let values = [1.0, f64::NAN, stale_marker(), f64::INFINITY, 2.0];
        let events = values.map(|value| event(EventKind::Gauge, "a", value));
        let error = sink.write(&batch(events.to_vec())).unwrap_err();
        let said = r#"a{zone="a"}: a value that statsd has no words for; and 2 more"#;
        assert_eq!((error.dropped, &*error.message), (3, said));
        assert_eq!(received(&server), "a:1|g\na:2|g");
    }

    #[test]
    fn a_server_that_is_not_there_costs_what_was_sent_to_it_and_no_time() {
        let (server, address) = server();
        drop(server);
        let mut sink = StatsdSink::new(&address, &StatsdOptions::default());
        let begun = Instant::now();
        let mut dropped = 0;
        for _ in 0..20 {
            let events = vec![event(EventKind::Counter, "hits", 1.0); 3];
            if let Err(error) = sink.write(&batch(events)) {
                assert!(error.message.starts_with(&address), "{error}");
                dropped += error.dropped;
            }
        }
        // The system tells of a refusal at the next datagram.
        assert!(dropped > 0 && dropped % 3 == 0, "{dropped}");
        assert!(begun.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn an_address_that_is_none_is_said_and_not_looked_up_again_at_once() {
        let mut sink = StatsdSink::new("no port", &StatsdOptions::default());
        let events = vec![event(EventKind::Counter, "hits", 1.0); 2];
        let error = sink.write(&batch(events.clone())).unwrap_err();
        assert_eq!(error.dropped, 2);
        assert!(error.message.starts_with("no port: "), "{error}");
        let error = sink.write(&batch(events)).unwrap_err();
        assert_eq!(error.message, "no port: it was not found a moment ago");
    }

    #[test]
    fn each_datagram_that_fails_drops_its_own_lines() {
        let options = StatsdOptions {
            datagram_bytes: 14,
            ..StatsdOptions::default()
        };
        let mut sink = StatsdSink::new("127.0.0.1:9", &options);
        // One that is connected to nobody cannot send.
        sink.socket = Some(UdpSocket::bind("127.0.0.1:0").unwrap());
        let mut events = vec![event(EventKind::Counter, "a", 1.0); 5];
        events.insert(2, event(EventKind::Counter, "a", f64::NAN));
        let error = sink.write(&batch(events)).unwrap_err();
        assert_eq!(error.dropped, 6);
    }
}
