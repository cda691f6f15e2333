//! What a registry knows: families by name, series by name and tags.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, OnceLock};

use tidegate_series::{LabelsError, MetricKind};
use tidegate_wire::number::write_canonical;
use tidegate_wire::text::{Beginnings, LabelText};

use super::RegistryLimits;
use crate::EventKind;
use crate::buckets::Bounds;
use crate::cell::{CounterCell, CounterCells, GaugeCell, HistogramCell};
use crate::notice::Matter;
use crate::rules::{Glob, Recording, Rule, recording_of};
use crate::series::{AnySeries, Hub, Series};
use crate::tags::Tags;

/// The label of histogram buckets, which no tag may be.
pub(crate) const BUCKET_LABEL: &str = "le";

/// What a program may hold a handle of.
pub(crate) trait InCell: Sized {
    /// The series, if it has such a cell.
    fn of(series: &AnySeries) -> Option<&Arc<Series<Self>>>;
}

macro_rules! in_cell {
    ($($cell:ty: $variant:ident),*) => {$(
        impl InCell for $cell {
            fn of(series: &AnySeries) -> Option<&Arc<Series<Self>>> {
                if let AnySeries::$variant(series) = series { Some(series) } else { None }
            }
        }
    )*};
}
in_cell!(CounterCell: Counter, GaugeCell: Gauge, HistogramCell: Histogram);

/// What is said of a metric once.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) kind: EventKind,
    pub(crate) unit: Box<str>,
    pub(crate) help: Box<str>,
    /// The name its samples begin with: a counter's ends in `_total`.
    pub(crate) exposed: Box<str>,
    /// Of a histogram: the bounds, and the label of each bucket.
    pub(crate) buckets: Option<Buckets>,
}

/// The buckets of a histogram, as they are exposed.
#[derive(Clone, Debug)]
pub(crate) struct Buckets {
    pub(crate) bounds: Bounds,
    /// The values of `le`, that of the bucket above all bounds included.
    pub(crate) le: Vec<String>,
    pub(crate) texts: Vec<LabelText>,
}

/// A metric and its series, for whoever reads them without holding up who adds.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    pub(crate) said: Arc<Said>,
    /// Ordered by their tags as they are exposed.
    pub(crate) series: Arc<Vec<AnySeries>>,
    /// Made when these series are first exposed.
    pub(crate) samples: Arc<OnceLock<Samples>>,
    recording: Recording,
    refusals: Arc<Matter>,
}

/// What it takes to expose series again and again, with little else to fetch.
#[derive(Debug)]
pub(crate) struct Samples {
    /// How the sample of each begins.
    pub(crate) beginnings: Beginnings,
    /// The cells of counters; empty where the series are none.
    pub(crate) counters: Vec<CounterCell>,
}

impl Samples {
    pub(crate) fn of(name: &str, series: &[AnySeries]) -> Self {
        let mut beginnings = Beginnings::default();
        for series in series {
            beginnings.push(name, series.text());
        }
        let counters = series.iter().filter_map(CounterCell::of);
        Self {
            beginnings,
            counters: counters.map(|series| series.cell.clone()).collect(),
        }
    }
}

/// What a registry knows of metrics and series. None is ever forgotten.
#[derive(Debug)]
pub(crate) struct Index {
    limits: RegistryLimits,
    pub(crate) families: BTreeMap<Arc<str>, Family>,
    /// The names of families and samples that are exposed, and the metric that each is of.
    exposed: BTreeMap<String, Arc<str>>,
    known: HashMap<u64, Vec<Known>, BuildHasherDefault<Hashed>>,
    pub(crate) series: usize,
    counters: CounterCells,
    /// Whether anything is recorded at all.
    pub(crate) on: bool,
    pub(crate) rules: Vec<Rule>,
    pub(crate) bounds: Vec<(Glob, Bounds)>,
    refusals: Arc<Matter>,
}

#[derive(Debug)]
struct Known {
    name: Arc<str>,
    tags: Tags,
    series: AnySeries,
}

