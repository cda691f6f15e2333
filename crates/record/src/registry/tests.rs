//! The registry: what it exposes, what it refuses and says so, and who shares a series.

use std::num::NonZeroU32;
use std::sync::mpsc::{Receiver, channel};
use std::thread::scope;

use futures_executor::block_on;
use tidegate_wire::{ExpositionFormat, ScrapeLimits, decode_exposition};

use super::*;
use crate::testing::MetricsAssert;
use crate::{ReadingValue, Recording};

fn text(registry: &Registry) -> String {
    registry.render(ExpositionFormat::Text)
}

/// What the registry says of refusals.
fn notices(registry: &Registry) -> Receiver<String> {
    let (sender, receiver) = channel();
    registry.on_notice(move |notice| {
        let _ = sender.send(notice.to_string());
    });
    receiver
}

fn limited(limits: RegistryLimits) -> (Registry, Receiver<String>) {
    let registry = Registry::with_limits(limits);
    let notices = notices(&registry);
    (registry, notices)
}

#[test]
fn both_formats_are_read_back() {
    let registry = Registry::new();
    registry
        .describe("requests", EventKind::Counter, "", "Requests \"served\".")
        .unwrap();
    registry
        .describe("cpu_seconds_total", EventKind::Counter, "seconds", "")
        .unwrap();
    let zone = registry.with([("zone", "a\"b\\c\nd")]);
    zone.increment("requests", 2);
    zone.counter("cpu_seconds_total").add(0.5);
    zone.set("depth", f64::NEG_INFINITY);
    zone.observe("size_bytes", 100.0);
    zone.timer("took")
        .record(std::time::Duration::from_millis(7));
    registry.custom("odd", f64::NAN);
    let _ = registry.gauge("never_set");
    for format in [ExpositionFormat::Text, ExpositionFormat::OpenMetrics] {
        let body = registry.render(format);
        let limits = ScrapeLimits::default();
        let read = decode_exposition(body.as_bytes(), format, 0, &limits).expect(&body);
        // Two counters, a gauge, a custom value, and 13 and 16 bounds with +Inf, sum and count.
        assert_eq!(read.columns.len(), 4 + 16 + 19, "{body}");
        assert!(!body.contains("never_set"));
    }
    assert!(
        registry
            .render(ExpositionFormat::OpenMetrics)
            .contains("# UNIT cpu_seconds seconds\n")
    );
}

