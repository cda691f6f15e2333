//! What metadata says of a family of metrics.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::{ExpositionError, Result};

/// What kind of metric a family is, in the words of either format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum FamilyKind {
    /// Not known; `untyped` in text.
    #[default]
    Unknown,
    /// Rises and falls.
    Gauge,
    /// Only ever rises, or starts again from 0.
    Counter,
    /// One 0 or 1 per state; OpenMetrics only.
    StateSet,
    /// Labels that say something of the target, value 1; OpenMetrics only.
    Info,
    /// Cumulative buckets with `le`, `_sum` and `_count`.
    Histogram,
    /// Buckets of what is there now, `_gsum` and `_gcount`; OpenMetrics only.
    GaugeHistogram,
    /// Quantiles with `quantile`, `_sum` and `_count`.
    Summary,
}

impl FamilyKind {
    /// The word of OpenMetrics; text 0.0.4 has `untyped` for `unknown`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::StateSet => "stateset",
            Self::Info => "info",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
        }
    }

    /// The kind of a word of either format.
    pub(crate) fn of(word: &str) -> Option<Self> {
        Self::of_openmetrics(word).or_else(|| Self::of_text(word))
    }

    /// The kind of a word of text 0.0.4.
    pub(super) fn of_text(word: &str) -> Option<Self> {
        match word {
            "untyped" => Some(Self::Unknown),
            "gauge" => Some(Self::Gauge),
            "counter" => Some(Self::Counter),
            "histogram" => Some(Self::Histogram),
            "summary" => Some(Self::Summary),
            _ => None,
        }
    }

    /// The kind of a word of OpenMetrics.
    pub(super) fn of_openmetrics(word: &str) -> Option<Self> {
        match word {
            "unknown" => Some(Self::Unknown),
            "stateset" => Some(Self::StateSet),
            "info" => Some(Self::Info),
            "gaugehistogram" => Some(Self::GaugeHistogram),
            "untyped" => None,
            _ => Self::of_text(word),
        }
    }
}

/// The metadata of a family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FamilyHeader {
    /// The name that metadata gives: an OpenMetrics counter's is without `_total`.
    pub name: String,
    /// Its kind, [`Unknown`](FamilyKind::Unknown) where nothing is said.
    pub kind: FamilyKind,
    /// Its unit; empty where nothing is said, and always in text.
    pub unit: String,
    /// What it is about, without escapes; empty where nothing is said.
    pub help: String,
}

/// Headers by name, for a format that lets metadata stand anywhere.
pub(super) struct Families {
    headers: Vec<FamilyHeader>,
    by_name: BTreeMap<String, usize>,
    limit: usize,
}

impl Families {
    pub(super) fn new(limit: usize) -> Self {
        let (headers, by_name) = (Vec::new(), BTreeMap::new());
        Self {
            headers,
            by_name,
            limit,
        }
    }

    pub(super) fn find_or_add(&mut self, name: &str, line: usize) -> Result<&mut FamilyHeader> {
        let index = match self.by_name.get(name) {
            Some(&index) => index,
            None => {
                add(&mut self.headers, FamilyHeader::of(name), self.limit, line)?;
                let index = self.headers.len() - 1;
                self.by_name.insert(name.into(), index);
                index
            }
        };
        Ok(&mut self.headers[index])
    }

    pub(super) fn into_headers(self) -> Vec<FamilyHeader> {
        self.headers
    }
}

impl FamilyHeader {
    /// The header of a family of which nothing but the name is known.
    pub(super) fn of(name: &str) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }
}

/// Adds a header if there may be one more.
pub(super) fn add(
    headers: &mut Vec<FamilyHeader>,
    header: FamilyHeader,
    limit: usize,
    line: usize,
) -> Result<()> {
    if headers.len() >= limit {
        let what = "families";
        return Err(ExpositionError::TooLarge { what, limit, line });
    }
    headers.push(header);
    Ok(())
}
