//! Tidegate's own series, and what can be asked of them: selectors, at an instant or over a range,
//! and lists.

mod list;
mod outbox;
mod refusing;
mod scraped;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::iter::Peekable;
use core::time::Duration;

use tidegate_series::{
    AppendError, DescribeError, Labels, Matcher, Metadata, Nearing, Ring, SeriesHandle, Store,
    is_stale, stale_marker,
};
use tidegate_wire::number::parse_api_duration_ns;
use tidegate_wire::{Columns, ColumnsBuilder, Data, QueryResponse};

use crate::promql::parse_selector;
use crate::record::{Record, Recorded, Refusal};
use crate::{Appended, ConfigError, LocalConfig, QueryError, Range, UnixMillis};

use self::outbox::Outbox;
use self::refusing::Refusing;

pub use scraped::family_of;
pub(crate) use scraped::{Instance, Scrape};

/// Samples in one answer: a million is some 30 MB of JSON, more than any reader draws.
const SAMPLES_PER_ANSWER_MAX: usize = 1_000_000;

/// What an answer warns of that a `limit` cut short, in Prometheus' words.
const CUT_SHORT: &str = "results truncated due to limit";

/// How far ahead of the wall clock a sample may lie: clocks of machines differ by less, and a
/// sample from the far future would shut its series for everything that comes before it.
const AHEAD_MAX: Duration = Duration::from_secs(600);

#[derive(Debug)]
pub(crate) struct Local {
    store: Store,
    lookback_ms: i64,
    expire_after: Duration,
    /// Where the series of each source's last batch are, in its order: most batches are like the
    /// one before.
    known: BTreeMap<String, Vec<SeriesHandle>>,
    refusing: Refusing,
    outbox: Outbox,
}

/// What is worth a line in a log.
#[derive(Debug)]
pub(crate) enum Notice {
    /// A limit comes near.
    Near(Nearing),
    /// Samples are refused.
    Refused(String),
    /// They are no more.
    Cleared(String),
}

/// What `local` says: the data, and the newest sample it rests on.
#[derive(Debug)]
pub(crate) struct LocalAnswer {
    /// The whole answer as text, where its data is a document.
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) response: QueryResponse,
    pub(crate) newest: Option<UnixMillis>,
}

impl Local {
    /// # Errors
    /// What is wrong with the bounds of single metrics.
    pub(crate) fn new(config: &LocalConfig) -> Result<Self, ConfigError> {
        Ok(Self {
            store: Store::with_rules(config.limits(), config.rules()?),
            lookback_ms: as_ms(config.lookback),
            expire_after: config.expire_after,
            known: BTreeMap::new(),
            refusing: Refusing::default(),
            outbox: Outbox::default(),
        })
    }

