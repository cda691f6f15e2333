//! A collector from before its configuration to its end.

use std::collections::BTreeMap;

use tidegate_api::{Command, CommandId, Front, Input};

use crate::component::bindings::exports::tidegate::collector::machine as wit;
use crate::convert;

/// What a request gets before there is a collector: a server that is not ready yet.
const UNCONFIGURED: &str = "the collector is not configured yet";
/// What a second configuration gets; another one needs another instance.
const CONFIGURED: &str = "the collector is configured already";

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
        // Batches are judged in the step that brings them, so this need not outlive it.
        let mut unreadable = BTreeMap::new();
        for input in inputs {
            match input {
                wit::Input::Command((id, wit::Command::Configure(config))) => {
                    let configured = wit::Reply::Configured(self.configure(config, now));
                    outputs.push(wit::Output::Reply((id, configured)));
                }
                wit::Input::Command((id, command)) if self.front.is_none() => {
                    outputs.push(wit::Output::Reply((id, unconfigured(&command))));
                }
                wit::Input::Command((id, wit::Command::Http(request))) => {
                    taken.push(Input::Command(
                        CommandId(id),
                        Command::Http(convert::http_request(request)),
                    ));
                }
                wit::Input::Command((id, wit::Command::Record(batch))) => {
                    let (record, rest) = convert::record(batch);
                    unreadable.insert(CommandId(id), rest);
                    taken.push(Input::Command(CommandId(id), Command::Record(record)));
                }
                wit::Input::Abandon(id) => taken.push(Input::Abandon(CommandId(id))),
                wit::Input::Response((id, result)) => taken.push(convert::response(id, result)),
            }
        }
        match &mut self.front {
            Some(front) => outputs.extend(front.step(taken, now).into_iter().map(|output| {
                convert::output(output, |id| unreadable.remove(&id).unwrap_or_default())
            })),
            None => outputs.push(wit::Output::Wait(None)),
        }
        outputs
    }

    fn configure(&mut self, config: wit::Config, now: tidegate_core::Now) -> Result<(), String> {
        if self.front.is_some() {
            return Err(CONFIGURED.into());
        }
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
        }),
        wit::Command::Record(_) => wit::Reply::Recorded(Err(UNCONFIGURED.into())),
        wit::Command::Configure(_) => wit::Reply::Configured(Err(CONFIGURED.into())),
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
            templates: Vec::new(),
        };
        wit::Config {
            sources: vec![
                source("prom", wit::SourceKind::Prometheus),
                source("node", wit::SourceKind::Push),
            ],
            cache_enabled: true,
            cache_bytes_max: 1 << 20,
            version: "9.8.7".into(),
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

    #[test]
    fn it_is_configured_once() {
        let mut instance = configured();
        let outputs = instance.step(NOW, vec![configure(1)]);
        let Out::Reply((1, wit::Reply::Configured(Err(error)))) = &outputs[0] else {
            panic!("{outputs:?}")
        };
        assert_eq!(error, CONFIGURED);
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
