//! Samples and descriptions on their way into a store.

use alloc::string::String;

use crate::{Labels, Metadata};

/// One sample to record.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The metric's name under `__name__`, and its labels.
    pub labels: Labels,
    /// When it was taken, in milliseconds since 1970 UTC.
    pub timestamp_ms: i64,
    /// Its value; NaN and infinities are values.
    pub value: f64,
}

/// What a metric is, told once or again.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// The metric's name.
    pub name: String,
    /// Its type, unit and help.
    pub metadata: Metadata,
}
