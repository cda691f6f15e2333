//! Reads a script's lines into data. Where a line is wrong it says which, and what was expected.

use std::time::Duration;

use tidegate_core::{Config, UnixMillis};

use crate::acts::act;
use crate::cursor::{Cursor, duration, signed_ms};
use crate::script::{Does, Item, Script, ScriptError};
use crate::settings;

/// What the wall clock says at the start unless a script says otherwise: 2023-11-14, a round number.
const ORIGIN_DEFAULT_MS: i64 = 1_700_000_000_000;

impl Script {
    /// Reads a whole script.
    pub(crate) fn parse(text: &str) -> Result<Self, ScriptError> {
        let mut script = Self {
            config: Config::default(),
            origin: UnixMillis(ORIGIN_DEFAULT_MS),
            items: Vec::new(),
        };
        for block in blocks(text) {
            let item = script
                .item(&block)
                .map_err(|(offset, message)| ScriptError {
                    line: block.line + offset,
                    message,
                })?;
            script.items.push(item);
        }
        Ok(script)
    }

    fn item(&mut self, block: &Block<'_>) -> Result<Item, (usize, String)> {
        let does = self.does(block)?;
        Ok(Item {
            line: block.line,
            text: block.lines.iter().map(|line| (*line).to_owned()).collect(),
            does,
        })
    }

    fn does(&mut self, block: &Block<'_>) -> Result<Does, (usize, String)> {
        let first = block.lines[0];
        if first.starts_with('#') {
            return Ok(Does::Nothing);
        }
        let (joined, line) = first
            .strip_prefix('&')
            .map_or((false, first), |rest| (true, rest));
        let mut words = Cursor::new(line);
        let verb = words.word("a verb").map_err(|message| (0, message))?;
        if let Some(configured) = self.configure(verb, words) {
            let started = self
                .items
                .iter()
                .any(|item| !matches!(item.does, Does::Nothing));
            let checked = if started {
                Err(format!("{verb} belongs before the first step"))
            } else {
                configured
            };
            return checked
                .map(|()| Does::Nothing)
                .map_err(|message| (0, message));
        }
        let clock = match verb {
            "at" => Some(
                words
                    .word("a time")
                    .and_then(duration)
                    .map(|at| Does::At(nanos(at))),
            ),
            "wall" => Some(
                words
                    .word("a difference")
                    .and_then(signed_ms)
                    .map(Does::Wall),
            ),
            _ => None,
        };
        match clock {
            Some(does) => does.map_err(|message| (0, message)),
            None => act(verb, words, &block.lines[1..]).map(|act| Does::Act {
                act: Box::new(act),
                joined,
            }),
        }
    }

    /// Handles a line of the configuration; `None` if it is none.
    fn configure(&mut self, verb: &str, words: Cursor<'_>) -> Option<Result<(), String>> {
        match verb {
            "clock" => Some(self.clock(words)),
            _ => settings::configure(&mut self.config, verb, words),
        }
    }

    fn clock(&mut self, mut words: Cursor<'_>) -> Result<(), String> {
        self.origin = UnixMillis(words.number("milliseconds since 1970")?);
        words.end()
    }
}

/// The lines of an item, and the number of the first.
struct Block<'a> {
    line: usize,
    lines: Vec<&'a str>,
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_end();
        match blocks.last_mut() {
            _ if line.is_empty() => {}
            Some(block) if line.starts_with(' ') => block.lines.push(line),
            _ => blocks.push(Block {
                line: index + 1,
                lines: vec![line],
            }),
        }
    }
    blocks
}

/// Times in scripts end after 584 years; so does the clock.
fn nanos(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(script: &str) -> String {
        Script::parse(script).unwrap_err().to_string()
    }

    #[test]
    fn a_wrong_line_is_named() {
        assert_eq!(
            message("# fine\n\nhop 3"),
            "line 3: no verb is called \"hop\""
        );
        assert_eq!(
            message("record node\n  up 1\n  up one"),
            "line 3: a value must be a number or `stale`, not \"one\""
        );
        assert_eq!(message("source prom"), "line 1: a kind is missing");
        assert_eq!(
            message("at 1s\nsource p push"),
            "line 2: source belongs before the first step"
        );
        assert_eq!(
            message("abandon 1\n  body x"),
            "line 2: nothing belongs below this"
        );
    }
}
