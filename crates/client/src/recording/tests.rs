//! A story that is recorded and done again, and files that are broken in every way.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use tidegate_api::{Change, Command, CommandId, Front, HttpRequest, Input, Output, Reply};
use tidegate_core::{
    Ask, Config, Family, FetchError, Instant, Invalidation, Now, Record, Response, Sample,
    SourceConfig, TemplateConfig, UnixMillis,
};
use tidegate_series::{Labels, Metadata, MetricKind};

use super::json::Json;
use super::*;
use crate::{Machine, MachineError};

mod inputs;

const VECTOR: &str = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1700000000,"1"]}]}}"#;

fn at(ms: u64) -> Now {
    Now {
        mono: Instant::from_millis(ms),
        wall: UnixMillis(1_700_000_000_000 + i64::try_from(ms).unwrap()),
    }
}

fn config() -> Config {
    let mut prom = SourceConfig::prometheus("prom");
    prom.templates.push(TemplateConfig {
        name: "load".into(),
        text: "node_load1{pod=\"{{.pod}}\"}".into(),
        ..TemplateConfig::default()
    });
    Config {
        seed: 7,
        ..Config::with_sources(vec![prom, SourceConfig::push("node")])
    }
}

fn recorder(out: &mut Vec<u8>, bytes_max: u64) -> io::Result<Recorder<Front, &mut Vec<u8>>> {
    let config = config();
    let front = Front::new(config.clone(), "9.8.7", at(0)).unwrap();
    let start = Start {
        config: &config,
        version: "9.8.7",
        now: at(0),
        is_stepped: false,
    };
    Recorder::new(front, out, start, bytes_max)
}

/// Asks, pushes, fails, retries, leaves and reloads; gives back all that was said.
fn tell<M: Machine<Command = Command, Reply = Reply>>(machine: &mut M) -> Vec<Output<Reply>> {
    let mut said = Vec::new();
    let mut step = |inputs: Vec<Input<Command>>, ms| {
        said.extend(machine.step(inputs, at(ms)).unwrap());
        let fetches = said.iter().filter_map(|output| {
            if let Output::Fetch(fetch) = output {
                Some(fetch.id)
            } else {
                None
            }
        });
        fetches.max()
    };
    let command = |id, command| Input::Command(CommandId(id), command);
    let params = BTreeMap::from([("pod".into(), "a,b".into())]);
    step(vec![], 0);
    let up = step(vec![command(1, Command::Ask(Ask::promql("up")))], 5).unwrap();
    let busy = Response::new(503, b"\xff\x00 busy".as_slice());
    step(vec![Input::Response(up, Ok(busy))], 40);
    let again = step(vec![], 2_000).unwrap();
    assert!(again > up, "it is tried again");
    step(
        vec![Input::Response(again, Ok(Response::new(200, VECTOR)))],
        2_030,
    );
    let http = Command::Http(HttpRequest::get("/api/v1/query?query=up"));
    step(
        vec![command(2, http), command(3, Command::Record(batch()))],
        2_100,
    );
    let load = Command::Ask(Ask::template("load", params));
    let load = step(vec![command(4, load), Input::Abandon(CommandId(9))], 2_200).unwrap();
    step(vec![Input::Abandon(CommandId(4))], 2_210);
    let late = FetchError::Reset {
        detail: "gone".into(),
    };
    step(vec![Input::Response(load, Err(late))], 2_220);
    let all = Command::Change(Change::Invalidate(Invalidation::All));
    step(vec![command(5, all)], 2_300);
    step(
        vec![command(
            6,
            Command::Change(Change::Reload(Box::new(config()))),
        )],
        2_400,
    );
    said
}

fn batch() -> Record {
    let labels = Labels::from_pairs([("__name__", "temperature"), ("room", "ä\n")]).unwrap();
    Record {
        source: "node".into(),
        families: vec![Family {
            name: "temperature".into(),
            metadata: Metadata {
                kind: MetricKind::Gauge,
                unit: "celsius".into(),
                help: "\u{1}".into(),
            },
        }],
        samples: vec![Sample {
            labels,
            timestamp_ms: 1_700_000_000_000,
            value: f64::from_bits(0x7ff8_0000_0000_0bad),
        }],
    }
}

