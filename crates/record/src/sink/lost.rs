//! What a sink says of what it lost.

use super::SinkError;

/// What a sink has lost of a batch: how much, and in the words of the first loss.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    first: Option<String>,
    dropped: usize,
    /// Losses that were not told.
    more: usize,
}

impl Lost {
    pub(crate) fn say(&mut self, dropped: usize, words: impl FnOnce() -> String) {
        self.dropped += dropped;
        match self.first {
            None => self.first = Some(words()),
            Some(_) => self.more += 1,
        }
    }

    pub(crate) fn into_result(self) -> Result<(), SinkError> {
        let Some(first) = self.first else {
            return Ok(());
        };
        let message = match self.more {
            0 => first,
            more => format!("{first}; and {more} more"),
        };
        Err(SinkError {
            message,
            dropped: self.dropped,
        })
    }
}
