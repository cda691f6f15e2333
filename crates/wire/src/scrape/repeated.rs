//! Series that one body has twice.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt::{self, Write};

use super::{ExpositionError, ExpositionFormat, Result};
use crate::columns::{Columns, ColumnsBuilder, Series};
use crate::decode::excerpt;

/// Samples of a text body that repeat labels and time of one before; the first was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeated {
    /// How many were dropped; at least 1.
    pub count: usize,
    /// The line of the first of them, from 1.
    pub line: usize,
    /// The name and labels of the first of them, cut to their beginning if they are long.
    pub series: String,
}

impl fmt::Display for Repeated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            count,
            line,
            series,
        } = self;
        write!(
            f,
            "{count} repeated samples dropped, the first in line {line}: {series:?}"
        )
    }
}

/// Drops or refuses what is repeated; `lines` has the line of each series.
///
/// By sorting, not hashing: it cannot be made slow on purpose, and sorted bodies cost one pass.
pub(super) fn settle(
    columns: Columns,
    lines: &[usize],
    format: ExpositionFormat,
) -> Result<(Columns, Option<Repeated>)> {
    let again = find(&columns);
    let Some(first) = (0..again.len()).find(|&index| again[index].is_some()) else {
        return Ok((columns, None));
    };
    let series = described(columns.series(first));
    if let (ExpositionFormat::OpenMetrics, Some(original)) = (format, again[first]) {
        return Err(ExpositionError::DuplicateSeries {
            line: lines[first],
            first_line: lines[original],
            series,
        });
    }
    let repeated = Repeated {
        count: again.iter().flatten().count(),
        line: lines[first],
        series,
    };
    Ok((without(&columns, &again), Some(repeated)))
}

/// For each series the one before it that it repeats; nothing if none is repeated.
fn find(columns: &Columns) -> Vec<Option<usize>> {
    let mut order: Vec<usize> = (0..columns.len()).collect();
    // Stable: of equal ones the first in the body comes first.
    order.sort_by(|&a, &b| compare(columns.series(a), columns.series(b)));
    let mut again = Vec::new();
    let mut original = 0;
    for pair in order.windows(2) {
        if compare(columns.series(pair[0]), columns.series(pair[1])) != Ordering::Equal {
            original = pair[1];
            continue;
        }
        if again.is_empty() {
            again = vec![None; columns.len()];
        }
        if again[pair[0]].is_none() {
            original = pair[0];
        }
        again[pair[1]] = Some(original);
    }
    again
}

fn compare(a: Series<'_>, b: Series<'_>) -> Ordering {
    a.labels()
        .cmp(b.labels())
        .then_with(|| a.timestamps_ms().cmp(b.timestamps_ms()))
}

fn without(columns: &Columns, again: &[Option<usize>]) -> Columns {
    let mut builder = ColumnsBuilder::new();
    let kept = columns
        .iter()
        .zip(again)
        .filter(|(_, again)| again.is_none());
    for (series, _) in kept {
        builder.begin_series();
        for (name, value) in series.labels() {
            builder.label(name, value);
        }
        for (&timestamp_ms, &value) in series.timestamps_ms().iter().zip(series.values()) {
            builder.sample(timestamp_ms, value);
        }
    }
    builder.finish()
}

/// A series as one writes it, cut.
fn described(series: Series<'_>) -> String {
    let mut text = String::from(series.label("__name__").unwrap_or_default());
    let mut open = '{';
    for (name, value) in series.labels().filter(|(name, _)| *name != "__name__") {
        write!(text, "{open}{name}={:?}", excerpt(value)).expect("a string takes any text");
        open = ',';
    }
    if open == ',' {
        text.push('}');
    }
    excerpt(&text)
}