    pub(crate) const fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) const fn store_mut(&mut self) -> &mut Store {
        &mut self.store
    }

    /// Whether what is added is kept for [`take_appended`](Self::take_appended) from now on, with
    /// what was described before.
    pub(crate) fn feed_sinks(&mut self, feeds_sinks: bool) {
        if self.outbox.switch(feeds_sinks) {
            for (name, metadata) in self.store.descriptions() {
                self.outbox.family(name, metadata);
            }
        }
    }

    /// What was added since this was called last, if anything.
    pub(crate) fn take_appended(&mut self) -> Option<Appended> {
        self.outbox.take()
    }

    /// Keeps a description, if it says something new.
    pub(crate) fn describe(
        &mut self,
        name: &str,
        metadata: &Metadata,
    ) -> Result<(), DescribeError> {
        if self.store.metadata(name) != Some(metadata) {
            self.store.describe(name, metadata.clone())?;
            self.outbox.family(name, metadata);
        }
        Ok(())
    }

    /// Adds a batch, and the notices of it to those given.
    pub(crate) fn record(
        &mut self,
        record: &Record,
        wall: UnixMillis,
        notices: &mut Vec<Notice>,
    ) -> Recorded {
        let mut recorded = Recorded::default();
        for (index, family) in record.families.iter().enumerate() {
            if let Err(error) = self.describe(&family.name, &family.metadata) {
                recorded.families_refused.push((index, error));
            }
        }
        let mut known = self.known.remove(&record.source).unwrap_or_default();
        known.resize_with(record.samples.len(), nobody);
        for (index, (sample, handle)) in record.samples.iter().zip(&mut known).enumerate() {
            if handle.labels() != &sample.labels {
                *handle = SeriesHandle::new(sample.labels.clone());
            }
            match self.append(handle, sample.timestamp_ms, sample.value, wall) {
                Ok(()) => recorded.accepted += 1,
                Err(refusal) => {
                    let told = self.refusing.note(&sample.labels, &refusal);
                    notices.extend(told.map(Notice::Refused));
                    recorded.refused.push((index, refusal));
                    // The labels of what is refused are not held on to.
                    *handle = nobody();
                }
            }
        }
        self.known.insert(record.source.clone(), known);
        let nearing = self.store.take_nearing().into_iter();
        notices.extend(nearing.map(Notice::Near));
        recorded
    }

    pub(crate) const fn lookback_ms(&self) -> i64 {
        self.lookback_ms
    }

    /// Adds a sample of Tidegate's own, which is of this instant.
    pub(crate) fn keep(
        &mut self,
        labels: &Labels,
        value: f64,
        at: UnixMillis,
    ) -> Result<(), AppendError> {
        self.store.append(labels, at.0, value)?;
        self.outbox.sample(labels, at.0, value);
        Ok(())
    }

    /// Adds a sample whose time is believable now.
    fn append(
        &mut self,
        handle: &mut SeriesHandle,
        timestamp_ms: i64,
        value: f64,
        wall: UnixMillis,
    ) -> Result<(), Refusal> {
        let latest_ms = wall.0.saturating_add(as_ms(AHEAD_MAX));
        if timestamp_ms > latest_ms {
            return Err(Refusal::TooFarAhead {
                timestamp_ms,
                latest_ms,
            });
        }
        self.store
            .append_by(handle, timestamp_ms, value)
            .map_err(Refusal::Append)?;
        self.outbox.sample(handle.labels(), timestamp_ms, value);
        Ok(())
    }

    /// Lets go of where a source's series are; the series stay.
    pub(crate) fn forget(&mut self, source: &str) {
        self.known.remove(source);
    }

    /// The matchers of each of these selectors.
    pub(crate) fn matchers(selectors: &[String]) -> Result<Vec<Vec<Matcher>>, QueryError> {
        let selectors = list::selectors(selectors.iter().map(String::as_str))?;
        let matchers = selectors.into_iter().map(|selector| selector.matchers);
        Ok(matchers.collect())
    }

    /// The series that any of these selectors wants, or all without one.
    pub(crate) fn held(
        &self,
        selectors: &[String],
    ) -> Result<BTreeMap<&Labels, &Ring>, QueryError> {
        let selectors = Self::matchers(selectors)?;
        let mut held = BTreeMap::new();
        for matchers in &selectors {
            held.extend(self.store.select(matchers));
        }
        if selectors.is_empty() {
            held.extend(self.store.select(&[]));
        }
        Ok(held)
    }

    /// Ends and drops series that stopped arriving; what there is to tell since.
    pub(crate) fn cleanup(&mut self, wall: UnixMillis) -> Vec<Notice> {
        for (labels, ended_ms) in self.store.end_overdue(wall.0) {
            self.outbox.sample(&labels, ended_ms, stale_marker());
        }
        let after_ms = u64::try_from(self.expire_after.as_millis()).unwrap_or(u64::MAX);
        self.store.expire(wall.0, after_ms);
        let cleared = self.refusing.settle().into_iter().map(Notice::Cleared);
        cleared.collect()
    }

    /// Answers a selector at this instant. An instant selector takes each series' newest sample
    /// in `(at − lookback, at]`; a range takes all in `(at − range, at]`. Series without any are
    /// left out, as are stale markers.
    pub(crate) fn query(
        &self,
        text: &str,
        at: UnixMillis,
        options: LocalOptions,
    ) -> Result<LocalAnswer, QueryError> {
        let selector = parse_selector(text)?;
        let end_ms = at.0.saturating_sub(selector.offset_ms);
        let mut answer = Selected::new(options.series_max);
        match selector.range_ms {
            None => {
                let lookback_ms = options.lookback_ms.unwrap_or(self.lookback_ms);
                for (labels, ring) in self.store.select(&selector.matchers) {
                    if let Some((timestamp_ms, value)) = ring.at(end_ms, lookback_ms) {
                        answer.newest = answer.newest.max(Some(UnixMillis(timestamp_ms)));
                        answer.series(labels, [(at.0, value)].into_iter())?;
                    }
                }
                Ok(answer.finish(Data::Vector))
            }
            Some(range_ms) => {
                let start_ms = end_ms.saturating_sub(range_ms);
                for (labels, ring) in self.store.select(&selector.matchers) {
                    let points = ring.window(start_ms, end_ms);
                    let last = points.clone().next_back();
                    let newest = last.map(|(timestamp_ms, _)| UnixMillis(timestamp_ms));
                    answer.newest = answer.newest.max(newest);
                    answer.series(labels, points)?;
                }
                Ok(answer.finish(Data::Matrix))
            }
        }
    }

    /// Answers an instant selector at every instant of a range. Each takes a series' newest sample
    /// in `(instant − lookback, instant]`, unless that is a stale marker.
    pub(crate) fn query_range(
        &self,
        text: &str,
        range: &Range,
        options: LocalOptions,
    ) -> Result<LocalAnswer, QueryError> {
        let selector = parse_selector(text)?;
        if selector.range_ms.is_some() {
            return Err(QueryError::BadParameter {
                name: "query",
                value: text.into(),
                message: "invalid expression type \"range vector\" for range query, must be Scalar or instant Vector".into(),
            });
        }
        let lookback_ms = options.lookback_ms.unwrap_or(self.lookback_ms);
        let mut answer = Selected::new(options.series_max);
        for (labels, ring) in self.store.select(&selector.matchers) {
            let mut newest = None;
            let seen = seen(ring, range, selector.offset_ms, lookback_ms);
            let seen = seen.map(|(at_ms, (timestamp_ms, value))| {
                newest = Some(UnixMillis(timestamp_ms));
                (at_ms, value)
            });
            answer.series(labels, seen)?;
            answer.newest = answer.newest.max(newest);
        }
        Ok(answer.finish(Data::Matrix))
    }
}

