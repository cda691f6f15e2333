//! A node and its functions over one window of time.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use super::field::rollup;
use super::record::problems;
use super::{
    FunctionMetrics, NamedAnswer, NodeMetrics, PackConfig, PackRecord, Params, Problem,
    RecordConfig, Row, packs,
};
use crate::{Answer, Ask, Freshness, Query, QueryError, UnixMillis};

/// The parameter that both packs choose a host by.
const NODE: &str = "node";

/// What to ask for a node and its functions, all over the same window.
///
/// Rates and means are over the window; what has no mean, as memory, stands as it was at the
/// window's end. The window is open at its start and closed at its end, as PromQL's are.
///
/// ```
/// use tidegate_core::{CollectPlan, Params, UnixMillis};
///
/// let plan = CollectPlan::new(UnixMillis(1_000_000), UnixMillis(1_060_000))?
///     .node(Params::from([("node".into(), "edge-1".into())]))
///     .function(Params::from([("function".into(), "resize".into())]));
/// let asks = plan.asks();
/// // Ask them all, in any order, and hand the results back in the order of the asks.
/// let collected = plan.read(&[]);
/// assert_eq!(collected.duration.as_secs(), 60);
/// assert_eq!(collected.node.cpu.value(), None);
/// assert_eq!(collected.functions[0].function, "resize");
/// # Ok::<(), tidegate_core::WindowError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectPlan {
    start: UnixMillis,
    end: UnixMillis,
    node: Params,
    functions: Vec<Params>,
}

impl CollectPlan {
    /// A plan for this window, of the default node and no functions.
    ///
    /// # Errors
    /// A window that does not end after its start.
    pub fn new(start: UnixMillis, end: UnixMillis) -> Result<Self, WindowError> {
        if end <= start {
            return Err(WindowError { start, end });
        }
        Ok(Self {
            start,
            end,
            node: Params::new(),
            functions: Vec::new(),
        })
    }

    /// The same plan of the node that these parameters of the pack `node` choose.
    #[must_use]
    pub fn node(mut self, params: Params) -> Self {
        self.node = params;
        self
    }

    /// The same plan, and the function that these parameters of the pack `functions` choose. Its
    /// processes are those of the plan's node, unless the parameters say otherwise.
    #[must_use]
    pub fn function(mut self, params: Params) -> Self {
        self.functions.push(params);
        self
    }

    /// What to ask: the node's queries, then each function's, all about the window's end.
    pub fn asks(&self) -> Vec<Ask> {
        self.groups()
            .into_iter()
            .flat_map(|group| group.asks)
            .collect()
    }

    /// Reads what came back, in the order of the [`asks`](Self::asks). What lacks counts as not
    /// asked.
    pub fn read(&self, results: &[Result<Answer, QueryError>]) -> CollectedMetrics {
        let rows = self.read_rows(results);
        CollectedMetrics {
            start: self.start,
            end: self.end,
            duration: self.duration(),
            freshness: rows.freshness(),
            node: NodeMetrics::from_row(&rows.node),
            functions: rows
                .functions
                .iter()
                .map(FunctionMetrics::from_row)
                .collect(),
            problems: rows.problems,
        }
    }

    /// Reads as [`read`](Self::read) does, into rows.
    pub fn read_rows(&self, results: &[Result<Answer, QueryError>]) -> CollectedRows {
        let mut left = results.iter();
        let mut problems = Vec::new();
        let mut rows = self.groups().into_iter().map(|group| {
            let named = |ask: &Ask| left.next().map(|result| (name(ask), result.clone()));
            let answers: Vec<NamedAnswer> = group.asks.iter().map_while(named).collect();
            group.read(&answers, &mut problems)
        });
        let node = rows.next().expect("the first group is the node's");
        let functions = rows.collect();
        CollectedRows {
            node,
            functions,
            problems,
        }
    }

    /// Where the window begins, exclusive.
    pub const fn start(&self) -> UnixMillis {
        self.start
    }

    /// Where the window ends, inclusive.
    pub const fn end(&self) -> UnixMillis {
        self.end
    }

    /// How long the window is. Never zero.
    pub const fn duration(&self) -> Duration {
        self.end.since(self.start)
    }

    fn groups(&self) -> Vec<Group> {
        let node = self.group::<NodeMetrics>(packs::node(), &self.node);
        // Process ids mean nothing beside the node they are of.
        let host = self.node.get_key_value(NODE);
        let function = |params: &Params| {
            let mut params = params.clone();
            if let Some((name, host)) = host {
                params.entry(name.clone()).or_insert_with(|| host.clone());
            }
            self.group::<FunctionMetrics>(packs::functions(), &params)
        };
        core::iter::once(node)
            .chain(self.functions.iter().map(function))
            .collect()
    }

    fn group<R: PackRecord>(&self, pack: PackConfig, params: &Params) -> Group {
        let mut params = pack.with_defaults(params);
        let window_ms = self.end.0.saturating_sub(self.start.0);
        params.insert("window".into(), format!("{window_ms}ms"));
        let record = pack
            .record(R::RECORD)
            .expect("a shipped pack has the records that are typed");
        let mut asks = record.asks(&params);
        for ask in &mut asks {
            ask.time = Some(self.end);
        }
        Group {
            record: record.clone(),
            params,
            asks,
        }
    }
}

/// The queries of one record.
struct Group {
    record: RecordConfig,
    params: Params,
    asks: Vec<Ask>,
}