/// Takes over a number that is a hash already.
#[derive(Debug, Default)]
pub(crate) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only numbers are hashed");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl Index {
    pub(crate) fn new(limits: RegistryLimits) -> Self {
        Self {
            limits,
            families: BTreeMap::new(),
            exposed: BTreeMap::new(),
            known: HashMap::default(),
            series: 0,
            counters: CounterCells::default(),
            on: true,
            rules: Vec::new(),
            bounds: Vec::new(),
            refusals: Arc::default(),
        }
    }

    /// The series of this name and these tags.
    pub(crate) fn find(&self, hash: u64, name: &str, tags: &Tags) -> Option<&AnySeries> {
        let known = self.known.get(&hash)?;
        let known = known
            .iter()
            .find(|known| *known.name == *name && known.tags == *tags)?;
        Some(&known.series)
    }

    /// Whether there may be one more series of this name.
    pub(crate) fn check(&self, name: &str, kind: EventKind) -> Result<(), Refusal> {
        let limits = &self.limits;
        if self.series >= limits.series_max {
            return Err(Refusal::Series(limits.series_max));
        }
        let Some(family) = self.families.get(name) else {
            return self.check_family(name, kind);
        };
        if !alike(family.said.kind, kind) {
            return Err(Refusal::Kind {
                is: family.said.kind,
                asked: kind,
            });
        }
        if family.series.len() >= limits.series_per_metric_max {
            return Err(Refusal::SeriesPerMetric(limits.series_per_metric_max));
        }
        Ok(())
    }

    fn check_family(&self, name: &str, kind: EventKind) -> Result<(), Refusal> {
        if self.families.len() >= self.limits.metrics_max {
            return Err(Refusal::Metrics(self.limits.metrics_max));
        }
        let taken = exposed_names(name, kind).find_map(|exposed| {
            let by = self.exposed.get(&exposed)?.to_string();
            Some(Refusal::Exposed { name: exposed, by })
        });
        taken.map_or(Ok(()), Err)
    }

    /// Adds a series that is not there; what is said of its metric stays as it was.
    pub(crate) fn add(
        &mut self,
        (hash, name, tags): (u64, &str, &Tags),
        kind: EventKind,
        hub: &Arc<Hub>,
    ) -> Result<AnySeries, Refusal> {
        self.check(name, kind)?;
        if alike(kind, EventKind::Histogram) && tags.iter().any(|(tag, _)| tag == BUCKET_LABEL) {
            return Err(Refusal::BucketLabel);
        }
        let labels = tags.labels(name).map_err(Refusal::Labels)?;
        let kind = self.family(name, kind)?.said.kind;
        let (own_name, text) = (self.own_name(name), LabelText::new(tags.iter()));
        let (number, hub) = (self.series, Arc::clone(hub));
        let series = match kind {
            EventKind::Counter => {
                let cell = self.counters.make();
                AnySeries::Counter(Arc::new(Series::new(cell, labels, text, kind, number, hub)))
            }
            EventKind::Gauge | EventKind::Custom => {
                let cell = GaugeCell::default();
                AnySeries::Gauge(Arc::new(Series::new(cell, labels, text, kind, number, hub)))
            }
            EventKind::Timer | EventKind::Histogram => {
                let cell = HistogramCell::new(self.settled_bounds(name));
                AnySeries::Histogram(Arc::new(Series::new(cell, labels, text, kind, number, hub)))
            }
        };
        let family = self.families.get_mut(name).expect("it was just made");
        series.tune(if self.on {
            family.recording
        } else {
            Recording::Off
        });
        let place = family
            .series
            .partition_point(|other| other.text() < series.text());
        Arc::make_mut(&mut family.series).insert(place, series.clone());
        family.samples = Arc::default();
        self.series += 1;
        self.known.entry(hash).or_default().push(Known {
            name: own_name,
            tags: tags.clone(),
            series: series.clone(),
        });
        Ok(series)
    }

    /// The metric of this name, made if need be.
    pub(crate) fn family(&mut self, name: &str, kind: EventKind) -> Result<&mut Family, Refusal> {
        match self.families.get(name) {
            Some(family) if !alike(family.said.kind, kind) => {
                return Err(Refusal::Kind {
                    is: family.said.kind,
                    asked: kind,
                });
            }
            Some(_) => {}
            None => {
                self.check_family(name, kind)?;
                self.add_family(name, kind);
            }
        }
        Ok(self
            .families
            .get_mut(name)
            .expect("it is there or was just made"))
    }

    fn add_family(&mut self, name: &str, kind: EventKind) {
        let own: Arc<str> = name.into();
        let taken = exposed_names(name, kind).map(|exposed| (exposed, Arc::clone(&own)));
        self.exposed.extend(taken);
        let unit = if kind == EventKind::Timer {
            "seconds"
        } else {
            ""
        };
        let said = Said {
            kind,
            unit: unit.into(),
            help: Box::default(),
            exposed: if kind == EventKind::Counter {
                format!("{}_total", base(name)).into()
            } else {
                name.into()
            },
            buckets: None,
        };
        let family = Family {
            said: Arc::new(said),
            series: Arc::default(),
            samples: Arc::default(),
            recording: recording_of(&self.rules, name),
            refusals: Arc::default(),
        };
        self.families.insert(own, family);
    }

    /// Lets through to every series what holds now.
    pub(crate) fn tune(&mut self) {
        for (name, family) in &mut self.families {
            family.recording = recording_of(&self.rules, name);
            let recording = if self.on {
                family.recording
            } else {
                Recording::Off
            };
            for series in &*family.series {
                series.tune(recording);
            }
        }
    }

    fn own_name(&self, name: &str) -> Arc<str> {
        let own = self.families.get_key_value(name);
        own.map_or_else(|| name.into(), |(own, _)| Arc::clone(own))
    }

    /// The bounds of a histogram that is there; its first series settles them.
    fn settled_bounds(&mut self, name: &str) -> Bounds {
        let settled = |index: &Self| {
            let buckets = index.families.get(name)?.said.buckets.as_ref();
            buckets.map(|buckets| buckets.bounds.clone())
        };
        settled(self).unwrap_or_else(|| {
            let bounds = self.bounds_of(name);
            if let Some(family) = self.families.get_mut(name) {
                Arc::make_mut(&mut family.said).buckets = Some(Buckets::of(bounds.clone()));
            }
            bounds
        })
    }

    /// The bounds that a histogram of this name begins with.
    fn bounds_of(&self, name: &str) -> Bounds {
        let chosen = self.bounds.iter().find(|(glob, _)| glob.matches(name));
        let of_unit = || {
            let unit = self
                .families
                .get(name)
                .map_or("", |family| &family.said.unit);
            let last_word = || name.rsplit('_').next().unwrap_or_default();
            Bounds::of_unit(if unit.is_empty() { last_word() } else { unit })
        };
        chosen.map_or_else(of_unit, |(_, bounds)| bounds.clone())
    }

    /// Where refusals of this name are told.
    pub(crate) fn refusals(&self, name: &str) -> Arc<Matter> {
        let family = self.families.get(name);
        Arc::clone(family.map_or(&self.refusals, |family| &family.refusals))
    }
}

