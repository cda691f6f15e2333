//! What a store warns of before a limit is reached.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::{self, Display, Formatter};

use crate::limits::is_near;

/// How many warnings wait for [`Store::take_nearing`](crate::Store::take_nearing). What comes near with no room left
/// here is told when it grows again, so that nothing is lost.
const WAITING_MAX: usize = 64;

/// Which limit comes near.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// Of series in all: `series_max`.
    Series,
    /// Of samples in all.
    Samples,
    /// Of bytes of samples in all: `bytes_max`.
    Bytes,
    /// Of series of one metric: `series_per_metric_max`.
    SeriesPerMetric {
        /// The metric, empty for series without a name.
        metric: Arc<str>,
    },
    /// Of values of one label of one metric: `values_per_label_max`.
    ValuesPerLabel {
        /// The metric, empty for series without a name.
        metric: Arc<str>,
        /// The label's name.
        label: Arc<str>,
    },
}

/// A limit of which four fifths are taken. It is told once, until less is taken again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nearing {
    /// Which.
    pub limit: Limit,
    /// How much is taken.
    pub held: usize,
    /// How much there may be.
    pub max: usize,
}

impl Display for Nearing {
    /// As a sentence without a full stop, with what to raise.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { limit, held, max } = self;
        match limit {
            Limit::Series => write!(f, "{held} of {max} series are taken (series_max)"),
            Limit::Samples => write!(f, "{held} of {max} samples are taken"),
            Limit::Bytes => write!(f, "{held} of {max} bytes of samples are taken (bytes_max)"),
            Limit::SeriesPerMetric { metric } => write!(
                f,
                "metric {metric:?} has {held} of {max} series (series_per_metric_max)"
            ),
            Limit::ValuesPerLabel { metric, label } => write!(
                f,
                "label {label:?} of metric {metric:?} has {held} of {max} values (values_per_label_max)"
            ),
        }
    }
}

/// Warnings that nobody has taken yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Warnings(Vec<Nearing>);

impl Warnings {
    /// Warns if the limit is near and `told` does not say that it was told; keeps `told` right.
    pub(super) fn look(
        &mut self,
        told: &mut bool,
        held: usize,
        max: usize,
        limit: impl FnOnce() -> Limit,
    ) {
        if !is_near(held, max) {
            *told = false;
        } else if !*told && self.0.len() < WAITING_MAX {
            *told = true;
            let limit = limit();
            self.0.push(Nearing { limit, held, max });
        }
    }

    pub(super) fn take(&mut self) -> Vec<Nearing> {
        core::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_limit_is_told_once_until_less_is_taken() {
        let (mut warnings, mut told) = (Warnings::default(), false);
        let mut told_at = Vec::new();
        for held in [7, 8, 9, 8, 7, 8, 10] {
            warnings.look(&mut told, held, 10, || Limit::Series);
            told_at.extend(warnings.take().into_iter().map(|nearing| nearing.held));
        }
        assert_eq!(told_at, [8, 8]);
    }

    #[test]
    fn what_finds_no_room_is_told_later() {
        let mut warnings = Warnings::default();
        let mut told = [false; WAITING_MAX + 1];
        for told in &mut told {
            warnings.look(told, 9, 10, || Limit::Samples);
        }
        assert_eq!(warnings.take().len(), WAITING_MAX);
        warnings.look(&mut told[WAITING_MAX], 10, 10, || Limit::Samples);
        assert_eq!(warnings.take()[0].held, 10);
    }

    #[test]
    fn a_warning_says_how_much_of_what_is_taken() {
        let metric: Arc<str> = "m".into();
        let label = "l".into();
        let texts = [
            (Limit::Series, "8 of 10 series are taken (series_max)"),
            (Limit::Samples, "8 of 10 samples are taken"),
            (
                Limit::Bytes,
                "8 of 10 bytes of samples are taken (bytes_max)",
            ),
            (
                Limit::SeriesPerMetric {
                    metric: metric.clone(),
                },
                "metric \"m\" has 8 of 10 series (series_per_metric_max)",
            ),
            (
                Limit::ValuesPerLabel { metric, label },
                "label \"l\" of metric \"m\" has 8 of 10 values (values_per_label_max)",
            ),
        ];
        for (limit, text) in texts {
            let (held, max) = (8, 10);
            assert_eq!(Nearing { limit, held, max }.to_string(), text);
        }
    }
}
