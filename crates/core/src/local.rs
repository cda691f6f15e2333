//! Tidegate's own series, and what can be asked of them: selectors, at an instant or over a range.

use alloc::format;
use core::time::Duration;

use tidegate_series::{Labels, Store, StoreLimits};
use tidegate_wire::{Columns, ColumnsBuilder, Data, QueryResponse};

use crate::promql::{Selector, parse_selector};
use crate::record::{Record, Recorded, Refusal};
use crate::{LocalConfig, QueryError, UnixMillis};

/// Samples in one answer: a million is some 30 MB of JSON, more than any reader draws.
const SAMPLES_PER_ANSWER_MAX: usize = 1_000_000;

/// How far ahead of the wall clock a sample may lie: clocks of machines differ by less, and a
/// sample from the far future would shut its series for everything that comes before it.
const AHEAD_MAX: Duration = Duration::from_secs(600);

#[derive(Debug)]
pub(crate) struct Local {
    store: Store,
    lookback_ms: i64,
    expire_after: Duration,
}

/// What `local` says: the data, and the newest sample it rests on.
#[derive(Debug)]
pub(crate) struct LocalAnswer {
    pub(crate) response: QueryResponse,
    pub(crate) newest: Option<UnixMillis>,
}

impl Local {
    pub(crate) fn new(config: LocalConfig) -> Self {
        let limits = StoreLimits {
            series_max: config.series_max,
            points_per_series_max: config.points_max,
            ..StoreLimits::default()
        };
        Self {
            store: Store::new(limits),
            lookback_ms: as_ms(config.lookback),
            expire_after: config.expire_after,
        }
    }

    pub(crate) const fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn record(&mut self, record: &Record, wall: UnixMillis) -> Recorded {
        let mut recorded = Recorded::default();
        for (index, family) in record.families.iter().enumerate() {
            if let Err(error) = self.store.describe(&family.name, family.metadata.clone()) {
                recorded.families_refused.push((index, error));
            }
        }
        let latest_ms = wall.0.saturating_add(as_ms(AHEAD_MAX));
        for (index, sample) in record.samples.iter().enumerate() {
            let verdict = if sample.timestamp_ms > latest_ms {
                Err(Refusal::TooFarAhead {
                    timestamp_ms: sample.timestamp_ms,
                    latest_ms,
                })
            } else {
                self.store
                    .append(&sample.labels, sample.timestamp_ms, sample.value)
                    .map_err(Refusal::Append)
            };
            match verdict {
                Ok(()) => recorded.accepted += 1,
                Err(refusal) => recorded.refused.push((index, refusal)),
            }
        }
        recorded
    }

    /// Drops series that stopped arriving.
    pub(crate) fn cleanup(&mut self, wall: UnixMillis) {
        self.store
            .expire(wall.0.saturating_sub(as_ms(self.expire_after)));
    }

    /// Answers a selector at this instant. An instant selector takes each series' newest sample
    /// in `(at − lookback, at]`; a range takes all in `(at − range, at]`. Series without any are
    /// left out, as are stale markers.
    pub(crate) fn query(&self, text: &str, at: UnixMillis) -> Result<LocalAnswer, QueryError> {
        let selector = parse_selector(text)?;
        let end_ms = at.0.saturating_sub(selector.offset_ms);
        match selector.range_ms {
            None => Ok(self.instant(&selector, end_ms, at)),
            Some(range_ms) => self.range(&selector, end_ms.saturating_sub(range_ms), end_ms),
        }
    }

    fn instant(&self, selector: &Selector, end_ms: i64, at: UnixMillis) -> LocalAnswer {
        let mut columns = ColumnsBuilder::new();
        let mut newest = None;
        for (labels, ring) in self.store.select(&selector.matchers) {
            if let Some((timestamp_ms, value)) = ring.at(end_ms, self.lookback_ms) {
                begin(&mut columns, labels);
                columns.sample(at.0, value);
                newest = newest.max(Some(UnixMillis(timestamp_ms)));
            }
        }
        LocalAnswer {
            response: QueryResponse::new(Data::Vector(columns.finish())),
            newest,
        }
    }

    fn range(
        &self,
        selector: &Selector,
        start_ms: i64,
        end_ms: i64,
    ) -> Result<LocalAnswer, QueryError> {
        let mut columns = ColumnsBuilder::new();
        let mut samples = 0;
        for (labels, ring) in self.store.select(&selector.matchers) {
            let mut points = ring.window(start_ms, end_ms).peekable();
            if points.peek().is_none() {
                continue;
            }
            begin(&mut columns, labels);
            for (timestamp_ms, value) in points {
                samples += 1;
                columns.sample(timestamp_ms, value);
            }
            if samples > SAMPLES_PER_ANSWER_MAX {
                let message = format!(
                    "the answer has more than {SAMPLES_PER_ANSWER_MAX} samples: select fewer series or a shorter range"
                );
                return Err(QueryError::Unsupported {
                    message,
                    position: 0,
                });
            }
        }
        let columns: Columns = columns.finish();
        let newest = columns.newest_ms().map(UnixMillis);
        Ok(LocalAnswer {
            response: QueryResponse::new(Data::Matrix(columns)),
            newest,
        })
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
    use alloc::string::String;
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;
    use crate::Sample;

    fn local(samples: &[(&str, i64, f64)]) -> Local {
        let mut local = Local::new(LocalConfig::default());
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
        assert_eq!(local.record(&record, UnixMillis(1_000_000)).refused, vec![]);
        local
    }

    fn body(local: &Local, query: &str, at: i64) -> String {
        let mut out = Vec::new();
        tidegate_wire::encode_query_response(
            &local.query(query, UnixMillis(at)).unwrap().response,
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
            local.query("node_load1", UnixMillis(2_000)).unwrap().newest,
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
        let recorded = local.record(&record, UnixMillis(0));
        assert_eq!((recorded.accepted, recorded.refused.len()), (1, 1));
        assert!(matches!(
            recorded.refused[0],
            (0, Refusal::TooFarAhead { .. })
        ));
    }

    #[test]
    fn more_than_a_selector_is_said_to_be_so() {
        let error = local(&[])
            .query("sum(node_load1)", UnixMillis(0))
            .unwrap_err();
        assert!(
            matches!(error, QueryError::Unsupported { position: 0, .. }),
            "{error}"
        );
    }
}