/// A handle of no series that anybody pushes.
fn nobody() -> SeriesHandle {
    SeriesHandle::new(Labels::default())
}

/// What a query says beside its text.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LocalOptions {
    /// `lookback_delta`, where one above zero is given.
    lookback_ms: Option<i64>,
    /// `limit`, where one above zero is given.
    series_max: Option<usize>,
}

impl LocalOptions {
    /// From the further parameters of a query endpoint.
    pub(crate) fn of(extra: &[(String, String)]) -> Result<Self, QueryError> {
        let mut options = Self::default();
        for (name, value) in extra {
            match name.as_str() {
                "lookback_delta" => {
                    let ns = parse_api_duration_ns(value)
                        .map_err(|_| bad("lookback_delta", value, "it is no duration"))?;
                    options.lookback_ms = Some(ns / 1_000_000).filter(|&ms| ms > 0);
                }
                "limit" => options.series_max = limit(value)?,
                _ => {}
            }
        }
        Ok(options)
    }
}

/// Reads a `limit`: zero is none.
fn limit(value: &str) -> Result<Option<usize>, QueryError> {
    // By 32 bits, so that every target agrees; there are never as many series.
    let limit: u32 = value
        .parse()
        .map_err(|_| bad("limit", value, "it is no number from 0 to 4294967295"))?;
    Ok(usize::try_from(limit).ok().filter(|&limit| limit > 0))
}

fn bad(name: &'static str, value: &str, message: &str) -> QueryError {
    QueryError::BadParameter {
        name,
        value: value.into(),
        message: message.into(),
    }
}

