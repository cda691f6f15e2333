//! The samples of a target as series of Tidegate's own, by Prometheus' rules.
//!
//! Each series gets the labels `job` and `instance`, and beside them stand the five series that
//! tell of the scrape itself. A series that the scrape before had and this one has not is ended by
//! a stale marker, as all of a target are whose scrape fails; samples with times of their own are
//! left out of that, for whoever dates samples decides when they end.

use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use tidegate_series::{
    Family, Labels, METRIC_NAME, Metadata, MetricKind, Ring, SeriesHandle, stale_marker,
};
use tidegate_wire::{Exposition, FamilyHeader, FamilyKind, Series};

use super::{Local, Notice, nobody};
use crate::UnixMillis;
use crate::pack::set_label;
use crate::record::Refusal;

/// The labels that a target's series get.
const JOB: &str = "job";
const INSTANCE: &str = "instance";

/// What tells of a scrape, in the order of [`Scraped::reported`]: name, unit and help.
const REPORTS: [(&str, &str, &str); 5] = [
    ("up", "", "Whether the target's last scrape succeeded."),
    (
        "scrape_duration_seconds",
        "seconds",
        "How long the target's last scrape took.",
    ),
    (
        "scrape_samples_scraped",
        "",
        "Samples that the target exposed at its last scrape.",
    ),
    (
        "scrape_samples_post_metric_relabeling",
        "",
        "Samples of the target's last scrape that were to be kept.",
    ),
    (
        "scrape_series_added",
        "",
        "Series of the target's last scrape that were not held before.",
    ),
];

/// Whose samples these are, and which of them were there last.
#[derive(Debug)]
pub(crate) struct Instance {
    job: String,
    instance: String,
    honor_labels: bool,
    /// The series that tell of its scrapes.
    reports: [Labels; 5],
    /// What the last scrape had, except for samples with times of their own.
    seen: BTreeSet<Labels>,
    /// Where the series of the last scrape are, in its order: most scrapes are like the one before.
    known: Vec<SeriesHandle>,
}

/// A scrape that ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scrape<'a> {
    /// What the target exposed; `None` where the scrape failed.
    pub(crate) text: Option<&'a Exposition>,
    /// When it began; the time of samples that have none of their own.
    pub(crate) began: UnixMillis,
    pub(crate) took: Duration,
}

/// What became of a scrape's samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Scraped {
    /// How many there were.
    pub(crate) samples: usize,
    /// How many series were not held before.
    pub(crate) series_added: usize,
    /// How many samples were refused, repeated ones among them.
    pub(crate) refused: usize,
    /// How many of them no series can hold, whatever there is room for.
    pub(crate) unfit: usize,
    /// The first of them and why, in words.
    pub(crate) first_refusal: Option<String>,
}

impl Instance {
    /// Nothing is known of it yet.
    pub(crate) fn new(job: &str, instance: &str, honor_labels: bool) -> Self {
        let report = |(name, ..): (&str, &str, &str)| {
            let pairs = [(METRIC_NAME, name), (JOB, job), (INSTANCE, instance)];
            Labels::from_pairs(pairs).expect("names are checked with the configuration")
        };
        Self {
            job: job.into(),
            instance: instance.into(),
            honor_labels,
            reports: REPORTS.map(report),
            seen: BTreeSet::new(),
            known: Vec::new(),
        }
    }

    pub(crate) const fn honors_labels(&self) -> bool {
        self.honor_labels
    }

    /// The labels under which a series of the target is held.
    fn labels_of(&self, series: Series<'_>) -> Result<Labels, Refusal> {
        let mut labels: Vec<(Cow<'_, str>, &str)> = series
            .labels()
            .map(|(name, value)| (Cow::Borrowed(name), value))
            .collect();
        for (name, value) in [(JOB, &*self.job), (INSTANCE, &*self.instance)] {
            if !self.honor_labels || series.label(name).is_none() {
                set_label(&mut labels, name, value);
            }
        }
        let labels = Labels::from_pairs(labels).map_err(Refusal::Labels)?;
        match self.reports.contains(&labels) {
            true => Err(Refusal::Reserved),
            false => Ok(labels),
        }
    }
}

impl Local {
    /// Takes in what a scrape brought, and adds the notices of it to those given.
    pub(crate) fn scraped(
        &mut self,
        instance: &mut Instance,
        scrape: Scrape<'_>,
        wall: UnixMillis,
        notices: &mut Vec<Notice>,
    ) -> Scraped {
        let at_ms = scrape.began.0;
        let mut scraped = Scraped::default();
        let mut seen = BTreeSet::new();
        if let Some(text) = scrape.text {
            scraped.samples = text.columns.len();
            if let Some(repeated) = &text.repeated {
                scraped.samples += repeated.count;
                scraped.refuse(repeated.to_string(), repeated.count, true);
                let line = repeated.line;
                let name = repeated.series.split('{').next().unwrap_or_default();
                let refusal = Refusal::Repeated { line };
                let told = self.refusing.note(&named(name), &refusal);
                notices.extend(told.map(Notice::Refused));
            }
            let held = self.store.len();
            let mut known = core::mem::take(&mut instance.known);
            known.resize_with(text.columns.len(), nobody);
            for (series, handle) in text.columns.iter().zip(&mut known) {
                if let Err((labels, refusal)) = self.take(instance, series, handle, wall) {
                    let is_unfit = matches!(refusal, Refusal::Labels(_) | Refusal::Reserved);
                    scraped.refuse(alloc::format!("{labels}: {refusal}"), 1, is_unfit);
                    let told = self.refusing.note(&labels, &refusal);
                    notices.extend(told.map(Notice::Refused));
                    // The labels of what is refused are not held on to.
                    *handle = nobody();
                } else if series.timestamps_ms() == [at_ms] {
                    seen.insert(handle.labels().clone());
                }
            }
            instance.known = known;
            scraped.series_added = self.store.len() - held;
            self.describe_all(&text.families);
        }
        for gone in instance.seen.difference(&seen) {
            self.end_series(gone, at_ms);
        }
        instance.seen = seen;
        self.report(instance, &scrape, &scraped);
        let nearing = self.store.take_nearing().into_iter();
        notices.extend(nearing.map(Notice::Near));
        scraped
    }

