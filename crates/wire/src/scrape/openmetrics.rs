//! The rules of OpenMetrics that reach beyond one line: families, metrics, points.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use super::family::{FamilyHeader, FamilyKind, add};
use super::histogram::Buckets;
use super::line::{Metadata, Sample};
use super::{ExpositionError, Result};
use crate::number::parse_float;

/// What a sample is within its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Value,
    Total,
    Created,
    Bucket,
    Count,
    Sum,
    GaugeSum,
    Quantile,
    Info,
    State,
}

/// What has been read of an exposition, as far as rules need it.
pub(super) struct Rules {
    headers: Vec<FamilyHeader>,
    limit: usize,
    /// The number of families begun.
    begun: usize,
    /// Families by name and kind.
    families: BTreeSet<(String, FamilyKind)>,
    /// Which family has samples of a name.
    sample_names: BTreeMap<String, usize>,
    family: Option<Family>,
}

/// The family that is being read.
#[derive(Default)]
struct Family {
    header: FamilyHeader,
    line: usize,
    has_kind: bool,
    has_help: bool,
    has_unit: bool,
    has_samples: bool,
    /// The name of the last sample: it need not be looked up again.
    last_name: String,
    /// The labels of the metrics that are complete, and of the one that is not.
    metrics: BTreeSet<String>,
    metric: Option<Metric>,
}

/// The metric that is being read, and its point.
struct Metric {
    /// Its labels, without those that tell samples of one point apart.
    key: String,
    timestamp_ms: Option<i64>,
    buckets: Buckets,
}

impl Rules {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            headers: Vec::new(),
            limit,
            begun: 0,
            families: BTreeSet::new(),
            sample_names: BTreeMap::new(),
            family: None,
        }
    }

    pub(super) fn metadata(
        &mut self,
        line: usize,
        name: &str,
        metadata: Metadata<'_>,
    ) -> Result<()> {
        let goes_on = self
            .family
            .as_ref()
            .is_some_and(|family| family.header.name == name && !family.has_samples);
        if !goes_on {
            self.begin(name, line)?;
        }
        let family = self.family.get_or_insert_default();
        let (had, rule) = match metadata {
            Metadata::Kind(kind) => {
                family.header.kind = kind;
                (&mut family.has_kind, "a family has one type")
            }
            Metadata::Help(help) => {
                family.header.help = help.into_owned();
                (&mut family.has_help, "a family has one help text")
            }
            Metadata::Unit(unit) => {
                family.header.unit = unit.into();
                (&mut family.has_unit, "a family has one unit")
            }
        };
        if core::mem::replace(had, true) {
            return Err(ExpositionError::rule((line, 1), rule, name));
        }
        family.check_unit(line)
    }

    pub(super) fn sample(&mut self, sample: &Sample<'_>) -> Result<()> {
        let role_in = |family: &Family| {
            let suffix = sample.name.strip_prefix(family.header.name.as_str())?;
            role_of(family.header.kind, suffix)
        };
        let role = match self.family.as_ref().and_then(role_in) {
            Some(role) => role,
            None => {
                self.begin(sample.name, sample.line)?;
                Role::Value
            }
        };
        let family = self.family.get_or_insert_default();
        if !family.has_samples {
            family.has_samples = true;
            let identity = (family.header.name.clone(), family.header.kind);
            check_whole(self.families.insert(identity), sample.line, sample.name)?;
        }
        if family.last_name != sample.name {
            family.last_name = sample.name.into();
            let name = family.last_name.clone();
            let owner = *self.sample_names.entry(name).or_insert(self.begun);
            check_whole(owner == self.begun, sample.line, sample.name)?;
        }
        family.sample(role, sample)
    }

    /// The families that had metadata.
    pub(super) fn finish(mut self) -> Result<Vec<FamilyHeader>> {
        self.end()?;
        Ok(self.headers)
    }

    fn begin(&mut self, name: &str, line: usize) -> Result<()> {
        self.end()?;
        self.begun += 1;
        self.family = Some(Family {
            header: FamilyHeader::of(name),
            line,
            ..Family::default()
        });
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let Some(mut family) = self.family.take() else {
            return Ok(());
        };
        if let Some(metric) = family.metric.take() {
            metric.buckets.end(family.header.kind)?;
        }
        if !family.has_samples {
            let identity = (family.header.name.clone(), family.header.kind);
            check_whole(
                self.families.insert(identity),
                family.line,
                &family.header.name,
            )?;
        }
        match family.has_kind || family.has_help || family.has_unit {
            true => add(&mut self.headers, family.header, self.limit, family.line),
            false => Ok(()),
        }
    }
}

impl Family {
    fn check_unit(&self, line: usize) -> Result<()> {
        let FamilyHeader {
            name, kind, unit, ..
        } = &self.header;
        if unit.is_empty() {
            return Ok(());
        }
        let broken = |rule| Err(ExpositionError::rule((line, 1), rule, unit));
        if matches!(kind, FamilyKind::Info | FamilyKind::StateSet) {
            return broken("infos and state sets have no unit");
        }
        let before = name.strip_suffix(unit.as_str());
        match before.is_some_and(|before| before.ends_with('_')) {
            true => Ok(()),
            false => broken("a unit is the end of its family's name, after `_`"),
        }
    }

    fn sample(&mut self, role: Role, sample: &Sample<'_>) -> Result<()> {
        let own = own_label(self.header.kind, &self.header.name);
        self.check_own_label(role, own, sample)?;
        check_value(role, sample)?;
        if sample.exemplar.is_some() && !matches!(role, Role::Total | Role::Bucket) {
            let column = sample.exemplar.map_or(1, |exemplar| exemplar.column);
            let rule = "only totals and buckets have exemplars";
            let place = (sample.line, column);
            return Err(ExpositionError::rule(place, rule, sample.name));
        }
        self.enter(key_of(sample, own), sample)?;
        match &mut self.metric {
            Some(metric) => metric.buckets.sample(role, sample),
            None => Ok(()),
        }
    }

