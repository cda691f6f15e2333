//! The file sink: lines that are only ever appended, and read back.
//!
//! The format is that of [`tidegate_wire::lines`]: one JSON object a line, the version first. The file at
//! the path is the one being written; `path.1` is the one before it, and so on.

mod read;
mod recovery;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tidegate_series::{Family, Metadata};
use tidegate_wire::lines::{self, LineKind};

pub use self::read::{FileRecords, ReadError, ReadProblem, ReadRecord, files_of};
pub use self::recovery::Recovered;
use super::family::family_kind;
use super::lost::Lost;
use super::{Sink, SinkError, Takes};
use crate::{Batch, EventKind};

/// How large a file grows before the next one is begun, by default: a day of some thousand lines a
/// minute, and still something that tools open.
pub const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How many files are kept by default, the one being written among them: half a gigabyte in all.
pub const FILES_MAX: usize = 8;

/// How many bytes are put together for one call of the system.
const PIECE_BYTES: usize = 256 * 1024;

/// How many descriptions are remembered, to be repeated in each file: as many as a store holds.
const FAMILIES_MAX: usize = tidegate_series::METADATA_MAX;

/// How a [`FileSink`] writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileOptions {
    /// What is written: samples and events by default.
    pub takes: Takes,
    /// How large a file may grow: [`FILE_BYTES_MAX`]. A single batch's piece larger than this is
    /// written all the same.
    pub bytes_max: u64,
    /// How many files are kept: [`FILES_MAX`]; with 1 the file is begun anew when it is full.
    pub files_max: usize,
}

impl Default for FileOptions {
    fn default() -> Self {
        Self {
            takes: Takes::Everything,
            bytes_max: FILE_BYTES_MAX,
            files_max: FILES_MAX,
        }
    }
}

/// Appends samples, events and descriptions to a file.
///
/// What [`write`](Sink::write) took is with the system when it returns: it survives the end of this
/// program, SIGKILL too. What [`flush`](Sink::flush) confirmed is on the disk and survives the machine's.
/// Where the disk is full, what a failed call has written of a line is taken back, the batch's rest is
/// dropped and said, and the next batch is tried again. A stale marker is written as the value `"stale"`.
///
/// One process writes a file at a time: it is locked where the system can.
///
/// ```
/// use tidegate_record::{Batch, FileOptions, FileRecords, FileSink, ReadRecord, Sink};
/// use tidegate_series::{Labels, Sample};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("records.jsonl");
/// let mut sink = FileSink::open(&path, FileOptions::default())?;
/// let labels = Labels::from_pairs([("__name__", "load")])?;
/// let sample = Sample { labels, timestamp_ms: 1_000, value: 0.5 };
/// sink.write(&Batch { samples: vec![sample.clone()], ..Batch::default() })?;
/// sink.flush()?;
/// let records: Vec<_> = FileRecords::open(&path)?.collect::<Result<_, _>>()?;
/// assert_eq!(records, [ReadRecord::Sample(sample)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FileSink {
    path: PathBuf,
    options: FileOptions,
    file: File,
    /// How much of the file is whole lines; 0 if it lacks the first ones.
    bytes: u64,
    /// How much of that the first lines take.
    head_bytes: u64,
    /// Whether there may be more in it than that.
    torn: bool,
    recovered: Option<Recovered>,
    families: BTreeMap<String, Metadata>,
    /// Whether some of these may not stand in the file.
    repeats_families: bool,
    piece: Vec<u8>,
}

