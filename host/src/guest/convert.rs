//! Between the collector's own words and those of the component border.
//!
//! Going in, values are ours. Coming out, they are a guest's: names that the host keeps are
//! bounded, and only paths that the host serves pass.

mod config;
mod samples;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tidegate_api::{Change, CommandId, HttpRequest, Input, Output, Reuse};
use tidegate_client::MachineError;
use tidegate_core::{
    Deadline, Event, Fetch, FetchError, FetchId, FetchRequest, Forget, Freshness, Instant,
    Invalidation, Level, Method, Response, Wake, is_reading_path,
};

pub(super) use self::config::config;
use self::config::{ms, template as template_config};
use self::samples::{appended, batch};
use super::{GuestCommand, GuestRecorded, GuestReply, GuestResponse, command_id, wit};

/// What a guest may ask a target for: its text, at the target's own address.
const TARGET_PATH: &str = "";

/// Every reason to wake, to find one by its word.
const WAKES: &[Wake] = &[
    Wake::FetchTimeout,
    Wake::AskTimeout,
    Wake::Retry,
    Wake::Refresh,
    Wake::Collect,
    Wake::Probe,
    Wake::Alerts,
    Wake::Cleanup,
];

/// For how long a guest's response is given out again at the longest: as long as the collector
/// believes an answer about the past.
const REUSE_TIME_MAX: Duration = Duration::from_secs(3_600);

/// How many names of events are kept for the life of the process: several times what there are.
const EVENT_NAMES_MAX: usize = 128;

/// How long the name of an event may be, in bytes.
const EVENT_NAME_BYTES_MAX: usize = 64;

/// What an event is called whose name is over those limits.
const EVENT_NAME_OTHER: &str = "guest-event";

/// How much of a guest's texts is kept for a line in a log, in bytes.
const DETAIL_BYTES_MAX: usize = 4_096;

/// `version` goes with a new configuration.
pub(super) fn input(input: Input<GuestCommand>, version: &str) -> wit::Input {
    match input {
        Input::Command(id, command) => {
            let command = match command {
                GuestCommand::Http(request) => wit::Command::Http(http_request(request)),
                GuestCommand::Record(record) => wit::Command::Record(batch(&record)),
                GuestCommand::Change(change) => self::change(change, version),
            };
            wit::Input::Command((command_id(id), command))
        }
        Input::Abandon(id) => wit::Input::Abandon(command_id(id)),
        Input::Response(FetchId(id), result) => {
            let result = result.map(fetch_response).map_err(fetch_error);
            wit::Input::Response((id, result))
        }
    }
}

fn change(change: Change, version: &str) -> wit::Command {
    wit::Command::Change(match change {
        Change::Reload(config) => {
            return wit::Command::Configure(self::config(&config, version));
        }
        Change::Register { source, template } => {
            wit::Change::Register((source, template_config(&template)))
        }
        Change::Update { source, template } => {
            wit::Change::Update((source, template_config(&template)))
        }
        Change::Unregister { source, template } => wit::Change::Unregister((source, template)),
        Change::Untrack { key } => wit::Change::Untrack(key),
        Change::Invalidate(what) => wit::Change::Invalidate(match what {
            Invalidation::Key(key) => wit::Invalidation::Key(key),
            Invalidation::Prefix(prefix) => wit::Invalidation::Prefix(prefix),
            Invalidation::Source(source) => wit::Invalidation::Source(source),
            Invalidation::Template { source, template } => {
                wit::Invalidation::Template((source, template))
            }
            Invalidation::All => wit::Invalidation::All,
        }),
        Change::RegisterOwner { workload, owner } => wit::Change::RegisterOwner((workload, owner)),
        Change::UnregisterOwner { workload } => wit::Change::UnregisterOwner(workload),
    })
}