    /// Whether `le`, `quantile` or the state's label is there if and only if it must be.
    fn check_own_label(&self, role: Role, own: Option<&str>, sample: &Sample<'_>) -> Result<()> {
        let Some(own) = own else {
            return Ok(());
        };
        let value = label(sample, own);
        let due = matches!(role, Role::Bucket | Role::Quantile | Role::State);
        let rule = match (due, value) {
            (true, None) => "buckets have `le`, quantiles `quantile`, states their family's label",
            (false, Some(_)) => "only buckets have `le`, only quantiles `quantile`",
            (true, Some(value)) if role == Role::Quantile => {
                if parse_float(value).is_ok_and(|quantile| (0.0..=1.0).contains(&quantile)) {
                    return Ok(());
                }
                "a quantile is from 0 to 1"
            }
            _ => return Ok(()),
        };
        let text = value.unwrap_or(sample.name);
        Err(ExpositionError::rule((sample.line, 1), rule, text))
    }

    /// Goes on with the metric and point of a sample, or ends them and begins its own.
    fn enter(&mut self, key: String, sample: &Sample<'_>) -> Result<()> {
        let broken = |rule| Err(ExpositionError::rule((sample.line, 1), rule, sample.name));
        let same = self.metric.as_ref().filter(|metric| metric.key == key);
        match same.map(|metric| (metric.timestamp_ms, sample.timestamp_ms)) {
            Some((before, now)) if before == now => return Ok(()),
            Some((Some(before), Some(now))) if before < now => {}
            Some((Some(_), Some(_))) => {
                return broken("the points of a metric come whole and in the order of time");
            }
            Some(_) => return broken("all samples of a metric have timestamps or none"),
            None => {
                if !self.metrics.insert(key.clone()) {
                    return broken("the samples of a metric stand together");
                }
            }
        }
        let next = Metric {
            key,
            timestamp_ms: sample.timestamp_ms,
            buckets: Buckets::new(sample.line),
        };
        match self.metric.replace(next) {
            Some(ended) => ended.buckets.end(self.header.kind),
            None => Ok(()),
        }
    }
}

fn check_whole(whole: bool, line: usize, name: &str) -> Result<()> {
    if whole {
        return Ok(());
    }
    let rule = "a family comes once and whole";
    Err(ExpositionError::rule((line, 1), rule, name))
}

fn role_of(kind: FamilyKind, suffix: &str) -> Option<Role> {
    use FamilyKind as Kind;
    Some(match (kind, suffix) {
        (Kind::Unknown | Kind::Gauge, "") => Role::Value,
        (Kind::Counter, "_total") => Role::Total,
        (Kind::Counter | Kind::Histogram | Kind::Summary, "_created") => Role::Created,
        (Kind::Histogram | Kind::GaugeHistogram, "_bucket") => Role::Bucket,
        (Kind::Histogram | Kind::Summary, "_count") => Role::Count,
        (Kind::Histogram | Kind::Summary, "_sum") => Role::Sum,
        (Kind::GaugeHistogram, "_gcount") => Role::Count,
        (Kind::GaugeHistogram, "_gsum") => Role::GaugeSum,
        (Kind::Summary, "") => Role::Quantile,
        (Kind::Info, "_info") => Role::Info,
        (Kind::StateSet, "") => Role::State,
        _ => return None,
    })
}

/// The label that tells samples of one point of a kind apart.
fn own_label(kind: FamilyKind, name: &str) -> Option<&str> {
    match kind {
        FamilyKind::Histogram | FamilyKind::GaugeHistogram => Some("le"),
        FamilyKind::Summary => Some("quantile"),
        FamilyKind::StateSet => Some(name),
        FamilyKind::Unknown | FamilyKind::Gauge | FamilyKind::Counter | FamilyKind::Info => None,
    }
}

pub(super) fn label<'s>(sample: &'s Sample<'_>, name: &str) -> Option<&'s str> {
    let found = sample.labels.iter().find(|label| label.name == name)?;
    Some(&found.value)
}

/// The labels of a sample's metric, written so that no two sets are the same text.
fn key_of(sample: &Sample<'_>, own: Option<&str>) -> String {
    let mut key = String::new();
    for label in &sample.labels {
        if label.name == "__name__" || Some(label.name) == own || label.value.is_empty() {
            continue;
        }
        let (name, value) = (label.name, &label.value);
        write!(key, "{name}={}:{value}", value.len()).expect("a string takes any text");
    }
    key
}

fn check_value(role: Role, sample: &Sample<'_>) -> Result<()> {
    let value = sample.value;
    let is_whole = |value: f64| value >= 0.0 && value % 1.0 == 0.0;
    let (fits, rule) = match role {
        Role::Total | Role::Sum => (value >= 0.0, "totals and sums are numbers from 0"),
        Role::GaugeSum => (!value.is_nan(), "sums are numbers"),
        Role::Count | Role::Bucket => (
            is_whole(value),
            "counts and buckets are whole numbers from 0",
        ),
        Role::Quantile => (value >= 0.0 || value.is_nan(), "quantiles are not negative"),
        Role::Created => (value.is_finite(), "a creation time is a time in seconds"),
        Role::Info => (value == 1.0, "the value of an info is 1"),
        Role::State => (
            value == 0.0 || value == 1.0,
            "the value of a state is 0 or 1",
        ),
        Role::Value => (true, ""),
    };
    if fits {
        return Ok(());
    }
    let place = (sample.line, sample.value_column);
    Err(ExpositionError::rule(place, rule, sample.value_text))
}
