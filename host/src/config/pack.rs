//! Packs as they stand in the file, or in files of their own, each way.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use tidegate_core::{
    FieldConfig, PackConfig, PackError, RecordConfig, Template as Parsed, Thresholds, packs,
};
use toml::Spanned;

use super::error::{ConfigError, meant};
use super::place::Place;
use super::template::Template;

/// A file with nothing but packs.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PackFile {
    #[serde(default)]
    pub(super) pack: Vec<Spanned<Pack>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pack {
    name: Spanned<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    defaults: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    query: Vec<Spanned<Template>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    record: Vec<Spanned<Record>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Record {
    name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keys: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    field: Vec<Spanned<Field>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Field {
    name: String,
    query: Spanned<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<Spanned<Vec<String>>>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    unit: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
}

/// The pack as it would stand in a file, to be changed and given a name of its own.
pub fn pack_toml(pack: &PackConfig) -> String {
    let file = PackFile {
        pack: vec![written(Pack::from(pack))],
    };
    toml::to_string(&file).expect("texts, lists and tables can be written")
}

/// Adds the packs of `tables` to those that are `known`, shipped ones included.
pub(super) fn add(
    known: &mut Vec<PackConfig>,
    tables: &[Spanned<Pack>],
    place: Place<'_>,
) -> Result<(), ConfigError> {
    for table in tables {
        let pack = table.get_ref();
        let config = pack.configured(place)?;
        if known.iter().any(|known| known.name == config.name) {
            let message = format!("there is a pack named {:?} already", config.name);
            let hint = packs::NAMES.contains(&&*config.name).then(|| {
                "that one is shipped: take another name, or change single queries by templates of their names".to_owned()
            });
            return Err(place.at(pack.name.span(), message, hint));
        }
        config.check().map_err(|error| {
            let (span, hint) = pack.blamed(&error, &config, &table.span());
            let message = format!("pack {}: {error}", config.name);
            place.at(place.first_line(&span), message, hint)
        })?;
        known.push(config);
    }
    Ok(())
}

impl Pack {
    fn configured(&self, place: Place<'_>) -> Result<PackConfig, ConfigError> {
        let queries = self.query.iter().map(|query| {
            let span = place.first_line(&query.span());
            query
                .get_ref()
                .configured(Thresholds::default(), place, span)
        });
        Ok(PackConfig {
            name: self.name.get_ref().clone(),
            description: self.description.clone(),
            queries: queries.collect::<Result<_, _>>()?,
            defaults: self.defaults.clone(),
            records: self
                .record
                .iter()
                .map(|record| record.get_ref().configured())
                .collect(),
        })
    }

    /// Where a fault stands, and what was probably meant. `table` is the pack's own place.
    fn blamed(
        &self,
        error: &PackError,
        config: &PackConfig,
        table: &Range<usize>,
    ) -> (Range<usize>, Option<String>) {
        let found = match error {
            PackError::BadName { name } => (self.named(name, 0), None),
            PackError::Duplicate { name } => (self.named(name, 1), None),
            PackError::Template(_) => {
                let wrong = config
                    .queries
                    .iter()
                    .position(|query| Parsed::parse(query).is_err());
                (wrong.map(|nth| self.query[nth].span()), None)
            }
            PackError::UnknownQuery {
                record,
                field,
                query,
            } => {
                let known: Vec<&str> = config.queries.iter().map(|query| &*query.name).collect();
                let field = self.field(record, field);
                (
                    field.map(|field| field.get_ref().query.span()),
                    Some(meant(query, &known)),
                )
            }
            PackError::NotAKey {
                record,
                field,
                label,
            } => {
                let keys = config.record(record).map_or(&[][..], |record| &record.keys);
                let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                let field = self.field(record, field);
                (
                    field.and_then(|field| field.get_ref().by.as_ref().map(Spanned::span)),
                    Some(meant(label, &keys)),
                )
            }
            PackError::NoRows { record } => {
                let hint = "give one field `by` with all of the record's keys";
                let record = self
                    .record
                    .iter()
                    .find(|table| table.get_ref().name == *record);
                (record.map(Spanned::span), Some(hint.to_owned()))
            }
            PackError::Disagree {
                record,
                fields: [field, _],
            } => (self.field(record, field).map(Spanned::span), None),
            // What is wrong with the whole is shown where it begins.
            PackError::TooMany { .. } | _ => (None, None),
        };
        (found.0.unwrap_or_else(|| table.clone()), found.1)
    }

    fn field(&self, record: &str, field: &str) -> Option<&Spanned<Field>> {
        let mut records = self.record.iter().map(Spanned::get_ref);
        let record = records.find(|table| table.name == record)?;
        let mut fields = record.field.iter();
        fields.find(|table| table.get_ref().name == field)
    }

    /// The table of this name after so many others of its kind.
    fn named(&self, name: &str, before: usize) -> Option<Range<usize>> {
        fn nth<'a>(
            tables: impl Iterator<Item = (&'a str, Range<usize>)>,
            name: &str,
            before: usize,
        ) -> Option<Range<usize>> {
            let mut named = tables.filter(|(found, _)| *found == name);
            named.nth(before).map(|(_, span)| span)
        }
        let own = [(self.name.get_ref().as_str(), self.name.span())];
        let queries = self.query.iter();
        let queries = queries.map(|table| (&*table.get_ref().name, table.span()));
        let records = self.record.iter();
        let records = records.map(|table| (&*table.get_ref().name, table.span()));
        nth(own.into_iter(), name, before)
            .or_else(|| nth(queries, name, before))
            .or_else(|| nth(records, name, before))
            .or_else(|| {
                self.record.iter().find_map(|record| {
                    let fields = record.get_ref().field.iter();
                    let keys = record.get_ref().keys.iter();
                    let keys = keys.map(|key| (key.as_str(), record.span()));
                    let fields = fields.map(|table| (&*table.get_ref().name, table.span()));
                    nth(keys, name, before).or_else(|| nth(fields, name, before))
                })
            })
    }
}

impl Record {
    fn configured(&self) -> RecordConfig {
        RecordConfig {
            name: self.name.clone(),
            description: self.description.clone(),
            keys: self.keys.clone(),
            fields: self
                .field
                .iter()
                .map(|field| field.get_ref().configured())
                .collect(),
        }
    }
}

impl Field {
    fn configured(&self) -> FieldConfig {
        FieldConfig {
            name: self.name.clone(),
            query: self.query.get_ref().clone(),
            by: self
                .by
                .as_ref()
                .map_or_else(Vec::new, |by| by.get_ref().clone()),
            unit: self.unit.clone(),
            when: self.when.clone(),
            source: self.source.clone(),
        }
    }
}

/// What is written has no place yet.
fn written<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}

impl From<&PackConfig> for Pack {
    fn from(pack: &PackConfig) -> Self {
        let PackConfig {
            name,
            description,
            queries,
            defaults,
            records,
        } = pack;
        let query = queries.iter().map(|query| written(Template::from(query)));
        let record = records.iter().map(|record| written(Record::from(record)));
        Self {
            name: written(name.clone()),
            description: description.clone(),
            defaults: defaults.clone(),
            query: query.collect(),
            record: record.collect(),
        }
    }
}

impl From<&RecordConfig> for Record {
    fn from(record: &RecordConfig) -> Self {
        let RecordConfig {
            name,
            description,
            keys,
            fields,
        } = record;
        Self {
            name: name.clone(),
            description: description.clone(),
            keys: keys.clone(),
            field: fields
                .iter()
                .map(|field| written(Field::from(field)))
                .collect(),
        }
    }
}

impl From<&FieldConfig> for Field {
    fn from(field: &FieldConfig) -> Self {
        let FieldConfig {
            name,
            query,
            by,
            unit,
            when,
            source,
        } = field;
        Self {
            name: name.clone(),
            query: written(query.clone()),
            by: (!by.is_empty()).then(|| written(by.clone())),
            unit: unit.clone(),
            when: when.clone(),
            source: source.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tidegate_core::{ParamConfig, ParamType, TemplateKind};

    use super::*;

    /// The packs that `text` defines, with none before them.
    fn read(text: &str) -> Result<Vec<PackConfig>, String> {
        let place = Place { name: "f", text };
        let file: PackFile =
            toml::from_str(text).map_err(|error| place.syntax(&error).to_string())?;
        let mut known = Vec::new();
        add(&mut known, &file.pack, place).map_err(|error| error.to_string())?;
        Ok(known)
    }

    fn refused(text: &str) -> String {
        read(text).unwrap_err()
    }

    #[test]
    fn every_shipped_pack_reads_back_from_its_toml() {
        for pack in packs::all() {
            let text = pack_toml(&pack);
            assert_eq!(read(&text), Ok(vec![pack]), "{text}");
        }
    }

    #[test]
    fn whatever_a_pack_can_say_reads_back() {
        let ms = Duration::from_millis;
        let pack = PackConfig {
            name: "own".into(),
            description: "quotes ' and \" and\na second line".into(),
            defaults: [
                ("k".into(), "it's \"3\"".into()),
                ("a.b".into(), String::new()),
            ]
            .into(),
            queries: vec![
                packs::node().queries[0].clone(),
                tidegate_core::TemplateConfig {
                    name: "q".into(),
                    kind: TemplateKind::Metric,
                    text: "up".into(),
                    params: vec![ParamConfig {
                        name: "k".into(),
                        kind: ParamType::Number,
                    }],
                    ttl: Some(ms(90_500)),
                    thresholds: Some(Thresholds {
                        fresh_below: ms(1),
                        warn_past: ms(60_000),
                        unavailable_past: ms(86_400_000),
                    }),
                    description: String::new(),
                },
            ],
            records: vec![RecordConfig {
                name: "r".into(),
                description: "d".into(),
                keys: vec!["pod".into(), "zone".into()],
                fields: vec![FieldConfig {
                    name: "f".into(),
                    query: "q".into(),
                    by: vec!["zone".into(), "pod".into()],
                    unit: "u".into(),
                    when: Some("w".into()),
                    source: Some("s".into()),
                }],
            }],
        };
        let text = pack_toml(&pack);
        assert_eq!(read(&text), Ok(vec![pack]), "{text}");
    }

    #[test]
    fn a_wrong_pack_is_shown_where_it_is_wrong() {
        let good = "[[pack]]\nname = \"p\"\n[[pack.query]]\nname = \"load\"\nquery = \"up\"\n\
                    [[pack.record]]\nname = \"r\"\nkeys = [\"node\"]\n\
                    [[pack.record.field]]\nname = \"f\"\nquery = \"load\"\nby = [\"node\"]\n";
        assert!(read(good).is_ok());
        for (from, to, expected) in [
            (
                "query = \"load\"",
                "query = \"laod\"",
                "f:11:9: pack p: record r, field f: no query \"laod\"; did you mean `load`?",
            ),
            (
                "by = [\"node\"]",
                "by = [\"nod\"]",
                "f:12:6: pack p: record r, field f: grouped by \"nod\", which is not a key; did you mean `node`?",
            ),
            (
                "keys = [\"node\"]",
                "keys = [\"node\", \"zone\"]",
                "f:6:1: pack p: record r: no field is grouped by all its keys; give one field",
            ),
            (
                "query = \"up\"",
                "query = 'up{a=\"x'",
                "f:3:1: pack p: template load, character",
            ),
            (
                "\"up\"",
                "\"up\"\nunits = \"x\"",
                "f:6:1: unknown key `units`",
            ),
            (
                "name = \"p\"",
                "name = \"a b\"",
                "f:2:8: pack a b: bad name \"a b\"",
            ),
            (
                "[[pack.record]]",
                "[[pack.query]]\nname = \"load\"\nmetric = \"up\"\n[[pack.record]]",
                "f:6:1: pack p: \"load\" is given twice",
            ),
        ] {
            let said = refused(&good.replacen(from, to, 1));
            assert!(said.starts_with(expected), "{said}");
        }
        let twice = refused(&good.repeat(2));
        assert!(
            twice.starts_with("f:14:8: there is a pack named \"p\" already"),
            "{twice}"
        );
    }
}
