//! One request to its receiver, with the patience it takes.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use tidegate_core::{
    Admission, Breaker, BreakerConfig, Failure, FetchError, Now, Random, Retry, RetryConfig,
};

/// Who carries requests, and tells the time.
pub(super) trait Carrier {
    fn now(&self) -> Now;
    fn sleep(&mut self, time: Duration);
    /// Sends a request, and gives back what was answered.
    fn carry(&mut self, body: &[u8]) -> Result<Answer, FetchError>;
}

/// An answer of the receiver.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// How long it asks to be left alone.
    pub(super) retry_after: Option<Duration>,
    /// What it says, in a line.
    pub(super) words: String,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Taken,
    /// For good.
    Refused {
        words: String,
    },
    /// The patience ended.
    GivenUp {
        retries: u32,
        words: String,
    },
}

/// What is known of the receiver between requests.
#[derive(Debug)]
pub(super) struct Delivery {
    retry: RetryConfig,
    breaker: Breaker,
    patience: Duration,
    random: Random,
}

impl Delivery {
    pub(super) fn new(retry: RetryConfig, breaker: BreakerConfig, patience: Duration) -> Self {
        Self {
            retry,
            breaker: Breaker::new(breaker),
            patience,
            // Chance that differs from program to program is what it is for.
            random: Random::new(RandomState::new().build_hasher().finish()),
        }
    }

