//! Writes down what a script says and what the machine answers, so that equal behaviour is equal
//! text and a difference is readable.

use std::collections::BTreeMap;

use tidegate_api::Output;
use tidegate_core::{Appended, Deadline, Event, Fetch, FetchId, Forget, Instant, Level};
use tidegate_series::is_stale;

use crate::Reply;
use crate::script::Item;

/// Texts longer than this are shown by their beginning, length and hash; `/metrics` is shorter.
const SHOWN_BYTES_MAX: usize = 8192;
/// How much of a longer one is shown.
const SHOWN_BYTES_HEAD: usize = 96;

/// The headers worth a line; the others are the same in every answer or told elsewhere.
const HEADERS_SHOWN: [&str; 8] = [
    "content-type",
    "cache-status",
    "age",
    "warning",
    "retry-after",
    "allow",
    "location",
    "www-authenticate",
];

/// A transcript that grows.
pub(crate) struct Transcript {
    text: String,
    /// Fetches by the machine's ids, numbered from 1 as they appear.
    numbers: BTreeMap<FetchId, u64>,
}

impl Transcript {
    pub(crate) const fn new() -> Self {
        Self {
            text: String::new(),
            numbers: BTreeMap::new(),
        }
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }

    /// A line of the script; a command with its number.
    pub(crate) fn script(&mut self, item: &Item, command: Option<u64>) {
        for (index, line) in item.text.iter().enumerate() {
            let comment = line.starts_with('#');
            if comment && !self.text.is_empty() {
                self.text.push('\n');
            }
            let mark = if comment { "" } else { "> " };
            let number = command
                .filter(|_| index == 0)
                .map(|number| format!("   [{number}]"))
                .unwrap_or_default();
            self.line(&format!("{mark}{}{number}", shown(line)));
        }
    }

    /// The first step, which no line of the script asks for.
    pub(crate) fn start(&mut self) {
        self.line("> (start)");
    }

    /// The configuration was not taken.
    pub(crate) fn refused(&mut self, message: &str) {
        self.line(&format!("  refused: {}", shown(message)));
    }

    /// An output. A fetch gives back its number and the machine's id for it.
    pub(crate) fn output(&mut self, output: Output<Reply>) -> Option<(u64, FetchId)> {
        match output {
            Output::Fetch(fetch) => return Some((self.fetch(&fetch), fetch.id)),
            Output::Cancel(id) => {
                let number = self
                    .numbers
                    .get(&id)
                    .map_or_else(|| "?".to_owned(), u64::to_string);
                self.line(&format!("  cancel {number}"));
            }
            Output::Reply(
                id,
                Reply::Http {
                    status,
                    headers,
                    body,
                },
            ) => {
                self.line(&format!("  reply [{}] {status}", id.0));
                self.headers(&headers);
                self.body(&body);
            }
            Output::Reply(id, Reply::Recorded(Ok(verdict))) => {
                let refusal = verdict
                    .first_refusal
                    .map(|first| format!(": {}", shown(&first)))
                    .unwrap_or_default();
                self.line(&format!(
                    "  recorded [{}] {}, refused {}{refusal}",
                    id.0, verdict.accepted, verdict.refused
                ));
            }
            Output::Reply(id, Reply::Recorded(Err(message))) => {
                self.line(&format!(
                    "  recorded [{}] nothing: {}",
                    id.0,
                    shown(&message)
                ));
            }
            Output::Reply(id, Reply::Changed(Ok(count))) => {
                self.line(&format!("  changed [{}] {count}", id.0));
            }
            Output::Reply(id, Reply::Changed(Err(message))) => {
                self.line(&format!(
                    "  changed [{}] nothing: {}",
                    id.0,
                    shown(&message)
                ));
            }
            Output::Event(event) => self.event(&event),
            Output::Forget(Forget::All) => self.line("  forget all"),
            Output::Forget(Forget::Key(key)) => self.line(&format!("  forget {}", shown(&key))),
            Output::Append(appended) => self.append(&appended),
            Output::Wait(deadline) => self.wait(deadline),
        }
        None
    }