fn recorded() -> Vec<u8> {
    let mut out = Vec::new();
    tell(&mut recorder(&mut out, RECORDING_BYTES_MAX).unwrap());
    out
}

fn error(recording: &[u8]) -> ReplayError {
    replay(recording).expect_err("it is broken")
}

/// The recording with line `number` (from 1) changed, and its sum with it.
fn forged(recording: &[u8], number: usize, from: &str, to: &str) -> Vec<u8> {
    let text = str::from_utf8(recording).unwrap();
    let line = |(nth, line): (usize, &str)| {
        if nth + 1 != number {
            return format!("{line}\n");
        }
        assert!(line.contains(from), "{line}");
        let line = line.replacen(from, to, 1);
        let members = &line[..line.rfind(",\"sum\"").unwrap()];
        let sum = line::fnv(members.as_bytes());
        format!("{members},\"sum\":\"{sum:016x}\"}}\n")
    };
    text.lines()
        .enumerate()
        .map(line)
        .collect::<String>()
        .into()
}

#[test]
fn what_was_recorded_comes_out_the_same() {
    let timeline = replay(&*recorded()).unwrap();
    assert_eq!((timeline.steps, &timeline.end), (11, &End::Complete));
    assert_eq!((&*timeline.version, timeline.start), ("9.8.7", at(0)));
}

#[test]
fn a_recorded_machine_says_what_it_says_without() {
    let mut out = Vec::new();
    let recorded = tell(&mut recorder(&mut out, RECORDING_BYTES_MAX).unwrap());
    let mut plain = Front::new(config(), "9.8.7", at(0)).unwrap();
    assert_eq!(format!("{recorded:?}"), format!("{:?}", tell(&mut plain)));
    let off = Front::new(config(), "9.8.7", at(0)).unwrap();
    let mut off = Recorder::<_, Vec<u8>>::off(off);
    assert_eq!(format!("{recorded:?}"), format!("{:?}", tell(&mut off)));
}

#[test]
fn a_machine_that_is_configured_by_a_step_is_replayed_as_well() {
    struct Guest(Front, Vec<Output<Reply>>);
    impl Machine for Guest {
        type Command = Command;
        type Reply = Reply;
        fn step(
            &mut self,
            inputs: Vec<Input<Command>>,
            now: Now,
        ) -> Result<Vec<Output<Reply>>, MachineError> {
            let mut outputs = std::mem::take(&mut self.1);
            outputs.retain(|output| !matches!(output, Output::Wait(_)));
            outputs.extend(self.0.step(inputs, now));
            Ok(outputs)
        }
    }
    impl Recordable for Guest {
        fn command(command: &Command) -> CommandView<'_> {
            command.into()
        }
        fn reply(reply: &Reply) -> ReplyView<'_> {
            Front::reply(reply)
        }
    }
    let config = config();
    let mut front = Front::new(config.clone(), "1", at(0)).unwrap();
    let held = front.step(vec![], at(0));
    assert!(held.iter().any(|output| matches!(output, Output::Fetch(_))));
    let start = Start {
        config: &config,
        version: "1",
        now: at(0),
        is_stepped: true,
    };
    let mut out = Vec::new();
    let guest = Guest(front, held);
    let mut machine = Recorder::new(guest, &mut out, start, RECORDING_BYTES_MAX).unwrap();
    machine.step(vec![], at(3)).unwrap();
    machine.step(vec![], at(20_000)).unwrap();
    assert_eq!(replay(&*out).unwrap().steps, 2);
}