/// The samples that a selector sees at the instants of a range, with each its instant.
struct Seen<P: Iterator> {
    points: Peekable<P>,
    /// The newest sample up to now.
    last: Option<(i64, f64)>,
    /// The next instant; `None` after the last.
    at_ms: Option<i64>,
    end_ms: i64,
    step_ms: i64,
    offset_ms: i64,
    lookback_ms: i64,
}

fn seen(
    ring: &Ring,
    range: &Range,
    offset_ms: i64,
    lookback_ms: i64,
) -> Seen<impl Iterator<Item = (i64, f64)>> {
    Seen {
        points: ring.points().peekable(),
        last: None,
        at_ms: Some(range.start.0),
        end_ms: range.end.0,
        // Samples lie on milliseconds.
        step_ms: as_ms(range.step).max(1),
        offset_ms,
        lookback_ms,
    }
}

impl<P: Iterator<Item = (i64, f64)>> Iterator for Seen<P> {
    type Item = (i64, (i64, f64));

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(at_ms) = self.at_ms.filter(|&at_ms| at_ms <= self.end_ms) {
            self.at_ms = at_ms.checked_add(self.step_ms);
            let until_ms = at_ms.saturating_sub(self.offset_ms);
            while let Some(point) = self.points.next_if(|&(time_ms, _)| time_ms <= until_ms) {
                self.last = Some(point);
            }
            let lookback_ms = u64::try_from(self.lookback_ms).unwrap_or(0);
            let seen = |&(time_ms, value): &(i64, f64)| {
                until_ms.abs_diff(time_ms) < lookback_ms && !is_stale(value)
            };
            if let Some(point) = self.last.filter(seen) {
                return Some((at_ms, point));
            }
        }
        None
    }
}

/// An answer in the making.
struct Selected {
    columns: ColumnsBuilder,
    series_max: Option<usize>,
    series: usize,
    samples: usize,
    cut: bool,
    newest: Option<UnixMillis>,
}

impl Selected {
    fn new(series_max: Option<usize>) -> Self {
        Self {
            columns: ColumnsBuilder::new(),
            series_max,
            series: 0,
            samples: 0,
            cut: false,
            newest: None,
        }
    }

    /// Adds a series, unless it has no points.
    fn series(
        &mut self,
        labels: &Labels,
        points: impl Iterator<Item = (i64, f64)>,
    ) -> Result<(), QueryError> {
        let mut points = points.peekable();
        if points.peek().is_none() {
            return Ok(());
        }
        if self.series_max.is_some_and(|limit| self.series == limit) {
            self.cut = true;
            return Ok(());
        }
        self.series += 1;
        begin(&mut self.columns, labels);
        for (timestamp_ms, value) in points {
            self.samples += 1;
            self.columns.sample(timestamp_ms, value);
        }
        if self.samples > SAMPLES_PER_ANSWER_MAX {
            let message = format!(
                "the answer has more than {SAMPLES_PER_ANSWER_MAX} samples: select fewer series, a shorter range or a wider step"
            );
            return Err(QueryError::Unsupported {
                message,
                position: 0,
            });
        }
        Ok(())
    }

    fn finish(self, data: impl FnOnce(Columns) -> Data) -> LocalAnswer {
        let mut response = QueryResponse::new(data(self.columns.finish()));
        if self.cut {
            response.warnings.push(CUT_SHORT.into());
        }
        LocalAnswer {
            body: None,
            response,
            newest: self.newest,
        }
    }
}

fn begin(columns: &mut ColumnsBuilder, labels: &Labels) {
    columns.begin_series();
    for (name, value) in labels.iter() {
        columns.label(name, value);
    }
}

