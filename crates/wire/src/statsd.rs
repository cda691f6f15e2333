//! StatsD lines, packed into datagrams.
//!
//! ```text
//! name:value|type              type: c counter, g gauge, ms timer, h histogram
//! name:value|type|#tag:value,tag:value                 with tags, as DogStatsD has them
//! ```
//! Lines of one datagram are separated by line feeds. A datagram that is lost is lost with all its
//! lines, and nobody hears of it: that is the protocol.

use alloc::vec::Vec;
use core::fmt;

use crate::number::write_float;

/// How many bytes fit a datagram that is not to be taken apart on its way: 1,500 of Ethernet, less
/// IPv6 and UDP headers, less some for a tunnel. What StatsD's servers and clients agree on.
pub const DATAGRAM_BYTES: usize = 1_432;

/// What a value says of its metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatsdKind {
    /// It grew by so much: `c`.
    Counter,
    /// It is so much now: `g`.
    Gauge,
    /// It took so many seconds: `ms`, written in milliseconds.
    Timer,
    /// So much was observed once: `h`.
    Histogram,
}

/// Where tags go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatsdTags {
    /// Nowhere: plain StatsD has none, and its servers refuse lines that have them.
    #[default]
    Omit,
    /// After `|#`, as DogStatsD has them, and many servers after it.
    Datadog,
}

impl StatsdTags {
    /// Every choice.
    pub const ALL: [Self; 2] = [Self::Omit, Self::Datadog];

    /// Its word, in configurations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Omit => "omit",
            Self::Datadog => "datadog",
        }
    }
}

/// Why a line cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatsdError {
    /// A metric without a name.
    NoName,
    /// NaN or an infinity, for which the protocol has no words.
    NotFinite,
    /// A line that is too long for any datagram.
    TooLong {
        /// Its length.
        bytes: usize,
        /// What fits.
        limit: usize,
    },
}

impl fmt::Display for StatsdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoName => f.write_str("a metric without a name"),
            Self::NotFinite => f.write_str("a value that statsd has no words for"),
            Self::TooLong { bytes, limit } => {
                write!(
                    f,
                    "a line of {bytes} bytes, of which a datagram holds {limit}"
                )
            }
        }
    }
}

impl core::error::Error for StatsdError {}

/// Packs lines into datagrams, and hands out each that is full.
///
/// In names, everything but ASCII letters, digits, `_`, `-` and `.` becomes `_`; in tags, so does what
/// would end them.
///
/// ```
/// use tidegate_wire::statsd::{DATAGRAM_BYTES, DatagramWriter, StatsdKind, StatsdTags};
///
/// let mut sent = Vec::new();
/// let mut writer = DatagramWriter::new(DATAGRAM_BYTES, StatsdTags::Datadog);
/// let mut send = |datagram: &[u8]| sent.extend_from_slice(datagram);
/// writer.push(StatsdKind::Counter, "hits", [("path", "/")], 1.0, &mut send).unwrap();
/// writer.push(StatsdKind::Timer, "answer", [], 0.25, &mut send).unwrap();
/// writer.finish(&mut send);
/// assert_eq!(sent, b"hits:1|c|#path:/\nanswer:250|ms");
/// ```
#[derive(Clone, Debug)]
pub struct DatagramWriter {
    bytes_max: usize,
    tags: StatsdTags,
    datagram: Vec<u8>,
    /// The line in the making.
    line: Vec<u8>,
}

impl DatagramWriter {
    /// A writer of datagrams of at most `bytes_max` bytes.
    #[must_use]
    pub const fn new(bytes_max: usize, tags: StatsdTags) -> Self {
        Self {
            bytes_max,
            tags,
            datagram: Vec::new(),
            line: Vec::new(),
        }
    }

