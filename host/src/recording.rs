//! What goes into the collector, on file: `tidegate serve --record FILE`.
//!
//! A recording is of one guest, from its configuration to its end: if it breaks, the recording
//! ends with what broke it, and its successor is not recorded.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use tidegate_client::Machine;
use tidegate_client::recording::{
    CommandView, RECORDING_BYTES_MAX, Recordable, Recorder, ReplyView, Start, Verdict, create_file,
};

use crate::guest::{GuestCommand, GuestMachine, GuestReply};

/// A guest that is recorded, or not.
pub(crate) type Recorded = Recorder<GuestMachine, File>;

/// Records a guest that was just configured into a new file.
pub(crate) fn record(
    guest: GuestMachine,
    path: &Path,
    start: Start<'_>,
) -> Result<Recorded, RecordError> {
    let recorder =
        create_file(path).and_then(|file| Recorder::new(guest, file, start, RECORDING_BYTES_MAX));
    recorder.map_err(|source| RecordError {
        path: path.into(),
        source,
    })
}

impl Recordable for GuestMachine {
    fn command(command: &<Self as Machine>::Command) -> CommandView<'_> {
        match command {
            GuestCommand::Http(request) => CommandView::Http(request),
            GuestCommand::Record(record) => CommandView::Record(record),
            GuestCommand::Change(change) => CommandView::Change(change),
        }
    }

    fn reply(reply: &<Self as Machine>::Reply) -> ReplyView<'_> {
        match reply {
            GuestReply::Http(response) => ReplyView::Http {
                status: response.status,
                headers: response
                    .headers
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str()))
                    .collect(),
                body: &response.body,
            },
            GuestReply::Recorded(result) => {
                let verdict = result.as_ref().map(|recorded| Verdict {
                    accepted: recorded.accepted,
                    refused: recorded.refused,
                    first_refusal: recorded.first_refusal.clone(),
                });
                ReplyView::Recorded(verdict.map_err(Clone::clone))
            }
            GuestReply::Changed(result) => ReplyView::Changed(result.clone()),
        }
    }
}

/// The file cannot be recorded into.
#[derive(Debug)]
pub struct RecordError {
    path: PathBuf,
    source: io::Error,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot record into {}: ", self.path.display())?;
        let kind = self.source.kind();
        if kind == io::ErrorKind::AlreadyExists {
            f.write_str("it is there already, and a recording is never written over; move it away, or name another file")
        } else if kind == io::ErrorKind::NotFound {
            f.write_str("its folder is not there; make it, or name a file elsewhere")
        } else {
            write!(f, "{}; name a file where Tidegate may write", self.source)
        }
    }
}

impl std::error::Error for RecordError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
