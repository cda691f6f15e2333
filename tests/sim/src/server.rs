//! The scripted server and its network: what becomes of a fetch, and when.

use std::time::Duration;

use tidegate_core::{FetchError, Random, Response};

use crate::profile::{Fault, Profile, chance, pick, weighted};
use crate::truth::{Edition, Truth};

/// What a response means, as anybody can tell who knows HTTP and Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A whole answer.
    Good,
    /// An answer that may not be whole.
    Partial,
    /// The question was understood and refused in Prometheus' words.
    Refused,
    /// A 4xx that nothing remembers: a proxy's page, or 429.
    Rejected {
        /// Whether asking again may help.
        transient: bool,
    },
    /// The source or the network failed.
    Failed {
        /// Whether asking again may help.
        transient: bool,
    },
    /// It was never sent, which says nothing about the source.
    Unsent,
}

impl Meaning {
    /// Whether another try may help.
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            Self::Rejected { transient: true } | Self::Failed { transient: true }
        )
    }
}

/// What a server sends back, and what that means.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// As it is handed to the collector.
    pub result: Result<Response, FetchError>,
    /// What it means.
    pub meaning: Meaning,
    /// When it was evaluated, in microseconds of virtual time; of answers only.
    pub evaluated_us: Option<u64>,
    /// What the answer is dated; `None` where it has no sample.
    pub dated_ms: Option<i64>,
    /// Of an answer about a range, who says so.
    pub edition: Option<Edition>,
}

/// A server's state.
#[derive(Clone, Debug, Default)]
pub struct Server {
    /// Whether it is ill, so that faults happen.
    pub ill: bool,
    /// Whether it fails in one way only.
    pub only: Option<Fault>,
    /// How much slower than usual it is.
    pub slowness: u32,
    /// How often it has changed its mind about what is settled.
    pub edition: u64,
}

impl Server {
    /// Another weather.
    pub fn change(&mut self, profile: &Profile, r: &mut Random) {
        self.ill = chance(50, r);
        self.only = chance(40, r).then(|| weighted(&profile.fault_weights, r));
        self.slowness = pick(&[1, 1, 1, 10], r) as u32;
    }

    /// How the next fetch fails, if it does.
    pub fn fault(&self, profile: &Profile, r: &mut Random) -> Option<Fault> {
        let fails = self.ill && chance(profile.faults_percent, r);
        fails.then(|| {
            self.only
                .unwrap_or_else(|| weighted(&profile.fault_weights, r))
        })
    }

    /// How long the way there takes, or the way back.
    pub fn way(&self, profile: &Profile, r: &mut Random) -> Duration {
        // Exponential enough: mostly short, now and then long.
        let usual = profile.latency * self.slowness.max(1) / 2;
        let factor = pick(&[1, 1, 2, 2, 3, 4, 8], r) as u32;
        r.up_to(usual * factor / 2)
    }
}

/// The response to a fetch that fails so; `None` never comes.
pub fn failed(fault: Fault, truth: &Truth<'_>, r: &mut Random) -> Option<Delivery> {
    let detail = || String::from("simulated");
    let failed = |error, transient| (Err(error), Meaning::Failed { transient });
    let (result, meaning) = match fault {
        Fault::Lost => return None,
        Fault::Connect => failed(FetchError::Connect { detail: detail() }, true),
        Fault::Reset => failed(FetchError::Reset { detail: detail() }, true),
        Fault::DriverTimeout => {
            let after = Duration::from_secs(1);
            failed(FetchError::Timeout { after }, true)
        }
        Fault::TooLarge => failed(FetchError::TooLarge { limit_bytes: 9 }, false),
        Fault::Encoding => failed(FetchError::Encoding { detail: detail() }, false),
        Fault::Redirect => failed(FetchError::Redirect { status: 302 }, false),
        Fault::Refused => (
            Err(FetchError::Refused { detail: detail() }),
            Meaning::Unsent,
        ),
        Fault::Storm => storm(truth, r),
        Fault::TooMany => {
            let body = if chance(50, r) {
                envelope("too_many")
            } else {
                page()
            };
            let response = Response::new(429, body).with_retry_after(retry_after(r));
            (Ok(response), Meaning::Rejected { transient: true })
        }
        Fault::Refusal => refusal(r),
        Fault::Truncated => {
            let mut body = truth.body();
            let length = 1 + r.below(body.len() as u64 - 1) as usize;
            body.truncate(length);
            (
                Ok(Response::new(200, body)),
                Meaning::Failed { transient: true },
            )
        }
        Fault::Garbage => {
            let response = Response::new(200, garbage(r));
            (Ok(response), Meaning::Failed { transient: false })
        }
        Fault::OddStatus => {
            let status = pick(&[100, 201, 204, 206, 301, 304, 600, 999], r) as u16;
            let response = Response::new(status, truth.body());
            (Ok(response), Meaning::Failed { transient: false })
        }
        Fault::Partial => {
            let of_range = |(range, edition)| {
                let is_partial = true;
                (
                    range,
                    Edition {
                        is_partial,
                        ..edition
                    },
                )
            };
            return Some(good(&Truth {
                partial: true,
                range: truth.range.map(of_range),
                ..truth.clone()
            }));
        }
    };
    Some(Delivery {
        result,
        meaning,
        evaluated_us: None,
        dated_ms: None,
        edition: None,
    })
}

