//! A collector from before its configuration to its end.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_api::{Change, Command, CommandId, Front, Input, Output, Reply};
use tidegate_core::Now;

use crate::component::bindings::exports::tidegate::collector::machine as wit;
use crate::convert;

/// What a request gets before there is a collector: a server that is not ready yet.
const UNCONFIGURED: &str = "the collector is not configured yet";

/// One collector, once it is configured.
#[derive(Debug)]
pub(crate) struct Instance {
    front: Option<Front>,
}

impl Instance {
    /// An instance that waits for its configuration.
    pub(crate) const fn new() -> Self {
        Self { front: None }
    }

    /// One step, in the contract's words.
    pub(crate) fn step(&mut self, now: wit::Now, inputs: Vec<wit::Input>) -> Vec<wit::Output> {
        let now = convert::now(now);
        let mut outputs = Vec::new();
        let mut taken = Vec::with_capacity(inputs.len());
        // Batches and configurations are judged in the step that brings them, so this need not
        // outlive it.
        let mut unreadable = BTreeMap::new();
        let mut reloading = BTreeSet::new();
        for input in inputs {
            match input {
                wit::Input::Command((id, wit::Command::Configure(config)))
                    if self.front.is_none() =>
                {
                    let configured = wit::Reply::Configured(self.configure(config, now));
                    outputs.push(wit::Output::Reply((id, configured)));
                }
                wit::Input::Command((id, command)) if self.front.is_none() => {
                    outputs.push(wit::Output::Reply((id, unconfigured(&command))));
                }
                wit::Input::Command((id, command)) => {
                    let id = CommandId(id);
                    let command = match command {
                        wit::Command::Configure(config) => {
                            reloading.insert(id);
                            let (config, _) = convert::config(config);
                            Command::Change(Change::Reload(Box::new(config)))
                        }
                        wit::Command::Http(request) => {
                            Command::Http(convert::http_request(request))
                        }
                        wit::Command::Record(batch) => {
                            let (record, rest) = convert::record(batch);
                            unreadable.insert(id, rest);
                            Command::Record(record)
                        }
                        wit::Command::Change(change) => Command::Change(convert::change(change)),
                    };
                    taken.push(Input::Command(id, command));
                }
                wit::Input::Abandon(id) => taken.push(Input::Abandon(CommandId(id))),
                wit::Input::Response((id, result)) => taken.push(convert::response(id, result)),
            }
        }
        let Some(front) = &mut self.front else {
            outputs.push(wit::Output::Wait(None));
            return outputs;
        };
        for output in front.step(taken, now) {
            if let Output::Reply(id, Reply::Changed(result)) = &output
                && reloading.remove(id)
            {
                let configured = result.as_ref().map(|_| ()).map_err(ToString::to_string);
                outputs.push(wit::Output::Reply((
                    id.0,
                    wit::Reply::Configured(configured),
                )));
            } else {
                let rest = |id| unreadable.remove(&id).unwrap_or_default();
                outputs.push(convert::output(output, rest));
            }
        }
        outputs
    }

    fn configure(&mut self, config: wit::Config, now: Now) -> Result<(), String> {
        let (config, version) = convert::config(config);
        self.front = Some(Front::new(config, version, now).map_err(|error| error.to_string())?);
        Ok(())
    }
}

