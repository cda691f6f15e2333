//! What is to be forgotten, and what can be wrong with a change of a catalog.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;

use crate::{TemplateError, key};

/// Which answers are to be forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invalidation {
    /// The one with this key.
    Key(String),
    /// All whose keys begin so.
    Prefix(String),
    /// All of this source.
    Source(String),
    /// All of this template.
    Template {
        /// The source whose catalog it is in.
        source: String,
        /// Its name.
        template: String,
    },
    /// All there are.
    All,
}

impl Invalidation {
    /// Whether an entry of this key is among them.
    pub fn covers(&self, key: &str) -> bool {
        match self {
            Self::Key(wanted) => key == wanted,
            Self::Prefix(prefix) => key.starts_with(prefix.as_str()),
            Self::Source(source) => {
                let rest = key.strip_prefix(source.as_str());
                rest.is_some_and(|rest| rest.starts_with('/'))
            }
            Self::Template { source, template } => {
                let rest = key.strip_prefix(source.as_str());
                let rest = rest.and_then(|rest| rest.strip_prefix('/'));
                let rest = rest.and_then(|rest| rest.strip_prefix(template.as_str()));
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
            }
            Self::All => true,
        }
    }

    /// Whether what is known under a table's key is among them, or serves one that is: the key of a
    /// range, and any text that such a key begins with, reaches all that its window was cut from.
    pub(crate) fn reaches(&self, table: &str) -> bool {
        let stem = key::stem_of_table(table).unwrap_or(table);
        self.covers(table)
            || match self {
                Self::Key(key) => key::stem(key) == Some(stem),
                Self::Prefix(prefix) => prefix.starts_with(stem),
                Self::Source(_) | Self::Template { .. } | Self::All => false,
            }
    }
}

/// Why a catalog was not changed; whoever asked for the change is to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CatalogError {
    /// No source has this name.
    UnknownSource {
        /// The name given.
        name: String,
    },
    /// The source's catalog has no template of this name.
    UnknownTemplate {
        /// The source.
        source: String,
        /// The name given.
        template: String,
    },
    /// The source's catalog has a template of this name.
    Taken {
        /// The source.
        source: String,
        /// The name given.
        template: String,
    },
    /// The template is wrong.
    Template(TemplateError),
}

impl CatalogError {
    pub(crate) fn unknown_template(source: &str, template: &str) -> Self {
        Self::UnknownTemplate {
            source: source.to_owned(),
            template: template.to_owned(),
        }
    }
}

impl fmt::Display for CatalogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownSource { name } => write!(f, "no source is named {name:?}"),
            Self::UnknownTemplate { source, template } => {
                write!(f, "source {source} has no template {template:?}")
            }
            Self::Taken { source, template } => {
                write!(
                    f,
                    "source {source} has a template {template:?} already: update it, or choose another name"
                )
            }
            Self::Template(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for CatalogError {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_name_does_not_cover_longer_ones() {
        let template = Invalidation::Template {
            source: "a".into(),
            template: "kv".into(),
        };
        assert!(template.covers("a/kv") && template.covers("a/kv:x=1"));
        assert!(!template.covers("a/kv_cache:x=1") && !template.covers("ab/kv"));
        let source = Invalidation::Source("a".into());
        assert!(source.covers("a/:query=up") && !source.covers("ab/:query=up"));
    }

    #[test]
    fn the_key_of_a_range_reaches_what_its_window_is_cut_from() {
        let table = key::table("prom/:query=up,@step=15", 0);
        let key = |start| alloc::format!("prom/:query=up,@step=15,@start={start},@end=90");
        assert!(Invalidation::Key(key(60)).reaches(&table));
        assert!(Invalidation::Key((*table).into()).reaches(&table));
        assert!(Invalidation::Prefix(key(60)).reaches(&table));
        assert!(Invalidation::Prefix("prom/:query=up,".into()).reaches(&table));
        assert!(!Invalidation::Prefix("prom/:query=up,@step=1,".into()).reaches(&table));
        assert!(!Invalidation::Key("prom/:query=up".into()).reaches(&table));
        assert!(!Invalidation::Key("prom/:query=up,@step=1,@start=6".into()).reaches(&table));
        assert!(Invalidation::Source("prom".into()).reaches(&table));
        assert!(!Invalidation::Source("pro".into()).reaches(&table));
    }

    #[test]
    fn a_catalog_that_stays_says_why() {
        let (source, template) = (String::from("prom"), String::from("load"));
        let cases = [
            (
                CatalogError::UnknownSource {
                    name: source.clone(),
                },
                "no source is named \"prom\"",
            ),
            (
                CatalogError::unknown_template(&source, &template),
                "has no template \"load\"",
            ),
            (
                CatalogError::Taken { source, template },
                "a template \"load\" already",
            ),
            (
                CatalogError::Template(TemplateError::Duplicate { name: "x".into() }),
                "two templates are named",
            ),
        ];
        for (error, text) in cases {
            assert!(error.to_string().contains(text), "{error}");
        }
        assert!(Invalidation::Key("a".into()).covers("a") && Invalidation::All.covers("a"));
        assert!(Invalidation::Prefix("a".into()).covers("ab"));
        assert!(!Invalidation::Key("a".into()).covers("ab"));
    }
}
