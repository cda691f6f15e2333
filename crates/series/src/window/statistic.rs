//! Statistics by their words, as they are asked for over HTTP and written in the `stat` label.

use alloc::boxed::Box;
use core::error::Error;
use core::fmt::{self, Display, Formatter};
use core::str::FromStr;

/// The words there are, as an error lists them.
pub const STATISTIC_WORDS: &str = "avg, count, delta, ema, ema<seconds>s, first, increase, last, max, min, \
    nearest_p<percent>, p<percent>, rate, sma, stddev, stdvar, sum";

/// How much of an unknown word an error repeats, in characters.
const WORD_CHARS_MAX: usize = 64;

/// One number about the samples of a window.
///
/// A word is parsed and written: `avg`, `min`, `p99.9`, … `ema` takes its half-life from the window, `ema30s` says it.
///
/// ```
/// use tidegate_series::Statistic;
///
/// assert_eq!("p99.9".parse(), Ok(Statistic::Quantile { percent: 99.9 }));
/// assert_eq!(Statistic::StdDev.to_string(), "stddev");
/// assert!("median".parse::<Statistic>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Statistic {
    /// `avg`: their mean.
    Avg,
    /// `count`: how many there are.
    Count,
    /// `delta`: by how much a gauge went up or down, extrapolated to the whole window.
    Delta,
    /// `ema`, `ema30s`: their mean with weights that halve with each half-life of age.
    Ema {
        /// The half-life in milliseconds, at least 1; `None` takes one of
        /// [`EMA_HALF_LIVES`](crate::EMA_HALF_LIVES) equal parts of the window.
        half_life_ms: Option<u64>,
    },
    /// `first`: the oldest.
    First,
    /// `increase`: by how much a counter went up, restarts made good, extrapolated to the whole window.
    Increase,
    /// `last`: the newest.
    Last,
    /// `max`: the greatest.
    Max,
    /// `min`: the least.
    Min,
    /// `nearest_p95`: the sample at index `ceil(percent / 100 · (n − 1))` of them sorted.
    NearestRank {
        /// 0 to 100; below that it is −∞, above it ∞, as a quantile is.
        percent: f64,
    },
    /// `p95`: the quantile, interpolated as PromQL's `quantile_over_time` does.
    Quantile {
        /// 0 to 100; below that it is −∞, above it ∞.
        percent: f64,
    },
    /// `rate`: `increase` per second.
    Rate,
    /// `sma`: the simple moving average: the window is what it moves. For one series the same as `avg`.
    Sma,
    /// `stddev`: the deviation of the population, the root of `stdvar`.
    StdDev,
    /// `stdvar`: the variance of the population.
    StdVar,
    /// `sum`: what they add up to.
    Sum,
}

impl Statistic {
    /// Those that are one fixed word.
    const PLAIN: [(&'static str, Self); 14] = [
        ("avg", Self::Avg),
        ("count", Self::Count),
        ("delta", Self::Delta),
        ("ema", Self::Ema { half_life_ms: None }),
        ("first", Self::First),
        ("increase", Self::Increase),
        ("last", Self::Last),
        ("max", Self::Max),
        ("min", Self::Min),
        ("rate", Self::Rate),
        ("sma", Self::Sma),
        ("stddev", Self::StdDev),
        ("stdvar", Self::StdVar),
        ("sum", Self::Sum),
    ];
}

impl Display for Statistic {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some((word, _)) = Self::PLAIN.iter().find(|(_, plain)| plain == self) {
            return f.write_str(word);
        }
        if let Self::Quantile { percent } = self {
            write!(f, "p{percent}")?;
        }
        if let Self::NearestRank { percent } = self {
            write!(f, "nearest_p{percent}")?;
        }
        if let Self::Ema {
            half_life_ms: Some(half_life_ms),
        } = self
        {
            let seconds = half_life_ms / 1_000;
            let fraction = alloc::format!(".{:03}", half_life_ms % 1_000);
            let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
            write!(f, "ema{seconds}{fraction}s")?;
        }
        Ok(())
    }
}

impl FromStr for Statistic {
    type Err = StatisticError;