    fn append(&mut self, appended: &Appended) {
        for family in &appended.families {
            let kind = family.metadata.kind.as_str();
            let help = shown(&family.metadata.help);
            self.line(&format!("  append {} is a {kind}: {help}", family.name));
        }
        for sample in &appended.samples {
            let (at_ms, value) = (sample.timestamp_ms, sample.value);
            let value = if is_stale(value) {
                "stale".to_owned()
            } else {
                value.to_string()
            };
            self.line(&format!("  append {} {value} at {at_ms}", sample.labels));
        }
    }

    fn fetch(&mut self, fetch: &Fetch) -> u64 {
        let number = self.numbers.len() as u64 + 1;
        self.numbers.insert(fetch.id, number);
        let request = &fetch.request;
        let form = if request.form.is_empty() {
            String::new()
        } else {
            format!(" {}", shown(&request.form))
        };
        let (source, method, path) = (&fetch.source, request.method.as_str(), &*request.path);
        self.line(&format!(
            "  fetch {number} {source} {method} {path}{form} until {}",
            seconds(fetch.deadline)
        ));
        number
    }

    fn headers(&mut self, headers: &[(String, String)]) {
        for (name, value) in headers
            .iter()
            .filter(|(name, _)| HEADERS_SHOWN.contains(&name.as_str()))
        {
            self.line(&format!("    {name}: {}", shown(value)));
        }
    }

    /// Every line of a body behind a bar; a final line feed shows as a bar of its own.
    fn body(&mut self, body: &[u8]) {
        if body.is_empty() {
            return;
        }
        if body.len() > SHOWN_BYTES_MAX {
            return self.line(&format!("    | {}", shown_bytes(body)));
        }
        for line in String::from_utf8_lossy(body).split('\n') {
            self.line(format!("    | {}", escaped(line)).trim_end());
        }
    }

    fn event(&mut self, event: &Event) {
        let level = match event.level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
        };
        let key = event
            .key
            .as_ref()
            .map(|key| format!(" key {}", shown(key)))
            .unwrap_or_default();
        self.line(&format!(
            "  event {level} {} {}{key}: {}",
            event.name,
            event.source,
            shown(&event.detail)
        ));
    }

    fn wait(&mut self, deadline: Option<Deadline>) {
        match deadline {
            None => self.line("  wait"),
            Some(deadline) => self.line(&format!(
                "  wait until {} {}",
                seconds(deadline.at),
                deadline.wake.as_str()
            )),
        }
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }
}

/// A monotonic instant in seconds since the start, all nine decimals if it needs them.
fn seconds(at: Instant) -> String {
    let (whole, ns) = (at.as_nanos() / 1_000_000_000, at.as_nanos() % 1_000_000_000);
    if ns == 0 {
        return format!("{whole}s");
    }
    let fraction = format!("{ns:09}");
    format!("{whole}.{}s", fraction.trim_end_matches('0'))
}

fn shown(text: &str) -> String {
    if text.len() > SHOWN_BYTES_MAX {
        shown_bytes(text.as_bytes())
    } else {
        escaped(text)
    }
}

fn shown_bytes(bytes: &[u8]) -> String {
    let head = String::from_utf8_lossy(&bytes[..SHOWN_BYTES_HEAD]);
    format!(
        "{}… ({} bytes, fnv {:016x})",
        escaped(&head),
        bytes.len(),
        fnv(bytes)
    )
}

/// Control characters as Rust escapes them, so that a transcript is text wherever it is printed. A
/// host does the same to what a guest says.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// FNV-1a: enough to see that two long texts differ.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_can_be_read_back_from_its_lines() {
        let mut transcript = Transcript::new();
        transcript.body(b"a\nb\n");
        transcript.body(b"{}");
        transcript.body(b"");
        assert_eq!(
            transcript.into_text(),
            "    | a\n    | b\n    |\n    | {}\n"
        );
    }

    #[test]
    fn long_texts_are_cut_but_told_apart() {
        let (one, other) = ("x".repeat(9000), "x".repeat(8999) + "y");
        assert!(shown(&one).len() < 200 && shown(&one).contains("(9000 bytes, fnv "));
        assert_ne!(shown(&one), shown(&other));
    }

    #[test]
    fn instants_are_shown_to_the_nanosecond() {
        assert_eq!(
            seconds(Instant::from_nanos(30_000_000_001)),
            "30.000000001s"
        );
        assert_eq!(seconds(Instant::from_millis(1500)), "1.5s");
        assert_eq!(seconds(Instant::ZERO), "0s");
    }
}
