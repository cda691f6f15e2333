//! Label sets, matchers and rings of samples.
//!
//! This crate answers one question: which samples does Tidegate hold itself, and under which names?
//! It knows Prometheus' data model (label sets, matchers, stale markers, the look-back rule) and nothing of the
//! collector, of clocks or of IO. Time enters only as the sample timestamps it is handed, in milliseconds since the
//! Unix epoch; whether such a time is believable is for the caller to decide before it appends.
//!
//! - [`Labels`]: a sorted set of names and values, cheap to clone and to compare.
//! - [`Matcher`]: one condition on a label, `=`, `!=`, `=~` or `!~`; [`GroupPattern`]: what rewrites one.
//! - [`Ring`]: the newest points of one series, all but the last few hundred in [`Chunk`]s.
//! - [`encode_values`], [`encode_times`]: columns in few bytes, bit for bit.
//! - [`Store`]: rings by label set, limited in series, labels and samples, with metadata per metric.
//! - [`SeriesHandle`]: the way to one series of a store, for those that append to it again and again.
//! - [`aggregate`]: statistics of windows over all a store holds, by groups; [`Ring::totals`], [`quantiles`], [`ema`]
//!   and [`correlation`] for one series.
//! - [`Sketch`]: quantiles of any number of values in little memory.
//! - [`per_second`]: a counter as a rate, for charts.
//!
//! Everything is ordered, so equal inputs give equal outputs on every target. Everything is bounded, and what goes
//! over a bound is an error that is counted.
//!
//! ```
//! use tidegate_series::{Labels, MatchOp, Matcher, Store, StoreLimits};
//!
//! let mut store = Store::new(StoreLimits::default());
//! let idle = Labels::from_pairs([("__name__", "cpu_seconds_total"), ("mode", "idle")])?;
//! store.append(&idle, 1_000, 41.5)?;
//! store.append(&idle, 2_000, 42.0)?;
//!
//! let selector = [
//!     Matcher::new("__name__", MatchOp::Equal, "cpu_seconds_total")?,
//!     Matcher::new("mode", MatchOp::Regex, "idle|user")?,
//! ];
//! let found: Vec<_> = store
//!     .select(&selector)
//!     .map(|(labels, ring)| (labels.to_string(), ring.at(2_500, 300_000)))
//!     .collect();
//! assert_eq!(found, [(r#"cpu_seconds_total{mode="idle"}"#.to_string(), Some((2_000, 42.0)))]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod aggregate;
mod chunk;
mod dialect;
mod error;
mod float;
mod groups;
mod labels;
mod limits;
mod matcher;
mod metadata;
mod pattern;
mod quantile;
mod rate;
mod ring;
mod sample;
mod sketch;
mod stale;
mod store;
mod tail;
mod window;

pub use aggregate::{
    AGGREGATE_RESULTS_MAX, AGGREGATE_SAMPLES_MAX, AGGREGATE_STEPS_MAX, AggregateError,
    AggregateLimits, AggregateQuery, EXACT_SAMPLES_MAX, Group, GroupPoint, Grouping,
    STATISTICS_MAX, Steps, aggregate,
};
pub use chunk::{
    Chunk, ENCODED_VALUES_MAX, Summary, TimesPool, decode_times, decode_values, encode_times,
    encode_values,
};
pub use error::{AppendError, ChunkError, DescribeError, LabelsError, MatcherError};
pub use groups::GroupPattern;
pub use labels::{
    LABEL_NAME_BYTES_MAX, LABEL_VALUE_BYTES_MAX, LABELS_PER_SERIES_MAX, Labels, METRIC_NAME,
    is_label_name, is_metric_name,
};
pub use limits::{
    METADATA_MAX, MetricRule, Refused, SAMPLE_BYTES_MAX, SAMPLES_MAX, SERIES_MAX,
    SERIES_PER_METRIC_MAX, StoreLimits, VALUES_PER_LABEL_MAX,
};
pub use matcher::{MatchOp, Matcher};
pub use metadata::{HELP_BYTES_MAX, Metadata, MetricKind, UNIT_BYTES_MAX};
pub use pattern::{COMPILED_BYTES_MAX, NESTING_MAX, PATTERN_BYTES_MAX};
pub use quantile::{QuantileMethod, quantiles};
pub use rate::per_second;
pub use ring::{POINTS_PER_SERIES_MAX, Ring};
pub use sample::{Family, Sample};
pub use sketch::{SKETCH_BUCKETS_MAX, SKETCH_BYTES_MAX, SKETCH_ERROR_MAX, Sketch, SketchError};
pub use stale::{STALE_MARKER_BITS, is_stale, stale_marker};
pub use store::{Limit, MetricFill, Nearing, SeriesHandle, Store};
pub use window::{
    EMA_HALF_LIVES, Moments, STATISTIC_WORDS, Statistic, StatisticError, Totals, Window,
    correlation, ema,
};
