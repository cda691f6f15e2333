//! What a step says, as lines of text that two machines must agree on.

use std::fmt::Write as _;

use tidegate_api::{Command, Front, Output, Reply};
use tidegate_core::{
    AggregationError, Answer, Appended, Event, Fetch, Forget, Group, QueryError, Recorded,
};
use tidegate_series::Metadata;

use super::input::CommandView;
use super::line::fnv;
use crate::Machine;

/// Texts longer than this, in bytes, are cut, with their hash instead of the rest.
const TEXT_BYTES_MAX: usize = 512;

/// Where a guest's host cuts texts that are for a line in a log, in bytes.
const LINE_TEXT_BYTES_MAX: usize = 4_096;

/// A machine whose steps can be recorded: its words are those of [`Front`], perhaps by other
/// names.
pub trait Recordable: Machine {
    /// The command, as a [`Front`] takes it.
    fn command(command: &Self::Command) -> CommandView<'_>;

    /// What the reply says.
    fn reply(reply: &Self::Reply) -> ReplyView<'_>;
}

/// A reply, as far as it reaches whoever asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReplyView<'a> {
    /// A response of the HTTP API.
    Http {
        /// The status code.
        status: u16,
        /// Names and values, in order.
        headers: Vec<(&'a str, &'a str)>,
        /// The body.
        body: &'a [u8],
    },
    /// An answer to a typed ask.
    Answer(&'a Result<Answer, QueryError>),
    /// What became of a batch, or why it was refused whole.
    Recorded(Result<Verdict, String>),
    /// What was asked about windows, or why it cannot be told.
    Aggregated(&'a Result<Vec<Group>, AggregationError>),
    /// How many answers or keys a change was about, or why there was none.
    Changed(Result<u64, String>),
}

/// What became of a batch of samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How many samples were taken.
    pub accepted: u64,
    /// How many were not.
    pub refused: u64,
    /// Why the first of those was not or, where all were taken, the first description.
    pub first_refusal: Option<String>,
}

impl From<&Recorded> for Verdict {
    fn from(recorded: &Recorded) -> Self {
        let sample = recorded.refused.first().map(|(_, error)| error.to_string());
        let family = recorded.families_refused.first();
        Self {
            accepted: recorded.accepted as u64,
            refused: recorded.refused.len() as u64,
            first_refusal: sample.or_else(|| family.map(|(_, error)| error.to_string())),
        }
    }
}

impl Recordable for Front {
    fn command(command: &Command) -> CommandView<'_> {
        command.into()
    }

    fn reply(reply: &Reply) -> ReplyView<'_> {
        match reply {
            Reply::Http(response) => ReplyView::Http {
                status: response.status,
                headers: response
                    .headers
                    .iter()
                    .map(|(name, value)| (*name, value.as_str()))
                    .collect(),
                body: &response.body,
            },
            Reply::Answer(result) => ReplyView::Answer(result),
            Reply::Recorded(Ok(recorded)) => ReplyView::Recorded(Ok(recorded.into())),
            Reply::Recorded(Err(error)) => ReplyView::Recorded(Err(error.to_string())),
            Reply::Aggregated(groups) => ReplyView::Aggregated(groups),
            Reply::Changed(Ok(count)) => ReplyView::Changed(Ok(*count as u64)),
            Reply::Changed(Err(error)) => ReplyView::Changed(Err(error.to_string())),
        }
    }
}

/// One line for one output: all that it says, long parts by their hash.
pub(super) fn text<M: Recordable>(output: &Output<M::Reply>) -> String {
    match output {
        Output::Fetch(fetch) => fetch_text(fetch),
        Output::Cancel(id) => format!("cancel {}", id.0),
        Output::Reply(id, reply) => format!("reply {} {}", id.0, reply_text(&M::reply(reply))),
        Output::Event(event) => event_text(event),
        Output::Forget(Forget::All) => "forget all".into(),
        Output::Forget(Forget::Key(key)) => format!("forget {}", short(key)),
        Output::Append(appended) => appended_text(appended),
        Output::Wait(None) => "wait".into(),
        Output::Wait(Some(wait)) => format!("wait {} {}", wait.at.as_nanos(), wait.wake.as_str()),
    }
}