impl FileSink {
    /// Opens the file, or makes it. A last line without its end is mended: completed if it is whole, else
    /// cut off. A file of another version of the format is put aside, as a full one is.
    ///
    /// # Errors
    ///
    /// A file that cannot be opened, that another process writes, or that holds something else. The error
    /// names it.
    pub fn open(path: impl Into<PathBuf>, options: FileOptions) -> io::Result<Self> {
        let path = path.into();
        let opened = open_at(&path).and_then(|mut file| {
            let found = recovery::recover(&mut file)?;
            Ok((file, found))
        });
        let (file, found) = opened.map_err(|error| named(&path, &error))?;
        let mut sink = Self {
            bytes: found.bytes,
            head_bytes: 0,
            torn: false,
            recovered: found.recovered,
            families: BTreeMap::new(),
            repeats_families: false,
            piece: Vec::new(),
            path,
            options,
            file,
        };
        let begun = match found.is_other_version {
            true => sink.rotate(),
            false if sink.bytes == 0 => sink.begin(),
            false => Ok(()),
        };
        begun.map_err(|error| named(&sink.path, &error))?;
        Ok(sink)
    }

    /// What was mended of the last line when the file was opened, if anything was.
    #[must_use]
    pub const fn recovered(&self) -> Option<&Recovered> {
        self.recovered.as_ref()
    }

    /// The file being written.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the piece, to the next file if this one is full. Nothing of it is kept if that fails.
    fn write_piece(&mut self) -> io::Result<()> {
        let length = self.piece.len() as u64;
        if self.torn {
            self.file.set_len(self.bytes)?;
            self.torn = false;
        }
        if self.bytes == 0 {
            self.begin()?;
        }
        // One with nothing but its first lines is not full, however little it may hold.
        if self.bytes + length > self.options.bytes_max && self.bytes > self.head_bytes {
            self.rotate()?;
        }
        if let Err(error) = self.file.write_all(&self.piece) {
            self.torn = self.file.set_len(self.bytes).is_err();
            return Err(error);
        }
        self.bytes += length;
        Ok(())
    }

    /// Puts the file aside and begins the next one.
    fn rotate(&mut self) -> io::Result<()> {
        // Later flushes do not reach it.
        self.file.sync_data()?;
        let aside = |number: usize| numbered(&self.path, number);
        let kept = self.options.files_max.max(1) - 1;
        for number in (1..kept).rev() {
            if_there(fs::rename(aside(number), aside(number + 1)))?;
        }
        if_there(match kept {
            0 => fs::remove_file(&self.path),
            _ => fs::rename(&self.path, aside(1)),
        })?;
        self.file = open_at(&self.path)?;
        self.bytes = 0;
        self.begin()
    }

    /// Writes the first lines of a file: the version, and all that is known of metrics.
    fn begin(&mut self) -> io::Result<()> {
        let mut head = Vec::new();
        lines::write_version(&mut head);
        self.write_families(&mut head);
        if let Err(error) = self.file.write_all(&head) {
            self.torn = self.file.set_len(0).is_err();
            return Err(error);
        }
        sync_folder(&self.path);
        self.bytes = head.len() as u64;
        self.head_bytes = self.bytes;
        self.repeats_families = false;
        Ok(())
    }

    fn write_families(&self, out: &mut Vec<u8>) {
        for (name, metadata) in &self.families {
            write_family(name, metadata, out);
        }
    }

    /// Remembers what a metric is; says whether that is news.
    fn learn(&mut self, family: &Family) -> bool {
        if self.families.get(&family.name) == Some(&family.metadata) {
            return false;
        }
        if self.families.len() < FAMILIES_MAX || self.families.contains_key(&family.name) {
            self.families
                .insert(family.name.clone(), family.metadata.clone());
        }
        true
    }

    /// Writes what `items` append, one by one, in pieces; says how many are safe where one fails.
    fn write_items<T>(
        &mut self,
        items: impl Iterator<Item = T>,
        lost: &mut Lost,
        append: impl Fn(T, &mut Vec<u8>),
    ) -> Result<usize, Unwritten> {
        let (mut taken, mut safe) = (0, 0);
        for item in items {
            let start = self.piece.len();
            append(item, &mut self.piece);
            taken += 1;
            let length = self.piece.len() - start;
            if length > lines::LINE_BYTES_MAX {
                self.piece.truncate(start);
                lost.say(1, || {
                    format!("a line of {length} bytes is too long to be read")
                });
            }
            if self.piece.len() >= PIECE_BYTES {
                self.send_piece()
                    .map_err(|error| Unwritten { safe, error })?;
                safe = taken;
            }
        }
        self.send_piece()
            .map_err(|error| Unwritten { safe, error })?;
        Ok(taken)
    }

