//! A pack as plain data, and its checks.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::Params;
use crate::config::is_name;
use crate::{Ask, Template, TemplateConfig, TemplateError};

/// Queries per pack: a pack serves one purpose, and dashboards of a hundred queries are none.
const QUERIES_MAX: usize = 256;
/// Records per pack, for the same reason.
const RECORDS_MAX: usize = 64;
/// Fields per record, as many as a series may have labels: each costs a look-up per row.
const FIELDS_MAX: usize = 64;

/// Queries and the records read from their answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackConfig {
    /// Letters, digits, `_`, `-` and `.`.
    pub name: String,
    /// For people.
    pub description: String,
    /// The templates, to be registered with the sources that are asked for its records.
    pub queries: Vec<TemplateConfig>,
    /// What parameters are where they are not given. The templates alone know nothing of them.
    pub defaults: Params,
    /// What is read from the answers.
    pub records: Vec<RecordConfig>,
}

/// A record: one row per combination of its keys, several fields each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordConfig {
    /// Letters, digits, `_`, `-` and `.`; unique in its pack.
    pub name: String,
    /// For people.
    pub description: String,
    /// The labels that tell its rows apart. Where no field is grouped there is one row, and its
    /// keys are the parameters of these names.
    pub keys: Vec<String>,
    /// What is read.
    pub fields: Vec<FieldConfig>,
}

/// A field of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldConfig {
    /// Letters, digits, `_`, `-` and `.`; unique in its record.
    pub name: String,
    /// The name of the query that answers it.
    pub query: String,
    /// How its value is read. Empty: it is the value of the only series, or the scalar, and holds
    /// for every row. Else: one value for each combination of these labels, which must be among
    /// the record's keys; it holds for every row that has them.
    pub by: Vec<String>,
    /// What it counts, for people: `cores`, `bytes`, `percent`, `watts`, `ratio`, `requests`, …
    pub unit: String,
    /// The parameter that switches it on. It is off where that is absent, empty or `false`; then
    /// nothing is asked. `None`: always on.
    pub when: Option<String>,
    /// The source it is asked of; `None`: the one the asker chose.
    pub source: Option<String>,
}

impl PackConfig {
    /// The record of this name.
    pub fn record(&self, name: &str) -> Option<&RecordConfig> {
        self.records.iter().find(|record| record.name == name)
    }

    /// `params`, and the pack's defaults for what they lack.
    pub fn with_defaults(&self, params: &Params) -> Params {
        let mut all = self.defaults.clone();
        all.extend(
            params
                .iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        all
    }

    /// Checks what types cannot.
    ///
    /// # Errors
    /// The first thing wrong, with its name; the author of the pack is to blame.
    pub fn check(&self) -> Result<(), PackError> {
        name_fits(&self.name)?;
        within("queries", self.queries.len(), QUERIES_MAX)?;
        within("records", self.records.len(), RECORDS_MAX)?;
        let mut queries = BTreeSet::new();
        for query in &self.queries {
            name_fits(&query.name)?;
            unique(&mut queries, &query.name)?;
            Template::parse(query).map_err(PackError::Template)?;
        }
        let mut records = BTreeSet::new();
        for record in &self.records {
            name_fits(&record.name)?;
            unique(&mut records, &record.name)?;
            record.check(&queries)?;
        }
        Ok(())
    }
}

impl RecordConfig {
    /// What to ask for this record: each query once, in the order of the fields, without those
    /// that are switched off. `params` are complete, see [`PackConfig::with_defaults`].
    pub fn asks(&self, params: &Params) -> Vec<Ask> {
        let mut asked = BTreeSet::new();
        let wanted = self
            .fields
            .iter()
            .filter(|field| field.is_on(params) && asked.insert(&field.query));
        wanted
            .map(|field| {
                let ask = Ask::template(field.query.clone(), params.clone());
                match &field.source {
                    Some(source) => ask.of(source.clone()),
                    None => ask,
                }
            })
            .collect()
    }

