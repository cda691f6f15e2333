//! Reads the rows of a record from answers.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use tidegate_wire::{Columns, Data, Series};

use super::combine::SOURCE_LABEL;
use super::field::rollup;
use super::owner::POD_KEY;
use super::{Field, FieldConfig, MissingReason, Params, Problem, RecordConfig};
use crate::{Answer, Freshness, QueryError};

/// What came back for the template of this name.
pub type NamedAnswer = (String, Result<Answer, QueryError>);

/// One row of a record: its keys, and its fields in the order of the record's definition.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    keys: Vec<(String, String)>,
    source: Option<String>,
    fields: Vec<(String, Field)>,
}

impl Row {
    /// The value of a key; empty where the series lacked the label, or there is no such key.
    pub fn key(&self, name: &str) -> &str {
        let found = self.keys.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }

    /// Keys and their values, in the order of the record's definition.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.keys.iter().map(|(key, value)| (&**key, &**value))
    }

    /// Which of several sources the row is about, where answers of several were merged.
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// The pod it is about, where the record has pods: see [`RecordConfig::has_pods`].
    pub fn pod(&self) -> Option<&str> {
        let found = self.keys.iter().find(|(key, _)| key == POD_KEY);
        found.map(|(_, pod)| pod.as_str())
    }

    /// The field of this name; [not asked](MissingReason::NotAsked) where the record has none.
    pub fn field(&self, name: &str) -> Field {
        let found = self.fields.iter().find(|(field, _)| field == name);
        found.map_or_else(
            || Field::missing(MissingReason::NotAsked),
            |(_, field)| field.clone(),
        )
    }

    /// Names and fields, in the order of the record's definition.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (&str, &Field)> {
        self.fields.iter().map(|(name, field)| (&**name, field))
    }

    /// The worst of the fields that are there; missing where none is.
    pub fn freshness(&self) -> Freshness {
        rollup(self.fields.iter().map(|(_, field)| field.freshness()))
    }
}

impl RecordConfig {
    /// The rows that these answers tell of, sorted by their keys.
    ///
    /// There is a row for each combination of all keys that any field names; the other fields join
    /// the rows whose keys they share. Where no field is grouped there is exactly one row, with
    /// the parameters of the keys' names as its keys. A failed query makes its fields missing in
    /// every row, and touches no other; where all that name rows fail there are no rows.
    ///
    /// Answers merged from several sources are told apart by their label `source`: then there is a
    /// row for each source as well, and fields from a single source join the rows of every one.
    ///
    /// `params` are those that were asked with, see [`asks`](Self::asks). Of several answers to
    /// one template the first counts. The number of rows is bounded by what decoding took.
    pub fn rows(&self, params: &Params, answers: &[NamedAnswer]) -> Vec<Row> {
        self.read(params, answers, true)
    }

    /// The record of exactly one thing, whatever its fields are grouped by: its keys are the
    /// parameters of their names, and where several series answer a field, it is
    /// [ambiguous](MissingReason::Ambiguous).
    pub fn one(&self, params: &Params, answers: &[NamedAnswer]) -> Row {
        let mut ungrouped = self.clone();
        for field in &mut ungrouped.fields {
            field.by.clear();
        }
        let mut rows = ungrouped.read(params, answers, false);
        rows.pop().expect("without groups there is one row")
    }

    /// Why there are no rows: the queries that were answered, and named none. Those that failed
    /// are not among them.
    pub fn why_empty(&self, answers: &[NamedAnswer]) -> Vec<Problem> {
        let mut seen = BTreeSet::new();
        let queries = self.fields.iter().map(|field| &field.query);
        let new = queries.filter(|query| seen.insert(*query));
        let reason = |query: &String| {
            let (_, result) = answers.iter().find(|(name, _)| name == query)?;
            let answer = result.as_ref().ok()?;
            let reason = match &answer.payload.response.data {
                Data::Vector(columns) if columns.iter().next().is_some() => return None,
                Data::Vector(_) => MissingReason::NoSeries {
                    source: (*answer.source).into(),
                },
                other @ (Data::Scalar { .. }
                | Data::Matrix(_)
                | Data::String { .. }
                | Data::Strings(_)
                | Data::Series(_)
                | Data::Document) => MissingReason::WrongType {
                    found: other.result_type(),
                },
            };
            Some(Problem {
                query: query.clone(),
                reason,
            })
        };
        new.filter_map(reason).collect()
    }

    /// Whether its rows are about pods, which have owners: whether `pod` is among its keys.
    pub fn has_pods(&self) -> bool {
        self.keys.iter().any(|key| key == POD_KEY)
    }

