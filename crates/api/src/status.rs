//! What Tidegate says about itself: build, health, counters.

use alloc::vec::Vec;

use tidegate_core::{Collector, SourceHealth, SourceStatus, TargetStatus};
use tidegate_wire::json::Writer;

use crate::render::millis;
use crate::{HttpResponse, held};

/// The oldest Prometheus whose API is served here whole. Grafana takes the version for that of a
/// Prometheus, and below 2.24 asks for all series where a list of label values would do.
const PROMETHEUS_VERSION: &str = "2.42.0";

/// `/api/v1/status/buildinfo`, with the fields Prometheus has; what does not apply is empty, and
/// the revision is Tidegate's version.
pub(crate) fn buildinfo(version: &str) -> HttpResponse {
    document(|json| {
        json.key("status").string("success");
        json.key("data").object(|json| {
            json.key("version").string(PROMETHEUS_VERSION);
            json.key("revision").string(version);
            for field in ["branch", "buildUser", "buildDate", "goVersion"] {
                json.key(field).string("");
            }
            json.key("application").string("tidegate");
        });
    })
}

/// `/health`: 200 as long as anybody is here to say it; `degraded` while a source is down, or
/// some of its targets.
pub(crate) fn health(collector: &Collector, version: &str) -> HttpResponse {
    let sources = collector.sources();
    let ails = |status: &SourceStatus| {
        matches!(status.health, SourceHealth::Down | SourceHealth::Degraded)
    };
    let down = sources.iter().any(ails);
    document(|json| {
        json.key("status")
            .string(if down { "degraded" } else { "ok" });
        json.key("version").string(version);
        json.key("default_source")
            .string(collector.default_source());
        json.key("sources").array(|json| {
            for status in &sources {
                json.object(|json| source(json, status));
            }
        });
    })
}

fn source(json: &mut Writer<'_>, status: &SourceStatus) {
    json.key("name").string(&status.name);
    json.key("kind").string(status.kind);
    json.key("health").string(status.health.as_str());
    if let Some(at) = status.last_success {
        json.key("last_success_ms").integer(at.0);
    }
    if let Some((at, message)) = &status.last_error {
        json.key("last_error").object(|json| {
            json.key("at_ms").integer(at.0);
            json.key("message").string(message);
        });
    }
    json.key("breaker").string(status.breaker.as_str());
    json.key("failures_in_a_row")
        .integer(status.failures_in_a_row);
    json.key("in_flight").count(status.in_flight);
    json.key("queued").count(status.queued);
    json.key("templates").count(status.templates);
    if !status.collect_interval.is_zero() {
        json.key("collecting").object(|json| {
            json.key("interval_ms")
                .integer(millis(status.collect_interval));
            json.key("targets").count(status.targets.len());
            json.key("up").count(status.targets_up());
        });
    }
}

/// How a target fares, and how it is collected if it is.
pub(crate) fn target(json: &mut Writer<'_>, status: &TargetStatus) {
    json.key("target").string(&status.name);
    json.key("health").string(status.health.as_str());
    json.key("breaker").string(status.breaker.as_str());
    json.key("failures_in_a_row")
        .integer(status.failures_in_a_row);
    if let Some(next_in) = status.next_in {
        json.key("next_in_ms").integer(millis(next_in));
    }
    if let Some(last) = &status.last_scrape {
        json.key("last_scrape").object(|json| {
            json.key("at_ms").integer(last.at.0);
            json.key("took_ms").integer(millis(last.took));
            json.key("up").bool(last.succeeded);
            json.key("samples").count(last.samples);
            json.key("refused").count(last.refused);
            json.key("series_added").count(last.series_added);
            if let Some(error) = &last.error {
                json.key("error").string(error);
            }
        });
    }
}

