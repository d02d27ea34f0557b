//! What can go wrong at the border of this crate.

use skyline_core::batch::Batch;
use std::path::{Path, PathBuf};

/// What went wrong, by what the caller can do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the journal could not be read or written.
    #[error("journal {path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process has this journal open.
    #[error(
        "journal {dir} is in use by another process: stop it, or give this one a state_dir of its own (--state-dir)"
    )]
    Locked {
        /// The directory of the journal.
        dir: PathBuf,
    },
    /// Disk or budget is full: this batch was not taken. It comes back so that the caller may
    /// wait ([`crate::Journal::room`]) and retry.
    #[error("journal is full")]
    Full(Box<Batch>),
    /// The reader is registered already: drop its handle first.
    #[error("journal reader {name} is in use")]
    InUse {
        /// The reader's name.
        name: String,
    },
    /// A batch of more than four GiB.
    #[error("batch of {bytes} bytes is too large for the journal")]
    TooLarge {
        /// Its size.
        bytes: u64,
    },
    /// The journal has been closed.
    #[error("journal is closed")]
    Closed,
}

impl Error {
    /// Names the file that an I/O error belongs to.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
