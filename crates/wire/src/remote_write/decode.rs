//! Requests in.

use alloc::string::String;
use alloc::vec::Vec;

use super::{KINDS, WriteError, WriteLimits, WriteRequest};
use crate::columns::ColumnsBuilder;
use crate::protobuf::{Message, Wire};
use crate::scrape::FamilyHeader;

type Result<T> = core::result::Result<T, WriteError>;

/// Decodes a request that is already decompressed.
///
/// Fields that are not known are passed over, as protocol buffers want it. Labels need not be sorted,
/// though senders must sort them.
///
/// # Errors
///
/// The first thing that breaks the format or passes a limit; nothing of such a request is used.
///
/// ```
/// use tidegate_wire::remote_write::{RequestWriter, WriteLimits, decode};
///
/// let mut body = Vec::new();
/// RequestWriter::new(&mut body).series([("__name__", "up")], [(1_000, 1.0)]);
/// let request = decode(&body, &WriteLimits::default()).unwrap();
/// assert_eq!(request.columns.series(0).label("__name__"), Some("up"));
/// assert_eq!(request.columns.values(), [1.0]);
/// ```
pub fn decode(body: &[u8], limits: &WriteLimits) -> Result<WriteRequest> {
    let mut decoder = Decoder {
        builder: ColumnsBuilder::new(),
        labels: Vec::new(),
        request: WriteRequest::default(),
        series: 0,
        samples: 0,
        limits,
    };
    let mut message = Message::new(body);
    while let Some(field) = message.field()? {
        match field {
            (1, Wire::Bytes) => decoder.time_series(message.message()?)?,
            (3, Wire::Bytes) => decoder.metadata(message.message()?)?,
            (1 | 3, _) => return Err(wrong_type(&message)),
            (_, wire) => message.skip(wire)?,
        }
    }
    decoder.request.columns = decoder.builder.finish();
    Ok(decoder.request)
}

struct Decoder<'a, 'l> {
    builder: ColumnsBuilder,
    /// The labels of the series being read.
    labels: Vec<(&'a str, &'a str)>,
    /// All but the columns.
    request: WriteRequest,
    series: usize,
    samples: usize,
    limits: &'l WriteLimits,
}

impl<'a> Decoder<'a, '_> {
    fn time_series(&mut self, mut message: Message<'a>) -> Result<()> {
        self.series += 1;
        within(self.series, self.limits.series, "series", &message)?;
        self.builder.begin_series();
        self.labels.clear();
        while let Some(field) = message.field()? {
            match field {
                (1, Wire::Bytes) => {
                    let label = self.label(message.message()?)?;
                    self.labels.push(label);
                    let limit = self.limits.labels_per_series;
                    within(self.labels.len(), limit, "labels of one series", &message)?;
                }
                (2, Wire::Bytes) => self.sample(message.message()?)?,
                (3, Wire::Bytes) => {
                    message.skip(Wire::Bytes)?;
                    self.request.exemplars += 1;
                }
                (4, Wire::Bytes) => {
                    message.skip(Wire::Bytes)?;
                    self.request.histograms += 1;
                }
                (1..=4, _) => return Err(wrong_type(&message)),
                (_, wire) => message.skip(wire)?,
            }
        }
        self.settle_labels(&message)
    }

    /// Gives the series its labels, sorted.
    fn settle_labels(&mut self, message: &Message<'a>) -> Result<()> {
        if !self.labels.is_sorted() {
            self.labels.sort_unstable();
        }
        if let Some(twins) = self.labels.windows(2).find(|two| two[0].0 == two[1].0) {
            return Err(WriteError::duplicate(twins[0].0, message.position()));
        }
        for (name, value) in self.labels.iter().filter(|(_, value)| !value.is_empty()) {
            self.builder.label(name, value);
            let (bytes, limit) = (self.builder.text_bytes(), self.limits.text_bytes);
            within(bytes, limit, "bytes of labels", message)?;
        }
        Ok(())
    }

    fn label(&self, mut message: Message<'a>) -> Result<(&'a str, &'a str)> {
        let (mut name, mut value) = ("", "");
        while let Some(field) = message.field()? {
            match field {
                (1, Wire::Bytes) => name = self.text(&mut message, "bytes in a label name")?,
                (2, Wire::Bytes) => value = self.text(&mut message, "bytes in a label value")?,
                (1 | 2, _) => return Err(wrong_type(&message)),
                (_, wire) => message.skip(wire)?,
            }
        }
        match name {
            "" => Err(WriteError::EmptyLabelName {
                position: message.position(),
            }),
            _ => Ok((name, value)),
        }
    }

    fn sample(&mut self, mut message: Message<'a>) -> Result<()> {
        self.samples += 1;
        within(self.samples, self.limits.samples, "samples", &message)?;
        let (mut value, mut timestamp_ms) = (0.0, 0);
        while let Some(field) = message.field()? {
            match field {
                (1, Wire::Fixed64) => value = message.double()?,
                (2, Wire::Varint) => timestamp_ms = message.varint()?.cast_signed(),
                (1 | 2, _) => return Err(wrong_type(&message)),
                (_, wire) => message.skip(wire)?,
            }
        }
        self.builder.sample(timestamp_ms, value);
        Ok(())
    }

    fn metadata(&mut self, mut message: Message<'a>) -> Result<()> {
        let mut header = FamilyHeader::default();
        while let Some(field) = message.field()? {
            match field {
                (1, Wire::Varint) => {
                    let kind = usize::try_from(message.varint()?).ok();
                    header.kind = kind
                        .and_then(|kind| KINDS.get(kind).copied())
                        .unwrap_or_default();
                }
                (2, Wire::Bytes) => {
                    header.name = self.owned(&mut message, "bytes in a metric name")?;
                }
                (4, Wire::Bytes) => header.help = self.owned(&mut message, "bytes in a help")?,
                (5, Wire::Bytes) => header.unit = self.owned(&mut message, "bytes in a unit")?,
                (1 | 2 | 4 | 5, _) => return Err(wrong_type(&message)),
                (_, wire) => message.skip(wire)?,
            }
        }
        self.request.families.push(header);
        let (families, limit) = (self.request.families.len(), self.limits.families);
        within(families, limit, "metrics described", &message)
    }

    fn text(&self, message: &mut Message<'a>, what: &'static str) -> Result<&'a str> {
        let text = message.text()?;
        let text = text.map_err(|position| WriteError::BadUtf8 { position })?;
        within(text.len(), self.limits.label_bytes, what, message)?;
        Ok(text)
    }

    fn owned(&self, message: &mut Message<'a>, what: &'static str) -> Result<String> {
        self.text(message, what).map(String::from)
    }
}

fn within(have: usize, limit: usize, what: &'static str, message: &Message<'_>) -> Result<()> {
    if have <= limit {
        return Ok(());
    }
    let position = message.position();
    Err(WriteError::TooLarge {
        what,
        limit,
        position,
    })
}

/// A field that is known, and is not what it should be.
fn wrong_type(message: &Message<'_>) -> WriteError {
    WriteError::Malformed {
        position: message.position(),
        expected: "a value of the field's type",
    }
}