fn fetch_response(response: Response) -> wit::FetchResponse {
    wit::FetchResponse {
        status: response.status,
        body: response.body,
        retry_after_ms: response.retry_after.map(ms),
        content_type: response.content_type,
    }
}

fn http_request(request: HttpRequest) -> wit::HttpRequest {
    let HttpRequest {
        method,
        target,
        headers,
        body,
    } = request;
    wit::HttpRequest {
        method,
        target,
        headers,
        body,
    }
}

fn fetch_error(error: FetchError) -> wit::FetchError {
    match error {
        FetchError::Connect { detail } => wit::FetchError::Connect(detail),
        FetchError::Reset { detail } => wit::FetchError::Reset(detail),
        FetchError::Timeout { after } => {
            wit::FetchError::Timeout(u64::try_from(after.as_nanos()).unwrap_or(u64::MAX))
        }
        FetchError::TooLarge { limit_bytes } => wit::FetchError::TooLarge(limit_bytes),
        FetchError::Encoding { detail } => wit::FetchError::Encoding(detail),
        FetchError::Redirect { status } => wit::FetchError::Redirect(status),
        FetchError::Refused { detail } => wit::FetchError::Refused(detail),
        other => wit::FetchError::Refused(other.to_string()),
    }
}

/// # Errors
/// The guest wants what this host does not do.
pub(super) fn output(output: wit::Output) -> Result<Output<GuestReply>, MachineError> {
    Ok(match output {
        wit::Output::Fetch(fetch) => Output::Fetch(self::fetch(fetch)?),
        wit::Output::Cancel(id) => Output::Cancel(FetchId(id)),
        wit::Output::Reply((id, reply)) => Output::Reply(CommandId(id), self::reply(reply)?),
        wit::Output::Event(event) => Output::Event(self::event(event)),
        wit::Output::Forget(forget) => Output::Forget(match forget {
            wit::Forget::Key(key) => Forget::Key(Arc::from(key)),
            wit::Forget::All => Forget::All,
        }),
        wit::Output::Append(appended) => Output::Append(self::appended(appended)?),
        wit::Output::Wait(deadline) => Output::Wait(deadline.map(|deadline| Deadline {
            at: Instant::from_nanos(deadline.at_ns),
            wake: wake(&deadline.wake),
        })),
    })
}

fn fetch(fetch: wit::Fetch) -> Result<Fetch, MachineError> {
    let may_ask = match &fetch.target {
        Some(_) => fetch.path == TARGET_PATH,
        None => is_reading_path(&fetch.path),
    };
    if !may_ask {
        return Err(MachineError::new(format!(
            "it asked for {:?}, which no source is asked for",
            one_line(&fetch.path)
        )));
    }
    Ok(Fetch {
        id: FetchId(fetch.id),
        source: Arc::from(fetch.source),
        target: fetch.target.map(Arc::from),
        request: FetchRequest {
            method: match fetch.method {
                wit::Method::Get => Method::Get,
                wit::Method::Post => Method::Post,
            },
            path: fetch.path.into(),
            form: fetch.form,
        },
        deadline: Instant::from_nanos(fetch.deadline_ns),
    })
}

fn reply(reply: wit::Reply) -> Result<GuestReply, MachineError> {
    match reply {
        wit::Reply::Http(wit::HttpResponse {
            status,
            headers,
            body,
            reuse,
        }) => Ok(GuestReply::Http(GuestResponse {
            status,
            headers,
            body,
            reuse: reuse.map(self::reuse),
            lent: None,
        })),
        wit::Reply::Recorded(Ok(recorded)) => Ok(GuestReply::Recorded(Ok(GuestRecorded {
            accepted: recorded.accepted,
            refused: recorded.refused,
            first_refusal: recorded.first_refusal.map(|text| one_line(&text)),
        }))),
        wit::Reply::Recorded(Err(message)) => Ok(GuestReply::Recorded(Err(one_line(&message)))),
        wit::Reply::Changed(result) => {
            Ok(GuestReply::Changed(result.map_err(|text| one_line(&text))))
        }
        // A new configuration is a change like others.
        wit::Reply::Configured(result) => Ok(GuestReply::Changed(
            result.map(|()| 0).map_err(|text| one_line(&text)),
        )),
    }
}