    fn send_piece(&mut self) -> io::Result<()> {
        let written = match self.piece.is_empty() {
            true => Ok(()),
            false => self.write_piece(),
        };
        self.piece.clear();
        self.repeats_families |= written.is_err();
        written
    }

    fn write_batch(&mut self, batch: &Batch, lost: &mut Lost) -> Result<(), Unwritten> {
        if self.repeats_families {
            let mut piece = std::mem::take(&mut self.piece);
            self.write_families(&mut piece);
            self.piece = piece;
            self.repeats_families = false;
        }
        for family in &batch.families {
            if self.learn(family) {
                write_family(&family.name, &family.metadata, &mut self.piece);
            }
        }
        let takes = self.options.takes;
        let samples = batch.samples.iter().filter(|_| takes.samples());
        let events = batch.events.iter().filter(|_| takes.events());
        let samples = self.write_items(samples, lost, |sample, out| {
            let labels = sample.labels.iter();
            lines::write_record(
                LineKind::Sample,
                labels,
                sample.value,
                sample.timestamp_ms,
                out,
            );
        })?;
        let events = self.write_items(events, lost, |event, out| {
            let labels = event.labels.iter();
            lines::write_record(
                kind(event.kind),
                labels,
                event.value,
                event.timestamp_ms,
                out,
            );
        });
        match events {
            Ok(_) => Ok(()),
            Err(Unwritten { safe, error }) => Err(Unwritten {
                safe: samples + safe,
                error,
            }),
        }
    }
}

/// Of a batch that could not be written to its end, how many items are.
struct Unwritten {
    safe: usize,
    error: io::Error,
}

impl Sink for FileSink {
    fn takes(&self) -> Takes {
        self.options.takes
    }

    fn write(&mut self, batch: &Batch) -> Result<(), SinkError> {
        let mut lost = Lost::default();
        if let Err(Unwritten { safe, error }) = self.write_batch(batch, &mut lost) {
            let takes = self.options.takes;
            let samples = if takes.samples() {
                batch.samples.len()
            } else {
                0
            };
            let events = if takes.events() {
                batch.events.len()
            } else {
                0
            };
            return Err(SinkError {
                message: named(&self.path, &error).to_string(),
                dropped: samples + events - safe,
            });
        }
        lost.into_result()
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.file.sync_data().map_err(|error| SinkError {
            message: named(&self.path, &error).to_string(),
            dropped: 0,
        })
    }
}

/// Opens a file to append to, and locks it where the system can.
fn open_at(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path)?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            let kind = io::ErrorKind::ResourceBusy;
            Err(io::Error::new(kind, "somebody else writes it"))
        }
        Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
    }
}

/// Makes it known to the disk that there is such a file, which what is in it does not do; where the
/// system has no such thing, it is known already.
fn sync_folder(path: &Path) {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let opened = File::open(folder.unwrap_or_else(|| Path::new(".")));
    let _ = opened.and_then(|folder| folder.sync_all());
}

/// `path.number`.
fn numbered(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn if_there(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// The error, with the file it is about.
fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn write_family(name: &str, metadata: &Metadata, out: &mut Vec<u8>) {
    let Metadata { kind, unit, help } = metadata;
    lines::write_family(name, family_kind(*kind), help, unit, out);
}

const fn kind(kind: EventKind) -> LineKind {
    match kind {
        EventKind::Counter => LineKind::Counter,
        EventKind::Gauge => LineKind::Gauge,
        EventKind::Timer => LineKind::Timer,
        EventKind::Histogram => LineKind::Histogram,
        EventKind::Custom => LineKind::Custom,
    }
}

#[cfg(test)]
mod tests;
