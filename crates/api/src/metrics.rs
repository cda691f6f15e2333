//! `/metrics`: Tidegate's own counters in exposition text. Labels are bounded by the
//! configuration: never a query, an address or an asker.

use alloc::format;
use alloc::vec::Vec;

use tidegate_core::{
    AGE_BUCKETS_S, AlertState, BreakerState, Collector, SourceHealth, SourceStatus,
};
use tidegate_wire::text::{CONTENT_TYPE, MetricType, TextWriter};

use crate::{HttpResponse, status};

pub(crate) fn metrics(collector: &Collector, version: &str) -> HttpResponse {
    let mut body = Vec::new();
    let mut text = TextWriter::new(&mut body);
    let name = "tidegate_build_info";
    text.family(name, MetricType::Gauge, "Which Tidegate this is; always 1.")
        .sample(name, [("version", version)], 1.0);
    asks(&mut text, collector);
    ages(&mut text, collector);
    sources(&mut text, collector);
    alerts(&mut text, collector);
    plain(&mut text, collector);
    refused(&mut text, collector);
    HttpResponse::new(200, CONTENT_TYPE, body)
}

fn asks(text: &mut TextWriter<'_>, collector: &Collector) {
    let stats = collector.stats();
    let name = "tidegate_asks_total";
    text.family(name, MetricType::Counter, "Asks by how they were answered.");
    for (result, count) in [
        ("hit", stats.hits),
        ("stale", stats.stale),
        ("miss", stats.misses),
        ("coalesced", stats.coalesced),
        ("local", stats.local),
    ] {
        text.sample(name, [("provenance", result)], count as f64);
    }
}

fn ages(text: &mut TextWriter<'_>, collector: &Collector) {
    let stats = collector.stats();
    let name = "tidegate_answer_age_seconds";
    text.family(
        name,
        MetricType::Histogram,
        "Age of the data in answers to asks.",
    );
    let mut count = 0;
    for (bound, answers) in AGE_BUCKETS_S.iter().zip(stats.ages) {
        count += answers;
        let le = format!("{bound}");
        text.sample(
            "tidegate_answer_age_seconds_bucket",
            [("le", &*le)],
            count as f64,
        );
    }
    let count = stats.ages.iter().sum::<u64>() as f64;
    text.sample(
        "tidegate_answer_age_seconds_bucket",
        [("le", "+Inf")],
        count,
    );
    text.sample(
        "tidegate_answer_age_seconds_sum",
        [],
        stats.age_sum_ms as f64 / 1000.0,
    );
    text.sample("tidegate_answer_age_seconds_count", [], count);
}

fn sources(text: &mut TextWriter<'_>, collector: &Collector) {
    let sources = collector.sources();
    let name = "tidegate_source_up";
    text.family(
        name,
        MetricType::Gauge,
        "Whether the last exchange with the source succeeded, of kind scrape that with every target; absent before the first.",
    );
    for source in sources
        .iter()
        .filter(|source| source.health != SourceHealth::Unknown)
    {
        let up = source.health == SourceHealth::Up;
        text.sample(
            name,
            [("source", &*source.name), ("kind", source.kind)],
            f64::from(up),
        );
    }
    let name = "tidegate_source_breaker_open";
    text.family(
        name,
        MetricType::Gauge,
        "Whether the source is left alone because it keeps failing.",
    );
    for source in &sources {
        let open = source.breaker != BreakerState::Closed;
        text.sample(
            name,
            [("source", &*source.name), ("kind", source.kind)],
            f64::from(open),
        );
    }
    let collected = |source: &&SourceStatus| !source.collect_interval.is_zero();
    let collecting: Vec<_> = sources.iter().filter(collected).collect();
    if !collecting.is_empty() {
        targets(text, &collecting);
    }
    let name = "tidegate_source_fetches_in_flight";
    text.family(name, MetricType::Gauge, "Fetches under way to the source.");
    for source in &sources {
        text.sample(
            name,
            [("source", &*source.name), ("kind", source.kind)],
            source.in_flight as f64,
        );
    }
}

fn refused(text: &mut TextWriter<'_>, collector: &Collector) {
    let name = "tidegate_samples_refused_total";
    text.family(name, MetricType::Counter, "Samples refused, by reason.");
    for (reason, count) in status::refused(collector) {
        text.sample(name, [("reason", reason)], count as f64);
    }
}

/// How many targets there are, and how many of them the last scrape of each reached.
fn targets(text: &mut TextWriter<'_>, collecting: &[&SourceStatus]) {
    let name = "tidegate_source_targets";
    text.family(name, MetricType::Gauge, "Targets that are collected.");
    for source in collecting {
        let labels = [("source", &*source.name)];
        text.sample(name, labels, source.targets.len() as f64);
    }
    let name = "tidegate_source_targets_up";
    text.family(
        name,
        MetricType::Gauge,
        "Those of them whose last scrape succeeded.",
    );
    for source in collecting {
        let labels = [("source", &*source.name)];
        text.sample(name, labels, source.targets_up() as f64);
    }
}

