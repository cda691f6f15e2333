//! A recorder in the driver: what happened on the stage can be had again.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use futures_util::FutureExt;
use tidegate_api::{Command, Front, HttpRequest};
use tidegate_client::recording::{End, RECORDING_BYTES_MAX, Recorder, Start, replay};
use tidegate_core::{Ask, Config, Instant, Now, Response, SourceConfig};

use crate::stage::Stage;

const VECTOR: &str = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1700000000,"1"]}]}}"#;

/// A file in memory that its reader shares.
#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_the_driver_did_is_replayed_to_the_nanosecond() {
    let file = Shared::default();
    let config = Config::with_sources(vec![SourceConfig::prometheus("prom")]);
    let front = Front::new(config.clone(), "1", Now::ZERO).expect("a valid configuration");
    let start = Start {
        config: &config,
        version: "1",
        now: Now::ZERO,
        is_stepped: false,
    };
    let recorder = Recorder::new(front, file.clone(), start, RECORDING_BYTES_MAX);
    let mut stage = Stage::of(recorder.expect("memory takes all"));

    let asked = stage.begin(Command::Ask(Ask::promql("up")));
    let also = stage.begin(Command::Http(HttpRequest::get("/api/v1/query?query=up")));
    stage.settle();
    stage.hands.move_to(Instant::from_nanos(1_234_567));
    let fetch = stage.net.to("/api/v1/query").pop().expect("a fetch");
    assert!(stage.net.end(fetch.id.0, Ok(Response::new(200, VECTOR))));
    stage.settle();
    assert!(asked.now_or_never().is_some() && also.now_or_never().is_some());
    // Refreshes fail, are tried again, and time out.
    for second in 1..120 {
        stage.hands.move_to(Instant::from_millis(second * 1_000));
        stage.settle();
    }
    drop(stage.begin(Command::Ask(Ask::promql("down"))));
    stage.settle();

    let timeline = replay(&**file.0.borrow()).expect("the same again");
    assert_eq!(timeline.end, End::Complete);
    assert!(timeline.steps > 5, "{}", timeline.steps);
    let lines = timeline.select(Duration::ZERO, Some("prom/:query=up"), false);
    let lines: Vec<_> = lines.iter().map(ToString::to_string).collect();
    let text = lines.join("\n");
    assert!(text.contains("(asked by #0, #1)"), "{text}");
    assert!(text.contains(" ended after 0.001s: 200"), "{text}");
    assert!(text.contains("(refresh)"), "{text}");
}
