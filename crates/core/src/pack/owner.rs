//! Which owner a pod belongs to, by the workload its name begins with.

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::fmt;

/// The key of a record that is about pods, as Prometheus' Kubernetes discovery calls them.
pub(super) const POD_KEY: &str = "pod";

/// How many workloads can be registered: a large cluster has some thousands.
const WORKLOADS_MAX: usize = 65_536;
/// How long a name may be, in bytes: Kubernetes allows 253.
const NAME_BYTES_MAX: usize = 253;

/// Owners by workload.
///
/// A pod belongs to the longest registered workload whose name is the pod's, or begins it and
/// ends at a `-`: the pod `llama-deployment-abc123-xyz` belongs to `llama-deployment`, and to
/// `llama` only if `llama-deployment` is not registered; never to `llam`. A look-up costs one
/// search of the map for each `-` in the pod's name, however many workloads there are.
///
/// ```
/// use tidegate_core::OwnerMap;
///
/// let mut owners = OwnerMap::default();
/// owners.register("llama-deployment", "llama-8b-autoscaler")?;
/// assert_eq!(owners.owner_of("llama-deployment-abc123-xyz"), Some("llama-8b-autoscaler"));
/// assert_eq!(owners.owner_of("llama-deployments-abc123-xyz"), None);
/// # Ok::<(), tidegate_core::OwnerError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnerMap {
    owners: BTreeMap<String, String>,
}

impl OwnerMap {
    /// Gives the workload to this owner, and says whose it was before.
    ///
    /// # Errors
    /// An empty or overlong name, or too many workloads; nothing is changed then.
    pub fn register(&mut self, workload: &str, owner: &str) -> Result<Option<String>, OwnerError> {
        for name in [workload, owner] {
            if name.is_empty() || name.len() > NAME_BYTES_MAX {
                return Err(OwnerError::BadName { bytes: name.len() });
            }
        }
        if let Some(known) = self.owners.get_mut(workload) {
            return Ok(Some(core::mem::replace(known, owner.into())));
        }
        if self.owners.len() >= WORKLOADS_MAX {
            return Err(OwnerError::Full {
                limit: WORKLOADS_MAX,
            });
        }
        self.owners.insert(workload.into(), owner.into());
        Ok(None)
    }

    /// Forgets the workload, and says whose it was.
    pub fn unregister(&mut self, workload: &str) -> Option<String> {
        self.owners.remove(workload)
    }

    /// The owner of this very workload.
    pub fn owner(&self, workload: &str) -> Option<&str> {
        self.owners.get(workload).map(String::as_str)
    }

    /// Who owns this pod; `None` where no workload fits, or the name is longer than any pod's.
    pub fn owner_of(&self, pod: &str) -> Option<&str> {
        if pod.len() > NAME_BYTES_MAX {
            return None;
        }
        let shorter = pod.rmatch_indices('-').map(|(at, _)| &pod[..at]);
        core::iter::once(pod)
            .chain(shorter)
            .find_map(|workload| self.owners.get(workload))
            .map(String::as_str)
    }

    /// How many workloads are registered.
    pub fn len(&self) -> usize {
        self.owners.len()
    }

    /// Whether no workload is registered.
    pub fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }

    /// Workloads and their owners, by workload.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.owners
            .iter()
            .map(|(workload, owner)| (&**workload, &**owner))
    }
}

/// Why a workload was not registered; whoever registers is to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OwnerError {
    /// A name is empty, or longer than names are.
    BadName {
        /// Its length.
        bytes: usize,
    },
    /// There are as many workloads as there may be.
    Full {
        /// How many that is.
        limit: usize,
    },
}

impl fmt::Display for OwnerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadName { bytes } => write!(
                f,
                "names of workloads and owners have 1 to {NAME_BYTES_MAX} bytes, not {bytes}"
            ),
            Self::Full { limit } => write!(f, "{limit} workloads are registered, which is all"),
        }
    }
}

impl core::error::Error for OwnerError {}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn owners(workloads: &[&str]) -> OwnerMap {
        let mut owners = OwnerMap::default();
        for workload in workloads {
            owners
                .register(workload, &format!("{workload}-owner"))
                .unwrap();
        }
        owners
    }

    #[test]
    fn the_longest_workload_wins_and_ends_at_a_dash() {
        let owners = owners(&["llama", "llama-8b", "llama-8b-canary", "x"]);
        let owner = |pod| owners.owner_of(pod);
        assert_eq!(
            owner("llama-8b-canary-abc-xyz"),
            Some("llama-8b-canary-owner")
        );
        assert_eq!(owner("llama-8b-abc-xyz"), Some("llama-8b-owner"));
        assert_eq!(owner("llama-8bx-abc"), Some("llama-owner"));
        assert_eq!(owner("llama"), Some("llama-owner"));
        for pod in ["llam-a", "llamas-1", "", "-", "-llama", "X"] {
            assert_eq!(owner(pod), None, "{pod:?}");
        }
    }

    #[test]
    fn registering_again_replaces_and_unregistering_uncovers_the_shorter() {
        let mut owners = owners(&["a", "a-b"]);
        assert_eq!(owners.register("a-b", "new"), Ok(Some("a-b-owner".into())));
        assert_eq!(owners.owner_of("a-b-c"), Some("new"));
        assert_eq!(owners.unregister("a-b"), Some("new".into()));
        assert_eq!(owners.unregister("a-b"), None);
        assert_eq!(owners.owner_of("a-b-c"), Some("a-owner"));
        assert_eq!(owners.iter().collect::<Vec<_>>(), [("a", "a-owner")]);
    }

    #[test]
    fn names_and_numbers_are_bounded() {
        let mut owners = OwnerMap::default();
        let long = "n".repeat(NAME_BYTES_MAX + 1);
        assert_eq!(
            owners.register("", "o"),
            Err(OwnerError::BadName { bytes: 0 })
        );
        assert_eq!(
            owners.register(&long, "o"),
            Err(OwnerError::BadName { bytes: 254 })
        );
        assert!(owners.register(&long[1..], "o").is_ok());
        assert_eq!(owners.owner_of(&long[1..]), Some("o"));
        assert_eq!(owners.owner_of(&long), None);
        for index in 1..WORKLOADS_MAX {
            owners.register(&format!("w{index}"), "o").unwrap();
        }
        let limit = WORKLOADS_MAX;
        assert_eq!(
            owners.register("one-more", "o"),
            Err(OwnerError::Full { limit })
        );
        assert!(owners.register("w1", "p").is_ok());
    }

    proptest! {
        #[test]
        fn a_look_up_agrees_with_trying_every_workload(
            workloads in prop::collection::btree_set("[ab-]{1,5}", 0..8),
            pod in "[ab-]{0,8}",
        ) {
            let names: Vec<&str> = workloads.iter().map(String::as_str).collect();
            let fits = |workload: &&&str| {
                pod.strip_prefix(**workload).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            };
            let expected = names.iter().filter(fits).max_by_key(|name| name.len());
            let expected = expected.map(|name| format!("{name}-owner"));
            let owners = owners(&names);
            prop_assert_eq!(owners.owner_of(&pod), expected.as_deref());
        }
    }

    #[test]
    fn what_is_not_registered_says_why() {
        let bad = OwnerError::BadName { bytes: 0 };
        assert!(bad.to_string().ends_with("bytes, not 0"), "{bad}");
        let full = OwnerError::Full { limit: 7 };
        assert!(full.to_string().starts_with("7 workloads"), "{full}");
    }
}