fn alerts(text: &mut TextWriter<'_>, collector: &Collector) {
    let stats = collector.stats();
    let name = "tidegate_alerts";
    text.family(
        name,
        MetricType::Gauge,
        "Alerts on Tidegate's own series by their state.",
    );
    for (state, alerts) in [
        (AlertState::Firing, stats.alerts_firing),
        (AlertState::Pending, stats.alerts_pending),
    ] {
        text.sample(name, [("state", state.as_str())], alerts as f64);
    }
}

fn plain(text: &mut TextWriter<'_>, collector: &Collector) {
    use MetricType::{Counter, Gauge};

    let stats = collector.stats();
    for (name, kind, help, value) in [
        (
            "tidegate_asks_failed_total",
            Counter,
            "Asks that ended in an error.",
            stats.errors as f64,
        ),
        (
            "tidegate_asks_stale_on_error_total",
            Counter,
            "Asks answered from memory because the source failed.",
            stats.stale_on_error as f64,
        ),
        (
            "tidegate_asks_waiting",
            Gauge,
            "Askers that wait for a fetch.",
            stats.askers_waiting as f64,
        ),
        (
            "tidegate_fetches_total",
            Counter,
            "Fetches begun, probes included.",
            stats.fetches as f64,
        ),
        (
            "tidegate_fetches_failed_total",
            Counter,
            "Fetches that brought no usable response.",
            stats.fetch_failures as f64,
        ),
        (
            "tidegate_fetched_bytes_total",
            Counter,
            "Bytes of response bodies received.",
            stats.fetched_bytes as f64,
        ),
        (
            "tidegate_responses_ignored_total",
            Counter,
            "Responses that came late, twice or unasked.",
            stats.responses_ignored as f64,
        ),
        (
            "tidegate_asks_refused_from_memory_total",
            Counter,
            "Asks refused because the source refused the same a moment ago.",
            stats.refusals_recalled as f64,
        ),
        (
            "tidegate_retries_total",
            Counter,
            "Fetches tried again after a failure.",
            stats.retries as f64,
        ),
        (
            "tidegate_retries_refused_total",
            Counter,
            "Failures that got no other try because the budget was spent.",
            stats.retries_refused as f64,
        ),
        (
            "tidegate_tracked",
            Gauge,
            "Keys kept warm.",
            stats.tracked as f64,
        ),
        (
            "tidegate_cache_entries",
            Gauge,
            "Answers kept.",
            stats.cache_entries as f64,
        ),
        (
            "tidegate_cache_bytes",
            Gauge,
            "What the answers kept weigh.",
            stats.cache_bytes as f64,
        ),
        (
            "tidegate_cache_limit_bytes",
            Gauge,
            "What they and the extents may weigh.",
            stats.cache_bytes_max as f64,
        ),
        (
            "tidegate_cache_evictions_total",
            Counter,
            "Answers dropped to make room.",
            stats.evictions as f64,
        ),
        (
            "tidegate_extents",
            Gauge,
            "Extents of ranges kept.",
            stats.extents as f64,
        ),
        (
            "tidegate_extent_bytes",
            Gauge,
            "What they weigh, beside the answers.",
            stats.extent_bytes as f64,
        ),
        (
            "tidegate_extent_samples",
            Gauge,
            "Samples in them.",
            stats.extent_samples as f64,
        ),
        (
            "tidegate_extent_evictions_total",
            Counter,
            "Extents dropped to make room.",
            stats.extent_evictions as f64,
        ),
        (
            "tidegate_local_series",
            Gauge,
            "Series kept.",
            stats.series as f64,
        ),
        (
            "tidegate_local_series_limit",
            Gauge,
            "How many may be kept.",
            stats.series_max as f64,
        ),
        (
            "tidegate_local_samples",
            Gauge,
            "Samples kept.",
            stats.samples as f64,
        ),
        (
            "tidegate_local_bytes",
            Gauge,
            "What the samples kept weigh.",
            stats.series_bytes as f64,
        ),
        (
            "tidegate_scrapes_total",
            Counter,
            "Scrapes of targets that are collected.",
            stats.scrapes as f64,
        ),
        (
            "tidegate_scrapes_failed_total",
            Counter,
            "Those that failed.",
            stats.scrapes_failed as f64,
        ),
        (
            "tidegate_samples_accepted_total",
            Counter,
            "Samples recorded.",
            stats.samples_accepted as f64,
        ),
        (
            "tidegate_clock_clamped_total",
            Counter,
            "Calls whose monotonic time ran backwards.",
            stats.clock_clamped as f64,
        ),
    ] {
        text.family(name, kind, help).sample(name, [], value);
    }
}