fn unconfigured(command: &wit::Command) -> wit::Reply {
    match command {
        wit::Command::Http(_) => wit::Reply::Http(wit::HttpResponse {
            status: 503,
            headers: vec![("content-type".into(), "application/json".into())],
            body: format!(
                r#"{{"status":"error","errorType":"unavailable","error":"{UNCONFIGURED}"}}"#
            )
            .into(),
            reuse: None,
        }),
        wit::Command::Record(_) => wit::Reply::Recorded(Err(UNCONFIGURED.into())),
        wit::Command::Change(_) => wit::Reply::Changed(Err(UNCONFIGURED.into())),
        wit::Command::Configure(_) => wit::Reply::Configured(Err(UNCONFIGURED.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wit::{Input as In, Output as Out};

    const NOW: wit::Now = wit::Now {
        mono_ns: 5,
        wall_ms: 1_700_000_000_000,
    };

    fn config() -> wit::Config {
        let source = |name: &str, kind| wit::SourceConfig {
            name: name.into(),
            kind,
            ttl_ms: 30_000,
            timeout_ms: 10_000,
            thresholds: wit::Thresholds {
                fresh_below_ms: 60_000,
                warn_past_ms: 120_000,
                unavailable_past_ms: 300_000,
            },
            probe_interval_ms: 0,
            targets: Vec::new(),
            collect_interval_ms: 0,
            honor_labels: false,
            refusal_ttl_ms: 5_000,
            fetch_interval_ms: 30_000,
            idle_after_ms: 300_000,
            instant_step_ms: 0,
            ttl_max_ms: None,
            align: false,
            retry: wit::RetryConfig {
                retries_max: 0,
                backoff_ms: 1_000,
                factor: 2,
                backoff_max_ms: 30_000,
            },
            retry_budget: wit::RetryBudget {
                ratio_percent: 20,
                floor: 3,
            },
            breaker: wit::BreakerConfig {
                failures_max: 5,
                open_ms: 10_000,
                open_max_ms: 120_000,
            },
            templates: Vec::new(),
        };
        wit::Config {
            sources: vec![
                source("prom", wit::SourceKind::Prometheus),
                source("node", wit::SourceKind::Push),
            ],
            cache: wit::CacheConfig {
                enabled: true,
                bytes_max: 1 << 20,
                cleanup_interval_ms: 60_000,
            },
            local: wit::LocalConfig {
                series_max: 100,
                series_per_metric_max: 100,
                labels_per_series_max: 64,
                values_per_label_max: 100,
                points_max: 100,
                bytes_max: 1 << 20,
                age_max_ms: None,
                expire_after_ms: 3_600_000,
                lookback_ms: 300_000,
                metrics: Vec::new(),
            },
            packs: Vec::new(),
            owners: Vec::new(),
            alerts: wit::AlertsConfig {
                interval_ms: 15_000,
                rules: Vec::new(),
            },
            limits: wit::Limits {
                query_bytes_max: 1_000,
                fetches_per_source_max: 20,
                queue_per_source_max: 100,
                askers_per_fetch_max: 100,
                samples_per_record_max: 100,
                settled_age_max_ms: 3_600_000,
                settle_ms: 300_000,
            },
            seed: 1,
            version: "9.8.7".into(),
            feeds_sinks: false,
        }
    }

    fn configure(id: u64) -> In {
        In::Command((id, wit::Command::Configure(config())))
    }

    fn get(id: u64, target: &str) -> In {
        let request = wit::HttpRequest {
            method: "GET".into(),
            target: target.into(),
            headers: Vec::new(),
            body: Vec::new(),
        };
        In::Command((id, wit::Command::Http(request)))
    }

    fn record(id: u64, samples: Vec<wit::Sample>) -> In {
        let batch = wit::Batch {
            source: "node".into(),
            families: Vec::new(),
            samples,
        };
        In::Command((id, wit::Command::Record(batch)))
    }

    fn sample(name: &str, value: f64) -> wit::Sample {
        let labels = vec![("__name__".into(), name.into())];
        wit::Sample {
            labels,
            timestamp_ms: NOW.wall_ms,
            value,
        }
    }

    fn configured() -> Instance {
        let mut instance = Instance::new();
        let outputs = instance.step(NOW, vec![configure(0)]);
        assert!(
            matches!(outputs[0], Out::Reply((0, wit::Reply::Configured(Ok(()))))),
            "{outputs:?}"
        );
        instance
    }

    fn http(outputs: &[Out], id: u64) -> &wit::HttpResponse {
        for output in outputs {
            if let Out::Reply((of, wit::Reply::Http(response))) = output
                && *of == id
            {
                return response;
            }
        }
        panic!("no response to {id} in {outputs:?}")
    }

    fn fetch(outputs: &[Out]) -> &wit::Fetch {
        for output in outputs {
            if let Out::Fetch(fetch) = output {
                return fetch;
            }
        }
        panic!("no fetch in {outputs:?}")
    }

    fn text(response: &wit::HttpResponse) -> &str {
        std::str::from_utf8(&response.body).unwrap()
    }

    #[test]
    fn before_its_configuration_it_is_unavailable() {
        let mut instance = Instance::new();
        let outputs = instance.step(
            NOW,
            vec![get(1, "/health"), record(2, Vec::new()), In::Abandon(7)],
        );
        assert_eq!(http(&outputs, 1).status, 503);
        assert!(text(http(&outputs, 1)).contains("not configured"));
        assert!(matches!(
            &outputs[1],
            Out::Reply((2, wit::Reply::Recorded(Err(_))))
        ));
        assert!(matches!(outputs[2], Out::Wait(None)));
    }

    const UP: &[u8] = br#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;

    fn answered(id: u64) -> In {
        let response = wit::FetchResponse {
            status: 200,
            body: UP.to_vec(),
            retry_after_ms: None,
            content_type: None,
        };
        In::Response((id, Ok(response)))
    }

    fn template(name: &str, text: &str) -> wit::TemplateConfig {
        wit::TemplateConfig {
            name: name.into(),
            kind: wit::TemplateKind::Promql,
            text: text.into(),
            params: Vec::new(),
            ttl_ms: None,
            thresholds: None,
            description: String::new(),
        }
    }

    fn changed(instance: &mut Instance, change: wit::Change) -> Result<u64, String> {
        let outputs = instance.step(NOW, vec![In::Command((9, wit::Command::Change(change)))]);
        for output in outputs {
            if let Out::Reply((9, wit::Reply::Changed(result))) = output {
                return result;
            }
        }
        panic!("no reply to the change")
    }

    #[test]
    fn configured_again_it_keeps_what_is_still_valid() {
        let mut instance = configured();
        let outputs = instance.step(NOW, vec![get(1, "/api/v1/query?query=up")]);
        instance.step(NOW, vec![answered(fetch(&outputs).id)]);
        let mut wrong = config();
        wrong.sources[0].timeout_ms = 0;
        let mut other = config();
        other.sources[1].name = "other".into();
        let outputs = instance.step(
            NOW,
            vec![
                In::Command((2, wit::Command::Configure(wrong))),
                get(3, "/source/node/api/v1/query?query=a"),
                In::Command((4, wit::Command::Configure(other))),
                get(5, "/source/node/api/v1/query?query=a"),
                get(6, "/api/v1/query?query=up"),
            ],
        );
        let mut configured = Vec::new();
        for output in &outputs {
            if let Out::Reply((id, wit::Reply::Configured(result))) = output {
                configured.push((*id, result.is_ok()));
            }
        }
        assert_eq!(configured, [(2, false), (4, true)]);
        assert_eq!(
            [3, 5, 6].map(|id| http(&outputs, id).status),
            [200, 404, 200]
        );
        assert_eq!(http(&outputs, 6).body, UP);
    }

    #[test]
    fn templates_come_and_go_and_answers_are_forgotten() {
        let mut instance = configured();
        let register = |name, text| wit::Change::Register(("prom".into(), template(name, text)));
        assert_eq!(changed(&mut instance, register("t", "up")), Ok(0));
        let taken = changed(&mut instance, register("t", "up")).unwrap_err();
        assert!(taken.contains("already"), "{taken}");
        let broken = changed(&mut instance, register("u", "{{.")).unwrap_err();
        assert!(broken.contains("template u"), "{broken}");
        let outputs = instance.step(NOW, vec![get(1, "/v1/collect/t")]);
        instance.step(NOW, vec![answered(fetch(&outputs).id)]);
        let of_template = wit::Invalidation::Template(("prom".into(), "t".into()));
        assert_eq!(
            changed(&mut instance, wit::Change::Invalidate(of_template)),
            Ok(1)
        );
        let all = wit::Invalidation::All;
        assert_eq!(changed(&mut instance, wit::Change::Invalidate(all)), Ok(0));
        let untrack = |key: &str| wit::Change::Untrack(key.into());
        assert_eq!(changed(&mut instance, untrack("prom/t")), Ok(1));
        assert_eq!(changed(&mut instance, untrack("prom/t")), Ok(0));
        let update = wit::Change::Update(("prom".into(), template("t", "down")));
        assert_eq!(changed(&mut instance, update), Ok(0));
        let unregister = || wit::Change::Unregister(("prom".into(), "t".into()));
        assert_eq!(changed(&mut instance, unregister()), Ok(0));
        assert!(changed(&mut instance, unregister()).is_err());
    }

    #[test]
    fn packs_and_owners_come_with_the_configuration() {
        let mut instance = Instance::new();
        let mut config = config();
        config.packs.push(wit::PackConfig {
            name: "own".into(),
            description: "d".into(),
            queries: vec![template("q", "up{a=\"{{.a}}\"}")],
            defaults: vec![("a".into(), "b".into())],
            records: vec![wit::RecordConfig {
                name: "r".into(),
                description: "d".into(),
                keys: vec!["pod".into()],
                fields: vec![wit::FieldConfig {
                    name: "f".into(),
                    query: "q".into(),
                    by: vec!["pod".into()],
                    unit: "u".into(),
                    when: None,
                    source: None,
                }],
            }],
        });
        config.sources[0].templates = config.packs[0].queries.clone();
        config.owners.push(("w".into(), "o".into()));
        instance.step(NOW, vec![In::Command((0, wit::Command::Configure(config)))]);
        let outputs = instance.step(NOW, vec![get(1, "/v1/packs/own/r?owner=o")]);
        assert_eq!(fetch(&outputs).form, "query=up%7Ba%3D%22b%22%7D");
        let owner = |instance: &mut Instance, pod: &str| {
            let outputs = instance.step(NOW, vec![get(2, &format!("/v1/owners?pod={pod}"))]);
            text(http(&outputs, 2)).to_owned()
        };
        assert!(owner(&mut instance, "w-1").contains(r#""owner":"o""#));
        let register = wit::Change::RegisterOwner(("w".into(), "p".into()));
        assert_eq!(changed(&mut instance, register), Ok(1));
        assert!(owner(&mut instance, "w-1").contains(r#""owner":"p""#));
        let unregister = wit::Change::UnregisterOwner("w".into());
        assert_eq!(changed(&mut instance, unregister), Ok(1));
        assert!(!owner(&mut instance, "w-1").contains("owner"));
    }

    #[test]
    fn a_target_s_text_is_fetched_by_its_name() {
        let mut instance = Instance::new();
        let mut config = config();
        config.sources[0].kind = wit::SourceKind::Scrape;
        config.sources[0].targets = vec!["a".into()];
        instance.step(NOW, vec![In::Command((0, wit::Command::Configure(config)))]);
        let outputs = instance.step(NOW, vec![get(1, "/api/v1/query?query=up")]);
        let fetch = fetch(&outputs);
        assert_eq!(
            (&*fetch.source, fetch.target.as_deref(), &*fetch.path),
            ("prom", Some("a"), "")
        );
    }

    #[test]
    fn a_wrong_configuration_says_what_is_wrong_and_may_be_mended() {
        let mut instance = Instance::new();
        let mut wrong = config();
        wrong.sources[0].timeout_ms = 0;
        let outputs = instance.step(NOW, vec![In::Command((0, wit::Command::Configure(wrong)))]);
        let Out::Reply((0, wit::Reply::Configured(Err(error)))) = &outputs[0] else {
            panic!("{outputs:?}")
        };
        assert!(
            error.contains("prom") && error.contains("timeout"),
            "{error}"
        );
        let outputs = instance.step(NOW, vec![configure(1), get(2, "/api/v1/status/buildinfo")]);
        assert!(text(http(&outputs, 2)).contains("9.8.7"));
    }

    #[test]
    fn a_query_becomes_a_fetch_and_its_response_the_reply() {
        let mut instance = configured();
        let outputs = instance.step(NOW, vec![get(1, "/api/v1/query?query=up")]);
        let fetch = fetch(&outputs);
        assert_eq!(
            (&*fetch.source, &*fetch.path, &*fetch.form),
            ("prom", "/api/v1/query", "query=up")
        );
        assert_eq!(fetch.deadline_ns, NOW.mono_ns + 10_000_000_000);
        assert!(matches!(outputs.last(), Some(Out::Wait(Some(_)))));

        let body = br#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
        let response = Ok(wit::FetchResponse {
            status: 200,
            body: body.to_vec(),
            retry_after_ms: None,
            content_type: None,
        });
        let outputs = instance.step(NOW, vec![In::Response((fetch.id, response))]);
        let reply = http(&outputs, 1);
        assert_eq!(
            (reply.status, text(reply).as_bytes()),
            (200, body.as_slice())
        );
    }

    #[test]
    fn a_failed_fetch_keeps_its_reason() {
        let mut instance = configured();
        let outputs = instance.step(NOW, vec![get(1, "/api/v1/query?query=up")]);
        let refused = Err(wit::FetchError::Connect("Connection refused".into()));
        let outputs = instance.step(NOW, vec![In::Response((fetch(&outputs).id, refused))]);
        assert!(http(&outputs, 1).status >= 500);
        assert!(text(http(&outputs, 1)).contains("Connection refused"));
    }

    #[test]
    fn samples_are_recorded_and_the_refused_ones_counted() {
        let mut instance = configured();
        let nameless = wit::Sample {
            labels: vec![(String::new(), "x".into())],
            ..sample("x", 0.0)
        };
        let outputs = instance.step(
            NOW,
            vec![record(
                1,
                vec![sample("a", 1.5), nameless, sample("b", 2.0)],
            )],
        );
        let Out::Reply((1, wit::Reply::Recorded(Ok(recorded)))) = &outputs[0] else {
            panic!("{outputs:?}")
        };
        assert_eq!((recorded.accepted, recorded.refused), (2, 1));
        assert!(
            recorded
                .first_refusal
                .as_ref()
                .is_some_and(|words| words.contains("label 0 has no name"))
        );
        let outputs = instance.step(NOW, vec![get(2, "/source/local/api/v1/query?query=a")]);
        assert!(
            text(http(&outputs, 2)).contains("\"1.5\""),
            "{}",
            text(http(&outputs, 2))
        );
    }
}