#[test]
fn a_histogram_is_exposed_with_cumulative_buckets() {
    let registry = Registry::new();
    registry
        .set_bounds("s*", Bounds::new(&[0.5, 2.0]).unwrap())
        .unwrap();
    let histogram = registry.with([("a", "b")]).histogram("size");
    for value in [0.5, 1.0, 3.0, 0.0] {
        histogram.observe(value);
    }
    let expected = "\
# TYPE size histogram
size_bucket{a=\"b\",le=\"0.5\"} 2
size_bucket{a=\"b\",le=\"2.0\"} 3
size_bucket{a=\"b\",le=\"+Inf\"} 4
size_sum{a=\"b\"} 4.5
size_count{a=\"b\"} 4
";
    assert_eq!(text(&registry), expected);
    assert_eq!((histogram.count(), histogram.sum()), (4, 4.5));
}

#[test]
fn bounds_are_by_pattern_or_by_unit() {
    let registry = Registry::new();
    let bounds = |name: &str, kind| {
        if kind == EventKind::Timer {
            registry.timer(name).record(std::time::Duration::ZERO);
        } else {
            registry.observe(name, 0.0);
        }
        let readings = registry.readings();
        let found = readings
            .iter()
            .find(|reading| reading.labels.metric_name() == Some(name));
        let Some(ReadingValue::Distribution { buckets, .. }) = found.map(|found| &found.value)
        else {
            panic!("{name} is a histogram");
        };
        buckets[0].0
    };
    registry
        .set_bounds("chosen", Bounds::new(&[7.0]).unwrap())
        .unwrap();
    registry
        .set_bounds("cho*", Bounds::new(&[8.0]).unwrap())
        .unwrap();
    registry
        .describe("described", EventKind::Histogram, "bytes", "")
        .unwrap();
    assert_eq!(
        bounds("chosen", EventKind::Histogram),
        8.0,
        "the last given"
    );
    assert_eq!(bounds("described", EventKind::Histogram), 64.0);
    assert_eq!(bounds("timer", EventKind::Timer), 0.0005);
    assert_eq!(bounds("a_seconds", EventKind::Histogram), 0.0005);
    assert_eq!(bounds("other", EventKind::Histogram), 0.01);
}

#[test]
fn a_counter_is_exposed_with_total_and_its_name_is_then_taken() {
    let (registry, notices) = limited(RegistryLimits::default());
    registry.increment("hits", 1);
    registry.increment("misses_total", 2);
    registry.set("hits_total", 3.0);
    registry.set("misses", 4.0);
    registry.observe("took", 1.0);
    registry.increment("took_count", 1);
    registry.set("took_sum", 1.0);
    let said: Vec<_> = notices.try_iter().collect();
    assert_eq!(
        said,
        ["hits_total: hits_total is exposed by the metric hits (1 lost)"]
    );
    assert_eq!(registry.stats().refused, 4);
    let samples = text(&registry);
    assert!(samples.contains("\nhits_total 1\n") && samples.contains("\nmisses_total 2\n"));
    assert!(samples.contains("\ntook_sum 1\n") && samples.contains("\ntook_count 1\n"));
}

#[test]
fn a_tag_with_too_many_values_is_refused_and_told_once() {
    let limits = RegistryLimits {
        series_per_metric_max: 3,
        ..RegistryLimits::default()
    };
    let (registry, notices) = limited(limits);
    for request in 0..10 {
        registry
            .with([("request", request.to_string())])
            .increment("requests", 1);
        registry.increment("others", 1);
    }
    assert_eq!(registry.stats().refused, 7);
    assert_eq!(registry.counter("others").value(), 10.0);
    let said: Vec<_> = notices.try_iter().collect();
    assert_eq!(
        said,
        [
            "requests: it has 3 series already, which is the limit: a tag has too many values (1 lost)"
        ]
    );
    assert!(text(&registry).ends_with("\ntidegate_record_refused_total 7\n"));
    // Those that were there before are recorded.
    registry.with([("request", "2")]).increment("requests", 1);
    assert_eq!(registry.stats().refused, 7);
}

#[test]
fn metrics_and_series_are_limited() {
    let limits = RegistryLimits {
        metrics_max: 2,
        series_max: 3,
        ..RegistryLimits::default()
    };
    let (registry, notices) = limited(limits);
    for name in ["a", "b", "c"] {
        registry.increment(name, 1);
    }
    for zone in ["x", "y"] {
        registry.with([("zone", zone)]).increment("a", 1);
    }
    let said: Vec<_> = notices.try_iter().collect();
    let expected = [
        "c: there are 2 metrics already, which is the limit (1 lost)",
        "a: there are 3 series already, which is the limit (1 lost)",
    ];
    assert_eq!(said, expected);
    let stats = registry.stats();
    assert_eq!((stats.metrics, stats.series, stats.refused), (2, 3, 2));
}

#[test]
fn tags_that_cannot_be_are_refused() {
    let (registry, notices) = limited(RegistryLimits::default());
    registry.with([("le", "1")]).observe("size", 1.0);
    registry.with([("__name__", "x")]).increment("hits", 1);
    registry
        .with([("long", "x".repeat(5_000))])
        .increment("hits", 1);
    let said: Vec<_> = notices.try_iter().collect();
    assert!(
        said[0].starts_with("size: the tag `le` of a histogram is for its buckets"),
        "{said:?}"
    );
    assert_eq!(registry.stats().refused, 3);
    registry.with([("le", "1")]).increment("hits", 1);
    assert_eq!(registry.stats().refused, 3);
}

#[test]
fn a_kind_once_given_stays() {
    let (registry, notices) = limited(RegistryLimits::default());
    registry.custom("x", 1.0);
    registry.set("x", 2.0);
    registry.with([("a", "b")]).set("x", 2.0);
    assert!(registry.describe("x", EventKind::Counter, "", "").is_err());
    assert_eq!(registry.stats().refused, 2);
    let said: Vec<_> = notices.try_iter().collect();
    assert_eq!(
        said,
        ["x: it is a custom and cannot be recorded as a gauge (1 lost)"]
    );
    // A timer is a histogram.
    registry.timer("t").record(std::time::Duration::ZERO);
    registry.observe("t", 1.0);
    assert_eq!(registry.timer("t").count(), 2);
}

#[test]
fn descriptions_are_limited_and_may_come_late() {
    let registry = Registry::new();
    registry.set("a", 1.0);
    registry
        .describe("a", EventKind::Gauge, "", "Said late.")
        .unwrap();
    registry
        .describe("a", EventKind::Gauge, "bytes", "")
        .unwrap();
    assert!(text(&registry).starts_with("# HELP a Said late.\n"));
    let long = "x".repeat(HELP_BYTES_MAX + 1);
    assert!(
        registry
            .describe("a", EventKind::Gauge, "", &long[1..])
            .is_ok()
    );
    let refused = registry
        .describe("a", EventKind::Gauge, "", &long)
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "its help text is longer than 1024 bytes"
    );
    assert!(registry.describe("a", EventKind::Gauge, &long, "").is_err());
}

#[test]
fn a_sampled_counter_and_histogram_are_right_on_the_average() {
    let recorded = MetricsAssert::new();
    let registry = recorded.registry();
    let tenth = Recording::OneIn(NonZeroU32::new(10).unwrap());
    registry
        .set_rules(vec![Rule::new("*", tenth).unwrap()])
        .unwrap();
    let (counter, histogram) = (registry.counter("c"), registry.histogram("h"));
    let (times, deviation) = (100_000, 6.0 * (100_000.0 * 10.0_f64).sqrt());
    for _ in 0..times {
        counter.increment(1);
        histogram.observe(0.5);
    }
    for (count, sum) in [
        (counter.value(), counter.value()),
        (histogram.count() as f64, 2.0 * histogram.sum()),
    ] {
        assert!((count - f64::from(times)).abs() < deviation, "{count}");
        assert_eq!((count % 10.0, sum), (0.0, count));
    }
    // A gauge would keep an old value.
    registry.set("g", 1.0);
    registry.set("g", 2.0);
    recorded.gauge("g").is(2.0);
}

#[test]
fn rules_hold_for_handles_that_are_held() {
    let registry = Registry::new();
    let (counter, gauge) = (registry.counter("a"), registry.gauge("a_gauge"));
    let (histogram, timer) = (registry.histogram("a_histogram"), registry.timer("a_timer"));
    let record = || {
        counter.increment(1);
        counter.add(0.5);
        gauge.set(1.0);
        gauge.add(1.0);
        histogram.observe(1.0);
        histogram.observe_many(1.0, 2);
        drop(timer.start());
    };
    let seen = || {
        (
            counter.value(),
            gauge.value(),
            histogram.count(),
            timer.count(),
        )
    };
    registry
        .set_rules(vec![Rule::new("a*", Recording::Off).unwrap()])
        .unwrap();
    record();
    assert_eq!(seen(), (0.0, None, 0, 0));
    registry.set_rules(Vec::new()).unwrap();
    registry.set_on(false);
    record();
    assert_eq!(seen(), (0.0, None, 0, 0));
    registry.set_on(true);
    record();
    assert_eq!(seen(), (1.5, Some(2.0), 3, 1));
    let many = vec![Rule::new("*", Recording::On).unwrap(); RULES_MAX + 1];
    assert_eq!(
        registry.set_rules(many).unwrap_err(),
        RulesError::TooMany(RULES_MAX + 1)
    );
}

#[test]
fn while_it_is_off_nothing_is_recorded_by_name_and_no_series_is_made() {
    let registry = Registry::new();
    let record = || {
        registry.increment("count", 1);
        registry.set("depth", 2.0);
        registry.observe("size", 3.0);
        registry.custom("score", 4.0);
    };
    registry.set_on(false);
    record();
    assert_eq!(registry.stats().series, 0);
    registry.set_on(true);
    record();
    assert_eq!(registry.stats().series, 4);
    assert_eq!(registry.readings().len(), 4);
}

#[test]
fn series_that_come_between_two_expositions_are_in_the_second_at_their_place() {
    let registry = Registry::new();
    let mut expected = String::from("# TYPE hits_total counter\n");
    // More than share a block, and not in the order in which they are exposed.
    for number in (0..40).step_by(2).chain((1..40).step_by(2)) {
        let tag = format!("{number:02}");
        registry.with([("n", tag)]).increment("hits", number);
        let _ = text(&registry);
    }
    for number in 0..40 {
        expected += &format!("hits_total{{n=\"{number:02}\"}} {number}\n");
    }
    assert_eq!(text(&registry), expected);
}

#[test]
fn counters_only_grow() {
    let registry = Registry::new();
    let counter = registry.counter("c");
    for by in [-1.0, f64::NAN, f64::INFINITY, 0.0] {
        counter.add(by);
    }
    assert_eq!(counter.value(), 0.0);
}

#[test]
fn blocks_are_timed_until_they_end_whichever_way() {
    let recorded = MetricsAssert::new();
    let context = recorded.registry().with([("a", "b")]);
    assert_eq!(block_on(context.time("t", async { 7 })), 7);
    drop(context.time("t", async {}));
    context.timer("t").start().discard();
    let took = context.timer("t").start().stop();
    let _ = std::panic::catch_unwind(|| {
        let _timing = context.timer("t").start();
        panic!("on purpose");
    });
    recorded
        .timer("t")
        .with("a", "b")
        .called(3)
        .took_at_least(took);
}

#[test]
fn threads_that_look_up_the_same_series_share_it() {
    let registry = Registry::new();
    scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for tag in 0..100 {
                    registry.with([("tag", tag.to_string())]).increment("c", 1);
                }
            });
        }
    });
    assert_eq!(registry.stats().series, 100);
    let readings = registry.readings();
    assert!(
        readings
            .iter()
            .all(|reading| reading.value == ReadingValue::Number(4.0))
    );
}
