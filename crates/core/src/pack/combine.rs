//! Merges what several sources answer to one question.

use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use tidegate_wire::{Columns, ColumnsBuilder, Data, QueryResponse, Series};

use crate::{Answer, Freshness, QueryError, UnixMillis};

/// The label that tells merged series apart: the name of the source that said them.
pub const SOURCE_LABEL: &str = "source";
/// What is put before a label that the source gave that name itself, as Prometheus does where a
/// target's label clashes with its own.
const EXPORTED_PREFIX: &str = "exported_";

/// Answers per question: more clusters than anyone asks at once, and the pods of one workload.
const PARTS_MAX: usize = 1_024;
/// What the labels of a merged answer may weigh, in bytes: enough for a million series of long
/// labels, and far from what the columns can address.
const LABEL_BYTES_MAX: usize = 256 << 20;

/// What several sources say together.
#[derive(Clone, Debug, PartialEq)]
pub struct Combined {
    /// The merged data, each series with its source's name as a label. A warning for each
    /// source that failed, with the reason; warnings and infos of the sources begin with their
    /// names.
    pub response: QueryResponse,
    /// The oldest of the instants that those with data speak for.
    pub as_of: UnixMillis,
    /// When the oldest of them was received.
    pub fetched_at: UnixMillis,
    /// The greatest age of those with data.
    pub age: Duration,
    /// The worst of those with data; missing where none has any.
    pub freshness: Freshness,
    /// The sources that failed, by name.
    pub failed: Vec<(String, QueryError)>,
}

/// Merges the results of one question, each with the name of the source that was asked. The order
/// they come in does not matter.
///
/// Series are ordered by source, and within each as it sent them; labels are sorted by name. A
/// label `source` that a series has already is kept as `exported_source` (with as many `exported_`
/// as it takes to be new). A series that comes twice, be it so sent or by such a renaming, counts
/// once, the first, with a warning. Scalars become a vector with one series for each source, which
/// has no other label. Lists of strings become one, sorted, each string once; label sets are told
/// apart as series are. Native histograms and NaN pass unchanged. An empty answer adds nothing, and
/// does not make the others less fresh.
///
/// # Errors
/// Where every source failed, the error of the first by name. [`QueryError::BadParameter`] for no
/// source, too many, or one named twice; [`QueryError::Unmergeable`] for a string, which cannot
/// carry a label, for a document, for answers of different types, and for an answer too large.
pub fn combine(results: &[(String, Result<Answer, QueryError>)]) -> Result<Combined, QueryError> {
    combine_as(SOURCE_LABEL, results)
}

/// Merges as [`combine`] does, with the names under another label: that of targets, for example.
///
/// # Errors
/// As [`combine`]; a [`QueryError::BadParameter`] is about the label's name.
pub fn combine_as(
    label: &'static str,
    results: &[(String, Result<Answer, QueryError>)],
) -> Result<Combined, QueryError> {
    let mut parts: Vec<_> = results.iter().collect();
    parts.sort_by_key(|(source, _)| source);
    check_names(label, &parts)?;
    let mut good = Vec::new();
    let mut failed = Vec::new();
    for (source, result) in parts {
        match result {
            Ok(answer) => good.push((source.as_str(), answer)),
            Err(error) => failed.push((source.clone(), error.clone())),
        }
    }
    if good.is_empty() {
        let first = failed.into_iter().next();
        return Err(first.expect("there is at least one result").1);
    }
    let mut merge = Merge::new(label, result_type(&good)?);
    for (source, error) in &failed {
        merge
            .response
            .warnings
            .push(format!("{source}: left out of this answer: {error}"));
    }
    for (source, answer) in &good {
        merge.add(source, answer)?;
    }
    let with_data = || {
        let any = good.iter().any(|(_, answer)| has_data(answer));
        good.iter()
            .map(|(_, answer)| *answer)
            .filter(move |answer| has_data(answer) || !any)
    };
    Ok(Combined {
        response: merge.finish(),
        as_of: with_data()
            .map(|answer| answer.as_of)
            .min()
            .unwrap_or_default(),
        fetched_at: with_data()
            .map(|answer| answer.fetched_at)
            .min()
            .unwrap_or_default(),
        age: with_data()
            .map(|answer| answer.age)
            .max()
            .unwrap_or_default(),
        freshness: with_data()
            .map(|answer| answer.freshness)
            .max()
            .unwrap_or(Freshness::Missing),
        failed,
    })
}

