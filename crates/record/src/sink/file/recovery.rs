//! A file as it was left: what of it is whole, and what happens to the rest.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use tidegate_wire::lines::{Line, VERSION, decode_line, write_version};

/// How much is looked at together.
const BLOCK_BYTES: u64 = 64 * 1024;

/// No version line is longer.
const VERSION_LINE_BYTES_MAX: usize = 64;

/// What was mended of a last line without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovered {
    /// It was whole but for its line feed, which it got.
    Completed,
    /// It was not, and was cut off.
    Cut {
        /// How much there was of it.
        bytes: u64,
    },
}

impl fmt::Display for Recovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Completed => f.write_str("the last line lacked its end and got it"),
            Self::Cut { bytes } => {
                write!(
                    f,
                    "the last line was torn, {bytes} bytes of it were cut off"
                )
            }
        }
    }
}

/// What a file holds.
pub(super) struct Found {
    /// How much of it is whole lines.
    pub(super) bytes: u64,
    pub(super) recovered: Option<Recovered>,
    pub(super) is_other_version: bool,
}

/// Looks at a file, and mends its end.
pub(super) fn recover(file: &mut File) -> io::Result<Found> {
    let length = file.metadata()?.len();
    let mut found = Found {
        bytes: length,
        recovered: None,
        is_other_version: false,
    };
    if length == 0 {
        return Ok(found);
    }
    match first_line(file)? {
        First::Version(version) => found.is_other_version = version != VERSION,
        First::Torn => {
            file.set_len(0)?;
            found.bytes = 0;
            found.recovered = Some(Recovered::Cut { bytes: length });
            return Ok(found);
        }
        First::Other => {
            let kind = io::ErrorKind::InvalidData;
            return Err(io::Error::new(
                kind,
                "it holds something other than records",
            ));
        }
    }
    let end = end_of_lines(file, length)?;
    if end == length {
        return Ok(found);
    }
    file.seek(SeekFrom::Start(end))?;
    let mut last = Vec::new();
    file.read_to_end(&mut last)?;
    if decode_line(&last).is_ok() {
        file.write_all(b"\n")?;
        found.bytes = length + 1;
        found.recovered = Some(Recovered::Completed);
    } else {
        file.set_len(end)?;
        found.bytes = end;
        found.recovered = Some(Recovered::Cut {
            bytes: length - end,
        });
    }
    Ok(found)
}

enum First {
    Version(u32),
    /// The version line was not written to its end, and nothing follows.
    Torn,
    Other,
}

fn first_line(file: &mut File) -> io::Result<First> {
    let mut head = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(VERSION_LINE_BYTES_MAX as u64)
        .read_to_end(&mut head)?;
    let Some(end) = head.iter().position(|&byte| byte == b'\n') else {
        let mut version = Vec::new();
        write_version(&mut version);
        return Ok(match version.starts_with(&head) {
            true => First::Torn,
            false => First::Other,
        });
    };
    Ok(match decode_line(&head[..end]) {
        Ok(Line::Version(version)) => First::Version(version),
        Ok(Line::Family(_) | Line::Record(_)) | Err(_) => First::Other,
    })
}

/// Where the last whole line ends: after the last line feed.
fn end_of_lines(file: &mut File, length: u64) -> io::Result<u64> {
    let mut end = length;
    let mut block = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(BLOCK_BYTES);
        block.clear();
        file.seek(SeekFrom::Start(start))?;
        Read::by_ref(file)
            .take(end - start)
            .read_to_end(&mut block)?;
        if let Some(place) = block.iter().rposition(|&byte| byte == b'\n') {
            return Ok(start + place as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}