    fn read(&self, params: &Params, answers: &[NamedAnswer], by_source: bool) -> Vec<Row> {
        let mut columns: Vec<Column<'_>> = self
            .fields
            .iter()
            .map(|field| Column::new(field, params, answers))
            .collect();
        let names_rows = self.row_names();
        let named = || columns.iter().zip(&names_rows);
        let by_source = by_source && named().any(|(column, names)| *names && column.has_source);
        for column in &mut columns {
            column.group(by_source);
        }
        let mut ids = BTreeSet::new();
        for (column, _) in columns.iter().zip(&names_rows).filter(|(_, names)| **names) {
            if column.by_source == by_source {
                ids.extend(column.groups.keys().map(|group| column.row_id(self, group)));
            }
        }
        if !self.is_grouped() && ids.is_empty() {
            ids.insert(RowId {
                keys: vec![""; self.keys.len()],
                source: "",
            });
        }
        let make = |id: RowId<'_>| self.row(&id, &columns, params, by_source);
        ids.into_iter().map(make).collect()
    }

    /// For each field, whether its series say which rows there are.
    fn row_names(&self) -> Vec<bool> {
        let grouped = self.is_grouped();
        let names = |field| !grouped || self.names_rows(field);
        self.fields.iter().map(names).collect()
    }

    fn row(&self, id: &RowId<'_>, columns: &[Column<'_>], params: &Params, by_source: bool) -> Row {
        let grouped = self.is_grouped();
        let keys = self.keys.iter().zip(&id.keys).map(|(key, value)| {
            let value = match params.get(key) {
                Some(given) if !grouped => given.clone(),
                Some(_) | None => (*value).into(),
            };
            (key.clone(), value)
        });
        let fields = columns
            .iter()
            .map(|column| (column.field.name.clone(), column.value(self, id)));
        Row {
            keys: keys.collect(),
            source: (by_source && !id.source.is_empty()).then(|| id.source.into()),
            fields: fields.collect(),
        }
    }
}

/// What tells rows apart: the values of the record's keys, in their order, and the source.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct RowId<'a> {
    keys: Vec<&'a str>,
    source: &'a str,
}

/// Everything that is known about one field.
struct Column<'a> {
    field: &'a FieldConfig,
    said: Result<&'a Answer, MissingReason>,
    has_source: bool,
    by_source: bool,
    groups: BTreeMap<Vec<&'a str>, Field>,
}

impl<'a> Column<'a> {
    fn new(field: &'a FieldConfig, params: &Params, answers: &'a [NamedAnswer]) -> Self {
        let found = answers.iter().find(|(name, _)| *name == field.query);
        let said = match (found, &field.when) {
            (Some((_, Ok(answer))), _) => Ok(answer),
            (Some((_, Err(error))), _) => Err(MissingReason::from(error)),
            (None, Some(param)) if !field.is_on(params) => Err(MissingReason::NotEnabled {
                param: param.clone(),
            }),
            (None, _) => Err(MissingReason::NotAsked),
        };
        let has_source = said
            .as_ref()
            .ok()
            .and_then(|answer| series(answer))
            .is_some_and(|columns| columns.iter().any(|one| one.label(SOURCE_LABEL).is_some()));
        Self {
            field,
            said,
            has_source,
            by_source: false,
            groups: BTreeMap::new(),
        }
    }

    /// Sorts the answer's series into groups; two in one group are ambiguous.
    fn group(&mut self, by_source: bool) {
        self.by_source = by_source && self.has_source;
        let Ok(answer) = self.said else { return };
        let columns = match &answer.payload.response.data {
            Data::Vector(columns) => columns,
            // It has no labels, so it is the value of the only group.
            Data::Scalar { value, .. } if self.field.by.is_empty() => {
                let field = present(answer, answer.source.clone(), *value);
                self.groups.insert(Vec::new(), field);
                return;
            }
            other @ (Data::Scalar { .. }
            | Data::Matrix(_)
            | Data::String { .. }
            | Data::Strings(_)
            | Data::Series(_)
            | Data::Document) => {
                self.said = Err(MissingReason::WrongType {
                    found: other.result_type(),
                });
                return;
            }
        };
        let mut counts: BTreeMap<Vec<&'a str>, usize> = BTreeMap::new();
        for one in columns.iter() {
            let group = self.group_of(&one);
            let count = counts.entry(group.clone()).or_default();
            *count += 1;
            let field = match *count {
                1 => read(answer, &one),
                series => Field::missing(MissingReason::Ambiguous { series }),
            };
            self.groups.insert(group, field);
        }
    }

