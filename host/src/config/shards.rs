//! Over how many shards the work is spread, as people write it.

use std::fmt;
use std::num::NonZero;
use std::str::FromStr;
use std::thread;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use tidegate_api::SHARDS_MAX;

/// How many collectors share the work, each with a part of the questions and of the cache.
///
/// One is the default: it keeps a busy dashboard's rate on a single core, since what is at hand is
/// given out without asking it, and then every limit holds to the letter, each question is surely
/// fetched once, and there is one set of counters. More pay off where many different questions
/// keep one core busy with answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardCount {
    /// So many: 1 to [`SHARDS_MAX`].
    Fixed(usize),
    /// One for each core that the process may use.
    Auto,
}

impl Default for ShardCount {
    fn default() -> Self {
        Self::Fixed(1)
    }
}

impl ShardCount {
    /// How many that is here and now, at least 1 and at most [`SHARDS_MAX`].
    pub fn count(self) -> usize {
        let shards = match self {
            Self::Fixed(shards) => shards,
            // Whoever cannot be asked how many cores there are has one.
            Self::Auto => thread::available_parallelism().map_or(1, NonZero::get),
        };
        shards.clamp(1, SHARDS_MAX)
    }

    fn counted(shards: i64) -> Option<Self> {
        let shards = usize::try_from(shards).ok()?;
        (1..=SHARDS_MAX)
            .contains(&shards)
            .then_some(Self::Fixed(shards))
    }
}

/// What is no number of shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardCountError {
    given: String,
}

impl fmt::Display for ShardCountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = &self.given;
        write!(
            f,
            "bad number of shards {given}: write a number from 1 to {SHARDS_MAX}, or auto"
        )
    }
}

impl std::error::Error for ShardCountError {}

impl FromStr for ShardCount {
    type Err = ShardCountError;

    fn from_str(text: &str) -> Result<Self, ShardCountError> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let number = text.parse().ok();
        number
            .and_then(Self::counted)
            .ok_or_else(|| ShardCountError {
                given: format!("{text:?}"),
            })
    }
}

impl<'de> Deserialize<'de> for ShardCount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShardsVisitor)
    }
}

struct ShardsVisitor;

impl Visitor<'_> for ShardsVisitor {
    type Value = ShardCount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of shards, or \"auto\"")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<ShardCount, E> {
        ShardCount::counted(number).ok_or_else(|| {
            E::custom(ShardCountError {
                given: number.to_string(),
            })
        })
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ShardCount, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HostConfig;

    #[test]
    fn a_number_or_auto_is_taken_and_anything_else_is_shown_in_its_place() {
        let shards = |value: &str| {
            let text = format!("shards = {value}\n");
            let config = HostConfig::parse(&text, "tidegate.toml");
            config
                .map(|config| config.shards)
                .map_err(|error| error.to_string())
        };
        assert_eq!(shards("1"), Ok(ShardCount::default()));
        assert_eq!(shards("64"), Ok(ShardCount::Fixed(64)));
        assert_eq!(shards("\"auto\""), Ok(ShardCount::Auto));
        assert!((1..=SHARDS_MAX).contains(&ShardCount::Auto.count()));
        for wrong in ["0", "65", "-1", "\"many\"", "true"] {
            let error = shards(wrong).unwrap_err();
            assert!(error.starts_with("tidegate.toml:1:10: "), "{error}");
            assert!(error.contains("shards"), "{error}");
        }
    }
}