fn check_names(
    label: &'static str,
    parts: &[&(String, Result<Answer, QueryError>)],
) -> Result<(), QueryError> {
    let wrong = |value: &str, message: String| QueryError::BadParameter {
        name: label,
        value: value.into(),
        message,
    };
    if parts.is_empty() {
        return Err(wrong("", "none is named".into()));
    }
    if parts.len() > PARTS_MAX {
        let message = format!("{} are named, at most {PARTS_MAX} are taken", parts.len());
        return Err(wrong(&parts[0].0, message));
    }
    match parts.windows(2).find(|two| two[0].0 == two[1].0) {
        Some(two) => Err(wrong(&two[0].0, "it is named twice".into())),
        None => Ok(()),
    }
}

fn has_data(answer: &Answer) -> bool {
    answer.freshness != Freshness::Missing
        && match &answer.payload.response.data {
            Data::Vector(columns) | Data::Matrix(columns) | Data::Series(columns) => {
                !columns.is_empty()
            }
            Data::Strings(strings) => !strings.is_empty(),
            Data::Scalar { .. } | Data::String { .. } | Data::Document => true,
        }
}

/// The type that all answers are of.
fn result_type(good: &[(&str, &Answer)]) -> Result<&'static str, QueryError> {
    let (first, answer) = good[0];
    let expected = answer.payload.response.data.result_type();
    for (source, answer) in good {
        let found = answer.payload.response.data.result_type();
        if found != expected {
            return Err(unsupported(format!(
                "answers of different types cannot be merged: {first} answered with a {expected}, {source} with a {found}"
            )));
        }
    }
    match expected {
        "vector" | "matrix" | "scalar" | "series" | "strings" => Ok(expected),
        "string" => Err(unsupported(
            "strings of several sources cannot be merged: ask one source".into(),
        )),
        _ => Err(documents()),
    }
}

const fn unsupported(message: String) -> QueryError {
    QueryError::Unmergeable { message }
}

/// What is said where several sources answer with a document each.
pub(crate) fn documents() -> QueryError {
    unsupported("what several sources say here cannot be merged: ask one source".into())
}

struct Merge {
    label: &'static str,
    columns: ColumnsBuilder,
    strings: BTreeSet<String>,
    label_bytes: usize,
    result_type: &'static str,
    response: QueryResponse,
}

impl Merge {
    fn new(label: &'static str, result_type: &'static str) -> Self {
        Self {
            label,
            columns: ColumnsBuilder::new(),
            strings: BTreeSet::new(),
            label_bytes: 0,
            result_type,
            response: QueryResponse::new(Data::Vector(ColumnsBuilder::new().finish())),
        }
    }

    fn add(&mut self, source: &str, answer: &Answer) -> Result<(), QueryError> {
        let response = &answer.payload.response;
        let named = |text: &String| format!("{source}: {text}");
        self.response
            .warnings
            .extend(response.warnings.iter().map(named));
        self.response.infos.extend(response.infos.iter().map(named));
        if let Some(reason) = &answer.reason {
            self.response
                .infos
                .push(format!("{source}: answered from memory: {reason}"));
        }
        match &response.data {
            Data::Vector(columns) | Data::Matrix(columns) | Data::Series(columns) => {
                self.add_series(source, columns)?;
            }
            Data::Strings(strings) => self.add_strings(strings)?,
            Data::Scalar {
                timestamp_ms,
                value,
            } => {
                self.begin(&[(self.label.into(), source)])?;
                self.columns.sample(*timestamp_ms, *value);
            }
            Data::String { .. } | Data::Document => {}
        }
        Ok(())
    }

    fn add_strings(&mut self, strings: &[String]) -> Result<(), QueryError> {
        for string in strings {
            if self.strings.insert(string.clone()) {
                self.weigh(string.len())?;
            }
        }
        Ok(())
    }