fn reuse(reuse: wit::Reuse) -> Reuse {
    Reuse {
        left: Duration::from_nanos(reuse.left_ns).min(REUSE_TIME_MAX),
        age: Duration::from_nanos(reuse.age_ns),
        ages: reuse.ages,
        ttl_left: Duration::from_nanos(reuse.ttl_left_ns),
        freshness: match reuse.freshness {
            wit::Freshness::Fresh => Freshness::Fresh,
            wit::Freshness::Stale => Freshness::Stale,
            wit::Freshness::Unavailable => Freshness::Unavailable,
            wit::Freshness::Missing => Freshness::Missing,
        },
        key: Arc::from(reuse.key),
    }
}

fn event(event: wit::Event) -> Event {
    Event {
        level: match event.level {
            wit::Level::Debug => Level::Debug,
            wit::Level::Info => Level::Info,
            wit::Level::Warn => Level::Warn,
        },
        name: event_name(&event.name),
        source: Arc::from(one_line(&event.source)),
        key: event.key.map(|key| Arc::from(one_line(&key))),
        detail: one_line(&event.detail),
    }
}

/// Event names never vary within a collector, so each is kept once for the life of the process,
/// up to a bound that only a hostile guest meets.
fn event_name(name: &str) -> &'static str {
    static KEPT: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if name.len() > EVENT_NAME_BYTES_MAX || !name.bytes().all(plain) {
        return EVENT_NAME_OTHER;
    }
    // A set of texts cannot be left half changed.
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = kept.get(name) {
        return known;
    }
    if kept.len() == EVENT_NAMES_MAX {
        return EVENT_NAME_OTHER;
    }
    let leaked: &'static str = Box::leak(name.into());
    kept.insert(leaked);
    leaked
}

/// Only logs show why a guest wants to be woken.
fn wake(word: &str) -> Wake {
    WAKES
        .iter()
        .copied()
        .find(|wake| wake.as_str() == word)
        .unwrap_or(Wake::Cleanup)
}

