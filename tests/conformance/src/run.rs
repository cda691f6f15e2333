//! Plays a script to a machine and keeps the two clocks.

use std::collections::BTreeMap;

use tidegate_api::{CommandId, Input};
use tidegate_core::{Config, FetchId, Instant, Now, Record, Sample, UnixMillis};

use crate::script::{Act, Does, Item, Script, ScriptError};
use crate::transcript::Transcript;
use crate::{Machine, Request};

/// The version that machines under test are built with, the same in every runtime.
pub const VERSION: &str = "0.0.0-conformance";

/// Ids for fetches that a script answers though they were never begun.
const UNKNOWN_FETCH: u64 = 1 << 40;

/// Plays `script` to a machine made by `build` from the script's configuration, a version and the
/// time, and gives back the transcript of everything the machine said.
///
/// If `build` refuses the configuration, the transcript says so and ends there.
///
/// # Errors
/// The line that is not in the grammar, or at which the machine broke.
pub fn run<M: Machine>(
    script: &str,
    build: impl FnOnce(Config, &str, Now) -> Result<M, String>,
) -> Result<String, ScriptError> {
    let script = Script::parse(script)?;
    let mut clock = Clock {
        mono_ns: 0,
        mono_ns_high: 0,
        origin_ms: script.origin.0,
        stepped_ms: 0,
    };
    let mut player = Player {
        transcript: Transcript::new(),
        fetch_ids: BTreeMap::new(),
        commands: 0,
    };
    let mut machine = match build(script.config, VERSION, clock.now()) {
        Ok(machine) => machine,
        Err(message) => {
            for item in &script.items {
                player.transcript.script(item, None);
            }
            player.transcript.refused(&message);
            return Ok(player.transcript.into_text());
        }
    };
    let configuration = script
        .items
        .iter()
        .take_while(|item| matches!(item.does, Does::Nothing))
        .count();
    let (configuration, mut items) = script.items.split_at(configuration);
    for item in configuration {
        player.transcript.script(item, None);
    }
    // Some machines take their first step when they are configured, so here all do.
    player.transcript.start();
    player
        .step(Vec::new(), &clock, &mut machine)
        .map_err(|message| ScriptError { line: 1, message })?;
    while let Some((first, rest)) = items.split_first() {
        // What is joined to an item happens in the same step.
        let joined = rest
            .iter()
            .take_while(|item| matches!(item.does, Does::Act { joined: true, .. }))
            .count();
        let (now, rest) = rest.split_at(joined);
        items = rest;
        player.play(first, now, &mut clock, &mut machine)?;
    }
    Ok(player.transcript.into_text())
}

/// Both clocks.
struct Clock {
    mono_ns: u64,
    /// The furthest `mono_ns` has been: the wall clock does not go back with it.
    mono_ns_high: u64,
    origin_ms: i64,
    stepped_ms: i64,
}

impl Clock {
    fn now(&self) -> Now {
        let passed_ms = i64::try_from(self.mono_ns_high / 1_000_000).unwrap_or(i64::MAX);
        let wall_ms = self
            .origin_ms
            .saturating_add(passed_ms)
            .saturating_add(self.stepped_ms);
        Now {
            mono: Instant::from_nanos(self.mono_ns),
            wall: UnixMillis(wall_ms),
        }
    }
}

struct Player {
    transcript: Transcript,
    /// The machine's ids by the transcript's numbers.
    fetch_ids: BTreeMap<u64, FetchId>,
    commands: u64,
}

impl Player {
    fn play(
        &mut self,
        first: &Item,
        joined: &[Item],
        clock: &mut Clock,
        machine: &mut impl Machine,
    ) -> Result<(), ScriptError> {
        let mut inputs = Vec::new();
        for item in core::iter::once(first).chain(joined) {
            match &item.does {
                Does::Nothing => {
                    self.transcript.script(item, None);
                    return Ok(());
                }
                Does::At(mono_ns) => {
                    clock.mono_ns = *mono_ns;
                    clock.mono_ns_high = clock.mono_ns_high.max(*mono_ns);
                    self.transcript.script(item, None);
                }
                Does::Wall(step_ms) => {
                    clock.stepped_ms = clock.stepped_ms.saturating_add(*step_ms);
                    self.transcript.script(item, None);
                }
                Does::Act { act, .. } => {
                    let input = self.input(act, clock);
                    self.transcript.script(
                        item,
                        matches!(input, Input::Command(..)).then_some(self.commands),
                    );
                    inputs.push(input);
                }
            }
        }
        self.step(inputs, clock, machine)
            .map_err(|message| ScriptError {
                line: first.line,
                message,
            })
    }

    fn step(
        &mut self,
        inputs: Vec<Input<Request>>,
        clock: &Clock,
        machine: &mut impl Machine,
    ) -> Result<(), String> {
        for output in machine.step(inputs, clock.now())? {
            if let Some((number, id)) = self.transcript.output(output) {
                self.fetch_ids.insert(number, id);
            }
        }
        Ok(())
    }

    fn input(&mut self, act: &Act, clock: &Clock) -> Input<Request> {
        match act {
            Act::Http(request) => Input::Command(self.command(), Request::Http(request.clone())),
            Act::Record {
                source,
                families,
                samples,
            } => {
                let wall_ms = clock.now().wall.0;
                let samples = samples.iter().map(|sample| Sample {
                    labels: sample.labels.clone(),
                    timestamp_ms: sample
                        .offset_ms
                        .map_or(wall_ms, |offset| clock.origin_ms.saturating_add(offset)),
                    value: sample.value,
                });
                let batch = Record {
                    source: source.clone(),
                    families: families.clone(),
                    samples: samples.collect(),
                };
                Input::Command(self.command(), Request::Record(batch))
            }
            Act::Change(change) => Input::Command(self.command(), Request::Change(change.clone())),
            Act::Abandon(command) => Input::Abandon(CommandId(*command)),
            Act::Respond(number, result) => {
                let id = self
                    .fetch_ids
                    .get(number)
                    .copied()
                    .unwrap_or(FetchId(UNKNOWN_FETCH + number));
                Input::Response(id, result.clone())
            }
        }
    }

    const fn command(&mut self) -> CommandId {
        self.commands += 1;
        CommandId(self.commands)
    }
}
