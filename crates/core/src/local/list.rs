//! Lists of Tidegate's own series: their label sets, names, values and descriptions.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use tidegate_series::Labels;
use tidegate_wire::json::Writer;
use tidegate_wire::number::parse_timestamp_ms;
use tidegate_wire::{ColumnsBuilder, Data, QueryResponse};

use super::asking::{CUT_SHORT, bad, begin, limit};
use super::{Local, LocalAnswer};
use crate::promql::{Selector, parse_selector};
use crate::question::label_of;
use crate::{QueryError, UnixMillis};

impl Local {
    /// Answers `series`, `labels`, `label/<name>/values` and `metadata`, about the samples held
    /// between `start` and `end`, both included; `None` for any other endpoint. `at` is what an
    /// answer that is not empty speaks for.
    pub(crate) fn list(
        &self,
        path: &str,
        params: &[(String, String)],
        at: UnixMillis,
    ) -> Result<Option<LocalAnswer>, QueryError> {
        let asked = Asked { params };
        if path == "metadata" {
            return self.metadata(&asked, at).map(Some);
        }
        let is_listed = matches!(path, "series" | "labels") || label_of(path).is_some();
        if !is_listed {
            return Ok(None);
        }
        let found = self.found(&asked)?;
        let limit = asked.limit()?;
        Ok(Some(match label_of(path) {
            Some(name) => {
                let values = found.iter().filter_map(|labels| labels.value(name));
                strings(values.collect(), limit, at)
            }
            None if path == "labels" => {
                let names = found.iter().flat_map(|labels| labels.iter());
                strings(names.map(|(name, _)| name).collect(), limit, at)
            }
            None => {
                let mut columns = ColumnsBuilder::new();
                for labels in found.iter().take(limit.unwrap_or(usize::MAX)) {
                    begin(&mut columns, labels);
                }
                said(Data::Series(columns.finish()), found.len(), limit, at)
            }
        }))
    }

    /// The series that any of the selectors wants, or all without one, with a sample in time.
    fn found(&self, asked: &Asked<'_>) -> Result<BTreeSet<Labels>, QueryError> {
        let (start_ms, end_ms) = (asked.time("start", i64::MIN)?, asked.time("end", i64::MAX)?);
        let selectors = asked.selectors()?;
        let mut found = BTreeSet::new();
        let everything: [&[_]; 1] = [&[]];
        let wanted = selectors.iter().map(|selector| &selector.matchers[..]);
        let everything = everything.into_iter().filter(|_| selectors.is_empty());
        for matchers in wanted.chain(everything) {
            for (labels, ring) in self.store.select(matchers) {
                let mut points = ring.window(start_ms.saturating_sub(1), end_ms);
                if points.next().is_some() {
                    found.insert(labels.clone());
                }
            }
        }
        Ok(found)
    }

    fn metadata(&self, asked: &Asked<'_>, at: UnixMillis) -> Result<LocalAnswer, QueryError> {
        let metric = asked.first("metric").filter(|metric| !metric.is_empty());
        let limit = asked.limit()?.unwrap_or(usize::MAX);
        let described = self.store.descriptions();
        let described = described.filter(|(name, _)| metric.is_none_or(|metric| metric == *name));
        let mut any = false;
        let mut body = Vec::new();
        Writer::new(&mut body).object(|json| {
            json.key("status").string("success");
            json.key("data").object(|json| {
                for (name, metadata) in described.take(limit) {
                    any = true;
                    json.key(name).array(|json| {
                        json.object(|json| {
                            json.key("type").string(metadata.kind.as_str());
                            json.key("help").string(&metadata.help);
                            json.key("unit").string(&metadata.unit);
                        });
                    });
                }
            });
        });
        Ok(LocalAnswer {
            body: Some(body),
            response: QueryResponse::new(Data::Document),
            newest: any.then_some(at),
        })
    }
}

fn strings(list: BTreeSet<&str>, limit: Option<usize>, at: UnixMillis) -> LocalAnswer {
    let taken = list.iter().take(limit.unwrap_or(usize::MAX));
    let taken = taken.map(|&text| String::from(text)).collect();
    said(Data::Strings(taken), list.len(), limit, at)
}

/// An answer of `count` things, cut at `limit`.
fn said(data: Data, count: usize, limit: Option<usize>, at: UnixMillis) -> LocalAnswer {
    let mut response = QueryResponse::new(data);
    if limit.is_some_and(|limit| count > limit) {
        response.warnings.push(CUT_SHORT.into());
    }
    LocalAnswer {
        body: None,
        response,
        newest: (count > 0).then_some(at),
    }
}

/// The parameters of an endpoint.
struct Asked<'a> {
    params: &'a [(String, String)],
}