    fn check(&self, queries: &BTreeSet<&str>) -> Result<(), PackError> {
        within("fields", self.fields.len(), FIELDS_MAX)?;
        within("keys", self.keys.len(), FIELDS_MAX)?;
        let mut keys = BTreeSet::new();
        for key in &self.keys {
            unique(&mut keys, key)?;
        }
        let mut fields = BTreeSet::new();
        for field in &self.fields {
            name_fits(&field.name)?;
            unique(&mut fields, &field.name)?;
            if !queries.contains(&*field.query) {
                return Err(PackError::UnknownQuery {
                    record: self.name.clone(),
                    field: field.name.clone(),
                    query: field.query.clone(),
                });
            }
            if let Some(label) = field.by.iter().find(|label| !keys.contains(&***label)) {
                return Err(PackError::NotAKey {
                    record: self.name.clone(),
                    field: field.name.clone(),
                    label: label.clone(),
                });
            }
            self.check_twins(field)?;
        }
        if self.is_grouped() && !self.fields.iter().any(|field| self.names_rows(field)) {
            return Err(PackError::NoRows {
                record: self.name.clone(),
            });
        }
        Ok(())
    }

    /// A query is asked once, so those who share it must agree on whom and when.
    fn check_twins(&self, field: &FieldConfig) -> Result<(), PackError> {
        let differs = |twin: &&FieldConfig| {
            twin.query == field.query && (&twin.source, &twin.when) != (&field.source, &field.when)
        };
        match self.fields.iter().find(differs) {
            None => Ok(()),
            Some(twin) => Err(PackError::Disagree {
                record: self.name.clone(),
                fields: [field.name.clone(), twin.name.clone()],
            }),
        }
    }

    /// Whether any field has a value for each of several things.
    pub(super) fn is_grouped(&self) -> bool {
        self.fields.iter().any(|field| !field.by.is_empty())
    }

    /// Whether the series of this field's answer say which rows there are.
    pub(super) fn names_rows(&self, field: &FieldConfig) -> bool {
        self.keys.iter().all(|key| field.by.contains(key))
    }
}

impl FieldConfig {
    pub(super) fn is_on(&self, params: &Params) -> bool {
        let Some(param) = &self.when else { return true };
        params
            .get(param)
            .is_some_and(|value| !value.is_empty() && value != "false")
    }
}

fn name_fits(name: &str) -> Result<(), PackError> {
    if is_name(name) {
        Ok(())
    } else {
        Err(PackError::BadName { name: name.into() })
    }
}

fn unique<'a>(names: &mut BTreeSet<&'a str>, name: &'a str) -> Result<(), PackError> {
    if names.insert(name) {
        Ok(())
    } else {
        Err(PackError::Duplicate { name: name.into() })
    }
}

fn within(what: &'static str, count: usize, limit: usize) -> Result<(), PackError> {
    if count <= limit {
        Ok(())
    } else {
        Err(PackError::TooMany { what, count, limit })
    }
}

/// What is wrong with a pack; its author is to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PackError {
    /// A name has other characters than names may have, or none.
    BadName {
        /// The name given.
        name: String,
    },
    /// A name is given twice among things of a kind.
    Duplicate {
        /// The name.
        name: String,
    },
    /// A query's text is wrong.
    Template(TemplateError),
    /// A field is answered by a query that the pack lacks.
    UnknownQuery {
        /// The record.
        record: String,
        /// The field.
        field: String,
        /// The query it names.
        query: String,
    },
    /// A field is grouped by a label that is not a key of its record.
    NotAKey {
        /// The record.
        record: String,
        /// The field.
        field: String,
        /// The label.
        label: String,
    },
    /// Fields are grouped, but none by all keys, so nothing says which rows there are.
    NoRows {
        /// The record.
        record: String,
    },
    /// Two fields share a query, but not its source or its switch.
    Disagree {
        /// The record.
        record: String,
        /// The fields.
        fields: [String; 2],
    },
    /// There are more of something than a pack may have.
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
}

impl fmt::Display for PackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadName { name } => {
                write!(
                    f,
                    "bad name {name:?}: use letters, digits, '_', '-' and '.'"
                )
            }
            Self::Duplicate { name } => write!(f, "{name:?} is given twice"),
            Self::Template(error) => error.fmt(f),
            Self::UnknownQuery {
                record,
                field,
                query,
            } => write!(f, "record {record}, field {field}: no query {query:?}"),
            Self::NotAKey {
                record,
                field,
                label,
            } => write!(
                f,
                "record {record}, field {field}: grouped by {label:?}, which is not a key"
            ),
            Self::NoRows { record } => {
                write!(f, "record {record}: no field is grouped by all its keys")
            }
            Self::Disagree {
                record,
                fields: [a, b],
            } => write!(
                f,
                "record {record}: fields {a} and {b} share a query, but not its source or switch"
            ),
            Self::TooMany { what, count, limit } => {
                write!(f, "{count} {what}, at most {limit} are taken")
            }
        }
    }
}