/// `text` on one line and of bounded length: control characters are escaped.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(DETAIL_BYTES_MAX));
    for c in text.chars() {
        if line.len() >= DETAIL_BYTES_MAX {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn wit_fetch(path: &str) -> wit::Output {
        wit::Output::Fetch(wit::Fetch {
            id: 7,
            source: "prom".into(),
            target: None,
            method: wit::Method::Post,
            path: path.into(),
            form: "query=up".into(),
            deadline_ns: 5,
        })
    }

    #[test]
    fn a_fetch_crosses_unchanged() {
        let Output::Fetch(fetch) = output(wit_fetch("/api/v1/query")).unwrap() else {
            panic!("a fetch")
        };
        assert_eq!(
            (fetch.id, &*fetch.source, fetch.deadline),
            (FetchId(7), "prom", Instant::from_nanos(5))
        );
        assert_eq!(
            fetch.request,
            FetchRequest {
                method: Method::Post,
                path: "/api/v1/query".into(),
                form: "query=up".into()
            }
        );
    }

    #[test]
    fn a_guest_may_only_ask_for_what_reads() {
        for path in [
            "/api/v1/admin/tsdb/delete_series",
            "/-/quit",
            "/api/v1/query/../../../-/quit",
            "",
            "//evil/",
        ] {
            assert!(output(wit_fetch(path)).is_err(), "{path}");
        }
    }

    #[test]
    fn a_target_is_asked_for_its_text_and_nothing_else() {
        let of_target = |path: &str| {
            let wit::Output::Fetch(fetch) = wit_fetch(path) else {
                panic!("a fetch")
            };
            output(wit::Output::Fetch(wit::Fetch {
                target: Some("a".into()),
                ..fetch
            }))
        };
        let Output::Fetch(fetch) = of_target("").unwrap() else {
            panic!("a fetch")
        };
        assert_eq!(
            (fetch.target.as_deref(), &*fetch.request.path),
            (Some("a"), "")
        );
        for path in ["/api/v1/query", "/admin"] {
            assert!(of_target(path).is_err(), "{path}");
        }
    }

    #[test]
    fn changes_cross_and_a_new_configuration_is_one() {
        let command = |change| {
            let input = Input::Command(CommandId(1), GuestCommand::Change(change));
            let wit::Input::Command((1, command)) = self::input(input, "1.2.3") else {
                panic!("a command")
            };
            command
        };
        let wit::Command::Configure(config) = command(Change::Reload(Box::default())) else {
            panic!("a configuration")
        };
        assert_eq!(config.version, "1.2.3");
        let forget = Invalidation::Template {
            source: "s".into(),
            template: "t".into(),
        };
        assert!(matches!(
            command(Change::Invalidate(forget)),
            wit::Command::Change(wit::Change::Invalidate(wit::Invalidation::Template((s, t))))
                if s == "s" && t == "t"
        ));
        let verdict = wit::Reply::Configured(Err("a\nb".into()));
        let Output::Reply(_, verdict) = output(wit::Output::Reply((1, verdict))).unwrap() else {
            panic!("a reply")
        };
        assert_eq!(verdict, GuestReply::Changed(Err("a\\nb".into())));
    }

    #[test]
    fn every_wake_crosses_by_its_word() {
        for wake in WAKES {
            let deadline = wit::Deadline {
                at_ns: 9,
                wake: wake.as_str().into(),
            };
            let Output::Wait(Some(deadline)) = output(wit::Output::Wait(Some(deadline))).unwrap()
            else {
                panic!("a wait")
            };
            assert_eq!(
                (deadline.at, deadline.wake),
                (Instant::from_nanos(9), *wake)
            );
        }
    }

    #[test]
    fn every_fetch_error_keeps_its_kind() {
        let after = Duration::from_secs(1);
        assert!(matches!(
            fetch_error(FetchError::Timeout { after }),
            wit::FetchError::Timeout(1_000_000_000)
        ));
        assert!(matches!(
            fetch_error(FetchError::TooLarge { limit_bytes: 9 }),
            wit::FetchError::TooLarge(9)
        ));
        assert!(matches!(
            fetch_error(FetchError::Redirect { status: 302 }),
            wit::FetchError::Redirect(302)
        ));
        assert!(matches!(
            fetch_error(FetchError::Connect { detail: "x".into() }),
            wit::FetchError::Connect(_)
        ));
    }

    #[test]
    fn texts_of_a_guest_stay_on_one_line_and_short() {
        assert_eq!(
            one_line("a\nb\x1b[31m\u{2028}ö"),
            "a\\nb\\u{1b}[31m\\u{2028}ö"
        );
        assert!(one_line(&"x".repeat(1 << 20)).len() < DETAIL_BYTES_MAX + 8);
        assert_eq!(one_line(""), "");
    }

    #[test]
    fn names_of_events_are_kept_once_and_bounded() {
        let first = event_name("fetch-failed");
        assert!(std::ptr::eq(first, event_name("fetch-failed")));
        assert_eq!(event_name("a b"), EVENT_NAME_OTHER);
        assert_eq!(
            event_name(&"x".repeat(EVENT_NAME_BYTES_MAX + 1)),
            EVENT_NAME_OTHER
        );
        for index in 0..2 * EVENT_NAMES_MAX {
            event_name(&format!("flood-{index}"));
        }
        assert_eq!(event_name("one-more"), EVENT_NAME_OTHER);
        assert_eq!(event_name("fetch-failed"), "fetch-failed");
    }
}
