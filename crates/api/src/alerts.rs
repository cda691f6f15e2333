//! Alerts and their rules as Prometheus shows its own.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use tidegate_core::{Alert, AlertRuleStatus, Collector, UnixMillis};
use tidegate_wire::json::Writer;
use tidegate_wire::number::write_rfc3339_ms;

use crate::HttpResponse;

/// The name of the one group that the rules are in.
const GROUP: &str = "tidegate";

/// When something happened that never did, as Prometheus has it.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// The alerts that are pending or firing, rule by rule.
pub(crate) fn alerts(collector: &Collector) -> HttpResponse {
    success(|json| {
        json.key("alerts").array(|json| {
            for rule in collector.alert_rules() {
                for alert in &rule.alerts {
                    json.object(|json| one(json, alert));
                }
            }
        });
    })
}

/// The rules with their alerts. Of kind `record`, as the parameter `type` may ask for, there are
/// none.
pub(crate) fn rules(collector: &Collector, kind: Option<&str>) -> HttpResponse {
    let rules: Vec<_> = collector.alert_rules().collect();
    success(|json| {
        json.key("groups").array(|json| {
            if rules.is_empty() || kind == Some("record") {
                return;
            }
            json.object(|json| {
                json.key("name").string(GROUP);
                json.key("file").string("");
                json.key("rules").array(|json| {
                    for status in &rules {
                        json.object(|json| rule(json, status));
                    }
                });
                let interval = collector.alert_interval();
                json.key("interval").number(interval.as_secs_f64());
                json.key("limit").count(0);
                json.key("evaluationTime").count(0);
                let last = rules.iter().filter_map(|rule| rule.last_evaluation).max();
                json.key("lastEvaluation").string(&time(last));
            });
        });
    })
}

fn rule(json: &mut Writer<'_>, status: &AlertRuleStatus<'_>) {
    let rule = status.rule;
    let state = status.state().map_or("inactive", |state| state.as_str());
    json.key("state").string(state);
    json.key("name").string(&rule.name);
    json.key("query").string(&rule.expression());
    json.key("duration").number(rule.pending_for.as_secs_f64());
    json.key("keepFiringFor")
        .number(rule.keep_firing_for.as_secs_f64());
    json.key("labels").object(|json| {
        for (name, value) in &rule.labels {
            json.key(name).string(value);
        }
    });
    json.key("annotations").object(|json| {
        for (name, text) in &rule.annotations {
            json.key(name).string(text);
        }
    });
    json.key("alerts").array(|json| {
        for alert in &status.alerts {
            json.object(|json| one(json, alert));
        }
    });
    let health = match (status.last_error, status.last_evaluation) {
        (Some(_), _) => "err",
        (None, Some(_)) => "ok",
        (None, None) => "unknown",
    };
    json.key("health").string(health);
    if let Some(error) = status.last_error {
        json.key("lastError").string(error);
    }
    // Nothing here has a clock to measure it with.
    json.key("evaluationTime").count(0);
    json.key("lastEvaluation")
        .string(&time(status.last_evaluation));
    json.key("type").string("alerting");
}

fn one(json: &mut Writer<'_>, alert: &Alert<'_>) {
    json.key("labels").object(|json| {
        for (name, value) in alert.labels.iter() {
            json.key(name).string(value);
        }
    });
    json.key("annotations").object(|json| {
        for (name, text) in alert.annotations() {
            json.key(name).string(&text);
        }
    });
    json.key("state").string(alert.state.as_str());
    json.key("activeAt").string(&time(Some(alert.active_at)));
    json.key("value").string(&scientific(alert.value));
}

fn time(at: Option<UnixMillis>) -> String {
    let Some(at) = at else {
        return NEVER.into();
    };
    let mut out = Vec::new();
    write_rfc3339_ms(at.0, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// The shortest digits, always with an exponent of two digits or more: what Prometheus writes here,
/// and nowhere else.
fn scientific(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.into();
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

fn success(data: impl FnOnce(&mut Writer<'_>)) -> HttpResponse {
    let mut body = Vec::new();
    Writer::new(&mut body).object(|json| {
        json.key("status").string("success");
        json.key("data").object(data);
    });
    HttpResponse::json(200, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_an_exponent_of_two_digits() {
        for (value, text) in [
            (5.25, "5.25e+00"),
            (-0.001, "-1e-03"),
            (1e100, "1e+100"),
            (0.0, "0e+00"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(scientific(value), text);
        }
    }

    #[test]
    fn what_never_happened_has_the_time_that_prometheus_has_for_it() {
        assert_eq!(time(None), NEVER);
        assert_eq!(time(Some(UnixMillis(1_500))), "1970-01-01T00:00:01.5Z");
    }
}
