//! The rules of OpenMetrics for the buckets of one point.

use super::family::FamilyKind;
use super::line::Sample;
use super::openmetrics::{Role, label};
use super::{ExpositionError, Result};
use crate::number::parse_float;

/// What has been read of a point's buckets, count and sum.
pub(super) struct Buckets {
    /// The line of the point's last sample.
    line: usize,
    /// The threshold and the value of the last bucket.
    last: Option<(f64, f64)>,
    has_negative: bool,
    count: Option<f64>,
    has_sum: bool,
}

impl Buckets {
    /// A point that begins in `line`.
    pub(super) fn new(line: usize) -> Self {
        Self {
            line,
            last: None,
            has_negative: false,
            count: None,
            has_sum: false,
        }
    }

    /// Takes a sample of the point, of whatever kind.
    pub(super) fn sample(&mut self, role: Role, sample: &Sample<'_>) -> Result<()> {
        self.line = sample.line;
        match role {
            Role::Bucket => self.bucket(sample)?,
            Role::Count => self.count = Some(sample.value),
            Role::Sum | Role::GaugeSum => self.has_sum = true,
            Role::Value
            | Role::Total
            | Role::Created
            | Role::Quantile
            | Role::Info
            | Role::State => {}
        }
        Ok(())
    }

    fn bucket(&mut self, sample: &Sample<'_>) -> Result<()> {
        let threshold_text = label(sample, "le").unwrap_or_default();
        let broken = |rule, text: &str| Err(ExpositionError::rule((sample.line, 1), rule, text));
        let threshold = match parse_float(threshold_text) {
            Ok(threshold) if !threshold.is_nan() => threshold,
            _ => return broken("`le` is a number", threshold_text),
        };
        if let Some((before, value)) = self.last {
            if threshold <= before {
                return broken("buckets stand in the order of `le`", threshold_text);
            }
            if sample.value < value {
                return broken("buckets are cumulative", sample.value_text);
            }
        }
        if let Some(exemplar) = sample.exemplar
            && (exemplar.value > threshold || exemplar.value.is_nan())
        {
            let place = (sample.line, exemplar.column);
            let rule = "an exemplar lies within its bucket";
            return Err(ExpositionError::rule(place, rule, threshold_text));
        }
        self.last = Some((threshold, sample.value));
        self.has_negative |= threshold < 0.0;
        Ok(())
    }

    /// Judges a point of a family of `kind` that is complete.
    pub(super) fn end(&self, kind: FamilyKind) -> Result<()> {
        if !matches!(kind, FamilyKind::Histogram | FamilyKind::GaugeHistogram) {
            return Ok(());
        }
        let broken = |rule| Err(ExpositionError::rule((self.line, 1), rule, kind.as_str()));
        let Some((f64::INFINITY, total)) = self.last else {
            return broken("the last bucket has `le=\"+Inf\"`");
        };
        if self.count.is_some_and(|count| count != total) {
            return broken("the count is the value of the `+Inf` bucket");
        }
        if self.count.is_some() != self.has_sum {
            return broken("there is a count where there is a sum, and only there");
        }
        if self.has_negative && self.has_sum && kind == FamilyKind::Histogram {
            return broken("with negative buckets there is no sum");
        }
        Ok(())
    }
}