fn as_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use tidegate_series::stale_marker;

    use super::*;
    use crate::Sample;

    fn local(samples: &[(&str, i64, f64)]) -> Local {
        let mut local = Local::new(&LocalConfig::default()).unwrap();
        let sample = |&(cpu, timestamp_ms, value): &(&str, i64, f64)| Sample {
            labels: Labels::from_pairs([("__name__", "node_load1"), ("cpu", cpu)]).unwrap(),
            timestamp_ms,
            value,
        };
        let record = Record {
            source: "node".into(),
            families: vec![],
            samples: samples.iter().map(sample).collect(),
        };
        let recorded = local.record(&record, UnixMillis(1_000_000), &mut vec![]);
        assert_eq!(recorded.refused, vec![]);
        local
    }

    #[test]
    fn a_batch_reaches_its_series_whatever_came_before() {
        let mut local = local(&[]);
        let sample = |cpu: &str, timestamp_ms| Sample {
            labels: Labels::from_pairs([("__name__", "load"), ("cpu", cpu)]).unwrap(),
            timestamp_ms,
            value: 1.0,
        };
        let record = |local: &mut Local, samples: &[(&str, i64)]| {
            let record = Record {
                source: "node".into(),
                families: vec![],
                samples: samples
                    .iter()
                    .map(|&(cpu, t_ms)| sample(cpu, t_ms))
                    .collect(),
            };
            let recorded = local.record(&record, UnixMillis(1_000_000), &mut vec![]);
            (recorded.accepted, recorded.refused.len())
        };
        // The same again, in another order, fewer, refused ones, and after all have expired.
        assert_eq!(record(&mut local, &[("0", 1), ("1", 1), ("2", 1)]), (3, 0));
        assert_eq!(record(&mut local, &[("0", 2), ("1", 2), ("2", 2)]), (3, 0));
        assert_eq!(record(&mut local, &[("2", 3), ("0", 3)]), (2, 0));
        assert_eq!(record(&mut local, &[("2", 1), ("0", 4), ("1", 4)]), (2, 1));
        assert_eq!(record(&mut local, &[("2", 4), ("0", 5), ("1", 5)]), (3, 0));
        let held = |local: &Local| -> Vec<(String, usize)> {
            let all = local.store.select(&[]);
            all.map(|(labels, ring)| (labels.value("cpu").unwrap().into(), ring.len()))
                .collect()
        };
        let expected = [("0", 5), ("1", 4), ("2", 4)];
        assert_eq!(held(&local), expected.map(|(cpu, n)| (cpu.into(), n)));
        local.store.expire(10, 0);
        assert_eq!(record(&mut local, &[("2", 9), ("1", 1)]), (2, 0));
        let expected = [("1", 1), ("2", 1)];
        assert_eq!(held(&local), expected.map(|(cpu, n)| (cpu.into(), n)));
    }

    fn body(local: &Local, query: &str, at: i64) -> String {
        let mut out = Vec::new();
        tidegate_wire::encode_query_response(
            &local
                .query(query, UnixMillis(at), LocalOptions::default())
                .unwrap()
                .response,
            &mut out,
        );
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_instant_selector_looks_back_five_minutes_and_no_further() {
        let local = local(&[("0", 1_000, 0.5)]);
        assert!(body(&local, "node_load1", 300_999).contains("[300.999,\"0.5\"]"));
        assert!(!body(&local, "node_load1", 301_000).contains("0.5"));
        assert!(!body(&local, "node_load1", 999).contains("0.5"));
        assert_eq!(
            local
                .query("node_load1", UnixMillis(2_000), LocalOptions::default())
                .unwrap()
                .newest,
            Some(UnixMillis(1_000))
        );
    }

    #[test]
    fn a_range_is_open_at_its_start_and_closed_at_its_end() {
        let local = local(&[
            ("0", 1_000, 1.0),
            ("0", 2_000, 2.0),
            ("0", 3_000, 3.0),
            ("1", 500, 9.0),
        ]);
        let all = body(&local, "node_load1[2s]", 3_000);
        assert!(
            all.contains("[[2,\"2\"],[3,\"3\"]]") && !all.contains("\"9\""),
            "{all}"
        );
        assert_eq!(
            body(&local, "node_load1{cpu='0'}[2s] offset 1s", 3_000),
            body(&local, "node_load1{cpu='0'}[2s]", 2_000)
        );
    }

    fn over(local: &Local, query: &str, from_to_step: [i64; 3], extra: &[(&str, &str)]) -> String {
        let [start, end, step_ms] = from_to_step;
        let range = Range {
            start: UnixMillis(start),
            end: UnixMillis(end),
            step: Duration::from_millis(step_ms.unsigned_abs()),
        };
        let extra: Vec<_> = extra
            .iter()
            .map(|&(name, value)| (name.into(), value.into()))
            .collect();
        let options = LocalOptions::of(&extra).unwrap();
        let mut out = Vec::new();
        let answer = local.query_range(query, &range, options).unwrap();
        tidegate_wire::encode_query_response(&answer.response, &mut out);
        let out = String::from_utf8(out).unwrap();
        let start = out.find("\"result\":").unwrap();
        out[start + 9..].into()
    }

    #[test]
    fn every_step_looks_back_on_its_own_and_a_stale_marker_ends_a_series() {
        let local = local(&[
            ("0", 1_000, 1.0),
            ("0", 2_500, 2.0),
            ("0", 4_000, stale_marker()),
            ("0", 6_000, 3.0),
        ]);
        let range = [0, 7_000, 1_000];
        assert!(
            over(&local, "node_load1", range, &[])
                .contains(r#""values":[[1,"1"],[2,"1"],[3,"2"],[6,"3"],[7,"3"]]"#),
            "{}",
            over(&local, "node_load1", range, &[])
        );
        let shifted = over(&local, "node_load1 offset 1s", range, &[]);
        assert!(
            shifted.contains(r#"[[2,"1"],[3,"1"],[4,"2"],[7,"3"]]"#),
            "{shifted}"
        );
        let short = over(&local, "node_load1", range, &[("lookback_delta", "1s")]);
        assert!(short.contains(r#"[[1,"1"],[3,"2"],[6,"3"]]"#), "{short}");
        assert_eq!(over(&local, "node_load1", [7_001, 7_000, 1], &[]), "[]}}");
    }

    #[test]
    fn a_limit_cuts_series_and_says_so() {
        let local = local(&[("0", 1_000, 1.0), ("1", 1_000, 1.0)]);
        let range = [1_000, 1_000, 1_000];
        let one = over(&local, "node_load1", range, &[("limit", "1")]);
        assert!(
            one.contains("truncated") && !one.contains(r#""cpu":"1""#),
            "{one}"
        );
        for limit in ["0", "2"] {
            let both = over(&local, "node_load1", range, &[("limit", limit)]);
            assert!(
                !both.contains("truncated") && both.contains(r#""cpu":"1""#),
                "{both}"
            );
        }
    }

    #[test]
    fn a_range_of_a_range_is_refused_as_prometheus_does() {
        let range = Range {
            start: UnixMillis(0),
            end: UnixMillis(0),
            step: Duration::from_secs(1),
        };
        let error = local(&[])
            .query_range("up[5m]", &range, LocalOptions::default())
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("must be Scalar or instant Vector"),
            "{error}"
        );
    }

    #[test]
    fn a_sample_from_the_far_future_is_refused_and_shuts_nothing() {
        let mut local = local(&[]);
        let labels = Labels::from_pairs([("__name__", "a")]).unwrap();
        let at = |timestamp_ms| Sample {
            labels: labels.clone(),
            timestamp_ms,
            value: 1.0,
        };
        let record = Record {
            samples: vec![at(600_001), at(600_000)],
            ..Record::default()
        };
        let recorded = local.record(&record, UnixMillis(0), &mut vec![]);
        assert_eq!((recorded.accepted, recorded.refused.len()), (1, 1));
        assert!(matches!(
            recorded.refused[0],
            (0, Refusal::TooFarAhead { .. })
        ));
    }

    #[test]
    fn more_than_a_selector_is_said_to_be_so() {
        let error = local(&[])
            .query("sum(node_load1)", UnixMillis(0), LocalOptions::default())
            .unwrap_err();
        assert!(
            matches!(error, QueryError::Unsupported { position: 0, .. }),
            "{error}"
        );
    }
}