/// The response to a fetch that fares well.
pub fn good(truth: &Truth<'_>) -> Delivery {
    Delivery {
        result: Ok(Response::new(200, truth.body())),
        meaning: if truth.partial {
            Meaning::Partial
        } else {
            Meaning::Good
        },
        evaluated_us: Some(truth.evaluated_us),
        dated_ms: truth.value.map(|_| truth.dated_ms),
        edition: truth.range.map(|(_, edition)| edition),
    }
}

fn storm(truth: &Truth<'_>, r: &mut Random) -> (Result<Response, FetchError>, Meaning) {
    let status = pick(&[500, 502, 503, 504, 599], r) as u16;
    let body = match r.below(4) {
        0 => envelope("execution"),
        // Who says 503 and sends an answer is not believed.
        1 => truth.body(),
        2 => Vec::new(),
        _ => page(),
    };
    let response = Response::new(status, body).with_retry_after(retry_after(r));
    let transient = matches!(status, 502..=504);
    (Ok(response), Meaning::Failed { transient })
}

fn refusal(r: &mut Random) -> (Result<Response, FetchError>, Meaning) {
    if chance(70, r) {
        let status = pick(&[400, 422], r) as u16;
        let response = Response::new(status, envelope("bad_data"));
        (Ok(response), Meaning::Refused)
    } else {
        let status = pick(&[401, 403, 404, 413], r) as u16;
        let meaning = Meaning::Rejected { transient: false };
        (Ok(Response::new(status, page())), meaning)
    }
}

fn retry_after(r: &mut Random) -> Option<Duration> {
    chance(50, r).then(|| Duration::from_millis(pick(&[0, 500, 3_000, 86_400_000], r)))
}

fn envelope(kind: &str) -> Vec<u8> {
    format!(r#"{{"status":"error","errorType":"{kind}","error":"simulated"}}"#).into_bytes()
}

fn page() -> Vec<u8> {
    b"<html><body>an error page of some proxy</body></html>".to_vec()
}

/// Bodies of a success that are none.
fn garbage(r: &mut Random) -> Vec<u8> {
    let vector = |series: &str| {
        format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{series}]}}}}"#)
            .into_bytes()
    };
    match r.below(9) {
        0 => page(),
        1 => {
            let mut deep = br#"{"status":"success","data":"#.to_vec();
            deep.extend(core::iter::repeat_n(b'[', 5_000));
            deep.extend(core::iter::repeat_n(b']', 5_000));
            deep.push(b'}');
            deep
        }
        2 => [0xff]
            .into_iter()
            .chain((0..r.below(300)).map(|_| r.below(256) as u8))
            .collect(),
        3 => vector(r#"{"metric":{},"value":[1,"not a number"]}"#),
        4 => vector(r#"{"metric":{},"value":[1e300,"1"]}"#),
        5 => vector(r#"{"metric":{"a":1},"value":[1,"1"]}"#),
        6 => br#"{"status":"success"}"#.to_vec(),
        7 => br#"{"status":"success","data":{"resultType":"tensor","result":[]}}"#.to_vec(),
        _ => envelope("internal"),
    }
}