    fn group_of(&self, series: &Series<'a>) -> Vec<&'a str> {
        let source = self.by_source.then_some(SOURCE_LABEL);
        let labels = self.field.by.iter().map(String::as_str).chain(source);
        labels
            .map(|label| series.label(label).unwrap_or_default())
            .collect()
    }

    /// The row that a group of a column that names rows belongs to.
    fn row_id(&self, record: &RecordConfig, group: &[&'a str]) -> RowId<'a> {
        let key = |key: &String| {
            let at = self.field.by.iter().position(|label| label == key);
            at.map_or("", |at| group[at])
        };
        RowId {
            keys: record.keys.iter().map(key).collect(),
            source: if self.by_source {
                group[self.field.by.len()]
            } else {
                ""
            },
        }
    }

    fn value(&self, record: &RecordConfig, row: &RowId<'_>) -> Field {
        if let Err(reason) = &self.said {
            return Field::missing(reason.clone());
        }
        let key = |label: &String| {
            let at = record.keys.iter().position(|key| key == label);
            at.map_or("", |at| row.keys[at])
        };
        let source = self.by_source.then_some(row.source);
        let group: Vec<&str> = self.field.by.iter().map(key).chain(source).collect();
        self.groups
            .get(&group)
            .cloned()
            .unwrap_or_else(|| Field::missing(MissingReason::NoData))
    }
}

fn series(answer: &Answer) -> Option<&Columns> {
    match &answer.payload.response.data {
        Data::Vector(columns) => Some(columns),
        Data::Matrix(_)
        | Data::Scalar { .. }
        | Data::String { .. }
        | Data::Strings(_)
        | Data::Series(_)
        | Data::Document => None,
    }
}

fn read(answer: &Answer, series: &Series<'_>) -> Field {
    let source = series
        .label(SOURCE_LABEL)
        .map_or_else(|| answer.source.clone(), Arc::from);
    match series.values().last() {
        Some(&value) => present(answer, source, value),
        None if series.histograms().len() > 0 => {
            Field::missing(MissingReason::WrongType { found: "histogram" })
        }
        None => Field::missing(MissingReason::NoData),
    }
}

fn present(answer: &Answer, source: Arc<str>, value: f64) -> Field {
    if value.is_nan() {
        return Field::missing(MissingReason::NotANumber);
    }
    Field::Present {
        value,
        as_of: answer.as_of,
        freshness: answer.freshness,
        source,
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use tidegate_wire::ColumnsBuilder;

    use super::super::testing::{AT, answer, failed, params, said, vector};
    use super::*;
    use crate::UnixMillis;

    fn field(name: &str, by: &[&str]) -> FieldConfig {
        FieldConfig {
            name: name.into(),
            query: name.into(),
            by: by.iter().map(ToString::to_string).collect(),
            ..FieldConfig::default()
        }
    }

    fn record(keys: &[&str], fields: Vec<FieldConfig>) -> RecordConfig {
        RecordConfig {
            name: "r".into(),
            keys: keys.iter().map(ToString::to_string).collect(),
            fields,
            ..RecordConfig::default()
        }
    }

    fn only(data: Data) -> Field {
        let record = record(&[], vec![field("a", &[])]);
        let answers = [("a".into(), Ok(answer("prom", data, Freshness::Stale)))];
        let rows = record.rows(&Params::new(), &answers);
        assert_eq!(rows.len(), 1);
        rows[0].field("a")
    }

    #[test]
    fn the_value_of_the_only_series_carries_its_provenance() {
        let expected = Field::Present {
            value: 2.5,
            as_of: UnixMillis(AT),
            freshness: Freshness::Stale,
            source: "prom".into(),
        };
        assert_eq!(only(vector(&[(&[("x", "1")], 2.5)])), expected);
        let scalar = Data::Scalar {
            timestamp_ms: AT,
            value: 2.5,
        };
        assert_eq!(only(scalar), expected);
    }

    #[test]
    fn what_is_not_one_number_is_missing_and_says_why() {
        let reason = |data| match only(data) {
            Field::Missing { reason } => reason,
            present @ Field::Present { .. } => panic!("{present:?}"),
        };
        assert_eq!(reason(vector(&[])), MissingReason::NoData);
        assert_eq!(
            reason(vector(&[(&[], f64::NAN)])),
            MissingReason::NotANumber
        );
        let two = vector(&[(&[("x", "1")], 1.0), (&[("x", "2")], 2.0)]);
        assert_eq!(reason(two), MissingReason::Ambiguous { series: 2 });
        let mut histogram = ColumnsBuilder::new();
        histogram.begin_series();
        histogram.histogram(AT, "{}");
        let histogram = Data::Vector(histogram.finish());
        assert_eq!(
            reason(histogram),
            MissingReason::WrongType { found: "histogram" }
        );
        let mut matrix = ColumnsBuilder::new();
        matrix.sample(AT, 1.0);
        let matrix = Data::Matrix(matrix.finish());
        assert_eq!(reason(matrix), MissingReason::WrongType { found: "matrix" });
        assert_eq!(
            only(vector(&[(&[], f64::INFINITY)])).value(),
            Some(f64::INFINITY)
        );
        assert_eq!(only(vector(&[(&[], 0.0)])).value(), Some(0.0));
    }

    #[test]
    fn rows_are_the_union_of_groups_and_coarser_fields_join_them() {
        let record = record(
            &["pod", "zone"],
            vec![
                field("a", &["zone", "pod"]),
                field("b", &["pod", "zone"]),
                field("c", &["zone"]),
                field("d", &[]),
            ],
        );
        let answers = [
            said("a", &[(&[("pod", "2"), ("zone", "x")], 1.0)]),
            said("b", &[(&[("pod", "1"), ("zone", "y"), ("more", "m")], 2.0)]),
            said("c", &[(&[("zone", "x")], 3.0)]),
            said("d", &[(&[], 4.0)]),
        ];
        let rows = record.rows(&params(&[("pod", "not a key here")]), &answers);
        let table: Vec<_> = rows
            .iter()
            .map(|row| {
                let value = |name| row.field(name).value();
                (
                    row.key("pod"),
                    row.key("zone"),
                    value("a"),
                    value("b"),
                    value("c"),
                    value("d"),
                )
            })
            .collect();
        assert_eq!(
            table,
            [
                ("1", "y", None, Some(2.0), None, Some(4.0)),
                ("2", "x", Some(1.0), None, Some(3.0), Some(4.0)),
            ]
        );
        let mut shuffled = answers.to_vec();
        shuffled.reverse();
        assert_eq!(
            record.rows(&params(&[("pod", "not a key here")]), &shuffled),
            rows
        );
    }

    #[test]
    fn one_failed_query_leaves_the_other_fields() {
        let record = record(&["pod"], vec![field("a", &["pod"]), field("b", &["pod"])]);
        let answers = [said("a", &[(&[("pod", "1")], 1.0)]), failed("b")];
        let rows = record.rows(&Params::new(), &answers);
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].field("a").value(), Some(1.0));
        assert!(matches!(
            rows[0].field("b").reason(),
            Some(MissingReason::SourceUnavailable { .. })
        ));
        assert_eq!(rows[0].freshness(), Freshness::Fresh);
        assert_eq!(record.rows(&Params::new(), &[failed("a"), failed("b")]), []);
    }

    #[test]
    fn without_groups_there_is_one_row_named_by_the_parameters() {
        let record = record(
            &["node"],
            vec![field("a", &["node"]), field("b", &["node"])],
        );
        let row = record.one(&params(&[("node", "edge-1")]), &[failed("a")]);
        assert_eq!(row.key("node"), "edge-1");
        assert_eq!(row.freshness(), Freshness::Missing);
        assert_eq!(row.field("b").reason(), Some(&MissingReason::NotAsked));
    }

    #[test]
    fn merged_answers_are_rows_of_their_own_for_each_source() {
        let record = record(&["pod"], vec![field("a", &["pod"]), field("b", &["pod"])]);
        let answers = [
            said(
                "a",
                &[
                    (&[("pod", "1"), ("source", "eu")], 1.0),
                    (&[("pod", "1"), ("source", "us")], 2.0),
                ],
            ),
            said("b", &[(&[("pod", "1")], 3.0)]),
        ];
        let rows = record.rows(&Params::new(), &answers);
        let table: Vec<_> = rows
            .iter()
            .map(|row| (row.source(), row.field("a").value(), row.field("b").value()))
            .collect();
        assert_eq!(
            table,
            [
                (Some("eu"), Some(1.0), Some(3.0)),
                (Some("us"), Some(2.0), Some(3.0))
            ]
        );
        assert_eq!(rows[1].field("a").source(), Some("us"));
        assert_eq!(rows[1].field("b").source(), Some("prom"));
    }

    #[test]
    fn merged_answers_about_one_thing_are_one_row_for_each_source() {
        let record = record(&["node"], vec![field("a", &[]), field("b", &[])]);
        let answers = [
            said(
                "a",
                &[(&[("source", "eu")], 1.0), (&[("source", "us")], 2.0)],
            ),
            said("b", &[]),
        ];
        let rows = record.rows(&params(&[("node", "n")]), &answers);
        let table: Vec<_> = rows
            .iter()
            .map(|row| (row.key("node"), row.source(), row.field("a").value()))
            .collect();
        assert_eq!(
            table,
            [("n", Some("eu"), Some(1.0)), ("n", Some("us"), Some(2.0))]
        );
    }
}
