//! Names that come from outside reach the text format only where they are label names; every other
//! one is told by its parameter or its line, and breaks nothing.

use std::collections::BTreeSet;
use std::str::from_utf8;
use std::time::Duration;

use proptest::prelude::*;
use tidegate_api::{Command, CommandId, Front, HttpRequest, HttpResponse, Input, Output, Reply};
use tidegate_core::{Config, Instant, Now, SourceConfig, UnixMillis};
use tidegate_series::is_label_name;
use tidegate_wire::form::encode_form;
use tidegate_wire::json::Writer;
use tidegate_wire::{ExpositionFormat, ScrapeLimits, decode_exposition};

const WALL: i64 = 1_700_000_000_000;

fn front() -> Front {
    let config = Config::with_sources(vec![SourceConfig::push("jobs")]);
    Front::new(config, "0", now()).unwrap()
}

fn now() -> Now {
    Now {
        mono: Instant::ZERO + Duration::from_secs(1),
        wall: UnixMillis(WALL),
    }
}

fn asked(front: &mut Front, request: HttpRequest) -> HttpResponse {
    let command = Input::Command(CommandId(1), Command::Http(request));
    let outputs = front.step(vec![command], now());
    let mut replies = outputs.into_iter().filter_map(|output| {
        if let Output::Reply(_, Reply::Http(response)) = output {
            return Some(response);
        }
        None
    });
    replies.next().expect("it is answered at once")
}

/// Records a sample of `load` with one label.
fn recorded(front: &mut Front, label: &str) -> HttpResponse {
    let mut line = Vec::new();
    Writer::new(&mut line).object(|json| {
        json.key("name").string("load");
        json.key("labels").object(|json| {
            json.key(label).string("x");
        });
        json.key("value").integer(3);
    });
    let request = HttpRequest {
        method: "POST".into(),
        headers: vec![("content-type".into(), "application/x-ndjson".into())],
        body: line,
        ..HttpRequest::get("/v1/record")
    };
    asked(front, request)
}

fn aggregated(front: &mut Front, parameters: &[(&str, &str)]) -> HttpResponse {
    let mut target = "/metrics/aggregated?".to_owned();
    encode_form(parameters.iter().copied(), &mut target);
    asked(front, HttpRequest::get(target))
}

#[test]
fn a_name_that_no_label_has_is_told_with_its_parameter() {
    let mut front = front();
    assert_eq!(recorded(&mut front, "zone").status, 200);
    for parameter in ["by", "without"] {
        for name in ["a-b", "9a", "a:b", "a b", "größe", "a\"b", "a\nb", "{}"] {
            for format in ["text", "json"] {
                let names = format!("zone,{name}");
                let response = aggregated(&mut front, &[(parameter, &names), ("format", format)]);
                let error = format!(
                    "invalid parameter {parameter:?}: cannot group by {name:?}: no label name"
                );
                let mut told = Vec::new();
                Writer::new(&mut told).object(|json| {
                    json.key("status").string("error");
                    json.key("errorType").string("bad_data");
                    json.key("error").string(&error);
                });
                assert_eq!((response.status, response.body), (400, told));
            }
        }
    }
}

#[test]
fn a_statistic_that_is_none_is_told_with_its_parameter() {
    let mut front = front();
    assert_eq!(recorded(&mut front, "zone").status, 200);
    for word in ["a-b", "p", "p101", "p\"", "avg,,min", "nearest_p-1"] {
        let response = aggregated(&mut front, &[("stat", word)]);
        let body = from_utf8(&response.body).unwrap();
        assert_eq!(response.status, 400, "{word:?}: {body}");
        assert!(
            body.contains(r#""error":"invalid parameter \"stat\": "#),
            "{word:?}: {body}"
        );
    }
}

#[test]
fn a_label_stat_gives_way_and_takes_no_other_label_s_name() {
    let mut front = front();
    for label in ["stat", "exported_stat", "zone"] {
        assert_eq!(recorded(&mut front, label).status, 200);
    }
    let response = aggregated(&mut front, &[("stat", "count")]);
    let text = [
        "# TYPE load gauge",
        r#"load{exported_stat="x",stat="count"} 1"#,
        r#"load{exported_exported_stat="x",stat="count"} 1"#,
        r#"load{zone="x",stat="count"} 1"#,
    ];
    assert_eq!(
        from_utf8(&response.body).unwrap().trim_end(),
        text.join("\n")
    );
}

/// Names, most of which no label can have.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c_:0-1-]{0,3}",
        "\\PC{0,4}",
        prop::sample::select(vec![
            "stat",
            "exported_stat",
            "le",
            "__name__",
            "quantile",
            "job"
        ])
        .prop_map(String::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_taken_is_written_as_text_that_reads_back(
        names in prop::collection::vec(name(), 1..5),
        groups in prop::collection::vec(name(), 0..3),
        parameter in prop::sample::select(vec!["by", "without", "none"]),
    ) {
        let mut front = front();
        let mut taken = BTreeSet::new();
        for name in &names {
            let response = recorded(&mut front, name);
            // The name of the metric stands beside the labels, and comes once.
            let is_taken = is_label_name(name) && name != "__name__";
            prop_assert_eq!(response.status, if is_taken { 200 } else { 400 }, "{:?}", response);
            taken.extend(is_taken.then_some(name));
        }
        let groups = groups.join(",");
        let response = aggregated(&mut front, &[(parameter, &groups), ("stat", "count,p99.9")]);
        let is_grouped = parameter != "none";
        let mut listed = groups.split(',').map(str::trim).filter(|name| !name.is_empty());
        if is_grouped && !listed.all(is_label_name) {
            prop_assert_eq!(response.status, 400);
            return Ok(());
        }
        prop_assert_eq!(response.status, 200);
        let text = decode_exposition(&response.body, ExpositionFormat::Text, WALL, &ScrapeLimits::default());
        let text = text.map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(text.repeated, None);
        if !is_grouped {
            prop_assert_eq!(text.columns.sample_count(), 2 * taken.len());
        }
    }
}