    fn add_series(&mut self, source: &str, columns: &Columns) -> Result<(), QueryError> {
        let mut seen = BTreeSet::new();
        let mut twins = 0_usize;
        let mut example = String::new();
        for series in columns.iter() {
            let labels = labels(self.label, source, &series);
            if seen.contains(&labels) {
                twins += 1;
                if twins == 1 {
                    example = show(&labels);
                }
                continue;
            }
            self.begin(&labels)?;
            for (&at, &value) in series.timestamps_ms().iter().zip(series.values()) {
                self.columns.sample(at, value);
            }
            for (at, json) in series.histograms() {
                self.columns.histogram(at, json);
            }
            seen.insert(labels);
        }
        if twins > 0 {
            self.response.warnings.push(format!(
                "{source}: left out {twins} series that came before, such as {example}"
            ));
        }
        Ok(())
    }

    fn begin(&mut self, labels: &[(Cow<'_, str>, &str)]) -> Result<(), QueryError> {
        let bytes = labels.iter().map(|(name, value)| name.len() + value.len());
        self.weigh(bytes.sum())?;
        self.columns.begin_series();
        for (name, value) in labels {
            self.columns.label(name, value);
        }
        Ok(())
    }

    fn weigh(&mut self, bytes: usize) -> Result<(), QueryError> {
        self.label_bytes += bytes;
        if self.label_bytes > LABEL_BYTES_MAX {
            return Err(unsupported(format!(
                "the labels of all sources' answers weigh more than {LABEL_BYTES_MAX} bytes: select fewer series"
            )));
        }
        Ok(())
    }

    fn finish(self) -> QueryResponse {
        let columns = self.columns.finish();
        QueryResponse {
            data: match self.result_type {
                "matrix" => Data::Matrix(columns),
                "series" => Data::Series(columns),
                "strings" => Data::Strings(self.strings.into_iter().collect()),
                _ => Data::Vector(columns),
            },
            ..self.response
        }
    }
}

/// The labels of a series and its source's, sorted.
fn labels<'a>(
    label: &'static str,
    source: &'a str,
    series: &Series<'a>,
) -> Vec<(Cow<'a, str>, &'a str)> {
    let mut labels: Vec<_> = series
        .labels()
        .map(|(name, value)| (Cow::Borrowed(name), value))
        .collect();
    set_label(&mut labels, label, source);
    labels.sort();
    labels
}

/// Adds a label; one of that name that is there already stays under another.
pub(crate) fn set_label<'a>(
    labels: &mut Vec<(Cow<'a, str>, &'a str)>,
    label: &'static str,
    value: &'a str,
) {
    if let Some(at) = labels.iter().position(|(name, _)| name == label) {
        let mut name = format!("{EXPORTED_PREFIX}{label}");
        while labels.iter().any(|(taken, _)| *taken == name) {
            name.insert_str(0, EXPORTED_PREFIX);
        }
        labels[at].0 = name.into();
    }
    labels.push((label.into(), value));
}