    /// Adds a line; if it does not fit beside those before it, these are sent first.
    ///
    /// A gauge with a sign is a change in StatsD, so a negative one goes out as two lines in one
    /// datagram: 0, and that much less. The negative zero is zero.
    ///
    /// # Errors
    ///
    /// What makes the line impossible; nothing of it is written.
    pub fn push<'l>(
        &mut self,
        kind: StatsdKind,
        name: &str,
        tags: impl IntoIterator<Item = (&'l str, &'l str), IntoIter: Clone>,
        value: f64,
        send: &mut impl FnMut(&[u8]),
    ) -> Result<(), StatsdError> {
        if name.is_empty() {
            return Err(StatsdError::NoName);
        }
        let value = match kind {
            StatsdKind::Timer => value * 1_000.0,
            StatsdKind::Counter | StatsdKind::Gauge | StatsdKind::Histogram => value,
        };
        if !value.is_finite() {
            return Err(StatsdError::NotFinite);
        }
        // Not the negative zero.
        let value = value + 0.0;
        let tags = tags.into_iter();
        self.line.clear();
        if kind == StatsdKind::Gauge && value < 0.0 {
            self.write_line(kind, name, tags.clone(), 0.0);
            self.line.push(b'\n');
        }
        self.write_line(kind, name, tags, value);
        let (bytes, limit) = (self.line.len(), self.bytes_max);
        if bytes > limit {
            return Err(StatsdError::TooLong { bytes, limit });
        }
        if !self.datagram.is_empty() {
            if self.datagram.len() + 1 + bytes > limit {
                self.finish(send);
            } else {
                self.datagram.push(b'\n');
            }
        }
        self.datagram.extend_from_slice(&self.line);
        Ok(())
    }

    /// Sends what is not sent yet.
    pub fn finish(&mut self, send: &mut impl FnMut(&[u8])) {
        if !self.datagram.is_empty() {
            send(&self.datagram);
            self.datagram.clear();
        }
    }

    fn write_line<'l>(
        &mut self,
        kind: StatsdKind,
        name: &str,
        tags: impl IntoIterator<Item = (&'l str, &'l str)>,
        value: f64,
    ) {
        write_replaced(name, is_name_char, &mut self.line);
        self.line.push(b':');
        write_float(value, &mut self.line);
        self.line.extend_from_slice(match kind {
            StatsdKind::Counter => b"|c",
            StatsdKind::Gauge => b"|g",
            StatsdKind::Timer => b"|ms",
            StatsdKind::Histogram => b"|h",
        });
        if self.tags == StatsdTags::Datadog {
            self.write_tags(tags);
        }
    }

    fn write_tags<'l>(&mut self, tags: impl IntoIterator<Item = (&'l str, &'l str)>) {
        for (nth, (tag, value)) in tags.into_iter().enumerate() {
            let before: &[u8] = if nth == 0 { b"|#" } else { b"," };
            self.line.extend_from_slice(before);
            write_replaced(tag, is_name_char, &mut self.line);
            self.line.push(b':');
            let is_plain = |c: char| !matches!(c, ',' | '|') && !c.is_control();
            write_replaced(value, is_plain, &mut self.line);
        }
    }
}

const fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

