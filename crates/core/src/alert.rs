//! Alerts: conditions on Tidegate's own series, in Prometheus' words.
//!
//! A rule selects series and states a condition. Every series that meets it is *pending*, and once
//! it has met it for as long as the rule says it is *firing*; an alert whose series no longer
//! meets it is over at once if it was pending, and *resolved* if it was firing, unless the rule
//! keeps it firing for a while. A series that vanishes or goes stale meets no condition.
//!
//! Rules are looked at one after another every interval, each at the same instant. Durations are
//! counted on the monotonic clock, so a wall clock that steps fires and resolves nothing by itself.

mod band;
mod error;
mod expand;
mod rule;
mod set;
mod state;
mod status;
mod watch;

pub use band::{Band, BandConfig, BandSide};
pub use error::AlertError;
pub use rule::{ALERT_RULES_MAX, AlertCondition, AlertRule, AlertWindow, AlertsConfig, Comparison};
pub(crate) use set::{Alerts, Outcome};
pub use state::AlertState;
pub use status::{Alert, AlertRuleStatus};
