//! Typed records with the owners of their pods, and the owners themselves.

use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock};

use tidegate_core::{OwnerError, OwnerMap, PackRecord};

/// Records of one kind, read with [`Tidegate::records`](super::Tidegate::records), and who owned
/// what at that moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Records<R> {
    records: tidegate_core::Records<R>,
    owners: Arc<OwnerMap>,
}

impl<R: PackRecord> Records<R> {
    pub(super) const fn new(records: tidegate_core::Records<R>, owners: Arc<OwnerMap>) -> Self {
        Self { records, owners }
    }

    /// Those whose pod belongs to this owner, by the client's owners. Empty where none does, for
    /// an owner nobody registered, and for records that are not about pods.
    pub fn owned_by<'a>(&'a self, owner: &'a str) -> impl Iterator<Item = &'a R> {
        self.records.owned_by(owner, &self.owners)
    }

    /// The records alone.
    pub fn into_inner(self) -> tidegate_core::Records<R> {
        self.records
    }
}

impl<R> Deref for Records<R> {
    type Target = tidegate_core::Records<R>;

    fn deref(&self) -> &Self::Target {
        &self.records
    }
}

/// Who owns which workload, shared by all clones of a client. Readers hold a snapshot and never
/// wait for a change.
#[derive(Debug)]
pub(super) struct Owners {
    map: RwLock<Arc<OwnerMap>>,
}

impl Owners {
    pub(super) fn new(map: OwnerMap) -> Self {
        Self {
            map: RwLock::new(Arc::new(map)),
        }
    }

    pub(super) fn snapshot(&self) -> Arc<OwnerMap> {
        // A change that fails changes nothing, so what a panic leaves behind is whole.
        Arc::clone(&self.map.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut OwnerMap) -> T) -> T {
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut map))
    }

    /// Adds all of these, or none.
    pub(super) fn add(&self, more: &OwnerMap) -> Result<(), OwnerError> {
        self.change(|map| {
            let mut all = map.clone();
            for (workload, owner) in more.iter() {
                all.register(workload, owner)?;
            }
            *map = all;
            Ok(())
        })
    }
}
