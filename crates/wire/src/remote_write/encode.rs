//! Requests out.

use alloc::vec::Vec;

use super::KINDS;
use crate::protobuf::{
    Wire, field_len, varint_len, write_length, write_tag, write_text, write_varint,
};
use crate::scrape::FamilyKind;

/// Appends one request, series by series, to a byte vector.
///
/// ```
/// use tidegate_wire::FamilyKind;
/// use tidegate_wire::remote_write::RequestWriter;
///
/// let mut body = Vec::new();
/// let mut request = RequestWriter::new(&mut body);
/// request.family("hits_total", FamilyKind::Counter, "Answers from memory.", "");
/// request.series([("__name__", "hits_total"), ("job", "x")], [(1_000, 3.0), (2_000, 4.0)]);
/// assert_eq!(body.len(), 102);
/// ```
#[derive(Debug)]
pub struct RequestWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> RequestWriter<'a> {
    /// A writer that appends to `out`.
    pub const fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// Writes a series with its samples: milliseconds since the Unix epoch, and values, which go out
    /// bit for bit, the negative zero and every NaN too.
    ///
    /// The protocol wants labels sorted by name, none empty and none twice, the metric's name among
    /// them under `__name__`, and samples in the order of their times; this does not check it.
    pub fn series<'l, L, S>(&mut self, labels: L, samples: S) -> &mut Self
    where
        L: IntoIterator<Item = (&'l str, &'l str)>,
        L::IntoIter: Clone,
        S: IntoIterator<Item = (i64, f64)>,
        S::IntoIter: Clone,
    {
        let (labels, samples) = (labels.into_iter(), samples.into_iter());
        let label_bytes: usize = labels
            .clone()
            .map(|(name, value)| field_len(label_len(name, value)))
            .sum();
        let sample_bytes: usize = samples
            .clone()
            .map(|(timestamp_ms, value)| field_len(sample_len(timestamp_ms, value)))
            .sum();
        write_length(1, label_bytes + sample_bytes, self.out);
        for (name, value) in labels {
            write_length(1, label_len(name, value), self.out);
            write_text(1, name, self.out);
            write_text(2, value, self.out);
        }
        for (timestamp_ms, value) in samples {
            write_length(2, sample_len(timestamp_ms, value), self.out);
            if value.to_bits() != 0 {
                write_tag(1, Wire::Fixed64, self.out);
                self.out.extend_from_slice(&value.to_bits().to_le_bytes());
            }
            if timestamp_ms != 0 {
                write_tag(2, Wire::Varint, self.out);
                write_varint(timestamp_ms.cast_unsigned(), self.out);
            }
        }
        self
    }

    /// Writes what a metric is; an empty help or unit says nothing.
    pub fn family(&mut self, name: &str, kind: FamilyKind, help: &str, unit: &str) -> &mut Self {
        let number = KINDS.iter().position(|known| *known == kind);
        let number = number.unwrap_or_default() as u64;
        let kind_bytes = match number {
            0 => 0,
            _ => 1 + varint_len(number),
        };
        let texts = [(2, name), (4, help), (5, unit)];
        let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
        let text_bytes: usize = texts.clone().map(|(_, text)| field_len(text.len())).sum();
        write_length(3, kind_bytes + text_bytes, self.out);
        if number != 0 {
            write_tag(1, Wire::Varint, self.out);
            write_varint(number, self.out);
        }
        for (field, text) in texts {
            write_text(field, text, self.out);
        }
        self
    }
}

const fn label_len(name: &str, value: &str) -> usize {
    field_len(name.len()) + field_len(value.len())
}

/// Zeros are left out, as they are what is read where nothing stands; the negative one is not a zero.
const fn sample_len(timestamp_ms: i64, value: f64) -> usize {
    let value = if value.to_bits() == 0 { 0 } else { 1 + 8 };
    let timestamp = match timestamp_ms {
        0 => 0,
        _ => 1 + varint_len(timestamp_ms.cast_unsigned()),
    };
    value + timestamp
}