#[test]
fn the_timeline_tells_the_story() {
    let timeline = replay(&*recorded()).unwrap();
    let lines = |from, key| -> Vec<String> {
        let entries = timeline.select(from, key, false);
        entries.iter().map(ToString::to_string).collect()
    };
    let all = lines(Duration::ZERO, None).join("\n");
    for part in [
        "    0.005s  #1 asks up\n",
        "prom GET /api/v1/query query=up (asked by #1)\n",
        " ended after 0.035s: 503, 7 bytes\n",
        "query=up (try 2)\n",
        "reply #1 miss fresh age 2.030s ",
        "key prom/:query=up\n",
        "reply #2 200, ",
        "#3 1 samples from node\n",
        "(asked by #4)\n",
        "#4 left\n",
        "reply #5 changed (1)\n",
    ] {
        assert!(all.contains(part), "{part:?} in\n{all}");
    }
    assert!(!all.contains("wait until"), "{all}");
    assert!(timeline.select(Duration::ZERO, None, true).len() > lines(Duration::ZERO, None).len());
    let late = lines(Duration::from_millis(2_300), None);
    assert_eq!(late.len(), 4, "{late:?}");
    let key = lines(Duration::ZERO, Some("prom/:query=up")).join("\n");
    assert!(
        key.contains("(try 2)") && key.contains("#1 asks") && !key.contains("#4"),
        "{key}"
    );
    assert_eq!(lines(Duration::ZERO, Some("nobody")), [""; 0]);
}

#[test]
fn a_flipped_byte_is_found_at_its_step() {
    let recording = recorded();
    let starts: Vec<usize> = recording
        .split_inclusive(|&byte| byte == b'\n')
        .scan(0, |at, line| {
            let start = *at;
            *at += line.len();
            Some(start)
        })
        .collect();
    for at in (starts[1]..recording.len() - 1).step_by(7) {
        let mut broken = recording.clone();
        broken[at] ^= 1;
        let number = starts.partition_point(|start| *start <= at) as u64;
        let said = error(&broken);
        let ReplayError::Damaged { line, step } = said else {
            panic!("byte {at}: {said}")
        };
        assert_eq!((line, step), (number, (number - 2) / 2), "byte {at}");
    }
}

#[test]
fn a_change_that_fits_its_sum_is_found_by_what_comes_of_it() {
    let broken = forged(&recorded(), 5, "up", "down");
    // Line 4 is what step 1 was given, line 5 what it said.
    let ReplayError::Differs(difference) = error(&broken) else {
        panic!("it differs")
    };
    assert_eq!(
        (difference.step, difference.line, difference.now),
        (1, 5, at(5))
    );
    let said = difference.to_string();
    assert!(
        said.contains("query=down") && said.contains("query=up"),
        "{said}"
    );
}

#[test]
fn a_torn_last_line_is_tolerated_and_said() {
    let recording = recorded();
    for cut in 1..400 {
        let timeline = replay(&recording[..recording.len() - cut]).unwrap();
        assert_eq!((timeline.steps, timeline.end), (10, End::Torn), "{cut}");
    }
}

#[test]
fn another_version_and_other_files_are_refused() {
    let said = error(&forged(
        &recorded(),
        1,
        "\"tidegate_recording\":1",
        "\"tidegate_recording\":2",
    ));
    assert!(said.to_string().contains("version 2, only 1"), "{said}");
    for other in ["", "hello\n", "{}\n", "\n"] {
        assert!(
            matches!(error(other.as_bytes()), ReplayError::NotARecording),
            "{other}"
        );
    }
}

#[test]
fn a_huge_line_is_refused_before_it_is_read_whole() {
    let mut recording = recorded();
    recording.truncate(recording.iter().position(|&byte| byte == b'\n').unwrap() + 1);
    let endless = io::Read::chain(&*recording, io::repeat(b'x'));
    let said = replay(io::BufReader::new(endless)).unwrap_err();
    assert!(
        matches!(
            said,
            ReplayError::TooLong {
                line: 2,
                limit_bytes: LINE_BYTES_MAX
            }
        ),
        "{said}"
    );
}

#[test]
fn a_line_that_makes_no_sense_says_where() {
    let recording = recorded();
    let said = error(&forged(
        &recording,
        4,
        "\"allow_stale\":false",
        "\"allow_stale\":7",
    ))
    .to_string();
    assert_eq!(
        said,
        "line 4: inputs: [0]: ask: allow_stale: expected true or false, found 7"
    );
    let said = error(&forged(&recording, 4, "\"step\":1", "\"step\":2")).to_string();
    assert_eq!(said, "line 4: expected step 1, found 2");
}