/// `/stats`: every counter and gauge, and what is recorded.
pub(crate) fn stats(collector: &Collector) -> HttpResponse {
    let stats = collector.stats();
    document(|json| {
        json.key("asks").object(|json| {
            json.key("hits").integer(stats.hits);
            json.key("stale").integer(stats.stale);
            json.key("misses").integer(stats.misses);
            json.key("coalesced").integer(stats.coalesced);
            json.key("stale_on_error").integer(stats.stale_on_error);
            json.key("local").integer(stats.local);
            json.key("refusals_recalled")
                .integer(stats.refusals_recalled);
            json.key("errors").integer(stats.errors);
            json.key("waiting").count(stats.askers_waiting);
        });
        json.key("fetches").object(|json| {
            json.key("begun").integer(stats.fetches);
            json.key("failed").integer(stats.fetch_failures);
            json.key("retries").integer(stats.retries);
            json.key("retries_refused").integer(stats.retries_refused);
            json.key("bytes").integer(stats.fetched_bytes);
            json.key("in_flight").count(stats.fetches_in_flight);
            json.key("responses_ignored")
                .integer(stats.responses_ignored);
        });
        json.key("cache").object(|json| {
            json.key("entries").count(stats.cache_entries);
            json.key("bytes").count(stats.cache_bytes);
            json.key("bytes_max").count(stats.cache_bytes_max);
            json.key("evictions").integer(stats.evictions);
            json.key("extents").count(stats.extents);
            json.key("extent_bytes").count(stats.extent_bytes);
            json.key("extent_samples").count(stats.extent_samples);
            json.key("extent_evictions").integer(stats.extent_evictions);
            json.key("refusals").count(stats.refusals);
            json.key("tracked").count(stats.tracked);
        });
        json.key("scrapes").object(|json| {
            json.key("ended").integer(stats.scrapes);
            json.key("failed").integer(stats.scrapes_failed);
            json.key("sources").object(|json| {
                let sources = collector.sources();
                for source in sources.iter().filter(|source| !source.targets.is_empty()) {
                    json.key(&source.name).array(|json| {
                        for status in &source.targets {
                            json.object(|json| target(json, status));
                        }
                    });
                }
            });
        });
        json.key("local").object(|json| local(json, collector));
        json.key("clock_clamped").integer(stats.clock_clamped);
    })
}

fn local(json: &mut Writer<'_>, collector: &Collector) {
    let stats = collector.stats();
    json.key("series").count(stats.series);
    json.key("series_max").count(stats.series_max);
    json.key("samples").count(stats.samples);
    json.key("bytes").count(stats.series_bytes);
    json.key("sample_bytes")
        .count(collector.series().sample_bytes());
    json.key("sample_bytes_max")
        .count(collector.series().limits().bytes_max);
    json.key("samples_accepted").integer(stats.samples_accepted);
    json.key("samples_refused").integer(stats.samples_refused);
    json.key("refused").object(|json| {
        for (reason, count) in refused(collector) {
            json.key(reason).integer(count);
        }
    });
    held::metrics(json, collector);
}

/// How many samples were refused, by reason.
pub(crate) fn refused(collector: &Collector) -> impl Iterator<Item = (&'static str, u64)> {
    let by_store = collector.series().refused();
    let before = collector.stats().samples_refused;
    let unfit = collector.stats().samples_unfit;
    let before = before
        .saturating_sub(by_store.total())
        .saturating_sub(unfit);
    let by_reason = by_store.by_reason().into_iter();
    by_reason.chain([("too-far-ahead", before), ("unfit", unfit)])
}

/// `/v1/templates`: every source's catalog.
pub(crate) fn templates(collector: &Collector) -> HttpResponse {
    document(|json| {
        for source in collector.sources() {
            json.key(&source.name).array(|json| {
                for template in collector.templates(&source.name) {
                    let config = template.config();
                    json.object(|json| {
                        json.key("name").string(&config.name);
                        json.key("text").string(&config.text);
                        json.key("description").string(&config.description);
                        json.key("params").array(|json| {
                            for param in template.params() {
                                json.string(param);
                            }
                        });
                    });
                }
            });
        }
    })
}

fn document(members: impl FnOnce(&mut Writer<'_>)) -> HttpResponse {
    let mut body = Vec::new();
    Writer::new(&mut body).object(members);
    HttpResponse::json(200, body)
}
