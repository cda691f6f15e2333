//! Chunks: a run of points that no more are added to, and what is known of it without decoding.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::summary::Summary;
use super::times::{Times, TimesPool};
use super::values::{decode_values, encode_values};

/// Times of a chunk, by which others that share them are known.
#[derive(Debug, Clone)]
pub(crate) struct SharedTimes(Arc<Times>);

/// Points of one series in few bytes, with their [`Summary`] beside them.
///
/// ```
/// let chunk = tidegate_series::Chunk::new(&[1_000, 2_000, 3_000], &[1.5, 2.5, 0.5]);
/// assert_eq!((chunk.len(), chunk.first_ms(), chunk.last_ms()), (3, 1_000, 3_000));
/// assert_eq!((chunk.summary().max, chunk.summary().sum), (2.5, 4.5));
/// let (mut times_ms, mut values) = (Vec::new(), Vec::new());
/// chunk.decode_into(&mut times_ms, &mut values);
/// assert_eq!((times_ms[1], values[1]), (2_000, 2.5));
/// ```
#[derive(Debug, Clone)]
pub struct Chunk {
    times: Arc<Times>,
    values: Box<[u8]>,
    sum: f64,
    min: f64,
    max: f64,
    first: f64,
    last: f64,
    fallen: f64,
    /// How many values are summed up.
    count: u32,
    /// Whether the times were new with this chunk. Who else has them shares them.
    owns_times: bool,
}

/// What a [`Chunk`] takes beside its bytes on a 64-bit machine; told so on every target.
pub(crate) const CHUNK_BYTES: usize = 80;
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Chunk>() == CHUNK_BYTES);

impl Chunk {
    /// A chunk of these points: times that rise strictly, any values, as many of one as of the other.
    ///
    /// # Panics
    ///
    /// For no points, more than [`ENCODED_VALUES_MAX`](crate::ENCODED_VALUES_MAX), or columns of unequal length.
    #[must_use]
    pub fn new(times_ms: &[i64], values: &[f64]) -> Self {
        Self::sharing(times_ms, values, &mut TimesPool::default())
    }

    /// As [`new`](Self::new), with the times from the pool if they are in it.
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new).
    #[must_use]
    pub fn sharing(times_ms: &[i64], values: &[f64], pool: &mut TimesPool) -> Self {
        assert!(!values.is_empty(), "a chunk has points");
        assert_eq!(times_ms.len(), values.len(), "one time for each value");
        let (times, owns_times) = pool.share(times_ms);
        Self::of(
            times,
            owns_times,
            encode_values(values),
            &Summary::of(values),
        )
    }

    /// A chunk of encoded values at these times, as many of one as of the other, with their summary.
    pub(crate) const fn of(
        times: Arc<Times>,
        owns_times: bool,
        values: Box<[u8]>,
        summary: &Summary,
    ) -> Self {
        let Summary {
            count,
            sum,
            min,
            max,
            first,
            last,
            fallen,
        } = *summary;
        Self {
            times,
            values,
            sum,
            min,
            max,
            first,
            last,
            fallen,
            // Of no more than `ENCODED_VALUES_MAX`.
            count: count as u32,
            owns_times,
        }
    }

    /// How many points it has, stale markers included; at least one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.times.count()
    }

    /// Whether it has none, which cannot be.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The time of its first point, in Unix milliseconds, be it a stale marker.
    #[must_use]
    pub fn first_ms(&self) -> i64 {
        self.times.first_ms()
    }

    /// The time of its last point, in Unix milliseconds, be it a stale marker.
    #[must_use]
    pub fn last_ms(&self) -> i64 {
        self.times.last_ms()
    }

    /// What its values add up to. Where `count` is less than [`len`](Self::len) there are stale markers, and the first
    /// value may be later than the first point, the last one earlier.
    #[must_use]
    pub const fn summary(&self) -> Summary {
        Summary {
            count: self.count as usize,
            sum: self.sum,
            min: self.min,
            max: self.max,
            first: self.first,
            last: self.last,
            fallen: self.fallen,
        }
    }

    /// Appends its times and values, bit for bit.
    pub fn decode_into(&self, times_ms: &mut Vec<i64>, values: &mut Vec<f64>) {
        self.times_into(times_ms);
        self.values_into(values);
    }

    pub(crate) fn values_into(&self, values: &mut Vec<f64>) {
        decode_values(&self.values, values).expect("encoded here");
    }

    /// Its times, as it has them.
    pub(crate) fn times(&self) -> SharedTimes {
        SharedTimes(self.times.clone())
    }

    /// Whether these are its very times.
    pub(crate) fn has_times(&self, times: &SharedTimes) -> bool {
        Arc::ptr_eq(&self.times, &times.0)
    }

    pub(crate) fn times_into(&self, times_ms: &mut Vec<i64>) {
        self.times.decode_into(times_ms);
    }

    /// What it takes in memory, in bytes, allocator overhead left out, the same on every target. Times that several
    /// chunks share are told of the first of them only.
    #[must_use]
    pub fn byte_size(&self) -> usize {
        let times = if self.owns_times {
            self.times.byte_size()
        } else {
            0
        };
        CHUNK_BYTES + self.values.len() + times
    }
}
