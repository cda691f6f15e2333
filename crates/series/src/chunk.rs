//! Chunks: columns of values in few bytes, bit for bit, and quick to read.
//!
//! Values are taken in blocks of 512. Each block is turned into integers in one of two ways, whichever fits it:
//!
//! - *decimals*: `v = i / 10^places`, tried value by value; what is no such decimal (a NaN, a stale marker, −0, an
//!   infinity, a stray third) is an *outlier* and kept whole;
//! - *bits*: the bits of the double, so ordered that close doubles are close integers. That is for noise, and nothing
//!   does better on it: the bits below its spread are random.
//!
//! Of the integers the first is kept, a common factor is taken out, and then either they, the steps from one to the
//! next, or the steps of those steps are told from a base in as few bits as serve all but a few; those few are
//! *patched*. A steady series, a steady slope and a steady bend all take no bits per value, and one change costs one
//! or two patches. So there is no form of its own for constants, for runs or for XORs.
//!
//! ```text
//! times    = count:varint (order:byte integers)*     blocks as below, of Unix milliseconds
//! values   = count:varint block*                     blocks of 512, the last one of what is left
//! block    = head:byte integers [outliers]
//!   head     bits 0–3  places, 0 to 14; 15: the integers are bits of doubles
//!            bits 4–5  order: 0 the numbers, 1 their steps, 2 the steps of the steps
//!            bit  6    outliers follow
//!            bit  7    0
//! integers = first:signed factor:varint base:signed [slope:signed] width:byte packed [patches]
//!   slope    of order 2: the first step
//!   width    bits 0–6  0 to 64; bit 7: patches follow
//!   packed   a number of `width` bits for each value. The first (of order 2, the first two) is 0 and means nothing
//! patches  = count:varint distance:list excess:list
//!   distance from the place behind the patch before; excess, zigzag, is added `width` bits higher
//! outliers = count:varint distance:list double*
//!   double   eight bytes, little-endian
//!
//! list     = width:byte packed                      of as many numbers as the count before says
//! varint   = seven bits a byte, lowest first, the top bit set in all but the last byte
//! signed   = varint of the zigzag form: 0, −1, 1, −2 are 0, 1, 2, 3
//!
//! number i of order 0:  first + factor·(base + packed[i])
//!                   1:  y[0] = 0, y[i] = y[i−1] + base + packed[i];                     first + factor·y[i]
//!                   2:  y[0] = 0, step[1] = slope, step[i] = step[i−1] + base + packed[i]
//!
//! packed:  512 numbers lie in eight lanes of 64-bit little-endian words, word 8·k + l the k-th of lane l; number i is
//!          in lane i mod 8, at bit (i div 8)·width of it. Fewer, and lists of any length, lie in one lane, cut off
//!          behind the byte of the last bit.
//! ```
//!
//! All arithmetic on integers wraps. The bytes are the same on every target.

mod decimal;
mod ints;
mod narrow;
mod packing;
pub(crate) mod reader;
mod sealed;
mod summary;
mod times;
mod values;

pub(crate) use narrow::Narrow;
pub use sealed::Chunk;
pub(crate) use sealed::{CHUNK_BYTES, SharedTimes};
pub use summary::Summary;
pub(crate) use summary::totals;
pub use times::{TimesPool, decode_times, encode_times};
pub use values::{ENCODED_VALUES_MAX, decode_values, encode_values};

/// How many points are sealed into one chunk of a ring: one block.
pub(crate) const CHUNK_POINTS: usize = packing::BLOCK;