fn show(labels: &[(Cow<'_, str>, &str)]) -> String {
    let parts: Vec<_> = labels
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    format!("{{{}}}", parts.join(","))
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::sync::Arc;
    use alloc::vec;

    use proptest::prelude::*;

    use super::super::testing::{AT, answer, unreachable, vector};
    use super::*;

    type Part = (String, Result<Answer, QueryError>);

    fn part(source: &str, series: &[(&[(&str, &str)], f64)]) -> Part {
        of(source, vector(series))
    }

    fn of(source: &str, data: Data) -> Part {
        (source.into(), Ok(answer(source, data, Freshness::Fresh)))
    }

    fn aged(source: &str, as_of: i64, freshness: Freshness, empty: bool) -> Part {
        let series: &[(&[(&str, &str)], f64)] = if empty { &[] } else { &[(&[], 1.0)] };
        let mut answer = answer(source, vector(series), freshness);
        answer.as_of = UnixMillis(as_of);
        answer.age = Duration::from_millis((AT - as_of).unsigned_abs());
        (source.into(), Ok(answer))
    }

    /// Each series as `name=value,…` and its values' bits.
    fn table(combined: &Combined) -> Vec<(String, Vec<u64>)> {
        let (Data::Vector(columns) | Data::Matrix(columns)) = &combined.response.data else {
            panic!("{combined:?}")
        };
        let row = |series: Series<'_>| {
            let labels: Vec<_> = series
                .labels()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let bits = series.values().iter().map(|value| value.to_bits());
            (labels.join(","), bits.collect())
        };
        columns.iter().map(row).collect()
    }

    fn labels_of(combined: &Combined) -> Vec<String> {
        table(combined)
            .into_iter()
            .map(|(labels, _)| labels)
            .collect()
    }

    #[test]
    fn series_carry_their_source_among_sorted_labels_whatever_the_order_of_arrival() {
        let parts = [
            part("us", &[(&[("job", "a"), ("zone", "z")], 3.0)]),
            part(
                "eu",
                &[
                    (&[("zone", "z"), ("job", "b")], 2.0),
                    (&[("job", "a")], f64::NAN),
                ],
            ),
        ];
        let combined = combine(&parts).unwrap();
        assert_eq!(
            table(&combined),
            [
                ("job=b,source=eu,zone=z".to_string(), vec![2f64.to_bits()]),
                ("job=a,source=eu".to_string(), vec![f64::NAN.to_bits()]),
                ("job=a,source=us,zone=z".to_string(), vec![3f64.to_bits()]),
            ]
        );
        let [a, b] = parts;
        assert_eq!(combine(&[b, a]).unwrap(), combined);
        assert_eq!(combined.response.warnings, Vec::<String>::new());
    }

    #[test]
    fn a_label_of_that_name_is_kept_under_another() {
        let combined = combine(&[part(
            "eu",
            &[
                (&[("source", "x")], 1.0),
                (&[("exported_source", "y"), ("source", "x")], 2.0),
            ],
        )])
        .unwrap();
        assert_eq!(
            labels_of(&combined),
            [
                "exported_source=x,source=eu",
                "exported_exported_source=x,exported_source=y,source=eu"
            ]
        );
    }

    #[test]
    fn targets_are_merged_under_their_own_label() {
        let parts = [
            part("b:9100", &[(&[("source", "s")], 1.0)]),
            part("a:9100", &[(&[("target", "t")], 2.0)]),
        ];
        assert_eq!(
            labels_of(&combine_as("target", &parts).unwrap()),
            ["exported_target=t,target=a:9100", "source=s,target=b:9100"]
        );
    }

    #[test]
    fn a_series_that_comes_twice_counts_once_with_a_warning() {
        let combined = combine(&[
            part(
                "eu",
                &[
                    (&[("a", "1")], 1.0),
                    (&[("a", "1")], 2.0),
                    (&[("source", "x")], 3.0),
                    (&[("exported_source", "x")], 4.0),
                ],
            ),
            part("us", &[(&[("a", "1")], 5.0)]),
        ])
        .unwrap();
        assert_eq!(
            labels_of(&combined),
            [
                "a=1,source=eu",
                "exported_source=x,source=eu",
                "a=1,source=us"
            ]
        );
        assert_eq!(
            combined.response.warnings,
            ["eu: left out 2 series that came before, such as {a=\"1\",source=\"eu\"}"]
        );
    }

    #[test]
    fn a_source_that_fails_is_a_warning_that_names_it_and_why() {
        let mut stale = part("eu", &[(&[], 1.0)]);
        let answer = stale.1.as_mut().unwrap();
        answer.reason = Some("connection refused".into());
        let payload = Arc::get_mut(&mut answer.payload).unwrap();
        payload.response.warnings.push("partial".into());
        payload.response.infos.push("not a counter".into());
        let combined = combine(&[("ap".into(), Err(unreachable("ap"))), stale]).unwrap();
        assert_eq!(
            combined.response.warnings,
            [
                "ap: left out of this answer: source ap failed: cannot connect: refused",
                "eu: partial"
            ]
        );
        assert_eq!(
            combined.response.infos,
            [
                "eu: not a counter",
                "eu: answered from memory: connection refused"
            ]
        );
        assert_eq!(combined.failed, [("ap".to_string(), unreachable("ap"))]);
        assert_eq!(combined.freshness, Freshness::Fresh);
    }

    #[test]
    fn where_all_fail_the_error_is_the_first_by_name() {
        let parts = ["us", "eu"].map(|source| (source.into(), Err(unreachable(source))));
        assert_eq!(combine(&parts), Err(unreachable("eu")));
    }

    #[test]
    fn the_whole_is_as_old_and_as_fresh_as_its_worst_part_with_data() {
        let parts = [
            aged("a", AT - 10, Freshness::Fresh, false),
            aged("b", AT - 90_000, Freshness::Stale, false),
            aged("c", AT - 400_000, Freshness::Missing, true),
        ];
        let combined = combine(&parts).unwrap();
        assert_eq!(combined.as_of, UnixMillis(AT - 90_000));
        assert_eq!(combined.age, Duration::from_secs(90));
        assert_eq!(combined.freshness, Freshness::Stale);
        let nothing = combine(&parts[2..]).unwrap();
        assert_eq!(nothing.freshness, Freshness::Missing);
        assert_eq!(nothing.as_of, UnixMillis(AT - 400_000));
        assert_eq!(table(&nothing), []);
    }

    #[test]
    fn matrices_keep_their_samples_and_histograms() {
        let mut columns = ColumnsBuilder::new();
        columns.begin_series();
        columns.label("a", "1");
        columns.sample(1, 1.0);
        columns.sample(2, f64::INFINITY);
        columns.histogram(3, "{\"count\":\"1\"}");
        let combined = combine(&[of("eu", Data::Matrix(columns.finish()))]).unwrap();
        let Data::Matrix(merged) = &combined.response.data else {
            panic!("{combined:?}")
        };
        let series = merged.series(0);
        assert_eq!(series.timestamps_ms(), [1, 2]);
        assert_eq!(series.values(), [1.0, f64::INFINITY]);
        assert_eq!(
            series.histograms().collect::<Vec<_>>(),
            [(3, "{\"count\":\"1\"}")]
        );
    }

    #[test]
    fn scalars_become_a_vector_and_strings_are_refused() {
        let scalar = |value| Data::Scalar {
            timestamp_ms: AT,
            value,
        };
        let combined = combine(&[of("b", scalar(2.0)), of("a", scalar(1.0))]).unwrap();
        assert_eq!(labels_of(&combined), ["source=a", "source=b"]);
        assert!(matches!(combined.response.data, Data::Vector(_)));
        let string = Data::String {
            timestamp_ms: AT,
            value: "x".into(),
        };
        let error = combine(&[of("a", string)]).unwrap_err();
        assert!(matches!(error, QueryError::Unmergeable { .. }), "{error}");
        let error = combine(&[of("a", scalar(1.0)), part("b", &[])]).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("a answered with a scalar, b with a vector"),
            "{error}"
        );
    }

    #[test]
    fn sources_are_named_once_and_not_without_number() {
        let said = |parts: &[Part]| combine(parts).unwrap_err().to_string();
        assert!(said(&[]).contains("none is named"));
        assert!(said(&[part("a", &[]), part("a", &[])]).contains("named twice"));
        let many: Vec<_> = (0..=PARTS_MAX)
            .map(|index| part(&index.to_string(), &[]))
            .collect();
        assert!(said(&many).contains("at most 1024"));
        assert!(combine(&many[1..]).is_ok());
    }

    proptest! {
        #[test]
        fn no_order_of_arrival_changes_the_answer(
            seeds in prop::collection::btree_map("[a-d]", prop::collection::vec(("[a-c]", any::<f64>()), 0..4), 1..4),
            turn in 0usize..4,
        ) {
            let mut parts: Vec<Part> = seeds
                .iter()
                .map(|(source, series)| {
                    let mut columns = ColumnsBuilder::new();
                    for (value, number) in series {
                        columns.begin_series();
                        columns.label("source", value);
                        columns.sample(AT, *number);
                    }
                    of(source, Data::Vector(columns.finish()))
                })
                .collect();
            let first = combine(&parts).unwrap();
            let turn = turn % parts.len();
            parts.rotate_left(turn);
            prop_assert_eq!(combine(&parts).unwrap(), first.clone());
            let mut labels = labels_of(&first);
            let all = labels.len();
            labels.sort();
            labels.dedup();
            prop_assert_eq!(labels.len(), all);
        }
    }
}