fn appended_text(appended: &Appended) -> String {
    let Appended { families, samples } = appended;
    let mut all = String::new();
    for family in families {
        let Metadata { kind, unit, help } = &family.metadata;
        let _ = write!(all, "{} {} {unit:?} {help:?}, ", family.name, kind.as_str());
    }
    for sample in samples {
        let bits = sample.value.to_bits();
        let _ = write!(all, "{} {} {bits:x}, ", sample.labels, sample.timestamp_ms);
    }
    let (described, count) = (families.len(), samples.len());
    format!(
        "append {described} families, {count} samples: {}",
        short(&all)
    )
}

fn fetch_text(fetch: &Fetch) -> String {
    let request = &fetch.request;
    format!(
        "fetch {} {} {} {} {} until {}",
        fetch.id.0,
        backend(fetch),
        request.method.as_str(),
        request.path,
        short(&request.form),
        fetch.deadline.as_nanos()
    )
}

/// Who is asked: the source, and where it has several, its target.
pub(super) fn backend(fetch: &Fetch) -> String {
    match &fetch.target {
        Some(target) => format!("{}[{target}]", fetch.source),
        None => fetch.source.to_string(),
    }
}

fn reply_text(reply: &ReplyView<'_>) -> String {
    match reply {
        ReplyView::Http {
            status,
            headers,
            body,
        } => {
            let mut text = format!("http {status}");
            for (name, value) in headers {
                // A string takes all.
                let _ = write!(text, " {name}={:?}", short(value));
            }
            let _ = write!(text, " {}", bytes(body));
            text
        }
        ReplyView::Answer(Ok(answer)) => answer_text(answer),
        ReplyView::Answer(Err(error)) => {
            let all = format!("{error:?}");
            format!(
                "error {} {}",
                short(&error.to_string()),
                bytes(all.as_bytes())
            )
        }
        ReplyView::Recorded(Ok(verdict)) => format!(
            "recorded {} refused {} {:?}",
            verdict.accepted,
            verdict.refused,
            verdict.first_refusal.as_deref().map(one_line)
        ),
        ReplyView::Aggregated(Ok(groups)) => {
            let all = format!("{groups:?}");
            format!("{} groups {}", groups.len(), bytes(all.as_bytes()))
        }
        ReplyView::Aggregated(Err(error)) => format!("refused {}", short(&error.to_string())),
        ReplyView::Changed(Ok(count)) => format!("changed {count}"),
        ReplyView::Recorded(Err(error)) | ReplyView::Changed(Err(error)) => {
            format!("refused {}", short(&one_line(error)))
        }
    }
}

fn answer_text(answer: &Answer) -> String {
    let payload = &answer.payload;
    let body = match &payload.body {
        Some(body) => bytes(body),
        None => {
            let mut body = Vec::new();
            tidegate_wire::encode_query_response(&payload.response, &mut body);
            bytes(&body)
        }
    };
    let ns = |duration: std::time::Duration| duration.as_nanos();
    format!(
        "answer {} {} of {} key {} as-of {} fetched {} age {} ttl {:?} overdue {} because {:?} {body}",
        answer.provenance.as_str(),
        answer.freshness.as_str(),
        answer.source,
        short(&answer.key),
        answer.as_of,
        answer.fetched_at,
        ns(answer.age),
        answer.ttl_left.map(ns),
        ns(answer.overdue),
        answer.reason.as_deref().map(short),
    )
}

fn event_text(event: &Event) -> String {
    let key = event.key.as_deref().map(one_line);
    format!(
        "event {:?} {} {} {} {}",
        event.level,
        event.name,
        one_line(&event.source),
        short(key.as_deref().unwrap_or("-")),
        short(&one_line(&event.detail))
    )
}

fn bytes(bytes: &[u8]) -> String {
    format!("{} bytes {:016x}", bytes.len(), fnv(bytes))
}

/// The text, its end replaced by its hash where it is long.
fn short(text: &str) -> String {
    if text.len() <= TEXT_BYTES_MAX {
        return text.into();
    }
    let start = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
    format!("{start}… {}", bytes(text.as_bytes()))
}

/// As a guest's host has it for its log. Done twice, it changes nothing more, so that recordings
/// of guests and of machines in process agree.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for c in text.chars() {
        if line.len() >= LINE_TEXT_BYTES_MAX {
            line.push('…');
            break;
        }
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}