    fn from_str(word: &str) -> Result<Self, StatisticError> {
        let plain = Self::PLAIN.iter().find(|(plain, _)| *plain == word);
        if let Some(&(_, statistic)) = plain {
            return Ok(statistic);
        }
        let unknown = || StatisticError::Unknown {
            word: word.chars().take(WORD_CHARS_MAX).collect(),
        };
        if let Some(number) = word.strip_prefix("nearest_p") {
            let percent = percent(number).ok_or_else(unknown)?;
            return Ok(Self::NearestRank { percent });
        }
        if let Some(number) = word.strip_prefix('p') {
            let percent = percent(number).ok_or_else(unknown)?;
            return Ok(Self::Quantile { percent });
        }
        let seconds = word
            .strip_prefix("ema")
            .and_then(|rest| rest.strip_suffix('s'));
        let half_life_ms = seconds.and_then(milliseconds);
        half_life_ms
            .map(|half_life_ms| Self::Ema {
                half_life_ms: Some(half_life_ms),
            })
            .ok_or_else(unknown)
    }
}

/// A plain decimal from 0 to 100.
fn percent(number: &str) -> Option<f64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let percent: f64 = (digits(whole) && digits(fraction)).then(|| number.parse().ok())??;
    (percent <= 100.0).then_some(percent)
}

/// A plain decimal of seconds with at most three places, in milliseconds; at least one.
fn milliseconds(seconds: &str) -> Option<u64> {
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 3 {
        return None;
    }
    let places = 10_u64.pow(3 - fraction.len() as u32);
    let ms = fraction.parse::<u64>().ok()? * places;
    let ms = whole
        .parse::<u64>()
        .ok()?
        .checked_mul(1_000)?
        .checked_add(ms)?;
    (ms > 0).then_some(ms)
}

/// Why a word is no statistic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatisticError {
    /// None of [`STATISTIC_WORDS`], or a number in it is out of range: percent are 0 to 100, seconds have at most
    /// three places and are above 0.
    Unknown {
        /// The word, up to 64 characters of it.
        word: Box<str>,
    },
}

impl Display for StatisticError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self::Unknown { word } = self;
        write!(
            f,
            "unknown statistic {word:?}, there are {STATISTIC_WORDS} (percent from 0 to 100)"
        )
    }
}

impl Error for StatisticError {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};
    use proptest::prelude::*;

    #[test]
    fn every_plain_word_is_written_as_it_is_read() {
        for (word, statistic) in Statistic::PLAIN {
            assert_eq!(word.parse(), Ok(statistic));
            assert_eq!(statistic.to_string(), word);
        }
    }

    #[test]
    fn words_with_numbers_are_written_as_they_are_read() {
        for word in [
            "p0",
            "p50",
            "p99.9",
            "p100",
            "nearest_p95",
            "ema30s",
            "ema0.5s",
            "ema1.025s",
        ] {
            assert_eq!(word.parse::<Statistic>().unwrap().to_string(), word);
        }
        let half_life_ms = Some(1_500);
        assert_eq!("ema1.50s".parse(), Ok(Statistic::Ema { half_life_ms }));
    }

    #[test]
    fn what_is_out_of_range_or_no_plain_number_is_refused() {
        for word in [
            "",
            "p",
            "p-1",
            "p100.1",
            "pNaN",
            "pinf",
            "p1e1",
            "p+5",
            "p.5",
            "p5.",
            "p 5",
            "nearest_p",
            "nearest_p101",
            "ema0s",
            "emas",
            "ema30",
            "ema1.0001s",
            "ema-1s",
            "ema99999999999999999999s",
            "ema18446744073709552s",
            "AVG",
            "median",
        ] {
            assert!(word.parse::<Statistic>().is_err(), "{word}");
        }
    }

    #[test]
    fn an_error_lists_what_there_is_and_repeats_no_flood() {
        let error = "x".repeat(10_000).parse::<Statistic>().unwrap_err();
        let said = error.to_string();
        assert!(
            said.len() < 400 && said.contains("p<percent>") && said.contains("stddev"),
            "{said}"
        );
        for (word, _) in Statistic::PLAIN {
            assert!(
                STATISTIC_WORDS.split(", ").any(|listed| listed == word),
                "{word}"
            );
        }
    }

    proptest! {
        #[test]
        fn whatever_parses_is_written_so_that_it_parses_to_the_same(
            word in "(nearest_)?p[0-9]{1,3}(\\.[0-9]{1,4})?|ema[0-9]{1,5}(\\.[0-9]{1,3})?s|[a-z]{3,8}",
        ) {
            if let Ok(statistic) = word.parse::<Statistic>() {
                let written: String = statistic.to_string();
                prop_assert_eq!(written.parse(), Ok(statistic));
            }
        }
    }
}
