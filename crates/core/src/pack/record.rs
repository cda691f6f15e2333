//! Records as Rust types: what to ask for one, and how it is read.

use alloc::string::String;
use alloc::vec::Vec;

use super::field::rollup;
use super::{MissingReason, NamedAnswer, OwnerMap, PackConfig, Params, RecordConfig, Row};
use crate::{Ask, Freshness};

/// A record of a pack as a type, so that a client can be generic over records.
///
/// ```
/// use tidegate_core::{PackRecord, Params, Query, ReplicaMetrics};
///
/// let params = Params::from([
///     ("modelID".into(), "llama-8b".into()),
///     ("namespace".into(), "default".into()),
/// ]);
/// let asks = ReplicaMetrics::queries(&params);
/// assert!(matches!(&asks[0].query, Query::Template { name, .. } if name == "kv_cache"));
///
/// // Whoever drives the collector asks, and hands back what came, by template name.
/// let replicas = ReplicaMetrics::from_answers(&params, &[]);
/// assert!(replicas.rows.is_empty());
/// ```
pub trait PackRecord: Sized {
    /// The name of its pack.
    const PACK: &'static str;
    /// Its name in the pack.
    const RECORD: &'static str;

    /// Its pack as shipped.
    fn pack() -> PackConfig;

    /// Reads one row. Fields that the row lacks are missing.
    fn from_row(row: &Row) -> Self;

    /// How fresh it is: the worst of the fields that are there.
    fn freshness(&self) -> Freshness;

    /// The pod it is about, if it is about one.
    fn pod(&self) -> Option<&str> {
        None
    }

    /// What to ask for these records. The pack's templates must be registered with whom is asked.
    /// The asks are about now and of the default source, unless changed before they are sent.
    fn queries(params: &Params) -> Vec<Ask> {
        let pack = Self::pack();
        definition::<Self>(&pack).asks(&pack.with_defaults(params))
    }

    /// Reads the records from what came back, named by template, in any order. An answer that is
    /// an error makes the fields that rest on it missing, and is listed among the problems.
    fn from_answers(params: &Params, answers: &[NamedAnswer]) -> Records<Self> {
        let pack = Self::pack();
        let record = definition::<Self>(&pack);
        let rows = record.rows(&pack.with_defaults(params), answers);
        let mut problems = problems(record, answers);
        if rows.is_empty() {
            problems.extend(record.why_empty(answers));
        }
        Records {
            rows: rows.iter().map(Self::from_row).collect(),
            problems,
        }
    }
}

fn definition<R: PackRecord>(pack: &PackConfig) -> &RecordConfig {
    pack.record(R::RECORD)
        .expect("a shipped pack has the records that are typed")
}

pub(super) fn problems(record: &RecordConfig, answers: &[NamedAnswer]) -> Vec<Problem> {
    let concerns = |query: &str| record.fields.iter().any(|field| field.query == query);
    let failures = answers.iter().filter_map(|(name, result)| match result {
        Err(error) if concerns(name) => Some(Problem {
            query: name.clone(),
            reason: MissingReason::from(error),
        }),
        Err(_) | Ok(_) => None,
    });
    failures.collect()
}

/// Records of one kind, and which of their queries failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Records<R> {
    /// The records, sorted by their keys. None where there is nothing, but also where every query
    /// that says what there is failed: look at the problems before concluding from an empty list.
    pub rows: Vec<R>,
    /// The queries that failed, in the order of the answers. Where there are no records, also the
    /// queries that were answered and matched nothing.
    pub problems: Vec<Problem>,
}

/// A query that failed, or that says why there are no records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The template's name.
    pub query: String,
    /// What went wrong.
    pub reason: MissingReason,
}

impl<R: PackRecord> Records<R> {
    /// Whether every query was answered.
    pub fn is_complete(&self) -> bool {
        !self
            .problems
            .iter()
            .any(|problem| problem.reason.is_failure())
    }

    /// The worst of the records that have data; missing where none has.
    pub fn freshness(&self) -> Freshness {
        rollup(self.rows.iter().map(PackRecord::freshness))
    }

    /// Those whose pod belongs to this owner.
    pub fn owned_by<'a>(
        &'a self,
        owner: &'a str,
        owners: &'a OwnerMap,
    ) -> impl Iterator<Item = &'a R> {
        self.rows.iter().filter(move |record| {
            let pod = record.pod();
            pod.and_then(|pod| owners.owner_of(pod)) == Some(owner)
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::super::testing::{failed, params, said};
    use super::*;
    use crate::NodeMetrics;

    #[test]
    fn no_records_are_explained_query_by_query() {
        let answers = [
            said("node_cpu", &[]),
            failed("node_ram"),
            said("other", &[]),
        ];
        let records = NodeMetrics::from_answers(&params(&[]), &answers);
        let told = |problem: &Problem| (problem.query.clone(), problem.reason.to_string());
        let told: Vec<_> = records.problems.iter().map(told).collect();
        assert!(records.rows.is_empty() && !records.is_complete());
        assert_eq!(told.len(), 2);
        assert_eq!(told[0].0, "node_ram");
        assert_eq!(
            (told[1].0.as_str(), told[1].1.as_str()),
            ("node_cpu", "no series matched at source prom")
        );
    }

    #[test]
    fn having_nothing_to_say_is_no_failure() {
        let nothing = NodeMetrics::from_answers(&params(&[]), &[said("node_cpu", &[])]);
        assert!(nothing.is_complete() && nothing.problems.len() == 1);
        let cpu = said("node_cpu", &[(&[("node", "a")], 1.0)]);
        let some = NodeMetrics::from_answers(&params(&[]), &[cpu, said("node_ram", &[])]);
        assert_eq!((some.rows.len(), some.problems.len()), (1, 0));
    }
}