impl Buckets {
    fn of(bounds: Bounds) -> Self {
        let le: Vec<_> = bounds.iter().chain([f64::INFINITY]).map(le_text).collect();
        let texts = le
            .iter()
            .map(|le| LabelText::new([(BUCKET_LABEL, le.as_str())]));
        let texts = texts.collect();
        Self { bounds, le, texts }
    }
}

fn le_text(bound: f64) -> String {
    let mut text = Vec::new();
    write_canonical(bound, &mut text);
    String::from_utf8(text).expect("numbers are text")
}

impl Said {
    /// Its kind in Prometheus' words.
    pub(crate) fn metric_kind(&self) -> MetricKind {
        match self.kind {
            EventKind::Counter => MetricKind::Counter,
            EventKind::Gauge => MetricKind::Gauge,
            EventKind::Timer | EventKind::Histogram => MetricKind::Histogram,
            EventKind::Custom => MetricKind::Unknown,
        }
    }
}

/// Whether both are recorded in the same way; a timer is a histogram.
fn alike(one: EventKind, other: EventKind) -> bool {
    let like = |kind| {
        if kind == EventKind::Timer {
            EventKind::Histogram
        } else {
            kind
        }
    };
    like(one) == like(other)
}

/// A counter's name without `_total`.
fn base(name: &str) -> &str {
    match name.strip_suffix("_total") {
        Some(base) if !base.is_empty() => base,
        _ => name,
    }
}

/// The names that a metric takes up in an exposition: its family's and its samples'.
fn exposed_names(name: &str, kind: EventKind) -> impl Iterator<Item = String> {
    let (base, suffixes): (_, &[&str]) = match kind {
        EventKind::Counter => (base(name), &["", "_total"]),
        EventKind::Gauge | EventKind::Custom => (name, &[""]),
        EventKind::Timer | EventKind::Histogram => (name, &["", "_bucket", "_sum", "_count"]),
    };
    suffixes.iter().map(move |suffix| format!("{base}{suffix}"))
}

/// Why nothing is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The metric is of another kind.
    Kind {
        /// What it is.
        is: EventKind,
        /// What it was to be.
        asked: EventKind,
    },
    /// Another metric is exposed under a name that this one would need.
    Exposed {
        /// The name.
        name: String,
        /// The other metric.
        by: String,
    },
    /// There are so many metrics already, which is the limit.
    Metrics(usize),
    /// There are so many series already, which is the limit.
    Series(usize),
    /// The metric has so many series already, which is the limit.
    SeriesPerMetric(usize),
    /// A histogram's tag is named `le`, which is what tells its buckets apart.
    BucketLabel,
    /// The tags are no label set.
    Labels(LabelsError),
    /// The help text or the unit is too long.
    Description(&'static str, usize),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind { is, asked } => {
                write!(f, "it is a {is} and cannot be recorded as a {asked}")
            }
            Self::Exposed { name, by } => write!(f, "{name} is exposed by the metric {by}"),
            Self::Metrics(limit) => {
                write!(f, "there are {limit} metrics already, which is the limit")
            }
            Self::Series(limit) => {
                write!(f, "there are {limit} series already, which is the limit")
            }
            Self::SeriesPerMetric(limit) => write!(
                f,
                "it has {limit} series already, which is the limit: a tag has too many values"
            ),
            Self::BucketLabel => f.write_str("the tag `le` of a histogram is for its buckets"),
            Self::Labels(error) => write!(f, "{error}"),
            Self::Description(what, limit) => write!(f, "its {what} is longer than {limit} bytes"),
        }
    }
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let Self::Labels(error) = self {
            Some(error)
        } else {
            None
        }
    }
}
