//! The packs that records are read by, and whose the pods are.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::Collector;
use crate::config::owner_map;
use crate::pack::packs;
use crate::{ConfigError, OwnerError, OwnerMap, PackConfig};

/// What a configuration, and whoever registered owners since, say of records.
#[derive(Debug)]
pub(super) struct Library {
    packs: Vec<PackConfig>,
    owners: OwnerMap,
    /// The owners of the configuration, to take them back when it no longer has them.
    configured: BTreeMap<String, String>,
}

impl Library {
    pub(super) fn new(
        configured: Vec<PackConfig>,
        owners: BTreeMap<String, String>,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            packs: packs::all().into_iter().chain(configured).collect(),
            owners: owner_map(&owners).map_err(ConfigError::Owner)?,
            configured: owners,
        })
    }

    /// # Errors
    /// There would be too many owners; then nothing changes.
    pub(super) fn reload(
        &mut self,
        configured: Vec<PackConfig>,
        owners: BTreeMap<String, String>,
    ) -> Result<(), ConfigError> {
        let mut all = self.owners.clone();
        for (workload, owner) in &self.configured {
            if all.owner(workload) == Some(owner) {
                all.unregister(workload);
            }
        }
        for (workload, owner) in &owners {
            all.register(workload, owner).map_err(ConfigError::Owner)?;
        }
        *self = Self {
            owners: all,
            ..Self::new(configured, owners)?
        };
        Ok(())
    }
}

impl Collector {
    /// The packs, those that are shipped first.
    pub fn packs(&self) -> &[PackConfig] {
        &self.library.packs
    }

    /// Whose the pods of which workload are.
    pub const fn owners(&self) -> &OwnerMap {
        &self.library.owners
    }

    /// Gives the pods of a workload to an owner, and says whose they were.
    ///
    /// # Errors
    /// A name that is none, or too many workloads; then nothing changes.
    pub fn register_owner(
        &mut self,
        workload: &str,
        owner: &str,
    ) -> Result<Option<String>, OwnerError> {
        self.library.owners.register(workload, owner)
    }

    /// Forgets whose the pods of a workload are, and says whose they were.
    pub fn unregister_owner(&mut self, workload: &str) -> Option<String> {
        self.library.owners.unregister(workload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owners(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(workload, owner): &(&str, &str)| ((*workload).into(), (*owner).into());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn a_reload_takes_back_what_the_configuration_said_and_nothing_else() {
        let configured = owners(&[("gone", "a"), ("stays", "a"), ("taken", "a")]);
        let mut library = Library::new(Vec::new(), configured).unwrap();
        for (workload, owner) in [("taken", "b"), ("extra", "b"), ("told", "b")] {
            library.owners.register(workload, owner).unwrap();
        }
        let next = owners(&[("stays", "c"), ("told", "c")]);
        library.reload(Vec::new(), next).unwrap();
        let expected = owners(&[
            ("extra", "b"),
            ("stays", "c"),
            ("taken", "b"),
            ("told", "c"),
        ]);
        assert_eq!(library.owners, owner_map(&expected).unwrap());
    }

    #[test]
    fn configured_packs_come_after_those_that_are_shipped() {
        let own = PackConfig {
            name: "own".into(),
            ..PackConfig::default()
        };
        let mut library = Library::new([own].into(), BTreeMap::new()).unwrap();
        let names = |library: &Library| -> Vec<String> {
            library.packs.iter().map(|pack| pack.name.clone()).collect()
        };
        assert_eq!(names(&library)[..3], packs::NAMES);
        assert_eq!(names(&library)[3..], ["own"]);
        library.reload(Vec::new(), BTreeMap::new()).unwrap();
        assert_eq!(names(&library), packs::NAMES);
    }
}
