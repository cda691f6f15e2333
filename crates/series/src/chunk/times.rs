//! Times as bytes and back: regular ones take next to nothing.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::ints;
use super::packing::BLOCK;
use super::reader::{Reader, write_varint};
use super::values::ENCODED_VALUES_MAX;
use crate::error::ChunkError;
use crate::tail::Tail;

/// Times, any integers in any order, as bytes. Those that rise by the same or nearly the same take least.
///
/// # Panics
///
/// For more than [`ENCODED_VALUES_MAX`] times.
#[must_use]
pub fn encode_times(times_ms: &[i64]) -> Box<[u8]> {
    assert!(times_ms.len() <= ENCODED_VALUES_MAX, "too many times");
    let mut out = Vec::new();
    write_varint(times_ms.len() as u64, &mut out);
    let mut scratch = [0; BLOCK];
    for block in times_ms.chunks(BLOCK) {
        let scratch = &mut scratch[..block.len()];
        scratch.copy_from_slice(block);
        let head = out.len();
        out.push(0);
        out[head] = ints::encode(scratch, 0, &mut out);
    }
    out.into_boxed_slice()
}

/// Appends the times to `times_ms` and says how many they are; on an error it leaves `times_ms` as it was.
///
/// # Errors
///
/// For bytes that [`encode_times`] did not write. Not every change of a byte can be told: some give other times.
pub fn decode_times(bytes: &[u8], times_ms: &mut Vec<i64>) -> Result<usize, ChunkError> {
    let start = times_ms.len();
    let outcome = decode(bytes, times_ms);
    if outcome.is_err() {
        times_ms.truncate(start);
    }
    outcome
}

fn decode(bytes: &[u8], times_ms: &mut Vec<i64>) -> Result<usize, ChunkError> {
    let mut reader = Reader::new(bytes);
    let count = reader.count()?;
    let mut scratch = [0; BLOCK];
    for at in (0..count).step_by(BLOCK) {
        let scratch = &mut scratch[..(count - at).min(BLOCK)];
        let order = reader.byte()?;
        if order > 2 {
            return Err(reader.invalid());
        }
        ints::decode(&mut reader, order, scratch)?;
        times_ms.extend(scratch.iter().map(|&time| time as i64));
    }
    reader.finish()?;
    Ok(count)
}

/// The times of a chunk, which chunks of several series may share.
#[derive(Debug)]
pub(crate) struct Times {
    first_ms: i64,
    last_ms: i64,
    count: usize,
    bytes: Box<[u8]>,
}

/// What [`Times`] take on a 64-bit machine in an `Arc`, bytes left out; told so on every target.
const TIMES_BYTES: usize = 56;
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Times>() + 2 * size_of::<usize>() == TIMES_BYTES);

impl Times {
    /// Times that rise strictly, at least one.
    pub(crate) fn new(times_ms: &[i64]) -> Self {
        Self {
            first_ms: times_ms[0],
            last_ms: times_ms[times_ms.len() - 1],
            count: times_ms.len(),
            bytes: encode_times(times_ms),
        }
    }

    pub(crate) const fn first_ms(&self) -> i64 {
        self.first_ms
    }

    pub(crate) const fn last_ms(&self) -> i64 {
        self.last_ms
    }

    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn decode_into(&self, times_ms: &mut Vec<i64>) {
        decode_times(&self.bytes, times_ms).expect("made here");
    }

    pub(crate) const fn byte_size(&self) -> usize {
        TIMES_BYTES + self.bytes.len()
    }
}

/// How many times may be looked through for equal ones. Series that are scraped together come one after the other, so
/// that few sequences are filled at once.
const POOL_MAX: usize = 64;

/// The times that were sealed last, for other series to share: what is scraped together has equal times.
///
/// It keeps the last 64 columns alive, whoever else still has them.
#[derive(Debug, Clone, Default)]
pub struct TimesPool {
    /// Oldest first, each with its step if it came from a tail that knew it.
    sealed: Vec<(Arc<Times>, Option<u64>)>,
    /// The newest of them decoded, as most often the next ones are the same.
    newest_ms: Vec<i64>,
}

