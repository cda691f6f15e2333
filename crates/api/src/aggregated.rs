//! `/metrics/aggregated`: statistics of Tidegate's own series over windows, as exposition text or
//! as JSON.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use tidegate_core::{Aggregation, AggregationError, Collector, Now};
use tidegate_series::{
    AggregateError, Group, GroupPoint, Grouping, METRIC_NAME, QuantileMethod, Statistic,
};
use tidegate_wire::json::Writer;
use tidegate_wire::number::write_float;
use tidegate_wire::text::{CONTENT_TYPE, MetricType, TextWriter};

use crate::params::{Params, invalid};
use crate::{HttpRequest, HttpResponse, error};

/// The window where none is named: what Prometheus looks back.
const WINDOW: Duration = Duration::from_secs(300);

/// The statistics where none is named: how much there was, and how it was spread.
const STATISTICS: &str = "avg,min,max,p50,p95,p99";

/// The label that tells statistics apart.
const STAT_LABEL: &str = "stat";

/// What is asked for, read.
struct Asked {
    aggregation: Aggregation,
    /// The words of the statistics, as they were given.
    words: Vec<String>,
    method: QuantileMethod,
    json: bool,
}

pub(crate) fn aggregated(
    collector: &Collector,
    params: &Params,
    request: &HttpRequest,
    now: Now,
) -> Result<HttpResponse, HttpResponse> {
    let asked = Asked::of(params, request)?;
    let groups = collector
        .aggregate(&asked.aggregation, now)
        .map_err(|error| refusal(&error, &asked.aggregation.grouping))?;
    match asked.json {
        true => Ok(asked.document(&groups, now)),
        false => Ok(asked.exposition(collector, &groups)),
    }
}

impl Asked {
    fn of(params: &Params, request: &HttpRequest) -> Result<Self, HttpResponse> {
        let method = method(params)?;
        let words = words(params);
        let statistics = words.iter().map(|word| statistic(word, method));
        let statistics = statistics.collect::<Result<_, _>>()?;
        let (time, range) = (params.time_or_none("time")?, params.range_or_none()?);
        let json = wants_json(params, request, range.is_some())?;
        if range.is_some() && time.is_some() {
            let why = "either it or start, end and step say where windows end";
            return Err(invalid("time")(why.into()));
        }
        if range.is_some() && !json {
            let why = "the text format has one window: ask for format=json, or leave start, end and step out";
            return Err(invalid("format")(why.into()));
        }
        Ok(Self {
            aggregation: Aggregation {
                selectors: params.each("match[]"),
                window: params.duration_or("window", WINDOW)?,
                time,
                range,
                grouping: grouping(params)?,
                statistics,
            },
            words,
            method,
            json,
        })
    }

    /// Each metric once, as a gauge whatever it was: what a window says of a counter falls, too.
    fn exposition(&self, collector: &Collector, groups: &[Group]) -> HttpResponse {
        let mut families: BTreeMap<&str, Vec<&Group>> = BTreeMap::new();
        for group in groups {
            let name = group.labels.metric_name().unwrap_or_default();
            families.entry(name).or_default().push(group);
        }
        let nameless = families.remove("").map_or(0, |groups| groups.len());
        let mut body = Vec::new();
        if nameless > 0 {
            let said = format!("# {nameless} groups of series without a name are left out\n");
            body.extend_from_slice(said.as_bytes());
        }
        let mut text = TextWriter::new(&mut body);
        let moved = moved_stat_label(groups);
        for (name, groups) in families {
            let metadata = collector.series().metadata(name);
            let help = metadata.map_or("", |metadata| &metadata.help);
            text.family(name, MetricType::Gauge, help);
            for group in groups {
                for point in &group.points {
                    self.samples(&mut text, name, &moved, group, point);
                }
            }
        }
        HttpResponse::new(200, CONTENT_TYPE, body)
    }

    fn samples(
        &self,
        text: &mut TextWriter<'_>,
        name: &str,
        moved: &str,
        group: &Group,
        point: &GroupPoint,
    ) {
        let own = group
            .labels
            .iter()
            .filter(|(label, _)| *label != METRIC_NAME);
        let own: Vec<(&str, &str)> = own
            .map(|(label, value)| (if label == STAT_LABEL { moved } else { label }, value))
            .collect();
        for (word, value) in self.words.iter().zip(&point.values) {
            let Some(value) = value else {
                continue;
            };
            let labels = own.iter().copied().chain([(STAT_LABEL, word.as_str())]);
            text.sample(name, labels, *value);
        }
    }

    fn document(&self, groups: &[Group], now: Now) -> HttpResponse {
        let mut body = Vec::new();
        Writer::new(&mut body).object(|json| {
            let ms = self.aggregation.window.as_millis();
            json.key("window_ms")
                .integer(u64::try_from(ms).unwrap_or(u64::MAX));
            if let Ok(steps) = self.aggregation.steps(now.wall) {
                json.key("start_ms").integer(steps.start_ms);
                json.key("end_ms").integer(steps.end_ms);
                json.key("step_ms").integer(steps.step_ms);
            }
            json.key("method").string(method_word(self.method));
            json.key("groups").array(|json| {
                for group in groups {
                    json.object(|json| self.group(json, group));
                }
            });
        });
        HttpResponse::json(200, body)
    }