fn write_replaced(text: &str, keeps: impl Fn(char) -> bool, out: &mut Vec<u8>) {
    for c in text.chars() {
        let c = if keeps(c) { c } else { '_' };
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned;
    use alloc::string::String;

    use proptest::prelude::*;

    use super::*;

    type Line<'a> = (StatsdKind, &'a str, &'a [(&'a str, &'a str)], f64);

    fn sent(bytes_max: usize, tags: StatsdTags, lines: &[Line<'_>]) -> Vec<String> {
        let mut writer = DatagramWriter::new(bytes_max, tags);
        let mut sent = Vec::new();
        let mut send = |datagram: &[u8]| sent.push(String::from_utf8(datagram.to_vec()).unwrap());
        for (kind, name, tags, value) in lines {
            let tags = tags.iter().copied();
            writer.push(*kind, name, tags, *value, &mut send).unwrap();
        }
        writer.finish(&mut send);
        writer.finish(&mut send);
        sent
    }

    fn line(kind: StatsdKind, value: f64) -> String {
        sent(DATAGRAM_BYTES, StatsdTags::Omit, &[(kind, "a", &[], value)]).remove(0)
    }

    #[test]
    fn each_kind_has_its_type() {
        assert_eq!(line(StatsdKind::Counter, 3.0), "a:3|c");
        assert_eq!(line(StatsdKind::Counter, -3.5), "a:-3.5|c");
        assert_eq!(line(StatsdKind::Gauge, 3.5), "a:3.5|g");
        assert_eq!(line(StatsdKind::Timer, 0.0125), "a:12.5|ms");
        assert_eq!(line(StatsdKind::Histogram, 1e-7), "a:1e-07|h");
    }

    #[test]
    fn a_negative_gauge_is_zero_first_and_that_much_less_then() {
        assert_eq!(line(StatsdKind::Gauge, -2.0), "a:0|g\na:-2|g");
        assert_eq!(line(StatsdKind::Gauge, -0.0), "a:0|g");
        let tagged = [(StatsdKind::Gauge, "a|g", &[("x", "y")][..], -2.0)];
        let found = sent(DATAGRAM_BYTES, StatsdTags::Datadog, &tagged);
        assert_eq!(found, ["a_g:0|g|#x:y\na_g:-2|g|#x:y"]);
    }

    #[test]
    fn tags_are_left_out_unless_asked_for() {
        let tagged = [(
            StatsdKind::Counter,
            "a",
            &[("x", "y"), ("z", "1:2")][..],
            1.0,
        )];
        let found = sent(DATAGRAM_BYTES, StatsdTags::Omit, &tagged);
        assert_eq!(found, ["a:1|c"]);
        let found = sent(DATAGRAM_BYTES, StatsdTags::Datadog, &tagged);
        assert_eq!(found, ["a:1|c|#x:y,z:1:2"]);
    }

    #[test]
    fn what_would_end_a_name_or_a_tag_is_replaced() {
        let odd = [(
            StatsdKind::Counter,
            "a:b|c\n@é/",
            &[("x:,", "y,|\n\u{e9} #")][..],
            1.0,
        )];
        let found = sent(DATAGRAM_BYTES, StatsdTags::Datadog, &odd);
        assert_eq!(found, ["a_b_c____:1|c|#x__:y___é #"]);
    }

    #[test]
    fn a_datagram_is_filled_to_its_last_byte() {
        let three = [(StatsdKind::Counter, "a", &[][..], 1.0); 3];
        assert_eq!(sent(17, StatsdTags::Omit, &three), ["a:1|c\na:1|c\na:1|c"]);
        assert_eq!(
            sent(16, StatsdTags::Omit, &three),
            ["a:1|c\na:1|c", "a:1|c"]
        );
        assert_eq!(
            sent(5, StatsdTags::Omit, &three),
            ["a:1|c"; 3].map(str::to_owned)
        );
    }

    #[test]
    fn what_no_line_can_say_is_refused_and_the_rest_goes_on() {
        let mut writer = DatagramWriter::new(5, StatsdTags::Omit);
        let mut send = |_: &[u8]| panic!("nothing is full");
        let mut push = |kind, name: &str, value| writer.push(kind, name, [], value, &mut send);
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let refused = push(StatsdKind::Gauge, "a", value);
            assert_eq!(refused, Err(StatsdError::NotFinite));
        }
        let refused = push(StatsdKind::Timer, "a", f64::MAX);
        assert_eq!(refused, Err(StatsdError::NotFinite));
        assert_eq!(push(StatsdKind::Gauge, "", 1.0), Err(StatsdError::NoName));
        let refused = StatsdError::TooLong { bytes: 6, limit: 5 };
        assert_eq!(push(StatsdKind::Gauge, "ab", 1.0), Err(refused));
        assert_eq!(push(StatsdKind::Gauge, "a", 1.0), Ok(()));
        let mut last = Vec::new();
        writer.finish(&mut |datagram: &[u8]| last.extend_from_slice(datagram));
        assert_eq!(last, b"a:1|g");
    }

    proptest! {
        #[test]
        fn every_line_arrives_once_in_order_and_no_datagram_is_too_long(
            names in prop::collection::vec("\\PC{1,12}", 0..40),
            value: i32,
            bytes_max in 30_usize..200,
        ) {
            let lines: Vec<Line<'_>> = names
                .iter()
                .map(|name| (StatsdKind::Counter, &**name, &[][..], f64::from(value)))
                .collect();
            let sent = sent(bytes_max, StatsdTags::Omit, &lines);
            prop_assert!(sent.iter().all(|datagram| datagram.len() <= bytes_max));
            let arrived: Vec<&str> = sent.iter().flat_map(|datagram| datagram.split('\n')).collect();
            let expected: Vec<String> = names
                .iter()
                .map(|name| {
                    let name: String =
                        name.chars().map(|c| if is_name_char(c) { c } else { '_' }).collect();
                    alloc::format!("{name}:{value}|c")
                })
                .collect();
            prop_assert_eq!(arrived, expected);
        }
    }
}