impl TimesPool {
    /// The times of the `count` oldest points of a tail, which has more; and whether they are new, not shared.
    pub(crate) fn share_oldest(&mut self, tail: &Tail, count: usize) -> (Arc<Times>, bool) {
        let Some((first_ms, step_ms)) = tail.regular() else {
            return self.share(&tail.oldest_times(count));
        };
        let same = |(held, step): &&(Arc<Times>, Option<u64>)| {
            *step == Some(step_ms) && held.first_ms == first_ms && held.count == count
        };
        if let Some((times, _)) = self.sealed.iter().rev().find(same) {
            return (times.clone(), false);
        }
        let (times, is_new) = self.share(&tail.oldest_times(count));
        if let Some((_, step)) = self.sealed.last_mut().filter(|_| is_new) {
            *step = Some(step_ms);
        }
        (times, is_new)
    }

    /// These times, which rise strictly and are at least one; and whether they are new, not shared.
    pub(crate) fn share(&mut self, times_ms: &[i64]) -> (Arc<Times>, bool) {
        let newest = self.sealed.last().filter(|_| self.newest_ms == times_ms);
        if let Some((times, _)) = newest.or_else(|| self.find(times_ms)) {
            return (times.clone(), false);
        }
        let times = Arc::new(Times::new(times_ms));
        if self.sealed.len() == POOL_MAX {
            self.sealed.remove(0);
        }
        self.sealed.push((times.clone(), None));
        self.newest_ms.clear();
        self.newest_ms.extend_from_slice(times_ms);
        (times, true)
    }

    /// What its list takes. The times themselves are told of a chunk that has them.
    pub(crate) fn byte_size(&self) -> usize {
        24 * self.sealed.capacity() + 8 * self.newest_ms.capacity()
    }

    fn find(&self, times_ms: &[i64]) -> Option<&(Arc<Times>, Option<u64>)> {
        let (first, last) = (times_ms.first(), times_ms.last());
        let like = |(held, _): &&(Arc<Times>, Option<u64>)| {
            let ends = (Some(&held.first_ms), Some(&held.last_ms), held.count);
            ends == (first, last, times_ms.len())
        };
        let mut decoded = Vec::new();
        self.sealed.iter().rev().filter(like).find(|(held, _)| {
            decoded.clear();
            held.decode_into(&mut decoded);
            decoded == times_ms
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn comes_back(times_ms: &[i64]) -> usize {
        let bytes = encode_times(times_ms);
        let mut back = alloc::vec![7];
        assert_eq!(decode_times(&bytes, &mut back), Ok(times_ms.len()));
        assert_eq!(&back[1..], times_ms);
        bytes.len()
    }

    #[test]
    fn a_regular_day_takes_a_dozen_bytes_for_each_512_times() {
        let start = 1_700_000_000_000;
        let times: Vec<i64> = (0..512).map(|nth| start + nth * 15_000).collect();
        assert!(comes_back(&times) <= 16);
        comes_back(&[]);
        comes_back(&[i64::MIN, i64::MAX]);
    }

    #[test]
    fn times_that_jitter_by_a_few_milliseconds_take_less_than_a_byte_each() {
        let jitter = [0, 3, 1, -2, 2, 0, -1, 1];
        let time = |nth: usize| nth as i64 * 15_000 + jitter[nth * nth % 8];
        assert!(comes_back(&(0..512).map(time).collect::<Vec<_>>()) <= 512 / 2);
    }

    #[test]
    fn equal_times_are_shared_and_only_those() {
        let mut pool = TimesPool::default();
        let (a, b) = ([1, 2, 3], [1, 1, 3]);
        let (first, is_new) = pool.share(&a);
        assert!(is_new);
        let (second, is_new) = pool.share(&a);
        assert!(!is_new && Arc::ptr_eq(&first, &second));
        assert!(pool.share(&b).1);
        let (third, is_new) = pool.share(&a);
        assert!(!is_new && Arc::ptr_eq(&first, &third));
        for nth in 0..POOL_MAX as i64 {
            assert!(pool.share(&[nth, nth + 10]).1);
        }
        assert!(pool.share(&a).1);
    }

    proptest! {
        #[test]
        fn whatever_times_are_encoded_come_back(
            steps in prop::collection::vec((-20_i64..20, 0_u8..50), 0..1100),
            odd in any::<i64>(),
        ) {
            let mut time: i64 = 0;
            let next = |(jitter, gap)| {
                let step = if gap == 0 { odd } else { 15_000 + jitter };
                time = time.wrapping_add(step);
                time
            };
            comes_back(&steps.into_iter().map(next).collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_are_times_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut back = Vec::new();
            match decode_times(&bytes, &mut back) {
                Ok(count) => prop_assert_eq!(count, back.len()),
                Err(_) => prop_assert!(back.is_empty()),
            }
        }
    }
}