impl core::error::Error for PackError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        if let Self::Template(error) = self {
            Some(error)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use super::*;
    use crate::pack::packs;

    fn pack() -> PackConfig {
        let query = |name: &str| TemplateConfig {
            name: name.into(),
            text: "up".into(),
            ..TemplateConfig::default()
        };
        let field = |name: &str, by: &[&str]| FieldConfig {
            name: name.into(),
            query: name.into(),
            by: by.iter().map(ToString::to_string).collect(),
            ..FieldConfig::default()
        };
        PackConfig {
            name: "p".into(),
            queries: vec![query("a"), query("b")],
            records: vec![RecordConfig {
                name: "r".into(),
                keys: vec!["pod".into(), "zone".into()],
                fields: vec![field("a", &["zone", "pod"]), field("b", &["zone"])],
                ..RecordConfig::default()
            }],
            ..PackConfig::default()
        }
    }

    fn broken(change: impl Fn(&mut PackConfig)) -> String {
        let mut pack = pack();
        change(&mut pack);
        pack.check().unwrap_err().to_string()
    }

    #[test]
    fn a_wrong_pack_is_refused_by_name() {
        assert_eq!(pack().check(), Ok(()));
        let said = broken(|pack| pack.records[0].fields[1].query = "c".into());
        assert_eq!(said, "record r, field b: no query \"c\"");
        let said = broken(|pack| pack.records[0].fields[1].by = vec!["node".into()]);
        assert_eq!(
            said,
            "record r, field b: grouped by \"node\", which is not a key"
        );
        let said = broken(|pack| pack.records[0].fields[0].by = vec!["pod".into()]);
        assert_eq!(said, "record r: no field is grouped by all its keys");
        let said = broken(|pack| pack.queries[1].name = "a".into());
        assert_eq!(said, "\"a\" is given twice");
        let said = broken(|pack| pack.records[0].fields[1].name = "a".into());
        assert_eq!(said, "\"a\" is given twice");
        let said = broken(|pack| pack.queries[1].text = "up{a=\"x".into());
        assert!(said.starts_with("template b, character 6"), "{said}");
    }

    #[test]
    fn fields_that_share_a_query_must_agree_on_whom_to_ask() {
        let said = broken(|pack| {
            pack.records[0].fields[1].query = "a".into();
            pack.records[0].fields[1].source = Some("other".into());
        });
        assert!(said.contains("share a query"), "{said}");
    }

    #[test]
    fn a_pack_is_bounded() {
        let many = |pack: &mut PackConfig| {
            let field = pack.records[0].fields[0].clone();
            pack.records[0].fields = vec![field; FIELDS_MAX + 1];
        };
        assert_eq!(broken(many), "65 fields, at most 64 are taken");
    }

    #[test]
    fn a_query_is_asked_once_and_of_the_source_its_field_names() {
        let mut pack = pack();
        let mut twin = pack.records[0].fields[0].clone();
        twin.name = "c".into();
        pack.records[0].fields.push(twin);
        pack.records[0].fields[1].source = Some("other".into());
        assert_eq!(pack.check(), Ok(()));
        let asks = pack.records[0].asks(&Params::new());
        let expected = [
            Ask::template("a", Params::new()),
            Ask::template("b", Params::new()).of("other"),
        ];
        assert_eq!(asks, expected);
    }

    #[test]
    fn the_shipped_packs_are_right_and_can_share_a_source() {
        let mut names = BTreeSet::new();
        for pack in [packs::node(), packs::functions(), packs::inference()] {
            assert_eq!(pack.check(), Ok(()), "{}", pack.name);
            for query in &pack.queries {
                assert!(!query.description.is_empty(), "{}", query.name);
                assert!(names.insert(query.name.clone()), "{}", query.name);
            }
            for field in pack.records.iter().flat_map(|record| &record.fields) {
                assert!(!field.unit.is_empty(), "{}", field.name);
            }
        }
    }
}
