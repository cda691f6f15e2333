//! Events: what a program says it did.

use std::fmt;

use tidegate_series::Labels;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricEvent {
    /// The metric's name under `__name__`, and the tags.
    pub labels: Labels,
    /// What `value` says of the metric.
    pub kind: EventKind,
    /// A finite number, unless the program said otherwise; NaN and infinities are passed on.
    pub value: f64,
    /// When it happened, in milliseconds since 1970 UTC.
    pub timestamp_ms: i64,
}

/// What an event's value says of its metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// It grew by so much.
    Counter,
    /// It is so much now.
    Gauge,
    /// Something took so many seconds.
    Timer,
    /// So much was observed once.
    Histogram,
    /// Whatever the program and its readers agreed on; kept as a sample of its own.
    Custom,
}

impl EventKind {
    /// Its word, in lines and configurations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Timer => "timer",
            Self::Histogram => "histogram",
            Self::Custom => "custom",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
