//! Sketches as bytes and back.
//!
//! ```text
//! sketch = version:byte nans:varint downs:varint zeros:varint ups:varint sum:double min:double max:double
//!          floor:varint floor:varint pages:varint page*
//! page   = step:varint mask:eight bytes count:varint*
//!   step   from the page before, at least 1; the first from 0
//!   mask   little-endian: bit b says that bucket b has a count, which is not 0
//! double = eight bytes, little-endian; a NaN is 0x7ff8000000000000
//! floor  = of positive, then of negative numbers: the least exponent with a page
//! varint = seven bits a byte, lowest first, the top bit set in all but the last byte
//! ```

use alloc::vec::Vec;
use core::error::Error;
use core::fmt::{self, Display, Formatter};

use super::Sketch;
use super::pages::{BUCKETS, PAGES_MAX, Pages};
use crate::chunk::reader::{Reader, write_varint};
use crate::error::ChunkError;
use crate::float::{Sum, canonical};

const VERSION: u8 = 1;

/// How long a varint gets.
const VARINT_BYTES_MAX: usize = 10;

/// How many bytes a [`Sketch`] encodes to at most.
pub const SKETCH_BYTES_MAX: usize =
    1 + 7 * VARINT_BYTES_MAX + 3 * 8 + PAGES_MAX * (2 + 8 + BUCKETS * VARINT_BYTES_MAX);

/// How many values a decoded sketch may speak of: what a double counts without a gap, so that merging thousands of them
/// cannot overflow.
const COUNT_MAX: u64 = 1 << 53;

impl Sketch {
    /// As bytes, the same on every target: two or three for each bucket that has values.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = alloc::vec![VERSION];
        for count in [self.nans, self.downs, self.zeros, self.ups] {
            write_varint(count, &mut out);
        }
        for number in [self.sum(), self.min, self.max] {
            out.extend_from_slice(&canonical(number).to_bits().to_le_bytes());
        }
        for floor in self.pages.floors() {
            write_varint(u64::from(floor), &mut out);
        }
        write_varint(self.pages.len() as u64, &mut out);
        let mut before = 0;
        for (page, counts) in self.pages.iter() {
            write_varint(u64::from(page - before), &mut out);
            before = page;
            let mask =
                |mask: u64, (bucket, count): (usize, &u64)| mask | u64::from(*count > 0) << bucket;
            let mask = counts.iter().enumerate().fold(0, mask);
            out.extend_from_slice(&mask.to_le_bytes());
            for &count in counts.iter().filter(|count| **count > 0) {
                write_varint(count, &mut out);
            }
        }
        out
    }

    /// The sketch of these bytes. They may come from anywhere: memory is taken for what they hold alone, at most 33 KB.
    ///
    /// # Errors
    ///
    /// For bytes that [`encode`](Self::encode) did not write, as far as it can be told.
    pub fn decode(bytes: &[u8]) -> Result<Self, SketchError> {
        let mut reader = Reader::new(bytes);
        if reader.byte()? != VERSION {
            return Err(SketchError::Version { version: bytes[0] });
        }
        let mut left = COUNT_MAX;
        let mut count = |reader: &mut Reader<'_>| -> Result<u64, SketchError> {
            let count = reader.varint()?;
            left = left.checked_sub(count).ok_or_else(|| reader.invalid())?;
            Ok(count)
        };
        let mut counts = [0; 4];
        for own in &mut counts {
            *own = count(&mut reader)?;
        }
        let [nans, downs, zeros, ups] = counts;
        let mut numbers = [0.0; 3];
        for number in &mut numbers {
            *number = f64::from_bits(reader.word()?);
        }
        let [sum, min, max] = numbers;
        let pages = read_pages(&mut reader, count)?;
        reader.finish()?;
        let numbers = downs + zeros + ups + pages.total();
        let ordered = if numbers == 0 {
            min.is_nan() && max.is_nan()
        } else {
            let is_reached =
                (min == f64::NEG_INFINITY, max == f64::INFINITY) == (downs > 0, ups > 0);
            min <= max && is_reached
        };
        if !ordered {
            return Err(SketchError::Extremes);
        }
        Ok(Self {
            pages,
            count: nans + numbers,
            nans,
            downs,
            zeros,
            ups,
            sum: core::iter::once(sum).collect::<Sum>(),
            min,
            max,
        })
    }
}

fn read_pages(
    reader: &mut Reader<'_>,
    mut count: impl FnMut(&mut Reader<'_>) -> Result<u64, SketchError>,
) -> Result<Pages, SketchError> {
    let mut floors = [0; 2];
    for floor in &mut floors {
        *floor = u16::try_from(reader.varint()?).map_err(|_| reader.invalid())?;
    }
    let length = reader.varint()?;
    if length > PAGES_MAX as u64 {
        return Err(reader.invalid().into());
    }
    let (mut pages, mut counts) = (Vec::new(), Vec::new());
    let mut before = 0_u16;
    for _ in 0..length {
        let step = u16::try_from(reader.varint()?)
            .ok()
            .filter(|&step| step > 0);
        let page = step.and_then(|step| before.checked_add(step));
        before = page.ok_or_else(|| reader.invalid())?;
        let mask = reader.word()?;
        let mut buckets = [0; BUCKETS];
        for (bucket, own) in buckets.iter_mut().enumerate() {
            if mask >> bucket & 1 == 1 {
                *own = count(reader)?;
                if *own == 0 {
                    return Err(reader.invalid().into());
                }
            }
        }
        pages.push(before);
        counts.push(buckets);
    }
    Pages::restored(pages, counts, floors).ok_or_else(|| reader.invalid().into())
}

/// Why bytes are no sketch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SketchError {
    /// They are of a version that is not known.
    Version {
        /// Which.
        version: u8,
    },
    /// They end too early.
    Truncated {
        /// How many there are.
        bytes: usize,
    },
    /// They go on after the end.
    TooLong {
        /// How many there are.
        bytes: usize,
    },
    /// They say what no sketch says.
    Invalid {
        /// The position of a byte that is wrong, or of the last one read, counted from 0.
        position: usize,
    },
    /// The least and the greatest value do not fit each other, or the counts of numbers and of infinities.
    Extremes,
}

impl From<ChunkError> for SketchError {
    fn from(error: ChunkError) -> Self {
        match error {
            ChunkError::Truncated { bytes } => Self::Truncated { bytes },
            ChunkError::TooLong { bytes } => Self::TooLong { bytes },
            ChunkError::Invalid { position } => Self::Invalid { position },
            // Of values in columns, of which there are none here.
            ChunkError::TooMany { .. } => Self::Invalid { position: 0 },
        }
    }
}

impl Display for SketchError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version { version } => write!(f, "sketch of the unknown version {version}"),
            Self::Truncated { bytes } => write!(f, "sketch ends early, after {bytes} bytes"),
            Self::TooLong { bytes } => write!(f, "sketch of {bytes} bytes goes on after its end"),
            Self::Invalid { position } => write!(f, "sketch is wrong at byte {position}"),
            Self::Extremes => f.write_str("sketch whose extremes do not fit its values"),
        }
    }
}

impl Error for SketchError {}
