//! Packs: registered queries, and the records that are read from their answers.
//!
//! A pack is plain data ([`PackConfig`]): templates to register with a source, and records whose
//! fields say which template answers them and how. [`packs`] has the ones that are shipped. A
//! record is read from answers as they came, good and bad: whatever is missing says why
//! ([`Field`], [`MissingReason`]), and one failed query leaves the other fields alone.
//!
//! Nothing here asks anything: [`PackRecord::queries`] says what to ask, whoever drives the
//! collector asks it, and [`PackRecord::from_answers`] reads what came back.

mod collected;
mod combine;
mod config;
mod field;
mod functions;
mod inference;
mod node;
mod owner;
mod read;
mod record;
#[cfg(test)]
mod testing;

pub use collected::{CollectPlan, CollectedMetrics, CollectedRows, WindowError};
pub use combine::{Combined, SOURCE_LABEL, combine, combine_as};
pub(crate) use combine::{documents, set_label};
pub use config::{FieldConfig, PackConfig, PackError, RecordConfig};
pub use field::{Field, MissingReason};
pub use functions::FunctionMetrics;
pub use inference::{Allocation, ReplicaMetrics};
pub use node::NodeMetrics;
pub use owner::{OwnerError, OwnerMap};
pub use read::{NamedAnswer, Row};
pub use record::{PackRecord, Problem, Records};

/// The packs that are shipped. Their template names do not clash, so that one source can have
/// them all.
pub mod packs {
    use alloc::vec::Vec;

    use super::PackConfig;
    pub use super::functions::functions;
    pub use super::inference::inference;
    pub use super::node::node;

    /// Their names, in the order of [`all`].
    pub const NAMES: [&str; 3] = ["node", "functions", "inference"];

    /// All of them.
    pub fn all() -> Vec<PackConfig> {
        [node(), functions(), inference()].into()
    }
}

/// Values by parameter name, as templates take them.
pub type Params = alloc::collections::BTreeMap<alloc::string::String, alloc::string::String>;