impl Group {
    fn read(&self, answers: &[NamedAnswer], found: &mut Vec<Problem>) -> Row {
        found.extend(problems(&self.record, answers));
        self.record.one(&self.params, answers)
    }
}

fn name(ask: &Ask) -> String {
    match &ask.query {
        Query::Template { name, .. } => name.clone(),
        Query::PromQl(text) | Query::Endpoint { path: text, .. } => text.clone(),
    }
}

/// A node and its functions over one window.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectedMetrics {
    /// Where the window begins, exclusive.
    pub start: UnixMillis,
    /// Where it ends, inclusive.
    pub end: UnixMillis,
    /// How long it is. Never zero.
    pub duration: Duration,
    /// The node. Its fields are ambiguous where the parameters choose several.
    pub node: NodeMetrics,
    /// The functions, in the order of the plan.
    pub functions: Vec<FunctionMetrics>,
    /// The queries that failed.
    pub problems: Vec<Problem>,
    /// The worst of the records that have data.
    pub freshness: Freshness,
}

/// A node and its functions, as rows of their packs' records.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectedRows {
    /// The node. Its fields are ambiguous where the parameters choose several.
    pub node: Row,
    /// The functions, in the order of the plan.
    pub functions: Vec<Row>,
    /// The queries that failed.
    pub problems: Vec<Problem>,
}

impl CollectedRows {
    /// The worst of the rows that have data.
    pub fn freshness(&self) -> Freshness {
        let rows = self.functions.iter().chain([&self.node]);
        rollup(rows.map(Row::freshness))
    }
}

/// A window that does not end after its start; the asker is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowError {
    /// Where it begins.
    pub start: UnixMillis,
    /// Where it ends.
    pub end: UnixMillis,
}

impl fmt::Display for WindowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the window ends at {} ms, which is not after its start at {} ms",
            self.end, self.start
        )
    }
}

impl core::error::Error for WindowError {}

#[cfg(test)]
mod tests {
    use super::super::MissingReason;
    use super::super::testing::{answer, names, params, unreachable, vector};
    use super::*;

    fn plan() -> CollectPlan {
        CollectPlan::new(UnixMillis(1_000), UnixMillis(91_500))
            .unwrap()
            .node(params(&[("node", "edge-1"), ("power", "true")]))
            .function(params(&[("function", "a"), ("pid", "7")]))
            .function(params(&[("function", "b")]))
    }

    fn fresh(value: f64) -> Result<Answer, QueryError> {
        Ok(answer(
            "prom",
            vector(&[(&[("any", "label")], value)]),
            Freshness::Fresh,
        ))
    }

    #[test]
    fn every_ask_is_about_the_same_window() {
        let asks = plan().asks();
        assert_eq!(
            names(&asks),
            [
                "node_cpu",
                "node_ram",
                "node_ram_pct",
                "node_power",
                "function_cpu",
                "function_ram",
                "function_power",
                "function_cpu",
                "function_ram"
            ]
        );
        for ask in &asks {
            assert_eq!(ask.time, Some(UnixMillis(91_500)));
            let Query::Template { params, .. } = &ask.query else {
                panic!("a pack asks by template")
            };
            assert_eq!(params["window"], "90500ms");
            assert_eq!(params["node"], "edge-1");
        }
    }

    #[test]
    fn one_function_that_fails_leaves_the_others_and_the_node() {
        let mut results: Vec<_> = (1..=9).map(|value| fresh(f64::from(value))).collect();
        results[4] = Err(unreachable("prom"));
        results[5] = Err(unreachable("prom"));
        results[6] = Ok(answer("prom", vector(&[]), Freshness::Missing));
        let collected = plan().read(&results);
        let values = |function: &FunctionMetrics| (function.cpu.value(), function.ram.value());
        assert_eq!(collected.node.node, "edge-1");
        assert_eq!(collected.node.power.value(), Some(4.0));
        let [a, b] = &*collected.functions else {
            panic!("{collected:?}")
        };
        assert_eq!((&*a.function, values(a)), ("a", (None, None)));
        assert_eq!(a.power.reason(), Some(&MissingReason::NoData));
        assert_eq!(a.freshness, Freshness::Missing);
        assert_eq!((&*b.function, values(b)), ("b", (Some(8.0), Some(9.0))));
        assert_eq!(collected.problems.len(), 2);
        assert_eq!(collected.duration, Duration::from_millis(90_500));
        assert_eq!(collected.freshness, Freshness::Fresh);
    }

    #[test]
    fn several_nodes_or_sources_where_one_was_meant_are_ambiguous() {
        for labels in [("node", "n"), ("source", "s")] {
            let two = vector(&[(&[labels], 1.0), (&[(labels.0, "other")], 2.0)]);
            let collected = plan().read(&[Ok(answer("prom", two, Freshness::Fresh))]);
            let reason = Some(&MissingReason::Ambiguous { series: 2 });
            assert_eq!(collected.node.cpu.reason(), reason);
            assert_eq!(collected.node.ram.reason(), Some(&MissingReason::NotAsked));
        }
    }

    #[test]
    fn a_window_ends_after_its_start() {
        for (start, end) in [(5, 5), (6, 5)] {
            let error = CollectPlan::new(UnixMillis(start), UnixMillis(end)).unwrap_err();
            assert_eq!(error.end, UnixMillis(5));
        }
        assert!(CollectPlan::new(UnixMillis(5), UnixMillis(6)).is_ok());
        let widest = CollectPlan::new(UnixMillis(i64::MIN), UnixMillis(i64::MAX)).unwrap();
        assert_eq!(widest.asks().len(), 3);
    }
}
