//! Recording and exposing, beside what programs record with today.

use std::hint::black_box;
use std::thread::scope;

use anyhow::{Result, anyhow, ensure};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::{counter, histogram};
use tidegate_record::{ExpositionFormat, Registry, SECONDS_BOUNDS};

use crate::clock::{contest, contest_elapsed};
use crate::table::{Table, Target};

/// Operations in a round of one contestant.
const OPERATIONS: u32 = 1_000_000;

/// Metrics and series of each that are exposed.
const METRICS: u64 = 10;
const SERIES_EACH: u64 = 1_000;

/// What is observed: all buckets, the lower ones more often, in an order that no processor learns.
const OBSERVATIONS: usize = 8_192;

pub(crate) const RIVALS: &str = "pco 1.1, sketches-ddsketch 0.3, prometheus 0.14, prometheus-client 0.24, metrics-exporter-prometheus 0.18, metrics 0.24";

pub(crate) fn measure(table: &mut Table) -> Result<()> {
    // Before any recorder is installed, and without one.
    off(table)?;
    counters(table)?;
    histograms(table)?;
    exposing(table)
}

fn counters(table: &mut Table) -> Result<()> {
    let theirs = prometheus::IntCounter::new("hits", "Hits.")?;
    let registry = Registry::new();
    let ours = registry.counter("hits");
    let add_theirs = || (0..OPERATIONS).for_each(|_| black_box(&theirs).inc());
    let add_ours = || (0..OPERATIONS).for_each(|_| black_box(&ours).increment(1));
    table.heading("adding 1 to a counter");
    let [one_theirs, one_ours] = contest(OPERATIONS, [&mut || add_theirs(), &mut || add_ours()]);
    table.row(
        "prometheus, one thread",
        &format!("{one_theirs:.2} ns"),
        None,
        Target::None,
    );
    let judged = Some((one_ours / one_theirs, "× prometheus"));
    table.row(
        "tidegate, one thread",
        &format!("{one_ours:.2} ns"),
        judged,
        Target::AtMost(1.0),
    );

    let both = |add: &(dyn Fn() + Sync)| {
        scope(|scope| {
            scope.spawn(add);
            add();
        });
    };
    // By the wall clock: processor time would miss what a thread waits for the other's cache line.
    let [two_theirs, two_ours] = contest_elapsed(
        2 * OPERATIONS,
        [&mut || both(&add_theirs), &mut || both(&add_ours)],
    );
    table.row(
        "prometheus, two threads, one metric",
        &format!("{two_theirs:.2} ns"),
        None,
        Target::None,
    );
    let judged = Some((two_ours / two_theirs, "× prometheus"));
    table.row(
        "tidegate, two threads, one metric",
        &format!("{two_ours:.2} ns"),
        judged,
        Target::AtMost(0.25),
    );
    ensure!(theirs.get() as f64 == ours.value(), "both counted the same");
    Ok(())
}

fn histograms(table: &mut Table) -> Result<()> {
    let values = observations();
    let options = prometheus::HistogramOpts::new("took", "Took.").buckets(SECONDS_BOUNDS.to_vec());
    let theirs = prometheus::Histogram::with_opts(options)?;
    let client = histogram::Histogram::new(SECONDS_BOUNDS);
    let exporter = metrics_exporter_prometheus::PrometheusBuilder::new()
        .set_buckets(&SECONDS_BOUNDS)?
        .build_recorder();
    let handle = exporter.handle();
    let facade = metrics::with_local_recorder(&exporter, || metrics::histogram!("took"));
    let ours = Registry::new().histogram("took_seconds");
    let [prometheus, client, exporter, own] = contest(
        OPERATIONS,
        [
            &mut || each(&values, |value| black_box(&theirs).observe(value)),
            &mut || each(&values, |value| black_box(&client).observe(value)),
            &mut || {
                each(&values, |value| black_box(&facade).record(value));
                // What it puts off until somebody scrapes.
                handle.run_upkeep();
            },
            &mut || each(&values, |value| black_box(&ours).observe(value)),
        ],
    );
    ensure!(
        theirs.get_sample_count() == ours.count(),
        "both observed the same"
    );
    table.heading("observing in a histogram of 16 bounds");
    let best = prometheus.min(client).min(exporter);
    for (name, ns) in [
        ("prometheus", prometheus),
        ("prometheus-client", client),
        ("metrics-exporter-prometheus, upkeep included", exporter),
    ] {
        table.row(name, &format!("{ns:.2} ns"), None, Target::None);
    }
    let judged = Some((own / best, "× the best of them"));
    table.row(
        "tidegate",
        &format!("{own:.2} ns"),
        judged,
        Target::AtMost(0.5),
    );
    Ok(())
}

/// A loop of its own for each contestant, as a program would have it: none is called through a pointer.
fn each(values: &[f64], observe: impl Fn(f64)) {
    (0..OPERATIONS as usize).for_each(|at| observe(values[at % OBSERVATIONS]));
}