impl Asked<'_> {
    fn first(&self, name: &str) -> Option<&str> {
        let found = self.params.iter().find(|(param, _)| param == name);
        found.map(|(_, value)| value.as_str())
    }

    fn limit(&self) -> Result<Option<usize>, QueryError> {
        match self.first("limit") {
            None | Some("") => Ok(None),
            Some(text) => limit(text),
        }
    }

    fn time(&self, name: &'static str, otherwise: i64) -> Result<i64, QueryError> {
        match self.first(name) {
            None | Some("") => Ok(otherwise),
            Some(text) => {
                parse_timestamp_ms(text).map_err(|_| bad(name, text, "it is no timestamp"))
            }
        }
    }

    fn selectors(&self) -> Result<Vec<Selector>, QueryError> {
        let matches = self.params.iter().filter(|(name, _)| name == "match[]");
        selectors(matches.map(|(_, text)| text.as_str()))
    }
}

/// The selectors that `match[]` gives.
pub(super) fn selectors<'a>(
    texts: impl Iterator<Item = &'a str>,
) -> Result<Vec<Selector>, QueryError> {
    let read = |text| {
        let selector = parse_selector(text).map_err(|error| {
            let error = QueryError::from(error).to_string();
            bad("match[]", text, &error)
        })?;
        if selector.range_ms.is_some() || selector.offset_ms != 0 {
            let message = "a selector without range and offset is wanted";
            return Err(bad("match[]", text, message));
        }
        Ok(selector)
    };
    texts.map(read).collect()
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec;

    use super::*;
    use crate::{Family, LocalConfig, Record, Sample};
    use tidegate_series::{Metadata, MetricKind};

    fn local() -> Local {
        let mut local = Local::new(&LocalConfig::default()).unwrap();
        let sample = |name, cpu, timestamp_ms| Sample {
            labels: Labels::from_pairs([("__name__", name), ("cpu", cpu)]).unwrap(),
            timestamp_ms,
            value: 1.0,
        };
        let record = Record {
            source: "node".into(),
            families: vec![Family {
                name: "load".into(),
                metadata: Metadata {
                    kind: MetricKind::Gauge,
                    unit: "".into(),
                    help: "Of a minute.".into(),
                },
            }],
            samples: vec![
                sample("load", "1", 1_000),
                sample("load", "0", 2_000),
                sample("idle", "0", 3_000),
            ],
        };
        let recorded = local.record(&record, UnixMillis(9_000), &mut Vec::new());
        assert_eq!(recorded.accepted, 3);
        local
    }

    fn body(path: &str, params: &[(&str, &str)]) -> String {
        let params: Vec<_> = params
            .iter()
            .map(|&(name, value)| (name.into(), value.into()))
            .collect();
        let answer = local().list(path, &params, UnixMillis(9_000));
        let answer = answer.unwrap().unwrap();
        let body = answer.body.unwrap_or_else(|| {
            let mut out = Vec::new();
            tidegate_wire::encode_query_response(&answer.response, &mut out);
            out
        });
        let body = String::from_utf8(body).unwrap();
        let data = body.split_once("\"data\":").unwrap().1;
        data.strip_suffix('}').unwrap().into()
    }

    #[test]
    fn series_are_those_of_any_selector_once_and_sorted() {
        let idle = r#"{"__name__":"idle","cpu":"0"}"#;
        let all =
            format!(r#"[{idle},{{"__name__":"load","cpu":"0"}},{{"__name__":"load","cpu":"1"}}]"#);
        let both = [("match[]", "load"), ("match[]", "{cpu=\"0\"}")];
        assert_eq!(body("series", &both), all);
        let late = [("match[]", "{cpu=\"0\"}"), ("start", "2.5"), ("end", "3")];
        assert_eq!(body("series", &late), format!("[{idle}]"));
    }

    #[test]
    fn names_and_values_are_those_of_the_series_in_time() {
        assert_eq!(body("labels", &[]), r#"["__name__","cpu"]"#);
        assert_eq!(body("label/__name__/values", &[]), r#"["idle","load"]"#);
        assert_eq!(body("label/cpu/values", &[("end", "1")]), r#"["1"]"#);
        assert_eq!(body("label/cpu/values", &[("end", "0.999")]), "[]");
        assert_eq!(body("label/none/values", &[]), "[]");
        assert_eq!(
            body("label/cpu/values", &[("limit", "1")]),
            r#"["0"],"warnings":["results truncated due to limit"]"#
        );
    }

    #[test]
    fn metrics_are_described() {
        let load = r#"{"load":[{"type":"gauge","help":"Of a minute.","unit":""}]}"#;
        assert_eq!(body("metadata", &[("metric", "load")]), load);
        assert_eq!(body("metadata", &[("metric", "nope")]), "{}");
        assert_eq!(body("metadata", &[("limit", "5")]), load);
    }

    #[test]
    fn what_is_no_selector_is_refused_and_other_endpoints_are_not_there() {
        let list = |path: &str, text: &str| {
            local().list(path, &[("match[]".into(), text.into())], UnixMillis(0))
        };
        for wrong in ["load[5m]", "load offset 1m", "load{", "{}", "sum(load)"] {
            let error = list("series", wrong).unwrap_err().to_string();
            assert!(error.contains("match[]"), "{wrong}: {error}");
        }
        assert!(matches!(list("rules", "load"), Ok(None)));
    }
}