#[test]
fn at_its_limit_it_stops_says_so_and_the_machine_goes_on() {
    let whole = recorded().len() as u64;
    let mut out = Vec::new();
    let mut machine = recorder(&mut out, whole - 100).unwrap();
    let said = tell(&mut machine);
    assert!(!machine.is_recording());
    let stops: Vec<_> = said
        .iter()
        .filter(
            |output| matches!(output, Output::Event(event) if event.name == "recording-stopped"),
        )
        .collect();
    assert_eq!(stops.len(), 1);
    assert!(matches!(said.last(), Some(Output::Wait(_))));
    assert!(out.len() as u64 <= whole - 100);
    let End::Stopped(why) = replay(&*out).unwrap().end else {
        panic!("it stopped")
    };
    assert!(why.contains("limit"), "{why}");
    assert!(recorder(&mut Vec::new(), 10).is_err());
}

#[test]
fn a_file_that_cannot_be_written_does_not_stop_the_machine() {
    struct Full(usize);
    impl io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let config = config();
    let front = Front::new(config.clone(), "1", at(0)).unwrap();
    let start = Start {
        config: &config,
        version: "1",
        now: at(0),
        is_stepped: false,
    };
    let mut machine = Recorder::new(front, Full(4), start, RECORDING_BYTES_MAX).unwrap();
    tell(&mut machine);
    assert!(!machine.is_recording());
}

#[test]
fn what_broke_a_machine_is_on_file() {
    struct Fragile(Front);
    impl Machine for Fragile {
        type Command = Command;
        type Reply = Reply;
        fn step(
            &mut self,
            inputs: Vec<Input<Command>>,
            now: Now,
        ) -> Result<Vec<Output<Reply>>, MachineError> {
            if inputs.is_empty() {
                Machine::step(&mut self.0, inputs, now)
            } else {
                Err(MachineError::new("a trap"))
            }
        }
    }
    impl Recordable for Fragile {
        fn command(command: &Command) -> CommandView<'_> {
            command.into()
        }
        fn reply(reply: &Reply) -> ReplyView<'_> {
            Front::reply(reply)
        }
    }
    let mut out = Vec::new();
    let config = config();
    let machine = Fragile(Front::new(config.clone(), "1", at(0)).unwrap());
    let start = Start {
        config: &config,
        version: "1",
        now: at(0),
        is_stepped: false,
    };
    let mut machine = Recorder::new(machine, &mut out, start, RECORDING_BYTES_MAX).unwrap();
    machine.step(vec![], at(1)).unwrap();
    let ask = Input::Command(CommandId(1), Command::Ask(Ask::promql("up")));
    machine.step(vec![ask], at(2)).unwrap_err();
    let timeline = replay(&*out).unwrap();
    assert_eq!(
        timeline.end,
        End::Broke("the collector broke: a trap".into())
    );
    let lines = timeline.select(Duration::ZERO, None, false);
    assert!(lines.iter().any(|entry| entry.text == "#1 asks up"));
}

#[test]
fn credentials_of_askers_are_left_out() {
    let mut request = HttpRequest::get("/");
    for name in [
        "Authorization",
        "cookie",
        "x-api-key",
        "x-auth-token",
        "host",
    ] {
        request.headers.push((name.into(), "s3cret".into()));
    }
    let mut out = Vec::new();
    request.write(&mut out);
    let written = String::from_utf8(out).unwrap();
    assert_eq!(written.matches("s3cret").count(), 1, "{written}");
    assert!(written.contains("host"));
}

#[cfg(unix)]
#[test]
fn its_file_is_for_its_owner_alone_and_never_overwritten() {
    use std::os::unix::fs::PermissionsExt;
    let name = format!("tidegate-recording-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let file = create_file(&path).unwrap();
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let again = create_file(&path).unwrap_err();
    assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    std::fs::remove_file(path).unwrap();
}
