//! What a sink says of what it lost.

use super::SinkError;

/// How long what is said may be, in bytes: labels may be long, lines of logs should not.
const WORDS_BYTES_MAX: usize = 512;

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
            None => self.first = Some(cut(words())),
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

fn cut(mut words: String) -> String {
    if words.len() > WORDS_BYTES_MAX {
        words.truncate(words.floor_char_boundary(WORDS_BYTES_MAX));
        words.push('…');
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_loss_is_told_and_the_rest_counted() {
        let mut lost = Lost::default();
        lost.say(2, || "one".to_owned());
        lost.say(3, || panic!("nobody asks"));
        let error = lost.into_result().unwrap_err();
        assert_eq!((error.dropped, &*error.message), (5, "one; and 1 more"));
        assert!(Lost::default().into_result().is_ok());
    }

    #[test]
    fn what_is_said_has_a_bound() {
        let said = |length: usize| {
            let mut lost = Lost::default();
            lost.say(1, || "ä".repeat(length / 2));
            lost.into_result().unwrap_err().message
        };
        assert_eq!(said(WORDS_BYTES_MAX).len(), WORDS_BYTES_MAX);
        let cut = said(WORDS_BYTES_MAX + 2);
        assert_eq!((cut.chars().count(), cut.ends_with('…')), (257, true));
    }
}