    /// Tries until the request is taken or refused, or the patience ends. Tells of each try that
    /// failed and is to be repeated, in words.
    pub(super) fn deliver(
        &mut self,
        carrier: &mut impl Carrier,
        body: &[u8],
        mut retried: impl FnMut(&str),
    ) -> Outcome {
        let deadline = carrier.now().mono + self.patience;
        let mut retry = Retry::new();
        let mut words = "it was left alone, since it keeps failing".to_owned();
        loop {
            let now = carrier.now();
            if let Admission::No { until } = self.breaker.admit(now.mono) {
                let retries = retry.granted();
                if until >= deadline {
                    return Outcome::GivenUp { retries, words };
                }
                carrier.sleep(until.since(now.mono));
                continue;
            }
            let answered = carrier.carry(body);
            let began = now.mono;
            let now = carrier.now();
            let retry_after = match &answered {
                Ok(answer) => {
                    words = format!("http status {}: {}", answer.status, answer.words);
                    if answer.status < 500 {
                        self.breaker.succeeded(began, now.mono);
                    }
                    answer.retry_after
                }
                Err(error) => {
                    words = error.to_string();
                    None
                }
            };
            match answered {
                Ok(answer) if (200..300).contains(&answer.status) => {
                    return Outcome::Taken;
                }
                Ok(answer) if answer.status < 500 && answer.status != 429 => {
                    return Outcome::Refused { words };
                }
                Ok(answer) if answer.status == 429 => {}
                Ok(_) | Err(_) => {
                    self.breaker.failed(began, now.mono);
                }
            }
            let left = deadline.since(now.mono);
            // The protocol retries every 5xx, queries only some: to them, all are the same.
            let failure = Failure::Status(503);
            let wait = retry.wait(&self.retry, failure, retry_after, left, &mut self.random);
            let Some(wait) = wait else {
                let retries = retry.granted();
                return Outcome::GivenUp { retries, words };
            };
            retried(&words);
            carrier.sleep(wait);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use tidegate_core::{Instant, UnixMillis};

    use super::*;

    /// Answers by a script, the last line of it for ever, under a time of its own.
    struct Script {
        now_ms: u64,
        answers: VecDeque<Result<Answer, FetchError>>,
        /// When it was asked, in milliseconds.
        asked: Vec<u64>,
    }

    impl Carrier for Script {
        fn now(&self) -> Now {
            Now {
                mono: Instant::from_millis(self.now_ms),
                wall: UnixMillis(0),
            }
        }

        fn sleep(&mut self, time: Duration) {
            // What is below a millisecond must not stand still.
            self.now_ms += u64::try_from(time.as_millis()).unwrap() + 1;
        }

        fn carry(&mut self, _: &[u8]) -> Result<Answer, FetchError> {
            self.asked.push(self.now_ms);
            self.now_ms += 10;
            match self.answers.len() {
                1 => self.answers[0].clone(),
                _ => self.answers.pop_front().unwrap(),
            }
        }
    }

    fn status(status: u16) -> Result<Answer, FetchError> {
        let words = "so it says".to_owned();
        Ok(Answer {
            status,
            retry_after: None,
            words,
        })
    }

    fn refused() -> Result<Answer, FetchError> {
        Err(FetchError::Connect {
            detail: "refused".to_owned(),
        })
    }

    fn script(answers: impl Into<VecDeque<Result<Answer, FetchError>>>) -> Script {
        Script {
            now_ms: 0,
            answers: answers.into(),
            asked: Vec::new(),
        }
    }

    fn delivery(breaker: BreakerConfig) -> Delivery {
        let retry = RetryConfig {
            retries_max: u32::MAX,
            backoff: Duration::from_millis(100),
            ..RetryConfig::default()
        };
        Delivery::new(retry, breaker, Duration::from_secs(300))
    }

    /// What became of a request, and what was told of each try that was to be repeated.
    fn deliver(delivery: &mut Delivery, script: &mut Script) -> (Outcome, Vec<String>) {
        let mut told = Vec::new();
        let outcome = delivery.deliver(script, b"", |words| told.push(words.to_owned()));
        (outcome, told)
    }

    const NO_BREAKER: BreakerConfig = BreakerConfig {
        failures_max: 0,
        open: Duration::from_secs(10),
        open_max: Duration::from_secs(120),
    };

    #[test]
    fn every_2xx_is_taken_and_every_4xx_but_429_refused_at_once() {
        for code in (200..300).chain(300..500).filter(|code| *code != 429) {
            let mut script = script([status(code)]);
            let (outcome, told) = deliver(&mut delivery(NO_BREAKER), &mut script);
            assert_eq!(told, [""; 0]);
            let expected = match code {
                200..300 => Outcome::Taken,
                _ => Outcome::Refused {
                    words: format!("http status {code}: so it says"),
                },
            };
            assert_eq!((outcome, script.asked.len()), (expected, 1));
        }
    }

    #[test]
    fn every_5xx_429_and_failure_of_the_network_is_tried_again() {
        let failures = (500..600).chain([429]).map(status).chain([refused()]);
        for failure in failures {
            let mut script = script([failure.clone(), failure, status(204)]);
            let (outcome, told) = deliver(&mut delivery(NO_BREAKER), &mut script);
            assert_eq!((outcome, told.len()), (Outcome::Taken, 2));
        }
    }

    #[test]
    fn what_the_receiver_asks_for_is_waited() {
        let later = Ok(Answer {
            status: 429,
            retry_after: Some(Duration::from_secs(7)),
            words: String::new(),
        });
        let mut script = script([later, status(200)]);
        let (outcome, told) = deliver(&mut delivery(NO_BREAKER), &mut script);
        assert_eq!(
            (outcome, &told[..]),
            (Outcome::Taken, &["http status 429: ".to_owned()][..])
        );
        let waited_ms = script.asked[1] - script.asked[0];
        assert!((7_000..=7_120).contains(&waited_ms), "{waited_ms}");
    }

    #[test]
    fn a_request_is_given_up_when_the_patience_ends() {
        let mut script = script([status(500)]);
        let (outcome, _) = deliver(&mut delivery(NO_BREAKER), &mut script);
        let Outcome::GivenUp { retries, words } = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(words, "http status 500: so it says");
        // The waits double to 30 s: a dozen and some tries, not thousands.
        assert!((10..60).contains(&retries), "{retries}");
        assert!(script.now_ms <= 300_200, "{}", script.now_ms);
    }

    #[test]
    fn a_receiver_that_keeps_failing_is_left_alone() {
        let breaker = BreakerConfig::default();
        let failures = vec![refused(); 5];
        let answers: Vec<_> = failures.into_iter().chain([status(200)]).collect();
        let mut script = script(answers);
        let (outcome, told) = deliver(&mut delivery(breaker), &mut script);
        assert_eq!((outcome, told.len()), (Outcome::Taken, 5));
        let waited_ms = script.asked[5] - script.asked[4];
        assert!(waited_ms >= 10_000, "{waited_ms}");
    }

    #[test]
    fn what_a_receiver_refuses_does_not_open_the_breaker() {
        let mut delivery = delivery(BreakerConfig::default());
        let mut script = script([status(400)]);
        for _ in 0..20 {
            deliver(&mut delivery, &mut script);
        }
        assert_eq!(script.asked.len(), 20);
    }

    #[test]
    fn while_the_breaker_stays_open_beyond_the_patience_nothing_is_sent() {
        let forever = Duration::from_secs(100_000);
        let breaker = BreakerConfig {
            failures_max: 1,
            open: forever,
            open_max: forever,
        };
        let mut delivery = delivery(breaker);
        let mut script = script([status(503)]);
        let (outcome, _) = deliver(&mut delivery, &mut script);
        let words = "http status 503: so it says".to_owned();
        assert_eq!(outcome, Outcome::GivenUp { retries: 1, words });
        let (outcome, _) = deliver(&mut delivery, &mut script);
        let words = "it was left alone, since it keeps failing".to_owned();
        assert_eq!(outcome, Outcome::GivenUp { retries: 0, words });
        assert_eq!(script.asked.len(), 1);
    }
}
