//! Lines with a sum at their end, written and read within bounds.

use std::io::{self, BufRead, Read};

use serde_json::{Map, Value};
use tidegate_core::{Instant, Now, UnixMillis};

use super::json::{Object, Unreadable, read_member, read_object};

/// The version of the format, which other versions do not read.
pub const FORMAT_VERSION: u64 = 1;

/// How long a line may be, in bytes: the largest body that a source may send, as text.
pub const LINE_BYTES_MAX: usize = 80 << 20;

/// The member that ends every line.
const SUM: &[u8] = b",\"sum\":\"";

/// FNV-1a of 64 bits. Any single byte that differs gives another sum, since each round is a
/// bijection. Parameters: Fowler, Noll, Vo, and RFC 9923.
pub(super) fn fnv(bytes: &[u8]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    bytes.iter().fold(OFFSET, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(PRIME)
    })
}

/// A line of these members.
pub(super) fn compose(members: impl FnOnce(&mut Object<'_>)) -> Vec<u8> {
    let mut line = Vec::new();
    let mut object = Object::new(&mut line);
    members(&mut object);
    let sum = fnv(&line);
    line.extend_from_slice(SUM);
    line.extend_from_slice(format!("{sum:016x}\"}}\n").as_bytes());
    line
}

pub(super) fn write_now(now: Now, object: &mut Object<'_>) {
    object
        .member("mono_ns", &now.mono.as_nanos())
        .member("wall_ms", &now.wall);
}

pub(super) fn read_now(object: &Map<String, Value>) -> Result<Now, Unreadable> {
    Ok(Now {
        mono: Instant::from_nanos(read_member(object, "mono_ns")?),
        wall: read_member::<UnixMillis>(object, "wall_ms")?,
    })
}

/// What became of an attempt to read a line.
pub(super) enum Read1 {
    Line(Map<String, Value>),
    /// There is no more.
    End,
    /// The last line has no end: whoever wrote it did not come to it.
    Torn,
    TooLong,
    /// Its sum says that it was changed.
    Damaged,
    Unreadable(Unreadable),
}

/// Reads the next line, `bytes_max` at most.
pub(super) fn read(from: &mut impl BufRead, bytes_max: usize) -> io::Result<Read1> {
    let mut line = Vec::new();
    let bound = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    from.by_ref()
        .take(bound.saturating_add(1))
        .read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(Read1::End);
    }
    if line.len() > bytes_max {
        return Ok(Read1::TooLong);
    }
    if line.pop() != Some(b'\n') {
        return Ok(Read1::Torn);
    }
    if !is_whole(&line) {
        return Ok(Read1::Damaged);
    }
    let value = serde_json::from_slice::<Value>(&line);
    let value = value.map_err(|error| Unreadable::new(error.to_string()));
    let members = value.and_then(|value| read_object(&value).cloned());
    Ok(members.map_or_else(Read1::Unreadable, Read1::Line))
}

fn is_whole(line: &[u8]) -> bool {
    const DIGITS: usize = 16;
    let Some(at) = line.len().checked_sub(SUM.len() + DIGITS + 2) else {
        return false;
    };
    let (members, sum) = line.split_at(at);
    sum == [SUM, format!("{:016x}\"}}", fnv(members)).as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_the_published_one() {
        assert_eq!(fnv(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_line_of_the_longest_is_read_and_one_byte_more_is_not() {
        let line = compose(|object| {
            object.member("a", &1_u64);
        });
        assert!(matches!(
            read(&mut &line[..], line.len()),
            Ok(Read1::Line(_))
        ));
        assert!(matches!(
            read(&mut &line[..], line.len() - 1),
            Ok(Read1::TooLong)
        ));
        let cut = &line[..line.len() - 1];
        assert!(matches!(read(&mut &*cut, line.len()), Ok(Read1::Torn)));
    }
}
