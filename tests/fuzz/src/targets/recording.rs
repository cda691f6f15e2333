//! Recordings of a collector, read back.

use std::fmt::Write;

use tidegate_client::recording::replay;

use super::Target;

pub(super) const TARGET: Target = Target {
    name: "recording",
    about: "lines of a recording, each without its sum, which is put in",
    run,
    words: &[
        r#"{"tidegate_recording":1,"version":"0.1.0","start":{"mono_ns":0,"wall_ms":1700000000000},"stepped":false,"config":{}"#,
        r#"{"step":0,"mono_ns":5,"wall_ms":1700000000000,"inputs":[]"#,
        r#"{"step":0,"outputs":[]"#,
        r#"{"step":1,"broke":"why""#,
        r#"{"stopped":"why""#,
        r#"{"hex":"ff00"}"#,
        r#""7ff8000000000000""#,
        "[1,999999999]",
        "[18446744073709551615,1]",
        "null",
        "true",
        "\n",
        "[]",
        "{}",
        "18446744073709551615",
    ],
    bytes_max: 6_000,
};

fn run(bytes: &[u8]) {
    let _ = replay(bytes);
    let text = String::from_utf8_lossy(bytes);
    let mut summed = String::new();
    for line in text.lines() {
        // FNV-1a, as the format has it.
        let sum = line.bytes().fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| {
            (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        writeln!(summed, "{line},\"sum\":\"{sum:016x}\"}}").expect("text takes all");
    }
    match replay(summed.as_bytes()) {
        Ok(timeline) => drop(timeline.select(std::time::Duration::ZERO, Some("up"), true)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
