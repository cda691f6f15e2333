//! Where sources and their targets live.

use std::collections::BTreeMap;

use super::url::SourceUrl;

/// The addresses of sources, and of the targets of those that are scraped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    sources: BTreeMap<String, SourceUrl>,
    targets: BTreeMap<String, BTreeMap<String, SourceUrl>>,
}

impl Addresses {
    /// No addresses.
    pub const fn new() -> Self {
        Self {
            sources: BTreeMap::new(),
            targets: BTreeMap::new(),
        }
    }

    /// The same with that of a source, in place of an earlier one.
    pub fn with_source(mut self, source: impl Into<String>, url: SourceUrl) -> Self {
        self.sources.insert(source.into(), url);
        self
    }

    /// The same with that of a source's target, in place of an earlier one.
    pub fn with_target(
        mut self,
        source: impl Into<String>,
        target: impl Into<String>,
        url: SourceUrl,
    ) -> Self {
        let targets = self.targets.entry(source.into()).or_default();
        targets.insert(target.into(), url);
        self
    }

    /// The address of a source, or of one of its targets.
    pub fn find(&self, source: &str, target: Option<&str>) -> Option<&SourceUrl> {
        match target {
            None => self.sources.get(source),
            Some(target) => self.targets.get(source)?.get(target),
        }
    }

    /// Whether everything of this source is where it is in `other`.
    pub fn agrees(&self, other: &Self, source: &str) -> bool {
        self.sources.get(source) == other.sources.get(source)
            && self.targets.get(source) == other.targets.get(source)
    }
}

impl FromIterator<(String, SourceUrl)> for Addresses {
    /// The addresses of these sources.
    fn from_iter<I: IntoIterator<Item = (String, SourceUrl)>>(sources: I) -> Self {
        Self {
            sources: sources.into_iter().collect(),
            targets: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> SourceUrl {
        text.parse().unwrap()
    }

    #[test]
    fn a_target_s_address_is_not_its_source_s_nor_another_source_s() {
        let addresses = Addresses::new()
            .with_source("prom", url("http://p"))
            .with_target("pods", "a", url("http://a/metrics"));
        assert_eq!(addresses.find("prom", None), Some(&url("http://p")));
        assert_eq!(
            addresses.find("pods", Some("a")),
            Some(&url("http://a/metrics"))
        );
        assert_eq!(addresses.find("prom", Some("a")), None);
        assert_eq!(addresses.find("pods", None), None);
        assert_eq!(addresses.find("pods", Some("b")), None);
    }

    #[test]
    fn a_source_whose_target_moved_does_not_agree() {
        let before = Addresses::new()
            .with_source("prom", url("http://p"))
            .with_target("pods", "a", url("http://a"));
        let after = before.clone().with_target("pods", "a", url("http://b"));
        assert!(before.agrees(&after, "prom"));
        assert!(!before.agrees(&after, "pods"));
        assert!(before.agrees(&after, "unknown"));
    }
}
