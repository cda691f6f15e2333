//! What a simulated server puts into an answer, so that whoever reads it can tell what it is.
//!
//! Every answer carries, as an info, the virtual instant at which it was evaluated; every series
//! has the server and the text of the query as labels. Infos survive merging, and are no part of
//! what the collector compares to see whether values stand still.

use std::fmt::Write;

use tidegate_core::Payload;
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
}

impl Truth<'_> {
    /// The answer's body.
    pub fn body(&self) -> Vec<u8> {
        let mut body =
            String::from(r#"{"status":"success","data":{"resultType":"vector","result":["#);
        if let Some(value) = self.value {
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
        let _ = write!(body, r#"]}},"infos":["{MARK}{}"]"#, self.evaluated_us);
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