/// Values from a fixed seed.
fn observations() -> Vec<f64> {
    let step = |at: usize| (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11;
    let part = |at: usize| step(at) as f64 / (1_u64 << 53) as f64;
    (0..OBSERVATIONS)
        .map(|at| part(at).powi(4) * 70.0)
        .collect()
}

fn off(table: &mut Table) -> Result<()> {
    let count = || (0..OPERATIONS).for_each(|_| metrics::counter!("hits").increment(1));
    // What any recorder costs, since the facade calls it through a pointer.
    let nothing = || metrics::with_local_recorder(&metrics::NoopRecorder, count);
    let [bare, nothing_before] = contest(OPERATIONS, [&mut || count(), &mut || nothing()]);
    // Once a recorder is installed it stays, so it cannot take turns with none. Both do with the one that
    // does nothing, and are compared through it.
    let registry = Registry::new();
    registry.set_on(false);
    registry
        .install()
        .map_err(|_| anyhow!("another recorder is installed"))?;
    let handle = registry.counter("hits");
    let [nothing_after, by_macro, by_handle, by_name] = contest(
        OPERATIONS,
        [
            &mut || nothing(),
            &mut || count(),
            &mut || (0..OPERATIONS).for_each(|_| black_box(&handle).increment(1)),
            &mut || (0..OPERATIONS).for_each(|_| black_box(&registry).increment("hits", 1)),
        ],
    );
    registry.set_on(true);
    let [on] = contest(OPERATIONS, [&mut || count()]);
    ensure!(registry.counter("hits").value() > 0.0, "it is the recorder");
    table.heading("counting a hit while recording is off, beside the macro of the metrics facade");
    let any = nothing_before / bare;
    for (what, ns, judged, target) in [
        ("no recorder", bare, None, Target::None),
        (
            "one that does nothing",
            nothing_before,
            Some(any),
            Target::None,
        ),
        (
            "tidegate, off, by the macro",
            by_macro,
            Some(any * by_macro / nothing_after),
            Target::AtMost(1.5),
        ),
        (
            "tidegate, off, by a handle of its own",
            by_handle,
            Some(any * by_handle / nothing_after),
            Target::AtMost(1.5),
        ),
        (
            "tidegate, off, by name",
            by_name,
            Some(any * by_name / nothing_after),
            Target::AtMost(1.5),
        ),
        ("tidegate, on, by the macro", on, None, Target::None),
    ] {
        let judged = judged.map(|ratio| (ratio, "× none"));
        table.row(what, &format!("{ns:.2} ns"), judged, target);
    }
    Ok(())
}

fn exposing(table: &mut Table) -> Result<()> {
    let mut client = prometheus_client::registry::Registry::default();
    let theirs = prometheus::Registry::new();
    let registry = Registry::new();
    for metric in 0..METRICS {
        let name = format!("http_requests_{metric}");
        let family = Family::<Vec<(String, String)>, counter::Counter>::default();
        client.register(&name, "Requests served", family.clone());
        let options = prometheus::Opts::new(format!("{name}_total"), "Requests served");
        let vector = prometheus::IntCounterVec::new(options, &["route", "code"])?;
        theirs.register(Box::new(vector.clone()))?;
        for series in 0..SERIES_EACH {
            let route = format!("/items/{}", series / 4);
            let code = (200 + series % 4).to_string();
            let count = series * series * 7_919 + metric;
            let pairs = vec![
                ("route".into(), route.clone()),
                ("code".into(), code.clone()),
            ];
            family.get_or_create(&pairs).inc_by(count);
            vector.with_label_values(&[&route, &code]).inc_by(count);
            let context = registry.with([("route", &route), ("code", &code)]);
            context.increment(&name, count);
        }
    }
    let series = (METRICS * SERIES_EACH) as u32;
    let [prometheus, client, own] = contest(
        series,
        [
            &mut || {
                let text = prometheus::TextEncoder::new().encode_to_string(&theirs.gather());
                black_box(text.is_ok());
            },
            &mut || {
                let mut text = String::new();
                black_box(encode(&mut text, &client).is_ok());
                black_box(text);
            },
            &mut || {
                black_box(registry.render(ExpositionFormat::OpenMetrics));
            },
        ],
    );
    table.heading("exposing 10,000 series, per series");
    table.row(
        "prometheus, text",
        &format!("{prometheus:.0} ns"),
        None,
        Target::None,
    );
    table.row(
        "prometheus-client, OpenMetrics",
        &format!("{client:.0} ns"),
        None,
        Target::None,
    );
    let judged = Some((client / own, "times as fast"));
    table.row(
        "tidegate, OpenMetrics",
        &format!("{own:.0} ns"),
        judged,
        Target::AtLeast(6.0),
    );
    Ok(())
}