    /// Ends every series of a target that is no longer scraped.
    pub(crate) fn ended(&mut self, instance: Instance, wall: UnixMillis) {
        let Instance { seen, reports, .. } = instance;
        for labels in seen.iter().chain(&reports) {
            self.end_series(labels, wall.0);
        }
    }

    /// Takes a sample in, whose series this handle is likely to be of.
    fn take(
        &mut self,
        instance: &Instance,
        series: Series<'_>,
        handle: &mut SeriesHandle,
        wall: UnixMillis,
    ) -> Result<(), (Labels, Refusal)> {
        let labels = instance.labels_of(series).map_err(|refusal| {
            let name = series.label(METRIC_NAME).unwrap_or_default();
            (named(name), refusal)
        })?;
        if handle.labels() != &labels {
            *handle = SeriesHandle::new(labels);
        }
        let mut points = series.timestamps_ms().iter().zip(series.values());
        points
            .try_for_each(|(&timestamp_ms, &value)| self.append(handle, timestamp_ms, value, wall))
            .map_err(|refusal| (handle.labels().clone(), refusal))
    }

    /// Only what is held can end, and not before its last sample.
    fn end_series(&mut self, labels: &Labels, at_ms: i64) {
        let newest = self.store.ring(labels).and_then(Ring::newest);
        if let Some((newest_ms, _)) = newest {
            let at_ms = at_ms.max(newest_ms.saturating_add(1));
            let _ = self.keep(labels, stale_marker(), UnixMillis(at_ms));
        }
    }

    fn report(&mut self, instance: &Instance, scrape: &Scrape<'_>, scraped: &Scraped) {
        let samples = scraped.samples as f64;
        let values = [
            f64::from(u8::from(scrape.text.is_some())),
            scrape.took.as_secs_f64(),
            samples,
            samples,
            scraped.series_added as f64,
        ];
        for (labels, value) in instance.reports.iter().zip(values) {
            // Where there is no room for it, the target's samples were told so.
            let _ = self.keep(labels, value, scrape.began);
        }
        for (name, unit, help) in REPORTS {
            if self.store.metadata(name).is_none() {
                let metadata = Metadata {
                    kind: MetricKind::Gauge,
                    unit: unit.into(),
                    help: help.into(),
                };
                let _ = self.describe(name, &metadata);
            }
        }
    }

    /// Keeps descriptions that say something new. One that is refused is no reason to say more:
    /// its samples are there.
    fn describe_all(&mut self, headers: &[FamilyHeader]) {
        for header in headers {
            let kind = metric_kind(header.kind);
            let known = self.store.metadata(&header.name).is_some_and(|known| {
                known.kind == kind && *known.unit == *header.unit && *known.help == *header.help
            });
            if !known {
                let Family { name, metadata } = family_of(header);
                let _ = self.describe(&name, &metadata);
            }
        }
    }
}

impl Scraped {
    fn refuse(&mut self, first: String, count: usize, is_unfit: bool) {
        self.refused += count;
        self.unfit += if is_unfit { count } else { 0 };
        self.first_refusal.get_or_insert(first);
    }
}

/// A metric's name alone, for what is said of it.
fn named(metric: &str) -> Labels {
    Labels::from_pairs([(METRIC_NAME, metric)]).unwrap_or_default()
}

/// A family of an exposition as it is described here. What only OpenMetrics has is of the kind it
/// would have in text: infos and state sets are gauges, gauge histograms histograms.
pub fn family_of(header: &FamilyHeader) -> Family {
    Family {
        name: header.name.clone(),
        metadata: Metadata {
            kind: metric_kind(header.kind),
            unit: header.unit.as_str().into(),
            help: header.help.as_str().into(),
        },
    }
}

const fn metric_kind(kind: FamilyKind) -> MetricKind {
    match kind {
        FamilyKind::Unknown => MetricKind::Unknown,
        FamilyKind::Gauge | FamilyKind::StateSet | FamilyKind::Info => MetricKind::Gauge,
        FamilyKind::Counter => MetricKind::Counter,
        FamilyKind::Histogram | FamilyKind::GaugeHistogram => MetricKind::Histogram,
        FamilyKind::Summary => MetricKind::Summary,
    }
}
