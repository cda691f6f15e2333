//! Questions to Tidegate's own series: a selector at an instant, or at every instant of a range.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::iter::Peekable;

use tidegate_series::{Labels, Ring, is_stale};
use tidegate_wire::number::parse_api_duration_ns;
use tidegate_wire::{Columns, ColumnsBuilder, Data, QueryResponse};

use super::{Local, as_ms};
use crate::promql::parse_selector;
use crate::{QueryError, Range, UnixMillis};

/// Samples in one answer: a million is some 30 MB of JSON, more than any reader draws.
const SAMPLES_PER_ANSWER_MAX: usize = 1_000_000;

/// What an answer warns of that a `limit` cut short, in Prometheus' words.
pub(super) const CUT_SHORT: &str = "results truncated due to limit";

/// What `local` says: the data, and the newest sample it rests on.
#[derive(Debug)]
pub(crate) struct LocalAnswer {
    /// The whole answer as text, where its data is a document.
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) response: QueryResponse,
    pub(crate) newest: Option<UnixMillis>,
}

impl Local {
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
pub(super) fn limit(value: &str) -> Result<Option<usize>, QueryError> {
    // By 32 bits, so that every target agrees; there are never as many series.
    let limit: u32 = value
        .parse()
        .map_err(|_| bad("limit", value, "it is no number from 0 to 4294967295"))?;
    Ok(usize::try_from(limit).ok().filter(|&limit| limit > 0))
}

pub(super) fn bad(name: &'static str, value: &str, message: &str) -> QueryError {
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

pub(super) fn begin(columns: &mut ColumnsBuilder, labels: &Labels) {
    columns.begin_series();
    for (name, value) in labels.iter() {
        columns.label(name, value);
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use core::time::Duration;

    use tidegate_series::stale_marker;

    use super::super::tests::local;
    use super::*;

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
