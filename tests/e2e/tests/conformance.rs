//! The conformance scripts, played to the collector as a guest in wasmtime, exactly as the host
//! runs it.

use tidegate_api::{Input, Output};
use tidegate_conformance::{Machine, Reply, Request, Verdict, first_difference, run, script_files};
use tidegate_core::{Config, Now};
use tidegate_host::{
    Artefact, COLLECTOR, ConfigureError, GuestCommand, GuestFactory, GuestMachine, GuestReply,
    engine,
};

struct Guest(GuestMachine);

impl Machine for Guest {
    fn step(
        &mut self,
        inputs: Vec<Input<Request>>,
        now: Now,
    ) -> Result<Vec<Output<Reply>>, String> {
        let inputs = inputs.into_iter().map(input).collect();
        let outputs = tidegate_client::Machine::step(&mut self.0, inputs, now)
            .map_err(|error| error.to_string())?;
        Ok(outputs.into_iter().map(output).collect())
    }
}

fn input(input: Input<Request>) -> Input<GuestCommand> {
    match input {
        Input::Command(id, Request::Http(request)) => {
            Input::Command(id, GuestCommand::Http(request))
        }
        Input::Command(id, Request::Record(batch)) => {
            Input::Command(id, GuestCommand::Record(batch))
        }
        Input::Command(id, Request::Change(change)) => {
            Input::Command(id, GuestCommand::Change(change))
        }
        Input::Abandon(id) => Input::Abandon(id),
        Input::Response(id, result) => Input::Response(id, result),
    }
}

fn output(output: Output<GuestReply>) -> Output<Reply> {
    match output {
        Output::Reply(id, GuestReply::Http(response)) => {
            let (status, headers, body) = (response.status, response.headers, response.body);
            Output::Reply(
                id,
                Reply::Http {
                    status,
                    headers,
                    body,
                },
            )
        }
        Output::Reply(id, GuestReply::Recorded(result)) => {
            let verdict = result.map(|recorded| Verdict {
                accepted: recorded.accepted,
                refused: recorded.refused,
                first_refusal: recorded.first_refusal,
            });
            Output::Reply(id, Reply::Recorded(verdict))
        }
        Output::Reply(id, GuestReply::Changed(result)) => Output::Reply(id, Reply::Changed(result)),
        Output::Fetch(fetch) => Output::Fetch(fetch),
        Output::Cancel(id) => Output::Cancel(id),
        Output::Event(event) => Output::Event(event),
        Output::Forget(forget) => Output::Forget(forget),
        Output::Append(appended) => Output::Append(appended),
        Output::Wait(deadline) => Output::Wait(deadline),
    }
}

fn guest(
    factory: &GuestFactory,
    config: &Config,
    version: &str,
    now: Now,
) -> Result<Guest, String> {
    let mut guest = factory
        .start()
        .map_err(|error| format!("no guest: {error:#}"))?;
    match guest.configure(config, version, now) {
        Ok(()) => Ok(Guest(guest)),
        Err(ConfigureError::Refused(message)) => Err(message),
        Err(ConfigureError::Broken(error)) => panic!("{error}"),
    }
}

#[test]
fn every_script_is_answered_in_wasmtime_as_in_process() {
    let engine = engine::engine().expect("an engine");
    let artefact = Artefact::load(&engine, COLLECTOR, None).expect("the collector compiles");
    let factory = GuestFactory::new(&engine, &artefact.component).expect("the collector is one");
    let files = script_files().expect("the scripts are readable");
    assert!(!files.is_empty(), "there are scripts");
    let mut failures = Vec::new();
    for file in files {
        match run(&file.script, |config, version, now| {
            guest(&factory, &config, version, now)
        }) {
            Ok(transcript) => failures.extend(
                first_difference(&file.expected, &transcript)
                    .map(|difference| format!("{} differs in wasmtime at {difference}", file.name)),
            ),
            Err(error) => failures.push(format!("{}.txt: {error}", file.name)),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