    fn group(&self, json: &mut Writer<'_>, group: &Group) {
        json.key("labels").object(|json| {
            for (name, value) in group.labels.iter() {
                json.key(name).string(value);
            }
        });
        json.key("windows").array(|json| {
            for point in &group.points {
                json.object(|json| {
                    json.key("end_ms").integer(point.end_ms);
                    for (word, value) in self.words.iter().zip(&point.values) {
                        json.key(word);
                        match value {
                            Some(value) => json.string(&number(*value)),
                            None => json.null(),
                        };
                    }
                    if point.approximate {
                        json.key("approximate").bool(true);
                    }
                });
            }
        });
    }
}

/// What a label of the groups' own that is called as the statistic's is called instead: as in
/// Prometheus, but the same for all groups and the name of no label that any of them has, so that no
/// two groups become one.
fn moved_stat_label(groups: &[Group]) -> String {
    let mut name = format!("exported_{STAT_LABEL}");
    let is_taken = |name: &str| {
        groups
            .iter()
            .any(|group| group.labels.value(name).is_some())
    };
    while is_taken(&name) {
        name.insert_str(0, "exported_");
    }
    name
}

fn number(value: f64) -> String {
    let mut text = Vec::new();
    write_float(value, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn method(params: &Params) -> Result<QuantileMethod, HttpResponse> {
    match params.given("method") {
        None | Some("linear") => Ok(QuantileMethod::Linear),
        Some("nearest_rank") => Ok(QuantileMethod::NearestRank),
        Some(other) => {
            let why = format!("{other:?} is none of linear and nearest_rank");
            Err(invalid("method")(why))
        }
    }
}

const fn method_word(method: QuantileMethod) -> &'static str {
    match method {
        QuantileMethod::Linear => "linear",
        QuantileMethod::NearestRank => "nearest_rank",
    }
}

/// The words of `stat`, separated by commas, each once.
fn words(params: &Params) -> Vec<String> {
    let given = params.given("stat").unwrap_or(STATISTICS);
    let mut words: Vec<String> = Vec::new();
    for word in given.split(',').map(str::trim) {
        if !words.iter().any(|known| known == word) {
            words.push(word.into());
        }
    }
    words
}

fn statistic(word: &str, method: QuantileMethod) -> Result<Statistic, HttpResponse> {
    let statistic = word
        .parse()
        .map_err(|error| invalid("stat")(format!("{error}")))?;
    Ok(match (statistic, method) {
        (Statistic::Quantile { percent }, QuantileMethod::NearestRank) => {
            Statistic::NearestRank { percent }
        }
        (statistic, _) => statistic,
    })
}

/// The names that `by` or `without` lists. By a label metrics stay apart, for each has its name.
fn grouping(params: &Params) -> Result<Grouping, HttpResponse> {
    let names = |name: &str| -> Option<Vec<Box<str>>> {
        let lists = params.each(name);
        let names = lists.iter().flat_map(|list| list.split(','));
        let names = names.map(str::trim).filter(|name| !name.is_empty());
        (!lists.is_empty()).then(|| names.map(Into::into).collect())
    };
    match (names("by"), names("without")) {
        (Some(mut by), None) => {
            by.push(METRIC_NAME.into());
            Ok(Grouping::By(by))
        }
        (None, Some(without)) => Ok(Grouping::Without(without)),
        (None, None) => Ok(Grouping::Series),
        (Some(_), Some(_)) => {
            let why = "either it or by names labels, not both";
            Err(invalid("without")(why.into()))
        }
    }
}

/// JSON where the client asks for it, or for several windows.
fn wants_json(params: &Params, request: &HttpRequest, several: bool) -> Result<bool, HttpResponse> {
    match params.given("format") {
        Some("json") => Ok(true),
        Some("text") => Ok(false),
        Some(other) => Err(invalid("format")(format!(
            "{other:?} is none of text and json"
        ))),
        None => {
            let accept = request.header("accept").unwrap_or_default();
            let mut media = accept.split(',').map(|media| {
                let media = media.split(';').next().unwrap_or_default();
                media.trim()
            });
            let json = media.any(|media| media.eq_ignore_ascii_case("application/json"));
            Ok(json || several)
        }
    }
}

fn refusal(error: &AggregationError, grouping: &Grouping) -> HttpResponse {
    let message = error.to_string();
    let grouped_by = match grouping {
        Grouping::Without(_) => "without",
        Grouping::By(_) | Grouping::Series => "by",
    };
    match error {
        AggregationError::Selector(error) => error::response(error),
        AggregationError::Range(_) => HttpResponse::error(400, "bad_data", &message),
        AggregationError::Aggregate(error) => match error {
            AggregateError::EmptyWindow => invalid("window")(message),
            AggregateError::InvalidLabel { .. } => invalid(grouped_by)(message),
            AggregateError::NoStatistic | AggregateError::StatisticLimit { .. } => {
                invalid("stat")(message)
            }
            AggregateError::EndBeforeStart { .. }
            | AggregateError::NoStep
            | AggregateError::StepLimit { .. } => invalid("step")(message),
            AggregateError::SeriesLimit { .. }
            | AggregateError::GroupLimit { .. }
            | AggregateError::ResultLimit { .. }
            | AggregateError::SampleLimit { .. }
            | _ => {
                let what = "select fewer series by match[], group by fewer labels, or ask for fewer windows and statistics";
                HttpResponse::error(422, "execution", &format!("{message}: {what}"))
            }
        },
        _ => HttpResponse::error(500, "internal", &message),
    }
}
