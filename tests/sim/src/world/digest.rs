//! Every output as one line, and all lines as one number.

use std::fmt::Write;

use tidegate_core::{Answer, Instant, Lookup, Output, QueryError};

use crate::truth::evaluated_us;

/// FNV-1a over what is written.
#[derive(Debug)]
pub(super) struct Digest(pub(super) u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Write for Digest {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}

/// Writes one output. Writing to digests and strings never fails.
pub(super) fn tell(to: &mut impl Write, now: Instant, output: &Output) {
    let ms = now.as_nanos() / 1_000_000;
    let _ = write!(to, "{ms:>8} ms  ");
    let _ = match output {
        Output::Fetch(fetch) => write!(
            to,
            "fetch {} {} {} by {:?}",
            fetch.id.0, fetch.source, fetch.request.form, fetch.deadline
        ),
        Output::Cancel(id) => write!(to, "cancel {}", id.0),
        Output::Reply(reply) => {
            let _ = write!(to, "reply {} ", reply.ask.0);
            answered(to, &reply.result)
        }
        Output::Event(event) => write!(
            to,
            "event {} {} {:?} {}",
            event.name, event.source, event.key, event.detail
        ),
        Output::Forget(forget) => write!(to, "forget {forget:?}"),
        Output::Append(appended) => write!(to, "append {appended:?}"),
        Output::Wait(deadline) => write!(to, "wait {deadline:?}"),
    };
}

/// Writes what is said at once.
pub(super) fn tell_lookup(to: &mut impl Write, lookup: &Result<Lookup, QueryError>) {
    let _ = match lookup {
        Ok(Lookup::Ready(answer)) => said(to, answer),
        Ok(Lookup::Pending(id)) => write!(to, "pending {}", id.0),
        Err(error) => write!(to, "error {error}"),
    };
}

fn answered(to: &mut impl Write, result: &Result<Answer, QueryError>) -> std::fmt::Result {
    match result {
        Ok(answer) => said(to, answer),
        Err(error) => write!(to, "error {error}"),
    }
}

fn said(to: &mut impl Write, answer: &Answer) -> std::fmt::Result {
    write!(
        to,
        "{} {} of {:?} as of {} age {:?} {} left {:?} {:?}",
        answer.key,
        answer.provenance.as_str(),
        evaluated_us(&answer.payload),
        answer.as_of,
        answer.age,
        answer.freshness.as_str(),
        answer.ttl_left,
        answer.reason
    )
}
