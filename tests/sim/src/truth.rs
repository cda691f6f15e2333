//! What a simulated server puts into an answer, so that whoever reads it can tell what it is.
//!
//! Every answer carries, as an info, the virtual instant at which it was evaluated; every series
//! has the server and the text of the query as labels. Infos survive merging, and are no part of
//! what the collector compares to see whether values stand still.

use std::fmt::Write;
use std::iter;

use tidegate_core::{Instant, Payload, Range};
use tidegate_wire::Data;

/// What precedes the instant in the info.
const MARK: &str = "evaluated_us=";

/// An answer to be.
#[derive(Clone, Debug)]
pub struct Truth<'a> {
    /// Who answers.
    pub server: &'a str,
    /// What was asked.
    pub text: &'a str,
    /// When it was evaluated, on the virtual clock, in microseconds.
    pub evaluated_us: u64,
    /// What its sample is dated, in milliseconds since 1970.
    pub dated_ms: i64,
    /// Its value; `None` answers without a series.
    pub value: Option<u64>,
    /// Whether it warns that it may be partial.
    pub partial: bool,
    /// Of a question about a range, the range, and who says what about it.
    pub range: Option<(Range, Edition)>,
}

/// The series that a server may name over a range, by their label `series`: one is always there,
/// one has gaps, and one is known late.
pub const SERIES: [&str; 3] = ["all", "gaps", "late"];

/// So long after an instant it is settled, in milliseconds.
pub const SETTLE_MS: i64 = 300_000;

/// How far a text of this ending looks ahead, in milliseconds.
pub const AHEAD: (&str, i64) = (" offset -10m", 600_000);

/// What a server says about a range at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edition {
    /// How often it has changed its mind about the past.
    pub number: u64,
    /// When it says so.
    pub evaluated: Instant,
    /// The same by its wall clock, in milliseconds since 1970.
    pub wall_ms: i64,
    /// Whether the first series is missing, and a warning says that something may be.
    pub is_partial: bool,
}

impl Edition {
    /// Whether this is the last word on an instant.
    pub fn is_settled(&self, text: &str, at_ms: i64) -> bool {
        let ahead_ms = if text.ends_with(AHEAD.0) { AHEAD.1 } else { 0 };
        at_ms < self.wall_ms - SETTLE_MS - ahead_ms
    }

    /// What each series has at an instant: the bits of its value.
    pub fn says(&self, text: &str, at_ms: i64) -> [Option<u64>; SERIES.len()] {
        let is_settled = self.is_settled(text, at_ms);
        let value = if is_settled {
            // Seconds, and beside them which edition it is.
            (at_ms.rem_euclid(1 << 30) as u64 | self.number << 32) as f64
        } else {
            -((self.evaluated.as_nanos() / 1_000) as f64)
        };
        let minute = at_ms.div_euclid(60_000);
        let is_there = [!self.is_partial, minute % 7 != 0, is_settled];
        is_there.map(|is_there| is_there.then_some(value.to_bits()))
    }

    fn write(&self, text: &str, range: Range, body: &mut String) {
        let step_ms = range.step.as_millis() as usize;
        let mut between = iter::once("").chain(iter::repeat(","));
        for (nth, name) in SERIES.iter().enumerate() {
            let instants = (range.start.0..=range.end.0).step_by(step_ms);
            let said = instants.filter_map(|at_ms| Some((at_ms, self.says(text, at_ms)[nth]?)));
            let samples: Vec<_> = said
                .map(|(at_ms, bits)| {
                    let (s, ms) = (at_ms.div_euclid(1000), at_ms.rem_euclid(1000));
                    format!("[{s}.{ms:03},\"{}\"]", f64::from_bits(bits))
                })
                .collect();
            if !samples.is_empty() {
                let _ = write!(
                    body,
                    r#"{}{{"metric":{{"series":"{name}"}},"values":[{}]}}"#,
                    between.next().unwrap_or_default(),
                    samples.join(",")
                );
            }
        }
    }
}

impl Truth<'_> {
    /// The answer's body.
    pub fn body(&self) -> Vec<u8> {
        let kind = if self.range.is_some() {
            "matrix"
        } else {
            "vector"
        };
        let mut body = format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":["#);
        if let Some((range, edition)) = self.range {
            edition.write(self.text, range, &mut body);
        } else if let Some(value) = self.value {
            let (s, ms) = (
                self.dated_ms.div_euclid(1000),
                self.dated_ms.rem_euclid(1000),
            );
            let (server, text) = (self.server, self.text);
            let _ = write!(
                body,
                r#"{{"metric":{{"server":{server:?},"text":{text:?}}},"value":[{s}.{ms:03},"{value}"]}}"#
            );
        }
        body.push_str("]}");
        if self.range.is_none() {
            let _ = write!(body, r#","infos":["{MARK}{}"]"#, self.evaluated_us);
        }
        if self.partial {
            body.push_str(r#","warnings":["a shard is missing"]"#);
        }
        body.push('}');
        body.into_bytes()
    }
}

/// When each part of this answer was evaluated, in microseconds.
pub fn evaluated_us(payload: &Payload) -> Vec<u64> {
    let infos = payload.response.infos.iter();
    let marks = infos.filter_map(|info| info.split(MARK).nth(1));
    marks.filter_map(|digits| digits.parse().ok()).collect()
}

/// The texts that the series of this answer were asked by, and who answered.
pub fn said(payload: &Payload) -> Vec<(String, String)> {
    match &payload.response.data {
        Data::Vector(columns) | Data::Matrix(columns) => columns
            .iter()
            .map(|series| {
                let label = |name| series.label(name).unwrap_or_default().to_owned();
                (label("server"), label("text"))
            })
            .collect(),
        Data::Scalar { .. }
        | Data::String { .. }
        | Data::Strings(_)
        | Data::Series(_)
        | Data::Document => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use tidegate_wire::{DecodeLimits, decode_query_response};

    use super::*;

    #[test]
    fn what_is_put_in_comes_out() {
        let truth = Truth {
            server: "s0",
            text: "m{k=\"1\"}",
            evaluated_us: 7,
            dated_ms: 1_500,
            value: Some(3),
            partial: true,
            range: None,
        };
        let body = truth.body();
        let response = decode_query_response(200, &body, &DecodeLimits::default()).unwrap();
        assert_eq!(response.newest_ms(), Some(1_500));
        let payload = Payload {
            body: Some(body),
            response,
        };
        assert_eq!(evaluated_us(&payload), [7]);
        assert_eq!(said(&payload), [("s0".to_owned(), "m{k=\"1\"}".to_owned())]);
    }
}
