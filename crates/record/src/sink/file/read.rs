//! Files of records, read back.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use tidegate_series::{Family, Labels, LabelsError, Metadata, Sample};
use tidegate_wire::lines::{
    LINE_BYTES_MAX, Line, LineError, LineKind, RecordLine, VERSION, decode_line,
};

use super::super::family::metric_kind;
use super::numbered;
use crate::{EventKind, MetricEvent};

/// One line of a file of records.
#[derive(Clone, Debug, PartialEq)]
pub enum ReadRecord {
    /// What a metric is.
    Family(Family),
    /// The state of a series.
    Sample(Sample),
    /// Something that happened.
    Event(MetricEvent),
}

/// The files of a [`FileSink`](crate::FileSink) at `path` that there are, the oldest first.
#[must_use]
pub fn files_of(path: &Path) -> Vec<PathBuf> {
    // Listed, as whoever is killed while renaming leaves a number out.
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let number = |file: std::ffi::OsString| -> Option<usize> {
        let file = file.to_str()?;
        let number = file.strip_prefix(&*name)?.strip_prefix('.')?.parse().ok()?;
        (number > 0 && file == format!("{name}.{number}")).then_some(number)
    };
    let listed = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut numbers: Vec<usize> = listed
        .filter_map(|entry| number(entry.file_name()))
        .collect();
    numbers.sort_unstable();
    let aside = numbers.into_iter().rev();
    let mut files: Vec<PathBuf> = aside.map(|number| numbered(path, number)).collect();
    if path.exists() {
        files.push(path.to_owned());
    }
    files
}

/// Reads a file of records, line by line.
///
/// A last line without its end is left out unless it is whole: it may be in the making. A line that
/// cannot be read is an error, and the next one follows it.
#[derive(Debug)]
pub struct FileRecords {
    reader: BufReader<File>,
    line: Vec<u8>,
    number: u64,
    torn: bool,
}

impl FileRecords {
    /// Opens the file.
    ///
    /// # Errors
    ///
    /// Whatever the system says.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self {
            reader: BufReader::new(File::open(path)?),
            line: Vec::new(),
            number: 0,
            torn: false,
        })
    }

    /// Whether the last line was left out.
    #[must_use]
    pub const fn is_torn(&self) -> bool {
        self.torn
    }

    /// Reads the next line; whether there is one.
    fn advance(&mut self) -> io::Result<bool> {
        self.line.clear();
        let most = LINE_BYTES_MAX as u64 + 2;
        let read = Read::by_ref(&mut self.reader)
            .take(most)
            .read_until(b'\n', &mut self.line)?;
        self.number += 1;
        if self.line.len() as u64 == most && self.line.last() != Some(&b'\n') {
            // Too long, as its reader will say; the rest of it is passed over.
            self.reader.skip_until(b'\n')?;
        }
        Ok(read > 0)
    }
}

impl Iterator for FileRecords {
    type Item = Result<ReadRecord, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let error = |problem, line| Some(Err(ReadError { line, problem }));
            match self.advance() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(problem) => return error(ReadProblem::Io(problem), self.number),
            }
            let is_whole = self.line.last() == Some(&b'\n');
            match decode_line(&self.line) {
                Ok(Line::Version(VERSION)) => {}
                Ok(Line::Version(other)) => {
                    return error(ReadProblem::Version(other), self.number);
                }
                Ok(line) => {
                    return Some(record(line).map_err(|problem| ReadError {
                        line: self.number,
                        problem,
                    }));
                }
                Err(_) if !is_whole && self.line.len() <= LINE_BYTES_MAX => {
                    self.torn = true;
                    return None;
                }
                Err(problem) => return error(ReadProblem::Line(problem), self.number),
            }
        }
    }
}

fn record(line: Line<'_>) -> Result<ReadRecord, ReadProblem> {
    let line = match line {
        Line::Record(line) => line,
        Line::Family(header) => {
            let metadata = Metadata {
                kind: metric_kind(header.kind),
                unit: header.unit.into(),
                help: header.help.into(),
            };
            let name = header.name;
            return Ok(ReadRecord::Family(Family { name, metadata }));
        }
        Line::Version(version) => return Err(ReadProblem::Version(version)),
    };
    let RecordLine {
        kind,
        labels,
        value,
        timestamp_ms,
    } = line;
    let labels = Labels::from_pairs(labels).map_err(ReadProblem::Labels)?;
    let timestamp_ms = timestamp_ms.ok_or(ReadProblem::NoTime)?;
    Ok(match event_kind(kind) {
        None => ReadRecord::Sample(Sample {
            labels,
            timestamp_ms,
            value,
        }),
        Some(kind) => ReadRecord::Event(MetricEvent {
            labels,
            kind,
            value,
            timestamp_ms,
        }),
    })
}

const fn event_kind(kind: LineKind) -> Option<EventKind> {
    match kind {
        LineKind::Sample => None,
        LineKind::Counter => Some(EventKind::Counter),
        LineKind::Gauge => Some(EventKind::Gauge),
        LineKind::Timer => Some(EventKind::Timer),
        LineKind::Histogram => Some(EventKind::Histogram),
        LineKind::Custom => Some(EventKind::Custom),
    }
}

/// Why a line was not read.
#[derive(Debug)]
pub struct ReadError {
    /// Which one, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub problem: ReadProblem,
}

/// What may be wrong with a line.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadProblem {
    /// The system does not give it.
    Io(io::Error),
    /// It is no line of records.
    Line(LineError),
    /// It says that the rest is of another version.
    Version(u32),
    /// Its labels are none that a series can have.
    Labels(LabelsError),
    /// It does not say when.
    NoTime,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        match &self.problem {
            ReadProblem::Io(error) => error.fmt(f),
            ReadProblem::Line(error) => error.fmt(f),
            ReadProblem::Version(version) => {
                write!(f, "version {version} of the format is not known here")
            }
            ReadProblem::Labels(error) => error.fmt(f),
            ReadProblem::NoTime => f.write_str("it has no timestamp_ms"),
        }
    }
}

impl Error for ReadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.problem {
            ReadProblem::Io(error) => Some(error),
            ReadProblem::Line(error) => Some(error),
            ReadProblem::Labels(error) => Some(error),
            ReadProblem::Version(_) | ReadProblem::NoTime => None,
        }
    }
}
